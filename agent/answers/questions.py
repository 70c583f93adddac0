"""What a question asks for, told by its words. No model: a few ordered rules, each of which a test can hold.

Called by `agent.ask`. The rules read words only; whether the log knows what they name is asked afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "hypothesis", "event", "cycle", "night", "outcomes", "production", "rank", "queue", "papers", "season", "counts",
    "seeds", "ideas", "search", "test_score", "crashes", "running", "false_promotions", "leader", "costs",
    "model_costs",
]  # fmt: skip
MAX_QUESTION = 2000
MAX_IDS = 5

_HYPOTHESIS = re.compile(r"\b(?:h[-‐‑–\s]?|hypothesis\s+)0*(\d{1,9})\b", re.IGNORECASE)
_CYCLE = re.compile(r"\b(?:cycle\s+#?|c-)0*(\d{1,9})\b", re.IGNORECASE)
_NIGHT = re.compile(r"\b(?:night\s+#?|n-)0*(\d{1,9})\b", re.IGNORECASE)
_EVENT = re.compile(r"\bevent\s+#?(\d{1,12})\b", re.IGNORECASE)
_WORD = re.compile(r"\w+(?:[-.'’]\w+)*")
_POSSESSIVE = re.compile(r"['’](?:s|re|ve|d|ll)$")

OUTCOMES: dict[str, str] = {
    "promoted": "promoted", "promote": "promoted", "promotion": "promoted", "promotions": "promoted",
    "improved": "promoted", "merged": "promoted", "accepted": "promoted", "winners": "promoted", "winner": "promoted",
    "rejected": "archived", "reject": "archived", "rejection": "archived", "rejections": "archived",
    "archived": "archived", "failed": "archived", "dropped": "archived",
    "parked": "parked", "park": "parked", "held": "parked",
}  # fmt: skip
"""Words that name what becomes of a hypothesis."""
_KINDS: list[tuple[Kind, frozenset[str]]] = [
    ("season", frozenset({"season", "seasons", "alpha", "fdr"})),
    ("papers", frozenset({"paper", "papers", "article", "articles", "arxiv", "read", "learn", "learned", "learnt"})),
    ("queue", frozenset({"queue", "queued", "next", "planned", "waiting", "upcoming", "pending"})),
    ("production", frozenset({"production", "live", "configuration", "config", "deployed", "baseline", "settings"})),
    ("rank", frozenset({"rank", "ranking", "gap", "position", "standing", "place", "leaderboard", "leaderboards",
                        "board", "score", "ahead", "behind", "winning", "first"})),
    ("seeds", frozenset({"seed", "seeds"})),
]  # fmt: skip
NARROW: dict[Kind, tuple[tuple[frozenset[str], ...], frozenset[str]]] = {
    "test_score": (
        (
            frozenset({"test"}),
            frozenset({"score", "scores", "scored", "accuracy", "result", "value", "performance", "split"}),
        ),
        frozenset({"production", "best", "model", "solution", "set"}),
    ),
    "crashes": (
        (frozenset({"crash", "crashed", "crashes", "crashing", "oom"}),),
        frozenset({"hypothesis", "hypotheses", "idea", "ideas", "experiment", "experiments", "run", "runs", "candidate",
                   "candidates", "change", "changes", "patch", "patches", "failed", "ones", "number", "tried",
                   "validation", "fast", "training"}),
    ),
    "running": (
        (frozenset({"running", "progress", "underway", "doing", "being", "under"}),),
        frozenset({"test", "tested", "run", "tried", "way", "night", "agent", "hypothesis", "hypotheses", "idea",
                   "experiment", "experiments", "moment", "there", "right", "just", "present", "process", "loop"}),
    ),
    "false_promotions": (
        (
            frozenset({"false", "wrong", "spurious", "bogus", "mistaken", "fluke", "flukes"}),
            frozenset({"promotion", "promotions", "promoted", "positive", "positives", "discovery", "discoveries",
                       "rate", "winners"}),
        ),
        frozenset({"number", "share", "expected", "likely", "season", "there", "chance", "probability"}),
    ),
    "leader": (
        (
            frozenset({"who", "whose", "leader", "leaders", "leads"}),
            frozenset({"first", "leads", "leader", "leaders", "leading", "ahead", "winning", "top", "best", "number",
                       "one", "wins", "1"}),
        ),
        frozenset({"place", "rank", "board", "leaderboard", "position", "score", "ranked", "system"}),
    ),
    "costs": (
        (frozenset({"latency", "memory", "latencies", "speed", "slow", "footprint"}),),
        frozenset({"production", "model", "solution", "baseline", "usage", "prediction", "predictions", "cost", "costs",
                   "need", "take", "needs", "takes", "high", "fast", "large", "ms", "mb"}),
    ),
    "model_costs": (
        (
            frozenset({"model", "models", "llm", "llms", "endpoint", "token", "tokens", "money", "budget"}),
            frozenset({"cost", "costs", "spend", "spent", "spending", "pay", "paid", "tokens", "budget", "charged"}),
        ),
        frozenset({"language", "call", "calls", "request", "requests", "total", "price", "prices", "api", "left",
                   "night", "nights", "answer", "answers"}),
    ),
}  # fmt: skip
"""Questions with one fact for an answer: a word of every group, and beside them no word but these and names."""
_COUNTED = frozenset({"run", "runs", "cycle", "cycles", "hour", "hours", "night", "nights", "experiment", "experiments",
                      "looks", "time", "minutes", "long", "ideas", "hypotheses", "tried"})  # fmt: skip
_IDEAS = frozenset(
    {"idea", "ideas", "tried", "try", "hypotheses", "hypothesis", "experiment", "experiments", "attempts"}
)
_ENDS = frozenset({"end", "ended", "stop", "stopped", "finish", "finished", "start", "started", "overnight", "tonight"})
_STOP_WORDS = """
a about after all an and any are as at be became because been before by came come could did do does done during
ever every far for from get give go gone had happen happened has have how i in into is it its last latest lately many
me more most much my new night now of off on or our out over reason s show since so still tell than that the their
them then there these they thing things this those to today tonight up us use used uses using was we week were what
when where which who whose why will with would yet you your yesterday currently current actual
nothing something anything everything only ours
"""
_STOP = frozenset(_STOP_WORDS.split())
"""Words that carry no topic."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the rules understand it."""

    text: str
    kind: Kind
    hypotheses: tuple[str, ...] = ()
    number: int | None = None
    """Of a cycle, a night or an event."""
    outcome: str = ""
    """`promoted`, `archived` or `parked`, where the question names one."""
    aspect: str = ""
    """The part of a story that is asked for: `seeds`, `costs`, `source`, `patch`, `gap`; empty for all of it."""
    last_night: bool = False
    ours: bool = False
    """Whether it speaks of us."""
    topic: tuple[str, ...] = ()
    """Words left that say what it is about."""
    narrow: Kind | None = None
    """The one fact it seems to ask for; `kind` is how it is read where that has no answer."""
    names: tuple[str, ...] = ()
    """Words that a narrow question must find among the names of boards and metrics."""


def understand(text: str) -> Question:
    """Classify a question. Never fails: what no rule knows is a search."""
    text = text[:MAX_QUESTION]
    words = [_POSSESSIVE.sub("", word.lower()) for word in _WORD.findall(text)]
    known = set(words)
    last_night = bool(
        re.search(r"\b(last|this|the latest|past)\s+night\b|\btonight\b|\bovernight\b", text, re.IGNORECASE)
    )
    outcome = next((OUTCOMES[word] for word in words if word in OUTCOMES), "")
    aspect = _aspect(known)
    if ids := [f"H-{int(number):03d}" for number in _HYPOTHESIS.findall(text)]:
        return Question(text, "hypothesis", tuple(dict.fromkeys(ids))[:MAX_IDS], outcome=outcome, aspect=aspect)
    for kind, pattern in (("event", _EVENT), ("cycle", _CYCLE), ("night", _NIGHT)):
        if match := pattern.search(text):
            return Question(text, kind, number=int(match[1]))  # type: ignore[arg-type]  # literals of the tuple above
    if re.search(r"\b(last|latest|this|current)\s+cycle\b", text, re.IGNORECASE):
        return Question(text, "cycle")
    kind = _kind(text, known, outcome, last_night)
    taken = next((names for name, names in _KINDS if name == kind), frozenset())
    used = _STOP | set(OUTCOMES) | taken | (_IDEAS if kind in {"ideas", "outcomes"} else frozenset())
    if kind == "counts":
        used |= _COUNTED
    topic = tuple(dict.fromkeys(word for word in words if word not in used and len(word) > 1))
    ours = bool(known & {"we", "us", "our"})
    narrow, names = _narrow(words, "#1" in text)
    return Question(
        text, kind, outcome=outcome, aspect=aspect, last_night=last_night, ours=ours, topic=topic, narrow=narrow,
        names=names,
    )  # fmt: skip


def _narrow(words: list[str], first: bool) -> tuple[Kind | None, tuple[str, ...]]:
    """The narrow question whose words these are, and the words left."""
    known = set(words) | ({"first"} if first else set())
    for kind, (groups, beside) in NARROW.items():
        if all(known & group for group in groups):
            used = _STOP.union(beside, *groups)
            left = tuple(dict.fromkeys(word for word in words if word not in used and len(word) > 1))
            return kind, left
    return None, ()


def _kind(text: str, known: set[str], outcome: str, last_night: bool) -> Kind:
    if re.search(r"\bhow\s+(many|much|long)\b", text, re.IGNORECASE) and known & _COUNTED:
        return "counts"
    if known & {"paper", "papers", "arxiv", "article", "season"}:  # what a thing is comes before what became of it
        return "season" if "season" in known else "papers"
    if outcome:
        return "outcomes"
    if known & {"tried", "try", "ideas", "idea"} and "next" not in known:
        return "ideas"
    for kind, names in _KINDS:
        if known & names or ("#1" in text and kind == "rank"):
            return kind
    if "night" in known | ({"night"} if last_night else set()) and not known - _STOP - _ENDS:
        return "night"
    return "ideas" if known & _IDEAS else "search"


def _aspect(known: set[str]) -> str:
    for aspect, names in (
        ("seeds", {"seed", "seeds"}),
        ("costs", {"cost", "costs", "latency", "memory"}),
        ("source", {"source", "quote", "paper", "page"}),
        ("patch", {"commit", "branch", "patch", "diff"}),
        ("gap", {"gap"}),
    ):
        if known & names:
            return aspect
    return ""

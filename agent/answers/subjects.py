"""Sentences about a subject that a question names in its own words: a setting, an idea, a paper.

Called by `agent.ask`. A word matches where it is, or begins, a word of a title, a setting, a value or a family.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.account import Account
from agent.answers.overviews import MOST, verdict_line
from agent.answers.sentences import Sentence, fact, plural, safe
from agent.chronicle import Chronicle
from registry.audit_events import Event
from registry.papers import Reading, ReportedResult

_WORD = re.compile(r"[^\W_]+")
_SHORTEST_STEM = 4


def matches(words: Iterable[str], text: str) -> int:
    """How many of the words the text holds; `rates` finds `rate`, and `weight_decay` finds `weight decay`."""
    there = {_stem(word) for word in _WORD.findall(text.lower())}
    return sum(all(_stem(part) in there for part in _WORD.findall(word.lower())) for word in words)


def of_one(word: str) -> str:
    """The word without the ending of a plural: `patches` becomes `patch`, `runs` `run`."""
    for ending in ("ches", "shes", "sses", "xes"):
        if word.endswith(ending):
            return word.removesuffix("es")
    return word.removesuffix("s") if len(word) > _SHORTEST_STEM and not word.endswith("ss") else word


def _stem(word: str) -> str:
    """Without a plural's s or the ends of -ing and -ed, where enough is left."""
    word = of_one(word) if word.endswith("es") else word
    for ending in ("ing", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending)
    return word


def ideas(known: Chronicle, words: tuple[str, ...], outcome: str = "") -> list[Sentence]:
    """Hypotheses about the words (all of them without words), oldest first; none where a word is unknown."""
    chosen = [
        account
        for account in known.accounts.values()
        if matches(words, described(account)) == len(words) and outcome in {"", account.status}
    ]
    if not chosen or known.last is None:
        return []
    tried = sum(account.closing is not None for account in chosen)
    about = f" about {safe(' '.join(words), 80)}" if words else ""
    count = "1 idea" if len(chosen) == 1 else f"{len(chosen)} ideas"
    head = fact(f"{count}{about}, {tried} with an outcome.", *(account.proposed for account in chosen[:3]))
    rest = [fact(f"{len(chosen) - MOST} more are not shown.", known.last)] if len(chosen) > MOST else []
    return [head, *map(verdict_line, chosen[:MOST]), *rest]


def described(account: Account) -> str:
    """Everything a word may name it by."""
    idea = account.hypothesis
    settings = " ".join(f"{path} {value}" for path, value in idea.implementation.settings.items())
    return f"{idea.title} {idea.implementation.change} {idea.family} {idea.strategy} {settings}".replace("_", " ")


def papers(known: Chronicle, words: tuple[str, ...]) -> list[Sentence]:
    """What was read and learned: the papers whose title or key holds the words, or all of them without words."""
    events = {event.subject: event for event in known.papers}
    scored = [(matches(words, _paper_words(event)), event) for event in events.values()]
    best = max((score for score, _ in scored), default=0)
    if words and best == 0:
        return []
    chosen = [event for score, event in scored if not words or score == best]
    sentences: list[Sentence] = []
    for event in chosen[:MOST]:
        sentences += _read(event, known) if event.kind == "paper_read" else [_unread(event)]
    if len(chosen) > MOST and known.last is not None:
        sentences.append(fact(f"{len(chosen) - MOST} more papers are not shown.", known.last))
    return sentences


def _paper_words(event: Event) -> str:
    data = event.data["reading"]["paper"] if event.kind == "paper_read" else event.data["paper"]
    return f"{data['title']} {data['key']} {data.get('url', '')}"


def _unread(event: Event) -> Sentence:
    title = safe(event.data["paper"]["title"], 200)
    return fact(f"“{title}” could not be read: {safe(event.reason)}.", event)


def _result_line(result: ReportedResult) -> str:
    whose = "reports" if result.whose == "own" else "reports of others"
    where = f"{safe(result.table, 40)}, " if result.table else ""
    standing = "quote verified" if result.quote.verified else "quote NOT verified"
    return (
        f"- {whose} {safe(result.metric, 80)} {safe(result.score, 40)} on {safe(result.dataset, 100)} "
        f"({where}p. {result.quote.page}, {standing}, not measured by us): “{safe(result.quote.text)}”."
    )


def _read(event: Event, known: Chronicle) -> list[Sentence]:
    reading = Reading.model_validate(event.data["reading"])
    paper = reading.paper
    relevant = "relevant" if reading.relevant else "not relevant"
    by = safe(str(event.data.get("researcher", "")), 160)
    if reading.calls:
        by += f" (model calls {', '.join(safe(call, 16) for call in reading.calls)})"
    if reading.instead:
        by += f", because {safe(reading.instead, 200)}"
    text = f"“{safe(paper.title, 200)}” ({safe(paper.key, 80)}), {relevant}: {safe(reading.why)}; read by {by}."
    sentences = [fact(text, event)]
    for technique in reading.techniques:
        values = "; ".join(
            f"{safe(p, 100)} ∈ {{{', '.join(safe(str(v), 40) for v in vs)}}}" for p, vs in technique.settings.items()
        )
        quote = technique.quote
        why = f" ({safe(technique.doubt)})" if technique.doubt else ""
        standing = "verified" if quote.verified else f"NOT verified{why}"
        place = f" ({safe(quote.place, 200)})" if quote.place else ""
        standing = f"p. {quote.page}{place}, {standing}: “{safe(quote.text)}”"
        rating = f"effort {technique.effort}, impact {technique.impact}"
        tried = "; ".join(
            [f"try {values}"] * bool(values) + [f"write: {safe(technique.change)}"] * bool(technique.change)
        )
        line = f"- {safe(technique.name, 80)} ({rating}): {tried or 'nothing to try'}; {standing}."
        sentences.append(fact(line, event))
    sentences += [fact(_result_line(result), event) for result in reading.results]
    sentences += [fact(f"- Hidden text, not read: {safe(line, 200)}.", event) for line in reading.hidden[:MOST]]
    if len(reading.hidden) > MOST:
        sentences.append(fact(f"- {len(reading.hidden) - MOST} more findings of hidden text are in the event.", event))
    from_it = [
        a for a in known.accounts.values() if any(q.file_sha256 == paper.file_sha256 for q in a.hypothesis.quotes)
    ]
    if paper.file_sha256 and from_it:
        sentences.append(fact(f"{plural(len(from_it), 'idea')} came of it:", event))
        sentences += [verdict_line(account) for account in from_it[:MOST]]
    return sentences

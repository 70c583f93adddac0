"""Answers a question from the audit log, by rules and search: no model, and nothing that the log does not say.

Called by `agent ask`. Questions about one hypothesis, cycle or event are read through the index; questions about
the whole workspace fold the log once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from agent.answers import hypothesis, narrow, overviews, subjects
from agent.answers.questions import Question, understand
from agent.answers.sentences import Sentence, fact, safe
from agent.chronicle import Chronicle, chronicle
from agent.readers import Reader
from registry.audit_events import Event
from registry.errors import BadInput

NO_RECORD = "I have no record of that."
SEARCHED = 60
SHOWN = 8
ROUTINE = frozenset({"run_started", "run_finished"})
"""Kinds that fill a log and answer little; shown only where nothing else matches."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with the events it stands in; without sentences the log has no record."""

    question: str
    kind: str
    sentences: tuple[Sentence, ...]

    @property
    def found(self) -> bool:
        return bool(self.sentences)

    @property
    def text(self) -> str:
        return "\n".join(map(str, self.sentences)) if self.sentences else NO_RECORD

    @property
    def events(self) -> tuple[int, ...]:
        """Numbers of all events it cites."""
        return tuple(sorted({number for sentence in self.sentences for number in sentence.events}))


def answer(reader: Reader, question: str) -> Answer:
    """Answer from the log of the reader's workspace."""
    asked = understand(question)
    if not reader.workspace.audit.exists():
        return Answer(question, asked.kind, ())
    if asked.kind in {"hypothesis", "event", "cycle"}:
        return Answer(question, asked.kind, tuple(_by_id(reader, asked)))
    if asked.kind != "search" or asked.topic or asked.narrow is not None:
        known = chronicle(reader.events())
        if asked.narrow is not None and (one := narrow.told(asked.narrow, asked, known, reader.workspace)):
            return Answer(question, asked.narrow, tuple(one))
        for kind, sentences in _readings(asked, known, reader):
            if sentences:
                return Answer(question, kind, tuple(sentences))
    return Answer(question, "search", tuple(_search(reader, asked)))


def _by_id(reader: Reader, asked: Question) -> list[Sentence]:
    if asked.kind == "hypothesis":
        return [sentence for name in asked.hypotheses for sentence in _hypothesis(reader, name, asked)]
    if asked.kind == "event":
        numbers = [asked.number] if asked.number is not None else []
        return [overviews.an_event(event) for event in reader.index.events(numbers)]
    return _cycle(reader, asked.number if asked.number is not None else reader.history().cycles)


def _hypothesis(reader: Reader, name: str, asked: Question) -> list[Sentence]:
    events = reader.index.events_of(name)
    try:
        account = reader.account(name)
    except BadInput:
        return [overviews.an_event(event) for event in events]
    return hypothesis.story(account, events, asked.outcome, asked.aspect)


def _cycle(reader: Reader, number: int) -> list[Sentence]:
    own = reader.index.events_of(f"C-{number:06d}")
    if not own:
        return []
    between = range(own[0].seq + 1, own[-1].seq)
    inside = reader.index.events(list(between)) if own[-1].kind == "cycle_finished" else []
    told = {
        "verdict",
        "promoted",
        "hypothesis_archived",
        "hypotheses_proposed",
        "paper_read",
        "production_at",
        "escalated",
    }
    middle = [overviews.an_event(event) for event in inside if event.kind in told]
    ends = overviews.cycle(own, number)
    return [*ends[:1], *middle, *ends[1:]]


def _readings(asked: Question, known: Chronicle, reader: Reader) -> list[tuple[str, list[Sentence]]]:
    """Ways to read the question, likeliest first; the first that the log can answer is the answer."""
    topic = asked.topic
    if asked.kind == "outcomes":
        if topic:
            return [("ideas", subjects.ideas(known, topic, asked.outcome)), ("ideas", subjects.ideas(known, topic))]
        return [("outcomes", overviews.outcomes(known, asked.outcome, asked.last_night))]
    if asked.kind == "ideas":
        return [("ideas", subjects.ideas(known, topic))]
    if asked.kind == "papers":
        return [("papers", subjects.papers(known, topic))]
    if asked.kind == "search":
        held = tuple(
            word
            for word in topic
            if any(subjects.matches((word,), subjects.described(a)) for a in known.accounts.values())
        )
        return [("ideas", subjects.ideas(known, held))] if held and 2 * len(held) >= len(topic) else []
    about = [("ideas", subjects.ideas(known, topic))] if topic and asked.kind in {"queue", "seeds"} else []
    return [*about, (asked.kind, _overview(asked, known, reader))]


def _overview(asked: Question, known: Chronicle, reader: Reader) -> list[Sentence]:
    if asked.kind == "production":
        return overviews.production(known)
    if asked.kind == "rank":
        return overviews.rank(known, asked.topic, asked.ours)
    if asked.kind == "queue":
        return overviews.queue(known)
    if asked.kind == "counts":
        return overviews.counts(known)
    if asked.kind == "night":
        return overviews.night(known, asked.number)
    if asked.kind == "season":
        from agent.answers.season import season

        return season(known)
    return overviews.seeds(known, reader.index.events_of)


def _search(reader: Reader, asked: Question) -> list[Sentence]:
    """The best matching events: those with every topic word, else those with at least half of them."""
    if not asked.topic:
        return []
    text = " ".join(asked.topic)
    found = reader.index.events(reader.index.search(text, SEARCHED))
    if not found:
        wanted = max(2, (len(asked.topic) + 1) // 2)
        # A word of many is looked for as one as well: the log says "patch attempted", people ask for patches.
        words = " ".join([*asked.topic, *map(subjects.of_one, asked.topic)])
        some = reader.index.events(reader.index.search(words, SEARCHED, match="any"))
        found = [event for event in some if _held(event, asked.topic) >= wanted]
    if not found:
        return []
    telling = [event for event in found if event.kind not in ROUTINE] or found
    head = fact(f"Events that speak of {safe(text, 120)}, best match first:", *telling[:3])
    return [head, *(overviews.an_event(event) for event in telling[:SHOWN])]


def _held(event: Event, words: tuple[str, ...]) -> int:
    text = f"{event.subject} {event.kind} {event.reason} {json.dumps(event.data, ensure_ascii=False)}"
    return subjects.matches(words, text)

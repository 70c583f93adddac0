"""Sentences about the whole workspace: outcomes, production, rank, queue, counts, nights, cycles, the season, seeds.

Called by `agent.ask` with the chronicle; every function returns no sentence where the log holds no such fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.account import Account
from agent.answers import spending
from agent.answers.sentences import (
    SHOWN_SEEDS,
    Sentence,
    duration,
    fact,
    listed,
    plural,
    safe,
    score_unknown,
    signed,
    when,
)
from agent.chronicle import Chronicle, NightSpan
from registry.audit_events import Event

MOST = 20
"""Lines of one list; what is left out is counted."""
LATEST = 5
"""Tests whose seeds are told."""
INSTEAD = 5
"""Rejections that are shown where nothing was promoted."""


def outcomes(known: Chronicle, outcome: str, last_night: bool) -> list[Sentence]:
    """Hypotheses with this outcome, newest first, ever or in the last night."""
    night = known.nights[-1] if known.nights else None
    if last_night and night is None:
        return []
    found = [
        account
        for account in known.accounts.values()
        if account.status == outcome and account.closing is not None
        and (not last_night or night is None or account.closing.seq > night.started.seq)
    ]  # fmt: skip
    span = "in the last night" if last_night else "so far"
    basis = night.events if last_night and night is not None else (known.last.seq,) if known.last is not None else ()
    if not basis:
        return []
    head = fact(
        f"{plural(len(found), 'hypothesis') if len(found) == 1 else f'{len(found)} hypotheses'} {outcome} {span}.",
        *basis,
    )
    ordered = sorted(found, key=lambda account: -(account.closing.seq if account.closing else 0))
    return [head, *map(verdict_line, ordered[:MOST]), *_left_out(ordered, basis), *_instead(known, ordered, outcome)]


def _instead(known: Chronicle, found: list[Account], outcome: str) -> list[Sentence]:
    """Why nothing was promoted: the latest rejections."""
    if found or outcome != "promoted":
        return []
    rejected = [account for account in known.accounts.values() if account.status == "archived"]
    return [verdict_line(account) for account in rejected[-INSTEAD:]]


def verdict_line(account: Account) -> Sentence:
    """One hypothesis and what became of it."""
    closing, name, title = account.closing, account.hypothesis.id, safe(account.hypothesis.title, 150)
    if closing is None:
        return fact(f"- {name} is {account.status}: {title}.", account.started or account.proposed)
    what = f"{account.status} on {when(closing)}"
    if account.promoted is not None:
        what += f", {signed(account.promoted.data['gain'])} on {account.promoted.data['gain_on']}"
    why = "" if account.promoted is not None else f" — {safe(account.reason, 300).rstrip('.')}"
    return fact(f"- {name} ({title}): {what}{why}.", account.proposed, closing)


def _left_out(found: list[Account], basis: tuple[int, ...]) -> Iterator[Sentence]:
    if len(found) > MOST:
        yield fact(f"{len(found) - MOST} older ones are not shown.", *basis)


def production(known: Chronicle) -> list[Sentence]:
    """The commit, its settings and since when."""
    if not known.productions:
        return []
    event = known.productions[-1]
    data = event.data
    sentences = [
        fact(f"Production is commit {safe(data['commit'], 40)} since {when(event)}: {safe(event.reason)}.", event)
    ]
    values = "; ".join(f"{safe(path, 100)} = {safe(str(value), 100)}" for path, value in data["configuration"].items())
    if values:
        sentences.append(fact(f"Its settings: {values}.", event))
    if len(known.productions) > 1:
        first = known.productions[0]
        sentences.append(
            fact(
                f"It is production number {len(known.productions)}; the first was {safe(first.data['commit'][:12])}.",
                first,
                event,
            )
        )
    sentences += [
        fact(f"Its test score is {look.data['mean']:.4f} (look {look.data['look']} of {look.data['of']}).", look)
        for look in known.looks_at_production()[-1:]
    ]
    return sentences


def rank(known: Chronicle, words: tuple[str, ...], ours: bool = True) -> list[Sentence]:
    """Where we stand on each board, or on the boards that the question names.

    A question that names something else, and not us, is about something the log does not rank.
    """
    named = [board for board in known.standings if set(board.lower().split()) & set(words)]
    if words and not named and not ours:
        return []
    sentences = []
    for board in named or known.standings:
        event = known.standings[board]
        data = event.data
        if unknown := score_unknown(known.history, board):
            sentences.append(
                fact(f"{safe(board, 100)}: our score and rank are {unknown}.", event, *known.productions[-1:])
            )
            continue
        if data["rank"] is None:
            sentences.append(
                fact(f"{safe(board, 100)}: no rank; the board does not list us and no score is known.", event)
            )
            continue
        where = f"{safe(board, 100)}: rank #{data['rank']}"
        score = f", our score {data['score']:.4f}" if data["score"] is not None else ""
        gap = ""
        if data["gap"] is not None:
            other = "the next" if data["rank"] == 1 and data["gap"] >= 0 else "#1"
            points = f" ({data['gap_points']:.2f} points)" if data["gap_points"] is not None else ""
            gap = f", gap to {other} {data['gap']:+.4f}{points}"
        sentences.append(fact(f"{where}{score}{gap}, as of {when(event)}.", event))
    return sentences


def queue(known: Chronicle) -> list[Sentence]:
    """What is under test and what waits, in the order it will be tried."""
    active, waiting = known.history.with_status("active"), known.history.with_status("queued")
    last = known.last
    if last is None:
        return []
    sentences = [fact(f"{len(active)} under test, {len(waiting)} queued.", last)]
    for position, hypothesis in enumerate((*active, *waiting)):
        if position == MOST:
            break
        what = "under test" if hypothesis.status == "active" else f"priority {hypothesis.priority_score:g}"
        low = ", low tier" if hypothesis.tier == "low" else ""
        gain = signed(hypothesis.estimated_gain)
        text = f"- {hypothesis.id} ({what}{low}): {safe(hypothesis.title, 150)}, estimated gain {gain}."
        sentences.append(fact(text, known.accounts[hypothesis.id].proposed))
    return sentences


def counts(known: Chronicle) -> list[Sentence]:
    """Runs, hours, cycles, nights and verdicts, in total."""
    last = known.last
    if last is None:
        return []
    sentences = []
    if known.runs_started is not None and known.runs_last is not None:
        ends = ", ".join(f"{number} {status}" for status, number in sorted(known.run_outcomes.items()))
        text = f"{plural(known.runs, 'run')} ({ends}) and {known.run_seconds / 3600:.2f} hours of run time in total."
        sentences.append(fact(text, known.runs_started, known.runs_last))
    else:
        sentences.append(fact("No run has finished.", last))
    if known.last_cycle is not None:
        cycles = f"{plural(known.cycles, 'cycle')} finished in {plural(len(known.nights), 'night')}."
        sentences.append(fact(cycles, known.last_cycle))
    statuses = [account.status for account in known.accounts.values()]
    parts = [
        f"{statuses.count(status)} {status}" for status in ("promoted", "archived", "parked", "under test", "queued")
    ]
    sentences.append(fact(f"{len(statuses)} hypotheses: {', '.join(parts)}.", last))
    if known.test_looks:
        look = known.test_looks[-1]
        sentences.append(fact(f"{len(known.test_looks)} of {look.data['of']} looks at the test split are used.", look))
    if known.nights and known.nights[-1].runs:
        night = known.nights[-1]
        sentences.append(
            fact(
                f"Of these in {night.id}: {plural(night.runs, 'run')}, {plural(night.cycles, 'cycle')}.", *night.events
            )
        )
    return sentences


def night(known: Chronicle, number: int | None) -> list[Sentence]:
    """What happened in one night; the last one without a number."""
    chosen = [span for span in known.nights if number is None or span.id == f"N-{number:04d}"]
    return _night(chosen[-1], known) if chosen else []


def _night(span: NightSpan, known: Chronicle) -> list[Sentence]:
    ended = span.ended
    how = f"to {when(ended)}: {safe(ended.reason)}" if ended is not None else "and is still open"
    sentences = [fact(f"{span.id} ran from {when(span.started)} {how}.", *span.events)]
    again = f", resumed {plural(span.resumed, 'time')}" if span.resumed else ""
    used = (
        f"{plural(span.cycles, 'cycle')}, {plural(span.runs, 'run')}, {duration(span.run_seconds)} of run time{again}."
    )
    sentences.append(fact(used, *span.events))
    if models := spending.told(known.history.models.of_night(span.id), span.silences):
        sentences.append(fact(f"{models[0].upper()}{models[1:]}.", *span.events))
    if span.weak_runs:
        text = f"{plural(span.weak_runs, 'run')} of it in a weak sandbox: nothing is promoted on them."
        sentences.append(fact(text, *span.events))
    decided = [name for name in span.decided if name in known.accounts]
    sentences += [verdict_line(known.accounts[name]) for name in decided[:MOST]]
    if len(decided) > MOST:
        sentences.append(fact(f"{len(decided) - MOST} further verdicts are not shown.", *span.events))
    return sentences


def cycle(events: list[Event], number: int) -> list[Sentence]:
    """What one cycle did, from its own events."""
    sentences = []
    for event in events:
        if event.kind == "cycle_started":
            night_id = safe(str(event.data.get("night", "")), 20) or "no night"
            sentences.append(fact(f"Cycle {number} started {when(event)} in {night_id}.", event))
        elif event.kind == "cycle_finished":
            said = "; ".join(
                f"{safe(name, 40)}: {safe(str(value), 150)}"
                for name, value in event.data.items()
                if name != "cycle" and value not in ("", None, False)
            )
            sentences.append(fact(f"It finished {when(event)} — {said}.", event))
        elif event.kind == "cycle_abandoned":
            sentences.append(fact(f"It was abandoned {when(event)}: {safe(event.reason)}.", event))
    return sentences


def seeds(known: Chronicle, events_of: Callable[[str], list[Event]]) -> list[Sentence]:
    """Which seeds the latest tests used, of how many that were set aside for them."""
    entered = sorted((a.gate for a in known.accounts.values() if a.gate is not None), key=lambda event: -event.seq)
    return [seeds_used(gate, events_of(gate.subject)) for gate in entered[:LATEST]]


def seeds_used(gate: Event, events: list[Event], limit: int = SHOWN_SEEDS) -> Sentence:
    """Seeds of one test that were run, by purpose."""
    data = gate.data
    runs = [e for e in events if e.kind == "run_finished" and e.seq > gate.seq and e.data["commit"] == data["commit"]]
    used = []
    for name, purpose, reserved in (("deciding", "gate", "stage_seeds"), ("fresh", "fresh", "fresh_seeds")):
        found = dict.fromkeys(e.data["key"]["seed"] for e in runs if e.data["purpose"] == purpose)
        shown = f"{listed(found, limit)} ({len(found)}" if found else "none (0"
        used.append(f"{name} {shown} of {len(data[reserved])} set aside)")
    place = f"candidate {data['t']} of season {data['season']}"
    return fact(f"- {gate.subject}, {place}, used: {'; '.join(used)}.", gate, *runs[-1:])


def an_event(event: Event) -> Sentence:
    """One event in a line."""
    about = f" {safe(event.subject, 80)}" if event.subject else ""
    why = f": {safe(event.reason, 400).rstrip('.')}" if event.reason else ""
    return fact(f"{when(event)} {event.kind.replace('_', ' ')}{about}{why}.", event)

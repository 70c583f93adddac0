"""The weekly digest in the documents' form, and what stands behind its figures. Pure: no clock, no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from agent import experience
from agent.account import Account
from agent.answers import spending, submissions
from agent.answers.sentences import duration, plural, safe, score_unknown, signed
from agent.chronicle import Chronicle, NightSpan
from agent.experience import escaped
from agent.papers.claim_ledger import claim_ledger
from agent.reports import claims, needs_a_person, season_lines
from registry.audit_events import Event
from registry.model_usage import Spent

if TYPE_CHECKING:
    from registry.competitive import Schedule

CHANGES = 12
"""Lines about other people's changes; what is left out is counted."""
NEXT = 5
CRASH = "crash"
NO_RESULT = frozenset({CRASH, "superseded"})
"""Verdicts that say nothing about the idea: its runs failed, or production moved on during the test."""


@dataclass(frozen=True, slots=True)
class Week:
    """The span a digest covers: from its Monday to the moment it is written."""

    start: datetime
    now: datetime

    @classmethod
    def of(cls, now: datetime) -> Week:
        """Written on a Monday, it covers the week that has just ended."""
        day = now.astimezone(UTC).date() - timedelta(days=1)
        return cls(datetime.combine(day - timedelta(days=day.weekday()), time(), UTC), now)

    def holds(self, event: Event | None) -> bool:
        return event is not None and self.start <= datetime.fromisoformat(event.time) <= self.now


def digest(known: Chronicle, now: datetime, schedule: Schedule | None = None) -> str:
    """The digest as Markdown; an empty log gives the same headings, each with a sentence."""
    week = Week.of(now)
    parts = [
        f"# Benchmark Digest — Week of {week.start.date().isoformat()}",
        _section("Competitive Position", _positions(known), "No leaderboard has been read yet."),
        _section("What Changed This Week", _changes(known, week), "Nothing changed."),
        _section("Next Actions (Automated)", _next(known, now, schedule), "Nothing is queued."),
        _section("Experiments Run This Week", _experiments(known, week), "No experiment was run."),
        "## Promotions: Gain on Test Against Gain on Dev\n\n" + _promotions(known, week),
        "## Claims: Promised Against Measured\n\n" + claims.tables(claim_ledger(known.history)),
        _section("Season", season_lines.lines(known), "No season has been opened."),
        _section("Needs a Person", needs_a_person.lines(known, week.holds), "Nothing."),
        _colophon(known, now),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _section(title: str, lines: Iterator[str], empty: str) -> str:
    body = "\n".join(f"- {line}" for line in lines)
    return f"## {title}\n\n{body or empty}"


def _positions(known: Chronicle) -> Iterator[str]:
    for board, event in known.standings.items():
        data = event.data
        name = escaped(safe(board, 100))
        if unknown := score_unknown(known.history, board):
            yield f"{name}: ⚠️ our score and rank are {unknown}"
            continue
        if data["rank"] is None:
            yield f"{name}: not ranked ⚠️ (our score: {_score(data['score'])})"
            continue
        first = data["rank"] == 1
        gap = ""
        if data["gap"] is not None:
            gap = f" | gap to #{2 if first and data['gap'] >= 0 else 1}: {data['gap']:+.3f}"
        yield f"{name}: #{data['rank']} {'✅' if first else '⚠️'} (our score: {_score(data['score'])}{gap})"
    for board, event in known.standings.items():
        for claim in _claims(known, board, event.data["score"]):
            yield escaped(safe(claim, 500))


def _claims(known: Chronicle, board: str, ours: float | None) -> Iterator[str]:
    """What papers say they reached on a board, by each metric that they report it by."""
    from agent.papers import reported_results

    results = [one for reading in known.history.readings.values() for one in reading.results if one.dataset == board]
    for metric, higher in dict.fromkeys((one.metric, one.higher_is_better) for one in results):
        found = reported_results.facts(known.history, board, metric, ours, higher_is_better=higher)
        if said := reported_results.told(found):
            yield said


def _score(score: float | None) -> str:
    return "none yet" if score is None else f"{score:.3f}"


# -- what changed -------------------------------------------------------------------------------------------


def _changes(known: Chronicle, week: Week) -> Iterator[str]:
    for account in _promoted(known, week):
        event = account.promoted
        if event is None:
            continue
        boards = ", ".join(escaped(board) for board in account.hypothesis.target_leaderboards) or "no board"
        gain = f"{event.data['gain']:+.3f} on {boards} (dev, {event.data['gain_on']}; event {event.seq})"
        yield f"Promoted {account.hypothesis.id} ({_title(account)}): {gain}"
        if account.submission is not None and submissions.accepted(account.submission):
            told = escaped(submissions.told(account.submission))
            yield f"Submission of {account.hypothesis.id}: {told} (event {account.submission.seq})"
    for event in known.productions[1:]:
        if week.holds(event) and not event.reason.startswith("promoted"):
            yield f"Production moved to {event.data['commit'][:12]}: {escaped(safe(event.reason))} (event {event.seq})"
    for event in known.papers:
        if (
            week.holds(event)
            and event.kind == "paper_read"
            and event.data["reading"]["paper"]["key"].startswith("code:")
        ):
            title = escaped(safe(event.data["reading"]["paper"]["title"], 120))
            yield f"Competitor read: {title}: {escaped(safe(event.reason, 200))} (event {event.seq})"
    lines = [line for event in known.board_changes if week.holds(event) for line in _board_lines(event)]
    yield from lines[-CHANGES:]
    if len(lines) > CHANGES:
        yield f"{len(lines) - CHANGES} earlier changes of the boards are in the log"


def _board_lines(event: Event) -> Iterator[str]:
    """A reading's changes in the documents' words; where boards cannot be compared, the alerts as they were shown."""
    delta, board = event.data.get("delta"), escaped(safe(event.subject, 100))
    if delta is None:
        yield from (
            escaped(safe(line.removeprefix("[ALERT] ").removeprefix("[STATUS] "))) for line in event.data["alerts"]
        )
        return
    ahead = {*delta["entrants_ahead"], *delta["overtaken_by"]}
    for change in delta["changes"]:
        name, score = escaped(safe(change["name"], 100)), change["new_score"]
        now_ahead = " — now ahead of us" if change["name"] in ahead else ""
        if change["kind"] == "score_up" and score is not None:
            yield f"{name} improved {board} to {score:.3f}{now_ahead} (event {event.seq})"
        elif change["kind"] == "corrected_down" and score is not None:
            yield f"{name} was corrected on {board} to {score:.3f} (event {event.seq})"
        elif change["kind"] == "new_entrant" and score is not None:
            yield f"{name} entered {board} at {score:.3f}{now_ahead} (event {event.seq})"
        elif change["kind"] == "removed":
            yield f"{name} left {board} (event {event.seq})"


def _promoted(known: Chronicle, week: Week) -> list[Account]:
    found = [account for account in known.accounts.values() if week.holds(account.promoted)]
    return sorted(found, key=lambda account: account.promoted.seq if account.promoted else 0)


def _title(account: Account) -> str:
    return escaped(safe(account.hypothesis.title, 120))


# -- what is next, what was run -----------------------------------------------------------------------------


def _next(known: Chronicle, now: datetime, schedule: Schedule | None) -> Iterator[str]:
    waiting = [*known.history.with_status("active"), *known.history.with_status("queued")]
    for hypothesis in waiting[:NEXT]:
        boards = ", ".join(escaped(board) for board in hypothesis.target_leaderboards) or "no board"
        verb = "under test" if hypothesis.status == "active" else "queued"
        gain = f"est. gain {hypothesis.estimated_gain:+.3f}"
        yield f"Experiment {hypothesis.id} ({escaped(safe(hypothesis.title, 120))}) {verb} for {boards} — {gain}"
    if len(waiting) > NEXT:
        more = len(waiting) - NEXT
        yield "1 more experiment is queued" if more == 1 else f"{more} more experiments are queued"
    if schedule is not None:
        yield f"Research ingest scheduled for {_moment(schedule.research_ingest, now)}"
        yield f"Leaderboards read {_moment(schedule.leaderboard_scrape, now)}"


def _moment(expression: str | None, now: datetime) -> str:
    if expression is None:
        return "every cycle"
    from agent.schedule import upcoming

    return f"{upcoming(expression, now):%A (%Y-%m-%d %H:%M UTC)}"


def _experiments(known: Chronicle, week: Week) -> Iterator[str]:
    closed = [account for account in known.accounts.values() if week.holds(account.closing)]
    judged = [account for account in closed if account.verdict is not None and _ended(account) not in NO_RESULT]
    crashed = sum(_ended(account) == CRASH for account in closed)
    invalid = sum(_ended(account) == "validation" for account in closed)
    promoted = sum(account.promoted is not None for account in closed)
    if closed:
        completed = plural(len(judged), "experiment")
        yield f"{completed} completed | {invalid} failed fast validation | {promoted} promoted"
        parked = sum(account.status == "parked" for account in closed)
        other = len(closed) - len(judged) - invalid - crashed
        rejected = len(judged) - promoted - parked
        ends = f"{rejected} rejected by the gate | {crashed} crashed | {parked} parked"
        yield f"{ends} | {other} superseded, refused or dropped"
    if proposers := Counter(account.researcher for account in closed if account.researcher):
        yield "Proposed by: " + "; ".join(f"{escaped(safe(by, 160))} ({n})" for by, n in sorted(proposers.items()))
    nights = [night for night in known.nights if week.holds(night.ended or night.started)]
    if nights:
        runs, seconds = sum(night.runs for night in nights), sum(night.run_seconds for night in nights)
        yield f"{plural(len(nights), 'night')}: {plural(runs, 'run')}, {duration(seconds)} of run time"
    if models := _models(known, week, nights):
        yield models
    if weak := sum(night.weak_runs for night in nights):
        yield f"⚠️ {plural(weak, 'run')} in a weak sandbox: the gate promotes nothing on them"


def _models(known: Chronicle, week: Week, nights: list[NightSpan]) -> str:
    """What language models took in these nights, and between nights on days of the week."""
    silences = sum((night.silences for night in nights), Counter[str]())
    spent = sum((known.history.models.of_night(night.id) for night in nights), Spent())
    for day, of_day in known.history.models.nights.items():
        date = day.removeprefix("day:")
        if date != day and week.start.date().isoformat() <= date <= week.now.astimezone(UTC).date().isoformat():
            spent += of_day
    line = spending.told(spent, silences)
    return f"{line[:1].upper()}{line[1:]}"


def _ended(account: Account) -> str:
    """The code of what ended it: the gate's, or that of an end before the gate."""
    if account.verdict is not None:
        return str(account.verdict.data["reason"])
    return str(account.archived.data.get("code", "")) if account.archived is not None else ""


# -- what stands behind the figures -------------------------------------------------------------------------


def _promotions(known: Chronicle, week: Week) -> str:
    rows = []
    for account in _promoted(known, week):
        event = account.promoted
        if event is None:
            continue
        before, after = _test_score(known, event.data["previous"], event), event.data["test_score"]
        gain = signed(after - before) if before is not None and after is not None else "–"
        look = (
            f"{account.test_look.data['look']} of {account.test_look.data['of']}" if account.test_look else "none left"
        )
        shown = "–" if after is None else f"{after:.4f}"
        on_dev = f"{signed(event.data['gain'])} on {event.data['gain_on']}"
        rows.append((account.hypothesis.id, _title(account), on_dev, gain, shown, look))
    head = ("Id", "Change", "Gain on dev", "Gain on test", "Test score", "Test look")
    text = experience.table(head, rows, "Nothing was promoted.")
    if known.test_looks:
        last = known.test_looks[-1].data
        text += (
            f"\n{len(known.test_looks)} of {last['of']} looks at the test split are used; no look decided anything.\n"
        )
    return text


def _test_score(known: Chronicle, commit: str, promotion: Event) -> float | None:
    """Test score of the production that a promotion replaced: its own look, else the last score before."""
    own = [look.data["mean"] for look in known.test_looks if look.data["commit"] == commit]
    earlier = [
        event
        for event in known.scores
        if event.seq < promotion.seq and event.data["commit"] != promotion.data["commit"]
    ]
    value = own[0] if own else earlier[-1].data["score"] if earlier else None
    return None if value is None else float(value)


def _colophon(known: Chronicle, now: datetime) -> str:
    upto = f"event {known.last.seq} ({known.last.hash[:12]})" if known.last is not None else "an empty log"
    return (
        f'*Written {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC from the audit log up to {upto}. Ask it: `agent ask "…"`.*'
    )

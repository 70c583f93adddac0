"""The technical log: what the system did and why, to be read in five minutes. Pure: chronicle and moment in, text out.

It leads with a table of everything and goes into detail below, newest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.account import Account
from agent.answers.sentences import duration, exponential, in_its_unit, plural, safe, score_unknown, signed, when
from agent.chronicle import Chronicle, Data
from agent.experience import configuration_table, escaped, queue_table, table
from registry.audit_events import Event
from registry.papers import Reading, Technique

RESULTS = ("passed", "failed")
OUTCOME_COLUMNS = ("Id", "Change", "Outcome", "Gain", "Seeds", "Why")


@dataclass(frozen=True, slots=True)
class _Told:
    """One decided hypothesis as the log tells it: a line of the table and a section."""

    decided_at: int
    line: tuple[str, ...]
    section: str


def technical_log(known: Chronicle, now: datetime) -> str:
    """The whole log as Markdown."""
    told: list[_Told] = []
    statuses: dict[str, str] = {}
    for name, account in known.accounts.items():
        statuses[name] = account.status
        if account.closing is not None:
            told.append(_Told(account.closing.seq, _outcome(account), _experiment(account)))
    told.sort(key=lambda each: -each.decided_at)
    outcomes = table(OUTCOME_COLUMNS, (each.line for each in told), "Nothing has been tried yet.")
    parts = [
        "# Technical log\n",
        _head(known, now),
        "## Summary\n\n" + _summary(known, statuses),
        "## Outcomes\n\n" + outcomes,
        "## Production\n\n" + configuration_table(known.history) + "\n" + _productions(known),
        "## Queue\n\n" + queue_table(known.history),
        "## Experiments\n",
        *([each.section for each in told] or ["Nothing has been tried yet.\n"]),
        "## Papers\n",
        *(list(_papers(known, statuses)) or ["Nothing has been read yet.\n"]),
    ]
    return "\n".join(parts)


def _head(known: Chronicle, now: datetime) -> str:
    upto = f"event {known.last.seq}, hash {known.last.hash[:16]}" if known.last is not None else "an empty log"
    return (
        f"Written {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC from the audit log ({upto}); it is regenerated, so "
        "edits are lost. Check it with `agent audit verify`, one verdict with `agent gate H-001`.\n"
    )


def _summary(known: Chronicle, statuses: Mapping[str, str]) -> str:
    now = Counter(statuses.values())
    states = ("promoted", "archived", "parked", "under test", "queued")
    rows: list[tuple[str, str]] = [("Position", "; ".join(_positions(known)) or "no board read yet")]
    production = known.history.production
    rows.append(
        (
            "Production",
            f"`{production.commit[:12]}` ({escaped(safe(production.why, 80))})" if production else "none yet",
        )
    )
    rows.append(("Hypotheses", ", ".join(f"{now[state]} {state}" for state in states)))
    ends = ", ".join(f"{count} {status}" for status, count in sorted(known.run_outcomes.items()))
    weak = f"; {known.weak_runs} in a weak sandbox, on which nothing is promoted" if known.weak_runs else ""
    rows.append(("Runs", f"{known.runs} ({ends}){weak}" if known.runs else "none"))
    rows.append(("Run time", f"{known.run_seconds / 3600:.2f} h"))
    rows.append(("Cycles, nights", f"{known.cycles} in {plural(len(known.nights), 'night')}"))
    rows.append(
        (
            "Papers",
            f"{len(known.history.readings)} read, {sum(r.relevant for r in known.history.readings.values())} relevant",
        )
    )
    if known.test_looks:
        rows.append(("Test looks", f"{len(known.test_looks)} of {known.test_looks[-1].data['of']}"))
    rows += _season(known)
    return table(("What", "Now"), rows, "")


def _positions(known: Chronicle) -> Iterator[str]:
    for board, event in known.standings.items():
        if unknown := score_unknown(known.history, board):
            yield f"{escaped(safe(board, 100))} {unknown}"
            continue
        gap = f", gap {event.data['gap']:+.4f}" if event.data["gap"] is not None else ""
        yield f"{escaped(safe(board, 100))} #{event.data['rank'] or '–'}{gap}"


def _season(known: Chronicle) -> Iterator[tuple[str, str]]:
    from agent.answers import season

    found = season.facts(known.history)
    if found is not None:
        text = f"{found.id}: N = {found.planned}, t = {found.started}, R = {found.promotions}, bar E ≥ {found.bar:.4g}"
        yield "Season", text + (" (closed)" if found.closed else f", until {found.closes_on}")


def _outcome(account: Account) -> tuple[str, ...]:
    return (
        account.hypothesis.id,
        escaped(safe(account.hypothesis.title, 80)),
        account.status,
        _gain(account),
        f"{account.last_look['numbers']['n']}" if account.last_look else "–",
        escaped(safe(account.reason, 140)),
    )


def _gain(account: Account) -> str:
    if account.verdict is None or account.verdict.data["gain"] is None:
        return "–"
    return f"{signed(account.verdict.data['gain'])} on {account.verdict.data['gain_on']}"


def _productions(known: Chronicle) -> str:
    rows = (
        (when(e), f"`{e.data['commit'][:12]}`", escaped(safe(e.reason, 100)), str(e.seq)) for e in known.productions
    )
    return table(("Since", "Commit", "Why", "Event"), rows, "No production is recorded.")


# -- experiments --------------------------------------------------------------------------------------------


def _experiment(account: Account) -> str:
    idea, closing = account.hypothesis, account.closing
    settings = ", ".join(f"`{_code(path)}` = `{_code(value)}`" for path, value in idea.implementation.settings.items())
    lines = [
        f"### {idea.id}: {escaped(idea.title)} — {account.status}",
        "",
        f"- **Outcome:** {escaped(safe(account.reason, 600))}" + (f" ({when(closing)})" if closing else ""),
        f"- **Config:** {settings or 'no setting'}"
        + (
            f"; commit `{account.patch.data['commit'][:12]}` on `{_code(account.patch.data['branch'])}`"
            if account.patch
            else ""
        ),
        f"- **Source:** {escaped(safe(idea.source))} ({_rating(account)})",
        *([f"- **Environment:** {escaped(safe(account.environment, 600))}"] if account.environment else []),
        *_metrics(account),
        *_gap(account),
        *_rationale(account),
        f"- **Cost:** {plural(account.runs, 'run')}, {duration(account.run_seconds)}",
        f"- **Events:** {', '.join(map(str, account.event_numbers()))}",
        "",
    ]
    return "\n".join(lines)


def _rating(account: Account) -> str:
    idea = account.hypothesis
    by = escaped(safe(account.researcher, 60))
    gain, rank = signed(idea.estimated_gain), f"{idea.priority_score:g}"
    by = f"by {by}" if by.lower() != escaped(safe(idea.source, 60)).lower() else "by hand"
    return f"{by}; effort {idea.implementation.effort}, estimated {gain}, priority {rank}"


def _code(value: object) -> str:
    return safe(str(value), 100).replace("`", "'").replace("|", "/")


def _metrics(account: Account) -> Iterator[str]:
    look = account.last_look
    if look is None:
        return
    numbers, metric = look["numbers"], escaped(look["evidence"]["metric"])
    arms = look.get("arms", {})
    for line, title in (("stage", "deciding seed"), ("fresh", "fresh seed")):
        if found := arms.get(line):
            change = found["candidate"] - found["production"]
            where = f"{plural(found['n'], title)}" if line == "stage" else look["decision"]["gain_on"]
            name = f"{metric.capitalize()}, {where}"
            yield f"- **{name}:** {found['candidate']:.4f} against {found['production']:.4f} ({change:+.4f})"
    if numbers["log_e"] is not None and numbers["log_bar"] is not None:
        place = f", candidate {account.gate.data['t']} of season {account.gate.data['season']}" if account.gate else ""
        yield f"- **Evidence:** E = {exponential(numbers['log_e'])} against {exponential(numbers['log_bar'])}{place}"
    if account.test_look is not None:
        data = account.test_look.data
        yield f"- **Test:** {data['mean']:.4f} (look {data['look']} of {data['of']}; never used to decide)"


def _gap(account: Account) -> Iterator[str]:
    if account.gap_note is not None:
        yield f"- **Gap analysis:** {escaped(safe(account.gap_note.reason, 800))}"


def _rationale(account: Account) -> Iterator[str]:
    judged = [row for row in account.rows if row["result"] in RESULTS]
    if judged:
        yield f"- **Criteria ({escaped((account.last_look or {})['policy']['name'])}):** " + "; ".join(
            map(_row, judged)
        )
    for quote in account.hypothesis.quotes:
        standing = "verified" if quote.verified else "NOT verified"
        where = f"{escaped(safe(quote.document, 120))}, p. {quote.page}, {standing}"
        yield f"- **Quote:** “{escaped(safe(quote.text, 400))}” ({where})"


def _row(row: Data) -> str:
    value = "" if row["value"] is None else f" {in_its_unit(row)}"
    mark = "✓" if row["result"] == "passed" else "✗"
    asked = escaped(row["requirement"]) + ("" if row["binding"] else ", not binding")
    return f"{mark} {escaped(row['name'])}{value} ({asked})"


# -- papers -------------------------------------------------------------------------------------------------


def _papers(known: Chronicle, statuses: Mapping[str, str]) -> Iterator[str]:
    latest = {event.subject: event for event in known.papers}
    for event in reversed(list(latest.values())):
        yield _paper(event, known, statuses) if event.kind == "paper_read" else _unread(event)


def _unread(event: Event) -> str:
    title = escaped(safe(event.data["paper"]["title"], 200))
    return f"### {title}\n\n- **Not read:** {escaped(safe(event.reason))} (event {event.seq})\n"


def _paper(event: Event, known: Chronicle, statuses: Mapping[str, str]) -> str:
    reading = Reading.model_validate(event.data["reading"])
    lines = [f"### {escaped(safe(reading.paper.title, 200))}", ""]
    lines.append(
        f"- **Relevant:** {'yes' if reading.relevant else 'no'} — {escaped(safe(reading.why))} (event {event.seq})"
    )
    for technique in reading.techniques:
        values = "; ".join(
            f"`{_code(path)}` {', '.join(_code(v) for v in found)}" for path, found in technique.settings.items()
        )
        what = f"try {values}" if values else escaped(safe(technique.change, 300))
        lines.append(
            f"- **{escaped(technique.name)}:** effort {technique.effort}, impact {technique.impact}; {what}; "
            f"{_disposition(known, statuses, technique, reading.paper.file_sha256)}"
        )
    by = escaped(safe(str(event.data.get("researcher", "")), 160))
    instead = f", because {escaped(safe(reading.instead, 300))}" if reading.instead else ""
    lines.append(f"- **Read by:** {by or 'unknown'}{instead}")
    if not reading.techniques:
        lines.append("- **Techniques:** none for us")
    return "\n".join([*lines, ""])


def _disposition(known: Chronicle, statuses: Mapping[str, str], technique: Technique, file_sha256: str) -> str:
    """What became of a technique: the ideas that rest on this file and touch its settings."""
    came = [
        f"{idea.id} {statuses[idea.id]}"
        for idea in known.history.hypotheses.values()
        if technique.settings.keys() & idea.implementation.settings.keys()
        and any(quote.file_sha256 == file_sha256 for quote in idea.quotes)
    ]
    return ", ".join(came) if came else "no hypothesis yet"

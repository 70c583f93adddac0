"""`agent papers ingest|list|show|claims`: read papers now; what was read, taken from each, and came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.options import common, find_workspace, print_json

if TYPE_CHECKING:
    from agent.chronicle import Chronicle
    from registry.audit_events import Event


@click.group("papers")
def command() -> None:
    """Read papers now; show what was read, and what its promises came to."""


@command.command("ingest")
@click.option("--code", multiple=True, metavar="PATH_OR_URL", help="Read this competitor's code, and nothing else.")
@common
def ingest(workspace_dir: Path | None, as_json: bool, code: tuple[str, ...]) -> int:
    """Ask every source now, whatever the schedule says, and read what is new.

    With --code, a folder or the https:// or file:// address of a git
    repository is read as data, never run: settings that differ from ours
    become candidate experiments. It may be given several times.

    Exit status 1: a source did not answer, or holds something that cannot be read.
    """
    from agent.cli.run import progress_on
    from agent.papers import listing, reading
    from agent.wiring import open_services

    workspace = find_workspace(workspace_dir)
    places = [place if "://" in place else str(Path(place).resolve()) for place in code]
    with progress_on(as_json) as progress, open_services(workspace, progress, "agent papers ingest") as services:
        listed = listing.list_new(services, f"asked {services.clock().isoformat()}", code=places)
        count = reading.read_listed(services, places)
        last = next(event for event in reversed(list(services.log.events("papers_listed"))))
    sources = last.data["sources"]
    if as_json:
        print_json({"listed": listed, "read": count, "sources": sources, "event": last.seq})
    else:
        click.echo(f"{listed}; {count} read (event {last.seq})")
        if not sources:
            click.echo("No source is configured: name some under research_sources in research_config.yaml.")
        for source in sources:
            for note in source["notes"] if source["status"] == "ok" else ():
                click.echo(f"  {source['source']}: {note}")
    return 0 if all(source["status"] == "ok" for source in sources) else 1


@command.command("list")
@common
def list_papers(workspace_dir: Path | None, as_json: bool) -> int:
    """Show every paper that was read, could not be, or waits to be read, newest first."""
    from agent.answers.sentences import safe, when

    known = _known(workspace_dir)
    events = list(reversed(_latest(known).values()))
    waiting = [_waiting(item) for item in known.history.listed_papers.values()]
    if as_json:
        print_json([*waiting, *map(_row, events)])
        return 0
    for row in waiting:
        late = f", asked for again after {row['retry_at'][:16]}" if row["retry_at"] else ""
        click.echo(f"waiting     {_name(row):28} {safe(row['title'], 100)}")
        click.echo(f"            from {safe(row['source'], 120)}{late}")
    for event in events:
        row = _row(event)
        techniques = safe(", ".join(row["techniques"]), 80) or "no technique"
        state = {"read": "relevant" if row["relevant"] else "not relevant"}.get(row["status"], "not read")
        rival = "competitor: " if row["competitor"] else ""
        title = rival + safe(row["title"], 100)
        click.echo(f"{when(event)[:10]}  {_name(row):28} {state:13} {techniques:24} {title}")
        if row["hidden"]:
            click.echo(
                f"            {len(row['hidden'])} finding(s) of hidden text, not read: agent papers show tells them"
            )
        if row["status"] == "unreadable":
            click.echo(f"            {safe(row['why'], 300)}")
        if row["source"]:
            click.echo(f"            {_origin(row)}")
    if not events and not waiting:
        click.echo("Nothing has been read yet.")
    return 0


@command.command("show")
@click.argument("paper")
@common
def show(paper: str, workspace_dir: Path | None, as_json: bool) -> int:
    """Show one paper by its key, the key's beginning, or words of its title. Exit status 1: none is known by it."""
    from agent.answers.sentences import safe
    from agent.answers.subjects import papers
    from agent.ask import NO_RECORD

    known = _known(workspace_dir)
    by_key = [
        event for key, event in _latest(known).items() if key == paper or (len(paper) > 5 and key.startswith(paper))
    ]
    if by_key:
        known.papers = by_key
        sentences = papers(known, ())
    else:
        sentences = papers(known, tuple(paper.lower().split()))
        by_key = [event for event in known.papers if any(event.seq in s.events for s in sentences)]
    if as_json:
        print_json([{**_row(event), "reading": event.data.get("reading")} for event in by_key])
    else:
        click.echo("\n".join(map(str, sentences)) or NO_RECORD)
        for row in (_row(event) for event in by_key):
            if row["source"]:
                click.echo(f"{_name(row)}: {_origin(row)}")
            if row["instead"]:
                click.echo(f"  not the full text: {safe(row['instead'], 300)}")
    return 0 if sentences else 1


@command.command("claims")
@common
def claims(workspace_dir: Path | None, as_json: bool) -> int:
    """Show what papers promised and what was measured of it, by source and by technique."""
    from dataclasses import asdict

    from agent.answers.sentences import safe
    from agent.papers.claim_ledger import claim_ledger, spoken

    ledger = claim_ledger(_known(workspace_dir).history)
    if as_json:
        standings = {"sources": ledger.by_source(), "techniques": ledger.by_technique()}
        found = {name: [asdict(one) for one in several] for name, several in standings.items()}
        print_json({**found, "claims": [asdict(claim) for claim in ledger.claims]})
        return 0
    for standing in ledger.by_source():
        tested = f"{standing.tested} of {standing.claims} claims tested, {standing.promoted} promoted"
        click.echo(f"{safe(standing.name, 60)}: {tested}; {standing.trust:.0%} of a promise is expected")
    for claim in ledger.claims:
        promised = "no number" if claim.promised is None else f"{claim.promised:+.4g}"
        unverified = "" if claim.verified else ", quote not verified"
        untested = f"not tested ({'; '.join(claim.unmeasured)})" if claim.unmeasured else "not tested"
        results = "; ".join(spoken(test) for test in claim.measured) or untested
        click.echo(
            f"  {safe(claim.technique, 60)} (“{safe(claim.title, 60)}”): promised {promised}{unverified}; {results}"
        )
    if not ledger.papers:
        click.echo("Nothing has been read yet.")
    return 0


def _known(workspace_dir: Path | None) -> Chronicle:
    from agent.chronicle import chronicle
    from agent.readers import Reader

    return chronicle(Reader(find_workspace(workspace_dir)).events())


def _latest(known: Chronicle) -> dict[str, Event]:
    """The last word on each paper; a file that could not be read and could later, under its own name, is only read."""
    mended = {}
    latest = {event.subject: event for event in known.papers}
    for event in latest.values():
        if event.kind == "paper_read":
            mended[event.data["reading"]["paper"]["url"]] = event.seq
    return {
        subject: event
        for subject, event in latest.items()
        if event.kind == "paper_read" or mended.get(event.data["paper"]["url"], 0) < event.seq
    }


def from_competitor(event: Event) -> bool:
    """Whether what was read, or could not be, is a competitor's code or report."""
    if event.kind != "paper_read":
        return str(event.data["paper"]["key"]).startswith("file:code:")
    reading = event.data["reading"]
    techniques = reading["techniques"]
    return reading["paper"]["key"].startswith("code:") or any(each.get("origin") == "rival" for each in techniques)


def _name(row: dict[str, Any]) -> str:
    from agent.answers.sentences import safe

    return safe(row["key"] + row["version"], 44)


def _origin(row: dict[str, Any]) -> str:
    from agent.answers.sentences import safe

    what = f", {row['extent']} read" if row["extent"] else ""
    file = f" ({safe(row['url'], 120)})" if row["key"].startswith("file:") and row["url"] != row["source"] else ""
    return f"from {safe(row['source'], 120)}{file}{what}"


def _waiting(item: dict[str, Any]) -> dict[str, Any]:
    paper = item["paper"]
    return {
        "key": paper["key"],
        "version": paper["version"],
        "title": paper["title"],
        "url": paper["url"],
        "source": item["source"],
        "status": "waiting",
        "retry_at": item.get("retry_at", ""),
    }


def _row(event: Event) -> dict[str, Any]:
    read = event.kind == "paper_read"
    reading = event.data["reading"] if read else {}
    paper = reading["paper"] if read else event.data["paper"]
    return {
        "key": paper["key"],
        "version": paper.get("version", ""),
        "title": paper["title"],
        "url": paper.get("url", ""),
        "source": reading.get("source", "") or event.data.get("source", ""),
        "status": "read" if read else "unreadable",
        "relevant": reading.get("relevant", False),
        "why": event.reason,
        "techniques": [technique["name"] for technique in reading.get("techniques", [])],
        "competitor": from_competitor(event),
        "hidden": reading.get("hidden", []),
        "extent": reading.get("extent", ""),
        "sha256": paper.get("file_sha256", ""),
        "instead": event.data.get("text", {}).get("instead", ""),
        "event": event.seq,
    }

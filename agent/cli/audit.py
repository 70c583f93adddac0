"""`agent audit show|verify`: the log as it is, and whether it holds."""

from __future__ import annotations

import json
from pathlib import Path

import click

from agent.cli.options import common, find_workspace, print_json


@click.group("audit")
def command() -> None:
    """Show the audit log, or verify its chain and every verdict."""


@command.command("show")
@click.option("--subject", default=None, help="Only events about this, such as H-042.")
@click.option("--kind", default=None, help="Only events of this kind, such as verdict.")
@click.option("--last", type=click.IntRange(1), default=None, help="Only the last so many.")
@common
def show_events(
    subject: str | None, kind: str | None, last: int | None, workspace_dir: Path | None, as_json: bool
) -> int:
    """Show events, oldest first."""
    from collections import deque

    from agent.readers import Reader
    from registry.audit_events import fields_of
    from sandbox.outputs import plain_text

    events = (
        event
        for event in Reader(find_workspace(workspace_dir)).events()
        if subject in {None, event.subject} and kind in {None, event.kind}
    )
    for event in deque(events, maxlen=last) if last else events:
        if as_json:
            click.echo(json.dumps(fields_of(event), sort_keys=True, ensure_ascii=False))
        else:
            click.echo(
                plain_text(f"{event.seq:6d}  {event.time}  {event.kind:20s} {event.subject:12s} {event.reason}", 300)
            )
    return 0


@command.command("verify")
@common
def verify(workspace_dir: Path | None, as_json: bool) -> int:
    """Check the log's chain and recompute every verdict from its raw values. Exit status 1: something is wrong."""
    from agent.verification import verify as check

    found = check(find_workspace(workspace_dir))
    if as_json:
        print_json(
            {
                "events": found.events,
                "head": found.head,
                "looks": found.looks,
                "anchors": found.anchors,
                "problems": list(found.problems),
                "ok": found.ok,
            }
        )
    else:
        for problem in found.problems:
            click.echo(problem)
        verdict = "holds" if found.ok else f"does not hold: {len(found.problems)} problems"
        click.echo(
            f"{found.events} events, {found.looks} looks of the gate recomputed, {found.runs} runs matched, "
            f"{found.anchors} commits anchor it; head {found.head[:16]}. The log {verdict}."
        )
    return 0 if found.ok else 1

"""`agent audit show|verify`: the log as it is, and whether it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.options import common, find_workspace, print_json

if TYPE_CHECKING:
    from registry.audit_events import Event


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

    found = (
        event
        for event in Reader(find_workspace(workspace_dir)).events()
        if subject in {None, event.subject} and kind in {None, event.kind}
    )
    events = iter(deque(found, maxlen=last) if last else found)
    first = next(events, None)
    if first is None:
        wanted = " ".join(f"{name} {value}" for name, value in (("of kind", kind), ("about", subject)) if value)
        click.echo(f"no event {wanted}".rstrip() + " is in the log", err=True)
    _show(() if first is None else chain((first,), events), as_json)
    return 0


def _show(events: Iterable[Event], as_json: bool) -> None:
    """A line for each event, or one JSON list with an event on each line, written as they are read."""
    from registry.audit_events import fields_of
    from sandbox.outputs import plain_text

    between = "["
    for event in events:
        if as_json:
            click.echo(between + json.dumps(fields_of(event), sort_keys=True, ensure_ascii=False), nl=False)
            between = ",\n"
        else:
            text = f"{event.seq:6d}  {event.time}  {event.kind:20s} {event.subject:12s} {event.reason}"
            click.echo(plain_text(text, 300))
    if as_json:
        click.echo("[]" if between == "[" else "]")


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

"""`agent report digest|technical`: the reports, printed from the log; nothing is written and no lock is taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.options import common, find_workspace, print_json, show

if TYPE_CHECKING:
    from agent.chronicle import Chronicle


@click.group("report")
def command() -> None:
    """Show the digest or the technical log. A night writes both into the workspace."""


@command.command("digest")
@common
def digest(workspace_dir: Path | None, as_json: bool) -> int:
    """Show the digest of the week: position, changes, next actions, experiments, promotions, season, alerts."""
    from agent import reports
    from registry.documents import load_competitive

    schedule = load_competitive(find_workspace(workspace_dir).competitive_registry).schedule
    return _print(workspace_dir, as_json, lambda known, now: reports.digest(known, now, schedule))


@command.command("technical")
@common
def technical(workspace_dir: Path | None, as_json: bool) -> int:
    """Show the technical log: every experiment, paper, promotion and rejection, and the queue."""
    from agent import reports

    return _print(workspace_dir, as_json, reports.technical_log)


def _print(workspace_dir: Path | None, as_json: bool, write: Callable[[Chronicle, datetime], str]) -> int:
    from agent.chronicle import chronicle
    from agent.readers import Reader

    known = chronicle(Reader(find_workspace(workspace_dir)).events())
    text = write(known, datetime.now(UTC))
    if as_json:
        print_json({"text": text, "events": known.last.seq if known.last is not None else 0})
    else:
        show(text)
    return 0

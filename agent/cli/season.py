"""`agent season show|open`: the span over which false promotions are controlled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.options import common, find_workspace, print_json

if TYPE_CHECKING:
    from agent.answers.season import SeasonFacts


@click.group("season")
def command() -> None:
    """Show the season, or open the next one."""


@command.command("show")
@common
def show(workspace_dir: Path | None, as_json: bool) -> int:
    """Show N, t, R, the level and what it asks of the next candidate. Exit status 1: no season was opened yet."""
    from datetime import UTC, datetime

    from agent.answers.season import facts
    from agent.readers import Reader

    found = facts(Reader(find_workspace(workspace_dir)).history())
    if found is None:
        click.echo("null" if as_json else "No season has been opened; the first candidate of a night opens one.")
        return 1
    _print(found, datetime.now(UTC).date().isoformat(), as_json)
    return 0


@command.command("open")
@common
def open_next(workspace_dir: Path | None, as_json: bool) -> int:
    """Close a season that is due and open the next one. Exit status 1: the open season is not due yet.

    Nothing else ends a season: a counter that could be set back by hand would guarantee nothing.
    """
    from agent import seasons
    from agent.answers.season import facts
    from agent.cli.run import progress_on
    from agent.wiring import open_services

    workspace = find_workspace(workspace_dir)
    with progress_on(as_json) as progress, open_services(workspace, progress, "agent season open") as services:
        today = services.clock().date().isoformat()
        before = facts(services.history)
        refusal = _refusal(before, today)
        if not refusal:
            seasons.ready(services)
            before = facts(services.history)
    if refusal:
        click.echo(refusal, err=True)
        return 1
    if before is not None:
        _print(before, today, as_json)
    return 0


def _refusal(found: SeasonFacts | None, today: str) -> str:
    """Why the calendar keeps the season open; empty where another may open."""
    if found is None or found.closed or found.due(today):
        return ""
    left = found.planned - found.started
    return (
        f"Season {found.id} stays open: {left} of {found.planned} candidates may still start, and it closes on "
        f"{found.closes_on} (today is {today}). Only its length or its date end a season."
    )


def _print(found: SeasonFacts, today: str, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        print_json({**asdict(found), "bar": found.bar, "due": found.due(today)})
        return
    state = (
        "closed" if found.closed else f"due to close ({today})" if found.due(today) else f"open until {found.closes_on}"
    )
    click.echo(f"Season {found.id}, opened {found.opened_at}, {state}")
    click.echo(f"N  {found.planned:>6}  candidates planned")
    click.echo(f"t  {found.started:>6}  started")
    click.echo(f"R  {found.promotions:>6}  promoted")
    click.echo(f"α_t {found.level:>5.4g}  = {found.alpha:g}·(R + 1)/N, level of candidate {found.next_t}")
    click.echo(f"1/α_t {found.bar:>5.4g}  evidence E that a promotion needs")
    click.echo(f"It means: {found.meaning()}.")
    click.echo(f"Parked: {', '.join(found.parked) or 'none'}")

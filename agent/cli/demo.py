"""`agent demo`: the whole loop on the bundled solution."""

from __future__ import annotations

import os
import shlex
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from agent.cli.options import print_json

if TYPE_CHECKING:
    from agent.demo import Say


@click.command("demo")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where to make it.")
@click.option(
    "--environments",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the solution's and the rivals' packages are kept; default: your cache folder.",
)
@click.option("--cycles", type=click.IntRange(1), default=None, help="Stop after this many cycles.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")
def command(folder: Path, environments: Path | None, cycles: int | None, as_json: bool) -> int:
    """Run the whole loop on the bundled solution, in a new workspace.

    It needs no key and no GPU, and no network but to install its packages once.
    """
    from agent import demo
    from agent.cli.run import a_night
    from agent.night import Goal
    from agent.readers import Reader
    from sandbox.backends import choose

    say: Say = quiet if as_json else click.echo
    with TemporaryDirectory() as probe:
        choose(Path(probe))  # no isolation: exit 2 with the reasons, before anything is made or downloaded
    place = demo.new_place(folder, datetime.now().astimezone())
    say("The solution, the board and the three papers are ours, made for this demonstration.")
    say("The images are real, and the rivals' scores are measured here.")
    demo.prepare(place, environments or _cache(), say)
    started = time.monotonic()
    with demo.board(place) as address:
        say(f"The leaderboard is served at {address}")
        demo.write_workspace(place, address)
        say(f"Workspace: {place.workspace.root}\n")
        result = a_night(place.workspace, Goal(cycles=cycles), silent=as_json)
    reader = Reader(place.workspace)
    found = demo.summary(reader.history(), reader.accounts(), time.monotonic() - started)
    if as_json:
        print_json({**found, "workspace": str(place.workspace.root), "failed": result.failed})
    else:
        _print(found, place.workspace.root)
    return 1 if result.failed else 0


def _print(found: dict[str, Any], workspace: Path) -> None:
    minutes, seconds = divmod(int(found["wall_s"]), 60)
    click.echo(
        f"\nThe night is over after {minutes} min {seconds} s, {found['cycles']} cycles and {found['runs']} runs:"
    )
    click.echo(f"  {found['ended']}")
    before, after = found["rank_before"], found["rank_after"]
    if after is not None:
        score = "none" if found["test_score"] is None else f"{found['test_score']:.4f}"
        click.echo(f"  rank on Digits: #{before} before, #{after} after; test score {score}")
    for item in found["promoted"]:
        click.echo(f"  promoted {item['id']} {item['gain']:+.4f}  {item['title']}")
    click.echo(f"  {len(found['rejected'])} ideas were rejected, each with its reason:")
    for item in found["rejected"][:3]:
        click.echo(f"  rejected {item['id']}  {item['title']}: {item['reason']}")
    first = next((item["id"] for item in found["promoted"]), None)
    where = f"--workspace {shlex.quote(str(workspace))}"
    click.echo("\nNext:")
    if first is not None:
        click.echo(f'  agent ask "why was {first} promoted?" {where}')
        click.echo(f"  agent review {first} {where}")
    click.echo(f"  agent audit verify {where}")
    click.echo(f"  agent report digest {where}")


def quiet(line: str) -> None:
    """For `--json`, which prints one document and nothing else."""
    del line


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "auto-benchmark" / "digits"

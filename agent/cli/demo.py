"""`agent demo`: the whole loop on the bundled solution."""

from __future__ import annotations

import os
import shlex
import time
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from agent.cli.options import WEAK_AFTERWARDS, allows_weak_sandbox, print_json, warn_of_weak

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
@allows_weak_sandbox
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")
def command(folder: Path, environments: Path | None, cycles: int | None, allow_weak: bool, as_json: bool) -> int:
    """Run the whole loop on the bundled solution, in a new workspace.

    It ends when it is first or out of ideas. Where a season's candidates are used up before that, another night
    opens the next season. No idea is taken up after nine minutes. It needs no key and no GPU, and no network but to
    install its packages once.
    """
    from agent import demo
    from agent.cli.run import a_night
    from agent.night import Goal
    from agent.readers import Reader
    from sandbox.backends import choose
    from tools.repository import require_git

    require_git()
    say: Say = quiet if as_json else click.echo
    with TemporaryDirectory() as probe:
        # No isolation: exit 2 with the reasons, before anything is made or downloaded.
        sandbox = choose(Path(probe), allow_weak=allow_weak)
    warn_of_weak(sandbox, silent=as_json, places=False)
    place = demo.new_place(folder, datetime.now().astimezone())
    say("The solution, the board and the three papers are ours, made for this demonstration.")
    say("The images are real, and the rivals' scores are measured here.")
    demo.prepare(place, environments or _cache(), say)
    started = time.monotonic()
    with demo.board(place) as address:
        say(f"The leaderboard is served at {address}")
        demo.write_workspace(place, address)
        say(f"Workspace: {place.workspace.root}\n")
        until = datetime.now().astimezone() + timedelta(seconds=demo.TIME_S)
        nights = [a_night(place.workspace, Goal(cycles=cycles, until=until), silent=as_json, allow_weak=allow_weak)]
        reader = Reader(place.workspace)
        first = reader.history().night
        while demo.another_night(nights[-1], time.monotonic() - started):
            say(f"\n{nights[-1].night} is over: its season's candidates are used up, and ideas are left.")
            say("Another night opens the next one.\n")
            nights.append(a_night(place.workspace, Goal(until=until), silent=as_json, allow_weak=allow_weak))
    elapsed = time.monotonic() - started
    rank_before = first.rank_before.get(demo.BOARD) if first is not None else None
    found = demo.summary(reader.history(), reader.accounts(), nights, rank_before, elapsed)
    if as_json:
        print_json({**found, "workspace": str(place.workspace.root), "isolation": sandbox.isolation})
    else:
        _print(found, place.workspace.root, sandbox.isolation == "weak")
    return 1 if found["failed"] else 0


def _print(found: dict[str, Any], workspace: Path, weak: bool) -> None:
    minutes, seconds = divmod(int(found["wall_s"]), 60)
    nights = len(found["nights"])
    what = "The night is over" if nights == 1 else f"{nights} nights are over"
    click.echo(f"\n{what} after {minutes} min {seconds} s, {found['cycles']} cycles and {found['runs']} runs:")
    for night in found["nights"]:
        click.echo(f"  {night['id']} ended: {night['ended']}")
    before, after = found["rank_before"], found["rank_after"]
    if after is not None:
        score = "none" if found["test_score"] is None else f"{found['test_score']:.4f}"
        click.echo(f"  rank on Digits: #{before} before, #{after} after; test score {score}")
    for item in found["promoted"]:
        click.echo(f"  promoted {item['id']} {item['gain']:+.4f}  {item['title']}")
    rejected = found["rejected"]
    shown = rejected[:3]
    click.echo(f"  {len(rejected)} ideas were rejected, each with its reason; the first {len(shown)}:")
    for item in shown:
        click.echo(f"  rejected {item['id']}  {item['title']}: {item['reason']}")
    first = next((item["id"] for item in found["promoted"]), None)
    where = f"--workspace {shlex.quote(str(workspace))}"
    if weak:
        click.echo(WEAK_AFTERWARDS)
    click.echo("\nNext:")
    if first is not None:
        click.echo(f'  agent ask "why was {first} promoted?" {where}')
        click.echo(f"  agent review {first} {where}")
    click.echo(f"  agent audit verify {where}")
    click.echo(f"  agent report digest {where}")
    if found["ideas_left"]:
        click.echo(f"  agent run {where}{' --allow-weak-sandbox' if weak else ''}   # ideas are left")


def quiet(line: str) -> None:
    """For `--json`, which prints one document and nothing else."""
    del line


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "auto-benchmark" / "digits"

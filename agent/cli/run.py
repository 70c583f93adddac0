"""`agent run`: a night."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from agent.cli.options import WEAK_AFTERWARDS, allows_weak_sandbox, common, find_workspace, print_json, warn_of_weak

if TYPE_CHECKING:
    from agent.night import Goal, NightResult
    from agent.progress import Progress
    from agent.services import Services
    from agent.wiring import ResearcherName
    from registry.workspace import Workspace

REFUSED = 2
"""Exit status of a night that does not start, because the evaluator can be fooled."""
INTERRUPTED = 130
"""Exit status of a night that a person stopped."""


@click.command("run")
@click.option("--cycles", type=click.IntRange(1), default=None, help="Stop after this many cycles.")
@click.option("--until", default=None, metavar="HH:MM", help="Stop at this time of day (local).")
@click.option(
    "--forever", is_flag=True, help="Never stop by itself; wait for the schedule when there is nothing to do."
)
@click.option(
    "--null",
    is_flag=True,
    help="Try only candidates that change a comment or nothing: each promotion would be a false one. They take"
    " places in the season like any other, so use a copy of the workspace.",
)
@click.option(
    "--accept-evaluator",
    "accept",
    default=None,
    metavar="WHY",
    help="Start although the evaluator can be fooled; the reason is recorded, and later nights start too.",
)
@click.option(
    "--replay",
    "replayed",
    default=None,
    metavar="NIGHT",
    help="Go through a night (N-0002) again from its record and compare every decision. Nothing is run, asked or"
    " written; no other option of a night goes with it.",
)
@click.option(
    "--researcher",
    type=click.Choice(["llm", "offline"]),
    default=None,
    help="Who reads, proposes and writes patches: language models, or rules and search. As models.yaml says if left"
    " out, and offline without that file.",
)
@allows_weak_sandbox
@common
def command(
    cycles: int | None,
    until: str | None,
    forever: bool,
    null: bool,
    accept: str | None,
    researcher: ResearcherName | None,
    replayed: str | None,
    allow_weak: bool,
    workspace_dir: Path | None,
    as_json: bool,
) -> int:
    """Run the loop until first, out of ideas, out of budget or the season's end.

    Started again after a crash or Ctrl-C, it goes on where it was. Before the first night on an evaluator it is tried
    with answers that nobody worked for (`agent doctor --evaluator`).

    Exit status 1: the night failed, or its replay decides otherwise; 2: it does not start, because the evaluator can be
    fooled, or the record lacks what a replay needs.
    """
    if replayed is not None:
        if any((cycles, until, forever, null, accept is not None, researcher, allow_weak)):
            raise click.UsageError("--replay takes what the night was asked for from its record; leave the others out")
        return _replay(find_workspace(workspace_dir), replayed, as_json)

    from agent.night import Goal
    from sandbox.outputs import plain_text

    if sum(option is not None for option in (cycles, until)) + forever > 1:
        raise click.UsageError("at most one of --cycles, --until and --forever")
    if accept is not None and not (accept := " ".join(plain_text(accept, 500).split())):
        raise click.UsageError("--accept-evaluator needs a reason; it stays in the log")
    moment = _moment(until) if until else None
    goal = Goal(cycles=cycles, until=moment, forever=forever, null=null, accept_evaluator=accept or "")
    workspace = find_workspace(workspace_dir)
    result = a_night(workspace, goal, silent=as_json, allow_weak=allow_weak, researcher=researcher)
    report(workspace, result, as_json, null)
    return REFUSED if result.refused else 1 if result.failed else 0


def _replay(workspace: Workspace, night: str, as_json: bool) -> int:
    """Go through a recorded night; exit status 1 where it decides otherwise."""
    from agent.replay.replaying import as_document, as_text, replay

    found = replay(workspace, night)
    if as_json:
        print_json(as_document(found))
    else:
        click.echo(as_text(found))
    return 0 if found.same else 1


def a_night(
    workspace: Workspace,
    goal: Goal,
    silent: bool,
    name: str = "run",
    allow_weak: bool = False,
    researcher: ResearcherName | None = None,
) -> NightResult:
    """Run a night with live progress, Ctrl-C and all."""
    from agent import night
    from agent.wiring import open_services, utc_now
    from experiments.plans import Interrupted

    with ExitStack() as stack:
        progress = stack.enter_context(progress_on(silent))
        services = stack.enter_context(
            open_services(workspace, progress, f"agent {name}", utc_now, goal.null, allow_weak, researcher)
        )
        warn_of_weak(services.sandbox, silent)
        stack.enter_context(stopping(services))
        try:
            return night.run(services, goal)
        except (Interrupted, KeyboardInterrupt) as error:
            how = "at a safe point" if isinstance(error, Interrupted) else "at once"
            null = " --null" if goal.null and not goal.only else ""
            weak = " --allow-weak-sandbox" if allow_weak else ""
            asks = f" --researcher {researcher}" if researcher else ""
            _interrupted(services, workspace, how, f"agent {name}{null}{weak}{asks}", silent)
            raise click.exceptions.Exit(INTERRUPTED) from error


def _interrupted(services: Services, workspace: Workspace, how: str, command: str, silent: bool) -> None:
    """That the night was stopped and how to go on: a line, or the one document of `--json`."""
    go_on = f"{command} --workspace {shlex.quote(str(workspace.root))}"
    night = services.history.night
    if silent:
        print_json(
            {
                "interrupted": True,
                "night": night.id if night is not None else "",
                "cycles": night.cycles if night is not None else 0,
                "runs": night.runs if night is not None else 0,
                "go_on": go_on,
                "workspace": str(workspace.root),
            }
        )
    else:
        services.progress.say(f"Stopped {how}. Go on with: {go_on}")


def report(workspace: Workspace, result: NightResult, as_json: bool, null: bool = False) -> None:
    """What the night came to."""
    if as_json:
        print_json(
            {
                "night": result.night,
                "reason": result.reason,
                "cycles": result.cycles,
                "runs": result.runs,
                "promoted": list(result.promoted),
                "failed": result.failed,
                "refused": result.refused,
                "null": null,
                "isolation": result.isolation,
                "workspace": str(workspace.root),
            }
        )
        return
    promoted = ", ".join(result.promoted) or "nothing"
    click.echo(f"{result.night} ended: {result.reason}")
    click.echo(f"{result.cycles} cycles, {result.runs} runs, promoted: {promoted}")
    if result.isolation == "weak":
        click.echo(WEAK_AFTERWARDS)
    if null:
        false = len(result.promoted)
        click.echo(f"A null night: no candidate changed more than a comment, so {false} of its promotions are false.")


@contextmanager
def progress_on(silent: bool) -> Iterator[Progress]:
    """A live status on a terminal, lines in a pipe, nothing for `--json`."""
    from agent.progress import Lines, Live, Silent

    if silent:
        yield Silent()
    elif sys.stdout.isatty():
        from rich.console import Console

        with Live(Console()) as live:
            yield live
    else:
        yield Lines(click.echo)


@contextmanager
def stopping(services: Services) -> Iterator[None]:
    """First Ctrl-C: stop at a safe point, which a question to the outside is. Second: at once (nothing is lost)."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        again = services.cancel.is_set()
        services.cancel.set()
        if again or services.asking:
            raise KeyboardInterrupt
        services.progress.say("Stopping: what is running is ended and will start again. Ctrl-C once more: at once.")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _moment(text: str) -> datetime:
    now = datetime.now().astimezone()
    try:
        clock = datetime.strptime(text, "%H:%M")  # noqa: DTZ007  (a time of day gets today's date and zone below)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time of day such as 06:30", param_hint="--until") from None
    moment = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
    return moment if moment > now else moment + timedelta(days=1)

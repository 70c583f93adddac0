"""`agent doctor`: what a night needs, checked, with what mends each thing."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from agent.cli.options import allows_weak_sandbox, common, find_workspace, print_json, warn_of_weak

if TYPE_CHECKING:
    from rich.console import Console

    from agent.doctor.checkup import Wish
    from agent.doctor.findings import Finding, Status
    from registry.workspace import Workspace

STYLES: dict[Status, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command("doctor")
@click.option("--no-baseline", is_flag=True, help="Do not run the solution itself.")
@click.option("--noise", is_flag=True, help="Measure production against itself; keeps its runs and what they say.")
@click.option(
    "--evaluator",
    is_flag=True,
    help="Try what the evaluator gives for answers that nobody worked for; keeps the table.",
)
@click.option("--seeds", type=click.IntRange(5, 64), default=None, help="Seeds of --noise.  [default: 12]")
@allows_weak_sandbox
@common
def command(
    noise: bool,
    evaluator: bool,
    seeds: int | None,
    no_baseline: bool,
    allow_weak: bool,
    workspace_dir: Path | None,
    as_json: bool,
) -> int:
    """Check what a night needs, and say what mends each thing.

    Runs the solution itself too: a fast run, then three full ones. Changes nothing and keeps no results. Exit status
    0: nothing failed; 1: something did; 2: a file of the workspace must be mended.

    With --noise it measures instead how much production's metric and costs vary, what that means for the season and
    which policy suits. Those runs are recorded in the log and paid once; no verdict ever reads them.

    With --evaluator it tries empty, constant, shuffled, halved, doubled and nonsensical answers, claimed scores, and
    whether the labels can be read where a candidate runs. Exit status 1: a cheat is worth at least what production is,
    or labels can be read. The next night goes by what was found.
    """
    if evaluator:
        if noise or no_baseline or seeds is not None:
            raise click.UsageError("--evaluator goes with --allow-weak-sandbox, --workspace and --json only")
        return _evaluator(find_workspace(workspace_dir), allow_weak, as_json)
    if noise:
        if no_baseline:
            raise click.UsageError("--noise runs production, and --no-baseline does not")
        return _noise(find_workspace(workspace_dir), seeds, allow_weak, as_json)
    if seeds is not None:
        raise click.UsageError("--seeds goes with --noise")
    return _check(no_baseline, allow_weak, workspace_dir, as_json)


def _noise(workspace: Workspace, seeds: int | None, allow_weak: bool, as_json: bool) -> int:
    """Measure, then one screen or one document."""
    from agent.cli.run import progress_on, stopping
    from agent.doctor import noise, noise_report
    from agent.wiring import open_services

    with (
        progress_on(as_json) as progress,
        open_services(
            workspace, progress, "agent doctor --noise", allow_weak=allow_weak, researcher="offline"
        ) as services,
    ):
        warn_of_weak(services.sandbox, as_json, places=False)
        with stopping(services):
            found = noise.measure(services, seeds or noise.SEEDS, progress.say)
        target = services.target
    if as_json:
        print_json(noise_report.document(found, target))
        return 0
    for line in noise_report.lines(found, target):
        click.echo(_plain(line))
    return 0


def _evaluator(workspace: Workspace, allow_weak: bool, as_json: bool) -> int:
    """Try the cheats; a line for each, or one document."""
    from agent.cli.run import progress_on, stopping
    from agent.doctor import evaluator
    from agent.doctor.findings import exit_status
    from agent.wiring import open_services

    name = "agent doctor --evaluator"
    with (
        progress_on(as_json) as progress,
        open_services(workspace, progress, name, allow_weak=allow_weak, researcher="offline") as services,
        stopping(services),
    ):
        findings, table = evaluator.examine(services, progress.say)
    status = exit_status(findings)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        print_json({"workspace": str(workspace.root), "table": table, "findings": rows, "status": status})
        return status
    for finding in findings:
        _print_line(finding)
    click.echo(_sum(findings))
    return status


def _check(no_baseline: bool, allow_weak: bool, workspace_dir: Path | None, as_json: bool) -> int:
    from agent.doctor.checkup import Wish
    from agent.doctor.findings import exit_status
    from registry.errors import BadInput
    from registry.workspace import Workspace

    workspace, trouble = None, None
    try:
        workspace = find_workspace(workspace_dir)
    except BadInput as error:
        trouble = error
        if workspace_dir is not None and workspace_dir.is_dir():
            workspace = Workspace(workspace_dir.absolute())
    cancel = threading.Event()
    wish = Wish(workspace, trouble, not no_baseline, allow_weak, cancel=cancel)
    with _stopping(cancel):
        findings = _collected(wish) if as_json else _shown(wish)
    status = exit_status(findings)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        print_json({"workspace": str(workspace.root) if workspace else None, "findings": rows, "status": status})
    return status


def _collected(wish: Wish) -> list[Finding]:
    from agent.doctor.checkup import examine

    return list(examine(wish))


def _shown(wish: Wish) -> list[Finding]:
    """Each finding as it comes: a table's rows on a terminal, plain lines in a pipe; then the sum."""
    from agent.doctor.checkup import examine

    findings = []
    if sys.stdout.isatty():
        from dataclasses import replace

        from rich.console import Console

        console = Console(highlight=False)
        with console.status("looking") as status:
            for finding in examine(replace(wish, tell=status.update)):
                findings.append(finding)
                _print_row(console, finding)
    else:
        for finding in examine(wish):
            findings.append(finding)
            _print_line(finding)
    click.echo(_sum(findings))
    return findings


def _print_row(console: Console, finding: Finding) -> None:
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 2))
    row.add_column(width=4, no_wrap=True)
    row.add_column(width=25)
    row.add_column(ratio=1, overflow="fold")
    found = Text(_plain(finding.found))
    if finding.fix:
        found.append(f"\n→ {_plain(finding.fix)}", style="cyan")
    row.add_row(Text(finding.status, style=STYLES[finding.status]), Text(_plain(finding.check)), found)
    console.print(row)


def _print_line(finding: Finding) -> None:
    first, *rest = _plain(finding.found).splitlines() or [""]
    click.echo(f"{finding.status:4s}  {_plain(finding.check)}: {first}")
    for line in rest:
        click.echo(f"      | {line}")
    if finding.fix:
        click.echo(f"      -> {_plain(finding.fix)}")


def _sum(findings: list[Finding]) -> str:
    counts = {status: sum(one.status == status for one in findings) for status in ("ok", "warn", "fail")}
    verdict = "nothing failed" if not counts["fail"] else f"{counts['fail']} failed"
    warned = f", {counts['warn']} to look at" if counts["warn"] else ""
    return f"{len(findings)} checks: {verdict}{warned}."


def _plain(text: str) -> str:
    from sandbox.outputs import plain_text

    return plain_text(text, 4000)


@contextmanager
def _stopping(cancel: threading.Event) -> Iterator[None]:
    """Ctrl-C ends what runs and cleans up; twice ends at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

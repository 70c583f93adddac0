"""`agent experiment H-042`: one hypothesis to its verdict."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.options import allows_weak_sandbox, common, find_workspace


@click.command("experiment")
@click.argument("hypothesis")
@allows_weak_sandbox
@common
def command(hypothesis: str, allow_weak: bool, workspace_dir: Path | None, as_json: bool) -> int:
    """Take one queued hypothesis to its verdict. Exit status 0: promoted; 1: not; 2: the evaluator can be fooled."""
    from agent.cli.run import REFUSED, a_night, report
    from agent.night import Goal
    from agent.readers import Reader

    workspace = find_workspace(workspace_dir)
    reader = Reader(workspace)
    null = reader.account(hypothesis).hypothesis.strategy == "null"
    goal = Goal(only=hypothesis, null=null)
    result = a_night(workspace, goal, silent=as_json, name=f"experiment {hypothesis}", allow_weak=allow_weak)
    report(workspace, result, as_json)
    if result.refused:
        return REFUSED
    account = reader.account(hypothesis)
    if not as_json:
        click.echo(f"{hypothesis} {account.status}: {account.reason}")
    return 0 if account.status == "promoted" else 1

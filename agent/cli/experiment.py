"""`agent experiment H-042`: one hypothesis to its verdict."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.options import common, find_workspace


@click.command("experiment")
@click.argument("hypothesis")
@common
def command(hypothesis: str, workspace_dir: Path | None, as_json: bool) -> int:
    """Take one queued hypothesis to its verdict. Exit status 0: promoted; 1: not; 2: the evaluator can be fooled."""
    from agent.cli.run import REFUSED, a_night, report
    from agent.night import Goal
    from agent.readers import Reader

    workspace = find_workspace(workspace_dir)
    reader = Reader(workspace)
    null = reader.account(hypothesis).hypothesis.strategy == "null"
    result = a_night(workspace, Goal(only=hypothesis, null=null), silent=as_json, name=f"experiment {hypothesis}")
    report(workspace, result, as_json)
    if result.refused:
        return REFUSED
    account = reader.account(hypothesis)
    if not as_json:
        click.echo(f"{hypothesis} {account.status}: {account.reason}")
    return 0 if account.status == "promoted" else 1

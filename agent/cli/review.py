"""`agent review [H-042]`: the pull request of a promotion."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.options import common, find_workspace, print_json, show


@click.command("review")
@click.argument("hypothesis", required=False)
@common
def command(hypothesis: str | None, workspace_dir: Path | None, as_json: bool) -> int:
    """Show the pull request of a promotion; without an id, list the promotions to review."""
    from agent import review
    from agent.readers import Reader

    workspace = find_workspace(workspace_dir)
    reader = Reader(workspace)
    if hypothesis is None:
        promoted = [account for account in reader.accounts().values() if account.promoted is not None]
        if as_json:
            print_json([{"id": a.hypothesis.id, "title": a.hypothesis.title, "gain": a.gain} for a in promoted])
            return 0
        for account in promoted:
            click.echo(f"{account.hypothesis.id}  {account.gain:+.4f}  {account.hypothesis.title}")
        if not promoted:
            click.echo("Nothing was promoted, so there is nothing to review.")
        return 0
    account = reader.account(hypothesis)
    path = review.path_of(workspace, hypothesis)
    if account.promoted is None or not path.is_file():
        click.echo(f"{hypothesis} is {account.status}, so it has no pull request. {account.reason}".strip())
        return 1
    if as_json:
        print_json(
            {"id": hypothesis, "file": str(path), "branch": account.promoted.data["branch"], "text": path.read_text()}
        )
    else:
        show(path.read_text())
        click.echo(f"\n{path}")
    return 0

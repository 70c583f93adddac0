"""`agent review [H-042]`: the pull request of a promotion, and a person's word on what is held."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.options import common, find_workspace, print_json, show

if TYPE_CHECKING:
    from agent.account import Account
    from registry.workspace import Workspace


@click.command("review")
@click.argument("hypothesis", required=False)
@click.option("--release", "release", default=None, metavar="WHY", help="Let a held candidate go on; say why.")
@click.option("--reject", "reject", default=None, metavar="WHY", help="Archive a held candidate; say why.")
@common
def command(
    hypothesis: str | None, release: str | None, reject: str | None, workspace_dir: Path | None, as_json: bool
) -> int:
    """Show the pull request of a promotion; without an id, list the promotions to review and what is held.

    A candidate is held where its result is too good to be believed (docs/gate.md). Look at its patch, then release or
    reject it. What is released is judged again when the next night starts, on the same runs.
    """
    workspace = find_workspace(workspace_dir)
    if release is not None or reject is not None:
        return _word(workspace, hypothesis, release, reject, as_json)
    from agent.readers import Reader

    reader = Reader(workspace)
    if hypothesis is None:
        return _list(list(reader.accounts().values()), as_json)
    return _one(workspace, reader.account(hypothesis), as_json)


def _word(workspace: Workspace, hypothesis: str | None, release: str | None, reject: str | None, as_json: bool) -> int:
    """Record what a person says to a held candidate."""
    from agent import releasing
    from sandbox.outputs import plain_text

    if hypothesis is None or (release is not None and reject is not None):
        raise click.UsageError("one of --release and --reject, with the id of what is held")
    words = " ".join(plain_text(release if release is not None else reject or "", 500).split())
    if not words:
        raise click.UsageError("a reason is needed; it stays in the log")
    event = (releasing.release if release is not None else releasing.reject)(workspace, hypothesis, words)
    if as_json:
        print_json({"id": hypothesis, "said": event.kind, "reason": event.reason, "event": event.seq})
    elif release is not None:
        click.echo(f"{hypothesis} released (event {event.seq}): the next `agent run` judges it again, on the same runs")
    else:
        click.echo(f"{hypothesis} archived: {event.reason} (event {event.seq})")
    return 0


def _list(accounts: list[Account], as_json: bool) -> int:
    promoted = [account for account in accounts if account.promoted is not None]
    held = [account for account in accounts if account.held]
    if as_json:
        rows = [{"id": a.hypothesis.id, "title": a.hypothesis.title, "gain": a.gain, "held": False} for a in promoted]
        rows += [
            {"id": a.hypothesis.id, "title": a.hypothesis.title, "gain": None, "held": True, "why": a.reason}
            for a in held
        ]
        print_json(rows)
        return 0
    for account in promoted:
        click.echo(f"{account.hypothesis.id}  {account.gain:+.4f}  {account.hypothesis.title}")
    for account in held:
        released = " (released; judged again by the next night)" if account.released is not None else ""
        click.echo(f"{account.hypothesis.id}  held     {account.hypothesis.title}{released}")
    if not promoted and not held:
        click.echo("Nothing was promoted, so there is nothing to review.")
    return 0


def _one(workspace: Workspace, account: Account, as_json: bool) -> int:
    from agent import review

    name = account.hypothesis.id
    path = review.path_of(workspace, name)
    if account.held:
        return _held(workspace, account, as_json)
    if account.promoted is None or not path.is_file():
        click.echo(f"{name} is {account.status}, so it has no pull request. {account.reason}".strip())
        return 1
    if as_json:
        print_json({"id": name, "file": str(path), "branch": account.promoted.data["branch"], "text": path.read_text()})
    else:
        show(path.read_text())
        click.echo(f"\n{path}")
    return 0


def _held(workspace: Workspace, account: Account, as_json: bool) -> int:
    """Why it is held, where its patch is, and what a person can say."""
    name, results = account.hypothesis.id, workspace.results_of(account.hypothesis.id)
    branch = str(account.patch.data["branch"]) if account.patch is not None else ""
    released = account.released is not None
    if as_json:
        print_json(
            {
                "id": name,
                "held": True,
                "released": released,
                "why": account.reason,
                "branch": branch,
                "patch": str(results.patch),
            }
        )
        return 0
    click.echo(f"{name}: {account.hypothesis.title}")
    click.echo(account.reason)
    click.echo(f"Its change: branch {branch}, {results.patch}; its evidence: `agent gate {name}`")
    if released:
        click.echo("It is released: the next `agent run` judges it again, on the same runs.")
    else:
        click.echo(f"Then: `agent review {name} --release WHY`, or `agent review {name} --reject WHY`.")
    return 0

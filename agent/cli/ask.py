"""`agent ask "…"`: a question, answered from the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.options import common, find_workspace, print_json

if TYPE_CHECKING:
    from agent.answers.explained import Explained
    from agent.ask import Answer
    from registry.workspace import Workspace


@click.command("ask")
@click.argument("question", nargs=-1, required=True)
@click.option(
    "--explain",
    is_flag=True,
    help="Have the model of `models.yaml` put the facts into words; a statement is shown only where the events it names"
    " hold every number in it. The call is recorded and charged.",
)
@common
def command(question: tuple[str, ...], explain: bool, workspace_dir: Path | None, as_json: bool) -> int:
    """Answer a question from the audit log; every fact carries the number of its event.

    For example: why was H-003 promoted? what is production now? what is our rank? what is next? which ideas about
    dropout were tried? what happened last night? Exit status 1: the log has no record of it.
    """
    from agent.ask import answer
    from agent.readers import Reader

    workspace = find_workspace(workspace_dir)
    found = answer(Reader(workspace), " ".join(question))
    words, why_not = _explained(workspace, found) if explain and found.found else (None, "")
    if as_json:
        document: dict[str, object] = {
            "question": found.question,
            "kind": found.kind,
            "answer": found.text,
            "events": list(found.events),
        }
        if explain:
            document["explanation"] = None if words is None else [str(sentence) for sentence in words.sentences]
            document["explanation_refused"] = 0 if words is None else words.refused
            document["explanation_by"] = "" if words is None else words.by
            document["no_explanation"] = why_not
        print_json(document)
        return 0 if found.found else 1
    if words is not None:
        _show(words)
    elif why_not:
        click.echo(f"No explanation: {why_not}\n")
    click.echo(found.text)
    return 0 if found.found else 1


def _show(words: Explained) -> None:
    from agent.answers.sentences import safe

    if words.sentences:
        click.echo(f"In the words of {safe(words.by, 100)}; the facts are below:")
    else:
        click.echo("The model gave no statement that the log bears out; the facts are below:")
    for sentence in words.sentences:
        click.echo(f"  {sentence}")
    if words.refused:
        click.echo(f"  ({words.refused} left out: a number or an event in it is not what the log says)")
    click.echo()


def _explained(workspace: Workspace, found: Answer) -> tuple[Explained | None, str]:
    """The model's words, or why there are none: the facts are an answer without them."""
    from agent.answers.explained import explained
    from agent.asking import open_model
    from agent.llm.contract import BudgetSpent, EndpointDown, NoReply

    with open_model(workspace) as model:
        try:
            return explained(model, found.question, found.sentences), ""
        except (NoReply, BudgetSpent, EndpointDown) as error:
            return None, str(error)

"""`agent ask "…"`: a question, answered from the log."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.options import common, find_workspace, print_json


@click.command("ask")
@click.argument("question", nargs=-1, required=True)
@common
def command(question: tuple[str, ...], workspace_dir: Path | None, as_json: bool) -> int:
    """Answer a question from the audit log; every fact carries the number of its event.

    For example: why was H-003 promoted? what is production now? what is our rank? what is next? which ideas about
    dropout were tried? what happened last night? Exit status 1: the log has no record of it.
    """
    from agent.ask import answer
    from agent.readers import Reader

    found = answer(Reader(find_workspace(workspace_dir)), " ".join(question))
    if as_json:
        print_json({"question": found.question, "kind": found.kind, "answer": found.text, "events": list(found.events)})
    else:
        click.echo(found.text)
    return 0 if found.found else 1

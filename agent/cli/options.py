"""Options that every command shares, and printing that suits a person, a pipe and `--json` alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from registry.workspace import Workspace

if TYPE_CHECKING:
    from sandbox.contract import Sandbox

Function = TypeVar("Function", bound=Callable[..., Any])

WEAK = "weak sandbox: nothing will be promoted"
WEAK_AFTERWARDS = "Weak sandbox: nothing could be promoted."


def common(function: Function) -> Function:
    """`--workspace DIR`, `--json` and `--debug`."""
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option(
            "--workspace",
            "workspace_dir",
            type=click.Path(path_type=Path, file_okay=False),
            default=None,
            help="The workspace; default: the one this folder is in or beside.",
        ),
    ):
        function = option(function)
    return function


def allows_weak_sandbox(function: Function) -> Function:
    """`--allow-weak-sandbox`, for the commands that run somebody's code."""
    return click.option(
        "--allow-weak-sandbox",
        "allow_weak",
        is_flag=True,
        help="Where no sandbox isolates fully, run in one that is weaker, to try things out: nothing will be promoted.",
    )(function)


def warn_of_weak(sandbox: Sandbox, silent: bool, places: bool = True) -> None:
    """Said before anything is run, on stderr where stdout is one document; nothing where the sandbox is full.

    `places`: whether what is tried takes places in the season.
    """
    if sandbox.isolation != "weak":
        return
    cost = (
        ". What is tried is archived and takes places in the season, so use a copy of the workspace" if places else ""
    )
    click.echo(f"[ALERT] {WEAK} ({sandbox.name}){cost}.", err=silent)


def find_workspace(given: Path | None) -> Workspace:
    """The workspace that was named, or the one this folder belongs to."""
    return Workspace.find(Path.cwd(), given)


def print_json(value: Any) -> None:
    """One document, sorted, with every character as it is."""
    click.echo(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str))


def show(text: str) -> None:
    """Text for people: Markdown is laid out on a terminal and left as it is in a pipe."""
    import sys

    if not sys.stdout.isatty():
        click.echo(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))

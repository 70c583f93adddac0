"""Every `agent …` line of the documentation is one that the program accepts. Nothing is run."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from markdown_files import GUIDES, ROOT, code

from agent.cli.main import agent

SHELL = {"span", "sh", "bash", "console"}


def quoted(path: Path) -> Iterator[list[str]]:
    """The words after `agent` of every command line in a file; a span that only names a command is none."""
    for piece in code(path):
        if piece.language not in SHELL:
            continue
        for line in piece.text.splitlines():
            for part in line.removeprefix("$ ").split(" && "):
                words = _words(part)
                if words and not (piece.language == "span" and is_name(words[1:])):
                    yield words[1:]


def names(path: Path) -> Iterator[list[str]]:
    """The words of every span that names a command and gives it nothing, such as `agent ask`."""
    for piece in code(path):
        words = _words(piece.text) if piece.language == "span" else []
        if words and is_name(words[1:]):
            yield words[1:]


def is_name(words: list[str]) -> bool:
    """Whether the words are no more than a command's name could be."""
    return len(words) <= 2 and all(word.isalpha() and word.islower() for word in words)


def _words(text: str) -> list[str]:
    if not text.startswith(("agent ", ".venv/bin/agent ")):
        return []
    return shlex.split(text, comments=True)


def parse(words: list[str]) -> None:
    """Raises click's complaint where the program would refuse the words."""
    command, context, rest = find(words)
    with contextlib.suppress(click.exceptions.Exit):  # `--help` and `--version` end the parsing
        command.make_context(command.name, rest, parent=context.parent, **command.context_settings)


def find(words: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    """The command that the words start with, its context, and the words that it is given."""
    command: click.Command = agent
    rest = list(words)
    context = click.Context(agent, info_name="agent", obj={}, **agent.context_settings)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name!r}")
        command, context = found, click.Context(found, info_name=name, parent=context, obj={})
    return command, context, rest


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_quoted_command_lines_are_accepted(path: Path) -> None:
    for words in quoted(path):
        try:
            parse(words)
        except click.ClickException as refusal:
            pytest.fail(f"agent {shlex.join(words)}: {refusal.format_message()}")


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_that_are_named_exist(path: Path) -> None:
    for words in names(path):
        assert find(words)[2] == [], f"agent {shlex.join(words)}"


def test_the_lines_of_the_first_screen_are_seen() -> None:
    found = [words[0] for words in quoted(ROOT / "README.md")]
    assert {"ask", "review", "audit", "report", "init", "doctor", "run", "queue", "experiment"} <= set(found)


@pytest.mark.parametrize(
    "words", [["nothing"], ["run", "--cycle", "3"], ["audit", "prove"], ["run", "--cycles", "many"], ["gate"]]
)
def test_what_the_program_refuses_is_noticed(words: list[str]) -> None:
    with pytest.raises(click.ClickException):
        parse(words)


def test_the_readme_starts_with_what_to_do() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    first = "\n".join(lines[:60])
    commands = ("agent ask", "agent review", "agent audit verify", "agent report digest")
    for said in ("git clone", "make demo", "make test", *commands):
        assert said in first

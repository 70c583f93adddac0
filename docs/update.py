"""Writes the generated parts of the documentation anew, or checks that they are what the code says.

Run by people after a change (`.venv/bin/python docs/update.py`) and by tests/test_docs_generated.py. A generated part
stands between `<!-- generated: name -->` and `<!-- end of generated: name -->`; everything else is left as it is.
With `--check` nothing is written, and the exit status is 1 where something differs.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

COLUMNS = "80"
"""Width of the terminal that the help is shown for."""
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end of generated: \2 -->)", re.DOTALL)


# -- commands -----------------------------------------------------------------------------------------------


def helps() -> str:
    """What every command answers to `--help`, each under a heading of its own."""
    from click.testing import CliRunner

    from agent.cli.main import agent

    runner = CliRunner(env={"COLUMNS": COLUMNS})
    parts = []
    for words in command_lines():
        width = int(COLUMNS) - 2  # click's margin; its runner would take the whole width
        answer = runner.invoke(agent, [*words, "--help"], prog_name="agent", obj={}, terminal_width=width)
        if answer.exit_code != 0:
            raise SystemExit(f"agent {' '.join(words)} --help: exit status {answer.exit_code}\n{answer.output}")
        parts.append(f"## {' '.join(('agent', *words))}\n\n```text\n{answer.output.rstrip()}\n```\n")
    return "\n".join(parts)


def command_lines() -> Iterator[tuple[str, ...]]:
    """The words of every command after `agent`: the program, each group, each command, in the order of the help."""
    import click

    from agent.cli.main import agent

    def walk(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                if (inner := command.get_command(context, name)) is not None:
                    yield from walk(inner, (*words, name))

    return walk(agent, ())


# -- the graph ----------------------------------------------------------------------------------------------


def cycle() -> str:
    """One cycle, as the graph that runs it."""
    from agent.graph import mermaid

    return f"```mermaid\n{mermaid()}```\n"


# -- the packages -------------------------------------------------------------------------------------------


def package_diagram() -> str:
    """Which package imports which, as the code does today; the layers give the order."""
    order = _layered()
    edges = [(name, other) for name in order for other in order if other != name and other in _imported(name)]
    lines = ["flowchart TD", *(f"    {name} --> {other}" for name, other in edges)]
    lines += [f"    {name}" for name in order if all(name not in edge for edge in edges)]
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def _imported(package: str) -> set[str]:
    """Top-level names that the modules of a package import."""
    found: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
    return found


def package_table() -> str:
    """Each package, what it is for in its own words, and the libraries that only it may import."""
    rows = ["| package | what it does | libraries that no other package imports |", "|---|---|---|"]
    owned = _owned()
    for name in _layered():
        libraries = ", ".join(f"`{library}`" for library in sorted(owned.get(name, ()))) or "–"
        rows.append(f"| `{name}` | {_purpose(name)} | {libraries} |")
    return "\n".join(rows) + "\n"


def _contracts() -> list[dict[str, list[str]]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(settings["tool"]["importlinter"]["contracts"])


def _layered() -> list[str]:
    """The packages from the top down, as the layers contract has them."""
    layers = next(contract["layers"] for contract in _contracts() if "layers" in contract)
    return [name for layer in layers for name in layer.split(" | ")]


def _owned() -> dict[str, set[str]]:
    """Package → libraries that a contract forbids to every other package and not to it."""
    packages = set(_layered())
    owned: dict[str, set[str]] = {}
    for contract in _contracts():
        sources = set(contract.get("source_modules", ()))
        if sources <= packages and len(packages - sources) == 1:
            (owner,) = packages - sources
            owned.setdefault(owner, set()).update(set(contract["forbidden_modules"]) - packages)
    return owned


def _purpose(package: str) -> str:
    import importlib

    text = (importlib.import_module(package).__doc__ or "").split("\n\n")[0]
    return " ".join(text.split())


# -- evidence as a file -------------------------------------------------------------------------------------


def evidence_schema() -> str:
    """The JSON schema of an evidence file."""
    import json

    from registry.evidence_file import EvidenceFile

    return json.dumps(EvidenceFile.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def evidence_keys() -> str:
    """Every key of an evidence file by section, with its default and its meaning."""
    from registry import evidence_file

    sections = [
        (kind.__name__, kind)
        for kind in vars(evidence_file).values()
        if isinstance(kind, type) and issubclass(kind, evidence_file.Section) and kind is not evidence_file.Section
    ]
    rows = ["| where | key | default | meaning |", "|---|---|---|---|"]
    for name, kind in reversed(sections):
        for key, field in kind.model_fields.items():
            value = field.get_default(call_default_factory=True)
            default = "needed" if field.is_required() else f"`{_shown_default(value)}`"
            rows.append(f"| {_WHERE.get(name, name)} | `{key}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


_WHERE = {
    "EvidenceFile": "the file",
    "ItemFacts": "`items`",
    "ReadmissionFacts": "`readmission`",
    "Seeds": "`seeds`",
    "PairFacts": "a pair",
    "RunFacts": "a run",
    "Arms": "`arms`",
    "ArmFacts": "an arm",
    "SeasonPlace": "`season`",
    "PolicyChoice": "`policy`",
}


def _shown_default(value: object) -> str:
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return "its defaults"
    return {"": '""', "None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


# -- writing ------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], str]] = {
    "helps": helps,
    "cycle": cycle,
    "package-diagram": package_diagram,
    "package-table": package_table,
    "evidence-keys": evidence_keys,
}
FILES = ("ARCHITECTURE.md", "docs/commands.md", "docs/evidence.md")
WHOLE: dict[str, Callable[[], str]] = {"docs/evidence.schema.json": evidence_schema}
"""Files that are generated from their first line to their last."""


def expected(path: Path) -> str:
    """A file's text with every generated part as the code has it now."""
    if path.is_relative_to(ROOT) and (whole := WHOLE.get(path.relative_to(ROOT).as_posix())) is not None:
        return whole()
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", path.read_text(encoding="utf-8"))


def stale() -> list[Path]:
    """Files whose generated parts are not what the code says."""
    paths = [ROOT / name for name in (*FILES, *WHOLE)]
    return [path for path in paths if not path.is_file() or path.read_text(encoding="utf-8") != expected(path)]


def main(words: list[str]) -> int:
    if words not in ([], ["--check"]):
        sys.stderr.write("usage: python docs/update.py [--check]\n")
        return 2
    found = stale()
    for path in found:
        sys.stdout.write(f"{path.relative_to(ROOT)} {'is stale' if words else 'rewritten'}\n")
        if not words:
            path.write_text(expected(path), encoding="utf-8")
    return 1 if words and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

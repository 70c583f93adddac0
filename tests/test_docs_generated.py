"""The generated parts of the documentation are what the program says today."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from markdown_files import ROOT

from agent.graph import mermaid


@pytest.fixture(scope="module")
def update() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_update", ROOT / "docs" / "update.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_what_the_code_says() -> None:
    """In a process of its own: click keeps a command's help option from the first time it is asked for."""
    check = subprocess.run([sys.executable, "docs/update.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert (check.returncode, check.stdout, check.stderr) == (0, "", ""), "run `.venv/bin/python docs/update.py`"


def test_every_file_with_generated_parts_is_checked(update: ModuleType) -> None:
    marked = {
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        if "<!-- generated: " in path.read_text(encoding="utf-8")
    }
    assert marked == set(update.FILES)


def test_a_part_that_is_stale_is_found(update: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "ARCHITECTURE.md"
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    path.write_text(text.replace("    experiment --> judge\n", ""), encoding="utf-8")
    assert "    experiment --> judge\n" not in path.read_text(encoding="utf-8")
    assert update.expected(path) == text


def test_the_diagram_of_a_cycle_is_the_graph_that_runs(update: ModuleType) -> None:
    assert f"```mermaid\n{mermaid()}```" in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_every_command_has_its_help_as_a_process_prints_it(update: ModuleType) -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    start = "from agent.cli.main import main; main()"
    for words in [("--help",), ("gate", "--help")]:
        printed = subprocess.run(
            [sys.executable, "-c", start, *words],
            cwd=ROOT,
            env={"COLUMNS": update.COLUMNS, "PATH": "", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"```text\n{printed.rstrip()}\n```" in page
    assert {f"agent {' '.join(words)}".strip() for words in update.command_lines()} == {
        line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")
    }


def test_the_readme_counts_the_import_contracts_that_there_are() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    count = len(settings["tool"]["importlinter"]["contracts"])
    assert f"Contracts: {count} kept, 0 broken." in (ROOT / "README.md").read_text(encoding="utf-8")

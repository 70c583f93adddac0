"""The command line answers at once because it loads nothing heavy before a command needs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "langgraph",
    "langchain",
    "langchain_core",
    "langchain_openai",
    "langchain_community",
    "openai",
    "scipy",
    "numpy",
    "torch",
    "docker",
    "git",
    "arxiv",
    "pypdf",
    "optuna",
    "lxml",
    "httpx",
    "rich",
    "pydantic",
    "ruamel",
)
HELP = (
    "from agent.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
)
SAY = "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"


def _loaded(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", program + SAY],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize("program", ["import agent.cli.main\n", HELP], ids=["import", "help"])
def test_help_loads_no_heavy_library(program: str) -> None:
    loaded = _loaded(program)
    assert {"agent", "click"} <= loaded
    assert sorted(loaded & set(HEAVY)) == []


def test_the_guard_sees_a_heavy_library_that_is_loaded() -> None:
    assert "rich" in _loaded("import rich.text\n")

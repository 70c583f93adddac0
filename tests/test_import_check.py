"""Whether changed modules can be imported: in the real sandbox, by the solution's interpreter, held against before."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tiny_solution import Tiny, build, real_sandbox

from experiments import import_check
from experiments.import_check import ImportCheck, check, speaks_python
from experiments.plans import Interrupted
from registry.documents import load_target
from registry.errors import Retryable
from sandbox.contract import Outcome, RunSpec

FILES = {
    "src/pkg/__init__.py": "",
    "src/pkg/layers.py": "WIDTH = 3\n",
    "script.py": "import sys\nimport json\nif len(sys.argv) != 3:\n    sys.exit('usage: script.py A B')\n",
    "my-odd name.py": "x = 1\n",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("imports")
    folder.chmod(0o755)
    tiny = build(folder)
    tiny.commit(FILES)
    return tiny


def tried(tiny: Tiny, edits: dict[str, bytes | None]) -> ImportCheck:
    runner = tiny.runner(real_sandbox(tiny.root / "state"))
    return check(runner, tiny.tip("main"), edits, threading.Event())


def test_modules_that_import_each_other_scripts_and_odd_names_pass(tiny: Tiny) -> None:
    done = tried(
        tiny,
        {
            "src/pkg/layers.py": b"from . import more\nfrom pkg.more import DEPTH\nassert __name__ == 'pkg.layers'\n",
            "src/pkg/more.py": b"DEPTH = 2\n",
            "script.py": FILES["script.py"].encode() + b"print('later')\n",
            "my-odd name.py": b"x = 2\n",
            "train.py": b"import hashlib\nprint('x' * 3_000_000)\n",
            "notes.md": b"no Python\n",
        },
    )
    assert done.problems == ()
    assert done.note == "5 of 5 files imported or excused"


def test_what_the_patch_broke_is_named_with_its_line_and_what_was_so_before_is_not(tiny: Tiny) -> None:
    done = tried(
        tiny,
        {
            "src/pkg/layers.py": b"x = 1\nimport not_installed_anywhere\n",
            "script.py": b"import json\njson.not_there\n",
            "predict.py": b"import pathlib\nopen('/labels/labels.json')\n",
            "new.py": b"from src.pkg.layers import nothing_of_this_name\n",
            "excused.py": b"import sys\nsys.exit(3)\n",
            "odd.py": b"raise ValueError('one\\x1b[31m\\u202etwo' + 'x' * 5000)\n",
        },
    )
    found = {problem.where: problem for problem in done.problems}
    assert set(found) == {"src/pkg/layers.py", "script.py", "predict.py", "new.py", "odd.py"}
    assert (found["src/pkg/layers.py"].line, found["script.py"].line) == (2, 2)
    assert "ImportError: No module named 'not_installed_anywhere'" in found["src/pkg/layers.py"].found
    assert "AttributeError" in found["script.py"].found
    assert "OSError" in found["predict.py"].found
    said = found["odd.py"].found
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert len(said) < 450


def test_the_code_alone_is_there_no_data_no_labels_no_evaluator_no_network(tiny: Tiny) -> None:
    spying = b"""
import os, socket
seen = [os.path.join(top, name) for top, _, names in os.walk('/code') for name in names]
assert '/code/train.py' in seen, seen
for place in ('/labels', '/inputs', '/data', '/code/data', '/code/evaluate.py'):
    assert not os.path.exists(place), place
assert not os.environ.get('OPENAI_API_KEY')
try:
    socket.create_connection(('127.0.0.1', 9), 1)
except OSError:
    pass
assert os.listdir('/sys/class/net') in ([], ['lo']) if os.path.isdir('/sys/class/net') else True
"""
    assert tried(tiny, {"src/spying.py": spying}).problems == ()


def test_a_module_that_never_ends_is_named_and_a_deleted_one_breaks_who_imports_it(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_check, "SECONDS_EACH", 1.5)
    done = tried(
        tiny,
        {
            "src/pkg/slow.py": b"while True: pass\n",
            "src/pkg/user.py": b"import pkg.layers\n",
            "src/pkg/layers.py": None,
        },
    )
    assert {problem.where: problem.found.split(": ")[1] for problem in done.problems} == {
        "src/pkg/slow.py": "Timeout",
        "src/pkg/user.py": "ImportError",
    }


@pytest.mark.parametrize(("reason", "error"), [("infra", Retryable), ("cancelled", Interrupted)])
def test_a_sandbox_that_fails_or_is_stopped_says_nothing_against_the_patch(
    tiny: Tiny, reason: str, error: type[Exception]
) -> None:
    class Failing:
        name, isolation = "failing", "full"

        def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
            return Outcome(reason, None, 0.0, 0.0, 0, 0, "no room", (), "failing", "full", "")  # type: ignore[arg-type]

    with pytest.raises(error):
        check(tiny.runner(Failing()), tiny.tip("main"), {"train.py": b"x = 1\n"}, threading.Event())  # type: ignore[arg-type]
    assert not list((tiny.workspace.cache / "running").glob("imports-*"))


def test_only_a_target_that_speaks_python_is_asked_to(tiny: Tiny, tmp_path: Path) -> None:
    assert speaks_python(load_target(tiny.workspace.target))
    target = load_target(tiny.workspace.target)
    train = target.phases.train.model_copy(update={"command": ["{build}/x", "{out}"]})
    phases = target.phases.model_copy(update={"train": train, "predict": None})
    environment = target.environment.model_copy(update={"python": None, "programs": ["cc"]})
    assert not speaks_python(target.model_copy(update={"phases": phases, "environment": environment}))

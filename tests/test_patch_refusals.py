"""The boundary on a real repository: everything that a patch may not do, in blocks, in diffs and as edits."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_solution import Tiny, build

from agent.solution import Solution
from registry.documents import load_target
from registry.errors import BadInput
from tools.diff_parsing import parse_diff
from tools.repository_checks import open_repository
from tools.search_replace import apply_blocks, parse_blocks
from tools.unified_diff import apply_diffs


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = build(tmp_path_factory.mktemp("boundary"))
    tiny.target["solution"]["editable"] = ["**"]
    tiny.write_target()
    (tiny.repository / "link.py").symlink_to("data/dev/labels/labels.json")
    (tiny.repository / "folder").symlink_to("data")
    (tiny.repository / "tool.sh").write_text("#!/bin/sh\n")
    (tiny.repository / "tool.sh").chmod(0o755)
    tiny.commit({"lib/numbers_of_ours.py": "import numpy\n", "lib/deep/__init__.py": "", "binary.bin": "x\0y"})
    return tiny


@pytest.fixture(scope="module")
def solution(tiny: Tiny) -> Solution:
    target = load_target(tiny.workspace.target)
    return Solution(open_repository(tiny.repository, "main"), target, tiny.workspace.worktrees)


INSTALLED = frozenset({"torchvision", "site_tools"})

REFUSED: dict[str, tuple[str, bytes | None, str]] = {
    "a protected path": ("evaluate.py", b"x = 1\n", "protected"),
    "a protected path in other capitals": ("Evaluate.PY", b"x = 1\n", "protected"),
    "labels": ("data/dev/labels/labels.json", b"{}", "protected"),
    "a symlink": ("link.py", b"x = 1\n", "mode 120000"),
    "a symlink's deletion": ("link.py", None, "mode 120000"),
    "a path below a symlink": ("folder/dev/labels/labels.json", b"{}", "under the file folder"),
    "binary": ("lib/weights.bin", b"\x80\x81", "no UTF-8"),
    "binary by a NUL": ("lib/weights.txt", b"a\0b", "NUL"),
    "a compiled file": ("lib/fast.so", b"x", "compiled"),
    "an object file": ("lib/fast.o", b"x", "compiled"),
    "..": ("lib/../../x.py", b"x = 1\n", ".."),
    "an absolute path": ("/etc/passwd", b"x", "absolute"),
    "a home": ("~/x.py", b"x = 1\n", "absolute"),
    "a colliding path": ("TRAIN.py", b"x = 1\n", "only in its spelling"),
    "a colliding folder": ("LIB/x.py", b"x = 1\n", "only in its spelling"),
    ".git": (".git/hooks/pre-commit", b"x", "git gives"),
    ".gitattributes": ("lib/.gitattributes", b"* -text\n", "git gives"),
    ".gitmodules": (".gitmodules", b"x", "git gives"),
    ".gitignore": (".gitignore", b"x", "git gives"),
    "sitecustomize": ("sitecustomize.py", b"x = 1\n", "imports unasked"),
    "usercustomize": ("lib/usercustomize.py", b"x = 1\n", "imports unasked"),
    "a .pth": ("lib/a.pth", b"import os\n", "imports unasked"),
    "conftest": ("lib/conftest.py", b"x = 1\n", "imports unasked"),
    "a module of Python": ("lib/random.py", b"x = 1\n", "Python's own module random"),
    "a package of Python": ("json/__init__.py", b"", "Python's own module json"),
    "an imported module": ("numpy.py", b"x = 1\n", "hides the module numpy"),
    "an installed module": ("torchvision.py", b"x = 1\n", "hides the installed module torchvision"),
    "an installed package": ("lib/site_tools/__init__.py", b"", "hides the installed module site_tools"),
    "a package beside a module": ("train/__init__.py", b"", "beside train.py"),
    "a module beside a package": ("lib/deep.py", b"x = 1\n", "beside lib/deep/__init__.py"),
    "a dependency file": ("requirements.txt", b"x\n", "dependency"),
    "a lock file": ("lib/uv.lock", b"x\n", "dependency"),
    "a project file": ("pyproject.toml", b"", "dependency"),
    "a build file": ("Makefile", b"all:\n", "build file"),
    "a container file": ("Dockerfile", b"FROM x\n", "build file"),
    "code that does not parse": ("train.py", b"def f(:\n", "syntax error"),
    "too large a file": ("lib/x.txt", b"x" * ((1 << 20) + 1), "at most"),
    "a deletion of nothing": ("lib/none.py", None, "neither"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_patch_may_not_do_is_refused_by_name(solution: Solution, tiny: Tiny, what: str) -> None:
    path, content, reason = REFUSED[what]
    problems = solution.check(tiny.tip("main"), {path: content}, INSTALLED)
    assert reason in "\n".join(map(str, problems))
    assert len("\n".join(map(str, problems))) < 2000


def test_what_a_patch_may_do_passes(solution: Solution, tiny: Tiny) -> None:
    edits: dict[str, bytes | None] = {
        "train.py": b"x = 2\n",
        "lib/new/part.py": b"x = 1\n",
        "lib/deep/torchvision.py": b"x = 1\n",  # there it is lib.deep.torchvision
        "tool.sh": b"#!/bin/sh\nexit 0\n",
        "lib/numbers_of_ours.py": None,
        "notes.md": "ünïcode\r\n".encode(),
    }
    assert solution.check(tiny.tip("main"), edits, INSTALLED) == []
    turned: dict[str, bytes | None] = {"predict.py": None, "predict/__init__.py": b"x = 1\n"}
    assert solution.check(tiny.tip("main"), turned, INSTALLED) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("diff --git a/tool.sh b/tool.sh\nold mode 100755\nnew mode 100644\n", "a change of mode bits"),
        ("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+data\n", "a symlink"),
        (
            "diff --git a/v b/v\nnew file mode 160000\n--- /dev/null\n+++ b/v\n@@ -0,0 +1 @@\n+Subproject commit 1\n",
            "a submodule",
        ),
        ("diff --git a/b.bin b/b.bin\nindex 1..2 100644\nGIT binary patch\nliteral 1\n", "a binary patch"),
        ("diff --git a/train.py b/t.py\nsimilarity index 100%\nrename from train.py\nrename to t.py\n", "a rename"),
        ("train.py\n<<<<<<< SEARCH\nnothing like it 123\n=======\nx\n>>>>>>> REPLACE\n", "no place"),
    ],
)
def test_what_only_a_diff_can_ask_for_is_refused_before_any_file_is_looked_at(
    solution: Solution, tiny: Tiny, text: str, reason: str
) -> None:
    def read(path: str) -> bytes | None:
        return solution.read(tiny.tip("main"), path)

    with pytest.raises(BadInput, match=reason):
        apply_diffs(parse_diff(text), read) if text.startswith("diff") else apply_blocks(parse_blocks(text), read)


def test_a_dependency_file_that_is_declared_editable_and_built_from_may_be_changed(tiny: Tiny, tmp_path: Path) -> None:
    tiny.target["solution"] = {**tiny.target["solution"], "editable": ["*.py", "Makefile", "requirements.txt"]}
    tiny.target["environment"] = {
        **tiny.target["environment"],
        "build": {"command": ["python", "make.py", "{out}"], "files": ["requirements.txt"]},
    }
    tiny.write_target()
    own = Solution(open_repository(tiny.repository, "main"), load_target(tiny.workspace.target), tmp_path)
    assert own.check(tiny.tip("main"), {"requirements.txt": b"x\n", "Makefile": b"all:\n"}) == []

"""Lint tells what a patch broke and nothing of what was there before."""

from __future__ import annotations

import pytest

from tools.lint import new_findings

BEFORE = b"import os\n\ndef f():\n    return old_and_unknown\n"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (BEFORE + b"\ndef g(): return missing\n", "undefined name 'missing'"),
        (BEFORE + b"\ndef g():\n    x += 1\n    return x\n", "referenced before assignment"),
        (BEFORE + b"\nreturn 5\n", "'return' outside function"),
        (BEFORE + b"\ndef g(a, a): pass\n", "duplicate argument"),
        (BEFORE + b"\nx = '{} {}'.format(1)\n", "missing argument"),
        (BEFORE + b"\nx = old_and_unknown\n", "old_and_unknown"),
    ],
)
def test_what_the_patch_broke_is_named_with_its_line(after: bytes, said: str) -> None:
    (problem,) = [each for each in new_findings("a.py", BEFORE, after) if said in each.found or "assignment" in said]
    assert problem.line is not None
    assert problem.line > 1


@pytest.mark.parametrize(
    ("path", "after"),
    [
        ("a.py", b"# moved\n\n" + BEFORE),
        ("a.py", BEFORE + b"import json\nunused = 1\nfrom os import *\n"),
        ("a.py", b"def broken(:\n"),
        ("a.py", b"\xff"),
        ("a.c", b"return missing\n"),
    ],
)
def test_what_was_there_what_is_style_and_what_is_no_python_is_left_alone(path: str, after: bytes) -> None:
    assert new_findings(path, BEFORE, after) == []


def test_a_new_file_is_held_against_nothing() -> None:
    assert "undefined name 'x'" in new_findings("b.py", None, b"y = x\n")[0].found

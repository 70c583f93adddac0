"""Errors tell a model which module failed, and nothing of the machine they come from."""

from __future__ import annotations

import pytest

from agent.llm.host_paths import without_host_paths


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "cannot import name 'x' from 'numpy' (/home/ann/sol/.venv/lib/python3.11/site-packages/numpy/__init__.py)",
            "cannot import name 'x' from 'numpy' (…/numpy/__init__.py)",
        ),
        ("{'PATH': '/srv/env/bin:/usr/bin:/bin'}", "{'PATH': '…/env/bin:/usr/bin:/bin'}"),
        ("/code/train.py:3: no such file: /work/model.json", "/code/train.py:3: no such file: /work/model.json"),
        ("a/b and 3/4 and http://example.org/a/b", "a/b and 3/4 and http://example.org/a/b"),
        ("src/pkg/x.py:2: found /root/x", "src/pkg/x.py:2: found …/x"),
        ("/codex/ann/secret.py", "…/ann/secret.py"),
        ("/home/ann/x.json and /Users/ann/sol/x.py", "…/x.json and …/sol/x.py"),
    ],
)
def test_a_path_of_the_host_is_cut_to_its_end_and_a_sandbox_s_own_stays(said: str, told: str) -> None:
    assert without_host_paths(said) == told

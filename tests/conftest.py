"""Fixtures that more than one area uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments.quiet import wait_until_quiet

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _busy_with_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests keep the machine busy, so a measurement of time here waits only a moment for it to be quiet."""
    monkeypatch.setattr("experiments.measuring.wait_until_quiet", lambda cancel: wait_until_quiet(cancel, 0.2))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real leaderboard snapshots, papers and recorded answers that lie beside the project, where they exist."""
    folder = Path(os.environ.get("AUTO_BENCHMARK_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real test data is not beside this checkout ({folder} does not exist)")
    return folder

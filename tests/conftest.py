"""Fixtures that more than one area uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments.quiet import wait_until_quiet

ROOT = Path(__file__).resolve().parent.parent


MADE_ONCE = frozenset(
    {
        "test_crash_nights",
        "test_gate_error_control",
        "test_night_command_line",
        "test_night_gap_notes",
        "test_night_promotion",
        "test_night_weak_sandbox",
        "test_null_nights",
        "test_replay_nights",
        "test_results_reported",
        "test_runner_images",
    }
)
"""Files whose tests look at one night or one figure that takes seconds to make: each stays with one worker."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (name := item.path.stem) in MADE_ONCE:
            item.add_marker(pytest.mark.xdist_group(name))


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

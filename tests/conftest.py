"""Fixtures that more than one area uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real leaderboard snapshots, papers and recorded answers that lie beside the project, where they exist."""
    folder = Path(os.environ.get("AUTO_BENCHMARK_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real test data is not beside this checkout ({folder} does not exist)")
    return folder

"""The reading and searching modules cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("pypdf", "arxiv", "optuna", "httpx", "requests", "lxml", "numpy")


def test_importing_readers_and_search_loads_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import tools.papers, tools.pdf.text, tools.arxiv_api, tools.pdf.extraction\n"
        "import agent.researcher.reading, agent.researcher.research_log, agent.researcher.search\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run([sys.executable, "-c", program, root], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

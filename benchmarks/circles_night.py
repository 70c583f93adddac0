"""The whole recorded night on circles: from a grid of 2.08 to a sum of radii above 2.63, through promotions.

    .venv/bin/python benchmarks/circles_night.py          # a minute or two on two free processors
    .venv/bin/python benchmarks/circles_night.py --json

Runs `examples/circles/night.py` in a new folder. Status 1 unless the sum is reached and the log holds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAST = 2.63


def main() -> int:
    parser = argparse.ArgumentParser(description="The recorded night on circles, whole.")
    parser.add_argument("--cycles", type=int, default=6)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="circles-") as folder:
        Path(folder).chmod(0o755)  # candidates run as another user
        workspace = Path(folder) / "night" / "circles-agent"
        words = [str(workspace.parent), "--cycles", str(options.cycles), "--least", str(LEAST)]
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "circles" / "night.py"), *words],
            check=False,
            capture_output=options.json,
            text=True,
        )
        seconds = time.monotonic() - begun
        log = workspace / ".agent" / "audit.jsonl"
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []
    if options.json:
        values = [event["data"]["mean"] for event in events if event["kind"] == "test_look"]
        promoted = [event["subject"] for event in events if event["kind"] == "promoted"]
        reached = bool(values) and values[-1] >= LEAST
        found = {"values": values, "promoted": promoted, "seconds": round(seconds, 1), "reached": reached}
        print(json.dumps(found | {"status": done.returncode}, indent=2))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

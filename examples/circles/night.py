"""A whole night on circles with a model that was recorded: from a weak grid to a sum of radii above 2.63.

    .venv/bin/python examples/circles/night.py FOLDER               # a few minutes
    .venv/bin/python examples/circles/night.py FOLDER --cycles 5    # up to 2.6308

The endpoint is real and so is the night: the replies come over HTTP, patches are applied or refused, every run is in a
sandbox, the evaluator recomputes each packing exactly, and the gate's policy `exact` decides. Ends with status 1 unless
production has reached the sum that is asked for and the log holds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import recorded_model  # noqa: E402 - beside this file, and not installed
import walk  # noqa: E402


def make_workspace(folder: Path, base_url: str) -> Path:
    """A repository of the solution and its workspace, whose model is at `base_url`."""
    repository = walk.make_repository("circles", folder)
    workspace = folder / "circles-agent"
    if walk.agent("init", str(repository), "--yes", *walk.FLAGS["circles"]):
        raise SystemExit(1)
    walk.copy_documents("circles", workspace)
    (workspace / "models.yaml").write_text(recorded_model.models_yaml(base_url), encoding="utf-8")
    return workspace


def told(workspace: Path) -> list[str]:
    """What became of each idea, from the log: a line each."""
    lines = []
    for line in (workspace / ".agent" / "audit.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["kind"] in {"verdict", "promoted", "hypothesis_archived"}:
            lines.append(f"{event['subject']} {event['kind']}: {event['reason']}")
    return lines


def reached(workspace: Path) -> float:
    """The sum of radii of the last promotion, as its look at the test split measured it; 0 without one."""
    found = 0.0
    for line in (workspace / ".agent" / "audit.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["kind"] == "test_look":
            found = event["data"]["mean"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="A night on circles with a recorded model.")
    parser.add_argument("folder", type=Path, help="a folder that is not there yet")
    parser.add_argument("--cycles", type=int, default=6)
    parser.add_argument("--least", type=float, default=2.63, help="the sum of radii to reach")
    options = parser.parse_args()
    if options.folder.exists():
        parser.error(f"{options.folder} is there already")
    folder = options.folder.resolve()
    folder.mkdir(parents=True)
    with recorded_model.serving() as base_url:
        workspace = make_workspace(folder, base_url)
        place = ("--workspace", str(workspace))
        status = walk.agent("run", "--cycles", str(options.cycles), *place) or walk.agent("audit", "verify", *place)
    print(*told(workspace), sep="\n")
    print(f"production: {reached(workspace)!r}, {options.least} asked for")
    return status or int(reached(workspace) < options.least)


if __name__ == "__main__":
    sys.exit(main())

"""How long `agent ask` waits for the search index on a long log. `--json` prints the figures as one object.

Writes a log of run and verdict events with the program's own format, then times a first question (the index is
built), later questions, and a question after new events have come.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry.audit import AuditLog
from registry.audit_events import ROOT_HASH, VERSION, parse_line, seal
from registry.search_index import SearchIndex

QUESTIONS = 20
VOCABULARY = [f"term{number}" for number in range(4000)]


def write_log(path: Path, events: int) -> None:
    """A log of `events` events in the program's format, without one flush to the device per event."""
    dice = random.Random(1)
    prev = ROOT_HASH
    with path.open("wb") as stream:
        for seq in range(1, events + 1):
            kind = "verdict" if seq % 12 == 0 else "run_done"
            data: dict[str, Any] = {"note": " ".join(dice.choices(VOCABULARY, k=60)), "accuracy": dice.random()}
            line = seal(
                {
                    "v": VERSION,
                    "seq": seq,
                    "key": f"{kind}:{seq}",
                    "time": "2026-02-01T22:00:00.000Z",
                    "kind": kind,
                    "subject": f"H-{dice.randrange(300):03}",
                    "actor": "agent",
                    "reason": "",
                    "data": data,
                    "prev": prev,
                }
            )
            prev = parse_line(line).hash
            stream.write(line)


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def measure(folder: Path, events: int) -> dict[str, float]:
    log, index_file = folder / "audit.jsonl", folder / "index.sqlite"
    write_log(log, events)
    index = SearchIndex(index_file, log)
    first = seconds(lambda: index.search("H-017 verdict"))
    searches = [seconds(lambda word=word: index.search(f"{word} verdict")) for word in VOCABULARY[:QUESTIONS]]
    subjects = [seconds(lambda number=number: index.events_of(f"H-{number:03}")) for number in range(QUESTIONS)]
    with AuditLog.open(log) as writer:
        for number in range(100):
            writer.append("run_done", "H-017", {"note": "new"}, key=f"new:{number}")
    return {
        "events": events,
        "log_mb": log.stat().st_size / 1e6,
        "index_mb": index_file.stat().st_size / 1e6,
        "first_question_s": first,
        "search_median_s": statistics.median(searches),
        "events_of_median_s": statistics.median(subjects),
        "search_after_100_new_s": seconds(lambda: index.search("H-017 new")),
        "open_for_writing_s": seconds(lambda: AuditLog.open(log).close()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-only", type=Path, metavar="LOG", help="only write such a log there")
    options = parser.parse_args()
    if options.write_only:
        write_log(options.write_only, options.events)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.events)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name}: {value:.4g}")


if __name__ == "__main__":
    main()

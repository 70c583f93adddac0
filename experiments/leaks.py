"""Whether the labels can be read where a candidate's code runs: a probe in train's place, and in predict's.

Called by `agent.evaluator`. The probe is given the mounts, the code folder, the interpreter and the limits that the
runner gives the phase, and walks what it finds there. It knows the labels by digests only.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments import leak_probe
from experiments.phases import PhasedRun
from experiments.plans import Plan
from experiments.runner import Runner
from registry.errors import BadInput, Problem
from registry.target import Target
from sandbox.outputs import read_output, remove_tree, strict_json

Place = Literal["train", "predict"]
SMALLEST_FILE = 24
"""Bytes of a file below which equal content says nothing."""
SHORTEST_LINE = 12
"""Bytes of a line that can only be the labels' own."""
MOST_LINES = 100_000
MOST_FILES = 20_000
LEAST_SHARE = 0.05
"""Of the labels' lines in one file: fewer are shared by chance, such as a headline."""
LEAST_LINES = 2
TELLS_APART = 0.9
"""Share of the lines that differ in the field that names their items."""
CHANCE_SD = 4.0
"""Standard deviations above the number of lines that labels of other items would share by chance."""
ROOTS: dict[Place, tuple[str, ...]] = {
    "train": ("/code", "/config", "/data"),
    "predict": ("/code", "/config", "/model", "/inputs"),
}
MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Leak:
    """One file that a candidate's code can read and that has something of the labels."""

    place: Place
    path: str
    """Inside the sandbox."""
    what: str
    certain: bool
    """Whether it has the labels, or enough of their lines; else it is only to be looked at."""


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked for and found; `trouble` says why a place was not searched."""

    files: int
    lines: int
    seen: int
    leaks: tuple[Leak, ...]
    trouble: tuple[str, ...] = ()


class _Sought:
    """The labels of every split, as digests."""

    def __init__(self, runner: Runner, commit: str) -> None:
        self.files: dict[str, tuple[int, str]] = {}
        self.names: list[str] = []
        self.lines: dict[str, None] = {}
        self.items: set[str] = set()
        """What names an item in its line: a file may have the item without its label."""
        self.chance = 0.0
        """Of a label's line, to be in a file of other labels for the same names: the share of the commonest label."""
        self._of_one_item = 0.0
        self._splits = len(set(runner.target.phases.evaluate.labels.values()))
        counted: Counter[bytes] = Counter()
        for path in dict.fromkeys(runner.target.phases.evaluate.labels.values()):
            folder = runner.trees.data(commit, path)
            for file in sorted(each for each in folder.rglob("*") if each.is_file())[:MOST_FILES]:
                name, content = f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes()
                self.names.append(name)
                if len(content) >= SMALLEST_FILE:
                    self.files[hashlib.sha256(content).hexdigest()] = (len(content), name)
                counted.update(line.strip() for line in content.splitlines())
        single = [line for line, count in counted.items() if count == 1 and len(line) >= SHORTEST_LINE]
        step = -(-len(single) // MOST_LINES) or 1
        chosen = single[::step]
        self.lines = dict.fromkeys(leak_probe.short(line) for line in chosen)
        self._items(chosen)

    def _items(self, lines: list[bytes]) -> None:
        """Learn which end of a line names its item, the first field or the last: the one that differs most."""
        fielded = [(line, *both) for line in lines if all(both := leak_probe.ends(line))]
        firsts, lasts = (Counter(ends[place] for ends in fielded) for place in (1, 2))
        begins = self._told_apart(firsts) >= self._told_apart(lasts)
        names = firsts if begins else lasts
        if not fielded or self._told_apart(names) < TELLS_APART * len(fielded):
            return
        labels = Counter(line[len(first) :] if begins else line[: -len(last)] for line, first, last in fielded)
        self.items = {leak_probe.short(name) for name in names}
        self.chance = labels.most_common(1)[0][1] / len(fielded)
        self._of_one_item = len(fielded) / len(names)

    def _told_apart(self, names: Counter[bytes]) -> int:
        """How many lines have a name that each split uses at most once."""
        return sum(count for count in names.values() if count <= self._splits)

    def document(self) -> str:
        asked = {"files": self.files, "names": self.names, "lines": list(self.lines), "items": sorted(self.items)}
        return json.dumps(asked)

    def many(self, lines: int, items: int) -> bool:
        """Whether so many lines are the labels' own, in a file that has so many of their items.

        Where each split numbers its items from 0, a file of other labels has some of these lines by chance.
        """
        expected = items * self._of_one_item * self.chance
        by_chance = expected + CHANCE_SD * math.sqrt(expected * (1.0 - self.chance))
        return lines >= max(LEAST_LINES, LEAST_SHARE * len(self.lines)) and lines > by_chance


def search(runner: Runner, commit: str, cancel: threading.Event, everywhere: bool) -> Search:
    """Look in train's and in predict's place; `everywhere` also outside what the phase is given."""
    sought = _Sought(runner, commit)
    seen, leaks, trouble = 0, [], []
    places: tuple[Place, ...] = ("train", "predict") if runner.target.phases.predict is not None else ("train",)
    for place in places:
        try:
            found = _probe(runner, commit, cancel, place, sought, everywhere)
        except BadInput as error:
            trouble.append(f"{place}: {error}")
            continue
        seen += found["seen"]
        leaks += [leak for hit in found["hits"] if (leak := _leak(place, hit, sought)) is not None]
    return Search(len(sought.names), len(sought.lines), seen, tuple(leaks), tuple(trouble))


def _probe(
    runner: Runner, commit: str, cancel: threading.Event, place: Place, sought: _Sought, everywhere: bool
) -> dict[str, Any]:
    plan = Plan("production", "production", "check", commit, commit, 0)
    key = runner.key(plan)
    settings = hashlib.sha256(f"{key.settings}\0probe {place} {everywhere}".encode()).hexdigest()
    key = key.model_copy(update={"settings": settings})
    work = runner.root / ".agent" / "cache" / "running" / f"probe-{key.run_id}"
    remove_tree(work)
    try:
        (work / "probe").mkdir(parents=True)
        (work / "probe" / "leak_probe.py").write_text(Path(leak_probe.__file__).read_text(encoding="utf-8"))
        (work / "probe" / "sought.json").write_text(sought.document())
        found = PhasedRun(runner, plan, key, work, 1, cancel).in_place_of(
            place, work / "probe", _words(place, everywhere, runner.target)
        )
        if found is not None:
            raise BadInput(Problem("the probe", found, "a probe that looked through everything"))
        document = strict_json(read_output(work / "probed", "found.json", MOST_BYTES), "found.json")
    finally:
        remove_tree(work)
    if not isinstance(document, dict) or not isinstance(document.get("hits"), list):
        raise BadInput(Problem("the probe", "no report", "a report of what it found"))
    return document


def _words(place: Place, everywhere: bool, target: Target) -> list[str]:
    roots = (*ROOTS[place], "/") if everywhere else ROOTS[place]
    # The probe is ours: where the target has no interpreter it runs on the machine's own.
    own = target.environment.python is not None or target.environment.image is not None
    words = ["python" if own else "python3", "-I", "-S", "/probe/leak_probe.py", "/probe/sought.json", "/work"]
    return [*words, *roots]


def _leak(place: Place, hit: dict[str, Any], sought: _Sought) -> Leak | None:
    """What a hit says; None where it says nothing."""
    path, count = ascii(str(hit["path"]))[1:-1][:300], int(hit["lines"])
    if hit["same"]:
        return Leak(place, path, f"has the content of {hit['same']}", certain=True)
    if hit["named"]:
        return Leak(place, path, f"has the place of {hit['named']}", certain=True)
    if count >= LEAST_LINES:
        told = f"has {count} of {len(sought.lines)} lines of the labels"
        return Leak(place, path, told, certain=sought.many(count, int(hit["items"])))
    return None

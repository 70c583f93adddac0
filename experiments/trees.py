"""Files of a commit laid out for the sandbox: candidate code, protected evaluator, data and timing inputs.

Each layout is written once under a name that holds the tree's hash, mounted read-only and shared by all runs.
What a candidate may not see (protected paths, data, inputs, labels) is left out of its code.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.plans import Source
from registry.errors import BadInput, Problem
from registry.target import Target
from sandbox.outputs import remove_tree

INPUTS = "inputs.jsonl"


@dataclass(frozen=True, slots=True)
class TimingInputs:
    """A folder of inputs whose items are repeated, and how many items that makes."""

    folder: Path
    items: int


class TreeCache:
    """Layouts of commits under one cache folder; safe for several threads (a layout appears by rename)."""

    def __init__(self, cache: Path, target: Target, repository: Path, source: Source) -> None:
        self._cache = cache
        self._target = target
        self._repository = repository
        self._source = source
        self._digests: dict[tuple[str, str], str] = {}
        self._files: dict[Path, tuple[tuple[tuple[str, int, int, int], ...], dict[str, str]]] = {}

    # -- what the candidate's phases see --------------------------------------------------------------------

    def candidate(self, commit: str, production: str) -> Path:
        """Code of `commit` without protected and held-out paths."""
        del production  # the candidate's own tree decides; what it may not see is left out whatever the commit
        hidden = [*self._target.solution.protected, *(f"{path}/**" for path in self._data_paths())]
        return self._layout(commit, "code", ["**"], hidden)

    # -- what the evaluator sees ----------------------------------------------------------------------------

    def evaluator(self, production: str) -> Path:
        """Protected files of production's commit, without data: the evaluator and what it imports."""
        data = [f"{path}/**" for path in self._data_paths()]
        return self._layout(production, "evaluator", list(self._target.solution.protected), data)

    def evaluator_digest(self, production: str) -> str:
        """Hash over every protected path of production's commit that is not data."""
        return self._digest("evaluator", production, list(self._target.solution.protected))

    # -- data -----------------------------------------------------------------------------------------------

    def data(self, production: str, path: str) -> Path:
        """Host folder of a data path: from production's commit where git tracks it, else from the checkout."""
        folder = self._layout(production, "data", [f"{name}/**" for name in self._data_paths()], []) / path
        if folder.is_dir():
            return folder
        untracked = self._repository / path
        if untracked.is_dir():
            return untracked
        raise BadInput(
            Problem("target.yaml", f"no folder {path} in production's commit or the checkout", "a folder of data")
        )

    def data_digest(self, production: str) -> str:
        """Hash over all data the phases use, tracked or not."""
        globs = [f"{name}/**" for name in self._data_paths()]
        tracked = self._digest("data", production, globs)
        untracked = [
            _total(self._hashed(self._repository / name))
            for name in self._data_paths()
            if self.data(production, name) == self._repository / name
        ]
        return hashlib.sha256("\n".join([tracked, *untracked]).encode()).hexdigest() if untracked else tracked

    def data_files(self, production: str) -> dict[str, str]:
        """Every data file the phases use, as `<data path>/<file>`, with its SHA-256; odd bytes of a name as escapes."""
        return {
            os.fsencode(f"{name}/{file}").decode(errors="backslashreplace"): sha256
            for name in self._data_paths()
            for file, sha256 in self._hashed(self.data(production, name)).items()
        }

    def data_folders(self, production: str) -> dict[str, str]:
        """Every data path with one hash over its files."""
        return {f"{name}/": _total(self._hashed(self.data(production, name))) for name in self._data_paths()}

    def _hashed(self, folder: Path) -> dict[str, str]:
        """SHA-256 of a folder's files, read again only where sizes or times say that one of them has changed."""
        files = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
        state = tuple((path.as_posix(), found.st_ino, found.st_size, found.st_mtime_ns) for path, found in files)
        known = self._files.get(folder)
        if known is None or known[0] != state:
            hashes = {path.relative_to(folder).as_posix(): _sha256(path) for path, _ in files}
            known = self._files[folder] = (state, hashes)
        return known[1]

    def timing_inputs(self, production: str, path: str, repeats: int) -> TimingInputs:
        """Inputs with every item of `inputs.jsonl` repeated under new ids, so that start-up does not dominate."""
        original = self.data(production, path)
        if repeats == 1 or not (original / INPUTS).is_file():
            return TimingInputs(original, _count_lines(original / INPUTS))
        facts = json.dumps([self.data_digest(production), path, repeats])
        folder = self._cache / f"timing-{hashlib.sha256(facts.encode()).hexdigest()[:20]}"
        if not folder.is_dir():
            self._appear(folder, lambda fresh: _repeated(original, fresh, repeats))
        return TimingInputs(folder, repeats * _count_lines(original / INPUTS))

    # -- layouts --------------------------------------------------------------------------------------------

    def _data_paths(self) -> list[str]:
        phases = self._target.phases
        paths = [phases.train.data] if phases.train.data else []
        paths += list(phases.predict.inputs.values()) if phases.predict else []
        return [*dict.fromkeys([*paths, *phases.evaluate.labels.values()])]

    def _layout(self, commit: str, kind: str, include: list[str], exclude: list[str]) -> Path:
        rules = hashlib.sha256(json.dumps([include, exclude]).encode()).hexdigest()[:8]
        folder = self._cache / f"{self._source.tree(commit)[:20]}-{kind}-{rules}"
        if not folder.is_dir():
            self._appear(folder, lambda fresh: self._source.materialise(commit, fresh, include, exclude))
        return folder

    def _appear(self, folder: Path, fill: Callable[[Path], None]) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=self._cache, prefix="."))
        fresh.chmod(0o755)
        fill(fresh)
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            remove_tree(fresh)  # another thread was first; both wrote the same files

    def _digest(self, kind: str, commit: str, globs: list[str]) -> str:
        known = (kind, commit)
        if known not in self._digests:
            self._digests[known] = self._source.digest(commit, globs)
        return self._digests[known]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _total(files: Mapping[str, str]) -> str:
    total = hashlib.sha256()
    for name, sha256 in files.items():
        total.update(os.fsencode(name) + b"\0" + bytes.fromhex(sha256))
    return total.hexdigest()


def _repeated(original: Path, fresh: Path, repeats: int) -> None:
    """The folder of inputs as it is, but for its list of items, in which each stands `repeats` times."""
    shutil.copytree(original, fresh, dirs_exist_ok=True, ignore=shutil.ignore_patterns(INPUTS))
    fresh.chmod(0o755)
    lines = (original / INPUTS).read_text().splitlines()
    items = [_item(line, number) for number, line in enumerate(lines, start=1) if line.strip()]
    with (fresh / INPUTS).open("w") as stream:
        for copy in range(repeats):
            for item in items:
                stream.write(json.dumps({**item, "id": f"{item['id']}#{copy}"}, separators=(",", ":")) + "\n")


def _item(line: str, number: int) -> dict[str, object]:
    try:
        item = json.loads(line)
    except ValueError:
        item = None
    if not isinstance(item, dict) or "id" not in item:
        fix = "or leave phases.predict.repeats at 1"
        raise BadInput(Problem(INPUTS, "no item with an id", 'one JSON object a line, with "id"', line=number, fix=fix))
    return item


def _count_lines(path: Path) -> int:
    if not path.is_file():
        return 1
    with path.open("rb") as stream:
        return max(1, sum(1 for line in stream if line.strip()))

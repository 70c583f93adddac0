"""Files of a commit laid out for the sandbox: candidate code, protected evaluator, data and timing inputs.

Each layout is written once under a name that holds the tree's hash, mounted read-only and shared by all runs. It lies
in a cache that others can write to, so it is held against its commit before every run, and one that differs is laid
out again. What a candidate may not see (protected paths, data, inputs, labels) is left out of its code.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.fingerprints import Fingerprints, total
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
        self._files = Fingerprints()
        self._sound: dict[Path, str] = {}
        """Layout → the hash over its files as they were when they were held against their commit."""
        self._mending = threading.Lock()
        self.notes: list[str] = []
        """What a person should know about layouts that others had changed; whoever shows it takes it away."""

    # -- what the candidate's phases see --------------------------------------------------------------------

    def candidate(self, commit: str, production: str, again: bool = False) -> Path:
        """Code of `commit` without protected and held-out paths; `again` holds it against the commit once more."""
        del production  # the candidate's own tree decides; what it may not see is left out whatever the commit
        return self._layout(commit, "code", ["**"], self.hidden(), again)

    def hidden(self) -> list[str]:
        """Globs of what a candidate's code never sees: protected paths and data, training data too."""
        return [*self._target.solution.protected, *(f"{path}/**" for path in self._data_paths())]

    def data_paths(self) -> list[str]:
        """Folders of data of any kind: training data, inputs, labels."""
        return self._data_paths()

    # -- what the evaluator sees ----------------------------------------------------------------------------

    def evaluator(self, production: str, again: bool = False) -> Path:
        """Protected files of production's commit, without data: the evaluator and what it imports."""
        data = [f"{path}/**" for path in self._data_paths()]
        return self._layout(production, "evaluator", list(self._target.solution.protected), data, again)

    def evaluator_digest(self, production: str) -> str:
        """Hash over every protected path of production's commit that is not data."""
        return self._digest("evaluator", production, list(self._target.solution.protected))

    # -- data -----------------------------------------------------------------------------------------------

    def data(self, production: str, path: str) -> Path:
        """Host folder of a data path: from production's commit where git tracks it, else from the checkout."""
        folder = self._tracked(production) / path
        if folder.is_dir():
            return folder
        untracked = self._repository / path
        if untracked.is_dir():
            return untracked
        raise BadInput(
            Problem("target.yaml", f"no folder {path} in production's commit or the checkout", "a folder of data")
        )

    def _tracked(self, production: str, again: bool = False) -> Path:
        return self._layout(production, "data", [f"{name}/**" for name in self._data_paths()], [], again)

    def data_digest(self, production: str) -> str:
        """Hash over all data the phases use, tracked or not."""
        globs = [f"{name}/**" for name in self._data_paths()]
        tracked = self._digest("data", production, globs)
        untracked = [
            total(self._files.folder(self._repository / name))
            for name in self._data_paths()
            if self.data(production, name) == self._repository / name
        ]
        return hashlib.sha256("\n".join([tracked, *untracked]).encode()).hexdigest() if untracked else tracked

    def data_files(self, production: str) -> dict[str, str]:
        """Every data file the phases use, as `<data path>/<file>`, with its SHA-256; odd bytes of a name as escapes."""
        return {
            os.fsencode(f"{name}/{file}").decode(errors="backslashreplace"): sha256
            for name in self._data_paths()
            for file, sha256 in self._files.folder(self.data(production, name)).items()
        }

    def data_folders(self, production: str) -> dict[str, str]:
        """Every data path with one hash over its files."""
        return {f"{name}/": total(self._files.folder(self.data(production, name))) for name in self._data_paths()}

    # -- what a run is shown, as it lies there --------------------------------------------------------------

    def mend(self, commit: str, production: str) -> None:
        """Hold what a run of `commit` is shown against its commit, and lay out again what was changed."""
        self.candidate(commit, production, again=True)
        self.evaluator(production, again=True)
        self._tracked(production, again=True)

    def shown(self, commit: str, production: str, timed: Path | None = None) -> dict[str, tuple[str, int]]:
        """What a run of `commit` is shown: part → (hash over its files as they are now, inode of its folder).

        `timed` is a folder of repeated inputs that it is shown too.
        """
        places = {"code": self.candidate(commit, production), "evaluator": self.evaluator(production)}
        places["data"] = self._tracked(production)
        for name in self._data_paths():
            if (folder := self.data(production, name)) == self._repository / name:
                places[f"data {name}"] = folder
        if timed is not None:
            places["timing inputs"] = timed
        return {part: (total(self._files.folder(place)), place.stat().st_ino) for part, place in places.items()}

    def timing_inputs(self, production: str, path: str, repeats: int) -> TimingInputs:
        """Inputs with every item of `inputs.jsonl` repeated under new ids, so that start-up does not dominate."""
        original = self.data(production, path)
        if repeats == 1 or not (original / INPUTS).is_file():
            return TimingInputs(original, _count_lines(original / INPUTS))
        facts = json.dumps([self.data_digest(production), path, repeats])
        folder = self._cache / f"timing-{hashlib.sha256(facts.encode()).hexdigest()[:20]}"
        with self._mending:
            if not folder.is_dir() or self._sound.get(folder) != total(self._files.folder(folder)):
                if folder in self._sound and folder.is_dir():
                    self._set_aside(folder)
                remove_tree(folder)
                self._appear(folder, lambda fresh: _repeated(original, fresh, repeats))
                self._sound[folder] = total(self._files.folder(folder))
        return TimingInputs(folder, repeats * _count_lines(original / INPUTS))

    # -- layouts --------------------------------------------------------------------------------------------

    def _data_paths(self) -> list[str]:
        phases = self._target.phases
        paths = [phases.train.data] if phases.train.data else []
        paths += list(phases.predict.inputs.values()) if phases.predict else []
        return [*dict.fromkeys([*paths, *phases.evaluate.labels.values()])]

    def _layout(self, commit: str, kind: str, include: list[str], exclude: list[str], again: bool = False) -> Path:
        rules = hashlib.sha256(json.dumps([include, exclude]).encode()).hexdigest()[:8]
        folder = self._cache / f"{self._source.tree(commit)[:20]}-{kind}-{rules}"
        if not folder.is_dir():
            self._appear(folder, lambda fresh: self._source.materialise(commit, fresh, include, exclude))
        if folder not in self._sound or again:
            with self._mending:
                self._hold(folder, commit, include, exclude)
        return folder

    def _hold(self, folder: Path, commit: str, include: list[str], exclude: list[str]) -> None:
        """Hold a layout against its commit, unless nothing changed since; one that differs is laid out again."""
        found = total(self._files.folder(folder))
        if self._sound.get(folder) == found:
            return
        if strange := _strange(folder, self._source.contents(commit, include, exclude)):
            self.notes.append(f"{folder.name} in the cache was changed by somebody ({strange}); it is laid out again")
            self._set_aside(folder)
            self._appear(folder, lambda fresh: self._source.materialise(commit, fresh, include, exclude))
            found = total(self._files.folder(folder))
        self._sound[folder] = found

    def _set_aside(self, folder: Path) -> None:
        """Not removed yet: a run that is shown the folder goes on with the files it began with."""
        folder.rename(Path(tempfile.mkdtemp(dir=self._cache, prefix=".changed-")) / folder.name)

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


def _strange(folder: Path, expected: dict[str, tuple[str, str]]) -> str:
    """The first file of a layout that is not as its commit has it; nothing where all are."""
    found: set[str] = set()
    for top, folders, files in os.walk(folder):
        for name in [*files, *(each for each in folders if Path(top, each).is_symlink())]:
            path = Path(top, name)
            relative = path.relative_to(folder).as_posix()
            found.add(relative)
            mode, blob = expected.get(relative, ("", ""))
            if not blob:
                return f"{relative!a} is in no commit"
            if _mode(path) != mode or _blob(path, len(blob)) != blob:
                return f"{relative!a} has other content"
    return next((f"{path!a} is missing" for path in expected if path not in found), "")


def _mode(path: Path) -> str:
    """The mode that git would give the file."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "120000"
    return ("100755" if mode & 0o100 else "100644") if stat.S_ISREG(mode) else ""


def _blob(path: Path, length: int) -> str:
    """The id that git would give the content, in a repository whose ids have that many digits."""
    size = path.lstat().st_size
    digest = hashlib.new("sha1" if length == 40 else "sha256", f"blob {size}\0".encode(), usedforsecurity=False)
    if path.is_symlink():
        digest.update(os.fsencode(path.readlink()))
        return digest.hexdigest()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


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

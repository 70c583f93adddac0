"""Whether what `target.yaml` says of the solution is so: repository, paths, globs, settings and interpreter.

Called by `agent.doctor.checkup` with a valid target. Looks at the commit that a night would start from; runs
nothing of the solution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.doctor.findings import STUMBLES, Finding, complaints, ok, warn
from agent.solution import Solution
from registry.errors import BadInput, Problem
from registry.hypotheses import Scalar
from registry.target import Target
from registry.workspace import Workspace

if TYPE_CHECKING:
    from tools.repository import SolutionRepository

_PHASES = ("build", "train", "predict", "evaluate")
_PLACES = {"repository": ("solution", "repository"), "interpreter": ("environment",)}
_FIXES = {"fast": "correct the path in fast.overrides"}


@dataclass(frozen=True, slots=True)
class Opened:
    """The solution at the commit that a night starts from."""

    solution: Solution
    folder: Path
    commit: str
    paths: tuple[str, ...]


class Contract:
    """The checks, in order; `opened` stands once the repository could be opened."""

    def __init__(self, workspace: Workspace, target: Target) -> None:
        self.workspace = workspace
        self.target = target
        self.opened: Opened | None = None

    def check(self) -> Iterator[Finding]:
        try:
            self.opened = self._open()
        except STUMBLES as error:
            yield from self._complaints("repository", error)
            return
        yield from self._repository(self.opened)
        for name, examine in (
            ("phases", self._phases),
            ("editable, protected", self._globs),
            ("settings", self._settings),
            ("fast", self._fast),
            ("interpreter", self._interpreter),
            ("digests", self._digests),
        ):
            try:
                found = list(examine(self.opened))
            except STUMBLES as error:
                found = self._complaints(name, error)
            yield from found

    def _open(self) -> Opened:
        from tools import trees
        from tools.branches import PRODUCTION
        from tools.repository_checks import check_tree, open_repository

        settings = self.target.solution
        folder = self.workspace.repository(settings.repository)
        repository: SolutionRepository = open_repository(folder, settings.base)
        commit = repository.branch_tip(PRODUCTION) or repository.branch_tip(settings.base) or ""
        check_tree(repository, commit)
        solution = Solution(repository, self.target, self.workspace.worktrees)
        return Opened(solution, folder, commit, tuple(trees.list_paths(repository, commit)))

    def _repository(self, opened: Opened) -> Iterator[Finding]:
        from tools.branches import PRODUCTION

        repository, base = opened.solution.repository, self.target.solution.base
        where = PRODUCTION if repository.branch_tip(PRODUCTION) else f"{base} (a night starts {PRODUCTION} there)"
        yield ok("repository", f"{opened.folder}: {opened.commit[:12]} on {where}, {len(opened.paths)} files")

    # -- paths ----------------------------------------------------------------------------------------------

    def _phases(self, opened: Opened) -> Iterator[Finding]:
        """Every script and folder that a command needs is there, and where its phase can see it."""
        from tools.globs import covers

        problems: list[Problem] = []
        protected = self.target.solution.protected
        for name in _PHASES:
            phase = getattr(self.target.phases, name)
            if phase is None:
                continue
            place = f"phases.{name}.command"
            for word in phase.command[1:]:
                path = word.removeprefix("./")
                if not path.endswith(".py") or "{" in path or path.startswith(("/", "-")):
                    continue
                if path not in opened.paths:
                    fix = "git add and commit it, or correct the path"
                    problems.append(self._problem(f"no {path} in {opened.commit[:12]}", "a committed file", place, fix))
                elif name == "evaluate" and not covers(path, protected):
                    expected = "an evaluator that no candidate can change"
                    problems.append(self._problem(path, expected, place, f"add {path} to solution.protected"))
                elif name != "evaluate" and covers(path, protected):
                    expected = "a script that is not protected: protected files are not shown to candidates"
                    problems.append(self._problem(path, expected, place, "narrow solution.protected"))
        for place, path in self._data().items():
            tracked = any(other.startswith(f"{path}/") for other in opened.paths)
            if not tracked and not (opened.folder / path).is_dir():
                found = f"no folder {path}, neither committed nor in the checkout"
                problems.append(self._problem(found, "a folder of data", place, "correct the path"))
        if problems:
            raise BadInput(*problems)
        yield ok("phases", f"scripts and {len(self._data())} data folders are there")

    def _data(self) -> dict[str, str]:
        phases = self.target.phases
        found = {"phases.train.data": phases.train.data} if phases.train.data else {}
        found |= {f"phases.predict.inputs.{k}": v for k, v in (phases.predict.inputs if phases.predict else {}).items()}
        return found | {f"phases.evaluate.labels.{split}": path for split, path in phases.evaluate.labels.items()}

    def _globs(self, opened: Opened) -> Iterator[Finding]:
        """Each glob matches something, something may be edited, and the configuration is part of it."""
        from tools.globs import covers, matches

        settings = self.target.solution
        open_paths = [p for p in opened.paths if matches(p, settings.editable) and not covers(p, settings.protected)]
        if settings.config in opened.paths and settings.config not in open_paths:
            found = f"{settings.config}, which solution.editable does not cover or solution.protected does"
            raise BadInput(self._problem(found, "a configuration that hypotheses may change", "solution.config"))
        idle = [f"editable {one}" for one in settings.editable if not any(matches(p, [one]) for p in opened.paths)]
        unguarded = [one for one in settings.protected if not any(covers(p, [one]) for p in opened.paths)]
        idle += [f"protected {one}" for one in unguarded if not self._in_checkout(opened, one)]
        for one in idle:
            yield warn("editable, protected", f"{one} matches nothing in {opened.commit[:12]}", "correct target.yaml")
        exposed = [p for p in self._data().values() if any(o.startswith(f"{p}/") for o in open_paths)]
        for path in dict.fromkeys(exposed):
            yield warn(
                "editable, protected", f"{path} may be edited by a patch", f'add "{path}/**" to solution.protected'
            )
        yield ok("editable, protected", f"{len(open_paths)} of {len(opened.paths)} files may be edited")

    def _in_checkout(self, opened: Opened, glob: str) -> bool:
        return (opened.folder / glob.split("*")[0].rstrip("/")).exists()

    # -- values ---------------------------------------------------------------------------------------------

    def _settings(self, opened: Opened) -> Iterator[Finding]:
        """Every path of the search space is in production's configuration, with a value of the right kind."""
        values = opened.solution.settings(opened.commit)
        problems = []
        for name, parameter in self.target.search_space.items():
            value, place = values[parameter.path], f"search_space.{name}"
            if any(type(value) is type(one) and value == one for one in parameter.values):
                continue
            if not any(_kind(value) == _kind(one) for one in parameter.values):
                expected = f"a value like {', '.join(map(repr, parameter.values))}"
                found = f"{value!r} at {parameter.path} in {self.target.solution.config}"
                problems.append(self._problem(found, expected, place))
            else:
                found = f"{place}: production has {value!r}, which is not among its values"
                yield warn("settings", found, f"add {value!r} to the values")
        if problems:
            raise BadInput(*problems)
        yield ok("settings", f"{self.target.solution.config} has all {len(values)} paths of the search space")

    def _fast(self, opened: Opened) -> Iterator[Finding]:
        overrides = self.target.fast.overrides
        if not overrides:
            yield warn("fast", "no overrides, so a fast run is a full one", "set fast.overrides in target.yaml")
            return
        opened.solution.configuration(opened.commit, overrides)
        yield ok("fast", ", ".join(f"{path}: {value}" for path, value in overrides.items()))

    # -- environment ----------------------------------------------------------------------------------------

    def _interpreter(self, opened: Opened) -> Iterator[Finding]:
        from agent.scaffolding.folders import is_our_own
        from experiments import environment
        from experiments.environments import interpreter
        from sandbox.interpreters import discover

        python = interpreter(self.target, opened.folder)
        if python is None and self.target.environment.image is not None:
            yield self._image(self.target.environment.image)
            return
        programs = environment.DeclaredPrograms(self.target.environment.programs).look()
        if programs:
            yield ok("programs", ", ".join(name.removeprefix("program ") for name, _ in programs))
        if python is None:
            return
        described = environment.describe(python)
        discover(python)
        if is_our_own(python):
            found = f"{python}, the environment that this program itself runs in"
            fix = "python3 -m venv .venv in the repository, and environment: {python: .venv/bin/python}"
            raise BadInput(self._problem(found, "the solution's own interpreter", "environment.python", fix))
        if editable := [name for name, origin in described.origins if origin.startswith("editable ")]:
            found = f"{', '.join(editable)}: editable, and the sandbox shows no folder outside the environment"
            yield warn("interpreter", found, "install it as a package, or keep it in the repository beside the scripts")
        yield ok("interpreter", f"{python}: Python {described.python}, {len(described.packages)} packages")

    def _image(self, image: str) -> Finding:
        """Whether the engine has the image; nothing is ever fetched."""
        from sandbox.contract import SandboxUnavailable
        from sandbox.docker_engine import Docker

        try:
            Docker(self.workspace.agent / "sandbox").image(image)
        except SandboxUnavailable as error:
            found, _, fix = str(error).partition(": ")
            problem = self._problem(found, "an image that the engine has", "environment", fix)
            raise BadInput(problem) from error
        return ok("interpreter", f"image {image}, which the engine has")

    def _digests(self, opened: Opened) -> Iterator[Finding]:
        evaluator = opened.solution.digest(opened.commit, list(self.target.solution.protected))
        data = opened.solution.digest(opened.commit, [f"{path}/**" for path in self._data().values()])
        yield ok("digests", f"protected {evaluator[:12]}, committed data {data[:12]}")

    # -- places in target.yaml ------------------------------------------------------------------------------

    def _problem(self, found: str, expected: str, place: str, fix: str = "") -> Problem:
        return Problem(str(self.workspace.target), found, expected, place, self._line(tuple(place.split("."))), fix)

    def _complaints(self, check: str, error: Exception) -> list[Finding]:
        """Failures that name the place in target.yaml which led to them, whatever else they are about."""
        if not isinstance(error, BadInput):
            return complaints(check, error)
        target = str(self.workspace.target)
        found = []
        for problem in error.problems:
            (one,) = complaints(check, BadInput(problem))
            if problem.where != target and (path := self._place(check, problem)):
                place, line = ".".join(path), self._line(path)
                fix = _FIXES.get(check) or problem.fix or f"correct {place} in target.yaml"
                one = replace(one, found=f"{target}:{line}: {place}: {one.found}", fix=fix, file=target, line=line)
            found.append(one)
        return found

    def _place(self, check: str, problem: Problem) -> tuple[str, ...]:
        """The key that a check's trouble elsewhere comes from; `problem.place` is a path in the configuration."""
        if check == "settings":
            named = [name for name, one in self.target.search_space.items() if one.path == problem.place]
            return ("search_space", named[0], "path") if named else ("solution", "config")
        if check == "fast":
            known = problem.place in self.target.fast.overrides
            return ("fast", "overrides", problem.place) if known else ("fast", "overrides")
        if problem.place == "solution.base":
            return ("solution", "base")
        return _PLACES.get(check, ())

    def _line(self, path: tuple[str, ...]) -> int | None:
        """Line of a key of target.yaml, or of the nearest thing around it."""
        from registry.yaml_parsing import read

        return read(self.workspace.target).line(path)


def _kind(value: Scalar) -> str:
    """Whole numbers and fractions are one kind; switches are none of them."""
    if isinstance(value, bool):
        return "switch"
    return "word" if isinstance(value, str) else "number"

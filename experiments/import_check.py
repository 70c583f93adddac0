"""Whether changed Python files can still be imported: in a sandbox that has the code and nothing else.

Called by `agent.attempts` for a patch that passed the boundary. The code is production's with the edits, without
protected paths, data, inputs and labels. A file that could not be imported before (a script that wants arguments)
may fail in the same way after. It is an early word to whoever writes the patch: what it lets through, the fast
validation tries.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import import_probe
from experiments.plans import Interrupted
from experiments.runner import Runner
from registry.errors import BadInput, Problem, Retryable
from registry.target import Target
from sandbox.contract import Limits, Mount, RunSpec
from sandbox.outputs import plain_text, read_output, remove_tree, strict_json

SECONDS_EACH = 20.0
MOST_FILES = 20
MOST_BYTES = 1 << 20
DECISIVE = frozenset({"SyntaxError", "ImportError", "NameError", "AttributeError"})
"""Errors that no missing argument or file explains."""
EXCUSED = frozenset({"SystemExit", "OSError", "EOFError"})
"""What a script may come to that is imported without arguments and data."""


@dataclass(frozen=True, slots=True)
class Imported:
    """How the import of one file ended."""

    path: str
    ok: bool
    kind: str = ""
    message: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class ImportCheck:
    """What speaks against the patch, and in words what was tried."""

    problems: tuple[Problem, ...]
    note: str


def speaks_python(target: Target) -> bool:
    """Whether the candidate's code runs under Python, as far as the target says."""
    phases = [target.phases.train.command] + ([target.phases.predict.command] if target.phases.predict else [])
    called = any(command[0] in {"python", "python3"} for command in phases)
    return called or target.environment.python is not None


def check(runner: Runner, production: str, edits: Mapping[str, bytes | None], cancel: threading.Event) -> ImportCheck:
    """Import every changed Python file with the edits made, and those that fail without them.

    Raises Retryable where the sandbox failed, Interrupted where it was stopped.
    """
    paths = sorted(path for path, content in edits.items() if path.endswith(".py") and content is not None)
    if not paths:
        return ImportCheck((), "no Python file to import")
    if not speaks_python(runner.target):
        return ImportCheck((), "the target names no interpreter")
    if len(paths) > MOST_FILES:
        return ImportCheck((), f"more than {MOST_FILES} files: left to the fast run")
    after, note = _tried(runner, production, edits, paths, cancel)
    failed = [each for each in after if not each.ok]
    before = {}
    if failed:
        known, _ = _tried(runner, production, {}, [each.path for each in failed], cancel)
        before = {each.path: each for each in known}
    problems = [_problem(each) for each in failed if _counts(each, before.get(each.path))]
    return ImportCheck(tuple(problems), note or f"{len(after)} of {len(paths)} files imported or excused")


def _counts(after: Imported, before: Imported | None) -> bool:
    """Whether a failure is the patch's doing; `before` is None for a new file."""
    if before is None:
        return after.kind not in EXCUSED
    if before.ok:
        return True
    same = (before.kind, before.message) == (after.kind, after.message)
    return after.kind in DECISIVE and not same


def _problem(failed: Imported) -> Problem:
    found = f"an import that fails: {failed.kind}: {failed.message}".rstrip(": ")
    return Problem(failed.path, found, "a module that can be imported", line=failed.line or None)


def _tried(
    runner: Runner,
    production: str,
    edits: Mapping[str, bytes | None],
    paths: Sequence[str],
    cancel: threading.Event,
) -> tuple[list[Imported], str]:
    """How each import ended; none at all, and why, where the probe itself could not run."""
    work = runner.root / ".agent" / "cache" / "running" / f"imports-{production[:12]}-{'with' if edits else 'without'}"
    remove_tree(work)
    try:
        _lay_out(runner, production, edits, work)
        python = runner.interpreter(production)
        words = ("/probe/import_probe.py", "/work/found.json", str(SECONDS_EACH), "/code", *paths)
        resources = runner.target.resources
        spec = RunSpec(
            run_id=work.name,
            argv=(str(python or "python"), *words),
            out=work / "out",
            limits=Limits(
                wall_s=SECONDS_EACH * len(paths) + 10.0,
                memory_bytes=resources.memory,
                processes=resources.processes,
                disk_bytes=min(resources.disk, 64 << 20),
                files=resources.files,
                output_bytes=1 << 20,
            ),
            code=work / "code",
            mounts=(Mount(work / "probe", "/probe"),),
            environment=runner.variables(0),
            python=python,
            image=runner.target.environment.image,
            start_in="code",
            log=work / "log",
        )
        outcome = runner.sandbox.run(spec, cancel)
        if outcome.reason == "cancelled":
            raise Interrupted("stopped while the imports of a patch were tried")
        if outcome.reason == "infra":
            raise Retryable(f"the imports could not be tried: {plain_text(outcome.detail or outcome.tail, 300)}")
        if outcome.reason != "exit" or outcome.status != 0:
            ending = f"status {outcome.status}" if outcome.reason == "exit" else outcome.reason
            return [], f"the imports were not tried to their end ({ending}): left to the fast run"
        return _read(work / "out", paths), ""
    except BadInput:
        return [], "the imports left no report: left to the fast run"
    finally:
        remove_tree(work)


def _lay_out(runner: Runner, production: str, edits: Mapping[str, bytes | None], work: Path) -> None:
    (work / "out").mkdir(parents=True)
    (work / "probe").mkdir()
    (work / "probe" / "import_probe.py").write_text(Path(import_probe.__file__).read_text(encoding="utf-8"))
    runner.source.materialise(production, work / "code", ["**"], runner.trees.hidden())
    for path, content in edits.items():
        file = work / "code" / path
        if content is None:
            file.unlink(missing_ok=True)
            continue
        for folder in reversed(file.relative_to(work / "code").parents):
            (work / "code" / folder).mkdir(mode=0o755, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o644)


def _read(out: Path, paths: Sequence[str]) -> list[Imported]:
    """The probe's report, of which nothing is believed but which of our files it says failed, and how, made plain."""
    document = strict_json(read_output(out, "found.json", MOST_BYTES), "found.json")
    if not isinstance(document, list):
        raise BadInput(Problem("found.json", "no list", "a report of each file"))
    found = []
    for item in document:
        if not isinstance(item, dict) or item.get("path") not in paths or item.get("ok") is None:
            continue
        line = item.get("line")
        found.append(
            Imported(
                path=str(item["path"]),
                ok=item["ok"] is True,
                kind=" ".join(plain_text(str(item.get("kind", "")), 80).split()),
                message=" ".join(plain_text(str(item.get("message", "")), 300).split()),
                line=line if isinstance(line, int) and 0 < line < 10_000_000 else 0,
            )
        )
    return found

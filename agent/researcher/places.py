"""Which files of the solution an idea may be about, and a model may be told of: editable, not protected, no data.

Used by everything that takes a path from a model or a person, before the patch's own boundary (`tools.patches`) looks
at contents. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from registry.errors import Problem
from registry.target import Target
from tools.globs import covers, matches

MOST_FILES = 8
"""Of one idea: more could no longer be reviewed."""
_PATH = re.compile(r"[^\x00-\x1f\x7f\\:*?\"<>|]{1,200}")


def hidden(target: Target) -> tuple[str, ...]:
    """Globs of what no idea touches and no model sees: protected files, data, inputs and labels of every split."""
    phases = target.phases
    data = [phases.train.data] if phases.train.data is not None else []
    inputs = list(phases.predict.inputs.values()) if phases.predict is not None else []
    return (*target.solution.protected, *data, *inputs, *phases.evaluate.labels.values())


def may_change(target: Target, path: str) -> bool:
    """Whether an idea may be about this path, which need not exist yet."""
    parts = path.split("/")
    plain = bool(_PATH.fullmatch(path)) and not any(
        part in {"", ".", ".."} or part.startswith(".git") for part in parts
    )
    return plain and matches(path, target.solution.editable) and not covers(path, hidden(target))


def outside(target: Target, files: Iterable[str], where: str) -> list[Problem]:
    """Every file that an idea may not be about."""
    named = list(files)
    expected = "a file that solution.editable allows, no protected one and no data: " + ", ".join(
        target.solution.editable
    )
    problems = [Problem(where, f"the file {path!r}", expected) for path in named if not may_change(target, path)]
    if len(named) > MOST_FILES:
        problems.append(Problem(where, f"{len(named)} files", f"at most {MOST_FILES} files in one idea"))
    return problems

"""Checks each attempt at a patch of code, and puts it on record: boundary, syntax, lint, imports, in that order.

Called through `PatchRequest.attempt` by whoever writes the patch. At most so many attempts, each an event under a key
of its own content, so that a crash, after which the same is written again, adds none. What is refused is kept with its
reasons; so is what is taken.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from agent.researcher.contract import ROUNDS, Attempt, Edits
from agent.services import Services
from experiments.building import BuildFailed
from registry.errors import BadInput, Problem
from registry.facts import Test
from sandbox.outputs import plain_text

MOST_FILES = 20
MOST_BYTES = 4 << 20
SHOWN_REASONS = 12
LONGEST_REASON = 600


@dataclass(frozen=True, slots=True)
class _Found:
    problems: list[Problem]
    checks: dict[str, str]
    """Check → what it came to; the first that found something is the last."""


class Attempts:
    """The attempts at one hypothesis's patch, in one test."""

    def __init__(self, services: Services, test: Test) -> None:
        self._services, self._test = services, test
        self.number = 0
        self.taken: Edits | None = None
        self._last: list[Problem] = []

    def attempt(self, made: Attempt) -> list[Problem]:
        """Why the attempt is refused, recorded; an empty list takes it. Raises BadInput beyond the last round."""
        if self.number == ROUNDS:
            raise BadInput(*(self._last or [Problem("patch", "one more attempt", f"at most {ROUNDS}")]))
        self.number += 1
        found = self._checked(made)
        self.taken = made.edits if not found.problems else None
        self._last = found.problems
        self._record(made, found)
        return found.problems

    def _checked(self, made: Attempt) -> _Found:
        checks: dict[str, str] = {}
        for name, check in (
            ("applied", self._applied),
            ("boundary", self._boundary),
            ("lint", self._lint),
            ("imports", self._imports),
        ):
            problems, note = check(made)
            checks[name] = note or ("refused" if problems else "passed")
            if problems:
                return _Found([_bounded(problem) for problem in problems[:SHOWN_REASONS]], checks)
        return _Found([], checks)

    # -- the checks -----------------------------------------------------------------------------------------

    def _applied(self, made: Attempt) -> tuple[list[Problem], str]:
        """Whether there are edits that change something, and not too many."""
        if made.problems or made.edits is None:
            return list(made.problems) or [Problem("patch", "no edits", "a change of at least one file")], ""
        if len(made.edits) > MOST_FILES:
            return [Problem("patch", f"{len(made.edits)} files", f"at most {MOST_FILES}")], ""
        size = sum(len(content or b"") for content in made.edits.values())
        if size > MOST_BYTES:
            return [Problem("patch", f"{size} bytes", f"at most {MOST_BYTES}")], ""
        return [], ""

    def _boundary(self, made: Attempt) -> tuple[list[Problem], str]:
        edits = made.edits or {}
        problems = self._services.outside.boundary(self._services, self._test, edits)
        config = self._services.target.solution.config
        if config in edits and edits[config] is None:
            problems.append(Problem(config, "a deletion of the configuration", "the file that holds every setting"))
        before = self._before(edits) if not problems else {}
        if not problems and all(before[path] == content for path, content in edits.items()):
            problems.append(Problem("patch", "no change: every file is as it was", "a change of at least one file"))
        return problems, ""

    def _lint(self, made: Attempt) -> tuple[list[Problem], str]:
        from tools.lint import new_findings

        edits = made.edits or {}
        before = self._before(edits)
        changed = [(path, content) for path, content in sorted(edits.items()) if content is not None]
        return [problem for path, content in changed for problem in new_findings(path, before[path], content)], ""

    def _imports(self, made: Attempt) -> tuple[list[Problem], str]:
        edits, runner = made.edits or {}, self._services.runner
        if changed := self._services.solution.environment_files(edits):
            return [], f"left to the fast run: {', '.join(changed)[:200]} make another environment"
        try:
            runner.prepare([self._test.production], self._services.cancel)
        except BuildFailed:
            return [], "left to the fast run: production's environment is not built"
        done = self._services.outside.import_check(self._services, self._test, edits)
        return list(done.problems), "" if done.problems else done.note

    def _before(self, edits: Edits) -> dict[str, bytes | None]:
        known = self._services.solution.files(self._test.production)
        return {
            path: self._services.solution.read(self._test.production, path) if path in known else None for path in edits
        }

    # -- the record -----------------------------------------------------------------------------------------

    def _record(self, made: Attempt, found: _Found) -> None:
        from tools.unified_diff import unified

        services, test = self._services, self._test
        before = services.history.postponed.get(test.hypothesis)
        times = before.times if before is not None else 0
        text, diff = services.blobs.put(made.text.encode("utf-8", "replace")), ""
        if made.edits is not None and found.checks.get("applied") == "passed":
            diff = services.blobs.put(unified(self._before(made.edits), made.edits).encode())
        paths = sorted(plain_text(path, 240) for path in made.edits or {})
        reasons = [str(problem) for problem in found.problems]
        data = {
            "number": self.number,
            "of": ROUNDS,
            "production": test.production,
            "taken": not found.problems,
            "text": text,
            "diff": diff,
            "files": paths[:SHOWN_REASONS],
            "checks": found.checks,
            "problems": reasons,
            "refusals": [asdict(problem) for problem in found.problems],
            "call": made.call,
            "by": plain_text(made.by, 200),
        }
        facts = [text, diff, paths, reasons]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        why = f"taken after {', '.join(found.checks)}" if not found.problems else reasons[0]
        key = f"attempt:{test.hypothesis}:{test.production}:{times}:{self.number}:{digest}"
        services.record("patch_attempted", test.hypothesis, data, reason=why, key=key)
        if found.problems:
            services.progress.say(f"  {test.hypothesis} attempt {self.number} of {ROUNDS} refused: {why[:200]}")


def _bounded(problem: Problem) -> Problem:
    """A reason of which every part is plain, short and on one line, whatever a stranger's name or message is in it.

    Blanks in a row stay: often they are what is wrong with a patch.
    """

    def short(text: str, limit: int) -> str:
        return plain_text(text, limit).replace("\n", " ").replace("\t", " ").strip()

    return Problem(
        where=short(problem.where, 240) or "patch",
        found=short(problem.found, LONGEST_REASON),
        expected=short(problem.expected, LONGEST_REASON),
        place=short(problem.place, 240),
        line=problem.line,
        fix=short(problem.fix, LONGEST_REASON),
    )

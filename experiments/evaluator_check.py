"""What the target's evaluator gives for answers that nobody worked for: each tried in its own sandbox, as it is used.

Called by `agent.evaluator`, before a night and by `agent doctor --evaluator`. The evaluator is production's protected
one, run by the very code that scores every run; only the answers are others. Nothing of this is a run: no result of
it is recorded as one or reaches a verdict of the gate.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiments.cheats import Cheat, Files, cheats
from experiments.phases import PhasedRun
from experiments.plans import Plan
from experiments.runner import Runner
from registry.runs import RunRecord
from sandbox.outputs import plain_text, remove_tree

Verdict = Literal["ok", "equal", "beats", "untried"]
"""`equal`: within production's noise below it. `untried`: the sandbox failed, or there was no time for it."""
NOISE = 2.0
"""Standard deviations of production within which a score counts as production's."""
OWN_NOISE = 5.0
"""Times that two scores of the same answers may differ, where a score is held against production's own answers."""
LEAST_S = 30.0
"""What the check before a night may always take, in seconds of the evaluator."""
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Tried:
    """What the evaluator did with one variant."""

    variant: str
    score: float | None
    """None where it gave none."""
    why: str
    """What became of it where there is no score; a stranger's text made plain."""
    untried: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One cheat and what it came to."""

    cheat: str
    rule: str
    verdict: Verdict
    score: float | None
    """The score that the verdict is about."""
    tried: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Every cheat beside production's honest score."""

    metric: str
    higher_is_better: bool
    production: float
    again: float | None
    """The score of the same answers, scored once more; None where the evaluator gave none."""
    noise: float | None
    """Production's standard deviation over seeds; None where it is not known."""
    rows: tuple[Row, ...]

    @property
    def beaten(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.verdict == "beats")

    @property
    def suspicious(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.verdict == "equal")


def answers_folder(runner: Runner, record: RunRecord) -> Path | None:
    """Where a finished run's answers still lie; None where they were let go of."""
    folder = runner.root / record.folder / ("answers" if runner.target.phases.predict is not None else "model")
    return folder if folder.is_dir() else None


def read_answers(folder: Path) -> dict[str, bytes]:
    """Every plain file of a folder of answers, by its path there."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class EvaluatorCheck:
    """Tries cheats on one target's evaluator, several side by side."""

    def __init__(self, runner: Runner, commit: str, cancel: threading.Event, slots: int) -> None:
        """`commit` is production's, whose protected files and labels are used."""
        self._runner = runner
        self._cancel = cancel
        self._slots = slots
        self._plan = Plan("production", "production", "check", commit, commit, 0)
        self._place = runner.root / ".agent" / "cache" / "running"
        primary = runner.target.metrics.primary
        self._metric, self._higher = primary.name, primary.higher_is_better

    def table(self, honest: Files, record: RunRecord, noise: float | None, whole: bool) -> Table:
        """Try the cheats that can be made of production's answers.

        `record` is the run that gave them. `whole` tries every variant; otherwise those that could win, as many as
        the time of a run or two allows.
        """
        production = record.metrics[self._metric]
        made = cheats(honest, self._metric, self._claim(production))
        planned = [(cheat, name, files) for cheat in made for name, files in _first(cheat, whole)]
        took = record.phases["evaluate"].wall_s if "evaluate" in record.phases else 0.0
        room = len(planned) if whole else self._room(record, took)
        with ThreadPoolExecutor(max_workers=self._slots, thread_name_prefix="cheat") as pool:
            same = pool.submit(self._score, "the same answers", honest)
            done = list(pool.map(lambda one: self._try(one[0], one[1], one[2]), planned[:room]))
        again = same.result()
        left = [Tried(name, None, "left out: the evaluator takes long", untried=True) for _, name, _ in planned[room:]]
        found: dict[str, list[Tried]] = {cheat.name: [] for cheat in made if cheat.nightly or whole}
        for (cheat, _, _), tried in zip(planned, [*done, *left], strict=True):
            found[cheat.name].append(tried)
        own = 0.0 if again.score is None else abs(again.score - production)
        rows = []
        for cheat in made:
            if cheat.name not in found:
                continue
            results = found[cheat.name]
            row = self._row(cheat, results, production, noise, own)
            if cheat.luck and row.verdict != "ok" and not whole:  # one deal may be lucky, three are not
                results += [self._try(cheat, name, files) for name, files in cheat.variants[1:]]
                row = self._row(cheat, results, production, noise, own)
            rows.append(row)
        return Table(self._metric, self._higher, production, again.score, noise, tuple(rows))

    def _room(self, record: RunRecord, took: float) -> int:
        allowed = max(LEAST_S, sum(phase.wall_s for phase in record.phases.values()))
        return max(self._slots, int(self._slots * allowed / took)) if took > 0.0 else 10_000

    def _claim(self, production: float) -> float:
        """A value better than production's: the best that a metric from 0 to 1 can have, or one well beyond."""
        if self._higher:
            return 1.0 if 0.0 <= production < 1.0 else production + abs(production) + 1.0
        return 0.0 if production > 0.0 else production - abs(production) - 1.0

    def _try(self, cheat: Cheat, variant: str, files: Files) -> Tried:
        return self._score(variant, files, cheat.name)

    def _score(self, variant: str, files: Files, cheat: str = "") -> Tried:
        """Hand the files to the evaluator; whatever it does with them is an answer."""
        key = self._runner.key(self._plan)
        name = hashlib.sha256(f"{key.settings}\0{cheat}\0{variant}".encode()).hexdigest()
        key = key.model_copy(update={"settings": name})
        work = self._place / f"cheat-{key.run_id}"
        remove_tree(work)
        try:
            answers = work / "answers"
            answers.mkdir(parents=True)
            for path, content in files.items():
                (answers / path).parent.mkdir(parents=True, exist_ok=True)
                (answers / path).write_bytes(content)
            record = PhasedRun(self._runner, self._plan, key, work, 1, self._cancel).evaluate(answers)
        finally:
            remove_tree(work)
        if record.status == "ok":
            return Tried(variant, record.metrics[self._metric], "")
        return Tried(variant, None, plain_text(_ending(record.why), 300), untried=record.status == "infra")

    # -- what it comes to -----------------------------------------------------------------------------------

    def _row(self, cheat: Cheat, tried: Sequence[Tried], production: float, noise: float | None, own: float) -> Row:
        scores = [one.score for one in tried if one.score is not None]
        if not tried or (any(one.untried for one in tried) and not scores):
            return Row(cheat.name, cheat.rule, "untried", None, tuple(tried))
        if not scores or (cheat.luck and len(scores) < len(tried)):
            return Row(cheat.name, cheat.rule, "ok", None, tuple(tried))
        sign = 1.0 if self._higher else -1.0
        chosen = (min if cheat.luck else max)(scores, key=lambda score: sign * score)
        above = sign * (chosen - production)
        slack = ROUNDING * max(1.0, abs(production))
        verdict: Verdict = "ok"
        if cheat.rule == "padded":
            verdict = "beats" if above > slack + OWN_NOISE * own else "ok"
        elif above >= -slack:
            verdict = "beats"
        elif above >= -NOISE * (noise or 0.0):
            verdict = "equal"
        return Row(cheat.name, cheat.rule, verdict, chosen, tuple(tried))


def _ending(why: str) -> str:
    """How a phase failed, with the last line that it printed: of a traceback the error."""
    ending, lines, printed = why.partition("; last lines: ")
    return f"{ending}; last line: {printed.rpartition(' | ')[2]}" if lines else why


def _first(cheat: Cheat, whole: bool) -> Iterator[tuple[str, Files]]:
    count = len(cheat.variants) if whole else 1 if cheat.luck else cheat.nightly
    yield from cheat.variants[:count]


def as_data(table: Table) -> dict[str, Any]:
    """The table for the log."""
    return {
        "metric": table.metric,
        "higher_is_better": table.higher_is_better,
        "production": table.production,
        "again": table.again,
        "noise": table.noise,
        "rows": [
            {
                "cheat": row.cheat,
                "rule": row.rule,
                "verdict": row.verdict,
                "score": row.score,
                "tried": [{"variant": one.variant, "score": one.score, "why": one.why} for one in row.tried],
            }
            for row in table.rows
        ],
    }


def beaten(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a recorded table that beat production."""
    return [row for row in data["rows"] if row["verdict"] == "beats"]

"""One run on its way through train, predict and evaluate.

Called by `experiments.runner`, which gives it a temporary folder and moves the folder to its place when the record is
written. Here stands what each phase may see: a candidate's code sees the training data, the inputs of one split, its
configuration and a seed; labels, evaluator and production's results are never mounted where it runs.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

from experiments import code_builds, endings, metrics
from experiments.code_builds import CodeBuild
from experiments.gpu_pool import Lent
from experiments.left_files import folder_digest, no_plain_file
from experiments.plans import Plan
from experiments.run_steps import Bench, RunSteps
from registry.errors import BadInput
from registry.runs import RunKey, RunRecord
from registry.target import Predict
from sandbox.contract import Mount
from sandbox.outputs import read_output, remove_tree

PREDICTIONS = "predictions.jsonl"
MAX_PREDICTIONS_BYTES = 512 << 20


class PhasedRun:
    """One run on its way through the phases; holds the temporary folder until the record is written."""

    def __init__(
        self,
        runner: Bench,
        plan: Plan,
        key: RunKey,
        work: Path,
        attempt: int,
        cancel: threading.Event,
        lent: Lent | None = None,
        built: CodeBuild | None = None,
    ) -> None:
        self.runner = runner
        self.target = runner.target
        self.plan = plan
        self.work = work
        self.built = built
        self.steps = RunSteps(runner, plan, key, work, attempt, cancel, lent)

    def go(self) -> RunRecord:
        """Every phase in turn, to the record of how it ended."""
        if (failure := self._build()) is not None:
            return failure
        config = self._configuration()
        if (failure := self._train(config)) is not None:
            return failure
        if self.target.phases.predict is not None and (failure := self._predict(config)) is not None:
            return failure
        return self.evaluate(self.work / ("answers" if self.target.phases.predict is not None else "model"))

    def _configuration(self) -> Path:
        config = self.work / "config.yaml"
        config.write_bytes(self.runner.source.configuration(self.plan.commit, self.runner.overrides(self.plan)))
        return config

    # -- phases ---------------------------------------------------------------------------------------------

    def _build(self) -> RunRecord | None:
        """What the build of the code came to that was made for this run; it costs nothing where it was there."""
        if self.built is None or self.built.outcome is None:
            return None
        outcome = self.built.outcome
        self.steps.note("build", outcome)
        if self.built.log is not None and self.built.log.is_file():
            shutil.copyfile(self.built.log, self.work / "build.log")
        if self.built.folder is not None:
            return None
        status, why = endings.build_failure(outcome)
        return self.steps.record(status, f"build: {why}")

    def _built_mounts(self) -> list[Mount]:
        if self.built is None or self.built.folder is None:
            return []
        return [Mount(self.built.folder, code_builds.PLACE)]

    def _train(self, config: Path) -> RunRecord | None:
        phase = self.target.phases.train
        mounts = self._train_mounts(config)
        values = {"config": "/config/config.yaml", "seed": str(self.plan.seed), "data": "/data", "out": "/work"}
        values["build"] = code_builds.PLACE
        return self.steps.take("train", phase.command, values, mounts, "model", self._code())

    def _train_mounts(self, config: Path) -> list[Mount]:
        mounts = [Mount(config, "/config/config.yaml"), *self._built_mounts()]
        if (data := self.target.phases.train.data) is not None:
            mounts.append(Mount(self.runner.trees.data(self.plan.production, data), "/data"))
        return mounts

    def _predict(self, config: Path) -> RunRecord | None:
        phase = self._predict_phase()
        inputs = self.runner.trees.data(self.plan.production, phase.inputs[self.plan.split])
        failure = self.steps.take(
            "predict",
            phase.command,
            self._predict_values(),
            self._predict_mounts(config, self.work / "model", inputs),
            "predicted",
            self._code(),
        )
        if failure is not None:
            return failure
        try:
            predictions = read_output(self.work / "predicted", PREDICTIONS, MAX_PREDICTIONS_BYTES)
        except BadInput as error:
            left = sorted(path.name for path in (self.work / "predicted").iterdir())
            told = f"; it left {', '.join(map(ascii, left[:5]))}" if left else "; it left nothing"
            found = ", ".join(problem.found for problem in error.problems)
            return self.steps.record(
                "bad_output", f"predict: {{out}}/{PREDICTIONS}: {found}, expected a regular file{told}"
            )
        answers = self.work / "answers"
        answers.mkdir()
        (answers / PREDICTIONS).write_bytes(predictions)
        remove_tree(self.work / "predicted")
        return None

    def _predict_phase(self) -> Predict:
        if self.target.phases.predict is None:
            raise ValueError("a target without phases.predict has nothing to predict or to time")
        return self.target.phases.predict

    def _predict_values(self) -> dict[str, str]:
        return {
            "config": "/config/config.yaml",
            "seed": str(self.plan.seed),
            "model": "/model",
            "inputs": "/inputs",
            "build": code_builds.PLACE,
            "out": "/work",
        }

    def _predict_mounts(self, config: Path, model: Path, inputs: Path) -> list[Mount]:
        mounts = [Mount(config, "/config/config.yaml"), Mount(model, "/model"), Mount(inputs, "/inputs")]
        return [*mounts, *self._built_mounts()]

    def evaluate(self, answers: Path) -> RunRecord:
        """Score a folder of answers: the run's own, or others that are to be tried (`experiments.evaluator_check`)."""
        phase = self.target.phases.evaluate
        if strange := no_plain_file(answers):
            return self.steps.record("bad_output", f"train: {strange} is neither a folder nor a plain file")
        if self.target.phases.predict is None and (last := self.steps.last) is not None and last.ignored:
            return self.steps.record("bad_output", f"train: {last.ignored[0]}, where only plain files are judged")
        digest = folder_digest(answers)
        labels = self.runner.trees.data(self.plan.production, phase.labels[self.plan.split])
        mounts = [Mount(answers, "/predictions"), Mount(labels, "/labels")]
        values = {"predictions": "/predictions", "labels": "/labels", "out": "/work"}
        protected = self.runner.trees.evaluator(self.plan.production)
        failure = self.steps.take("evaluate", phase.command, values, mounts, "evaluated", protected)
        if failure is not None:
            return failure.model_copy(update={"outputs_sha256": digest})
        try:
            found = metrics.read_metrics(self.work / "evaluated", self.target.metrics.primary.name)
            for name in ("metrics.json", metrics.EXAMPLES):
                if os.path.lexists(self.work / "evaluated" / name):
                    kept = read_output(self.work / "evaluated", name, metrics.MAX_EXAMPLES_BYTES)
                    (self.work / name).write_bytes(kept)
        except BadInput as error:
            return self.steps.record("bad_output", f"evaluate: {error}", outputs=digest)
        remove_tree(self.work / "evaluated")
        try:
            items = metrics.read_items(self.work)
        except BadInput as error:
            if self.target.gate.policy == "per-item":
                return self.steps.record("bad_output", f"evaluate: {error}", outputs=digest)
            items = None  # nobody asked for them
        record = self.steps.record("ok", "", found, outputs=digest)
        return record if items is None else record.model_copy(update={"items_sha256": items.digest()})

    def in_place_of(self, name: str, probe: Path, command: list[str]) -> str | None:
        """Run a probe of ours where train or predict would run, with what they see; None, or how it failed.

        It leaves what it found in the folder `probed`. The model that predict sees is an empty one.
        """
        config, mounts = self._configuration(), [Mount(probe, "/probe")]
        if name == "predict":
            phase = self._predict_phase()
            model = self.work / "model"
            model.mkdir()
            inputs = self.runner.trees.data(self.plan.production, phase.inputs[self.plan.split])
            mounts += self._predict_mounts(config, model, inputs)
        else:
            mounts += self._train_mounts(config)
        failure = self.steps.take("probe", command, {}, mounts, "probed", self._code())
        return None if failure is None else failure.why

    def _code(self) -> Path:
        return self.runner.trees.candidate(self.plan.commit, self.plan.production)

    def write_record(self, record: RunRecord) -> None:
        (self.work / "run.json").write_text(json.dumps(record.model_dump(), indent=1, sort_keys=True) + "\n")

"""Where a replay's runs come from: the record, by what went into each. Nothing is laid out, built or run.

Stands for the runner, its trees and its environments in a replay's services. Which machine it was, its data and its
packages, is read from the identities of the recorded runs at that place.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.replay.following import Follower, Stopped, asked_for
from agent.replay.recording import MissingInput, Recording, of_the_world
from experiments import metrics
from experiments.building import Build, BuildFailed
from experiments.code_builds import CodeBuilds
from experiments.environment import EnvironmentRecord
from experiments.environments import Environments
from experiments.items import Items
from experiments.measuring import InfrastructureFailed, Measurer, RunLedger
from experiments.plans import Plan, Source
from experiments.runner import Runner
from experiments.trees import TreeCache
from registry.durable import write_atomically
from registry.errors import BadInput
from registry.runs import RunKey, RunRecord
from registry.target import Target
from sandbox.contract import Capabilities, Isolation, Outcome, RunSpec

IDENTIFIED = (
    "runs have another identity than then (by another version of the program, or by another target.yaml where it was"
    " not recorded); they are known by commit, purpose and seed"
)


class NoSandbox:
    """Runs nothing. `isolation` is that of the recorded runs, since a weak sandbox's runs are other runs."""

    name = "the record"

    def __init__(self, isolation: Isolation) -> None:
        self.isolation: Isolation = isolation

    def doctor(self) -> Capabilities:
        return Capabilities(self.name, usable=False, isolation=self.isolation, items=())

    def reap(self) -> tuple[str, ...]:
        return ()

    def run(self, spec: RunSpec, cancel: threading.Event) -> Outcome:
        del cancel
        raise MissingInput(f"a replay was about to run {spec.run_id}; it runs nothing")


@dataclass(frozen=True, slots=True)
class RecordedEnvironment(EnvironmentRecord):
    """An environment as the log has it; of older versions' logs only the digest may be known."""

    recorded: dict[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        return str(self.recorded["sha256"])

    def facts(self) -> dict[str, Any]:
        return self.recorded


class RecordedEnvironments(Environments):
    """The environments of a night; none is built, looked at or let go of."""

    def __init__(self, runner: RecordedRunner) -> None:
        self._runner = runner
        self.known: dict[str, EnvironmentRecord] = {}
        self.declared: Path | None = None

    def python(self, commit: str) -> Path | None:
        """None: nothing is run."""
        del commit
        return None

    def look(self, commit: str) -> EnvironmentRecord:
        facts = self._runner.recording.environment(self._runner.now(commit).environment)
        packages = tuple(sorted(facts["packages"].items()))
        found = RecordedEnvironment(facts["python"], packages, facts["machine"], recorded=facts)
        self.known[found.sha256] = found
        return found

    def prepare(self, commits: Collection[str], cancel: threading.Event) -> list[Build]:
        """Nothing is built; what could not be built then cannot be built now."""
        del cancel
        known = self._runner.follower.decision()
        if known is not None:
            event = known[1]
            failed = event.kind == "hypothesis_archived" and event.data.get("code") == "environment"
            if failed and event.data.get("commit") in commits:
                raise BuildFailed(event.reason)
        return []

    def discard(self, commit: str, kept: str) -> None:
        del commit, kept

    def take_notes(self) -> list[str]:
        return []


class RecordedTrees(TreeCache):
    """Digests of the evaluator, worked out from the repository; of the data, as recorded: it may be gone by now."""

    def __init__(self, cache: Path, target: Target, runner: RecordedRunner, source: Source) -> None:
        super().__init__(cache, target, cache, source)
        self._runner = runner

    def data_digest(self, production: str) -> str:
        return self._runner.now(production).data

    def data_files(self, production: str) -> dict[str, str]:
        """As they were recorded; no file is read."""
        wanted = self._runner.now(production).data
        events = self._runner.recording.events
        found = (e.data["files"] for e in events if e.kind == "data_recorded" and e.data["sha256"] == wanted)
        return dict(next(found, {}))

    def data_folders(self, production: str) -> dict[str, str]:
        return self.data_files(production)


class NoBuilds(CodeBuilds):
    """Nothing is built, so there is nothing to let go of."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def discard(self, commit: str, kept: str) -> None:
        del commit, kept


class RecordedRunner(Runner):
    """Answers each plan with the recorded outcome of the same run."""

    def __init__(
        self,
        target: Target,
        source: Source,
        root: Path,
        follower: Follower,
        sandbox: NoSandbox,
        notes: list[str],
    ) -> None:
        """`notes` gets what a person should know about how runs were found."""
        # Not the parent's: it looks for GPUs, interpreters and packages on this machine.
        self.target, self.source, self.sandbox, self.root = target, source, sandbox, root
        self.follower, self.recording = follower, follower.recording
        self.notes = notes
        self.gpus = None
        self.python = None
        self.environments = RecordedEnvironments(self)
        self.trees = RecordedTrees(root / ".agent" / "cache" / "trees", target, self, source)
        self.builds = NoBuilds()

    # -- identity -------------------------------------------------------------------------------------------

    def key(self, plan: Plan) -> RunKey:
        """Identity of the run as it was recorded: one that is made now, else one that was paid before."""
        asked = RunKey(
            tree=self.source.tree(plan.commit),
            configuration=self._configuration(plan),
            data="",
            environment="",
            evaluator=self.trees.evaluator_digest(plan.production),
            settings=self._settings_digest(plan),
            split=plan.split,
            seed=plan.seed,
        )
        start, end = self.follower.window()
        known = self.recording.runs(of_the_world(asked)) or self._alike(plan)
        for index, record in known:
            if start <= index < end:
                return record.key
        now = self.now(plan.commit)
        before = [record.key for index, record in known if index < start]
        same = [key for key in before if key.environment == now.environment]
        return (same or before or [asked.model_copy(update={"data": now.data, "environment": now.environment})])[-1]

    def _alike(self, plan: Plan) -> list[tuple[int, RunRecord]]:
        """Runs of the same plan under another identity: another version identified them, or other settings did."""
        found = self.recording.alike(plan)
        if found and IDENTIFIED not in self.notes:
            self.notes.append(IDENTIFIED)
        return found

    def _configuration(self, plan: Plan) -> str:
        from hashlib import sha256

        return sha256(self.source.configuration(plan.commit, self.overrides(plan))).hexdigest()

    def now(self, commit: str) -> RunKey:
        """A run of this commit's files at this place of the record: it says what the machine was like.

        Where the record says next that the environment has changed, a run after that; where no run of the commit is
        known, one of another commit; where there is none at all, an empty identity.
        """
        tree = self.source.tree(commit)
        start, end = self.follower.window()
        everything = len(self.recording.events)
        changed = end < everything and self.recording.events[end].kind == "environment_changed"
        places = [(start, end), *([(end, everything)] if changed else []), (start, 0), (end, everything)]
        for fits in (lambda key: key.tree == tree, lambda _: True):
            for first, last in places:
                if (key := next(filter(fits, self.recording.keys(first, last)), None)) is not None:
                    return key
        empty = dict.fromkeys(RunKey.model_fields, "")
        return RunKey.model_validate({**empty, "tree": tree, "seed": 0})

    # -- outcomes -------------------------------------------------------------------------------------------

    def execute(self, plan: Plan, attempt: int, cancel: threading.Event) -> RunRecord:
        """The recorded outcome of the attempt: raises Diverged, by `asked_for`, where there is none."""
        del cancel
        key = self.key(plan)
        found = [(i, r) for i, r in self.recording.runs(of_the_world(key)) if r.key == key and r.attempt == attempt]
        place = [pair for pair in found if pair[0] >= self.follower.at] or found[-1:]
        if not place:
            raise self._not_recorded(plan, key)
        index, record = place[0]
        if index >= self.follower.part.end:
            raise Stopped
        lay_out_items(self.recording, record, self.root)
        self.follower.reach(index)
        return record

    def place(self, plan: Plan) -> int:
        """Where the record has the end of a run that is made now; before all others where it was paid earlier."""
        start, end = self.follower.window()
        found = self.recording.runs(of_the_world(self.key(plan)))
        return max((index for index, _ in found if start <= index < end), default=-1)

    def _not_recorded(self, plan: Plan, key: RunKey) -> Exception:
        known = self.follower.decision()
        if known is not None and known[1].kind == "night_ended" and known[1].data.get("failed"):
            return InfrastructureFailed(known[1].reason)
        if self.follower.is_over():
            return Stopped()
        what = f"{plan.subject}: a run ({plan.arm}, {plan.purpose}, {plan.split}, seed {plan.seed}, {key.run_id})"
        return asked_for(self.follower, what)

    def discard_model(self, folder: str) -> None:
        del folder


class RecordedMeasurer(Measurer):
    """One run after the other, in the order in which they ended; nothing has to be quiet for it."""

    def __init__(self, runner: RecordedRunner, ledger: RunLedger, cancel: threading.Event) -> None:
        super().__init__(runner, ledger, cancel, slots=1)
        self._places = runner.place

    def measure(self, plans: Sequence[Plan], exclusive: bool = False) -> list[RunRecord]:
        """As the night does. What is recorded first is seen first, since some readers take runs in that order."""
        places = [self._places(plan) for plan in plans]
        order = sorted(range(len(plans)), key=places.__getitem__)
        records = super().measure([plans[index] for index in order], exclusive)
        return [record for _, record in sorted(zip(order, records, strict=True), key=lambda pair: pair[0])]

    def _wait_until_quiet(self) -> None:
        return


def lay_out_items(recording: Recording, record: RunRecord, root: Path) -> None:
    """Scores of single items where the gate reads them: from the workspace's results, else from the look they are in.

    Raises MissingInput where a run had them and neither place has the ones that its record names.
    """
    if not record.items_sha256 or record.purpose != "gate":
        return
    items = _items_in(recording.workspace.root / record.folder, record) or _items_of_a_look(recording, record)
    if items is None:
        raise MissingInput(
            f"{record.folder}/{metrics.EXAMPLES}: the scores that run {record.run_id} left are not there"
        )
    clusters = items.clusters or ("",) * len(items.ids)
    lines = [
        {"id": name, "score": score, **({"cluster": cluster} if cluster else {})}
        for name, score, cluster in zip(items.ids, items.scores, clusters, strict=True)
    ]
    folder = root / record.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / metrics.EXAMPLES, "".join(json.dumps(line) + "\n" for line in lines))


def _items_in(folder: Path, record: RunRecord) -> Items | None:
    try:
        items = metrics.read_items(folder)
    except BadInput:
        return None
    return items if items is not None and items.digest() == record.items_sha256 else None


def _items_of_a_look(recording: Recording, record: RunRecord) -> Items | None:
    for event in recording.events:
        found = event.data["evidence"].get("items") if event.kind == "look" else None
        if found:
            clusters = tuple(found.get("clusters") or ())
            items = Items(tuple(found["ids"]), tuple(found[record.arm]), clusters)
            if items.digest() == record.items_sha256:
                return items
    return None

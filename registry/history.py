"""What the audit log says is true now: a fold of its events, and nothing that is not in them.

The nodes read it, append an event, and the event changes it; on start it is rebuilt by folding the log from its
first line. It holds facts about what is open and small facts about what is closed, so that its size follows the
number of hypotheses and never the number of runs: a closed test's run records stay in the log, under their key.
"""

from __future__ import annotations

from collections.abc import Callable

from registry.facts import Postponement, Production, Test, Verdict
from registry.folded_facts import EventLike
from registry.hypotheses import OPEN_STATUSES, Hypothesis, Status
from registry.runs import RunRecord
from registry.surroundings_fold import SurroundingsFold


class History(SurroundingsFold):
    """Facts by fold. `apply` takes every event once, in order; everything else is read."""

    def __init__(self) -> None:
        super().__init__()
        self._handlers: dict[str, Callable[[EventLike], None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(self) if name.startswith("_on_")
        }

    def apply(self, event: EventLike) -> None:
        """Take one event in; kinds without a handler change nothing here."""
        self.seq = event.seq
        handler = self._handlers.get(event.kind)
        if handler is not None:
            handler(event)

    # -- questions ------------------------------------------------------------------------------------------

    @property
    def production(self) -> Production | None:
        """The commit that is production now."""
        return self.productions[-1] if self.productions else None

    def with_status(self, status: Status) -> list[Hypothesis]:
        """Hypotheses in a status, best priority first, older first among equals."""
        chosen = [h for h in self.hypotheses.values() if h.status == status]
        return sorted(chosen, key=lambda h: (-h.priority_score, h.id))

    def next_id(self, offset: int = 0) -> str:
        """The next unused hypothesis id; ids are monotone and never reused."""
        highest = max((int(name[2:]) for name in self.hypotheses), default=0)
        return f"H-{highest + 1 + offset:03d}"

    def open_hypotheses(self) -> list[Hypothesis]:
        """Hypotheses that may still get a verdict."""
        return [h for h in self.hypotheses.values() if h.status in OPEN_STATUSES]

    # -- hypotheses -----------------------------------------------------------------------------------------

    def _status(self, event: EventLike, status: Status) -> None:
        subject = event.subject
        self.hypotheses[subject] = self.hypotheses[subject].model_copy(update={"status": status})
        self.why[subject], self.decided_at[subject] = event.reason, event.time

    def _on_hypotheses_proposed(self, event: EventLike) -> None:
        for item in event.data["hypotheses"]:
            hypothesis = Hypothesis.model_validate(item)
            self.hypotheses[hypothesis.id] = hypothesis
        self.proposals[event.data["basis"]] = {"note": event.data["note"], "exhausted": event.data["exhausted"]}
        self.exhausted = event.data["note"] if event.data["exhausted"] else ""
        self.fruitless += bool(event.data.get("by")) and not event.data["hypotheses"]

    def _on_hypothesis_taken_in(self, event: EventLike) -> None:
        hypothesis = Hypothesis.model_validate(event.data["hypothesis"])
        self.hypotheses[hypothesis.id] = hypothesis

    def _on_hypothesis_ranked(self, event: EventLike) -> None:
        self.hypotheses[event.subject] = self.hypotheses[event.subject].model_copy(
            update={"priority_score": event.data["priority_score"], "urgency": event.data["urgency"]}
        )

    def _on_hypothesis_archived(self, event: EventLike) -> None:
        self._status(event, "archived")
        held = self.held.pop(event.subject, None)
        if event.subject in self.tests:
            test = self.tests[event.subject]
            test.decided = "archive"
            if held is not None and event.data.get("code") == "rejected" and test.gate is not None:
                self.season_events.append(("archive", {"t": test.gate["t"]}))
        if event.data.get("code") in {"validation", "patch", "no_op", "environment"}:
            hypothesis = self.hypotheses[event.subject]
            self.verdicts.append(
                Verdict(
                    hypothesis=event.subject,
                    outcome="archive",
                    reason=event.data["code"],
                    explanation=event.reason,
                    gain=None,
                    settings=dict(hypothesis.implementation.settings),
                    family=hypothesis.family,
                    production=event.data["production"],
                    seq=event.seq,
                )
            )

    def _on_gap_noted(self, event: EventLike) -> None:
        self.gap_notes[event.subject] = event.seq

    def _on_results_written(self, event: EventLike) -> None:
        """A closed test's records are not needed any more; a parked one's are."""
        if self.hypotheses[event.subject].status != "parked":
            self.tests.pop(event.subject, None)

    def _on_hypothesis_requeued(self, event: EventLike) -> None:
        self._status(event, "queued")
        self.requeued[event.subject] = self.requeued.get(event.subject, 0) + 1
        self.tests.pop(event.subject, None)

    def _on_hypothesis_postponed(self, event: EventLike) -> None:
        self._status(event, "queued")
        self.tests.pop(event.subject, None)
        before, night = self.postponed.get(event.subject), event.data["night"]
        tonight = before.tonight if before is not None and before.night == night else 0
        times = before.times if before is not None else 0
        self.postponed[event.subject] = Postponement(event.data["cycle"], night, times + 1, tonight + 1, event.reason)

    def _on_hypothesis_started(self, event: EventLike) -> None:
        self._status(event, "active")
        self.tests[event.subject] = Test(
            hypothesis=event.subject,
            production=event.data["production"],
            production_tree=event.data["production_tree"],
            started_at=event.time,
        )

    def _on_patch_committed(self, event: EventLike) -> None:
        test = self.tests[event.subject]
        test.branch, test.commit, test.tree = event.data["branch"], event.data["commit"], event.data["tree"]
        test.diff, test.empty = event.data["diff"], event.data["empty"]
        test.environment_files = tuple(event.data.get("environment_files", ()))
        self.tried_trees[test.tree] = event.subject

    def _on_validated(self, event: EventLike) -> None:
        self.tests[event.subject].validated = bool(event.data["ok"])

    # -- runs -----------------------------------------------------------------------------------------------

    def _on_run_started(self, event: EventLike) -> None:
        self.unfinished_runs[event.data["run_id"]] = event.data

    def _on_run_finished(self, event: EventLike) -> None:
        record = RunRecord.model_validate(event.data)
        self.unfinished_runs.pop(record.run_id, None)
        if self.night is not None and record.purpose != "check":  # a check is no part of any night
            self.night.runs += 1
            self.night.run_seconds += sum(phase.wall_s for phase in record.phases.values())
        if record.subject in self.tests:
            self.tests[record.subject].runs[record.arm, record.purpose, record.key.seed] = record
        elif record.purpose == "baseline" and record.status == "ok":
            self.baseline.setdefault(record.commit, {})[record.key.seed] = record
            self.first_baseline.setdefault(record.commit, {}).setdefault(record.key.seed, record)

    def _on_environment_changed(self, event: EventLike) -> None:
        """The test's runs of the old environment are no evidence any more, and the looks at them neither."""
        test = self.tests[event.subject]
        test.runs = {key: record for key, record in test.runs.items() if record.purpose == "validation"}
        test.last_look = None
        test.restarts += 1
        if test.gate is not None and "environments" in event.data:
            test.gate = {**test.gate, "environments": event.data["environments"]}

    def _on_runs_taken_up(self, event: EventLike) -> None:
        for item in event.data["runs"]:
            record = RunRecord.model_validate(item)
            self.tests[event.subject].runs[record.arm, record.purpose, record.key.seed] = record

    def _on_baseline_taken_up(self, event: EventLike) -> None:
        records = [RunRecord.model_validate(item) for item in event.data["runs"]]
        self.baseline[event.data["commit"]] = {record.key.seed: record for record in records}

    # -- the gate -------------------------------------------------------------------------------------------

    def _on_gate_entered(self, event: EventLike) -> None:
        self.tests[event.subject].gate = event.data
        self.season_events.append((event.kind, {"test": event.data["test"], "day": event.data["day"]}))

    def _on_look(self, event: EventLike) -> None:
        test = self.tests[event.subject]
        test.looks += 1
        test.last_look = event.data

    def _on_verdict(self, event: EventLike) -> None:
        hypothesis = self.hypotheses[event.subject]
        outcome = event.data["outcome"]
        self.verdicts.append(
            Verdict(
                hypothesis=event.subject,
                outcome=outcome,
                reason=event.data["reason"],
                explanation=event.reason,
                gain=event.data.get("gain"),
                gain_on=event.data.get("gain_on", ""),
                settings=dict(hypothesis.implementation.settings),
                family=hypothesis.family,
                production=event.data["production"],
                seq=event.seq,
                log_e=event.data.get("log_e"),
                mean=event.data.get("mean"),
            )
        )
        held = event.data["reason"] == "implausible"
        if held:
            self.held[event.subject] = event.seq
        else:
            self.held.pop(event.subject, None)
            gain = event.data.get("gain")
            self.season_gain = max(self.season_gain, (event.data.get("mean") if gain is None else gain) or 0.0)
        test = self.tests.get(event.subject)
        if test is not None:
            test.decided = outcome
            if test.gate is not None:
                # No promotion of another lets in what is held: only a person does.
                facts = {"t": test.gate["t"], "log_e": None if held else event.data.get("log_e")}
                self.season_events.append((outcome, facts))
        if outcome in {"archive", "park"}:
            self._status(event, "archived" if outcome == "archive" else "parked")

    def _on_released(self, event: EventLike) -> None:
        self.released.add(event.data["commit"])

    def _on_season_opened(self, event: EventLike) -> None:
        self.season_gain = 0.0
        self.seasons = event.data["id"]
        self.season_events = [(event.kind, event.data)]

    def _on_season_closed(self, event: EventLike) -> None:
        self.season_events.append((event.kind, event.data))

    # -- production -----------------------------------------------------------------------------------------

    def _on_production_at(self, event: EventLike) -> None:
        self.productions.append(
            Production(
                commit=event.data["commit"],
                tree=event.data["tree"],
                index=len(self.productions),
                configuration=event.data["configuration"],
                why=event.reason,
                seq=event.seq,
            )
        )
        self.baseline, self.first_baseline = {}, {}
        same = {each.commit for each in self.productions if each.tree == event.data["tree"]}
        self.scores = {board: score for board, (of, score) in self.scored.items() if of in same}

    def _on_test_look(self, _event: EventLike) -> None:
        self.test_looks += 1

    def _on_defended(self, event: EventLike) -> None:
        self.defence_slot = event.data["slot"]
        self.defences = event.data["number"]

    def _on_board_score(self, event: EventLike) -> None:
        commit = event.data["commit"] or (self.production.commit if self.production is not None else "")
        self.scored[event.subject] = (commit, float(event.data["score"]))
        self.scores[event.subject] = float(event.data["score"])

    def _on_promoted(self, event: EventLike) -> None:
        self._status(event, "promoted")

    # -- watching and reading -------------------------------------------------------------------------------

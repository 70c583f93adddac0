"""What the audit log says is true now: a fold of its events, and nothing that is not in them.

The nodes read it, append an event, and the event changes it; on start it is rebuilt by folding the log from its
first line. It holds facts about what is open and small facts about what is closed, so that its size follows the
number of hypotheses and never the number of runs: a closed test's run records stay in the log, under their key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from registry.facts import BoardState, Data, Night, OpenCycle, Production, Test, Verdict
from registry.hypotheses import OPEN_STATUSES, Hypothesis, Status
from registry.papers import Reading
from registry.runs import RunRecord


class EventLike(Protocol):
    """The part of `registry.audit.Event` that a fold reads."""

    @property
    def seq(self) -> int: ...
    @property
    def time(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def data(self) -> Data: ...


class History:
    """Facts by fold. `apply` takes every event once, in order; everything else is read."""

    def __init__(self) -> None:
        self.seq = 0
        self.hypotheses: dict[str, Hypothesis] = {}
        self.requeued: dict[str, int] = {}
        """Hypothesis → how often it went back to the queue for a test on another production."""
        self.why: dict[str, str] = {}
        """Hypothesis → why it has the status it has."""
        self.decided_at: dict[str, str] = {}
        self.gap_notes: dict[str, int] = {}
        """Hypothesis → the event that has the gap analysis of its rejection."""
        self.tests: dict[str, Test] = {}
        self.verdicts: list[Verdict] = []
        self.productions: list[Production] = []
        self.boards: dict[str, BoardState] = {}
        self.readings: dict[str, Reading] = {}
        self.listed_papers: dict[str, Data] = {}
        """Papers found and not read yet: key → source and record."""
        self.papers_asked = 0
        self.papers_slot = ""
        self.papers_due = False
        """A trigger asked for research before its schedule."""
        self.report_slot = ""
        self.proposals: dict[str, Data] = {}
        self.exhausted = ""
        """Why nothing is left to propose, for the facts of `exhausted_basis`; empty when there is."""
        self.season_events: list[tuple[str, Data]] = []
        """What happened in the open season, for `agent.seasons` to fold by the season's own rules."""
        self.seasons = 0
        self.season_gain = 0.0
        """The largest mean gain of the open season's decided candidates, without those that were held."""
        self.held: dict[str, int] = {}
        """Hypothesis → the verdict that holds it for a person (reason `implausible`), while it does."""
        self.released: set[str] = set()
        """Commits of candidates that were held and that a person has let go on."""
        self.defence_slot = ""
        self.defences = 0
        self.test_looks = 0
        self.scores: dict[str, float] = {}
        """Board → the score of today's production there; a board is missing where that is not known."""
        self.scored: dict[str, tuple[str, float]] = {}
        """Board → the commit that had the last score, and the score, which may be an earlier production's."""
        self.evaluator_checks: dict[str, Data] = {}
        """Identity of an evaluator with its data → the latest check of it (event `evaluator_checked`)."""
        self.accepted_evaluators: dict[str, str] = {}
        """Identity → why a person accepts an evaluator that can be fooled."""
        self.noise: Data | None = None
        """The latest measurement of production's noise (event `noise_measured`)."""
        self.tried_trees: dict[str, str] = {}
        """Tree of a committed patch → the hypothesis that had it, so that no content is paid for twice."""
        self.night: Night | None = None
        self.nights = 0
        self.cycle: OpenCycle | None = None
        self.cycles = 0
        self.unfinished_runs: dict[str, Data] = {}
        self.failed_production_runs = 0
        self.baseline: dict[str, dict[int, RunRecord]] = {}
        """Production commit → seed → its baseline runs on dev; never a look at the test split, never a re-run."""
        self.first_baseline: dict[str, dict[int, RunRecord]] = {}
        """The same as first measured: what a re-run is held against when environment or data have changed since."""
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

    def _on_evaluator_checked(self, event: EventLike) -> None:
        self.evaluator_checks[event.data["identity"]] = event.data

    def _on_evaluator_accepted(self, event: EventLike) -> None:
        self.accepted_evaluators[event.data["identity"]] = event.reason

    def _on_noise_measured(self, event: EventLike) -> None:
        self.noise = event.data

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

    def _on_board_read(self, event: EventLike) -> None:
        board = self.boards.setdefault(event.subject, BoardState())
        board.tried_slot, board.tried_cycle = event.data["slot"], event.data.get("cycle", 0)
        if event.data["status"] != "read":
            return
        board.slot = event.data["slot"]
        if event.data["delta"] is None:
            board.at_top_cycles = 0  # a first reading, or another track: a victory is not held across
        board.snapshot, board.track = event.data["snapshot"], event.data["track"]
        board.delta = event.data["delta"]

    def _on_standing(self, event: EventLike) -> None:
        board = self.boards.setdefault(event.subject, BoardState())
        board.stood = True
        board.rank, board.gap, board.gap_points = event.data["rank"], event.data["gap"], event.data["gap_points"]
        board.trigger, board.at_top_cycles = event.data["trigger"], event.data["at_top_cycles"]
        board.delta, board.strategy = None, event.data["strategy"]
        board.watched = event.data.get("watched", [])
        self.papers_due = self.papers_due or event.data["research"]
        if self.night is not None and event.subject not in self.night.rank_before:
            self.night.rank_before[event.subject] = event.data["rank"]

    def _on_papers_listed(self, event: EventLike) -> None:
        self.papers_slot = event.data["slot"]
        self.papers_due = False
        self.papers_asked += 1
        self.listed_papers.update(event.data["papers"])

    def _on_paper_read(self, event: EventLike) -> None:
        self.readings[event.subject] = Reading.model_validate(event.data["reading"])
        self.listed_papers.pop(event.subject, None)

    def _on_paper_unreadable(self, event: EventLike) -> None:
        self.listed_papers.pop(event.subject, None)

    def _on_report_written(self, event: EventLike) -> None:
        self.report_slot = event.data["slot"]

    # -- nights and cycles ----------------------------------------------------------------------------------

    def _on_night_started(self, event: EventLike) -> None:
        self.nights += 1
        self.night = Night(id=event.subject, started_at=event.time, goal=event.data, first_seq=event.seq)

    def _on_night_resumed(self, event: EventLike) -> None:
        if self.night is not None:
            self.night.goal = {**self.night.goal, **event.data["goal"]}

    def _on_night_ended(self, event: EventLike) -> None:
        if self.night is not None:
            self.night.ended = event.reason

    def _on_cycle_started(self, event: EventLike) -> None:
        self.cycles = event.data["cycle"]
        self.cycle = OpenCycle(event.data["cycle"], event.data["thread"], event.data["fingerprint"])

    def _on_cycle_finished(self, _event: EventLike) -> None:
        self.cycle = None
        if self.night is not None:
            self.night.cycles += 1

    def _on_cycle_abandoned(self, _event: EventLike) -> None:
        self.cycle = None

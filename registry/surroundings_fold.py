"""The part of the fold that is about everything but candidates: checks, boards, papers, models, reports, nights.

A base of `registry.history.History`, which applies the events.
"""

from __future__ import annotations

from registry.facts import BoardState, Night, OpenCycle
from registry.folded_facts import EventLike, FoldedFacts
from registry.papers import Reading


class SurroundingsFold(FoldedFacts):
    """Handlers, one for each kind of event."""

    def _on_evaluator_checked(self, event: EventLike) -> None:
        self.evaluator_checks[event.data["identity"]] = event.data

    def _on_evaluator_accepted(self, event: EventLike) -> None:
        self.accepted_evaluators[event.data["identity"]] = event.reason

    def _on_noise_measured(self, event: EventLike) -> None:
        self.noise = event.data

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
        for source in event.data.get("sources", ()):
            self.paper_sources[source["source"]] = {
                "status": source["status"],
                "offset": source.get("offset", 0),
                "retry_at": source.get("retry_at", ""),
            }

    def _on_paper_waits(self, event: EventLike) -> None:
        if event.subject in self.listed_papers:
            self.listed_papers[event.subject] = event.data

    def _on_paper_read(self, event: EventLike) -> None:
        self.readings[event.subject] = Reading.model_validate(event.data["reading"])
        self.listed_papers.pop(event.subject, None)

    def _on_paper_unreadable(self, event: EventLike) -> None:
        self.listed_papers.pop(event.subject, None)
        if not event.data.get("for_now") and "paper" in event.data:
            self.unreadable_papers[event.subject] = event.data["paper"].get("version", "")

    def _on_report_written(self, event: EventLike) -> None:
        self.report_slot = event.data["slot"]

    def _on_documents_recorded(self, event: EventLike) -> None:
        self.documents = event.data

    # -- language models ------------------------------------------------------------------------------------

    def _on_model_asked(self, event: EventLike) -> None:
        self.models.asked(event.subject, event.data)

    def _on_model_answered(self, event: EventLike) -> None:
        self.models.settled(event.data)

    def _on_model_failed(self, event: EventLike) -> None:
        self.models.settled(event.data)

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

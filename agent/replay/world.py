"""What a replay is told in the place of boards, paper sources, the evaluator's check and a board's attempt: the record.

Implements `agent.outside.Outside`, and the part of the solution that makes commits. A question that the record has no
answer to at that place ends the replay; nothing is asked, fetched or handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.papers.sources import Configured
from agent.papers.text import unpacked
from agent.replay.following import Follower, Stopped, asked_for
from agent.replay.recording import MissingInput
from agent.researcher.contract import Edits, PatchRequest, Proposals, Researcher, Situation
from agent.services import Services
from agent.solution import Solution
from experiments.import_check import ImportCheck
from experiments.plans import Plan
from registry.competitive import Leaderboard
from registry.errors import BadInput, Problem, RateLimited, Retryable
from registry.facts import Test
from registry.papers import Paper, Reading
from registry.standings import Snapshot
from registry.target import Target
from tools.branches import Candidate
from tools.papers import PaperBatch, PaperQuery, Unreadable
from tools.pdf.text import PdfText
from tools.repository import SolutionRepository
from tools.submissions import SubmissionResult
from tools.unified_diff import unified

if TYPE_CHECKING:
    from tools.web.robots import Robots


class RecordedWorld:
    """The world as the record has it."""

    def __init__(self, follower: Follower, notes: list[str]) -> None:
        """`notes` gets what the record did not have."""
        self._follower, self._notes = follower, notes

    def board(self, services: Services, board: Leaderboard, robots: Robots) -> Snapshot | None:
        """The board's recorded reading, or the reason why there was none."""
        del services, robots
        event = self._given("board_read", board.name, f"a reading of {board.name}")
        if (status := event["status"]) == "read":
            recording = self._follower.recording
            content = recording.blob(event["snapshot"], f"the recorded reading of {board.name}")
            return Snapshot.model_validate_json(content)
        if status == "rate_limited":
            raise RateLimited(event["reason"])
        if status == "unreachable":
            raise Retryable(event["reason"])
        raise BadInput(Problem(board.name, event["reason"], "a board that can be read"))

    def paper_sources(
        self, services: Services, order: Callable[[Configured], Any] | None = None, code: Sequence[str] = ()
    ) -> list[Configured]:
        """One source for each recorded answer; where none was asked, sources for the texts of what is listed."""
        del order, code  # the answers stand in the order in which they were asked for
        found = self._follower.seen_before_the_decision("papers_listed")
        listed = found[1].data if found is not None else None
        papers = dict(listed["papers"]) if listed is not None else {}
        answers: list[dict[str, Any]] = list(listed["sources"]) if listed is not None else []
        known = {answer["source"] for answer in answers}
        waiting = [*papers.values(), *services.history.listed_papers.values()]
        names = {item["source"] for item in waiting if not self._gone(item["paper"]["key"])}
        answers += [{"source": name} for name in sorted(names - known)]
        sources = []
        for answer in answers:
            own = [key for key, item in papers.items() if item["source"] == answer["source"]]
            taken = tuple(Paper.model_validate(papers.pop(key)["paper"]) for key in own)
            source = RecordedSource(self._follower, answer, taken, services.clock)
            sources.append(Configured(source.name, source, PaperQuery()))
        return sources

    def _gone(self, paper: str) -> bool:
        """Whether the paper's source was not configured any more when it was to be read."""
        ahead = self._follower.ahead("paper_read", "paper_unreadable", "paper_waits")
        first = next((event for _, event in ahead if event.subject == paper), None)
        return first is not None and first.kind == "paper_unreadable" and bool(first.data.get("for_now"))

    def evaluator_check(self, services: Services, plan: Plan) -> dict[str, Any]:
        """The recorded check; its run of production was paid before it. None, told, where the night made none."""
        if self._follower.seen_before_the_decision("evaluator_checked") is None and not self._follower.part.killed:
            self._notes.append("the evaluator was not checked then, by an older version of the program")
            return {"rows": [], "leaks": []}
        services.measurer.measure([plan])
        data = self._given("evaluator_checked", "", "a check of the evaluator")
        reason, key = data.pop("reason"), data.pop("key")
        services.record("evaluator_checked", data["evaluator"][:16], data, reason, key=key)
        return data

    def boundary(self, services: Services, test: Test, edits: Edits) -> list[Problem]:
        """By paths as ever; what the interpreter of then could import is known from the recorded refusal alone."""
        found = services.solution.check(test.production, edits, frozenset())
        recorded = self._attempt(services, test, edits)
        refused = recorded is not None and recorded["checks"].get("boundary") == "refused"
        return found if found or recorded is None or not refused else _problems(recorded)

    def import_check(self, services: Services, test: Test, edits: Edits) -> ImportCheck:
        """As it was recorded; nothing is imported."""
        recorded = self._attempt(services, test, edits)
        if recorded is None:
            if self._follower.is_over():
                raise Stopped
            raise asked_for(self._follower, f"an import check of a patch of {test.hypothesis}")
        said = recorded["checks"].get("imports", "")
        if said == "refused":
            return ImportCheck(tuple(_problems(recorded)), "")
        return ImportCheck((), "" if said == "passed" else said)

    def _attempt(self, services: Services, test: Test, edits: Edits) -> dict[str, Any] | None:
        """The recorded attempt at a patch: after a crash the same ones again, otherwise the next decision."""
        before = services.history.postponed.get(test.hypothesis)
        prefix = f"attempt:{test.hypothesis}:{test.production}:{before.times if before is not None else 0}:"
        for event in services.log.events("patch_attempted"):  # the replay's own, so those that are behind it
            if event.key.startswith(prefix) and event.data["diff"] == _diff(services, test, edits):
                return event.data
        known = self._follower.decision()
        if known is None or (known[1].kind, known[1].subject) != ("patch_attempted", test.hypothesis):
            return None
        return known[1].data

    def submit(self, services: Services, hypothesis: str, test: Test, command: list[str]) -> SubmissionResult:
        """How it went then. The command is not run."""
        del services, test, command
        data = self._given("submission", hypothesis, f"handing in {hypothesis}")
        return SubmissionResult(
            data["status"],
            data["reason"],
            tuple(data["argv"]),
            exit_status=data["exit_status"],
            output=data["output"],
        )

    def _given(self, kind: str, subject: str, what: str) -> dict[str, Any]:
        """The next recorded event of a kind, with its reason and its key among the data."""
        event = self._follower.before_the_decision(kind, subject)
        if event is None:
            if self._follower.is_over():
                raise Stopped
            raise asked_for(self._follower, what)
        return {**event.data, "reason": event.reason, "key": event.key}


def _diff(services: Services, test: Test, edits: Edits) -> str:
    """Hash of the patch as `agent.attempts` records it."""
    known = services.solution.files(test.production)
    before = {path: services.solution.read(test.production, path) if path in known else None for path in edits}
    return hashlib.sha256(unified(before, edits).encode()).hexdigest()


def _problems(attempt: dict[str, Any]) -> list[Problem]:
    return [Problem(**problem) for problem in attempt["refusals"]]


class RecordedSource:
    """One source of papers with the answer it gave. Implements `tools.papers.PaperSource`."""

    def __init__(
        self, follower: Follower, answer: dict[str, Any], papers: tuple[Paper, ...], clock: Callable[[], datetime]
    ) -> None:
        self._follower, self._answer, self._papers, self._clock = follower, answer, papers, clock

    @property
    def name(self) -> str:
        return str(self._answer["source"])

    def find(self, query: PaperQuery) -> PaperBatch:
        del query
        answer = self._answer
        bad = tuple(Unreadable(one["name"], one["why"]) for one in answer.get("unreadable", ()))
        again = str(answer.get("retry_at", ""))
        wait = (datetime.fromisoformat(again) - self._clock()).total_seconds() if again else None
        return PaperBatch(
            self.name,
            self._papers,
            answer.get("status", "ok"),
            tuple(answer.get("notes", ())),
            retry_after_s=wait,
            unreadable=bad,
            next_offset=answer.get("offset", 0),
        )

    def text(self, paper: Paper) -> PdfText:
        """The text that the paper was read from; empty in logs of older versions, whose readings are taken over."""
        recording = self._follower.recording
        for _, event in self._follower.ahead("paper_read", "paper_unreadable", "paper_waits"):
            if event.subject != paper.key:
                continue
            if event.kind == "paper_waits":
                raise Retryable(event.reason)
            if event.kind == "paper_unreadable":
                raise BadInput(Problem(paper.key, event.reason, "a text to read"))
            if (kept := event.data.get("text")) is None:
                return PdfText("", "", ())
            return unpacked(recording.blob(kept["pages"], f"the text of {paper.key}"))
        if self._follower.part.killed:
            raise Stopped
        raise asked_for(self._follower, f"the text of {paper.key}")


class RecordedReader:
    """A researcher that reads, proposes and patches as it does, but for papers whose text was not recorded."""

    def __init__(self, usual: Researcher, follower: Follower, notes: list[str]) -> None:
        """`notes` gets which readings were taken over."""
        self._usual, self._follower, self._notes = usual, follower, notes
        self.name = usual.name

    def read(self, paper: Paper, text: PdfText, situation: Situation) -> Reading:
        """A reading of the recorded text; where that was not kept, the recorded reading itself."""
        if text.pages or text.sha256:
            return self._usual.read(paper, text, situation)
        for _, event in self._follower.ahead("paper_read"):
            if event.subject == paper.key:
                self._notes.append(f"the text of {paper.key} was not recorded then; its recorded reading is taken over")
                return Reading.model_validate(event.data["reading"])
        raise asked_for(self._follower, f"a reading of {paper.key}")

    def propose(self, situation: Situation) -> Proposals:
        return self._usual.propose(situation)

    def patch(self, request: PatchRequest) -> Edits:
        return self._usual.patch(request)


class RecordedSolution(Solution):
    """The solution in a clone whose commits are those of the record, where what they hold is the same."""

    def __init__(self, repository: SolutionRepository, target: Target, worktrees: Path, follower: Follower) -> None:
        super().__init__(repository, target, worktrees)
        self._follower = follower

    def commit(
        self,
        hypothesis_id: str,
        title: str,
        production: str,
        edits: Edits,
        message: str,
        trailers: dict[str, str],
        date: str,
    ) -> Candidate:
        """The recorded commit where it has these files; a new one where the record has others, for the comparison."""
        made = super().commit(hypothesis_id, title, production, edits, message, trailers, date)
        known = self._follower.decision()
        event = known[1] if known is not None else None
        if event is None or event.kind != "patch_committed" or event.subject != hypothesis_id or made.empty:
            return made
        commit = str(event.data["commit"])
        same = event.data["tree"] == made.tree and self.repository.parents_of(commit) == (production,)
        if not same:
            return made
        # The message names the log's head, which lies elsewhere in the replay's log.
        self.repository.run("update-ref", "--no-deref", f"refs/heads/{made.branch}", commit)
        return Candidate(made.branch, commit, made.tree, made.diff, empty=False)


def missing_commits(repository: SolutionRepository, commits: list[str]) -> list[str]:
    """Those of the commits that the repository has no more."""
    return [commit for commit in dict.fromkeys(commits) if repository.attempt("cat-file", "-e", commit)[0] != 0]


def refuse_missing(repository: SolutionRepository, commits: list[str]) -> None:
    """Raise MissingInput that names them."""
    if gone := missing_commits(repository, commits):
        shown = ", ".join(commit[:12] for commit in gone[:5]) + (f" and {len(gone) - 5} more" if gone[5:] else "")
        raise MissingInput(f"{repository.path}: commits of that night are not there any more: {shown}")

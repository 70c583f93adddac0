"""Whether a log holds: its chain, every look recomputed from raw values, every raw value matched with its run.

Called by `agent audit verify`. A changed digit anywhere breaks the chain; a log rewritten whole with a consistent
chain still has to agree with itself: looks with runs, verdicts with looks, promotions with verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.continuity import lost_log, named_heads
from experiments import gate, statistics
from registry.audit_chain import verify_chain
from registry.audit_events import Event, read_events
from registry.documents import load_target
from registry.errors import AgentError, BadInput
from registry.runs import RunKey
from registry.workspace import Workspace

Data = dict[str, Any]
PERSON = "person"
"""Who alone can let go on what is held."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked and what was found wrong."""

    events: int
    head: str
    looks: int
    runs: int
    anchors: int
    """Commits of the agent that name a head of the log."""
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(workspace: Workspace) -> Verification:
    """Check everything; problems name the line or the event."""
    anchors = _anchors(workspace)
    chain = verify_chain(workspace.audit)
    problems = [str(problem) for problem in chain.problems]
    content = _Content(named_heads(workspace))
    if not problems:
        try:
            for event in read_events(workspace.audit):
                content.take(event)
        except BadInput as error:
            problems.append(str(error))
    published = [str(problem) for problem in verify_chain(workspace.audit, anchors).problems] if not problems else []
    if (lost := lost_log(workspace)) is not None:
        problems.append(str(lost))
    missing = content.missing() if not problems else []
    found = (*problems, *published, *content.problems, *missing)
    return Verification(chain.events, chain.head.hash, content.looks, len(content.runs), len(anchors), found)


def _anchors(workspace: Workspace) -> dict[str, str]:
    """Heads that the agent's commits publish: with them a log that was cut off or made anew shows.

    Commits from before this log began belong to an earlier workspace of the same repository. None at all where the
    repository or the log's first line cannot be read; the log is then checked by itself.
    """
    from tools.commits import published_heads
    from tools.repository_checks import open_repository

    try:
        solution = load_target(workspace.target).solution
        published = published_heads(open_repository(workspace.repository(solution.repository), solution.base))
        first = next(read_events(workspace.audit), None)
    except AgentError:
        return {}
    if first is None:
        return {}
    began = datetime.fromisoformat(first.time).replace(microsecond=0)  # commits hold whole seconds
    return {
        f"commit {known.commit[:12]}": known.head
        for known in published
        if datetime.fromisoformat(known.committed_at) >= began
    }


def _identity(run: Data) -> Iterator[str]:
    """A run's id is the hash of all that went into it."""
    expected = RunKey.model_validate(run["key"]).run_id
    if run["run_id"] != expected:
        yield f"run {run['run_id']} was identified by its inputs as {expected}"


def _interval(verdict: Data, numbers: Data) -> Iterator[str]:
    """The interval that stands beside a gain is that of the differences its look had."""
    if "interval" not in verdict:
        return  # a verdict of an earlier version
    differences = tuple(numbers["fresh_differences"]), tuple(numbers["differences"])
    expected = gate.gain_interval(gate.Numbers(fresh_differences=differences[0], differences=differences[1]))
    said = verdict["interval"]
    if (said is None) != (expected is None) or not all(
        math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
        for one, other in zip(said or (), expected or (), strict=True)
    ):
        yield f"gives the interval {said}, and its look's differences give {expected}"


class _Content:
    """Follows the events and notes where one contradicts another."""

    def __init__(self, named: dict[int, list[tuple[str, str]]]) -> None:
        self._named = dict(named)
        """Event → the reports that name it, with its hash's first digits; each goes once it is found."""
        self.runs: dict[str, tuple[str, dict[str, float], str]] = {}
        """Run → status, metrics and digest of its items."""
        self.of_environment: dict[str, bool] = {}
        """Hypothesis → whether its patch changes the environment."""
        self.looks = 0
        self.last_look: dict[str, Data] = {}
        self.verdicts: dict[str, Data] = {}
        self.season_gain = 0.0
        """The largest mean gain of the season's decided candidates, without those that were held."""
        self.released: set[str] = set()
        """Commits of held candidates that a person has let go on."""
        self.test_scores: dict[str, float] = {}
        """Commit → mean of its look at the test split."""
        self.problems: list[str] = []

    def take(self, event: Event) -> None:
        for report, digits in self._named.pop(event.seq, ()):
            if not event.hash.startswith(digits):
                self._note(event, [f"has the hash {event.hash[:12]}, and {report} was written from one with {digits}"])
        if event.kind == "patch_committed":
            self.of_environment[event.subject] = bool(event.data.get("environment_files"))
        elif event.kind == "run_finished":
            run = event.data
            self.runs[run["run_id"]] = (run["status"], run["metrics"], run.get("items_sha256", ""))
            self._note(event, _identity(event.data))
        elif event.kind == "look":
            self.looks += 1
            self.last_look[event.subject] = event.data
            self._note(event, gate.recompute(event.data))
            self._note(event, self._unmatched(event.data))
            if event.data["evidence"].get("environments") and not self.of_environment.get(event.subject):
                self._note(event, ["pairs runs of two environments, and its patch changes none"])
            self._note(event, self._plausibility(event.data))
        elif event.kind == "verdict":
            self.verdicts[event.subject] = event.data
            self._note(event, self._verdict(event))
            if event.data["reason"] != "implausible":
                gain = event.data.get("gain")
                found = event.data.get("mean") if gain is None else gain
                self.season_gain = max(self.season_gain, found or 0.0)
        elif event.kind == "season_opened":
            self.season_gain = 0.0
        elif event.kind == "released":
            if event.actor == PERSON:
                self.released.add(event.data["commit"])
        elif event.kind == "test_look":
            self.test_scores[event.data["commit"]] = event.data["mean"]
            self._note(event, self._test_look(event.data))
        elif event.kind == "board_score":
            self._note(event, self._board_score(event.data))
        elif event.kind == "noise_measured":
            self._note(event, self._noise(event.data))
        elif event.kind == "promoted":
            self._note(event, self._promotion(event))

    def missing(self) -> list[str]:
        """Reports that were written from events beyond the log's end."""
        return [
            f"{report} was written from event {seq} ({digits}), which is not there: the log's end is cut off"
            for seq, reports in sorted(self._named.items())
            for report, digits in reports
        ]

    def _note(self, event: Event, found: list[str] | Iterator[str]) -> None:
        self.problems += [f"event {event.seq} ({event.kind} {event.subject}): {line}" for line in found]

    def _unmatched(self, look: Data) -> Iterator[str]:
        """Values that are not those of the run they name."""
        evidence = look["evidence"]
        metric = evidence["metric"]
        for line in ("stage", "fresh", "costs"):
            for pair in evidence[line]:
                for arm in ("candidate", "production"):
                    if pair[arm] is not None:
                        yield from self._run(pair[arm], metric)
        for run in evidence["baseline"]:
            yield from self._run(run, metric)

    def _plausibility(self, look: Data) -> Iterator[str]:
        """What a gain was held against: the season's largest, as the log has it, and the word of a person."""
        facts = look["evidence"].get("plausibility")
        if facts is None:
            return
        if facts["season_gain"] != self.season_gain:
            yield f"the season's largest gain is {self.season_gain} in the log and {facts['season_gain']} in the look"
        commits = {pair["candidate"]["commit"] for pair in look["evidence"]["stage"] if pair["candidate"] is not None}
        if facts["released"] and not commits <= self.released:
            yield "it says that a person released it, and no person did"

    def _run(self, value: Data, metric: str) -> Iterator[str]:
        known = self.runs.get(value["run_id"])
        if known is None:
            yield f"run {value['run_id']} is not in the log"
            return
        status, metrics, items = known
        if (said := value.get("items_sha256", "")) != items and value["secondary"] == {}:
            yield f"run {value['run_id']} has items {items[:12] or 'none'} and the look says {said[:12] or 'none'}"
        if value["status"] != status:
            yield f"run {value['run_id']} is {status} in the log and {value['status']} in the look"
        if value["primary"] is not None and value["primary"] != metrics.get(metric):
            yield f"run {value['run_id']} has {metric} = {metrics.get(metric)} and the look says {value['primary']}"
        for name, number in value["secondary"].items():
            if metrics.get(name) != number:
                yield f"run {value['run_id']} has {name} = {metrics.get(name)} and the look says {number}"

    def _test_look(self, look: Data) -> Iterator[str]:
        """A look at the test split against its runs: the values are theirs, the mean is the values'."""
        if not look["values"] or len(look["runs"]) != len(look["values"]):
            yield f"it names {len(look['runs'])} runs and {len(look['values'])} values"
            return
        for run_id, value in zip(look["runs"], look["values"], strict=True):
            if value not in self.runs.get(run_id, ("", {}, ""))[1].values():
                yield f"run {run_id} has no metric of {value}"
        if look["mean"] != sum(look["values"]) / len(look["values"]):
            yield f"its mean is {look['mean']} and its values give another"

    def _board_score(self, score: Data) -> Iterator[str]:
        """A score that stands for a commit is the mean of that commit's look; one written by a person has none."""
        if score["commit"] and score["score"] != self.test_scores.get(score["commit"]):
            yield f"{score['score']}, the look at {score['commit'][:12]} gave {self.test_scores.get(score['commit'])}"

    def _noise(self, measured: Data) -> Iterator[str]:
        """A measurement of noise against its runs: the values are theirs, and the spread is the values'."""
        named = [*zip(measured["runs"], measured["values"], strict=True)]
        named += zip(measured["again"], measured["again_values"], strict=True)
        for run_id, value in named:
            known = self.runs.get(run_id, ("", {}))[1].get(measured["metric"])
            if value != known:
                yield f"run {run_id} has {measured['metric']} = {known} and the measurement says {value}"
        values, said = measured["values"], measured["spread"]
        again = (len(values), statistics.mean(values), statistics.standard_deviation(values))
        if (said["n"], said["mean"], said["sd"]) != again:
            yield f"it says n, mean, sd = {said['n']}, {said['mean']}, {said['sd']}, and its values give {again}"

    def _verdict(self, event: Event) -> list[str]:
        look = self.last_look.get(event.subject)
        if look is None:
            return ["a verdict without a look"]
        decision = look["decision"]
        outcome = "archive" if decision["outcome"] == "bad_evidence" else decision["outcome"]
        said = tuple(event.data[name] for name in ("outcome", "reason", "gain", "gain_on"))
        expected = (outcome, decision["reason"], decision["reported_gain"], decision["gain_on"])
        if said != expected:
            return [f"says {said}, its look decided {expected}"]
        return list(_interval(event.data, look["numbers"]))

    def _promotion(self, event: Event) -> list[str]:
        verdict = self.verdicts.get(event.subject)
        if verdict is None or verdict["outcome"] != "promote":
            return ["a promotion without a verdict to promote"]
        if any(verdict[name] != event.data[name] for name in ("commit", "gain", "gain_on")):
            return ["its commit or gain is not the verdict's"]
        return []

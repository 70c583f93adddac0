"""Keeps the queue: at most ten active hypotheses, ranked, without what is superseded, within the night's budget."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from agent import admission, closing, projections, seasons
from agent.researcher.contract import NULL
from agent.services import Services
from agent.trials import families_at_rest, null_night
from registry.errors import BadInput
from registry.hypotheses import Hypothesis, Urgency, priority
from sandbox.outputs import read_output

MAX_ACTIVE = 10
MOVES = frozenset({"refine", "ablate"})
"""Strategies that go on within a family; ideas of papers and of people are tried whatever their family did."""
MOST_BYTES = 1 << 20
"""Of a hypothesis's file."""
PATIENCE = 4
"""Cycles for which an idea rests in the night that failed it; twice as many after each further time."""
EXHAUSTED = "out of ideas"
RESTING = "what is queued waits"
"""How the reason begins where everything that is left was put back tonight."""
NOTHING_QUEUED = "nothing is queued"
SEASON_OVER = "the season's end"


@dataclass(frozen=True, slots=True)
class Budget:
    """What the night has used and may use."""

    runs: int
    hours: float
    gpu_hours: float
    reason: str
    """Why nothing more may start; empty while something may."""


def take_in_by_hand(services: Services) -> None:
    """Hypotheses that people put into `experiments/queue/` become events; a file that is no hypothesis is named."""
    from registry.documents import load_hypothesis

    for path in sorted(services.workspace.state_folder("queued").glob("*.y*ml")):
        if path.name.startswith("."):
            continue  # an editor's lock or swap file
        content = _content(services, path)
        if content is None:
            continue
        digest = hashlib.sha256(content).hexdigest()
        if projections.wrote(services, path, content):
            continue
        if (earlier := services.log.find(f"by_hand:{digest}")) is not None:
            _put_away(services, path, earlier.subject)
            continue
        try:
            hypothesis = load_hypothesis(path)
        except BadInput as error:
            services.record("input_refused", path.name, {"sha256": digest}, str(error), key=f"by_hand:{digest}")
            services.progress.say(f"[STATUS] {path.name} is not taken in: {error}")
            continue
        known = services.history.hypotheses.get(hypothesis.id)
        if known is not None and projections.is_an_earlier_rank_of(known, hypothesis):
            projections.hypothesis(services, known.id)
            continue
        if known is not None and known.status != "queued":
            hypothesis = hypothesis.model_copy(update={"id": services.history.next_id()})
        admit(services, hypothesis.model_copy(update={"status": "queued"}), f"by_hand:{digest}", f"from {path.name}")
        if hypothesis.id in services.history.hypotheses and (known is None or known.id != hypothesis.id):
            projections.hypothesis(services, hypothesis.id)
        _put_away(services, path, hypothesis.id)


def _content(services: Services, path: Path) -> bytes | None:
    """What a person's file holds; None, said and recorded once, where it is no file that can be read."""
    try:
        return read_output(path.parent, path.name, MOST_BYTES)
    except BadInput as error:
        found = error.problems[0].found
    key = f"by_hand:unreadable:{path.name}:{found}"
    if services.log.find(key) is None:
        why = f"{found}, expected a plain file of YAML of at most {MOST_BYTES} bytes"
        services.record("input_refused", path.name, {"sha256": ""}, why, key=key)
        services.progress.say(f"[STATUS] {path.name} is not taken in: {why}")
    return None


def _put_away(services: Services, path: Path, taken_in_as: str) -> None:
    """Remove a person's file once the hypothesis stands under its own name; the log has the content."""
    if taken_in_as in services.history.hypotheses and path.stem != taken_in_as:
        path.unlink(missing_ok=True)


def admit(services: Services, hypothesis: Hypothesis, key: str, why: str) -> None:
    """Put a person's hypothesis into the queue, unless it repeats what is queued, known or already so."""
    data = {"hypothesis": hypothesis.model_dump(mode="json")}
    if objection := admission.repeats(services.history, hypothesis.implementation, hypothesis.id):
        services.record("hypothesis_refused", hypothesis.id, data, objection, key=key)
        services.progress.say(f"[STATUS] {hypothesis.id} refused: {objection}")
        return
    services.record("hypothesis_taken_in", hypothesis.id, data, why, key=key)


def rank(services: Services, urgent: bool) -> None:
    """Score every queued hypothesis anew; an urgent cycle raises those of the boards where a rank was lost."""
    lost = {name for name, board in services.history.boards.items() if board.trigger == "urgent"} if urgent else set()
    for hypothesis in services.history.with_status("queued"):
        urgency: Urgency = "urgent" if lost & set(hypothesis.target_leaderboards) else "normal"
        score = priority(hypothesis.estimated_gain, hypothesis.implementation.effort, urgency)
        if (score, urgency) != (hypothesis.priority_score, hypothesis.urgency):
            services.record(
                "hypothesis_ranked",
                hypothesis.id,
                {"priority_score": score, "urgency": urgency},
                reason="rank lost" if urgency == "urgent" else "no rank is lost any more",
            )
            projections.hypothesis(services, hypothesis.id)


def retire(services: Services) -> None:
    """Archive what production has overtaken, what has stopped paying, and what stands below the tenth place."""
    at_rest = families_at_rest(services.history, services.target.search_space)
    for hypothesis in services.history.with_status("queued"):
        objection = admission.repeats(services.history, hypothesis.implementation, hypothesis.id)
        if not objection and hypothesis.strategy in MOVES and hypothesis.family in at_rest:
            objection = f"the family {hypothesis.family} has stopped paying"
        if objection:
            closing.reject(services, hypothesis.id, "superseded", f"superseded: {objection}")
    room = MAX_ACTIVE - len(services.history.with_status("active"))
    for hypothesis in waiting(services)[room:]:
        closing.reject(services, hypothesis.id, "superseded", f"superseded: the queue holds {MAX_ACTIVE}")
    projections.queue(services)


def pick(services: Services) -> tuple[str, str]:
    """(hypothesis, why): the one under test, else the best that the budget allows; an empty id with the reason."""
    if active := services.history.with_status("active"):
        return active[0].id, "resumed"
    night = services.history.night
    only = night.goal.get("only") if night is not None else ""
    left = budget(services)
    if left.reason:
        return "", left.reason
    if season_is_over(services):
        return "", SEASON_OVER
    asked = [hypothesis for hypothesis in ready(services) if only in {"", None, hypothesis.id}]
    normal = [hypothesis for hypothesis in asked if hypothesis.tier == "normal"]
    low = [hypothesis for hypothesis in asked if hypothesis.tier == "low"] if _room_for_low(services, left) else []
    for hypothesis in (*normal, *low):
        return hypothesis.id, "best of the queue" if hypothesis.tier == "normal" else "low tier, within the budget"
    if asked:
        return "", "only low-priority ideas are left, and they start in the first half of the budget only"
    if resting := [hypothesis.id for hypothesis in waiting(services) if only in {"", None, hypothesis.id}]:
        return "", f"{RESTING}: {resting[0]}: {services.history.postponed[resting[0]].why}"
    return "", EXHAUSTED if services.history.exhausted else NOTHING_QUEUED


def ready(services: Services) -> list[Hypothesis]:
    """What waits and is not at rest after a fault, best first."""
    return [hypothesis for hypothesis in waiting(services) if not rests(services, hypothesis.id)]


def rests(services: Services, hypothesis: str) -> bool:
    """Whether it was put back so short a time ago that another try tonight would meet the same fault."""
    last, night = services.history.postponed.get(hypothesis), services.history.night
    if last is None or night is None or last.night != night.id:
        return False
    return services.history.cycles - last.cycle < PATIENCE << min(last.tonight - 1, 20)


def waiting(services: Services) -> list[Hypothesis]:
    """What tonight may take up, best first: null candidates in a null night, all others in any other."""
    null = null_night(services.history)
    queued = services.history.with_status("queued")
    return [hypothesis for hypothesis in queued if (hypothesis.strategy == NULL) == null]


def budget(services: Services) -> Budget:
    """The night's use of runs, hours and GPU hours against what the target declares."""
    night, declared = services.history.night, services.target.budget
    if night is None:
        return Budget(0, 0.0, 0.0, "")
    hours = night.run_seconds / 3600.0
    gpu_hours = hours * services.target.resources.gpus * services.target.resources.gpu_share
    reason = ""
    for name, used, limit in (
        ("runs", float(night.runs), declared.runs),
        ("hours", hours, declared.hours),
        ("GPU hours", gpu_hours, declared.gpu_hours),
    ):
        if limit is not None and used >= limit:
            reason = f"budget used: {used:g} of {limit:g} {name}"
    return Budget(night.runs, hours, gpu_hours, reason)


def _room_for_low(services: Services, used: Budget) -> bool:
    """The low tier runs while less than half of every declared budget is used."""
    declared = services.target.budget
    pairs = ((used.runs, declared.runs), (used.hours, declared.hours), (used.gpu_hours, declared.gpu_hours))
    return all(limit is None or amount < limit / 2 for amount, limit in pairs)


def season_is_over(services: Services) -> bool:
    """Whether this night has come to the end of a season; a night that starts after one opens the next."""
    night = services.history.night
    if not seasons.is_over(services) or night is None or night.goal.get("forever"):
        return False
    return not (night.goal.get("season_was_over") and services.history.seasons == night.goal.get("season"))


def used_up(why: str) -> bool:
    """Whether the night's budget is what keeps the queue from going on: waiting would change nothing."""
    return why.startswith("budget used")


def stop_reason(why: str) -> bool:
    """Whether the queue's word ends a night."""
    return why.startswith(("budget used", "only low-priority")) or why in {EXHAUSTED, SEASON_OVER}

"""Proposals without a model: techniques from papers, then moves through the tagged search space.

Called by the hypothesise node. `propose` is a pure function of its arguments: the same space, production, trials,
techniques, gap and seed give the same proposals, in the same order, in any process. It keeps no storage of its own;
the audit log, from which the caller rebuilds the trials, is what survives a crash.

The gap decides where to look: below one point optimisation settings move to their neighbours, up to five points
components change one at a time, above that structure changes first and by larger steps. A family that fails twice
in a row is left, which turns refining into restructuring; it gets one more chance after a later promotion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from agent.papers.claim_ledger import PRIOR_TRUST
from agent.researcher.combinations import combinations
from agent.researcher.contract import Idea, Proposals, Strategy, Trial
from agent.researcher.history import COMBINATION, Known, expected_gain, families_of, family_of, resting, settings_key
from agent.researcher.moves import Move, measured_moves, sense
from agent.researcher.reading import by_priority, technique_priority
from agent.researcher.wording import claim
from registry.hypotheses import EFFORT_SCORES, Scalar, priority
from registry.papers import Technique
from registry.target import Parameter

Mode = Literal["refine", "ablate", "restructure"]

FINE_GAP = 1.0
STRUCTURAL_GAP = 5.0
FINE_TAGS = frozenset(
    {"optimisation", "optimization", "optimiser", "optimizer", "learning-rate", "weight-decay", "regularisation"}
    | {"regularization", "schedule", "momentum"}
)
STRUCTURAL_TAGS = frozenset(
    {"architecture", "structure", "structural", "width", "depth", "capacity", "model", "augmentation", "data"}
    | {"features", "ensemble", "representation", "preprocessing"}
)
FURTHER_VALUE_DISCOUNT = 0.8
PREFERRED_PRIOR = 0.5
OTHER_PRIOR = 0.25
"""Prior gains, as parts of the promotion threshold."""


@dataclass(frozen=True, slots=True)
class _Draft:
    settings: dict[str, Scalar]
    gain: float
    strategy: Strategy
    technique: Technique | None = None


@dataclass(frozen=True)
class _Situation:
    """The arguments of `propose` and what follows from them."""

    space: Mapping[str, Parameter]
    production: Mapping[str, Scalar]
    tried: Sequence[Trial]
    threshold: float
    mode: Mode
    left: frozenset[str]
    """Families that have stopped paying."""
    gains: Mapping[str, list[float]]
    """Measured gains by family, and by `path:<path>` for changes of one parameter."""
    moves: Mapping[str, list[Move]]
    """Measured moves of one parameter alone, by its path."""
    trust: Mapping[tuple[str, str], float]
    """(paper, technique) → share of its promise to expect."""

    def trusted(self, technique: Technique) -> float:
        return self.trust.get((technique.paper, technique.name), PRIOR_TRUST)

    def preferred(self, parameter: Parameter) -> bool:
        tags = frozenset(parameter.tags)
        if self.mode == "restructure":
            return bool(tags & STRUCTURAL_TAGS)
        return bool(tags & FINE_TAGS) == (self.mode == "refine")

    def expected(self, family: str, *, preferred: bool) -> float:
        prior = self.threshold * (PREFERRED_PRIOR if preferred else OTHER_PRIOR)
        return expected_gain(self.gains.get(family, []), prior)

    def expected_move(self, parameter: Parameter, value: Scalar, *, preferred: bool) -> float:
        """Gain to expect of one move: what moves of this parameter gave, turned round for moves the other way.

        Going back on what was promoted is expected to lose what it gained, so it comes last.
        """
        family = list(self.gains.get(parameter.tags[0], []))
        known = self.moves.get(parameter.path, [])
        for move in known:
            family.remove(move.gain)
        prior = expected_gain(family, self.threshold * (PREFERRED_PRIOR if preferred else OTHER_PRIOR))
        now = self.production.get(parameter.path)
        return expected_gain([sense(parameter, now, value, move) * move.gain for move in known], prior)


def propose(
    space: Mapping[str, Parameter],
    production_settings: Mapping[str, Scalar],
    tried: Sequence[Trial],
    techniques: Sequence[Technique] = (),
    gap_points: float | None = None,
    seed: int = 0,
    limit: int = 10,
    *,
    threshold: float = 0.005,
    metric: str = "the primary metric",
    trust: Mapping[tuple[str, str], float] | None = None,
) -> Proposals:
    """Up to `limit` ideas that are new, or the honest statement that none is left.

    `gap_points` is positive when we are behind; None where no board is known. `tried` holds every idea ever taken
    up, in order, open ones included. `trust`: of each (paper, technique), what share of its promise to expect
    (`agent.papers.claim_ledger`).
    """
    production = {p.path: production_settings[p.path] for p in space.values() if p.path in production_settings}
    situation = _situation(space, production, tried, gap_points, threshold, trust or {})
    known = Known(frozenset(p.path for p in space.values()), production, tried)
    ideas: list[Idea] = []
    for draft in _drafts(situation, techniques, known, seed):
        if len(ideas) >= max(limit, 1):
            break
        if draft.settings not in known:
            known.add(draft.settings)
            ideas.append(_idea(situation, draft, gap_points, metric))
    note = _note(situation, len(ideas), gap_points)
    return Proposals(tuple(ideas[: max(limit, 0)]), exhausted=not ideas, note=note, mode=situation.mode)


def mode_for(gap_points: float | None) -> Mode:
    """Where to look first, by the gap to the leader in points; ahead or unknown means fine search."""
    if gap_points is None or gap_points < FINE_GAP:
        return "refine"
    return "ablate" if gap_points <= STRUCTURAL_GAP else "restructure"


def _situation(
    space: Mapping[str, Parameter],
    production: Mapping[str, Scalar],
    tried: Sequence[Trial],
    gap_points: float | None,
    threshold: float,
    trust: Mapping[tuple[str, str], float],
) -> _Situation:
    families = partial(families_of, space)
    left = resting(tried, families)
    gains: dict[str, list[float]] = {}
    for trial in tried:
        if trial.gain is not None:
            paths = [f"path:{path}" for path in trial.settings] if len(trial.settings) == 1 else []
            for label in [*families(trial), *paths]:
                gains.setdefault(label, []).append(trial.gain)
    mode = mode_for(gap_points)
    moves = measured_moves(tried, production)
    situation = _Situation(space, production, tried, threshold, mode, left, gains, moves, trust)
    stopped = any(p.tags[0] in left and situation.preferred(p) for p in space.values())
    if mode == "restructure" or not stopped:
        return situation
    return replace(situation, mode="restructure")


def _drafts(situation: _Situation, techniques: Sequence[Technique], known: Known, seed: int) -> Iterator[_Draft]:
    moves = list(_single_moves(situation))
    yield from _from_papers([t for t in techniques if t.quote.verified], situation)
    yield from (move for move in moves if move.gain > 0.0)
    yield from _from_papers([t for t in techniques if not t.quote.verified], situation)
    if COMBINATION not in situation.left:
        free = [p for p in situation.space.values() if p.tags[0] not in situation.left]
        gain = situation.expected(COMBINATION, preferred=False)
        for settings in combinations(free, situation.production, situation.tried, known, seed):
            yield _Draft(settings, gain, "restructure")
    yield from (move for move in moves if move.gain == 0.0)


def _from_papers(techniques: Sequence[Technique], situation: _Situation) -> Iterator[_Draft]:
    """Techniques by priority and by what promises of their kind have come to; first values before anyone's second."""
    left_paths = resting(situation.tried, lambda trial: trial.settings if len(trial.settings) == 1 else ())
    declared = {parameter.path: parameter for parameter in situation.space.values()}

    def promising(technique: Technique) -> tuple[float | str | tuple[float, float, str], ...]:
        worth = technique_priority(technique) * situation.trusted(technique)
        return (-worth, by_priority(technique), technique.paper)

    ranked = sorted(techniques, key=promising)
    usable = [t for t in ranked if t.settings.keys() <= declared.keys() - left_paths]
    for place in range(max((len(values) for t in usable for values in t.settings.values()), default=0)):
        for technique in usable:
            if any(place >= len(values) for values in technique.settings.values()):
                continue
            settings = {path: values[place] for path, values in technique.settings.items()}
            changed = {path: value for path, value in settings.items() if _changes(situation, declared[path], value)}
            if changed:
                gain = _claimed(situation, technique, changed, place)
                yield _Draft(changed, gain, technique.origin, technique)


def _claimed(situation: _Situation, technique: Technique, settings: Mapping[str, Scalar], place: int) -> float:
    if not technique.quote.verified:
        return 0.0
    family = family_of(situation.space, settings)
    if technique.claimed_gain is None:
        return situation.expected(family, preferred=True)
    prior = technique.claimed_gain * situation.trusted(technique) * FURTHER_VALUE_DISCOUNT**place
    label = f"path:{next(iter(settings))}" if len(settings) == 1 else family
    return expected_gain(situation.gains.get(label, []), prior)


def _single_moves(situation: _Situation) -> Iterator[_Draft]:
    """Every change of one parameter, in the order that the mode and what has paid so far suggest."""
    moves: list[tuple[tuple[float | bool | int, ...], _Draft]] = []
    for order, parameter in enumerate(situation.space.values()):
        if parameter.tags[0] in situation.left:
            continue
        preferred = situation.preferred(parameter)
        for value in parameter.values:
            if _changes(situation, parameter, value):
                gain = situation.expected_move(parameter, value, preferred=preferred)
                worth = -priority(gain, parameter.effort, "normal")
                step = _step(parameter, situation.production.get(parameter.path), value)
                small = situation.mode == "restructure" and step < 2 and len(parameter.values) > 2
                draft = _Draft({parameter.path: value}, gain, _strategy(situation, parameter, preferred=preferred))
                place = (order, parameter.values.index(value))
                moves.append(((gain == 0.0, not preferred, small, worth, step, *place), draft))
    for _, draft in sorted(moves, key=lambda move: move[0]):
        yield draft


def _strategy(situation: _Situation, parameter: Parameter, *, preferred: bool) -> Strategy:
    if preferred:
        return situation.mode
    return "refine" if frozenset(parameter.tags) & FINE_TAGS else "ablate"


def _changes(situation: _Situation, parameter: Parameter, value: Scalar) -> bool:
    """Whether the value is declared and is not production's already."""
    wanted = settings_key({parameter.path: value})
    now = situation.production.get(parameter.path)
    listed = any(settings_key({parameter.path: other}) == wanted for other in parameter.values)
    return listed and (now is None or settings_key({parameter.path: now}) != wanted)


def _step(parameter: Parameter, now: Scalar | None, value: Scalar) -> int:
    """How many listed values away a value is; 1 where there is no order or no known place to start from."""
    values = parameter.values
    if now is None or not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in [*values, now]):
        return 1
    low, high = sorted((float(now), float(value)))
    return 1 + sum(low < float(other) < high for other in values)


def _idea(situation: _Situation, draft: _Draft, gap_points: float | None, metric: str) -> Idea:
    efforts = [p.effort for p in situation.space.values() if p.path in draft.settings]
    moves = [f"{path} from {_now(situation, path)} to {value}" for path, value in draft.settings.items()]
    title = "; ".join(f"{path}: {_now(situation, path)} → {value}" for path, value in draft.settings.items())
    technique = draft.technique
    origin = "search over the tagged space" if technique is None else technique.quote.document
    gap = "no board known" if gap_points is None else f"gap to #1 = {gap_points:g} points"
    return Idea(
        settings=draft.settings,
        title=title[:200],
        claim=claim(moves, draft.gain, metric, unverified=technique is not None and not technique.quote.verified),
        change=f"Set {' and '.join(moves)} in the configuration",
        source=f"{origin} + gap analysis ({gap})",
        family=family_of(situation.space, draft.settings),
        effort=max(efforts, key=lambda effort: EFFORT_SCORES[effort]),
        estimated_gain=round(draft.gain, 6),
        strategy=draft.strategy,
        quotes=() if technique is None else (technique.quote,),
    )


def _now(situation: _Situation, path: str) -> str:
    return str(situation.production[path]) if path in situation.production else "its present value"


def _note(situation: _Situation, count: int, gap_points: float | None) -> str:
    left = f"; left for failing twice in a row: {', '.join(sorted(situation.left))}" if situation.left else ""
    if not count:
        waiting = sum(trial.verdict in {"open", "park", "extend"} for trial in situation.tried)
        under_way = f"; {waiting} still under way or parked" if waiting else ""
        return f"nothing untried is left in the search space{left}{under_way}"
    switched = situation.mode != mode_for(gap_points)
    return f"{situation.mode}{' (switched: a family has stopped paying)' if switched else ''}{left}"

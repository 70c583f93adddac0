"""Asking a model for ideas, and what becomes of its answer: ideas whose every part was checked, and refusals.

Called by `agent.researcher.llm`. Settings are matched to the search space, files to what may be changed, the strategy
to what the idea does, the gain to what evidence supports (`agent.researcher.estimates`), the whole to what was tried
and to the other ideas. An answer that leaves no idea is told why, once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pydantic import Field

from agent.llm.contract import LanguageModel, Question, Schema, Turn
from agent.llm.untrusted import fenced
from agent.researcher import diversity, llm_prompting, places
from agent.researcher.contract import Idea, Proposals, Refusal, Situation, Strategy
from agent.researcher.direction import Asked, Direction, direction, kind_of
from agent.researcher.estimates import estimated_gain
from agent.researcher.history import Known, families_of, family_of, resting
from agent.researcher.llm_reading import Short
from agent.researcher.settings import declared_value, differs, parameter_called
from registry.hypotheses import EFFORT_SCORES, Effort, Scalar, priority
from registry.papers import Technique
from tools.pdf.text import plain

OWN = "the model's own idea"
ROUNDS = 2
"""Asked once more where nothing of the first answer can be used."""
_AREA = re.compile(r"[^\w]+")


class ProposedSetting(Schema):
    """A setting of ours and a value, as text."""

    setting: str = Field(max_length=200)
    value: str = Field(max_length=200)


class ProposedIdea(Schema):
    """One idea as the model gives it."""

    title: str = Field(min_length=1, max_length=160)
    reason: str = Field(max_length=800)
    change: str = Field(min_length=1, max_length=2000)
    settings: list[ProposedSetting] = Field(default_factory=list, max_length=4)
    files: list[Short] = Field(default_factory=list, max_length=places.MOST_FILES)
    area: str = Field(default="", max_length=60)
    strategy: Asked
    effort: Effort
    expected_gain: float | None = Field(default=None, allow_inf_nan=False)
    rests_on: list[Short] = Field(default_factory=list, max_length=6)


class Proposed(Schema):
    """The proposing role's form."""

    ideas: list[ProposedIdea] = Field(default_factory=list, max_length=10)


@dataclass
class _Batch:
    """What is accepted and refused while one question is answered."""

    situation: Situation
    asked: Direction
    techniques: Mapping[str, Technique]
    """Those that ideas may rest on, by the ids that the model was told."""
    by: str
    known: Known = field(init=False)
    others: list[diversity.Known] = field(init=False)
    resting: frozenset[str] = field(init=False)
    ideas: list[Idea] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        space, production = self.situation.target.search_space, self.situation.production
        tried = self.situation.trials
        self.known = Known(frozenset(each.path for each in space.values()), production, tried)
        self.resting = resting(tried, partial(families_of, space))
        self.others = [diversity.of_trial(trial) for trial in tried if trial.reason not in diversity.RETRIED]

    def take(self, proposed: ProposedIdea) -> None:
        """Accept an idea, or refuse it with the reason."""
        title = _line(proposed.title, 160)
        settings: dict[str, Scalar] = {}
        why = self._read_settings(proposed, settings) or self._refuse_files(proposed)
        if not why and not settings and not proposed.files:
            why = "it names neither a setting that changes nor a file"
        if not why:
            idea = self._idea(proposed, title, settings)
            why = diversity.variant(idea, self.others)
            if not why and idea.strategy == "refine" and idea.family in self.resting:
                why = f"ideas about {idea.family} have stopped paying: something else, or a larger change"
            if not why and not idea.files and idea.settings in self.known:
                why = "these settings were tried, or wait, or are production's"
            if not why:
                self.ideas.append(idea)
                self.others.append(diversity.of_idea(idea))
        if why:
            self.refused.append(Refusal(title, why))

    def _read_settings(self, proposed: ProposedIdea, settings: dict[str, Scalar]) -> str:
        """Fill in the settings that change; the reason where one of them is not ours to set."""
        for each in proposed.settings:
            name = _line(each.setting, 60)
            parameter = parameter_called(self.situation.target.search_space, each.setting)
            if parameter is None:
                return f"{name} is no setting of the search space"
            value = declared_value(parameter, each.value)
            if value is None:
                return f"{_line(each.value, 60)} is no declared value of {name}"
            if differs(parameter, value, self.situation.production):
                settings[parameter.path] = value
        return ""

    def _refuse_files(self, proposed: ProposedIdea) -> str:
        strange = [path for path in proposed.files if not places.may_change(self.situation.target, path)]
        return f"{_line(strange[0], 80)} is no file that may be changed" if strange else ""

    def _idea(self, proposed: ProposedIdea, title: str, settings: dict[str, Scalar]) -> Idea:
        target, files = self.situation.target, tuple(dict.fromkeys(proposed.files))
        space, threshold = target.search_space, target.gate.threshold
        kind = kind_of(settings, space, proposed.strategy, code=bool(files))
        rests_on = [technique for name, technique in self.techniques.items() if name in proposed.rests_on]
        verified = [technique for technique in rests_on if technique.quote.verified]
        family = _area(proposed.area) if files else family_of(space, settings)
        gain = estimated_gain(
            {} if files else settings,
            family,
            rests_on,
            self.situation.trials,
            space,
            threshold=threshold,
            follows=kind == self.asked.strategy,
            told=proposed.expected_gain,
            trust=self.situation.trust,
        )
        strategy: Strategy = verified[0].origin if verified else kind
        documents = ", ".join(dict.fromkeys(technique.quote.document for technique in rests_on))
        efforts: list[Effort] = [each.effort for each in space.values() if each.path in settings]
        return Idea(
            settings=settings,
            title=title,
            claim=f"{_line(proposed.reason, 800).rstrip('.')} (a model's reason; counted on: {gain:+.4g} in "
            f"{target.metrics.primary.name})",
            change=_line(proposed.change, 2000),
            source=documents or f"{OWN} ({self.by})",
            family=family,
            effort=max([proposed.effort, *efforts], key=lambda effort: EFFORT_SCORES[effort]),
            estimated_gain=gain,
            strategy=strategy,
            quotes=tuple(technique.quote for technique in rests_on),
            files=files,
        )

    def ranked(self) -> tuple[Idea, ...]:
        """Best first; among equals in the model's order. What is beyond the limit is refused."""
        ranked = sorted(self.ideas, key=lambda idea: -priority(idea.estimated_gain, idea.effort, "normal"))
        limit = self.situation.limit
        self.refused += [Refusal(idea.title, f"beyond the {limit} ideas asked for") for idea in ranked[limit:]]
        return tuple(ranked[:limit])


def propose(model: LanguageModel, situation: Situation) -> Proposals:
    """Ideas of the model that stand. Raises what `LanguageModel.ask` raises."""
    target = situation.target
    asked = direction(situation.trials, target.gate.threshold, situation.gap_points)
    batch = _Batch(situation, asked, llm_prompting.by_id(situation), model.name("propose"))
    question = Question(
        role="propose",
        prompt="propose",
        values=llm_prompting.values(situation, situation.brief(), asked),
        schema=Proposed,
        subject="queue",
        attempt=1 + situation.fruitless,
    )
    calls = []
    for _ in range(ROUNDS):
        reply = model.ask(question)
        calls.append(reply.call)
        first = len(batch.refused)
        for proposed in reply.record.ideas:
            batch.take(proposed)
        if batch.ideas or not reply.record.ideas:
            break
        again = Turn("agent", _refusals(batch.refused[first:]))
        question = replace(question, earlier=(*question.earlier, Turn("model", reply.text), again))
    ideas = batch.ranked()
    note = f"asked to {asked.strategy}: {asked.why}"
    if batch.refused:
        note += f"; {len(batch.refused)} of the model's ideas refused"
    return Proposals(
        ideas, exhausted=not ideas, note=note, mode=asked.strategy, refused=tuple(batch.refused), calls=tuple(calls)
    )


def _refusals(refused: Sequence[Refusal]) -> str:
    listed = "\n".join(f"- {one.title}: {one.why}" for one in refused)
    return (
        "None of these ideas can be used:\n"
        f"{fenced('your ideas, and why each is refused', listed, 6_000)}\n"
        "Give others in the same form, or an empty list where you have none."
    )


def _area(text: str) -> str:
    """A family's name from a model's words."""
    return _AREA.sub("-", _line(text, 40).casefold()).strip("-_") or "code"


def _line(text: str, limit: int) -> str:
    """A model's words as one clean line."""
    return plain(" ".join(plain(text).split()), limit)

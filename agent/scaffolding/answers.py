"""What a person said to `agent init`, what is still missing, the plan that follows, and the refusal of one.

Filled by `agent.scaffolding.joining`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from registry.errors import BadInput, Problem
from registry.scaffold import BoardValues, TargetValues


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said, by the name of the flag; None where nothing was said."""

    name: str | None = None
    build: str | None = None
    train: str | None = None
    predict: str | None = None
    evaluate: str | None = None
    config: str | None = None
    metric: str | None = None
    better: str | None = None
    """`higher` or `lower`."""
    board: str | None = None
    url: str | None = None
    scrape_method: str | None = None
    python: str | None = None
    data: str | None = None
    inputs_dev: str | None = None
    inputs_test: str | None = None
    labels_dev: str | None = None
    labels_test: str | None = None
    domain: str | None = None

    def with_answer(self, about: str, answer: str) -> Said:
        if about not in {one.name for one in fields(self)}:
            raise ValueError(f"no question is about {about!r}")
        return replace(self, **{about: answer.strip() or None})


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that could not be found and was not said."""

    about: str
    """Field of `Said`."""
    question: str
    why: str

    @property
    def flag(self) -> str:
        if self.about == "better":
            return "--higher-is-better or --lower-is-better"
        return "--" + self.about.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the workspace would say; `missing` and `problems` are empty where it can be made."""

    target: TargetValues
    boards: tuple[BoardValues, ...]
    domain: str
    missing: tuple[Missing, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """Assumptions worth telling."""


def refuse(plan: Plan) -> None:
    """Raise BadInput with everything that is missing or wrong, all at once; nothing where the plan is whole."""
    missing = [
        Problem("agent init", one.why, one.question[0].lower() + one.question[1:], fix=f"say it with {one.flag}")
        for one in plan.missing
    ]
    if problems := [*plan.problems, *missing]:
        raise BadInput(*problems)

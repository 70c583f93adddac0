"""Loads and writes the documents of a workspace; each load returns a record or every problem of the file at once.

Called by the composition root, `init`, `doctor` and the nodes. Values in `competitive_registry.yaml` are changed
by `registry.competitive_text`, never dumped from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from registry.competitive import CompetitiveRegistry, cross_problems
from registry.errors import BadInput, Problem
from registry.evidence_file import EvidenceFile
from registry.hypotheses import Hypothesis
from registry.model_config import ModelConfig
from registry.model_documents import checked_models, without_keys
from registry.queue_file import dump_hypothesis, dump_queue
from registry.research import ResearchConfig
from registry.target import Target
from registry.validation import validated
from registry.yaml_nodes import Located, shown, shown_text
from registry.yaml_parsing import read

__all__ = [
    "dump_hypothesis",
    "dump_queue",
    "load_competitive",
    "load_evidence",
    "load_hypothesis",
    "load_models",
    "load_queue",
    "load_research",
    "load_target",
    "validate_competitive",
]


def load_target(path: Path) -> Target:
    """`target.yaml`. Raises BadInput."""
    located = read(path, keep_faults=True)
    return validated(located, Target, located.data)


def load_competitive(path: Path) -> CompetitiveRegistry:
    """`competitive_registry.yaml`. Raises BadInput."""
    return validate_competitive(read(path, keep_faults=True))


def validate_competitive(located: Located) -> CompetitiveRegistry:
    """A registry from text already read, such as the one about to be written. Raises BadInput."""
    return validated(located, CompetitiveRegistry, located.data, known=cross_problems(located))


def load_research(path: Path) -> ResearchConfig:
    """`research_config.yaml`. Raises BadInput."""
    located = read(path, keep_faults=True)
    return validated(located, ResearchConfig, located.data)


def load_models(path: Path) -> ModelConfig:
    """`models.yaml`. Raises BadInput, which never shows a key that somebody wrote into it."""
    located = read(path, keep_faults=True)
    data, known = without_keys(located)
    return checked_models(located, validated(located, ModelConfig, data, known=known))


def load_hypothesis(path: Path) -> Hypothesis:
    """One hypothesis in the documents' form, under the key `hypothesis`. Raises BadInput."""
    located = read(path, keep_faults=True)
    return validated(located, Hypothesis, _only(located, "hypothesis", dict), ("hypothesis",))


def load_queue(path: Path) -> list[Hypothesis]:
    """`experiment_queue.yaml` in the order it stands. Raises BadInput."""
    located = read(path)
    problems: list[Problem] = []
    hypotheses = []
    for index, data in enumerate(_only(located, "queue", list)):
        try:
            hypotheses.append(validated(located, Hypothesis, data, ("queue", index)))
        except BadInput as error:
            problems += error.problems
    seen: set[str] = set()
    for index, hypothesis in enumerate(hypotheses):
        if hypothesis.id in seen and not problems:
            problems.append(located.problem(("queue", index, "id"), f"{hypothesis.id} a second time", "each id once"))
        seen.add(hypothesis.id)
    if problems:
        raise BadInput(*problems)
    return hypotheses


def load_evidence(path: Path) -> EvidenceFile:
    """An evidence file, YAML or JSON. Raises BadInput."""
    located = read(path, keep_faults=True)
    return validated(located, EvidenceFile, located.data)


def _only(located: Located, key: str, kind: type) -> Any:
    """What stands under the one key a document has."""
    expected = "a list" if kind is list else "a mapping"
    problems = [
        located.problem((name,), f'the unknown key "{shown_text(name)}"', f"the key {key} and no other")
        for name in located.data
        if name != key
    ]
    if key not in located.data:
        problems.append(located.problem((key,), "nothing", f"the key {key}"))
    elif not isinstance(located.data[key], kind):
        problems.append(located.problem((key,), shown(located.data[key]), expected))
    if problems:
        raise BadInput(*problems)
    return located.data[key]

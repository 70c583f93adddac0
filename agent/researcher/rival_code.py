"""What a competitor's code does otherwise than ours: settings with other values, and parts that ours does not have.

Called by `agent.papers` for documents of code (`tools.competitor_code`); needs no model. A setting of theirs that
answers to one of our search space's, under the names that papers and configurations give it, becomes a technique with
the nearest value that we list; a part (layer, optimiser, loss, augmentation) that only they name becomes words for a
model or a person. Neither claims a gain. Comments and README files are not read at all. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from agent.researcher.code_reading import Setting, parts, quotable, settings
from agent.researcher.evidence import check, quoted
from agent.researcher.quotes import MIN_WORDS
from agent.researcher.reading import MAX_VALUES, distance, key_of, vocabulary
from agent.researcher.rival_parts import KINDS, kind_of
from registry.hypotheses import Effort, Scalar
from registry.papers import Paper, Reading, Technique
from registry.target import Parameter
from tools.pdf.text import PdfText

MAX_PARTS = 12
_EFFORTS: dict[str, Effort] = {"architecture": "High", "layer": "High", "ensemble": "High"}
"""What writing a part takes; Medium for the others."""


@dataclass(frozen=True, slots=True)
class _Theirs:
    """A value of theirs that answers to a parameter of ours."""

    value: Scalar
    page: int
    setting: Setting


def read(
    paper: Paper,
    document: PdfText,
    space: Mapping[str, Parameter],
    production: Mapping[str, Scalar],
    our_parts: Collection[str],
) -> Reading:
    """The reading of a competitor's code against our search space, our values and the names of our parts."""
    paths = document.pages[0].split("\n") if document.pages else []
    techniques = [*_settings(paper, document, paths, space, production), *_parts(paper, document, paths, our_parts)]
    tuned = sum(bool(technique.settings) for technique in techniques)
    why = f"a competitor's code ({len(paths)} files): {tuned} settings and {len(techniques) - tuned} parts are not ours"
    return Reading(paper=paper, relevant=bool(techniques), why=why, boards=[], techniques=techniques)


def part_names(files: Mapping[str, str]) -> frozenset[str]:
    """The parts that files name, to compare with; path → text."""
    return frozenset(part.name for path, text in files.items() for part in parts(path, text) if kind_of(part.name))


def _settings(
    paper: Paper, document: PdfText, paths: list[str], space: Mapping[str, Parameter], production: Mapping[str, Scalar]
) -> Iterator[Technique]:
    names = _names(space)
    found: dict[str, list[_Theirs]] = {}
    for page, path in enumerate(paths, start=2):
        for setting in settings(path, document.pages[page - 1]):
            parameter = _answering(setting.name, names)
            value = _ours(space[parameter], setting.value) if parameter else None
            if parameter and value is not None:
                found.setdefault(parameter, []).append(_Theirs(value, page, setting))
    for name, theirs in found.items():
        meant = space[name]
        now = production.get(meant.path)
        often = Counter(_hashable(each.value) for each in theirs if not _same(each.value, now))
        values = [value for (_, value), _ in often.most_common(MAX_VALUES)]
        if not values:
            continue
        first = next(each for each in theirs if _same(each.value, values[0]))
        tried = {meant.path: values}
        yield _technique(paper, document, paths, first.page, first.setting.line, name, tried, meant.effort)


def _parts(paper: Paper, document: PdfText, paths: list[str], our_parts: Collection[str]) -> Iterator[Technique]:
    ours = {key_of(name) for name in our_parts}
    seen: dict[str, tuple[str, int, int]] = {}
    for page, path in enumerate(paths, start=2):
        for part in parts(path, document.pages[page - 1]):
            kind = kind_of(part.name) or ("architecture" if part.built else "")
            if kind and key_of(part.name) not in ours:
                seen.setdefault(part.name, (kind, page, part.line))
    order = [kind for kind, _ in KINDS]
    ranked = sorted(seen.items(), key=lambda item: order.index(item[1][0]))
    for name, (kind, page, line) in ranked[:MAX_PARTS]:
        change = f"Their code uses {name} ({kind}); ours names nothing of that name."
        yield _technique(paper, document, paths, page, line, name[:80], {}, _EFFORTS.get(kind, "Medium"), change)


def _technique(
    paper: Paper,
    document: PdfText,
    paths: list[str],
    page: int,
    line: int,
    name: str,
    tried: dict[str, list[Scalar]],
    effort: Effort,
    change: str = "",
) -> Technique:
    quote = quoted(paper, document, page, quotable(document.pages[page - 1], line, MIN_WORDS))
    quote = quote.model_copy(update={"place": f"{paths[page - 2]}:{line}"})
    technique = Technique(
        name=name,
        paper=paper.key,
        settings=tried,
        change=change,
        effort=effort,
        impact="Low",
        quote=quote,
        origin="rival",
    )
    return check(technique, document)


def _names(space: Mapping[str, Parameter]) -> dict[str, frozenset[str]]:
    """What configurations may call each parameter: its own names first, then those of its concepts."""
    known = vocabulary(space)
    return {
        name: frozenset({key_of(name), key_of(parameter.path.rsplit(".", 1)[-1])}).union(
            *(concept.names for concept in known[name])
        )
        for name, parameter in space.items()
    }


def _answering(dotted: str, names: Mapping[str, frozenset[str]]) -> str:
    """The one parameter that a setting's name means; empty where none or several could be meant."""
    leaf = key_of(dotted.rsplit(".", 1)[-1])
    own = [name for name in names if key_of(name) == leaf]
    meant = own or [name for name, called in names.items() if leaf in called]
    return meant[0] if len(meant) == 1 else ""


def _ours(parameter: Parameter, value: Scalar) -> Scalar | None:
    """The listed value that theirs is or comes nearest to; None where it is of another kind or far outside."""
    listed = parameter.values
    if all(isinstance(each, bool) for each in listed):
        return value if isinstance(value, bool) and value in listed else None
    numbers = [each for each in listed if isinstance(each, (int, float)) and not isinstance(each, bool)]
    if len(numbers) == len(listed):
        if isinstance(value, (bool, str)) or not numbers:
            return None
        low, high = float(min(numbers)), float(max(numbers))
        if not min(low, low / 2) <= float(value) <= high * 2:
            return None
        return min(numbers, key=lambda each: distance(float(each), float(value)))
    return next((each for each in listed if str(each).casefold() == str(value).casefold()), None)


def _same(one: Scalar, other: Scalar | None) -> bool:
    return other is not None and isinstance(one, bool) == isinstance(other, bool) and one == other


def _hashable(value: Scalar) -> tuple[str, Scalar]:
    """True and 1 are equal in Python and two values here."""
    return type(value).__name__, value

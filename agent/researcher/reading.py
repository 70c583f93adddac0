"""Rule-based reading of papers: relevance screen, techniques matched to the search space, research log entry.

Called by the reading nodes when no model reads. It knows the words of `agent.researcher.cues` and nothing else,
abstains where a sentence is negated or hypothetical, takes values from the solution's search space only, and says
of everything that rules read it. Pure: text in, records out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.researcher.claims import Clause, ends_at_references, normalised, praised, praising, sentences
from agent.researcher.cues import CONCEPTS, DOWN_WORDS, NUMBER_WORDS, UP_WORDS, Concept, Direction
from agent.researcher.evidence import check, impact_of, quoted
from registry.hypotheses import EFFORT_SCORES, Impact, Quote, Scalar
from registry.papers import Paper, Technique
from registry.target import Parameter
from tools.pdf.text import PdfText

IMPACT_SCORES: dict[Impact, float] = {"Low": 1.0, "Medium": 2.0, "High": 3.0}
MAX_VALUES = 3
"""Values taken from one claim that names none; the search tries further ones if these pay."""

_STATE_OF_THE_ART = re.compile(r"\bstate of the art\b|\bsota\b|\boutperform\w*\b|\bbest (?:published|reported)\b")
_NOT_MEANT = re.compile(
    r"\b(?:unlike|instead of|rather than|without|than|compared (?:to|with)|removing|no)\s+(?:\w+\s+){0,2}$"
)
_NUMBER = re.compile(
    r"(?<![\w.\[-])(\d+(?:\.\d+)?(?:e-?\d+)?|" + "|".join(NUMBER_WORDS) + r")(?![\w%\]]|\.\d| ?percent| ?points)"
)
_ONE_UNIT = re.compile(r"\bone (?:pixel|epoch|step|unit)\b")
"""Otherwise "one" is hardly ever a value."""
_RANGE = re.compile(r"\bfrom (\S+)(?: \w+)? to (\S+)")


@dataclass(frozen=True, slots=True)
class Screening:
    """The screen's answer: whether a paper is worth reading for us, and on which of our boards it reports."""

    relevant: bool
    why: str
    boards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Mention:
    """A phrase in a clause that names a parameter of ours."""

    parameter: str
    start: int
    end: int
    direction: Direction


def screen(paper: Paper, text: PdfText | None, boards: Sequence[str], domain_terms: Sequence[str]) -> Screening:
    """Does the paper report on one of our boards, or claim the state of the art in our domain?"""
    front = normalised(f"{paper.title}\n{paper.summary}\n{text.pages[0] if text and text.pages else ''}")
    whole = front if text is None else normalised("\n".join([paper.title, paper.summary, *text.pages]))
    named = tuple(board for board in boards if _stands(board, whole))
    if named:
        return Screening(True, f"reports on {', '.join(named)}", named)
    terms = [term for term in dict.fromkeys(domain_terms) if _stands(term, front)]
    if len(terms) > 1:
        return Screening(True, f"is about our domain ({', '.join(terms)})")
    if terms and _STATE_OF_THE_ART.search(front):
        return Screening(True, f"claims the state of the art in our domain ({terms[0]})")
    return Screening(False, f"names none of our boards and {'only ' + terms[0] if terms else 'nothing'} of our domain")


def extract(
    paper: Paper,
    text: PdfText,
    space: Mapping[str, Parameter],
    production: Mapping[str, Scalar] | None = None,
) -> list[Technique]:
    """Techniques that the paper claims help, one for each parameter, best priority first.

    `production` (configuration path → value now) keeps values out that the solution has already.
    """
    concepts = vocabulary(space)
    patterns = [concept.pattern.pattern for found in concepts.values() for concept in found]
    if not patterns:
        return []
    subject = re.compile("|".join(dict.fromkeys(patterns)))
    best: dict[str, Technique] = {}
    for number, page in enumerate(text.pages, start=1):
        for sentence in sentences(page):
            for clause in praising(sentence, subject):
                for mention in _mentions(clause.text, concepts):
                    parameter = space[mention.parameter]
                    values = _values(parameter, clause, mention, (production or {}).get(parameter.path))
                    if values:
                        quote = quoted(paper, text, number, sentence)
                        claimed = _technique(paper, mention.parameter, parameter, values, clause.gain, quote)
                        technique = check(claimed, text)
                        best[mention.parameter] = max(best.get(mention.parameter, technique), technique, key=_worth)
        if ends_at_references(page):
            break
    return sorted(best.values(), key=by_priority)


def technique_priority(technique: Technique) -> float:
    """Estimated impact × 1/effort; a technique whose quote does not stand has none."""
    if not technique.quote.verified:
        return 0.0
    return IMPACT_SCORES[technique.impact] / EFFORT_SCORES[technique.effort]


def by_priority(technique: Technique) -> tuple[float, float, str]:
    """Sorting key, best first: priority, then the claimed gain, then the name."""
    return (-technique_priority(technique), -(technique.claimed_gain or 0.0), technique.name)


def vocabulary(space: Mapping[str, Parameter]) -> dict[str, list[Concept]]:
    """What sentences may call each parameter.

    A concept belongs to the parameters whose name or own tag it is; where several share it by a tag alone, it
    belongs to none of them, since a sentence about it would not say which is meant.
    """
    named = {name: _keys(name, parameter) for name, parameter in space.items()}
    tagged = {name: frozenset(map(key_of, parameter.tags)) for name, parameter in space.items()}
    words: dict[str, list[Concept]] = {name: [] for name in space}
    for concept in CONCEPTS:
        owners = [name for name in space if concept.names & named[name]]
        by_tag = [name for name in space if concept.names & tagged[name]]
        owners = owners or (by_tag if len(by_tag) == 1 else [])
        for name in owners:
            words[name].append(concept)
    for name in space:
        others = [tag for other in space if other != name for tag in tagged[other]]
        own = {key for key in named[name] if "_" in key or len(key) > 5}
        own |= {tag for tag in tagged[name] if "_" in tag and tag not in others}
        if own:
            phrases = tuple(re.escape(key.replace("_", " ")) for key in sorted(own))
            words[name].append(Concept(phrases, frozenset(own)))
    return words


def _keys(name: str, parameter: Parameter) -> frozenset[str]:
    """The names a parameter goes by: its own, its path's last part, else the last word of these."""
    whole = {key_of(name), key_of(parameter.path.rsplit(".", 1)[-1])}
    known = any(concept.names & (whole | set(map(key_of, parameter.tags))) for concept in CONCEPTS)
    return frozenset(whole if known else whole | {key.rsplit("_", 1)[-1] for key in whole})


def _mentions(clause: str, concepts: Mapping[str, list[Concept]]) -> list[_Mention]:
    """Parameters that the clause names; of phrases that overlap only the longest is meant."""
    found = [
        _Mention(name, match.start(), match.end(), concept.direction)
        for name, several in concepts.items()
        for concept in several
        for match in concept.pattern.finditer(clause)
        if praised(clause, match.start(), match.end())
        and not _NOT_MEANT.search(clause[max(0, match.start() - 60) : match.start()])
    ]
    kept: dict[str, _Mention] = {}
    for mention in sorted(found, key=lambda m: (m.start - m.end, not m.direction, m.start)):
        longer = [m for m in found if m.start - m.end < mention.start - mention.end]
        if not any(m.start < mention.end and mention.start < m.end for m in longer):
            kept.setdefault(mention.parameter, mention)
    return list(kept.values())


def _values(parameter: Parameter, clause: Clause, mention: _Mention, now: Scalar | None) -> list[Scalar]:
    """Listed values that the clause speaks for: the one it names, else the next ones in its direction."""
    listed = parameter.values
    if all(isinstance(value, bool) for value in listed):
        return [value for value in listed if value is not (mention.direction == "down") and value is not now]
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in listed):
        return [value for value in listed if value != now and _stands(str(value), clause.text)]
    ordered = sorted((value for value in listed if not isinstance(value, str)), key=float)
    named = _named_number(clause, mention, float(ordered[0]), float(ordered[-1]))
    if named is not None:
        nearest = min(ordered, key=lambda value: distance(float(value), named))
        if nearest != now:
            return [nearest]
    return _in_direction(ordered, _direction(clause.text, mention), now)


def _named_number(clause: Clause, mention: _Mention, low: float, high: float) -> float | None:
    """The number nearest to the phrase that could be a value of the parameter and is no part of the gain."""
    candidates = []
    counted = () if _ONE_UNIT.search(clause.text) else ("one",)
    for match in _NUMBER.finditer(clause.text):
        value = NUMBER_WORDS[match[1]] if match[1] in NUMBER_WORDS else float(match[1])
        inside = any(start <= match.start() < end for start, end in clause.spans)
        if not inside and min(low, low / 2) <= value <= high * 2 and match[1] not in counted:
            candidates.append((match.start(), value))
    targets = {match.start(2) for match in _RANGE.finditer(clause.text)}
    changed_to = [value for start, value in candidates if start in targets]
    if changed_to:
        return changed_to[0]

    def gap(start: int) -> int:
        return min(abs(start - mention.end), abs(start - mention.start))

    return min(candidates, key=lambda found: gap(found[0]))[1] if candidates else None


def _direction(clause: str, mention: _Mention) -> Direction:
    if mention.direction:
        return mention.direction
    before = [word for word in re.findall(r"\w+", clause[: mention.start])[-3:] if word not in {"the", "a", "an", "of"}]
    after = re.findall(r"\w+", clause[mention.start : mention.end])[:1]
    words = set(before[-2:] + after)
    return "up" if words & UP_WORDS else "down" if words & DOWN_WORDS else ""


def _in_direction(ordered: Sequence[Scalar], direction: Direction, now: Scalar | None) -> list[Scalar]:
    """The next listed values in a direction; none where the sentence gives neither a value nor a direction."""
    if not direction:
        return []
    onward = list(ordered) if direction == "up" else list(reversed(ordered))
    if not isinstance(now, (int, float)):
        return onward[1:][:MAX_VALUES]
    sign = 1.0 if direction == "up" else -1.0
    return [value for value in onward if sign * float(value) > sign * float(now)][:MAX_VALUES]


def distance(value: float, wanted: float) -> float:
    if value > 0 and wanted > 0:
        return abs(math.log(value / wanted))
    return abs(value - wanted)


def _technique(
    paper: Paper, name: str, parameter: Parameter, values: list[Scalar], gain: float | None, quote: Quote
) -> Technique:
    return Technique(
        name=name,
        paper=paper.key,
        settings={parameter.path: values},
        effort=parameter.effort,
        impact=impact_of(gain),
        claimed_gain=gain,
        quote=quote,
    )


def _worth(technique: Technique) -> tuple[bool, float, bool]:
    single = all(len(values) == 1 for values in technique.settings.values())
    return (technique.quote.verified, technique.claimed_gain or 0.0, single)


def key_of(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()).strip("_")


def _stands(term: str, text: str) -> bool:
    """Whether the words of `term` stand in normalised text, whatever separates them."""
    words = re.findall(r"\w+", normalised(term))
    return bool(words) and bool(re.search(r"(?<!\w)" + r"[\W_]{1,3}".join(map(re.escape, words)) + r"(?!\w)", text))

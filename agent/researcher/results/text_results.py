"""Candidates from sentences: `we achieve an F1 of 84.0 on SemEval-2010 Task 8`.

Used by `agent.researcher.results.extraction`. A sentence counts where the paper speaks of itself and a dataset and a
metric stand beside the number; differences, other people's results and numbers of anything else are left out. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.researcher.results.documents import SCORE
from agent.researcher.results.profile import Profile
from agent.researcher.results.table_results import Candidate
from agent.researcher.results.taxonomy import Metric
from agent.researcher.results.words import METRIC_TASKS, normal, split_of

_ACHIEVED = re.compile(
    r"\b(?:achiev|obtain|reach|attain|yield|set|establish|result|scor|get|gain|report|perform|improv|push)\w*\b"
    r"|\bstate.of.the.art\b|\bsota\b|\bnew best\b",
    re.IGNORECASE,
)
_OURS = re.compile(r"\b(?:we|our|ours|this (?:paper|work|model|approach|method)|the proposed|it)\b", re.IGNORECASE)
_OTHERS = re.compile(
    r"\bet al\b|\b(?:they|their|previous(?:ly)?|prior|existing|baselines?|human|bound|chance|theoretical"
    r"|compared? (?:to|with)|than|versus|vs)\b"
    r"|\b(?:19|20)\d\d[a-z]?\)"
)
_DIFFERENCE = re.compile(
    r"(?:\bby|\bof|\+|improve\w*|increase\w*|gains?|reduc\w+|decreas\w+|margin|from|up to|over|about|than)"
    r"\s*(?:about\s|up to\s|a\s|an\s)?$"
)
_POINTS = re.compile(
    r"^\s*%?\s*(?:absolute|relative|points?|percentage|improvement|gain|times|million|billion|x\b|k\b|m\b)", re.I
)
_PART_BEFORE = re.compile(r"(?:[\u00b1\u2010-\u2015\u2212-]|\+/-)\s*$")
_RANGE_AFTER = re.compile(r"\s?%?\s?[\u2010-\u2015\u2212-]\s?\d")
_NOT_SO = re.compile(
    r"\b(?:not(?! only)|never|cannot|fail(?:s|ed)?|could|would|might|may|should|hopes?|expect\w*)\b|n[’']t\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])|\n")
_COMPARED = re.compile(r"^\W{0,3}(?:\w+\s){0,3}?(?:higher|lower|better|worse|more|less)\b")
_LESS_THAN_A_RESULT = re.compile(r"\b(?:improvements?|gap|difference|drops?|only)\b")
_REPEATED = re.compile(r"\b(?:replicat\w+|reproduc\w+|re-?implement\w*)\b", re.IGNORECASE)
_BREAK = re.compile(r"[,;](?=\s)|\band\b|\bwhile\b")
_ASIDE = re.compile(r"\([^()]{0,80}\)")
_OTHER_CLAUSE = re.compile(r"\b(?:compared? (?:to|with)|than|versus|vs\.?|whereas|outperform\w*|surpass\w*)\b")


def candidates(profile: Profile) -> Iterator[Candidate]:
    """Every number that a sentence about the paper's own work gives a metric and a dataset."""
    main = profile.main_dataset()
    for section in profile.document.sections:
        heading = section.heading.strip().lower()
        front = "abstract" in heading or "conclusion" in heading or section.page == 1
        start = 0
        for match in [*_SENTENCE.finditer(section.text), None]:
            end = match.start() if match is not None else len(section.text)
            sentence, begun = section.text[start:end].strip(), start
            start = match.end() if match is not None else end
            if 20 < len(sentence) < 600 and _OURS.search(sentence) and _ACHIEVED.search(sentence):
                yield from _of_sentence(sentence, profile, main, section.page, begun, front=front)


def _of_sentence(
    sentence: str, profile: Profile, main: str, page: int, begun: int, *, front: bool
) -> Iterator[Candidate]:
    numbers = [m for m in SCORE.finditer(sentence) if _is_score(sentence, m)]
    vocabulary = profile.vocabulary
    named = [profile.resolve(mention.items, sentence) for mention in vocabulary.datasets_in(sentence)]
    datasets = list(dict.fromkeys(name for name in named if name))
    for place, number in enumerate(numbers):
        left = numbers[place - 1].end() if place else 0
        right = numbers[place + 1].start() if place + 1 < len(numbers) else len(sentence)
        before = _BREAK.split(sentence[left : number.start()])[-1]
        after = _BREAK.split(_ASIDE.sub(" ", sentence[number.end() :])[: right - number.end()])[0]
        clause = _OTHER_CLAUSE.split(sentence[: number.start()])
        if (
            _COMPARED.match(after)
            or len(clause) > 1
            or _OTHERS.search(before[-60:])
            or _NOT_SO.search(before)
            or not _OURS.search(sentence[: number.start()])
        ):
            continue
        if _REPEATED.search(sentence):
            continue
        if not _ACHIEVED.search(sentence[: number.start()]) or _LESS_THAN_A_RESULT.search(before):
            continue
        base = _nearest_metric(before, after, profile)
        if not base:
            continue
        own_part = {profile.resolve(one.items, sentence) for one in vocabulary.datasets_in(f"{before} {after}")} - {""}
        if len(datasets) == 1 and (vocabulary.taxonomy.complete or own_part == set(datasets)):
            dataset, weight = datasets[0], 0.95
        elif len(own_part) == 1:
            dataset, weight = own_part.pop(), 0.8
        elif not datasets and main and front and vocabulary.taxonomy.complete:
            dataset, weight = main, 0.65
        else:
            continue
        metric = _metric(vocabulary.by_base[base], sentence)
        if metric is None or metric.split == "dev" or split_of(normal(before[-40:])) == "dev":
            continue
        task, lead = profile.task_of(dataset, base, sentence)
        wanted = METRIC_TASKS.get(base)
        if not task and vocabulary.taxonomy.complete:
            continue
        if task and wanted is not None and normal(task).strip() != wanted:
            continue
        confidence = 0.85 * weight * 0.95 * (1.0 if front else 0.75) * (1.0 if lead >= 0.5 else 0.7)
        span = (begun + number.start(), begun + number.end())
        yield Candidate(
            task, dataset, metric, number[1], 0.85, weight, 0.95, confidence, sentence=sentence, page=page, span=span
        )


def _is_score(sentence: str, match: re.Match[str]) -> bool:
    """Whether a number is written as a score: with decimals or a percent sign, and as no difference.

    A spread (`± 0.3`), a number with a sign and the ends of a range are none.
    """
    after = sentence[match.end() :]
    if "." not in match[1] or _PART_BEFORE.search(sentence[: match.start()]) or _RANGE_AFTER.match(after):
        return False
    if _POINTS.match(after) or (_DIFFERENCE.search(sentence[: match.start()]) and not _of_metric(sentence, match)):
        return False
    return 0 < float(match[1]) < 100


def _of_metric(sentence: str, match: re.Match[str]) -> bool:
    """`an accuracy of 97.5` and no `gain of 1.2`."""
    before = sentence[: match.start()].rstrip().lower()
    return before.endswith(" of") and not re.search(
        r"(?:gain|improvement|increase|reduction|margin|boost)s? of$", before
    )


def _nearest_metric(before: str, after: str, profile: Profile) -> str:
    """The metric that stands right after the number, else the last one before it."""
    before = before.rstrip()
    if re.search(r"\bof$", before) and (named := profile.vocabulary.metrics_in(before[-60:])):
        return named[-1].items[0] if len(named[-1].items) == 1 else ""
    following = profile.vocabulary.metrics_in(after[:60])
    preceding = profile.vocabulary.metrics_in(before[-80:])
    chosen = following[0] if following and following[0].start <= 2 else preceding[-1] if preceding else None
    if chosen is None and following:
        chosen = following[0]
    return chosen.items[0] if chosen is not None and len(chosen.items) == 1 else ""


def _metric(listed: list[Metric], sentence: str) -> Metric | None:
    plain = sorted((one for one in listed if not one.qualifier), key=lambda one: len(one.name))
    by_split = [one for one in listed if one.split == (split_of(normal(sentence)) or "test")]
    return plain[0] if plain else by_split[0] if by_split else None

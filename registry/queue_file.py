"""Hypotheses as YAML: one a file in the documents' form and order, and the ranked `experiment_queue.yaml`.

Called through `registry.documents`. Both are projections of the audit log, so they are written whole; text that
cannot be shown (control characters) becomes spaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from registry.hypotheses import Hypothesis, Quote, Scalar
from registry.yaml_scalars import cleaned, is_plain, number_token, quoted, token

_QUEUE_HEADER = "# Ranked by priority_score = 100 * estimated_gain / effort * urgency; written by the agent.\n"


def ranked(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Highest priority first; the low tier after all others; the older of two equals first."""
    return sorted(hypotheses, key=lambda h: (h.tier == "low", -h.priority_score, int(h.id.removeprefix("H-"))))


def dump_hypothesis(
    hypothesis: Hypothesis, decided: Mapping[str, str] | None = None, gap_analysis: Sequence[str] = ()
) -> str:
    """`experiments/*/H-042.yaml`: the documents' fields in their order, then ours.

    Below them when and why it was decided, and of a rejection the notes that place it.
    """
    text = "hypothesis:\n" + "".join(f"  {line}\n" for line in _lines(hypothesis))
    if decided:
        text += "decided:\n" + "".join(f"  {key}: {_quoted(value)}\n" for key, value in decided.items())
    if gap_analysis:
        text += "gap_analysis:\n" + "".join(f"  - {_quoted(line)}\n" for line in gap_analysis)
    return text


def dump_queue(hypotheses: Sequence[Hypothesis]) -> str:
    """`experiment_queue.yaml`: the hypotheses given, ranked."""
    if not hypotheses:
        return _QUEUE_HEADER + "queue: []\n"
    blocks = []
    for hypothesis in ranked(hypotheses):
        first, *rest = _lines(hypothesis)
        blocks.append(f"- {first}\n" + "".join(f"  {line}\n" for line in rest))
    return _QUEUE_HEADER + "queue:\n" + "".join(blocks)


def _lines(hypothesis: Hypothesis) -> list[str]:
    boards = ", ".join(map(_text, hypothesis.target_leaderboards))
    return [
        f"id: {hypothesis.id}",
        f"title: {_quoted(hypothesis.title)}",
        f"claim: {_quoted(hypothesis.claim)}",
        f"source: {_text(hypothesis.source)}",
        f"target_leaderboards: [{boards}]",
        "implementation:",
        f"  change: {_quoted(hypothesis.implementation.change)}",
        f"  effort: {hypothesis.implementation.effort}",
        *_settings(hypothesis.implementation.settings),
        f"estimated_gain: {number_token(hypothesis.estimated_gain, '+')}",
        f"priority_score: {number_token(hypothesis.priority_score)}",
        f"status: {hypothesis.status}",
        f"urgency: {hypothesis.urgency}",
        f"tier: {hypothesis.tier}",
        f"family: {_text(hypothesis.family)}",
        f"strategy: {hypothesis.strategy}",
        *_quotes(hypothesis.quotes),
    ]


def _settings(settings: Mapping[str, Scalar]) -> list[str]:
    if not settings:
        return []
    pairs = (f"    {_text(key)}: {_scalar(value)}" for key, value in settings.items())
    return ["  settings:", *pairs]


def _quotes(quotes: Sequence[Quote]) -> list[str]:
    if not quotes:
        return []
    lines = ["quotes:"]
    for quote in quotes:
        lines += [
            f"  - document: {_quoted(quote.document)}",
            f"    file_sha256: {_quoted(quote.file_sha256)}",
            f"    page: {quote.page}",
            f"    text: {_quoted(quote.text)}",
            f"    verified: {token(quote.verified)}",
        ]
    return lines


def _scalar(value: Scalar) -> str:
    return _text(value) if isinstance(value, str) else token(value)


def _text(text: str) -> str:
    return text if is_plain(text) else _quoted(text)


def _quoted(text: str) -> str:
    return quoted(cleaned(text))

"""What the history knows, as Markdown tables: configuration, what was tried, what waits, what was read.

Shared by the brief for people and the technical log. Text that came from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from registry.history import History


def escaped(text: str) -> str:
    """A stranger's or a model's text as one cell that shows as it is."""
    from agent.researcher.research_log import escaped as escape

    return escape(text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> str:
    """A Markdown table, or a sentence where there is no row."""
    body = ["| " + " | ".join(row) + " |" for row in rows]
    if not body:
        return empty + "\n"
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body]) + "\n"


def configuration_table(history: History) -> str:
    """Production's values of the search space."""
    values = history.production.configuration if history.production is not None else {}
    return table(("Setting", "Value"), ((f"`{path}`", f"`{value}`") for path, value in values.items()), "None.")


def tried_table(history: History) -> str:
    """Every verdict: what was changed, what came of it and why."""
    rows = (
        (
            verdict.hypothesis,
            escaped(history.hypotheses[verdict.hypothesis].title),
            verdict.outcome,
            f"{verdict.gain:+.4f} on {verdict.gain_on}" if verdict.gain is not None else "–",
            escaped(verdict.explanation),
        )
        for verdict in history.verdicts
    )
    return table(("Id", "Change", "Outcome", "Gain", "Why"), rows, "Nothing has been tried yet.")


def queue_table(history: History) -> str:
    """What waits, by rank."""
    waiting = [*history.with_status("active"), *history.with_status("queued")]
    rows = (
        (
            hypothesis.id,
            escaped(hypothesis.title),
            f"{hypothesis.priority_score:g}",
            f"{hypothesis.estimated_gain:+.4f}",
            hypothesis.implementation.effort,
            hypothesis.status,
        )
        for hypothesis in waiting
    )
    return table(("Id", "Change", "Priority", "Estimated gain", "Effort", "Status"), rows, "The queue is empty.")


def papers_table(history: History) -> str:
    """What was read and what was taken from it."""
    rows = (
        (
            escaped(reading.paper.title),
            "yes" if reading.relevant else "no",
            escaped(", ".join(technique.name for technique in reading.techniques)) or "–",
            escaped(reading.why),
        )
        for reading in history.readings.values()
    )
    return table(("Paper", "Relevant", "Techniques", "Why"), rows, "Nothing has been read yet.")

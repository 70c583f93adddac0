"""The situation in words, for the prompt that asks a model for ideas.

Called by `agent.researcher.llm_proposing`. Everything that we did not write goes in fenced and bounded: titles and
reasons of ideas, ends of runs, techniques, names on boards, outlines of code. Of phases that see the dev or test split
only how they ended is told, never what they printed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent.llm.host_paths import without_host_paths
from agent.llm.untrusted import fenced
from agent.researcher.contract import Brief, Situation, Trial
from agent.researcher.direction import Direction
from agent.researcher.llm_reading import metric_in_words
from agent.researcher.reading import by_priority
from agent.researcher.settings import described
from registry.papers import Technique
from tools.pdf.text import plain

MOST_TRIED = 40
MOST_TECHNIQUES = 20
MOST_LINES = 30
"""Of the ledger."""
CODE_CHARS = 16_000
SECTION_CHARS = 12_000
_NOTHING = "Nothing is known."
_SAW_THE_SPLIT = re.compile(r"\b(?:predict|evaluate|probe)\b.{0,400}?(?=; last lines?: )", re.DOTALL)
_PRINTED = re.compile(r"; last lines?: .*", re.DOTALL)


def values(situation: Situation, brief: Brief, asked: Direction) -> dict[str, str]:
    """Every slot of the prompt `propose`."""
    target, techniques, rivals = situation.target, techniques_told(situation), rivals_told(situation)
    return {
        "solution": target.name,
        "metric": metric_in_words(situation),
        "name": target.metrics.primary.name,
        "threshold": f"{target.gate.threshold:g}",
        "strategy": asked.strategy,
        "why": asked.why,
        "standing": _fence("standing on the board", brief.standing, _NOTHING),
        "noise": _noise(brief),
        "space": described(target.search_space, situation.production),
        "code": _code(brief),
        "tried": _fence("ideas that were tried or wait, oldest first", _tried(situation.trials), "Nothing yet."),
        "ledger": _fence("ledger of claims", brief.ledger[:MOST_LINES], _NOTHING),
        "techniques": _fence("techniques from papers", map(_technique, techniques, _ids("T", techniques)), _NOTHING),
        "rivals": _fence("competitors' differences", map(_technique, rivals, _ids("R", rivals)), _NOTHING),
        "left": "\n".join(f"- {line}" for line in brief.left) or "No budget is declared.",
        "limit": str(situation.limit),
    }


def techniques_told(situation: Situation) -> list[Technique]:
    """The techniques of papers that the model is told of, best first: T1 is the first."""
    return _ranked([technique for technique in situation.techniques if technique.origin == "paper"])


def rivals_told(situation: Situation) -> list[Technique]:
    """The differences of competitors from us that the model is told of, best first: R1 is the first."""
    return _ranked([technique for technique in situation.techniques if technique.origin == "rival"])


def by_id(situation: Situation) -> dict[str, Technique]:
    """Everything that an idea may rest on, by the id that the model is told."""
    techniques, rivals = techniques_told(situation), rivals_told(situation)
    return dict(zip([*_ids("T", techniques), *_ids("R", rivals)], [*techniques, *rivals], strict=True))


def _ranked(techniques: Sequence[Technique]) -> list[Technique]:
    return sorted(techniques, key=lambda technique: (by_priority(technique), technique.paper))[:MOST_TECHNIQUES]


def ending(explanation: str) -> str:
    """Why an idea ended so, without paths of this machine and what a phase printed that sees the dev or test split."""
    told = _PRINTED.sub("", explanation) if _SAW_THE_SPLIT.search(explanation) else explanation
    return without_host_paths(told)


def _ids(letter: str, items: Sequence[object]) -> list[str]:
    return [f"{letter}{place}" for place in range(1, len(items) + 1)]


def _fence(what: str, lines: Iterable[str], empty: str) -> str:
    listed = [f"- {_flat(line.removeprefix('- '), 600)}" for line in lines]
    return fenced(what, "\n".join(listed), SECTION_CHARS) if listed else empty


def _noise(brief: Brief) -> str:
    noise = brief.noise
    if noise is None:
        return "Not measured yet."
    if noise.sd == 0.0:
        return f"{noise.seeds} runs of production on different seeds give one value on the dev split: {noise.mean:.6g}."
    told = f"Production's mean over {noise.seeds} seeds on the dev split is {noise.mean:.6g}; one run has a standard"
    told += f" deviation of {noise.sd:.3g}."
    if noise.smallest_gain is None:
        return told
    return f"{told} The smallest gain that is found four times in five is {noise.smallest_gain:.3g}."


def _code(brief: Brief) -> str:
    if not brief.code:
        return "None."
    lines = []
    for file in brief.code:
        lines.append(f"{file.path} ({file.size} bytes)")
        lines += [f"    {line}" for line in file.outline]
    return fenced("outlines of the solution's files", "\n".join(lines), CODE_CHARS)


def _tried(trials: Sequence[Trial]) -> list[str]:
    left_out = len(trials) - MOST_TRIED
    earlier = [f"{left_out} earlier ones are left out"] if left_out > 0 else []
    return earlier + [_trial(trial) for trial in trials[-MOST_TRIED:]]


def _trial(trial: Trial) -> str:
    what = "; ".join(f"{path} = {value}" for path, value in trial.settings.items())
    if trial.files:
        what = f"{_flat(trial.change, 200)} [{', '.join(trial.files)}]"
    if trial.verdict == "open":
        return f"{trial.hypothesis} {_flat(trial.title, 120)} ({what}): waits or is under test"
    gain = f", measured {trial.gain:+.4g}" if trial.gain is not None else ""
    why = _flat(ending(trial.explanation), 200)
    return f"{trial.hypothesis} {_flat(trial.title, 120)} ({what}): {trial.verdict} ({trial.reason}){gain}; {why}"


def _technique(technique: Technique, name: str) -> str:
    settings = "; ".join(f"{path}: {', '.join(map(str, found))}" for path, found in technique.settings.items())
    where = f" [{', '.join(technique.files)}]" if technique.files else ""
    what = "; ".join(part for part in (settings, technique.change + where) if part)
    gain = f"claims {technique.claimed_gain:+.4g}" if technique.claimed_gain is not None else "claims no number"
    standing = "its quote stands" if technique.quote.verified else "its evidence does not stand"
    return f"{name}: {technique.name} ({technique.paper}): {what}; {gain}, {standing}"


def _flat(text: str, limit: int) -> str:
    return plain(" ".join(plain(text).split()), limit)

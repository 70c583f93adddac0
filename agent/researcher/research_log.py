"""`research_log.md` entries in the documents' form.

Called by the reading nodes once a paper has been read. Titles, quotes and names come from strangers and are
escaped, so that a title cannot become a heading, a link or an entry of its own. Pure.
"""

from __future__ import annotations

import re

from agent.researcher.reading import by_priority, technique_priority
from registry.papers import Reading, ReportedResult, Technique
from tools.pdf.text import plain

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
_QUOTED = 400
_RESULTS = 10
_HIDDEN = 10


def research_log_entry(reading: Reading, date: str) -> str:
    """One entry, newest facts only; the first technique is the prioritised one where its quote stands."""
    paper = reading.paper
    ranked = sorted(reading.techniques, key=by_priority)
    lines = [f'## [{escaped(date)}] Paper: "{escaped(paper.title)}"', f"**Source:** {escaped(_source(reading))}"]
    if paper.key.startswith("code:") or any(technique.origin == "rival" for technique in reading.techniques):
        lines.append("**From a competitor:** yes, as data for candidate experiments")
    if reading.boards:
        lines.append(f"**Relevant leaderboard:** {escaped(', '.join(reading.boards))}")
    if gain := _reported_gain(ranked):
        lines.append(f"**Reported gain:** {gain}")
    lines.append(f"**Relevance:** {'yes' if reading.relevant else 'no'}, {escaped(reading.why)}")
    lines.append("**Techniques extracted:**" if ranked else "**Techniques extracted:** none")
    for position, technique in enumerate(ranked):
        lines += _technique_lines(technique, prioritised=position == 0 and technique_priority(technique) > 0)
    lines += [_result_line(result) for result in reading.results[:_RESULTS]]
    if reading.hidden:
        lines.append(f"**Hidden text, not read:** {len(reading.hidden)} finding(s)")
        lines += [f"- {escaped(plain(line, _QUOTED))}" for line in reading.hidden[:_HIDDEN]]
    lines += [f"**Action:** {_action(reading, ranked)}", f"**Read by:** {_read_by(reading)}"]
    if reading.extent not in {"", "full text"}:
        lines.append(f"**Read of it:** the {escaped(reading.extent)} only")
    lines.append("")
    return "\n".join(lines)


def escaped(text: str) -> str:
    """A stranger's text as one line of Markdown that shows as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(plain(text).split()))


def _read_by(reading: Reading) -> str:
    if reading.method == "model":
        return f"a language model ({escaped(reading.by)}); quotes checked by rules"
    return "rules (no model)" + (f", because {escaped(plain(reading.instead, _QUOTED))}" if reading.instead else "")


def _source(reading: Reading) -> str:
    paper = reading.paper
    if paper.key.startswith("arxiv:"):
        return f"arXiv:{paper.key.removeprefix('arxiv:')}{paper.version}"
    return f"{paper.url or paper.title} (sha256 {paper.file_sha256[:12]})" if paper.file_sha256 else paper.key


def _reported_gain(ranked: list[Technique]) -> str:
    gains = [technique.claimed_gain for technique in ranked if technique.claimed_gain and technique.quote.verified]
    return f"+{100 * max(gains):.3g} points (as the paper claims, not measured here)" if gains else ""


def _technique_lines(technique: Technique, *, prioritised: bool) -> list[str]:
    mark = " ← PRIORITIZED" if prioritised else ""
    values = "; ".join(
        f"{escaped(path)}: {', '.join(escaped(str(value)) for value in values)}"
        for path, values in technique.settings.items()
    )
    quote = technique.quote
    why = f" ({escaped(technique.doubt)})" if technique.doubt else ""
    standing = "verified" if quote.verified else f"NOT verified{why}, adds nothing to priority"
    where = f" ({escaped(quote.place)})" if quote.place else ""
    told = [f"  - try {values}"] if values else []
    where = f" (in {escaped(', '.join(technique.files))})" if technique.files else ""
    told += [f"  - write: {escaped(technique.change)}{where}"] if technique.change else []
    return [
        f"- {escaped(technique.name)} (effort: {technique.effort}, impact: {technique.impact}){mark}",
        *told,
        f'  - p. {quote.page}{where}, {standing}: "{escaped(plain(quote.text, _QUOTED))}"',
    ]


def _result_line(result: ReportedResult) -> str:
    standing = "quote verified" if result.quote.verified else "quote NOT verified"
    score = f"{escaped(result.metric)} {escaped(result.score)} on {escaped(result.dataset)}"
    where = f"{escaped(result.table)}, p. {result.quote.page}" if result.table else f"p. {result.quote.page}"
    quote = escaped(plain(result.quote.text, _QUOTED))
    return f'**Reported result:** {score} ({where}, {standing}; not measured here): "{quote}"'


def _action(reading: Reading, ranked: list[Technique]) -> str:
    standing = [technique for technique in ranked if technique_priority(technique) > 0]
    if standing:
        return f"Generate hypothesis for {escaped(standing[0].name)} — schedule experiment."
    if ranked:
        return "None: no quote stands where it is said to."
    return "None: nothing in it that this solution can tune." if reading.relevant else "None: not relevant to us."

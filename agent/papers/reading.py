"""Reads listed papers: the text of each one, who reads it, and the record of what came of it.

Called by the node extract, by `agent papers` and at a start. A file that is late is waited for; where it never comes
the abstract is read, and the record says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agent import proposals
from agent.papers import competitors
from agent.papers import text as paper_text
from agent.researcher.offline import OfflineResearcher
from agent.services import Services
from registry.durable import write_atomically
from registry.errors import BadInput, RateLimited, Retryable
from registry.hypotheses import Scalar
from registry.papers import Paper, Reading

if TYPE_CHECKING:
    from tools.papers import PaperSource
    from tools.pdf.text import PdfText

PATIENCE_S = 600.0
"""How long a late file is waited for before it is asked for again, where nobody said how long."""
MOST_TRIES = 3
"""How often the text of a paper is asked for before its abstract has to do."""


def read_listed(services: Services, code: Sequence[str] = ()) -> int:
    """Read every listed paper that has no reading and whose time has come; returns how many were looked at.

    `code` as it was listed with.
    """
    now = services.clock().isoformat()
    waiting = {key: item for key, item in services.history.listed_papers.items() if item.get("retry_at", "") <= now}
    if not waiting:
        return 0
    by_name: dict[str, PaperSource] = {}
    named = services.outside.paper_sources(services, code=code) if code else []
    for one in [*services.outside.paper_sources(services), *named]:
        by_name.setdefault(one.name, one.source)
        by_name.setdefault(one.source.name, one.source)
        by_name.setdefault(one.name.partition(":")[0], one.source)  # as logs of earlier versions name it
    asked = proposals.situation(services, configuration=_before_the_first_night(services))
    count = 0
    for key, item in waiting.items():
        paper = Paper.model_validate(item["paper"])
        text, why = _text(services, key, item, paper, by_name.get(item["source"]))
        if text is None and not why:
            continue
        count += 1
        if text is None:
            gone = item["source"] not in by_name
            data = {"paper": item["paper"], "source": item["source"], "for_now": gone}
            again = f"unreadable:{key}:{paper.version}:{services.history.papers_asked}"
            once = again if gone else f"unreadable:{key}:{paper.version}"
            services.record("paper_unreadable", key, data, why, key=once)
            services.progress.say(f"[STATUS] not readable: {why}")
            continue
        paper = paper.model_copy(update={"file_sha256": text.sha256, "pages": len(text.pages)})
        reading = competitors.read(services, item["source"], paper, text, asked)
        if not item["source"].startswith("code:"):
            reading = _with_results(services, reading, text)
        reading = reading.model_copy(update={"extent": text.extent, "source": item["source"]})
        _record(services, reading, text, why)
    return count


def _text(
    services: Services, key: str, item: dict[str, Any], paper: Paper, source: PaperSource | None
) -> tuple[PdfText | None, str]:
    """The text to read and why it is not the whole; no text and no reason where the file is late and is waited for."""
    from tools.papers import abstract_text

    try:
        with services.ask_outside():
            if source is not None:
                return source.text(paper), ""
        why = f"the source {item['source']} is not configured any more"
    except Retryable as error:
        tries = int(item.get("tries", 0)) + 1
        why = str(error)
        if tries < MOST_TRIES:
            wait = error.retry_after_s if isinstance(error, RateLimited) else None
            retry_at = (services.clock() + timedelta(seconds=PATIENCE_S if wait is None else wait)).isoformat()
            data = {"paper": item["paper"], "source": item["source"], "tries": tries, "retry_at": retry_at}
            services.record("paper_waits", key, data, why, key=f"waits:{key}:{paper.version}:{tries}")
            services.progress.say(f"[STATUS] papers: {key} is waited for: {why}")
            return None, ""
    except BadInput as error:
        why = str(error)
    if source is None:
        return None, why
    try:
        return abstract_text(paper), why
    except BadInput:
        return None, why


def _before_the_first_night(services: Services) -> tuple[str, dict[str, Scalar]] | None:
    """What stands for production while none is recorded: the base that the first night starts from."""
    if services.history.production is not None:
        return None
    base = services.target.solution.base
    commit = services.solution.repository.branch_tip(base) or ""
    return commit, services.solution.settings(commit)


def _with_results(services: Services, reading: Reading, text: PdfText) -> Reading:
    """The reading with what the paper reports on our boards, read by rules whoever read the rest."""
    if reading.results:
        return reading
    from agent.researcher.results.paper_results import our_taxonomy, results_of

    metric = services.target.metrics.primary
    listed = services.competitive().target_leaderboards
    domain = services.research().domain_keywords
    ours = our_taxonomy(listed, (metric.name, metric.higher_is_better), domain)
    return reading.model_copy(update={"results": results_of(reading.paper, text, ours)})


def _record(services: Services, reading: Reading, text: PdfText, why: str) -> None:
    """`why` says why less than the full text was read, where that is so."""
    kept = _kept(services, text)
    services.record(
        "paper_read",
        reading.paper.key,
        {
            "reading": reading.model_dump(mode="json"),
            "researcher": read_by(reading),
            "text": {
                "extent": text.extent,
                "sha256": text.sha256,
                "blob": kept,
                "instead": why,
                "pages": services.blobs.put(paper_text.packed(text)),
            },
        },
        reason=reading.why,
        key=_key(reading),
    )
    techniques = ", ".join(technique.name for technique in reading.techniques) or "no technique for us"
    less = f" ({text.extent})" if text.extent != "full text" else ""
    services.progress.say(
        f"  read “{reading.paper.title[:80]}”{less}: {techniques if reading.relevant else reading.why}"
    )
    if reading.hidden:
        services.progress.say(f"[ALERT] hidden text in “{reading.paper.title[:80]}”, not read: {reading.hidden[0]}")
    reconcile_log(services)


def _kept(services: Services, text: PdfText) -> bool:
    """Whether what was read is kept as a blob, so that its quotes can be looked up later; abstracts are put there."""
    if text.extent == "abstract":
        return services.blobs.put(text.pages[0].encode()) == text.sha256
    return text.sha256 in services.blobs


def read_by(reading: Reading) -> str:
    """Who read it, for people: the model by its name, or the rules, whoever was asked to."""
    return f"language model ({reading.by})" if reading.method == "model" else OfflineResearcher.name


def reconcile_log(services: Services) -> None:
    """Add to the research log every reading that it lacks; also on start, where a crash came before the entry."""
    from agent.researcher.research_log import research_log_entry

    log = services.workspace.research_log
    before = text = log.read_text() if log.exists() else "# Research log\n\n"
    for reading in services.history.readings.values():
        event = services.log.find(_key(reading))
        entry = research_log_entry(reading, event.time[:10] if event is not None else "")
        if entry.splitlines()[1] not in text:
            text += entry + "\n"
    if text != before:
        write_atomically(log, text)


def _key(reading: Reading) -> str:
    return f"read:{reading.paper.key}:{reading.paper.version}"

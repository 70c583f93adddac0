"""Brings papers in: what the configured sources have, and a reading of each one that is new.

Called by the nodes read_papers and extract, and by `agent papers`. A source that is busy or broken is a status in
the log; the cycle goes on and the next one asks again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent import paper_text, proposals
from agent.researcher.offline import OfflineResearcher
from agent.services import Services
from registry.durable import write_atomically
from registry.errors import BadInput, Retryable
from registry.hypotheses import Scalar
from registry.papers import Paper, Reading

if TYPE_CHECKING:
    from tools.papers import PaperQuery, PaperSource, Unreadable
    from tools.pdf_text import PdfText


def sources(services: Services) -> Iterator[tuple[PaperSource, PaperQuery]]:
    """Every configured source with what to ask it, local ones first."""
    from tools.arxiv_api import LiveArxiv, RecordedArxiv
    from tools.papers import FolderSource, PaperQuery

    config = services.research()
    wanted, root = config.research_sources, services.workspace.root
    limit = config.max_papers_per_cycle
    for folder in wanted.local_folders:
        yield FolderSource(root / folder), PaperQuery(limit=limit)
    recorded = [RecordedArxiv(root / folder) for folder in wanted.recorded_arxiv]
    for source in recorded:
        for text in wanted.arxiv_queries or [""]:
            yield source, PaperQuery(text=text, limit=limit)
    if wanted.arxiv_queries and not recorded:
        live = LiveArxiv()
        for text in wanted.arxiv_queries:
            yield live, PaperQuery(text=text, limit=limit)


def list_new(services: Services, slot: str) -> str:
    """Ask every source; papers without a reading go into the log to be read. Says what came."""
    from tools.papers import PaperBatch

    found: dict[str, dict[str, object]] = {}
    statuses: list[dict[str, object]] = []
    soft: list[tuple[str, str]] = []
    for source, query in services.outside.paper_sources(services):
        try:
            with services.ask_outside():
                batch = source.find(query)
        except BadInput as error:
            batch = PaperBatch(source.name, (), status="refused", notes=(str(error),))
        bad = [{"name": one.name, "why": one.why} for one in batch.unreadable]
        statuses.append(
            {
                "source": batch.source,
                "status": batch.status,
                "notes": list(batch.notes),
                "papers": len(batch.papers),
                "unreadable": bad,
            }
        )
        for paper in batch.papers:
            if paper.key not in services.history.readings:
                found[paper.key] = {"source": source.name, "paper": paper.model_dump(mode="json")}
        for one in batch.unreadable:
            _tell_unreadable(services, source.name, one)
        if batch.status != "ok":
            why = f"{len(bad)} that cannot be read" if bad else "; ".join(batch.notes)
            soft.append((f"{batch.source}: {batch.status}", f" — {why}" if why else ""))
    limit = services.research().max_papers_per_cycle
    chosen = dict(list(found.items())[:limit])
    services.record(
        "papers_listed",
        "papers",
        {"slot": slot, "papers": chosen, "sources": statuses, "left_for_later": len(found) - len(chosen)},
        reason="; ".join(status + why for status, why in soft),
        key=f"papers:{slot}:{services.history.papers_asked}",
    )
    for status, why in soft:
        services.progress.say(f"[STATUS] papers: {status}{why}")
    return f"{len(chosen)} new" + (f" ({'; '.join(status for status, _ in soft)})" if soft else "")


def _tell_unreadable(services: Services, source: str, file: Unreadable) -> None:
    """Record a file that is no readable paper, once for each reason, and say so each time that it is met."""
    paper = Paper(key=f"file:{file.name}", title=file.name, url=file.name)
    digest = hashlib.sha256(file.why.encode()).hexdigest()[:16]
    data = {"paper": paper.model_dump(mode="json"), "source": source}
    services.record("paper_unreadable", paper.key, data, file.why, key=f"unreadable:{paper.key}:{digest}")
    services.progress.say(f"[STATUS] not readable: {file.why}")


def read_listed(services: Services) -> int:
    """Read every listed paper that has no reading; returns how many were read."""
    waiting = dict(services.history.listed_papers)
    if not waiting:
        return 0
    by_name = {source.name: source for source, _ in services.outside.paper_sources(services)}
    asked = proposals.situation(services, configuration=_before_the_first_night(services))
    count = 0
    for key, item in waiting.items():
        paper = Paper.model_validate(item["paper"])
        source = by_name.get(item["source"])
        count += 1
        try:
            with services.ask_outside():
                text = source.text(paper) if source is not None else None
            why = f"the source {item['source']} is not configured any more"
        except (BadInput, Retryable) as error:
            text, why = None, str(error)
        if text is None:
            data = {"paper": item["paper"], "source": item["source"]}
            services.record("paper_unreadable", key, data, why, key=f"unreadable:{key}:{paper.version}")
            services.progress.say(f"[STATUS] not readable: {why}")
            continue
        _record(services, services.researcher.read(paper, text, asked), text)
    return count


def _before_the_first_night(services: Services) -> tuple[str, dict[str, Scalar]] | None:
    """What stands for production while none is recorded: the base that the first night starts from."""
    if services.history.production is not None:
        return None
    base = services.target.solution.base
    commit = services.solution.repository.branch_tip(base) or ""
    return commit, services.solution.settings(commit)


def _record(services: Services, reading: Reading, text: PdfText) -> None:
    services.record(
        "paper_read",
        reading.paper.key,
        {
            "reading": reading.model_dump(mode="json"),
            "researcher": read_by(reading),
            "text": services.blobs.put(paper_text.packed(text)),
        },
        reason=reading.why,
        key=_key(reading),
    )
    techniques = ", ".join(technique.name for technique in reading.techniques) or "no technique for us"
    services.progress.say(f"  read “{reading.paper.title[:80]}”: {techniques if reading.relevant else reading.why}")
    reconcile_log(services)


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

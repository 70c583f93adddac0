"""Brings papers in: what the configured sources have, and a reading of each one that is new.

Called by the nodes read_papers and extract, and by `agent papers`. A source that is busy or broken is a status in
the log; the cycle goes on, and a later one goes on with the source where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent import competitors, paper_text, proposals
from agent.claim_ledger import PRIOR_TRUST, claim_ledger
from agent.paper_sources import Configured, configured
from agent.researcher.offline import OfflineResearcher
from agent.services import Services
from registry.durable import write_atomically
from registry.errors import BadInput, RateLimited, Retryable
from registry.hypotheses import Scalar
from registry.papers import Paper, Reading

if TYPE_CHECKING:
    from tools.papers import PaperBatch, PaperSource, Unreadable
    from tools.pdf_text import PdfText

PATIENCE_S = 600.0
"""How long a source is left alone that asked for patience and did not say how much; also a paper whose file is late."""
UNREACHABLE_S = 1800.0
"""How long a source is left alone that did not answer."""
MOST_TRIES = 3
"""How often the text of a paper is asked for before its abstract has to do."""


def sources(
    services: Services, order: Callable[[Configured], Any] | None = None, code: Sequence[str] = ()
) -> list[Configured]:
    """Every configured source with what to ask it, local ones first, or by `order`; or only the `code` named here."""
    theirs = [Configured(source.name, source, query) for source, query in competitors.sources(services, code)]
    found = theirs if code else [*theirs, *configured(services)]
    return found if order is None else sorted(found, key=order)


def list_new(services: Services, slot: str, only: Collection[str] | None = None, code: Sequence[str] = ()) -> str:
    """Ask every source, those named in `only`, or only the competitors' `code`; what has no reading goes into the log.

    Says what came. Sources whose promises were kept come first, and so are the first to fill the cycle's places
    (`agent.claim_ledger`).
    """
    known = services.history.readings.keys() | services.history.listed_papers.keys()
    found: dict[str, dict[str, object]] = {}
    statuses: list[dict[str, object]] = []
    soft: list[tuple[str, str]] = []
    trust = claim_ledger(services.history).source_trust()
    for one in services.outside.paper_sources(services, lambda asked: -trust.get(asked.name, PRIOR_TRUST), code):
        if only is not None and one.name not in only:
            continue
        batch = _ask(services, one, known)
        bad = [{"name": file.name, "why": file.why} for file in batch.unreadable]
        statuses.append(
            {
                "source": one.name,
                "status": batch.status,
                "notes": list(batch.notes),
                "papers": len(batch.papers),
                "unreadable": bad,
                "offset": batch.next_offset,
                "retry_at": _retry_at(services, batch),
            }
        )
        for paper in batch.papers:
            if paper.key not in services.history.readings and not _was_unreadable(services, paper):
                found.setdefault(paper.key, {"source": one.name, "paper": paper.model_dump(mode="json")})
        for file in batch.unreadable:
            _tell_unreadable(services, one.name, file)
        if batch.status != "ok":
            why = f"{len(bad)} that cannot be read" if bad else "; ".join(batch.notes)
            soft.append((f"{one.name}: {batch.status}", f" — {why}" if why else ""))
    found = _each_once(services, found)
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


def unfinished(services: Services) -> list[str]:
    """Names of sources that stopped early and may be asked again now: the next cycle goes on with them."""
    now = services.clock().isoformat()
    waiting = {name for name, state in services.history.paper_sources.items() if _stopped(state)}
    if not waiting:
        return []
    due = {name for name in waiting if services.history.paper_sources[name]["retry_at"] <= now}
    return [one.name for one in configured(services) if one.name in due] if due else []


def _stopped(state: dict[str, Any]) -> bool:
    return state["status"] in {"rate_limited", "unreachable"} or state["offset"] > 0


def _ask(services: Services, one: Configured, known: Collection[str]) -> PaperBatch:
    """A source's answer, from where its last one stopped; whoever asked for patience is given it."""
    from tools.papers import PaperBatch

    state = services.history.paper_sources.get(one.name, {})
    offset = int(state.get("offset", 0))
    wait_until = str(state.get("retry_at", ""))
    if state.get("status") == "rate_limited" and wait_until > services.clock().isoformat():
        left = (datetime.fromisoformat(wait_until) - services.clock()).total_seconds()
        note = f"not asked: it wants to be left alone until {wait_until[:19]}Z"
        return PaperBatch(one.name, (), "rate_limited", (note,), left, next_offset=offset)
    try:
        with services.ask_outside():
            return one.source.find(replace(one.query, offset=offset, skip=frozenset(known)))
    except BadInput as error:
        return PaperBatch(one.name, (), "refused", (str(error),))
    except Retryable as error:
        return PaperBatch(one.name, (), "unreachable", (str(error),), next_offset=offset)


def _retry_at(services: Services, batch: PaperBatch) -> str:
    """When a source that stopped early may be asked again, as ISO time; empty where that is now or never."""
    if batch.status == "rate_limited":
        wait = PATIENCE_S if batch.retry_after_s is None else batch.retry_after_s
    elif batch.status == "unreachable":
        wait = UNREACHABLE_S
    else:
        return ""
    return (services.clock() + timedelta(seconds=wait)).isoformat()


def _was_unreadable(services: Services, paper: Paper) -> bool:
    """Whether this version was tried already; its time will not come again until there is another one."""
    return services.history.unreadable_papers.get(paper.key) == paper.version


def _each_once(services: Services, found: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Without papers that another source has, or that were read, under another key with the same DOI."""
    records = [reading.paper for reading in services.history.readings.values()]
    records += [Paper.model_validate(item["paper"]) for item in services.history.listed_papers.values()]
    by_doi = {paper.doi: paper.key for paper in records if paper.doi}
    papers = {key: Paper.model_validate(item["paper"]) for key, item in found.items()}
    for key, paper in sorted(papers.items(), key=lambda pair: not pair[0].startswith("arxiv:")):
        if paper.doi:
            by_doi.setdefault(paper.doi, key)
    return {key: item for key, item in found.items() if by_doi.get(papers[key].doi, key) == key}


def _tell_unreadable(services: Services, source: str, file: Unreadable) -> None:
    """Record a file that is no readable paper, once for each reason, and say so each time that it is met."""
    paper = Paper(key=f"file:{file.name}", title=file.name, url=file.name)
    digest = hashlib.sha256(file.why.encode()).hexdigest()[:16]
    data = {"paper": paper.model_dump(mode="json"), "source": source}
    services.record("paper_unreadable", paper.key, data, file.why, key=f"unreadable:{paper.key}:{digest}")
    services.progress.say(f"[STATUS] not readable: {file.why}")


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

"""Lists papers: what the configured sources have that is new. `agent.papers.reading` reads what is listed.

Called by the node read_papers and by `agent papers`. A source that is busy or broken is a status in
the log; the cycle goes on, and a later one goes on with the source where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent.papers import competitors
from agent.papers.claim_ledger import PRIOR_TRUST, claim_ledger
from agent.papers.sources import Configured, configured
from agent.services import Services
from registry.errors import BadInput, Retryable
from registry.papers import Paper

if TYPE_CHECKING:
    from tools.papers import PaperBatch, Unreadable

PATIENCE_S = 600.0
"""How long a source is left alone that asked for patience and did not say how much."""
UNREACHABLE_S = 1800.0
"""How long a source is left alone that did not answer."""


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
    (`agent.papers.claim_ledger`).
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

"""The two reports: a digest for whoever leads, a technical log for whoever builds. Both are written from the log.

Called by the node `report`, at the end of a night, and by `agent report`, which only prints. The texts are pure
functions of the chronicle and a moment (`weekly_digest`, `technical`); here they are put on disk.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.chronicle import Chronicle, chronicle
from registry.durable import make_folder, write_atomically

if TYPE_CHECKING:
    from agent.services import Services
    from registry.competitive import Schedule


def digest(known: Chronicle, now: datetime, schedule: Schedule | None = None) -> str:
    """The weekly digest as Markdown."""
    from agent.reports import weekly_digest

    return weekly_digest.digest(known, now, schedule)


def technical_log(known: Chronicle, now: datetime) -> str:
    """The technical log as Markdown."""
    from agent.reports import technical

    return technical.technical_log(known, now)


def write_technical_log(services: Services) -> None:
    """Write `TECHNICAL_LOG.md` anew from the log."""
    with services.technical_log_pace.piece():
        text = technical_log(chronicle(services.log.events(), services.history), services.clock())
        write_atomically(services.workspace.technical_log, text)


def write_at_nights_end(services: Services) -> None:
    """Both reports of a night that has ended, unless they are written; after a crash the next night asks again."""
    night = services.history.night
    if night is not None and night.ended and services.log.find(_key_of_night(night.id)) is None:
        write_technical_log(services)
        write_digest(services, "")


def write_digest(services: Services, slot: str) -> None:
    """Write the digest of a schedule's slot, or of the night's end where the slot is empty; once for each."""
    night = services.history.night
    key = f"digest:{slot}" if slot else _key_of_night(night.id if night is not None else "")
    done = services.log.find(key)
    now = services.clock()
    path = services.workspace.reports / f"digest-{now.date().isoformat()}.md"
    if done is not None:
        path = services.workspace.root / done.data["file"]
        if path.is_file():
            return
    text = digest(chronicle(services.log.events(), services.history), now, services.competitive().schedule)
    make_folder(path.parent)
    write_atomically(path, text)
    if done is None:
        # The end of a night is no slot of the schedule, so it leaves the last one as it is.
        data = {"slot": slot or services.history.report_slot, "file": _relative(path, services.workspace.root)}
        services.record("report_written", "digest", data, "due" if slot else "the night ended", key=key)


def _key_of_night(night: str) -> str:
    return f"digest:night:{night}"


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()

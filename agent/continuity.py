"""Whether the audit log is the one that the workspace's files were written from.

A log that was lost, emptied or cut off would be begun anew in silence: numbers would be given out twice and the
results of earlier hypotheses overwritten. What stands beside it tells: files that only its events make, and reports
that name the last event they had seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from registry.errors import BadInput, Problem
from registry.workspace import Workspace

_UP_TO = re.compile(r"the audit log (?:up to event |\(event )(\d+)(?: \(|, hash )([0-9a-f]{12,16})\)")
_ENDS = 1000
"""Characters at a report's ends where its own words stand; what strangers wrote stands between them."""


def refuse_lost_log(workspace: Workspace) -> None:
    """Raise BadInput where there is no log, or an empty one, beside files that were written from one."""
    if (problem := lost_log(workspace)) is not None:
        raise BadInput(problem)


def lost_log(workspace: Workspace) -> Problem | None:
    """What is wrong where the log has nothing and the workspace has what only a log's events make."""
    audit = workspace.audit
    if audit.is_file() and audit.stat().st_size > 0:
        return None
    left = next(_written_from_a_log(workspace), None)
    if left is None:
        return None
    return Problem(
        str(audit),
        "an empty log" if audit.is_file() else "no log",
        f"the log that {left} was written from",
        fix="restore it from a copy, or begin a new workspace with `agent init --workspace DIR`",
    )


def named_heads(workspace: Workspace) -> dict[int, list[tuple[str, str]]]:
    """Event number → the files that name it as the last they had seen, each with the first digits of its hash."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in (workspace.technical_log, *sorted(workspace.reports.glob("digest-*.md"))):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        own = text[:_ENDS] if path == workspace.technical_log else text[-_ENDS:]
        if (match := _UP_TO.search(own)) is not None:
            found.setdefault(int(match[1]), []).append((path.relative_to(workspace.root).as_posix(), match[2]))
    return found


def _written_from_a_log(workspace: Workspace) -> Iterator[str]:
    """Files of hypotheses that were decided, and the technical log; what people put into the queue is none of them."""
    for status in ("promoted", "archived", "active"):
        for path in sorted(workspace.state_folder(status).glob("H-*.yaml")):
            yield path.relative_to(workspace.root).as_posix()
    if workspace.technical_log.is_file():
        yield workspace.technical_log.name

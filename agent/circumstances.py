"""What runs are made with besides their commit: packages, data, the evaluator; and what of it differs between two runs.

Called when a night starts and when production is measured again. A run's identity holds hashes; the events written
here are what those hashes stand for, so that an alert can name the package or the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from agent.ledger import record_environment
from agent.services import Services
from experiments import environment
from registry.audit_events import Event
from registry.runs import RunKey, RunRecord
from tools.leaderboards.names import printable

MOST_FILES = 500
"""Data files that are recorded one by one; of more, each folder has one line."""
MOST_NAMED = 8
"""Differences that an alert names; the rest are counted."""

Find = Callable[[str], Event | None]
"""The event recorded under a key, if any."""


def record(services: Services, production: str) -> None:
    """The environment and the data of today under their hashes; nothing where they are recorded."""
    record_environment_of(services, production)
    _record_data(services, production)


def record_environment_of(services: Services, commit: str) -> None:
    """The environment of one more commit under its hash."""
    record_environment(services.log, services.runner.environment(commit))
    services.catch_up()


def environment_difference(find: Find, before: str, after: str) -> str:
    """What differs between two recorded environments, for people; nothing where they are not both recorded."""
    return _listed(_environment(find, before, after))


def lock_text(services: Services, records: Iterable[RunRecord]) -> str:
    """The packages that the last of the runs was made with, as a lock file."""
    last = next((record.key.environment for record in reversed(list(records))), "")
    event = services.log.find(f"environment:{last}") if last else None
    return environment.lock_text(event.data) if event is not None else "# no run was made\n"


def _record_data(services: Services, production: str) -> None:
    trees = services.runner.trees
    sha256 = trees.data_digest(production)
    if services.log.find(f"data:{sha256}") is not None:
        return
    files = trees.data_files(production)
    listed = len(files) <= MOST_FILES
    services.record(
        "data_recorded",
        sha256[:16],
        {"sha256": sha256, "files": files if listed else trees.data_folders(production), "count": len(files)},
        reason=f"{len(files)} files" + ("" if listed else ", recorded by folder"),
        key=f"data:{sha256}",
    )


def difference(find: Find, before: RunKey, after: RunKey) -> str:
    """What differs between the circumstances of two runs of one commit, for people: each package and file by name."""
    told = []
    if before.environment != after.environment:
        told.append(_told("environment", _environment(find, before.environment, after.environment)))
    if before.data != after.data:
        told.append(_told("data", _data(find, before.data, after.data)))
    if before.evaluator != after.evaluator:
        told.append("evaluator (other files are protected now)")
    if before.settings != after.settings:
        told.append("settings (commands, limits or overrides in target.yaml)")
    return "changed since: " + "; ".join(told) if told else "no recorded part has changed: look at the machine"


def _told(part: str, changes: Iterator[str]) -> str:
    listed = _listed(changes)
    return f"{part} ({listed})" if listed else part


def _listed(changes: Iterator[str]) -> str:
    shown = [printable(change) for change in islice(changes, MOST_NAMED)]
    more = sum(1 for _ in changes)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _environment(find: Find, before: str, after: str) -> Iterator[str]:
    older, newer = find(f"environment:{before}"), find(f"environment:{after}")
    if older is None or newer is None:
        return
    for name in ("python", "machine"):
        if older.data[name] != newer.data[name]:
            yield f"{name} {older.data[name]} → {newer.data[name]}"
    was, now = older.data.get("gpu", "none"), newer.data.get("gpu", "none")
    if was != now:
        yield f"GPU {was} → {now}"
    yield from _versions(older.data["packages"], newer.data["packages"])
    yield from _versions(older.data["variables"], newer.data["variables"])
    yield from _of_one_version(older.data, newer.data)


def _of_one_version(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Iterator[str]:
    """What is another although its name and version are the same; nothing of what an older record does not have."""
    was, now = older.get("contents", {}), newer.get("contents", {})
    same = older["packages"].items() & newer["packages"].items()
    for name in sorted(was.keys() & now.keys()):
        if was[name] != now[name] and (name not in newer["packages"] or (name, newer["packages"][name]) in same):
            yield f"{name} has other files"
    for name in _differing(older.get("locks", {}), newer.get("locks", {})):
        yield f"lock file {name}"
    if older.get("interpreter", "") != newer.get("interpreter", "") and older["python"] == newer["python"]:
        yield "another build of the interpreter"


def _versions(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in _differing(before, after):
        if name not in after:
            yield f"{name} {before[name]} removed"
        else:
            yield f"{name} {before[name]} → {after[name]}" if name in before else f"{name} {after[name]} new"


def _data(find: Find, before: str, after: str) -> Iterator[str]:
    older, newer = find(f"data:{before}"), find(f"data:{after}")
    if older is None or newer is None:
        return
    was, now = older.data["files"], newer.data["files"]
    for name in _differing(was, now):
        what = "removed" if name not in now else "has other content" if name in was else "new"
        yield f"{name} {what}"


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))

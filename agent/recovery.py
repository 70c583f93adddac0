"""The first thing a night does: remove what a killed process left, and make the files agree with the log.

Called by `agent.night`, inside the workspace's lock. It decides nothing and pays for nothing.
"""

from __future__ import annotations

import time
from pathlib import Path

from agent import projections, queueing
from agent.papers import reading
from agent.services import Services
from sandbox import backends
from sandbox.outputs import remove_tree

WRITING_S = 0.5
"""A file is written within milliseconds; a temporary one that stays the same for this long is a dead writer's."""


def recover(services: Services) -> None:
    """Remove what a killed process left and make the files agree with the log."""
    removed = [*backends.reap(services.workspace.agent / "sandbox"), *services.solution.clean_up()]
    removed += _half_written(services)
    removed += [f"a torn last line of the log, kept in {repair.path.name}" for repair in services.log.repairs]
    running = services.workspace.cache / "running"
    if running.is_dir() and any(running.iterdir()):
        remove_tree(running)
        removed.append("half-done runs")
    if removed:
        services.record("recovered", "workspace", {"removed": removed}, reason="; ".join(removed)[:500])
    queueing.take_in_by_hand(services)
    projections.reconcile(services)
    reading.reconcile_log(services)


def _half_built(environments: Path) -> list[Path]:
    """Environments that have no seal, because whoever built them was killed, and what they were built from."""
    folders = [path for path in environments.glob("*") if path.is_dir()] if environments.is_dir() else []
    return [path for path in folders if path.name.startswith(".") or not path.with_suffix(".json").is_file()]


def _half_written(services: Services) -> list[str]:
    """Remove temporary files whose writer was killed before it could put them in their place.

    A command beside this one may be writing now, so only what does not change for a moment is a leftover.
    """
    workspace = services.workspace
    folders = [workspace.root, workspace.reports, workspace.agent, workspace.reports / "pull-requests"]
    folders += [path for path in (*workspace.experiments.glob("*"), *workspace.results.glob("*")) if path.is_dir()]
    folders += [*workspace.results.glob("production/*"), *workspace.blobs.glob("*")]
    found = {path: path.stat().st_mtime_ns for folder in folders for path in folder.glob(".*.tmp") if path.is_file()}
    if found:
        time.sleep(WRITING_S)
    left = [path for path, before in found.items() if path.is_file() and path.stat().st_mtime_ns == before]
    for path in left:
        path.unlink(missing_ok=True)
    layouts = [path for path in (workspace.cache / "trees").glob(".*") if path.is_dir()]
    layouts += [path for path in (workspace.cache / "builds").glob(".*") if path.is_dir()]
    layouts += _half_built(workspace.cache / "environments")
    for path in layouts:
        remove_tree(path)
    return [f"half-written {path.relative_to(workspace.root)}" for path in (*left, *layouts)]

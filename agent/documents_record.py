"""The documents that people edit, as a night had them: kept as blobs and named by one event wherever they differ.

Called when a night starts and before each of its cycles. With them a night can be gone through again
(`agent run --replay`) after people have edited the files.
"""

from __future__ import annotations

from pathlib import Path

from agent.services import Services
from registry.workspace import Workspace


def documents(workspace: Workspace) -> tuple[Path, ...]:
    """The files that decide what a night does; `models.yaml` only where models are asked."""
    return (workspace.target, workspace.competitive_registry, workspace.research_config, workspace.models)


def record(services: Services) -> None:
    """Name the documents as they are now, unless they are as they were named last."""
    # A `models.yaml` that no night has read may hold anything, a key too.
    kept = [path for path in documents(services.workspace) if services.models or path != services.workspace.models]
    found = {path.name: services.blobs.put(path.read_bytes()) for path in kept}
    if found != services.history.documents:
        services.record("documents_recorded", "workspace", found)

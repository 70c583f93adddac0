"""docs/workspace.md names every place that the program knows in a workspace, and no other file."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_files import ROOT, rows, section

from registry.workspace import ResultsFolder, Workspace

PAGE = ROOT / "docs" / "workspace.md"
TEXT = PAGE.read_text(encoding="utf-8")


def properties(kind: type) -> list[str]:
    return [name for name, value in vars(kind).items() if isinstance(value, property)]


def first_cells(title: str) -> str:
    return " ".join(cells[0] for cells in rows(section(PAGE, title)))


def test_every_place_of_a_workspace_is_named() -> None:
    root = Path("/workspace")
    for name in properties(Workspace):
        place = getattr(Workspace(root), name).relative_to(root).as_posix()
        inside = place.removeprefix(".agent/")
        assert re.search(rf"`{re.escape(inside)}[`/]", TEXT), place


def test_every_file_of_a_results_folder_is_named() -> None:
    folder = ResultsFolder(Path("/results"))
    told = first_cells("Results")
    for name in properties(ResultsFolder):
        assert f"`{getattr(folder, name).name}" in told, name


def test_every_folder_of_a_status_is_named() -> None:
    workspace = Workspace(Path("/workspace"))
    for status in ("queued", "active", "parked", "promoted", "archived"):
        assert f"`experiments/{workspace.state_folder(status).name}/`" in TEXT

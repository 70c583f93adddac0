"""The place of a replay: a copy of the workspace as it was when the night began, and a clone with the refs of then.

Lies in a folder that is removed afterwards. Objects of the repository and blobs of the workspace are read from where
they are and never written there.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from agent.documents_record import documents
from agent.replay.recording import MissingInput, Part, Recording
from agent.replay.world import refuse_missing
from registry.audit_events import Event
from registry.blobs import Blobs
from registry.competitive_text import with_current_score
from registry.durable import write_atomically
from registry.target import Target
from registry.workspace import Workspace
from tools.branches import PRODUCTION
from tools.repository import SolutionRepository
from tools.repository_checks import open_repository


class BlobsBehind(Blobs):
    """Blobs of a replay: its own, and behind them those of the workspace, which are only read."""

    def __init__(self, folder: Path, behind: Blobs) -> None:
        super().__init__(folder)
        self._behind = behind

    def get(self, digest: str) -> bytes:
        return super().get(digest) if super().__contains__(digest) else self._behind.get(digest)

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        return digest if digest in self._behind else super().put(content)

    def __contains__(self, digest: str) -> bool:
        return super().__contains__(digest) or digest in self._behind


def workspace(recording: Recording, folder: Path) -> Workspace:
    """A workspace with the log as it was before the night, and nothing that was written from it."""
    made = Workspace(folder / "workspace")
    made.root.mkdir()
    made.create_folders()
    with recording.workspace.audit.open("rb") as log:
        made.audit.write_bytes(log.read(recording.offset))
    return made


def put_documents(recording: Recording, made: Workspace, part: Part) -> list[str]:
    """The documents that a part of the night began with; the names of those that no event names, taken as they are."""
    named = recording.documents(part)
    as_they_are = []
    for path, now in zip(documents(made), documents(recording.workspace), strict=True):
        if path.name in named:
            write_atomically(path, recording.blob(named[path.name], path.name))
        elif path != made.models:
            as_they_are.append(path.name)
            content = now.read_bytes()
            if path == made.competitive_registry:
                content = _with_scores_of_then(recording, content.decode()).encode()
            write_atomically(path, content)
    return as_they_are


def _with_scores_of_then(recording: Recording, text: str) -> str:
    """The registry without the scores that the agent has written into it since the night began."""
    scores: dict[str, float | None] = {}
    for index, event in enumerate(recording.events):
        if event.kind == "board_score" and (index < recording.first or event.key.endswith(":written")):
            scores[event.subject] = float(event.data["score"])
        elif event.kind == "board_score":
            scores.setdefault(event.subject, None)
    for board, score in scores.items():
        text = with_current_score(text, board, None if score is None else round(score, 6))
    return text


def put_documents_of(recording: Recording, made: Workspace, event: Event) -> None:
    """The documents that an event in the middle of the night names."""
    for path in documents(made):
        if path.name in event.data:
            write_atomically(path, recording.blob(event.data[path.name], path.name))


def repository(recording: Recording, target: Target, folder: Path) -> SolutionRepository:
    """An empty clone that reads the objects of the user's repository, with production as it was before the night."""
    base = target.solution.base
    users = open_repository(recording.workspace.repository(target.solution.repository), base)
    commits = [e.data["commit"] for e in recording.events if e.kind in {"production_at", "patch_committed"}]
    refuse_missing(
        users,
        commits[-1:]
        + [
            e.data["commit"]
            for e in recording.events[recording.first :]
            if e.kind in {"production_at", "patch_committed"}
        ],
    )
    clone = folder / "solution"
    shape = users.text("rev-parse", "--show-object-format")
    subprocess.run(
        ["git", "init", "--quiet", "--template=", f"--object-format={shape}", f"--initial-branch={base}", str(clone)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    git = clone / ".git"
    (git / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (git / "objects" / "info" / "alternates").write_text(f"{users.common_dir / 'objects'}\n")
    shallow = users.common_dir / "shallow"
    if shallow.is_file():
        (git / "shallow").write_bytes(shallow.read_bytes())
    made = SolutionRepository(clone.resolve(), git.resolve(), git.resolve())
    set_base(recording, made, target, recording.parts[0])
    production = _last(recording.before, "production_at")
    if production is not None:
        made.run("update-ref", f"refs/heads/{PRODUCTION}", production.data["commit"])
    for event in recording.before:
        if event.kind == "patch_committed" and made.attempt("cat-file", "-e", event.data["commit"])[0] == 0:
            made.run("update-ref", f"refs/heads/{event.data['branch']}", event.data["commit"])
    return open_repository(clone, base)


def set_base(recording: Recording, made: SolutionRepository, target: Target, part: Part) -> None:
    """The user's branch as a part of the night found it: what production was brought up to, by the record.

    Where production followed no new commit then, the base of the last time that it did.
    """
    commit = ""
    previous = ""
    for index, event in enumerate(recording.events[: part.end]):
        if event.kind == "cycle_started" and index > part.start:
            break
        if event.kind != "production_at":
            continue
        if event.reason in {"production starts here", "base merged"}:
            found: str = event.data["commit"]
            parents = made.parents_of(found)
            commit = parents[1] if len(parents) == 2 and parents[0] == previous else found
        previous = event.data["commit"]
    if not commit:
        tip = open_base(recording, target)
        if tip is None:
            raise MissingInput(
                f"no event names the commit that {target.solution.base} had, and there is no such branch"
            )
        commit = tip
    made.run("update-ref", f"refs/heads/{target.solution.base}", commit)


def open_base(recording: Recording, target: Target) -> str | None:
    """Where the user's branch is today."""
    users = open_repository(recording.workspace.repository(target.solution.repository), target.solution.base)
    return users.branch_tip(target.solution.base)


def _last(events: list[Event], kind: str) -> Event | None:
    return next((event for event in reversed(events) if event.kind == kind), None)

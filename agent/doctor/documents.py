"""Whether the files of a workspace say what they must: documents, log, and who is using them.

Called by `agent.doctor.checkup`. Every problem of every file is told, with its line.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from agent.continuity import lost_log
from agent.doctor.findings import STUMBLES, Finding, complaints, ok, warn
from registry.audit_chain import verify_chain
from registry.competitive import CompetitiveRegistry
from registry.documents import load_competitive, load_queue, load_research, load_target
from registry.errors import BadInput
from registry.locks import Busy, workspace_lock
from registry.research import ResearchConfig
from registry.target import Target
from registry.workspace import Workspace
from registry.yaml_nodes import NodePath
from registry.yaml_parsing import read

Document = TypeVar("Document")
_RESTORE = {
    "target.yaml": "restore {path} from a copy, or take one from a new workspace (`agent init` with --workspace)",
    "competitive_registry.yaml": "restore {path} from a copy, or write it as docs/registry.md shows",
    "research_config.yaml": "echo 'research_sources: {{}}' > {path}",
}
"""What mends a document that is not there; `agent init` refuses a workspace that has something in it."""


class Documents:
    """The three documents of a workspace, each where it could be read."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.target: Target | None = None
        self.competitive: CompetitiveRegistry | None = None
        self.research: ResearchConfig | None = None

    def read(self) -> Iterator[Finding]:
        """Load each one and say what is wrong with it."""
        self.target, found = _load(self.workspace.target, load_target)
        yield from found or [ok("target.yaml", self._target_in_words())]
        self.competitive, found = _load(self.workspace.competitive_registry, load_competitive)
        yield from found or [ok("competitive_registry.yaml", self._boards_in_words())]
        self.research, found = _load(self.workspace.research_config, load_research)
        yield from found or [ok("research_config.yaml", self._sources_in_words())]
        yield from self._folders()
        if self.workspace.experiment_queue.exists():
            _, found = _load(self.workspace.experiment_queue, load_queue)
            yield from found
        yield from self._agreement()

    def _target_in_words(self) -> str:
        if self.target is None:
            return ""
        metric = self.target.metrics.primary
        way = "higher" if metric.higher_is_better else "lower"
        return f"{self.target.name}: {metric.name}, {way} is better; {len(self.target.search_space)} settings to tune"

    def _boards_in_words(self) -> str:
        names = [board.name for board in self.competitive.target_leaderboards] if self.competitive else []
        return ", ".join(names) or "no board yet"

    def _sources_in_words(self) -> str:
        if self.research is None:
            return ""
        sources = self.research.research_sources
        queries, folders = len(sources.arxiv_queries), len(sources.local_folders) + len(sources.recorded_arxiv)
        others = {
            "venues": len(sources.venues),
            "works whose citations are followed": len(sources.citation_tracking),
            "feeds or pages of rivals": len(sources.competitor_blogs),
        }
        told = [f"{queries} searches", f"{folders} folders"]
        return ", ".join([*told, *(f"{count} {what}" for what, count in others.items() if count)])

    def _in_target(self, found: str, expected: str, path: NodePath, fix: str) -> Finding:
        return complaints("target.yaml", BadInput(read(self.workspace.target).problem(path, found, expected, fix)))[0]

    def _folders(self) -> Iterator[Finding]:
        """Places of papers that are not there; a night says so and goes on without them."""
        if self.research is None:
            return
        from tools.citations import work_id

        sources = self.research.research_sources
        for work in sources.citation_tracking:
            try:
                work_id(work)
            except BadInput as error:
                problem = error.problems[0]
                found = f"citation_tracking: {problem.found}, and no work is known by it"
                yield warn("research_config.yaml", found, f"give {problem.expected}; {problem.fix}")
        named = [("local_folders", folder) for folder in sources.local_folders]
        named += [("competitor_reports", folder) for folder in sources.competitor_reports]
        named += [("competitor_code", place) for place in sources.competitor_code if "://" not in place]
        named += [("recorded_arxiv", place) for place in sources.recorded_arxiv]
        for key, place in named:
            path = self.workspace.root / place
            if path.is_dir() or (key == "recorded_arxiv" and path.is_file()):
                continue
            found = f"{key}: {place} is no folder" if path.exists() else f"{key}: there is no {path}"
            fix = f"mkdir -p {shlex.quote(str(path))}, or mend {key} in research_config.yaml"
            yield warn("research_config.yaml", found, fix)

    def _agreement(self) -> Iterator[Finding]:
        """Names that one document says and another must know."""
        if self.target is None or self.competitive is None:
            return
        metric = self.target.metrics.primary
        board = self.competitive.leaderboard(metric.leaderboard) if metric.leaderboard else None
        boards = list(dict.fromkeys(one.name for one in self.competitive.target_leaderboards))
        if metric.leaderboard and board is None:
            known = f"one of the boards: {', '.join(boards)}" if boards else "a board of competitive_registry.yaml"
            fix = "add the board to competitive_registry.yaml, or mend the name"
            yield self._in_target(
                f'the board "{metric.leaderboard}"', known, ("metrics", "primary", "leaderboard"), fix
            )
        elif not metric.leaderboard:
            found = "metrics.primary names no leaderboard, so there is no rank to reach"
            yield warn("target.yaml", found, "add leaderboard: <name of a board> to metrics.primary")
        elif board is not None and board.higher_is_better != metric.higher_is_better:
            found = f"{metric.higher_is_better} here and {board.higher_is_better} on {board.name}".lower()
            fix = "make target.yaml and competitive_registry.yaml agree"
            yield self._in_target(found, "one direction", ("metrics", "primary", "higher_is_better"), fix)
        ours, gate = self.competitive.our_solution.promotion_threshold, self.target.gate.threshold
        if ours != gate:
            found = f"gate.threshold is {gate:g}, and promotion_threshold in competitive_registry.yaml is {ours:g}"
            yield warn("target.yaml", found, "make them agree; the gate goes by gate.threshold")
        if not self.target.search_space:
            yield warn("target.yaml", "search_space is empty, so the offline researcher has nothing to try", "fill it")


def _load(path: Path, load: Callable[[Path], Document]) -> tuple[Document | None, list[Finding]]:
    try:
        return load(path), []
    except STUMBLES as error:
        found = complaints(path.name, error)
        if not path.exists():
            found = [
                replace(one, fix=_RESTORE.get(path.name, one.fix).format(path=shlex.quote(str(path)))) for one in found
            ]
        return None, found


def log(workspace: Workspace) -> Iterator[Finding]:
    """Whether the log's chain holds."""
    if (lost := lost_log(workspace)) is not None:
        yield from complaints("audit log", BadInput(lost))
        return
    if not workspace.audit.exists():
        yield warn("audit log", "there is none yet; the first night starts one")
        return
    report = verify_chain(workspace.audit)
    for problem in report.problems:
        file, line = str(workspace.audit), problem.line
        said = str(replace(problem, fix=""))
        if problem.fix:  # a last line that a crash cut off, which no reader takes for an event
            yield Finding("audit log", "warn", said, f"nothing: {problem.fix}", file=file, line=line)
            continue
        fix = "restore the file from a copy; `agent audit verify` tells more"
        yield Finding("audit log", "fail", said, fix, file=file, line=line)
    if report.ok:
        yield ok("audit log", f"{report.events} events, head {report.head.hash[:16]}")


def lock(workspace: Workspace) -> Iterator[Finding]:
    """Who uses the workspace now; the lock is taken for an instant only."""
    if not workspace.lock.is_file():
        yield ok("lock", "nobody uses the workspace")
        return
    try:
        with workspace_lock(workspace.lock, "agent doctor"):
            pass
    except Busy as error:
        yield ok("lock", f"held by {_holder(error)}; a second night would be refused")
        return
    yield ok("lock", "nobody uses the workspace")


def _holder(error: Busy) -> str:
    holder = error.holder
    return f"process {holder.pid} ({holder.command}) since {holder.since}" if holder else "another process"

"""What competitors publish: their code and reports as sources, and the reading of either.

Called by `agent.papers`. Code is compared with ours by rules, whoever the researcher is; a report goes the way of a
paper. Techniques of both are marked as a rival's, and hypotheses from them carry that strategy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.services import Services

if TYPE_CHECKING:
    from agent.researcher.contract import Situation
    from registry.papers import Paper, Reading
    from tools.papers import PaperQuery, PaperSource
    from tools.pdf.text import PdfText

MAX_OWN_FILES = 400
MAX_OWN_BYTES = 200_000


def sources(services: Services, code: Sequence[str] = ()) -> list[tuple[PaperSource, PaperQuery]]:
    """Competitors' code and reports that `research_config.yaml` names, or the code named here and nothing else."""
    from tools.competitor_code import CodeSource, ReportFolder
    from tools.papers import PaperQuery

    config, root = services.research(), services.workspace.root
    query = PaperQuery(limit=config.max_papers_per_cycle)
    wanted = config.research_sources
    found: list[PaperSource] = [CodeSource(place, root) for place in code or wanted.competitor_code]
    if not code:
        found += [ReportFolder(root / folder) for folder in wanted.competitor_reports]
    return [(source, query) for source in found]


def read(services: Services, source: str, paper: Paper, text: PdfText, asked: Situation) -> Reading:
    """The reading of whatever a source gave: a paper, a competitor's report or a competitor's code."""
    from tools.competitor_code import is_rival

    reading = _of_code(services, paper, text, asked) if source.startswith("code:") else None
    if reading is None:
        reading = services.researcher.read(paper, text, asked)
    update: dict[str, object] = {"hidden": list(text.hidden)}
    if is_rival(source):
        update["techniques"] = [each.model_copy(update={"origin": "rival"}) for each in reading.techniques]
    return reading.model_copy(update=update)


def _of_code(services: Services, paper: Paper, text: PdfText, asked: Situation) -> Reading:
    from agent.researcher import rival_code

    ours = rival_code.part_names(_own_files(services, asked.production_commit))
    return rival_code.read(paper, text, asked.target.search_space, asked.production, ours)


def _own_files(services: Services, commit: str) -> dict[str, str]:
    """Our own Python at a commit, to be compared with; empty where there is no commit yet."""
    if not commit:
        return {}
    entries = services.solution.repository.entries(commit)
    sized = [e for e in entries if e.path.endswith(".py") and e.size is not None and e.size <= MAX_OWN_BYTES]
    chosen = [entry.path for entry in sized[:MAX_OWN_FILES] if entry.mode in {"100644", "100755"}]
    return {path: services.solution.read(commit, path).decode("utf-8", "replace") for path in chosen}

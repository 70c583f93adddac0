"""The commented first text of a workspace's three documents, from what `agent init` found or was told.

Pure text. Whatever the values, the result loads, or `BadInput` says which value cannot stand in it; comments are
for the people who edit the files afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import dedent

from registry.competitive import CompetitiveRegistry, cross_problems
from registry.hypotheses import Scalar
from registry.research import ResearchConfig
from registry.target import Target
from registry.validation import validated
from registry.yaml_parsing import parse
from registry.yaml_scalars import Value, cleaned, token


@dataclass(frozen=True, slots=True)
class BoardValues:
    """A leaderboard as `init` knows it."""

    name: str
    url: str
    scrape_method: str
    primary_metric: str
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class TargetValues:
    """The solution as `init` knows it; commands with their placeholders, paths relative to the repository."""

    name: str
    repository: str
    config: str
    train: Sequence[str]
    evaluate: Sequence[str]
    labels: Mapping[str, str]
    metric: str
    base: str = "main"
    editable: Sequence[str] = ("*.py", "src/**", "configs/**")
    protected: Sequence[str] = ("evaluate.py", "data/**")
    predict: Sequence[str] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    train_data: str = ""
    higher_is_better: bool = True
    leaderboard: str = ""
    python: str = ".venv/bin/python"
    search_space: Mapping[str, tuple[str, Sequence[Scalar], Sequence[str]]] = field(default_factory=dict)
    """Name → (dotted path in the configuration, values worth trying, tags)."""
    fast: Mapping[str, Scalar] = field(default_factory=dict)
    """Configuration paths and their values in a fast run."""


def competitive_registry(domain: str, name: str, boards: Sequence[BoardValues], threshold: float = 0.005) -> str:
    """Text of `competitive_registry.yaml`. Raises BadInput."""
    text = dedent(
        """\
        # The boards this solution competes on. Edit by hand; the agent rewrites scores in place and leaves
        # comments, order and number formats as they are. `agent doctor` checks this file.
        domain: {domain}  # for example memory, retrieval, reasoning, vision

        # One entry a board. scrape_method: html_table, embedded_json, api, csv, git_file, manual or rss.
        # Further keys where a board needs them: columns, table, track, exclude, our_entry, values, unit, scale,
        # victory {{rank: 1, margin: 0.0, sustained_cycles: 1}} and widen_threshold (docs/registry.md has each).
        target_leaderboards:{boards}

        # Rivals and what they scored when last seen, which monitoring keeps up. It adds the ten best of each board;
        # write down others that you want to follow. Where a rival goes by another name on some board, say so:
        # aliases: {{Board: name there}}.
        competitors:

        our_solution:
          name: {name}  # our name on the boards
          # Our test score on each board; null until the first look.
          current_scores:{scores}
          promotion_threshold: {threshold}  # minimum improvement over the current score to promote

        # Cron expressions (minute hour day month weekday). A key left out is due in every cycle.
        schedule:
          leaderboard_scrape: "0 6 * * *"  # daily at 6
          research_ingest: "0 7 * * 1"  # weekly on Monday
          experiment_sweep: "0 8 * * *"  # daily at 8
          report_digest: "0 9 * * 1"  # weekly digest on Monday
        """
    ).format(
        domain=_word(domain),
        name=_word(name),
        boards="".join(map(_board, boards)) or " []",
        scores="".join(f"\n    {_word(board.name)}: null" for board in boards) or " {}",
        threshold=token(threshold),
    )
    located = parse(text, "competitive_registry.yaml")
    validated(located, CompetitiveRegistry, located.data, known=cross_problems(located))
    return text


def research_config(
    queries: Sequence[str], keywords: Sequence[str] = (), folders: Sequence[str] = (), venues: Sequence[str] = ()
) -> str:
    """Text of `research_config.yaml`. Raises BadInput."""
    text = dedent(
        """\
        # Where the agent reads. Every list may be empty.
        research_sources:
          # Searches on arXiv, newest first.
          arxiv_queries:{queries}
          # Venues as authors name them on arXiv ("Accepted at ICLR 2026"), such as ICLR 2026.
          venues:{venues}
          # Feeds or pages of rivals (https://…) that announce papers and reports.
          competitor_blogs: []
          # Works whose citations are followed: arXiv ids or DOIs.
          citation_tracking: []
          # Folders of PDFs, relative to this workspace.
          local_folders:{folders}
          # Competitors' code: folders, or https:// addresses of git repositories. It is read, never run.
          competitor_code: []
          # Folders of PDFs that competitors wrote about their systems.
          competitor_reports: []
          # Recorded arXiv answers, read instead of the network.
          recorded_arxiv: []

        # Words that make a paper relevant, beside the names of our boards.
        domain_keywords:{keywords}

        # Papers read in one cycle at most.
        max_papers_per_cycle: 20
        """
    ).format(
        queries=_items(queries, 4), venues=_items(venues, 4), folders=_items(folders, 4), keywords=_items(keywords, 2)
    )
    located = parse(text, "research_config.yaml")
    validated(located, ResearchConfig, located.data)
    return text


def target(values: TargetValues) -> str:
    """Text of `target.yaml`. Raises BadInput."""
    sections = [_solution(values), _phases(values), _metrics(values), _GATE, _search_space(values), _limits(values)]
    text = "\n".join(sections)
    located = parse(text, "target.yaml")
    validated(located, Target, located.data)
    return text


def _solution(values: TargetValues) -> str:
    return dedent(
        """\
        # The contract between the agent and this solution. `agent doctor` checks it and runs the baseline once.
        version: 1
        name: {name}

        # Where the solution lives. The agent works on branches agent/* of its own; your branches stay yours.
        solution:
          repository: {repository}
          base: {base}  # your branch; production starts from it and follows it
          config: {config}  # every tunable; nothing hard-coded in scripts
          editable: {editable}  # what a hypothesis may change
          protected: {protected}  # wins over editable; hashed before and after
        """
    ).format(
        name=_word(values.name),
        repository=_word(values.repository),
        base=_word(values.base),
        config=_word(values.config),
        editable=_list(values.editable),
        protected=_list(values.protected),
    )


def _phases(values: TargetValues) -> str:
    data = f"\n    data: {_word(values.train_data)}" if values.train_data else ""
    text = dedent(
        """\
        # Each phase runs in a sandbox of its own, without a network. train sees training data only, predict the
        # inputs of one split, evaluate predictions and labels; its code always comes from production.
        phases:
          train:
            command: {train}{data}
        """
    ).format(train=_list(values.train), data=data)
    if values.predict:
        text += f"  predict:\n    command: {_list(values.predict)}\n    inputs: {_flow(values.inputs)}\n"
    return text + f"  evaluate:\n    command: {_list(values.evaluate)}\n    labels: {_flow(values.labels)}\n"


def _metrics(values: TargetValues) -> str:
    primary: dict[str, Value] = {"name": values.metric, "higher_is_better": values.higher_is_better}
    if values.leaderboard:
        primary["leaderboard"] = values.leaderboard
    source = "predict" if values.predict else "train"
    return dedent(
        """\
        # primary is what evaluate.py writes into metrics.json. The costs are measured from outside, by the host,
        # and may grow by at most the share given.
        metrics:
          primary: {primary}
          secondary:
            latency_ms: {{source: {source}, max_increase: 0.10}}
            memory_mb: {{source: {source}, max_increase: 0.15}}
        """
    ).format(primary=_flow(primary), source=source)


_GATE = """\
# When a candidate is promoted. threshold: smallest gain worth it; season: candidates over which false
# promotions are controlled; test_looks: how often the test split may be looked at.
gate: {policy: e-night, threshold: 0.005, season: 100, test_looks: 10}
"""


def _search_space(values: TargetValues) -> str:
    head = dedent(
        """\
        # What may be tuned: path in the configuration, every value worth trying (in order), tags of the ideas it
        # belongs to. For example:
        #   hidden: {path: model.hidden, values: [32, 64, 128], tags: [width, capacity]}
        """
    )
    if not values.search_space:
        return head + "search_space: {}\n"
    lines = [
        f"  {_word(name)}: {{path: {_word(path)}, values: {_list(choices)}, tags: {_list(tags)}}}\n"
        for name, (path, choices, tags) in values.search_space.items()
    ]
    return head + "search_space:\n" + "".join(lines)


def _limits(values: TargetValues) -> str:
    return dedent(
        """\
        # A fast run finds broken ideas early: fewer epochs, less data. overrides are configuration paths.
        fast: {{overrides: {fast}, timeout: 60s}}
        full: {{timeout: 30m}}

        # The solution's own interpreter, relative to the repository or absolute; or image: name@sha256:…
        environment: {{python: {python}}}

        # Where one seed need not give the same value twice (GPU kernels, threads), say so.
        # noisy: true

        # What one run may use.
        resources: {{cpus: 1, memory: 2GiB, gpus: 0, disk: 1GiB}}

        # What one night may spend; a limit left out is none.
        # budget: {{runs: 200, hours: 8, gpu_hours: 8}}

        # How a promoted solution is handed to a leaderboard; off unless a command is given.
        # submission: {{command: [python, submit.py], timeout: 300s}}
        """
    ).format(python=_word(values.python), fast=_flow(values.fast))


def _board(board: BoardValues) -> str:
    pairs: dict[str, Value] = {
        "name": board.name,
        "url": board.url,
        "scrape_method": board.scrape_method,
        "primary_metric": board.primary_metric,
        "higher_is_better": board.higher_is_better,
    }
    return "\n  - " + "\n    ".join(f"{key}: {_word(value)}" for key, value in pairs.items())


def _word(value: Value) -> str:
    return token(cleaned(value) if isinstance(value, str) else value)


def _list(values: Sequence[Value]) -> str:
    return "[" + ", ".join(map(_word, values)) + "]"


def _flow(values: Mapping[str, Value]) -> str:
    return "{" + ", ".join(f"{_word(key)}: {_word(value)}" for key, value in values.items()) + "}"


def _items(values: Sequence[str], indent: int) -> str:
    return "".join(f"\n{' ' * indent}- {_word(value)}" for value in values) or " []"

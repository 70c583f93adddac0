"""Two promotions on top of each other: merged and taken back by a person with the commands of the pull request."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from git_repositories import git
from markdown_it import MarkdownIt
from tiny_solution import SPACE, Tiny, build

from agent.night import Goal
from agent.readers import Reader

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = build(tmp_path)
    tiny.target["search_space"] = {"width": SPACE["width"], "better": {**SPACE["slight"], "values": [1, 40]}}
    tiny.target["gate"]["rank"] = "row"
    tiny.write_target()
    tiny.write_board(Rival=0.99, Other=0.5)
    result = tiny.night(Goal(cycles=4))
    assert result.promoted == ("H-001", "H-002"), tiny.progress.lines
    return tiny


def pull_request(tiny: Tiny, name: str) -> str:
    return (tiny.workspace.reports / "pull-requests" / f"{name}.md").read_text()


def commands(text: str, beginning: str) -> list[list[str]]:
    """The shell blocks of the merging section, as a person would paste them."""
    section = text.split("## How to merge", 1)[1]
    blocks = re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)
    block = next(block for block in blocks if beginning in block)
    return [shlex.split(line)[1:] for line in block.splitlines()]


def values(tiny: Tiny) -> dict[str, str]:
    lines = (tiny.repository / "configs/production.yaml").read_text().splitlines()
    return dict(line.strip().split(": ") for line in lines if line.startswith("  "))


def run(tiny: Tiny, words: list[list[str]]) -> None:
    for line in words:
        extra = ["--no-edit"] if line[0] in {"merge", "revert"} else []
        git(tiny.repository, line[0], *extra, *line[1:])


def settings_of(tiny: Tiny) -> tuple[str, str]:
    found = values(tiny)
    return found["width"], found["slight"]


def test_the_file_of_the_second_names_the_first_its_commit_and_the_order(tiny: Tiny) -> None:
    first, second = tiny.events("promoted")
    text = pull_request(tiny, second.subject)
    assert f"commit `{first.data['commit'][:12]}`, branch `{first.data['branch']}`" in text
    merges = [words[-1] for words in commands(text, "git merge") if words[0] == "merge"]
    assert merges == [first.data["branch"], second.data["branch"]]
    assert "earlier promotions" not in pull_request(tiny, first.subject).split("## How to check")[0]


def test_merging_and_taking_back_as_the_file_says_leaves_the_first_promotion(tiny: Tiny) -> None:
    before = settings_of(tiny)
    first, second = tiny.events("promoted")
    text = pull_request(tiny, second.subject)
    run(tiny, commands(text, "git merge"))
    merged = git(tiny.repository, "show", f"{second.data['commit']}:configs/production.yaml")
    assert (tiny.repository / "configs/production.yaml").read_text().strip() == merged.strip()
    run(tiny, commands(text, "git revert"))
    alone = git(tiny.repository, "show", f"{first.data['commit']}:configs/production.yaml")
    assert (tiny.repository / "configs/production.yaml").read_text().strip() == alone.strip()
    run(tiny, commands(pull_request(tiny, first.subject), "git revert"))
    assert settings_of(tiny) == before


def test_taking_back_is_the_same_where_the_last_branch_alone_was_merged(tiny: Tiny) -> None:
    first, second = tiny.events("promoted")
    git(tiny.repository, "merge", "--no-ff", "--no-edit", second.data["branch"])
    run(tiny, commands(pull_request(tiny, second.subject), "git revert"))
    alone = git(tiny.repository, "show", f"{first.data['commit']}:configs/production.yaml")
    assert (tiny.repository / "configs/production.yaml").read_text().strip() == alone.strip()


def test_every_row_of_the_gate_is_in_the_file_with_its_result(tiny: Tiny) -> None:
    (_, second) = tiny.events("promoted")
    account = Reader(tiny.workspace).account(second.subject)
    text = pull_request(tiny, second.subject)
    decision = text.split("## Decision", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in decision.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [row["name"] for row in account.rows]
    for shown, row in zip(rows, account.rows, strict=True):
        assert shown.endswith("| yes |" if row["binding"] else "| no |")
    kinds = [token.type for token in MARKDOWN.parse(text)]
    assert kinds.count("table_open") >= 2

"""The pull request's text: all of the evidence is in it, and no stranger's text means anything in Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools.markdown_quoting import code, fenced
from tools.patches import FileChange
from tools.pull_requests import (
    CitedPassage,
    CommitLine,
    CostChange,
    Criterion,
    EarlierPromotion,
    Gain,
    PullRequest,
    SeedsUsed,
    pull_request_text,
)

REQUEST = PullRequest(
    hypothesis_id="H-042",
    title="Longer training",
    change="train.epochs 3 → 9",
    claim="the model underfits",
    source="arXiv:2602.01234v2",
    branch="agent/H-042-longer-training",
    base="main",
    commit=CommitLine("ab" * 20, "H-042: Longer training"),
    files=(FileChange("configs/production.yaml", 1, 1), FileChange("blob.bin", None, None)),
    policy="e-night",
    criteria=(Criterion("gain", "log E ≥ 4.6", "5.31", "passed"), Criterion("rank", "#1", "2", "failed", False)),
    gain=Gain("accuracy", 0.925, 0.952, 0.027, 0.019, 0.035, 0.95, "5 fresh seeds"),
    seeds=(SeedsUsed("gate", (11, 12, 13)), SeedsUsed("fresh", tuple(range(100, 150)))),
    audit_head="cd" * 32,
    audit_events=(101, 117),
    quotes=(CitedPassage("A paper", 4, "longer training gained 2.7 points", True), CitedPassage("B", 1, "q", False)),
    costs=(CostChange("latency_ms", 10.0, 10.2, 0.10), CostChange("memory_mb", 0.0, 5.0, 0.15)),
)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
HOSTILE = [
    "# heading\n\n- list",
    "<script>alert(1)</script><img src=x onerror=y>",
    "[click](http://evil.example) ![](http://evil.example/x.png)",
    "@everyone fixes #12 GH-3",
    "a | b | c\n|---|---|\n| x | y |",
    "``` \n\n# out of the fence\n\n````\n# further",
    "` out of the span ` **bold**",
    "\\` \\| \\",
    "~~~\n# tilde",
    "\x1b[31mred\x07 \u202eright to left\u200b",
    "<!-- comment",
    "http://evil.example/auto",
    "\r# carriage\r\n# return\u2028# separator",
]


def tokens(markdown: str) -> Iterable[Token]:
    for token in MARKDOWN.parse(markdown):
        yield token
        yield from token.children or ()


def outside_code(markdown: str) -> str:
    """Everything a renderer would give a meaning to: text, markup, addresses."""
    return "\n".join(
        f"{token.content} {token.attrs} {token.info}"
        for token in tokens(markdown)
        if token.type not in ("code_inline", "fence", "inline")
    )


def filled_with(text: str) -> PullRequest:
    return dataclasses.replace(
        REQUEST,
        title=text,
        change=text,
        claim=text,
        source=text,
        base=text,
        branch=text,
        workspace=text,
        policy=text,
        commit=CommitLine(text, text),
        files=(FileChange(text, 1, 2),),
        criteria=(Criterion(text, text, text, text),),
        gain=dataclasses.replace(REQUEST.gain, metric=text),
        seeds=(SeedsUsed(text, (1,)),),
        quotes=(CitedPassage(text, 1, text, True),),
        costs=(CostChange(text, 1.0, 1.0, 0.1),),
        notes=(text,),
        earlier=(EarlierPromotion("H-001", text, text, text),),
        brought=(CommitLine(text, text),),
        audit_head=text,
    )


def shape(markdown: str) -> list[str]:
    return [token.type for token in tokens(markdown) if token.type != "inline"]


def test_a_single_pair_has_no_interval() -> None:
    gain = dataclasses.replace(REQUEST.gain, low=None, high=None, measured_on="the split confirm")
    text = pull_request_text(dataclasses.replace(REQUEST, gain=gain))
    assert "better by **+0.027** on the split confirm: production 0.925" in text


def test_all_of_the_evidence_is_in_the_text() -> None:
    text = pull_request_text(REQUEST)
    for expected in (
        "# H-042: `Longer training`",
        "better by **+0.027** on 5 fresh seeds (95% interval +0.019 to +0.035): production 0.925, candidate 0.952",
        "arXiv:2602.01234v2",
        "found word for word in `A paper`, page 4",
        "**not verified** against `B`",
        "| `gain` | `log E ≥ 4.6` | `5.31` | passed | yes |",
        "| `rank` | `#1` | `2` | **failed** | no |",
        "| `latency_ms` | 10 ms | 10.2 ms | +2.0% | +10% |",
        "| `memory_mb` | 0 MB | 5 MB | no baseline | +15% |",
        "`gate`: 3 on each arm (11, 12, 13)",
        "`fresh`: 50 on each arm",
        "| `configs/production.yaml` | +1 | -1 |",
        "| `blob.bin` | binary | binary |",
        "agent gate H-042",
        "agent audit verify",
        "cd" * 32,
        "Events: 101, 117",
        "git merge --no-ff agent/H-042-longer-training",
        "git revert " + "ab" * 20,
        "ab" * 20,
    ):
        assert expected in text


def test_a_criterion_that_was_not_met_is_said_so() -> None:
    failed = dataclasses.replace(REQUEST, criteria=(Criterion("gain", "≥ 1", "0", "failed"),))
    assert "| `gain` | `≥ 1` | `0` | **failed** | yes |" in pull_request_text(failed)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stands_in_code_only_and_changes_no_structure(text: str) -> None:
    rendered = pull_request_text(filled_with("ΩΩ " + text))
    assert "Ω" not in outside_code(rendered)
    assert "evil.example" not in outside_code(rendered)
    assert "Ω" in rendered
    assert shape(rendered) == shape(pull_request_text(filled_with("ordinary")))
    assert not {"html_block", "html_inline", "link_open", "image"} & set(shape(rendered))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200), st.text(alphabet="`~|\\<>\n# ", max_size=40))
def test_any_text_at_all_stands_in_code_only(text: str, marks: str) -> None:
    rendered = pull_request_text(filled_with(f"Ω{marks}{text}Ω{marks}"))
    assert "Ω" not in outside_code(rendered)
    assert shape(rendered) == shape(pull_request_text(filled_with("ordinary")))


def test_what_is_shown_is_bounded_and_without_control_characters() -> None:
    assert len(code("x" * 10_000)) < 400
    assert len(fenced("x" * 10_000)) < 2100
    assert "\x1b" not in code("\x1b[31m") + fenced("\x1b[31m")
    assert "\u202e" not in code("a\u202eb")
    many = dataclasses.replace(REQUEST, files=tuple(FileChange(f"f{i}", 1, 1) for i in range(60)))
    assert "and 10 more files" in pull_request_text(many)


def test_notes_are_a_list_of_their_own_and_no_rows_of_the_table_before_them() -> None:
    text = pull_request_text(dataclasses.replace(REQUEST, notes=("first", "second")))
    names = [token.type for token in MARKDOWN.parse(text)]
    cells = [token.content for token in MARKDOWN.parse(text) if token.type == "inline" and "Note" in token.content]
    assert cells == ["Note: `first`", "Note: `second`"]
    assert names.index("table_close") < len(names) - names[::-1].index("bullet_list_open")


def test_a_branch_on_earlier_promotions_names_them_their_commits_and_the_order() -> None:
    earlier = tuple(EarlierPromotion(f"H-00{n}", f"idea {n}", f"agent/H-00{n}-idea", str(n) * 40) for n in (1, 2))
    brought = tuple(CommitLine(str(n) * 40, f"H-00{n}: idea {n}") for n in (1, 2))
    text = pull_request_text(dataclasses.replace(REQUEST, earlier=earlier, brought=brought))
    merges = [line for line in text.splitlines() if line.startswith("git merge")]
    assert merges == [
        f"git merge --no-ff agent/{name}" for name in ("H-001-idea", "H-002-idea", "H-042-longer-training")
    ]
    for n in (1, 2):
        assert f"H-00{n}: `idea {n}`, commit `{str(n) * 12}`, branch `agent/H-00{n}-idea`" in text
    assert "git revert -m" not in text

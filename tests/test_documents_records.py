"""Targets, research, hypotheses and the queue as files: the documents' forms, round trips, every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.documents import (
    dump_hypothesis,
    dump_queue,
    load_competitive,
    load_hypothesis,
    load_queue,
    load_research,
    load_target,
)
from registry.errors import BadInput
from registry.hypotheses import Hypothesis, Implementation, Quote
from registry.scaffold import BoardValues, TargetValues, competitive_registry, research_config, target
from registry.yaml_scalars import is_control

EXAMPLE = Hypothesis(
    id="H-042",
    title="Hierarchical state compression reduces long-context forgetting",
    claim="Applying hierarchical state compression will improve MemoryBench accuracy from 0.823 to ≥0.850",
    source="arXiv:2602.01234 + gap analysis (gap to #1 = 0.038)",
    target_leaderboards=["MemoryBench"],
    implementation=Implementation(change="Replace flat KV cache with 3-level compression", effort="Medium"),
    estimated_gain=0.027,
    priority_score=8.1,
    status="queued",
)
CLEAN = st.text(st.characters().filter(lambda char: char in "\n\t" or not is_control(char)), max_size=30)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
HYPOTHESES = st.builds(
    Hypothesis,
    id=st.integers(0, 9999).map(lambda number: f"H-{number:03}"),
    title=CLEAN,
    claim=CLEAN,
    source=CLEAN,
    target_leaderboards=st.lists(CLEAN, max_size=3),
    implementation=st.builds(
        Implementation,
        change=CLEAN,
        effort=st.sampled_from(["Low", "Medium", "High"]),
        settings=st.dictionaries(CLEAN.filter(bool), st.booleans() | st.integers() | FINITE | CLEAN, max_size=3),
    ),
    estimated_gain=FINITE,
    priority_score=FINITE,
    status=st.sampled_from(["queued", "active", "promoted", "archived", "parked"]),
    urgency=st.sampled_from(["normal", "urgent"]),
    tier=st.sampled_from(["normal", "low"]),
    family=CLEAN,
    strategy=st.sampled_from(["paper", "refine", "manual"]),
    quotes=st.lists(
        st.builds(
            Quote, document=CLEAN, file_sha256=CLEAN, page=st.integers(1, 999), text=CLEAN, verified=st.booleans()
        ),
        max_size=2,
    ),
)
VALUES = TargetValues(
    name="digits",
    repository="../digits",
    config="configs/production.yaml",
    train=["python", "train.py", "--config", "{config}", "--seed", "{seed}", "--data", "{data}", "--out", "{out}"],
    predict=["python", "predict.py", "--model", "{model}", "--inputs", "{inputs}", "--out", "{out}"],
    evaluate=["python", "evaluate.py", "--predictions", "{predictions}", "--labels", "{labels}", "--out", "{out}"],
    labels={"dev": "data/dev/labels", "test": "data/test/labels"},
    inputs={"dev": "data/dev/inputs", "test": "data/test/inputs"},
    train_data="data/train",
    metric="accuracy",
    leaderboard="Digits",
    search_space={"hidden": ("model.hidden", [32, 64, 128], ["width", "capacity"])},
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def problems(path: Path, load: object) -> list[str]:
    assert callable(load)
    with pytest.raises(BadInput) as caught:
        load(path)
    return [str(problem).removeprefix(str(path)) for problem in caught.value.problems]


def test_a_hypothesis_is_written_in_the_documents_form_and_order() -> None:
    assert dump_hypothesis(EXAMPLE).startswith(
        """\
hypothesis:
  id: H-042
  title: "Hierarchical state compression reduces long-context forgetting"
  claim: "Applying hierarchical state compression will improve MemoryBench accuracy from 0.823 to ≥0.850"
  source: "arXiv:2602.01234 + gap analysis (gap to #1 = 0.038)"
  target_leaderboards: [MemoryBench]
  implementation:
    change: "Replace flat KV cache with 3-level compression"
    effort: Medium
  estimated_gain: +0.027
  priority_score: 8.1
  status: queued
"""
    )


def test_the_documents_own_hypothesis_loads(tmp_path: Path) -> None:
    text = """\
hypothesis:
  id: H-042
  title: "Hierarchical state compression reduces long-context forgetting"
  claim: "Applying hierarchical state compression to our memory module will
    improve MemoryBench accuracy from 0.823 to ≥0.850"
  source: arXiv:2602.XXXXX + gap analysis (gap to #1 = 0.038)
  target_leaderboards: [MemoryBench]
  implementation:
    change: "Replace flat KV cache with 3-level hierarchical compression"
    effort: Medium
  estimated_gain: +0.027
  priority_score: 8.1 # (estimated_gain / effort_score) × urgency_multiplier
  status: queued
"""
    loaded = load_hypothesis(write(tmp_path, "H-042.yaml", text))
    assert (loaded.estimated_gain, loaded.priority_score, loaded.implementation.effort) == (0.027, 8.1, "Medium")
    assert loaded.claim.endswith("memory module will improve MemoryBench accuracy from 0.823 to ≥0.850")


@settings(max_examples=60, deadline=None)
@given(st.lists(HYPOTHESES, max_size=3, unique_by=lambda hypothesis: hypothesis.id))
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, hypotheses: list[Hypothesis]
) -> None:
    folder = tmp_path_factory.mktemp("queue")
    for hypothesis in hypotheses:
        assert load_hypothesis(write(folder, "H.yaml", dump_hypothesis(hypothesis))) == hypothesis
    queue = load_queue(write(folder, "queue.yaml", dump_queue(hypotheses)))
    assert sorted(queue, key=lambda h: h.id) == sorted(hypotheses, key=lambda h: h.id)


def test_control_characters_of_a_stranger_do_not_reach_the_file(tmp_path: Path) -> None:
    hostile = EXAMPLE.model_copy(update={"title": "red \x1b[31m alert\x00\u202e", "source": "\ud800"})
    loaded = load_hypothesis(write(tmp_path, "H.yaml", dump_hypothesis(hostile)))
    assert loaded.title == "red  [31m alert  "
    assert loaded.source == " "


def test_the_queue_is_ranked_with_the_low_tier_last(tmp_path: Path) -> None:
    made = [
        EXAMPLE.model_copy(update={"id": name, "priority_score": score, "tier": tier})
        for name, score, tier in [
            ("H-003", 1.0, "normal"),
            ("H-010", 9.0, "low"),
            ("H-002", 1.0, "normal"),
            ("H-001", 5.0, "normal"),
        ]
    ]
    path = write(tmp_path, "queue.yaml", dump_queue(made))
    assert [hypothesis.id for hypothesis in load_queue(path)] == ["H-001", "H-002", "H-003", "H-010"]
    assert load_queue(write(tmp_path, "empty.yaml", dump_queue([]))) == []


def test_every_problem_of_a_queue_is_told_with_its_line(tmp_path: Path) -> None:
    text = dump_queue([EXAMPLE, EXAMPLE.model_copy(update={"id": "H-043"})])
    text = text.replace("effort: Medium", "effort: Huge").replace("id: H-043", "id: 43")
    assert problems(write(tmp_path, "queue.yaml", text), load_queue) == [
        ":10: queue[0].implementation.effort: found \"Huge\", expected 'Low', 'Medium' or 'High'",
        ":18: queue[1].id: found 43, expected text (in quotes where it looks like a number)",
        ":25: queue[1].implementation.effort: found \"Huge\", expected 'Low', 'Medium' or 'High'",
    ]


def test_a_hypothesis_beside_its_key_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "H.yaml", dump_hypothesis(EXAMPLE) + "priority: 3\n")
    assert problems(path, load_hypothesis) == [
        ':17: priority: found the unknown key "priority", expected the key hypothesis and no other'
    ]
    text = dump_hypothesis(EXAMPLE).replace("  tier:", "  level:")
    (found,) = problems(write(tmp_path, "H.yaml", text), load_hypothesis)
    assert found.startswith(':14: hypothesis.level: found the unknown key "level", expected one of id, title, claim')


def test_a_scaffolded_target_loads_and_says_what_was_given(tmp_path: Path) -> None:
    loaded = load_target(write(tmp_path, "target.yaml", target(VALUES)))
    assert loaded.phases.train.command == VALUES.train
    assert loaded.phases.predict is not None
    assert loaded.phases.predict.inputs == VALUES.inputs
    assert loaded.search_space["hidden"].values == [32, 64, 128]
    assert loaded.metrics.primary.leaderboard == "Digits"
    assert (loaded.fast.timeout, loaded.resources.memory, loaded.budget.runs) == (60.0, 2 << 30, None)
    assert loaded.submission.command is None


def test_the_commented_parts_of_a_scaffolded_target_load_when_uncommented(tmp_path: Path) -> None:
    text = target(VALUES).replace("# budget:", "budget:").replace("# submission:", "submission:")
    loaded = load_target(write(tmp_path, "target.yaml", text))
    assert (loaded.budget.runs, loaded.submission.command) == (200, ["python", "submit.py"])


def test_every_problem_of_a_target_is_told_with_its_line(tmp_path: Path) -> None:
    text = target(VALUES).replace("{seed}", "{sead}").replace("timeout: 30m", "timeout: soon")
    text = text.replace("memory: 2GiB", "memory: lots").replace("config: configs/", "config: /configs/")
    text = text.replace("source: predict, max_increase: 0.10", "source: predict, max_increase: 0")
    found = problems(write(tmp_path, "target.yaml", text), load_target)
    lines = text.splitlines()
    numbers = [int(problem.split(":")[1]) for problem in found]
    assert numbers == sorted(numbers)
    words = ["config: /configs", "phases:", "latency_ms", "full:", "resources:"]
    assert [word in lines[number - 1] for word, number in zip(words, numbers, strict=True)] == [True] * 5
    assert "train.command uses {sead}" in found[1]
    assert "expected a duration such as 90s, 15m or 2h" in found[3]


def test_lists_of_a_wrong_length_are_told_in_our_own_words(tmp_path: Path) -> None:
    space = "search_space:\n  only: {path: model.width, values: [1], tags: [width]}\n"
    text = target(VALUES).replace("search_space:\n", space)
    (found,) = problems(write(tmp_path, "target.yaml", text), load_target)
    assert "expected at least 2 entries" in found
    assert "validation" not in found


NAMES = (
    st.text(min_size=1, max_size=20)
    .map(str.strip)
    .filter(lambda text: text and not any(map(is_control, text)) and text == text.strip())
)


@settings(max_examples=40, deadline=None)
@given(NAMES, st.lists(NAMES, max_size=3, unique=True), st.lists(NAMES, max_size=3))
def test_scaffolded_files_load_whatever_the_names(
    tmp_path_factory: pytest.TempPathFactory, name: str, boards: list[str], words: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("workspace")
    values = [BoardValues(board, "https://example.org/board", "html_table", "accuracy") for board in boards]
    registry = load_competitive(write(folder, "competitive_registry.yaml", competitive_registry(name, name, values)))
    assert registry.our_solution.current_scores == dict.fromkeys(boards)
    assert (registry.domain, [board.name for board in registry.target_leaderboards]) == (name, boards)
    research = load_research(write(folder, "research_config.yaml", research_config(words, words, ["papers"], [name])))
    assert research.research_sources.arxiv_queries == words == research.domain_keywords
    assert research.research_sources.venues == [name]


def test_every_section_of_the_scaffold_has_a_comment_for_people() -> None:
    boards = [BoardValues("Digits", "https://example.org", "html_table", "accuracy")]
    for text in (competitive_registry("vision", "ours", boards), research_config(["x"]), target(VALUES)):
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if line[:1].isalpha() and not line.startswith(("name:", "version:", "our_solution:", "full:")):
                assert "#" in line or lines[number - 1].startswith("#"), line


def test_a_value_that_cannot_stand_in_a_target_is_refused_by_the_scaffold() -> None:
    bad = TargetValues(**{**{name: getattr(VALUES, name) for name in VALUES.__slots__}, "name": "two words"})
    with pytest.raises(BadInput, match="two words"):
        target(bad)


def test_the_documents_research_config_loads(tmp_path: Path) -> None:
    text = """\
research_sources:
  arxiv_queries:
    - "memory augmented neural networks"
    - "long context transformers 2026"
  venues:
    - ICLR 2026
  competitor_blogs:
    - https://competitor-a.ai/research
  citation_tracking:
    - track papers that cite our core method
"""
    loaded = load_research(write(tmp_path, "research_config.yaml", text))
    assert loaded.research_sources.venues == ["ICLR 2026"]
    assert loaded.max_papers_per_cycle == 20
    bad = text.replace("https://", "gopher://") + "max_papers_per_cycle: 0\n"
    assert [line.split(" ")[0] for line in problems(write(tmp_path, "r.yaml", bad), load_research)] == [":8:", ":11:"]


@pytest.mark.parametrize("load", [load_target, load_competitive, load_research, load_hypothesis, load_queue])
def test_a_file_that_is_no_file_of_ours_is_refused(tmp_path: Path, load: object) -> None:
    assert "no such file" in problems(tmp_path / "gone.yaml", load)[0]
    assert "no regular file" in problems(tmp_path, load)[0]
    assert "empty document" in problems(write(tmp_path, "e.yaml", ""), load)[0]
    assert problems(write(tmp_path, "o.yaml", "other: 1\n"), load)

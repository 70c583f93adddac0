"""`agent ask|report|papers|season`: they only read, so they work beside a night and leave no trace but the index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_nights import Nights, a_night, hypothesis, make_workspace

from agent.ask import NO_RECORD
from agent.cli.main import main
from registry.locks import workspace_lock
from registry.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("read"))
    a_night(made).log.close()
    return made


def run(capsys: pytest.CaptureFixture[str], workspace: Workspace, *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--workspace", str(workspace.root)])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out + said.err


def test_ask_prints_the_answer(capsys: pytest.CaptureFixture[str], workspace: Workspace) -> None:
    status, text = run(capsys, workspace, "ask", "what", "is", "our", "rank?")
    assert status == 0
    assert text.startswith("Digits: rank #2")


def test_ask_says_exactly_that_there_is_no_record(capsys: pytest.CaptureFixture[str], workspace: Workspace) -> None:
    assert run(capsys, workspace, "ask", "who won the world cup?") == (1, NO_RECORD + "\n")


def test_ask_as_json_holds_question_kind_answer_and_events(
    capsys: pytest.CaptureFixture[str], workspace: Workspace
) -> None:
    found = json.loads(run(capsys, workspace, "ask", "why was H-001 promoted?", "--json")[1])
    assert set(found) == {"question", "kind", "answer", "events"}
    assert found["kind"] == "hypothesis"
    assert all(f"[event {number}]" in found["answer"] for number in found["events"])


def test_commands_that_read_change_nothing_and_need_no_lock(
    capsys: pytest.CaptureFixture[str], workspace: Workspace
) -> None:
    def files() -> dict[str, bytes]:
        return {
            str(path.relative_to(workspace.root)): path.read_bytes()
            for path in workspace.root.rglob("*")
            if path.is_file() and not path.name.startswith("index.sqlite") and path.name != "lock"
        }

    before = files()
    with workspace_lock(workspace.lock, "agent run"):
        for words in (
            ("ask", "what is next?"),
            ("report", "digest"),
            ("report", "technical"),
            ("papers", "list"),
            ("papers", "show", "shifted"),
            ("season", "show"),
            ("queue", "list"),
            ("queue", "show", "H-001"),
        ):
            assert run(capsys, workspace, *words)[0] == 0
    assert files() == before


def test_the_reports_are_printed_from_the_log(capsys: pytest.CaptureFixture[str], workspace: Workspace) -> None:
    assert run(capsys, workspace, "report", "digest")[1].startswith("# Benchmark Digest — Week of ")
    assert run(capsys, workspace, "report", "technical")[1].startswith("# Technical log\n")
    assert json.loads(run(capsys, workspace, "report", "digest", "--json")[1])["text"].startswith("# Benchmark")


def test_papers_are_found_by_key_by_its_beginning_and_by_words(
    capsys: pytest.CaptureFixture[str], workspace: Workspace
) -> None:
    rows = json.loads(run(capsys, workspace, "papers", "list", "--json")[1])
    assert [row["techniques"] for row in rows] == [["shifts"]]
    key = rows[0]["key"]
    shown = [run(capsys, workspace, "papers", "show", word) for word in (key, key[:10], "shifted")]
    assert shown[0][0] == 0
    assert shown[0] == shown[1] == shown[2]
    assert run(capsys, workspace, "papers", "show", "nowhere") == (1, NO_RECORD + "\n")


def test_the_season_is_shown_with_its_numbers_and_meaning(
    capsys: pytest.CaptureFixture[str], workspace: Workspace
) -> None:
    found = json.loads(run(capsys, workspace, "season", "show", "--json")[1])
    assert (found["planned"], found["started"], found["promotions"], found["bar"]) == (20, 3, 1, 200.0)
    assert found["first_look"] == 8
    text = run(capsys, workspace, "season", "show")[1]
    assert "It means: at most 5% of the promotions" in text


def test_a_workspace_without_a_season_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    empty = make_workspace(tmp_path)
    assert run(capsys, empty, "season", "show")[0] == 1
    assert run(capsys, empty, "ask", "why?")[0] == 1
    assert run(capsys, empty, "report", "digest")[0] == 0


def test_a_parked_candidate_is_shown_with_the_season(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = Nights(make_workspace(tmp_path))
    log.start_night()
    log.make_production("base", "production starts here")
    log.open_season()
    log.propose(hypothesis("H-001", "A wider layer", model__hidden=64))
    assert log.judge("H-001", log.start_test("H-001"), (0.02,)).reason == "zero_variance"
    log.log.close()
    found = json.loads(run(capsys, log.workspace, "season", "show", "--json")[1])
    assert (found["parked"], found["bar"], found["closed"]) == (["H-001"], 400.0, False)
    assert "H-001 was parked" in run(capsys, log.workspace, "ask", "why is H-001 parked?")[1]
    assert "1 hypothesis parked so far" in run(capsys, log.workspace, "ask", "what is parked?")[1]


def test_asking_loads_no_graph_and_no_numerical_library(workspace: Workspace) -> None:
    code = (
        "import sys\n"
        "from agent.cli.main import main\n"
        "try:\n"
        f"    main(['ask', 'why was H-001 promoted?', '--workspace', {str(workspace.root)!r}])\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        "heavy = {'langgraph', 'scipy', 'numpy', 'optuna', 'git', 'arxiv', 'pypdf', 'lxml', 'httpx'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_events_are_shown_as_one_json_document_and_none_is_said(
    capsys: pytest.CaptureFixture[str], workspace: Workspace
) -> None:
    shown = json.loads(run(capsys, workspace, "audit", "show", "--kind", "verdict", "--json")[1])
    assert {event["kind"] for event in shown} == {"verdict"}
    assert "[]" in (nothing := run(capsys, workspace, "audit", "show", "--kind", "verdicts", "--json")[1])
    assert "no event of kind verdicts is in the log" in nothing

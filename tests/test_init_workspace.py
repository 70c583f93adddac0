"""`agent init` on real repositories: what it writes, what it refuses, and that it touches nothing else."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from git_repositories import commit, git, make, picture
from scripted_solution import CONFIG, EVALUATE, FILES, agent, make_solution, solution_python

from registry import scaffold
from registry.audit import verify_chain
from registry.audit_events import read_events
from registry.documents import load_competitive, load_research, load_target
from registry.workspace import Workspace

__all__ = ["solution_python"]


@pytest.fixture
def solution(tmp_path: Path, solution_python: Path) -> Path:
    return make_solution(tmp_path / "tiny", solution_python)


def test_a_repository_with_usual_names_needs_no_flag(solution: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = agent(capsys, "init", str(solution))
    assert said.status == 0, said.err
    workspace = Workspace(solution.with_name("tiny-agent"))
    target = load_target(workspace.target)
    assert workspace.repository(target.solution.repository) == solution.resolve()
    assert target.solution.base == "main"
    assert target.solution.config == "configs/production.yaml"
    assert target.phases.train.command[:2] == ["python", "train.py"]
    assert target.phases.train.data == "data/train"
    assert target.phases.predict is not None
    assert target.phases.predict.inputs == {"dev": "data/dev/inputs", "test": "data/test/inputs"}
    assert target.phases.evaluate.labels == {"dev": "data/dev/labels", "test": "data/test/labels"}
    assert (target.metrics.primary.name, target.metrics.primary.higher_is_better) == ("accuracy", True)
    assert target.environment.python == ".venv/bin/python"
    assert target.solution.protected == ["evaluate.py", "data/**"]
    assert target.search_space["hidden"].values == [16, 32, 64]
    assert target.fast.overrides == {"train.epochs": 2}
    assert load_competitive(workspace.competitive_registry).target_leaderboards == []
    assert load_research(workspace.research_config).research_sources.arxiv_queries == []
    for verb in ("doctor", "run"):
        assert f"agent {verb} --workspace {workspace.root}" in said.out


def test_every_document_has_comments_for_people(solution: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent(capsys, "init", str(solution))
    for name in ("target.yaml", "competitive_registry.yaml", "research_config.yaml"):
        text = (solution.with_name("tiny-agent") / name).read_text()
        assert sum(line.lstrip().startswith("#") for line in text.splitlines()) >= 4, name


def test_the_log_starts_with_the_workspace(solution: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent(capsys, "init", str(solution))
    workspace = Workspace(solution.with_name("tiny-agent"))
    (event,) = read_events(workspace.audit)
    assert event.kind == "workspace_created"
    assert event.data["commit"] == git(solution, "rev-parse", "HEAD")
    assert set(event.data["documents"]) == {"target.yaml", "competitive_registry.yaml", "research_config.yaml"}
    assert verify_chain(workspace.audit).ok
    assert Workspace.find(solution).root == workspace.root
    assert all(workspace.state_folder(status).is_dir() for status in ("queued", "active", "promoted", "archived"))


def test_the_checkout_stays_byte_for_byte(solution: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (solution / "train.py").write_text("staged")
    git(solution, "add", "train.py")
    (solution / "notes.txt").write_text("mine")
    before = picture(solution)
    assert agent(capsys, "init", str(solution)).status == 0
    assert picture(solution) == before


def test_what_is_missing_is_told_all_at_once_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make(tmp_path / "bare", {"README.md": "nothing here"})
    said = agent(capsys, "init", str(root))
    assert said.status == 2
    flags = ["--train", "--evaluate", "--config", "--labels-dev", "--labels-test", "--metric", "--python"]
    assert [flag for flag in flags if f"say it with {flag})" not in said.err] == []
    assert [path.name for path in tmp_path.iterdir()] == ["bare"]


def test_flags_stand_in_for_what_cannot_be_found(
    tmp_path: Path, solution_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = {
        "fit_it.txt": "",
        "go/learn.py": "",
        "go/judge.py": "",
        "knobs/all.toml": "[a]\nwidth = 8\n",
        "gold/d/x": "1",
    }
    root = make(tmp_path / "odd", odd)
    said = agent(
        capsys,
        *("init", str(root), "--workspace", str(tmp_path / "deep" / "place"), "--python", str(solution_python)),
        *("--train", "python go/learn.py --cfg {config} --to {out}", "--config", "knobs/all.toml"),
        *("--evaluate", "python go/judge.py {predictions} {labels} {out}", "--metric", "pass@k", "--lower-is-better"),
        *("--labels-dev", "gold/d", "--labels-test", "gold/d/", "--name", "odd-one", "--domain", "code"),
        *("--board", "Odd: Board", "--url", "https://example.org/b.csv", "--scrape-method", "csv"),
    )
    assert said.status == 0, said.err
    workspace = Workspace(tmp_path / "deep" / "place")
    target = load_target(workspace.target)
    assert target.phases.train.command == ["python", "go/learn.py", "--cfg", "{config}", "--to", "{out}"]
    assert target.phases.predict is None
    assert target.metrics.primary.model_dump() == {
        "name": "pass@k",
        "higher_is_better": False,
        "leaderboard": "Odd: Board",
        "plausible_best": None,
    }
    assert target.search_space["width"].path == "a.width"
    assert workspace.repository(target.solution.repository) == root.resolve()
    (board,) = load_competitive(workspace.competitive_registry).target_leaderboards
    assert (board.name, board.scrape_method, board.higher_is_better) == ("Odd: Board", "csv", False)
    assert load_research(workspace.research_config).domain_keywords == ["code", "Odd: Board"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--train", "python train.py --out {output}"), "{output}"),
        (("--train", "python train.py"), "without {out}"),
        (("--train", "python 'train.py --out {out}"), "quotes"),
        (("--train", "python gone.py --out {out}"), "gone.py"),
        (("--config", "gone.yaml"), "gone.yaml"),
        (("--labels-dev", "data/none"), "data/none"),
        (("--python", "gone/bin/python"), "gone/bin/python"),
        (("--board", "B"), "--url"),
        (("--url", "https://example.org"), "--board"),
        (("--board", "B", "--url", "ftp://example.org"), "a web address"),
        (("--base", "nowhere"), "nowhere"),
        (("--name", "no spaces please"), "no spaces please"),
    ],
)
def test_a_flag_that_does_not_fit_is_refused_and_nothing_is_written(
    flags: tuple[str, ...], told: str, solution: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = agent(capsys, "init", str(solution), *flags)
    assert said.status == 2
    assert told in said.err
    assert [path.name for path in solution.parent.iterdir()] == ["tiny"]


def test_a_workspace_is_never_overwritten(solution: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agent(capsys, "init", str(solution)).status == 0
    place = solution.with_name("tiny-agent")
    (place / "target.yaml").write_text("mine now")
    before = picture(place)
    said = agent(capsys, "init", str(solution))
    assert (said.status, "found a workspace" in said.err) == (2, True)
    assert picture(place) == before


def test_a_folder_with_files_is_refused_and_an_empty_one_is_used(
    solution: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "full"
    place.mkdir()
    (place / "thesis.txt").write_text("precious")
    said = agent(capsys, "init", str(solution), "--workspace", str(place))
    assert (said.status, "thesis.txt" in said.err) == (2, True)
    assert [path.name for path in place.iterdir()] == ["thesis.txt"]
    (place / "thesis.txt").unlink()
    inode = place.stat().st_ino
    assert agent(capsys, "init", str(solution), "--workspace", str(place)).status == 0
    assert place.stat().st_ino == inode
    assert load_target(place / "target.yaml").name == "tiny"


@pytest.mark.parametrize("place", ["tiny", "tiny/agent", "tiny/.git/agent", "."])
def test_a_workspace_in_or_around_the_checkout_is_refused(
    place: str, solution: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = picture(solution)
    assert agent(capsys, "init", str(solution), "--workspace", str(solution.parent / place)).status == 2
    assert picture(solution) == before


def _without_commit(root: Path) -> None:
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")


def _detached(root: Path) -> None:
    make(root)
    git(root, "checkout", "--quiet", "--detach")


def _bare(root: Path) -> None:
    root.mkdir()
    git(root, "init", "--quiet", "--bare")


def _with_submodule(root: Path) -> None:
    make(root)
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{git(root, 'rev-parse', 'HEAD')},vendor/thing")
    git(root, "commit", "--quiet", "--message", "submodule")


def _with_lfs(root: Path) -> None:
    make(root)
    commit(root, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (_without_commit, "no commit"),
        (_detached, "a detached HEAD"),
        (_bare, "a bare repository"),
        (_with_submodule, "a submodule"),
        (_with_lfs, "Git LFS"),
        (Path.mkdir, "no git repository"),
        (lambda root: None, "no such folder"),
    ],
)
def test_a_repository_that_cannot_be_worked_on_is_refused(
    prepare: object, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "repo"
    assert callable(prepare)
    prepare(root)
    said = agent(capsys, "init", str(root))
    assert said.status == 2
    assert told in said.err
    assert not root.with_name("repo-agent").exists()


def test_without_an_argument_the_repository_around_is_meant(
    solution: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(solution / "data" / "dev")
    assert agent(capsys, "init").status == 0
    assert (solution.parent / "tiny-agent" / "target.yaml").is_file()


def test_a_place_with_spaces_and_json_for_programs(
    tmp_path: Path, solution_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_solution(tmp_path / "my work" / "it's tiny", solution_python)
    said = agent(capsys, "init", str(root), "--json")
    assert said.status == 0, said.err
    place = Path(json.loads(said.out)["workspace"])
    assert place == tmp_path / "my work" / "it's tiny-agent"
    target = load_target(place / "target.yaml")
    assert (place / target.solution.repository).resolve() == root.resolve()
    assert target.name == "it-s-tiny"


def test_the_programs_own_interpreter_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if sys.prefix == sys.base_prefix:
        pytest.skip("this Python runs in no virtual environment, so none is its own")
    root = make_solution(tmp_path / "tiny", Path(sys.prefix, "bin", "python"))
    said = agent(capsys, "init", str(root))
    assert said.status == 2
    assert "the environment that this program itself runs in" in said.err


def test_uncommitted_scripts_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "tiny", {name: text for name, text in FILES.items() if name != "train.py"})
    (root / "train.py").write_text(FILES["train.py"])
    said = agent(capsys, "init", str(root))
    assert (said.status, "train.py is in the checkout and in no commit" in said.err) == (2, True)


def test_untracked_data_is_found_in_the_checkout(
    tmp_path: Path, solution_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = {name: text for name, text in FILES.items() if not name.startswith("data/")}
    root = make(tmp_path / "tiny", code | {".gitignore": "data/\n"})
    for name, text in FILES.items():
        if name.startswith("data/"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    assert agent(capsys, "init", str(root), "--python", str(solution_python)).status == 0
    assert load_target(tmp_path / "tiny-agent" / "target.yaml").phases.train.data == "data/train"


def on_terminal(answers: Sequence[tuple[str, str]], *words: str) -> int:
    """`agent init` on a terminal: each answer is typed once its text stands before a prompt."""
    outer, inner = pty.openpty()
    program = "import sys; from agent.cli.main import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "init", *words],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env={**os.environ, "PYTHONPATH": str(Path(scaffold.__file__).resolve().parent.parent), "TERM": "dumb"},
    )
    os.close(inner)
    waiting = iter(answers)
    seen, wanted = "", next(waiting, None)
    try:
        while True:
            try:
                ready, _, _ = select.select([outer], [], [], 20)
                piece = os.read(outer, 4096).decode(errors="replace") if ready else ""
            except OSError:
                break
            if not piece:
                break
            seen += piece
            if wanted is not None and wanted[0] in seen and seen.rstrip(" ").endswith((":", "]:")):
                os.write(outer, f"{wanted[1]}\n".encode())
                wanted, seen = next(waiting, None), ""
    finally:
        os.close(outer)
        status = process.wait(timeout=20)
    assert wanted is None, f"never asked for {wanted}: {seen}"
    return status


def test_a_terminal_is_asked_for_what_is_missing(tmp_path: Path, solution_python: Path) -> None:
    odd = EVALUATE.replace('"accuracy"', '"goodness"')
    root = make(tmp_path / "tiny", FILES | {"evaluate.py": odd, "configs/production.yaml": CONFIG})
    answers = [
        ("primary metric", "goodness"),
        ("higher goodness", "yes"),
        ("interpreter", "gone/python"),
        ("expected the interpreter", str(solution_python)),
        ("Make the workspace", "y"),
    ]
    assert on_terminal(answers, str(root)) == 0
    target = load_target(tmp_path / "tiny-agent" / "target.yaml")
    assert (target.metrics.primary.name, target.metrics.primary.higher_is_better) == ("goodness", True)
    assert target.environment.python == str(solution_python)


def test_settings_and_a_board_are_named_on_a_terminal(tmp_path: Path, solution_python: Path) -> None:
    files = {name: text for name, text in FILES.items() if not name.startswith("configs/")}
    broken = {"odd/place.yaml": CONFIG, "odd/broken.yaml": "a: [1,\n"}
    root = make(tmp_path / "tiny", files | broken)
    answers = [
        ("every tunable setting", "odd/none.yaml"),
        ("which is not in commit", "odd/broken.yaml"),
        ("  found", "odd/place.yaml"),
        ("address of Digits", "board.csv"),
        ("expected a web address", "https://example.org/digits"),
        ("Make the workspace", "y"),
    ]
    assert on_terminal(answers, str(root), "--board", "Digits", "--python", str(solution_python)) == 0
    workspace = Workspace(tmp_path / "tiny-agent")
    target = load_target(workspace.target)
    assert target.solution.config == "odd/place.yaml"
    assert target.search_space["hidden"].path == "model.hidden"
    (board,) = load_competitive(workspace.competitive_registry).target_leaderboards
    assert board.url == "https://example.org/digits"


def test_a_launcher_as_interpreter_is_refused_with_what_to_give_instead(
    solution: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shim = tmp_path / "shims" / "python"
    shim.parent.mkdir()
    shim.write_text('#!/bin/sh\nexec pyenv exec python "$@"\n')
    shim.chmod(0o755)
    said = agent(capsys, "init", str(solution), "--python", str(shim))
    assert said.status == 2
    assert "a script (a launcher or a shim)" in said.err
    assert "`pyenv which python` names it" in said.err


def test_the_name_of_a_folder_with_accents_keeps_its_letters(
    solution: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = solution.rename(solution.with_name("Dépôt à œuvre"))
    assert agent(capsys, "init", str(named), "--yes").status == 0
    assert load_target(named.with_name("Dépôt à œuvre-agent") / "target.yaml").name == "Depot-a-uvre"


def test_a_solution_in_c_needs_no_interpreter_and_its_sources_are_editable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {f"data/{split}/labels/labels.txt": "1\n" for split in ("dev", "test")}
    files = {
        "src/main.c": "int main(void) { return 0; }\n",
        "score.sh": "exit 0\n",
        "config.yaml": "model: {width: 3}\n",
    }
    make(tmp_path / "compiled", files | labels)
    words = ["init", str(tmp_path / "compiled"), "--yes", "--metric", "accuracy", "--higher-is-better"]
    words += ["--evaluate", "sh score.sh {predictions} {labels} {out}", "--train", "{build}/solution {config} {out}"]
    said = agent(capsys, *words)
    assert said.status != 0
    assert "--build" in said.err
    bare = agent(capsys, "init", str(tmp_path / "compiled"), "--yes")
    assert "such as: {build}/solution train --config" in bare.err
    assert "what --build makes is in {build}" in bare.err
    assert "interpreter" not in bare.err
    said = agent(capsys, *words, "--build", "cc -o {out}/solution src/main.c")
    assert said.status == 0, said.err
    assert "note: sh: such programs start others" in said.out
    target = load_target(tmp_path / "compiled-agent" / "target.yaml")
    assert target.phases.build is not None
    assert target.phases.build.command[0] == "cc"
    assert target.environment.python is None
    assert target.environment.programs == ["cc", "sh"]
    assert "src/**" in target.solution.editable
    assert "score.sh" in target.solution.protected

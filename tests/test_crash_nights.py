"""A night that is killed, stopped, crowded, out of room or confused about the time decides what it would have decided.

Real processes, real signals, the real sandbox; the target's values follow from its seeds.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import night_processes as nights
import pytest
import tiny_target
from tiny_target import TinyTarget

from sandbox.backends import choose
from sandbox.contract import SandboxUnavailable

KILLS = (
    ("production_at", 1),
    ("test_look", 1),
    ("standing", 1),
    ("hypotheses_proposed", 1),
    ("patch_committed", 1),
    ("verdict", 1),
    ("run_finished", 30),
    ("verdict", 2),
    ("promoted", 1),
    ("results_written", 3),
)
"""Every kind of effect of the loop at least once, in the order in which a night of this target has them."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        choose(tmp_path_factory.mktemp("state"))
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    return tiny_target.make_environment(tmp_path_factory.mktemp("environment") / "python")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> list[nights.Event]:
    """The log of a night that nobody disturbed."""
    target = tiny_target.make(tmp_path_factory.mktemp("calm") / "a", environment=environment)
    done = nights.agent(target.workspace, "run")
    assert done.returncode == 0, done.stderr
    log = nights.events(target.workspace)
    outcomes = [event["data"]["outcome"] for event in log if event["kind"] == "verdict"]
    assert {"promote", "archive"} <= set(outcomes)
    assert nights.leftovers(target, []) == []
    return log


@pytest.fixture
def target(tmp_path: Path, environment: Path) -> TinyTarget:
    return tiny_target.make(tmp_path / "with a space", environment=environment)


def assert_whole(target: TinyTarget, groups: list[str]) -> None:
    """The log verifies, nothing was paid twice, and nothing stands about."""
    checked = nights.agent(target.workspace, "audit", "verify")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert nights.paid_twice(nights.events(target.workspace)) == []
    assert nights.leftovers(target, groups) == []


def test_a_night_killed_at_every_kind_of_event_decides_what_a_calm_one_does(
    target: TinyTarget, calm: list[nights.Event]
) -> None:
    groups = [group for kind, count in KILLS for group in nights.killed_at(target, kind, count)]
    done = nights.agent(target.workspace, "run")
    assert done.returncode == 0, done.stderr
    log = nights.events(target.workspace)
    assert nights.decisions(log) == nights.decisions(calm)
    runs = [sum(event["kind"] == "run_finished" for event in each) for each in (log, calm)]
    assert runs[0] == runs[1]
    assert_whole(target, groups)


DIES_STORING = """
import os
from langgraph.checkpoint.sqlite import SqliteSaver
put, calls = SqliteSaver.put, [0]
def dying(*given):
    calls[0] += 1
    return os._exit(137) if calls[0] == 8 else put(*given)
SqliteSaver.put = dying
"""
"""Dies between a node's answer and the checkpoint that has it, at the eighth checkpoint of every process."""


def test_a_night_killed_between_an_answer_and_its_checkpoint_goes_on_in_the_same_place(
    target: TinyTarget, calm: list[nights.Event]
) -> None:
    ended = [nights.agent(target.workspace, "run", program=DIES_STORING + nights.PROGRAM).returncode]
    while ended[-1] == 137 and len(ended) < 60:
        ended.append(nights.agent(target.workspace, "run", program=DIES_STORING + nights.PROGRAM).returncode)
    assert ended[-1] == 0
    assert len(ended) > 5
    assert nights.decisions(nights.events(target.workspace)) == nights.decisions(calm)
    assert_whole(target, [])


def test_ctrl_c_ends_within_seconds_and_says_how_to_go_on(tmp_path: Path, environment: Path) -> None:
    slow = tiny_target.make(tmp_path / "slow", environment=environment, sleep=30.0)
    with nights.started(slow.workspace, "run") as process:
        assert nights.wait_for(slow.workspace, process, "run_started")
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert time.monotonic() - pressed < 5
    assert process.returncode == 130
    assert f"Go on with: agent run --workspace {slow.workspace.root}" in out
    assert err == ""
    assert "Traceback" not in out
    assert nights.leftovers(slow, []) == []


def test_ctrl_c_with_json_prints_one_document_with_the_way_on(tmp_path: Path, environment: Path) -> None:
    slow = tiny_target.make(tmp_path / "slow", environment=environment, sleep=30.0)
    with nights.started(slow.workspace, "run", "--json") as process:
        assert nights.wait_for(slow.workspace, process, "run_started")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    document = json.loads(out)
    assert document["interrupted"] is True
    assert document["night"] == "N-0001"
    assert document["go_on"] == f"agent run --workspace {slow.workspace.root}"


def test_ctrl_c_does_not_wait_for_a_board_that_does_not_answer(target: TinyTarget, calm: list[nights.Event]) -> None:
    registry = target.workspace.competitive_registry
    known = registry.read_text()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/board.json"
        registry.write_text(known.replace("board.json", address).replace("manual", "api"))
        with nights.started(target.workspace, "run") as process:
            asked, _ = silent.accept()
            pressed = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=40)
        asked.close()
    assert time.monotonic() - pressed < 5
    assert (process.returncode, err) == (130, "")
    assert f"Stopped at a safe point. Go on with: agent run --workspace '{target.workspace.root}'" in out
    registry.write_text(known)
    assert nights.agent(target.workspace, "run").returncode == 0
    assert nights.decisions(nights.events(target.workspace)) == nights.decisions(calm)
    assert_whole(target, [])


def test_a_second_run_is_refused_with_the_first_ones_pid(tmp_path: Path, environment: Path) -> None:
    slow = tiny_target.make(tmp_path / "slow", environment=environment, sleep=30.0)
    with nights.started(slow.workspace, "run") as process:
        assert nights.wait_for(slow.workspace, process, "run_started")
        refused = nights.agent(slow.workspace, "run")
        assert process.poll() is None
    assert refused.returncode == 2
    assert f"process {process.pid} (agent run)" in refused.stderr


def test_a_cycle_of_another_graph_is_abandoned_and_its_hypothesis_goes_on(
    target: TinyTarget, calm: list[nights.Event]
) -> None:
    verdict = next(line for line in nights.decisions(calm) if line[0] == "verdict")
    older = "from agent import graph; next(c for c in graph.CHOICES if c[0] == 'patch')[2].append('report'); "
    groups = nights.killed_at(target, "look", 2, program=older + nights.PROGRAM)
    done = nights.agent(target.workspace, "run", "--cycles", "1")
    assert done.returncode == 0, done.stderr
    log = nights.events(target.workspace)
    abandoned = [event for event in log if event["kind"] == "cycle_abandoned"]
    assert [event["data"]["cycle"] for event in abandoned] == [1]
    assert [event["data"]["cycle"] for event in log if event["kind"] == "cycle_finished"] == [2]
    assert sum(event["kind"] == "hypothesis_started" for event in log) == 1
    assert [line for line in nights.decisions(log) if line[0] == "verdict"] == [verdict]
    assert_whole(target, groups)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk can only be mounted by root, where mounts are allowed")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_stops_the_night_with_a_sentence_and_room_lets_it_go_on(
    small_disk: Path, environment: Path, calm: list[nights.Event]
) -> None:
    target = tiny_target.make(small_disk / "night", environment=environment)
    filler = small_disk / "filler"
    with nights.started(target.workspace, "run") as process:
        assert nights.wait_for(target.workspace, process, "hypothesis_started")
        with filler.open("wb", buffering=0) as stream:
            for size in (1 << 20, 1 << 12):
                while True:
                    try:
                        if stream.write(bytes(size)) < size:
                            break
                    except OSError:
                        break
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out + err
    assert "Traceback" not in out + err
    assert "room" in err or "No space" in err
    filler.unlink()
    done = nights.agent(target.workspace, "run", "--cycles", "1")
    assert done.returncode == 0, done.stderr
    assert nights.begins_as(nights.events(target.workspace), calm)
    assert_whole(target, [])


class SetBack:
    """A clock that somebody sets back by a day while the night runs."""

    def __init__(self, after: int) -> None:
        self.calls = 0
        self.after = after

    def __call__(self) -> datetime:
        self.calls += 1
        return datetime.now(UTC) - timedelta(days=1 if self.calls > self.after else 0)


def test_a_clock_that_is_set_back_changes_no_decision(target: TinyTarget, calm: list[nights.Event]) -> None:
    from agent import night
    from agent.progress import Silent
    from agent.wiring import open_services

    workspace = target.workspace
    registry = workspace.competitive_registry
    registry.write_text(registry.read_text() + '  leaderboard_scrape: "0 6 * * *"\n  experiment_sweep: "0 8 * * *"\n')
    clock = SetBack(after=120)
    with open_services(workspace, Silent(), "agent run", clock) as services:
        result = night.run(services, night.Goal(cycles=2))
    log = nights.events(workspace)
    times = [event["time"] for event in log]
    assert clock.calls > clock.after
    assert times != sorted(times)
    assert not result.failed
    assert nights.begins_as(log, calm)
    assert_whole(target, [])

"""What every backend owes its callers, whatever it is made of."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_backends import BACKENDS, ISOLATION, LIMITS, make

from registry.errors import BadInput
from sandbox import processes
from sandbox.backends import choose
from sandbox.contract import Limits, Mount, Outcome, RunSpec, Sandbox, SandboxUnavailable
from sandbox.outputs import read_output

PYTHON = Path(sys.executable)


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return make(request.param, tmp_path_factory.mktemp("the state"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "an out folder"
    folder.mkdir()
    return folder


def run(sandbox: Sandbox, spec: RunSpec) -> Outcome:
    return sandbox.run(spec, threading.Event())


def python_spec(out: Path, source: str, *arguments: str) -> RunSpec:
    return RunSpec("r1", ("python", "-c", source, *arguments), out, LIMITS, python=PYTHON)


def test_a_run_reports_its_status_output_and_files(sandbox: Sandbox, out: Path, tmp_path: Path) -> None:
    source = "import os; os.mkdir('sub'); open('sub/a.txt', 'w').write('abc'); print('said'); raise SystemExit(3)"
    log = tmp_path / "run.log"
    outcome = run(sandbox, replace(python_spec(out, source), log=log))
    assert (outcome.reason, outcome.status) == ("exit", 3)
    assert outcome.tail == log.read_text() == "said\n"
    assert outcome.output_bytes == 5
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert [(file.path, file.bytes, file.sha256) for file in outcome.manifest] == [("sub/a.txt", 3, digest)]
    assert read_output(out, "sub/a.txt", 3) == b"abc"
    assert (outcome.backend, outcome.isolation) == (sandbox.name, ISOLATION[sandbox.name])
    assert 0 < outcome.wall_s < 20
    assert 0 < outcome.cpu_s < 20
    assert 1 << 20 < outcome.peak_memory_bytes < LIMITS.memory_bytes


def test_time_and_memory_of_the_whole_tree_are_counted(sandbox: Sandbox, out: Path) -> None:
    source = """
import os, time
block = bytearray(64 << 20)
if os.fork() == 0:
    while time.process_time() < 0.4: pass
    os._exit(0)
os.wait()
"""
    outcome = run(sandbox, python_spec(out, source))
    assert 0.4 <= outcome.cpu_s < 5
    assert 64 << 20 < outcome.peak_memory_bytes < 128 << 20


def test_the_most_that_was_used_at_once_is_reported(sandbox: Sandbox, out: Path) -> None:
    source = """
import os, time
for name in 'abc': open(name, 'wb').write(bytes(2 << 20))
for _ in range(3):
    if os.fork() == 0: time.sleep(9)
time.sleep(0.5)
"""
    outcome = run(sandbox, python_spec(out, source))
    assert 6 << 20 <= outcome.peak_disk_bytes < 7 << 20
    assert outcome.peak_files in (3, 4)  # a folder more where the interpreter's own path leads through /work
    assert outcome.peak_processes in (4, 5)  # in a container the one that keeps its time is counted


def test_a_run_of_a_moment_is_counted_too(sandbox: Sandbox, out: Path) -> None:
    outcome = run(sandbox, python_spec(out, "block = bytearray(40 << 20); import os; os._exit(0)"))
    assert outcome.peak_memory_bytes > 40 << 20


def test_the_user_inside_has_a_name(sandbox: Sandbox, out: Path) -> None:
    outcome = run(sandbox, python_spec(out, "import getpass, os; print(getpass.getuser(), os.path.expanduser('~'))"))
    assert outcome.tail == "sandbox /tmp\n"


def test_the_environment_inside_is_exactly_what_was_given(
    sandbox: Sandbox, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_HOST", "secret")
    source = "import json, os; print(json.dumps(dict(os.environ)))"
    spec = replace(python_spec(out, source), environment={"SEED": "7", "ODD": "a b\n'\"$x = y"})
    found = json.loads(run(sandbox, spec).tail)
    found.pop("LC_CTYPE", None)  # set by Python itself in some locales
    path = f"{PYTHON.parent}:/usr/local/bin:/usr/bin:/bin"
    assert found == {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8", "SEED": "7", "ODD": "a b\n'\"$x = y"}


def test_code_and_mounts_are_readable_and_read_only(sandbox: Sandbox, out: Path, tmp_path: Path) -> None:
    code, data = tmp_path / "the code", tmp_path / "the data"
    for folder in (code, data):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "file").write_text(folder.name)
        folder.chmod(0o700)
    source = """
import os
print(open('/code/sub/file').read(), open('/data/x/sub/file').read(), open('/two/three/one').read(), os.getcwd())
for place in ('/code/sub/file', '/code/new', '/data/x/sub/file', '/two/three/one'):
    try: open(place, 'w')
    except OSError: continue
    print('wrote', place)
"""
    mounts = (Mount(data, "/data/x"), Mount(data / "sub" / "file", "/two/three/one"))
    outcome = run(sandbox, replace(python_spec(out, source), code=code, mounts=mounts))
    assert outcome.tail == "the code the data the data /work\n", outcome


def test_the_candidates_python_is_the_one_that_was_given(sandbox: Sandbox, out: Path) -> None:
    source = "import sys, json, pydantic; print(json.dumps([sys.prefix, sys.base_prefix, sys.executable]))"
    outcome = run(sandbox, python_spec(out, source))
    assert json.loads(outcome.tail) == [sys.prefix, sys.base_prefix, sys.executable]
    assert list(out.iterdir()) == []


def test_a_virtual_environment_with_a_space_in_its_path_works(sandbox: Sandbox, out: Path, tmp_path: Path) -> None:
    environment = tmp_path / "my env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    spec = replace(python_spec(out, "import sys; print(sys.prefix)"), python=environment / "bin" / "python")
    assert run(sandbox, spec).tail == f"{environment}\n"


def test_a_repository_that_is_its_own_environment_is_not_shown(sandbox: Sandbox, out: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "repo"], check=True)
    (tmp_path / "repo" / "labels.txt").write_text("the answers")
    source = "import os, sys; print(sorted(os.listdir(sys.prefix)))"
    outcome = run(sandbox, replace(python_spec(out, source), python=tmp_path / "repo" / "bin" / "python"))
    assert "pyvenv.cfg" in outcome.tail
    assert "labels" not in outcome.tail


def test_what_training_programs_do_all_day_works(sandbox: Sandbox, out: Path) -> None:
    source = """
import multiprocessing, os, pty, socket, sys, tempfile, threading
from multiprocessing import shared_memory
os.mkdir('a'); os.mkdir('b')
open('a/weights', 'w').write('w' * 9)
os.replace('a/weights', 'b/weights'); os.link('b/weights', 'a/again'); os.truncate('a/again', 4)
open('b/weights', 'w').write('short'); os.symlink('b', 'c'); os.rmdir(tempfile.mkdtemp(dir='.'))
with tempfile.TemporaryDirectory() as folder: os.replace(tempfile.mkdtemp(), folder + '/moved')
with socket.create_server(('127.0.0.1', 0)) as server:
    socket.create_connection(server.getsockname()).close()
with socket.socket(socket.AF_UNIX) as server:
    server.bind(chr(0) + 'own'); server.listen()
    with socket.socket(socket.AF_UNIX) as client: client.connect(chr(0) + 'own')
if __name__ == '__main__':
    block = shared_memory.SharedMemory(create=True, size=1 << 20); block.close(); block.unlink()
    with multiprocessing.get_context('fork').Pool(2) as pool: print(sum(pool.map(abs, range(5))))
    os.close(pty.openpty()[0]); open('/dev/null', 'w').write('x')
    child = multiprocessing.get_context('fork').Process(target=threading.Event().wait); child.start()
    child.kill(); child.join(); print(child.exitcode)
"""
    outcome = run(sandbox, python_spec(out, source))
    assert (outcome.status, outcome.tail) == (0, "10\n-9\n"), outcome


def test_a_command_that_does_not_exist_is_the_candidates_failure(sandbox: Sandbox, out: Path) -> None:
    outcome = run(sandbox, RunSpec("r1", ("no-such-program",), out, LIMITS))
    assert (outcome.reason, outcome.status) == ("exit", 127)
    assert "no-such-program" in outcome.tail


def test_a_command_killed_by_a_signal_has_a_shells_status(sandbox: Sandbox, out: Path) -> None:
    outcome = run(sandbox, RunSpec("r1", ("sh", "-c", "kill -SEGV $$"), out, LIMITS))
    assert (outcome.reason, outcome.status) == ("exit", 128 + 11)


def test_equal_specifications_have_equal_flags_and_other_limits_have_others(
    sandbox: Sandbox, out: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    spec = RunSpec("r1", ("true",), out, LIMITS, environment={"A": "1"})
    first, second = run(sandbox, spec), run(sandbox, replace(spec, out=other, run_id="r2"))
    third = run(sandbox, replace(spec, limits=replace(LIMITS, processes=99)))
    assert first.flags_sha256 == second.flags_sha256 != third.flags_sha256


def test_what_one_run_left_the_next_can_read(sandbox: Sandbox, out: Path, tmp_path: Path) -> None:
    source = "import os; os.umask(0o77); os.mkdir('m'); open('m/weights', 'w').write('w'); os.chmod('m', 0)"
    run(sandbox, python_spec(out, source))
    after = tmp_path / "after"
    after.mkdir()
    holder, go = threading.Event(), RunSpec("r0", ("sleep", "3"), tmp_path / "held", LIMITS)
    go.out.mkdir()
    with ThreadPoolExecutor(1) as pool:  # takes the first user id, so that the reader has another one
        held = pool.submit(sandbox.run, go, holder)
        time.sleep(0.3)
        reader = replace(python_spec(after, "print(open('/model/m/weights').read())"), mounts=(Mount(out, "/model"),))
        outcome = run(sandbox, reader)
        holder.set()
        assert held.result().reason == "cancelled"
    assert outcome.tail == "w\n", outcome
    state = (out / "m" / "weights").stat()
    assert (state.st_uid, stat.S_IMODE(state.st_mode)) == (os.geteuid(), 0o644)


def test_a_used_output_folder_can_be_written_again(sandbox: Sandbox, out: Path) -> None:
    run(sandbox, python_spec(out, "open('a', 'w').write('1')"))
    outcome = run(sandbox, python_spec(out, "open('a', 'a').write('2')"))
    assert outcome.status == 0, outcome.tail
    assert read_output(out, "a", 9) == b"12"


def test_several_threads_run_at_once_and_keep_apart(sandbox: Sandbox, tmp_path: Path) -> None:
    def one(number: int) -> Outcome:
        out = tmp_path / f"out{number}"
        out.mkdir()
        return run(sandbox, RunSpec(f"r{number}", ("sh", "-c", f"sleep 0.5; echo {number} | tee mine"), out, LIMITS))

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(one, range(4)))
    assert [outcome.tail for outcome in outcomes] == [f"{number}\n" for number in range(4)]
    assert [(tmp_path / f"out{number}" / "mine").read_text() for number in range(4)] == [f"{n}\n" for n in range(4)]
    assert time.monotonic() - began < 1.9


def test_the_tail_is_a_strangers_text_made_plain(sandbox: Sandbox, out: Path) -> None:
    outcome = run(sandbox, python_spec(out, r"print('\x1b[31mred\x1b]0;title\x07 \u202eabc\x00')"))
    assert outcome.tail == "red abc\n"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"argv": ()}, "argv"),
        ({"argv": ("a\0b",)}, "argv"),
        ({"out": Path("/no/such/folder")}, "out"),
        ({"code": Path("/no/such/folder")}, "code"),
        ({"mounts": (Mount(Path("/no/such"), "/data"),)}, "mounts[0].host"),
        ({"mounts": (Mount(Path("/usr"), "data"),)}, "mounts[0].inside"),
        ({"mounts": (Mount(Path("/usr"), "/data/../etc"),)}, "mounts[0].inside"),
        ({"mounts": (Mount(Path("/usr"), "/proc/sys"),)}, "mounts[0].inside"),
        ({"mounts": (Mount(Path("/usr"), "/work/x"),)}, "mounts[0].inside"),
        ({"mounts": (Mount(Path("/usr"), "/d"), Mount(Path("/usr"), "/d"))}, "mounts[1].inside"),
        ({"mounts": (Mount(Path("/usr"), "/d/e"), Mount(Path("/usr"), "/d"))}, "mounts[1].inside"),
        ({"environment": {"A=B": "1"}}, "environment"),
        ({"environment": {"A": "\0"}}, "environment.A"),
        ({"limits": Limits(wall_s=float("inf"))}, "limits.wall_s"),
        ({"limits": Limits(wall_s=1, memory_bytes=0)}, "limits.memory_bytes"),
        ({"limits": Limits(wall_s=1, cpu_s=float("nan"))}, "limits.cpu_s"),
        ({"gpus": (0, 0)}, "gpus"),
    ],
)
def test_a_specification_that_makes_no_sense_is_refused_with_its_place(
    sandbox: Sandbox, out: Path, change: dict[str, object], place: str
) -> None:
    spec = replace(RunSpec("r1", ("true",), out, LIMITS), **change)  # type: ignore[arg-type]
    with pytest.raises(BadInput) as caught:
        run(sandbox, spec)
    assert place in [problem.place for problem in caught.value.problems]


def test_doctor_answers_soon_with_a_reason_for_everything(sandbox: Sandbox) -> None:
    began = time.monotonic()
    capabilities = sandbox.doctor()
    assert time.monotonic() - began < 2
    levels = {item.name: item.level for item in capabilities.items}
    contained = ("network", "environment", "filesystem", "pid namespace", "system calls")
    assert [levels[name] for name in contained] == ["yes"] * 5
    assert levels["memory"] in ("cgroup", "watchdog")
    assert levels["disk"] in ("hard", "soft")
    assert set(levels) - {"Landlock"} == {*contained, "memory", "disk", "GPU"}
    assert (capabilities.backend, capabilities.isolation) == (sandbox.name, ISOLATION[sandbox.name])
    assert all(item.why for item in capabilities.items)


def test_choose_gives_a_backend_that_runs(sandbox: Sandbox, out: Path, tmp_path: Path) -> None:
    chosen = choose(tmp_path / "state")
    assert run(chosen, RunSpec("r1", ("true",), out, LIMITS)).status == 0


def test_without_a_backend_choose_says_what_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="apt-get install bubblewrap"):
        choose(tmp_path / "state")


def test_a_bwrap_that_is_refused_by_the_kernel_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "#!/bin/sh\ncase $1 in --help) echo --perms --json-status-fd --size;; --version) echo bubblewrap 0.8.0;;\n"
    script += "*) echo 'bwrap: No permissions to create new namespace' >&2; exit 1;; esac\n"
    (tmp_path / "bwrap").write_text(script)
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxUnavailable, match="No permissions to create new namespace"):
        choose(tmp_path / "state")


@pytest.mark.skipif(os.geteuid() != 0, reason="only under root do candidates have a user id of their own")
def test_code_that_the_candidates_user_could_not_read_is_refused_with_the_remedy(
    sandbox: Sandbox, out: Path, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text("x")
    (code / "train.py").chmod(0o600)
    with pytest.raises(BadInput, match="chmod -R go"):
        run(sandbox, RunSpec("r1", ("true",), out, LIMITS, code=code))


def test_trouble_of_the_host_is_infra_in_one_line(sandbox: Sandbox, out: Path, tmp_path: Path) -> None:
    outcome = run(sandbox, RunSpec("r1", ("true",), out, LIMITS, log=tmp_path / "no" / "such" / "folder" / "log"))
    assert outcome.reason == "infra"
    assert "No such file or directory" in outcome.detail
    assert "Traceback" not in outcome.detail


def test_the_hosts_own_folders_are_never_counted_as_the_sandboxs() -> None:
    """A process that has no root of its own yet shows the host's folders, and they may hold anything."""
    assert processes.tmpfs_use(os.getpid()) == (0, 0)

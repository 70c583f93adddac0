"""The backend that makes its namespaces itself: from inside it looks like bubblewrap; what holds where a wall fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sandbox_backends import LIMITS, absent, make

from sandbox import bwrap_arguments, hosts, landlock
from sandbox.backends import choose
from sandbox.contract import Outcome, RunSpec, Sandbox, SandboxUnavailable

pytestmark = pytest.mark.usefixtures("own")
ROOT = Path(__file__).resolve().parent.parent
START = "import sys; sys.path.append(sys.argv[1]); from sandbox.launcher import main; main()"

LOOK_AROUND = r"""
import json, os, resource, socket
status = dict(line.rstrip("\n").split(":\t") for line in open("/proc/self/status") if ":\t" in line)
mounts = {line.split()[4]: sorted(line.split()[5].split(",")) for line in open("/proc/self/mountinfo")}
places = ("/", "/etc", "/etc/passwd", "/tmp", "/dev/shm", "/work", "/dev", "/dev/null")
limits = ("RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_CPU")
print(json.dumps({
    "root": sorted(os.listdir("/")), "dev": sorted(os.listdir("/dev")), "etc": sorted(os.listdir("/etc")),
    "modes": [oct(os.stat(place).st_mode) for place in places],
    "who": [os.getgroups(), os.getsid(0), os.getpid(), os.getcwd(), socket.gethostname(), os.umask(0)],
    "rights": {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")},
    "filters": [status["Seccomp"], status["Seccomp_filters"]],
    "signals": [status["SigIgn"], status["SigBlk"]],
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:-1],
    "limits": [resource.getrlimit(getattr(resource, name)) for name in limits],
    "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
    "cgroup": open("/proc/self/cgroup").read(), "interfaces": open("/proc/net/dev").read().count(":"),
    "mounts": mounts,
}))
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return make("namespaces", tmp_path_factory.mktemp("state"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "an out folder"
    folder.mkdir()
    return folder


def run(sandbox: Sandbox, out: Path, source: str) -> Outcome:
    spec = RunSpec("r1", ("python", "-I", "-S", "-c", source), out, LIMITS, python=Path("/usr/bin/python3"))
    return sandbox.run(spec, threading.Event())


def launched(*words: str, user: bool = os.geteuid() != 0) -> subprocess.CompletedProcess[str]:
    """The launcher by itself, with /usr, /proc and /dev beside what is asked for."""
    links = [word for name in ("bin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    system = ["--ro-bind", "/usr", "/usr", *links, "--proc", "/proc", "--dev", "/dev"]
    start = [sys.executable, "-I", "-S", "-c", START, str(ROOT), *hosts.smallest(not user)]
    return subprocess.run([*start, *system, *words], capture_output=True, text=True, timeout=20)


def test_inside_it_looks_as_in_bubblewrap(own: Sandbox, out: Path, tmp_path: Path) -> None:
    seen = {}
    for name, sandbox in (("namespaces", own), ("bwrap", make("bwrap", tmp_path / "state"))):
        folder = out / name
        folder.mkdir()
        outcome = run(sandbox, folder, LOOK_AROUND.replace("print(", "open('seen', 'w').write("))
        assert outcome.status == 0, outcome
        seen[name] = json.loads((folder / "seen").read_text())
    ours, theirs = seen["namespaces"], seen["bwrap"]
    theirs["dev"].remove("core")
    mounts, others = ours.pop("mounts"), theirs.pop("mounts")
    assert ours == theirs
    assert set(ours["rights"].values()) == {"0" * 16, "1"}
    assert {place for place in others if place not in mounts} <= {"/etc/passwd", "/etc/group"}, "a file of ours in /etc"
    assert all(mounts[place] == others[place] for place in others if place in mounts)
    assert all("ro" in mounts[place] for place in mounts if place not in others)
    assert "ro" in mounts["/proc/sys"]


def test_nothing_of_the_hosts_mounts_is_left_and_none_of_ours_is_seen_outside(own: Sandbox, out: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    source = "print(sorted({line.split()[4] for line in open('/proc/self/mountinfo')}))"
    outcome = run(own, out, source)
    places = [place for place in outcome.tail.split("'") if place.startswith("/")]
    tops = ("/usr", "/proc", "/dev", "/tmp", "/work", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
    assert [place for place in places if place != "/" and not place.startswith(tops)] == []
    assert Path("/proc/self/mountinfo").read_text() == before


@pytest.mark.skipif(not landlock.usable_version(), reason="this kernel has no Landlock of version 2 or newer")
def test_behind_a_mount_that_was_left_writable_landlock_still_refuses(tmp_path: Path) -> None:
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    for folder in (work, elsewhere):
        folder.mkdir()
        (folder / "before").write_text("x\n")
    words = ("--bind", str(elsewhere), "/elsewhere", "--bind", str(work), "/work", "--", "/bin/sh", "-c")
    tries = "cd {}; cat before; echo y > before; echo y > new; mkdir made; ln -s a link; mv before after; rm before"
    done = launched(*words, f"({tries.format('/work')}); ({tries.format('/elsewhere')}) 2>&1 | grep -c 'denied'; wait")
    assert done.stdout.splitlines() == ["x", "6"], done
    assert sorted(path.name for path in elsewhere.iterdir()) == ["before"]
    assert (elsewhere / "before").read_text() == "x\n"
    assert sorted(path.name for path in work.iterdir()) == ["after", "link", "made", "new"]


def test_a_link_in_a_used_output_folder_leads_nowhere_outside(tmp_path: Path) -> None:
    """Places inside are made by root before the command starts, and the folder was a candidate's before."""
    work, outside = tmp_path / "work", tmp_path / "outside"
    work.mkdir()
    outside.mkdir()
    (work / "absolute").symlink_to(outside)
    (work / "upwards").symlink_to("../" * 20 + str(outside))
    for name in ("absolute", "upwards"):
        launched("--bind", str(work), "/work", "--dir", f"/work/{name}/made", "--", "/bin/true")
        launched("--bind", str(work), "/work", "--tmpfs", f"/work/{name}/made", "--", "/bin/true")
    assert list(outside.iterdir()) == []


def test_a_set_up_that_fails_starts_nothing_and_says_why(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    for words, why in (
        (("--ro-bind", "/no/such/folder", "/data"), "No such file or directory"),
        (("--share-net",), "unknown option --share-net"),
        (("--cap-drop", "CAP_NET_RAW"), "knows ALL only"),
        (("--tmpfs",), "lacks a word"),
    ):
        done = launched("--bind", str(tmp_path), "/work", *words, "--", "/bin/sh", "-c", "echo > /work/planted")
        assert done.returncode == 1
        assert why in done.stderr
        assert "Traceback" not in done.stderr
    assert not planted.exists()


def test_a_command_that_could_not_be_started_is_our_fault(
    own: Sandbox, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bwrap_arguments, "SETPRIV", "/usr/no/such/setpriv")
    monkeypatch.setattr(bwrap_arguments, "PRLIMIT", "/usr/no/such/prlimit")
    outcome = run(own, out, "print('ran')")
    assert (outcome.reason, outcome.status) == ("infra", None)
    assert "No such file or directory" in outcome.tail


def test_it_serves_only_where_it_is_allowed_and_nothing_isolates_fully(
    own: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("bwrap", tmp_path / "state")
    assert choose(tmp_path / "state", allow_weak=True).name == "bwrap"
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = choose(tmp_path / "state", allow_weak=True)
    assert (chosen.name, chosen.isolation) == ("namespaces", "weak")
    with pytest.raises(SandboxUnavailable) as refused:
        choose(tmp_path / "state")
    assert "apt-get install bubblewrap" in str(refused.value)
    assert "--allow-weak-sandbox" in str(refused.value)


def test_doctor_tells_of_the_second_layer_and_of_its_absence(own: Sandbox) -> None:
    (layer,) = [item for item in own.doctor().items if item.name == "Landlock"]
    assert layer.level == ("yes" if landlock.usable_version() else "absent")
    assert layer.why


def test_a_kernel_without_landlock_is_no_failure_and_is_told(tmp_path: Path) -> None:
    """A filter that answers as such a kernel does stands in for it; all else is as ever."""
    program = """
import json, struct, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sandbox import kernel_calls
words = [(0x20, 0, 0, 0)]
for number in (444, 445, 446):
    words += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 38)]
words.append((0x06, 0, 0, 0x7FFF0000))
kernel_calls.refuse_new_privileges()
kernel_calls.install_filter(b"".join(struct.pack("=HBBI", *word) for word in words))
from sandbox.namespaces import Namespaces
found = Namespaces(Path(sys.argv[2])).doctor()
print(json.dumps([found.usable, {item.name: item.level for item in found.items}]))
"""
    done = subprocess.run([sys.executable, "-c", program, ROOT, tmp_path], capture_output=True, text=True, timeout=30)
    usable, levels = json.loads(done.stdout)
    assert usable, done
    assert levels["Landlock"] == "absent"
    contained = ("network", "environment", "filesystem", "pid namespace", "system calls")
    assert [levels[name] for name in contained] == ["yes"] * 5


def test_a_host_that_closes_namespaces_is_told_why(tmp_path: Path) -> None:
    """Within a sandbox of ours no further one can be made, as on a host that forbids it."""
    if os.geteuid() != 0 and not Path("/proc/sys/user/max_user_namespaces").exists():
        absent("no user namespaces here")
    inner = " ".join(f"'{word}'" for word in ("-I", "-S", "-c", START, str(ROOT), *hosts.smallest(as_root=False)))
    shown = ("--ro-bind", str(ROOT / "sandbox"), str(ROOT / "sandbox"), "--disable-userns", "--cap-drop", "ALL")
    done = launched(*shown, "--", "/bin/sh", "-c", f"/usr/bin/python3 {inner}; echo status $?", user=True)
    assert done.stdout == "status 1\n"
    assert "unshare: " in done.stderr

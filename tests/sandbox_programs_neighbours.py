"""Hostile programs that go for what lies beside them: other runs, their results, the evaluator, the kernel's files.

Part of `sandbox_programs.PROGRAMS`, which says how a program is played and what the words in it mean.
"""

from __future__ import annotations

ATTACKS_A_SIBLING = """
found = []
family = {0, 1, os.getpid(), os.getppid()}
seen = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in family]
def belongs_to_us(pid):
    try:
        return os.sched_getaffinity(pid) is not None and os.getpgid(pid) >= 0
    except OSError:
        return False
class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
piece = ctypes.create_string_buffer(8)
here, there = Span(ctypes.addressof(piece), 8), Span(0x400000, 8)
for pid in host["siblings"]:
    if libc.ptrace(16, pid, 0, 0) == 0: found.append(f"ptrace {pid}")
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0: found.append(f"memory {pid}")
    for name in ("mem", "environ", "cmdline", "root/work", "fd"):
        place = f"/proc/{pid}/{name}"
        if worked(lambda: os.listdir(place) if os.path.isdir(place) else open(place, "rb").read(1)): found.append(place)
    for number in (0, signal.SIGSTOP, signal.SIGKILL):
        if worked(lambda: os.kill(pid, number)): found.append(f"signal {number} to {pid}")
for pid in seen:
    command = open(f"/proc/{pid}/cmdline").read() if os.path.exists(f"/proc/{pid}/cmdline") else ""
    if "a sibling of" in command: found.append(f"sees {pid}")
print(json.dumps(found))
"""

REACHES_FOR_ITS_LIMITS = """
found = []
for top in ("/proc/sys", "/sys", "/sys/fs/cgroup"):
    for folder, folders, files in os.walk(top):
        for name in files:
            place = os.path.join(folder, name)
            if worked(lambda: open(place, "r+b", buffering=0).close()): found.append(place)
        if folder.startswith("/sys/fs/cgroup") and worked(lambda: os.mkdir(os.path.join(folder, "own"))):
            found.append(folder)
usual = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin", "stdout", "stderr",
         "console", "core", "mqueue"}
found += sorted(set(os.listdir("/dev")) - usual)
if os.path.isdir("/dev/mqueue"): found += os.listdir("/dev/mqueue")
import resource
for name in ("RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NOFILE"):
    which = getattr(resource, name)
    hard = resource.getrlimit(which)[1]
    if hard == resource.RLIM_INFINITY: found.append(name)
    elif worked(lambda: resource.setrlimit(which, (hard + 1, hard + 1)) or True): found.append(f"raised {name}")
print(json.dumps(found))
"""

CHANGES_RESULTS = """
found = []
def changed(place):
    with open(place, "r+") as file:
        file.write("better")
for place in host["results"]:
    if worked(lambda: open(place).read()): found.append(f"read {place}")
    if worked(lambda: changed(place)): found.append(f"changed {place}")
    if worked(lambda: os.link(place, "/work/linked")): found.append(f"linked {place}")
    os.path.lexists("/work/pointer") and os.unlink("/work/pointer")
    os.symlink(place, "/work/pointer")
    if worked(lambda: changed("/work/pointer")): found.append(f"changed {place} by a link")
    up = "/work" + "/.." * 20 + place
    if worked(lambda: changed(up)): found.append(f"changed {up}")
for place in ("/code/train.py", "/data/labels.txt"):
    if worked(lambda: changed(place)): found.append(f"changed {place}")
    for pid in ("self", "1"):
        if worked(lambda: changed(f"/proc/{pid}/root{place}")): found.append(f"changed {place} by its process")
print(json.dumps(found))
"""

PRINTS_TWO_GIGABYTES = """
piece = b"x" * (1 << 20)
left = 2_000_000_000
while left > 0:
    left -= os.write(1, piece[:left])
os.write(1, b"\\nlast\\n")
"""

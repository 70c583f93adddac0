"""The table in docs/sandbox.md of what each backend contains: written from the hostile programs' own results.

    python tests/containment_table.py [--write]

plays every program against every backend that can be had here, as this user and, under root, as an ordinary one, and
prints the table, or writes it into the document (columns that cannot be had here are kept). The hostile suite compares
each result with its cell, so that the table cannot say what the suite does not find.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "sandbox.md"
BEGIN, END = "<!-- measured: containment -->", "<!-- end of measured: containment -->"
NOTHING, UNKNOWN = "came to nothing", "not measured"
COLUMNS = ("bwrap, root", "bwrap, ordinary user", "docker", "namespaces, root", "namespaces, ordinary user")

ROWS: dict[str, dict[str, str]] = {
    "secrets": {
        "reads_secrets": "reads planted secrets, keys, other processes' environment, home folders",
    },
    "writing outside": {
        "writes_outside": "writes to code, data, /usr, /etc, /dev, /proc and the host's folders",
    },
    "network": {
        "calls_the_host": "TCP on loopback, abstract and path sockets, UDP, DNS, netlink, VSOCK",
    },
    "processes": {
        "forks_without_end": "a fork bomb",
        "counts_its_children": "forks until it is refused, and counts",
    },
    "memory": {
        "takes_memory": "one process without a bound",
        "takes_memory_in_several": "several processes together",
        "takes_shared_memory": "shared memory that nobody has mapped",
        "hides_memory": "anonymous files (`memfd_create`) or System V segments",
    },
    "disk": {
        "fills_the_disk": "many large files",
        "fills_the_disk_namelessly": "files without a name, held open",
        "writes_many_files": "60,000 files",
        "writes_many_files_in_tmp": "files in `/tmp`",
        "nests_folders": "folders 1,500 deep",
    },
    "not ending": {
        "ignores_signals": "ignores every signal",
        "burns_time": "burns CPU in several processes",
        "leaves_daemons": "double forks, new sessions, holds the output open",
    },
    "signals": {
        "kills_everyone": "kills its parent, process 1 and -1",
        "attacks_a_sibling": "traces, reads and kills another run",
    },
    "the kernel": {
        "asks_the_kernel": "mounts, namespaces, ptrace, io_uring, bpf, keyrings, perf, setuid",
        "reaches_for_its_limits": "/proc/sys, own control group, devices, raised limits",
    },
    "results": {
        "changes_results": "changes the evaluator, the labels, another run's results",
        "plants_outputs": "leaves links, pipes, sockets and closed files as outputs",
    },
    "output": {
        "prints_much": "8 MiB where 64 KiB are kept",
        "prints_two_gigabytes": "2 GB",
        "prints_a_flood": "without end",
    },
    "after the end": {
        "leaves_system_v_memory": "System V memory that outlives the run",
    },
}


_CALM_ENDS = {
    "counts_its_children": "refused at the limit",
    "hides_memory": "refused",
    "kills_everyone": "reached only itself",
    "leaves_daemons": "ended with the run",
    "leaves_system_v_memory": "gone with the run",
    "plants_outputs": "left out",
    "prints_much": "kept to the cap",
    "prints_two_gigabytes": "kept to the cap",
}
"""What it means that a program of this kind came to its own end; each is what its check has just established."""


def column(backend: str, *, as_root: bool) -> str:
    """The column of a backend as this kind of user has it."""
    return backend if backend in COLUMNS else f"{backend}, {'root' if as_root else 'ordinary user'}"


def described(program: str, evidence: Mapping[str, Any]) -> str:
    """The cell for a program that passed its check, by how it ended."""
    if evidence["reason"] == "exit":
        return _CALM_ENDS.get(program, NOTHING)
    # The control group's word and the watchdog's for the same limit.
    return f"ended: {'memory' if evidence['reason'] == 'oom' else evidence['reason']}"


def written() -> dict[str, dict[str, str]]:
    """The document's table: program → column → cell."""
    text = DOCUMENT.read_text()
    _, found, rest = text.partition(BEGIN)
    lines = rest.partition(END)[0].strip().splitlines() if found else []
    cells: dict[str, dict[str, str]] = {}
    header = [cell.strip() for cell in lines[0].strip("|").split("|")][2:] if lines else []
    by_words = {words: name for programs in ROWS.values() for name, words in programs.items()}
    for line in lines[2:]:
        _, words, *found_cells = [cell.strip() for cell in line.strip("|").split("|")]
        cells[by_words[words]] = dict(zip(header, found_cells, strict=True))
    return cells


def table(cells: dict[str, dict[str, str]]) -> str:
    """Markdown of program → column → cell."""
    lines = [f"| class | what the program does | {' | '.join(COLUMNS)} |", "|---" * (2 + len(COLUMNS)) + "|"]
    for title, programs in ROWS.items():
        for index, (name, words) in enumerate(programs.items()):
            found = [cells.get(name, {}).get(column, UNKNOWN) for column in COLUMNS]
            lines.append(f"| {title if index == 0 else ''} | {words} | {' | '.join(found)} |")
    return "\n".join(lines)


def measured() -> Iterator[tuple[str, str, str]]:
    """(column, program, cell) of everything that can be played here."""
    import sandbox_backends as backends
    import sandbox_programs as programs

    os.environ["PLANTED"] = programs.PLANTED
    for name in backends.BACKENDS:
        with tempfile.TemporaryDirectory() as folder:
            sandbox = backends.make(name, Path(folder, "state"))
            played = {one.name: programs.play(one, sandbox, Path(folder, one.name)) for one in programs.PROGRAMS}
        yield from _cells(column(name, as_root=os.geteuid() == 0), played)
    for name in backends.SUPERVISED if os.geteuid() == 0 else ():
        yield from _cells(column(name, as_root=False), backends.played_by_an_ordinary_user(name)["evidence"])


def _cells(column_name: str, played: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    import sandbox_programs as programs

    for program in programs.PROGRAMS:
        evidence = played[program.name]
        program.check(evidence)
        if evidence["touched"] or evidence["alive"]:
            raise SystemExit(f"{column_name}: {program.name} was not contained: {evidence}")
        yield column_name, program.name, described(program.name, evidence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/sandbox.md")
    arguments = parser.parse_args()
    cells = written()
    for place, name, cell in measured():
        cells.setdefault(name, {})[place] = cell
        print(f"{place}: {name}: {cell}", file=sys.stderr)
    if not arguments.write:
        print(table(cells))
        return
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table(cells)}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()

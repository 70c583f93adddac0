"""The table in docs/sandbox.md of what each backend contains: written from the hostile programs' own results.

    python tests/containment_table.py [--write]

plays every program against every backend that can be had here, as this user and, under root, as an ordinary one, and
prints the table, or writes it into the document (columns that cannot be had here are kept). The hostile suite compares
each result with its cell, so that the table cannot say what the suite does not find.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "sandbox.md"
BEGIN, END = "<!-- generated: containment -->", "<!-- end of generated: containment -->"
NOTHING, OPEN, UNKNOWN = "came to nothing", "**gets through**", "not measured"
COLUMNS = (
    "bwrap, root",
    "bwrap, ordinary user",
    "docker",
    "namespaces, root",
    "namespaces, ordinary user",
)

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


def described(reason: str, lets_through: str = "") -> str:
    """The cell for a program that ended like this and passed its check."""
    if lets_through:
        return f"{OPEN}: {lets_through}"
    if reason == "exit":
        return NOTHING
    # The control group's word and the watchdog's for the same limit.
    return f"ended: {'memory' if reason == 'oom' else reason}"


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
    import sandbox_columns

    for column, program, evidence in sandbox_columns.play_everything():
        program.check(evidence)
        if evidence["touched"] or evidence["alive"]:
            raise SystemExit(f"{column}: {program.name} was not contained: {evidence}")
        yield column, program.name, described(str(evidence["reason"]), program.lets_through.get(column, ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/sandbox.md")
    arguments = parser.parse_args()
    cells = written()
    for column, name, cell in measured():
        cells.setdefault(name, {})[column] = cell
        print(f"{column}: {name}: {cell}", file=sys.stderr)
    if not arguments.write:
        print(table(cells))
        return
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table(cells)}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()

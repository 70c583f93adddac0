"""What the gate promotes is real: how often each policy promotes what is nothing, and what it finds, by simulation.

    python benchmarks/gate_error_control.py [--json | --markdown] [--quick] [--nights 200] [--plot FILE]

Whole nights of raw values are drawn (`gate_worlds`), and `experiments.gate.decide` gives the verdict on every candidate
of `--nights` nights in every world, under every policy that the product has. A vectorised engine (`gate_walk`,
`gate_rules`) says beforehand where each candidate's evidence ends; where verdict, reason, seeds or gain of the gate
differ, nothing is reported and the exit status is 2. Worlds of small chances and narrow limits go on for more nights,
in which the gate gives every promotion, every parked verdict and a sample of the rest, and the engine the others. With
--quick the gate judges the first nights and a sample; `--check all` has it judge everything. The exit status is 1 where
a requirement is missed, 0 otherwise. Sigma is the standard deviation of a paired difference on one seed. Results depend
on nothing but the number of nights.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gate_figures
import gate_plan
import gate_plot
from gate_nights import Checking, play

from registry.target import GateSettings

NIGHTS, QUICK_NIGHTS = 200, 60
QUICK_WHOLE = 2
"""Nights of each world that the gate judges whole with --quick."""
SAMPLE, QUICK_SAMPLE = 10, 3
"""Verdicts of each policy and world, for each night, that the gate judges beside those."""
MISSED, DISAGREED = 1, 2


def main(argv: list[str] | None = None) -> int:
    """Simulate, check, print; the exit status says whether every requirement is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true", help="the tables of docs/gate.md")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_NIGHTS} nights, in less than a minute")
    parser.add_argument("--nights", type=int, default=None, help=f"of 700 candidates in each world (default {NIGHTS})")
    parser.add_argument("--check", default=None, help="nights of each world that the gate judges whole, or all")
    parser.add_argument("--plot", type=Path, help="where to write the picture, as SVG")
    asked = parser.parse_args(argv)
    nights = asked.nights or (QUICK_NIGHTS if asked.quick else NIGHTS)
    if nights < 2:
        parser.error("--nights: two at least, for a standard error")
    checking = _checking(asked.check, asked.quick, nights)
    began = time.perf_counter()
    played = play(gate_plan.jobs(nights, checking), GateSettings().alpha, os.cpu_count() or 1)
    seconds = time.perf_counter() - began
    differences = [text for each in played.values() for text in each.differences]
    if differences:
        print(f"{len(differences)} verdicts of the engine are not the gate's; nothing is reported.", file=sys.stderr)
        print(*differences[:20], sep="\n", file=sys.stderr)
        return DISAGREED
    figures, comparison = gate_figures.figures(played), gate_figures.comparison(played)
    missed = [figure for figure in figures if figure.passed is False]
    judged = sum(each.checked for each in played.values())
    if asked.plot:
        asked.plot.write_text(gate_plot.picture(comparison), encoding="utf-8")
    if asked.json:
        print(json.dumps(_document(nights, judged, figures, comparison), indent=1))
    elif asked.markdown:
        print(_markdown(figures, comparison))
    else:
        print(_text(figures))
    print(
        f"{nights} nights, {judged} verdicts by the gate and none different from the engine's, {len(missed)} of "
        f"{len(figures)} figures missed, {seconds:.0f} s",
        file=sys.stderr,
    )
    return MISSED if missed else 0


def _checking(given: str | None, quick: bool, nights: int) -> Checking:
    usual = QUICK_WHOLE if quick else nights
    whole = usual if given is None else sys.maxsize if given == "all" else int(given)
    return Checking(whole, nights * (QUICK_SAMPLE if quick else SAMPLE), decided=not quick)


def _document(
    nights: int, judged: int, figures: list[gate_figures.Figure], comparison: list[dict[str, float | str]]
) -> dict[str, object]:
    rows = [
        {
            "figure": figure.name,
            "policy": figure.policy,
            "value": figure.value,
            "standard_error": figure.standard_error,
            "requirement": figure.requirement.text,
            "reference": figure.reference,
            "passed": figure.passed,
        }
        for figure in figures
    ]
    passed = all(figure.passed is not False for figure in figures)
    return {
        "version": 1,
        "nights": nights,
        "verdicts_by_the_gate": judged,
        "figures": rows,
        "comparison": comparison,
        "passed": passed,
    }


def _text(figures: list[gate_figures.Figure]) -> str:
    lines = []
    for figure in figures:
        value = number(figure.value, figure.standard_error)
        lines.append(f"{verdict(figure):6} {figure.name}; {figure.policy}: {value} ({figure.requirement.text})")
    return "\n".join(lines)


def _markdown(figures: list[gate_figures.Figure], comparison: list[dict[str, float | str]]) -> str:
    names = [name for name in comparison[0] if name != "rule" and not name.endswith("standard error")]
    lines = ["| rule | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for row in comparison:
        cells = [number(float(row[name]), float(row[f"{name}, standard error"])) for name in names]
        lines.append(f"| {row['rule']} | " + " | ".join(cells) + " |")
    lines += ["", "| figure | policy | measured | required | earlier simulation | |", "|---|---|---|---|---|---|"]
    for figure in figures:
        value = number(figure.value, figure.standard_error)
        ends = f"{figure.requirement.text} | {figure.reference} | {verdict(figure)} |"
        lines.append(f"| {figure.name} | {figure.policy} | {value} | {ends}")
    return "\n".join(lines)


def verdict(figure: gate_figures.Figure) -> str:
    """In one word."""
    return {True: "met", False: "MISSED", None: "shown"}[figure.passed]


def number(value: float, error: float) -> str:
    """A value with its standard error, to the error's second significant digit."""
    if not error:
        return f"{value:.4g}"
    digits = min(6, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())

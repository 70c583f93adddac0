"""On sixty real papers the extractor is right more often than not, and no score stands elsewhere than it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from conftest import ROOT


def test_the_targets_are_met_on_real_papers_and_no_score_is_misplaced(shared_data: Path) -> None:
    spec = importlib.util.spec_from_file_location("extraction_benchmark", ROOT / "benchmarks" / "extraction.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    figures = benchmark.measure(shared_data / "results_extraction")
    assert figures["misplaced"] == 0
    assert figures["all"]["precision"] >= benchmark.PRECISION_TARGET
    assert figures["all"]["f1"] >= benchmark.F1_TARGET
    assert figures["seen_less"]["f1"] >= 0.15

"""Files that show the history to people: hypotheses, the queue, results folders, scores, the changelog.

Called after every event that changes one of them, and for all of them on start. They are written from the history
and the log and never read back as truth, except a file that a person put into the queue.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent import boards, circumstances
from agent.services import Services
from experiments import statistics
from registry.durable import write_atomically
from registry.facts import Production, Test
from registry.hypotheses import Hypothesis, Status
from registry.runs import RunRecord

STATUSES: tuple[Status, ...] = ("queued", "active", "parked", "promoted", "archived")
LOG_SHARE = 1 << 20
"""Bytes of each run's log that go into the hypothesis's `train.log`; a failed run's log goes in whole."""


def reconcile(services: Services) -> None:
    """Make every projection agree with the history; what is right already is not touched."""
    for name in services.history.hypotheses:
        hypothesis(services, name)
    queue(services)
    written = services.competitive().our_solution.current_scores
    for board in services.history.scores:
        if written.get(board) is None:  # a crash came before the first score was written; later ones people may edit
            current_score(services, board)


# -- hypotheses and the queue -------------------------------------------------------------------------------


def hypothesis(services: Services, name: str) -> None:
    """The hypothesis's YAML in the folder of its status, and in no other."""
    item = services.history.hypotheses[name]
    home = services.workspace.hypothesis(name, item.status)
    _write(home, _yaml(services, item))
    for status in STATUSES:
        other = services.workspace.hypothesis(name, status)
        if other != home:
            other.unlink(missing_ok=True)


def _yaml(services: Services, item: Hypothesis) -> str:
    from registry.queue_file import dump_hypothesis

    decided = {
        key: value
        for key, value in (
            ("at", services.history.decided_at.get(item.id, "")),
            ("reason", services.history.why.get(item.id, "")),
        )
        if value and item.status in {"promoted", "archived", "parked"}
    }
    notes = _gap_note(services, item.id) if item.status == "archived" else {}
    return dump_hypothesis(item, decided=decided, gap_analysis=notes.get("notes", ()))


def wrote(services: Services, path: Path, content: bytes) -> bool:
    """Whether a file of the queue is our own projection and not a person's."""
    item = services.history.hypotheses.get(path.stem)
    return item is not None and content == _yaml(services, item.model_copy(update={"status": "queued"})).encode()


def is_an_earlier_rank_of(known: Hypothesis, found: Hypothesis) -> bool:
    """Whether a file differs from the history in its rank alone: what a crash leaves between ranking and writing."""
    ranked = {"priority_score": known.priority_score, "urgency": known.urgency, "status": known.status}
    return found.status == "queued" and found.model_copy(update=ranked) == known


def queue(services: Services) -> None:
    """`experiment_queue.yaml`: what is active and what waits, by rank."""
    from registry.queue_file import dump_queue

    active = [*services.history.with_status("active"), *services.history.with_status("queued")]
    _write(services.workspace.experiment_queue, dump_queue(active))


# -- results ------------------------------------------------------------------------------------------------


def results(services: Services, test: Test) -> None:
    """`experiments/results/H-042/`: configuration, metrics, log, projected rank, decision and patch."""
    folder = services.workspace.results_of(test.hypothesis)
    folder.root.mkdir(parents=True, exist_ok=True)
    if test.commit:
        write_atomically(folder.config, services.solution.configuration(test.commit, {}))
        write_atomically(folder.patch, services.blobs.get(test.diff))
    records = list(test.runs.values())
    candidate = [record for record in records if record.arm == "candidate"]
    _write_json(folder.metrics, metrics_of(candidate))
    _write(folder.requirements, circumstances.lock_text(services, candidate))
    _write(folder.train_log, _train_log(services, candidate))
    _write_json(folder.eval_on_leaderboard, _projected(services, candidate))
    _write_json(
        folder.decision,
        {
            "hypothesis": test.hypothesis,
            "outcome": test.decided,
            "reason": services.history.why.get(test.hypothesis, ""),
            "commit": test.commit,
            "production": test.production,
            "gate": test.gate,
            "last_look": test.last_look,
            "gap_analysis": _gap_note(services, test.hypothesis) or None,
        },
    )


def production_results(services: Services, production: Production, records: list[RunRecord]) -> None:
    """`experiments/results/production/<tree>/`: production's own runs and where they would stand."""
    folder = services.workspace.production_results(production.tree)
    folder.root.mkdir(parents=True, exist_ok=True)
    write_atomically(folder.config, services.solution.configuration(production.commit, {}))
    _write(folder.requirements, circumstances.lock_text(services, records))
    _write_json(folder.metrics, metrics_of(records))
    _write_json(folder.eval_on_leaderboard, _projected(services, records))


def metrics_of(records: Iterable[RunRecord]) -> dict[str, Any]:
    """All runs with their values, and mean, sd, min and max of each metric over the gate's runs."""
    runs = [
        {
            "run_id": record.run_id,
            "purpose": record.purpose,
            "seed": record.key.seed,
            "split": record.key.split,
            "status": record.status,
            "why": record.why,
            "metrics": record.metrics,
            "folder": record.folder,
        }
        for record in records
    ]
    values: dict[str, list[float]] = {}
    for record in records:
        if record.status == "ok" and record.purpose in {"gate", "fresh", "baseline"}:
            for name, value in record.metrics.items():
                values.setdefault(name, []).append(value)
    aggregate = {
        name: {
            "n": len(found),
            "mean": statistics.mean(found),
            "std": statistics.standard_deviation(found),
            "min": min(found),
            "max": max(found),
        }
        for name, found in values.items()
    }
    return {"aggregate": aggregate, "runs": runs}


def _gap_note(services: Services, name: str) -> dict[str, Any]:
    """The gap analysis of a rejection, read from the log; empty where there is none."""
    seq = services.history.gap_notes.get(name)
    return {} if seq is None else next(services.log.read_new(seq - 1)).data


def _train_log(services: Services, records: list[RunRecord]) -> str:
    parts = []
    for record in sorted(records, key=lambda record: (record.purpose, record.key.seed)):
        folder = services.workspace.root / record.folder
        run = f"{record.purpose} seed {record.key.seed}"
        for log in sorted(folder.glob("attempt-*/*.log")):
            text = log.read_text(errors="replace")
            parts.append(f"=== {run}: {log.stem} ({log.parent.name}, which failed)\n{text}")
        for phase in record.phases:
            log = folder / f"{phase}.log"
            if not log.is_file():
                continue
            text = log.read_text(errors="replace")
            kept = text if record.status != "ok" else text[-LOG_SHARE:]
            parts.append(f"=== {run}: {phase} ({record.status})\n{kept}")
    return "\n".join(parts) or "no run was started\n"


def _projected(services: Services, records: list[RunRecord]) -> dict[str, Any]:
    metric = services.target.metrics.primary
    values = [
        record.metrics[metric.name]
        for record in records
        if record.status == "ok" and record.purpose in {"gate", "fresh", "baseline"}
    ]
    if not values or metric.leaderboard is None:
        return {}
    mean = statistics.mean(values)
    return {
        metric.leaderboard: {
            "metric": metric.name,
            "dev_mean": mean,
            "projected_rank": boards.projected_rank(services, mean),
            "note": "projected from dev; the board shows test scores",
        }
    }


# -- what a promotion changes -------------------------------------------------------------------------------


def current_score(services: Services, board: str) -> None:
    """Our score on a board, spliced into the registry; every other byte stays.

    Where production moved away from the score, the file says null, unless a person wrote another score there.
    """
    from registry import competitive_text

    path = services.workspace.competitive_registry
    text = path.read_bytes().decode()  # as it stands: read_text would change its line ends
    score = services.history.scores.get(board)
    if score is None:
        written = services.competitive().our_solution.current_scores.get(board)
        _, last = services.history.scored[board]
        if written is None or round(written, 6) != round(last, 6):
            return
    new = competitive_text.with_current_score(text, board, None if score is None else round(score, 6))
    if new != text:
        write_atomically(path, new)


def changelog(services: Services, name: str) -> None:
    """One line of the workspace's changelog per promotion, once."""
    item = services.history.hypotheses[name]
    event = services.log.find(f"promoted:{name}:{services.history.tests[name].commit}")
    if event is None:
        return
    path = services.workspace.changelog
    text = path.read_text() if path.exists() else "# Changelog of production\n\n"
    score = event.data["test_score"]
    tested = f", test {score:.4f}" if score is not None else ""
    line = (
        f"- {event.time[:10]} {name}: {_one_line(item.title)} — {event.data['gain']:+.4f} on {event.data['gain_on']}"
        f"{tested}, "
        f"commit {event.data['commit'][:12]}, event {event.seq}\n"
    )
    if f"{name}:" not in text:
        write_atomically(path, text + line)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_bytes() != text.encode():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)


def _write_json(path: Path, value: Any) -> None:
    _write(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")

"""A workspace with a real log of real nights, for the tests of ask, the reports and the commands that read.

Every event has the shape that the loop writes, and every look is the gate's own decision on the runs recorded before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

from gate_evidence import Draw

from experiments.gate import (
    Decision,
    Evidence,
    Need,
    Pair,
    Policy,
    RunValue,
    SeasonFacts,
    decide,
    gain_interval,
    look_record,
    policy_for,
)
from experiments.seeds import baseline_seeds, candidate_seeds, validation_seed
from registry.audit import AuditLog
from registry.hypotheses import Hypothesis, Implementation, Quote, priority
from registry.papers import Paper, Reading, Technique
from registry.runs import PhaseRecord, RunKey, RunRecord
from registry.target import GateSettings
from registry.workspace import Workspace

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "digits"
START = datetime(2026, 11, 18, 22, 0, tzinfo=UTC)  # a Wednesday
SETTINGS = GateSettings(policy="e-night", threshold=0.005, season=20, screen="paired", test_looks=10)
COSTS = {"latency_ms": 0.10, "memory_mb": 0.15}
CONFIGURATION: dict[str, Any] = {"model.hidden": 32, "train.epochs": 10, "train.dropout": 0.0, "data.shifts": 0}
QUOTE = "Shifted copies of the training images raise accuracy by 1.5 points."
DOCUMENT = hashlib.sha256(b"a paper").hexdigest()
BOARD = "Digits"
SOURCE = "folder:papers"


def sha(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def make_workspace(root: Path, repository: Path | None = None, papers: Path | None = None) -> Workspace:
    """A workspace with the bundled example's documents and an empty log."""
    workspace = Workspace(root)
    workspace.create_folders()
    values = {
        "repository": str(repository or root / "solution"),
        "python": "/usr/bin/python3",
        "board_url": "http://127.0.0.1:9/board.html",
        "papers": str(papers or root / "papers"),
    }
    for name in ("target.yaml", "competitive_registry.yaml", "research_config.yaml"):
        (root / name).write_text(Template((EXAMPLE / name).read_text()).substitute(values))
    return workspace


class Nights:
    """Writes a workspace's log event by event, as the loop would. The clock goes on 20 seconds an event."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.now = START
        self.log = AuditLog.open(workspace.audit, self.tick)
        self.production = ""
        self.index = 0
        self.t = 0
        self.promotions = 0
        self.nights = self.cycles = self.looks_at_test = 0
        self.runs = 0

    def tick(self) -> datetime:
        self.now += timedelta(seconds=20)
        return self.now

    def record(self, kind: str, subject: str, data: dict[str, Any], reason: str = "", key: str | None = None) -> int:
        return self.log.append(kind, subject, data, reason, key=key).seq

    # -- nights and cycles ------------------------------------------------------------------------------------

    def start_night(self) -> None:
        self.nights += 1
        data = {"cycles": None, "until": None, "forever": False, "only": "", "season": 0, "season_was_over": False}
        self.record("night_started", f"N-{self.nights:04d}", data, key=f"night:{self.nights}")

    def end_night(self, reason: str = "out of ideas", failed: bool = False) -> None:
        night = f"N-{self.nights:04d}"
        data = {"cycles": self.cycles, "runs": self.runs, "promoted": [], "failed": failed}
        self.record("night_ended", night, data, reason, key=f"night:{night}:ended")

    def start_cycle(self) -> None:
        self.cycles += 1
        data = {
            "cycle": self.cycles,
            "thread": f"c{self.cycles:06d}-abcd",
            "fingerprint": "abcd",
            "night": f"N-{self.nights:04d}",
        }
        self.record("cycle_started", f"C-{self.cycles:06d}", data, key=f"cycle:{self.cycles}:started")

    def end_cycle(self, **state: Any) -> None:
        data = {"cycle": self.cycles, "monitor": "not_due", **state}
        self.record("cycle_finished", f"C-{self.cycles:06d}", data, key=f"cycle:{self.cycles}:finished")

    # -- production, boards, season ---------------------------------------------------------------------------

    def make_production(self, name: str, why: str, **settings: Any) -> None:
        self.production, self.index = sha(name), self.index + 1
        changed = {**CONFIGURATION, **{path.replace("__", "."): value for path, value in settings.items()}}
        data = {"commit": self.production, "tree": sha(name + " tree"), "configuration": changed}
        self.record("production_at", "production", data, why, key=f"production:{self.production}")

    def baseline(self, level: float = 0.92, count: int = 5) -> None:
        for number, seed in enumerate(baseline_seeds(1, self.index, count)):
            self.run("production", "production", "baseline", self.production, seed, level + 0.004 * (number - 2))

    def score(self, subject: str, commit: str, value: float) -> None:
        self.looks_at_test += 1
        arm = "production" if subject == "production" else "candidate"
        looked = self.run(subject, arm, "test_look", commit, 7, value)
        data = {
            "commit": commit,
            "split": "test",
            "runs": [looked.run_id],
            "values": [value],
            "mean": value,
            "look": self.looks_at_test,
            "of": 10,
        }
        self.record("test_look", subject, data, "one look at a promotion or a first night", key=f"test_look:{commit}")
        self.record(
            "board_score",
            BOARD,
            {"score": value, "commit": commit},
            f"test look {self.looks_at_test} of 10",
            key=f"score:{BOARD}:{commit}",
        )

    def stand(self, rank: int, gap: float, score: float, board: str = BOARD, why: str = "") -> None:
        data = {
            "rank": rank,
            "gap": gap,
            "gap_points": 100 * abs(gap),
            "score": score,
            "trigger": "",
            "strategy": "",
            "research": False,
            "at_top_cycles": 0,
            "victory": rank == 1,
        }
        self.record("standing", board, data, why, key=f"standing:{board}:{self.cycles}:{self.now}")

    def read_board(self, delta: dict[str, Any] | None, alerts: Sequence[str] = (), board: str = BOARD) -> None:
        data = {
            "slot": f"{self.now}",
            "status": "read",
            "snapshot": "",
            "raw": "",
            "track": "",
            "entries": 4,
            "alerts": list(alerts),
            "delta": delta,
        }
        self.record("board_read", board, data, key=f"board:{board}:{self.now}")

    def open_season(self, closes_on: str = "2027-02-16") -> None:
        data = {
            "id": 1,
            "planned": 20,
            "alpha": 0.05,
            "opened_at": "2026-11-18",
            "closes_on": closes_on,
            "policy": "e-night",
        }
        self.record(
            "season_opened", "S-1", data, f"20 candidates at alpha 0.05, until {closes_on}", key="season:1:opened"
        )

    # -- papers and hypotheses --------------------------------------------------------------------------------

    def read_paper(self, title: str = "Shifted copies for small images", relevant: bool = True) -> None:
        paper = Paper(key="file:" + DOCUMENT[:16], title=title, file_sha256=DOCUMENT, pages=3)
        quote = Quote(document=title, file_sha256=DOCUMENT, page=2, text=QUOTE, verified=True)
        technique = Technique(
            name="shifts",
            paper=paper.key,
            settings={"data.shifts": [1, 2]},
            effort="Low",
            impact="Medium",
            claimed_gain=0.015,
            quote=quote,
        )
        reading = Reading(
            paper=paper,
            relevant=relevant,
            why="names handwritten digits",
            boards=[BOARD],
            techniques=[technique],
            source=SOURCE,
        )
        found = {"source": SOURCE, "paper": paper.model_dump(mode="json")}
        listed = {"slot": f"{self.now}", "papers": {paper.key: found}, "sources": [], "left_for_later": 0}
        self.record("papers_listed", "papers", listed, key=f"papers:{self.now}")
        data = {"reading": reading.model_dump(mode="json"), "researcher": "offline rules"}
        self.record("paper_read", paper.key, data, reading.why, key=f"read:{paper.key}:")

    def propose(self, *hypotheses: Hypothesis) -> None:
        data = {
            "basis": sha(str(self.now)),
            "researcher": "offline rules",
            "hypotheses": [h.model_dump(mode="json") for h in hypotheses],
            "exhausted": False,
            "note": "from papers",
        }
        self.record("hypotheses_proposed", "queue", data, "from papers", key=f"proposals:{self.now}")

    # -- a test -----------------------------------------------------------------------------------------------

    def start_test(self, name: str) -> str:
        self.record(
            "hypothesis_started",
            name,
            {"production": self.production, "production_tree": "t"},
            "paper",
            key=f"started:{name}:{self.production}",
        )
        commit = sha(name + self.production)
        data = {
            "branch": f"agent/{name}-an-idea",
            "commit": commit,
            "tree": sha(name + " tree"),
            "diff": "d" * 64,
            "empty": False,
            "files": ["configs/production.yaml"],
            "researcher": "offline rules",
        }
        self.record("patch_committed", name, data, "one setting", key=f"patch:{name}:{self.production}")
        return commit

    def validate(self, name: str, commit: str, ok: bool = True, why: str = "train crashed: ValueError") -> None:
        run = self.run(
            name,
            "candidate",
            "validation",
            commit,
            validation_seed(int(name[2:])),
            0.8,
            status="ok" if ok else "crash",
            why="" if ok else why,
        )
        data = {"ok": ok, "run_id": run.run_id, "commit": commit, "status": run.status}
        self.record("validated", name, data, "the fast run finished" if ok else why, key=f"validated:{name}:{commit}")
        if not ok:
            code = {"code": "validation", "commit": commit, "production": self.production}
            self.record(
                "hypothesis_archived",
                name,
                code,
                f"fast validation failed: {why}",
                key=f"archived:{name}:{commit}:validation",
            )

    def judge(self, name: str, commit: str, differences: Sequence[float], latency: float = 1.01) -> Decision:
        """Through the gate: differences in the order the gate asks for pairs, repeated when they are used up."""
        self.t += 1
        own = candidate_seeds(1, self.t)
        season = SeasonFacts(1, self.t, 20, self.promotions, 0.05)
        gate = {
            "test": f"{name}@{commit[:12]}",
            "season": 1,
            "t": self.t,
            "planned": 20,
            "promotions": self.promotions,
            "alpha": 0.05,
            "day": self.now.date().isoformat(),
            "settings": SETTINGS.model_dump(mode="json"),
            "stage_seeds": list(own.stage),
            "fresh_seeds": list(own.fresh),
            "baseline_seeds": [],
            "evaluator": "eval",
            "commit": commit,
            "production": self.production,
        }
        self.record(
            "gate_entered",
            name,
            gate,
            f"candidate {self.t} of 20 in season 1, {self.promotions} promotions",
            key=f"gate:{name}:{commit}",
        )
        start = Evidence(
            hypothesis=name,
            metric="accuracy",
            higher_is_better=True,
            threshold=0.005,
            season=season,
            stage_seeds=own.stage,
            fresh_seeds=own.fresh,
            cost_limits=COSTS,
            production_commit_now=self.production,
            production_commit_paired=self.production,
            evaluator="eval",
            projected_rank=2,
            required_rank=1,
        )
        policy = policy_for(SETTINGS)
        purposes: dict[str, Any] = {"stage": "gate", "fresh": "fresh", "cost": "cost"}

        def draw(kind: str, seed: int, arm: str) -> RunValue:
            order = [*own.fresh, *own.stage].index(seed)
            gain = differences[order % len(differences)] if arm == "candidate" else 0.0
            ratio = latency if arm == "candidate" else 1.0
            at = commit if arm == "candidate" else self.production
            record = self.run(
                name, arm, purposes[kind], at, seed, 0.92 + gain, costs={"latency_ms": 0.02 * ratio, "memory_mb": 60.0}
            )
            return self.value(record, costs_only=kind == "cost")

        decision = self._looks(name, commit, start, policy, draw)
        outcome = "archive" if decision.outcome == "bad_evidence" else decision.outcome
        data = {
            "outcome": outcome,
            "reason": decision.reason,
            "commit": commit,
            "production": self.production,
            "gain": decision.reported_gain,
            "gain_on": decision.gain_on,
            "log_e": decision.numbers.log_e,
            "mean": decision.numbers.mean,
            "n": decision.numbers.n,
            "interval": gain_interval(decision.numbers),
            "screen_gain": decision.numbers.screen_gain,
        }
        self.record("verdict", name, data, decision.explanation, key=f"verdict:{name}:{commit}")
        return decision

    def _looks(self, name: str, commit: str, start: Evidence, policy: Policy, draw: Draw) -> Decision:
        """Ask, record the look, run what is asked for, until there is a verdict."""
        current = start
        while True:
            decision = decide(current, policy)
            if current.stage:
                size = f"{len(current.stage)}:{len(current.fresh)}:{len(current.costs)}:0"
                data = look_record(current, decision, policy)
                self.record("look", name, data, decision.explanation, key=f"look:{name}:{commit}:{size}")
            if decision.outcome != "extend":
                return decision
            assert decision.needs is not None
            current = with_runs(current, decision.needs, draw)

    def promote(self, name: str, commit: str, gain: float | None, score: float, **settings: Any) -> None:
        verdict = self.log.find(f"verdict:{name}:{commit}")
        assert verdict is not None
        self.score(name, commit, score)
        data = {
            "commit": commit,
            "previous": self.production,
            "branch": f"agent/{name}-an-idea",
            "gain": gain,
            "gain_on": verdict.data["gain_on"],
            "verdict": verdict.seq,
            "test_score": score,
        }
        self.record("promoted", name, data, f"fresh gain {gain:+.4f}; promote", key=f"promoted:{name}:{commit}")
        self.promotions += 1
        self.make_production(name + self.production, f"promoted {name}", **settings)

    # -- runs -------------------------------------------------------------------------------------------------

    def run(
        self,
        subject: str,
        arm: Any,
        purpose: Any,
        commit: str,
        seed: int,
        value: float,
        *,
        status: Any = "ok",
        why: str = "",
        costs: dict[str, float] | None = None,
    ) -> RunRecord:
        key = RunKey(
            tree=sha(commit)[:12],
            configuration="c",
            data="d",
            environment="env",
            evaluator="eval",
            settings=purpose,
            split="dev",
            seed=seed,
        )
        metrics = (
            {"accuracy": round(value, 6), **(costs or {"latency_ms": 0.02, "memory_mb": 60.0})}
            if status == "ok"
            else {}
        )
        record = RunRecord(
            run_id=key.run_id,
            key=key,
            subject=subject,
            arm=arm,
            purpose=purpose,
            commit=commit,
            status=status,
            why=why,
            metrics=metrics,
            phases={"train": PhaseRecord(reason="ok", status=0, wall_s=1.5, peak_memory_bytes=1 << 26)},
            isolation="full",
            outputs_sha256=sha(f"{arm} {commit} {seed}"),
            verified=sha(f"shown {arm} {commit} {seed}"),
            folder=f"experiments/results/{subject}/runs/{seed}",
        )
        self.record("run_finished", subject, record.model_dump(mode="json"), why, key=f"run:{record.run_id}:1")
        self.runs += 1
        return record

    @staticmethod
    def value(record: RunRecord, costs_only: bool) -> RunValue:
        return RunValue(
            seed=record.key.seed,
            arm=record.arm,
            commit=record.commit,
            tree=record.key.tree,
            environment="env",
            evaluator="eval",
            status=record.status,
            primary=record.metrics.get("accuracy"),
            secondary=dict(record.metrics) if costs_only else {},
            run_id=record.run_id,
            isolation="full",
            outputs_sha256=record.outputs_sha256,
            attempts=record.attempt,
        )


def with_runs(evidence: Evidence, need: Need, draw: Draw) -> Evidence:
    """The evidence with the runs that the gate asked for."""
    field = {"stage": "stage", "fresh": "fresh", "cost": "costs"}[need.kind]
    merged = {made.seed: made for made in getattr(evidence, field)}
    for seed in need.candidate_seeds:
        merged[seed] = Pair(seed, draw(need.kind, seed, "candidate"))
    for seed in need.production_seeds:
        merged[seed] = replace(merged[seed], production=draw(need.kind, seed, "production"))
    return replace(evidence, **{field: tuple(merged.values())})


def hypothesis(
    name: str, title: str, gain: float = 0.015, effort: Any = "Low", quoted: bool = False, **settings: Any
) -> Hypothesis:
    """A queued idea that sets these paths (written with two underscores for the dot)."""
    values = {path.replace("__", "."): value for path, value in settings.items()}
    quote = Quote(document="Shifted copies for small images", file_sha256=DOCUMENT, page=2, text=QUOTE, verified=True)
    return Hypothesis(
        id=name,
        title=title,
        claim=f"{title} raises accuracy",
        source="Shifted copies for small images" if quoted else "search over the space",
        target_leaderboards=[BOARD],
        implementation=Implementation(
            change=", ".join(f"{p}: {v}" for p, v in values.items()), effort=effort, settings=values
        ),
        estimated_gain=gain,
        priority_score=priority(gain, effort, "normal"),
        status="queued",
        family=next(iter(values), "").split(".")[-1],
        strategy="paper" if quoted else "refine",
        quotes=[quote] if quoted else [],
    )


STRONG = (0.020, 0.022, 0.019, 0.021, 0.018, 0.023, 0.020, 0.022)
NOTHING = (0.0005, 0.001, -0.003, -0.002)
WORSE = (-0.01,)


def a_night(workspace: Workspace) -> Nights:
    """One night: a paper, four ideas (promoted, futile, worse, broken) and two that wait. Left open on disk, ended."""
    log = Nights(workspace)
    log.start_night()
    log.make_production("base", "production starts here")
    log.score("production", log.production, 0.931)
    log.baseline()
    log.start_cycle()
    log.read_board(None)
    log.stand(4, -0.056, 0.931)
    log.read_paper()
    log.open_season()
    log.propose(
        hypothesis("H-001", "Add shifted copies of the images", quoted=True, data__shifts=1),
        hypothesis("H-002", "Dropout of 0.2", 0.006, train__dropout=0.2),
        hypothesis("H-003", "A narrower layer", 0.004, model__hidden=16),
        hypothesis("H-004", "Learning rate 0.3", 0.008, train__learning_rate=0.3),
        hypothesis("H-005", "Weight decay 0.001", 0.007, "Medium", train__weight_decay=0.001),
        hypothesis("H-006", "Two views at prediction", 0.003, predict__views=5),
    )
    for name, differences in (("H-001", STRONG), ("H-002", NOTHING), ("H-003", WORSE)):
        commit = log.start_test(name)
        log.validate(name, commit)
        decision = log.judge(name, commit, differences)
        if decision.outcome == "promote":
            log.promote(name, commit, decision.reported_gain, 0.952, data__shifts=1)
            log.baseline(0.94)
            log.stand(2, -0.035, 0.952, why="rank rose")
        log.end_cycle(hypothesis=name, outcome=decision.outcome, report="not_due")
        log.start_cycle()
    log.validate("H-004", log.start_test("H-004"), ok=False)
    log.end_cycle(hypothesis="H-004", verdict="archived", report="written")
    log.end_night()
    return log

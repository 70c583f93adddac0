"""Questions with one fact for an answer: the test score, crashes, what runs, false promotions, the leader, what
production costs and what language models were paid.

Called by `agent.ask` before the broader readings. No sentence where the log holds no such fact, or where the
question names something that is no board and no metric of ours.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agent.answers import spending
from agent.answers.overviews import MOST, verdict_line
from agent.answers.sentences import Sentence, fact, listed, plural, safe, score_unknown, when
from agent.chronicle import Chronicle
from registry.audit_events import Event

if TYPE_CHECKING:
    from agent.answers.questions import Kind, Question
    from registry.standings import Snapshot
    from registry.workspace import Workspace

AHEAD = 5
NIGHTS = 5
"""Latest nights whose models are told apart from the sum."""
COSTS = {"latency": ("latency_ms", "latency", " ms"), "memory": ("memory_mb", "memory", " MB")}


def told(kind: Kind, asked: Question, known: Chronicle, workspace: Workspace) -> list[Sentence]:
    """The answer to a narrow question."""
    boards = [board for board in known.standings if set(board.lower().split()) & set(asked.names)]
    metrics = {account.last_look["evidence"]["metric"] for account in known.accounts.values() if account.last_look}
    places = {word for board in known.standings for word in board.lower().split()} | metrics
    if set(asked.names) - places:
        return []
    if kind == "test_score":
        return test_score(known)
    if kind == "crashes":
        return crashes(known)
    if kind == "running":
        return running(known)
    if kind == "false_promotions":
        return false_promotions(known)
    if kind == "leader":
        return leader(known, boards or list(known.standings), workspace)
    if kind == "model_costs":
        return model_costs(known, asked)
    wanted = [name for name in COSTS if name in asked.text.lower()] or list(COSTS)
    return costs(known, wanted)


def test_score(known: Chronicle) -> list[Sentence]:
    """Production's own look at the test split, or that there is none; then the earlier looks."""
    if not known.productions:
        return []
    now = known.productions[-1]
    commit = now.data["commit"]
    own = known.looks_at_production()
    sentences = []
    if own:
        look = own[-1]
        models = plural(len(look.data["values"]), "model")
        text = f"The test score of production (commit {safe(commit[:12])}) is {look.data['mean']:.4f}"
        sentences.append(
            fact(f"{text}, the mean over {models} (look {look.data['look']} of {look.data['of']}).", look, now)
        )
    else:
        refused = [
            alert for alert in known.alerts if alert.kind == "test_look_refused" and alert.data["commit"] == commit
        ]
        why = f": {safe(refused[-1].reason)}" if refused else ": it was not looked at on the test split"
        text = f"The test score of production (commit {safe(commit[:12])}) is not known{why}."
        sentences.append(fact(text, now, *refused[-1:]))
    sentences += [
        fact(f"- Look {look.data['look']}, {safe(look.subject, 40)}: {look.data['mean']:.4f}.", look)
        for look in known.test_looks
        if look not in own[-1:]
    ]
    if not known.test_looks:
        sentences += [
            fact(f"{safe(score.subject, 100)}: {score.data['score']:.4f}, {safe(score.reason)}.", score)
            for score in known.scores[-1:]
        ]
    return sentences


def crashes(known: Chronicle) -> list[Sentence]:
    """Hypotheses with runs that did not end well, newest first."""
    if known.last is None:
        return []
    found = [account for account in known.accounts.values() if account.failed_runs]
    runs = sum(count for status, count in known.run_outcomes.items() if status != "ok")
    count = "1 hypothesis" if len(found) == 1 else f"{len(found)} hypotheses"
    head = fact(
        f"{count} had runs that crashed or were ended; {runs} of {plural(known.runs, 'run')} in all.", known.last
    )
    rest = [fact(f"{len(found) - MOST} older ones are not shown.", known.last)] if len(found) > MOST else []
    return [head, *map(verdict_line, reversed(found[-MOST:])), *rest]


def running(known: Chronicle) -> list[Sentence]:
    """What the log has begun and not ended, with the moment of its last event: a process that died is not in it."""
    last = known.last
    if last is None:
        return []
    night = known.nights[-1] if known.nights else None
    if night is None:
        return [fact("Nothing is running: no night has been started.", last)]
    if night.ended is not None:
        ended = f"{night.id} ended {when(night.ended)}: {safe(night.ended.reason)}"
        return [fact(f"Nothing is running. {ended}.", night.ended)]
    cycle = f", in cycle {known.history.cycle.number}" if known.history.cycle is not None else ""
    upto = f"its last event was written {when(last)}"
    sentences = [fact(f"{night.id} has been open since {when(night.started)}{cycle}; {upto}.", night.started, last)]
    for hypothesis in known.history.with_status("active"):
        account = known.accounts[hypothesis.id]
        text = f"- {hypothesis.id} is under test: {safe(hypothesis.title, 150)}, {plural(account.runs, 'run')} so far."
        sentences.append(fact(text, account.started or account.proposed))
    open_runs = list(known.history.unfinished_runs.values())
    if open_runs:
        names = [f"{run['subject']} {run['purpose']} seed {run['key']['seed']}" for run in open_runs]
        sentences.append(fact(f"{plural(len(open_runs), 'run')} started and not finished: {listed(names)}.", last))
    if len(sentences) == 1:
        sentences.append(fact("No hypothesis is under test at this moment.", last))
    return sentences


def false_promotions(known: Chronicle) -> list[Sentence]:
    """What is controlled. Which promotions are false nobody can read from a log."""
    from agent.answers import season

    found = season.facts(known.history)
    if found is None or not known.seasons:
        return []
    opened = known.seasons[-1]
    promoted = [account.promoted for account in known.accounts.values() if account.promoted is not None]
    head = fact(
        "Which promotions are false the log cannot know; what is controlled is how many are to be expected.", opened
    )
    if found.policy != "e-night":
        text = f"The policy {safe(found.policy, 40)} controls no share of false promotions over a season."
        return [head, fact(text, opened)]
    share = f"Over a season the expected share of false promotions is at most alpha = {found.alpha:.0%}"
    now = f"season {found.id} has promoted {found.promotions} of {plural(found.started, 'candidate')}"
    total = f"{plural(len(promoted), 'promotion')} in all"
    return [head, fact(f"{share}; {now}, {total}.", opened, *promoted[-3:])]


def leader(known: Chronicle, boards: list[str], workspace: Workspace) -> list[Sentence]:
    """Who is first on each board, by its last reading, and who else is ahead of us."""
    sentences = []
    for board in boards:
        standing, reading = known.standings[board], known.readings.get(board)
        snapshot = _snapshot(reading, workspace)
        if snapshot is None or reading is None:
            continue
        unknown = score_unknown(known.history, board)
        sentences.append(_leader(board, standing, reading, snapshot, _our_name(workspace, board), unknown))
    return sentences


def _leader(board: str, standing: Event, reading: Event, snapshot: Snapshot, ours: str, unknown: str) -> Sentence:
    from tools.leaderboards import ranking
    from tools.leaderboards.names import same_name

    score, rank, name = standing.data["score"], standing.data["rank"], safe(board, 100)
    others = sorted(
        ((ranking.oriented(snapshot, value), entry.name, value) for entry, value in ranking.scored(snapshot)
         if not same_name(entry.name, ours)),
        key=lambda row: -row[0],
    )  # fmt: skip
    shown = [f"{safe(other, 80)} with {value:.4f}" for _, other, value in others]
    if unknown:
        rank = score = None
    us = f"our score is {unknown}" if unknown else ""
    if not us:
        us = f"we are #{rank} with {score:.4f}" if rank is not None and score is not None else "we are not ranked"
    if rank == 1:
        text = f"we are first with {score:.4f}" + (f"; the next is {shown[0]}" if shown else "")
    elif not shown:
        text = f"nobody has a score; {us}"
    else:
        ahead = [row for row in others if score is not None and row[0] > ranking.oriented(snapshot, score)]
        more = f"; ahead of us too: {listed(shown[1 : len(ahead)], AHEAD)}" if len(ahead) > 1 else ""
        text = f"{shown[0]} is first; {us}{more}"
    return fact(f"{name}: {text} (read {when(reading)}).", standing, reading)


def _snapshot(reading: Event | None, workspace: Workspace) -> Snapshot | None:
    from registry.blobs import Blobs
    from registry.errors import AgentError
    from registry.standings import Snapshot

    if reading is None or not reading.data.get("snapshot"):
        return None
    try:
        return Snapshot.model_validate_json(Blobs(workspace.blobs).get(reading.data["snapshot"]))
    except (AgentError, OSError):
        return None


def _our_name(workspace: Workspace, board: str) -> str:
    """Our name on the board; empty where the registry cannot be read, and then nobody there is taken for us."""
    from registry.documents import load_competitive
    from registry.errors import BadInput

    try:
        registry = load_competitive(workspace.competitive_registry)
    except BadInput:
        return ""
    entries = [each.our_entry for each in registry.target_leaderboards if each.name == board and each.our_entry]
    return entries[0] if entries else registry.our_solution.name


def costs(known: Chronicle, wanted: list[str]) -> list[Sentence]:
    """Latency and memory of production, from every run in which the host measured them."""
    if not known.productions:
        return []
    event, sentences = known.productions[-1], []
    commit = event.data["commit"]
    for name in wanted:
        metric, word, unit = COSTS[name]
        found = known.costs.get(commit, {}).get(metric)
        if found is None:
            why = "costs are measured where a gain is confirmed, in a test with a limit for them"
            sentences.append(fact(f"No {word} is recorded for production (commit {safe(commit[:12])}); {why}.", event))
            continue
        mean = f"{found.total / found.runs:.4g}{unit}"
        text = f"Production's {word} is {mean}, the mean over {plural(found.runs, 'run')} of commit {safe(commit[:12])}"
        span = f"{found.low:.4g} to {found.high:.4g}{unit}"
        sentences.append(fact(f"{text} ({span}).", event, found.first, found.last))
    return sentences


def model_costs(known: Chronicle, asked: Question) -> list[Sentence]:
    """What language models were asked and paid: in all, then in each of the latest nights; or in the last one."""
    usage, last = known.history.models, known.last
    if last is None:
        return []
    found = [
        fact(f"{span.id}: {line}.", *span.events)
        for span in known.nights[-1 if asked.last_night else -NIGHTS :]
        if (line := spending.told(usage.of_night(span.id), span.silences))
    ]
    if asked.last_night:
        span = known.nights[-1:]
        return found or [fact(f"{one.id} asked no language model.", *one.events) for one in span]
    silences = sum((span.silences for span in known.nights), Counter[str]())
    total = spending.told(usage.total, silences)
    if not total:
        return [fact("No language model has been asked so far.", last)]
    return [fact(f"In all, {total}.", last), *found[::-1]]

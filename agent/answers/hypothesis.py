"""The story of one hypothesis in sentences: what became of it and why, its numbers, criteria, seeds, source, commit.

Called by `agent.ask` with the whole account of the hypothesis, read through the index.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from agent.account import Account
from agent.answers import overviews, submissions
from agent.answers.sentences import (
    Sentence,
    duration,
    exponential,
    fact,
    in_its_unit,
    listed,
    plural,
    safe,
    signed,
    when,
)
from registry.audit_events import Event

VERBS = {"promoted": "promoted", "archived": "archived", "parked": "parked"}


def story(account: Account, events: list[Event], outcome: str = "", aspect: str = "") -> list[Sentence]:
    """Every sentence about it; with an aspect only the headline and what belongs to that aspect.

    `outcome` is what the question takes for granted; where it is not so, the headline says so.
    """
    everything = [*_headline(account, events, outcome), *_earlier(account, events), *_idea(account)]
    everything += [*_gap(account), *_numbers(account), *_criteria(account)]
    everything += [*_seeds(account, events), *_runs(events), *_source(account)]
    everything += [*_attempts(events), *_patch(account), *_after(account)]
    chosen = [sentence for sentence in everything if sentence.section in {"headline", aspect}]
    return everything if not aspect or len(chosen) < 2 else chosen


def _headline(account: Account, events: list[Event], outcome: str) -> Iterator[Sentence]:
    name, closing = account.hypothesis.id, account.closing
    denial = f"{name} {_denied(events, outcome)}. " if outcome in VERBS and account.status != outcome else ""
    if closing is None:
        state = f"{denial}{name} is {account.status}: {safe(account.hypothesis.title)}."
        yield fact(state, account.started or account.proposed, section="headline")
        return
    why = safe(account.reason, 600).rstrip(".")
    code = _code(account)
    sentence = f"{denial}{name} was {account.status} on {when(closing)}{code}: {why}."
    yield fact(sentence, account.ended, account.promoted, section="headline")


def _denied(events: list[Event], outcome: str) -> str:
    """What it is instead: what was parked or held may be so no longer."""
    was = outcome == "parked" and any(e.kind == "verdict" and e.data["outcome"] == "park" for e in events)
    return "is not parked any more" if was else f"was not {VERBS[outcome]}"


def _earlier(account: Account, events: list[Event]) -> Iterator[Sentence]:
    """Verdicts that are not the last word any more, and what put it back into the queue."""
    for event in events:
        if event.kind == "verdict" and event.seq != _seq(account.verdict):
            code = safe(str(event.data["reason"]), 60)
            yield fact(f"Earlier verdict, {when(event)}: {event.data['outcome']} ({code}): {safe(event.reason)}", event)
        elif event.kind == "released":
            yield fact(f"Released by a person on {when(event)}: {safe(event.reason)}.", event)
        elif event.kind == "hypothesis_requeued":
            yield fact(f"Back in the queue on {when(event)}: {safe(event.reason)}.", event)


def _seq(event: Event | None) -> int:
    return event.seq if event is not None else 0


def _code(account: Account) -> str:
    event = account.ended
    code = (event.data.get("reason") or event.data.get("code") or "") if event is not None else ""
    return f" ({safe(str(code), 60)})" if code else ""


def _idea(account: Account) -> Iterator[Sentence]:
    idea = account.hypothesis
    by = f"proposed by {safe(account.researcher, 160)}" if account.researcher else "proposed"
    if idea.source.strip().lower() != account.researcher.strip().lower():
        by += f" from {safe(idea.source)}"
    if account.calls:
        by += f" (model call {', '.join(safe(call, 16) for call in account.calls)})"
    yield fact(f"Idea: {safe(idea.title)} — {safe(idea.implementation.change).rstrip('.')}.", account.proposed)
    yield fact(
        f"It was {by}; effort {idea.implementation.effort}, estimated gain "
        f"{signed(idea.estimated_gain)}, priority {idea.priority_score:g}.",
        account.proposed,
        section="source",
    )
    if files := idea.implementation.files:
        yield fact(
            f"It asks for code in {', '.join(safe(path, 100) for path in files)}.", account.proposed, section="patch"
        )
    if settings := idea.implementation.settings:
        values = "; ".join(f"{safe(path, 100)} = {safe(str(value), 100)}" for path, value in settings.items())
        yield fact(f"It sets {values}.", account.proposed, section="patch")


def _gap(account: Account) -> Iterator[Sentence]:
    if account.gap_note is not None:
        for line in account.gap_note.data["notes"]:
            yield fact(f"Gap analysis: {safe(line, 400)}", account.gap_note, section="gap")


def _numbers(account: Account) -> Iterator[Sentence]:
    look, gate = account.last_look, account.gate
    if look is None:
        return
    event, numbers, metric = account.looks[-1], look["numbers"], safe(look["evidence"]["metric"], 60)
    n = numbers["n"]
    if numbers["mean"] is not None:
        spread = f", sd {numbers['sd']:.4f}" if numbers["sd"] is not None and n > 1 else ""
        p = numbers["p_two_sided"]
        tested = f", two-sided paired t-test p = {float(p):.3g}" if p is not None else ""
        where = f"{plural(n, 'paired seed')} (look {len(account.looks)})"
        yield fact(
            f"Over {where} the mean difference in {metric} was {signed(numbers['mean'])}{spread}{tested}.", event
        )
    elif numbers["screen_gain"] is not None:
        gain = signed(numbers["screen_gain"])
        yield fact(f"After {plural(n, 'run')} it stood {gain} in {metric} from production's baseline.", event)
    if numbers["log_e"] is not None and numbers["log_bar"] is not None:
        place = ""
        if gate is not None:
            data = gate.data
            place = f"; candidate {data['t']} of {data['planned']} in season {data['season']}, R = {data['promotions']}"
        e, bar = exponential(numbers["log_e"]), exponential(numbers["log_bar"])
        yield fact(f"Evidence E = {e} against the bar 1/α_t = {bar}{place}.", event, gate)
    if numbers["fresh_mean"] is not None:
        where = look["decision"]["gain_on"] or plural(len(account.pairs("fresh")), "fresh seed")
        text = f"On {where} the mean gain in {metric} was {signed(numbers['fresh_mean'])}"
        told = look["decision"]["reported_gain"] is not None
        ending = "this is the only gain that is reported" if told else "no gain is reported of what is not promoted"
        yield fact(f"{text}; {ending}.", event, account.verdict)
    for cost in numbers["costs"]:
        bound, limit = math.expm1(float(cost["bound"])), math.expm1(float(cost["limit"]))
        text = f"Cost {safe(cost['name'], 60)}: upper bound of the change {bound:+.1%}, limit {limit:+.0%}, "
        text += f"over {plural(cost['n'], 'pair')}."
        yield fact(text, event, section="costs")


def _criteria(account: Account) -> Iterator[Sentence]:
    if not account.looks:
        return
    event = account.looks[-1]
    policy = safe(event.data["policy"]["name"], 40)
    yield fact(f"Criteria of the policy {policy}:", event)
    for row in account.rows:
        result = row["result"].replace("_", " ")
        binding = "" if row["binding"] else " (not binding)"
        required = f"value {in_its_unit(row)}, required {safe(row['requirement'], 120)}"
        text = f"- {safe(row['name'], 40)}: {result}{binding}; {required}"
        why = f"; {safe(row['why'], 200).rstrip('.')}" if row["why"] else ""
        costs = "costs" if row["name"] in event.data["evidence"]["cost_limits"] else ""
        yield fact(f"{text}{why}.", event, section=costs)
    for flag in event.data["decision"]["flags"]:
        yield fact(f"Flag: {safe(str(flag), 80)}.", event)


def _seeds(account: Account, events: list[Event]) -> Iterator[Sentence]:
    for title, line in (("Deciding", "stage"), ("Fresh", "fresh"), ("Cost", "costs")):
        if seeds := [pair["seed"] for pair in account.pairs(line)]:
            yield fact(f"{title} seeds: {listed(seeds, 40)}.", account.looks[-1], section="seeds")
    if not account.looks and account.gate is not None:
        used = overviews.seeds_used(account.gate, events)
        yield fact(used.text.removeprefix("- "), *used.events, section="seeds")


def _runs(events: list[Event]) -> Iterator[Sentence]:
    runs = [event for event in events if event.kind == "run_finished"]
    if not runs:
        return
    seconds = sum(phase["wall_s"] for event in runs for phase in event.data["phases"].values())
    failed = sum(event.data["status"] != "ok" for event in runs)
    text = f"It took {plural(len(runs), 'run')} and {duration(seconds)} of run time"
    if failed:
        which = "it" if len(runs) == 1 else f"all {failed} of them" if failed == len(runs) else f"{failed} of them"
        text += f"; {which} failed"
    yield fact(f"{text} (the first and the last of them are cited).", runs[0], runs[-1], section="costs")


def _source(account: Account) -> Iterator[Sentence]:
    for quote in account.hypothesis.quotes:
        checked = "found verbatim on that page" if quote.verified else "NOT found on that page"
        where = f"{safe(quote.document, 200)}, p. {quote.page}, file sha256 {safe(quote.file_sha256, 64)}"
        yield fact(f"Source: “{safe(quote.text, 500)}” — {where}; {checked}.", account.proposed, section="source")


def _attempts(events: list[Event]) -> Iterator[Sentence]:
    """Each attempt at its code that was refused, with the reason, and which one was taken."""
    for event in events:
        if event.kind != "patch_attempted":
            continue
        became = "was taken" if event.data["taken"] else f"was refused: {safe(event.reason, 300).rstrip('.')}"
        text = f"Attempt {event.data['number']} of {event.data['of']} at its code {became}."
        yield fact(text, event, section="patch")


def _patch(account: Account) -> Iterator[Sentence]:
    if account.patch is not None:
        data = account.patch.data
        files = f", files {listed(data['files'])}" if data.get("files") else ""
        empty = " (an empty change)" if data["empty"] else ""
        text = f"Patch: commit {safe(data['commit'], 40)} on branch {safe(data['branch'], 120)}{files}{empty}."
        yield fact(text, account.patch, section="patch")
    if account.environment:
        yield fact(f"{safe(account.environment, 600).capitalize()}.", account.verdict, section="patch")
    if account.validated is not None:
        verb = "passed" if account.validated.data["ok"] else "failed"
        yield fact(f"Fast validation {verb}: {safe(account.validated.reason)}.", account.validated)


def _after(account: Account) -> Iterator[Sentence]:
    if account.test_look is not None:
        data = account.test_look.data
        text = f"Test split, look {data['look']} of {data['of']}: {data['mean']:.4f}; it decided nothing."
        yield fact(text, account.test_look)
    if account.submission is not None:
        yield fact(f"Submission: {submissions.told(account.submission)}.", account.submission)

"""`agent queue list|add|show|drop`: what waits to be tried. Adding and dropping work beside a running night."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

from agent.cli.options import common, find_workspace, print_json

if TYPE_CHECKING:
    from agent.handwork import Idea
    from registry.hypotheses import Hypothesis


@click.group("queue")
def command() -> None:
    """List, add, show and drop hypotheses."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what has an outcome.")
@common
def list_queue(everything: bool, workspace_dir: Path | None, as_json: bool) -> int:
    """Show what is under test and what waits, best priority first."""
    from agent.chronicle import chronicle
    from agent.readers import Reader

    known = chronicle(Reader(find_workspace(workspace_dir)).events())
    history = known.history
    waiting = [*history.with_status("active"), *history.with_status("queued")]
    rest = [h for h in history.hypotheses.values() if h.status not in {"active", "queued"}] if everything else []
    shown = [*waiting, *rest]
    if as_json:
        print_json([{**h.model_dump(mode="json"), "why": history.why.get(h.id, "")} for h in shown])
    elif shown:
        _print_table(shown)
    else:
        click.echo("The queue is empty." if not everything else "No hypothesis is recorded.")
    return 0


def _print_table(hypotheses: list[Hypothesis]) -> None:
    from agent.answers.sentences import safe

    click.echo(f"{'Id':7} {'Status':9} {'Priority':>8} {'Gain':>8}  {'Effort':7} {'Tier':7} Change")
    for item in hypotheses:
        numbers = f"{item.priority_score:8.3g} {item.estimated_gain:+8.4f}"
        effort = item.implementation.effort
        click.echo(f"{item.id:7} {item.status:9} {numbers}  {effort:7} {item.tier:7} {safe(item.title, 100)}")


@command.command("add")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="A setting to change; may be repeated.")
@click.option("--title", default="", help="The idea in a few words.")
@click.option(
    "--gain",
    type=click.FloatRange(0.0, 1e9),
    default=None,
    help="Expected gain in the primary metric's unit; needed with --set and --code.",
)
@click.option("--code", default="", metavar="WHAT", help="What a language model is to write, in words.")
@click.option("--file", "paths", multiple=True, metavar="PATH", help="A file to write it in; may be repeated.")
@click.option("--effort", type=click.Choice(["Low", "Medium", "High"]), default="Low", show_default=True)
@click.option("--source", default="a person", show_default=True, help="Where the idea comes from.")
@common
def add(
    file: Path | None, settings: tuple[str, ...], title: str, gain: float | None, code: str, paths: tuple[str, ...],
    effort: str, source: str, workspace_dir: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Add an idea: a YAML file in the documents' form, or settings or code with a title and a gain.

    What --code says is written as a patch by the model of `agent run --researcher llm`; it waits in other nights.

    Exit status 1: it repeats what waits, what was tried or what production has; the refusal is recorded.
    """
    from agent import handwork
    from registry.documents import load_target

    workspace = find_workspace(workspace_dir)
    target = load_target(workspace.target)
    if (file is None) == (not settings and not code and not paths):
        raise click.UsageError("either FILE, or --set or --code and --file, with --title and --gain")
    idea: Idea | Hypothesis
    if file is not None:
        idea = handwork.from_file(workspace, file)
    else:
        idea = _coded(_idea(settings, title, gain, effort, source), code, paths)
    done = handwork.add(workspace, target, idea, file.name if file is not None else "--file" if paths else "--set")
    hypothesis = done.hypothesis
    if as_json:
        print_json(
            {
                "taken": done.taken,
                "reason": done.event.reason,
                "event": done.event.seq,
                "hypothesis": hypothesis.model_dump(mode="json"),
            }
        )
    elif done.taken:
        click.echo(f"{hypothesis.id} queued with priority {hypothesis.priority_score:g} (event {done.event.seq})")
    else:
        click.echo(f"Refused: {done.event.reason} (event {done.event.seq})")
    return 0 if done.taken else 1


def _coded(idea: Idea, code: str, paths: tuple[str, ...]) -> Idea:
    """The idea with what is to be written, where that is asked for."""
    from dataclasses import replace

    from sandbox.outputs import plain_text

    words = " ".join(plain_text(code, 2000).split())
    if bool(words) != bool(paths):
        raise click.UsageError("--code says what to write and --file where: one needs the other")
    return replace(idea, change=words, files=tuple(dict.fromkeys(paths))) if words else idea


def _idea(settings: tuple[str, ...], title: str, gain: float | None, effort: str, source: str) -> Idea:
    import math

    from agent import handwork
    from sandbox.outputs import plain_text

    words = " ".join(plain_text(title, 200).split())
    if not words or gain is None or not math.isfinite(gain):
        raise click.UsageError("--set and --code need --title and --gain (a number), which rank the idea")
    chosen = cast("Literal['Low', 'Medium', 'High']", effort)
    return handwork.Idea(words, dict(map(handwork.setting, settings)), gain, chosen, source=plain_text(source, 200))


@command.command("show")
@click.argument("hypothesis")
@common
def show(hypothesis: str, workspace_dir: Path | None, as_json: bool) -> int:
    """Show one hypothesis in the documents' form, and what became of it."""
    from agent.readers import Reader
    from registry.documents import dump_hypothesis

    account = Reader(find_workspace(workspace_dir)).account(hypothesis)
    status = {"being promoted": "active", "under test": "active"}.get(account.status, account.status)
    item = account.hypothesis.model_copy(update={"status": status})
    if as_json:
        print_json(
            {"hypothesis": item.model_dump(mode="json"), "reason": account.reason, "events": account.event_numbers()}
        )
        return 0
    click.echo(dump_hypothesis(item).rstrip())
    events = ", ".join(map(str, account.event_numbers()))
    click.echo(f"# {account.status}" + (f": {account.reason}" if account.reason else "") + f" (events {events})")
    return 0


@command.command("drop")
@click.argument("hypothesis")
@click.option("--reason", required=True, help="Why; it stays in the log.")
@common
def drop(hypothesis: str, reason: str, workspace_dir: Path | None, as_json: bool) -> int:
    """Take a waiting hypothesis out of the queue."""
    from agent import handwork
    from sandbox.outputs import plain_text

    words = " ".join(plain_text(reason, 500).split())
    if not words:
        raise click.UsageError("--reason needs words")
    event = handwork.drop(find_workspace(workspace_dir), hypothesis, words)
    if as_json:
        print_json({"hypothesis": hypothesis, "reason": event.reason, "event": event.seq})
    else:
        click.echo(f"{hypothesis} archived: {event.reason} (event {event.seq})")
    return 0

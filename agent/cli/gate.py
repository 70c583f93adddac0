"""`agent gate H-042`: the criteria table of a verdict, recomputed from the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from agent.cli.options import common, find_workspace, print_json


@click.command("gate")
@click.argument("hypothesis")
@common
def command(hypothesis: str, workspace_dir: Path | None, as_json: bool) -> int:
    """Show the deciding look of a hypothesis and recompute it from raw values.

    Exit status 0: promote; 1: anything else; 2: the record does not reproduce.
    """
    from agent.readers import Reader
    from experiments import gate
    from registry.errors import BadInput, Problem

    account = Reader(find_workspace(workspace_dir)).account(hypothesis)
    differences = {event.seq: gate.recompute(event.data) for event in account.looks}
    look = account.last_look
    if look is None:
        raise BadInput(Problem(hypothesis, f"status {account.status}: no look of the gate", "a hypothesis it judged"))
    outcome, reason = look["decision"]["outcome"], look["decision"]["reason"]
    broken = {seq: found for seq, found in differences.items() if found}
    if as_json:
        print_json({"hypothesis": hypothesis, "outcome": outcome, "reason": reason, "look": look, "broken": broken})
    else:
        _print(hypothesis, look, account.looks[-1].seq, len(account.looks), broken)
    if broken:
        return 2
    return 0 if outcome == "promote" else 1


def _print(hypothesis: str, look: dict[str, Any], seq: int, looks: int, broken: dict[int, list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("Criterion", "Value", "Requirement", "Result", "Binding"):
        table.add_column(name, justify="right" if name == "Value" else "left")
    for row in look["rows"]:
        value = "–" if row["value"] is None else f"{row['value']:.5g}"
        result = Text(
            row["result"].replace("_", " "), style={"passed": "green", "failed": "red"}.get(row["result"], "")
        )
        table.add_row(Text(row["name"]), value, Text(row["requirement"]), result, "yes" if row["binding"] else "no")
    decision = look["decision"]
    console.print(Text(f"{hypothesis}: {decision['outcome']} ({decision['reason']}), policy {look['policy']['name']}"))
    console.print(table)
    console.print(Text(decision["explanation"]))
    if not broken:
        console.print(Text(f"Recomputed from event {seq}: all {looks} looks reproduce.", style="dim"))
    for event, found in broken.items():
        for line in found:
            console.print(Text(f"event {event} does not reproduce: {line}", style="red"))

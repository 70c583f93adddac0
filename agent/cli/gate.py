"""`agent gate H-042 | FILE`: the criteria table of a verdict, recomputed from the log or judged from a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.options import common, find_workspace, print_json

if TYPE_CHECKING:
    from agent.account import Account

BAD_EVIDENCE = 2


@click.command("gate")
@click.argument("subject", metavar="HYPOTHESIS|FILE")
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Write the evidence of a hypothesis's last look to a new file, in the form that FILE has.",
)
@common
def command(subject: str, save: Path | None, workspace_dir: Path | None, as_json: bool) -> int:
    """Show the deciding look of a hypothesis, recomputed from raw values, or judge the evidence in a file.

    FILE is YAML or JSON in the form of docs/evidence.md, from wherever its values come; it needs no workspace.

    Exit status 0: promote; 1: anything else; 2: bad evidence, or a record that does not reproduce.
    """
    if re.fullmatch(r"H-\d+", subject):
        return _of_hypothesis(subject, save, workspace_dir, as_json)
    if save is not None:
        raise click.UsageError("--save writes the evidence of a hypothesis; FILE is a file already")
    return _of_file(Path(subject), as_json)


def _of_hypothesis(hypothesis: str, save: Path | None, workspace_dir: Path | None, as_json: bool) -> int:
    from agent.readers import Reader
    from experiments import gate
    from registry.errors import BadInput, Problem

    account = Reader(find_workspace(workspace_dir)).account(hypothesis)
    differences = {event.seq: gate.recompute(event.data) for event in account.looks}
    look = account.last_look
    if look is None:
        raise BadInput(Problem(hypothesis, f"status {account.status}: no look of the gate", "a hypothesis it judged"))
    broken = {seq: found for seq, found in differences.items() if found}
    if save is not None and not broken:
        _save(save, look)
    if as_json:
        print_json({"hypothesis": hypothesis, **_verdict(look), "look": look, "broken": broken})
    else:
        _print(hypothesis, look)
        _print_recomputed(account, broken)
        if save is not None:
            click.echo(f"Not written: {save}" if broken else f"Evidence written to {save}")
    return BAD_EVIDENCE if broken else _status(look)


def _of_file(path: Path, as_json: bool) -> int:
    from experiments import evidence_files, gate
    from registry.documents import load_evidence

    document = load_evidence(path)
    evidence, policy = evidence_files.evidence_of(document), evidence_files.policy_of(document)
    look = gate.look_record(evidence, gate.decide(evidence, policy), policy)
    if as_json:
        print_json({"hypothesis": document.hypothesis, **_verdict(look), "look": look})
    else:
        _print(document.hypothesis, look)
    return _status(look)


def _verdict(look: dict[str, Any]) -> dict[str, Any]:
    return {"outcome": look["decision"]["outcome"], "reason": look["decision"]["reason"]}


def _status(look: dict[str, Any]) -> int:
    return {"promote": 0, "bad_evidence": BAD_EVIDENCE}.get(look["decision"]["outcome"], 1)


def _save(path: Path, look: dict[str, Any]) -> None:
    from experiments import evidence_files, gate
    from experiments.gate.policies import policy_from_parameters
    from registry.errors import BadInput, Problem

    policy = policy_from_parameters(*(look["policy"][name] for name in ("name", "version", "parameters")))
    document = evidence_files.document_of(gate.evidence_from_record(look), policy)
    content = document.model_dump(mode="json", exclude_none=True)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise BadInput(Problem(str(path), (error.strerror or "an error").lower(), "a new file")) from None


def _print(hypothesis: str, look: dict[str, Any]) -> None:
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
    if (needs := decision["needs"]) is not None:
        console.print(Text(_needed(needs)))


def _needed(needs: dict[str, Any]) -> str:
    """The runs that the gate asks for, by arm and seed."""
    parts = [
        f"{arm} on seeds {', '.join(map(str, needs[f'{arm}_seeds']))}"
        for arm in ("candidate", "production")
        if needs[f"{arm}_seeds"]
    ]
    kind = {"stage": "next pairs", "fresh": "fresh pairs", "cost": "cost pairs, with nothing else running"}
    if needs["kind"] == "baseline":
        return f"To run: production on {needs['up_to']} seeds of its own, for the baseline."
    return f"To run ({kind[needs['kind']]}): {'; '.join(parts)}."


def _print_recomputed(account: Account, broken: dict[int, list[str]]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not broken:
        count = len(account.looks)
        looks = "its one look reproduces" if count == 1 else f"all {count} looks reproduce"
        text = f"Recomputed from event {account.looks[-1].seq}: {looks}."
        console.print(Text(text, style="dim"))
    for event, found in broken.items():
        for line in found:
            console.print(Text(f"event {event} does not reproduce: {line}", style="red"))

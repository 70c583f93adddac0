"""`agent init`: a workspace for a git repository, made by looking at it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.options import print_json

if TYPE_CHECKING:
    from agent.scaffolding.answers import Plan, Said
    from agent.scaffolding.looking import Findings


@click.command("init")
@click.argument("repository", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--workspace",
    "workspace_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the workspace is made; default: <repository>-agent beside the repository.",
)
@click.option("--name", default=None, help="Name of the solution, on boards too.")
@click.option("--base", default="", help="Your branch that production starts from; default: the one checked out.")
@click.option("--build", default=None, metavar="COMMAND", help='Such as "cc -O2 -o {out}/solution main.c".')
@click.option(
    "--train", default=None, metavar="COMMAND", help='Such as "python train.py --config {config} --out {out}".'
)
@click.option("--predict", default=None, metavar="COMMAND", help="With {model}, {inputs} and {out}.")
@click.option("--evaluate", default=None, metavar="COMMAND", help="With {predictions}, {labels} and {out}.")
@click.option("--config", default=None, metavar="PATH", help="The file with every setting.")
@click.option("--metric", default=None, help="The primary metric's name in metrics.json.")
@click.option("--higher-is-better/--lower-is-better", "higher", default=None, help="Which way the metric goes.")
@click.option("--board", default=None, metavar="NAME", help="The leaderboard to compete on.")
@click.option("--url", default=None, help="Its address.")
@click.option(
    "--scrape-method",
    default=None,
    type=click.Choice(["html_table", "embedded_json", "api", "csv", "git_file", "manual", "rss"]),
    help="How it is read; default: html_table.",
)
@click.option("--python", default=None, metavar="PATH", help="The solution's own interpreter.")
@click.option("--data", default=None, metavar="PATH", help="Folder of training data.")
@click.option("--inputs-dev", default=None, metavar="PATH", help="Folder with the dev split's inputs.")
@click.option("--inputs-test", default=None, metavar="PATH", help="Folder with the test split's inputs.")
@click.option("--labels-dev", default=None, metavar="PATH", help="Folder with the dev split's labels.")
@click.option("--labels-test", default=None, metavar="PATH", help="Folder with the test split's labels.")
@click.option("--domain", default=None, help="What the solution is about, such as vision.")
@click.option("--endpoint", default=None, metavar="URL", help="An OpenAI-compatible server; writes models.yaml.")
@click.option("--model", default=None, metavar="NAME", help="The model to ask there.")
@click.option("--key-env", default=None, metavar="VARIABLE", help="The environment variable that holds its key.")
@click.option(
    "--price", default=None, metavar="IN/OUT", help="Its price in USD for a million tokens; not for a server nearby."
)
@click.option("--yes", "-y", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; asks nothing.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")
def command(
    repository: Path | None,
    workspace_dir: Path | None,
    base: str,
    higher: bool | None,
    endpoint: str | None,
    model: str | None,
    key_env: str | None,
    price: str | None,
    yes: bool,
    as_json: bool,
    **said: str | None,
) -> int:
    """Make a workspace for a git REPOSITORY (default: the one this folder is in).

    Looks for scripts, settings, data and an interpreter, without running or changing anything there. What is not
    found is asked for on a terminal; elsewhere the flag that says it is named. With --endpoint, and in a workspace that
    is there already, models.yaml alone is written.
    """
    from agent.scaffolding import answers, joining, looking, making, models_file
    from registry.workspace import default_for

    if endpoint is None and (model or key_env or price):
        raise click.UsageError("--model, --key-env and --price go with --endpoint")
    models = {} if endpoint is None else {"models.yaml": models_file.text(endpoint, model, key_env, price)}

    root = looking.find_root(Path.cwd()) if repository is None else repository.absolute()
    place = (workspace_dir or default_for(root)).absolute()
    if models and base == "" and higher is None and not any(said.values()) and making.is_workspace(place):
        written_to = making.add_models(place, models["models.yaml"])
        if as_json:
            print_json({"workspace": str(place), "models": str(written_to)})
            return 0
        click.echo(f"The workspace is there already; {written_to} is new in it. Next:\n")
        click.echo(f"  agent doctor --workspace {_quoted(place)}")
        return 0
    findings = looking.look(root, base, said["config"] or "")
    making.check_place(place, root)
    better = None if higher is None else "higher" if higher else "lower"
    told = answers.Said(better=better, **said)
    written = making.repository_as_written(root, place)
    plan = joining.join(findings, told, written)
    talking = not yes and not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    if not as_json:
        _show(findings, plan)
    if talking and not plan.problems:
        plan = _ask(findings, told, plan, written)
    answers.refuse(plan)
    if talking and not click.confirm(f"Make the workspace {place}?", default=True):
        return 1
    workspace = making.make(place, findings, plan, others=models)
    if as_json:
        print_json({"workspace": str(workspace.root), "target": plan.target.name, "notes": list(plan.notes)})
        return 0
    click.echo(f"\nThe workspace is {workspace.root}")
    click.echo("Read target.yaml and competitive_registry.yaml there, then:\n")
    for verb in ("doctor", "run"):
        click.echo(f"  agent {verb} --workspace {_quoted(workspace.root)}")
    return 0


def _ask(findings: Findings, told: Said, plan: Plan, written: str) -> Plan:
    """Ask for one missing thing after another; an answer that does not fit is told and asked for again."""
    from agent.scaffolding import joining, looking
    from registry.errors import BadInput

    click.echo()
    while plan.missing:
        wanted = plan.missing[0]
        click.echo(f"{_plain(wanted.why)}.")
        told_now, found_now = told.with_answer(wanted.about, click.prompt(wanted.question)), findings
        try:
            if wanted.about == "config":
                found_now = looking.look(findings.root, findings.base, told_now.config or "")
            plan_now = joining.join(found_now, told_now, written)
            problems = plan_now.problems
        except BadInput as error:
            problems = error.problems
        if problems:
            for problem in problems:
                click.echo(f"  found {_plain(problem.found)}, expected {_plain(problem.expected)}")
            continue
        findings, told, plan = found_now, told_now, plan_now
    return plan


def _show(findings: Findings, plan: Plan) -> None:
    """What was found, a line each; what is still missing is told by question or refusal."""
    target = plan.target
    lines = [
        ("repository", f"{findings.root} at {findings.base} ({findings.commit[:12]})"),
        *([("build", " ".join(target.build))] if target.build else []),
        ("train", " ".join(target.train)),
        ("predict", " ".join(target.predict)),
        ("evaluate", " ".join(target.evaluate)),
        ("settings", f"{target.config}, {len(target.search_space)} to tune" if target.config else ""),
        ("data", target.train_data),
        ("inputs", ", ".join(path for path in target.inputs.values() if path)),
        ("labels", ", ".join(path for path in target.labels.values() if path)),
        (
            "metric",
            f"{target.metric}, {'higher' if target.higher_is_better else 'lower'} is better" if target.metric else "",
        ),
        ("python", target.python) if target.python else ("programs", ", ".join(target.programs)),
        ("editable", ", ".join(target.editable)),
        ("protected", ", ".join(target.protected)),
    ]
    for label, text in lines:
        click.echo(f"{label:11s} {_plain(text) if text else '-'}")
    for note in plan.notes:
        click.echo(f"note: {_plain(note)}")


def _plain(text: str) -> str:
    from sandbox.outputs import plain_text

    return plain_text(text, 1000)


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))

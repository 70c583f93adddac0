"""The command `agent`: finds the group of a command, runs it, and turns errors into a sentence and an exit status.

Exit status: 0 done, 1 the answer is no, 2 bad input or configuration, 130 interrupted. Modules of commands are
imported only when their command runs, so that `agent --help` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from agent.cli.start import check_packages

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("agent.cli.demo", "Run the whole loop on the bundled solution, in a new workspace."),
    "init": ("agent.cli.init", "Make a workspace for a git repository."),
    "doctor": ("agent.cli.doctor", "Check what a night needs, and say what mends each thing."),
    "run": ("agent.cli.run", "Run the loop until first, out of ideas, out of budget or the season's end."),
    "monitor": ("agent.cli.monitor", "Read the leaderboards now and say what changed."),
    "papers": ("agent.cli.papers", "Read papers now; list and show what was read."),
    "queue": ("agent.cli.queue", "List, add, show and drop hypotheses."),
    "experiment": ("agent.cli.experiment", "Take one hypothesis to its verdict."),
    "gate": ("agent.cli.gate", "Show a verdict's criteria and recompute it from the log."),
    "review": ("agent.cli.review", "Show the pull request of a promotion."),
    "ask": ("agent.cli.ask", "Ask why, when and how much; answered from the log."),
    "audit": ("agent.cli.audit", "Show the audit log, or verify its chain and every verdict."),
    "report": ("agent.cli.report", "Write and show the digest or the technical log."),
    "season": ("agent.cli.season", "Show the season, or open the next one."),
}


class Commands(click.Group):
    """A group whose commands are imported when they are called and described without being imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="auto-benchmark", prog_name="agent")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def agent(ctx: click.Context, debug: bool) -> None:
    """An overnight research loop whose promotions are real."""
    ctx.ensure_object(dict)["debug"] = debug


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script."""
    from registry.errors import AgentError

    words = sys.argv[1:] if arguments is None else arguments
    try:
        check_packages()
        status = agent.main(args=words, prog_name="agent", standalone_mode=False, obj={})
    except AgentError as error:
        if "--debug" in words:
            raise
        click.echo(_complaint(error), err=True)
        sys.exit(error.exit_status)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if "--debug" in words:
            raise
        if no_room := _no_room(error):
            click.echo(no_room, err=True)
            sys.exit(2)
        fault = f"{type(error).__name__}: {error}"
        click.echo(f"agent: a fault of the program, not of your input: {fault} (--debug shows where)", err=True)
        sys.exit(2)
    sys.exit(_status(status))


def _no_room(error: Exception) -> str:
    """What to say where a disk is full before a night's own handling of it begins; empty for any other error."""
    from registry.durable import NO_ROOM

    if not isinstance(error, OSError) or error.errno not in NO_ROOM:
        return ""
    where = f"{error.filename}: " if error.filename else ""
    return f"agent: {where}no room to write ({error.strerror}); free some space and start the same command again"


def _complaint(error: Any) -> str:
    from sandbox.outputs import plain_text

    return "agent: " + plain_text(str(error), 20_000)


def _status(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0

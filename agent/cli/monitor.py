"""`agent monitor`: read the leaderboards now."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.options import common, find_workspace, print_json


@click.command("monitor")
@common
def command(workspace_dir: Path | None, as_json: bool) -> int:
    """Read every leaderboard now, whatever the schedule says, and show alerts, standing and gap matrix."""
    from agent import boards
    from agent.cli.run import progress_on
    from agent.wiring import open_services

    workspace = find_workspace(workspace_dir)
    with (
        progress_on(as_json) as progress,
        open_services(workspace, progress, "agent monitor", researcher="offline") as services,
    ):
        registry = services.competitive()
        slot = f"asked {services.clock().isoformat()}"
        statuses = boards.read_all(services, registry, slot)
        for board in registry.target_leaderboards:
            boards.stand(services, registry, board, f"asked-{services.log.head().seq}")
        matrix = boards.matrix(services)
        standing = {
            name: {"rank": state.rank, "gap": state.gap, "gap_points": state.gap_points, "trigger": state.trigger}
            for name, state in services.history.boards.items()
        }
    if as_json:
        print_json({"boards": statuses, "standing": standing, "matrix": matrix})
    else:
        click.echo(matrix)
    return 0 if all(status == "read" for status in statuses.values()) else 1

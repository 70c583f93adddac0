"""Has environments built for the commits that need one, and records what was built from what.

Called by `agent.production` and `agent.testing`. Where `environment.build` is not declared there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent import closing
from agent.services import Services
from experiments.building import Build, BuildFailed
from experiments.measuring import InfrastructureFailed, ProductionFailed
from registry.facts import Test


def prepare_production(services: Services, commit: str) -> None:
    """Build production's environment where the target has a build; ProductionFailed where that cannot be done."""
    try:
        built = services.runner.prepare([commit], services.cancel)
    except BuildFailed as error:
        raise ProductionFailed(str(error)) from error
    _record(services, "production", built)


def prepare(services: Services, test: Test) -> bool:
    """Build the environment of a candidate; where that fails it is archived, without a place in the season."""
    if test.environment_files:
        services.progress.say(f"  {test.hypothesis} changes the environment ({', '.join(test.environment_files)})")
    try:
        built = services.runner.prepare([test.commit], services.cancel)
    except BuildFailed as error:
        closing.reject(services, test.hypothesis, "environment", str(error))
        return False
    _record(services, test.hypothesis, built)
    return True


def again(services: Services, test: Test) -> None:
    """Have both arms' environments there, which were built before; InfrastructureFailed where that fails now."""
    try:
        services.runner.prepare([test.production, test.commit], services.cancel)
    except BuildFailed as error:
        raise InfrastructureFailed(f"{test.hypothesis}: {error}") from error


def _record(services: Services, subject: str, built: Sequence[Build]) -> None:
    for build in built:
        data = {
            "key": build.key,
            "commit": build.commit,
            "files": build.files,
            "command": list(build.command),
            "network": build.network,
            "wheels": build.wheels,
            "wall_s": build.wall_s,
            "isolation": build.isolation,
            "environment": services.runner.environment(build.commit).sha256,
        }
        reason = f"in {build.wall_s:.0f} s, {'with' if build.network else 'without'} network"
        services.record("environment_built", subject, data, reason=reason)
        services.progress.say(f"  environment of {build.commit[:12]} built {reason}")

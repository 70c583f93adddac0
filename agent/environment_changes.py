"""Environments that change: by the patch under test, or by somebody who installs something while a test runs.

Called by `agent.testing`. A test is judged on runs of one environment in each arm. Where somebody
installs something in the middle of one, production is measured again and the test starts over with the seeds it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent import circumstances, production
from agent.evidence import surroundings_of
from agent.services import Services
from registry.facts import Test
from registry.runs import Arm, RunRecord

MOST = 2
"""How often one test starts over; after that the gate says that its runs are mixed, and that is its end."""
_JUDGED = frozenset({"gate", "fresh", "cost"})


def environments(services: Services, test: Test) -> dict[Arm, str]:
    """Digest of the environment that each arm of a test runs in now."""
    runner = services.runner
    return {
        "production": runner.environment(test.production).sha256,
        "candidate": runner.environment(test.commit).sha256,
    }


def change_under_test(services: Services, test: Test) -> dict[str, list[str]]:
    """For the gate: what each arm's runs are made in, where the patch itself changes the environment; else nothing."""
    if not test.environment_files:
        return {}
    data = services.runner.trees.data_digest(test.production)
    now = environments(services, test)
    return {"environments": [surroundings_of(now[arm], data) for arm in ("production", "candidate")]}


def described(services: Services, test: Test) -> dict[str, object]:
    """What a verdict says of a patch that changes the environment: both digests, and the packages that differ."""
    if not test.environment_files:
        return {}
    last: dict[str, str] = {record.arm: record.key.environment for record in _judged(services, test)}
    if len(last) < 2:
        return {}
    change = circumstances.environment_difference(services.log.find, last["production"], last["candidate"])
    return {"environment": {**last, "change": change, "files": list(test.environment_files)}}


def _judged(services: Services, test: Test) -> Iterator[RunRecord]:
    """Every run that the gate would see."""
    wanted = set((test.gate or {}).get("baseline_seeds", ()))
    baseline = services.history.baseline.get(test.production, {})
    yield from (record for seed, record in baseline.items() if seed in wanted)
    yield from (record for record in test.runs.values() if record.purpose in _JUDGED)


def mixed(services: Services, test: Test) -> bool:
    """Whether the runs of one arm, or of both where the patch changes no environment, come from several."""
    found: dict[str, set[str]] = {}
    for record in _judged(services, test):
        found.setdefault(record.arm if test.environment_files else "both", set()).add(record.key.environment)
    return any(len(several) > 1 for several in found.values())


def follow(services: Services, hypothesis: str) -> bool:
    """Where runs of a test come from an environment that is no more, set them aside and measure production again.

    True where something was set aside, so that the test needs its runs anew.
    """
    test = services.history.tests[hypothesis]
    now = environments(services, test)
    older = [record for record in _judged(services, test) if record.key.environment != now[record.arm]]
    own = [record for record in older if record.subject == hypothesis]
    changed = change_under_test(services, test)
    untried = not any(record.subject == hypothesis for record in _judged(services, test))
    pinned = (test.gate or {}).get("environments")
    moved = untried and pinned is not None and pinned != changed["environments"]
    if not (older or moved) or test.restarts >= MOST:
        return False
    circumstances.record(services, test.production)
    circumstances.record_environment_of(services, test.commit)
    arm: Arm = older[0].arm if older else "candidate"
    before = older[0].key.environment if older else ""
    what = circumstances.environment_difference(services.log.find, before, now[arm]) or "its files"
    if own or moved:
        data = {"commit": test.commit, "arm": arm, "before": before, "after": now[arm], "set_aside": len(own)}
        why = f"the environment has changed since: {what}; the test starts over on its own seeds"
        services.record("environment_changed", hypothesis, data | changed, reason=why)
    services.progress.say(f"[ALERT] the environment has changed ({what}): production is measured again")
    if own:
        services.progress.say(f"  {hypothesis} starts over: {len(own)} runs of the old environment are set aside")
    production.measure(services)
    return True


def take_up(services: Services, hypothesis: str, records: Sequence[RunRecord]) -> None:
    """Runs that were paid before, in an environment that is back, count for the test again."""
    test = services.history.tests[hypothesis]
    known = {record.run_id for record in test.runs.values()}
    missing = [r for r in records if r.purpose in _JUDGED and r.run_id not in known]
    if missing:
        data = {"commit": test.commit, "runs": [record.model_dump(mode="json") for record in missing]}
        services.record("runs_taken_up", hypothesis, data, reason="the environment is as it was when they were paid")

"""Steps 1 to 4 of `e-night`: climb the looks until the evidence passes, is futile, runs out, or more runs are needed.

The whole prefix is walked again on every call, so the verdict depends on the values alone and never on how often or
when the gate was asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from experiments import statistics
from experiments.gate.decision import Need, Numbers, Stop, short
from experiments.gate.e_night_parameters import ENightParameters
from experiments.gate.evidence import Evidence, RunValue, differences, first_failure, largest_value, primary
from experiments.statistics import PairedT


@dataclass(frozen=True, slots=True)
class Look:
    """The last look taken and its numbers; n = 0 before the first."""

    n: int
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Climb:
    """Where the climb ended; `stop` is None where the evidence passed."""

    look: Look
    stop: Stop | None


@dataclass(frozen=True, slots=True)
class _Paired:
    """A paired look as far as the climb reads it; the rest of its numbers is made where the climb ends at it."""

    n: int
    gains: tuple[float, ...]
    test: PairedT
    limit: float | None
    log_e: float | None
    """None where no pass is possible, so that nothing has read it yet."""

    def look(self, screened: Look) -> Look:
        """The look with its numbers, beside those of the screen before it."""
        return Look(
            self.n,
            replace(
                screened.numbers,
                n=self.n,
                differences=self.gains,
                mean=self.test.mean,
                sd=self.test.sd,
                t=self.test.t,
                p_greater=self.test.p_greater,
                p_two_sided=self.test.p_two_sided,
                zero_variance=self.test.zero_variance,
                log_e=statistics.log_e_value(self.n, self.test.u) if self.log_e is None else self.log_e,
                futility_limit=self.limit,
            ),
        )


def climb(evidence: Evidence, policy: ENightParameters) -> Climb:
    """Walk the looks over the prefix of stage pairs; pass is tested before futility, the first stop is the verdict."""
    level = evidence.season.level
    screened = Look(0, Numbers(level=level, log_bar=evidence.log_bar))
    paired: _Paired | None = None
    cached = policy.screen == "cached"
    if cached and not evidence.baseline:
        return Climb(screened, _measure_baseline(policy))
    failure = first_failure(evidence.stage)
    available = len(evidence.stage)
    for n in policy.looks:
        if policy.patient and n == policy.looks[0]:
            continue
        if available < n or (failure is not None and failure < n):
            look = screened if paired is None else paired.look(screened)
            return _without_runs(evidence, policy, n, look, failure)
        stop: Stop | None
        if cached and n <= policy.looks[1]:
            screened, stop = _screen_look(evidence, policy, n, screened)
            look = screened
        else:
            paired, stop, passed = _paired_look(evidence, policy, n, -math.log(level))
            if stop is None and not passed:
                continue
            look = paired.look(screened)
            if passed:
                return Climb(look, None if evidence.readmission is None else _not_readmitted(evidence))
        if stop is not None:
            return Climb(look, _readmitted(evidence, look, stop) if evidence.readmission is not None else stop)
    raise ValueError("the last look of a policy must decide")


def _without_runs(evidence: Evidence, policy: ENightParameters, n: int, look: Look, failure: int | None) -> Climb:
    """A look whose runs are not all there: one of them has failed, or they have not been made."""
    if failure is not None and failure < n:
        crashed = Look(min(n, len(evidence.stage)), look.numbers)
        return Climb(crashed, crash(evidence.stage[failure].candidate, "stage"))
    waiting = evidence.readmission is None
    return Climb(look, _extension(evidence, policy, n, look) if waiting else _not_readmitted(evidence))


def crash(run: RunValue | None, kind: str) -> Stop:
    """Step 0: the candidate failed twice on one seed; the seed is never substituted."""
    if run is None:
        raise ValueError("a crash needs the run that failed")
    return Stop("archive", "crash", f"The candidate ended with {run.status} on {kind} seed {run.seed}, twice.")


def _screen_look(evidence: Evidence, policy: ENightParameters, n: int, look: Look) -> tuple[Look, Stop | None]:
    """Looks one and two against the cached baseline; they can only archive, and evidence never reads them."""
    sign = 1.0 if evidence.higher_is_better else -1.0
    values = [sign * primary(pair.candidate) for pair in evidence.stage[:n]]
    baseline = [sign * primary(run) for run in evidence.baseline]
    centre, spread = statistics.mean(baseline), statistics.standard_deviation(baseline)
    gain = statistics.mean(values) - centre
    # The screen's gain is against the baseline's mean, not a mean of pairs; it stands in a field of its own.
    numbers = replace(look.numbers, n=n, screen_gain=gain)
    if n == policy.looks[0]:
        return Look(n, numbers), _below_baseline(evidence, gain, "the baseline mean") if gain <= 0.0 else None
    if spread <= statistics.ZERO_VARIANCE * max(map(abs, baseline)):
        return Look(n, numbers), None
    statistic = gain / (spread * math.sqrt(1.0 / n + 1.0 / len(baseline)))
    p = statistics.student_t_upper_tail(len(baseline) - 1, statistic)
    limit = policy.futility_limit(n)
    numbers = replace(numbers, screen_statistic=statistic, screen_p=p, futility_limit=limit)
    return Look(n, numbers), _futile(n, p, limit, "against the baseline") if limit is not None and p > limit else None


def _paired_look(
    evidence: Evidence, policy: ENightParameters, n: int, log_bar: float
) -> tuple[_Paired, Stop | None, bool]:
    """The look, where it ends the climb why, and whether the evidence has passed."""
    pairs = evidence.stage[:n]
    gains = differences(evidence, pairs)
    test = statistics.paired_t(gains, largest_value(pairs))
    limit = None if test.zero_variance else policy.futility_limit(n)
    log_e = statistics.log_e_value(n, test.u) if n >= policy.first_pass or n == policy.looks[-1] else None
    here = _Paired(n, gains, test, limit, log_e)
    if n == policy.looks[0]:
        return here, _below_baseline(evidence, test.mean, "production") if test.mean <= 0.0 else None, False
    if n >= policy.first_pass and not test.zero_variance and log_e is not None and log_e >= log_bar:
        return here, None, True
    if test.p_greater is not None and limit is not None and test.p_greater > limit:
        return here, _futile(n, test.p_greater, limit, "of the pairs"), False
    if test.zero_variance and n >= policy.zero_variance_until:
        return here, _without_variance(n), False
    if n == policy.looks[-1] and log_e is not None:
        return here, _out_of_seeds(n, log_e, log_bar), False
    return here, None, False


def _below_baseline(evidence: Evidence, gain: float, reference: str) -> Stop:
    text = f"On the first seed {evidence.metric} is {short(abs(gain))} worse than {reference}"
    if gain == 0.0:
        text = f"On the first seed {evidence.metric} equals {reference}"
    return Stop("archive", "below_baseline", f"{text}; better was needed.")


def _futile(n: int, p: float, limit: float, which: str) -> Stop:
    text = f"After {n} seeds the one-sided p {which} is {short(p)}, {short(p - limit)} above the limit {short(limit)}"
    return Stop("archive", "futility", f"{text}: further seeds are unlikely to show a gain.")


def _without_variance(n: int) -> Stop:
    text = f"All {n} differences are equal, so no test of them means anything"
    return Stop("park", "zero_variance", f"{text}; a deterministic metric needs the policy exact.")


def _out_of_seeds(n: int, log_e: float, log_bar: float) -> Stop:
    text = f"After all {n} seeds log E is {short(log_e)}, {short(log_bar - log_e)} below the {short(log_bar)} needed"
    return Stop("park", "out_of_seeds", f"{text}; later promotions may lower the bar.")


def _measure_baseline(policy: ENightParameters) -> Stop:
    need = Need("baseline", policy.baseline_runs)
    return Stop("extend", "baseline", f"The screen needs {policy.baseline_runs} runs of production first.", need)


def _extension(evidence: Evidence, policy: ENightParameters, n: int, look: Look) -> Stop:
    unpaired = policy.screen == "cached" and n <= policy.looks[1]
    need = Need(
        "stage",
        n,
        evidence.stage_seeds[len(evidence.stage) : n],
        () if unpaired else missing_production(evidence, n),
    )
    so_far = f"Undecided after {look.n} seed{'' if look.n == 1 else 's'}" if look.n else "Nothing is measured yet"
    return Stop("extend", "next_look", f"{so_far}; the next look is at {n}.", need)


def missing_production(evidence: Evidence, n: int) -> tuple[int, ...]:
    """Stage seeds of the first n on which production has not run."""
    have = {pair.seed for pair in evidence.stage if pair.production is not None}
    return tuple(seed for seed in evidence.stage_seeds[:n] if seed not in have)


def _readmitted(evidence: Evidence, look: Look, stop: Stop) -> Stop | None:
    """A parked candidate that a promotion lets back in is held against the bar of that moment."""
    if stop.reason != "out_of_seeds":
        return _not_readmitted(evidence)
    log_e, bar = look.numbers.log_e, evidence.log_bar
    if log_e is not None and log_e >= bar:
        return None
    return _out_of_seeds(look.n, log_e if log_e is not None else -math.inf, bar)


def _not_readmitted(evidence: Evidence) -> Stop:
    text = f"The candidate is not one that was parked: {evidence.hypothesis} did not end its seeds undecided."
    return Stop("bad_evidence", "not_readmitted", text)

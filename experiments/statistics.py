"""The formulas the gate decides with: paired t, the t-mixture e-value, bounds on costs and on a standard deviation.

Called by `experiments.gate`. Pure: numbers in, numbers out; no clock, no random source, no file. Only
`scipy.special` is used, because `scipy.stats` objects cost a hundred times as much per call. Nothing here guards
against bad evidence (NaN, too few): the gate does that first, and these functions raise `ValueError`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

EFFECT_SIZES = (0.5, 1.0, 2.0)
"""Standardised effects the e-value mixes, in standard deviations of one difference, with equal weights."""
ZERO_VARIANCE = 1e-9
"""A standard deviation below this share of the largest value is rounding, not variation."""
_CLOSED_FORM_PAIRS = 64
"""Up to here the hypergeometric series stay far inside the range of a double (e**128 at most)."""


@dataclass(frozen=True, slots=True)
class PairedT:
    """The paired t-test of one prefix. `t` and the p-values are None where the variance is zero (or n is 1)."""

    n: int
    mean: float
    sd: float
    """Sample standard deviation (ddof = 1); 0 for one difference."""
    t: float | None
    p_greater: float | None
    """P(T > t): small when the differences are above zero."""
    p_two_sided: float | None
    zero_variance: bool

    @property
    def u(self) -> float:
        """t / sqrt(n - 1 + t^2) in [-1, 1], the statistic the e-value reads; the sign of the mean without variance."""
        if self.t is None:
            return math.copysign(1.0, self.mean) if self.mean else 0.0
        return self.t / math.sqrt(self.n - 1 + self.t * self.t)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean with an exactly rounded sum, so that it does not depend on the order."""
    return math.fsum(values) / len(values)


def standard_deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (ddof = 1); 0 for a single value."""
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def paired_t(differences: Sequence[float], scale: float | None = None) -> PairedT:
    """Student's paired t on the differences (Student 1908), guarded against vanishing variance.

    `scale` is the largest absolute raw value the differences were taken from: their rounding error grows with it.
    """
    n = len(differences)
    if n == 0 or not all(map(math.isfinite, differences)):
        raise ValueError("paired_t needs at least one difference, and all of them finite")
    centre, spread = mean(differences), standard_deviation(differences)
    largest = max(map(abs, differences)) if scale is None else scale
    if n == 1 or spread <= ZERO_VARIANCE * largest:
        return PairedT(n, centre, spread, None, None, None, zero_variance=True)
    t = math.sqrt(n) * centre / spread
    p_greater = float(special.stdtr(n - 1, -t))
    p_two_sided = 2.0 * float(special.stdtr(n - 1, -abs(t)))
    return PairedT(n, centre, spread, t, p_greater, p_two_sided, zero_variance=False)


def student_t_upper_tail(degrees: float, t: float) -> float:
    """P(T > t) for Student's t with that many degrees of freedom."""
    return float(special.stdtr(degrees, -t))


def sign_test_p_greater(gained: int, lost: int) -> float:
    """P(X >= gained) for X ~ Binomial(gained + lost, 1/2): the exact one-sided sign test, McNemar's on paired items.

    McNemar (1947), Psychometrika 12; the binomial form is exact at every number of changed items.
    """
    if gained < 0 or lost < 0 or gained + lost == 0:
        raise ValueError(f"sign_test_p_greater needs a changed item, not {gained} gained and {lost} lost")
    return 1.0 if gained == 0 else float(special.bdtrc(gained - 1, gained + lost, 0.5))


def log_e_value(n: int, u: float) -> float:
    """Log of the t-mixture e-value of n differences with u = t / sqrt(n - 1 + t^2).

    E_n = 1/3 * sum over delta in (.5, 1, 2) of exp(-n delta^2 / 2) * M(delta sqrt(n) u), the mean of the ratios of
    the noncentral to the central t density at t: a test martingale under "differences are Gaussian with mean 0",
    whatever their variance (Wang & Ramdas 2023, arXiv 2310.03722).
    """
    if n < 1 or not -1.0 <= u <= 1.0:
        raise ValueError(f"log_e_value needs n >= 1 and u in [-1, 1], not n = {n}, u = {u}")
    root = math.sqrt(n)
    terms = [-0.5 * n * delta * delta + log_chi_moment(n, delta * root * u) for delta in EFFECT_SIZES]
    largest = max(terms)
    return largest + math.log(math.fsum(math.exp(term - largest) for term in terms) / len(EFFECT_SIZES))


def log_chi_moment(n: int, x: float) -> float:
    """Log of M(x) = E exp(x Y), Y following the chi distribution with n degrees of freedom.

    For x >= 0 the closed form has positive terms only and is exact to 1e-14:
    M(x) = 1F1(n/2; 1/2; x^2/2) + x sqrt(2) Gamma((n+1)/2)/Gamma(n/2) 1F1((n+1)/2; 3/2; x^2/2).
    For x < 0 the same formula cancels catastrophically, and M(x) = Gamma((n+1)/2)/sqrt(pi) U(n/2, 1/2, x^2/2) through
    `scipy.special.hyperu` is off by up to 2e-9 at n = 5 to 12, so the integral itself is summed instead.
    """
    if x < 0.0 or n > _CLOSED_FORM_PAIRS:
        return _log_chi_moment_by_quadrature(n, x)
    half_square = 0.5 * x * x
    even = float(special.hyp1f1(0.5 * n, 0.5, half_square))
    odd = float(special.hyp1f1(0.5 * (n + 1), 1.5, half_square))
    return math.log(even + x * _odd_weight(n) * odd)


@lru_cache(maxsize=256)
def _odd_weight(n: int) -> float:
    return math.sqrt(2.0) * math.exp(math.lgamma(0.5 * (n + 1)) - math.lgamma(0.5 * n))


_QUADRATURE_STEPS = np.arange(-400.0, 61.0)


def _log_chi_moment_by_quadrature(n: int, x: float) -> float:
    """log M(x) by the trapezoidal rule in s = log y, where it converges exponentially (Trefethen & Weideman 2014).

    The integrand exp(n s - e^(2s)/2 + x e^s) has one peak, at y0; steps are a fifth of its width and reach far
    enough that what is left out is below 1e-16 of the whole, for every n >= 1.
    """
    root = math.hypot(x, 2.0 * math.sqrt(n))
    peak = 0.5 * (x + root) if x >= 0 else 2.0 * n / (root - x)
    step = 0.2 / math.sqrt(n + peak * peak)
    s = _QUADRATURE_STEPS * step
    y = peak * np.exp(s)
    exponents = n * s - 0.5 * (y * y - peak * peak) + x * (y - peak)
    total = float(np.exp(exponents).sum()) * step
    at_peak = n * math.log(peak) - 0.5 * peak * peak + x * peak
    return at_peak + math.log(total) - (0.5 * n - 1.0) * math.log(2.0) - math.lgamma(0.5 * n)


def cost_upper_bound(log_ratios: Sequence[float], confidence: float = 0.95) -> float:
    """One-sided upper confidence bound of the mean log ratio: m + t_{confidence, n-1} s / sqrt(n); m where s is 0."""
    n = len(log_ratios)
    if n < 2:
        raise ValueError("cost_upper_bound needs two log ratios or more")
    spread = standard_deviation(log_ratios)
    centre = mean(log_ratios)
    return centre if spread == 0.0 else centre + _t_quantile(n - 1, confidence) * spread / math.sqrt(n)


def sd_lower_bound(values: Sequence[float], confidence: float = 0.95) -> float:
    """One-sided lower confidence bound of a Gaussian standard deviation: s sqrt((n-1) / chi2_{upper 5 %, n-1})."""
    n = len(values)
    if n < 2:
        raise ValueError("sd_lower_bound needs two values or more")
    return standard_deviation(values) * math.sqrt((n - 1) / _chi_square_upper_point(n - 1, confidence))


def half_width(values: Sequence[float], confidence: float) -> float:
    """Half the width of Student's two-sided interval of the mean; needs two values or more."""
    quantile = _t_quantile(len(values) - 1, 0.5 + confidence / 2.0)
    return quantile * standard_deviation(values) / math.sqrt(len(values))


@lru_cache(maxsize=256)
def _t_quantile(degrees: int, confidence: float) -> float:
    return float(special.stdtrit(degrees, confidence))


@lru_cache(maxsize=256)
def _chi_square_upper_point(degrees: int, confidence: float) -> float:
    return float(special.chdtri(degrees, 1.0 - confidence))

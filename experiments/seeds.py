"""Which seeds each run gets: every purpose, season and candidate has seeds of its own, disjoint by construction.

Called by the runner (to run) and by the gate (to check what was run). Each list is a block of consecutive numbers
in one space of 2^31 - 1, laid out below, sent through one fixed bijection of that space; so no two lists can share
a seed, and none needs to be stored. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

SEED_SPACE = 2**31 - 1
"""Seeds lie in [0, SEED_SPACE): what NumPy, torch and every signed 32-bit integer accept."""
STAGE_SEEDS = 40
FRESH_SEEDS = 5
BLOCK = 64
"""Most seeds one call for a baseline, a defence or a check may ask for."""

# Layout of the space. A pair (season, number) has a place of its own while the bit lengths of both add up to at most
# the given bits: 2**22 allows 30 seasons of 100 000 candidates as well as 16 000 seasons of 100.
_CANDIDATE_BITS, _BASELINE_BITS = 22, 17
_VALIDATIONS, _DEFENCES, _CHECKS = 2**26, 2**20, 2**19


@dataclass(frozen=True, slots=True)
class CandidateSeeds:
    """The two lists of one candidate, used in order, as a prefix, and never replaced."""

    stage: tuple[int, ...]
    fresh: tuple[int, ...]


def _pairs_within(bits: int) -> int:
    """How many pairs of positive integers have bit lengths that add up to at most `bits`."""
    return ((bits - 2) << (bits - 1)) + 1


def _pair_index(first: int, second: int, bits: int, what: str) -> int:
    """Number of the pair in a fixed enumeration: by the sum of the bit lengths, then the first's, then the values."""
    if first < 1 or second < 1:
        raise ValueError(f"{what}: numbers from 1 on are expected, not ({first}, {second})")
    a, b = first.bit_length(), second.bit_length()
    total = a + b
    if total > bits:
        raise ValueError(f"{what}: no seeds are left for ({first}, {second}); seasons or candidates are too many")
    shorter = _pairs_within(total - 1) if total > 2 else 0
    within = ((a - 1) << (total - 2)) + ((first - (1 << (a - 1))) << (b - 1)) + (second - (1 << (b - 1)))
    return shorter + within


_CANDIDATES_START = 0
_BASELINES_START = _CANDIDATES_START + _pairs_within(_CANDIDATE_BITS) * (STAGE_SEEDS + FRESH_SEEDS)
_VALIDATIONS_START = _BASELINES_START + _pairs_within(_BASELINE_BITS) * BLOCK
_DEFENCES_START = _VALIDATIONS_START + _VALIDATIONS
_CHECKS_START = _DEFENCES_START + _DEFENCES * BLOCK
LAYOUT_END = _CHECKS_START + _CHECKS * BLOCK


def _scatter(index: int) -> int:
    """A fixed bijection of [0, 2^31 - 1): xor-shifts and odd multipliers permute 31-bit integers; cycle-walking
    leaves out the one value above the space, so neighbouring places get unrelated seeds."""
    value = index
    while True:
        value ^= value >> 16
        value = (value * 0x7FEB352D + 0x5BD1E995) & 0x7FFFFFFF
        value ^= value >> 15
        value = (value * 0x046CA68B + 0x27220A95) & 0x7FFFFFFF
        value ^= value >> 16
        if value < SEED_SPACE:
            return value


def _seeds(start: int, count: int) -> tuple[int, ...]:
    return tuple(_scatter(index) for index in range(start, start + count))


def _block(start: int, count: int, what: str) -> tuple[int, ...]:
    if not 1 <= count <= BLOCK:
        raise ValueError(f"{what}: 1 to {BLOCK} seeds can be had, not {count}")
    return _seeds(start, count)


def _numbered(number: int, limit: int, what: str) -> int:
    if not 0 <= number < limit:
        raise ValueError(f"{what}: a number from 0 to {limit - 1} is expected, not {number}")
    return number


@lru_cache(maxsize=64)
def candidate_seeds(season_id: int, t: int) -> CandidateSeeds:
    """The 40 stage seeds and 5 fresh seeds of the season's t-th candidate."""
    index = _pair_index(season_id, t, _CANDIDATE_BITS, "candidate seeds (season, t)")
    start = _CANDIDATES_START + index * (STAGE_SEEDS + FRESH_SEEDS)
    return CandidateSeeds(_seeds(start, STAGE_SEEDS), _seeds(start + STAGE_SEEDS, FRESH_SEEDS))


def baseline_seeds(season_id: int, production_index: int, count: int) -> tuple[int, ...]:
    """Seeds of the baseline of the season's `production_index`-th production (1 at its opening, one more after each
    promotion or merge)."""
    index = _pair_index(season_id, production_index, _BASELINE_BITS, "baseline seeds (season, production)")
    return _block(_BASELINES_START + index * BLOCK, count, "baseline seeds")


def validation_seed(hypothesis_number: int) -> int:
    """The one seed of a hypothesis' fast validation (42 for H-042); it never feeds the gate."""
    return _scatter(_VALIDATIONS_START + _numbered(hypothesis_number, _VALIDATIONS, "validation seed"))


def defence_seeds(number: int, count: int) -> tuple[int, ...]:
    """Seeds of the `number`-th re-run of production that watches for a regression."""
    return _block(_DEFENCES_START + _numbered(number, _DEFENCES, "defence seeds") * BLOCK, count, "defence seeds")


def check_seeds(number: int, count: int) -> tuple[int, ...]:
    """Seeds of the `number`-th check of the solution itself (does one seed give one value, how noisy is it)."""
    return _block(_CHECKS_START + _numbered(number, _CHECKS, "check seeds") * BLOCK, count, "check seeds")

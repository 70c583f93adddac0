"""The claim ledger: what each paper promised, what was measured of it, and how far a source's promises go.

A pure reading of the history. It steers which sources are read first (`agent.papers.listing`) and what is expected of a
claimed gain (`agent.researcher.search`), and stands in the digest and in `agent papers claims`. It decides nothing:
a verdict is the gate's, whoever made the promise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from registry.facts import Verdict
from registry.history import History
from registry.papers import Reading, Technique

PRIOR_TRUST = 0.5
"""Share of a claimed gain that is expected before anything of its kind was measured: published gains shrink."""
PRIOR_WEIGHT = 2.0
"""How many measured claims the prior counts for."""
UNKNOWN_SOURCE = "unknown"
NOT_MEASURED = {
    "validation": "failed its validation",
    "patch": "came to no patch",
    "no_op": "gave production's own outputs",
    "environment": "had no environment",
    "crash": "crashed",
    "superseded": "was superseded",
    "implausible": "is held for a person",
}
"""Ends that say nothing about the claim (it was not run, not to an end, or changed nothing) → in words."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one hypothesis that rests on a claim came to."""

    hypothesis: str
    outcome: str
    gain: float | None
    """Mean paired difference, better as positive, in the metric's unit; of the fresh pairs where there are any."""
    low: float | None
    high: float | None
    """Student's 95 % interval of it; None where one unit was measured. Of fresh seeds it is as it says; of seeds that
    also chose when to stop it is too narrow."""
    seq: int
    """The verdict's event."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One technique of one paper: the promise, and every hypothesis that put it to the test."""

    source: str
    paper: str
    title: str
    technique: str
    promised: float | None
    """As the quote states it, as a difference in [0, 1]; None where it states no number."""
    verified: bool
    measured: tuple[Measured, ...]
    unmeasured: tuple[str, ...] = ()
    """What was tried of it and measured nothing, in words."""

    @property
    def kept(self) -> float | None:
        """Share of the promise that was measured, in [0, 1], as a mean over its tests; None while there is none.

        A promise without a number is kept (1) by a promotion and broken (0) by anything else.
        """
        shares = [_share(self.promised, test) for test in self.measured]
        return sum(shares) / len(shares) if shares else None


@dataclass(frozen=True, slots=True)
class Standing:
    """Claims of one source, or of one technique over all papers, added up."""

    name: str
    papers: int
    claims: int
    tested: int
    promoted: int
    """Hypotheses that were promoted."""
    promised: float | None
    """Mean promise of the tested claims that state a number."""
    measured: float | None
    """Mean measured gain of the same claims."""
    trust: float
    """Share of a promise to expect: (sum of shares kept + 2 · 0.5) / (tested claims + 2)."""


@dataclass(frozen=True, slots=True)
class ClaimLedger:
    """Every claim of every paper that was read, in the order of reading."""

    claims: tuple[Claim, ...]
    papers: Mapping[str, Sequence[str]]
    """Source → keys of the papers read from it, also those without a claim."""

    def by_source(self) -> list[Standing]:
        """Each source with its papers, most trusted first; equal ones in the order in which they were first read."""
        found = [
            _standing(source, [claim for claim in self.claims if claim.source == source], len(papers))
            for source, papers in self.papers.items()
        ]
        return sorted(found, key=lambda standing: -standing.trust)

    def by_technique(self) -> list[Standing]:
        """Each technique over all papers, tested ones first, then by trust."""
        names = dict.fromkeys(claim.technique for claim in self.claims)
        found = []
        for name in names:
            own = [claim for claim in self.claims if claim.technique == name]
            found.append(_standing(name, own, len({claim.paper for claim in own})))
        return sorted(found, key=lambda standing: (standing.tested == 0, -standing.trust))

    def source_trust(self) -> dict[str, float]:
        """Source → share of its promises to expect; sources without a tested claim have the prior's."""
        return {standing.name: standing.trust for standing in self.by_source()}

    def technique_trust(self) -> dict[tuple[str, str], float]:
        """(paper, technique) → share of that promise to expect: what its source and its technique have kept, pooled."""
        kept: dict[tuple[str | None, str | None], tuple[float, int]] = {}
        for claim in self.claims:
            if (share := claim.kept) is not None:
                for kin in _kin(claim):
                    total, count = kept.get(kin, (0.0, 0))
                    kept[kin] = total + share, count + 1
        trust = {}
        for claim in self.claims:
            source, technique, both = (kept.get(kin, (0.0, 0)) for kin in _kin(claim))
            pooled = source[0] + technique[0] - both[0], source[1] + technique[1] - both[1]
            trust[claim.paper, claim.technique] = _expected(*pooled)
        return trust

    def lines(self, limit: int = 20) -> list[str]:
        """The tested claims, newest last, a line each, for a prompt. Names in it are strangers' text."""
        tested = [claim for claim in self.claims if claim.measured]
        return [_line(claim) for claim in tested[-limit:]]


def claim_ledger(history: History) -> ClaimLedger:
    """The ledger of what was read and tried so far."""
    last = {verdict.hypothesis: verdict for verdict in history.verdicts}  # a parked one may be promoted later
    verdicts = list(last.values())
    papers: dict[str, list[str]] = {}
    claims = []
    for key, reading in history.readings.items():
        source = reading.source or UNKNOWN_SOURCE
        papers.setdefault(source, []).append(key)
        claims += [_claim(history, source, reading, technique, verdicts) for technique in reading.techniques]
    return ClaimLedger(tuple(claims), papers)


def _claim(history: History, source: str, reading: Reading, technique: Technique, verdicts: Iterable[Verdict]) -> Claim:
    tests = [verdict for verdict in verdicts if _rests_on(history, verdict, technique)]
    idle = [(verdict.hypothesis, why) for verdict in tests if (why := NOT_MEASURED.get(verdict.reason))]
    return Claim(
        source=source,
        paper=reading.paper.key,
        title=reading.paper.title,
        technique=technique.name,
        promised=technique.claimed_gain,
        verified=technique.quote.verified,
        measured=tuple(_measured(verdict) for verdict in tests if verdict.reason not in NOT_MEASURED),
        unmeasured=tuple(f"{name} {why}" for name, why in idle),
    )


def _rests_on(history: History, verdict: Verdict, technique: Technique) -> bool:
    """Whether a verdict is about this technique: its hypothesis quotes it, or sets what it says and nothing else."""
    if technique.quote in history.hypotheses[verdict.hypothesis].quotes:
        return True
    settings = verdict.settings
    return (
        bool(settings)
        and settings.keys() == technique.settings.keys()
        and all(value in technique.settings[path] for path, value in settings.items())
    )


def _measured(verdict: Verdict) -> Measured:
    low, high = verdict.interval or (None, None)
    gain = next((each for each in (verdict.gain, verdict.mean, verdict.screen_gain) if each is not None), None)
    return Measured(verdict.hypothesis, verdict.outcome, gain, low, high, verdict.seq)


def _share(promised: float | None, test: Measured) -> float:
    if promised is None or promised <= 0 or test.gain is None:
        return 1.0 if test.outcome == "promote" else 0.0
    return min(1.0, max(0.0, test.gain / promised))


def _trust(claims: Iterable[Claim]) -> float:
    kept = [claim.kept for claim in claims if claim.kept is not None]
    return _expected(sum(kept), len(kept))


def _expected(kept: float, count: int) -> float:
    return (kept + PRIOR_WEIGHT * PRIOR_TRUST) / (count + PRIOR_WEIGHT)


def _kin(claim: Claim) -> tuple[tuple[str | None, str | None], ...]:
    """Keys of what a claim is pooled with: its source, its technique, and both at once, which stand in either."""
    return (claim.source, None), (None, claim.technique), (claim.source, claim.technique)


def _standing(name: str, claims: Sequence[Claim], papers: int) -> Standing:
    tested = [claim for claim in claims if claim.measured]
    pairs = [
        (claim.promised, sum(gains) / len(gains))
        for claim in tested
        if claim.promised is not None and (gains := [test.gain for test in claim.measured if test.gain is not None])
    ]
    promoted = {test.hypothesis for claim in tested for test in claim.measured if test.outcome == "promote"}
    return Standing(
        name=name,
        papers=papers,
        claims=len(claims),
        tested=len(tested),
        promoted=len(promoted),
        promised=sum(promise for promise, _ in pairs) / len(pairs) if pairs else None,
        measured=sum(gain for _, gain in pairs) / len(pairs) if pairs else None,
        trust=_trust(claims),
    )


def _line(claim: Claim) -> str:
    promised = "no number" if claim.promised is None else f"{claim.promised:+.4g}"
    results = "; ".join(spoken(test) for test in claim.measured)
    return f"{claim.technique} ({_source_alone(claim.source)}): promised {promised}, measured {results}"


def _source_alone(source: str) -> str:
    """A source by its kind and name: of a folder that is configured by its whole path, the last name only."""
    kind, _, place = source.partition(":")
    return f"{kind}:{PurePath(place).name}" if PurePath(place).is_absolute() else source


def spoken(test: Measured) -> str:
    """One test in words, such as `H-001 +0.033 [+0.028, +0.039], promote`."""
    if test.gain is None:
        return f"{test.hypothesis} nothing, {test.outcome}"
    interval = "" if test.low is None or test.high is None else f" [{test.low:+.4g}, {test.high:+.4g}]"
    return f"{test.hypothesis} {test.gain:+.4g}{interval}, {test.outcome}"

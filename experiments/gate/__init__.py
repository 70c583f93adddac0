"""The promotion gate: a pure function from evidence and a policy to a verdict with its criteria table.

Called by the judge node and by `agent gate`. No clock, no randomness, no network, no file, no model; whatever it
reads and derives goes into the audit log through `record`.
"""

from experiments.gate.deciding import decide
from experiments.gate.decision import CostNumbers, Criterion, Decision, ItemNumbers, Need, Numbers, Policy
from experiments.gate.e_night import ENight
from experiments.gate.evidence import Evidence, ItemScores, Pair, Plausibility, Readmission, RunValue, SeasonFacts
from experiments.gate.exact import Exact
from experiments.gate.interval import gain_interval
from experiments.gate.park import parked_promotions
from experiments.gate.per_item import PerItem
from experiments.gate.policies import POLICIES, policy_for
from experiments.gate.record import evidence_from_record, look_record, recompute
from experiments.gate.seed_card import SeedCard
from experiments.gate.seed_card_extend import SeedCardExtend
from experiments.gate.soundness import BAD_EVIDENCE

__all__ = [
    "BAD_EVIDENCE",
    "POLICIES",
    "CostNumbers",
    "Criterion",
    "Decision",
    "ENight",
    "Evidence",
    "Exact",
    "ItemNumbers",
    "ItemScores",
    "Need",
    "Numbers",
    "Pair",
    "PerItem",
    "Plausibility",
    "Policy",
    "Readmission",
    "RunValue",
    "SeasonFacts",
    "SeedCard",
    "SeedCardExtend",
    "decide",
    "evidence_from_record",
    "gain_interval",
    "look_record",
    "parked_promotions",
    "policy_for",
    "recompute",
]

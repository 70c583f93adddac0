"""What papers call the things that a solution can tune: data of the rule-based reading, and nothing else.

Used by `agent.researcher.reading`. A concept is recognised in a sentence by its phrases and in a search space by
its tags and parameter names. Phrases are regular expressions over lower-case text whose hyphens are spaces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Direction = Literal["up", "down", ""]


@dataclass(frozen=True)
class Concept:
    """One thing that can be tuned, under the names that papers and configurations give it."""

    phrases: tuple[str, ...]
    names: frozenset[str]
    """Names of parameters and tags, words joined by underscores."""
    direction: Direction = ""
    """Which way its values go when a sentence praises it without saying more."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(r"\b(?:" + "|".join(self.phrases) + r")\b")


def _concept(phrases: str, names: str, direction: Direction = "") -> Concept:
    return Concept(tuple(phrase.strip() for phrase in phrases.split(" / ")), frozenset(names.split()), direction)


CONCEPTS: tuple[Concept, ...] = (
    _concept(
        r"(?:shift|translat|rotat|jitter|augment)(?:ed|ing) (?:(?:training|the|input) ){0,2}"
        r"(?:cop(?:y|ies)|images?|versions?|examples?|digits?|data|sets?)"
        r" / (?:random|small) (?:shifts?|translations?) / jitter(?:ing)? / (?:data )?augmentations?",
        "augmentation data_augmentation augment shift shifts shifted_copies copies jitter translation translations",
        "up",
    ),
    _concept(
        r"(?:wider|larger|bigger) (?:hidden )?(?:layers?|networks?|perceptrons?) / widen(?:ed|ing)"
        r" / more (?:hidden )?(?:units|neurons) / (?:widening|increasing) the hidden layers?"
        r" / (?:network|layer|hidden) widths?",
        "width hidden hidden_size hidden_units units neurons channels d_model",
        "up",
    ),
    _concept(
        r"hidden layers? / hidden units", "width hidden hidden_size hidden_units units neurons channels d_model", ""
    ),
    _concept(
        r"deeper (?:networks?|models?) / more (?:hidden )?layers / (?:an?|one) (?:additional|extra|second) (?:hidden )?"
        r"layer / network depth",
        "depth layers n_layers num_layers blocks",
        "up",
    ),
    _concept(
        r"longer training / train(?:ing|ed)? (?:\w+ ){0,3}longer / (?:more|additional|extra) (?:training )?"
        r"(?:epochs|steps|iterations) / epochs / training (?:length|duration)",
        "training_length training_duration epochs steps iterations max_steps",
        "up",
    ),
    _concept(r"weight decay / l2 (?:regulari[sz]ation|penalt(?:y|ies))", "weight_decay wd l2", "up"),
    _concept(r"dropout", "dropout dropout_rate", "up"),
    _concept(r"label smoothing / smoothed labels", "label_smoothing smoothing", "up"),
    _concept(r"regulari[sz](?:ation|ers?|ing)", "regularisation regularization", "up"),
    _concept(r"learning rates? / step sizes?", "learning_rate lr step_size"),
    _concept(r"momentum", "momentum beta1"),
    _concept(r"batch sizes? / (?:smaller|larger) (?:mini ?)?batches", "batch_size batch minibatch"),
    _concept(r"adamw? / sgd / stochastic gradient descent / optimi[sz]ers?", "optimizer optimiser"),
    _concept(
        r"cosine (?:learning rate )?(?:decay|schedules?|annealing) / warm ?up / learning rate (?:schedules?|decay)"
        r" / (?:decay|anneal)(?:ed|ing) the learning rate",
        "schedule scheduler lr_schedule learning_rate_schedule warmup warmup_steps warmup_epochs lr_decay",
        "up",
    ),
    _concept(
        r"(?:normali[sz]|standardi[sz]|scal)(?:ed|ing) (?:the )?(?:inputs?|pixels?|features?|images?)"
        r" / (?:input|feature) (?:normali[sz]ation|standardi[sz]ation|scaling)",
        "normalise normalize normalisation normalization standardise standardize standardisation input_scaling scaling",
        "up",
    ),
    _concept(r"batch normali[sz]ation / batchnorm", "batch_norm batchnorm", "up"),
    _concept(r"layer normali[sz]ation / layernorm", "layer_norm layernorm", "up"),
    _concept(r"ensembl(?:e|es|ing)", "ensemble ensemble_size members", "up"),
    _concept(
        r"(?:weight|checkpoint) averaging / moving averages? of (?:the )?(?:weights|parameters)",
        "ema weight_averaging swa averaging",
        "up",
    ),
    _concept(r"relu / gelu / tanh / activations? functions?", "activation nonlinearity"),
    _concept(r"initiali[sz]ation", "init initialisation initialization init_scale"),
    _concept(r"early stopping", "early_stopping patience", "up"),
    _concept(r"gradient clipping / clip(?:ped|ping) gradients?", "gradient_clipping grad_clip clip_norm", "up"),
)

UP_WORDS = frozenset(
    [
        "increased",
        "increasing",
        "larger",
        "higher",
        "more",
        "longer",
        "stronger",
        "bigger",
        "raising",
        "doubling",
        "doubled",
    ]
)
DOWN_WORDS = frozenset(
    [
        "decreased",
        "decreasing",
        "smaller",
        "lower",
        "fewer",
        "less",
        "shorter",
        "weaker",
        "lowering",
        "halving",
        "halved",
        "reducing",
        "reduced",
    ]
)

QUALITY = r"(?:accurac(?:y|ies)|f1|scores?|performance|precision|recall|auc|generali[sz]ation|generali[sz]es?|bleu)"
ERROR = r"(?:errors?|error rates?|loss|losses|perplexity|misclassifications?)"
COST = r"(?:time|times|latency|memory|costs?|throughput|runtime|flops|speed|parameters)"

NUMBER_WORDS: dict[str, float] = {
    word: float(value)
    for value, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], start=1
    )
}

"""The form in which names are searched in papers, and the field's own short forms of them.

Used by the other modules of this package. What stands here is how the field abbreviates names anywhere, not what
any one paper or board says. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

CACHED = 300
"""Longer texts are not remembered: headers and names repeat, sentences do not."""
_TOKEN = re.compile(r"[a-z]+|\d+|[@%±]")
_YEAR = re.compile(r"(?<= )(?:19|20)(\d\d)(?= )")

TASK_WORDS: dict[str, tuple[str, ...]] = {
    "named entity recognition": ("ner", "named entity", "named entities", "entity recognition"),
    "part of speech tagging": ("pos tagging", "pos tagger", "pos tags", "part of speech"),
    "question answering": ("reading comprehension", "machine comprehension", "answering questions", "cloze", "qa"),
    "text classification": (
        "text categorization",
        "topic classification",
        "document classification",
        "sentence classification",
        "question classification",
        "ontology classification",
        "news articles",
        "nonoverlapping classes",
        "question type",
    ),
    "sentiment analysis": ("sentiment", "sentiment classification", "polarity", "reviews", "subjectivity"),
    "summarization": ("summary", "summaries", "headline generation", "sentence compression", "summarisation"),
    "natural language inference": ("nli", "textual entailment", "entailment"),
    "relationship extraction": ("relation extraction", "relation classification", "distant supervision"),
    "relation prediction": ("link prediction", "knowledge base completion", "knowledge graph completion"),
    "temporal information extraction": ("temporal relation", "temporal relations", "temporal ordering", "timeml"),
    "timex normalisation": ("time normalization", "time normalizations", "temporal normalization"),
    "semantic textual similarity": ("textual similarity", "paraphrase", "semantic relatedness", "sentence similarity"),
    "language modeling": ("language model", "language models", "language modelling", "perplexity"),
    "machine translation": ("translation", "nmt", "translating"),
    "dependency parsing": ("dependency parser", "dependency parsers", "dependency grammar", "dependency treebank"),
    "constituency parsing": ("constituent parsing", "phrase structure parsing", "constituency parser"),
    "ccg supertagging": ("ccg", "supertagging", "supertagger"),
    "chunking": ("shallow parsing", "chunk"),
    "amr parsing": ("amr", "abstract meaning representation"),
    "word segmentation": ("word segmenter", "segmentation"),
    "word sense disambiguation": ("wsd", "sense disambiguation"),
    "semantic role labeling": ("srl", "semantic roles", "semantic role labelling", "propbank"),
    "coreference resolution": ("coreference", "coreferent"),
    "entity linking": ("entity disambiguation", "named entity disambiguation"),
    "grammatical error correction": ("gec", "error correction", "grammar correction"),
    "lexical normalization": ("normalization of noisy text", "text normalization", "lexical normalisation"),
    "dialogue state tracking": ("dialog state tracking", "belief tracking", "state tracking"),
    "dialogue act classification": ("dialogue act", "dialog act", "dialogue acts", "dialog acts"),
    "retrieval based chatbot": ("response selection", "retrieval based", "chatbot", "multi turn"),
    "stance detection": ("stance", "rumour", "rumours"),
    "sql parsing": ("sql", "text to sql", "semantic parsing"),
    "taxonomy learning": ("hypernym discovery", "hypernym", "taxonomy"),
    "common sense": ("commonsense",),
    "multimodal sentiment analysis": ("multimodal sentiment",),
    "multimodal emotion recognition": ("multimodal emotion", "emotion recognition"),
    "image classification": ("object recognition", "image recognition"),
    "speech recognition": ("asr", "word error rate"),
    "code generation": ("program synthesis", "code completion"),
}
"""What papers call a task, beside its name; keys are names in `normal` form."""

METRIC_WORDS: dict[str, tuple[str, ...]] = {
    "accuracy": ("acc", "accuracies", "accurracy"),
    "error": ("error rate", "error rates", "err", "errors", "test error"),
    "f 1": ("f 1 score", "f 1 scores", "f score", "f measure", "f scores", "f 1 measure", "fscore"),
    "exact match": ("em",),
    "em": ("exact match",),
    "precision": ("prec",),
    "recall": ("rec",),
    "perplexity": ("ppl", "perplexities", "perp"),
    "bit per character": ("bpc", "bits char", "bits per character", "bits per char"),
    "bits per character": ("bpc", "bits char", "bit per character"),
    "rouge 1": ("r 1", "rg 1"),
    "rouge 2": ("r 2", "rg 2"),
    "rouge l": ("r l", "rg l"),
    "uas": ("unlabeled attachment score", "unlabelled attachment score", "attachment acc"),
    "las": ("labeled attachment score", "labelled attachment score"),
    "pos": ("pos accuracy",),
    "map": ("mean average precision",),
    "mrr": ("mean reciprocal rank",),
    "h @ 10": ("hits @ 10", "hit @ 10"),
    "h @ 1": ("hits @ 1", "hit @ 1"),
    "pearson correlation": ("pearson", "pearson r"),
    "spearman correlation": ("spearman", "spearman rho"),
    "bleu": ("bleu score", "bleu scores"),
    "bleu 4": ("bleu 4 score",),
    "smatch": ("smatch score",),
    "number of params": ("params", "parameters", "size", "number of parameters"),
    "f 0 5": ("f 0 5 score",),
    "word error rate": ("wer",),
    "mean squared error": ("mse",),
    "mean absolute error": ("mae",),
    "root mean squared error": ("rmse",),
    "area under the curve": ("auc", "auroc"),
    "joint goal accuracy": ("joint goal", "joint goals"),
}
WHOLE_HEADERS = {"f": "f 1", "p": "precision", "r": "recall", "acc": "accuracy", "a": "accuracy"}
"""Short headers that mean a metric only where they are the whole header."""

METRIC_TASKS: dict[str, str] = {
    "perplexity": "language modeling",
    "bit per character": "language modeling",
    "uas": "dependency parsing",
    "las": "dependency parsing",
    "bleu": "machine translation",
    "rouge 1": "summarization",
    "rouge 2": "summarization",
    "rouge l": "summarization",
    "smatch": "amr parsing",
    "em": "question answering",
    "h @ 10": "relation prediction",
}
"""Metrics that speak for one task where a dataset serves several."""

DATASET_WORDS: dict[str, tuple[str, ...]] = {
    "penn treebank": ("ptb", "wsj", "wall street journal"),
    "multi nli": ("mnli",),
    "multinli": ("mnli", "multi nli"),
    "quora question pairs": ("qqp", "quora"),
    "chinese treebank": ("ctb",),
    "new york times": ("nyt",),
    "universal dependencies": ("ud",),
    "cnn daily mail": ("cnn dm", "cnndm", "dailymail", "cnn dailymail"),
    "hutter prize": ("enwik 8", "enwiki 8"),
    "switchboard": ("swda", "swbd"),
    "gigaword": ("giga word",),
    "imdb": ("internet movie database",),
    "ontonotes": ("onto notes",),
    "geoquery": ("geo query", "geoqueries"),
    "semeval": ("sem eval",),
    "wikitext": ("wiki text",),
    "wn 18 rr": ("wordnet 18 rr",),
    "squad": ("squad 1 1", "stanford question answering dataset"),
    "imagenet": ("ilsvrc", "image net"),
}
LANGUAGES = {
    "en": "english",
    "de": "german",
    "fr": "french",
    "cs": "czech",
    "ro": "romanian",
    "ru": "russian",
    "zh": "chinese",
    "vi": "vietnamese",
    "es": "spanish",
    "it": "italian",
    "ja": "japanese",
    "fi": "finnish",
}
AVERAGE = frozenset({"average", "avg", "ave", "mean"})
SPLITS = {
    "dev": ("dev", "development", "valid", "validation", "val"),
    "test": ("test", "tst", "testing"),
}


def normal(text: str) -> str:
    """Lower-case words and numbers apart by one space, with a space at both ends: `CoNLL-2003` is ` conll 2003 `."""
    return _normal(text) if len(text) <= CACHED else _normal.__wrapped__(text)


@lru_cache(maxsize=20_000)
def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).lower()
    tokens = _TOKEN.findall("".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c)))
    return f" {' '.join(tokens)} " if tokens else " "


def stands(phrase: str, text: str) -> bool:
    """Whether a phrase in `normal` form (or several words) stands in text of that form."""
    return f" {phrase.strip()} " in text


def short_years(phrase: str) -> str:
    """The phrase with years of two digits, as in `wmt 14`."""
    return _YEAR.sub(r"\1", f" {phrase.strip()} ").strip()


def split_of(text: str) -> str:
    """`dev`, `test` or nothing: which split words in `normal` form name; nothing where they name both."""
    found = {split for split, names in SPLITS.items() if any(stands(name, text) for name in names)}
    return found.pop() if len(found) == 1 else ""

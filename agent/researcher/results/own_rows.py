"""Whose a row of a table is: the paper's own system or somebody else's.

Used by `agent.researcher.results.table_results`. Explicit words first (`ours`, `this work`), then the system's name
as title and abstract give it, then bold figures in rows that cite nobody. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from agent.researcher.results.documents import Cell, Document

OURS = re.compile(
    r"\b(?:ours?|this (?:work|paper)|our (?:model|system|work|approach|method)s?|proposed)\b", re.IGNORECASE
)
CITED = re.compile(
    r"\bet al\b|[(\[,]\s*(?:19|20)\d\d\s*[a-z]?\s*[)\]]|\[\s*[A-Za-z]{2,20}\s?\d\d[a-z]?\s*\]|\[\s*\d{1,3}\s*\]"
    r"|\b[A-Z][a-z]+\s?(?:19|20)?\d\d\b"
)
_TAKEN_OVER = re.compile(
    r"([*†‡§])\W{0,3}\s*(?:\w+\s+){0,6}?(?:cited|results? (?:from|of|by)|reported (?:by|in)|taken from|copied"
    r"|from the|(?:by|from|of) [A-Z(\[])",
    re.IGNORECASE,
)
_CITATION_ALONE = re.compile(
    r"^\W{0,4}(?:\w\W{1,3})?(?:(?:[A-Z][\w-]{1,30}|al\.?|et|and|&)[\s,]{1,3}){1,6}\(?(?:19|20)\d\d"
)
_MEANT = re.compile(r"(?:our|submitted|proposed|this) (?:\w+ ){0,4}\(([A-Z][\w+-]*)\)", re.IGNORECASE)
NOT_A_SYSTEM = re.compile(
    r"\b(?:prev(?:ious)?|state.of.the.art|sota|best (?:published|reported)|human|oracle|upper bound|random|majority"
    r"|baselines?|inter.?annotator|gold)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b(?=\w{0,30}[A-Z0-9]\w{0,30}[A-Z])[A-Za-z][\w+]{0,40}(?:-[\w+]{1,20}){0,4}")
_INTRODUCED = re.compile(
    r"(?:call(?:ed)?|named|dubbed|term(?:ed)?|propose|introduce|present|describe)s?\s+(?:\w+\s+){0,8}?[(]?([A-Z][\w+-]*)"
)
_GENERIC = frozenset(
    """
    lstm blstm bilstm cnn rnn gru crf svm mlp dnn nlp nn mt nmt smt sgd adam rl ml lda pca bi-lstm lstms cnns
    rnns bi-directional wsj ptb ner pos qa us uk dev test glove word2vec url http https ii iii iv tf-idf mle em
    gpu wmt ai acl we the this our in to it for an as on of with these that both model models and
    """.split()  # noqa: SIM905  (a list of words is read as one)
)


_COMMON = frozenset(
    """
    with from mode neur netw deep lear trai lang word sent usin base appr meth syst task data text lstm bidi
    long shor term memo recu conv embe rela clas pars reco gene extr summ tran sequ towa impr simp effe stro
    baseline
    """.split()  # noqa: SIM905  (a list of words is read as one)
)
"""First four letters of words that any title of the field may have."""


_COMMON_COMPOUND = re.compile(
    r"^(?:semi|self|un|pre|multi|cross|non|bi|low|high|large|end|state|open|domain|context|attention|sub|co)-"
    r"|-(?:based|level|aware|to|end|supervised|dependent|specific|wise|domain|task|language|lingual|art|scale)\b"
)


class Own:
    """Judges rows of one paper."""

    def __init__(self, document: Document, taken: frozenset[str], names_data: Callable[[str], bool]) -> None:
        """`taken` are names in lower case that mean datasets, metrics or tasks and so no system."""
        self._names_data = names_data
        self._strong = self._names(document.title, taken) | {
            name.lower() for name in re.findall(r"^([A-Z][\w+-]{1,20}):", document.title)
        }
        compounds = re.findall(r"\b[a-z]{3,}(?:-[a-z]{2,})+\b", document.title.lower())
        compounds = [one for one in compounds if not _COMMON & {part[:4] for part in one.split("-")}]
        abstract = document.abstract[:3000]
        introduced = {
            match[1].lower() for match in _INTRODUCED.finditer(abstract) if match[1].lower() not in _GENERIC | taken
        }
        defined = re.findall(
            r"(?:we|our|propose|introduce|present)\b[^.()]{0,120}\(([A-Z][\w+-]{1,20})\)", document.text[:20000]
        )
        introduced |= {name.lower() for name in defined if name.lower() not in _GENERIC | taken}
        self._introduced = introduced | {one for one in compounds if not _COMMON_COMPOUND.search(one)}
        self._seen = self._names(abstract, taken)
        self._title_words = {word[:4] for word in re.findall(r"[a-z]{4,}", document.title.lower())} - _COMMON

    @staticmethod
    def _names(text: str, taken: frozenset[str]) -> set[str]:
        found = {match[0].lower() for match in _NAME.finditer(text)} if not text.isupper() else set()
        return {name for name in found if len(name) > 1 and name not in _GENERIC and name not in taken}

    def degree(self, cell: Cell, caption: str, *, others_cited: bool) -> float:
        """From 0 (another's, or nothing says) to 1 (says it is ours)."""
        rows = [label for label in cell.rows if not self._names_data(label)]
        if not rows:
            rows = [label for label in cell.columns if not self._names_data(label)]
        if not rows:
            return 0.6 if cell.rows else 0.0  # no system is named: the paper's one system on several datasets
        taken_over = {match[1] for match in _TAKEN_OVER.finditer(caption)}
        if any(sign in rows[0] for sign in taken_over):
            return 0.0
        own, rest = rows[0], " ".join(rows[1:3])
        if NOT_A_SYSTEM.search(own):
            return 0.0
        if OURS.search(own) or any(OURS.search(text) for text in (*rows[1:], *cell.groups)):
            return 1.0
        if _CITATION_ALONE.match(_tight(own)) and any(
            _starts(label.lower(), self._strong | self._introduced) for label in rows[1:]
        ):
            return 0.75
        if CITED.search(_tight(own)) or (len(rows) > 1 and _CITATION_ALONE.match(_tight(rows[1]))):
            return 0.0
        label = _tight(f"{own} {rest}").lower()
        words = set(re.findall(r"[a-z0-9][\w+]*(?:-[\w+]+)*", label))
        words |= {part for word in words for part in re.split(r"[-+]", word)}
        if any(match[1].lower() in words for match in _MEANT.finditer(caption)):
            return 0.9
        if words & self._strong or _starts(label, self._strong):
            return 0.9
        if words & self._introduced or _starts(label, self._introduced):
            return 0.75
        title = len({word[:4] for word in re.findall(r"[a-z]{4,}", label)} & self._title_words)
        if title >= 2:
            return 0.7
        if words & self._seen or _starts(label, self._seen):
            return 0.6
        if others_cited:
            return 0.7 if cell.bold else 0.5
        return 0.45 if cell.bold else 0.2


def others_cited(cells: Sequence[Cell]) -> bool:
    """Whether the table sets rows of cited work beside rows that cite nobody."""
    firsts = {cell.rows[0] for cell in cells if cell.rows}
    cited = sum(bool(CITED.search(_tight(label))) for label in firsts)
    return 0 < cited < len(firsts)


def _starts(label: str, names: set[str]) -> bool:
    compact = re.sub(r"[^a-z0-9]", "", label)
    return any(len(name) > 3 and compact.startswith(re.sub(r"[^a-z0-9]", "", name)) for name in names)


def _tight(label: str) -> str:
    """The label without the spaces that readers of PDFs put around signs."""
    return re.sub(r"\s*([-+/.,)\]])\s*", r"\1", re.sub(r"([(\[])\s+", r"\1", label)).replace(",", ", ")

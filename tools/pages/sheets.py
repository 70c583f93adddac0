"""The plain rules of a web page's own style sheets, and which of them an element meets.

Called by `visible_text`, in a process of its own. A page is judged as a wide screen shows it. Selectors are tags,
classes, ids and attributes, one within another; rules with any other selector or condition are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tools.pages.styles import PX_OF, SCREEN_PX, background, declarations, hides, text_colour, unescaped

MAX_SHEET = 500_000
MAX_RULES = 5_000
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r"\"[^\"\n]{0,2000}\"|'[^'\n]{0,2000}'")
_PART = re.compile(r"([.#])((?:[\w-]|[^\x00-\x7f])+)|\[\s*([\w-]+)\s*(?:=\s*[\"']?([^\"'\]]*)[\"']?\s*)?\]")
_TAG = re.compile(r"^(\*|[a-zA-Z][\w-]*)")
_WIDTH = re.compile(r"\(\s*(min|max)-width\s*:\s*(\d+(?:\.\d+)?)(px|r?em)\s*\)")


@dataclass(frozen=True, slots=True)
class _Compound:
    """One part of a selector: a tag, and what the element has to have."""

    tag: str
    names: frozenset[tuple[str, str]]
    attributes: tuple[tuple[str, str | None], ...]

    def fits(self, element: Any) -> bool:
        if self.tag not in {"", "*"} and self.tag != str(element.tag).lower():
            return False
        if self.names and not self.names <= names_of(element):
            return False
        return all(
            (found := element.get(name)) is not None and value in {None, found} for name, value in self.attributes
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """A selector as compounds, each with what parts it from the one before, and what it declares."""

    selector: tuple[tuple[str, _Compound], ...]
    style: dict[str, str]
    rank: tuple[int, int, int, int]
    """How much it weighs: ids, classes and attributes, tags, and its place in the sheet."""
    hiding: bool
    needs: frozenset[tuple[str, str]]
    """Names that the element and what it is in have to have between them."""

    def fits(self, element: Any) -> bool:
        """Whether an element meets it; the nearest ancestor that fits a compound is taken for it."""
        *above, (joint, last) = self.selector
        if not last.fits(element):
            return False
        at = element.getparent()
        for before, compound in reversed(above):
            while at is not None and joint == " " and not compound.fits(at):
                at = at.getparent()
            if at is None or not compound.fits(at):
                return False
            at, joint = at.getparent(), before
        return True


@dataclass
class Sheet:
    """Rules by the name that an element needs for them."""

    rules: dict[tuple[str, str], list[_Rule]] = field(default_factory=dict)
    around: dict[Any, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """Names of an element and of all that it is in, as far as they were asked for."""
    met: dict[Any, list[_Rule]] = field(default_factory=dict)

    def styles(self, element: Any) -> list[dict[str, str]]:
        """Declarations of every rule that an element meets, the one that weighs most last."""
        return [rule.style for rule in self._met(element)]

    def hides(self, element: Any) -> bool:
        """Whether a rule that an element meets hides it. Rules that would show it again are not weighed against it."""
        return any(rule.hiding for rule in self._met(element))

    def _met(self, element: Any) -> list[_Rule]:
        if not self.rules:
            return []
        if element not in self.met:
            keys = (*names_of(element), ("", str(element.tag).lower()), ("", "*"))
            near = [rule for key in keys for rule in self.rules.get(key, ())]
            around = self._around(element) if near else frozenset()
            met = [rule for rule in near if rule.needs <= around and rule.fits(element)]
            self.met[element] = sorted(met, key=lambda rule: rule.rank)
        return self.met[element]

    def _around(self, element: Any) -> frozenset[tuple[str, str]]:
        path = []
        at = element
        while at is not None and at not in self.around:
            path.append(at)
            at = at.getparent()
        names = self.around[at] if at is not None else frozenset[tuple[str, str]]()
        for one in reversed(path):
            own = names_of(one)
            names = self.around[one] = names if own <= names else names | own
        return names

    def add(self, selector: str, style: dict[str, str], number: int) -> None:
        """A rule, unless its selector is of a kind that is not known here."""
        if parsed := _selector(selector):
            compounds = [compound for _, compound in parsed]
            ids = sum(sign == "#" for one in compounds for sign, _ in one.names)
            names = sum(len(one.names) + len(one.attributes) for one in compounds) - ids
            tags = sum(one.tag not in {"", "*"} for one in compounds)
            key = next(iter(sorted(compounds[-1].names)), ("", compounds[-1].tag or "*"))
            needs = frozenset(name for one in compounds for name in one.names)
            rank = (ids, names, tags, number)
            self.rules.setdefault(key, []).append(_Rule(parsed, style, rank, hides(style), needs))


def read_sheet(text: str) -> Sheet:
    """The plain rules of a style sheet."""
    text = _COMMENT.sub(" ", text[:MAX_SHEET])
    text = _STRING.sub(lambda match: '""' if re.search("[{};]", match[0]) else match[0], text)
    sheet, prelude = Sheet(), ""
    within: list[str | None] = []
    for number, piece in enumerate(re.split(r"([{}])", text)):
        if number > 6 * MAX_RULES:
            break
        if piece == "{":
            within.append(_prelude(prelude))
        elif piece == "}":
            del within[-1:]
        else:
            prelude = piece.rpartition(";")[2].strip()
            style = declarations(piece)
            around = [one for one in within if one]
            if around and None not in within and _matters(style):
                for selector in _selectors(around):
                    sheet.add(selector, style, number)
    return sheet


def _matters(style: dict[str, str]) -> bool:
    """Whether a rule says something about what can be seen."""
    return hides(style) or text_colour(style) is not None or background(style) is not None


def _selectors(around: list[str]) -> list[str]:
    """Every selector of a rule; a rule within another is read as one of descendants."""
    found = around[0].split(",")[:100]
    for inner in around[1:4]:
        several = inner.split(",")[:20]
        found = [one.replace("&", outer) if "&" in one else f"{outer} {one}" for outer in found for one in several]
    return found[:100]


def _prelude(words: str) -> str | None:
    """A selector as it is, an empty one for a condition that holds on a wide screen, None for any other."""
    if not words.startswith("@"):
        return words
    name, _, condition = words[1:].partition(" ")
    if name in {"layer", "supports", "container"}:
        return ""
    return "" if name == "media" and any(map(_holds, condition.lower().split(","))) else None


def _holds(query: str) -> bool:
    widths = _WIDTH.findall(query)
    rest = _WIDTH.sub(" ", query)
    if "(" in rest or not set(rest.split()) <= {"screen", "all", "and", "only"}:
        return False
    sizes = [(which, float(number) * PX_OF[unit]) for which, number, unit in widths]
    return all(size <= SCREEN_PX if which == "min" else size >= SCREEN_PX for which, size in sizes)


def _selector(text: str) -> tuple[tuple[str, _Compound], ...]:
    """A selector as compounds with what parts each from the one before; empty where it is not plain."""
    words = unescaped(re.sub(r"\s*([>+~])\s*", r" \1 ", text)).split()
    found: list[tuple[str, _Compound]] = []
    joint = " "
    for word in words:
        if word in {"+", "~"}:
            return ()
        if word == ">":
            joint = word
            continue
        tag = _TAG.match(word)
        rest = word[tag.end() :] if tag else word
        parts = list(_PART.finditer(rest))
        if "".join(part[0] for part in parts) != rest:
            return ()
        names = frozenset((part[1], part[2]) for part in parts if part[1])
        attributes = tuple((part[3].lower(), part[4]) for part in parts if part[3])
        found.append((joint, _Compound(tag[0].lower() if tag else "", names, attributes)))
        joint = " "
    return tuple(found) if len(found) <= 8 else ()


def names_of(element: Any) -> frozenset[tuple[str, str]]:
    """Classes and id of an element, with the sign that selectors write them with."""
    found = {(".", name) for name in (element.get("class") or "").split()}
    return frozenset(found | {("#", name) for name in (element.get("id") or "",) if name})

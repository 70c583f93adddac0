"""The visible text of a web page, its links and the feeds that it names; what a reader would not see is cut out.

Called by `tools.pages.extraction`, in a process of its own. It knows what the page itself says: attributes, inline
styles and the plain rules of its own style sheets. Style sheets that would have to be fetched, and scripts, are not
looked at.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

from tools.pages.sheets import Sheet, read_sheet
from tools.pages.styles import BLACK, FAINT, WHITE, Colour, background, declarations, hides, near, text_colour

MAX_LINKS = 2_000
MAX_TEXT = 400_000
MAX_FIELD = 20_000
_DROPPED = frozenset(
    "title meta link base script style noscript template iframe object embed svg canvas audio video".split()  # noqa: SIM905
) | {"button", "select", "textarea", "datalist", "noframes", "noembed", "annotation", "annotation-xml"}
_AROUND = frozenset({"nav", "header", "footer", "aside", "form"})
_BLOCKS = frozenset(
    "p div section article main h1 h2 h3 h4 h5 h6 li ul ol table tr pre blockquote figure figcaption dl dt dd".split()  # noqa: SIM905
) | {"br", "hr", "header", "footer", "nav", "aside", "body", "td", "th", "details", "summary"}
_UNSEEN_NAMES = frozenset({"sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "hidden", "invisible"})
_LINK = (0, 0, 238)
_FEED_TYPES = frozenset({"application/rss+xml", "application/atom+xml", "application/rdf+xml"})


def read_page(data: bytes, url: str, content_type: str) -> dict[str, Any]:
    """Title, text, links, feeds, and how many words were hidden in which way; or `problem`."""
    from lxml import etree, html

    named = re.search(r"charset=[\"']?([\w-]{1,40})", content_type, re.IGNORECASE)
    coding = named[1] if named else None
    if coding is None and b"charset" not in data[:4096].lower():
        with contextlib.suppress(UnicodeDecodeError):
            data.decode("utf-8")
            coding = "utf-8"
    try:
        parser = html.HTMLParser(encoding=coding, no_network=True, huge_tree=False)
    except LookupError:
        parser = html.HTMLParser(no_network=True, huge_tree=False)
    try:
        root: Any = html.document_fromstring(data, parser=parser)
    except (etree.LxmlError, ValueError) as error:
        return {"problem": f"a page that cannot be read ({type(error).__name__}: {error})"[:300]}
    base = next((urljoin(url, one) for one in root.xpath("//base/@href")), url)
    title = next((text for text in root.xpath("//title/text()")), "")
    feeds = [
        urljoin(base, link.get("href"))
        for link in root.xpath("//link[@href]")
        if "alternate" in (link.get("rel") or "").lower().split() and (link.get("type") or "").lower() in _FEED_TYPES
    ]
    hidden = _cut_hidden(root)
    links = [
        {"link": urljoin(base, one.get("href").strip()), "text": " ".join(one.text_content().split())[:MAX_FIELD]}
        for one in root.xpath("//a[@href]")[:MAX_LINKS]
    ]
    body = _main_part(root)
    text = _visible(body)
    return {
        "title": " ".join(str(title).split())[:2000],
        "feeds": feeds[:20],
        "links": links,
        "hidden": hidden,
        "text": text[:MAX_TEXT],
        "cut": len(text) > MAX_TEXT,
    }


def _cut_hidden(root: Any) -> dict[str, int]:
    """Take out what a reader does not see; says how much text of which kind went, by kind."""
    from lxml import etree

    sheet = read_sheet("\n".join(root.xpath("//style/text()")))
    elsewhere = bool(root.xpath("//link[contains(translate(@rel, 'STYLEHT', 'styleht'), 'stylesheet')]"))
    counts: dict[str, int] = {}
    etree.strip_tags(root, etree.Comment, etree.ProcessingInstruction)
    cut: set[Any] = set()
    for element in list(root.iter(etree.Element)):
        parent = element.getparent()
        if parent is None or element.tag in ("html", "body", "head"):
            continue
        if parent in cut:
            cut.add(element)
            continue
        kind = "" if element.tag in _DROPPED else _why_hidden(element, sheet)
        if element.tag not in _DROPPED and not kind:
            continue
        if kind and (size := len("".join(element.itertext()).split())):
            counts[kind] = counts.get(kind, 0) + size
        cut.add(element)
        element.drop_tree()
    if unseen := _cut_colourless(root, sheet, elsewhere):
        counts["colour"] = unseen
    return counts


def _why_hidden(element: Any, sheet: Sheet) -> str:
    if element.get("hidden") is not None or element.get("popover") is not None:
        return "hidden"
    if element.tag == "dialog" and element.get("open") is None:
        return "dialog"
    if (element.get("aria-hidden") or "").strip().lower() == "true":
        return "aria-hidden"
    if _UNSEEN_NAMES.intersection((element.get("class") or "").lower().split()):
        return "class"
    if sheet.hides(element):
        return "style sheet"
    return "style" if hides(declarations(element.get("style") or "")) else ""


def _cut_colourless(root: Any, sheet: Sheet, elsewhere: bool) -> int:
    """Take out text in the colour of what it stands on, or in none; says how many words. The page itself is white.

    `elsewhere`: there are style sheets that are not looked at. A colour from a sheet on a ground that nothing here
    gives is then seen: the ground may be given there.
    """
    from lxml import etree

    words = 0
    looks: dict[Any, _Look] = {}
    for element in list(root.iter(etree.Element)):
        look = looks[element] = _look(element, looks.get(element.getparent(), _PAPER), sheet)
        if look.seen(elsewhere):
            continue
        words += len((element.text or "").split()) + sum(len((child.tail or "").split()) for child in element)
        element.text = " " if element.text else element.text
        for child in element:
            child.tail = " " if child.tail else child.tail
    return words


@dataclass(frozen=True, slots=True)
class _Look:
    """Colour of text and of what it stands on, None where it cannot be told, and whether an element itself says so."""

    ink: Colour | None = BLACK
    opacity: float = 1.0
    own_ink: bool = False
    ground: Colour | None = WHITE
    own_ground: bool = False

    def seen(self, elsewhere: bool) -> bool:
        if self.opacity <= FAINT:
            return False
        if self.ink is None or self.ground is None or not near(self.ink, self.ground):
            return True
        return elsewhere and not (self.own_ink and self.own_ground) and not (self.own_ink and self.ground == WHITE)


_PAPER = _Look()


def _look(element: Any, around: _Look, sheet: Sheet) -> _Look:
    attributes = {
        "color": element.get("color") or element.get("text") or "",
        "background": element.get("bgcolor") or "",
    }
    inline = [{name: value for name, value in attributes.items() if value}, declarations(element.get("style") or "")]
    look = replace(around, ink=_LINK, own_ink=False) if element.tag == "a" and around.ink == BLACK else around
    if element.get("background"):
        look = replace(look, ground=None)
    for own, styles in ((False, sheet.styles(element)), (True, inline)):
        for style in styles:
            if (ink := text_colour(style)) is not None:
                look = replace(look, ink=ink[0], opacity=ink[1], own_ink=own)
            if (ground := background(style)) is not None:
                look = replace(look, ground=ground[0], own_ground=True)
    return look


def _main_part(root: Any) -> Any:
    """The article of a page where it marks one, else its body without what stands around."""
    marked = root.xpath("//article | //main | //*[@role='main']")
    best = max(marked, key=lambda one: len(one.text_content()), default=None)
    if best is not None and len(best.text_content().split()) >= 40:
        return best
    for element in [one for one in root.iter() if one.tag in _AROUND]:
        if element.getparent() is not None:
            element.drop_tree()
    return root


def _visible(element: Any) -> str:
    pieces: list[str] = []
    for event, one in _walk(element):
        if event == "text":
            pieces.append(re.sub(r"\s+", " ", one))
        elif one in _BLOCKS:
            pieces.append("\n")
    lines = (" ".join(line.split()) for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _walk(element: Any) -> Iterator[tuple[str, Any]]:
    """Texts and tags in order, without recursion: a page may be nested as deep as the parser lets it."""
    from lxml import etree

    for event, one in etree.iterwalk(element, events=("start", "end")):
        yield "tag", one.tag
        if event == "start" and one.text:
            yield "text", one.text
        if event == "end" and one.tail and one is not element:
            yield "text", one.tail

"""The visible text of a web page, its links and the feeds that it names; what a reader would not see is cut out.

Called by `tools.page_extraction`, in a process of its own. It knows what the page itself says: attributes, inline
styles and the plain rules of its own style sheets. Style sheets that would have to be fetched, and scripts, are not
looked at.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

MAX_LINKS = 2_000
MAX_TEXT = 400_000
MAX_FIELD = 20_000
MAX_RULES = 5_000
_DROPPED = frozenset(
    "title meta link base script style noscript template iframe object embed svg canvas audio video".split()  # noqa: SIM905
) | {"button", "select", "textarea"}
_AROUND = frozenset({"nav", "header", "footer", "aside", "form"})
_BLOCKS = frozenset(
    "p div section article main h1 h2 h3 h4 h5 h6 li ul ol table tr pre blockquote figure figcaption dl dt dd".split()  # noqa: SIM905
) | {"br", "hr", "header", "footer", "nav", "aside", "body", "td", "th", "details", "summary"}
_UNSEEN_NAMES = frozenset({"sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "hidden"})
_HIDES = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0*\.?0+(?![\d.])"
    r"|font-size\s*:\s*(?:0*\.?0+[a-z%]*|(?:0*\.\d+|1(?:\.\d+)?)(?:px|pt)|0*\.0\d*r?em|\d(?:\.\d+)?%)\s*(?:;|!|$)"
    r"|color\s*:\s*transparent"
    r"|(?:left|right|top|bottom|text-indent|margin-left|margin-top)\s*:\s*-\d{3,}"
    r"|clip\s*:\s*rect\(\s*[01](?:px)?[\s,]|clip-path\s*:\s*inset\(\s*(?:50|100)%)",
    re.IGNORECASE,
)
_FLAT = re.compile(r"(?:^|[;\s])(?:max-)?(?:width|height)\s*:\s*[01](?:px)?\s*(?:;|!|$)", re.IGNORECASE)
_WHITE = re.compile(
    r"(?:^|[;\s])color\s*:\s*(?:white|#fff(?:fff)?|#fefefe|rgba?\(\s*255\s*,\s*255\s*,\s*255\b)", re.IGNORECASE
)
_BACKGROUND = re.compile(r"(?:^|[;\s])background(?:-color|-image)?\s*:", re.IGNORECASE)
_SIMPLE = re.compile(r"^([a-zA-Z][\w-]*)?(?:([.#])([\w-]+))$")
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

    hiding = _hiding_rules("\n".join(root.xpath("//style/text()")))
    counts: dict[str, int] = {}
    etree.strip_tags(root, etree.Comment, etree.ProcessingInstruction)
    for element in list(root.iter(etree.Element)):
        if element.getparent() is None or element.tag in ("html", "body", "head"):
            continue
        kind = "" if element.tag in _DROPPED else _why_hidden(element, hiding)
        if element.tag not in _DROPPED and not kind:
            continue
        if kind and (size := len("".join(element.itertext()).split())):
            counts[kind] = counts.get(kind, 0) + size
        element.drop_tree()
    return counts


def _why_hidden(element: Any, hiding: frozenset[tuple[str, str, str]]) -> str:
    if element.get("hidden") is not None:
        return "hidden"
    if (element.get("aria-hidden") or "").strip().lower() == "true":
        return "aria-hidden"
    classes = (element.get("class") or "").split()
    if _UNSEEN_NAMES.intersection(name.lower() for name in classes):
        return "class"
    names = [(".", name) for name in classes] + [("#", element.get("id") or "")]
    if any((tag, sign, name) in hiding for sign, name in names for tag in ("", str(element.tag).lower())):
        return "style sheet"
    style = element.get("style") or ""
    if style and (_HIDES.search(style) or len(_FLAT.findall(style)) > 1):
        return "style"
    if style and _WHITE.search(style) and not _on_colour(element):
        return "white"
    return ""


def _on_colour(element: Any) -> bool:
    """Whether something behind an element says that it has a background of its own."""
    while element is not None:
        if _BACKGROUND.search(element.get("style") or "") or element.get("bgcolor"):
            return True
        element = element.getparent()
    return False


def _hiding_rules(sheet: str) -> frozenset[tuple[str, str, str]]:
    """(tag, sign, name) of the page's own plain rules that hide; rules for print or small screens are left out."""
    sheet = re.sub(r"/\*.*?\*/", " ", sheet[:500_000], flags=re.DOTALL)
    found: set[tuple[str, str, str]] = set()
    depth, selector = 0, ""
    for number, piece in enumerate(re.split(r"([{}])", sheet)):
        if number > 4 * MAX_RULES:
            break
        if piece == "{":
            depth += 1
        elif piece == "}":
            depth = max(0, depth - 1)
        elif depth == 0:
            selector = piece.strip()
        elif depth == 1 and not selector.startswith("@") and (_HIDES.search(piece) or len(_FLAT.findall(piece)) > 1):
            for one in selector.split(","):
                if match := _SIMPLE.match(one.strip()):
                    found.add(((match[1] or "").lower(), match[2], match[3]))
    return frozenset(found)


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

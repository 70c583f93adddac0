"""What declarations of CSS do to an element's text: whether they hide it, its colour and what it stands on.

Called by `visible_text` and `sheets`, in a process of its own. It knows part of CSS: where it cannot
tell, text counts as visible.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping
from functools import lru_cache

SCREEN_PX = 1280.0
"""Width of the screen for which conditions on a width are judged."""
_NEAR = 16
"""Steps of 255 by which red, green and blue may differ where text cannot be told from its ground."""
FAINT = 0.05
"""Opacity up to which nothing is seen."""

Colour = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_NUMBER = re.compile(r"^([+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12}))\s*(px|pt|pc|cm|mm|in|r?em|ex|ch|v[wh]|%|deg)?$")
PX_OF = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "cm": 37.8, "mm": 3.78, "in": 96.0, "em": 16.0, "rem": 16.0}
PX_OF |= {"ex": 8.0, "ch": 8.0, "vw": SCREEN_PX / 100, "vh": 8.0, "%": SCREEN_PX / 100}
_NAMED = dict(
    pair.split(":")
    for pair in (  # noqa: SIM905
        "white:fff black:000 canvas:fff canvastext:000 red:f00 lime:0f0 blue:00f green:008000 navy:000080 yellow:ff0 "
        "gray:808080 grey:808080 silver:c0c0c0 snow:fffafa ivory:fffff0 ghostwhite:f8f8ff whitesmoke:f5f5f5 "
        "floralwhite:fffaf0 mintcream:f5fffa azure:f0ffff aliceblue:f0f8ff seashell:fff5ee lightgray:d3d3d3 "
        "lightgrey:d3d3d3 darkgray:a9a9a9 darkgrey:a9a9a9 gainsboro:dcdcdc maroon:800000 purple:800080"
    ).split()
)


def declarations(text: str) -> dict[str, str]:
    """Property → value of an inline style or a rule's body, in lower case, without comments and escapes."""
    found: dict[str, str] = {}
    for one in unescaped(_COMMENT.sub("", text)).lower().split(";"):
        name, colon, value = one.partition(":")
        if colon:
            found[name.strip()] = " ".join(value.replace("!important", " ").split())
    return found


def hides(style: Mapping[str, str]) -> bool:
    """Whether declarations, taken alone, leave nothing to be seen of an element's text."""
    get = style.get
    if get("display") == "none" or get("content-visibility") == "hidden" or get("visibility") in {"hidden", "collapse"}:
        return True
    if any((share := _share(get(name, ""))) is not None and share <= FAINT for name in ("opacity", "zoom", "scale")):
        return True
    if (share := _share(_argument(get("filter", ""), "opacity"))) is not None and share <= FAINT:
        return True
    return _no_size(style) or _clipped(style) or _elsewhere(style)


def _no_size(style: Mapping[str, str]) -> bool:
    shorthand = [word.partition("/")[0] for word in style.get("font", "").split()]
    for value in (style.get("font-size", ""), next(filter(_NUMBER.match, reversed(shorthand)), "")):
        number = _number(value)
        small = {"%": 9.9, "em": 0.1, "rem": 0.1, "vw": 0.1, "vh": 0.1}
        if number is not None and number[0] <= small.get(number[1], 1.9):
            return True
    flat = [
        number is not None and number[0] * PX_OF.get(number[1], 1.0) <= 1
        for side in ("width", "height")
        for number in (_number(style.get(side, "")), _number(style.get(f"max-{side}", "")))
    ]
    cut = any(style.get(name) in {"hidden", "clip"} for name in ("overflow", "overflow-x", "overflow-y"))
    return sum(flat) > 1 or (cut and any(flat))


def _clipped(style: Mapping[str, str]) -> bool:
    path = style.get("clip-path", "")
    rect = [_number(word) for word in re.split(r"[\s,]+", _argument(style.get("clip", ""), "rect").strip())]
    if len(rect) == 4 and all(one is not None and one[0] <= 1 for one in rect):
        return True
    inset, circle = _number(_argument(path, "inset").split(" ")[0]), _number(_argument(path, "circle").split(" ")[0])
    if re.fullmatch(r"polygon\([\s,0px%]*\)", path):
        return True
    return (inset is not None and inset[1] == "%" and inset[0] >= 50) or (circle is not None and circle[0] <= 0)


def _elsewhere(style: Mapping[str, str]) -> bool:
    """Whether text is moved off the screen, or drawn at no size."""
    moved = [(style.get(side, ""), -100.0) for side in ("text-indent", "margin-left", "margin-top")]
    if style.get("position") in {"absolute", "fixed"}:
        moved += [(style.get(side, ""), -100.0) for side in ("left", "right", "top", "bottom")]
    transform = style.get("transform", "")
    if re.search(r"scale[xy]?\(\s*0*\.?0*\s*[,)]", transform):
        return True
    shift = re.search(r"translate(?:x|y|3d)?\(\s*([^,)]{1,30})(?:,\s*([^,)]{1,30}))?", transform)
    moved += [(word or "", -1000.0) for word in (shift.groups() if shift else ())]
    for value, least in (*moved, (style.get("translate", ""), -1000.0)):
        number = _number(value.split(" ")[0])
        if number is None:
            continue
        pixels = number[0] * PX_OF.get(number[1], 1.0)
        if pixels <= least or pixels >= 5000:
            return True
    return False


def text_colour(style: Mapping[str, str]) -> tuple[Colour | None, float] | None:
    """The colour that declarations give text and its opacity; colour None where it cannot be told. None: none given."""
    value = style.get("-webkit-text-fill-color") or style.get("color")
    if value is None or value in {"inherit", "currentcolor", "unset"}:
        return None
    if "text" in (style.get("background-clip", ""), style.get("-webkit-background-clip", "")):
        return None, 1.0  # letters cut out of the background
    return colour(value)


def background(style: Mapping[str, str]) -> tuple[Colour | None] | None:
    """The background that declarations give, (None,) where it cannot be told; None where they leave it as it was."""
    value = style.get("background-color") or style.get("background")
    if "url(" in style.get("background-image", "") or "gradient" in style.get("background-image", ""):
        return (None,)
    if value is None or value in {"transparent", "none", "inherit", "unset", "initial"}:
        return None
    words = [value] if "url(" in value or "gradient" in value else [value, *value.split()]
    found, opacity = next((one for one in map(colour, words) if one[0] is not None or one[1] < 1), (None, 1.0))
    return (found,) if opacity >= 1 else None if opacity <= FAINT else (None,)


@lru_cache(maxsize=4096)
def colour(value: str) -> tuple[Colour | None, float]:
    """A CSS colour as red, green, blue and opacity; None for the colour where it is of a kind not known here."""
    value = value.strip().lower()
    if value == "transparent":
        return None, 0.0
    value = f"#{_NAMED[value]}" if value in _NAMED else value
    if re.fullmatch(r"#?(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", value):
        digits = value.lstrip("#")
        wide = digits if len(digits) > 4 else "".join(2 * digit for digit in digits)
        parts = [int(wide[at : at + 2], 16) for at in range(0, len(wide), 2)]
        return (parts[0], parts[1], parts[2]), parts[3] / 255 if len(parts) > 3 else 1.0
    match = re.fullmatch(r"(rgb|hsl)a?\(([^()]{1,100})\)", value)
    words = re.split(r"[\s,/]+", match[2].strip()) if match else []
    numbers = [_number(word) for word in words]
    if match is None or len(numbers) < 3 or any(one is None for one in numbers):
        return None, 1.0
    (a, unit), (b, _), (c, _) = (one for one in numbers[:3] if one is not None)
    opacity = share if len(words) > 3 and (share := _share(words[3])) is not None else 1.0
    if match[1] == "hsl":
        red, green, blue = colorsys.hls_to_rgb(a / 360 % 1, c / 100, b / 100)
        return _bounded(255 * red, 255 * green, 255 * blue), opacity
    return _bounded(*(2.55 * one if unit == "%" else one for one in (a, b, c))), opacity


def near(text: Colour, ground: Colour) -> bool:
    """Whether text of a colour cannot be told from its background."""
    return all(abs(one - other) <= _NEAR for one, other in zip(text, ground, strict=True))


def _number(value: str) -> tuple[float, str] | None:
    value = _argument(value, "calc").strip() or value.strip()
    match = _NUMBER.match(value)
    return (float(match[1]), match[2] or "") if match else None


def _share(value: str) -> float | None:
    """A number from 0 to 1, or a percentage as one."""
    number = _number(value)
    return None if number is None else number[0] / 100 if number[1] == "%" else number[0]


def _argument(value: str, function: str) -> str:
    match = re.search(rf"(?<![\w-]){function}\(([^()]{{0,100}})\)", value)
    return match[1].strip() if match else ""


def _bounded(*parts: float) -> Colour:
    red, green, blue = (min(max(round(part), 0), 255) for part in parts)
    return red, green, blue


def unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = int(match[1], 16) if match[1] else 0
        return match[2] or (chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd")

    return _ESCAPE.sub(character, text) if "\\" in text else text

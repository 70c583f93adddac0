"""Colours of a PDF's content as red, green and blue, where that is cheap to know. Used by `tools.pdf.visibility`.

A colour that cannot be told without evaluating functions or patterns is None, and text in it counts as visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.pdf.shapes import BLACK, WHITE, Colour

_DEVICE = {
    "/DeviceGray": 1,
    "/G": 1,
    "/CalGray": 1,
    "/DeviceRGB": 3,
    "/RGB": 3,
    "/CalRGB": 3,
    "/DeviceCMYK": 4,
    "/CMYK": 4,
}
_PAPER = 0.02
"""A tint of an ink below this leaves the paper's white."""
_WHITE_LIGHTNESS, _NO_HUE = 96.0, 4.0


def resolved(value: Any) -> Any:
    """The object that a reference names."""
    return value.get_object() if hasattr(value, "get_object") else value


def mixed(parts: Sequence[float]) -> Colour | None:
    """The colour of one gray, three RGB or four CMYK parts."""
    if len(parts) == 1:
        return (_unit(parts[0]),) * 3
    if len(parts) == 3:
        return (_unit(parts[0]), _unit(parts[1]), _unit(parts[2]))
    if len(parts) == 4:
        c, m, y, k = map(_unit, parts)
        return ((1 - c) * (1 - k), (1 - m) * (1 - k), (1 - y) * (1 - k))
    return None


def initial(space: Any) -> Colour | None:
    """What a colour space starts with."""
    name, count = _kind(space)
    return None if name == "/Pattern" or (not count and name not in {"/Lab", "/Indexed"}) else BLACK


def in_space(space: Any, operands: Sequence[Any]) -> Colour | None:
    """The colour that the operands of sc, scn, SC or SCN name in a colour space."""
    parts = [float(part) for part in operands if isinstance(part, (int, float))]
    name, count = _kind(space)
    if len(parts) != len(operands):
        return None
    if count:
        return mixed(parts) if len(parts) == count else None
    if name in {"/Separation", "/DeviceN"}:
        return WHITE if parts and all(part <= _PAPER for part in parts) else None
    if name == "/Lab" and len(parts) == 3:
        light, a, b = parts
        return WHITE if light >= _WHITE_LIGHTNESS and abs(a) <= _NO_HUE and abs(b) <= _NO_HUE else None
    if name == "/Indexed" and parts:
        return _looked_up(space, int(parts[0]))
    return None


def _kind(space: Any) -> tuple[str, int]:
    """Name of a colour space and its number of parts where these are plainly gray, RGB or CMYK."""
    space = resolved(space)
    if isinstance(space, str):
        return str(space), _DEVICE.get(str(space), 0)
    if not isinstance(space, (list, tuple)) or not space:
        return "", 0
    name = str(resolved(space[0]))
    if name == "/ICCBased" and len(space) > 1:
        profile = resolved(space[1])
        count = profile.get("/N") if hasattr(profile, "get") else None
        return name, int(count) if count in (1, 3, 4) else 0
    return name, _DEVICE.get(name, 0)


def _looked_up(space: Any, index: int) -> Colour | None:
    space = resolved(space)
    if not isinstance(space, (list, tuple)) or len(space) < 4:
        return None
    _, count = _kind(space[1])
    table = resolved(space[3])
    data = table.get_data() if hasattr(table, "get_data") else getattr(table, "original_bytes", table)
    piece = data[index * count : (index + 1) * count] if isinstance(data, bytes) and count and index >= 0 else b""
    return mixed([part / 255 for part in piece]) if len(piece) == count and count else None


def _unit(part: float) -> float:
    return min(max(float(part), 0.0), 1.0)

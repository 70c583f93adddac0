"""How wide the glyphs of a PDF's fonts are, and how large a font's unit really is. Used by `tools.pdf.visibility`.

Good enough to say where a string lies on the page; where a font says nothing, half an em a character.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tools.pdf.colours import resolved

AVERAGE = 0.5
_EM = 0.001


@dataclass(frozen=True)
class Face:
    """Widths of one font's characters, in ems."""

    widths: dict[int, float] = field(default_factory=dict)
    otherwise: float = AVERAGE
    code_bytes: int = 1
    scale: float = 1.0
    """Height of its type, in parts of the font size: other than 1 only for fonts with a matrix of their own."""

    @classmethod
    def unknown(cls) -> Face:
        return cls()

    @classmethod
    def of(cls, font: Any) -> Face:
        """The face of a font's dictionary; what it lacks or garbles is taken as average."""
        try:
            if str(font.get("/Subtype")) == "/Type0":
                return cls._composite(resolved(resolved(font["/DescendantFonts"])[0]))
            return cls._simple(font)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            return cls()

    @classmethod
    def _simple(cls, font: Any) -> Face:
        unit, scale = _EM, 1.0
        if str(font.get("/Subtype")) == "/Type3":
            matrix = [float(resolved(part)) for part in resolved(font["/FontMatrix"])]
            bounds = [float(resolved(part)) for part in resolved(font["/FontBBox"])]
            unit, high = abs(matrix[0]), abs(bounds[3] - bounds[1])
            scale = abs(matrix[3]) * high if high > 0 else max(1.0, abs(matrix[3]) * 1000)
        first = int(resolved(font.get("/FirstChar", 0)))
        listed = resolved(font.get("/Widths")) or []
        widths = {first + place: float(resolved(width)) * unit for place, width in enumerate(list.copy(listed))}
        return cls(widths, 0.0 if widths else AVERAGE, 1, scale)

    @classmethod
    def _composite(cls, descendant: Any) -> Face:
        widths: dict[int, float] = {}
        row = [resolved(part) for part in list.copy(resolved(descendant.get("/W")) or [])]
        place = 0
        while place + 1 < len(row):
            start = int(row[place])
            if isinstance(row[place + 1], list):
                for offset, width in enumerate(list.copy(row[place + 1])):
                    widths[start + offset] = float(resolved(width)) * _EM
                place += 2
            else:
                end, width = min(int(row[place + 1]), start + 65535), float(row[place + 2]) * _EM
                widths.update(dict.fromkeys(range(start, end + 1), width))
                place += 3
        return cls(widths, float(resolved(descendant.get("/DW", 1000))) * _EM, 2)

    def width(self, string: Any) -> float:
        """Sum of the widths of a string's characters, without spacing."""
        data = _bytes(string)
        if self.code_bytes == 1:
            return sum(self.widths.get(code, self.otherwise) for code in data)
        pairs = zip(data[::2], data[1::2], strict=False)
        return sum(self.widths.get(high << 8 | low, self.otherwise) for high, low in pairs)

    def count(self, string: Any) -> int:
        return len(_bytes(string)) // self.code_bytes


def _bytes(string: Any) -> bytes:
    if isinstance(string, bytes):
        return bytes(string)
    data = getattr(string, "original_bytes", None)
    return data if isinstance(data, bytes) else str(string).encode("utf-8", "replace")

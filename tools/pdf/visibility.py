"""Which text of a PDF page a reader would not see: follows the page's operators while pypdf extracts the text.

Used by `tools.pdf.extraction`, in its own limited process. A `Watcher` keeps the graphics state (matrices, colours,
transparency, clipping, layers, what was painted), decides for every string that is shown whether it can be seen, and
empties those that cannot before pypdf reads them. Where it cannot be told (an image or a pattern below, a colour
that a function makes, glyphs that draw nothing), text counts as visible: what is cut has to be hidden for certain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot
from typing import Any

from pypdf.generic import ArrayObject, NameObject, TextStringObject

from tools.pdf.colours import resolved
from tools.pdf.graphics import FAINT, Graphics, matrix_of
from tools.pdf.layers import Layers
from tools.pdf.metrics import Face
from tools.pdf.shapes import (
    IDENTITY,
    Area,
    Box,
    Colour,
    Matrix,
    alike,
    below,
    box_of,
    moved,
    times,
)

TINY_PT = 1.5
"""Type lower or narrower than this, in points on the page, is read by programs alone."""
HALF = 0.5
MAX_COVERS = 400
_SAMPLES = 16
_THIN = 0.05
"""Ems that a string takes at least; marks that are set over the next character have no width of their own."""

INVISIBLE, TINY, TRANSPARENT, OFF_PAGE, CLIPPED, SAME_AS_GROUND, COVERED, LAYER = KINDS = (
    "invisible render mode",
    "tiny type",
    "transparent",
    "off the page",
    "clipped away",
    "colour of the background",
    "covered",
    "layer switched off",
)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A string that could be seen when it was drawn; something may still be drawn over it."""

    number: int
    box: Box
    order: int


class Watcher(Graphics):
    """Follows one extraction of one page. `wanted`: None keeps what is seen, a kind keeps only text hidden so."""

    def __init__(
        self,
        page: Box,
        unit: float,
        resources: Any,
        layers: Layers,
        covered: frozenset[int] = frozenset(),
        wanted: str | None = None,
    ) -> None:
        super().__init__(page, resources, layers)
        self._page, self._unit, self._wanted, self._covered = page, unit, wanted, covered
        self._number = 0
        self._shown: list[_Shown] = []
        self.found: dict[str, int] = {}
        """Kind → strings hidden so."""

    # -- what pypdf calls -----------------------------------------------------------------------------------

    def before(self, operator: bytes, operands: Any, _cm: Any, _tm: Any) -> None:
        handler = _HANDLERS.get(operator)
        if handler is None:
            return
        try:
            handler(self, operands)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError, ZeroDivisionError):
            # A malformed operator changes nothing here, as it changes nothing in a viewer.
            return

    def after(self, operator: bytes, _operands: Any, _cm: Any, _tm: Any) -> None:
        if operator == b"Do":
            self.leave()

    def covered(self) -> frozenset[int]:
        """Strings that something opaque was painted over afterwards; asked when the page has been gone through."""
        covers = [area for area in self.areas if _conceals(area)]
        covers = sorted(covers, key=lambda area: _size(area.box), reverse=True)[:MAX_COVERS]
        last = max((area.order for area in covers), default=0)
        return frozenset(
            shown.number
            for shown in self._shown
            if shown.order < last and any(a.order > shown.order and a.box.holds(shown.box) for a in covers)
        )

    # -- text -----------------------------------------------------------------------------------------------

    def _begin_text(self, _operands: Any) -> None:
        self.tm = self.line = IDENTITY

    def _set_matrix(self, operands: Any) -> None:
        self.tm = self.line = matrix_of(operands)

    def _next(self, operands: Any) -> None:
        x, y = (float(part) for part in operands)
        self.tm = self.line = times((1.0, 0.0, 0.0, 1.0, x, y), self.line)

    def _next_with_leading(self, operands: Any) -> None:
        self.state.leading = -float(operands[1])
        self._next(operands)

    def _next_line(self, _operands: Any) -> None:
        self._next([0.0, -self.state.leading])

    def _font(self, operands: Any) -> None:
        self.state.size = float(operands[1])
        self.state.face = Face.unknown()
        self.state.face = self.face(self.resource("/Font", operands[0]))

    def _set(self, name: str, operands: Any) -> None:
        setattr(self.state, name, float(operands[0]))

    def _set_mode(self, operands: Any) -> None:
        self.state.mode = int(operands[0])

    def _set_stretch(self, operands: Any) -> None:
        self.state.stretch = float(operands[0]) / 100.0

    def _show(self, operands: Any) -> None:
        if operands and self._dropped(operands[-1]):
            operands[-1] = TextStringObject("")

    def _show_on_next_line(self, operands: Any) -> None:
        self._next_line(operands)
        self._show(operands)

    def _show_spaced(self, operands: Any) -> None:
        self.state.word, self.state.letter = float(operands[0]), float(operands[1])
        self._show_on_next_line(operands)

    def _show_several(self, operands: Any) -> None:
        row = operands[0]
        kept = ArrayObject()
        cut = False
        for part in map(resolved, list.copy(row)):
            if isinstance(part, (int, float)):
                self._advance(-float(part) / 1000.0 * self.state.size * self.state.stretch)
                kept.append(part)
            elif isinstance(part, (str, bytes)) and not isinstance(part, NameObject):
                dropped = self._dropped(part)
                cut = cut or dropped
                if not dropped:
                    kept.append(part)
        if cut:
            operands[0] = kept

    def _advance(self, width: float) -> None:
        self.tm = times((1.0, 0.0, 0.0, 1.0, width, 0.0), self.tm)

    def _dropped(self, string: Any) -> bool:
        """Go on by one string; whether it is to be emptied."""
        state = self.state
        if not isinstance(string, (str, bytes)) or isinstance(string, NameObject):
            return False
        width = state.face.width(string) * state.size
        width = (width + state.letter * state.face.count(string)) * state.stretch
        shown = width if abs(width) > _THIN * abs(state.size) else _THIN * state.size
        ground = times(self.tm, state.ctm)
        low, high = state.rise - 0.2 * state.size, state.rise + 0.8 * state.size
        box = box_of([moved(p, ground) for p in ((0.0, low), (shown, low), (shown, high), (0.0, high))])
        self._number += 1
        self.order += 1
        kind = self._kind(ground, box, width)
        if kind is None and self._number in self._covered:
            kind = COVERED
        if kind is None:
            self._shown.append(_Shown(self._number, box, self.order))
        else:
            self.found[kind] = self.found.get(kind, 0) + 1
        self._advance(width)
        return kind != self._wanted

    def _kind(self, ground: Matrix, box: Box, width: float) -> str | None:
        """Why a string is not seen; None where it is, or where that cannot be told."""
        state = self.state
        if self.in_hidden_layer():
            return LAYER
        if state.mode % 4 == 3:
            return INVISIBLE
        tall = hypot(ground[2], ground[3]) * abs(state.size) * self._unit * state.face.scale
        wide = hypot(ground[0], ground[1]) * abs(state.size * state.stretch) * self._unit * state.face.scale
        if min(tall, wide) < TINY_PT:
            return TINY
        paints = [(state.fill, state.fill_alpha)] * (state.mode % 4 in {0, 2})
        paints += [(state.stroke, state.stroke_alpha)] * (state.mode % 4 in {1, 2})
        if all(alpha < FAINT for _, alpha in paints):
            return TRANSPARENT
        if box.share(self._page) < HALF:
            return OFF_PAGE
        if box.share(state.clip) < HALF:
            return CLIPPED
        colours = [colour for colour, alpha in paints if alpha >= FAINT]
        return SAME_AS_GROUND if self._lost(colours, ground, width) else None

    def _lost(self, colours: list[Colour | None], ground: Matrix, width: float) -> bool:
        """Whether the greater part of a string has the colour of what is below it."""
        inks = [colour for colour in colours if colour is not None]
        if len(inks) < len(colours) or (not self.areas and not all(alike(ink, (1.0, 1.0, 1.0)) for ink in inks)):
            return False
        middle = self.state.rise + 0.3 * self.state.size
        points = [moved((width * (k + 0.5) / _SAMPLES, middle), ground) for k in range(_SAMPLES)]
        whole = box_of(points)
        near = [area for area in self.areas if _touch(area.box, whole)]
        if not near and not all(alike(ink, (1.0, 1.0, 1.0)) for ink in inks):
            return False
        grounds = [below(near, point) for point in points]
        lost = sum(found is not None and all(alike(ink, found) for ink in inks) for found in grounds)
        return lost > HALF * _SAMPLES


def _touch(one: Box, other: Box) -> bool:
    return one.left <= other.right and other.left <= one.right and one.bottom <= other.top and other.bottom <= one.top


def _conceals(area: Area) -> bool:
    return area.exact and area.alpha >= 1.0


def _size(box: Box) -> float:
    return (box.right - box.left) * (box.top - box.bottom)


_Handler = Callable[[Watcher, Any], None]


def _setter(name: str) -> _Handler:
    return lambda watcher, operands: watcher._set(name, operands)


_HANDLERS: dict[bytes, _Handler] = {
    b"q": Watcher.save,
    b"Q": Watcher.restore,
    b"cm": Watcher.transform,
    b"gs": Watcher.extended,
    b"Do": Watcher.enter,
    b"BDC": Watcher.marked,
    b"BMC": Watcher.marked_plainly,
    b"EMC": Watcher.unmarked,
    **dict.fromkeys((b"g", b"rg", b"k"), Watcher.fill_device),
    **dict.fromkeys((b"G", b"RG", b"K"), Watcher.stroke_device),
    b"cs": Watcher.fill_in,
    b"CS": Watcher.stroke_in,
    **dict.fromkeys((b"sc", b"scn"), Watcher.fill_parts),
    **dict.fromkeys((b"SC", b"SCN"), Watcher.stroke_parts),
    b"m": Watcher.move,
    **dict.fromkeys((b"l", b"c", b"v", b"y"), Watcher.draw),
    b"re": Watcher.rectangle,
    **dict.fromkeys((b"W", b"W*"), Watcher.clip),
    **dict.fromkeys((b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"), Watcher.fill),
    **dict.fromkeys((b"n", b"S", b"s"), Watcher.end_path),
    b"sh": Watcher.shade,
    b"INLINE IMAGE": Watcher.inline_image,
    b"BT": Watcher._begin_text,
    b"Tm": Watcher._set_matrix,
    b"Td": Watcher._next,
    b"TD": Watcher._next_with_leading,
    b"T*": Watcher._next_line,
    b"Tf": Watcher._font,
    b"Tr": Watcher._set_mode,
    b"Tz": Watcher._set_stretch,
    b"Tc": _setter("letter"),
    b"Tw": _setter("word"),
    b"TL": _setter("leading"),
    b"Ts": _setter("rise"),
    b"Tj": Watcher._show,
    b"'": Watcher._show_on_next_line,
    b'"': Watcher._show_spaced,
    b"TJ": Watcher._show_several,
}

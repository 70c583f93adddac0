"""The graphics state of a PDF page while its operators go by: matrices, colours, clipping, layers, what was painted.

`tools.pdf.visibility` adds the text to it. Where a colour, a shape or a mask cannot be told, the state says so
(None, not exact) and leaves the judgement to its user.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from tools.pdf.colours import in_space, initial, mixed, resolved
from tools.pdf.layers import Layers
from tools.pdf.metrics import Face
from tools.pdf.shapes import BLACK, IDENTITY, Area, Box, Colour, Matrix, Point, box_of, corners, moved, times, upright

FAINT = 0.04
"""Opacity below which nothing is seen."""
MAX_AREAS = 4000
MIN_AREA_PT = 2.0


@dataclass
class State:
    """What q saves and Q brings back."""

    ctm: Matrix
    clip: Box
    clip_exact: bool = True
    fill: Colour | None = BLACK
    stroke: Colour | None = BLACK
    fill_space: Any = "/DeviceGray"
    stroke_space: Any = "/DeviceGray"
    fill_alpha: float = 1.0
    stroke_alpha: float = 1.0
    plain_blend: bool = True
    face: Face = field(default_factory=Face.unknown)
    size: float = 12.0
    mode: int = 0
    stretch: float = 1.0
    letter: float = 0.0
    word: float = 0.0
    leading: float = 0.0
    rise: float = 0.0


class Graphics:
    """Follows the operators of one page that do not show text. A method an operator; operands as pypdf has them."""

    def __init__(self, page: Box, resources: Any, layers: Layers) -> None:
        self.state = State(IDENTITY, page)
        self.tm = self.line = IDENTITY
        self.areas: deque[Area] = deque(maxlen=MAX_AREAS)
        self.order = 0
        """Counts what was painted or written, so that the later of two can be told."""
        self._layers = layers
        self._saved: list[State] = []
        self._resources: list[Any] = [resources]
        self._outer: list[tuple[State, list[State], Matrix, Matrix, int]] = []
        self._off: list[bool] = []
        self._faces: dict[int, Face] = {}
        self._path: list[list[Point]] = []
        self._clips = False

    def leave(self) -> None:
        """The form or image that `_do` entered has ended."""
        self.state, self._saved, self.tm, self.line, depth = self._outer.pop()
        self._resources.pop()
        del self._off[depth:]

    def in_hidden_layer(self) -> bool:
        return any(self._off)

    def resource(self, kind: str, name: Any) -> Any:
        """An entry of the present resources, a reference unresolved; KeyError or TypeError where there is none."""
        return dict.__getitem__(resolved(resolved(self._resources[-1])[kind]), name)

    def face(self, reference: Any) -> Face:
        font = resolved(reference)
        key = getattr(reference, "idnum", None) or id(font)
        if key not in self._faces:
            self._faces[key] = Face.of(font)
        return self._faces[key]

    # -- graphics state -------------------------------------------------------------------------------------

    def save(self, _operands: Any) -> None:
        self._saved.append(replace(self.state))

    def restore(self, _operands: Any) -> None:
        if self._saved:
            self.state = self._saved.pop()

    def transform(self, operands: Any) -> None:
        self.state.ctm = times(matrix_of(operands), self.state.ctm)

    def extended(self, operands: Any) -> None:
        values = resolved(self.resource("/ExtGState", operands[0]))
        state = self.state
        for name, value in ((name, resolved(value)) for name, value in values.items()):
            if name == "/ca":
                state.fill_alpha = float(value)
            elif name == "/CA":
                state.stroke_alpha = float(value)
            elif name == "/BM":
                modes = value if isinstance(value, list) else [value]
                state.plain_blend = str(resolved(modes[0])) in {"/Normal", "/Compatible"}
            elif name == "/Font":
                state.face, state.size = self.face(value[0]), float(value[1])

    def enter(self, operands: Any) -> None:
        form: Any = None
        try:
            form = resolved(self.resource("/XObject", operands[0]))
        finally:
            # `after` takes back what is put here, so it is put here whatever the operands are.
            self._outer.append((replace(self.state), self._saved, self.tm, self.line, len(self._off)))
            inner = form.get("/Resources") if hasattr(form, "get") else None
            self._resources.append(resolved(inner) if inner is not None else self._resources[-1])
            self._saved = []
        self._off.append(self._layers.hides(written(form, "/OC")))
        if str(form.get("/Subtype")) == "/Image":
            opaque = not any(form.get(key) for key in ("/SMask", "/Mask", "/ImageMask")) and not self.in_hidden_layer()
            self._paint_square(opaque)
            return
        self.state = replace(
            self.state, ctm=times(matrix_of(resolved(form.get("/Matrix")) or IDENTITY), self.state.ctm)
        )
        if form.get("/BBox") is not None:
            low, high = (tuple(map(float, resolved(form["/BBox"])[i : i + 2])) for i in (0, 2))
            points = [moved(p, self.state.ctm) for p in corners(Box(low[0], low[1], high[0], high[1]))]
            self._clip_to(points)

    def marked(self, operands: Any) -> None:
        hidden = False
        if len(operands) > 1 and str(operands[0]) == "/OC":
            named = resolved(resolved(self._resources[-1])["/Properties"]) if isinstance(operands[1], str) else None
            hidden = self._layers.hides(written(named, operands[1]) if named is not None else operands[1])
        self._off.append(hidden)

    def marked_plainly(self, _operands: Any) -> None:
        self._off.append(False)

    def unmarked(self, _operands: Any) -> None:
        floor = self._outer[-1][4] + 1 if self._outer else 0
        if len(self._off) > floor:
            self._off.pop()

    # -- colours --------------------------------------------------------------------------------------------

    def fill_device(self, operands: Any) -> None:
        self.state.fill_space, self.state.fill = _space_of(operands), mixed([float(part) for part in operands])

    def stroke_device(self, operands: Any) -> None:
        self.state.stroke_space, self.state.stroke = _space_of(operands), mixed([float(part) for part in operands])

    def fill_in(self, operands: Any) -> None:
        self.state.fill_space = self._space(operands[0])
        self.state.fill = initial(self.state.fill_space)

    def stroke_in(self, operands: Any) -> None:
        self.state.stroke_space = self._space(operands[0])
        self.state.stroke = initial(self.state.stroke_space)

    def fill_parts(self, operands: Any) -> None:
        self.state.fill = None
        self.state.fill = in_space(self.state.fill_space, operands)

    def stroke_parts(self, operands: Any) -> None:
        self.state.stroke = None
        self.state.stroke = in_space(self.state.stroke_space, operands)

    def _space(self, name: Any) -> Any:
        try:
            return self.resource("/ColorSpace", name)
        except (KeyError, TypeError, AttributeError):
            return name

    # -- paths ----------------------------------------------------------------------------------------------

    def move(self, operands: Any) -> None:
        self._path.append([self._point(operands)])

    def draw(self, operands: Any) -> None:
        """A line, or a curve taken as the line to its end."""
        self._path[-1].append(self._point(operands[-2:]))

    def rectangle(self, operands: Any) -> None:
        x, y, w, h = (float(part) for part in operands)
        self._path.append([moved(p, self.state.ctm) for p in ((x, y), (x + w, y), (x + w, y + h), (x, y + h))])

    def _point(self, operands: Any) -> Point:
        return moved((float(operands[0]), float(operands[1])), self.state.ctm)

    def clip(self, _operands: Any) -> None:
        self._clips = True

    def fill(self, _operands: Any) -> None:
        state = self.state
        if self._path and not self.in_hidden_layer():
            points = [point for shape in self._path for point in shape]
            exact = len(self._path) == 1 and upright(points)
            self._painted(points, state.fill, state.fill_alpha, exact=exact)
        self.end_path(_operands)

    def end_path(self, _operands: Any) -> None:
        if self._clips and self._path:
            self._clip_to([point for shape in self._path for point in shape], single=len(self._path) == 1)
        self._path, self._clips = [], False

    def _clip_to(self, points: list[Point], *, single: bool = True) -> None:
        state = self.state
        state.clip = state.clip.meet(box_of(points))
        state.clip_exact = state.clip_exact and single and upright(points)

    def shade(self, _operands: Any) -> None:
        self._path = [list(corners(self.state.clip))]
        self._painted(self._path[0], None, 1.0, exact=False)
        self._path = []

    def inline_image(self, _operands: Any) -> None:
        self._paint_square(opaque=False)

    def _paint_square(self, opaque: bool) -> None:
        points = [moved(point, self.state.ctm) for point in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))]
        path, self._path = self._path, [points]
        self._painted(points, None, self.state.fill_alpha, exact=opaque and upright(points))
        self._path = path

    def _painted(self, points: list[Point], colour: Colour | None, alpha: float, *, exact: bool) -> None:
        state = self.state
        box = box_of(points).meet(state.clip)
        if box.right - box.left < MIN_AREA_PT or box.top - box.bottom < MIN_AREA_PT or alpha < FAINT:
            return
        self.order += 1
        colour = colour if state.plain_blend else None
        exact = exact and state.clip_exact
        covers = exact and state.plain_blend and alpha >= 1.0
        shapes = tuple(tuple(shape) for shape in self._path)
        self.areas.append(Area(box, shapes, colour, alpha if covers or colour else min(alpha, 0.98), exact, self.order))


def matrix_of(operands: Any) -> Matrix:
    """Six operands as a matrix; ValueError or TypeError for anything else."""
    a, b, c, d, e, f = (float(resolved(part)) for part in operands)
    return (a, b, c, d, e, f)


def written(holder: Any, name: Any) -> Any:
    """An entry as it is written, a reference unresolved."""
    return dict.get(holder, name) if isinstance(holder, dict) else None


def _space_of(operands: Any) -> str:
    return {1: "/DeviceGray", 3: "/DeviceRGB", 4: "/DeviceCMYK"}.get(len(operands), "")

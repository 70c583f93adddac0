"""The picture of the gate's error control: what each rule lets through, against what it finds. An SVG, no library.

Called by `gate_error_control`. The same figures give the same bytes. The card has a ground of its own, so that it is
legible on light and dark pages; colours are Okabe and Ito's, told apart without colour by shape and label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 455
_TOP, _BOTTOM, _SIDE = 120, 380, 360
_INK, _FAINT, _GROUND = "#1f2328", "#c9ced6", "#ffffff"
_POWER = "power at 1 sigma"


@dataclass(frozen=True, slots=True)
class _Style:
    label: str
    colour: str
    shape: str
    """`circle`, `square`, `triangle` or `diamond`."""
    shift: tuple[float, float] = (-14.0, -9.0)
    """From the mark to its label; chosen so that no label meets another."""
    anchor: str = "end"


SHOWN = {
    "keep the best single run": _Style("keep the best single run", "#d55e00", "triangle"),
    "seed-card": _Style("seed-card", "#cc79a7", "square", (0.0, -17.0), "middle"),
    "seed-card-extend": _Style("seed-card-extend", "#b8860b", "diamond", (-14.0, 20.0)),
    "e-night": _Style("e-night", "#0072b2", "circle"),
}
Row = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class _Axis:
    """A measure of the vertical axis and where its values lie."""

    title: str
    column: str
    ticks: Sequence[tuple[float, str]]
    place: Callable[[float], float]
    """0 at the bottom, 1 at the top."""


def _logarithmic(low: float, high: float) -> Callable[[float], float]:
    return lambda value: math.log(max(value, low) / low) / math.log(high / low)


_LEFT = _Axis(
    "false promotions per 1000 nulls (logarithmic)",
    "false promotions per 1000 nulls",
    ((0.01, "0.01"), (0.1, "0.1"), (1.0, "1"), (10.0, "10"), (100.0, "100"), (1000.0, "1000")),
    _logarithmic(0.01, 1000.0),
)
_RIGHT = _Axis(
    "share of promotions that are false",
    "share of promotions that are false",
    tuple((share / 100, f"{share} %") for share in (0, 20, 40, 60, 80, 100)),
    lambda value: value,
)


def picture(comparison: Sequence[Row]) -> str:
    """The SVG of these rows of `gate_figures.comparison`."""
    rows = [row for row in comparison if row["rule"] in SHOWN]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    reading = 'role="img" aria-labelledby="title about" font-family="Helvetica, Arial, sans-serif"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {reading}>',
        '<title id="title">What each rule lets through, against what it finds</title>',
        f'<desc id="about">{escape(_described(rows))}</desc>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="{_GROUND}" stroke="{_FAINT}"/>',
        _text(30, 38, "What each rule lets through, against what it finds", size=19, weight="bold"),
        _text(
            30, 62, "700 ideas a night, 5 % of them true. Lower right is better; bars are two standard errors.", size=14
        ),
        *_panel(_LEFT, 95, rows),
        *_panel(_RIGHT, 565, rows),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(axis: _Axis, left: int, rows: Sequence[Row]) -> list[str]:
    parts = [_text(left - 65, _TOP - 22, axis.title, size=14, weight="bold")]
    for value, label in axis.ticks:
        y = _y(axis, value)
        parts.append(_line(left, y, left + _SIDE, y, _FAINT))
        parts.append(_text(left - 8, y + 5, label, size=13, anchor="end"))
    for tick in range(6):
        x = left + _SIDE * tick / 5
        parts.append(_line(x, _BOTTOM, x, _BOTTOM + 5, _INK))
        parts.append(_text(x, _BOTTOM + 22, f"{20 * tick} %", size=13, anchor="middle"))
    parts.append(_line(left, _BOTTOM, left + _SIDE, _BOTTOM, _INK))
    parts.append(
        _text(left + _SIDE / 2, _BOTTOM + 48, "power: ideas of one sigma that are found", size=14, anchor="middle")
    )
    for row in rows:
        parts += _point(axis, left, row)
    return parts


def _point(axis: _Axis, left: int, row: Row) -> list[str]:
    style = SHOWN[str(row["rule"])]
    value, error = float(row[axis.column]), float(row[f"{axis.column}, standard error"])
    power, spread = float(row[_POWER]), float(row[f"{_POWER}, standard error"])
    x, y = left + _SIDE * power, _y(axis, value)
    low, high = _y(axis, max(value - 2 * error, 0.0)), _y(axis, value + 2 * error)
    label = f"{style.label}: {_short(value, axis)}"
    return [
        _line(x, low, x, high, style.colour, 2),
        _line(left + _SIDE * (power - 2 * spread), y, left + _SIDE * (power + 2 * spread), y, style.colour, 2),
        _mark(style, x, y),
        *_label(x + style.shift[0], y + style.shift[1], label, style.anchor),
    ]


def _mark(style: _Style, x: float, y: float) -> str:
    shapes = {
        "square": ((-7, -7), (7, -7), (7, 7), (-7, 7)),
        "triangle": ((0, -9), (8.5, 7), (-8.5, 7)),
        "diamond": ((0, -9.5), (9.5, 0), (0, 9.5), (-9.5, 0)),
    }
    fill = f'fill="{style.colour}" stroke="{_GROUND}" stroke-width="1.5"'
    if style.shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" {fill}/>'
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in shapes[style.shape])
    return f'<polygon points="{points}" {fill}/>'


def _y(axis: _Axis, value: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * axis.place(value)


def _short(value: float, axis: _Axis) -> str:
    if axis is _RIGHT:
        return f"{100 * value:.2g} %"
    return f"{value:.0f}" if value >= 10 else f"{value:.1g}"


def _described(rows: Sequence[Row]) -> str:
    """The picture in words, for who cannot see it."""
    return " ".join(
        f"{row['rule']}: {float(row[_LEFT.column]):.2g} false promotions per 1000 nulls, "
        f"{100 * float(row[_RIGHT.column]):.2g} % of promotions false, power {100 * float(row[_POWER]):.0f} %."
        for row in rows
    )


def _text(
    x: float, y: float, text: str, *, size: int, weight: str = "normal", anchor: str = "start", colour: str = _INK
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _label(x: float, y: float, text: str, anchor: str) -> list[str]:
    """Text over a line of the ground's colour around its letters, legible where it crosses a grid line."""
    written = _text(x, y, text, size=14, anchor=anchor)
    under = written.replace("<text ", f'<text aria-hidden="true" stroke="{_GROUND}" stroke-width="5" ', 1)
    return [under, written]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'

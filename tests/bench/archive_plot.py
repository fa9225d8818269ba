"""A picture of how the stages of a pipeline grow: seconds by slides, both logarithmic, each beside a straight line."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 900, 560, 80, 50, 250, 60
_COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
_SHOWN = 7
_TITLE = "Seconds of each stage by slides; dashed: proportional to the slides"


def plotted(measured: Sequence[dict[str, Any]]) -> str:
    """The picture as SVG: the whole pipeline, and the stages that take the most at the largest size.

    Args:
        measured: of each size ``slides``, ``seconds`` and ``stages`` (``stage``, ``seconds``), from the smallest on.
    """
    if not measured:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
    largest = sorted(measured[-1]["stages"], key=lambda stage: -stage["seconds"])[:_SHOWN]
    lines = {"in all": [(one["slides"], one["seconds"]) for one in measured]}
    for stage in largest:
        name = stage["stage"]
        lines[name] = [
            (one["slides"], other["seconds"]) for one in measured for other in one["stages"] if other["stage"] == name
        ]
    points = [point for line in lines.values() for point in line]
    scale = _Scale(_span([x for x, _ in points]), _span([y for _, y in points]))
    drawn = [*scale.grid(), *_linear(scale, lines["in all"])]
    for number, (name, line) in enumerate(lines.items()):
        colour, width = _COLOURS[number % len(_COLOURS)], 3 if not number else 1.5
        places = [scale.place(*point) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in places]
        key = _TOP + 20 * number + 10
        drawn.append(f'<rect x="{_WIDTH - _RIGHT + 15}" y="{key - 9}" width="12" height="12" fill="{colour}"/>')
        text = f"{name}: {line[-1][1]:,.0f} s"
        drawn.append(f'<text x="{_WIDTH - _RIGHT + 33}" y="{key + 2}">{escape(text)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n'
        f'<text x="{_LEFT}" y="25" font-size="15">{_TITLE}</text>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


class _Scale:
    """From values to places in the picture."""

    def __init__(self, xs: tuple[int, int], ys: tuple[int, int]) -> None:
        self._xs, self._ys = xs, ys

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies; powers of ten are the same distance apart."""
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        across = (math.log10(max(x, 1e-2)) - self._xs[0]) / (self._xs[1] - self._xs[0])
        up = (math.log10(max(y, 1e-2)) - self._ys[0]) / (self._ys[1] - self._ys[0])
        return _LEFT + across * wide, _HEIGHT - _BOTTOM - up * high

    def grid(self) -> list[str]:
        """A line and a number for each power of ten."""
        drawn = []
        for power in range(self._xs[0], self._xs[1] + 1):
            x, y = self.place(10**power, 10 ** self._ys[0])
            drawn.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{_TOP}" stroke="#dddddd"/>')
            drawn.append(f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{10**power:,} slides</text>')
        for power in range(self._ys[0], self._ys[1] + 1):
            x, y = self.place(10 ** self._xs[0], 10**power)
            drawn.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#dddddd"/>')
            drawn.append(f'<text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{10**power:,} s</text>')
        return drawn


def _linear(scale: _Scale, line: Sequence[tuple[float, float]]) -> list[str]:
    """What would be proportional, from the smallest size on."""
    (first, seconds), (last, _) = line[0], line[-1]
    ends = [scale.place(first, seconds), scale.place(last, seconds * last / first)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)
    return [f'<polyline points="{path}" fill="none" stroke="#555555" stroke-width="1.5" stroke-dasharray="6 4"/>']


def _span(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around some values."""
    logs = [math.log10(max(value, 1e-2)) for value in values]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return low, max(high, low + 1)

"""Shapes as canonical GeoJSON geometries: checked, rounded to a thousandth of a pixel, one text for one shape."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Points = np.ndarray[Any, np.dtype[np.int64]]
"""Corners in thousandths of a pixel, one (x, y) a row: whole numbers, so that every test below is exact."""

FAULTS: Final = ("unknown_type", "bad_coordinates", "too_few_points", "self_intersecting", "too_tangled")
"""Why a shape is not imported."""
_MOST: Final = 1_000_000.0
"""A glass of 76 mm has 760,000 pixels of 0.1 µm; and products of such distances in thousandths still fit 64 bits."""
UNIT: Final = 1000
"""Of :data:`Points`, in a pixel."""
_RING_LEAST: Final = 3
_LINE_LEAST: Final = 2
_RECTANGLE: Final = 4
_PAIRS_PER_EDGE: Final = 200
"""A drawn outline needs a few; what needs more is made to keep a computer busy. Outlines below 400 corners never do."""
_CELLS_PER_EDGE: Final = 4
_FEW: Final = 4000
"""Sides that may all cross one another."""
_COLLECTIONS: Final = 1000


class FaultError(Exception):
    """A shape that is not imported; ``fault`` is one of :data:`FAULTS`."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Geometry:
    """A shape.

    Attributes:
        kind: as in the ``annotations`` table.
        text: GeoJSON geometry (RFC 7946, section 3.1) without blanks, coordinates rounded to a thousandth of a pixel.
        area: in square pixels; None for points and lines.
        bounds: left, top, right and bottom, in pixels.
    """

    kind: str
    text: str
    area: float | None
    bounds: tuple[float, float, float, float]


def read_geometries(geometry: object) -> "Iterator[Geometry | FaultError]":
    """The shapes of a GeoJSON geometry: one, or the members of a collection, those of collections in it among them.

    Rings may be open or closed, points may repeat the one before, and heights are left out. A ring that crosses itself is
    refused; one that only touches itself is not, because tools that trace pixels make such rings.
    """
    waiting, seen = [geometry], 0
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict) and item.get("type") == "GeometryCollection":
            members = item.get("geometries")
            seen += 1
            if isinstance(members, list) and seen <= _COLLECTIONS:
                waiting += reversed(members)
                continue
        try:
            yield _geometry(item)
        except FaultError as fault:
            yield fault


def _geometry(item: object) -> Geometry:
    kind = item.get("type") if isinstance(item, dict) else None
    read = _READ.get(kind) if isinstance(kind, str) else None
    if read is None or not isinstance(item, dict):
        raise FaultError("unknown_type")
    return read(item.get("coordinates"), item.get("isEllipse") is True)


def _polygon(coordinates: object, is_ellipse: bool) -> Geometry:
    rings, area = _rings(coordinates)
    kind = "ellipse" if is_ellipse else "rectangle" if len(rings) == 1 and _is_rectangle(rings[0]) else "polygon"
    return Geometry(kind, _made("Polygon", _closed(rings)), area, _bounds(rings))


def _multipolygon(coordinates: object, _is_ellipse: bool) -> Geometry:
    polygons = [_rings(polygon) for polygon in _list(coordinates)]
    text = _made("MultiPolygon", "[" + ",".join(_closed(rings) for rings, _ in polygons) + "]")
    area = math.fsum(area for _, area in polygons)
    return Geometry("multipolygon", text, area, _bounds([ring for rings, _ in polygons for ring in rings]))


def _line(coordinates: object, _is_ellipse: bool) -> Geometry:
    line = _path(coordinates)
    return Geometry("polyline", _made("LineString", _text(line)), None, _bounds([line]))


def _lines(coordinates: object, _is_ellipse: bool) -> Geometry:
    lines = [_path(line) for line in _list(coordinates)]
    return Geometry("polyline", _made("MultiLineString", "[" + ",".join(map(_text, lines)) + "]"), None, _bounds(lines))


def _point(coordinates: object, _is_ellipse: bool) -> Geometry:
    point = _points([coordinates])
    return Geometry("point", _made("Point", _text(point)[1:-1]), None, _bounds([point]))


def _multipoint(coordinates: object, _is_ellipse: bool) -> Geometry:
    points = _points(coordinates)
    return Geometry("multipoint", _made("MultiPoint", _text(points)), None, _bounds([points]))


_READ: Final[dict[str, Callable[[object, bool], Geometry]]] = {
    "Polygon": _polygon, "MultiPolygon": _multipolygon, "LineString": _line, "MultiLineString": _lines, "Point": _point,
    "MultiPoint": _multipoint,
}  # fmt: skip


# --- Points ------------------------------------------------------------------------------------------------------


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise FaultError("bad_coordinates")
    if not value:
        raise FaultError("too_few_points")
    return value


def _points(value: object) -> Points:
    points = _list(value)
    try:
        numbers = np.asarray(points)
    except ValueError:
        numbers = _without_heights(points)
    if numbers.ndim != 2 or numbers.shape[1] < 2 or numbers.dtype.kind not in "fi":
        raise FaultError("bad_coordinates")
    numbers = numbers[:, :2]
    # Said so that what is no number does not fit either.
    if not (numbers.max() <= _MOST and numbers.min() >= -_MOST):
        raise FaultError("bad_coordinates")
    rounded: Points = np.rint(numbers * UNIT).astype(np.int64)
    return rounded


def _without_heights(points: list[Any]) -> "np.ndarray[Any, Any]":
    try:
        return np.asarray([point[:2] for point in points])
    except (ValueError, TypeError, KeyError):
        raise FaultError("bad_coordinates") from None


def _path(value: object) -> Points:
    """The points of a line, without those that repeat the one before."""
    points = _points(value)
    steps = points[1:] - points[:-1]
    is_other = steps[:, 0] | steps[:, 1]
    path: Points = points if is_other.all() else np.concatenate([points[:1], points[1:][is_other != 0]])
    if len(path) < _LINE_LEAST:
        raise FaultError("too_few_points")
    return path


def _rings(value: object) -> tuple[list[Points], float]:
    """The rings of a polygon, and its area: the outer ring's without those of the holes."""
    rings, areas = zip(*(_ring(ring) for ring in _list(value)), strict=True)
    area = areas[0] - sum(areas[1:])
    if area <= 0:
        raise FaultError("self_intersecting")
    return list(rings), area / (2 * UNIT * UNIT)


def _ring(value: object) -> tuple[Points, int]:
    """The corners of a ring, without the last one that closes it, and twice its area."""
    ring = _path(value)
    if ring[0, 0] == ring[-1, 0] and ring[0, 1] == ring[-1, 1]:
        ring = ring[:-1]
    if len(ring) < _RING_LEAST:
        raise FaultError("too_few_points")
    if not is_simple(ring):
        raise FaultError("self_intersecting")
    area = abs(_double_area(ring))
    if area == 0:
        raise FaultError("too_few_points")
    return ring, area


def _is_rectangle(ring: Points) -> bool:
    if len(ring) != _RECTANGLE:
        return False
    steps = ring[[1, 2, 3, 0]] - ring
    return bool(((steps == 0).sum(axis=1) == 1).all() and (steps[:2] == -steps[2:]).all())


def _double_area(ring: Points) -> int:
    """Twice the area, with the sign of the direction: whole numbers that wrap around on the way end up right."""
    x, y = (ring - ring[0]).T
    # The first corner is the origin, so that the side which closes the ring adds nothing.
    return int((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())


def _bounds(parts: Sequence[Points]) -> tuple[float, float, float, float]:
    points = parts[0] if len(parts) == 1 else np.concatenate(parts)
    (left, top), (right, bottom) = (points.min(axis=0) / UNIT).tolist(), (points.max(axis=0) / UNIT).tolist()
    return left, top, right, bottom


# --- Text --------------------------------------------------------------------------------------------------------


def _made(kind: str, coordinates: str) -> str:
    return f'{{"type":"{kind}","coordinates":{coordinates}}}'


def _closed(rings: Sequence[Points]) -> str:
    return "[" + ",".join(_text(np.concatenate([ring, ring[:1]])) for ring in rings) + "]"


def _text(points: Points) -> str:
    text = json.dumps((points / UNIT).tolist(), separators=(",", ":"))
    # Python writes a whole number as 12.0; -0.0 cannot be, because it was a whole number of thousandths.
    return text.replace(".0,", ",").replace(".0]", "]")


# --- Crossing ----------------------------------------------------------------------------------------------------


def is_simple(ring: Points) -> bool:
    """Whether no two sides of a ring cross; sides that touch do not cross.

    Raises:
        FaultError: that would take too long to find out.
    """
    return _is_star(ring) or not _has_crossing(ring)


def _is_star(ring: Points) -> bool:
    """Whether all corners are seen from the middle, one after another, once around: most cells are such shapes."""
    x, y = (np.concatenate([ring, ring[:1]]) - ring.sum(axis=0) // len(ring)).T
    turns = x[:-1] * y[1:] - x[1:] * y[:-1]
    if turns.min() < 0 < turns.max() or not turns.all():
        return False
    # Once around passes the ray to the right once each way.
    return int(np.count_nonzero((y[:-1] < 0) != (y[1:] < 0))) == 2


def _has_crossing(ring: Points) -> bool:
    """Sides are compared with those that have a part in the same cell of a grid, nearest in order first."""
    begin, end = ring, np.roll(ring, -1, axis=0)
    side, cell = _cells(np.minimum(begin, end), np.maximum(begin, end))
    place, compared, step = np.arange(len(cell)), 0, 0
    while True:
        step += 1
        place = place[: np.searchsorted(place, len(cell) - step)]
        # The cells are in order: what is in another cell now is so at any later step.
        place = place[cell[place + step] == cell[place]]
        if not len(place):
            return False
        compared += len(place)
        if compared > _PAIRS_PER_EDGE * len(ring):
            raise FaultError("too_tangled")
        one, other = side[place], side[place + step]
        if _cross(begin[one], end[one], begin[other], end[other]):
            return True


def is_tangled(begin: Points, end: Points) -> bool:
    """Whether sides of outlines lie so close to one another that finding where they cross would take too long.

    Args:
        begin: where each side begins.
        end: where it ends, row by row.
    """
    if len(begin) <= _FEW:
        return False
    _, cell = _cells(np.minimum(begin, end), np.maximum(begin, end))
    _, counts = np.unique(cell, return_counts=True)
    return int((counts * (counts - 1) // 2).sum()) > _PAIRS_PER_EDGE * len(begin)


def _cells(low: Points, high: Points) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Side and cell, for each cell that the box around a side has a part of, in order of cells."""
    low, high = low - low.min(axis=0), high - low.min(axis=0)
    width = max(1, int((high - low).mean()))
    while True:
        first, counts = low // width, high // width - low // width + 1
        cells = counts[:, 0] * counts[:, 1]
        if cells.sum() <= _CELLS_PER_EDGE * len(low) + _CELLS_PER_EDGE:
            break
        width *= 2
    side = np.repeat(np.arange(len(low)), cells)
    within = np.arange(len(side)) - np.repeat(np.cumsum(cells) - cells, cells)
    column = first[side, 0] + within % counts[side, 0]
    row = first[side, 1] + within // counts[side, 0]
    cell = column * (int(high[:, 1].max()) // width + 1) + row
    order = np.argsort(cell, kind="stable")
    return side[order], cell[order]


def _cross(a: Points, b: Points, c: Points, d: Points) -> bool:
    """Whether any of the segments a-b crosses the segment c-d of its row."""
    return bool((_apart(a, b, c, d) & _apart(c, d, a, b)).any())


def _apart(a: Points, b: Points, c: Points, d: Points) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Whether c and d lie on the two sides of the line through a and b."""
    c_side, d_side = _side(a, b, c), _side(a, b, d)
    apart: np.ndarray[Any, np.dtype[np.bool_]] = ((c_side > 0) & (d_side < 0)) | ((c_side < 0) & (d_side > 0))
    return apart


def _side(a: Points, b: Points, c: Points) -> Points:
    along, to = b - a, c - a
    side: Points = along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]
    return side

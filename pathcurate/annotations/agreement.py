"""How far annotators agree: Dice and intersection over union of areas, precision, recall and F1 of points, by class.

Areas of one class and annotator are joined before they are compared, so shapes that overlap count once. All sums run over
the slides that both annotators of a pair looked at (micro-average): a class that only one of them drew on such a slide is
disagreement. Points are paired one to one, nearest first, up to a distance in µm.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
import shapely

from pathcurate.annotations.geometry import UNIT, Points, is_tangled
from pathcurate.model.filerule import folded

SCHEMA: Final = "https://pathcurate.example/schema/annotation-agreement/1"
WITHIN_UM: Final = 7.5
"""Distance up to which two points are one, unless another is given: that of the MIDOG challenges for mitotic figures."""
_AREAS: Final = frozenset({"polygon", "multipolygon", "rectangle", "ellipse"})
_POINTS: Final = frozenset({"point", "multipoint"})
_NO_CLASS: Final = ""
_DIGITS: Final = 6
_MOST_PAIRS: Final = 5_000_000
_MOST_CORNERS: Final = 2_000_000
"""Of one annotator's shapes of one class on one slide; a detection export of 80,000 cells has as many."""
_POINTS_AT_ONCE: Final = 256


class Drawn(NamedTuple):
    """A shape.

    Attributes:
        slide: what it lies on.
        annotator: number of whoever drew it.
        label: its class.
        kind: as in the ``annotations`` table.
        geometry: GeoJSON, in pixels.
    """

    slide: str
    annotator: int
    label: str | None
    kind: str
    geometry: str


@dataclass(slots=True)
class AreaAgreement:
    """Sums of areas of one class, in square pixels of level 0.

    Attributes:
        label: the class; empty for shapes without one.
        annotators: the pair; empty for all pairs together.
        slides: on which at least one of a pair drew it.
        first: what the first of a pair drew.
        second: what the second drew.
        both: what both did.
    """

    label: str
    annotators: tuple[int, ...]
    slides: set[str] = field(default_factory=set)
    first: float = 0.0
    second: float = 0.0
    both: float = 0.0

    @property
    def dice(self) -> float:
        """Twice the common area by the sum of both."""
        return 2 * self.both / (self.first + self.second)

    @property
    def iou(self) -> float:
        """The common area by the area of either."""
        return self.both / (self.first + self.second - self.both)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**_about(self), "dice": _rounded(self.dice), "iou": _rounded(self.iou)}


@dataclass(slots=True)
class PointAgreement:
    """Counts of points of one class; the attributes are those of :class:`AreaAgreement`, the first being the reference."""

    label: str
    annotators: tuple[int, ...]
    slides: set[str] = field(default_factory=set)
    first: int = 0
    second: int = 0
    both: int = 0

    @property
    def precision(self) -> float | None:
        """Share of the second's points that the first has too; None if there are none."""
        return self.both / self.second if self.second else None

    @property
    def recall(self) -> float | None:
        """Share of the first's points that the second has too; None if there are none."""
        return self.both / self.first if self.first else None

    @property
    def f1(self) -> float:
        """Harmonic mean of both, which does not depend on who is the first."""
        return 2 * self.both / (self.first + self.second)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values; which of all pairs is the first says nothing, so of them there is F1 alone."""
        shares = {"precision": self.precision, "recall": self.recall} if self.annotators else {}
        counts = {"first": self.first, "second": self.second, "matched": self.both}
        made = {name: None if value is None else _rounded(value) for name, value in shares.items()}
        return {**_about(self), **counts, **made, "f1": _rounded(self.f1)}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far annotators agree.

    Attributes:
        annotators: how many there are.
        slides: that at least two of them looked at.
        within_um: distance up to which two points are one.
        areas: by class, all pairs together first.
        points: by class, all pairs together first.
        left_out: slides on which something was not compared, by why.
    """

    annotators: int
    slides: int
    within_um: float
    areas: tuple[AreaAgreement, ...]
    points: tuple[PointAgreement, ...]
    left_out: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values; it names no slide and nobody."""
        return {
            "schema": SCHEMA, "annotators": self.annotators, "slides": self.slides, "within_um": self.within_um,
            "areas": [one.as_dict() for one in self.areas], "points": [one.as_dict() for one in self.points],
            "left_out": dict(sorted(self.left_out.items())),
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        """In words."""
        if not self.slides:
            yield "agreement: no slide was annotated by two annotators"
            return
        yield f"agreement of {self.annotators} annotators on {_slides(self.slides)} that at least two of them looked at"
        for area in self.areas:
            yield f"  {_name(area)}: Dice {area.dice:.3f}, IoU {area.iou:.3f}, {_slides(len(area.slides))}"
        for point in self.points:
            shares = (("precision", point.precision), ("recall", point.recall)) if point.annotators else ()
            told = "".join(f", {name} {'none' if share is None else f'{share:.3f}'}" for name, share in shares)
            counts = f"{point.both:,} pairs within {self.within_um:g} µm"
            yield f"  {_name(point)}: points F1 {point.f1:.3f}{told}, {counts}, {_slides(len(point.slides))}"
        for why, count in sorted(self.left_out.items()):
            yield f"  not compared, {_LEFT_OUT[why]}: {_slides(count)}"


_LEFT_OUT: Final = {
    "points_without_mpp": "points, because the size of a pixel is not known",
    "too_dense": "points, because too many lie within the distance",
    "too_large": "areas, because they have too many corners",
    "too_tangled": "areas, because their outlines are too tangled",
    "lines": "lines, which have no area",
}


def agreement(
    drawn: Iterable[Drawn],
    looked: Mapping[str, Collection[int]],
    mpp: Mapping[str, tuple[float, float]],
    within_um: float = WITHIN_UM,
) -> Agreement:
    """How far the annotators of a delivery agree.

    Args:
        drawn: all shapes.
        looked: slide to the annotators of whom there is a file, though it may hold no shape.
        mpp: slide to the size of a pixel in µm, across and down; slides of which it is not known are missing.
        within_um: distance in µm up to which two points are one.
    """
    shared = {slide: sorted(set(people)) for slide, people in looked.items() if len(set(people)) > 1}
    by_slide: dict[str, list[Drawn]] = defaultdict(list)
    for shape in drawn:
        if shape.slide in shared:
            by_slide[shape.slide].append(shape)
    sums = _Sums(within_um)
    for slide in sorted(by_slide):
        sums.add(slide, shared[slide], by_slide[slide], mpp.get(slide))
    people = {annotator for annotators in looked.values() for annotator in annotators}
    areas = tuple(sums.areas[key] for key in sorted(sums.areas))
    points = tuple(sums.points[key] for key in sorted(sums.points))
    left_out = {why: len(slides) for why, slides in sums.left_out.items()}
    return Agreement(len(people), len(shared), within_um, areas, points, left_out)


class _Sums:
    """What is added up, slide by slide; areas are held of one slide at a time."""

    def __init__(self, within_um: float) -> None:
        self._within_um = within_um
        self._names: dict[str, str] = {}
        self.areas: dict[tuple[str, tuple[int, ...]], AreaAgreement] = {}
        self.points: dict[tuple[str, tuple[int, ...]], PointAgreement] = {}
        self.left_out: dict[str, set[str]] = defaultdict(set)

    def add(self, slide: str, people: list[int], shapes: list[Drawn], mpp: tuple[float, float] | None) -> None:
        by_class: dict[str, dict[int, list[Drawn]]] = defaultdict(lambda: defaultdict(list))
        for shape in shapes:
            by_class[self._class(shape.label)][shape.annotator].append(shape)
            if shape.kind not in _AREAS | _POINTS:
                self.left_out["lines"].add(slide)
        for label, of_people in sorted(by_class.items()):
            self._add_areas(slide, people, label, of_people)
            self._add_points(slide, people, label, of_people, mpp)

    def _class(self, label: str | None) -> str:
        """The class; Tumor and TUMOR are one, called as it was first."""
        return self._names.setdefault(folded(label), label) if label else _NO_CLASS

    def _add_areas(self, slide: str, people: list[int], label: str, of_people: Mapping[int, list[Drawn]]) -> None:
        texts = {one: [shape.geometry for shape in of_people.get(one, ()) if shape.kind in _AREAS] for one in people}
        if not any(texts.values()):
            return
        # Each corner has one comma between its numbers, and another behind it.
        if max(sum(text.count(",") for text in some) for some in texts.values()) > 2 * _MOST_CORNERS:
            self.left_out["too_large"].add(slide)
            return
        shapes = {one: shapely.from_geojson(some) for one, some in texts.items()}
        if is_tangled(*_sides([shape for some in shapes.values() for shape in some])):
            self.left_out["too_tangled"].add(slide)
            return
        try:
            pairs = list(_compared({one: _joined(some) for one, some in shapes.items()}))
        except shapely.GEOSException:
            self.left_out["too_tangled"].add(slide)
            return
        for people_compared, sums in pairs:
            for pair in ((), people_compared):
                found = self.areas.setdefault((label, pair), AreaAgreement(label, pair))
                found.slides.add(slide)
                found.first += sums[0]
                found.second += sums[1]
                found.both += sums[2]

    def _add_points(
        self,
        slide: str,
        people: list[int],
        label: str,
        of_people: Mapping[int, list[Drawn]],
        mpp: tuple[float, float] | None,
    ) -> None:
        points = {
            one: [point for shape in of_people.get(one, ()) if shape.kind in _POINTS for point in _points(shape.geometry)]
            for one in people
        }
        if not any(points.values()):
            return
        if mpp is None:
            self.left_out["points_without_mpp"].add(slide)
            return
        for first, second in combinations(people, 2):
            a, b = points[first], points[second]
            if not (a or b):
                continue
            both = matched(a, b, mpp, self._within_um)
            if both is None:
                self.left_out["too_dense"].add(slide)
                continue
            for pair in ((), (first, second)):
                found = self.points.setdefault((label, pair), PointAgreement(label, pair))
                found.slides.add(slide)
                found.first += len(a)
                found.second += len(b)
                found.both += both


def _sides(shapes: list[Any]) -> tuple[Points, Points]:
    """Where the sides of all rings begin and end, in thousandths of a pixel."""
    corners, ring = shapely.get_coordinates(shapely.get_rings(shapes), return_index=True)
    whole = np.rint(corners * UNIT).astype(np.int64)
    is_side = ring[1:] == ring[:-1]
    return whole[:-1][is_side], whole[1:][is_side]


def _joined(shapes: Any) -> Any:
    """The area that any of some polygons covers."""
    # Rings may touch themselves, as those do that are traced around pixels; then they are made of several.
    is_valid = shapely.is_valid(shapes)
    shapes[~is_valid] = shapely.make_valid(shapes[~is_valid])
    parts = shapely.get_parts(shapely.get_parts(shapes))
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def _compared(joined: Mapping[int, Any]) -> Iterator[tuple[tuple[int, int], tuple[float, float, float]]]:
    """Each pair of annotators of whom one drew something, with their areas and the common one."""
    for (first, a), (second, b) in combinations(joined.items(), 2):
        if a.area or b.area:
            both = min(a.intersection(b).area, a.area, b.area) if a.area and b.area else 0.0
            yield (first, second), (a.area, b.area, both)


def _points(text: str) -> list[tuple[float, float]]:
    coordinates = json.loads(text)["coordinates"]
    points = coordinates if isinstance(coordinates[0], list) else [coordinates]
    return [(point[0], point[1]) for point in points]


def matched(
    first: list[tuple[float, float]], second: list[tuple[float, float]], mpp: tuple[float, float], within_um: float
) -> int | None:
    """How many pairs there are of a point of each, one to one, nearest first; None if too many are near to tell.

    Args:
        first: in pixels.
        second: in pixels.
        mpp: size of a pixel in µm, across and down.
        within_um: distance in µm up to which two points may be a pair.
    """
    if not first or not second:
        return 0
    # In order, so that of pairs that are equally near the same are taken whoever is first.
    a, b = (np.array(sorted(points), np.float64) * mpp for points in (first, second))
    tree = shapely.STRtree(shapely.points(b))
    near: list[Any] = []
    count = 0
    for begin in range(0, len(a), _POINTS_AT_ONCE):
        some = shapely.points(a[begin : begin + _POINTS_AT_ONCE])
        one, other = tree.query(some, predicate="dwithin", distance=within_um)
        count += len(one)
        if count > _MOST_PAIRS:
            return None
        near.append(np.stack([one + begin, other]))
    one, other = np.concatenate(near, axis=1)
    far = np.hypot(*(a[one] - b[other]).T)
    taken, others, pairs = set[int](), set[int](), 0
    for place in np.lexsort((one + other, far)).tolist():
        i, j = int(one[place]), int(other[place])
        if i not in taken and j not in others:
            taken.add(i)
            others.add(j)
            pairs += 1
    return pairs


def _about(one: AreaAgreement | PointAgreement) -> dict[str, Any]:
    return {"class": one.label or None, "annotators": list(one.annotators) or "all", "slides": len(one.slides)}


def _name(one: AreaAgreement | PointAgreement) -> str:
    who = "" if not one.annotators else f", annotators {one.annotators[0]} and {one.annotators[1]}"
    return f"{one.label or '(no class)'}{who}"


def _slides(count: int) -> str:
    return f"{count:,} slide{'' if count == 1 else 's'}"


def _rounded(value: float) -> float:
    return round(value, _DIGITS)

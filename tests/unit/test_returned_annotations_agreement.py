"""Agreement of annotators: the same numbers as counting pixels gives."""

import json
import math
from collections import defaultdict
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pathcurate.annotations import agreement as module
from pathcurate.annotations.agreement import Agreement, Drawn, agreement, matched

SIDE = 10
MPP = {"a": (0.25, 0.25), "b": (0.5, 0.5)}
Point = tuple[float, float]
Box = tuple[int, int, int, int]


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def polygon(*rings: list[list[int]]) -> str:
    return json.dumps({"type": "Polygon", "coordinates": list(rings)})


def area(slide: str, annotator: int, label: str | None, *rings: list[list[int]]) -> Drawn:
    return Drawn(slide, annotator, label, "polygon", polygon(*rings))


def points(slide: str, annotator: int, *places: Point, label: str | None = "Mitosis") -> Drawn:
    text = json.dumps({"type": "MultiPoint", "coordinates": [list(place) for place in places]})
    return Drawn(slide, annotator, label, "multipoint", text)


def numbers(found: Agreement) -> dict[tuple[str, tuple[int, ...]], tuple[float, float, int]]:
    return {(one.label, one.annotators): (one.dice, one.iou, len(one.slides)) for one in found.areas}


spans = st.tuples(st.integers(0, SIDE - 1), st.integers(1, SIDE)).map(lambda span: (span[0], min(SIDE, sum(span))))
boxes = st.tuples(spans, spans).map(lambda both: (both[0][0], both[1][0], both[0][1], both[1][1]))
drawn = st.tuples(st.sampled_from("ab"), st.sampled_from([1, 2, 3]), st.sampled_from(["Tumor", "Fat"]), boxes, st.booleans())
drawings = st.lists(drawn, min_size=1, max_size=12)


@settings(max_examples=150)
@given(drawings)
def test_areas_agree_as_pixels_do(drawing: list[tuple[str, int, str, Box, bool]]) -> None:
    masks: dict[tuple[str, int, str], Any] = defaultdict(lambda: np.zeros((SIDE, SIDE), bool))
    shapes = []
    for slide, annotator, label, (left, top, right, bottom), has_hole in drawing:
        rings, mask = [box(left, top, right, bottom)], np.zeros((SIDE, SIDE), bool)
        mask[top:bottom, left:right] = True
        if has_hole and right - left > 2 and bottom - top > 2:
            rings.append(box(left + 1, top + 1, right - 1, bottom - 1))
            mask[top + 1 : bottom - 1, left + 1 : right - 1] = False
        masks[slide, annotator, label] |= mask
        shapes.append(area(slide, annotator, label, *rings))
    looked = {"a": {1, 2, 3}, "b": {1, 3}, "c": {2}}
    expected: dict[tuple[str, tuple[int, ...]], list[Any]] = defaultdict(lambda: [0, 0, 0, set()])
    for label in ("Tumor", "Fat"):
        for slide, people in looked.items():
            for one, other in combinations(sorted(people), 2):
                a, b = masks[slide, one, label], masks[slide, other, label]
                if not (a.any() or b.any()):
                    continue
                for pair in ((), (one, other)):
                    sums = expected[label, pair]
                    sums[0] += int((a & b).sum())
                    sums[1] += int(a.sum()) + int(b.sum())
                    sums[2] += int((a | b).sum())
                    sums[3].add(slide)
    found = agreement(shapes, looked, MPP)
    assert found.slides == 2
    assert numbers(found).keys() == expected.keys()
    for key, (dice, iou, slides) in numbers(found).items():
        both, summed, either, on = expected[key]
        assert (dice, iou, slides) == (pytest.approx(2 * both / summed), pytest.approx(both / either), len(on))


@settings(max_examples=50)
@given(drawings, st.booleans())
def test_who_draws_the_same_agrees_wholly(drawing: list[tuple[str, int, str, Box, bool]], is_reversed: bool) -> None:
    first = [area(slide, 1, label, box(*one)) for slide, _, label, one, _ in drawing]
    second = [shape._replace(annotator=2) for shape in (first[::-1] if is_reversed else first)]
    found = agreement([*first, *second], {"a": {1, 2}, "b": {1, 2}}, MPP)
    assert {(dice, iou) for dice, iou, _ in numbers(found).values()} == {(1.0, 1.0)}
    apart = [shape._replace(geometry=polygon(box(100, 100, 101, 101))) for shape in second]
    found = agreement([*first, *apart], {"a": {1, 2}, "b": {1, 2}}, MPP)
    assert {(dice, iou) for dice, iou, _ in numbers(found).values()} == {(0.0, 0.0)}


def test_classes_are_one_however_they_are_written_and_none_is_a_class() -> None:
    shapes = [
        area("a", 1, "Tumor", box(0, 0, 2, 2)),
        area("a", 2, "TUMOR ", box(0, 0, 2, 2)),
        area("a", 1, None, box(0, 0, 1, 1)),
    ]
    found = agreement(shapes, {"a": [1, 2]}, MPP).as_dict()
    assert [(one["class"], one["annotators"], one["dice"]) for one in found["areas"]] == [
        (None, "all", 0), (None, [1, 2], 0), ("Tumor", "all", 1), ("Tumor", [1, 2], 1),
    ]  # fmt: skip


def test_rings_that_touch_themselves_have_their_whole_area() -> None:
    eight = [[0, 0], [2, 0], [2, 2], [4, 2], [4, 4], [2, 4], [2, 2], [0, 2], [0, 0]]
    two = [area("a", 2, "x", box(0, 0, 2, 2)), area("a", 2, "x", box(2, 2, 4, 4))]
    assert numbers(agreement([area("a", 1, "x", eight), *two], {"a": {1, 2}}, MPP))["x", ()] == (1, 1, 1)


def test_lines_are_counted_and_slides_of_one_annotator_are_not_looked_at() -> None:
    line = Drawn("a", 1, "x", "polyline", '{"type":"LineString","coordinates":[[0,0],[1,1]]}')
    found = agreement([line, line._replace(slide="b")], {"a": {1, 2}, "b": {1}}, MPP)
    assert (found.slides, found.areas, found.points, dict(found.left_out)) == (1, (), (), {"lines": 1})
    assert list(agreement([line], {"a": {1}}, {}).lines()) == ["agreement: no slide was annotated by two annotators"]


def test_what_is_too_large_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CORNERS", 9)
    monkeypatch.setattr(module, "_MOST_PAIRS", 3)
    many = [area("a", 1, "x", box(0, 0, 2, 2)), area("a", 1, "x", box(0, 0, 3, 3)), points("a", 1, *[(1, 1)] * 2)]
    found = agreement([*many, points("a", 2, *[(1, 1)] * 2), area("a", 2, "y", box(0, 0, 1, 1))], {"a": {1, 2}}, MPP)
    assert (dict(found.left_out), found.points) == ({"too_large": 1, "too_dense": 1}, ())
    assert {one.label for one in found.areas} == {"y"}
    assert "too many corners: 1 slide" in "\n".join(found.lines())


def comb(teeth: int, *, is_upright: bool) -> list[list[int]]:
    """A ring with so many long teeth."""
    edge = [(4 * tooth + step, 9 * teeth if step in (1, 2) else 0) for tooth in range(teeth) for step in range(4)]
    ring = [*edge, (4 * teeth, -5), (0, -5), (0, 0)]
    return [[x, y] if is_upright else [y, x] for x, y in ring]


def test_outlines_that_are_made_to_keep_a_computer_busy_are_left_out() -> None:
    def compared(teeth: int) -> Agreement:
        shapes = [area("a", 1, "x", comb(teeth, is_upright=True)), area("a", 2, "x", comb(teeth, is_upright=False))]
        return agreement(shapes, {"a": {1, 2}}, MPP)

    assert (dict(compared(5000).left_out), compared(5000).areas) == ({"too_tangled": 1}, ())
    few = compared(50)
    assert (dict(few.left_out), few.areas[0].dice > 0.1) == ({}, True)


def test_many_cells_in_an_outline_are_not_tangled() -> None:
    cells = [box(12 * (n % 100), 12 * (n // 100), 12 * (n % 100) + 10, 12 * (n // 100) + 10) for n in range(5000)]
    mine = [area("a", 1, "x", one) for one in cells]
    theirs = [area("a", 2, "x", box(0, 0, 1200, 600)), *(one._replace(annotator=2) for one in mine)]
    found = agreement([*mine, *theirs], {"a": {1, 2}}, MPP)
    assert (dict(found.left_out), found.areas[0].iou) == ({}, pytest.approx(5000 * 100 / (1200 * 600)))


# --- Points ----------------------------------------------------------------------------------------------------------

places = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=7)


def far(a: Point, b: Point, mpp: Point) -> float:
    return math.hypot((a[0] - b[0]) * mpp[0], (a[1] - b[1]) * mpp[1])


@settings(max_examples=150)
@given(places, places, st.sampled_from([(0.25, 0.25), (0.5, 0.3)]), st.sampled_from([0.6, 1.3, 3.1, 40.0]))
def test_points_are_paired_one_to_one(a: list[Point], b: list[Point], mpp: Point, within: float) -> None:
    found = matched(a, b, mpp, within)
    assert found is not None
    assert found == matched(b, a, mpp, within) == matched(a[::-1], b, mpp, within)
    short, long = sorted((a, b), key=len)
    near = [[far(one, other, mpp) <= within for other in long] for one in short]
    most = 0
    if short and len(long) <= 5:
        chosen = permutations(range(len(long)), len(short))
        most = max(sum(near[place][other] for place, other in enumerate(order)) for order in chosen)
        assert most / 2 <= found <= most
    assert found <= sum(map(any, near))
    assert matched(a, a, mpp, within) == len(a)


@settings(max_examples=150)
@given(places, places)
def test_the_nearest_are_paired_first(a: list[Point], b: list[Point]) -> None:
    pairs = sorted((far(one, other, (1, 1)), i, j) for i, one in enumerate(a) for j, other in enumerate(b))
    assume(len({distance for distance, _, _ in pairs}) == len(pairs))
    first, second, count = set(range(len(a))), set(range(len(b))), 0
    for distance, i, j in pairs:
        if distance <= 9.05 and i in first and j in second:
            first.remove(i)
            second.remove(j)
            count += 1
    assert matched(a, b, (1, 1), 9.05) == count


def test_precision_and_recall_are_of_the_second_against_the_first() -> None:
    shapes = [points("a", 1, (0, 0), (100, 100)), points("a", 2, (10, 0), (500, 500), (600, 600)), points("b", 2, (1, 1))]
    found = agreement(shapes, {"a": {1, 2}, "b": {1, 2}, "c": {1, 2}}, MPP)
    whole, pair = (one.as_dict() for one in found.points)
    assert {name: pair[name] for name in ("first", "second", "matched", "precision", "recall", "f1", "slides")} == {
        "first": 2, "second": 4, "matched": 1, "precision": 0.25, "recall": 0.5, "f1": 0.333333, "slides": 2,
    }  # fmt: skip
    assert (whole["annotators"], whole["f1"], "precision" in whole) == ("all", 0.333333, False)
    none = agreement([points("a", 2, (1, 1))], {"a": {1, 2}}, MPP).points[1]
    assert (none.precision, none.recall, none.f1) == (0, None, 0)
    assert "recall none" in "\n".join(agreement([points("a", 2, (1, 1))], {"a": {1, 2}}, MPP).lines())


def test_points_need_the_size_of_a_pixel() -> None:
    shapes = [points("a", 1, (0, 0)), points("a", 2, (29, 0)), points("c", 1, (0, 0)), points("c", 2, (0, 0))]
    found = agreement(shapes, {"a": {1, 2}, "c": {1, 2}}, MPP)
    assert (dict(found.left_out), found.points[0].f1) == ({"points_without_mpp": 1}, 1.0)
    # 29 pixels are 7.25 µm across on one slide, and 14.5 on another.
    assert agreement([shape._replace(slide="b") for shape in shapes[:2]], {"b": {1, 2}}, MPP).points[0].f1 == 0

"""Shapes become canonical geometries: the same text for the same shape, and nothing that is no shape."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathcurate.annotations.geometry import FAULTS, FaultError, Geometry, is_simple, read_geometries
from tests.makers.annotations import SQUARE, polygon

LARGE = 10**6


def one(geometry: object) -> Geometry:
    (found,) = read_geometries(geometry)
    assert isinstance(found, Geometry), found
    return found


def fault(geometry: object) -> str:
    (found,) = read_geometries(geometry)
    assert isinstance(found, FaultError), found
    assert found.fault in FAULTS
    return found.fault


# --- What is kept ----------------------------------------------------------------------------------------------------


def test_a_polygon_with_a_hole_has_its_area_without_it() -> None:
    found = one(polygon([(0, 0), (100, 0), (100, 50), (0, 51)], [(10, 10), (20, 10), (20, 20), (10, 20)]))
    assert (found.kind, found.area, found.bounds) == ("polygon", 5050 - 100, (0, 0, 100, 51))
    assert found.text == (
        '{"type":"Polygon","coordinates":[[[0,0],[100,0],[100,50],[0,51],[0,0]],[[10,10],[20,10],[20,20],[10,20],[10,10]]]}'
    )


@pytest.mark.parametrize(
    ("geometry", "kind", "text", "area"),
    [
        ({"type": "Point", "coordinates": [1, 2.50]}, "point", '{"type":"Point","coordinates":[1,2.5]}', None),
        ({"type": "Point", "coordinates": [1, -0.0, 77]}, "point", '{"type":"Point","coordinates":[1,0]}', None),
        ({"type": "MultiPoint", "coordinates": [[1, 2], [1, 2]]}, "multipoint",
         '{"type":"MultiPoint","coordinates":[[1,2],[1,2]]}', None),
        ({"type": "LineString", "coordinates": [[0, 0], [0, 0, 5], [3.00049, 4.0006]]}, "polyline",
         '{"type":"LineString","coordinates":[[0,0],[3,4.001]]}', None),
        ({"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[2, 2], [10.05, 3]]]}, "polyline",
         '{"type":"MultiLineString","coordinates":[[[0,0],[1,1]],[[2,2],[10.05,3]]]}', None),
        ({"type": "MultiPolygon", "coordinates": [[[[0, 0], [2, 0], [0, 2]]], [[[5, 5], [9, 5], [5, 9]]]]}, "multipolygon",
         '{"type":"MultiPolygon","coordinates":[[[[0,0],[2,0],[0,2],[0,0]]],[[[5,5],[9,5],[5,9],[5,5]]]]}', 10.0),
        ({**polygon([(0, 0), (10, 0), (10, 4), (0, 4)]), "plane": {"z": 1}}, "rectangle",
         '{"type":"Polygon","coordinates":[[[0,0],[10,0],[10,4],[0,4],[0,0]]]}', 40.0),
        ({**polygon([(5, 0), (10, 5), (5, 10), (0, 5)]), "isEllipse": True}, "ellipse",
         '{"type":"Polygon","coordinates":[[[5,0],[10,5],[5,10],[0,5],[5,0]]]}', 50.0),
        (polygon([(5, 0), (10, 5), (5, 10), (0, 5)]), "polygon",
         '{"type":"Polygon","coordinates":[[[5,0],[10,5],[5,10],[0,5],[5,0]]]}', 50.0),
    ],
)  # fmt: skip
def test_every_kind_of_geometry(geometry: Any, kind: str, text: str, area: float | None) -> None:
    found = one(geometry)
    assert (found.kind, found.text, found.area) == (kind, text, area)


def test_a_collection_gives_its_members_and_those_of_collections_in_it() -> None:
    point = {"type": "Point", "coordinates": [1, 1]}
    inner = {"type": "GeometryCollection", "geometries": [point, {"type": "Curve"}]}
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    found = list(read_geometries({"type": "GeometryCollection", "geometries": [inner, line]}))
    assert [item.kind if isinstance(item, Geometry) else item.fault for item in found] == [
        "point",
        "unknown_type",
        "polyline",
    ]
    assert list(read_geometries({"type": "GeometryCollection", "geometries": []})) == []


def test_a_ring_that_touches_itself_is_kept_and_one_that_crosses_itself_is_not() -> None:
    spike = [(0, 0), (10, 0), (10, 5), (15, 5), (10, 5), (10, 10), (0, 10)]
    assert one(polygon(spike)).area == 100
    corner_to_corner = [(0, 0), (10, 0), (10, 10), (20, 10), (20, 20), (10, 20), (10, 10), (0, 10)]
    assert one(polygon(corner_to_corner)).area == 200
    assert fault(polygon([(0, 0), (10, 10), (10, 0), (0, 11)])) == "self_intersecting"
    assert fault(polygon([(0, 0), (10, 10), (10, 0), (0, 10)])) == "self_intersecting", "two halves that cancel each other"
    assert fault(polygon(SQUARE, [(110, 130), (200, 200), (200, 130), (110, 210)])) == "self_intersecting"
    assert fault(polygon([(10, 10), (20, 10), (10, 20)], [(0, 0), (90, 0), (90, 90), (0, 90)])) == "self_intersecting"
    pentagram = [(math.sin(4 * math.pi * step / 5), math.cos(4 * math.pi * step / 5)) for step in range(5)]
    assert fault(polygon([(10 * x, 10 * y) for x, y in pentagram])) == "self_intersecting", "turns one way, but twice around"


# --- What is not -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [
        (None, "unknown_type"), ([], "unknown_type"), ({"type": "Circle", "coordinates": [1, 1]}, "unknown_type"),
        ({"type": ["Point"], "coordinates": [1, 1]}, "unknown_type"), ({"coordinates": [1, 1]}, "unknown_type"),
        ({"type": "GeometryCollection"}, "unknown_type"),
        ({"type": "Point"}, "bad_coordinates"), ({"type": "Point", "coordinates": []}, "bad_coordinates"),
        ({"type": "Point", "coordinates": [1]}, "bad_coordinates"),
        ({"type": "Point", "coordinates": ["1", "2"]}, "bad_coordinates"),
        ({"type": "Point", "coordinates": [True, False]}, "bad_coordinates"),
        ({"type": "Point", "coordinates": [None, 1]}, "bad_coordinates"),
        ({"type": "Point", "coordinates": {"x": 1, "y": 2}}, "bad_coordinates"),
        ({"type": "Point", "coordinates": [math.nan, 1]}, "bad_coordinates"),
        ({"type": "Point", "coordinates": [1, math.inf]}, "bad_coordinates"),
        ({"type": "Point", "coordinates": [1e308, 1e308]}, "bad_coordinates"),
        ({"type": "Point", "coordinates": [-1_000_000.001, 0]}, "bad_coordinates"),
        ({"type": "MultiPoint", "coordinates": [[1, 2], 3]}, "bad_coordinates"),
        ({"type": "MultiPoint", "coordinates": [[1, 2], "ab"]}, "bad_coordinates"),
        ({"type": "MultiPoint", "coordinates": [[1, 2], {"x": 1}]}, "bad_coordinates"),
        ({"type": "MultiPoint", "coordinates": [[1, 2], [[3], 4]]}, "bad_coordinates"),
        ({"type": "MultiPoint", "coordinates": [[1, 2], [3]]}, "bad_coordinates"),
        ({"type": "MultiPoint", "coordinates": []}, "too_few_points"),
        ({"type": "Polygon", "coordinates": [[0, 0], [1, 0], [1, 1]]}, "bad_coordinates"),
        ({"type": "Polygon", "coordinates": []}, "too_few_points"),
        ({"type": "Polygon", "coordinates": [[]]}, "too_few_points"),
        ({"type": "MultiPolygon", "coordinates": [[]]}, "too_few_points"),
        (polygon([(1, 1), (2, 2)]), "too_few_points"), (polygon([(1, 1), (1, 1), (1, 1), (1, 1)]), "too_few_points"),
        (polygon([(1, 1), (2, 2), (3, 3)]), "too_few_points"), (polygon([(0, 0), (1e-4, 0), (0, 1e-4)]), "too_few_points"),
        ({"type": "LineString", "coordinates": [[1, 1], [1, 1.0001]]}, "too_few_points"),
    ],
)  # fmt: skip
def test_what_is_no_shape_is_told_apart(geometry: Any, expected: str) -> None:
    assert fault(geometry) == expected


def test_deep_nesting_and_endless_collections_are_no_shapes() -> None:
    nested: Any = 1.0
    for _ in range(900):
        nested = [nested]
    assert fault({"type": "Polygon", "coordinates": nested}) == "bad_coordinates"
    wide = {"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection", "geometries": []}] * 1500}
    assert {item.fault for item in read_geometries(wide) if isinstance(item, FaultError)} == {"unknown_type"}


# --- Crossing --------------------------------------------------------------------------------------------------------


def crosses(ring: list[tuple[int, int]]) -> bool:
    """Whether any two sides cross, each compared with each."""

    def side(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    sides = list(zip(ring, ring[1:] + ring[:1], strict=True))
    return any(
        side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
        for number, (a, b) in enumerate(sides)
        for c, d in sides[:number]
    )


RINGS = st.integers(3, 60).flatmap(
    lambda most: st.lists(st.tuples(st.integers(0, most), st.integers(0, most)), min_size=3, max_size=14)
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(RINGS)
@example([(0, 0), (4, 4), (4, 0), (0, 4)])
@example([(0, 0), (9, 0), (9, 1), (1, 1), (1, 2), (9, 2), (9, 3), (0, 3)])
@example([(-LARGE * 1000, -LARGE * 1000), (LARGE * 1000, LARGE * 1000), (LARGE * 1000, LARGE * 1000 - 1), (0, 1)])
def test_crossing_is_found_as_by_comparing_every_side_with_every_other(ring: list[tuple[int, int]]) -> None:
    has_area = sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(ring, ring[1:] + ring[:1], strict=True)) != 0
    if has_area and all(a != b for a, b in zip(ring, ring[1:] + ring[:1], strict=True)):
        assert is_simple(np.array(ring, np.int64)) == (not crosses(ring))


def test_a_ring_of_many_corners_is_checked_and_a_tangled_one_is_given_up() -> None:
    angles = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    radius = 3e8 * (2 + np.sin(31 * angles))
    outline = np.rint(np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)).astype(np.int64)
    assert is_simple(outline)
    # Bent around the middle, so that it is not told at once from where it is seen.
    bent = outline + np.array([outline[:, 1] ** 2 // 10**9, np.zeros(len(outline), np.int64)]).T
    assert is_simple(bent)
    bent[[100_000, 100_400]] = bent[[100_400, 100_000]]
    assert not is_simple(bent)
    # Long teeth side by side on the slant: every box around one overlaps all others.
    teeth = np.repeat(10 * np.arange(2_000), 2)
    far = 10**9 * (np.arange(len(teeth)) % 4 // 2 == (np.arange(len(teeth)) % 2))
    comb = np.stack([teeth + far, far - teeth], axis=1)
    with pytest.raises(FaultError, match="too_tangled"):
        is_simple(comb)


# --- Round trip ------------------------------------------------------------------------------------------------------

NUMBERS = st.floats(-LARGE, LARGE, allow_nan=False) | st.integers(-LARGE, LARGE)
POSITIONS = st.lists(NUMBERS, min_size=2, max_size=3)
LINES = st.lists(POSITIONS, max_size=6)
GEOMETRIES = st.one_of(
    st.builds(lambda value: {"type": "Point", "coordinates": value}, POSITIONS),
    st.builds(lambda value: {"type": "MultiPoint", "coordinates": value}, LINES),
    st.builds(lambda value: {"type": "LineString", "coordinates": value}, LINES),
    st.builds(lambda value: {"type": "MultiLineString", "coordinates": value}, st.lists(LINES, max_size=2)),
    st.builds(lambda value: {"type": "Polygon", "coordinates": value}, st.lists(LINES, max_size=2)),
    st.builds(
        lambda value: {"type": "MultiPolygon", "coordinates": value}, st.lists(st.lists(LINES, max_size=1), max_size=2)
    ),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(GEOMETRIES)
def test_what_is_written_reads_the_same_again(geometry: dict[str, Any]) -> None:
    for found in read_geometries(geometry):
        if isinstance(found, Geometry):
            again = one(json.loads(found.text))
            assert again == found
            assert " " not in found.text
            assert ".0," not in found.text
            assert "e" not in found.text.partition("coordinates")[2]
            x_min, y_min, x_max, y_max = found.bounds
            assert x_min <= x_max
            assert y_min <= y_max
            assert (found.area is None) == (found.kind in {"point", "multipoint", "polyline"})
            assert found.area is None or 0 < found.area <= (x_max - x_min) * (y_max - y_min) * 2


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "coordinates", "x"]), inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(["Point", "MultiPoint", "LineString", "Polygon", "MultiPolygon", "GeometryCollection"]), ANYTHING)
def test_whatever_stands_in_a_geometry_it_is_a_shape_or_a_fault(kind: str, value: object) -> None:
    for found in read_geometries({"type": kind, "coordinates": value, "geometries": value}):
        assert isinstance(found, Geometry | FaultError)

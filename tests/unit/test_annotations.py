"""Import of annotation files: every shape is a row or is counted, and finds its slide by name, whenever that is scanned."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pathcurate.annotations import forget_annotations, import_annotations
from pathcurate.annotations.textfile import source_name
from pathcurate.annotations.ties import Hint, Ties, find_ties
from pathcurate.errors import UsageError
from pathcurate.findings import read_findings
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import slide
from tests.makers.annotations import (
    SQUARE,
    asap,
    collection,
    feature,
    make_workspace,
    polygon,
    put,
    put_slides,
    qupath,
    rows,
    rules,
    scan,
    ties,
)

Row = dict[str, Any]
NAME = "S24-01234-A1"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def ties_of(file: str, *slides: Row) -> tuple[Ties, Hint]:
    """How one file is tied to slides."""
    hint = Hint("NB01", source_name(file), f"drawn/{file}")
    return find_ties(from_rows(SLIDES, slides), [hint], {}), hint


# --- What the formats say --------------------------------------------------------------------------------------------


def test_every_column_of_a_shape_of_qupath(workspace: Workspace) -> None:
    (slide_id,) = scan(workspace, f"2024/{NAME}.svs")
    put(workspace, f"{NAME}.geojson", collection(qupath(label="浸润癌", properties={"isLocked": True})))
    assert rules(workspace) == {}
    (row,) = rows(workspace)
    assert row.pop("annotation_id").startswith("A-")
    assert row.pop("digest").startswith("sha256:")
    assert row == {
        "site": "NB01", "slide_id": slide_id, "slide_raw": NAME, "kind": "polygon", "label": "浸润癌", "colour": "#c80000",
        "geometry": '{"type":"Polygon","coordinates":[[[100,100],[300,120.5],[310.25,300],[90,280],[100,100]]]}',
        "coordinate_level": 0, "x_min": 90.0, "y_min": 100.0, "x_max": 310.25, "y_max": 300.0, "area_px": 37767.4375,
        "annotator": None, "tool": "qupath", "version": None, "source_file": f"drawn/{NAME}.geojson", "source_row": 1,
    }  # fmt: skip


LABELS: list[tuple[Row, str | None, str | None]] = [
    ({"classification": {"name": "Tumor", "colorRGB": -3670016}}, "Tumor", "#c80000"),
    ({"classification": {"names": ["Tumor", "Positive"], "color": [1, 2, 255]}}, "Tumor: Positive", "#0102ff"),
    ({"classification": "Stroma", "color": "#00ff7F"}, "Stroma", "#00ff7f"),
    ({"classification": {"name": "  "}, "label": 7, "color": [1, 2]}, "7", None),
    ({"class": {"name": "e\u0301"}}, "é", None), ({"name": "Region 1", "color": [300, 0, 0]}, "Region 1", None),
    ({"type": "necrosis", "color": 1e300}, "necrosis", None), ({"label": "a\ud800\x00b"}, "ab", None),
    ({"label": "x" * 201, "colour": True}, None, None), ({"label": True, "class": 1e300, "name": {}}, None, None),
]  # fmt: skip


def test_class_and_colour_are_found_as_each_tool_writes_them(workspace: Workspace) -> None:
    scan(workspace, f"{NAME}.svs")
    points = ({"type": "Point", "coordinates": [number, 1]} for number in range(len(LABELS)))
    drawn = [feature(point, **properties) for point, (properties, _, _) in zip(points, LABELS, strict=True)]
    put(workspace, f"{NAME}.geojson", json.dumps(drawn))
    assert rules(workspace) == {"no_class": 2}
    assert [(row["label"], row["colour"]) for row in rows(workspace)] == [(label, colour) for _, label, colour in LABELS]


def test_every_form_of_geojson(workspace: Workspace) -> None:
    features = [qupath(polygon([(x, 0), (x + 9, 0), (x, 9)])) for x in range(3)]
    forms = {
        "collection": json.dumps({"features": features, "type": "FeatureCollection"}), "array": json.dumps(features),
        "lines": "\n".join(map(json.dumps, features)), "one": json.dumps(features[0]),
        "geometry": json.dumps({"coordinates": [[0, 0], [1, 1]], "type": "LineString"}),
        "nested": json.dumps({**features[0], "properties": {"objectType": "root", "childObjects": features[1:]}}),
        "pretty": json.dumps({"type": "FeatureCollection", "features": features}, indent=4).replace("\n", "\r\n"),
    }  # fmt: skip
    for form, text in forms.items():
        put(workspace, f"{form}.json", text)
    import_annotations(workspace)
    found = {form: [row["source_row"] for row in rows(workspace) if row["slide_raw"] == form] for form in forms}
    assert found == {form: [1] if form in {"one", "geometry"} else [1, 2, 3] for form in forms}


def test_a_file_in_which_nothing_is_drawn_gives_nothing(workspace: Workspace) -> None:
    scan(workspace, "a.svs")
    path = put(workspace, "a.json", collection())
    assert (rules(workspace), rows(workspace)) == ({}, [])
    path.write_bytes(collection(qupath()))
    assert (rules(workspace), len(rows(workspace))) == ({}, 1)
    path.write_text("[]")
    assert (rules(workspace), rows(workspace)) == ({}, [])


def test_nuclei_are_counted_and_measurements_dropped(workspace: Workspace) -> None:
    scan(workspace, f"{NAME}.svs")
    inner = polygon([(150, 150), (160, 150), (150, 160)])
    cell = qupath(object_type="cell", nucleusGeometry=inner, properties={"measurements": {"Area": float("nan")}})
    put(workspace, f"{NAME}.geojson", collection(cell))
    assert rules(workspace) == {"nucleus_left_out": 1}
    assert "NaN" not in json.dumps(rows(workspace))


def test_what_the_file_says_of_its_slide_and_its_maker_is_used(workspace: Workspace) -> None:
    one, two = scan(workspace, "2024/a.svs", "2024/B.ndpi")
    drawn = [
        feature(polygon(SQUARE), label="x", imageName="a.svs", annotator="Dr. Wu"),
        feature(polygon(SQUARE), label="x", image={"uri": "file:/D:/%E7%97%85/b.ndpi", "name": "not this"}),
        feature(polygon(SQUARE), label="y"),
    ]
    put(workspace, "export.json", collection(*drawn, image="C:\\slides\\2024\\A.SVS", version="0.5.1"))
    assert rules(workspace) == {}
    assert [(row["slide_id"], row["annotator"], row["version"]) for row in rows(workspace)] == [
        (one, "Dr. Wu", "0.5.1"), (two, None, "0.5.1"), (one, None, "0.5.1"),
    ]  # fmt: skip


def test_asap_shapes_have_their_groups_and_the_groups_colours(workspace: Workspace) -> None:
    (slide_id,) = scan(workspace, f"{NAME}.tif")
    square = [(0, 0), (10.5, 0), ("10,5", 10), (0, 10)]
    shapes: list[Any] = [
        ("Polygon", "肿瘤", square[:3]), ("Rectangle", "肿瘤", square), ("Spline", "None", [(0, 0), (9, 0), (9, 8)]),
        ("Dot", "肿瘤", [(3, 4)]), ("PointSet", "肿瘤", [(1, 2), (3, 4)]), ("Measurement", "肿瘤", [(1, 2), (3, 4)]),
        ("None", "肿瘤", square), ("Polygon", "肿瘤", []), ("Polygon", "肿瘤", [("nan", 1), (2, 3), (4, 4)]),
        ("Polygon", "肿瘤", [("x", 1), (2, 3), (4, 4)]),
    ]  # fmt: skip
    put(workspace, f"{NAME}.xml", asap(shapes, [("肿瘤", "#64FE2E")]))
    assert rules(workspace) == {
        "spline_as_polygon": 1, "no_class": 1, "unknown_type": 1, "too_few_points": 1, "bad_coordinates": 2,
    }  # fmt: skip
    found = [(row["kind"], row["label"], row["colour"], row["tool"], row["slide_id"]) for row in rows(workspace)]
    kinds = ["polygon", "rectangle", "polygon", "point", "multipoint", "polyline"]
    tumour = ("肿瘤", "#64fe2e", "asap", slide_id)
    assert found == [(kind, *(tumour if at != 2 else (None, "#f4fa58", *tumour[2:]))) for at, kind in enumerate(kinds)]


def test_corners_of_asap_stand_in_the_order_of_their_numbers(workspace: Workspace) -> None:
    text = asap([("Polygon", "T", [(0, 0), (10, 10), (10, 0), (0, 11)])])
    for now, then in (("1", "x"), ("2", "1"), ("x", "2")):
        text = text.replace(f'Order="{now}"', f'Order="{then}"')
    put(workspace, "a.xml", text)
    import_annotations(workspace)
    assert [row["geometry"] for row in rows(workspace)] == [
        '{"type":"Polygon","coordinates":[[[0,0],[10,0],[10,10],[0,11],[0,0]]]}'
    ]


def test_encodings_and_packing_are_told_by_the_bytes(workspace: Workspace) -> None:
    label, encodings = "浸润性导管癌龘", ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be", "gb18030")
    texts = {"json": collection(qupath(label=label)).decode(), "xml": asap([("Polygon", label, SQUARE)])}
    for number, encoding in enumerate(encodings):
        for kind, text in texts.items():
            data = text.encode(encoding)
            # The ending says the other format, and nothing of the packing.
            ending = "xml" if kind == "json" else "geojson"
            put(workspace, f"{kind}{number}.{ending}", data)
            put(workspace, f"{kind}{number}-packed.{ending}", gzip.compress(data))
    assert import_annotations(workspace).files == 24
    assert [row["label"] for row in rows(workspace)] == [label] * 24


# --- Slides ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "relpath"),
    [
        ("a.geojson", "x/a.svs"), ("a.svs.geojson", "x/a.svs"), ("A.GEOJSON.GZ", "x/a.svs"),
        ("a.ome.tif.geojson", "a.ome.tif"), ("a.geojson", "a.ome.tiff"), ("a.json", "a.NDPI"),
        ("S24-1.2.xml", "S24-1.2.mrxs"),
        ("Ａ.json", "Ａ.svs"), ("é.json", "e\u0301.svs"), ("STRASSE.json", "straße.svs"),
        ("病.json", "病.kfb".encode("gb18030")),
        ("病誠.json", "病誠\\x.svs/病誠.svs".encode("gb18030")), ("a.json.json", "a.json.svs"), ("a b.json", "a b.dcm"),
    ],
)  # fmt: skip
def test_a_file_belongs_to_the_slide_of_its_name(file: str, relpath: str | bytes) -> None:
    path = relpath.encode() if isinstance(relpath, str) else relpath
    ties, hint = ties_of(file, slide(1, relpath=path), slide(2, relpath=b"x/other.svs"))
    assert ties.slides == {hint: slide(1)["slide_id"]}


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("b.geojson", {}), ("a.svs.bak.geojson", {}), ("a.geojson", {"site": "NB02"}), ("a.geojson", {"status": "gone"}),
        ("a.geojson", {"status": "not_a_slide"}),
    ],
)  # fmt: skip
def test_a_slide_of_another_name_or_site_or_that_is_none_is_not_taken(file: str, values: Row) -> None:
    ties, _ = ties_of(file, slide(1, **{"relpath": b"x/a.svs", **values}))
    assert (ties.slides, ties.ambiguous) == ({}, frozenset())


def test_folders_decide_between_slides_of_one_name(workspace: Workspace) -> None:
    one, two, three = scan(workspace, "2024/P1/1.svs", "2024/P2/1.svs", "P1/2023/1.svs")
    for name in ("2024/P1/1.json", "p2/1.json", "archive/p1/2023/1.svs.json", "P3/1.json", "1.json"):
        put(workspace, name, collection(qupath()))
    assert rules(workspace) == {"ambiguous_slide": 2}
    assert ties(workspace) == {
        "2024/P1/1.json": one, "p2/1.json": two, "archive/p1/2023/1.svs.json": three, "P3/1.json": None, "1.json": None,
    }  # fmt: skip


def test_extensions_decide_between_slides_beside_each_other(workspace: Workspace) -> None:
    svs, ndpi = scan(workspace, "x/a.svs", "x/a.ndpi")
    for name in ("a.svs.json", "a.NDPI.json", "a.json", "a.tif.json"):
        put(workspace, name, collection(qupath()))
    assert rules(workspace) == {"ambiguous_slide": 2}
    assert ties(workspace) == {"a.svs.json": svs, "a.NDPI.json": ndpi, "a.json": None, "a.tif.json": None}


def test_among_hundreds_of_slides_of_one_name_only_folders_decide() -> None:
    slides = [
        slide(number, relpath=b"P%d/1.%s" % (number, b"svs" if number == 150 else b"ndpi")) for number in range(1, 151)
    ]
    inside, apart, by_path = (
        Hint("NB01", "1", "drawn/P149/1.json"), Hint("NB01", "1.svs", "drawn/1.svs.json"),
        Hint("NB01", "D:\\x\\P150\\1.svs", "drawn/P149/2.json"),
    )  # fmt: skip
    for order in (slides, slides[::-1]):
        ties = find_ties(from_rows(SLIDES, order), [inside, apart, by_path], {})
        assert ties.slides == {inside: slides[148]["slide_id"], by_path: slides[149]["slide_id"]}
        assert ties.ambiguous == {apart}
    kept = find_ties(from_rows(SLIDES, slides), [apart], {apart: slides[120]["slide_id"]})
    assert kept.slides == {apart: slides[120]["slide_id"]}


def test_of_copies_with_the_same_pixels_the_first_is_the_slide(workspace: Workspace) -> None:
    same: Row = {"scan_group": "G-1"}
    first, copy = (slide(n, relpath=f"{n}/a.svs".encode(), **same) for n in (1, 2))
    put_slides(workspace, {**first, "duplicate_of": copy["slide_id"]}, copy)
    put(workspace, "a.json", collection(qupath()))
    put(workspace, "1/a.json", collection(qupath()))
    import_annotations(workspace)
    assert ties(workspace) == {"a.json": copy["slide_id"], "1/a.json": first["slide_id"]}


def test_a_slide_belongs_to_the_file_whose_folders_agree_best(workspace: Workspace) -> None:
    (slide_id,) = scan(workspace, "P1/1.svs")
    for name in ("P1/1.json", "P2/1.json"):
        put(workspace, name, collection(qupath()))
    assert rules(workspace) == {"ambiguous_slide": 1}
    assert ties(workspace) == {"P1/1.json": slide_id, "P2/1.json": None}


def test_copies_of_a_file_are_told(workspace: Workspace) -> None:
    (slide_id,) = scan(workspace, "2024/a.svs")
    other = qupath(polygon([(1, 1), (9, 1), (9, 9)]))
    put(workspace, "may/a.json", collection(qupath()))
    put(workspace, "june/a.json", collection(qupath(), other, other))
    assert rules(workspace) == {"repeated_shape": 1, "repeated_row": 1}
    assert Counter(ties(workspace).values()) == {slide_id: 2}
    put(workspace, "june/a.svs.json", collection(other))
    put(workspace, "june/a.geojson", collection(other))
    assert rules(workspace)["repeated_in_file"] == 1


def test_shapes_are_tied_when_their_slide_is_scanned_and_no_file_is_read_again(workspace: Workspace) -> None:
    put(workspace, "a.json", collection(qupath()))
    put(workspace, "b.json", collection(qupath()))
    assert rules(workspace) == {"no_slide": 2}
    before = rows(workspace)
    (slide_id,) = scan(workspace, "x/a.svs")
    summary = import_annotations(workspace)
    assert (summary.files, summary.unchanged) == (0, 2)
    assert [finding.count for finding in summary.findings] == [1]
    assert rows(workspace) == [{**before[0], "slide_id": slide_id}, before[1]]
    # The import still knows its files, and what has not changed makes no new state.
    state = Catalog(workspace.catalog).state(ANNOTATIONS)
    summary = import_annotations(workspace)
    assert (summary.files, summary.unchanged, Catalog(workspace.catalog).state(ANNOTATIONS)) == (0, 2, state)


def test_shapes_are_tied_although_another_file_is_always_refused(workspace: Workspace) -> None:
    put(workspace, "a.json", collection(qupath()))
    import_annotations(workspace)
    put(workspace, "broken.json", "{")
    (slide_id,) = scan(workspace, "a.svs")
    for _ in range(2):
        with pytest.raises(UsageError):
            import_annotations(workspace)
        assert ties(workspace) == {"a.json": slide_id}
        assert read_findings(Catalog(workspace.catalog), "annotations") == []
    (workspace.root / "drawn/broken.json").unlink()
    assert import_annotations(workspace).unchanged == 1


def test_a_slide_that_is_moved_renamed_or_gone_keeps_its_shapes(workspace: Workspace) -> None:
    (slide_id,) = scan(workspace, "x/a.svs")
    put(workspace, "a.json", collection(qupath()))
    import_annotations(workspace)
    before = rows(workspace)
    for relpath, status in ((b"y/a.svs", "moved"), (b"y/other.svs", "ok"), (b"y/other.svs", "gone")):
        put_slides(workspace, slide(1, relpath=relpath, status=status))
        import_annotations(workspace)
        assert rows(workspace) == before
    # What is drawn anew on the slide, or exported again, belongs to it too, although another slide has its name now.
    put_slides(workspace, slide(2, relpath=b"x/a.svs"))
    more = qupath(polygon([(0, 0), (9, 0), (0, 9)]))
    for shapes in ((more, qupath()), (more,)):
        put(workspace, "a.json", collection(*shapes))
        import_annotations(workspace)
        assert {row["slide_id"] for row in rows(workspace)} == {slide_id}


def test_a_slide_that_fits_better_takes_the_place_of_one_that_was_taken_for_it(workspace: Workspace) -> None:
    put(workspace, "P2/1.json", collection(qupath()))
    (wrong,) = scan(workspace, "P1/1.svs")
    import_annotations(workspace)
    assert ties(workspace) == {"P2/1.json": wrong}
    _, right = scan(workspace, "P1/1.svs", "P2/1.svs")
    import_annotations(workspace)
    assert ties(workspace) == {"P2/1.json": right}


def test_a_file_that_is_moved_or_gets_another_ending_keeps_its_identifiers(workspace: Workspace) -> None:
    scan(workspace, "x/a.svs")
    path = put(workspace, "a.json", collection(qupath(), feature({"type": "Point", "coordinates": [5, 5]}, label="x")))
    import_annotations(workspace)
    before = {(row["annotation_id"], row["digest"], row["slide_id"]) for row in rows(workspace)}
    put_slides(workspace, slide(1, relpath=b"x/renamed.svs"))
    for name in ("2024/a.json", "2024/A.svs.geojson", "a.xml"):
        path = path.rename(put(workspace, name, b""))
        import_annotations(workspace)
        assert {(row["annotation_id"], row["digest"], row["slide_id"]) for row in rows(workspace)} == before


def test_the_same_shape_on_two_slides_is_two_annotations_with_one_digest(workspace: Workspace) -> None:
    for name in ("a.json", "b.json", "P1/1.json", "P2/1.json"):
        put(workspace, name, collection(qupath()))
    import_annotations(workspace)
    assert len({row["annotation_id"] for row in rows(workspace)}) == 4
    assert len({row["digest"] for row in rows(workspace)}) == 1


def test_order_and_days_do_not_matter(workspace: Workspace, tmp_path: Path) -> None:
    scan(workspace, "P1/1.svs", "P2/1.svs", "x/b.svs")
    names = ("P1/1.json", "P2/1.json", "b.json", "c.json")
    for name in names:
        put(workspace, name, collection(qupath(), qupath(label=name)))
        import_annotations(workspace)
    by_day = rows(workspace)
    other = tmp_path / "other"
    (other / "drawn").mkdir(parents=True)
    (other / "pathcurate.yaml").write_bytes((workspace.root / "pathcurate.yaml").read_bytes())
    at_once = load_workspace(other / "pathcurate.yaml")
    scan(at_once, "P1/1.svs", "P2/1.svs", "x/b.svs")
    for name in reversed(names):
        put(at_once, name, collection(qupath(label=name), qupath()))
    import_annotations(at_once)

    def plain(found: list[Row]) -> list[Row]:
        return sorted(({**row, "source_row": 0} for row in found), key=lambda row: row["annotation_id"])

    assert plain(rows(at_once)) == plain(by_day)


def test_an_import_is_undone_until_the_file_is_named_again(workspace: Workspace) -> None:
    (slide_id,) = scan(workspace, "a.svs")
    path = put(workspace, "a.json", collection(qupath(label=None)))
    put(workspace, "b.json", collection(qupath()))
    import_annotations(workspace)
    assert forget_annotations(workspace, [("NB01", "drawn/a.json")]) == 1
    assert ties(workspace) == {"b.json": None}
    assert rules(workspace) == {"no_slide": 1}
    import_annotations(workspace, only=[path])
    assert ties(workspace) == {"a.json": slide_id, "b.json": None}


def test_an_import_that_was_killed_keeps_the_slides_of_renamed_files(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (slide_id,) = scan(workspace, "a.svs")
    put(workspace, "a.json", collection(qupath()))
    import_annotations(workspace)
    put_slides(workspace, slide(1, relpath=b"renamed.svs"))
    put(workspace, "a.json", collection(qupath(label="other")))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # The table is written then, and what is remembered of the files is not.
        patch.setattr("pathcurate.annotations.find_ties", killed)
        with pytest.raises(KeyboardInterrupt):
            import_annotations(workspace)
    summary = import_annotations(workspace)
    assert (summary.files, summary.findings) == (1, ())
    assert [(row["label"], row["slide_id"]) for row in rows(workspace)] == [("other", slide_id)]


def test_shapes_beyond_the_slide_are_kept_and_counted(workspace: Workspace) -> None:
    scan(workspace, "a.svs", width=1000, height=None)
    points = [[0, 0], [1000, 99_999], [1000.001, 5], [-0.001, 5], [5, -1]]
    put(workspace, "a.json", collection(*(feature({"type": "Point", "coordinates": point}, label="x") for point in points)))
    put(workspace, "b.json", collection(feature({"type": "Point", "coordinates": [-5, -5]}, label="x")))
    assert rules(workspace) == {"outside_slide": 3, "no_slide": 1}
    assert len(rows(workspace)) == 6

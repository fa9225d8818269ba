"""Annotations that come back of a delivery: they land on the original slide, and nothing of their author does."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pathcurate import pseudonyms
from pathcurate.annotations import forget_annotations, import_annotations
from pathcurate.annotations.kept import kept_name
from pathcurate.annotations.returned import Returned, import_returned
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.findings import read_findings
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog
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
)

DELIVERY = "thorax-lab-0123abcd-d1"
OTHER = "thorax-lab-0123abcd-d2"
SLIDE_IDS = [slide(number)["slide_id"] for number in (1, 2, 3)]
KEY = bytes(range(32))
CODES = pseudonyms.recipient(KEY, "thorax", "lab").codes
ONE, TWO, THREE = (CODES.code("S", slide_id) for slide_id in SLIDE_IDS)
ORIGINALS = dict(zip((ONE, TWO, THREE), SLIDE_IDS, strict=True))
FOREIGN = pseudonyms.recipient(KEY, "thorax", "rival").codes.code("S", SLIDE_IDS[0])
AUTHOR = "WuMingQiang"
PATH = "C:\\Users\\WuMingQiang\\slides"
NOTE = "seen with Zhao Wei, call 13800138000"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "w").mkdir()
    made = make_workspace(tmp_path / "w")
    put_slides(made, *(slide(number) for number in (1, 2)), slide(3, site="NB02"))
    put(made, "nothing.geojson", collection())
    return made


def came(tmp: Path, name: str, content: bytes | str, folder: str = "ann") -> Path:
    """A file as the recipient sent it."""
    path = tmp / "back" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def back(workspace: Workspace, *files: Path, delivery: str = DELIVERY, **more: Any) -> Returned:
    return import_returned(workspace, delivery, files, more.pop("originals", ORIGINALS), CODES, **more)


def state(workspace: Workspace) -> dict[str, Any]:
    """All that an import might change: files with their times, and the tables' states."""
    files = {
        path.relative_to(workspace.root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted((workspace.root / "products").rglob("*"))
        if path.is_file()
    }
    return {**files, "table": Catalog(workspace.catalog).state(ANNOTATIONS), "rows": rows(workspace)}


def copies(workspace: Workspace) -> list[str]:
    return sorted(name for name in state(workspace) if name.endswith(".geojson"))


def placed(workspace: Workspace) -> list[tuple[str | None, str | None, str | None]]:
    return sorted((row["slide_id"], row["annotator"], row["label"]) for row in rows(workspace))


def everything(root: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def found(done: Returned) -> dict[str, int]:
    assert done.summary is not None
    counted: Counter[str] = Counter()
    for finding in done.summary.findings:
        counted[finding.rule.removeprefix("annotations.")] += finding.count
    return counted


# --- Where they land -------------------------------------------------------------------------------------------------


def test_a_shape_lands_on_the_original_slide_and_at_its_site(workspace: Workspace, tmp_path: Path) -> None:
    done = back(workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath())), came(tmp_path, f"{THREE}.svs.json", "[]"))
    assert (done.files, done.changed, done.annotators, done.new, done.refused) == (2, 2, (1,), (1,), ())
    (row,) = rows(workspace)
    assert {name: row[name] for name in ("slide_id", "site", "slide_raw", "label", "annotator", "tool", "version")} == {
        "slide_id": SLIDE_IDS[0], "site": "NB01", "slide_raw": ONE, "label": "Tumor", "annotator": "annotator 1",
        "tool": "qupath", "version": None,
    }  # fmt: skip
    assert row["source_file"] == f"products/deliveries/{DELIVERY}/returned/annotator-1/{ONE}.geojson"
    assert row["geometry"] == '{"type":"Polygon","coordinates":[[[100,100],[300,120.5],[310.25,300],[90,280],[100,100]]]}'


NAMES = ["{}.geojson", "{}.svs.json", "{}_final (2).geojson", "{}.ome.tif.geojson.gz", "export of {}.json"]


@pytest.mark.parametrize("name", [*NAMES, *(name.replace("{}", "{lower}") for name in NAMES[:1])])
def test_a_file_is_named_by_the_code_however_tools_end_the_name(workspace: Workspace, tmp_path: Path, name: str) -> None:
    content = collection(qupath())
    content = gzip.compress(content) if name.endswith(".gz") else content
    assert back(workspace, came(tmp_path, name.format(TWO, lower=TWO.lower()), content)).refused == ()
    assert placed(workspace) == [(SLIDE_IDS[1], "annotator 1", "Tumor")]


IMAGES: list[Any] = [
    "{}.svs", "file:/D:/data/{}.svs", "C:\\data\\{}\\1.dcm", {"uri": "file:///x/%7B/{}.svs", "name": "my favourite"}, "{}",
]  # fmt: skip


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("is_before", [True, False])
def test_the_image_that_a_file_names_says_which_slide_it_is_of(
    workspace: Workspace, tmp_path: Path, image: Any, is_before: bool
) -> None:
    said = json.loads(json.dumps(image).replace("{}", TWO))
    parts = {"image": said, "features": [qupath()]} if is_before else {"features": [qupath()], "image": said}
    content = json.dumps({"type": "FeatureCollection", **parts})
    assert back(workspace, came(tmp_path, "export.geojson", content)).refused == ()
    assert placed(workspace) == [(SLIDE_IDS[1], "annotator 1", "Tumor")]


def test_asap_and_qupath_say_the_same_of_a_slide(workspace: Workspace, tmp_path: Path) -> None:
    drawn = asap([("Polygon", "Tumor", SQUARE), ("Dot", "Mitosis", [(5, 6)])], [("Tumor", "#00FF00")])
    assert back(workspace, came(tmp_path, f"{ONE}.xml", drawn)).refused == ()
    found = sorted((row["kind"], row["label"], row["colour"], row["tool"], row["slide_id"]) for row in rows(workspace))
    assert found == [
        ("point", "Mitosis", "#f4fa58", "asap", SLIDE_IDS[0]),
        ("polygon", "Tumor", "#00ff00", "asap", SLIDE_IDS[0]),
    ]


def test_every_kind_of_shape_comes_back_as_it_was_drawn(workspace: Workspace, tmp_path: Path) -> None:
    hole = polygon(SQUARE, [(150, 150), (160, 150), (150, 160)])
    of_hole = hole["coordinates"]
    geometries = [
        hole, {**polygon(SQUARE), "isEllipse": True}, polygon([(0, 0), (9, 0), (9, 9), (0, 9)]),
        {"type": "MultiPolygon", "coordinates": [of_hole, polygon([(900, 900), (950, 900), (900, 950)])["coordinates"]]},
        {"type": "LineString", "coordinates": [[1, 1], [2.5, 2]]}, {"type": "Point", "coordinates": [1.5, 2]},
        {"type": "MultiPoint", "coordinates": [[1, 1], [2, 2]]},
    ]  # fmt: skip
    content = collection(*(qupath(one) for one in geometries))
    put(workspace, "1.geojson", content)
    back(workspace, came(tmp_path, f"{ONE}.geojson", content))
    import_annotations(workspace)
    by_source = {source: [
        [row[name] for name in ("kind", "geometry", "area_px", "x_min", "y_max", "colour", "digest")]
        for row in sorted(rows(workspace), key=lambda row: row["source_row"])
        if (kept_name(row["source_file"]) is None) == (source == "own")
    ] for source in ("own", "returned")}  # fmt: skip
    assert by_source["returned"] == by_source["own"]
    assert [row[0] for row in by_source["own"]] == [
        "polygon", "ellipse", "rectangle", "multipolygon", "polyline", "point", "multipoint",
    ]  # fmt: skip


# --- What does not come in -------------------------------------------------------------------------------------------


def full_of_names() -> bytes:
    named = {"annotator": AUTHOR, "comment": NOTE, "path": PATH}
    drawn = [
        qupath(name=f"{AUTHOR} 1", description=NOTE, properties={**named, "name": NOTE, "metadata": {"By": AUTHOR}}),
        qupath(label=f"{AUTHOR}'s tumour", properties={"measurements": {AUTHOR: 1.0}}),
        feature(polygon(SQUARE), name=AUTHOR, label=PATH),
        feature(polygon(SQUARE), label=NOTE),
        feature({"type": "Point", "coordinates": [7, 7]}, label="Dr. Zhao"),
    ]
    # Who drew is said behind the shapes.
    text = collection(*drawn, image=f"{PATH}\\{ONE}.svs", version=AUTHOR, name=NOTE)[:-1]
    return text + b', "author": {"first": "WuMingQiang"}, "crs": "' + AUTHOR.encode() + b'"}'


def test_nothing_of_the_author_stays_anywhere(workspace: Workspace, tmp_path: Path) -> None:
    files = [
        came(tmp_path, f"{AUTHOR} {ONE}.geojson", full_of_names(), AUTHOR),
        came(tmp_path, f"{TWO}.xml", asap([("Polygon", "Dr Zhao Wei", SQUARE)]).replace("Annotation 0", AUTHOR), AUTHOR),
        came(tmp_path, f"{AUTHOR}.geojson", "{"), came(tmp_path, f"{AUTHOR}{PATH}.geojson", collection(qupath())),
    ]  # fmt: skip
    done = back(workspace, *files)
    assert len(done.refused) == 2
    assert [row["label"] for row in rows(workspace)].count(None) == 4
    assert found(done)["returned_class"] == 5
    shown = f"{done} {done.agreement.as_dict()} {read_findings(Catalog(workspace.catalog))}".encode()
    for canary in (AUTHOR, "Zhao", "13800138000", "Users"):
        for text in (everything(workspace.root / "products"), everything(workspace.catalog), shown):
            assert canary.casefold().encode() not in text.lower(), canary
    assert b"Tumor" in everything(workspace.root / "products")


def test_what_the_annotator_is_called_is_no_class(workspace: Workspace, tmp_path: Path) -> None:
    labels = ("吴明强标", "Tumor (Alice)", "Malice")
    content = collection(*(qupath(polygon([(x, 0), (x + 9, 0), (x, 9)]), label=label) for x, label in enumerate(labels)))
    back(workspace, came(tmp_path, f"{ONE}.geojson", content), annotator="吴明强 Alice")
    assert sorted(str(row["label"]) for row in rows(workspace)) == ["Malice", "None", "None"]
    assert "吴".encode() not in everything(workspace.root / "products")


CLASSES = ["Tumor", "Tumor: Positive", "Gleason 3", "癌", "In situ / invasive", "2+", "Region*", "pT1a"]


def test_classes_stay_as_they_are(workspace: Workspace, tmp_path: Path) -> None:
    back(workspace, came(tmp_path, f"{ONE}.geojson", collection(*(qupath(label=label) for label in CLASSES))))
    assert sorted(row["label"] for row in rows(workspace)) == sorted(CLASSES)


OUTSIDE = [
    [(-0.01, 5), (9, 5), (9, 9)], [(5, -1), (9, 5), (5, 9)], [(3990, 5), (4000.01, 5), (3990, 9)],
    [(5, 2990), (9, 3000.01), (5, 3000)], [(1e6, 1e6), (1e6 - 5, 1e6), (1e6, 1e6 - 5)],
]  # fmt: skip


def test_shapes_beyond_the_slide_are_refused_and_counted(workspace: Workspace, tmp_path: Path) -> None:
    edge = qupath(polygon([(0, 0), (4000, 0), (4000, 3000), (0, 3000)]), label="edge")
    crossing = qupath(polygon([(0, 0), (9, 9), (9, 0), (0, 8)]))
    path = came(tmp_path, f"{ONE}.geojson", collection(edge, crossing, *(qupath(polygon(ring)) for ring in OUTSIDE)))
    done = back(workspace, path)
    assert found(done) == {"returned_outside": 5, "self_intersecting": 1}
    assert [row["label"] for row in rows(workspace)] == ["edge"]
    assert b"1000000" not in everything(workspace.root / "products")
    assert found(back(workspace, path)) == {"returned_outside": 5, "self_intersecting": 1}
    import_annotations(workspace)
    stands = {finding.rule: finding.count for finding in read_findings(Catalog(workspace.catalog), "annotations")}
    assert stands["annotations.returned_outside"] == 5


def test_a_slide_of_unknown_size_still_has_an_upper_left_corner(workspace: Workspace, tmp_path: Path) -> None:
    put_slides(workspace, slide(1, width=None, height=None))
    done = back(workspace, came(tmp_path, f"{ONE}.geojson", collection(*(qupath(polygon(ring)) for ring in OUTSIDE))))
    assert (found(done)["returned_outside"], len(rows(workspace))) == (2, 3)


FEATURE = qupath()
INSIDE: dict[str, Any] = {
    "top": {"image": f"{TWO}.svs", "features": [FEATURE]},
    "behind": {"features": [FEATURE], "image": f"{TWO}.svs"},
    "feature": {"features": [FEATURE, {**FEATURE, "image": f"{TWO}.svs"}]},
    "property": {"features": [{**FEATURE, "properties": {"imageName": f"{TWO}.svs"}}]},
    "metadata": {"features": [FEATURE], "metadata": {"source": {"image": f"{TWO}.svs"}}},
    "child": {"features": [qupath(properties={"childObjects": [{**FEATURE, "image": {"uri": f"x/{TWO}.svs"}}]})]},
    "nested": {"features": [{"type": "FeatureCollection", "image": TWO, "features": [FEATURE]}]},
    "without": {"features": [FEATURE], "image": "another.svs"},
    "two in one": {"features": [FEATURE], "image": f"{ONE}/{TWO}.svs"},
}


@pytest.mark.parametrize("place", INSIDE)
def test_a_file_that_names_its_slide_twice_differently_is_refused(workspace: Workspace, tmp_path: Path, place: str) -> None:
    content = json.dumps({"type": "FeatureCollection", **INSIDE[place]})
    done = back(workspace, came(tmp_path, f"{ONE}.geojson", content))
    (refusal,) = done.refused
    assert "two ways" in refusal or "another one" in refusal
    assert (rows(workspace), copies(workspace), done.summary) == ([], [], None)
    assert back(workspace, came(tmp_path, f"{TWO}.geojson", collection(qupath(), image=f"{TWO}.svs"))).refused == ()


REFUSED = {
    "another recipient's": (f"{FOREIGN}.geojson", "not of this delivery"),
    "the original": (f"{SLIDE_IDS[0]}.geojson", "not of this delivery"),
    "none": ("export.geojson", "names no slide"),
    "two": (f"{ONE} {TWO}.geojson", "two ways"),
    "cut off": (f"{ONE[:-1]}.geojson", "names no slide"),
    "longer": (f"{ONE}A.geojson", "names no slide"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_code_that_is_not_of_this_delivery_is_refused_and_the_others_come_in(
    workspace: Workspace, tmp_path: Path, case: str
) -> None:
    name, why = REFUSED[case]
    done = back(
        workspace, came(tmp_path, name, collection(qupath())), came(tmp_path, f"{TWO}.geojson", collection(qupath()))
    )
    assert done.refused == (f"file 1: {done.refused[0].removeprefix('file 1: ')}",)
    assert why in done.refused[0]
    assert [code for code in (FOREIGN, *SLIDE_IDS, ONE) if code in done.refused[0]] == []
    assert placed(workspace) == [(SLIDE_IDS[1], "annotator 1", "Tumor")]


def test_a_slide_that_was_withdrawn_takes_nothing_back_and_counts_in_no_agreement(
    workspace: Workspace, tmp_path: Path
) -> None:
    files = [came(tmp_path, f"{code}.geojson", collection(qupath()), who) for code in (ONE, TWO) for who in "ab"]
    assert back(workspace, *files).agreement.slides == 2
    left = {TWO: ORIGINALS[TWO]}
    done = back(workspace, *files, originals=left)
    assert (len(done.refused), done.agreement.slides) == (2, 1)
    # A code whose slide the catalog has no more is nobody's.
    assert len(back(workspace, files[0], originals={ONE: "S-gone"}).refused) == 1


HOSTILE: dict[str, bytes | str] = {
    "empty": b"", "cut off": collection(qupath())[:-9], "binary": bytes(range(256)) * 9, "a bomb of depth": "[" * 100_000,
    "other XML": "<Annotations/>", "not JSON": "{'a': 1}", "damaged gzip": gzip.compress(collection(qupath()))[:-8],
    "entities": '<!DOCTYPE a [<!ENTITY b "c">]><ASAP_Annotations>&b;</ASAP_Annotations>', "no shapes at all": '{"a": 1}',
    "many images": collection(qupath(), *({"image": f"{ONE}.{number}.svs"} for number in range(80))),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_leaves_nothing(workspace: Workspace, tmp_path: Path, case: str) -> None:
    done = back(workspace, came(tmp_path, f"{ONE}.geojson", HOSTILE[case]))
    assert len(done.refused) == 1
    assert (rows(workspace), copies(workspace)) == ([], [])


def test_a_folder_or_a_missing_file_is_refused_by_its_number(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / f"{ONE}.geojson").mkdir()
    done = back(workspace, tmp_path / f"{ONE}.geojson", tmp_path / f"{TWO}.geojson")
    assert [refusal.split(":")[0] for refusal in done.refused] == ["file 1", "file 2"]
    with pytest.raises(UsageError, match="no file"):
        back(workspace)


# --- Again -----------------------------------------------------------------------------------------------------------


def test_importing_the_same_again_changes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    files = [came(tmp_path, f"{code}.geojson", collection(qupath()), who) for code in (ONE, TWO) for who in "ab"]
    first, before = back(workspace, *files), state(workspace)
    again = back(workspace, *files[::-1])
    assert (again.changed, again.new, again.annotators) == (0, (), (1, 2))
    assert again.agreement.as_dict() == first.agreement.as_dict()
    assert state(workspace) == before
    import_annotations(workspace)
    assert state(workspace) == before


def test_a_changed_file_takes_the_place_of_the_earlier_one(workspace: Workspace, tmp_path: Path) -> None:
    one = came(tmp_path, f"{ONE}.geojson", collection(qupath(label="Tumor"), qupath(label="Fat")))
    other = came(tmp_path, f"{TWO}.geojson", collection(qupath()))
    back(workspace, one, other)
    kept = {row["slide_id"]: row["annotation_id"] for row in rows(workspace) if row["label"] == "Tumor"}
    one.write_bytes(collection(qupath(label="Tumor"), qupath(label="Stroma")))
    done = back(workspace, one)
    assert (done.changed, done.files, done.new) == (1, 1, ())
    assert placed(workspace) == [
        (SLIDE_IDS[0], "annotator 1", "Stroma"), (SLIDE_IDS[0], "annotator 1", "Tumor"),
        (SLIDE_IDS[1], "annotator 1", "Tumor"),
    ]  # fmt: skip
    assert {row["slide_id"]: row["annotation_id"] for row in rows(workspace) if row["label"] == "Tumor"} == kept


def test_what_came_back_stays_when_the_configured_sources_are_imported(workspace: Workspace, tmp_path: Path) -> None:
    put(workspace, "1.geojson", collection(qupath(label="own")))
    back(workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath(label="theirs"))))
    back(workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath(label="theirs"))), delivery=OTHER)
    assert import_annotations(workspace).total == 3
    # A copy of the slide under its code is scanned, which the shapes are not of.
    put_slides(workspace, slide(7, relpath=f"copies/{ONE}.svs".encode()))
    import_annotations(workspace)
    assert {row["slide_id"] for row in rows(workspace)} == {SLIDE_IDS[0]}
    (workspace.root / "drawn" / "1.geojson").unlink()
    import_annotations(workspace)
    assert {row["label"] for row in rows(workspace)} == {"theirs"}


def test_an_import_that_does_not_know_the_tables_state_ties_them_again(workspace: Workspace, tmp_path: Path) -> None:
    back(workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath())))
    catalog = Catalog(workspace.catalog)
    # As after a kill: the table is of a state that nothing is remembered of.
    before = rows(workspace)
    catalog.replace(ANNOTATIONS, catalog.read(ANNOTATIONS).slice(0, 0))
    catalog.replace(ANNOTATIONS, type(catalog.read(ANNOTATIONS)).from_pylist(before, catalog.read(ANNOTATIONS).schema))
    import_annotations(workspace)
    assert rows(workspace) == before


KILLED = [
    "pathcurate.annotations.returned.import_kept",
    "pathcurate.sources.conclude",
    "pathcurate.annotations.returned.agreement",
]


@pytest.mark.parametrize("place", KILLED)
@pytest.mark.parametrize("is_between", [True, False])
def test_a_killed_import_is_ended_by_the_next(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, is_between: bool
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    first = came(tmp_path, f"{ONE}.geojson", collection(qupath(label="Fat")))
    back(workspace, first)
    files = [came(tmp_path, f"{code}.geojson", collection(qupath()), who) for code in (ONE, TWO) for who in ("ann", "b")]
    with monkeypatch.context() as patch:
        patch.setattr(place, killed)
        with pytest.raises(KeyboardInterrupt):
            back(workspace, *files)
    if is_between:
        import_annotations(workspace)
        assert {row["slide_id"] for row in rows(workspace)} <= {*SLIDE_IDS[:2]}
    done = back(workspace, *files)
    assert (done.annotators, done.changed, done.agreement.slides) == ((1, 2), 0, 2)
    assert placed(workspace) == [(slide_id, f"annotator {n}", "Tumor") for slide_id in SLIDE_IDS[:2] for n in (1, 2)]
    before = state(workspace)
    back(workspace, *files)
    assert state(workspace) == before


def test_a_configured_source_does_not_read_the_copies(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.root / "pathcurate.yaml").write_text(
        "workspace: 1\nname: w\nsites: [{code: NB01, annotations: [{path: '**/*.geojson'}]}, {code: NB02}]\n"
    )
    wide = load_workspace(workspace.root / "pathcurate.yaml")
    back(wide, came(tmp_path, f"{THREE}.geojson", collection(qupath())))
    import_annotations(wide)
    assert [(row["site"], row["slide_id"], row["annotator"]) for row in rows(wide)] == [
        ("NB02", SLIDE_IDS[2], "annotator 1")
    ]


def test_shapes_of_a_slide_that_nobody_knows_any_more_do_not_come_back(workspace: Workspace, tmp_path: Path) -> None:
    back(workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath())))
    catalog = Catalog(workspace.catalog)
    # An erasure takes the rows of the person's slides out of the table; the copies stay where they are.
    catalog.replace(ANNOTATIONS, catalog.read(ANNOTATIONS).slice(0, 0))
    catalog.replace(SLIDES, catalog.read(SLIDES).slice(1))
    import_annotations(workspace)
    assert rows(workspace) == []


def test_an_import_can_be_undone(workspace: Workspace, tmp_path: Path) -> None:
    files = [came(tmp_path, f"{ONE}.geojson", collection(qupath()), who) for who in "ab"]
    back(workspace, *files)
    copy = copies(workspace)[0]
    assert forget_annotations(workspace, {("NB01", copy)}) == 1
    import_annotations(workspace)
    assert [row["annotator"] for row in rows(workspace)] == ["annotator 2"]
    assert back(workspace, files[1]).agreement.slides == 0
    assert back(workspace, *files).agreement.slides == 1


def test_a_copy_that_somebody_changed_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    back(workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath())))
    (name,) = copies(workspace)
    (workspace.root / name).write_bytes(collection(qupath(label="forged")))
    with pytest.raises(UsageError, match="does not say where it comes from"):
        import_annotations(workspace)
    assert [row["label"] for row in rows(workspace)] == ["Tumor"]
    assert back(workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath()))).changed == 1
    import_annotations(workspace)


# --- Annotators ------------------------------------------------------------------------------------------------------


def test_an_annotator_keeps_the_number_whoever_comes_with_them(workspace: Workspace, tmp_path: Path) -> None:
    drawn = collection(qupath())
    (first,) = back(workspace, came(tmp_path, f"{ONE}.geojson", drawn, "m")).annotators
    done = back(workspace, *(came(tmp_path, f"{ONE}.geojson", drawn, who) for who in "azm"))
    assert (first, done.annotators, done.new, done.changed) == (1, (1, 2, 3), (2, 3), 2)
    moved = came(tmp_path / "elsewhere", f"{ONE}.geojson", collection(qupath(label="Fat")), "M")
    assert (back(workspace, moved).annotators, back(workspace, moved, annotator=" m ").changed) == ((1,), 0)
    # In another delivery, nobody is known yet.
    assert back(workspace, moved, delivery=OTHER).new == (1,)
    assert "annotations.repeated_shape" not in {one.rule for one in read_findings(Catalog(workspace.catalog))}


def test_two_files_of_one_annotator_for_one_slide_are_both_refused(workspace: Workspace, tmp_path: Path) -> None:
    files = [came(tmp_path, name, collection(qupath())) for name in (f"{ONE}.geojson", f"{ONE}.json", f"{TWO}.json")]
    done = back(workspace, *files)
    assert ([refusal[:6] for refusal in done.refused], done.files) == (["file 1", "file 2"], 1)
    assert len(copies(workspace)) == 1


@pytest.mark.parametrize(
    "said", ["{", "[]", '{"annotators": {"a": 1, "b": 1}}', '{"annotators": {"a": "1"}}', '{"annotators": {"a": 0}}']
)
def test_numbers_that_somebody_changed_are_not_trusted(workspace: Workspace, tmp_path: Path, said: str) -> None:
    path = came(tmp_path, f"{ONE}.geojson", collection(qupath()))
    back(workspace, path)
    file = workspace.root / "products" / "deliveries" / DELIVERY / "returned" / "annotators.json"
    file.write_text(said)
    before = state(workspace)
    with pytest.raises(InputOutputError, match="was changed"):
        back(workspace, path)
    assert state(workspace) == before


def test_an_annotator_who_found_nothing_has_looked(workspace: Workspace, tmp_path: Path) -> None:
    done = back(
        workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath()), "a"), came(tmp_path, f"{ONE}.json", "[]", "b")
    )
    assert done.agreement.slides == 1
    assert [(area.dice, area.iou) for area in done.agreement.areas] == [(0, 0), (0, 0)]


def test_agreement_is_written_beside_the_copies_without_anybody(workspace: Workspace, tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [500, 500]}
    near = {"type": "Point", "coordinates": [520, 500]}
    done = back(
        workspace,
        came(tmp_path, f"{ONE}.geojson", collection(qupath(), qupath(point, label="Mitosis")), AUTHOR),
        came(tmp_path, f"{ONE}.geojson", collection(qupath(), qupath(near, label="mitosis")), "Zhao"),
    )
    folder = workspace.root / "products" / "deliveries" / DELIVERY / "returned"
    written = json.loads((folder / "agreement.json").read_bytes())
    assert written == {"delivery": DELIVERY, **done.agreement.as_dict()}
    assert (written["slides"], written["annotators"], written["within_um"]) == (1, 2, 7.5)
    assert [(one["class"], one["annotators"], one["dice"], one["iou"], one["slides"]) for one in written["areas"]] == [
        ("Tumor", "all", 1.0, 1.0, 1), ("Tumor", [1, 2], 1.0, 1.0, 1),
    ]  # fmt: skip
    assert [one["f1"] for one in written["points"]] == [1.0, 1.0]  # 20 px of 0.25 µm
    assert (folder.stat().st_mode & 0o777, (folder / "agreement.json").stat().st_mode & 0o777) == (0o700, 0o600)
    text = "\n".join(done.agreement.lines())
    assert "Dice 1.000, IoU 1.000, 1 slide" in text
    assert not [word for word in (AUTHOR, "Zhao", ONE, *SLIDE_IDS) if word in text or word in json.dumps(written)]
    done = back(
        workspace, came(tmp_path, f"{ONE}.geojson", collection(qupath(near, label="mitosis")), "Zhao"), within_um=4.9
    )
    assert [one.f1 for one in done.agreement.points] == [0, 0]


def test_what_is_called_by_numbers_never_meets_another_file(workspace: Workspace) -> None:
    good = f"products/deliveries/{DELIVERY}/returned/annotator-1/{ONE}.geojson"
    name = kept_name(good)
    assert name is not None
    assert (name.source_file, replace(name, annotator=2).annotator) == (good, 2)
    bad: Iterable[str] = (
        good + "x", good.replace("-1/", "-0/"), good.replace("-1/", "-1000/"), good.replace("/returned", "/returned/.."),
        good.replace(DELIVERY, ".."), f"x/{good}", good.replace(".geojson", ".xml"), good.replace(ONE, "S-1"),
    )  # fmt: skip
    assert [kept_name(one) for one in bad] == [None] * 8

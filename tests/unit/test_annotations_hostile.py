"""Annotation files that are damaged or made to do harm: none ends an import, and no message says a name or a value."""

import codecs
import gzip
from pathlib import Path

import pytest

from pathcurate.annotations import import_annotations
from pathcurate.errors import InputOutputError, PathcurateError, UsageError
from pathcurate.findings import read_findings
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace
from tests.makers.annotations import (
    asap,
    collection,
    feature,
    make_workspace,
    polygon,
    put,
    qupath,
    rows,
    rules,
    scan,
    ties,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><ASAP_Annotations>&b;</ASAP_Annotations>'
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><ASAP_Annotations/>'
REFUSED: dict[str, bytes | str] = {
    "empty": b"", "blank": b" \n\t ", "bom alone": codecs.BOM_UTF8, "text": "a,b\n1,2\n", "binary": bytes(range(256)) * 8,
    "number": "42", "no geojson": '{"images": [], "annotations": []}', "another type": '{"type": "Topology"}',
    "unclosed": "[",
    "cut off": collection(qupath())[:-20], "cut at a number": '{"type": "Point", "coordinates": [1, 2',
    "no comma": '{"type":"FeatureCollection","features":[{} {}]}',
    "trailing comma": '{"type":"FeatureCollection","features":[{},]}',
    "more behind": collection(qupath()) + b"}", "deep": "[" * 100_000, "deep objects": '{"a":' * 100_000,
    "deep in a feature": '{"type":"FeatureCollection","features":[{"geometry":' + "[" * 100_000,
    "name without value": '{"type"}', "name that is none": "{1: 2}", "endless text": '{"type": "' + "x" * 3_000_000,
    "xml bomb": BOMB, "outer entity": OUTSIDE, "another xml": "<html/>", "cut xml": asap([("Dot", "x", [(1, 1)])])[:-30],
    "two roots": "<ASAP_Annotations/><ASAP_Annotations/>", "deep xml": "<ASAP_Annotations>" + "<a>" * 100_000,
    "packed and cut off": gzip.compress(collection(qupath()))[:-20], "packed noise": b"\x1f\x8b" + bytes(100),
    "half a character": '{"type": "\xe9'.encode("latin-1") + b"\xff\xff\x80",
}  # fmt: skip


def test_files_that_cannot_be_read_are_refused_and_keep_no_other_out(workspace: Workspace) -> None:
    secret = "S24-09999 王小红"
    for number, content in enumerate(REFUSED.values()):
        put(workspace, f"{secret}/{number}/{secret}{number}.geojson", content)
    put(workspace, "a.json", collection(qupath()))
    with pytest.raises((UsageError, InputOutputError)) as refused:
        import_annotations(workspace)
    assert f"{len(REFUSED) - 1} more refused: file 2 of drawn/**/*.*" in refused.value.message
    assert refused.value.hint
    assert "09999" not in refused.value.message + refused.value.hint
    assert set(ties(workspace)) == {"a.json"}


def test_what_unpacks_to_more_than_anybody_draws_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathcurate.annotations.textfile._MOST_BYTES", 5 << 20)
    put(workspace, "a.json", gzip.compress(b" " * (6 << 20)))
    with pytest.raises(UsageError, match="holds more than"):
        import_annotations(workspace)


def test_a_refused_file_keeps_what_it_gave_before(workspace: Workspace) -> None:
    put(workspace, "a.json", collection(qupath()))
    import_annotations(workspace)
    before = rows(workspace)
    put(workspace, "a.json", collection(qupath(label="other"), qupath())[:-9])
    with pytest.raises(UsageError, match=r"damaged or cut off, at character \d+"):
        import_annotations(workspace)
    assert rows(workspace) == before


def test_strange_numbers_names_and_members_lose_no_other_shape(workspace: Workspace) -> None:
    scan(workspace, "a.svs")
    digits = "9" * 20_000
    text = (
        '{"type":"FeatureCollection","bbox":[NaN,-Infinity,1e999],"x":' + digits + ',"features":['
        '{"type":"Feature","geometry":{"type":"Point","coordinates":[NaN,1]},"properties":{"label":"x"}},'
        '{"type":"Feature","geometry":{"type":"Point","coordinates":[-Infinity,1e308]},"properties":{"label":"x"}},'
        '{"type":"Feature","geometry":{"type":"Point","coordinates":[1,' + digits + ']},"properties":{"label":"x"}},'
        '{"type":"Feature","geometry":{"type":"Point","coordinates":[1,1]},"geometry":{"type":"Point","coordinates":[2,2]},'
        '"properties":{"label":"x"},"properties":{"label":"y"}},'
        '{"type":"Feature","geometry":null,"properties":null}, null, 7, "x", [],'
        '{"type":"Feature","geometry":{"type":"Point","coordinates":[3,3]},"properties":{"label":"=cmd|x","color":NaN}}]}'
    )
    put(workspace, "a.json", text)
    assert rules(workspace) == {"bad_coordinates": 3, "unknown_type": 5}
    assert [(row["label"], row["geometry"], row["source_row"]) for row in rows(workspace)] == [
        ("y", '{"type":"Point","coordinates":[2,2]}', 4), ("=cmd|x", '{"type":"Point","coordinates":[3,3]}', 10),
    ]  # fmt: skip


def test_a_ring_of_megabytes_is_one_shape(workspace: Workspace) -> None:
    steps = 100_000
    ring = [[step, 1000 + step % 2] for step in range(steps)] + [[step, 2000 - step % 3] for step in reversed(range(steps))]
    put(workspace, "a.json", data := collection(feature({"type": "Polygon", "coordinates": [ring]}, label="x")))
    assert len(data) > 2_500_000
    assert rules(workspace) == {"no_slide": 1}
    assert [row["kind"] for row in rows(workspace)] == ["polygon"]


def test_findings_and_messages_say_no_name_or_value(workspace: Workspace) -> None:
    scan(workspace, "x/1.svs", "y/1.svs")
    secret = "S24-0777王小红"
    shapes = [qupath(label=secret), qupath(None, label=None), qupath({"type": secret}), qupath(polygon([(1, 1), (1, 1)]))]
    for name in ("1", secret, f"june/{secret}"):
        put(workspace, f"{name}.json", collection(*shapes, imageName=None))
    put(workspace, f"june/{secret}.xml", collection(*shapes))
    import_annotations(workspace)
    findings = read_findings(Catalog(workspace.catalog), "annotations")
    assert {finding.rule.removeprefix("annotations.") for finding in findings} == {
        "no_class", "unknown_type", "too_few_points", "no_slide", "ambiguous_slide", "repeated_in_file",
    }  # fmt: skip
    assert not [finding.message for finding in findings if secret in finding.message or "0777" in finding.message]


def test_a_format_that_is_named_is_the_only_one(workspace: Workspace) -> None:
    put(workspace, "a.json", collection(qupath()))
    path = workspace.root / "pathcurate.yaml"
    path.write_text(path.read_text().replace("*.*'", "*.*', format: asap"))
    with pytest.raises(UsageError, match="is not asap"):
        import_annotations(load_workspace(path))


def test_files_can_be_named_and_must_be_configured(workspace: Workspace, tmp_path: Path) -> None:
    one, _ = put(workspace, "a.json", collection(qupath())), put(workspace, "b.json", collection(qupath()))
    assert import_annotations(workspace, only=[one]).files == 1
    (tmp_path / "c.json").write_bytes(collection(qupath()))
    with pytest.raises(PathcurateError, match="belongs to no annotation source"):
        import_annotations(workspace, only=[tmp_path / "c.json"])


def test_a_name_of_a_file_that_is_not_unicode_is_no_obstacle(workspace: Workspace) -> None:
    (slide_id,) = scan(workspace, "病理/病.svs".encode("gb18030"))
    folder = bytes(workspace.root / "drawn")
    with open(folder + "/病.json".encode("gb18030"), "wb") as file:  # noqa: PTH123  bytes that are no text
        file.write(collection(qupath()))
    assert rules(workspace) == {}
    assert ties(workspace) == {"病.json": slide_id}

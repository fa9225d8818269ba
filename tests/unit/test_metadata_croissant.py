"""Croissant: the standard's own tool finds no fault in it and reads the rows of a release by it, without a network."""

import json
import logging
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlcroissant
import pyarrow.parquet as pq
import pytest
from mlcroissant._src.core.context import Context, CroissantVersion
from mlcroissant._src.core.issues import GenerationError
from mlcroissant._src.core.rdf import make_context

from pathcurate.digests import file_sha256
from pathcurate.metadata import POLICY_PATH
from pathcurate.metadata.croissant import CROISSANT_PATH, SIDES_SET, croissant_context, croissant_document
from pathcurate.model.column import Column, Type
from pathcurate.model.description import Description
from pathcurate.tables import ARROW_TYPES, column_values
from tests.unit.descriptions import orthopaedic_description, slide_description, with_files
from tests.unit.linkedreader import DESCRIPTIONS, content, linked, nodes

# mlcroissant uses what rdflib and pandas give up.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index is deprecated"),
]
UNSAID = {"hips": {"citeAs"}, "bare": {"citeAs", "license"}}
"""What the standard recommends, and a description does not say."""


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something wants to be fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def release(description: Description, root: Path) -> Path:
    """The documents below ``root``; the Croissant's path."""
    for path, text in linked(description).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root / CROISSANT_PATH


def plain(value: Any) -> Any:
    """What mlcroissant gives, as Arrow gives it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.date() if hasattr(value, "date") else value


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_no_fault_is_found_but_what_nobody_said(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        issues = mlcroissant.Dataset(release(DESCRIPTIONS[name], tmp_path)).metadata.issues
    assert issues.errors == set()
    assert {warning.split('"')[1].rpartition("/")[2] for warning in issues.warnings} == UNSAID.get(name, set())
    assert len(caplog.records) == (name in UNSAID), "it says so of a context that is not the standard's, too"


def test_the_context_is_the_one_of_the_standards_tools() -> None:
    theirs = make_context(Context(conforms_to=CroissantVersion.V_1_1))
    assert {key: croissant_context()[key] for key in theirs} == theirs


def test_the_rows_of_a_release_are_read_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    description = with_files(orthopaedic_description(), tmp_path)
    release(description, tmp_path)
    monkeypatch.chdir(tmp_path)
    data = mlcroissant.Dataset(CROISSANT_PATH)
    for table in description.tables:
        name = table.table.name
        file = pq.read_table(tmp_path / table.parts[0].path)
        read_back = [{key: plain(value) for key, value in row.items()} for row in data.records(name)]
        assert read_back == [{f"{name}/{key}": value for key, value in row.items()} for row in file.to_pylist()]
    assert [plain(row[f"{SIDES_SET}/url"]) for row in data.records(SIDES_SET)] == ["cr:TrainingSplit", "cr:TestSplit"]


def test_a_column_of_each_type_is_read_as_what_it_is(tmp_path: Path) -> None:
    kinds = [kind for kind in Type if kind not in {Type.BYTES, Type.TIMESTAMP}]
    shape = slide_description()
    table = shape.tables[0]
    columns = tuple(replace(table.columns[0], column=Column(f"c_{kind}", kind, "A column.", pattern=".*")) for kind in kinds)
    declared = replace(table.table, columns=tuple(column.column for column in columns), key=("c_string",))
    one = replace(table, table=declared, columns=columns, parts=table.parts[:1], sample=())
    description = with_files(replace(shape, tables=(one,)), tmp_path)
    rows = list(mlcroissant.Dataset(release(description, tmp_path)).records("slides"))
    file = pq.read_table(tmp_path / one.parts[0].path)
    assert {name: file.schema.field(name).type for name in file.column_names} == {f"c_{k}": ARROW_TYPES[k] for k in kinds}
    for name in file.column_names:
        assert [plain(row[f"slides/{name}"]) for row in rows] == column_values(file, name)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    description = with_files(orthopaedic_description(), tmp_path)
    data = mlcroissant.Dataset(release(description, tmp_path))
    other, changed = (tmp_path / f"data/{name}.parquet" for name in ("slides", "reports"))
    changed.write_bytes(other.read_bytes())
    assert list(data.records("slides"))
    with pytest.raises(GenerationError, match=r"Download\(data/reports.parquet\)"):
        list(data.records("reports"))


def test_every_file_stands_there_with_its_digest_and_size_and_every_table_with_its_files(tmp_path: Path) -> None:
    description = with_files(slide_description(), tmp_path)
    croissant = json.loads(release(description, tmp_path).read_text(encoding="utf-8"))
    files = {item["@id"]: item for item in croissant["distribution"] if item["@type"] == "cr:FileObject"}
    assert set(files) == {part.path for table in description.tables for part in table.parts}
    for path, item in files.items():
        found = (tmp_path / CROISSANT_PATH).parent / item["contentUrl"]
        assert file_sha256(found.resolve()) == f"sha256:{item['sha256']}"
        assert item["contentSize"] == f"{found.stat().st_size} B"
        assert item["name"] == Path(path).name
    (file_set,) = (item for item in croissant["distribution"] if item["@type"] == "cr:FileSet")
    assert [part["@id"] for part in file_set["containedIn"]] == [part.path for part in description.tables[0].parts]
    record_sets = {item["@id"]: item for item in croissant["recordSet"]}
    assert list(record_sets) == [SIDES_SET, *(table.table.name for table in description.tables)]
    for table in description.tables:
        item, name = record_sets[table.table.name], table.table.name
        assert [field["@id"] for field in item["field"]] == [f"{name}/{column}" for column in table.table.names]
        assert [key["@id"] for key in item["key"]] == [f"{name}/{column}" for column in table.table.key]
        source = {"fileSet": {"@id": "data/slides"}} if name == "slides" else {"fileObject": {"@id": table.parts[0].path}}
        assert all({**source, "extract": {"column": field["name"]}} == field["source"] for field in item["field"])
    assert record_sets["slides"]["examples"][0]["slides/slide_id"] == description.tables[0].sample[0]["slide_id"]


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_what_mlcroissant_does_not_look_at_stands_there_too(name: str) -> None:
    croissant = content(name, CROISSANT_PATH)
    fields = [field for records in croissant["recordSet"] for field in records["field"]]
    named = [item["@id"] for item in (*croissant["distribution"], *croissant["recordSet"], *fields)]
    assert len(set(named)) == len(named)
    refers = [
        node[key] for node in nodes(croissant) for key in ("key", "containedIn", "fileObject", "fileSet") if key in node
    ]
    refers += [node["field"] for node in nodes(croissant) if set(node) == {"field"}]
    assert {node["@id"] for node in nodes(refers)} <= set(named)
    required = {"@context", "@type", "conformsTo", "description", "name", "datePublished", "distribution"}
    assert required <= set(croissant)
    # What only people can say is required too, and is there where they say it.
    assert ({"license", "creator", "url"} <= set(croissant)) is (name in {"slides", "hostile"})
    assert all(field.get("dataType") and field["@type"] == "cr:Field" for field in fields)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (0, None), (1, "fewer than 10"), (9, "fewer than 10"), (10, "10"), (90, "90"), (91, "all but fewer than 10"),
        (99, "all but fewer than 10"), (100, "100"),
    ],
)  # fmt: skip
def test_no_small_number_of_rows_is_told(missing: int, told: str | None) -> None:
    shape = DESCRIPTIONS["bare"]
    (table,) = shape.tables
    columns = tuple(replace(column, missing=missing) for column in table.columns)
    description = replace(shape, tables=(replace(table, rows=100, columns=columns),))
    croissant = json.loads(croissant_document(description, policy=POLICY_PATH))
    expected = "Every column has a value in every row." if told is None else (
        f"Rows without a value. slides.stain: {told} of 100."
    )  # fmt: skip
    assert croissant["rai:dataCollectionMissingData"] == expected


def test_labels_sides_terms_of_use_and_meanings_are_told() -> None:
    hips = {field["@id"]: field for field in content("hips", CROISSANT_PATH)["recordSet"][1]["field"]}
    assert hips["events/infected_2y"]["dataType"] == ["sc:Boolean", "cr:Label"]
    assert hips["events/split"]["references"] == {"field": {"@id": f"{SIDES_SET}/name"}}
    assert hips["events/event_id"]["equivalentProperty"] == "http://purl.org/dc/terms/identifier"
    assert set(hips["events/site"]["description"]) == {"zh", "en"}
    slides = content("slides", CROISSANT_PATH)
    duo, offer = slides["usageInfo"][0], slides["usageInfo"][-1]
    assert (duo["termCode"], duo["url"]) == ("DUO_0000007", "http://purl.obolibrary.org/obo/DUO_0000007")
    assert offer["@id"] == content("slides", POLICY_PATH)["@graph"][0]["@id"]
    assert (Path(CROISSANT_PATH).parent / offer["url"]).as_posix() == POLICY_PATH
    (levels,) = (field for field in slides["recordSet"][1]["field"] if field["name"] == "level_downsamples")
    assert (levels["dataType"], levels["isArray"], levels["arrayShape"]) == ("sc:Float", True, "-1")
    equivalents = [node["equivalentProperty"] for node in nodes(slides) if "equivalentProperty" in node]
    assert {urlsplit(item).netloc for item in equivalents} == {"schema.org", "purl.org"}

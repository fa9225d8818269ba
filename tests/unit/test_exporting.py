"""A release in another form: every cell comes back from CSV and JSON lines, nothing is half there, and losses are said."""

import csv
import json
import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.digests import file_sha256
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.exporting import export
from pathcurate.exporting.tc609 import joined
from pathcurate.model.column import Table
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.productfile import PRODUCT_FILE
from pathcurate.model.text import TEXTS
from pathcurate.productfile import load_product_file
from pathcurate.releases import read_release
from pathcurate.tables import from_rows, write_parquet
from tests.built import rewrite_manifest
from tests.commandline import pathcurate
from tests.releases import build_wide, copied, with_values, write
from tests.releases import rewrite as rewrite_table

FORMULAS = ["=1+1", "+49", "-5", "@SUM(A1)", "\tx", "\rx", "'=1", "''-x", "'plain", "plain", "", None, "a,b", 'say "x"',
            "two\nlines", "cr\r\nlf", "苏木精", "\U0001f9ec", " =1", "=cmd|' /C calc'!A0"]  # fmt: skip


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of eighty slides, forty cases and forty reports."""
    return build_wide(tmp_path_factory)


@pytest.fixture
def release(wide: Path, tmp_path: Path) -> Path:
    return copied(wide, tmp_path / "release")


def with_tables(release: Path, tables: dict[str, list[pa.Table]], recipe: str) -> Path:
    """The release with other tables, each in these parts, and another recipe."""
    manifest = json.loads((release / "MANIFEST.json").read_bytes())
    for path in (release / "data").rglob("*.parquet"):
        path.unlink()
    manifest["tables"] = {name: listed(release, name, parts) for name, parts in tables.items()}
    write(release, "provenance/recipe.lock.yaml", recipe)
    rewrite_manifest(release, json.dumps(manifest))
    return release


def listed(release: Path, name: str, parts: list[pa.Table]) -> dict[str, Any]:
    entries = []
    for number, part in enumerate(parts):
        relpath = f"data/{name}.parquet" if len(parts) == 1 else f"data/{name}/part-{number:05d}.parquet"
        path = release / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(path, part)
        entries.append({"path": relpath, "rows": part.num_rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)})
    digest = "sha256:" + "0" * 64
    return {"rows": sum(part.num_rows for part in parts), "key": [], "table_digest": digest, "schema_sha256": digest,
            "parts": entries}  # fmt: skip


def table(name: str, *columns: str) -> Table:
    return (TEXTS if name == "texts" else DEID_TABLES[name]).select(columns)


def records(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "records.jsonl").read_text(encoding="utf-8").splitlines()]


def unprefixed(cell: str) -> str:
    """The text of a cell as it was, as the module says it."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r]", cell) else cell


# --- CSV ---------------------------------------------------------------------------------------------------------------


def test_pandas_and_duckdb_read_back_every_cell(wide: Path, tmp_path: Path) -> None:
    done = export(wide, "csv", tmp_path / "out")
    assert {file.path for file in done.files} == {f"{name}.csv" for name in read_release(wide).tables}
    connection = duckdb.connect(":memory:")
    for name in read_release(wide).tables:
        path = tmp_path / "out" / f"{name}.csv"
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        original = pq.read_table(wide / "data" / f"{name}.parquet")
        frame = pd.read_csv(path, encoding="utf-8-sig", dtype=str, keep_default_na=False)
        assert list(frame.columns) == original.column_names
        wanted = [[as_cell(value) for value in row.values()] for row in original.to_pylist()]
        assert frame.to_numpy().tolist() == wanted
        query = f"SELECT * FROM read_csv('{path}', all_varchar = true, header = true)"
        found = [["" if cell is None else cell for cell in row] for row in connection.execute(query).fetchall()]
        assert found == wanted
        # And by their types, as DuckDB guesses them.
        kinds = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM read_csv('{path}')").fetchall()}
        for field in original.schema:
            if pa.types.is_date(field.type) or pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
                assert kinds[field.name] in {"DATE", "BIGINT", "DOUBLE"}


def as_cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return json.dumps(value)
        case float():
            return str(int(value)) if value.is_integer() else str(value)
        case _:
            return str(value)


def test_no_cell_begins_a_formula_and_each_comes_back(release: Path, tmp_path: Path) -> None:
    values = [FORMULAS[number % len(FORMULAS)] for number in range(80)]
    rewrite_table(release, "slides", with_values("stain", lambda _: values))
    done = export(release, "csv", tmp_path / "out")
    with (tmp_path / "out" / "slides.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    cells = [row["stain"] for row in rows]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [unprefixed(cell) for cell in cells] == [value or "" for value in values]
    assert "slides.stain: 36 cells begin like a formula and have an apostrophe in front." in done.losses


def test_numbers_are_no_formulas(release: Path, tmp_path: Path) -> None:
    rewrite_table(release, "slides", with_values("age", lambda _: [-number for number in range(80)]))
    rewrite_table(release, "slides", with_values("mpp", lambda _: [-0.25, 1e-9, 1e20, 0.1] * 20))
    export(release, "csv", tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out" / "slides.csv")
    assert frame["age"].tolist() == [-number for number in range(80)]
    assert frame["mpp"].tolist()[:4] == [-0.25, 1e-9, 1e20, 0.1]


def test_missing_and_empty_text_are_told_apart_by_their_quotes(release: Path, tmp_path: Path) -> None:
    rewrite_table(release, "slides", with_values("stain", lambda _: ["", None] * 40))
    export(release, "csv", tmp_path / "out")
    connection = duckdb.connect(":memory:")
    query = f"SELECT stain FROM read_csv('{tmp_path}/out/slides.csv', all_varchar = true, allow_quoted_nulls = false)"
    assert [row[0] for row in connection.execute(query).fetchall()] == ["", None] * 40


@settings(max_examples=8)
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12), max_size=30))
def test_whatever_a_text_is_it_comes_back(tmp_path_factory: pytest.TempPathFactory, wide: Path, texts: list[str]) -> None:
    directory = tmp_path_factory.mktemp("texts")
    one = table("texts", "text", "language")
    data = from_rows(one, [{"text": text, "language": None} for text in texts])
    release = with_tables(copied(wide, directory / "release"), {"texts": [data]}, "unit: slide\n")
    export(release, "csv", directory / "out")
    with (directory / "out" / "texts.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [unprefixed(row["text"]) for row in csv.DictReader(file)] == texts


def test_all_parts_of_a_table_are_one_file(release: Path, tmp_path: Path) -> None:
    slides = table("slides", "slide_id", "stain", "level_downsamples")
    rows = [{"slide_id": f"S-{number}", "stain": "HE", "level_downsamples": [1.0, 4.0]} for number in range(25)]
    parts = [from_rows(slides, rows[start : start + 10]) for start in range(0, 25, 10)]
    done = export(with_tables(release, {"slides": parts}, "unit: slide\n"), "csv", tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out" / "slides.csv")
    assert frame["slide_id"].tolist() == [row["slide_id"] for row in rows]
    assert [json.loads(cell) for cell in frame["level_downsamples"]] == [[1.0, 4.0]] * 25
    assert (done.files[0].rows, done.files[0].sha256) == (25, file_sha256(tmp_path / "out" / "slides.csv"))
    assert "slides.level_downsamples: a list is one cell of JSON." in done.losses


def test_a_table_without_rows_is_a_file_with_its_head(release: Path, tmp_path: Path) -> None:
    slides = table("slides", "slide_id", "stain")
    export(with_tables(release, {"slides": [from_rows(slides, [])]}, "unit: slide\n"), "csv", tmp_path / "out")
    assert (tmp_path / "out" / "slides.csv").read_text(encoding="utf-8-sig") == '"slide_id","stain"\n'


def test_parts_with_other_columns_are_refused(release: Path, tmp_path: Path) -> None:
    parts = [from_rows(table("slides", "slide_id"), [{"slide_id": "S-1"}]), from_rows(table("slides", "stain"), [{}])]
    with pytest.raises(InputOutputError, match="other columns"):
        export(with_tables(release, {"slides": parts}, "unit: slide\n"), "csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- TC609 -------------------------------------------------------------------------------------------------------------


def test_a_record_for_each_unit_with_its_labels(wide: Path, tmp_path: Path) -> None:
    done = export(wide, "tc609", tmp_path / "out")
    found = records(tmp_path / "out")
    rows = pq.read_table(wide / "data" / "slides.parquet").to_pylist()
    assert [record["id"] for record in found] == [row["slide_id"] for row in rows]
    first = found[0]
    assert list(first) == [
        "id", "rid", "data_content", "annotation", "original_time", "last_modified_time", "version", "license", "source",
        "source_details", "generated_data_indicator",
    ]  # fmt: skip
    assert first["rid"] == [rows[0]["case_id"], rows[0]["patient_id"], rows[0]["group_id"]]
    assert first["annotation"]["label"] == ["case_grade_two=" + json.dumps(rows[0]["case_grade_two"])]
    assert (first["version"], first["last_modified_time"]) == ("1.0.0", read_release(wide).manifest["published"])
    assert first["source"] == load_product_file(wide / PRODUCT_FILE).holder.name.zh  # type: ignore[union-attr]
    assert first["license"] == "metadata/policy.odrl.jsonld"
    assert (first["original_time"], first["generated_data_indicator"], first["annotation"]["annotator"]) == (
        None,
        None,
        None,
    )
    for record, row in zip(found, rows, strict=True):
        (content,) = record["data_content"]
        assert content["media_type"] == "application/json"
        wanted = {name: value.isoformat() if isinstance(value, date) else value
                  for name, value in row.items() if name != "case_grade_two"}  # fmt: skip
        assert json.loads(content["content"]) == wanted
    assert any(loss.startswith("Left out: the tables ") for loss in done.losses)


def texts_of(owners: list[str | None]) -> pa.Table:
    return from_rows(TEXTS, [
        {"report_id": f"R-{number:02d}", "text_column": "diagnosis", "case_id": owner or "C-none", "patient_id": "P-1",
         "group_id": "Q-1", "text": f"{owner} {number}", "removal_count": 0}
        for number, owner in enumerate(owners)
    ])  # fmt: skip


@settings(max_examples=80)
@given(
    st.lists(st.one_of(st.none(), st.sampled_from("abcde")), max_size=12),
    st.lists(st.sampled_from("abcdefg"), max_size=12),
)
def test_each_unit_has_all_texts_of_its_case_and_no_others(units: list[str | None], texts: list[str]) -> None:
    rows = [{"number": number, "case_id": case} for number, case in enumerate(sorted(units, key=lambda case: case or ""))]
    said = [{"case_id": case, "text": f"{case} {number}"} for number, case in enumerate(sorted(texts))]
    assert [(row["number"], held) for row, held in joined(rows, said, "case_id")] == [
        (row["number"], [one["text"] for one in said if one["case_id"] == row["case_id"]]) for row in rows
    ]


def test_texts_are_joined_whatever_the_order_of_the_files(release: Path, tmp_path: Path) -> None:
    slides = table("slides", "slide_id", "case_id")
    owners = ["b", None, "a", "z", "b"]
    rows = [{"slide_id": f"S-{number}", "case_id": case and f"C-{case}"} for number, case in enumerate(owners)]
    tables = {
        "slides": [from_rows(slides, rows[:3]), from_rows(slides, rows[3:])],
        "texts": [texts_of(["C-b", "C-c", "C-a"]), texts_of([None, "C-b"])],
    }
    done = export(with_tables(release, tables, "unit: slide\n"), "tc609", tmp_path / "out")
    found = {record["id"]: [part["content"] for part in record["data_content"][1:]] for record in records(tmp_path / "out")}
    of_b = ["C-b 0", "C-b 1"]
    assert found == {"S-0": of_b, "S-1": [], "S-2": ["C-a 2"], "S-3": [], "S-4": of_b}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"records.jsonl", "export.json"}
    assert "Each unit has all texts of its case; which report and section they are of is not told." in done.losses


def test_texts_without_an_owner_are_left_out_and_that_is_said(release: Path, tmp_path: Path) -> None:
    tables = {"slides": [from_rows(table("slides", "stain"), [{"stain": "HE"}])], "texts": [texts_of(["C-a"])]}
    done = export(with_tables(release, tables, "unit: slide\n"), "tc609", tmp_path / "out")
    (record,) = records(tmp_path / "out")
    assert (record["id"], len(record["data_content"])) == ("1", 1)
    assert "Left out: the texts; no column says which case or patient a unit belongs to." in done.losses
    assert "id is a running number: slides does not show the codes of its rows." in done.losses


def test_hostile_words_are_one_line_of_json(release: Path, tmp_path: Path) -> None:
    words = 'two\nlines\u2028"\\ </script> \U0001f9ec'
    tables = {"slides": [from_rows(table("slides", "slide_id", "stain"), [{"slide_id": "S-1", "stain": words}])]}
    export(with_tables(release, tables, "unit: slide\n"), "tc609", tmp_path / "out")
    text = (tmp_path / "out" / "records.jsonl").read_text(encoding="utf-8")
    assert text.count("\n") == 1
    assert json.loads(json.loads(text)["data_content"][0]["content"])["stain"] == words


def test_a_number_that_is_none_is_null(release: Path, tmp_path: Path) -> None:
    tables = {"slides": [from_rows(table("slides", "slide_id", "mpp"), [{"slide_id": "S-1", "mpp": float("nan")}])]}
    export(with_tables(release, tables, "unit: slide\n"), "tc609", tmp_path / "out")
    assert json.loads(records(tmp_path / "out")[0]["data_content"][0]["content"])["mpp"] is None


@pytest.mark.parametrize(
    "recipe", ["unit: case\n", "unit: galaxy\n", "unit: [slide]\n", "- slide\n", "{", "", "unit: slide\nunit: &a [*a]\n"]
)
def test_a_recipe_that_names_no_unit_of_the_release_is_refused(release: Path, tmp_path: Path, recipe: str) -> None:
    tables = {"slides": [from_rows(table("slides", "slide_id"), [{"slide_id": "S-1"}])]}
    with pytest.raises(InputOutputError, match="unit"):
        export(with_tables(release, tables, recipe), "tc609", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- whole or not at all -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "tc609"])
def test_a_release_that_was_changed_is_not_exported(release: Path, tmp_path: Path, form: Any) -> None:
    path = release / "data" / "cases.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DigestMismatchError, match=r"cases\.parquet"):
        export(release, form, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out.part-*"))


NESTED = pa.table({"slide_id": ["S-1"], "inner": pa.array([{"a": {"b": 1}}])})
NOT_UTF8 = pa.table({"slide_id": pa.Array.from_buffers(
    pa.string(), 1, [None, pa.py_buffer(b"\x00\x00\x00\x00\x06\x00\x00\x00"), pa.py_buffer(b"NAME\xff\xfe")]
)})  # fmt: skip


@pytest.mark.parametrize(("data", "form"), [(NESTED, "csv"), (NOT_UTF8, "csv"), (NOT_UTF8, "tc609")])
def test_a_table_that_no_release_has_is_refused_without_its_values(
    release: Path, tmp_path: Path, data: pa.Table, form: Any
) -> None:
    with pytest.raises(InputOutputError) as caught:
        export(with_tables(release, {"slides": [data]}, "unit: slide\n"), form, tmp_path / "out")
    assert "NAME" not in f"{caught.value.message}{caught.value.hint}"
    assert caught.value.__context__ is None
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("names", [["=cmd"], ["slide_id", "slide_id"], ["姓名"], ["a\nb"], [""]])
def test_a_column_that_no_release_has_is_refused_without_its_name(release: Path, tmp_path: Path, names: list[str]) -> None:
    data = pa.Table.from_arrays([pa.array(["x"])] * len(names), names=names)
    with pytest.raises(InputOutputError, match="has a column that is called as none"):
        export(with_tables(release, {"slides": [data]}, "unit: slide\n"), "csv", tmp_path / "out")


def test_a_file_that_is_no_parquet_is_refused(release: Path, tmp_path: Path) -> None:
    write(release, "data/slides.parquet", b"PAR1 and then nothing PAR1")
    with pytest.raises(InputOutputError, match="cannot be read as Parquet"):
        export(release, "csv", tmp_path / "out")


def test_the_same_release_gives_the_same_bytes(wide: Path, tmp_path: Path) -> None:
    for form in ("csv", "tc609"):
        first, second = (export(wide, form, tmp_path / f"{form}{number}") for number in (1, 2))
        assert first.files == second.files
        assert (first.directory / "export.json").read_bytes() == (second.directory / "export.json").read_bytes()


def occupied(path: Path) -> None:
    path.mkdir()
    (path / "kept.txt").write_text("kept")


@pytest.mark.parametrize(
    "make",
    [occupied, lambda path: path.write_text("kept"), lambda path: path.symlink_to("/nowhere"), os.mkfifo],
    ids=["with a file in it", "a file", "a link to nowhere", "a pipe"],
)
def test_nothing_is_written_over(wide: Path, tmp_path: Path, make: Callable[[Path], object]) -> None:
    output = tmp_path / "out"
    make(output)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="is there already"):
        export(wide, "csv", output)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_an_empty_directory_is_filled(wide: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert (export(wide, "csv", tmp_path / "out").directory / "slides.csv").is_file()


def test_a_release_is_not_exported_into_itself(release: Path) -> None:
    for output in (release / "csv", release / "data" / "deeper" / "csv"):
        with pytest.raises(UsageError, match="inside of the release"):
            export(release, "csv", output)
        assert not output.exists()


def test_a_full_disk_leaves_nothing(wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathcurate.exporting.sync_tree", full)
    with pytest.raises(OSError, match="No space"):
        export(wide, "csv", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_killed_runs_left_goes_with_the_next(wide: Path, tmp_path: Path) -> None:
    def killed() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pathcurate.exporting.sync_tree", lambda _: os.kill(os.getpid(), signal.SIGKILL))
            export(wide, "csv", tmp_path / "out")

    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(target=killed)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    export(wide, "csv", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_export_json_names_the_release_and_what_is_lost(wide: Path, tmp_path: Path) -> None:
    done = export(wide, "csv", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "export.json").read_bytes())
    assert document["release_digest"] == read_release(wide).digest
    assert document["losses"] == list(done.losses)
    stain = next(column for column in document["tables"]["slides"] if column["name"] == "stain")
    assert stain == {"name": "stain", "type": "string", "meaning": "Canonical stain name.", "unit": ""}


@pytest.mark.parametrize("version", ["0.1.0", "0.8.0"])
def test_releases_of_earlier_programs_are_exported(version: str, tmp_path: Path) -> None:
    release = Path(__file__).parents[1] / "fixtures" / "releases" / version
    rows = read_release(release).tables["slides"]["rows"]
    assert export(release, "tc609", tmp_path / "tc609").files[0].rows == rows
    done = export(release, "csv", tmp_path / "csv")
    assert {file.path: file.rows for file in done.files}["slides.csv"] == rows


def test_the_command_says_what_it_wrote_and_what_is_lost(wide: Path, tmp_path: Path) -> None:
    done = pathcurate("manifest", "export", wide, "--to", "csv", "--output", tmp_path / "out", "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert (document["form"], document["digest"]) == ("csv", read_release(wide).digest)
    assert document["losses"][0].startswith("Types: every cell is text")
    again = pathcurate("manifest", "export", wide, "--to", "tc609", "-o", tmp_path / "out")
    assert (again.returncode, again.stdout) == (2, "")
    assert "out is there already" in again.stderr

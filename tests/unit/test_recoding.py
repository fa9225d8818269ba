"""What one recipient gets of a release: own codes, own days, nothing of anybody else's layer, nobody who withdrew."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate import deid, pseudonyms
from pathcurate.cli import producttrace
from pathcurate.custody import rotate
from pathcurate.digests import file_sha256, table_identity
from pathcurate.errors import DigestMismatchError, DisclosureRefusedError, InputOutputError, PlanIncompleteError
from pathcurate.model.delivery import TableEntry
from pathcurate.model.feed import Reason, Scope
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDES
from pathcurate.recoding import Recoded, behind, recode, write_recoded
from pathcurate.recoding.codebook import originals
from pathcurate.recoding.codes import CODE, code_columns
from pathcurate.recoding.tracing import trace
from pathcurate.releases import Release, verify_release
from pathcurate.tables import Catalog, column_values, read_parquet, write_parquet
from pathcurate.vault import open_vault
from pathcurate.vault.rotation import retired_keys
from pathcurate.withdrawals.feed import EMPTY, append_line, product_feed
from pathcurate.withdrawals.subjects import add_withdrawn
from pathcurate.workspace import Workspace, load_workspace
from tests.archives import Here
from tests.recoded import CASES, NAMES, PATIENTS, WORD, make_clinic, release_of

Row = dict[str, Any]
Made = tuple[Workspace, Release]
_LOOSE = """\
recipe: 1
name: loose
version: 1.0.0
title: Slides whose rows say of nobody
unit: slide
columns: [slide_id, stain, scan_datetime]
"""
_OF_EVENTS = """\
index: {table: events, date: date, pick: each}
tables:
  events: {columns: [event_id, kind, date]}
  slides: {within: {from: -400d, to: 400d}, columns: [slide_id, index_event_id, scan_datetime]}"""


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The clinic and its release; nobody may change them."""
    return make_clinic(tmp_path_factory.mktemp("recoded") / "clinic")


@pytest.fixture(scope="module")
def loose(pristine: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A copy of the clinic with a release without codes of people, in which is a slide of nobody."""
    root = tmp_path_factory.mktemp("loose") / "clinic"
    shutil.copytree(pristine[0].root, root)
    workspace = load_workspace(root / "pathcurate.yaml")
    with Here(workers=1, temp_directory=root / "spill") as engine:
        return workspace, release_of(workspace, engine, _LOOSE)


@pytest.fixture
def made(pristine: Made, tmp_path: Path) -> Made:
    """A copy to change."""
    return copied(pristine, tmp_path / "clinic")


def copied(made: Made, root: Path) -> Made:
    shutil.copytree(made[0].root, root)
    workspace = load_workspace(root / "pathcurate.yaml")
    return workspace, verify_release(workspace.releases / made[1].name / made[1].version)


def key_of(made: Made) -> bytes:
    return open_vault(made[0].vault).key


def given_to(made: Made, recipient: str = "lab", *, without_missing: bool = False) -> Recoded:
    return recode(*made, recipient, key_of(made), without_missing=without_missing)


@pytest.fixture(scope="module")
def lab(pristine: Made) -> Recoded:
    return given_to(pristine)


@pytest.fixture(scope="module")
def plant(pristine: Made) -> Recoded:
    return given_to(pristine, "plant")


def told(recoded: Recoded) -> dict[str, list[Row]]:
    return {name: table.data.to_pylist() for name, table in recoded.tables.items()}


def was(made: Made) -> dict[str, list[Row]]:
    return {name: read_parquet(made[1].paths(name)[0]).to_pylist() for name in made[1].tables}


def all_codes(tables: Mapping[str, list[Row]]) -> set[str]:
    return set(re.findall(CODE, repr(tables)))


def shown(made: Made, case: int, column: str) -> str:
    """An internal code of a case."""
    rows = read_parquet(made[0].deid / "cases.parquet").to_pylist()
    inside = pseudonyms.internal(key_of(made)).codes
    code = inside.code("C", "NB01", CASES[case])
    return str(next(row for row in rows if row["case_id"] == code)[column])


def counts(recoded: Recoded) -> dict[str, int]:
    return {name: table.data.num_rows for name, table in recoded.tables.items()}


FULL = {"slides": 10, "reports": 5, "patients": 4, "events": 10, "links": 10, "splits": 4, "texts": 5, "removals": 20,
        "text_spans": 5}  # fmt: skip


# --- Codes ---------------------------------------------------------------------------------------------------------------


def test_everything_goes_and_nothing_is_left_out(pristine: Made, lab: Recoded) -> None:
    assert counts(lab) == FULL
    assert lab.left_out == {}
    assert (lab.unit, lab.unit_table, len(lab.units), pc.count_distinct(lab.patients).as_py()) == ("slide", "slides", 10, 4)
    assert list(lab.tables) == list(pristine[1].tables)


def test_two_recipients_share_no_code_with_each_other_nor_with_the_release_nor_with_deid(
    pristine: Made, lab: Recoded, plant: Recoded
) -> None:
    inside = {
        name: read_parquet(pristine[0].deid / f"{name}.parquet").to_pylist() for name in ("slides", "reports", "events")
    }
    sets = [all_codes(told(lab)), all_codes(told(plant)), all_codes(was(pristine)), all_codes(inside)]
    assert all(len(codes) > 30 for codes in sets)
    assert len(set().union(*sets)) == sum(map(len, sets))


def test_files_hold_no_code_but_the_recipients_and_no_identifier(pristine: Made, lab: Recoded, tmp_path: Path) -> None:
    entries = write_recoded(lab, tmp_path)
    own = all_codes(told(lab))
    catalog = Catalog(pristine[0].catalog)
    identifiers = {*column_values(catalog.read(SLIDES), "slide_id"), *CASES.values(), *PATIENTS.values(), *NAMES.values()}
    for entry in entries.values():
        content = (tmp_path / entry.path).read_bytes()
        file = pq.ParquetFile(tmp_path / entry.path)
        everything = repr(file.read().to_pylist()) + repr(file.metadata.metadata) + repr(file.schema_arrow.metadata)
        everything += repr([file.metadata.row_group(0).column(at).statistics for at in range(file.metadata.num_columns)])
        assert set(re.findall(CODE, everything)) <= own
        assert {code.decode() for code in re.findall(CODE.encode(), content)} <= own
        assert not [value for value in identifiers if value in everything or value.encode() in content]
        assert b"attrition" not in content


def test_links_splits_and_texts_speak_of_the_same_rows_as_before(pristine: Made, lab: Recoded) -> None:
    before, after = was(pristine), told(lab)

    def shape(tables: Mapping[str, list[Row]]) -> Any:
        """What hangs together, by things that no layer changes."""
        number = {row["report_id"]: re.search(r"第(\d)例", row["text"])[1] for row in tables["texts"]}  # type: ignore[index]
        case = {row["case_id"]: number[row["report_id"]] for row in tables["texts"]}
        side = {row["patient_id"]: row["split"] for row in tables["splits"]}
        return (
            sorted((case[row["case_id"]], side[row["patient_id"]] == row["split"]) for row in tables["slides"]),
            sorted((number[row["report_id"]], case[row["case_id"]]) for row in tables["links"]),
            sorted((number[row["report_id"]], case[row["case_id"]]) for row in tables["reports"]),
            sorted(number[row["report_id"]] for row in tables["removals"]),
            len({row["patient_id"] for row in tables["slides"]} & {row["patient_id"] for row in tables["events"]}),
        )

    assert shape(before) == shape(after)
    assert {row["slide_id"] for row in after["links"]} == {row["slide_id"] for row in after["slides"]}


def test_rows_stand_in_an_order_of_the_recipients_own(pristine: Made, lab: Recoded) -> None:
    for name, table in lab.tables.items():
        keys = [tuple(row[column] for column in table.key) for row in table.data.to_pylist()]
        assert keys == sorted(keys), name
    key = key_of(pristine)
    inside = column_values(read_parquet(pristine[0].deid / "slides.parquet"), "slide_id")
    layers = (pseudonyms.product(key, "breast"), pseudonyms.recipient(key, "breast", "lab"))
    orders = []
    for layer, rows in zip(layers, (was(pristine), told(lab)), strict=True):
        back = {layer.codes.code("S", code): code for code in inside}
        orders.append([back[row["slide_id"]] for row in rows["slides"]])
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]


def test_the_same_recipient_gets_the_same_bytes(pristine: Made, lab: Recoded, tmp_path: Path) -> None:
    first, again = write_recoded(lab, tmp_path / "a"), write_recoded(given_to(pristine), tmp_path / "b")
    assert first == again
    for entry in first.values():
        assert (tmp_path / "a" / entry.path).read_bytes() == (tmp_path / "b" / entry.path).read_bytes()


def test_an_entry_says_what_the_file_holds(lab: Recoded, tmp_path: Path) -> None:
    entries = write_recoded(lab, tmp_path)
    assert entries.keys() == FULL.keys()
    for name, entry in entries.items():
        assert isinstance(entry, TableEntry)
        read = read_parquet(tmp_path / entry.path)
        assert (read.num_rows, file_sha256(tmp_path / entry.path)) == (entry.rows, entry.sha256)
        assert table_identity(read)["digest"] == entry.table_digest
        assert entry.path == f"data/{name}.parquet"


def test_the_declared_columns_stay_as_they_were(pristine: Made, lab: Recoded) -> None:
    for name, table in lab.tables.items():
        before = read_parquet(pristine[1].paths(name)[0]).schema.remove_metadata()
        assert table.data.schema.equals(before, check_metadata=True), name


# --- Days ----------------------------------------------------------------------------------------------------------------


def offsets(made: Made, tables: Mapping[str, list[Row]], codes: pseudonyms.Pseudonyms) -> dict[str, set[int]]:
    """By patient: how far days of any table moved from the true ones."""
    inside = pseudonyms.internal(key_of(made)).codes
    found: dict[str, set[int]] = {}
    true = {number: date(2023, 3, number) for number in CASES}
    person = {row["case_id"]: row["patient_id"] for row in tables["slides"]}
    for number in CASES:
        case = codes.code("C", inside.code("C", "NB01", CASES[number]))
        (report,) = [row for row in tables["reports"] if row["case_id"] == case]
        moved = found.setdefault(person[case], set())
        moved |= {
            (report["received_date"] - true[number]).days,
            (report["reported_date"] - date(2023, 3, 5 + 3 * number)).days,
        }
        scans = sorted(row["scan_datetime"] for row in tables["slides"] if row["case_id"] == case)
        moved |= {(scan - date(2023, 3, 6 + 2 * number + glass)).days for glass, scan in enumerate(scans)}
        (text,) = [row["text"] for row in tables["texts"] if row["case_id"] == case]
        said = [date(*map(int, day)) for day in re.findall(r"(\d{4})年(\d{1,2})月(\d{1,2})日", text)]
        moved |= {(said[0] - true[number]).days, (said[1] - date(2023, 4, number)).days}
    return found


def test_days_of_a_patient_move_together_and_otherwise_for_each_recipient(
    pristine: Made, lab: Recoded, plant: Recoded
) -> None:
    key = key_of(pristine)
    moves = []
    for recoded, name in ((lab, "lab"), (plant, "plant")):
        layer = pseudonyms.recipient(key, "breast", name)
        by_patient = offsets(pristine, told(recoded), layer.codes)
        assert all(len(found) == 1 for found in by_patient.values()), "an interval changed"
        back = {layer.codes.code("P", code): code for code in column_values(read_parquet(
            pristine[0].deid / "patients.parquet"), "patient_id")}  # fmt: skip
        assert {found.pop() - layer.dates.days(back[code]) for code, found in by_patient.items()} == {0}
        moves.append(sorted(layer.dates.days(code) for code in back.values()))
    before = sorted(pseudonyms.product(key, "breast").dates.offsets(back.values()))
    assert moves[0] != moves[1] != before != moves[0]


def test_a_row_that_says_of_nobody_moves_with_its_owner_and_a_slide_of_nobody_by_itself(loose: Made, tmp_path: Path) -> None:
    loose = copied(loose, tmp_path / "clinic")
    key = key_of(loose)
    layer, inside = pseudonyms.recipient(key, "loose", "lab"), pseudonyms.internal(key)
    deid_rows = read_parquet(loose[0].deid / "slides.parquet").to_pylist()
    (nobodys,) = [row for row in deid_rows if row["patient_id"] is None]
    product = pseudonyms.product(key, "loose")
    moved = nobodys["scan_datetime"] + timedelta(pseudonyms.moved_between(inside, product, nobodys["slide_id"]))
    path = loose[1].paths("slides")[0]
    data = read_parquet(path)
    row = {"slide_id": product.codes.code("S", nobodys["slide_id"]), "stain": "HE", "scan_datetime": moved}
    path.chmod(0o644)
    write_parquet(path, pa.Table.from_pylist([*data.to_pylist(), row], schema=data.schema))
    recoded = given_to(loose)
    known = {layer.codes.code("S", row["slide_id"]): row for row in deid_rows}
    rows = told(recoded)["slides"]
    assert len(rows) == 11
    for row in rows:
        owner = known[row["slide_id"]]
        person = owner["patient_id"] or owner["slide_id"]
        assert (row["scan_datetime"] - owner["scan_datetime"]).days == pseudonyms.moved_between(inside, layer, person)
    assert recoded.patients.null_count == 1


# --- Texts ---------------------------------------------------------------------------------------------------------------


def test_texts_hold_the_recipients_codes_and_spans_stand_where_they_belong(lab: Recoded) -> None:
    tables = told(lab)
    texts = {row["report_id"]: row for row in tables["texts"]}
    assert all(f"见{row['case_id']}-A1，" in row["text"] for row in texts.values())
    assert {texts[row["report_id"]]["text"][row["start"] : row["end"]] for row in tables["text_spans"]} == {WORD}
    cut = {(row["kind"], texts[row["report_id"]]["text"][row["start"] : row["end"]]) for row in tables["removals"]}
    assert {text for kind, text in cut if kind == "patient"} == {"[姓名]"}
    assert {text for kind, text in cut if kind == "case"} == {f"{row['case_id']}-A1" for row in texts.values()}
    assert all(re.fullmatch(r"\d{4}年\d{1,2}月\d{1,2}日", text) for kind, text in cut if kind == "date")


def test_a_text_that_was_scrubbed_anew_is_refused_or_left_out(made: Made) -> None:
    path = made[0].deid / "texts" / "texts.parquet"
    data = read_parquet(path)
    changed = [row | {"text": row["text"] + ("。" if "第2例" in row["text"] else "")} for row in data.to_pylist()]
    write_parquet(path, pa.Table.from_pylist(changed, schema=data.schema))
    with pytest.raises(PlanIncompleteError, match=r"1 of texts"):
        given_to(made)
    recoded = given_to(made, without_missing=True)
    assert recoded.left_out == {"texts_missing": 1, "removals_missing": 4, "text_spans_missing": 1}
    assert counts(recoded) == FULL | {"texts": 4, "removals": 16, "text_spans": 4}


def test_a_code_in_a_text_that_no_placeholder_put_there_goes_to_nobody(made: Made) -> None:
    stray = "S-0123456789ABCDEF"
    for path, table in ((made[0].deid / "texts" / "texts.parquet", "deid"), (made[1].paths("texts")[0], "release")):
        data = read_parquet(path)
        rows = [row | {"text": f"{row['text']}{stray if '第2例' in row['text'] else ''}"} for row in data.to_pylist()]
        path.chmod(0o644)
        write_parquet(path, pa.Table.from_pylist(rows, schema=data.schema))
        assert table
    recoded = given_to(made, without_missing=True)
    assert stray not in repr(told(recoded))
    assert recoded.left_out["texts_missing"] == 1


def test_without_the_scrubbed_texts_no_text_goes(made: Made) -> None:
    shutil.rmtree(made[0].deid / "texts")
    with pytest.raises(PlanIncompleteError, match="5 of texts"):
        given_to(made)
    assert counts(given_to(made, without_missing=True))["texts"] == 0


# --- Who must not go out ---------------------------------------------------------------------------------------------------


def withdraw(made: Made, *subjects: tuple[str, str]) -> None:
    vault = open_vault(made[0].vault)
    add_withdrawn(vault, subjects, scope=Scope.PATIENT, reason=Reason.CONSENT, actor="x", at="2026-01-01T00:00:00+00:00")


def without_first_patient(recoded: Recoded) -> None:
    tables = told(recoded)
    assert counts(recoded) == {"slides": 6, "reports": 3, "patients": 3, "events": 6, "links": 6, "splits": 3, "texts": 3,
                               "removals": 12, "text_spans": 3}  # fmt: skip
    assert not [row for row in tables["texts"] if "第1例" in row["text"] or "第5例" in row["text"]]
    assert sum(recoded.left_out.values()) == sum(FULL.values()) - sum(counts(recoded).values())


@pytest.mark.parametrize(("kind", "column"), [("person", "group_id"), ("patient", "patient_id")])
def test_whoever_withdrew_is_in_no_table(made: Made, kind: str, column: str) -> None:
    withdraw(made, (kind, shown(made, 1, column)))
    recoded = given_to(made)
    without_first_patient(recoded)
    assert (len(recoded.units), pc.count_distinct(recoded.patients).as_py()) == (6, 3)


def test_an_opt_out_of_today_counts(made: Made) -> None:
    path = made[0].vault / "criteria" / "permissions.parquet"
    data = read_parquet(path)
    row = {"subject": "person", "subject_code": shown(made, 1, "group_id"), "opt_out": True}
    with_it = pa.Table.from_pylist([*data.to_pylist(), {**dict.fromkeys(data.schema.names), **row,
                                    "purposes": [], "data_kinds": []}], schema=data.schema.remove_metadata())  # fmt: skip
    pq.write_table(with_it, path)
    without_first_patient(given_to(made))


def test_of_a_patient_whose_case_withdrew_the_other_case_goes(made: Made) -> None:
    withdraw(made, ("case", shown(made, 5, "case_id")))
    recoded = given_to(made)
    assert counts(recoded) == FULL | {"slides": 8, "reports": 4, "links": 8, "texts": 4, "removals": 16, "text_spans": 4}
    assert recoded.left_out["links_withdrawn"] + recoded.left_out.get("links_beside", 0) == 2


def test_of_a_patient_whose_only_case_withdrew_nothing_goes(made: Made) -> None:
    withdraw(made, ("case", shown(made, 2, "case_id")))
    assert counts(given_to(made)) == FULL | {"slides": 8, "reports": 4, "patients": 3, "events": 8, "links": 8, "splits": 3,
                                          "texts": 4, "removals": 16, "text_spans": 4}  # fmt: skip


def test_of_a_case_whose_slide_withdrew_the_other_slide_goes(made: Made) -> None:
    withdraw(made, ("slide", pseudonyms.internal(key_of(made)).codes.code("S", f"S-{4:016d}")))
    assert counts(given_to(made)) == FULL | {"slides": 9, "links": 9}


def test_somebody_who_withdrew_and_was_forgotten_is_left_out_without_a_refusal(made: Made) -> None:
    product = pseudonyms.product(key_of(made), "breast").codes
    gone = {column: set(column_values(read_parquet(made[1].paths(table)[0]), column)) for table, column in
            (("slides", "patient_id"), ("slides", "case_id"), ("slides", "slide_id"), ("reports", "report_id"),
             ("events", "event_id"))}  # fmt: skip
    first = product.code("P", shown(made, 1, "patient_id"))
    slides = [row for row in was(made)["slides"] if row["patient_id"] == first]
    cases = {row["case_id"] for row in slides}
    codes = {
        "patient_id": {first}, "case_id": cases, "slide_id": {row["slide_id"] for row in slides},
        "report_id": {row["report_id"] for row in was(made)["reports"] if row["case_id"] in cases},
        "event_id": {row["event_id"] for row in was(made)["events"] if row["patient_id"] == first},
    }  # fmt: skip
    assert all(codes[column] < gone[column] for column in codes)
    forget(made, shown(made, 1, "patient_id"))
    with pytest.raises(PlanIncompleteError, match=r"4 of slides"):
        given_to(made)
    file = product_feed(made[0], "breast")
    file.parent.mkdir(parents=True, exist_ok=True)
    append_line(file, EMPTY, at="2026-01-01T00:00:00+00:00", scope=Scope.PATIENT, reason=Reason.CONSENT, codes=codes,
                affects=["breast@1.0.0"])  # fmt: skip
    without_first_patient(given_to(made))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DigestMismatchError):
        given_to(made)


def forget(made: Made, patient: str) -> None:
    """What ``deid/`` is once a person was erased."""
    for path in (*made[0].deid.glob("*.parquet"), made[0].deid / "texts" / "texts.parquet"):
        data = read_parquet(path)
        if "patient_id" in data.column_names:
            theirs = pc.equal(data["patient_id"], pa.scalar(patient)).fill_null(fill_value=False)
            write_parquet(path, data.filter(pc.invert(theirs)))


def test_rows_behind_which_nothing_stands_are_refused_or_left_out(made: Made) -> None:
    forget(made, shown(made, 1, "patient_id"))
    with pytest.raises(PlanIncompleteError, match="--without-missing") as refused:
        given_to(made)
    assert not re.search(CODE, str(refused.value))
    recoded = given_to(made, without_missing=True)
    without_first_patient(recoded)
    assert recoded.left_out["slides_missing"] == 4


def test_a_row_whose_owner_became_another_is_missing(made: Made) -> None:
    path = made[0].deid / "reports.parquet"
    data, other = read_parquet(path), shown(made, 2, "patient_id")
    rows = [row | ({"patient_id": other} if row["patient_id"] == shown(made, 3, "patient_id") else {})
            for row in data.to_pylist()]  # fmt: skip
    write_parquet(path, pa.Table.from_pylist(rows, schema=data.schema))
    with pytest.raises(PlanIncompleteError, match="1 of reports"):
        given_to(made)


def test_groups_that_became_others_still_say_who_belongs_together(made: Made, lab: Recoded) -> None:
    for path in made[0].deid.glob("*.parquet"):
        data = read_parquet(path)
        if "group_id" in data.column_names and data.num_rows:
            index = data.schema.get_field_index("group_id")
            moved = pc.replace_substring_regex(data["group_id"], "^Q-.", "Q-Z")
            write_parquet(path, data.set_column(index, data.schema.field(index), moved))
    tables, before = told(given_to(made)), was(made)
    assert len({row["group_id"] for row in tables["slides"]}) == len({row["group_id"] for row in told(lab)["slides"]}) == 4
    assert not all_codes(tables) & all_codes(before)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whoever_withdraws_no_row_speaks_of_one_that_is_not_there(pristine: Made, data: st.DataObject) -> None:
    deid_slides = read_parquet(pristine[0].deid / "slides.parquet").to_pylist()
    columns = {"person": "group_id", "patient": "patient_id", "case": "case_id", "slide": "slide_id"}
    every = sorted({(kind, row[column]) for kind, column in columns.items() for row in deid_slides if row[column]})
    gone = data.draw(st.sets(st.sampled_from(every), max_size=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behind, "withdrawn_subjects", lambda workspace: frozenset(gone))
        try:
            recoded = given_to(pristine)
        except PlanIncompleteError:
            assert all(any((kind, row[column]) in gone for kind, column in columns.items())
                       for row in deid_slides if row["case_id"])  # fmt: skip
            return
    tables = told(recoded)
    slides, reports = tables["slides"], tables["reports"]
    assert {row["slide_id"] for row in tables["links"]} <= {row["slide_id"] for row in slides}
    assert {row["report_id"] for row in tables["links"]} <= {row["report_id"] for row in reports}
    assert {row["case_id"] for row in reports} == {row["case_id"] for row in slides}
    people = {row["patient_id"] for row in slides}
    for name in ("patients", "splits"):
        assert {row["patient_id"] for row in tables[name]} == people
    assert {row["patient_id"] for row in tables["events"]} <= people
    for name in ("texts", "removals", "text_spans"):
        assert {row["report_id"] for row in tables[name]} == {row["report_id"] for row in reports}
    inside = set(recoded.units.to_pylist())
    assert inside == {row["slide_id"] for row in deid_slides if row["case_id"] and not any(
        (kind, row[column]) in gone for kind, column in columns.items())}  # fmt: skip
    assert sum(recoded.left_out.values()) + sum(counts(recoded).values()) == sum(FULL.values())


def test_when_everybody_withdrew_there_is_nothing_to_deliver(made: Made) -> None:
    withdraw(made, *{("patient", shown(made, case, "patient_id")) for case in CASES})
    with pytest.raises(PlanIncompleteError, match="nothing of the release is left"):
        given_to(made)


def test_another_key_gives_nothing(made: Made) -> None:
    with pytest.raises(PlanIncompleteError):
        recode(*made, "lab", bytes(32))


# --- Forms ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        ["S-0123456789ABCDEF", "a word"], ["see S-0123456789ABCDEF"], ["S-0123456789ABCDEF", "C-0123456789ABCDEF"],
        [["S-0123456789ABCDEF"]], ["S-0123456789ABCDEF\n"],
    ],
)  # fmt: skip
def test_codes_among_other_values_are_refused(values: list[Any]) -> None:
    with pytest.raises(DisclosureRefusedError, match="column note of table slides"):
        code_columns("slides", pa.table({"note": pa.array([None, *values])}))


def test_columns_of_codes_are_known_by_what_they_hold() -> None:
    data = pa.table({
        "slide_id": ["S-0123456789ABCDEF", None], "note": ["S-short", "x"], "n": [1, 2], "empty": pa.nulls(2, pa.string()),
        "many": pa.chunked_array([["P-0123456789ABCDEF"], ["P-ZZZZZZZZZZZZZZZZ"]]),
    })  # fmt: skip
    assert code_columns("slides", data) == {"slide_id": "S", "many": "P"}


@pytest.mark.parametrize("content", ["", "unit: planet\n", "- unit\n", "unit: [slide\n", "unit: case\n"])
def test_a_release_that_does_not_say_its_unit_is_refused(made: Made, content: str) -> None:
    path = made[1].directory / "provenance" / "recipe.lock.yaml"
    path.chmod(0o644)
    path.write_text(content)
    with pytest.raises(InputOutputError, match="what its units are"):
        given_to(made)


def test_a_table_that_says_of_nobody_is_refused(made: Made) -> None:
    path = made[1].paths("events")[0]
    path.chmod(0o644)
    write_parquet(path, read_parquet(path).select(["kind", "date"]))
    with pytest.raises(PlanIncompleteError, match="table events of the release does not say whose"):
        given_to(made)


def test_parts_of_a_table_are_one_table(made: Made, lab: Recoded) -> None:
    """A release of more than a million rows has several files for a table."""
    path = made[1].paths("slides")[0]
    data = read_parquet(path)
    parts = []
    for number in range(2):
        name = f"data/part-{number}.parquet"
        write_parquet(made[1].directory / name, data.slice(5 * number, 5))
        parts.append({"path": name, "rows": 5, "bytes": 1, "sha256": "sha256:0"})
    manifest = {**made[1].manifest, "tables": {**made[1].tables, "slides": {"key": ["slide_id"], "parts": parts}}}
    recoded = given_to((made[0], replace(made[1], manifest=manifest)))
    assert recoded.tables["slides"].identity == lab.tables["slides"].identity


# --- Back ------------------------------------------------------------------------------------------------------------------


def test_a_codebook_leads_back_to_the_catalog_and_knows_no_other_codes(pristine: Made, lab: Recoded, plant: Recoded) -> None:
    key = key_of(pristine)
    book = originals(pristine[0], "breast", "lab", key)
    codes = column_values(lab.tables["slides"].data, "slide_id")
    found = book.originals([*codes, "S-0000000000000000", "", "=1+1"])
    assert found.keys() == set(codes)
    assert set(found.values()) == {f"S-{2 * case + glass:016d}" for case in CASES for glass in range(2)}
    inside = pseudonyms.internal(key).codes
    assert book.internals(codes) == {code: inside.code("S", slide) for code, slide in found.items()}
    assert not book.originals(column_values(plant.tables["slides"].data, "slide_id"))
    assert not book.originals([row["slide_id"] for row in was(pristine)["slides"]])
    assert book.codes("P", pa.array([shown(pristine, 1, "patient_id"), None])).to_pylist()[1] is None
    assert Catalog(pristine[0].catalog).read(SERIES).num_rows == 0


def test_no_code_is_shown_where_an_object_is(pristine: Made, lab: Recoded) -> None:
    book = originals(pristine[0], "breast", "lab", key_of(pristine))
    assert not re.search(CODE, repr(book) + repr(lab) + repr(lab.tables["slides"]))


def test_after_a_new_key_nothing_is_recoded_in_silence_and_what_was_delivered_is_still_traced(
    made: Made, lab: Recoded
) -> None:
    before = set(column_values(read_parquet(made[0].deid / "slides.parquet"), "slide_id"))
    old = key_of(made)
    vault, _ = rotate(made[0], reason="test", actor="tester")
    with pytest.raises(PlanIncompleteError, match="the vault's key of then"):
        given_to(made)  # deid/ is of the key before
    deid.apply(made[0], actor="tester")
    with pytest.raises(PlanIncompleteError, match="10 of slides"):
        given_to(made)
    (retired,) = retired_keys(vault)
    assert retired.key == old
    desk: Any = SimpleNamespace(workspace=made[0])
    known = {code for array in producttrace._inside(desk, vault, retired, "S") for code in array.to_pylist()}
    assert known == before
    layers = {"lab": pseudonyms.recipient(old, "breast", "lab").codes}
    codes = all_codes({"slides": told(lab)["slides"]})
    slides = {code for code in codes if code.startswith("S-")}
    assert trace(slides, layers, lambda kind: producttrace._inside(desk, vault, retired, kind)) == {"lab": 10}


@pytest.mark.parametrize(
    ("unit", "columns", "rows"),
    [
        ("case", "columns: [case_id, received_date, reported_date]", 5),
        ("patient", "columns: [patient_id, case_count]", 4),
        ("event", _OF_EVENTS, 10),
    ],
)  # fmt: skip
def test_units_of_other_kinds_are_recoded_too(made: Made, unit: str, columns: str, rows: int) -> None:
    recipe = f"recipe: 1\nname: other\nversion: 1.0.0\ntitle: Other units\nunit: {unit}\n{columns}\n"
    with Here(workers=1, temp_directory=made[0].root / "spill") as engine:
        other = (made[0], release_of(made[0], engine, recipe))
    recoded = given_to(other)
    assert (recoded.unit, recoded.unit_table, len(recoded.units)) == (unit, f"{unit}s", rows)
    assert (counts(recoded)[f"{unit}s"], recoded.left_out) == (rows, {})
    inside = set(column_values(read_parquet(made[0].deid / f"{unit}s.parquet"), f"{unit}_id"))
    assert set(recoded.units.to_pylist()) == inside
    assert pc.count_distinct(recoded.patients).as_py() == 4
    withdraw(made, ("person", shown(made, 1, "group_id")))
    after = told(given_to(other))
    assert len(after[f"{unit}s"]) == {"case": 3, "patient": 3, "event": 6}[unit]
    if unit == "event":
        assert len(after["slides"]) == 12 < len(told(recoded)["slides"])
        assert {row["index_event_id"] for row in after["slides"]} == {row["event_id"] for row in after["events"]}

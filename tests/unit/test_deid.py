"""De-identification of a clinic: who is one person and who is not, what leaves the catalog, and what a crash leaves."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import json
import shutil
import stat
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate import deid
from pathcurate.deid.build import _standing_rows
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import PlanIncompleteError
from pathcurate.findings import read_findings
from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.event import EVENTS
from pathcurate.model.person import PERSONS
from pathcurate.model.report import REPORTS, precedence
from pathcurate.model.slide import SLIDES
from pathcurate.storage import create_exclusively
from pathcurate.tables import Catalog, from_rows, read_parquet, write_parquet
from pathcurate.vault import broken_event
from pathcurate.verification import SEAL_FILE, demand_seal, files, read_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.canaries import Search
from tests.clinic import CANARIES, FULL_REPORT, FULL_SLIDE, event, link_again, open_clinic, report, slide, tell

Row = dict[str, Any]


def apply(workspace: Workspace) -> deid.DeidSummary:
    summary = deid.apply(workspace, actor="tester")
    assert summary.faults == ()
    return summary


def shown(workspace: Workspace, table: str) -> list[Row]:
    return list(read_parquet(workspace.deid / f"{table}.parquet").to_pylist())


def true(workspace: Workspace, table: str) -> list[Row]:
    return list(read_parquet(workspace.vault / "criteria" / f"{table}.parquet").to_pylist())


def sealed_bytes(workspace: Workspace) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files(workspace).items()}


# --- what leaves the catalog -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Everybody's: nobody may change it."""
    workspace = open_clinic(tmp_path_factory.mktemp("full"))
    apply(workspace)
    return workspace


@pytest.fixture
def own(full: Workspace, tmp_path: Path) -> Workspace:
    """The same clinic, to be changed."""
    return copied(full, tmp_path / "own")


def copied(workspace: Workspace, root: Path) -> Workspace:
    shutil.copytree(workspace.root, root, symlinks=True)
    return load_workspace(root / "pathcurate.yaml")


def test_no_identifier_leaves_the_catalog(full: Workspace) -> None:
    search = Search({**CANARIES, "received": date(2023, 3, 1), "reported": date(2023, 3, 6), "scanned": date(2023, 3, 7),
                     "happened": date(2023, 4, 6), "ended": date(2023, 4, 8)})  # fmt: skip
    # The columns of the catalog hold every one of them, so the search would see them.
    held = set().union(*search.in_tree(full.catalog).values())
    assert held >= set(CANARIES) - {"file name", "list"}
    assert search.in_tree(full.deid) == {}
    without_dates = Search(CANARIES)
    assert without_dates.in_tree(full.vault) == {}


def test_the_vault_is_for_its_owner_only(full: Workspace) -> None:
    for path in (full.vault, *full.vault.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path.name


def test_what_is_kept_is_what_was_there(full: Workspace) -> None:
    (row,) = shown(full, "slides")
    kept = {name: value for name, value in row.items() if name in FULL_SLIDE and FULL_SLIDE[name] == value}
    assert set(kept) == {
        "site", "file_count", "format", "vendor", "scanner_model", "width", "height", "level_count", "level_downsamples",
        "mpp_x", "mpp_y", "stain", "specimen", "block", "status", "has_label", "storage_state", "tissue_fraction",
    }  # fmt: skip
    assert row["mpp"] == pytest.approx(0.255)
    assert (row["tier"], row["sex"], row["age"], row["age_band"]) == ("exact", "female", 61, "60-64")
    (case,) = shown(full, "cases")
    assert (case["report_count"], case["slide_count"], case["icd10"], case["organ"]) == (1, 1, "C50.900", "breast")
    (patient,) = shown(full, "patients")
    assert (patient["case_count"], patient["slide_count"], patient["sex"]) == (1, 1, "female")
    assert {row["patient_id"], case["patient_id"], patient["patient_id"]} == {patient["patient_id"]}
    assert {row["case_id"], case["case_id"]} == {case["case_id"]}


def test_true_values_are_in_the_vault(full: Workspace) -> None:
    assert true(full, "cases") == [
        {
            "case_id": shown(full, "cases")[0]["case_id"], "received_date": date(2023, 3, 1), "age": 61, "year": 2023,
            "reported_date": date(2023, 3, 6), "birth_date": date(1961, 5, 4),
        }
    ]  # fmt: skip
    (row,) = true(full, "slides")
    assert (row["scan_datetime"], row["size_bytes"], row["age"], row["year"]) == (date(2023, 3, 7), 1001, 61, 2023)


def test_the_sentences_are_those_of_the_declarations() -> None:
    assert {"reports.patient_name: dropped", "events.text: withheld: free text stays in the catalog"} <= set(deid.explain())
    twice = [
        sentence
        for sentence in deid.explain()
        if sentence.endswith("whatever its form, it is kept in the vault, for criteria only")
    ]
    assert [sentence.partition(":")[0] for sentence in twice] == ["events.code", "events.value"]


def test_an_event_leaves_without_its_words_and_numbers(full: Workspace) -> None:
    (row,), (truth,), (patient,) = shown(full, "events"), true(full, "events"), shown(full, "patients")
    assert (row["patient_id"], row["group_id"]) == (patient["patient_id"], patient["group_id"])
    assert {name: row[name] for name in ("site", "kind", "code", "code_system", "value", "unit", "laterality")} == {
        "site": "NB01", "kind": "laboratory", "code": "CEA", "code_system": "analyte", "value": 7.25, "unit": "ng/mL",
        "laterality": "left",
    }  # fmt: skip
    assert not set(row) & {"text", "value_text", "source_file", "source_mapping"}
    assert truth == {
        "event_id": row["event_id"], "code": "CEA", "value": 7.25, "date": date(2023, 4, 6), "end_date": date(2023, 4, 8),
    }  # fmt: skip
    # By the same offset as the patient's other dates.
    received = shown(full, "cases")[0]["received_date"] - date(2023, 3, 1)
    assert {row[name] - truth[name] for name in ("date", "end_date")} == {received}


_RESULTS = [
    ({"value": 7.25}, True), ({"value": -0.5}, True), ({"value": 99_999.0}, True), ({"value": 100_000.0}, False),
    ({"value": 13_812_345_678.0}, False), ({"unit": None}, False), ({"code": "WANG"}, False), ({"code": None}, False),
    ({"code_system": "local"}, False), ({"kind": "follow_up"}, False), ({"value": None}, False),
]  # fmt: skip


def test_a_number_is_shown_only_as_the_result_of_a_known_analyte(tmp_path: Path) -> None:
    known = {"kind": "laboratory", "code": "CEA", "code_system": "analyte", "unit": "ng/mL", "value": 3.5}
    rows = [event(number, **{**known, **change}) for number, (change, _) in enumerate(_RESULTS)]
    workspace = open_clinic(tmp_path, events=rows)
    apply(workspace)
    seen = Counter(row["value"] for row in shown(workspace, "events"))
    kept = Counter(row["value"] for row in true(workspace, "events"))
    assert seen == Counter(row["value"] if is_shown else None for row, (_, is_shown) in zip(rows, _RESULTS, strict=True))
    assert kept == Counter(row["value"] for row in rows)


_CODES = [
    ("icd10", "M16.900x001", True), ("icd10", "C50.9", True), ("icd10", "10086001", False), ("icd9cm3", "81.5100", True),
    ("icd9cm3", "C50.9", False), ("ajcc", "Stage IIA", True), ("ajcc", "Stage X", True), ("ajcc", "I/II NOS", False),
    ("ajcc", "CEA", False), ("tnm", "pT2N0M0", True), ("tnm", "ypT1c N1a", True), ("tnm", "OUYANG", False),
    ("analyte", "CEA", True), ("analyte", "OUYANG", False), ("analyte", "WANG", False), ("atc", "L01XA02", True),
    ("loinc", "2160-0", False), ("local", "C50.9", False), (None, "C50.9", False), (None, None, True),
]  # fmt: skip


def test_a_code_is_shown_only_in_the_form_of_its_own_system(tmp_path: Path) -> None:
    # Values tell the events apart afterwards: nothing else of them can be foreseen.
    rows = [event(n, code=code, code_system=system, value=n) for n, (system, code, _) in enumerate(_CODES)]
    workspace = open_clinic(tmp_path, events=rows)
    summary = apply(workspace)
    number_of = {row["event_id"]: int(row["value"]) for row in true(workspace, "events")}
    seen = {number_of[row["event_id"]]: row["code"] for row in shown(workspace, "events")}
    kept = {number_of[row["event_id"]]: row["code"] for row in true(workspace, "events")}
    assert seen == {number: code if is_shown else None for number, (_, code, is_shown) in enumerate(_CODES)}
    assert kept == {number: code for number, (_, code, _) in enumerate(_CODES)}
    assert summary.left_out == {"events.code": sum(not is_shown for *_, is_shown in _CODES)}


def test_events_of_nobody_and_of_two_people_are_left_out_and_counted(tmp_path: Path) -> None:
    reports = [
        report(1, patient_name="甲某人", birth_date=date(1961, 5, 4)), report(2, "S23-00002", patient_id="7001"),
        report(3, "S23-00003", patient_id="7002", patient_name="周一二", birth_date=date(1950, 1, 1), sex="male"),
        report(4, "S23-00004", patient_id="7002", patient_name="吴三四", birth_date=date(1990, 1, 1), sex="female"),
    ]  # fmt: skip
    numbers = ["７００１ ", "7001", "7002", "9999", "7001"]
    sites = ["NB01", "NB01", "NB01", "NB01", "NB02"]
    events = [event(n, site, patient_id=number) for n, (number, site) in enumerate(zip(numbers, sites, strict=True))]
    workspace = open_clinic(tmp_path, reports=reports, events=events)
    summary = apply(workspace)
    assert (summary.rows_left_out["events"], summary.rows["events"]) == (3, 2)
    of = {row["patient_id"] for row in shown(workspace, "events")}
    assert len(of) == 1
    assert of <= {row["patient_id"] for row in shown(workspace, "patients")}
    findings = {item.rule: item for item in read_findings(Catalog(workspace.catalog), "deid")}
    assert findings["deid.event_without_person"].count == 3
    assert not any(number in findings["deid.event_without_person"].message for number in numbers)


def test_tables_of_a_pathcurate_without_events_must_be_made_again(own: Workspace) -> None:
    seal = json.loads((own.deid / SEAL_FILE).read_bytes())
    seal["tables"] = {name: digest for name, digest in seal["tables"].items() if "events" not in name}
    del seal["inputs"]["events"]
    (own.deid / SEAL_FILE).write_text(json.dumps(seal))
    for path in (own.deid / "events.parquet", own.vault / "criteria" / "events.parquet"):
        path.unlink()
    with pytest.raises(PlanIncompleteError, match="events") as caught:
        demand_seal(own)
    assert (caught.value.exit_code, caught.value.hint) == (12, "Run `pathcurate deid apply`.")
    apply(own)
    demand_seal(own)


def test_other_events_make_the_tables_out_of_date(own: Workspace) -> None:
    Catalog(own.catalog).replace(EVENTS, from_rows(EVENTS, [event(1), event(2)]))
    with pytest.raises(PlanIncompleteError, match="events changed since"):
        demand_seal(own)


def test_a_catalog_of_before_there_were_addresses_is_read(tmp_path: Path) -> None:
    workspace = open_clinic(tmp_path)
    older = Table("reports", "", REPORTS.key, tuple(item for item in REPORTS.columns if item.name != "address"))
    Catalog(workspace.catalog).replace(older, from_rows(older, [{**FULL_REPORT, "id_number": CANARIES["identity card"]}]))
    assert "address" not in Catalog(workspace.catalog).columns(REPORTS)
    apply(workspace)
    # Without an address it is the identity card's province.
    assert [row["province"] for row in shown(workspace, "patients")] == ["北京市"]


# --- a column without a rule -------------------------------------------------------------------------------------


def test_a_column_without_a_rule_stops_everything(tmp_path: Path) -> None:
    workspace = open_clinic(tmp_path)
    wider = Table("reports", "", REPORTS.key, (*REPORTS.columns, Column("mood", Type.INTEGER, "Mood.")))
    Catalog(workspace.catalog).replace(wider, from_rows(wider, [{**FULL_REPORT, "mood": 778899}]))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(PlanIncompleteError, match=r"reports\.mood") as caught:
        deid.apply(workspace, actor="tester")
    assert caught.value.exit_code == 12
    assert "778899" not in str(caught.value)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    with Embedded(workers=1, temp_directory=tmp_path / "spill") as engine:
        planned = deid.plan(workspace, engine)
    assert [(item.column, item.values) for item in planned if item.action is None] == [("mood", 1)]
    counted = {f"{item.table}.{item.column}": item.values for item in planned}
    assert (counted["reports.patient_name"], counted["reports.blocks"], counted["diagnoses.organ"]) == (1, 0, 0)
    assert counted["slides.metadata_texts"] == counted["slides.relpath"] == 1


# --- the same and not the same -----------------------------------------------------------------------------------

TWO_SITES: dict[str, Any] = {
    "reports": [
        report(1), report(2, "S23-00002", age=89), report(3, "S23-00003", patient_id="7001", age=90),
        report(4, "S23-00004", patient_id="7002", age=91, sex="male"), report(5, site="NB02", sex="male"),
        report(6, "S23-00006", patient_id=None), report(7, "S23-00007", patient_id="７００１ "),
    ],
    "slides": [slide(number) for number in range(1, 7)] + [slide(7, site="NB02"), slide(8, site="NB02")],
    "keys": {
        f"S-{1:016d}": "S23-00001", f"S-{2:016d}": "S23-00001", f"S-{3:016d}": "S23-00002", f"S-{4:016d}": "S23-00003",
        f"S-{5:016d}": "S23-00006", f"S-{7:016d}": "S23-00001",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def two_sites(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Everybody's: nobody may change it."""
    workspace = open_clinic(tmp_path_factory.mktemp("two"), **TWO_SITES)
    # Always the same key: under one in a hundred, the dates of the two slides without a link move alike.
    workspace.vault.mkdir(mode=0o700, exist_ok=True)
    create_exclusively(workspace.vault / "key", bytes(range(32)), mode=0o600)
    apply(workspace)
    return workspace


def patients_of(workspace: Workspace) -> dict[tuple[str, str], Row]:
    """Deid case row by site and true accession number, found through the order of nothing but the criteria."""
    codes = _codes(workspace)
    return {(row["site"], row["accession"]): codes[row["report_id"]] for row in TWO_SITES["reports"]}


def _codes(workspace: Workspace) -> dict[str, Row]:
    """De-identified report by the catalog's ``report_id``; only the key leads from one to the other."""
    from pathcurate.pseudonyms import internal

    layer = internal((workspace.vault / "key").read_bytes()).codes
    rows = {row["report_id"]: row for row in shown(workspace, "reports")}
    raw = Catalog(workspace.catalog).read(REPORTS, columns=["report_id"])["report_id"].to_pylist()
    return {report_id: rows[layer.code("R", report_id)] for report_id in raw if layer.code("R", report_id) in rows}


def test_one_number_at_two_sites_is_two_patients_and_one_accession_number_two_cases(two_sites: Workspace) -> None:
    rows = patients_of(two_sites)
    here, there = rows["NB01", "S23-00001"], rows["NB02", "S23-00001"]
    for name in ("patient_id", "group_id", "case_id"):
        assert here[name] != there[name], name
    cases = {row["case_id"]: row["sex"] for row in shown(two_sites, "cases")}
    assert (cases[here["case_id"]], cases[there["case_id"]]) == ("female", "male")


def test_one_patient_has_one_code_in_every_table(two_sites: Workspace) -> None:
    rows = patients_of(two_sites)
    one = {rows["NB01", "S23-00001"]["patient_id"], rows["NB01", "S23-00002"]["patient_id"]}
    assert len(one) == 1
    assert rows["NB01", "S23-00003"]["patient_id"] == rows["NB01", "S23-00007"]["patient_id"]  # full-width, with a space
    (patient,) = (row for row in shown(two_sites, "patients") if row["patient_id"] in one)
    assert (patient["case_count"], patient["slide_count"]) == (2, 3)
    assert sum(row["patient_id"] in one for row in shown(two_sites, "slides")) == 3
    assert len(shown(two_sites, "patients")) == 5


def test_a_case_without_a_number_is_a_patient_of_its_own(two_sites: Workspace) -> None:
    alone = patients_of(two_sites)["NB01", "S23-00006"]
    assert sum(row["patient_id"] == alone["patient_id"] for row in shown(two_sites, "cases")) == 1


def test_ages_from_ninety_on_are_one_and_true_ages_stay_in_the_vault(two_sites: Workspace) -> None:
    assert sorted(row["age"] for row in shown(two_sites, "cases")) == [61, 61, 61, 61, 89, 90, 90]
    assert sorted(row["age_band"] for row in shown(two_sites, "cases"))[-3:] == ["85-89", "90+", "90+"]
    assert sorted(row["age"] for row in true(two_sites, "cases"))[-2:] == [90, 91]
    for name in DEID_TABLES:
        assert "91" not in {str(row.get("age")) for row in shown(two_sites, name)}


def test_a_slide_without_a_link_has_no_patient_and_still_no_true_date(two_sites: Workspace) -> None:
    alone = [row for row in shown(two_sites, "slides") if row["tier"] == "none"]
    assert len(alone) == 2
    for row in alone:
        assert (row["case_id"], row["patient_id"], row["group_id"], row["sex"], row["age"]) == (None,) * 5
        moved = row["scan_datetime"] - date(2023, 3, 7)
        assert moved.days % 7 == 0
        assert 7 <= abs(moved.days) <= 364
    # Each has an offset of its own: together they are not one person's slides.
    assert len({row["scan_datetime"] for row in alone}) == 2


def test_a_persons_dates_keep_their_intervals_across_tables(two_sites: Workspace) -> None:
    offsets: dict[str, set[timedelta]] = {}
    for name, columns in (("slides", ["scan_datetime"]), ("cases", ["received_date", "reported_date"]),
                          ("reports", ["received_date", "reported_date"])):  # fmt: skip
        for row, truth in zip(shown(two_sites, name), true(two_sites, name), strict=True):
            assert row[f"{name[:-1]}_id"] == truth[f"{name[:-1]}_id"]
            if row["patient_id"]:
                offsets.setdefault(row["patient_id"], set()).update(row[column] - truth[column] for column in columns)
    assert len(offsets) == 5
    assert {len(moved) for moved in offsets.values()} == {1}
    assert len({next(iter(moved)) > timedelta(0) for moved in offsets.values()}) == 1


def test_rows_are_sorted_by_pseudonym_and_not_by_their_past(two_sites: Workspace) -> None:
    for name, table in DEID_TABLES.items():
        codes = [tuple(row[column] for column in table.key) for row in shown(two_sites, name)]
        assert codes == sorted(codes)
        assert len(set(codes)) == len(codes)


def test_the_order_of_the_catalog_does_not_show(two_sites: Workspace, tmp_path: Path) -> None:
    turned = {"reports": TWO_SITES["reports"][::-1], "slides": TWO_SITES["slides"][::-1], "keys": TWO_SITES["keys"]}
    other = open_clinic(tmp_path / "turned", **turned)
    other.vault.mkdir(mode=0o700)
    (other.vault / "key").write_bytes((two_sites.vault / "key").read_bytes())
    (other.vault / "key").chmod(0o600)
    apply(other)
    assert sealed_bytes(other) == sealed_bytes(two_sites)


def test_the_same_again_is_the_same_bytes_and_the_same_seal(two_sites: Workspace, tmp_path: Path) -> None:
    workspace = copied(two_sites, tmp_path / "again")
    before, seal = sealed_bytes(workspace), read_seal(workspace)
    apply(workspace)
    assert sealed_bytes(workspace) == before
    assert read_seal(workspace) == seal


def test_another_key_gives_other_codes_and_other_dates(two_sites: Workspace, tmp_path: Path) -> None:
    def everything(workspace: Workspace) -> dict[str, set[Any]]:
        return {
            name: {value for row in shown(workspace, name) for key, value in row.items() if key.endswith("_id")} - {None}
            for name in DEID_TABLES
        }

    before, days = everything(two_sites), {row["scan_datetime"] for row in shown(two_sites, "slides")}
    other = open_clinic(tmp_path / "other", **TWO_SITES)
    apply(other)
    for name, codes in everything(other).items():
        assert len(codes) == len(before[name])
        assert not codes & before[name]
    assert {row["scan_datetime"] for row in shown(other, "slides")} != days


def test_a_case_of_two_patients_is_left_out_and_counted(tmp_path: Path) -> None:
    reports = [report(1), report(2, patient_id="7001", report_type="supplementary"), report(3, "S23-00003")]
    workspace = open_clinic(tmp_path, reports=reports)
    summary = apply(workspace)
    assert summary.rows_left_out["reports"] == 2
    assert [len(shown(workspace, name)) for name in ("reports", "cases", "patients")] == [1, 1, 1]
    (row,) = shown(workspace, "slides")
    assert (row["tier"], row["case_id"], row["patient_id"]) == ("conflict", None, None)
    findings = read_findings(Catalog(workspace.catalog), "deid")
    assert [(item.rule, item.count) for item in findings] == [("deid.case_without_person", 2)]


_TIMES = st.none() | st.sampled_from([datetime(2023, 3, day) for day in (1, 2)])
_RANKED = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["final", "withdrawn"]), "is_current": st.sampled_from([True, False, None]),
        "report_type": st.sampled_from(["primary", "amended", "cytology"]), "reported_date": _TIMES,
        "accession": st.sampled_from(["S23-00001", "S23-00002"]),
    }
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(_RANKED, min_size=1, max_size=8))
def test_the_report_that_stands_is_the_one_that_linking_chose(rows: list[Row]) -> None:
    reports = [{**row, "report_id": f"R-{number * 7 % 8}"} for number, row in enumerate(rows)]
    raw = from_rows(REPORTS, reports)
    standing = _standing_rows(raw, raw["accession"]).to_pylist()
    best = {row["accession"]: row for row in sorted(reports, key=precedence)}
    assert {reports[number]["accession"]: reports[number] for number in standing} == best
    assert len(standing) == len(best)


def test_what_reports_say_is_there_by_pseudonym_without_its_places(tmp_path: Path) -> None:
    # The third case is of two patients, so its reports are left out with all that they say.
    reports = [report(1), report(2, "S23-00002"), report(3, "S23-00003", patient_id="7001"), report(4, "S23-00003")]
    workspace = open_clinic(tmp_path, reports=reports)
    tell(workspace, *(row["report_id"] for row in reports), "R-OFNOREPORT")
    apply(workspace)
    known = {row["report_id"]: row for row in shown(workspace, "reports")}
    for name, each in (("diagnoses", 2), ("ihc_results", 1), ("report_concepts", 3)):
        rows = shown(workspace, name)
        assert Counter(row["report_id"] for row in rows) == dict.fromkeys(known, each), name
        for row in rows:
            report_row = known[row["report_id"]]
            assert all(row[column] == report_row[column] for column in ("case_id", "patient_id", "group_id"))
            assert not set(row) & {"start", "end", "spans", "trigger"}
    mentions = [(row["ordinal"], row["concept"], row["assertion"]) for row in shown(workspace, "report_concepts")]
    # In the order of the text, and of two at one place by name.
    assert mentions == [(1, "necrosis", "negated"), (2, "atypia", "possible"), (3, "mitosis", "affirmed")] * len(known)
    assert {row["organ"] for row in shown(workspace, "diagnoses")} == {"breast"}
    assert len(known) == 2


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_what_is_made_in_pieces_is_what_is_made_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    reports = [report(number, f"S23-{number:05}") for number in range(1, 6)]
    workspace = open_clinic(tmp_path, reports=reports)
    tell(workspace, *(row["report_id"] for row in reports))
    apply(workspace)
    names = ("diagnoses", "ihc_results", "report_concepts", "reports")
    whole = {name: shown(workspace, name) for name in names}
    assert all(len(told) >= len(reports) for told in whole.values())
    monkeypatch.setattr("pathcurate.deid.build._ROWS_OF_A_PIECE", rows)
    apply(workspace)
    assert {name: shown(workspace, name) for name in names} == whole


@pytest.mark.parametrize("turned", [False, True])
def test_the_latest_supplement_stands_though_another_has_no_date(tmp_path: Path, turned: bool) -> None:
    reports = [
        report(1, report_type="supplementary", is_current=False, reported_date=None, organ="lung"),
        report(2, report_type="supplementary", is_current=False, organ="liver"),
        report(3, report_type="supplementary", is_current=False, reported_date=datetime(2023, 3, 6, 17), organ="colon"),
    ]
    workspace = open_clinic(tmp_path, reports=reports[::-1] if turned else reports)
    apply(workspace)
    (case,) = shown(workspace, "cases")
    # By the hour: all that is left of it in deid/ is the day.
    assert (case["organ"], case["report_count"]) == ("colon", 3)


def test_values_in_no_closed_set_are_left_out_counted_and_never_quoted(tmp_path: Path) -> None:
    reports = [
        report(1, organ="左乳", icd10="C50.900"),
        report(2, "S23-00002", organ="欧阳靖远的乳腺", icd10="欧阳靖远", language="文言"),
    ]
    workspace = open_clinic(tmp_path, reports=reports, slides=[{**FULL_SLIDE, "stain": "H&E", "scanner_model": "X"}])
    summary = apply(workspace)
    assert summary.left_out == {"reports.organ": 1, "reports.icd10": 1, "reports.language": 1, "slides.scanner_model": 1}
    assert {row["organ"] for row in shown(workspace, "cases")} == {"breast", None}
    assert [row["stain"] for row in shown(workspace, "slides")] == ["HE"]
    findings = read_findings(Catalog(workspace.catalog), "deid")
    assert {item.rule for item in findings} == {"deid.outside_closed_set"}
    assert Search(CANARIES).in_text(json.dumps([item.as_dict() for item in findings], ensure_ascii=False)) == set()


# --- permissions -------------------------------------------------------------------------------------------------


def test_a_permission_is_one_persons_and_an_opt_out_whoevers_it_may_be(tmp_path: Path) -> None:
    common = {"site": "NB01", "source": "consent-7.csv"}
    statements: list[Row] = [
        {**common, "subject": "person", "subject_value": CANARIES["number"], "opt_out": False},
        {**common, "subject": "person", "subject_value": CANARIES["number"], "opt_out": True},
        {**common, "subject": "person", "subject_value": "unknown", "opt_out": True},
        {**common, "subject": "case", "subject_value": CANARIES["accession"], "opt_out": False},
        {**common, "subject": "site", "opt_out": False},
        {**common, "subject": "population", "site": None, "opt_out": False},
    ]
    workspace = open_clinic(tmp_path, permissions=[{**row, "source_row": n} for n, row in enumerate(statements)])
    apply(workspace)
    (case,) = shown(workspace, "cases")
    rows = [(row["subject"], row["subject_code"], row["opt_out"]) for row in true(workspace, "permissions")]
    assert sorted(rows) == sorted([
        ("person", case["patient_id"], False), ("person", case["group_id"], True), ("case", case["case_id"], False),
        ("site", "NB01", False), ("population", "population", False),
    ])  # fmt: skip


# --- verification ------------------------------------------------------------------------------------------------


def rewrite(workspace: Workspace, name: str, **columns: Any) -> None:
    """Replace columns of a de-identified table, as if the scrubber had been wrong."""
    path = workspace.deid / f"{name}.parquet"
    data = read_parquet(path)
    for column, value in columns.items():
        field = data.schema.field(column)
        data = data.set_column(data.column_names.index(column), field, pa.array([value] * data.num_rows, field.type))
    write_parquet(path, data)


def test_an_identifier_planted_in_any_kept_text_is_found_and_not_quoted(tmp_path: Path) -> None:
    workspace = open_clinic(tmp_path)
    tell(workspace, CANARIES["report"])
    apply(workspace)
    search = Search(CANARIES)
    texts = {
        name: [column.name for column in table.columns if column.type is Type.STRING]
        for name, table in DEID_TABLES.items()
        if shown(workspace, name)
    }
    assert set(DEID_TABLES) - set(texts) == {"series", "annotations", "materials"}  # see test_deid_tables
    kinds = ("name", "accession", "phone", "slide", "report", "group")
    # Each column is met with half of them, and each of them with half of all columns.
    for first in (0, 2, 4):
        planted = cycle([*kinds[first:], *kinds[:first]])
        for name, columns in texts.items():
            rewrite(workspace, name, **dict(zip(columns, (CANARIES[next(planted)] for _ in columns), strict=True)))
        faults = deid.verify(workspace, actor="tester").faults
        found = {fault.split()[0] for fault in faults if "known direct identifier" in fault}
        assert found == {f"{name}.{column}" for name, columns in texts.items() for column in columns}, first
        assert search.in_text(" ".join(faults)) == set()
    assert broken_event(workspace.vault) is None
    assert search.in_tree(workspace.vault) == {}


def test_persons_of_the_catalog_are_known_too(own: Workspace) -> None:
    (person,) = Catalog(own.catalog).read(PERSONS).to_pylist()
    rewrite(own, "slides", patient_id=person["person_id"], group_id=person["group_id"])
    faults = deid.verify(own, actor="tester").faults
    assert {fault.split()[0] for fault in faults} == {"slides.patient_id", "slides.group_id"}


@pytest.mark.parametrize(("table", "column", "day"), [
    ("slides", "scan_datetime", date(2023, 3, 7)), ("cases", "received_date", date(2023, 3, 1)),
    ("reports", "reported_date", date(2023, 3, 6)),
])  # fmt: skip
def test_a_date_that_was_not_moved_is_found(own: Workspace, table: str, column: str, day: date) -> None:
    rewrite(own, table, **{column: day})
    assert deid.verify(own, actor="tester").faults == (f"{table}.{column} has 1 dates that were not moved",)


def test_a_true_age_and_a_foreign_row_are_found(own: Workspace) -> None:
    rewrite(own, "cases", age=91, case_id="C-0123456789ABCDEF")
    assert set(deid.verify(own, actor="tester").faults) == {
        "cases.age has ages over 90", "cases.case_id does not agree with the criterion-only values",
    }  # fmt: skip


def test_columns_too_many_too_few_or_of_another_type_are_found(own: Workspace) -> None:
    path = own.deid / "slides.parquet"
    data = read_parquet(path)
    width = data.column_names.index("width")
    wrong = data.set_column(width, "width", pa.array([CANARIES["name"]])).drop_columns(["slide_id", "scan_datetime"])
    write_parquet(path, wrong.append_column("patient_name", pa.array([CANARIES["name"]])))
    faults = deid.verify(own, actor="tester").faults
    assert sorted(faults) == [
        "slides.patient_name is not declared", "slides.scan_datetime is missing",
        "slides.slide_id does not agree with the criterion-only values", "slides.slide_id is missing",
        "slides.width has another type than declared",
    ]  # fmt: skip


def test_a_file_that_does_not_belong_there_is_found_and_not_named(own: Workspace) -> None:
    (own.deid / f"{CANARIES['name']}.csv").write_text("x")
    (own.deid / CANARIES["number"]).mkdir()
    assert deid.verify(own, actor="tester").faults == ("deid/ holds 2 files or folders that do not belong there",)
    assert deid.apply(own, actor="tester").faults != ()
    with pytest.raises(PlanIncompleteError, match="did not pass"):
        demand_seal(own)


# --- crashes -----------------------------------------------------------------------------------------------------

_KILLED_AT_EACH_POINT = """
import os, shutil, signal, sys
from pathlib import Path
from pathcurate import deid
from pathcurate.workspace import load_workspace

root, points = Path(sys.argv[1]), [int(text) for text in sys.argv[2:]]
for point in points:
    copy = root.with_name(f"killed-{point}")
    shutil.copytree(root, copy, symlinks=True)
    child = os.fork()
    if child == 0:
        left = [point]
        def die(event, arguments):
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in ("os.rename", "os.remove", "os.link", "os.truncate", "os.chmod", "os.mkdir"):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        workspace = load_workspace(copy / "pathcurate.yaml")
        sys.addaudithook(die)
        deid.apply(workspace, actor="tester")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(point, os.waitstatus_to_exitcode(status), flush=True)
"""


def test_a_run_killed_at_any_moment_leaves_no_seal_that_it_has_not_earned(own: Workspace) -> None:
    workspace, root = own, own.root
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, [slide(2)]))
    link_again(workspace)
    points = [0, 1, 3, 5, 6, 7, 8, 21, 34, 1000]
    command = [sys.executable, "-c", _KILLED_AT_EACH_POINT, str(root), *map(str, points)]
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    codes = {int(point): int(code) for point, code in map(str.split, output.splitlines())}
    assert codes == {point: 0 if point == 1000 else -9 for point in points}
    killed = [load_workspace(root.with_name(f"killed-{point}") / "pathcurate.yaml") for point in points]
    assert [_is_sealed(workspace) for workspace in killed] == [point == 1000 for point in points]
    for workspace in killed:
        apply(workspace)
        assert {path.name for path in workspace.deid.iterdir()} == {*(f"{name}.parquet" for name in DEID_TABLES), SEAL_FILE}
        assert broken_event(workspace.vault) is None
        assert sealed_bytes(workspace) == sealed_bytes(killed[-1])


def test_what_a_killed_run_left_half_written_goes_with_the_next(own: Workspace) -> None:
    for path in (*files(own).values(), own.deid / SEAL_FILE):
        (path.parent / f".{path.name}.k3j2h1").write_bytes(b"PAR1 half")
    apply(own)
    assert not list(own.root.rglob(".*.k3j2h1"))


def _is_sealed(workspace: Workspace) -> bool:
    try:
        seal = demand_seal(workspace)
    except PlanIncompleteError:
        return False
    # What is vouched for passes: the tables are those of today's catalog.
    assert [len(shown(workspace, "slides")), seal.faults] == [2, ()]
    assert deid.verify(workspace, actor="tester").faults == ()
    return True

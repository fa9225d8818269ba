"""Links: which case a slide belongs to, on what evidence, and when nothing may be linked."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate.engines.embedded import Embedded
from pathcurate.findings import read_findings
from pathcurate.link import LinkSummary, link
from pathcurate.model.case import CASES
from pathcurate.model.finding import Severity
from pathcurate.model.link import LINKS, TIERS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.permissions import import_permissions
from pathcurate.reports import import_reports
from pathcurate.scan import scan
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import load_workspace
from tests.archives import Here

Row = dict[str, Any]


def day(number: int) -> datetime:
    return datetime(2023, 5, number)  # noqa: DTZ001 - local time without a zone


_WORKSPACE = """\
workspace: 1
name: t
sites:
  - {code: NB01, archives: [{name: main, root: nb01}]}
  - {code: NB02, archives: [{name: main, root: nb02}]}
"""


class Bench:
    """A catalog with slides, numbers and reports as a test says, linked."""

    def __init__(self, root: Path) -> None:
        file = root / "pathcurate.yaml"
        file.write_text(_WORKSPACE)
        self.workspace = load_workspace(file)
        self.catalog = Catalog(self.workspace.catalog)

    def reports(self, *rows: Row) -> None:
        filled = [
            {"report_id": f"R-{number}", "site": "NB01", "report_type": "primary", "status": "final", "is_current": True,
             "source_row": number, **row}
            for number, row in enumerate(rows)
        ]  # fmt: skip
        self.catalog.replace(REPORTS, from_rows(REPORTS, filled))

    def slides(self, **numbers: Iterable[str]) -> None:
        """Slides by identifier, each with its numbers as ``source:key`` or ``source:key:part``; ``NB02_x`` is at NB02."""
        rows = []
        for slide_id, named in numbers.items():
            texts: dict[str, list[str]] = {}
            for one in named:
                source, key, part = (*one.split(":"), "")[:3]
                head, _, number = key.rpartition("-")
                texts.setdefault(source, []).append(f"{head}-{number:0>5}{'-' + part if part else ''}")
            names = ["/".join(texts.get("folder", ())), " ".join(texts.get("file_name", ())) or "x"]
            rows.append({
                "slide_id": slide_id, "site": "NB02" if slide_id.startswith("NB02") else "NB01", "archive": "main",
                "relpath": f"{slide_id}/{'/'.join(filter(None, names))}.svs".encode(), "status": "ok",
                "barcode": " ".join(texts.get("barcode", ())) or None,
                "label_text": " ".join(texts.get("label", ())) or None, "metadata_texts": texts.get("metadata"),
            })  # fmt: skip
        self.catalog.replace(SLIDES, from_rows(SLIDES, rows))

    def set_slides(self, **columns: Row) -> None:
        rows = [{**row, **columns.get(row["slide_id"], {})} for row in self.catalog.read(SLIDES).to_pylist()]
        self.catalog.replace(SLIDES, from_rows(SLIDES, rows))

    def run(self) -> LinkSummary:
        with Embedded(workers=1, temp_directory=self.workspace.root / "spill") as engine:
            self.summary = link(self.workspace, engine)
        return self.summary

    def links(self) -> dict[str, Row]:
        return {row["slide_id"]: row for row in self.catalog.read(LINKS).to_pylist()}

    def of(self, *numbers: str) -> Row:
        """The link of one slide with these numbers."""
        self.slides(x=numbers)
        self.run()
        return self.links()["x"]

    def found(self) -> list[tuple[str, str | None]]:
        return [(finding.rule, finding.subject) for finding in read_findings(self.catalog, "link")]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.reports(
        {"accession": "S23-1", "patient_id": "P1"}, {"accession": "S23-2", "patient_id": "P2"},
        {"accession": "S23-3", "patient_id": "P1"}, {"accession": "S23-1", "patient_id": "P9", "site": "NB02"},
    )  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("numbers", "tier", "evidence"),
    [
        (["barcode:S23-1", "file_name:S23-1"], "exact", ["barcode", "file_name"]),
        (["metadata:S23-1", "folder:S23-1"], "exact", ["metadata", "folder"]),
        (["barcode:S23-1", "metadata:S23-1"], "exact", ["barcode", "metadata"]),
        (["label:S23-1", "file_name:S23-1", "folder:S23-1"], "exact", ["label", "file_name", "folder"]),
        (["barcode:S23-1"], "barcode", ["barcode"]),
        (["label:S23-1"], "barcode", ["label"]),
        # One machine printed both, so they are one witness.
        (["barcode:S23-1", "label:S23-1"], "barcode", ["barcode", "label"]),
        (["metadata:S23-1"], "metadata", ["metadata"]),
        (["file_name:S23-1"], "file_name", ["file_name"]),
        (["folder:S23-1"], "file_name", ["folder"]),
        # One person typed both, so they are one witness.
        (["file_name:S23-1", "folder:S23-1"], "file_name", ["file_name", "folder"]),
    ],
)
def test_tiers_with_their_evidence(bench: Bench, numbers: list[str], tier: str, evidence: list[str]) -> None:
    row = bench.of(*numbers)
    assert (row["tier"], row["accession"], row["report_id"]) == (tier, "S23-1", "R-0")
    assert (row["evidence"], row["confidence"], row["losing_candidates"]) == (evidence, 1.0, None)
    assert row["rule"] == ("witnesses_agree" if tier == "exact" else "one_witness")
    assert bench.found() == []


@pytest.mark.parametrize(
    "numbers",
    [
        ["barcode:S23-1", "file_name:S23-2"], ["file_name:S23-1", "file_name:S23-2"], ["file_name:S23-1", "folder:S23-2"],
        ["barcode:S23-1", "metadata:S23-1", "folder:S23-2"],
        # Two cases of one patient are two cases.
        ["barcode:S23-1", "file_name:S23-3"],
    ],
)  # fmt: skip
def test_two_known_numbers_link_nothing(bench: Bench, numbers: list[str]) -> None:
    row = bench.of(*numbers)
    assert (row["tier"], row["rule"], row["accession"], row["report_id"]) == ("conflict", "numbers_disagree", None, None)
    said: dict[str, list[str]] = {}
    for source, key in (number.split(":") for number in numbers):
        said.setdefault(key, []).append(source)
    assert row["losing_candidates"] == [f"{key} {','.join(said[key])}: another case" for key in sorted(said)]
    assert bench.found() == [("link.numbers_disagree", "x")]


def test_a_number_counts_only_if_the_reports_have_it(bench: Bench) -> None:
    row = bench.of("barcode:S23-99", "file_name:S23-1", "folder:S14-1")
    assert (row["tier"], row["accession"], row["evidence"]) == ("file_name", "S23-1", ["file_name"])
    # It decides nothing, but it is not silent either.
    assert row["losing_candidates"] == ["S14-1 folder: not in the reports", "S23-99 barcode: not in the reports"]
    assert row["confidence"] == pytest.approx(1 / 3)
    row = bench.of("barcode:S23-99", "file_name:S23-98")
    assert (row["tier"], row["rule"], row["accession"]) == ("none", "no_known_number", None)
    assert bench.found() == [("link.unknown_number", "x")]


def test_a_source_with_a_known_and_an_unknown_number_speaks_for_the_known_one(bench: Bench) -> None:
    row = bench.of("file_name:S23-1", "file_name:S20-2300001")
    assert (row["tier"], row["accession"], row["confidence"]) == ("file_name", "S23-1", 1.0)


def test_no_number_at_all(bench: Bench) -> None:
    assert bench.of()["tier"] == "none"
    assert bench.found() == [("link.no_number", "x")]


def test_the_same_number_at_two_sites(bench: Bench) -> None:
    bench.slides(NB01_a=["barcode:S23-1"], NB02_b=["barcode:S23-1"], NB02_c=["barcode:S23-2"])
    bench.run()
    links = bench.links()
    assert (links["NB01_a"]["report_id"], links["NB02_b"]["report_id"]) == ("R-0", "R-3")
    assert links["NB02_c"]["tier"] == "none", "only NB01 has S23-2"
    assert (
        len({row["person_id"] for row in bench.catalog.read(IDENTITIES).to_pylist() if row["id_value"] in {"P1", "P9"}}) == 2
    )


# ---- cases ----


def test_two_patients_one_number(bench: Bench) -> None:
    bench.reports(
        {"accession": "S23-1", "patient_id": "P1"}, {"accession": "S23-1", "patient_id": "P2",
        "report_type": "supplementary"},
        {"accession": "S23-2", "patient_id": "P2"},
    )  # fmt: skip
    row = bench.of("barcode:S23-1", "file_name:S23-1")
    assert (row["tier"], row["rule"], row["accession"], row["report_id"]) == ("conflict", "case_two_patients", None, None)
    assert bench.found() == [("link.case_two_patients", "R-0"), ("link.case_two_patients", "x")]
    assert {finding.severity for finding in bench.summary.findings} == {Severity.ERROR}
    values = {(row["id_type"], row["id_value"]) for row in bench.catalog.read(IDENTITIES).to_pylist()}
    assert values == {("patient_id", "P1"), ("patient_id", "P2"), ("accession", "S23-2")}, "nobody owns S23-1"


@pytest.mark.parametrize("other", ["p1", " P1 ", "Ｐ１"])
def test_two_spellings_of_one_patient_number(bench: Bench, other: str) -> None:
    bench.reports(
        {"accession": "S23-1", "patient_id": "P1"},
        {"accession": "S23-1", "patient_id": other, "report_type": "supplementary"},
    )
    assert bench.of("barcode:S23-1")["tier"] == "barcode"
    assert bench.summary.persons == 1


def test_a_supplement_without_the_patients_number(bench: Bench) -> None:
    bench.reports({"accession": "S23-1", "report_type": "supplementary"}, {"accession": "S23-1", "patient_id": "P1"})
    row = bench.of("barcode:S23-1")
    assert (row["tier"], row["report_id"]) == ("barcode", "R-1")
    assert bench.summary.persons == 1
    owners = {(row["id_type"], row["id_value"]): row["person_id"] for row in bench.catalog.read(IDENTITIES).to_pylist()}
    assert owners["accession", "S23-1"] == owners["patient_id", "P1"]


def test_a_case_without_any_patient_number_is_a_person_of_its_own(bench: Bench) -> None:
    bench.reports({"accession": "S23-1"}, {"accession": "S23-2"}, {"accession": "S23-1", "site": "NB02"})
    assert bench.of("barcode:S23-1")["tier"] == "barcode"
    persons = bench.catalog.read(PERSONS).to_pylist()
    assert (len(persons), {row["basis"] for row in persons}) == (3, {"case"})


def test_a_patient_number_that_is_also_a_case_number_is_not_the_same_person(bench: Bench) -> None:
    bench.reports({"accession": "S23-1", "patient_id": "S23-2"}, {"accession": "S23-2"})
    bench.of()
    owners = {(row["id_type"], row["id_value"]): row["person_id"] for row in bench.catalog.read(IDENTITIES).to_pylist()}
    assert owners["patient_id", "S23-2"] != owners["accession", "S23-2"]


@pytest.mark.parametrize(
    ("reports", "chosen"),
    [
        ([{"reported_date": day(1)}, {"reported_date": day(2), "is_current": False}], 0),
        ([{"report_type": "supplementary", "reported_date": day(9)}, {"reported_date": day(1)}], 1),
        ([{"status": "withdrawn", "is_current": False, "reported_date": day(9)}, {"report_type": "frozen"}], 1),
        ([{"report_type": "frozen", "reported_date": day(1)}, {"report_type": "supplementary", "reported_date": day(2)}], 1),
        ([{"report_type": "frozen", "reported_date": day(3)}, {"report_type": "supplementary", "reported_date": day(2)}], 0),
        ([{"status": "withdrawn", "is_current": False}], 0),
        ([{"reported_date": None}, {"reported_date": day(1), "report_type": "cytology"}], 0),
    ],
)
def test_the_report_of_a_case(bench: Bench, reports: list[Row], chosen: int) -> None:
    bench.reports(*({"accession": "S23-1", "patient_id": "P1", **report} for report in reports))
    assert bench.of("barcode:S23-1")["report_id"] == f"R-{chosen}"


# ---- specimen and block ----


def test_the_part_comes_from_the_number_that_is_linked(bench: Bench) -> None:
    def part(*numbers: str) -> tuple[str | None, str | None]:
        row = bench.of(*numbers)
        return row["specimen"], row["block"]

    assert part("barcode:S23-99:B2", "file_name:S23-1:A1") == ("A", "1")
    assert part("barcode:S23-99:B2", "file_name:S23-1") == (None, None)
    assert part("file_name:S23-1:A1", "barcode:S23-1:B2", "folder:S23-1:C3") == ("B", "2")
    assert part("metadata:S23-99:B2") == ("B", "2")


# ---- cross-checks ----


def test_shared_pixels_across_two_patients(bench: Bench) -> None:
    group = {"scan_group": "G-1"}
    bench.slides(a=["barcode:S23-1"], b=["barcode:S23-2"], c=["barcode:S23-3"], d=[])
    bench.set_slides(a=group, c=group, d=group)
    bench.run()
    assert bench.found() == [("link.no_number", "d")], "two cases of one patient, and a slide of nobody"
    bench.set_slides(b=group, c={"scan_group": None})
    bench.run()
    assert bench.found() == [
        ("link.no_number", "d"), ("link.shared_pixels_two_patients", "a"), ("link.shared_pixels_two_patients", "b")
    ]  # fmt: skip


def test_patients_of_one_glass_are_guarded_together_and_stay_two_persons(bench: Bench) -> None:
    group = {"scan_group": "G-1"}
    bench.slides(a=["barcode:S23-1"], b=["barcode:S23-2"], c=["barcode:S23-3"])
    bench.set_slides(a=group, b=group)
    bench.run()
    persons = bench.catalog.read(PERSONS).to_pylist()
    groups = Counter(row["group_id"] for row in persons)
    assert len({row["person_id"] for row in persons}) == len(persons)
    assert max(groups.values()) == 2
    bench.set_slides(b={"scan_group": None})
    bench.run()
    assert max(Counter(row["group_id"] for row in bench.catalog.read(PERSONS).to_pylist()).values()) == 1


@pytest.mark.parametrize(("scanned", "is_found"), [(1, True), (2, False), (3, False)])
def test_a_slide_scanned_before_its_specimen_came(bench: Bench, scanned: int, is_found: bool) -> None:
    bench.reports(
        {"accession": "S23-1", "patient_id": "P1", "received_date": day(2).replace(hour=15)},
        {"accession": "S23-1", "patient_id": "P1", "received_date": day(7), "report_type": "supplementary"},
    )
    bench.slides(x=["barcode:S23-1"])
    bench.set_slides(x={"scan_datetime": day(scanned)})
    bench.run()
    assert bench.found() == ([("link.scanned_before_receipt", "x")] if is_found else [])
    assert bench.links()["x"]["tier"] == "barcode", "a clock may be wrong: it is told, not decided"


def test_what_is_gone_has_no_link(bench: Bench) -> None:
    bench.slides(x=["barcode:S23-1"], y=["barcode:S23-2"])
    bench.set_slides(y={"status": "gone"})
    assert (bench.run().slides, set(bench.links())) == (1, {"x"})


def test_linking_again_follows_the_reports(bench: Bench) -> None:
    assert bench.of("barcode:S23-1")["tier"] == "barcode"
    tables = (SLIDES, SLIDE_KEYS, CASES, PERSONS, IDENTITIES, LINKS)
    states = [bench.catalog.state(table) for table in tables]
    bench.run()
    assert [bench.catalog.state(table) for table in tables] == states
    bench.reports({"accession": "S23-2", "patient_id": "P2"})
    bench.run()
    assert (bench.links()["x"]["tier"], bench.links()["x"]["accession"]) == ("none", None)


def test_a_slide_of_a_site_that_is_no_longer_configured(bench: Bench) -> None:
    file = bench.workspace.root / "pathcurate.yaml"
    bench.slides(x=["barcode:S23-1"])
    assert bench.run().tiers["barcode"] == 1
    file.write_text(_WORKSPACE.partition("  - {code: NB02")[0].replace("NB01", "NB02"))
    bench.workspace = load_workspace(file)
    summary = bench.run()
    assert (summary.slides, summary.tiers["barcode"]) == (0, 0)
    assert [finding.rule for finding in summary.findings] == ["link.archive_not_configured"]


def test_a_known_number_beside_an_unknown_one_is_told(bench: Bench) -> None:
    bench.slides(x=["file_name:S23-99999", "folder:S23-1"])
    assert "link.another_number" in [finding.rule for finding in bench.run().findings]


def test_the_summary_adds_up(bench: Bench) -> None:
    bench.slides(a=["barcode:S23-1"], b=["folder:S23-1"], c=["barcode:S23-1", "folder:S23-2"], d=["barcode:S23-9"], e=[])
    summary = bench.run()
    assert (summary.slides, summary.cases, summary.cases_without_slides, summary.persons) == (5, 4, 3, 3)
    assert tuple(summary.tiers) == TIERS
    assert {tier: count for tier, count in summary.tiers.items() if count} == {
        "barcode": 1,
        "file_name": 1,
        "conflict": 1,
        "none": 2,
    }


def test_no_number_is_ever_in_a_message(bench: Bench) -> None:
    bench.reports(
        {"accession": "S23-77001", "patient_id": "CANARY-1"}, {"accession": "S23-77001", "patient_id": "CANARY-2"},
        {"accession": "S23-77002", "patient_id": "CANARY-1", "received_date": day(9)}, {"accession": "S23-77003",
        "patient_id": "CANARY-3"},
    )  # fmt: skip
    bench.slides(
        a=["barcode:S23-77001"], b=["barcode:S23-77002", "folder:S23-77003"], c=["barcode:S23-77002"], d=["label:S23-77999"],
        e=["barcode:S23-77003"], f=[],
    )  # fmt: skip
    bench.set_slides(c={"scan_group": "G-1", "scan_datetime": day(1)}, e={"scan_group": "G-1"})
    findings = bench.run().findings
    assert {finding.rule for finding in findings} == {
        "link.case_two_patients", "link.numbers_disagree", "link.unknown_number", "link.no_number",
        "link.scanned_before_receipt", "link.shared_pixels_two_patients",
    }  # fmt: skip
    said = json.dumps([finding.as_dict() for finding in findings])
    assert "77" not in said
    assert "CANARY" not in said


# ---- the whole made-up hospital against its answer key ----


@pytest.fixture(scope="module")
def linked(pristine_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, dict[str, Any], LinkSummary]:
    """The catalog of a hospital that was scanned, imported and linked; its answer key; what linking found."""
    root = tmp_path_factory.mktemp("linked")
    for item in pristine_hospital.iterdir():
        (root / item.name).symlink_to(item)
    # The slides are only read, so that they need no copy; the workspace file must lie where the catalog shall.
    (root / "pathcurate.yaml").unlink()
    (root / "pathcurate.yaml").write_bytes((pristine_hospital / "pathcurate.yaml").read_bytes())
    workspace = load_workspace(root / "pathcurate.yaml")
    with Here(workers=1, temp_directory=root / "spill") as engine:
        scan(workspace, engine)
        import_reports(workspace)
        import_permissions(workspace)
        summary = link(workspace, engine)
    answers = json.loads((pristine_hospital / "hospital/answers.json").read_text("utf-8"))
    return Catalog(workspace.catalog), answers, summary


def test_every_slide_of_the_hospital(linked: tuple[Catalog, dict[str, Any], LinkSummary]) -> None:
    catalog, answers, summary = linked
    links = {row["slide_id"]: row for row in catalog.read(LINKS).to_pylist()}
    owners = {
        (row["site"], row["id_type"], row["id_value"]): row["person_id"] for row in catalog.read(IDENTITIES).to_pylist()
    }
    found, wanted = {}, {}
    for row in catalog.read(SLIDES).to_pylist():
        case = links[row["slide_id"]]
        found[row["site"], row["relpath"].hex()] = {
            **{name: row[name] for name in ("status", "barcode", "is_control")},
            **{name: case[name] for name in ("tier", "accession", "stain", "specimen", "block")},
            "person": owners.get((row["site"], "accession", case["accession"])),
        }
    for answer in answers["slides"]:
        wanted[answer["site"], answer["relpath_hex"]] = {
            **{name: answer[name] for name in ("status", "specimen", "block", "barcode", "is_control", "tier", "accession")},
            # The key names a marker as a label does (Ki-67), the table by its code (IHC:Ki-67).
            "stain": answer["stain"] and vocabulary("stains").words[answer["stain"].lower()],
            "person": owners[answer["site"], "patient_id", answer["patient"]] if answer["patient"] else None,
        }
    assert found == wanted
    assert summary.slides == len(wanted)


def test_every_report_of_the_hospital(linked: tuple[Catalog, dict[str, Any], LinkSummary]) -> None:
    catalog, answers, _ = linked
    sexes = {"F": "female", "M": "male"}
    found = [
        {
            **{name: row[name] for name in ("site", "accession", "accession_raw", "organ", "age")},
            "patient": row["patient_id"], "name": row["patient_name"], "sex": row["sex"], "type": row["report_type"],
            "received": row["received_date"].date().isoformat(), "reported": row["reported_date"].date().isoformat(),
            "status": row["status"], "is_current": row["is_current"], "has_text": bool(row["diagnosis"]),
        }
        for row in catalog.read(REPORTS).to_pylist()
    ]  # fmt: skip
    wanted = [
        {**{name: value for name, value in answer.items() if name not in {"birth_date", "age_text"}},
         "sex": sexes[answer["sex"]], "status": "final", "is_current": True, "has_text": True}
        for answer in answers["reports"]
    ]  # fmt: skip
    for answer in wanted:
        # NB02's export has no column for the specimen, and the text of its supplement does not name the organ.
        if answer["site"] == "NB02" and answer["type"] == "supplementary":
            answer["organ"] = None
        # The key files the baby's Hirschsprung's disease under colon, as its folder does; the specimen is 直肠.
        if answer["organ"] == "colon" and answer["age"] == 0:
            answer["organ"] = "rectum"

    def key(row: Row) -> str:
        return json.dumps(row, sort_keys=True)

    assert sorted(found, key=key) == sorted(wanted, key=key)


def test_every_permission_of_the_hospital(linked: tuple[Catalog, dict[str, Any], LinkSummary]) -> None:
    catalog, answers, _ = linked
    statements: dict[tuple[str, str], list[Row]] = {}
    for row in catalog.read(PERMISSIONS).to_pylist():
        assert row["subject"] == "person"
        statements.setdefault((row["site"], row["subject_value"]), []).append(row)
    today = datetime(2026, 1, 1).date()  # noqa: DTZ001
    for patient in answers["patients"]:
        mine = statements.pop((patient["site"], patient["patient"]), [])
        allowed = [row for row in mine if "research" in row["purposes"] and row["valid_from"] <= today <= row["valid_to"]
                   and not row["opt_out"]]  # fmt: skip
        is_out = any(row["opt_out"] for row in mine)
        assert (bool(allowed) and not is_out) == patient["allowed"], patient["reason"]
        assert is_out == (patient["reason"] == "opted_out")
        assert bool(mine) == (patient["reason"] != "no_permission")
        basis = {row["basis"] for row in mine if not row["opt_out"]}
        assert basis <= ({"waiver"} if patient["reason"] == "waiver" else {"consent"})
    assert statements == {}
    assert read_findings(catalog, "permissions") == []
    assert read_findings(catalog, "reports") == []


def test_linking_again_changes_nothing(hospital: Path) -> None:
    workspace = load_workspace(hospital / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    with Here(workers=1, temp_directory=hospital / "spill") as engine:
        scan(workspace, engine)
        import_reports(workspace)
        link(workspace, engine)
        before = [catalog.state(table) for table in (LINKS, SLIDES, PERSONS, IDENTITIES)]
        link(workspace, engine)
    assert [catalog.state(table) for table in (LINKS, SLIDES, PERSONS, IDENTITIES)] == before

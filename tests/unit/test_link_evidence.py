"""Links beyond one number: senders, glass, the scanner, reviewers, series; and what speaks for a link or against it."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pathcurate.engines.embedded import Embedded
from pathcurate.findings import read_findings
from pathcurate.link import LinkSummary, link
from pathcurate.model.column import Table
from pathcurate.model.link import LINK_DECISIONS, LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.person import MERGES
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import load_workspace

Row = dict[str, Any]
RECEIVED = datetime(2023, 3, 1, 8)


class Clinic:
    """A catalog whose tables a test fills; linked on one engine."""

    def __init__(self, root: Path, engine: Embedded) -> None:
        file = root / "pathcurate.yaml"
        file.write_text(
            "workspace: 1\nname: t\nlink: {patient_date_days: 30}\nsites:\n"
            + "".join(f"  - {{code: {code}, archives: [{{name: main, root: {code}}}]}}\n" for code in ("NB01", "NB02"))
        )
        self.workspace = load_workspace(file)
        self.catalog = Catalog(self.workspace.catalog)
        self.engine = engine
        self.rows: dict[str, list[Row]] = {table.name: [] for table in (REPORTS, SLIDES, MATERIALS, SCANNER_INDEX, SERIES)}

    def add(self, table: Table, key: str, **values: Any) -> "Clinic":
        number = len(self.rows[table.name])
        common: dict[str, Row] = {
            "reports": {"report_type": "primary", "status": "final", "is_current": True, "source_row": number,
                        "received_date": RECEIVED, "reported_date": RECEIVED + timedelta(days=4)},
            "slides": {"archive": "main", "relpath": f"x/{key}.svs".encode(), "status": "ok",
                       "scan_datetime": RECEIVED + timedelta(days=5), "stain": "HE"},
            "series": {"archive": "main", "relpath": key.encode(), "status": "ok"},
            "materials": {"kind": "slide"}, "scanner_index": {},
        }  # fmt: skip
        self.rows[table.name].append({"site": "NB01", **common[table.name], table.key[0]: key, **values})
        return self

    def report(self, key: str, accession: str, patient: str | None = "P1", **values: Any) -> "Clinic":
        return self.add(REPORTS, key, accession=accession, patient_id=patient, **values)

    def slide(self, key: str, name: str = "", **values: Any) -> "Clinic":
        return self.add(SLIDES, key, **({"relpath": f"x/{name}.svs".encode()} if name else {}), **values)

    def decide(self, *decisions: tuple[str, str, str | None]) -> None:
        rows = [
            {"decision_id": f"d{number}", "slide_id": slide, "site": "NB01", "decision": decision, "accession": accession,
             "decided_at": datetime(2024, 1, 1) + timedelta(hours=number)}
            for number, (slide, decision, accession) in enumerate(decisions)
        ]  # fmt: skip
        self.catalog.replace(LINK_DECISIONS, from_rows(LINK_DECISIONS, rows))

    def run(self, shuffle: int | None = None) -> LinkSummary:
        for table in (REPORTS, SLIDES, MATERIALS, SCANNER_INDEX, SERIES):
            rows = list(self.rows[table.name])
            if shuffle is not None:
                random.Random(shuffle).shuffle(rows)
            self.catalog.replace(table, from_rows(table, rows))
        return link(self.workspace, self.engine)

    def links(self) -> dict[str, Row]:
        return {row["slide_id"] or row["series_id"]: row for row in self.catalog.read(LINKS).to_pylist()}

    def rules(self) -> set[str]:
        return {finding.rule for finding in read_findings(self.catalog, "link")}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as made:
        yield made


@pytest.fixture
def clinic(tmp_path: Path, engine: Embedded) -> Clinic:
    return Clinic(tmp_path, engine)


def test_a_frozen_section_and_a_smear_go_to_their_own_report(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1").report("R2", "S23-1", report_type="frozen").report("R3", "S23-1", report_type="cytology")
    clinic.report("R4", "S23-2", "P2")
    clinic.slide("a", "S23-00001-A1").slide("b", "S23-00001-A2", preparation="frozen")
    clinic.slide("c", "S23-00001", preparation="cytology").slide("d", "S23-00002", preparation="frozen")
    clinic.run()
    assert {key: row["report_id"] for key, row in clinic.links().items()} == {"a": "R1", "b": "R2", "c": "R3", "d": "R4"}


def test_a_senders_number_leads_to_the_consultation_and_only_if_nobody_here_has_it(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", "P1", report_type="consultation", accession_external="h20-00777 ")
    clinic.report("R2", "S23-2", "P2", report_type="consultation", accession_external="S23-00003").report(
        "R3", "S23-3", "P3"
    )
    clinic.report("R4", "S23-4", "P4", accession_external="Z21-500").report(
        "R5", "S23-5", "P5", accession_external="Z21-500"
    )
    clinic.slide("a", "H20-00777-A1").slide("b", "S23-00003").slide("c", "Z21-00500").slide("d", "S23-00001_H20-00777")
    clinic.run()
    links = clinic.links()
    assert (links["a"]["accession"], links["a"]["rule"], links["a"]["tier"]) == ("S23-1", "external_number", "file_name")
    assert (links["a"]["specimen"], links["a"]["block"]) == ("A", "1")
    assert (links["b"]["accession"], links["b"]["rule"]) == ("S23-3", "one_witness"), "a number of the site comes first"
    assert links["b"]["losing_candidates"] == ["S23-3 file_name: a sender's number of another case"]
    assert (links["c"]["tier"], links["c"]["accession"]) == ("conflict", None), "two cases have the sender's number"
    assert (links["d"]["accession"], links["d"]["tier"]) == ("S23-1", "file_name"), "both numbers are of one case"


def test_the_number_of_another_patient_makes_a_conflict(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", "P1").report("R2", "S23-2", "P2")
    clinic.slide("a", "S23-00001", patient_id="p1").slide("b", "S23-00001", patient_id="P2")
    clinic.slide("c", "S23-00001", patient_id="P77").slide("d", "S23-00001")
    clinic.run()
    links = clinic.links()
    assert [links[key]["patient_agrees"] for key in "abcd"] == [True, None, None, None]
    assert (links["b"]["tier"], links["b"]["rule"], links["b"]["person_id"]) == ("conflict", "patient_disagrees", None)
    assert links["b"]["losing_candidates"] == ["S23-1 file_name: patient_disagrees"]
    assert links["c"]["accession"] == "S23-1", "a number that nobody is known by says nothing"
    assert "link.patient_disagrees" in clinic.rules()


def test_two_numbers_of_possibly_one_person_do_not_disagree(clinic: Clinic) -> None:
    person = {"patient_name": "示例甲", "sex": "female", "birth_date": date(1960, 1, 2)}
    clinic.report("R1", "S23-1", "P1", **person).report("R2", "S23-2", "P2", **person)
    clinic.slide("a", "S23-00001", patient_id="P2").run()
    assert (clinic.links()["a"]["accession"], clinic.links()["a"]["patient_agrees"]) == ("S23-1", None)


@pytest.mark.parametrize(
    ("days", "organ", "expected"),
    [(0, None, "S23-1"), (30, None, "S23-1"), (31, None, None), (-1, None, None), (3, "lung", None), (3, "breast", "S23-1")],
)
def test_the_patient_and_the_date(clinic: Clinic, days: int, organ: str | None, expected: str | None) -> None:
    clinic.report("R1", "S23-1", "P1", organ="breast").report("R2", "S20-2", "P1", received_date=datetime(2020, 1, 1))
    clinic.slide("a", patient_id="P1", scan_datetime=RECEIVED + timedelta(days=days), organ=organ)
    clinic.run()
    row = clinic.links()["a"]
    assert row["accession"] == expected
    assert (row["tier"], row["rule"]) == (("patient_date", "patient_date") if expected else ("none", "no_number"))
    assert row["evidence"] == (["patient_date"] if expected else None)


def test_the_patient_and_the_date_never_guess(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", "P1").report("R2", "S23-2", "P1").report("R3", "S23-3", "P3").report("R4", "S23-4", "P4")
    clinic.slide("several", patient_id="P1").slide("numbered", "S99-00001", patient_id="P3")
    clinic.slide("undated", patient_id="P3", scan_datetime=None).slide("other site", patient_id="P3", site="NB02")
    clinic.run()
    links = clinic.links()
    assert {key: row["tier"] for key, row in links.items()} == dict.fromkeys(links, "none")
    assert links["several"]["losing_candidates"] == [
        "S23-1 patient_date: another case of the patient", "S23-2 patient_date: another case of the patient"
    ]  # fmt: skip
    assert links["numbered"]["rule"] == "no_known_number", "a number of its own, of a case that the export lacks"
    assert links["several"]["person_id"] is not None, "whose it is, is known"


def test_the_glass_table_knows_opaque_barcodes_and_true_stains(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", "P1")
    clinic.add(MATERIALS, "M1", accession="S23-1", specimen="B", block="2", stain="IHC:Ki-67", glass_id="0012345678")
    clinic.add(MATERIALS, "M2", accession="S23-1", specimen="A", block="1", stain="HE")
    clinic.add(MATERIALS, "M3", accession="S23-1", specimen="C", block="1", stain="HE")
    clinic.add(MATERIALS, "M4", accession="S23-1", specimen="C", block="1", stain="HE")
    clinic.slide("opaque", barcode="００１２３４５６７８", stain=None).slide(
        "placed", "S23-00001-A1 HE", specimen="A", block="1"
    )
    clinic.slide("twofold", "S23-00001-C1 HE", specimen="C", block="1").slide("odd", "S23-00001-A1 PAS", stain="PAS")
    clinic.run()
    links = clinic.links()
    seen = {
        key: (row["accession"], row["material_id"], row["specimen"], row["block"], row["stain"])
        for key, row in links.items()
    }
    assert seen["opaque"] == ("S23-1", "M1", "B", "2", "IHC:Ki-67")
    assert links["opaque"]["tier"] == "barcode"
    assert seen["placed"] == ("S23-1", "M2", "A", "1", "HE")
    assert seen["twofold"][1] is None, "two glasses could be it"
    assert (links["placed"]["stain_plausible"], links["odd"]["stain_plausible"]) == (True, False)
    assert (links["placed"]["block_named"], links["odd"]["block_named"]) == (True, True)


def test_the_scanners_table_is_a_witness_of_its_own(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", "P1").report("R2", "S23-2", "P2")
    clinic.add(SCANNER_INDEX, "X1", path=r"\\srv\scan\x\named.svs", accession="S23-1", patient_id="P1")
    clinic.add(SCANNER_INDEX, "X2", path="x/S23-00001.svs", accession="S23-1")
    clinic.add(SCANNER_INDEX, "X3", path="x/S23-00001 B.svs", accession="S23-2")
    clinic.slide("named").slide("both", "S23-00001").slide("against", "S23-00001 B")
    clinic.run()
    links = clinic.links()
    assert (links["named"]["tier"], links["named"]["patient_agrees"]) == ("index", True)
    assert (links["both"]["tier"], links["both"]["evidence"]) == ("exact", ["index", "file_name"])
    assert (links["against"]["tier"], links["against"]["rule"]) == ("conflict", "numbers_disagree")


def test_a_case_that_the_scanner_read_from_the_barcode_is_one_witness_with_it(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1").report("R2", "S23-2")
    clinic.add(SCANNER_INDEX, "X1", path="x/a.svs", barcode="S23-00001-A1", accession="S23-1")
    clinic.add(SCANNER_INDEX, "X2", path="x/b.svs", barcode="S23-00002-A1", accession="S23-2", accession_raw="S23-00002")
    clinic.add(SCANNER_INDEX, "X3", path="x/S23-00001.svs", barcode="S23-00001-A1", accession="S23-1")
    clinic.slide("a", barcode="S23-00001-A1").slide("b", barcode="S23-00002-A1").slide("c", "S23-00001")
    clinic.run()
    links = clinic.links()
    assert (links["a"]["tier"], links["a"]["evidence"]) == ("barcode", ["barcode"])
    assert (links["b"]["tier"], links["b"]["evidence"]) == ("exact", ["barcode", "index"]), "the laboratory named the case"
    assert (links["c"]["tier"], links["c"]["evidence"]) == ("exact", ["barcode", "file_name"]), "the scanner saw the glass"


def test_a_senders_number_of_another_case_disagrees(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", accession_external="H20-00777").report("R2", "S23-2", "P2")
    clinic.report("R3", "S23-3", "P3", accession_external="H20-00777")
    clinic.slide("a", "S23-00002", barcode="H20-00777-A1").slide("b", "S23-00001", barcode="H20-00777-A1")
    clinic.slide("c", "S23-00002", barcode="H20-00777-A1")
    clinic.decide(("c", "reject", "S23-1"), ("c", "reject", "S23-3"))
    clinic.run()
    links = clinic.links()
    assert (links["a"]["tier"], links["a"]["rule"], links["a"]["accession"]) == ("conflict", "numbers_disagree", None)
    assert links["a"]["losing_candidates"] == [
        "H20-777 barcode: a sender's number of another case", "H20-777 barcode: not in the reports",
        "S23-2 file_name: another case",
    ]  # fmt: skip
    assert (links["b"]["tier"], links["b"]["accession"]) == ("file_name", "S23-1"), "one of the two that it may be"
    assert (links["c"]["tier"], links["c"]["accession"]) == ("file_name", "S23-2")


def test_two_patients_on_one_slide_are_a_conflict(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", "P1").report("R2", "S23-2", "P2")
    clinic.add(SCANNER_INDEX, "X1", path="x/S23-00001.svs", patient_id="P2")
    clinic.add(SCANNER_INDEX, "X2", path="x/S23-00001 B.svs", patient_id="P77")
    clinic.slide("a", "S23-00001", patient_id="P1").slide("b", "S23-00001 B", patient_id="P1")
    clinic.run()
    assert (clinic.links()["a"]["tier"], clinic.links()["a"]["rule"]) == ("conflict", "patient_disagrees")
    assert (clinic.links()["b"]["tier"], clinic.links()["b"]["patient_agrees"]) == ("file_name", True)


def test_a_number_of_two_glasses_of_one_case_names_the_case(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1").report("R2", "S23-2", "P2")
    for block, accession, number in (("1", "S23-1", "77"), ("2", "S23-2", "77"), ("3", "S23-1", "78"), ("4", "S23-1", "78")):
        clinic.add(MATERIALS, f"M{block}", accession=accession, specimen="A", block=block, stain="HE", glass_id=number)
    clinic.slide("two cases", barcode="77").slide("two glasses", barcode="78")
    clinic.run()
    links = clinic.links()
    assert links["two cases"]["tier"] == "none"
    found = links["two glasses"]
    assert (found["tier"], found["accession"]) == ("barcode", "S23-1")
    assert (found["material_id"], found["specimen"], found["block"]) == (None, None, None)


def test_a_decision_about_a_case_of_another_site_decides_nothing(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1").report("R2", "S23-2", site="NB02").report("R3", "S23-1", site="NB02")
    clinic.slide("a", "S23-00001").slide("b", "S23-00001")
    rows = [
        {"decision_id": slide, "slide_id": slide, "site": "NB02", "decision": decision, "accession": accession,
         "decided_at": datetime(2024, 1, 1)}
        for slide, decision, accession in (("a", "confirm", "S23-2"), ("b", "reject", "S23-1"))
    ]  # fmt: skip
    clinic.catalog.replace(LINK_DECISIONS, from_rows(LINK_DECISIONS, rows))
    clinic.run()
    assert {row["tier"] for row in clinic.links().values()} == {"file_name"}


def test_a_run_that_finds_nothing_new_says_again_what_it_said(clinic: Clinic) -> None:
    person = {"patient_name": "示例甲", "sex": "female"}
    clinic.report("R1", "S23-1", "P1", **person).report("R2", "S23-2", "P2", **person)
    merge = {"merge_id": "M1", "site": "NB01", "patient_id": "P1", "other_patient_id": "P2"}
    clinic.catalog.replace(MERGES, from_rows(MERGES, [merge]))
    clinic.run()
    assert clinic.rules() == {"link.merged"}
    clinic.run()
    assert clinic.rules() == {"link.merged"}


def test_a_run_that_ended_before_it_spoke_is_made_good(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.report("R1", "S23-1", "P1").report("R2", "S23-1", "P2").slide("a", "S23-00001")
    clinic.run()
    clinic.report("R3", "S23-2", "P1").report("R4", "S23-2", "P2")
    with monkeypatch.context() as patch:
        patch.setattr("pathcurate.link.record_findings", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            clinic.run()
    clinic.run()
    found = [finding.subject for finding in read_findings(clinic.catalog, "link") if finding.table == "reports"]
    assert found == ["R2", "R4"]


def test_a_reviewers_word_wins(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", "P1").report("R2", "S23-2", "P2").report("R3", "S23-3", "P3").report("R4", "S23-3", "P4")
    clinic.slide("moved", "S23-00001").slide("solved", "S23-00001_S23-00002").slide("cleared", "S23-00001")
    clinic.slide("halved", "S23-00001 S23-00002").slide("lost", "S23-00001").slide("nobody's", "S23-00003")
    clinic.slide("against the header", "S23-00001", patient_id="P2")
    clinic.decide(
        ("moved", "confirm", "S23-2"), ("solved", "confirm", "S23-1"), ("cleared", "reject", None),
        ("halved", "reject", "S23-2"), ("lost", "confirm", "S23-77"),
        ("nobody's", "confirm", "S23-3"), ("against the header", "confirm", "S23-1"),
    )  # fmt: skip
    clinic.run()
    links = clinic.links()
    assert {key: (row["tier"], row["accession"]) for key, row in links.items()} == {
        "moved": ("reviewed", "S23-2"), "solved": ("reviewed", "S23-1"), "cleared": ("none", None),
        "halved": ("file_name", "S23-1"), "lost": ("file_name", "S23-1"), "nobody's": ("conflict", None),
        "against the header": ("reviewed", "S23-1"),
    }  # fmt: skip
    assert links["moved"]["evidence"] == ["review"]
    assert links["moved"]["losing_candidates"] == ["S23-1 file_name: another case"]
    assert links["cleared"]["losing_candidates"] == ["S23-1 file_name: rejected by a reviewer"]
    assert links["against the header"]["patient_agrees"] is False, "the evidence is not hidden"
    assert "link.rejected_by_review" in clinic.rules()


def test_evidence_of_stain_block_organ_and_time(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", organ="breast", ihc_results=["ER=positive", "Ki-67=positive"], blocks=["A1", "A2"])
    clinic.report("R2", "S23-2", "P2")
    clinic.slide("a", "S23-00001-A1", stain="IHC:ER", organ="breast").slide(
        "b", "S23-00001-B7", stain="IHC:CD20", organ="lung"
    )
    clinic.slide("c", "S23-00002-A1", stain="IHC:ER", scan_datetime=RECEIVED - timedelta(days=2)).slide("d", "S23-00001")
    clinic.run()
    flags = ("organ_agrees", "stain_plausible", "block_named", "scanned_after_receipt", "lag_days")
    assert {key: tuple(row[name] for name in flags) for key, row in clinic.links().items()} == {
        "a": (True, True, True, True, 5), "b": (False, False, False, True, 5), "c": (None, None, None, False, -2),
        "d": (None, True, None, True, 5),
    }  # fmt: skip


def test_series_find_their_case_or_their_person(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1", "P1").report("R2", "S23-2", "P2")
    clinic.add(SERIES, "a", accession="s23-00001", patient_id="P1", study_date=date(2023, 2, 20))
    clinic.add(SERIES, "b", accession="RIS7", patient_id=" p2").add(SERIES, "c", accession="S23-00001", patient_id="P2")
    clinic.add(SERIES, "d", patient_id="P1", site="NB02").add(SERIES, "e", accession="S23-00001", status="gone")
    summary = clinic.run()
    links = clinic.links()
    assert {key: (row["tier"], row["accession"], row["rule"]) for key, row in links.items()} == {
        "a": ("metadata", "S23-1", "one_witness"), "b": ("none", None, "patient_only"),
        "c": ("conflict", None, "patient_disagrees"), "d": ("none", None, "no_number"),
    }  # fmt: skip
    assert (links["a"]["lag_days"], links["a"]["patient_agrees"]) == (-9, True)
    assert (links["b"]["person_id"] is not None, links["d"]["person_id"]) == (True, None)
    assert (summary.slides, summary.series, summary.series_linked, summary.series_of_persons) == (0, 4, 1, 1)


def test_the_result_does_not_depend_on_the_order_of_rows(clinic: Clinic, tmp_path: Path, engine: Embedded) -> None:
    other = Clinic(tmp_path / "other" if (tmp_path / "other").mkdir() is None else tmp_path, engine)
    for one in (clinic, other):
        for number in range(40):
            one.report(
                f"R{number}", f"S23-{number // 2 + 1}", f"P{number // 2}", report_type=("primary", "frozen")[number % 2]
            )
            one.slide(
                f"s{number}", f"S23-{number // 3 + 1:05d}_{'S23-00001' if number % 7 == 0 else 'x'}", patient_id=f"P{number}"
            )
    clinic.run()
    other.run(shuffle=3)
    assert other.links() == clinic.links()


def test_many_parts_give_what_one_gives(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        site = ("NB01", "NB02")[number % 3 == 0]
        clinic.report(f"R{number}", f"S23-{number // 2 + 1}", f"P{number // 2}", site=site)
        clinic.slide(f"s{number}", f"S23-{number // 3 + 1:05d}", site=site).slide(
            f"t{number}", site=site, patient_id=f"P{number}"
        )
    clinic.run()
    once = clinic.links()
    monkeypatch.setattr("pathcurate.tables.GROUP_ROWS", 3)
    for rows in (1, 7, 40):
        monkeypatch.setattr("pathcurate.link._ROWS_AT_ONCE", rows)
        clinic.catalog.replace(SLIDE_KEYS, from_rows(SLIDE_KEYS, ()))
        clinic.run()
        assert len(list(clinic.catalog.row_groups(SLIDE_KEYS, ("site",)))) == 40
        assert clinic.links() == once


def test_an_unreadable_wish_of_a_reviewer_about_an_unknown_slide_changes_nothing(clinic: Clinic) -> None:
    clinic.report("R1", "S23-1").slide("a", "S23-00001")
    clinic.decide(("gone long ago", "confirm", "S23-1"), ("a", "unsure", None))
    clinic.run()
    assert clinic.links()["a"]["tier"] == "file_name"
    assert set(clinic.links()) == {"a"}

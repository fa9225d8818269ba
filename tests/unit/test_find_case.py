"""Find shows the whole case: who, what was cut, stained and scanned, why it is linked, and what speaks against it."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import io
import json
import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate.cli.main import run
from pathcurate.find import find
from pathcurate.find.facts import BlockFacts, CaseFacts, Found, SlideFacts
from pathcurate.lookup import keep_filters
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.diagnosis import DIAGNOSES
from pathcurate.model.link import LINK_DECISIONS, LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace
from tests.clinic import Row, report, slide
from tests.drawn import identity, key, link, open_catalog

CASE = "S24-1234"
PATIENT, OTHER = "P-000000000000000A", "P-000000000000000B"
CARD = "11010519491231002X"
S = [f"S-{number:016d}" for number in range(10)]
I = [f"I-{number:016d}" for number in range(4)]  # noqa: E741 - as the catalog names them
M = [f"M-{number:016d}" for number in range(6)]


def material(number: int, block: str | None, kind: str = "slide", **values: Any) -> Row:
    return {"material_id": M[number], "site": "NB01", "kind": kind, "accession": CASE, "specimen": "A", "block": block,
            **values}  # fmt: skip


def series(number: int, **values: Any) -> Row:
    return {
        "series_id": I[number], "site": "NB01", "archive": "archive", "relpath": b"ct/1.dcm", "status": "ok",
        "modality": "CT", "body_part": "CHEST", "study_date": date(2024, 3, 1), "instance_count": 120, **values,
    }  # fmt: skip


def decision(number: int, slide_id: str, accession: str | None, word: str, day: int) -> Row:
    return {"decision_id": f"D{number}", "slide_id": slide_id, "site": "NB01", "accession": accession, "decision": word,
            "reviewer": "dr chen", "decided_at": datetime(2026, 1, day)}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A case with a frozen section and a supplement, at a site; the same number, another patient, at another."""
    root = tmp_path_factory.mktemp("case")
    slides = [
        slide(1, barcode="S24-01234-A1-1", stain=None), slide(2, barcode=None),
        slide(3, relpath="2024/病理 欧阳.svs".encode("gb18030")),
        slide(4), slide(5, site="NB02", relpath=b"2024/S24-01234.svs"), slide(6, site="NB03", relpath=b"TCGA-AB-0001.svs"),
        slide(7, patient_id="M-77"),
    ]  # fmt: skip
    reports = [
        report(1, CASE, report_type="frozen", case_order=1, is_current=False, diagnosis="冰冻：恶性", blocks=["A1"]),
        report(2, CASE, case_order=2, diagnosis="(左肺上叶)\n  浸润性腺癌，" + "很长的一句话。" * 30,
               blocks=["A1", "A10", "B2"], id_number="110105491231002", accession_external="WX2024/17"),
        report(3, CASE, report_type="supplementary", case_order=3, patient_id=None, diagnosis=None, text_raw="Ki-67 30%"),
        report(4, CASE, site="NB02", patient_id="900", organ="colon"),
        report(5, "TCGA-AB-0001", site="NB03", patient_id="TCGA"), report(7, CASE, site="NB03", patient_id="TCGA"),
        report(6, "S24-99", accession_raw="住院病理２４９９"),
    ]  # fmt: skip
    whole: Row = {
        "patient_agrees": True, "lag_days": 3, "scanned_after_receipt": True, "organ_agrees": False, "stain_plausible": True,
        "block_named": True, "confidence": 0.75, "person_id": PATIENT, "report_id": "R-0000000000000002",
    }  # fmt: skip
    return open_catalog(
        root,
        {
            SLIDES: slides,
            REPORTS: reports,
            SLIDE_KEYS: [
                key(S[1], CASE), key(S[2], CASE), key(S[3], CASE), key(S[4], CASE), key(S[4], "S24-99"),
                key(S[5], CASE, "NB02"), key(S[6], "TCGA-AB-0001", "NB03"), key(S[7], None),
            ],
            LINKS: [
                link(S[1], CASE, tier="exact", evidence=["barcode", "file_name"], specimen="A", block="1", stain="HE",
                     material_id=M[1], **whole),
                link(S[2], CASE, tier="reviewed", rule="reviewed", specimen="B", block="2", stain="IHC:Ki-67", lag_days=-1,
                     scanned_after_receipt=False),
                link(S[3], None, tier="conflict", rule="numbers_disagree",
                     losing_candidates=["S24-1234 (barcode)", "S24-99"]),
                link(S[4], "S24-99", losing_candidates=["S24-1234 (folder): patient differs"]),
                link(S[5], CASE, "NB02", person_id=OTHER), link(S[6], "TCGA-AB-0001", "NB03"),
                link(S[7], None, tier="none", person_id=PATIENT),
                link(None, CASE, series_id=I[1], tier="metadata", person_id=PATIENT),
                link(None, None, series_id=I[2], tier="none", rule="patient_only", person_id=PATIENT),
                link(None, None, series_id=I[3], tier="none", person_id=OTHER),
            ],
            SERIES: [series(1, accession="S24-01234"), series(2, series_uid="1.2.840.99"), series(3, patient_id="900")],
            MATERIALS: [
                material(1, "1", glass_id="G-100", stain="HE"), material(2, "1", glass_id="G-101", stain="PAS"),
                material(3, "10", "block"), material(4, None, glass_id="G-200"),
                material(5, "1", glass_id="G-300") | {"accession": "S24-555"},
            ],
            SCANNER_INDEX: [
                {"entry_id": "N-1", "site": "NB01", "barcode": "0042-17", "accession": CASE, "accession_raw": "内部 1234"}
            ],
            DIAGNOSES: [
                {"report_id": "R-0000000000000002", "site": "NB01", "ordinal": 1, "specimen": "A", "organ": "lung",
                 "icdo3_morphology": "8140/3", "assertion": "affirmed"},
                {"report_id": "R-0000000000000002", "site": "NB01", "ordinal": 2, "specimen": "C", "organ": "lymph_node",
                 "assertion": "negated"},
            ],
            PERSONS: [
                {"person_id": PATIENT, "group_id": "Q" + PATIENT[1:], "basis": "merge_list", "group_basis": ["phone_name"]},
                {"person_id": OTHER, "group_id": "Q" + OTHER[1:], "basis": "site_number"},
            ],
            IDENTITIES: [
                identity("accession", CASE, PATIENT), identity("patient_id", "10086001", PATIENT),
                identity("patient_id", "M-77", PATIENT), identity("id_number", CARD, PATIENT),
                identity("accession", CASE, OTHER, "NB02"), identity("patient_id", "900", OTHER, "NB02"),
            ],
            LINK_DECISIONS: [
                decision(2, S[2], CASE, "confirm", 9), decision(1, S[2], "S24-99", "reject", 8),
                decision(3, S[9], CASE, "unsure", 1),
            ],
            ANNOTATIONS: [
                {"annotation_id": f"A-{n}", "site": "NB01", "slide_id": S[1], "slide_raw": "x", "kind": "point",
                 "geometry": "{}", "coordinate_level": 0, "x_min": 0.0, "y_min": 0.0, "x_max": 0.0, "y_max": 0.0,
                 "tool": "qupath", "digest": "d"}
                for n in range(3)
            ],
        },
    )  # fmt: skip


def case_of(found: Found, site: str) -> CaseFacts:
    (case,) = (case for case in found.cases if case.site == site)
    return case


def slide_of(found: Found, number: int) -> SlideFacts:
    (one,) = (one for one in found.slides if one.slide_id == S[number])
    return one


def block_of(case: CaseFacts, name: str) -> BlockFacts:
    (block,) = (block for block in case.blocks if f"{block.specimen or ''}{block.block or ''}" == name)
    return block


@pytest.fixture(scope="module")
def found(workspace: Workspace) -> Found:
    return find(workspace, "S24-01234", actor="tester")


def test_one_number_at_two_sites_is_two_cases(found: Found) -> None:
    assert [(case.site, case.accession, case.patient_ids) for case in found.cases] == [
        ("NB01", CASE, ("10086001",)), ("NB02", CASE, ("900",)),
    ]  # fmt: skip
    assert [block.slides for block in case_of(found, "NB02").blocks] == [(S[5],)]
    assert case_of(found, "NB02").series == (I[3],)
    assert {one.site for one in found.slides} == {"NB01", "NB02"}


def test_a_site_whose_patterns_read_the_number_otherwise(workspace: Workspace, found: Found) -> None:
    assert {case.site for case in found.cases} == {"NB01", "NB02"}, "at the third S24-01234 is another number"
    assert {case.site for case in find(workspace, CASE, actor="tester").cases} == {"NB01", "NB02", "NB03"}


def test_the_person_with_every_number_and_why(found: Found) -> None:
    person = case_of(found, "NB01").person
    assert person is not None
    assert (person.person_id, person.basis, person.group_basis) == (PATIENT, "merge_list", ("phone_name",))
    assert person.numbers == (f"NB01 id_number {CARD}", "NB01 patient_id 10086001", "NB01 patient_id M-77")


def test_reports_in_the_order_of_the_case(found: Found) -> None:
    reports = case_of(found, "NB01").reports
    assert [(one.report_type, one.is_current) for one in reports] == [
        ("frozen", False), ("primary", True), ("supplementary", True),
    ]  # fmt: skip
    assert reports[1].diagnosis is not None
    assert reports[1].diagnosis.startswith("(左肺上叶) 浸润性腺癌，")
    assert reports[1].diagnosis.endswith("…")
    assert len(reports[1].diagnosis) == 81
    assert reports[2].diagnosis == "Ki-67 30%"


def test_specimens_blocks_glass_and_slides(found: Found) -> None:
    case = case_of(found, "NB01")
    assert [(block.specimen, block.block) for block in case.blocks] == [
        ("A", "1"), ("A", "10"), ("A", None), ("B", "2"), ("C", None),
    ]  # fmt: skip
    first = block_of(case, "A1")
    assert first.named_by == ("laboratory table", "report", "slide")
    assert [(one.glass_id, one.stain, one.slide_id) for one in first.glass] == [
        ("G-100", "HE", S[1]),
        ("G-101", "PAS", None),
    ]
    assert (first.slides, first.diagnoses) == ((S[1],), ("lung 8140/3",))
    assert block_of(case, "A10").named_by == ("laboratory table", "report")
    assert block_of(case, "C").diagnoses == ("lymph_node (negated)",)


def test_a_slide_and_why_it_is_linked(found: Found) -> None:
    facts = slide_of(found, 1)
    assert (facts.tier, facts.confidence, facts.rule, facts.evidence) == (
        "exact",
        0.75,
        "one_witness",
        ("barcode", "file_name"),
    )
    assert facts.remarks == (
        "scanned 3 days after receipt", "patient agrees", "organ differs", "stain known of the case",
        "block named in the report or laboratory table",
    )  # fmt: skip
    assert (facts.stain, facts.annotations, facts.is_meant) == ("HE", 3, False)
    assert slide_of(found, 5).is_meant, "its file is named so"
    assert slide_of(found, 2).remarks == ("scanned 1 day before receipt",)


def test_what_people_decided_oldest_first(found: Found) -> None:
    assert slide_of(found, 2).decisions == (
        "reject case S24-99, 2026-01-08, by dr chen", "confirm case S24-1234, 2026-01-09, by dr chen",
    )  # fmt: skip


def test_slides_that_bear_the_number_and_are_linked_elsewhere_or_nowhere(found: Found) -> None:
    assert case_of(found, "NB01").unlinked == (S[3], S[4])
    assert (slide_of(found, 3).tier, slide_of(found, 3).rule) == ("conflict", "numbers_disagree")
    assert slide_of(found, 4).losing_candidates == ("S24-1234 (folder): patient differs",)


def test_series_of_the_case_and_of_its_patient(found: Found) -> None:
    assert case_of(found, "NB01").series == (I[1], I[2])
    first = next(one for one in found.series if one.series_id == I[1])
    assert (first.modality, first.body_part, first.day, first.accession) == ("CT", "CHEST", "2024-03-01", CASE)


@pytest.mark.parametrize(
    ("text", "how", "cases"),
    [
        ("g-101", "glass", ["S24-1234"]), ("Ｇ－３００", "glass", ["S24-555"]), ("0042-17", "scanner's table", ["S24-1234"]),
        ("内部 1234", "scanner's table", ["S24-1234"]), (" wx2024/17 ", "sender's number", ["S24-1234"]),
        (M[3], "identifier", ["S24-1234"]), (PATIENT, "identifier", ["S24-1234"]),
        ("Q" + OTHER[1:], "identifier", ["S24-1234"]),
        ("R-0000000000000006", "identifier", ["S24-99"]), ("住院病理2499", "accession number", ["S24-99"]),
        (I[1], "identifier", ["S24-1234"]), ("1.2.840.99", "series number", []), ("M-77", "patient number", ["S24-1234"]),
        (CARD, "identity card", ["S24-1234"]), ("110105 491231 002", "identity card", ["S24-1234"]),
        ("TCGA-AB-0001", "accession number", ["TCGA-AB-0001"]), ("tcga-ab-0001.SVS", "file name", ["TCGA-AB-0001"]),
        ("病理 欧阳", "file name", []), ("2024/病理 欧阳.svs", "file name", []), ("2024\\病理 欧阳.svs", None, []),
        ("S24-01234-A1-1", "barcode", ["S24-1234"]), ("S24-123*", None, []), ("99", None, []),
    ],
)  # fmt: skip
def test_by_any_number(workspace: Workspace, text: str, how: str | None, cases: list[str]) -> None:
    for _ in range(2):
        found = find(workspace, text, actor="tester")
        assert (how in found.matched) if how else (found == Found())
        assert [case.accession for case in found.cases] == cases
        keep_filters(Catalog(workspace.catalog))


def test_the_barcode_of_one_slide_means_that_slide(workspace: Workspace) -> None:
    found = find(workspace, "S24-01234-A1-1", actor="tester")
    assert [slide.slide_id for slide in found.slides if slide.is_meant] == [S[1]]
    assert [case.site for case in found.cases] == ["NB01"], "its whole case, and not that of the other site"
    assert case_of(found, "NB01").unlinked == (S[3], S[4])


def test_a_case_that_only_the_laboratory_knows(workspace: Workspace) -> None:
    (case,) = find(workspace, "S24-555", actor="tester").cases
    assert (case.reports, case.person, [len(block.glass) for block in case.blocks]) == ((), None, [1])


def test_a_file_that_was_scanned_after_the_last_link(workspace: Workspace) -> None:
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, [slide(8, relpath=b"new/S24-77777 HE.svs")]))
    assert [one.slide_id for one in find(workspace, "S24-77777 HE.svs", actor="tester").slides] == [S[8]]


def test_a_row_that_was_replaced_is_not_found_by_what_it_said(workspace: Workspace) -> None:
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, [slide(7, patient_id="M-77", barcode="OLD-1")]))
    assert [one.slide_id for one in find(workspace, "old-1", actor="tester").slides] == [S[7]]
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, [slide(7, patient_id="M-77", barcode="NEW-1")]))
    assert find(workspace, "old-1", actor="tester") == Found()
    assert [one.slide_id for one in find(workspace, "new-1", actor="tester").slides] == [S[7]]


def test_before_link_has_run(tmp_path: Path) -> None:
    workspace = open_catalog(tmp_path, {SLIDES: [slide(1, barcode="B-1")], REPORTS: [report(1, CASE)]})
    (case,) = find(workspace, "S24-1234", actor="tester").cases
    assert (case.person, len(case.reports), case.blocks) == (None, 1, ())
    found = find(workspace, "b-1", actor="tester")
    assert (found.slides[0].tier, found.cases) == (None, ())
    assert run(["find", "B-1", "--to-review", "-q", "-w", str(tmp_path)]) == 0


class Terminal(io.StringIO):
    """Standard output that is seen by somebody."""

    def isatty(self) -> bool:
        return True


def shown(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    assert run(["find", *arguments, "-q", "-w", str(workspace.root)]) == 0
    return terminal.getvalue()


def test_on_a_terminal(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(workspace, monkeypatch, "S24-01234").splitlines()
    assert lines[0] == "2 cases, 5 slides, 3 series by accession number, file name, series number"
    for line in (
        "case S24-1234  NB01", "case S24-1234  NB02",
        f"  person    {PATIENT} (merge list), group Q{PATIENT[1:]} with others (phone name)",
        "  block A1  by laboratory table, report, slide", "    glass     G-101  PAS  not scanned",
        f"    slide {S[1]}  HE  ok", f"    slide {S[5]}  HE  ok  <- this one",
        "      link      exact by barcode, file_name to case S24-1234 (one witness)",
        "  bears this number and is not linked to it", f"  series {I[1]}  CT  CHEST  2024-03-01  120 instances  ok",
        "      decided   confirm case S24-1234, 2026-01-09, by dr chen", "      drawn     3 shapes",
    ):  # fmt: skip
        assert line in lines
    assert sum(S[3] in line for line in lines) == 1, "once, although it bears the number and stands in no case"


def test_a_name_as_another_encoding_has_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    given = os.fsdecode("病理 欧阳.svs".encode("gb18030"))
    assert S[3] in shown(workspace, monkeypatch, given)
    assert run(["find", "\udcff\udcfe", "--to-review", "-q", "-w", str(workspace.root)]) == 1


def test_json_holds_the_same(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(shown(workspace, monkeypatch, "S24-01234", "--json"))
    assert document.keys() == {"matched", "cases", "slides", "series"}
    assert document["cases"][0]["blocks"][0]["glass"][1]["glass_id"] == "G-101"
    assert document["cases"][0]["person"]["basis"] == "merge_list"
    assert {one["slide_id"] for one in document["slides"]} == {S[1], S[2], S[3], S[4], S[5]}


def test_hostile_values_steer_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "\x1b[2J\u202e\r\n\x07"
    workspace = open_catalog(
        tmp_path,
        {
            SLIDES: [slide(1, relpath=evil.encode())], SLIDE_KEYS: [key(S[1], CASE)],
            REPORTS: [report(1, CASE, diagnosis=f"a{evil}b", patient_id=f"7{evil}")],
            LINKS: [link(S[1], CASE, losing_candidates=[evil])],
            MATERIALS: [material(1, "1", glass_id=evil)],
            LINK_DECISIONS: [decision(1, S[1], CASE, "confirm", 1) | {"reviewer": evil}],
        },
    )  # fmt: skip
    for more in ((), ("--json",)):
        text = shown(workspace, monkeypatch, CASE, *more)
        assert not set("\x1b\u202e\r\x07") & set(text)
        assert "202e" in text

"""A clinic as catalog tables, drawn row by row and linked by the real stage: 0.2 s, and not one slide file."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pathcurate.engines.embedded import Embedded
from pathcurate.link import LinkSummary, link
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS, REPORT_CONCEPTS
from pathcurate.model.event import EVENTS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace, load_workspace

Row = dict[str, Any]

# Numbers stay as they are written, so that the canary in a report is that of the slide.
_NUMBERS = r"{patterns: ['(?P<accession>[A-Z][0-9]{2}-[0-9]+)(?:-(?P<specimen>[A-Z])(?P<block>[0-9]))?']}"

CANARIES: dict[str, str] = {
    "name": "欧阳靖远", "number": "10086001", "identity card": "11010519491231002X", "accession": "S23-00001",
    "raw accession": "S23-00001-A1-1", "external": "WX2023-0417", "unit": "示例镇卫生院", "doctor": "诸葛明远",
    "pathologist": "司马见微", "reviewer": "上官复核", "phone": "13800138000", "text": "灰白组织一枚", "source": "lis/a.csv",
    "serial": "SS45012", "label": "欧阳靖远 左乳", "barcode": "S23-00001-A1-1", "metadata": "Title S23-00001",
    "stain": "he stain of 欧阳",
    "file name": "欧阳靖远_S23-00001-A1-1", "fingerprint": "f1" * 32, "pixels": "f2" * 32, "sha": "f3" * 32,
    "group": "G-RAWRAWRAWRAWRAW0", "slide": "S-RAWRAWRAWRAWRAW1", "report": "R-RAWRAWRAWRAWRAW1", "detail": "detail 77215",
    "list": "consent-7.csv", "event": "E-RAWRAWRAWRAWRAW1", "event text": "欧阳女士来院复查",
    "event source": "followup-31.csv", "event mapping": "stage-31.yaml", "event result": "阳性，欧阳",
}  # fmt: skip
"""One value in each column that identifies; none of them may leave ``catalog/``."""


def report(number: int, accession: str = CANARIES["accession"], site: str = "NB01", **values: Any) -> Row:
    """A report of the patient whom :data:`CANARIES` name."""
    return {
        "report_id": f"R-{number:016d}", "site": site, "patient_id": CANARIES["number"], "accession": accession,
        "report_type": "primary", "status": "final", "is_current": True, "sex": "female", "age": 61,
        "birth_date": date(1961, 5, 4), "organ": "breast", "received_date": datetime(2023, 3, 1, 8, 30),
        "reported_date": datetime(2023, 3, 6, 16), "language": "zh", "icd10": "C50.900", "icdo3_topography": "C50.4",
        "icdo3_morphology": "8500/3", "source_file": CANARIES["source"], "source_row": number, **values,
    }  # fmt: skip


def event(number: int, site: str = "NB01", **values: Any) -> Row:
    """An event of the patient whom :data:`CANARIES` name."""
    return {
        "event_id": f"E-{number:016d}", "site": site, "patient_id": CANARIES["number"], "kind": "diagnosis",
        "code": "Stage IIA", "code_system": "ajcc", "date": datetime(2023, 4, 4, 10), "source_file": "e.csv",
        "source_row": number, **values,
    }  # fmt: skip


def slide(number: int, site: str = "NB01", **values: Any) -> Row:
    """A slide."""
    return {
        "slide_id": f"S-{number:016d}", "site": site, "archive": "archive", "relpath": b"2023/%d.svs" % number,
        "file_count": 1, "size_bytes": 1000 + number, "mtime": datetime(2023, 3, 7, 1, 2), "format": "svs",
        "vendor": "aperio", "scanner_model": "Aperio GT450", "scan_datetime": datetime(2023, 3, 7, 23, 59), "width": 4000,
        "height": 3000, "level_count": 2, "level_downsamples": [1.0, 4.0], "mpp_x": 0.25, "mpp_y": 0.26, "stain": "HE",
        "specimen": "A", "block": "1", "status": "ok", "has_label": True, "storage_state": "online", **values,
    }  # fmt: skip


FULL_REPORT = report(
    1, report_id=CANARIES["report"], patient_name=CANARIES["name"], id_number=CANARIES["identity card"],
    accession_raw=CANARIES["raw accession"], accession_external=CANARIES["external"], submitting_unit=CANARIES["unit"],
    submitting_doctor=CANARIES["doctor"], pathologist=CANARIES["pathologist"], reviewer=CANARIES["reviewer"],
    phone=CANARIES["phone"], source_row=778001,
    **dict.fromkeys(
        ("specimen_sites", *TEXT_COLUMNS),
        CANARIES["text"] + CANARIES["name"],
    ),
)  # fmt: skip
FULL_SLIDE = slide(
    1, slide_id=CANARIES["slide"], archive="archive", relpath=f"2023/{CANARIES['file name']}.svs".encode("gb18030"),
    uri=f"file:///x/{CANARIES['raw accession']}.svs", scanner_serial=CANARIES["serial"], barcode=CANARIES["barcode"],
    label_text=CANARIES["label"], metadata_texts=[CANARIES["metadata"]], accession_raw=CANARIES["raw accession"],
    stain_raw=CANARIES["stain"], header_fingerprint=CANARIES["fingerprint"], pixel_fingerprint=CANARIES["pixels"],
    content_sha256=CANARIES["sha"], status_detail=CANARIES["detail"], scan_group=CANARIES["group"], reader="tiff",
    reader_version=3, scanned_at=datetime(2026, 1, 1), tissue_fraction=0.5,
)  # fmt: skip
FULL_EVENT = event(
    1, event_id=CANARIES["event"], kind="laboratory", code="CEA", code_system="analyte", text=CANARIES["event text"],
    value=7.25, value_text=CANARIES["event result"], unit="ng/ml", laterality="left",
    # Days are moved by whole weeks: none of these falls on a day of the week of the others, so none can become another.
    date=datetime(2023, 4, 6, 10), end_date=datetime(2023, 4, 8),
    source_file=CANARIES["event source"], source_mapping=CANARIES["event mapping"],
)  # fmt: skip
FULL_KEYS = {CANARIES["slide"]: CANARIES["accession"]}


def open_clinic(
    root: Path,
    *,
    slides: Sequence[Row] = (FULL_SLIDE,),
    reports: Sequence[Row] = (FULL_REPORT,),
    keys: dict[str, str] | None = None,
    permissions: Sequence[Row] = (),
    events: Sequence[Row] = (FULL_EVENT,),
) -> Workspace:
    """A linked workspace.

    Args:
        root: its directory.
        slides: rows of ``slides``.
        reports: rows of ``reports``.
        keys: the accession number that each ``slide_id`` bears.
        permissions: rows of ``permissions``.
        events: rows of ``events``.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / "pathcurate.yaml").write_text(
        "workspace: 1\nname: clinic\nsites:\n"
        f"  - {{code: NB01, name: 一院, archives: [{{name: archive, root: a1}}], accession: {_NUMBERS}}}\n"
        f"  - {{code: NB02, name: 二院, archives: [{{name: archive, root: a2}}], accession: {_NUMBERS}}}\n"
    )
    workspace = load_workspace(root / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    named = FULL_KEYS if keys is None else keys
    labelled = [{**row, "barcode": f"{named[row['slide_id']]}-A1" if row["slide_id"] in named else None} for row in slides]
    catalog.upsert(SLIDES, from_rows(SLIDES, labelled))
    catalog.replace(REPORTS, from_rows(REPORTS, reports))
    catalog.replace(EVENTS, from_rows(EVENTS, events))
    catalog.replace(PERMISSIONS, from_rows(PERMISSIONS, permissions))
    link_again(workspace)
    return workspace


def tell(workspace: Workspace, *reports: str) -> None:
    """Two lines, a stain and three mentions of each report."""
    catalog = Catalog(workspace.catalog)
    place: Row = {"site": "NB01", "section": "diagnosis", "text_column": "diagnosis", "start": 5, "end": 9}
    lines: list[Row] = [
        {**place, "report_id": report_id, "ordinal": ordinal, "line": ordinal, "organ": "乳腺", "assertion": "affirmed",
         "spans": "{}"}
        for report_id in reports
        for ordinal in (1, 2)
    ]  # fmt: skip
    stains: list[Row] = [
        {**place, "report_id": report_id, "ordinal": 1, "marker": "ER", "result": "positive"} for report_id in reports
    ]
    said = ((90, "mitosis", "affirmed"), (5, "necrosis", "negated"), (90, "atypia", "possible"))
    mentions: list[Row] = [
        {**place, "report_id": report_id, "concept": concept, "concept_sha": "0" * 64, "assertion": assertion,
         "start": start, "trigger": CANARIES["name"]}
        for report_id in reports
        for start, concept, assertion in said
    ]  # fmt: skip
    for table, rows in ((DIAGNOSES, lines), (IHC_RESULTS, stains), (REPORT_CONCEPTS, mentions)):
        catalog.replace(table, from_rows(table, rows))


def link_again(workspace: Workspace) -> LinkSummary:
    """Link as the command does, on an engine of its own."""
    with Embedded(workers=1, temp_directory=workspace.catalog / ".spill") as engine:
        return link(workspace, engine)

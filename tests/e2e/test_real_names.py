"""Every real TCGA name of a slide that the tables of real input list, linked to the real reports."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathcurate.engines.embedded import Embedded
from pathcurate.link import link
from pathcurate.model.link import LINKS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import load_workspace

_PATTERN = r"^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})"


def _column(path: Path, name: str) -> Iterator[str]:
    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t" if path.suffix == ".txt" else ","):
            yield row[name]


@pytest.fixture(scope="module")
def names(real_data: Path) -> list[str]:
    tables = real_data / "tables" / "tcga"
    listed = (
        ("tcga_dx_slides_histgen.csv", "file_name"), ("tcga_slides_frozen_and_dx.csv", "file_name"),
        ("gdc_manifest_excerpt.txt", "filename"),
    )  # fmt: skip
    return sorted({name for file, column in listed for name in _column(tables / file, column)})


@pytest.fixture(scope="module")
def reported(real_data: Path) -> set[str]:
    """Patients who have a report; TCGA's cases are its patients."""
    return set(_column(real_data / "reports" / "tcga_reports" / "tcga_path_reports.csv", "bcr_patient_barcode"))


def test_every_linkable_name_finds_its_patient_and_none_a_wrong_one(
    names: list[str], reported: set[str], tmp_path: Path
) -> None:
    site = {"code": "TCGA", "archives": [{"name": "main", "root": "slides"}], "accession": {"patterns": [_PATTERN]}}
    (tmp_path / "pathcurate.yaml").write_text(json.dumps({"workspace": 1, "name": "tcga", "sites": [site]}))
    workspace = load_workspace(tmp_path / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    slides = [
        {"slide_id": name, "site": "TCGA", "archive": "main", "relpath": f"{name[5:7]}/{name}".encode(), "status": "ok"}
        for name in names
    ]  # fmt: skip
    reports = [
        {"report_id": f"R-{patient}", "site": "TCGA", "accession": patient, "patient_id": patient, "report_type": "primary",
         "status": "final", "is_current": True, "source_row": row}
        for row, patient in enumerate(sorted(reported))
    ]  # fmt: skip
    catalog.replace(SLIDES, from_rows(SLIDES, slides))
    catalog.replace(REPORTS, from_rows(REPORTS, reports))
    with Embedded(workers=1, temp_directory=tmp_path / "spill") as engine:
        summary = link(workspace, engine)
    found = {row["slide_id"]: (row["tier"], row["report_id"]) for row in catalog.read(LINKS).to_pylist()}
    assert found == {
        name: ("file_name", f"R-{name[:12]}") if name[:12] in reported else ("none", None) for name in names
    }  # fmt: skip
    assert (len(names), summary.tiers["file_name"]) == (4340, 799)

"""Real lists of tissue and of files as tables of another system: every row imported, with its case."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pathcurate.materials import import_materials
from pathcurate.model.column import Table
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.scanner_index import import_index
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

SETTINGS = """\
workspace: 1
name: real
sites:
  - code: GTEX
    materials: [{{path: "{data}/histolab+histolab/GTEx_AIDP2021.csv", mapping: tissue.yaml}}]
    accession: {{patterns: ['^(?P<accession>GTEX-[A-Z0-9]{{4,5}})']}}
  - code: TCGA
    materials: [{{path: "{data}/tcga/tcga_slides_frozen_and_dx.csv", mapping: glass.yaml}}]
    index:
      - {{path: "{data}/tcga/tcga_slides_frozen_and_dx.csv", mapping: files.yaml}}
      - {{path: "{data}/tcga/gdc_manifest_excerpt.txt", mapping: manifest.yaml}}
    accession: {{patterns: ['^(?P<accession>TCGA-[A-Z0-9]{{2}}-[A-Z0-9]{{4}})']}}
"""
MAPPINGS = {
    "tissue.yaml": "columns: {accession: Subject ID, glass_id: Tissue Sample ID, organ: Tissue}",
    "glass.yaml": "columns: {accession: file_name, glass_id: file_name, preparation: file_name}",
    "files.yaml": "columns: {path: file_name, accession: file_name}",
    "manifest.yaml": "columns: {path: filename, accession: filename}",
}


@pytest.fixture
def workspace(tmp_path: Path, real_data: Path) -> Workspace:
    for name, text in MAPPINGS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pathcurate.yaml").write_text(SETTINGS.format(data=real_data / "tables"))
    return load_workspace(tmp_path / "pathcurate.yaml")


def rows(workspace: Workspace, table: Table, site: str) -> list[dict[str, Any]]:
    return [row for row in Catalog(workspace.catalog).read(table).to_pylist() if row["site"] == site]


def test_tissue_and_glass(workspace: Workspace) -> None:
    summary = import_materials(workspace)
    assert {finding.rule for finding in summary.findings} == {
        "materials.unknown_column", "materials.not_understood", "materials.two_cases",
    }  # fmt: skip
    tissue = rows(workspace, MATERIALS, "GTEX")
    assert len(tissue) == 265
    # One row of the real list names another donor than its sample does.
    assert sum(not row["glass_id"].startswith(row["accession"] + "-") for row in tissue) == 1
    assert [finding.count for finding in summary.findings if finding.rule == "materials.two_cases"] == [1]
    assert sum(row["organ"] is not None for row in tissue) > 200
    glass = rows(workspace, MATERIALS, "TCGA")
    assert len(glass) == 1778
    assert all(row["accession"] == row["glass_id"][:12] for row in glass)
    made = Counter(row["preparation"] for row in glass if row["preparation"])
    assert set(made) == {"FFPE", "frozen"}
    # TS, MS and BS are frozen sections of a portion, DX is of paraffin: no name says both.
    assert all(("-DX" in row["glass_id"]) == (row["preparation"] == "FFPE") for row in glass if row["preparation"])


def test_files(workspace: Workspace) -> None:
    summary = import_index(workspace)
    assert summary.total == len(rows(workspace, SCANNER_INDEX, "TCGA"))
    assert (summary.files, summary.total) == (2, 1778 + 3 - 3)
    assert {finding.rule: finding.count for finding in summary.findings if "repeated" in finding.rule} == {
        "scanner_index.repeated_in_file": 3
    }
    assert all(row["accession"] == row["path"][:12] for row in rows(workspace, SCANNER_INDEX, "TCGA"))

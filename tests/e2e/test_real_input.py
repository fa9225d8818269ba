"""The whole path on input that nobody here wrote: a real Aperio file under real TCGA slide names, real pathology reports."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

SLIDE_COUNT = 100
_WORKSPACE = """\
workspace: 1
name: tcga
sites:
  - code: TCGA
    archives: [{name: main, root: slides}]
    reports: [{path: reports.csv, mapping: tcga.yaml}]
    accession: {patterns: ['^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})']}
"""
_MAPPING = """\
columns: {accession: bcr_patient_barcode, patient_id: bcr_patient_barcode, diagnosis: text, organ: type_code}
values:
  organ: {BRCA: breast, LUAD: lung, LUSC: lung, COAD: colon, READ: rectum, STAD: stomach, KIRC: kidney, KIRP: kidney,
          KICH: kidney, LIHC: liver, THCA: thyroid, PRAD: prostate, UCEC: uterus, BLCA: bladder, SKCM: skin, OV: ovary}
"""
_RECIPE = """\
recipe: 1
name: tcga_diagnostic
version: 1.0.0
title: Readable diagnostic slides of patients with a report
unit: slide
include:
  - {id: aperio, level: slide, where: {format: svs, mpp: {min: 0.2, max: 0.6}}}
  - {id: reported, level: case, has: {table: reports, where: {report_type: primary}}}
split: {ratios: {train: 0.7, val: 0.1, test: 0.2}}
columns: [slide_id, case_id, patient_id, vendor, mpp, width, height, tier, split]
"""


def _pathcurate(workspace: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "pathcurate", *arguments, "-w", str(workspace), "--json"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def archive(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bool]]:
    """A workspace, and for each slide name whether its patient has a report."""
    workspace = tmp_path_factory.mktemp("tcga")
    reports = real_data / "reports" / "tcga_reports" / "tcga_path_reports.csv"
    shutil.copyfile(reports, workspace / "reports.csv")
    csv.field_size_limit(1 << 24)
    with reports.open(encoding="utf-8", newline="") as file:
        reported = {row["bcr_patient_barcode"] for row in csv.DictReader(file)}
    with (real_data / "tables" / "tcga" / "tcga_dx_slides_histgen.csv").open(encoding="utf-8", newline="") as file:
        names = sorted({row["file_name"] for row in csv.DictReader(file)})
    with_report = [name for name in names if name[:12] in reported]
    without = [name for name in names if name[:12] not in reported]
    chosen = with_report[: SLIDE_COUNT - 20] + without[:20]
    assert len(chosen) == SLIDE_COUNT
    (workspace / "slides").mkdir()
    for name in chosen:
        shutil.copyfile(real_data / "wsi" / "libvips+libvips" / "CMU-1-Small-Region.svs", workspace / "slides" / name)
    (workspace / "pathcurate.yaml").write_text(_WORKSPACE)
    (workspace / "tcga.yaml").write_text(_MAPPING)
    (workspace / "recipe.yaml").write_text(_RECIPE)
    return workspace, {name: name[:12] in reported for name in chosen}


def test_every_slide_finds_the_report_of_its_own_patient_and_of_no_other(archive: tuple[Path, dict[str, bool]]) -> None:
    workspace, names = archive
    result = _pathcurate(workspace, "run", str(workspace / "recipe.yaml"), "--no-permissions")
    slides = _catalog(workspace, "slides", "slide_id", "relpath", "status", "accession", "width", "height", "mpp_x")
    links = {row["slide_id"]: row for row in _catalog(workspace, "links", "slide_id", "tier", "accession", "report_id")}
    reports = {row["report_id"]: row for row in _catalog(workspace, "reports", "report_id", "accession_raw")}
    assert {os.fsdecode(row["relpath"]) for row in slides} == set(names)
    for row in slides:
        name = os.fsdecode(row["relpath"])
        link = links[row["slide_id"]]
        assert (row["status"], row["width"], row["height"], row["mpp_x"]) == ("ok", 2220, 2967, 0.499)
        assert (link["tier"] == "file_name") is names[name]
        assert (link["report_id"] is not None) is names[name]
        if names[name]:
            assert reports[link["report_id"]]["accession_raw"] == name[:12]
    assert result["counts"]["slides"] == sum(names.values())
    assert result["state"] == "frozen"


def test_slides_that_share_their_pixels_are_found(archive: tuple[Path, dict[str, bool]]) -> None:
    workspace, names = archive
    scanned = _pathcurate(workspace, "scan")
    assert scanned["statuses"] == {"ok": SLIDE_COUNT}
    shared = [finding for finding in scanned["findings"] if finding["rule"] == "scan.shared_pixels"]
    assert len(shared) == SLIDE_COUNT - 1
    linked = _pathcurate(workspace, "link")
    torn = [finding for finding in linked["findings"] if finding["rule"] == "link.shared_pixels_two_patients"]
    assert len(torn) == sum(names.values())
    assert {finding["severity"] for finding in torn} == {"error"}


def test_release_holds_no_tcga_number_and_validates(archive: tuple[Path, dict[str, bool]]) -> None:
    workspace, _ = archive
    _pathcurate(workspace, "run", str(workspace / "recipe.yaml"), "--no-permissions")
    release = workspace / "releases" / "tcga_diagnostic" / "1.0.0"
    table = pq.read_table(release / "data" / "slides.parquet")
    assert "TCGA-" not in json.dumps(table.to_pylist(), default=str)
    result = _pathcurate(workspace, "validate", str(release))
    assert [finding["rule"] for finding in result["findings"]] == ["PC-PRIV-004"]
    again = _pathcurate(workspace, "product", "register", str(release))
    assert again["is_new"] is False
    patients = dict(zip(table["patient_id"].to_pylist(), table["split"].to_pylist(), strict=True))
    pairs = set(zip(table["patient_id"].to_pylist(), table["split"].to_pylist(), strict=True))
    assert len(pairs) == len(patients)


def _catalog(workspace: Path, table: str, *columns: str) -> list[dict[str, Any]]:
    # Read without pathcurate: the newest snapshot's parts, later rows winning.
    snapshot = json.loads(max((workspace / "catalog" / table / "_log").glob("*.json")).read_bytes())
    rows: dict[str, dict[str, Any]] = {}
    for part in snapshot["parts"]:
        for row in pq.read_table(workspace / "catalog" / table / part, columns=list(columns)).to_pylist():
            rows[row[columns[0]]] = row
    return list(rows.values())

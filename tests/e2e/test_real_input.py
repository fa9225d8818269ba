"""The whole path on input that nobody here wrote: slides of real Aperio tiles under real TCGA names, real reports and the
real clinical table. What it must give is computed here from the CSV files alone.
"""

import csv
import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openslide
import pyarrow.parquet as pq
import pytest

from tests.commandline import Done, pathcurate
from tests.real_slides import RealSlide

IDENTICAL = 6
_WORKSPACE = """\
workspace: 1
name: tcga
sites:
  - code: TCGA
    archives: [{name: main, root: slides}]
    reports: [{path: reports.csv, mapping: reports.yaml}]
    events:
      - {path: clinical.csv, mapping: stage.yaml}
      - {path: clinical.csv, mapping: age.yaml}
    accession: {patterns: ['^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})']}
"""
_MAPPINGS = {
    "reports.yaml": """\
columns: {accession: bcr_patient_barcode, patient_id: bcr_patient_barcode, diagnosis: text, organ: type_code}
values:
  organ: {BRCA: breast, LUAD: lung, LUSC: lung, COAD: colon, READ: rectum, STAD: stomach, KIRC: kidney, KIRP: kidney,
          KICH: kidney, LIHC: liver, THCA: thyroid, PRAD: prostate, UCEC: uterus, BLCA: bladder, SKCM: skin, OV: ovary}
""",
    "stage.yaml": """\
columns: {patient_id: bcr_patient_barcode, code: stage}
constants: {kind: diagnosis, code_system: ajcc}
""",
    "age.yaml": """\
columns: {patient_id: bcr_patient_barcode, value: age_at_initial_pathologic_diagnosis}
constants: {kind: diagnosis, code_system: local, code: AGE_AT_DX}
""",
}
_RECIPE = """\
recipe: 1
name: breast_stage_two
version: VERSION
title: Diagnostic slides of breast cancer, stage II, AGE years or older
unit: slide
include:
  - {id: diagnostic, level: slide, where: {preparation: FFPE}}
  - {id: breast, level: case, where: {organ: breast}}
  - id: stage_two
    level: patient
    has: {table: events, where: {kind: diagnosis, code_system: ajcc, code: {any_of: [Stage II, Stage IIA, Stage IIB]}}}
  - id: old_enough
    level: patient
    has: {table: events, where: {code: AGE_AT_DX, value: {min: AGE}}}
split: {ratios: {train: 0.7, val: 0.1, test: 0.2}, seed: breast}
columns: [slide_id, case_id, patient_id, vendor, mpp, width, height, tier, splitMORE]
"""


def _run(workspace: Path, *arguments: str) -> Done:
    return pathcurate(*arguments, "-w", workspace, "--json")


def _pathcurate(workspace: Path, *arguments: str) -> dict[str, Any]:
    done = _run(workspace, *arguments)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _recipe(workspace: Path, version: str, age: int, more: str = "") -> str:
    path = workspace / f"breast-{version}.yaml"
    text = _RECIPE.replace("VERSION", version).replace("AGE years", f"{age} years").replace("min: AGE", f"min: {age}")
    path.write_text(text.replace("MORE", more))
    return str(path)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@dataclass(frozen=True)
class Archive:
    """A workspace, and what its source tables say."""

    workspace: Path
    names: tuple[str, ...]
    reports: dict[str, dict[str, str]]
    clinical: dict[str, dict[str, str]]
    identical: frozenset[str]

    def expected(self, age: int) -> set[str]:
        """Names of the slides that the recipe must keep."""
        return {
            name
            for name in self.names
            if "-DX" in name
            and self.reports.get(name[:12], {}).get("type_code") == "BRCA"
            and self.clinical[name[:12]]["stage"] in {"Stage II", "Stage IIA", "Stage IIB"}
            and float(self.clinical[name[:12]]["age_at_initial_pathologic_diagnosis"] or 0) >= age
        }


@pytest.fixture(scope="module")
def archive(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    workspace = tmp_path_factory.mktemp("tcga")
    tables = real_data / "tables" / "tcga"
    shutil.copyfile(real_data / "reports" / "tcga_reports" / "tcga_path_reports.csv", workspace / "reports.csv")
    shutil.copyfile(tables / "tcga_clinical_cdr.csv", workspace / "clinical.csv")
    reports = {row["bcr_patient_barcode"]: row for row in _rows(workspace / "reports.csv")}
    clinical = {row["bcr_patient_barcode"]: row for row in _rows(workspace / "clinical.csv")}
    diagnostic = sorted({row["file_name"] for row in _rows(tables / "tcga_dx_slides_histgen.csv")})
    both = sorted({row["file_name"] for row in _rows(tables / "tcga_slides_frozen_and_dx.csv")})
    breast = [name for name in diagnostic if reports.get(name[:12], {}).get("type_code") == "BRCA"]
    others = [name for name in diagnostic if name[:12] in reports and name not in breast][:120]
    unreported = [name for name in diagnostic if name[:12] not in reports][:60]
    frozen = [name for name in both if "-DX" not in name and reports.get(name[:12], {}).get("type_code") == "BRCA"][:60]
    names = (*breast, *others, *unreported, *frozen)
    assert len(names) >= 300
    slide = RealSlide(real_data / "wsi" / "libvips+libvips" / "CMU-1-Small-Region.svs")
    # Some slides of different patients stay byte copies of one another, to show that this is found.
    identical = frozenset(random.Random(5).sample(others, IDENTICAL))
    for number, name in enumerate(names):
        path = workspace / "slides" / name[:12] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(slide.variant(0 if name in identical else number + 1))
    (workspace / "pathcurate.yaml").write_text(_WORKSPACE)
    for file, text in _MAPPINGS.items():
        (workspace / file).write_text(text)
    archive = Archive(workspace, names, reports, clinical, identical)
    _pathcurate(workspace, "run", _recipe(workspace, "1.0.0", 50), "--no-permissions")
    return archive


def _catalog(archive: Archive, table: str, *columns: str) -> dict[str, dict[str, Any]]:
    # Read without pathcurate: the newest snapshot's parts, later rows winning.
    folder = archive.workspace / "catalog" / table
    snapshot = json.loads(max((folder / "_log").glob("*.json")).read_bytes())
    parts = [pq.read_table(folder / part, columns=list(columns)).to_pylist() for part in snapshot["parts"]]
    return {row[columns[0]]: row for rows in parts for row in rows}


def _slide_names(archive: Archive) -> dict[str, str]:
    slides = _catalog(archive, "slides", "slide_id", "relpath")
    return {slide_id: Path(os.fsdecode(row["relpath"])).name for slide_id, row in slides.items()}


def test_every_slide_is_a_slide_of_its_own_to_openslide_too(archive: Archive) -> None:
    columns = ("relpath", "status", "width", "height", "level_count", "mpp_x", "has_label")
    slides = _catalog(archive, "slides", "slide_id", *columns)
    assert len(slides) == len(archive.names)
    for number, row in enumerate(slides.values()):
        assert row["status"] == "ok"
        if number % 25 == 0:
            with openslide.OpenSlide(archive.workspace / "slides" / os.fsdecode(row["relpath"])) as judge:
                assert judge.dimensions == (row["width"], row["height"])
                assert judge.level_count == row["level_count"] == 2
                assert float(judge.properties["openslide.mpp-x"]) == row["mpp_x"]
                assert ("label" in judge.associated_images) is row["has_label"]


def test_every_slide_finds_the_report_of_its_own_patient_and_of_no_other(archive: Archive) -> None:
    names = _slide_names(archive)
    links = _catalog(archive, "links", "slide_id", "tier", "report_id")
    reports = _catalog(archive, "reports", "report_id", "accession_raw")
    linked = 0
    for slide_id, name in names.items():
        link = links[slide_id]
        if name[:12] in archive.reports:
            assert link["tier"] == "file_name"
            assert reports[link["report_id"]]["accession_raw"] == name[:12]
            linked += 1
        else:
            assert (link["tier"], link["report_id"]) == ("none", None)
    tiers = _pathcurate(archive.workspace, "link")["tiers"]
    assert (tiers["file_name"], tiers["none"]) == (linked, len(archive.names) - linked)


def test_only_the_byte_copies_share_their_pixels(archive: Archive) -> None:
    names = _slide_names(archive)
    groups = _catalog(archive, "slides", "slide_id", "scan_group")
    assert {names[slide_id] for slide_id, row in groups.items() if row["scan_group"]} == archive.identical
    findings = _pathcurate(archive.workspace, "link")["findings"]
    torn = [item for item in findings if item["rule"] == "link.shared_pixels_two_patients"]
    assert {names[item["subject"]] for item in torn} == archive.identical
    assert {item["severity"] for item in torn} == {"error"}


def test_cohort_is_what_the_source_tables_say(archive: Archive) -> None:
    names = _slide_names(archive)
    expected = archive.expected(50)
    assert 20 < len(expected) < len(archive.expected(0))
    # The ledger's codes are made from the slides' identifiers with the vault's key.
    from pathcurate.pseudonyms import internal

    layer = internal((archive.workspace / "vault" / "key").read_bytes()).codes
    codes = {layer.code("S", slide_id): name for slide_id, name in names.items()}
    ledger = pq.read_table(archive.workspace / "cohorts" / "breast_stage_two" / "ledger.parquet").to_pylist()
    assert {codes[row["slide_id"]] for row in ledger if row["step"] == "kept"} == expected
    assert len(ledger) == len(archive.names)


def test_release_holds_no_tcga_number_validates_and_is_registered(archive: Archive) -> None:
    release = archive.workspace / "releases" / "breast_stage_two" / "1.0.0"
    table = pq.read_table(release / "data" / "slides.parquet")
    assert table.num_rows == len(archive.expected(50))
    assert "TCGA-" not in json.dumps(table.to_pylist(), default=str)
    assert not [path for path in release.rglob("*") if path.is_file() and b"TCGA-" in path.read_bytes()]
    result = _pathcurate(archive.workspace, "validate", str(release))
    # Without a product file, what it would say is missing.
    unsaid = ("PC-DOC", "PC-REG", "PC-POL", "PC-META")
    assert [one["rule"] for one in result["findings"] if not one["rule"].startswith(unsaid)] == ["PC-PRIV-004"]
    assert _pathcurate(archive.workspace, "product", "register", str(release))["is_new"] is False
    sides = set(zip(table["patient_id"].to_pylist(), table["split"].to_pylist(), strict=True))
    assert len(sides) == len(set(table["patient_id"].to_pylist()))


def test_changed_recipes_need_the_least_version_that_is_computed(archive: Archive) -> None:
    workspace = archive.workspace
    refused = _run(workspace, "manifest", "build", _recipe(workspace, "1.0.1", 50, ", stain"), "--no-permissions")
    assert refused.returncode == 5
    assert "1.1.0" in refused.stderr
    _pathcurate(workspace, "manifest", "build", _recipe(workspace, "1.1.0", 50, ", stain"), "--no-permissions")
    refused = _run(workspace, "manifest", "build", _recipe(workspace, "1.2.0", 60, ", stain"), "--no-permissions")
    assert refused.returncode == 5
    assert "2.0.0" in refused.stderr
    _pathcurate(workspace, "manifest", "build", _recipe(workspace, "2.0.0", 60, ", stain"), "--no-permissions")
    added = _run(workspace, "manifest", "diff", "breast_stage_two@1.0.0", "breast_stage_two@1.1.0")
    assert added.returncode == 0, added.stderr
    fewer = _run(workspace, "manifest", "diff", "breast_stage_two@1.1.0", "breast_stage_two@2.0.0")
    assert fewer.returncode == 0, fewer.stderr
    lost = len(archive.expected(50)) - len(archive.expected(60))
    assert lost > 0
    assert str(lost) in fewer.stdout
    assert "TCGA-" not in added.stdout + fewer.stdout

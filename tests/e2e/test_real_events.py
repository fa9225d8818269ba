"""Stage and age of the real TCGA clinical table, joined to the real reports, against a count by the csv module alone."""

import csv
import shutil
from datetime import UTC, datetime
from pathlib import Path

from pathcurate import deid
from pathcurate.cohort import read_recipe, select
from pathcurate.engines.embedded import Embedded
from pathcurate.events import import_events
from pathcurate.reports import import_reports
from pathcurate.workspace import load_workspace
from tests.clinic import link_again

STAGES = ("Stage II", "Stage IIA", "Stage IIB", "Stage III", "Stage IIIA", "Stage IIIB", "Stage IIIC")
_FILES = {
    "pathcurate.yaml": """\
workspace: 1
name: tcga
sites:
  - code: TCGA
    reports: [{path: reports.csv, mapping: reports.yaml}]
    events:
      - {path: cdr.csv, mapping: stage.yaml}
      - {path: cdr.csv, mapping: age.yaml}
      - {path: cdr.csv, mapping: type.yaml}
    accession: {patterns: ['^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})']}
""",
    "reports.yaml": "columns: {accession: bcr_patient_barcode, patient_id: bcr_patient_barcode, diagnosis: text}\n",
    "stage.yaml": "columns: {patient_id: bcr_patient_barcode, code: stage}\n"
    "constants: {kind: diagnosis, code_system: ajcc}\n",
    "age.yaml": "columns: {patient_id: bcr_patient_barcode, value: age_at_initial_pathologic_diagnosis}\n"
    "constants: {kind: visit, code: AGE, code_system: local, unit: years}\n",
    "type.yaml": "columns: {patient_id: bcr_patient_barcode, code: type_code}\n"
    "constants: {kind: diagnosis, code_system: local}\n",
    "recipe.yaml": f"""\
recipe: 1
name: brca
version: 1.0.0
title: Breast cancer of stage II or III, 50 to 70 years old
unit: patient
include:
  - {{id: type, level: patient, has: {{table: events, where: {{kind: diagnosis, code_system: local, code: BRCA}}}}}}
  - {{id: stage, level: patient, has: {{table: events, where: {{code: {{any_of: [{", ".join(STAGES)}]}}}}}}}}
  - {{id: age, level: patient, has: {{table: events, where: {{code: AGE, value: {{min: 50, max: 70}}}}}}}}
columns: [patient_id]
""",
}


def test_one_tumour_type_by_stage_and_age(real_data: Path, tmp_path: Path) -> None:
    tables = {"reports.csv": "reports/tcga_reports/tcga_path_reports.csv", "cdr.csv": "tables/tcga/tcga_clinical_cdr.csv"}
    for name, source in tables.items():
        shutil.copyfile(real_data / source, tmp_path / name)
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text)
    csv.field_size_limit(1 << 24)
    with (tmp_path / "reports.csv").open(encoding="utf-8", newline="") as file:
        reported = {row["bcr_patient_barcode"] for row in csv.DictReader(file)}
    with (tmp_path / "cdr.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["bcr_patient_barcode"] in reported]
    of_type = [row for row in rows if row["type_code"] == "BRCA"]
    of_stage = [row for row in of_type if row["stage"] in STAGES]
    of_age = [row for row in of_stage if 50 <= float(row["age_at_initial_pathologic_diagnosis"] or "nan") <= 70]
    assert len(of_age) > 10

    workspace = load_workspace(tmp_path / "pathcurate.yaml")
    import_reports(workspace)
    summary = import_events(workspace)
    assert summary.rows == sum(
        bool(row[name]) and not row[name].startswith("[")
        for row in rows
        for name in ("stage", "age_at_initial_pathologic_diagnosis", "type_code")
    )
    assert {finding.rule for finding in summary.findings} == {"events.empty_row", "events.unknown_column"}
    link_again(workspace)
    scrubbed = deid.apply(workspace, actor="tester")
    assert (scrubbed.faults, scrubbed.rows_left_out) == ((), {})
    with Embedded(workers=1, temp_directory=tmp_path / "spill") as engine:
        source = read_recipe(tmp_path / "recipe.yaml")
        attrition = select(workspace, engine, source, now=datetime(2026, 1, 2, tzinfo=UTC), dry_run=True).attrition
    left = {step.id: step.remaining.patients for step in attrition.steps}
    assert attrition.start.patients == len(reported)
    assert left == {"permission": len(reported), "type": len(of_type), "stage": len(of_stage), "age": len(of_age)}

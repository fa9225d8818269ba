"""Sealed releases for tests: slides of patients with a diagnosis each, whose grade, organ or behaviour is the answer."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pathcurate.cohort import read_recipe, select
from pathcurate.engines.embedded import Embedded
from pathcurate.manifest import BuildResult, build
from pathcurate.workspace import Workspace, load_workspace
from tests.built import NOW, PRODUCT, TODAY, Rows, build_release

SEALED = """\
recipe: 1
name: small
version: 1.0.0
title: A sealed set (封存)
unit: slide
labels:
  - name: tumour
    level: case
    has: {table: diagnoses, where: {behaviour: "3"}}
columns: [slide_id, patient_id, site, stain]
sealed: {task: binary, label: tumour}
"""
VENDORS = ("leica", "hamamatsu")


def rows_of(patients: int = 12, *, first: int = 0, groups: Mapping[int, int] | None = None) -> Rows:
    """Patients with a case, a report with a diagnosis, and two slides each; every third one has a tumour.

    Args:
        patients: how many.
        first: number of the first.
        groups: patients who may be the same person as another one.
    """
    rows: Rows = {"slides": [], "cases": [], "patients": [], "reports": [], "diagnoses": []}
    for number in range(first, first + patients):
        case, patient, report = (f"{kind}-{number:016}" for kind in "CPR")
        group = f"Q-{(groups or {}).get(number, number):016}"
        person = {"patient_id": patient, "group_id": group, "sex": ("female", "male")[number % 2]}
        owner: dict[str, Any] = {**person, "case_id": case, "site": "NB01", "age": 40 + number % 3}
        day = NOW.date() - timedelta(days=7 * number)
        rows["patients"].append({**person, "case_count": 1, "slide_count": 2})
        rows["cases"].append({**owner, "slide_count": 2, "report_count": 1})
        reported = {"report_type": "primary", "status": "final", "is_current": True, "reported_date": day}
        rows["reports"].append({**owner, "report_id": report, **reported})
        rows["diagnoses"].append({
            "report_id": report, "case_id": case, "patient_id": patient, "group_id": group, "site": "NB01",
            "ordinal": 1, "line": 1,
            "behaviour": "3" if number % 3 == 0 else "0", "grade": ("G1", "G2", "G3")[number % 3],
            "organ": ("lung", "breast")[number % 2], "nodes_positive": number % 5, "assertion": "affirmed",
        })  # fmt: skip
        for glass in range(2):
            rows["slides"].append({
                **owner, "slide_id": f"S-{2 * number + glass:016}", "status": "ok", "tier": "exact", "stain": "HE",
                "format": "svs", "mpp": 0.25, "vendor": VENDORS[glass], "scanner_model": f"X{glass}",
                "level_downsamples": [1.0, 4.0], "scan_datetime": day,
            })  # fmt: skip
    return rows


def sealed_release(root: Path, recipe: str = SEALED, rows: Rows | None = None, **parts: Any) -> Path:
    """A workspace below ``root`` with one sealed release; the release's directory."""
    root.parent.mkdir(parents=True, exist_ok=True)
    return build_release(root, recipe=recipe, rows=rows or rows_of(), **parts)


def build_more(root: Path, recipe: str, name: str = "other") -> BuildResult:
    """Select and build another recipe in a workspace that :func:`sealed_release` made."""
    workspace: Workspace = load_workspace(root / "pathcurate.yaml")
    file = root / f"{name}.yaml"
    file.write_text(recipe)
    (root / "products" / f"{name}.yaml").write_text(PRODUCT.replace("name: small", f"name: {name}"))
    source = read_recipe(file)
    with Embedded(workers=1, temp_directory=root / "spill") as engine:
        select(workspace, engine, source, now=NOW)
    return build(workspace, source, actor="tester", today=TODAY)

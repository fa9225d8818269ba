"""Releases for the tests of ``validate``: of three tables, with a product file, and ways to damage them."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.digests import content_digest, file_sha256, table_identity
from pathcurate.model.evaluation import EVALUATION_PATH
from pathcurate.model.manifest import MANIFEST_NAME
from tests.built import Rows, build_release, reseal, rewrite_manifest

PRODUCT = """\
product: 1
name: small
title: {zh: 小型示例数据集, en: A small example}
description: {zh: 示例切片与报告。, en: Slides and reports of an example.}
keywords: {zh: [病理], en: [pathology]}
scenarios: {zh: 模型训练。, en: Training of models.}
limits: {zh: 不得重新识别。, en: Nobody may be identified.}
limitations: {zh: 单中心。, en: One centre.}
holder: {name: {zh: 示例市病理诊断中心, en: Example Pathology Centre}, uscc: 91330200000000000E, kind: 事业单位}
contact: {name: 数据管理员, email: data-steward@pathology.example}
published: 2026-02-01
updated: quarterly
region: 浙江省/宁波市
industry: Q 卫生和社会工作
source: original
rights: [hold, use, operate]
declarations: {personal_information: true, sensitive: true, important_data: false, genetic_resources: false,
  cross_border: false}
policy: {duo: [DUO_0000006], environment: tre, valid_until: 2030-12-31}
evidence:
  ethics: {number: E-1, issued_by: 伦理委员会, date: 2025-01-01, valid_until: 2029-12-31}
  impact_assessment: {number: P-1, date: 2025-01-01, valid_until: 2029-12-31}
  risk_assessment: {number: R-1, date: 2025-01-01, valid_until: 2029-12-31}
  legal_basis: [知情同意]
  authorisation: {number: A-1, valid_until: 2029-12-31}
  certificate: {number: C-1, issued_by: 示例机构, valid_until: 2029-12-31}
  notarisation: {number: N-1, issued_by: 示例公证处, date: 2026-01-31, valid_until: 2029-12-31}
price: {amount: "1.50", currency: CNY, unit: slide}
sample: {rows: 3, approved_by: 数据委员会}
security_level: 3
"""
RECIPE = """\
recipe: 1
name: small
version: 1.0.0
title: Slides and reports of an example
owner: Example
approval: E-1
unit: slide
labels:
  - {name: grade_two, level: case, has: {table: diagnoses, where: {grade: {missing: false}}}}
split: {ratios: {train: 0.5, test: 0.5}}
tables:
  slides:
    columns: [slide_id, case_id, patient_id, group_id, site, sex, age, stain, status, qc, scan_group, width, height,
      level_count, level_downsamples, mpp_x, mpp_y, mpp, tier, scan_datetime, tiles_checked, tiles_bad, case_grade_two,
      split]
  cases: {columns: [case_id, patient_id, group_id, slide_count]}
  reports: {columns: [report_id, case_id, patient_id, report_type, reported_date]}
"""
Change = Callable[[pa.Table], pa.Table]
DAY = date(2026, 1, 2)


def made_up(patients: int = 40) -> Rows:
    """Patients with a case each, a report and two slides a case."""
    rows: Rows = {"slides": [], "cases": [], "patients": [], "reports": []}
    for number in range(patients):
        case, patient, group, report = (f"{kind}-{number:016}" for kind in "CPQR")
        person = {"patient_id": patient, "group_id": group, "sex": ("female", "male")[number % 2]}
        owner = {**person, "case_id": case, "site": "NB01", "age": 40 + number % 3}
        day = DAY - timedelta(days=number)
        rows["patients"].append({**person, "case_count": 1, "slide_count": 2})
        rows["cases"].append({**owner, "slide_count": 2, "report_count": 1})
        rows["reports"].append({
            **owner, "report_id": report, "report_type": "primary", "status": "final", "is_current": True,
            "reported_date": day,
        })  # fmt: skip
        for glass in range(2):
            code = f"{2 * number + glass:016}"
            rows["slides"].append({
                **owner, "slide_id": f"S-{code}", "status": "ok", "qc": "ok", "tier": "exact", "stain": "HE",
                "scan_group": f"G-{code}", "width": 40_000, "height": 30_000, "level_count": 2,
                "level_downsamples": [1.0, 4.0], "mpp_x": 0.25, "mpp_y": 0.25, "mpp": 0.25, "scan_datetime": day,
                "tiles_checked": 10, "tiles_bad": 0,
            })  # fmt: skip
    return rows


def build_wide(factory: pytest.TempPathFactory) -> Path:
    """A release with slides, cases and reports, and all that product.yaml can say; built once, so copy it to change it."""
    if not _WIDE:
        root = factory.mktemp("wide") / "w"
        _WIDE.append(build_release(root, rows=made_up(), recipe=RECIPE, product=PRODUCT))
    return _WIDE[0]


_WIDE: list[Path] = []


def rewrite(release: Path, name: str, change: Change, **counts: int) -> None:
    """Change a table, and with it all that MANIFEST.json and the evaluation say of it: only rules about values notice.

    Args:
        release: the release.
        name: of the table.
        change: what is done to it.
        counts: numbers of slides, cases or patients that the manifest then states.
    """
    path = release / "data" / f"{name}.parquet"
    data = change(pq.read_table(path))
    path.unlink()
    pq.write_table(data, path)
    manifest = json.loads((release / MANIFEST_NAME).read_bytes())
    entry = manifest["tables"][name]
    identity: Any = table_identity(data)
    entry |= {"rows": data.num_rows, "table_digest": identity["digest"], "schema_sha256": identity["schema_sha256"]}
    entry["parts"][0] |= {"rows": data.num_rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
    manifest["content_digest"] = content_digest({
        each: {"digest": one["table_digest"], "rows": one["rows"], "schema_sha256": one["schema_sha256"]}
        for each, one in manifest["tables"].items()
    })  # fmt: skip
    manifest["counts"] |= counts
    if name == "slides":
        manifest["split"] = Counter(data["split"].to_pylist()) if "split" in data.column_names else {}
        manifest["split"] = {side: number for side, number in manifest["split"].items() if side is not None}
    rewrite_json(release, EVALUATION_PATH, lambda content: content | {"content_digest": manifest["content_digest"]})
    rewrite_manifest(release, json.dumps(manifest))


def rewrite_json(release: Path, relpath: str, change: Callable[[Any], Any]) -> None:
    """Change a document of JSON, and its digest with it."""
    content = json.loads((release / relpath).read_bytes())
    write(release, relpath, json.dumps(change(content), ensure_ascii=False))


def write(release: Path, relpath: str, text: str | bytes | None) -> None:
    """Replace, add or (None) remove a file, and seal the release again."""
    path = release / relpath
    path.unlink(missing_ok=True)
    if text is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    reseal(release)


def with_values(column: str, values: Callable[[list[Any]], list[Any]]) -> Change:
    """The table with other values in a column."""

    def change(data: pa.Table) -> pa.Table:
        index = data.schema.get_field_index(column)
        field = data.schema.field(index)
        return data.set_column(index, field, pa.array(values(data[column].to_pylist()), field.type))

    return change


def copied(release: Path, to: Path) -> Path:
    """A copy that may be changed."""
    shutil.copytree(release, to)
    for path in (to, *to.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return to

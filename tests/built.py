"""A real release by the real stages, from de-identified tables that are written here instead of scanned: 0.2 s, not 8."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.checksums import CHECKSUMS_NAME, write_checksums
from pathcurate.cohort import read_recipe, select
from pathcurate.digests import content_digest, file_sha256, row_digests, schema_sha256, table_digest
from pathcurate.disclosure.lists import record_permission_lists
from pathcurate.engines.embedded import Embedded
from pathcurate.manifest import build
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, PERMISSION_CODES
from pathcurate.model.evaluation import EVALUATION_PATH
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.tables import from_rows, write_parquet
from pathcurate.vault import create_vault
from pathcurate.verification import input_states, write_seal
from pathcurate.workspace import Workspace, load_workspace

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
TODAY = NOW.date()
_SETTINGS = "workspace: 1\nname: built\nsites: [{code: NB01}]\n"
_RECIPE = """\
recipe: 1
name: small
version: 1.0.0
title: Twelve slides of six patients
unit: slide
split: {ratios: {train: 0.5, test: 0.5}}
columns: [slide_id, case_id, patient_id, group_id, site, sex, age, stain, level_downsamples, scan_datetime, mpp, split]
"""


PRODUCT = """\
product: 1
name: small
title: {zh: 六名患者的十二张切片, en: Twelve slides of six patients}
description: {zh: 用于测试的小型数据产品。, en: A small product for tests.}
keywords: {zh: [测试], en: [test]}
scenarios: {zh: 测试。, en: Tests.}
limits: {zh: 仅用于测试。, en: For tests only.}
limitations: {zh: 数据为虚构。, en: All of it is made up.}
holder: {name: {zh: 示例市病理诊断中心, en: Pathology Centre of Example City}, uscc: 12330299MB00000006, kind: 事业单位}
contact: {name: 数据管理员, email: data-steward@pathology.example}
published: 2026-01-02
updated: quarterly
region: 示例省/示例市
industry: Q 卫生和社会工作
source: original
rights: [hold, use, operate]
declarations:
  {personal_information: true, sensitive: true, important_data: false, genetic_resources: false, cross_border: false}
policy: {duo: [DUO_0000042], environment: file, valid_until: 2126-01-01}
evidence:
  ethics: {number: 示例伦审1, valid_until: 2126-01-01}
  impact_assessment: {number: PIA-1, date: 2026-01-01, says: 风险可控}
  risk_assessment: {number: DSRA-1, date: 2026-01-01, says: 风险可控}
  legal_basis: [知情同意]
  notarisation: {number: N-1, issued_by: 示例公证处, date: 2026-01-01}
price: {amount: "1.50", currency: CNY, unit: slide}
sample: {rows: 2, approved_by: 数据管理员}
security_level: 3
retention_until: 2126-01-01
"""
"""What a product file says that leaves nothing unsaid."""
Rows = dict[str, list[dict[str, Any]]]


def build_release(
    root: Path,
    *,
    version: str = "1.0.0",
    permissions: bool = True,
    rows: Rows | None = None,
    recipe: str | None = None,
    profile: str = "default",
    product: str = PRODUCT,
) -> Path:
    """A workspace below ``root`` with one release; the release's directory.

    Args:
        root: the workspace's directory.
        version: of the release.
        permissions: whether a permission list is configured.
        rows: of ``deid/``, as if a profile had made them; those of six patients if None.
        recipe: text of the recipe, whose name is ``small``; that of twelve slides if None.
        profile: that the workspace names.
        product: what people say of the product.
    """
    workspace = _workspace(root, permissions=permissions, rows=rows or _rows(), profile=profile, product=product)
    file = root / "small.yaml"
    file.write_text((recipe or _RECIPE).replace("1.0.0", version))
    source = read_recipe(file)
    with Embedded(workers=1, temp_directory=root / "spill") as engine:
        select(workspace, engine, source, now=NOW)
    return build(workspace, source, actor="tester", today=TODAY, no_permissions=not permissions).release.directory


def _workspace(root: Path, *, permissions: bool, rows: Rows, profile: str, product: str) -> Workspace:
    root.mkdir(exist_ok=True)
    (root / "products").mkdir(exist_ok=True)
    (root / "products" / "small.yaml").write_text(product)
    settings = f"{_SETTINGS}deid: {{profile: {profile}}}\n"
    (root / "pathcurate.yaml").write_text(settings + ("permissions: [{path: consent.csv}]\n" if permissions else ""))
    (root / "consent.csv").write_text("病案号\n")
    workspace = load_workspace(root / "pathcurate.yaml")
    record_permission_lists(workspace)
    vault = create_vault(workspace.vault)
    for name, table in DEID_TABLES.items():
        write_parquet(workspace.deid / f"{name}.parquet", from_rows(table, rows.get(name, ())))
    for name, table in CRITERIA_TABLES.items():
        known = [{key: row.get(key) for key in table.names if key == table.key[0]} for row in rows.get(name, ())]
        write_parquet(vault.criteria / f"{name}.parquet", from_rows(table, known))
    consent = {
        "subject": "site", "subject_code": "NB01", "basis": "waiver", "purposes": ["research"],
        "data_kinds": ["slides", "reports"], "opt_out": False,
    }  # fmt: skip
    write_parquet(vault.criteria / "permissions.parquet", from_rows(PERMISSION_CODES, [consent]))
    write_seal(workspace, input_states(workspace), vault.fingerprint, [])
    return workspace


def _rows() -> Rows:
    """Six patients with a case each, two slides a case."""
    slides, cases, patients, reports = [], [], [], []
    for number in range(6):
        case, patient, group, report = (f"{kind}-{number:016}" for kind in "CPQR")
        person = {"patient_id": patient, "group_id": group, "sex": ("female", "male")[number % 2]}
        owner = {**person, "case_id": case, "site": "NB01", "age": 40 + number}
        patients.append({**person, "case_count": 1, "slide_count": 2})
        cases.append({**owner, "slide_count": 2, "report_count": 1})
        reports.append({**owner, "report_id": report, "report_type": "primary", "status": "final", "is_current": True})
        slide = {
            **owner, "status": "ok", "tier": "exact", "stain": "HE", "format": "svs", "mpp": 0.25,
            "level_downsamples": [1.0, 4.0], "scan_datetime": NOW.date(),
        }  # fmt: skip
        slides += [{**slide, "slide_id": f"S-{2 * number + glass:016}"} for glass in range(2)]
    return {"slides": slides, "cases": cases, "patients": patients, "reports": reports}


def reseal(release: Path) -> None:
    """Make the list of checksums that of the files as they are now, as somebody would who has changed them on purpose."""
    path = release / CHECKSUMS_NAME
    path.chmod(0o644)
    path.write_bytes(write_checksums(release))


def rewrite_table(release: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the release's table, and with it all that the release says of it: only rules about values can notice."""
    path = release / "data" / "slides.parquet"
    data = change(pq.read_table(path))
    path.unlink()
    pq.write_table(data, path)
    identity: Any = {
        "digest": table_digest(row_digests(data)),
        "rows": data.num_rows,
        "schema_sha256": schema_sha256((field.name, str(field.type), field.nullable) for field in data.schema),
    }
    manifest = json.loads((release / MANIFEST_NAME).read_bytes())
    manifest["content_digest"] = content_digest({"slides": identity})
    identity["table_digest"] = identity.pop("digest")
    part = {"path": "data/slides.parquet", "rows": data.num_rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
    manifest["tables"]["slides"] |= {"parts": [part], **identity}
    manifest["counts"]["slides"] = data.num_rows
    quality = release / "quality" / "attrition.json"
    attrition = json.loads(quality.read_bytes())
    attrition["steps"][-1]["remaining"]["slides"] = data.num_rows
    quality.unlink()
    quality.write_text(json.dumps(attrition))
    evaluation = release / EVALUATION_PATH
    content = json.loads(evaluation.read_bytes()) | {"content_digest": manifest["content_digest"]}
    evaluation.unlink()
    evaluation.write_text(json.dumps(content))
    if "split" in data.column_names:
        manifest["split"] = Counter(data["split"].to_pylist())
    rewrite_manifest(release, json.dumps(manifest))


def rewrite_manifest(release: Path, text: str) -> None:
    """Replace MANIFEST.json, and its digest with it."""
    (release / MANIFEST_NAME).unlink(missing_ok=True)
    (release / MANIFEST_NAME).write_text(text)
    reseal(release)


def copy_release(release: Path, to: Path) -> Path:
    """A copy that may be changed."""
    shutil.copytree(release, to)
    for path in (to, *to.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return to

"""What a release costs at the size of an archive: build, verify, validate, the next version, and what differs.

The tables are made up by SQL (``cohort_tables``) and sealed as if they had been verified; all else is the real thing. Beside
them in the same run: plain SHA-256 of the same bytes, and a merge of both versions in pandas. Each has a process of its own.
`python tests/bench/release_scale.py --help` shows the settings.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.cohort import read_recipe, select
from pathcurate.diff import compare
from pathcurate.diff.contents import release_contents
from pathcurate.disclosure.lists import record_permission_lists
from pathcurate.engines.embedded import Embedded
from pathcurate.manifest import build
from pathcurate.model.deidentified import BETWEEN_TABLES, CRITERIA_TABLES, DEID_TABLES, PERMISSION_CODES
from pathcurate.model.recipe.declared import output_table
from pathcurate.releases import read_release, verify_release
from pathcurate.tables import from_rows, write_parquet
from pathcurate.validate import Choice, validate
from pathcurate.vault import create_vault
from pathcurate.verification import input_states, write_seal
from pathcurate.workspace import load_workspace
from tests.bench.cohort_tables import make_tables
from tests.bench.phases import alone, peak_mb
from tests.bench.rows import Row, record

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
MEMORY = 1_200_000_000
PEERS_VENV = Path(__file__).resolve().parents[2] / ".venv-bench-release"
REQUIREMENTS = Path(__file__).with_name("requirements-release.txt")
RECIPE = """
recipe: 1
name: archive
version: {version}
title: All slides that can be read, with their reports
unit: slide
links: [exact, barcode]
include:
  - {{id: glass, level: slide, where: {{stain: {{any_of: [{stains}]}}}}}}
split: {{ratios: {{train: 0.8, val: 0.1, test: 0.1}}}}
tables:
  slides:
    columns: [slide_id, case_id, patient_id, site, stain, format, mpp, tissue_fraction, width, height, sex, age_band, split]
  reports: {{columns: [report_id, case_id, patient_id, status, icd10, icdo3_morphology, reported_date]}}
"""


def made(root: Path, slides: int) -> None:
    """A workspace whose de-identified tables are as large as an archive, sealed."""
    if (root / "pathcurate.yaml").is_file():
        return
    root.mkdir(parents=True, exist_ok=True)
    (root / "pathcurate.yaml").write_text(
        "workspace: 1\nname: archive\nsites: [{code: NB01}]\ndeid: {profile: enclave}\npermissions: [{path: consent.csv}]\n"
    )
    (root / "consent.csv").write_text("病案号\n")
    workspace = load_workspace(root / "pathcurate.yaml")
    record_permission_lists(workspace)
    vault = create_vault(workspace.vault)
    scratch = root / "made"
    make_tables(scratch, slides, {"adenocarcinoma": ""})
    for name, table in DEID_TABLES.items():
        file = scratch / "deid" / f"{name}.parquet"
        target = workspace.deid / f"{name}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target) if file.is_file() else write_parquet(target, from_rows(table, ()))
    for name, table in CRITERIA_TABLES.items():
        file = scratch / "criteria" / f"{name}.parquet"
        target = vault.criteria / f"{name}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target) if file.is_file() else write_parquet(target, from_rows(table, ()))
    consent: list[dict[str, Any]] = [
        {"subject": "site", "subject_code": f"NB{site:02}", "basis": "waiver", "purposes": ["research"],
         "data_kinds": ["slides", "reports"], "opt_out": False}
        for site in range(19)
    ]  # fmt: skip
    write_parquet(vault.criteria / "permissions.parquet", from_rows(PERMISSION_CODES, consent))
    write_seal(workspace, input_states(workspace), vault.fingerprint, [])
    shutil.rmtree(scratch)


def chosen(root: Path, version: str, stains: str) -> int:
    """The cohort of a version."""
    workspace = load_workspace(root / "pathcurate.yaml")
    file = root / "archive.yaml"
    file.write_text(RECIPE.format(version=version, stains=stains))
    with Embedded(workers=2, temp_directory=root / "spill", memory_limit_bytes=MEMORY) as engine:
        return select(workspace, engine, read_recipe(file), now=NOW).rows.num_rows


def built(root: Path) -> int:
    """Build the release of the cohort."""
    workspace = load_workspace(root / "pathcurate.yaml")
    with Embedded(workers=2, temp_directory=root / "spill", memory_limit_bytes=MEMORY) as engine:
        result = build(workspace, read_recipe(root / "archive.yaml"), actor="bench", today=NOW.date(), engine=engine)
    return sum(int(entry["rows"]) for entry in result.release.tables.values())


def release(root: Path, version: str) -> Path:
    """Where a version lies."""
    return root / "releases" / "archive" / version


def verified(root: Path) -> int:
    """Check every byte."""
    return len(verify_release(release(root, "1.0.0")).tables)


def hashed(root: Path) -> int:
    """The peer of :func:`verified`: SHA-256 of the same files, and nothing else."""
    done = 0
    for path in sorted(release(root, "1.0.0").rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                hashlib.file_digest(file, "sha256")
            done += 1
    return done


def validated(root: Path) -> int:
    """Run every rule."""
    choice = Choice(today=NOW.date(), workers=os.cpu_count() or 1)
    return len(validate(release(root, "1.0.0"), choice).findings)


def differing(root: Path) -> int:
    """Compare two versions."""
    old, new = (release_contents(read_release(release(root, version))) for version in ("1.0.0", "2.0.0"))
    difference = compare(old, new)
    return sum(table.rows.removed + table.rows.added + table.rows.changed for table in difference.tables.values())


def merged(root: Path) -> int:
    """The peer of :func:`differing`: an outer merge of slides by key and a comparison of each column, in pandas."""
    import pandas as pd

    old, new = (
        pd.concat(map(pd.read_parquet, read_release(release(root, version)).paths("slides")))
        for version in ("1.0.0", "2.0.0")
    )
    both = old.merge(new, on="slide_id", how="outer", indicator=True, suffixes=("", "_new"))
    changed = both["_merge"] == "both"
    differs = False
    for name in old.columns.drop("slide_id"):
        here, there = both[name], both[f"{name}_new"]
        differs = differs | ((here != there) & ~(here.isna() & there.isna()))
    return int((both["_merge"] != "both").sum() + (changed & differs).sum())


def checked_by_pandera(root: Path) -> dict[str, Any]:
    """The peer of :func:`validated`, for the checks that it can do: see ``release_pandera``."""
    made_of, wanted = PEERS_VENV / "made_of.txt", REQUIREMENTS.read_text(encoding="utf-8")
    if not made_of.exists() or made_of.read_text(encoding="utf-8") != wanted:
        venv.create(PEERS_VENV, with_pip=True, clear=True)
        install = [str(PEERS_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True, capture_output=True)
        made_of.write_text(wanted, encoding="utf-8")
    there = read_release(release(root, "1.0.0"))
    recipe = read_recipe(root / "archive.yaml").recipe
    tables = []
    for name in there.tables:
        known = DEID_TABLES.get(name) or BETWEEN_TABLES[name]
        columns = output_table(recipe, name, recipe.outputs[name].columns) if name in recipe.outputs else known
        tables.append({
            "paths": [str(path) for path in there.paths(name)], "key": list(columns.key),
            "columns": [{"name": one.name, "values": one.values, "pattern": one.pattern, "required": one.required}
                        for one in columns.columns],
        })  # fmt: skip
    program = [str(PEERS_VENV / "bin" / "python"), str(Path(__file__).with_name("release_pandera.py"))]
    done = subprocess.run(program, input=json.dumps({"tables": tables}), capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return {**said, "cpu": said["wall"]}


def measured(task: Callable[..., int], *parts: Any) -> dict[str, Any]:
    """Seconds, peak of memory, and what was found."""
    began, used = time.perf_counter(), time.process_time()
    found = task(*parts)
    return {"wall": time.perf_counter() - began, "cpu": time.process_time() - used, "peak": peak_mb(), "found": found}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=280_000)
    parser.add_argument("--folder", type=Path, help="keep the tables here for the next time")
    parser.add_argument("--only", nargs="*", help="of these phases")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = (settings.folder or Path(temporary)) / f"archive-{settings.slides}"
        made(root, settings.slides)
        phases: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
            ("cohort", chosen, ("1.0.0", "HE, PAS, 'IHC:Ki-67'")), ("build", built, ()), ("verify", verified, ()),
            ("sha256 of the same bytes", hashed, ()), ("validate", validated, ()),
            ("pandera, what it can check", checked_by_pandera, ()),
            ("cohort of the next version", chosen, ("2.0.0", "HE, PAS")), ("build the next version", built, ()),
            ("diff", differing, ()), ("pandas merge of slides alone", merged, ()),
        ]  # fmt: skip
        for name, task, parts in phases:
            if settings.only and name not in settings.only:
                continue
            one = task(root) if name.startswith("pandera") else alone(measured, task, root, *parts)
            times = f"{one['wall']:6.1f} s  {one['cpu']:6.1f} s of this process  {one['peak']:7,.0f} MB"
            what = f"release of {settings.slides:,} slides: {name}"
            record(Row(what, one["wall"], "s", at_least=False, peak_bytes=int(one["peak"] * 1e6)))
            sys.stdout.write(f"{name:<30} {times}  {one['found']:>10,} found\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

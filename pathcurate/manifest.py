"""Stage: a cohort becomes a release: an immutable directory of Parquet tables with counts, digests and provenance."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pathcurate import __version__
from pathcurate.digests import (
    CHECKSUMS_NAME,
    TableIdentity,
    content_digest,
    file_sha256,
    row_digests,
    schema_sha256,
    sha256_text,
    table_digest,
    write_checksums,
)
from pathcurate.errors import DisclosureRefusedError, PlanIncompleteError, VersionError
from pathcurate.htmlreport.page import ColumnFacts, ReleaseFacts, TableFacts, release_page
from pathcurate.model.attrition import COHORT_FILE, Attrition
from pathcurate.model.column import Table
from pathcurate.model.deidentified import DEID_TABLES, PSEUDONYM_KINDS, UNIT_TABLES, pseudonym_pattern, released
from pathcurate.model.manifest import MANIFEST_NAME, MANIFEST_SCHEMA
from pathcurate.model.recipe import Recipe
from pathcurate.pseudonyms import Pseudonyms, product_layer
from pathcurate.recipefile import RecipeSource
from pathcurate.releases import Release, list_releases, read_release, version_key
from pathcurate.storage import sync_tree
from pathcurate.tables import column_values, conform, read_parquet, write_parquet
from pathcurate.vault import append_event, open_vault
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace

_PATTERNS = {pseudonym_pattern(kind): kind for kind in PSEUDONYM_KINDS}


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What ``build`` did.

    Attributes:
        release: the release.
        is_new: False if the same release was there already.
    """

    release: Release
    is_new: bool


def build(workspace: Workspace, source: RecipeSource, *, actor: str, no_permissions: bool = False) -> BuildResult:
    """Build a release from the recipe's cohort.

    The directory is made under a temporary name and renamed when it is whole. It holds no time of day: the same cohort
    gives the same bytes, and building it again changes nothing.

    Args:
        workspace: the workspace.
        source: the recipe.
        actor: who runs it, for the audit trail.
        no_permissions: build although no permission list is configured; the release says so.

    Raises:
        DisclosureRefusedError: no permission list is configured and ``no_permissions`` is not given.
        PlanIncompleteError: the cohort is missing, of another recipe, or older than the de-identified tables.
        VersionError: the version exists with other content.
    """
    recipe = source.recipe
    cohort = _cohort_facts(workspace, source)
    if not cohort["has_permissions"] and not no_permissions:
        raise DisclosureRefusedError(
            "no permission list is configured, so nothing says that these patients' data may be used",
            "Configure `permissions:` in pathcurate.yaml, or give --no-permissions; the release will say so.",
        )
    if cohort["recipe"]["sha256"] != source.sha256:
        raise PlanIncompleteError(
            "the cohort was selected by another version of the recipe", "Run `pathcurate cohort` again."
        )
    vault = open_vault(workspace.vault)
    data = _release_table(workspace, recipe, product_layer(vault.key, recipe.name))
    parent = workspace.releases / recipe.name
    parent.mkdir(parents=True, exist_ok=True)
    for stale in parent.glob(".building-*"):
        shutil.rmtree(stale)
    temporary = Path(tempfile.mkdtemp(dir=parent, prefix=".building-"))
    try:
        _write(temporary, workspace, source, cohort, data)
        result = _publish(temporary, parent / recipe.version)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    facts: dict[str, str | int] = {
        "release": f"{recipe.name}@{recipe.version}",
        "digest": result.release.digest,
        "new": int(result.is_new),
    }
    append_event(workspace.vault, actor, "manifest build", {**facts, "version": __version__})
    return result


def _cohort_facts(workspace: Workspace, source: RecipeSource) -> dict[str, Any]:
    seal = demand_seal(workspace)
    path = workspace.cohorts / source.recipe.name / COHORT_FILE
    facts: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    if facts.get("recipe", {}).get("sha256") != source.sha256 or facts.get("inputs") != dict(seal.tables):
        raise PlanIncompleteError(
            "the cohort is missing, of another version of the recipe, or older than the de-identified tables",
            "Run `pathcurate cohort` again.",
        )
    return facts


def _release_table(workspace: Workspace, recipe: Recipe, layer: Pseudonyms) -> pa.Table:
    """The recipe's columns with the product's own pseudonyms, sorted by them."""
    rows = read_parquet(workspace.cohorts / recipe.name / "cohort.parquet")
    table = _declaration(recipe)
    data = conform(table, rows)
    for index, column in enumerate(table.columns):
        if column.pattern in _PATTERNS:
            codes = layer.codes(_PATTERNS[column.pattern], column_values(data, column.name))
            data = data.set_column(index, data.schema.field(index), pa.chunked_array([pa.array(codes, pa.string())]))
    # A release without its unit's key is sorted by all it has, so that its order says nothing either.
    order = table.key or tuple(name for name in table.names if not pa.types.is_list(data.schema.field(name).type))
    return data.sort_by([(name, "ascending") for name in order])


def _declaration(recipe: Recipe) -> Table:
    return released(DEID_TABLES[UNIT_TABLES[recipe.unit]], recipe.columns)


def _write(directory: Path, workspace: Workspace, source: RecipeSource, cohort: Mapping[str, Any], data: pa.Table) -> None:
    recipe = source.recipe
    name = UNIT_TABLES[recipe.unit]
    table = _declaration(recipe)
    identity: TableIdentity = {
        "digest": table_digest(row_digests(data)),
        "rows": data.num_rows,
        "schema_sha256": schema_sha256((field.name, str(field.type), field.nullable) for field in data.schema),
    }
    content = content_digest({name: identity})
    attrition = Attrition.from_dict(cohort["attrition"])
    footer = {
        "pathcurate.table": name,
        "pathcurate.product": recipe.name,
        "pathcurate.version": recipe.version,
        "pathcurate.content_digest": content,
        "pathcurate.recipe": source.canonical.decode(),
        "pathcurate.recipe_sha256": source.sha256,
        "pathcurate.attrition": _json(cohort["attrition"], indent=None),
        "pathcurate.tool": f"pathcurate {__version__}",
    }
    path = directory / "data" / f"{name}.parquet"
    write_parquet(path, data, footer, mode=0o444)
    lock = yaml.safe_dump(json.loads(source.canonical), allow_unicode=True, sort_keys=True)
    texts = {
        "provenance/recipe.lock.yaml": lock,
        f"provenance/queries/{name}.sql": cohort["sql"],
        "quality/attrition.json": _json(cohort["attrition"]),
        "metadata/dictionary.json": _json(_dictionary(table, data)),
    }
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "kind": "manifest-only",
        "product": recipe.name,
        "version": recipe.version,
        "title": recipe.title,
        "previous": _previous(workspace, recipe),
        "tables": {
            name: {
                "path": f"data/{name}.parquet",
                "rows": identity["rows"],
                "key": list(table.key),
                "sha256": file_sha256(path),
                "table_digest": identity["digest"],
                "schema_sha256": identity["schema_sha256"],
            }
        },
        "content_digest": content,
        "counts": {"slides": attrition.kept.slides, "cases": attrition.kept.cases, "patients": attrition.kept.patients},
        "split": cohort["split"],
        "recipe": {"name": recipe.name, "lock_sha256": sha256_text(lock.encode()), "canonical_sha256": source.sha256},
        "inputs": {key: digest for key, digest in cohort["inputs"].items() if key.startswith("deid/")},
        "permissions": {"configured": cohort["has_permissions"], "purpose": recipe.purpose},
        "tool": {"name": "pathcurate", "version": __version__},
    }
    texts[MANIFEST_NAME] = _json(manifest)
    texts["report.html"] = release_page(_facts(manifest, table, data, attrition, lock))
    for relpath, text in texts.items():
        _write_text(directory / relpath, text)
    (directory / CHECKSUMS_NAME).write_bytes(write_checksums(directory))
    (directory / CHECKSUMS_NAME).chmod(0o444)


def _facts(manifest: Mapping[str, Any], table: Table, data: pa.Table, attrition: Attrition, lock: str) -> ReleaseFacts:
    columns = tuple(
        ColumnFacts(column.name, str(column.type), column.meaning, column.unit, data[column.name].null_count)
        for column in table.columns
    )
    return ReleaseFacts(
        title=manifest["title"],
        product=manifest["product"],
        version=manifest["version"],
        content_digest=manifest["content_digest"],
        attrition=attrition,
        split=manifest["split"],
        tables=(TableFacts(table.name, table.row, data.num_rows, columns),),
        recipe=lock,
        inputs=manifest["inputs"],
        purpose=manifest["permissions"]["purpose"],
        has_permissions=manifest["permissions"]["configured"],
        tool=f"pathcurate {__version__}",
    )


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o444)


def _json(value: object, indent: int | None = 1) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=True) + ("\n" if indent else "")


def _dictionary(table: Table, data: pa.Table) -> dict[str, Any]:
    return {
        "table": table.name,
        "row": table.row,
        "columns": [
            {
                "name": column.name,
                "type": str(column.type),
                "unit": column.unit,
                "meaning": column.meaning,
                "identifying": str(column.identifying),
                "missing": data[column.name].null_count,
            }
            for column in table.columns
        ],
    }


def _previous(workspace: Workspace, recipe: Recipe) -> dict[str, str] | None:
    """The version before: the highest that is lower than this one."""
    lower = [
        path for path in list_releases(workspace.releases)
        if path.parent.name == recipe.name and version_key(path.name) < version_key(recipe.version)
    ]  # fmt: skip
    if not lower:
        return None
    release = read_release(lower[-1])
    return {"version": release.version, "release_digest": release.digest}


def _publish(temporary: Path, target: Path) -> BuildResult:
    made = read_release(temporary)
    if target.exists():
        there = read_release(target)
        if _says_the_same(there, made):
            return BuildResult(there, is_new=False)
        raise VersionError(
            f"{made.name} {made.version} exists with other content",
            "Raise `version` in the recipe: a version that was built is never changed.",
        )
    sync_tree(temporary)
    temporary.chmod(0o755)
    temporary.rename(target)
    return BuildResult(read_release(target), is_new=True)


def _says_the_same(there: Release, made: Release) -> bool:
    """Whether two builds hold the same rows by the same recipe.

    What else the archive holds may have grown in between: that changes the attrition, but releases nothing new.
    """
    facts = ("content_digest", "recipe", "permissions", "title")
    return there.digest == made.digest or all(there.manifest[fact] == made.manifest[fact] for fact in facts)

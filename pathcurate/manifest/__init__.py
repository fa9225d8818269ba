"""Stage: a cohort becomes a release: an immutable directory of Parquet tables with counts, digests and provenance."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pathcurate import __version__
from pathcurate.cohortfacts import reviewed_labels
from pathcurate.diff import Contents as VersionContents
from pathcurate.diff import TableContents, check_version, compare, release_contents
from pathcurate.digests import (
    CHECKSUMS_NAME,
    content_digest,
    file_sha256,
    sha256_text,
    write_checksums,
)
from pathcurate.disclosure.criteria import telling_criteria
from pathcurate.errors import DisclosureRefusedError, PlanIncompleteError, VersionError
from pathcurate.htmlreport.disclosure import disclosure_svg
from pathcurate.htmlreport.page import ColumnFacts, ReleaseFacts, TableFacts, release_page
from pathcurate.manifest.contents import Built, Contents, ReleaseTable
from pathcurate.manifest.evaluation import narrowed, write_suppressed
from pathcurate.model.attrition import COHORT_FILE, ShownAttrition
from pathcurate.model.deidentified import TOP_AGE
from pathcurate.model.diff import Difference
from pathcurate.model.evaluation import CHART_PATH, EVALUATION_PATH, Evaluation, Standard
from pathcurate.model.labelreview import QUALITY_PATH
from pathcurate.model.manifest import MANIFEST_NAME, MANIFEST_SCHEMA
from pathcurate.profiles import load_profile
from pathcurate.recipefile import RecipeSource
from pathcurate.releases import Release, list_releases, read_release, verify_release, version_key
from pathcurate.roles import shared_directory
from pathcurate.storage import sync_tree
from pathcurate.tables import write_parquet
from pathcurate.vault import append_event, open_vault
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What ``build`` did.

    Attributes:
        release: the release.
        is_new: False if the same release was there already.
        evaluation: what it tells about people, and what was done about that.
    """

    release: Release
    is_new: bool
    evaluation: Evaluation


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
        DisclosureRefusedError: no permission list is configured and ``no_permissions`` is not given, a criterion tells a
            true value, or the profile's k cannot be reached.
        PlanIncompleteError: the cohort is missing, of another recipe, or older than the de-identified tables.
        VersionError: the version exists with other content, or is too small a step for what changed since the one before.
        DigestMismatchError: the release of the version before was changed, so nothing can be compared with it.
    """
    recipe = source.recipe
    cohort = _cohort_facts(workspace, source)
    telling = telling_criteria(recipe)
    if telling:
        raise DisclosureRefusedError(
            f"criterion `{telling[0]}` names a single day, less than four weeks, or an age over {TOP_AGE}: the recipe goes "
            "out with the release and would tell the true value of whoever is in it",
            "Write dates as a range of at least four weeks (two criteria together count as one range), "
            f"and ages of at most {TOP_AGE}, which stands for all above.",
        )
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
    built = Contents(workspace, recipe, load_profile(workspace), vault.key).build()
    draft = _draft(source, narrowed(workspace, recipe, cohort, built.released, built.evaluation), built)
    draft = replace(draft, labels=reviewed_labels(workspace, recipe.name, source.sha256))
    parent = workspace.releases / recipe.name
    if (parent / recipe.version).exists():
        result = _found(parent / recipe.version, draft)
    else:
        result = BuildResult(_make(parent, draft, _difference(workspace, draft)), True, built.evaluation)
    write_suppressed(workspace, recipe, built.suppressed)
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
    if facts["has_permissions"] != bool(workspace.permissions):
        raise PlanIncompleteError(
            "permission lists were configured or taken away since the cohort was selected", "Run `pathcurate cohort` again."
        )
    return facts


@dataclass(frozen=True, slots=True)
class _Draft:
    """A release before it is written.

    Attributes:
        source: its recipe.
        cohort: the cohort's facts.
        tables: its tables by name, that of its unit first.
        evaluation: what they tell about people.
        standard: by which that is judged.
        manifest: ``MANIFEST.json``, without what only the written files and the version before can tell.
        labels: how often its labels are wrong, None if nobody reviewed them.
    """

    source: RecipeSource
    cohort: Mapping[str, Any]
    tables: Mapping[str, ReleaseTable]
    evaluation: Evaluation
    standard: Standard
    manifest: Mapping[str, Any]
    labels: str | None = None

    @property
    def lock(self) -> str:
        """The resolved recipe."""
        return str(yaml.safe_dump(json.loads(self.source.canonical), allow_unicode=True, sort_keys=True))


def _draft(source: RecipeSource, cohort: Mapping[str, Any], built: Built) -> _Draft:
    recipe, tables = source.recipe, built.tables
    draft = _Draft(source, cohort, tables, built.evaluation, built.standard, {})
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "kind": "manifest-only",
        "product": recipe.name,
        "version": recipe.version,
        "title": recipe.title,
        "content_digest": content_digest({name: table.identity for name, table in tables.items()}),
        "counts": cohort["counts"],
        "split": cohort["split"],
        "recipe": {
            "name": recipe.name, "lock_sha256": sha256_text(draft.lock.encode()), "canonical_sha256": source.sha256,
        },
        "inputs": {key: digest for key, digest in cohort["inputs"].items() if key.startswith("deid/")},
        "permissions": {"configured": cohort["has_permissions"], "purpose": recipe.purpose},
        "deid": built.evaluation.manifest(),
        "tool": {"name": "pathcurate", "version": __version__},
    }  # fmt: skip
    return replace(draft, manifest=manifest)


def _found(directory: Path, draft: _Draft) -> BuildResult:
    """The release that is there already, if it holds the same rows by the same recipe.

    What else the archive holds may have grown in between: that changes the attrition, but releases nothing new.
    """
    there = read_release(directory)
    facts = ("content_digest", "recipe", "permissions", "title", "deid")
    # Releases of before 0.6.0 do not say by which profile they were made.
    if all(there.manifest.get(fact, draft.manifest[fact]) == draft.manifest[fact] for fact in facts):
        return BuildResult(there, False, draft.evaluation)
    raise VersionError(
        f"{there.name} {there.version} exists with other content",
        "Raise `version` in the recipe: a version that was built is never changed.",
    )


@dataclass(frozen=True, slots=True)
class _Since:
    """What changed since the version before, whose release this is."""

    release: Release
    difference: Difference


def _difference(workspace: Workspace, draft: _Draft) -> _Since | None:
    """What changed since the highest lower version, None if there is none.

    Raises:
        VersionError: the draft's version is too small a step for that.
    """
    recipe = draft.source.recipe
    lower = [
        path for path in list_releases(workspace.releases)
        if path.parent.name == recipe.name and version_key(path.name) < version_key(recipe.version)
    ]  # fmt: skip
    if not lower:
        return None
    before = verify_release(lower[-1])
    tables = {name: _contents(table) for name, table in draft.tables.items()}
    after = VersionContents(
        recipe.name, recipe.version, tables, draft.manifest["counts"], draft.cohort["has_permissions"],
        draft.cohort["attrition"], json.loads(draft.source.canonical),
    )  # fmt: skip
    difference = compare(release_contents(before), after)
    check_version(difference)
    return _Since(before, difference)


def _contents(table: ReleaseTable) -> TableContents:
    return TableContents(table.table.key, table.identity, table.data.schema, lambda: table.data)


def _make(parent: Path, draft: _Draft, since: _Since | None) -> Release:
    """Write the release below a temporary name, and give it its own when it is whole."""
    shared_directory(parent)
    for stale in parent.glob(".building-*"):
        shutil.rmtree(stale)
    temporary = Path(tempfile.mkdtemp(dir=parent, prefix=".building-"))
    target = parent / draft.source.recipe.version
    try:
        _write(temporary, draft, since)
        read_release(temporary)
        sync_tree(temporary)
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_release(target)


def _write(directory: Path, draft: _Draft, since: _Since | None) -> None:
    cohort = draft.cohort
    entries = {name: _write_table(directory, draft, table) for name, table in draft.tables.items()}
    manifest = {**draft.manifest, "previous": _previous(since), "tables": entries}
    unit, *_ = draft.tables
    evaluation, chart = draft.evaluation, disclosure_svg(draft.evaluation)
    texts = {
        "provenance/recipe.lock.yaml": draft.lock,
        f"provenance/queries/{unit}.sql": cohort["sql"],
        "quality/attrition.json": _json(cohort["attrition"]),
        EVALUATION_PATH: _json(evaluation.as_dict(draft.standard, manifest["content_digest"])),
        CHART_PATH: chart,
        "metadata/dictionary.json": _json([_dictionary(table) for table in draft.tables.values()]),
        MANIFEST_NAME: _json(manifest),
        "report.html": release_page(_facts(manifest, draft)),
    }
    if draft.labels is not None:
        texts[QUALITY_PATH] = draft.labels
    if since is not None:
        texts[f"quality/diff-from-{since.release.version}.json"] = _json(since.difference.as_dict())
    for relpath, text in texts.items():
        _write_text(directory / relpath, text)
    (directory / CHECKSUMS_NAME).write_bytes(write_checksums(directory))
    (directory / CHECKSUMS_NAME).chmod(0o444)


def _write_table(directory: Path, draft: _Draft, table: ReleaseTable) -> dict[str, Any]:
    """Write one table, and say what the manifest says of it."""
    name, recipe = table.table.name, draft.source.recipe
    footer = {
        "pathcurate.table": name,
        "pathcurate.product": recipe.name,
        "pathcurate.version": recipe.version,
        "pathcurate.content_digest": draft.manifest["content_digest"],
        "pathcurate.recipe": draft.source.canonical.decode(),
        "pathcurate.recipe_sha256": draft.source.sha256,
        "pathcurate.attrition": _json(draft.cohort["attrition"], indent=None),
        "pathcurate.tool": f"pathcurate {__version__}",
    }
    path = directory / "data" / f"{name}.parquet"
    write_parquet(path, table.data, footer, mode=0o444)
    return {
        "path": f"data/{name}.parquet",
        "rows": table.identity["rows"],
        "key": list(table.table.key),
        "sha256": file_sha256(path),
        "table_digest": table.identity["digest"],
        "schema_sha256": table.identity["schema_sha256"],
    }


def _previous(since: _Since | None) -> dict[str, str] | None:
    if since is None:
        return None
    release = since.release
    return {"version": release.version, "release_digest": release.digest, "bump": str(since.difference.bump)}


def _facts(manifest: Mapping[str, Any], draft: _Draft) -> ReleaseFacts:
    return ReleaseFacts(
        title=manifest["title"],
        product=manifest["product"],
        version=manifest["version"],
        content_digest=manifest["content_digest"],
        attrition=ShownAttrition.from_dict(draft.cohort["attrition"]),
        split=manifest["split"],
        tables=tuple(_table_facts(table) for table in draft.tables.values()),
        recipe=draft.lock,
        inputs=manifest["inputs"],
        purpose=manifest["permissions"]["purpose"],
        has_permissions=manifest["permissions"]["configured"],
        tool=f"pathcurate {__version__}",
        evaluation=draft.evaluation,
        standard=draft.standard,
    )


def _table_facts(built: ReleaseTable) -> TableFacts:
    columns = tuple(
        ColumnFacts(column.name, str(column.type), column.meaning, column.unit, built.data[column.name].null_count)
        for column in built.table.columns
    )
    return TableFacts(built.table.name, built.table.row, built.data.num_rows, columns)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o444)


def _json(value: object, indent: int | None = 1) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=True) + ("\n" if indent else "")


def _dictionary(built: ReleaseTable) -> dict[str, Any]:
    table, data = built.table, built.data
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

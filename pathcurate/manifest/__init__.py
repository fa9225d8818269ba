"""Stage: a cohort becomes a release: an immutable directory of Parquet tables with counts, digests and provenance."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pathcurate import __version__, yamlsource
from pathcurate.checksums import SM3_NAME
from pathcurate.cohortfacts import reviewed_labels
from pathcurate.diff import check_version, compare
from pathcurate.diff.contents import Contents as VersionContents
from pathcurate.diff.contents import TableContents, release_contents
from pathcurate.diff.notes import difference_markdown
from pathcurate.digests import content_digest, sha256_text
from pathcurate.disclosure.criteria import telling_criteria
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import DisclosureRefusedError, PlanIncompleteError, UsageError, VersionError
from pathcurate.htmlreport.disclosure import disclosure_svg
from pathcurate.htmlreport.release import release_page
from pathcurate.manifest.commitment import write_commitments
from pathcurate.manifest.contents import Built, Contents, ReleaseTable
from pathcurate.manifest.evaluation import narrowed, write_suppressed
from pathcurate.manifest.gathering import Said, describe, published, thumbnails
from pathcurate.manifest.hashing import digests_by
from pathcurate.manifest.sealed import Withheld, withheld
from pathcurate.manifest.separation import demand_separate, members_of
from pathcurate.manifest.sourcing import counts_by_site, demand_authorised, state_sources
from pathcurate.manifest.withdrawn import demand_not_withdrawn
from pathcurate.manifest.written import footer, table_entry, write_lists, write_table, write_text
from pathcurate.metadata import documents
from pathcurate.metadata.jsontext import json_text
from pathcurate.metadata.rendered import load_forms
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.benchmark import SEALED_KIND, SEPARATION_PATH
from pathcurate.model.deidentified import TOP_AGE
from pathcurate.model.description import URN
from pathcurate.model.diff import Bump, Difference, Reason
from pathcurate.model.evaluation import CHART_PATH, EVALUATION_PATH, Evaluation
from pathcurate.model.labelreview import QUALITY_PATH
from pathcurate.model.manifest import MANIFEST_NAME, MANIFEST_SCHEMA
from pathcurate.model.productfile import PRODUCT_FILE
from pathcurate.model.text import TEXTS
from pathcurate.productfile import load_product_file, product_path
from pathcurate.profiles import load_profile
from pathcurate.recipefile import RecipeSource
from pathcurate.releases import Release, list_releases, read_release, verify_release, version_key
from pathcurate.roles import shared_directory
from pathcurate.storage import sync_tree
from pathcurate.vault import Vault, append_event, open_vault
from pathcurate.verification import demand_seal, read_text_seal
from pathcurate.withdrawals.feed import has_left, product_feed, read_feed
from pathcurate.workspace import Workspace

Pictures = Callable[[Sequence[str]], Mapping[str, bytes]]


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


def build(
    workspace: Workspace,
    source: RecipeSource,
    *,
    actor: str,
    today: date,
    no_permissions: bool = False,
    sm3: bool = False,
    engine: Embedded | None = None,
    pictures: Pictures | None = None,
) -> BuildResult:
    """Build a release from the recipe's cohort.

    The directory is made under a temporary name and renamed when it is whole. It holds no time of day: the same cohort
    gives the same bytes, and building it again changes nothing.

    Args:
        workspace: the workspace.
        source: the recipe.
        actor: who runs it, for the audit trail.
        today: the day, by which the sites' rights stand.
        no_permissions: build although no permission list is configured; the release says so.
        sm3: list the files by SM3 too.
        engine: digests the rows of large tables; without it this process does.
        pictures: gives small pictures of slides by their codes in ``deid/``, for a product file that allows some.

    Raises:
        UsageError: the product file is not of its form, or of another product.
        DisclosureRefusedError: no permission list is configured and ``no_permissions`` is not given, a row is of a site
            without a valid authorisation or of somebody who has withdrawn, or shares somebody with a sealed evaluation (a
            sealed one: with another), a criterion tells a true value, or the profile's k cannot be reached.
        PlanIncompleteError: the cohort is missing, of another recipe, or older than the de-identified tables.
        VersionError: the version exists with other content or without the list by SM3 that is asked for, or is too small a
            step for what changed since the one before.
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
    built = Contents(workspace, recipe, load_profile(workspace), vault.key, digests_by(engine)).build()
    cohort = narrowed(workspace, recipe, cohort, built.released, built.evaluation)
    by_site = counts_by_site(workspace, recipe, built.released)
    demand_authorised(workspace, today, by_site)
    demand_not_withdrawn(workspace, recipe, built.released)
    members = members_of(workspace, recipe, built.released, vault.key)
    separation = demand_separate(workspace, vault, members)
    hidden = withheld(workspace, recipe, built.released, vault.key)
    draft = _draft(workspace, _said(workspace, source, cohort), built, _Hidden(vault, hidden, separation))
    parent = workspace.releases / recipe.name
    if (parent / recipe.version).exists():
        result = _found(parent / recipe.version, draft, sm3=sm3)
    else:
        since = _difference(workspace, draft)
        shown = thumbnails(draft.said, built, vault.key, pictures) if pictures is not None else {}
        result = BuildResult(_make(parent, draft, since, vault.key, shown, sm3=sm3), True, built.evaluation)
    members.record(workspace.vault)
    state_sources(workspace, result.release, by_site, today, is_new=result.is_new)
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


def _said(workspace: Workspace, source: RecipeSource, cohort: Mapping[str, Any]) -> Said:
    """What others than the tables say of the release."""
    recipe = source.recipe
    path = product_path(workspace.root, recipe.name)
    product = yamlsource.read(path, path.name, UsageError) if path.is_file() else None
    file = load_product_file(path, product) if product is not None else None
    if file is not None and file.name != recipe.name:
        raise UsageError(
            f"products/{path.name} is of another product", f"Set its `name` to {recipe.name}, which the recipe builds."
        )
    lock = str(yaml.safe_dump(json.loads(source.canonical), allow_unicode=True, sort_keys=True))
    labels = reviewed_labels(workspace, recipe.name, source.sha256)
    earlier = tuple(path.name for path in _lower(workspace, recipe.name, recipe.version))
    return Said(source, lock, sha256_text(lock.encode()), cohort, file, product, labels, earlier)


def _lower(workspace: Workspace, name: str, version: str) -> list[Path]:
    """Releases of lower versions, the lowest first."""
    return [
        path for path in list_releases(workspace.releases)
        if path.parent.name == name and version_key(path.name) < version_key(version)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Hidden:
    """What of a release stays with its holder.

    Attributes:
        vault: where.
        withheld: labels of a sealed evaluation, None of any other release.
        separation: what a sealed release says of whom it shares with others.
    """

    vault: Vault
    withheld: Withheld | None
    separation: str


@dataclass(frozen=True, slots=True)
class _Draft:
    """A release before it is written.

    Attributes:
        workspace: it is made from.
        said: what others than its tables say of it.
        built: its tables and their evaluation.
        hidden: what of it stays here.
        manifest: ``MANIFEST.json``, without what only the written files and the version before can tell.
    """

    workspace: Workspace
    said: Said
    built: Built
    hidden: _Hidden
    manifest: Mapping[str, Any]


def _draft(workspace: Workspace, said: Said, built: Built, hidden: _Hidden) -> _Draft:
    recipe, cohort = said.source.recipe, said.cohort
    inputs = {key: digest for key, digest in cohort["inputs"].items() if key.startswith("deid/")}
    if TEXTS.name in built.tables:
        # Building them has demanded this seal: it vouches for what the texts were taken from.
        texts = read_text_seal(workspace)
        inputs |= {f"deid/{name}": digest for name, digest in (texts.tables if texts is not None else {}).items()}
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "kind": SEALED_KIND if hidden.withheld is not None else "manifest-only",
        "product": recipe.name,
        "version": recipe.version,
        "urn": f"{URN}:{recipe.name}:{recipe.version}",
        "title": recipe.title,
        "published": published(workspace, cohort, said.file).isoformat(),
        "content_digest": content_digest({name: table.identity for name, table in built.tables.items()}),
        "counts": cohort["counts"],
        "split": cohort["split"],
        "recipe": {"name": recipe.name, "lock_sha256": said.lock_sha256, "canonical_sha256": said.source.sha256},
        "inputs": inputs,
        "permissions": {"configured": cohort["has_permissions"], "purpose": recipe.purpose},
        "deid": built.evaluation.manifest(),
        "tool": {"name": "pathcurate", "version": __version__},
    }
    return _Draft(workspace, said, built, hidden, manifest)


def _found(directory: Path, draft: _Draft, *, sm3: bool) -> BuildResult:
    """The release that is there already, if it holds the same rows by the same recipe and says the same of the product.

    What else the archive holds may have grown in between: that changes the attrition, but releases nothing new.

    Raises:
        VersionError: it holds something else, or lacks the list by SM3 that is asked for.
    """
    there = read_release(directory)
    facts = ("content_digest", "recipe", "permissions", "title", "deid")
    said = directory / PRODUCT_FILE
    # Releases of before 0.6.0 do not say by which profile they were made.
    is_same = all(there.manifest.get(fact, draft.manifest[fact]) == draft.manifest[fact] for fact in facts)
    if is_same and (said.read_bytes() if said.is_file() else None) == draft.said.product:
        if sm3 and not (directory / SM3_NAME).is_file():
            raise VersionError(
                f"{there.name} {there.version} was built without {SM3_NAME}, and a release is never added to",
                "Raise `version` in the recipe and build that one with --sm3.",
            )
        if draft.hidden.withheld is not None:
            draft.hidden.withheld.demand_same(draft.hidden.vault, there)
        return BuildResult(there, False, draft.built.evaluation)
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
    said = draft.said
    lower = _lower(workspace, said.source.recipe.name, said.source.recipe.version)
    if not lower:
        return None
    before = verify_release(lower[-1])
    feed = read_feed(product_feed(workspace, before.name))
    left = has_left(feed, f"{before.name}@{before.version}", f"{before.name}@{said.source.recipe.version}")
    difference = compare(release_contents(before), _version_contents(draft), has_withdrawn=left)
    hidden = draft.hidden
    if hidden.withheld is not None and hidden.withheld.relabelled(hidden.vault, before):
        relabelled = Reason(Bump.MAJOR, "units that stay have other labels, which are sealed")
        difference = replace(difference, reasons=(relabelled, *difference.reasons))
    check_version(difference)
    return _Since(before, difference)


def _version_contents(draft: _Draft) -> VersionContents:
    said, manifest = draft.said, draft.manifest
    return VersionContents(
        manifest["product"], manifest["version"], {name: _contents(table) for name, table in draft.built.tables.items()},
        manifest["counts"], said.cohort["has_permissions"], said.cohort["attrition"], json.loads(said.source.canonical),
        inputs=manifest["inputs"], deid=manifest["deid"], profile_digest=draft.built.evaluation.profile_digest,
        file=said.file,
    )  # fmt: skip


def _contents(table: ReleaseTable) -> TableContents:
    return TableContents(table.table.key, table.identity, table.data.schema, partial(_columns, table.data))


def _columns(data: pa.Table, names: Sequence[str]) -> pa.Table:
    return data.select(list(names))


def _make(
    parent: Path, draft: _Draft, since: _Since | None, key: bytes, shown: Mapping[str, bytes], *, sm3: bool
) -> Release:
    """Write the release below a temporary name, and give it its own when it is whole."""
    shared_directory(parent)
    for stale in parent.glob(".building-*"):
        shutil.rmtree(stale)
    temporary = Path(tempfile.mkdtemp(dir=parent, prefix=".building-"))
    target = parent / draft.said.source.recipe.version
    try:
        _write(temporary, draft, since, key, shown)
        write_lists(temporary, sm3=sm3)
        read_release(temporary)
        sync_tree(temporary)
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_release(target)


def _write(directory: Path, draft: _Draft, since: _Since | None, key: bytes, shown: Mapping[str, bytes]) -> None:
    said, built = draft.said, draft.built
    cohort, evaluation = said.cohort, built.evaluation
    digest = str(draft.manifest["content_digest"])
    parts = {
        name: write_table(directory, table, footer(said.source, name, digest, cohort["attrition"]))
        for name, table in built.tables.items()
    }
    entries = {name: table_entry(table, parts[name]) for name, table in built.tables.items()}
    manifest = {**draft.manifest, "previous": _previous(since), "tables": entries}
    if "slide_id" in built.released.column_names:
        write_commitments(draft.workspace, directory, manifest["product"], key, built.released["slide_id"])
    difference = since.difference if since is not None else None
    description = describe(draft.workspace, said, built, parts, manifest, difference, shown)
    texts = {
        "provenance/recipe.lock.yaml": said.lock,
        **{f"provenance/queries/{name}.sql": sql for name, sql in description.queries.items()},
        "quality/attrition.json": json_text(cohort["attrition"]),
        EVALUATION_PATH: json_text(evaluation.as_dict(built.standard, digest)),
        CHART_PATH: disclosure_svg(evaluation),
        MANIFEST_NAME: json_text(manifest),
        **dict(documents(description, load_forms(draft.workspace.root / "forms"))),
        "report.html": release_page(description),
    }
    if draft.hidden.withheld is not None:
        texts |= {**draft.hidden.withheld.write(draft.hidden.vault), SEPARATION_PATH: draft.hidden.separation}
    if said.product is not None:
        texts[PRODUCT_FILE] = said.product.decode()
    if said.labels is not None:
        texts[QUALITY_PATH] = said.labels
    if since is not None:
        name = f"quality/diff-from-{since.release.version}"
        texts |= {
            f"{name}.json": json_text(since.difference.as_dict()), f"{name}.md": difference_markdown(since.difference),
        }  # fmt: skip
    for relpath, text in texts.items():
        write_text(directory, relpath, text)


def _previous(since: _Since | None) -> dict[str, str] | None:
    if since is None:
        return None
    release = since.release
    return {"version": release.version, "release_digest": release.digest, "bump": str(since.difference.bump)}

"""``pathcurate manifest``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.asof import as_it_was, as_of_option
from pathcurate.cli.parameters import parameter_option
from pathcurate.cli.session import Session, common_options, count_lines, counted

if TYPE_CHECKING:
    from pathcurate.model.diff import Difference, RecipeChanges, TableDifference
    from pathcurate.model.evaluation import Evaluation


@click.group("manifest")
def command() -> None:
    """Build, compare, verify, list and show releases."""


@command.command("build")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--no-permissions", is_flag=True, help="Build although no permission list is configured; the release says so.")
@parameter_option
@as_of_option
@common_options
def build_command(
    session: Session, recipe: Path, *, no_permissions: bool, parameters: Mapping[str, str], as_of: str | None
) -> None:
    """Build the release of RECIPE's cohort.

    The cohort is selected anew, by the permissions of today. A version that was built is never changed, and a new one must
    be a large enough step above the one before (`manifest diff` says which).

    \b
    Example:
      pathcurate manifest build recipes/demo_he_2023.yaml
    """
    from pathcurate.cohort import read_recipe, select
    from pathcurate.errors import ExpectationError
    from pathcurate.manifest import build

    source = read_recipe(recipe, parameters=parameters)
    with session.locked("manifest build") as workspace, session.engine(workspace) as engine:
        then = as_it_was(session, workspace, engine, as_of)
        chosen = select(then, engine, source, now=session.now, actor=session.actor)
        if chosen.unmet:
            raise ExpectationError(
                f"the cohort is not what the recipe expects: {'; '.join(chosen.unmet)}",
                "See its attrition, and correct the recipe or its `expect`; nothing was built.",
            )
        if chosen.differences is not None and (gone := chosen.differences.patients_not_permitted):
            session.say(f"{counted(gone, 'patient')} of the cohort before may not be used any more: a MAJOR step")
        result = build(then, source, actor=session.actor, no_permissions=no_permissions)
    release = result.release
    previous = release.manifest["previous"] or {}
    since = [f"  since {previous['version']} at least a {previous['bump']} step"] if "bump" in previous else []
    disclosure = list(_disclosure_lines(result.evaluation))
    session.show(
        {"release": str(release.directory), "name": release.name, "version": release.version, "digest": release.digest,
         "counts": release.manifest["counts"], "previous": previous or None, "is_new": result.is_new,
         "deid": release.manifest.get("deid"), "coarser": list(result.evaluation.steps),
         "suppressed_rows": result.evaluation.suppressed_rows},
        [f"{release.name} {release.version} " + ("is built" if result.is_new else "was there already, unchanged"),
         *count_lines(release.manifest["counts"]), *disclosure, *since, f"  {release.digest}", f"  {release.directory}"],
    )  # fmt: skip


def _disclosure_lines(evaluation: "Evaluation") -> Iterator[str]:
    if evaluation.k_required is None:
        return
    yield f"  profile {evaluation.profile}: k = {evaluation.figures.k}, at least {evaluation.k_required} asked for"
    yield from (f"    {step}" for step in evaluation.steps)
    if evaluation.suppressed_rows:
        rows, persons = counted(evaluation.suppressed_rows, "row"), counted(evaluation.suppressed_persons, "person")
        yield f"    {rows} of {persons} left out"


@command.command("diff")
@click.argument("before")
@click.argument("after")
@common_options
def diff_command(session: Session, before: str, after: str) -> int:
    """Say what changed between two versions of a product.

    BEFORE and AFTER are directories, NAME@VERSION, or NAME for its highest version. Rows, columns, the split, the attrition
    and the recipe are compared; counts and names are shown, never a value. Exit code 5 if AFTER's version is too small a
    step for what changed: PATCH is for other packaging only, MINOR adds, MAJOR edits, removes or divides anew.

    \b
    Example:
      pathcurate manifest diff demo_he_2023@1.0.0 demo_he_2023
    """
    from pathcurate.diff import compare, is_enough, release_contents
    from pathcurate.errors import VersionError
    from pathcurate.releases import verify_release

    old, new = (verify_release(_directory(session, text)) for text in (before, after))
    difference = compare(release_contents(old), release_contents(new))
    good = is_enough(difference)
    document = {
        **difference.as_dict(), "is_enough": good,
        "releases": {"from": old.digest, "to": new.digest},
    }  # fmt: skip
    session.show(document, _diff_lines(difference, good=good))
    return 0 if good else VersionError.exit_code


def _diff_lines(difference: "Difference", *, good: bool) -> Iterator[str]:
    if difference.is_same:
        yield f"{difference.product} {difference.before}: the same release twice"
        return
    verdict = "" if good else f"; {difference.after} is too small"
    yield f"{difference.product} {difference.before} -> {difference.after}"
    yield f"least step: {difference.bump}, to {difference.least_version}{verdict}"
    yield from (f"  {reason.bump:<6}{reason.text}" for reason in difference.reasons)
    yield "counts"
    for unit, change in difference.counts.items():
        members = "" if change.added is None else f"  {change.added:,} added, {change.removed:,} removed"
        yield f"  {unit:<10}{change.before:>9,} -> {change.after:,}{members}"
    for name, table in difference.tables.items():
        yield f"table {name}"
        yield from _table_lines(table)
    yield "attrition: slides that each step left, and rows that failed there first"
    for step in difference.attrition:
        remaining, dropped = ([_or_none(count) for count in pair] for pair in (step.remaining, step.dropped))
        left, failed = (" -> ".join(dict.fromkeys(texts)) for texts in (remaining, dropped))
        yield f"  {step.id:<24} left {left}, failed {failed}"
    lines = list(_recipe_lines(difference.recipe))
    yield "recipe" if lines else "recipe: the same"
    yield from lines


def _table_lines(table: "TableDifference") -> Iterator[str]:
    rows = table.rows
    kept = f"{rows.changed:,} changed, {rows.unchanged:,} the same"
    yield f"  rows      {rows.added:,} added, {rows.removed:,} removed, {kept}"
    if rows.by_column:
        yield "  changed   " + ", ".join(f"{name} in {count:,}" for name, count in rows.by_column.items())
    columns = table.columns
    for what, names in (
        ("added", columns.added), ("removed", columns.removed), ("retyped", columns.retyped),
        ("may now be missing", columns.loosened), ("no longer missing", columns.tightened),
    ):  # fmt: skip
        if names:
            yield f"  columns   {what}: {', '.join(names)}"
    if table.moved:
        yield f"  split     {counted(table.moved, 'patient')} on another side"


def _recipe_lines(recipe: "RecipeChanges") -> Iterator[str]:
    for what, names in (("added", recipe.added), ("removed", recipe.removed), ("changed", recipe.changed)):
        if names:
            yield f"  criteria  {what}: {', '.join(names)}"
    if recipe.is_reordered:
        yield "  criteria  run in another order"
    if recipe.keys:
        yield f"  keys      changed: {', '.join(recipe.keys)}"


def _or_none(count: int | str | None) -> str:
    if count is None:
        return "(no such step)"
    return count if isinstance(count, str) else f"{count:,}"


@command.command("verify")
@click.argument("release")
@common_options
def verify_command(session: Session, release: str) -> None:
    """Check every byte of a release.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version.

    \b
    Example:
      pathcurate manifest verify demo_he_2023
    """
    from pathcurate.releases import verify_release

    checked = verify_release(_directory(session, release))
    session.show(
        {"name": checked.name, "version": checked.version, "digest": checked.digest},
        [f"{checked.name} {checked.version} is as it was built: {checked.digest}"],
    )


@command.command("list")
@common_options
def list_command(session: Session) -> None:
    """List the workspace's releases.

    \b
    Example:
      pathcurate manifest list
    """
    from pathcurate.errors import InputOutputError
    from pathcurate.releases import list_releases, read_release

    releases: list[dict[str, str]] = []
    lines = []
    for path in list_releases(session.workspace().releases):
        listed = {"name": path.parent.name, "version": path.name}
        try:
            release = read_release(path)
        except InputOutputError as error:
            # One that is broken must not hide the others.
            releases.append({**listed, "error": error.message})
            lines.append(f"{path.parent.name:<31} {path.name:<11} cannot be used: {error.message}")
        else:
            releases.append({**listed, "digest": release.digest})
            slides = release.manifest["counts"]["slides"]
            lines.append(f"{path.parent.name:<31} {path.name:<11} {slides:>9,} slides  {release.digest}")
    session.show({"releases": releases}, lines or ["no releases yet; `pathcurate manifest build RECIPE` makes one"])


@command.command("show")
@click.argument("release")
@common_options
def show_command(session: Session, release: str) -> None:
    """Show what a release holds.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version.

    \b
    Example:
      pathcurate manifest show demo_he_2023@1.0.0
    """
    from pathcurate.releases import read_release

    shown = read_release(_directory(session, release))
    manifest = shown.manifest
    lines = [
        f"{shown.name} {shown.version}: {manifest.get('title', '')}",
        *count_lines(manifest["counts"]),
        *(f"  table {name}: {entry['rows']:,} rows" for name, entry in shown.tables.items()),
        f"  release  {shown.digest}",
        f"  content  {manifest['content_digest']}",
        f"  recipe   {manifest['recipe']['canonical_sha256']}",
        f"  built by {manifest['tool']['name']} {manifest['tool']['version']}",
        *_deid_lines(manifest),
        f"  {shown.directory / 'report.html'}",
    ]
    session.show({**manifest, "release_digest": shown.digest, "directory": str(shown.directory)}, lines)


def _deid_lines(manifest: Mapping[str, Any]) -> Iterator[str]:
    if "deid" in manifest:  # releases of before 0.6.0 do not say it
        deid = manifest["deid"]
        yield f"  profile  {deid['profile']}, k = {deid['k_min']}, level {deid['gbt42460_level']} of GB/T 42460"


def _directory(session: Session, text: str) -> Path:
    """A release by directory, which needs no workspace, or by name."""
    from pathcurate.releases import find_release, is_release

    if is_release(Path.cwd() / text):
        return Path.cwd() / text
    return find_release(session.workspace().releases, text, Path.cwd())

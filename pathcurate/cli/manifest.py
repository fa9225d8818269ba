"""``pathcurate manifest``."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.asof import as_it_was, as_of_option
from pathcurate.cli.manifestdiff import diff_command
from pathcurate.cli.manifestexport import command as export_command
from pathcurate.cli.parameters import parameter_option
from pathcurate.cli.session import Session, common_options, count_lines, counted

if TYPE_CHECKING:
    from pathcurate.model.evaluation import Evaluation


@click.group("manifest")
def command() -> None:
    """Build, compare, verify, list, show and export releases."""


command.add_command(diff_command)
command.add_command(export_command)


@command.command("build")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--no-permissions", is_flag=True, help="Build although no permission list is configured; the release says so.")
@click.option("--sm3", is_flag=True, help="List the files by SM3 (GB/T 32905) too.")
@parameter_option
@as_of_option
@common_options
def build_command(
    session: Session, recipe: Path, *, no_permissions: bool, sm3: bool, parameters: Mapping[str, str], as_of: str | None
) -> None:
    """Build the release of RECIPE's cohort.

    The cohort is selected anew, by the permissions of today. A version that was built is never changed, and a new one must
    be a large enough step above the one before (`manifest diff` says which). What people say of the product stands in
    products/NAME.yaml and goes out with it.

    \b
    Example:
      pathcurate manifest build recipes/demo_he_2023.yaml
    """
    from pathcurate.cohort import read_recipe, select
    from pathcurate.cohort.preview import pictures_of
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
        with session.local_engine(workspace) as here:
            result = build(
                then, source, actor=session.actor, today=session.now.date(), no_permissions=no_permissions, sm3=sm3,
                engine=here, pictures=partial(pictures_of, workspace, here, session.now),
            )  # fmt: skip
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


@command.command("verify")
@click.argument("release")
@click.option("--partial", is_flag=True, help="Of a copy that holds only some of the files: check those.")
@click.option("--sm3", is_flag=True, help="Check the list by SM3 too.")
@common_options
def verify_command(session: Session, release: str, *, partial: bool, sm3: bool) -> None:
    """Check every byte of a release.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. Nothing but the directory is needed, and
    `sha256sum -c manifest-sha256.txt` says the same. Exit code 4 if a file was changed, is missing or does not belong there.

    \b
    Example:
      pathcurate manifest verify demo_he_2023
    """
    from pathcurate.releases import verify_copy, verify_release, verify_sm3_list

    directory = _directory(session, release)
    checked, absent = verify_copy(directory) if partial else (verify_release(directory), [])
    if sm3:
        verify_sm3_list(directory, absent)
    lacking = [f"  {counted(len(absent), 'file')} of it not in this copy"] if absent else []
    session.show(
        {"name": checked.name, "version": checked.version, "digest": checked.digest, "absent": absent},
        [f"{checked.name} {checked.version} is as it was built: {checked.digest}", *lacking],
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

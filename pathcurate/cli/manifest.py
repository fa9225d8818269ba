"""``pathcurate manifest``."""

from pathlib import Path

import click

from pathcurate.cli.session import Session, common_options, count_lines


@click.group("manifest")
def command() -> None:
    """Build, verify, list and show releases."""


@command.command("build")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--no-permissions", is_flag=True, help="Build although no permission list is configured; the release says so.")
@common_options
def build_command(session: Session, recipe: Path, *, no_permissions: bool) -> None:
    """Build the release of RECIPE's cohort.

    The cohort is selected anew, by the permissions of today. A version that was built is never changed.

    \b
    Example:
      pathcurate manifest build recipes/demo_he_2023.yaml
    """
    from pathcurate.cohort import read_recipe, select
    from pathcurate.manifest import build

    source = read_recipe(recipe)
    with session.locked("manifest build") as workspace, session.engine(workspace) as engine:
        select(workspace, engine, source, now=session.now)
        result = build(workspace, source, actor=session.actor, no_permissions=no_permissions)
    release = result.release
    session.show(
        {"release": str(release.directory), "name": release.name, "version": release.version, "digest": release.digest,
         "counts": release.manifest["counts"], "is_new": result.is_new},
        [f"{release.name} {release.version} " + ("is built" if result.is_new else "was there already, unchanged"),
         *count_lines(release.manifest["counts"]), f"  {release.digest}", f"  {release.directory}"],
    )  # fmt: skip


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
        f"  {shown.directory / 'report.html'}",
    ]
    session.show({**manifest, "release_digest": shown.digest, "directory": str(shown.directory)}, lines)


def _directory(session: Session, text: str) -> Path:
    """A release by directory, which needs no workspace, or by name."""
    from pathcurate.releases import find_release, is_release

    if is_release(Path.cwd() / text):
        return Path.cwd() / text
    return find_release(session.workspace().releases, text, Path.cwd())

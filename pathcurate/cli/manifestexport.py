"""``pathcurate manifest export``."""

from pathlib import Path

import click

from pathcurate.cli.session import Session, common_options


@click.command("export")
@click.argument("release")
@click.option(
    "--to",
    "form",
    type=click.Choice(["csv", "tc609"]),
    required=True,
    help="csv: a file for each table; tc609: JSON lines of TC609-5-2025-02, a record for each unit.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="A new directory, or one with nothing in it."
)
@common_options
def command(session: Session, release: str, form: str, output: Path) -> None:
    """Write a release in another form.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. Every byte of it is checked first. A form holds
    less than the release, and says what; what is signed, registered and sold is the release.

    \b
    Example:
      pathcurate manifest export demo_he_2023 --to csv --output demo_he_2023_csv
    """
    from pathcurate.exporting import export
    from pathcurate.releases import find_release, is_release

    here = Path.cwd() / release
    directory = here if is_release(here) else find_release(session.workspace().releases, release, Path.cwd())
    done = export(directory, "csv" if form == "csv" else "tc609", Path.cwd() / output)
    session.show(
        {"release": done.release.name, "version": done.release.version, "digest": done.release.digest, "form": done.form,
         "output": str(done.directory), "losses": list(done.losses),
         "files": [{"path": file.path, "rows": file.rows, "sha256": file.sha256} for file in done.files]},
        [f"{done.release.name} {done.release.version} as {done.form}: {done.directory}",
         *(f"  {file.path}: {file.rows:,} rows" for file in done.files), "what it does not hold",
         *(f"  {loss}" for loss in done.losses)],
    )  # fmt: skip

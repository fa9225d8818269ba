"""``pathcurate reports``."""

from pathlib import Path

import click

from pathcurate.cli.imported import import_document, import_line
from pathcurate.cli.progress import progress
from pathcurate.cli.session import (
    Session,
    common_options,
    counted,
    exit_code,
    fail_on_option,
    finding_lines,
)


@click.group("reports")
def command() -> None:
    """Import pathology reports from laboratory systems."""


@command.command("import")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that read texts.  [default: one per core]")
@fail_on_option("never")
@common_options
def import_command(session: Session, files: tuple[Path, ...], *, workers: int | None, fail_on: str) -> int:
    """Import the configured report sources.

    With FILES only those of them. Reads tables (CSV and TSV in UTF-8, GB18030 and others, Excel, HTML saved as .xls), HL7
    v2, FHIR R4, CDA R2, and plain text, one report a file. What the reports say goes into `diagnoses` and `ihc_results`.
    A file that has not changed is not read again; what a changed one gave before is replaced.
    One that is refused keeps no other out: the others are imported, and its error ends the command.

    \b
    Example:
      pathcurate reports import
    """
    from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
    from pathcurate.reports import import_reports
    from pathcurate.tables import Catalog

    with (
        session.locked("reports import") as workspace,
        session.engine(workspace, workers) as engine,
        progress("reports import", "files", quiet=session.quiet) as advance,
    ):
        summary = import_reports(workspace, engine, only=files, progress=advance)
        catalog = Catalog(workspace.catalog)
        said = {table.name: catalog.row_count(table) for table in (DIAGNOSES, IHC_RESULTS)}
    line = f"{import_line(summary, 'report')}; {summary.total:,} in the catalog"
    read = f"{counted(said['diagnoses'], 'diagnosis line')} and {counted(said['ihc_results'], 'immunostain')} in their texts"
    told = [line, read] if any(said.values()) else [line]
    session.show(import_document(summary, **said), [*told, *finding_lines(summary.findings, verbose=session.verbose)])
    return exit_code(summary.findings, fail_on)


@command.command("guess")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the mapping to this file.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--encoding", help="Encoding of FILE, by Python's name; else detected.")
@click.option("--sheet", help="Sheet of a workbook; else the first with known heads.")
@common_options
def guess_command(
    session: Session, file: Path, *, output: Path | None, force: bool, encoding: str | None, sheet: str | None
) -> None:
    """Guess which column of FILE is which, as a mapping to edit.

    FILE need not be configured. No cell of it is shown: only heads, and what kind of values stands below them.

    \b
    Example:
      pathcurate reports guess hospital/NB01/lis/reports_2023.csv
    """
    from pathcurate.errors import UsageError
    from pathcurate.reports.guess import guess_mapping
    from pathcurate.storage import write_bytes

    if output and output.exists() and not force:
        raise UsageError(f"{output} exists already", "Name another file, or replace it with --force.")
    guess = guess_mapping(file, encoding=encoding, sheet=sheet)
    document = {
        "rows": guess.rows, "encoding": guess.encoding, "columns": guess.columns, "open_columns": guess.open_columns,
        "mapping": guess.mapping,
    }  # fmt: skip
    if output is None:
        session.show(document, [guess.mapping.rstrip("\n")])
        return
    write_bytes(output, guess.mapping.encode())
    found = f"{counted(len(guess.columns), 'column')} recognised, {counted(guess.open_columns, 'column')} open"
    session.show({**document, "output": str(output)}, [f"{output}: {found}"])

"""``pathcurate annotations``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.imported import import_document, import_line, run_import
from pathcurate.cli.progress import progress
from pathcurate.cli.session import Session, common_options, counted, exit_code, fail_on_option, finding_lines

if TYPE_CHECKING:
    from pathcurate.annotations.returned import Returned

_MOST_REFUSED = 20


@click.group("annotations")
def command() -> None:
    """Import what people drew on slides (QuPath, GeoJSON, ASAP)."""


@command.command("import")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from-delivery", "delivery", metavar="DELIVERY", help="FILES came back from the recipient of this delivery.")
@click.option(
    "--annotator", metavar="LABEL", help="Who drew them all; else the folder of each file says so. Only a number is kept."
)
@click.option(
    "--within", "within_um", type=click.FloatRange(min=0, min_open=True, max=1000), default=None, metavar="UM",
    help="Distance in µm up to which two annotators' points are one (7.5).",
)  # fmt: skip
@fail_on_option("never")
@common_options
def import_command(
    session: Session,
    files: tuple[Path, ...],
    *,
    delivery: str | None,
    annotator: str | None,
    within_um: float | None,
    fail_on: str,
) -> int:
    """Import the configured annotation sources.

    With FILES only those of them. A file belongs to the slide whose file name it has, before its own extension; where
    several slides have that name, folders of the same names decide. A file that has not changed is not read again, but tied
    to its slide if that was scanned since. One that is refused keeps no other out.

    --from-delivery takes FILES that a recipient sent back. Each is of one slide, which its name, or the image that it names,
    says by the recipient's code; it is tied to the original. Of a file only shapes, classes and colours are kept, below
    products/deliveries/; names of people, paths and texts are not. Shapes beyond their slide are refused and counted. Files
    of several annotators lie in a folder each; how far they agree is shown, and written beside the copies.

    \b
    Example:
      pathcurate annotations import
    """
    from pathcurate.errors import UsageError

    if delivery is not None:
        return _import_returned(session, delivery, files, annotator, within_um, fail_on)
    if annotator is not None or within_um is not None:
        raise UsageError("--annotator and --within are for --from-delivery", "Leave them out, or say which delivery it is.")
    from pathcurate.annotations import import_annotations

    return run_import(session, "annotations", import_annotations, files, fail_on, "shape")


def _import_returned(
    session: Session, delivery: str, files: tuple[Path, ...], annotator: str | None, within_um: float | None, fail_on: str
) -> int:  # fmt: skip
    from pathcurate import pseudonyms
    from pathcurate.annotations.agreement import WITHIN_UM
    from pathcurate.annotations.origins import delivered, originals_of
    from pathcurate.annotations.returned import import_returned
    from pathcurate.errors import UsageError
    from pathcurate.vault import open_vault

    name = "annotations import"
    with session.locked(name) as workspace, progress(name, "files", quiet=session.quiet) as advance:
        with session.registry(workspace) as registry:
            of = delivered(registry, delivery)
        key = open_vault(workspace.vault).key
        done = import_returned(
            workspace, of.delivery, files, originals_of(workspace, of, key),
            pseudonyms.recipient(key, of.product, of.recipient).codes,
            annotator=annotator, within_um=within_um or WITHIN_UM, progress=advance,
        )  # fmt: skip
    findings = done.summary.findings if done.summary is not None else ()
    about = import_document(done.summary) if done.summary is not None else {"files": 0, "findings": []}
    document = {
        "delivery": done.delivery, "taken": done.files, "changed": done.changed, "annotators": list(done.annotators),
        "new_annotators": list(done.new), "refused": list(done.refused), "agreement": done.agreement.as_dict(), **about,
    }  # fmt: skip
    session.show(document, [*_lines(done), *finding_lines(findings, verbose=session.verbose)])
    if done.refused:
        raise UsageError(
            f"{len(done.refused)} of {counted(len(files), 'file')} {'was' if len(done.refused) == 1 else 'were'} refused",
            "Mend them, or ask the recipient, and import them again. The others were imported.",
        )
    return exit_code(findings, fail_on)


def _lines(done: "Returned") -> Iterator[str]:
    yield f"{counted(done.files, 'file')} taken back of {done.delivery}, {done.changed:,} of them new or changed"
    if done.summary is not None:
        yield f"{import_line(done.summary, 'shape')}; {done.summary.total:,} in the catalog"
        yield "annotators: " + ", ".join(f"{number}{' (new)' if number in done.new else ''}" for number in done.annotators)
        yield from done.agreement.lines()
    for refusal in done.refused[:_MOST_REFUSED]:
        yield f"  refused   {refusal}"
    if len(done.refused) > _MOST_REFUSED:
        yield f"  … {len(done.refused) - _MOST_REFUSED} more"

"""``pathcurate product seal`` and ``unseal``: questions whose answers are withheld, and labels that are opened for good."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.productdesk import desk_of, key_option, passphrase_option, signer_of
from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options

if TYPE_CHECKING:
    from pathcurate.workspace import Workspace

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("seal")
@click.argument("sheet", type=_FILE)
@click.option("--task", type=click.Choice(["choice"]), default="choice", show_default=True, help="What is asked.")
@click.option("--name", required=True, help="Of the set of questions: a-z, 0-9 and _.")
@click.option("--version", "version", required=True, help="Its version, such as 1.0.0.")
@click.option("--to", "target", required=True, type=_FOLDER, help="Folder to be made.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Another column that is to go out; several times for several.")
@click.option("--min-cell", type=click.IntRange(1), default=10, show_default=True, help="Fewest questions of a figure.")
@common_options
def seal_command(
    session: Session,
    sheet: Path,
    *,
    task: str,
    name: str,
    version: str,
    target: Path,
    keep: tuple[str, ...],
    min_cell: int,
) -> int:
    """Make a sealed evaluation of a sheet of questions.

    SHEET is CSV, Excel, JSON lines or Parquet with item_id, question, answer (A;C where several are right), and if there are
    topic, case_id, options or a column for each option. The answers stay in the vault; the folder holds the questions under
    new codes and the commitment. Other columns may explain answers, so they stay unless --keep names them.

    \b
    Example:
      pathcurate product seal questions.csv --name pathology_quiz --version 1.0.0 --to quiz
    """
    from pathcurate.product.questionsets import seal_questions
    from pathcurate.questionsheet import read_question_sheet

    given = read_question_sheet(sheet, keep)
    with session.locked("product seal") as workspace:
        sealed, is_new = seal_questions(
            workspace, given, name, version, target.absolute(), actor=session.actor, min_cell=min_cell
        )
    session.show(
        {"product": name, "version": version, "task": task, "questions": sealed.task.rows, "digest": sealed.digest,
         "commitment": sealed.commitment.value, "directory": str(sealed.directory), "withheld": list(given.withheld),
         "is_new": is_new},
        [f"{sealed.name}: {sealed.task.rows:,} questions are sealed" + ("" if is_new else ", as before"),
         f"  {sealed.commitment.value}", f"  {sealed.directory}",
         *(f"  not in it: column {head}" for head in given.withheld)],
    )  # fmt: skip
    return 0


@click.command("unseal")
@click.argument("release")
@click.option("--to", "target", type=_FOLDER, help="Folder to be made for labels and key.")
@click.option("--reason", help="Why, in a sentence; it is kept in the history.")
@click.option("--check", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Instead: check a folder of unsealed labels against the commitment; needs no workspace.")  # fmt: skip
@click.option("--found", type=_FILE, help="Instead: say whether a file that turned up elsewhere holds the sealed labels.")
@key_option
@passphrase_option
@purpose_option
@common_options
def unseal_command(
    session: Session,
    release: str,
    *,
    target: Path | None,
    reason: str | None,
    folder: Path | None,
    found: Path | None,
    key: Path | None,
    passphrase_file: str | None,
    purpose: str | None,
) -> int:
    """Open the labels of a sealed evaluation for good.

    RELEASE is a registered release (directory, NAME@VERSION, or NAME for its highest version) or a folder of `product
    seal`. --to gets labels, key and a readme; with --key a steward signs for it. Exit code 4 if --check finds a changed
    label, or --found a file with labels that are still sealed.

    \b
    Example:
      pathcurate product unseal quiz --to quiz-answers --reason "the examination is over"
    """
    ways = [target is not None, folder is not None, found is not None]
    if sum(ways) != 1 or (target is None) != (reason is None):
        raise click.UsageError("Give --to with --reason, or --check, or --found.")
    if folder is not None:
        return _check(session, release, folder)
    if found is not None:
        return _found(session, release, found, purpose)
    if target is None or reason is None:
        raise click.UsageError("Give --to with --reason.")
    return _unseal(session, release, target, reason, key, passphrase_file)


def _unseal(
    session: Session, release: str, target: Path, reason: str, key: Path | None, passphrase_file: str | None
) -> int:  # fmt: skip
    from pathcurate.product.unsealing import unseal, unseal_questions
    from pathcurate.sealedsets import read_sealed_set

    signer = signer_of(key, passphrase_file)
    with desk_of(session, "product unseal") as desk:
        directory = _directory(desk.workspace, release)
        if read_sealed_set(directory).is_release:
            done = unseal(desk, directory, target.absolute(), reason, signer)
        elif signer is not None:
            raise click.UsageError("A set of questions is in no registry, so nobody signs for its answers.")
        else:
            done = unseal_questions(desk, directory, target.absolute(), reason)
    document: dict[str, Any] = {
        "product": done.sealed.task.product, "version": done.sealed.task.version, "labels": done.labels,
        "commitment": done.sealed.commitment.value, "directory": str(done.directory), "is_new": done.is_new,
    }  # fmt: skip
    before = "" if done.is_new else ", as they were"
    session.show(document, [f"{done.sealed.name}: {done.labels:,} labels are open{before}", f"  {done.directory}",
                            f"  {done.sealed.commitment.value}"])  # fmt: skip
    return 0


def _check(session: Session, release: str, folder: Path) -> int:
    from pathcurate.product.unsealing import check_unsealed

    checked = check_unsealed(_directory(None, release, session), folder)
    session.show(
        {"product": checked.sealed.task.product, "version": checked.sealed.task.version, "labels": checked.labels,
         "commitment": checked.sealed.commitment.value, "is_committed": True},
        [f"{checked.sealed.name}: these {checked.labels:,} labels are those that were committed to",
         f"  {checked.sealed.commitment.value}"],
    )  # fmt: skip
    return 0


def _found(session: Session, release: str, file: Path, purpose: str | None) -> int:
    from pathcurate.errors import DigestMismatchError
    from pathcurate.product.unsealing import found_labels

    with session.locked("product unseal") as workspace:
        directory = _directory(workspace, release)
        sealed, match, is_open = found_labels(workspace, directory, file, actor=session.actor, purpose=purpose)
    is_leak = match.is_whole or match.is_taken
    share = match.equal / match.units if match.units else 0.0
    said = f"it names {match.units:,} of {match.rows:,} units, and {match.equal:,} ({share:.1%}) with their sealed label"
    if is_leak and not is_open:
        raise DigestMismatchError(
            f"{file.name} holds labels of {sealed.name} that are still sealed: {said}",
            "Somebody has peeked, or the labels came from elsewhere. `pathcurate audit` shows who opened them.",
        )
    session.show(
        {"product": sealed.task.product, "version": sealed.task.version, "units": match.units, "equal": match.equal,
         "rows": match.rows, "share": round(share, 4), "holds_labels": is_leak, "is_unsealed": is_open},
        [f"{file.name}: {said}", "  the labels are open since they were unsealed" if is_leak
         else "  that is no more than a model may get right"],
    )  # fmt: skip
    return 0


def _directory(workspace: "Workspace | None", release: str, session: Session | None = None) -> Path:
    """The sealed evaluation that a user means; a directory needs no workspace."""
    from pathcurate.releases import find_release, is_release
    from pathcurate.sealedsets import is_sealed_set

    own = Path.cwd() / release
    if is_sealed_set(own) or is_release(own):
        return own
    if workspace is None and session is not None:
        workspace = session.workspace()
    assert workspace is not None  # noqa: S101  whoever has none gives a session
    return find_release(workspace.releases, release, Path.cwd())

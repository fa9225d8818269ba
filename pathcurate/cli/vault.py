"""``pathcurate vault``."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.vault.people import Trusted
    from pathcurate.vault.shares import GivenShare

_MOST_BYTES = 100_000


@click.group("vault")
def command() -> None:
    """Keep the key of all pseudonyms: backup, return, rotation."""


@command.command("backup")
@click.option("--shares", type=click.IntRange(2, 16), default=3, show_default=True, help="How many shares to make.")
@click.option("--threshold", type=click.IntRange(2, 16), default=2, show_default=True, help="How many of them are enough.")
@click.option(
    "--to", required=True, type=click.Path(file_okay=False, path_type=Path), help="Directory outside the workspace."
)
@common_options
def backup_command(session: Session, *, shares: int, threshold: int, to: Path) -> None:
    """Write the vault's key in shares, enough of which restore it.

    Each share is a file of 33 words (SLIP-0039). Give each to another person, on paper or on a medium of its own, and remove
    the files: fewer than --threshold of them tell nothing about the key. The sealed file beside them holds retired keys and
    the list of people; it may lie anywhere. Copy vault/crosswalk.db and vault/audit.jsonl with your ordinary backup: the
    first is sealed row by row, the second holds no patient's value.

    \b
    Example:
      pathcurate vault backup --shares 3 --threshold 2 --to ../key-shares
    """
    from pathcurate.custody import back_up

    with session.locked("vault backup") as workspace:
        backup, files = back_up(
            workspace, to.absolute(), shares=shares, threshold=threshold, today=session.now.date(), actor=session.actor
        )
    lines = [
        f"key {backup.key} in {counted(backup.shares, 'share')}, any {backup.threshold} of which make it again",
        *(f"  {path}" for path in files),
        "give each share to another person, and remove the files from here",
    ]
    session.show({**asdict(backup), "files": [str(path) for path in files]}, lines)


@command.command("restore")
@click.argument("shares", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--sealed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The sealed file of the same backup."
)
@common_options
def restore_command(session: Session, shares: tuple[Path, ...], *, sealed: Path | None) -> None:
    """Make the vault's key again from SHARES.

    SHARES are files, or `-` for standard input with the words of one share on each line. The pseudonyms are the same as
    before then. With --sealed retired keys and the list of people come back too. A vault that has another key is left alone.

    \b
    Example:
      pathcurate vault restore ../key-shares/share-1-of-3.txt ../key-shares/share-2-of-3.txt
    """
    from pathcurate.custody import restore

    given = list(_given(shares))
    with session.locked("vault restore") as workspace:
        vault = restore(workspace, given, sealed.read_bytes() if sealed else None, actor=session.actor)
    session.show({"key": vault.fingerprint}, [f"the vault has key {vault.fingerprint}"])


def _given(paths: Sequence[Path]) -> Iterator["GivenShare"]:
    from pathcurate.errors import VaultError
    from pathcurate.vault.shares import read_shares

    for number, path in enumerate(paths, start=1):
        label = "standard input" if str(path) == "-" else f"share file {number}"
        if str(path) == "-":
            content = sys.stdin.buffer.read(_MOST_BYTES)
        else:
            if path.stat().st_mode & 0o077:
                raise VaultError(
                    f"{label} can be read by other users", "Run `chmod 600` on it, or give its words through standard input."
                )
            content = path.read_bytes()[:_MOST_BYTES]
        yield from read_shares(label, content.decode("ascii", errors="replace"))


@command.command("rotate")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in words, for the audit trail.")
@common_options
def rotate_command(session: Session, *, reason: str) -> None:
    """Give the vault a new key, where the old one may be known.

    Every pseudonym and every shifted date changes: run `pathcurate deid apply` next, and build releases again, each as a new
    MAJOR version. Releases that are out keep their codes, and `deid reidentify --release` still leads back from them: the
    old key stays in the vault, sealed under the new one. Shares of the old key no longer help: make new ones with
    `pathcurate vault backup`.

    \b
    Example:
      pathcurate vault rotate --reason "a curator has left"
    """
    from pathcurate.custody import rotate
    from pathcurate.errors import UsageError
    from pathcurate.model.waiver import is_plain

    if not is_plain(reason):
        raise UsageError("--reason is not one line of text", "Say in a few words why.")
    with session.locked("vault rotate") as workspace:
        vault, rows = rotate(workspace, reason=reason, actor=session.actor)
    lines = [
        f"the vault has the new key {vault.fingerprint}; {counted(rows, 'row')} of the crosswalk sealed again",
        "run `pathcurate deid apply`, then `pathcurate vault backup`: codes and dates are others now",
    ]
    session.show({"key": vault.fingerprint, "rows": rows}, lines)


# --- People --------------------------------------------------------------------------------------------------------


@command.group("people")
def people() -> None:
    """List who may ask for and approve re-identification."""


@people.command("add")
@click.argument("names", nargs=-1, required=True)
@click.option("--role", type=click.Choice(["curator", "approver"]), required=True, help="Only an approver may approve.")
@common_options
def add_command(session: Session, names: tuple[str, ...], *, role: str) -> None:
    """Enter people, or give them another role.

    \b
    Example:
      pathcurate vault people add Li Zhang --role approver
    """
    from pathcurate.custody import add

    with session.locked("vault people add") as workspace:
        listed = add(workspace, names, role, today=session.now.date(), actor=session.actor)
    _show(session, listed)


@people.command("list")
@common_options
def list_command(session: Session) -> None:
    """Show who is on the list, and in which role.

    \b
    Example:
      pathcurate vault people list
    """
    from pathcurate.vault.people import read_people

    _show(session, read_people(session.workspace().vault))


@people.command("remove")
@click.argument("name")
@common_options
def remove_command(session: Session, name: str) -> None:
    """Take somebody who has left off the list.

    \b
    Example:
      pathcurate vault people remove Zhang
    """
    from pathcurate.custody import remove

    with session.locked("vault people remove") as workspace:
        listed = remove(workspace, name, actor=session.actor)
    _show(session, listed)


def _show(session: Session, listed: "Sequence[Trusted]") -> None:
    lines = [f"{person.role:<9} {person.since}  {person.name}" for person in listed]
    session.show({"people": [asdict(person) for person in listed]}, lines or ["nobody is on the list"])

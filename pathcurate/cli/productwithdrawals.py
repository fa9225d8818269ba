"""``pathcurate product``: somebody withdraws, a recipient deletes, and says so."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.productdesk import desk_of, entry_of, key_option, passphrase_option, show_moved, signer_of
from pathcurate.cli.productspaces import to_be_taken_off
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pathcurate.product.withdrawals import Taken

_MOST_BYTES = 1 << 20
_REASONS = ["consent_withdrawn", "refused", "released_in_error", "rights_ended", "ordered_by_authority", "other"]


@click.command("withdraw")
@click.argument("product", required=False)
@click.option("--site", help="Withdraw a whole site: no row of it is built in again, and releases that hold some end. "
              "With --patient, --case or --slide: whose numbers they are.")  # fmt: skip
@click.option("--patient", metavar="-|FILE", help="Withdraw patients, by their numbers or identity cards', one in a line.")
@click.option("--case", metavar="-|FILE", help="Withdraw cases, by their numbers.")
@click.option("--slide", metavar="-|FILE", help="Withdraw slides, by the names or paths of their files.")
@click.option("--reason", help="Of a product or site: why, in a sentence; it is kept in the history.")
@click.option("--reason-code", type=click.Choice(_REASONS), default="consent_withdrawn", show_default=True,
              help="Of patients, cases and slides: why; recipients are told.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Of patients, cases and slides: only say what would be affected.")
@key_option
@passphrase_option
@common_options
def withdraw_command(
    session: Session,
    product: str | None,
    *,
    site: str | None,
    patient: str | None,
    case: str | None,
    slide: str | None,
    reason: str | None,
    reason_code: str,
    dry_run: bool,
    key: Path | None,
    passphrase_file: str | None,
) -> None:
    """Withdraw a product, a site, or a patient, for good.

    PRODUCT is NAME@VERSION, or NAME for its highest version. Its contracts end, and what was delivered is to be destroyed.
    This cannot be undone; `suspend` can.

    With --patient, --case or --slide the numbers come from standard input (-) or from a file of mode 0600, never from the
    command line. A patient takes all who may be the same person, at every site. Nothing of theirs is selected, built or
    delivered from then on; the next version is a MAJOR one. Every affected release, contract and delivery is listed, and
    each contract's feed (products/contracts/CONTRACT/withdrawals.jsonl and .dsse.json) names what is to be deleted, in the
    recipient's own codes and signed with --key: send the two files to the recipient.

    \b
    Example:
      pathcurate product withdraw demo_he_2023@1.0.0 --reason "superseded by an agreement"
    """
    numbers = [(scope, given) for scope, given in (("patient", patient), ("case", case), ("slide", slide)) if given]
    if numbers:
        if product is not None or len(numbers) > 1 or reason is not None:
            raise click.UsageError("Give one of --patient, --case and --slide, with --reason-code and without PRODUCT.")
        ((scope, given),) = numbers
        if given == passphrase_file == "-":
            raise click.UsageError("Standard input cannot hold both the numbers and the passphrase.")
        _withdraw_rows(session, scope, given, site, reason_code, key, passphrase_file, dry_run=dry_run)
        return
    if dry_run or key is not None:
        raise click.UsageError("--dry-run and --key go with --patient, --case or --slide.")
    if (product is None) == (site is None):
        raise click.UsageError("Name a product, a site with --site, or numbers with --patient, --case or --slide.")
    if reason is None:
        raise click.MissingParameter(param_hint="'--reason'", param_type="option")
    from pathcurate.product import withdraw, withdraw_site

    with desk_of(session, "product withdraw") as desk:
        if site is not None:
            withdrawal, ended = withdraw_site(desk, site, reason)
            session.show(
                {"site": withdrawal.site, "at": withdrawal.at, "withdrawn": [moved.entry.as_dict() for moved in ended]},
                [f"site {withdrawal.site} is withdrawn: no row of it is built in from now on",
                 *(f"  {moved.entry.product} {moved.entry.version} is {moved.entry.state}" for moved in ended),
                 *to_be_taken_off(moved.entry for moved in ended),
                 *([] if ended else ["  no registered release holds rows of it"])],
            )  # fmt: skip
            return
        entry = entry_of(desk, str(product))
        moved = withdraw(desk, entry.product, entry.version, reason)
    show_moved(session, moved, to_be_taken_off([moved.entry]))


def _withdraw_rows(
    session: Session,
    scope: str,
    given: str,
    site: str | None,
    reason: str,
    key: Path | None,
    passphrase_file: str | None,
    *,
    dry_run: bool,
) -> None:
    from dataclasses import asdict

    from pathcurate.model.feed import Reason, Scope
    from pathcurate.product.withdrawals import withdraw_rows

    if key is None and not dry_run:
        raise click.MissingParameter(param_hint="'--key'", param_type="option")
    numbers = _numbers(given)
    signer = None if dry_run else signer_of(key, passphrase_file)
    with desk_of(session, f"product withdraw --{scope}") as desk:
        if site is not None:
            desk.workspace.site(site)
        taken = withdraw_rows(desk, Scope(scope), numbers, Reason(reason), signer, site=site, dry_run=dry_run)
    session.show({**asdict(taken), "dry_run": dry_run}, list(_lines(taken, dry_run=dry_run)))


def _lines(taken: "Taken", *, dry_run: bool) -> "Iterator[str]":
    found = ", ".join(f"{count:,} {what}" for what, count in taken.subjects.items() if count)
    yield f"{found} {'would be' if dry_run else 'are'} withdrawn{'' if dry_run or taken.is_new else ', as they were before'}"
    yield from (f"  release {name} holds them" for name in taken.releases)
    yield from (f"  release {name} cannot be read: it is taken to hold them" for name in taken.unread)
    yield from (f"  feed of {name}: products/withdrawals/{name}.jsonl, line {seq}" for name, seq in taken.products.items())
    for name, seq in taken.contracts.items():
        yield f"  contract {name}: products/contracts/{name}/withdrawals.jsonl, line {seq}"
    yield from (f"  delivery {name} holds them, until its deletion is attested" for name in taken.deliveries)
    if not taken.releases:
        yield "  no registered release holds them"
    yield from (f"  still needed: {lack.what}. {lack.how}" for lack in taken.lacks)
    if not dry_run and taken.contracts:
        yield "Send each contract's withdrawals.jsonl and withdrawals.dsse.json to its recipient."


def _numbers(given: str) -> list[tuple[int, str]]:
    """Numbers with those of their lines, from standard input or a private file; no message repeats one."""
    from pathcurate.errors import InputOutputError, UsageError

    try:
        content = sys.stdin.buffer.read(_MOST_BYTES + 1) if given == "-" else _private(Path(given))
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputOutputError(
            f"the numbers cannot be read ({type(error).__name__})", "Give `-`, or a file of UTF-8 with one number in a line."
        ) from None
    if len(content) > _MOST_BYTES:
        raise UsageError(f"the numbers take more than {_MOST_BYTES >> 20} MiB", "Withdraw them in several runs.")
    numbers = [(line, one.strip()) for line, one in enumerate(text.split("\n"), 1) if one.strip()]
    if not numbers:
        raise UsageError("there is no number to withdraw", "Give one in a line.")
    return numbers


def _private(path: Path) -> bytes:
    import os
    import stat

    from pathcurate.digests import open_regular
    from pathcurate.errors import VaultError

    with open(path, "rb", opener=open_regular) as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise VaultError("others may read the file of numbers", "Run `chmod 600` on it, and give it again.")
        return file.read(_MOST_BYTES + 1)


@click.command("purge")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--withdrawals", "feed", type=click.Path(exists=True, path_type=Path),
              help="The feed that the holder has sent: withdrawals.jsonl, or the folder that it lies in.")  # fmt: skip
@click.option("--all", "whole", is_flag=True, help="Delete the whole delivery.")
@click.option("--key", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The recipient's private key, which signs that it was done.")  # fmt: skip
@passphrase_option
@click.option("--trust", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Whose signatures on the feed count; without it the holder's keys of the agreement.")  # fmt: skip
@common_options
def purge_command(
    session: Session,
    directory: Path,
    *,
    feed: Path | None,
    whole: bool,
    key: Path,
    passphrase_file: str | None,
    trust: Path | None,
) -> None:
    """Delete what was withdrawn, at the recipient's.

    DIRECTORY is what `product receive` has made. Rows and files that the feed names go, the lists of the copy stay true, and
    a signed statement is written: send it to the holder, who keeps it with `product attest`. Copies that were made elsewhere
    are not found by this.

    \b
    Example:
      pathcurate product purge received --all --key keys/recipient.pem --passphrase-file recipient.pass
    """
    from pathcurate.receiving.purging import purge
    from pathcurate.trustfile import load_trust

    signer = signer_of(key, passphrase_file)
    if signer is None:
        raise click.MissingParameter(param_hint="'--key'", param_type="option")
    known = load_trust(trust.absolute()) if trust is not None else None
    given = feed.absolute() if feed is not None else None
    done = purge(directory.absolute(), given, signer, now=session.now, whole=whole, trust=known)
    lines = [f"  {name}: {counted(count, 'row')} deleted" for name, count in done.rows.items()]
    session.show(
        {"rows": dict(done.rows), "files": done.files, "statement": str(done.statement), "is_new": done.is_new},
        ["deleted" if done.is_new else "everything was deleted before", *lines, f"  {counted(done.files, 'file')} deleted",
         f"send {done.statement} to the holder of the data"],
    )  # fmt: skip


@click.command("attest")
@click.argument("delivery")
@click.option("--attestation", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The statement that the recipient has sent.")  # fmt: skip
@common_options
def attest_command(session: Session, delivery: str, attestation: Path) -> None:
    """Keep a recipient's statement of a deletion.

    It says that what was withdrawn is deleted. DELIVERY is its id, or PRODUCT-RECIPIENT where that is one alone. The
    statement must be signed with the key that the contract names, and be of this delivery and of the contract's feed. If all
    of it was deleted, the delivery ends.

    \b
    Example:
      pathcurate product attest demo_he_2023-my_lab --attestation received/deletion.all.json
    """
    from dataclasses import asdict

    from pathcurate.lifecycle import state_words
    from pathcurate.model.attestation import MOST_BYTES
    from pathcurate.model.lifecycle import Machine
    from pathcurate.product.deletions import attest
    from pathcurate.product.deliveries import find_delivery

    with attestation.open("rb") as file:
        content = file.read(2 * MOST_BYTES + 1)
    with desk_of(session, "product attest") as desk:
        step = attest(desk, find_delivery(desk, delivery), content)
    zh, en = state_words(Machine.DELIVERY, step.subject.state)
    kept = "kept" if step.is_new else "kept before"
    session.show(
        {**asdict(step.subject), "is_new": step.is_new},
        [f"delivery {step.subject.id} is {step.subject.state} ({zh}, {en}); its statement of deletion is {kept}"],
    )

"""``pathcurate product deliver`` and what follows it: receipts, payment, lists."""

import re
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.productdesk import desk_of, passphrase_option, reading_desk, signer_of
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.model.product import Subject
    from pathcurate.product.contents import Copies, Prepared
    from pathcurate.product.deliveries import Order
    from pathcurate.product.desk import Desk

_DAY = click.DateTime(["%Y-%m-%d"])
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_ALL_AT_ONCE = "25GB"


@click.command("deliver")
@click.argument("contract")
@click.option("--to", "target", required=True, metavar="DIR|s3://…", help="Directory or bucket that the volumes go to.")
@click.option("--key", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Private key to sign the delivery with, an encrypted PKCS#8 file.")  # fmt: skip
@passphrase_option
@click.option("--volume-size", default=_ALL_AT_ONCE, show_default=True, help="Most bytes of a volume, such as 4.7GB.")
@click.option("--tables-only", is_flag=True, help="Deliver tables and texts, without slide files.")
@click.option("--without-missing", is_flag=True, help="Deliver what is there; the delivery says how much is not.")
@click.option("--unencrypted", is_flag=True, help="Write plain volumes: into an environment that is itself safe.")
@click.option("--again", is_flag=True, help="Make a new one although one is done; send one that is under way elsewhere.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path),
              help="Directory for work files; without it `deliveries/` of the workspace.")  # fmt: skip
@click.option("--endpoint", help="Address of an object store other than Amazon's.")
@click.option("--region", help="Its region.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that copy slides; else one for each core.")
@common_options
def deliver_command(
    session: Session, contract: str, *, target: str, key: Path, passphrase_file: str | None, volume_size: str,
    tables_only: bool, without_missing: bool, unencrypted: bool, again: bool, work: Path | None, endpoint: str | None,
    region: str | None, workers: int | None,
) -> None:  # fmt: skip
    """Deliver what a contract is for.

    CONTRACT is its id, or PRODUCT-RECIPIENT where that is one alone.
    Tables, texts and proven copies of the slide files, in codes of the recipient's own, go into volumes that only the
    recipient can open, with lists that `sha256sum -c` or a PowerShell script alone can check. A run that was cut off goes
    on where it stopped. Slides in cold storage are listed first, to be called back.

    \b
    Example:
      pathcurate product deliver demo_he_2023-my_lab --to ../disk --tables-only --key steward.pem --passphrase-file steward.pass
    """  # noqa: E501 -- an example is one line
    from pathcurate.cli.progress import progress
    from pathcurate.delivering import announce, plan, send, target_of
    from pathcurate.model.delivery import DELIVERY_FILE
    from pathcurate.product.deliveries import complete, documents, order, start
    from pathcurate.storage import locked

    most = _size(volume_size)
    signer = signer_of(key, passphrase_file)
    if signer is None:
        raise click.MissingParameter(param_hint="'--key'", param_type="option")
    place = target_of(target, Path.cwd(), endpoint=endpoint, region=region)
    with ExitStack() as held:
        with desk_of(session, "product deliver") as desk:
            made = order(desk, contract, signer, target=str(place), again=again)
            folder = _folder(desk, work, made)
            if made.is_done:
                _remove(folder)  # of a run that was cut off behind its last step
                _show_delivery(session, made.delivery, is_new=False)
                return
            # The workspace is not held while it travels, and no second run may prepare something else meanwhile.
            held.enter_context(locked(folder, "product deliver"))
            if made.is_moved:
                _remove(folder / "sending")
            prepared = _prepared(session, desk, made, folder, tables_only, without_missing, workers)
            planned = plan(prepared.members, size=most, is_encrypted=not unencrypted)
            delivery = start(desk, made, prepared)
        # Sending takes hours, and the workspace is not held meanwhile; whoever withdraws is heard before it is announced.
        recipient_key = None if unencrypted else made.agreement.keys.encryption
        with progress("deliver", "bytes", quiet=session.quiet) as advance:
            volumes = send(planned, place, recipient_key, folder / "sending", progress=advance)
        with desk_of(session, "product deliver") as desk:
            found = documents(desk, made, delivery, prepared, volumes, signer, is_encrypted=not unencrypted)
            announce(place, folder / "sending", found, volumes)
            step = complete(desk, delivery, volumes, found[DELIVERY_FILE])
    _remove(folder)
    _show_delivery(session, step.subject, is_new=step.is_new)


def _size(text: str) -> int:
    """Bytes of ``4.7GB``; units are powers of ten, as on the disks' boxes."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([KMGT]?)B?", text.strip().upper())
    if found is None or not float(found[1]):
        raise click.BadParameter("is a size such as 4.7GB", param_hint="'--volume-size'")
    return int(float(found[1]) * _UNITS[found[2]])


def _prepared(
    session: Session, desk: "Desk", made: "Order", folder: Path, tables_only: bool, without_missing: bool,
    workers: int | None,
) -> "Prepared":  # fmt: skip
    from pathcurate.product.contents import prepare

    copies = None if tables_only else _copied(session, desk, made, folder / "copies", without_missing, workers)
    return prepare(
        desk, made.release, made.agreement, folder, copies, withdrawals=int(made.contract.facts.get("withdrawals", 0)),
        without_missing=without_missing,
    )  # fmt: skip


def _copied(
    session: Session, desk: "Desk", made: "Order", target: Path, without_missing: bool, workers: int | None
) -> "Copies":
    """Proven copies of the slide files in the recipient's codes; what lies in cold storage is listed first."""
    from pathcurate.cli.progress import progress
    from pathcurate.copies.choosing import Selection
    from pathcurate.copies.recall import offline_files, write_recall
    from pathcurate.copies.scrubbing import FilesRequest, scrub
    from pathcurate.errors import PlanIncompleteError
    from pathcurate.product.contents import Copies
    from pathcurate.vault import open_vault

    selection = Selection(release=made.release, recipient=made.agreement.recipient)
    away = offline_files(desk.workspace, selection, open_vault(desk.workspace.vault).key)
    if away:
        path = write_recall(desk.workspace, made.delivery.id, away)
        if not without_missing:
            raise PlanIncompleteError(
                f"{counted(len(away), 'file')} of the release lie in cold storage "
                f"({sum(one.bytes for one in away) / 1e9:,.1f} GB): {path}",
                "Call them back by that list, run `pathcurate scan`, and give the command again; it goes on. Or give "
                "--without-missing.",
            )
        session.say(f"{counted(len(away), 'file')} in cold storage left out; listed in {path}")
    request = FilesRequest(selection, target, relabel=False, convert=False)
    with (
        session.local_engine(desk.workspace, workers) as engine,
        progress("files", "slides", quiet=session.quiet) as advance,
    ):
        summary = scrub(
            desk.workspace, request, engine=engine, actor=session.actor, purpose=f"delivery {made.delivery.id}",
            progress=advance,
        )  # fmt: skip
    return Copies(target, sum(count for name, count in summary.standings.items() if name != "done"))


def _folder(desk: "Desk", work: Path | None, made: "Order") -> Path:
    """Where the work files of a delivery lie; a directory of the user's stays as it is."""
    from pathcurate.storage import private_directory

    if work is None:
        above = private_directory(desk.workspace.root / "deliveries")
    else:
        above = work.absolute()
        above.mkdir(parents=True, exist_ok=True)
    return private_directory(above / made.delivery.id)


def _remove(folder: Path) -> None:
    """Work files of a delivery that is at its target."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


@click.command("deliveries")
@click.argument("delivery", required=False)
@common_options
def deliveries_command(session: Session, delivery: str | None) -> None:
    """List deliveries, or show one.

    \b
    Example:
      pathcurate product deliveries
    """
    from dataclasses import asdict

    from pathcurate.model.lifecycle import Machine
    from pathcurate.product.deliveries import find_delivery

    with reading_desk(session) as desk:
        if delivery is not None:
            _show_delivery(session, find_delivery(desk, delivery), is_new=True)
            return
        found = desk.registry.subjects(Machine.DELIVERY)
    lines = [_line(one) for one in found] or ["nothing was delivered yet; `pathcurate product deliver` does it"]
    session.show({"deliveries": [asdict(one) for one in found]}, lines)


@click.command("acknowledge")
@click.argument("delivery")
@click.option("--receipt", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="What `product receive` has signed at the recipient's.")  # fmt: skip
@common_options
def acknowledge_command(session: Session, delivery: str, receipt: Path) -> None:
    """Keep the receipt that the recipient has signed.

    DELIVERY is its id, or PRODUCT-RECIPIENT where that is one alone. The receipt counts only with the key that the contract
    names, and of what was delivered.

    \b
    Example:
      pathcurate product acknowledge demo_he_2023-my_lab --receipt received/receipt.json
    """
    from pathcurate.product.deliveries import acknowledge, find_delivery

    content = _read(receipt)
    with desk_of(session, "product acknowledge") as desk:
        step = acknowledge(desk, find_delivery(desk, delivery), content)
    _show_delivery(session, step.subject, is_new=step.is_new)


@click.command("settle")
@click.argument("delivery")
@click.option("--reference", required=True, help="Of the payment, such as the number of an invoice.")
@click.option("--amount", help="What was paid; without it what the delivery costs.")
@click.option("--on", "day", type=_DAY, help="Day of the payment; without it today.")
@common_options
def settle_command(session: Session, delivery: str, reference: str, amount: str | None, day: datetime | None) -> None:
    """Keep that a delivery was paid for.

    DELIVERY is its id, or PRODUCT-RECIPIENT where that is one alone.

    \b
    Example:
      pathcurate product settle demo_he_2023-my_lab --reference "INV 2026-11"
    """
    from pathcurate.product.deliveries import find_delivery
    from pathcurate.product.settlement import settle

    with desk_of(session, "product settle") as desk:
        on = day.date() if day is not None else desk.today
        step = settle(desk, find_delivery(desk, delivery), paid=amount, on=on, reference=reference)
    _show_delivery(session, step.subject, is_new=step.is_new)


@click.command("settlement")
@click.option("--from", "since", type=_DAY, help="First day of payment.")
@click.option("--until", type=_DAY, help="Last day of payment.")
@common_options
def settlement_command(session: Session, since: datetime | None, until: datetime | None) -> None:
    """Say what was paid for deliveries, and which site gets what.

    The parts of each payment add up to it to the cent: by what was delivered of each site, and its `share` in
    pathcurate.yaml as it stood when the release was built; what is no site's is the archive's.

    \b
    Example:
      pathcurate product settlement --from 2026-01-01 --until 2026-12-31
    """
    from dataclasses import asdict

    from pathcurate.product.settlement import settlement, totals

    with reading_desk(session) as desk:
        found = settlement(desk, since.date() if since else None, until.date() if until else None)
    sums = totals(found)
    lines = [
        f"  {one.on}  {one.delivery:<44} {one.metered.count:>10,} {one.metered.unit:<8} {one.paid:>16} "
        f"{one.metered.currency}"
        for one in found
    ]
    lines += [f"  {site or 'the archive':<56} {'':>10} {amount:>16} {currency}" for (currency, site), amount in sums.items()]
    session.show(
        {"settled": [{**asdict(one), "metered": one.metered.as_dict(), "paid": str(one.paid),
                      "parts": [{**asdict(part), "amount": str(part.amount)} for part in one.parts]} for one in found],
         "totals": [{"currency": currency, "site": site, "amount": str(amount)}
                    for (currency, site), amount in sums.items()]},
        lines or ["nothing was paid for in that time"],
    )  # fmt: skip


def _read(path: Path) -> bytes:
    from pathcurate.errors import InputOutputError
    from pathcurate.model.attestation import MOST_BYTES

    with path.open("rb") as file:
        content = file.read(2 * MOST_BYTES + 1)
    if len(content) > 2 * MOST_BYTES:
        raise InputOutputError("the file is larger than any receipt", "Ask for the one that `product receive` has signed.")
    return content


def _line(delivery: "Subject") -> str:
    facts = delivery.facts
    counts = facts.get("counts", {})
    size = f"{counts['bytes'] / 1e9:,.1f} GB" if "bytes" in counts else ""
    return f"  {delivery.id:<44} {delivery.state:<13} {counts.get('slides', 0):>8,} slides {size:>12}  {facts['recipient']}"


def _show_delivery(session: Session, delivery: "Subject", *, is_new: bool) -> None:
    from dataclasses import asdict

    from pathcurate.lifecycle import state_words
    from pathcurate.model.lifecycle import Machine

    facts: dict[str, Any] = dict(delivery.facts)
    zh, en = state_words(Machine.DELIVERY, delivery.state)
    lines = [f"delivery {delivery.id} is {delivery.state} ({zh}, {en}){'' if is_new else ', as it was before'}"]
    lines += [f"  to       {facts['target']}"]
    if "counts" in facts:
        lines += [f"  holds    {', '.join(f'{count:,} {name}' for name, count in facts['counts'].items() if count)}"]
    if facts.get("left_out"):
        lines += [f"  without  {', '.join(f'{count:,} {name}' for name, count in facts['left_out'].items())}"]
    if "volumes" in facts:
        lines += [f"  volumes  {facts['volumes']:,}, {facts['bytes']:,} bytes"]
    if "contents" in facts:
        lines += [f"  digest   {facts['contents']}"]
    if (metered := facts.get("metered")) is not None and metered["currency"]:
        price = f"{metered['count'] - metered['before']:,} x {metered['price']}"
        lines += [f"  costs    {metered['amount']} {metered['currency']} ({price} by {metered['unit']})"]
    if (receipt := facts.get("receipt")) is not None:
        lines += [f"  received signed on {receipt['signed_on']}"]
    if (paid := facts.get("settlement")) is not None:
        lines += [f"  paid     {paid['paid']} on {paid['on']}"]
    session.show({**asdict(delivery), "is_new": is_new}, lines)

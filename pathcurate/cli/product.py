"""``pathcurate product``."""

from dataclasses import asdict
from pathlib import Path

import click

from pathcurate.cli import (
    productcontracts,
    productdeliver,
    productkeys,
    productmoves,
    productreceive,
    productreports,
    productsealed,
    productspaces,
    producttrace,
    productwithdrawals,
)
from pathcurate.cli.session import Session, common_options, count_lines


@click.group("product")
def command() -> None:
    """Register, sign, offer and withdraw products."""


for _command in (
    productmoves.check_command, productmoves.sign_command, productmoves.submit_command, productmoves.receipt_command,
    productmoves.offer_command, productmoves.suspend_command, productmoves.resume_command,
    productspaces.publish_command, productspaces.published_command, productspaces.retract_command,
    productspaces.spaces_command,
    productsealed.seal_command, productsealed.unseal_command,
    productwithdrawals.withdraw_command, productwithdrawals.purge_command, productwithdrawals.attest_command,
    productreports.history_command, productreports.verify_command, productreports.due_command,
    productreports.statement_command, productreports.catalog_command, productdeliver.deliver_command,
    productdeliver.deliveries_command, productdeliver.acknowledge_command, productdeliver.settle_command,
    productdeliver.settlement_command, productkeys.command, productreceive.receive_command, producttrace.trace_command,
    productcontracts.application_command, productcontracts.apply_command, productcontracts.review_command,
    productcontracts.approve_command, productcontracts.reject_command, productcontracts.contract_command,
    productcontracts.accept_command, productcontracts.activate_command, productcontracts.terminate_command,
    productcontracts.contracts_command,
):  # fmt: skip
    command.add_command(_command)


@command.command("register")
@click.argument("release", required=False)
@click.option("--table", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Of many: a table of releases and forms (CSV or Excel); each goes as far as it can.")  # fmt: skip
@click.option("--key", "keys", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="With --table: private key to sign with; several times for several signers.")  # fmt: skip
@click.option("--passphrase-file", "passphrase_files", multiple=True, metavar="FILE",
              help="With --table: of each key, in their order; else you are asked.")  # fmt: skip
@click.option("--to", "bundles", type=click.Path(file_okay=False, path_type=Path), default=Path("submissions"),
              show_default=True, help="With --table: folder for what is to be uploaded.")  # fmt: skip
@click.option("--regime", help="With --table: form of rows that name none, such as zj-data-ip.")
@common_options
def register_command(
    session: Session,
    release: str | None,
    *,
    table: Path | None,
    keys: tuple[Path, ...],
    passphrase_files: tuple[str, ...],
    bundles: Path,
    regime: str | None,
) -> int:
    """Enter a release into the registry, by its digest.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. Again gives the same answer. With --table each
    row is entered, checked, signed and submitted; those that lack evidence say what, the others go on, and a run after the
    repair goes on with the rest.

    \b
    Example:
      pathcurate product register demo_he_2023@1.0.0
    """
    from pathcurate.cli.productdesk import desk_of, directory_of, signer_of
    from pathcurate.product import register

    if table is not None:
        from itertools import zip_longest

        from pathcurate.cli.productbatch import register_many

        if release is not None or len(passphrase_files) > len(keys):
            raise click.UsageError("--table goes without RELEASE, and with at most one --passphrase-file a --key.")
        signers = [(signer_of(key, file), None) for key, file in zip_longest(keys, passphrase_files)]
        given = [(signer, role) for signer, role in signers if signer is not None]
        return register_many(session, table, given, bundles, regime)
    if release is None:
        raise click.MissingParameter(param_hint="'RELEASE'", param_type="argument")
    with desk_of(session, "product register") as desk:
        entry, is_new = register(desk.registry, directory_of(desk, release), actor=session.actor, now=session.now)
    session.show(
        {**entry.as_dict(), "is_new": is_new},
        [f"{entry.product} {entry.version} is registered ({entry.state})" + ("" if is_new else ", as it was before"),
         f"  {entry.release_digest}"],
    )  # fmt: skip
    return 0


@command.command("list")
@click.option("--state", help="Only those in this state.")
@common_options
def list_command(session: Session, state: str | None) -> None:
    """List the registered products.

    A release whose certificate or approval has run out is shown as expired; `product due` says what it is.

    \b
    Example:
      pathcurate product list
    """
    from pathcurate.cli.productdesk import reading_desk
    from pathcurate.product.endings import shown_state

    with reading_desk(session) as desk:
        entries = [(entry, shown_state(desk, entry)) for entry in desk.registry.list()]
    shown = [(entry, now) for entry, now in entries if state in (None, now)]
    session.show(
        {"products": [{**entry.as_dict(), "state": now} for entry, now in shown]},
        [f"{entry.product:<31} {entry.version:<11} {now:<19} {entry.release_digest}" for entry, now in shown]
        or ["nothing is registered yet; `pathcurate product register RELEASE` enters one"],
    )


@command.command("show")
@click.argument("product")
@common_options
def show_command(session: Session, product: str) -> None:
    """Show a product, who signed it, and what it lacks.

    PRODUCT is NAME@VERSION, or NAME for its highest version.

    \b
    Example:
      pathcurate product show demo_he_2023
    """
    from pathcurate.cli.productdesk import entry_of, reading_desk
    from pathcurate.lifecycle import state_words
    from pathcurate.model.lifecycle import Machine
    from pathcurate.product.endings import shown_state
    from pathcurate.product.standing import next_steps

    with reading_desk(session) as desk:
        entry = entry_of(desk, product)
        now = shown_state(desk, entry)
        events = desk.registry.history(entry.product, entry.version)
        steps = next_steps(desk, entry)
    zh, en = state_words(Machine.RELEASE, now)
    held = entry.facts.get("certificate")
    lines = [f"{entry.product} {entry.version}: {entry.title}", f"  state    {now} ({zh}, {en})",
             f"  release  {entry.release_digest}",
             f"  content  {entry.content_digest}", *count_lines(entry.counts)]  # fmt: skip
    lines += [f"  signed   as {one['role']} by {one['name']}" for one in entry.facts.get("signatures", ())]
    if held is not None:
        until = f", valid until {held['valid_until']}" if held["valid_until"] else ""
        lines.append(f"  certificate {held['number']} of {held['authority']}, {held['issued']}{until}")
    if (quality := entry.facts.get("quality")) is not None:
        score = f" ({quality['score']})" if quality["score"] else ""
        lines.append(f"  quality  {quality['grade']}{score} by {quality['assessor']}, {quality['issued']}")
    lines += productspaces.space_lines(entry, now)
    for step in steps:
        lines.append(f"  next: {step.command}" + (", which still needs" if step.lacks else ""))
        lines += [line for lack in step.lacks for line in (f"    - {lack.what}", f"      {lack.how}")]
    lines += [f"  {event.at}  {event.action} by {event.actor}" for event in events if "refused" not in event.payload]
    session.show(
        {**entry.as_dict(), "state": now, "history": [asdict(event) for event in events],
         "next": [asdict(step) for step in steps]},
        lines,
    )  # fmt: skip

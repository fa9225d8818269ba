"""``pathcurate product``: what runs out, what is whose, what the registry is worth, and the catalogue."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.productdesk import directory_of, entry_of, reading_desk
from pathcurate.cli.productspaces import to_be_taken_off
from pathcurate.cli.session import Session, common_options, count_lines, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pathcurate.attestations import Attested


@click.command("history")
@click.argument("product")
@common_options
def history_command(session: Session, product: str) -> None:
    """Show all that happened to a product.

    PRODUCT is NAME@VERSION, or NAME for its highest version. Refusals are in it too, with what was lacking.

    \b
    Example:
      pathcurate product history demo_he_2023
    """
    from dataclasses import asdict

    with reading_desk(session) as desk:
        entry = entry_of(desk, product)
        events = desk.registry.history(entry.product, entry.version)
    lines = []
    for event in events:
        said = event.payload
        about = "" if event.subject in {"", entry.id} else f" {event.machine} {event.subject}"
        became = str(said.get("to", said.get("state")))
        if "refused" in said:
            became = f"refused, lacking {', '.join(said['refused'])}"
        lines.append(f"{event.seq:>6}  {event.at}  {event.action + about:<22} {became:<20} {event.actor}{_words(said)}")
    session.show({"product": entry.product, "version": entry.version, "events": [asdict(one) for one in events]}, lines)


def _words(said: "Mapping[str, Any]") -> str:
    """What an event says for people: who signed in which role, the reason, the authority's words, the data space."""
    sets = said.get("sets", {})
    signed = [f"signed as {one['role']} by {one['name']}" for one in sets.get("signatures", ())[-1:]]
    told = said.get("says", {})
    words = [*signed, sets.get("reason", ""), sets.get("authority_says", {}).get("note", "")]
    words += [told["space"], told.get("reason", "")] if "space" in told else []
    return "".join(f"  {word}" for word in words if word)


@click.command("verify")
@click.argument("release", required=False)
@click.option("--trust", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Whose signatures count; without it the workspace's trust.yaml.")  # fmt: skip
@click.option("--copies", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="More releases whose signed heads count, such as copies that a buyer holds; several times.")  # fmt: skip
@click.option("--withdrawals", "feed", type=click.Path(exists=True, path_type=Path),
              help="A feed of withdrawals: refuse a release, or a received delivery, that holds some of it.")  # fmt: skip
@common_options
def verify_command(
    session: Session, release: str | None, *, trust: Path | None, copies: tuple[Path, ...], feed: Path | None
) -> None:
    """Check the registry against what was signed, or one copy.

    Without RELEASE the chain of the registry's events is replayed and compared with every signed head in the attestations of
    the workspace's releases. With it, only its directory and public keys are needed: every byte, and every signature. Exit
    code 4 if something was changed.

    RELEASE may also be a delivery that `product receive` has unpacked; the keys of its agreement say whose feed of
    --withdrawals counts. Exit code 4 too for a stale copy, and for a feed that is broken, forged, or older than one that the
    copy honours already.

    \b
    Example:
      pathcurate product verify
    """
    from pathcurate.errors import DigestMismatchError
    from pathcurate.model.trust import LANGUAGE, Trust
    from pathcurate.product.verification import verify_copy_signed, verify_registry
    from pathcurate.trustfile import load_trust, trust_path

    if feed is not None:
        if release is None or copies:
            raise click.UsageError("--withdrawals goes with RELEASE, and without --copies.")
        from pathcurate.cli.productstale import verify_feed

        verify_feed(session, release, feed.absolute(), trust.absolute() if trust is not None else None)
        return
    if release is not None and (Path(release) / "DELIVERY.json").is_file():
        from pathcurate.cli.productstale import verify_whole

        verify_whole(session, Path(release).absolute())
        return
    if release is not None and trust is not None and (Path(release) / "MANIFEST.json").is_file():
        checked, attested = verify_copy_signed(Path(release).absolute(), load_trust(trust.absolute()))
        _show_signed(session, checked.name, checked.version, checked.digest, attested)
        return
    with reading_desk(session) as desk:
        file = trust.absolute() if trust is not None else trust_path(desk.workspace.root)
        known = load_trust(file) if trust is not None or file.exists() else Trust(trust=LANGUAGE)
        if release is not None:
            checked, attested = verify_copy_signed(directory_of(desk, release), known)
            _show_signed(session, checked.name, checked.version, checked.digest, attested)
            return
        verdict = verify_registry(desk, known, [path.absolute() for path in copies])
    if verdict.faults:
        listed = "".join(f"\n  - {fault}" for fault in verdict.faults[:20])
        raise DigestMismatchError(
            f"the registry is not what was signed and recorded{listed}",
            "Restore it from a backup of before the change, and find out who made it; nothing in it can be relied on.",
        )
    signed = (
        f"{counted(verdict.heads, 'signed head')}, the newest of {counted(verdict.newest, 'event')}"
        if verdict.newest is not None
        else "no signed head yet: who can write to the database could have rewritten all of it"
    )
    session.show(
        {"events": verdict.events, "signed_heads": verdict.heads, "newest_signed": verdict.newest},
        [f"the registry is whole: {counted(verdict.events, 'event')}; {signed}"],
    )


def _show_signed(session: Session, name: str, version: str, digest: str, attested: "tuple[Attested, ...]") -> None:
    from pathcurate.errors import DigestMismatchError

    lines = []
    bad = []
    for one in attested:
        faults = [*one.faults, *(found.fault for found in one.verified if found.fault is not None)]
        who = ", ".join(f"{found.name} ({', '.join(found.roles)})" for found in one.counting)
        kind = one.statement.predicate_type.rsplit("/", 2)[-2] if one.statement is not None else "?"
        lines.append(f"  {one.name:<34} {kind:<22} {who or '; '.join(faults)}")
        bad += [f"{one.name}: {fault}" for fault in faults]
    if bad:
        listed = "".join(f"\n  - {fault}" for fault in bad[:20])
        raise DigestMismatchError(f"{name} {version} is whole, but signatures do not count{listed}", "Ask who signed it.")
    session.show(
        {"name": name, "version": version, "digest": digest,
         "attestations": [{"file": one.name, "signers": [found.name for found in one.counting]} for one in attested]},
        [f"{name} {version} is as it was built: {digest}", *(lines or ["  nobody has signed it"])],
    )  # fmt: skip


@click.command("due")
@click.option("--within", default="90d", show_default=True, help="How many days ahead to look.")
@click.option("--expire", is_flag=True, help="Move what rests on something that has run out to `expired`.")
@common_options
def due_command(session: Session, within: str, *, expire: bool) -> int:
    """List what runs out: certificates, approvals, agreements.

    Also authorisations of sites, last days of policies, and deletions that recipients are to attest. Exit code 6 if
    something has run out already.

    \b
    Example:
      pathcurate product due --within 90d
    """
    from dataclasses import asdict

    from pathcurate.cli.productdesk import desk_of
    from pathcurate.product.contracts import expire_ended
    from pathcurate.product.deletions import endings
    from pathcurate.product.endings import due_of, expire_all

    days = re.fullmatch(r"([0-9]{1,4})d?", within)
    if days is None:
        raise click.BadParameter("is a number of days such as 90d", param_hint="'--within'")
    with desk_of(session, "product due") if expire else reading_desk(session) as desk:
        found = due_of(desk, int(days[1]), endings(desk))
        moved = expire_all(desk) if expire else []
        ended = expire_ended(desk) if expire else []
    lines = [
        f"  {one.until}  {'over' if one.days_left < 0 else f'{one.days_left:>3} d':<6} {one.what:<24} {one.name:<24} "
        f"{one.of} {one.owner}"
        for one in found
    ]
    lines += [f"  {one.entry.product} {one.entry.version} is {one.entry.state}" for one in moved]
    lines += [*to_be_taken_off(one.entry for one in moved)]
    lines += [f"  contract {one.contract.id} is {one.contract.state}" for one in ended]
    session.show(
        {
            "due": [asdict(one) for one in found],
            "expired": [one.entry.as_dict() for one in moved],
            "contracts": [one.contract.id for one in ended],
        },
        lines or [f"nothing runs out within {counted(int(days[1]), 'day')}"],
    )
    return 6 if any(one.days_left < 0 for one in found) else 0


@click.command("statement")
@click.argument("product")
@click.option("--by", type=click.Choice(["site"]), default="site", show_default=True, help="Between whom.")
@click.option("--amount", required=True, help="What was paid, such as 12500.00.")
@click.option("--currency", default="CNY", show_default=True, help="Of it (ISO 4217).")
@click.option("--count", "level", default="", help="Split by slides, cases or patients; without it by what the price is of.")
@common_options
def statement_command(session: Session, product: str, by: str, amount: str, currency: str, level: str) -> None:
    """Split an amount between the sites, to the cent.

    PRODUCT is NAME@VERSION, or NAME for its highest version. A site's part follows what the release holds of it, and its
    `share` in pathcurate.yaml as it stood when the release was built; what is no site's is the archive's.

    \b
    Example:
      pathcurate product statement demo_he_2023 --by site --amount 12500.00
    """
    from dataclasses import asdict

    from pathcurate.product.settling import statement_of

    with reading_desk(session) as desk:
        entry = entry_of(desk, product)
        parts, of = statement_of(desk, entry, amount, currency, level)
    rows = {(part.site or "the archive"): part for part in parts}
    session.show(
        {"product": entry.product, "version": entry.version, "by": by, "amount": amount, "currency": currency, "of": of,
         "parts": [{**asdict(part), "amount": str(part.amount)} for part in parts]},
        [f"{entry.product} {entry.version}: {amount} {currency} by {of}",
         *(f"  {name:<16} {part.count:>10,} {of:<9} {part.amount:>16} {currency}" for name, part in rows.items())],
    )  # fmt: skip


@click.command("catalog")
@click.option("--html", "target", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to be made.")
@click.option("--title", default="", help="Of the catalogue; without it the workspace's name.")
@click.option("--force", is_flag=True, help="Replace a catalogue that is there.")
@common_options
def catalog_command(session: Session, target: Path, title: str, *, force: bool) -> None:
    """Write a static site of all products on offer.

    Chinese and English, with a search box; it works from a file and asks nothing of any network.

    \b
    Example:
      pathcurate product catalog --html offers
    """
    from pathcurate.product.shopwindow import write_catalog

    with reading_desk(session) as desk:
        written = write_catalog(desk, target.absolute(), title or desk.workspace.name, replace=force)
    session.show(
        {"directory": str(target), "products": written.products, "files": written.files},
        [*count_lines({"products": written.products, "files": written.files}), f"  {target / 'index.html'}"],
    )

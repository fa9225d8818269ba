"""``pathcurate product``: data spaces in which releases are listed."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.productdesk import desk_of, directory_of, entry_of, reading_desk, reason_option
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.model.product import Entry, Subject
    from pathcurate.product.desk import Desk
    from pathcurate.product.spaces import Asked, InSpace, Shelved
    from pathcurate.registries import Space
    from pathcurate.spacesettings import SpaceSettings

_space_option = click.option("--space", required=True, metavar="NAME", help="Name of a space in pathcurate.yaml.")

_NO_SPACES = "Write `spaces: {NAME: {kind: files}}` into pathcurate.yaml; the README says how a connector is written."


@click.command("publish")
@click.argument("release")
@_space_option
@click.option("--to", "target", type=click.Path(file_okay=False, path_type=Path),
              help="Of a platform that takes files: the folder to be made.")  # fmt: skip
@common_options
def publish_command(session: Session, release: str, space: str, target: Path | None) -> int:
    """List a release on offer in a data space.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. A connector (kind: edc) gets asset, policy and
    offer, the offer last; it is refused if the connector would not enforce a term of the policy. For a platform that takes
    files (kind: files) a folder is written that says what goes where; `product published` keeps what the platform answers.
    Given again, it finishes what was cut off, and else changes nothing.

    \b
    Example:
      pathcurate product publish demo_he_2023 --space tds --to handover
    """
    from pathcurate.product.spaces import hand_over, publish

    with desk_of(session, "product publish") as desk:
        settings = _settings(desk, space)
        directory = directory_of(desk, release)
        if settings.kind == "files":
            if target is None:
                raise click.UsageError(f"The space {space} takes files: name the folder to be made with --to.")
            shelved, handover = hand_over(
                desk, directory, space, target.absolute(),
                access_policy=settings.access_policy or "", transfer=settings.transfer,
            )  # fmt: skip
            lines = [f"  {handover.directory}: {counted(len(handover.files), 'file')}, {handover.digest}"]
            lines += [f"  to be bound at the connector: {term}" for term in handover.to_bind]
            document: dict[str, Any] = {
                "directory": str(handover.directory), "digest": handover.digest, "files": list(handover.files),
                "to_bind": list(handover.to_bind),
            }  # fmt: skip
        else:
            if target is not None:
                raise click.UsageError(f"The space {space} is a connector: it takes no --to.")
            shelved = publish(desk, directory, space, _connector(desk, space), transfer=settings.transfer)
            lines, document = [], {}
    return _show(session, shelved, lines, **document)


@click.command("published")
@click.argument("release")
@_space_option
@click.option("--receipt", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="What it has sent, JSON.")
@click.option("--entry", help="Without a receipt: what the platform calls the release.")
@click.option("--url", default="", help="With --entry: where it is shown there.")
@common_options
def published_command(
    session: Session, release: str, space: str, *, receipt: Path | None, entry: str | None, url: str
) -> int:
    """Keep a platform's word that it lists a release.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version; the space is one that takes files. An entry of
    the platform belongs to one release alone. Exit code 1 if the release is not on offer any more, and so must go.

    \b
    Example:
      pathcurate product published demo_he_2023 --space tds --entry 2026-0042
    """
    from pathcurate.dataspace.receipts import platform_receipt, read_receipt
    from pathcurate.product.spaces import listed

    if (receipt is None) == (entry is None) or (receipt is not None and url):
        raise click.UsageError("Give --receipt, or --entry with or without --url.")
    given = read_receipt(receipt.absolute()) if receipt is not None else platform_receipt(str(entry), url=url)
    with desk_of(session, "product published") as desk:
        if _settings(desk, space).kind != "files":
            raise click.UsageError(f"The space {space} is a connector: `product publish` asks it itself.")
        shelved = listed(desk, directory_of(desk, release), space, given)
    return _show(session, shelved)


@click.command("retract")
@click.argument("product")
@_space_option
@reason_option
@click.option("--confirmed", is_flag=True, help="Of a platform that takes files: its people have taken it off.")
@common_options
def retract_command(session: Session, product: str, space: str, reason: str, *, confirmed: bool) -> None:
    """Take a release off a data space.

    PRODUCT is NAME@VERSION, or NAME for its highest version; its directory is not needed. At a connector the offer goes at
    once, and what agreements refer to stays. From a platform that takes files its people take it off: ask them, and give
    the command again with --confirmed when they have.

    \b
    Example:
      pathcurate product retract demo_he_2023 --space tds --reason "the platform closes"
    """
    from pathcurate.product.spaces import retract

    with desk_of(session, "product retract") as desk:
        settings = _settings(desk, space)
        if confirmed and settings.kind != "files":
            raise click.UsageError(f"The space {space} is a connector: it is asked itself.")
        entry = entry_of(desk, product)
        door = None if settings.kind == "files" else _connector(desk, space)
        shelved = retract(desk, entry, space, reason, door, is_gone=confirmed)
    shelf = shelved.shelf
    lines = [f"  stays there: {sentence}" for sentence in shelf.stays]
    if shelf.may_be_seen and not shelf.must_go:
        lines += [f"  {_way(shelf)}"]
    _show(session, shelved, lines)


@click.command("spaces")
@click.option("--check", "is_asked", is_flag=True, help="Ask the connectors what they list.")
@common_options
def spaces_command(session: Session, *, is_asked: bool) -> int:
    """Show which release is listed in which data space.

    Exit code 1 if a release may be found somewhere that is not on offer: suspended, superseded, withdrawn or expired; or
    with --check, if a connector lists something else than the registry says. Exit code 3 if one could not be asked.

    \b
    Example:
      pathcurate product spaces
    """
    from pathcurate.product.spaces import Asked, ask, spaces

    with reading_desk(session) as desk:
        shelves = spaces(desk)
        configured = set(desk.workspace.settings.spaces)
        known = {one.listing.space for one in shelves}
        if is_asked:
            asked = list(ask(desk, shelves, lambda name: _connector(desk, name)))
        else:
            asked = [Asked(shelf, "not asked") for shelf in shelves]
    lines = [line for one in asked for line in _lines(one, configured)]
    session.show(
        {"spaces": [_row(one) for one in asked], "unused": sorted(configured - known)},
        lines or ["no release was published in any space; `pathcurate product publish RELEASE --space NAME` does it"],
    )
    if any(one.shelf.must_go or one.answer == "differs" for one in asked):
        return 1
    return 3 if any(one.answer == "unknown" for one in asked) else 0


# --- What others show of it ------------------------------------------------------------------------------------------


def to_be_taken_off(releases: "Iterable[Entry | Subject]") -> list[str]:
    """Lines that say where releases may still be found that are not on offer any more, and what takes them off."""
    from pathcurate.model.lifecycle import Machine
    from pathcurate.model.product import Subject
    from pathcurate.product.spaces import in_spaces

    of_releases = (one for one in releases if not isinstance(one, Subject) or one.machine is Machine.RELEASE)
    shelves = [shelf for one in of_releases for shelf in in_spaces(one) if shelf.must_go]
    return [line for shelf in shelves for line in _still(shelf)]


def space_lines(entry: "Entry", state: str) -> list[str]:
    """Lines that say how a release stands in each space."""
    from pathcurate.product.spaces import in_spaces

    lines = []
    for shelf in in_spaces(entry, state):
        lines.append(f"  space    {shelf.listing.space}: {shelf.standing.words}{_called(shelf)}, {shelf.at}")
        lines += [f"    it is {state}: {_way(shelf)}"] if shelf.must_go else []
    return lines


def _still(shelf: "InSpace") -> list[str]:
    return [
        f"  {shelf.release} may still be found in the space {shelf.listing.space} ({shelf.standing.words}{_called(shelf)})",
        f"    {_way(shelf)}",
    ]


def _way(shelf: "InSpace") -> str:
    """What takes it off."""
    from pathcurate.product.spaces import Standing

    command = f"pathcurate product retract {shelf.release} --space {shelf.listing.space} --reason …"
    if shelf.standing is Standing.RETRACTING:
        return f"once its people have taken it off, `{command} --confirmed` says so"
    return f"`{command}` takes it off"


def _called(shelf: "InSpace") -> str:
    refs = shelf.listing.refs
    name = refs.get("entry") or refs.get("contract_definition", "")
    return f" as {name}" if name else ""


def _lines(one: "Asked", configured: set[str]) -> list[str]:
    shelf = one.shelf
    name = shelf.listing.space
    lines = [f"{shelf.release:<32} {name:<16} {shelf.state:<11} {shelf.standing.words}{_called(shelf)}, {shelf.at}"]
    if name not in configured and shelf.may_be_seen:
        lines.append("    the space is not in pathcurate.yaml any more")
    if shelf.must_go:
        lines.append(f"    it is not on offer: {_way(shelf)}")
    lines += [f"    stays there: {sentence}" for sentence in shelf.stays]
    if one.answer != "not asked":
        asked = {"agrees": "the connector agrees", "differs": "the connector differs", "unknown": "could not be asked"}
        lines.append(f"    {asked[one.answer]}{': ' + one.words if one.words else ''}")
    return lines


def _row(one: "Asked") -> dict[str, Any]:
    shelf = one.shelf
    return {
        "release": shelf.release, "space": shelf.listing.space, "state": shelf.state, **shelf.as_fact(),
        "must_go": shelf.must_go, "asked": one.answer, "answer": one.words,
    }  # fmt: skip


def _show(session: Session, shelved: "Shelved", lines: Iterable[str] = (), **document: Any) -> int:
    """Say how a release stands in a space; 1 if it may be found there and is not on offer."""
    shelf = shelved.shelf
    before = "" if shelved.is_new else ", as it was before"
    told = [f"{shelf.release} in {shelf.listing.space}: {shelf.standing.words}{_called(shelf)}{before}", *lines]
    if shelf.must_go:
        told += [f"  it is {shelf.state}, and so must not be found there: {_way(shelf)}"]
    session.show(
        {"release": shelf.release, "space": shelf.listing.space, "state": shelf.state, **shelf.as_fact(),
         "is_new": shelved.is_new, "must_go": shelf.must_go, **document},
        told,
    )  # fmt: skip
    return int(shelf.must_go)


def _settings(desk: "Desk", name: str) -> "SpaceSettings":
    from pathcurate.errors import UsageError
    from pathcurate.yamlsource import did_you_mean

    known = desk.workspace.settings.spaces
    if name not in known:
        listed = f"Known spaces: {', '.join(known)}." if known else _NO_SPACES
        raise UsageError(f"there is no space `{name}`{did_you_mean(name, known)}", listed)
    return known[name]


def _connector(desk: "Desk", name: str) -> "Space":
    import os

    from pathcurate.registries.edc.configured import connector

    return connector(name, _settings(desk, name), os.environ)

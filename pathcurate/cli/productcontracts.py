"""``pathcurate product``: from an application to a contract that both sides have signed."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.productdesk import (
    desk_of,
    directory_of,
    passphrase_option,
    reading_desk,
    reason_option,
    signer_of,
)
from pathcurate.cli.session import Session, common_options

if TYPE_CHECKING:
    from pathcurate.model.product import Subject
    from pathcurate.model.productfile import Price
    from pathcurate.model.usematch import UseMatch
    from pathcurate.product.contracts import Advanced
    from pathcurate.signing import Signer

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DAY = click.DateTime(["%Y-%m-%d"])
_key = click.option("--key", required=True, type=_FILE, help="Private key to sign with, an encrypted PKCS#8 file.")


@click.command("application")
@common_options
def application_command(session: Session) -> None:
    """Print a blank application for data.

    Whoever wants data fills it in; it explains each line, in Chinese and in English.

    \b
    Example:
      pathcurate product application
    """
    from pathcurate.applications import blank_application

    text = blank_application()
    session.show({"application": text}, text.splitlines())


@click.command("apply")
@click.argument("release")
@click.option("--application", "file", required=True, type=_FILE, help="The application, filled in.")
@common_options
def apply_command(session: Session, release: str, file: Path) -> None:
    """Enter an application for a release on offer.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. The use is compared with the release's policy,
    term by term: yes, no, or a person must say. `product application` prints a blank one.

    \b
    Example:
      pathcurate product apply demo_he_2023 --application application.yaml
    """
    from pathcurate.product.applying import apply

    with desk_of(session, "product apply") as desk:
        made = apply(desk, directory_of(desk, release), file)
    _show(session, made)


@click.command("review")
@click.argument("contract")
@common_options
def review_command(session: Session, contract: str) -> None:
    """Compare an application with the policy, and keep the result.

    CONTRACT is its id, or PRODUCT-RECIPIENT where that is one alone.

    \b
    Example:
      pathcurate product review demo_he_2023-my_lab
    """
    from pathcurate.product.applying import review
    from pathcurate.product.contracts import find_contract

    with desk_of(session, "product review") as desk:
        made = review(desk, find_contract(desk, contract))
    _show(session, made)


@click.command("approve")
@click.argument("contract")
@_key
@passphrase_option
@click.option("--as", "role", type=click.Choice(["steward", "compliance"]), help="In which role, if the signer has both.")
@click.option("--note", default="", help="How what no form can tell was decided; it is signed and kept.")
@common_options
def approve_command(
    session: Session, contract: str, key: Path, passphrase_file: str | None, *, role: str | None, note: str
) -> None:
    """Approve an application, as steward or as compliance officer.

    CONTRACT is its id, or PRODUCT-RECIPIENT where that is one alone. trust.yaml says how many must sign. A use that
    the policy does not allow is approved by nobody (exit code 13).

    \b
    Example:
      pathcurate product approve demo_he_2023-my_lab --key steward.pem --passphrase-file steward.pass
    """
    from pathcurate.product.applying import approve
    from pathcurate.product.contracts import find_contract

    signer = _signer(key, passphrase_file)
    with desk_of(session, "product approve") as desk:
        made = approve(desk, find_contract(desk, contract), signer, role=role, note=note)
    _show(session, made)


@click.command("reject")
@click.argument("contract")
@reason_option
@common_options
def reject_command(session: Session, contract: str, reason: str) -> None:
    """Say no to an application.

    CONTRACT is its id, or PRODUCT-RECIPIENT where that is one alone.

    \b
    Example:
      pathcurate product reject demo_he_2023-other_lab --reason "another use than the policy allows"
    """
    from pathcurate.product.applying import reject
    from pathcurate.product.contracts import find_contract

    with desk_of(session, "product reject") as desk:
        made = reject(desk, find_contract(desk, contract), reason)
    _show(session, made)


@click.command("contract")
@click.argument("contract")
@click.option("--number", required=True, help="Number that the parties give the contract.")
@_key
@passphrase_option
@click.option("--price", metavar='"AMOUNT CURRENCY UNIT"', help='Such as "1.50 CNY slide"; without it that of the release.')
@click.option("--last-day", type=_DAY, help="Last day of the use; without it that of the application.")
@click.option("--deletion-days", type=click.IntRange(1, 3650), default=30, show_default=True,
              help="Days within which what somebody withdraws is to be deleted.")  # fmt: skip
@click.option("--to", "target", type=click.Path(file_okay=False, path_type=Path),
              help="Folder to be made, with what the recipient is to sign.")  # fmt: skip
@common_options
def contract_command(
    session: Session, contract: str, *, number: str, key: Path, passphrase_file: str | None, price: str | None,
    last_day: datetime | None, deletion_days: int, target: Path | None,
) -> None:  # fmt: skip
    """Write the terms of an approved application, and sign them.

    CONTRACT is its id, or PRODUCT-RECIPIENT where that is one alone. The terms (agreement.json, and the same as an ODRL
    Agreement) name the digest of the release; they are for nothing else.

    \b
    Example:
      pathcurate product contract demo_he_2023-my_lab --number 7 --to sent --key steward.pem --passphrase-file steward.pass
    """
    from pathcurate.product.contractpapers import copy_papers, demand_free
    from pathcurate.product.contracts import Terms, find_contract
    from pathcurate.product.contracts import contract as make

    terms = Terms(number, _price(price), last_day.date() if last_day is not None else None, deletion_days)
    signer = _signer(key, passphrase_file)
    if target is not None:
        demand_free(target)
    with desk_of(session, "product contract") as desk:
        made = make(desk, find_contract(desk, contract), terms, signer)
        folder = target.absolute() if target is not None else None
        files = copy_papers(desk, made.contract, folder) if folder is not None else ()
    more = [f"  {folder}: {len(files)} files, for the recipient to sign with `pathcurate product accept`"] if files else []
    _show(session, made, more)


@click.command("accept")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_key
@passphrase_option
@click.option("--trust", "trust_file", type=_FILE,
              help="The holder's trust.yaml, if you have it; else the keys that the terms name are believed.")  # fmt: skip
@common_options
def accept_command(
    session: Session, directory: Path, key: Path, passphrase_file: str | None, *, trust_file: Path | None
) -> None:
    """Sign a contract, as the one who gets the data.

    DIRECTORY is what the holder has sent. It needs no workspace. Send acceptance.json back.

    \b
    Example:
      pathcurate product accept sent --key keys/recipient.pem --passphrase-file recipient.pass
    """
    from pathcurate.receiving.accepting import accept
    from pathcurate.terminaltext import visible
    from pathcurate.trustfile import load_trust

    trust = load_trust(trust_file) if trust_file is not None else None
    accepted = accept(directory, _signer(key, passphrase_file), now=session.now, trust=trust)
    made, price = accepted.agreement, accepted.agreement.price
    cost = f"{price.amount} {price.currency} per {price.unit}" if price is not None else "nothing"
    session.show(
        {"contract": made.contract, "file": str(accepted.file), "is_new": accepted.is_new, "agreement": made.as_dict(),
         "signed_by": list(accepted.signed_by)},
        [f"contract {made.contract} ({visible(made.number)}) is signed" + ("" if accepted.is_new else ", as it was before"),
         f"  {made.product} {made.version}, {made.release_digest}",
         f"  {made.period.first} to {made.period.last}, {cost}; withdrawn data is deleted within {made.deletion_days} days",
         f"  signed for {visible(made.holder)} by {', '.join(visible(name) for name in accepted.signed_by)}"
         + ("" if trust is not None else ", whose keys only the terms themselves name"),
         f"  send {accepted.file} to the holder"],
    )  # fmt: skip


@click.command("activate")
@click.argument("contract")
@click.option("--acceptance", type=_FILE, help="What the recipient has signed (acceptance.json).")
@common_options
def activate_command(session: Session, contract: str, acceptance: Path | None) -> None:
    """Bring a contract into force: its recipient has signed.

    CONTRACT is its id, or PRODUCT-RECIPIENT where that is one alone. Without --acceptance one that was suspended with its
    release goes on.

    \b
    Example:
      pathcurate product activate demo_he_2023-my_lab --acceptance sent/acceptance.json
    """
    from pathcurate.agreements import read_signed
    from pathcurate.product.contracts import activate, find_contract, go_on

    content = read_signed(acceptance) if acceptance is not None else None
    with desk_of(session, "product activate") as desk:
        found = find_contract(desk, contract)
        made = activate(desk, found, content) if content is not None else go_on(desk, found)
    _show(session, made)


@click.command("terminate")
@click.argument("contract")
@reason_option
@common_options
def terminate_command(session: Session, contract: str, reason: str) -> None:
    """End a contract: what was delivered is to be destroyed.

    CONTRACT is its id, or PRODUCT-RECIPIENT where that is one alone.

    \b
    Example:
      pathcurate product terminate demo_he_2023-my_lab --reason "the project has ended"
    """
    import shutil

    from pathcurate.product.contracts import end, find_contract

    with desk_of(session, "product terminate") as desk:
        made = end(desk, find_contract(desk, contract), reason)
        for one in made.also:
            # What was prepared for deliveries that are over holds copies of slides.
            shutil.rmtree(desk.workspace.root / "deliveries" / one.id, ignore_errors=True)
    _show(session, made)


@click.command("contracts")
@click.argument("contract", required=False)
@common_options
def contracts_command(session: Session, contract: str | None) -> int:
    """List contracts, or show one and what it lacks.

    CONTRACT is its id, or PRODUCT-RECIPIENT where that is one alone. Exit code 4 if its papers were changed.

    \b
    Example:
      pathcurate product contracts
    """
    from pathcurate.model.lifecycle import Machine
    from pathcurate.product.contractstanding import is_over

    if contract is not None:
        return _show_one(session, contract)
    with reading_desk(session) as desk:
        found = [(one, "expired" if is_over(one, desk.today) else one.state)
                 for one in desk.registry.subjects(Machine.CONTRACT)]  # fmt: skip
    session.show(
        {"contracts": [{**_document(one), "state": state} for one, state in found]},
        [f"{one.id:<48} {state:<12} {one.facts.get('valid_until', ''):<11} {_told(one.facts.get('number', ''))}".rstrip()
         for one, state in found] or ["nobody has applied yet; `pathcurate product apply RELEASE` enters an application"],
    )  # fmt: skip
    return 0


def _show_one(session: Session, name: str) -> int:
    from dataclasses import asdict

    from pathcurate.lifecycle import state_words
    from pathcurate.model.lifecycle import Machine
    from pathcurate.product.contracts import find_contract
    from pathcurate.product.contractstanding import standing_of

    with reading_desk(session) as desk:
        one = standing_of(desk, find_contract(desk, name))
    held, facts = one.contract, one.contract.facts
    state = "expired" if one.is_over else held.state
    zh, en = state_words(Machine.CONTRACT, state)
    lines = [f"{held.id}: {_told(facts['party'])}", f"  state    {state} ({zh}, {en})", f"  release  {held.parent}",
             f"           {facts['release_digest']}"]  # fmt: skip
    if "number" in facts:
        lines.append(f"  contract {_told(facts['number'])}, {facts['valid_from']} to {facts['valid_until']}")
    for kind, fact in (("approved", "approvals"), ("signed", "signatures")):
        lines += [f"  {kind:<8} as {signed['role']} by {signed['name']}" for signed in facts.get(fact, ())]
    if facts.get("accepted") is not None:
        lines.append(f"  accepted by the recipient on {facts['accepted']['signed_on']}")
    if one.match is not None:
        lines += _match_lines(one.match)
    if one.next:
        lines.append(f"  next: {one.next}" + (", which still needs" if one.lacks else ""))
        lines += [line for lack in one.lacks for line in (f"    - {lack.what}", f"      {lack.how}")]
    lines += [f"  wrong: {fault}" for fault in one.faults]
    session.show(
        {**_document(held), "state": state, "next": one.next, "lacks": [asdict(lack) for lack in one.lacks],
         "match": one.match.as_dict() if one.match is not None else None, "faults": list(one.faults)},
        lines,
    )  # fmt: skip
    return 4 if one.faults else 0


# --- What they share ---------------------------------------------------------------------------------------------


def _signer(key: Path, passphrase_file: str | None) -> "Signer":
    signer = signer_of(key, passphrase_file)
    if signer is None:
        raise click.MissingParameter(param_hint="'--key'", param_type="option")
    return signer


def _price(text: str | None) -> "Price | None":
    from pydantic import ValidationError

    from pathcurate.model.productfile import Price

    if text is None:
        return None
    parts = text.split()
    try:
        amount, currency, unit = parts
        return Price.model_validate({"amount": amount, "currency": currency, "unit": unit})
    except (ValueError, ValidationError):
        raise click.BadParameter(
            'is an amount, a currency and a unit, such as "1.50 CNY slide"', param_hint="'--price'"
        ) from None


def _told(text: Any) -> str:
    from pathcurate.terminaltext import visible

    return visible(str(text))


def _document(one: "Subject") -> dict[str, Any]:
    return {
        "contract": one.id, "state": one.state, "product": one.product, "version": one.version, "opened_at": one.opened_at,
        "facts": dict(one.facts),
    }  # fmt: skip


def _match_lines(match: "UseMatch") -> Iterator[str]:
    from pathcurate.model.usematch import ANSWER_ZH

    yield f"  use and policy: {match.answer} ({ANSWER_ZH[match.answer]})"
    for one in match.terms:
        yield f"    {one.answer:<14} {one.label} ({one.zh}): {one.why}"


def _show(session: Session, made: "Advanced", more: Iterable[str] = ()) -> None:
    from dataclasses import asdict

    from pathcurate.lifecycle import state_words
    from pathcurate.model.lifecycle import Machine

    one = made.contract
    zh, en = state_words(Machine.CONTRACT, one.state)
    lines = [f"contract {one.id} is {one.state} ({zh}, {en})" + ("" if made.is_new else ", as it was before")]
    lines += [f"  with it, {other.machine} {other.id} is {other.state}" for other in made.also]
    if made.match is not None:
        lines += _match_lines(made.match)
    lines += more
    lacks = made.lacks or {}
    lines += [f"  still to sign: {number} as {role}" for role, number in lacks.items()]
    session.show(
        {**_document(one), "is_new": made.is_new, "match": made.match.as_dict() if made.match is not None else None,
         "lacks": dict(lacks), "also": [asdict(other) for other in made.also]},
        lines,
    )  # fmt: skip

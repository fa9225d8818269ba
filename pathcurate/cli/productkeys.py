"""``pathcurate product keys``, and the passphrase of a key."""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.model.trust import Command, Role, Trust, TrustedSigner

_MOST_BYTES = 4096


@click.group("keys")
def command() -> None:
    """Make keys that sign products, list and retire them."""


@command.command("new")
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(["steward", "compliance", "registry"]),
    help="In which role the person signs; may be given several times.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the private key, outside the workspace.",
)
@click.option("--passphrase-file", metavar="FILE", help="File of mode 0600 with the passphrase, or - for standard input.")
@click.option("--until", metavar="DAY", help="Last day on which the key signs, as 2027-12-31.")
@common_options
def new_command(
    session: Session, name: str, *, roles: tuple[Any, ...], out: Path, passphrase_file: str | None, until: str | None
) -> None:
    """Make a key for a person, and let its signatures count.

    The private key goes to --out, encrypted under a passphrase that is asked for twice; only its owner should have it. The
    public key goes to the end of trust.yaml. Days are those of UTC.

    \b
    Example:
      pathcurate product keys new "Li Hua" --role steward --out ../li-hua.pem --passphrase-file ../li-hua.pass
    """
    from base64 import b64encode

    from pathcurate.errors import UsageError
    from pathcurate.model.trust import TrustedSigner
    from pathcurate.signing import new_key
    from pathcurate.trustfile import add_signer, load_trust, trust_path

    with session.locked("product keys new") as workspace:
        file = trust_path(workspace.root)
        # All that could keep the key from being entered is told before it is made.
        if file.exists():
            load_trust(file)
        since, last = _today(session), _day(until)
        _check(name, since, last)
        if out.absolute().resolve().is_relative_to(workspace.root.resolve()):
            raise UsageError(
                "the private key would lie in the workspace, whose files others can read and copy",
                "Give --out in a folder of the key's owner.",
            )
        key = new_key(out, passphrase(passphrase_file, is_new=True))
        signer = TrustedSigner(
            name=name, roles=tuple(dict.fromkeys(roles)), scheme=key.scheme, public=b64encode(key.public).decode(),
            since=since, until=last,
        )  # fmt: skip
        trust = add_signer(file, signer)
    session.show(
        _facts(signer, signer.since),
        [f"{signer.name} signs as {' and '.join(signer.roles)} from {signer.since} on",
         f"  key id   {signer.keyid}", f"  private  {out}", f"  public   {file}",
         f"{counted(len(trust.signers), 'key')} in {file.name}; hand its copy, and the key id, to whoever checks releases"],
    )  # fmt: skip


@command.command("recipient")
@click.option("--out-dir", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="Folder for both private keys.")  # fmt: skip
@click.option("--passphrase-file", metavar="FILE", help="File of mode 0600 with the passphrase, or - for standard input.")
@common_options
def recipient_command(session: Session, *, out_dir: Path, passphrase_file: str | None) -> None:
    """Make the two keys of a recipient.

    A recipient is somebody who applies for data. recipient.pem signs receipts and statements; recipient.age opens what is
    delivered. Both are encrypted under a passphrase that is asked for twice. What is printed goes into application.yaml. No
    workspace is needed.

    \b
    Example:
      pathcurate product keys recipient --out-dir keys --passphrase-file recipient.pass
    """
    from pathcurate.recipientkeys import IDENTITY_FILE, SIGNING_FILE, new_recipient_keys

    keys = new_recipient_keys(out_dir.absolute(), passphrase(passphrase_file, is_new=True))
    files = [out_dir / SIGNING_FILE, out_dir / IDENTITY_FILE]
    session.show(
        {"keys": keys.model_dump(mode="json"), "files": [str(one) for one in files]},
        ["keys:", f"  signing: {keys.signing}", f"  encryption: {keys.encryption}",
         f"# These lines go into application.yaml. The private keys are {files[0]} and {files[1]}:",
         "# keep copies of both; nobody else can open what is delivered."],
    )  # fmt: skip


@command.command("list")
@common_options
def list_command(session: Session) -> None:
    """List whose signatures count, and how many each step needs.

    \b
    Example:
      pathcurate product keys list
    """
    from typing import get_args

    from pathcurate.model.trust import Command
    from pathcurate.trustfile import load_trust, trust_path

    trust, today = load_trust(trust_path(session.workspace().root)), _today(session)
    needs: dict[Command, Mapping[Role, int]] = {
        name: dict(trust.needs(name)) for name in get_args(Command) if trust.needs(name)
    }
    session.show(
        {"signers": [_facts(one, today) for one in trust.signers], "thresholds": needs}, _list_lines(trust, needs, today)
    )


@command.command("retire")
@click.argument("name")
@click.option("--on", "day", metavar="DAY", help="Day from which its signatures no longer count; today if not given.")
@common_options
def retire_command(session: Session, name: str, *, day: str | None) -> None:
    """Let a key's signatures no longer count, from a day on.

    NAME is a person with one key in use, or a key id (its first 8 characters are enough). What was signed before the day
    stays good; nothing that says it was signed on that day or later does. Days are those of UTC.

    \b
    Example:
      pathcurate product keys retire "Li Hua"
    """
    from pathcurate.trustfile import load_trust, retire_signer, trust_path

    with session.locked("product keys retire") as workspace:
        file = trust_path(workspace.root)
        before = load_trust(file)
        on = _day(day) or _today(session)
        trust = retire_signer(file, name, on)
    changed = [after for old, after in zip(before.signers, trust.signers, strict=True) if old != after]
    session.show(
        {"retired": [_facts(one, on) for one in changed]},
        [f"{one.name} signs no longer with key {one.keyid[:16]}: what was signed before {on} stays good" for one in changed]
        or [f"that key is retired from {on} on already"],
    )


def passphrase(file: str | None, *, is_new: bool = False) -> str:
    """The passphrase of a private key: from a file, from standard input (``-``), or typed on the terminal.

    Args:
        file: what ``--passphrase-file`` gave.
        is_new: ask twice.

    Raises:
        UsageError: there is neither a file nor a terminal.
        VaultError: the file is open to others, or does not hold one line of text.
    """
    from pathcurate.errors import UsageError
    from pathcurate.signing import passphrase_of, read_passphrase

    if file == "-":
        return passphrase_of(sys.stdin.buffer.readline(_MOST_BYTES))
    if file is not None:
        return read_passphrase(Path(file))
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for the passphrase",
            "Give --passphrase-file with a file that only you can read (mode 0600), or - for standard input.",
        )
    typed: str = click.prompt("Passphrase of the key", hide_input=True, confirmation_prompt=is_new, err=True)
    return typed


def _today(session: Session) -> date:
    # Statements say in UTC when they were signed, so keys count by days of UTC.
    return session.now.astimezone(UTC).date()


def _check(name: str, since: date, until: date | None) -> None:
    from pathcurate.errors import UsageError
    from pathcurate.model.trust import MOST_NAME
    from pathcurate.model.waiver import is_plain

    if not is_plain(name) or name != name.strip() or len(name) > MOST_NAME:
        raise UsageError(f"NAME is not one line of text of up to {MOST_NAME} characters", "Give the name of the person.")
    if until is not None and until < since:
        raise UsageError("--until is in the past", "Give a day to come, or leave it out.")


def _day(text: str | None) -> date | None:
    from pathcurate.errors import UsageError

    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise UsageError(f"`{text}` is no day", "Write it as 2027-12-31.") from None


def _facts(signer: "TrustedSigner", today: date) -> dict[str, Any]:
    return {**signer.model_dump(mode="json"), "keyid": signer.keyid, "counts": signer.fault_on(today) is None}


def _list_lines(trust: "Trust", needs: "Mapping[Command, Mapping[Role, int]]", today: date) -> Iterator[str]:
    if not trust.signers:
        yield "nobody's signature counts yet; `pathcurate product keys new` makes a key"
    for one in trust.signers:
        ends = f"retired {one.retired}" if one.retired else f"until {one.until}" if one.until else ""
        state = "counts" if one.fault_on(today) is None else "does not count"
        yield f"{one.keyid[:16]}  {state:<14}  since {one.since}  {ends:<18}  {', '.join(one.roles):<20}  {one.name}"
    for name, roles in needs.items():
        yield f"{name} needs " + " and ".join(f"{counted(number, role)}" for role, number in roles.items())

"""What the verbs of ``pathcurate product`` share: the desk, the release that is meant, and keys to sign with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.session import Session

if TYPE_CHECKING:
    from pathcurate.model.product import Entry
    from pathcurate.model.registration import TestResult
    from pathcurate.product import Moved
    from pathcurate.product.desk import Desk
    from pathcurate.signing import Signer

key_option = click.option(
    "--key", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key to sign with, an encrypted PKCS#8 file.",
)  # fmt: skip
passphrase_option = click.option(
    "--passphrase-file", metavar="FILE",
    help="File of mode 0600 with the key's passphrase, or - for standard input; else you are asked.",
)  # fmt: skip
reason_option = click.option("--reason", required=True, help="Why, in a sentence; it is kept in the history.")


@contextmanager
def desk_of(session: Session, command: str) -> "Iterator[Desk]":
    """The workspace, held by this run alone, and its registry."""
    from pathcurate.product.desk import Desk

    with session.locked(command) as workspace, session.registry(workspace) as registry:
        yield Desk(workspace, registry, session.actor, session.now)


@contextmanager
def reading_desk(session: Session) -> "Iterator[Desk]":
    """The workspace's registry, to look into."""
    from pathcurate.product.desk import Desk

    workspace = session.workspace()
    with session.registry(workspace) as registry:
        yield Desk(workspace, registry, session.actor, session.now)


def directory_of(desk: "Desk", release: str) -> Path:
    """The directory that a user means."""
    from pathcurate.releases import find_release

    return find_release(desk.workspace.releases, release, Path.cwd())


def entry_of(desk: "Desk", product: str) -> "Entry":
    """The entry that a user means: ``NAME@VERSION``, or ``NAME`` for its highest version; its directory may be gone.

    Raises:
        UsageError: it is not registered.
    """
    from pathcurate.errors import UsageError
    from pathcurate.releases import version_key
    from pathcurate.yamlsource import did_you_mean

    name, _, version = product.partition("@")
    entries = desk.registry.list()
    found = [entry for entry in entries if entry.product == name and version in ("", entry.version)]
    if not found:
        guess = did_you_mean(product, [entry.id for entry in entries])
        raise UsageError(f"`{product}` is not registered{guess}", "`pathcurate product list` shows what is.")
    return max(found, key=lambda entry: version_key(entry.version))


def signer_of(key: Path | None, passphrase_file: str | None) -> "Signer | None":
    """The key to sign with, if one is given."""
    if key is None:
        return None
    from pathcurate.cli.productkeys import passphrase
    from pathcurate.signing import load_key

    return load_key(key, passphrase(passphrase_file))


def tested(directory: Path) -> "TestResult":
    """What ``validate`` says of a release, as the registry keeps it."""
    import os
    from datetime import UTC, datetime

    from pathcurate import __version__
    from pathcurate.model.finding import Severity
    from pathcurate.model.registration import TestResult
    from pathcurate.model.validationrules import RULES
    from pathcurate.validate import Choice, validate

    today = datetime.now(UTC).astimezone().date()
    result = validate(directory, Choice(today=today, workers=os.cpu_count() or 1))
    outcomes = result.outcomes(RULES.values())
    code = result.exit_code("error", RULES)
    failed = [one.rule.id for one in outcomes if any(found.severity is Severity.ERROR for found in one.findings)]
    passed = [one.rule.id for one in outcomes if one.is_passed]
    warned = [one.rule.id for one in outcomes if one.rule.id not in {*failed, *passed}]
    return TestResult(tuple(passed), tuple(warned), tuple(failed), code, __version__)


def show_moved(session: Session, moved: "Moved", more: Sequence[str] = (), **document: Any) -> None:
    """Say where a release stands now, what else was moved, and what the next step lacks."""
    from dataclasses import asdict

    from pathcurate.lifecycle import state_words
    from pathcurate.model.lifecycle import Machine

    entry = moved.entry
    zh, en = state_words(Machine.RELEASE, entry.state)
    before = "" if moved.is_new else ", as it was before"
    lines = [f"{entry.product} {entry.version} is {entry.state} ({zh}, {en}){before}"]
    lines += [f"  with it, {one.machine} {one.id} is {one.state}" for one in moved.also]
    lines += more
    if moved.lacks:
        lines.append("  still needed before it is cleared:")
        lines += [line for lack in moved.lacks for line in (f"  - {lack.what}", f"    {lack.how}")]
    session.show(
        {**entry.as_dict(), "is_new": moved.is_new, "also": [asdict(one) for one in moved.also],
         "lacks": [asdict(one) for one in moved.lacks], **document},
        lines,
    )  # fmt: skip

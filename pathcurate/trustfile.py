"""Reads ``trust.yaml`` and edits it as text, so that people's comments stay: see :mod:`pathcurate.model.trust`."""

import json
import re
import stat
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from pathcurate import yamlsource
from pathcurate.errors import UsageError, VaultError
from pathcurate.model.filerule import folded
from pathcurate.model.trust import LANGUAGE, Trust, TrustedSigner
from pathcurate.storage import write_bytes
from pathcurate.yamlsource import Document

TRUST_FILE = "trust.yaml"
_HEAD = """\
# Whose signatures count for the products of this workspace. Public keys only: this file may be handed on, and whoever
# checks a release needs a copy that they trust. Private keys stay with their owners, outside the workspace.
# `pathcurate product keys new|list|retire` edits it; your comments stay.
trust: 1
# How many persons of each role must sign before a step (sign, submit, receipt, offer). A person counts
# once, whatever their keys, and fills one role. Steps that are not named have these:
# thresholds:
#   sign: {steward: 1, compliance: 1}
#   receipt: {compliance: 1}
# Keys are added at the end. Never remove one that has signed: retire it, and what it signed before stays good.
signers:
"""
_LEAST_KEY_ID = 8


def trust_path(root: Path) -> Path:
    """Where a workspace says whose signatures count."""
    return root / TRUST_FILE


def load_trust(file: Path) -> Trust:
    """Read whose signatures count.

    Raises:
        UsageError: there is no such file, it cannot be read or is not of its form; every fault is named with its place.
        VaultError: everybody may write to it.
    """
    return _loaded(file)[2]


def add_signer(file: Path, signer: TrustedSigner) -> Trust:
    """Enter a key at the end of the file, which is made if it is missing; what the file says then.

    Args:
        file: ``trust.yaml``; the caller holds the lock on the workspace.
        signer: the key and its owner.

    Raises:
        UsageError: the file is not of its form, has the key already, or is written in a way to which nothing can be
            appended: then the message shows what to enter by hand.
        VaultError: everybody may write to it.
    """
    if not file.exists():
        text, before, indent = _HEAD, Trust(trust=LANGUAGE), "  "
    else:
        text, document, before = _loaded(file)
        indent = _indent(document)
        if (other := before.signer(signer.keyid)) is not None:
            raise UsageError(f"{file.name} has this key already, as one of {other.name}", "Nothing was changed.")
        if "signers" not in document.data:
            text = f"{_ended(text)}signers:{_line_end(text)}"
    block = _block(signer)
    meant = before.model_copy(update={"signers": (*before.signers, signer)})
    added = "".join(f"{indent}{line}{_line_end(text)}" for line in block)
    return _replace(file, (_ended(text) + added,), meant, "\n".join(f"  {line}" for line in block))


def retire_signer(file: Path, name_or_keyid: str, day: date) -> Trust:
    """Say at a key's entry that no signature of this day or later counts; what the file says then.

    A key that is retired already can only be retired from an earlier day: later, what was refused would count.

    Args:
        file: ``trust.yaml``; the caller holds the lock on the workspace.
        name_or_keyid: a person with one key in use, or a key id or how it begins (8 characters or more).
        day: in UTC.

    Raises:
        UsageError: no key or several are meant, the day is before the key's first or after the one that stands, the file is
            not of its form, or is written in a way that cannot be edited: then the message shows what to enter by hand.
        VaultError: everybody may write to it.
    """
    text, document, before = _loaded(file)
    number = _meant(before, name_or_keyid, file.name)
    signer = before.signers[number]
    if day < signer.since:
        raise UsageError(f"the key counts from {signer.since} on, which is after {day}", "Give a later day with --on.")
    if signer.retired is not None and day > signer.retired:
        raise UsageError(
            f"the key is retired since {signer.retired}; what it signed later was refused and stays so",
            "Nothing was changed; only an earlier day can be given.",
        )
    if signer.retired == day:
        return before
    signers = list(before.signers)
    signers[number] = signer.model_copy(update={"retired": day})
    meant = before.model_copy(update={"signers": tuple(signers)})
    by_hand = f"  retired: {day}   # at the signer of key {signer.keyid[:16]}…"
    return _replace(file, _retired(text, document, number, day), meant, by_hand)


def _meant(trust: Trust, wanted: str, name: str) -> int:
    """The place of the one key that is meant."""
    by_id = [
        number for number, one in enumerate(trust.signers)
        if len(wanted) >= _LEAST_KEY_ID and one.keyid.startswith(wanted.lower())
    ]  # fmt: skip
    by_name = [number for number, one in enumerate(trust.signers) if one.person == folded(wanted)]
    in_use = [number for number in by_name if trust.signers[number].retired is None]
    found = by_id or in_use or by_name
    if len(found) == 1:
        return found[0]
    if not found:
        guess = yamlsource.did_you_mean(wanted, [one.name for one in trust.signers])
        raise UsageError(f"{name} has no such signer or key{guess}", "`pathcurate product keys list` shows them.")
    listed = ", ".join(f"{trust.signers[number].keyid[:16]}" for number in found)
    raise UsageError(f"several keys are meant: {listed}", "Give the id of one of them, or how it begins.")


# --- Text --------------------------------------------------------------------------------------------------------


def _loaded(file: Path) -> tuple[str, Document, Trust]:
    """The file as text, as YAML, and what it says."""
    if not file.is_file():
        raise UsageError(
            f"no {file.name}: nobody's signature counts yet",
            "`pathcurate product keys new NAME --role ROLE --out FILE` makes a key and enters it.",
        )
    content = yamlsource.read(file, file.name, UsageError)
    if stat.S_IMODE(file.stat().st_mode) & stat.S_IWOTH:
        raise VaultError(
            f"every user of this machine can write to {file.name}",
            f"Run `chmod o-w {file.name}`, and check each key in it with its owner.",
        )
    document, trust = _parse(content, file.name)
    return content.decode(), document, trust


def _parse(content: bytes, name: str) -> tuple[Document, Trust]:
    document = yamlsource.load(content, name, UsageError)
    return document, yamlsource.validate(document, Trust, UsageError)


def _block(signer: TrustedSigner) -> list[str]:
    words: dict[str, Any] = signer.model_dump(exclude_none=True)
    # A JSON text is one of YAML too, also where the name alone would be a number or `no`.
    words |= {"name": json.dumps(signer.name, ensure_ascii=False), "roles": f"[{', '.join(signer.roles)}]"}
    return [f"{'  ' if number else '- '}{key}: {value}" for number, (key, value) in enumerate(words.items())]


def _indent(document: Document) -> str:
    """What stands before the dash of the first signer."""
    line, column = document.position(("signers", 0))
    found = re.match(r"( *)- *$", document.lines[line - 1][: column - 1])
    return found[1] if found else "  "


def _retired(text: str, document: Document, number: int, day: date) -> Iterator[str]:
    """The text with the day at a signer's entry, in each way in which the entry may be written."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    path = ("signers", number)
    if "retired" in document.data["signers"][number]:
        line, column = document.position((*path, "retired"))
        head, tail = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
        yield mark + "".join((*lines[: line - 1], head + re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(day), tail, count=1),
                              *lines[line:]))  # fmt: skip
        return
    line, column = document.position((*path, "since"))
    _, key_column = document.position((*path, "since"), key=True)
    end = _line_end(text)
    block = [*lines[: line - 1], _ended(lines[line - 1], end), f"{' ' * (key_column - 1)}retired: {day}{end}", *lines[line:]]
    yield mark + "".join(block)
    head, tail = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
    inline = re.sub(r"^(\"?'?[0-9]{4}-[0-9]{2}-[0-9]{2}\"?'?)", rf"\1, retired: {day}", tail)
    yield mark + "".join((*lines[: line - 1], head + inline, *lines[line:]))


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _ended(text: str, end: str = "") -> str:
    return text if text.endswith(("\n", "\r")) else text + (end or _line_end(text))


def _replace(file: Path, candidates: tuple[str, ...] | Iterator[str], meant: Trust, by_hand: str) -> Trust:
    """Write the first text that says what is meant."""
    for text in candidates:
        try:
            _, found = _parse(text.encode(), file.name)
        except UsageError:
            continue
        if found == meant:
            write_bytes(file.resolve(), text.encode(), 0o644)
            return found
    raise UsageError(
        f"{file.name} is written in a way that cannot be edited here; nothing was changed",
        f"`signers` must stand last, one key below the other. Enter this there by hand:\n{by_hand}",
    )

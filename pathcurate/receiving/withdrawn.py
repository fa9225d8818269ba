"""A recipient's copy of a delivery, and whether it holds what was withdrawn; no workspace, registry or vault is asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathcurate.checksums import parse_checksums
from pathcurate.digests import open_regular, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.agreement import AGREEMENT_FILE, Agreement
from pathcurate.model.attestation import DELIVERY, Envelope
from pathcurate.model.delivery import CONTENTS_LIST, DELIVERY_FILE, DELIVERY_SIGNED, DeliveryDocument
from pathcurate.model.feed import FEED_FILE
from pathcurate.model.trust import LANGUAGE, Trust
from pathcurate.signing import verify
from pathcurate.withdrawals.feed import Feed, demand_following, read_signed_feed
from pathcurate.withdrawals.stale import Stale, demand_none, find_stale, is_table

DELIVERED_LIST = "manifest-sha256.delivered.txt"
"""The list of files as it was delivered, beside the one of what is left."""
PURGED_FILE = "PURGED.json"
"""Says which withdrawals a copy honours."""
STAGE, READY = ".purging", "ready"
"""Where what a copy is to be is prepared, and the file there that says that it is whole."""
HINT = "Get the delivery again with `pathcurate product receive`."
_MOST = 1 << 28


@dataclass(frozen=True, slots=True)
class Copy:
    """A recipient's copy of a delivery.

    Attributes:
        directory: where it lies.
        document: what the delivery says of itself.
        trust: whose signatures on feeds count.
        delivered: every file that was delivered to its digest, ``sha256:`` and 64 digits.
        listed: those that are left.
        seq: number of the last withdrawal that it honours.
        head: digest of that one; None if that is not known.
        is_destroyed: whether all of it was deleted.
    """

    directory: Path
    document: DeliveryDocument
    trust: Trust
    delivered: Mapping[str, str]
    listed: Mapping[str, str]
    seq: int
    head: str | None
    is_destroyed: bool


def read_copy(directory: Path, trust: Trust | None = None) -> Copy:
    """A received delivery, with its lists checked against what was signed; its files are not read.

    Args:
        directory: as ``product receive`` made it.
        trust: whose signatures count; without it, those of the holder that the agreement in the directory names.

    Raises:
        DigestMismatchError: its documents or lists were changed, or nobody who counts has signed it.
        InputOutputError: it is no received delivery, or cannot be read.
    """
    content = read_file(directory / DELIVERY_FILE)
    agreed = read_file(directory / AGREEMENT_FILE)
    try:
        document = DeliveryDocument.model_validate_json(content)
        agreement = Agreement.model_validate_json(agreed)
    except ValueError:
        raise InputOutputError(f"{DELIVERY_FILE} or {AGREEMENT_FILE} is not of its form", HINT) from None
    if sha256_text(agreed) != document.agreement or agreement.contract != document.contract:
        raise DigestMismatchError(f"{AGREEMENT_FILE} is not the agreement that the delivery is under", HINT)
    trust = trust or Trust(trust=LANGUAGE, signers=agreement.holder_keys)
    demand_signed(read_file(directory / DELIVERY_SIGNED), content, trust)
    present = read_file(directory / CONTENTS_LIST)
    kept = directory / DELIVERED_LIST
    original = read_file(kept) if kept.exists() else present
    if sha256_text(original) != document.contents_sha256:
        raise DigestMismatchError("the list of delivered files was changed", HINT)
    delivered, listed = (parsed_list(one) for one in (original, present))
    said = _purged(directory)
    if said is None:
        # A purge that was cut off before it said so has replaced nothing that it does not replace again.
        is_clean = original == present or (directory / STAGE / READY).exists()
        if not is_clean:
            raise DigestMismatchError("the list of files is not the one that was delivered", HINT)
        return Copy(directory, document, trust, delivered, listed, document.withdrawals, None, is_destroyed=False)
    may_differ = {path for path in delivered if is_table(path)}
    is_less = listed.keys() <= delivered.keys() and all(
        delivered[path] == digest for path, digest in listed.items() if path not in may_differ
    )
    if not is_less:
        raise DigestMismatchError("the list of files holds others than were delivered", HINT)
    return Copy(directory, document, trust, delivered, listed, said["seq"], said["head"], is_destroyed=said["whole"])


def read_feed_of(copy: Copy, feed: Path) -> Feed:
    """The feed of a copy's contract, which may not be older than what the copy honours.

    Args:
        copy: the copy.
        feed: its file (``withdrawals.jsonl``) or the directory that it lies in; the signed head lies beside.

    Raises:
        DigestMismatchError: it is broken, forged, of another contract, or an old one.
        InputOutputError: it is missing.
    """
    found = read_signed_feed(
        feed / FEED_FILE if feed.is_dir() else feed, copy.trust,
        product=copy.document.product, contract=copy.document.contract,
    )  # fmt: skip
    demand_following(found, copy.seq, copy.head)
    return found


def verify_withdrawals(directory: Path, feed: Path, trust: Trust | None = None) -> Stale:
    """Refuse a copy that holds what was withdrawn; what the feed says, if it holds nothing of it.

    Raises:
        DigestMismatchError: it is stale: the message counts rows by table, and files; or see :func:`read_feed_of`.
        InputOutputError: something cannot be read.
    """
    copy = read_copy(directory, trust)
    stale = find_stale(directory, copy.delivered, read_feed_of(copy, feed))
    demand_none(stale, f"delivery {copy.document.delivery}")
    return stale


def read_file(path: Path) -> bytes:
    """A document of a copy.

    Raises:
        InputOutputError: it cannot be read, is no plain file or too large.
    """
    try:
        with open(path, "rb", opener=open_regular) as file:
            content = file.read(_MOST + 1)
    except OSError as error:
        raise InputOutputError(f"{path.name} of the delivery cannot be read ({type(error).__name__})", HINT) from None
    if len(content) > _MOST:
        raise InputOutputError(f"{path.name} of the delivery is larger than {_MOST >> 20} MiB", HINT)
    return content


def demand_signed(signed: bytes, content: bytes, trust: Trust) -> None:
    """Refuse a delivery that no steward whose signature counts has signed.

    Args:
        signed: content of ``delivery.dsse.json``.
        content: of ``DELIVERY.json``.
        trust: whose signatures count.

    Raises:
        DigestMismatchError: it is signed by nobody else, or as another delivery.
    """
    envelope = Envelope.parse(signed)
    statement = envelope.statement()
    digest = sha256_text(content).removeprefix("sha256:")
    is_of_it = any((one.name, one.sha256) == (DELIVERY_FILE, digest) for one in statement.subjects)
    if statement.predicate_type != DELIVERY or not is_of_it:
        raise DigestMismatchError(f"{DELIVERY_SIGNED} is of another {DELIVERY_FILE}", HINT)
    if not any(one.fault is None and "steward" in one.roles for one in verify(envelope, trust)):
        raise DigestMismatchError("the delivery is signed by nobody whose signature counts", HINT)


def parsed_list(content: bytes) -> dict[str, str]:
    """Files of a list by path, each with its digest."""
    return parse_checksums(content)


def _purged(directory: Path) -> dict[str, Any] | None:
    path = directory / PURGED_FILE
    if not path.exists():
        return None
    try:
        said = json.loads(read_file(path))
        seq, head, contents, whole = (said[name] for name in ("seq", "head", "contents", "whole"))
        is_form = isinstance(seq, int) and isinstance(head, str | None) and isinstance(whole, bool)
    except (ValueError, KeyError, TypeError):
        is_form, contents = False, None
    if not is_form:
        raise DigestMismatchError(f"{PURGED_FILE} was changed", HINT)
    is_cut_off = (directory / STAGE / READY).exists()
    if contents != sha256_text(read_file(directory / CONTENTS_LIST)) and not is_cut_off:
        raise DigestMismatchError(f"the list of files is not the one that {PURGED_FILE} speaks of", HINT)
    return {"seq": seq, "head": head, "whole": whole}

"""Feeds of withdrawals: a chain of lines beside the signed statement of where it ends; see :mod:`pathcurate.model.feed`."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathcurate.digests import open_regular, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.attestation import MOST_BYTES as MOST_ENVELOPE
from pathcurate.model.attestation import WITHDRAWAL, Envelope, Signature, Statement, Subject, pae
from pathcurate.model.deidentified import PSEUDONYM_BODY
from pathcurate.model.feed import FEED_FILE, FIRST_PREVIOUS, FeedLine, Reason, Scope
from pathcurate.model.trust import Trust
from pathcurate.signing import Signer, sign, verify
from pathcurate.storage import sweep, write_bytes
from pathcurate.withdrawals.chain import MOST_BYTES, content_of, next_line, read_lines
from pathcurate.workspace import Workspace

CODE_COLUMNS: Mapping[str, str] = {
    "patient_id": "P", "case_id": "C", "slide_id": "S", "report_id": "R", "event_id": "E", "series_id": "I",
    "annotation_id": "A", "material_id": "M",
}  # fmt: skip
"""Columns by which a feed names rows, with the letter of their codes. A group of persons is not among them: in an earlier
release it may have held somebody else too."""
_MEMBERS = frozenset({"seq", "at", "scope", "reason", "codes", "affects", "previous", "digest"})
_RELEASE = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}@[0-9A-Za-z.+-]{1,100}")
_HINT = "Nothing that it says can be relied on; ask the holder of the data for the feed again."


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as it was read.

    Attributes:
        lines: oldest first.
        content: the bytes of its file.
    """

    lines: tuple[FeedLine, ...]
    content: bytes

    @property
    def seq(self) -> int:
        """Number of its last line; 0 if it is empty."""
        return self.lines[-1].seq if self.lines else 0

    @property
    def head(self) -> str:
        """Digest of its last line."""
        return self.lines[-1].digest if self.lines else FIRST_PREVIOUS

    def digest_at(self, seq: int) -> str | None:
        """Digest of a line, None if there is none of that number; of number 0, what the first line follows."""
        if seq == 0:
            return FIRST_PREVIOUS
        return self.lines[seq - 1].digest if 0 < seq <= len(self.lines) else None


EMPTY = Feed((), b"")


def product_feed(workspace: Workspace, name: str) -> Path:
    """Where the feed in a product's own codes lies."""
    return workspace.products / "withdrawals" / f"{name}.jsonl"


def contract_feed(workspace: Workspace, contract: str) -> Path:
    """Where the feed of a contract lies, in its recipient's codes."""
    return workspace.products / "contracts" / contract / FEED_FILE


def signed_path(file: Path) -> Path:
    """Where the signed head of a feed lies: ``withdrawals.dsse.json`` beside ``withdrawals.jsonl``."""
    return file.with_name(f"{file.name.removesuffix('.jsonl')}.dsse.json")


def read_feed(file: Path) -> Feed:
    """A feed whose chain is whole; an empty one if there is no file. Signatures are :func:`read_signed_feed`'s.

    Raises:
        DigestMismatchError: a line is missing, was changed or moved, or is cut off.
        InputOutputError: the file cannot be read, or is no plain file.
    """
    try:
        return parse_feed(_read(file, MOST_BYTES + 1))
    except FileNotFoundError:
        return EMPTY


def parse_feed(content: bytes) -> Feed:
    """:func:`read_feed` of the bytes of a file."""
    lines = read_lines(content, "the feed of withdrawals")
    for line in lines:
        if not _is_line(line):
            raise DigestMismatchError(f"line {line['seq']} of the feed of withdrawals has another form", _HINT)
    return Feed(tuple(map(_as_line, lines)), content)


def append_line(
    file: Path,
    feed: Feed,
    *,
    at: str,
    scope: Scope,
    reason: Reason,
    codes: Mapping[str, Collection[str]],
    affects: Iterable[str],
) -> Feed:
    """Add a line to a feed, and the feed as it is then. After a kill the line is there or it is not.

    Args:
        file: the feed's; the caller holds the lock on the workspace.
        feed: what the file holds.
        at: when, ISO 8601 in UTC.
        scope: of whom or what somebody has withdrawn.
        reason: why.
        codes: column of :data:`CODE_COLUMNS` to codes in the reader's layer.
        affects: releases that hold them.

    Raises:
        InputOutputError: it cannot be written.
    """
    members = {
        "at": at, "scope": str(scope), "reason": str(reason), "affects": sorted(affects),
        "codes": {name: sorted(found) for name, found in codes.items() if found},
    }  # fmt: skip
    before = [line.as_dict() for line in feed.lines]
    content = content_of([*before, next_line(before, members)])
    _write(file, content)
    return parse_feed(content)


def sign_head(file: Path, feed: Feed, says: Mapping[str, Any], signer: Signer) -> Envelope:
    """Sign where a feed ends; a statement that ends there already gets this signature too, if it has not got it.

    Args:
        file: the feed's.
        feed: what it holds.
        says: what else the statement says: whose feed it is, when it is signed (``at``), where the registry stood.
        signer: who signs.

    Raises:
        InputOutputError: it cannot be written.
    """
    path = signed_path(file)
    there = signed_head(file)
    if (
        there is not None
        and _ends(there.statement(), feed)
        and _whose(there.statement()) == (says["product"], says["contract"])
    ):
        if signer.keyid in {one.keyid for one in there.signatures}:
            return there
        added = Signature(signer.keyid, signer.sign(pae(there.payload_type, there.payload)))
        envelope = Envelope(there.payload, (*there.signatures, added))
    else:
        subject = Subject(FEED_FILE, sha256_text(feed.content).removeprefix("sha256:"))
        predicate = {**says, "seq": feed.seq, "head": feed.head}
        envelope = sign(Statement((subject,), WITHDRAWAL, predicate), [signer])
    _write(path, envelope.as_bytes())
    return envelope


def signed_head(file: Path) -> Envelope | None:
    """What is signed of where a feed ends; None if nothing that can be read is there."""
    try:
        envelope = Envelope.parse(_read(signed_path(file), 2 * MOST_ENVELOPE + 1))
        envelope.statement()
    except (FileNotFoundError, InputOutputError):
        return None
    return envelope


def read_signed_feed(file: Path, trust: Trust, *, product: str, contract: str | None) -> Feed:
    """A feed that is whole to its end, as somebody who counts has signed it.

    Args:
        file: the feed's; the signed statement lies beside it.
        trust: whose signatures count; a steward's is needed.
        product: whose releases the feed is of.
        contract: whose recipient reads it; None for the feed in the product's own codes.

    Raises:
        DigestMismatchError: a line is missing, was changed or moved; the feed goes on or ends elsewhere than was signed; the
            statement is of another feed; nobody who counts has signed it.
        InputOutputError: the feed or the statement is missing, cannot be read, or is none.
    """
    try:
        content, signed = _read(file, MOST_BYTES + 1), _read(signed_path(file), 2 * MOST_ENVELOPE + 1)
    except FileNotFoundError as error:
        raise InputOutputError(
            f"there is no {Path(str(error.filename)).name} where the feed of withdrawals is to be",
            "Two files belong together: the lines (.jsonl) and what is signed of them (.dsse.json).",
        ) from None
    feed, envelope = parse_feed(content), Envelope.parse(signed)
    statement = envelope.statement()
    if statement.predicate_type != WITHDRAWAL:
        raise DigestMismatchError("what lies beside the feed is no statement about a feed of withdrawals", _HINT)
    verified = verify(envelope, trust)
    if not any(one.fault is None and "steward" in one.roles for one in verified):
        faults = "; ".join(dict.fromkeys(one.fault or "not a steward's key" for one in verified))
        raise DigestMismatchError(f"the feed of withdrawals is signed by nobody whose signature counts ({faults})", _HINT)
    if _whose(statement) != (product, contract):
        raise DigestMismatchError("the feed of withdrawals is of another product, or of another contract", _HINT)
    if not _ends(statement, feed):
        raise DigestMismatchError(
            f"the feed of withdrawals has {feed.seq} lines, which is not where it ends by its signature", _HINT
        )
    return feed


def demand_following(feed: Feed, seq: int, head: str | None) -> None:
    """Refuse a feed that is older than one that was seen, or another one.

    Args:
        feed: the feed.
        seq: number of the last line that was seen.
        head: its digest; None if that was not kept.

    Raises:
        DigestMismatchError: it ends before that line, or has another one in its place.
    """
    found = feed.digest_at(seq)
    if found is None:
        raise DigestMismatchError(
            f"the feed of withdrawals ends with line {feed.seq}, and line {seq} was honoured already: it is an old one",
            _HINT,
        )
    if head is not None and found != head:
        raise DigestMismatchError(
            f"line {seq} of the feed of withdrawals is another one than that which was honoured", _HINT
        )


def codes_after(feed: Feed, seq: int = 0) -> dict[str, frozenset[str]]:
    """Column to the codes that lines after one name."""
    found: dict[str, set[str]] = {}
    for line in feed.lines[seq:]:
        for name, codes in line.codes.items():
            found.setdefault(name, set()).update(codes)
    return {name: frozenset(codes) for name, codes in found.items()}


def uncovered(feed: Feed, release: str, codes: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Those of some codes in a release that no line names for it."""
    covered: dict[str, set[str]] = {}
    for line in feed.lines:
        if release in line.affects:
            for name, known in line.codes.items():
                covered.setdefault(name, set()).update(known)
    left = {name: frozenset(found) - covered.get(name, set()) for name, found in codes.items()}
    return {name: found for name, found in left.items() if found}


def key_columns(names: Sequence[str]) -> list[str]:
    """Columns of a table by which a feed may name its rows."""
    return [name for name in CODE_COLUMNS if name in names]


def has_left(feed: Feed, before: str, after: str) -> bool:
    """Whether somebody of an earlier release has withdrawn and is not in a later one, by the feed of their product."""
    return any(before in line.affects and after not in line.affects for line in feed.lines)


# --- Forms -------------------------------------------------------------------------------------------------------


def _is_line(line: Mapping[str, Any]) -> bool:
    if line.keys() != _MEMBERS or not isinstance(line["at"], str):
        return False
    if line["scope"] not in [*Scope] or line["reason"] not in [*Reason]:
        return False
    codes, affects = line["codes"], line["affects"]
    if not isinstance(codes, dict) or not codes or not codes.keys() <= CODE_COLUMNS.keys():
        return False
    return _are_texts(affects, _RELEASE) and all(
        found and _are_texts(found, re.compile(f"{CODE_COLUMNS[name]}-{PSEUDONYM_BODY}")) for name, found in codes.items()
    )


def _as_line(line: Mapping[str, Any]) -> FeedLine:
    return FeedLine(**{**line, "scope": Scope(line["scope"]), "reason": Reason(line["reason"])})


def _are_texts(value: object, form: re.Pattern[str]) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and form.fullmatch(one) for one in value)


def _ends(statement: Statement, feed: Feed) -> bool:
    said = statement.predicate
    is_file = {one.sha256 for one in statement.subjects} == {sha256_text(feed.content).removeprefix("sha256:")}
    return is_file and said.get("seq") == feed.seq and said.get("head") == feed.head


def _whose(statement: Statement) -> tuple[Any, Any]:
    return statement.predicate.get("product"), statement.predicate.get("contract")


def _read(path: Path, most: int) -> bytes:
    try:
        with open(path, "rb", opener=open_regular) as file:
            return file.read(most)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputOutputError(f"{path.name} cannot be read ({type(error).__name__})", "Check its owner and mode.") from None


def _write(path: Path, content: bytes) -> None:
    try:
        sweep(path)
        write_bytes(path, content, mode=0o640)
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be written ({type(error).__name__})", "Make room, or check its folder; run it again."
        ) from None

"""A signed statement about a release: what is said (in-toto Statement v1) and who signed it (a DSSE envelope).

Sources: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and
https://github.com/secure-systems-lab/dsse/blob/master/envelope.md. An attestation comes from outside: whatever it holds
is refused unless its form is certain, before anybody's key is asked.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from pathcurate.errors import InputOutputError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

_OURS = "https://pathcurate.example/attestation/"
PRODUCT_RELEASE = f"{_OURS}product-release/v1"
"""A steward: this release is the product's version."""
COMPLIANCE_CHECK = f"{_OURS}compliance-check/v1"
"""A compliance officer: what the release rests on was looked at, and was in force."""
DEID_EVALUATION = f"{_OURS}deid-evaluation/v1"
ETHICS_APPROVAL = f"{_OURS}ethics-approval/v1"
REGISTRATION_RECEIPT = f"{_OURS}registration-receipt/v1"
APPLICATION_REVIEW = f"{_OURS}application-review/v1"
"""A steward or compliance officer: this application is approved."""
CONTRACT = f"{_OURS}contract/v1"
"""A steward, and the recipient: these are the terms."""
DELIVERY = f"{_OURS}delivery/v1"
"""A steward: this is what was delivered."""
DELIVERY_RECEIPT = f"{_OURS}delivery-receipt/v1"
"""A recipient: it has come, whole."""
DELETION = f"{_OURS}deletion/v1"
"""A recipient: what was withdrawn, or all of it, is deleted."""
WITHDRAWAL = f"{_OURS}withdrawal/v1"
"""A steward: the feed of withdrawals ends here."""
BENCHMARK_RESULT = f"{_OURS}benchmark-result/v1"
"""Whoever has scored: these predictions are worth so much on this sealed evaluation."""
BENCHMARK_UNSEALED = f"{_OURS}benchmark-unsealed/v1"
"""A steward: the labels of this sealed evaluation are open from now on."""
REGISTRY_HEAD = f"{_OURS}registry-head/v1"
"""How long the registry's chain of events was, and what its last event's digest was."""
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"

MOST_BYTES = 1 << 20
"""Of a statement. Its envelope, in which base64 makes it longer, may have twice as many."""
MOST_SUBJECTS = 1000
MOST_SIGNATURES = 32
MOST_DEPTH = 32
"""Of lists and mappings inside one another."""

_HEX = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TYPE = re.compile(r"https?://[\x21-\x7e]{1,490}")
_MOST_NAME = 500
_LARGEST_INTEGER = 2**53 - 1
_HINT = "It cannot be relied on; ask for it again from whoever signed it."


@dataclass(frozen=True, slots=True)
class Subject:
    """A file that a statement is about.

    Attributes:
        name: of the file, as ``manifest-sha256.txt``.
        sha256: of its bytes, 64 hexadecimal digits.
        sm3: of its bytes likewise (GB/T 32905-2016); None if it is not said.
    """

    name: str
    sha256: str
    sm3: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed.

    Attributes:
        subjects: what it is about.
        predicate_type: address that says which kind of statement it is.
        predicate: what it says, as JSON: text, finite numbers (integers below 2**53), booleans, None, lists, mappings. A
            copy of what was given.

    Raises:
        InputOutputError: a part has another form.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any] = field(hash=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.subjects) <= MOST_SUBJECTS:
            raise _refusal(f"a statement has 1 to {MOST_SUBJECTS} subjects")
        for subject in self.subjects:
            _check_subject(subject)
        if not _TYPE.fullmatch(self.predicate_type):
            raise _refusal("the predicate type is no address")
        if not isinstance(self.predicate, Mapping):
            raise _refusal("the predicate is no mapping")
        object.__setattr__(self, "predicate", _copied(self.predicate, 1))
        if len(self.payload()) > MOST_BYTES:
            raise _refusal(f"a statement has at most {MOST_BYTES} bytes")

    @property
    def signed_on(self) -> date | None:
        """The day, in UTC, on which it says that it was signed (``at`` of its predicate); None if it does not say."""
        at = self.predicate.get("at")
        if not isinstance(at, str) or len(at) > 40:
            return None
        try:
            moment = datetime.fromisoformat(at)
            return None if moment.tzinfo is None else moment.astimezone(UTC).date()
        except (ValueError, OverflowError):
            return None

    def as_dict(self) -> dict[str, Any]:
        """The statement as in-toto writes it."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": one.name, "digest": {"sha256": one.sha256} | ({"sm3": one.sm3} if one.sm3 else {})}
                for one in self.subjects
            ],
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        }

    def payload(self) -> bytes:
        """The bytes that are signed: JSON, the same for the same statement."""
        return _dumped(self.as_dict())

    @staticmethod
    def parse(payload: bytes) -> "Statement":
        """Read a statement. Members that in-toto does not know are passed over, as it demands; so are other digests.

        Raises:
            InputOutputError: it is too large, no JSON, ambiguous (a key twice), or not of its form.
        """
        data = _loaded(payload, MOST_BYTES, "the statement")
        if data.get("_type") != STATEMENT_TYPE:
            raise _refusal("the statement is not of in-toto's version 1")
        subjects, kind, predicate = data.get("subject"), data.get("predicateType"), data.get("predicate")
        if not isinstance(subjects, list) or not isinstance(kind, str) or not isinstance(predicate, dict):
            raise _refusal("the statement lacks its subject, its predicate type or its predicate")
        return Statement(tuple(_subject(one) for one in subjects), kind, predicate)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature.

    Attributes:
        keyid: names the key that it was made with; it is a hint, and not signed itself.
        value: bytes of the signature.
    """

    keyid: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Signed bytes and their signatures.

    Attributes:
        payload: what was signed, as it was signed; see :meth:`statement`.
        signatures: each by another key.
        payload_type: :data:`PAYLOAD_TYPE`, which is signed too.

    Raises:
        InputOutputError: a part has another form.
    """

    payload: bytes
    signatures: tuple[Signature, ...]
    payload_type: str = PAYLOAD_TYPE

    def __post_init__(self) -> None:
        if self.payload_type != PAYLOAD_TYPE:
            raise _refusal(f"the envelope's payload is not {PAYLOAD_TYPE}")
        if len(self.payload) > MOST_BYTES:
            raise _refusal(f"a statement has at most {MOST_BYTES} bytes")
        if not 1 <= len(self.signatures) <= MOST_SIGNATURES:
            raise _refusal(f"an envelope has 1 to {MOST_SIGNATURES} signatures")
        if len({one.keyid for one in self.signatures}) < len(self.signatures):
            raise _refusal("the envelope holds two signatures of one key")
        if not all(_KEY_ID.fullmatch(one.keyid) and 1 <= len(one.value) <= 1024 for one in self.signatures):
            raise _refusal("a signature, or the name of its key, has another form")

    @property
    def signed_bytes(self) -> bytes:
        """What the signatures are of."""
        return pae(self.payload_type, self.payload)

    def statement(self) -> Statement:
        """What was signed.

        Raises:
            InputOutputError: see :meth:`Statement.parse`.
        """
        return Statement.parse(self.payload)

    def as_dict(self) -> dict[str, Any]:
        """The envelope as DSSE writes it."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": one.keyid, "sig": base64.b64encode(one.value).decode()} for one in self.signatures
            ],
        }  # fmt: skip

    def as_bytes(self) -> bytes:
        """The content of its file: JSON, the same for the same envelope."""
        return _dumped(self.as_dict()) + b"\n"

    @staticmethod
    def parse(content: bytes) -> "Envelope":
        """Read an envelope; its statement is read by :meth:`statement`.

        Raises:
            InputOutputError: it is too large, no JSON, ambiguous, not of its form, or holds what no signature covers.
        """
        data = _loaded(content, 2 * MOST_BYTES, "the envelope")
        if data.keys() != {"payload", "payloadType", "signatures"}:
            raise _refusal("the envelope has other parts than payload, payloadType and signatures")
        if not isinstance(data["signatures"], list) or not isinstance(data["payloadType"], str):
            raise _refusal("the envelope's signatures are no list, or its payload type is no text")
        return Envelope(_decoded(data["payload"]), tuple(_signature(one) for one in data["signatures"]), data["payloadType"])


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's encoding of type and bytes into the one text that is signed (pre-authentication encoding, version 1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


# --- Forms -------------------------------------------------------------------------------------------------------


def _refusal(message: str) -> InputOutputError:
    return InputOutputError(message, _HINT)


def _check_subject(subject: Subject) -> None:
    if not 1 <= len(subject.name) <= _MOST_NAME or not subject.name.isprintable():
        raise _refusal("a subject's name is not one line of text")
    if not _HEX.fullmatch(subject.sha256) or not (subject.sm3 is None or _HEX.fullmatch(subject.sm3)):
        raise _refusal("a subject's digest is not 64 hexadecimal digits")


def _subject(value: object) -> Subject:
    digest = value.get("digest") if isinstance(value, dict) else None
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(digest, dict) or not isinstance(name, str):
        raise _refusal("a subject of the statement has no name or no digest")
    sha256, sm3 = digest.get("sha256"), digest.get("sm3")
    if not isinstance(sha256, str) or not isinstance(sm3, str | None):
        raise _refusal("a subject of the statement has no SHA-256, or an SM3 that is no text")
    return Subject(name, sha256, sm3)


def _signature(value: object) -> Signature:
    if not isinstance(value, dict) or value.keys() != {"keyid", "sig"} or not isinstance(value["keyid"], str):
        raise _refusal("a signature of the envelope has other parts than keyid and sig")
    return Signature(value["keyid"], _decoded(value["sig"]))


def _decoded(value: object) -> bytes:
    """Base64 of either alphabet, as DSSE demands; what decodes to the same bytes in a second way is refused."""
    if not isinstance(value, str):
        raise _refusal("a part of the envelope is not base64")
    text = value.translate({ord("-"): "+", ord("_"): "/"})
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refusal("a part of the envelope is not base64") from None
    if base64.b64encode(decoded).decode() != text:
        raise _refusal("a part of the envelope is not base64 in its one form")
    return decoded


# --- JSON --------------------------------------------------------------------------------------------------------


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _loaded(content: bytes, most: int, what: str) -> dict[str, Any]:
    """A JSON object that every reader reads alike."""
    if len(content) > most:
        raise _refusal(f"{what} is larger than {most} bytes")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise _refusal(f"{what} is not JSON in UTF-8, or is ambiguous") from None
    if not isinstance(value, dict):
        raise _refusal(f"{what} is no JSON object")
    _copied(value, 0)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _not_json(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _copied(value: object, depth: int) -> Any:
    """A deep copy in plain lists and dictionaries of what JSON can hold for certain."""
    if depth > MOST_DEPTH:
        raise _refusal(f"an attestation is nested more than {MOST_DEPTH} deep")
    match value:
        case None | bool():
            return value
        case str():
            _check_text(value)
            return value
        case int() if abs(value) <= _LARGEST_INTEGER:
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [_copied(item, depth + 1) for item in value]
        case Mapping():
            return dict(_members(value, depth))
        case _:
            raise _refusal("an attestation holds a value that JSON cannot hold for certain")


def _members(value: Mapping[Any, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if not isinstance(key, str):
            raise _refusal("an attestation holds a key that is no text")
        _check_text(key)
        yield key, _copied(item, depth + 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refusal("an attestation holds text that is not Unicode (half of a surrogate pair)") from None

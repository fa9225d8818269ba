"""Keyed pseudonyms and date offsets: pure functions of key and value, never of order or time (ISO 25237).

Layers keep what must not be joined apart: the *internal* layer is used in ``deid/``; each *product* has one of its own, and
so has each *recipient* of a product. Codes of an outer layer are made from the internal pseudonym, so that whoever computes
them sees no identifier. Date offsets are keyed by the internal code of the patient, and each is the whole way from the true
date: were a product's offset added to the internal one, its days would say something about those of other layers.

All keys come from the vault's one key by HKDF (RFC 5869), its ``info`` naming version, purpose, product and recipient: the
key of one layer tells nothing about that of another. Codes, UIDs and offsets are HMAC-SHA-256 (RFC 2104) of messages that
begin with what they are for; those of codes and UIDs have a version too, and each part after its length: the same number as
a patient's and as a case's has two codes, and no two sequences of parts make one message. Dates are moved as DICOM's option
*Retain Longitudinal Temporal Information With Modified Dates* asks, UIDs replaced as its action U asks (PS3.15 Annex E).
"""

import base64
import hashlib
import hmac
import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pathcurate.model.deidentified import PSEUDONYM_KINDS

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
Strings: TypeAlias = Any
"""A ``pa.StringArray``."""
Columnar: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"

# RFC 4648 base 32 and Crockford's alphabet have the same 5-bit digits, so one is a translation of the other.
_CROCKFORD: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TRANSLATED: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _CROCKFORD)
_DIGITS: Final = np.frombuffer(_CROCKFORD, np.uint8)
_CODE_BYTES: Final = 10
_BLOCK: Final = 64
_WEEKS: Final = 52
_FIRST_DAY, _LAST_DAY = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))
# What `str.strip` takes away of ASCII.
_SPACES: Final = "\t\n\v\f\r\x1c\x1d\x1e\x1f "
# The standard's own UIDs (PS3.6 Annex A) have short components; a longer one under its root is somebody's instance.
_WELL_KNOWN: Final = re.compile(r"1\.2\.840\.10008(?:\.[0-9]{1,5}){1,8}")


def canonical(value: str) -> str:
    """An identifier in the form that is keyed: NFKC (full-width digits become ASCII), upper case, no outer spaces."""
    return unicodedata.normalize("NFKC", value).strip().upper()


def canonical_numbers(texts: Strings) -> Strings:
    """:func:`canonical` of each."""
    plain = pc.ascii_upper(pc.utf8_trim(texts, characters=_SPACES))
    odd = pc.invert(pc.string_is_ascii(texts).fill_null(True))
    made = [canonical(text) for text in texts.filter(odd).to_pylist() if text is not None]
    return pc.replace_with_mask(plain, odd, pa.array(made, pa.string()))


def opaque_code(kind: str, digest: bytes) -> str:
    """A code of one kind from a digest: ``S-`` and 16 characters of Crockford's base 32 (80 bits).

    Two of a million random codes agree with probability 4e-13; half a chance of one collision needs 1.3e12 codes.
    """
    if kind not in PSEUDONYM_KINDS:
        raise ValueError(f"no such kind of pseudonym: {kind}")
    return f"{kind}-{base64.b32encode(digest[:_CODE_BYTES]).translate(_TRANSLATED).decode()}"


def _many_codes(kind: str, digests: Iterable[bytes]) -> Strings:
    """:func:`opaque_code` of each digest."""
    if kind not in PSEUDONYM_KINDS:
        raise ValueError(f"no such kind of pseudonym: {kind}")
    halves = np.frombuffer(b"".join(digest[:_CODE_BYTES] for digest in digests), np.uint8).reshape(-1, 5)
    bits = np.zeros(len(halves), np.uint64)
    for column in halves.T:
        bits = bits << np.uint64(8) | column
    signs = np.empty((len(bits), 8), np.uint8)
    for place in range(8):
        signs[:, place] = _DIGITS[bits >> np.uint64(35 - 5 * place) & np.uint64(31)]
    prefix = np.frombuffer(f"{kind}-".encode(), np.uint8)
    codes = np.hstack([np.broadcast_to(prefix, (len(bits) // 2, len(prefix))), signs.reshape(-1, 16)])
    offsets = np.arange(len(codes) + 1, dtype=np.int64) * codes.shape[1]
    made = pa.LargeStringArray.from_buffers(len(codes), pa.py_buffer(offsets.tobytes()), pa.py_buffer(codes.tobytes()))
    return made.cast(pa.string())


def keyed_digests(key: bytes, beginning: bytes, messages: Iterable[bytes]) -> Iterator[bytes]:
    """HMAC-SHA-256 of many messages with one key and one beginning, which are hashed once (RFC 2104 section 4)."""
    if len(key) > _BLOCK:
        raise ValueError("a key of a layer is no longer than a block of SHA-256")
    padded = key.ljust(_BLOCK, b"\0")
    begin_inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + beginning).copy
    begin_outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded)).copy
    for message in messages:
        inner, outer = begin_inner(), begin_outer()
        inner.update(message)
        outer.update(inner.digest())
        yield outer.digest()


def _parts(*parts: str) -> bytes:
    # Each part after its length, so that no two sequences of parts make one message, whatever is in them.
    return b"".join([len(part).to_bytes(4, "big") + part for part in map(str.encode, parts)])


@dataclass(frozen=True, slots=True, repr=False)
class Pseudonyms:
    """Codes of one layer. It holds key material: it has no useful ``repr`` and never leaves the process."""

    key: bytes

    def code(self, kind: str, *parts: str) -> str:
        """The pseudonym of an identifier; ``parts`` scope it (site, then number) and are kept apart unambiguously."""
        return opaque_code(kind, hmac.digest(self.key, _parts("v1", kind, *parts), "sha256"))

    def codes(self, kind: str, *columns: Iterable[str | None]) -> list[str | None]:
        """Pseudonyms of identifiers whose parts stand row by row in columns, None where a part is; each is keyed once."""
        rows = list(zip(*columns, strict=True))
        distinct = [row for row in dict.fromkeys(rows) if None not in row]
        known = dict(zip(distinct, self._many(kind, distinct).to_pylist(), strict=True))
        return [known.get(row) for row in rows]

    def _many(self, kind: str, rows: Iterable[Sequence[Any]]) -> Strings:
        return _many_codes(kind, keyed_digests(self.key, _parts("v1", kind), (_parts(*row) for row in rows)))

    def code_array(self, kind: str, values: Columnar) -> Strings:
        """:meth:`codes` of one column of Arrow's."""
        encoded = _dictionary(values)
        # As `_parts` would have it of one part, without its pieces: there are millions.
        texts = map(str.encode, encoded.dictionary.to_pylist())
        messages = (len(text).to_bytes(4, "big") + text for text in texts)
        return _many_codes(kind, keyed_digests(self.key, _parts("v1", kind), messages)).take(encoded.indices)

    def uid(self, uid: str) -> str:
        """The UID that stands for one: ``2.25.`` and a UUID as a number (PS3.5 B.2), at most 44 characters.

        The standard's own (SOP classes, transfer syntaxes) stay. A product's is made from the internal one.
        """
        bare = uid.strip(" \0")
        if not bare or _WELL_KNOWN.fullmatch(bare):
            return bare
        digest = hmac.digest(self.key, _parts("v1", "uid", bare), "sha256")
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"


def _dictionary(values: Columnar) -> Any:
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return whole.dictionary_encode()


@dataclass(frozen=True, slots=True, repr=False)
class DateShift:
    """One offset per person: 7 to 364 days, whole weeks so that the day of the week stays, one sign for the layer.

    Intervals within a person are kept. (DICOM calls the result Longitudinal Temporal Information Modified, PS3.15 E.3.6.)
    """

    key: bytes

    def days(self, person: str) -> int:
        """Offset in days from the true date, of a person (any stable identifier of theirs)."""
        return self.offsets([person])[0]

    def offsets(self, persons: Iterable[str]) -> list[int]:
        """:meth:`days` of each."""
        week = 7 if hmac.digest(self.key, b"sign", "sha256")[0] & 1 else -7
        digests = keyed_digests(self.key, b"offset\x1f", map(str.encode, persons))
        return [week * (1 + int.from_bytes(digest[:8], "big") % _WEEKS) for digest in digests]

    def shift(self, person: str, day: date | None) -> date | None:
        """The day moved by the person's offset; None stays None, and so does a day that would leave the calendar."""
        if day is None:
            return None
        try:
            return date(day.year, day.month, day.day) + timedelta(days=self.days(person))
        except OverflowError:
            return None

    def shift_array(self, persons: Columnar, days: Columnar) -> Any:
        """Days (``date32``) moved by the offset of the person beside each, who is keyed once; none without a person.

        Raises:
            ValueError: the columns are not equally long.
        """
        if len(persons) != len(days):
            raise ValueError("not as many days as persons")
        encoded = _dictionary(persons)
        offsets = pa.array(self.offsets(encoded.dictionary.to_pylist()), pa.int32()).take(encoded.indices)
        numbers = (days.combine_chunks() if isinstance(days, pa.ChunkedArray) else days).cast(pa.int32())
        moved = pc.add(numbers, offsets)
        inside = pc.and_(pc.greater_equal(moved, _FIRST_DAY), pc.less_equal(moved, _LAST_DAY))
        return pc.if_else(inside, moved, pa.scalar(None, pa.int32())).cast(pa.date32())


@dataclass(frozen=True, slots=True, repr=False)
class Layer:
    """Codes and date offsets that go together; two layers cannot be joined without the vault's key.

    What no layer hides: days between two events of a person are the same in all of them.

    Attributes:
        codes: of the internal layer from identifiers, of the others from internal pseudonyms.
        dates: offsets from the true date, by the internal code of the patient (of a slide of nobody: of the slide).
    """

    codes: Pseudonyms
    dates: DateShift


def internal(key: bytes) -> Layer:
    """The layer used in ``deid/``."""
    return Layer(Pseudonyms(_derive(key, "identifiers")), DateShift(_derive(key, "dates")))


def product(key: bytes, name: str) -> Layer:
    """The layer of one product's releases."""
    return Layer(Pseudonyms(_derive(key, f"product\x1f{name}")), DateShift(_derive(key, f"product dates\x1f{name}")))


def recipient(key: bytes, product_name: str, name: str) -> Layer:
    """The layer of what one recipient gets of one product."""
    # The first name after its length, so that no two pairs of names are one.
    names = f"{len(product_name)}\x1f{product_name}\x1f{name}"
    return Layer(Pseudonyms(_derive(key, f"recipient\x1f{names}")), DateShift(_derive(key, f"recipient dates\x1f{names}")))


def commitment_key(key: bytes, product_name: str) -> bytes:
    """The key of what a product's releases commit to; see :mod:`pathcurate.manifest.commitment`."""
    return _derive(key, f"commitments\x1f{product_name}")


def sealed_key(key: bytes, product_name: str, version: str) -> bytes:
    """The key of the labels that one version of a sealed product withholds; see :mod:`pathcurate.sealing`."""
    return _derive(key, f"sealed labels\x1f{len(product_name)}\x1f{product_name}\x1f{version}")


def moved_between(source: Layer, target: Layer, patient_code: str) -> int:
    """Days to add to a day of one layer to have it in another.

    Args:
        source: layer that the day is of.
        target: layer that it shall be of.
        patient_code: internal pseudonym of the patient, of a slide of nobody that of the slide.
    """
    return target.dates.days(patient_code) - source.dates.days(patient_code)


def moves_between(source: Layer, target: Layer, patient_codes: Columnar) -> Any:
    """:func:`moved_between` of each, as 32-bit integers; each patient is keyed once."""
    encoded = _dictionary(patient_codes)
    known = encoded.dictionary.to_pylist()
    moves = np.array(target.dates.offsets(known), np.int32) - np.array(source.dates.offsets(known), np.int32)
    return pa.array(moves, pa.int32()).take(encoded.indices)


def _derive(key: bytes, purpose: str) -> bytes:
    """An independent key for one purpose (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"pathcurate v1 {purpose}".encode()).derive(key)

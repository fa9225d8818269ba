"""DICOMDIR of a folder of copies (PS3.10 section 8, PS3.3 Annex F): patients, studies, series, instances."""

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.dicom.instances import DIRECTORY_CLASS, IMPLEMENTATION, IMPLEMENTATION_UID, Head, read_head
from pathcurate.scrubbers.dicom.rewriting import encoded
from pathcurate.scrubbers.dicom.structure import EXPLICIT, ITEM, UNDEFINED, Encoding, Window
from pathcurate.storage import LocalSource, replacing

NAME: Final = "DICOMDIR"
_PLAIN: Final = Encoding()
_FILE_ID: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_MOST_PARTS: Final = 8
_LONGEST_PART: Final = 8
_IN_USE: Final = b"\xff\xff"

# What each level of the directory tells (PS3.3 F.5), with what stands where an instance does not say.
_PATIENT: Final = ((0x0010_0010, b"PN", b"NONE"), (0x0010_0020, b"LO", b"NONE"))
_STUDY: Final = (
    (0x0008_0020, b"DA", b"19000101"), (0x0008_0030, b"TM", b"000000"), (0x0008_0050, b"SH", b""),
    (0x0008_1030, b"LO", b""), (0x0020_000D, b"UI", b""), (0x0020_0010, b"SH", b"1"),
)  # fmt: skip
_SERIES: Final = ((0x0008_0060, b"CS", b"OT"), (0x0020_000E, b"UI", b""), (0x0020_0011, b"IS", b"1"))
_INSTANCE: Final = ((0x0020_0013, b"IS", b"1"),)
_KINDS: Final = (
    ("1.2.840.10008.5.1.4.1.1.88.", b"SR DOCUMENT"), ("1.2.840.10008.5.1.4.1.1.11.", b"PRESENTATION"),
    ("1.2.840.10008.5.1.4.1.1.481.2", b"RT DOSE"), ("1.2.840.10008.5.1.4.1.1.481.3", b"RT STRUCTURE SET"),
    ("1.2.840.10008.5.1.4.1.1.481.5", b"RT PLAN"), ("1.2.840.10008.5.1.4.1.1.66.1", b"REGISTRATION"),
    ("1.2.840.10008.5.1.4.1.1.9.", b"WAVEFORM"), ("1.2.840.10008.5.1.4.1.1.66", b"RAW DATA"),
)  # fmt: skip
"""Types of directory records by the beginning of the SOP class; others are images."""


@dataclass(slots=True)
class _Record:
    """One record, with those below it by what tells them apart."""

    kind: bytes
    elements: bytes
    below: "dict[bytes, _Record]" = field(default_factory=dict)
    offset: int = 0


def write_directory(folder: Path) -> None:
    """Write DICOMDIR into a folder, over all DICOM files below it whose names may stand in one; again replaces it.

    The same files give the same bytes.

    Raises:
        OSError: a file cannot be read, or DICOMDIR not be written.
    """
    root: dict[bytes, _Record] = {}
    for parts, path in _files(folder):
        with LocalSource(path) as source:
            try:
                head = read_head(Window(source))
            except UnscrubbableError:
                continue
        if head.sop_class and head.sop_class != DIRECTORY_CLASS:
            _enter(root, head, parts)
    with replacing(folder / NAME) as target:
        target.write_bytes(_directory(root))


def _files(folder: Path) -> Iterator[tuple[list[bytes], bytes]]:
    """File IDs and paths of what may be listed, in order."""
    base = os.fsencode(folder)
    for place, folders, names in os.walk(base):
        folders.sort()
        above = [part for part in place[len(base) :].split(b"/") if part]
        for name in sorted(names):
            parts = [*above, name]
            if (above or name != NAME.encode()) and len(parts) <= _MOST_PARTS and all(map(_is_file_id, parts)):
                yield parts, place + b"/" + name


def _is_file_id(part: bytes) -> bool:
    return 0 < len(part) <= _LONGEST_PART and _FILE_ID.issuperset(part)


def _enter(root: dict[bytes, _Record], head: Head, parts: Sequence[bytes]) -> None:
    patient = _below(root, b"PATIENT", head, _PATIENT, 0x0010_0020)
    study = _below(patient.below, b"STUDY", head, _STUDY, 0x0020_000D)
    series = _below(study.below, b"SERIES", head, _SERIES, 0x0020_000E)
    kind = next((kind for beginning, kind in _KINDS if head.sop_class.startswith(beginning)), b"IMAGE")
    references = b"".join((
        encoded(0x0004_1500, b"CS", b"\\".join(parts), _PLAIN),
        encoded(0x0004_1510, b"UI", head.sop_class.encode("latin-1"), _PLAIN),
        encoded(0x0004_1511, b"UI", head.values.get(0x0008_0018, b"").strip(b" \0"), _PLAIN),
        encoded(0x0004_1512, b"UI", head.start.syntax.encode(), _PLAIN),
    ))  # fmt: skip
    series.below[b"/".join(parts)] = _Record(kind, references + _told(head, _INSTANCE))


def _below(
    records: dict[bytes, _Record], kind: bytes, head: Head, told: Sequence[tuple[int, bytes, bytes]], key: int
) -> _Record:  # fmt: skip
    value = head.values.get(key, b"").strip(b" \0")
    if value not in records:
        records[value] = _Record(kind, _told(head, told))
    return records[value]


def _told(head: Head, told: Sequence[tuple[int, bytes, bytes]]) -> bytes:
    charset = head.values.get(0x0008_0005)
    values = {tag: (kind, head.values.get(tag, b"").strip(b" \0") or otherwise) for tag, kind, otherwise in told}
    if charset is not None and not b"".join(value for _, value in values.values()).isascii():
        values[0x0008_0005] = b"CS", charset.strip(b" \0")
    return b"".join(encoded(tag, *values[tag], _PLAIN) for tag in sorted(values))


def _directory(root: dict[bytes, _Record]) -> bytes:
    """The file: a meta group, the root's offsets, and records that each point to the next and to the first below."""
    meta = b"".join((
        encoded(0x0002_0001, b"OB", b"\0\1", _PLAIN), encoded(0x0002_0002, b"UI", DIRECTORY_CLASS.encode(), _PLAIN),
        encoded(0x0002_0003, b"UI", f"{IMPLEMENTATION_UID}.1".encode(), _PLAIN),
        encoded(0x0002_0010, b"UI", EXPLICIT.encode(), _PLAIN),
        encoded(0x0002_0012, b"UI", IMPLEMENTATION_UID.encode(), _PLAIN),
        encoded(0x0002_0013, b"SH", IMPLEMENTATION, _PLAIN),
    ))  # fmt: skip
    head = bytes(128) + b"DICM" + encoded(0x0002_0000, b"UL", struct.pack("<I", len(meta)), _PLAIN) + meta
    records_at = len(head) + len(_root(0, 0)) + 12
    listed = list(_placed(list(root.values()), records_at))
    first, last = (listed[0].offset, list(root.values())[-1].offset) if listed else (0, 0)
    body = bytearray(head + _root(first, last))
    body += struct.pack("<HH2sHI", 0x0004, 0x1220, b"SQ", 0, UNDEFINED)
    for record, after in _with_next(list(root.values())):
        _append(body, record, after)
    body += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return bytes(body)


def _root(first: int, last: int) -> bytes:
    return b"".join((
        encoded(0x0004_1130, b"CS", b"", _PLAIN), encoded(0x0004_1200, b"UL", struct.pack("<I", first), _PLAIN),
        encoded(0x0004_1202, b"UL", struct.pack("<I", last), _PLAIN), encoded(0x0004_1212, b"US", bytes(2), _PLAIN),
    ))  # fmt: skip


def _placed(records: Sequence[_Record], at: int) -> Iterator[_Record]:
    """Set the offsets of records, those below each behind it; in the order in which they are written."""
    stack = list(reversed(records))
    while stack:
        record = stack.pop()
        record.offset = at
        at += len(_item(record, 0))
        yield record
        stack.extend(reversed(record.below.values()))


def _with_next(records: Sequence[_Record]) -> Iterator[tuple[_Record, int]]:
    yield from ((record, after.offset) for record, after in pairwise(records))
    yield from ((record, 0) for record in records[-1:])


def _append(body: bytearray, record: _Record, after: int) -> None:
    body += _item(record, after)
    for below, next_at in _with_next(list(record.below.values())):
        _append(body, below, next_at)


def _item(record: _Record, after: int) -> bytes:
    below = next(iter(record.below.values())).offset if record.below else 0
    return encoded(ITEM, b"", b"".join((
        encoded(0x0004_1400, b"UL", struct.pack("<I", after), _PLAIN), encoded(0x0004_1410, b"US", _IN_USE, _PLAIN),
        encoded(0x0004_1420, b"UL", struct.pack("<I", below), _PLAIN), encoded(0x0004_1430, b"CS", record.kind, _PLAIN),
        record.elements,
    )), _PLAIN)  # fmt: skip

"""DICOM: an instance of slide microscopy is a part of a slide, any other a part of a series.

Headers are read without pixel data and without the per-frame groups, which are long in sparsely tiled slides: reading them
takes seconds where the rest takes a fraction of a millisecond. What a scan needs of an instance becomes its *facts*; a
slide or series is made of the facts of its parts, whatever their order and file names.
"""

import io
import logging
import math
import re
import warnings
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydicom import config, filereader
from pydicom.dataset import Dataset

from pathcurate.model.slide import Part
from pathcurate.storage import Source

# pydicom writes values that it finds odd into its log, which ends on standard error; what matters of them is in the status.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
config.settings.reading_validation_mode = config.IGNORE

NAME: Final = "dicom"
VERSION: Final = 1

_SLIDE_CLASS: Final = "1.2.840.10008.5.1.4.1.1.77.1.6"
_DIRECTORY_CLASS: Final = "1.2.840.10008.1.3.10"
_IMAGE_CLASSES: Final = re.compile(
    r"1\.2\.840\.10008\.5\.1\.4\.1\.1\."
    r"(1|1\.[123](\.1)?|2(\.[12])?|3\.1|4(\.[14])?|6\.1|7(\.[1-4])?|12\.[12](\.1)?|20|77\.1\.\S+|128(\.1)?)"
)
"""SOP classes whose instances all have pixel data (PS3.4 table B.5-1): radiography, CT, MR, ultrasound, angiography …"""
_UID_ROOT: Final = b"1.2.840.10008."
_PREAMBLE_BYTES: Final = 132
_LONG_LENGTHS: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"})
"""Value representations whose length takes four bytes (PS3.5 section 7.1.2)."""

_PER_FRAME_GROUPS: Final = 0x5200_9230
_CONTOURS: Final = 0x3006
"""Group of what is drawn on images for radiotherapy, which can be longer than the images; nothing needed follows it."""
_PIXELS_FROM: Final = 0x7FE0_0000
_PIXEL_DATA: Final = 0x7FE0_0010
_UNDEFINED: Final = 0xFFFF_FFFF
_END_OF_ITEMS: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
"""The sequence delimitation item, with which encapsulated pixel data end (PS3.5 section A.4)."""
_TAIL_BYTES: Final = 4096

_BLOCK_BYTES: Final = 16_384
_MAX_BYTES: Final = 16 << 20
_MAX_INFLATED: Final = 4 << 20
_LONGEST_VALUE: Final = 1 << 20
"""Longer values are skipped: none that the scan wants is that long, but for a colour profile now and then."""
_LONGEST_TEXT: Final = 1024
_MOST_ITEMS: Final = 1000

_IMPLICIT: Final = "1.2.840.10008.1.2"
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_COMPRESSIONS: Final = {
    _IMPLICIT: "none", "1.2.840.10008.1.2.1": "none", "1.2.840.10008.1.2.2": "none", _DEFLATED: "deflate",
    "1.2.840.10008.1.2.4.50": "jpeg", "1.2.840.10008.1.2.4.51": "jpeg", "1.2.840.10008.1.2.4.57": "jpeg",
    "1.2.840.10008.1.2.4.70": "jpeg", "1.2.840.10008.1.2.4.90": "jpeg2000", "1.2.840.10008.1.2.4.91": "jpeg2000",
    "1.2.840.10008.1.2.4.110": "jpegxl", "1.2.840.10008.1.2.4.111": "jpegxl", "1.2.840.10008.1.2.4.112": "jpegxl",
    "1.2.840.10008.1.2.4.107": "hevc", "1.2.840.10008.1.2.4.108": "hevc",
}  # fmt: skip
"""Transfer syntaxes (DICOM PS3.6 table A-1); any other is ``other``."""
_NATIVE: Final = frozenset(syntax for syntax, method in _COMPRESSIONS.items() if method in {"none", "deflate"})
_CUT_HEADER: Final = "the header goes on beyond the end of the file"


def claim(head: bytes, source: Source) -> bool:
    """Whether the file is DICOM: by its mark (PS3.10 section 7.1) or, without preamble, by its first elements."""
    return head[128:132] == b"DICM" or _sop_class(head, 0) is not None


def read(source: Source) -> Part | None:
    """What one instance says; None for a DICOMDIR, which lists other files.

    Raises:
        OSError: the file cannot be read.
    """
    head = source.read_at(0, _BLOCK_BYTES)
    start = _PREAMBLE_BYTES if head[128:132] == b"DICM" else 0
    stop = _Stop()
    reading = _Bounded(_Raw(source), _BLOCK_BYTES)
    with warnings.catch_warnings():
        # Its warnings hold values too.
        warnings.simplefilter("ignore")
        try:
            data, syntax = _header(reading, stop, has_preamble=start > 0)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 -- pydicom raises whatever a broken header leads it to
            return _broken(_sop_class(head, start), is_cut=reading.is_cut, error=error)
        sop_class = _text(data, 0x0008_0016) or _sop_class(head, start)
        if sop_class == _DIRECTORY_CLASS:
            return None
        is_slide = sop_class == _SLIDE_CLASS
        facts = {**_common_facts(data, syntax, sop_class or ""), **(_slide_facts(data) if is_slide else _series_facts(data))}
    status, detail = ("truncated", _CUT_HEADER) if reading.is_cut else _pixel_state(facts, stop, source)
    if status == "ok" and facts["series"] is None:
        status, detail = "corrupt", "no SeriesInstanceUID (0020,000E)"
    facts = {name: value for name, value in facts.items() if value not in (None, [], False)}
    return Part("slide_part" if is_slide else "series_part", facts.get("series"), status, detail, facts)


def _broken(sop_class: str | None, *, is_cut: bool, error: Exception) -> Part | None:
    if sop_class == _DIRECTORY_CLASS:
        return None
    kind = "slide_part" if sop_class == _SLIDE_CLASS else "series_part"
    if is_cut:
        return Part(kind, None, "truncated", _CUT_HEADER, {})
    return Part(kind, None, "corrupt", f"the header cannot be read ({type(error).__name__})", {})


# --- One header --------------------------------------------------------------------------------------------------


class _Stop:
    """Where reading stopped: the tag of the first element that was not read, its length and the offset of its value."""

    def __init__(self) -> None:
        self.tag = 0
        self.length = 0
        self.offset = 0
        self._file: io.BufferedIOBase | None = None

    def reading(self, file: io.BufferedIOBase) -> "_Stop":
        self._file = file
        return self

    def __call__(self, tag: int, _representation: str | None, length: int) -> bool:
        if tag != _PER_FRAME_GROUPS and tag < _PIXELS_FROM and tag >> 16 != _CONTOURS:
            return False
        self.tag, self.length = int(tag), length
        self.offset = self._file.tell() if self._file is not None else 0
        return True


class _Raw(io.RawIOBase):
    """A source as the file that Python's buffering reads from."""

    name = ""
    """pydicom asks for it, and for the state of the file of that name: there is none."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0
        self._left = _MAX_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if len(buffer) > self._left:
            raise ValueError("the header is too long")
        data = self._source.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        self._left -= len(data)
        return len(data)


class _Deflated(Exception):  # noqa: N818 -- no error: the rest of the file is to be read in another way
    """All the rest of the file was asked for, as pydicom does where everything after the file meta group is deflated."""


class _Bounded(io.BufferedReader):
    """What pydicom reads through: never more at once than a header may hold; it notes whether the file's end cut it off."""

    is_cut = False

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise _Deflated
        if size > _MAX_BYTES:
            raise ValueError("a value of the header is too long")
        data = super().read(size)
        # Nothing at all where an element, or the data set, would begin is an end in the right place.
        if len(data) < size and (data or size not in (1, 8) or self._is_beyond_end()):
            self.is_cut = True
        return data

    def _is_beyond_end(self) -> bool:
        at = self.tell()
        is_beyond = at > self.seek(0, io.SEEK_END)
        self.seek(at)
        return is_beyond


def _header(reading: _Bounded, stop: _Stop, *, has_preamble: bool) -> tuple[Dataset, str | None]:
    """The data set up to the per-frame groups or the pixels, and its transfer syntax."""
    stop.reading(reading)
    try:
        data = filereader.read_partial(
            reading, stop_when=stop, defer_size=_LONGEST_VALUE, force=not has_preamble
        )  # fmt: skip
    except _Deflated:
        pass
    else:
        return data, _text(data.file_meta, 0x0002_0010)
    deflated = io.BufferedReader.read(reading, _MAX_INFLATED)
    inflated = io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, _MAX_INFLATED))
    stop.reading(inflated)
    return filereader.read_dataset(inflated, False, True, stop_when=stop), _DEFLATED


def _sop_class(head: bytes, start: int) -> str | None:
    """The SOP class that the elements at the beginning name, read without pydicom; None if these are no DICOM elements.

    Only little-endian files begin so: groups 2 and 8, tags ascending.
    """
    at, last = start, -1
    while at + 8 <= len(head):
        group, element = (int.from_bytes(head[place : place + 2], "little") for place in (at, at + 2))
        tag = group << 16 | element
        if tag <= last or group not in (2, 8):
            return None
        representation = head[at + 4 : at + 6]
        if not (representation.isalpha() and representation.isupper()):
            length, at = int.from_bytes(head[at + 4 : at + 8], "little"), at + 8
        elif representation in _LONG_LENGTHS:
            length, at = int.from_bytes(head[at + 8 : at + 12], "little"), at + 12
        else:
            length, at = int.from_bytes(head[at + 6 : at + 8], "little"), at + 8
        if tag in (0x0002_0002, 0x0008_0016):
            value = head[at : at + min(length, 64)]
            return value.rstrip(b"\0 ").decode("ascii", "replace") if value.startswith(_UID_ROOT) else None
        at, last = at + length, tag
    return None


def _pixel_state(facts: Mapping[str, Any], stop: _Stop, source: Source) -> tuple[str, str | None]:
    """Whether the pixel data are as long as the header says, and the file as long as they are."""
    size, syntax = source.size, facts["syntax"]
    if not facts["is_image"] or syntax == _DEFLATED:
        # What is deflated has no offsets of its own in the file.
        return "ok", None
    if not stop.tag:
        return "truncated", "the file ends before its pixel data"
    is_pixel_data = stop.tag == _PIXEL_DATA and stop.length != _UNDEFINED
    if stop.length != _UNDEFINED and stop.offset + stop.length > size:
        return "truncated", f"the element at offset {stop.offset} is longer than the rest of the file (size {size})"
    if syntax is None or syntax in _NATIVE:
        # Behind per-frame groups that say how long they are, the pixel data begin with a tag, its kind and a length.
        before = stop.length + (8 if syntax == _IMPLICIT else 12) if stop.length != _UNDEFINED else 0
        needed = facts["pixel_bytes"] or 0
        held = stop.length if is_pixel_data else max(0, size - stop.offset - before)
        status = "corrupt" if is_pixel_data else "truncated"
        return (status, f"{held} bytes of pixel data where the frames need {needed}") if held < needed else ("ok", None)
    if is_pixel_data or _END_OF_ITEMS in source.read_at(max(stop.offset, size - _TAIL_BYTES), _TAIL_BYTES):
        return "ok", None
    return "truncated", f"the pixel data have no end mark (size {size})"


def _common_facts(data: Dataset, syntax: str | None, sop_class: str) -> dict[str, Any]:
    rows, columns = _integer(data, 0x0028_0010), _integer(data, 0x0028_0011)
    frames, samples, bits = (_integer(data, tag) for tag in (0x0028_0008, 0x0028_0002, 0x0028_0100))
    is_image = bool(rows and columns and bits) or _IMAGE_CLASSES.fullmatch(sop_class) is not None
    # Where two pixels share their colour, each takes two samples (PS3.3 C.7.6.3.1.2).
    stored_samples = 2 if _text(data, 0x0028_0004) in {"YBR_FULL_422", "YBR_PARTIAL_422"} else samples or 1
    total_bits = (rows or 0) * (columns or 0) * (bits or 0) * stored_samples * (frames or 1)
    return {
        "series": _text(data, 0x0020_000E), "study": _text(data, 0x0020_000D), "sop": _text(data, 0x0008_0018),
        "syntax": syntax, "compression": _COMPRESSIONS.get(syntax or "", "other"),
        "is_image": is_image, "tile_width": columns, "tile_height": rows, "frames": frames,
        "samples": samples, "bits": bits, "pixel_bytes": total_bits // 8 if is_image else None,
        "model": _text(data, 0x0008_1090), "serial": _text(data, 0x0018_1000),
    }  # fmt: skip


def _slide_facts(data: Dataset) -> dict[str, Any]:
    roles = (_text(data, 0x0008_0008) or "").split("\\")
    shared = _items(data, 0x5200_9229)
    measures = [item for group in shared for item in _items(group, 0x0028_9110)]
    paths = _items(data, 0x0048_0105)
    specimens = _items(data, 0x0040_0560)
    texts = [_text(data, tag) for tag in (0x0008_0050, 0x0020_0010, 0x0040_0512, 0x0040_06FA)]
    texts += [_text(specimen, 0x0040_0551) for specimen in specimens]
    content = (_text(data, 0x0008_0023) or "") + (_text(data, 0x0008_0033) or "")
    scanned = _clock(_text(data, 0x0008_002A)) or _clock(content)
    return {
        "container": _text(data, 0x0040_0512),
        "role": roles[2] if len(roles) > 2 else None,
        "width": _integer(data, 0x0048_0006), "height": _integer(data, 0x0048_0007),
        "organization": _text(data, 0x0020_9311), "concatenation": _text(data, 0x0020_9161),
        "concatenation_number": _integer(data, 0x0020_9162), "concatenation_total": _integer(data, 0x0020_9163),
        "mpp": next((mpp for item in measures if (mpp := _mpp(item)) is not None), None),
        "power": next((power for path in paths if (power := _number(_value(path, 0x0048_0112), 0.1, 1000))), None),
        "planes": _integer(data, 0x0048_0303), "planar": _integer(data, 0x0028_0006),
        "icc": 0x0028_2000 in data or any(0x0028_2000 in path for path in paths),
        "scanned": scanned.isoformat() if scanned else None,
        "barcode": _text(data, 0x2200_0005), "label_text": _text(data, 0x2200_0002),
        "texts": list(dict.fromkeys(filter(None, texts))),
    }  # fmt: skip


def _series_facts(data: Dataset) -> dict[str, Any]:
    tags = {
        "patient_id": 0x0010_0020, "patient_name": 0x0010_0010, "accession": 0x0008_0050, "modality": 0x0008_0060,
        "body_part": 0x0018_0015, "view": 0x0018_5101, "description": 0x0008_103E, "manufacturer": 0x0008_0070,
        "burned_in": 0x0028_0301,
    }  # fmt: skip
    laterality = _text(data, 0x0020_0062) or _text(data, 0x0020_0060)
    days = {name: _clock(_text(data, tag)) for name, tag in (("study_date", 0x0008_0020), ("series_date", 0x0008_0021))}
    return {
        **{name: _text(data, tag) for name, tag in tags.items()},
        **{name: day.date().isoformat() for name, day in days.items() if day is not None},
        "laterality": laterality,
    }


def _mpp(measures: Dataset) -> tuple[float, float] | None:
    """Microns per pixel, across and down, from PixelSpacing: millimetres, that between rows first (PS3.3 10.7.1.3)."""
    spacing = _value(measures, 0x0028_0030)
    if not isinstance(spacing, Sequence) or isinstance(spacing, str) or len(spacing) != 2:
        return None
    down, across = (_number(value, 1e-5, 0.1) for value in spacing)
    return (across * 1000, down * 1000) if across and down else None


def _value(data: Dataset, tag: int) -> Any:
    try:
        return data[tag].value
    except Exception:  # noqa: BLE001 -- a value that pydicom cannot convert, for whatever reason, is missing
        return None


def _items(data: Dataset, tag: int) -> list[Dataset]:
    value = _value(data, tag)
    items = value[:_MOST_ITEMS] if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()
    return [item for item in items if isinstance(item, Dataset)]


def _text(data: Dataset, tag: int) -> str | None:
    """A value as text, several joined by a backslash as DICOM does; None if it is empty or not text."""
    value = _value(data, tag)
    if value is None or isinstance(value, bytes):
        return None
    several = isinstance(value, Sequence) and not isinstance(value, str)
    text = "\\".join(map(str, value)) if several else str(value)
    text = text[:_LONGEST_TEXT].encode("utf-8", "replace").decode().replace("\0", "").strip()
    return text or None


def _integer(data: Dataset, tag: int) -> int | None:
    number = _number(_value(data, tag), 0, 2**31)
    return None if number is None else int(number)


def _number(value: object, least: float, most: float) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and least <= number <= most else None


def _clock(text: str | None) -> datetime | None:
    """A date and time as DT or as DA and TM together write it (PS3.5 section 6.2); the zone is left out."""
    match = re.match(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)?(\d\d)?)?", text or "", re.ASCII)
    if match is None:
        return None
    try:
        return datetime(*(int(part or 0) for part in match.groups()))  # type: ignore[arg-type]  # noqa: DTZ001 -- local time
    except ValueError:
        return None

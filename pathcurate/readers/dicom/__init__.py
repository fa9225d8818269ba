"""DICOM: an instance of slide microscopy is a part of a slide, any other a part of a series.

Headers are read without pixel data and without the per-frame groups, which are long in sparsely tiled slides: reading them
takes seconds where the rest takes a fraction of a millisecond. What a scan needs of an instance becomes its *facts*; a
slide or series is made of the facts of its parts, whatever their order and file names.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Final

from pathcurate import ifd
from pathcurate.model.filescrub import PixelRun
from pathcurate.model.slide import Part, TileCount
from pathcurate.readers.dicom.elements import Wanted
from pathcurate.readers.dicom.facts import DATA_SET, common_facts, series_facts, slide_facts
from pathcurate.readers.dicom.header import Header, read_header
from pathcurate.readers.dicom.pixels import count_frames, find_frames, pixel_state, whole_pixels
from pathcurate.storage import Source

NAME: Final = "dicom"
VERSION: Final = 3

_SLIDE_CLASS: Final = "1.2.840.10008.5.1.4.1.1.77.1.6"
_DIRECTORY_CLASS: Final = "1.2.840.10008.1.3.10"
_UID_ROOT: Final = b"1.2.840.10008."
_LONG_LENGTHS: Final = frozenset({b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"})
_CUT_HEADER: Final = "the header goes on beyond the end of the file"

_SAMPLE_FRAMES: Final = 8
_SAMPLE_BYTES: Final = 1 << 20
_MOST_FRAMES: Final = 10_000_000
_MOST_PER_FRAME_BYTES: Final = 256 << 20

_RECORDS: Final[Wanted] = {0x0004_1220: {0x0004_1500: "CS"}}
_MOST_RECORDS: Final = 100_000


def claim(head: bytes, source: Source) -> bool:
    """Whether the file is DICOM: by its mark (PS3.10 section 7.1) or, without preamble, by its first elements."""
    return head[128:132] == b"DICM" or _begins_with_sop_class(head)


def read(source: Source) -> Part | None:
    """What one instance says; None for a DICOMDIR, which lists other files.

    Raises:
        OSError: the file cannot be read.
    """
    header = read_header(source)
    if header.sop_class == _DIRECTORY_CLASS:
        return None
    is_slide = header.sop_class == _SLIDE_CLASS
    own = slide_facts(header.data) if is_slide else series_facts(header.data)
    facts = {**common_facts(header.data, header.syntax, header.sop_class or ""), **own}
    status: str
    detail: str | None
    if header.is_cut:
        status, detail = "truncated", _CUT_HEADER
    elif header.broken is not None:
        status, detail = "corrupt", header.broken
    else:
        is_image, needed = facts["is_image"], facts["pixel_bytes"] or 0
        status, detail, facts["stored_bytes"] = pixel_state(header, source, is_image=is_image, needed=needed)
    if status == "ok" and facts["series"] is None:
        status, detail = "corrupt", "no SeriesInstanceUID (0020,000E)"
    facts = {name: value for name, value in facts.items() if value is not None and value is not False and value != []}
    return Part("slide_part" if is_slide else "series_part", facts.get("series"), status, detail, facts)


def sample_pixels(source: Source) -> str | None:
    """SHA-256 over geometry, tile size, compression and up to 8 frames of a VOLUME instance, as they are stored.

    Frames are chosen by index, evenly spaced; of each at most 1 MiB is read. None for any other file.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        return _sample(source)
    except ifd.TiffDamage:
        # The source has given as many bytes as a header may have.
        return None


def _sample(source: Source) -> str | None:
    header = read_header(source)
    facts = {**common_facts(header.data, header.syntax, header.sop_class or ""), **slide_facts(header.data)}
    if header.sop_class != _SLIDE_CLASS or facts["role"] != "VOLUME":
        return None
    count, frame_bytes = _frames(header)
    frames = find_frames(header, source, count, frame_bytes)
    if frames is None:
        return None
    names = ("width", "height", "tile_width", "tile_height", "compression", "samples", "bits")
    digest = hashlib.sha256(json.dumps([count, *(facts[name] for name in names)]).encode())
    chosen = range(count) if count <= _SAMPLE_FRAMES else (step * count // _SAMPLE_FRAMES for step in range(_SAMPLE_FRAMES))
    for index in chosen:
        pieces = frames[index]
        if not pieces:
            return None
        total, left = sum(length for _, length in pieces), _SAMPLE_BYTES
        digest.update(total.to_bytes(8, "little"))
        for offset, length in pieces:
            data = source.read_at(offset, min(length, left))
            if len(data) < min(length, left):
                return None
            digest.update(data)
            left -= len(data)
    return f"sha256:{digest.hexdigest()}"


def count_tiles(source: Source) -> TileCount | None:
    """The frames of one instance, every one held against the end of the file.

    Encapsulated pixel data are walked item by item. None if the header cannot be read or the data set is deflated.

    Raises:
        OSError: the file cannot be read.
    """
    header = read_header(source)
    if header.broken is not None:
        return None
    count, frame_bytes = _frames(header)
    if not frame_bytes or count > _MOST_FRAMES:
        return None
    # Per-frame groups of undefined length are walked through, which the header pass never does.
    header.walk.allow(_MOST_PER_FRAME_BYTES)
    counted = count_frames(header, source, count, frame_bytes)
    return None if counted is None else TileCount(*counted)


def pixel_runs(source: Source) -> Iterator[PixelRun]:
    """The pixel data of one instance: all frames as they are stored, with what lies between compressed ones.

    Of a slide or series, each instance has its own. An image of the label or of the whole glass has none, nor has one that
    is deflated or whose pixel data have no end.

    Raises:
        OSError: the file cannot be read.
    """
    header = read_header(source)
    facts = {**common_facts(header.data, header.syntax, header.sop_class or ""), **slide_facts(header.data)}
    role = facts["role"] if header.sop_class == _SLIDE_CLASS else "image"
    if header.broken is not None or role in {"LABEL", "OVERVIEW"}:
        return
    header.walk.allow(_MOST_PER_FRAME_BYTES)
    if (run := whole_pixels(header, source)) is not None:
        frames = f"{facts['frames'] or 1} frames of {facts['tile_width']} x {facts['tile_height']}"
        yield PixelRun(f"{role}, {frames}", b"", *run)


def _frames(header: Header) -> tuple[int, int]:
    """How many frames an instance has, and the bytes of each if it is not compressed."""
    facts = common_facts(header.data, header.syntax, header.sop_class or "")
    count = facts["frames"] or 1
    return count, (facts["pixel_bytes"] or 0) // count


def directory_references(source: Source) -> list[bytes] | None:
    """Paths of the files that a DICOMDIR lists (PS3.10 section 8.6), relative to its folder; None for any other file.

    At most 100,000 records and 16 MiB are read. A path that would leave the folder is left out.

    Raises:
        OSError: the file cannot be read.
    """
    header = read_header(source, {**DATA_SET, **_RECORDS}, most_items=_MOST_RECORDS)
    if header.sop_class != _DIRECTORY_CLASS:
        return None
    references = []
    for record in header.data.items(0x0004_1220):
        components = (record.text(0x0004_1500) or "").split("\\")
        if all(part and part not in {".", ".."} and "/" not in part for part in components):
            references.append("/".join(components).encode())
    return references


def _begins_with_sop_class(head: bytes) -> bool:
    """Whether the first elements name a SOP class of the standard.

    Only little-endian files begin so: groups 2 and 8, tags ascending.
    """
    at, last = 0, -1
    while at + 8 <= len(head):
        group, element = (int.from_bytes(head[place : place + 2], "little") for place in (at, at + 2))
        tag = group << 16 | element
        if tag <= last or group not in (2, 8):
            return False
        representation = head[at + 4 : at + 6]
        if not (representation.isalpha() and representation.isupper()):
            length, at = int.from_bytes(head[at + 4 : at + 8], "little"), at + 8
        elif representation in _LONG_LENGTHS:
            length, at = int.from_bytes(head[at + 8 : at + 12], "little"), at + 12
        else:
            length, at = int.from_bytes(head[at + 6 : at + 8], "little"), at + 8
        if tag in (0x0002_0002, 0x0008_0016):
            return head[at : at + min(length, 64)].startswith(_UID_ROOT)
        at, last = at + length, tag
    return False

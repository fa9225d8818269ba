"""Hamamatsu NDPI: a TIFF with pointers of 64 bits in which every level is one JPEG, known by tag 65420.

Sources: OpenSlide's description of the format, and Hamamatsu's list of its tags (published with tifffile). The photo of the
glass shows the label too, so a file with an overview has no label image of its own.
"""

import hashlib
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import Directory, tiles
from pathcurate.model.filescrub import PixelRun
from pathcurate.model.slide import SlideHeader, TileCount
from pathcurate.storage import Source

NAME: Final = "ndpi"
VERSION: Final = 1

_SOURCE_LENS: Final = 65421
"""The objective's power of a level; -1 is the photo of the glass, -2 the map of scanned fields."""
_FOCUS: Final = 65424
"""Offset of the focal plane from the one in focus, in nanometres."""
_REFERENCE: Final = 65427
_SERIAL: Final = 65442
_PROPERTIES: Final = 65449
_BARCODES: Final = range(65468, 65476)
_XML: Final = 65477

_JPEG: Final = 7
_JPEG_XR: Final = 22610
_STATUSES: Final[Mapping[type[ifd.TiffDamage], str]] = {
    ifd.NotTiff: "not_a_slide",
    ifd.TruncatedTiff: "truncated",
    ifd.CorruptTiff: "corrupt",
}
_FINGERPRINT_TAGS: Final = (
    ifd.MAKE, ifd.MODEL, ifd.SOFTWARE, ifd.DATE_TIME, _REFERENCE, _SERIAL, _PROPERTIES, *_BARCODES, _XML,
)  # fmt: skip
_FINGERPRINT_BYTES: Final = 16_384
_MOST_TEXTS: Final = 64
_MOST_STRIPS: Final = 128
"""Strips that are looked at on either end of an image's table; Hamamatsu writes one."""
_MAX_SIDE: Final = 1 << 31
_JPEG_HEADER_BYTES: Final = 4096
_PIECES: Final = 8
_PIECE_BYTES: Final = 1 << 18


def claim(head: bytes, source: Source) -> bool:
    """Whether the first directory bears Hamamatsu's mark, whatever becomes of the others.

    Raises:
        OSError: the file cannot be read.
    """
    if not ifd.is_tiff(head):
        return False
    try:
        directories: Sequence[Directory] = ifd.walk(source)
    except ifd.TiffDamage as damage:
        directories = damage.directories
    return bool(directories) and ifd.NDPI_MARK in directories[0]


def read(source: Source) -> SlideHeader:
    """What the directories say, and the head of level 0's JPEG; nothing is decoded.

    ``tile_width`` and ``tile_height`` are those of the pieces between restart markers, as OpenSlide has them; levels are
    those of the file, without the ones that OpenSlide makes up by decoding at half size.
    ``header_fingerprint`` is SHA-256 over every directory's bytes in chain order and the first 16 KiB of the first one's
    texts, ``shape_fingerprint`` over the size, compression and byte count of every level.

    Raises:
        OSError: the file cannot be read.
    """
    damage: ifd.TiffDamage | None = None
    try:
        directories: Sequence[Directory] = ifd.walk(source)
    except ifd.TiffDamage as error:
        damage, directories = error, error.directories
    header = SlideHeader(status="ok", format="ndpi", vendor="hamamatsu")
    try:
        header = _with_identity(header, directories[0])
        header = _with_geometry(header, directories, source)
        if damage is None and header.level_count:
            header = _check(header, directories, source.size)
    except ifd.TiffDamage as error:
        damage = damage or error
    if damage is not None:
        detail = f"{damage.reason} (offset {damage.offset})"
        header = replace(header, status=_STATUSES[type(damage)], status_detail=detail)
    return header


def sample_pixels(source: Source) -> str | None:
    """SHA-256 over the levels' shape and up to 8 evenly spaced pieces of the smallest level's JPEG; None if it is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        levels = _levels(ifd.walk(source))
        if not levels:
            return None
        offset, length = _strip(levels[-1])
        digest = hashlib.sha256(_shape(levels))
    except ifd.TiffDamage:
        return None
    step = max(_PIECE_BYTES, length // _PIECES)
    for start in range(0, min(length, step * _PIECES), step):
        most = min(_PIECE_BYTES, length - start, max(0, source.size - offset - start))
        digest.update(source.read_at(offset + start, most))
    return f"sha256:{digest.hexdigest()}"


def count_tiles(source: Source) -> TileCount | None:
    """The images, of which each is one JPEG, held against the size of the file; None if the file is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        return _count(ifd.walk(source), source.size)
    except ifd.TiffDamage:
        return None


def pixel_runs(source: Source) -> Iterator[PixelRun]:
    """The JPEG of every level of every focal plane, in the order of the file; neither the macro nor the map.

    Raises:
        TiffDamage: a directory cannot be read, or a level is not in one strip.
        OSError: the file cannot be read.
    """
    levels = [directory for directory in ifd.walk(source) if _is_level(directory)]
    for number, level in enumerate(levels):
        width, height = _size(level)
        offset, length = _strip(level)
        yield PixelRun(f"level {number}, {width} x {height}", b"", offset, length)


def _with_identity(header: SlideHeader, first: Directory) -> SlideHeader:
    properties = _properties(first)
    barcodes = [text for tag in _BARCODES if (text := first.text(tag))]
    reference = first.text(_REFERENCE) or None
    mpp_x, mpp_y = _mpp(first, ifd.X_RESOLUTION), _mpp(first, ifd.Y_RESOLUTION)
    power = _lens(first)
    texts = (*barcodes, *filter(None, (reference,)), *_xml_texts(first.text(_XML)))
    return replace(
        header,
        scanner_model=first.text(ifd.MODEL) or properties.get("Product") or None,
        scanner_serial=first.text(_SERIAL) or properties.get("NDP.S/N") or None,
        scan_datetime=_datetime(first.text(ifd.DATE_TIME)) or _datetime(properties.get("Created", "")),
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        mpp_source=None if mpp_x is mpp_y is None else "vendor",
        objective_power=power if power is not None and 0.1 <= power <= 1000 else None,
        barcode=barcodes[0] if barcodes else None,
        label_text=reference,
        metadata_texts=tuple(dict.fromkeys(texts))[:_MOST_TEXTS],
    )


def _with_geometry(header: SlideHeader, directories: Sequence[Directory], source: Source) -> SlideHeader:
    levels = _levels(directories)
    if not levels:
        return replace(header, status="not_a_slide", status_detail="no level among the images")
    sizes = [_size(level) for level in levels]
    if not all(all(size) for size in sizes):
        return replace(header, status="corrupt", status_detail=f"impossible image size (offset {levels[0].offset})")
    width, height = sizes[0]
    tile_width, tile_height = _tile_size(levels[0], source)
    compression = levels[0].first_int(ifd.COMPRESSION, 1)
    channels = levels[0].first_int(ifd.SAMPLES_PER_PIXEL, 1) or 0
    planes = {directory.first_int(_FOCUS, 0) for directory in directories if _is_level(directory)}
    header = replace(
        header,
        width=width,
        height=height,
        level_count=len(levels),
        level_downsamples=tuple((width / w + height / h) / 2 for w, h in sizes),
        tile_width=tile_width,
        tile_height=tile_height,
        compression="jpeg" if compression == _JPEG else "other",
        focal_planes=len(planes),
        channels=channels if 0 < channels < 1 << 16 else None,
        icc_profile=ifd.ICC_PROFILE in levels[0],
        has_label=False,
        has_overview=any(_lens(directory) == -1 for directory in directories),
        has_thumbnail=False,
    )
    if compression != _JPEG:
        kind = "JPEG XR" if compression == _JPEG_XR else "another method than JPEG"
        detail = f"compressed by {kind} (offset {levels[0].offset})"
        return replace(header, status="unsupported:hamamatsu", status_detail=detail)
    return header


def _check(header: SlideHeader, directories: Sequence[Directory], size: int) -> SlideHeader:
    """The header with its fingerprints, and with every image held against the size of the file."""
    levels = _levels(directories)
    digest = hashlib.sha256()
    for directory in directories:
        digest.update(directory.raw)
    for tag in _FINGERPRINT_TAGS:
        digest.update(directories[0].raw_value(tag, _FINGERPRINT_BYTES))
    count = _count(directories, size)
    header = replace(
        header,
        header_fingerprint=f"sha256:{digest.hexdigest()}",
        shape_fingerprint=f"sha256:{hashlib.sha256(_shape(levels)).hexdigest()}",
        tiles_checked=count.checked,
        tiles_bad=count.bad,
    )
    if count.bad and header.status == "ok":
        detail = f"{count.bad} of {count.checked} images lie beyond the end of the file (size {size})"
        return replace(header, status="truncated", status_detail=detail)
    return header


def _count(directories: Sequence[Directory], size: int) -> TileCount:
    tables = [
        tiles.read_table(directory, held, _MOST_STRIPS)
        for directory in directories
        if (held := tiles.entries(directory))
    ]  # fmt: skip
    return TileCount(sum(table.offsets.size for table in tables), sum(table.count_beyond(size) for table in tables))


def _shape(levels: Sequence[Directory]) -> bytes:
    """Size, compression and byte count of every level; no offsets, so it survives a rewritten header."""
    return b"".join(
        struct.pack("<4Q", *_size(level), max(0, level.first_int(ifd.COMPRESSION, 1) or 0), _strip(level)[1])
        for level in levels
    )


def _strip(directory: Directory) -> tuple[int, int]:
    """Offset and byte count of a level's only strip.

    Raises:
        TiffDamage: there is none, or the table of it is impossible.
    """
    tables = tiles.entries(directory)
    if tables is None or tables[0].count != 1:
        raise ifd.CorruptTiff(directory.offset, "a level that is not in one strip")
    return tiles.tile_at(directory, tables, 0)


def _levels(directories: Sequence[Directory]) -> list[Directory]:
    """The pyramid of the plane in focus, largest first; of the nearest plane if none is in focus."""
    pyramid = [directory for directory in directories if _is_level(directory)]
    nearest = min((abs(directory.first_int(_FOCUS, 0) or 0) for directory in pyramid), default=0)
    plane = [directory for directory in pyramid if abs(directory.first_int(_FOCUS, 0) or 0) == nearest]
    chosen = [directory for directory in plane if directory.first_int(_FOCUS, 0) == plane[0].first_int(_FOCUS, 0)]
    return sorted(chosen, key=lambda directory: -_size(directory)[0])


def _is_level(directory: Directory) -> bool:
    lens = _lens(directory)
    return lens is not None and lens > 0


def _lens(directory: Directory) -> float | None:
    number = directory.rational(_SOURCE_LENS)
    return number if number is not None else directory.first_int(_SOURCE_LENS)


def _size(directory: Directory) -> tuple[int, int]:
    """Width and height in pixels; 0 for what is missing or impossible."""
    width, height = (directory.first_int(tag, 0) or 0 for tag in (ifd.IMAGE_WIDTH, ifd.IMAGE_LENGTH))
    return (width if 0 < width < _MAX_SIDE else 0, height if 0 < height < _MAX_SIDE else 0)


def _tile_size(level: Directory, source: Source) -> tuple[int | None, int | None]:
    """What lies between two restart markers of the level's JPEG, in pixels; None if it has no such markers.

    A JPEG (ITU-T T.81) says how many minimum coded units lie between them, and how many pixels such a unit has.
    """
    offset, length = _strip(level)
    head = source.read_at(offset, min(_JPEG_HEADER_BYTES, length, max(0, source.size - offset)))
    interval = unit_width = unit_height = 0
    for marker, body in _segments(head):
        if marker == 0xDD and len(body) >= 2:
            (interval,) = struct.unpack_from(">H", body)
        if marker in (0xC0, 0xC1) and len(body) >= 6 + 3 * body[5]:
            factors = [body[6 + 3 * component + 1] for component in range(body[5])]
            unit_width = 8 * max((factor >> 4 for factor in factors), default=0)
            unit_height = 8 * max((factor & 15 for factor in factors), default=0)
    width = _size(level)[0]
    if not interval or not unit_width or not unit_height:
        return None, None
    across = -(-width // unit_width)
    if interval <= across:
        return (interval * unit_width, unit_height) if across % interval == 0 else (None, None)
    return (across * unit_width, interval // across * unit_height) if interval % across == 0 else (None, None)


def _segments(head: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers of a JPEG and what belongs to them, up to the first scan."""
    at = 2
    while head[:2] == b"\xff\xd8" and at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", head, at + 2)
        yield head[at + 1], head[at + 4 : at + 2 + length]
        at += 2 + max(2, length)


def _properties(first: Directory) -> dict[str, str]:
    """The block of ``key=value`` lines."""
    pairs = (line.partition("=") for line in first.text(_PROPERTIES).splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs if value.strip()}


def _xml_texts(xml: str) -> Iterator[str]:
    """The texts and attributes of the label's XML, of which no description is public."""
    body = re.sub(r"<[?!][^>]*>", "", xml)
    for match in re.finditer(r">([^<>]{1,200})<|=\"([^\"<>]{1,200})\"", body):
        text = (match[1] or match[2]).strip()
        if text:
            yield text


def _mpp(first: Directory, tag: int) -> float | None:
    """Microns per pixel, as the header gives them."""
    microns = {2: 25_400.0, 3: 10_000.0}.get(first.first_int(ifd.RESOLUTION_UNIT, 2) or 0)
    resolution = first.rational(tag)
    if microns is None or resolution is None or resolution <= 0:
        return None
    return microns / resolution


def _datetime(text: str) -> datetime | None:
    """The scanner's local time: ``2017:02:07 13:07:45`` or ``2017/02/07``."""
    match = re.fullmatch(r"(\d{4})[:/](\d\d)[:/](\d\d)(?: (\d\d):(\d\d):(\d\d))?", text, re.ASCII)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 -- local time, zone unknown
    except ValueError:
        return None

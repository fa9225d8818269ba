"""3DHISTECH MIRAX slides: ``x.mrxs`` (a preview) and a folder ``x`` with ``Slidedat.ini``, ``Index.dat`` and data files.

Source: OpenSlide's description of the format (openslide.org/formats/mirax) and Benjamin Gilbert's notes linked there.
``Slidedat.ini`` says what there is; ``Index.dat`` begins with ``01.02`` and the slide's id, then the positions of two tables
of pointers. Each pointer leads to a chain of pages of records, and a record says in which data file an image lies, where,
and how long it is. *Hierarchical* records are the images of the pyramid, *non-hierarchical* ones all else. All numbers are
signed 32-bit, little-endian.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pathcurate import ifd
from pathcurate.model.filescrub import PixelRun, UnscrubbableError
from pathcurate.model.slide import SlideHeader, TileCount
from pathcurate.readers.mrxs.index import HEADER_PAGES, MOST_PAGES, Index, count_beyond, first_records
from pathcurate.readers.mrxs.slidedat import (
    COMPRESSIONS,
    LABEL,
    MOST_FILES,
    MOST_LEVELS,
    OVERVIEW,
    SLIDEDAT_BYTES,
    THUMBNAIL,
    Damage,
    Geometry,
    Slidedat,
    datetime_of,
    geometry_of,
    is_plain,
    layer_numbers,
    parse,
)
from pathcurate.storage import Source

NAME: Final = "mrxs"
VERSION: Final = 1

_PREVIEWS: Final = (b"\xff\xd8\xff", b"BM", b"\x89PNG")
_HEADER_RECORDS: Final = 4096
"""Of the smallest level, this many records are looked at; real ones have fewer than a hundred."""
_SAMPLES: Final = 8
_SAMPLE_BYTES: Final = 1 << 20
_NUMBER_TEXTS: Final = ("SLIDE_NAME", "SLIDE_ID", "PROJECT_NAME")
"""Keys in which laboratories put their case number."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """The folder beside the file.

    Attributes:
        name: the folder's.
        slidedat: what its ``Slidedat.ini`` says.
        raw: the bytes of ``Slidedat.ini``.
    """

    name: bytes
    slidedat: Slidedat
    raw: bytes


def claim(head: bytes, source: Source) -> bool:
    """Whether the file has the name of a MIRAX slide, and holds a preview or lies beside a slide's folder.

    Raises:
        OSError: the folder is there and cannot be looked at.
    """
    if not source.name.lower().endswith(".mrxs") or ifd.is_tiff(head):
        return False
    return head.startswith(_PREVIEWS) or _open_folder(source) is not None


def read(source: Source) -> SlideHeader:
    """What ``Slidedat.ini`` says, whether all files are there, and whether the smallest level lies within them.

    Reads ``Slidedat.ini``, and of ``Index.dat`` what leads to the records of the smallest level and of the images beside
    the pyramid; every data file is opened to learn its size, and none is read. ``header_fingerprint`` is SHA-256 of
    ``Slidedat.ini`` and the first 4 KiB of ``Index.dat``; ``shape_fingerprint`` is one over geometry, tile size,
    compression, and number and byte counts of the images of the smallest level.

    Raises:
        OSError: a file is there and cannot be opened or read.
    """
    header = SlideHeader(status="ok", format="mrxs", vendor="mirax")
    folder = _open_folder(source)
    if folder is None:
        detail = "the folder beside the .mrxs file, or its Slidedat.ini, is missing"
        return replace(header, status="companion_missing", status_detail=detail)
    header = _described(header, folder.slidedat)
    try:
        sizes = _sizes(source, folder)
        if lost := sum(size is None for size in sizes.values()):
            detail = f"{lost} of the {len(sizes)} files that Slidedat.ini names are missing"
            raise Damage("companion_missing", detail)
        geometry = geometry_of(folder.slidedat)
        header = _shaped(header, folder.slidedat, geometry)
        data_sizes = [sizes[name] or 0 for name in folder.slidedat.files()]
        with _open_index(source, folder) as file:
            return _with_index(header, folder, geometry, ifd.Blocks(file), data_sizes)
    except Damage as damage:
        return replace(header, status=damage.status, status_detail=damage.detail)


def sample_pixels(source: Source) -> str | None:
    """SHA-256 over geometry, tile size, compression and up to 8 compressed images of the smallest level, 1 MiB of each.

    Raises:
        OSError: a file cannot be opened or read.
    """
    folder = _open_folder(source)
    if folder is None:
        return None
    try:
        geometry = geometry_of(folder.slidedat)
        names = folder.slidedat.files()
        with _open_index(source, folder) as file:
            index = Index(file.read_at, file.size, folder.slidedat, HEADER_PAGES)
            records = first_records(index.level(len(geometry.concats) - 1), _HEADER_RECORDS)
        digest = geometry.digest()
        if not len(records):
            return None
        for at in sorted({step * len(records) // _SAMPLES for step in range(_SAMPLES)}):
            _, offset, length, number = records[at].tolist()
            if not 0 <= number < len(names) or offset < 0 or length <= 0:
                return None
            with _open(source, folder, names[number]) as data:
                digest.update(data.read_at(offset, min(length, _SAMPLE_BYTES)))
    except Damage:
        return None
    return f"sha256:{digest.hexdigest()}"


def count_tiles(source: Source) -> TileCount | None:
    """All records of all levels held against the sizes of the data files; a chain of pages that breaks is one bad tile.

    Raises:
        OSError: a file cannot be opened or read.
    """
    folder = _open_folder(source)
    if folder is None:
        return None
    checked = bad = 0
    try:
        levels = len(geometry_of(folder.slidedat).concats)
        known = _sizes(source, folder)
        sizes = np.array([known[name] or 0 for name in folder.slidedat.files()], np.int64)
        with _open_index(source, folder) as file:
            index = Index(file.read_at, file.size, folder.slidedat, MOST_PAGES)
            for level in range(levels):
                try:
                    for records in index.level(level):
                        checked += len(records)
                        bad += count_beyond(records, sizes)
                except Damage:
                    checked, bad = checked + 1, bad + 1
    except Damage:
        return None
    return TileCount(checked, bad)


def pixel_runs(source: Source) -> Iterator[PixelRun]:
    """Compressed images of the pyramid, level by level in the order of the index; then those of filters and focal planes.

    Raises:
        OSError: a file cannot be opened or read.
        UnscrubbableError: the slide is damaged.
    """
    folder = _open_folder(source)
    if folder is None:
        raise UnscrubbableError("the folder beside the .mrxs file, or its Slidedat.ini, is missing")
    try:
        geometry = geometry_of(folder.slidedat)
        names = [folder.name + b"/" + name.encode() for name in folder.slidedat.files()]
        counts = [folder.slidedat.count("HIERARCHICAL", f"HIER_{layer}_COUNT", MOST_FILES) for layer in range(MOST_LEVELS)]
        with _open_index(source, folder) as file:
            index = Index(file.read_at, file.size, folder.slidedat, MOST_PAGES)
            for level in range(max(len(geometry.concats), sum(counts))):
                if level >= len(geometry.concats) and not index.has_level(level):
                    continue
                shape = _level_name(geometry, level)
                for records in index.level(level):
                    for _, offset, length, number in records.tolist():
                        if not 0 <= number < len(names) or min(offset, length) < 0:
                            raise Damage("corrupt", "an image lies in no data file")
                        yield PixelRun(shape, names[number], offset, length)
    except Damage as damage:
        raise UnscrubbableError(damage.detail) from None


def _level_name(geometry: Geometry, level: int) -> str:
    if level >= len(geometry.concats):
        return f"plane {level - len(geometry.concats)}"
    factor = geometry.concats[level] // geometry.concats[0]
    return f"level {level}, {max(1, geometry.width // factor)} x {max(1, geometry.height // factor)}"


# --- The folder --------------------------------------------------------------------------------------------------


def _open_folder(source: Source) -> _Folder | None:
    """The slide's folder; None if it, or ``Slidedat.ini`` in it, is not there."""
    path = source.local_path
    name = (path.rpartition(b"/")[2] if path is not None else source.name.encode())[: -len(".mrxs")]
    try:
        with source.beside(name + b"/Slidedat.ini") as file:
            raw = file.read_at(0, SLIDEDAT_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _Folder(name, parse(raw), raw)


@contextmanager
def _open(source: Source, folder: _Folder, name: str) -> Iterator[Source]:
    """A file of the folder; one that is not there is a missing companion."""
    try:
        opened = source.beside(folder.name + b"/" + name.encode())
    except (FileNotFoundError, NotADirectoryError):
        raise Damage("companion_missing", "a file that Slidedat.ini names is missing") from None
    with opened as file:
        yield file


def _open_index(source: Source, folder: _Folder) -> AbstractContextManager[Source]:
    name = folder.slidedat.text("HIERARCHICAL", "INDEXFILE")
    if not is_plain(name):
        raise Damage("corrupt", "Slidedat.ini names no index, or one in another folder")
    return _open(source, folder, name)


def _sizes(source: Source, folder: _Folder) -> dict[str, int | None]:
    """Size of each file that ``Slidedat.ini`` names, None for those that are not there."""
    section = folder.slidedat.sections.get("DATAFILE", {})
    named = {folder.slidedat.text("HIERARCHICAL", "INDEXFILE")}
    named.update(name for key, name in section.items() if re.fullmatch(r"FILE_\d{1,9}", key, re.ASCII))
    named = {name for name in named if is_plain(name)}
    if len(named) > MOST_FILES:
        raise Damage("corrupt", "Slidedat.ini names more files than any slide has")
    sizes: dict[str, int | None] = dict.fromkeys(sorted(named))
    for name in sizes:
        with suppress(Damage), _open(source, folder, name) as file:
            sizes[name] = file.size
    return sizes


# --- The header --------------------------------------------------------------------------------------------------


def _described(header: SlideHeader, slidedat: Slidedat) -> SlideHeader:
    """With what is not geometry."""
    power = slidedat.number("GENERAL", "OBJECTIVE_MAGNIFICATION")
    serials = (section.get("SCANNER_HARDWARE_ID", "") for section in slidedat.sections.values())
    texts = (slidedat.text("GENERAL", key) for key in _NUMBER_TEXTS)
    names = [slidedat.text("HIERARCHICAL", f"HIER_{level}_NAME") for level in range(MOST_LEVELS)]
    planes = [number for number, name in enumerate(names) if name == "Microscope focus level"]
    images = slidedat.sections.get("HIERARCHICAL", {}).values()
    return replace(
        header,
        scan_datetime=datetime_of(slidedat.text("GENERAL", "SLIDE_CREATIONDATETIME")),
        objective_power=power if power is not None and 0.1 <= power <= 1000 else None,
        scanner_serial=next((serial for serial in serials if serial), None),
        metadata_texts=tuple(dict.fromkeys(text for text in texts if text)),
        focal_planes=(slidedat.count("HIERARCHICAL", f"HIER_{planes[0]}_COUNT", 1 << 15) or None) if planes else None,
        has_label=LABEL in images,
        has_overview=OVERVIEW in images,
        has_thumbnail=THUMBNAIL in images,
    )


def _shaped(header: SlideHeader, slidedat: Slidedat, geometry: Geometry) -> SlideHeader:
    section = slidedat.text("HIERARCHICAL", "HIER_0_VAL_0_SECTION")
    mpp_x, mpp_y = (slidedat.number(section, f"MICROMETER_PER_PIXEL_{axis}") for axis in "XY")
    mpp_x, mpp_y = (mpp if mpp is not None and mpp > 0 else None for mpp in (mpp_x, mpp_y))
    header = replace(
        header,
        width=geometry.width,
        height=geometry.height,
        level_count=len(geometry.concats),
        level_downsamples=tuple(float(concat // geometry.concats[0]) for concat in geometry.concats),
        tile_width=geometry.tile_width,
        tile_height=geometry.tile_height,
        compression=COMPRESSIONS.get(geometry.format, "other"),
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        mpp_source=None if mpp_x is mpp_y is None else "vendor",
    )
    if geometry.format not in COMPRESSIONS:
        detail = "a compression that OpenSlide cannot decode"
        return replace(header, status="unsupported:mirax", status_detail=detail)
    return header


def _with_index(
    header: SlideHeader, folder: _Folder, geometry: Geometry, blocks: ifd.Blocks, sizes: Sequence[int]
) -> SlideHeader:
    """With what the index says of the images beside the pyramid and of the smallest level."""
    digest = hashlib.sha256(folder.raw + blocks.read_near(0, ifd.BLOCK_BYTES))
    header = replace(header, header_fingerprint=f"sha256:{digest.hexdigest()}")
    try:
        index = Index(blocks.read_near, blocks.size, folder.slidedat, HEADER_PAGES)
        records = first_records(index.level(len(geometry.concats) - 1), _HEADER_RECORDS)
        layers = [index.layer(number) for number in layer_numbers(folder.slidedat)]
    except Damage as damage:
        return replace(header, status=damage.status, status_detail=damage.detail)
    if not len(records):
        return replace(header, status="corrupt", status_detail="Index.dat has no image of the smallest level")
    bad = count_beyond(records, np.array(sizes, np.int64))
    beyond = sum(
        not (0 <= file < len(sizes) and offset >= 0 and 0 < length <= sizes[file] - offset)
        for offset, length, file in layers
    )
    shape = geometry.digest()
    shape.update(records[:, 2].astype("<i8").tobytes())
    fingerprint = f"sha256:{shape.hexdigest()}"
    header = replace(header, tiles_checked=len(records), tiles_bad=bad, shape_fingerprint=fingerprint)
    if empty := sum(size == 0 for size in sizes):
        return replace(header, status="truncated", status_detail=f"{empty} of {len(sizes)} data files are empty")
    if bad or beyond:
        detail = (
            f"{bad} of {len(records)} images of the smallest level and {beyond} of {len(layers)} other records do not lie "
            "within their data file"
        )
        return replace(header, status="truncated", status_detail=detail)
    return header

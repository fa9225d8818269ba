"""Aperio SVS: classic, the GT450's layout, and other makers' exports that call themselves Aperio (KFBIO, Motic).

Layout: "Aperio Digital Slides and Third-party Data Interchange" (Aperio, 2008), and OpenSlide's description of the format.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.slide import SlideHeader
from pathcurate.readers.tiff.description import (
    LABEL,
    OVERVIEW,
    THUMBNAIL,
    Description,
    geometry,
    has_shape,
    local_datetime,
    number,
    positive,
    pyramid,
)

VENDOR: Final = "aperio"
FORMAT: Final = "svs"

_DESCRIBED: Final = {"label": LABEL, "macro": OVERVIEW, "thumbnail": THUMBNAIL}
_NUMBER_KEYS: Final = frozenset(
    {"accession", "barcode id", "dsr id", "filename", "imageid", "labeltext", "slide", "slideid", "surgpathnum", "title"}
)
"""Aperio keys in which laboratories put their case number; names and birth dates have keys of their own."""


def matches(first: Directory) -> bool:
    """Whether the description begins with Aperio's name."""
    return first.raw_value(ifd.IMAGE_DESCRIPTION, 6) == b"Aperio"


def describe(directories: Sequence[Directory]) -> Description:
    """See :class:`pathcurate.readers.tiff.description.Dialect`."""
    levels = pyramid(directories)
    sizes = [geometry(level)[:2] for level in levels]
    planes = 0
    images: dict[str, Directory | None] = {}
    is_complete = True
    for index, directory in enumerate(directories):
        if directory.is_tiled and (size := geometry(directory)[:2]) in sizes:
            # Each focal plane has a pyramid of its own; label and overview follow the last of them.
            planes += size == sizes[0]
            continue
        kind = _kind(directory, is_second=index == 1, full=sizes[0] if sizes else (0, 0))
        if kind:
            images.setdefault(kind, directory)
        else:
            is_complete = False
    return Description(_identity(directories[0], planes), levels, images, is_complete)


def _kind(directory: Directory, *, is_second: bool, full: tuple[int, int]) -> str | None:
    """What an image beside the pyramid shows; ``full`` is the size of level 0.

    The second image is the thumbnail. Label and overview are named in the second line of their description in old files,
    and known only by NewSubfileType 1 and 9 in files from a GT450.
    """
    lines = directory.text(ifd.IMAGE_DESCRIPTION).splitlines()
    words = lines[1].split() if len(lines) > 1 else []
    if words and (described := _DESCRIBED.get(words[0].lower())):
        return described
    subfile = directory.first_int(ifd.NEW_SUBFILE_TYPE, 0)
    if subfile == 9:
        return OVERVIEW
    width, height, _, _ = geometry(directory)
    fits = bool(width and height and all(full)) and has_shape(width, height, full[0], full[1])
    if not directory.is_tiled and ((is_second and (fits or subfile != 1)) or "->" in words):
        return THUMBNAIL
    return LABEL if subfile == 1 else None


def _identity(first: Directory, planes: int) -> SlideHeader:
    description = first.text(ifd.IMAGE_DESCRIPTION)
    values = _values(description)
    mpp = positive(number(values.get("mpp")))
    texts = (value for key, value in values.items() if key.rpartition(".")[2] in _NUMBER_KEYS)
    model = re.match(r"Aperio Leica Biosystems (\S.{0,40}?) v\d", description)
    return SlideHeader(
        status="ok",
        format=FORMAT,
        vendor=VENDOR,
        scanner_model=values.get("scannertype") or (model[1] if model else None),
        scanner_serial=values.get("scanscope id") or values.get("scanner id"),
        scan_datetime=_scan_datetime(values.get("date", ""), values.get("time", "")),
        mpp_x=mpp,
        mpp_y=mpp,
        mpp_source=None if mpp is None else "vendor",
        objective_power=positive(number(values.get("appmag"))),
        focal_planes=planes or None,
        barcode=values.get("barcode"),
        label_text=values.get("labeltext") or values.get("customfield.labeltext"),
        metadata_texts=tuple(dict.fromkeys(texts)),
    )


def _values(description: str) -> Mapping[str, str]:
    """Aperio's ``...|Key = Value|...`` by lower-case key; the first segment is the software and geometry line.

    Split once at "=", since values may hold one; of a repeated key the first counts; empty values are left out.
    """
    values: dict[str, str] = {}
    for segment in description.split("|")[1:]:
        key, separator, value = segment.partition("=")
        if separator and value.strip():
            values.setdefault(key.strip().lower(), value.strip())
    return values


def _scan_datetime(date: str, time: str) -> datetime | None:
    """The scanner's clock: Date is month/day/year; "Time Zone" is left out, since other vendors give no zone either."""
    match = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})", date)
    if not match:
        return None
    month, day, year = map(int, match.groups())
    clock = re.fullmatch(r"(\d{1,2}):(\d{2}):(\d{2})", time)
    return local_datetime(year + 2000 if year < 100 else year, month, day, *(map(int, clock.groups()) if clock else ()))

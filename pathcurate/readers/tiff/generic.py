"""Pyramidal tiled TIFF that bears no vendor's mark, as vips, large_image or GDAL write it."""

from collections.abc import Sequence
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.slide import SlideHeader
from pathcurate.readers.tiff.description import (
    LABEL,
    OVERVIEW,
    THUMBNAIL,
    Description,
    pyramid,
    resolution_mpp,
    tiff_datetime,
)

VENDOR: Final = "generic-tiff"
FORMAT: Final = "tiff"

_DESCRIBED: Final = {"label": LABEL, "macro": OVERVIEW, "overview": OVERVIEW, "thumbnail": THUMBNAIL}
_MOST_PLAIN: Final = 200
"""A longer description is a converter's record, full of numbers that are nobody's case."""


def matches(first: Directory) -> bool:
    """Always: this is the dialect of what is left."""
    return True


def describe(directories: Sequence[Directory]) -> Description:
    """See :class:`pathcurate.readers.tiff.description.Dialect`."""
    levels = pyramid(directories)
    inside = set(map(id, levels))
    images: dict[str, Directory | None] = {}
    is_complete = True
    for directory in directories:
        if id(directory) in inside:
            continue
        words = directory.text(ifd.IMAGE_DESCRIPTION).split()
        kind = _DESCRIBED.get(words[0].lower()) if words else None
        if kind:
            images.setdefault(kind, directory)
        else:
            is_complete = False
    return Description(_identity(levels[0] if levels else directories[0]), levels, images, is_complete)


def _identity(level: Directory) -> SlideHeader:
    mpp_x, mpp_y = resolution_mpp(level, ifd.X_RESOLUTION), resolution_mpp(level, ifd.Y_RESOLUTION)
    make, model = level.text(ifd.MAKE), level.text(ifd.MODEL)
    description = level.text(ifd.IMAGE_DESCRIPTION)
    plain = description if len(description) <= _MOST_PLAIN and not description.startswith(("{", "<")) else ""
    texts = (level.text(ifd.DOCUMENT_NAME), level.text(ifd.PAGE_NAME), plain)
    return SlideHeader(
        status="ok",
        format=FORMAT,
        vendor=VENDOR,
        scanner_model=" ".join(filter(None, (make, model))) if model else None,
        scan_datetime=tiff_datetime(level),
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        mpp_source=None if mpp_x is mpp_y is None else "tiff_resolution",
        metadata_texts=tuple(dict.fromkeys(filter(None, texts))),
    )

"""Pyramidal TIFF that bears no vendor's mark: levels by shape, everything else beside them is sensitive."""

from collections.abc import Sequence
from typing import Final

from pathcurate import ifd
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.tiff.slide import Role, Slide, described, has_shape, pyramid, sides

HEAD_TEXT: Final = False


def roles(slide: Slide) -> Sequence[Role]:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    directories = slide.directories
    first = directories[0]
    if first.text(ifd.SOFTWARE).startswith("MedScan") or first.text(ifd.MAKE).startswith("Huron"):
        raise UnscrubbableError("a maker's TIFF whose texts say how its tiles lie")
    levels = pyramid(directories)
    full = max((sides(directories[index]) for index in levels), default=(0, 0))
    found = []
    for index, directory in enumerate(directories):
        word, size = described(directory), sides(directory)
        if index in levels:
            found.append(Role.LEVEL)
        elif word == "label":
            found.append(Role.LABEL)
        elif not directory.is_tiled and all(size) and all(full) and word in ("", "thumbnail") and has_shape(*size, *full):
            found.append(Role.THUMBNAIL)
        else:
            found.append(Role.GONE)
    return found


def clean(slide: Slide, index: int, tag: int, table: str, data: bytes) -> bytes | None:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`: nothing is known of what such texts hold."""
    return None

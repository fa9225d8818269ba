"""Ventana BIF and the TIFF of the same scanners: the first directory is the photo of the glass, label included.

Its XMP says what scanner it was, and readers know the format by it. So the directory stays, with a thumbnail made of the
smallest level in place of the photo. Sources: OpenSlide's description, Roche's BIF white paper.
"""

import re
from collections.abc import Sequence
from typing import Final

from pathcurate import ifd
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.tiff import markup
from pathcurate.scrubbers.tiff.slide import Role, Slide

HEAD_TEXT: Final = False
_LEVEL: Final = re.compile(r"level=([0-9]{1,3}) mag=([0-9.]{1,12})( quality=[0-9]{1,3})?")
_CARRIER: Final = b"Probability_Image\0"
"""The one description of a first directory that every reader takes for Ventana's, and none for a label."""


def roles(slide: Slide) -> Sequence[Role]:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    if b"<iScan" not in slide.directories[0].raw_value(ifd.XMP, 1 << 20):
        raise UnscrubbableError("its first directory does not bear Ventana's mark")
    found = []
    for directory in slide.directories:
        is_level = directory.is_tiled and "level=" in directory.text(ifd.IMAGE_DESCRIPTION)
        found.append(Role.LEVEL if is_level else Role.GONE)
    if found[0] is Role.GONE:
        found[0] = Role.CARRIER
    return found


def clean(slide: Slide, index: int, tag: int, table: str, data: bytes) -> bytes | None:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`: a level's line, or XML."""
    if tag == ifd.IMAGE_DESCRIPTION:
        line = data.partition(b"\0")[0].decode("utf-8", errors="replace").strip()
        if found := _LEVEL.match(line):
            slide.judge.gone("description", line[found.end() :])
            return found[0].encode() + b"\0"
        return _CARRIER if index == 0 else None
    made = markup.Filter(slide.judge, table, slide.place(index, tag)).filtered(markup.decoded(data))
    return made.encode() + b"\0" * data.endswith(b"\0")

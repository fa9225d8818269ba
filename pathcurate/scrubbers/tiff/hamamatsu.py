"""Hamamatsu NDPI: a level is known by its lens (tag 65421); the photo of the glass (-1) shows the label, the map (-2) too.

Every directory repeats the slide's name (65427), the scanner's serial number (65442), barcodes (65468 to 65475), the XML of
the label (65477) and a block of lines ``key=value`` (65449). Sources: OpenSlide's description of the format, Hamamatsu's
list of its tags (published with tifffile).
"""

import re
from collections.abc import Sequence
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import texts
from pathcurate.model.filerule import folded
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.tiff.markup import MOST_BYTES
from pathcurate.scrubbers.tiff.slide import Role, Slide

HEAD_TEXT: Final = False
_SOURCE_LENS: Final = 65421


def roles(slide: Slide) -> Sequence[Role]:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    if ifd.NDPI_MARK not in slide.directories[0]:
        raise UnscrubbableError("its first directory does not bear Hamamatsu's mark")
    lenses = [
        lens if (lens := directory.rational(_SOURCE_LENS)) is not None else directory.first_int(_SOURCE_LENS)
        for directory in slide.directories
    ]
    return [Role.LEVEL if lens is not None and lens > 0 else Role.GONE for lens in lenses]


def clean(slide: Slide, index: int, tag: int, table: str, data: bytes) -> bytes | None:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`: lines ``key=value``."""
    judge, place = slide.judge, slide.place(index, tag)
    text, _, more = data.partition(b"\0")
    judge.gone("description", texts.decode(more, MOST_BYTES + 1))
    made = []
    for number, line in enumerate(re.split(r"[\r\n]+", texts.decode(text, MOST_BYTES + 1)), 1):
        key, separator, value = line.partition("=")
        if not separator:
            judge.gone("description", line)
            continue
        if not value.strip():
            continue
        # Lines of a further block begin with a semicolon.
        name = key.strip().lstrip(";").strip()
        rule = judge.find(table, name, f"{place}, line {number}")
        if rule is None:
            continue
        kept = judge.value(rule, table, value.strip(), f"{place}, key {rule.name}")
        if kept is not None:
            made.append(f"{name if folded(rule.name) == folded(name) else rule.name.rstrip('*')}={kept}\r\n")
    return "".join(made).encode() + b"\0"

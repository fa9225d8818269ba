"""Aperio SVS: classic, the GT450's layout, and other makers' exports that call themselves Aperio (KFBIO, Motic).

Label and macro are known by the second line of their description in old files and by NewSubfileType 1 and 9 in those of a
GT450, which have no description; whatever else is no level and no thumbnail goes too. The order that readers expect stays:
level 0, thumbnail, smaller levels. Sources: Aperio Digital Slides and Third-party Data Interchange (2008), OpenSlide's
description of the format, openslide#297.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import Directory, texts
from pathcurate.model.filerule import folded
from pathcurate.model.filescrub import Deed, UnscrubbableError
from pathcurate.scrubbers.tiff.forms import words_of
from pathcurate.scrubbers.tiff.markup import MOST_BYTES
from pathcurate.scrubbers.tiff.slide import Role, Slide, described, has_shape, pyramid, sides

HEAD_TEXT: Final = False
_LEADING: Final = b"Aperio"
_GEOMETRY: Final = re.compile(
    r"\[[0-9]{1,7},[0-9]{1,7}|[\[(]?[0-9]{1,7}x[0-9]{1,7}[\])]?|->|-|q=[0-9]{1,3}|v?[0-9]{1,4}(\.[0-9]{1,6}){1,4}[a-z]?"
    r"|v[0-9]{1,4}",
    re.IGNORECASE,
)
"""What the first part of a description is made of beside words: sizes, origins, arrows, quality, versions."""
_LABEL, _OVERVIEW = 1, 9


def roles(slide: Slide) -> Sequence[Role]:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    directories = slide.directories
    if directories[0].raw_value(ifd.IMAGE_DESCRIPTION, 6) != _LEADING:
        raise UnscrubbableError("its first description is not Aperio's")
    levels = pyramid(directories)
    full = max((sides(directories[index]) for index in levels), default=(0, 0))
    return [
        Role.LEVEL if index in levels else _beside(directory, full, is_second=index == 1)
        for index, directory in enumerate(directories)
    ]


def _beside(directory: Directory, full: tuple[int, int], *, is_second: bool) -> Role:
    word, subfile = described(directory), directory.first_int(ifd.NEW_SUBFILE_TYPE, 0)
    if word == "label":
        return Role.LABEL
    if word in ("macro", "overview") or subfile == _OVERVIEW or directory.is_tiled:
        return Role.GONE
    width, height = sides(directory)
    if (is_second or word == "thumbnail") and width and height and all(full) and has_shape(width, height, *full):
        return Role.THUMBNAIL
    return Role.LABEL if subfile == _LABEL else Role.GONE


def clean(slide: Slide, index: int, tag: int, table: str, data: bytes) -> bytes | None:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`: ``Aperio ... |key = value|...``."""
    text, _, more = data.partition(b"\0")
    judge, place = slide.judge, slide.place(index, tag)
    judge.gone("description", texts.decode(more, MOST_BYTES + 1))
    head, *segments = texts.decode(text, MOST_BYTES + 1).split("|")
    made = [_head(slide, head, place)]
    for number, (key, value) in enumerate(_pairs(segments, lambda lost: judge.gone("description", lost)), 1):
        rule = judge.find(table, key, f"{place}, key {number}") if value else None
        if rule is None:
            continue
        kept = judge.value(rule, table, value, f"{place}, key {rule.name}")
        if kept is not None:
            # Under a rule for a beginning the rest of a key is anybody's.
            made.append(f"{key if folded(rule.name) == folded(key) else rule.name.rstrip('*')} = {kept}")
    return "|".join(made).encode() + b"\0"


def _pairs(segments: Sequence[str], lose: Callable[[str], None]) -> list[tuple[str, str]]:
    """Keys with their values; a segment without "=" is the rest of a value that held "|"."""
    found: list[tuple[str, str]] = []
    for segment in segments:
        key, separator, value = segment.partition("=")
        if separator and key.strip():
            found.append((key.strip(), value.strip()))
        elif not segment.strip(" ="):
            continue
        elif found:
            lose(segment.strip())
            lose(f"{found[-1][1]}|{segment.strip()}")
        else:
            lose(segment.strip())
    return found


def _head(slide: Slide, head: str, place: str) -> str:
    """The software and geometry of a description, without any word that is not known to be part of them."""
    judge = slide.judge
    words = words_of(judge.job.rules, "words")
    lines = []
    lost = False
    for line in re.split(r"(\r?\n|;)", head):
        if line in ("\n", "\r\n", ";"):
            lines.append(line)
            continue
        kept = []
        for token in line.split(" "):
            is_known = folded(token) in words and not judge.holds_known(token)
            is_size = _GEOMETRY.fullmatch(token) is not None and ("x" in token or not judge.holds_known(token))
            if not token or is_known or is_size:
                kept.append(token)
            else:
                judge.gone("description", token)
                lost = True
        lines.append(" ".join(kept))
    if lost:
        judge.note(f"{place}, first line", Deed.REMOVE, "words", "words")
    made = "".join(lines)
    # Readers know the format by this word, which no rule can take away.
    return made if made.startswith("Aperio") else f"Aperio {made}"

"""What a slide's own names say: accession numbers with their source, specimen, block, stain, control."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pathcurate.digests import canonical_json
from pathcurate.storage import path_text
from pathcurate.text.accession import AccessionKey, AccessionPatterns, fold, without_uuids
from pathcurate.text.vocabulary import vocabulary

_CONTROL = re.compile(r"对照|質控|质控|(?<![A-Z])CONTROLS?(?![A-Z])")
_BLOCK = re.compile(r"[ _]+(?P<specimen>[A-Z])(?P<block>\d{1,2})(?![0-9A-Z])")
SOURCES = ("barcode", "label", "metadata", "file_name", "folder")
"""Where a number can stand, best first. ``file_name`` and ``folder`` are one witness: the same person typed both."""


_VERSION = 1
"""Raised when names are read otherwise than before, so that those of known slides are read again."""


def names_rules(patterns: Sequence[str]) -> str:
    """Digest (16 hexadecimal digits) of everything that decides what :func:`read_names` says of a name."""
    words = [sorted(vocabulary(name).words.items()) for name in ("stains", "preparations")]
    return hashlib.sha256(canonical_json([_VERSION, list(patterns), words])).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class NamedKey:
    """An accession number, where it stood, and the text around it."""

    key: str
    specimen: str | None
    block: str | None
    source: str
    raw: str


@dataclass(frozen=True, slots=True)
class SlideNames:
    """What the names of one slide say; the best source that says a thing decides it.

    Attributes:
        keys: accession numbers, by source in the order of :data:`SOURCES`.
        accession_raw: the text in which the first of them was found.
        specimen: specimen letter.
        block: block number.
        stain_raw: the text in which a stain was found.
        stain: canonical stain.
        preparation: paraffin, frozen or cytology.
        is_control: whether a name marks a control slide.
    """

    keys: tuple[NamedKey, ...]
    accession_raw: str | None
    specimen: str | None
    block: str | None
    stain_raw: str | None
    stain: str | None
    preparation: str | None
    is_control: bool


def read_names(
    relpath: bytes,
    barcode: str | None,
    label_text: str | None,
    metadata_texts: Sequence[str] | None,
    patterns: AccessionPatterns,
) -> SlideNames:
    """Read the names of a slide.

    Args:
        relpath: path below the archive root.
        barcode: barcode from the header.
        label_text: label text from the header.
        metadata_texts: other header texts that may hold the laboratory's number.
        patterns: the site's accession patterns.
    """
    keys: list[NamedKey] = []
    stain_raw = stain = preparation = None
    is_control = False
    for source, text in _texts(relpath, barcode, label_text, metadata_texts or ()):
        said = _read_text(text, patterns)
        keys += [NamedKey(key, specimen, block, source, text) for key, specimen, block in said.keys]
        if stain is None and said.stain is not None:
            stain, stain_raw = said.stain, text
        preparation = preparation or said.preparation
        is_control = is_control or said.is_control
    named = next((key for key in keys if key.specimen), None)
    distinct: dict[tuple[str, str], NamedKey] = {}
    for one in keys:
        if distinct.setdefault((one.key, one.source), one).specimen is None and one.specimen:
            distinct[one.key, one.source] = one
    return SlideNames(
        tuple(distinct.values()),
        keys[0].raw if keys else None,
        named.specimen if named else None,
        named.block if named else None,
        stain_raw,
        stain,
        preparation,
        is_control,
    )


class _Said(NamedTuple):
    """What one text says: numbers with specimen and block, stain, preparation, whether it speaks of a control."""

    keys: tuple[tuple[str, str | None, str | None], ...]
    stain: str | None
    preparation: str | None
    is_control: bool


@lru_cache(maxsize=8192)
def _read_text(text: str, patterns: AccessionPatterns) -> _Said:
    # Remembered, because the slides of a case share their folders, and those of a scanner many of their header's texts.
    folded = fold(text)
    # Numbers are blanked first: the "HE" in "S23-00123-HE" is a stain, the "ER" of a prefix is none.
    rest = without_uuids(folded)
    keys = []
    for key in patterns.find(text):
        specimen, block = _part(key, folded)
        keys.append((key.key, specimen, block))
        end = key.number_end if key.specimen and not specimen else key.end
        rest = rest[: key.start] + " " * (end - key.start) + rest[end:]
    is_control = _CONTROL.search(folded) is not None
    return _Said(tuple(keys), vocabulary("stains").first(rest), vocabulary("preparations").first(rest), is_control)


def _part(key: AccessionKey, folded: str) -> tuple[str | None, str | None]:
    """Specimen and block that stand with a number."""
    specimen, block = key.specimen, key.block
    if specimen is None and (behind := _BLOCK.match(folded[key.end :])):
        specimen, block = behind["specimen"], behind["block"]
    # "S2300124 A1 HE" and "S23-00124-A1" name block A1; "S2300124 P53" and "S23-00124-P53" name a stain.
    if specimen is not None and vocabulary("stains").exact(specimen + (block or "")) is not None:
        return None, None
    return specimen, block


def _texts(
    relpath: bytes, barcode: str | None, label_text: str | None, metadata_texts: Sequence[str]
) -> Iterator[tuple[str, str]]:
    if barcode:
        yield "barcode", barcode
    if label_text:
        yield "label", label_text
    for text in metadata_texts:
        yield "metadata", text
    *folders, name = [path_text(part) for part in relpath.split(b"/")]
    stem, dot, _ = name.rpartition(".")
    yield "file_name", stem if dot else name
    # The nearest folder first: a case's own folder says more than a year's.
    for folder in reversed(folders):
        yield "folder", folder

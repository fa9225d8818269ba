"""What a slide's own names say: accession numbers with their source, specimen, block, stain, organ, control."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pathcurate.digests import canonical_json
from pathcurate.storage import path_text
from pathcurate.text.accession import AccessionKey, AccessionPatterns, fold, without_uuids
from pathcurate.text.slidewords import organ_of, says_else, stain_length, stain_of, words_digest
from pathcurate.text.vocabulary import vocabulary

_CONTROL = re.compile(r"对照|質控|质控|(?<![A-Z])CONTROLS?(?![A-Z])")
# X20 and X40 are magnifications.
_BLOCK = re.compile(r"[ _;:,(]+(?!X[1246]0(?!\d))(?P<specimen>[A-Z])[-_]?(?P<block>\d{1,2})(?![0-9A-Z])")
_NAMED_BLOCK = re.compile(
    r"(?:蜡块|块号|取材号|(?<![A-Z])BLOCK)(?:号|:|#|NO\.?|[ _-])*(?P<specimen>[A-Z])?-?(?P<block>\d{1,3})(?![0-9A-Z])"
)
# The letters of specimens, without those of a level (L), a version (V), a rescan (R), a slide (S) or a magnification (X).
_BARE_BLOCK = re.compile(r"(?:^|[ _;,(+])(?P<specimen>[A-K])-?(?P<block>\d{1,2})(?=$|[ _;,)+.-])")
# The barcode of a slide of The Cancer Genome Atlas (docs.gdc.cancer.gov, Encyclopedia, TCGA Barcode): diagnostic, or top,
# middle or bottom frozen section. Its other parts are codes too: HE and A1 are places that sent tissue.
_TCGA = re.compile(r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}(?:-[0-9]{2}[A-Z]-[0-9]{2}-(?P<kind>DX|[TMB]S)[0-9A-Z]{1,2}(?![0-9A-Z]))?")
_OF_TCGA = {"DX": "FFPE", "TS": "frozen", "MS": "frozen", "BS": "frozen"}
_LONGEST_STAIN = 24
# "He Xiaohong" is a person; the stain is written HE or he.
_SURNAME = re.compile(r"(?<![A-Za-z])He(?=[ _.-]?[A-Z][a-z]+(?![a-z]))(?![ _.-]?(?:Stain|Scan|Copy|Slide))")
SOURCES = ("barcode", "label", "metadata", "file_name", "folder")
"""Where a number can stand, best first. ``file_name`` and ``folder`` are one witness: the same person typed both."""


_VERSION = 2
"""Raised when names are read otherwise than before, so that those of known slides are read again."""


def names_rules(patterns: Sequence[str]) -> str:
    """Digest (16 hexadecimal digits) of everything that decides what :func:`read_names` says of a name."""
    return hashlib.sha256(canonical_json([_VERSION, list(patterns), words_digest()])).hexdigest()[:16]


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
        organ: canonical organ.
        is_control: whether a name marks a control slide.
    """

    keys: tuple[NamedKey, ...]
    accession_raw: str | None
    specimen: str | None
    block: str | None
    stain_raw: str | None
    stain: str | None
    preparation: str | None
    organ: str | None
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
    texts = _texts(relpath, barcode, label_text, metadata_texts or ())
    said = [(source, text, _read_text(text, patterns)) for source, text in texts]
    for source, text, one in said:
        keys += [NamedKey(key, specimen, block, source, text) for key, specimen, block in one.keys]
    distinct: dict[tuple[str, str], NamedKey] = {}
    for key in keys:
        if _says_more(key, distinct.setdefault((key.key, key.source), key)):
            distinct[key.key, key.source] = key
    # A folder is of many slides: of itself it names no block, and a short word in it is a stain only among stains.
    among_stains = any(one.speaks_of_stains for _, _, one in said)
    stains = (
        (one.stain, text) for source, text, one in said
        if one.stain is not None and not (source == "folder" and one.is_weak and not (one.keys or among_stains))
    )  # fmt: skip
    stain, stain_raw = next(stains, (None, None))
    specimen, block = _best_part(keys, (one.part for source, _, one in said if source != "folder"))
    return SlideNames(
        tuple(distinct.values()),
        keys[0].raw if keys else None,
        specimen,
        block,
        stain_raw,
        stain,
        next((one.preparation for _, _, one in said if one.preparation), None),
        next((one.organ for _, _, one in said if one.organ), None),
        any(one.is_control for _, _, one in said),
    )


def _says_more(one: NamedKey, other: NamedKey) -> bool:
    """Whether of two places of one number the first names a specimen that the other leaves out, or its block."""
    if one.specimen is None or other.specimen is None:
        return one.specimen is not None
    return one.specimen == other.specimen and one.block is not None and other.block is None


_Part = tuple[str | None, str | None]


def _best_part(keys: Sequence[NamedKey], bare: Iterable[_Part | None]) -> _Part:
    """Specimen and block: what stands with a number, else what stands alone in a name."""
    named = next((key for key in keys if key.specimen), None)
    alone = next(filter(None, bare), None)
    if named is None:
        return alone or (None, None)
    with_block = next((key for key in keys if key.key == named.key and _says_more(key, named)), named)
    if with_block.block is None and alone is not None and alone[0] == with_block.specimen:
        return alone
    return with_block.specimen, with_block.block


class _Said(NamedTuple):
    """What one text says.

    Attributes:
        keys: numbers with specimen and block.
        part: specimen and block that stand apart from a number.
        stain: canonical stain.
        is_weak: whether the stain's word means other things as often.
        speaks_of_stains: whether the text says that it names a stain.
        preparation: how the tissue was prepared.
        organ: canonical organ.
        is_control: whether it speaks of a control.
    """

    keys: tuple[tuple[str, str | None, str | None], ...]
    part: _Part | None
    stain: str | None
    is_weak: bool
    speaks_of_stains: bool
    preparation: str | None
    organ: str | None
    is_control: bool


@lru_cache(maxsize=8192)
def _read_text(text: str, patterns: AccessionPatterns) -> _Said:
    # Remembered, because the slides of a case share their folders, and those of a scanner many of their header's texts.
    folded = fold(text)
    # Numbers are blanked first: the "HE" in "S23-00123-HE" is a stain, the "ER" of a prefix is none.
    rest = without_uuids(folded)
    keys = []
    for key in patterns.find(text):
        specimen, block = part_beside(key, folded)
        keys.append((key.key, specimen, block))
        rest = _blanked(rest, key.start, key.number_end if key.specimen and not specimen else key.end)
    tcga = _TCGA.search(folded)
    if tcga is not None:
        rest = _blanked(rest, *tcga.span())
    for name in _SURNAME.finditer(text) if len(rest) == len(text) else ():
        rest = _blanked(rest, *name.span())
    part = _bare_part(rest) if keys or not says_else(rest) else _block(_NAMED_BLOCK, rest)
    stain = stain_of(rest, has_number=bool(keys))
    preparation = _OF_TCGA[tcga["kind"]] if tcga and tcga["kind"] else vocabulary("preparations").first(rest)
    is_control = _CONTROL.search(folded) is not None
    return _Said(tuple(keys), part, *stain, preparation, organ_of(rest), is_control)


def _blanked(text: str, start: int, end: int) -> str:
    return text[:start] + " " * (end - start) + text[end:]


def part_beside(key: AccessionKey, folded: str) -> _Part:
    """Specimen and block that stand with a number."""
    specimen, block, behind = key.specimen, key.block, folded[key.number_end :].lstrip("-")
    if specimen is None and (apart := _BLOCK.match(folded, key.end)):
        specimen, block, behind = apart["specimen"], apart["block"], folded[apart.start("specimen") :]
    # "S2300124 A1 HE" and "S23-00124-A1" name block A1; "S2300124 P53", "S23-00124-P53" and "S23-00124-H-E" name a stain.
    if specimen is not None and stain_length(behind[:_LONGEST_STAIN]) >= len(specimen + (block or "")):
        return None, None
    return specimen, block


def _bare_part(rest: str) -> _Part | None:
    """Specimen and block in a text whose numbers are blanked; None if it names none, or more than one."""
    return _block(_NAMED_BLOCK, rest) or _block(_BARE_BLOCK, rest)


def _block(pattern: re.Pattern[str], rest: str) -> _Part | None:
    found = {(match["specimen"], match["block"].lstrip("0")) for match in pattern.finditer(rest)}
    return found.pop() if len(found) == 1 and all(block for _, block in found) else None


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

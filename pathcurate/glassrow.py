"""What a row of another system's table says of a block or glass: its case, specimen and block, stain."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pathcurate.model.finding import Severity
from pathcurate.rowtable import RULES, Line, Trouble
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.blocklabels import BlockLabel, behind_number, keys_in, read_label, read_label_of
from pathcurate.text.vocabulary import vocabulary

_LONGEST = 500
"""Signs of a cell that can name a stain, or part of one in which words are looked for."""

GLASS_RULES: Mapping[str, tuple[Severity, str]] = {
    **RULES,
    "two_cases": (Severity.WARNING, "rows whose glass bears the number of another case than the row; the row's is taken"),
    "two_specimens": (Severity.WARNING, "rows that name two specimens, of which neither is taken, nor a block"),
    "unknown_stain": (Severity.INFO, "stains that no vocabulary knows, kept as they were written"),
}


@dataclass(frozen=True, slots=True)
class GlassCase:
    """The case of a row, and what the row's numbers say of specimen and block.

    Attributes:
        accession: the number in normal form.
        accession_raw: the number as exported; None if it was taken from the glass's own.
        label: specimen and block that stand with the glass's number.
    """

    accession: str | None
    accession_raw: str | None
    label: BlockLabel


def read_case(line: Line, trouble: Trouble, patterns: AccessionPatterns, glass: str | None) -> GlassCase:
    """The case that a row names, in a column of its own or in the number of its glass.

    Args:
        line: the row.
        trouble: counts what is not understood.
        patterns: the site's.
        glass: the number or barcode of the glass.
    """
    raw = trouble.number(line, "accession")
    # A barcode may be read in two ways, of which the first is taken, as of a number in a column of its own.
    found = next(iter(keys_in(glass, patterns)), None) if glass and not raw else None
    accession = _normal(raw, patterns) if raw else found.key if found else None
    rest = behind_number(glass, raw or accession, accession, patterns) if glass and accession else None
    if rest is None and glass and raw and keys_in(glass, patterns):
        trouble.add("two_cases", line.number)
    return GlassCase(accession, raw, _glass_label(rest) or BlockLabel(None, None))


@lru_cache(maxsize=8192)
def _normal(number: str, patterns: AccessionPatterns) -> str:
    """A case's number in normal form; remembered, because a case has several rows."""
    return patterns.normalise(number)


def _glass_label(rest: str | None) -> BlockLabel | None:
    """Specimen and block behind the case's number in a glass's: a number alone is that of the glass, and P53 a stain."""
    label = read_label(rest) if rest else None
    if label is None or rest is None or label.specimen is None:
        return None
    is_stain = len(label.block or "") > 1 and vocabulary("stains").exact(rest) is not None
    return None if is_stain else label


def read_part(line: Line, trouble: Trouble, patterns: AccessionPatterns, case: GlassCase) -> dict[str, str | None]:
    """``specimen`` and ``block`` of a row: as its own columns say, else as the number of the glass does."""
    labels = []
    for name in ("block", "specimen"):
        text = line.texts.get(name)
        label = _label(text, patterns, case) if text else None
        if name == "specimen" and label is not None and label.specimen is None:
            label = None
        # Such a column often names the part of the body instead.
        if text and label is None and not first_word("organs", text):
            trouble.add("not_understood", line.number, name)
        labels.append(label)
    own, specimen = labels
    letters = {label.specimen for label in labels if label is not None and label.specimen}
    if len(letters) > 1:
        trouble.add("two_specimens", line.number)
        return {}
    block = (own.block if own else None) or (specimen.block if specimen else None)
    if not letters and block is None:
        return {"specimen": case.label.specimen, "block": case.label.block}
    letter = next(iter(letters), None)
    # The glass's number adds what the columns leave out, if it does not say otherwise.
    if letter is None and block == case.label.block:
        letter = case.label.specimen
    if block is None and letter == case.label.specimen:
        block = case.label.block
    return {"specimen": letter, "block": block}


def _label(text: str, patterns: AccessionPatterns, case: GlassCase) -> BlockLabel | None:
    if case.accession is None:
        return read_label(text)
    return read_label_of(text, case.accession_raw or case.accession, case.accession, patterns)


def read_stain(line: Line, trouble: Trouble) -> dict[str, Any]:
    """``stain_raw``, and ``stain`` where a vocabulary knows it, by its whole text or by the first word that it knows."""
    text = line.texts.get("stain")
    if not text:
        return {}
    stain = _stain(text) if len(text) <= _LONGEST else None
    if stain is None:
        trouble.add("unknown_stain", line.number, "stain")
    return {"stain_raw": text, "stain": stain}


@lru_cache(maxsize=8192)
def _stain(text: str) -> str | None:
    return vocabulary("stains").exact(text) or vocabulary("stains").first(text)


def first_word(name: str, text: str | None) -> str | None:
    """The code of the first word of a vocabulary in a cell."""
    return _first(name, text[:_LONGEST]) if text else None


@lru_cache(maxsize=8192)
def _first(name: str, text: str) -> str | None:
    # Remembered, because few texts stand in most cells.
    return vocabulary(name).first(text)

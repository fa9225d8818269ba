"""Specimen and block as laboratories write them in cells of their own: A1, A-01, 蜡块A1, 2号, S23-00123-A1, A1（左乳）."""

import re
from dataclasses import dataclass
from functools import lru_cache

from pathcurate.text.accession import AccessionKey, AccessionPatterns, fold

_WORDS = r"(?:(?:蜡块|组织块|包埋盒|标本|部位|材料|BLOCK|BLK|CASSETTE|SPECIMEN|PART|NO|第)[号编:.]*|[#№\s])*"
# What stands behind is a name, not another label: of "A1,A2" and "1A" nobody can tell which block is meant.
_NAME = r"[\s(:、,;.]*(?P<name>[\u3400-\u9fff].*|[A-Z]{3}.*)"
_LABEL = re.compile(
    rf"{_WORDS}(?:(?P<specimen>[A-Z])(?![A-Z]))?[\s._-]*(?:0*(?P<block>[0-9]{{1,3}})(?![0-9])(?:\.0+(?![0-9]))?)?"
    rf"(?P<slide>(?<=[0-9])-[0-9]{{1,2}}(?![0-9]))?[号块组#]*(?:{_NAME})?[\s).:]*",
    re.DOTALL,
)
_SECOND = re.compile(r"(?<![A-Z])[A-Z]-?[0-9]{1,3}(?![0-9])")
_DIGITS = re.compile(r"[0-9]+")
_LONGEST = 200
_NUMBER_SIGNS = 4
"""A number that is shorter could begin a label by chance."""


@dataclass(frozen=True, slots=True)
class BlockLabel:
    """What a cell says.

    Attributes:
        specimen: letter of the specimen.
        block: number of the block, without leading zeros.
    """

    specimen: str | None
    block: str | None


def read_label(text: str) -> BlockLabel | None:
    """Specimen and block that a cell names; None if it names neither, or may mean several.

    A letter alone is a specimen, a number alone a block. What is written behind, as the name of the part, is left out.
    """
    return _label(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=8192)
def _label(text: str) -> BlockLabel | None:
    folded = fold(text).strip()
    match = _LABEL.fullmatch(folded)
    if match is None or _SECOND.search(match["name"] or ""):
        return None
    specimen, block = match["specimen"], match["block"]
    # Of 1-2 nobody can tell whether it is specimen and block, or block and slide.
    if (specimen is None and (block is None or match["slide"])) or block == "0":
        return None
    return BlockLabel(specimen, block)


def read_label_of(text: str, number: str, accession: str, patterns: AccessionPatterns) -> BlockLabel | None:
    """As :func:`read_label`, of a cell that may repeat the case's number before specimen and block.

    Args:
        text: the cell.
        number: the case's number, as the same row has it.
        accession: the number in normal form.
        patterns: the site's.

    Returns:
        None also if the cell names another case.
    """
    rest = behind_number(text, number, accession, patterns)
    if rest is None:
        return _label(text) if len(text) <= _LONGEST and not keys_in(text, patterns) else None
    # Nothing at all behind the number names no block, which is no fault.
    return read_label(rest) if rest else BlockLabel(None, None)


def behind_number(text: str, number: str, accession: str, patterns: AccessionPatterns) -> str | None:
    """What stands behind a case's number, without the separators between; None if the text does not hold that number."""
    if len(text) > _LONGEST:
        return None
    folded, own = fold(text).strip(), fold(number).strip()
    if len(own) >= _NUMBER_SIGNS and folded.startswith(own) and not folded[len(own) : len(own) + 1].isdigit():
        return folded[len(own) :].strip(" -_/.")
    # In whatever form, a number holds the last digits of its normal form; most cells hold another text.
    digits = _DIGITS.findall(accession)
    if digits and digits[-1].lstrip("0") not in folded:
        return None
    key = next((key for key in keys_in(folded, patterns) if key.key == accession), None)
    return None if key is None else folded[key.number_end :].strip(" -_/.")


@lru_cache(maxsize=8192)
def keys_in(text: str, patterns: AccessionPatterns) -> tuple[AccessionKey, ...]:
    """The numbers of cases in a cell; remembered, because the same few labels stand in most cells, and cases in several."""
    return tuple(patterns.find(text))

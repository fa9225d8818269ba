"""Words of stains and organs in the names of slides and folders, where also people, projects, rooms and dates stand."""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from pathcurate.text.vocabulary import FoundWord, fold_words, vocabulary

_TERMS: Final = Path(__file__).with_name("terms") / "slide_names.yaml"
_VOCABULARIES: Final = ("stains", "preparations", "organs")

_BLOCK_LIKE: Final = re.compile(r"[a-z][- ]?\d{1,3}")
_MARKER_LIKE: Final = re.compile(r"p[- ]?\d{2,3}|s[- ]?100")
"""Of all words of one letter and a number only these are markers in a name: C3, F8 and L26 are blocks and levels."""
_SHORT: Final = re.compile(r"[a-z]{1,2}")
_FOREIGN: Final = re.compile(r"[a-z]{2,}|[a-z\d]{4,}|\d{3,}|[\u3400-\u9fff]")
_OF_STAINS: Final = re.compile(
    r"(?<![a-z])(?:ihc|stains?|staining|immuno[a-z]*|controls?)(?![a-z])|免疫|免组|染色|特染|对照|质控"
)
_HAEMATOXYLIN: Final = re.compile(r"h(?:ae?|e|ä|é)matox[yi]lin|苏木[精素]")
_EOSIN: Final = re.compile(r"[eé]osin(?!oph)|伊红|曙红")
_PLACE: Final = re.compile(
    r"[\u3400-\u9fff]*(?:医院|病院|卫生[院所]|保健院|诊所|门诊|中心|研究[所院]|科室|[内外]科|学院|大学|公司|病区|病房|科)"
    r"|(?:[a-z]+[ -]){0,4}(?:hospital|clinic|cent(?:er|re)|institute|department|dept|ward|university|foundation)(?![a-z])"
)
"""Names of hospitals and departments, which name organs that they treat; in Chinese up to the last such word of a run."""


class StainWord(NamedTuple):
    """A stain found in a text.

    Attributes:
        stain: canonical stain; None if none was found.
        is_weak: whether its word means other things as often.
        speaks_of_stains: whether the text says that it names a stain.
    """

    stain: str | None
    is_weak: bool
    speaks_of_stains: bool


def stain_of(text: str, *, has_number: bool) -> StainWord:
    """The stain that a name speaks of.

    Args:
        text: a name whose accession numbers and UUIDs are blanked.
        has_number: whether it has an accession number, so that it is the name of a slide or a case.
    """
    folded = fold_words(text)
    speaks = _OF_STAINS.search(folded) is not None
    if _HAEMATOXYLIN.search(folded) and _EOSIN.search(folded):
        return StainWord("HE", is_weak=False, speaks_of_stains=speaks)
    found = list(_stain_words(folded))
    weak = [_is_weak(folded[word.start : word.end]) for word in found]
    for word, is_weak in zip(found, weak, strict=True):
        if not is_weak:
            return StainWord(word.code, is_weak=False, speaks_of_stains=speaks)
    if found and (has_number or speaks or not _says_else(folded, found)):
        return StainWord(found[0].code, is_weak=True, speaks_of_stains=speaks)
    return StainWord(None, is_weak=False, speaks_of_stains=speaks)


def organ_of(text: str) -> str | None:
    """The organ that a name speaks of, but not that of which a hospital or a department has its name."""
    folded = _PLACE.sub(lambda place: " " * len(place[0]), fold_words(text))
    words = vocabulary("organs").found(folded)
    return next((word.code for word in words if folded[word.start : word.end] not in _terms()["no_organs"]), None)


def stain_length(text: str) -> int:
    """How many characters of a text are the stain's word with which it begins; 0 if it begins with none."""
    word = next(_stain_words(fold_words(text)), None)
    return word.end if word is not None and word.start == 0 else 0


def says_else(text: str) -> bool:
    """Whether there is more than stains, blocks and small numbers in a text."""
    folded = fold_words(text)
    return _says_else(folded, list(_stain_words(folded)))


@cache
def words_digest() -> str:
    """Digest of all words that decide what a name says."""
    words = [sorted(vocabulary(name).words.items()) for name in _VOCABULARIES]
    terms = [(name, sorted(listed)) for name, listed in sorted(_terms().items())]
    return hashlib.sha256(repr((words, terms)).encode()).hexdigest()


def _stain_words(folded: str) -> Iterator[FoundWord]:
    for word in vocabulary("stains").found(folded):
        text = folded[word.start : word.end]
        if not _BLOCK_LIKE.fullmatch(text) or _MARKER_LIKE.fullmatch(text):
            yield word


def _is_weak(word: str) -> bool:
    return word in _terms()["weak_stains"] or (word != "he" and _SHORT.fullmatch(word) is not None)


def _says_else(folded: str, found: list[FoundWord]) -> bool:
    rest = list(folded)
    for word in found:
        rest[word.start : word.end] = " " * (word.end - word.start)
    return _FOREIGN.search("".join(rest)) is not None


@cache
def _terms() -> dict[str, frozenset[str]]:
    listed: dict[str, list[str]] = yaml.safe_load(_TERMS.read_text(encoding="utf-8"))
    return {name: frozenset(map(fold_words, words)) for name, words in listed.items()}

"""Vocabularies: canonical codes and the words that mean them, in Chinese and English, shipped as YAML."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from ahocorasick_rs import AhoCorasick

_DIRECTORY = Path(__file__).with_name("vocabularies")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_SEAM = re.compile(r"(?<=[a-z])[- ]?(?=\d)")


class FoundWord(NamedTuple):
    """Where a word of a vocabulary stands in a folded text, and what it means."""

    start: int
    end: int
    code: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A closed set of codes with their words.

    Attributes:
        name: file name without its ending.
        codes: the codes in file order.
        words: folded word or phrase to code.
        automaton: finds every word in a folded text.
    """

    name: str
    codes: tuple[str, ...]
    words: Mapping[str, str]
    automaton: AhoCorasick = field(compare=False, repr=False)

    def exact(self, text: str | None) -> str | None:
        """The code that a whole text means, None if it means none."""
        return self.words.get(fold_words(text)) if text else None

    def first(self, text: str | None) -> str | None:
        """The code of the first word found in a text, None if there is none."""
        found = next(self.found(fold_words(text)), None) if text else None
        return found.code if found else None

    def found(self, folded: str) -> Iterator[FoundWord]:
        """The words in a folded text from left to right, the longest where several begin, none inside another.

        Args:
            folded: see :func:`fold_words`.
        """
        matches = self.automaton.find_matches_as_indexes(folded, overlapping=True)
        position = 0
        for start, end in sorted(((start, end) for _, start, end in matches), key=lambda span: (span[0], -span[1])):
            if start >= position and _stands_alone(folded, start, end):
                yield FoundWord(start, end, self.words[folded[start:end]])
                position = end


@cache
def vocabulary(name: str) -> Vocabulary:
    """A shipped vocabulary by name.

    Raises:
        KeyError: there is none of this name.
    """
    words = _words(_entries(name))
    if name == "stains":
        words |= _marker_words(words)
    return Vocabulary(name, codes(name), words, AhoCorasick(tuple(words)))


def every_spelling(words: Mapping[str, str]) -> dict[str, str]:
    """Words and, of those in which a number follows letters, all spellings: CD20, CD-20, CD 20."""
    spelt = dict(words)
    for word, code in words.items():
        for sign in ("", "-", " "):
            spelt.setdefault(_SEAM.sub(sign, word, count=1), code)
    return spelt


def _marker_words(stains: Mapping[str, str]) -> list[tuple[str, str]]:
    """What `markers` adds to `stains`: a marker whose name is a stain's word there lends that stain its spellings, and any
    other marker is the stain ``IHC:`` and its name. A word that `stains` has itself means what it means there.
    """
    added = []
    for word, marker in every_spelling(vocabulary("markers").words).items():
        code = stains.get(fold_words(marker), f"IHC:{marker}")
        # A file name cannot hold a slash: CK5/6 is CK5-6 or CK5_6 there.
        spelt = (word, *(word.replace("/", sign) for sign in ("-", " ", "")), fold_words(code))
        added += [(one, code) for one in dict.fromkeys(spelt) if one not in stains]
    return added


@cache
def vocabulary_names() -> tuple[str, ...]:
    """Names of all shipped vocabularies."""
    return tuple(sorted(path.stem for path in _DIRECTORY.glob("*.yaml")))


@cache
def codes(name: str) -> tuple[str, ...]:
    """The codes of a shipped vocabulary, without its words, which take ten times as long to make ready.

    Raises:
        KeyError: there is none of this name.
    """
    entries = _entries(name)
    if name != "stains":
        return tuple(entries)
    words = _words(entries)
    markers = (words.get(fold_words(marker), f"IHC:{marker}") for marker in _entries("markers"))
    return tuple(dict.fromkeys((*entries, *markers)))


def all_codes() -> dict[str, tuple[str, ...]]:
    """Codes of every shipped vocabulary by name."""
    return {name: codes(name) for name in vocabulary_names()}


def _entries(name: str) -> Mapping[str, list[str]]:
    """Code to its words, as the file has them."""
    if name not in vocabulary_names():
        raise KeyError(name)
    text = (_DIRECTORY / f"{name}.yaml").read_text(encoding="utf-8")
    # LibYAML's parser of the same safe loader is ten times as fast as the one in Python.
    entries: Mapping[str, list[str]] = _Loader(text).get_single_data()
    return entries


def _words(entries: Mapping[str, list[str]]) -> dict[str, str]:
    return {fold_words(word): code for code, synonyms in entries.items() for word in (code, *synonyms)}


def _stands_alone(folded: str, start: int, end: int) -> bool:
    """Whether no word goes on beyond: "HE" is not in "THE"; Han text has no spaces, so its words count anywhere."""
    is_begun = start > 0 and folded[start] in _LATIN and folded[start - 1] in _LATIN
    return not is_begun and not (folded[end - 1] in _LATIN and folded[end : end + 1] in _LATIN)


def fold_words(text: str) -> str:
    """Text as words are compared: NFKC, lower case, runs of space and underscore as one space."""
    return re.sub(r"[\s_]+", " ", unicodedata.normalize("NFKC", text)).strip().lower()

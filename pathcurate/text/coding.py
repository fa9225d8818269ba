"""Organ, sub-site, side, and histology of a diagnosis line, coded as ICD-O-3 (WHO; morphology of ICD-O-3.2, IARC 2020).

The words are data (``terms/*.yaml``, ``vocabularies/organs.yaml``); :mod:`~pathcurate.text.coding_line` says which of those
found counts.
"""

import json
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache

from ahocorasick_rs import AhoCorasick

from pathcurate.text.coding_line import Coding, Judge, LineCoding, Term
from pathcurate.text.coding_words import Extension, Words, load_words


@cache
def _coder(extension: str) -> "Coder":
    return Coder(json.loads(extension))


def coder(extension: Extension | None = None) -> "Coder":
    """The coder for a site's words, built once in each process.

    Raises:
        UsageError: see :func:`~pathcurate.text.coding_words.load_words`.
    """
    return _coder(json.dumps(_plain(extension or {}), sort_keys=True))


def _plain(extension: Extension) -> dict[str, dict[str, list[str]]]:
    return {kind: {code: list(words) for code, words in codes.items()} for kind, codes in extension.items()}


class Coder:
    """Finds the words of organs and histologies, and codes diagnosis lines by them.

    Attributes:
        digest: sha256 (hexadecimal) of all words, to tell whether a line was coded by the same.
    """

    def __init__(self, extension: Extension | None = None) -> None:
        """Build the search; takes some 0.2 s, so use :func:`coder`.

        Raises:
            UsageError: see :func:`~pathcurate.text.coding_words.load_words`.
        """
        self._words: Words = load_words(extension)
        self.digest = self._words.digest
        # A word may begin inside another (``lung ca`` in ``lung cancer``), so all are found and the right ones kept.
        self._search = AhoCorasick(list(self._words.meanings))
        self._found = [
            (_is_latin(text[0]), _is_latin(text[-1]), word.kind, word.code, word)
            for text, word in self._words.meanings.items()
        ]

    def terms(self, folded: str) -> list[Term]:
        """All words in a folded text, the longest of those that overlap, by place."""
        haystack = folded.replace("-", " ")
        matches = self._search.find_matches_as_indexes(haystack, overlapping=True)
        matches.sort(key=_by_place)
        found: list[Term] = []
        last, size = 0, len(haystack)
        for index, start, end in matches:
            if start < last:
                continue
            latin_start, latin_end, kind, code, word = self._found[index]
            if latin_start and start and _is_latin(haystack[start - 1]):
                continue
            if latin_end and end < size and _is_latin(haystack[end]):
                continue
            last = end
            if kind != "none":
                found.append(Term(kind, code, start, end, word))
        return found

    def code_line(
        self,
        folded: str,
        start: int,
        end: int,
        assertions: Judge,
        terms: Sequence[Term] | None = None,
        specimen_organ: str | None = None,
    ) -> Coding:
        """Code one diagnosis line.

        Args:
            folded: the whole text, folded.
            start: where the line begins.
            end: where it ends.
            assertions: judges mentions in this text.
            terms: of the whole text, where they are known already.
            specimen_organ: what the specimen is of, where the report says it above the line.
        """
        terms = self.terms(folded) if terms is None else terms
        first = bisect_left(terms, start, key=_start)
        own = []
        for term in terms[first:]:
            if term.start >= end:
                break
            if term.end <= end:
                own.append(term)
        if not own:
            topography = self._words.topographies[specimen_organ] if specimen_organ else None
            return Coding(specimen_organ, None, topography, None, None, "affirmed", start, end)
        return LineCoding(self._words, folded, start, end, assertions, own, specimen_organ).coding()


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _by_place(match: tuple[int, int, int]) -> tuple[int, int]:
    return match[1], -match[2]


def _start(term: Term) -> int:
    return term.start

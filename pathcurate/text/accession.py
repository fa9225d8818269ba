"""Accession numbers in file names, folders, barcodes and exports, by each site's own patterns."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import re2

# Part of a UUID can look like prefix, year and number (…-AB12-3456-…); a UUID never holds an accession number.
_UUID = re.compile(r"(?<![0-9A-Z])[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}(?![0-9A-Z])")


@dataclass(frozen=True, slots=True)
class AccessionKey:
    """A number found in a text.

    Attributes:
        key: the number in normal form, ``S23-123``; equal for every spelling of it.
        specimen: specimen letter, if it stood with the number.
        block: block number, if it stood with the number.
        start: where the number begins in the folded text.
        end: where number, specimen, block and slide end in the folded text.
    """

    key: str
    specimen: str | None
    block: str | None
    start: int
    end: int


class AccessionPatterns:
    """One site's patterns, tried in order; the first that matches anywhere in a text speaks for that text.

    Args:
        patterns: RE2 patterns with a group ``accession``, or groups ``number`` and optionally ``prefix``, ``year``,
            ``specimen``, ``block``, ``slide``.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns: list[Any] = [re2.compile(pattern) for pattern in patterns]

    def find(self, text: str) -> list[AccessionKey]:
        """Every number in a text, in order, each key once."""
        folded = fold(text)
        for pattern in self._patterns:
            found = _all_matches(pattern, folded)
            if found:
                return list({key.key: key for key in reversed(found)}.values())[::-1]
        return []

    def normalise(self, number: str) -> str:
        """An exported accession number in normal form; one that no pattern knows stays as it is, folded."""
        found = self.find(number)
        return found[0].key if found else fold(number).strip()


def fold(text: str) -> str:
    """Text as patterns see it: NFKC (full-width digits and letters become ASCII), upper case, UUIDs blanked."""
    return _UUID.sub(lambda uuid: " " * len(uuid[0]), unicodedata.normalize("NFKC", text).upper())


def _all_matches(pattern: Any, folded: str) -> list[AccessionKey]:
    keys = []
    position = 0
    while position < len(folded) and (match := pattern.search(folded[position:])):
        groups = match.groupdict()
        spans = [match.span(number) for name, number in pattern.groupindex.items() if groups[name]]
        if not spans:
            break
        start, end = min(spans)[0], max(end for _, end in spans)
        keys.append(
            AccessionKey(_normal_form(groups), groups.get("specimen"), groups.get("block"), position + start, position + end)
        )
        # The next number may share the separator that this match consumed, so go on right behind the number itself.
        position += max(end, 1)
    return keys


def _normal_form(groups: dict[str, str | None]) -> str:
    if groups.get("accession"):
        return str(groups["accession"])
    number = str(groups["number"]).lstrip("0") or "0"
    year = (groups.get("year") or "")[-2:]
    return f"{groups.get('prefix') or ''}{year}-{number}" if year else f"{groups.get('prefix') or ''}{number}"

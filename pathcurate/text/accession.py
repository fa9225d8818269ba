"""Accession numbers in file names, folders, barcodes and exports, by each site's own patterns."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import re2

from pathcurate.yamlsource import did_you_mean

_UUID = re.compile(r"(?<![0-9A-Z])[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}(?![0-9A-Z])")
_LONG_AS_UUID = 36
_DATE = re.compile(
    r"(?<![0-9A-Z])(?:(?:19|20)?[0-9]{2}"
    r"(?:([-./_])(?:0?[1-9]|1[0-2])\1|年(?:0?[1-9]|1[0-2])月)(?:0?[1-9]|[12][0-9]|3[01])"
    r"|(?:0[1-9]|[12][0-9]|3[01])([-./_])(?:0?[1-9]|1[0-2])\2(?:19|20)[0-9]{2})(?![0-9])"
)
# Full-width ASCII becomes ASCII and every dash a hyphen, one character for one. Not NFKC: it would turn the ① of
# "S23-00123①" into a digit of the number.
_FOLDS = {0xFF01 + offset: 0x21 + offset for offset in range(94)}
_FOLDS |= dict.fromkeys(map(ord, "‐‑‒–—―−﹣"), ord("-")) | {0x3000: ord(" ")}

ACCESSION_GROUPS = ("accession", "prefix", "year", "number", "specimen", "block", "slide")
"""The named groups that a pattern may have; it needs ``accession`` or ``number``."""


@dataclass(frozen=True, slots=True)
class AccessionKey:
    """A number found in a text.

    Attributes:
        key: the number in normal form, ``S23-123``; equal for every spelling of it.
        specimen: specimen letter, if it stood with the number.
        block: block number, if it stood with the number.
        start: where the number begins in the folded text.
        number_end: where the number itself ends in the folded text.
        end: where number, specimen, block and slide end in the folded text.
    """

    key: str
    specimen: str | None
    block: str | None
    start: int
    number_end: int
    end: int


class _Pattern(NamedTuple):
    """A compiled pattern, and its named groups with their numbers."""

    compiled: Any
    groups: tuple[tuple[str, int], ...]


class AccessionPatterns:
    """One site's patterns, tried in order; the first that matches anywhere in a text speaks for that text.

    Args:
        patterns: RE2 patterns with a group ``accession``, or groups ``number`` and optionally ``prefix``, ``year``,
            ``specimen``, ``block``, ``slide``.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        compiled = [re2.compile(pattern) for pattern in patterns]
        # The names of groups are asked for once: RE2 makes a new dictionary of them each time.
        self._patterns = [_Pattern(pattern, tuple(pattern.groupindex.items())) for pattern in compiled]

    def find(self, text: str) -> list[AccessionKey]:
        """Every number in a text, in order, each key once (with its specimen, if that stood with it anywhere).

        A number without a dash behind the year can be read in two ways (``S20123456``: 2012 and 3456, or 20 and 123456);
        both are given, that with the long year first, and the site's reports decide.
        """
        folded = fold(text)
        for pattern in self._patterns:
            found: dict[str, AccessionKey] = {}
            for key in _all_matches(pattern, folded):
                if found.setdefault(key.key, key).specimen is None and key.specimen:
                    found[key.key] = key
            if found:
                return list(found.values())
        return []

    def normalise(self, number: str) -> str:
        """An exported accession number in normal form; one that no pattern knows stays as it is, folded."""
        folded = fold(number)
        for pattern in self._patterns:
            first = next(_all_matches(pattern, folded), None)
            if first is not None:
                return first.key
        return folded.strip()


def fold(text: str) -> str:
    """Text as patterns see it: upper case, full-width letters, digits and punctuation as ASCII, every dash a hyphen."""
    return text.upper() if text.isascii() else text.translate(_FOLDS).upper()


def without_uuids(folded: str) -> str:
    """A folded text with its UUIDs blanked: part of one can look like a number (AB12-3456) or a stain (CD34)."""
    return _UUID.sub(lambda uuid: " " * len(uuid[0]), folded)


def _all_matches(pattern: _Pattern, folded: str) -> Iterator[AccessionKey]:
    guards = (_UUID, _DATE) if len(folded) >= _LONG_AS_UUID else (_DATE,)
    traps = [found.span() for guard in guards for found in guard.finditer(folded)]
    position = 0
    while position < len(folded) and (match := pattern.compiled.search(folded, position)):
        places = {name: match.span(number) for name, number in pattern.groups}
        groups = {name: folded[start:end] if start >= 0 else None for name, (start, end) in places.items()}
        spans = {name: place for name, place in places.items() if place[0] < place[1]}
        # The next number may share the separator that this match consumed, so go on right behind the number itself.
        position = max(position + 1, max((end for _, end in spans.values()), default=match.end()))
        if not spans.keys() & {"accession", "number"}:
            continue
        start = min(start for start, _ in spans.values())
        trap = _trap(traps, start, position)
        if trap is not None:
            position = trap
            continue
        number_end = max(end for name, (_, end) in spans.items() if name not in {"specimen", "block", "slide"})
        key = AccessionKey(_normal_form(groups), groups.get("specimen"), groups.get("block"), start, number_end, position)
        yield key
        year, number = groups.get("year") or "", groups.get("number") or ""
        if len(year) == 4 and "accession" not in spans and spans["year"][1] == spans["number"][0]:
            other = {**groups, "year": year[:2], "number": year[2:] + number}
            yield replace(key, key=_normal_form(other))


def _trap(traps: Sequence[tuple[int, int]], start: int, end: int) -> int | None:
    """End of the UUID or date that a match begins in; a match that holds the whole of it is meant by its pattern."""
    return next(
        (trap_end for trap_start, trap_end in traps
         if trap_start <= start < trap_end and not (start == trap_start and end >= trap_end)),
        None,
    )  # fmt: skip


def _normal_form(groups: dict[str, str | None]) -> str:
    if groups.get("accession"):
        return str(groups["accession"])
    number = str(groups["number"]).lstrip("0") or "0"
    prefix, year = groups.get("prefix") or "", (groups.get("year") or "")[-2:]
    # Without a dash, prefix B1 with number 23 would be prefix B with number 123.
    return f"{prefix}{year}-{number}" if year or prefix[-1:].isdigit() else f"{prefix}{number}"


def _groups(pattern: str) -> set[str]:
    options = re2.Options()
    options.log_errors = False
    try:
        groups = set(re2.compile(pattern, options).groupindex)
    except re2.error as failure:
        reason = failure.args[0]
        text = reason.decode("utf-8", errors="replace") if isinstance(reason, bytes) else str(reason)
        hint = " (look-around is not portable between engines)" if "perl operator: (?" in text else ""
        raise ValueError(f"not an RE2 pattern: {text}{hint}") from failure
    for group in sorted(groups):
        # RE2 would read the first of them and leave the others out without a word.
        if len(re.findall(rf"\(\?P?<{group}>", pattern)) > 1:
            raise ValueError(f"group `{group}` stands in the pattern more than once")
    return groups


def checked_patient_pattern(pattern: str) -> str:
    """A pattern of patients' numbers in texts of slides.

    Raises:
        ValueError: it is no RE2 pattern, or has other groups.
    """
    if _groups(pattern) != {"patient"}:
        raise ValueError("the pattern needs a group (?P<patient>...) and no other")
    return pattern


def checked_pattern(pattern: str) -> str:
    """A pattern of accession numbers as a workspace may have it.

    Raises:
        ValueError: it is no RE2 pattern, or lacks a group, or has an unknown one.
    """
    groups = _groups(pattern)
    for group in sorted(groups.difference(ACCESSION_GROUPS)):
        guess = did_you_mean(group, ACCESSION_GROUPS) or f"; known: {', '.join(ACCESSION_GROUPS)}"
        raise ValueError(f"unknown group `{group}`{guess}")
    if not groups & {"accession", "number"}:
        raise ValueError("the pattern needs a group (?P<accession>...) or (?P<number>...)")
    return pattern

"""Case numbers in running text: those that are known in every spelling, and the normal form of those that were found."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.accepting import digits_in
from pathcurate.text.accession import AccessionPatterns

_NORMAL_FORM = re.compile(r"(?P<prefix>[A-Z]*)(?P<year>[0-9]{2})-(?P<number>[0-9]+)")
_CHUNK = re.compile(r"[0-9]+|[^\W0-9_]+")
# Most tokens are stains: those with fewer digits than a number are not even begun.
_CANDIDATE = re.compile(
    r"[0-9A-Za-z](?<![0-9A-Za-z-][0-9A-Za-z])(?=(?:[A-Za-z_/.#-]*+[0-9]){4})[0-9A-Za-z]{0,20}"
    r"(?:[-_/.#][0-9A-Za-z]{1,20}){0,5}"
)
_BEFORE = re.compile(
    r"(?<![0-9A-Z])(?:(?P<prefix>[A-Z]{1,5})[ ]{0,2}[-_/]?[ ]{0,2})?(?:19|20)?(?P<year>[0-9]{2})"
    r"(?P<gap>[ ]{0,2}[-_/]?[ ]{0,2}(?:字?第)?)0{0,5}$"
)
_REACH = 24
_SUFFIX = re.compile(
    r"(?:[ ]?[-#/][ ]?(?:[A-Z]{1,2}-?[0-9]{0,3}|[0-9]{1,3})(?![0-9A-Z])|"
    r"[A-Z][0-9]{1,3}(?![0-9A-Z]))?(?:-[0-9]{1,3}(?![0-9A-Z]))?"
)
_LAST_SUFFIX = re.compile(r"[-#/ ]*(?P<form>[A-Z]{0,2}-?[0-9]{0,3}(?:-[0-9]{1,3})?)")
_SPELT = re.compile(
    r"(?P<number>[A-Z]{0,5}-?[0-9]{2,4}-[0-9]{3,8}|"
    r"[A-Z]{0,5}-?[0-9]{5,14})(?P<suffix>[-#/]?[A-Z]{0,2}[0-9]{0,3}(?:-[0-9]{1,3})?)"
)
_LEAST_DIGITS, _LEAST_BARE, _LEAST_KNOWN, _LEAST_NUMBER = 5, 6, 4, 2
_LONGEST_SUFFIX = 8


class CaseNumbers:
    """One site's case numbers.

    Args:
        patterns: the site's patterns of accession numbers.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = AccessionPatterns(patterns) if patterns else None

    def known(self, normal: str, cases: Sequence[str]) -> Iterator[Removal]:
        """Every spelling of the given numbers, with the specimen and block behind it.

        Args:
            normal: a text of half width.
            cases: numbers in normal form.
        """
        upper = normal.upper()
        if len(upper) != len(normal):  # ß becomes SS
            upper = "".join(sign.upper() if sign.isascii() else sign for sign in normal)
        for case in cases:
            parts = _NORMAL_FORM.fullmatch(case)
            if parts and len(parts["number"]) >= _LEAST_NUMBER:
                spans = _spelt(upper, *parts.groups())
            else:
                spans = _spelt_in_chunks(upper, case)
            for start, end in spans:
                suffix = _SUFFIX.match(upper, end)
                behind = suffix[0] if suffix else ""
                yield Removal(start, end + len(behind), Kind.CASE, "known.case", case, _form(behind))

    def by_pattern(self, normal: str, found: Sequence[Removal]) -> Iterator[Removal]:
        """Numbers that nothing else has found and that the site's own patterns know.

        Args:
            normal: a text of half width.
            found: what was found in it, in order.
        """
        if self._patterns is None:
            return
        ends = [removal.end for removal in found]
        for match in _CANDIDATE.finditer(normal):
            token = match[0]
            digits = digits_in(token)
            if digits < (_LEAST_DIGITS if token[0].isupper() else _LEAST_BARE):
                continue
            following = bisect_right(ends, match.start())
            if following < len(found) and found[following].start < match.end():
                continue
            for key in self._patterns.find(token)[:1]:
                if key.start == 0 and key.end == len(token):
                    yield Removal(*match.span(), Kind.CASE, "shape.accession", key.key, _form(token[key.number_end :]))

    def valued(self, removal: Removal, normal: str) -> Removal:
        """A found number with its normal form, where the site's patterns know it, and with what follows it."""
        token = normal[removal.start : removal.end].replace(" ", "")
        for key in self._patterns.find(token)[:1] if self._patterns else ():
            if key.start == 0:
                form = _form(token[key.number_end :])
                return Removal(removal.start, removal.end, removal.kind, removal.rule, key.key, form)
        spelt = _SPELT.fullmatch(token.upper())
        form = _form(spelt["suffix"]) if spelt else removal.form
        return Removal(removal.start, removal.end, removal.kind, removal.rule, removal.value, form)


def _spelt(upper: str, prefix: str, year: str, number: str) -> Iterator[tuple[int, int]]:
    """Where a number stands, with or without prefix, century, dash and leading zeros: found by its digits, read leftward.

    No pattern is made for it: compiling one takes as long as the rest of the report.
    """
    at = upper.find(number)
    while at >= 0:
        end = at + len(number)
        before = _BEFORE.search(upper, max(0, at - _REACH), at)
        if before and before["year"] == year and not upper[end : end + 1].isdecimal():
            # Without prefix and dash it is only a number: five digits may be a count.
            is_long = bool(before["gap"].strip()) or len(number) >= _LEAST_KNOWN
            if before["prefix"] == prefix if before["prefix"] else is_long:
                yield before.start(), end
        at = upper.find(number, at + 1)


def _spelt_in_chunks(upper: str, case: str) -> Iterator[tuple[int, int]]:
    """Where a number that is of no common form stands, whatever is between its letters and digits."""
    chunks = _CHUNK.findall(case)
    if chunks and sum(map(len, chunks)) >= _LEAST_KNOWN and max(chunks, key=len) in upper:
        for match in re.finditer("(?<![0-9A-Z])" + "[-_./# ]{0,3}".join(map(re.escape, chunks)) + "(?![0-9])", upper):
            yield match.span()


def _form(suffix: str) -> str:
    """What follows a number, without the sign between: ``-a1`` is ``A1``."""
    found = _LAST_SUFFIX.fullmatch(suffix.upper().replace(" ", ""))
    return found["form"][:_LONGEST_SUFFIX] if found else ""

"""A known number in every spelling: with separators, without leading zeros, with a country's code, masked, its end."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.spelling import NUMBER_GAPS, Spelling
from pathcurate.text.identities import card_number

_PHONES = re.compile(r"\+?[0-9(][0-9() +.-]{5,}[0-9]")
_PHONE_GAPS = NUMBER_GAPS | frozenset("()+.")
_SIGNS = re.compile("[^0-9A-Za-z]+")
_FEWEST_DIGITS, _FEWEST_SIGNS, _MANY_DIGITS = 5, 4, 8
_COUNTRY = re.compile(r"(?:(?:\+|00)?86)?(1[3-9][0-9]{9})")
_AREA = re.compile(r"(0(?:10|2[0-9]|[3-9][0-9]{2}))([2-8][0-9]{6,7})")
_BEFORE_PHONE = re.compile(r"(?<![0-9A-Za-z])(?:\(?(?:\+|00)86\)?|86|\(?0[0-9]{2,3}\)?|\(?\+?[0-9]{1,3}\)?)[ -]{0,2}$")
_TAIL = re.compile(
    r"(?:尾号|尾数|[后末][四4六6]位|last\s(?:four|six|4|6)(?:\sdigits)?)(?:[是为:(\s]|of|is){0,4}([0-9]{3,5}[0-9Xx])(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_TAIL_WORDS = ("尾", "位", "last", "Last", "LAST")
_MASK = re.compile("[*×xX#][*×xX#]{2,13}")
_DIGITS_BEFORE, _DIGITS_BEHIND = re.compile("[0-9]+$"), re.compile("[0-9]+[Xx]?|[Xx]")
_LONGEST = 18
_ZEROS_BEFORE = re.compile("0+$")
_FEWEST_SHOWN = 4
_DECIMAL = re.compile(r"[0-9][.]$")


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """One number to look for.

    Attributes:
        form: its letters and digits in lower case, without leading zeros.
        kind: what it is a number of.
        rule: name of the rule.
        gaps: what may stand between its signs.
    """

    form: str
    kind: Kind
    rule: str
    gaps: frozenset[str] = NUMBER_GAPS

    def __repr__(self) -> str:
        return f"KnownNumber({self.kind}, {self.rule})"


def number_forms(value: str) -> Iterator[KnownNumber]:
    """The forms of a number of a patient, visit or request; none for one too short to be told from any other."""
    folded = _SIGNS.sub("", unicodedata.normalize("NFKC", value)).lower()
    core = folded.lstrip("0")
    if len(core) < _FEWEST_DIGITS:
        core = folded
    if len(core) >= _FEWEST_DIGITS and len(set(core)) > 1 and any(sign.isdigit() for sign in core):
        yield KnownNumber(core, Kind.NUMBER, "known.number")
    digits = core.lstrip("abcdefghijklmnopqrstuvwxyz")
    # ZY0012345678 is written without its letters too.
    if digits != core and digits.isdigit() and len(digits.lstrip("0")) > _FEWEST_DIGITS:
        yield KnownNumber(digits.lstrip("0"), Kind.NUMBER, "known.number")


def id_forms(value: str) -> Iterator[KnownNumber]:
    """The forms of the number of an identity document: of a card as it was before 1999 too, and the birth date in it."""
    folded = _SIGNS.sub("", unicodedata.normalize("NFKC", value)).lower()
    if len(folded) < _FEWEST_DIGITS or len(set(folded)) == 1 or not any(sign.isdigit() for sign in folded):
        return
    yield KnownNumber(folded, Kind.ID, "known.id")
    card = (card_number(value) or "").lower()
    if card:
        yield KnownNumber(card, Kind.ID, "known.id")
        yield KnownNumber(card[:6] + card[8:17], Kind.ID, "known.id")
        yield KnownNumber(card[6:14], Kind.ID, "known.id_birth", frozenset())


def phone_forms(value: str) -> Iterator[KnownNumber]:
    """The forms of telephone numbers in a cell: a mobile number without its country, a landline without its area."""
    for written in _PHONES.findall(unicodedata.normalize("NFKC", value)):
        digits = _SIGNS.sub("", written)
        mobile, landline = _COUNTRY.fullmatch(digits), _AREA.fullmatch(digits)
        form = mobile[1] if mobile else landline[2] if landline else digits
        if len(set(form)) == 1:
            continue
        yield KnownNumber(form, Kind.PHONE, "known.phone", _PHONE_GAPS)


def find_number(spelling: Spelling, number: KnownNumber) -> Iterator[Removal]:
    """All places of one number that no digit or letter continues."""
    if number.form not in spelling.compact:
        return
    for start, end in spelling.find(number.form, number.gaps):
        first = _with_head(spelling.normal, start, number)
        if _is_whole(spelling.normal, first, end, number):
            yield Removal(first, end, number.kind, number.rule)


def _with_head(normal: str, start: int, number: KnownNumber) -> int:
    """Where a number begins with the zeros, or a telephone number with the country and area, that stand before it."""
    if number.kind is Kind.PHONE:
        before = _BEFORE_PHONE.search(normal[max(0, start - 9) : start])
        return start - len(before[0]) if before else start
    if number.kind is Kind.NUMBER:
        zeros = _ZEROS_BEFORE.search(normal, max(0, start - _LONGEST), start)
        return start - len(zeros[0]) if zeros else start
    return start


def _is_whole(normal: str, start: int, end: int, number: KnownNumber) -> bool:
    before, behind = normal[start - 1 : start] if start else "", normal[end : end + 1]
    if (before.isascii() and before.isdigit()) or (behind.isascii() and behind.isdigit()):
        return False
    if number.form[0].isalpha() and before.isascii() and before.isalpha():
        return False
    if number.form[-1].isalpha() and behind.isascii() and behind.isalpha():
        return False
    if len(number.form) >= _MANY_DIGITS:
        return True
    # 1.23456 and 23456% are measures, and 2 34 5 6 are several.
    is_measure = _DECIMAL.search(normal[max(0, start - 2) : start]) or re.match("[.][0-9]|[ ]?%", normal[end : end + 2])
    return not is_measure and len(_SIGNS.findall(normal[start:end])) <= 1


def find_ends(normal: str, numbers: tuple[KnownNumber, ...]) -> Iterator[Removal]:
    """The end of a known number that a label calls so (尾号1234), and known numbers that are masked (110105****002X)."""
    if any(word in normal for word in _TAIL_WORDS):
        for found in _TAIL.finditer(normal):
            kind = _ends(numbers, "", found[1].lower())
            if kind is not None:
                yield Removal(found.start(1), found.end(1), kind, "known.end")
    for found in _MASK.finditer(normal):
        head = _DIGITS_BEFORE.search(normal, max(0, found.start() - _LONGEST), found.start())
        end = _DIGITS_BEHIND.match(normal, found.end())
        shown = (head[0] if head else "", end[0].lower() if end else "")
        if sum(map(len, shown)) >= _FEWEST_SHOWN:
            kind = _ends(numbers, *shown)
            if kind is not None:
                yield Removal(found.start() - len(shown[0]), found.end() + len(shown[1]), kind, "known.masked")


def _ends(numbers: tuple[KnownNumber, ...], head: str, end: str) -> Kind | None:
    for number in numbers:
        if number.rule != "known.id_birth" and number.form.endswith(end) and number.form.startswith(head.lstrip("0")):
            return number.kind
    return None

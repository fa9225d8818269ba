"""How a laboratory's numbers may stand in other texts: which of a text's parts are prefix, year and number.

Texts are alike if they have the same parts in the same order, whatever their lengths: runs of letters, of digits, of Chinese
characters, of letters of other scripts, and single other characters. What is said of one text then holds for all alike.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from pathcurate.text.accession import fold

_HAN: Final = "\u3400-\u9fff\uf900-\ufaff"
_PARTS: Final = re.compile(rf"[A-Z]+|[0-9]+|[{_HAN}]+|[^\W0-9A-Z_{_HAN}]+|.", re.DOTALL)
_KINDS: Final = tuple(
    (re.compile(first), kind) for first, kind in (("[A-Z]", "A"), ("[0-9]", "9"), (f"[{_HAN}]", "汉"), (r"[^\W_]", "ä"))
)
_CLASSES: Final = {"A": "[A-Z]", "9": r"\d", "汉": r"\p{Han}", "ä": r"[\p{L}\p{N}\p{M}]"}
_GLASS: Final = r"(?:[-_ ]?(?P<specimen>[A-Z])(?P<block>\d{1,3})?)?(?:[-_ ](?P<slide>\d{1,3}))?"
_NO_NUMBER_BEHIND: Final = r"(?:$|[^0-9])"
_NOTHING_BEHIND: Final = r"(?:$|[^0-9A-Z])"
_NOTHING_BEFORE: Final = r"(?:^|[^0-9A-Z])"
_LEAST_DIGITS: Final = 3
_MOST_DIGITS: Final = 7
_NEAR: Final = 3
_NEARLY_ALL: Final = 0.95
_MOST: Final = 0.8
_YEAR_WIDTHS: Final = (4, 2)

Row = tuple[str, ...]
"""The parts of one folded text."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the parts of alike texts are; places count parts.

    Attributes:
        number: where the number stands.
        number_width: digits of it, if the digits behind them count the slides of a case.
        year: where the year stands; with the number, if both are one run of digits. None if there is none.
        year_width: its digits.
        prefix: where the letters stand that belong to the number.
    """

    number: int
    number_width: int | None = None
    year: int | None = None
    year_width: int = 0
    prefix: int | None = None

    @property
    def said(self) -> set[int]:
        """The parts that say something."""
        return {at for at in (self.prefix, self.year, self.number) if at is not None}

    def key(self, row: Row, other: Row | None = None) -> str:
        """The number of a text in the normal form of :mod:`pathcurate.text.accession`.

        Args:
            row: the text.
            other: takes the digits behind prefix and year from this one, which makes a number that nobody wrote.
        """
        number = (other or row)[self.number]
        if self.year == self.number:
            number = number[self.year_width :]
        number = number[: self.number_width].lstrip("0") or "0"
        prefix = "" if self.prefix is None else row[self.prefix]
        return prefix + number if self.year is None else f"{prefix}{row[self.year][: self.year_width][-2:]}-{number}"


def parts(text: str) -> Row:
    """The parts of a text."""
    return tuple(_PARTS.findall(fold(text)))


def likeness(row: Row) -> tuple[str, ...]:
    """What alike texts share: of every part its kind, of other characters themselves."""
    return tuple(next((kind for first, kind in _KINDS if first.match(part)), part) for part in row)


@dataclass(frozen=True, slots=True)
class Rated:
    """A reading of alike texts.

    Attributes:
        reading: the reading.
        share: of texts whose number by it the laboratory has.
        chance: of texts for which it also has a number put together from two texts. Where this is nearly as much, the
            laboratory has used up its numbers so densely that finding one proves little.
    """

    reading: Reading
    share: float
    chance: float


def best_reading(rows: Sequence[Row], widths: Sequence[int], is_known: Callable[[str], bool]) -> Rated | None:
    """The reading by which the laboratory has the numbers of most texts; of equals the fullest.

    Args:
        rows: alike texts.
        widths: digits that the laboratory's numbers have.
        is_known: whether the laboratory has a number of this normal form.
    """
    rated = []
    for at, one in enumerate(readings(rows, widths)):
        share = _share(is_known(one.key(row)) for row in rows)
        fullness = (one.prefix is not None, one.year_width, one.number_width is None)
        rated.append(((round(share, 2), *fullness, -at), one, share))
    if not rated:
        return None
    _, reading, share = max(rated, key=lambda rate: rate[0])
    own, half = {reading.key(row) for row in rows}, len(rows) // 2
    swapped = {reading.key(row, other) for row, other in zip(rows, (*rows[half:], *rows[:half]), strict=True)} - own
    return Rated(reading, share, _share(map(is_known, swapped)) if swapped else 0.0)


def readings(rows: Sequence[Row], widths: Sequence[int]) -> Iterator[Reading]:
    """Every reading that alike texts allow. Digits that are dates in all of them are no number."""
    kinds = likeness(rows[0])
    columns = list(zip(*rows, strict=True))
    digits = [at for at, kind in enumerate(kinds) if kind == "9" and not _are_dates(columns[at])]
    letters = [at for at, kind in enumerate(kinds) if kind == "A"]
    for number in digits:
        for year, width in _years(columns, digits, number):
            taken = width if year == number else 0
            if min(map(len, columns[number])) < taken + _LEAST_DIGITS:
                continue
            first, last = (number, number) if year is None else (min(year, number), max(year, number))
            near = [at for at in letters if first - 2 <= at <= last + 1]
            for prefix in (*near, None):
                yield Reading(number, None, year, width, prefix)
                for fixed in _fixed_widths(columns[number], taken, widths):
                    yield Reading(number, fixed, year, width, prefix)


def pattern_of(rows: Sequence[Row], reading: Reading, *, is_whole: bool) -> str:
    """An RE2 pattern for alike texts.

    Args:
        rows: alike texts.
        reading: what their parts are.
        is_whole: whether the number is the whole text, as the laboratory exports it, and not followed by block and slide.
    """
    kinds = likeness(rows[0])
    columns = list(zip(*rows, strict=True))
    first, last = (0, len(kinds) - 1) if is_whole else (min(reading.said), max(reading.said))
    while first > 0 and kinds[first - 1] in {"A", "9"}:
        first -= 1
    text = "".join(_part(reading, at, kinds[at], columns[at], is_whole=is_whole) for at in range(first, last + 1))
    if is_whole:
        return f"^{text}$"
    behind = kinds[last + 1] if last + 1 < len(kinds) else None
    if behind == "A" and max(map(len, columns[last + 1])) > 1:
        return _NOTHING_BEFORE + text + _NO_NUMBER_BEHIND
    return _NOTHING_BEFORE + text + ("" if reading.number_width is not None else _GLASS) + _NOTHING_BEHIND


def _part(reading: Reading, at: int, kind: str, column: Sequence[str], *, is_whole: bool) -> str:
    shortest, longest = min(map(len, column)), max(map(len, column))
    if at == reading.number:
        year = _year(reading.year_width) if reading.year == at else ""
        taken = reading.year_width if reading.year == at else 0
        if reading.number_width is not None:
            return rf"{year}(?P<number>\d{{{reading.number_width}}})(?P<slide>\d{{1,3}})"
        least, most = shortest - taken, longest - taken
        if not taken and not is_whole and len(reading.said) > 1:
            # What was looked at need not hold the longest number; one without prefix and year has only its length.
            least, most = min(least, _LEAST_DIGITS), max(most, _MOST_DIGITS)
        return rf"{year}(?P<number>\d{_times(least, most)})"
    if at == reading.year:
        return _year(reading.year_width)
    if kind not in _CLASSES:
        return _literal(kind)
    some = _CLASSES[kind] + _times(shortest, longest)
    return f"(?P<prefix>{some})" if at == reading.prefix else some


def _literal(character: str) -> str:
    if not character.isprintable():
        return f"\\x{{{ord(character):x}}}"
    return f"\\{character}" if character in r"\.+*?()|[]{}^$" else character


def _year(width: int) -> str:
    return r"(?P<year>(?:19|20)\d{2})" if width == _YEAR_WIDTHS[0] else r"(?P<year>\d{2})"


def _times(least: int, most: int) -> str:
    if least == most:
        return "" if least == 1 else f"{{{least}}}"
    return f"{{{least},{most}}}"


def _years(columns: Sequence[Sequence[str]], digits: Sequence[int], number: int) -> Iterator[tuple[int | None, int]]:
    """Where a year may stand, and its digits; last, that there is none."""
    for width in _YEAR_WIDTHS:
        for year in digits:
            if year != number and (abs(year - number) > _NEAR or any(len(part) != width for part in columns[year])):
                continue
            if _share(_is_year(part[:width]) for part in columns[year]) >= _NEARLY_ALL:
                yield year, width
    yield None, 0


def _fixed_widths(column: Sequence[str], taken: int, widths: Sequence[int]) -> Iterator[int]:
    """How many digits may be the number, where most texts have as many and the rest is the slide's."""
    length, count = Counter(map(len, column)).most_common(1)[0]
    if count >= _MOST * len(column):
        yield from (width for width in widths if width >= _LEAST_DIGITS and 1 <= length - taken - width <= _NEAR)


def _is_year(digits: str) -> bool:
    return 1950 <= int(digits) <= 2049 if len(digits) == _YEAR_WIDTHS[0] else not 50 <= int(digits) <= 79


def _are_dates(column: Sequence[str]) -> bool:
    """Whether nearly all are days, as 20230314 or 230314, with or without a time behind."""
    return any(
        _share(len(part) in lengths and _is_day(part[:width]) for part in column) >= _NEARLY_ALL
        for width, lengths in ((8, (8, 12, 14, 17)), (6, (6, 10, 12)))
    )


def _is_day(digits: str) -> bool:
    if not _is_year(digits[:-4]):
        return False
    try:
        date(2000 + int(digits[-6:-4]), int(digits[-4:-2]), int(digits[-2:]))
    except ValueError:
        return False
    return True


def _share(answers: Iterable[bool]) -> float:
    said = list(answers)
    return sum(said) / len(said)

"""Where an identifier may begin in a text: what is asked of every unit, so that all else is asked of few.

Of each unit one look into a table says whether any identifier begins with it, and whether one goes on with it; borders of
words are judged from neighbours in steps that a processor does for 64 units at once. Only where all that agrees the first
four units are looked up, as they stand: what is taken in are the first four signs of an identifier, and the first two or
three with separators between or behind them. Of what is left the first eight signs are looked up, lone separators left out.
"""

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pathcurate.leaksearch import folding
from pathcurate.leaksearch.folding import Marks, Positions, Units

Sums: TypeAlias = NDArray[np.uint32]
_Forms: TypeAlias = tuple[tuple[int | None, ...], ...]
_Factors: TypeAlias = tuple[np.uint32, ...]

# What is known of a unit; what is neither letter nor digit may begin an identifier whatever stands before it.
_BEGINS, _SECOND, _LETTER, _DIGIT, _NO_LETTER, _NO_DIGIT = (1 << bit for bit in range(6))
"""Some identifier begins so; or goes on so; what it is; what may not follow it as the beginning of a word or number."""
_FACTORS: _Factors = tuple(
    np.uint32(factor) for factor in
    (0x9E3779B1, 0xC2B2AE35, 0x85EBCA6B, 0x27D4EB2F, 0x165667B1, 0xD3A2646D, 0xFD7046C5, 0xB55A4F09)
)  # fmt: skip
# What the first test lets through by chance the second one shall not.
_OTHER_FACTORS = _FACTORS[::-1]
_MOST_BITS = 26
_PART = 1 << 20
_SEPARATOR = np.array([ord(" ")], dtype=np.uint16)
# Which signs of an identifier the first units of a text are that begins with it; None is a separator that is left out.
_FORMS: dict[int, _Forms] = {
    2: ((0, 1), (0, None)),
    3: ((0, 1, 2), (0, None, 1), (0, 1, None)),
    4: ((0, 1, 2, 3), (0, None, 1, 2), (0, 1, None, 2), (0, 1, 2, None), (0, None, 1, None)),
}
_SIGNS = range(2, len(_FACTORS) + 1)


class Beginnings:
    """The first signs of many identifiers.

    Args:
        codes: folded identifiers, one behind the other.
        starts: where each begins.
        lengths: signs of each, two or more.
    """

    def __init__(self, codes: Units, starts: NDArray[np.int64], lengths: NDArray[np.uint16]) -> None:
        self._kinds = _kinds_of(codes[starts], codes[starts + 1])
        self._narrow = self._kinds[:256].tobytes()
        by_length = {signs: starts[lengths == signs] for signs in _SIGNS[:-1]}
        self._few = {signs: _Signs(codes, by_length[signs], _FORMS[signs], _FACTORS) for signs in (2, 3)}
        self._few[4] = _Signs(codes, starts[lengths > 3], _FORMS[4], _FACTORS)
        by_length[_SIGNS[-1]] = starts[lengths >= _SIGNS[-1]]
        self._many = {
            signs: _Signs(codes, some, (tuple(range(signs)),), _OTHER_FACTORS) for signs, some in by_length.items()
        }

    def places(self, units: NDArray[Any]) -> Positions:
        """Every place where an identifier may begin, in order: nothing is missed, and few others are named.

        Args:
            units: of :func:`~pathcurate.leaksearch.folding.units_of`.
        """
        if units.dtype == np.uint8:
            kinds: Marks = np.frombuffer(units.tobytes().translate(self._narrow), dtype=np.uint8)
        else:
            kinds = self._kinds.take(units, mode="wrap")
        begins = kinds[1:] >> 1
        begins &= kinds[:-1]
        begins &= _BEGINS
        blocked = kinds[:-2] >> 2
        blocked &= kinds[1:-1]
        blocked &= _LETTER | _DIGIT
        begins[1:] &= (blocked == 0).view(np.uint8)
        # numpy finds what is true three times faster than what is not zero.
        places = np.flatnonzero(begins.view(np.bool_))
        places = places[self._begin_few(units, places)] if len(places) else places
        return places[self._begin_many(units, places)] if len(places) else places

    def _begin_few(self, units: NDArray[Any], places: Positions) -> NDArray[np.bool_]:
        may = np.zeros(len(places), dtype=bool)
        total = np.zeros(len(places), dtype=np.uint32)
        for step, multiplied in enumerate(_multiplied()):
            total += multiplied.take(units.take(places + step, mode="clip"), mode="wrap")
            if step:
                may |= self._few[step + 1].holds(total)
        return may

    def _begin_many(self, units: NDArray[Any], places: Positions) -> NDArray[np.bool_]:
        codes, _ = folding.tables()
        may = np.zeros(len(places), dtype=bool)
        total = np.zeros(len(places), dtype=np.uint32)
        follows = places
        sign = before = codes.take(units.take(follows), mode="wrap")
        for step, factor in enumerate(_OTHER_FACTORS):
            total += sign * factor
            if step:
                may |= self._many[step + 1].holds(total)
            follows = follows + 1
            before, sign = sign, codes.take(units.take(follows, mode="clip"), mode="wrap")
            behind = codes.take(units.take(follows + 1, mode="clip"), mode="wrap")
            is_lone = (sign == _SEPARATOR) & (before != _SEPARATOR) & (behind != _SEPARATOR)
            follows += is_lone
            sign = np.where(is_lone, behind, sign)
        return may


class _Signs:
    """How texts begin that begin with an identifier: nothing that is taken in is ever denied."""

    def __init__(self, codes: Units, starts: NDArray[np.int64], forms: _Forms, factors: _Factors) -> None:
        bits = min(_MOST_BITS, max(10, len(starts).bit_length() + 6))
        self._shift = np.uint32(32 - bits)
        self._is_empty = not len(starts)
        taken = np.zeros(1 << bits, dtype=bool)
        for low in range(0, len(starts), _PART):
            part = starts[low : low + _PART]
            for form in forms:
                total = np.zeros(len(part), dtype=np.uint32)
                for factor, step in zip(factors, form, strict=False):
                    total += (codes[part + step] if step is not None else _SEPARATOR) * factor
                taken[_mixed(total) >> self._shift] = True
        self._bytes = np.packbits(taken, bitorder="little")

    def holds(self, sums: Sums) -> NDArray[np.bool_] | bool:
        """False where no identifier begins so."""
        if self._is_empty:
            return False
        index = _mixed(sums) >> self._shift
        of_byte = self._bytes.take(index >> np.uint32(3))
        found: NDArray[np.bool_] = (of_byte >> (index & np.uint32(7)).astype(np.uint8)) & 1 != 0
        return found


def _mixed(sums: Sums) -> Sums:
    """Sums whose upper bits depend on all of theirs: signs that follow each other would meet often."""
    mixed = sums ^ (sums >> np.uint32(15))
    mixed *= _FACTORS[0]
    return mixed


def _kinds_of(first: Units, second: Units) -> Marks:
    codes, classes = folding.tables()
    begins, goes_on = np.zeros(folding.UNITS, dtype=bool), np.zeros(folding.UNITS, dtype=bool)
    begins[first], goes_on[second] = True, True
    is_letter, is_digit, is_separator = (classes == kind for kind in (folding.LETTER, folding.DIGIT, folding.SEPARATOR))
    is_word = is_letter | is_digit | (classes == folding.HAN)
    kinds: Marks = (
        (begins[codes] & is_word) * np.uint8(_BEGINS) | (goes_on[codes] | is_separator) * np.uint8(_SECOND)
        | is_letter * np.uint8(_LETTER | _NO_LETTER) | is_digit * np.uint8(_DIGIT | _NO_LETTER | _NO_DIGIT)
    )  # fmt: skip
    return kinds


@cache
def _multiplied() -> tuple[Sums, ...]:
    """Of every unit its part of the sum of four signs, by its place."""
    codes, _ = folding.tables()
    return tuple(codes * factor for factor in _FACTORS[:4])

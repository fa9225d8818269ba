"""What is asked of a column of texts: of a whole column, of a single value, and of what is known of a piece of it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.lookup.rowfile import digest, folded, folded_text, text_array


class Condition(Protocol):
    """What is asked of a column of texts."""

    @property
    def values(self) -> Collection[str] | None:
        """Texts of which a value that passes has one, but for width and case; None if that is not known."""

    @property
    def digests(self) -> Sequence[int] | None:
        """Those of the texts of which a value that passes has one; None if that is not known."""

    def passes(self, value: Any) -> bool:
        """Whether a single value passes."""

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether a value of a row group may pass, by the group's statistics of the column."""

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which values pass; a missing one may give null, which counts as not."""


class _Texts:
    """Some texts, in the form in which they are compared; what follows from them is made when it is asked for first.

    There are thousands of these in a second, so they are neither dataclasses nor have properties with locks.
    """

    __slots__ = ("_array", "_digests", "_known")

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known
        self._digests: list[int] | None = None
        self._array: pa.Array[Any] | None = None

    @property
    def values(self) -> Collection[str]:
        """They."""
        return self._known

    @property
    def digests(self) -> Sequence[int]:
        """Of each of them."""
        if self._digests is None:
            self._digests = [digest(folded_text(text)) for text in self._known]
        return self._digests

    @property
    def array(self) -> "pa.Array[Any]":
        """They, as Arrow has them."""
        if self._array is None:
            self._array = text_array(sorted(self._known))
        return self._array


class OneOf(_Texts):
    """The value is one of these texts."""

    __slots__ = ()

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(frozenset(texts))

    def passes(self, value: Any) -> bool:
        """Whether it is one of them."""
        return value in self._known

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether one of them lies between the least and the greatest."""
        if not statistics.has_min_max:
            return bool(statistics.num_values)
        low, high = str(statistics.min), str(statistics.max)
        return any(low <= value <= high for value in self._known)

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which values are among them."""
        return pc.is_in(column, value_set=self.array)


class Alike(_Texts):
    """The value is one of these texts but for width, case and spaces around it."""

    __slots__ = ()

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(frozenset(map(folded_text, texts)))

    def passes(self, value: Any) -> bool:
        """Whether it is like one of them."""
        return value is not None and folded_text(value) in self._known

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether there is a value: case and width have another order."""
        return bool(statistics.num_values)

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which values are among them."""
        return pc.is_in(folded(column), value_set=self.array)


@dataclass(frozen=True)
class Present:
    """There is a value."""

    @property
    def values(self) -> None:
        """Any."""
        return None

    @property
    def digests(self) -> None:
        """Any."""
        return None

    def passes(self, value: Any) -> bool:
        """Whether there is one."""
        return value is not None

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether there is one."""
        return bool(statistics.num_values)

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which are there."""
        return pc.is_valid(column)


@dataclass(frozen=True)
class Passing:
    """The value passes a test, which is given a column's values at once."""

    test: Callable[["pa.Array[Any]"], "pa.Array[Any]"]

    @property
    def values(self) -> None:
        """Not known."""
        return None

    @property
    def digests(self) -> None:
        """Not known."""
        return None

    def passes(self, value: Any) -> bool:
        """Whether it passes."""
        return bool(self.test(pa.array([value]))[0].as_py())

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether there is a value: more is not known of the test."""
        return bool(statistics.num_values)

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which values pass."""
        return self.test(column)

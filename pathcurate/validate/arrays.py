"""Columns as numbers: what millions of codes of people have in common is found without sorting or joining text."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int64]
_NOBODY, _NONE_YET = -1, -2


@dataclass(frozen=True, slots=True)
class Encoded:
    """A column by number.

    Attributes:
        codes: place of each row's value among the values; -1 for a row without one.
        values: the different values.
    """

    codes: Codes
    values: Any

    def counts(self) -> dict[Any, int]:
        """Rows by value, those without one under None."""
        held = np.bincount(self.codes + 1, minlength=len(self.values) + 1).tolist()
        found = dict(zip(self.values.to_pylist(), held[1:], strict=True))
        return {**found, None: held[0]} if held[0] else found


def encoded(values: "pa.ChunkedArray[Any]") -> Encoded:
    """A column by number."""
    array: Any = values.combine_chunks().dictionary_encode()
    return Encoded(array.indices.fill_null(_NOBODY).to_numpy(zero_copy_only=False).astype(np.int64), array.dictionary)


def _last(owner: Encoded, value: Encoded) -> Codes:
    """The last value of each owner; -2 for one that has none."""
    last = np.full(len(owner.values), _NONE_YET)
    known = (owner.codes != _NOBODY) & (value.codes != _NOBODY)
    last[owner.codes[known]] = value.codes[known]
    return last


def several(owner: Encoded, value: Encoded) -> int:
    """Owners with more than one value. A missing owner is nobody, a missing value is none."""
    last = _last(owner, value)
    known = (owner.codes != _NOBODY) & (value.codes != _NOBODY)
    mine = owner.codes[known]
    return len(np.unique(mine[last[mine] != value.codes[known]]))


def differing(owner: Encoded, value: Encoded, other_owner: Encoded, other_value: Encoded) -> int:
    """Owners who have one value in one table, and another one in another."""
    mine, theirs = _last(owner, value), _last(other_owner, other_value)
    place = _places(owner, other_owner)
    both = (mine != _NONE_YET) & (place != _NOBODY)
    both[both] &= theirs[place[both]] != _NONE_YET
    # A value that the other table does not know is at no place there, and differs from whatever is.
    return int((_places(value, other_value)[mine[both]] != theirs[place[both]]).sum())


def strangers(mine: Encoded, theirs: Encoded) -> int:
    """Rows with a value that the other column does not have."""
    unknown = _places(mine, theirs) == _NOBODY
    return int(unknown[mine.codes[mine.codes != _NOBODY]].sum())


def _places(values: Encoded, among: Encoded) -> Codes:
    """Where each value is among those of another column; -1 where it is not."""
    found: Any = pc.index_in(values.values, value_set=among.values)
    return np.asarray(found.fill_null(_NOBODY).to_numpy(zero_copy_only=False), np.int64)


def sides(owner: Encoded, value: Encoded) -> dict[Any, int]:
    """Owners by value, the last where one has several."""
    last = _last(owner, value)
    held = np.bincount(last[last != _NONE_YET], minlength=len(value.values)).tolist()
    return dict(zip(value.values.to_pylist(), held, strict=True))


def true_count(mask: Any) -> int:
    """Rows for which something is true; one of which that is not known does not count."""
    return int(pc.sum(mask).as_py() or 0)


def equal_count(values: Any, value: str) -> int:
    """Rows with a value."""
    held = {row["values"]: row["counts"] for row in values.value_counts().to_pylist()}
    return int(held.get(value, 0))

"""Equivalence classes: who is alike in all that may identify in combination, counted in persons and not in rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pathcurate.model.evaluation import Diversity, Figures, Standard, highest_risk, judged, mean_risk, size_bins

Codes = npt.NDArray[np.int64]
_MOST_CODES = 1 << 62


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a table.

    Attributes:
        of_row: class of each row, from 0.
        sizes: persons in each class.
        smallest: of each person, by its code, the size of the smallest class that it has a row in.
    """

    of_row: Codes
    sizes: Codes
    smallest: Codes


def codes(values: "pa.ChunkedArray[Any]") -> Codes:
    """A number for each row, the same where the values are the same; no value is a value of its own."""
    encoded = values.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def combined(columns: Sequence[Codes], rows: int) -> Codes:
    """A number from 0 without gaps for each combination of codes."""
    found = np.zeros(rows, np.int64)
    for column in columns:
        width = int(column.max(initial=0)) + 1
        if prod((int(found.max(initial=0)) + 1, width)) > _MOST_CODES:
            found = _dense(found)
        found = found * width + column
    return _dense(found)


def _dense(found: Codes) -> Codes:
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def classes(columns: Sequence[Codes], persons: Codes) -> Classes:
    """The classes of rows.

    Args:
        columns: codes of each quasi-identifier.
        persons: code of each row's person, from 0 without gaps.
    """
    of_row = combined(columns, len(persons))
    people = int(persons.max(initial=-1)) + 1
    members = np.unique(of_row * people + persons) if people else of_row
    sizes = np.bincount(members // max(people, 1)).astype(np.int64)
    smallest = np.full(people, len(persons) + 1, np.int64)
    np.minimum.at(smallest, members % max(people, 1), sizes[members // max(people, 1)])
    return Classes(of_row, sizes, smallest)


def evaluate(
    data: pa.Table,
    quasi: Sequence[str],
    sensitive: Sequence[str],
    persons: "pa.ChunkedArray[Any] | None",
    standard: Standard,
    k: int | None = None,
) -> Figures:
    """What a table tells about people.

    Args:
        data: the table as it goes out.
        quasi: its quasi-identifiers.
        sensitive: its sensitive columns.
        persons: whose each row is, by any codes; None if each row is a person's of its own. A group of possibly one person
            is one, which is on the safe side. Rows without a code count as one person's, for nobody knows that they are not.
        standard: thresholds of the risk.
        k: least persons that a class must have; one bin of the sizes begins there.
    """
    owners = np.arange(data.num_rows) if persons is None else codes(persons)
    found = classes([codes(data[name]) for name in quasi], owners)
    counted = sorted(zip(*(part.tolist() for part in np.unique(found.sizes, return_counts=True)), strict=True))
    members = sum(size * n for size, n in counted)
    return Figures(
        quasi=tuple(quasi),
        rows=data.num_rows,
        persons=len(found.smallest),
        classes=len(found.sizes),
        k=int(found.sizes.min(initial=len(found.smallest))),
        sizes=size_bins(dict(counted), k),
        highest=float(highest_risk(counted)),
        mean=float(mean_risk(counted)),
        expected=len(found.sizes) / members if members else 0.0,
        diversity=tuple(_diversities(data, sensitive, found)),
        risks=judged(counted, standard),
    )


def _diversities(data: pa.Table, sensitive: Sequence[str], found: Classes) -> Iterator[Diversity]:
    for name in sensitive:
        values = codes(data[name])
        width = int(values.max(initial=0)) + 1
        distinct = np.bincount(np.unique(found.of_row * width + values) // width)
        least = int(distinct.min()) if data.num_rows else 0
        yield Diversity(name, least, int(found.sizes[distinct == 1].sum()))

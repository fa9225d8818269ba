"""Equivalence classes: who is alike in all that may identify in combination, counted in persons and not in rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
        members: class and person of each pair of these, once.
    """

    of_row: Codes
    sizes: Codes
    smallest: Codes
    members: tuple[Codes, Codes]


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
    # By hash; numpy would sort, which takes five times as long.
    return pa.array(found).dictionary_encode().indices.to_numpy().astype(np.int64)


def _distinct(found: Codes) -> Codes:
    return pc.unique(pa.array(found)).to_numpy()


def classes(columns: Sequence[Codes], persons: Codes) -> Classes:
    """The classes of rows.

    Args:
        columns: codes of each quasi-identifier.
        persons: code of each row's person, from 0 without gaps.
    """
    of_row = combined(columns, len(persons))
    people = int(persons.max(initial=-1)) + 1
    class_, person = np.divmod(_distinct(of_row * people + persons), max(people, 1))
    sizes = np.bincount(class_).astype(np.int64)
    smallest = np.full(people, len(persons) + 1, np.int64)
    np.minimum.at(smallest, person, sizes[class_])
    return Classes(of_row, sizes, smallest, (class_, person))


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
        alone=_alone(found),
        diversity=tuple(_diversities(data, sensitive, found)),
        risks=judged(counted, standard),
    )


def _alone(found: Classes) -> int:
    """Persons whose set of classes is nobody else's."""
    class_, person = found.members
    # The sum of random numbers stands for a set; among a million, two share one less than once in 10 million times.
    numbers = np.random.default_rng(0).integers(0, 1 << 64, len(found.sizes), np.uint64)
    sums = np.zeros(len(found.smallest), np.uint64)
    np.add.at(sums, person, numbers[class_])
    return int((np.unique(sums, return_counts=True)[1] == 1).sum())


def _diversities(data: pa.Table, sensitive: Sequence[str], found: Classes) -> Iterator[Diversity]:
    for name in sensitive:
        values = codes(data[name])
        width = int(values.max(initial=0)) + 1
        distinct = np.bincount(_distinct(found.of_row * width + values) // width)
        least = int(distinct.min()) if data.num_rows else 0
        yield Diversity(name, least, int(found.sizes[distinct == 1].sum()))

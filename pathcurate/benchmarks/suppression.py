"""What may be told of few patients: groups, and the counts of a table of classes.

Whoever reads a result may know each unit's site, scanner, topic and predicted class, but not its label. So what was said
of some rows must not let the figures of a few of them be reckoned by adding and subtracting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathcurate.benchmarks.answered import Flags, Floats, Whole

_MOST_CELLS = 2_000
"""Cells of groups by groups up to which all that follows by subtraction is sought."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the groups of a column: one, or several that are told together.

    Attributes:
        names: of the groups; None is what has no value.
        rows: a flag for each row.
    """

    names: tuple[str | None, ...]
    rows: Flags


def told_parts(columns: Mapping[str, Sequence[str | None]], patient: Whole, least: int) -> dict[str, tuple[Part, ...]]:
    """The groups of each column of which figures may be told, each of at least ``least`` patients.

    Groups of fewer are put together, with the smallest of the others where they are still too few; so are groups that, with
    those of the columns before, would give away a few rows. A column that is left with one part is not told.

    Args:
        columns: values of each row by name, the most wanted column first.
        patient: of each row.
        least: fewest patients that a figure may be about.
    """
    told: dict[str, tuple[Part, ...]] = {}
    for name, values in columns.items():
        parts = _together(_parts(values), patient, least)
        while len(parts) > 1 and _gives_away([*told.values(), parts], patient, least):
            parts = _smaller(parts, patient)
        if len(parts) > 1:
            told[name] = tuple(parts)
    return told


def _parts(values: Sequence[str | None]) -> list[Part]:
    column = np.array(["" if value is None else f"={value}" for value in values], dtype=object)
    names, place = np.unique(column, return_inverse=True)
    return [Part((name[1:] if name else None,), place == number) for number, name in enumerate(names)]


def _patients(rows: NDArray[Any], patient: Whole) -> int:
    return len(np.unique(patient[rows]))


def _together(parts: list[Part], patient: Whole, least: int) -> list[Part]:
    """Parts of enough patients: the small ones as one, which takes in the smallest others as long as it is too small."""
    sized = sorted(((_patients(part.rows, patient), part) for part in parts), key=lambda item: item[0])
    few = [part for patients, part in sized if patients < least]
    enough = [part for patients, part in sized if patients >= least]
    if not few:
        return parts
    pool = _joined(few)
    while enough and _patients(pool.rows, patient) < least:
        pool = _joined([pool, enough.pop(0)])
    return [*(part for part in parts if any(part is other for other in enough)), pool]


def _joined(parts: Sequence[Part]) -> Part:
    return Part(
        tuple(name for part in parts for name in part.names), np.logical_or.reduce([part.rows for part in parts])
    )  # fmt: skip


def _smaller(parts: list[Part], patient: Whole) -> list[Part]:
    """The two smallest parts as one."""
    one, other, *rest = sorted(parts, key=lambda part: _patients(part.rows, patient))
    return [*rest, _joined([one, other])]


def _gives_away(partitions: Sequence[Sequence[Part]], patient: Whole, least: int) -> bool:
    """Whether the sums over all these parts determine that over the rows of a few patients.

    They do if the few rows' indicator is a linear combination of those of the parts. Sought among what parts of two columns
    have in common, and what is left of one without the other, and the smallest cells of all columns.
    """
    if len(partitions) < 2:
        return False
    places = np.stack([_place(parts) for parts in partitions])
    cells, cell = np.unique(places, axis=1, return_inverse=True)
    cell = cell.reshape(-1)
    if cells.shape[1] > _MOST_CELLS:
        return True
    pairs = np.unique(np.stack([cell, patient]), axis=1)
    small = np.bincount(pairs[0], minlength=cells.shape[1]) < least
    told = np.concatenate([cells[number] == np.arange(len(parts))[:, None] for number, parts in enumerate(partitions)])
    candidates = [np.eye(cells.shape[1])[small], *_overlaps(cells, partitions)]
    wanted = np.concatenate(candidates).astype(float)
    few = np.array([_few(of_cells > 0, pairs, least) for of_cells in wanted], dtype=bool)
    return bool(_follows(told.astype(float), wanted[few]).any())


def _place(parts: Sequence[Part]) -> Whole:
    place = np.zeros(len(parts[0].rows), dtype=np.int64)
    for number, part in enumerate(parts):
        place[part.rows] = number
    return place


def _overlaps(cells: Whole, partitions: Sequence[Sequence[Part]]) -> list[Floats]:
    found = [np.empty((0, cells.shape[1]))]
    last = len(partitions) - 1
    for other in range(last):
        for one in range(len(partitions[last])):
            mine = cells[last] == one
            theirs = cells[other] == np.arange(len(partitions[other]))[:, None]
            found.extend([mine & theirs, mine & ~theirs, ~mine & theirs])
    return [np.asarray(rows, dtype=float) for rows in found]


def _few(cells: Flags, pairs: Whole, least: int) -> bool:
    return 0 < len(np.unique(pairs[1][cells[pairs[0]]])) < least


def _follows(told: Floats, wanted: Floats) -> Flags:
    """Which of the wanted sums follow from the told ones: those that lie in their span."""
    if not len(wanted):
        return np.zeros(0, dtype=bool)
    _, sizes, directions = np.linalg.svd(told, full_matrices=False)
    span = directions[sizes > 1e-9 * sizes.max()]
    rest = wanted - wanted @ span.T @ span
    return np.asarray((rest**2).sum(axis=1) < 1e-9 * (wanted**2).sum(axis=1))


def told_counts(truth: Whole, chosen: Whole, classes: int, patient: Whole, least: int) -> tuple[tuple[int | None, ...], ...]:
    """Rows by true and predicted class, without the counts of fewer patients than ``least`` and what gives them away.

    Sums of rows and of columns are taken for known: a withheld count has company in its row and its column, and those
    withheld together in a row or column are of at least ``least`` rows. A nought is not withheld for itself.

    Args:
        truth: number of the true class of each row.
        chosen: number of the predicted one.
        classes: how many there are.
        patient: of each row.
        least: fewest patients that a count may be about.
    """
    place = truth * classes + chosen
    counts = np.bincount(place, minlength=classes**2).reshape(classes, classes)
    pairs = np.unique(np.stack([place, patient]), axis=1)
    patients = np.bincount(pairs[0], minlength=classes**2).reshape(classes, classes)
    hidden = (patients > 0) & (patients < least)
    while True:
        before = int(hidden.sum())
        for axis in (0, 1):
            for line in range(classes):
                _cover(hidden[:, line] if axis == 0 else hidden[line], counts[:, line] if axis == 0 else counts[line], least)
        if int(hidden.sum()) == before:
            if not _unique_cells(hidden):
                break
            hidden[:] = True
    return tuple(
        tuple(None if hides else int(count) for hides, count in zip(*row, strict=True))
        for row in zip(hidden, counts, strict=True)
    )


def _cover(hidden: Flags, counts: Whole, least: int) -> None:
    """Withholds more of a line, in place, until what is withheld of it can be anything."""
    while hidden.any() and not hidden.all() and (hidden.sum() < 2 or counts[hidden].sum() < least):
        open_cells = np.flatnonzero(~hidden)
        # The smallest count that is not nought tells least when it is missing; noughts come last but are still of use.
        hidden[min(open_cells, key=lambda cell: (counts[cell] == 0, counts[cell], cell))] = True


def _unique_cells(hidden: Flags) -> bool:
    """Whether a withheld count follows from the sums of rows and columns, by way of the others."""
    cells = np.argwhere(hidden)
    if not len(cells):
        return False
    lines = len(hidden)
    sums = np.zeros((2 * lines, len(cells)))
    sums[cells[:, 0], np.arange(len(cells))] = 1
    sums[lines + cells[:, 1], np.arange(len(cells))] = 1
    return len(cells) <= _MOST_CELLS and bool(_follows(sums, np.eye(len(cells))).any()) and not hidden.all()

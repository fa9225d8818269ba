"""Single rows of catalog tables, found without reading the tables.

Beside a large part lie its rows one by one, and where in it a value stands (:mod:`pathcurate.rowfiles`). What is asked of
other columns, or of a part without such a file, is read by row groups, and of these only those that may hold what is looked
for: their statistics say between which values a column lies, and the file, if there is one, which of them hold a value.
Nothing of this is needed for a right answer, only for a quick one.
"""

import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, TypeVar

from pathcurate.errors import InputOutputError
from pathcurate.lookup.conditions import Alike, Condition, OneOf, Passing, Present
from pathcurate.lookup.parts import Part, Row
from pathcurate.lookup.rowfile import (
    Kept,
    Reader,
    Rows,
    cell_value,
    hold_rows,
    open_rows,
    row_values,
    rows_path,
    write_rows,
)
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES
from pathcurate.model.link import LINK_DECISIONS, LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import FILTERS, Catalog

__all__ = [
    "Alike", "Condition", "Lookup", "OneOf", "Passing", "Present", "Row", "keep_filters",
]  # fmt: skip

KEPT: Final[Sequence[Kept]] = (
    Kept(
        SLIDES, ("slide_id", "barcode", "patient_id"),
        ("site", "archive", "relpath", "status", "scan_datetime", "specimen", "block", "stain"), named="relpath",
    ),
    Kept(SLIDE_KEYS, ("slide_id", "key"), ("site",)),
    Kept(
        LINKS, ("slide_id", "series_id", "person_id", "accession"),
        tuple(name for name in LINKS.names if name != "rule_set_sha"),
    ),
    Kept(
        REPORTS,
        ("report_id", "accession", "accession_external", "accession_raw", "patient_id", "id_number"),
        ("site", "report_type", "status", "is_current", "case_order", "organ", "reported_date", "diagnosis", "text_raw",
         "blocks"),
        shortened=("diagnosis", "text_raw"),
    ),
    Kept(DIAGNOSES, ("report_id",), ("specimen", "organ", "icdo3_morphology", "icd10", "assertion")),
    Kept(MATERIALS, ("material_id", "accession", "glass_id"), ("site", "kind", "specimen", "block", "stain")),
    Kept(SCANNER_INDEX, ("entry_id", "barcode", "accession_raw", "path"), ("site", "accession")),
    Kept(IDENTITIES, ("id_value", "person_id"), ()),
    Kept(PERSONS, ("person_id", "group_id"), tuple(PERSONS.names)),
    Kept(
        SERIES, ("series_id", "patient_id", "accession", "study_uid", "series_uid"),
        ("site", "archive", "relpath", "status", "modality", "body_part", "study_date", "instance_count"),
    ),
    Kept(ANNOTATIONS, ("slide_id",), ()),
    Kept(LINK_DECISIONS, ("slide_id",), ("accession", "decision", "reviewer", "decided_at")),
)  # fmt: skip
"""Columns by which rows are looked up, and what is asked of them most."""
LEAST_ROWS: Final = 1 << 16
"""A smaller part is read as fast as what would lie beside it."""
_THREADS: Final = 4
_SETTLED_NS: Final = 2_000_000_000
"""A folder that was changed just now may be changed again without a newer time: clocks of file systems are coarse."""

T = TypeVar("T")
R = TypeVar("R")


class Lookup:
    """Looks up rows that count: of the newest states, and not replaced by a later part's row with their key.

    Args:
        catalog: the catalog.
        shortens: whether of long texts the beginning is enough (see :data:`KEPT`).
        watched: the catalog's directory, for a look-up that is asked again and again. What lies in parts without a file of
            rows beside them is then held in memory, and :meth:`refresh` must be called before what is on disk now is asked
            for. Not for several threads at once.
    """

    def __init__(self, catalog: Catalog, *, shortens: bool = False, watched: Path | None = None) -> None:
        self._catalog = catalog
        self._shortens = shortens
        self._watched = watched
        self._opened: dict[str, _Opened] = {}
        self._parts: dict[Path, Part] = {}

    def refresh(self) -> None:
        """Let go of what may have changed on disk; for a look-up that stays open."""
        now = time.time_ns()
        self._opened = {
            name: one for name, one in self._opened.items() if one.stamp is not None and one.stamp == self._stamp(name, now)
        }

    def state(self, table: Table) -> tuple[int, ...] | None:
        """Differs between two states of a table that it has looked into; None if that cannot be told."""
        return self._of(table).stamp

    def rows(self, table: Table, columns: Sequence[str], conditions: Mapping[str, Condition]) -> list[Row]:
        """Rows that fulfil every condition, in the order of the table's parts.

        Args:
            table: the declaration.
            columns: only these columns, beside those of the key and of the conditions.
            conditions: column to what is asked of it; no rows at once if one of them has no values.

        Raises:
            InputOutputError: the table cannot be read.
        """
        for condition in conditions.values():
            values = condition.values
            if values is not None and not values:
                return []
        opened = self._opened.get(table.name) or self._of(table)
        if not opened.parts:
            return []
        found = self._search(table, opened, tuple(columns), conditions)
        if found and opened.adding < len(opened.parts):
            return self._newest(table, opened, found)
        return [row for _, row in found]

    def is_empty(self, table: Table) -> bool:
        """Whether the table has no parts."""
        return not self._of(table).parts

    def _search(
        self, table: Table, opened: "_Opened", columns: tuple[str, ...], conditions: Mapping[str, Condition], first: int = 0
    ) -> list[tuple[int, Row]]:
        """Rows of the parts from some place on, in the order of the parts, with the places of these."""
        plan = opened.plans.get((columns, *conditions)) or self._plan(table, opened, columns, conditions)
        found: list[tuple[int, Row]] = []
        places = plan.read
        for answer in plan.answers:
            for by in answer.by:
                sought = conditions[by].digests
                if sought is not None:
                    numbers = answer.source.rows.numbers(by, sought)
                    if numbers:
                        self._add(table, answer, numbers, conditions, found)
                    break
            else:
                places = sorted({*places, *answer.source.places})
        if places:
            declared = table.select(plan.names)
            groups = [(at, group) for at in places if at >= first for group in opened.parts[at].groups(conditions)]
            pieces = _at_once(lambda one: opened.parts[one[0]].read(one[1], declared, conditions), groups)
            found += [(at, row) for (at, _), piece in zip(groups, pieces, strict=True) for row in piece]
        if first:
            found = [hit for hit in found if hit[0] >= first]
        return sorted(found, key=_place) if len(found) > 1 else found

    def _add(
        self, table: Table, answer: "_Answer", numbers: Iterable[int], conditions: Mapping[str, Condition],
        found: list[tuple[int, Row]],
    ) -> None:  # fmt: skip
        """Add those of some rows that fulfil all conditions."""
        source, tests = answer.source, [(place, make, conditions[name]) for name, place, make in answer.tests]
        try:
            for number in numbers:
                cells = source.rows.cells(number)
                for place, make, condition in tests:
                    if not condition.passes(cell_value(cells[place], make)):
                        break
                else:
                    at = source.places[bisect_right(source.ends, number) if source.ends else 0]
                    found.append((at, row_values(cells, answer.reader)))
        except (ValueError, IndexError, OverflowError):
            raise InputOutputError(
                f"what lies beside the parts of catalog table {table.name} is damaged",
                f"Remove catalog/{table.name}/{FILTERS}; `pathcurate link` makes it again.",
            ) from None

    def _plan(
        self, table: Table, opened: "_Opened", columns: tuple[str, ...], conditions: Mapping[str, Condition]
    ) -> "_Plan":
        """How these columns are got, by these conditions."""
        names = tuple(dict.fromkeys((*table.key, *columns, *conditions)))
        answers, left = [], set(range(len(opened.parts)))
        for source in opened.sources:
            by = tuple(name for name in conditions if name in source.rows.by)
            hides = source.rows.shortened & {*names} and not self._shortens
            if by and source.rows.columns >= {*names} and not hides:
                answers.append(_Answer(source, by, source.rows.reader(conditions), source.rows.reader(names)))
                left -= {*source.places}
        plan = opened.plans[(columns, *conditions)] = _Plan(names, answers, sorted(left))
        return plan

    def _of(self, table: Table) -> "_Opened":
        """The table's parts: those whose rows are in no earlier part, and those that may replace rows of others."""
        opened = self._opened.get(table.name)
        if opened is None:
            # Before the log is read: what is committed after that is seen next time.
            stamp = self._stamp(table.name, time.time_ns())
            adding, replacing = self._catalog.part_paths(table)
            kept = next((one for one in KEPT if one.table.name == table.name), None)
            parts = [self._part(table, path, kept) for path in (*adding, *replacing)]
            bare = [at for at, part in enumerate(parts) if part.rows is None]
            sources = [_Source(part.rows, [at], []) for at, part in enumerate(parts) if part.rows is not None]
            if self._watched and kept and bare:
                rows, sizes = hold_rows(kept, [parts[at].path for at in bare])
                sources.append(_Source(rows, bare, list(accumulate(sizes))))
            paths = {part.path for part in parts}
            self._parts = {
                path: part for path, part in self._parts.items() if path in paths or path.parent.name != table.name
            }
            opened = self._opened[table.name] = _Opened(parts, len(adding), sources, stamp)
        return opened

    def _part(self, table: Table, path: Path, kept: Kept | None) -> "Part":
        state = _identity(path), _identity(rows_path(path))
        known = self._parts.get(path)
        if known is None or known.state != state:
            known = self._parts[path] = Part(table.name, path, open_rows(kept, path) if kept else None, state)
        return known

    def _stamp(self, name: str, now: int) -> tuple[int, ...] | None:
        """Times of a table's folders; None if they are so fresh that they say nothing."""
        if self._watched is None:
            return None
        folder = self._watched / name
        times = tuple(_changed(one) for one in (folder, folder / "_log", folder / FILTERS))
        return times if max(times) < now - _SETTLED_NS else None

    def _newest(self, table: Table, opened: "_Opened", found: list[tuple[int, Row]]) -> list[Row]:
        """The rows without those that a later part has a row for, whether that fulfils the conditions or not."""
        keys = {_key(table, row) for _, row in found}
        last: dict[tuple[Any, ...], int] = {}
        for missing in {tuple(one is None for one in key) for key in keys}:
            alike = [key for key in keys if tuple(one is None for one in key) == missing]
            wanted: dict[str, Condition] = {
                name: OneOf({key[place] for key in alike}) for place, name in enumerate(table.key) if not missing[place]
            }
            later = self._search(table, opened, table.key, wanted, opened.adding)
            last.update((key, at) for at, row in later if (key := _key(table, row)) in keys)
        return [row for at, row in found if last.get(_key(table, row), at) == at]


def _key(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.key)


def _place(hit: tuple[int, Row]) -> int:
    return hit[0]


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written again under its name."""
    try:
        state = os.stat(path)  # noqa: PTH116 - asked thousands of times
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def _changed(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - asked thousands of times
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class _Source:
    """The rows of one or several parts.

    Attributes:
        rows: they.
        places: places of the parts.
        ends: numbers behind the last row of each, if they are several.
    """

    rows: Rows
    places: Sequence[int]
    ends: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Answer:
    """How rows of one source are got.

    Attributes:
        source: it.
        by: columns by one of which they are found.
        tests: what of a row is tested.
        reader: how it is read.
    """

    source: _Source
    by: tuple[str, ...]
    tests: Reader
    reader: Reader


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows are got.

    Attributes:
        names: columns of a row.
        answers: from where.
        read: places of the parts that are read.
    """

    names: tuple[str, ...]
    answers: Sequence[_Answer]
    read: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A table's newest state.

    Attributes:
        parts: its files, those whose rows are of no other file first.
        adding: how many of them are such.
        sources: rows of them that are at hand one by one.
        stamp: times of the table's folders before it was opened.
        plans: how what was asked before is got.
    """

    parts: Sequence[Part]
    adding: int
    sources: Sequence[_Source]
    stamp: tuple[int, ...] | None
    plans: dict[Any, _Plan] = field(default_factory=dict)


def _at_once(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Arrow reads and compares without holding the interpreter, but one row group with one thread."""
    if len(items) < _THREADS:
        return [work(item) for item in items]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, items))


def keep_filters(catalog: Catalog) -> None:
    """Put files of rows beside the large parts of the newest states that have none yet, and remove those of other parts.

    Only for whoever holds the lock on the workspace.

    Args:
        catalog: the catalog.

    Raises:
        InputOutputError: a table cannot be read.
    """
    for kept in KEPT:
        adding, replacing = catalog.part_paths(kept.table)
        stays: set[Path] = set()
        for path in (*adding, *replacing):
            part = Part(kept.table.name, path, open_rows(kept, path))
            if part.rows is None and part.row_count >= LEAST_ROWS:
                write_rows(kept, path)
            stays.add(rows_path(path))
        for folder in {path.parent / FILTERS for path in (*adding, *replacing)}:
            for file in set(folder.glob("*")) - stays:
                file.unlink(missing_ok=True)

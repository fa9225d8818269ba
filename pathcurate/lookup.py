"""Single rows of catalog tables, found without reading the tables.

A row group is read only if it may hold what is looked for. Its statistics say between which values a column lies: of a
column in order they leave one group or two. For columns in no order, a filter (Bloom, CACM 13:422, 1970) that was put beside
the part tells which of its groups may hold a value. Neither is needed for a right answer, only for a quick one: parts are
never changed, so a filter cannot be out of date, and a part without one is read.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES
from pathcurate.model.link import LINK_DECISIONS, LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.person import IDENTITIES
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import FILTERS, Catalog, conform, read_metadata

FILTERED: Final[Sequence[tuple[Table, Sequence[str]]]] = (
    (SLIDES, ("slide_id", "barcode", "patient_id")),
    (LINKS, ("slide_id", "person_id")),
    (REPORTS, ("report_id", "accession", "accession_external", "patient_id", "id_number")),
    (DIAGNOSES, ("report_id",)),
    (MATERIALS, ("accession", "glass_id")),
    (SCANNER_INDEX, ("barcode",)),
    (IDENTITIES, ("person_id",)),
    (ANNOTATIONS, ("slide_id",)),
    (LINK_DECISIONS, ("slide_id",)),
)
"""Columns by which rows are looked up, and by which their table is not sorted."""
LEAST_ROWS: Final = 1 << 16
"""A smaller part is read as fast as its filter."""
_VERSION: Final = "v1"
"""Part of a filter's name; another one for other digests or places."""
_HEAD: Final = b"pathcurate bits\n"
_PLACES: Final = 4
_BITS_PER_ROW: Final = 16
"""With 4 places a value: 2.4 of 1,000 groups are read in vain."""
_TAIL_BYTES: Final = 16
_THREADS: Final = 4

Row = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")


class Condition(Protocol):
    """What is asked of a column of texts."""

    @property
    def values(self) -> Sequence[str] | None:
        """Texts of which a value that passes has one, but for width and case; None if that is not known."""

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether a value of a row group may pass, by the group's statistics of the column."""

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which values pass; a missing one may give null, which counts as not."""


@dataclass(frozen=True)
class OneOf:
    """The value is one of these texts."""

    texts: Collection[str]

    @cached_property
    def values(self) -> Sequence[str]:
        """In order."""
        return sorted(set(self.texts))

    @cached_property
    def _set(self) -> "pa.Array[Any]":
        return text_array(self.values)

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether one of them lies between the least and the greatest."""
        if not statistics.has_min_max:
            return bool(statistics.num_values)
        low, high = str(statistics.min), str(statistics.max)
        return any(low <= value <= high for value in self.values)

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which values are among them."""
        return pc.is_in(column, value_set=self._set)


@dataclass(frozen=True)
class Alike:
    """The value is one of these texts but for width, case and spaces around it."""

    texts: Collection[str]

    @cached_property
    def values(self) -> Sequence[str]:
        """As they are compared."""
        return sorted({str(text) for text in folded(text_array(self.texts)).to_pylist()})

    @cached_property
    def _set(self) -> "pa.Array[Any]":
        return text_array(self.values)

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether there is a value: case and width have another order."""
        return bool(statistics.num_values)

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which values are among them."""
        return pc.is_in(folded(column), value_set=self._set)


@dataclass(frozen=True)
class Present:
    """There is a value."""

    @property
    def values(self) -> None:
        """Any."""
        return None

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

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether there is a value: more is not known of the test."""
        return bool(statistics.num_values)

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which values pass."""
        return self.test(column)


def text_array(texts: Iterable[str]) -> "pa.Array[Any]":
    """Texts as Arrow has them. ``pa.array`` would load pandas first, which takes as long as all of a search."""
    encoded = [text.encode(errors="replace") for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def folded(values: "pa.Array[Any]") -> "pa.Array[Any]":
    """Texts in the form in which they compare: NFKC (full-width digits become ASCII), upper case, no outer spaces."""
    if pc.all(pc.string_is_ascii(values), min_count=0).as_py():
        return pc.ascii_upper(pc.ascii_trim_whitespace(values))
    normal: pa.Array[Any] = pc.utf8_normalize(values, form="NFKC")  # type: ignore[attr-defined]
    return pc.utf8_upper(pc.utf8_trim_whitespace(normal))


class Lookup:
    """Looks up rows that count: of the newest states, and not replaced by a later part's row with their key.

    Args:
        catalog: the catalog.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._parts: dict[str, tuple[list[_Part], list[_Part]]] = {}

    def rows(self, table: Table, columns: Sequence[str], conditions: Mapping[str, Condition]) -> list[Row]:
        """Rows that fulfil every condition, in the order of the table's parts.

        Args:
            table: the declaration.
            columns: only these columns, beside those of the key and of the conditions.
            conditions: column to what is asked of it; no rows at once if one of them has no values.

        Raises:
            InputOutputError: the table cannot be read.
        """
        if any(condition.values is not None and not condition.values for condition in conditions.values()):
            return []
        adding, replacing = self._of(table)
        needed = table.select(dict.fromkeys((*table.key, *columns, *conditions)))
        places = ((at, part, group) for at, part in enumerate((*adding, *replacing)) for group in part.groups(conditions))
        found = _at_once(lambda place: (place[0], place[1].read(place[2], needed, conditions)), places)
        rows = [(at, row) for at, piece in found for row in piece]
        return self._newest(table, rows, len(adding)) if replacing and rows else [row for _, row in rows]

    def _of(self, table: Table) -> "tuple[list[_Part], list[_Part]]":
        """The parts whose rows are in no earlier part, and those that may replace rows of others, oldest first."""
        if table.name not in self._parts:
            adding, replacing = self._catalog.part_paths(table)
            self._parts[table.name] = (
                [_Part(table.name, path) for path in adding],
                [_Part(table.name, path) for path in replacing],
            )
        return self._parts[table.name]

    def _newest(self, table: Table, rows: list[tuple[int, Row]], first_replacing: int) -> list[Row]:
        """The rows without those that a later part has a row for, whether that fulfils the conditions or not."""
        keys = {_key(table, row) for _, row in rows}
        leading = next(name for name in table.key if any(row[name] is not None for _, row in rows))
        wanted = {leading: OneOf({row[leading] for _, row in rows if row[leading] is not None})}
        names = table.select(table.key)
        last: dict[tuple[Any, ...], int] = {}
        for at, part in enumerate(self._of(table)[1], start=first_replacing):
            for group in part.groups(wanted):
                last.update((key, at) for row in part.read(group, names, wanted) if (key := _key(table, row)) in keys)
        return [row for at, row in rows if last.get(_key(table, row), at) == at]


def _key(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.key)


class _Part:
    """One file of a table."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._metadata = read_metadata(path)
        schema = self._metadata.schema
        self._leaves = {schema.column(leaf).path: leaf for leaf in range(self._metadata.num_columns)}
        self._fields = {path.partition(".")[0] for path in self._leaves}

    def groups(self, conditions: Mapping[str, Condition]) -> Iterator[int]:
        """Numbers of the row groups that may hold a row that fulfils all conditions."""
        if not self._fields.issuperset(conditions):
            return
        chosen = [group for group in range(self._metadata.num_row_groups) if self._may_hold(group, conditions)]
        for column, condition in conditions.items():
            if len(chosen) > 1 and condition.values is not None:
                bits = read_filter(self._path, column, self._metadata.num_row_groups)
                chosen = chosen if bits is None else may_hold(bits, chosen, condition.values)
        yield from chosen

    def _may_hold(self, group: int, conditions: Mapping[str, Condition]) -> bool:
        row_group = self._metadata.row_group(group)
        statistics = ((condition, row_group.column(self._leaves[name]).statistics) for name, condition in conditions.items())
        return all(known is None or condition.may_pass(known) for condition, known in statistics)

    def read(self, group: int, table: Table, conditions: Mapping[str, Condition]) -> list[Row]:
        """The rows of one row group that fulfil the conditions."""
        try:
            with pq.ParquetFile(self._path, metadata=self._metadata) as file:
                asked = file.read_row_group(group, columns=list(conditions), use_threads=False)
                masks = [condition.mask(asked[name].combine_chunks()) for name, condition in conditions.items()]
                at = pc.indices_nonzero(reduce(pc.and_, masks))
                if not len(at):
                    return []
                names = [name for name in table.names if name in self._fields]
                rows = file.read_row_group(group, columns=names, use_threads=False).take(at)
                return list(conform(table, rows).to_pylist())
        except (OSError, pa.ArrowException) as error:
            # Arrow quotes the value that it could not convert.
            raise InputOutputError(
                f"{self._path.name} of catalog table {self._name} cannot be read ({type(error).__name__})",
                "Restore the catalog from a backup, or run the stage that writes it again.",
            ) from None

    def filter_of(self, column: str) -> "np.ndarray[Any, np.dtype[np.uint8]]":
        """What :func:`may_hold` asks: for each row group, the places that the values of a column have."""
        rows = max(self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups))
        size = 1 << (rows * _BITS_PER_ROW - 1).bit_length()

        def of_group(group: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
            with pq.ParquetFile(self._path, metadata=self._metadata) as file:
                values = file.read_row_group(group, columns=[column], use_threads=False)[column].combine_chunks()
            places = np.zeros(size, np.bool_)
            places[_places(values.cast(pa.string()).drop_null(), size).ravel()] = True
            return np.packbits(places)

        return np.stack(_at_once(of_group, range(self._metadata.num_row_groups)))

    def wants_filter(self, column: str) -> bool:
        """Whether it has the column and so many rows that a filter pays."""
        return column in self._fields and self._metadata.num_rows >= LEAST_ROWS


def _at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Arrow reads and compares without holding the interpreter, but one row group with one thread."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, items))


# --- Filters -----------------------------------------------------------------------------------------------------


def keep_filters(catalog: Catalog) -> None:
    """Put filters beside the parts of the newest states that have none yet, and remove those of other parts.

    Only for whoever holds the lock on the workspace.

    Args:
        catalog: the catalog.

    Raises:
        InputOutputError: a table cannot be read.
    """
    for table, columns in FILTERED:
        adding, replacing = catalog.part_paths(table)
        kept: set[Path] = set()
        for path in (*adding, *replacing):
            part = _Part(table.name, path)
            for column in filter(part.wants_filter, columns):
                file = _filter_path(path, column)
                kept.add(file)
                if not file.exists():
                    content = _HEAD + part.filter_of(column).tobytes()
                    write_bytes(private_directory(file.parent) / file.name, content, mode=0o600)
        for folder in {path.parent / FILTERS for path in (*adding, *replacing)}:
            for file in set(folder.glob("*")) - kept:
                file.unlink(missing_ok=True)


def read_filter(part: Path, column: str, groups: int) -> "np.ndarray[Any, np.dtype[np.uint8]] | None":
    """The filter of a part's column, not read but mapped; None if there is none, or a damaged one."""
    try:
        content = np.memmap(_filter_path(part, column), np.uint8, "r")
    except (OSError, ValueError):
        return None
    head, size = content[: len(_HEAD)].tobytes(), (content.size - len(_HEAD)) // groups
    is_whole = head == _HEAD and size.bit_count() == 1 and content.size == len(_HEAD) + groups * size
    return content[len(_HEAD) :].reshape(groups, size) if is_whole else None


def may_hold(bits: "np.ndarray[Any, np.dtype[np.uint8]]", groups: Sequence[int], values: Sequence[str]) -> list[int]:
    """Those of the row groups that may hold one of the values."""
    places = _places(text_array(values), bits.shape[1] * 8)
    held = np.asarray(bits)[np.array(groups)[:, None, None], places >> 3] >> (7 - (places & 7)).astype(np.uint8) & 1
    return [group for group, holds in zip(groups, held.all(axis=2).any(axis=1), strict=True) if holds]


def _filter_path(part: Path, column: str) -> Path:
    return part.parent / FILTERS / f"{part.stem}.{column}.{_VERSION}.bits"


def _places(values: "pa.Array[Any]", size: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """For each text the bits that it sets, of a power of two: by double hashing (Kirsch and Mitzenmacher, 2008)."""
    digests = _digests(folded(values))
    first, step = digests & np.uint64(0xFFFFFFFF), (digests >> np.uint64(32)) | np.uint64(1)
    turns = np.arange(_PLACES, dtype=np.uint64)[:, None]
    places: np.ndarray[Any, np.dtype[np.int64]] = ((first + turns * step) & np.uint64(size - 1)).astype(np.int64).T
    return places


def _digests(values: "pa.Array[Any]") -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """64 bits of each text's length and last 16 bytes: numbers differ in their ends. Texts that agree there are as one."""
    _, ends, content = values.buffers()
    offsets = np.frombuffer(memoryview(ends or bytes(4)), np.int32, len(values) + 1, values.offset * 4).astype(np.int64)
    data = np.frombuffer(memoryview(content or bytes(1)), np.uint8)
    lengths = np.diff(offsets)
    at = offsets[1:, None] - np.arange(_TAIL_BYTES, 0, -1)
    tails = np.where(at >= offsets[:-1, None], data[np.clip(at, 0, max(0, data.size - 1))], np.uint8(0))
    low, high = np.ascontiguousarray(tails).view("<u8").T
    mixed = (low * np.uint64(0x9E3779B97F4A7C15)) ^ (high * np.uint64(0xC2B2AE3D27D4EB4F)) ^ lengths.astype(np.uint64)
    # The finisher of MurmurHash3 (Appleby): every bit of the input changes about half of the output's.
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray(mixed ^ (mixed >> np.uint64(33)), np.uint64)

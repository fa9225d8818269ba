"""The tables as queries read them: de-identified columns, true values in place of moved ones, and numbers instead of codes.

``deid/`` and the criterion-only values are two files of the same rows in the same order. Joined anew for every query, they
would cost more than the query: so they are put side by side once, in the vault, until either of them changes. A row's number
is its place in its table, which is sorted by its code; numbers are joined, compared and counted many times faster than codes
of eighteen characters, and never leave the vault.

Slides are put in the order of their patients, cases, specimens and blocks, and get a number for each of the latter two: what
is counted by case or patient then stands together, which is counted twice as fast and compressed to half.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.recipe.levels import NUMBERS, OWNERS, PLACES
from pathcurate.storage import private_directory, replacing, write_bytes
from pathcurate.tables import read_parquet
from pathcurate.workspace import Workspace

_FOLDER = "whole"
_MADE_OF = "made_of.json"
_VERSION = 3
"""Of what is written here; files of another are written anew."""
_ROWS = 1 << 17
_SORTING_BYTES = 800_000_000
"""Memory that sorting may take; the rest goes to disk."""
_WIDTH = 18
CLUSTERED = ("patient_no", "case_no", "specimen", "block", "slide_no")
"""The order of slides."""
Codes = npt.NDArray[np.bytes_]
"""Codes of a table in their order; all have eighteen characters."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The two files of a table; ``true`` is None where it has no criterion-only values."""

    deid: Path
    true: Path | None


def whole_paths(workspace: Workspace, sealed: Mapping[str, str], tables: Iterable[str]) -> dict[str, Path]:
    """The files of some tables, written anew if what they are made of has changed.

    Args:
        workspace: the workspace; the caller holds its lock.
        sealed: digests of the files that the seal vouches for.
        tables: which are needed.

    Raises:
        InputOutputError: a table cannot be read, or its two files are not of the same rows.
    """
    folder = private_directory(workspace.criteria / _FOLDER)
    record = folder / _MADE_OF
    known = _known(record)
    paths = {}
    codes: dict[str, Codes] = {}
    for name in tables:
        paths[name] = folder / f"{name}.parquet"
        needed = [name, *(owner for owner in OWNERS[name] if owner != name)]
        made_of = {"version": str(_VERSION)} | {
            file: digest for file, digest in sealed.items() if file.partition("/")[2].removesuffix(".parquet") in needed
        }
        if known.get(name) == made_of and _is_closed(paths[name]):
            continue
        if known.pop(name, None) is not None:
            # First, so that a run that is killed here leaves no file under the name of what it is not made of.
            _note(record, known)
        for owner in OWNERS[name]:
            if owner not in codes:
                key = DEID_TABLES[owner].key[0]
                codes[owner] = as_codes(read_parquet(workspace.deid / f"{owner}.parquet", [key])[key])
        true = workspace.criteria / f"{name}.parquet" if name in CRITERIA_TABLES else None
        source = _Source(workspace.deid / f"{name}.parquet", true)
        if name == "slides":
            unsorted = folder / f".{name}.parquet"
            _write(unsorted, name, source, codes)
            _cluster(unsorted, paths[name], folder)
            unsorted.unlink()
        else:
            _write(paths[name], name, source, codes)
        known[name] = made_of
        _note(record, known)
    return paths


def _known(record: Path) -> dict[str, dict[str, str]]:
    """What each file was made of; nothing, if that cannot be read: then all are made anew."""
    try:
        known = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _note(record: Path, known: Mapping[str, Mapping[str, str]]) -> None:
    write_bytes(record, json.dumps(known, indent=1, sort_keys=True).encode(), mode=0o600)


def _is_closed(path: Path) -> bool:
    """Whether a file is there and ends as Parquet does."""
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def whole_table(name: str, deid: pa.Table, true: pa.Table | None, codes: Mapping[str, Codes], first: int = 0) -> pa.Table:
    """Rows of a table put together.

    Args:
        name: the table.
        deid: its de-identified rows.
        true: their criterion-only values, row by row.
        codes: of each table that owns these rows, all codes in their order.
        first: number of the first row.

    Raises:
        InputOutputError: the two are not of the same rows.
    """
    columns: dict[str, Any] = {column: deid[column] for column in deid.column_names}
    key = DEID_TABLES[name].key[0]
    if true is not None:
        if not deid[key].equals(true[key]):
            raise InputOutputError(
                f"deid/{name}.parquet and its criterion-only values are not of the same rows", "Run `pathcurate deid apply`."
            )
        columns |= {column: true[column] for column in true.column_names if column != key}
    for owner in OWNERS[name]:
        code = DEID_TABLES[owner].key[0]
        if owner == name:
            columns[NUMBERS[code]] = pa.array(range(first, first + deid.num_rows), pa.int32())
        else:
            columns[NUMBERS[code]] = _numbers(deid[code], codes[owner])
    return pa.table(columns)


def as_codes(values: "pa.ChunkedArray[Any]") -> Codes:
    """Codes as texts of one width, in which numbers are looked up; a missing one as spaces, which no code has."""
    joined: Any = values.combine_chunks()
    whole: Any = pc.fill_null(joined, " " * _WIDTH)
    fixed = whole.cast(pa.binary()).cast(pa.binary(_WIDTH))
    return np.frombuffer(fixed.buffers()[1], dtype=f"S{_WIDTH}", count=len(fixed), offset=fixed.offset * _WIDTH)


def _numbers(values: "pa.ChunkedArray[Any]", known: Codes) -> "pa.Array[Any]":
    """The place of each code among the known ones, which are sorted; missing where it is not among them."""
    wanted = as_codes(values)
    places = np.searchsorted(known, wanted)
    found = np.zeros(len(wanted), np.bool_)
    inside = places < len(known)
    found[inside] = known[places[inside]] == wanted[inside]
    return pa.array(places.astype(np.int32), mask=~found)


def _write(path: Path, name: str, source: _Source, codes: Mapping[str, Codes]) -> None:
    writer = None
    first = 0
    with replacing(path, 0o600) as temporary:
        for deid, true in _side_by_side(source):
            rows = whole_table(name, deid, true, codes, first)
            writer = writer or pq.ParquetWriter(temporary, rows.schema, compression="zstd")
            writer.write_table(rows, row_group_size=_ROWS)
            first += deid.num_rows
        if writer is not None:
            writer.close()


def _cluster(unsorted: Path, path: Path, folder: Path) -> None:
    """Write slides in the order of :data:`CLUSTERED`, with the numbers of their specimens and blocks."""
    before: Places | None = None
    writer = None
    order = ", ".join(f"s.{name} nulls last" for name in CLUSTERED)
    with (
        Embedded(workers=2, temp_directory=private_directory(folder / "spill"), memory_limit_bytes=_SORTING_BYTES) as engine,
        replacing(path, 0o600) as temporary,
    ):
        engine.view("slides", [unsorted])
        schema = pq.read_schema(unsorted)
        pieces = (pa.Table.from_batches([piece]) for piece in engine.batches(f"select * from slides as s order by {order}"))
        for piece in pieces:
            rows, before = placed(piece, before)
            writer = writer or pq.ParquetWriter(temporary, rows.schema, compression="zstd")
            writer.write_table(rows, row_group_size=_ROWS)
        if writer is None:
            pq.write_table(placed(schema.empty_table(), None)[0], temporary)
        else:
            writer.close()


@dataclass(frozen=True, slots=True)
class Places:
    """Where the numbering of specimens and blocks stands after a row.

    Attributes:
        of: the row's case, specimen and block; -1 and nothing where it has none.
        numbers: of its specimen and block, those that were given last.
    """

    of: tuple[int, str, str]
    numbers: tuple[int, int]


def placed(slides: pa.Table, before: Places | None) -> tuple[pa.Table, Places | None]:
    """Slides with the numbers of their specimens and blocks beside them, missing where the slide has none.

    Args:
        slides: in the order of :data:`CLUSTERED`.
        before: where the numbering stands after the rows before these, None at the beginning.
    """
    case: Any = slides["case_no"].combine_chunks()
    texts: list[Any] = [slides[name].combine_chunks() for name in ("specimen", "block")]
    specimen, block = (pc.fill_null(text, "") for text in texts)
    last = before or Places((-1, "", ""), (-1, -1))
    is_new = np.zeros(slides.num_rows, np.bool_)
    is_new |= _differs(pc.fill_null(case, -1), last.of[0]) | _differs(specimen, last.of[1])
    specimens = last.numbers[0] + np.cumsum(is_new, dtype=np.int64)
    is_new |= _differs(block, last.of[2])
    blocks = last.numbers[1] + np.cumsum(is_new, dtype=np.int64)
    for name, numbers, own in zip(PLACES, (specimens, blocks), (specimen, block), strict=True):
        lacks: Any = pc.or_(pc.is_null(case), pc.equal(own, pa.scalar("")))
        slides = slides.append_column(name, pa.array(numbers.astype(np.int32), pa.int32(), mask=np.asarray(lacks)))
    if not slides.num_rows:
        return slides, before
    end = (case[-1].as_py() if case[-1].is_valid else -1, specimen[-1].as_py(), block[-1].as_py())
    return slides, Places(end, (int(specimens[-1]), int(blocks[-1])))


def _differs(part: Any, before: int | str) -> "npt.NDArray[np.bool_]":
    """Whether each value is another than the one before it."""
    former: Any = pa.concat_arrays([pa.array([before], part.type), part])[:-1]
    return np.asarray(pc.not_equal(part, former))


def _side_by_side(source: _Source) -> Iterator[tuple[pa.Table, pa.Table | None]]:
    """Pieces of both files, of the same rows; one empty piece of a table without rows."""
    try:
        with pq.ParquetFile(source.deid) as deid:
            true = pq.ParquetFile(source.true) if source.true is not None else None
            pieces = deid.iter_batches(batch_size=_ROWS)
            others = true.iter_batches(batch_size=_ROWS) if true is not None else iter(())
            if not deid.metadata.num_rows:
                yield deid.schema_arrow.empty_table(), true.schema_arrow.empty_table() if true is not None else None
            for batch in pieces:
                other = next(others, None)
                yield pa.Table.from_batches([batch]), pa.Table.from_batches([other]) if other is not None else None
            if true is not None:
                true.close()
    except (OSError, pa.ArrowException) as error:
        raise InputOutputError(
            f"deid/{source.deid.name} or its criterion-only values cannot be read as Parquet ({type(error).__name__})",
            "Run `pathcurate deid apply`.",
        ) from None

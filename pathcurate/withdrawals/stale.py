"""What of a copy was withdrawn: rows by the codes in their columns, files by the code that their name begins with."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import DigestMismatchError
from pathcurate.tables import read_parquet, read_schema
from pathcurate.withdrawals.feed import Feed, codes_after

Codes = Mapping[str, Collection[str]]
"""Column to codes."""
_CODE_LENGTH = 18
_MOST_SHOWN = 20
_INDEX = "DICOMDIR"
_PARTED = re.compile(r"(?:^|/)([A-Z])/([0-9A-Z]{8})/([0-9A-Z]{8})(?=/|$)")
"""A code as folders whose names a DICOM file set may have (PS3.10 section 8.2): ``I/8QZB3M01/T7XK29AA``."""
_FILES = {"code": ("slide_id", "series_id")}
"""Of the list of copies (``deid-files.parquet``): its column of codes, and the columns of a feed that may name them."""


@dataclass(frozen=True, slots=True)
class Stale:
    """What of a copy was withdrawn.

    Attributes:
        rows: path of a table's file to how many of its rows, if any.
        files: other files.
        seq: number of the last line of the feed.
        head: its digest.
    """

    rows: Mapping[str, int]
    files: tuple[str, ...]
    seq: int
    head: str

    def __bool__(self) -> bool:
        return bool(self.rows or self.files)


def find_stale(directory: Path, paths: Iterable[str], feed: Feed) -> Stale:
    """What of a copy was withdrawn and is still there, whatever line of the feed names it.

    Args:
        directory: the copy.
        paths: of its files, below it; those that are gone hold nothing.
        feed: in the codes of the copy.

    Raises:
        InputOutputError: a table cannot be read.
    """
    codes = codes_after(feed)
    named = frozenset(code for found in codes.values() for code in found)
    rows: dict[str, int] = {}
    files: list[str] = []
    present = [path for path in paths if (directory / path).exists()]
    for path in present:
        file = directory / path
        if is_table(path):
            rows |= {path: count} if (count := _count(file, codes)) else {}
        elif named.intersection(_codes_of(path)):
            files.append(path)
    folders = {PurePosixPath(path).parts[0] for path in files}
    # An index of DICOM files names those that go; the others are read without it.
    files += [path for path in present if PurePosixPath(path).name == _INDEX and PurePosixPath(path).parts[0] in folders]
    return Stale(rows, tuple(files), feed.seq, feed.head)


def _codes_of(path: str) -> set[str]:
    """What may be a code in the names of a file and of the folders that it is in."""
    parted = {f"{match[1]}-{match[2]}{match[3]}" for match in _PARTED.finditer(path)}
    return {part[:_CODE_LENGTH] for part in PurePosixPath(path).parts} | parted


def demand_none(stale: Stale, what: str) -> None:
    """Refuse what is stale.

    Raises:
        DigestMismatchError: says of which tables how many rows, and how many files.
    """
    if not stale:
        return
    rows = [f"\n  - {path}: {count:,} rows" for path, count in stale.rows.items()]
    files = [f"\n  - {path}" for path in stale.files[:_MOST_SHOWN]]
    more = [f"\n  - and {len(stale.files) - _MOST_SHOWN:,} more files"] if len(stale.files) > _MOST_SHOWN else []
    raise DigestMismatchError(
        f"stale copy: {what} holds what was withdrawn{''.join([*rows, *files, *more])}",
        "Delete it with `pathcurate product purge`, and send the holder the statement that it writes.",
    )


def is_table(path: str) -> bool:
    """Whether a file is a table."""
    return path.endswith(".parquet")


def _count(file: Path, codes: Mapping[str, Collection[str]]) -> int:
    names = read_schema(file).names
    asked = [name for name, _ in _columns(names, codes)]
    if not asked:
        return 0
    rows = read_parquet(file, [*asked, *(["standing"] if "standing" in names and "standing" not in asked else [])])
    found: int = pc.sum(mask_of(rows, codes)).as_py() or 0
    return found


def mask_of(rows: pa.Table, codes: Mapping[str, Collection[str]]) -> Any:
    """Which rows have a withdrawn code in the column of its name."""
    mask: Any = pa.chunked_array([pa.array([False] * rows.num_rows, pa.bool_())])
    for name, wanted in _columns(rows.column_names, codes):
        here: Any = pc.is_in(rows[name], value_set=pa.array(sorted(wanted), pa.string()))
        mask = pc.or_(mask, pc.fill_null(here, False))
    return mask


def _columns(names: Collection[str], codes: Mapping[str, Collection[str]]) -> Iterator[tuple[str, Collection[str]]]:
    for name in names:
        if name in codes:
            yield name, codes[name]
        elif name in _FILES and "standing" in names:
            yield name, {code for column in _FILES[name] for code in codes.get(column, ())}

"""What the catalog knows of every file, in arrays: about 80 bytes a slide, so that millions fit into memory beside a scan.

The tables hold everything; an index holds what decides whether a file must be opened, and where in the tables its row is.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pathcurate.model.column import Table
from pathcurate.scan.columns import ascii_codes, whole_numbers
from pathcurate.tables import Catalog, arrow_schema

Row = dict[str, Any]
Digests = NDArray[np.uint64]
"""Shape (n, 2): 128 bits each, so that two places never share one by chance."""

NO_TIME: Final = np.iinfo(np.int64).min
"""Stands for a missing modification time."""
_HELD_PARTS: Final = 3
_PIECE_ROWS: Final = 1 << 16
_ID_BYTES: Final = 18


def place_digest(site: str, archive: str, relpath: bytes) -> bytes:
    """16 bytes that stand for a place: site, archive, path below its root."""
    return hashlib.blake2b(_root_bytes(site, archive) + relpath, digest_size=16).digest()


@lru_cache(maxsize=4096)
def _root_bytes(site: str, archive: str) -> bytes:
    return f"{site}\0{archive}\0".encode()


def short_digest(text: bytes) -> int:
    """64 bits that stand for a text; for finding candidates, which are then compared themselves."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def as_digests(digests: Sequence[bytes]) -> Digests:
    """Digests of 16 bytes as an array."""
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)


def microseconds(column: "pa.ChunkedArray[Any]") -> NDArray[np.int64]:
    """A timestamp column as numbers; :data:`NO_TIME` where there is none."""
    return whole_numbers(column.cast(pa.int64()), int(NO_TIME))


class Lookup:
    """Finds rows by a digest; of rows with the same digest the one that comes first in ``order`` of preference."""

    def __init__(self, digests: Digests, preference: NDArray[Any] | None = None) -> None:
        keys = (digests[:, 1], digests[:, 0])
        self._order = np.lexsort(keys if preference is None else (preference, *keys)).astype(np.int32)
        self._high = digests[self._order, 0]
        self._low = digests[:, 1]

    def find(self, wanted: Digests) -> NDArray[np.int64]:
        """Row of each digest, -1 where there is none."""
        if not len(self._high) or not len(wanted):
            return np.full(len(wanted), -1, np.int64)
        at = np.searchsorted(self._high, wanted[:, 0])
        found = np.full(len(wanted), -1, np.int64)
        open_ = np.arange(len(wanted))
        while open_.size:
            inside = at[open_] < len(self._high)
            open_ = open_[inside]
            same = self._high[at[open_]] == wanted[open_, 0]
            open_ = open_[same]
            hit = self._low[self._order[at[open_]]] == wanted[open_, 1]
            found[open_[hit]] = self._order[at[open_[hit]]]
            # Equal in their first half only, or another state of the same place: look at the next.
            open_ = open_[~hit]
            at[open_] += 1
        return found


@dataclass
class Index:
    """Rows of one table that count, by place.

    Attributes:
        ids: slide_id of each row, or of the slide or series whose part the file is; as ASCII bytes, empty for none.
        places: digest of each row's place.
        size: bytes.
        mtime: microseconds since 1970, :data:`NO_TIME` for none.
        facts: further arrays by name.
        part: index into ``parts``.
        row: place of the row in its part.
        parts: names of the parts.
        state: of the table when it was read.
        seen: rows whose file was met in this scan.
    """

    table: Table
    ids: NDArray[np.bytes_]
    places: Digests
    size: NDArray[np.int64]
    mtime: NDArray[np.int64]
    facts: dict[str, NDArray[Any]]
    part: NDArray[np.int32]
    row: NDArray[np.int32]
    parts: list[str]
    seen: NDArray[np.bool_]
    state: str
    _lookup: Lookup | None = None
    _by_id: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.places)

    def find(self, wanted: Digests) -> NDArray[np.int64]:
        """Row at each place, -1 where there is none; of several one that is not gone, and was said to have moved there."""
        if self._lookup is None:
            self._lookup = Lookup(self.places, 2 * self.facts["gone"].astype(np.int8) + ~self.facts["moved"])
        return self._lookup.find(wanted)

    def forget_lookup(self) -> None:
        """Free what :meth:`find` has built; it is built again when it is needed."""
        self._lookup = None

    def at_id(self, code: bytes) -> int | None:
        """Row of a slide or series; None if it is not known."""
        at = int(self.at_ids(np.array([code], self.ids.dtype))[0])
        return at if at >= 0 else None

    def has_id(self, slide_id: str) -> bool:
        """Whether a row has this identifier."""
        return self.at_id(slide_id.encode()) is not None

    def at_ids(self, codes: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Rows of slides or series, -1 for those that are not known."""
        if self._by_id is None:
            self._by_id = np.argsort(self.ids, kind="stable").astype(np.int32)
        if not len(self._by_id):
            return np.full(len(codes), -1, np.int64)
        at = np.searchsorted(self.ids, codes, sorter=self._by_id)
        rows = self._by_id[np.minimum(at, len(self._by_id) - 1)].astype(np.int64)
        return np.where(self.ids[rows] == codes, rows, -1)

    def rows(self, catalog: Catalog, chosen: NDArray[np.int64]) -> Iterator[tuple[int, Row]]:
        """Index and full row of those that are chosen, read part by part."""
        order = chosen[np.lexsort((self.row[chosen], self.part[chosen]))]
        for part in np.unique(self.part[order]):
            members = order[self.part[order] == part]
            for start in range(0, len(members), 10_000):
                some = members[start : start + 10_000]
                rows = catalog.rows_at(self.table, self.parts[part], self.row[some].tolist())
                yield from zip(some.tolist(), rows, strict=True)


class RowReader:
    """Full rows of an index one by one, in roughly the order of the table; the last few parts stay in memory."""

    def __init__(self, catalog: Catalog, index: Index) -> None:
        self._catalog = catalog
        self._index = index
        self._held: dict[int, pa.Table] = {}

    def __getitem__(self, at: int) -> Row:
        part = int(self._index.part[at])
        if part not in self._held:
            while len(self._held) >= _HELD_PARTS:
                self._held.pop(next(iter(self._held)))
            name = self._index.parts[part]
            self._held[part] = self._catalog.part(self._index.table, name)
        row: Row = self._held[part].slice(int(self._index.row[at]), 1).to_pylist()[0]
        return row


Moved = Callable[[str, bytes], tuple[str, bytes] | None] | None
"""Archive and path at which a file lies that was said to have moved; None for any other."""
Derive = Callable[[pa.Table], Mapping[str, NDArray[Any]]]
"""Further arrays of the rows of a part; ``gone`` must be among them, and ``drop`` marks rows to leave out."""


def read_index(
    catalog: Catalog,
    table: Table,
    columns: Sequence[str],
    id_column: str,
    derive: Derive,
    *,
    by_id: bool,
    moved: Moved,
) -> Index:
    """The rows of a table's newest state that count.

    Args:
        catalog: the catalog.
        table: the table; it has ``site``, ``archive``, ``relpath``, ``size_bytes`` and ``mtime``.
        columns: what ``derive`` needs.
        id_column: column with the slide or series.
        derive: makes the further arrays.
        by_id: whether the key of the table is ``id_column``; else it is the place.
        moved: archive and path of a file that is to be looked for elsewhere than where the table says; else None. The fact
            ``moved`` marks its row.
    """
    wanted = tuple(dict.fromkeys((id_column, "site", "archive", "relpath", "size_bytes", "mtime", *columns)))
    state = catalog.state(table)
    joined = _piece(arrow_schema(table.select(wanted)).empty_table(), id_column, 0, derive, moved, by_id=by_id)
    # Made at once in their final size: small arrays that are joined later leave a heap full of holes.
    count = catalog.row_count(table)
    joined = {name: np.zeros((count, *array.shape[1:]), array.dtype) for name, array in joined.items()}
    parts: list[str] = []
    filled = 0
    for name, data in catalog.parts(table, wanted):
        for start in range(0, data.num_rows, _PIECE_ROWS):
            piece = _piece(data.slice(start, _PIECE_ROWS), id_column, len(parts), derive, moved, by_id=by_id)
            piece["row"] += start
            for column, array in piece.items():
                joined[column][filled : filled + len(array)] = array
            filled += len(piece["row"])
        parts.append(name)
    if len(parts) > 1:
        joined = _last(joined, by_id=by_id)
    joined.pop("origins", None)
    drop = joined.pop("drop")
    if drop.any():
        _keep(joined, ~drop)
    # What was read part by part is behind us, and a scan of millions has other uses for its memory.
    pa.default_memory_pool().release_unused()
    own: dict[str, Any] = {name: joined.pop(name) for name in ("ids", "places", "size", "mtime", "part", "row")}
    return Index(table=table, facts=joined, parts=parts, seen=np.zeros(len(own["row"]), np.bool_), state=state, **own)


def _piece(
    data: pa.Table,
    id_column: str,
    part: int,
    derive: Derive,
    moved: Moved,
    *,
    by_id: bool,
) -> dict[str, NDArray[Any]]:
    count = data.num_rows
    places = []
    origins = []
    is_moved = np.zeros(count, np.bool_)
    columns = (data[name].to_pylist() for name in ("site", "archive", "relpath"))
    for number, (site, archive, relpath) in enumerate(zip(*columns, strict=True)):
        now = None if moved is None else moved(archive, relpath)
        is_moved[number] = now is not None
        places.append(place_digest(site, *(now or (archive, relpath))))
        if not by_id:
            origins.append(places[-1] if now is None else place_digest(site, archive, relpath))
    derived = dict(derive(data))
    derived.setdefault("drop", np.zeros(count, np.bool_))
    return {
        "ids": ascii_codes(data[id_column], _ID_BYTES),
        "places": as_digests(places).copy(),
        **({} if by_id else {"origins": as_digests(origins)}),
        "size": whole_numbers(data["size_bytes"], -1),
        "mtime": microseconds(data["mtime"]),
        "part": np.full(count, part, np.int32),
        "row": np.arange(count, dtype=np.int32),
        "moved": is_moved,
        **derived,
    }


def _last(joined: dict[str, NDArray[Any]], *, by_id: bool) -> dict[str, NDArray[Any]]:
    """Of rows with the same key the last, in order of arrival."""
    count = len(joined["row"])
    if by_id:
        order = np.argsort(joined["ids"], kind="stable").astype(np.int32)
        keys = joined["ids"][order]
        is_last = np.ones(count, np.bool_)
        is_last[:-1] = keys[1:] != keys[:-1]
    else:
        order = np.lexsort((joined["origins"][:, 1], joined["origins"][:, 0])).astype(np.int32)
        places = joined["origins"][order]
        is_last = np.ones(count, np.bool_)
        is_last[:-1] = (places[1:] != places[:-1]).any(axis=1)
    if is_last.all():
        return joined
    _keep(joined, np.sort(order[is_last]))
    return joined


def _keep(joined: dict[str, NDArray[Any]], rows: NDArray[Any]) -> None:
    """Only these rows, one array after the other, so that no two sets of arrays are in memory."""
    for name in list(joined):
        joined[name] = joined[name][rows]

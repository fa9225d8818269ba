"""The pass over an archive while it is walked: what is unchanged is ticked off, the rest is read and kept in parts.

Nothing here depends on how many files there are: entries and rows stream, and beside them stands only the index of what is
known. A slide that may be a known one which has moved waits in ``arrivals`` until the walk has shown what is gone.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pathcurate.model.slide import ARRIVALS, FILES, SLIDES
from pathcurate.readers import FAMILY_VERSION
from pathcurate.scan.groups import place_of
from pathcurate.scan.index import Digests, Row, RowReader, as_digests, place_digest
from pathcurate.scan.kernels import HEADER_INPUT, ScanSpec, content_key, free_id
from pathcurate.scan.known import OTHER, PARTS, UNREAD, Known
from pathcurate.scan.listing import Found, Listing, file_kind
from pathcurate.scan.rows import carried, differs, has_label_reading, moved_columns
from pathcurate.tables import Catalog, conform, from_rows

_SIFTED: Final = 4096
_COMMIT_ROWS: Final = 20_000
_COMMIT_SECONDS: Final = 60.0


class Intake:
    """One pass over all listings.

    Attributes:
        read_slides: slides of one file that were opened.
        read_parts: places of the parts of slides that were opened, as digests.
        handed_out: files given to the readers so far.
        rewritten: slides of the index that were read again.
        others: files that are neither slides nor of a series, by extension.
    """

    def __init__(
        self, catalog: Catalog, known: Known, listings: Sequence[Listing], spec: ScanSpec, stop: Callable[[int], str]
    ) -> None:
        self._catalog = catalog
        self._known = known
        self._listings = listings
        self._spec = spec
        self._stop = stop
        self._ordered: NDArray[np.uint64] | None = None
        self._slide_rows = RowReader(catalog, known.slides)
        self._file_rows = RowReader(catalog, known.files)
        self._pending: dict[str, list[pa.Table]] = {"new slides": [], "slides": [], "files": [], "arrivals": []}
        self._pending_rows = 0
        self._committed_at = time.monotonic()
        self._flips: list[tuple[int, str]] = []
        self.rewritten = np.zeros(len(known.slides), np.bool_)
        self.read_slides = 0
        self.read_parts: list[bytes] = []
        self.handed_out = 0
        self.others: Counter[str] = Counter()

    @property
    def _contents(self) -> NDArray[np.uint64]:
        """What is known of contents, in order; made when the first slide has been read."""
        if self._ordered is None:
            self._ordered = np.unique(self._known.slides.facts["content"])
        return self._ordered

    def feed(self, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Files to read, as the walk meets them; see ``HEADER_INPUT``."""
        waiting: list[tuple[Any, ...]] = []
        for number, listing in enumerate(self._listings):
            entries = iter(()) if listing.postponed else listing.entries()
            while not listing.postponed and (chunk := list(islice(entries, _SIFTED))):
                waiting += self._sift(number, chunk)
                while len(waiting) >= batch_rows and not listing.postponed:
                    yield self._batch(waiting[:batch_rows])
                    del waiting[:batch_rows]
                    listing.postponed = self._stop(number)
                # A walk is no less work for storage where there is nothing to read.
                listing.postponed = listing.postponed or self._stop(number)
            if listing.postponed:
                is_done = listing.is_whole and all(file[0] != number for file in waiting)
                waiting = [file for file in waiting if file[0] != number]
                listing.postponed = "" if is_done else listing.postponed
                # What was walked past but not read has not arrived, so nothing can be said to be gone.
                listing.is_whole = is_done
        if waiting:
            yield self._batch(waiting)

    def _batch(self, files: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
        self.handed_out += len(files)
        columns = zip(*files, strict=True)
        arrays = [pa.array(list(values), field.type) for values, field in zip(columns, HEADER_INPUT, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=HEADER_INPUT)

    def _sift(self, number: int, chunk: Sequence[Found]) -> Iterator[tuple[Any, ...]]:
        """Those of some files that must be read; the others are ticked off."""
        site, archive = self._spec.places[number]
        places = as_digests([place_digest(site, archive, found.relpath) for found in chunk])
        size = np.array([found.size for found in chunk], np.int64)
        mtime = np.array([found.mtime for found in chunk], np.int64)
        offline = np.array([found.is_offline for found in chunk], np.bool_)
        slide = self._tick_slides(places, size, mtime, offline)
        file = self._tick_files(places, size, mtime, offline)
        arrived = self._tick_arrivals(places, size, mtime)
        done = slide.unchanged | file.unchanged | arrived
        # Left behind by a run that was killed: the slide's row is the later word.
        for at in file.at[(slide.unchanged | arrived) & (file.at >= 0)]:
            self._forget(int(at))
        for at in np.flatnonzero(file.unchanged & ~slide.unchanged):
            if self._known.files.facts["kind"][file.at[at]] == OTHER:
                self.others[file_kind(chunk[int(at)].relpath)] += 1
        # What a killed run has read here was not the slide that is known here.
        self._known.slides.seen[slide.at[arrived & ~slide.unchanged & (slide.at >= 0)]] = False
        for at in np.flatnonzero(~done):
            found = chunk[int(at)]
            yield (
                number, found.relpath, found.size, found.mtime, found.file_count, found.is_offline,
                int(slide.at[at]), int(file.at[at]),
            )  # fmt: skip

    def _tick_slides(
        self, places: Digests, size: NDArray[np.int64], mtime: NDArray[np.int64], offline: NDArray[np.bool_]
    ) -> "_Ticked":
        index = self._known.slides
        at, known = _find(index, places)
        facts = {name: _at(index.facts[name], at, known) for name in ("gone", "merged", "unread", "stale", "offline")}
        same = known & (_at(index.size, at, known) == size) & (_at(index.mtime, at, known) == mtime)
        same &= ~facts["gone"] & ~facts["merged"]
        # What was never read, because it was offline, has no reader's facts to keep.
        never = _at(index.facts["status"], at, known) == self._known.statuses("offline")
        unchanged = same & (offline | (~facts["unread"] & ~facts["stale"] & ~never))
        for row in np.flatnonzero(unchanged & (facts["offline"] != offline)):
            self._flips.append((int(at[row]), "offline" if offline[row] else "online"))
            index.facts["offline"][at[row]] = offline[row]
        index.seen[at[known & ~facts["merged"]]] = True
        return _Ticked(np.where(known, at, -1), unchanged)

    def _tick_files(
        self, places: Digests, size: NDArray[np.int64], mtime: NDArray[np.int64], offline: NDArray[np.bool_]
    ) -> "_Ticked":
        index = self._known.files
        at, known = _find(index, places)
        same = known & (_at(index.size, at, known) == size) & (_at(index.mtime, at, known) == mtime)
        readable = ~_at(index.facts["unread"], at, known) & ~_at(index.facts["stale"], at, known)
        index.seen[at[known]] = True
        return _Ticked(np.where(known, at, -1), same & (offline | readable))

    def _tick_arrivals(
        self, places: Digests, size: NDArray[np.int64], mtime: NDArray[np.int64]
    ) -> NDArray[np.bool_]:  # fmt: skip
        """Read by a run that did not come to its end."""
        index = self._known.arrivals
        at, known = _find(index, places)
        same = known & (_at(index.size, at, known) == size) & (_at(index.mtime, at, known) == mtime)
        same &= ~_at(index.facts["stale"], at, known)
        index.seen[at[same]] = True
        return np.asarray(same, np.bool_)

    def accept(self, batch: pa.RecordBatch) -> None:
        """Take in what was read of some files."""
        kind = np.array(batch["kind"].to_pylist(), object)
        unknown = (batch["slide"].to_numpy() < 0) & (batch["file"].to_numpy() < 0)
        content = batch["content"].fill_null(pa.scalar(0, pa.uint64())).to_numpy()
        is_slide = kind == "slide"
        may_have_moved = is_slide & (content > 0) & _is_in(content, self._contents)
        ids = np.array([(code or "").encode() for code in batch["slide_id"].to_pylist()], "S18")
        new_slide = is_slide & unknown & ~may_have_moved & (self._known.slides.at_ids(ids) < 0)
        new_file = ~is_slide & unknown
        arrival = is_slide & unknown & may_have_moved
        rest = ~(new_slide | new_file | arrival)
        self.read_slides += int(is_slide.sum())
        self._take("new slides", batch, new_slide)
        self._take("arrivals", batch, arrival)
        if new_file.any():
            self._take("files", _as_files(batch), new_file)
        for at in np.flatnonzero(new_file):
            self._count_file(str(kind[at]), batch["relpath"][int(at)].as_py(), batch, int(at))
        for at in np.flatnonzero(rest):
            self._accept_row(batch.slice(int(at), 1).to_pylist()[0])
        if self._pending_rows >= _COMMIT_ROWS or time.monotonic() - self._committed_at > _COMMIT_SECONDS:
            self.commit()

    def _take(self, table: str, batch: pa.RecordBatch | pa.Table, chosen: NDArray[np.bool_]) -> None:
        if chosen.any():
            rows = batch.filter(pa.array(chosen)) if not chosen.all() else batch
            self._pending[table].append(rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows]))
            self._pending_rows += rows.num_rows

    def _count_file(self, kind: str, relpath: bytes, batch: pa.RecordBatch, at: int) -> None:
        if kind in PARTS:
            if kind == "slide_part":
                self.read_parts.append(place_digest(batch["site"][at].as_py(), batch["archive"][at].as_py(), relpath))
        else:
            self.others[file_kind(relpath)] += 1

    def _accept_row(self, row: Row) -> None:
        """A file that is known in some way."""
        kind, at_slide, at_file = row.pop("kind"), row.pop("slide"), row.pop("file")
        content = row.pop("content")
        before = self._slide_rows[at_slide] if at_slide >= 0 else None
        if before is not None and self._known.slides.facts["merged"][at_slide]:
            # Its other files may still be there, so a slide of one file in this place is another slide.
            before = None
        was = self._file_rows[at_file] if at_file >= 0 else None
        was_slide = before is not None and before["status"] != "gone"
        is_read = kind == "slide" and row["status"] not in UNREAD
        if (is_read or (kind == "slide" and not was_slide)) and self._may_have_moved(content, before):
            if was is not None:
                self._forget(at_file)
            if was_slide:
                # The slide that was here is to be looked for elsewhere: names may have been exchanged.
                self._known.slides.seen[at_slide] = False
            self.read_slides += 1
            self._pending["arrivals"].append(from_rows(ARRIVALS, [{name: row[name] for name in ARRIVALS.names}]))
            self._pending_rows += 1
            return
        if was is not None and was["kind"] in PARTS and row["status"] in UNREAD:
            # What was read of it earlier still tells which slide or series cannot be read now.
            kind, row["group"], row["part"] = was["kind"], was["group"], was["part"]
            row["reader_version"] = was["reader_version"]
            self.read_slides -= 1
        if kind in PARTS:
            if kind == "slide_part":
                self.read_parts.append(place_digest(row["site"], row["archive"], row["relpath"]))
            self._remember(row, kind, was)
        elif kind == "slide" or (was_slide and row["status"] in UNREAD):
            self.read_slides += kind != "slide"
            if was is not None:
                self._forget(at_file)
            self._keep(row, at_slide, before)
        else:
            self.others[file_kind(row["relpath"])] += 1
            self._remember(row, kind, was)
            if was_slide and before is not None:
                self._put("slides", {**before, "status": "gone", "status_detail": "another file has taken its place"})

    def _may_have_moved(self, content: int | None, before: Row | None) -> bool:
        """Whether a slide may be a known one, but not the one that was in its place before."""
        if not content or (before is not None and content_key(before) == content):
            return False
        return bool(_is_in(np.array([content], np.uint64), self._contents)[0])

    def _remember(self, row: Row, kind: str, before: Row | None) -> None:
        """A file that is no slide by itself; what it was a part of is kept, so that its slide can keep its name."""
        file = {name: row.get(name) for name in FILES.names}
        file |= {"kind": kind, "merged": kind not in PARTS, "owner": None}
        if kind not in PARTS:
            file["reader_version"] = FAMILY_VERSION
        if before is not None and kind in PARTS:
            file["owner"] = before["owner"]
            if {**file, "merged": before["merged"]} == before:
                return
        if file != before:
            self._put("files", file)

    def _forget(self, at: int) -> None:
        """A file that is a slide by itself now."""
        row = self._file_rows[at]
        self._put("files", {**row, "kind": "gone", "owner": None, "part": None})

    def _keep(self, row: Row, at: int, before: Row | None) -> None:
        """Take a slide, unless it says what is known already; then there is nothing new for later stages."""
        row = {name: row[name] for name in SLIDES.names}
        if before is None:
            self._put("slides", {**row, "slide_id": free_id(row, self._known.slides.has_id)})
            return
        self.rewritten[at] = True
        has_moved = place_of(row) != place_of(before)
        if row["status"] in UNREAD and all(row[name] == before[name] for name in ("size_bytes", "mtime")):
            # What was read of these bytes earlier still holds, and by it the slide is known if it moves.
            lost = {name: row[name] for name in ("status", "status_detail", "scanned_at", "archive", "relpath", "uri")}
            row = {**before, **lost}
        else:
            row = carried(row, before)
            if has_label_reading(row):
                row = self._spec.named(row)
        if has_moved:
            row |= moved_columns(before)
        if differs(row, before):
            self._put("slides", row)

    def _put(self, table: str, row: Row) -> None:
        declared = {"slides": SLIDES, "files": FILES}[table]
        self._pending[table].append(from_rows(declared, [row]))
        self._pending_rows += 1

    def commit(self) -> None:
        """Keep what was read so far."""
        tables = {"new slides": SLIDES, **{table.name: table for table in (SLIDES, ARRIVALS, FILES)}}
        for name, table in tables.items():
            # Pieces as the kernel gave them, and rows that were made here, differ in their columns.
            alike: dict[str, list[pa.Table]] = {}
            for piece in self._pending[name]:
                alike.setdefault(piece.schema.to_string(), []).append(piece)
            rows = [conform(table, pa.concat_tables(pieces)) for pieces in alike.values()]
            if rows:
                self._catalog.upsert(table, pa.concat_tables(rows), only_adds=name == "new slides")
                self._pending[name].clear()
        self._pending_rows = 0
        self._committed_at = time.monotonic()

    def release(self) -> None:
        """Give up the indexes; nothing can be fed or accepted any more."""
        del self._known, self._slide_rows, self._file_rows
        self._ordered = None

    def flipped(self) -> Iterator[Row]:
        """Slides that stand where and as they were, but for whether their bytes are online."""
        for at, state in self._flips:
            if self._known.slides.facts["moved"][at]:
                continue
            yield {**self._slide_rows[at], "storage_state": state}


class _Ticked:
    """Where some files stand in an index (-1 for nowhere), and which of them are unchanged."""

    def __init__(self, at: NDArray[np.int64], unchanged: NDArray[np.bool_]) -> None:
        self.at = at
        self.unchanged = unchanged


def _find(index: Any, places: Digests) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    at = index.find(places)
    return at, at >= 0


def _at(values: NDArray[Any], at: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[Any]:
    """Values of known rows; the type's zero elsewhere."""
    out = np.zeros(len(at), values.dtype)
    out[known] = values[at[known]]
    return out


def _is_in(values: NDArray[Any], ordered: NDArray[Any]) -> NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[at] == values, np.bool_)


def _as_files(batch: pa.RecordBatch) -> pa.Table:
    """Rows of ``files`` out of what the header kernel gave."""
    table = pa.Table.from_batches([batch])
    is_part = pc.is_in(table["kind"], pa.array(sorted(PARTS)))
    version = pc.if_else(is_part, table["reader_version"], pa.scalar(FAMILY_VERSION, pa.int64()))
    table = table.set_column(table.schema.get_field_index("reader_version"), "reader_version", version)
    table = table.append_column("merged", pc.invert(is_part))
    return table.append_column("owner", pa.nulls(table.num_rows, pa.string())).select(list(FILES.names))

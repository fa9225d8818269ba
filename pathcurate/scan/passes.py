"""Further looks at slides that are known: digests, tiles, labels, quality; each at slides it has not seen as they are.

A pass is a kernel over the slides that need it; what it says of a slide is written over the columns of that slide's row.
Finished slides are kept in parts, so a pass that is killed goes on where it was.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pathcurate.engines import Engine, Kernel, LossReason
from pathcurate.model.slide import SLIDES
from pathcurate.scan.index import Index, Row, RowReader
from pathcurate.scan.known import Known
from pathcurate.scan.rows import differs
from pathcurate.storage import Root
from pathcurate.tables import Catalog, from_rows

_INPUT: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("slide_id", pa.string()),
    ("root", pa.int32()),
    ("relpath", pa.binary()),
    ("format", pa.string()),
    ("reader", pa.string()),
    # All files of a slide that was merged from DICOM instances, below the same root; else the main file alone.
    ("files", pa.list_(pa.binary())),
)
PASS_INPUT: Final[pa.Schema] = pa.schema(_INPUT)
"""What a pass's kernel is given: ``root`` is an index into :attr:`PassSpec.roots`."""
_SAVED_ROWS: Final = 5000
_SAVED_SECONDS: Final = 60.0


@dataclass(frozen=True)
class PassSpec:
    """Settings of a pass; picklable.

    Attributes:
        roots: the archive roots.
        seed: of what is drawn at random, together with the slide's id.
        tiles_per_level: how many tiles of each level are decoded.
        texts: whether printed text is read as well (OCR).
        io_threads: slides of one batch that are read at the same time, by passes that only read.
    """

    roots: tuple[Root, ...]
    seed: int = 0
    tiles_per_level: int = 4
    texts: bool = False
    io_threads: int = 1


@dataclass(frozen=True)
class Pass:
    """One kind of look.

    Attributes:
        name: for progress.
        kernel: given :data:`PASS_INPUT` and a :class:`PassSpec`.
        schema: of its output.
        lost: the output for a slide that kills or hangs its reader.
        columns: of ``slides`` that ``wants`` needs.
        wants: which of some rows must be looked at.
        apply: the row of a slide with what the kernel said; both as dictionaries.
        timeout: seconds that one slide may take.
        batch_rows: slides of one batch.
    """

    name: str
    kernel: Kernel
    schema: pa.Schema
    lost: Callable[[pa.RecordBatch, LossReason], pa.RecordBatch]
    columns: tuple[str, ...]
    wants: Callable[[pa.Table], Sequence[bool]]
    apply: Callable[[Row, Row], Row]
    timeout: float
    batch_rows: int = 16


def wanting(
    catalog: Catalog, index: Index, columns: tuple[str, ...], wants: Callable[[pa.Table], Sequence[bool]]
) -> NDArray[np.int64]:
    """Rows of an index for which ``wants`` says yes, read part by part."""
    chosen: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for number, name in enumerate(index.parts):
        members = np.flatnonzero(index.part == number)
        if members.size:
            data = catalog.part(index.table, name, columns).take(index.row[members])
            chosen.append(members[np.array(wants(data), np.bool_)])
    return np.concatenate(chosen)


def run_pass(
    look: Pass,
    catalog: Catalog,
    known: Known,
    engine: Engine,
    spec: PassSpec,
    places: Sequence[tuple[str, str]],
    chosen: NDArray[np.int64],
    may_read: Callable[[tuple[str, str]], bool],
    progress: Callable[[int, int], None],
) -> int:
    """Look at some slides and keep what was seen; how many there were.

    ``may_read`` is asked for each slide's archive before it is looked at: those of an archive whose hours are over, or
    whose reads are used up, are left for the next run.
    """
    index = known.slides
    numbers = {place: number for number, place in enumerate(places)}
    codes = known.archives.values()
    reachable = np.array([codes[archive] in numbers for archive in index.facts["archive"][chosen]], np.bool_)
    chosen = chosen[reachable] if len(chosen) else chosen
    chosen = chosen[np.lexsort((index.row[chosen], index.part[chosen]))]
    if not len(chosen):
        return 0
    owned = _Owned(catalog, known.files)
    pending: deque[Row] = deque()

    def batches() -> Iterator[pa.RecordBatch]:
        rows = (row for _, row in index.rows(catalog, chosen))
        stream = (row for row in rows if may_read((row["site"], row["archive"])))
        while some := list(islice(stream, look.batch_rows)):
            pending.extend(some)
            yield _batch(some, numbers, owned)

    changed: list[Row] = []
    done, saved_at = 0, time.monotonic()
    try:
        for batch in engine.run(look.kernel, batches(), spec, look.schema, on_crash=look.lost, timeout=look.timeout):
            for said in batch.to_pylist():
                before = pending.popleft()
                row = look.apply(before, said)
                if differs(row, before):
                    changed.append(row)
                done += 1
            if len(changed) >= _SAVED_ROWS or time.monotonic() - saved_at > _SAVED_SECONDS:
                catalog.upsert(SLIDES, from_rows(SLIDES, changed))
                changed, saved_at = [], time.monotonic()
            progress(done, len(chosen))
    finally:
        catalog.upsert(SLIDES, from_rows(SLIDES, changed))
    return done


def _batch(rows: Sequence[Row], numbers: dict[tuple[str, str], int], owned: "_Owned") -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [
            {
                **{name: row[name] for name in ("slide_id", "relpath", "format", "reader")},
                "root": numbers[row["site"], row["archive"]],
                "files": owned.files(row),
            }
            for row in rows
        ],
        schema=PASS_INPUT,
    )


class _Owned:
    """The files of merged slides."""

    def __init__(self, catalog: Catalog, files: Index) -> None:
        self._files = files
        self._rows = RowReader(catalog, files)
        self._order = np.argsort(files.ids, kind="stable")
        self._ids = files.ids[self._order]

    def files(self, row: Row) -> list[bytes]:
        code = np.bytes_(row["slide_id"].encode())
        first, last = np.searchsorted(self._ids, code, "left"), np.searchsorted(self._ids, code, "right")
        paths = [self._rows[int(at)]["relpath"] for at in self._order[first:last]]
        return sorted(paths) or [row["relpath"]]

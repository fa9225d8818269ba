"""A kernel on a worker of a cluster.

Batches travel as bytes of Arrow's own format, packed into the rows of a table, so that nothing of a batch depends on the
types that Spark has. What a kernel raises travels the same way; only what ends the whole process is a failure to Spark.
"""

import pickle
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pathcurate import __version__
from pathcurate.engines import from_bytes, run_kernel, to_bytes
from pathcurate.engines.spark.sight import Directory, fault_at, worker_name

OUTPUT, FAILURE, TIMEOUT, OTHER_VERSION, BLIND = range(5)
_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("ordinal", pa.int64()),
    pa.field("kind", pa.int64()),
    pa.field("message", pa.binary()),
]
_PARCEL = pa.schema(_FIELDS)
PARCEL_SQL = "ordinal bigint, kind bigint, message binary"
_BATCH_PATIENCE = 4
"""How many times the time of one row a batch may take before its rows are tried one by one."""
_FRESH_SECONDS = 30.0
"""How long a directory that was seen need not be looked at again; a share may go away at any time."""
_seen: dict[Directory, float] = {}


@dataclass(frozen=True, slots=True)
class Service:
    """What Spark calls on its workers, each of which imports this module.

    Attributes:
        program: kernel, spec and output schema, pickled.
        version: of the pathcurate that sent it.
        timeout: seconds that a row may take; None waits for ever.
        directories: what the kernel needs to see.
    """

    program: bytes
    version: str
    timeout: float | None
    directories: tuple[Directory, ...] = ()

    def __call__(self, tables: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Answers for parcels, see :func:`pack`."""
        for table in tables:
            answers = [self._answer(message.as_buffer()) for message in table.column("message")]
            yield pa.RecordBatch.from_arrays(
                [
                    table.column("ordinal"),
                    pa.array([kind for kind, _ in answers], pa.int64()),
                    pa.array([message for _, message in answers], pa.binary()),
                ],
                schema=_PARCEL,
            )

    def _answer(self, message: pa.Buffer) -> tuple[int, bytes]:
        if self.version != __version__:
            return OTHER_VERSION, pickle.dumps((worker_name(), __version__))
        rows = from_bytes(message)
        patience = 1 if rows.num_rows == 1 else _BATCH_PATIENCE
        answers: list[tuple[int, bytes]] = []
        # Nothing ends a call that hangs but the end of its process, which Spark would start again for the same rows. So it
        # is left behind in a thread of its own, for which the process does not wait at its end.
        thread = threading.Thread(target=lambda: answers.append(self._work(rows)), daemon=True)
        thread.start()
        thread.join(None if self.timeout is None else self.timeout * patience)
        return answers[0] if answers else (TIMEOUT, b"")

    def _work(self, rows: pa.RecordBatch) -> tuple[int, bytes]:
        if lacking := _unseen(self.directories):
            return BLIND, pickle.dumps((worker_name(), *lacking))
        try:
            kernel, spec, schema = pickle.loads(self.program)  # noqa: S301 - from the caller, whose worker this is
            return OUTPUT, to_bytes(run_kernel(kernel, rows, spec, schema))
        except Exception as error:  # noqa: BLE001 - it is raised again where the caller is
            return FAILURE, pickle.dumps((error, "".join(traceback.format_exception(error))))


def _unseen(directories: Iterable[Directory]) -> tuple[bytes, str] | None:
    """A directory that is not seen from here, and what is wrong with it."""
    for directory in directories:
        if time.monotonic() - _seen.get(directory, -_FRESH_SECONDS) < _FRESH_SECONDS:
            continue
        if fault := fault_at(directory):
            return directory[0], fault
        _seen[directory] = time.monotonic()
    return None


def pack(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Batches as parcels, one row each, for :class:`Service`."""
    rows = [{"ordinal": number, "kind": OUTPUT, "message": to_bytes(batch)} for number, batch in enumerate(batches)]
    return pa.Table.from_pylist(rows, schema=_PARCEL)

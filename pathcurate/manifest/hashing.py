"""Digests of the rows of large tables, made by several processes."""

from typing import Any

import pyarrow as pa

from pathcurate.digests import RowDigests, row_digests
from pathcurate.engines import LossReason
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError

_FEW = 200_000
"""Rows below which other processes take longer to start than to help."""
_BATCH_ROWS = 50_000
_SCHEMA = pa.schema([("digest", pa.binary(32))])


def digests_by(engine: Embedded | None) -> RowDigests:
    """Digests of rows by the engine's workers, or in this process without an engine and for few rows."""

    def digests(data: pa.Table) -> bytes:
        if engine is None or data.num_rows < _FEW:
            return b"".join(row_digests(data))
        batches = data.to_batches(max_chunksize=_BATCH_ROWS)
        done = engine.run(hash_rows, batches, None, _SCHEMA, on_crash=_lost)
        return b"".join(_bytes(batch["digest"]) for batch in done)

    return digests


def _bytes(digests: "pa.Array[Any]") -> bytes:
    content = digests.buffers()[1]
    return b"" if content is None else content.to_pybytes()[32 * digests.offset : 32 * (digests.offset + len(digests))]


def hash_rows(batch: pa.RecordBatch, spec: object) -> pa.RecordBatch:
    """The kernel: the digest of each row."""
    del spec
    digests: list[Any] = row_digests(pa.Table.from_batches([batch]))
    return pa.record_batch([pa.array(digests, pa.binary(32))], schema=_SCHEMA)


def _lost(batch: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    del batch
    raise InputOutputError(f"a worker was lost while rows were digested ({reason})", "Run the command again.")

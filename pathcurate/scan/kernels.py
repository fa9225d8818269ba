"""What runs in the engine's workers: one file per row, every failure recorded in its row."""

import json
from dataclasses import fields
from typing import Any

import pyarrow as pa

from pathcurate.engines import LossReason
from pathcurate.model.slide import FILES, SLIDES, SlideHeader
from pathcurate.readers import SLIDE_EXTENSIONS, read_slide, sample_pixels, unreadable
from pathcurate.scan.listing import extension
from pathcurate.storage import LocalSource
from pathcurate.tables import arrow_schema, column_values

_HEADER_FIELDS = tuple(field.name for field in fields(SlideHeader))
# A row of a file that is no slide has no status, so what `slides` requires may be missing here.
HEADER_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        *(arrow_schema(SLIDES).field(name).with_nullable(True) for name in (*_HEADER_FIELDS, "reader", "reader_version")),
        *(arrow_schema(FILES).field(name) for name in ("group", "part")),
    ]
)
"""``kind`` is ``slide``, or one of ``FILE_KINDS``."""
SAMPLE_SCHEMA = pa.schema([pa.field("sample", pa.string())])


def read_headers(batch: pa.RecordBatch, _spec: object) -> pa.RecordBatch:
    """Kernel: the header of each file of a column ``path`` (absolute, bytes); see :data:`HEADER_SCHEMA`."""
    rows = [_read_header(path) for path in column_values(batch, "path")]
    try:
        return pa.RecordBatch.from_pylist(rows, schema=HEADER_SCHEMA)
    except Exception:  # noqa: BLE001  one value that no column can hold must not cost the other rows, nor the run
        return pa.RecordBatch.from_pylist([_storable(row) for row in rows], schema=HEADER_SCHEMA)


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    try:
        pa.RecordBatch.from_pylist([row], schema=HEADER_SCHEMA)
    except Exception as error:  # noqa: BLE001  see read_headers
        return _failed(error)
    return row


def _failed(error: Exception) -> dict[str, Any]:
    """The row of a file on which a reader failed; of the error only its type, since its message may hold values."""
    return {"kind": "slide", "status": "reader_crashed", "status_detail": f"the reader raised {type(error).__name__}"}


def _read_header(path: bytes) -> dict[str, Any]:
    """The header of one file; one that is no slide by content or name may have the status ``unreadable`` all the same."""
    try:
        with LocalSource(path) as source:
            result = read_slide(source)
    except OSError as error:
        result = unreadable(error)
    except Exception as error:  # noqa: BLE001  readers meet hostile files; whatever they raise is about this file alone
        return _failed(error)
    if result is None:
        return {"kind": "other"}
    header = {name: getattr(result.header, name) for name in _HEADER_FIELDS}
    row = {"kind": "slide", **header, "reader": result.reader, "reader_version": result.reader_version}
    if result.part is not None:
        facts = json.dumps(result.part.facts, sort_keys=True)
        return {**row, "kind": result.part.kind, "group": result.part.group, "part": facts}
    if result.header.status == "unreadable" and extension(path) not in SLIDE_EXTENSIONS:
        return {**row, "kind": "other"}
    return row


def lost_header(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    """The row of a file that kills or hangs its reader; a slide whatever its name, so that it is not lost from sight."""
    lost = {"kind": "slide", "status": reason, "status_detail": "the reader did not survive this file"}
    return pa.RecordBatch.from_pylist([lost] * row.num_rows, schema=HEADER_SCHEMA)


def sample_compressed(batch: pa.RecordBatch, _spec: object) -> pa.RecordBatch:
    """Kernel: a digest over some of each slide's compressed tiles, so that equal headers are not taken for equal pixels."""
    return pa.RecordBatch.from_arrays(
        [pa.array([_sample(path) for path in column_values(batch, "path")], pa.string())], schema=SAMPLE_SCHEMA
    )


def _sample(path: bytes) -> str | None:
    try:
        with LocalSource(path) as source:
            return sample_pixels(source)
    except Exception:  # noqa: BLE001  a file that cannot be sampled, for whatever reason, is compared with none
        return None


def lost_sample(row: pa.RecordBatch, _reason: LossReason) -> pa.RecordBatch:
    """No sample: the slide is compared with none."""
    return pa.RecordBatch.from_arrays([pa.nulls(row.num_rows, pa.string())], schema=SAMPLE_SCHEMA)

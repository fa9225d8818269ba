"""The pass over labels: what the symbols and, with the extra ``ocr``, the print on a glass label say."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from PIL import Image

from pathcurate.engines import LossReason
from pathcurate.images.printed import read_text
from pathcurate.images.symbols import read_symbols
from pathcurate.model.slide import SLIDES
from pathcurate.readers.pictures import is_final, label_views
from pathcurate.scan.passes import PassSpec
from pathcurate.tables import arrow_schema

LABELS_VERSION: Final = 1
"""Raised when labels are read otherwise than before, so that all are read again."""

_COLUMNS: Final = (
    "barcode", "barcode_source", "barcode_confidence", "label_text", "label_text_source", "label_text_confidence",
    "labels_version",
)  # fmt: skip
LABELS_SCHEMA = pa.schema(
    [
        *(arrow_schema(SLIDES).field(name).with_nullable(True) for name in _COLUMNS),
        pa.field("found", pa.bool_(), nullable=False),
        pa.field("failure", pa.string()),
    ]
)
"""Columns of ``slides``, and beside them ``found`` (whether there was a picture of the label to look at) and ``failure``
(type of the exception, or why the row was lost). ``labels_version`` is missing if the look is to be repeated. A barcode of
the header is not known here; whoever merges keeps it.
"""


def read_labels(batch: pa.RecordBatch, spec: PassSpec) -> pa.RecordBatch:
    """Kernel: what the label of each slide says; see :data:`LABELS_SCHEMA`.

    Args:
        batch: rows of :data:`pathcurate.scan.passes.PASS_INPUT`.
        spec: with ``texts``, print is read as well.
    """
    return pa.RecordBatch.from_pylist([_read(row, spec) for row in batch.to_pylist()], schema=LABELS_SCHEMA)


def lost_label(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    """The row of a slide whose label kills or hangs its reader; a crash is not tried again."""
    version = LABELS_VERSION if reason == "reader_crashed" else None
    lost = {"found": False, "failure": reason, "labels_version": version}
    return pa.RecordBatch.from_pylist([lost] * row.num_rows, schema=LABELS_SCHEMA)


def _read(row: Mapping[str, Any], spec: PassSpec) -> dict[str, Any]:
    try:
        views = list(label_views(spec.roots[row["root"]], row["relpath"], row["reader"]))
        read: dict[str, Any] = {"found": bool(views), "labels_version": LABELS_VERSION, **_symbol(views)}
        return read | _text(views) if spec.texts else read
    except Exception as error:  # noqa: BLE001  hostile pictures; of the error only its type, since its message may hold values
        version = LABELS_VERSION if is_final(error) else None
        return {"found": False, "failure": type(error).__name__, "labels_version": version}


def _symbol(views: list[Image.Image]) -> dict[str, Any]:
    found = [symbol for view in views if (symbol := read_symbols(view)) is not None]
    if not found:
        return {}
    best = max(found, key=lambda symbol: symbol.confidence)
    return {"barcode": best.text, "barcode_source": best.source, "barcode_confidence": best.confidence}


def _text(views: list[Image.Image]) -> dict[str, Any]:
    found = [text for view in views if (text := read_text(view)) is not None]
    if not found:
        return {}
    longest, confidence = max(found, key=lambda item: len(item[0]))
    return {"label_text": longest, "label_text_source": "ocr", "label_text_confidence": confidence}

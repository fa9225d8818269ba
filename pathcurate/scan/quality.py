"""The pass over thumbnails: tissue, focus, pen, light, and a hash by which re-encoded copies are found."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from PIL import Image

from pathcurate.engines import LossReason
from pathcurate.images.jpeg import small_jpeg
from pathcurate.images.likeness import thumbnail_hash
from pathcurate.images.quality import assess_thumbnail
from pathcurate.model.slide import SLIDES
from pathcurate.readers.pictures import is_final, open_picture
from pathcurate.scan.passes import PassSpec
from pathcurate.tables import arrow_schema

QC_VERSION: Final = 1
"""Raised when thumbnails are judged otherwise than before, so that all are judged again."""

_COLUMNS: Final = ("tissue_fraction", "blur", "pen_fraction", "qc", "thumbnail_hash", "qc_version")
QUALITY_SCHEMA = pa.schema(
    [
        *(arrow_schema(SLIDES).field(name).with_nullable(True) for name in _COLUMNS),
        pa.field("picture", pa.binary()),
        pa.field("failure", pa.string()),
    ]
)
"""Columns of ``slides``, and beside them ``picture`` (a JPEG for the contact sheet) and ``failure`` (type of the exception,
or why the row was lost). ``qc_version`` is missing if the look is to be repeated; a slide without a thumbnail has nothing
else. ``thumbnail_hash`` is missing where there is no tissue: such thumbnails are all alike.
"""

_PICTURE_SIDE: Final = 240
_PICTURE_QUALITY: Final = 72


def assess(batch: pa.RecordBatch, spec: PassSpec) -> pa.RecordBatch:
    """Kernel: what each slide's thumbnail shows; see :data:`QUALITY_SCHEMA`.

    Args:
        batch: rows of :data:`pathcurate.scan.passes.PASS_INPUT`.
        spec: with the roots.
    """
    return pa.RecordBatch.from_pylist([_assess(row, spec) for row in batch.to_pylist()], schema=QUALITY_SCHEMA)


def lost_quality(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    """The row of a slide whose thumbnail kills or hangs its reader; a crash is not tried again."""
    lost = {"failure": reason, "qc_version": QC_VERSION if reason == "reader_crashed" else None}
    return pa.RecordBatch.from_pylist([lost] * row.num_rows, schema=QUALITY_SCHEMA)


def _assess(row: Mapping[str, Any], spec: PassSpec) -> dict[str, Any]:
    try:
        thumbnail = open_picture(spec.roots[row["root"]], row["relpath"], row["reader"], "thumbnail")
        return {"qc_version": QC_VERSION, **(_judged(thumbnail) if thumbnail is not None else {})}
    except Exception as error:  # noqa: BLE001  hostile pictures; of the error only its type, since its message may hold values
        return {"failure": type(error).__name__, "qc_version": QC_VERSION if is_final(error) else None}


def _judged(thumbnail: Image.Image) -> dict[str, Any]:
    quality = assess_thumbnail(thumbnail)
    if quality is None:
        return {"picture": small_jpeg(thumbnail, (_PICTURE_SIDE, _PICTURE_SIDE), _PICTURE_QUALITY)}
    return {
        "tissue_fraction": quality.tissue_fraction,
        "blur": quality.blur,
        "pen_fraction": quality.pen_fraction,
        "qc": quality.verdict,
        "thumbnail_hash": None if quality.is_empty else thumbnail_hash(thumbnail),
        "picture": small_jpeg(thumbnail, (_PICTURE_SIDE, _PICTURE_SIDE), _PICTURE_QUALITY),
    }

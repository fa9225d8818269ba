"""The deeper looks that a scan can be asked for, and what each writes into a slide's row."""

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from pathcurate.scan.labels import LABELS_SCHEMA, LABELS_VERSION, lost_label, read_labels
from pathcurate.scan.passes import Pass
from pathcurate.scan.quality import QC_VERSION, QUALITY_SCHEMA, assess, lost_quality
from pathcurate.scan.rows import Row
from pathcurate.scan.tiles import DIGEST_SCHEMA, TILES_SCHEMA, check_tiles, digest_files, lost_digest, lost_tiles

LEVELS: Final = ("header", "tiles", "digest")
_OCR: Final = 1000
"""Added to the version of a label reading that tried printed text too."""
_SYMBOL: Final = ("barcode", "barcode_source", "barcode_confidence")
_PRINT: Final = ("label_text", "label_text_source", "label_text_confidence")


def label_look(*, texts: bool) -> Pass:
    """Barcodes of label images, and with ``texts`` what is printed on them; what a header says is never overwritten."""
    version = LABELS_VERSION + _OCR * texts
    sought = (_SYMBOL, _PRINT) if texts else (_SYMBOL,)

    def wants(data: pa.Table) -> list[bool]:
        return [
            row["status"] == "ok"
            and bool(row["has_label"] or row["has_overview"])
            and row["labels_version"] not in (version, LABELS_VERSION + _OCR)
            and any(row[names[1]] != "header" for names in sought)
            for row in data.to_pylist()
        ]

    def apply(row: Row, said: Row) -> Row:
        new = {**row, "labels_version": None if said["labels_version"] is None else version}
        for names in sought:
            if row[names[1]] != "header" and (said[names[0]] is not None or said["found"]):
                new |= {name: said[name] for name in names}
        if any(new[name] != row[name] for name in ("barcode", "label_text")):
            # Its names depend on them, so they are read again at the end of the scan.
            new["names_rules"] = None
        return new

    columns = ("status", "has_label", "has_overview", "labels_version", _SYMBOL[1], _PRINT[1])
    return Pass(
        "labels",
        read_labels,
        LABELS_SCHEMA,
        lost_label,
        columns,
        wants,
        apply,
        timeout=60.0 if texts else 20.0,
        batch_rows=8,
    )


def quality_look(watch: Callable[[Row, Row], None]) -> Pass:
    """Tissue, blur, pen and darkness of the thumbnail.

    Args:
        watch: told of each slide's row and what was seen, with a small picture for the contact sheet.
    """

    def wants(data: pa.Table) -> list[bool]:
        return [row["status"] == "ok" and row["qc_version"] != QC_VERSION for row in data.to_pylist()]

    def apply(row: Row, said: Row) -> Row:
        watch(row, said)
        return {**row, **{name: value for name, value in said.items() if name in row}}

    return Pass(
        "quality", assess, QUALITY_SCHEMA, lost_quality, ("status", "qc_version"), wants, apply, timeout=60.0, batch_rows=8
    )


def _checked(row: Row, said: Row) -> Row:
    found = {name: value for name, value in said.items() if name in row and value is not None}
    if said["status"] is not None:
        found["status_detail"] = said["status_detail"]
    return {**row, **found}


def _at_level(*levels: str) -> Callable[[pa.Table], list[bool]]:
    def wants(data: pa.Table) -> list[bool]:
        return [row["status"] == "ok" and row["check_level"] in levels for row in data.to_pylist()]

    return wants


TILES: Final = Pass(
    "tiles", check_tiles, TILES_SCHEMA, lost_tiles, ("status", "check_level"), _at_level("header"), _checked, timeout=300.0,
    batch_rows=4,
)  # fmt: skip
DIGEST: Final = Pass(
    "digest", digest_files, DIGEST_SCHEMA, lost_digest, ("status", "check_level"), _at_level("header", "tiles"), _checked,
    timeout=3600.0, batch_rows=1,
)  # fmt: skip


def check_looks(level: str) -> list[Pass]:
    """The passes of ``--check``."""
    return [TILES, DIGEST][: LEVELS.index(level)]

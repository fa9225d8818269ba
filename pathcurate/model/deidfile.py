"""Scrubbed copies of slides and series: what became of each (``deid-files.parquet``), and the receipt beside them."""

from enum import StrEnum
from typing import Any

from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import PSEUDONYM_BODY
from pathcurate.model.slide import FORMATS

DEID_FILES_NAME = "deid-files.parquet"
RECEIPT_NAME = "receipt.json"


class Standing(StrEnum):
    """What became of a slide or series."""

    DONE = "done"
    """Its copies were written and proven."""
    QUARANTINED = "quarantined"
    """It holds something that no rule knows; nothing was written."""
    REFUSED = "refused"
    """It cannot be scrubbed with proof, or must not be given away; nothing was written."""
    FAILED = "failed"
    """Something went wrong, or the proof failed; nothing of it was kept."""


DEID_FILES = Table(
    name="deid_files",
    row="one slide or series that was to be scrubbed, whatever became of it",
    key=("code",),
    columns=(
        Column("code", Type.STRING, "Its code in the layer of the copies.", pattern=rf"[SI]-{PSEUDONYM_BODY}",
               required=True),
        Column("format", Type.STRING, "Format of the source.", values=FORMATS, required=True),
        Column("standing", Type.STRING, "What became of it.", values=tuple(Standing), required=True),
        Column("path", Type.STRING, "The copy that readers open, below the directory.",
               pattern=r"(slides|dicom)/[A-Za-z0-9_./-]+"),
        Column("file_count", Type.INTEGER, "Files of the copy."),
        Column("size_bytes", Type.INTEGER, "Bytes of them; of no use for matching, because copies are cut.", unit="B"),
        Column("sha256", Type.STRING, "SHA-256 of the copy; of several files, of the lines `digest  path` in their order.",
               pattern=r"[0-9a-f]{64}"),
        Column("removed", Type.INTEGER, "Places whose value went or was replaced."),
        Column("dropped", Type.INTEGER, "Files of the source that have no copy, such as an instance that shows the label."),
        Column("images", Type.INTEGER, "Images whose pixels are those of the source, bit for bit."),
        Column("pixel_bytes", Type.INTEGER, "Bytes of their compressed pixels.", unit="B"),
        Column("values_searched", Type.INTEGER, "Identifiers of the slide that were searched for in every byte; none is "
               "there."),
        Column("readers", Type.STRINGS, "Readers of others that opened the copy.",
               values=("openslide", "pydicom", "tifffile")),
        Column("rules", Type.STRING, "Digest of the rules.", pattern=r"[0-9a-f]{16}"),
    ),
)  # fmt: skip

RECEIPT_SCHEMA = "https://pathcurate.example/schema/deid-files-receipt/1"
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT = {"type": "integer", "minimum": 0}
_NUMBERS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


RECEIPT_JSON_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": RECEIPT_SCHEMA,
    "title": "receipt.json beside copies that `pathcurate deid files` made",
    **_object(
        {
            "schema": {"const": RECEIPT_SCHEMA},
            "tool": _object({"name": {"const": "pathcurate"}, "version": {"type": "string"}}),
            "layer": {"type": "string", "pattern": "^(internal|product [a-z0-9_]{1,64})$"},
            "state": {"type": "string"},
            "standings": {**_NUMBERS, "propertyNames": {"enum": [str(standing) for standing in Standing]}},
            "reasons": _NUMBERS,
            "rules": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{16}$"}},
            "table": _object({"path": {"const": DEID_FILES_NAME}, "sha256": _DIGEST}),
            "files": {
                "type": "array",
                "items": _object(
                    {
                        "path": {"type": "string", "pattern": "^(slides|dicom)/[A-Za-z0-9_./-]+$"},
                        "sha256": _DIGEST,
                        "size": _COUNT,
                    }
                ),
            },
        }
    ),
}
"""The form of the receipt, as JSON Schema (draft 2020-12)."""

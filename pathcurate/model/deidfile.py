"""Scrubbed copies of slides and series: what became of each (``deid-files.parquet``), and the receipt beside them."""

from enum import StrEnum

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

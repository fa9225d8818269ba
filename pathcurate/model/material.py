"""What other systems know of glass and of files (the ``materials`` and ``scanner_index`` tables)."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

MATERIAL_KINDS = ("block", "slide")


def _direct(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, Type.STRING, meaning, Identifying.DIRECT, Action.DROP, required=required)


# Text of others, but no identifier that a stain of a report could be taken for.
_STAIN_RAW = Column("stain_raw", Type.STRING, "Stain as exported.", Identifying.DIRECT, Action.WITHHOLD)
_SOURCE_ROW = Column("source_row", Type.INTEGER, "Row of the source, the head being row 1.", Identifying.QUASI, Action.DROP)

MATERIALS = Table(
    name="materials",
    row="one block or one glass slide that the laboratory system knows, scanned or not",
    key=("material_id",),
    columns=(
        Column("material_id", Type.STRING, "Identifier of the block or glass.", Identifying.DIRECT, Action.PSEUDONYM,
               pseudonym="M", required=True),
        SITE,
        Column("kind", Type.STRING, "Block or glass slide.", values=MATERIAL_KINDS, required=True),
        _direct("accession", "Normalised accession number.", required=True),
        _direct("accession_raw", "Accession number as exported."),
        Column("specimen", Type.STRING, "Specimen (part) letter.", pattern=r"[A-Z]"),
        Column("block", Type.STRING, "Block number within the specimen.", pattern=r"\d{1,3}"),
        _direct("glass_id", "Number or barcode of the glass."),
        _STAIN_RAW,
        Column("stain", Type.STRING, "Canonical stain name.", vocabulary="stains"),
        Column("preparation", Type.STRING, "How the tissue was prepared.", vocabulary="preparations"),
        Column("organ", Type.STRING, "Canonical organ.", Identifying.SENSITIVE, vocabulary="organs"),
        Column("made_date", Type.TIMESTAMP, "When it was made.", Identifying.QUASI, Action.SHIFT),
        _direct("source_file", "Name of the source."),
        _SOURCE_ROW,
    ),
)  # fmt: skip

SCANNER_INDEX = Table(
    name="scanner_index",
    row="one file in the table that a scanner or a picture archive keeps",
    key=("entry_id",),
    columns=(
        _direct("entry_id", "Identifier of the entry.", required=True),
        SITE,
        _direct("archive", "Name of the archive root, where the table names one."),
        _direct("path", "Path or name of the file, as exported."),
        _direct("barcode", "Barcode of the glass."),
        _direct("accession", "Normalised accession number."),
        _direct("accession_raw", "Accession number as exported."),
        _direct("patient_id", "The site's number for the patient."),
        Column("specimen", Type.STRING, "Specimen (part) letter.", pattern=r"[A-Z]"),
        Column("block", Type.STRING, "Block number within the specimen.", pattern=r"\d{1,3}"),
        _STAIN_RAW,
        Column("stain", Type.STRING, "Canonical stain name.", vocabulary="stains"),
        Column("scanned_date", Type.TIMESTAMP, "When it was scanned.", Identifying.QUASI, Action.DROP),
        _direct("source_file", "Name of the source."),
        _SOURCE_ROW,
    ),
)  # fmt: skip

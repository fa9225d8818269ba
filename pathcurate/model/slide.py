"""A slide: one glass and its digital image, and what its header says (the ``slides`` table).

Names follow OpenSlide's properties and DICOM's VL Whole Slide Microscopy Image IOD (PS3.3 A.32.8).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pathcurate.model.column import Action, Column, Identifying, Table, Type

FORMATS = ("svs", "tiff", "ndpi", "mrxs", "kfb", "dicom", "philips", "scn", "bif", "ome", "other")
STATUSES = (
    "ok", "unsupported", "not_a_slide", "truncated", "corrupt", "companion_missing", "unreadable", "lfs_pointer",
    "decode_failed", "reader_crashed", "timeout", "offline", "moved", "gone",
)  # fmt: skip
"""Of these, ``unsupported`` carries the vendor: ``unsupported:kfbio``."""
VENDORS = (
    "aperio", "dicom", "generic-tiff", "hamamatsu", "leica", "mirax", "philips", "sakura", "trestle", "ventana",
    "zeiss", "kfbio", "sqray", "unic", "motic", "tron", "dyj", "dyqx", "zyp", "ibl", "olympus", "argos", "huron",
    "unknown",
)  # fmt: skip
COMPRESSIONS = (
    "none",
    "jpeg",
    "jpeg2000",
    "lzw",
    "deflate",
    "zstd",
    "webp",
    "packbits",
    "jpegxl",
    "hevc",
    "mixed",
    "other",
)
BARCODE_SOURCES = ("header", "data_matrix", "qr", "code128", "code39", "pdf417", "aztec", "other_symbol")
LABEL_TEXT_SOURCES = ("header", "ocr")
MPP_SOURCES = ("vendor", "tiff_resolution", "pixel_spacing", "imaged_volume", "openslide")

_SITE = Column(
    "site", Type.STRING, "Code of the institution.", Identifying.QUASI, pattern=r"[A-Z][A-Z0-9_]{1,15}", required=True
)
SITE = _SITE
"""The site column, shared by every table that is scoped by site."""


def _direct(name: str, type_: Type, meaning: str, *, required: bool = False) -> Column:
    return Column(name, type_, meaning, Identifying.DIRECT, Action.DROP, required=required)


SLIDES = Table(
    name="slides",
    row="one slide file or set of files found under an archive root, whatever its state",
    key=("slide_id",),
    columns=(
        Column("slide_id", Type.STRING, "Identifier of the slide, given once and kept.", Identifying.DIRECT,
               Action.PSEUDONYM, pseudonym="S", required=True),
        SITE,
        _direct("archive", Type.STRING, "Name of the archive root.", required=True),
        _direct("relpath", Type.BYTES, "Path below the archive root, as the bytes the file system holds.", required=True),
        _direct("uri", Type.STRING, "Full address, percent-encoded."),
        Column("file_count", Type.INTEGER, "Files that make up the slide."),
        Column("size_bytes", Type.INTEGER, "Bytes of all its files; matches an original file, so for criteria only.",
               Identifying.CRITERION_ONLY, Action.CRITERION),
        Column("mtime", Type.TIMESTAMP, "Newest modification time of its files.", Identifying.QUASI, Action.DROP),
        Column("format", Type.STRING, "File format.", values=FORMATS),
        Column("vendor", Type.STRING, "Scanner vendor, as OpenSlide names it.", values=VENDORS),
        Column("scanner_model", Type.STRING, "Scanner model.", Identifying.QUASI, vocabulary="scanners"),
        _direct("scanner_serial", Type.STRING, "Serial number of the scanner."),
        Column("scan_datetime", Type.TIMESTAMP, "When the slide was scanned.", Identifying.QUASI, Action.SHIFT),
        Column("width", Type.INTEGER, "Width of level 0.", unit="px"),
        Column("height", Type.INTEGER, "Height of level 0.", unit="px"),
        Column("level_count", Type.INTEGER, "Pyramid levels."),
        Column("level_downsamples", Type.FLOATS, "Downsample factor of each level relative to level 0."),
        Column("tile_width", Type.INTEGER, "Tile width at level 0.", unit="px"),
        Column("tile_height", Type.INTEGER, "Tile height at level 0.", unit="px"),
        Column("compression", Type.STRING, "Compression of level 0.", values=COMPRESSIONS),
        Column("mpp_x", Type.FLOAT, "Microns per pixel at level 0, horizontal; missing stays missing.", unit="µm/px"),
        Column("mpp_y", Type.FLOAT, "Microns per pixel at level 0, vertical; missing stays missing.", unit="µm/px"),
        Column("mpp_source", Type.STRING, "Where the microns per pixel were read.", values=MPP_SOURCES),
        Column("objective_power", Type.FLOAT, "Nominal lens power; no substitute for microns per pixel."),
        Column("odd_values", Type.STRINGS, "Columns for which the header gave an absurd value, which was left out.",
               action=Action.DROP),
        Column("focal_planes", Type.INTEGER, "Focal planes."),
        Column("channels", Type.INTEGER, "Samples per pixel, of all optical paths together."),
        Column("icc_profile", Type.BOOLEAN, "Whether a colour profile is embedded."),
        Column("has_label", Type.BOOLEAN, "Whether the file holds a photo of the glass label."),
        Column("has_overview", Type.BOOLEAN, "Whether the file holds an overview (macro) image."),
        Column("has_thumbnail", Type.BOOLEAN, "Whether the file holds a thumbnail."),
        _direct("barcode", Type.STRING, "Barcode of the label, from the header or decoded from the label image."),
        Column("barcode_source", Type.STRING, "Where the barcode was read.", values=BARCODE_SOURCES, action=Action.DROP),
        Column("barcode_confidence", Type.FLOAT,
               "Share of the attempts that decoded a symbol and agreed on it; 1 for a header.", action=Action.DROP),
        _direct("label_text", Type.STRING, "Text of the label, from the header or read from the label image."),
        Column("label_text_source", Type.STRING, "Where the label's text was read.", values=LABEL_TEXT_SOURCES,
               action=Action.DROP),
        Column("label_text_confidence", Type.FLOAT, "Mean confidence of the text recognition; 1 for a header.",
               action=Action.DROP),
        _direct("metadata_texts", Type.STRINGS, "Other header texts in which a laboratory may have put its number."),
        _direct("accession_raw", Type.STRING, "The text in which an accession number was found."),
        _direct("patient_id", Type.STRING, "The patient's number, as the header gives it (DICOM PatientID)."),
        Column("specimen", Type.STRING, "Specimen (part) letter.", pattern=r"[A-Z]"),
        Column("block", Type.STRING, "Block number within the specimen.", pattern=r"\d{1,3}"),
        Column("organ", Type.STRING, "Organ that its names or its header speak of; evidence for its link, no diagnosis.",
               Identifying.SENSITIVE, Action.DROP, vocabulary="organs"),
        _direct("stain_raw", Type.STRING, "The text in which a stain was found."),
        Column("stain", Type.STRING, "Canonical stain name.", vocabulary="stains"),
        _direct("header_fingerprint", Type.STRING, "Digest of the header bytes."),
        _direct("shape_fingerprint", Type.STRING,
                "Digest of geometry, tile size, compression and the byte counts of the smallest level; only slides that "
                "agree in it can have the same pixels."),
        _direct("pixel_fingerprint", Type.STRING,
                "Digest of geometry and of the compressed bytes of up to 8 tiles of the smallest level; read only of slides "
                "whose shape_fingerprint another slide shares."),
        _direct("thumbnail_hash", Type.STRING, "Perceptual hash of the thumbnail, by which re-encoded copies are found."),
        _direct("content_sha256", Type.STRING, "SHA-256 of the file's bytes, where it was computed."),
        Column("status", Type.STRING, "State of the slide.", required=True,
               values=(*STATUSES, *(f"unsupported:{vendor}" for vendor in VENDORS))),
        _direct("status_detail", Type.STRING, "Why the slide has this state."),
        Column("check_level", Type.STRING, "How deep the file was checked.", values=("header", "tiles", "digest")),
        Column("tiles_checked", Type.INTEGER, "Tiles whose position was checked against the file size."),
        Column("tiles_bad", Type.INTEGER, "Of these, tiles that lie outside the file."),
        Column("tiles_decoded", Type.INTEGER, "Tiles that were decoded as a sample (`scan --check tiles`)."),
        Column("duplicate_of", Type.STRING, "The first slide with the same pixels.", Identifying.DIRECT,
               Action.PSEUDONYM, pseudonym="S"),
        Column("scan_group", Type.STRING, "Shared by all slides with the same pixels.", Identifying.DIRECT,
               Action.PSEUDONYM, pseudonym="G"),
        Column("preparation", Type.STRING, "How the tissue was prepared.", vocabulary="preparations"),
        Column("is_control", Type.BOOLEAN, "Whether the name marks a control slide."),
        Column("tissue_fraction", Type.FLOAT, "Share of the overview covered by tissue."),
        Column("blur", Type.FLOAT, "Blur score of the thumbnail."),
        Column("pen_fraction", Type.FLOAT, "Share of the overview covered by pen."),
        Column("qc", Type.STRING, "Quality verdict.", values=("ok", "empty", "blur", "pen", "dark")),
        Column("storage_state", Type.STRING, "Whether the bytes can be read now.", values=("online", "offline")),
        Column("scanned_at", Type.TIMESTAMP, "When pathcurate read the header.", Identifying.QUASI, Action.DROP),
        Column("reader", Type.STRING, "Reader that read the header.", action=Action.DROP),
        Column("reader_version", Type.INTEGER, "Version of that reader; a raised one reads the file again.",
               action=Action.DROP),
        Column("names_rules", Type.STRING, "Digest of the patterns and vocabularies by which its names were read.",
               pattern=r"[0-9a-f]{16}", action=Action.DROP),
        Column("labels_version", Type.INTEGER, "Version of the label reader that looked at it (`scan --labels`).",
               action=Action.DROP),
        Column("qc_version", Type.INTEGER, "Version of the quality control that looked at it (`scan --qc`).",
               action=Action.DROP),
        _direct("moved_from", Type.BYTES, "Archive and path, joined by a NUL, where the slide was before it moved."),
        Column("moved_at", Type.TIMESTAMP, "When the move was noticed.", Identifying.QUASI, Action.DROP),
    ),
)  # fmt: skip

KEY_SOURCES = ("barcode", "label", "metadata", "index", "file_name", "folder")
"""Where a number of a slide can stand, best first; ``index`` is the table of its scanner or PACS."""

SLIDE_KEYS = Table(
    name="slide_keys",
    row="one slide and one number of a case that it bears, in the order of site, number and slide; a slide that bears none "
    "has one row without a number, behind those of its site that have one",
    key=("slide_id", "key"),
    version=2,
    columns=(
        _direct("slide_id", Type.STRING, "The slide.", required=True),
        SITE,
        _direct("archive", Type.STRING, "Name of its archive root.", required=True),
        _direct("key", Type.STRING, "Normalised number of a case; missing if the slide bears none."),
        Column("sources", Type.STRING, "Where it was found, best first, joined by commas.",
               pattern="|".join(
                   ",".join(source for place, source in enumerate(KEY_SOURCES) if mask >> place & 1)
                   for mask in range(1, 1 << len(KEY_SOURCES))
               )),
        Column("is_only", Type.BOOLEAN, "Whether the slide bears no other number of a case.", required=True),
        _direct("specimen", Type.STRING, "Specimen letter by the best source that has it; without a number, the slide's."),
        _direct("block", Type.STRING, "Block number that stood with that specimen."),
        _direct("patients", Type.STRINGS, "Patients' numbers that the slide bears, in the form in which they compare."),
        _direct("glass", Type.STRING, "Its barcode in the form in which it compares, if a glass of the laboratory has that "
                "number."),
        Column("stain", Type.STRING, "The slide's stain, by its names.", vocabulary="stains"),
        Column("organ", Type.STRING, "The slide's organ, by its names.", Identifying.SENSITIVE, Action.DROP,
               vocabulary="organs"),
        Column("preparation", Type.STRING, "How its tissue was prepared.", vocabulary="preparations"),
        Column("scan_datetime", Type.TIMESTAMP, "When it was scanned.", Identifying.QUASI, Action.DROP),
    ),
)  # fmt: skip
"""What linking needs of slides, each number with what its slide is: so that links are made in one pass along the cases."""

ARRIVALS = Table(
    name="arrivals",
    row="one slide whose header was read and that may be a known one which has moved, until the whole archive is known",
    key=("site", "archive", "relpath"),
    columns=SLIDES.columns,
)

FILE_KINDS = ("slide_part", "series_part", "other", "gone")
FILES = Table(
    name="files",
    row="one file below an archive root that need not be opened again: a part of a slide of several files or of a series, "
    "none of either, or no longer there",
    key=("site", "archive", "relpath"),
    columns=(
        SITE,
        _direct("archive", Type.STRING, "Name of the archive root.", required=True),
        _direct("relpath", Type.BYTES, "Path below the archive root.", required=True),
        Column("size_bytes", Type.INTEGER, "Size of the file.", Identifying.CRITERION_ONLY, Action.CRITERION),
        Column("mtime", Type.TIMESTAMP, "Modification time of the file.", Identifying.QUASI, Action.DROP),
        Column("kind", Type.STRING, "What the file is; a slide of one file is only in `slides`.", values=FILE_KINDS,
               required=True),
        _direct("group", Type.STRING, "What the files of one slide or series have in common."),
        _direct("owner", Type.STRING, "slide_id or series_id of what it is a part of."),
        Column("merged", Type.BOOLEAN, "Whether its owner's row was made with it.", action=Action.DROP),
        Column("status", Type.STRING, "State of the file.", values=STATUSES),
        _direct("status_detail", Type.STRING, "Why the file has this state."),
        _direct("part", Type.STRING, "What a part's header says, as JSON, so that its group can be merged again unopened."),
        Column("reader_version", Type.INTEGER, "Version of the reader; a raised one reads the file again.",
               action=Action.DROP),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SlideHeader:
    """What a reader learns from a slide's header, without decoding a pixel.

    Field names and units are those of the ``slides`` table. ``status`` is one of :data:`STATUSES` (``unsupported:VENDOR``
    for a vendor whose format cannot be read); anything but ``ok`` comes with a ``status_detail`` that holds no value from
    the file, only what was wrong and at which offset. A header that is partly readable keeps what was read.
    """

    status: str
    status_detail: str | None = None
    format: str | None = None
    vendor: str | None = None
    scanner_model: str | None = None
    scanner_serial: str | None = None
    scan_datetime: datetime | None = None
    width: int | None = None
    height: int | None = None
    level_count: int | None = None
    level_downsamples: tuple[float, ...] | None = None
    tile_width: int | None = None
    tile_height: int | None = None
    compression: str | None = None
    mpp_x: float | None = None
    mpp_y: float | None = None
    mpp_source: str | None = None
    objective_power: float | None = None
    odd_values: tuple[str, ...] = ()
    """Columns for which the header gave an absurd value; see :func:`judged`."""
    focal_planes: int | None = None
    channels: int | None = None
    icc_profile: bool | None = None
    has_label: bool | None = None
    has_overview: bool | None = None
    has_thumbnail: bool | None = None
    barcode: str | None = None
    label_text: str | None = None
    metadata_texts: tuple[str, ...] = ()
    """Other header texts in which the lab may have put its number (Aperio Title, Accession, ImageID …)."""
    patient_id: str | None = None
    header_fingerprint: str | None = None
    shape_fingerprint: str | None = None
    tiles_checked: int | None = None
    tiles_bad: int | None = None


PLAUSIBLE: Final[Mapping[str, tuple[float, float]]] = {
    "mpp_x": (0.01, 100.0), "mpp_y": (0.01, 100.0), "objective_power": (0.1, 1000.0),
}  # fmt: skip
"""What a microscope can have: beyond it a value is absurd, and missing is better."""


def judged(header: SlideHeader) -> SlideHeader:
    """The header without absurd values; ``odd_values`` names them. Readers give what stands there."""
    odd = tuple(
        name
        for name, (least, most) in PLAUSIBLE.items()
        if (value := getattr(header, name)) is not None and not least <= value <= most
    )
    if not odd:
        return header
    if set(odd) & {"mpp_x", "mpp_y"}:
        # Of a pixel with one absurd side the other is not believed either.
        header = replace(header, mpp_x=None, mpp_y=None, mpp_source=None)
    left_out: dict[str, Any] = {**dict.fromkeys(odd), "odd_values": tuple(dict.fromkeys((*header.odd_values, *odd)))}
    return replace(header, **left_out)


@dataclass(frozen=True, slots=True)
class Part:
    """What a reader learns from one file of a slide of several files, or of a series.

    Attributes:
        kind: ``slide_part`` or ``series_part``.
        group: what the parts of one slide or series have in common; None for a part that belongs to no other file.
        status: of this file alone, one of :data:`STATUSES`.
        status_detail: why, for anything but ``ok``.
        facts: what the reader needs for merging; values that JSON can hold.
    """

    kind: str
    group: str | None
    status: str
    status_detail: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TileCount:
    """What the tile tables of one file say when they are read whole.

    Attributes:
        checked: tiles whose position was held against the size of the file.
        bad: of these, tiles that lie outside it.
    """

    checked: int
    bad: int

"""What people drew on slides (the ``annotations`` table)."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

ANNOTATION_KINDS = ("polygon", "multipolygon", "rectangle", "ellipse", "polyline", "point", "multipoint")
TOOLS = ("qupath", "asap", "geojson")


def _direct(name: str, type_: Type, meaning: str, *, required: bool = False) -> Column:
    return Column(name, type_, meaning, Identifying.DIRECT, Action.DROP, required=required)


def _bound(name: str, side: str) -> Column:
    return Column(name, Type.FLOAT, f"{side} edge of the box around it.", Identifying.DIRECT, Action.WITHHOLD, unit="px",
                  required=True)  # fmt: skip


ANNOTATIONS = Table(
    name="annotations",
    row="one shape that somebody drew on one slide",
    key=("annotation_id",),
    columns=(
        Column("annotation_id", Type.STRING, "Identifier of the shape.", Identifying.DIRECT, Action.PSEUDONYM, pseudonym="A",
               required=True),
        SITE,
        Column("slide_id", Type.STRING, "The slide; missing as long as it is not known which.", Identifying.DIRECT,
               Action.PSEUDONYM, pseudonym="S"),
        _direct("slide_raw", Type.STRING, "What the file says of its slide: a name or a path; else its own name.",
                required=True),
        Column("kind", Type.STRING, "Shape.", values=ANNOTATION_KINDS, required=True),
        Column("label", Type.STRING, "Class that the shape was given, as the tool has it.", Identifying.DIRECT,
               Action.WITHHOLD),
        Column("colour", Type.STRING, "Colour of the class.", pattern=r"#[0-9a-f]{6}"),
        Column("geometry", Type.STRING, "GeoJSON geometry (RFC 7946, section 3.1) in pixels of coordinate_level.",
               Identifying.DIRECT, Action.WITHHOLD, required=True),
        Column("coordinate_level", Type.INTEGER, "Pyramid level of the pixels; 0 is the largest.", required=True),
        _bound("x_min", "Left"), _bound("y_min", "Upper"), _bound("x_max", "Right"), _bound("y_max", "Lower"),
        Column("area_px", Type.FLOAT, "Area in pixels of that level; missing for points and lines.", unit="px²"),
        _direct("annotator", Type.STRING, "Who drew it, as far as the file says."),
        Column("tool", Type.STRING, "Program that wrote the file.", values=TOOLS, required=True),
        _direct("version", Type.STRING, "Version of the program, as far as the file says."),
        _direct("digest", Type.STRING, "SHA-256 of the shape: kind, label and geometry; the same "
                "wherever its slide and its file lie, and for the same shape on two slides.", required=True),
        _direct("source_file", Type.STRING, "Name of the source."),
        Column("source_row", Type.INTEGER, "Place of the shape in its file, from 1.", Identifying.QUASI, Action.DROP),
    ),
)  # fmt: skip

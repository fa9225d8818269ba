"""What a report says: its diagnosis lines (`diagnoses`), its immunostains (`ihc_results`), and concepts found in it."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.report import TEXT_COLUMNS, VALUES
from pathcurate.model.slide import SITE

SECTIONS = ("gross", "microscopy", "diagnosis", "ihc", "molecular", "frozen", "clinical", "comment")
ASSERTIONS = ("affirmed", "negated", "possible")
BEHAVIOURS = ("0", "1", "2", "3", "6", "9")
"""ICD-O-3: benign, uncertain, in situ, malignant primary, metastatic, malignant of unknown origin."""
STAIN_RESULTS = ("positive", "negative", "equivocal", "retained", "lost")
INTENSITIES = ("weak", "weak to moderate", "moderate", "moderate to strong", "strong", "variable")
PLACES = ("section", "text_column", "start", "end")
"""Columns that say where in a report something stands."""

_REPORT = Column("report_id", Type.STRING, "The report.", Identifying.DIRECT, Action.PSEUDONYM, pseudonym="R", required=True)
_SPECIMEN = Column("specimen", Type.STRING, "The specimen as the report counts it (1, 2 or A, B).", Identifying.NONE,
                   pattern=r"[A-Z]|[0-9]{1,3}")  # fmt: skip


def _offset(name: str, meaning: str) -> Column:
    return Column(name, Type.INTEGER, meaning, Identifying.QUASI, Action.DROP, unit="characters")


_PLACE = (
    Column("section", Type.STRING, "Section of the report.", values=SECTIONS),
    Column("text_column", Type.STRING, "Column of `reports` that holds the text.", values=TEXT_COLUMNS),
    _offset("start", "Where it begins in that column."),
    _offset("end", "Where it ends in that column."),
)

DIAGNOSES = Table(
    name="diagnoses",
    row="one line of a diagnosis: one finding in one specimen",
    key=("report_id", "ordinal"),
    columns=(
        _REPORT,
        SITE,
        Column("ordinal", Type.INTEGER, "Place in the report; 1 for the first.", required=True),
        _SPECIMEN,
        Column("line", Type.INTEGER, "Line within the specimen; 1 for the first."),
        Column("organ", Type.STRING, "Canonical organ.", Identifying.SENSITIVE, vocabulary="organs"),
        Column("behaviour", Type.STRING, "ICD-O-3 behaviour: 0 benign, 1 uncertain, 2 in situ, 3 malignant, 6 metastatic, "
               "9 malignant of unknown origin.", Identifying.SENSITIVE, values=BEHAVIOURS),
        *VALUES,
        Column("assertion", Type.STRING, "Whether the line affirms, denies or suspects.", values=ASSERTIONS, required=True),
        *_PLACE,
        Column("spans", Type.STRING, "Where each value stands, as JSON: column to text column, start and end.",
               Identifying.QUASI, Action.DROP),
    ),
)  # fmt: skip

IHC_RESULTS = Table(
    name="ihc_results",
    row="one immunostain of one report",
    key=("report_id", "ordinal"),
    columns=(
        _REPORT,
        SITE,
        Column("ordinal", Type.INTEGER, "Place in the report; 1 for the first.", required=True),
        _SPECIMEN,
        Column("marker", Type.STRING, "Canonical marker.", Identifying.SENSITIVE, vocabulary="markers", required=True),
        Column("result", Type.STRING, "Result.", Identifying.SENSITIVE, values=STAIN_RESULTS, required=True),
        Column("percent_low", Type.INTEGER, "Share of positive cells, or the lower end of its range.", Identifying.SENSITIVE,
               unit="percent"),
        Column("percent_high", Type.INTEGER, "Upper end of the range; the share itself if one is given.",
               Identifying.SENSITIVE, unit="percent"),
        Column("intensity", Type.STRING, "Intensity of the stain.", Identifying.SENSITIVE, values=INTENSITIES),
        Column("score", Type.STRING, "Score as 0, 1+, 2+ or 3+, or CPS and TPS as numbers.", Identifying.SENSITIVE,
               pattern=r"0|[1-4]\+|(CPS|TPS) ?[0-9]{1,3}"),
        *_PLACE,
    ),
)  # fmt: skip

REPORT_CONCEPTS = Table(
    name="report_concepts",
    row="one mention of one concept of a recipe in one report",
    key=("report_id", "concept", "concept_sha", "text_column", "start", "end"),
    columns=(
        _REPORT,
        SITE,
        _SPECIMEN,
        Column("concept", Type.STRING, "Name of the concept in its recipe.", pattern=r"[a-z][a-z0-9_]{0,63}", required=True),
        Column("concept_sha", Type.STRING, "Digest of the concept's patterns and of the rules of assertion.",
               pattern=r"[0-9a-f]{64}", required=True),
        Column("assertion", Type.STRING, "Whether the text affirms, denies or suspects it.", values=ASSERTIONS,
               required=True),
        *_PLACE,
        Column("trigger", Type.STRING, "The cue that denies it or makes it a suspicion.", Identifying.DIRECT, Action.DROP),
    ),
)  # fmt: skip

CONCEPT_READS = Table(
    name="concept_reads",
    row="one report as it was when concepts were looked for in it last",
    key=("report_id",),
    columns=(
        Column("report_id", Type.STRING, "The report.", Identifying.DIRECT, Action.DROP, required=True),
        Column("text_digest", Type.STRING, "Digest of its texts.", Identifying.DIRECT, Action.DROP, required=True),
    ),
)

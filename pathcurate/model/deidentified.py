"""The de-identified tables, derived from the catalog's declarations: what recipes see and releases may hold.

Each has a twin in the vault area with *criterion-only* values (true dates, true ages) under the same pseudonym: criteria
compare with the true value, and what is selected is the de-identified one.
"""

from collections.abc import Mapping
from dataclasses import replace

from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS, REPORT_CONCEPTS
from pathcurate.model.event import EVENTS
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SITE, SLIDES

PSEUDONYM_BODY = "[0-9A-HJKMNP-TV-Z]{16}"
"""Sixteen characters of Crockford's base 32 (80 bits)."""
PSEUDONYM_KINDS = {
    "S": "slide", "C": "case", "P": "person", "Q": "group of possibly one person", "R": "report", "G": "scan group",
    "I": "series",
    "E": "event", "M": "block or glass slide", "A": "annotation",
    "N": "entry of a scanner's table", "U": "statement of a merge list", "H": "name in a text",
}  # fmt: skip
TOP_AGE = 90
"""Ages from here on are one class (HIPAA 45 CFR 164.514(b)(2)(i)(C))."""
BAND_WIDTHS = (5, 10, 20)
"""Years that an age band may have."""
_ALWAYS_FILLED = "site"


def age_bands(width: int) -> tuple[str, ...]:
    """The bands of so many years from 0 on; the last is open, and begins at 90 or, of twenty years, at 80."""
    last = TOP_AGE // width * width
    return (*(f"{low}-{low + width - 1}" for low in range(0, last, width)), f"{last}+")


AGE_BANDS = tuple(dict.fromkeys(band for width in BAND_WIDTHS for band in age_bands(width)))
SPLITS = ("train", "val", "test")


def pseudonym_pattern(kind: str) -> str:
    """Pattern of a pseudonym of one kind."""
    return f"{kind}-{PSEUDONYM_BODY}"


def _pseudonym(name: str, kind: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name, Type.STRING, meaning, pattern=pseudonym_pattern(kind), required=required)


def deidentified(column: Column) -> Column | None:
    """The column as it stands in ``deid/`` and may stand in a release, None if it may not."""
    match column.action:
        case Action.KEEP:
            return column
        case Action.PSEUDONYM:
            return replace(
                column, meaning=f"Pseudonym. {column.meaning}", identifying=Identifying.NONE, action=Action.KEEP,
                pattern=pseudonym_pattern(column.pseudonym), pseudonym="",
            )  # fmt: skip
        case Action.SHIFT:
            return replace(
                column, type=Type.DATE, meaning=f"{column.meaning} Moved by the patient's offset, time of day dropped.",
                action=Action.KEEP,
            )  # fmt: skip
        case Action.TOP_CODE:
            return replace(column, action=Action.KEEP)
        case _:
            return None


def criterion(column: Column) -> Column | None:
    """The column's criterion-only twin, None if it has none."""
    if column.action not in {Action.SHIFT, Action.TOP_CODE, Action.CRITERION}:
        return None
    type_ = Type.DATE if column.action is Action.SHIFT else column.type
    return replace(column, type=type_, identifying=Identifying.CRITERION_ONLY, action=Action.CRITERION)


def stays(table: Table, column: Column) -> bool:
    """Whether a column of the catalog has a value in every row of ``deid/`` whatever the profile: rows are told apart by it,
    or permissions hang on it."""
    return column.name in table.key or column.name == _ALWAYS_FILLED


def _derive(table: Table) -> tuple[Column, ...]:
    # A profile may empty what the catalog requires.
    return tuple(
        replace(kept, required=column.required and stays(table, column))
        for column in table.columns
        if (kept := deidentified(column)) is not None
    )


def _criteria(name: str, key: Column, columns: tuple[Column, ...]) -> Table:
    twins = tuple(twin for column in columns if (twin := criterion(column)) is not None)
    return Table(name, f"criterion-only values of one row of {name}", (key.name,), (key, *twins))


CASE_ID = _pseudonym("case_id", "C", "Pseudonym of the case (site and accession number).")
PATIENT_ID = _pseudonym("patient_id", "P", "Pseudonym of the person.")
GROUP_ID = _pseudonym("group_id", "Q", "Pseudonym of all persons who may be this one; splits use it.")
AGE = next(kept for column in REPORTS.columns if column.name == "age" and (kept := deidentified(column)))
AGE_BAND = Column(
    "age_band", Type.STRING, "Age in bands of five years, or of ten or twenty where the profile says so.", Identifying.QUASI,
    values=AGE_BANDS,
)  # fmt: skip
PROVINCE = Column(
    "province", Type.STRING,
    "Province of the address, else of the place where the identity card's number was given (GB/T 2260).", Identifying.QUASI,
    vocabulary="provinces",
)  # fmt: skip


def _coarse(prefix: str, what: str) -> tuple[Column, Column]:
    """Year and quarter of a date, which a profile may show in place of the moved day."""
    return (
        Column(f"{prefix}year", Type.INTEGER, f"Year {what}; only where the profile shows no moved day.", Identifying.QUASI),
        Column(f"{prefix}quarter", Type.INTEGER, f"Quarter {what}, 1 to 4; only beside the year.", Identifying.QUASI),
    )


COMPANIONS: Mapping[str, tuple[Column, ...]] = {
    "slides.scan_datetime": _coarse("scan_", "in which the slide was scanned"),
    "reports.age": (AGE_BAND,),
    "reports.address": (PROVINCE,),
    "reports.received_date": _coarse("received_", "in which the specimen was received"),
    "reports.reported_date": _coarse("reported_", "in which the report was signed"),
    "events.date": _coarse("", "in which it happened or began"),
    "series.study_date": _coarse("study_", "in which the study began"),
    "series.series_date": _coarse("series_", "in which the series began"),
    "series.acquisition_date": _coarse("acquisition_", "in which the first of its images was acquired"),
    "materials.made_date": _coarse("made_", "in which it was made"),
}
"""Columns of ``deid/`` that hold something coarser than a column of the catalog does.

A profile shows a date moved or its true year, never both: together they would narrow down how far the person's dates moved.
"""
SEX = REPORTS["sex"]
MPP = Column("mpp", Type.FLOAT, "Mean of mpp_x and mpp_y.", unit="µm/px")
YEAR = Column(
    "year",
    Type.INTEGER,
    "Year in which the case was received, else reported.",
    Identifying.CRITERION_ONLY,
    Action.CRITERION,
)
_SERIES_YEAR = replace(YEAR, meaning="Year of the series, else of its study, else of its first image.")
_SIGNS = "[A-Za-z ./+_-]"
# A recipe goes out with its release, so it must have no way to name a patient's number.
TRUE_CODE = Column(
    "code",
    Type.STRING,
    "Code; a recipe may name Latin letters, signs and up to four digits in a row.",
    Identifying.CRITERION_ONLY,
    Action.CRITERION,
    pattern=rf"{_SIGNS}{{0,12}}([0-9]{{1,4}}{_SIGNS}{{1,12}}){{0,4}}[0-9]{{0,4}}|[0-9]{{5}}-[0-9]",
)
TRUE_VALUE = Column(
    "value", Type.FLOAT, "Result, where it is a number, whatever it is of.", Identifying.CRITERION_ONLY, Action.CRITERION,
)  # fmt: skip
# Letters of Europe, Greek, Chinese, Japanese and Korean, and signs of any width; digits of any width are none of these.
_LABEL_SIGNS = (
    "[A-Za-z\u00c0-\u024f\u0370-\u03ff\u3001\u3002\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff0f\uff1a-\uff20"
    " !-/:-@\\[-`{-~\u00b7\u2013-\u2026]"
)
TRUE_LABEL = Column(
    "label",
    Type.STRING,
    "Class that the shape was given, where it is letters, signs and at most four digits.",
    Identifying.CRITERION_ONLY,
    Action.CRITERION,
    pattern=rf"{_LABEL_SIGNS}{{0,30}}([0-9]{_LABEL_SIGNS}{{0,30}}){{0,4}}",
)
"""A label that does not have this form is in no table: it may be a patient's number, which a recipe could then name."""
SPLIT = Column("split", Type.STRING, "Side of the split; no patient is on two.", values=SPLITS)

# A slide without a link has no case and no patient, nor has what was drawn on it.
_SLIDE_LINK = (replace(CASE_ID, required=False), replace(PATIENT_ID, required=False), replace(GROUP_ID, required=False))
_slide_columns = _derive(SLIDES)

SLIDES_DEID = Table(
    name="slides",
    row="one slide",
    key=("slide_id",),
    columns=(
        _slide_columns[0], *_SLIDE_LINK, *_slide_columns[1:], MPP, LINKS["tier"], SEX, AGE, AGE_BAND,
        *COMPANIONS["slides.scan_datetime"],
    ),
)  # fmt: skip
CASES_DEID = Table(
    name="cases",
    row="one case: everything under one accession number of one site",
    key=("case_id",),
    columns=(
        CASE_ID, PATIENT_ID, GROUP_ID, SITE, SEX, AGE, AGE_BAND,
        *(kept for name in ("organ", "received_date", "reported_date", "icd10", "icdo3_topography", "icdo3_morphology")
          if (kept := deidentified(REPORTS[name]))),
        Column("report_count", Type.INTEGER, "Reports of the case."),
        Column("slide_count", Type.INTEGER, "Slides linked to the case."),
        PROVINCE, *COMPANIONS["reports.received_date"], *COMPANIONS["reports.reported_date"],
    ),
)  # fmt: skip
PATIENTS_DEID = Table(
    name="patients",
    row="one person",
    key=("patient_id",),
    columns=(
        PATIENT_ID, GROUP_ID, SEX,
        Column("case_count", Type.INTEGER, "Cases of the person."),
        Column("slide_count", Type.INTEGER, "Slides linked to the person's cases."),
        PROVINCE,
    ),
)  # fmt: skip
REPORTS_DEID = Table(
    name="reports",
    row="one report, without its texts",
    key=("report_id",),
    columns=(
        _derive(REPORTS)[0], CASE_ID, PATIENT_ID, GROUP_ID, *_derive(REPORTS)[1:], AGE_BAND, PROVINCE,
        *COMPANIONS["reports.received_date"], *COMPANIONS["reports.reported_date"],
    ),
)  # fmt: skip

EVENTS_DEID = Table(
    name="events",
    row="one event, without its words and numbers",
    key=("event_id",),
    columns=(_derive(EVENTS)[0], PATIENT_ID, GROUP_ID, *_derive(EVENTS)[1:], *COMPANIONS["events.date"]),
)
_series_columns, _annotation_columns, _material_columns = _derive(SERIES), _derive(ANNOTATIONS), _derive(MATERIALS)
SERIES_DEID = Table(
    name="series",
    row=SERIES.row,
    key=("series_id",),
    columns=(
        _series_columns[0], replace(CASE_ID, required=False), PATIENT_ID, GROUP_ID, *_series_columns[1:],
        *COMPANIONS["series.study_date"], *COMPANIONS["series.series_date"], *COMPANIONS["series.acquisition_date"],
    ),
)  # fmt: skip
ANNOTATIONS_DEID = Table(
    name="annotations",
    row="one shape that somebody drew on one slide, without its outline and its label",
    key=("annotation_id",),
    columns=(_annotation_columns[0], *_SLIDE_LINK, *_annotation_columns[1:]),
)
MATERIALS_DEID = Table(
    name="materials",
    row=MATERIALS.row,
    key=("material_id",),
    columns=(
        _material_columns[0], CASE_ID, PATIENT_ID, GROUP_ID, *_material_columns[1:], *COMPANIONS["materials.made_date"],
    ),
)  # fmt: skip


def _said(table: Table, row: str, *more: Column) -> Table:
    """What a report says, by pseudonym and without the places in its text."""
    report, *columns = _derive(table)
    key = ("report_id", "ordinal")
    return Table(table.name, row, key, (report, CASE_ID, PATIENT_ID, GROUP_ID, *more, *columns))


DIAGNOSES_DEID = _said(DIAGNOSES, DIAGNOSES.row)
IHC_RESULTS_DEID = _said(IHC_RESULTS, IHC_RESULTS.row)
REPORT_CONCEPTS_DEID = _said(
    REPORT_CONCEPTS, REPORT_CONCEPTS.row,
    Column("ordinal", Type.INTEGER, "Place among the report's mentions; 1 for the first.", required=True),
)  # fmt: skip

DEID_TABLES = {
    table.name: table
    for table in (
        SLIDES_DEID, CASES_DEID, PATIENTS_DEID, REPORTS_DEID, EVENTS_DEID, SERIES_DEID, ANNOTATIONS_DEID, MATERIALS_DEID,
        DIAGNOSES_DEID, IHC_RESULTS_DEID, REPORT_CONCEPTS_DEID,
    )
}  # fmt: skip
"""The tables of ``deid/``."""
SCRUBBED = {
    table.name: table
    for table in (
        SLIDES, REPORTS, EVENTS, SERIES, ANNOTATIONS, MATERIALS, DIAGNOSES, IHC_RESULTS, REPORT_CONCEPTS,
    )
}  # fmt: skip
"""The catalog's tables that those are made of, column by column."""


def _made_of(table: Table) -> Mapping[str, tuple[str, ...]]:
    """Each column of ``deid/`` that a column of this table gives, and that column as ``table.column``."""
    given = {column.name: (f"{table.name}.{column.name}",) for column in table.columns if deidentified(column)}
    coarser = {
        companion.name: (place,)
        for place, companions in COMPANIONS.items()
        if place.startswith(f"{table.name}.")
        for companion in companions
    }
    return given | coarser


_OF_REPORTS = _made_of(REPORTS)
ORIGINS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "slides": {
        **{name: _OF_REPORTS[name] for name in ("sex", "age", "age_band")},
        **_made_of(SLIDES),
        "mpp": ("slides.mpp_x", "slides.mpp_y"),
    },
    "cases": _OF_REPORTS,
    "patients": _OF_REPORTS,
    **{name: _made_of(table) for name, table in SCRUBBED.items() if name != "slides"},
}
"""By table of ``deid/``, the columns of the catalog that all have to be shown for a column to have values.

A column that is not listed is made by de-identification itself.
"""

_TRUE_CASE = tuple(REPORTS[name] for name in ("received_date", "reported_date", "age", "birth_date"))
CRITERIA_TABLES = {
    "slides": _criteria("slides", _slide_columns[0], (*SLIDES.columns, REPORTS["age"], YEAR)),
    "cases": _criteria("cases", CASE_ID, (*_TRUE_CASE, YEAR)),
    "patients": _criteria("patients", PATIENT_ID, (REPORTS["birth_date"],)),
    "reports": _criteria("reports", _derive(REPORTS)[0], (*REPORTS.columns, YEAR)),
    "events": _criteria("events", _derive(EVENTS)[0], (*EVENTS.columns, TRUE_CODE, TRUE_VALUE)),
    "series": _criteria("series", _series_columns[0], (*SERIES.columns, _SERIES_YEAR)),
    "annotations": _criteria("annotations", _annotation_columns[0], (TRUE_LABEL,)),
    "materials": _criteria("materials", _material_columns[0], MATERIALS.columns),
}
"""Criterion-only values, in the vault area."""


def _view(table: Table) -> Table:
    twins = CRITERIA_TABLES[table.name].columns[1:] if table.name in CRITERIA_TABLES else ()
    hidden = tuple(twin for twin in twins if twin.name not in table)
    # A closed form binds what is shown; a criterion may compare with other true values too.
    wider = {twin.name: twin for twin in twins if twin.name in table and twin.pattern != table[twin.name].pattern}
    return replace(table, columns=(*(wider.get(column.name, column) for column in table.columns), *hidden))


VIEWS = {name: _view(table) for name, table in DEID_TABLES.items()}
"""What a recipe may name: the de-identified columns, and the criterion-only ones that it may compare but never select."""

UNIT_TABLES = {"slide": "slides", "case": "cases", "patient": "patients"}
"""The table of each unit and level."""
UNIT_KEYS = {"slide": "slide_id", "case": "case_id", "patient": "patient_id"}


LINKS_RELEASED = Table(
    name="links",
    row="one slide and one report of its case, both of which go out",
    key=("slide_id", "report_id"),
    columns=(
        SLIDES_DEID["slide_id"], REPORTS_DEID["report_id"], replace(CASE_ID, required=True),
        replace(LINKS["tier"], meaning="How the link of the slide to its case came about."),
    ),
)  # fmt: skip
SPLITS_RELEASED = Table(
    name="splits",
    row="one patient and the side of the split that all of their rows are on",
    key=("patient_id",),
    columns=(replace(PATIENT_ID, required=True), replace(SPLIT, required=True)),
)
BETWEEN_TABLES = {table.name: table for table in (LINKS_RELEASED, SPLITS_RELEASED)}
"""What a release says of how its tables hang together."""


def released(table: Table, columns: tuple[str, ...]) -> Table:
    """The table that a release holds: these columns of a de-identified table, ``split`` among them if it is asked for.

    Raises:
        KeyError: a column is not one that may be released.
    """
    with_split = replace(table, columns=(*table.columns, SPLIT))
    return with_split.select(columns)


def age_band(age: int | None, width: int = 5) -> str | None:
    """The band of an age in years, ``90+`` from 90 on; see :func:`age_bands`."""
    if age is None or age < 0:
        return None
    bands = age_bands(width)
    return bands[min(age // width, len(bands) - 1)]


PERMISSION_CODES = Table(
    name="permissions",
    row="one statement about one subject, by pseudonym",
    key=(),
    columns=(
        PERMISSIONS["subject"],
        Column("subject_code", Type.STRING, "Pseudonym of person, group (opt-outs) or case; site code; `population`.",
               Identifying.CRITERION_ONLY, Action.CRITERION, required=True),
        *(PERMISSIONS[name] for name in ("basis", "purposes", "data_kinds", "valid_from", "valid_to", "opt_out")),
    ),
)  # fmt: skip
"""Permissions as cohorts read them, in the vault area. An opt-out names the group: it guards whoever may be this person."""

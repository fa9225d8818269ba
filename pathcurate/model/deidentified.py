"""The de-identified tables, derived from the catalog's declarations: what recipes see and releases may hold.

Each has a twin in the vault area with *criterion-only* values (true dates, true ages) under the same pseudonym: criteria
compare with the true value, and what is selected is the de-identified one.
"""

from dataclasses import replace

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.event import EVENTS
from pathcurate.model.link import LINKS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SITE, SLIDES

PSEUDONYM_BODY = "[0-9A-HJKMNP-TV-Z]{16}"
"""Sixteen characters of Crockford's base 32 (80 bits)."""
PSEUDONYM_KINDS = {
    "S": "slide", "C": "case", "P": "person", "Q": "group of possibly one person", "R": "report", "G": "scan group",
    "I": "series",
    "E": "event", "M": "block or glass slide", "A": "annotation",
    "N": "entry of a scanner's table", "U": "statement of a merge list",
}  # fmt: skip
TOP_AGE = 90
"""Ages from here on are one class (HIPAA 45 CFR 164.514(b)(2)(i)(C))."""
AGE_BANDS = (*(f"{low}-{low + 4}" for low in range(0, TOP_AGE, 5)), f"{TOP_AGE}+")
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


def _derive(table: Table) -> tuple[Column, ...]:
    return tuple(kept for column in table.columns if (kept := deidentified(column)) is not None)


def _criteria(name: str, key: Column, columns: tuple[Column, ...]) -> Table:
    twins = tuple(twin for column in columns if (twin := criterion(column)) is not None)
    return Table(name, f"criterion-only values of one row of {name}", (key.name,), (key, *twins))


CASE_ID = _pseudonym("case_id", "C", "Pseudonym of the case (site and accession number).")
PATIENT_ID = _pseudonym("patient_id", "P", "Pseudonym of the person.")
GROUP_ID = _pseudonym("group_id", "Q", "Pseudonym of all persons who may be this one; splits use it.")
AGE = next(kept for column in REPORTS.columns if column.name == "age" and (kept := deidentified(column)))
AGE_BAND = Column("age_band", Type.STRING, "Age in bands of five years.", Identifying.QUASI, values=AGE_BANDS)
SEX = REPORTS["sex"]
MPP = Column("mpp", Type.FLOAT, "Mean of mpp_x and mpp_y.", unit="µm/px")
YEAR = Column(
    "year",
    Type.INTEGER,
    "Year in which the case was received, else reported.",
    Identifying.CRITERION_ONLY,
    Action.CRITERION,
)
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
SPLIT = Column("split", Type.STRING, "Side of the split; no patient is on two.", values=SPLITS)

# A slide without a link has no case and no patient.
_SLIDE_LINK = (replace(CASE_ID, required=False), replace(PATIENT_ID, required=False), replace(GROUP_ID, required=False))
_slide_columns = _derive(SLIDES)

SLIDES_DEID = Table(
    name="slides",
    row="one slide",
    key=("slide_id",),
    columns=(_slide_columns[0], *_SLIDE_LINK, *_slide_columns[1:], MPP, LINKS["tier"], SEX, AGE, AGE_BAND),
)
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
    ),
)  # fmt: skip
REPORTS_DEID = Table(
    name="reports",
    row="one report, without its texts",
    key=("report_id",),
    columns=(_derive(REPORTS)[0], CASE_ID, PATIENT_ID, GROUP_ID, *_derive(REPORTS)[1:], AGE_BAND),
)

EVENTS_DEID = Table(
    name="events",
    row="one event, without its words and numbers",
    key=("event_id",),
    columns=(_derive(EVENTS)[0], PATIENT_ID, GROUP_ID, *_derive(EVENTS)[1:]),
)

DEID_TABLES = {table.name: table for table in (SLIDES_DEID, CASES_DEID, PATIENTS_DEID, REPORTS_DEID, EVENTS_DEID)}
"""The tables of ``deid/``."""

_TRUE_CASE = tuple(REPORTS[name] for name in ("received_date", "reported_date", "age", "birth_date"))
CRITERIA_TABLES = {
    "slides": _criteria("slides", _slide_columns[0], (*SLIDES.columns, REPORTS["age"], YEAR)),
    "cases": _criteria("cases", CASE_ID, (*_TRUE_CASE, YEAR)),
    "reports": _criteria("reports", _derive(REPORTS)[0], (*REPORTS.columns, YEAR)),
    "events": _criteria("events", _derive(EVENTS)[0], (*EVENTS.columns, TRUE_CODE)),
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


def released(table: Table, columns: tuple[str, ...]) -> Table:
    """The table that a release holds: these columns of a de-identified table, ``split`` among them if it is asked for.

    Raises:
        KeyError: a column is not one that may be released.
    """
    with_split = replace(table, columns=(*table.columns, SPLIT))
    return with_split.select(columns)


def age_band(age: int | None) -> str | None:
    """The five-year band of an age in years, ``90+`` from 90 on."""
    if age is None or age < 0:
        return None
    return AGE_BANDS[min(age // 5, len(AGE_BANDS) - 1)]


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

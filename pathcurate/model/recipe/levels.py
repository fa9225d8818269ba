"""The levels that criteria speak of: the view of each, what its rows are told apart by, and whose date a row has.

Two of the views are made of others: a *specimen* is a case and a letter, a *block* a specimen and a number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.deidentified import CASE_ID, DIAGNOSES_DEID, GROUP_ID, PATIENT_ID, SLIDES_DEID, VIEWS

LEVEL_VIEWS: Mapping[str, str] = {
    "patient": "patients", "case": "cases", "specimen": "specimens", "block": "blocks", "slide": "slides",
    "series": "series", "event": "events",
}  # fmt: skip
"""The view whose columns ``where`` names on each level."""
LEVEL_KEYS: Mapping[str, tuple[str, ...]] = {
    "patient": ("patient_id",),
    "case": ("case_id",),
    "specimen": ("case_id", "specimen"),
    "block": ("case_id", "specimen", "block"),
    "slide": ("slide_id",),
    "series": ("series_id",),
    "event": ("event_id",),
}
"""What tells the entities of a level apart."""
UNIT_LEVELS: Mapping[str, tuple[str, ...]] = {
    "patient": ("patient",),
    "case": ("patient", "case"),
    "slide": ("patient", "case", "specimen", "block", "slide"),
    "series": ("patient", "case", "series"),
    "event": ("patient", "event"),
}
"""Levels that a criterion can have for each unit: those of which a unit has one."""
DATES: Mapping[str, str] = {
    "reports": "reported_date", "cases": "received_date", "events": "date", "series": "study_date",
    "slides": "scan_datetime", "materials": "made_date", "diagnoses": "reported_date", "ihc_results": "reported_date",
    "report_concepts": "reported_date",
}  # fmt: skip
"""The column that a window looks at; what reports say has the date of its report."""
OF_REPORTS = ("diagnoses", "ihc_results", "report_concepts")
"""Tables that get their dates, and what else they lack, from their report."""
PERSONAL = ("events", "series")
"""Tables whose rows belong to patients, so that on level case those of the case's patient count."""
DATA_KINDS: Mapping[str, str] = {
    "slides": "slides", "blocks": "slides", "annotations": "slides", "materials": "slides", "series": "series",
    "events": "events",
}  # fmt: skip
"""The kind of data that a table is made of, as permissions name it; all others are made of reports."""

_SUMMARY = (
    "organ", "laterality", "behaviour", "icd10", "icdo3_topography", "icdo3_morphology", "grade", "pt", "pn", "pm",
)  # fmt: skip
SPECIMEN_COLUMNS = tuple(name for name in _SUMMARY if name in DIAGNOSES_DEID)
"""What a specimen has of its diagnosis lines, where they agree."""


def _said(column: Column) -> Column:
    return replace(column, meaning=f"{column.meaning} Missing where the lines of the specimen disagree.", required=False)


SPECIMENS = Table(
    name="specimens",
    row="one specimen of one case",
    key=LEVEL_KEYS["specimen"],
    columns=(
        CASE_ID, PATIENT_ID, GROUP_ID, SLIDES_DEID["specimen"],
        *(_said(DIAGNOSES_DEID[name]) for name in SPECIMEN_COLUMNS),
        Column("slide_count", Type.INTEGER, "Slides of the specimen."),
    ),
)  # fmt: skip
BLOCKS = Table(
    name="blocks",
    row="one block of one specimen",
    key=LEVEL_KEYS["block"],
    columns=(
        CASE_ID, PATIENT_ID, GROUP_ID, SLIDES_DEID["specimen"], SLIDES_DEID["block"],
        Column("slide_count", Type.INTEGER, "Slides of the block."),
    ),
)  # fmt: skip
AGE_AT_INDEX = Column(
    "age_at_index",
    Type.INTEGER,
    "Whole years from birth to day 0; where the birth date is missing, from the age given with the case.",
    Identifying.CRITERION_ONLY,
    Action.CRITERION,
    unit="years",
)
DAYS_FROM_INDEX = Column("days_from_index", Type.INTEGER, "Days from day 0 to the row's date.", unit="d")


@cache
def recipe_views(*, has_index: bool) -> Mapping[str, Table]:
    """What a recipe may name, by view: de-identified columns, criterion-only ones, and those that come with an index."""
    views = {**VIEWS, SPECIMENS.name: SPECIMENS, BLOCKS.name: BLOCKS}
    if not has_index:
        return views
    with_age = ("patients", "cases", "slides", "series", "events")
    return {
        name: replace(
            view,
            columns=(
                *view.columns,
                *((AGE_AT_INDEX,) if name in with_age else ()),
                *((DAYS_FROM_INDEX,) if name in DATES else ()),
            ),
        )
        for name, view in views.items()
    }


NUMBERS: Mapping[str, str] = {
    "patient_id": "patient_no", "case_id": "case_no", "slide_id": "slide_no", "series_id": "series_no",
    "event_id": "event_no", "report_id": "report_no",
}  # fmt: skip
"""The column with the number of what a code names: its place among all of its kind."""
PLACES = ("specimen_no", "block_no")
"""Columns with the numbers of the specimen and the block that a slide is from, each told apart within its case."""
OWNERS: Mapping[str, tuple[str, ...]] = {
    "patients": ("patients",),
    "cases": ("cases", "patients"),
    "slides": ("slides", "cases", "patients"),
    "series": ("series", "cases", "patients"),
    "reports": ("reports", "cases", "patients"),
    "events": ("events", "patients"),
    "diagnoses": ("reports", "cases", "patients"),
    "ihc_results": ("reports", "cases", "patients"),
    "report_concepts": ("reports", "cases", "patients"),
    "annotations": ("slides", "cases", "patients"),
    "materials": ("cases", "patients"),
}
"""The tables that the rows of each table belong to, itself among them if it gives its rows numbers."""


def numbered(columns: Iterable[str]) -> tuple[str, ...]:
    """The same columns with numbers in place of codes."""
    return tuple(NUMBERS.get(name, name) for name in columns)

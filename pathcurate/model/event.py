"""A clinical event (the ``events`` table): what happened to a patient outside pathology, and when."""

import re

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.report import ICD10, MORPHOLOGY, TOPOGRAPHY
from pathcurate.model.slide import SITE

EVENT_KINDS = ("procedure", "diagnosis", "visit", "laboratory", "medication", "imaging", "follow_up", "death")
LATERALITIES = ("left", "right", "bilateral")
CODE_SYSTEMS = (
    "icd10", "icd9cm3", "icdo3_topography", "icdo3_morphology", "ajcc", "tnm", "analyte", "atc", "loinc", "local",
)  # fmt: skip
_ANALYTES = (
    "AFP", "ALB", "ALP", "ALT", "AST", "BUN", "CA125", "CA153", "CA199", "CA242", "CA50", "CA724", "CEA", "CK", "CKMB",
    "CR", "CREA", "CRP", "CYFRA211", "DBIL", "E2", "EGFR", "ESR", "FPSA", "FSH", "FT3", "FT4", "GGT", "GLU", "HB", "HBA1C",
    "HBSAG", "HCG", "HCT", "HCV", "HDL", "HE4", "HGB", "HIV", "IL6", "INR", "LDH", "LDL", "LH", "NSE", "PCT", "PLT", "PRL",
    "PROGRP", "PSA", "PT", "RBC", "SCC", "T3", "T4", "TBIL", "TC", "TG", "TP", "TPSA", "TSH", "UA", "UREA", "WBC",
)  # fmt: skip
CLOSED_CODES = {
    "icd10": ICD10,
    "icd9cm3": r"\d{2}\.\d{1,4}([xX]\d{2,3})?",
    "icdo3_topography": TOPOGRAPHY,
    "icdo3_morphology": MORPHOLOGY,
    "ajcc": r"Stage (X|0|0is|0a|(I|II|III|IV)[ABC]?[1-3]?)",
    "tnm": r"[cpyra]{0,3}T(X|0|is|a|[1-4][a-d]?)( ?N(X|[0-3][a-c]?))?( ?M(X|[01][a-c]?))?",
    "analyte": "|".join(_ANALYTES),
    "atc": r"[ABCDGHJLMNPRSV]\d{2}[A-Z]{2}\d{2}",
}
"""Forms of the codes that say nothing about a person alone, by code system. LOINC's look like numbers of patients, a
hospital's own codes like anything; an analyte counts by name, because letters alone may be initials."""
_CLOSED = {system: re.compile(pattern, re.ASCII) for system, pattern in CLOSED_CODES.items()}


def is_closed_code(system: str | None, code: str | None) -> bool:
    """Whether a code has the form of its code system, so that it may be shown; never without a code system."""
    pattern = _CLOSED.get(system or "")
    return pattern is not None and code is not None and pattern.fullmatch(code) is not None


GREATEST_VALUE = 100_000
"""No result of an analyte comes near it, and every telephone number and patient's number of six digits or more is above."""


def _dropped(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, Type.STRING, meaning, Identifying.DIRECT, Action.DROP, required=required)


EVENTS = Table(
    name="events",
    row="one event: one row of an export, read by one mapping",
    key=("event_id",),
    columns=(
        Column("event_id", Type.STRING, "Identifier of the event.", Identifying.DIRECT, Action.PSEUDONYM,
               pseudonym="E", required=True),
        SITE,
        _dropped("patient_id", "The site's number for the patient.", required=True),
        Column("kind", Type.STRING, "Kind of event.", values=EVENT_KINDS, required=True),
        Column("code", Type.STRING, "Code in the code system; shown only in the forms that the system is known for.",
               Identifying.SENSITIVE, pattern="|".join(f"({pattern})" for pattern in CLOSED_CODES.values())),
        Column("code_system", Type.STRING, "Code system.", values=CODE_SYSTEMS),
        Column("text", Type.STRING, "What happened, in words.", Identifying.DIRECT, Action.WITHHOLD),
        Column("value", Type.FLOAT, "Result, where it is a number; shown only of known analytes in known units.",
               Identifying.SENSITIVE),
        Column("value_text", Type.STRING, "Result as exported, where it is no number.", Identifying.DIRECT, Action.WITHHOLD),
        Column("unit", Type.STRING, "Unit of the value (UCUM).", vocabulary="units"),
        Column("laterality", Type.STRING, "Side of the body.", values=LATERALITIES),
        Column("date", Type.TIMESTAMP, "When it happened or began.", Identifying.QUASI, Action.SHIFT),
        Column("end_date", Type.TIMESTAMP, "When it ended.", Identifying.QUASI, Action.SHIFT),
        _dropped("source_file", "Name of the event source.", required=True),
        _dropped("source_mapping", "Mapping file by which it was read."),
        Column("source_row", Type.INTEGER, "Row of the source, the head being row 1.", Identifying.QUASI, Action.DROP,
               required=True),
    ),
)  # fmt: skip

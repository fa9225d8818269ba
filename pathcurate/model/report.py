"""A pathology report (the ``reports`` table): sections and numbers as the laboratory system exports them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

REPORT_TYPES = ("primary", "frozen", "supplementary", "amended", "consultation", "cytology")
REPORT_STATUSES = ("final", "preliminary", "withdrawn")
SEXES = ("male", "female", "other", "unknown")
LANGUAGES = ("zh", "en", "mixed")
ICD10 = r"[A-TV-Z]\d[0-9A-Z](\.[0-9A-Za-z]{1,4})?([xX+*][0-9A-Za-z]{0,5})?"
MORPHOLOGY = r"\d{4}/\d"
TOPOGRAPHY = r"C\d{2}(\.\d)?"


def _direct(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, Type.STRING, meaning, Identifying.DIRECT, Action.DROP, required=required)


def _text(name: str, meaning: str) -> Column:
    return Column(name, Type.STRING, meaning, Identifying.DIRECT, Action.WITHHOLD)


def _date(name: str, meaning: str) -> Column:
    return Column(name, Type.TIMESTAMP, meaning, Identifying.QUASI, Action.SHIFT)


REPORTS = Table(
    name="reports",
    row="one report of one case; supplements and amendments are rows of their own",
    key=("report_id",),
    columns=(
        Column("report_id", Type.STRING, "Identifier of the report.", Identifying.DIRECT, Action.PSEUDONYM,
               pseudonym="R", required=True),
        SITE,
        _direct("patient_id", "The site's number for the patient."),
        _direct("patient_name", "Name."),
        _direct("id_number", "Number of the identity card or another document."),
        Column("sex", Type.STRING, "Sex.", Identifying.QUASI, values=SEXES),
        Column("birth_date", Type.DATE, "Date of birth.", Identifying.QUASI, Action.CRITERION),
        Column("age", Type.INTEGER, "Age at receipt; 90 stands for 90 and older after de-identification.",
               Identifying.QUASI, Action.TOP_CODE, unit="years"),
        _direct("accession", "Normalised accession number, unique within the site.", required=True),
        _direct("accession_raw", "Accession number as exported."),
        _direct("accession_external", "The sender's number of a consultation."),
        Column("report_type", Type.STRING, "Kind of report.", values=REPORT_TYPES, required=True),
        Column("status", Type.STRING, "State of the report.", values=REPORT_STATUSES, required=True),
        Column("is_current", Type.BOOLEAN, "Whether no later report of the same case and type replaces it."),
        Column("organ", Type.STRING, "Canonical organ.", Identifying.SENSITIVE, vocabulary="organs"),
        _text("specimen_sites", "Where the specimens were taken, as exported."),
        _date("received_date", "When the specimen was received."),
        _date("reported_date", "When the report was signed."),
        _text("clinical_diagnosis", "The clinician's diagnosis."),
        _text("gross", "Gross description."),
        _text("microscopy", "Microscopic description."),
        _text("diagnosis", "Pathological diagnosis."),
        _text("ihc", "Immunohistochemistry."),
        _text("molecular", "Molecular findings."),
        _text("comment", "Comment."),
        _direct("submitting_unit", "Institution or ward that sent the specimen."),
        _direct("submitting_doctor", "Doctor who sent the specimen."),
        _direct("pathologist", "Pathologist who reported."),
        _direct("reviewer", "Pathologist who reviewed."),
        _direct("phone", "Telephone number."),
        _text("text_raw", "The report as one text, where the export has no sections."),
        Column("language", Type.STRING, "Language of the texts.", values=LANGUAGES),
        _direct("source_file", "Name of the report source."),
        Column("source_row", Type.INTEGER, "Row of the source, the head being row 1.", Identifying.QUASI, Action.DROP),
        Column("icd10", Type.STRING, "ICD-10 code.", Identifying.SENSITIVE, pattern=ICD10),
        Column("icdo3_topography", Type.STRING, "ICD-O-3 topography.", Identifying.SENSITIVE, pattern=TOPOGRAPHY),
        Column("icdo3_morphology", Type.STRING, "ICD-O-3 morphology.", Identifying.SENSITIVE, pattern=MORPHOLOGY),
    ),
)  # fmt: skip

TEXT_COLUMNS = ("clinical_diagnosis", "gross", "microscopy", "diagnosis", "ihc", "molecular", "comment", "text_raw")
"""Columns that hold free text of the report, in reading order."""


def precedence(report: Mapping[str, Any]) -> tuple[bool, bool, bool, datetime, str]:
    """Sort key by which the last of a case's reports stands for the case: not withdrawn, current, primary, latest."""
    return (
        report["status"] != "withdrawn",
        bool(report["is_current"]),
        report["report_type"] == "primary",
        report["reported_date"] or datetime.min,
        report["report_id"],
    )

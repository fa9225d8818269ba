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


TNM_PREFIXES = ("p", "yp", "rp", "yrp", "ap")
PRESENCES = ("present", "absent", "suspected")
MARGINS = ("negative", "positive", "close", "uncertain")
GRADE_SYSTEMS = (
    "differentiation", "who", "figo", "nottingham", "nuclear", "fuhrman", "isup", "gleason", "fnclcc", "edmondson",
)  # fmt: skip
STAGE_SYSTEMS = ("ajcc", "figo", "ann_arbor", "dukes", "masaoka", "other")
STAGE_BASES = ("stated", "derived")
ICD10_EDITIONS = ("who", "cn", "cn_clinical", "cn_insurance")
LATERALITIES = ("left", "right", "bilateral", "midline")


def _direct(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, Type.STRING, meaning, Identifying.DIRECT, Action.DROP, required=required)


def _text(name: str, meaning: str) -> Column:
    return Column(name, Type.STRING, meaning, Identifying.DIRECT, Action.WITHHOLD)


def _date(name: str, meaning: str) -> Column:
    return Column(name, Type.TIMESTAMP, meaning, Identifying.QUASI, Action.SHIFT)


def _coded(name: str, meaning: str, **more: Any) -> Column:
    return Column(name, more.pop("type", Type.STRING), meaning, Identifying.SENSITIVE, **more)


VALUES = (
    _coded("laterality", "Side of the body.", values=LATERALITIES),
    _coded("icd10", "ICD-10 code that the source or the text gives.", pattern=ICD10),
    _coded("icd10_edition", "Edition of the code: of the WHO, or one of the Chinese ones of six characters; cn where it "
           "is not said which.", values=ICD10_EDITIONS),
    _coded("icdo3_topography", "ICD-O-3 topography.", pattern=TOPOGRAPHY),
    _coded("icdo3_morphology", "ICD-O-3.2 morphology with behaviour.", pattern=MORPHOLOGY),
    _coded("grade", "Grade as G1 to G5, or a range; low, intermediate or high; Gleason as 3+4=7.",
           pattern=r"G[1-5X](-G[1-5])?|low|intermediate|high|[1-5]\+[1-5]=([2-9]|10)"),
    _coded("grade_system", "What the grade is of.", values=GRADE_SYSTEMS),
    _coded("tnm_prefix", "How the categories were found: p at pathology, yp after treatment, rp of a recurrence, ap at "
           "autopsy.", values=TNM_PREFIXES),
    _coded("pt", "Category of the primary tumour.", pattern=r"T(a|is(\((DCIS|LCIS|Paget)\))?|[0-4][a-d]?[1-3]?(mi)?|X)"),
    _coded("pn", "Category of the regional lymph nodes.",
           pattern=r"N([0-3][a-d]?(mi)?|X)(\((sn|i[+-]|mol[+-])\)){0,2}"),
    _coded("pm", "Category of distant metastasis.", pattern=r"M([01][a-d]?|X)(\(i\+\))?"),
    _coded("stage", "Stage group: as the text gives it, or as it follows from the categories.",
           pattern=r"0(is|a)?|(I|II|III|IV)[A-E]?[1-3]?[EABS]{0,2}|[A-D][1-3]?|X|occult"),
    _coded("stage_system", "What the stage is of.", values=STAGE_SYSTEMS),
    _coded("stage_basis", "Whether the text states the stage, or it was derived from TNM by the AJCC manual, 7th edition "
           "(2010), without M taken for M0.", values=STAGE_BASES),
    _coded("tumour_size_mm", "Largest dimension of the tumour.", type=Type.FLOAT, unit="mm"),
    _coded("nodes_positive", "Lymph nodes with metastasis.", type=Type.INTEGER),
    _coded("nodes_examined", "Lymph nodes examined.", type=Type.INTEGER),
    _coded("margin", "Resection margin; close where it is free by less than a limit that the text names.", values=MARGINS),
    _coded("lvi", "Invasion of blood or lymph vessels.", values=PRESENCES),
    _coded("pni", "Invasion of nerves.", values=PRESENCES),
    _coded("ihc_results", "Immunostains as marker=result; see the table ihc_results.", type=Type.STRINGS,
           pattern=r"[A-Za-z0-9 ./+-]{1,24}=(positive|negative|equivocal|retained|lost)"),
    _coded("molecular_results", "Molecular findings as gene=finding.", type=Type.STRINGS,
           pattern=r"[A-Za-z0-9 /-]{1,24}=[A-Za-z0-9_*>.+ /-]{1,48}"),
)  # fmt: skip
"""What is parsed from a diagnosis; on `reports`, what all lines of the report agree on."""

SOURCE_CODES = ("organ", "icd10", "icd10_edition", "icdo3_topography", "icdo3_morphology")
"""Codes that a source may give itself; where it gives none, they are read in its texts."""

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
        Column("is_current", Type.BOOLEAN, "Whether no later or amended report takes its place."),
        Column("case_order", Type.INTEGER, "Place among the reports of its case, by time; 1 for the first."),
        Column("replaces", Type.STRING, "The earlier report, or version of this one, in whose place it stands.",
               Identifying.DIRECT, Action.PSEUDONYM, pseudonym="R"),
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
        _direct("address", "Where the patient lives."),
        _text("text_raw", "The report as one text, where the export has no sections."),
        Column("language", Type.STRING, "Language of the texts.", values=LANGUAGES),
        _direct("source_file", "Name of the report source."),
        Column("source_row", Type.INTEGER, "Row of the source, the head being row 1.", Identifying.QUASI, Action.DROP),
        Column("attachment_count", Type.INTEGER, "Pictures and documents that came with the report and were left out."),
        *VALUES,
        Column("blocks", Type.STRINGS, "Blocks that its texts name, as A1; those of a slide are held against them.",
               pattern=r"[A-Z]?\d{1,3}", action=Action.DROP),
        Column("source_codes", Type.STRINGS, "Codes of this row that the source gave; the others were read in its texts.",
               values=SOURCE_CODES),
        _direct("text_digest", "Digest of what the report says, to tell whether it has to be read again."),
        Column("rules_digest", Type.STRING, "Digest of the rules by which it was read last.", Identifying.QUASI,
               Action.DROP),
    ),
)  # fmt: skip

TEXT_COLUMNS = ("clinical_diagnosis", "gross", "microscopy", "diagnosis", "ihc", "molecular", "comment", "text_raw")
"""Columns that hold free text of the report, in reading order."""


DERIVED = (
    *(column.name for column in VALUES if column.name not in SOURCE_CODES),
    "report_id", "site", "is_current", "case_order", "replaces", "source_file", "source_row", "blocks", "source_codes",
    "text_digest", "rules_digest",
)  # fmt: skip
"""Columns that no source gives: found by reading the texts, or by the import itself."""
GIVEN = tuple(name for name in REPORTS.names if name not in {*DERIVED, "attachment_count"})
"""Columns that a source may fill."""


def precedence(report: Mapping[str, Any]) -> tuple[bool, bool, bool, datetime, str]:
    """Sort key by which the last of a case's reports stands for the case: not withdrawn, current, the latest primary one; an
    amended report counts as primary."""
    return (
        report["status"] != "withdrawn",
        bool(report["is_current"]),
        report["report_type"] in ("primary", "amended"),
        report["reported_date"] or datetime.min,
        report["report_id"],
    )

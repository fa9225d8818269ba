"""Texts of reports after scrubbing: the text itself, what was removed from it, and where what it says stands in it.

A scrubbed text holds placeholders, ``⟦date:ymd-han:2023-05-03⟧``, whose codes and days are those of the internal layer.
``manifest build`` and ``deliver`` render them in the codes and days of their own layer, so that a text says what the columns
beside it say. Offsets are characters of the text in the same table, of whichever layer.
"""

from dataclasses import replace

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.deidentified import CASE_ID, GROUP_ID, PATIENT_ID, pseudonym_pattern
from pathcurate.model.diagnosis import REPORT_CONCEPTS
from pathcurate.model.removal import Kind
from pathcurate.model.report import LANGUAGES, TEXT_COLUMNS
from pathcurate.model.slide import SITE

_REPORT = Column("report_id", Type.STRING, "Pseudonym of the report.", pattern=pseudonym_pattern("R"), required=True)
_TEXT_COLUMN = Column(
    "text_column", Type.STRING, "Column of `reports` that held the text.", values=TEXT_COLUMNS, required=True
)
_ANYTHING = r"(?s).*"
_START = Column("start", Type.INTEGER, "First character, in the text of this column.", unit="characters", required=True)
_END = Column("end", Type.INTEGER, "Behind the last character.", unit="characters", required=True)

TEXTS = Table(
    name="texts",
    row="one text of one report, scrubbed",
    key=("report_id", "text_column"),
    columns=(
        _REPORT,
        _TEXT_COLUMN,
        CASE_ID,
        PATIENT_ID,
        GROUP_ID,
        Column("language", Type.STRING, "Language of the report.", values=LANGUAGES),
        # Its values are no closed set: what may stand in it is the text scrubber's to say, and verification's to check.
        Column("text", Type.STRING, "The text, with a placeholder, code, date or tag where something was removed.",
               Identifying.SENSITIVE, pattern=_ANYTHING, required=True),
        Column("removal_count", Type.INTEGER, "Places where something was removed.", required=True),
    ),
)  # fmt: skip

REMOVALS = Table(
    name="removals",
    row="one place of one text where something was removed; never what it was",
    key=("report_id", "text_column", "start"),
    columns=(
        _REPORT,
        _TEXT_COLUMN,
        _START,
        _END,
        Column("kind", Type.STRING, "What was removed.", values=tuple(Kind), required=True),
        Column("rule", Type.STRING, "Rule that found it.", pattern=r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*", required=True),
    ),
)

TEXT_SPANS = Table(
    name="text_spans",
    row="one place of one text that a row of another table was read from",
    key=("report_id", "text_column", "source", "name", "start"),
    columns=(
        _REPORT,
        _TEXT_COLUMN,
        Column("source", Type.STRING, "The table whose row was read here.", values=("diagnoses", "report_concepts"),
               required=True),
        Column("name", Type.STRING, "Of a diagnosis its place in the report, of a concept its name.",
               pattern=r"[0-9]{1,6}|[a-z][a-z0-9_]{0,63}", required=True),
        replace(REPORT_CONCEPTS["concept_sha"], meaning="Digest of the concept; none for a diagnosis.", required=False),
        _START,
        _END,
        Column("is_cut", Type.BOOLEAN, "Whether part of it was removed, so that it is shorter than what was read.",
               required=True),
    ),
)  # fmt: skip

TEXT_REPORTS = Table(
    name="text_reports",
    row="one report whose texts were scrubbed, also if it has none",
    key=("report_id",),
    columns=(
        _REPORT,
        Column("status", Type.STRING, "failed: its texts could not be scrubbed and are left out; withheld: at least one is "
               "left out because something in it still looks as if it identified somebody.",
               values=("ok", "failed", "withheld"), required=True),
    ),
)  # fmt: skip

TEXT_TABLES = {table.name: table for table in (TEXTS, REMOVALS, TEXT_SPANS, TEXT_REPORTS)}
"""The tables of ``deid/texts/``, which a cohort does not depend on."""

SCRUBBED_TEXTS = Table(
    name="scrubbed_texts",
    row="one text of one report as it was scrubbed last, good while report, known values, rules and key are the same",
    key=("report_id", "text_column"),
    columns=(
        Column("report_id", Type.STRING, "The report.", Identifying.DIRECT, Action.DROP, required=True),
        _TEXT_COLUMN,
        Column("made_of", Type.STRING, "Digest of the text, of what is known of its persons, of the rules and of the key.",
               Identifying.DIRECT, Action.DROP, required=True),
        Column("text", Type.STRING, "The text with placeholders.", Identifying.DIRECT, Action.WITHHOLD, required=True),
        Column("is_suspicious", Type.BOOLEAN, "Whether the detectors still find something in it.", required=True),
        Column("removals", Type.STRING, "Its removals as JSON: kind, rule, start and end in the catalog's text and in this "
               "one.", Identifying.QUASI, Action.DROP, required=True),
    ),
)  # fmt: skip
"""In the catalog: it is keyed by the catalog's identifier."""

DECISIONS = ("remove", "keep", "hospital", "staff")

TEXT_DECISIONS = Table(
    name="text_decisions",
    row="what a reviewer decided about a word in the texts of a site",
    key=("site", "word"),
    columns=(
        SITE,
        Column("word", Type.STRING, "The word, as it stands in texts.", Identifying.DIRECT, Action.DROP, required=True),
        Column("decision", Type.STRING, "remove: it goes wherever it stands; keep: no rule takes it out, but for known "
               "values; hospital: a name of the site itself; staff: a name of its staff.", values=DECISIONS, required=True),
        Column("reviewer", Type.STRING, "Who decided.", Identifying.DIRECT, Action.DROP, required=True),
        Column("decided_at", Type.TIMESTAMP, "When, in UTC.", Identifying.QUASI, Action.DROP, required=True),
    ),
)  # fmt: skip

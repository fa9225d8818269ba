"""A finding: an observation about data that never stops a run and never disappears (the ``findings`` table)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pathcurate.model.column import Action, Column, Identifying, Table, Type


class Severity(StrEnum):
    """How bad a finding is, mildest first."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info, 2 for error."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation about data.

    Attributes:
        rule: stable identifier, ``area.name`` in the catalog and ``PC-XXX-NNN`` in validation.
        severity: see :class:`Severity`.
        message: what was found and what to do, without any value from the data.
        stage: stage that found it.
        site: site code, if the finding belongs to one.
        table: table it is about.
        column: column it is about.
        subject: identifier of the row (``slide_id``, ``report_id``) or ``row N``; an identified key, shown but never put
            into a release.
        count: how many rows share it.
    """

    rule: str
    severity: Severity
    message: str
    stage: str = ""
    site: str | None = None
    table: str | None = None
    column: str | None = None
    subject: str | None = None
    count: int = 1

    def as_dict(self) -> dict[str, str | int]:
        """The finding without its empty parts."""
        parts = {
            "rule": self.rule, "severity": str(self.severity), "message": self.message, "stage": self.stage,
            "site": self.site, "table": self.table, "column": self.column, "subject": self.subject, "count": self.count,
        }  # fmt: skip
        return {name: value for name, value in parts.items() if value not in (None, "")}


FINDINGS = Table(
    name="findings",
    row="one observation about data, kept until the stage that made it runs again without it",
    key=("stage", "rule", "site", "subject", "column"),
    columns=(
        Column("stage", Type.STRING, "Stage that found it.",
               values=("scan", "reports", "events", "materials", "scanner_index", "merges", "annotations", "permissions",
                       "concepts", "link", "deid"), required=True),
        Column("rule", Type.STRING, "Rule.", pattern=r"[a-z0-9_.]+", required=True),
        Column("severity", Type.STRING, "Severity.", values=tuple(Severity), required=True),
        Column("site", Type.STRING, "Site code.", Identifying.QUASI, pattern=r"[A-Z][A-Z0-9_]{1,15}"),
        Column("table", Type.STRING, "Table.", pattern=r"[a-z_]+"),
        Column("column", Type.STRING, "Column.", pattern=r"[a-z0-9_]+"),
        Column("subject", Type.STRING, "Row it is about.", Identifying.DIRECT, Action.DROP),
        Column("count", Type.INTEGER, "Rows that share it."),
        Column("message", Type.STRING, "What was found and what to do.", Identifying.DIRECT, Action.DROP),
    ),
)  # fmt: skip


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The gravest severity among findings, None if there are none."""
    return max((finding.severity for finding in findings), key=lambda severity: severity.rank, default=None)


_FILE_AGAIN = "Copy the file again from the scanner or a backup; if none has it whole, leave it out or scan the glass again."
_EXPORT = "Correct the rows in the laboratory's export and import it again."
_MAPPING = "Name the column in a mapping if it is wanted; `pathcurate reports guess` writes one to start from."
_CONTRADICTION = "Have a pathologist look at the report; until then do not use the values that contradict each other."
_ANSWERS = "Correct the rows in the file of answers and import it again; what was taken stays as it is."
_DRAWN = "Correct the shapes in the annotation tool and export them again; until then they are left out."
_LIST = "Correct the list and import it again; until then these rows permit nothing."
_ERASED = "Nothing is imported of them; have whoever keeps the source take erased patients out of it."
_OF_ROWS = {
    "unknown_column": "Name the column in a mapping if it is wanted.",
    "repeated_in_file": "Nothing; rows that several files give were imported once.",
    "repeated_row": "Nothing; the repeated rows were imported once.",
    "row_misfit": _EXPORT,
    "ruined_number": "Export the column as text, not through a spreadsheet, and import it again.",
    "not_understood": _EXPORT,
}
_OF_GLASS = {
    "two_cases": "Look at the glass: it or its row is filed under the wrong case.",
    "two_specimens": _EXPORT,
    "unknown_stain": "Have the stain added to the vocabulary if it is wanted; the rows stand as they are.",
}

ADVICE: Final[Mapping[str, str]] = {
    "scan.unsupported": "Export these slides to an open format, or install the vendor's reader; they are in no product.",
    "scan.not_a_slide": "Move what is no slide out of the archive, or give it another extension.",
    "scan.truncated": _FILE_AGAIN,
    "scan.corrupt": _FILE_AGAIN,
    "scan.decode_failed": _FILE_AGAIN,
    "scan.companion_missing": "Bring back the missing files or folder beside the slide, under their old names.",
    "scan.unreadable": "Give this user the right to read the files, or look after the storage; the next scan tries again.",
    "scan.lfs_pointer": "Fetch the files with `git lfs pull`; only their pointers are here.",
    "scan.reader_crashed": "Report the file's format to the makers of pathcurate; the next scan tries again.",
    "scan.timeout": "Scan again when the storage is less busy; if it stays, the file is damaged.",
    "scan.offline": "Call the files back from tape or cold storage if they are wanted, then scan again.",
    "scan.moved": "Nothing; the slides were found under their new paths.",
    "scan.gone": "Find out who removed them; if a mount is missing, mount it and scan again.",
    "scan.link": "Nothing, if the links lead to other archives; what lies behind a link out of the archive is not scanned.",
    "scan.fifo": "Remove what is no file from the archive.",
    "scan.socket": "Remove what is no file from the archive.",
    "scan.device": "Remove what is no file from the archive.",
    "scan.special": "Remove what is no file from the archive.",
    "scan.unreadable_directory": "Give this user the right to list the folders; slides below them are not seen.",
    "scan.repeated_directory": "Nothing; links lead to the folder more than once, and it was read once.",
    **{
        f"{table}.forgotten_patient": _ERASED
        for table in ("scan", "reports", "events", "materials", "scanner_index", "merges", "annotations", "permissions")
    },
    "scan.vanished": "Scan again when nobody moves files in the archive.",
    "scan.absurd_value": "Correct the scanner's settings; until then choose by what is known, never by the lens.",
    "scan.many_gone": "Look whether the right folder is mounted; the slides come back under their names when they do.",
    "scan.dicomdir": "Copy the disc again if its other files are wanted; those that are here were scanned all the same.",
    "scan.shared_pixels": "Keep one of the copies; until then splits keep them together.",
    "scan.pixels_of_two_cases": "Look at the labels: one of the two is filed under the wrong case; leave both out.",
    "reports.unknown_column": _MAPPING,
    "reports.unnamed_column": "Give the column a head in the export if it is wanted.",
    "reports.left_out_column": _MAPPING,
    "reports.lying_head": "Look at the column: its values are not what its head says; a mapping can name it.",
    "reports.pinyin_head": "Check that the initials were read rightly; a mapping makes it certain.",
    "reports.row_misfit": _EXPORT,
    "reports.joined_row": _EXPORT,
    "reports.no_accession": _EXPORT,
    "reports.not_understood": _EXPORT,
    "reports.two_numbers": _EXPORT,
    "reports.ruined_number": "Export the column as text, not through a spreadsheet, and import it again.",
    "reports.same_number": "Check in the laboratory's system which of the reports is the case's.",
    "reports.repeated_row": "Nothing; the repeated rows were imported once.",
    "reports.message_damaged": "Ask the sender for these messages again; a whole file ends with the end of a segment.",
    "reports.message_unended": "Compare the last message of the file with the laboratory's system; its end may be lost.",
    "reports.batch_incomplete": "Ask the sender for the file again; messages of it are missing.",
    "reports.no_text": "Ask the laboratory whether these reports have a text; its interface may send documents only.",
    "reports.text_damaged": "Copy the file again from where it came from, or name its encoding in a mapping.",
    "reports.entry_damaged": _EXPORT,
    "reports.no_report": "Nothing, if the file holds only patients or specimens; their reports are in another one.",
    "reports.other_report": "Nothing; name the code or title of pathology to its sender if reports are missing.",
    "reports.open_reference": "Export reports and what they refer to into one file, and import it again.",
    "reports.attachment": "Export the reports' texts if they stand only in these documents; pictures are not imported.",
    "reports.row_undecodable": "Export the file again in one encoding; these rows are in another than the rest.",
    "reports.uncomputed_formula": "Open the workbook in a spreadsheet program, save it and import it; or export values.",
    "reports.test_row": "Nothing, if these rows are tests; else give the patient a number in the export.",
    "reports.two_patients": _EXPORT,
    "reports.changed_label": "Build the next version of releases that hold these cases; their labels have changed.",
    "reports.repeated_in_file": "Nothing; reports that several files give were imported once.",
    "reports.file_refused": "Send the file again, or take it out of the source's folder.",
    "reports.nodes_positive_above_examined": _CONTRADICTION,
    "reports.nodes_against_words": _CONTRADICTION,
    "reports.pn_against_nodes": _CONTRADICTION,
    "reports.gleason_sum": _CONTRADICTION,
    "reports.stage_against_m": _CONTRADICTION,
    "reports.stage_against_t": _CONTRADICTION,
    "reports.unreadable": "Report the rule to the makers of pathcurate; the report stays, without what it says.",
    "concepts.failed": "Report the kind of error to the makers of pathcurate; the next build tries again.",
    "events.unknown_column": "Name the column in a mapping if it is wanted.",
    "events.repeated_in_file": "Nothing; rows that several files give were imported once.",
    "events.ends_before_it_begins": _EXPORT,
    "events.in_the_future": _EXPORT,
    "events.before_birth": _EXPORT,
    "events.row_misfit": _EXPORT,
    "events.no_patient": _EXPORT,
    "events.no_kind": "Say in the mapping which kind of event the rows are, and import them again.",
    "events.repeated_row": "Nothing; the repeated rows were imported once.",
    "events.empty_row": "Nothing; the rows say nothing in the mapped columns.",
    "events.not_a_number": "Map these values to `text`, or correct them in the export.",
    "events.ruined_number": "Export the column as text, not through a spreadsheet, and import it again.",
    "events.not_understood": _EXPORT,
    "materials.no_accession": _EXPORT,
    "materials.empty_row": "Nothing, if these rows are of no glass; else map the columns that say which.",
    "materials.described_twice": "Take the older export out of the source; a corrected one replaces it under its own name.",
    "scanner_index.no_file": _EXPORT,
    "scanner_index.empty_row": "Nothing; what a file's own name says is read by `pathcurate scan`.",
    "merges.no_patient": _EXPORT,
    "merges.no_second_number": "Correct the list, or map the column that holds the other number; then import it again.",
    "merges.same_number": "Nothing; the rows join nobody.",
    "merges.unknown_site": "Write the site's code or name as in pathcurate.yaml, or give `values` for it in a mapping.",
    **{f"{table}.{rule}": text for table in ("materials", "scanner_index", "merges") for rule, text in _OF_ROWS.items()},
    **{f"{table}.{rule}": text for table in ("materials", "scanner_index") for rule, text in _OF_GLASS.items()},
    "annotations.unknown_type": "Draw these shapes again as polygons, lines or points, if they are wanted.",
    "annotations.bad_coordinates": _DRAWN,
    "annotations.too_few_points": _DRAWN,
    "annotations.self_intersecting": _DRAWN,
    "annotations.too_tangled": _DRAWN,
    "annotations.no_class": "Give the shapes a class in the annotation tool if they are to be labels.",
    "annotations.nucleus_left_out": "Nothing, if the cells are enough; else export the nuclei as shapes of their own.",
    "annotations.spline_as_polygon": "Nothing; the curve between the points is lost, so check it where areas matter.",
    "annotations.repeated_row": "Nothing; the repeated shapes were imported once.",
    "annotations.repeated_in_file": "Nothing; shapes that several files give were imported once.",
    "annotations.no_slide": "Scan the slide, or name the file as its slide; the next import ties the shapes.",
    "annotations.ambiguous_slide": "Put the files into folders named as the slides' folders, and import again.",
    "annotations.outside_slide": "Check that the file is named as its slide, and that it was drawn at level 0.",
    "annotations.returned_outside": "Ask the recipient whether it was drawn at level 0 and on this slide; import it again.",
    "annotations.returned_class": "Ask for classes that name no person and no place, if they are wanted; import it again.",
    "annotations.repeated_shape": "Take the copies or earlier exports of the file out of the source.",
    "permissions.opt_out_unknown": "Compare the numbers with the laboratory's; an opt-out that fits nobody protects nobody.",
    "permissions.unknown_column": "Name the column in a mapping if it is wanted.",
    "permissions.row_misfit": _LIST,
    "permissions.no_subject": _LIST,
    "permissions.no_basis": _LIST,
    "permissions.no_purpose": _LIST,
    "permissions.not_a_date": _LIST,
    "permissions.unknown_site": _LIST,
    "permissions.unknown_purpose": _LIST,
    "permissions.unknown_data_kind": _LIST,
    "link.unknown_number": "Import the missing reports, or check the site's accession patterns.",
    "link.no_number": "Read the labels with `pathcurate scan --labels`, rename the files, or give the scanner's index.",
    "link.other_patterns": "Import that table again, then link again; `pathcurate run` does both.",
    "link.another_number": "Look at the label and the report; rename the file if its number is wrong.",
    "link.numbers_disagree": "Look at the label; correct the file's name or the scanner's entry, then scan and link again.",
    "link.case_two_patients": "Correct the patient numbers in the export and import it again.",
    "link.number_two_people": "Correct the patient numbers in the export and import it again.",
    "link.card_two_names": "Ask the registry whether they are one person; until then they are kept apart.",
    "link.merged": "Build the next version of releases that hold these persons; their codes have changed.",
    "link.merge_contradicts": "Ask the registry which is right, list or reports; until then they are kept apart.",
    "link.scanned_before_receipt": "Check the number on the label, and the scanner's clock.",
    "link.shared_pixels_two_patients": "Look at the glass: one of the files is misnamed; leave both out until it is known.",
    "link.index_no_slide": "Scan the archives that the table speaks of, or check the paths and barcodes in its export.",
    "link.index_several_slides": "Export whole paths or the barcodes, so that each entry names one file.",
    "link.index_several_cases": "Correct the scanner's table: entries of one file name different cases.",
    "link.archive_not_configured": "Put the archive back into pathcurate.yaml, or leave its slides out for good.",
    "link.review_misfit": _ANSWERS,
    "link.review_unknown": "Import the sheet into the workspace that exported it, with its columns as they were.",
    "link.review_word": _ANSWERS,
    "link.review_reviewer": _ANSWERS,
    "link.review_case": "Write the number as the report has it, or import the case's report first; then import again.",
    "link.review_other_case": "Write confirm beside the right case, or reject alone; then import the file again.",
    "link.review_contradiction": "Keep one row for each slide, and import the file again.",
    "labels.review_misfit": _ANSWERS,
    "labels.review_unknown": "Import it into the workspace that exported it, with the columns sheet and item as they were.",
    "labels.review_word": _ANSWERS,
    "labels.review_other_label": "Put each answer beside its own label: sort rows only as a whole; then import again.",
    "labels.review_instead": "Beside wrong, name one of the values that the page offers, or leave it empty; import again.",
    "labels.review_contradiction": "Keep one row for each label, and import the file again.",
    "deid.review_misfit": _ANSWERS,
    "deid.review_unknown": "Import it into the workspace that exported it, with the columns sheet and item as they were.",
    "deid.review_word": _ANSWERS,
    "deid.review_other_word": "Put each answer beside its own word: sort rows only as a whole; then import again.",
    "deid.review_known": "Remove the word, or leave it unanswered: its text stays left out then.",
    "deid.review_no_word": "Write the word as it stands in the text, two characters or more on one line; then import again.",
    "deid.review_contradiction": "Keep one answer for each word and each text, and import the file again.",
    "deid.text_failed": "Report it with the version; the report's texts stay out of every release until then.",
    "deid_files.quarantined": "Look at the unknown names below catalog/review/; write rules for them, and run again.",
    "deid_files.refused": "Nothing if the slide may stay out; else export it anew, or leave it out of the cohort.",
    "deid_files.shapes_left_out": "Write rules for the classes named below catalog/review/, or export the shapes anew.",
    "deid_files.failed": "Run the command again; if it stays, report the format and the message: no copy was kept.",
    "deid.text_withheld": "Look at the text with `pathcurate deid review export`; decide what goes and what is harmless.",
    "deid.outside_closed_set": "Add the word to the vocabulary if it names nobody; `pathcurate describe` shows the column.",
    "deid.code_for_criteria_only": "Nothing; name the code system in the mapping if the codes shall be shown.",
    "deid.label_left_out": "Give the classes names without numbers in the annotation tool, if criteria are to name them.",
    "deid.case_without_person": "Mend what `link` found for these cases, and link again.",
    "deid.event_without_person": "Import the reports of these patients, or check how their numbers are written.",
    "deid.series_without_person": "Import these patients' reports, mend what `link` found for the series, and link again.",
    "deid.annotation_without_slide": "Scan the slides, or name the files as their slides; the next import ties the shapes.",
    "deid.material_without_case": "Import the reports of these cases, or check how their numbers are written.",
}
"""Rule to what a person does next about its findings, a sentence."""
_NO_ADVICE: Final = "Read the example; the message says what was found."


def advice(rule: str) -> str:
    """What to do next about the findings of a rule."""
    return ADVICE.get(rule, _NO_ADVICE)

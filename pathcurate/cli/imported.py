"""What an import did, as every command that imports shows it."""

from typing import TYPE_CHECKING, Any

from pathcurate.cli.session import counted

if TYPE_CHECKING:
    from pathcurate.sources import ImportSummary


def import_line(summary: "ImportSummary", noun: str, plural: str = "") -> str:
    """What was read and what was not: ``3 reports from 1 file; 2 files unchanged, 1 file removed``."""
    read = f"{counted(summary.rows, noun, plural)} from {counted(summary.files, 'file')}"
    others = (("unchanged", summary.unchanged), ("removed", summary.removed), ("forgotten", summary.forgotten))
    told = ", ".join(f"{counted(count, 'file')} {what}" for what, count in others if count)
    return f"{read}; {told}" if told else read


def import_document(summary: "ImportSummary", **more: int) -> dict[str, Any]:
    """The same as plain JSON values, with further counts before the findings.

    Of these the subject is left out: it names the file, and that of one report or of one slide may be named after a patient.
    """
    findings = [finding.as_dict() for finding in summary.findings]
    return {
        "files": summary.files, "unchanged": summary.unchanged, "removed": summary.removed,
        "forgotten": summary.forgotten, "rows": summary.rows, "total": summary.total, **more,
        "findings": [{name: value for name, value in one.items() if name != "subject"} for one in findings],
    }  # fmt: skip

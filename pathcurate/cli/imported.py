"""What an import of reports or events did, in one line."""

from typing import TYPE_CHECKING

from pathcurate.cli.session import counted

if TYPE_CHECKING:
    from pathcurate.sources import ImportSummary


def import_line(summary: "ImportSummary", noun: str) -> str:
    """What was read and what was not: ``3 reports from 1 file; 2 files unchanged, 1 file removed``."""
    read = f"{counted(summary.rows, noun)} from {counted(summary.files, 'file')}"
    others = (("unchanged", summary.unchanged), ("removed", summary.removed))
    told = ", ".join(f"{counted(count, 'file')} {what}" for what, count in others if count)
    return f"{read}; {told}" if told else read

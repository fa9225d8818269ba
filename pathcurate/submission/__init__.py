"""Submission of a release to an authority by a person: its templates filled, and a folder of all that is uploaded."""

from pathcurate.submission.bundle import Bundle, release_values, write_bundle
from pathcurate.submission.document import fill_docx
from pathcurate.submission.filled import Filled
from pathcurate.submission.names import Values
from pathcurate.submission.workbook import fill_xlsx

__all__ = ["Bundle", "Filled", "Values", "fill_docx", "fill_xlsx", "release_values", "write_bundle"]

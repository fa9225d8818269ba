"""The text of a report as the columns of the table ``reports``, by the heads of its sections."""

from collections.abc import Sequence

from pathcurate.text.folding import fold
from pathcurate.text.sections import Part, sections

_COLUMN_OF = {
    "gross": "gross", "microscopy": "microscopy", "diagnosis": "diagnosis", "ihc": "ihc", "molecular": "molecular",
    "comment": "comment", "clinical": "clinical_diagnosis", "specimens": "specimen_sites", "frozen": "diagnosis",
}  # fmt: skip


def parts_of(text: str) -> list[Part]:
    """The sections of a text, with spans in the text as it stands; empty if it has no heads."""
    return sections(fold(text))


def by_columns(text: str, parts: Sequence[Part]) -> dict[str, str]:
    """Column of ``reports`` to what its sections say, those of one column joined in order.

    A frozen section has no column of its own and keeps its head in ``diagnosis``, which tells it apart. Signatures and dates
    are in none.
    """
    found: dict[str, list[str]] = {}
    for part in parts:
        start = part.start if part.section == "frozen" else part.body_start
        # The bracket that opens the next head is left behind its predecessor.
        body = text[start : part.end].rstrip().rstrip("[<【〖《").strip()
        if body and part.section in _COLUMN_OF:
            found.setdefault(_COLUMN_OF[part.section], []).append(body)
    return {column: "\n".join(bodies) for column, bodies in found.items()}


def head_section(head: str) -> str | None:
    """The section that a head alone stands for; None if it is none."""
    parts = parts_of(f"{head}:") if head else []
    return parts[0].section if len(parts) == 1 and not parts[0].start else None


def section_column(head: str) -> str | None:
    """The column that a head alone stands for; None if it is none."""
    return _COLUMN_OF.get(head_section(head) or "")

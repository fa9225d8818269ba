"""Sections of reports that come apart from each other, by the title or LOINC code that comes with each."""

from collections.abc import Collection
from functools import lru_cache

from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.text.heads import fold_head, known_heads
from pathcurate.text.sectioned import by_columns, parts_of, section_column

SPECIMENS = "specimen_sites"
# LOINC codes of the sections of a pathology report (NAACCR Standards for Cancer Registries, volume V).
_COLUMN_OF_LOINC = {
    "22633-2": SPECIMENS, "22634-0": "gross", "22635-7": "microscopy", "22636-5": "clinical_diagnosis",
    "22637-3": "diagnosis", "22638-1": "comment", "33746-9": "diagnosis", "74574-5": "gross",
}  # fmt: skip
_LONGEST_TITLE = 60


def title_column(title: str, codes: Collection[str] = ()) -> str | None:
    """The text column of ``reports``, or ``specimen_sites``, that a section's title or code names; None if they name none.

    Args:
        title: ``病理诊断``, ``Gross description:``.
        codes: LOINC codes that stand with it.
    """
    coded = next((_COLUMN_OF_LOINC[code] for code in codes if code in _COLUMN_OF_LOINC), None)
    return coded or (_of_title(title) if title and len(title) <= _LONGEST_TITLE else None)


@lru_cache(maxsize=4096)
def _of_title(title: str) -> str | None:
    plain = title.strip(" \t\n:：[]【】〖〗")
    folded = fold_head(plain)
    heads = known_heads()["reports"]
    known = next((name for name in (*TEXT_COLUMNS, SPECIMENS) if name != "text_raw" and folded in heads[name]), None)
    if known:
        return known
    return section_column(plain)


def split_text(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first heading of a text, and column to what stands below its headings."""
    parts = parts_of(text)
    before = text[: parts[0].start] if parts else text
    return before.strip(), by_columns(text, parts)

"""Contact sheets: 200 thumbnails on a page, so that a person can look at an archive. Slides are named by ``slide_id`` alone,
and labels are never shown.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from pathcurate.htmlreport.template import picture_source, render

SHEET_ITEMS = 200
"""Slides on a page."""
VERDICTS = {
    "ok": ("in order", "正常"), "empty": ("empty", "无组织"), "blur": ("blurred", "模糊"), "pen": ("pen", "笔迹"),
    "dark": ("dark", "过暗"), "none": ("not judged", "未评估"),
}  # fmt: skip
"""What a value of the column ``qc`` is called for people, in English and Chinese."""


@dataclass(frozen=True, slots=True)
class SheetItem:
    """One slide of a sheet.

    Attributes:
        slide_id: its identifier.
        picture: JPEG of its pyramid, never of the label or the overview.
        qc: verdict, None if it was not judged.
        tissue_fraction: share of tissue, 0 to 1.
        blur: 0 sharp to 1 blurred.
        pen_fraction: share of pen, 0 to 1.
    """

    slide_id: str
    picture: bytes | None
    qc: str | None
    tissue_fraction: float | None
    blur: float | None
    pen_fraction: float | None

    @property
    def verdict(self) -> str:
        """A key of :data:`VERDICTS`."""
        return self.qc if self.qc in VERDICTS else "none"

    @property
    def source(self) -> Markup | None:
        """The picture as an address for an ``img``; None for anything but a JPEG."""
        return picture_source(self.picture)


def contact_sheet_html(items: Iterable[SheetItem], title: str, page: int, pages: int | None = None) -> str:
    """One page of a contact sheet as a whole HTML document without scripts; its filter by verdict is style alone.

    Args:
        items: at most :data:`SHEET_ITEMS` slides, in the order of the page.
        title: of the sheet.
        page: number of the page, from 1.
        pages: how many there are; None while they are still being counted.

    Raises:
        ValueError: there are more slides than a page holds.
    """
    shown = list(items)
    if len(shown) > SHEET_ITEMS:
        raise ValueError(f"a page holds {SHEET_ITEMS} slides, not {len(shown)}")
    counts = Counter(item.verdict for item in shown)
    return render(
        "contactsheet.html.j2",
        title=title,
        page=page,
        pages=pages,
        items=shown,
        counts={verdict: counts[verdict] for verdict in VERDICTS},
        verdicts=VERDICTS,
        percent=_percent,
    )


def _percent(fraction: float | None) -> str:
    if fraction is None:
        return "–"
    percent = 100 * fraction
    return f"{percent:.1f}" if 0 < percent < 10 else f"{percent:.0f}"

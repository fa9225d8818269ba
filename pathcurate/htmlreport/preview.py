"""Contact sheet of a cohort: pictures of some of its slides, and why each of them is in. Labels of glass are never shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from pathcurate.htmlreport.template import picture_source, render

WHY: Final[Mapping[str, tuple[str, str]]] = {
    "no_picture": ("the file holds no picture", "文件中无缩略图"),
    "offline": ("offline: in cold storage", "离线：冷存储"),
    "postponed": ("not read now: the archive's hours or its budget are over", "暂未读取：非开放时段或额度已用完"),
    "unreadable": ("cannot be read now", "目前无法读取"),
}
"""Why there is no picture, in English and Chinese."""


@dataclass(frozen=True, slots=True)
class PreviewSlide:
    """A slide of the sheet.

    Attributes:
        code: its internal pseudonym.
        picture: JPEG of its pyramid, never of the label or the overview.
        why: why there is none, a key of :data:`WHY`; empty with a picture.
    """

    code: str
    picture: bytes | None
    why: str

    @property
    def source(self) -> Markup | None:
        """The picture as an address for an ``img``."""
        return picture_source(self.picture)

    @property
    def why_words(self) -> tuple[str, str]:
        """Why there is no picture, in English and Chinese."""
        return WHY.get(self.why, WHY["unreadable"])


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a unit is in, by one criterion.

    Attributes:
        name: of the criterion.
        words: what it asks, as a sentence.
        values: de-identified values of the columns that it looks at; None where they cannot be shown.
    """

    name: str
    words: str
    values: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class PreviewUnit:
    """A unit of the cohort.

    Attributes:
        code: its internal pseudonym.
        slides: its slides, or the first of them.
        more: how many further ones it has.
        reasons: why it is in.
        labels: what the recipe says of it: labels and side of the split.
    """

    code: str
    slides: tuple[PreviewSlide, ...]
    more: int
    reasons: tuple[Reason, ...]
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """A whole sheet.

    Attributes:
        title: of the recipe.
        unit: what is counted.
        made_at: when it was made, in UTC, to the minute.
        expires_at: when it is removed, likewise.
        units: those that were drawn.
    """

    title: str
    unit: str
    made_at: str
    expires_at: str
    units: Sequence[PreviewUnit]


def preview_page(preview: Preview) -> str:
    """The page, without scripts; the same preview gives the same bytes."""
    return render("preview.html.j2", title=f"Contact sheet: {preview.title}", has_permissions=True, preview=preview)

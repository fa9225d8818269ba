"""The page on which people check links: a slide's label and names beside the case that it was linked to, at one glance.

It identifies patients. It opens from a file, without a network; its one script is its own and let in by its digest alone, so
nothing that a value holds can run. Without it the page is for looking, and the answers are written into the CSV beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from pathcurate.htmlreport.template import own_script, picture_source, render

REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "conflict": ("sources name different cases, or something speaks against the case", "来源指向不同病例，或有反证"),
    "other_number": ("bears another number too", "另有其他号码"),
    "by_patient_and_date": ("by patient and date alone", "仅凭患者号和日期"),
    "candidates_only": ("linked to nothing, but has numbers", "未关联，但有号码"),
    "sample": ("drawn at random", "随机抽样"),
}
"""Why a slide is shown, in English and Chinese, where none of :data:`FLAGS` says it."""
FLAGS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "patient_agrees": ("patient's number agrees", "患者号相符", "patient's number is another's", "患者号不符"),
    "scanned_after_receipt": ("scanned after receipt", "扫描晚于收样", "scanned before receipt", "扫描早于收样"),
    "organ_agrees": ("organ agrees", "器官相符", "organ is another", "器官不符"),
    "stain_plausible": ("stain is known of the case", "染色有记录", "stain is not known of the case", "染色无记录"),
    "block_named": ("block is named", "蜡块有记录", "block is not named", "蜡块无记录"),
}
"""Evidence, by its column: what is said if it holds, and if it does not, in English and Chinese."""
_SOURCES: Final = {
    "barcode": "条码", "label": "标签文字", "metadata": "文件头", "index": "扫描仪清单", "file_name": "文件名",
    "folder": "文件夹",
}  # fmt: skip
_WHY: Final = {
    "no_label": ("the file holds no photo of the label", "文件不含标签照片"),
    "offline": ("the file lies in cold storage", "文件在冷存储中"),
    "postponed": ("the archive may not be read now", "当前时段不可读取存档"),
    "unreadable": ("the photo cannot be read", "照片无法读取"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands in one place on or about a slide.

    Attributes:
        source: which place, as in ``slide_keys``.
        text: what stands there; None where only the number is known.
        numbers: numbers of cases that were read there, each with whether it is the ``case`` that is proposed, another case
            that the reports have (``other``), or ``unknown``.
    """

    source: str
    text: str | None
    numbers: tuple[tuple[str, str], ...]

    @property
    def source_zh(self) -> str:
        """The place in Chinese."""
        return _SOURCES.get(self.source, "")


@dataclass(frozen=True, slots=True)
class Flag:
    """One piece of evidence.

    Attributes:
        name: its column in ``links``.
        holds: None if nothing is known.
        detail: what was compared.
    """

    name: str
    holds: bool | None
    detail: str = ""

    @property
    def words(self) -> tuple[str, str]:
        """What it says, in English and Chinese."""
        right, right_zh, wrong, wrong_zh = FLAGS[self.name]
        return (wrong, wrong_zh) if self.holds is False else (right, right_zh)


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as a person judges it.

    Attributes:
        accession: its number.
        sources: where the slide bears it.
        facts: name in English, name in Chinese, and value; those that say most come first.
        diagnosis: the beginning of the diagnosis.
        reports: how many reports the case has; 0 if the laboratory knows no such number.
        objection: what spoke against it, as ``link`` wrote it.
    """

    accession: str
    sources: tuple[str, ...]
    facts: tuple[tuple[str, str, str], ...]
    diagnosis: str
    reports: int
    objection: str = ""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One slide of the sheet.

    Attributes:
        slide_id: its identifier.
        site: its site.
        reasons: why it is shown; those that the evidence shows may be among them.
        tier: of its link.
        rule: that decided.
        confidence: share of the sources that name the linked case, None without one.
        picture: JPEG of the label.
        why: why there is none, as :class:`pathcurate.link.crops.Crop` has it.
        readings: what stands on and about it.
        facts: of the slide; name in English, name in Chinese, value.
        flags: the evidence.
        proposed: the case that it was linked to.
        candidates: other cases that the reports have.
    """

    slide_id: str
    site: str
    reasons: tuple[str, ...]
    tier: str
    rule: str
    confidence: float | None
    picture: bytes | None
    why: str
    readings: tuple[Reading, ...]
    facts: tuple[tuple[str, str, str], ...]
    flags: tuple[Flag, ...]
    proposed: CaseView | None
    candidates: tuple[CaseView, ...]

    @property
    def source(self) -> Markup | None:
        """The picture as an address for an ``img``; None for anything but a JPEG."""
        return picture_source(self.picture)

    @property
    def why_words(self) -> tuple[str, str]:
        """Why there is no picture, in English and Chinese."""
        return _WHY.get(self.why, _WHY["unreadable"])


@dataclass(frozen=True, slots=True)
class ReviewSheet:
    """A whole sheet.

    Attributes:
        sheet: its identifier, the name of its folder.
        workspace: name of the workspace.
        made_at: when it was made, ISO 8601 in UTC, to the minute.
        expires_at: when it is removed, likewise.
        items: its slides in order.
    """

    sheet: str
    workspace: str
    made_at: str
    expires_at: str
    items: tuple[ReviewItem, ...]


def review_page(sheet: ReviewSheet) -> str:
    """The page; the same sheet gives the same bytes."""
    return render(
        "linkreview.html.j2",
        title=f"Link review {sheet.sheet}",
        has_permissions=True,  # it stays inside the institution, as the catalog does
        sheet=sheet,
        reasons=REASONS,
        **own_script("linkreview.js"),
    )

"""The page on which people check labels: each beside the reports that it comes from, with the words that said so marked.

It identifies patients. It opens from a file, without a network; its one script is its own and let in by its digest alone, so
nothing that a report holds can run. Without it the page is for looking, and the answers are written into the CSV beside it.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pathcurate.htmlreport.template import own_script, render
from pathcurate.htmlreport.textreview import column_words

PURPOSES: Final[Mapping[str, tuple[str, str]]] = {
    "class": ("drawn at random", "随机抽样"),
    "missing": ("drawn of those without a label", "无标签者中抽样"),
    "conflict": ("something else was said too", "记录不一致"),
}
"""Why a label is shown, in English and Chinese."""
ANSWERS: Final[Mapping[str, tuple[str, str]]] = {
    "right": ("right", "正确"), "wrong": ("wrong", "错误"), "unsure": ("cannot say", "无法判断"),
}  # fmt: skip
"""What may be said of a label, in English and Chinese."""
LEVELS: Final[Mapping[str, str]] = {
    "patient": "患者", "case": "病例", "specimen": "标本", "slide": "切片", "event": "事件",
}  # fmt: skip
"""What a label is true of, in Chinese."""

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True, repr=False)
class Piece:
    """A piece of a text.

    Attributes:
        text: as it is in the catalog.
        kind: ``value`` for the words that say the label, ``line`` for the rest of their line, empty elsewhere.
    """

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class ReportText:
    """A report as it is shown.

    Attributes:
        heading: site, number, kind, state and day of the report.
        sections: name of each text column in English and Chinese, and its text in pieces.
        is_source: whether the label was read in it.
    """

    heading: str
    sections: tuple[tuple[tuple[str, str], tuple[Piece, ...]], ...]
    is_source: bool


@dataclass(frozen=True, slots=True, repr=False)
class LabelItem:
    """A label that is asked about.

    Attributes:
        item: its number on the sheet, ``L1``.
        label: name of the label.
        level: what it is true of.
        value: the label in words.
        purpose: why it is shown, see :data:`PURPOSES`.
        options: what a reviewer may say instead.
        reports: what it is held against.
    """

    item: str
    label: str
    level: str
    value: str
    purpose: str
    options: tuple[str, ...]
    reports: tuple[ReportText, ...]


@dataclass(frozen=True, slots=True)
class LabelSheet:
    """A whole sheet.

    Attributes:
        sheet: its identifier, the name of its folder.
        cohort: name of the cohort.
        made_at: when it was made, in UTC, to the minute.
        expires_at: when it is removed, likewise.
        items: its labels in order.
    """

    sheet: str
    cohort: str
    made_at: str
    expires_at: str
    items: tuple[LabelItem, ...]


def sections(row: Mapping[str, object], columns: Iterable[str], lines: Iterable[Place], values: Iterable[Place]) -> Iterator[
    tuple[tuple[str, str], tuple[Piece, ...]]
]:  # fmt: skip
    """The texts of a report that it has, each in pieces.

    Args:
        row: the report.
        columns: its text columns.
        lines: column, start and end of the lines that say the label.
        values: likewise of the very words.
    """
    marks = [(place, "line") for place in lines] + [(place, "value") for place in values]
    for column in columns:
        text = row[column]
        if isinstance(text, str) and text:
            spans = [(start, end, kind) for (where, start, end), kind in marks if where == column]
            yield column_words(column), tuple(_pieces(text, spans))


def _pieces(text: str, spans: Iterable[tuple[int, int, str]]) -> Iterator[Piece]:
    """A text cut where a span begins or ends; where two kinds overlap it is the words' own."""
    inside = [(max(start, 0), min(end, len(text)), kind) for start, end, kind in spans if start < end]
    cuts = sorted({0, len(text), *(cut for start, end, _ in inside for cut in (start, end) if cut <= len(text))})
    for start, end in itertools.pairwise(cuts):
        kinds = {kind for first, last, kind in inside if first <= start and end <= last}
        yield Piece(text[start:end], "value" if "value" in kinds else "line" if kinds else "")


def label_review_page(sheet: LabelSheet) -> str:
    """The page; the same sheet gives the same bytes."""
    return render(
        "labelreview.html.j2",
        title=f"Label review {sheet.sheet}",
        has_permissions=True,  # it stays inside the institution, as the catalog does
        sheet=sheet,
        purposes=PURPOSES,
        answers=ANSWERS,
        levels=LEVELS,
        **own_script("labelreview.js"),
    )

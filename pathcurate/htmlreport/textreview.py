"""The page on which people check scrubbed texts: what was taken out as coloured marks, what looks suspicious underlined.

It identifies patients. It opens from a file, without a network; its one script is its own and let in by its digest alone, so
nothing that a text holds can run. Without it the page is for looking, and the answers are written into the CSV beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pathcurate.htmlreport.template import own_script, render

PURPOSES: Final[Mapping[str, tuple[str, str]]] = {
    "withheld": ("left out: may still identify somebody", "暂不发布：可能仍含身份信息"),
    "sample": ("drawn at random", "随机抽样"),
    "suspicious": ("suspicious words", "有可疑词"),
    "rare": ("a rule that seldom finds anything", "少见规则"),
}
"""Why a text is shown, in English and Chinese."""
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "known": ("known of somebody in the catalog; cannot be kept", "目录中已知的身份信息，不能保留"),
    "detected": ("looks like an identifier to the rules", "规则认为含身份信息"),
    "han_name": ("may be a Chinese name", "疑似姓名"),
    "latin_name": ("may be a name", "疑似外文姓名"),
    "signer": ("a short word where people sign", "签名处的可疑短词"),
    "digits": ("a long number", "长号码"),
    "misread": ("may be a misread number", "疑似误识号码"),
    "code": ("may be a number of a case or sample", "疑似编号"),
    "place": ("a place or an institution", "疑似机构或地址"),
    "contact": ("stands where numbers of people stand", "疑似联系方式或号码"),
}
"""Why a word is suspicious, in English and Chinese."""
ANSWERS: Final[Mapping[str, tuple[str, str]]] = {
    "remove": ("remove", "删除"),
    "keep": ("keep", "保留"),
    "hospital": ("our hospital", "本院"),
    "staff": ("our staff", "本院人员"),
}
"""What may be decided about a word, in English and Chinese."""
VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "right": ("all of this text is right", "全部正确"),
    "missed": ("something missed", "有遗漏"),
    "wrong": ("something wrongly removed", "有误删"),
    "both": ("both", "两者都有"),
}
"""What may be said of a text, in English and Chinese."""
KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "person": ("people", "人员", "patient staff person"),
    "number": ("numbers", "号码", "case number id phone account email url bed"),
    "date": ("dates and ages", "日期、年龄", "date age"),
    "place": ("places", "机构、地址", "hospital unit address"),
    "other": ("other", "其他", "other bracket"),
}
"""Colours of marks: their name in English and Chinese, and the kinds of removals that they stand for."""
_COLOURS: Final = {kind: colour for colour, (_, _, kinds) in KINDS.items() for kind in kinds.split()}
_COLUMNS: Final = {
    "clinical_diagnosis": "临床诊断", "gross": "大体", "microscopy": "镜下", "diagnosis": "诊断", "ihc": "免疫组化",
    "molecular": "分子", "comment": "备注", "text_raw": "全文",
}  # fmt: skip


def column_words(column: str) -> tuple[str, str]:
    """A column of `reports` that holds texts, in English and Chinese."""
    return column.replace("_", " "), _COLUMNS.get(column, "")


@dataclass(frozen=True, slots=True, repr=False)
class Piece:
    """A piece of a text.

    Attributes:
        text: as it is in the catalog.
        kind: kind of what was removed, ``suspicious``, or empty for what stays.
        why: rule that removed it, or reason of the suspicion.
        item: the word by which it may be decided about, empty if it may not.
    """

    text: str
    kind: str = ""
    why: str = ""
    item: str = ""

    @property
    def colour(self) -> str:
        """One of :data:`KINDS`."""
        return _COLOURS.get(self.kind, "other")

    @property
    def note(self) -> str:
        """What is shown when one points at it."""
        said = " ".join(REASONS[self.why]) if self.why in REASONS else f"{self.kind} · {self.why}"
        return f"{said} · {self.item}" if self.item else said


@dataclass(frozen=True, slots=True, repr=False)
class WordItem:
    """A word that is asked about.

    Attributes:
        item: its number on the sheet, ``W1``.
        word: as it stands in texts.
        why: rule that removed it, or reason of the suspicion.
        count: texts that it was seen in.
        is_suspicious: whether it was left in.
    """

    item: str
    word: str
    why: str
    count: int
    is_suspicious: bool

    @property
    def words(self) -> tuple[str, str]:
        """Why it is asked about, in English and Chinese."""
        return REASONS.get(self.why, (f"taken out by {self.why}", "已删除"))


@dataclass(frozen=True, slots=True, repr=False)
class TextItem:
    """A text of the sheet.

    Attributes:
        item: its number on the sheet, ``T1``.
        site: its site.
        column: column of `reports` that it is in.
        purpose: why it is shown, see :data:`PURPOSES`.
        pieces: the text.
        words: words that are asked about here.
    """

    item: str
    site: str
    column: str
    purpose: str
    pieces: tuple[Piece, ...]
    words: tuple[WordItem, ...]

    @property
    def column_words(self) -> tuple[str, str]:
        """Its column, in English and Chinese."""
        return column_words(self.column)


@dataclass(frozen=True, slots=True)
class TextSheet:
    """A whole sheet.

    Attributes:
        sheet: its identifier, the name of its folder.
        workspace: name of the workspace.
        made_at: when it was made, in UTC, to the minute.
        expires_at: when it is removed, likewise.
        items: its texts in order.
    """

    sheet: str
    workspace: str
    made_at: str
    expires_at: str
    items: tuple[TextItem, ...]


def text_review_page(sheet: TextSheet) -> str:
    """The page; the same sheet gives the same bytes."""
    return render(
        "textreview.html.j2",
        title=f"Text review {sheet.sheet}",
        has_permissions=True,  # it stays inside the institution, as the catalog does
        sheet=sheet,
        kinds=KINDS,
        purposes=PURPOSES,
        answers=ANSWERS,
        verdicts=VERDICTS,
        **own_script("textreview.js"),
    )

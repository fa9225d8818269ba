"""The attrition as a flow diagram in the manner of CONSORT 2010 and OHDSI: what remains on the left, what fell on the right.

Nothing can measure text where the figure is made, so widths are estimated, on the safe side, from the kind of character.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.htmlreport.template import grouped, render, shown
from pathcurate.model.attrition import Attrition, AttritionStep, Counts

KINDS = {
    "permission": "Permission 许可",
    "built_in": "Built-in 内置",
    "include": "Inclusion 纳入",
    "exclude": "Exclusion 排除",
}
"""What a kind of step is called for people."""

UNITS = {"slide": ("slides", "切片"), "case": ("cases", "病例"), "patient": ("patients", "患者")}
"""What units are called, in English and Chinese."""

# Lengths are in the figure's own units, which are CSS pixels at full size.
_MARGIN = 16
_LEFT_WIDTH, _RIGHT_X, _RIGHT_WIDTH = 300, 372, 332
_PADDING = 12
_COUNT_WIDTH = (_LEFT_WIDTH - _PADDING) / 3
_LINE = 18
_LABEL_SIZE, _SMALL_SIZE, _TITLE_SIZE, _COUNT_SIZE = 13, 11.5, 16, 16
_BOLD = 1.1  # bold letters are that much wider
_MOST_LINES = 6
_LEAST_GAP = 44
_BETWEEN = 14


@dataclass(frozen=True, slots=True)
class _Text:
    x: float
    y: float
    size: float
    style: str
    text: str


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float
    style: str


@dataclass(frozen=True, slots=True)
class _Arrow:
    """From a point to a point, straight down or straight to the right; the head's corners are at its end."""

    x1: float
    y1: float
    x2: float
    y2: float
    head: str


def attrition_svg(title: str, attrition: Attrition) -> str:
    """A whole SVG 1.1 document, which is also valid inside of an HTML page: no scripts, no references, no dates.

    Args:
        title: of the cohort.
        attrition: its sequential counts.
    """
    unit, unit_zh = UNITS[attrition.unit]
    number_size = _number_size(attrition)
    headline = wrap(title, _RIGHT_X + _RIGHT_WIDTH - _MARGIN, _TITLE_SIZE * _BOLD)
    texts = [_Text(_MARGIN, _MARGIN + 16 + n * 22, _TITLE_SIZE, "title", line) for n, line in enumerate(headline)]
    y: float = _MARGIN + len(headline) * 22 + 4
    texts.append(_Text(_MARGIN, y + 12, _SMALL_SIZE, "soft", f"Counted by {attrition.unit} 计数单位：{unit_zh}"))
    boxes: list[_Box] = []
    arrows: list[_Arrow] = []
    y = _remaining(boxes, texts, y + 28, "Start 起始", attrition.start, number_size)
    last = len(attrition.steps) - 1
    for number, step in enumerate(attrition.steps):
        label, fallen = _lines(step.label or step.id), _lines(_fell(step, unit))
        height = 2 * _PADDING + (1 + len(label) + len(fallen)) * _LINE - 6
        gap = max(_LEAST_GAP, height + _BETWEEN - _remaining_height(""))
        middle = y + gap / 2
        center = _MARGIN + _LEFT_WIDTH / 2
        arrows += [_down(center, y, y + gap), _right(center, middle, _RIGHT_X)]
        _fallen(boxes, texts, middle - height / 2, height, step, number, label, fallen)
        y = _remaining(boxes, texts, y + gap, "Cohort 队列" if number == last else "", step.remaining, number_size)
    lowest = max(box.y + box.height for box in boxes)
    return render(
        "attrition.svg.j2",
        title=title,
        description=_description(attrition),
        width=_RIGHT_X + _RIGHT_WIDTH + _MARGIN,
        height=round(lowest + _MARGIN),
        boxes=boxes,
        arrows=arrows,
        texts=texts,
    )


def _remaining_height(heading: str) -> float:
    return 52 + (_LINE if heading else 0)


def _number_size(attrition: Attrition) -> float:
    """The font size at which every count of the figure fits."""
    every = [attrition.start, *(step.remaining for step in attrition.steps)]
    widest = max(text_width(grouped(n)) for counts in every for n in (counts.slides, counts.cases, counts.patients))
    return round(min(_COUNT_SIZE, (_COUNT_WIDTH - 6) / (widest * _BOLD)), 1)


def _lines(text: str) -> list[str]:
    return wrap(text, _RIGHT_WIDTH - 2 * _PADDING, _LABEL_SIZE * _BOLD)


def _fell(step: AttritionStep, unit: str) -> str:
    if not step.dropped:
        return f"0 {unit}"
    missing = f", {grouped(step.dropped_missing)} of them for a missing value 缺失" if step.dropped_missing else ""
    return f"− {grouped(step.dropped)} {unit}{missing}"


def _remaining(boxes: list[_Box], texts: list[_Text], y: float, heading: str, counts: Counts, number_size: float) -> float:
    """Draw a box of what remains; the lower edge."""
    height = _remaining_height(heading)
    boxes.append(_Box(_MARGIN, y, _LEFT_WIDTH, height, "ends" if heading else "kept"))
    top = y
    if heading:
        texts.append(_Text(_MARGIN + _LEFT_WIDTH / 2, y + 18, _LABEL_SIZE, "middle strong", heading))
        top += _LINE
    for place, (unit, count) in enumerate((("slide", counts.slides), ("case", counts.cases), ("patient", counts.patients))):
        x = _MARGIN + _PADDING / 2 + (place + 0.5) * _COUNT_WIDTH
        texts.append(_Text(x, top + 23, number_size, "middle strong", grouped(count)))
        texts.append(_Text(x, top + 41, _SMALL_SIZE, "middle soft", " ".join(UNITS[unit])))
    return y + height


def _fallen(
    boxes: list[_Box],
    texts: list[_Text],
    y: float,
    height: float,
    step: AttritionStep,
    number: int,
    label: list[str],
    fallen: list[str],
) -> None:
    """Draw a box of what fell."""
    boxes.append(_Box(_RIGHT_X, y, _RIGHT_WIDTH, height, "fell" if step.dropped else "none"))
    x = _RIGHT_X + _PADDING
    baseline = y + _PADDING + 10
    heading = f"{number} · {KINDS[step.kind]} · {' '.join((step.level, UNITS[step.level][1]))}"
    texts.append(_Text(x, baseline, _SMALL_SIZE, "soft", heading))
    style = "fallen" if step.dropped else "soft"
    for n, (line_style, line) in enumerate(
        [*(("strong", line) for line in label), *((style, line) for line in fallen)], start=1
    ):
        texts.append(_Text(x, baseline + n * _LINE, _LABEL_SIZE, line_style, line))


def _down(x: float, y1: float, y2: float) -> _Arrow:
    return _Arrow(x, y1, x, y2 - 6, f"{x - 4.5:g},{y2 - 8:g} {x + 4.5:g},{y2 - 8:g} {x:g},{y2:g}")


def _right(x1: float, y: float, x2: float) -> _Arrow:
    return _Arrow(x1, y, x2 - 6, y, f"{x2 - 8:g},{y - 4.5:g} {x2 - 8:g},{y + 4.5:g} {x2:g},{y:g}")


def _description(attrition: Attrition) -> str:
    """The figure in words, for those who do not see it."""
    unit = UNITS[attrition.unit][0]
    sentences = [f"At the start: {_counted(attrition.start)}."]
    sentences += [
        f"Step {number}, {step.label or step.id}: {grouped(step.dropped)} {unit} fell, "
        f"{grouped(step.dropped_missing)} of them for a missing value; {_counted(step.remaining)} remain."
        for number, step in enumerate(attrition.steps)
    ]
    return " ".join(sentences)


def _counted(counts: Counts) -> str:
    return f"{grouped(counts.slides)} slides, {grouped(counts.cases)} cases, {grouped(counts.patients)} patients"


# --- Lines of text -------------------------------------------------------------------------------------------------

_NARROW = frozenset("iljftrI.,;:!|'`()[]{}/\\ \u202f")
_SPACES = re.compile(r"[ \t\r\n]+")  # not those at which no line breaks
_BROAD = frozenset("mwMW@%")
_OPENING = "([{（［｛「『《〈【〔“‘"
_CLOSING = ")]},.;:!?%）］｝，；：！？％」』》〉】〕”’。、‰·"


def text_width(text: str) -> float:
    """Estimated width in em, rather too wide than too narrow: Han 1, capitals 0.76, other letters and digits about 0.58."""
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> float:
    if _joins(character):
        return 0.0
    if "\U0001f000" <= character < "\U00020000":  # emoji
        return 1.4
    if _width_class(character) in "WA" or character in _BROAD:
        return 1.0
    if character in _NARROW:
        return 0.4
    if character.islower() and character.isascii():
        return 0.57
    return 0.6 if character.isdigit() else 0.76


def _joins(character: str) -> bool:
    """Whether it is drawn onto the character before it."""
    return unicodedata.category(character) in {"Mn", "Me", "Cf"}


def wrap(text: str, width: float, size: float) -> list[str]:
    """Lines of at most ``width``, at a font size, no more than six; a text that is longer ends in ``…``.

    Latin text breaks at spaces, Han text anywhere but before closing and after opening punctuation; a word that is wider
    than a line breaks anywhere.
    """
    most = width / size
    lines = [""]
    for piece in _pieces(_SPACES.sub(" ", shown(text)).strip(" "), most):
        if text_width((lines[-1] + piece).rstrip(" ")) <= most or not lines[-1]:
            lines[-1] += piece
        else:
            lines.append(piece)
    lines = [line.strip(" ") for line in lines]
    if len(lines) > _MOST_LINES:
        lines = lines[:_MOST_LINES]
        while text_width(lines[-1] + "…") > most:
            lines[-1] = lines[-1][:-1]
        lines[-1] += "…"
    return lines


def _pieces(text: str, most: float) -> Iterator[str]:
    """What may not be parted, with the space after it; what is wider than a line is parted all the same."""
    piece = ""
    for character in text:
        is_full = text_width(piece + character) > most and character != " " and not _joins(character)
        if piece and (is_full or _may_break(piece[-1], character)):
            yield piece
            piece = ""
        piece += character
    yield piece


def _may_break(before: str, after: str) -> bool:
    """Whether a line may end between two characters (a plain form of UAX 14)."""
    if after == " " or after in _CLOSING or before in _OPENING or _joins(after):
        return False
    return before == " " or "W" in {_width_class(before), _width_class(after)}


def _width_class(character: str) -> str:
    """``W`` for Han, kana, Hangul, emoji and full-width forms, else the class of UAX 11."""
    return unicodedata.east_asian_width(character).replace("F", "W")

"""The attrition as a flow diagram in the manner of CONSORT 2010 and OHDSI: what remains on the left, what fell on the right.

Nothing can measure text where the figure is made, so widths are estimated, on the safe side, from the kind of character.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pathcurate.htmlreport.template import grouped, render, shown
from pathcurate.model.attrition import WITHHELD, Shown, ShownAttrition, ShownStep

KINDS = {
    "permission": "Permission 许可",
    "built_in": "Built-in 内置",
    "include": "Inclusion 纳入",
    "exclude": "Exclusion 排除",
    "label": "Label 标签",
    "sample": "Sample 抽样",
}
"""What a kind of step is called for people."""

UNITS = {
    "slide": ("slides", "切片"),
    "block": ("blocks", "蜡块"),
    "specimen": ("specimens", "标本"),
    "case": ("cases", "病例"),
    "patient": ("patients", "患者"),
    "series": ("series", "影像序列"),
    "event": ("events", "事件"),
}
"""What units and levels are called, in English and Chinese."""
NAMES = {plural: f"{plural} {chinese}" for plural, chinese in UNITS.values()}
"""The same by what counts them."""
_NOT_DRAWN = {"blocks", "specimens"}  # the table has them

# Lengths are in the figure's own units, which are CSS pixels at full size.
_MARGIN = 16
_LEFT_WIDTH, _RIGHT_X, _RIGHT_WIDTH = 300, 372, 332
_PADDING = 12
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


def attrition_svg(title: str, attrition: ShownAttrition) -> str:
    """A whole SVG 1.1 document, which is also valid inside of an HTML page: no scripts, no references, no dates.

    Steps of which only the sum is told are drawn one below the other, beside one arrow.

    Args:
        title: of the cohort.
        attrition: as it may be seen.
    """
    headline = wrap(title, _RIGHT_X + _RIGHT_WIDTH - _MARGIN, _TITLE_SIZE * _BOLD)
    texts = [_Text(_MARGIN, _MARGIN + 16 + n * 22, _TITLE_SIZE, "title", line) for n, line in enumerate(headline)]
    y: float = _MARGIN + len(headline) * 22 + 16
    for line in wrap(_reading(attrition), _RIGHT_X + _RIGHT_WIDTH - _MARGIN, _SMALL_SIZE):
        texts.append(_Text(_MARGIN, y, _SMALL_SIZE, "soft", line))
        y += 16
    drawing = _Drawing(drawn_levels(attrition), _number_size(attrition), [], [], texts)
    y = drawing.remaining(y, "Start 起始", attrition.start)
    for run in _runs(attrition):
        is_last = run[-1][0] == len(attrition.steps) - 1
        y = drawing.run(y, run, attrition, "Cohort 队列" if is_last else "")
    return render(
        "attrition.svg.j2",
        title=title,
        description=_description(attrition),
        width=_RIGHT_X + _RIGHT_WIDTH + _MARGIN,
        height=round(max(box.y + box.height for box in drawing.boxes) + _MARGIN),
        boxes=drawing.boxes,
        arrows=drawing.arrows,
        texts=drawing.texts,
    )


def drawn_levels(attrition: ShownAttrition) -> tuple[str, ...]:
    """The levels that the figure has room for."""
    return tuple(level for level in attrition.levels if level not in _NOT_DRAWN)


def _runs(attrition: ShownAttrition) -> Iterator[list[tuple[int, ShownStep]]]:
    """Steps with their numbers, those together after which it is told again what remains."""
    run: list[tuple[int, ShownStep]] = []
    for number, step in enumerate(attrition.steps):
        run.append((number, step))
        if step.dropped != WITHHELD or number == len(attrition.steps) - 1:
            yield run
            run = []


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What has been drawn."""

    levels: tuple[str, ...]
    number_size: float
    boxes: list[_Box]
    arrows: list[_Arrow]
    texts: list[_Text]

    def run(self, y: float, run: Sequence[tuple[int, ShownStep]], attrition: ShownAttrition, heading: str) -> float:
        """Draw steps and what remains after them; the lower edge."""
        unit = UNITS[attrition.unit][0]
        lines = [(_lines(step.label or step.id), _lines(_fell(attrition, number, unit))) for number, step in run]
        heights = [2 * _PADDING + (1 + len(label) + len(fallen)) * _LINE - 6 for label, fallen in lines]
        stack = sum(heights) + _BETWEEN * (len(run) - 1)
        gap = max(_LEAST_GAP, stack + _BETWEEN - _remaining_height(""))
        center, top = _MARGIN + _LEFT_WIDTH / 2, y + (gap - stack) / 2
        self.arrows.append(_down(center, y, y + gap))
        for (number, step), (label, fallen), height in zip(run, lines, heights, strict=True):
            self.arrows.append(_right(center, top + height / 2, _RIGHT_X))
            self.fallen(top, height, number, step, label, fallen)
            top += height + _BETWEEN
        return self.remaining(y + gap, heading, run[-1][1].remaining)

    def remaining(self, y: float, heading: str, counts: Mapping[str, Shown]) -> float:
        """Draw a box of what remains; the lower edge."""
        height = _remaining_height(heading)
        self.boxes.append(_Box(_MARGIN, y, _LEFT_WIDTH, height, "ends" if heading else "kept"))
        top = y
        if heading:
            self.texts.append(_Text(_MARGIN + _LEFT_WIDTH / 2, y + 18, _LABEL_SIZE, "middle strong", heading))
            top += _LINE
        width = _count_width(self.levels)
        for place, level in enumerate(self.levels):
            x = _MARGIN + _PADDING / 2 + (place + 0.5) * width
            count = counts[level]
            style = "middle soft" if isinstance(count, str) else "middle strong"
            self.texts.append(_Text(x, top + 23, self.number_size, style, told(count)))
            self.texts.append(_Text(x, top + 41, _SMALL_SIZE, "middle soft", NAMES[level]))
        return y + height

    def fallen(self, y: float, height: float, number: int, step: ShownStep, label: list[str], fallen: list[str]) -> None:
        """Draw a box of what fell."""
        self.boxes.append(_Box(_RIGHT_X, y, _RIGHT_WIDTH, height, "fell" if step.dropped else "none"))
        x = _RIGHT_X + _PADDING
        baseline = y + _PADDING + 10
        heading = f"{number} · {KINDS[step.kind]} · {' '.join((step.level, UNITS[step.level][1]))}"
        self.texts.append(_Text(x, baseline, _SMALL_SIZE, "soft", heading))
        style = "soft" if step.dropped in {0, WITHHELD} else "fallen"
        for n, (line_style, line) in enumerate(
            [*(("strong", line) for line in label), *((style, line) for line in fallen)], start=1
        ):
            self.texts.append(_Text(x, baseline + n * _LINE, _LABEL_SIZE, line_style, line))


def told(count: Shown) -> str:
    """A number for people."""
    return "hidden" if isinstance(count, str) else grouped(count)


def _reading(attrition: ShownAttrition) -> str:
    """How the numbers are to be read."""
    counted = f"Counted by {attrition.unit} 计数单位：{UNITS[attrition.unit][1]}"
    if not attrition.min_cell:
        return counted
    return (
        f"{counted} · rounded to {attrition.round_to}, numbers from 1 to {attrition.min_cell - 1} hidden "
        f"取整至{attrition.round_to}，1～{attrition.min_cell - 1}不显示"
    )


def _remaining_height(heading: str) -> float:
    return 52 + (_LINE if heading else 0)


def _count_width(levels: Sequence[str]) -> float:
    return (_LEFT_WIDTH - _PADDING) / len(levels)


def _number_size(attrition: ShownAttrition) -> float:
    """The font size at which every count of the figure fits."""
    levels = drawn_levels(attrition)
    every = [attrition.start, *(step.remaining for step in attrition.steps)]
    widest = max(text_width(told(counts[level])) for counts in every for level in levels)
    return round(min(_COUNT_SIZE, (_count_width(levels) - 6) / (widest * _BOLD)), 1)


def _lines(text: str) -> list[str]:
    return wrap(text, _RIGHT_WIDTH - 2 * _PADDING, _LABEL_SIZE * _BOLD)


def _fell(attrition: ShownAttrition, number: int, unit: str) -> str:
    step = attrition.steps[number]
    if isinstance(step.dropped, str):
        last = summed_at(attrition, number)
        return "not shown 不显示" if last is None else f"counted together with step {last} 与步骤{last}合计"
    if not step.dropped:
        return f"0 {unit}"
    first = number - step.together + 1
    together = f" in steps {first} to {number} together 步骤{first}～{number}合计" if step.together > 1 else ""
    missing = step.dropped_missing
    of_them = f", {grouped(missing)} of them for a missing value 缺失" if missing and isinstance(missing, int) else ""
    return f"− {grouped(step.dropped)} {unit}{together}{of_them}"


def summed_at(attrition: ShownAttrition, number: int) -> int | None:
    """The step at which a hidden number is told together with others; None if it is nowhere."""
    later = enumerate(attrition.steps[number:], start=number)
    last = next((place for place, step in later if step.dropped != WITHHELD), None)
    return last if last is not None and last - attrition.steps[last].together < number else None


def _down(x: float, y1: float, y2: float) -> _Arrow:
    return _Arrow(x, y1, x, y2 - 6, f"{x - 4.5:g},{y2 - 8:g} {x + 4.5:g},{y2 - 8:g} {x:g},{y2:g}")


def _right(x1: float, y: float, x2: float) -> _Arrow:
    return _Arrow(x1, y, x2 - 6, y, f"{x2 - 8:g},{y - 4.5:g} {x2 - 8:g},{y + 4.5:g} {x2:g},{y:g}")


def _description(attrition: ShownAttrition) -> str:
    """The figure in words, for those who do not see it."""
    unit = UNITS[attrition.unit][0]
    levels = drawn_levels(attrition)
    sentences = [f"At the start: {_counted(attrition.start, levels)}."]
    sentences += [
        f"Step {number}, {step.label or step.id}: {_fell(attrition, number, unit)}; "
        f"{_counted(step.remaining, levels)} remain."
        for number, step in enumerate(attrition.steps)
    ]
    return " ".join(sentences)


def _counted(counts: Mapping[str, Shown], levels: Sequence[str]) -> str:
    if all(isinstance(counts[level], str) for level in levels):
        return "a number that is not shown"
    return ", ".join(f"{told(counts[level])} {level}" for level in levels)


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

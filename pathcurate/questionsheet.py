"""A sheet of questions with their answers: CSV, workbook or JSON lines, and what of it may be shown to whom answers them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unicodedata import normalize

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.labelmatch import Cells, read_columns
from pathcurate.model.benchmark import MOST_CLASSES
from pathcurate.yamlsource import did_you_mean

_HEADS: Final[Mapping[str, tuple[str, ...]]] = {
    "item_id": ("item_id", "id", "question_id", "题号", "编号", "题目编号", "试题编号"),
    "question": ("question", "stem", "题目", "题干", "问题", "试题"),
    "answer": ("answer", "answers", "correct", "correct_answer", "答案", "正确答案", "标准答案"),
    "topic": ("topic", "subject", "category", "主题", "科目", "章节", "类别", "知识点"),
    "options": ("options", "choices", "选项"),
    "case_id": ("case_id", "case", "病例", "病例号"),
}
"""What a column is, and what it is called; letter case does not matter."""
_NEEDED = ("item_id", "question", "answer")
_OPTION: Final = re.compile(r"(?:option|choice|选项)?[ _-]?([A-Za-z])")
_TOLD: Final = re.compile(
    r"(?:(?:正确|标准|参考)答案|答案|correct\s+answer|answer\s+key|answer)\s*(?:[:：=]|是|为|is\b)\s*[(（【\[]?\s*\S",
    re.IGNORECASE,
)
"""What gives an answer away beside its question."""
_SPLIT: Final = re.compile(r"[;；,，、|/\s]+")
_ID: Final = re.compile(r"[^\x00-\x1f]{1,200}")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        item: what the sheet calls it.
        text: the question.
        options: answer to its words; empty where they are part of the question.
        topic: what it is about; empty if the sheet does not say.
        case: by which questions belong together; empty if the sheet does not say.
        answer: the right one, or several in order.
        shown: other columns that are to go out.
    """

    item: str
    text: str
    options: Mapping[str, str]
    topic: str
    case: str
    answer: tuple[str, ...]
    shown: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class QuestionSheet:
    """All questions of a sheet.

    Attributes:
        questions: in its order.
        classes: answers that there can be, in order.
        withheld: columns that are shown to nobody, beside the answers.
    """

    questions: tuple[Question, ...]
    classes: tuple[str, ...]
    withheld: tuple[str, ...]


def read_question_sheet(path: Path, keep: Sequence[str] = ()) -> QuestionSheet:
    """Read a sheet of questions; what is wrong is said of all rows at once.

    Columns: ``item_id``, ``question``, ``answer`` (several right ones with ``;``), and if there are ``topic``, ``case_id``,
    ``options`` (a list, or an object by letter) or one column for each option (``A``, ``option_b``, ``选项C``). Any other
    column may explain the answer, so it stays unless it is named.

    Args:
        path: CSV, workbook, JSON lines or Parquet.
        keep: heads of other columns that are to go out.

    Raises:
        InputOutputError: it cannot be read, or rows cannot be used; these are named.
        UsageError: a column is missing.
    """
    columns = read_columns(path)
    found = _places(columns, path.name)
    options = {match[1].upper(): head for head in columns
               if head not in found.values() and (match := _OPTION.fullmatch(head.strip()))}  # fmt: skip
    others = [head for head in columns if head not in {*found.values(), *options.values()}]
    for head in keep:
        if head not in others:
            raise UsageError(f"there is no other column `{head}`{did_you_mean(head, others)}", "--keep names one of those.")
    questions = tuple(_questions(columns, found, options, keep))
    if not questions:
        raise InputOutputError(f"{path.name} holds no question", "Each row below the heads is one.")
    classes = _classes(questions, options)
    _refuse(path.name, list(_faults(questions, classes)))
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise InputOutputError(
            f"{path.name} has {len(classes)} different answers", f"Questions to choose from have 2 to {MOST_CLASSES}."
        )
    return QuestionSheet(questions, classes, tuple(head for head in others if head not in keep))


def _places(columns: Cells, name: str) -> dict[str, str]:
    """Which column is what."""
    folded = {normalize("NFKC", head).strip().lower(): head for head in columns}
    found = {what: folded[head] for what, heads in _HEADS.items() for head in reversed(heads) if head in folded}
    missing = [what for what in _NEEDED if what not in found]
    if missing:
        raise UsageError(
            f"{name} has no column {', '.join(missing)}",
            f"Name them so, or as {'; '.join(', '.join(_HEADS[one][1:]) for one in missing)}.",
        )
    return found


def _questions(
    columns: Cells, found: Mapping[str, str], options: Mapping[str, str], keep: Sequence[str]
) -> Iterator[Question]:
    count = len(columns[found["item_id"]])
    empty: Sequence[str | None] = [None] * count
    cells = {what: columns[found[what]] if what in found else empty for what in _HEADS}
    for row in range(count):
        said = {what: normalize("NFC", (cells[what][row] or "").strip()) for what in _HEADS}
        if not any(said.values()):
            continue
        named = {letter: text for letter, head in options.items() if (text := (columns[head][row] or "").strip())}
        listed = _listed(said["options"])
        letters = tuple(sorted({*named, *listed}))
        yield Question(
            said["item_id"], said["question"], {one: named.get(one, listed.get(one, "")) for one in letters},
            said["topic"], said["case_id"], _answers(said["answer"], letters),
            {head: (columns[head][row] or "") for head in keep},
        )  # fmt: skip


def _listed(text: str) -> dict[str, str]:
    """Options that stand in one cell: an object by letter, or a list, whose first is A."""
    if not text:
        return {}
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = [part.strip() for part in text.split(";")]
    if isinstance(said, dict):
        return {str(letter).strip().upper(): str(words) for letter, words in said.items()}
    if isinstance(said, list):
        return {chr(ord("A") + place): str(words) for place, words in enumerate(said[:26])}
    return {}


def _answers(text: str, letters: Sequence[str]) -> tuple[str, ...]:
    """The right answers, in order: ``A;C``, ``A、C``, and of letters also ``AC``."""
    parts = [part for part in _SPLIT.split(text) if part] if letters else [part.strip() for part in text.split(";")]
    if letters and all(part.upper() in letters for part in parts):
        parts = [part.upper() for part in parts]
    elif letters and len(parts) == 1 and all(sign in letters for sign in parts[0].upper()):
        parts = list(parts[0].upper())
    return tuple(sorted({part for part in parts if part}))


def _classes(questions: Sequence[Question], options: Mapping[str, str]) -> tuple[str, ...]:
    named = {*options} | {letter for one in questions for letter in one.options}
    return tuple(sorted({answer for one in questions for answer in one.answer} | named))


# --- What is wrong -------------------------------------------------------------------------------------------------------


def _faults(questions: Sequence[Question], classes: Sequence[str]) -> Iterator[tuple[str, int]]:
    """What is wrong, and in which row below the heads, from 1."""
    known: set[str] = set()
    sure = frozenset(classes)
    for row, one in enumerate(questions, start=1):
        if not _ID.fullmatch(one.item):
            yield "no item_id of 1 to 200 characters", row
        elif one.item in known:
            yield "an item_id that another row has", row
        known.add(one.item)
        if not one.text:
            yield "no question", row
        if not one.answer or not sure.issuperset(one.answer):
            yield "no answer", row
        elif one.options and not set(one.answer) <= one.options.keys():
            yield "an answer that is none of its options", row
        if _TOLD.search("\x00".join((one.text, *one.options.values(), *one.shown.values()))):
            yield "an answer written into the question", row
        if any(not _ID.fullmatch(text) for text in (one.topic or "-", one.case or "-", *one.answer)):
            yield "a topic, case or answer of more than 200 characters, or of several lines", row


def _refuse(name: str, faults: Sequence[tuple[str, int]]) -> None:
    if not faults:
        return
    kinds: dict[str, list[int]] = {}
    for what, row in faults:
        kinds.setdefault(what, []).append(row)
    told = "".join(
        f"\n  - {what}: question {', '.join(map(str, rows[:_SHOWN]))}"
        + (f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")
        for what, rows in kinds.items()
    )
    raise InputOutputError(
        f"{name} cannot be sealed{told}",
        "Correct these (they are counted from the first below the heads); nothing was sealed.",
    )

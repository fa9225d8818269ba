"""Reports as plain text, one in each file: labels and values at their top and bottom, sections with heads between them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pathcurate import mapping as mappings
from pathcurate.delimited import clean
from pathcurate.errors import InputOutputError
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.encodings import decode
from pathcurate.text.folding import fold
from pathcurate.text.heads import count_known, fold_head, known_heads
from pathcurate.text.reportrow import COLUMNS, ReportRows
from pathcurate.text.sectioned import by_columns
from pathcurate.text.sections import Part, sections
from pathcurate.text.values import parse_number
from pathcurate.text.vocabulary import vocabulary

NAME = "text"
_NO_TEXT = "cannot be decoded (it is cut, or of no encoding that is known)"
_LONGEST = 4 << 20
# A document whose name is a case's number, in a folder of texts; the beginnings of PDF, ZIP, OLE, PNG and JPEG files.
_NO_TEXTS = (b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff")
_HEAD_LINES = 30
_SEPARATORS = ",\t;|"
_LONGEST_CELL = 40
_LONGEST_LABEL = 40
_LONGEST_TITLE = 60
_LONGEST_VALUE = 100
_NUMBER = re.compile(r"[a-z0-9][a-z0-9./_-]{2,23}")
# A colon, or a row of dots that leads to the value.
_MARK = re.compile(r":|\.{3,}")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_RUN = re.compile(r"(?:[a-z\u3400-\u9fff/()]\s{0,4}){2,16}\Z")
_LATIN_RUN = re.compile(r"[a-z][a-z0-9#./()_-]*(?: [a-z0-9#./()_-]+){0,4} ?\Z")
# Where a label may stand right behind a value: 性别:女年龄:56岁.
_VALUE_ENDS = "男女岁月天)"
_UNKNOWN = re.compile(r"(?:^|(?<=\s))[\u3400-\u9fff]{2,6}\s*\Z")
_TITLE = re.compile(r"报告|report|诊断书|会诊")
# Sections that stand among the labels at the top; signatures stand among those at the bottom.
_ABOVE = frozenset({"clinical", "specimens"})
_BODY = tuple(name for name in TEXT_COLUMNS if name not in {"clinical_diagnosis", "text_raw"})
# Labels of printed reports that are no heads of tables.
_PRINTED: dict[str, tuple[str, ...]] = {
    "accession": (
        "accession no", "accession #", "accession", "case no", "case #", "case number", "path no", "pathology no",
        "specimen #", "specimen no", "specimen number", "surgical number", "surgical pathology number",
        "surgical pathology no", "病理检查号", "病理号码",
    ),
    "patient_id": ("mrn", "mr #", "mr no", "medical record number", "medical record no", "medical record #", "patient no",
                   "hospital number", "患者号", "id号"),
    "patient_name": ("patient", "patient's name", "name of patient"),
    "birth_date": ("dob", "birthdate", "date of birth", "birth date"),
    "received_date": ("received", "date received", "date of receipt", "收到标本日期", "收检日期"),
    "reported_date": ("reported", "date reported", "date of report", "report date", "signed out", "签发日期"),
    "submitting_doctor": ("physician", "submitting physician", "requesting physician", "ordering physician",
                          "attending physician"),
    "pathologist": ("诊断者", "报告者", "病理医师", "病理医生", "主检医师"),
    "reviewer": ("审核者", "复核医师"),
}  # fmt: skip


def detects(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a report: heads of sections or labels with values, and no table.

    In doubt it is none; ``format: text`` in the workspace says that it is.
    """
    text = next((text for end in range(4) if (text := decode(head[: len(head) - end])) is not None), None)
    if text is None or "\0" in text or text.lstrip()[:1] in {"", '"', "{", "<"}:
        return False
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()][:_HEAD_LINES]
    if _is_table(lines):
        return False
    folded = fold(text)
    parts = sections(folded)
    known = {label.name for label in _labels(folded, 0, len(folded), _known_labels()) if label.name}
    return bool(parts and not folded[: parts[0].start].strip(" \n[<")) or len({part.section for part in parts} | known) > 1


def _is_table(lines: Sequence[str]) -> bool:
    for separator in _SEPARATORS:
        rows = [line.split(separator) for line in lines]
        if any(count_known([cell.strip() for cell in row]) > 1 for row in rows):
            return True
        cells = rows[0]
        if len(cells) > 1 and all(len(cell) < _LONGEST_CELL and not re.search("[:：]", cell) for cell in cells):
            return True
        if len(rows) > 2 and len(cells) > 1 and len({len(row) for row in rows[:5]}) == 1:
            return True
    return False


def parse(
    path: Path, site: str, patterns: AccessionPatterns, mapping: mappings.Mapping
) -> Iterator[dict[str, Any] | Finding]:
    """The row of the ``reports`` table that a file is, without ``report_id``, ``is_current`` and ``source_file``.

    The accession number is the one that is labelled so, else the one in the file's name. Where no head of a section is
    known, the whole text is ``text_raw``. A file that is no text, or has no number, becomes a finding and no row.

    Args:
        path: the file.
        site: code of the site it came from.
        patterns: the site's accession patterns, for the file's name.
        mapping: ``columns`` names labels in place of heads (``{accession: 标本编号}``), besides those that are known;
            ``encoding`` is used if it is given.

    Raises:
        InputOutputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({type(error).__name__})", "Check the path in pathcurate.yaml and its permissions."
        ) from None
    text = _decoded(data, mapping.encoding)
    if len(data) > _LONGEST or text is None or not text.strip():
        what = "is too long for a report" if len(data) > _LONGEST else "holds no text" if text is not None else _NO_TEXT
        yield _lost("reports.text_damaged", what, site, path.name)
        return
    rows = ReportRows(site, patterns, mapping, path.name)
    row = rows.row(_texts(text, path.stem, patterns, mapping), 1)
    if row is None:
        what = "has no usable accession number, neither labelled nor in its name,"
        yield _lost("reports.no_accession", what, site, path.name)
        return
    yield row
    yield from rows.findings()


def _decoded(data: bytes, encoding: str | None) -> str | None:
    if data.startswith(_NO_TEXTS):
        return None
    try:
        text = data.decode(encoding) if encoding else decode(data)
    except UnicodeDecodeError:
        return None
    return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n") if text is not None else None


def _lost(rule: str, what: str, site: str, source: str) -> Finding:
    return Finding(
        rule, Severity.ERROR, f"{source} {what} and was not imported",
        stage="reports", site=site, table="reports", subject=source,
    )  # fmt: skip


def _texts(text: str, stem: str, patterns: AccessionPatterns, mapping: mappings.Mapping) -> dict[str, str]:
    """Texts by column."""
    folded = fold(text)
    known = _known_labels() | {_label(text): name for name, texts in mapping.columns.items() for text in texts}
    parts = sections(folded)
    parts = parts[1:] if parts and _is_title(folded, parts[0], known) else parts
    body = next((part.start for part in parts if part.section not in _ABOVE), len(text))
    spans = [(0, body), *((part.start, part.end) for part in parts if part.section == "other")]
    labels = [label for start, end in spans for label in _labels(folded, start, end, known)]
    texts: dict[str, str] = {}
    for label in labels:
        if label.name and (value := clean(text[label.value : label.end])):
            texts.setdefault(label.name, value)
    texts |= by_columns(text, [_until_label(part, labels) if part.section in _ABOVE else part for part in parts])
    above = _unread(text[: min([len(text), *(part.start for part in parts), *(label.start for label in labels)])])
    if above or not any(texts.get(name) for name in _BODY):
        texts["text_raw"] = above if any(texts.get(name) for name in _BODY) else text.strip()
    texts["accession"] = _accession(texts.get("accession", ""), stem, patterns)
    texts["report_type"] = texts.get("report_type") or _type(text[: labels[0].start if labels else body], parts)
    return texts


def _is_title(folded: str, part: Part, known: Mapping[str, str | None]) -> bool:
    """Whether what looks like the head of a section is the report's title (补充报告), below which labels stand."""
    line_end = folded.find("\n", part.body_start, part.end)
    is_alone = line_end >= 0 and not folded[: part.start].strip(" \n[<") and not folded[part.body_start : line_end].strip()
    return is_alone and any(label.name for label in _labels(folded, line_end, part.end, known))


def _unread(text: str) -> str:
    """Lines above the first label and head that are too long for titles: a report may begin without a head."""
    return "\n".join(line.strip() for line in text.split("\n") if len(line.strip()) > _LONGEST_TITLE)


def _accession(labelled: str, stem: str, patterns: AccessionPatterns) -> str:
    """The number that is labelled so, if it is like one, else the name of the file, if it has one that the patterns know."""
    first = labelled.split(maxsplit=1)[0] if labelled else ""
    for text in (first, labelled):
        if patterns.find(text):
            return text
    if _NUMBER.fullmatch(fold(labelled)) and parse_number(labelled) is not None:
        return labelled
    return stem if patterns.find(stem) else ""


def _until_label(part: Part, labels: Sequence["_Label"]) -> Part:
    """A section at the top without the labels that stand behind it."""
    return part._replace(
        end=min((label.start for label in labels if part.body_start <= label.start < part.end), default=part.end)
    )


def _type(title: str, parts: Sequence[Part]) -> str:
    """The kind of report that its title names, or that its sections show."""
    lines = [line for line in title.split("\n") if len(line) <= _LONGEST_TITLE and _TITLE.search(fold(line))]
    named = next(filter(None, map(vocabulary("report_types").first, lines)), None)
    found = {part.section for part in parts}
    return named or ("frozen" if "frozen" in found and "diagnosis" not in found else "")


class _Label(NamedTuple):
    """A label with its value; the name of its column, None for one that has none."""

    name: str | None
    start: int
    value: int
    end: int


def _labels(folded: str, start: int, end: int, known: Mapping[str, str | None]) -> list[_Label]:
    """Labels with values in a stretch of a text; a value goes on to the next label or the end of its line."""
    found: list[_Label] = []
    behind = start
    for mark in _MARK.finditer(folded, start, end):
        line = folded.rfind("\n", start, mark.start()) + 1
        first = max(behind, line, start, mark.start() - _LONGEST_LABEL)
        label = _label_before(folded[first : mark.start()], known, is_first=first == line)
        if label is not None:
            name, offset = label
            line_end = folded.find("\n", mark.end(), end)
            found.append(_Label(name, first + offset, mark.end(), line_end if line_end >= 0 else end))
            behind = mark.end()
    nexts = [*(label.start for label in found[1:]), end]
    closed = (label._replace(end=min(label.end, following)) for label, following in zip(found, nexts, strict=False))
    # Where an export took the line breaks, the report itself would be the value of its last label.
    return [label for label in closed if label.end - label.value <= _LONGEST_VALUE]


def _label_before(stretch: str, known: Mapping[str, str | None], *, is_first: bool) -> tuple[str | None, int] | None:
    """The label that a stretch before a mark ends with: its column, and where it begins in the stretch."""
    run = (_HAN_RUN if _HAN.search(stretch[-3:]) else _LATIN_RUN).search(stretch)
    if run is not None:
        for offset in range(run.start(), len(stretch) - 1):
            before = stretch[offset - 1 : offset]
            may_begin = not before or before.isspace() or before in _VALUE_ENDS or not before.isalnum()
            # One space before a Latin word may be within a longer label: Specimen name.
            is_certain = bool(_HAN.match(stretch[offset])) or offset == 0 or not is_first or stretch[:offset].endswith("  ")
            if may_begin and is_certain and (label := _label(stretch[offset:])) in known:
                return known[label], offset
    unknown = _UNKNOWN.search(stretch)
    return (None, unknown.start()) if unknown is not None else None


def _label(text: str) -> str:
    return fold_head(text.strip(" *[]()-_=.")).rstrip(".")


@cache
def _known_labels() -> dict[str, str | None]:
    """Label to column, None for what has none; heads of sections are no labels, but for what was sent and why."""
    heads = known_heads()
    known: dict[str, str | None] = {alias: None for aliases in heads["left_out"].values() for alias in aliases}
    for name in COLUMNS:
        if name not in (*_BODY, "text_raw"):
            known |= dict.fromkeys((*heads["reports"].get(name, ()), *map(_label, _PRINTED.get(name, ()))), name)
    return known

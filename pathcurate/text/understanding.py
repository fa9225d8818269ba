"""What one report says: its diagnosis lines with their values, its immunostains, and what all lines agree on."""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from pathcurate.model.report import VALUES
from pathcurate.text.assertion import Assertions
from pathcurate.text.coding import Coder, Coding, Term
from pathcurate.text.diagnosislines import Line, diagnosis_lines
from pathcurate.text.folding import fold
from pathcurate.text.found import Found
from pathcurate.text.immunostains import Stain, stains
from pathcurate.text.molecular import molecular_results
from pathcurate.text.sections import sections
from pathcurate.text.sizes import size_values
from pathcurate.text.staging import stage_of
from pathcurate.text.tumour import inconsistencies, tumour_values

VERSION: Final = 1
"""Of the rules below; a change makes what was read by them out of date."""

# The section that a column of a report is, and those in which values of a tumour stand.
_SECTION_OF = {
    "clinical_diagnosis": "clinical", "gross": "gross", "microscopy": "microscopy", "diagnosis": "diagnosis", "ihc": "ihc",
    "molecular": "molecular", "comment": "comment", "text_raw": "",
}  # fmt: skip
_CODED = frozenset({"diagnosis", "frozen"})
_VALUED = frozenset({"diagnosis", "frozen", "comment", "microscopy"})
_STAINED = frozenset({"diagnosis", "ihc", "microscopy", "comment", "molecular"})
_NODES = frozenset({"nodes_positive", "nodes_examined"})
_SUMMED = ("nodes_positive", "nodes_examined")
_LISTS = ("ihc_results", "molecular_results")
_PLAIN = tuple(column.name for column in VALUES if column.name not in {*_SUMMED, *_LISTS})
_SUMMARISED = frozenset({"organ", *_PLAIN})
_VALUE_OF = {"grade_system": "grade", "stage_system": "stage", "icd10_edition": "icd10"}
# Of several vessels, margins or foci of one tumour, the one that matters most stands for it.
_GRAVITY = {
    "margin": ("negative", "uncertain", "close", "positive"),
    **dict.fromkeys(("lvi", "pni"), ("absent", "suspected", "present")),
}
_COLUMN_OF = {"topography": "icdo3_topography", "morphology": "icdo3_morphology"}
_METASTATIC = "6"
_JSON = json.JSONEncoder(separators=(",", ":"))
# Without one of these, no head of a section can be there.
_HEADED = re.compile(r"[:\]>\n]")
# What a microscopic description may add to a diagnosis that does not say it.
_MICROSCOPIC = frozenset({"grade", "lvi", "pni", "margin"})


class Fault(NamedTuple):
    """Two things that a report says and that cannot both be.

    Attributes:
        rule: what disagrees.
        text_column: column of `reports` in which it stands.
        start: where it begins there.
        end: where it ends.
    """

    rule: str
    text_column: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Understood:
    """What a report says.

    Attributes:
        summary: columns of ``VALUES`` and ``organ`` on which all lines agree; those of which nothing is said are absent.
        diagnoses: rows of `diagnoses` without ``report_id`` and ``site``.
        stains: rows of `ihc_results` likewise.
        faults: what cannot be.
    """

    summary: dict[str, Any]
    diagnoses: list[dict[str, Any]]
    stains: list[dict[str, Any]]
    faults: list[Fault]


class _Segment(NamedTuple):
    """A stretch of one column that belongs to one section."""

    section: str
    start: int
    end: int


class _Text:
    """One column of a report, and what is found in it; every kind of thing is looked for once."""

    def __init__(self, column: str, text: str, coder: Coder) -> None:
        self.column = column
        self.folded = fold(text)
        self._coder = coder
        self.segments = _segments(column, self.folded)

    @cached_property
    def assertions(self) -> Assertions:
        return Assertions(self.folded)

    @cached_property
    def terms(self) -> list[Term]:
        return self._coder.terms(self.folded)

    @cached_property
    def sites(self) -> list[int]:
        return [term.start for term in self.terms if term.kind in {"organ", "topography"}]

    @cached_property
    def values(self) -> list[Found]:
        return tumour_values(self.folded)

    @cached_property
    def sizes(self) -> list[Found]:
        return list(size_values(self.folded))

    def line(self, line: Line, organ: str | None) -> Coding:
        return self._coder.code_line(self.folded, line.start, line.end, self.assertions, self.terms, organ)

    def section_at(self, place: int) -> str:
        if len(self.segments) == 1:
            return self.segments[0].section
        at = bisect_left(self.segments, place + 1, key=lambda segment: segment.start) - 1
        return self.segments[at].section if at >= 0 and place < self.segments[at].end else ""


@dataclass
class _Row:
    """A diagnosis row in the making."""

    text: _Text
    line: Line
    section: str
    coding: Coding
    values: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    nodes: list[tuple[int | None, int | None]] = field(default_factory=list)

    @property
    def is_main(self) -> bool:
        """Whether it is a neoplasm that the report affirms, so that sizes, grades and margins are about it."""
        return self.coding.morphology is not None and self.coding.assertion != "negated"

    def take(self, found: Found, column: str) -> None:
        """Add a value: of several the gravest or largest, where there is such, else the first."""
        name = found.name
        if name in self.values and not _outweighs(name, found.value, self.values[name]):
            return
        self.values[name] = found.value
        self.spans[name] = (column, found.start, found.end)

    def take_all(self, values: Sequence[Found], column: str) -> None:
        """Add the values of a line; a system goes with the value that is said with it."""
        for found in values:
            value = _VALUE_OF.get(found.name)
            if found.name not in _NODES and (value is None or self.spans.get(value) == (column, found.start, found.end)):
                self.take(found, column)
        for positive, examined in _counted(values):
            self.nodes.append((positive.value if positive else None, examined.value if examined else None))  # type: ignore[arg-type]
            for one in (positive, examined):
                if one is not None:
                    self.spans.setdefault(one.name, (column, one.start, one.end))


def _outweighs(name: str, value: Any, before: Any) -> bool:
    if name == "tumour_size_mm":
        return bool(value > before)
    order = _GRAVITY.get(name, ())
    return bool(order) and order.index(value) > order.index(before)


def understand(texts: Mapping[str, str | None], coder: Coder) -> Understood:
    """Read a report.

    Args:
        texts: its columns of texts by name, see ``TEXT_COLUMNS`` of :mod:`pathcurate.model.report`.
        coder: of the site that it comes from.
    """
    columns = [_Text(name, said, coder) for name in _SECTION_OF if (said := texts.get(name))]
    rows: list[_Row] = []
    for text in columns:
        for segment in text.segments:
            if segment.section in _CODED:
                rows += _rows(text, segment)
    final = [row for row in rows if row.section == "diagnosis"] or rows
    main = _one_main(final)
    for text in columns:
        _take_elsewhere(text, main)
    shown = [(text, stain, _row_at(rows, text, stain.start)) for text in columns for stain in _stains(text)]
    _take_stains(shown, main)
    for text in columns:
        _take_molecular(text, rows, main)
    faults = [
        Fault(rule, text.column, start, end)
        for text in columns
        if any(segment.section in _CODED for segment in text.segments)
        for rule, start, end in inconsistencies(text.values, text.folded)
    ]
    written = {id(row): _as_row(row, number) for number, row in enumerate(rows, start=1)}
    return Understood(
        _summary(final, written), list(written.values()),
        [_as_stain(text, stain, specimen, number) for number, (text, stain, specimen) in enumerate(shown, start=1)], faults,
    )  # fmt: skip


# --- Where what stands -------------------------------------------------------------------------------------------


def _segments(column: str, folded: str) -> list[_Segment]:
    """The sections of a column; a text without heads, or what stands before the first, is of the column's own kind."""
    parts = sections(folded) if _HEADED.search(folded) else []
    own = _SECTION_OF[column]
    if not own:
        # A report in one text: what no head announces is the diagnosis if no other part is.
        own = "" if any(part.section == "diagnosis" for part in parts) else "diagnosis"
    begin = parts[0].start if parts else len(folded)
    first = [_Segment(own, 0, begin)] if begin > 0 else []
    return first + [_Segment(part.section, part.body_start, part.end) for part in parts]


def _counted(values: Sequence[Found]) -> Iterator[tuple[Found | None, Found | None]]:
    """Node counts in pairs; a count that stands alone has no partner."""
    by_place: dict[int, dict[str, Found]] = {}
    for found in values:
        if found.name in _NODES:
            by_place.setdefault(found.start, {})[found.name] = found
    alone = [pair for pair in by_place.values() if len(pair) == 1]
    if len(alone) == 2 and len(by_place) == 2 and alone[0].keys() != alone[1].keys():
        by_place = {0: alone[0] | alone[1]}
    for pair in by_place.values():
        yield pair.get("nodes_positive"), pair.get("nodes_examined")


def _rows(text: _Text, segment: _Segment) -> list[_Row]:
    """The rows of one diagnosis: a line for each finding; lines that only measure it are values of it."""
    rows: list[_Row] = []
    lines = diagnosis_lines(text.folded, segment.start, segment.end, text.sites)
    organ, group = None, -1
    held: list[list[Found]] = []
    for line in lines:
        if line.group != group:
            organ, group = None, line.group
        values = _between(text.values, line.start, line.end)
        coding = _without_values(text.line(line, organ), values)
        organ = organ or (coding.organ if coding.organ != "lymph_node" or line.number == 1 else None)
        mine = [row for row in rows if row.line.group == group and row.is_main]
        if coding.morphology is None and values and not _is_of_nodes(coding, values):
            # Below the nodes of a tumour its stage is given, so a metastasis is asked last.
            primary = next((row for row in mine if row.coding.behaviour != _METASTATIC), None)
            target = primary or (_one_main(rows) if line.number > 1 or mine else None) or next(iter(mine), None)
            if target is not None:
                target.take_all(values, text.column)
                continue
            if line.number > 1 or coding.organ is None:
                held.append(values)
                continue
        if not (coding.morphology or values or _says_something(text, line, coding)):
            continue
        row = _Row(text, line, segment.section, coding)
        row.take_all(values, text.column)
        rows.append(row)
    main = _one_main(rows)
    if main is not None:
        for values in held:
            main.take_all(values, text.column)
    elif held:
        rows += _unnamed(text, segment, lines[-1], held)
    return rows


def _unnamed(text: _Text, segment: _Segment, line: Line, held: Sequence[Sequence[Found]]) -> list[_Row]:
    """A row for values of a tumour that no line names."""
    start = min(found.start for values in held for found in values)
    end = max(found.end for values in held for found in values)
    coding = Coding(None, None, None, None, None, "affirmed", start, end)
    row = _Row(text, line._replace(start=start, end=end), segment.section, coding)
    for values in held:
        row.take_all(values, text.column)
    return [row]


def _without_values(coding: Coding, values: Sequence[Found]) -> Coding:
    """A line's coding without a histology that is part of a value: pTis(DCIS) names no further tumour."""
    start, _ = coding.spans.get("morphology", (-1, -1))
    if not any(found.name == "pt" and found.start <= start < found.end for found in values):
        return coding
    return replace(coding, morphology=None, behaviour=None, assertion="affirmed")


def _says_something(text: _Text, line: Line, coding: Coding) -> bool:
    """Whether a line without a tumour is a statement of its own: it denies one, or names an organ and is no head."""
    return coding.assertion == "negated" or ("organ" in coding.spans and not text.folded.endswith(":", line.start, line.end))


def _is_of_nodes(coding: Coding, values: Sequence[Found]) -> bool:
    says_nodes = coding.organ == "lymph_node" and "organ" in coding.spans
    return says_nodes or any(found.name in _NODES for found in values)


def _between(values: list[Found], start: int, end: int) -> list[Found]:
    first = bisect_left(values, start, key=lambda found: found.start)
    last = bisect_left(values, end, key=lambda found: found.start)
    return values[first:last]


def _one_main(rows: Sequence[_Row]) -> _Row | None:
    """The one neoplasm of a report, the first of those with the same code; None if there are several."""
    mains = [row for row in rows if row.is_main]
    mains = [row for row in mains if row.coding.behaviour != _METASTATIC] or mains
    codes = {(row.coding.morphology, row.coding.organ) for row in mains}
    return mains[0] if len(codes) == 1 else None


def _take_elsewhere(text: _Text, main: _Row | None) -> None:
    """Values outside of the diagnosis, where it is clear of which neoplasm they are and it has none of its own."""
    if main is None:
        return
    for segment in text.segments:
        if segment.section == "microscopy":
            wanted = _MICROSCOPIC - main.values.keys()
            values = _between(text.values, segment.start, segment.end) if wanted else []
            values = [found for found in values if _VALUE_OF.get(found.name, found.name) in wanted]
        elif segment.section in _VALUED - _CODED:
            values = _between(text.values, segment.start, segment.end)
        elif segment.section == "gross":
            values = _between(text.sizes, segment.start, segment.end) if "tumour_size_mm" not in main.values else []
            values = values[:1] if len({found.value for found in values}) == 1 else []
        else:
            continue
        if main.nodes:
            values = [found for found in values if found.name not in _NODES]
        main.take_all(values, text.column)


def _stains(text: _Text) -> list[Stain]:
    if not any(segment.section in _STAINED for segment in text.segments):
        return []
    return [stain for stain in stains(text.folded) if text.section_at(stain.start) in _STAINED]


def _take_stains(shown: Sequence[tuple[_Text, Stain, _Row | None]], main: _Row | None) -> None:
    for text, stain, specimen in shown:
        row = specimen or main
        if row is not None:
            results = row.values.setdefault("ihc_results", [])
            result = f"{stain.marker}={stain.result}"
            if result not in results:
                results.append(result)
                row.spans.setdefault("ihc_results", (text.column, stain.start, stain.end))


def _take_molecular(text: _Text, rows: Sequence[_Row], main: _Row | None) -> None:
    if not any(segment.section in _STAINED for segment in text.segments):
        return
    for found in molecular_results(text.folded):
        row = _row_at(rows, text, found.start) or main
        if row is not None and text.section_at(found.start) in _STAINED:
            results = row.values.setdefault("molecular_results", [])
            if found.value not in results:
                results.append(found.value)
                row.spans.setdefault("molecular_results", (text.column, found.start, found.end))


def _row_at(rows: Sequence[_Row], text: _Text, place: int) -> _Row | None:
    """The neoplasm of the specimen in whose lines a place lies."""
    before = [row for row in rows if row.text is text and row.line.start <= place]
    if not before or text.section_at(place) not in _CODED:
        return None
    group = before[-1].line.group
    return next((row for row in before if row.line.group == group and row.is_main), None)


# --- As rows -----------------------------------------------------------------------------------------------------


def _as_row(row: _Row, ordinal: int) -> dict[str, Any]:
    coding = row.coding
    positive, examined = _sums(row.nodes)
    values = {
        "laterality": coding.laterality, "icdo3_topography": coding.topography, "icdo3_morphology": coding.morphology,
        **row.values,
    }  # fmt: skip
    if values.get("icdo3_morphology") is None or coding.assertion == "negated":
        values["icdo3_morphology"] = None
    behaviour = str(values["icdo3_morphology"])[-1] if values["icdo3_morphology"] else None
    values |= _staged(coding.organ, values)
    spans = dict(row.spans)
    spans |= {_COLUMN_OF.get(name, name): (row.text.column, *place) for name, place in coding.spans.items()}
    return {
        "ordinal": ordinal, "specimen": row.line.specimen, "line": row.line.number, "organ": coding.organ,
        "behaviour": behaviour, **values, "nodes_positive": positive, "nodes_examined": examined,
        "assertion": coding.assertion, "section": row.section, "text_column": row.text.column, "start": row.line.start,
        "end": row.line.end, "spans": _JSON.encode(spans) if spans else None,
    }  # fmt: skip


def _staged(organ: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The stage that follows from the categories, where the report gives them and no stage."""
    if values.get("stage") is not None:
        return {"stage_basis": "stated"}
    code = values["icdo3_morphology"]
    if organ is None or code is None or values.get("pt") is None or code[-1] not in "23":
        return {}
    # The tables are of carcinomas, and of melanoma of the skin.
    if organ == "skin" and "8720" <= code[:4] <= "8799":
        organ = "skin_melanoma"
    elif not "8010" <= code[:4] <= "8589":
        return {}
    stage = _stage(organ, values["pt"], values.get("pn"), values.get("pm"), values.get("grade"))
    return {"stage": stage, "stage_system": "ajcc", "stage_basis": "derived"} if stage is not None else {}


@lru_cache(maxsize=4096)
def _stage(organ: str, pt: str, pn: str | None, pm: str | None, grade: str | None) -> str | None:
    return stage_of(organ, pt, pn, pm, grade=grade, assume_m0=True)


def _sums(nodes: Sequence[tuple[int | None, int | None]]) -> tuple[int | None, int | None]:
    """Positive and examined nodes together; None where one of the counts is not given."""
    positive = [one for one, _ in nodes]
    examined = [one for _, one in nodes]
    return (
        sum(one or 0 for one in positive) if positive and None not in positive else None,
        sum(one or 0 for one in examined) if examined and None not in examined else None,
    )


def _as_stain(text: _Text, stain: Stain, row: _Row | None, ordinal: int) -> dict[str, Any]:
    return {
        "ordinal": ordinal, "specimen": row.line.specimen if row is not None else None, "marker": stain.marker,
        "result": stain.result, "percent_low": stain.percent_low, "percent_high": stain.percent_high,
        "intensity": stain.intensity, "score": stain.score, "section": text.section_at(stain.start),
        "text_column": text.column, "start": stain.start, "end": stain.end,
    }  # fmt: skip


def _summary(rows: Sequence[_Row], written: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """What all lines that affirm a neoplasm agree on; a primary tumour stands for its metastases."""
    mains = [row for row in rows if row.is_main and row.coding.assertion == "affirmed"]
    mains = [row for row in mains if row.coding.behaviour != _METASTATIC] or mains
    told = [written[id(row)] for row in (mains or [row for row in rows if row.coding.assertion == "affirmed"])]
    summary: dict[str, Any] = {}
    for name in _SUMMARISED & {name for row in told for name in row}:
        values = {row[name] for row in told if row.get(name) is not None}
        if len(values) == 1:
            summary[name] = values.pop()
    if "organ" not in summary and summary.get("stage_basis") == "derived":
        # A stage is one of an organ, and it is not clear of which.
        for name in ("stage", "stage_system", "stage_basis"):
            summary.pop(name, None)
    nodes = [pair for row in rows for pair in row.nodes]
    summary |= dict(zip(_SUMMED, _sums(nodes), strict=True))
    for name in _LISTS:
        results = [result for row in told for result in row.get(name) or ()]
        summary[name] = _agreeing(results) or None
    return {name: value for name, value in summary.items() if value is not None}


def _agreeing(results: Sequence[str]) -> list[str]:
    """Results of markers or genes of which only one thing is said."""
    said: dict[str, set[str]] = {}
    for result in results:
        said.setdefault(result.partition("=")[0], set()).add(result)
    return [result for one in said.values() if len(one) == 1 for result in one]

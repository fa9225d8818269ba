"""The rows of a diagnosis in the making: which line is a finding of its own, and which values are of which."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pathcurate.text.coding_line import Coding
from pathcurate.text.columntext import ColumnText, Segment
from pathcurate.text.diagnosislines import Line, diagnosis_lines
from pathcurate.text.found import Found

NODES: Final = frozenset({"nodes_positive", "nodes_examined"})
STAGED: Final = frozenset({"pt", "pn", "pm", "tnm_prefix", "stage", "stage_system"})
VALUE_OF: Final = {"grade_system": "grade", "stage_system": "stage", "icd10_edition": "icd10"}
"""What a value is said with."""
METASTATIC: Final = "6"
_GRADES = frozenset({"grade", "grade_system"})
# Of several vessels, margins or foci of one tumour, the one that matters most stands for it.
_GRAVITY = {
    "margin": ("negative", "uncertain", "close", "positive"),
    **dict.fromkeys(("lvi", "pni"), ("absent", "suspected", "present")),
}
_BY_BEHAVIOUR = ("3", "2", "1", "0")
UNNAMED: Final = frozenset({"8000/3", "8010/3"})
"""Histologies that say no more than that there is a carcinoma."""
# A grade of these is none of the invasive tumour beside them.
_PRECURSOR = re.compile(
    r"[^,。;\n]{0,4}(?:上皮内瘤变|上皮内病变|上皮内肿瘤|异型增生|不典型增生|导管内癌|导管原位癌|原位癌)"
    r"|[ -](?:ductal |duct )?(?:carcinoma in situ|dcis|dysplasia|\w+ intraepithelial|intraepithelial)"
)


@dataclass
class Row:
    """A diagnosis row in the making."""

    text: ColumnText
    line: Line
    segment: Segment
    coding: Coding
    values: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    nodes: list[tuple[int | None, int | None]] = field(default_factory=list)

    @property
    def section(self) -> str:
        """The section in which it stands."""
        return self.segment.section

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
            value = VALUE_OF.get(found.name)
            if found.name not in NODES and (value is None or self.spans.get(value) == (column, found.start, found.end)):
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


def _counted(values: Sequence[Found]) -> Iterator[tuple[Found | None, Found | None]]:
    """Node counts in pairs; a count that stands alone has no partner."""
    by_place: dict[int, dict[str, Found]] = {}
    for found in values:
        if found.name in NODES:
            by_place.setdefault(found.start, {})[found.name] = found
    alone = [pair for pair in by_place.values() if len(pair) == 1]
    if len(alone) == 2 and len(by_place) == 2 and alone[0].keys() != alone[1].keys():
        by_place = {0: alone[0] | alone[1]}
    for pair in by_place.values():
        yield pair.get("nodes_positive"), pair.get("nodes_examined")


def rows_of(text: ColumnText, segment: Segment) -> list[Row]:
    """The rows of one diagnosis: a line for each finding; lines that only measure it are values of it."""
    reading = _Reading(text, segment)
    lines = diagnosis_lines(text.folded, segment.start, segment.end, text.sites, text.regions)
    for line in lines:
        reading.add(line)
    main = one_main(reading.rows)
    if main is not None:
        for values in reading.held:
            main.take_all(values, text.column)
    elif reading.held:
        reading.rows += _unnamed(text, segment, lines[-1], reading.held)
    return reading.rows


@dataclass
class _Reading:
    """A diagnosis while its lines are read.

    Attributes:
        text: the column.
        segment: the stretch of it.
        rows: the rows so far.
        held: values of a tumour that no line has named yet.
        group: number of the specimen.
        organ: what the specimen is of.
        place: its side and topography.
    """

    text: ColumnText
    segment: Segment
    rows: list[Row] = field(default_factory=list)
    held: list[list[Found]] = field(default_factory=list)
    group: int = -1
    organ: str | None = None
    place: tuple[str | None, str | None] = (None, None)

    def add(self, line: Line) -> None:
        """Read the next line."""
        coding, values = self._coded(line)
        mine = [row for row in self.rows if row.line.group == self.group and row.is_main]
        if coding.organ == "lymph_node" and coding.behaviour in (None, METASTATIC):
            values = self._without_stage(values, mine)
        is_measure = coding.morphology is None and values and not _is_of_nodes(coding, values)
        if is_measure and self._measures(line, coding, values, mine):
            return
        if not (coding.morphology or values or _says_something(self.text, line, coding)):
            return
        row = _known_by(coding, mine)
        if row is None:
            row = Row(self.text, line, self.segment, coding)
            self.rows.append(row)
        row.take_all(values, self.text.column)

    def _coded(self, line: Line) -> tuple[Coding, list[Found]]:
        if line.group != self.group:
            self.organ, self.group, self.place = None, line.group, (None, None)
        values = between(self.text.values, line.start, line.end)
        coding = _without_values(self.text.line(line, self.organ), values)
        if self.organ is not None and coding.organ == self.organ:
            coding = _placed(coding, *self.place)
        elif self.organ is None and coding.organ is not None and (coding.organ != "lymph_node" or line.number == 1):
            self.organ, self.place = coding.organ, (coding.laterality, coding.topography)
        return _judged_by_values(self.text, coding, values) if values else (coding, values)

    def _without_stage(self, values: list[Found], mine: Sequence[Row]) -> list[Found]:
        """Values of nodes, which have no stage of their own: it is the primary tumour's, wherever it is written."""
        staged = [found for found in values if found.name in STAGED]
        primary = _primary(mine) or one_main(self.rows)
        if not staged or primary is None or primary.coding.behaviour == METASTATIC:
            return values
        primary.take_all(staged, self.text.column)
        return [found for found in values if found.name not in STAGED]

    def _measures(self, line: Line, coding: Coding, values: list[Found], mine: Sequence[Row]) -> bool:
        """Whether a line only measures a tumour, which then has its values, or will have them."""
        # Below the nodes of a tumour its stage is given, so a metastasis is asked last.
        target = _primary(mine) or (one_main(self.rows) if line.number > 1 or mine else None) or next(iter(mine), None)
        if target is not None:
            target.take_all(values, self.text.column)
        elif line.number > 1 or coding.organ is None:
            self.held.append(values)
        else:
            return False
        return True


def _primary(rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row.coding.behaviour != METASTATIC), None)


def _known_by(coding: Coding, mine: Sequence[Row]) -> Row | None:
    """The carcinoma of the same specimen and organ that a line goes on about without a name for it: 癌组织侵及浆膜."""
    if coding.morphology not in UNNAMED or coding.assertion != "affirmed":
        return None
    for row in mine:
        if row.coding.behaviour == "3" and row.coding.assertion == "affirmed" and row.coding.organ == coding.organ:
            return row
    return None


def _placed(coding: Coding, laterality: str | None, topography: str | None) -> Coding:
    """A line's coding with what its specimen's head says of the place, where the line itself says nothing."""
    if "organ" in coding.spans and "topography" in coding.spans and coding.laterality:
        return coding
    says_place = "topography" in coding.spans and coding.spans["topography"] != coding.spans.get("organ")
    laterality, topography = coding.laterality or laterality, coding.topography if says_place else topography
    if (laterality, topography) == (coding.laterality, coding.topography):
        return coding
    return replace(coding, laterality=laterality, topography=topography)


def _judged_by_values(text: ColumnText, coding: Coding, values: list[Found]) -> tuple[Coding, list[Found]]:
    """A line's coding and values, each without what the other shows to be of something else.

    Nodes of which none is positive deny a metastasis; the grade of a precursor is not the grade of a carcinoma.
    """
    if coding.behaviour == "3":
        precursors = {found.start for found in values if found.name == "grade" and _PRECURSOR.match(text.folded, found.end)}
        return coding, [found for found in values if found.start not in precursors or found.name not in _GRADES]
    if coding.assertion == "negated" and coding.morphology is None:
        values = [found for found in values if found.name not in _GRADES]
    counts = [found.value for found in values if found.name == "nodes_positive"]
    if coding.morphology is None and counts and not any(counts):
        return replace(coding, assertion="negated"), values
    return coding, values


def _unnamed(text: ColumnText, segment: Segment, line: Line, held: Sequence[Sequence[Found]]) -> list[Row]:
    """A row for values of a tumour that no line names."""
    start = min(found.start for values in held for found in values)
    end = max(found.end for values in held for found in values)
    coding = Coding(None, None, None, None, None, "affirmed", start, end)
    row = Row(text, line._replace(start=start, end=end), segment, coding)
    for values in held:
        row.take_all(values, text.column)
    return [row]


def _without_values(coding: Coding, values: Sequence[Found]) -> Coding:
    """A line's coding without a histology that is part of a value: pTis(DCIS) names no further tumour."""
    start, _ = coding.spans.get("morphology", (-1, -1))
    if not any(found.name == "pt" and found.start <= start < found.end for found in values):
        return coding
    return replace(coding, morphology=None, behaviour=None, assertion="affirmed")


def _says_something(text: ColumnText, line: Line, coding: Coding) -> bool:
    """Whether a line without a tumour is a statement of its own: it denies one, or names an organ and is no head."""
    return coding.assertion == "negated" or ("organ" in coding.spans and not text.folded.endswith(":", line.start, line.end))


def _is_of_nodes(coding: Coding, values: Sequence[Found]) -> bool:
    if any(found.name == "pt" for found in values) and coding.morphology is None:
        return False
    says_nodes = coding.organ == "lymph_node" and "organ" in coding.spans
    return says_nodes or any(found.name in NODES for found in values)


def between(values: list[Found], start: int, end: int) -> list[Found]:
    """Those of some values in order that begin within [start, end)."""
    first = bisect_left(values, start, key=lambda found: found.start)
    last = bisect_left(values, end, key=lambda found: found.start)
    return values[first:last]


def gravest_of(rows: Sequence[Row]) -> Sequence[Row]:
    """Of carcinomas beside what is in situ or benign the carcinomas, which are what is staged, measured and stained."""
    present = {row.coding.behaviour for row in rows}
    gravest = next((behaviour for behaviour in _BY_BEHAVIOUR if behaviour in present), None)
    return [row for row in rows if row.coding.behaviour == gravest] if gravest else rows


def one_main(rows: Sequence[Row]) -> Row | None:
    """The one neoplasm of a report, the first of those with the same code; None if there are several."""
    mains = [row for row in rows if row.is_main]
    mains = [row for row in mains if row.coding.behaviour != METASTATIC] or mains
    codes = {(row.coding.morphology, row.coding.organ) for row in gravest_of(mains)}
    return gravest_of(mains)[0] if len(codes) == 1 else None

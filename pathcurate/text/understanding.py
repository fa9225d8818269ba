"""What one report says: its diagnosis lines with their values, its immunostains, and what all lines agree on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pathcurate.model.report import VALUES
from pathcurate.text.coding import Coder
from pathcurate.text.columntext import CODED, SECTION_OF, ColumnText
from pathcurate.text.diagnosisrows import (
    METASTATIC,
    NODES,
    STAGED,
    UNNAMED,
    VALUE_OF,
    Row,
    between,
    gravest_of,
    one_main,
    rows_of,
)  # fmt: skip
from pathcurate.text.immunostains import Stain, stains
from pathcurate.text.molecular import molecular_results
from pathcurate.text.staging import stage_of
from pathcurate.text.tumour import inconsistencies

VERSION: Final = 3
"""Of the rules below; a change makes what was read by them out of date."""

# Sections in which values of a tumour stand, and stains.
_VALUED = frozenset({"diagnosis", "frozen", "comment", "microscopy"})
_STAINED = frozenset({"diagnosis", "ihc", "microscopy", "comment", "molecular"})
_OF_TUMOUR = STAGED | {"stage_basis", "grade", "grade_system", "tumour_size_mm", "margin", "lvi", "pni"}
_SUMMED = ("nodes_positive", "nodes_examined")
_LISTS = ("ihc_results", "molecular_results")
_PLAIN = tuple(column.name for column in VALUES if column.name not in {*_SUMMED, *_LISTS})
_SUMMARISED = frozenset({"organ", *_PLAIN})
_WHERE = ("organ", "laterality", "icdo3_topography")
_COLUMN_OF = {"topography": "icdo3_topography", "morphology": "icdo3_morphology"}
# A carcinoma there is staged by the organ that it came from: the mandible's by the mouth.
_OF_SARCOMAS = frozenset({"bone", "soft_tissue", "retroperitoneum"})
_JSON = json.JSONEncoder(separators=(",", ":"))
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


def understand(texts: Mapping[str, str | None], coder: Coder) -> Understood:
    """Read a report.

    Args:
        texts: its columns of texts by name, see ``TEXT_COLUMNS`` of :mod:`pathcurate.model.report`.
        coder: of the site that it comes from.
    """
    columns = [ColumnText(name, said, coder) for name in SECTION_OF if (said := texts.get(name))]
    rows: list[Row] = []
    for text in columns:
        for segment in text.segments:
            if segment.section in CODED:
                rows += rows_of(text, segment)
    final = [row for row in rows if row.section == "diagnosis"] or rows
    main = one_main(final)
    for text in columns:
        _take_elsewhere(text, main)
    shown = [(text, stain, _row_at(rows, text, stain.start)) for text in columns for stain in _stains(text)]
    _take_stains(shown, rows, main)
    for text in columns:
        _take_molecular(text, rows, main)
    faults = [
        Fault(rule, text.column, start, end)
        for text in columns
        if any(segment.section in CODED for segment in text.segments)
        for rule, start, end in inconsistencies(text.values, text.folded)
    ]
    written = {id(row): _as_row(row, number) for number, row in enumerate(rows, start=1)}
    return Understood(
        _summary(final, written), list(written.values()),
        [_as_stain(text, stain, specimen, number) for number, (text, stain, specimen) in enumerate(shown, start=1)], faults,
    )  # fmt: skip


def _take_elsewhere(text: ColumnText, main: Row | None) -> None:
    """Values outside of the diagnosis, where it is clear of which neoplasm they are and it has none of its own."""
    if main is None:
        return
    for segment in text.segments:
        if segment.section == "microscopy":
            wanted = _MICROSCOPIC - main.values.keys()
            values = between(text.values, segment.start, segment.end) if wanted else []
            values = [found for found in values if VALUE_OF.get(found.name, found.name) in wanted]
        elif segment.section in _VALUED - CODED:
            values = between(text.values, segment.start, segment.end)
        elif segment.section == "gross":
            values = between(text.sizes, segment.start, segment.end) if "tumour_size_mm" not in main.values else []
            values = values[:1] if len({found.value for found in values}) == 1 else []
        else:
            continue
        if main.nodes:
            values = [found for found in values if found.name not in NODES]
        main.take_all(values, text.column)


def _stains(text: ColumnText) -> list[Stain]:
    if not any(segment.section in _STAINED for segment in text.segments):
        return []
    return [stain for stain in stains(text.folded) if text.section_at(stain.start) in _STAINED]


def _take_stains(shown: Sequence[tuple[ColumnText, Stain, Row | None]], rows: Sequence[Row], main: Row | None) -> None:
    for text, stain, specimen in shown:
        row = specimen or main
        if row is not None and not (specimen is None and _is_denied_at(rows, text, stain.start)):
            results = row.values.setdefault("ihc_results", [])
            result = f"{stain.marker}={stain.result}"
            if result not in results:
                results.append(result)
                row.spans.setdefault("ihc_results", (text.column, stain.start, stain.end))


def _take_molecular(text: ColumnText, rows: Sequence[Row], main: Row | None) -> None:
    if not any(segment.section in _STAINED for segment in text.segments):
        return
    for found in molecular_results(text.folded):
        row = _row_at(rows, text, found.start) or main
        if row is not None and text.section_at(found.start) in _STAINED:
            results = row.values.setdefault("molecular_results", [])
            if found.value not in results:
                results.append(found.value)
                row.spans.setdefault("molecular_results", (text.column, found.start, found.end))


def _is_denied_at(rows: Sequence[Row], text: ColumnText, place: int) -> bool:
    """Whether a place lies in a line that denies a neoplasm; stains there are none of another specimen's."""
    return any(
        row.text is text and row.line.start <= place < row.line.end and row.coding.assertion == "negated" for row in rows
    )


def _row_at(rows: Sequence[Row], text: ColumnText, place: int) -> Row | None:
    """The neoplasm of the specimen in whose lines a place lies."""
    before = [row for row in rows if row.text is text and row.line.start <= place]
    # A list of stains between two specimens is of the one before it.
    if not before or not (text.is_resumed or text.section_at(place) in CODED):
        return None
    group, segment = before[-1].line.group, before[-1].segment
    return next((row for row in before if row.line.group == group and row.segment is segment and row.is_main), None)


# --- As rows -----------------------------------------------------------------------------------------------------


def _as_row(row: Row, ordinal: int) -> dict[str, Any]:
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
    elif not "8010" <= code[:4] <= "8589" or organ in _OF_SARCOMAS or (organ == "skin" and code[:4] > "8430"):
        return {}
    stage = _stage(organ, values["pt"], values.get("pn"), values.get("pm"), values.get("grade"))
    return {"stage": stage, "stage_system": "ajcc", "stage_basis": "derived"} if stage is not None else {}


@lru_cache(maxsize=4096)
def _stage(organ: str, pt: str, pn: str | None, pm: str | None, grade: str | None) -> str | None:
    return stage_of(organ, pt, pn, pm, grade=grade, assume_m0=True)


def _sums(nodes: Sequence[tuple[int | None, int | None]]) -> tuple[int | None, int | None]:
    """Positive and examined nodes together; None where one of the counts is not given."""
    alone = [pair for pair in nodes if None in pair]
    if len(alone) == len(nodes) == len(_SUMMED):
        # A synoptic report gives the two in lines of their own.
        (first, second), (third, fourth) = nodes
        if (first is None) != (third is None) and (second is None) != (fourth is None):
            return first if third is None else third, second if fourth is None else fourth
    positive = [one for one, _ in nodes]
    examined = [one for _, one in nodes]
    return (
        sum(one or 0 for one in positive) if positive and None not in positive else None,
        sum(one or 0 for one in examined) if examined and None not in examined else None,
    )


def _as_stain(text: ColumnText, stain: Stain, row: Row | None, ordinal: int) -> dict[str, Any]:
    return {
        "ordinal": ordinal, "specimen": row.line.specimen if row is not None else None, "marker": stain.marker,
        "result": stain.result, "percent_low": stain.percent_low, "percent_high": stain.percent_high,
        "intensity": stain.intensity, "score": stain.score, "section": text.section_at(stain.start),
        "text_column": text.column, "start": stain.start, "end": stain.end,
    }  # fmt: skip


def _summary(rows: Sequence[Row], written: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """What all lines that affirm a neoplasm agree on; a primary tumour stands for its metastases."""
    mains = [row for row in rows if row.is_main and row.coding.assertion == "affirmed"]
    mains = [row for row in mains if row.coding.behaviour != METASTATIC] or mains
    told = [written[id(row)] for row in (mains or [row for row in rows if row.coding.assertion == "affirmed"])]
    # What was taken is known also where nothing was found in it.
    taken = list(written.values())
    taken = [row for row in taken if row["organ"] != "lymph_node"] or taken
    summary: dict[str, Any] = {}
    for name in _WHERE if not any(row.get("organ") for row in told) else ():
        if len(values := {row[name] for row in taken if row.get(name)}) == 1:
            summary[name] = values.pop()
    main = gravest_of(mains)
    gravest, is_one = [written[id(row)] for row in main] or told, _is_one(main)
    for name in _SUMMARISED:
        values = {value for row in told if (value := row.get(name)) is not None}
        if len(values) == 1 and (
            not mains or name not in _OF_TUMOUR or (any if is_one else all)([row.get(name) is not None for row in gravest])
        ):
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


def _is_one(rows: Sequence[Row]) -> bool:
    """Whether rows speak of one tumour: of one specimen, or of several with nothing that tells them apart."""
    sides = {row.coding.laterality for row in rows} - {None}
    specimens = {(row.segment.start, row.line.group) for row in rows}
    named = {row.coding.morphology for row in rows} - UNNAMED
    organs = {row.coding.organ for row in rows} - {None}
    return len(sides) < 2 and (len(specimens) < 2 or (len(named) < 2 and len(organs) < 2))


def _agreeing(results: Sequence[str]) -> list[str]:
    """Results of markers or genes of which only one thing is said."""
    said: dict[str, set[str]] = {}
    for result in results:
        said.setdefault(result.partition("=")[0], set()).add(result)
    return [result for one in said.values() if len(one) == 1 for result in one]

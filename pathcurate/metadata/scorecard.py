"""The quality scorecard of a release by the indicators of TC609-5-2025-04 (``quality/scorecard.json``).

An indicator is *measured* if a number was computed from the release, *attested* if only the product file says something of
it, and else *not assessed*, with the reason. Nothing that is not computed says measured.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from pathcurate.metadata.jsontext import json_text
from pathcurate.model.column import Column, Identifying, Type
from pathcurate.model.description import NAMESPACE, DescribedColumn, DescribedTable, Description
from pathcurate.model.productfile import Bilingual, Paper, ProductFile
from pathcurate.model.recipe.declared import declared_labels

SCORECARD_PATH: Final = "quality/scorecard.json"
SCORECARD_SCHEMA: Final = f"{NAMESPACE}schema/scorecard/1"
_INDICATORS = Path(__file__).parent / "indicators.yaml"
_DIVERSE = ("site", "vendor", "scanner_model", "stain", "organ", "sex", "age_band", "modality", "body_part", "kind", "year")
_SURE = {"exact", "barcode", "metadata", "index", "file_name", "reviewed"}

Status = Literal["measured", "attested", "not_assessed"]
Value = int | float | Mapping[str, int | float]


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that was computed.

    Attributes:
        name: what it is called in the list of figures.
        value: the number, or one for each of several things.
        whole: what it is a part of, None for what is no part.
        lacking: of facts that are asked for, those that are not given.
    """

    name: str
    value: Value
    whole: int | None = None
    lacking: tuple[str, ...] = ()

    def how(self, language: Literal["zh", "en"]) -> str:
        """What was computed, in words."""
        return str(_texts()["figures"][self.name][language])


@dataclass(frozen=True, slots=True)
class Attestation:
    """Something that people say.

    Attributes:
        what: the kind of statement, one of ``papers`` in the list.
        by: who says so.
        number: of the document, if there is one.
        says: the statement, in the words of the product file.
    """

    what: str
    by: str
    number: str | None = None
    says: str | None = None

    def called(self, language: Literal["zh", "en"]) -> str:
        """What kind of statement it is, in words."""
        return str(_texts()["papers"][self.what][language])


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator of a release.

    Attributes:
        code: of the indicator.
        name: in Chinese and in English.
        dimension: of GB/T 36344-2018.
        figures: what was computed.
        attested: what people say.
        reason: why it is not assessed, in both languages; only then it is of use.
    """

    code: str
    name: Bilingual
    dimension: str
    figures: tuple[Figure, ...]
    attested: tuple[Attestation, ...]
    reason: Bilingual

    @property
    def status(self) -> Status:
        """Whether anything was computed, else whether anybody says anything."""
        return "measured" if self.figures else "attested" if self.attested else "not_assessed"


@cache
def _texts() -> Mapping[str, Any]:
    texts: Mapping[str, Any] = yaml.safe_load(_INDICATORS.read_bytes())
    return texts


def scorecard(description: Description) -> str:
    """``quality/scorecard.json``."""
    found = indicators(description)
    texts = _texts()
    counts = {status: sum(one.status == status for one in found) for status in ("measured", "attested", "not_assessed")}
    return json_text({
        "schema": SCORECARD_SCHEMA,
        "product": description.product,
        "version": description.version,
        "content_digest": description.content_digest,
        "standard": texts["standard"],
        "dimensions_of": texts["dimensions_of"],
        "source": texts["source"],
        "verified": texts["verified"],
        "summary": counts,
        "indicators": [_as_dict(one) for one in found],
    }, sort_keys=False)  # fmt: skip


def _as_dict(one: Indicator) -> dict[str, Any]:
    content: dict[str, Any] = {
        "code": one.code, "name": {"zh": one.name.zh, "en": one.name.en}, "dimension": one.dimension, "status": one.status,
    }  # fmt: skip
    if one.figures:
        content["measured"] = [
            {"figure": figure.name, "value": figure.value, "of": figure.whole, "lacking": list(figure.lacking),
             "how": {"zh": figure.how("zh"), "en": figure.how("en")}}
            for figure in one.figures
        ]  # fmt: skip
    if one.attested:
        content["attested"] = [
            {"what": said.what, "by": said.by, "number": said.number, "says": said.says,
             "called": {"zh": said.called("zh"), "en": said.called("en")}}
            for said in one.attested
        ]  # fmt: skip
    if one.status == "not_assessed":
        content["why"] = {"zh": one.reason.zh, "en": one.reason.en}
    return content


def indicators(description: Description) -> tuple[Indicator, ...]:
    """Every indicator, in the order of the standard."""
    said = dict(_attested(description.file)) if description.file is not None else {}
    return tuple(
        Indicator(
            entry["code"], Bilingual(zh=entry["zh"], en=entry["en"]), entry["dimension"],
            tuple(figure for name in entry["figures"] if (figure := _FIGURES[name](description)) is not None),
            said.get(entry["code"], ()), Bilingual(zh=entry["why"]["zh"], en=entry["why"]["en"]),
        )
        for entry in _texts()["indicators"]
    )  # fmt: skip


# --- What people say ---------------------------------------------------------------------------------------------------


def _attested(file: ProductFile) -> Iterator[tuple[str, tuple[Attestation, ...]]]:
    """What the product file says, by the code of an indicator."""
    evidence = file.evidence
    holder = (file.holder.name.either("zh") if file.holder else "") or "product.yaml"
    papers = (("impact_assessment", evidence.impact_assessment), ("risk_assessment", evidence.risk_assessment))
    yield "0202", tuple(_of_paper(what, paper, holder) for what, paper in papers if paper is not None)
    source = [Attestation("source", holder, says=file.source)] if file.source else []
    yield "0205", (*source, *(Attestation("legal_basis", holder, says=basis) for basis in evidence.legal_basis))
    yield "0103", (_of_paper("ethics", evidence.ethics, holder),) if evidence.ethics else ()
    years = [Attestation("covers", holder, says=f"{file.covers.first} – {file.covers.last}")] if file.covers else []
    renewed = [Attestation("updated", holder, says=file.updated)] if file.updated else []
    yield "0303", (*years, *renewed)


def _of_paper(what: str, paper: Paper, holder: str) -> Attestation:
    return Attestation(what, paper.issued_by or holder, paper.number, paper.says)


# --- What is computed --------------------------------------------------------------------------------------------------


def _facts(name: str, given: Mapping[str, object]) -> Figure:
    """How many of the facts that are asked for are given."""
    lacking = tuple(fact for fact, value in given.items() if value in (None, "", (), {}, Bilingual()))
    return Figure(name, len(given) - len(lacking), len(given), lacking)


def _basic(description: Description) -> Figure | None:
    file = description.file
    if file is None:
        return None
    return _facts("facts_basic", {
        "title.zh": file.title.zh, "title.en": file.title.en, "description": file.description, "keywords": file.keywords,
        "holder": file.holder, "contact": file.contact, "published": file.published, "industry": file.industry,
        "security_level": file.security_level, "landing_page": file.landing_page,
    })  # fmt: skip


def _content(description: Description) -> Figure:
    file = description.file
    return _facts("facts_content", {
        "years": description.covers, "region": file.region if file else None,
        "limitations": file.limitations if file else None, "counts": description.counts or None,
        "sample": next((table.sample for table in description.tables if table.sample), None),
    })  # fmt: skip


def _explained(description: Description) -> Figure | None:
    columns = [column for table in description.tables for column in table.columns]
    told = sum(bool(column.meaning_zh and column.label_zh and column.column.meaning) for column in columns)
    return Figure("columns_explained", told, len(columns)) if columns else None


def _making(description: Description) -> Figure | None:
    file = description.file
    if file is None:
        return None
    return _facts("facts_making", {
        "source": file.source, "legal_basis": file.evidence.legal_basis, "ethics": file.evidence.ethics,
        "impact_assessment": file.evidence.impact_assessment, "permissions": description.has_permissions or None,
        "recipe": description.lock, "queries": description.queries, "inputs": description.inputs,
    })  # fmt: skip


def _use(description: Description) -> Figure | None:
    file = description.file
    if file is None:
        return None
    return _facts("facts_use", {
        "scenarios": file.scenarios, "limits": file.limits, "limitations": file.limitations, "duo": file.policy.duo,
        "updated": file.updated, "retention_until": file.retention_until, "attribution": file.policy.attribution,
    })  # fmt: skip


def _closed(description: Description) -> Figure | None:
    counted = [
        (column.column.values, column.spread.counts)
        for table in description.tables
        for column in table.columns
        if column.column.values and column.spread is not None and column.spread.others == 0
    ]
    kept = sum(set(counts) <= set(values) for values, counts in counted)
    return Figure("columns_closed", kept, len(counted)) if counted else None


def _direct(description: Description) -> Figure:
    columns = [column.column for table in description.tables for column in table.columns]
    direct = sum(column.identifying is Identifying.DIRECT for column in columns)
    return Figure("columns_direct", direct, len(columns))


def _labels(description: Description) -> Figure | None:
    names = {column.column.name for column in description.unit_table.columns}
    labels = [column for name, column in declared_labels(description.recipe).items() if name in names]
    return Figure("labels_closed", sum(map(_is_regular, labels)), len(labels)) if labels else None


def _is_regular(column: Column) -> bool:
    return column.is_closed or column.type not in {Type.STRING, Type.STRINGS}


def _required(description: Description) -> Figure | None:
    cells = [
        (table.rows, column.missing) for table in description.tables for column in table.columns if column.column.required
    ]
    whole = sum(rows for rows, _ in cells)
    return Figure("cells_required", whole - sum(missing for _, missing in cells), whole) if whole else None


def _filled(description: Description) -> Figure | None:
    whole = sum(table.rows * len(table.columns) for table in description.tables)
    missing = sum(column.missing for table in description.tables for column in table.columns)
    return Figure("cells_filled", whole - missing, whole) if whole else None


def _rows_agree(description: Description) -> Figure | None:
    tables = description.tables
    agree = sum(table.rows == sum(part.rows for part in table.parts) for table in tables)
    return Figure("rows_agree", agree, len(tables)) if tables else None


def _column(table: DescribedTable, name: str) -> DescribedColumn | None:
    return next((column for column in table.columns if column.column.name == name), None)


def _slides(description: Description, column: str) -> tuple[int, DescribedColumn] | None:
    """Rows and column of the table of slides; other tables have columns of these names that say something else."""
    for table in description.tables:
        told = _column(table, column)
        if table.table.name == "slides" and table.rows and told is not None:
            return table.rows, told
    return None


def _valued(description: Description, column: str, good: set[str], name: str) -> Figure | None:
    """Slides whose value is good; None where a count is too small to be told."""
    found = _slides(description, column)
    if found is None:
        return None
    rows, told = found
    if told.spread is None or told.spread.others != 0 or None in told.spread.counts.values():
        return None
    return Figure(name, sum(count or 0 for value, count in told.spread.counts.items() if value in good), rows)


def _without_duplicate(description: Description) -> Figure | None:
    found = _slides(description, "duplicate_of")
    return Figure("without_duplicate", found[1].missing, found[0]) if found is not None else None


def _distinct(description: Description) -> Figure | None:
    found = {
        f"{table.table.name}.{column.column.name}": column.distinct
        for table in description.tables
        for column in table.columns
        if column.distinct is not None and column.column.name in _DIVERSE
    }
    return Figure("distinct_values", found) if found else None


def _rows(description: Description) -> Figure | None:
    rows = {table.table.name: table.rows for table in description.tables}
    return Figure("rows_by_table", rows) if rows else None


def _sides(description: Description) -> Figure | None:
    return Figure("units_by_side", dict(description.split)) if description.split else None


def _wrong(description: Description) -> Figure | None:
    classes = (description.labels_quality or {}).get("classes", [])
    shares = {f"{one['label']}={one['value']}": one["error"] for one in classes if one["error"] is not None}
    return Figure("labels_wrong", shares) if shares else None


_FIGURES: Mapping[str, Callable[[Description], Figure | None]] = {
    "facts_basic": _basic,
    "facts_content": _content,
    "columns_explained": _explained,
    "facts_making": _making,
    "facts_use": _use,
    "columns_closed": _closed,
    "least_class": lambda description: Figure("least_class", description.evaluation.figures.k),
    "highest_risk": lambda description: Figure("highest_risk", description.evaluation.figures.highest),
    "level": lambda description: Figure("level", description.evaluation.risk.level),
    "columns_direct": _direct,
    "labels_closed": _labels,
    "cells_required": _required,
    "cells_filled": _filled,
    "rows_agree": _rows_agree,
    "links_sure": lambda description: _valued(description, "tier", _SURE, "links_sure"),
    "without_duplicate": _without_duplicate,
    "quality_ok": lambda description: _valued(description, "qc", {"ok"}, "quality_ok"),
    "readable": lambda description: _valued(description, "status", {"ok"}, "readable"),
    "distinct_values": _distinct,
    "rows_by_table": _rows,
    "units_by_side": _sides,
    "labels_wrong": _wrong,
}

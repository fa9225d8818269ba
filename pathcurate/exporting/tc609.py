"""A release as records of TC609-5-2025-02 (高质量数据集 格式要求): JSON lines, one record for each unit.

The names of the fields are second-hand (two public implementations agree on them). What the release does not say is null.
"""

import itertools
import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError
from pathcurate.exporting.rows import Made, batches, noted, schema_of
from pathcurate.metadata import POLICY_PATH
from pathcurate.model.description import URN
from pathcurate.model.productfile import PRODUCT_FILE
from pathcurate.model.recipe import UNIT_OF_TABLE
from pathcurate.model.recipe.levels import LEVEL_KEYS
from pathcurate.model.text import TEXTS
from pathcurate.productfile import load_product_file
from pathcurate.releases import Release

FILE_NAME = "records.jsonl"
_LABEL = "Label of the "
"""Begins the meaning of a label's column."""
_METHOD = "rules of the recipe"
_RELATED = ("case_id", "patient_id", "group_id", "index_event_id")
_SQL_BYTES = 1 << 29
_LOSSES = (
    "original_time is null: days are moved by a secret offset of each patient, so the release has no true one.",
    "generated_data_indicator is null: the release does not say whether anything in it is made up.",
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Form:
    """What all records of a release have in common.

    Attributes:
        table: whose rows are the units.
        key: the column that names a unit, None if the release does not show it.
        labels: the columns that the recipe made.
        columns: the others.
        related: those with codes of what a unit belongs to.
        common: the fields that are the same in every record.
    """

    table: str
    key: str | None
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    related: tuple[str, ...]
    common: Mapping[str, Any]


def write_tc609(release: Release, directory: Path) -> Made:
    """Write a record for each unit of a release.

    Raises:
        InputOutputError: the release's recipe does not say what its unit is.
    """
    form = _form(release)
    losses = [*_LOSSES, *_left_out(release, form)]
    number = 0
    with (directory / FILE_NAME).open("x", encoding="utf-8", newline="\n") as file:
        for number, (row, texts) in enumerate(_units(release, form, directory), 1):
            file.write(_encode(_record(form, row, texts, number)) + "\n")
    return Made({FILE_NAME: number}, tuple(losses))


def _form(release: Release) -> _Form:
    unit = _unit(release)
    table = next((name for name, of in UNIT_OF_TABLE.items() if of == unit), "")
    if table not in release.tables:
        raise InputOutputError(
            "the release's recipe does not name a unit whose table it holds",
            "Export it as CSV; `pathcurate validate` tells what is wrong with it.",
        )
    schema = schema_of(release, table)
    labels = tuple(field.name for field in schema if noted(field, "meaning").startswith(_LABEL))
    key = LEVEL_KEYS[unit][0]
    return _Form(
        table, key if key in schema.names else None, labels, tuple(name for name in schema.names if name not in labels),
        tuple(name for name in _RELATED if name in schema.names and name != key), _common(release),
    )  # fmt: skip


def _unit(release: Release) -> str:
    path = release.directory / "provenance" / "recipe.lock.yaml"
    try:
        recipe = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, RecursionError):
        recipe = None
    return str(recipe.get("unit")) if isinstance(recipe, dict) else ""


def _common(release: Release) -> dict[str, Any]:
    product = release.directory / PRODUCT_FILE
    file = load_product_file(product) if product.is_file() else None
    holder = file.holder.name.either("zh") if file is not None and file.holder is not None else ""
    return {
        "original_time": None,
        "last_modified_time": release.manifest.get("published"),
        "version": release.version,
        "license": POLICY_PATH if (release.directory / POLICY_PATH).is_file() else None,
        "source": holder or None,
        "source_details": f"{URN}:{release.name}:{release.version} {release.digest}",
        "generated_data_indicator": None,
    }


def _left_out(release: Release, form: _Form) -> Iterator[str]:
    others = [name for name in release.tables if name not in {form.table, TEXTS.name}]
    if others:
        yield f"Left out: the tables {', '.join(others)}; a record is one row of {form.table}."
    if form.labels:
        yield "annotator is null: rules of the recipe made the labels from the data, and nobody is named."
    if form.key is None:
        yield f"id is a running number: {form.table} does not show the codes of its rows."
    if TEXTS.name in release.tables:
        owner = _owner(form)
        if owner is None:
            yield "Left out: the texts; no column says which case or patient a unit belongs to."
        else:
            whose = owner.removesuffix("_id")
            yield f"Each unit has all texts of its {whose}; which report and section they are of is not told."
    if any(pa.types.is_list(field.type) for field in schema_of(release, form.table)):
        yield "Lists stay lists inside of the content, which is JSON as text."


def _owner(form: _Form) -> str | None:
    """The column by which texts belong to units: the case, or the patient of units without one."""
    return next((name for name in ("case_id", "patient_id") if name in form.columns), None)


def _units(release: Release, form: _Form, directory: Path) -> Iterator[tuple[Row, list[str]]]:
    """Every unit with its texts; with texts in the order of their owners, else as they stand."""
    owner = _owner(form) if TEXTS.name in release.tables else None
    if owner is None:
        for batch in batches(release, form.table):
            yield from ((row, []) for row in batch.to_pylist())
        return
    order = f'"{owner}" NULLS FIRST' + (f', "{form.key}"' if form.key else "")
    with (
        tempfile.TemporaryDirectory(prefix=".spill-", dir=directory) as spill,
        Embedded(workers=1, temp_directory=Path(spill) / "units", memory_limit_bytes=_SQL_BYTES) as units,
        Embedded(workers=1, temp_directory=Path(spill) / "texts", memory_limit_bytes=_SQL_BYTES) as texts,
    ):
        units.view("units", release.paths(form.table))
        texts.view("texts", release.paths(TEXTS.name))
        said = _rows(texts, f'SELECT "{owner}", text FROM texts WHERE "{owner}" IS NOT NULL ORDER BY "{owner}", '
                            "report_id, text_column")  # fmt: skip
        yield from joined(_rows(units, f"SELECT * FROM units ORDER BY {order}"), said, owner)


def _rows(engine: Embedded, sql: str) -> Iterator[Row]:
    for batch in engine.batches(sql):
        yield from batch.to_pylist()


def joined(units: Iterable[Row], texts: Iterable[Row], owner: str) -> Iterator[tuple[Row, list[str]]]:
    """Each unit with the texts of its owner; those of one owner are held at a time.

    Args:
        units: in the order of their owners, those without one first.
        texts: in the order of their owners, too.
        owner: the column with the owner's code.
    """
    owners = itertools.groupby(texts, key=lambda row: row[owner])
    current: str | None = None
    held: list[str] = []
    for unit in units:
        wanted = unit[owner]
        while wanted is not None and (current is None or current < wanted):
            found = next(owners, None)
            if found is None:
                current, held = wanted, []
            else:
                current, held = found[0], [row["text"] for row in found[1]]
        yield unit, held if wanted is not None and current == wanted else []


def _record(form: _Form, row: Row, texts: list[str], number: int) -> dict[str, Any]:
    content = {name: row[name] for name in form.columns}
    labels = [f"{name}={_as_text(row[name])}" for name in form.labels if row[name] is not None]
    parts = [{"media_type": "application/json", "content": _json(content)}]
    return {
        "id": row[form.key] if form.key else str(number),
        "rid": [row[name] for name in form.related if row[name] is not None],
        "data_content": parts + [{"media_type": "text/plain", "content": text} for text in texts],
        "annotation": {"label": labels, "annotation_method": _METHOD if form.labels else None, "annotator": None},
        **form.common,
    }


def _as_text(value: Any) -> str:
    return str(value) if isinstance(value, str | date) else _json(value)


def _day(value: date) -> str:
    return value.isoformat()


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_day).encode


def _json(value: Any) -> str:
    try:
        return _encode(value)
    except ValueError:
        # JSON has no word for a number that is none.
        return _encode({name: None if isinstance(one, float) and not math.isfinite(one) else one
                        for name, one in value.items()} if isinstance(value, dict) else None)  # fmt: skip

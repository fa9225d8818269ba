"""Compares two versions of a product, by what their releases hold: rows by key, columns, splits, attrition and recipe."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from pathcurate.digests import TableIdentity, row_digests
from pathcurate.errors import InputOutputError, UsageError, VersionError
from pathcurate.model.deidentified import SPLIT, UNIT_KEYS
from pathcurate.model.diff import (
    Bump,
    ColumnChanges,
    CountChange,
    Difference,
    Reason,
    RecipeChanges,
    RowChanges,
    StepChange,
    TableDifference,
    version_step,
)
from pathcurate.releases import Release, version_key
from pathcurate.tables import column_values, read_parquet, read_schema

_OWNERS = ("patient_id", "group_id")
_TRAITS = (b"unit", b"identifying")
_PLAIN = (pa.string(), pa.int64(), pa.bool_(), pa.date32())


@dataclass(frozen=True, slots=True)
class TableContents:
    """One table of a version.

    Attributes:
        key: columns that identify its rows, none if it holds no such columns.
        identity: its digests, by which tables that are the same are known without being read.
        schema: its columns.
        read: gives its rows.
    """

    key: tuple[str, ...]
    identity: TableIdentity
    schema: pa.Schema
    read: Callable[[], pa.Table]


@dataclass(frozen=True, slots=True)
class Contents:
    """What of one version is compared.

    Attributes:
        product: name of the product.
        version: its version.
        tables: by name.
        counts: slides, cases and patients.
        has_permissions: whether permission lists stand behind it.
        attrition: as :meth:`pathcurate.model.attrition.Attrition.as_dict` gives it.
        recipe: the resolved recipe.
        digest: of the release; empty for one that is not built yet.
    """

    product: str
    version: str
    tables: Mapping[str, TableContents]
    counts: Mapping[str, int]
    has_permissions: bool
    attrition: Mapping[str, Any]
    recipe: Mapping[str, Any]
    digest: str = ""


def release_contents(release: Release) -> Contents:
    """What a release holds; its bytes must have been verified.

    Raises:
        InputOutputError: its attrition or its recipe cannot be read.
    """
    tables = {
        name: TableContents(
            tuple(entry["key"]),
            {"digest": entry["table_digest"], "rows": entry["rows"], "schema_sha256": entry["schema_sha256"]},
            read_schema(release.directory / entry["path"]),
            partial(read_parquet, release.directory / entry["path"]),
        )
        for name, entry in release.tables.items()
    }
    try:
        attrition = json.loads(_read(release.directory, "quality/attrition.json"))
        recipe = yaml.safe_load(_read(release.directory, "provenance/recipe.lock.yaml"))
        for step in attrition["steps"]:
            _ = step["id"], step["dropped"], step["remaining"][_level(attrition)]
        _criteria(recipe)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        raise InputOutputError(
            f"{release.name} {release.version} has no attrition or no recipe that can be read",
            "Compare releases that `pathcurate manifest build` made.",
        ) from None
    return Contents(
        release.name, release.version, tables, release.manifest["counts"],
        release.manifest["permissions"]["configured"], attrition, recipe, release.digest,
    )  # fmt: skip


def _read(directory: Path, relpath: str) -> bytes:
    return (directory / relpath).read_bytes()


def compare(before: Contents, after: Contents) -> Difference:
    """What changed from one version of a product to another.

    Raises:
        UsageError: they are of different products, whose pseudonyms have nothing in common.
        InputOutputError: a table cannot be read.
    """
    if before.product != after.product:
        raise UsageError(
            f"{before.product} and {after.product} are two products, and no row of one can be found in the other",
            "Give two versions of one product.",
        )
    gone = tuple(name for name in before.tables if name not in after.tables)
    new = tuple(name for name in after.tables if name not in before.tables)
    counts = {unit: CountChange(count, after.counts[unit], None, None) for unit, count in before.counts.items()}
    tables = {}
    for name in before.tables:
        if name in after.tables:
            tables[name], named = _compared(name, before.tables[name], after.tables[name])
            counts |= {unit: CountChange(counts[unit].before, counts[unit].after, *named[unit]) for unit in named}
    recipe = _recipe_changes(before.recipe, after.recipe)
    is_same = bool(before.digest) and before.digest == after.digest
    reasons = [
        *(Reason(Bump.MAJOR, f"table {name} was removed") for name in gone),
        *(reason for name, table in tables.items() for reason in _table_reasons(name, table)),
        *_guarantee_reasons(before, after),
        *(Reason(Bump.MINOR, f"table {name} was added") for name in new),
    ]
    if not reasons and not is_same:
        reasons = [Reason(Bump.PATCH, "only the packaging changed")]
    return Difference(
        before.product, before.version, after.version, is_same, counts, new, gone, tables,
        _step_changes(before.attrition, after.attrition), recipe,
        tuple(sorted(reasons, key=lambda reason: -reason.bump.rank)),
    )  # fmt: skip


def check_version(difference: Difference) -> None:
    """Refuse a version that is a smaller step than the changes demand.

    Raises:
        VersionError: it is; says which version would do, and why.
    """
    if not is_enough(difference):
        raise VersionError(
            f"{difference.after} is too small: {difference.reason}, which needs at least {difference.least_version}",
            f"Set `version` in the recipe to {difference.least_version} or higher, or undo the change "
            f"since {difference.before}.",
        )


def is_enough(difference: Difference) -> bool:
    """Whether the later version is at least the step above the earlier one that the changes demand."""
    if difference.bump is Bump.NONE:
        return True
    if version_key(difference.after) <= version_key(difference.before):
        return False
    return version_step(difference.before, difference.after).rank >= difference.bump.rank


# --- Tables ------------------------------------------------------------------------------------------------------

_Named = dict[str, tuple[int, int]]


def _compared(name: str, before: TableContents, after: TableContents) -> tuple[TableDifference, _Named]:
    try:
        return _compare_table(before, after)
    except (TypeError, LookupError, pa.ArrowException) as error:
        # Types and names that no release of ours has. Arrow may quote what it met, so only the kind of error is told.
        raise InputOutputError(
            f"table {name} cannot be compared: it has columns that no release has ({type(error).__name__})",
            "Compare releases that `pathcurate manifest build` made; `pathcurate validate` says what is wrong with others.",
        ) from None


def _compare_table(before: TableContents, after: TableContents) -> tuple[TableDifference, _Named]:
    """What became of a table, and for each unit that it names how many were added and removed."""
    columns = _column_changes(before.schema, after.schema)
    units = {
        f"{unit}s": name for unit, name in UNIT_KEYS.items() if name in before.schema.names and name in after.schema.names
    }
    is_rekeyed = before.key != after.key
    if before.identity == after.identity:
        rows = RowChanges(0, 0, 0, after.identity["rows"], {})
        return TableDifference(is_rekeyed, rows, columns, 0), dict.fromkeys(units, (0, 0))
    old, new = before.read(), after.read()
    common = [name for name in old.column_names if name in new.column_names and name not in columns.retyped]
    key = () if is_rekeyed else before.key
    if key and set(key) <= set(common) and _is_unique(old, key) and _is_unique(new, key):
        rows = _rows_by_key(old, new, key, common)
    else:
        rows = _rows_by_content(old.select(common), new.select(common))
    named = {unit: _set_changes(old[name], new[name]) for unit, name in units.items()}
    return TableDifference(is_rekeyed, rows, columns, _moved(old, new)), named


def _column_changes(old: pa.Schema, new: pa.Schema) -> ColumnChanges:
    common = [name for name in old.names if name in new.names]
    retyped = tuple(name for name in common if _traits(old.field(name)) != _traits(new.field(name)))
    return ColumnChanges(
        tuple(name for name in new.names if name not in old.names),
        tuple(name for name in old.names if name not in new.names),
        retyped,
        tuple(name for name in common if new.field(name).nullable and not old.field(name).nullable),
        tuple(name for name in common if old.field(name).nullable and not new.field(name).nullable),
    )


def _traits(column: "pa.Field[Any]") -> tuple[object, ...]:
    # The meaning is wording, which may be mended; unit and identifying class say what a value is.
    notes = column.metadata or {}
    return (column.type, *(notes.get(name, b"") for name in _TRAITS))


def _key_texts(data: pa.Table, key: Sequence[str]) -> "pa.Array[Any]":
    if len(key) == 1:
        return data[key[0]].combine_chunks()
    return pa.array(row_digests(data.select(list(key))), pa.binary())


def _is_unique(data: pa.Table, key: Sequence[str]) -> bool:
    return bool(pc.count_distinct(_key_texts(data, key), mode="all").as_py() == data.num_rows)


def _rows_by_key(old: pa.Table, new: pa.Table, key: Sequence[str], common: Sequence[str]) -> RowChanges:
    places = pc.index_in(_key_texts(new, key), value_set=_key_texts(old, key))
    kept_new = new.filter(pc.is_valid(places))
    kept_old = old.take(places.drop_null())
    changed: set[int] = set()
    by_column: dict[str, int] = {}
    for name in common:
        differing = _differing(kept_old.select([name]), kept_new.select([name]))
        if differing:
            by_column[name] = len(differing)
            changed.update(differing)
    kept = kept_new.num_rows
    return RowChanges(new.num_rows - kept, old.num_rows - kept, len(changed), kept - len(changed), by_column)


def _differing(old: pa.Table, new: pa.Table) -> list[int]:
    """Numbers of the rows in which two columns differ."""
    left, right = old.column(0), new.column(0)
    if left.equals(right):
        return []
    rows: Sequence[int] = range(old.num_rows)
    if left.type in _PLAIN:
        # Most rows are the same, and Arrow sees that faster.
        both_missing = pc.and_(pc.is_null(left), pc.is_null(right))
        equal: Any = pc.coalesce(pc.equal(left, right), pa.scalar(value=False))
        rows = np.flatnonzero(~pc.or_(equal, both_missing).to_numpy()).tolist()
        old, new = old.take(rows), new.take(rows)
    # By digest, so that what counts as the same value is what the tables' digests say (NFC, NaN, -0.0).
    pairs = zip(rows, row_digests(old), row_digests(new), strict=True)
    return [row for row, before, after in pairs if before != after]


def _rows_by_content(old: pa.Table, new: pa.Table) -> RowChanges:
    left, right = Counter(row_digests(old)), Counter(row_digests(new))
    return RowChanges((right - left).total(), (left - right).total(), 0, (left & right).total(), {})


def _set_changes(old: "pa.ChunkedArray[Any]", new: "pa.ChunkedArray[Any]") -> tuple[int, int]:
    left, right = pc.unique(old).drop_null(), pc.unique(new).drop_null()
    kept = len(right.filter(pc.is_in(right, value_set=left)))
    return len(right) - kept, len(left) - kept


def _moved(old: pa.Table, new: pa.Table) -> int:
    both = set(old.column_names) & set(new.column_names)
    owner = next((name for name in _OWNERS if name in both), None)
    if owner is None or SPLIT.name not in both:
        return 0
    left, right = _sides(old, owner), _sides(new, owner)
    return sum(sides != right[member] for member, sides in left.items() if member in right)


def _sides(data: pa.Table, owner: str) -> dict[Any, frozenset[Any]]:
    pairs = data.select([owner, SPLIT.name]).group_by([owner, SPLIT.name]).aggregate([])
    sides: dict[Any, set[Any]] = {}
    for member, side in zip(column_values(pairs, owner), column_values(pairs, SPLIT.name), strict=True):
        if member is not None:
            sides.setdefault(member, set()).add(side)
    return {member: frozenset(found) for member, found in sides.items()}


# --- Reasons -----------------------------------------------------------------------------------------------------


def _table_reasons(name: str, table: TableDifference) -> Iterator[Reason]:
    rows, columns = table.rows, table.columns
    if table.is_rekeyed:
        yield Reason(Bump.MAJOR, f"other columns identify the rows of table {name}")
    for changed, bump, what in (
        (columns.removed, Bump.MAJOR, "was removed"),
        (columns.retyped, Bump.MAJOR, "has another type, unit or identifying class"),
        (columns.loosened, Bump.MAJOR, "may now have no value"),
    ):
        yield from (Reason(bump, f"column {name}.{column} {what}") for column in changed)
    if rows.removed:
        yield Reason(Bump.MAJOR, f"{_were(rows.removed, 'row')} removed")
    if table.moved:
        yield Reason(Bump.MAJOR, f"{_were(table.moved, 'patient')} moved to another side of the split")
    if rows.changed:
        yield Reason(Bump.MAJOR, f"{_were(rows.changed, 'row')} edited ({', '.join(rows.by_column)})")
    if rows.added:
        yield Reason(Bump.MINOR, f"{_were(rows.added, 'row')} added")
    yield from (Reason(Bump.MINOR, f"column {name}.{column} was added") for column in columns.added)
    yield from (Reason(Bump.MINOR, f"column {name}.{column} now has a value in every row") for column in columns.tightened)


def _were(count: int, noun: str) -> str:
    return f"{count:,} {noun} was" if count == 1 else f"{count:,} {noun}s were"


def _guarantee_reasons(before: Contents, after: Contents) -> Iterator[Reason]:
    if before.has_permissions and not after.has_permissions:
        yield Reason(Bump.MAJOR, "no permission list stands behind it any more")
    if before.recipe.get("purpose") != after.recipe.get("purpose"):
        yield Reason(Bump.MAJOR, "it is for another purpose")


# --- Attrition and recipe ----------------------------------------------------------------------------------------


def _level(attrition: Mapping[str, Any]) -> str:
    """The finest level that an attrition counts; releases of before 0.8.0 do not say it."""
    return str(attrition["levels"][0]) if "levels" in attrition else "slides"


def _step_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[StepChange, ...]:
    left = {step["id"]: step for step in old["steps"]}
    right = {step["id"]: step for step in new["steps"]}
    return tuple(
        StepChange(
            name,
            (left[name]["dropped"] if name in left else None, right[name]["dropped"] if name in right else None),
            (
                left[name]["remaining"][_level(old)] if name in left else None,
                right[name]["remaining"][_level(new)] if name in right else None,
            ),
        )
        for name in dict.fromkeys((*right, *left))
    )


def _criteria(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {
        criterion["id"]: {**criterion, "part": part} for part in ("include", "exclude") for criterion in recipe.get(part, ())
    }


def _recipe_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> RecipeChanges:
    left, right = _criteria(old), _criteria(new)
    order = [name for name in left if name in right]
    keys = sorted({*old, *new} - {"include", "exclude", "version"})
    return RecipeChanges(
        tuple(name for name in right if name not in left),
        tuple(name for name in left if name not in right),
        tuple(name for name in order if left[name] != right[name]),
        order != [name for name in right if name in left],
        tuple(key for key in keys if old.get(key) != new.get(key)),
    )

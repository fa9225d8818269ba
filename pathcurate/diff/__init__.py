"""Compares two versions of a product by what they hold, and says the least step of its version that the changes demand.

Rows by key, columns, splits, spreads, attrition and recipe; the terms of use, what is told about people, and the scorecard.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from pathcurate.diff.causes import row_causes
from pathcurate.diff.contents import Contents, TableContents, criteria, finest_level
from pathcurate.diff.rows import Compared, compare_rows
from pathcurate.diff.schema import column_changes, schema_changes
from pathcurate.diff.strata import is_stratum, label_columns, least_cell, stratum
from pathcurate.diff.terms import privacy_changes, quality_changes, term_changes
from pathcurate.errors import InputOutputError, UsageError, VersionError
from pathcurate.model.deidentified import UNIT_KEYS
from pathcurate.model.diff import (
    Bump,
    ColumnChanges,
    CountChange,
    Difference,
    Reason,
    RecipeChanges,
    RowChanges,
    StepChange,
    Stratum,
    TableDifference,
    version_step,
)
from pathcurate.releases import version_key

KeySink = Callable[[pa.Table], None]
"""Takes rows of ``table``, ``key`` (its parts as text) and ``change``: ``added``, ``removed`` or ``changed``."""
CohortCauses = Mapping[str, Mapping[str, int | str]]


def compare(
    before: Contents,
    after: Contents,
    *,
    keys: KeySink | None = None,
    cohort: CohortCauses | None = None,
    has_withdrawn: bool = False,
) -> Difference:
    """What changed from one version of a product to another.

    Args:
        before: the earlier version.
        after: the later one.
        keys: is given the key of each row that came, went or differs, for each table that has keys.
        cohort: why units came and went, as :func:`pathcurate.diff.causes.cohort_causes` says it.
        has_withdrawn: whether somebody of the earlier version has withdrawn, and is not in the later one.

    Raises:
        UsageError: they are of different products, whose pseudonyms have nothing in common.
        InputOutputError: a table cannot be read, or has columns that no release has.
    """
    if before.product != after.product:
        raise UsageError(
            f"{before.product} and {after.product} are two products, and no row of one can be found in the other",
            "Give two versions of one product.",
        )
    both = [name for name in before.tables if name in after.tables]
    gone = tuple(name for name in before.tables if name not in after.tables)
    new = tuple(name for name in after.tables if name not in before.tables)
    tables: dict[str, TableDifference] = {}
    units: dict[str, dict[str, tuple[int, int, int]]] = {}
    strata: list[Stratum] = []
    for name in both:
        look = _Look(before, after, name)
        tables[name], units[name] = _guarded(look, keys)
        strata += look.strata
    required = {name: frozenset(field.name for field in after.tables[name].schema if not field.nullable) for name in both}
    is_same = bool(before.digest) and before.digest == after.digest
    difference = Difference(
        before.product, before.version, after.version, is_same, _counts(before, after, units), new, gone, tables,
        _step_changes(before.attrition, after.attrition), _recipe_changes(before.recipe, after.recipe), (),
        tuple(schema_changes(gone, new, tables, required)), term_changes(before.file, after.file),
        tuple(privacy_changes(before, after)), tuple(quality_changes(before.scorecard, after.scorecard)), tuple(strata),
        {} if is_same else cohort or {},
    )  # fmt: skip
    return replace(difference, reasons=_reasons(before, after, difference, has_withdrawn=has_withdrawn))


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

_Units = dict[str, tuple[int, int, int]]


class _Look:
    """One table of both versions while it is compared.

    Attributes:
        strata: how its units are spread, if it is the table of units.
    """

    def __init__(self, before: Contents, after: Contents, name: str) -> None:
        self.name, self.versions = name, (before, after)
        self.before: TableContents = before.tables[name]
        self.after: TableContents = after.tables[name]
        self.strata: list[Stratum] = []
        self._labels = {*label_columns(before.recipe), *label_columns(after.recipe)}
        self._cell = least_cell(before.recipe, after.recipe)
        self._is_of_units = name == after.unit_table

    def compared(self) -> tuple[TableDifference, Compared]:
        before, after = self.before, self.after
        columns = column_changes(before.schema, after.schema)
        is_rekeyed = before.key != after.key
        if before.identity == after.identity:
            rows = after.identity["rows"]
            same = Compared(rows, 0, 0)
            same.units = {f"{unit}s": (0, 0, 0) for unit, key in UNIT_KEYS.items() if key in after.schema.names}
            return TableDifference(is_rekeyed, RowChanges(0, 0, 0, rows, {}), columns, 0), same
        common = [name for name in before.schema.names if name in after.schema.names and name not in columns.retyped]
        found = compare_rows(before, after, () if is_rekeyed else before.key, common, self._see)
        return self._told(is_rekeyed, columns, found), found

    def _see(self, name: str, old: "pa.ChunkedArray[Any]", new: "pa.ChunkedArray[Any]") -> None:
        if self._is_of_units and is_stratum(name, self.before.schema.field(name).type, self._labels):
            found = stratum(name, old, new, self._cell)
            self.strata += [found] if found.shares else []

    def _told(self, is_rekeyed: bool, columns: ColumnChanges, found: Compared) -> TableDifference:
        changed = len(found.changed)
        by_column = {name: len(rows) for name, rows in found.by_column.items()}
        rows = RowChanges(found.added, found.removed, changed, found.kept - changed, by_column)
        causes = row_causes(*self.versions, self.before.schema, found)
        return TableDifference(is_rekeyed, rows, columns, sum(found.moves.values()), found.moves, causes)


def _guarded(look: _Look, keys: KeySink | None) -> tuple[TableDifference, _Units]:
    try:
        table, found = look.compared()
        if keys is not None and found.keys is not None:
            keys(found.keys.add_column(0, "table", pa.array([look.name] * found.keys.num_rows, pa.string())))
    except (TypeError, LookupError, ValueError, MemoryError, StopIteration, pa.ArrowException) as error:
        # Types and names that no release of ours has. Arrow may quote what it met, so only the kind of error is told.
        raise InputOutputError(
            f"table {look.name} cannot be compared: it has columns that no release has ({type(error).__name__})",
            "Compare releases that `pathcurate manifest build` made; `pathcurate validate` says what is wrong with others.",
        ) from None
    return table, found.units


def _counts(before: Contents, after: Contents, units: Mapping[str, _Units]) -> dict[str, CountChange]:
    """Slides, cases and patients: who came and went is told by the table of that key, else by that of the units."""
    counts = {}
    for unit, count in before.counts.items():
        order = sorted(units, key=lambda name: (name != unit, name != after.unit_table))
        named = next((units[name][unit] for name in order if unit in units[name]), (None, None, None))
        counts[unit] = CountChange(count, after.counts[unit], *named)
    return counts


# --- Reasons -----------------------------------------------------------------------------------------------------


def _reasons(before: Contents, after: Contents, difference: Difference, *, has_withdrawn: bool) -> tuple[Reason, ...]:
    reasons = [
        *([Reason(Bump.MAJOR, "withdrawal: what somebody has withdrawn is no longer in it")] if has_withdrawn else []),
        *(Reason(Bump.MAJOR, f"table {name} was removed") for name in difference.tables_removed),
        *(reason for name, table in difference.tables.items() for reason in _table_reasons(name, table)),
        *_guarantee_reasons(before, after),
        *_promise_reasons(difference, is_same_tool=before.tool == after.tool),
        *(Reason(Bump.MINOR, f"table {name} was added") for name in difference.tables_added),
    ]
    if not reasons and not difference.is_same:
        reasons = [Reason(Bump.PATCH, "only the packaging changed")]
    return tuple(sorted(reasons, key=lambda reason: -reason.bump.rank))


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


_PROMISES = {"scenario": "the circle that the profile is for", "k_required": "how many persons must be alike"}


def _promise_reasons(difference: Difference, *, is_same_tool: bool) -> Iterator[Reason]:
    for figure in difference.privacy:
        if figure.name in _PROMISES:
            bump = Bump.MINOR if figure.effect == "tightened" else Bump.MAJOR
            yield Reason(bump, f"{_PROMISES[figure.name]} was {figure.effect}")
        elif figure.name == "profile_digest" and is_same_tool:
            yield Reason(Bump.MAJOR, "the de-identification profile has other rules")
        elif figure.name == "profile_digest":
            # Another program has rules for other columns; what it does otherwise to these shows in their rows.
            yield Reason(Bump.MINOR, "the de-identification profile, or the program, has other rules")
    for term in difference.terms:
        yield Reason(term.bump, f"{term.term} was {term.effect}")


# --- Attrition and recipe ----------------------------------------------------------------------------------------


def _step_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[StepChange, ...]:
    left = {step["id"]: step for step in old["steps"]}
    right = {step["id"]: step for step in new["steps"]}
    return tuple(
        StepChange(
            name,
            (left[name]["dropped"] if name in left else None, right[name]["dropped"] if name in right else None),
            (
                left[name]["remaining"][finest_level(old)] if name in left else None,
                right[name]["remaining"][finest_level(new)] if name in right else None,
            ),
        )
        for name in dict.fromkeys((*right, *left))
    )


def _recipe_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> RecipeChanges:
    left, right = criteria(old), criteria(new)
    order = [name for name in left if name in right]
    keys = sorted({*old, *new} - {"include", "exclude", "version"})
    return RecipeChanges(
        tuple(name for name in right if name not in left),
        tuple(name for name in left if name not in right),
        tuple(name for name in order if left[name] != right[name]),
        order != [name for name in right if name in left],
        tuple(key for key in keys if old.get(key) != new.get(key)),
    )

"""Rows of a release with what stands behind them, and which of them go out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute

from pathcurate.errors import PlanIncompleteError
from pathcurate.model.deidentified import DEID_TABLES, SPLITS_RELEASED
from pathcurate.model.recipe.declared import INDEX_EVENT
from pathcurate.model.text import REMOVALS, TEXT_SPANS, TEXTS
from pathcurate.pseudonyms import Layer, moves_between
from pathcurate.recoding.behind import OWNERS, Behind, owner_key
from pathcurate.recoding.codes import code_columns, whole
from pathcurate.recoding.texts import Key
from pathcurate.tables import column_values

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
OF_TEXTS = (REMOVALS.name, TEXT_SPANS.name)
"""Tables about places of texts."""
_GROUPS = frozenset("QGNU")
"""Kinds of codes of groups, which are others when the archive has grown: they say who belongs together, never who it is."""


@dataclass(slots=True, repr=False)
class Rows:
    """A table of a release on its way.

    Attributes:
        name: of the table.
        key: columns that name a row.
        data: rows in the product's codes.
        kinds: its columns of codes, each with their letter.
        inside: the same columns in internal codes.
        owners: what ``deid/`` says of each row, None if it cannot be asked.
        persons: by whose offset each row's days move, None if nothing says.
        unknown: which rows nothing stands behind any more.
        kept: which rows go out.
    """

    name: str
    key: tuple[str, ...]
    data: pa.Table
    kinds: Mapping[str, str]
    inside: pa.Table
    owners: pa.Table | None
    persons: Any
    unknown: Any
    kept: Any

    @property
    def days(self) -> tuple[str, ...]:
        """Columns of days."""
        return tuple(one.name for one in self.data.schema if pa.types.is_date(one.type))

    @property
    def patients(self) -> Any:
        """Internal codes of the persons whose rows they are; None if nothing says."""
        source = self.inside if "patient_id" in self.kinds else self.owners
        return whole(source["patient_id"]) if source is not None and "patient_id" in source.column_names else None

    def texts(self, *, kept: bool) -> list[Key]:
        """Of which text each row is; of the rows that go out, or of all."""
        reports, data = self.inside["report_id"], self.data
        if kept:
            reports, data = reports.filter(self.kept), data.filter(self.kept)
        return list(zip(reports.to_pylist(), column_values(data, "text_column"), strict=True))

    def values(self, column: str, *, kept: bool) -> Any:
        """The product's codes in a column, each once; of the rows that go out, or of all."""
        values = whole(self.data[column])
        return pc.unique(values.filter(self.kept) if kept else values).drop_null()

    def drop(self, mask: Any) -> int:
        """Take rows out; how many there were."""
        going = pc.and_(self.kept, mask)
        self.kept = pc.and_(self.kept, pc.invert(mask))
        return int(pc.sum(going).as_py() or 0)


def rows_behind(name: str, key: tuple[str, ...], data: pa.Table, behind: Behind, layers: tuple[Layer, Layer]) -> Rows:
    """The rows of a table with what stands behind them.

    Args:
        name: of the table.
        key: columns that name a row.
        data: its rows, in the product's codes.
        behind: leads back to the internal ones.
        layers: the internal one and the product's.

    Raises:
        PlanIncompleteError: nothing says whose the rows are.
        DisclosureRefusedError: a column holds codes among other values.
    """
    kinds = code_columns(name, data.drop_columns(["text"]) if name == TEXTS.name else data)
    inside = {column: behind.internal(kind, data[column]) for column, kind in kinds.items()}
    unknown = _none_of(data)
    for column, kind in kinds.items():
        lost = pc.and_(pc.is_null(inside[column]), pc.is_valid(whole(data[column])))
        if kind in _GROUPS:
            # The product's own code still says who belongs together.
            inside[column] = pc.if_else(lost, whole(data[column]), inside[column])
        else:
            unknown = pc.or_(unknown, lost)
    codes = pa.Table.from_arrays(list(inside.values()), names=list(inside)) if inside else data.select([])
    rows = Rows(name, key, data, kinds, codes, None, None, unknown, pc.invert(_none_of(data)))
    _own(rows, behind)
    if rows.days:
        _demand_days(rows, layers)
    return rows


def _none_of(data: pa.Table) -> Any:
    return pa.repeat(pa.scalar(value=False), data.num_rows)


def _own(rows: Rows, behind: Behind) -> None:
    """Find whose the rows are."""
    by = str(owner_key(rows.name))
    if not rows.kinds.keys() & {by, *OWNERS.values()}:
        raise _nobodys(rows.name)
    if by in rows.kinds:
        rows.owners = behind.rows(rows.name, rows.inside[by], rows.days)
        if rows.name in DEID_TABLES:
            is_lost = whole(pc.and_(pc.is_null(rows.owners[by]), pc.is_valid(rows.inside[by])))
            rows.unknown = pc.or_(rows.unknown, is_lost)
    if (patients := rows.patients) is not None:
        # A slide of nobody has an offset of its own.
        rows.persons = pc.coalesce(patients, whole(rows.inside[by])) if by in rows.kinds else patients
    elif by in rows.kinds:
        rows.persons = whole(rows.inside[by])


def _demand_days(rows: Rows, layers: tuple[Layer, Layer]) -> None:
    """Days move by their owner's offset; where ``deid/`` alone says who that is, it must say what it said then."""
    if rows.persons is None:
        raise _nobodys(rows.name)
    has_no_owner = pc.and_(pc.is_null(rows.persons), pc.invert(rows.unknown))
    if pc.any(has_no_owner).as_py():
        raise _nobodys(rows.name)
    if "patient_id" in rows.kinds or rows.owners is None:
        return
    moves = moves_between(*layers, rows.persons)
    for name in rows.days:
        if name in rows.owners.column_names:
            now = pc.add(whole(rows.owners[name]).cast(pa.int32()), moves)
            differs = pc.not_equal(now, whole(rows.data[name]).cast(pa.int32())).fill_null(fill_value=False)
            rows.unknown = pc.or_(rows.unknown, differs)


def _nobodys(name: str) -> PlanIncompleteError:
    return PlanIncompleteError(
        f"table {name} of the release does not say whose its rows are, so its days cannot be moved and nobody who withdrew "
        "can be left out",
        "Build a version whose table has its key, and deliver that.",
    )


def drop_beside(tables: Mapping[str, Rows], unit_table: str) -> dict[str, int]:
    """Take out what hung on rows that do not go out: on the units, then on rows of the other tables.

    Returns:
        How many rows of each table were taken out.
    """
    found = dict.fromkeys(tables, 0)
    unit = tables[unit_table]
    others = [rows for rows in tables.values() if rows is not unit]
    _follow(unit, [column for column, kind in unit.kinds.items() if kind not in _GROUPS], others, found)
    for rows in others:
        if rows.name in DEID_TABLES and rows.key == (owner_key(rows.name),) and rows.key[0] in rows.kinds:
            _follow(rows, rows.key, [other for other in others if other is not rows], found)
        elif rows.name == TEXTS.name:
            _follow(rows, ("report_id",), [other for other in others if other.name in OF_TEXTS], found)
    if (splits := tables.get(SPLITS_RELEASED.name)) is not None:
        speaking = [rows for rows in tables.values() if rows is not splits and "patient_id" in rows.kinds]
        _lose(splits, "patient_id", _lost(speaking, "patient_id"), found)
    return found


def _follow(rows: Rows, columns: Sequence[str], others: Iterable[Rows], found: dict[str, int]) -> None:
    for column in columns:
        lost = _lost([rows], column)
        for other in others if len(lost) else ():
            for name in (column, INDEX_EVENT.name) if column == "event_id" else (column,):
                if name in other.kinds:
                    _lose(other, name, lost, found)


def _lose(rows: Rows, column: str, lost: Any, found: dict[str, int]) -> None:
    if len(lost):
        found[rows.name] += rows.drop(whole(pc.is_in(rows.data[column], value_set=lost)))


def _lost(tables: Sequence[Rows], column: str) -> Any:
    """Codes of a column that no row has any more which goes out."""
    if all(pc.all(rows.kept).as_py() in {True, None} for rows in tables):
        return pa.array([], pa.string())
    before = pc.unique(pa.concat_arrays([rows.values(column, kept=False) for rows in tables]))
    after = pc.unique(pa.concat_arrays([rows.values(column, kept=True) for rows in tables]))
    return before.filter(pc.invert(pc.is_in(before, value_set=after)))

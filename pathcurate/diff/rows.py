"""Compares two versions of a table: which rows came, went and differ, in which columns, and whose they are.

No digest of a row is made. Rows are matched once, by their keys; then each column is read from both versions, compared in
Arrow and let go, so that millions of rows take seconds and the memory of a few columns.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.diff.contents import TableContents, read_both
from pathcurate.diff.values import Rows, Values, common_codes, differing
from pathcurate.model.deidentified import SPLIT, SPLITS, UNIT_KEYS

OWNERS = ("patient_id", "group_id")
_AT_ONCE = 4  # columns in memory at the same time; Arrow reads them on all cores
_PIECE_ROWS = 1 << 16  # of a long text, in memory at the same time
_MOST_CODES = 1 << 62
_SIGN = "\x1f"
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Matched:
    """Which rows of two versions of a table are the same row.

    Attributes:
        before: number of each row of both in the earlier version; None if both have the same rows in the same order.
        after: its number in the later one, in the order of that; likewise.
        removed: numbers of the rows of the earlier version only.
        added: those of the later one only.
    """

    before: Rows | None
    after: Rows | None
    removed: Rows
    added: Rows

    @property
    def is_in_order(self) -> bool:
        """Whether the rows of both stand in the same order in both, so that they can be read side by side."""
        return self.before is None or bool((self.before[1:] > self.before[:-1]).all())

    def kept(self, old: Values, new: Values) -> tuple[Values, Values]:
        """What both columns hold of the rows of both versions, row by row."""
        if self.before is None or self.after is None:
            return old, new
        return old.take(self.before), new.take(self.after)


@dataclass(slots=True)
class Compared:
    """What became of the rows of a table.

    Attributes:
        kept: rows of both versions.
        removed: rows of the earlier one only.
        added: rows of the later one only.
        by_column: column to the rows of both that differ in it, as places among the rows of both.
        changed: those that differ in any column, likewise.
        units: unit to how many of it were added, removed and changed.
        moves: sides before and after to the patients who moved.
        keys: table, key and change of each row that is not the same in both; None where no key tells.
    """

    kept: int
    removed: int
    added: int
    by_column: dict[str, Rows] = field(default_factory=dict)
    changed: Rows = field(default_factory=_NONE.copy)
    units: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    moves: dict[str, int] = field(default_factory=dict)
    keys: pa.Table | None = None

    def note(self, name: str, rows: Rows) -> None:
        """Remember which rows of both differ in a column, if any do."""
        if rows.size:
            self.by_column[name] = rows

    def differing_in(self, names: Iterable[str]) -> Rows:
        """Places, among the rows of both, of those that differ in any of these columns, in order."""
        found = [self.by_column[name] for name in names if name in self.by_column]
        if len(found) < 2:
            return found[0] if found else _NONE
        differs = np.zeros(self.kept, np.bool_)
        for rows in found:
            differs[rows] = True
        return np.flatnonzero(differs)


Seen = Callable[[str, "pa.ChunkedArray[Any]", "pa.ChunkedArray[Any]"], None]
"""Takes the name of a column and both versions of it, whole: what else looks at values need not read them again."""


def compare_rows(
    before: TableContents, after: TableContents, key: Sequence[str], common: Sequence[str], seen: Seen
) -> Compared:
    """Compare all rows of two versions of a table.

    Args:
        before: the earlier version.
        after: the later one.
        key: columns of both that identify a row; without any, or if they do not, rows are compared as a multiset.
        common: columns that both have, of the same type.
        seen: called once for each of these.
    """
    if set(key) <= set(common) and key:
        keys = read_both(before, after, key)
        matched = _match(*keys, key)
        if matched is not None:
            return _by_key(before, after, keys, matched, common, seen)
    return _as_multiset(before, after, common, seen)


def _match(old: pa.Table, new: pa.Table, key: Sequence[str]) -> Matched | None:
    """Which row is which, None if the key does not tell."""
    left: Any
    right: Any
    left, right = (_joined(table, key) for table in (old, new))
    if left is not None and right is not None and _rises(left) and _rises(right):
        if left.equals(right):
            return Matched(None, None, _NONE, _NONE)
    else:
        codes = row_codes(old, new, key)
        if any(_has_twins(side) for side in codes):
            return None
        left, right = map(pa.array, codes)
    places: Any = pc.index_in(right, value_set=left)
    kept = np.asarray(pc.is_valid(places))
    before = np.asarray(places.drop_null(), np.int64)
    is_removed = np.ones(len(left), np.bool_)
    is_removed[before] = False
    return Matched(before, np.flatnonzero(kept), np.flatnonzero(is_removed), np.flatnonzero(~kept))


def _has_twins(codes: Rows) -> bool:
    ordered = np.sort(codes)
    return bool((ordered[1:] == ordered[:-1]).any())


def _joined(table: pa.Table, key: Sequence[str]) -> Values | None:
    """The key of each row as one value, None if it has none that can be told from all others so."""
    columns = [_plain(table[name]) for name in key]
    if any(column.null_count for column in columns):
        return None
    if len(columns) == 1:
        return columns[0]
    # Codes hold no such sign, and whatever else holds one is compared otherwise.
    if not all(pa.types.is_string(one.type) and not pc.any(pc.match_substring(one, _SIGN)).as_py() for one in columns):
        return None
    parts: list[Any] = [one.cast(pa.large_string()) for one in columns]
    return pc.binary_join_element_wise(*parts, pa.scalar(_SIGN, pa.large_string()))


def _rises(values: Values) -> bool:
    """Whether values rise from row to row: releases are written so, and then none is there twice."""
    risen = pc.all(pc.less(values.slice(0, max(len(values) - 1, 0)), values.slice(1)))
    return bool(risen.as_py() is not False)


def _plain(column: Values) -> Values:
    """A column as one piece, and each value as itself."""
    whole: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole


def row_codes(old: pa.Table, new: pa.Table, names: Sequence[str]) -> tuple[Rows, Rows]:
    """A number for each row, the same for rows with the same values in these columns."""
    left, right, size = np.zeros(old.num_rows, np.int64), np.zeros(new.num_rows, np.int64), 1
    for name in names:
        first, second, distinct = common_codes(old[name], new[name])
        if size * distinct > _MOST_CODES:
            known, places = np.unique(np.concatenate([left, right]), return_inverse=True)
            left, right, size = places[: len(left)], places[len(left) :], len(known)
        left, right, size = left * distinct + first, right * distinct + second, size * distinct
    return left, right


def _by_key(
    before: TableContents, after: TableContents, keys: tuple[pa.Table, pa.Table], matched: Matched, common: Sequence[str],
    seen: Seen,
) -> Compared:  # fmt: skip
    key, kept = keys[0].column_names, keys[1].num_rows - len(matched.added)
    compared = Compared(kept, len(matched.removed), len(matched.added))
    named = {name: unit for unit, name in UNIT_KEYS.items() if name in common}
    owner = next((name for name in OWNERS if name in common), None)
    held: dict[str, tuple[pa.ChunkedArray[Any], pa.ChunkedArray[Any]]] = {}
    is_needed = {*key, *named, owner, SPLIT.name}
    long = [name for name in common if name in before.long | after.long and name not in is_needed and matched.is_in_order]
    for name in long:
        compared.note(name, _differing_in_pieces(matched, kept, before.column(name), after.column(name)))
    for name, old, new in _pairs(before, after, [name for name in common if name not in long], keys):
        compared.note(name, differing(*matched.kept(old, new)))
        seen(name, old, new)
        if name in named or name in {owner, SPLIT.name}:
            held[name] = (old, new)
    compared.changed = compared.differing_in(common)
    for name, unit in named.items():
        compared.units[f"{unit}s"] = (
            (compared.added, compared.removed, len(compared.changed))
            if key == [name]
            else _units(matched, compared, name, *held[name])
        )
    if owner is not None and SPLIT.name in held:
        compared.moves = _moves(matched, compared, owner, held[owner], held[SPLIT.name])
    compared.keys = _changed_keys(matched, compared, keys)
    return compared


def _pairs(
    before: TableContents, after: TableContents, names: Sequence[str], keys: tuple[pa.Table, pa.Table]
) -> Iterator[tuple[str, "pa.ChunkedArray[Any]", "pa.ChunkedArray[Any]"]]:
    """Each column of both versions, a few of them read at once; those of the key are there already."""
    for name in keys[0].column_names:
        yield name, keys[0][name], keys[1][name]
    others = [name for name in names if name not in keys[0].column_names]
    for start in range(0, len(others), _AT_ONCE):
        some = others[start : start + _AT_ONCE]
        old, new = read_both(before, after, some)
        for name in some:
            yield name, old[name], new[name]


class _Forward:
    """Rows of a column that is read once from its beginning to its end."""

    def __init__(self, pieces: Iterator[Values]) -> None:
        self._pieces, self._held, self._start = pieces, [next(pieces)], 0

    def take(self, rows: Rows) -> Values:
        """These rows, all behind those that were taken before."""
        while self._start + len(self._held[0]) <= rows[0]:
            self._start += len(self._held.pop(0))
            self._held = self._held or [next(self._pieces)]
        while self._start + sum(map(len, self._held)) <= rows[-1]:
            self._held.append(next(self._pieces))
        chunks = [chunk for piece in self._held for chunk in piece.chunks]
        return pa.chunked_array(chunks, self._held[0].type).take(rows - self._start)


def _differing_in_pieces(matched: Matched, kept: int, old: Iterator[Values], new: Iterator[Values]) -> Rows:
    """Like :func:`differing`, of a column that is too long to be held."""
    found, readers = [_NONE], None
    for start in range(0, kept, _PIECE_ROWS):
        here = np.arange(start, min(start + _PIECE_ROWS, kept))
        readers = readers or (_Forward(old), _Forward(new))
        left, right = (here if rows is None else rows[here] for rows in (matched.before, matched.after))
        found.append(differing(readers[0].take(left), readers[1].take(right)) + start)
    return np.concatenate(found)


# --- Whose rows they are -------------------------------------------------------------------------------------------


def _touched(matched: Matched, compared: Compared, *names: str) -> tuple[Rows, Rows]:
    """Rows of either version that the other does not have, or has with another value in one of these columns."""
    places = compared.differing_in(names)
    old = places if matched.before is None else matched.before[places]
    new = places if matched.after is None else matched.after[places]
    return np.concatenate([matched.removed, old]), np.concatenate([matched.added, new])


def _units(matched: Matched, compared: Compared, name: str, old: Values, new: Values) -> tuple[int, int, int]:
    """How many patients, cases or slides came, went, and are in both with a row that differs."""
    left, right = _touched(matched, compared, name)
    added, removed = _missing_from(old, _distinct(new, right)), _missing_from(new, _distinct(old, left))
    places = compared.changed
    touched = _distinct(new, places if matched.after is None else matched.after[places])
    return len(added), len(removed), len(touched) - len(touched.filter(pc.is_in(touched, value_set=added)))


def _distinct(column: Values, rows: Rows) -> Values:
    return pc.unique(_plain(column.take(rows))).drop_null()


def _missing_from(column: Values, values: Values) -> Values:
    """Those of these values that a column does not have."""
    if not len(values):
        return values
    plain = _plain(column)
    found = pc.unique(plain.filter(pc.is_in(plain, value_set=values)))
    return values.filter(pc.invert(pc.is_in(values, value_set=found)))


def _moves(
    matched: Matched, compared: Compared, owner: str, owners: tuple[Values, Values], sides: tuple[Values, Values]
) -> dict[str, int]:
    """How many patients of both versions are on other sides now; only those of rows that changed can be."""
    left, right = _touched(matched, compared, owner, SPLIT.name)
    rows = zip(owners, (left, right), strict=True)
    who: Any = pc.unique(pa.chunked_array([_plain(column.take(some)) for column, some in rows])).drop_null()
    if not len(who):
        return {}
    before, after = (_sides(_plain(one), _plain(side), who) for one, side in zip(owners, sides, strict=True))
    places: Any = pc.index_in(after["owner"], value_set=before["owner"].combine_chunks())
    in_both = pc.is_valid(places)
    both: Any = [before["sides"].take(places.filter(in_both)), after["sides"].filter(in_both)]
    pairs = pa.Table.from_arrays(both, names=["old", "new"])
    moved = pairs.filter(pc.not_equal(pairs["old"], pairs["new"])).group_by(["old", "new"]).aggregate([([], "count_all")])
    return dict(sorted((f"{row['old']} -> {row['new']}", row["count_all"]) for row in moved.to_pylist()))


def _sides(owners: Values, sides: Values, who: Values) -> pa.Table:
    """Of each of these patients the sides that they are on, joined by ``+``."""
    is_wanted = pc.is_in(owners, value_set=who)
    known = pc.if_else(pc.is_in(sides, value_set=pa.array(SPLITS)), sides, "other")
    pairs = pa.table({"owner": owners.filter(is_wanted), "side": known.filter(is_wanted)})
    different = pairs.group_by(["owner", "side"]).aggregate([])
    grouped = different.group_by("owner").aggregate([("side", "list"), ("side", "count")])
    names: Any = grouped["side_list"]
    if pc.max(grouped["side_count"]).as_py() == 1:
        joined: Any = pc.list_flatten(names)
    else:
        joined = pa.array(["+".join(sorted(some)) for some in names.to_pylist()], pa.string())
    return pa.Table.from_arrays([grouped["owner"], joined], names=["owner", "sides"])


def _changed_keys(matched: Matched, compared: Compared, keys: tuple[pa.Table, pa.Table]) -> pa.Table:
    changed = compared.changed
    here = changed if matched.after is None else matched.after[changed]
    parts = ((keys[0], matched.removed, "removed"), (keys[1], matched.added, "added"), (keys[1], here, "changed"))
    found = []
    for table, rows, change in parts:
        texts = [_plain(column).take(rows).cast(pa.string()) for column in table.columns]
        # All first parts, then all second ones, become row by row.
        order = np.arange(len(rows) * len(texts)).reshape(len(texts), -1).T.ravel()
        offsets = pa.array(np.arange(0, len(order) + 1, len(texts)), pa.int32())
        listed = pa.ListArray.from_arrays(offsets, pa.concat_arrays(texts).take(pa.array(order)))
        found.append(pa.table({"key": listed, "change": pa.array([change] * len(rows), pa.string())}))
    return pa.concat_tables(found)


# --- Rows that nothing tells apart -----------------------------------------------------------------------------------


def _as_multiset(before: TableContents, after: TableContents, common: Sequence[str], seen: Seen) -> Compared:
    """Equal rows count as often as they are there; an edited row is one removed and one added."""
    old, new = read_both(before, after, common)
    for name in common:
        seen(name, old[name], new[name])
    left, right = row_codes(old, new, common)
    values, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    counts = [np.bincount(side, minlength=len(values)) for side in (places[: len(left)], places[len(left) :])]
    kept = int(np.minimum(*counts).sum())
    compared = Compared(kept, old.num_rows - kept, new.num_rows - kept)
    all_of = Matched(_NONE, _NONE, np.arange(old.num_rows), np.arange(new.num_rows))
    for unit, name in UNIT_KEYS.items():
        if name in common:
            compared.units[f"{unit}s"] = _units(all_of, compared, name, old[name], new[name])
    owner = next((name for name in OWNERS if name in common), None)
    if owner is not None and SPLIT.name in common:
        columns = ((old[name], new[name]) for name in (owner, SPLIT.name))
        compared.moves = _moves(all_of, compared, owner, *columns)
    return compared

"""Two versions are compared as plain Python would; no hidden count can be worked out."""

import itertools
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.diff import compare, is_enough
from pathcurate.diff.contents import Contents, TableContents
from pathcurate.diff.strata import stratum
from pathcurate.diff.values import common_codes, differing
from pathcurate.digests import row_digests, schema_sha256, table_digest
from pathcurate.disclosure.counts import FEW, LEAST_COUNT, WITHHELD, suppress
from pathcurate.model.diff import Bump, least_version, version_step
from pathcurate.releases import version_key

_ATTRITION = {"steps": [{"id": "permission", "dropped": 1, "remaining": {"slides": 5}}]}
_SCHEMA = pa.schema([
    pa.field("slide_id", pa.string(), nullable=False), ("patient_id", pa.string()), ("stain", pa.string()),
    ("mpp", pa.float64()), ("level_downsamples", pa.list_(pa.float64())), ("split", pa.string()),
])  # fmt: skip
_ROWS = st.dictionaries(
    st.sampled_from([f"S{number}" for number in range(7)]),
    st.fixed_dictionaries({
        "patient_id": st.sampled_from(["P0", "P1", "P2", None]),
        "stain": st.sampled_from(["HE", "PAS", None]),
        "mpp": st.sampled_from([0.25, 0.5, float("nan"), None]),
        "level_downsamples": st.sampled_from([[1.0], [1.0, 4.0], None]),
        "split": st.sampled_from(["train", "test"]),
    }),
)  # fmt: skip
Rows = dict[str, dict[str, Any]]


def contents(version: str, data: pa.Table, key: tuple[str, ...] = ("slide_id",), **others: Any) -> Contents:
    """A version with one table."""
    identity: Any = {
        "digest": table_digest(row_digests(data)),
        "rows": data.num_rows,
        "schema_sha256": schema_sha256((field.name, str(field.type), field.nullable) for field in data.schema),
    }
    table = TableContents(key, identity, data.schema, data.select)
    counts = {"slides": data.num_rows, "cases": 0, "patients": 0}
    facts: dict[str, Any] = {"has_permissions": True, "attrition": _ATTRITION, "recipe": {"purpose": "research"}, **others}
    return Contents("small", version, {"slides": table}, counts, **facts)


def table(rows: Rows, order: Any = None) -> pa.Table:
    listed = [{"slide_id": name, **row} for name, row in rows.items()]
    return pa.Table.from_pylist(listed if order is None else sorted(listed, key=order), schema=_SCHEMA)


def same(left: Any, right: Any) -> bool:
    return repr(left) == repr(right)  # nan is the same as nan here


@given(_ROWS, _ROWS)
@settings(max_examples=60, deadline=None)
def test_rows_are_compared_as_plain_python_would(old: Rows, new: Rows) -> None:
    difference = compare(
        contents("1.0.0", table(old)), contents("1.0.1", table(new, order=lambda row: row["slide_id"][::-1]))
    )
    rows = difference.tables["slides"].rows
    both = old.keys() & new.keys()
    changed = {name for name in both if not same(sorted(old[name].items()), sorted(new[name].items()))}
    assert (rows.added, rows.removed) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
    assert (rows.changed, rows.unchanged) == (len(changed), len(both) - len(changed))
    by_column = {
        column: count for column in _SCHEMA.names[1:]
        if (count := sum(not same(old[name][column], new[name][column]) for name in both))
    }  # fmt: skip
    assert rows.by_column == by_column

    def sides(rows: Rows) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for row in rows.values():
            if row["patient_id"]:
                found.setdefault(row["patient_id"], set()).add(row["split"])
        return found

    before, after = sides(old), sides(new)
    assert difference.tables["slides"].moved == sum(before[name] != after[name] for name in before if name in after)
    patients = difference.counts["patients"]
    assert (patients.added, patients.removed) == (len(after.keys() - before.keys()), len(before.keys() - after.keys()))
    if rows.removed or rows.changed:
        assert difference.bump is Bump.MAJOR
    else:
        assert difference.bump is (Bump.MINOR if rows.added else Bump.PATCH)
    assert is_enough(difference) is (difference.bump is Bump.PATCH)


@given(_ROWS, _ROWS)
@settings(max_examples=30, deadline=None)
def test_without_a_key_rows_are_a_multiset(old: Rows, new: Rows) -> None:
    # All that tells rows apart is gone, so equal ones must count as often as they are there.
    left, right = (table(rows).drop_columns(["slide_id"]) for rows in (old, new))
    rows = compare(contents("1.0.0", left, ()), contents("2.0.0", right, ())).tables["slides"].rows
    pool = [repr(row) for row in left.to_pylist()]
    added = 0
    for row in map(repr, right.to_pylist()):
        if row in pool:
            pool.remove(row)
        else:
            added += 1
    assert (rows.added, rows.removed, rows.changed) == (added, len(pool), 0)


_VALUES = {
    pa.string(): st.sampled_from(["a", "b", "\u00e9", "e\u0301", "\u5207\u7247", "", None]),
    pa.float64(): st.sampled_from([0.0, -0.0, 0.25, float("nan"), -float("nan"), float("inf"), None]),
    pa.int64(): st.sampled_from([0, 1, -1, None]),
    pa.bool_(): st.sampled_from([True, False, None]),
    pa.date32(): st.sampled_from([date(2026, 1, 2), date(1, 1, 1), None]),
    pa.timestamp("ms", "Asia/Shanghai"): st.sampled_from([datetime(2026, 1, 2, hour, tzinfo=UTC) for hour in (0, 3)]),
    pa.list_(pa.float64()): st.sampled_from([[1.0], [1.0, 4.0], [4.0], [None], [float("nan")], [0.0], [-0.0], [], None]),
    pa.list_(pa.string()): st.sampled_from([["\u00e9"], ["e\u0301"], ["a", "b"], ["ab"], [], None]),
    pa.null(): st.none(),
}  # fmt: skip


@pytest.mark.parametrize("kind", _VALUES, ids=str)
@pytest.mark.parametrize("is_coded", [False, True])
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_two_values_are_the_same_just_if_their_digests_are(kind: Any, is_coded: bool, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.tuples(_VALUES[kind], _VALUES[kind]), max_size=8))
    old, new = (pa.chunked_array([pa.array([pair[side] for pair in values], kind)]) for side in (0, 1))
    cut = data.draw(st.integers(0, len(values)))
    new = pa.chunked_array([*new.slice(0, cut).chunks, *new.slice(cut).chunks], kind)  # another layout
    digests = [row_digests(pa.table({"x": side})) for side in (old, new)]
    if is_coded and kind == pa.string():
        old = old.dictionary_encode()
    assert differing(old, new).tolist() == [row for row, (a, b) in enumerate(zip(*digests, strict=True)) if a != b]
    left, right, size = common_codes(old, new)
    assert all(0 <= code < size for code in (*left, *right))
    codes, both = [*left, *right], [*digests[0], *digests[1]]
    assert all((codes[i] == codes[j]) == (both[i] == both[j]) for i in range(len(codes)) for j in range(i))


_KEYED = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(1, 3) | st.none()), st.sampled_from(["HE", "PAS", None]), max_size=8
)


@given(_KEYED, _KEYED, st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_changed_applied_to_the_keys_of_one_version_gives_those_of_the_other(
    old: dict[Any, Any], new: dict[Any, Any], is_single: bool
) -> None:
    def rows(content: dict[Any, Any]) -> pa.Table:
        names = [f"{name}{number}" if is_single else name for name, number in content]
        columns = {"report_id": pa.array(names, pa.string()), "stain": pa.array(list(content.values()), pa.string())}
        if not is_single:
            columns["ordinal"] = pa.array([number for _, number in content], pa.int64())
        return pa.table(columns)

    def keys(content: dict[Any, Any]) -> set[tuple[Any, ...]]:
        return {(f"{a}{b}",) if is_single else (a, None if b is None else str(b)) for a, b in content}

    key = ("report_id",) if is_single else ("report_id", "ordinal")
    told: list[pa.Table] = []
    compare(contents("1.0.0", rows(old), key), contents("2.0.0", rows(new), key), keys=told.append)
    found: dict[str, list[tuple[Any, ...]]] = {"added": [], "removed": [], "changed": []}
    for row in (row for part in told for row in part.to_pylist()):
        assert row["table"] == "slides"
        found[row["change"]].append(tuple(row["key"]))
    assert {*keys(old)} - {*found["removed"]} | {*found["added"]} == keys(new)
    assert {*found["removed"]} <= keys(old) - keys(new)
    assert {*found["added"]} <= keys(new) - keys(old)
    changed = [name for name in old.keys() & new.keys() if old[name] != new[name]]
    assert sorted(found["changed"], key=str) == sorted(keys(dict.fromkeys(changed)), key=str)
    assert all(len(set(listed)) == len(listed) for listed in found.values())


_SPREAD = st.dictionaries(st.sampled_from("abcde"), st.one_of(st.integers(0, 25), st.integers(0, 3000)), max_size=5)


@given(_SPREAD, _SPREAD, st.sampled_from([10, 20]))
@settings(max_examples=80, deadline=None)
def test_nobody_works_out_few_rows_of_a_spread(old: dict[str, int], new: dict[str, int], cell: int) -> None:
    sides = [
        pa.chunked_array([pa.array([v for v, n in side.items() for _ in range(n)], pa.string())]) for side in (old, new)
    ]
    found = stratum("stain", *sides, cell)
    shares = [*found.shares, *([found.others] if found.others is not None else [])]
    for place, (side, total) in enumerate(zip((old, new), found.totals, strict=True)):
        told = {share.value: (share.before, share.after)[place] for share in shares}
        assert total == sum(side.values())
        assert all(count is None or count % cell == 0 for count in told.values())
        assert all(not 0 < side.get(name, 0) < cell for name in told if name)
        rest = total - sum(side.get(name, 0) for name in told if name)
        # What the multiples and the whole leave possible for the rest; a shown one is at least as large as a cell.
        bounds = [(max(cell, n - cell // 2), n + (cell - 1) // 2) if n else (0, 0) for name, n in told.items() if name]
        least = max(0, total - sum(most for _, most in bounds))
        most = total - sum(fewest for fewest, _ in bounds)
        assert least <= rest <= most
        if 0 < rest < cell:
            assert told[""] is None
        if 0 < rest < cell and any(told.values()):
            assert min(most, cell - 1) - max(least, 1) >= 3


_VERSIONS = st.builds(
    "{}.{}.{}{}".format, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.sampled_from(["", "", "-rc.1", "-rc.2"])
)


@settings(max_examples=40, deadline=None)
@given(_VERSIONS, st.sampled_from([Bump.PATCH, Bump.MINOR, Bump.MAJOR]))
def test_the_least_version_is_enough_and_nothing_below_it(before: str, bump: Bump) -> None:
    least = least_version(before, bump)
    assert version_key(least) > version_key(before)
    assert version_step(before, least).rank >= bump.rank
    # Of all final versions between, none is enough.
    for numbers in itertools.product(range(5), repeat=3):
        other = ".".join(map(str, numbers))
        if version_key(before) < version_key(other) < version_key(least):
            assert version_step(before, other).rank < bump.rank


# --- Small cells -----------------------------------------------------------------------------------------------------


def possible(shown: dict[str, int | str], total: int) -> dict[str, tuple[int, int]]:
    """For each hidden part the least and the greatest count that the marks, the total and the rule allow."""
    hidden = {name: mark for name, mark in shown.items() if isinstance(mark, str)}
    left = total - sum(count for count in shown.values() if isinstance(count, int))
    if FEW not in hidden.values():
        bounds = dict.fromkeys(hidden, (1, left))  # all are withheld: any of them may be small
    else:
        most = min((count for count in shown.values() if isinstance(count, int) and count >= LEAST_COUNT), default=left)
        bounds = {name: (1, LEAST_COUNT - 1) if mark == FEW else (LEAST_COUNT, most) for name, mark in hidden.items()}
    found = {}
    for name, (low, high) in bounds.items():
        others = [bounds[other] for other in bounds if other != name]
        found[name] = (max(low, left - sum(top for _, top in others)), min(high, left - sum(least for least, _ in others)))
    return found


_COUNTS = st.dictionaries(
    st.sampled_from("abcdefg"), st.one_of(st.integers(0, 12), st.integers(0, 60), st.integers(0, 100_000)), min_size=1
).filter(lambda counts: sum(counts.values()) >= LEAST_COUNT)


@given(_COUNTS)
@settings(max_examples=500, deadline=None)
def test_no_hidden_count_can_be_worked_out_from_the_total(counts: dict[str, int]) -> None:
    shown = suppress(counts)
    assert shown.keys() == counts.keys()
    for name, mark in shown.items():
        assert not isinstance(mark, int) or mark == counts[name]
        assert not (isinstance(mark, int) and 0 < mark < LEAST_COUNT)
        assert mark != FEW or 0 < counts[name] < LEAST_COUNT
    for name, (least, most) in possible(shown, sum(counts.values())).items():
        assert least <= counts[name] <= most
        assert least < most
        assert most - least >= 3 or FEW not in shown.values()


def test_hardly_any_hidden_count_is_certain_for_somebody_who_knows_the_rule() -> None:
    """Not by bounds: all ways to share out totals up to 30, each with those that show the same."""
    seen: dict[tuple[Any, ...], list[tuple[int, ...]]] = {}
    for counts in itertools.product(range(31), repeat=3):
        if LEAST_COUNT <= sum(counts) <= 30:
            shown = suppress(dict(zip("abc", counts, strict=True)))
            seen.setdefault((sum(counts), *shown.values()), []).append(counts)
    certain = [
        members[0]
        for (_, *marks), members in seen.items()
        for place, mark in enumerate(marks)
        if isinstance(mark, str) and len({counts[place] for counts in members}) < 2
    ]
    # Where every part is hidden and each is 9, nothing but another total could hide that.
    assert {frozenset(counts) - {0} for counts in certain} == {frozenset({9})}


@given(_COUNTS, st.sampled_from("abcdefg"))
def test_what_is_known_elsewhere_is_not_hidden_in_vain(counts: dict[str, int], known: str) -> None:
    shown = suppress(counts, known=(known,))
    if counts.get(known, 0) >= LEAST_COUNT and shown[known] == WITHHELD:
        assert set(shown.values()) <= {WITHHELD, 0}

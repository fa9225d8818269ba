"""Single rows of tables: the same as reading the table and filtering it, whatever parts, groups and filters there are."""

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate import lookup
from pathcurate.errors import InputOutputError
from pathcurate.lookup import Alike, Condition, Lookup, OneOf, Passing, Present, keep_filters
from pathcurate.lookup.parts import Part
from pathcurate.lookup.rowfile import Kept, digest, digests, folded, folded_text, open_rows, text_array
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.tables import Catalog, from_rows

GLASS = Table(
    name="glass",
    row="one glass",
    key=("site", "number"),
    columns=(
        Column("site", Type.STRING, "Site.", Identifying.DIRECT, Action.DROP, required=True),
        Column("number", Type.STRING, "Number.", Identifying.DIRECT, Action.DROP),
        Column("owner", Type.STRING, "Owner.", Identifying.DIRECT, Action.DROP),
        Column("stains", Type.STRINGS, "Stains.", Identifying.DIRECT, Action.DROP),
    ),
)
Row = dict[str, Any]
VALUES = st.sampled_from(
    ["", " ", "1", "a", "A", "Ａ", " a ", "S24-1", "s24-1", "Ｓ２４－１", "病23-1", "x" * 40, "y" + "x" * 39, "ß"]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"site": st.sampled_from(["NB01", "NB02"]), "number": st.none() | VALUES, "owner": st.none() | VALUES,
         "stains": st.none() | st.lists(VALUES, max_size=2)}
    ),
    max_size=6,
)  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters for the table of these tests, and for parts of any size."""
    monkeypatch.setattr(lookup, "LEAST_ROWS", 1)
    monkeypatch.setattr(lookup, "KEPT", (Kept(GLASS, ("number", "owner"), ("stains",)),))


def one_per_key(rows: Sequence[Row]) -> list[Row]:
    return list({(row["site"], row["number"]): row for row in rows}.values())


def streamed(catalog: Catalog, rows: Sequence[Row], group: int) -> None:
    """The rows in groups of so many."""
    table = from_rows(GLASS, one_per_key(rows)).combine_chunks()
    catalog.replace_streamed(GLASS, table.to_batches(max_chunksize=group), "test")


def brief(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    return sorted((str(row["site"]), str(row["number"]), str(row["owner"])) for row in rows)


def read(catalog: Catalog, conditions: dict[str, Condition]) -> list[tuple[Any, ...]]:
    """The same by reading the table."""
    rows = catalog.read(GLASS).combine_chunks()
    masks = [condition.mask(rows[name].combine_chunks()).to_pylist() for name, condition in conditions.items()]
    return brief([row for row, *passed in zip(rows.to_pylist(), *masks, strict=True) if all(passed)])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=ROWS, parts=st.lists(ROWS, max_size=3), group=st.integers(1, 4), text=VALUES, with_filters=st.booleans())
def test_the_same_as_reading_the_table(
    tmp_path_factory: pytest.TempPathFactory, small: None, first: list[Row], parts: list[list[Row]], group: int, text: str,
    with_filters: bool,
) -> None:  # fmt: skip
    catalog = Catalog(tmp_path_factory.mktemp("catalog"))
    if first:
        streamed(catalog, first, group)
    for rows in parts:
        catalog.upsert(GLASS, from_rows(GLASS, one_per_key(rows)))
    if with_filters:
        keep_filters(catalog)
    asked: tuple[dict[str, Condition], ...] = (
        {"number": OneOf({text})}, {"number": Alike({text, "S24-1"})}, {"owner": OneOf({text, "a"})},
        {"owner": Alike({text})}, {"site": OneOf({"NB02"}), "owner": Alike({text})}, {"owner": Present()},
        {"number": Present(), "owner": OneOf({text})},
    )  # fmt: skip
    for conditions in asked:
        found = Lookup(catalog).rows(GLASS, ("owner",), conditions)
        assert brief(found) == read(catalog, conditions)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog")
    rows = [{"site": "NB01", "number": f"S24-{n:03d}", "owner": f"P-{n % 7}"} for n in range(100)]
    streamed(catalog, rows, 10)
    return catalog


def counted_groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the groups that are read from here on."""
    groups: list[int] = []
    read = Part.read

    def counting(part: Any, group: int, table: Table, conditions: Any) -> list[Row]:
        groups.append(group)
        return read(part, group, table, conditions)

    monkeypatch.setattr(Part, "read", counting)
    return groups


def test_of_a_column_in_order_one_group_is_read(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = counted_groups(monkeypatch)
    (row,) = Lookup(catalog).rows(GLASS, ("owner",), {"number": OneOf({"S24-042"})})
    assert (row, groups) == ({"site": "NB01", "number": "S24-042", "owner": "P-0"}, [4])


def test_of_a_column_in_no_order_the_filter_leaves_few(tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog, numbers = Catalog(tmp_path), np.random.default_rng(6).permutation(1000)
    streamed(catalog, [{"site": "NB01", "number": f"{n:04d}", "owner": f"P-{numbers[n]:016d}"} for n in range(1000)], 50)
    groups = counted_groups(monkeypatch)
    wanted: dict[str, Condition] = {"owner": OneOf({"P-0000000000000077"})}
    before = Lookup(catalog).rows(GLASS, (), wanted)
    assert len(groups) > 10, "its statistics say little"
    groups.clear()
    keep_filters(catalog)
    assert Lookup(catalog).rows(GLASS, (), wanted) == before
    assert len(before) == 1
    assert len(groups) <= 2


def test_values_in_several_groups(catalog: Catalog, small: None) -> None:
    keep_filters(catalog)
    for wanted in (OneOf({"S24-001", "S24-042", "S24-099", "S25-1"}), Alike({"s24-001", "s24-042", "s24-099", "s25-1"})):
        assert len(Lookup(catalog).rows(GLASS, (), {"number": wanted})) == 3


def test_a_text_too_long_for_statistics(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    streamed(catalog, [{"site": "NB01", "number": f"{n}", "owner": "x" * 5000 + str(n)} for n in range(4)], 2)
    assert len(Lookup(catalog).rows(GLASS, (), {"owner": OneOf({"x" * 5000 + "3"})})) == 1


def test_a_row_that_was_replaced_is_not_found_by_what_it_said(catalog: Catalog, small: None) -> None:
    later = [{"site": "NB01", "number": "S24-003", "owner": "P-9"}]
    catalog.upsert(GLASS, from_rows(GLASS, later))
    catalog.upsert(GLASS, from_rows(GLASS, [{**later[0], "owner": "P-8"}]))
    for _ in range(2):
        known = Lookup(catalog)
        assert "S24-003" not in {row["number"] for row in known.rows(GLASS, (), {"owner": OneOf({"P-3"})})}
        assert known.rows(GLASS, (), {"owner": OneOf({"P-9"})}) == []
        (row,) = known.rows(GLASS, ("owner",), {"number": OneOf({"S24-003"})})
        assert row["owner"] == "P-8"
        keep_filters(catalog)


def test_a_part_that_only_adds_is_found(catalog: Catalog) -> None:
    catalog.upsert(GLASS, from_rows(GLASS, [{"site": "NB02", "number": "S24-003", "owner": "P-9"}]), only_adds=True)
    rows = Lookup(catalog).rows(GLASS, (), {"number": OneOf({"S24-003"})})
    assert {row["site"] for row in rows} == {"NB01", "NB02"}


def test_before_there_is_a_table_and_for_no_values(tmp_path: Path, catalog: Catalog) -> None:
    assert Lookup(Catalog(tmp_path / "none")).rows(GLASS, (), {"number": OneOf({"1"})}) == []
    assert Lookup(catalog).rows(GLASS, (), {"number": OneOf(())}) == []


def test_a_column_that_an_old_part_lacks_holds_nothing(tmp_path: Path) -> None:
    old = Table(name="glass", row="one glass", key=("site", "number"), columns=GLASS.columns[:2])
    catalog = Catalog(tmp_path)
    catalog.upsert(old, from_rows(old, [{"site": "NB01", "number": "1"}]))
    assert Lookup(catalog).rows(GLASS, (), {"owner": OneOf({"1"})}) == []
    assert Lookup(catalog).rows(GLASS, ("owner",), {"number": OneOf({"1"})}) == [
        {"site": "NB01", "number": "1", "owner": None}
    ]


def test_a_test_of_the_callers(catalog: Catalog) -> None:
    ends = Passing(lambda values: pa.array([str(value).endswith("7") for value in values.to_pylist()]))
    assert len(Lookup(catalog).rows(GLASS, (), {"number": ends})) == 10


def test_filters_are_made_once_and_go_with_their_part(catalog: Catalog, small: None, tmp_path: Path) -> None:
    folder = tmp_path / "catalog" / "glass" / "_filters"
    keep_filters(catalog)
    made = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(made) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    keep_filters(catalog)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == made
    catalog.replace(GLASS, from_rows(GLASS, [{"site": "NB01", "number": "1"}]))
    keep_filters(catalog)
    assert not made.keys() & set(folder.iterdir())
    assert len(list(folder.iterdir())) == 1


def test_small_parts_have_none(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lookup, "KEPT", (Kept(GLASS, ("number",), ()),))
    keep_filters(catalog)
    assert not (tmp_path / "catalog" / "glass" / "_filters").exists()


@pytest.mark.parametrize("damage", ["", "garbage", "short", "long", "another head", "other columns"])
def test_what_is_no_whole_file_of_rows_is_none(catalog: Catalog, small: None, tmp_path: Path, damage: str) -> None:
    keep_filters(catalog)
    (path,) = (tmp_path / "catalog" / "glass" / "_filters").iterdir()
    content = path.read_bytes()
    damaged = {
        "short": content[:-1], "long": content + b"\0", "another head": b"x" * 16 + content[16:],
        "other columns": content.replace(b'"owner"', b'"other"'),
    }  # fmt: skip
    path.write_bytes(damaged.get(damage, damage.encode()))
    (part,) = (tmp_path / "catalog" / "glass").glob("part-*")
    assert open_rows(Kept(GLASS, ("number", "owner"), ("stains",)), part) is None
    assert len(Lookup(catalog).rows(GLASS, (), {"owner": OneOf({"P-3"})})) == 14
    assert len(Lookup(catalog).rows(GLASS, (), {"number": Alike({"s24-042"})})) == 1
    keep_filters(catalog)
    assert open_rows(Kept(GLASS, ("number", "owner"), ("stains",)), part) is not None


def test_a_table_that_is_damaged_is_an_error_without_a_value(catalog: Catalog, tmp_path: Path) -> None:
    (part,) = (tmp_path / "catalog" / "glass").glob("part-*")
    content = bytearray(part.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    part.write_bytes(content)
    with pytest.raises(InputOutputError) as caught:
        Lookup(catalog).rows(GLASS, ("owner",), {"number": Alike({"S24-042"})})
    assert "S24" not in str(caught.value)


def test_digests_tell_texts_apart() -> None:
    texts = [
        f"{prefix}{n}"
        for prefix in ("", "S24-", "病", "Ｓ", "a long one before the number that counts ")
        for n in range(2000)
    ]
    assert len(set(digests(text_array(texts)).tolist())) == len(texts)


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(), min_size=1), start=st.integers(0, 3))
def test_a_text_has_the_same_digest_wherever_it_stands(texts: list[str], start: int) -> None:
    encodable = [text.encode(errors="replace").decode() for text in texts]
    whole = digests(text_array(encodable)).tolist()
    assert digests(text_array(["x"] * start + encodable).slice(start)).tolist() == whole
    assert [digest(text) for text in encodable] == whole
    assert text_array(encodable).to_pylist() == encodable


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.text(), min_size=1))
def test_a_text_is_folded_as_a_column_is(texts: list[str]) -> None:
    encodable = [text.encode(errors="replace").decode() for text in texts]
    for text in encodable:
        assert folded_text(text) == folded(text_array([text]))[0].as_py()

"""Parquet files and the append-only catalog: what a reader sees after every kind of change, crash and damage."""

import json
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate import tables
from pathcurate.errors import InputOutputError
from pathcurate.goingback import states_at
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, arrow_schema, conform, from_rows, read_parquet, write_parquet

CANARY = "ZQ-CANARY-欧阳"
NOTES = Table(
    name="notes",
    row="one note",
    key=("site", "number"),
    columns=(
        Column("site", Type.STRING, "Site.", Identifying.DIRECT, Action.DROP),
        Column("number", Type.INTEGER, "Number.", unit="px"),
        Column("text", Type.STRING, "Text.", Identifying.DIRECT, Action.WITHHOLD),
        Column("day", Type.DATE, "Day.", Identifying.QUASI, Action.SHIFT),
        Column("parts", Type.FLOATS, "Parts."),
    ),
)


def note(site: str | None, number: int | None, text: str = "") -> dict[str, object]:
    return {"site": site, "number": number, "text": text, "day": date(2024, 1, 2), "parts": [1.0, 0.5]}


def rows(*items: dict[str, object]) -> pa.Table:
    return from_rows(NOTES, items)


def texts(catalog: Catalog) -> list[str]:
    return list(catalog.read(NOTES, columns=["text"])["text"].to_pylist())


def texts_at(root: Path, moment: datetime) -> list[str]:
    return texts(Catalog(root, states_at(root, [NOTES.name], moment)))


def folder(catalog_root: Path) -> Path:
    return catalog_root / "notes"


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


@pytest.fixture
def catalog(root: Path) -> Catalog:
    return Catalog(root)


# --- Parquet -----------------------------------------------------------------------------------------------------


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    data = rows(*(note("A", number, "text" * number) for number in range(1000)))
    write_parquet(tmp_path / "a", data, {"recipe": "x"})
    # In other chunks, as another run may have read it.
    write_parquet(tmp_path / "b", pa.concat_tables([data.slice(0, 7), data.slice(7)]).combine_chunks(), {"recipe": "x"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    write_parquet(tmp_path / "c", data, {"recipe": "y"})
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_each_column_carries_its_meaning_and_class_and_null_rule(tmp_path: Path) -> None:
    write_parquet(tmp_path / "slides", from_rows(SLIDES, []), {"recipe": "heilig"})
    schema = pq.read_schema(tmp_path / "slides")
    assert schema.names == list(SLIDES.names)
    for column in SLIDES.columns:
        metadata = schema.field(column.name).metadata
        assert metadata[b"meaning"].decode() == column.meaning
        assert metadata[b"identifying"].decode() == column.identifying
        assert metadata.get(b"unit", b"").decode() == column.unit
        assert schema.field(column.name).nullable != column.required
    assert schema.metadata[b"recipe"] == b"heilig"


def test_what_is_not_parquet_is_an_error_by_file_name_only(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text(CANARY)
    write_parquet(tmp_path / "cut.parquet", rows(note("A", 1, CANARY)))
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "cut.parquet").read_bytes()[:-9])
    for name in ("text.parquet", "cut.parquet", "missing.parquet"):
        for read in (read_parquet, tables.read_schema):
            with pytest.raises(InputOutputError, match=name) as caught:
                read(tmp_path / name)
            assert CANARY not in str(caught.value)
            assert str(tmp_path) not in str(caught.value)


def test_absent_columns_are_null_and_others_keep_order_and_type() -> None:
    data = pa.table({"number": pa.array([7], pa.int32()), "site": ["A"], "surplus": ["x"]})
    result = conform(NOTES, data)
    assert result.schema == arrow_schema(NOTES)
    assert result.to_pylist() == [{"site": "A", "number": 7, "text": None, "day": None, "parts": None}]


# --- the catalog -------------------------------------------------------------------------------------------------


def test_nothing_was_ever_written(catalog: Catalog, root: Path) -> None:
    assert catalog.read(NOTES).schema == arrow_schema(NOTES)
    assert (catalog.read(NOTES).num_rows, catalog.snapshot(NOTES), catalog.columns(NOTES)) == (0, None, set())
    assert catalog.state(NOTES) == "notes@0"
    assert not root.exists()


def test_the_last_row_of_a_key_wins_also_where_the_key_is_null(catalog: Catalog) -> None:
    catalog.upsert(NOTES, rows(note("A", 1, "old"), note(None, 1, "old null"), note(None, None, "both"), note("B", 2, "b")))
    catalog.upsert(NOTES, rows(note("A", 1, "new"), note(None, 1, "new null"), note("A", None, "half")))
    catalog.upsert(NOTES, rows(note(None, None, "new both")))
    assert sorted(texts(catalog)) == ["b", "half", "new", "new both", "new null"]


def test_a_key_that_comes_twice_at_once_is_one_row_from_the_first_moment_on(catalog: Catalog) -> None:
    catalog.upsert(NOTES, rows(note("A", 1, "first"), note("B", 1, "b"), note("A", 1, "second")))
    assert texts(catalog) == ["b", "second"]
    catalog.upsert(NOTES, rows(note("C", 1, "c")))
    assert texts(catalog) == ["b", "second", "c"]


def test_every_earlier_state_can_be_read_again(root: Path, catalog: Catalog) -> None:
    moments = [datetime.now(UTC) - timedelta(days=1)]
    states: list[list[str]] = [[]]
    for change in ("upsert", "upsert", "replace", "upsert"):
        getattr(catalog, change)(NOTES, rows(note("A", len(states), f"state {len(states)}")))
        snapshot = catalog.snapshot(NOTES)
        assert snapshot is not None
        assert snapshot.operation == change
        moments.append(datetime.fromisoformat(snapshot.at))
        states.append(texts(catalog))
    assert states[1:] == [["state 1"], ["state 1", "state 2"], ["state 3"], ["state 3", "state 4"]]
    assert [texts_at(root, moment) for moment in moments] == states
    just_before = [moment - timedelta(microseconds=1) for moment in moments[1:]]
    assert [texts_at(root, moment) for moment in just_before] == states[:-1]


def test_files_once_written_never_change(catalog: Catalog, root: Path) -> None:
    seen: dict[str, bytes] = {}
    for number in range(3):
        catalog.upsert(NOTES, rows(note("A", number % 2, str(number))))
        now = contents(root)
        assert seen.items() <= now.items()
        seen = now
    catalog.replace(NOTES, rows(note("B", 1)))
    assert seen.items() <= contents(root).items()


def test_the_same_state_again_makes_no_snapshot(catalog: Catalog, root: Path) -> None:
    assert catalog.replace(NOTES, rows(note("A", 1)))
    before = contents(root)
    assert not catalog.replace(NOTES, rows(note("A", 1)))
    catalog.upsert(NOTES, rows())
    assert contents(root) == before
    assert catalog.state(NOTES) == "notes@1"
    assert catalog.replace(NOTES, rows(note("A", 2)))
    assert catalog.state(NOTES) == "notes@2"


def test_the_first_state_may_be_empty(catalog: Catalog) -> None:
    catalog.upsert(NOTES, rows())
    assert catalog.state(NOTES) == "notes@1"
    assert catalog.read(NOTES).num_rows == 0


def test_a_column_that_is_not_declared_is_seen_and_goes_with_the_next_replace(catalog: Catalog) -> None:
    wider = Table("notes", NOTES.row, NOTES.key, (*NOTES.columns, Column("mood", Type.INTEGER, "Mood.")))
    catalog.replace(wider, from_rows(wider, [{**note("A", 1), "mood": 7}]))
    assert catalog.columns(NOTES) == {*NOTES.names, "mood"}
    assert catalog.read(NOTES).column_names == list(NOTES.names)
    assert catalog.replace(NOTES, catalog.read(NOTES))
    assert catalog.columns(NOTES) == set(NOTES.names)


def test_a_column_declared_later_is_null_in_older_files(catalog: Catalog) -> None:
    narrow = NOTES.select(["site", "number"])
    catalog.upsert(narrow, from_rows(narrow, [{"site": "A", "number": 1}]))
    catalog.upsert(NOTES, rows(note("B", 1, "b")))
    assert texts(catalog) == [None, "b"]


def test_identified_tables_are_for_their_owner_only(catalog: Catalog, root: Path) -> None:
    catalog.upsert(NOTES, rows(note("A", 1)))
    for path in (root, *root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path.name


def newest_log(root: Path) -> Path:
    return max((folder(root) / "_log").glob("*.json"))


def test_a_newer_pathcurates_table_is_refused(catalog: Catalog, root: Path) -> None:
    catalog.upsert(NOTES, rows(note("A", 1)))
    entry = json.loads(newest_log(root).read_bytes())
    newest_log(root).write_text(json.dumps({**entry, "schema_version": NOTES.version + 1}))
    for use in (catalog.read, catalog.state, catalog.columns, lambda table: catalog.upsert(table, rows(note("A", 2)))):
        with pytest.raises(InputOutputError, match="newer pathcurate"):
            use(NOTES)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"null", b'{"number": 2}', b"\xff",
               b'{"number":2,"at":"soon","operation":"upsert","parts":[],"schema_version":1}'],
)  # fmt: skip
def test_a_damaged_snapshot_is_an_error_and_not_an_older_state(catalog: Catalog, root: Path, damage: bytes) -> None:
    catalog.upsert(NOTES, rows(note("A", 1, "one")))
    catalog.upsert(NOTES, rows(note("A", 1, "two")))
    newest_log(root).write_bytes(damage)
    with pytest.raises(InputOutputError, match=r"snapshot 00000002\.json of catalog table notes is damaged"):
        catalog.read(NOTES)
    newest_log(root).unlink()
    assert texts(catalog) == ["one"]


def test_a_missing_part_is_an_error_and_not_fewer_rows(catalog: Catalog, root: Path) -> None:
    catalog.upsert(NOTES, rows(note("A", 1)))
    next(folder(root).glob("part-*")).unlink()
    with pytest.raises(InputOutputError, match="cannot be read as Parquet"):
        catalog.read(NOTES)


def test_a_part_of_other_types_is_an_error_that_quotes_no_value(catalog: Catalog, root: Path) -> None:
    catalog.upsert(NOTES, rows(note("A", 1)))
    part = next(folder(root).glob("part-*"))
    write_parquet(part, pa.table({"site": ["A"], "number": [CANARY], "text": [CANARY]}))
    with pytest.raises(InputOutputError, match="other types than declared") as caught:
        catalog.read(NOTES)
    assert CANARY not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_lost_race_is_an_error_and_leaves_the_winners_state(
    catalog: Catalog, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.upsert(NOTES, rows(note("A", 1, "before")))
    write = tables.write_parquet

    def overtaken(*arguments: object, **options: object) -> None:
        monkeypatch.setattr(tables, "write_parquet", write)
        Catalog(root).upsert(NOTES, rows(note("A", 1, "winner")))
        write(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "write_parquet", overtaken)
    with pytest.raises(InputOutputError, match="changed by another run"):
        catalog.upsert(NOTES, rows(note("A", 1, "loser")))
    assert texts(catalog) == ["winner"]
    assert len(list(folder(root).glob("part-*"))) == 2


_KILLED_BEFORE_ITS_SNAPSHOT = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from pathcurate import tables
from pathcurate.model.finding import FINDINGS
tables.create_exclusively = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
tables.Catalog(Path(sys.argv[1])).replace(FINDINGS, tables.from_rows(FINDINGS, []))
"""


def test_a_run_killed_between_part_and_snapshot_changes_nothing(catalog: Catalog, root: Path) -> None:
    from pathcurate.model.finding import FINDINGS

    finding = {"stage": "scan", "rule": "x", "severity": "info", "count": 1}
    catalog.replace(FINDINGS, from_rows(FINDINGS, [finding]))
    killed = subprocess.run([sys.executable, "-c", _KILLED_BEFORE_ITS_SNAPSHOT, root], check=False)
    assert killed.returncode == -9
    assert len(list((root / "findings").glob("part-*"))) == 2
    assert catalog.state(FINDINGS) == "findings@1"
    assert catalog.read(FINDINGS).num_rows == 1
    catalog.replace(FINDINGS, from_rows(FINDINGS, []))
    assert (catalog.state(FINDINGS), catalog.read(FINDINGS).num_rows) == ("findings@2", 0)

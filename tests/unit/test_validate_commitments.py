"""The commitments of a release hold rows and are judged as tables are; whatever the file holds, that ends in findings."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.model.manifest import COMMITMENTS_PATH
from pathcurate.validate import Choice, validate
from tests.built import reseal

WITH_COMMITMENTS = Path(__file__).parents[1] / "fixtures" / "releases" / "0.9.0"
CANARY = "张三13812345678"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WITH_COMMITMENTS, tmp_path / "1.0.0"))


def found(release: Path) -> set[tuple[str, str | None]]:
    """Rules that the commitments break, with the column."""
    result = validate(release, Choice(("PC-DIG", "PC-SCH", "PC-PRIV-001", "PC-PRIV-003", "PC-PRIV-008")))
    assert not any(CANARY in one.message for one in result.findings)
    assert all(one.file == COMMITMENTS_PATH and one.at is None for one in result.findings)
    return {(one.rule, one.column) for one in result.findings}


def rewritten(release: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    path = release / COMMITMENTS_PATH
    data = change(pq.read_table(path))
    path.unlink()
    pq.write_table(data, path)
    reseal(release)


def first(column: str, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(data: pa.Table) -> pa.Table:
        place, field = data.schema.get_field_index(column), data.schema.field(column).with_nullable(True)
        return data.set_column(place, field, pa.array([value, *data[column].to_pylist()[1:]], field.type))

    return change


CHANGES: dict[str, tuple[Callable[[pa.Table], pa.Table], set[tuple[str, str | None]]]] = {
    "as_it_was": (lambda data: data, set()),
    "a_slide_twice": (lambda data: pa.concat_tables([data, data.slice(0, 1)]), {("PC-SCH-005", "slide_id")}),
    "no_slide": (first("slide_id", None), {("PC-SCH-003", "slide_id")}),
    "a_slide_that_is_no_pseudonym": (first("slide_id", CANARY), {("PC-PRIV-003", "slide_id"), ("PC-PRIV-008", "slide_id")}),
    "over_something_else": (first("over", "name"), {("PC-SCH-004", "over")}),
    "a_digest_in_capitals": (first("commitment", "AB" * 32), {("PC-SCH-004", "commitment")}),
    "no_commitment": (first("commitment", None), {("PC-SCH-003", "commitment")}),
    "another_column": (
        lambda data: data.append_column(CANARY, pa.array(["x"] * data.num_rows)), {("PC-SCH-001", None)}),
    "a_source_in_the_clear": (
        lambda data: data.append_column("relpath", pa.array([b"x"] * data.num_rows)), {("PC-PRIV-001", "relpath")}),
    "a_column_less": (lambda data: data.drop_columns(["commitment"]), {("PC-SCH-001", None)}),
    "another_type": (
        lambda data: data.set_column(1, "over", pa.array(range(data.num_rows))), {("PC-SCH-002", "over")}),
    "no_columns": (lambda data: data.select([]), {("PC-SCH-001", None)}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_commitments_of_another_form_are_findings(name: str, release: Path) -> None:
    change, expected = CHANGES[name]
    rewritten(release, change)
    assert found(release) == expected


def test_what_is_no_parquet_file_is_a_finding(release: Path) -> None:
    for content in (b"", b"PAR1", b"PAR1" + bytes(99) + b"PAR1", b"{}"):
        (release / COMMITMENTS_PATH).unlink()
        (release / COMMITMENTS_PATH).write_bytes(content)
        reseal(release)
        assert found(release) == {("PC-SCH-002", None)}


def test_any_flipped_byte_ends_in_findings_and_in_no_crash(release: Path) -> None:
    path = release / COMMITMENTS_PATH
    whole = path.read_bytes()
    draw = random.Random(20261122)
    broken = 0
    for _ in range(30):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.chmod(0o644)
        path.write_bytes(content)
        reseal(release)
        broken += bool(found(release))
    assert broken


def test_changed_commitments_are_not_read(release: Path) -> None:
    with (release / COMMITMENTS_PATH).open("ab") as file:
        file.write(b"x")
    result = validate(release)
    assert "PC-DIG-001" in {one.rule for one in result.findings}
    assert result.not_run["PC-SCH-005"] == f"{COMMITMENTS_PATH} was changed"


def test_a_release_without_commitments_is_none_that_lacks_a_table(release: Path) -> None:
    (release / COMMITMENTS_PATH).unlink()
    reseal(release)
    assert found(release) == set()

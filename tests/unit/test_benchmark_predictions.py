"""A file of predictions is read whatever its dialect, and refused with every wrong row named."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.benchmarks import predictionfile
from pathcurate.benchmarks.predictions import PredictionsError, joined_answer, read_predictions
from pathcurate.digests import file_sha256
from pathcurate.errors import InputOutputError, PathcurateError, UsageError
from pathcurate.model.benchmark import BenchmarkTask, TaskName

UNITS = [f"S-000000000000000{letter}" for letter in "ABC"]
CLASSES: dict[str, tuple[str, ...]] = {
    "binary": ("no", "yes"), "multiclass": ("肺腺癌", "鳞癌", "other"), "ordinal": ("G1", "G2", "G3"),
    "choice": tuple("ABCD"),
}  # fmt: skip


def task_of(kind: TaskName) -> BenchmarkTask:
    return BenchmarkTask(
        "p", "1.0.0", kind, "slide_id", "label", 3, CLASSES.get(kind, ()), "yes" if kind == "binary" else ""
    )  # fmt: skip


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "predictions.csv"
    path.write_bytes(text.encode(encoding))
    return path


def lines(head: str, cells: Sequence[str], units: Sequence[str] = UNITS, separator: str = ",") -> str:
    rows = [separator.join((unit, cell)) for unit, cell in zip(units, cells, strict=True)]
    return "\n".join([separator.join(("slide_id", head)), *rows]) + "\n"


def refused(path: Path, kind: TaskName) -> dict[str, list[tuple[int | None, str]]]:
    with pytest.raises(PredictionsError) as error:
        read_predictions(path, task_of(kind), UNITS)
    assert error.value.exit_code == 3
    return {fault.kind: list(fault.rows) for fault in error.value.faults}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_any_dialect_is_read_in_the_order_of_the_units(tmp_path: Path, encoding: str, separator: str) -> None:
    text = lines("prediction", ["肺腺癌", " 鳞癌 ", '"other"'], UNITS[::-1], separator).replace("\n", "\r\n")
    path = written(tmp_path, text, encoding)
    predictions = read_predictions(path, task_of("multiclass"), UNITS)
    assert predictions.chosen is not None
    assert predictions.chosen.tolist() == [2, 1, 0]
    assert predictions.units == tuple(UNITS)
    assert predictions.sha256 == file_sha256(path)


def test_each_task_has_its_columns(tmp_path: Path) -> None:
    def read(kind: TaskName, head: str, cells: Sequence[str]) -> Any:
        return read_predictions(written(tmp_path, lines(head, cells)), task_of(kind), UNITS)

    assert read("binary", "score", ["-3.5", "1e2", ".5"]).scores.tolist() == [-3.5, 100, 0.5]
    both = read("binary", "score,prediction", ["1,yes", "2,no", "3,no"])
    assert (both.scores.tolist(), both.chosen.tolist()) == ([1, 2, 3], [1, 0, 0])
    assert read("ordinal", "prediction", ["G3", "G1", "G2"]).chosen.tolist() == [2, 0, 1]
    shares = read("ordinal", "p_G1,p_G2,p_G3", ["0.2,0.3,0.5", "1,0,0", "0.3335,0.3335,0.3334"])
    assert shares.chosen.tolist() == [2, 0, 0]
    assert shares.probabilities.sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-12)
    assert read("regression", "prediction,remark", ["-1,x", "2.50,", "+3,z"]).scores.tolist() == [-1, 2.5, 3]
    assert read("survival", "risk", ["1", "2", "3"]).scores.tolist() == [1, 2, 3]
    assert read("choice", "answer", ["C;A", "B", "A; C ;A"]).answers == ("A;C", "B", "A;C")


def test_parquet_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"slide_id": UNITS, "score": [0.25, 1.0, 0.1], "prediction": ["no", "yes", "no"]}), path)
    predictions = read_predictions(path, task_of("binary"), UNITS)
    assert predictions.scores is not None
    assert predictions.scores.tolist() == [0.25, 1.0, 0.1]
    assert predictions.sha256 == file_sha256(path)
    pq.write_table(pa.table({"slide_id": [*UNITS, None], "score": [float("nan"), None, float("inf"), 1.0]}), path)
    assert refused(path, "binary") == {
        "unknown": [(4, "")],
        "number": [(1, UNITS[0]), (2, UNITS[1]), (3, UNITS[2])],
    }


def test_every_kind_of_fault_is_told_at_once_with_line_and_unit(tmp_path: Path) -> None:
    stranger = "S-ZZZZZZZZZZZZZZZZ"
    path = written(
        tmp_path,
        'slide_id,p_G1,p_G2,p_G3,note\n'
        f'{UNITS[0]},0.5,0.2,0.2,"two\nlines"\n'
        f"{stranger},1,0,0,\n"
        "\n"
        "张三,1,0,0,\n"
        f"{UNITS[1]},2,-1,0,\n"
        f"{UNITS[1]},1,0,0,\n"
        f"{UNITS[1]},1,0\n",
    )  # fmt: skip
    # The quoted line break is a line of the file as well.
    assert refused(path, "ordinal") == {
        "missing": [(None, UNITS[2])],
        "doubled": [(8, UNITS[1])],
        "unknown": [(4, stranger), (6, "")],
        "number": [(7, UNITS[1])],
        "sum": [(2, UNITS[0])],
        "cells": [(9, "")],
    }
    with pytest.raises(PredictionsError) as error:
        read_predictions(path, task_of("ordinal"), UNITS)
    assert "张三" not in str(error.value)
    assert f"line 4 {stranger}" in str(error.value)
    again = pickle.loads(pickle.dumps(error.value))  # noqa: S301 -- our own
    assert (str(again), again.faults) == (str(error.value), error.value.faults)
    assert error.value.faults_as_dict()[0] == {"kind": "missing", "rows": [{"line": None, "unit": UNITS[2]}], "more": 0}


@pytest.mark.parametrize(
    "cell", ["", "nan", "NaN", "inf", "-Infinity", "1_0", "１２", "0x10", "1e999", "1,5", "=1", "yes", "1 2", "\u0663"]
)
def test_what_is_no_finite_number_is_refused(tmp_path: Path, cell: str) -> None:
    path = written(tmp_path, lines("score", ["0.1", f'"{cell}"', "0.3"]))
    assert refused(path, "binary") == {"number": [(3, UNITS[1])]}


@pytest.mark.parametrize(
    ("kind", "head", "cell"),
    [
        ("binary", "prediction", "Yes"), ("binary", "prediction", ""), ("multiclass", "prediction", "肺腺"),
        ("ordinal", "prediction", "G4"), ("choice", "answer", "A;E"), ("choice", "answer", ""), ("choice", "answer", "A;"),
        ("choice", "answer", "AB"),
    ],
)  # fmt: skip
def test_what_is_no_class_is_refused(tmp_path: Path, kind: TaskName, head: str, cell: str) -> None:
    good = CLASSES[kind][0]
    assert refused(written(tmp_path, lines(head, [good, cell, good])), kind) == {"class": [(3, UNITS[1])]}


def test_twenty_rows_are_named_and_the_others_counted(tmp_path: Path) -> None:
    units = [f"S-{number:016d}" for number in range(50)]
    path = written(tmp_path, lines("score", ["x"] * 45, units[:45]))
    with pytest.raises(PredictionsError) as error:
        read_predictions(path, task_of("binary"), units)
    assert [(fault.kind, len(fault.rows), fault.more) for fault in error.value.faults] == [
        ("missing", 5, 0),
        ("number", 20, 25),
    ]
    assert "and 25 more" in str(error.value)


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        ("binary", "slide_id,prob\n", "`score`"),
        ("binary", "slide,score\n", "`slide_id`"),
        ("binary", "", "`slide_id`"),
        ("binary", "slide_id,score,score\n", "two columns"),
        ("ordinal", "slide_id,p_G1,p_G2\n", "2 of 3"),
        ("ordinal", "slide_id,prediction,p_G9\n", "1 of what is no class"),
        ("binary", 'slide_id,score\n"S,1\n', "not valid CSV"),
        ("binary", "slide_id,score\n\x00,1\n", "not text"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, kind: TaskName, text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        read_predictions(written(tmp_path, text), task_of(kind), UNITS)


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p"
    for content in (b"PK\x03\x04", b"PAR1 and no more", b"\xff\xfe\xff", b"\x1f\x8b"):
        path.write_bytes(content)
        with pytest.raises(UsageError):
            read_predictions(path, task_of("binary"), UNITS)
    link = tmp_path / "link"
    link.symlink_to(path)
    for wrong in (tmp_path / "absent", tmp_path, link):
        with pytest.raises(InputOutputError):
            read_predictions(wrong, task_of("binary"), UNITS)
    path.write_text(lines("score", ["1", "2", "3"]))
    monkeypatch.setattr(predictionfile, "MOST_BYTES", 20)
    with pytest.raises(UsageError, match="1 GiB"):
        read_predictions(path, task_of("binary"), UNITS)


def test_too_many_rows_and_long_cells_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = tmp_path / "p.parquet"
    pq.write_table(pa.table({"slide_id": UNITS, "prediction": ["no", "yes", "x" * 20_000]}), parquet)
    with pytest.raises(UsageError, match="more than 10000 bytes"):
        read_predictions(parquet, task_of("binary"), UNITS)
    pq.write_table(pa.table({"slide_id": UNITS, "prediction": [[1], [2], [3]]}), parquet)
    with pytest.raises(UsageError, match="neither text nor number"):
        read_predictions(parquet, task_of("binary"), UNITS)
    pq.write_table(pa.table({"slide_id": UNITS, "prediction": ["no"] * 3}), parquet)
    monkeypatch.setattr(predictionfile, "MOST_ROWS", 2)
    for path in (parquet, written(tmp_path, lines("prediction", ["no"] * 3))):
        with pytest.raises(UsageError, match="more than 2 rows"):
            read_predictions(path, task_of("binary"), UNITS)


def test_a_class_may_hold_what_stands_between_answers() -> None:
    assert joined_answer("a;b", {"a;b": 0, "c": 1}) == "a;b"
    assert joined_answer("c;d", {"a;b": 0, "c": 1}) is None


@settings(max_examples=60, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: f"slide_id,score\n{text}".encode(
    errors="surrogatepass"))))  # fmt: skip
def test_any_bytes_are_refused_in_order(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "hypothesis-predictions"
    path.write_bytes(content)
    with pytest.raises(PathcurateError):
        read_predictions(path, task_of("binary"), UNITS)

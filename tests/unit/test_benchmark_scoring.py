"""Scores of sealed labels: groups and counts of few patients are not told, and cannot be reckoned from what is."""

import json
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pytest

from pathcurate.benchmarks.predictions import Predictions
from pathcurate.benchmarks.scoring import predicted_labels, score
from pathcurate.benchmarks.suppression import told_counts, told_parts
from pathcurate.digests import row_digests, table_digest
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.benchmark import RESULT_JSON_SCHEMA, SEALED_LABELS, BenchmarkResult, BenchmarkTask, TaskName
from pathcurate.tables import from_rows

KNOWN: dict[str, Any] = {
    "release_digest": "sha256:" + "a" * 64, "commitment": "hmac-sha256:" + "b" * 64, "tool": "pathcurate", "drawings": 20,
}  # fmt: skip
CLASSES: dict[str, tuple[str, ...]] = {
    "binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "ordinal": ("a", "b", "c"), "choice": ("a", "b", "c"),
}  # fmt: skip


def task_of(kind: TaskName, rows: int, least: int = 10) -> BenchmarkTask:
    positive = "yes" if kind == "binary" else ""
    return BenchmarkTask("p", "1.0.0", kind, "slide_id", "label", rows, CLASSES.get(kind, ()), positive, min_cell=least)


def unit(number: int, letter: str = "S") -> str:
    return f"{letter}-{number:016d}"


def case(kind: TaskName, rows: int = 120, seed: int = 1, **columns: Any) -> tuple[BenchmarkTask, pa.Table, Predictions]:
    """A task with random labels and predictions; columns give patient, site and so on of each row."""
    random = np.random.default_rng(seed)
    task = task_of(kind, rows)
    units = [unit(number) for number in range(rows)]
    chosen = random.integers(0, max(1, len(task.classes)), rows)
    truth = [task.classes[number] for number in random.integers(0, len(task.classes), rows)] if task.classes else None
    predictions = Predictions(tuple(units), "sha256:" + "c" * 64, chosen=chosen)
    if kind == "binary":
        predictions = replace(predictions, chosen=None, scores=np.round(random.random(rows), 2))
    elif kind == "choice":
        predictions = replace(predictions, chosen=None, answers=tuple(task.classes[number] for number in chosen))
    elif truth is None:
        truth = [str(number) for number in random.integers(0, 50, rows)] if kind == "regression" else None
        predictions = replace(predictions, chosen=None, scores=random.random(rows) * 50)
    table = [
        {
            "unit_id": name,
            "truth": truth[number] if truth else None,
            "days": int(random.integers(1, 900)) if kind == "survival" else None,
            "event": bool(random.random() < 0.7) if kind == "survival" else None,
            "patient_id": unit(columns["patient"][number] if "patient" in columns else number, "P"),
            **{column: columns[column][number] for column in ("site", "scanner", "topic") if column in columns},
        }
        for number, name in enumerate(units)
    ]
    return task, from_rows(SEALED_LABELS, table), predictions


@pytest.mark.parametrize("kind", ["binary", "multiclass", "ordinal", "regression", "survival", "choice"])
def test_a_result_is_of_its_schema_and_comes_back(kind: TaskName) -> None:
    sites = ["x", "y", None] * 40
    task, truth, predictions = case(kind, site=sites, topic=["t1", "t2"] * 60)
    result = score(task, truth, predictions, **KNOWN)
    said = json.loads(json.dumps(result.as_dict()))
    jsonschema.Draft202012Validator.check_schema(RESULT_JSON_SCHEMA)
    jsonschema.Draft202012Validator(RESULT_JSON_SCHEMA).validate(said)
    assert BenchmarkResult.from_dict(said) == result
    assert result == score(task, truth.take(list(reversed(range(120)))), predictions, **KNOWN)
    assert {scores.by for scores in result.groups} == {"site", "topic"}
    assert sum(scores.rows or 0 for scores in result.groups if scores.by == "site") == 120
    assert all(round(one.value, 4) == one.value for one in result.overall.scores if one.value is not None)
    assert all(len(curve.x) == len(curve.y) <= 100 for curve in result.curves)
    assert result.by_cluster["site"].patients == 3


def test_the_figures_are_those_of_the_rows() -> None:
    task, truth, predictions = case("choice", topic=["t1"] * 60 + ["t2"] * 60)
    right = [true == said for true, said in zip(truth["truth"].to_pylist(), predictions.answers or (), strict=True)]
    result = score(task, truth, predictions, **KNOWN)
    assert result.overall.scores[0].value == round(np.mean(right), 4)
    assert [scores.scores[0].value for scores in result.groups] == [
        round(np.mean(right[:60]), 4), round(np.mean(right[60:]), 4)
    ]  # fmt: skip


def test_several_right_answers_are_a_set() -> None:
    task, truth, predictions = case("choice", rows=20)
    truth = truth.set_column(1, truth.schema.field(1), pa.array(["c; a"] * 20))
    told = [score(task, truth, replace(predictions, answers=(said,) * 20), **KNOWN) for said in ("a;c", "a", "a;b;c")]
    assert [result.overall.scores[0].value for result in told] == [1, 0, 0]


def test_labels_that_do_not_fit_are_refused() -> None:
    task, truth, predictions = case("binary")
    strange = truth.set_column(1, truth.schema.field(1), pa.array(["maybe"] * 120))
    lost = truth.set_column(1, truth.schema.field(1), pa.array([None] * 120, pa.string()))
    for labels in (truth.slice(1), pa.concat_tables([truth, truth.slice(0, 1)]), strange, lost):
        with pytest.raises(InputOutputError):
            score(task, labels, predictions, **KNOWN)
    task, truth, predictions = case("regression")
    for text in ("x", "nan", "inf"):
        with pytest.raises(InputOutputError):
            score(task, truth.set_column(1, truth.schema.field(1), pa.array([text] * 120)), predictions, **KNOWN)


@pytest.mark.parametrize(
    "setting", [{"drawings": -1}, {"drawings": 10**6}, {"seed": -1}, {"confidence": 1.0}, {"threshold": float("nan")}]
)
def test_settings_that_do_not_fit_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        score(*case("binary"), **{**KNOWN, **setting})


def test_the_threshold() -> None:
    task, truth, predictions = case("binary")
    assert score(task, truth, predictions, **KNOWN).threshold == 0.5
    wide = replace(predictions, scores=np.asarray(predictions.scores) * 10)
    with pytest.raises(UsageError, match="threshold"):
        score(task, truth, wide, **KNOWN)
    five = score(task, truth, wide, **KNOWN, threshold=5.0)
    assert five.confusion == score(task, truth, predictions, **KNOWN).confusion
    assert "brier" not in {one.metric for one in five.overall.scores}
    chosen = replace(wide, chosen=np.zeros(120, dtype=np.int64))
    assert score(task, truth, chosen, **KNOWN).threshold is None
    with pytest.raises(UsageError, match="binary"):
        score(*case("ordinal"), **KNOWN, threshold=0.5)


def test_predictions_that_are_the_labels_have_their_digest() -> None:
    for kind in ("multiclass", "ordinal", "choice", "regression"):
        task, truth, predictions = case(kind)
        texts = truth["truth"].to_pylist()
        places = [task.classes.index(text) for text in texts] if task.classes else []
        perfect = {
            "choice": {"answers": tuple(texts)},
            "regression": {"scores": np.array([float(text) for text in texts]) if kind == "regression" else None},
        }.get(kind, {"chosen": np.array(places)})
        labels = predicted_labels(task, truth, replace(predictions, **perfect))
        assert labels is not None
        assert table_digest(row_digests(labels)) == table_digest(row_digests(truth))
        others = predicted_labels(task, truth, predictions)
        assert others is not None
        assert table_digest(row_digests(others)) != table_digest(row_digests(truth))
    assert predicted_labels(*case("survival")) is None


def test_shares_among_few_patients_are_not_told() -> None:
    task, truth, predictions = case("binary")
    truth = truth.set_column(1, truth.schema.field(1), pa.array(["yes"] * 4 + ["no"] * 116))
    told = {one.metric: one for one in score(task, truth, predictions, **KNOWN).overall.scores}
    for name in ("auroc", "average_precision", "sensitivity", "balanced_accuracy", "f1", "mcc"):
        assert (told[name].value, told[name].low, told[name].failed) == (None, None, 0)
    assert told["specificity"].value is not None
    single = replace(predictions, scores=np.where(np.arange(120) == 7, 1.0, 0.0))
    assert {one.metric: one.value for one in score(task, truth, single, **KNOWN).overall.scores}["ppv"] is None


def test_curves_hide_single_rows() -> None:
    result = score(*case("binary", rows=300, patient=[number // 2 for number in range(300)]), **KNOWN)
    roc = next(curve for curve in result.curves if curve.name == "roc")
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert len(roc.x) <= 1 + 150 // 10 * 2
    assert all(round(value, 2) == value for curve in result.curves for value in (*curve.x, *curve.y))
    task, truth, predictions = case("binary", rows=12)
    assert {curve.name for curve in score(task, truth, predictions, **KNOWN).curves} <= {"calibration"}


# --- Suppression -------------------------------------------------------------------------------------------------


def derivable(told: list[np.ndarray], wanted: np.ndarray) -> bool:
    """Whether a sum over some rows follows from sums over others; written apart from the code."""
    solution = np.linalg.lstsq(np.array(told, dtype=float).T, wanted.astype(float), rcond=None)[0]
    return bool(np.allclose(np.array(told, dtype=float).T @ solution, wanted, atol=1e-8))


@pytest.mark.parametrize("seed", range(12))
def test_no_small_group_can_be_reckoned(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = int(random.integers(30, 150))
    patient = random.integers(0, rows, rows)
    columns = {
        name: [str(value) for value in random.choice(6, rows, p=random.dirichlet([0.4] * 6))] for name in ("site", "scanner")
    }
    parts = told_parts(columns, patient, 10)
    told = [np.ones(rows), *(part.rows for several in parts.values() for part in several)]
    for several in parts.values():
        assert np.sum([part.rows for part in several], axis=0).tolist() == [1] * rows
        assert all(len(set(patient[part.rows])) >= 10 for part in several)
    for site in set(columns["site"]):
        for scanner in {*columns["scanner"], None}:
            few = np.array(columns["site"]) == site
            few &= True if scanner is None else np.array(columns["scanner"]) == scanner
            if 0 < len(set(patient[few])) < 10:
                assert not derivable(told, few)


def test_one_small_group_takes_another_with_it() -> None:
    columns = {"site": ["big"] * 50 + ["middle"] * 20 + ["small"] * 3}
    parts = told_parts(columns, np.arange(73), 10)["site"]
    assert sorted((sorted(filter(None, part.names)), int(part.rows.sum())) for part in parts) == [
        (["big"], 50), (["middle", "small"], 23)
    ]  # fmt: skip
    assert told_parts({"site": ["big"] * 50 + ["small"] * 3}, np.arange(53), 10) == {}
    result = score(*case("multiclass", rows=73, site=columns["site"]), **KNOWN)
    assert [(scores.group, scores.rows) for scores in result.groups] == [("big", 50), ("(2 组合并 together)", 23)]
    assert any("together" in note for note in result.notes)


def test_a_scanner_that_differs_from_its_site_by_few_is_not_told() -> None:
    sites = ["x"] * 50 + ["y"] * 50
    scanners = ["m"] * 47 + ["n"] * 53
    parts = told_parts({"site": sites, "scanner": scanners}, np.arange(100), 10)
    assert set(parts) == {"site"}
    assert set(told_parts({"site": sites, "scanner": ["m"] * 25 + ["n"] * 50 + ["m"] * 25}, np.arange(100), 10)) == {
        "site", "scanner"
    }  # fmt: skip


def test_rows_of_few_patients_are_few() -> None:
    parts = told_parts({"site": ["x"] * 100 + ["y"] * 60}, np.array([*range(100), *[200] * 60]), 10)
    assert parts == {}


@pytest.mark.parametrize("seed", range(25))
def test_a_withheld_count_cannot_be_reckoned(seed: int) -> None:
    random = np.random.default_rng(seed)
    classes, rows = int(random.integers(2, 6)), int(random.integers(20, 300))
    truth = random.choice(classes, rows, p=random.dirichlet([1.0] * classes))
    chosen = np.where(random.random(rows) < 0.8, truth, random.integers(0, classes, rows))
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (truth, chosen), 1)
    told = told_counts(truth, chosen, classes, np.arange(rows), 10)
    flat = [cell for row in told for cell in row]
    assert all(cell is None or cell == count for cell, count in zip(flat, counts.flat, strict=True))
    assert not any(cell is not None and 0 < cell < 10 for cell in flat)
    # Known: the told cells, and all sums of rows and columns.
    known = [np.eye(classes**2)[place] for place, cell in enumerate(flat) if cell is not None]
    for line in range(classes):
        for axis in (0, 1):
            sums = np.zeros((classes, classes))
            sums[(slice(None), line) if axis else line] = 1
            known.append(sums.ravel())
    for place, cell in enumerate(flat):
        if cell is None and 0 < counts.flat[place] < 10:
            assert not derivable(known, np.eye(classes**2)[place])


def test_counts_of_enough_patients_are_told() -> None:
    truth, chosen = np.repeat([0, 0, 1, 1], [30, 12, 15, 40]), np.repeat([0, 1, 0, 1], [30, 12, 15, 40])
    assert told_counts(truth, chosen, 2, np.arange(97), 10) == ((30, 12), (15, 40))
    assert told_counts(truth, chosen, 2, np.arange(97) // 5, 10) == ((None, None), (None, None))

"""Intervals from drawing patients cover the truth where drawing rows would not."""

from collections.abc import Callable

import numpy as np
import pytest

from pathcurate.benchmarks.answered import Answered
from pathcurate.benchmarks.answers import drawn_answers
from pathcurate.benchmarks.intervals import drawn_weights, scored, told
from pathcurate.model.benchmark import BenchmarkTask

REGRESSION = BenchmarkTask("p", "1.0.0", "regression", "slide_id", "label", 1)


def rows_of_patients(random: np.random.Generator, patients: int = 60, each: int = 5) -> Answered:
    """Numbers whose errors are mostly those of the patient; the true bias is 0."""
    patient = np.repeat(np.arange(patients), each)
    number = random.normal(size=len(patient))
    error = random.normal(size=patients)[patient] + 0.3 * random.normal(size=len(patient))
    return Answered(REGRESSION, patient, number=number, predicted=number + error)


def covered(cluster: Callable[[Answered], np.ndarray], trials: int = 150) -> float:
    random = np.random.default_rng(11)
    hits = 0
    for trial in range(trials):
        rows = rows_of_patients(random)
        bias = next(score for score in scored(rows, cluster(rows), 200, trial, 0.95) if score.metric == "bias")
        assert bias.low is not None
        assert bias.high is not None
        hits += bias.low <= 0 <= bias.high
    return hits / trials


def test_intervals_from_drawing_patients_cover_as_they_should() -> None:
    assert 0.9 <= covered(lambda rows: rows.patient) <= 0.99


def test_drawing_rows_would_not_have_done() -> None:
    assert covered(lambda rows: np.arange(rows.rows), trials=60) < 0.8


def test_a_patient_is_drawn_with_all_rows() -> None:
    patient = np.array([7, 7, -3, 7, 900])
    weights = np.concatenate(list(drawn_weights(patient, 50, 1)))
    assert weights.shape == (50, 5)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 0] == weights[:, 3]).all()
    assert (weights[:, [0, 2, 4]].sum(axis=1) == 3).all()
    assert len(np.unique(weights, axis=0)) > 5


def test_blocks_do_not_change_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = np.arange(40)
    whole = np.concatenate(list(drawn_weights(patient, 30, 4)))
    monkeypatch.setattr("pathcurate.benchmarks.intervals._CELLS", 90)
    pieces = list(drawn_weights(patient, 30, 4))
    assert len(pieces) == 15
    assert np.array_equal(np.concatenate(pieces), whole)


def test_drawings_of_kinds_are_those_of_clusters() -> None:
    """As wide as drawing each patient with all rows one by one."""
    random = np.random.default_rng(3)
    patient = np.sort(random.integers(0, 60, 300))
    is_right, topic = random.random(300) < 0.3 + 0.5 * (patient % 2), random.integers(-1, 3, 300)
    drawn = drawn_answers(is_right, topic, patient, 4000, 1)
    weights = np.concatenate(list(drawn_weights(patient, 4000, 2)))
    alone = weights @ is_right / weights.sum(axis=1)
    assert abs(drawn["exact"].mean() - alone.mean()) < 0.005
    assert drawn["exact"].std() == pytest.approx(alone.std(), rel=0.06)
    for low in (0.025, 0.5, 0.975):
        assert np.quantile(drawn["exact"], low) == pytest.approx(np.quantile(alone, low), abs=0.01)
    assert drawn["macro_topic"].shape == (4000,)


def test_the_seed_decides() -> None:
    rows = rows_of_patients(np.random.default_rng(1))
    assert scored(rows, rows.patient, 50, 3, 0.95) == scored(rows, rows.patient, 50, 3, 0.95)
    assert scored(rows, rows.patient, 50, 3, 0.95) != scored(rows, rows.patient, 50, 4, 0.95)


def test_more_confidence_is_wider_and_holds_the_value() -> None:
    rows = rows_of_patients(np.random.default_rng(1))
    for narrow, wide in zip(*(scored(rows, rows.patient, 400, 3, level) for level in (0.8, 0.99)), strict=True):
        assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


def test_undefined_drawings_are_counted() -> None:
    task = BenchmarkTask("p", "1.0.0", "binary", "slide_id", "label", 1, ("no", "yes"), "yes")
    rows = Answered(task, np.arange(4), truth=np.array([1, 0, 0, 0]), score=np.array([0.9, 0.2, 0.3, 0.4]))
    scores = {score.metric: score for score in scored(rows, rows.patient, 1000, 0, 0.95)}
    # The one positive is missing with (3/4)^4 = 0.316, and all are it with (1/4)^4.
    assert scores["auroc"].failed == pytest.approx(320, abs=60)
    assert scores["brier"].failed == 0
    one = Answered(task, np.zeros(4, dtype=np.int64), truth=rows.truth, score=rows.score)
    assert all(score.low is None for score in scored(one, one.patient, 100, 0, 0.95))
    assert all(score.low is None for score in scored(rows, None, 100, 0, 0.95))


def test_no_interval_where_most_drawings_are_undefined() -> None:
    task = BenchmarkTask("p", "1.0.0", "binary", "slide_id", "label", 1, ("no", "yes"), "yes")
    # Two clusters, each of one class: half of the drawings hold both; with a third cluster of the same class fewer do.
    rows = Answered(task, np.array([0, 1]), truth=np.array([1, 0]), score=np.array([0.9, 0.2]))
    auroc = scored(rows, rows.patient, 999, 1, 0.95)[0]
    assert auroc.metric == "auroc"
    assert (auroc.low is None) == (auroc.failed * 2 > 999)


@pytest.mark.parametrize(("value", "expected"), [(0.123456, 0.1235), (-0.00001, 0.0), (12.0, 12.0)])
def test_figures_have_four_decimals(value: float, expected: float) -> None:
    assert told(value) == expected
    assert str(told(value))[0] != "-"

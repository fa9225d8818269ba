"""Metrics are scikit-learn's, those of drawings as well, and the concordance is what its definition says."""

import importlib
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy import stats

from pathcurate.benchmarks.answered import Answered
from pathcurate.benchmarks.answers import kinds_of, shares
from pathcurate.benchmarks.concordance import concordance, kaplan_meier
from pathcurate.benchmarks.drawn import drawn_metrics
from pathcurate.benchmarks.intervals import drawn_weights
from pathcurate.benchmarks.metrics import measured
from pathcurate.benchmarks.names import METRICS, metric_name
from pathcurate.errors import UsageError
from pathcurate.model.benchmark import TASKS, BenchmarkTask, TaskName

CLASSES = ("a", "b", "c", "d")


def task_of(kind: TaskName) -> BenchmarkTask:
    classes = {"binary": ("no", "yes"), "multiclass": CLASSES, "ordinal": CLASSES, "choice": CLASSES}.get(kind, ())
    return BenchmarkTask("p", "1.0.0", kind, "slide_id", "label", 1, classes, "yes" if kind == "binary" else "")


def random_rows(kind: TaskName, rows: int, random: np.random.Generator) -> Answered:
    """Rows with many ties, of patients with several each."""
    task, patient = task_of(kind), random.integers(0, max(2, rows // 3), rows)
    truth = random.integers(0, 2 if kind == "binary" else 4, rows)
    if kind == "binary":
        score = np.round(random.random(rows), 1)
        return Answered(task, patient, truth=truth, chosen=(score >= 0.5).astype(np.int64), score=score)
    if kind in {"multiclass", "ordinal"}:
        shares = np.round(random.dirichlet([1.0] * 4, rows), 1) + 0.01
        shares /= shares.sum(axis=1, keepdims=True)
        return Answered(task, patient, truth=truth, chosen=shares.argmax(axis=1), probabilities=shares)
    if kind == "regression":
        number = np.round(random.normal(size=rows), 1)
        return Answered(task, patient, number=number, predicted=np.round(number + random.normal(size=rows), 1))
    if kind == "survival":
        days, event = random.integers(0, 10, rows), random.random(rows) < 0.6
        return Answered(task, patient, days=days, event=event, risk=np.round(random.random(rows), 1))
    return Answered(task, patient, is_right=random.random(rows) < 0.5, topic=random.integers(-1, 4, rows))


@pytest.mark.parametrize("kind", [kind for kind in TASKS if kind != "choice"])
def test_drawings_have_the_metrics_of_their_weights(kind: TaskName) -> None:
    random = np.random.default_rng(5)
    defined = 0
    for rows in (2, 3, 5, 8, 13, 21, 40):
        answered = random_rows(kind, rows, random)
        weights = np.concatenate(list(drawn_weights(answered.patient, 6, rows)))
        drawn = drawn_metrics(answered, by_class=True)(weights)
        for number, weight in enumerate(weights):
            one = measured(answered, weight, by_class=True)
            assert {name for name, values in drawn.items() if np.isfinite(values[number])} == set(one)
            assert {name: drawn[name][number] for name in one} == pytest.approx(one, abs=1e-9)
            defined += len(one)
    assert defined > 40


@pytest.mark.parametrize("seed", range(8))
def test_kinds_of_clusters_have_the_shares_of_their_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random_rows("choice", 40, random)
    kinds, numbers = kinds_of(rows.is_right, rows.topic, rows.patient)
    assert numbers.sum() == rows.patients
    told = shares(numbers[None, :] @ kinds)
    assert {name: values[0] for name, values in told.items()} == pytest.approx(measured(rows))
    # Drawn so often: one cluster of each kind stands for all of them.
    weights = random.integers(0, 3, len(kinds))
    first: dict[bytes, int] = {}
    for patient in np.unique(rows.patient):
        (own,), _ = kinds_of(*(values[rows.patient == patient] for values in (rows.is_right, rows.topic, rows.patient)))
        padded = np.zeros(kinds.shape[1])
        padded[: len(own)] = own
        first.setdefault(padded.tobytes(), int(patient))
    weight = np.zeros(rows.rows)
    for number, kind in zip(weights, kinds, strict=True):
        weight[rows.patient == first[kind.tobytes()]] = number
    if weight.any():
        assert shares(weights[None, :] @ kinds)["exact"][0] == pytest.approx(measured(rows, weight)["exact"])


@pytest.mark.parametrize("kind", TASKS)
def test_a_weight_counts_as_so_many_rows(kind: TaskName) -> None:
    rows = random_rows(kind, 30, np.random.default_rng(7))
    weights = np.random.default_rng(8).integers(0, 4, 30).astype(float)
    repeated = rows.of(np.repeat(np.arange(30), weights.astype(int)))
    assert measured(rows, weights, by_class=True) == pytest.approx(measured(repeated, by_class=True))


@pytest.mark.parametrize("seed", range(5))
def test_binary_metrics_are_those_of_scikit_learn(seed: int) -> None:
    rows = random_rows("binary", 60, np.random.default_rng(seed))
    truth, said, score = rows.truth, rows.chosen, rows.score
    assert measured(rows) == pytest.approx({
        "auroc": sk.roc_auc_score(truth, score),
        "average_precision": sk.average_precision_score(truth, score),
        "brier": sk.brier_score_loss(truth, score),
        "accuracy": sk.accuracy_score(truth, said),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
        "sensitivity": sk.recall_score(truth, said),
        "specificity": sk.recall_score(truth, said, pos_label=0),
        "ppv": sk.precision_score(truth, said),
        "npv": sk.precision_score(truth, said, pos_label=0),
        "f1": sk.f1_score(truth, said),
        "mcc": sk.matthews_corrcoef(truth, said),
    })  # fmt: skip


def test_the_positive_class_may_be_the_first() -> None:
    rows = random_rows("binary", 60, np.random.default_rng(1))
    turned = Answered(
        BenchmarkTask("p", "1.0.0", "binary", "slide_id", "label", 1, ("yes", "no"), "yes"),
        rows.patient, truth=1 - rows.truth, chosen=1 - rows.chosen, score=rows.score,
    )  # fmt: skip
    assert measured(turned) == pytest.approx(measured(rows))
    weights = np.ones((1, 60))
    assert drawn_metrics(turned)(weights)["ppv"] == drawn_metrics(rows)(weights)["ppv"]


@pytest.mark.parametrize("seed", range(5))
def test_metrics_of_classes_and_grades_are_those_of_scikit_learn(seed: int) -> None:
    rows = random_rows("multiclass", 80, np.random.default_rng(seed))
    truth, said = rows.truth, rows.chosen
    told = measured(rows, by_class=True)
    assert told["macro_auroc"] == pytest.approx(sk.roc_auc_score(truth, rows.probabilities, multi_class="ovr"))
    assert told["kappa"] == pytest.approx(sk.cohen_kappa_score(truth, said))
    assert told["macro_f1"] == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert told["weighted_f1"] == pytest.approx(sk.f1_score(truth, said, average="weighted"))
    assert told["recall:c"] == pytest.approx(sk.recall_score(truth, said, average=None)[2])
    assert told["precision:b"] == pytest.approx(sk.precision_score(truth, said, average=None)[1])
    grades = measured(random_rows("ordinal", 80, np.random.default_rng(seed)))
    assert grades["quadratic_kappa"] == pytest.approx(sk.cohen_kappa_score(truth, said, weights="quadratic"))
    assert grades["within_one"] == pytest.approx(np.mean(np.abs(truth - said) <= 1))
    assert grades["grade_distance"] == pytest.approx(np.mean(np.abs(truth - said)))


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_metrics_of_numbers_are_those_of_scipy(offset: float) -> None:
    rows = random_rows("regression", 70, np.random.default_rng(2))
    true, said = rows.number + offset, rows.predicted + offset
    rows = Answered(rows.task, rows.patient, number=true, predicted=said)
    expected = {
        "mae": sk.mean_absolute_error(true, said),
        "rmse": sk.mean_squared_error(true, said) ** 0.5,
        "r2": sk.r2_score(true, said),
        "pearson": stats.pearsonr(true, said).statistic,
        "spearman": stats.spearmanr(true, said).statistic,
        "bias": np.mean(said - true),
        "agreement_low": np.mean(said - true) - 1.96 * np.std(said - true, ddof=1),
        "agreement_high": np.mean(said - true) + 1.96 * np.std(said - true, ddof=1),
    }
    assert measured(rows) == pytest.approx(expected, rel=1e-6)
    drawn = drawn_metrics(rows)(np.ones((1, 70)))
    assert {name: values[0] for name, values in drawn.items()} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("truth", "said", "undefined"),
    [
        ([1, 1, 1], [0, 1, 1], {"auroc", "balanced_accuracy", "specificity", "mcc"}),
        ([0, 0, 0], [0, 0, 0], {"auroc", "average_precision", "sensitivity", "ppv", "f1", "mcc", "balanced_accuracy"}),
        ([0, 1, 1], [0, 0, 0], {"ppv", "mcc"}),
    ],
)
def test_what_is_not_defined_is_left_out_without_a_warning(truth: list[int], said: list[int], undefined: set[str]) -> None:
    rows = Answered(
        task_of("binary"), np.arange(3), truth=np.array(truth), chosen=np.array(said), score=np.array([0.1, 0.5, 0.9])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = measured(rows)
        drawn = drawn_metrics(rows)(np.ones((1, 3)))
    everything = set(drawn)
    assert everything - set(told) == undefined
    assert {name for name, values in drawn.items() if np.isnan(values[0])} == undefined


def naive_concordance(days: Any, event: Any, risk: Any, weights: Any) -> float:
    """By the definition, pair by pair."""
    good = all_pairs = 0.0
    for i, j in itertools.permutations(range(len(days)), 2):
        if event[i] and (days[i] < days[j] or (days[i] == days[j] and not event[j])):
            pair = weights[i] * weights[j]
            all_pairs += pair
            good += pair * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    return good / all_pairs if all_pairs else float("nan")


@pytest.mark.parametrize("seed", range(25))
def test_concordance_is_that_of_its_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = int(random.integers(1, 40))
    days, event = random.integers(0, random.integers(1, 30), rows), random.random(rows) < random.random()
    risk = np.round(random.normal(size=rows), int(random.integers(0, 3)))
    weights = random.integers(0, 4, (3, rows)).astype(float)
    expected = [naive_concordance(days, event, risk, drawn) for drawn in weights]
    assert concordance(days, event, risk, weights) == pytest.approx(expected, nan_ok=True)


def test_kaplan_meier_is_that_of_the_textbook() -> None:
    # Freireich's 6-mercaptopurine arm: Cox DR, Oakes D. Analysis of Survival Data, 1984, table 1.1.
    days = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35])
    event = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    times, survival, at_risk = kaplan_meier(days, event)
    assert times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert survival == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=1e-4)
    assert at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]


def test_every_metric_has_its_names() -> None:
    for kind in TASKS:
        rows = random_rows(kind, 60, np.random.default_rng(3))
        for name in measured(rows, by_class=True):
            assert all(metric_name(name))
    assert metric_name("recall:G:3") == ("recall of G:3", "G:3 的召回率")
    assert all(english and chinese for english, chinese in METRICS.values())


def test_a_missing_scikit_learn_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def missing(name: str, *given: Any) -> Any:
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(name)
        return real(name, *given)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"pathcurate\[evaluate\]"):
        measured(random_rows("binary", 9, np.random.default_rng(1)))

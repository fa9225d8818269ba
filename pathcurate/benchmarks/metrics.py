"""The metrics of each task, by scikit-learn where it has them; a metric that is not defined for the rows is left out.

Weights say how often a row counts. What needs both classes, or two values that differ, is not defined without them.
"""

import importlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from pathcurate.benchmarks.answered import Answered, Floats, Whole
from pathcurate.benchmarks.concordance import concordance
from pathcurate.errors import UsageError

LIMITS_OF_AGREEMENT = 1.96
"""Standard deviations about the bias within which 95 % of normal differences are (Bland and Altman, Lancet 1986;327:307)."""
MOST_CLASSES_OF_CURVES = 20
"""Of a task with more, the area under the curves has no interval: it would take too long."""


def measured(rows: Answered, weights: Floats | None = None, *, by_class: bool = False) -> dict[str, float]:
    """The metrics that are defined, by name, in the order in which they are told.

    Args:
        rows: labels and predictions.
        weights: how often each row counts; once if not given.
        by_class: with recall and precision of each class.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    weights = np.ones(rows.rows) if weights is None else weights
    counted = weights > 0
    rows, weights = rows.of(counted), weights[counted]
    if not rows.rows:
        return {}
    with warnings.catch_warnings():
        # It warns of classes that are among the predictions only, which these metrics allow for.
        warnings.simplefilter("ignore")
        told = dict(_METRICS[rows.task.task](rows, weights))
        if by_class and rows.chosen is not None and rows.task.task in {"multiclass", "ordinal"}:
            told.update(_by_class(rows, weights))
    return {name: float(value) for name, value in told.items() if np.isfinite(value)}


def sklearn_metrics() -> Any:
    """The metrics of scikit-learn.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module("sklearn.metrics")
    except ImportError:
        raise UsageError(
            "scikit-learn, which reckons the metrics, is not installed",
            "Install it with: pip install 'pathcurate[evaluate]'",
        ) from None


def _binary(rows: Answered, weights: Floats) -> Iterator[tuple[str, float]]:
    sk, positive = sklearn_metrics(), _there(rows.truth) == rows.positive
    has_both = bool(positive.any()) and not bool(positive.all())
    if rows.score is not None:
        if has_both:
            yield "auroc", sk.roc_auc_score(positive, rows.score, sample_weight=weights)
        if positive.any():
            yield "average_precision", sk.average_precision_score(positive, rows.score, sample_weight=weights)
        if rows.has_probabilities:
            yield "brier", float(np.average((rows.score - positive) ** 2, weights=weights))
    if rows.chosen is None:
        return
    said = _there(rows.chosen) == rows.positive
    yield "accuracy", sk.accuracy_score(positive, said, sample_weight=weights)
    if has_both:
        yield "balanced_accuracy", sk.balanced_accuracy_score(positive, said, sample_weight=weights)
    for name, one, other, label in (
        ("sensitivity", sk.recall_score, positive, True),
        ("specificity", sk.recall_score, ~positive, False),
        ("ppv", sk.precision_score, said, True),
        ("npv", sk.precision_score, ~said, False),
    ):
        if other.any():
            yield name, one(positive, said, pos_label=label, sample_weight=weights)
    if positive.any() or said.any():
        yield "f1", sk.f1_score(positive, said, sample_weight=weights)
    if has_both and said.any() and not said.all():
        yield "mcc", sk.matthews_corrcoef(positive, said, sample_weight=weights)


def _multiclass(rows: Answered, weights: Floats) -> Iterator[tuple[str, float]]:
    sk, truth, chosen = sklearn_metrics(), _there(rows.truth), _there(rows.chosen)
    yield "accuracy", sk.accuracy_score(truth, chosen, sample_weight=weights)
    yield "balanced_accuracy", sk.balanced_accuracy_score(truth, chosen, sample_weight=weights)
    for average in ("macro", "weighted"):
        yield f"{average}_f1", sk.f1_score(truth, chosen, average=average, sample_weight=weights, zero_division=0)
    if _varies(truth, chosen):
        yield "kappa", sk.cohen_kappa_score(truth, chosen, sample_weight=weights)
    if rows.probabilities is not None and len(np.unique(truth)) == len(rows.task.classes):
        if len(rows.task.classes) == 2:
            yield "macro_auroc", sk.roc_auc_score(truth == 1, rows.probabilities[:, 1], sample_weight=weights)
        else:
            yield (
                "macro_auroc",
                sk.roc_auc_score(truth, rows.probabilities, multi_class="ovr", average="macro", sample_weight=weights),
            )


def _ordinal(rows: Answered, weights: Floats) -> Iterator[tuple[str, float]]:
    sk, grades = sklearn_metrics(), range(len(rows.task.classes))
    if _varies(rows.truth, rows.chosen):
        yield (
            "quadratic_kappa",
            sk.cohen_kappa_score(rows.truth, rows.chosen, labels=list(grades), weights="quadratic", sample_weight=weights),
        )
    yield "accuracy", sk.accuracy_score(rows.truth, rows.chosen, sample_weight=weights)
    distance = np.abs(_there(rows.truth) - _there(rows.chosen))
    yield "within_one", np.average(distance <= 1, weights=weights)
    yield "grade_distance", sk.mean_absolute_error(rows.truth, rows.chosen, sample_weight=weights)


def _varies(truth: Whole | None, chosen: Whole | None) -> bool:
    """Whether agreement by chance is less than all."""
    return len(np.unique(np.concatenate([_there(truth), _there(chosen)]))) > 1


def _there(values: Whole | None) -> Whole:
    return values if values is not None else np.empty(0, dtype=np.int64)


def _by_class(rows: Answered, weights: Floats) -> Iterator[tuple[str, float]]:
    sk = sklearn_metrics()
    numbers = list(range(len(rows.task.classes)))
    for kind, score in (("recall", sk.recall_score), ("precision", sk.precision_score)):
        values = score(
            rows.truth, rows.chosen, labels=numbers, average=None, sample_weight=weights, zero_division=np.nan
        )  # fmt: skip
        yield from ((f"{kind}:{name}", value) for name, value in zip(rows.task.classes, values, strict=True))


def _regression(rows: Answered, weights: Floats) -> Iterator[tuple[str, float]]:
    sk, true, said = sklearn_metrics(), rows.number, rows.predicted
    if true is None or said is None:
        return
    yield "mae", sk.mean_absolute_error(true, said, sample_weight=weights)
    yield "rmse", float(np.sqrt(sk.mean_squared_error(true, said, sample_weight=weights)))
    if np.ptp(true) > 0:
        yield "r2", sk.r2_score(true, said, sample_weight=weights)
        if np.ptp(said) > 0:
            yield "pearson", correlation(true, said, weights)
            yield "spearman", correlation(ranks(true, weights), ranks(said, weights), weights)
    difference = said - true
    bias = float(np.average(difference, weights=weights))
    yield "bias", bias
    if weights.sum() > 1:
        spread = float(np.sqrt(np.sum(weights * (difference - bias) ** 2) / (weights.sum() - 1)))
        yield "agreement_low", bias - LIMITS_OF_AGREEMENT * spread
        yield "agreement_high", bias + LIMITS_OF_AGREEMENT * spread


def correlation(one: Floats, other: Floats, weights: Floats) -> float:
    """Pearson's, of rows that count so often."""
    one, other = one - np.average(one, weights=weights), other - np.average(other, weights=weights)
    both = np.sqrt(np.sum(weights * one**2) * np.sum(weights * other**2))
    return float(np.sum(weights * one * other) / both) if both > 0 else float("nan")


def ranks(values: Floats, weights: Floats) -> Floats:
    """The rank of each value among rows that count so often; equal ones share the mean of theirs."""
    _, group = np.unique(values, return_inverse=True)
    sums = np.bincount(group, weights=weights)
    ranked: Floats = (np.cumsum(sums) - sums + (sums + 1) / 2)[group]
    return ranked


def _survival(rows: Answered, weights: Floats) -> Iterator[tuple[str, float]]:
    if rows.days is not None and rows.event is not None and rows.risk is not None:
        yield "concordance", concordance(rows.days, rows.event, rows.risk, weights[None, :])[0]


def _choice(rows: Answered, weights: Floats) -> Iterator[tuple[str, float]]:
    if rows.is_right is None:
        return
    yield "exact", float(np.average(rows.is_right, weights=weights))
    if rows.topic is not None and (rows.topic >= 0).any():
        there = rows.topic >= 0
        asked = np.bincount(rows.topic[there], weights=weights[there])
        right = np.bincount(rows.topic[there], weights=(weights * rows.is_right)[there])
        yield "macro_topic", float(np.mean(right[asked > 0] / asked[asked > 0]))


_METRICS = {
    "binary": _binary,
    "multiclass": _multiclass,
    "ordinal": _ordinal,
    "regression": _regression,
    "survival": _survival,
    "choice": _choice,
}

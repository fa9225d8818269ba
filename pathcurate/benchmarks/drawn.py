"""The metrics of many drawings at once: weights of all rows for each drawing, sorted once; for answers, see ``answers``.

The values are those of :func:`pathcurate.benchmarks.metrics.measured` with the same weights.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from pathcurate.benchmarks.answered import Answered, Flags, Floats, Whole
from pathcurate.benchmarks.concordance import Concordance
from pathcurate.benchmarks.metrics import LIMITS_OF_AGREEMENT, MOST_CLASSES_OF_CURVES

Drawn = Callable[[Floats], Mapping[str, Floats]]
"""Weights (drawings by rows) to the values of each metric (one a drawing), NaN where it is not defined."""


def drawn_metrics(rows: Answered, *, by_class: bool = False) -> Drawn:
    """Prepares what does not depend on weights; arguments as of :func:`~pathcurate.benchmarks.metrics.measured`."""
    parts = list(_parts(rows, by_class))

    def drawn(weights: Floats) -> Mapping[str, Floats]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return {name: values for part in parts for name, values in part(weights).items()}

    return drawn


def _parts(rows: Answered, by_class: bool) -> Iterator[Drawn]:
    task, truth, chosen = rows.task, rows.truth, rows.chosen
    if rows.score is not None and truth is not None:
        yield _curves(truth == rows.positive, rows.score)
        if rows.has_probabilities:
            squares = (rows.score - (truth == rows.positive)) ** 2
            yield lambda weights: {"brier": weights @ squares / weights.sum(axis=1)}
    if truth is not None and chosen is not None:
        figures = {"binary": lambda table: _of_two(table, rows.positive), "ordinal": _of_grades}.get(task.task, _of_classes)
        yield _counted(truth, chosen, task.classes, figures, by_class and task.task != "binary")
    if rows.probabilities is not None and task.task == "multiclass" and len(task.classes) <= MOST_CLASSES_OF_CURVES:
        yield _one_against_rest(_given(truth), rows.probabilities)
    if rows.number is not None and rows.predicted is not None:
        yield _numbers(rows.number, rows.predicted)
    if rows.days is not None and rows.event is not None and rows.risk is not None:
        pairs = Concordance(rows.days, rows.event, rows.risk)
        yield lambda weights: {"concordance": pairs.weighed(weights)}


def _given(values: Whole | None) -> Whole:
    return values if values is not None else np.empty(0, dtype=np.int64)


class _Sorted:
    """Rows from the highest score; sums are told at the last row of each score."""

    def __init__(self, positive: Flags, score: Floats) -> None:
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self._positive = positive[self._order]

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """True and false positives at each score from the highest (drawings by scores)."""
        ordered = weights[:, self._order]
        everyone = np.cumsum(ordered, axis=1)[:, self._ends]
        true = np.cumsum(ordered * self._positive, axis=1)[:, self._ends]
        return true, everyone - true


def _area(true: Floats, false: Floats) -> Floats:
    steps = np.diff(false, axis=1, prepend=0.0)
    heights = true - np.diff(true, axis=1, prepend=0.0) / 2
    return np.asarray(np.einsum("dn,dn->d", steps, heights) / (true[:, -1] * false[:, -1]))


def _curves(positive: Flags, score: Floats) -> Drawn:
    by_score = _Sorted(positive, score)

    def drawn(weights: Floats) -> Mapping[str, Floats]:
        true, false = by_score.counts(weights)
        flagged = true + false
        # What is found without a row being drawn adds nothing: its step is 0.
        precision = np.where(flagged > 0, true / np.where(flagged > 0, flagged, 1), 0.0)
        steps = np.diff(true, axis=1, prepend=0.0)
        return {
            "auroc": _area(true, false),
            "average_precision": np.einsum("dn,dn->d", steps, precision) / true[:, -1],
        }

    return drawn


def _one_against_rest(truth: Whole, probabilities: Floats) -> Drawn:
    curves = [_Sorted(truth == number, probabilities[:, number]) for number in range(probabilities.shape[1])]

    def drawn(weights: Floats) -> Mapping[str, Floats]:
        return {"macro_auroc": np.mean([_area(*curve.counts(weights)) for curve in curves], axis=0)}

    return drawn


def _counted(
    truth: Whole, chosen: Whole, classes: tuple[str, ...], figures: Callable[[Floats], Mapping[str, Floats]], by_class: bool
) -> Drawn:
    several = len(classes)
    # Only pairs of classes that occur are counted, so that many classes do not make many sums.
    pairs, place = np.unique(truth * several + chosen, return_inverse=True)
    order = np.argsort(place, kind="stable")
    begins = np.searchsorted(place[order], np.arange(len(pairs)))

    def drawn(weights: Floats) -> Mapping[str, Floats]:
        counts = np.zeros((len(weights), several * several))
        counts[:, pairs] = np.add.reduceat(weights[:, order], begins, axis=1)
        table = counts.reshape(-1, several, several)
        told = dict(figures(table))
        if by_class:
            right = np.einsum("dii->di", table)
            recall, precision = right / table.sum(axis=2), right / table.sum(axis=1)
            for number, name in enumerate(classes):
                told[f"recall:{name}"], told[f"precision:{name}"] = recall[:, number], precision[:, number]
        return told

    return drawn


def _of_two(table: Floats, positive: int) -> Mapping[str, Floats]:
    negative = 1 - positive
    tp, fn = table[:, positive, positive], table[:, positive, negative]
    fp, tn = table[:, negative, positive], table[:, negative, negative]
    sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
    return {
        "accuracy": (tp + tn) / (tp + fn + fp + tn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": tp / (tp + fp),
        "npv": tn / (tn + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "mcc": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
    }


def _of_classes(table: Floats) -> Mapping[str, Floats]:
    right, true, said = np.einsum("dii->di", table), table.sum(axis=2), table.sum(axis=1)
    there = true + said > 0
    f1 = np.where(there, 2 * right / np.where(there, true + said, 1), 0.0)
    every = true.sum(axis=1)
    by_chance = np.einsum("di,di->d", true, said) / every**2
    accuracy = right.sum(axis=1) / every
    recall = np.where(true > 0, right / np.where(true > 0, true, 1), 0.0)
    return {
        "accuracy": accuracy,
        "balanced_accuracy": recall.sum(axis=1) / (true > 0).sum(axis=1),
        "macro_f1": f1.sum(axis=1) / there.sum(axis=1),
        "weighted_f1": (f1 * true).sum(axis=1) / every,
        "kappa": np.where(there.sum(axis=1) > 1, (accuracy - by_chance) / (1 - by_chance), np.nan),
    }


def _of_grades(table: Floats) -> Mapping[str, Floats]:
    grades = np.arange(table.shape[1])
    distance = np.abs(grades[:, None] - grades[None, :])
    every = table.sum(axis=(1, 2))
    true, said = table.sum(axis=2), table.sum(axis=1)
    found = np.einsum("dij,ij->d", table, distance.astype(float) ** 2)
    expected = np.einsum("di,ij,dj->d", true, distance.astype(float) ** 2, said) / every
    return {
        "quadratic_kappa": np.where(expected > 0, 1 - found / expected, np.nan),
        "accuracy": np.einsum("dii->d", table) / every,
        "within_one": np.einsum("dij,ij->d", table, (distance <= 1).astype(float)) / every,
        "grade_distance": np.einsum("dij,ij->d", table, distance.astype(float)) / every,
    }


class _Ranked:
    """Values in order; the ranks of drawings follow from the sums of their weights."""

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        self._begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self._group = np.unique(values, return_inverse=True)[1]

    def ranks(self, weights: Floats) -> Floats:
        sums = np.add.reduceat(weights[:, self._order], self._begins, axis=1)
        ranked: Floats = (np.cumsum(sums, axis=1) - sums / 2 + 0.5)[:, self._group]
        return ranked


def _numbers(true: Floats, said: Floats) -> Drawn:
    # Centred, so that squares of large numbers lose no digits.
    middle = float(np.mean(true))
    one, other, difference = true - middle, said - middle, said - true
    of_true, of_said = _Ranked(true), _Ranked(said)

    def drawn(weights: Floats) -> Mapping[str, Floats]:
        every = weights.sum(axis=1)
        bias, squares = weights @ difference / every, weights @ difference**2
        mean = weights @ one / every
        total = np.maximum(weights @ one**2 - every * mean**2, 0.0)
        spread = np.sqrt(np.maximum(squares - every * bias**2, 0.0) / np.where(every > 1, every - 1, np.nan))
        varies = total > 1e-12 * np.maximum(weights @ one**2, 1e-300)
        return {
            "mae": weights @ np.abs(difference) / every,
            "rmse": np.sqrt(squares / every),
            "r2": np.where(varies, 1 - squares / total, np.nan),
            "pearson": _correlations(np.broadcast_to(one, weights.shape), np.broadcast_to(other, weights.shape), weights),
            "spearman": _correlations(of_true.ranks(weights), of_said.ranks(weights), weights),
            "bias": bias,
            "agreement_low": bias - LIMITS_OF_AGREEMENT * spread,
            "agreement_high": bias + LIMITS_OF_AGREEMENT * spread,
        }

    return drawn


def _correlations(one: Floats, other: Floats, weights: Floats) -> Floats:
    every = weights.sum(axis=1, keepdims=True)
    one = one - np.einsum("dn,dn->d", one, weights)[:, None] / every
    other = other - np.einsum("dn,dn->d", other, weights)[:, None] / every
    products = [np.einsum("dn,dn,dn->d", weights, *pair) for pair in ((one, one), (other, other), (one, other))]
    both = np.sqrt(products[0] * products[1])
    return np.where(both > 0, products[2] / both, np.nan)

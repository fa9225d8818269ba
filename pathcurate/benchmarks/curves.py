"""Curves for the report, from steps of so many patients that no single row can be read from them."""

from collections.abc import Iterator

import numpy as np

from pathcurate.benchmarks.answered import Answered, Flags, Floats, Whole
from pathcurate.benchmarks.concordance import kaplan_meier
from pathcurate.model.benchmark import Curve

MOST_POINTS = 100
_MOST_BINS = 10
_MOST_TIMES = 40
_THIRDS = ("low", "middle", "high")


def curves(rows: Answered) -> tuple[Curve, ...]:
    """The curves of a task, at most :data:`MOST_POINTS` points each, rounded to two decimals (calibration of numbers: four
    figures); none of fewer patients than the task's smallest cell, on either side."""
    return tuple(_curves(rows))


def _curves(rows: Answered) -> Iterator[Curve]:
    least = rows.task.min_cell
    if rows.score is not None and rows.truth is not None:
        positive = rows.truth == rows.positive
        if _enough(rows.patient[positive], least) and _enough(rows.patient[~positive], least):
            yield from _of_scores(positive, rows.score, rows.patient, least)
        if rows.has_probabilities:
            yield from _calibration(rows.score, positive.astype(float), rows.patient, least)
    if rows.number is not None and rows.predicted is not None:
        yield from _calibration(rows.predicted, rows.number, rows.patient, least)
    if rows.days is not None and rows.event is not None and rows.risk is not None:
        yield from _by_risk(rows.days, rows.event, rows.risk, rows.patient, least)


def _enough(patient: Whole, least: int) -> bool:
    return len(np.unique(patient)) >= least


def _cuts(values: Floats, patient: Whole, least: int, most: int) -> Whole:
    """Ends of steps of ordered rows: at most so many, each of at least ``least`` patients, and none between equal values."""
    at_least = -(-len(values) // most)
    cuts, begin, seen = [], 0, set[int]()
    ends = np.append(values[1:] != values[:-1], True)
    for place, (whose, is_end) in enumerate(zip(patient.tolist(), ends.tolist(), strict=True)):
        if len(seen) < least:
            seen.add(whose)
        if is_end and len(seen) >= least and place + 1 - begin >= at_least:
            cuts.append(place + 1)
            begin, seen = place + 1, set()
    if cuts:
        cuts[-1] = len(values)
    return np.array(cuts, dtype=np.int64)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 2) + 0.0 for value in values)


def _of_scores(positive: Flags, score: Floats, patient: Whole, least: int) -> Iterator[Curve]:
    order = np.argsort(-score, kind="stable")
    cuts = _cuts(score[order], patient[order], least, MOST_POINTS - 1)
    if not len(cuts):
        return
    true = np.cumsum(positive[order])[cuts - 1]
    recall, false = true / true[-1], cuts - true
    yield Curve("roc", "", _rounded(np.append(0.0, false / false[-1])), _rounded(np.append(0.0, recall)))
    yield Curve("precision_recall", "", _rounded(recall), _rounded(true / cuts))


def _calibration(said: Floats, true: Floats, patient: Whole, least: int) -> Iterator[Curve]:
    order = np.argsort(said, kind="stable")
    cuts = _cuts(said[order], patient[order], least, _MOST_BINS)
    if not len(cuts):
        return
    begins = np.append(0, cuts[:-1])
    sizes = cuts - begins
    means = [np.add.reduceat(values[order], begins) / sizes for values in (said, true)]
    yield Curve("calibration", "", *(tuple(_figures(float(value)) for value in mean) for mean in means))


def _figures(value: float) -> float:
    """Two decimals of a share; of larger numbers four figures."""
    return round(value, 2) + 0.0 if abs(value) < 100 else float(f"{value:.4g}")


def _by_risk(days: Whole, event: Flags, risk: Floats, patient: Whole, least: int) -> Iterator[Curve]:
    """Kaplan-Meier estimates by thirds of risk, up to where fewer than the least are at risk."""
    order = np.argsort(risk, kind="stable")
    third = np.searchsorted(np.quantile(risk, [1 / 3, 2 / 3]), risk, side="left")
    for number, name in enumerate(_THIRDS):
        mine = order[third[order] == number]
        if not _enough(patient[mine], least):
            continue
        times, survival, at_risk = kaplan_meier(days[mine], event[mine])
        shown = at_risk >= least
        times, survival = times[shown], survival[shown]
        # Steps of at least so many events: a single one could be seen in time.
        step = max(least, -(-len(times) // _MOST_TIMES))
        picked = np.arange(step - 1, len(times), step)
        yield Curve(
            "kaplan_meier", name, (0.0, *map(float, times[picked])), (1.0, *_rounded(survival[picked]))
        )  # fmt: skip

"""Predictions against the labels of a sealed release: figures of many rows, and nothing of single ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.benchmarks.answered import Answered, Floats, Whole, is_probability
from pathcurate.benchmarks.curves import curves
from pathcurate.benchmarks.intervals import FEW_CLUSTERS, scored
from pathcurate.benchmarks.metrics import MOST_CLASSES_OF_CURVES, sklearn_metrics
from pathcurate.benchmarks.predictions import Predictions, joined_answer
from pathcurate.benchmarks.suppression import Part, told_counts, told_parts
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.benchmark import BenchmarkResult, BenchmarkTask, Score, Scores
from pathcurate.tables import column_values

MOST_DRAWINGS = 100_000
_PROBABILITY_THRESHOLD = 0.5
_BUILD_AGAIN = "The labels are not those that this task was made with; restore the release and its labels."
_OF_POSITIVE = frozenset({"sensitivity"})
_OF_NEGATIVE = frozenset({"specificity"})
_OF_BOTH = frozenset({"auroc", "average_precision", "balanced_accuracy", "f1", "mcc"})
_GROUPED = ("site", "scanner", "topic")
_ZH = {"site": "机构", "scanner": "扫描仪", "topic": "主题"}


def score(
    task: BenchmarkTask,
    truth: pa.Table,
    predictions: Predictions,
    *,
    release_digest: str,
    commitment: str,
    tool: str,
    predictor: str = "",
    drawings: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    threshold: float | None = None,
    is_unsealed: bool = False,
) -> BenchmarkResult:
    """Score predictions; the same arguments give the same result.

    Args:
        task: what was asked.
        truth: the sealed labels, in any order of rows.
        predictions: for the same units.
        release_digest: of the sealed release.
        commitment: to the labels.
        tool: name and version of the program.
        predictor: what somebody calls the model.
        drawings: of the bootstrap; 0 for no intervals.
        seed: of its random numbers.
        confidence: of the intervals.
        threshold: score from which the positive class is taken; of probabilities 0.5 if not given, unless classes are
            predicted as well.
        is_unsealed: whether the labels are open to anybody.

    Raises:
        UsageError: scikit-learn is missing, or a setting does not fit.
        InputOutputError: the labels do not fit the task or the predictions.
    """
    sklearn_metrics()
    _check(drawings, seed, confidence)
    rows, labels, threshold = _side_by_side(task, truth, predictions, threshold)
    by_class = task.task in {"multiclass", "ordinal"}
    overall = _told(rows, scored(rows, rows.patient, drawings, seed, confidence, by_class=by_class))
    columns = {name: column_values(labels, name) for name in _GROUPED if labels[name].null_count < labels.num_rows}
    parts = told_parts(columns, rows.patient, task.min_cell)
    groups = tuple(
        _group(rows, name, part, drawings, seed, confidence) for name in parts for part in _ordered(parts[name])
    )  # fmt: skip
    by_cluster: dict[str, Scores] = {}
    for name in ("site", "scanner"):
        if drawings and len(set(columns.get(name, ()))) > 1:
            by_cluster[name] = _of_clusters(rows, columns[name], drawings, seed, confidence)
    confusion: tuple[tuple[int | None, ...], ...] = ()
    if rows.truth is not None and rows.chosen is not None:
        confusion = told_counts(rows.truth, rows.chosen, len(task.classes), rows.patient, task.min_cell)
    return BenchmarkResult(
        task=task,
        release_digest=release_digest,
        commitment=commitment,
        predictions_sha256=predictions.sha256,
        predictor=predictor,
        overall=overall,
        by_cluster=by_cluster,
        groups=groups,
        confusion=confusion,
        curves=curves(rows),
        drawings=drawings,
        seed=seed,
        confidence=confidence,
        threshold=threshold,
        notes=tuple(_notes(rows, overall, by_cluster, columns, parts, confusion)),
        tool=tool,
        is_unsealed=is_unsealed,
    )


def predicted_labels(task: BenchmarkTask, truth: pa.Table, predictions: Predictions) -> pa.Table | None:
    """The labels as they would be if the predictions were true; None of a task that asks for no label but an order.

    Rows, their order and the other columns are those of ``truth``, and a number that is predicted exactly keeps its
    text. So the table has the digest of ``truth`` exactly if each row was predicted.

    Raises:
        InputOutputError: the labels are not of the predictions' units.
    """
    if task.task == "survival":
        return None
    labels = _aligned(truth, predictions)
    rows, _, _ = _side_by_side(task, truth, predictions, _PROBABILITY_THRESHOLD if task.task == "binary" else None)
    if predictions.answers is not None:
        said = [
            true if joined_answer(true, _places(task)) == answer else answer
            for true, answer in zip(column_values(labels, "truth"), predictions.answers, strict=True)
        ]
    elif rows.predicted is not None and rows.number is not None:
        said = [
            text if true == number else repr(float(number))
            for text, true, number in zip(column_values(labels, "truth"), rows.number, rows.predicted, strict=True)
        ]
    elif rows.chosen is not None:
        said = [task.classes[number] for number in rows.chosen]
    else:
        return None
    by_unit = dict(zip(predictions.units, said, strict=True))
    ordered = pa.array([by_unit[unit] for unit in column_values(truth, "unit_id")], truth.schema.field("truth").type)
    place = truth.schema.get_field_index("truth")
    return truth.set_column(place, truth.schema.field(place), ordered)


def _check(drawings: int, seed: int, confidence: float) -> None:
    if not 0 <= drawings <= MOST_DRAWINGS:
        raise UsageError(f"{drawings} drawings are asked for", f"Ask for 0 to {MOST_DRAWINGS}; 1000 are usual.")
    if seed < 0:
        raise UsageError("the seed is negative", "Give 0 or more.")
    if not 0.5 < confidence < 1:
        raise UsageError(f"the confidence is {confidence}", "Give a share between 0.5 and 1, such as 0.95.")


def _aligned(truth: pa.Table, predictions: Predictions) -> pa.Table:
    """The labels in the order of the predictions."""
    units = column_values(truth, "unit_id")
    if len(set(units)) != len(units) or set(units) != set(predictions.units):
        raise InputOutputError("the sealed labels and the predictions are of different units", _BUILD_AGAIN)
    return truth.take(pc.index_in(pa.array(predictions.units, pa.string()), truth["unit_id"].combine_chunks()))


def _places(task: BenchmarkTask) -> dict[str, int]:
    return {name: number for number, name in enumerate(task.classes)}


def _side_by_side(
    task: BenchmarkTask, truth: pa.Table, predictions: Predictions, threshold: float | None
) -> tuple[Answered, pa.Table, float | None]:
    """Labels and predictions as arrays, the labels in that order, and the threshold that was used."""
    labels = _aligned(truth, predictions)
    if not labels.num_rows:
        raise InputOutputError("the sealed release has no labels", _BUILD_AGAIN)
    rows = Answered(task, _numbered_patients(column_values(labels, "patient_id")))
    if task.task == "binary":
        chosen, threshold = _at_threshold(task, predictions, threshold)
        return replace(rows, truth=_classes(task, labels), score=predictions.scores, chosen=chosen), labels, threshold
    if threshold is not None:
        raise UsageError("a threshold is of binary tasks only", "Leave it out.")
    if task.task in {"multiclass", "ordinal"}:
        rows = replace(
            rows, truth=_classes(task, labels), chosen=predictions.chosen, probabilities=predictions.probabilities
        )  # fmt: skip
    elif task.task == "regression":
        rows = replace(rows, number=_numbers(labels), predicted=predictions.scores)
    elif task.task == "survival":
        if labels["days"].null_count or labels["event"].null_count:
            raise InputOutputError("sealed labels lack times or events", _BUILD_AGAIN)
        days = np.asarray(column_values(labels, "days"), dtype=np.int64)
        event = np.asarray(column_values(labels, "event"), dtype=bool)
        rows = replace(rows, days=days, event=event, risk=predictions.scores)
    else:
        right = [joined_answer(text or "", _places(task)) for text in column_values(labels, "truth")]
        if None in right:
            raise InputOutputError("a sealed label is no class of the task", _BUILD_AGAIN)
        is_right = np.array([true == said for true, said in zip(right, predictions.answers or (), strict=True)], dtype=bool)
        rows = replace(rows, is_right=is_right, topic=_topics(column_values(labels, "topic")))
    return rows, labels, None


def _at_threshold(
    task: BenchmarkTask, predictions: Predictions, threshold: float | None
) -> tuple[Whole | None, float | None]:
    scores = predictions.scores
    if scores is None:
        if threshold is not None and predictions.chosen is None:
            raise UsageError("a threshold needs scores", "Give a column `score`, or leave the threshold out.")
        return predictions.chosen, None
    if threshold is None and predictions.chosen is not None:
        return predictions.chosen, None
    if threshold is None and not is_probability(scores):
        raise UsageError(
            "the scores are not from 0 to 1, so 0.5 does not part the classes",
            "Give the threshold, or a column `prediction` with the class beside the scores.",
        )
    threshold = _PROBABILITY_THRESHOLD if threshold is None else threshold
    if not np.isfinite(threshold):
        raise UsageError("the threshold is no finite number", "Give a score.")
    positive = task.classes.index(task.positive)
    return np.where(scores >= threshold, positive, 1 - positive), threshold


def _numbered_patients(patients: Sequence[str | None]) -> Whole:
    """A number for each patient; a row of nobody is a patient of its own."""
    numbers: dict[str, int] = {}
    return np.array(
        [numbers.setdefault(whose, len(numbers)) if whose is not None else -1 - row for row, whose in enumerate(patients)],
        dtype=np.int64,
    )


def _classes(task: BenchmarkTask, labels: pa.Table) -> Whole:
    places = _places(task)
    try:
        return np.array([places[text] for text in column_values(labels, "truth")], dtype=np.int64)
    except KeyError:
        raise InputOutputError("a sealed label is no class of the task", _BUILD_AGAIN) from None


def _numbers(labels: pa.Table) -> Floats:
    try:
        numbers = np.array([float(text) for text in column_values(labels, "truth")], dtype=np.float64)
    except (TypeError, ValueError):
        raise InputOutputError("a sealed label is no number", _BUILD_AGAIN) from None
    if not np.isfinite(numbers).all():
        raise InputOutputError("a sealed label is no finite number", _BUILD_AGAIN)
    return numbers


def _topics(topics: Sequence[str | None]) -> Whole:
    numbers = {name: number for number, name in enumerate(sorted({topic for topic in topics if topic is not None}))}
    return np.array([numbers[topic] if topic is not None else -1 for topic in topics], dtype=np.int64)


def _told(rows: Answered, scores: Sequence[Score], by: str = "", group: str = "") -> Scores:
    withheld = _withheld(rows)
    kept = tuple(Score(one.metric, None) if one.metric in withheld else one for one in scores)
    return Scores(by, group, rows.rows, rows.patients, kept)


def _withheld(rows: Answered) -> frozenset[str]:
    """Metrics that are about fewer patients than may be told: shares among a class, or among those said to be of it."""
    least = rows.task.min_cell

    def few(values: Any, number: int) -> bool:
        return values is not None and len(np.unique(rows.patient[values == number])) < least

    if rows.task.task == "binary":
        positive, negative = few(rows.truth, rows.positive), few(rows.truth, 1 - rows.positive)
        withheld = (_OF_POSITIVE if positive else frozenset()) | (_OF_NEGATIVE if negative else frozenset())
        withheld |= _OF_BOTH if positive or negative else frozenset()
        of_said = {"ppv": few(rows.chosen, rows.positive), "npv": few(rows.chosen, 1 - rows.positive)}
        return withheld | {name for name, is_few in of_said.items() if is_few}
    kinds = {"recall": rows.truth, "precision": rows.chosen}
    return frozenset(
        f"{kind}:{name}"
        for kind, values in kinds.items()
        for number, name in enumerate(rows.task.classes)
        if few(values, number)
    )


def _group(rows: Answered, by: str, part: Part, drawings: int, seed: int, confidence: float) -> Scores:
    mine = rows.of(part.rows)
    return _told(mine, scored(mine, mine.patient, drawings, seed, confidence), by, _group_name(part))


def _group_name(part: Part) -> str:
    if len(part.names) > 1:
        return f"({len(part.names)} 组合并 together)"
    return part.names[0] if part.names[0] is not None else "(未知 not known)"


def _ordered(parts: Sequence[Part]) -> list[Part]:
    """Groups by name, those that are told together last."""
    return sorted(parts, key=lambda part: (len(part.names) > 1, part.names[0] is None, part.names[0] or ""))


def _of_clusters(rows: Answered, values: Sequence[str | None], drawings: int, seed: int, confidence: float) -> Scores:
    """The figures of all rows with intervals from drawing sites, or scanners; rows of an unknown one are one more."""
    numbers = {value: number for number, value in enumerate(sorted(set(values), key=lambda value: value or ""))}
    cluster = np.array([numbers[value] for value in values], dtype=np.int64)
    told = _told(rows, scored(rows, cluster, drawings, seed, confidence))
    return replace(told, patients=len(numbers))


def _notes(
    rows: Answered,
    overall: Scores,
    by_cluster: Mapping[str, Scores],
    columns: Mapping[str, Sequence[str | None]],
    parts: Mapping[str, Sequence[Part]],
    confusion: Sequence[Sequence[int | None]],
) -> Iterator[str]:
    least = rows.task.min_cell
    if rows.patients < FEW_CLUSTERS:
        yield f"仅有 {rows.patients} 名患者，区间参考价值有限。 With {rows.patients} patients only, intervals say little."
    for name, scores in by_cluster.items():
        if scores.patients is not None and scores.patients < FEW_CLUSTERS:
            yield (
                f"按{_ZH[name]}抽样仅有 {scores.patients} 个，区间偏窄。 "
                f"Intervals from drawing {name}s rest on {scores.patients} of them only and are too narrow."
            )
    for name in columns:
        if name not in parts and len(set(columns[name])) > 1:
            yield (
                f"不提供按{_ZH[name]}的结果：与其他结果相减可推出少于 {least} 名患者的结果。 "
                f"Figures by {name} are not told: with the others, those of fewer than {least} patients could be reckoned."
            )
        elif any(len(part.names) > 1 for part in parts.get(name, ())):
            yield (
                f"部分{_ZH[name]}合并显示，任何结果均不少于 {least} 名患者。 "
                f"Some {name}s are told together, so that no figure is about fewer than {least} patients."
            )
    if any(one.value is None for one in overall.scores):
        yield f"少于 {least} 名患者的比例不显示。 Shares among fewer than {least} patients are not told."
    if any(count is None for row in confusion for count in row):
        yield (
            f"混淆矩阵中少于 {least} 名患者的计数及可推出它们的计数不显示。 "
            f"Counts of fewer than {least} patients, and what gives them away, are missing from the table of classes."
        )
    if any(one.failed for one in overall.scores):
        yield (
            "部分抽样中某些指标无定义，区间不含这些抽样。 "
            "Some metrics were not defined in some drawings, which their intervals leave out."
        )
    if rows.probabilities is not None and rows.task.task == "multiclass" and len(rows.task.classes) > MOST_CLASSES_OF_CURVES:
        yield (
            f"类别多于 {MOST_CLASSES_OF_CURVES} 个时，曲线下面积不给出区间。 "
            f"With more than {MOST_CLASSES_OF_CURVES} classes, the area under the curves has no interval."
        )

"""The page of an evaluation, ``report.html``: what a model's predictions are worth, in Chinese and English.

It is written from a :class:`BenchmarkResult` alone, so the same result has the same page, byte for byte.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pathcurate.benchmarks.names import metric_name
from pathcurate.htmlreport.releasewords import Words, same
from pathcurate.htmlreport.template import render
from pathcurate.model.benchmark import BenchmarkResult, Curve, Score, Scores

# In a figure's own units, which are CSS pixels at full size.
_SIDE, _LEFT, _TOP = 300, 56, 46
_FOREST_WIDTH, _FOREST_LEFT, _ROW = 720, 230, 26
_MOST_GROUPS = 60
_MOST_NAME = 30
_TASKS: Mapping[str, Words] = {
    "binary": Words("two classes", "二分类"),
    "multiclass": Words("several classes", "多分类"),
    "ordinal": Words("classes in an order", "有序分级"),
    "regression": Words("a number", "数值回归"),
    "survival": Words("time to an event", "生存分析"),
    "choice": Words("questions with given answers", "选择题"),
}
_BY: Mapping[str, Words] = {
    "site": Words("site", "机构"),
    "scanner": Words("scanner", "扫描仪"),
    "topic": Words("topic", "主题"),
}
_FIRST: Mapping[str, str] = {
    "binary": "auroc accuracy", "multiclass": "balanced_accuracy", "ordinal": "quadratic_kappa", "regression": "mae",
    "survival": "concordance", "choice": "exact",
}  # fmt: skip
"""The metric by which groups are compared in the figure, the first that there is."""
_THIRDS: Mapping[str, Words] = {
    "low": Words("lowest third of risk", "低风险三分位"),
    "middle": Words("middle third", "中风险三分位"),
    "high": Words("highest third", "高风险三分位"),
    "": same(""),
}


@dataclass(frozen=True, slots=True)
class _Figure:
    """One chart with lines.

    Attributes:
        title: what it shows.
        across: what its horizontal axis is.
        up: what its vertical axis is.
        x_ticks: place and text of each tick.
        y_ticks: likewise.
        lines: class, label, and points as SVG writes them.
        diagonal: whether to draw what chance, or truth, would be.
        key: name of the figure, for its ids.
    """

    key: str
    title: Words
    across: Words
    up: Words
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[tuple[str, Words, str], ...]
    diagonal: bool


@dataclass(frozen=True, slots=True)
class _Mark:
    """One group in the forest plot: its name, what of it is told, and where it is drawn; None where it has no figure."""

    name: str
    text: str
    y: float
    x: float | None
    low: float | None
    high: float | None


_FIGURES: Mapping[str, tuple[Words, Words, Words]] = {
    "roc": (
        Words("ROC curve", "ROC 曲线"), Words("1 − specificity", "1 − 特异度"), Words("sensitivity", "灵敏度"),
    ),
    "precision_recall": (
        Words("Precision and recall", "精确率–召回率曲线"), Words("recall", "召回率"), Words("precision", "精确率"),
    ),
    "calibration": (
        Words("Calibration", "校准曲线"), Words("predicted, mean", "预测均值"), Words("true, mean", "实际均值"),
    ),
    "kaplan_meier": (
        Words("Kaplan–Meier, by risk", "按风险分组"), Words("days", "天"),
        Words("share without event", "无事件比例"),
    ),
}  # fmt: skip


def benchmark_page(result: BenchmarkResult) -> str:
    """The page of an evaluation as a whole HTML document; the same result gives the same bytes."""
    task = result.task
    marked = next((name for name in _FIRST[task.task].split() if _value(result.overall, name) is not None), None)
    return render(
        "benchmark.html.j2",
        title=f"{task.product} {task.version}",
        has_permissions=True,
        result=result,
        task=_TASKS[task.task],
        rows=[_row(score) for score in result.overall.scores],
        clusters=[
            (_BY[name], scores.patients, [_row(score) for score in scores.scores if score.low is not None])
            for name, scores in sorted(result.by_cluster.items(), reverse=True)
        ],
        figures=tuple(_figures(result.curves)),
        forest=_forest(result, marked) if marked else None,
        groups=tuple(_groups(result)),
        confusion=tuple(zip(task.classes, result.confusion, strict=True)) if result.confusion else (),
        percent=f"{100 * result.confidence:g}",
        by=_BY,
        figure=_written,
    )


def _value(scores: Scores, metric: str) -> float | None:
    return next((score.value for score in scores.scores if score.metric == metric), None)


def _row(score: Score) -> tuple[Words, str, str, int]:
    """Name, value, interval and failed drawings of a metric."""
    interval = "–" if score.low is None or score.high is None else f"{_written(score.low)} – {_written(score.high)}"
    return Words(*metric_name(score.metric)), _written(score.value), interval, score.failed


def _written(value: float | None) -> str:
    """A figure with three decimals, or four digits of a large one; a true minus."""
    if value is None:
        return "–"
    text = f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"
    return text.replace("-", "\u2212")


def _groups(result: BenchmarkResult) -> Iterator[tuple[Words, list[Words], list[tuple[Scores, list[str]]]]]:
    """Of each column: its name, the metrics, and each group with its figures."""
    for name, words in _BY.items():
        groups = [scores for scores in result.groups if scores.by == name]
        if groups:
            wanted = [score.metric for score in result.overall.scores if ":" not in score.metric]
            lines = [(group, [_written(_value(group, metric)) for metric in wanted]) for group in groups]
            yield words, [Words(*metric_name(metric)) for metric in wanted], lines


def _figures(curves: Sequence[Curve]) -> Iterator[_Figure]:
    for name, (title, across, up) in _FIGURES.items():
        lines = [curve for curve in curves if curve.name == name]
        if not lines:
            continue
        right, upper = 1.0, 1.0
        left = lower = 0.0
        if name == "kaplan_meier":
            right = max((value for curve in lines for value in curve.x), default=1.0) or 1.0
        elif name == "calibration" and any(not 0 <= value <= 1 for curve in lines for value in (*curve.x, *curve.y)):
            values = [value for curve in lines for value in (*curve.x, *curve.y)]
            left = lower = min(values)
            right = upper = max(values) if max(values) > min(values) else min(values) + 1
        drawn = tuple(
            (
                curve.group or "only",
                _THIRDS[curve.group],
                _points(curve, (left, right), (lower, upper), stepped=name == "kaplan_meier"),
            )
            for curve in lines
        )
        diagonal = name in {"roc", "calibration"}
        yield _Figure(name, title, across, up, _ticks(left, right), _ticks(lower, upper), drawn, diagonal)


def _ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    return tuple((_SIDE * part / 4, f"{low + (high - low) * part / 4:.4g}".replace("-", "\u2212")) for part in range(5))


def _points(curve: Curve, across: tuple[float, float], up: tuple[float, float], *, stepped: bool) -> str:
    """The points of a line as SVG writes them; with steps, each value lasts to the next."""
    places: list[tuple[float, float]] = []
    for x, y in zip(curve.x, curve.y, strict=True):
        point = (_within(x, *across), _SIDE - _within(y, *up))
        if stepped and places:
            places.append((point[0], places[-1][1]))
        places.append(point)
    return " ".join(f"{_LEFT + x:.1f},{_TOP + y:.1f}" for x, y in places)


def _within(value: float, low: float, high: float) -> float:
    return _SIDE * min(max((value - low) / (high - low), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class _Forest:
    """The forest plot: a metric of all rows and of each group with its interval.

    Attributes:
        metric: which one.
        marks: all rows first.
        ticks: place and text.
        all_x: where all rows are.
        height: of the figure.
        left_out: groups that it has no room for.
    """

    metric: Words
    marks: tuple[_Mark, ...]
    ticks: tuple[tuple[float, str], ...]
    all_x: float
    height: float
    left_out: int


def _forest(result: BenchmarkResult, metric: str) -> _Forest | None:
    groups = [group for group in result.groups if _value(group, metric) is not None]
    if not groups:
        return None
    shown = [result.overall, *groups[:_MOST_GROUPS]]
    scores = [next(score for score in group.scores if score.metric == metric) for group in shown]
    values = [value for score in scores for value in (score.value, score.low, score.high) if value is not None]
    low, high = min(values), max(values)
    if high - low < 0.01:
        low, high = low - 0.05, high + 0.05
    width = _FOREST_WIDTH - _FOREST_LEFT - 170

    def place(value: float | None) -> float | None:
        return None if value is None else round(_FOREST_LEFT + width * (value - low) / (high - low), 1)

    marks = [
        _Mark(
            _short(group), _told(score), _TOP + 20 + _ROW * number, place(score.value), place(score.low), place(score.high)
        )
        for number, (group, score) in enumerate(zip(shown, scores, strict=True))
    ]
    ticks = tuple((_FOREST_LEFT + width * part / 4, _written(low + (high - low) * part / 4)) for part in range(5))
    height = _TOP + _ROW * len(marks) + 60
    return _Forest(
        Words(*metric_name(metric)), tuple(marks), ticks, marks[0].x or 0.0, height, len(groups) - len(shown) + 1
    )  # fmt: skip


def _short(group: Scores) -> str:
    if not group.by:
        return "全部 all"
    name = f"{_BY[group.by].zh} {group.group}"
    return name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 1]}…"


def _told(score: Score) -> str:
    value, interval = _row(score)[1:3]
    return value if interval == "–" else f"{value} ({interval})"

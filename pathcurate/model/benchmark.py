"""A sealed evaluation (测评验证): what is asked, the labels that are withheld, and what a model's answers are worth.

The labels of a sealed product stay with their holder. The release commits to them by a keyed digest, so that nobody can
change them afterwards, and tells what is asked (:class:`BenchmarkTask`); a model's predictions are scored against them, and
only figures about many rows come out (:class:`BenchmarkResult`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pathcurate.errors import InputOutputError
from pathcurate.model.column import Column, Identifying, Table, Type

TaskName = Literal["binary", "multiclass", "ordinal", "regression", "survival", "choice"]
TASKS: Final[tuple[TaskName, ...]] = ("binary", "multiclass", "ordinal", "regression", "survival", "choice")
"""Two classes; several; classes in an order (grades); a number; time to an event; questions with given answers."""
WITH_CLASSES: Final[frozenset[str]] = frozenset({"binary", "multiclass", "ordinal", "choice"})
MOST_CLASSES: Final = 200

SEALED_KIND = "benchmark-sealed"
"""What ``MANIFEST.json`` calls a sealed release."""
TASK_PATH = "evaluation/task.json"
"""Where a sealed release says what is asked."""
SEALED_COMMITMENT_PATH = "evaluation/commitment.json"
"""Where it commits to its labels."""
SEPARATION_PATH = "evaluation/separation.json"
"""Where it says with which other products it was found to share nobody."""

SEALED_LABELS = Table(
    name="sealed_labels",
    row="one unit of a sealed release and what is true of it",
    key=("unit_id",),
    columns=(
        Column("unit_id", Type.STRING, "The product's code of the unit.", pattern="[A-Z]-[0-9A-HJKMNP-TV-Z]{16}",
               required=True),
        Column("truth", Type.STRING, "The class, or the number as decimal text; missing for time to an event.",
               Identifying.SENSITIVE, pattern=r"[^\x00-\x1f]{1,200}"),
        Column("days", Type.INTEGER, "Days from day 0 to the event or the last day seen.", Identifying.SENSITIVE, unit="d"),
        Column("event", Type.BOOLEAN, "Whether the event happened.", Identifying.SENSITIVE),
        Column("patient_id", Type.STRING, "The product's code of whose it is.", pattern="[A-Z]-[0-9A-HJKMNP-TV-Z]{16}"),
        Column("site", Type.STRING, "Where it is from.", Identifying.QUASI, pattern=r"[^\x00-\x1f]{1,64}"),
        Column("scanner", Type.STRING, "Maker and model of the scanner.", pattern=r"[^\x00-\x1f]{1,200}"),
        Column("topic", Type.STRING, "What it is about, by which scores are told apart.", pattern=r"[^\x00-\x1f]{1,200}"),
    ),
)  # fmt: skip
"""The labels that a sealed product withholds, and by what scores are told apart."""
COMMITTED: Final = ("unit_id", "truth", "days", "event")
"""Columns that are committed to, and that are opened in the end. The others might undo what was made coarse in the release.
Text and whole numbers only, so that their digest is one of any writer."""


@dataclass(frozen=True, slots=True)
class BenchmarkTask:
    """What is asked of a model.

    Attributes:
        product: name of the sealed product.
        version: its version.
        task: one of :data:`TASKS`.
        unit: name of the column by which predictions name a unit, such as ``slide_id``.
        label: name of the label.
        rows: how many units are asked about.
        classes: possible answers, of an ordinal task from the lowest; empty for numbers and times.
        positive: of a binary task the class that a score speaks for; else empty.
        quantity: unit of a number, such as ``mm``; empty if it has none.
        has_topics: whether scores are also told by topic.
        min_cell: fewest patients that a figure may be about.
    """

    product: str
    version: str
    task: TaskName
    unit: str
    label: str
    rows: int
    classes: tuple[str, ...] = ()
    positive: str = ""
    quantity: str = ""
    has_topics: bool = False
    min_cell: int = 10

    def __post_init__(self) -> None:
        if self.task in WITH_CLASSES and not 2 <= len(self.classes) <= MOST_CLASSES:
            raise InputOutputError(f"the task has {len(self.classes)} classes", "A task with classes has 2 to 200.")
        if self.task == "binary" and (len(self.classes) != 2 or self.positive not in self.classes):
            raise InputOutputError("a binary task has two classes, one of them positive", "Build the release again.")

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, as ``evaluation/task.json`` holds them."""
        return {"schema": TASK_SCHEMA, **asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> "BenchmarkTask":
        """From what a file holds, which :data:`TASK_JSON_SCHEMA` has been asked about."""
        values = {name: said[name] for name in said if name != "schema"}
        return cls(**{**values, "classes": tuple(values["classes"])})


TASK_SCHEMA = "https://pathcurate.example/schema/benchmark-task/1"
_TEXT = {"type": "string", "maxLength": 200, "pattern": r"^[^\u0000-\u001f]*$"}
TASK_JSON_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": TASK_SCHEMA,
    "title": "evaluation/task.json of a sealed release",
    "type": "object",
    "additionalProperties": False,
    "required": [
        "schema", "product", "version", "task", "unit", "label", "rows", "classes", "positive", "quantity", "has_topics",
        "min_cell",
    ],
    "properties": {
        "schema": {"const": TASK_SCHEMA},
        "product": {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"},
        "version": _TEXT,
        "task": {"enum": list(TASKS)},
        "unit": {"type": "string", "pattern": "^[a-z_]{1,64}$"},
        "label": {"type": "string", "pattern": "^[a-z0-9_]{1,80}$"},
        "rows": {"type": "integer", "minimum": 1},
        "classes": {"type": "array", "items": {**_TEXT, "minLength": 1}, "maxItems": MOST_CLASSES, "uniqueItems": True},
        "positive": _TEXT,
        "quantity": _TEXT,
        "has_topics": {"type": "boolean"},
        "min_cell": {"type": "integer", "minimum": 1},
    },
}  # fmt: skip

SEPARATION_SCHEMA = "https://pathcurate.example/schema/separation/1"
SEPARATION_JSON_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": SEPARATION_SCHEMA,
    "title": "evaluation/separation.json of a sealed release",
    "type": "object",
    "additionalProperties": False,
    "required": ["schema", "how", "releases", "products", "shared_groups"],
    "properties": {
        "schema": {"const": SEPARATION_SCHEMA},
        "how": {"type": "string"},
        **{name: {"type": "integer", "minimum": 0} for name in ("releases", "products", "shared_groups")},
    },
}


@dataclass(frozen=True, slots=True)
class Score:
    """One figure.

    Attributes:
        metric: its name, such as ``auroc``.
        value: None where it is not defined, such as the area under a curve of one class.
        low: lower end of the interval, None where there is none.
        high: upper end.
        failed: drawings of the bootstrap in which it was not defined.
    """

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of some rows.

    Attributes:
        by: what tells these rows apart: empty for all of them, else ``site``, ``scanner`` or ``topic``.
        group: which one; empty for all.
        rows: how many units.
        patients: of how many patients; None where it is below what may be told.
        scores: empty where the rows are of too few patients.
    """

    by: str
    group: str
    rows: int | None
    patients: int | None
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of the report, coarse enough to tell nothing about single rows.

    Attributes:
        name: ``roc``, ``precision_recall``, ``calibration``, ``kaplan_meier``.
        group: which line of several.
        x: values along the axis.
        y: as many.
    """

    name: str
    group: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """What a model's predictions are worth.

    Attributes:
        task: what was asked.
        release_digest: of the sealed release.
        commitment: to the labels, which were checked against it.
        predictions_sha256: of the file of predictions.
        predictor: what somebody calls the model; never used for anything but to be shown.
        overall: figures of all rows, with intervals from drawing patients.
        by_cluster: the same figures with intervals from drawing sites, and scanners: ``site`` or ``scanner`` to them, with
            the number of clusters as ``patients``.
        groups: figures by site, by scanner and by topic, with intervals from drawing patients.
        confusion: rows true class, columns predicted class, in the order of the task's classes; a count below the smallest
            cell is None, and so is as much besides as keeps it from being reckoned. Empty where there are no classes.
        curves: for the report.
        drawings: of the bootstrap.
        seed: of its random numbers.
        confidence: of the intervals, such as 0.95.
        threshold: of the score from which the positive class was taken; None if no score was given.
        notes: what a reader must know, a sentence each.
        tool: name and version of the program.
        is_unsealed: whether the labels were open to anybody when this was reckoned.
    """

    task: BenchmarkTask
    release_digest: str
    commitment: str
    predictions_sha256: str
    predictor: str
    overall: Scores
    by_cluster: Mapping[str, Scores]
    groups: tuple[Scores, ...]
    confusion: tuple[tuple[int | None, ...], ...]
    curves: tuple[Curve, ...]
    drawings: int
    seed: int
    confidence: float
    threshold: float | None
    notes: tuple[str, ...]
    tool: str
    is_unsealed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values; figures as numbers of at most four decimals."""
        values = {name: _plain(value) for name, value in asdict(self).items()}
        return {"schema": RESULT_SCHEMA, **values, "task": self.task.as_dict()}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> "BenchmarkResult":
        """From what a file holds, which :data:`RESULT_JSON_SCHEMA` has been asked about."""
        values = {name: said[name] for name in said if name != "schema"}
        return cls(
            **{
                **values,
                "task": BenchmarkTask.from_dict(said["task"]),
                "overall": _scores(said["overall"]),
                "by_cluster": {name: _scores(scores) for name, scores in said["by_cluster"].items()},
                "groups": tuple(_scores(scores) for scores in said["groups"]),
                "confusion": tuple(tuple(row) for row in said["confusion"]),
                "curves": tuple(
                    Curve(curve["name"], curve["group"], tuple(map(float, curve["x"])), tuple(map(float, curve["y"])))
                    for curve in said["curves"]
                ),
                "notes": tuple(said["notes"]),
            }
        )


def _plain(value: Any) -> Any:
    """Lists for tuples, as JSON has them."""
    if isinstance(value, Mapping):
        return {name: _plain(held) for name, held in value.items()}
    return [_plain(held) for held in value] if isinstance(value, tuple | list) else value


def _scores(said: Mapping[str, Any]) -> Scores:
    return Scores(**{**said, "scores": tuple(Score(**score) for score in said["scores"])})


RESULT_SCHEMA = "https://pathcurate.example/schema/benchmark-result/1"
_DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
_FIGURE = {"type": ["number", "null"]}
_LINE = {"type": "array", "items": {"type": "number"}, "maxItems": 100}
_SCORES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["by", "group", "rows", "patients", "scores"],
    "properties": {
        "by": {"enum": ["", "site", "scanner", "topic"]},
        "group": _TEXT,
        "rows": {"type": ["integer", "null"], "minimum": 0},
        "patients": {"type": ["integer", "null"], "minimum": 0},
        "scores": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["metric", "value", "low", "high", "failed"],
                "properties": {
                    "metric": {"type": "string", "pattern": "^([a-z0-9_]+|(recall|precision):[^\\u0000-\\u001f]{1,200})$"},
                    "value": _FIGURE,
                    "low": _FIGURE,
                    "high": _FIGURE,
                    "failed": {"type": "integer", "minimum": 0},
                },
            },
        },
    },
}
RESULT_JSON_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": RESULT_SCHEMA,
    "title": "result.json of an evaluation",
    "type": "object",
    "additionalProperties": False,
    "required": [
        "schema", "task", "release_digest", "commitment", "predictions_sha256", "predictor", "overall", "by_cluster",
        "groups", "confusion", "curves", "drawings", "seed", "confidence", "threshold", "notes", "tool", "is_unsealed",
    ],
    "properties": {
        "schema": {"const": RESULT_SCHEMA},
        "task": {name: said for name, said in TASK_JSON_SCHEMA.items() if not name.startswith("$")},
        "release_digest": _DIGEST,
        "commitment": {"type": "string", "pattern": "^hmac-sha256:[0-9a-f]{64}$"},
        "predictions_sha256": _DIGEST,
        "predictor": _TEXT,
        "overall": _SCORES,
        "by_cluster": {"type": "object", "propertyNames": {"enum": ["site", "scanner"]}, "additionalProperties": _SCORES},
        "groups": {"type": "array", "items": _SCORES},
        "confusion": {
            "type": "array",
            "maxItems": MOST_CLASSES,
            "items": {"type": "array", "maxItems": MOST_CLASSES, "items": {"type": ["integer", "null"], "minimum": 0}},
        },
        "curves": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "group", "x", "y"],
                "properties": {
                    "name": {"enum": ["roc", "precision_recall", "calibration", "kaplan_meier"]},
                    "group": {"enum": ["", "low", "middle", "high"]},
                    "x": _LINE,
                    "y": _LINE,
                },
            },
        },
        "drawings": {"type": "integer", "minimum": 0, "maximum": 100_000},
        "seed": {"type": "integer", "minimum": 0},
        "confidence": {"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1},
        "threshold": _FIGURE,
        "notes": {"type": "array", "items": {"type": "string", "maxLength": 500}},
        "tool": _TEXT,
        "is_unsealed": {"type": "boolean"},
    },
}  # fmt: skip

"""Labels and predictions side by side, as arrays of one value a row."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathcurate.model.benchmark import BenchmarkTask

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answered:
    """What is true of each row and what was said of it; an array of n values each, or None where the task has none.

    Attributes:
        task: what was asked.
        patient: whose row it is, as numbers from 0.
        truth: number of the true class.
        chosen: number of the predicted class.
        score: how much speaks for the positive class.
        probabilities: n rows, a column for each class, each row of sum 1.
        number: the true number.
        predicted: the predicted number.
        days: to the event, or to the last day seen.
        event: whether it happened.
        risk: the higher, the sooner.
        is_right: whether the answer is exactly right.
        topic: number of the topic, -1 without one.
    """

    task: BenchmarkTask
    patient: Whole
    truth: Whole | None = None
    chosen: Whole | None = None
    score: Floats | None = None
    probabilities: Floats | None = None
    number: Floats | None = None
    predicted: Floats | None = None
    days: Whole | None = None
    event: Flags | None = None
    risk: Floats | None = None
    is_right: Flags | None = None
    topic: Whole | None = None

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.patient)

    @property
    def patients(self) -> int:
        """Of how many patients."""
        return len(np.unique(self.patient))

    @property
    def positive(self) -> int:
        """Number of the class that a score speaks for; binary tasks only."""
        return self.task.classes.index(self.task.positive)

    @property
    def has_probabilities(self) -> bool:
        """Whether the scores of a binary task can be probabilities."""
        return self.score is not None and is_probability(self.score)

    def of(self, rows: NDArray[Any]) -> "Answered":
        """Only these rows, by their numbers or by a flag for each."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "task"}
        return replace(self, **{name: value[rows] for name, value in values.items() if value is not None})


def is_probability(scores: Floats) -> bool:
    """Whether all of them are from 0 to 1."""
    return bool(len(scores)) and bool(scores.min() >= 0) and bool(scores.max() <= 1)

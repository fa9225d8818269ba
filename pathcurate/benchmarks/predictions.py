"""A file of predictions: a row for each unit that is asked about, and none else. Labels are not looked at here."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from pathcurate.benchmarks.answered import Floats, Whole
from pathcurate.benchmarks.predictionfile import Columns, read_columns
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.benchmark import BenchmarkTask

FaultKind = Literal["missing", "doubled", "unknown", "number", "class", "sum", "cells"]
_FAULTS: Final[Mapping[FaultKind, str]] = {
    "missing": "units without a row",
    "doubled": "units that an earlier row names as well",
    "unknown": "units that this release does not ask about",
    "number": "no finite decimal number, or a probability that is not from 0 to 1",
    "class": "no class of this task",
    "sum": "probabilities whose sum is not 1",
    "cells": "more or fewer cells than the head row",
}
SHOWN = 20
"""Rows that are named of each kind of fault."""
ANSWERS_BETWEEN: Final = ";"
"""Between several right answers to one question."""
_SUM_TOLERANCE = 1e-3
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_UNIT = re.compile(r"[A-Z]-[0-9A-HJKMNP-TV-Z]{16}")
_PROBABILITY = "p_"


@dataclass(frozen=True, slots=True)
class PredictionFaults:
    """Rows with one kind of fault.

    Attributes:
        kind: ``missing``, ``doubled``, ``unknown``, ``number``, ``class``, ``sum`` or ``cells``.
        rows: line of the file (of Parquet the row; None of a unit that is missing) and the unit, empty where it is not
            one of this release nor formed like one; at most :data:`SHOWN`.
        more: how many besides.
    """

    kind: FaultKind
    rows: tuple[tuple[int | None, str], ...]
    more: int


class PredictionsError(InputOutputError):
    """A file of predictions that cannot be scored.

    Args:
        name: of the file.
        faults: every kind of fault that it has.
    """

    def __init__(self, name: str, faults: Sequence[PredictionFaults]) -> None:
        told = [f"{_FAULTS[fault.kind]}: {_listed(fault)}" for fault in faults]
        super().__init__("\n".join([f"{name} cannot be scored", *told]), "Correct these rows; each unit needs exactly one.")
        self.name, self.faults = name, tuple(faults)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.faults)

    def faults_as_dict(self) -> list[dict[str, Any]]:
        """The faults as plain JSON values."""
        return [
            {"kind": fault.kind, "rows": [{"line": line, "unit": unit} for line, unit in fault.rows], "more": fault.more}
            for fault in self.faults
        ]


def _listed(fault: PredictionFaults) -> str:
    named = [" ".join(filter(None, (f"line {line}" if line else "", unit))) for line, unit in fault.rows]
    return ", ".join(named) + (f" and {fault.more:,} more" if fault.more else "")


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions in the order of the units that they were read for; what a task has no use for is None.

    Attributes:
        units: codes of the units.
        sha256: of the file's bytes, as ``sha256:`` and hexadecimal digits.
        scores: how much speaks for the positive class; of regression the number; of survival the risk.
        probabilities: units by classes, each row of sum 1.
        chosen: number of the predicted class.
        answers: to each question, its classes in order with ``;`` between them.
    """

    units: tuple[str, ...]
    sha256: str
    scores: Floats | None = None
    probabilities: Floats | None = None
    chosen: Whole | None = None
    answers: tuple[str, ...] | None = None


def read_predictions(path: Path, task: BenchmarkTask, units: Sequence[str]) -> Predictions:
    """Read and check predictions: CSV with ``,``, tab, ``;`` or ``|`` in UTF-8 or GB18030, or Parquet.

    The column named as the task's unit says whose prediction a row is. Beside it stands: binary ``score`` (of the positive
    class, in any range) or ``prediction`` (a class) or both; multiclass and ordinal ``p_CLASS`` for every class, or
    ``prediction``, or both; regression ``prediction``; survival ``risk`` (higher is sooner); choice ``answer``, several with
    ``;`` between them. Other columns are not read, but ``p_`` and what is no class is a mistake.

    Args:
        path: the file, at most 1 GiB and 5 million rows.
        task: what was asked.
        units: codes of all units asked about.

    Raises:
        PredictionsError: rows are missing, doubled, unknown or wrong; all of them are told at once.
        UsageError: it is no such file, or lacks a column.
        InputOutputError: it cannot be read.
    """
    columns = read_columns(path, lambda heads: _wanted(heads, task, path.name))
    faults = _Faults(task.classes)
    places = {unit: place for place, unit in enumerate(units)}
    rows = _placed(columns, places, task.unit, faults)
    values = _values(columns, rows, task, faults)
    if faults.found:
        raise PredictionsError(path.name, faults.all())
    order = np.empty(len(units), dtype=np.int64)
    order[[places[columns.cells[task.unit][row]] for row in rows]] = np.arange(len(rows))
    ordered = {name: _in_order(value, order) for name, value in values.items()}
    return Predictions(tuple(units), columns.sha256, **ordered)


def _in_order(value: Any, order: Whole) -> Any:
    return tuple(value[place] for place in order) if isinstance(value, list) else value[order]


def _wanted(heads: Sequence[str], task: BenchmarkTask, name: str) -> list[str]:
    """The columns to read of those that are there."""
    there = {
        "binary": ["score", "prediction"],
        "multiclass": ["prediction"],
        "ordinal": ["prediction"],
        "regression": ["prediction"],
        "survival": ["risk"],
        "choice": ["answer"],
    }[task.task]
    wanted = [head for head in there if head in heads]
    if task.task in {"multiclass", "ordinal"}:
        shares = [_PROBABILITY + of_class for of_class in task.classes]
        strange = sum(head.startswith(_PROBABILITY) and head not in shares for head in heads)
        given = [share for share in shares if share in heads]
        if strange or (given and len(given) < len(shares)):
            raise UsageError(
                f"{name} has {len(given)} of {len(shares)} columns p_CLASS, and {strange} of what is no class",
                "Give a probability for every class, as the task writes them, or none.",
            )
        there, wanted = [*there, *shares], [*wanted, *given]
    if task.unit not in heads or not wanted:
        needed = " or ".join(f"`{head}`" for head in there[:4])
        raise UsageError(f"{name} lacks a column", f"It needs `{task.unit}` and, for a {task.task} task, {needed}.")
    return [task.unit, *wanted]


class _Faults:
    """What is wrong, by kind."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = {name: number for number, name in enumerate(classes)}
        self.found: dict[FaultKind, list[tuple[int | None, str]]] = {}
        self._more: dict[FaultKind, int] = {}

    def add(self, kind: FaultKind, line: int | None, unit: str) -> None:
        rows = self.found.setdefault(kind, [])
        if len(rows) < SHOWN:
            rows.append((line, unit))
        else:
            self._more[kind] = self._more.get(kind, 0) + 1

    def all(self) -> list[PredictionFaults]:
        return [
            PredictionFaults(kind, tuple(self.found[kind]), self._more.get(kind, 0))
            for kind in _FAULTS
            if kind in self.found
        ]


def _placed(columns: Columns, places: Mapping[str, int], unit: str, faults: _Faults) -> list[int]:
    """The rows of each unit's first mention; other rows, and units without one, are faults."""
    seen: set[str] = set()
    rows = []
    for row, name in enumerate(columns.cells[unit]):
        if name not in places:
            # What is in place of a code may be anything, also a name of a person.
            faults.add("unknown", columns.lines[row], name if _UNIT.fullmatch(name) else "")
        elif name in seen:
            faults.add("doubled", columns.lines[row], name)
        else:
            seen.add(name)
            rows.append(row)
    for line in columns.misfits:
        faults.add("cells", line, "")
    for name in places:
        if name not in seen:
            faults.add("missing", None, name)
    return rows


def _values(columns: Columns, rows: Sequence[int], task: BenchmarkTask, faults: _Faults) -> dict[str, Any]:
    where = [(columns.lines[row], columns.cells[task.unit][row]) for row in rows]
    values: dict[str, Any] = {}
    for name in ("score", "risk", "prediction", "answer"):
        if name not in columns.cells:
            continue
        cells = [columns.cells[name][row] for row in rows]
        if name == "answer":
            values["answers"] = list(_answers(cells, where, faults))
        elif name == "prediction" and task.task != "regression":
            values["chosen"] = np.array(list(_chosen(cells, where, faults)), dtype=np.int64)
        else:
            values["scores"] = np.array(list(_numbers(cells, where, faults)), dtype=np.float64)
    shares = [_PROBABILITY + of_class for of_class in task.classes if _PROBABILITY + of_class in columns.cells]
    if shares:
        values["probabilities"] = _probabilities(
            [[columns.cells[share][row] for row in rows] for share in shares], where, faults
        )
        if "chosen" not in values and len(values["probabilities"]):
            values["chosen"] = values["probabilities"].argmax(axis=1)
    return values


_Where = Sequence[tuple[int, str]]


def _numbers(cells: Sequence[str], where: _Where, faults: _Faults) -> Iterator[float]:
    for cell, (line, unit) in zip(cells, where, strict=True):
        number = float(cell) if _NUMBER.fullmatch(cell) else math.nan
        if not math.isfinite(number):
            faults.add("number", line, unit)
        yield number


def _chosen(cells: Sequence[str], where: _Where, faults: _Faults) -> Iterator[int]:
    for cell, (line, unit) in zip(cells, where, strict=True):
        if cell not in faults.classes:
            faults.add("class", line, unit)
        yield faults.classes.get(cell, -1)


def _answers(cells: Sequence[str], where: _Where, faults: _Faults) -> Iterator[str]:
    for cell, (line, unit) in zip(cells, where, strict=True):
        answer = joined_answer(cell, faults.classes)
        if answer is None:
            faults.add("class", line, unit)
        yield answer or ""


def joined_answer(text: str, classes: Mapping[str, int]) -> str | None:
    """An answer in its one spelling: its classes in the task's order, each once; None if something is no class.

    Args:
        text: one class, or several with ``;`` between them.
        classes: the task's classes and their places.
    """
    if text in classes:
        return text
    parts = {part.strip() for part in text.split(ANSWERS_BETWEEN)}
    return ANSWERS_BETWEEN.join(sorted(parts, key=classes.__getitem__)) if parts <= classes.keys() else None


def _probabilities(columns: Sequence[Sequence[str]], where: _Where, faults: _Faults) -> Floats:
    table = np.empty((len(where), len(columns)))
    quiet = _Faults(())
    for number, cells in enumerate(columns):
        table[:, number] = list(_numbers(cells, where, quiet))
    wrong = ~((table >= 0) & (table <= 1)).all(axis=1)
    sums = table.sum(axis=1)
    uneven = ~wrong & (np.abs(sums - 1) > _SUM_TOLERANCE)
    for row in np.flatnonzero(wrong).tolist():
        faults.add("number", *where[row])
    for row in np.flatnonzero(uneven).tolist():
        faults.add("sum", *where[row])
    even: Floats = table / np.where(sums > 0, sums, 1)[:, None]
    return even

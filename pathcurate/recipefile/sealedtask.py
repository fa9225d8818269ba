"""What is asked in a sealed evaluation, against the recipe: the label is there, and nothing that goes out tells it."""

from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.model.column import Type
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.recipe import Label, Recipe, Sealed
from pathcurate.model.recipe.declared import label_columns
from pathcurate.recipefile.faults import Fault
from pathcurate.yamlsource import KeyPath, did_you_mean

_NUMBERS = frozenset({Type.INTEGER, Type.FLOAT})
_FEWEST = 2
_OF_ENTITIES = frozenset({"slides", "cases", "patients", "reports", "series", "materials"})
"""Tables whose columns may go out without the one that is sealed."""
_SAYS_NOTHING = frozenset({"site", "status", "is_current", "assertion", "report_type"})
"""Columns by which rows are chosen, whatever they say."""


@dataclass(frozen=True, slots=True)
class SealedTask:
    """Checks what a recipe seals."""

    recipe: Recipe

    def faults(self) -> Iterator[Fault]:
        """What is wrong with `sealed`; nothing if the recipe has none."""
        sealed = self.recipe.sealed
        if sealed is None:
            return
        known = {label.name: label for label in self.recipe.labels}
        label = known.get(sealed.label)
        if label is None:
            guess = did_you_mean(sealed.label, list(known)) or (f"; known: {', '.join(known)}" if known else "")
            yield Fault(("sealed", "label"), f"`{sealed.label}` is no label of this recipe{guess}")
            return
        yield from self._of_unit(label)
        yield from self._of_task(sealed, label)
        yield from self._topic(sealed)
        yield from self._shown(label)

    def _of_unit(self, label: Label) -> Iterator[Fault]:
        if self.recipe.unit == "series":
            yield Fault(("sealed",), "the units of a sealed evaluation are slides, cases, patients or events", on_key=True)
        if label.has is None and label.if_missing != "fail":
            message = f"a unit without a label cannot be scored: give label `{label.name}` `if_missing: fail`"
            yield Fault(("sealed", "label"), message)

    def _of_task(self, sealed: Sealed, label: Label) -> Iterator[Fault]:
        at: KeyPath = ("sealed", "task")
        classes = class_names(label)
        for key, value, task in (("positive", sealed.positive, "binary"), ("order", sealed.order, "ordinal")):
            if value is not None and sealed.task != task:
                what = "a binary" if task == "binary" else "an ordinal"
                yield Fault(("sealed", key), f"`{key}` is for {what} task; this one is {sealed.task}", on_key=True)
        if (sealed.task == "survival") != (label.time_to_event is not None):
            yield Fault(at, "a survival task, and no other, has a label with `time_to_event`")
        elif sealed.task == "regression":
            column = next(iter(label_columns(self.recipe, label))) if label.has is None and not label.classes else None
            if column is None or column.type not in _NUMBERS:
                yield Fault(at, f"the values of label `{label.name}` are no numbers")
        elif sealed.task != "survival" and len(classes) < _FEWEST:
            yield Fault(at, f"label `{label.name}` has no two classes to tell apart")
        elif sealed.task == "binary":
            yield from _binary(sealed, classes)
        elif sealed.order is not None and sorted(sealed.order) != sorted(classes):
            yield Fault(("sealed", "order"), f"must name each class of label `{label.name}` once: {', '.join(classes)}")

    def _topic(self, sealed: Sealed) -> Iterator[Fault]:
        table = DEID_TABLES[self.recipe.unit_table]
        if sealed.topic is None:
            return
        if sealed.topic not in table or table[sealed.topic].type is not Type.STRING:
            texts = [column.name for column in table.columns if column.type is Type.STRING]
            message = f"`{sealed.topic}` is no column of {table.name} with text{did_you_mean(sealed.topic, texts)}"
            yield Fault(("sealed", "topic"), message)

    def _shown(self, sealed: Label) -> Iterator[Fault]:
        """What goes out and gives the answer away: the label, what it is made of, and what else is made of that."""
        own, made = self.recipe.unit_table, _made_of(sealed)
        hidden = set(self.recipe.label_column(sealed))
        for label in self.recipe.labels:
            other = _made_of(label)
            if other.rows & made.rows or other.columns & made.columns:
                hidden |= set(self.recipe.label_column(label))
        for table, output in self.recipe.outputs.items():
            if table != own and table in made.rows:
                message = f"rows of `{table}` go out and tell label `{sealed.name}`, which is sealed: take the table away"
                yield Fault(("tables", table), message, on_key=True)
                continue
            at: KeyPath = ("columns",) if self.recipe.tables is None else ("tables", table, "columns")
            for index, name in enumerate(output.columns):
                if name in made.columns or (table == own and name in hidden):
                    message = f"`{name}` goes out and tells label `{sealed.name}`, which is sealed: take it away"
                    yield Fault((*at, index), message)
        split = self.recipe.split
        for side, where in ((split.hold_out if split is not None else None) or {}).items():
            for name in sorted(set(where) & made.columns):
                message = f"side `{side}` is of certain values of `{name}` and tells label `{sealed.name}`, which is sealed"
                yield Fault(("split", "hold_out", side, name), message, on_key=True)


@dataclass(frozen=True, slots=True)
class _MadeOf:
    """What a label is made of.

    Attributes:
        rows: tables whose rows tell it, whatever columns of them are shown.
        columns: names of columns that tell it; one name means the same in every table that has it.
    """

    rows: frozenset[str]
    columns: frozenset[str]


def _made_of(label: Label) -> _MadeOf:
    if label.has is not None:
        named = {name for name in label.has.where if name not in _SAYS_NOTHING}
        return _MadeOf(frozenset({str(label.has.table)}), frozenset(named))
    if label.time_to_event is not None:
        return _MadeOf(frozenset(str(rows.table) for rows in (label.time_to_event.event, label.time_to_event.censor)),
                       frozenset())  # fmt: skip
    if label.nearest is not None:
        table, column = str(label.nearest.table), label.nearest.column
    else:
        table, _, column = (label.column or "annotations.label").partition(".")
    # Findings of a report hang together: the histology tells the behaviour, a stage what it was reckoned from.
    return _MadeOf(frozenset({table} - _OF_ENTITIES), frozenset({column}))


def class_names(label: Label) -> tuple[str, ...]:
    """What a label can say: its classes; ``yes`` and ``no`` of one that asks whether there is something."""
    return ("yes", "no") if label.has is not None else tuple(label.classes or ())


def _binary(sealed: Sealed, classes: tuple[str, ...]) -> Iterator[Fault]:
    if len(classes) != _FEWEST:
        yield Fault(("sealed", "task"), f"a binary task has two classes; the label has {len(classes)}")
    elif sealed.positive is None and classes != ("yes", "no"):
        yield Fault(("sealed",), f"a binary task says which class is `positive`: {' or '.join(classes)}", on_key=True)
    elif sealed.positive is not None and sealed.positive not in classes:
        yield Fault(("sealed", "positive"), f"`{sealed.positive}` is no class of the label: {', '.join(classes)}")

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
        """Columns that go out and give the answer away: the label's, and what it or another label is made of."""
        own = self.recipe.unit_table
        source = _source(sealed)
        hidden = {(own, name) for name in self.recipe.label_column(sealed)} | {source}
        for label in self.recipe.labels:
            if _source(label) == source and source != ("", ""):
                hidden |= {(own, name) for name in self.recipe.label_column(label)}
        for table, output in self.recipe.outputs.items():
            at: KeyPath = ("columns",) if self.recipe.tables is None else ("tables", table, "columns")
            for index, name in enumerate(output.columns):
                if (table, name) in hidden:
                    message = f"`{name}` goes out and tells label `{sealed.name}`, which is sealed: take it away"
                    yield Fault((*at, index), message)


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


def _source(label: Label) -> tuple[str, str]:
    """Table and column that a label is made of; empty where it is more than one column."""
    if label.column is not None:
        table, _, column = label.column.partition(".")
        return table, column
    if label.nearest is not None:
        return str(label.nearest.table), label.nearest.column
    return ("annotations", "label") if label.source == "annotations" else ("", "")

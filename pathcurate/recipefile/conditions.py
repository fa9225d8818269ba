"""Conditions against the columns that they name: does the column exist, may a recipe name it, can it have such a value."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pathcurate.codelists import code_system, fits
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.deidentified import DEID_TABLES, SCRUBBED
from pathcurate.model.recipe import AnyOf, Codelist, Condition, InCodelist, Missing, Range, Where, parse_date
from pathcurate.model.recipe.levels import AGE_AT_INDEX, DAYS_FROM_INDEX
from pathcurate.recipefile.faults import Fault
from pathcurate.yamlsource import KeyPath, did_you_mean

Vocabularies = Mapping[str, Collection[str]]

_NOT_COMPARED = {Type.BYTES, Type.STRINGS, Type.FLOATS}
_DATES = {Type.DATE, Type.TIMESTAMP}
_NUMBERS = {Type.INTEGER, Type.FLOAT}
_FEW = 12
_WITH_INDEX = {AGE_AT_INDEX.name, DAYS_FROM_INDEX.name}
_SOURCES = {**SCRUBBED, "cases": SCRUBBED["reports"], "patients": SCRUBBED["reports"], "specimens": SCRUBBED["diagnoses"]}
_HIDDEN = "is for criteria only: its true value never goes out; it may stand in `where`"


@dataclass(frozen=True, slots=True)
class Named:
    """What a recipe's conditions may name.

    Attributes:
        views: tables by name, with their criterion-only columns.
        vocabularies: codes of each vocabulary that a column names.
        codelists: the recipe's.
        concepts: names of the recipe's.
        has_index: whether the recipe has a day 0.
    """

    views: Mapping[str, Table]
    vocabularies: Vocabularies
    codelists: Mapping[str, Codelist]
    concepts: Collection[str]
    has_index: bool

    def where(self, where: Where, table: str, path: KeyPath) -> Iterator[Fault]:
        """What is wrong with conditions on the columns of a table."""
        for name, condition in where.items():
            here = (*path, name)
            if name not in self.views[table]:
                yield Fault(here, self.unknown(name, table), on_key=True)
            elif self.views[table][name].type in _NOT_COMPARED and not isinstance(condition, Missing):
                yield Fault(here, f"column `{name}` holds no single value; only `missing` can be asked of it", on_key=True)
            else:
                yield from self.condition(condition, table, name, here)
                if isinstance(condition, InCodelist) and name == "code":
                    yield from self._code_system(condition, where.get("code_system"), here)

    def condition(self, condition: Condition, table: str, name: str, path: KeyPath) -> Iterator[Fault]:
        """What is wrong with a condition on a column that is there."""
        column = self.views[table][name]
        match condition:
            case Missing():
                return
            case AnyOf():
                for index, value in enumerate(condition.any_of):
                    if message := self._value(value, table, column):
                        yield Fault((*path, "any_of", index), message)
            case Range():
                for key, bound in (("min", condition.min), ("max", condition.max)):
                    if bound is not None and (message := _bound_fault(bound, column)):
                        yield Fault((*path, key), message)
            case InCodelist():
                if message := self._codelist(condition.codelist, column):
                    yield Fault((*path, "codelist"), message)
            case _:
                if message := self._value(condition, table, column):
                    yield Fault(path, message)

    def sql(self, text: str, table: str, path: KeyPath) -> Iterator[Fault]:
        """What is wrong with a condition in SQL over the columns of a table."""
        from pathcurate.sqlcondition import compared_texts, condition_faults  # noqa: PLC0415 (its parser loads slowly)

        for fault in condition_faults(text, self.views[table]):
            yield Fault(path, fault.message, within=(fault.start, fault.length))
        for name, value, start, length in compared_texts(text, self.views[table]):
            if message := self._text(value, table, self.views[table][name]):
                yield Fault(path, message, within=(start, length))

    def concept(self, name: str, path: KeyPath) -> Iterator[Fault]:
        """What is wrong with the name of a concept."""
        if name not in self.concepts:
            guess = did_you_mean(name, self.concepts) if self.concepts else "; the recipe has no `concepts`"
            yield Fault(path, f"unknown concept `{name}`{guess}")

    def unknown(self, name: str, table: str, special: tuple[str, ...] = ()) -> str:
        """Why a table of recipes has no such column."""
        if name in _WITH_INDEX and not self.has_index:
            return f"column `{name}` counts from day 0, which only a recipe with an `index` has"
        source = _SOURCES.get(table)
        if source is not None and name in source and source[name].action in {Action.DROP, Action.WITHHOLD}:
            return f"column `{name}` {_why_absent(source[name])}"
        return f"unknown column `{name}` in table {table}{did_you_mean(name, (*self.views[table].names, *special))}"

    def shown(self, name: str, table: str, special: tuple[str, ...] = ()) -> str:
        """Why a column of a table cannot go out, or nothing if it can."""
        if name in special or name in DEID_TABLES.get(table, ()):
            return ""
        if name not in self.views[table]:
            return self.unknown(name, table, special)
        is_hidden = self.views[table][name].identifying is Identifying.CRITERION_ONLY
        return f"column `{name}` {_HIDDEN}" if is_hidden or self.views[table][name].action is Action.CRITERION else ""

    def _code_system(self, condition: InCodelist, said: Condition | None, path: KeyPath) -> Iterator[Fault]:
        codelist = self.codelists.get(condition.codelist)
        if codelist is None or said is None:
            return
        system = code_system(codelist.system)
        systems = said.any_of if isinstance(said, AnyOf) else (said,) if isinstance(said, str) else (system,)
        if system not in systems:
            message = f"code list `{condition.codelist}` is of {codelist.system}, and `code_system` asks for another"
            yield Fault((*path, "codelist"), message)

    def _codelist(self, name: str, column: Column) -> str:
        codelist = self.codelists.get(name)
        if codelist is None:
            guess = did_you_mean(name, self.codelists) if self.codelists else "; the recipe has no `codelists`"
            return f"unknown code list `{name}`{guess}"
        if not fits(codelist.system, column.name):
            return f"code list `{name}` is of {codelist.system}, which column `{column.name}` does not hold"
        return ""

    def _value(self, value: str | int | float | bool, table: str, column: Column) -> str:
        name = column.name
        match column.type:
            case Type.STRING:
                return self._text(value, table, column)
            case Type.BOOLEAN:
                return "" if isinstance(value, bool) else f"column `{name}` is true or false"
            case Type.DATE:
                return _date_fault(value, name)
            case Type.TIMESTAMP:
                return f"column `{name}` is a time: write {{min: ..., max: ...}} with dates"
            case _:
                return _number_fault(value, column)

    def _text(self, value: str | int | float | bool, table: str, column: Column) -> str:
        if not isinstance(value, str):
            return f"column `{column.name}` is text: put the value in quotes"
        if table == "report_concepts" and column.name == "concept":
            return next((fault.message for fault in self.concept(value, ())), "")
        known = self.vocabularies[column.vocabulary] if column.vocabulary else column.values
        if (column.vocabulary or column.values) and value not in known:
            guess = did_you_mean(value, known) or (f"; known: {', '.join(known)}" if len(known) <= _FEW else "")
            return f"`{value}` is not a value of column `{column.name}`{guess}"
        if column.pattern and re.fullmatch(column.pattern, value, re.ASCII) is None:
            return f"`{value}` has not the form of column `{column.name}`: {column.meaning}"
        return ""


def _why_absent(column: Column) -> str:
    """Why a column of the catalog is not in the de-identified tables."""
    if column.action is Action.WITHHOLD:
        return "is free text, which is withheld from recipes"
    if column.identifying is Identifying.DIRECT:
        return "identifies a person or a slide directly; a recipe cannot name it"
    return "is dropped by de-identification"


def _bound_fault(bound: int | float | date, column: Column) -> str:
    if column.type in _DATES:
        return "" if isinstance(bound, date) else f"column `{column.name}` is a date: write one such as 2020-01-31"
    if column.type in _NUMBERS:
        return f"column `{column.name}` is a number, not a date" if isinstance(bound, date) else ""
    kind = "true or false" if column.type is Type.BOOLEAN else "text"
    return f"column `{column.name}` is {kind}: `min` and `max` are for numbers and dates"


def _number_fault(value: str | int | float | bool, column: Column) -> str:
    if isinstance(value, bool | str):
        return f"column `{column.name}` is a number"
    if column.type is Type.INTEGER and value != int(value):
        return f"column `{column.name}` is a whole number"
    return ""


def _date_fault(value: str | int | float | bool, name: str) -> str:
    if not isinstance(value, str):
        return f"column `{name}` is a date: write one such as 2020-01-31"
    try:
        parse_date(value)
    except ValueError as failure:
        return f"column `{name}` is a date: {failure}"
    return ""

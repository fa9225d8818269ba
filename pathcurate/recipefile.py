"""Reads a recipe file and checks it against the tables that it names, with every fault at its place in the file."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from pathcurate import yamlsource
from pathcurate.errors import RecipeError
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.deidentified import UNIT_TABLES
from pathcurate.model.recipe import AnyOf, Condition, Criterion, Missing, Range, Recipe, Where, parse_date
from pathcurate.text import patterns
from pathcurate.yamlsource import Document, KeyPath, did_you_mean

Vocabularies = Mapping[str, Collection[str]]

_NOT_COMPARED = {Type.BYTES, Type.STRINGS, Type.FLOATS}
_DATES = {Type.DATE, Type.TIMESTAMP}
_NUMBERS = {Type.INTEGER, Type.FLOAT}


class Fault(NamedTuple):
    """A fault at a path into the recipe; ``on_key`` if the key there is wrong and not its value."""

    path: KeyPath
    message: str
    on_key: bool = False


@dataclass(frozen=True, slots=True)
class RecipeSource:
    """A recipe as it was read.

    Attributes:
        recipe: the recipe.
        document: the file, for messages about its parts.
        canonical: the recipe with its defaults as JSON: UTF-8, keys sorted, no spaces. Comments, order of keys and free
            (``x-``) keys do not change it.
        sha256: digest of ``canonical``, with the prefix ``sha256:``.
    """

    recipe: Recipe
    document: Document
    canonical: bytes
    sha256: str


def load_recipe(
    file: Path, tables: Mapping[str, Table], vocabularies: Vocabularies, *, text: str | None = None
) -> RecipeSource:
    """Read a recipe file and check it.

    Args:
        file: the file.
        tables: see :func:`check_columns`.
        vocabularies: see :func:`check_columns`.
        text: a recipe that was sent instead; the file only says what messages call it.

    Raises:
        RecipeError: with all problems and where they are; first those of form, then those of patterns, columns and values.
    """
    document = yamlsource.load(file if text is None else text, str(file), RecipeError)
    recipe = yamlsource.validate(document, Recipe, RecipeError)
    faults = [*check_concepts(recipe), *check_columns(recipe, tables, vocabularies)]
    problems = [document.problem(fault.path, fault.message, key=fault.on_key) for fault in faults]
    yamlsource.fail(document, problems, RecipeError)
    canonical = canonical_json(recipe)
    return RecipeSource(recipe, document, canonical, f"sha256:{hashlib.sha256(canonical).hexdigest()}")


def canonical_json(recipe: Recipe) -> bytes:
    """The recipe with its defaults as JSON: UTF-8, keys sorted, no spaces, and no key that has no value."""
    content = recipe.model_dump(mode="json", exclude_none=True)
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def check_concepts(recipe: Recipe) -> Iterator[Fault]:
    """Patterns of the recipe's concepts that cannot be searched for."""
    for name, concept in (recipe.concepts or {}).items():
        faults = [
            Fault(("concepts", name, key, index), message)
            for key in ("any", "unless")
            for index, pattern in enumerate(getattr(concept, key))
            if (message := patterns.fault(pattern))
        ]
        yield from faults
        for key in () if faults else ("any", "unless"):
            if getattr(concept, key) and (message := patterns.joint_fault(getattr(concept, key))):
                yield Fault(("concepts", name, key), f"together, {message}")


def check_columns(recipe: Recipe, tables: Mapping[str, Table], vocabularies: Vocabularies) -> list[Fault]:
    """What the recipe says of columns that the tables do not bear out.

    Args:
        recipe: the recipe.
        tables: the views ``slides``, ``cases``, ``patients`` and ``reports``, with their criterion-only columns.
        vocabularies: codes of each vocabulary that a column of these tables names.
    """
    faults: list[Fault] = []
    for part, criteria in (("include", recipe.include), ("exclude", recipe.exclude)):
        for index, criterion in enumerate(criteria):
            faults += _check_level(criterion, recipe.unit, (part, index, "level"))
            if criterion.where is not None:
                table = tables[UNIT_TABLES[criterion.level]]
                faults += _check_where(criterion.where, table, vocabularies, (part, index, "where"))
            if criterion.has is not None:
                table = tables[criterion.has.table]
                faults += _check_where(criterion.has.where, table, vocabularies, (part, index, "has", "where"))
    unit = tables[UNIT_TABLES[recipe.unit]]
    faults += _check_selected(recipe.unit_columns, unit, ("columns",), ("split",))
    if recipe.split is not None:
        faults += _check_selected(recipe.split.stratify, unit, ("split", "stratify"), ())
    return faults


def _check_level(criterion: Criterion, unit: str, path: KeyPath) -> Iterator[Fault]:
    levels = tuple(UNIT_TABLES)
    if levels.index(criterion.level) < levels.index(unit):
        message = f"a {criterion.level} criterion cannot decide about a whole {unit}"
        yield Fault(path, f"{message}; count with `has: {{table: slides, where: …}}` on level {unit} instead")
    elif criterion.has is not None and criterion.level == "slide":
        yield Fault(path, "`has` counts rows of a case or a patient; use level case or patient")


def _check_selected(names: tuple[str, ...], table: Table, path: KeyPath, special: tuple[str, ...]) -> Iterator[Fault]:
    for index, name in enumerate(names):
        if name in special:
            continue
        if name not in table:
            yield Fault((*path, index), _unknown(name, table, special))
        elif reason := _why_hidden(table[name]):
            yield Fault((*path, index), f"column `{name}` {reason}")


def _why_hidden(column: Column) -> str:
    """Why a column may not go out, or nothing."""
    if column.identifying is Identifying.CRITERION_ONLY or column.action is Action.CRITERION:
        return "is for criteria only: its true value never goes out; it may stand in `where`"
    return _why_absent(column)


def _why_absent(column: Column) -> str:
    """Why a column is not in the de-identified tables, or nothing."""
    if column.action is Action.WITHHOLD:
        return "is free text, which is withheld from recipes"
    if column.identifying is Identifying.DIRECT and column.action is not Action.PSEUDONYM:
        return "identifies a person or a slide directly; a recipe cannot name it"
    return "is dropped by de-identification" if column.action is Action.DROP else ""


def _unknown(name: str, table: Table, special: tuple[str, ...] = ()) -> str:
    return f"unknown column `{name}` in table {table.name}{did_you_mean(name, (*table.names, *special))}"


def _check_where(where: Where, table: Table, vocabularies: Vocabularies, path: KeyPath) -> Iterator[Fault]:
    for name, condition in where.items():
        here = (*path, name)
        if name not in table:
            yield Fault(here, _unknown(name, table), on_key=True)
        elif reason := _why_absent(table[name]):
            yield Fault(here, f"column `{name}` {reason}", on_key=True)
        elif table[name].type in _NOT_COMPARED and not isinstance(condition, Missing):
            yield Fault(here, f"column `{name}` holds no single value; only `missing` can be asked of it", on_key=True)
        else:
            yield from _check_condition(condition, table[name], vocabularies, here)


def _check_condition(condition: Condition, column: Column, vocabularies: Vocabularies, path: KeyPath) -> Iterator[Fault]:
    match condition:
        case Missing():
            return
        case AnyOf():
            for index, value in enumerate(condition.any_of):
                if message := _check_value(value, column, vocabularies):
                    yield Fault((*path, "any_of", index), message)
        case Range():
            for key, bound in (("min", condition.min), ("max", condition.max)):
                if bound is not None and (message := _check_bound(bound, column)):
                    yield Fault((*path, key), message)
        case _:
            if message := _check_value(condition, column, vocabularies):
                yield Fault(path, message)


def _check_bound(bound: int | float | date, column: Column) -> str:
    if column.type in _DATES:
        return "" if isinstance(bound, date) else f"column `{column.name}` is a date: write one such as 2020-01-31"
    if column.type in _NUMBERS:
        return f"column `{column.name}` is a number, not a date" if isinstance(bound, date) else ""
    kind = "true or false" if column.type is Type.BOOLEAN else "text"
    return f"column `{column.name}` is {kind}: `min` and `max` are for numbers and dates"


def _check_value(value: str | int | float | bool, column: Column, vocabularies: Vocabularies) -> str:
    name = column.name
    match column.type:
        case Type.STRING:
            return _check_text(value, column, vocabularies)
        case Type.BOOLEAN:
            return "" if isinstance(value, bool) else f"column `{name}` is true or false"
        case Type.DATE:
            return _check_date(value, name)
        case Type.TIMESTAMP:
            return f"column `{name}` is a time: write {{min: ..., max: ...}} with dates"
        case _:
            return _check_number(value, column)


def _check_number(value: str | int | float | bool, column: Column) -> str:
    if isinstance(value, bool | str):
        return f"column `{column.name}` is a number"
    if column.type is Type.INTEGER and value != int(value):
        return f"column `{column.name}` is a whole number"
    return ""


def _check_date(value: str | int | float | bool, name: str) -> str:
    if not isinstance(value, str):
        return f"column `{name}` is a date: write one such as 2020-01-31"
    try:
        parse_date(value)
    except ValueError as failure:
        return f"column `{name}` is a date: {failure}"
    return ""


def _check_text(value: str | int | float | bool, column: Column, vocabularies: Vocabularies) -> str:
    if not isinstance(value, str):
        return f"column `{column.name}` is text: put the value in quotes"
    known = vocabularies[column.vocabulary] if column.vocabulary else column.values
    if (column.vocabulary or column.values) and value not in known:
        guess = did_you_mean(value, known) or (f"; known: {', '.join(known)}" if len(known) <= 12 else "")
        return f"`{value}` is not a value of column `{column.name}`{guess}"
    if column.pattern and re.fullmatch(column.pattern, value) is None:
        return f"`{value}` has not the form of column `{column.name}`: {column.meaning}"
    return ""

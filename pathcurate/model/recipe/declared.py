"""Declarations of what a recipe makes: the columns of its labels and of its split, and the tables that go out."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pathcurate.model.column import Column, Identifying, Table, Type
from pathcurate.model.deidentified import DEID_TABLES, pseudonym_pattern
from pathcurate.model.recipe import Label, Recipe
from pathcurate.model.recipe.levels import DAYS_FROM_INDEX, LEVEL_KEYS, recipe_views

_ALIKE = ("year", "birth_date", "age_at_index")
"""Columns for criteria only that identify in combination as year and age do."""
INDEX_EVENT = Column(
    "index_event_id", Type.STRING, "Pseudonym. The event whose day 0 the row was taken for.", pattern=pseudonym_pattern("E"),
)  # fmt: skip
LABEL_EVIDENCE = Table(
    name="labels",
    row="one label of one unit, and what said so",
    key=("unit_id", "label"),
    columns=(
        Column("unit_id", Type.STRING, "Pseudonym of the unit.", pattern="[A-Z]-[0-9A-HJKMNP-TV-Z]{16}", required=True),
        Column("label", Type.STRING, "Name of the label.", pattern="[a-z0-9_]{1,64}", required=True),
        Column("level", Type.STRING, "What the label is true of.", pattern="[a-z]{1,16}", required=True),
        Column("value", Type.STRING, "The label, as text; missing where there is none.", Identifying.SENSITIVE,
               pattern=r"[^\x00-\x1f]{0,200}"),
        Column("report_id", Type.STRING, "The report that says so.", pattern=pseudonym_pattern("R")),
        Column("ordinal", Type.INTEGER, "The report's diagnosis line that says so; 1 for the first."),
        Column("is_conflict", Type.BOOLEAN, "Whether another report or line says something else.", required=True),
    ),
)  # fmt: skip
"""Where each label of a cohort comes from (``labels.parquet``)."""


def label_columns(recipe: Recipe, label: Label, table: str | None = None) -> tuple[Column, ...]:
    """The columns that a label makes on a table, the unit's if none is named."""
    names = recipe.label_column(label, table)
    what = f"Label of the {label.level}"
    if label.time_to_event is not None:
        return (
            Column(names[0], Type.INTEGER, f"{what}: days from day 0 to the event, or to the last day seen.",
                   Identifying.SENSITIVE, unit="d"),
            Column(names[1], Type.BOOLEAN, f"{what}: whether the event happened.", Identifying.SENSITIVE),
        )  # fmt: skip
    first = _value_column(label, names[0], what)
    if label.nearest is None:
        return (first,)
    return first, Column(names[1], Type.INTEGER, f"{what}: days from day 0.", Identifying.SENSITIVE, unit="d")


def _value_column(label: Label, name: str, what: str) -> Column:
    if label.has is not None:
        kind = _kind(label.has.table, label.has.where)
        return Column(name, Type.BOOLEAN, f"{what}: whether it has such {label.has.table}.", kind)
    table, _, column = (label.column or "").partition(".")
    if label.nearest is not None:
        table, column = label.nearest.table, label.nearest.column
    if label.classes is not None:
        return Column(name, Type.STRING, f"{what}.", _kind(table, (column,)), values=tuple(label.classes))
    declared = DEID_TABLES[table][column]
    return replace(declared, name=name, meaning=f"{what}. {declared.meaning}", required=False)


def _kind(table: str, columns: Iterable[str]) -> Identifying:
    """How a label identifies that tells columns apart: as they do, so that k counts it under its own name too."""
    view = recipe_views(has_index=True).get(table)
    is_quasi = view is not None and any(
        name in view and (view[name].identifying is Identifying.QUASI or name in _ALIKE) for name in columns
    )
    return Identifying.QUASI if is_quasi else Identifying.SENSITIVE


def declared_labels(recipe: Recipe, table: str | None = None) -> dict[str, Column]:
    """The columns of all labels that a table may show, by name."""
    name = table or recipe.unit_table
    if name != recipe.unit_table:
        return {}
    return {column.name: column for label in recipe.labels for column in label_columns(recipe, label, name)}


def split_column(recipe: Recipe) -> Column:
    """The side of the split."""
    sides = recipe.split.sides if recipe.split is not None else ()
    return Column("split", Type.STRING, "Side of the split; no patient is on two.", values=sides)


def made_columns(recipe: Recipe, table: str) -> Mapping[str, Column]:
    """What the recipe itself adds to a table that goes out, by name."""
    made = dict(declared_labels(recipe, table))
    if table == recipe.unit_table and recipe.split is not None:
        made["split"] = split_column(recipe)
    if recipe.index is not None:
        made[DAYS_FROM_INDEX.name] = DAYS_FROM_INDEX
    if recipe.unit == "event" and table != recipe.unit_table:
        made[INDEX_EVENT.name] = INDEX_EVENT
    return made


def output_table(recipe: Recipe, table: str, columns: tuple[str, ...]) -> Table:
    """A table with these columns of its own and of the recipe, in this order.

    Raises:
        KeyError: a column is neither.
    """
    declared = DEID_TABLES[table]
    made = made_columns(recipe, table)
    known = tuple(column for column in declared.columns if column.name not in made)
    # What the recipe says may identify is judged as what is declared so, labels too.
    judged = set(recipe.disclosure.quasi_identifiers or ()) if table == recipe.unit_table else set()
    every = (
        replace(column, identifying=Identifying.QUASI)
        if column.name in judged and column.identifying in {Identifying.NONE, Identifying.SENSITIVE}
        else column
        for column in (*known, *made.values())
    )
    # A row that belongs to two events stands there for each of them.
    key = (*declared.key, INDEX_EVENT.name) if INDEX_EVENT.name in columns else declared.key
    return replace(declared, columns=tuple(every), key=key).select(columns)


def cohort_table(recipe: Recipe) -> Table:
    """The declaration of ``cohort.parquet``: who each unit is, then the recipe's columns, its labels and the split."""
    view = DEID_TABLES[recipe.unit_table]
    keys = [name for name in (*LEVEL_KEYS[recipe.unit], "case_id", "patient_id", "group_id") if name in view]
    labels = declared_labels(recipe)
    split = ("split",) if recipe.split is not None else ()
    return output_table(recipe, recipe.unit_table, tuple(dict.fromkeys((*keys, *recipe.unit_columns, *labels, *split))))


def cohort_output(recipe: Recipe, table: str) -> Table:
    """The declaration of a table other than the unit's in a cohort: its key and whose it is, then the recipe's columns.

    Texts are not columns of it: they go out scrubbed, in tables of their own.
    """
    declared = DEID_TABLES[table]
    keys = [name for name in (*declared.key, "case_id", "patient_id", "group_id") if name in declared]
    known = {*declared.names, *made_columns(recipe, table)}
    named = [name for name in recipe.outputs[table].columns if name in known]
    event = (INDEX_EVENT.name,) if recipe.unit == "event" and INDEX_EVENT.name in named else ()
    return output_table(recipe, table, tuple(dict.fromkeys((*keys, *event, *named))))

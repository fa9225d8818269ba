"""Step 0: every kind of data that a recipe touches is permitted, and nobody opted out."""

from collections.abc import Container, Iterable, Iterator

from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.recipe import Alternative, Criterion, Recipe
from pathcurate.model.recipe.levels import AGE_AT_INDEX, DATA_KINDS, LEVEL_VIEWS, PERSONAL, recipe_views
from pathcurate.model.recipe.mentions import mentions
from pathcurate.sqlplan.criteria import Parts, escaped
from pathcurate.sqlplan.expressions import literal

_BORROWED = {
    **{("slides", column): "reports" for column in ("sex", "age", "age_band", "year")},
    **{(table, AGE_AT_INDEX.name): "reports" for table in ("slides", "series", "events")},
    ("cases", "slide_count"): "slides",
    ("patients", "slide_count"): "slides",
    ("specimens", "slide_count"): "slides",
}
"""Columns that come from another kind of data than the rest of their table."""


_SUBJECTS = {"person": "patient_id", "case": "case_id", "site": "site"}
"""What a statement may be about, with the column that names it."""
_LEAVERS = {**_SUBJECTS, "person": "group_id", "slide": "slide_id"}
"""Who or what may be opted out: a person as the group of all who may be this one; a slide that was withdrawn."""


def permission(recipe: Recipe, parts: Parts) -> tuple[str, str]:
    """SQL that is true where a unit is permitted, and SQL that is true where only a missing patient keeps it out.

    Every kind of data must be permitted for person, case, site or population. The units of patients and events span cases
    and sites, so only permissions of the person or the population count for them, while every opt-out does.

    Args:
        recipe: the recipe.
        parts: gets what is needed; the view ``permissions`` has subject, code, data_kind and opt_out, of what holds today
            for the recipe's purpose.
    """
    own = {"patient": ("person",), "event": ("person", "site")}.get(recipe.unit, tuple(_SUBJECTS))
    not_opted_out = _not_opted_out(parts, (*own, *(["slide"] if recipe.unit == "slide" else [])))
    for table in spanned(recipe):
        # A patient has cases at sites: one that is opted out keeps the whole patient out.
        for subject in ("case", "site"):
            if _SUBJECTS[subject] not in DEID_TABLES[table]:
                continue
            name = f"not_{subject}_of_{table}"
            parts.ctes.append(
                f"{name} as (select distinct c.group_id as code from permissions as p join {table} as c"
                f" on c.{_SUBJECTS[subject]} = p.code where p.subject = {literal(subject)} and p.opt_out)"
            )
            parts.joins.append(f"left join {name} on {name}.code = u.group_id")
            not_opted_out.append(f"{name}.code is null")
    granted = _granted(recipe, parts, ("person",) if reads_cases(recipe) else own)
    # A slide without a patient is not permitted for want of a link, unless an opt-out decided already.
    missing = f"({' and '.join(['u.patient_id is null', *not_opted_out])})" if recipe.unit == "slide" else "false"
    return "(" + " and ".join([*granted, *not_opted_out]) + ")", missing


def row_permission(recipe: Recipe, parts: Parts, columns: Container[str]) -> str:
    """SQL that is true where a row of another table may go out for itself: it may be of another case than the unit is.

    Args:
        recipe: the recipe.
        parts: gets what is needed to look at the row, which is called ``u``.
        columns: those that the row has.
    """
    own = [subject for subject, column in _SUBJECTS.items() if column in columns]
    granted = _granted(recipe, parts, ("person",) if reads_cases(recipe) else own)
    return " and ".join([*granted, *_not_opted_out(parts, own)])


def slide_permission(row: str) -> str:
    """SQL that is true where a row's slide was not withdrawn by itself; ``row`` is what the row is called."""
    return f"{row}.slide_id not in (select p.code from permissions as p where p.subject = 'slide' and p.opt_out)"


def _granted(recipe: Recipe, parts: Parts, subjects: Iterable[str]) -> list[str]:
    granted = []
    for kind in data_kinds(recipe):
        sides = []
        for subject in subjects:
            name = f"may_{kind}_{subject}"
            parts.ctes.append(
                _subjects(name, f"p.subject = {literal(subject)} and p.data_kind = {literal(kind)} and not p.opt_out")
            )
            parts.joins.append(f"left join {name} on {name}.code = u.{_SUBJECTS[subject]}")
            sides.append(f"{name}.code is not null")
        name = f"may_{kind}_all"
        for_all = f"p.subject = 'population' and p.data_kind = {literal(kind)} and not p.opt_out"
        parts.ctes.append(f"{name} as (select count(*) as n from permissions as p where {for_all})")
        parts.joins.append(f"cross join {name}")
        granted.append("(" + " or ".join([*sides, f"{name}.n > 0"]) + ")")
    parts.own.update(dict.fromkeys(_SUBJECTS[subject] for subject in subjects))
    return granted


def _not_opted_out(parts: Parts, subjects: Iterable[str]) -> list[str]:
    conditions = []
    for subject in subjects:
        name, column = f"not_{subject}", _LEAVERS[subject]
        parts.ctes.append(_subjects(name, f"p.subject = {literal(subject)} and p.opt_out"))
        parts.joins.append(f"left join {name} on {name}.code = u.{column}")
        parts.own[column] = None
        conditions.append(f"{name}.code is null")
    parts.ctes.append("not_all as (select count(*) as n from permissions as p where p.subject = 'population' and p.opt_out)")
    parts.joins.append("cross join not_all")
    return [*conditions, "not_all.n = 0"]


def reads_cases(recipe: Recipe) -> bool:
    """Whether the step looks at all cases of a patient: units span them, or a label tells what any of them says."""
    return recipe.unit in {"patient", "event"} or any(label.level == "patient" for label in recipe.labels)


def spanned(recipe: Recipe) -> tuple[str, ...]:
    """The tables of which no row of a unit's patient may be opted out: a unit or a label may be made of any of them."""
    told = {one.table for one in mentions(recipe) if one.path[0] == "labels"}
    return (*(["cases"] if reads_cases(recipe) else []), *(table for table in PERSONAL if table in told))


def _subjects(name: str, condition: str) -> str:
    return f"{name} as (select distinct p.code as code from permissions as p where {condition})"


def data_kinds(recipe: Recipe) -> tuple[str, ...]:
    """The kinds of data that the recipe touches, in criteria, labels, strata, tables or texts; each needs a permission."""
    # Texts are of reports, whatever the unit.
    kinds = {"reports"} if recipe.released_texts else set()
    for table, columns in _touched(recipe):
        kinds.add(DATA_KINDS.get(table, "reports"))
        kinds |= {_BORROWED[table, column] for column in columns if (table, column) in _BORROWED}
    return tuple(sorted(kinds))


def _touched(recipe: Recipe) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tables and columns that the recipe looks at."""
    yield recipe.unit_table, ()
    for one in mentions(recipe):
        yield one.table, (one.column,)
    for criterion in recipe.criteria:
        yield from _escaped(criterion, criterion.level)


def _escaped(criterion: Criterion | Alternative, level: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What ``sql`` looks at."""
    if criterion.sql is not None:
        view = recipe_views(has_index=True)[LEVEL_VIEWS[level]]
        yield view.name, escaped(criterion.sql, view, "r")[0]
    for one in criterion.any_of or ():
        yield from _escaped(one, one.level or level)

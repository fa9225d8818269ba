"""Compiles a recipe to one query: for every unit, which step it fails first, and whether for a missing value.

The query reads views named ``slides_deid``, ``slides_true`` and so on: the de-identified tables and their criterion-only
twins. Conditions compare true values; nothing but pseudonyms and step numbers comes out. It uses no ``select *``, no
``qualify``, named columns and aliased tables only, because just that has proved portable between engines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, UNIT_KEYS, UNIT_TABLES, VIEWS
from pathcurate.model.recipe import Criterion, Inclusion, Recipe
from pathcurate.sqlplan.expressions import all_sql, literal

_KINDS = {"slides": "slides", "cases": "reports", "patients": "reports", "reports": "reports", "events": "events"}
"""The kind of data that a table is made of."""
_BORROWED = {
    **{("slides", column): "reports" for column in ("sex", "age", "age_band", "year")},
    ("cases", "slide_count"): "slides",
    ("patients", "slide_count"): "slides",
}
"""Columns that come from another kind of data than the rest of their table."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the attrition.

    Attributes:
        id: names the step in the ledger.
        label: for people.
        level: ``slide``, ``case`` or ``patient``.
        kind: ``permission``, ``built_in``, ``include`` or ``exclude``.
    """

    id: str
    label: str
    level: str
    kind: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled recipe.

    Attributes:
        steps: in the order in which they run.
        sql: columns: the unit's key, ``case_id``, ``patient_id``, ``group_id`` (as far as the unit has them),
            ``slide_count``, ``case_count`` (of patients), ``failed_step`` (index into ``steps``, null for what is kept),
            ``failed_missing``.
        views: names of the views that it reads.
    """

    steps: tuple[Step, ...]
    sql: str
    views: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """A step as SQL: what it needs before the query, how it is joined, when it passes, when it has no answer."""

    step: Step
    ctes: tuple[str, ...]
    joins: tuple[str, ...]
    passes: str
    missing: str = "false"


def compile_recipe(recipe: Recipe, *, with_permissions: bool) -> Plan:
    """Compile a checked recipe.

    Args:
        recipe: a recipe that ``recipefile.load_recipe`` accepted.
        with_permissions: whether the view ``permissions`` (subject, code, data_kind, opt_out; only what holds today for
            the recipe's purpose) decides step 0; without any configured list, step 0 passes and says so.
    """
    tests = [_permission(recipe) if with_permissions else _no_permission(recipe)]
    tests += _built_in(recipe)
    tests += [_criterion(recipe, number, criterion) for number, criterion in enumerate(recipe.criteria)]
    key, table = UNIT_KEYS[recipe.unit], DEID_TABLES[UNIT_TABLES[recipe.unit]]
    # A true view is joined only where a criterion on the unit's own level needs it.
    ctes = [cte for test in tests for cte in test.ctes]
    joins = [join for test in tests for join in test.joins]
    keys = [name for name in dict.fromkeys((key, "case_id", "patient_id", "group_id")) if name in table]
    counts = ["1 as slide_count"] if recipe.unit == "slide" else ["u.slide_count as slide_count"]
    # Cases are counted by their key, except where one row stands for several.
    counts += ["u.case_count as case_count"] if recipe.unit == "patient" else []
    unit_view = _unit_view(recipe)
    tested = ",\n    ".join(
        [*(f"u.{name} as {name}" for name in keys), *counts,
         *(f"{test.passes} as ok_{n},\n    {test.missing} as missing_{n}" for n, test in enumerate(tests))]
    )  # fmt: skip
    parts = [
        unit_view,
        *ctes,
        "tested as (\n  select\n    "
        + tested
        + "\n  from unit_rows as u"
        + "".join(f"\n  {join}" for join in joins)
        + "\n)",
    ]
    # Whatever is not known to pass fails: nobody gets in by a missing answer.
    failed = " ".join(f"when t.ok_{n} is not true then {n}" for n in range(len(tests)))
    missing = " ".join(f"when t.ok_{n} is not true then t.missing_{n}" for n in range(len(tests)))
    selected = ",\n  ".join(
        [
            *(f"t.{name} as {name}" for name in keys),
            *(f"t.{name} as {name}" for name in (count.rpartition(" ")[2] for count in counts)),
            f"case {failed} end as failed_step",
            f"case {missing} else false end as failed_missing",
        ]
    )
    sql = "with\n" + ",\n".join(parts) + f"\nselect\n  {selected}\nfrom tested as t\norder by t.{key}\n"
    return Plan(tuple(test.step for test in tests), sql, tuple(_views(recipe, with_permissions)))


def _views(recipe: Recipe, with_permissions: bool) -> Iterator[str]:
    used = {UNIT_TABLES[recipe.unit]}
    used |= {UNIT_TABLES[criterion.level] for criterion in recipe.criteria if criterion.where is not None}
    used |= {criterion.has.table for criterion in recipe.criteria if criterion.has is not None}
    if with_permissions and recipe.unit == "patient":
        used.add("cases")
    for name in sorted(used):
        yield f"{name}_deid"
        if name in CRITERIA_TABLES:
            yield f"{name}_true"
    if with_permissions:
        yield "permissions"


def _view_sql(name: str, table: str, columns: Sequence[str]) -> str:
    """A common table expression over a table with true values in place of the de-identified ones."""
    key = DEID_TABLES[table].key[0]
    true = CRITERIA_TABLES[table].names[1:] if table in CRITERIA_TABLES else ()
    wanted = dict.fromkeys((key, *columns))
    chosen = [f"{'t' if column in true else 'd'}.{column} as {column}" for column in wanted]
    needs_true = any(column in true for column in wanted)
    # A left join: a row without its twin lacks true values, and does not vanish from the ledger.
    join = f" left join {table}_true as t on t.{key} = d.{key}" if needs_true else ""
    return f"{name} as (\n  select {', '.join(chosen)}\n  from {table}_deid as d{join}\n)"


def _unit_view(recipe: Recipe) -> str:
    table = UNIT_TABLES[recipe.unit]
    columns = ["case_id", "patient_id", "group_id", "site", "slide_count", "case_count", "status", "tier"]
    for criterion in recipe.criteria:
        if criterion.level == recipe.unit and criterion.where is not None:
            columns += criterion.where
    return _view_sql("unit_rows", table, [name for name in columns if name in VIEWS[table]])


def _no_permission(recipe: Recipe) -> _Test:
    step = Step("permission", "No permission list is configured: nobody was left out", recipe.unit, "permission")
    return _Test(step, (), (), "true")


def _permission(recipe: Recipe) -> _Test:
    """Every kind of data that the recipe touches is permitted for person, case, site or population, and nobody opted out.

    A patient unit spans cases and sites, so only permissions of the person or the population count for it, while every
    opt-out does.
    """
    columns = {"person": "patient_id", "case": "case_id", "site": "site"}
    if recipe.unit == "patient":
        del columns["case"], columns["site"]
    ctes, joins, granted, not_opted_out = [], [], [], []
    for kind in data_kinds(recipe):
        sides = []
        for subject, column in columns.items():
            name = f"may_{kind}_{subject}"
            ctes.append(
                _subjects(name, f"p.subject = {literal(subject)} and p.data_kind = {literal(kind)} and not p.opt_out")
            )
            joins.append(f"left join {name} on {name}.code = u.{column}")
            sides.append(f"{name}.code is not null")
        name = f"may_{kind}_all"
        ctes.append(f"{name} as (select count(*) as n from permissions as p"
                    f" where p.subject = 'population' and p.data_kind = {literal(kind)} and not p.opt_out)")  # fmt: skip
        joins.append(f"cross join {name}")
        granted.append("(" + " or ".join([*sides, f"{name}.n > 0"]) + ")")
    # An opt-out of a person names the group of all who may be this person.
    for subject, column in {"person": "group_id", "case": "case_id", "site": "site"}.items():
        name = f"not_{subject}"
        if subject == "person" or subject in columns:
            ctes.append(_subjects(name, f"p.subject = {literal(subject)} and p.opt_out"))
            joins.append(f"left join {name} on {name}.code = u.{column}")
        else:
            # A patient has cases at sites: one that is opted out keeps the whole patient out.
            ctes.append(
                f"{name} as (select distinct c.group_id as code from permissions as p join cases_deid as c"
                f" on c.{column} = p.code where p.subject = {literal(subject)} and p.opt_out)"
            )
            joins.append(f"left join {name} on {name}.code = u.group_id")
        not_opted_out.append(f"{name}.code is null")
    ctes.append("not_all as (select count(*) as n from permissions as p where p.subject = 'population' and p.opt_out)")
    joins.append("cross join not_all")
    not_opted_out.append("not_all.n = 0")
    step = Step("permission", f"Permitted for {recipe.purpose}, today, and nobody opted out", recipe.unit, "permission")
    # A slide without a patient is not permitted for want of a link, unless an opt-out decided already.
    missing = f"({' and '.join(['u.patient_id is null', *not_opted_out])})" if recipe.unit == "slide" else "false"
    return _Test(step, tuple(ctes), tuple(joins), "(" + " and ".join([*granted, *not_opted_out]) + ")", missing)


def _subjects(name: str, condition: str) -> str:
    return f"{name} as (select distinct p.code as code from permissions as p where {condition})"


def data_kinds(recipe: Recipe) -> tuple[str, ...]:
    """The kinds of data that the recipe touches, in criteria, strata, columns or texts; each of them needs a permission."""
    touched = [(UNIT_TABLES[recipe.unit], (*recipe.unit_columns, *(recipe.split.stratify if recipe.split else ())))]
    for criterion in recipe.criteria:
        if criterion.has is not None:
            touched.append((criterion.has.table, tuple(criterion.has.where)))
        else:
            touched.append((UNIT_TABLES[criterion.level], tuple(criterion.where or ())))
    # Texts are of reports, whatever the unit.
    kinds = {_KINDS["reports"]} if recipe.texts else set()
    for table, columns in touched:
        kinds.add(_KINDS[table])
        kinds |= {_BORROWED[table, column] for column in columns if (table, column) in _BORROWED}
    return tuple(sorted(kinds))


def _built_in(recipe: Recipe) -> Iterator[_Test]:
    if recipe.unit != "slide":
        return
    readable = Step("readable", "File present and readable", "slide", "built_in")
    yield _Test(readable, (), (), "(u.status = 'ok')")
    linked = Step("linked", f"Linked to a case ({', '.join(recipe.links)})", "slide", "built_in")
    yield _Test(linked, (), (), f"(u.tier in ({', '.join(literal(tier) for tier in recipe.links)}))")


def _criterion(recipe: Recipe, number: int, criterion: Criterion) -> _Test:
    included = isinstance(criterion, Inclusion)
    step = Step(criterion.id, criterion.label or criterion.id, criterion.level, "include" if included else "exclude")
    key = UNIT_KEYS[criterion.level]
    name = f"c{number}"
    if criterion.has is not None:
        has = criterion.has
        # An event belongs to a patient, whatever the level: on level case, to the case's.
        key = "patient_id" if has.table == "events" else key
        rows = _view_sql(f"{name}_rows", has.table, [key, *has.where])
        counted = (f"{name} as (\n  select r.{key} as {key}, count(*) as n\n  from {name}_rows as r\n"
                   f"  where {all_sql('r', VIEWS[has.table], has.where)}\n  group by r.{key}\n)")  # fmt: skip
        met = f"(coalesce({name}.n, 0) {has.operator} {has.threshold})"
        join = f"left join {name} on {name}.{key} = u.{key}"
        return _Test(step, (rows, counted), (join,), met if included else f"(not {met})")
    where = criterion.where or {}
    table = VIEWS[UNIT_TABLES[criterion.level]]
    default = literal((criterion.if_missing == "pass") == included)
    if criterion.level == recipe.unit:
        met = f"({all_sql('u', table, where)})"
        passes = f"coalesce({met}, {default})"
        return _Test(step, (), (), passes if included else f"(not {passes})", f"({met} is null)")
    rows = _view_sql(f"{name}_rows", table.name, list(where))
    judged = (f"{name} as (\n  select r.{key} as {key}, ({all_sql('r', table, where)}) as met\n"
              f"  from {name}_rows as r\n)")  # fmt: skip
    join = f"left join {name} on {name}.{key} = u.{key}"
    passes = f"coalesce({name}.met, {default})"
    return _Test(step, (rows, judged), (join,), passes if included else f"(not {passes})", f"({name}.met is null)")

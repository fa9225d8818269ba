"""Compiles a recipe to one query: for every unit, which steps it fails, and which of them for a missing value.

The query reads views named ``slides``, ``reports`` and so on, with true values in place of moved ones and numbers in place
of codes. Conditions compare true values; nothing but numbers, masks and what attrition counts by comes out. It uses no
``select *``, no ``qualify``, named columns and aliased tables only, because just that has proved portable between engines.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.model.recipe import Criterion, Inclusion, Index, Recipe
from pathcurate.model.recipe.levels import NUMBERS, numbered
from pathcurate.sqlplan.criteria import Criteria, Parts, bit
from pathcurate.sqlplan.expressions import literal
from pathcurate.sqlplan.permission import permission, spanned
from pathcurate.sqlplan.relations import DAY0, Relations, unit_key

DEMOGRAPHICS = {"sex": "varchar", "age_band": "varchar", "site": "varchar", "year": "bigint"}
"""What attrition counts by, with its SQL type."""
_CODES = {number: code for code, number in NUMBERS.items()}
PLACES = ("specimen", "block")
"""Where in its case a slide is from."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the attrition.

    Attributes:
        id: names the step in the ledger.
        label: for people.
        level: what it is about.
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
        sql: one row per unit; columns: the unit's key, ``case_id`` and ``patient_id`` as numbers, ``specimen`` and ``block``
            (as far as the unit has them), ``slide_count`` (slides behind it), ``case_count`` (of patients), those of
            :data:`DEMOGRAPHICS`, and two numbers of 64 bits: bit n of ``failed`` is set if step n is not passed, bit n of
            ``missing`` if a missing value decided that.
        views: names of the views that it reads.
    """

    steps: tuple[Step, ...]
    sql: str
    views: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """A step as SQL: when it passes (anything but true fails), and when a missing value decided that."""

    step: Step
    passes: str
    missing: str = "false"


def compile_recipe(recipe: Recipe, *, with_permissions: bool) -> Plan:
    """Compile a checked recipe.

    Args:
        recipe: a resolved recipe that ``recipefile.load_recipe`` accepted.
        with_permissions: whether the view ``permissions`` (subject, code, data_kind, opt_out; only what holds today for
            the recipe's purpose) decides step 0; without any configured list, step 0 passes and says so.
    """
    relations, parts = Relations(recipe), Parts()
    view = relations.views[recipe.unit_table]
    parts.own.update(dict.fromkeys((*unit_columns(recipe), *(name for name in DEMOGRAPHICS if name in view))))
    if recipe.unit in {"case", "patient"}:
        parts.own["slide_count"] = None
    criteria = Criteria(relations, parts)
    tests = [_permission(recipe, parts, with_permissions=with_permissions), *_built_in(recipe, parts)]
    tests += [_criterion(criteria, criterion) for criterion in recipe.criteria]
    criteria.finish()
    units = relations.of(recipe.unit_table, parts.own)
    if relations.is_by_event:
        # Only the events that give day 0 are units.
        chosen_here = ", ".join(f"e.{name} as {name}" for name in parts.own)
        units = f"(select {chosen_here} from {units} as e join {DAY0} as i on i.index_key = e.event_no)"
    wanted = unit_columns(recipe)
    chosen = [f"u.{name} as {name}" for name in wanted]
    chosen += [_count(recipe), *(_demographic(relations, name) for name in DEMOGRAPHICS)]
    tested = [f"{test.passes} as ok_{n},\n    {test.missing} as open_{n}" for n, test in enumerate(tests)]
    ctes = [*relations.heads(*parts.ctes, *parts.joins, units), *parts.ctes]
    ctes.append("tested as (\n  select\n    " + ",\n    ".join([*chosen, *tested]) + f"\n  from {units} as u"
                + "".join(f"\n  {join}" for join in dict.fromkeys(parts.joins)) + "\n)")  # fmt: skip
    # Whatever is not known to pass fails: nobody gets in by a missing answer.
    failed = " + ".join(f"case when t.ok_{n} is true then 0 else {bit(n)} end" for n in range(len(tests)))
    missing = " + ".join(
        f"case when t.ok_{n} is not true and t.open_{n} is true then {bit(n)} else 0 end"
        for n, test in enumerate(tests)
        if test.missing != "false"
    )
    names = [*wanted, "slide_count", *DEMOGRAPHICS]
    selected = [f"t.{name} as {_CODES.get(name, name)}" for name in dict.fromkeys(names)]
    selected += [f"cast({failed} as bigint) as failed", f"cast({missing or '0'} as bigint) as missing"]
    sql = "with\n" + ",\n".join(ctes) + "\nselect\n  " + ",\n  ".join(selected) + "\nfrom tested as t\n"
    views = list(relations.used)
    if with_permissions:
        views += ["permissions", *spanned(recipe)]
    return Plan(tuple(test.step for test in tests), sql, tuple(dict.fromkeys(views)))


def unit_columns(recipe: Recipe) -> tuple[str, ...]:
    """Which each unit is and what it belongs to, by number and by place; ``case_count`` of patients."""
    view = Relations(recipe).views[recipe.unit_table]
    owners = [name for name in (unit_key(recipe.unit), "case_id", "patient_id") if name in view]
    places = PLACES if recipe.unit == "slide" else ()
    counted = ("case_count",) if recipe.unit == "patient" else ()
    return (*dict.fromkeys(numbered(owners)), *places, *counted)


def kept_columns(recipe: Recipe) -> tuple[str, ...]:
    """What is known of every unit that is kept: by code and by number who it is and what it belongs to, and its place."""
    view = Relations(recipe).views[recipe.unit_table]
    codes = [name for name in (unit_key(recipe.unit), "case_id", "patient_id", "group_id") if name in view]
    return tuple(dict.fromkeys((*codes, *unit_columns(recipe))))


def _count(recipe: Recipe) -> str:
    if recipe.unit == "slide":
        return "1 as slide_count"
    return "u.slide_count as slide_count" if recipe.unit in {"case", "patient"} else "0 as slide_count"


def _demographic(relations: Relations, name: str) -> str:
    is_there = name in relations.views[relations.recipe.unit_table]
    return f"u.{name} as {name}" if is_there else f"cast(null as {DEMOGRAPHICS[name]}) as {name}"


def _permission(recipe: Recipe, parts: Parts, *, with_permissions: bool) -> _Test:
    if not with_permissions:
        label = "No permission list is configured: nobody was left out"
        return _Test(Step("permission", label, recipe.unit, "permission"), "true")
    passes, missing = permission(recipe, parts)
    step = Step("permission", f"Permitted for {recipe.purpose}, today, and nobody opted out", recipe.unit, "permission")
    return _Test(step, passes, missing)


def _built_in(recipe: Recipe, parts: Parts) -> Iterator[_Test]:
    if recipe.unit == "slide":
        parts.own.update(dict.fromkeys(("status", "tier")))
        yield _Test(Step("readable", "File present and readable", "slide", "built_in"), "(u.status = 'ok')")
        linked = Step("linked", f"Linked to a case ({', '.join(recipe.links)})", "slide", "built_in")
        yield _Test(linked, f"(u.tier in ({', '.join(literal(tier) for tier in recipe.links)}))")
    if recipe.unit == "series":
        parts.own.update(dict.fromkeys(("status",)))
        yield _Test(Step("readable", "Files present and readable", "series", "built_in"), "(u.status = 'ok')")
    if recipe.index is not None and recipe.unit != "event":
        parts.own["patient_no"] = None
        parts.joins.append(f"left join {DAY0} as day_of on day_of.index_key = u.patient_no")
        yield _Test(Step("day_0", f"Has a day 0: {index_words(recipe.index)}", "patient", "built_in"),
                    "(day_of.day0 is not null)")  # fmt: skip


def index_words(index: Index) -> str:
    """What gives day 0, in a few words."""
    which = {"first": "first", "last": "last", "each": "each"}[index.pick]
    return f"{which} {index.date} of {index.table}" + (f" by {', '.join(index.per)}" if index.per else "")


def _criterion(criteria: Criteria, criterion: Criterion) -> _Test:
    included = isinstance(criterion, Inclusion)
    step = Step(criterion.id, criterion.label or criterion.id, criterion.level, "include" if included else "exclude")
    met = criteria.met(criterion)
    if criterion.has is not None:
        return _Test(step, met if included else f"(not {met})")
    default = literal((criterion.if_missing == "pass") == included)
    passes = f"coalesce({met}, {default})"
    return _Test(step, passes if included else f"(not {passes})", f"({met} is null)")

"""Compiles a recipe to one query: for every unit, which steps it fails, and which of them for a missing value.

The query reads views named ``slides``, ``reports`` and so on, with true values in place of moved ones and numbers in place
of codes. Conditions compare true values; nothing but numbers, masks and what attrition counts by comes out. It uses no
``select *``, no ``qualify``, named columns and aliased tables only, because just that has proved portable between engines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pathcurate.model.recipe import Criterion, Inclusion, Index, Recipe
from pathcurate.model.recipe.levels import NUMBERS, PLACES, numbered
from pathcurate.sqlplan.criteria import Criteria, Parts, bit, counted_once
from pathcurate.sqlplan.expressions import literal
from pathcurate.sqlplan.permission import permission, spanned
from pathcurate.sqlplan.relations import DAY0, Relations, unit_key, unit_number

DEMOGRAPHICS = {"sex": "varchar", "age_band": "varchar", "site": "varchar", "year": "bigint"}
"""What attrition counts by, with its SQL type."""
UNLISTED = "No permission list is configured: nobody was left out for want of one"
"""Label of the step that asks for permissions, where nothing says who has one."""
_CODES = {number: code for code, number in NUMBERS.items()}


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
        sql: one row per unit; columns: the unit's key, ``case_id`` and ``patient_id`` as numbers, ``specimen_no`` and
            ``block_no`` (as far as the unit has them), ``slide_count`` (slides behind it), ``case_count`` (of patients),
            those of :data:`DEMOGRAPHICS`, and two numbers of 64 bits: bit n of ``failed`` is set if step n is not passed,
            bit n of ``missing`` if a missing value decided that.
        views: names of the views that it reads.
        rows: the same units by number, only those that pass every step: an engine need not look at all steps of the others.
    """

    steps: tuple[Step, ...]
    sql: str
    views: tuple[str, ...]
    rows: str


@dataclass(frozen=True, slots=True)
class _Test:
    """A step as SQL.

    Attributes:
        step: the step.
        passes: whether it is passed; never null.
        missing: whether a missing value alone decided that it is not; empty where that cannot be.
        kept: true where it is passed, and anything else where it is not.
    """

    step: Step
    passes: str
    missing: str
    kept: str


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
    tested = [
        f"{test.passes} as ok_{n}" + (f",\n    {test.missing} as open_{n}" if test.missing else "")
        for n, test in enumerate(tests)
    ]
    ctes = [*relations.heads(*parts.ctes, *parts.joins, units), *parts.ctes]
    joined = f"  from {units} as u" + "".join(f"\n  {join}" for join in dict.fromkeys(parts.joins))
    rows = _with(ctes, f"select u.{unit_number(recipe.unit)} as {unit_key(recipe.unit)}\n{joined}\n  where "
                 + "\n    and ".join(test.kept for test in tests))  # fmt: skip
    ctes.append("tested as (\n  select\n    " + ",\n    ".join([*chosen, *tested]) + f"\n{joined}\n)")
    failed = " | ".join(f"cast(not t.ok_{n} as bigint) * {bit(n)}" for n in range(len(tests)))
    missing = " | ".join(f"cast(t.open_{n} as bigint) * {bit(n)}" for n, test in enumerate(tests) if test.missing)
    names = [*wanted, "slide_count", *DEMOGRAPHICS]
    selected = [f"t.{name} as {_CODES.get(name, name)}" for name in dict.fromkeys(names)]
    selected += [f"{failed} as failed", f"{missing or bit(None)} as missing"]
    sql = _with(ctes, "select\n  " + ",\n  ".join(selected) + "\nfrom tested as t")
    views = list(relations.used)
    if with_permissions:
        views += ["permissions", *spanned(recipe)]
    return Plan(tuple(test.step for test in tests), sql, tuple(dict.fromkeys(views)), rows)


def _with(ctes: Sequence[str], body: str) -> str:
    return ("with\n" + ",\n".join(ctes) + "\n" if ctes else "") + body + "\n"


def unit_columns(recipe: Recipe) -> tuple[str, ...]:
    """Which each unit is and what it belongs to, by number; ``case_count`` of patients."""
    view = Relations(recipe).views[recipe.unit_table]
    owners = [name for name in (unit_key(recipe.unit), "case_id", "patient_id") if name in view]
    places = PLACES if recipe.unit == "slide" else ()
    counted = ("case_count",) if recipe.unit == "patient" else ()
    return (*dict.fromkeys(numbered(owners)), *places, *counted)


def kept_columns(recipe: Recipe) -> tuple[str, ...]:
    """What is known of every unit that is kept: by code and by number who it is and what it belongs to, and its place."""
    view = Relations(recipe).views[recipe.unit_table]
    codes = [name for name in (unit_key(recipe.unit), "case_id", "patient_id", "group_id") if name in view]
    places = ("specimen", "block") if recipe.unit == "slide" else ()
    return tuple(dict.fromkeys((*codes, *(name for name in unit_columns(recipe) if name not in PLACES), *places)))


def _count(recipe: Recipe) -> str:
    if recipe.unit == "slide":
        return "1 as slide_count"
    return "u.slide_count as slide_count" if recipe.unit in {"case", "patient"} else "0 as slide_count"


def _demographic(relations: Relations, name: str) -> str:
    is_there = name in relations.views[relations.recipe.unit_table]
    return f"u.{name} as {name}" if is_there else f"cast(null as {DEMOGRAPHICS[name]}) as {name}"


def _permission(recipe: Recipe, parts: Parts, *, with_permissions: bool) -> _Test:
    if not with_permissions:
        return _Test(Step("permission", UNLISTED, recipe.unit, "permission"), "true", "", "true")
    passes, missing = permission(recipe, parts)
    step = Step("permission", f"Permitted for {recipe.purpose}, today, and nobody opted out", recipe.unit, "permission")
    return _Test(step, passes, f"({missing} and not {passes})" if recipe.unit == "slide" else "", passes)


def _built_in(recipe: Recipe, parts: Parts) -> Iterator[_Test]:
    if recipe.unit == "slide":
        parts.own.update(dict.fromkeys(("status", "tier")))
        yield _known(Step("readable", "File present and readable", "slide", "built_in"), "u.status = 'ok'")
        linked = Step("linked", f"Linked to a case ({', '.join(recipe.links)})", "slide", "built_in")
        yield _known(linked, f"u.tier in ({', '.join(literal(tier) for tier in recipe.links)})")
    if recipe.unit == "series":
        parts.own.update(dict.fromkeys(("status",)))
        yield _known(Step("readable", "Files present and readable", "series", "built_in"), "u.status = 'ok'")
    if recipe.index is not None and recipe.unit != "event":
        days = f"select i.index_key as patient_no, count(*) as n from {DAY0} as i group by i.index_key"
        parts.ctes.append(f"n0 as (\n  {days}\n)")
        day = counted_once(parts, "patient_no", "n0")
        step = Step("day_0", f"Has a day 0: {index_words(recipe.index)}", "patient", "built_in")
        yield _Test(step, f"({day} is not null)", "", f"({day} >= 1)")


def _known(step: Step, condition: str) -> _Test:
    """A step that a unit without a value does not pass, and nobody calls that missing."""
    return _Test(step, f"coalesce({condition}, false)", "", f"({condition})")


def index_words(index: Index) -> str:
    """What gives day 0, in a few words."""
    which = {"first": "first", "last": "last", "each": "each"}[index.pick]
    return f"{which} {index.date} of {index.table}" + (f" by {', '.join(index.per)}" if index.per else "")


def _criterion(criteria: Criteria, criterion: Criterion) -> _Test:
    included = isinstance(criterion, Inclusion)
    step = Step(criterion.id, criterion.label or criterion.id, criterion.level, "include" if included else "exclude")
    met = criteria.met(criterion)
    if criterion.has is not None:
        passes, kept = (met.sql, met.kept) if included else (f"(not {met.sql})",) * 2
        return _Test(step, passes, "", kept)
    # Whatever is not known to pass fails, unless the recipe says otherwise: nobody gets in by a missing answer.
    if criterion.if_missing == "pass":
        passes = f"coalesce({met.sql}, true)" if included else f"(not coalesce({met.sql}, false))"
        return _Test(step, passes, "", passes)
    passes = f"coalesce({met.sql}, false)" if included else f"(not coalesce({met.sql}, true))"
    return _Test(step, passes, f"({met.sql} is null)", met.kept if included else f"(not {met.sql})")

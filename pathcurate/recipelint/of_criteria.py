"""Rules about criteria: those that contradict each other, those that decide nothing, those that decide too much."""

from collections.abc import Iterator
from itertools import combinations

from pathcurate.model.column import Type
from pathcurate.model.finding import Severity
from pathcurate.model.recipe import Alternative, Condition, Criterion, Has, Missing, Range, Where
from pathcurate.model.recipe.levels import LEVEL_VIEWS
from pathcurate.recipelint import places
from pathcurate.recipelint.meaning import days, interval, where_shut_out, where_takes_in, window_takes_in
from pathcurate.recipelint.places import PlacedCriterion
from pathcurate.recipelint.rule import Hit, KeyPath, Rule, Subject

_WIDTH = {level: place for place, level in enumerate(("slide", "series", "block", "specimen", "case", "event", "patient"))}
"""Levels from the narrowest to the widest."""
_BOUNDS = {
    "age": (0, 130), "age_at_index": (0, 130), "mpp": (0.01, 100), "mpp_x": (0.01, 100), "mpp_y": (0.01, 100),
    "objective_power": (1, 200), "tissue_fraction": (0, 1), "pen_fraction": (0, 1), "percent_low": (0, 100),
    "percent_high": (0, 100), "year": (1900, 2200),
}  # fmt: skip
"""Columns whose values can lie nowhere else: what a condition asks beyond is met by all or by none."""
_COUNTS = ("level_count", "slide_count", "case_count", "report_count", "instance_count", "width", "height", "size_bytes",
           "nodes_positive", "nodes_examined", "file_count")  # fmt: skip
_ALWAYS_THERE = {"cases": ("patient", "case"), "slides": ()}


def _inside(subject: Subject) -> Iterator[Hit]:
    for rows in places.all_rows(subject.recipe):
        path: KeyPath = (*rows.path, "where")
        yield from _of_one_where(rows.where, path)
        offset = rows.where.get("days_from_index")
        if rows.within is not None and isinstance(offset, Range):
            (low, high), (start, end) = interval(offset), days(rows.within)
            if end < low or high < start:
                message = "`within` and `days_from_index` have no day in common"
                yield Hit((*path, "days_from_index"), message, on_key=True)
    for placed in places.rules(subject.recipe):
        yield from _of_one_where(placed.rule.where or {}, (*placed.path, "where"))


def _of_one_where(where: Where, path: KeyPath) -> Iterator[Hit]:
    """Columns of which one follows from the other."""
    age, band = where.get("age"), where.get("age_band")
    if isinstance(age, Range) and band is not None:
        bands = [_ages(str(value)) for value in places.values(band)]
        low, high = interval(age)
        if bands and all(end < low or high < start for start, end in bands):
            yield Hit((*path, "age_band"), "no age of these bands is one that `age` asks for", on_key=True)
    year, day = where.get("year"), where.get("received_date")
    if year is not None and isinstance(day, Range):
        years = Range(min=day.min and getattr(day.min, "year", None), max=day.max and getattr(day.max, "year", None))
        if _no_year(year, years):
            yield Hit((*path, "year"), "no day of this year is one that `received_date` asks for", on_key=True)


def _no_year(one: Condition, years: Range) -> bool:
    """Whether a condition on a year allows none of a range of years."""
    low, high = interval(years)
    if isinstance(one, Range):
        start, end = interval(one)
        return end < low or high < start
    named = [value for value in places.values(one) if isinstance(value, int)]
    return bool(named) and not any(low <= value <= high for value in named)


def _ages(band: str) -> tuple[int, int]:
    low, _, high = band.rstrip("+").partition("-")
    return int(low), int(high) if high else 200


def _pairs(subject: Subject) -> Iterator[tuple[PlacedCriterion, PlacedCriterion]]:
    return combinations(places.criteria(subject.recipe), 2)


def _includes(subject: Subject) -> Iterator[Hit]:
    recipe = subject.recipe
    for one, other in _pairs(subject):
        first, second = one.criterion, other.criterion
        is_open = "pass" in (first.if_missing, second.if_missing)
        if one.part == other.part == "include" and first.level == second.level and not is_open:
            column = where_shut_out(recipe, first.where or {}, second.where or {})
            if column is not None:
                message = f"no {second.level} meets this and `{first.id}` as well"
                yield Hit((*other.path, "where", column), message, on_key=True)


def _excluded(subject: Subject) -> Iterator[Hit]:
    recipe = subject.recipe
    for one, other in _pairs(subject):
        kept, dropped = one.criterion, other.criterion
        if one.part != "include" or other.part != "exclude":
            continue
        if kept.where is not None and dropped.where is not None and kept.level == dropped.level:
            if kept.if_missing == "fail" and where_takes_in(recipe, dropped.where, kept.where):
                yield Hit(other.path, f"everything that `{kept.id}` keeps is dropped here")
        elif kept.has is not None and dropped.has is not None:
            count_some = _counts_some(kept.has) and _counts_some(dropped.has)
            is_wider = count_some and _WIDTH[kept.level] <= _WIDTH[dropped.level]
            if is_wider and _rows_take_in(subject, dropped.has, kept.has):
                yield Hit(other.path, f"everything that `{kept.id}` keeps is dropped here")


def _counts_some(has: Has) -> bool:
    return (has.operator, has.threshold) in {(">=", 1), (">", 0)}


def _rows_take_in(subject: Subject, wide: Has, narrow: Has) -> bool:
    return (
        wide.table == narrow.table
        and wide.text in (None, narrow.text)
        and set(wide.match or ()) <= set(narrow.match or ())
        and (wide.within is None or wide.date == narrow.date)
        and window_takes_in(wide.within, narrow.within)
        and where_takes_in(subject.recipe, wide.where, narrow.where)
    )


def _logic(criterion: Criterion | Alternative) -> dict[str, object]:
    return criterion.model_dump(exclude={"id", "label"})


def _duplicates(subject: Subject) -> Iterator[Hit]:
    for one, other in _pairs(subject):
        if one.part == other.part and _logic(one.criterion) == _logic(other.criterion):
            yield Hit(other.path, f"this asks the same as `{one.criterion.id}`")


def _subsumed(subject: Subject) -> Iterator[Hit]:
    for one, other in _pairs(subject):
        first, second = one.criterion, other.criterion
        if one.part != other.part or first.level != second.level or first.where is None or second.where is None:
            continue
        if first.if_missing != second.if_missing or _logic(first) == _logic(second):
            continue
        is_include = one.part == "include"
        narrow, wide = (first.where, second.where) if is_include else (second.where, first.where)
        # What the second asks was settled by the first.
        if where_takes_in(subject.recipe, wide, narrow):
            yield Hit(other.path, f"`{first.id}` has dropped all whom this could drop")


def _always_met(subject: Subject, view: str, column: str, condition: Condition) -> bool | None:
    """Whether all values of a column meet a condition (true), none (false), or some (None)."""
    declared = subject.views[view][column] if column in subject.views.get(view, ()) else None
    if isinstance(condition, Range):
        bounds = (0, float("inf")) if column in _COUNTS else _BOUNDS.get(column)
        if bounds is None:
            return None
        (low, high), (start, end) = bounds, interval(condition)
        return False if end < low or high < start else True if start <= low and high <= end else None
    named = places.values(condition)
    if declared is None or not named:
        return None
    whole: frozenset[object] = frozenset(declared.values or ((True, False) if declared.type is Type.BOOLEAN else ()))
    return True if whole and whole <= set(named) else None


def _met_by_all(subject: Subject, criterion: Criterion) -> bool | None:
    """Whether all entities that have the values meet a criterion (true), none (false), or some (None)."""
    if criterion.where is not None:
        view = LEVEL_VIEWS[criterion.level]
        found = [_always_met(subject, view, name, condition) for name, condition in criterion.where.items()]
        return False if False in found else True if all(found) else None
    has = criterion.has
    if has is None or has.where or has.text or has.within or has.match or not _counts_some(has):
        return None
    of_slides = has.table == "slides" and subject.recipe.unit == "slide"
    return True if of_slides or criterion.level in _ALWAYS_THERE.get(has.table, ()) else None


def _never_drops(subject: Subject) -> Iterator[Hit]:
    for path, part, criterion in places.criteria(subject.recipe):
        if _met_by_all(subject, criterion) is (part == "include"):
            missing = "" if criterion.has is not None or criterion.if_missing == "pass" else " but those without a value"
            yield Hit(path, f"criterion `{criterion.id}` drops none{missing}")


def _always_drops(subject: Subject) -> Iterator[Hit]:
    for path, part, criterion in places.criteria(subject.recipe):
        if _met_by_all(subject, criterion) is (part == "exclude"):
            yield Hit(path, f"criterion `{criterion.id}` drops all that have a value")


def _missing_drops(subject: Subject) -> Iterator[Hit]:
    for path, part, criterion in places.criteria(subject.recipe):
        if part == "exclude" and criterion.has is None and criterion.if_missing == "fail":
            yield Hit((*path, "if_missing"), f"`{criterion.id}` drops whoever lacks the value too")


def _sql(subject: Subject) -> Iterator[Hit]:
    return (
        Hit((*placed.path, "sql"), "a condition in SQL is not promised to give the same rows on every engine", on_key=True)
        for placed in places.rules(subject.recipe)
        if placed.rule.sql is not None
    )


def _reused(subject: Subject) -> Iterator[Hit]:
    seen = {criterion.id for criterion in subject.recipe.criteria}
    for placed in places.rules(subject.recipe):
        if isinstance(placed.rule, Alternative) and placed.rule.id is not None:
            if placed.rule.id in seen:
                yield Hit((*placed.path, "id"), f"`{placed.rule.id}` names something else already")
            seen.add(placed.rule.id)


def _equal_floats(subject: Subject) -> Iterator[Hit]:
    for path, view, column, condition in places.conditions(subject.recipe):
        is_float = column in subject.views.get(view, ()) and subject.views[view][column].type is Type.FLOAT
        if is_float and places.values(condition):
            yield Hit(path, f"`{column}` is measured, and hardly ever exactly this", on_key=True)


def _icd10_alone(subject: Subject) -> Iterator[Hit]:
    others_exclude = any(
        placed.part == "exclude" and _reads_texts(placed.rule) for placed in places.rules(subject.recipe)
    )  # fmt: skip
    for placed in places.rules(subject.recipe):
        has_twin = any(_reads_texts(sibling) for sibling in placed.siblings) or (placed.part == "exclude" and others_exclude)
        for key, where in (("where", placed.rule.where), ("has", placed.rule.has.where if placed.rule.has else None)):
            if where and "icd10" in where and not isinstance(where["icd10"], Missing) and not has_twin:
                path = (*placed.path, *(("where",) if key == "where" else ("has", "where")), "icd10")
                yield Hit(path, "only `icd10` is asked here, which pathology systems often leave empty", on_key=True)


def _reads_texts(rule: Criterion | Alternative) -> bool:
    """Whether a rule looks at what is understood from the texts, and not at the ICD-10 code."""
    where = (rule.has.where if rule.has is not None else rule.where) or {}
    says = rule.has is not None and rule.has.text is not None
    return "icd10" not in where and (says or any(name.startswith("icdo3_") or name == "concept" for name in where))


def _none(subject: Subject) -> Iterator[Hit]:
    if not subject.recipe.criteria:
        yield Hit(("unit",), f"without criteria every permitted {subject.recipe.unit} is taken")


def _mixed_sides(subject: Subject) -> Iterator[Hit]:
    """Alternatives that another criterion rules out."""
    includes = [
        (one.criterion, one.criterion.where)
        for one in places.criteria(subject.recipe)
        if one.part == "include" and one.criterion.where is not None and one.criterion.if_missing == "fail"
    ]
    for placed in places.rules(subject.recipe):
        if not placed.siblings or placed.part != "include" or placed.rule.where is None:
            continue
        for criterion, where in includes:
            column = where_shut_out(subject.recipe, where, placed.rule.where) if criterion.level == placed.level else None
            if column is not None:
                message = f"`{criterion.id}` lets nobody through who meets this"
                yield Hit((*placed.path, "where", column), message, on_key=True)


RULES = (
    Rule("contradiction_inside", Severity.ERROR, "Conditions that stand together cannot hold together.",
         "Correct one of them.", _inside),
    Rule("includes_contradict", Severity.ERROR, "Two inclusions cannot both be met.",
         "Correct one of them, or make them alternatives with `any_of`.", _includes),
    Rule("include_excluded", Severity.ERROR, "An exclusion drops everything that an inclusion keeps.",
         "Correct one of the two.", _excluded),
    Rule("alternative_ruled_out", Severity.WARNING, "An alternative asks for what an inclusion has ruled out.",
         "Take the alternative away, or widen the inclusion.", _mixed_sides),
    Rule("duplicate_criterion", Severity.WARNING, "Two criteria ask the same.", "Take one of them away.", _duplicates),
    Rule("settled_before", Severity.WARNING, "A criterion asks for less than an earlier one.",
         "Take it away, or tighten it.", _subsumed),
    Rule("never_drops", Severity.WARNING, "A criterion is met by every value that there can be.",
         "Take it away, or ask for `{missing: false}` if only the value must be there.", _never_drops),
    Rule("always_drops", Severity.ERROR, "A criterion can be met by no value, or an exclusion by every one.",
         "Correct the values; mind their unit.", _always_drops),
    Rule("missing_drops", Severity.INFO, "An exclusion drops what has no value as well.",
         "Leave out `if_missing: fail` unless that is meant; the attrition says how many fell so.", _missing_drops),
    Rule("sql_escape", Severity.INFO, "A condition is written in SQL.",
         "Say it with `where`, `has` or `any_of` if that is possible: those run alike on every engine.", _sql),
    Rule("alternative_id_reused", Severity.WARNING, "An alternative has the id of something else.",
         "Give each its own id, so that an explanation can be followed.", _reused),
    Rule("float_equality", Severity.WARNING, "A measured number is compared for equality.",
         "Give a range with `min` and `max`.", _equal_floats),
    Rule("icd10_alone", Severity.WARNING, "A criterion hangs on ICD-10 codes alone.",
         "Add an alternative that reads the report: a concept, or `icdo3_morphology` of the diagnoses.", _icd10_alone),
    Rule("no_criteria", Severity.WARNING, "The recipe has no criteria.",
         "Add `include` or `exclude`, unless the whole archive is meant.", _none),
)  # fmt: skip

"""What a recipe means, in slow plain Python over rows.

Written from the language's description (the docstrings of ``model.recipe`` and ``model.attrition``), not from the SQL.
It takes the recipe as the mapping that stands in the file, so that it shares no code with what it judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]

TABLE = {"slide": "slides", "case": "cases", "patient": "patients"}
KEY = {"slide": "slide_id", "case": "case_id", "patient": "patient_id"}
TOLERANCE = 1e-9
FROM_REPORTS = {"sex", "age", "age_band", "year"}


@dataclass(frozen=True)
class Decision:
    """What became of one unit: the step that it failed first (None if it is kept), and whether for a missing value."""

    step: str | None
    missing: bool = False


@dataclass(frozen=True)
class Answer:
    """Everybody's decision by key, and (id, dropped, missing, slides, cases, patients) of each step, the start first."""

    decisions: Mapping[str, Decision]
    attrition: Sequence[tuple[str, int, int, int, int, int]]


def select(recipe: Mapping[str, Any], tables: Tables, permissions: Sequence[Row] | None, today: date) -> Answer:
    """Decide about every unit.

    Args:
        recipe: as written in the file.
        tables: true rows by table.
        permissions: statements, None if no list is configured.
        today: the day on which statements must be valid.
    """
    unit = recipe["unit"]
    rows = sorted(tables[TABLE[unit]], key=lambda row: row[KEY[unit]])
    criteria = [*(("include", c) for c in recipe.get("include", ())), *(("exclude", c) for c in recipe.get("exclude", ()))]
    steps = ["permission", *(["readable", "linked"] if unit == "slide" else []), *(c["id"] for _, c in criteria)]
    decisions = {}
    for row in rows:
        decisions[row[KEY[unit]]] = _decide(recipe, criteria, row, tables, permissions, today)
    attrition = [("start", 0, 0, *_count(unit, rows))]
    for number, step in enumerate(steps):
        fallen = [decisions[row[KEY[unit]]] for row in rows if decisions[row[KEY[unit]]].step == step]
        later = [None, *steps[number + 1 :]]
        left = [row for row in rows if decisions[row[KEY[unit]]].step in later]
        attrition.append((step, len(fallen), sum(d.missing for d in fallen), *_count(unit, left)))
    return Answer(decisions, attrition)


def _count(unit: str, rows: Sequence[Row]) -> tuple[int, int, int]:
    slides = len(rows) if unit == "slide" else sum(row["slide_count"] for row in rows)
    if unit == "patient":
        cases = sum(row["case_count"] for row in rows)
    else:
        cases = len({row["case_id"] for row in rows if row.get("case_id")})
    return slides, cases, len({row["patient_id"] for row in rows if row.get("patient_id")})


def _decide(
    recipe: Mapping[str, Any],
    criteria: Sequence[tuple[str, Mapping[str, Any]]],
    row: Row,
    tables: Tables,
    permissions: Sequence[Row] | None,
    today: date,
) -> Decision:
    unit = recipe["unit"]
    if permissions is not None and _opted_out(unit, row, tables, permissions):
        return Decision("permission")
    if permissions is not None and not _permitted(recipe, row, permissions, today):
        return Decision("permission", row.get("patient_id") is None)
    if unit == "slide" and row["status"] != "ok":
        return Decision("readable")
    sure = ["exact", "barcode", "metadata", "index", "file_name", "reviewed"]
    if unit == "slide" and row["tier"] not in recipe.get("links", sure):
        return Decision("linked")
    for part, criterion in criteria:
        met = _met(criterion, unit, row, tables)
        unknown_fails = criterion.get("if_missing", "fail" if part == "include" else "pass") == "fail"
        if unknown_fails if met is None else met != (part == "include"):
            return Decision(criterion["id"], missing=met is None)
    return Decision(None)


def _opted_out(unit: str, row: Row, tables: Tables, permissions: Sequence[Row]) -> bool:
    """An opt-out holds always, whatever its dates and purposes; one of a person names the group."""
    out = {(statement["subject"], statement["subject_code"]) for statement in permissions if statement["opt_out"]}
    if any(subject == "population" for subject, _ in out):
        return True
    if ("person", row.get("group_id")) in out:
        return True
    cases = [row]
    if unit == "patient":
        cases = [case for case in tables["cases"] if case["group_id"] == row["group_id"]]
    return any(("case", case.get("case_id")) in out or ("site", case["site"]) in out for case in cases)


def _permitted(recipe: Mapping[str, Any], row: Row, permissions: Sequence[Row], today: date) -> bool:
    names = {"person": row.get("patient_id"), "population": "population"}
    if recipe["unit"] != "patient":
        names |= {"case": row.get("case_id"), "site": row["site"]}
    given = set()
    for statement in permissions:
        starts, ends = statement.get("valid_from"), statement.get("valid_to")
        if (
            not statement["opt_out"]
            and names.get(statement["subject"]) == statement["subject_code"]
            and recipe.get("purpose", "research") in (statement["purposes"] or ())
            and (starts is None or starts <= today)
            and (ends is None or today <= ends)
        ):
            given.update(statement["data_kinds"] or ())
    return needed_kinds(recipe) <= given


def needed_kinds(recipe: Mapping[str, Any]) -> set[str]:
    """Slides for what is on slides, reports for what is on reports, cases and people; sex and age come from reports."""
    touched = [(TABLE[recipe["unit"]], [*recipe["columns"], *(recipe.get("split") or {}).get("stratify", [])])]
    for criterion in (*recipe.get("include", ()), *recipe.get("exclude", ())):
        if "has" in criterion:
            touched.append((criterion["has"]["table"], list(criterion["has"].get("where", {}))))
        else:
            touched.append((TABLE[criterion["level"]], list(criterion["where"])))
    needed = set()
    for table, columns in touched:
        needed.add(table if table in {"slides", "events"} else "reports")
        if table == "slides" and FROM_REPORTS & set(columns):
            needed.add("reports")
        if table in {"cases", "patients"} and "slide_count" in columns:
            needed.add("slides")
    return needed


def _met(criterion: Mapping[str, Any], unit: str, row: Row, tables: Tables) -> bool | None:
    level = criterion["level"]
    entity = row.get(KEY[level])
    if "has" in criterion:
        has = criterion["has"]
        # An event is its patient's, and so counts for every case of theirs.
        key = "patient_id" if has["table"] == "events" else KEY[level]
        entity = row.get(key)
        mine = [other for other in tables[has["table"]] if entity is not None and other.get(key) == entity]
        count = sum(_all(has.get("where", {}), other) is True for other in mine)
        return _compare(count, has.get("count", ">=1"))
    if level == unit:
        return _all(criterion["where"], row)
    for other in tables[TABLE[level]]:
        if entity is not None and other[KEY[level]] == entity:
            return _all(criterion["where"], other)
    return None


def _compare(count: int, condition: str) -> bool:
    for sign, met in ((">=", int.__ge__), ("<=", int.__le__), (">", int.__gt__), ("=", int.__eq__)):
        if condition.startswith(sign):
            return bool(met(count, int(condition.removeprefix(sign))))
    raise AssertionError(condition)


def _all(where: Mapping[str, Any], row: Row) -> bool | None:
    """And in three values: no beats unknown, unknown beats yes."""
    answers = [_holds(row.get(column), condition) for column, condition in where.items()]
    if False in answers:
        return False
    return None if None in answers else True


def _holds(value: Any, condition: Any) -> bool | None:
    if isinstance(condition, dict) and "missing" in condition:
        return (value is None) == condition["missing"]
    if value is None:
        return None
    if not isinstance(condition, dict):
        return _equal(value, condition)
    if "any_of" in condition:
        return any(_equal(value, one) for one in condition["any_of"])
    slack = TOLERANCE if isinstance(value, float) else 0
    low, high = condition.get("min"), condition.get("max")
    above = low is None or (value >= _as_date(low) if isinstance(value, date) else value >= low - slack)
    below = high is None or (value <= _as_date(high) if isinstance(value, date) else value <= high + slack)
    return above and below


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, float):
        return abs(value - wanted) <= TOLERANCE
    if isinstance(value, date):
        return bool(value == _as_date(wanted))
    return bool(value == wanted)


def _as_date(text: Any) -> date:
    return text if isinstance(text, date) else date.fromisoformat(text)

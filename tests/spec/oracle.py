"""What a recipe means, in slow plain Python over rows.

Written from the language's description (the docstrings of ``model.recipe`` and ``model.attrition``), not from the SQL.
It takes the recipe as the mapping that stands in the file, so that it shares no code with what it judges. What becomes of
those who are kept is in ``outcomes_oracle``.
"""

import calendar
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
Answers = Mapping[str, Callable[[Row], bool | None]]
"""What each ``sql`` condition of a test says of a row, by its text."""

TABLE = {"slide": "slides", "case": "cases", "patient": "patients", "series": "series", "event": "events"}
KEY = {"slide": "slide_id", "case": "case_id", "patient": "patient_id", "series": "series_id", "event": "event_id"}
DATE = {
    "reports": "reported_date", "cases": "received_date", "events": "date", "series": "study_date",
    "slides": "scan_datetime", "materials": "made_date", "diagnoses": "reported_date", "ihc_results": "reported_date",
    "report_concepts": "reported_date",
}  # fmt: skip
LEVELS = {
    "slide": ("slides", "blocks", "specimens", "cases", "patients"), "case": ("slides", "cases", "patients"),
    "patient": ("slides", "cases", "patients"), "series": ("series", "cases", "patients"), "event": ("events", "patients"),
}  # fmt: skip
OF_REPORTS = ("diagnoses", "ihc_results", "report_concepts")
SURE = ("exact", "barcode", "metadata", "index", "file_name", "reviewed")
CURRENT = "c" * 64
"""What the drawn tables say of a mention that was found by the patterns that the recipe has now."""
TOLERANCE = 1e-9
FROM_REPORTS = {"sex", "age", "age_band", "year", "age_at_index"}
SPECIMEN_COLUMNS = ("organ", "laterality", "behaviour", "icd10", "icdo3_topography", "icdo3_morphology", "grade", "pt", "pn",
                    "pm")  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """What became of one unit: the step that it failed first (None if it is kept), and whether for a missing value."""

    step: str | None
    missing: bool = False


@dataclass(frozen=True)
class Answer:
    """Everybody's decision by key, and (id, dropped, missing, counts by level) of each step, the start first."""

    decisions: Mapping[str, Decision]
    attrition: Sequence[tuple[str, int, int, Mapping[str, int]]]


@dataclass(frozen=True)
class Day:
    """A day 0: of which row, whose, when, and on which side of the body."""

    row: Row
    patient: str
    on: date
    side: str | None


def select(
    recipe: Mapping[str, Any], tables: Tables, permissions: Sequence[Row] | None, today: date, sql: Answers | None = None
) -> Answer:
    """Decide about every unit.

    Args:
        recipe: as written in the file.
        tables: true rows by table.
        permissions: statements, None if no list is configured.
        today: the day on which statements must be valid.
        sql: what the recipe's ``sql`` conditions say.
    """
    return Oracle(recipe, tables, permissions, today, sql or {}).answer()


class Oracle:
    """Knows a recipe and the true rows."""

    def __init__(
        self, recipe: Mapping[str, Any], tables: Tables, permissions: Sequence[Row] | None, today: date, sql: Answers
    ) -> None:
        self.recipe, self.tables, self.unit = recipe, tables, recipe["unit"]
        self._permissions, self._today, self._sql = permissions, today, sql
        self.days = list(self._days())
        rows = sorted(tables[TABLE[self.unit]], key=lambda row: row[KEY[self.unit]])
        if self.unit == "event":
            chosen = {day.row["event_id"] for day in self.days}
            rows = [row for row in rows if row["event_id"] in chosen]
        self.units = rows

    def answer(self) -> Answer:
        """Everybody's decision, and the attrition."""
        parts = [(part, one) for part in ("include", "exclude") for one in self.recipe.get(part, ())]
        steps = ["permission", *([] if self.unit not in {"slide", "series"} else ["readable"]),
                 *(["linked"] if self.unit == "slide" else []),
                 *(["day_0"] if "index" in self.recipe and self.unit != "event" else []),
                 *(one["id"] for _, one in parts)]  # fmt: skip
        key = KEY[self.unit]
        decisions = {row[key]: self._decide(parts, row) for row in self.units}
        attrition = [("start", 0, 0, self._count(self.units))]
        for number, step in enumerate(steps):
            fallen = [decisions[row[key]] for row in self.units if decisions[row[key]].step == step]
            later = [None, *steps[number + 1 :]]
            left = [row for row in self.units if decisions[row[key]].step in later]
            attrition.append((step, len(fallen), sum(one.missing for one in fallen), self._count(left)))
        return Answer(decisions, attrition)

    def _count(self, rows: Sequence[Row]) -> Mapping[str, int]:
        of_cases = [row for row in rows if row.get("case_id")]
        slides = len(rows) if self.unit == "slide" else sum(row.get("slide_count") or 0 for row in rows)
        cases = sum(row["case_count"] for row in rows) if self.unit == "patient" else len({r["case_id"] for r in of_cases})
        placed = [row for row in of_cases if row.get("block")]
        counts = {
            "slides": slides, "cases": cases, "patients": len({row["patient_id"] for row in rows if row.get("patient_id")}),
            "specimens": len({(row["case_id"], row["specimen"]) for row in of_cases if row.get("specimen")}),
            "blocks": len({(row["case_id"], row.get("specimen"), row["block"]) for row in placed}),
            "series": len(rows), "events": len(rows),
        }  # fmt: skip
        return {level: counts[level] for level in LEVELS[self.unit]}

    def _decide(self, parts: Sequence[tuple[str, Mapping[str, Any]]], row: Row) -> Decision:
        if self._permissions is not None and (self._opted_out(row) or not self.permitted(row)):
            is_nobodys = self.unit == "slide" and row.get("patient_id") is None
            return Decision("permission", is_nobodys and not self._opted_out(row))
        if self.unit in {"slide", "series"} and row["status"] != "ok":
            return Decision("readable")
        if self.unit == "slide" and row["tier"] not in self.recipe.get("links", SURE):
            return Decision("linked")
        day = self.day_of(row)
        if "index" in self.recipe and day is None:
            return Decision("day_0")
        for part, criterion in parts:
            met = self._met(criterion, criterion["level"], row, day)
            unknown_fails = criterion.get("if_missing", "fail" if part == "include" else "pass") == "fail"
            if unknown_fails if met is None else met != (part == "include"):
                return Decision(criterion["id"], missing=met is None)
        return Decision(None)

    # --- permission ------------------------------------------------------------------------------------------------

    def may_go(self, row: Row) -> bool:
        """Whether a row of a unit's patient may go out for itself: it may be of another case or site."""
        if self._permissions is None:
            return True
        out = {(one["subject"], one["subject_code"]) for one in self._permissions if one["opt_out"]}
        subjects = {"person": row.get("group_id"), "case": row.get("case_id"), "site": row.get("site")}
        return self.permitted(row) and not any((subject, code) in out for subject, code in subjects.items())

    def _opted_out(self, row: Row) -> bool:
        """An opt-out holds always, whatever its dates and purposes; one of a person names the group."""
        out = {(one["subject"], one["subject_code"]) for one in self._permissions or () if one["opt_out"]}
        if any(subject == "population" for subject, _ in out):
            return True
        if ("person", row.get("group_id")) in out or ("site", row.get("site")) in out:
            return True
        cases = [row]
        if self.unit in {"patient", "event"}:
            cases = [case for case in self.tables["cases"] if case["group_id"] == row["group_id"]]
        return any(("case", case.get("case_id")) in out or ("site", case["site"]) in out for case in cases)

    def permitted(self, row: Row) -> bool:
        """Whether every kind of data that the recipe touches is permitted, for whoever the row belongs to."""
        names = {"person": row.get("patient_id"), "population": "population"}
        if self.unit not in {"patient", "event"}:
            names |= {"case": row.get("case_id"), "site": row.get("site")}
        given = set()
        for one in self._permissions or ():
            starts, ends = one.get("valid_from"), one.get("valid_to")
            if (
                not one["opt_out"]
                and names.get(one["subject"]) == one["subject_code"]
                and self.recipe.get("purpose", "research") in (one["purposes"] or ())
                and (starts is None or starts <= self._today)
                and (ends is None or self._today <= ends)
            ):
                given.update(one["data_kinds"] or ())
        return needed_kinds(self.recipe) <= given

    # --- day 0 -----------------------------------------------------------------------------------------------------

    def _days(self) -> Iterator[Day]:
        """The first or last row of each patient by its true date, the smallest id of several; for events each, or by
        side or code."""
        index = self.recipe.get("index")
        if index is None:
            return
        table, key = index["table"], {**KEY, "report": "report_id", "material": "material_id"}
        id_ = key[next(level for level in key if table.startswith(level))]
        found: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.tables[table]:
            if row.get("patient_id") is None or row.get(index["date"]) is None:
                continue
            if self.conditions_met(table, index.get("where", {}), row, None) is not True:
                continue
            if "text" in index and not self._says(row, index["text"]):
                continue
            told_apart = [id_] if index.get("pick") == "each" else index.get("per", [])
            found.setdefault((row["patient_id"], *(row.get(name) for name in told_apart)), []).append(row)
        for rows in found.values():
            rows.sort(key=lambda row: row[id_])
            pick = max if index.get("pick") == "last" else min
            best = pick(row[index["date"]] for row in rows)
            chosen = next(row for row in rows if row[index["date"]] == best)
            yield Day(chosen, chosen["patient_id"], best, chosen.get("laterality"))

    def day_of(self, row: Row) -> Day | None:
        """The unit's day 0."""
        for day in self.days:
            if day.row["event_id"] == row["event_id"] if self.unit == "event" else day.patient == row.get("patient_id"):
                return day
        return None

    def _age(self, patient: str | None, day: Day | None) -> int | None:
        """Whole years at day 0: by the birth date, else by the age given with the case received last."""
        if day is None or patient is None:
            return None
        born = next((one.get("birth_date") for one in self.tables["patients"] if one["patient_id"] == patient), None)
        if born is not None:
            return day.on.year - born.year - ((born.month, born.day) > (day.on.month, day.on.day))
        told = [one for one in self.tables["cases"] if one["patient_id"] == patient and one.get("age") is not None
                and one.get("received_date") is not None]  # fmt: skip
        if not told:
            return None
        last = max(one["received_date"] for one in told)
        case = min((one for one in told if one["received_date"] == last), key=lambda one: one["case_id"])
        return int(case["age"]) + math.floor((day.on - last).days / 365.2425)

    # --- criteria --------------------------------------------------------------------------------------------------

    def _met(self, criterion: Mapping[str, Any], level: str, row: Row, day: Day | None) -> bool | None:
        if "any_of" in criterion:
            answers = [self._met(one, one.get("level", level), row, day) for one in criterion["any_of"]]
            return True if True in answers else None if None in answers else False
        if "has" in criterion:
            has = criterion["has"]
            return compare(len(self.rows(has, level, row, day)), has.get("count", ">=1"))
        table = {**TABLE, "specimen": "specimens", "block": "blocks"}[level]
        entity = self._entity(level, row)
        if entity is None:
            return None
        if "sql" in criterion:
            return self._sql[criterion["sql"]]({**entity, "age_at_index": self._age(entity.get("patient_id"), day)})
        return self.conditions_met(table, criterion["where"], entity, day)

    def _entity(self, level: str, row: Row) -> Row | None:
        if level == self.unit:
            return row
        if level in {"specimen", "block"}:
            return self._place(level, row)
        mine = (one for one in self.tables[TABLE[level]] if row.get(KEY[level]) is not None)
        return next((one for one in mine if one[KEY[level]] == row[KEY[level]]), None)

    def _place(self, level: str, row: Row) -> Row | None:
        """A specimen is what slides or diagnosis lines name; it has what its lines say where they agree."""
        keys = ("case_id", "specimen") if level == "specimen" else ("case_id", "specimen", "block")
        if any(row.get(key) is None for key in keys):
            return None
        slides = [one for one in self.tables["slides"] if all(one.get(key) == row[key] for key in keys)]
        made = {**{key: row[key] for key in keys}, "slide_count": len(slides), "patient_id": row["patient_id"]}
        mine = (line for line in self.tables["diagnoses"] if line["case_id"] == row["case_id"])
        lines = [line for line in mine if letter(line.get("specimen")) in {None, row["specimen"]}]
        for name in SPECIMEN_COLUMNS:
            said = {line[name] for line in lines if line.get(name) is not None}
            made[name] = said.pop() if len(said) == 1 else None
        return made

    def rows(self, has: Mapping[str, Any], level: str, unit: Row, day: Day | None) -> list[Row]:
        """The rows that belong to the unit's entity of a level and meet all conditions."""
        table, where = has["table"], has.get("where", {})
        return [
            row
            for row in self.tables[table]
            if self._belongs(has, level, unit, row)
            and self.conditions_met(table, where, row, day) is True
            and ("text" not in has or self._says(row, has["text"]))
            and self.near(table, has, row, day)
        ]

    def near(self, table: str, has: Mapping[str, Any], row: Row, day: Day | None) -> bool:
        """Whether a row lies in the window around day 0, and on its side."""
        if "laterality" in has.get("match", ()) and (day is None or not same_side(row.get("laterality"), day.side)):
            return False
        return "within" not in has or inside(has["within"], self.value(table, row, has.get("date", DATE[table]), day), day)

    def _belongs(self, has: Mapping[str, Any], level: str, unit: Row, row: Row) -> bool:
        table, match = has["table"], has.get("match", ())
        if level == "event" or (level == "case" and table in {"events", "series"}):
            level = "patient"
        keys = {
            "own": [KEY[self.unit]], "patient": ["patient_id"], "case": ["case_id"], "slide": ["slide_id"],
            "specimen": ["case_id"], "block": ["case_id", "block"],
        }[level]  # fmt: skip
        keys += ["case_id"] if {"specimen", "block"} & set(match) else []
        keys += ["block"] if "block" in match else []
        if any(unit.get(key) is None or row.get(key) != unit[key] for key in keys):
            return False
        if level not in {"specimen", "block"} and "specimen" not in match:
            return True
        return self.same_specimen(table, unit, row)

    def same_specimen(self, table: str, unit: Row, row: Row) -> bool:
        """What reports say without a specimen holds for all of the case's; who names none agrees where there is but one."""
        if table not in OF_REPORTS:
            return unit.get("specimen") is not None and row.get("specimen") == unit["specimen"]
        if unit.get("specimen") is not None:
            return letter(row.get("specimen")) in {None, unit["specimen"]}
        named = {letter(one.get("specimen")) for one in self.tables[table] if one["case_id"] == unit["case_id"]} - {None}
        return len(named) <= 1

    def _says(self, row: Row, concept: str) -> bool:
        """Whether the row's report says a concept as its assertion asks; what was found by other patterns does not count."""
        asked = self.recipe["concepts"][concept].get("assertion", "affirmed")
        return any(
            one["report_id"] == row["report_id"] and one["concept"] == concept and one["concept_sha"] == CURRENT
            and asked in {"any", one["assertion"]}
            for one in self.tables["report_concepts"]
        )  # fmt: skip

    # --- conditions ------------------------------------------------------------------------------------------------

    def value(self, table: str, row: Row, column: str, day: Day | None) -> Any:
        """What a column says; what reports say has the report's date."""
        if column in {"reported_date", "received_date"} and table in OF_REPORTS:
            return next(one.get(column) for one in self.tables["reports"] if one["report_id"] == row["report_id"])
        if column == "specimen" and table in OF_REPORTS:
            return letter(row.get(column))
        if column == "age_at_index":
            return self._age(row.get("patient_id"), day)
        if column == "days_from_index":
            on = self.value(table, row, DATE[table], day)
            return (on - day.on).days if on is not None and day is not None else None
        return row.get(column)

    def conditions_met(self, table: str, where: Mapping[str, Any], row: Row, day: Day | None) -> bool | None:
        """Whether a row meets all conditions; None where a missing value leaves that open."""
        return _all([self.meets(table, row, column, condition, day) for column, condition in where.items()])

    def meets(self, table: str, row: Row, column: str, condition: Any, day: Day | None) -> bool | None:
        """Whether a row's column meets a condition; a code of events is on a list only if it is of the list's system."""
        met = self.holds(self.value(table, row, column, day), condition)
        if table == "events" and column == "code" and isinstance(condition, dict) and "codelist" in condition:
            system = self.recipe["codelists"][condition["codelist"]]["system"].removesuffix("-cn")
            return _all([met, self.holds(row.get("code_system"), system)])
        return met

    def holds(self, value: Any, condition: Any) -> bool | None:
        """Whether a value meets a condition; None where it is missing."""
        if isinstance(condition, dict) and "missing" in condition:
            return (value is None) == condition["missing"]
        if value is None:
            return None
        if not isinstance(condition, dict):
            return _equal(value, condition)
        if "any_of" in condition:
            return any(_equal(value, one) for one in condition["any_of"])
        if "codelist" in condition:
            return on_list(value, self.recipe["codelists"][condition["codelist"]])
        slack = TOLERANCE if isinstance(value, float) else 0
        low, high = condition.get("min"), condition.get("max")
        above = low is None or (value >= _as_date(low) if isinstance(value, date) else value >= low - slack)
        below = high is None or (value <= _as_date(high) if isinstance(value, date) else value <= high + slack)
        return above and below


def _all(answers: Sequence[bool | None]) -> bool | None:
    """No beats unknown, unknown beats yes."""
    if False in answers:
        return False
    return None if None in answers else True


def needed_kinds(recipe: Mapping[str, Any]) -> set[str]:
    """The kinds of data that a recipe touches; sex and age come from reports, numbers of slides from slides."""
    needed = set()
    for table, columns in _touched(recipe):
        kind = {"slides": "slides", "blocks": "slides", "annotations": "slides", "materials": "slides", "series": "series",
                "events": "events"}.get(table, "reports")  # fmt: skip
        needed.add(kind)
        if kind != "reports" and table not in {"annotations", "materials", "blocks"} and (
            FROM_REPORTS if table == "slides" else {"age_at_index"}
        ) & set(columns):  # fmt: skip
            needed.add("reports")
        if kind == "reports" and "slide_count" in columns:
            needed.add("slides")
    return needed


def _touched(recipe: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    own, split, sample = TABLE[recipe["unit"]], recipe.get("split") or {}, recipe.get("sample") or {}
    drawn_by = [name.removeprefix("-") for cap in sample.get("per", ()) for name in cap.get("order", ())]
    drawn_by += sample.get("balance", {}).get("by", ())
    yield own, [*recipe.get("columns", ()), *split.get("stratify", ()), *drawn_by]
    for where in split.get("hold_out", {}).values():
        yield own, list(where)
    for table, output in recipe.get("tables", {}).items():
        yield table, [*output["columns"], *output.get("where", ())]
    tabled = [recipe["index"]] if "index" in recipe else []
    criteria = [*recipe.get("include", ()), *recipe.get("exclude", ())]
    while criteria:
        one = criteria.pop()
        criteria += [{"level": one["level"], **other} for other in one.get("any_of", ())]
        tabled += [one["has"]] if "has" in one else []
        if "where" in one or "sql" in one:
            table = {**TABLE, "specimen": "specimens", "block": "blocks"}[one["level"]]
            yield table, list(one["where"]) if "where" in one else re.findall(r"[a-z_]+", one["sql"])
    for label in recipe.get("labels", ()):
        table, _, column = label.get("column", "annotations.label" if "from" in label else "").partition(".")
        if table:
            yield table, [column, *label.get("where", ())]
        timed = label.get("time_to_event", {})
        tabled += [*([label["has"]] if "has" in label else []), *timed.values()]
        if "nearest" in label:
            tabled.append(label["nearest"])
            yield label["nearest"]["table"], [label["nearest"]["column"]]
    for rows in tabled:
        yield rows["table"], list(rows.get("where", ()))
        if "text" in rows:
            yield "reports", []


def compare(count: int, condition: str) -> bool:
    """Whether a number meets a condition on a count."""
    for sign, met in ((">=", int.__ge__), ("<=", int.__le__), (">", int.__gt__), ("=", int.__eq__)):
        if condition.startswith(sign):
            return bool(met(count, int(condition.removeprefix(sign))))
    raise AssertionError(condition)


def letter(specimen: str | None) -> str | None:
    """Reports count specimens by number or letter, slides by letter."""
    if specimen is None or not specimen.isdigit() or not 1 <= int(specimen) <= 26:
        return specimen
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[int(specimen) - 1]


def same_side(row: str | None, index: str | None) -> bool:
    """What shows both sides, or has no side, agrees with each; a missing side with none."""
    sides = {"L": "L", "left": "L", "R": "R", "right": "R", "B": "LR", "U": "LR", "bilateral": "LR"}
    return row is not None and index is not None and bool(set(sides[row]) & set(sides[index]))


def inside(window: Mapping[str, str], on: date | None, day: Day | None) -> bool:
    """Whether a date lies in a window around day 0, both ends included."""
    if on is None or day is None:
        return False
    after = "from" not in window or on >= moved(day.on, window["from"])
    return after and ("to" not in window or on <= moved(day.on, window["to"]))


def moved(on: date, duration: str) -> date:
    """A day so much later; months are those of the calendar, and end on the last day of a shorter month."""
    found = re.fullmatch(r"([+-]?\d+)(d|w|mo|y)", duration)
    assert found is not None
    number, unit = int(found[1]), found[2]
    if unit in {"d", "w"}:
        return on + timedelta(days=number * (7 if unit == "w" else 1))
    months = on.year * 12 + on.month - 1 + number * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(on.day, calendar.monthrange(year, month + 1)[1]))


def on_list(code: str, codelist: Mapping[str, Any]) -> bool:
    """Exact, or below a code: beginning like it, dots aside. Chinese editions write x small or large."""
    plain = code.replace(".", "").upper()

    def listed(codes: Sequence[str], *, below: bool) -> bool:
        if below:
            return any(plain.startswith(one.replace(".", "").upper()) for one in codes)
        chinese = codelist["system"].endswith("-cn")
        return any(code.upper() == one.upper() if chinese else code == one for one in codes)

    below = codelist.get("match") == "descendants"
    return listed(codelist["codes"], below=below) and not listed(codelist.get("without", ()), below=below)


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, float):
        return abs(value - wanted) <= TOLERANCE
    if isinstance(value, date):
        return bool(value == _as_date(wanted))
    return bool(value == wanted)


def _as_date(text: Any) -> date:
    return text if isinstance(text, date) else date.fromisoformat(text)

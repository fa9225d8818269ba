"""What becomes of those whom the criteria keep, in slow plain Python: labels, caps, balance, and what else goes out."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from oracle import DATE, KEY, OF_REPORTS, SURE, TABLE, Day, Oracle, Row, compare, inside, same_side

PERSONAL = ("events", "series", "patients")
OWNER = {"of_patients": "patient_id", "of_cases": "case_id", "of_slides": "slide_id"}


class Outcomes:
    """What a recipe makes of the units that its criteria keep.

    Attributes:
        falls: the tail step at which a unit falls, by key.
        labels: columns of labels by name, and by key of the units that were left when the label was asked for.
        kept: the units that are left, with their labels.
    """

    def __init__(self, oracle: Oracle) -> None:
        self._oracle, self._recipe = oracle, oracle.recipe
        self._key = KEY[oracle.unit]
        decisions = oracle.answer().decisions
        self.kept: list[dict[str, Any]] = [dict(row) for row in oracle.units if decisions[row[self._key]].step is None]
        self.falls: dict[str, str] = {}
        self.labels: dict[str, dict[str, Any]] = {}
        for label in self._recipe.get("labels", ()):
            self._label(label)
        sample = self._recipe.get("sample", {})
        for number, cap in enumerate(sample.get("per", ()), 1):
            self._cap(f"sample_cap_{number}", cap)
        if "balance" in sample:
            self._balance(sample["balance"], sample.get("seed", self._recipe["name"]))

    def _drop(self, step: str, keys: set[str]) -> None:
        self.falls |= dict.fromkeys(sorted(keys), step)
        self.kept = [row for row in self.kept if row[self._key] not in keys]

    # --- labels ----------------------------------------------------------------------------------------------------

    def _label(self, label: Mapping[str, Any]) -> None:
        name, level, falls = label["name"], label["level"], set()
        prefix = f"{level}_" if self._oracle.unit == "slide" and level in {"case", "patient"} else ""
        names = [f"{name}_days", f"{name}_event"] if "time_to_event" in label else [name, f"{name}_days"]
        columns = {prefix + one: dict[str, Any]() for one in names[: 2 if {"time_to_event", "nearest"} & set(label) else 1]}
        for row in self.kept:
            day = self._oracle.day_of(row)
            values, conflict = self._values(label, row, day)
            for column, value in zip(columns, values, strict=True):
                row[column] = columns[column][row[self._key]] = value
            value = values[1] if "time_to_event" in label else values[0]
            is_out = (conflict and label.get("on_conflict", "drop") == "drop") or (
                value is None and label.get("if_missing") == "fail"
            )
            falls |= {row[self._key]} if is_out else set()
        self.labels |= columns
        if label.get("on_conflict", "drop") == "drop" or label.get("if_missing") == "fail":
            self._drop(f"label_{name}", falls)

    def _values(self, label: Mapping[str, Any], row: Row, day: Day | None) -> tuple[Sequence[Any], bool]:
        oracle, level = self._oracle, label["level"]
        if "has" in label:
            has = label["has"]
            return [compare(len(oracle.rows(has, level, row, day)), has.get("count", ">=1"))], False
        if "time_to_event" in label:
            return self._time_to_event(label["time_to_event"], level, row, day), False
        if "nearest" in label:
            return self._nearest(label, row, day), False
        table, _, column = label.get("column", "annotations.label").partition(".")
        said = []
        for one in oracle.rows({"table": table, "where": label.get("where", {})}, self._level_of(table, level), row, day):
            value = self._class(label, table, one, column, day)
            if value is not None and self._stands(table, one):
                on = oracle.value(table, one, DATE[table], day) if table in DATE else None
                key = one.get("report_id") if table in OF_REPORTS else one[_key_of(table)]
                said.append((on, str(key), one.get("ordinal") or 0, value))
        # The latest stands for all: the smallest id of those of one day, those without a date last.
        said.sort(key=lambda one: (one[0] is None, -(one[0].toordinal() if one[0] else 0), one[1], one[2]))
        return [said[0][3] if said else None], len({one[3] for one in said}) > 1

    def _level_of(self, table: str, level: str) -> str:
        """An event's own row is that of its level; what it has of other tables is its patient's."""
        return "own" if TABLE.get(level) == table and level == self._oracle.unit else level

    def _stands(self, table: str, row: Row) -> bool:
        """Reports that another has replaced, or that were withdrawn, give no label."""
        if table != "reports" and table not in OF_REPORTS:
            return True
        report = next(one for one in self._oracle.tables["reports"] if one["report_id"] == row["report_id"])
        return report.get("is_current") is not False and report["status"] != "withdrawn"

    def _class(self, label: Mapping[str, Any], table: str, row: Row, column: str, day: Day | None) -> Any:
        if "classes" not in label:
            return self._oracle.value(table, row, column, day)
        for name, condition in label["classes"].items():
            wanted = {"any_of": condition} if isinstance(condition, list) else condition
            if self._oracle.meets(table, row, column, wanted, day) is True:
                return name
        return None

    def _time_to_event(self, times: Mapping[str, Any], level: str, row: Row, day: Day | None) -> Sequence[Any]:
        assert day is not None
        days = {}
        for which in ("event", "censor"):
            rows = times[which]
            column = rows.get("date", DATE[rows["table"]])
            found = [self._oracle.value(rows["table"], one, column, day)
                     for one in self._oracle.rows(rows, level, row, day)]  # fmt: skip
            days[which] = [(on - day.on).days for on in found if on is not None and on >= day.on]
        if days["event"]:
            return min(days["event"]), True
        return (max(days["censor"]), False) if days["censor"] else (None, None)

    def _nearest(self, label: Mapping[str, Any], row: Row, day: Day | None) -> Sequence[Any]:
        nearest, oracle = label["nearest"], self._oracle
        assert day is not None
        table, direction, found = nearest["table"], nearest.get("direction", "either"), []
        for one in oracle.rows(nearest, label["level"], row, day):
            on = oracle.value(table, one, DATE[table], day)
            value = self._class(label, table, one, nearest["column"], day)
            if on is None or value is None or not self._stands(table, one):
                continue
            days = (on - day.on).days
            if (direction == "before" and days > 0) or (direction == "after" and days < 0):
                continue
            found.append((abs(days), on, one.get("report_id") if table in OF_REPORTS else one[_key_of(table)],
                          one.get("ordinal") or 0, value, days))  # fmt: skip
        return min(found)[4:] if found else (None, None)

    # --- sample ----------------------------------------------------------------------------------------------------

    def _cap(self, step: str, cap: Mapping[str, Any]) -> None:
        keys = {"patient": ["patient_id"], "case": ["case_id"], "specimen": ["case_id", "specimen"],
                "block": ["case_id", "specimen", "block"]}[cap["level"]]  # fmt: skip
        owners: dict[tuple[Any, ...], list[Row]] = {}
        for row in sorted(self.kept, key=lambda row: row[self._key]):
            owner = tuple(row.get(key) for key in keys)
            if None not in owner:
                owners.setdefault(owner, []).append(row)
        falls = set()
        for rows in owners.values():
            for name in reversed(cap.get("order", ())):
                column = name.removeprefix("-")
                there = [row for row in rows if row.get(column) is not None]
                there.sort(key=lambda row, column=column: row[column], reverse=name.startswith("-"))
                rows[:] = [*there, *(row for row in rows if row.get(column) is None)]
            falls |= {row[self._key] for row in rows[cap["max"] :]}
        self._drop(step, falls)

    def _balance(self, balance: Mapping[str, Any], seed: str) -> None:
        groups: dict[tuple[Any, ...], list[str]] = {}
        for row in self.kept:
            groups.setdefault(tuple(row.get(name) for name in balance["by"]), []).append(row[self._key])
        falls = set()
        for keys in groups.values():
            keys.sort(key=lambda key: hashlib.md5((key + seed).encode(), usedforsecurity=False).hexdigest())
            falls |= set(keys[balance["max"] :])
        self._drop("sample_balance", falls)

    # --- what goes out ---------------------------------------------------------------------------------------------

    def rows_of(self, table: str) -> list[tuple[Any, ...]]:
        """Key of each row of another table that goes out, the event for whose day 0 it was taken, and days from that."""
        oracle, output = self._oracle, self._recipe["tables"][table]
        keys = ("report_id", "ordinal") if table in OF_REPORTS else (_key_of(table),)
        has_case = oracle.unit in {"slide", "case", "series"}
        default = "of_cases" if has_case and table not in PERSONAL else "of_patients"
        if table == "annotations" and oracle.unit == "slide":
            default = "of_slides"
        owner = OWNER[output.get("rows", default)]
        is_by_event = oracle.unit == "event" and "index_event_id" in output["columns"]
        found = set()
        for row in oracle.tables[table]:
            if owner == "patient_id" and not oracle.may_go(row):
                continue
            if not self._may_go(table, row):
                continue
            for unit in self.kept:
                day = oracle.day_of(unit) if oracle.unit == "event" else self._day(row)
                if (
                    row.get(owner) is None
                    or row[owner] != unit.get(owner)
                    or not self._agrees(table, output, row, unit, day)
                ):
                    continue
                days = [oracle.value(table, row, "days_from_index", day)] if "days_from_index" in output["columns"] else []
                found.add((*(row[key] for key in keys), *([unit["event_id"]] if is_by_event else []), *days))
        return sorted(found, key=str)

    def _day(self, row: Row) -> Day | None:
        return next((day for day in self._oracle.days if day.patient == row.get("patient_id")), None)

    def _agrees(self, table: str, output: Mapping[str, Any], row: Row, unit: Row, day: Day | None) -> bool:
        match = output.get("match", ())
        if self._oracle.conditions_met(table, output.get("where", {}), row, day) is not True:
            return False
        if "within" in output and not inside(output["within"], self._oracle.value(table, row, DATE[table], day), day):
            return False
        if "laterality" in match and not (day is not None and same_side(row.get("laterality"), day.side)):
            return False
        if {"specimen", "block"} & set(match) and row.get("case_id") != unit.get("case_id"):
            return False
        if "block" in match and (unit.get("block") is None or row.get("block") != unit["block"]):
            return False
        return "specimen" not in match or self._oracle.same_specimen(table, unit, row)

    def _may_go(self, table: str, row: Row) -> bool:
        """A slide or report goes out only as it could be a unit, or stand for its case, itself."""
        if table == "slides":
            return row["status"] == "ok" and row["tier"] in self._recipe.get("links", SURE)
        return table != "reports" or row["status"] != "withdrawn"


def _key_of(table: str) -> str:
    return {"series": "series_id"}.get(table, f"{table.removesuffix('s')}_id")

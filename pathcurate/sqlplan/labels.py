"""Labels as SQL: for every unit that is kept, what its label is and which row said so."""

from collections.abc import Sequence
from dataclasses import dataclass

from pathcurate.model.deidentified import CRITERIA_TABLES
from pathcurate.model.recipe import Condition, Label, Recipe, Rows, TimeToEvent
from pathcurate.model.recipe.levels import DATES, LEVEL_KEYS, OF_REPORTS, PERSONAL, numbered
from pathcurate.sqlplan.criteria import FROM_DAY0, Criteria, Parts, belongs, looks_at_index
from pathcurate.sqlplan.expressions import all_sql, condition_sql, literal
from pathcurate.sqlplan.relations import DAY0, INDEX_KEY, Relations, same_specimen, unit_number

KEPT = "kept"
"""The view of the units that are kept: their numbers and codes, ``specimen`` and ``block`` as far as they have them."""


def label_sql(recipe: Recipe, label: Label) -> tuple[str, tuple[str, ...]]:
    """The query of one label, and the views that it reads beside :data:`KEPT`.

    Its columns are the unit's number, ``value``, ``report_id`` and ``ordinal`` of the row that said it (missing where there
    is no report), ``is_conflict`` and, for what looks at day 0, ``days``. A unit without a row has no label; of ``has`` and
    ``time_to_event`` it has false, and nothing.
    """
    writer = _Labels(recipe)
    body = writer.write(label)
    ctes = writer.relations.heads(body)
    head = f"with {', '.join(ctes)}\n" if ctes else ""
    return head + body, tuple(writer.relations.used)


@dataclass(frozen=True, slots=True)
class _Dated:
    """Rows with day 0 beside them.

    Attributes:
        source: what stands behind ``from``.
        condition: what the rows must meet.
        date: the column with the row's date.
        owner: whose a row is.
        unit: the column of the units that says the same.
    """

    source: str
    condition: str
    date: str
    owner: str
    unit: str


class _Labels:
    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.relations = Relations(recipe)
        self._criteria = Criteria(self.relations, Parts())
        self._key = unit_number(recipe.unit)

    def write(self, label: Label) -> str:
        if label.has is not None:
            keys = self._criteria.keys(label.has, label.level)
            counted = self._criteria.counted(label.has, keys)
            on = belongs(label.has, keys, "n", "k")
            return (
                f"select k.{self._key} as {self._key}, coalesce(n.n, 0) {label.has.operator} {label.has.threshold} as value,"
                f" cast(null as varchar) as report_id, cast(null as bigint) as ordinal, false as is_conflict"
                f" from {KEPT} as k left join ({counted}) as n on {on}"
            )
        if label.time_to_event is not None:
            return self._time_to_event(label.time_to_event, label.level)
        if label.nearest is not None:
            return self._nearest(label)
        table, _, column = (label.column or "annotations.label").partition(".")
        return self._said(label, table, column)

    def _value(self, table: str, column: str, classes: dict[str, Condition] | None) -> tuple[str, str]:
        """The label that a row gives, null where it gives none; and what is joined to the row for it."""
        view = self.relations.views[table]
        declared = view[column]
        if classes is None:
            if table not in CRITERIA_TABLES or column not in CRITERIA_TABLES[table]:
                return f"r.{column}", ""
            # The true value would go out with the label: classes compare with it, and only the moved one is shown.
            self.relations.used[f"{table}_deid"] = None
            on = " and ".join(f"v.{key} = r.{key}" for key in view.key)
            return f"v.{column}", f" join {table}_deid as v on {on}"
        lists = self.recipe.codelists or {}
        cases = " ".join(
            f"when {condition_sql('r', declared, condition, lists)} then {literal(name)}"
            for name, condition in classes.items()
        )
        return f"case {cases} end", ""

    def _said(self, label: Label, table: str, column: str) -> str:
        """What rows of the entity say; the latest of them stands for all, and others that say something else conflict."""
        by_specimen = label.level == "specimen"
        view, where = self.relations.views[table], label.where or {}
        # An event has its own row, and of all else what its patient has: around its own day 0, if that is asked.
        is_others = label.level == "event" and table != "events"
        is_patients = is_others or (label.level == "case" and table in PERSONAL)
        keys = numbered(key for key in LEVEL_KEYS["patient" if is_patients else label.level] if key != "specimen")
        by_unit = self.relations.is_by_event and keys == ("patient_no",) and not FROM_DAY0.isdisjoint(where)
        owners = {key: f"r.{key}" for key in keys} | ({"event_no": f"r.{INDEX_KEY}"} if by_unit else {})
        date = DATES.get(table, "")
        has_report, has_ordinal = "report_id" in view, "ordinal" in view
        wanted = [*keys, column, *where, *(("specimen",) if by_specimen else ()), *((date,) if date else ())]
        wanted += [*(("report_id",) if has_report else ()), *(("ordinal",) if has_ordinal else ()), *view.key,
                   *(("report_no",) if has_report else ())]  # fmt: skip
        source = f"{self.relations.of(table, wanted, by_unit=by_unit)} as r" + self._current(table)
        value, shown = self._value(table, column, dict(label.classes) if label.classes is not None else None)
        source += shown
        report = "r.report_id" if has_report else "cast(null as varchar)"
        ordinal = "r.ordinal" if has_ordinal else "cast(null as bigint)"
        chosen = [*(f"{owner} as {key}" for key, owner in owners.items()), f"{value} as value", f"{report} as report_id",
                  f"{ordinal} as ordinal", f"{f'r.{date}' if date else 'cast(null as date)'} as said_on",
                  f"r.{view.key[0]} as row_key"]  # fmt: skip
        if by_specimen:
            chosen.append("r.specimen as specimen")
        met = all_sql("r", view, where, self.recipe.codelists or {})
        rows = f"select {', '.join(chosen)} from {source} where {met}"
        on = " and ".join(f"s.{key} = k.{key}" for key in owners)
        counted, agrees = "", ""
        if by_specimen:
            # All lines of the case, whichever of them count: one that does not may be the one about this slide.
            counted = f" left join {self.relations.named_specimens(table)} as c on c.case_no = k.case_no"
            agrees = f" and {same_specimen('s.specimen', 'k.specimen', 'c.named')}"
        found = (
            f"select k.{self._key} as {self._key}, s.value as value, s.report_id as report_id, s.ordinal as ordinal,"
            f" row_number() over (partition by k.{self._key} order by s.said_on desc nulls last, s.row_key, s.ordinal)"
            f" as place, min(s.value) over (partition by k.{self._key}) as low,"
            f" max(s.value) over (partition by k.{self._key}) as high"
            f" from {KEPT} as k join ({rows}) as s on {on}{counted} where s.value is not null{agrees}"
        )
        return (
            f"select f.{self._key} as {self._key}, f.value as value, f.report_id as report_id, f.ordinal as ordinal,"
            f" f.low <> f.high as is_conflict from ({found}) as f where f.place = 1"
        )

    def _current(self, table: str) -> str:
        """Reports that another has replaced, or that were withdrawn, give no label."""
        if table != "reports" and table not in OF_REPORTS:
            return ""
        standing = self.relations.of("reports", ("report_no", "is_current", "status"))
        return (
            f" join (select p.report_no as report_no from {standing} as p"
            f" where coalesce(p.is_current, true) and p.status <> 'withdrawn') as q on q.report_no = r.report_no"
        )

    def _dated(self, rows: Rows, level: str, columns: Sequence[str] = ()) -> _Dated:
        """Rows with day 0 beside them, of each patient, or of each unit where the label is of less than a patient."""
        date = rows.date or DATES[rows.table]
        keys = [key for key in self._criteria.keys(rows, level) if key not in {"patient_no", "event_no"}]
        source, condition = self._criteria.source(rows, ("patient_no", date, *columns, *keys))
        if not looks_at_index(rows):
            source += f" join {DAY0} as i on i.patient_no = r.patient_no"
        if not keys:
            return _Dated(source, condition, date, f"i.{INDEX_KEY}", self.relations.index_key)
        source += f" join {KEPT} as e on e.{self.relations.index_key} = i.{INDEX_KEY}"
        agrees = {key: f"r.{key} = e.{key}" for key in keys}
        if "specimen" in keys and rows.table in OF_REPORTS:
            source += f" left join {self.relations.named_specimens(rows.table)} as c on c.case_no = e.case_no"
            agrees["specimen"] = same_specimen("r.specimen", "e.specimen", "c.named")
        return _Dated(source, " and ".join([condition, *agrees.values()]), date, f"e.{self._key}", self._key)

    def _time_to_event(self, times: TimeToEvent, level: str) -> str:
        """Days from day 0 to the first event from then on; without one, to the last day on which the patient was seen."""
        joins = ""
        for name, rows, which in (("e", times.event, "min"), ("c", times.censor, "max")):
            dated = self._dated(rows, level)
            joins += (
                f" left join (select {dated.owner} as owner, {which}(date_diff('day', i.day0, r.{dated.date})) as days"
                f" from {dated.source} where {dated.condition} and r.{dated.date} >= i.day0 group by {dated.owner})"
                f" as {name} on {name}.owner = k.{dated.unit}"
            )
        return (
            f"select k.{self._key} as {self._key}, case when e.days is not null then true"
            f" when c.days is not null then false end as value, coalesce(e.days, c.days) as days,"
            f" cast(null as varchar) as report_id, cast(null as bigint) as ordinal, false as is_conflict"
            f" from {KEPT} as k{joins}"
        )

    def _nearest(self, label: Label) -> str:
        nearest = label.nearest
        if nearest is None:  # pragma: no cover  the caller looked
            raise ValueError("the label has no `nearest`")
        rows = Rows.model_construct(
            table=nearest.table,
            where=nearest.where,
            text=None,
            within=nearest.within,
            date=None,
            match=nearest.match,
        )
        view = self.relations.views[nearest.table]
        has_report = ("report_no",) if "report_id" in view else ()
        dated = self._dated(rows, label.level, (nearest.column, *view.key, *has_report))
        source, date = dated.source + self._current(nearest.table), dated.date
        side = {"before": f" and r.{date} <= i.day0", "after": f" and r.{date} >= i.day0", "either": ""}[nearest.direction]
        value, shown = self._value(nearest.table, nearest.column, dict(label.classes) if label.classes is not None else None)
        source += shown
        report = "r.report_id" if "report_id" in view.key else "cast(null as varchar)"
        found = (
            f"select {dated.owner} as owner, {value} as value, date_diff('day', i.day0, r.{date}) as days,"
            f" r.{date} as said_on, {report} as report_id, {', '.join(f'r.{key} as key_{key}' for key in view.key)}"
            f" from {source} where {dated.condition}{side}"
        )
        order = ", ".join(["abs(n.days)", "n.said_on", *(f"n.key_{key}" for key in view.key)])
        return (
            f"select k.{self._key} as {self._key}, f.value as value, f.days as days, f.report_id as report_id,"
            f" cast(null as bigint) as ordinal, false as is_conflict from {KEPT} as k join (select n.owner as owner,"
            f" n.value as value, n.days as days, n.report_id as report_id,"
            f" row_number() over (partition by n.owner order by {order}) as place from ({found}) as n"
            f" where n.value is not null) as f on f.owner = k.{dated.unit} and f.place = 1"
        )

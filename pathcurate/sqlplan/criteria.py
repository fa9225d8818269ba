"""Criteria as SQL: for each, what it needs before the query, how it is joined, and when it is met."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pathcurate.model.column import Table
from pathcurate.model.recipe import Alternative, Criterion, Has, Rows
from pathcurate.model.recipe.levels import (
    AGE_AT_INDEX,
    DAYS_FROM_INDEX,
    LEVEL_KEYS,
    LEVEL_VIEWS,
    OF_REPORTS,
    PERSONAL,
    numbered,
)
from pathcurate.sqlplan.expressions import all_sql, literal, moved
from pathcurate.sqlplan.relations import DAY0, INDEX_KEY, Relations, date_of, same_side, same_specimen, with_code_system

FROM_DAY0 = frozenset({AGE_AT_INDEX.name, DAYS_FROM_INDEX.name})
"""Columns that are reckoned from day 0."""


@dataclass(slots=True)
class Parts:
    """What a query is put together from.

    Attributes:
        ctes: common table expressions in order.
        joins: what is joined to the units, which are called ``u``.
        counts: by key, the expressions that count something for each entity of that key alone; all of one key are joined at
            once, because a join of all units costs more than what it brings.
        own: columns of the units' own view that are needed.
        answers: by level, the conditions that are answered for each of its entities: name to SQL over ``r``.
        needed: by level, the columns that those look at.
    """

    ctes: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    counts: dict[str, list[str]] = field(default_factory=dict)
    own: dict[str, None] = field(default_factory=dict)
    answers: dict[str, dict[str, str]] = field(default_factory=dict)
    needed: dict[str, dict[str, None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Met:
    """When a criterion is met.

    Attributes:
        sql: true where it is, false where it is not, null where a missing value leaves it open.
        kept: true where it is, and anything else where it is not; an engine can begin with what a plain condition keeps.
    """

    sql: str
    kept: str


class Criteria:
    """Writes criteria for one recipe.

    Args:
        relations: of the recipe.
        parts: collects what the criteria need.
    """

    def __init__(self, relations: Relations, parts: Parts) -> None:
        self._relations, self._parts = relations, parts
        self._recipe = relations.recipe
        self._number = 0

    def met(self, criterion: Criterion | Alternative, level: str | None = None) -> Met:
        """When a criterion is met."""
        level = criterion.level or level or self._recipe.unit
        if criterion.has is not None:
            return self._has(criterion.has, level)
        if criterion.any_of is not None:
            every = [self.met(one, level) for one in criterion.any_of]
            sql, kept = (" or ".join(texts) for texts in ([one.sql for one in every], [one.kept for one in every]))
            return Met(f"({sql})", f"({kept})")
        view = self._relations.views[LEVEL_VIEWS[level]]
        is_own = level == self._recipe.unit
        alias = "u" if is_own else "r"
        if criterion.where is not None:
            columns: Sequence[str] = with_code_system(view.name, criterion.where)
            sql = f"({all_sql(alias, view, criterion.where, self._recipe.codelists or {})})"
        else:
            columns, condition = escaped(criterion.sql or "", view, alias)
            sql = f"({condition})"
        if is_own:
            self._parts.own.update(dict.fromkeys(columns))
            return Met(sql, sql)
        name = self._name("c")
        self._parts.answers.setdefault(level, {})[name] = sql
        self._parts.needed.setdefault(level, {}).update(dict.fromkeys(columns))
        return Met(f"at_{level}.{name}", f"at_{level}.{name}")

    def _name(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number}"

    def _has(self, has: Has, level: str) -> Met:
        name = self._name("n")
        keys = self.keys(has, level)
        self._parts.ctes.append(f"{name} as (\n  {self.counted(has, keys)}\n)")
        if len(keys) == 1:
            count = counted_once(self._parts, keys[0], name)
        else:
            self._parts.joins.append(f"left join {name} on {belongs(has, keys, name, 'u')}")
            self._parts.own.update(dict.fromkeys(keys))
            count = f"{name}.n"
        compared = f"{has.operator} {has.threshold}"
        # Where some are asked for, an entity of which nothing was counted is out without further ado.
        asks_for_some = has.operator in {">", ">=", "="} and has.threshold + (has.operator == ">") > 0
        sql = f"(coalesce({count}, 0) {compared})"
        return Met(sql, f"({count} {compared})" if asks_for_some else sql)

    def keys(self, rows: Rows, level: str) -> tuple[str, ...]:
        """The columns by which rows belong to the entity of a unit."""
        of_patient = level == "event" or (level == "case" and rows.table in PERSONAL)
        keys = numbered(LEVEL_KEYS["patient" if of_patient else level])
        matched = [name for name in ("specimen", "block") if name in (rows.match or ()) and name not in keys]
        if matched:
            keys = (*(("case_no",) if "case_no" not in keys else ()), *keys, *matched)
        # Where each unit has a day 0 of its own, so has what was counted around it.
        return (*keys, "event_no") if self._relations.is_by_event and looks_at_index(rows) else keys

    def counted(self, rows: Rows, keys: Sequence[str]) -> str:
        """How many rows each entity has: columns ``keys`` and ``n``."""
        if _asks_for_words_alone(rows) and set(keys) <= {"case_no", "patient_no"}:
            chosen, grouped = ", ".join(f"m.{key} as {key}" for key in keys), ", ".join(f"m.{key}" for key in keys)
            said = self._relations.mentions(rows.text or "", keys)
            return f"select {chosen}, count(*) as n from {said} as m group by {grouped}"
        source, condition = self.source(rows, keys)
        places = {key: "i.index_key" if key == "event_no" else f"r.{key}" for key in keys}
        if "specimen" in keys and rows.table in OF_REPORTS:
            places["specimen"] = "w.specimen"
            agree = same_specimen("r.specimen", "w.specimen", "w.named")
            source += f" join {self._places(rows.table)} as w on w.case_no = r.case_no and {agree}"
        chosen = ", ".join(f"{place} as {key}" for key, place in places.items())
        return f"select {chosen}, count(*) as n from {source} where {condition} group by {', '.join(places.values())}"

    def _places(self, table: str) -> str:
        """The specimens of slides, and slides without one, with the number of those that a table's rows name."""
        slides, named = self._relations.of("slides", ("case_no", "specimen")), self._relations.named_specimens(table)
        return (
            f"(select distinct s.case_no as case_no, s.specimen as specimen, c.named as named from {slides} as s"
            f" left join {named} as c on c.case_no = s.case_no where s.case_no is not null)"
        )

    def source(self, rows: Rows, columns: Sequence[str]) -> tuple[str, str]:
        """What stands behind ``from`` (the rows as ``r``, day 0 as ``i``), and the condition that rows must meet."""
        relations = self._relations
        view = relations.views[rows.table]
        by_unit = relations.is_by_event and not FROM_DAY0.isdisjoint(rows.where)
        needed = [name for name in columns if name != "event_no" or rows.table == "events"]
        source, conditions = "", [all_sql("r", view, rows.where, self._recipe.codelists or {})]
        if rows.text is not None:
            needed.append("report_no")
            source += f" join {relations.mentions(rows.text)} as m on m.report_no = r.report_no"
        if looks_at_index(rows):
            needed.append("patient_no")
            same_day = f" and i.{INDEX_KEY} = r.{INDEX_KEY}" if by_unit else ""
            source += f" join {DAY0} as i on i.patient_no = r.patient_no{same_day}"
        if rows.within is not None:
            date = date_of(rows)
            needed.append(date)
            conditions += [
                f"r.{date} {sign} {moved('i.day0', end)}"
                for sign, end in ((">=", rows.within.start), ("<=", rows.within.end))
                if end is not None
            ]
        if "laterality" in (rows.match or ()):
            needed.append("laterality")
            conditions.append(same_side("r.laterality", "i.side"))
        relation = relations.of(rows.table, (*needed, *rows.where), by_unit=by_unit)
        return f"{relation} as r{source}", " and ".join(conditions)

    def finish(self) -> None:
        """Write what was counted, one join for each key, and what is asked of entities of other levels, one pass each."""
        for key, names in self._parts.counts.items():
            every = " union all ".join(
                f"select c.{key} as {key}, "
                + ", ".join(f"{'c.n' if name == one else 'cast(null as bigint)'} as {name}" for name in names)
                + f" from {one} as c"
                for one in names
            )
            summed = ", ".join(f"max(k.{name}) as {name}" for name in names)
            whole = f"select k.{key} as {key}, {summed} from ({every}) as k group by k.{key}"
            self._parts.ctes.append(f"of_{key} as (\n  {whole}\n)")
            self._parts.joins.append(f"left join of_{key} on of_{key}.{key} = u.{key}")
            self._parts.own[key] = None
        for level, answers in self._parts.answers.items():
            keys = numbered(LEVEL_KEYS[level])
            needed = self._parts.needed[level]
            by_unit = self._relations.is_by_event and not FROM_DAY0.isdisjoint(needed)
            rows = self._relations.of(LEVEL_VIEWS[level], (*keys, *needed), by_unit=by_unit)
            places = {key: f"r.{key}" for key in keys} | ({"event_no": f"r.{INDEX_KEY}"} if by_unit else {})
            keys = tuple(places)
            chosen = ", ".join(f"{sql} as {name}" for name, sql in (places | answers).items())
            self._parts.ctes.append(f"at_{level} as (\n  select {chosen} from {rows} as r\n)")
            on = " and ".join(f"at_{level}.{key} = u.{key}" for key in keys)
            self._parts.joins.append(f"left join at_{level} on {on}")
            self._parts.own.update(dict.fromkeys(keys))


def counted_once(parts: Parts, key: str, name: str) -> str:
    """The column, beside each unit, with what the expression ``name`` counts (columns ``key`` and ``n``) for its entity."""
    parts.counts.setdefault(key, []).append(name)
    return f"of_{key}.{name}"


def escaped(text: str, view: Table, alias: str) -> tuple[tuple[str, ...], str]:
    """The columns that a checked ``sql`` condition names, and the condition with ``alias`` before each of them."""
    # Few recipes have one, and a parser of SQL is slow to load.
    from sqlglot import exp  # noqa: PLC0415

    from pathcurate.sqlcondition import parse_condition  # noqa: PLC0415

    expression = parse_condition(text, view).copy()
    named = list(expression.find_all(exp.Column))
    for column in named:
        column.set("table", exp.to_identifier(alias))
    return tuple(dict.fromkeys(column.name for column in named)), expression.sql(dialect="duckdb")


def looks_at_index(rows: Rows) -> bool:
    """Whether rows are looked at from day 0."""
    return rows.within is not None or "laterality" in (rows.match or ()) or not FROM_DAY0.isdisjoint(rows.where)


def _asks_for_words_alone(rows: Rows) -> bool:
    """Whether only a report's words decide: then where these stand is enough, and the report itself need not be read."""
    return (
        rows.table == "reports" and rows.text is not None
        and not rows.where and not rows.match and not looks_at_index(rows)
    )  # fmt: skip


def belongs(rows: Rows, keys: Sequence[str], counted: str, unit: str) -> str:
    """On what rows that were counted for entities are joined to units; what reports say was counted for no specimen too."""
    is_said = rows.table in OF_REPORTS
    return " and ".join(
        f"coalesce({counted}.{key}, '') = coalesce({unit}.{key}, '')"
        if key == "specimen" and is_said
        else f"{counted}.{key} = {unit}.{key}"
        for key in keys
    )


def bit(number: int | None) -> str:
    """The value of a bit as a 64-bit literal; of none, 0."""
    return f"cast({literal(0 if number is None else 1 << number)} as bigint)"

"""Relations of a recipe's query: a view's columns with true values in place of the de-identified ones, and day 0.

Everything here is text to stand behind ``from``, over views named ``slides``, ``reports`` and so on: tables with true
values in place of moved ones and numbers beside codes (:mod:`pathcurate.cohort.whole`). A view of levels below the case is
made of others: see :mod:`pathcurate.model.recipe.levels`.
"""

from collections.abc import Iterable, Sequence

from pathcurate.model.deidentified import DEID_TABLES, VIEWS
from pathcurate.model.recipe import Index, Recipe, Rows, Unit
from pathcurate.model.recipe.levels import (
    AGE_AT_INDEX,
    BLOCKS,
    DATES,
    DAYS_FROM_INDEX,
    LEVEL_KEYS,
    NUMBERS,
    OF_REPORTS,
    SPECIMEN_COLUMNS,
    SPECIMENS,
    recipe_views,
)
from pathcurate.sqlplan.expressions import all_sql, literal
from pathcurate.text.conceptdigest import concept_sha

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_REPORT_DATE = "reported_date"
INDEX_KEY = "index_key"
DAY0 = "day0"
AGES = "ages"
SIDES = {"left": ("L", "left"), "right": ("R", "right")}
"""How each side of the body is written: DICOM's letter (PS3.3 C.7.3.1) and the word of reports and events."""
_BOTH = ("B", "U", "bilateral")


class Relations:
    """Makes relations for one recipe, and remembers what they read.

    Attributes:
        recipe: the recipe.
        views: what a recipe may name.
        used: names of the views of files that were read, in the order of their first use.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.views = recipe_views(has_index=recipe.index is not None)
        self.used: dict[str, None] = {}

    @property
    def is_by_event(self) -> bool:
        """Whether each unit has a day 0 of its own."""
        return self.recipe.unit == "event"

    @property
    def index_key(self) -> str:
        """The column of the units by which their day 0 is found."""
        return "event_no" if self.is_by_event else "patient_no"

    def of(self, name: str, columns: Iterable[str], *, by_unit: bool = False) -> str:
        """A view with these columns, as a subquery in parentheses.

        Args:
            name: the view.
            columns: its columns.
            by_unit: each row once for each day 0 of its patient, and ``index_key`` of that, where units have their own.
        """
        wanted = (*with_code_system(name, columns), *((INDEX_KEY,) if by_unit else ()))
        if name == SPECIMENS.name:
            return self._specimens(wanted)
        if name == BLOCKS.name:
            return self._blocks(wanted)
        table = DEID_TABLES[name]
        # In the order in which they need one another.
        joins = {"i": f"join {DAY0} as i on i.patient_no = d.patient_no"} if by_unit else {}
        own_day = self.index_key if name == "events" else "patient_no"
        place = f"i.{INDEX_KEY}" if by_unit else f"d.{own_day}"
        chosen = []
        for column in wanted:
            if name in OF_REPORTS and column not in table and column in VIEWS["reports"]:
                joins["r"] = f"left join {self._file('reports')} as r on r.report_no = d.report_no"
                chosen.append(f"r.{column} as {column}")
            elif column == INDEX_KEY:
                chosen.append(f"i.{column} as {column}")
            elif column == AGE_AT_INDEX.name:
                joins["a"] = f"left join {AGES} as a on a.index_key = {place}"
                chosen.append(f"a.{column} as {column}")
            elif column == DAYS_FROM_INDEX.name:
                joins.setdefault("i", f"left join {DAY0} as i on i.index_key = {place}")
                date = f"d.{DATES[name]}"
                if name in OF_REPORTS:
                    joins["r"] = f"left join {self._file('reports')} as r on r.report_no = d.report_no"
                    date = f"r.{_REPORT_DATE}"
                chosen.append(f"date_diff('day', i.day0, {date}) as {column}")
            elif column == "specimen" and name in OF_REPORTS and column in table:
                chosen.append(f"{_letter('d.specimen')} as specimen")
            else:
                chosen.append(f"d.{column} as {column}")
        joined = "".join(f" {join}" for join in joins.values())
        return f"(select {', '.join(chosen)} from {self._file(name)} as d{joined})"

    def _file(self, view: str) -> str:
        self.used[view] = None
        return view

    def _specimens(self, wanted: Sequence[str]) -> str:
        """Specimens that slides or diagnosis lines name; a line that names none speaks of all specimens of its case."""
        said = [name for name in wanted if name in SPECIMEN_COLUMNS]
        lines, slides = self._file("diagnoses"), self._file("slides")
        found = (
            "select n.case_no as case_no, n.specimen as specimen, min(n.patient_no) as patient_no,"
            " min(n.case_id) as case_id, min(n.patient_id) as patient_id, min(n.group_id) as group_id,"
            " sum(n.is_slide) as slide_count from ("
            "select s.case_no as case_no, s.specimen as specimen, s.patient_no as patient_no, s.case_id as case_id,"
            f" s.patient_id as patient_id, s.group_id as group_id, 1 as is_slide from {slides} as s union all"
            f" select l.case_no as case_no, {_letter('l.specimen')} as specimen, l.patient_no as patient_no,"
            f" l.case_id as case_id, l.patient_id as patient_id, l.group_id as group_id, 0 as is_slide from {lines} as l"
            ") as n where n.case_no is not null and n.specimen is not null group by n.case_no, n.specimen"
        )
        if not said:
            return f"(select {', '.join(f'f.{name} as {name}' for name in wanted)} from ({found}) as f)"
        least = ", ".join(f"min(l.{name}) as low_{name}, max(l.{name}) as high_{name}" for name in said)
        own = (f"select l.case_no as case_no, {_letter('l.specimen')} as specimen, {least} from {lines} as l"
               f" where l.specimen is not null group by l.case_no, {_letter('l.specimen')}")  # fmt: skip
        common = (f"select l.case_no as case_no, {least} from {lines} as l where l.specimen is null"
                  f" group by l.case_no")  # fmt: skip
        chosen = [
            f"case when least(o.low_{name}, c.low_{name}) = greatest(o.high_{name}, c.high_{name})"
            f" then least(o.low_{name}, c.low_{name}) end as {name}"
            if name in said
            else f"f.{name} as {name}"
            for name in wanted
        ]
        return (
            f"(select {', '.join(chosen)} from ({found}) as f"
            f" left join ({own}) as o on o.case_no = f.case_no and o.specimen = f.specimen"
            f" left join ({common}) as c on c.case_no = f.case_no)"
        )

    def _blocks(self, wanted: Sequence[str]) -> str:
        chosen = ", ".join(f"b.{name} as {name}" for name in wanted)
        return (
            f"(select {chosen} from (select s.case_no as case_no, s.specimen as specimen, s.block as block,"
            f" min(s.patient_no) as patient_no, min(s.case_id) as case_id, min(s.patient_id) as patient_id,"
            f" min(s.group_id) as group_id, count(*) as slide_count from {self._file('slides')} as s"
            f" where s.case_no is not null and s.specimen is not null and s.block is not null"
            f" group by s.case_no, s.specimen, s.block) as b)"
        )

    def named_specimens(self, table: str) -> str:
        """How many specimens the rows of a table name in each case: columns ``case_no`` and ``named``."""
        rows = self.of(table, ("case_no", "specimen"))
        return f"(select n.case_no as case_no, count(distinct n.specimen) as named from {rows} as n group by n.case_no)"

    def mentions(self, concept: str, columns: Sequence[str] = ()) -> str:
        """Reports that say a concept, as its assertion asks, and whose they are."""
        declared = (self.recipe.concepts or {})[concept]
        asserted = "" if declared.assertion == "any" else f" and m.assertion = {literal(declared.assertion)}"
        return (
            f"(select distinct {', '.join(f'm.{name} as {name}' for name in ('report_no', *columns))}"
            f" from {self._file('report_concepts')} as m"
            f" where m.concept = {literal(concept)} and m.concept_sha = {literal(concept_sha(declared))}{asserted})"
        )

    # --- Day 0 ---------------------------------------------------------------------------------------------------------

    def heads(self, *texts: str) -> list[str]:
        """The common table expressions that texts of a query look at: ``day0``, and ``ages``, which are counted from it."""
        index, everything = self.recipe.index, "\n".join(texts)
        if index is None:
            return []
        # Either name stands alone in SQL; in a text of the recipe it would only bring one that is not needed.
        ages = [f"{AGES} as (\n  {self._ages()}\n)"] if f" {AGES} " in everything else []
        return [f"{DAY0} as (\n  {self._day0(index)}\n)", *ages] if ages or f" {DAY0} " in everything else []

    def _day0(self, index: Index) -> str:
        """One row per patient, or per event: ``index_key``, ``patient_no``, ``day0``, ``side``."""
        table = self.views[index.table]
        key = NUMBERS.get(table.key[0], table.key[0])
        side = "laterality" if "laterality" in table else ""
        per = index.per or ()
        rows = self.of(
            index.table, (key, "patient_no", index.date, *per, *index.where, *((side,) if side else ()),
                          *(("report_no",) if index.text else ())),
        )  # fmt: skip
        said = f" join {self.mentions(index.text)} as m on m.report_no = r.report_no" if index.text else ""
        met = all_sql("r", table, index.where, self.recipe.codelists or {})
        chosen = f"r.{key if self.is_by_event else 'patient_no'} as index_key, r.patient_no as patient_no"
        chosen += f", r.{index.date} as day0, {f'r.{side}' if side else 'cast(null as varchar)'} as side"
        found = f"from {rows} as r{said} where r.patient_no is not null and r.{index.date} is not null and {met}"
        if index.pick == "each":
            return f"select {chosen} {found}"
        order = f"r.{index.date} {'desc' if index.pick == 'last' else 'asc'}, r.{key}"
        groups = ", ".join(f"r.{name}" for name in ("patient_no", *per))
        return (
            "select p.index_key as index_key, p.patient_no as patient_no, p.day0 as day0, p.side as side from"
            f" (select {chosen}, row_number() over (partition by {groups} order by {order}) as place {found}) as p"
            " where p.place = 1"
        )

    def _ages(self) -> str:
        """Whole years at day 0, by ``index_key``: from the birth date, else from the age of the case received last."""
        cases, patients = self._file("cases"), self._file("patients")
        birthday = "month(b.birth_date) * 100 + day(b.birth_date) > month(i.day0) * 100 + day(i.day0)"
        aged = (
            "select c.patient_no as patient_no, c.age as age, c.received_date as received_date,"
            " row_number() over (partition by c.patient_no order by c.received_date desc, c.case_no) as place"
            f" from {cases} as c where c.age is not null and c.received_date is not null"
        )
        years = "cast(floor(date_diff('day', g.received_date, i.day0) / 365.2425e0) as bigint)"
        return (
            "select i.index_key as index_key, coalesce(year(i.day0) - year(b.birth_date)"
            f" - case when {birthday} then 1 else 0 end, g.age + {years}) as age_at_index"
            f" from {DAY0} as i left join {patients} as b on b.patient_no = i.patient_no"
            f" left join ({aged}) as g on g.patient_no = i.patient_no and g.place = 1"
        )


def with_code_system(table: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The columns, each once, and beside a code of events the system that it is of."""
    named = tuple(dict.fromkeys(columns))
    return (*named, "code_system") if table == "events" and "code" in named and "code_system" not in named else named


def _letter(column: str) -> str:
    """The letter of a specimen that a report may count by number."""
    number = f"try_cast({column} as integer)"
    return f"case when {number} between 1 and 26 then substr({literal(_LETTERS)}, {number}, 1) else {column} end"


def same_side(row: str, index: str) -> str:
    """Whether a row shows the side of the index: both sides and unpaired parts show each; a missing side shows none."""
    sides = " or ".join(
        f"({index} in ({', '.join(map(literal, names))}) and {row} in ({', '.join(map(literal, names))}))"
        for names in SIDES.values()
    )
    both = ", ".join(map(literal, _BOTH))
    return f"({sides} or {row} in ({both}) or ({index} in ({both}) and {row} is not null))"


def same_specimen(row: str, unit: str, named: str) -> str:
    """Whether a row of what reports say is about the specimen of a unit: without one, it speaks of all of its case's.

    A unit whose specimen is not known agrees if the case's rows name no more than one.

    Args:
        row: column with the letter that the row names.
        unit: column with the letter of the unit.
        named: column with how many the case's rows name, see :meth:`Relations.named_specimens`.
    """
    return f"({row} = {unit} or ({row} is null and {unit} is not null) or ({unit} is null and coalesce({named}, 0) <= 1))"


def date_of(rows: Rows) -> str:
    """The column that a window over these rows looks at."""
    return rows.date or DATES[rows.table]


def unit_key(unit: Unit) -> str:
    """The column that tells the units apart."""
    return LEVEL_KEYS[unit][0]


def unit_number(unit: Unit) -> str:
    """The column with the numbers of the units."""
    return NUMBERS[unit_key(unit)]

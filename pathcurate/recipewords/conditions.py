"""Conditions, rows and windows in words."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from pathcurate.model.column import Table
from pathcurate.model.recipe import (
    AnyOf,
    Codelist,
    Condition,
    Has,
    InCodelist,
    Match,
    Missing,
    Range,
    Recipe,
    Rows,
    Where,
    Window,
)
from pathcurate.model.recipe.levels import recipe_views
from pathcurate.recipewords.tongue import Tongue

_FEW_CODES = 12
"""Codes of a list that are named wherever it is used; of a longer one their number is said."""
_MOST_CODES = 60
"""Codes that are named where a list is explained."""


class Sentences:
    """Says the parts of one recipe in one language.

    Attributes:
        recipe: the recipe.
        tongue: the language.
    """

    def __init__(self, recipe: Recipe, tongue: Tongue) -> None:
        self.recipe = recipe
        self.tongue = tongue
        self._views: Mapping[str, Table] = recipe_views(has_index=recipe.index is not None)

    def column(self, name: str) -> str:
        """What a column is called."""
        return self.tongue.word("columns", name)

    def codelist(self, name: str) -> str:
        """A code list where it is used: its name, and its codes if they are few."""
        codelist = (self.recipe.codelists or {}).get(name)
        quoted = self.tongue.quoted(name)
        if codelist is None:
            return quoted
        codes = codelist.codes or ()
        if 0 < len(codes) <= _FEW_CODES:
            shown = self.tongue.listed(codes)
        elif codes:
            shown = self.tongue("{n:,} codes", "{n:,} 个编码", n=len(codes))
        else:
            shown = self.tongue("codes of {file}", "{file} 中的编码", file=codelist.file)
        below = self.tongue(" and all below", "及其下位编码") if codelist.match == "descendants" else ""
        return self.tongue("{name} ({shown}{below})", "{name}（{shown}{below}）", name=quoted, shown=shown, below=below)

    def predicate(self, condition: Condition, unit: str) -> str:
        """What a condition says of a column, without the column."""
        say = self.tongue
        match condition:
            case AnyOf():
                return self._is(say.listed(map(say.value, condition.any_of), joint="or")) + self._unit(unit)
            case Range():
                return self._range(condition, unit)
            case Missing():
                return say("is missing", "缺失") if condition.missing else say("is not missing", "不缺失")
            case InCodelist():
                return say("is on code list {name}", "属于代码表{name}", name=self.codelist(condition.codelist))
            case _:
                return self._is(say.value(condition)) + self._unit(unit)

    def _is(self, value: str) -> str:
        return self.tongue("is {value}", "为{value}", value=value)

    def _unit(self, unit: str) -> str:
        return f" {self.tongue.word('units', unit)}" if unit else ""

    def _range(self, condition: Range, unit: str) -> str:
        say, unit = self.tongue, self._unit(unit)
        if isinstance(condition.min or condition.max, date):
            return self._span(condition)
        low = None if condition.min is None else say.value(condition.min)
        high = None if condition.max is None else say.value(condition.max)
        if low is None:
            return say("is at most {high}{unit}", "不超过{high}{unit}", high=high, unit=unit)
        if high is None:
            return say("is at least {low}{unit}", "不小于{low}{unit}", low=low, unit=unit)
        return say("is from {low} to {high}{unit}", "在{low}至{high}{unit}之间（含两端）", low=low, high=high, unit=unit)

    def _span(self, condition: Range) -> str:
        say, low, high = self.tongue, condition.min, condition.max
        if low is None:
            return say("is {high} or earlier", "不晚于{high}", high=high)
        if high is None:
            return say("is {low} or later", "不早于{low}", low=low)
        return say("is from {low} to {high}", "在{low}至{high}之间（含首尾两天）", low=low, high=high)

    def where(self, where: Where, table: str) -> Iterator[tuple[str, str]]:
        """Each column of ``where`` in words, and what is said of it."""
        view = self._views.get(table)
        for name, condition in where.items():
            unit = view[name].unit if view is not None and name in view else ""
            yield self.column(name), self.predicate(condition, unit)

    def window(self, window: Window) -> str:
        """The days of a window."""
        say = self.tongue
        start = say.offset(window.from_, window.start) if window.from_ is not None and window.start is not None else None
        end = say.offset(window.to, window.end) if window.to is not None and window.end is not None else None
        if start is None:
            return say("up to {end}", "{end}及以前", end=end)
        if end is None:
            return say("from {start} on", "{start}及以后", start=start)
        return say("from {start} to {end}, both included", "{start}至{end}（含首尾两天）", start=start, end=end)

    def within(self, window: Window, column: str | None) -> str:
        """That a row's date lies in a window."""
        days = self.window(window)
        if column is None:
            return self.tongue("dated {days}", "日期在{days}", days=days)
        return self.tongue("whose {column} is {days}", "{column}在{days}", column=self.column(column), days=days)

    def matches(self, match: Match) -> Iterator[str]:
        """In what a row must agree with day 0 or with the unit."""
        return (self.tongue.word("matches", name) for name in match)

    def row_clauses(self, rows: Rows) -> Iterator[str]:
        """Everything that rows must meet, clause by clause."""
        for column, predicate in self.where(rows.where, rows.table):
            yield self.tongue("whose {column} {predicate}", "{column}{predicate}", column=column, predicate=predicate)
        if rows.text is not None:
            yield self.says(rows.text, rows.table)
        if rows.within is not None:
            yield self.within(rows.within, rows.date)
        yield from self.matches(rows.match or ())

    def says(self, concept: str, table: str) -> str:
        """That a report, or the report of a row, says a concept."""
        name = self.tongue.quoted(concept)
        if table == "reports":
            return self.tongue("that says {name}", "文本符合概念{name}", name=name)
        return self.tongue("whose report says {name}", "所属报告文本符合概念{name}", name=name)

    def rows(self, rows: Rows) -> str:
        """Rows and what they must meet, several of them."""
        noun, clauses = self.tongue.rows(rows.table), list(self.row_clauses(rows))
        if not clauses:
            return self.tongue("any {noun}", "任意{noun}", noun=noun)
        return self.tongue(
            "{noun} {clauses}", "符合以下条件的{noun}（{clauses}）", noun=noun, clauses=self.tongue.clauses(clauses)
        )

    def has(self, has: Has) -> str:
        """How many rows there must be, and which."""
        say, number, table = self.tongue, has.threshold, has.table
        clauses = list(self.row_clauses(has))
        if say.language == "zh":
            noun = say.rows(table)
            if clauses:
                noun = f"符合以下条件的{noun}"
            end = f"：{say.clauses(clauses)}" if clauses else ""
            return f"{self._count_zh(has)}{noun}{end}"
        one = number == 1 or (has.operator == ">" and number == 0)
        noun = say.rows(table, 1 if one else 2)
        end = f" {say.clauses(clauses)}" if clauses else ""
        return f"{self._count_en(has)} {noun}{end}"

    def _count_en(self, has: Has) -> str:
        number = has.threshold
        if (has.operator, number) in {("=", 0), ("<=", 0)}:
            return "no"
        if (has.operator, number) in {(">=", 1), (">", 0)}:
            return "at least one"
        words = {">=": "at least", ">": "more than", "<=": "at most", "=": "exactly"}
        return f"{words[has.operator]} {number:,}"

    def _count_zh(self, has: Has) -> str:
        number, measure = has.threshold, self.tongue.measure("tables", has.table)
        if (has.operator, number) in {("=", 0), ("<=", 0)}:
            return "没有"
        if (has.operator, number) == (">", 0):
            return f"至少有 1 {measure}"
        words = {">=": "至少有", ">": "有多于", "<=": "至多有", "=": "恰好有"}
        return f"{words[has.operator]} {number:,} {measure}"

    def of_codelist(self, codelist: Codelist) -> Iterator[str]:
        """What a code list is, sentence by sentence."""
        say = self.tongue
        system = say.word("systems", codelist.system)
        edition = say(", version {v}", "，版本 {v}", v=codelist.version) if codelist.version else ""
        yield f"{system}{edition}"
        if codelist.codes is not None:
            codes = self._codes(codelist.codes)
            yield say("{n:,} codes: {codes}", "{n:,} 个编码：{codes}", n=len(codelist.codes), codes=codes)
        if codelist.file is not None:
            column = codelist.column or "code"
            yield say("codes of column {column} of {file}", "取自 {file} 的{column}列", column=column, file=codelist.file)
        if codelist.sha256 is not None:
            yield say("digest {digest}", "摘要 {digest}", digest=codelist.sha256)
        if codelist.match == "descendants":
            yield say("codes below them count too", "下位编码也算在内")
        else:
            yield say("only these codes count, none below them", "仅限所列编码，不含下位编码")
        if codelist.without is not None:
            yield say("without {codes}", "不含 {codes}", codes=self._codes(codelist.without))

    def _codes(self, codes: Sequence[str]) -> str:
        """All codes, or of a long list the first ones and a digest of all, so that no change goes unsaid."""
        if len(codes) <= _MOST_CODES:
            return self.tongue.listed(codes)
        digest = hashlib.sha256("\n".join(codes).encode()).hexdigest()[:12]
        first = ", ".join(codes[:_FEW_CODES])
        return self.tongue(
            "{first} … (digest of all: {digest})", "{first} …（全部编码的摘要：{digest}）", first=first, digest=digest
        )

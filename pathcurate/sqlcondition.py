"""The ``sql`` of a criterion: one condition over the columns of a view, in the part of SQL that every engine reads alike.

What is allowed is listed here, node by node; everything else is refused, so that a condition reads nothing but its view.
Each part has a kind (text, number, date, true or false), because an engine that has to convert a value and cannot would name
it in its message; for the same reason sums and products are those of floating point, which cannot overflow.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import re2
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from pathcurate.model.column import Table, Type
from pathcurate.model.recipe import parse_date
from pathcurate.yamlsource import did_you_mean

MOST_NODES = 2000
MOST_DEPTH = 60
_MOST_DAYS = 100_000
_MOST_MEMORY = 64 << 20
_ANY, _TEXT, _NUMBER, _DATE, _BOOLEAN = "", "text", "a number", "a date", "true or false"
_KINDS: Mapping[Type, str] = {
    Type.STRING: _TEXT, Type.INTEGER: _NUMBER, Type.FLOAT: _NUMBER, Type.DATE: _DATE, Type.BOOLEAN: _BOOLEAN,
}  # fmt: skip
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_FUNCTIONS = (exp.Lower, exp.Upper, exp.Length, exp.Year, exp.Month, exp.Extract, exp.Round, exp.Abs)
_PATTERNS = (exp.RegexpLike, exp.Like, exp.ILike, exp.Escape)
_TWO, _ONE = frozenset({"this", "expression"}), frozenset({"this"})
_ARGUMENTS: Mapping[type[exp.Expr], frozenset[str]] = {
    **dict.fromkeys((exp.And, exp.Or, exp.Is, *_COMPARED, *_PATTERNS), _TWO),
    **dict.fromkeys(_ARITHMETIC, frozenset({"this", "expression", "typed", "safe"})),
    **dict.fromkeys((exp.Not, exp.Paren, exp.Neg, exp.Column, exp.Boolean, exp.Null, *_FUNCTIONS), _ONE),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.In: frozenset({"this", "expressions"}),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.Case: frozenset({"this", "ifs", "default"}),
    exp.Cast: frozenset({"this", "to"}),
    exp.Coalesce: frozenset({"this", "expressions"}),
    exp.Round: frozenset({"this", "decimals"}),
    exp.Extract: _TWO,
}  # fmt: skip


class ConditionFault(NamedTuple):
    """What is wrong with a condition, and where in its text: first character from 0, and how many."""

    message: str
    start: int
    length: int


def parse_condition(text: str, view: Table) -> exp.Expr:
    """A condition as an expression of portable SQL; its columns are plain names of the view.

    Raises:
        ValueError: it is none; :func:`condition_faults` says why.
    """
    reading = _Reading(text, view)
    if reading.faults or reading.expression is None:
        raise ValueError(reading.faults[0].message)
    return reading.expression


def condition_faults(text: str, view: Table) -> list[ConditionFault]:
    """What is wrong with a condition over the columns of a view; nothing if :func:`parse_condition` takes it."""
    return _Reading(text, view).faults


def compared_texts(text: str, view: Table) -> Iterator[tuple[str, str, int, int]]:
    """Each column that a good condition compares with a text for equality, the text, and where it stands."""
    expression = _Reading(text, view).expression
    for node in expression.find_all(exp.EQ, exp.NEQ, exp.In, exp.NullSafeEQ, exp.NullSafeNEQ) if expression else ():
        sides = [node.this, *(node.expressions if isinstance(node, exp.In) else [node.expression])]
        columns = [side for side in sides if isinstance(side, exp.Column)]
        for side in sides if len(columns) == 1 else ():
            if isinstance(side, exp.Literal) and side.is_string:
                yield columns[0].name, side.name, *_span(side)


class _Reading:
    """A condition that is parsed, checked and made portable."""

    def __init__(self, text: str, view: Table) -> None:
        self.text = text
        self.view = view
        self.faults: list[ConditionFault] = []
        self.expression: exp.Expr | None = None
        self._of_days: set[int] = set()
        parsed = self._parse()
        if parsed is None:
            return
        if self._is_too_large(parsed):
            self._report("the condition is too long or nested too deeply; use `in (…)`, or several criteria", parsed)
            return
        kind = self._kind(parsed)
        if not self.faults and kind not in {_BOOLEAN, _ANY}:
            self._report(f"the condition must be true or false; this is {kind}", parsed)
        if not self.faults:
            self.expression = self._portable(parsed)

    def _parse(self) -> exp.Expr | None:
        try:
            tokens = sqlglot.tokenize(self.text, read="duckdb")
            for token in tokens:
                if token.comments:
                    self._add("a comment cannot stand in a condition; write a YAML comment", token.start, len(token.text))
                elif token.text == ";" or ("~" in token.text and self.text[token.start] not in "'\""):
                    self._add(f"`{token.text}` cannot stand in a condition", token.start, len(token.text))
            if self.faults:
                return None
            return sqlglot.parse_one(self.text, read="duckdb")
        except ParseError as failure:
            details = failure.errors[0] if failure.errors else {}
            word = str(details.get("highlight") or "")
            line, column = int(details.get("line") or 1), int(details.get("col") or 1)
            start = sum(len(one) + 1 for one in self.text.split("\n")[: line - 1]) + max(column - len(word), 0)
            near = f" near `{word[:40]}`" if word else ""
            self._add(f"not a condition in SQL{near}", min(start, len(self.text)), len(word))
        except (TokenError, RecursionError, ValueError):
            # Quotes that are not closed and brackets by the hundred; sqlglot's words for them do not help.
            self._add("not a condition in SQL: a quote is not closed, or it is nested too deeply", 0, 0)
        return None

    def _is_too_large(self, expression: exp.Expr) -> bool:
        level, count = [expression], 0
        for _ in range(MOST_DEPTH):
            count += len(level)
            level = [child for node in level for child in node.iter_expressions()]
            if not level or count > MOST_NODES:
                break
        return bool(level) or count > MOST_NODES

    def _add(self, message: str, start: int, length: int) -> None:
        self.faults.append(ConditionFault(message, start, length))

    def _report(self, message: str, node: exp.Expr) -> str:
        self._add(message, *_span(node))
        return _ANY

    # --- Kinds -----------------------------------------------------------------------------------------------------------

    def _kind(self, node: exp.Expr | None) -> str:
        """What a part gives; faults in it are reported."""
        if node is None:
            return _ANY
        allowed = _ARGUMENTS.get(type(node))
        more = [name for name, value in node.args.items() if value and name not in (allowed or ())]
        if allowed is None or more:
            return self._refuse(node)
        if isinstance(node, (*_COMPARED, exp.In, exp.Between, exp.Is)):
            self._compared(node)
        elif isinstance(node, _PATTERNS):
            self._pattern(node)
        elif isinstance(node, exp.And | exp.Or | exp.Not):
            for part in node.iter_expressions():
                self._expect(_BOOLEAN, part)
        else:
            return self._value(node)
        return _BOOLEAN

    def _value(self, node: exp.Expr) -> str:
        match node:
            case exp.Paren():
                kind = self._kind(node.this)
            case exp.Column():
                kind = self._column(node)
            case exp.Literal() | exp.Boolean() | exp.Null():
                kind = self._constant(node)
            case exp.Cast():
                kind = self._cast(node)
            case exp.Coalesce():
                kind = self._same([node.this, *node.expressions])
            case exp.Case():
                kind = self._case(node)
            case _:
                kind = self._function(node) if isinstance(node, _FUNCTIONS) else self._arithmetic(node)
        return kind

    def _refuse(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Column):
            return self._report("write the name of the column alone: a condition has one table", node)
        what = "a parameter" if isinstance(node, exp.Placeholder) else "another query" if node.find(exp.Select) else ""
        start, length = _span(node) if "start" in node.meta else (0, 0)
        name = self.text[start : start + length] or node.key
        how = " with these arguments" if type(node) in _ARGUMENTS and not what else ""
        return self._report(f"{what or f'`{name}`'} cannot stand in a condition{how}", node)

    def _expect(self, kind: str, node: exp.Expr | None) -> None:
        found = self._kind(node)
        if node is not None and found not in {kind, _ANY}:
            self._report(f"this is {found} where {kind} must stand", node)

    def _same(self, nodes: list[exp.Expr]) -> str:
        kind = _ANY
        for node in nodes:
            found = self._kind(node)
            if kind and found not in {kind, _ANY}:
                self._report(f"this is {found} beside {kind}", node)
            kind = kind or found
        return kind

    def _compared(self, node: exp.Expr) -> None:
        match node:
            case exp.In():
                if not node.expressions:
                    self._report("a list must not be empty", node)
                for one in node.expressions:
                    if not _is_constant(one):
                        self._report("a list holds constants only", one)
                self._same([node.this, *node.expressions])
            case exp.Between():
                self._same([node.this, node.args["low"], node.args["high"]])
            case exp.Is() if isinstance(node.expression, exp.Boolean):
                self._expect(_BOOLEAN, node.this)
            case exp.Is():
                if not self._is_listed(node.this):
                    self._kind(node.this)
                if not isinstance(node.expression, exp.Null):
                    self._report("`is` goes with null, true and false", node.expression)
            case _:
                self._same([node.this, node.expression])

    def _is_listed(self, node: exp.Expr) -> bool:
        """Whether this is a column of lists, of which only `is null` can be asked."""
        return isinstance(node, exp.Column) and node.name in self.view and self.view[node.name].type not in _KINDS

    def _pattern(self, node: exp.Expr) -> None:
        inner = node.this if isinstance(node, exp.Escape) else node
        if isinstance(node, exp.Escape) and not (isinstance(inner, exp.Like | exp.ILike) and _is_sign(node.expression)):
            self._report("`escape` goes with `like` and one sign", node.expression)
            return
        self._expect(_TEXT, inner.this)
        pattern = inner.expression
        if not (isinstance(pattern, exp.Literal) and pattern.is_string):
            self._report("a pattern must be a text in quotes", pattern)
        elif isinstance(inner, exp.RegexpLike) and (fault := _regex_fault(pattern.name)):
            self._report(fault, pattern)

    def _function(self, node: exp.Expr) -> str:
        match node:
            case exp.Lower() | exp.Upper():
                self._expect(_TEXT, node.this)
                return _TEXT
            case exp.Length():
                self._expect(_TEXT, node.this)
            case exp.Year() | exp.Month():
                self._expect(_DATE, node.this)
            case exp.Extract():
                if node.this.name.lower() not in {"year", "month"}:
                    self._report("only the year and the month can be extracted", node.expression)
                self._expect(_DATE, node.expression)
            case exp.Round():
                self._expect(_NUMBER, node.this)
                digits = node.args.get("decimals")
                if digits is not None and not (isinstance(digits, exp.Literal) and digits.name in tuple("0123456789")):
                    self._report("digits are a number from 0 to 9", digits)
            case _:
                self._expect(_NUMBER, node.this)
        return _NUMBER

    def _case(self, node: exp.Expr) -> str:
        whens, default = node.args["ifs"], node.args.get("default")
        if node.this is None:
            for when in whens:
                self._expect(_BOOLEAN, when.this)
        else:
            self._same([node.this, *(when.this for when in whens)])
        return self._same([when.args["true"] for when in whens] + ([default] if default is not None else []))

    def _arithmetic(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Neg):
            self._expect(_NUMBER, node.this)
            return _NUMBER
        left, right = node.this, node.expression
        kinds = self._kind(left), self._kind(right)
        if isinstance(node, exp.Sub) and kinds == (_DATE, _DATE):
            self._of_days.add(id(node))
            return _NUMBER
        if isinstance(node, exp.Add | exp.Sub) and kinds[0] == _DATE:
            self._of_days.add(id(node))
            if not (isinstance(right, exp.Literal) and right.name.isdecimal() and int(right.name) <= _MOST_DAYS):
                self._report(f"days that are added to a date are a whole number up to {_MOST_DAYS}", right)
            return _DATE
        for side, kind in zip((left, right), kinds, strict=True):
            if kind not in {_NUMBER, _ANY}:
                self._report(f"this is {kind} where {_NUMBER} must stand", side)
        if isinstance(node, exp.Div | exp.Mod) and not _is_nonzero(right):
            self._report("divide by a number other than 0, written out: engines disagree on the rest", right)
        return _NUMBER

    def _cast(self, node: exp.Expr) -> str:
        asked = node.args["to"].this
        if asked is exp.DType.DATE and isinstance(node.this, exp.Literal) and node.this.is_string:
            try:
                parse_date(node.this.name)
            except ValueError as failure:
                self._report(str(failure), node.this)
            return _DATE
        kind = self._kind(node.this)
        if asked is exp.DType.DOUBLE and kind in {_NUMBER, _BOOLEAN, _ANY}:
            return _NUMBER
        if asked in {exp.DType.BIGINT, exp.DType.INT} and kind == _BOOLEAN:
            return _NUMBER
        is_exact = self._is_column_of(node.this, Type.INTEGER, Type.DATE, Type.BOOLEAN)
        if is_exact and asked in {exp.DType.VARCHAR, exp.DType.TEXT}:
            return _TEXT
        return self._report("this cast is not the same on every engine, or fails on some values; leave it out", node)

    def _is_column_of(self, node: exp.Expr, *types: Type) -> bool:
        return isinstance(node, exp.Column) and node.name in self.view and self.view[node.name].type in types

    def _constant(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Null):
            return _ANY
        if isinstance(node, exp.Boolean):
            return _BOOLEAN
        if node.is_string:
            return _TEXT
        try:
            is_good = math.isfinite(float(node.name)) and (not node.name.isdecimal() or int(node.name) < 1 << 63)
        except ValueError:
            is_good = False
        return _NUMBER if is_good else self._report("a number must be finite, and a whole one fit into 64 bits", node)

    def _column(self, node: exp.Expr) -> str:
        name = node.name
        if name not in self.view:
            guess = did_you_mean(name, self.view.names)
            return self._report(f"unknown column `{name}` in table {self.view.name}{guess}", node)
        kind = _KINDS.get(self.view[name].type)
        return kind or self._report(f"column `{name}` holds no single value; only `is null` can be asked of it", node)

    # --- Portable SQL ----------------------------------------------------------------------------------------------------

    def _portable(self, expression: exp.Expr) -> exp.Expr:
        holder = exp.Paren(this=expression)
        for node in reversed(list(holder.walk())):
            if isinstance(node, exp.Extract):
                node.replace((exp.Year if node.this.name.lower() == "year" else exp.Month)(this=node.expression))
            elif isinstance(node, exp.Literal) and not node.is_string and "." in node.name and "e" not in node.name.lower():
                node.set("this", f"{node.name}e0")
            elif isinstance(node, (*_ARITHMETIC, exp.Neg, exp.Abs)) and id(node) not in self._of_days:
                is_sign = isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal)
                for side in () if is_sign else node.iter_expressions():
                    if not isinstance(side, _ARITHMETIC) or id(side) in self._of_days:
                        side.replace(_as_double(side))
        made: exp.Expr = holder.this
        return made


def _is_constant(node: exp.Expr) -> bool:
    inner = node.this if isinstance(node, exp.Neg | exp.Cast) else node
    return isinstance(inner, exp.Literal | exp.Boolean)


def _is_nonzero(node: exp.Expr) -> bool:
    inner = node.this if isinstance(node, exp.Neg) else node
    return isinstance(inner, exp.Literal) and not inner.is_string and float(inner.name) != 0


def _is_sign(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_string and len(node.name) == 1


def _as_double(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Literal):
        return exp.Literal.number(node.name if "e" in node.name.lower() else f"{node.name}e0")
    return exp.cast(node.copy(), exp.DType.DOUBLE)


def _regex_fault(pattern: str) -> str:
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.max_mem = _MOST_MEMORY
    try:
        re2.compile(pattern, chosen)
    except re2.error as failure:
        reason = failure.args[0]
        return f"not an RE2 pattern: {reason.decode('utf-8', errors='replace') if isinstance(reason, bytes) else reason}"
    return ""


def _span(node: exp.Expr) -> tuple[int, int]:
    """Where a part stands: its own place, else that of the first part in it that has one."""
    for part in node.walk(bfs=False):
        if "start" in part.meta:
            return int(part.meta["start"]), int(part.meta["end"]) - int(part.meta["start"]) + 1
    return 0, 0

"""How values are spread, on a release's page: one chart of bars for each column of which that is told."""

from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.htmlreport.composition import trait_charts
from pathcurate.htmlreport.releasewords import TRAITS, VALUES, Words, same
from pathcurate.htmlreport.template import share
from pathcurate.model.column import Column, Identifying, Type
from pathcurate.model.description import DescribedColumn, Description, Spread

_MOST_BARS = 15
_LONGEST = 100  # characters of a value that are shown
_FIRST = (
    "site", "year", "scan_year", "received_year", "reported_year", "study_year", "vendor", "scanner_model", "stain",
    "preparation", "age", "age_band", "sex", "province", "organ", "icd10", "icdo3_topography", "icdo3_morphology", "grade",
    "modality", "body_part", "kind",
)  # fmt: skip
"""Columns that readers ask for first; then diagnoses and labels, then the others as the table has them."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Rows with one value.

    Attributes:
        name: the value.
        count: how many; None if that is not shown.
        share: of all rows, in words.
        width: of the largest count of the chart, as the length of a bar, 0 to 100.
    """

    name: Words
    count: int | None
    share: str
    width: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The values of one column.

    Attributes:
        title: of the chart.
        code: name of the column, empty for what is none.
        bars: of the values, of those that are not listed, and of rows without one.
        rest: values that have no bar because they are many, with their counts.
    """

    title: Words
    code: str
    bars: tuple[Bar, ...]
    rest: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of one table.

    Attributes:
        table: its name, empty for the persons of the cohort.
        rows: of which they are; 0 for persons, of whom each chart may tell others.
        charts: the ones that readers ask for first come first.
        alike: columns with the same value, or range of values, in every row, and that.
        untold: columns of which no value has enough rows to be shown.
    """

    table: str
    rows: int
    charts: tuple[Chart, ...]
    alike: tuple[tuple[str, Words], ...]
    untold: tuple[str, ...]


def person_charts(description: Description) -> Charts | None:
    """The persons of the cohort by sex, age, site and year, as far as its attrition tells who is left in the end."""
    attrition = description.attrition
    last = len(attrition.steps) - 1
    charts = []
    for trait, drawn in zip(attrition.traits, trait_charts(attrition), strict=True):
        if trait.after[-1] == last:
            most = max((row.cells[-1].patients for row in drawn.rows), default=0)
            bars = tuple(
                Bar(same(_cut(row.label)), cell.patients, cell.share, _width(cell.patients, most))
                for row in drawn.rows
                for cell in row.cells[-1:]
            )
            charts.append(Chart(TRAITS[trait.trait], "", bars, ()))
    return Charts("", 0, tuple(charts), (), ()) if charts else None


def table_charts(description: Description) -> Iterator[Charts]:
    """The charts of each table that has any; the split has a section of its own."""
    for table in description.tables:
        told = [
            (column, spread)
            for column in sorted(table.columns, key=lambda column: _rank(column.column))
            if (spread := column.spread) is not None and column.column.name != "split" and column.missing < table.rows
        ]
        alike = {column.column.name: word for column, spread in told if (word := _only(spread, table.rows)) is not None}
        untold = [column.column.name for column, spread in told if not any(spread.counts.values())]
        charts = [
            _chart(column, spread, table.rows)
            for column, spread in told
            if column.column.name not in alike and column.column.name not in untold
        ]
        if told:
            yield Charts(table.table.name, table.rows, tuple(charts), tuple(alike.items()), tuple(untold))


def _rank(column: Column) -> int:
    if column.name in _FIRST:
        return _FIRST.index(column.name)
    return len(_FIRST) + (column.identifying is not Identifying.SENSITIVE)


def _only(spread: Spread, rows: int) -> Words | None:
    """The value of every row, None if there are several, or rows without one."""
    if spread.others or len(spread.counts) != 1:
        return None
    ((value, count),) = spread.counts.items()
    return _word(value) if count == rows else None


def _chart(column: DescribedColumn, spread: Spread, rows: int) -> Chart:
    most = max([column.missing, spread.others or 0, *(count or 0 for count in spread.counts.values())])
    values = [_bar(_word(value), count, rows, most) for value, count in spread.counts.items()]
    bars, rest = (values, []) if len(values) <= _MOST_BARS + 1 else (values[:_MOST_BARS], values[_MOST_BARS:])
    if _is_in_order(column.column):
        bars, rest = values, []
    if spread.others != 0:
        bars.append(_bar(Words("others", "其他"), spread.others, rows, most))
    if column.missing:
        bars.append(_bar(Words("missing", "缺失"), column.missing, rows, most))
    return Chart(Words(column.column.name, column.label_zh), column.column.name, tuple(bars), tuple(rest))


def _is_in_order(column: Column) -> bool:
    return column.type in {Type.INTEGER, Type.FLOAT} or column.name == "age_band"


def _bar(name: Words, count: int | None, rows: int, most: int) -> Bar:
    if count is None:
        return Bar(name, None, "", "0")
    return Bar(name, count, share(count, rows), _width(count, most))


def _width(count: int, most: int) -> str:
    return f"{100 * count / most:.1f}" if most else "0"


def _word(value: str) -> Words:
    return VALUES.get(value) or same(_cut(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

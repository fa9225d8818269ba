"""Who is left along an attrition, and what each step costs: tables with small bars, for the page of a cohort."""

from collections.abc import Sequence
from dataclasses import dataclass

from pathcurate.htmlreport.attrition import drawn_levels
from pathcurate.htmlreport.template import share
from pathcurate.model.attrition import UNIT_LEVEL, Shown, ShownAttrition, ShownTrait

_TITLES = {"sex": "Sex 性别", "age_band": "Age 年龄", "site": "Site 机构", "year": "Year 年份"}
_VALUES = {"female": "female 女", "male": "male 男", "": "missing 缺失"}
_MOST_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Cell:
    """Patients of one group after one step.

    Attributes:
        patients: how many.
        share: of all in the column, in words.
        width: the same as the length of a bar, 0 to 100.
    """

    patients: int
    share: str
    width: str


@dataclass(frozen=True, slots=True)
class Row:
    """One group of values, at the steps of the chart."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One trait along the attrition."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Gain:
    """What leaving one step out would gain.

    Attributes:
        number: of the step.
        label: of the step.
        counts: on the levels that are drawn, as far as they are counted.
        width: units, as the length of a bar, 0 to 100.
    """

    number: int
    label: str
    counts: tuple[Shown, ...]
    width: str


def trait_charts(attrition: ShownAttrition) -> tuple[Chart, ...]:
    """A chart of each trait that is told."""
    return tuple(_chart(trait, len(attrition.steps)) for trait in attrition.traits)


def _chart(trait: ShownTrait, steps: int) -> Chart:
    places = _spread(len(trait.after))
    columns = tuple(_column(trait.after[place], steps) for place in places)
    totals = {place: sum(trait.patients[place]) for place in places}
    rows = tuple(
        Row(
            _label(*ends),
            tuple(
                Cell(trait.patients[place][group], share(trait.patients[place][group], totals[place]),
                     _width(trait.patients[place][group], totals[place]))
                for place in places
            ),
        )
        for group, ends in enumerate(trait.groups)
    )  # fmt: skip
    return Chart(_TITLES[trait.trait], columns, rows)


def _spread(count: int) -> Sequence[int]:
    """Places of so many columns, evenly spread if they are too many, always with the first and the last."""
    if count <= _MOST_COLUMNS:
        return range(count)
    return [round(n * (count - 1) / (_MOST_COLUMNS - 1)) for n in range(_MOST_COLUMNS)]


def _column(after: int, steps: int) -> str:
    if after < 0:
        return "Start 起始"
    return "Cohort 队列" if after == steps - 1 else f"After {after} 之后"


def _label(first: str, last: str) -> str:
    one, other = _VALUES.get(first, first), _VALUES.get(last, last)
    return one if first == last else f"{one} … {other}"


def _width(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "0"


def gains(attrition: ShownAttrition) -> tuple[Gain, ...]:
    """What leaving each step out would gain, most first; the permission and what is built in cannot be left out."""
    unit = UNIT_LEVEL[attrition.unit]
    levels = drawn_levels(attrition)
    told = [
        (number, step)
        for number, step in enumerate(attrition.steps)
        if step.gained and step.kind not in {"permission", "built_in"}
    ]
    most = max((count for _, step in told if isinstance(count := step.gained[unit], int)), default=0)
    found = [
        Gain(number, step.label or step.id, tuple(step.gained[level] for level in levels),
             _width(count if isinstance(count := step.gained[unit], int) else 0, most))
        for number, step in told
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda gain: -float(gain.width)))

"""The classes of a release by size, as a figure: how many persons are alike to how many others, and where k is."""

from dataclasses import dataclass

from pathcurate.htmlreport.template import grouped, render
from pathcurate.model.evaluation import Bin, Evaluation

# In the figure's own units, which are CSS pixels at full size; text is drawn beside bars, where any number fits.
_MARGIN, _BAR_X, _BAR_WIDTH, _WIDTH = 16, 96, 340, 720
_TOP, _ROW, _BAR = 90, 30, 18
_LEAST_BAR = 2  # a class that is there can be seen


@dataclass(frozen=True, slots=True)
class _Row:
    """One bar.

    Attributes:
        y: its upper edge.
        width: its length.
        style: ``below`` if its classes are smaller than required, else ``enough``.
        sizes: persons in a class.
        text: how many persons and classes.
    """

    y: float
    width: float
    style: str
    sizes: str
    text: str


def disclosure_svg(evaluation: Evaluation) -> str:
    """A whole SVG 1.1 document, which is also valid inside of an HTML page: no scripts, no references, no dates."""
    bins, required = evaluation.figures.sizes, evaluation.k_required
    most = max((bin_.persons for bin_ in bins), default=0)
    rows = [_row(number, bin_, most, required) for number, bin_ in enumerate(bins)]
    below = sum(bin_.least < (required or 0) for bin_ in bins)
    line = _TOP + below * _ROW - (_ROW - _BAR) / 2 if required is not None else None
    return render(
        "disclosure.svg.j2",
        description=_description(evaluation),
        width=_WIDTH,
        height=_TOP + len(rows) * _ROW + _MARGIN,
        bar_x=_BAR_X,
        bar_height=_BAR,
        rows=rows,
        line=line,
        required=required,
    )


def _row(number: int, bin_: Bin, most: int, required: int | None) -> _Row:
    width = max(_LEAST_BAR, _BAR_WIDTH * bin_.persons / most) if bin_.persons else 0
    style = "below" if bin_.least < (required or 0) else "enough"
    text = f"{_counted(bin_.persons, 'person', 'persons')} 人 · {_counted(bin_.classes, 'class', 'classes')} 组"
    return _Row(_TOP + number * _ROW, round(width, 1), style, str(bin_), text if bin_.classes else "none 无")


def _counted(number: int, one: str, more: str) -> str:
    return f"{grouped(number)} {one if number == 1 else more}"


def _description(evaluation: Evaluation) -> str:
    """The figure in words, for those who do not see it."""
    held = [
        f"{_counted(bin_.classes, 'class', 'classes')} of {bin_}, {_counted(bin_.persons, 'person', 'persons')} in all"
        for bin_ in evaluation.figures.sizes
        if bin_.classes
    ]
    required = f"; at least {evaluation.k_required} persons are required" if evaluation.k_required is not None else ""
    return f"{'; '.join(held)}{required}."

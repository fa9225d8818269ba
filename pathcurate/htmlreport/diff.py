"""The page about two versions of a product: what changed, why, and what that means for whoever has the earlier one."""

from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.diff.notes import version_notes
from pathcurate.diff.sections import sections, share_texts, shifted
from pathcurate.htmlreport.template import render
from pathcurate.model.diff import Bump, Difference, Share, Stratum

_STEPS = {Bump.NONE: "无变化", Bump.PATCH: "修订", Bump.MINOR: "次要", Bump.MAJOR: "主要"}
_FEW = "few 较少"


@dataclass(frozen=True, slots=True)
class _Bars:
    """One value of a column: its share before and after, as words and as bars of so many percent."""

    value: str
    before: str
    after: str
    width_before: int
    width_after: int


@dataclass(frozen=True, slots=True)
class _Chart:
    """One column."""

    column: str
    rows: tuple[_Bars, ...]


def difference_page(difference: Difference) -> str:
    """One self-contained page; the same difference gives the same bytes."""
    tables = [] if difference.is_same else [part for part in sections(difference) if not part.title.startswith("Spread: ")]
    return render(
        "diff.html.j2",
        title=f"{difference.product} {difference.before} → {difference.after}",
        difference=difference,
        has_permissions=True,
        step_zh=_STEPS[difference.bump],
        notes=version_notes(difference),
        sections=tables,
        charts=[] if difference.is_same else [_chart(stratum) for stratum in shifted(difference)],
    )


def _chart(stratum: Stratum) -> _Chart:
    return _Chart(stratum.column, tuple(_bars(stratum)))


def _bars(stratum: Stratum) -> Iterator[_Bars]:
    for share in (*stratum.shares, *((stratum.others,) if stratum.others else ())):
        before, after = (text or _FEW for text in share_texts(share, stratum))
        yield _Bars(_name(share, stratum), before, after, *(_width(text) for text in (before, after)))


def _name(share: Share, stratum: Stratum) -> str:
    if share.value is None:
        return "(missing 缺失)"
    return share.value or f"{stratum.other_values} other values 其他"


def _width(text: str) -> int:
    number = text.partition(" ")[0]
    return int(number) if number.isdecimal() else 0

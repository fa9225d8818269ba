"""PC-QLT: what can be computed of the quality of rows; who made them, and whether they mean what they say, cannot."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.compute as pc

from pathcurate.model.column import Type
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.finding import Severity
from pathcurate.model.labelreview import QUALITY_PATH
from pathcurate.model.slide import PLAUSIBLE
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.validate.arrays import equal_count, true_count
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import Opened, OpenedTable

_MPP = PLAUSIBLE["mpp_x"]
_RANGES: Mapping[str, tuple[float, float]] = {**PLAUSIBLE, "mpp": _MPP}
_SHARES = ("tissue_fraction", "pen_fraction", "confidence")
_POSITIVE = ("width", "height", "level_count", "tile_width", "tile_height", "focal_planes", "channels")
_COUNTS = ("tiles_checked", "tiles_bad", "tiles_decoded", "report_count", "slide_count", "case_count", "removal_count")
_BOUNDS: Mapping[str, tuple[float, float | None]] = {
    **dict.fromkeys(_SHARES, (0.0, 1.0)), **dict.fromkeys(_POSITIVE, (1.0, None)), **dict.fromkeys(_COUNTS, (0.0, None)),
}  # fmt: skip
_FIRST_YEAR = 1900
_LATEST_SHIFT = 2
"""Years by which a moved day may be later than the true one, at most."""
_MOST_WRONG = 0.1
"""Of a class of labels: the upper end of the interval of its share of wrong ones."""


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """What is doubtful about a release."""
    for table in opened.tables.values():
        yield from of_table(table)
        yield from _empty(opened, table)
        yield from _years(table, _latest_year(opened))
    yield from _slides_of_cases(opened)
    yield from _labels(opened)


def of_table(table: OpenedTable) -> Iterator[Breach]:
    """What is doubtful about a table alone."""
    yield from _ranges(table)
    yield from _duplicates(table)
    yield from _states(table)


def _ranges(table: OpenedTable) -> Iterator[Breach]:
    for name, (least, most) in _RANGES.items():
        if _is_beyond(table, name, least, most):
            message = f"has values that no microscope has, outside {least:g} to {most:g}"
            yield breach("PC-QLT-003", message, table=table.name, column=name, threshold=f"{least:g}..{most:g}")
    if count := table.facts.together.get("mpp_is_no_mean", 0):
        yield breach(
            "PC-QLT-003", f"is not the mean of mpp_x and mpp_y in {counted(count, 'row')}", table=table.name, column="mpp",
            count=count, of=table.rows,
        )  # fmt: skip
    for name, (lowest, highest) in _BOUNDS.items():
        if _is_beyond(table, name, lowest, highest):
            what = "between 0 and 1" if highest is not None else f"{lowest:g} or more"
            yield breach("PC-QLT-008", f"has values that are not {what}", table=table.name, column=name, threshold=what)
    for fact, column, what in (
        ("levels_differ", "level_downsamples", "does not have as many levels as are counted"),
        ("more_bad_than_checked", "tiles_bad", "is more than the tiles that were checked"),
    ):
        if count := table.facts.together.get(fact, 0):
            message = f"{what} in {counted(count, 'row')}"
            yield breach("PC-QLT-008", message, table=table.name, column=column, count=count, of=table.rows)


def _is_beyond(table: OpenedTable, name: str, least: float, most: float | None) -> bool:
    if name not in table.readable:
        return False
    facts = table.facts.columns[name]
    return (facts.least is not None and facts.least < least) or (most is not None and (facts.most or 0) > most)


def _duplicates(table: OpenedTable) -> Iterator[Breach]:
    if table.name == "slides" and table.has("scan_group"):
        groups = table.codes("scan_group")
        again = int((groups.codes >= 0).sum()) - len(groups.values)
        column = "scan_group"
    elif table.name == "slides" and table.has("duplicate_of", "slide_id"):
        data = table.columns("duplicate_of", "slide_id")
        again = true_count(pc.is_in(data["duplicate_of"].drop_null(), pc.unique(data["slide_id"])))
        column = "duplicate_of"
    else:
        return
    if again:
        message = f"{counted(again, 'slide')} with the pixels of another slide of the release"
        yield breach("PC-QLT-002", message, table=table.name, column=column, count=again, of=table.rows)


def _states(table: OpenedTable) -> Iterator[Breach]:
    for column, good, what in (("status", "ok", "cannot be read"), ("qc", "ok", "did not pass quality control")):
        if table.has(column) and table.name == "slides":
            values = table.columns(column)[column].drop_null()
            bad = len(values) - equal_count(values, good)
            if bad:
                message = f"{counted(bad, 'slide')} that {what}"
                yield breach("PC-QLT-007", message, table=table.name, column=column, count=bad, of=table.rows)


def _empty(opened: Opened, table: OpenedTable) -> Iterator[Breach]:
    """Columns that hold nothing; a profile may empty those that it does not show, which is no fault of quality."""
    for name in table.schema.names if table.name in DEID_TABLES else ():
        if name in table.readable and table.rows and table.facts.columns[name].nulls == table.rows:
            severity = None if opened.manifest.get("deid", {}).get("scenario") == "internal" else Severity.INFO
            message = "has no value in any row"
            yield breach(
                "PC-QLT-001", message, table=table.name, column=name, count=table.rows, of=table.rows, severity=severity
            )


def _latest_year(opened: Opened) -> int | None:
    """The year of publication: a release knows no other clock, and one of schema 1 does not even know that."""
    published = opened.manifest.get("published")
    return None if published is None else int(published[:4])


def _years(table: OpenedTable, latest: int | None) -> Iterator[Breach | Unchecked]:
    """Years before archives began or after the release was published; without that day, after the year 2100."""
    most = latest if latest is not None else 2100
    for name in sorted(table.readable):
        is_day = table.declared is not None and table.declared[name].type is Type.DATE
        if not is_day and name != "year" and not name.endswith("_year"):
            continue
        if _is_beyond(table, name, _FIRST_YEAR, most + (_LATEST_SHIFT if is_day else 0)):
            message = f"has years before {_FIRST_YEAR} or after {most}"
            yield breach("PC-QLT-005", message, table=table.name, column=name, threshold=f"{_FIRST_YEAR}..{most}")


def _slides_of_cases(opened: Opened) -> Iterator[Breach | Unchecked]:
    """Cases of which the release holds more slides than are linked to them."""
    slides, cases = opened.tables.get("slides"), opened.tables.get("cases")
    if slides is None or cases is None or not (slides.has("case_id") and cases.has("case_id", "slide_count")):
        why = "the release does not hold slides and cases with their numbers of slides"
        yield Unchecked(("PC-QLT-004",), why, applies=False)
        return
    held = slides.columns("case_id").group_by("case_id").aggregate([("case_id", "count")])
    both = cases.columns("case_id", "slide_count").join(held, "case_id", join_type="inner")
    more = true_count(pc.greater(both["case_id_count"], both["slide_count"]))
    if more:
        message = f"{counted(more, 'case')} with more slides than are linked to them"
        yield breach("PC-QLT-004", message, table="cases", column="slide_count", count=more, of=cases.rows)


def _labels(opened: Opened) -> Iterator[Breach | Unchecked]:
    recipe = opened.recipe
    if recipe is None:
        yield Unchecked(("PC-QLT-006",), "the recipe cannot be read")
        return
    if not recipe.labels:
        yield Unchecked(("PC-QLT-006",), "the recipe makes no labels", applies=False)
        return
    content: Any = opened.json(QUALITY_PATH)
    classes = content.get("classes") if isinstance(content, dict) else None
    reviewed: set[str] = set()
    for one in classes if isinstance(classes, list) else ():
        if not isinstance(one, dict) or not isinstance(one.get("label"), str):
            continue
        high = one.get("high")
        reviewed.add(one["label"])
        if isinstance(high, int | float) and high > _MOST_WRONG:
            place = next((at for at, label in enumerate(recipe.labels) if label.name == one["label"]), None)
            whose = "that the recipe does not make" if place is None else recipe.labels[place].name
            message = f"of a class of label {whose} up to {high:.0%} may be wrong"
            yield breach(
                "PC-QLT-006", message, file=QUALITY_PATH, measured=f"{high:.3f}", threshold=str(_MOST_WRONG),
                cause=None if place is None else ("labels", place),
            )  # fmt: skip
    for place, label in enumerate(recipe.labels):
        if label.name not in reviewed:
            message = f"nobody reviewed label {label.name}"
            yield breach("PC-QLT-006", message, file=QUALITY_PATH, severity=Severity.INFO, cause=("labels", place))

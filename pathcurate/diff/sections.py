"""A difference as tables of words, which Markdown and pages show in the same order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pathcurate.model.diff import CAUSE_WORDS, Difference, FigureChange, Share, Stratum, TermChange

_NO_STEP = "(no such step)"
_FEW = "few"
_DIGITS = len("sha256:") + 12


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a difference.

    Attributes:
        title: in English.
        title_zh: in Chinese.
        head: names of the columns; those whose name begins with ``#`` hold numbers.
        rows: their cells.
        note: what to know before reading it, a sentence or nothing.
    """

    title: str
    title_zh: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def sections(difference: Difference) -> Iterator[Section]:
    """The parts of a difference that hold anything, the gravest first."""
    found = (
        Section("Why this step", "版本步长的依据", ("step", "because"),
                tuple((str(reason.bump), reason.text) for reason in difference.reasons)),
        Section("Counts", "数量", ("unit", "#before", "#after", "#added", "#removed", "#changed"),
                tuple(_counts(difference))),
        Section("Rows", "数据行", ("table", "#added", "#removed", "#changed", "#the same", "columns that changed"),
                tuple(_rows(difference))),
        Section("Why rows came, went and changed", "行变更原因", ("table", "change", "because", "#rows"),
                tuple(_causes(difference))),
        Section("What the cohort tells of its units", "队列所记录的原因", ("change", "because", "#units"),
                tuple(_cohort_causes(difference)), "Small counts are hidden."),
        Section("Split", "划分", ("table", "sides", "#patients"), tuple(_moves(difference))),
        Section("Schema", "结构", ("where", "change", "contract", "for consumers", "for producers"),
                tuple(_schema(difference))),
        Section("Terms of use and description", "使用条款与说明", ("what", "effect", "now said", "no longer said"),
                tuple(map(_term, difference.terms))),
        Section("De-identification", "去标识化", ("figure", "effect", "before", "after"),
                tuple(map(_figure, difference.privacy))),
        Section("Quality", "质量", ("indicator", "effect", "before", "after"), tuple(map(_figure, difference.quality))),
        *map(_stratum, shifted(difference)),
        Section("Recipe", "方案", ("what", "change"), tuple(_recipe(difference))),
        Section("Attrition", "筛选过程", ("step", "#left before", "#left after", "#failed before", "#failed after"),
                tuple(_steps(difference))),
    )  # fmt: skip
    return (section for section in found if section.rows)


def _number(count: int | str | None, missing: str = "") -> str:
    return f"{count:,}" if isinstance(count, int) else missing if count is None else count


def _counts(difference: Difference) -> Iterator[tuple[str, ...]]:
    for unit, change in difference.counts.items():
        told = (change.before, change.after, change.added, change.removed, change.changed)
        yield (unit, *map(_number, told))


def _rows(difference: Difference) -> Iterator[tuple[str, ...]]:
    for name, table in difference.tables.items():
        rows = table.rows
        columns = ", ".join(f"{column} ({count:,})" for column, count in rows.by_column.items())
        yield (name, *map(_number, (rows.added, rows.removed, rows.changed, rows.unchanged)), columns)


def _causes(difference: Difference) -> Iterator[tuple[str, ...]]:
    for name, table in difference.tables.items():
        for change, causes in table.causes.items():
            yield from ((name, change, CAUSE_WORDS[cause], _number(count)) for cause, count in causes.items())


def _cohort_causes(difference: Difference) -> Iterator[tuple[str, ...]]:
    for change, causes in difference.cohort_causes.items():
        yield from ((change, CAUSE_WORDS[cause], _number(count)) for cause, count in causes.items())


def _moves(difference: Difference) -> Iterator[tuple[str, ...]]:
    for name, table in difference.tables.items():
        yield from ((name, sides, _number(count)) for sides, count in table.moves.items())


def _schema(difference: Difference) -> Iterator[tuple[str, ...]]:
    for one in difference.schema:
        where = f"{one.table}.{one.column}" if one.column else one.table
        yield (where, one.change, one.effect, one.consumer, one.producer)


def _term(change: TermChange) -> tuple[str, ...]:
    return (change.term, change.effect, ", ".join(change.added), ", ".join(change.removed))


def _figure(change: FigureChange) -> tuple[str, ...]:
    before, after = ("–" if value is None else _shortened(str(value)) for value in (change.before, change.after))
    return (change.name, change.effect, before, after)


def _shortened(text: str) -> str:
    return f"{text[:_DIGITS]}…" if text.startswith("sha256:") else text


def shifted(difference: Difference) -> list[Stratum]:
    """The columns over whose values the units are spread otherwise than before, as far as that may be seen."""
    return [one for one in difference.strata if any(len(set(share_texts(share, one))) > 1 for share in one.shares)]


def _stratum(stratum: Stratum) -> Section:
    listed: Iterable[Share] = (*stratum.shares, *((stratum.others,) if stratum.others else ()))
    rows = []
    for share in listed:
        others = "1 other value" if stratum.other_values == 1 else f"{stratum.other_values} other values"
        name = "(missing)" if share.value is None else share.value or others
        counts = (_number(share.before, _FEW), _number(share.after, _FEW))
        rows.append((name, *counts, *share_texts(share, stratum)))
    return Section(
        f"Spread: {stratum.column}", "分布变化", ("value", "#before", "#after", "#share before", "#share after"),
        tuple(rows),
        "Counts are rounded, and few rows are not told, so that nobody can be worked out.",
    )  # fmt: skip


def share_texts(share: Share, stratum: Stratum) -> tuple[str, str]:
    """The shares of the rows of each version, in whole percent."""
    before, after = (
        "" if count is None or not total else f"{min(100 * count / total, 100):.0f} %"
        for count, total in zip((share.before, share.after), stratum.totals, strict=True)
    )
    return before, after


def _recipe(difference: Difference) -> Iterator[tuple[str, ...]]:
    recipe = difference.recipe
    for names, change in ((recipe.added, "added"), (recipe.removed, "removed"), (recipe.changed, "changed")):
        yield from ((f"criterion {name}", change) for name in names)
    if recipe.is_reordered:
        yield ("criteria", "run in another order")
    yield from ((f"key {name}", "changed") for name in recipe.keys)


def _steps(difference: Difference) -> Iterator[tuple[str, ...]]:
    for step in difference.attrition:
        yield (step.id, *(_number(count, _NO_STEP) for count in (*step.remaining, *step.dropped)))

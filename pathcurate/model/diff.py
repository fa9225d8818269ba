"""What changed between two versions of a product, and the least step of its version that says so.

Versions are semantic ones with the meaning that Croissant 1.1 gives them: PATCH is the same data in other packaging, MINOR
only adds, MAJOR edits, removes, divides anew or promises less. Everything here is counts and names, never a value of a cell.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Bump(StrEnum):
    """A step from one version to the next, least first."""

    NONE = "none"
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"

    @property
    def rank(self) -> int:
        """0 for none, 3 for major."""
        return list(Bump).index(self)


@dataclass(frozen=True, slots=True)
class Reason:
    """One change that demands a step.

    Attributes:
        bump: the least step that it demands.
        text: what changed, as a sentence without its end.
    """

    bump: Bump
    text: str


@dataclass(frozen=True, slots=True)
class CountChange:
    """How many of something there were and are.

    Attributes:
        before: in the earlier version.
        after: in the later one.
        added: of these, those that the earlier one did not have; None where neither table says which they are.
        removed: those that the later one no longer has; likewise.
        changed: those of both of which a row differs; likewise.
    """

    before: int
    after: int
    added: int | None
    removed: int | None
    changed: int | None = None


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What became of a table's rows. Without a key an edited row is one removed and one added.

    Attributes:
        added: rows of the later version only.
        removed: rows of the earlier one only.
        changed: rows of both that differ in a column that both have.
        unchanged: the others.
        by_column: column to how many rows differ in it.
    """

    added: int
    removed: int
    changed: int
    unchanged: int
    by_column: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ColumnChanges:
    """What became of a table's columns, by name.

    Attributes:
        added: those that are new.
        removed: those that are gone.
        retyped: those with another type, unit or identifying class.
        loosened: those that had a value in every row and need none now.
        tightened: those that needed no value and have one in every row now.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()
    loosened: tuple[str, ...] = ()
    tightened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableDifference:
    """What became of a table that both versions have.

    Attributes:
        is_rekeyed: whether other columns identify its rows.
        rows: see :class:`RowChanges`.
        columns: see :class:`ColumnChanges`.
        moved: patients on another side of the split; 0 where no column says whose a row is.
        moves: sides before and after, as ``train -> test``, to how many of these patients.
        causes: ``added``, ``removed`` and ``changed`` to why, and how many rows for that.
    """

    is_rekeyed: bool
    rows: RowChanges
    columns: ColumnChanges
    moved: int
    moves: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepChange:
    """One step of the attrition, before and after; None where a version has no such step.

    Attributes:
        id: of the step.
        dropped: units that failed it first, in the earlier and in the later version.
        remaining: slides (series, events) that were left after it, likewise; a word where that is not shown.
    """

    id: str
    dropped: tuple[int | str | None, int | str | None]
    remaining: tuple[int | str | None, int | str | None]


@dataclass(frozen=True, slots=True)
class RecipeChanges:
    """What became of the recipe.

    Attributes:
        added: criteria that are new, by id.
        removed: criteria that are gone.
        changed: criteria that say something else.
        is_reordered: whether the others run in another order.
        keys: other keys of the recipe with another value, ``version`` apart.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    is_reordered: bool = False
    keys: tuple[str, ...] = ()


class Cause(StrEnum):
    """Why a row came, went or differs."""

    INPUT = "new_input"
    SOURCE = "source"
    LINK = "link"
    RULE = "rule"
    FILTER = "filter"
    PERMISSION = "permission"
    DRAWN = "drawn"
    UNTOLD = "untold"


CAUSE_WORDS: Mapping[str, str] = {
    Cause.INPUT: "new in the archive",
    Cause.SOURCE: "the source changed",
    Cause.LINK: "linked to another case or person",
    Cause.RULE: "the de-identification rule changed",
    Cause.FILTER: "a criterion changed",
    Cause.PERMISSION: "withdrawn, or permissions changed",
    Cause.DRAWN: "sample or split",
    Cause.UNTOLD: "not told by the releases",
}


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change of the schema, graded as data contract tools do it.

    Attributes:
        table: where.
        column: which, empty for the table itself.
        change: what happened.
        effect: whether the contract is ``tightened``, ``loosened`` or otherwise ``changed``, or only ``extended``.
        consumer: ``breaking`` or ``non-breaking`` for whoever reads by the schema of before.
        producer: likewise for whoever delivers by it.
    """

    table: str
    column: str
    change: str
    effect: str
    consumer: str
    producer: str


@dataclass(frozen=True, slots=True)
class TermChange:
    """One change of what the product file says.

    Attributes:
        term: the key of the file, such as ``policy.duo``.
        effect: ``tightened`` or ``loosened``; ``changed`` where no rule tells which; ``reworded`` for what binds nobody.
        bump: the least step that it demands.
        added: names from closed lists and days that are said now; of words none are repeated.
        removed: those that are no longer said.
    """

    term: str
    effect: str
    bump: Bump
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FigureChange:
    """A figure before and after; None where a version does not tell it.

    Attributes:
        name: of the figure, such as ``k_min`` or an indicator of the scorecard.
        before: in the earlier version.
        after: in the later one.
        effect: ``tightened`` or ``loosened`` where it is a promise, else ``changed``.
    """

    name: str
    before: str | int | float | None
    after: str | int | float | None
    effect: str = "changed"


@dataclass(frozen=True, slots=True)
class Share:
    """Rows with one value; see :class:`Stratum`.

    Attributes:
        value: the value, None for a missing one; empty for all others together.
        before: rows of the earlier version, as a multiple of the smallest cell; None if they are few.
        after: of the later one.
    """

    value: str | None
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Stratum:
    """How rows are spread over the values of a column, so coarse that no few of them can be worked out.

    Attributes:
        column: its name.
        totals: rows before and after.
        shares: of the frequent values, the most frequent first; years and ages in their order.
        other_values: how many more values there are.
        others: rows of these together; None if there are none.
    """

    column: str
    totals: tuple[int, int]
    shares: tuple[Share, ...]
    other_values: int
    others: Share | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one version of a product to another.

    Attributes:
        product: its name.
        before: the earlier version.
        after: the later one.
        is_same: whether both are the same release.
        counts: ``slides``, ``cases``, ``patients`` to what became of them.
        tables_added: tables that are new.
        tables_removed: tables that are gone.
        tables: the others.
        attrition: every step of either version, in the order of the later one.
        recipe: what became of the recipe.
        reasons: what demands a step, gravest first.
        schema: every change of the schema, graded for consumers and producers.
        terms: what became of the product file.
        privacy: what became of what the release tells about people.
        quality: what became of the scorecard.
        strata: how the units' spread has shifted, by column.
        cohort_causes: why units came, went and changed, as the curator's cohort told it: what happened to why to how many,
            small counts hidden; empty where only the releases are there.
    """

    product: str
    before: str
    after: str
    is_same: bool
    counts: Mapping[str, CountChange]
    tables_added: tuple[str, ...]
    tables_removed: tuple[str, ...]
    tables: Mapping[str, TableDifference]
    attrition: tuple[StepChange, ...]
    recipe: RecipeChanges
    reasons: tuple[Reason, ...]
    schema: tuple[SchemaChange, ...] = ()
    terms: tuple[TermChange, ...] = ()
    privacy: tuple[FigureChange, ...] = ()
    quality: tuple[FigureChange, ...] = ()
    strata: tuple[Stratum, ...] = ()
    cohort_causes: Mapping[str, Mapping[str, int | str]] = field(default_factory=dict)

    @property
    def bump(self) -> Bump:
        """The least step that the changes allow."""
        return self.reasons[0].bump if self.reasons else Bump.NONE

    @property
    def least_version(self) -> str:
        """The least version that the changes allow."""
        return least_version(self.before, self.bump)

    @property
    def reason(self) -> str:
        """What demands the step."""
        return self.reasons[0].text if self.reasons else "nothing changed"

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        content = asdict(self)
        parts = (
            "is_same", "counts", "tables_added", "tables_removed", "tables", "schema", "terms", "privacy", "quality",
            "strata", "cohort_causes", "attrition", "recipe",
        )  # fmt: skip
        return {
            "product": self.product,
            "from": self.before,
            "to": self.after,
            "bump": str(self.bump),
            "least_version": self.least_version,
            "reasons": [{"bump": str(reason.bump), "text": reason.text} for reason in self.reasons],
            **{name: content[name] for name in parts},
        }


def is_step_count(value: object) -> bool:
    """Whether a value of an attrition is a count, or a word that stands for a hidden one, and nothing else."""
    if isinstance(value, str):
        return _HIDDEN.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_HIDDEN = re.compile(r"withheld|<\d{1,4}")


def version_step(before: str, after: str) -> Bump:
    """The step from one version to a higher one, by the first of its three numbers that is another.

    A pre-release already stands in its version's step: ``2.0.0-rc.1`` to ``2.0.0`` is as major as ``1.4.0`` to ``2.0.0``.
    """
    old, new = _core(before), _core(after)
    for bump, earlier, later in zip((Bump.MAJOR, Bump.MINOR, Bump.PATCH), old, new, strict=True):
        if earlier != later:
            return bump
    return _own_step(before) if _is_prerelease(before) else Bump.NONE


def least_version(before: str, bump: Bump) -> str:
    """The least final version that is this step above another."""
    major, minor, patch = _core(before)
    if bump is Bump.NONE:
        return before
    if _is_prerelease(before) and bump.rank <= _own_step(before).rank:
        return f"{major}.{minor}.{patch}"
    return {
        Bump.MAJOR: f"{major + 1}.0.0",
        Bump.MINOR: f"{major}.{minor + 1}.0",
        Bump.PATCH: f"{major}.{minor}.{patch + 1}",
    }[bump]


def _core(version: str) -> tuple[int, int, int]:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        raise ValueError("a version has three numbers")
    return int(numbers[1]), int(numbers[2]), int(numbers[3])


def _is_prerelease(version: str) -> bool:
    return "-" in version.partition("+")[0]


def _own_step(version: str) -> Bump:
    """The step that leads to a version, by its last numbers: 2.0.0 is major, 2.1.0 minor, 2.1.1 patch."""
    _, minor, patch = _core(version)
    return Bump.PATCH if patch else Bump.MINOR if minor else Bump.MAJOR

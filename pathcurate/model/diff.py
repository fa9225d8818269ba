"""What changed between two versions of a product, and the least step of its version that says so.

Versions are semantic ones with the meaning that Croissant 1.1 gives them: PATCH is the same data in other packaging, MINOR
only adds, MAJOR edits, removes, divides anew or promises less. Everything here is counts and names, never a value of a cell.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
    """

    before: int
    after: int
    added: int | None
    removed: int | None


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
    """

    is_rekeyed: bool
    rows: RowChanges
    columns: ColumnChanges
    moved: int


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
        parts = ("is_same", "counts", "tables_added", "tables_removed", "tables", "attrition", "recipe")
        return {
            "product": self.product,
            "from": self.before,
            "to": self.after,
            "bump": str(self.bump),
            "least_version": self.least_version,
            "reasons": [{"bump": str(reason.bump), "text": reason.text} for reason in self.reasons],
            **{name: content[name] for name in parts},
        }


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

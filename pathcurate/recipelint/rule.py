"""What a rule is, and what rules look at."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from pathcurate.model.column import Table
from pathcurate.model.finding import Severity
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.levels import recipe_views

KeyPath = tuple[str | int, ...]


class Hit(NamedTuple):
    """Where in a recipe a rule is broken, and how.

    Attributes:
        path: the part of the recipe.
        message: one sentence, without its end.
        on_key: whether its key is meant and not its value.
    """

    path: KeyPath
    message: str
    on_key: bool = False


@dataclass(frozen=True, slots=True)
class StepCounts:
    """What one step of the last run did, as far as it may be shown.

    Attributes:
        id: of the criterion.
        dropped: units that fell; None if that is hidden.
        remaining: units or slides that were left; None likewise.
    """

    id: str
    dropped: int | None
    remaining: int | None


@dataclass(frozen=True)
class Subject:
    """A recipe, and what is known of where it will run; what is not known breaks no rule.

    Attributes:
        recipe: the resolved recipe.
        used_parameters: parameters that stand for a value somewhere; None if that is not known.
        unpinned: code lists whose file has no digest.
        archive: what ``describe --export`` says of the tables.
        last_run: the steps of the last run of the same recipe on the same archive.
        profile_k: the least number of persons that the workspace's profile asks for.
        texts_are_released: whether that profile lets texts go out.
        released_differently: whether a release of the same name and version was made from another recipe.
    """

    recipe: Recipe
    used_parameters: frozenset[str] | None = None
    unpinned: frozenset[str] = frozenset()
    archive: Mapping[str, Any] | None = None
    last_run: tuple[StepCounts, ...] = ()
    profile_k: int | None = None
    texts_are_released: bool | None = None
    released_differently: bool = False

    @cached_property
    def views(self) -> Mapping[str, Table]:
        """What the recipe may name."""
        return recipe_views(has_index=self.recipe.index is not None)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the linter.

    Attributes:
        id: its name.
        severity: how bad it is to break it.
        says: what is wrong where it is broken, in one sentence.
        advice: what to do.
        find: gives the places at which a recipe breaks it.
    """

    id: str
    severity: Severity
    says: str
    advice: str
    find: Callable[[Subject], Iterator[Hit]]

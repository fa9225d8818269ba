"""What differs between two recipes, part by part and key by key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pathcurate.model.recipe import Criterion, Recipe
from pathcurate.recipewords.conditions import Sentences
from pathcurate.recipewords.criteria import criterion_lines
from pathcurate.recipewords.tongue import Tongue

_NAMED_BY = ("id", "name")
"""Keys by which the items of a list are told apart."""
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        part: the section of the recipe: ``criteria``, ``codelists``, ``labels`` …
        name: what in it, empty for the section itself.
        kind: ``added``, ``removed``, ``moved`` or ``changed``.
        key: for a changed one, the key below it, as ``where.stain``.
        before: the old value as JSON, or the criterion that a moved one followed; None if there was none.
        after: the new one, likewise.
    """

    part: str
    name: str
    kind: str
    key: str = ""
    before: Any = None
    after: Any = None


def changes(before: Recipe, after: Recipe) -> tuple[Change, ...]:
    """Every difference between two resolved recipes; the same recipes have none."""
    old, new = (recipe.model_dump(mode="json", by_alias=True, exclude_none=True) for recipe in (before, after))
    found = list(_criteria(before, after))
    for part in dict.fromkeys((*old, *new)):
        if part not in {"include", "exclude"}:
            found += _section(part, old.get(part), new.get(part))
    return tuple(found)


def _criteria(before: Recipe, after: Recipe) -> Iterator[Change]:
    old = {criterion.id: criterion for criterion in before.criteria}
    new = {criterion.id: criterion for criterion in after.criteria}
    yield from (Change("criteria", name, "removed", before=_whole(one)) for name, one in old.items() if name not in new)
    yield from (Change("criteria", name, "added", after=_whole(one)) for name, one in new.items() if name not in old)
    places = [list(criteria) for criteria in (old, new)]
    common = [[name for name in order if name in old and name in new] for order in places]
    for name in _moved(*common):
        yield Change("criteria", name, "moved", before=_before(common[0], name), after=_before(common[1], name))
    for name in common[1]:
        yield from _keys("criteria", name, "", _whole(old[name]), _whole(new[name]))


def _before(order: Sequence[str], name: str) -> str | None:
    """What a criterion follows, None if it is the first."""
    place = order.index(name)
    return order[place - 1] if place else None


def _moved(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """The fewest that must be moved to make the one order of the other: all that are not in the longest common run."""
    longest: list[tuple[str, ...]] = []
    for name in new:
        place = old.index(name)
        before: list[tuple[str, ...]] = [run for run in longest if old.index(run[-1]) < place]
        longest.append((*_longest(before), name))
    stays = set(_longest(longest))
    return (name for name in new if name not in stays)


def _longest(runs: list[tuple[str, ...]]) -> tuple[str, ...]:
    return max(runs, key=len) if runs else ()


def _whole(criterion: Criterion) -> dict[str, Any]:
    """A criterion as JSON; that it includes or excludes is one of its keys."""
    content = criterion.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"id"})
    return {"part": "exclude" if type(criterion).__name__ == "Exclusion" else "include", **content}


def _section(part: str, old: Any, new: Any) -> Iterator[Change]:
    left, right = _by_name(old), _by_name(new)
    if left is None or right is None:
        yield from _keys(part, "", "", old, new)
        return
    yield from (Change(part, name, "removed", before=one) for name, one in left.items() if name not in right)
    for name, one in right.items():
        if name not in left:
            yield Change(part, name, "added", after=one)
        else:
            yield from _keys(part, name, "", left[name], one)


def _by_name(content: Any) -> dict[str, Any] | None:
    """The parts of a section by name, None if its parts have no names of their own."""
    if content is None:
        return {}
    if isinstance(content, Mapping) and all(isinstance(item, Mapping) for item in content.values()):
        return dict(content)
    if isinstance(content, list) and content and all(isinstance(item, Mapping) for item in content):
        for key in _NAMED_BY:
            if all(key in item for item in content):
                return {item[key]: item for item in content}
    return None


def _keys(part: str, name: str, key: str, old: Any, new: Any) -> Iterator[Change]:
    """Differences of one thing, down to the values."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for inner in dict.fromkeys((*old, *new)):
            yield from _keys(part, name, f"{key}.{inner}" if key else str(inner), old.get(inner), new.get(inner))
        return
    if isinstance(old, list) and isinstance(new, list):
        if not any(isinstance(item, Mapping | list) for item in (*old, *new)) and set(old) != set(new):
            left, right = set(old), set(new)
            gone, come = [item for item in old if item not in right], [item for item in new if item not in left]
            yield Change(part, name, "changed", key, gone or None, come or None)
            return
        if len(old) == len(new) and any(isinstance(item, Mapping) for item in old):
            for number, (one, other) in enumerate(zip(old, new, strict=True), start=1):
                yield from _keys(part, name, f"{key}.{number}" if key else str(number), one, other)
            return
    yield Change(part, name, "changed", key, old, new)


def change_lines(before: Recipe, after: Recipe, found: Sequence[Change]) -> Iterator[str]:
    """Changes for people, section by section: ``+`` new, ``-`` gone, ``>`` elsewhere, ``~`` other.

    Args:
        before: the earlier recipe.
        after: the later one.
        found: what :func:`changes` says of them.
    """
    for part in dict.fromkeys(change.part for change in found):
        yield f"{part}:"
        for change in (change for change in found if change.part == part):
            recipe = before if change.kind == "removed" else after
            if part == "criteria" and change.kind in {"added", "removed"}:
                yield f"  {_SIGNS[change.kind]} {_sentence(recipe, change.name)}"
            else:
                yield f"  {_line(change)}"


_SIGNS = {"added": "+", "removed": "-", "moved": ">", "changed": "~"}


def _sentence(recipe: Recipe, name: str) -> str:
    """A criterion in words, on one line."""
    number, criterion = next((n, one) for n, one in enumerate(recipe.criteria, start=1) if one.id == name)
    head, *lines = criterion_lines(Sentences(recipe, Tongue("en")), number, criterion)
    return f"{head.partition('. ')[2]}: {' '.join(line.strip() for line in lines)}"


def _line(change: Change) -> str:
    if change.kind == "moved":
        return f"> {change.name}: {f'now after {change.after}' if change.after else 'now first'}"
    head = " ".join(filter(None, (change.name, change.key)))
    head = f"{head}: " if head else ""
    values = [value for value in (change.before, change.after) if value is not None]
    if len(values) == 1 and not isinstance(values[0], list):
        return f"{'-' if change.after is None else '+'} {head}{_shown(values[0])}"
    if values and all(isinstance(value, list) for value in values):
        parts = [f"without {_shown(change.before)}"] if change.before else []
        parts += [f"with {_shown(change.after)}"] if change.after else []
        return f"~ {head}{', '.join(parts)}"
    return f"~ {head}{_shown(change.before)} -> {_shown(change.after)}"


def _shown(value: Any) -> str:
    """A value on one line, in the form of YAML; a long list by its first items and their number."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items() if item not in ({}, [])) + "}"
    if isinstance(value, list):
        more = f", … {len(value):,} in all" if len(value) > _MOST_SHOWN else ""
        return f"[{', '.join(map(_shown, value[:_MOST_SHOWN]))}{more}]"
    return str(value).lower() if isinstance(value, bool) else str(value)

"""What may be shown at all: counts that are large enough, and cohorts whose permission lists are there, imported and young
enough.
"""

import json
import os
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta

from pathcurate.digests import file_sha256
from pathcurate.errors import DisclosureRefusedError, InputOutputError
from pathcurate.model.column import Type
from pathcurate.model.deidentified import CRITERIA_TABLES, TOP_AGE
from pathcurate.model.recipe import AnyOf, Condition, Missing, Range, Recipe
from pathcurate.storage import private_directory, write_bytes
from pathcurate.workspace import PermissionSource, Workspace

LEAST_COUNT = 10
"""A count below it may point at people, and is not shown."""
FEW = f"<{LEAST_COUNT}"
"""Stands for a count from 1 to 9."""
WITHHELD = "withheld"
"""Stands for a count that is hidden because a smaller one could be worked out from it."""

# With two, that a second count had to be hidden would itself say that the small ones are all 1, or all 9.
_CHOICE = 4
_IMPORT = "Put the current list there and run `pathcurate permissions import`."


def list_digests(workspace: Workspace) -> dict[str, str]:
    """Digest of each configured list with the mapping that says what its columns mean; take them before reading the lists.

    Raises:
        InputOutputError: one of them cannot be read.
    """
    return {_name(workspace, source): _digest(source) for source in workspace.permissions}


def _name(workspace: Workspace, source: PermissionSource) -> str:
    # Relative to the workspace, which may be moved or copied with its lists.
    files = [path for path in (source.path, source.mapping) if path is not None]
    return "\n".join(os.path.relpath(path, workspace.root) for path in files)


def _digest(source: PermissionSource) -> str:
    files = [path for path in (source.path, source.mapping) if path is not None]
    try:
        # Resolved, because a list may be a link to the newest of several.
        return " ".join(file_sha256(path.resolve()) for path in files)
    except OSError as error:
        raise InputOutputError(
            f"permission list {source.path.name} or its mapping cannot be read ({type(error).__name__})",
            "Check their paths in pathcurate.yaml and their permissions.",
        ) from None


def record_permission_lists(workspace: Workspace, digests: Mapping[str, str] | None = None) -> None:
    """Remember which bytes of each configured list were imported.

    Args:
        workspace: the workspace.
        digests: what :func:`list_digests` gave before the lists were read; taken now if None.
    """
    digests = list_digests(workspace) if digests is None else digests
    record = private_directory(private_directory(workspace.catalog) / "permissions") / "lists.json"
    write_bytes(record, json.dumps(dict(digests), ensure_ascii=False, sort_keys=True).encode(), mode=0o600)


def check_permission_lists(workspace: Workspace, now: datetime) -> None:
    """Refuse to go on with a permission list that is missing, changed since its import, or too old.

    Args:
        workspace: the workspace.
        now: the present, with time zone. Permissions are always today's, also when data is read as of an earlier day.

    Raises:
        DisclosureRefusedError: a configured list cannot be relied on.
        InputOutputError: a list cannot be read.
    """
    record = workspace.catalog / "permissions" / "lists.json"
    try:
        imported = json.loads(record.read_bytes()) if record.is_file() else {}
    except ValueError:
        imported = {}
    for source in workspace.permissions:
        _check_list(source, imported.get(_name(workspace, source)), now)
    if imported.keys() - {_name(workspace, source) for source in workspace.permissions}:
        raise DisclosureRefusedError(
            "a permission list that was imported is no longer named in pathcurate.yaml",
            "Run `pathcurate permissions import`, then `pathcurate deid apply`; or name the list again.",
        )


def _check_list(source: PermissionSource, imported: str | None, now: datetime) -> None:
    path = source.path
    if not path.is_file():
        raise DisclosureRefusedError(f"permission list {path.name} is missing", _IMPORT)
    if imported is None:
        raise DisclosureRefusedError(
            f"permission list {path.name} was never imported", "Run `pathcurate permissions import`."
        )
    if _digest(source) != imported:
        raise DisclosureRefusedError(
            f"permission list {path.name} or its mapping has changed since it was imported",
            "Run `pathcurate permissions import`, then `pathcurate deid apply`.",
        )
    if source.max_age_days is None:
        return
    age = now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if age > timedelta(days=source.max_age_days):
        raise DisclosureRefusedError(
            f"permission list {path.name} is older than the {source.max_age_days} days that pathcurate.yaml allows", _IMPORT
        )


def suppress(counts: Mapping[str, int], *, known: Collection[str] = ()) -> dict[str, int | str]:
    """Counts of parts of a whole, with the small ones hidden so that nobody who knows the whole can work one out.

    A count from 1 to 9 becomes :data:`FEW`. If what is left of the whole would give it away, the next smallest counts become
    :data:`WITHHELD` (10 or more) until at least four numbers are possible for each hidden one, also for somebody who knows
    that the smallest were taken. If all counts together are too few for that, all are withheld, whatever their size.

    Args:
        counts: name of each part to its count; the whole is their sum.
        known: parts that other tables show as well, so that hiding them would hide nothing.
    """
    few = [name for name, count in counts.items() if 0 < count < LEAST_COUNT]
    if not few:
        return dict(counts)
    large = sorted((count, name) for name, count in counts.items() if count >= LEAST_COUNT and name not in known)
    for taken in range(len(large) + 1):
        hidden = sum(counts[name] for name in few) + sum(count for count, _ in large[:taken])
        least_shown = large[taken][0] if taken < len(large) else hidden
        if _is_ambiguous(hidden, len(few), taken, least_shown):
            marks = {**dict.fromkeys(few, FEW), **{name: WITHHELD for _, name in large[:taken]}}
            return {name: marks.get(name, count) for name, count in counts.items()}
    return {name: WITHHELD if count else 0 for name, count in counts.items()}


def _is_ambiguous(total: int, few: int, taken: int, most: int) -> bool:
    """Whether hidden counts of this sum leave enough possible numbers for each of them.

    Args:
        total: their sum.
        few: how many are from 1 to 9.
        taken: how many are from 10 to ``most``.
        most: the least count that is shown.
    """
    top = LEAST_COUNT - 1
    least_few, most_few = total - top * (few - 1) - most * taken, total - (few - 1) - LEAST_COUNT * taken
    if min(top, most_few) - max(1, least_few) < _CHOICE - 1:
        return False
    least_taken, most_taken = total - top * few - most * (taken - 1), total - few - LEAST_COUNT * (taken - 1)
    return not taken or min(most, most_taken) - max(LEAST_COUNT, least_taken) >= _CHOICE - 1


_LEAST_DAYS = 28


def telling_criteria(recipe: Recipe) -> list[str]:
    """Criteria that would tell a true value of whoever meets them: one day, a span of less than four weeks, an age over 90.

    Criteria compare true values, and a recipe travels with its release: who is in the release meets every one of them. Two
    overlapping recipes can still be subtracted from one another; that is for a person to judge.
    """
    return [
        criterion.id
        for criterion in recipe.criteria
        for name, condition in (
            criterion.where if criterion.where is not None else criterion.has.where if criterion.has else {}
        ).items()
        if _is_telling(name, condition)
    ]


def _is_telling(name: str, condition: Condition) -> bool:
    values = (
        condition.any_of if isinstance(condition, AnyOf) else () if isinstance(condition, Missing | Range) else (condition,)
    )
    if name == "age":
        bounds = (condition.min, condition.max) if isinstance(condition, Range) else ()
        return any(isinstance(value, int | float) and value > TOP_AGE for value in (*values, *bounds))
    if name not in _TRUE_DATES:
        return False
    if isinstance(condition, Range) and isinstance(condition.min, date) and isinstance(condition.max, date):
        return (condition.max - condition.min).days + 1 < _LEAST_DAYS
    return bool(values)


_TRUE_DATES = frozenset(
    column.name for table in CRITERIA_TABLES.values() for column in table.columns if column.type is Type.DATE
)

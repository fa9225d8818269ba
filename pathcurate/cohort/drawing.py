"""Which of the units that are left are taken: caps by an explicit order, then a balance drawn by digest."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pathcurate.errors import RecipeError
from pathcurate.model.recipe import Balance, Cap, Recipe
from pathcurate.model.recipe.levels import LEVEL_KEYS
from pathcurate.tables import column_values


def drawn(rank: str, seed: str) -> tuple[bytes, str]:
    """Where something stands when it is drawn: by ``md5(id || seed)``, which is the same everywhere and for ever."""
    return hashlib.md5((rank + seed).encode(), usedforsecurity=False).digest(), rank


def within_cap(rows: pa.Table, cap: Cap, key: str) -> list[bool]:
    """For each row whether it is among the first of its patient, case, specimen or block.

    A row that belongs to none (a slide whose block is not known) is one of its own: there is nothing that it is too many of.

    Args:
        rows: the units, with the columns that the cap names.
        cap: the cap.
        key: the column that tells the units apart; it ends the order.
    """
    owners = list(zip(*(column_values(rows, name) for name in LEVEL_KEYS[cap.level]), strict=True))
    keys = column_values(rows, key)
    order = list(range(rows.num_rows))
    order.sort(key=lambda row: keys[row])
    for name in reversed(cap.order or ()):
        _sort(order, column_values(rows, name.removeprefix("-")), is_descending=name.startswith("-"))
    taken: Counter[tuple[Any, ...]] = Counter()
    is_in = [False] * rows.num_rows
    for row in order:
        owner = owners[row]
        if None not in owner:
            taken[owner] += 1
        is_in[row] = None in owner or taken[owner] <= cap.max
    return is_in


def _sort(order: list[int], values: Sequence[Any], *, is_descending: bool) -> None:
    """Sort stably by a column; a missing value comes last either way."""
    present = [row for row in order if values[row] is not None]
    absent = [row for row in order if values[row] is None]
    # reverse=True keeps the order of equals, as a descending sort must here.
    present.sort(key=lambda row: values[row], reverse=is_descending)
    order[:] = [*present, *absent]


def within_balance(rows: pa.Table, balance: Balance, key: str, recipe: Recipe) -> list[bool]:
    """For each row whether it is among those drawn of its combination of values.

    Raises:
        RecipeError: a combination has too few rows, and the recipe asks to stop then.
    """
    seed = recipe.sample.seed if recipe.sample is not None and recipe.sample.seed is not None else recipe.name
    keys = column_values(rows, key)
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    combinations = zip(*(column_values(rows, name) for name in balance.by), strict=True)
    for row, combination in enumerate(combinations):
        groups[combination].append(row)
    short = sum(len(members) < balance.max for members in groups.values())
    if short and balance.if_short == "error":
        raise RecipeError(
            f"{short} of {len(groups)} combinations of {', '.join(balance.by)} have fewer than {balance.max} units",
            "Lower `max`, widen the criteria, or take what there is with `if_short: take_all`.",
        )
    is_in = [False] * rows.num_rows
    for members in groups.values():
        members.sort(key=lambda row: drawn(str(keys[row]), seed))
        for row in members[: balance.max]:
            is_in[row] = True
    return is_in

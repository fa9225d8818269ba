"""Splits: whole groups of patients to train, val and test; a function of group, seed and stratum, never of order or time."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pathcurate.model.deidentified import SPLITS


def assign_splits(
    groups: Sequence[str],
    strata: Sequence[tuple[str | None, ...]],
    ratios: Mapping[str, float],
    seed: str,
) -> dict[str, str]:
    """The side of each group.

    Within a stratum groups are ordered by ``md5(group || seed)`` and dealt out by cumulative share, from a start that is a
    function of stratum and seed, so that small strata do not all fall to the first side.

    Args:
        groups: the group of each row.
        strata: for each row the values that sides should share alike; a group belongs to the rarest of its rows.
        ratios: side to share; the shares add up to 1.
        seed: changes the assignment as a whole.

    Returns:
        Side by group.
    """
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for group, stratum in _strata(groups, strata).items():
        members[stratum].append(group)
    sides: dict[str, str] = {}
    for stratum, names in members.items():
        start = _fraction("\x1f".join(stratum), seed)
        ordered = sorted(names, key=lambda name: (hashlib.md5((name + seed).encode(), usedforsecurity=False).digest(), name))
        for position, name in enumerate(ordered):
            sides[name] = _side((position + start) / len(ordered), ratios)
    return sides


def _strata(groups: Sequence[str], strata: Sequence[tuple[str | None, ...]]) -> dict[str, tuple[str, ...]]:
    rows = [tuple("" if value is None else str(value) for value in stratum) for stratum in strata]
    frequency = Counter(rows)
    chosen: dict[str, tuple[str, ...]] = {}
    for group, stratum in zip(groups, rows, strict=True):
        rank = (frequency[stratum], stratum)
        if group not in chosen or rank < (frequency[chosen[group]], chosen[group]):
            chosen[group] = stratum
    return chosen


def _fraction(text: str, seed: str) -> float:
    digest = hashlib.md5((text + "\x1f" + seed).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def _side(position: float, ratios: Mapping[str, float]) -> str:
    total = 0.0
    # In a fixed order, because a recipe's mapping may be written in any.
    known = [side for side in SPLITS if side in ratios]
    ordered = [*known, *sorted(side for side in ratios if side not in known)]
    for side in ordered:
        total += ratios[side]
        if position < total:
            return side
    return ordered[-1]

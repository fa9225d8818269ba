"""Counts that may be shown: large enough that they point at nobody."""

from collections.abc import Collection, Mapping

LEAST_COUNT = 10
"""A count below it may point at people, and is not shown."""
FEW = f"<{LEAST_COUNT}"
"""Stands for a count from 1 to 9."""
WITHHELD = "withheld"
"""Stands for a count that is hidden because a smaller one could be worked out from it."""

# With two, that a second count had to be hidden would itself say that the small ones are all 1, or all 9.
_CHOICE = 4


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

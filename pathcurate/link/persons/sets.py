"""Sets and groups of numbered things, a column at a time: what millions of reports need is done without a loop over them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]
NUMBER = np.int32
"""Enough for two billion identities, and half the memory of the usual."""
NONE = -1
"""Where a column of numbers has none."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of things: ``one[i]`` and ``other[i]``."""

    one: Numbers
    other: Numbers

    def __len__(self) -> int:
        return len(self.one)


def ties(keys: Numbers, things: Numbers, count: int) -> Pairs:
    """Pairs of different things that make all things under one key hang together; none if a key has one thing only.

    Args:
        keys: 0 to ``count`` - 1.
        things: the thing beside each key.
        count: keys that there are.
    """
    one_of = np.full(count, NONE, dtype=NUMBER)
    one_of[keys] = things
    one = one_of[keys]
    apart = one != things
    return Pairs(one[apart], things[apart])


def varied(keys: Numbers, things: Numbers, count: int) -> Mask:
    """For each key whether it has two different things; arguments as for :func:`ties`."""
    one_of = np.full(count, NONE, dtype=NUMBER)
    one_of[keys] = things
    has_two = np.zeros(count, dtype=np.bool_)
    has_two[keys[one_of[keys] != things]] = True
    return has_two


def smallest(count: int, *joined: Pairs) -> Numbers:
    """For each of the things 0 to ``count`` - 1 the smallest one of its set, whatever the order of the pairs that join them.

    Every root that a pair ties to a smaller one is hung below it, and all paths are cut short, until no pair ties two sets
    (after Shiloach and Vishkin, J. Algorithms 1982).
    """
    above = np.arange(count, dtype=NUMBER)
    one = np.concatenate([above[:0], *(pairs.one for pairs in joined)])
    other = np.concatenate([above[:0], *(pairs.other for pairs in joined)])
    while len(one):
        one, other = above[one], above[other]
        apart = one != other
        one, other = one[apart], other[apart]
        np.minimum.at(above, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(further := above[above], above):
            above = further
    return above

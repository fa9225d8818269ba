"""Times to an event: Harrell's concordance and the Kaplan-Meier estimate.

Harrell FE, Califf RM, Pryor DB, Lee KL, Rosati RA. Evaluating the yield of medical tests. JAMA 1982;247:2543-2546.
Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat Assoc 1958;53:457-481.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pathcurate.benchmarks.answered import Flags, Floats, Whole


@dataclass(frozen=True, slots=True)
class _Level:
    """One level at which rows are compared: those of the left half of a block of times with those of its right half.

    Attributes:
        order: rows by block, and within it by risk.
        is_right: whether a row is of the right half.
        left: places of the left half's events.
        block: place where the block of each of them begins.
        below: place where those of its risk begin.
        beyond: place behind the last of its risk.
    """

    order: Whole
    is_right: Flags
    left: Whole
    block: Whole
    below: Whole
    beyond: Whole


class Concordance:
    """Pairs of rows by time and risk, found once and then weighed as often as needed; O(n log² n), then O(n log n).

    A pair can be compared if the earlier of two times is an event; of equal times, if exactly one is an event, which then
    is the earlier. It is concordant if the earlier has the higher risk; equal risks count half.

    Args:
        days: time of each of n rows.
        event: whether it ends in an event.
        risk: the higher, the sooner.
    """

    def __init__(self, days: Whole, event: Flags, risk: Floats) -> None:
        # Events of one time share a rank and so are never compared; who is censored at that time comes after them.
        _, self._rank = np.unique(2 * days.astype(np.int64) + ~event, return_inverse=True)
        self._event = event
        _, self._risk = np.unique(risk, return_inverse=True)
        self._levels = tuple(self._compared())

    def weighed(self, weights: Floats) -> Floats:
        """The concordance for each row of ``weights`` (drawings by n); NaN where no pair can be compared."""
        by_rank = np.zeros((len(weights), int(self._rank.max(initial=0)) + 1))
        for row, drawn in zip(by_rank, weights, strict=True):
            row[:] = np.bincount(self._rank, weights=drawn, minlength=len(row))
        later = np.cumsum(by_rank[:, ::-1], axis=1)[:, ::-1] - by_rank
        comparable = np.einsum("dn,dn->d", weights[:, self._event], later[:, self._rank[self._event]])
        concordant = np.zeros(len(weights))
        for level in self._levels:
            ordered = weights[:, level.order]
            right = np.zeros((len(weights), len(level.order) + 1))
            np.cumsum(ordered * level.is_right, axis=1, out=right[:, 1:])
            lower_and_half = (right[:, level.below] + right[:, level.beyond]) / 2 - right[:, level.block]
            concordant += np.einsum("dn,dn->d", ordered[:, level.left], lower_and_half)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(comparable > 0, concordant / comparable, np.nan)

    def _compared(self) -> Iterator[_Level]:
        for bit in range(int(self._rank.max(initial=0)).bit_length()):
            block = self._rank >> (bit + 1)
            order = np.lexsort((self._risk, block))
            is_right = ((self._rank >> bit) & 1 == 1)[order]
            left = np.flatnonzero(~is_right & self._event[order])
            blocks, risks = block[order], self._risk[order]
            new_block = np.concatenate([[True], blocks[1:] != blocks[:-1]])
            new_risk = new_block | np.concatenate([[True], risks[1:] != risks[:-1]])
            begins = np.flatnonzero(new_risk)
            which = np.cumsum(new_risk) - 1
            ends = np.append(begins[1:], len(order))
            block_begins = np.flatnonzero(new_block)[np.cumsum(new_block) - 1]
            yield _Level(order, is_right, left, block_begins[left], begins[which[left]], ends[which[left]])


def concordance(days: Whole, event: Flags, risk: Floats, weights: Floats) -> Floats:
    """Harrell's concordance for each row of weights; see :class:`Concordance`."""
    return Concordance(days, event, risk).weighed(weights)


def kaplan_meier(days: Whole, event: Flags) -> tuple[Whole, Floats, Whole]:
    """The times of events from the first, the share without event just after each, and how many were at risk before it."""
    times, place = np.unique(days, return_inverse=True)
    events = np.bincount(place, weights=event, minlength=len(times))
    leaving = np.bincount(place, minlength=len(times))
    at_risk = np.cumsum(leaving[::-1])[::-1]
    survival = np.cumprod(1 - events / at_risk)
    happened = events > 0
    return times[happened], np.asarray(survival[happened], dtype=np.float64), np.asarray(at_risk[happened], dtype=np.int64)

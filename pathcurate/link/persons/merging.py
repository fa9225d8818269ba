"""What merge lists join, and where they are not believed."""

from dataclasses import dataclass

import numpy as np

from pathcurate.link.persons.sets import NONE, Mask, Numbers, Pairs, smallest, ties, varied
from pathcurate.link.persons.told import Listed


@dataclass(frozen=True, slots=True)
class Merged:
    """What the lists do to persons.

    Attributes:
        persons: for each identity the person it belongs to, cards and lists together.
        joined: of persons whom a list joined, those who they were without it.
        apart: persons (as they are in ``persons``) whom a list names as one, but who are kept apart.
        refused: statements that are not believed, and rows of the lists that make each of them; what two numbers are said
            to be is numbered as its row is, what a master number says comes after these.
    """

    persons: Numbers
    joined: Numbers
    apart: Pairs
    refused: Pairs


@dataclass(frozen=True, slots=True)
class _Stated:
    """Numbers that a statement names as one person's: a pair, or all that have one master number."""

    statement: Numbers
    person: Numbers
    row: Numbers
    count: int


def merge(listed: Listed, numbers: Numbers, by_card: Numbers, shared: Mask, cards: Numbers) -> Merged:
    """Join what the lists join.

    A list is not believed where it would give one person two identity cards, nor about a number that two people share. If
    that shows only where several statements meet, none of them is believed: which of them is wrong, nobody knows.

    Args:
        listed: the statements.
        numbers: for each patient number what it is among the identities.
        by_card: for each identity the person it belongs to without the lists.
        shared: for each identity whether it is a number that two people share.
        cards: for each person without the lists the identity card, ``NONE`` where reports name none.
    """
    stated = _stated(listed, by_card[numbers])
    is_shared = shared[stated.person]
    carded = ~is_shared & (cards[stated.person] != NONE)
    two_cards = varied(stated.statement[carded], cards[stated.person[carded]], stated.count)
    believed = ~is_shared & ~two_cards[stated.statement]
    persons = _joined(stated, believed, len(by_card))
    holds_card = np.flatnonzero(cards != NONE)
    contradicted = varied(persons[holds_card], cards[holds_card], len(by_card))
    refused = np.zeros(stated.count, dtype=np.bool_)
    refused[stated.statement[~believed | contradicted[persons[stated.person]]]] = True
    # Of a statement about three numbers, one of them shared, what it says of the other two is believed.
    believed &= ~contradicted[persons[stated.person]]
    persons = _joined(stated, believed, len(by_card))
    disputed = refused[stated.statement]
    parties = np.unique(stated.person[believed])
    sizes = np.bincount(persons[parties], minlength=len(by_card))
    return Merged(
        persons[by_card],
        parties[sizes[persons[parties]] > 1],
        ties(stated.statement[disputed], persons[stated.person[disputed]], stated.count),
        Pairs(stated.statement[disputed], stated.row[disputed]),
    )


def _stated(listed: Listed, persons: Numbers) -> _Stated:
    """Statements that say more than is known: those about two persons or more."""
    has_other = (listed.number != NONE) & (listed.other != NONE)
    has_master = (listed.number != NONE) & (listed.master != NONE)
    rows = np.arange(len(listed.number))
    row = np.concatenate([rows[has_other], rows[has_other], rows[has_master]])
    number = np.concatenate([listed.number[has_other], listed.other[has_other], listed.number[has_master]])
    statement = np.concatenate([rows[has_other], rows[has_other], len(rows) + listed.master[has_master]])
    person = persons[number]
    says_more = varied(statement, person, 2 * len(rows))[statement]
    return _Stated(statement[says_more], person[says_more], row[says_more], 2 * len(rows))


def _joined(stated: _Stated, believed: Mask, count: int) -> Numbers:
    return smallest(count, ties(stated.statement[believed], stated.person[believed], stated.count))

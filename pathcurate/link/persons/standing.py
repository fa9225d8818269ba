"""Rows of ``persons`` and ``identities``: who there is, who may be the same, and which number leads to whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.link.persons.merging import Merged
from pathcurate.link.persons.sets import NONE, NUMBER, Mask, Numbers, Pairs, smallest, ties
from pathcurate.link.persons.told import Couples, Identities, Told
from pathcurate.model.person import BASES, GROUP_BASES, IDENTITIES, PERSONS
from pathcurate.tables import arrow_schema

_ID_TYPES = ("accession", "id_number", "patient_id")


@dataclass(frozen=True, slots=True)
class Anchored:
    """Reports, and who each of them counts for.

    Attributes:
        told: the reports.
        identities: what people are known by.
        merged: for each identity the person it belongs to.
        anchors: for each report the identity that it counts for.
        shared: for each identity whether it is a number that two people share.
    """

    told: Told
    identities: Identities
    merged: Merged
    anchors: Numbers
    shared: Mask

    @property
    def persons(self) -> Numbers:
        """For each report the person whom it counts for."""
        return self.merged.persons[self.anchors]


@dataclass(frozen=True, slots=True)
class Standing:
    """Rows of ``persons``.

    Attributes:
        known: the persons, by the identity that each is known by, in order.
        codes: the code of each.
        groups: the code of the group of each.
        table: their rows, in the order of their codes.
    """

    known: Numbers
    codes: "pa.StringArray"
    groups: "pa.StringArray"
    table: pa.Table

    def places(self, persons: Numbers) -> "pa.Array[Any]":
        """For persons their place among ``known``; null for ``NONE``."""
        return pa.array(np.searchsorted(self.known, persons).astype(NUMBER), mask=persons == NONE)


def stand(anchored: Anchored) -> Standing:
    """Everybody whom a report names, or whose number a list ties to somebody whom a report names."""
    told, identities, persons = anchored.told, anchored.identities, anchored.merged.persons
    count = identities.count
    of_report, number_is = anchored.persons, identities.of_numbers()
    groups, reasons = _groups(anchored)
    reported = np.zeros(len(number_is), dtype=np.bool_)
    reported[told.number[told.number != NONE]] = True
    is_there = np.zeros(count, dtype=np.bool_)
    is_there[of_report] = True
    is_there[persons[number_is[reported]]] = True
    # A number that only lists know is nobody's where the lists contradict the reports; who leaves under it must be kept out.
    group_is_there = np.zeros(count, dtype=np.bool_)
    group_is_there[groups[is_there]] = True
    listed = persons[number_is[~reported]]
    is_nobodys = np.zeros(count, dtype=np.bool_)
    is_nobodys[listed[~is_there[listed] & group_is_there[groups[listed]]]] = True
    known = np.flatnonzero(is_there | is_nobodys)

    numbers_of = np.bincount(persons[number_is[reported]], minlength=count)[known]
    is_held = np.zeros(count, dtype=np.bool_)
    is_held[of_report[anchored.anchors < len(identities.holders.one)]] = True
    is_joined = np.zeros(count, dtype=np.bool_)
    is_joined[persons[anchored.merged.joined]] = True
    basis = np.select(
        [(anchored.shared | is_nobodys)[known], is_joined[known], (numbers_of > 1) | is_held[known], numbers_of > 0],
        [BASES.index(basis) for basis in ("shared_number", "merge_list", "id_number", "site_number")],
        BASES.index("case"),
    )
    evidence = np.bincount(of_report, minlength=count)
    with_number = told.number[told.number != NONE]
    under_shared = number_is[with_number][anchored.shared[number_is[with_number]]]
    evidence += np.bincount(under_shared, minlength=count)
    codes = identities.codes(known)
    # The group is known by the smallest of its persons, and has that one's code but for its letter.
    heads = codes.take(np.searchsorted(known, groups[known]))
    group_codes: pa.StringArray = pc.binary_replace_slice(heads, 0, 1, "Q")
    table = pa.table(
        [codes, group_codes, pa.array(BASES).take(basis), pa.array(evidence[known]),
         _reason_lists().take(reasons[groups[known]])],
        schema=arrow_schema(PERSONS),
    )  # fmt: skip
    return Standing(known, codes, group_codes, table.take(pc.sort_indices(codes)))


def _groups(anchored: Anchored) -> tuple[Numbers, Numbers]:
    """For each person the smallest of those who may be the same one; for each of these the reasons, a bit each."""
    tied = dict(_possible(anchored))
    groups = smallest(anchored.identities.count, *tied.values())
    reasons = np.zeros(anchored.identities.count, dtype=NUMBER)
    for reason, pairs in tied.items():
        np.bitwise_or.at(reasons, groups[pairs.one], 1 << GROUP_BASES.index(reason))
    return groups, reasons


def _possible(anchored: Anchored) -> Iterator[tuple[str, Pairs]]:
    """Persons who may be one, and why."""
    told, persons = anchored.told, anchored.persons
    for reason, columns in (
        ("id_number", (told.card,)),
        ("name_birth_date_sex", (told.name, told.birth_date, told.sex)),
        ("phone_name", (told.name, told.phone)),
    ):
        rows = np.flatnonzero(np.all([column != NONE for column in columns], axis=0))
        keys: Numbers = np.zeros(len(rows), dtype=NUMBER)
        for column in columns:
            keys = Couples.of(keys, column[rows]).places
        yield reason, ties(keys, persons[rows], len(rows))
    numbers = anchored.identities.of_numbers()
    rows = np.flatnonzero(told.number != NONE)
    rows = rows[anchored.shared[numbers[told.number[rows]]]]
    # The number is nobody's, but who leaves under it must be kept out, whoever of them it is.
    one, other = persons[rows], numbers[told.number[rows]]
    yield "shared_number", Pairs(one[one != other], other[one != other])
    yield "merge_list", anchored.merged.apart


def _reason_lists() -> "pa.Array[Any]":
    """For each sum of reasons their names in order; null for none."""
    lists = [
        sorted(reason for bit, reason in enumerate(GROUP_BASES) if reasons >> bit & 1) or None
        for reasons in range(1 << len(GROUP_BASES))
    ]
    found: pa.Array[Any] = pa.array(lists, arrow_schema(PERSONS).field("group_basis").type)
    return found


def identity_rows(anchored: Anchored, standing: Standing, owners: Numbers) -> pa.Table:
    """Rows of ``identities``: which number leads to whom; texts that repeat are dictionaries, for there are millions.

    Args:
        anchored: the reports.
        standing: everybody.
        owners: for each case the person whose it is, ``NONE`` if it is nobody's.
    """
    told, identities = anchored.told, anchored.identities
    own = np.flatnonzero(owners != NONE)
    with_card = np.flatnonzero(told.card != NONE)
    carried = Couples.of(told.site[with_card], told.card[with_card])
    holders = np.full(len(carried.one), NONE, dtype=NUMBER)
    holders[carried.places] = anchored.persons[with_card]
    has_two = np.zeros(len(holders), dtype=np.bool_)
    has_two[carried.places[holders[carried.places] != anchored.persons[with_card]]] = True
    single = np.flatnonzero(~has_two)
    of_numbers = anchored.merged.persons[identities.of_numbers()]
    led = np.flatnonzero(np.isin(of_numbers, standing.known))

    sites = np.concatenate([identities.cases.one[own], carried.one[single], identities.numbers.one[led]])
    kinds = np.repeat(np.arange(len(_ID_TYPES), dtype=NUMBER), [len(own), len(single), len(led)])
    order = np.argsort((sites * len(_ID_TYPES) + kinds).astype(np.int16), kind="stable")
    sites, kinds = sites[order], kinds[order]
    persons = standing.places(np.concatenate([owners[own], holders[single], of_numbers[led]])[order])
    values = [
        texts.take(places)
        for texts, places in (
            (identities.accessions, identities.cases.other[own]),
            (identities.cards, carried.other[single]),
            (identities.patient_ids, identities.numbers.other[led]),
        )
    ]
    issued = kinds == _ID_TYPES.index("id_number")
    columns = {
        "site": repeating(pa.array(sites), identities.sites),
        "issuer": repeating(pa.array(sites, mask=issued), identities.sites),
        "id_type": repeating(pa.array(kinds), pa.array(_ID_TYPES)),
        "id_value": pa.concat_arrays(values).take(order),
        "person_id": repeating(persons, standing.codes),
        "group_id": repeating(persons, standing.groups),
    }
    return pa.table({name: columns[name] for name in IDENTITIES.names})


def repeating(places: Any, texts: Any) -> "pa.Array[Any]":
    """Texts by their places: a dictionary, for millions of rows repeat them."""
    return pa.DictionaryArray.from_arrays(places, texts)

"""What reports and merge lists say of patients, as columns of integers whose order is that of what they stand for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.digests import canonical_json
from pathcurate.link.persons.codes import person_codes
from pathcurate.link.persons.sets import NONE, NUMBER, Mask, Numbers, Pairs, smallest
from pathcurate.pseudonyms import canonical
from pathcurate.text.identities import are_han, card_numbers, fold_names, name_relations, phone_numbers

_SEXES = ("female", "male")

Fold = Callable[["pa.StringArray"], "pa.StringArray"]


@dataclass(frozen=True, slots=True)
class Ordered:
    """A column by the order of its values; texts are in the order of their code points, as in Python.

    Attributes:
        values: the distinct values, in order.
        places: for each row the place of its value in ``values``, ``NONE`` where it is missing.
    """

    values: "pa.StringArray"
    places: Numbers

    @classmethod
    def folded(cls, fold: Fold, *columns: "pa.ChunkedArray[Any]") -> Self:
        """Columns of text, one below the other, by the order of what ``fold`` makes of them; a text is folded once."""
        chunks = [chunk.cast(pa.string()) for column in columns for chunk in column.chunks]
        encoded: Any = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()
        values, places = _ranked(fold(encoded.dictionary))
        return cls(values, with_none(places)[_indices(encoded)])


@dataclass(frozen=True, slots=True)
class Couples:
    """Couples of two columns' values by their order.

    Attributes:
        one: of each distinct couple, in order, the place of the first column's value.
        other: of the second's.
        places: for each row the place of its couple, ``NONE`` where half of it is missing.
    """

    one: Numbers
    other: Numbers
    places: Numbers

    @classmethod
    def of(cls, one: Numbers, other: Numbers) -> Self:
        """Couples of two columns' places."""
        base = int(other.max(initial=0)) + 1
        values, places = _ranked(pa.array(one.astype(np.int64) * base + other, mask=(one == NONE) | (other == NONE)))
        keys = values.to_numpy()
        return cls((keys // base).astype(NUMBER), (keys % base).astype(NUMBER), places)


@dataclass(frozen=True, slots=True)
class Identities:
    """What people are known by, numbered in the order of (site, kind of number, number).

    The holder of a card is of no site, and comes first: the card's number and the name that goes with it.

    Attributes:
        sites: texts of the sites.
        cards: numbers of identity cards.
        names: names.
        accessions: accession numbers.
        patient_ids: patient numbers.
        holders: card and name of each holder; its place is its number here.
        cases: site and accession number.
        numbers: site and patient number.
    """

    sites: "pa.StringArray"
    cards: "pa.StringArray"
    names: "pa.StringArray"
    accessions: "pa.StringArray"
    patient_ids: "pa.StringArray"
    holders: Couples
    cases: Couples
    numbers: Couples

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.holders.one) + len(self.cases.one) + len(self.numbers.one)

    def of_cases(self) -> Numbers:
        """For each case what it is here."""
        before = np.searchsorted(self.numbers.one, self.cases.one, "left")
        return (len(self.holders.one) + np.arange(len(self.cases.one)) + before).astype(NUMBER)

    def of_numbers(self) -> Numbers:
        """For each patient number what it is here: at one site, accession numbers come before patient numbers."""
        before = np.searchsorted(self.cases.one, self.numbers.one, "right")
        return (len(self.holders.one) + np.arange(len(self.numbers.one)) + before).astype(NUMBER)

    def codes(self, known: Numbers) -> "pa.StringArray":
        """The code of the person who is known by each of these, which are in order."""
        rows, texts = [], []
        is_asked = np.zeros(self.count, dtype=np.bool_)
        is_asked[known] = True
        for id_type, couples, numbered, values in (
            ("accession", self.cases, self.of_cases(), self.accessions),
            ("patient_id", self.numbers, self.of_numbers(), self.patient_ids),
        ):
            asked = np.flatnonzero(is_asked[numbered])
            heads = pa.array([_head(str(site), id_type) for site in self.sites.to_pylist()], pa.string())
            rows.append(np.searchsorted(known, numbered[asked]))
            texts.append(_json(heads.take(couples.one[asked]), values.take(couples.other[asked])))
        holders = known[: np.searchsorted(known, len(self.holders.one))]
        names = self.names.take(self.holders.other[holders])
        rows.append(np.arange(len(holders)))
        texts.append(_json(_head("", "id_number"), _joined(self.cards.take(self.holders.one[holders]), " ", names)))
        return person_codes(pa.chunked_array(texts)).take(np.argsort(np.concatenate(rows)))


def _head(site: str, id_type: str) -> str:
    return canonical_json([site, id_type])[:-1].decode() + ","


def _json(heads: "pa.StringArray | str", values: "pa.StringArray") -> "pa.StringArray":
    """:func:`canonical_json` of each identity, of which ``heads`` are the first two parts."""
    # JSON writes a text as it stands, but for these characters.
    is_special = pc.match_substring_regex(values, r'["\\\x00-\x1f]')
    special = [canonical_json(value).decode() for value in values.filter(is_special).to_pylist()]
    quoted = pc.replace_with_mask(_joined('"', values, '"'), is_special, pa.array(special, pa.string()))
    return _joined(heads, quoted, "]")


def _joined(*parts: Any) -> "pa.StringArray":
    texts: pa.StringArray = pc.binary_join_element_wise(*parts, "")
    return texts


@dataclass(frozen=True, slots=True)
class Told:
    """What each report says of its patient, in the form in which it compares; ``NONE`` where it says nothing.

    Attributes:
        report_id: its identifier.
        site: its site, a place in :attr:`Identities.sites`.
        case: place in :attr:`Identities.cases`.
        number: the patient's number, place in :attr:`Identities.numbers`.
        holder: place in :attr:`Identities.holders`: an identity card with the name of somebody is one person, wherever both
            are named. A name that says whose child somebody is (王芳之女) makes no holder.
        card: the identity card's number.
        name: the folded name.
        is_han: whether the name is in Han characters.
        sex: male or female.
        birth_date: the day of birth.
        phone: the telephone number.
    """

    report_id: "pa.ChunkedArray[Any]"
    site: Numbers
    case: Numbers
    number: Numbers
    holder: Numbers
    card: Numbers
    name: Numbers
    is_han: Mask
    sex: Numbers
    birth_date: Numbers
    phone: Numbers


@dataclass(frozen=True, slots=True)
class Listed:
    """What each statement of the merge lists says.

    Attributes:
        merge_id: its identifier.
        site: its site.
        number: the number that stays, or that a master number is given to: place in :attr:`Identities.numbers`.
        other: the number that was merged into it.
        master: the master number, as a number of its own. Two hospitals' indexes both count from one: statements mean the
            same master number if they are of one source or of one site, directly or through others.
    """

    merge_id: "pa.ChunkedArray[Any]"
    site: Numbers
    number: Numbers
    other: Numbers
    master: Numbers


def read(reports: pa.Table, merges: pa.Table) -> tuple[Told, Listed, Identities]:
    """Reports and merge lists as integers.

    Args:
        reports: :data:`pathcurate.link.persons.COLUMNS`.
        merges: :data:`pathcurate.link.persons.MERGE_COLUMNS`.
    """
    other_site: Any = pc.coalesce(merges["other_site"], merges["site"])
    sites = Ordered.folded(_as_it_stands, reports["site"], merges["site"], other_site)
    patient_ids = Ordered.folded(
        _canonical, reports["patient_id"], merges["patient_id"], merges["other_patient_id"]
    )  # fmt: skip
    numbers = Couples.of(sites.places, patient_ids.places)
    own, stays, merged = np.split(numbers.places, (len(reports), len(reports) + len(merges)))
    site, of_list = sites.places[: len(reports)], sites.places[len(reports) :][: len(merges)]
    accessions = Ordered.folded(_as_it_stands, reports["accession"])
    cases = Couples.of(site, accessions.places)
    cards = Ordered.folded(card_numbers, reports["id_number"])
    names = Ordered.folded(fold_names, reports["patient_name"])
    is_person = np.append(~name_relations(names.values), False)
    holders = Couples.of(cards.places, np.where(is_person[names.places], names.places, NONE))
    told = Told(
        report_id=reports["report_id"],
        site=site,
        case=cases.places,
        number=own,
        holder=holders.places,
        card=cards.places,
        name=names.places,
        is_han=np.append(are_han(names.values), False)[names.places],
        sex=Ordered.folded(_sexes, reports["sex"]).places,
        birth_date=_ranked(reports["birth_date"].combine_chunks())[1],
        phone=Ordered.folded(phone_numbers, reports["phone"]).places,
    )
    masters = Ordered.folded(_canonical, merges["master_id"])
    source: Any = pc.coalesce(merges["source_file"], pa.scalar(""))  # a list without a name is one source
    sources = Ordered.folded(_as_it_stands, source)
    listed = Listed(
        merge_id=merges["merge_id"],
        site=of_list,
        number=stays,
        other=merged,
        master=_masters(masters.places, sources.places, of_list),
    )
    return (
        told,
        listed,
        Identities(sites.values, cards.values, names.values, accessions.values, patient_ids.values, holders, cases, numbers),
    )


def _masters(masters: Numbers, sources: Numbers, sites: Numbers) -> Numbers:
    of_source, of_site = Couples.of(masters, sources).places, Couples.of(masters, sites).places
    has_one = masters != NONE
    same = smallest(2 * len(masters), Pairs(of_source[has_one], len(masters) + of_site[has_one]))
    return np.where(has_one, same[of_source], NONE)


def _as_it_stands(texts: "pa.StringArray") -> "pa.StringArray":
    return texts


def _canonical(texts: "pa.StringArray") -> "pa.StringArray":
    return pa.array([canonical(text) or None for text in texts.to_pylist() if text is not None], pa.string())


def _sexes(texts: "pa.StringArray") -> "pa.StringArray":
    return pa.array([text if text in _SEXES else None for text in texts.to_pylist()], pa.string())


def with_none(values: Numbers) -> Numbers:
    """Values to be looked up by places, ``NONE`` among them."""
    return np.append(values, NUMBER(NONE))


def _ranked(column: Any) -> tuple[Any, Numbers]:
    """The distinct values of an array, in order, and for each row the place of its value, ``NONE`` where it is missing."""
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    places = np.full(len(order), NONE, dtype=NUMBER)
    places[order.to_numpy()] = np.arange(len(order))
    return encoded.dictionary.take(order), with_none(places)[_indices(encoded)]


def _indices(encoded: Any) -> Numbers:
    """Places in the dictionary, ``NONE`` where there is no value."""
    places: Numbers = pc.fill_null(encoded.indices, NONE).to_numpy()
    return places

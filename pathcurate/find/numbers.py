"""What a text names: by its form, and by the columns in which it may stand."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.find.standing import CaseKey, Standing
from pathcurate.lookup import Alike, Condition, Lookup, OneOf, Row
from pathcurate.lookup.rowfile import digest, names_of
from pathcurate.model.column import Table
from pathcurate.model.deidentified import PSEUDONYM_BODY
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.pseudonyms import canonical
from pathcurate.tables import Catalog
from pathcurate.text.accession import AccessionPatterns, fold
from pathcurate.text.identities import card_number

_CODE = re.compile(rf"[SCPQRIM]-{PSEUDONYM_BODY}")
LINK = tuple(name for name in LINKS.names if name != "rule_set_sha")
_OF_CASES: Mapping[str, tuple[Table, str, tuple[str, ...]]] = {
    table.name: (table, number, columns)
    for table, number, columns in (
        (REPORTS, "accession", (
            "report_id", "patient_id", "id_number", "report_type", "status", "is_current", "case_order", "organ",
            "reported_date", "diagnosis", "text_raw", "blocks",
        )),
        (LINKS, "accession", LINK),
        (MATERIALS, "accession", ("material_id", "kind", "specimen", "block", "glass_id", "stain")),
        (SLIDE_KEYS, "key", ("slide_id",)),
        (IDENTITIES, "id_value", ("id_type", "person_id")),
    )
}  # fmt: skip
"""The tables that know of cases: the column with the number, and what is shown of a row."""
_CODES_AT_ONCE = 50_000
_KINDS = {"patient_id": "patient number", "id_number": "identity card"}
_OLD_CARD_FROM, _OLD_CARD_TO = 6, 8
"""Where a card of 18 places has the century that one of 15 places has not; nor has that the check character at the end."""
_HELD: Mapping[str, tuple[Table, tuple[str, ...]]] = {
    "S": (SLIDES, ("slide_id",)), "C": (REPORTS, ("site", "accession")), "R": (REPORTS, ("report_id",)),
    "P": (PERSONS, ("person_id",)), "Q": (PERSONS, ("group_id",)), "I": (SERIES, ("series_id",)),
    "M": (MATERIALS, ("material_id",)),
}  # fmt: skip
"""Kind of a code to the columns that hold what it is of."""


@dataclass(slots=True)
class Sought:
    """What a text names."""

    matched: set[str] = field(default_factory=set)
    slides: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)
    cases: set[CaseKey] = field(default_factory=set)

    def add_slides(self, how: str, rows: Iterable[Row]) -> None:
        """Slides are meant."""
        self._note(how, self.slides, {row["slide_id"] for row in rows} - {None})

    def add_series(self, how: str, rows: Iterable[Row]) -> None:
        """Series are meant."""
        self._note(how, self.series, {row["series_id"] for row in rows} - {None})

    def add_cases(self, how: str, rows: Iterable[Row]) -> None:
        """Cases are meant; a row without a number is of none."""
        self._note(how, self.cases, {(row["site"], row["accession"]) for row in rows if row["accession"]})

    def _note(self, how: str, known: set[Any], found: set[Any]) -> None:
        if found:
            self.matched.add(how)
            known |= found


class Spellings:
    """Accession numbers in a text, by the patterns of every site; sites with the same patterns are asked once.

    Args:
        patterns: of each site.
    """

    def __init__(self, patterns: Mapping[str, Sequence[str]]) -> None:
        sites: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for site, own in patterns.items():
            sites[tuple(own)].append(site)
        self._sites = [(AccessionPatterns(own), tuple(of)) for own, of in sites.items()]

    def read(self, text: str) -> "Spelt":
        """What the patterns find in a text."""
        folded = fold(text)
        numbers: set[CaseKey] = set()
        without: set[str] = set()
        is_bare = False
        for patterns, sites in self._sites:
            keys = patterns.find(text)
            is_bare = is_bare or any(key.start == 0 and key.number_end == len(folded) for key in keys)
            # What no pattern knows may be a number all the same.
            for number in {key.key for key in keys} or {folded.strip()}:
                numbers.update((site, number) for site in sites)
            if not keys:
                without.update(sites)
        return Spelt(numbers, without, is_bare=is_bare)

    @property
    def sites(self) -> set[str]:
        """All sites."""
        return {site for _, sites in self._sites for site in sites}


@dataclass(frozen=True, slots=True)
class Spelt:
    """Accession numbers in a text.

    Attributes:
        numbers: sites and numbers.
        without: sites by whose patterns it holds none.
        is_bare: whether it is an accession number and nothing more.
    """

    numbers: set[CaseKey]
    without: set[str]
    is_bare: bool


class Numbers:
    """All columns in which a number may stand.

    Args:
        catalog: the catalog.
        lookup: finds its rows.
        spellings: finds accession numbers in texts.
        is_read: whether the names of all slides have been read for numbers since the last of them came.
    """

    def __init__(self, catalog: Catalog, lookup: Lookup, spellings: Spellings, *, is_read: bool) -> None:
        self._catalog = catalog
        self._lookup = lookup
        self._spellings = spellings
        self._is_read = is_read
        self._held: dict[str, dict[CaseKey, list[Row]]] = defaultdict(dict)
        self._asked: dict[str, set[CaseKey]] = defaultdict(set)

    def of_cases(self, table: Table, cases: Collection[CaseKey]) -> dict[CaseKey, list[Row]]:
        """Rows of a table that are of these cases; each case is looked for once."""
        table, column, columns = _OF_CASES[table.name]
        held = self._held[table.name]
        asked = self._asked[table.name]
        missing = {*cases} - asked
        if missing:
            asked |= missing
            wanted = {"site": OneOf({site for site, _ in missing}), column: OneOf({number for _, number in missing})}
            for row in self._lookup.rows(table, columns, wanted):
                if (case := (row["site"], row[column])) in missing:
                    held.setdefault(case, []).append(row)
        return {case: rows for case, rows in held.items() if case in cases}

    def look(self, standing: Standing, text: str, *, makes_codes: bool) -> Sought | None:
        """What a text names.

        Args:
            standing: knows the codes of cohorts and releases.
            text: it.
            makes_codes: whether all codes are made again, which takes long, to know what a pseudonym stands for; without
                that None is given for what may be one.
        """
        sought = Sought()
        code = canonical(text)
        if not code:
            return sought
        if _CODE.fullmatch(code):
            self._by_identifier(sought, "identifier", code)
            if not sought.matched:
                if not makes_codes:
                    return None
                self._by_pseudonym(sought, standing, code)
            if sought.matched:
                return sought
        spelt = self._spellings.read(text)
        bearing = self.of_cases(SLIDE_KEYS, spelt.numbers)
        alike = Alike({text})
        self._by_glass(sought, text, alike, {row["slide_id"] for rows in bearing.values() for row in rows})
        self._by_patient(sought, text, alike)
        self._by_series(sought, alike)
        if spelt.is_bare or not sought.slides:
            # The file or barcode of one slide holds a number too, but then that slide is meant and not all of its case.
            self._by_accession(sought, alike, spelt.numbers)
            for case in bearing.keys() - sought.cases:
                # Of a number that nothing but slides has: why they are not linked is what one looks for.
                sought.add_slides("accession number", bearing[case])
        if not sought.cases:
            self._by_identity(sought, text)
        if not sought.matched:
            self._by_any_text(sought, text, alike, spelt)
        return sought

    def cases_of(self, persons: Iterable[str]) -> list[Row]:
        """Cases of persons, as rows with site and accession."""
        wanted = {"person_id": OneOf(set(persons)), "id_type": OneOf({"accession"})}
        rows = self._lookup.rows(IDENTITIES, ("site", "id_value"), wanted)
        return [{"site": row["site"], "accession": row["id_value"]} for row in rows]

    def _by_identifier(self, sought: Sought, how: str, code: str) -> None:
        """By an identifier of the catalog."""
        lookup, wanted = self._lookup, OneOf({code})
        match code[0]:
            case "S":
                sought.add_slides(how, lookup.rows(SLIDES, ("slide_id",), {"slide_id": wanted}))
            case "I":
                sought.add_series(how, lookup.rows(SERIES, ("series_id",), {"series_id": wanted}))
            case "R":
                sought.add_cases(how, lookup.rows(REPORTS, ("site", "accession"), {"report_id": wanted}))
            case "M":
                sought.add_cases(how, lookup.rows(MATERIALS, ("site", "accession"), {"material_id": wanted}))
            case "P":
                self._by_persons(sought, how, {code})
            case "Q":
                rows = lookup.rows(PERSONS, ("person_id",), {"group_id": wanted})
                self._by_persons(sought, how, {row["person_id"] for row in rows})

    def _by_persons(self, sought: Sought, how: str, persons: set[str]) -> None:
        sought.add_cases(how, self.cases_of(persons))
        linked = self._lookup.rows(LINKS, ("slide_id", "series_id"), {"person_id": OneOf(persons)})
        sought.add_slides(how, linked)
        sought.add_series(how, linked)

    def _by_pseudonym(self, sought: Sought, standing: Standing, code: str) -> None:
        """By a pseudonym: those cannot be turned back, so those of everything of its kind are made again."""
        table, columns = _HELD[code[0]]
        for _, part in self._catalog.parts(table, columns):
            for batch in part.to_batches(max_chunksize=_CODES_AT_ONCE):
                for thing in zip(*(batch[name].to_pylist() for name in columns), strict=True):
                    for how in standing.spoken_of(code, code[0], *thing) if all(thing) else ():
                        if code[0] == "C":
                            sought.add_cases(how, [{"site": thing[0], "accession": thing[1]}])
                        else:
                            self._by_identifier(sought, how, thing[0])
                    if sought.matched:
                        return

    def _by_glass(self, sought: Sought, text: str, alike: Alike, bearing: set[str]) -> None:
        """By the number of one glass or the name of one file. Names with a number in them are found by that number."""
        sought.add_slides("barcode", self._lookup.rows(SLIDES, ("slide_id",), {"barcode": alike}))
        if bearing:
            named: dict[str, Condition] = {"relpath": _Named(text), "slide_id": OneOf(bearing)}
            sought.add_slides("file name", self._lookup.rows(SLIDES, ("slide_id",), named))
        for table, column, how in ((MATERIALS, "glass_id", "glass"), (SCANNER_INDEX, "barcode", "scanner's table")):
            sought.add_cases(how, self._lookup.rows(table, ("site", "accession"), {column: alike}))

    def _by_patient(self, sought: Sought, text: str, alike: Alike) -> None:
        cards = _cards(text)
        spellings = Alike({text, *cards}) if cards else alike
        for column, how in _KINDS.items():
            sought.add_cases(how, self._lookup.rows(REPORTS, ("site", "accession"), {column: spellings}))
        sought.add_slides("patient number", self._lookup.rows(SLIDES, ("slide_id",), {"patient_id": alike}))
        sought.add_series("patient number", self._lookup.rows(SERIES, ("series_id",), {"patient_id": alike}))

    def _by_identity(self, sought: Sought, text: str) -> None:
        """By a patient's number that no report has: a merge list's, a series'."""
        known = {"id_type": OneOf(_KINDS), "id_value": OneOf({canonical(text), *_cards(text)})}
        for row in self._lookup.rows(IDENTITIES, ("person_id",), known):
            self._by_persons(sought, _KINDS[row["id_type"]], {row["person_id"]})

    def _by_series(self, sought: Sought, alike: Alike) -> None:
        for column in ("accession", "study_uid", "series_uid"):
            sought.add_series("series number", self._lookup.rows(SERIES, ("series_id",), {column: alike}))

    def _by_accession(self, sought: Sought, alike: Alike, numbers: set[CaseKey]) -> None:
        for table in (REPORTS, LINKS, MATERIALS):
            known = [row for rows in self.of_cases(table, numbers).values() for row in rows]
            sought.add_cases("accession number", known)
        external = self._lookup.rows(REPORTS, ("site", "accession"), {"accession_external": alike})
        sought.add_cases("sender's number", external)

    def _by_any_text(self, sought: Sought, text: str, alike: Alike, spelt: Spelt) -> None:
        """By the texts that no part is sorted by: names of files, and numbers as they were exported."""
        case = ("site", "accession")
        # At other sites a slide that is named so has the number that the text has, and would have been found by it.
        sites = spelt.without if self._is_read else self._spellings.sites
        unread: dict[str, Condition] = {"relpath": _Named(text), "site": OneOf(sites)}
        sought.add_slides("file name", self._lookup.rows(SLIDES, ("slide_id",), unread))
        # The site's patterns may have changed since these were normalised.
        sought.add_cases("accession number", self._lookup.rows(REPORTS, case, {"accession_raw": alike}))
        for column in ("accession_raw", "path"):
            sought.add_cases("scanner's table", self._lookup.rows(SCANNER_INDEX, case, {column: alike}))


def _cards(text: str) -> set[str]:
    """Spellings of an identity card's number, none if it is none: until 1999 they had 15 places."""
    card = card_number(text)
    return {card, card[:_OLD_CARD_FROM] + card[_OLD_CARD_TO:-1]} if card else set()


def _is_name(relpath: bytes, text: str) -> bool:
    """Whether a text is a path, the name of its file, or that without its extension."""
    return text.casefold() in names_of(relpath)


@dataclass(frozen=True)
class _Named:
    """The value is a path of which a text is a name, see :func:`_is_name`."""

    text: str

    @property
    def values(self) -> Sequence[str]:
        """The name."""
        return (self.text.casefold(),)

    @property
    def digests(self) -> Sequence[int]:
        """Of the name."""
        return (digest(self.text.casefold()),)

    def passes(self, value: bytes | None) -> bool:
        """Whether it is one of that name."""
        return value is not None and _is_name(value, self.text)

    def may_pass(self, statistics: pq.Statistics) -> bool:
        """Whether there is a value: paths are in the order of their folders."""
        return bool(statistics.num_values)

    def mask(self, column: "pa.Array[Any]") -> "pa.Array[Any]":
        """Which are of that name."""
        return self._test(column)

    @cached_property
    def _test(self) -> Callable[["pa.Array[Any]"], "pa.Array[Any]"]:
        return _names_like(self.text)


def _names_like(text: str) -> Callable[["pa.Array[Any]"], "pa.Array[Any]"]:
    """A test for paths of which a text is a name: Arrow leaves few of them, and these are looked at one by one."""
    run = max(re.findall(r"[\x20-\x7e]+", text), key=len, default="").lower()
    ends = f"(^|/){re.escape(run)}" + r"(\.[^./]*)?$"
    # Names are in one of two encodings. What has no case is the same bytes in every spelling of it.
    spellings = [text.encode(name, errors="ignore") for name in ("utf-8", "gb18030")] if text.lower() == text.upper() else []

    def test(paths: "pa.Array[Any]") -> "pa.Array[Any]":
        if run:
            # ASCII characters are the same bytes in both, and no part of others that are letters in one case only.
            lowered = pc.ascii_lower(pa.Array.from_buffers(pa.string(), len(paths), paths.buffers(), offset=paths.offset))
            likely = pc.match_substring(lowered, run)
            if run == text.lower():
                likely = pc.and_(likely, pc.match_substring_regex(lowered.cast(pa.binary()), ends))
        else:
            matches = [pc.match_substring(paths, spelling) for spelling in spellings]  # type: ignore[call-overload]
            likely = reduce(pc.or_, matches) if matches else pc.is_valid(paths)
        at = pc.indices_nonzero(likely).to_numpy()
        passed = np.zeros(len(paths), np.bool_)
        passed[at] = [_is_name(path or b"", text) for path in paths.take(pc.indices_nonzero(likely)).to_pylist()]
        return pa.array(passed)

    return test

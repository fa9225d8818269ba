"""What a text names: by its form, and by the columns in which it may stand."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.find.standing import CaseKey, Standing
from pathcurate.lookup import Alike, Condition, Lookup, OneOf, Passing, Row
from pathcurate.model.column import Table
from pathcurate.model.deidentified import PSEUDONYM_BODY
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.pseudonyms import canonical
from pathcurate.storage import path_text
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


class Numbers:
    """All columns in which a number may stand.

    Args:
        catalog: the catalog.
        lookup: finds its rows.
        patterns: accession patterns of each site.
    """

    def __init__(self, catalog: Catalog, lookup: Lookup, patterns: Mapping[str, AccessionPatterns]) -> None:
        self._catalog = catalog
        self._lookup = lookup
        self._patterns = patterns
        self._held: dict[str, dict[CaseKey, list[Row]]] = defaultdict(dict)

    def of_cases(self, table: Table, cases: Collection[CaseKey]) -> dict[CaseKey, list[Row]]:
        """Rows of a table that are of these cases; each case is looked for once."""
        table, column, columns = _OF_CASES[table.name]
        held = self._held[table.name]
        missing = set(cases) - held.keys()
        held.update((case, []) for case in missing)
        wanted = {"site": OneOf({site for site, _ in missing}), column: OneOf({number for _, number in missing})}
        for row in self._lookup.rows(table, columns, wanted):
            if (row["site"], row[column]) in missing:
                held[row["site"], row[column]].append(row)
        return {case: held[case] for case in cases if held[case]}

    def look(self, standing: Standing, text: str) -> Sought:
        """What a text names; columns that are neither in order nor have a filter are read only if nothing else has it."""
        sought = Sought()
        code = canonical(text)
        if not code:
            return sought
        if _CODE.fullmatch(code):
            self._by_identifier(sought, "identifier", code)
            if not sought.matched:
                self._by_pseudonym(sought, standing, code)
            if sought.matched:
                return sought
        numbers = self._numbers(text)
        bearing = self.of_cases(SLIDE_KEYS, numbers)
        self._by_glass(sought, text, {row["slide_id"] for rows in bearing.values() for row in rows})
        self._by_patient(sought, text)
        self._by_series(sought, text)
        if self._is_bare(text) or not sought.slides:
            # The file or barcode of one slide holds a number too, but then that slide is meant and not all of its case.
            self._by_accession(sought, text, numbers)
            for case in bearing.keys() - sought.cases:
                # Of a number that nothing but slides has: why they are not linked is what one looks for.
                sought.add_slides("accession number", bearing[case])
        if not sought.cases:
            self._by_identity(sought, text)
        if not sought.matched:
            self._by_any_text(sought, text)
        return sought

    def _unread(self, text: str) -> set[str]:
        """Sites at which a slide may be named so without having the text's number in ``slide_keys``."""
        read_of, _, _ = (self._catalog.made_of(SLIDE_KEYS) or "").partition(" ")
        if read_of != self._catalog.state(SLIDES):
            return set(self._patterns)
        return {site for site, patterns in self._patterns.items() if not patterns.find(text)}

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

    def _by_glass(self, sought: Sought, text: str, bearing: set[str]) -> None:
        """By the number of one glass or the name of one file. Names with a number in them are found by that number."""
        alike = Alike({text})
        sought.add_slides("barcode", self._lookup.rows(SLIDES, ("slide_id",), {"barcode": alike}))
        named = self._lookup.rows(SLIDES, ("relpath",), {"slide_id": OneOf(bearing)})
        sought.add_slides("file name", [row for row in named if _is_name(row["relpath"], text)])
        for table, column, how in ((MATERIALS, "glass_id", "glass"), (SCANNER_INDEX, "barcode", "scanner's table")):
            sought.add_cases(how, self._lookup.rows(table, ("site", "accession"), {column: alike}))

    def _by_patient(self, sought: Sought, text: str) -> None:
        spellings = Alike({text, *_cards(text)})
        for column, how in _KINDS.items():
            sought.add_cases(how, self._lookup.rows(REPORTS, ("site", "accession"), {column: spellings}))
        sought.add_slides("patient number", self._lookup.rows(SLIDES, ("slide_id",), {"patient_id": Alike({text})}))
        sought.add_series("patient number", self._lookup.rows(SERIES, ("series_id",), {"patient_id": Alike({text})}))

    def _by_identity(self, sought: Sought, text: str) -> None:
        """By a patient's number that no report has: a merge list's, a series'."""
        known = {"id_type": OneOf(_KINDS), "id_value": OneOf({canonical(text), *_cards(text)})}
        for row in self._lookup.rows(IDENTITIES, ("person_id",), known):
            self._by_persons(sought, _KINDS[row["id_type"]], {row["person_id"]})

    def _by_series(self, sought: Sought, text: str) -> None:
        for column in ("accession", "study_uid", "series_uid"):
            sought.add_series("series number", self._lookup.rows(SERIES, ("series_id",), {column: Alike({text})}))

    def _by_accession(self, sought: Sought, text: str, numbers: set[CaseKey]) -> None:
        for table in (REPORTS, LINKS, MATERIALS):
            known = [row for rows in self.of_cases(table, numbers).values() for row in rows]
            sought.add_cases("accession number", known)
        external = self._lookup.rows(REPORTS, ("site", "accession"), {"accession_external": Alike({text})})
        sought.add_cases("sender's number", external)

    def _by_any_text(self, sought: Sought, text: str) -> None:
        """By the texts that no part is sorted by: names of files, and numbers as they were exported."""
        alike, names, case = Alike({text}), Passing(_names_like(text)), ("site", "accession")
        unread: dict[str, Condition] = {"site": OneOf(self._unread(text)), "relpath": names}
        sought.add_slides("file name", self._lookup.rows(SLIDES, ("slide_id",), unread))
        # The site's patterns may have changed since these were normalised.
        sought.add_cases("accession number", self._lookup.rows(REPORTS, case, {"accession_raw": alike}))
        for column in ("accession_raw", "path"):
            sought.add_cases("scanner's table", self._lookup.rows(SCANNER_INDEX, case, {column: alike}))

    def _numbers(self, text: str) -> set[CaseKey]:
        """The accession numbers that a text holds, by each site's patterns."""
        return {
            (site, number)
            for site, patterns in self._patterns.items()
            for number in (patterns.normalise(text), *(key.key for key in patterns.find(text)))
        }

    def _is_bare(self, text: str) -> bool:
        """Whether a text is an accession number and nothing more."""
        size = len(fold(text))
        keys = (key for patterns in self._patterns.values() for key in patterns.find(text))
        return any(key.start == 0 and key.number_end == size for key in keys)


def _cards(text: str) -> set[str]:
    """Spellings of an identity card's number, none if it is none: until 1999 they had 15 places."""
    card = card_number(text)
    return {card, card[:_OLD_CARD_FROM] + card[_OLD_CARD_TO:-1]} if card else set()


def _is_name(relpath: bytes, text: str) -> bool:
    """Whether a text is a path, the name of its file, or that without its extension."""
    path = path_text(relpath).casefold()
    last = path.rpartition("/")[2]
    return text.casefold() in {path, last, last.rpartition(".")[0]}


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

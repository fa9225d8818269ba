"""What an erasure takes: whose numbers, and every identifier of a row that is about the person, in any state of a table."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import UsageError
from pathcurate.forgotten import (
    CARD,
    CASE,
    FILE,
    NAMED,
    PATH,
    PATIENT,
    Mark,
    discriminated,
    number_mark,
    slide_name_mark,
)  # fmt: skip
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.lookup import Alike, Condition, Lookup, OneOf, Row
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Table
from pathcurate.model.event import EVENTS
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import FILES, SLIDE_KEYS, SLIDES
from pathcurate.model.source import SOURCE_ROWS
from pathcurate.pseudonyms import canonical, canonical_numbers
from pathcurate.readers import companion_folder
from pathcurate.rewriting import all_parts, newest_parts, rows_of
from pathcurate.storage import path_text
from pathcurate.tables import Catalog
from pathcurate.text.identities import card_number, card_numbers

_TOLD = ("patient_id", "patient_name", "id_number", "accession", "accession_raw", "accession_external", "phone", "address")
"""Columns of `reports` by which somebody else's file may speak of the person."""
_SEPARATOR = "\x1f"
_FOLDED: Mapping[str, Callable[[Any], Any]] = {PATIENT: canonical_numbers, CARD: card_numbers, CASE: lambda texts: texts}


@dataclass(frozen=True)
class Scope:
    """What goes. It names the person, so it is never shown, and kept in the vault only while the erasure runs.

    Attributes:
        numbers: marks of the person's numbers and cases.
        ids: identifiers of the person and of every row that goes.
        texts: what else names the person: names, numbers as they were written, telephone numbers, file names.
        subjects: how findings speak of rows and files that go.
        paths: marks of the files of slides and series that go.
        files: marks of imported files whose name tells whom they are about and that gave rows of nobody else.
        possible: how many other persons may be the same one; they stay.
        bearing: slides of other patients that bear one of the numbers; they stay.
    """

    numbers: tuple[Mark, ...]
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    subjects: tuple[str, ...]
    paths: tuple[Mark, ...]
    files: tuple[Mark, ...]
    possible: int
    bearing: int

    def __repr__(self) -> str:
        return f"Scope({len(self.ids)} rows)"

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Scope":
        """From what :meth:`as_dict` gave."""
        marks = {name: tuple(tuple(mark) for mark in content[name]) for name in ("numbers", "paths", "files")}
        texts = {name: tuple(content[name]) for name in ("ids", "texts", "subjects")}
        counts = {name: content[name] for name in ("possible", "bearing")}
        parts: dict[str, Any] = {**marks, **texts, **counts}
        return cls(**parts)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All that imports and scans leave out from now on."""
        return (*self.numbers, *self.paths, *self.files)

    @property
    def cases(self) -> list[tuple[str, str]]:
        """Site and number of each case."""
        return [(mark[1], mark[2]) for mark in self.numbers if mark[0] == CASE]

    def ids_of(self, kind: str) -> list[str]:
        """Identifiers of one kind, by their letter."""
        return [code for code in self.ids if code.startswith(f"{kind}-")]

    def identifiers(self) -> Identifiers:
        """All that names the person, to be searched for."""
        return Identifiers([("person", self.texts), ("row", self.ids)])


def names_person(table: Table, numbers: Iterable[Mark]) -> tuple[tuple[str, ...], Callable[[pa.Table], Any]]:
    """Columns of a table that name people or cases, and the mask of the rows that name one of these."""
    wanted = defaultdict(set)
    for kind, *rest in numbers:
        wanted[kind].add(_SEPARATOR.join(rest))
    named = [entry for entry in NAMED.get(table.name, ()) if wanted[entry[0]]]
    columns = {name for _, sites, column in named for name in (*sites, column)}
    told = {place[0] for kind, _, _ in named if (place := discriminated(table.name, kind)) is not None}

    def mask(data: pa.Table) -> Any:
        found: Any = pa.array([False] * data.num_rows, pa.bool_())
        for kind, sites, column in named:
            values = _FOLDED[kind](data[column].combine_chunks())
            if sites:
                of_site: Any = pc.coalesce(*(data[name].combine_chunks() for name in sites), pa.scalar(""))
                values = pc.binary_join_element_wise(of_site, values, _SEPARATOR)
            here: Any = pc.is_in(values, value_set=pa.array(sorted(wanted[kind]), pa.string()))
            if (place := discriminated(table.name, kind)) is not None:
                here = pc.and_(here, pc.equal(data[place[0]].combine_chunks(), pa.scalar(place[1])))
            found = pc.or_(found, pc.fill_null(here, False))
        return found

    return tuple(sorted(columns | told)), mask


def among(column: str, ids: Iterable[str]) -> Callable[[pa.Table], Any]:
    """The mask of the rows of which a column is one of some identifiers."""
    chosen = pa.array(sorted(ids), pa.string())
    return lambda data: pc.is_in(data[column].combine_chunks(), value_set=chosen)


def mentions(column: str, texts: Iterable[str]) -> Callable[[pa.Table], Any]:
    """The mask of the rows of which a column holds one of some texts, among others."""
    chosen = sorted(texts)

    def mask(data: pa.Table) -> Any:
        found: Any = pa.array([False] * data.num_rows, pa.bool_())
        for text in chosen:
            here: Any = pc.match_substring(data[column].combine_chunks(), text)
            found = pc.or_(found, pc.fill_null(here, False))
        return found

    return mask


def find_scope(directory: Path, text: str, site: str | None) -> Scope | None:
    """What goes with the one person who has a number; None if nothing here has it.

    Args:
        directory: the catalog.
        text: a patient's number, or an identity card's.
        site: whose patient number it is; None if that does not matter.

    Raises:
        UsageError: several persons have it, or nobody can say whose it is.
        InputOutputError: the catalog cannot be read.
    """
    lookup = Lookup(Catalog(directory))
    person = _person(lookup, text, site)
    if person is None:
        return None
    return _Collector(directory, lookup, person).scope()


def _person(lookup: Lookup, text: str, site: str | None) -> str | None:
    card = card_number(text)
    wanted = {"id_value": OneOf({canonical(text), *([card] if card else [])}), "id_type": OneOf({"patient_id", "id_number"})}
    rows = [
        row
        for row in lookup.rows(IDENTITIES, ("site", "id_type", "person_id"), wanted)
        if site in {None, row["site"]} or row["id_type"] == "id_number"
    ]
    persons = {row["person_id"] for row in rows}
    if len(persons) > 1:
        sites = sorted({row["site"] for row in rows})
        raise UsageError(
            f"that number is of {len(persons)} persons here (sites {', '.join(sites)})",
            "Give --site with a patient's number: an erasure takes one person, and only what is certainly theirs.",
        )
    if persons:
        return str(persons.pop())
    alike: dict[str, Condition] = {"patient_id": Alike({text}), **({"site": OneOf({site})} if site else {})}
    if any(lookup.rows(table, ("site",), alike) for table in (REPORTS, EVENTS)):
        raise UsageError(
            "reports or events have that number, but it is of no one person: two may share it, or nothing was linked since",
            "Run `pathcurate link`; if it stays so, give the number of the identity card.",
        )
    return None


class _Collector:
    """All that is one person's."""

    def __init__(self, directory: Path, lookup: Lookup, person: str) -> None:
        self._directory, self._lookup, self._person = directory, lookup, person
        self._ids: set[str] = {person}
        self._texts: set[str] = set()
        self._subjects: set[str] = set()

    def scope(self) -> Scope:
        """What goes with the person."""
        self._numbers = self._certain_numbers()
        for table in (REPORTS, EVENTS, MATERIALS, SCANNER_INDEX, MERGES):
            self._collect(table, *names_person(table, self._numbers))
        self._ids |= self._former_persons()
        slides, bearing = self._slides()
        series = self._series()
        self._ids |= slides | series
        self._collect(ANNOTATIONS, ("slide_id",), among("slide_id", slides))
        self._texts.update(number[-1] for number in self._numbers)
        self._known = Identifiers([("person", self._texts)])
        paths = {*self._paths(SLIDES, "slide_id", slides), *self._paths(SERIES, "series_id", series), *self._parts()}
        files = self._files()
        self._subjects.update(file[-1] for file in files)
        return Scope(
            numbers=tuple(sorted(self._numbers)), ids=tuple(sorted(self._ids)), texts=tuple(sorted(self._texts - {""})),
            subjects=tuple(sorted(self._subjects)), paths=tuple(sorted(paths)), files=tuple(files),
            possible=self._possible(), bearing=bearing,
        )  # fmt: skip

    def _certain_numbers(self) -> set[Mark]:
        known = self._lookup.rows(
            IDENTITIES, ("site", "id_type", "id_value"), {"person_id": OneOf({self._person})}
        )  # fmt: skip
        kinds = {"patient_id": PATIENT, "id_number": CARD, "accession": CASE}
        marks = {number_mark(kinds[row["id_type"]], row["site"], row["id_value"]) for row in known}
        numbers = {mark for mark in marks if mark is not None}
        # Cases that came since the last link: the number is this person's, and the case is nobody else's.
        columns, mask = names_person(REPORTS, [mark for mark in numbers if mark[0] != CASE])
        for path in newest_parts(self._directory, REPORTS):
            for row in rows_of(path, REPORTS, tuple({*columns, "site", "accession"}), mask).to_pylist():
                case = {"id_value": OneOf({row["accession"]}), "id_type": OneOf({"accession"}), "site": OneOf({row["site"]})}
                if not self._lookup.rows(IDENTITIES, ("person_id",), case):
                    numbers.add((CASE, row["site"], row["accession"]))
        return numbers

    def _former_persons(self) -> set[str]:
        """Codes that the person had in earlier states, and that are nobody else's now."""
        columns, mask = names_person(IDENTITIES, self._numbers)
        former: set[str] = set()
        for path in all_parts(self._directory, IDENTITIES):
            former.update(map(str, rows_of(path, IDENTITIES, (*columns, "person_id"), mask)["person_id"].to_pylist()))
        for path in newest_parts(self._directory, IDENTITIES):
            now = rows_of(path, IDENTITIES, tuple({*columns, "person_id"}), among("person_id", former))
            others: Any = pc.invert(mask(now))
            former -= set(map(str, now.filter(others)["person_id"].to_pylist()))
        return former

    def _collect(self, table: Table, columns: Sequence[str], mask: Callable[[pa.Table], Any]) -> None:
        """Identifiers and texts of the rows of a table in all of its states."""
        key = table.key[0]
        told = [name for name in _TOLD if table is REPORTS and name in table]
        names = tuple({key, "source_file", "source_row", *columns, *told})
        for path in all_parts(self._directory, table):
            for row in rows_of(path, table, names, mask).to_pylist():
                self._ids.add(row[key])
                self._subjects.add(f"{row['source_file']} row {row['source_row']}")
                self._texts.update(str(row[name]) for name in told if row[name])

    def _slides(self) -> tuple[set[str], int]:
        """The person's slides, and how many of others bear one of the person's numbers."""
        cases = {mark[1:] for mark in self._numbers if mark[0] == CASE}
        patients = {mark[2] for mark in self._numbers if mark[0] == PATIENT}
        bearing = {
            row["slide_id"] for row in self._rows(SLIDE_KEYS, ("slide_id", "site", "key", "patients"))
            if (row["site"], row["key"]) in cases or patients & {canonical(text) for text in row["patients"] or ()}
        }  # fmt: skip
        names, mask = names_person(SLIDES, self._numbers)
        for path in newest_parts(self._directory, SLIDES):
            bearing.update(rows_of(path, SLIDES, (*names, "slide_id"), mask)["slide_id"].to_pylist())
        ours, others = set(), set()
        for row in self._rows(LINKS, ("slide_id", "site", "accession", "person_id")):
            if row["slide_id"] and (row["person_id"] == self._person or (row["site"], row["accession"]) in cases):
                ours.add(row["slide_id"])
            elif row["slide_id"] in bearing and row["accession"]:
                others.add(row["slide_id"])
        return ours | (bearing - others), len(others - ours)

    def _rows(self, table: Table, columns: Sequence[str]) -> Iterable[Row]:
        for piece in Catalog(self._directory).pieces(table, 1 << 16):
            yield from piece.select(list(columns)).to_pylist()

    def _series(self) -> set[str]:
        linked = self._lookup.rows(LINKS, ("series_id",), {"person_id": OneOf({self._person})})
        columns, mask = names_person(SERIES, self._numbers)
        named = {
            str(code)
            for path in all_parts(self._directory, SERIES)
            for code in rows_of(path, SERIES, (*columns, "series_id"), mask)["series_id"].to_pylist()
        }
        return named | {str(row["series_id"]) for row in linked if row["series_id"]}

    def _paths(self, table: Table, key: str, ids: set[str]) -> Iterable[Mark]:
        """Marks of the main files, of what lies beside them, and of their names."""
        for part in all_parts(self._directory, table):
            for row in rows_of(part, table, (key, "site", "archive", "relpath"), among(key, ids)).to_pylist():
                path = row["relpath"]
                for one in filter(None, (path, companion_folder(path))):
                    yield PATH, row["site"], row["archive"], one.hex()
                name = PurePosixPath(path_text(path)).stem
                # Of a name that tells nobody, as 1.svs, others may have files too.
                if next(self._known.find(name), None):
                    self._texts.add(name)
                    yield slide_name_mark(name)

    def _parts(self) -> Iterable[Mark]:
        """Marks of the files that slides and series of several files are made of."""
        for part in all_parts(self._directory, FILES):
            owned = rows_of(part, FILES, ("owner", "site", "archive", "relpath"), among("owner", self._ids))
            for row in owned.to_pylist():
                yield PATH, row["site"], row["archive"], row["relpath"].hex()

    def _files(self) -> list[Mark]:
        """Imported files that gave rows of nobody else and whose names tell whom they are about."""
        rows, gone = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
        for row in self._rows(SOURCE_ROWS, ("table", "site", "source_file", "row_id")):
            file = row["table"], row["site"], row["source_file"]
            rows[file] += 1
            gone[file] += row["row_id"] in self._ids
        return sorted(
            (FILE, *file) for file, count in gone.items() if count == rows[file] and next(self._known.find(file[-1]), None)
        )

    def _possible(self) -> int:
        groups = {row["group_id"] for row in self._lookup.rows(PERSONS, ("group_id",), {"person_id": OneOf({self._person})})}
        if not groups:
            return 0
        return len(self._lookup.rows(PERSONS, ("person_id",), {"group_id": OneOf(groups)})) - 1

"""The de-identified tables and their criterion-only twins, column by column from the catalog's tables."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pathcurate.model.column import Table
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, PERMISSION_CODES, age_band
from pathcurate.model.event import EVENTS, is_closed_code
from pathcurate.model.link import LINKS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS, precedence
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import DateShift, Pseudonyms, canonical
from pathcurate.scrubbers.table import apply, needed
from pathcurate.tables import Catalog, column_values, conform, from_rows

_BY_LINK = ("specimen", "block", "stain")
"""What `links` knows better than `slides`."""
_PRECEDENCE = ("status", "is_current", "report_type", "reported_date", "report_id", "site", "accession")


@dataclass(frozen=True, slots=True)
class Built:
    """What de-identification makes.

    Attributes:
        tables: the tables of ``deid/``.
        criteria: their criterion-only twins, and the permissions by pseudonym.
        left_out: values left out because they were outside their column's closed set, by ``table.column``.
        reports_left_out: reports left out because their case has no one patient.
        events_left_out: events left out because no report has their patient, or more than one person has the number.
    """

    tables: Mapping[str, pa.Table]
    criteria: Mapping[str, pa.Table]
    left_out: Mapping[str, int]
    reports_left_out: int
    events_left_out: int


def build(catalog: Catalog, pseudonyms: Pseudonyms, shift: DateShift) -> Built:
    """Build every table.

    Args:
        catalog: the identified tables.
        pseudonyms: the internal layer.
        shift: the workspace's date shift.
    """
    people = _People(catalog, pseudonyms)
    told = _reports(catalog, people, shift)
    reports, true_reports = told.table, told.criteria
    slides, true_slides, left_out = _slides(catalog, people, shift, told)
    slides_of = Counter(column_values(slides, "case_id"))
    reports_of = Counter(column_values(reports, "case_id"))
    rows = pa.array(list(told.standing.values()), pa.int64())
    cases = reports.take(rows)
    codes = column_values(cases, "case_id")
    cases = _with(
        cases,
        report_count=pa.array([reports_of[code] for code in codes], pa.int64()),
        slide_count=pa.array([slides_of[code] for code in codes], pa.int64()),
    )
    events = _events(catalog, people, shift)
    tables = {
        "slides": slides, "cases": cases, "patients": _patients(cases), "reports": reports, "events": events.table,
    }  # fmt: skip
    criteria = {
        "slides": true_slides,
        "cases": _with(true_reports.take(rows), case_id=cases["case_id"]),
        "reports": true_reports,
        "events": events.criteria,
    }
    parts = (("slides", left_out), ("reports", told.left_out), ("events", events.left_out))
    return Built(
        {name: _finished(DEID_TABLES[name], data) for name, data in tables.items()},
        {
            **{name: _finished(CRITERIA_TABLES[name], data) for name, data in criteria.items()},
            "permissions": _permissions(catalog, people),
        },
        {f"{name}.{column}": count for name, part in parts for column, count in part.items()},
        told.without_person,
        events.without_person,
    )


class _People:
    """Who is behind a number, and their codes."""

    def __init__(self, catalog: Catalog, pseudonyms: Pseudonyms) -> None:
        self.pseudonyms = pseudonyms
        persons = catalog.read(PERSONS).to_pylist()
        self._groups = {row["person_id"]: row["group_id"] for row in persons}
        self._shared = {row["person_id"] for row in persons if row["basis"] == "shared_number"}
        self._persons = {
            (row["site"], row["id_type"], row["id_value"]): row["person_id"] for row in catalog.read(IDENTITIES).to_pylist()
        }

    def person(self, site: str, id_type: str, value: str | None) -> str | None:
        """The person behind a number, None if there is none or more than one."""
        return self._persons.get((site, id_type, value or ""))

    def holder(self, site: str, number: str) -> str | None:
        """The one person who has a patient number; None for a number that two people share, and for one of no report."""
        person = self.person(site, "patient_id", canonical(number))
        return None if person in self._shared else person

    def patient_codes(self, persons: Iterable[str | None]) -> list[str | None]:
        """Pseudonyms of persons."""
        return self.pseudonyms.codes("P", persons)

    def group_codes(self, persons: Iterable[str | None]) -> list[str | None]:
        """For each person the pseudonym of all persons who may be this one."""
        return self.pseudonyms.codes("Q", (self._groups[person] if person else None for person in persons))

    def case_codes(self, sites: Sequence[str], accessions: Sequence[str | None]) -> list[str | None]:
        """Pseudonyms of cases; each distinct case is keyed once."""
        pairs = list(zip(sites, accessions, strict=True))
        known = {(site, number): self.pseudonyms.code("C", site, number) for site, number in set(pairs) if number}
        return [known[site, number] if number else None for site, number in pairs]

    def owners(self, sites: Sequence[str], accessions: Sequence[str | None]) -> list[str | None]:
        """The person behind each case."""
        return [self.person(site, "accession", accession) for site, accession in zip(sites, accessions, strict=True)]

    def owned(
        self, data: pa.Table, persons: Sequence[str | None], sites: Sequence[str], accessions: Sequence[str | None]
    ) -> pa.Table:
        """``data`` with the columns that say whose each row is."""
        return _with(
            data,
            case_id=pa.array(self.case_codes(sites, accessions), pa.string()),
            patient_id=pa.array(self.patient_codes(persons), pa.string()),
            group_id=pa.array(self.group_codes(persons), pa.string()),
        )


def _with(data: pa.Table, **columns: "pa.Array[Any] | pa.ChunkedArray[Any]") -> pa.Table:
    for name, values in columns.items():
        data = data.drop_columns(name) if name in data.column_names else data
        data = data.append_column(name, values)
    return data


def _finished(table: Table, data: pa.Table) -> pa.Table:
    # Sorted by pseudonym, so that the order of the archive, which names and dates shape, is gone too.
    return conform(table, data).sort_by([(name, "ascending") for name in table.key])


@dataclass(frozen=True, slots=True)
class _Reports:
    """De-identified reports.

    Attributes:
        table: the de-identified columns.
        criteria: the true values, row by row.
        standing: for each case the row of the report that stands for it.
        left_out: values left out by column.
        without_person: reports left out because their case has no one patient.
    """

    table: pa.Table
    criteria: pa.Table
    standing: Mapping[str, int]
    left_out: Mapping[str, int]
    without_person: int


def _read_needed(catalog: Catalog, table: Table, *more: str) -> pa.Table:
    """Without the columns that are dropped or withheld: the texts of an archive need not fit into memory."""
    names = dict.fromkeys((*(column.name for column in needed(table)), *more))
    return catalog.read(table, columns=list(names))


def _reports(catalog: Catalog, people: _People, shift: DateShift) -> _Reports:
    raw = _read_needed(catalog, REPORTS, "accession")
    total = raw.num_rows
    owners = people.owners(column_values(raw, "site"), column_values(raw, "accession"))
    raw = raw.filter(pa.array([owner is not None for owner in owners], pa.bool_()))
    persons = [owner for owner in owners if owner is not None]
    scrubbed = apply(REPORTS, raw, persons, people.pseudonyms, shift)
    reports = people.owned(scrubbed.table, persons, column_values(raw, "site"), column_values(raw, "accession"))
    ages = column_values(scrubbed.criteria, "age")
    days = zip(
        column_values(scrubbed.criteria, "received_date"), column_values(scrubbed.criteria, "reported_date"), strict=True
    )
    years = [(received or reported).year if received or reported else None for received, reported in days]
    return _Reports(
        _with(reports, age_band=pa.array([age_band(age) for age in ages], pa.string())),
        _with(scrubbed.criteria, report_id=reports["report_id"], year=pa.array(years, pa.int64())),
        _standing_rows(raw, column_values(reports, "case_id")),
        scrubbed.left_out,
        total - raw.num_rows,
    )


def _standing_rows(raw: pa.Table, cases: Iterable[str]) -> dict[str, int]:
    """Row number of the report that stands for each case."""
    # By the catalog's values, as `link` decides it: by pseudonyms another key would let another report stand.
    ranked = raw.select(_PRECEDENCE).to_pylist()
    best: dict[str, int] = {}
    for number, case in enumerate(cases):
        if case not in best or precedence(ranked[best[case]]) < precedence(ranked[number]):
            best[case] = number
    return best


def _slides(
    catalog: Catalog, people: _People, shift: DateShift, reports: _Reports
) -> tuple[pa.Table, pa.Table, Mapping[str, int]]:
    """De-identified slides, their true values row by row, and the values left out by column."""
    raw = _read_needed(catalog, SLIDES)
    linked = catalog.read(LINKS, columns=("slide_id", "accession", "tier", *_BY_LINK))
    links = {row["slide_id"]: row for row in linked.to_pylist()}
    rows = [links.get(slide_id, {}) for slide_id in column_values(raw, "slide_id")]
    # What a slide shows is told by its glass, or by the number that it was linked by; its own names may hold several.
    for name in _BY_LINK:
        own = column_values(raw, name)
        told = [row[name] if row else value for row, value in zip(rows, own, strict=True)]
        raw = _with(raw, **{name: pa.array(told, pa.string())})
    sites = column_values(raw, "site")
    accessions = [row.get("accession") for row in rows]
    persons = people.owners(sites, accessions)
    # A slide that belongs to nobody still must not show its true date: it gets an offset of its own.
    keys = [person or slide_id for person, slide_id in zip(persons, column_values(raw, "slide_id"), strict=True)]
    scrubbed = apply(SLIDES, raw, keys, people.pseudonyms, shift)
    slides = people.owned(scrubbed.table, persons, sites, accessions)
    of_case = pa.array([reports.standing.get(case) for case in column_values(slides, "case_id")], pa.int64())
    mpp = [
        (x + y) / 2 if x is not None and y is not None else None
        for x, y in zip(column_values(raw, "mpp_x"), column_values(raw, "mpp_y"), strict=True)
    ]
    slides = _with(
        slides,
        tier=pa.array([row.get("tier") or "none" for row in rows], pa.string()),
        mpp=pa.array(mpp, pa.float64()),
        **{name: reports.table[name].take(of_case) for name in ("sex", "age", "age_band")},
    )
    true = _with(
        scrubbed.criteria,
        slide_id=slides["slide_id"],
        **{name: reports.criteria[name].take(of_case) for name in ("age", "year")},
    )
    return slides, true, scrubbed.left_out


@dataclass(frozen=True, slots=True)
class _Events:
    """De-identified events, their true values row by row, values left out by column, and events of unknown patients."""

    table: pa.Table
    criteria: pa.Table
    left_out: Mapping[str, int]
    without_person: int


def _events(catalog: Catalog, people: _People, shift: DateShift) -> _Events:
    raw = _read_needed(catalog, EVENTS, "patient_id")
    numbers = zip(column_values(raw, "site"), column_values(raw, "patient_id"), strict=True)
    owners = [people.holder(site, number) for site, number in numbers]
    known = raw.filter(pa.array([owner is not None for owner in owners], pa.bool_()))
    persons = [owner for owner in owners if owner is not None]
    codes = column_values(known, "code")
    # The column's pattern allows the forms of every code system; a code must have that of its own.
    closed = [
        code if is_closed_code(system, code) else None
        for system, code in zip(column_values(known, "code_system"), codes, strict=True)
    ]
    scrubbed = apply(EVENTS, _with(known, code=pa.array(closed, pa.string())), persons, people.pseudonyms, shift)
    hidden = sum(code is not None for code in codes) - sum(code is not None for code in closed)
    table = _with(
        scrubbed.table,
        patient_id=pa.array(people.patient_codes(persons), pa.string()),
        group_id=pa.array(people.group_codes(persons), pa.string()),
    )
    criteria = _with(scrubbed.criteria, event_id=table["event_id"], code=pa.array(codes, pa.string()))
    left_out = {**scrubbed.left_out, **({"code": hidden} if hidden else {})}
    return _Events(table, criteria, left_out, raw.num_rows - known.num_rows)


def _patients(cases: pa.Table) -> pa.Table:
    """One row per person; a sex that the cases do not agree on is missing."""
    patients: dict[str, dict[str, Any]] = {}
    columns = ("patient_id", "group_id", "sex", "slide_count")
    for row in cases.select(columns).to_pylist():
        patient = patients.setdefault(row["patient_id"], {**row, "case_count": 0, "slide_count": 0})
        patient["case_count"] += 1
        patient["slide_count"] += row["slide_count"]
        if row["sex"] != patient["sex"]:
            patient["sex"] = None
    return from_rows(DEID_TABLES["patients"], patients.values())


def _permissions(catalog: Catalog, people: _People) -> pa.Table:
    """Permissions by pseudonym; one about a number that no report has protects nobody's data and is left out."""
    rows = [
        {**row, "subject_code": code}
        for row in catalog.read(PERMISSIONS).to_pylist()
        if (code := _subject_code(row, people)) is not None
    ]
    ordered = sorted(rows, key=lambda row: (row["subject"], row["subject_code"], row["source"], row["source_row"]))
    return from_rows(PERMISSION_CODES, ordered)


def _subject_code(row: Mapping[str, Any], people: _People) -> str | None:
    match row["subject"]:
        case "person":
            person = people.person(row["site"] or "", "patient_id", row["subject_value"])
            # An opt-out guards whoever may be this person; a permission is this person's alone.
            return (people.group_codes if row["opt_out"] else people.patient_codes)([person])[0]
        case "case":
            return people.case_codes([row["site"] or ""], [row["subject_value"]])[0]
        case "site":
            return str(row["site"]) if row["site"] else None
        case _:
            return "population"

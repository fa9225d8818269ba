"""Whole cases: everything that the catalog holds of a case, and why its slides are linked to it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pathcurate.find.facts import (
    BlockFacts,
    CaseFacts,
    Found,
    GlassFacts,
    PersonFacts,
    ReportFacts,
    SeriesFacts,
    SlideFacts,
)
from pathcurate.find.numbers import LINK, Numbers, Sought
from pathcurate.find.standing import CaseKey, Codes, Said, Standing
from pathcurate.lookup import Lookup, OneOf, Present, Row
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES
from pathcurate.model.link import LINK_DECISIONS, LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS, precedence
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.storage import path_text

_SLIDE = ("slide_id", "site", "archive", "relpath", "status", "scan_datetime", "specimen", "block", "stain")
_SERIES = (
    "series_id", "site", "archive", "relpath", "status", "modality", "body_part", "study_date", "instance_count"
)  # fmt: skip
_DIAGNOSIS = ("report_id", "specimen", "organ", "icdo3_morphology", "icd10", "assertion")
_DECISION = ("slide_id", "accession", "decision", "reviewer", "decided_at")
_LOOKED_AT, _FIRST_WORDS = 1000, 80
"""Characters of a diagnosis that are looked at, and that are shown; what lies beside a part has no more than the former."""
_OWN_NUMBER = ("site_number", "case")
"""Persons on this basis have no numbers but those of their reports."""
_REMARKS = {
    "patient_agrees": ("patient agrees", "patient differs"),
    "organ_agrees": ("organ agrees", "organ differs"),
    "stain_plausible": ("stain known of the case", "stain not known of the case"),
    "block_named": ("block named in the report or laboratory table", "block not named in the report or laboratory table"),
}

Place = tuple[str | None, str | None]
"""Specimen and block."""


def gather(lookup: Lookup, numbers: Numbers, standing: Standing, sought: Sought) -> Found:
    """What is known of everything that a text names; every table is asked for all of it at once."""
    held = _gather(lookup, numbers, sought)
    alone = {case: standing.codes(None, case, held.owners.get(case)) for case in held.cases}
    codes = {slide_id: _codes(standing, held, slide_id, alone) for slide_id in held.slides}
    said = standing.read([*codes.values(), *alone.values()])
    return Found(
        matched=tuple(sorted(sought.matched)),
        cases=tuple(_case(held, said, case, codes, alone[case]) for case in sorted(held.cases)),
        slides=tuple(
            _slide(held, said, slide_id, codes[slide_id], is_meant=slide_id in sought.slides)
            for slide_id in sorted(held.slides)
        ),
        series=tuple(_series(row, held.series_links.get(series_id, {})) for series_id, row in sorted(held.series.items())),
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """Rows of the catalog: those of cases by site and number, others by their identifier."""

    cases: Collection[CaseKey]
    links: Mapping[str, Row]
    series_links: Mapping[str, Row]
    bearing: Mapping[CaseKey, Collection[str]]
    slides: Mapping[str, Row]
    series: Mapping[str, Row]
    reports: Mapping[CaseKey, Sequence[Row]]
    diagnoses: Mapping[str, Sequence[Row]]
    materials: Mapping[CaseKey, Sequence[Row]]
    owners: Mapping[CaseKey, str]
    persons: Mapping[str, PersonFacts]
    decisions: Mapping[str, Sequence[Row]]
    annotations: Mapping[str, int]

    def linked(self, case: CaseKey) -> list[str]:
        """Slides linked to a case, in order."""
        of_case = (slide_id for slide_id, link in self.links.items() if (link["site"], link["accession"]) == case)
        return sorted(slide_id for slide_id in of_case if slide_id in self.slides)


def _gather(lookup: Lookup, numbers: Numbers, sought: Sought) -> _Held:
    links = _Links()
    links.add_of(numbers, sought.cases)
    links.add(lookup.rows(LINKS, LINK, {"slide_id": OneOf(sought.slides - links.slides.keys())}))
    links.add(lookup.rows(LINKS, LINK, {"series_id": OneOf(sought.series - links.series.keys())}))
    cases = sought.cases | links.cases()
    links.add_of(numbers, cases)
    bearing = {
        case: {row["slide_id"] for row in rows} for case, rows in numbers.of_cases(SLIDE_KEYS, cases).items()
    }  # fmt: skip
    named = {slide_id for slides in bearing.values() for slide_id in slides}
    links.add(lookup.rows(LINKS, LINK, {"slide_id": OneOf(named - links.slides.keys())}))
    reports = numbers.of_cases(REPORTS, cases)
    owners = {
        case: row["person_id"]
        for case, rows in numbers.of_cases(IDENTITIES, cases).items()
        for row in rows
        if row["id_type"] == "accession"
    }
    people = {*owners.values(), *(link["person_id"] for link in links.series.values() if link["person_id"])}
    if not lookup.is_empty(SERIES):
        links.add(lookup.rows(LINKS, LINK, {"person_id": OneOf(people), "series_id": Present()}))
    slides = _rows(lookup, SLIDES, _SLIDE, {*sought.slides, *links.slides, *named})
    report_ids = {row["report_id"] for rows in reports.values() for row in rows}
    drawn = lookup.rows(ANNOTATIONS, ("slide_id",), {"slide_id": OneOf(slides)})
    return _Held(
        cases=cases,
        links=links.slides,
        series_links=links.series,
        bearing=bearing,
        slides=slides,
        series=_rows(lookup, SERIES, _SERIES, {*sought.series, *links.series}),
        reports=reports,
        diagnoses=_grouped(lookup.rows(DIAGNOSES, _DIAGNOSIS, {"report_id": OneOf(report_ids)}), "report_id"),
        materials=numbers.of_cases(MATERIALS, cases),
        owners=owners,
        persons=_persons(lookup, people),
        decisions=_grouped(lookup.rows(LINK_DECISIONS, _DECISION, {"slide_id": OneOf(slides)}), "slide_id"),
        annotations=Counter(row["slide_id"] for row in drawn),
    )


class _Links:
    """Rows of ``links`` by their slide or series."""

    def __init__(self) -> None:
        self.slides: dict[str, Row] = {}
        self.series: dict[str, Row] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        for row in rows:
            if row["slide_id"]:
                self.slides[row["slide_id"]] = row
            elif row["series_id"]:
                self.series[row["series_id"]] = row

    def add_of(self, numbers: Numbers, cases: Collection[CaseKey]) -> None:
        """Add those of cases."""
        for rows in numbers.of_cases(LINKS, cases).values():
            self.add(rows)

    def cases(self) -> set[CaseKey]:
        """The cases that they are linked to."""
        return {
            (row["site"], row["accession"]) for row in (*self.slides.values(), *self.series.values()) if row["accession"]
        }


def _rows(lookup: Lookup, table: Table, columns: Sequence[str], identifiers: Collection[str]) -> dict[str, Row]:
    (key,) = table.key
    return {row[key]: row for row in lookup.rows(table, columns, {key: OneOf(identifiers)})}


def _grouped(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


def _persons(lookup: Lookup, people: Collection[str]) -> dict[str, PersonFacts]:
    rows = _rows(lookup, PERSONS, PERSONS.names, people)
    joined = {person for person, row in rows.items() if row["basis"] not in _OWN_NUMBER}
    # In the order of the table accession numbers come first, and most groups of rows have nothing else.
    wanted = {"person_id": OneOf(joined), "id_type": OneOf(("id_number", "patient_id"))}
    numbers = _grouped(lookup.rows(IDENTITIES, ("site", "id_type", "id_value", "person_id"), wanted), "person_id")
    return {
        person: PersonFacts(
            person, row["group_id"], row["basis"], tuple(row["group_basis"] or ()),
            tuple(sorted(f"{one['site']} {one['id_type']} {one['id_value']}" for one in numbers.get(person, ()))),
        )
        for person, row in rows.items()
    }  # fmt: skip


# --- In words ----------------------------------------------------------------------------------------------------


def _codes(standing: Standing, held: _Held, slide_id: str, cases: Mapping[CaseKey, Codes]) -> Codes:
    link = held.links.get(slide_id, {})
    case = (link["site"], link["accession"]) if link.get("accession") else None
    if case is not None and case in cases:
        return {**standing.codes(slide_id, None, None), **cases[case]}
    return standing.codes(slide_id, case, held.owners.get(case) if case else None)


def _case(held: _Held, said: Said, case: CaseKey, codes: Mapping[str, Codes], alone: Codes) -> CaseFacts:
    reports = sorted(held.reports.get(case, ()), key=lambda row: (row["case_order"] or 0, precedence(row)))
    slides, owner = held.linked(case), held.owners.get(case)
    things = [codes[slide_id] for slide_id in slides] or [alone]
    return CaseFacts(
        site=case[0],
        accession=case[1],
        patient_ids=tuple(sorted({row["patient_id"] for row in reports if row["patient_id"]})),
        person=held.persons.get(owner) if owner else None,
        reports=tuple(map(_report, reports)),
        blocks=tuple(_blocks(held, case, slides, reports)),
        unlinked=tuple(sorted((set(held.bearing.get(case, ())) & held.slides.keys()) - set(slides))),
        series=tuple(
            sorted(
                series_id
                for series_id, link in held.series_links.items()
                if (link["site"], link["accession"]) == case
                or (link["accession"] is None and owner is not None and link["person_id"] == owner)
            )
        ),
        cohorts=said.cohorts(things),
        releases=said.releases(things),
    )


def _report(row: Row) -> ReportFacts:
    words = " ".join((row["diagnosis"] or row["text_raw"] or "")[:_LOOKED_AT].split())
    return ReportFacts(
        report_id=row["report_id"],
        report_type=row["report_type"],
        status=row["status"],
        is_current=row["is_current"],
        reported=_day(row["reported_date"]),
        organ=row["organ"],
        diagnosis=(words[:_FIRST_WORDS] + "…" if len(words) > _FIRST_WORDS else words) or None,
    )


def _blocks(held: _Held, case: CaseKey, slides: Iterable[str], reports: Sequence[Row]) -> Iterator[BlockFacts]:
    """Specimens and blocks in order; what is of no known block comes last."""
    named: dict[Place, set[str]] = defaultdict(set)
    glass: dict[Place, list[GlassFacts]] = defaultdict(list)
    images: dict[Place, list[str]] = defaultdict(list)
    findings: dict[str | None, dict[str, None]] = defaultdict(dict)
    shown = {link["material_id"]: slide_id for slide_id, link in held.links.items() if link["material_id"]}
    for report in reports:
        for text in report["blocks"] or ():
            named[text[:1], text[1:]].add("report")
        for row in held.diagnoses.get(report["report_id"], ()):
            findings[row["specimen"]][_finding(row)] = None
    for row in held.materials.get(case, ()):
        place = row["specimen"], row["block"]
        named[place].add("laboratory table")
        if row["kind"] == "slide":
            slide_id = shown.get(row["material_id"])
            glass[place].append(GlassFacts(row["material_id"], row["glass_id"], row["stain"], slide_id))
    for slide_id in slides:
        place = _place(held, slide_id)
        named[place].add("slide")
        images[place].append(slide_id)
    # A diagnosis of a specimen of which no block is known has a place of its own.
    for specimen in findings.keys() - {specimen for specimen, _ in named}:
        named[specimen, None].add("report")
    for place in sorted(named, key=_in_order):
        yield BlockFacts(
            specimen=place[0],
            block=place[1],
            diagnoses=tuple(findings.pop(place[0], ())),
            named_by=tuple(sorted(named[place])),
            glass=tuple(sorted(glass[place], key=lambda one: (one.glass_id or "", one.material_id))),
            slides=tuple(images[place]),
        )


def _in_order(place: Place) -> tuple[bool, str, bool, int, str]:
    specimen, block = place
    return specimen is None, specimen or "", block is None, int(block) if block and block.isdecimal() else 0, block or ""


def _place(held: _Held, slide_id: str) -> Place:
    link, row = held.links.get(slide_id, {}), held.slides[slide_id]
    of = link if link.get("specimen") else row
    return of["specimen"], of["block"]


def _finding(row: Row) -> str:
    said = "" if row["assertion"] == "affirmed" else f" ({row['assertion']})"
    return " ".join(filter(None, (row["organ"], row["icdo3_morphology"] or row["icd10"]))) + said


def _slide(held: _Held, said: Said, slide_id: str, codes: Codes, *, is_meant: bool) -> SlideFacts:
    row, link = held.slides[slide_id], held.links.get(slide_id, {})
    specimen, block = _place(held, slide_id)
    return SlideFacts(
        slide_id=slide_id,
        is_meant=is_meant,
        site=row["site"],
        archive=row["archive"],
        path=path_text(row["relpath"]),
        status=row["status"],
        scanned=_day(row["scan_datetime"]),
        tier=link.get("tier"),
        confidence=link.get("confidence"),
        rule=link.get("rule"),
        evidence=tuple(link.get("evidence") or ()),
        remarks=tuple(_remarks(link)),
        losing_candidates=tuple(link.get("losing_candidates") or ()),
        accession=link.get("accession"),
        report_id=link.get("report_id"),
        specimen=specimen,
        block=block,
        stain=link.get("stain") or row["stain"],
        decisions=tuple(map(_decision, sorted(held.decisions.get(slide_id, ()), key=_when))),
        annotations=held.annotations.get(slide_id, 0),
        cohorts=said.cohorts([codes]),
        releases=said.releases([codes]),
    )


def _remarks(link: Mapping[str, Any]) -> Iterator[str]:
    lag = link.get("lag_days")
    if lag is not None:
        days = f"{abs(lag)} day{'' if abs(lag) == 1 else 's'}"
        yield f"scanned {days} after receipt" if lag >= 0 else f"scanned {days} before receipt"
    for column, (yes, no) in _REMARKS.items():
        if link.get(column) is not None:
            yield yes if link[column] else no


def _when(decision: Row) -> tuple[datetime, str]:
    return decision["decided_at"], decision["decision_id"]


def _decision(row: Row) -> str:
    of = f"case {row['accession']}" if row["accession"] else "any case"
    by = f", by {row['reviewer']}" if row["reviewer"] else ""
    return f"{row['decision']} {of}, {_day(row['decided_at'])}{by}"


def _series(row: Row, link: Mapping[str, Any]) -> SeriesFacts:
    return SeriesFacts(
        series_id=row["series_id"],
        site=row["site"],
        archive=row["archive"],
        path=path_text(row["relpath"]),
        status=row["status"],
        modality=row["modality"],
        body_part=row["body_part"],
        day=_day(row["study_date"]),
        instance_count=row["instance_count"],
        accession=link.get("accession"),
        person_id=link.get("person_id"),
        tier=link.get("tier"),
        rule=link.get("rule"),
        evidence=tuple(link.get("evidence") or ()),
    )


def _day(moment: date | None) -> str | None:
    return moment.isoformat()[:10] if moment else None

"""The de-identified tables and their criterion-only twins, column by column from the catalog's tables.

Whatever is asked of a value is asked once for each distinct one, so that millions of rows cost a few passes over their
columns. One table is made after the other and given away at once, those of what reports say in pieces: what is in memory is
the largest of the others.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.deid.columns import SEPARATOR, filled, pairs, places, taken, where, whole, with_columns
from pathcurate.deid.people import People
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Table
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, PERMISSION_CODES, TRUE_LABEL
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS, REPORT_CONCEPTS
from pathcurate.model.event import EVENTS, GREATEST_VALUE, is_closed_code
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.profile import Profile
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import Layer
from pathcurate.scrubbers.table import Chunked, Scrubbed, apply, each_distinct, needed
from pathcurate.tables import Catalog, arrow_schema, conform, from_rows, write_pieces

_BY_LINK = ("specimen", "block", "stain")
"""What `links` knows better than `slides`."""
_PRECEDENCE = ("status", "is_current", "report_type", "reported_date", "report_id", "site", "accession")
_ORDER_OF_MENTIONS = ("text_column", "start", "end", "concept", "concept_sha")
_OWNERS = ("report_id", "case_id", "patient_id", "group_id")
_ROWS_OF_A_PIECE = 2_000_000


Write: TypeAlias = Callable[[str, Iterable[pa.Table]], None]
"""Takes the name of a table and its rows in the order of its key, in one piece or more, with the declared columns."""


@dataclass(frozen=True, slots=True)
class Built:
    """What de-identification has made.

    Attributes:
        rows: rows of each table of ``deid/``.
        left_out: values left out because they were outside their column's closed set, by ``table.column``.
        rows_left_out: rows left out, by table: reports whose case has no one patient; events and series of nobody who is
            known; annotations whose slide is not known; blocks and glass of cases that no report has.
    """

    rows: Mapping[str, int]
    left_out: Mapping[str, int]
    rows_left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Made:
    """One table before it is sorted.

    Attributes:
        table: the de-identified columns.
        criteria: the true values, row by row.
        left_out: values left out by column.
        rows_left_out: rows left out because it is not known whose they are.
    """

    table: pa.Table
    criteria: pa.Table
    left_out: Mapping[str, int]
    rows_left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Reports:
    """De-identified reports.

    Attributes:
        made: the table.
        raw_ids: the catalog's ``report_id`` of each row.
        standing: row numbers of the reports that stand for their cases.
    """

    made: _Made
    raw_ids: Chunked
    standing: "pa.Array[Any]"


@dataclass(frozen=True, slots=True)
class _Owners:
    """Whose each report is.

    Attributes:
        raw_ids: the catalog's ``report_id`` of each.
        codes: the pseudonyms of :data:`_OWNERS`.
    """

    raw_ids: Chunked
    codes: pa.Table


def build_files(catalog: Catalog, layer: Layer, profile: Profile, directory: Path, criteria: Path) -> Built:
    """Build every table as a file of one of two directories; see :func:`build`.

    Raises:
        InputOutputError: a file cannot be written.
    """

    def write(name: str, pieces: Iterable[pa.Table]) -> None:
        write_pieces(directory / f"{name}.parquet", arrow_schema(DEID_TABLES[name]), pieces)

    def write_criteria(name: str, pieces: Iterable[pa.Table]) -> None:
        schema = arrow_schema(CRITERIA_TABLES.get(name, PERMISSION_CODES))
        write_pieces(criteria / f"{name}.parquet", schema, pieces, mode=0o600)

    return build(catalog, layer, profile, write=write, write_criteria=write_criteria)


def build(catalog: Catalog, layer: Layer, profile: Profile, *, write: Write, write_criteria: Write) -> Built:
    """Build every table.

    Args:
        catalog: the identified tables.
        layer: the internal layer.
        profile: which columns are filled, and with what.
        write: takes the tables of ``deid/``.
        write_criteria: takes their criterion-only twins, and the permissions by pseudonym.
    """
    given = _Given(write, write_criteria)
    builder = _Builder(catalog, layer, profile)
    reports = _reports_and_slides(builder, given)
    for table in (DIAGNOSES, IHC_RESULTS, REPORT_CONCEPTS):
        given.said(table, builder.said(table, reports))
    del reports
    for name, make in (("events", builder.events), ("series", builder.series), ("materials", builder.materials)):
        given.made(name, make())
    write_criteria("permissions", [builder.permissions()])
    return Built(given.rows, given.left_out, given.rows_left_out)


def _reports_and_slides(builder: "_Builder", given: "_Given") -> "_Owners":
    """Reports and slides, and what is made of both of them; what is left is whose each report is."""
    reports = builder.reports()
    owners = _Owners(reports.raw_ids, reports.made.table.select(_OWNERS))
    true_patients, true_cases = _true_patients(reports.made), reports.made.criteria.take(reports.standing)
    slides, slide_ids = builder.slides(reports)
    given.made("annotations", builder.annotations(slides, slide_ids))
    of_slides = slides.table["case_id"]
    given.made("slides", slides)
    del slides, slide_ids
    cases = reports.made.table.take(reports.standing)
    cases = with_columns(
        cases,
        report_count=_counted(cases["case_id"], reports.made.table["case_id"]),
        slide_count=_counted(cases["case_id"], of_slides),
    )
    given.made("reports", reports.made)
    del reports
    given.made("patients", _Made(_patients(cases), true_patients, {}))
    given.made("cases", _Made(cases, with_columns(true_cases, case_id=cases["case_id"]), {}))
    return owners


class _Given:
    """Gives tables away, and counts what was left out of them."""

    def __init__(self, write: Write, write_criteria: Write) -> None:
        self._write, self._write_criteria = write, write_criteria
        self.rows: dict[str, int] = {}
        self.left_out: dict[str, int] = {}
        self.rows_left_out: dict[str, int] = {}

    def made(self, name: str, made: "_Made") -> None:
        """A table and its twin."""
        self._counted(name, made)
        self._write(name, [_finished(DEID_TABLES[name], made.table)])
        if name in CRITERIA_TABLES:
            self._write_criteria(name, [_finished(CRITERIA_TABLES[name], made.criteria)])

    def said(self, table: Table, pieces: "Iterator[_Made]") -> None:
        """A table in pieces, each of which has the codes behind those of the one before."""

        def finished() -> Iterator[pa.Table]:
            for made in pieces:
                self._counted(table.name, made)
                yield _finished(DEID_TABLES[table.name], made.table)

        self._write(table.name, finished())

    def _counted(self, name: str, made: "_Made") -> None:
        self.rows[name] = self.rows.get(name, 0) + made.table.num_rows
        for column, count in made.left_out.items():
            place = f"{name}.{column}"
            self.left_out[place] = self.left_out.get(place, 0) + count
        if made.rows_left_out:
            self.rows_left_out[name] = made.rows_left_out


def permissions_by_code(catalog: Catalog, layer: Layer, profile: Profile) -> pa.Table:
    """The permissions alone, by pseudonym; see :func:`build`."""
    return _Builder(catalog, layer, profile).permissions()


class _Builder:
    """Makes one table after the other."""

    def __init__(self, catalog: Catalog, layer: Layer, profile: Profile) -> None:
        self._catalog, self._layer, self._profile = catalog, layer, profile
        self._people = People(catalog, layer.codes)

    def _read(self, table: Table, *more: str) -> pa.Table:
        """Without the columns that are dropped or withheld: the texts of an archive need not fit into memory."""
        return self._catalog.read(table, columns=list(dict.fromkeys((*needed(table, self._profile), *more))))

    def _scrubbed(self, table: Table, data: pa.Table, owners: Chunked) -> Scrubbed:
        return apply(table, data, owners, self._layer, self._profile)

    def reports(self) -> _Reports:
        """De-identified reports of the cases that have one patient."""
        raw = self._read(REPORTS, *_PRECEDENCE)
        total = raw.num_rows
        persons = self._people.behind(raw["site"], "accession", raw["accession"])
        raw, persons = raw.filter(persons.is_valid()), persons.drop_null()
        owners, cases = self._people.owners(persons), self._people.case_codes(raw["site"], raw["accession"])
        scrubbed = self._scrubbed(REPORTS, raw, owners["patient_id"])
        table = with_columns(scrubbed.table, case_id=cases, **owners)
        days = pc.coalesce(scrubbed.criteria["received_date"], scrubbed.criteria["reported_date"])
        criteria = with_columns(scrubbed.criteria, report_id=table["report_id"], year=pc.year(days))
        made = _Made(table, criteria, scrubbed.left_out, total - raw.num_rows)
        return _Reports(made, raw["report_id"], _standing_rows(raw, cases))

    def slides(self, reports: _Reports) -> tuple[_Made, Chunked]:
        """De-identified slides of every state, linked or not, and the catalog's ``slide_id`` of each row."""
        raw = self._read(SLIDES)
        links = self._catalog.read(LINKS, columns=("slide_id", "accession", "tier", *_BY_LINK))
        of_slide = places(raw["slide_id"], links["slide_id"])
        # What a slide shows is told by its glass, or by the number that it was linked by; its own names may hold several.
        told = {
            name: where(of_slide.is_valid(), links[name].take(of_slide), raw[name])
            for name in _BY_LINK
            if name in raw.column_names
        }
        raw = with_columns(raw, **told)
        accessions = links["accession"].take(of_slide)
        persons = self._people.behind(raw["site"], "accession", accessions)
        owners = self._people.owners(persons)
        # A slide that belongs to nobody still must not show its true date: it gets an offset of its own.
        nobodys = where(persons.is_valid(), None, raw["slide_id"])
        moved_by = pc.coalesce(owners["patient_id"], whole(self._layer.codes.code_array("S", nobodys)))
        scrubbed = self._scrubbed(SLIDES, raw, moved_by)
        slides = with_columns(scrubbed.table, case_id=self._people.case_codes(raw["site"], accessions), **owners)
        standing = reports.made.table["case_id"].take(reports.standing)
        of_case = reports.standing.take(places(slides["case_id"], standing))
        slides = with_columns(
            slides,
            tier=pc.coalesce(links["tier"].take(of_slide), pa.scalar("none")),
            mpp=pc.divide(pc.add(slides["mpp_x"], slides["mpp_y"]), pa.scalar(2.0)),
            **{name: reports.made.table[name].take(of_case) for name in ("sex", "age", "age_band")},
        )
        true = with_columns(
            scrubbed.criteria,
            slide_id=slides["slide_id"],
            **{name: reports.made.criteria[name].take(of_case) for name in ("age", "year")},
        )
        return _Made(slides, true, scrubbed.left_out), raw["slide_id"]

    def events(self) -> _Made:
        """De-identified events of patients who are known."""
        raw = self._read(EVENTS, "patient_id", "code", "code_system", "value")
        persons = self._people.holders(raw["site"], raw["patient_id"])
        known, persons = raw.filter(persons.is_valid()), persons.drop_null()
        # The column's pattern allows the forms of every code system; a code must have that of its own.
        is_closed = each_distinct(
            pairs(filled(known["code_system"], ""), known["code"]),
            lambda told: [is_closed_code(*pair.split(SEPARATOR, 1)) for pair in told],
            pa.bool_(),
        )
        closed = where(filled(is_closed, False), known["code"], None)
        owners = self._people.owners(persons)
        scrubbed = self._scrubbed(EVENTS, with_columns(known, code=closed), owners["patient_id"])
        results = where(_is_result(scrubbed.table), scrubbed.table["value"], None)
        table = with_columns(scrubbed.table, value=results, **owners)
        criteria = with_columns(scrubbed.criteria, event_id=table["event_id"], code=known["code"], value=known["value"])
        hidden = closed.null_count - known["code"].null_count if "code" in self._profile.filled("events") else 0
        left_out = {**scrubbed.left_out, **({"code": hidden} if hidden else {})}
        return _Made(table, criteria, left_out, raw.num_rows - known.num_rows)

    def series(self) -> _Made:
        """De-identified series of patients who are known."""
        raw = self._read(SERIES, "patient_id")
        links = self._catalog.read(LINKS, columns=("series_id", "accession", "person_id"))
        links = links.filter(links["series_id"].is_valid())
        of_series = places(raw["series_id"], links["series_id"])
        accessions = links["accession"].take(of_series)
        # Of a series that `link` has looked at it knows best whose it is, and where something speaks against its number.
        of_number = where(of_series.is_valid(), None, self._people.holders(raw["site"], raw["patient_id"]))
        persons = pc.coalesce(
            self._people.behind(raw["site"], "accession", accessions),
            self._people.alone(links["person_id"].take(of_series)),
            of_number,
        )
        owners = self._people.owners(persons)
        columns = {**owners, "case_id": self._people.case_codes(raw["site"], accessions)}
        # Without a group nobody's opt-out would be found.
        is_known = owners["group_id"].is_valid()
        known = raw.filter(is_known)
        columns = {name: values.filter(is_known) for name, values in columns.items()}
        scrubbed = self._scrubbed(SERIES, known, columns["patient_id"])
        table = with_columns(scrubbed.table, **columns)
        days = pc.coalesce(*(scrubbed.criteria[name] for name in ("series_date", "study_date", "acquisition_date")))
        criteria = with_columns(scrubbed.criteria, series_id=table["series_id"], year=pc.year(days))
        return _Made(table, criteria, scrubbed.left_out, raw.num_rows - known.num_rows)

    def annotations(self, slides: _Made, slide_ids: Chunked) -> _Made:
        """De-identified annotations of the slides that the catalog has."""
        raw = self._read(ANNOTATIONS, "slide_id", "label")
        of_slide = places(raw["slide_id"], slide_ids)
        known, of_slide = raw.filter(of_slide.is_valid()), of_slide.drop_null()
        owners = {name: slides.table[name].take(of_slide) for name in ("case_id", "patient_id", "group_id")}
        scrubbed = self._scrubbed(ANNOTATIONS, known, owners["patient_id"])
        table = with_columns(scrubbed.table, **owners)
        form = re.compile(TRUE_LABEL.pattern)
        labels = each_distinct(known["label"], lambda found: [text if form.fullmatch(text) else None for text in found])
        hidden = labels.null_count - known["label"].null_count
        criteria = with_columns(table.select(["annotation_id"]), label=labels)
        left_out = {**scrubbed.left_out, **({"label": hidden} if hidden else {})}
        return _Made(table, criteria, left_out, raw.num_rows - known.num_rows)

    def materials(self) -> _Made:
        """De-identified blocks and glass slides of the cases that have one patient."""
        raw = self._read(MATERIALS, "accession")
        persons = self._people.behind(raw["site"], "accession", raw["accession"])
        known, persons = raw.filter(persons.is_valid()), persons.drop_null()
        owners = self._people.owners(persons)
        scrubbed = self._scrubbed(MATERIALS, known, owners["patient_id"])
        table = with_columns(scrubbed.table, case_id=self._people.case_codes(known["site"], known["accession"]), **owners)
        criteria = with_columns(scrubbed.criteria, material_id=table["material_id"])
        return _Made(table, criteria, scrubbed.left_out, raw.num_rows - known.num_rows)

    def said(self, table: Table, reports: _Owners) -> Iterator[_Made]:
        """What the reports say, for those that are left, without the places in their texts, some reports at a time."""
        is_mentions = table is REPORT_CONCEPTS
        raw = self._read(table, *(_ORDER_OF_MENTIONS if is_mentions else ()))
        of_report = places(raw["report_id"], reports.raw_ids)
        raw, of_report = raw.filter(of_report.is_valid()), of_report.drop_null()
        pieces = max(1, -(-raw.num_rows // _ROWS_OF_A_PIECE))
        piece_of = _pieces(reports.codes["report_id"], pieces)[of_report.to_numpy()]
        for piece in range(pieces):
            is_of_it = pa.array(piece_of == piece)
            yield self._said(table, raw.filter(is_of_it), of_report.filter(is_of_it), reports.codes, is_mentions)

    def _said(self, table: Table, raw: pa.Table, of_report: "pa.Array[Any]", codes: pa.Table, is_mentions: bool) -> _Made:
        if is_mentions:
            order = raw.append_column("report", of_report).sort_by(
                [(name, "ascending") for name in ("report", *_ORDER_OF_MENTIONS)]
            )
            of_report = order["report"].combine_chunks()
            raw = with_columns(order, ordinal=pa.array(_ordinals(of_report.to_numpy()), pa.int64()))
        # Every report has its code already, so the millions of rows need no key.
        body = replace(table, columns=table.columns[1:], key=table.key[1:])
        owners = {name: codes[name].take(of_report) for name in _OWNERS}
        scrubbed = self._scrubbed(body, raw, owners["patient_id"])
        numbers = {"ordinal": raw["ordinal"]} if is_mentions else {}
        return _Made(with_columns(scrubbed.table, **owners, **numbers), scrubbed.criteria, scrubbed.left_out)

    def permissions(self) -> pa.Table:
        """Permissions by pseudonym; one about a number that no report has protects nobody's data and is left out."""
        data = self._catalog.read(PERMISSIONS)
        sites = filled(data["site"], "")
        persons = self._people.behind(sites, "patient_id", data["subject_value"])
        codes = zip(
            self._people.patient_codes(persons).to_pylist(), self._people.group_codes(persons).to_pylist(),
            self._people.case_codes(sites, data["subject_value"]).to_pylist(), strict=True,
        )  # fmt: skip
        rows = [
            {**row, "subject_code": code}
            for row, found in zip(data.to_pylist(), codes, strict=True)
            if (code := _subject_code(row, *found)) is not None
        ]
        ordered = sorted(rows, key=lambda row: (row["subject"], row["subject_code"], row["source"], row["source_row"]))
        return from_rows(PERMISSION_CODES, ordered)


def _is_result(events: pa.Table) -> Chunked:
    """Whether what is shown of an event makes its number the result of an analyte: any other may be that of somebody."""
    is_laboratory = pc.equal(events["kind"], pa.scalar("laboratory"))
    is_analyte = pc.and_(is_laboratory, pc.equal(events["code_system"], pa.scalar("analyte")))
    is_told = pc.and_(events["code"].is_valid(), events["unit"].is_valid())
    is_small = pc.less(pc.abs(events["value"]), pa.scalar(float(GREATEST_VALUE)))
    result: Chunked = filled(pc.and_(is_analyte, pc.and_(is_told, is_small)), False)
    return result


def _subject_code(row: Mapping[str, Any], patient: str | None, group: str | None, case: str | None) -> str | None:
    match row["subject"]:
        case "person":
            # An opt-out guards whoever may be this person; a permission is this person's alone.
            return group if row["opt_out"] else patient
        case "case":
            return case
        case "site":
            return row["site"] or None
        case _:
            return "population"


def _standing_rows(raw: pa.Table, cases: Chunked) -> "pa.Array[Any]":
    """Row numbers of the reports that stand for their cases, as :func:`~pathcurate.model.report.precedence` ranks them.

    By the catalog's values, as `link` decides it: by pseudonyms another key would let another report stand.
    """
    of_case = cases.combine_chunks().dictionary_encode().indices
    keys: dict[str, Any] = {
        "case": of_case,
        "stands": pc.not_equal(raw["status"], pa.scalar("withdrawn")),
        "current": filled(raw["is_current"], False),
        "primary": pc.is_in(raw["report_type"], value_set=pa.array(["primary", "amended"])),
        "reported": filled(raw["reported_date"], datetime.min),
        "report": raw["report_id"],
    }
    ranked = pa.table(keys)
    order = pc.sort_indices(ranked, sort_keys=[(name, "ascending") for name in ranked.column_names])
    sorted_cases = of_case.take(order).to_numpy()
    is_last = np.append(sorted_cases[1:] != sorted_cases[:-1], True)[: len(sorted_cases)]
    return pa.array(order.to_numpy()[is_last], pa.int64())


def _pieces(codes: Chunked, pieces: int) -> "np.ndarray[Any, Any]":
    """Which piece each code is of: as many in each, and those of one behind all of the one before."""
    piece_of = np.empty(len(codes), np.int32)
    piece_of[pc.sort_indices(codes).to_numpy()] = np.arange(len(codes)) * pieces // max(1, len(codes))
    return piece_of


def _ordinals(sorted_groups: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Place of each row in its group, from 1."""
    places = np.arange(len(sorted_groups))
    is_first = np.concatenate([[True], sorted_groups[1:] != sorted_groups[:-1]])[: len(places)]
    return places - np.maximum.accumulate(np.where(is_first, places, 0)) + 1


def _patients(cases: pa.Table) -> pa.Table:
    """One row per person; a sex or a province that the cases do not agree on is missing."""
    grouped = cases.group_by("patient_id").aggregate(
        [
            ("group_id", "min"), ("case_id", "count"), ("slide_count", "sum"), ("sex", "min"), ("province", "min"),
            ("sex", "count_distinct", pc.CountOptions(mode="all")), ("province", "count_distinct"),
        ]
    )  # fmt: skip
    columns: dict[str, Any] = {
        "patient_id": grouped["patient_id"],
        "group_id": grouped["group_id_min"],
        "case_count": grouped["case_id_count"],
        "slide_count": grouped["slide_count_sum"],
        "sex": _agreed(grouped, "sex"),
        "province": _agreed(grouped, "province"),
    }
    return pa.table(columns)


def _true_patients(reports: _Made) -> pa.Table:
    """One row per person; a date of birth that the reports do not agree on is missing."""
    told = reports.criteria.select(["birth_date"]).append_column("patient_id", reports.table["patient_id"])
    grouped = told.group_by("patient_id").aggregate([("birth_date", "min"), ("birth_date", "count_distinct")])
    return with_columns(grouped.select(["patient_id"]), birth_date=_agreed(grouped, "birth_date"))


def _agreed(grouped: pa.Table, name: str) -> Any:
    """The one value of each group, missing where there are several."""
    return where(pc.equal(grouped[f"{name}_count_distinct"], pa.scalar(1)), grouped[f"{name}_min"], None)


def _counted(keys: Chunked, values: Chunked) -> Chunked:
    """How often each key is among the values."""
    counts = pc.value_counts(values.drop_null().combine_chunks())
    found = taken(pa.chunked_array([counts.field("counts")]), keys, pa.chunked_array([counts.field("values")]))
    told: Chunked = filled(found, 0)
    return told


def _finished(table: Table, data: pa.Table) -> pa.Table:
    # Sorted by pseudonym, so that the order of the archive, which names and dates shape, is gone too.
    return conform(table, data).sort_by([(name, "ascending") for name in table.key])

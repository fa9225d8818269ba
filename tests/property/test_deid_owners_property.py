"""Whose a series, a shape and a glass are, against an evaluator that goes through them one by one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.deid.build import build
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Table
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDES
from pathcurate.profiles import read_profile
from pathcurate.pseudonyms import internal
from pathcurate.tables import Catalog, from_rows

Row = dict[str, Any]
LAYER = internal(bytes(32))
SITES, NUMBERS, CASES, PEOPLE = ("NB01", "NB02"), ("1", "2"), ("S1", "S2"), ("P-1", "P-2", "P-3")

_persons = st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(("site_number", "shared_number")), min_size=2)
_identities = st.dictionaries(
    st.tuples(
        st.sampled_from(SITES), st.sampled_from([*(("patient_id", n) for n in NUMBERS), *(("accession", c) for c in CASES)])
    ),
    st.sampled_from(PEOPLE),
    min_size=4,
)
_maybe = st.none() | st.sampled_from(CASES)
_series = st.lists(st.tuples(st.sampled_from(SITES), st.none() | st.sampled_from(("1", "２", "3"))), min_size=3, max_size=5)
_linked = st.none() | st.tuples(_maybe, st.none() | st.sampled_from(PEOPLE))
_slides = st.lists(st.tuples(st.sampled_from(SITES), _linked), max_size=3)
_glass = st.lists(st.tuples(st.sampled_from(SITES), st.sampled_from(CASES)), max_size=3)
_shapes = st.lists(st.none() | st.integers(0, 4), max_size=4)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("owners")


@given(_persons, _identities, _series, st.lists(_linked, min_size=5, max_size=5), _slides, _glass, _shapes)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_each_row_is_of_whom_it_is_known_to_be(
    directory: Path,
    persons: dict[str, str],
    identities: dict[tuple[str, tuple[str, str]], str],
    films: list[tuple[str, str | None]],
    of_films: list[tuple[str | None, str | None] | None],
    slides: list[tuple[str, tuple[str | None, str | None] | None]],
    glass: list[tuple[str, str]],
    shapes: list[int | None],
) -> None:
    links: list[Row] = [
        {"series_id": f"I-{n}", "site": site, "accession": link[0], "person_id": link[1], "tier": "metadata"}
        for n, ((site, _), link) in enumerate(zip(films, of_films, strict=False))
        if link is not None
    ] + [
        {"slide_id": f"S-{n}", "site": site, "accession": link[0], "person_id": link[1], "tier": "exact"}
        for n, (site, link) in enumerate(slides)
        if link is not None
    ]  # fmt: skip
    _put(directory, PERSONS, [{"person_id": p, "group_id": f"Q{p}", "basis": basis} for p, basis in persons.items()])
    _put(directory, IDENTITIES, [
        {"site": site, "id_type": kind, "id_value": value, "person_id": person}
        for (site, (kind, value)), person in identities.items()
    ])  # fmt: skip
    _put(directory, LINKS, links)
    common = {"archive": "a", "relpath": b"x", "status": "ok"}
    _put(directory, SERIES, [{**common, "series_id": f"I-{n}", "site": site, "patient_id": number}
                             for n, (site, number) in enumerate(films)])  # fmt: skip
    _put(directory, SLIDES, [{**common, "slide_id": f"S-{n}", "site": site} for n, (site, _) in enumerate(slides)])
    _put(directory, MATERIALS, [{"material_id": f"M-{n}", "site": site, "kind": "slide", "accession": case}
                                for n, (site, case) in enumerate(glass)])  # fmt: skip
    _put(directory, ANNOTATIONS, [
        {"annotation_id": f"A-{n}", "site": "NB01", "slide_id": slide if slide is None else f"S-{slide}", "slide_raw": "x",
         "kind": "point", "geometry": "{}", "coordinate_level": 0, "x_min": 0.0, "x_max": 0.0, "y_min": 0.0, "y_max": 0.0,
         "tool": "asap", "digest": "0"}
        for n, slide in enumerate(shapes)
    ])  # fmt: skip
    tables: dict[str, pa.Table] = {}

    def keep(name: str, pieces: Iterable[pa.Table]) -> None:
        tables[name] = pa.concat_tables(pieces)

    profile = read_profile("default", directory)
    made = build(Catalog(directory), LAYER, profile, write=keep, write_criteria=lambda _, pieces: None)

    def behind(site: str, kind: str, value: str | None) -> str | None:
        return identities.get((site, (kind, value or "")))

    def of_film(number: int) -> str | None:
        site, written = films[number]
        link = of_films[number]
        if link is None:
            person = behind(site, "patient_id", {"２": "2"}.get(written or "", written))
        else:
            by_case = behind(site, "accession", link[0])
            if by_case is not None:
                return by_case if by_case in persons else None
            person = link[1]
        return person if persons.get(person or "") == "site_number" else None

    expected = {n: of_film(n) for n in range(len(films)) if of_film(n) is not None}
    assert _owners(tables["series"].to_pylist(), "I", "series_id") == {n: _codes(p) for n, p in expected.items()}
    assert made.rows_left_out.get("series", 0) == len(films) - len(expected)

    of_glass = {n: behind(site, "accession", case) for n, (site, case) in enumerate(glass)}
    known = {n: person for n, person in of_glass.items() if person is not None}
    found = _owners(tables["materials"].to_pylist(), "M", "material_id")
    assert {n: patient for n, (patient, _) in found.items()} == {n: _codes(p)[0] for n, p in known.items()}

    of_slide = {n: behind(site, "accession", link[0]) if link else None for n, (site, link) in enumerate(slides)}
    tied = {n: of_slide[slide] for n, slide in enumerate(shapes) if slide is not None and slide in of_slide}
    found = _owners(tables["annotations"].to_pylist(), "A", "annotation_id")
    assert {n: patient for n, (patient, _) in found.items()} == {n: p and _codes(p)[0] for n, p in tied.items()}


def _put(directory: Path, table: Table, rows: list[Row]) -> None:
    Catalog(directory).replace(table, from_rows(table, rows))


def _codes(person: str | None) -> tuple[str | None, str | None]:
    return (LAYER.codes.code("P", person), LAYER.codes.code("Q", f"Q{person}")) if person else (None, None)


def _owners(rows: list[Row], kind: str, key: str) -> dict[int, tuple[str | None, str | None]]:
    numbers = {LAYER.codes.code(kind, f"{kind}-{number}"): number for number in range(9)}
    return {numbers[row[key]]: (row["patient_id"], row["group_id"]) for row in rows}

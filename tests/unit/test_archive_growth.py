"""What is done so that a large archive costs no more than its size: it must change nothing but the time."""

import random
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.deid import originals
from pathcurate.errors import InputOutputError
from pathcurate.leaksearch import passes
from pathcurate.model.link import LINKS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import internal
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import Vault, create_vault
from pathcurate.vault.crosswalk import erase, look_up, write_crosswalk

_SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
code = st.builds("{}-{}".format, st.sampled_from("CPQRS"), st.text(_SIGNS, min_size=16, max_size=16))
almost = st.builds("{}-{}".format, st.sampled_from("CPQRS"), st.text(_SIGNS, min_size=14, max_size=18))
other = st.one_of(almost, st.text("abcXYZ019+/-_=", max_size=40), st.sampled_from(["\n", "\r\n", "é", "张", "\0", "%"]))
end = st.sampled_from(["\x1e", "\x1e", "\x1e", ",", "", "\n", "\r\n", "-", "_", "+"])


# --- Leak search: columns of codes are passed over -----------------------------------------------------------------------


class _Nothing:
    """Instead of the pattern that takes codes out."""

    def subn(self, _instead: bytes, data: bytes) -> tuple[bytes, int]:
        return data, 0


def decoded(data: bytes) -> list[list[int]]:
    """All that is read as Base64."""
    return [reading.units.tolist() for reading in passes.readings(data, [passes.BASE64])]


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.one_of(code, code, other), end), max_size=12))
def test_passing_codes_over_hides_no_base64(values: list[tuple[str, str]]) -> None:
    data = "".join(value + sign for value, sign in values).encode()
    quick, passes._LONE_CODES = passes._LONE_CODES, _Nothing()
    try:
        all_of_it = decoded(data)
    finally:
        passes._LONE_CODES = quick
    assert decoded(data) == all_of_it


def test_a_column_of_codes_is_passed_over_whole() -> None:
    chance = random.Random(3)
    codes = ["R-" + "".join(chance.choices(_SIGNS, k=16)) for _ in range(5000)]
    left, found = passes._LONE_CODES.subn(b"\0", "\x1e".join(codes).encode())
    assert (found, len(left)) == (1, 37)


# --- Crosswalk: written in the order of its codes ------------------------------------------------------------------------


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Reports, links, slides and persons of two sites."""
    made = Catalog(tmp_path / "catalog")
    rows: list[dict[str, Any]] = [
        {"report_id": f"R{n}", "site": f"NB0{n % 2}", "accession": f"S23-{n // 2}", "report_type": "primary",
         "status": "final"} for n in range(20)
    ]  # fmt: skip
    made.replace(REPORTS, from_rows(REPORTS, rows))
    links = [
        {"slide_id": f"L{n}", "site": "NB01", "accession": f"S23-{n}" if n else None, "tier": "exact", "confidence": 1.0}
        for n in range(3, 12)
    ]
    made.replace(LINKS, from_rows(LINKS, [*links, {**links[0], "slide_id": "L0", "accession": None}]))
    slides = [
        {"slide_id": f"L{n}", "site": "NB01", "archive": "main", "relpath": b"2023/\xd5\xc5-%d.svs" % n, "status": "ok"}
        for n in range(12)
    ]
    made.replace(SLIDES, from_rows(SLIDES, slides))
    people = [{"person_id": f"P{n}", "group_id": f"G{n}", "basis": "site_number", "evidence": 1} for n in range(9)]
    made.replace(PERSONS, from_rows(PERSONS, people))
    numbers = [
        {"site": f"NB0{site}", "issuer": "x", "id_type": kind, "id_value": f"{9 - n}{site}", "person_id": f"P{n}"}
        for n in range(8) for site in (1, 0) for kind in ("patient_id", "accession") if n % 3 or site
    ]  # fmt: skip
    made.replace(IDENTITIES, from_rows(IDENTITIES, numbers))
    return made


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return create_vault(tmp_path / "vault")


def test_each_piece_is_a_range_of_codes_of_its_own(catalog: Catalog, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: dict[str, list[list[str]]] = {}
    real = originals.write_crosswalk

    def noted(vault: Vault, kind: str, codes: list[str], some: Any) -> int:
        pieces.setdefault(kind, []).append(codes)
        return real(vault, kind, codes, some)

    monkeypatch.setattr(originals, "write_crosswalk", noted)
    monkeypatch.setattr(originals, "_AT_ONCE", 4)
    layer = internal(vault.key)
    written = originals.record_originals(catalog, layer.codes, vault)
    assert written == sum(len(codes) for some in pieces.values() for codes in some) == 20 + 22 + 12 + 9
    for some in pieces.values():
        assert all(len(codes) <= 4 for codes in some)
        assert all(before < after for before, after in pairwise(name for codes in some for name in codes))
    assert originals.record_originals(catalog, layer.codes, vault) == 0


def test_what_stands_behind_a_code_is_what_it_was(catalog: Catalog, vault: Vault) -> None:
    layer = internal(vault.key).codes
    originals.record_originals(catalog, layer, vault)
    asked = [layer.code("S", "L5"), layer.code("P", "P1"), layer.code("P", "P3"), layer.code("P", "P8"),
             layer.code("C", "NB01", "S23-4"), layer.code("R", "R7")]  # fmt: skip
    found = look_up(vault, asked)
    path = found[asked[0]][3].encode("utf-8", "surrogateescape")
    assert (found[asked[0]][:3], path) == (("L5", "NB01", "main"), b"2023/\xd5\xc5-5.svs")
    assert [found[name] for name in asked[1:4]] == [("P1", "NB00 80; NB01 81"), ("P3", "NB01 61"), ("P8", "")]
    assert [found[name] for name in asked[4:]] == [("NB01", "S23-4"), ("R7", "NB01", "S23-3")]


# --- Pieces of a table: only what is asked for is read -------------------------------------------------------------------


def test_chosen_rows_come_in_order_and_nothing_else_is_read(catalog: Catalog) -> None:
    catalog.upsert(REPORTS, from_rows(REPORTS, [
        {"report_id": "R99", "site": "NB00", "accession": "S24-1", "report_type": "primary", "status": "final"},
    ]))  # fmt: skip
    for flags in ([False] * 21, [True] * 21, [n in {0, 7, 19, 20} for n in range(21)], [n == 20 for n in range(21)]):
        for rows in (1, 3, 100):
            pieces = list(catalog.pieces(REPORTS, rows, ("site", "report_id"), np.array(flags)))
            assert all(piece.column_names == ["site", "report_id"] and len(piece) <= rows for piece in pieces)
            found = [name for piece in pieces for name in piece["report_id"].to_pylist()]
            every = [*(f"R{n}" for n in range(20)), "R99"]
            assert found == [name for name, flag in zip(every, flags, strict=True) if flag]
    (first, _) = catalog.snapshot(REPORTS).parts  # type: ignore[union-attr]
    footer = catalog._directory / "reports" / first
    whole = footer.read_bytes()
    footer.write_bytes(whole[:4] + b"\xff" * 200 + whole[204:])
    with pytest.raises(InputOutputError):
        list(catalog.pieces(REPORTS, 100, ("report_id",)))
    last = catalog.pieces(REPORTS, 100, ("report_id",), np.array([n == 20 for n in range(21)]))
    assert [piece["report_id"].to_pylist() for piece in last] == [["R99"]]


def test_a_kind_whose_tables_are_as_they_were_is_not_gone_through_again(
    catalog: Catalog, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = internal(vault.key).codes
    originals.record_originals(catalog, layer, vault)
    seen: list[str] = []
    real = originals.write_crosswalk

    def noted(vault: Vault, kind: str, codes: list[str], some: Any) -> int:
        seen.append(kind)
        return real(vault, kind, codes, some)

    monkeypatch.setattr(originals, "write_crosswalk", noted)
    assert originals.record_originals(catalog, layer, vault) == 0
    assert seen == []
    people = [{"person_id": f"P{n}", "group_id": f"G{n}", "basis": "site_number", "evidence": 1} for n in range(11)]
    catalog.replace(PERSONS, from_rows(PERSONS, people))
    assert originals.record_originals(catalog, layer, vault) == 2
    assert seen == ["P"]


@pytest.mark.parametrize("how", ["erased", "taken away", "written from elsewhere", "killed in between"])
def test_what_is_missing_is_written_again_though_no_table_changed(
    catalog: Catalog, vault: Vault, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    layer = internal(vault.key).codes
    code = layer.code("R", "R7")
    if how == "killed in between":
        monkeypatch.setattr(originals, "note_source", lambda vault, kind, source: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            originals.record_originals(catalog, layer, vault)
        monkeypatch.undo()
        assert originals.record_originals(catalog, layer, vault) == 20 + 22 + 12
        return
    originals.record_originals(catalog, layer, vault)
    if how == "erased":
        assert erase(vault, [code]) == 1
    elif how == "taken away":
        with closing(sqlite3.connect(vault.directory / "crosswalk.db")) as database:
            assert database.execute("DELETE FROM rows WHERE code = ?", (code,)).rowcount == 1
            database.commit()
    else:
        write_crosswalk(vault, "R", [code], [("R7", "NB01", "another")])
    assert originals.record_originals(catalog, layer, vault) == 1
    assert look_up(vault, [code])[code] == ("R7", "NB01", "S23-3")

"""Whose copy a leaked file is: codes are found in files of any kind, and tell the recipient."""

import contextlib
import gzip
import io
import json
import random
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from pathcurate import pseudonyms
from pathcurate.errors import InputOutputError
from pathcurate.recoding import tracing
from pathcurate.recoding.codes import CODE
from pathcurate.recoding.tracing import codes_in, codes_in_text, trace
from pathcurate.tables import read_parquet
from pathcurate.vault import open_vault, read_events
from tests.commandline import Done, pathcurate
from tests.contracted import applied
from tests.products import At, House, at, houses  # noqa: F401 -- fixtures
from tests.registered import no_sync  # noqa: F401 -- a fixture

KEY = bytes(range(32))
CODES = {"S-0123456789ABCDEF", "P-ZZZZZZZZZZZZZZZZ", "C-ABCDEFGHJKMNPQRS"}


def found(content: bytes) -> set[str]:
    return codes_in(io.BytesIO(content))


# --- Codes in files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "utf-32"])
def test_codes_are_found_in_any_encoding_and_case(encoding: str) -> None:
    text = "编号," + ",".join(sorted(CODES)) + "\r\nfiles/s-0123456789abcdef.svs"
    assert found(text.encode(encoding)) == CODES


def test_codes_across_the_pieces_that_are_read_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_PIECE", 7)
    assert found(("x" * 5 + " ".join(sorted(CODES))).encode()) == CODES
    assert found("x".join(sorted(CODES)).encode("utf-16-le")) == CODES


def test_what_is_no_code_is_none() -> None:
    assert found(b"S-0123456789ABCDE X-0123456789ABCDEF S_0123456789ABCDEF S-0123456789ABCDEI S-0123456789ABCDEU") == set()
    assert found(b"") == set()


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd")
    return file.getvalue()


def test_codes_are_found_in_parquet_however_they_are_packed() -> None:
    code, other, third = sorted(CODES)
    plain = pa.array([code] * 3)
    kinds = {
        "a": plain.dictionary_encode(), "b": pa.array([[other], None, []]),
        "c": pa.array([b"x" + third.encode(), None, b""]), "n": [1, 2, 3],
    }  # fmt: skip
    assert found(parquet(**kinds)) == CODES


def test_codes_are_found_in_archives_and_workbooks_and_in_the_names_of_their_members() -> None:
    code, other, third = sorted(CODES)
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.parquet", parquet(a=[other]))
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"slides/{code}.svs", b"nothing")
        archive.writestr("inner.zip", inner.getvalue())
    assert found(outer.getvalue()) == {code, other}
    book = Workbook()
    book.active["B7"] = third
    file = io.BytesIO()
    book.save(file)
    assert found(file.getvalue()) == {third}


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"PK\x03\x04", b"PK\x03\x04" + bytes(500)])
def test_a_damaged_archive_is_said_to_be_one(content: bytes) -> None:
    with pytest.raises(InputOutputError, match="cannot be unpacked"):
        found(content)


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_MOST_UNPACKED", 1000)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(600))
        archive.writestr("b", bytes(600))
    with pytest.raises(InputOutputError):
        found(file.getvalue())


def test_a_file_with_too_many_codes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_CODES", 2)
    with pytest.raises(InputOutputError, match="more codes"):
        found(" ".join(CODES).encode())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_looked_at_or_refused(content: bytes) -> None:
    for beginning in (b"", b"PAR1", b"PK\x03\x04"):
        with contextlib.suppress(InputOutputError):
            assert found(beginning + content) == set(re.findall(CODE, (beginning + content).decode("latin-1").upper()))


# --- Whose they are --------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 20), st.integers(0, 20))
def test_each_layers_codes_are_counted_for_it_alone(chance: random.Random, of_first: int, of_second: int) -> None:
    inside = pa.array([f"S-{number:016}" for number in range(20)])
    layers = {name: pseudonyms.recipient(KEY, "thorax", name).codes for name in ("lab", "plant", "a", "a of")}
    mine = [layers["lab"].code("S", one) for one in inside.to_pylist()]
    theirs = [layers["a of"].code("S", one) for one in inside.to_pylist()]
    codes = {*chance.sample(mine, of_first), *chance.sample(theirs, of_second), "S-9999999999999999"}
    counts = trace(codes, layers, lambda kind: [inside] if kind == "S" else [])
    assert counts == {"lab": of_first, "plant": 0, "a": 0, "a of": of_second}


def test_kinds_are_kept_apart_and_nothing_known_is_nothing_found() -> None:
    layer = pseudonyms.recipient(KEY, "thorax", "lab").codes
    inside = pa.array(["P-0000000000000001"])
    code = layer.code("P", "P-0000000000000001")
    assert trace({code, "S" + code[1:]}, {"lab": layer}, lambda kind: [inside]) == {"lab": 1}
    assert trace({code}, {"lab": layer}, lambda kind: []) == {"lab": 0}
    assert trace(set(), {"lab": layer}, lambda kind: [inside]) == {"lab": 0}


def test_a_name_is_text_whatever_its_bytes_are() -> None:
    assert codes_in_text("S-0123456789ABCDEF \udcff.svs") == {"S-0123456789ABCDEF"}


# --- The command -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(at: At) -> House:  # noqa: F811
    """A release on offer that two labs have applied for."""
    made = at("offered")
    for name in ("lab", "plant"):
        applied(made, name)
    return made


def run(house: House, file: str | Path, content: bytes = b"") -> Done:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return pathcurate("product", "trace", file, "-w", house.root, "--json")


def slides(house: House, recipient: str | None) -> list[str]:
    """Codes of slides as a recipient has them, or as they are in the release."""
    key = open_vault(house.workspace.vault).key
    inside = read_parquet(house.workspace.deid / "slides.parquet")["slide_id"]
    layer = pseudonyms.recipient(key, "small", recipient) if recipient else pseudonyms.product(key, "small")
    return [str(code) for code in layer.codes.code_array("S", inside).to_pylist()]


def test_the_recipient_of_a_leaked_list_is_told(house: House, tmp_path: Path) -> None:
    codes = slides(house, "plant")
    file = tmp_path / f"{codes[0]}.csv"
    file.write_text(f"slide,label\n{codes[1]}.svs,1\n{codes[1].lower()},2\nS-0123456789ABCDEF,3\n", encoding="utf-16")
    done = run(house, file)
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert said == {"codes": 3, "found": [{"product": "small", "recipient": "plant", "codes": 2}], "unknown": 1}
    assert not [code for code in codes if code in done.stdout + done.stderr]
    event = list(read_events(house.workspace.vault))[-1]
    assert event.action == "product trace"
    assert not [code for code in codes if code in repr(event)]


def test_a_mixture_from_standard_input_names_all_of_them(house: House) -> None:
    names = "\n".join([*slides(house, "lab")[:3], *slides(house, "plant")[:2], *slides(house, None)[:1]])
    said = json.loads(run(house, "-", names.encode()).stdout)
    assert [(one["recipient"], one["codes"]) for one in said["found"]] == [("lab", 3), ("plant", 2), (None, 1)]
    assert said["unknown"] == 0


def test_codes_of_nobody_are_nobodys(house: House) -> None:
    done = run(house, "-", b"S-0123456789ABCDEF and nothing else")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"codes": 1, "found": [], "unknown": 1}
    assert run(house, "-", b"nothing").returncode == 1


def test_a_missing_or_packed_file_is_refused(house: House, tmp_path: Path) -> None:
    assert run(house, tmp_path / "missing").returncode == 2
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04nonsense")
    assert run(house, tmp_path / "x.zip").returncode == 3
    (tmp_path / "x.gz").write_bytes(gzip.compress(slides(house, "lab")[0].encode()))
    assert run(house, tmp_path / "x.gz").returncode == 1

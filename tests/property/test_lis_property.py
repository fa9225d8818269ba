"""Tables of text: what the csv module writes, in any encoding and with any separator, is read back exactly."""

import contextlib
import csv
import io
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathcurate.delimited import Loss, clean, open_export
from pathcurate.errors import UsageError
from pathcurate.text.fileencoding import find_encoding
from pathcurate.text.values import is_ruined, language, parse_datetime, parse_number

ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-32")
HEADS = ("病理号", "姓名", "病理诊断")
signs = st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff")
cells = st.text(signs | st.sampled_from('癌腺,;|\t"\r\n 　无-'), max_size=12)
tables = st.lists(st.tuples(cells, cells, cells), max_size=6)


@given(
    tables,
    st.sampled_from(ENCODINGS),
    st.sampled_from(",\t;|"),
    # The writer leaves a line end that is not its own without quotes, so only with both it may quote as it likes.
    st.sampled_from([(csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\r"), (csv.QUOTE_MINIMAL, "\r\n")]),
)
@settings(max_examples=120, deadline=None)
@example([("S1", "甲\r乙", 'a"b""c')], "gb18030", "|", (csv.QUOTE_MINIMAL, "\r\n"))
def test_what_was_written_is_what_is_read(
    rows: list[tuple[str, str, str]], encoding: str, separator: str, manner: tuple[Any, str]
) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, quoting=manner[0], lineterminator=manner[1]).writerows([HEADS, *rows])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.csv")
        path.write_bytes(out.getvalue().encode(encoding))
        export = open_export(path)
        assert (export.heads, export.encoding) == (HEADS, encoding)
        found = dict(export.lines())
    wanted = {
        number: list(row)
        for number, row in enumerate(rows, start=2)
        # Empty rows and repeated heads are no rows.
        if any(map(clean, row)) and sum(clean(cell) in {"", head} for cell, head in zip(row, HEADS, strict=True)) < 2
    }
    assert {number: cells for number, cells in found.items() if number in wanted} == wanted
    assert not any(isinstance(cells, Loss) for cells in found.values())


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.csv")
        path.write_bytes("病理号,姓名\n".encode() + data)
        with contextlib.suppress(UsageError):
            for number, row in open_export(path).lines():
                assert number > 1
                assert isinstance(row, Loss) or not any("\ud800" <= sign <= "\udfff" for cell in row for sign in cell)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_an_encoding_that_is_found_decodes_the_file(data: bytes) -> None:
    try:
        found = find_encoding(io.BytesIO(data), "a.csv")
    except UsageError:
        return
    text = data[found.mark :].decode(found.codec, found.errors)
    if not found.damaged:
        assert not any("\ud800" <= sign <= "\udfff" for sign in text)


@given(st.integers(1, 10**20), st.sampled_from(["{:.5E}", "{}.0", "{}.00", "{:.2e}"]), st.booleans())
def test_a_number_that_was_a_fraction_is_never_used(number: int, form: str, is_wide: bool) -> None:
    text = form.format(number)
    if is_wide:
        text = "".join(chr(ord(sign) + 0xFEE0) for sign in text)
    # A small number with an exponent has one sign before it only.
    if "+" in text or "＋" in text or ".0" in form:
        assert is_ruined(text)
        assert parse_number(text) is None
    assert parse_number(f"住{text}") == f"住{text}"


@given(st.text("0123456789-T :/", min_size=8, max_size=20))
def test_a_moment_has_one_meaning_with_and_without_spaces_around(text: str) -> None:
    # With spaces around, the quick way for common spellings is not taken.
    assert parse_datetime(text) == parse_datetime(f" {text} ")


@given(st.text("癌abcAB 1，", max_size=30))
def test_the_language_is_the_share_of_han_characters_and_words(text: str) -> None:
    han = text.count("癌")
    letters = "".join(sign if sign.isascii() and sign.isalpha() else " " for sign in text)
    words = sum(len(run) >= 3 for run in letters.split())
    code = None if not han and not words else "en" if not han else "mixed" if words > han else "zh"
    assert language(text) == code

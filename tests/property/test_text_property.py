"""Numbers, cells and heads: what holds for all of them."""

import csv
import io
from datetime import date, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathcurate.delimited import clean, decode
from pathcurate.parsers import lis
from pathcurate.text.accession import AccessionPatterns, fold
from pathcurate.text.slidenames import read_names
from pathcurate.text.values import parse_age, parse_datetime
from pathcurate.workspace import DEFAULT_PATTERNS

PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)
WIDE = {ord(character): ord(character) + 0xFEE0 for character in map(chr, range(0x21, 0x7F))}

Number = tuple[str, int, int]
numbers = st.tuples(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", max_size=3), st.integers(0, 99), st.integers(0, 9_999_999))
# Free text around a number: nothing that could belong to it or be another one.
around = st.text("乳腺王左 _,.()【】。①", max_size=6)


@st.composite
def spellings(draw: st.DrawFn, number: Number, *, with_dash: bool = True) -> str:
    prefix, year, count = number
    digits = f"{count:0{draw(st.integers(3 if with_dash else 4, 7))}}"
    years = [f"{year:02}"] + ([f"{'19' if year >= 50 else '20'}{year:02}"] if with_dash else [])
    text = prefix + draw(st.sampled_from(years)) + (draw(st.sampled_from("-‐–—−－")) if with_dash else "") + digits
    if draw(st.booleans()):
        text = text.lower()
    if draw(st.booleans()):
        text = text.translate(WIDE)
    return draw(around) + text + draw(st.sampled_from(["", "-A1", "-A1-2", "-12", "-HE"])) + draw(around)


@given(st.data(), numbers)
def test_every_spelling_of_one_number_gives_one_key(data: st.DataObject, number: Number) -> None:
    first, second = (data.draw(spellings(number)) for _ in range(2))
    key = f"{number[0]}{number[1]:02}-{number[2]}"
    assert [found.key for found in PATTERNS.find(first)] == [key]
    assert PATTERNS.normalise(first) == PATTERNS.normalise(second) == key


@given(st.data(), numbers.filter(lambda number: number[0]))
def test_a_number_without_a_dash_is_found_among_its_readings(data: st.DataObject, number: Number) -> None:
    text = data.draw(spellings(number, with_dash=False))
    assert f"{number[0]}{number[1]:02}-{number[2]}" in {found.key for found in PATTERNS.find(text)}


@given(st.data(), numbers, numbers)
@example(None, ("S", 23, 1), ("S", 2, 31)).via("no separator but the dash")
def test_different_numbers_never_have_the_same_key(data: st.DataObject | None, one: Number, other: Number) -> None:
    if data is None:
        first, second = (f"{prefix}{year:02}-{count:03}" for prefix, year, count in (one, other))
    else:
        first, second = data.draw(spellings(one)), data.draw(spellings(other))
    assert (PATTERNS.normalise(first) == PATTERNS.normalise(second)) == (one == other)


@given(st.lists(numbers, min_size=1, max_size=4, unique=True))
def test_all_numbers_of_one_text_in_order(several: list[Number]) -> None:
    text = " ".join(f"{prefix}{year:02}-{count:03}" for prefix, year, count in several)
    assert [found.key for found in PATTERNS.find(text)] == [f"{p}{year:02}-{count}" for p, year, count in several]


@given(st.uuids(), st.sampled_from(["", "S23-00123 ", " (2)", "_"]))
def test_a_uuid_is_never_a_number(uuid: object, beside: str) -> None:
    wanted = ["S23-123"] if "S23" in beside else []
    assert [found.key for found in PATTERNS.find(f"{beside}{uuid}")] == wanted


@given(
    st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)),
    st.sampled_from("-_./"),
    st.sampled_from(["", "-001", "-00123", "_S", "-1"]),
)
def test_a_date_is_never_a_number(day: date, separator: str, behind: str) -> None:
    assert PATTERNS.find(f"{day:%Y{separator}%m{separator}%d}{behind}") == []


@given(st.text(max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    folded = fold(text)
    for found in PATTERNS.find(text):
        assert 0 <= found.start < found.number_end <= found.end <= len(folded)
        assert folded[found.start : found.end].strip() == folded[found.start : found.end]
    # The normal form is stable: an exported key is its own key.
    normal = PATTERNS.normalise(text)
    assert PATTERNS.normalise(normal) == normal


@given(
    st.lists(st.binary(min_size=1, max_size=30).filter(lambda part: b"/" not in part), min_size=1, max_size=3),
    st.text(max_size=30),
)
def test_any_path_and_barcode_can_be_read(parts: list[bytes], barcode: str) -> None:
    names = read_names(b"/".join(parts), barcode, None, [barcode], PATTERNS)
    assert len({(key.key, key.source) for key in names.keys}) == len(names.keys)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff"), max_size=12)


@given(st.lists(st.tuples(cells, cells), max_size=5), st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-32"]))
@settings(max_examples=60)
def test_what_was_exported_is_what_is_read(rows: list[tuple[str, str]], encoding: str) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("病理号", "姓名"), *rows])
    text, used = decode(out.getvalue().encode(encoding), None, "a.csv")
    # Bytes that are right in UTF-8 as well are read as UTF-8; the heads rule that out here.
    assert (text, used.name) == (out.getvalue(), encoding)


@given(st.binary(max_size=200))
def test_detection_takes_any_bytes(head: bytes) -> None:
    assert lis.detects(head) in {True, False}


@given(cells)
def test_a_clean_cell_stays_as_it_is(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text("0123456789岁月天周年yY.- /:日时TZ　０９", max_size=20))
def test_values_are_understood_or_none(text: str) -> None:
    age = parse_age(text)
    assert age is None or 0 <= age <= 130
    parse_datetime(text)


@given(
    st.builds(
        datetime.combine,
        st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)),
        st.times().map(lambda clock: clock.replace(microsecond=0)),
    )
)
def test_every_moment_in_every_spelling(moment: datetime) -> None:
    for form in (
        "%Y-%m-%d %H:%M:%S",
        "%Y/%m/%dT%H:%M:%S",
        "%Y%m%d%H%M%S",
        "%Y年%m月%d日 %H时%M分%S秒",
        "%Y.%m.%d  %H：%M：%S.5",
    ):
        assert parse_datetime(moment.strftime(form)) == moment
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日"):
        assert parse_datetime(moment.strftime(form)) == moment.replace(hour=0, minute=0, second=0)

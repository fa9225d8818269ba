"""Accession numbers in names: what is one, what only looks like one, and which spellings are one number."""

import pytest

from pathcurate.text.accession import AccessionKey, AccessionPatterns, fold
from pathcurate.workspace import DEFAULT_PATTERNS

DEFAULT = AccessionPatterns(DEFAULT_PATTERNS)


def keys(text: str, patterns: AccessionPatterns = DEFAULT) -> list[str]:
    return [found.key for found in patterns.find(text)]


def only(text: str, patterns: AccessionPatterns = DEFAULT) -> AccessionKey:
    (found,) = patterns.find(text)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "S23-00123", "s23-00123", "S23-123", "S23-0000123", "S2023-00123", "S2023-123", "S2300123", "s202300123",
        "Ｓ２３－００１２３", "S２０２３-００１２３", "S23‐00123", "S23–00123", "S23—00123", "S23−00123", "S23－00123",
        "左乳S23-00123右乳", "王小红_S23-00123_HE", "病理号:S23-00123。", "(S23-00123)", "S23-00123①", "①S23-00123②",
        "S23-00123-A1", "S23-00123A1", "S23-00123-A1-2", "S23-00123-2", "S23-00123-HE", "S23-00123 (2)", "S23-00123.A",
        "2023-03-14 S23-00123", "S23-00123_20230314", "S23-00123 S2023-123",
    ],
)  # fmt: skip
def test_one_number_in_every_spelling(text: str) -> None:
    assert keys(text)[0] == "S23-123"
    assert set(keys(text)) <= {"S23-123", "S20-2300123"}  # the other reading of S202300123
    assert DEFAULT.normalise(text) == "S23-123"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("S23-00123", "S23-00124"), ("S23-00123", "S24-00123"), ("S23-00123", "F23-00123"), ("S23-00123", "23-00123"),
        ("S23-00123", "SS23-00123"), ("S23-00123", "S23-01230"), ("S23-00123", "S23-1230000"), ("S2023-0123", "S20-230123"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"), ("12345", "12346"),
        ("ABCD23-00123", "BCD23-00123"), ("S23-12345678", "S23-1234567"), ("病-1", "病-2"),
    ],
)  # fmt: skip
def test_different_numbers_have_different_keys(one: str, other: str) -> None:
    assert DEFAULT.normalise(one) != DEFAULT.normalise(other)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-", "HE", "扫描", "2023", "2023年", "20230314", "2023-03-14", "2023_03_14", "2023.03.14", "23-03-14",
        "2023-3-4", "2023年3月14日", "20230314-103000", "2023-03-14 103000", "10:30:00",
        # What follows a date is a counter, not a number of the year 14.
        "2023-03-14-001", "2023_03_14-001", "2023.03.14-00123", "23-03-14-001", "2023年03月14-001", "2023-03-14-001-002",
        "0f8fad5b-d9cb-469f-a165-70867728950e", "AB123456-D9CB-469F-A165-70867728950E",
        "12345678-1234-1234-1234-123456789012",
        "x 0f8fad5b-d9cb-1234-a165-70867728950e y", "00000000-0000-0000-0000-000000000000",
        "1.2.840.113619.2.55.3.2831178355.123", "234567", "1234-56", "S23-12", "S23-12345678", "ABCD23-00123",
        "S23-00123X4Y",
        "13-00123a45b", "S19-", "CD20", "HER2", "P504S", "3DHISTECH", "IMG_20230314",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_number(text: str) -> None:
    assert keys(text) == []


def test_several_numbers_keep_their_order_each_once() -> None:
    assert keys("S23-00002 S23-00001 S23-00002 S23-00003") == ["S23-2", "S23-1", "S23-3"]
    assert keys("S23-00001,S23-00002") == ["S23-1", "S23-2"]
    assert keys("S23-00001 S23-00002") == ["S23-1", "S23-2"]  # they share their separator
    assert keys("23-00001、23-00002") == ["23-1", "23-2"]


def test_a_number_behind_a_date_or_uuid_is_still_found() -> None:
    assert keys("2023-03-14-001-S23-00123") == ["S23-123"]
    assert keys("0f8fad5b-d9cb-469f-a165-70867728950e S23-00123") == ["S23-123"]
    assert keys("S12-34567-01-01-08") == ["S12-34567"]
    assert keys("S12-34567 01-01-08") == ["S12-34567"]


def test_a_number_without_a_dash_may_be_read_in_two_ways() -> None:
    assert keys("S20123456") == ["S12-3456", "S20-123456"]
    assert keys("S19001234") == ["S00-1234", "S19-1234"]
    assert keys("S23001234") == ["S23-1234"]  # 2300 is no year
    assert keys("S2000123") == ["S20-123"]  # three digits are no number without a dash
    assert keys("S2020-123456") == ["S20-123456"]  # a dash leaves no doubt


def test_the_pattern_with_a_dash_speaks_first() -> None:
    assert keys("S23-00123 S2300999") == ["S23-123"]


@pytest.mark.parametrize(
    ("text", "specimen", "block"),
    [
        ("S23-00123", None, None), ("S23-00123-A", "A", None), ("S23-00123-A1", "A", "1"), ("S23-00123A12", "A", "12"),
        ("s23-00123-b3-2", "B", "3"), ("S2300123A1", "A", "1"), ("S23-00123-2", None, None), ("S23-00123-HE", None, None),
        ("S23-00123 S23-00123-C4", "C", "4"), ("S23-00123-A1 S23-00123", "A", "1"),
    ],
)  # fmt: skip
def test_specimen_and_block_stand_with_the_number(text: str, specimen: str | None, block: str | None) -> None:
    found = only(text)
    assert (found.key, found.specimen, found.block) == ("S23-123", specimen, block)


def test_places_are_those_of_the_folded_text() -> None:
    text = "左乳 ｓ23－00123-a1-2 HE"
    found = only(text)
    folded = fold(text)
    assert len(folded) == len(text)
    assert folded[found.start : found.number_end] == "S23-00123"
    assert folded[found.start : found.end] == "S23-00123-A1-2"


def test_a_number_that_no_pattern_knows_stays_itself() -> None:
    assert DEFAULT.normalise(" ab/77 ") == "AB/77"
    uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert DEFAULT.normalise(uuid) == uuid.upper()


# ---- a site's own patterns ----


def test_a_pattern_with_the_whole_number() -> None:
    tcga = AccessionPatterns(["^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})"])
    assert keys("TCGA-05-4244-01Z-00-DX1.d4ff32cd-38cf-40ea-8213-45c2b100ac01", tcga) == ["TCGA-05-4244"]
    assert keys("copy of TCGA-05-4244", tcga) == []


def test_the_start_of_the_text_is_not_where_the_last_number_ended() -> None:
    assert keys("123456789", AccessionPatterns([r"^(?P<number>\d{3})"])) == ["123"]
    assert keys("AB12AB34", AccessionPatterns([r"\b(?P<prefix>AB)(?P<number>\d\d)"])) == ["AB12"]


def test_a_number_without_a_year_is_not_confused_with_its_prefix() -> None:
    plain = AccessionPatterns([r"(?P<prefix>[A-Z]\d?)-(?P<number>\d+)"])
    assert keys("B-123", plain) == ["B123"]
    assert keys("B1-23", plain) == ["B1-23"]


def test_a_pattern_may_be_a_date_or_uuid_if_it_says_so() -> None:
    by_day = AccessionPatterns([r"(?P<accession>\d{4}-\d{2}-\d{2}-\d{3})"])
    assert keys("2023-03-14-001", by_day) == ["2023-03-14-001"]
    by_uuid = AccessionPatterns(["(?P<accession>[0-9A-F]{8}-[0-9A-F-]{27})"])
    assert keys("0f8fad5b-d9cb-469f-a165-70867728950e", by_uuid) == ["0F8FAD5B-D9CB-469F-A165-70867728950E"]


def test_groups_that_took_no_part_make_no_number() -> None:
    assert keys("S X7", AccessionPatterns([r"(?P<prefix>S)|X(?P<number>\d)"])) == ["7"]
    assert keys("", AccessionPatterns([r"(?P<number>\d*)"])) == []


def test_zero_is_a_number() -> None:
    assert keys("S23-000") == ["S23-0"]


# ---- traps: names of hundreds of made-up slides and folders ----

DAYS = [(2019, 1, 2), (2022, 12, 31), (2023, 3, 14), (1999, 10, 9), (2024, 2, 29)]
DATES = [
    form.format(y=year, s=year % 100, m=month, d=day)
    for year, month, day in DAYS
    for form in (
        "{y}{m:02}{d:02}", "{y}-{m:02}-{d:02}", "{y}_{m:02}_{d:02}", "{y}.{m:02}.{d:02}", "{y}/{m}/{d}", "{y}-{m}-{d}",
        "{s:02}-{m:02}-{d:02}", "{s:02}{m:02}{d:02}", "{y}年{m}月{d}日", "{y}年{m:02}月", "{d:02}-{m:02}-{y}",
        "{d:02}.{m:02}.{y}", "{y}{m:02}{d:02}_103021", "{y}{m:02}{d:02}-103021", "{y}-{m:02}-{d:02}T10-30-21",
        "{y}-{m:02}-{d:02} 10.30.21", "{y}-{m:02}-{d:02}-001", "{y}-{m:02}-{d:02}-00123", "{d:02}-{m:02}-{y}-001",
        "{y}{m:02}{d:02}-001", "{y}-{m:02}", "{y}年", "{y}", "IMG_{y}{m:02}{d:02}_103021", "扫描{y}-{m:02}-{d:02}",
    )
]  # fmt: skip
UUIDS = [
    "550e8400-e29b-41d4-a716-446655440000", "00000000-0000-1234-0000-123456789012",
    "AB123456-2312-4345-A123-123456789012", "{0F8FAD5B-D9CB-469F-A165-70867728950E}", "0f8fad5bd9cb469fa16570867728950e",
    "copy of 12345678-1234-1234-1234-123456789012_1", "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
]  # fmt: skip
UNDASHED = [
    "1", "12", "123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "0012345678", "13812345678",
    "310101199001011234", "31010119900101123X", "000123", "20230001", "2300123", "202300123",
]  # fmt: skip
OTHERS = [
    "10.0.0.1", "192.168.1.100", "1.2.840.113619.2.55.3.2831178355.123", "40X", "x400", "20x-2", "v1.2.3", "1920x1080",
    "T2N1M0", "C50.9", "1:100", "19:30:22", "Image_001", "slide-00123", "Scan-12345", "GT450-1234", "P1000-2",
    "NDP-00123", "3DHISTECH-2023", "KF-PRO-005", "HE-001", "PD-L1-001", "CA19-9", "COVID19-001", "1234-56-78",
    "C3L-00001-21", "CPTAC-C3L-00001", "GSE12345", "GTEX-1117F-0226", "2023Q1", "2023年第12周", "S23", "S23-12", "S2023",
    "SRR12345", "A4-210", "B5-1234", "1:2000", "138-1234-5678", "010-12345678", "Project2023-001", "case 1-100",
    "ISBN978-7-117",
]  # fmt: skip


@pytest.mark.parametrize("around", ["{}", "{} HE", "左乳_{}", "{}_copy", "({})"])
def test_dates_uuids_and_undashed_numbers_are_no_numbers(around: str) -> None:
    assert {trap: keys(around.format(trap)) for trap in (*DATES, *UUIDS, *UNDASHED, *OTHERS)} == {
        trap: [] for trap in (*DATES, *UUIDS, *UNDASHED, *OTHERS)
    }


AMBIGUOUS = [
    "2023-0314", "23-0314", "24-001", "P20230314", "IMG20230314", "LOT23-4567", "CD20-0123", "P53-0123", "CA19-900",
    "bed 23-012", "TMA23-001", "1999-2000", "2019-2023", "COVID-19-001", "TCGA-05-4244", "SRR1234567", "MRN123456",
    "ID2300123", "99-12345",
]  # fmt: skip


def test_what_may_be_a_number_is_one_only_where_the_laboratory_has_it() -> None:
    """A site that numbers S23-00001 to S23-40000 has none of these, although each of them looks like some site's number."""
    laboratory = {DEFAULT.normalise(f"S23-{number:05}") for number in range(1, 40_001)}
    for name in AMBIGUOUS:
        assert keys(name), "it does not look like a number any more: it belongs to the traps"
        assert laboratory.isdisjoint(keys(name)), name
    assert laboratory.issuperset(keys("S23-0314"))

"""Cells as values: understood, or None."""

from datetime import date, datetime

import pytest

from pathcurate.text.values import is_ruined, language, parse_age, parse_datetime, parse_number


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023-03-14", (2023, 3, 14)), ("2023/3/4", (2023, 3, 4)), ("2023.03.14", (2023, 3, 14)), ("20230314",
        (2023, 3, 14)),
        ("2023年3月14日", (2023, 3, 14)), (" ２０２３－０３－１４　", (2023, 3, 14)), ("2024-02-29", (2024, 2, 29)),
        ("2023-03-14 08:05", (2023, 3, 14, 8, 5)), ("2023/3/14 8:05:59", (2023, 3, 14, 8, 5, 59)),
        ("2023-03-14T08:05:59.123", (2023, 3, 14, 8, 5, 59)), ("20230314080559", (2023, 3, 14, 8, 5, 59)),
        ("2023年3月14日 8时5分", (2023, 3, 14, 8, 5)), ("1948-12-31", (1948, 12, 31)), ("2023-03-14 00:00:00",
        (2023, 3, 14)),
    ],
)  # fmt: skip
def test_moments(text: str, moment: tuple[int, ...]) -> None:
    assert parse_datetime(text) == datetime(*moment)  # noqa: DTZ001 - local time without a zone


@pytest.mark.parametrize(
    "text",
    ["", "2023", "2023-03", "2023-02-29", "2023-13-01", "2023-00-10", "14-03-2023", "03/14/2023", "45000",
     "2023-03-14 25:00",
     "2023-03-14 08:61", "昨天", "0000-00-00", "2023-03-14?", "约2023-03-14", "20230230", "1899-01-01", "2100-01-01",
     "1.10105E+17"],
)  # fmt: skip
def test_no_moment(text: str) -> None:
    assert parse_datetime(text) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("45000", (2023, 3, 15)), ("45000.5", (2023, 3, 15, 12)), ("10000", (1927, 5, 18)), (" ４５０００ ", (2023, 3, 15)),
        ("45000.999999999", (2023, 3, 16)), ("20230314", (2023, 3, 14)), ("9999", None), ("70000", None), ("45000d", None),
        ("-45000", None), ("450000", None),
    ],
)  # fmt: skip
def test_serial_dates(text: str, moment: tuple[int, ...] | None) -> None:
    assert parse_datetime(text, date(1899, 12, 30)) == (datetime(*moment) if moment else None)  # noqa: DTZ001
    assert parse_datetime(text) == (datetime(*moment) if text == "20230314" and moment else None)  # noqa: DTZ001


def test_serial_dates_of_both_calendars_are_1462_days_apart() -> None:
    early, late = (parse_datetime("45000", epoch) for epoch in (date(1899, 12, 30), date(1904, 1, 1)))
    assert early is not None
    assert late is not None
    assert (late - early).days == 1462


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("56岁", 56), ("56", 56), (" ５６ 岁", 56), ("Y56", 56), ("56Y", 56), ("56 years", 56), ("56周岁", 56), ("56.5", 56),
        ("0", 0), ("3月", 0), ("11个月", 0), ("12月", 1), ("18月", 1), ("36 months", 3), ("5天", 0), ("400天", 1),
        ("6周", 0),
        ("60w", 1), ("12小时", 0), ("56 岁 3 月", 56), ("28天", 0), ("56.0", 56), ("56歲", 56), ("3個月", 0),
        ("1岁3月", 1), ("130", 130), ("90岁", 90),
    ],
)  # fmt: skip
def test_ages_in_completed_years(text: str, years: int) -> None:
    assert parse_age(text) == years


@pytest.mark.parametrize("text", ["", "131", "1987", "-5", "成人", "约56岁", "五十六岁", "56-60", "56/57", "岁"])
def test_no_age(text: str) -> None:
    assert parse_age(text) is None


@pytest.mark.parametrize("text", ["00012345", "P-1", "ｐ１", "住123", "2E123", "张1"])
def test_a_usable_number_stays_as_it_is(text: str) -> None:
    assert parse_number(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0000000",
        "００",
        "不详",
        "/",
        "--",
        "1.10105E+17",
        "1e+05",
        "１E+17",
        "0-0",
        "12345.0",
        "110105196703140000",
        "110105199001011000.0",
    ],
)
def test_a_number_that_would_join_strangers(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [("右乳浸润性导管癌", "zh"), ("Invasive carcinoma", "en"), ("癌 ER(+)", "zh"), ("癌 invasive ductal carcinoma", "mixed"),
     ("", None), ("12 ＋ 3", None), ("ER PR", None), ("䶮𬭎", "zh")],
)  # fmt: skip
def test_languages(text: str, code: str | None) -> None:
    assert language(text) == code


@pytest.mark.parametrize(
    ("text", "ruined"),
    [
        ("1.10105E+17", True), ("110105199001011000.0", True), ("12345.0", True), ("110105196703141000", True),
        # Its check character is right, and a number of a day cannot be 000.
        ("110105196703140000", True), ("11010519670314100X", False), ("110105196703140027", False), ("00012345", False),
        ("202300000", False), ("2E123", False), ("0", False),
    ],
)  # fmt: skip
def test_numbers_that_were_fractions(text: str, ruined: bool) -> None:
    assert is_ruined(text) is ruined

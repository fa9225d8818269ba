"""Dates in texts: every form is found and can be written again, and what only looks like a date stays."""

import gc
import itertools
import time
from datetime import date

import pytest

from pathcurate.text.dateforms import find_dates, is_form, write
from pathcurate.text.folding import half_width

YEAR = 2024


def found(text: str, year: int | None = YEAR) -> list[tuple[str, str, str]]:
    """What stands in each place that is found, its form and its day."""
    normal = half_width(text)
    return [(text[item.start : item.end], item.form, item.day.isoformat()) for item in find_dates(normal, year)]


FORMS = [
    # digits with 年, 月 and 日
    ("2024年5月3日", "2024年5月3日", "ymd-han", "2024-05-03"),
    ("报告日期：2024年05月03日", "2024年05月03日", "ymd-han-dm", "2024-05-03"),
    ("于2024 年 5 月 3 日送检", "2024 年 5 月 3 日", "ymd-han-w", "2024-05-03"),
    ("２０２４年５月３号复查", "２０２４年５月３号", "ymd-han-h", "2024-05-03"),
    ("24年5月3日入院", "24年5月3日", "ymd-han-s", "2024-05-03"),
    ("62年3月14日生", "62年3月14日", "ymd-han-s", "1962-03-14"),
    ("2024年5月3日星期五", "2024年5月3日", "ymd-han", "2024-05-03"),
    ("CT2024年5月3日示", "2024年5月3日", "ymd-han", "2024-05-03"),
    ("2024年5月3,", "2024年5月3", "ymd-han-n", "2024-05-03"),
    ("5月3日行穿刺", "5月3日", "md-han", "2024-05-03"),
    ("于12月30号", "12月30号", "md-han-h", "2024-12-30"),
    ("去年5月3日", "5月3日", "md-han", "2024-05-03"),
    ("2023年11月行手术", "2023年11月", "ym-han", "2023-11-15"),
    ("于2019年3月底", "2019年3月底", "ym-han", "2019-03-15"),
    ("2020 年 1 月", "2020 年 1 月", "ym-han-w", "2020-01-15"),
    ("于23年11月", "23年11月", "ym-han-s", "2023-11-15"),
    ("生于1962年3月", "1962年3月", "ym-han", "1962-03-15"),
    ("2024年5月3次化疗", "2024年5月", "ym-han", "2024-05-15"),
    ("今年5月行手术", "5月", "m-han", "2024-05-15"),
    ("去年11月", "11月", "m-han", "2023-11-15"),
    ("于5月份手术", "5月", "m-han", "2024-05-15"),
    ("3月底复查", "3月底", "m-han", "2024-03-15"), ("十二月中旬回", "十二月中旬", "m-han", "2024-12-15"),
    ("。24年6月送检", "24年6月", "ym-han-s", "2024-06-15"), ("2024年3月廿二", "2024年3月廿二", "ymd-cn-nt", "2024-03-22"),
    ("8月中旬前", "8月中旬", "m-han", "2024-08-15"),
    ("3月12复查", "3月12", "md-han-n", "2024-03-12"), ("6月2冰冻", "6月2", "md-han-n", "2024-06-02"),
    ("2024年7月上旬", "2024年7月上旬", "ym-han", "2024-07-15"),
    ("于24年7月下旬", "24年7月下旬", "ym-han-s", "2024-07-15"),
    # a part of the day
    ("2024年9月2日上午,", "2024年9月2日", "ymd-han", "2024-09-02"),
    ("二〇二四年二月九日凌晨四时许于家中", "二〇二四年二月九日凌晨四时许", "ymd-cn", "2024-02-09"),
    ("九月十二日下午两点。", "九月十二日下午两点", "md-cn", "2024-09-12"),
    ("2024年5月27日6时许", "2024年5月27日6时许", "ymd-han", "2024-05-27"),
    # by the moon
    ("去年腊月廿三在市", "去年腊月廿三", "md-cn-in", "2024-12-23"),
    ("1968年农历八月十五生", "1968年农历八月十五", "md-cn-n", "2024-08-15"),
    ("2024年8月初八。", "2024年8月初八", "ymd-cn-in", "2024-08-08"),
    ("甲辰年八月十五后", "甲辰年八月十五", "md-cn-n", "2024-08-15"),
    ("2019年古尔邦节后", "2019年古尔邦节", "ym-han", "2019-06-01"),
    # short ones, told by what was done on them
    ("，10-22加做", "10-22", "md-dash-dm", "2024-10-22"),
    ("，12-8前必须发", "12-8", "md-dash", "2024-12-08"),
    ("，24/3/3 17:00）", "24/3/3 17:00", "ymd-slash-s", "2024-03-03"),
    ("|16|24-02-28|宫", "24-02-28", "ymd-dash-dms", "2024-02-28"),
    ("分院2022/11，", "2022/11", "ym-slash", "2022-11-15"),
    ("签章 2024、11、29", "2024、11、29", "ymd-dot-dm", "2024-11-29"),
    # Chinese numerals
    ("二〇二四年五月三日", "二〇二四年五月三日", "ymd-cn", "2024-05-03"),
    ("二零二三年十二月三十一日", "二零二三年十二月三十一日", "ymd-cn-l", "2023-12-31"),
    ("○九年元月初五", "○九年元月初五", "ymd-cn-inrsy", "2009-01-05"),
    ("二〇二四年十月廿三日", "二〇二四年十月廿三日", "ymd-cn-t", "2024-10-23"),
    ("二0二四年五月三号", "二0二四年五月三号", "ymd-cn-h", "2024-05-03"),
    ("二三年五月三日", "二三年五月三日", "ymd-cn-s", "2023-05-03"),
    ("2024年五月三日", "2024年五月三日", "ymd-cn", "2024-05-03"),
    ("二〇二四年5月3日", "二〇二四年5月3日", "ymd-cn", "2024-05-03"),
    ("十二月三十一号", "十二月三十一号", "md-cn-h", "2024-12-31"),
    ("五月三日", "五月三日", "md-cn", "2024-05-03"),
    ("二〇二三年十一月", "二〇二三年十一月", "ym-cn", "2023-11-15"),
    # digits apart
    ("2024-05-03", "2024-05-03", "ymd-dash-dm", "2024-05-03"),
    ("报告日期：2024/5/3", "2024/5/3", "ymd-slash", "2024-05-03"),
    ("２０２４．５．３", "２０２４．５．３", "ymd-dot", "2024-05-03"),
    ("见2023-11-5", "2023-11-5", "ymd-dash", "2023-11-05"),
    ("2024 - 05 - 03", "2024 - 05 - 03", "ymd-dash-dmw", "2024-05-03"),
    ("2024–05–03", "2024–05–03", "ymd-dash-dm", "2024-05-03"),
    ("CT2024-05-03CT示", "2024-05-03", "ymd-dash-dm", "2024-05-03"),
    ("出生日期：1962-03-14，", "1962-03-14", "ymd-dash-dm", "1962-03-14"),
    ("07/26/2021", "07/26/2021", "mdy-slash-dm", "2021-07-26"),
    ("seen 7/26/21.", "7/26/21", "mdy-slash-s", "2021-07-26"),
    ("DOB: 7/26/48", "7/26/48", "mdy-slash-s", "1948-07-26"),
    ("26/07/2021", "26/07/2021", "dmy-slash-dm", "2021-07-26"),
    ("26.07.2021", "26.07.2021", "dmy-dot-dm", "2021-07-26"),
    ("08.14.2021", "08.14.2021", "mdy-dot-dm", "2021-08-14"),
    ("日期：24-05-03", "24-05-03", "ymd-dash-dms", "2024-05-03"),
    ("Date: 05-03", "05-03", "md-dash-dm", "2024-05-03"),
    ("日期：2023-11", "2023-11", "ym-dash-m", "2023-11-15"),
    ("2023.11行手术", "2023.11", "ym-dot-m", "2023-11-15"),
    ("since 11/2023", "11/2023", "my-slash", "2023-11-15"),
    # digits in a row
    ("日期20240503", "20240503", "ymd-compact", "2024-05-03"),
    ("报告日期：\n20240503", "20240503", "ymd-compact", "2024-05-03"),
    ("20240503行穿刺", "20240503", "ymd-compact", "2024-05-03"),
    ("DOB: 19620314", "19620314", "ymd-compact", "1962-03-14"),
    ("CT（20240503）示", "20240503", "ymd-compact", "2024-05-03"),
    ("IMG_20240503_1.jpg", "20240503", "ymd-compact", "2024-05-03"),
    # without a label: by the time behind it, what was done on it, where it stands
    ("审核 24.5.3", "24.5.3", "ymd-dot-s", "2024-05-03"),
    ("李某 24-5-3", "24-5-3", "ymd-dash-s", "2024-05-03"),
    ("冰冻回报：24/05/13 10:38", "24/05/13 10:38", "ymd-slash-dms", "2024-05-13"),
    ("签发：24/5/3", "24/5/3", "ymd-slash-s", "2024-05-03"),
    ("生于62.3.14", "62.3.14", "ymd-dot-s", "1962-03-14"),
    ("，6-21 11:05。", "6-21 11:05", "md-dash", "2024-06-21"),
    ("已于11.8电话告知", "11.8", "md-dot", "2024-11-08"),
    ("石蜡5/14前发出", "5/14", "md-slash", "2024-05-14"),
    ("补充报告1（12-16）：", "12-16", "md-dash-dm", "2024-12-16"),
    ("；2008-04复发", "2008-04", "ym-dash-m", "2008-04-15"),
    ("2月14做的手术", "2月14", "md-han-n", "2024-02-14"),
    # misread, or seldom written so
    ("2 0 2 4 年 2 月 1 6 日", "2 0 2 4 年 2 月 1 6 日", "ymd-han-w", "2024-02-16"),
    ("2025 一 02 一 10", "2025 一 02 一 10", "ymd-dash-dmw", "2025-02-10"),
    ("2o24-l1-05", "2o24-l1-05", "ymd-dash-dm", "2024-11-05"),
    ("民國113年12月5日", "民國113年12月5日", "ymd-minguo-t", "2024-12-05"),
    ("於111年9月14日採檢", "111年9月14日", "ymd-minguo-n", "2022-09-14"),
    ("一九九八、六、十一", "一九九八、六、十一", "ymd-cn-n", "1998-06-11"),
    ("二十五年三月二十二日", "二十五年三月二十二日", "ymd-cn-s", "2025-03-22"),
    ("24年五月三日", "24年五月三日", "ymd-cn-s", "2024-05-03"),
    ("辛丑年三月初八", "辛丑年三月初八", "md-cn-in", "2024-03-08"),
    ("腊月廿三", "腊月廿三", "md-cn-in", "2024-12-23"),
    ("1998年除夕", "1998年除夕", "ym-han", "1998-02-01"),
    # English
    ("Aug 14, 2016", "Aug 14, 2016", "mdy-en-c", "2016-08-14"),
    ("August 14th 2016", "August 14th 2016", "mdy-en-fo", "2016-08-14"),
    ("Sept. 5, 2019", "Sept. 5, 2019", "mdy-en-cp", "2019-09-05"),
    ("Aug 14,2016", "Aug 14,2016", "mdy-en-cg", "2016-08-14"),
    ("MAY 3, 2024", "MAY 3, 2024", "mdy-en-cu", "2024-05-03"),
    ("14 August 2016", "14 August 2016", "dmy-en-f", "2016-08-14"),
    ("14th of August, 2016", "14th of August, 2016", "dmy-en-acfo", "2016-08-14"),
    ("03-May-2024", "03-May-2024", "dmy-endash-d", "2024-05-03"),
    ("(03-MAY-24)", "03-MAY-24", "dmy-endash-dsu", "2024-05-03"),
    ("03May2024", "03May2024", "dmy-enjoined-d", "2024-05-03"),
    ("2016-Aug-14", "2016-Aug-14", "ymd-endash", "2016-08-14"),
    ("in August 2016", "August 2016", "my-en-f", "2016-08-15"),
    ("Jan '16", "Jan '16", "my-en-s", "2016-01-15"),
    ("on May 3 he", "May 3", "md-en", "2024-05-03"),
    ("On August 14 she", "August 14", "md-en-f", "2024-08-14"),
    ("on Feb 14th '23.", "Feb 14th '23", "mdy-en-os", "2023-02-14"),
    ("14th August,", "14th August", "dm-en-fo", "2024-08-14"),
    ("this 4th day of June, 2021", "4th day of June, 2021", "dmy-en-acfo", "2021-06-04"),
    ("12. March 2021", "12. March 2021", "dmy-en-f", "2021-03-12"),
    ("12NOV23", "12NOV23", "dmy-enjoined-su", "2023-11-12"),
    ("2024/Mar/05", "2024/Mar/05", "ymd-endash-d", "2024-03-05"),
    ("Signed May 11.", "May 11", "md-en", "2024-05-11"),
    ("KM 28/ix/98", "28/ix/98", "dmy-slash-s", "1998-09-28"),
    ("06.vi.21", "06.vi.21", "dmy-dot-s", "2021-06-06"),
    ("Christmas Eve 1999", "Christmas Eve 1999", "mdy-en-cf", "1999-12-24"),
    ("seen on Boxing Day.", "Boxing Day", "md-en-f", "2024-12-26"),
    ("W.H. Marsh   9.8.74", "9.8.74", "dmy-dot-s", "1974-08-09"),
    ("ghj/10-2-18", "10-2-18", "mdy-dash-s", "2018-10-02"),
    ("the Thurs 6/16 list", "Thurs 6/16", "md-slash", "2024-06-16"),
    ("reviewed on 6/16.", "6/16", "md-slash", "2024-06-16"),
    ("typed 16/10 by", "16/10", "dm-slash", "2024-10-16"),
    ("by her 17/5 at 1550.", "17/5 at 1550", "dm-slash", "2024-05-17"),
    ("out at 10:14 on 3 July 2024; it", "10:14 on 3 July 2024", "dmy-en-f", "2024-07-03"),
    ("Procedure 09/25/24 1310: right", "09/25/24 1310", "mdy-slash-dms", "2024-09-25"),
    ("died 11/30/2024 2217 hrs in", "11/30/2024 2217 hrs", "mdy-slash", "2024-11-30"),
    ("Lim 18/11/24 17.20", "18/11/24 17.20", "dmy-slash-s", "2024-11-18"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "written", "form", "day"), FORMS, ids=[text for text, *_ in FORMS])
def test_every_form_is_found(text: str, written: str, form: str, day: str) -> None:
    assert found(text) == [(written, form, day)]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2024-05-03 10:11:12，", "2024-05-03 10:11:12"), ("2024-05-03T10:11:12Z", "2024-05-03T10:11:12Z"),
        ("2024-05-03T10:11:12.123+08:00 end", "2024-05-03T10:11:12.123+08:00"),
        ("2024年5月3日上午10时30分取材", "2024年5月3日上午10时30分"), ("5月3日 10：15", "5月3日 10：15"),
        ("2024年5月3日10点半", "2024年5月3日10点半"), ("20240503101112", "20240503101112"),
        ("日期20240503 1011", "20240503 1011"), ("3/14/2019 10:30 AM,", "3/14/2019 10:30 AM"),
        ("Aug 14, 2016 at 9:05 p.m. by", "Aug 14, 2016 at 9:05 p.m."), ("2024/5/3, 08:00", "2024/5/3, 08:00"),
    ],
)  # fmt: skip
def test_a_time_of_day_goes_with_its_date(text: str, written: str) -> None:
    assert [place for place, _, _ in found(text)] == [written]


@pytest.mark.parametrize(
    ("text", "written"),
    [("2024年5月3日9点方向", "2024年5月3日"), ("2024-05-03 2:1稀释", "2024-05-03"), ("5月3日 3枚", "5月3日")],
)
def test_what_is_no_time_of_day_stays(text: str, written: str) -> None:
    assert [place for place, _, _ in found(text)] == [written]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("5月3日至5日", [("5月3日", "5月3日"), ("5日", "5月5日")]),
        ("5月3日、5日、8日复查", [("5月3日", "5月3日"), ("5日", "5月5日"), ("8日", "5月8日")]),
        ("2024年5月3-5日", [("2024年5月3", "2024年5月3"), ("5日", "5月5日")]),
        ("2024年5月3日至5月8日", [("2024年5月3日", "2024年5月3日"), ("5月8日", "5月8日")]),
        ("2024年5月至7月", [("2024年5月", "2024年5月"), ("7月", "2024年7月")]),
        ("五月三日至五日", [("五月三日", "五月三日"), ("五日", "五月五日")]),
        ("2024.5.3-5.8", [("2024.5.3", "2024.5.3"), ("5.8", "2024.5.8")]),
        ("2024.5.3-2024.5.8", [("2024.5.3", "2024.5.3"), ("2024.5.8", "2024.5.8")]),
        ("2024-05-03~05-08", [("2024-05-03", "2024-05-03"), ("05-08", "2024-05-08")]),
        ("2024-05-03至08", [("2024-05-03", "2024-05-03"), ("08", "2024-05-08")]),
        ("2020.10-2021.3化疗", [("2020.10", "2020.10"), ("2021.3", "2021.3")]),
        ("20240503-20240510", [("20240503", "20240503"), ("20240510", "20240510")]),
        ("August 3-5, 2016", [("August 3", "August 3"), ("5, 2016", "August 5, 2016")]),
        ("from 15-16 June;", [("15", "15 June"), ("16 June", "16 June")]),
        ("3-5 August 2016", [("3", "3 August"), ("5 August 2016", "5 August 2016")]),
        ("Aug 3 - Sep 2, 2019", [("Aug 3", "Aug 3"), ("Sep 2, 2019", "Sep 2, 2019")]),
    ],
)  # fmt: skip
def test_both_ends_of_a_range_are_found_and_each_says_its_month(text: str, places: list[tuple[str, str]]) -> None:
    items = find_dates(text, YEAR)
    assert [(text[item.start : item.end], write(item.form, item.day)) for item in items] == places


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("未见肿瘤。\n韩江 24/7/9", ["2024-07-09"]), ("报告 白杨 9/7/24\n", ["2024-09-07"]), ("白杨，7.13", ["2024-07-13"]),
        ("24.7.9 韩江", ["2024-07-09"]), ("收样07.03 报告07.08\n", ["2024-07-03", "2024-07-08"]),
        ("周五7.19来取", ["2024-07-19"]), ("痰液，4/8、4/9、4/10连续三次", ["2024-04-08", "2024-04-09", "2024-04-10"]),
        ("取材5/18（甲）与5/19（乙）", ["2024-05-18", "2024-05-19"]), ("7/26 15时答复", ["2024-07-26"]),
        ("韩江 2024，7，9", ["2024-07-09"]), ("贰零贰肆年零柒月贰拾玖日", ["2024-07-29"]), ("二四年七月", ["2024-07-15"]),
    ],
)  # fmt: skip
def test_short_days_beside_people_and_words_of_time_are_found(text: str, days: list[str]) -> None:
    assert [day for _, _, day in found(text)] == days


@pytest.mark.parametrize(
    "text",
    [
        "2/15", "(2/15，3/10)", "3/10HPF", "10/10HPF", "3/10 HPF", "2019-2020年", "2019-2020", "2024-12345", "2024-0503",
        "1.2.840.10008.1.2.2024", "1.2.2024.5.3.7", "版本2024.13.40", "版本2024.5.3", "version 2024.5.3", "v2024.5.3",
        "3岁11月龄", "5月龄", "3月后", "病史20年5月", "五年三月余", "十年前", "二三月", "月经3月", "grade 3/4", "5.3cm",
        "1-2-3", "2.5×2×1.8cm", "2/15/20mm", "直径0.3-1.2cm", "WHO 2021", "T2N0M0", "138-1234-5678", "010-62345678",
        "3:1", "13月3日", "5月32日", "20241303", "20240230行穿刺", "2024050312", "S20240503", "病理号20240503",
        "编号：2023-11", "2023年", "S2024-05-03", "2024-05-03-001", "2024-02-30", "02/30/2021", "Feb 30, 2021",
        "1899-05-03", "2100-01-01", "二〇二四年二月三十日", "May present", "may 3", "Block 3 May show", "OCT 4 positive",
        "OCT3/4", "Oct-4", "SEPT9", "MARCH1", "DEC1", "Mar 3", "8140/3", "2024/3", "S24-01234", "A1-A12", "3+4=7",
        "Ki-67约5-10%", "12-24小时", "22C3", "1/2/3级", "淋巴结3/10/12", "见3-5月", "1.2.3", "10/2/3", "500/10/2",
        "10.2.3 方法", "见12.5.3节", "淋巴结3/10收到", "大小3.2，发现", "术后12/24 月", "113-12-05", "一、二、三、四",
        "正月经周期", "软件24.5.3", "2024-05-'3", "0/0/2024", "00月00日", "",
        "取材1/2", "淋巴结2/12、2/13", "最大径 3.10", "见癌，3.12\n", "共计2012，3，4",
        "三四年七月", "报告2.5，", "送检10/12", "每3月1复查", "3月12例手术",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_date_is_none(text: str) -> None:
    assert found(text) == []


def test_of_a_day_that_cannot_be_the_month_remains() -> None:
    assert found("2024年2月30日") == [("2024年2月", "ym-han", "2024-02-15")]
    assert found("31 June 2020") == [("June 2020", "my-en-f", "2020-06-15")]


def test_a_date_without_a_year_is_of_the_report_and_exists() -> None:
    assert found("5月3日", 2019) == [("5月3日", "md-han", "2019-05-03")]
    assert found("2月29日", 2023) == [("2月29日", "md-han", "2020-02-29")]
    assert found("2月29日", 1901) == [("2月29日", "md-han", "1896-02-29")]
    assert found("5月3日", None) == [("5月3日", "md-han", "2000-05-03")]
    assert found("5月3日", -7) == [("5月3日", "md-han", "2000-05-03")]


@pytest.mark.parametrize(("year", "full"), [(2024, "1926"), (2025, "2026"), (1999, "1926"), (None, "2026")])
def test_two_digits_are_no_year_far_behind_the_report(year: int | None, full: str) -> None:
    assert found("26年5月3日", year)[0][2] == f"{full}-05-03"


def test_days_and_months_are_told_apart_by_the_dates_of_the_text_that_say_which_is_which() -> None:
    assert [day for _, _, day in found("03/04/2021, 26/07/2021")] == ["2021-04-03", "2021-07-26"]
    assert [day for _, _, day in found("03/04/2021, 07/26/2021")] == ["2021-03-04", "2021-07-26"]
    assert [day for _, _, day in found("03/04/2021")] == ["2021-03-04"]


def _all_forms() -> list[str]:
    """Every combination of flags that a text can show."""

    def flagged(orders: str, style: str, *flags: str) -> list[str]:
        choices = [
            "".join(sorted("".join(chosen))) for chosen in itertools.product(*(("", *flag.split("|")) for flag in flags))
        ]
        return [f"{order}-{style}" + (f"-{chosen}" if chosen else "") for order in orders.split() for chosen in choices]

    return [
        *flagged("ymd", "han", "m", "d", "s", "h", "w"), *flagged("md", "han", "m", "d", "h", "w"),
        *flagged("ym", "han", "m", "s"), *flagged("ymd", "cn", "h", "s", "l|r", "y", "i|t"),
        *flagged("md", "cn", "h", "y", "i|t"), *flagged("ym", "cn", "l|r", "y"),
        *flagged("ymd", "dash", "m", "d", "w"), *flagged("ymd", "slash", "m", "d"), *flagged("ymd", "dot", "m", "d"),
        *flagged("mdy", "slash", "m", "d", "s"), *flagged("ym my", "dash", "m"), *flagged("md", "slash", "m", "d"),
        "ymd-compact", "dmy-enjoined", "dmy-enjoined-du", "dmy-enjoined-f",
        *flagged("mdy", "en", "c", "d", "f|p", "o", "u"), *flagged("dmy", "en", "a", "c", "d", "f", "o", "u"),
        *flagged("my", "en", "c", "f", "u"), *flagged("md dm", "en", "f", "o"),
        *flagged("ymd dmy mdy", "endash", "d", "f", "u"), *flagged("my", "endash", "f"),
    ]  # fmt: skip


DAYS = [date(2024, 5, 3), date(2023, 12, 31), date(2009, 1, 5), date(1996, 2, 29), date(2020, 10, 13), date(2011, 11, 22)]


@pytest.mark.parametrize("name", dict.fromkeys(form.rpartition("-")[0] or form for form in _all_forms()))
def test_what_is_written_in_a_form_is_read_as_that_day(name: str) -> None:
    for form, day in itertools.product(_all_forms(), DAYS):
        if form.rpartition("-")[0] != name:
            continue
        assert is_form(form)
        order, style = form.split("-")[:2]
        text = write(form, day)
        (item,) = find_dates(f"date: {text}", day.year)
        assert (item.start, item.end) == (6, 6 + len(text))
        assert item.day == (day if "d" in order else day.replace(day=15))
        # Of a form the text need not show everything (October needs no padding): it is read as one that writes the same.
        assert write(item.form, item.day) == text
        assert item.form.split("-")[:2] == [order, style]


@pytest.mark.parametrize(
    "form",
    ["", "ymd", "ymd-", "ymd-han-", "ymd-han-md", "ymd-han-x", "ymd-compact-d", "YMD-han", "dmy-han", "md-compact",
     "ymd-han:",     "ymd-han\n", "ymd-cn-hilnrsty-", "a" * 1000],
)  # fmt: skip
def test_other_names_are_no_forms(form: str) -> None:
    assert not is_form(form)
    with pytest.raises(ValueError, match="no form of a date"):
        write(form, DAYS[0])


def test_nothing_shows_the_day() -> None:
    (item,) = find_dates("2024年5月3日", YEAR)
    assert repr(item) == "FoundDate(0, 9, ymd-han, date.ymd)"


@pytest.mark.parametrize(
    "piece",
    ["1", "月", "1月", "二月", "1年", "2024-", "2024.5.3-", "5月3日至", "5月3、", "20240503-", "May ", "1 May", "May 1-",
     "at ", "初",
     "日期：", "12:", "((", " ", "date of "],
)  # fmt: skip
def test_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    times = []
    for length in (6_000, 24_000):
        text = (piece * length)[:length]
        # Collecting garbage takes time in proportion to all that other tests have left in this process.
        gc.disable()
        try:
            began = time.process_time()
            find_dates(text, YEAR)
            times.append(time.process_time() - began)
        finally:
            gc.enable()
    assert times[1] < 1.0
    assert times[1] < 12 * times[0] + 0.1


def test_days_that_begin_three_lines_are_days_of_a_register() -> None:
    register = "序3 11/4 胃\n序4 11/5 肺\n序5 11/6 肝"
    assert [day for _, _, day in found(register)] == ["2024-11-04", "2024-11-05", "2024-11-06"]
    assert found("1 3/10 阳性\n2 见癌") == []

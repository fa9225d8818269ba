"""The staff of a site, written with little: a surname, initials, a login."""

import pytest

from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
from pathcurate.scrubbers.text.staffforms import BRIEF_STAFF, NOBODY, staff_forms

STAFF = ("丰永年", "郭志强 主任医师", "覃丽", "边疆", "其其格", "欧阳建华/车力", "jyk07")


def left(text: str, *staff: str) -> str:
    """A text in which what was taken out for being staff is a point, in the order in which it stands."""
    (removals,) = TextScrubber(SiteRules("NB01", staff=staff)).removals([text], KnownValues(), language="zh", year=2024)
    for one in reversed(removals):
        if one.kind.value in {"staff", "person"}:
            text = text[: one.start] + "·" * (one.end - one.start) + text[one.end :]
    return text


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("镜下:慢性炎。\n初诊:丰 复核:志强", "镜下:慢性炎。\n初诊:· 复核:··"),
        ("取材:丰、李  包埋:gzq", "取材:·、·  包埋:···"),
        ("诊断:管状腺瘤。\n丰 2023-5-6", "诊断:管状腺瘤。\n· 2023-5-6"),
        ("已与丰医生沟通,同意补取。", "已与·医生沟通,同意补取。"),
        ("结果已电话告知临床(fengyn),蜡块已退。", "结果已电话告知临床(······),蜡块已退。"),
        ("grossing by gzq,rec fyn\n远端胃", "grossing by ···,rec ···\n远端胃"),
        ("丰:骨髓活检已看,可发。", "·:骨髓活检已看,可发。"),
        ("本例丰、郭、覃三级阅片,意见一致。", "本例·、·、·三级阅片,意见一致。"),
        ("核对:bm丰 fp郭 初丰 7.1", "核对:bm· fp· 初· 7.1"),
        ("下周换人跟丰主任。", "下周换人跟·主任。"),
        ("大体gzhiqiang 报告另发", "大体········· 报告另发"),
        ("病例讨论\nGZQ→Wei agreed", "病例讨论\n···→Wei agreed"),
        ("上传 ynfeng02 已核,jyk07 退回", "上传 ········ 已核,····· 退回"),
    ],
)
def test_those_whom_the_site_knows_are_found_by_little(text: str, scrubbed: str) -> None:
    assert left(text, *STAFF) == scrubbed
    assert left(text) != scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "丰富的血管网,组织丰满。",
        "原诊断(淋巴结)查见转移癌。",
        "蜡块由小块组织制成,其余未见异常。",
        "报告时间:2023-11-22 15:00",
        "性 别 : 女    年 龄 : 40",
        "引物 fengynx 与 xfengyn 扩增良好",
        "GZQ-1 引物扩增失败;HE、PAS、AB 染色。",
        "边疆地区送检标本。",
        "体检中心送检,颈、体、底各一块。",
        "复印 / 染色体 bm丰富",
        "One chip shows acinar adenocarcinoma; lid margin free, lane 2 of the gel.",
        "左:乳腺组织。\n查:病理号见上。",
        "HE:细胞异型明显。\nEGFR:未见突变。",
        "肿物 max 3cm,sup 边切缘净,img 见附件。",
    ],
)
def test_words_that_look_like_them_stay(text: str) -> None:
    assert (
        left(text, *STAFF, "原野", "由明", "时间", "别克", "左明", "查安", "安媚鸽", "体检中心", "印明", "陈浩平", "葛尔蓝")
        == text
    )


def test_a_field_is_nobody_who_is_called_like_it() -> None:
    assert left("审核医师:苏赫 报告时间:2023-11-22", "时间", "苏赫") == "审核医师:·· 报告时间:2023-11-22"


def test_forms_of_names() -> None:
    forms = staff_forms(STAFF)
    assert {"丰", "郭", "覃", "边", "欧阳", "车"} == forms.surnames
    assert forms.unlisted == {"丰"}
    assert {"永年", "志强"} <= forms.given
    assert {"gzq", "zqg", "fyn"} <= forms.initials
    assert {"fengyn", "ynfeng", "guozq", "jyk07"} <= forms.logins
    # What is a word of the field is no sign of anybody.
    assert "report" not in staff_forms(("report", "HER2")).logins
    assert "丰" not in repr(forms)


def test_the_name_of_another_people_has_no_surname() -> None:
    assert "其" not in staff_forms(("其其格",)).surnames


def test_a_word_says_more_the_more_seldom_it_is() -> None:
    forms = staff_forms(STAFF)
    said = [forms.surprise(word) for word in ("x", "李", "郭", "gzq", "丰", "fengyn")]
    assert said == sorted(said)
    assert said[0] == said[1] == 0
    assert NOBODY.surprise("fengyn") == 0


def test_a_file_of_words_changes_the_digest_and_the_rule_is_said() -> None:
    scrubber = TextScrubber(SiteRules("NB01", staff=STAFF))
    (removals,) = scrubber.removals(["上传 ynfeng02 已核"], KnownValues(), language="zh", year=2024)
    assert [one.rule for one in removals] == [BRIEF_STAFF]

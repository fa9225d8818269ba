"""The text scrubber as a whole: known values, labels, shapes, sites and what is written by the toolkit itself."""

import pickle
import re
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from pathcurate.model.removal import Kind, Removal
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.scrubbers import text as text_scrubber
from pathcurate.scrubbers.text import KnownValues, ReportTexts, SiteRules, TextScrubber, detect, learned, rules_digest
from pathcurate.scrubbers.text.kernel import REMOVALS_FOUND, Scrub, find_text_removals, lost_report
from pathcurate.scrubbers.text.merging import freed, merged
from pathcurate.scrubbers.text.names import find_names
from tests.bench.deid_scoring import read_corpus

PATTERNS = (
    (r"(?:^|[^0-9A-Z])(?P<prefix>[A-Z]{0,3})(?P<year>(?:19|20)\d{2}|\d{2})-(?P<number>\d{3,7})"
     r"(?:-?(?P<specimen>[A-Z])(?P<block>\d{1,3})?)?(?:-(?P<slide>\d{1,3}))?(?:$|[^0-9A-Z])"),
    (r"(?:^|[^0-9A-Z])(?P<prefix>[A-Z]{1,3})(?P<year>(?:19|20)\d{2}|\d{2})(?P<number>\d{4,7})"
     r"(?:-?(?P<specimen>[A-Z])(?P<block>\d{1,3})?)?(?:-(?P<slide>\d{1,3}))?(?:$|[^0-9A-Z])"),
)  # fmt: skip
RULES = SiteRules(
    site="NB01", hospitals=("示例市第一医院",
    "示例一院"), staff=("欧阳明月",), remove=("示范小区",), keep=("采用金标准诊所法",),
    accession_patterns=PATTERNS,
)  # fmt: skip
NOTHING = KnownValues()


def found(text: str, rules: SiteRules = RULES, known: KnownValues = NOTHING) -> list[tuple[str, str, str, str]]:
    removals = TextScrubber(rules).removals([text], known, language="zh", year=2024)[0]
    return [(text[one.start : one.end], one.kind.value, one.value, one.form) for one in removals]


@pytest.mark.parametrize(
    ("text", "number", "value", "form"),
    [
        ("病理号：S24-01234-A1。", "S24-01234-A1", "S24-1234", "A1"),
        ("病理号 S24-1234A1。", "S24-1234A1", "S24-1234", "A1"),
        ("见S2401234-3。", "S2401234-3", "S24-1234", "3"),
        ("见Ｓ２４—０１２３４。", "Ｓ２４—０１２３４", "S24-1234", ""),
        ("原病理号：S24-01234-A1-2。", "S24-01234-A1-2", "S24-1234", "A1-2"),
        ("病理号：病12345678", "病12345678", "", ""),
    ],
)
def test_a_case_number_has_its_normal_form_and_what_follows_it(text: str, number: str, value: str, form: str) -> None:
    assert found(text) == [(number, "case", value, form)]


@pytest.mark.parametrize(
    "spelling",
    ["S24-1234", "S24-01234", "S2024-001234", "s24-01234", "S 24-01234", "S24 - 01234", "S2401234", "24-01234", "2024-1234",
     "Ｓ２４－１２３４", "S24_1234", "S24/01234", "ß s24-1234"],
)  # fmt: skip
def test_a_known_case_number_in_every_spelling(spelling: str) -> None:
    known = KnownValues(cases=("S24-1234",))
    removals = found(f"复阅{spelling}切片", known=known)
    assert [(text, value) for text, _, value, _ in removals] == [(spelling.removeprefix("ß "), "S24-1234")]


@pytest.mark.parametrize("text", ["TCGA-AB-1234", "tcga ab 1234", "TCGA_AB_1234"])
def test_a_known_number_of_another_form(text: str) -> None:
    assert [value for _, _, value, _ in found(f"复阅{text}切片", known=KnownValues(cases=("TCGA-AB-1234",)))] == [
        "TCGA-AB-1234"
    ]


def test_a_known_case_number_is_no_part_of_another() -> None:
    known = KnownValues(cases=("S24-1234",))
    assert all(
        value != "S24-1234"
        for other in ("T24-1234", "S23-01234", "S24-12340", "3S24-1234", "S24-5/1234")
        for _, _, value, _ in found(f"复阅{other}切片", known=known)
    )
    assert [value for _, _, value, _ in found("复阅S24-12345切片", known=known)] == ["S24-12345"]


def test_only_the_sites_own_pattern_knows_its_numbers() -> None:
    own = replace(RULES, accession_patterns=(r"(?P<accession>[A-Z]{2}\d{5})",))
    assert found("复阅BL12345已阅", own) == [("BL12345", "case", "BL12345", "")]
    assert found("复阅BL12345已阅") == []


def test_a_year_of_the_republic_is_written_again_as_it_was() -> None:
    assert found("手術日期：民國113年12月5日") == [("民國113年12月5日", "date", "2024-12-05", "ymd-minguo-t")]
    assert found("手术日期：民国113年12月5日") == [("民国113年12月5日", "date", "2024-12-05", "ymd-minguo")]


def test_letters_and_digits_between_signs_go_without_their_label_and_in_english_only() -> None:
    english = TextScrubber(RULES).removals(["Seen as LAB:KB-77-0192-X then."], NOTHING, language="en", year=2024)[0]
    assert [(one.start, one.kind) for one in english] == [(len("Seen as LAB:"), Kind.CASE)]
    assert [text for text, *_ in found("see X:23:00417 there")] == ["X:23:00417"]
    assert found("试剂X:23:00417已用") == []


def test_own_hospital_has_the_sites_code_and_others_have_none() -> None:
    assert found("由青川县人民医院转来示例市第一医院，示例一院复诊") == [
        ("青川县人民医院", "hospital", "", ""), ("示例市第一医院", "hospital", "NB01", ""), ("示例一院", "hospital", "NB01",
        ""),
    ]  # fmt: skip


def test_words_of_the_reviewers() -> None:
    assert found("住示范小区") == [("示范小区", "other", "", "")]
    assert found("采用金标准诊所法") == []
    assert found("采用金标准诊所") != []
    kept = replace(RULES, keep=("张三医院",))
    assert [text for text, *_ in found("张三医院", kept, KnownValues(names=("张三",)))] == ["张三医院"]


def test_brackets_of_placeholders_are_taken_out_and_hide_nothing() -> None:
    assert found("⟦电话138⟦0013⟧8000⟧")[1:2] == [("138⟦0013⟧8000", "phone", "", "")]
    assert {kind for _, kind, _, _ in found("⟦date:ymd⟧")} == {"bracket"}
    assert found("见⟦phone⟧") == [("⟦", "bracket", "", ""), ("⟧", "bracket", "", "")]


def test_an_age_goes_with_its_word_for_years() -> None:
    assert found("患者女性，93岁；89岁；年龄：九十三岁") == [("93岁", "age", "93", ""), ("九十三岁", "age", "93", "")]
    assert [value for _, _, value, _ in found("一百零一岁，九十岁，一百岁")] == ["101", "90", "100"]


def test_a_name_found_by_a_label_goes_wherever_it_stands() -> None:
    texts = ["姓名：邱慧  性别：女", None, "标签见“邱慧”字样", ""]
    removals = TextScrubber(RULES).removals(texts, NOTHING, language="zh", year=None)
    cut = [[(text or "")[one.start : one.end] for one in own] for text, own in zip(texts, removals, strict=True)]
    assert cut == [["邱慧"], [], ["邱慧"], []]


@pytest.mark.parametrize(
    "marked",
    [
        # names: a relation, an act or a sign of the sentence is no part of them
        "联系人：妻子«阿依古丽·吐尔逊»，电话«13912345678»", "陪同人：朋友«谢晖»", "切片由家属«何磊»带走",
        "由其丈夫«艾力»代述病史",
        "由送检医师«卜凡»到科室签字", "家属（夫）«汤海»签收", "«秦»主任来电询问", "台上«曾»主任知晓",
        "«熊»主任：您好！贵科«8床»«赵国栋»",
        "取材«小方»  记录«小高»", "值班«小曾»，已告知", "取材«李萍»/记录«WJX»\n镜下见", "审核 «Luo»\n本科对照片2张",
        # days told by what stands beside them
        "诊断医师:«程毅»  «11.5»\n备注：无", "签字 «罗振宇»   «12/2»\n补充", "采集«6-21»；宫颈脱落细胞",
        "蜡块寄出«5/6»，中通",
        "取材«03-15» 报告«03-18»", "术前。«6-12» CT示肺占位", "电话记录：«10/9» «13812345678» 无人接听",
        "«9.12» 归还切片4张",
        "末次月经：«2024.3»　孕3产1", "史3年，«22年11月»曾行穿刺", "于«2024年3月5日»下午送检", "于«2024年3月5日下午3点»送检",
        "产妇，«9-17»剖宫产，双胎", "活检«5-11»，根治«6-3»，均在我院", "化疗后复查«3/11»、«4/2»、«5/6»三次",
        "1/2切除，另1/2保留",
        # places
        "患者持«太原路医院»切片", "已嘱«徐州二院»补寄蜡块", "标本送«世和基因»。", "转«省人民»骨科治疗",
        "受«平阳县公安局»委托，",
        "NICU«A3床»，母亲", "现住«6B-11床»", "«五河县第三小学»教师", "来电（«5120»），询问", "老师，«LN-F24031»图像已传",
        "图像：\\\\srv01\\wsi\\2024\\«卓央金_4402918»\\HE_10x.jpg",
    ],
)  # fmt: skip
def test_what_stands_beside_an_identifier_stays(marked: str) -> None:
    assert [text for text, *_ in found(re.sub("[«»]", "", marked), SiteRules("NB01"))] == re.findall("«(.*?)»", marked)


def test_a_name_that_is_but_likely_stays_where_nothing_else_identifies(monkeypatch: pytest.MonkeyPatch) -> None:
    scrubber, text = TextScrubber(SiteRules("NB01")), "曾行冷冻治疗。阴道镜项丽君。"
    monkeypatch.setattr(learned, "_ALONE", 1e6)
    assert scrubber.removals([text], NOTHING, language="zh", year=2024) == [[]]
    assert scrubber.doubts(text, [])
    beside, _ = scrubber.removals([text, "送检日期2024年5月3日"], NOTHING, language="zh", year=2024)
    assert [text[one.start : one.end] for one in beside] == ["项丽君"]
    assert not scrubber.doubts(text, beside)


def test_what_the_toolkit_wrote_is_no_identifier() -> None:
    text = (
        "姓名：[姓名] 病理号：C-0123456789ABCDEF-A1，住院号：P-0123456789ABCDEF，S-0123456789ABCDEF 报告医师：[医师] "
        "⟦date:ymd-han:2024-05-03⟧ ⟦case:C-0123456789ABCDEF:A1⟧ 电话：⟦phone⟧ [NAME] [NATIONAL ID] 年龄：90+岁 2024年5月3日"
    )
    assert detect(text) == []
    assert [one.kind for one in detect(f"{text} 13800138000")] == [Kind.PHONE]


def test_overlapping_removals_become_one_named_after_the_most_specific() -> None:
    parts = [
        Removal(0, 4, Kind.NUMBER, "shape.number"), Removal(2, 9, Kind.CASE, "label.case", "S24-1"),
        Removal(5, 6, Kind.BRACKET, "shape.bracket"), Removal(9, 12, Kind.DATE, "date.ymd"), Removal(20, 21, Kind.AGE,
        "shape.age"),
    ]  # fmt: skip
    for order in (parts, parts[::-1]):
        result = merged(order)
        assert [(one.start, one.end, one.kind, one.value) for one in result] == [
            (0, 9, Kind.CASE, "S24-1"), (9, 12, Kind.DATE, ""), (20, 21, Kind.AGE, ""),
        ]  # fmt: skip
    assert list(freed("一二三四五六七八九十", merged(parts), ("十",))) == merged(parts)


def test_the_digest_changes_with_every_rule_of_the_site() -> None:
    changed = [
        RULES, replace(RULES, site="NB02"), replace(RULES, hospitals=()), replace(RULES, staff=()),
        replace(RULES, remove=()), replace(RULES, keep=()), replace(RULES, accession_patterns=()),
        replace(RULES, keep=RULES.remove, remove=RULES.keep),
    ]  # fmt: skip
    assert len({rules_digest(rules) for rules in changed}) == len(changed)
    assert rules_digest(RULES) == rules_digest(pickle.loads(pickle.dumps(RULES)))  # noqa: S301  our own


def _batch(**columns: object) -> pa.RecordBatch:
    row = {"report_id": "r1", "site": "NB01", "language": "zh", "year": 2024, "known": {"names": ["张三"], "birth": None},
           **dict.fromkeys(TEXT_COLUMNS), **columns}  # fmt: skip
    return pa.RecordBatch.from_pylist([row])


def test_the_kernel_gives_every_removal_with_its_column() -> None:
    batch = _batch(gross="张三，手术", comment="电话13800138000")
    result = find_text_removals(batch, Scrub((RULES,)))
    assert result.schema == REMOVALS_FOUND
    rows = result.to_pylist()
    assert rows[0]["error"] is None
    assert [(one["text_column"], one["start"], one["end"], one["kind"]) for one in rows[0]["removals"]] == [
        ("gross", 0, 2, "patient"), ("comment", 2, 13, "phone"),
    ]  # fmt: skip


def test_a_report_that_cannot_be_scrubbed_ends_nothing() -> None:
    result = find_text_removals(_batch(site="NB99", gross="张三"), Scrub((RULES,)))
    assert result.to_pylist() == [{"report_id": "r1", "error": "KeyError", "removals": [], "suspicious": []}]
    lost = lost_report(_batch(gross="张三"), "timeout")
    assert lost.schema == REMOVALS_FOUND
    assert lost.to_pylist() == [{"report_id": "r1", "error": "timeout", "removals": [], "suspicious": []}]


def test_reports_that_are_scrubbed_together_are_scrubbed_as_each_alone() -> None:
    samples = [*read_corpus("zh_a", "zh_d")[::4], *read_corpus("en_b")[::8]]
    scrubber = TextScrubber(RULES)
    reports = [ReportTexts([one.text, None, one.text[::2]], one.known, None, 2024) for one in samples]
    alone = [scrubber.removals(one.texts, one.known, language=None, year=2024) for one in reports]
    assert sum(map(len, (text for report in alone for text in report))) > len(reports)
    assert scrubber.removals_of(reports) == alone


def _rows_of(reports: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    """What the kernel gives for several reports in one batch."""
    [batch] = pa.Table.from_batches(reports).combine_chunks().to_batches()
    return find_text_removals(batch, Scrub((RULES,))).to_pylist()


def test_the_kernel_gives_reports_of_several_sites_in_their_order() -> None:
    reports = [("NB01", "张三，手术"), ("NB99", "张三，手术"), *[("NB01", f"电话1380013{at:04}") for at in range(70)]]
    rows = _rows_of([_batch(site=site, gross=gross) for site, gross in reports])
    assert [row["error"] for row in rows] == [None, "KeyError", *[None] * 70]
    assert [len(row["removals"]) for row in rows] == [1, 0, *[1] * 70]


def test_a_report_that_cannot_be_scrubbed_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(normal: str, language: str | None) -> list[Removal]:
        if "坏" in normal:
            raise RecursionError
        return find_names(normal, language)

    monkeypatch.setattr(text_scrubber, "find_names", fail)
    rows = _rows_of([_batch(gross=gross) for gross in ("张三，手术", "坏张三", "电话13800138000")])
    assert [(row["error"], len(row["removals"])) for row in rows] == [(None, 1), ("RecursionError", 0), (None, 1)]

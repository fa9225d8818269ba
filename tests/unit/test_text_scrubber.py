"""The text scrubber as a whole: known values, labels, shapes, sites and what is written by the toolkit itself."""

import pickle
from dataclasses import replace

import pyarrow as pa
import pytest

from pathcurate.model.removal import Kind, Removal
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber, detect, rules_digest
from pathcurate.scrubbers.text.kernel import REMOVALS_FOUND, Scrub, find_text_removals, lost_report
from pathcurate.scrubbers.text.merging import freed, merged

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


def test_only_the_number_of_an_age_goes() -> None:
    assert found("患者女性，93岁；89岁；年龄：九十三岁") == [("93", "age", "93", ""), ("九十三", "age", "93", "")]
    assert [value for _, _, value, _ in found("一百零一岁，九十岁，一百岁")] == ["101", "90", "100"]


def test_a_name_found_by_a_label_goes_wherever_it_stands() -> None:
    texts = ["姓名：邱慧  性别：女", None, "标签见“邱慧”字样", ""]
    removals = TextScrubber(RULES).removals(texts, NOTHING, language="zh", year=None)
    cut = [[(text or "")[one.start : one.end] for one in own] for text, own in zip(texts, removals, strict=True)]
    assert cut == [["邱慧"], [], ["邱慧"], []]


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

"""Those who did one step of the work, as it is noted in passing, with neither a colon nor a title."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
from pathcurate.scrubbers.text.briefsigners import find_brief_signers


def found_in(text: str) -> set[str]:
    return {text[one.start : one.end] for one in find_brief_signers(text)}


@pytest.mark.parametrize(
    "text",
    [
        "巨检(«高»/«戴»):左肾一只", "肉眼所见〔«张»、«陆»〕:子宫", "大体检查(«YXM»):胃窦黏膜",
        "科内讨论(«孙»、«刘»、«马»):考虑恶性", "胆囊一个。«周»取«沈»记", "取«周»记«沈»\n镜下", "诊«吴»审«陈»",
        "«阎»取 «贺»记  9-18", "胆囊一个。«周»取\n镜下", "5月6日«陈»补取2块", "2023/5/6 «CL»改。", "(«何苗»记录)",
        "计数者A:«邓» 计数者B:«魏»", "阅片人(初)«邓»", "HE:«吴»\n", "«小刘»补取材2块", "全包。(«zl»)",
        "全包。/«zhangl»\n", "吴静代«陈»)", "病理医师«吴静»«20311»", "外科«童明»,影像科«路遥»,病理科«尤佳»:建议手术",
        "参加:卫东、肿瘤科«甄诚»、", "家属(女,«陈晓»)取走", "科内讨论(«陶»、«向»、«管»):",
        "与«沈»沟通后", "片子交«沈»,", "«沈伟»医疗组", "已阅«沈»\n", "胃窦3块。(«沈»/«李»/«王»)", "腺癌。2023.4.5«沈»",
        "腺癌。\n20230405 «ZW»", "腺癌。\n«沈伟»20230405", "袋上为«苏谨»)",
    ],
)  # fmt: skip
def test_who_is_noted_in_passing_is_found(text: str) -> None:
    assert found_in(re.sub("[«»]", "", text)) == set(re.findall("«(.*?)»", text))


@pytest.mark.parametrize(
    "text",
    [
        "大体(左、右):肾上腺各一", "镜检(HE/PAS):肉芽肿", "免疫组化(CK/EMA):阳性", "特殊染色(PAS/AB):(+)",
        "大体(肺):灰褐", "冰冻(TS/FS):", "讨论(IHC、FISH):不一致", "会诊(外院):同意", "全包。(HE)", "未见癌。(her)",
        "未见癌。/ihc\n", "共12块。余取\n", "取皮肤记录。", "取记忆合金支架", "小叶取材2块", "小梁描述", "老年说明",
        "2.0 高诊断价值", "3-5 白改变", "5月6日常规取材", "5月6日单取", "(高会诊)(华诊断)(马上补取)",
        "HE:易碎 PCR:明确", "细胞学:复查,复发,复诊", "代谢代偿。年代)", "外科切除,内科治疗、放疗科随访。",
        "请外科会诊、妇科查体。", "病理科高度怀疑,影像科考虑恶性", "外科医生、内科医生均已阅片", "患者家属(女,45岁)",
        "糖代谢,脂代谢。", "与管相通", "已审毕\n", "(红/白/黄)\n", "对照组。高危组。",
        "医师团队2023", "标签上为空白,申请单:见附页",
    ],
)  # fmt: skip
def test_medicine_in_the_same_places_stays(text: str) -> None:
    assert found_in(text) == set()


def test_lists_in_brackets_are_of_people_only_as_a_whole() -> None:
    assert found_in("巨检(高/左):") == set()
    assert found_in("巨检(高/CK):") == set()
    assert found_in("巨检(高/戴)见") == {"高", "戴"}
    assert found_in("巨检(戴)见") == set()


@given(st.text(alphabet="巨检(高/戴):取记,。\n ab12-审小刘", max_size=40))
def test_what_is_found_lies_in_the_text_and_is_found_once_more(text: str) -> None:
    places = [(one.start, one.end) for one in find_brief_signers(text)]
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert places == [(one.start, one.end) for one in find_brief_signers(text)]


def test_the_scrubber_asks_for_them() -> None:
    scrubber = TextScrubber(SiteRules("NB01"))
    text = "巨检(高/戴):左肾一只。"
    removed = [one.value for one in scrubber.removals([text], KnownValues(), language="zh", year=2024)[0]]
    assert removed == ["高", "戴"]


@pytest.mark.parametrize(
    "text", ["上皮内淋巴细胞<20/100。", "淋巴细胞(30/100)", "淡黄清亮。", "需手写签名方有效)", "批准:耿志军\n查询:见附页"]
)
def test_shares_of_cells_and_words_behind_labels_stay(text: str) -> None:
    [removed] = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(), language="zh", year=2024)
    assert {one.value for one in removed} <= {"耿志军"}

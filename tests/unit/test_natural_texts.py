"""What people write in reports who do not know the rules: names in other scripts, codes, short forms; and what is none."""

import pytest

from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber

SCRUBBER = TextScrubber(SiteRules("NB01"))


def taken(text: str) -> list[str]:
    [removals] = SCRUBBER.removals([text], KnownValues(), language="zh", year=2023)
    return [text[one.start : one.end] for one in removals]


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("国际部患者 Ганболд Сараа，女，结肠息肉。", "Ганболд Сараа"),
        ("家属 김민수 携片会诊。", "김민수"),
        ("标本袋另写 สมชาย，与申请单不符。", "สมชาย"),
        ("患者的弟芮玉田2018年因胃癌手术。", "芮玉田"),
        ("病人的母苗桂英有乳腺癌史。", "苗桂英"),
        ("患者的妻储月华代诉。", "储月华"),
        ("慢性阑尾炎。\n主诊 0318  复核 0225", "0318"),
        ("诊断医师:0412 审核医师:0207", "0412"),
        ("初检 0631/复检 0109", "0631"),
        ("胆囊慢性炎。孟\n免疫组化另报。", "孟"),
        ("切缘干净。 邱\n补充报告：同前。", "邱"),
        ("宫颈息肉。\n(ZHW 11/04/2019)", "ZHW"),
        ("慢性胃炎。（LXJ 2022-3-8）", "LXJ"),
        ("科别：新生儿科 床号：新7", "新7"),
        ("床位：留3，送检阑尾。", "留3"),
        ("患者男，年龄：93岁", "93"),
        ("胃窦活检，95岁老年男性", "95"),
        ("外显子19缺失待定，送省医会诊。", "省医"),
    ],
)
def test_what_identifies_is_taken(text: str, identifier: str) -> None:
    assert any(identifier in one for one in taken(text))


@pytest.mark.parametrize(
    "text",
    [
        "免疫组化κ（+），λ（-），α-SMA（+），β-catenin膜阳性。",
        "血清СЕА升高，НЕ染色见腺癌。",
        "直径约90μm，γ射线照射后。",
        "患者的母细胞瘤样结构不明显。",
        "患者的子宫内膜呈增生期改变。",
        "病人的女性激素水平正常。",
        "复核 0.25mm，审核 0/12。",
        "诊断 0级 审核无误。",
        "慢性炎。高\n级别病变未见。",
        "慢性炎。石\n蜡切片另报。",
        "床旁超声示约5cm包块。",
        "阳性细胞90%，直径90 mm，治疗90天。",
        "外院液基（TCT 阴性）。",
        "转省医保办理手续。",
    ],
)
def test_what_is_medicine_stays(text: str) -> None:
    assert taken(text) == []

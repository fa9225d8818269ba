"""The text scrubber on texts that its rules' authors had not seen, and on medical text that looks like identifiers.

What is wanted is a recall and a precision of 0.99 each; `make bench` says how far that is reached. All sets here have been
read since they were scored, and the rules were made better by them; the least shares lie just under what was measured, so
that no change makes them worse unseen. Beds are taken out with their word (17床), which sets a to e and j do not mark: it
costs them a part of their precision. A part of a day without its hour (5月3日上午) stays, as in sets a, b, h, i, j and k;
sets d, f and g mark it.
"""

import pytest

from pathcurate.scrubbers.text import SiteRules, TextScrubber
from tests.bench.deid_scoring import DIRECT, PLANTED, QUASI, Sample, Score, Spans, read_corpus, score

HARMLESS = {
    "zh": (
        "左乳外上象限肿物，大小2.5×2×1.8cm，淋巴结（2/15）见癌转移。",
        "核分裂象10/10HPF，局灶3/10HPF，Ki-67约30%。",
        "CD117（+），DOG1（+），CD34（-），SDHB（未缺失），S-100（-）。",
        "EGFR T790M突变阳性，L858R阴性，ALK（D5F3）阴性。",
        "PD-L1（SP263）TC 30%，PD-L1（22C3）CPS 15，SP142阴性。",
        "ICD-O形态学编码M8500/3，部位编码C50.900。",
        "病理分期pT2N1M0，AJCC第8版ⅡB期。",
        "蜡块A1-A12，B1至B4，C1、C2为切缘。",
        "Gleason评分3+4=7分，分级分组2组，前列腺导管腺癌。",
        "Fuhrman核分级Ⅱ级，WHO/ISUP 2级。",
        "乳头Paget病，伴高级别导管原位癌。",
        "我院会诊结果与外院一致，上级医院意见供参考。",
        "川崎病累及冠状动脉，考虑IgA血管炎除外。",
        "白细胞增多，黄色瘤样细胞聚集，金黄色颗粒沉积。",
        "病变严重，边界不清，周围脂肪组织浸润，方向不明。",
        "包块位于床旁超声所示部位，单位：mm。",
        "车祸伤后脾破裂，送检脾脏180g。",
        "HER2（2+），FISH：HER2/CEP17比值1.8，平均拷贝数3.6。",
        "免疫组化：CK7（+），CK20（-），TTF-1（+），NapsinA（+），P40（-）。",
        "HE×100，镜下见R-S细胞，CD30（+），CD15（+）。",
        "高倍视野下嗜酸性粒细胞15个/HPF，最高38个/HPF。",
        "参照2021年WHO分类第5版，GIST改良NIH危险度分级：中危。",
        "王氏钳夹取组织3块，大者0.3cm。",
        "林奇综合征相关基因MLH1、MSH2、MSH6、PMS2均表达。",
        "于切缘2mm处见癌，距基底0.1cm。",
        "关节滑膜组织，何种感染待查，金标准为培养。",
        "曾行放化疗，史上无类似病史，任何部位均未见转移。",
        "安氏试剂批内差1.2%，时间分辨率5ms，温度37℃。",
        "抗酸染色（-），PAS（+），网状纤维染色（+），刚果红（-）。",
        "胆囊一枚，8×3×2cm，内含结石3枚，黏膜粗糙。",
        "温馨提示：危化品柜双人双锁，易燃品单独存放，钥匙由专人保管。",
        "缝线标记方向：长线为外侧，短线为上方；报告时限三个工作日，会诊者顺延。",
        "建议补查抗核抗体；单红信号12个，单绿信号3个；B超单附后，支付宝缴费留存截图。",
        "子 宫 多 发 性 平 滑 肌 瘤 ， 增 殖 期 子 宫 内 膜 。",
        "Apgar评分10-10-10。切缘第2组  1/8\n取材2-5 报告另发\n审核 免疫组化 8.5\n比值7.3 追加检测",
        "送检乳腺癌基因，未回。取材小于1cm组织，切片小管，增生。返回老家，血管附近人字形。",
        "复核 CMV\n取材 TCT\n记录 NGS\n建议骨肿瘤中心随访，家属（见背面）签字。",
    ),
    "en": (
        "Two of fifteen lymph nodes positive (2/15), extranodal extension 2 mm.",
        "Mitotic rate 3/10 HPF; Ki-67 labelling index 15%.",
        "Gleason score 4+3=7 (Grade Group 3) in 5/12 cores.",
        "Fuhrman nuclear grade 2; Paget disease of the nipple.",
        "CD117 positive, DOG1 positive, SP263 and 22C3 negative.",
        "EGFR T790M and L858R detected by NGS, exon 20.",
        "Blocks A1-A4, B1, C2; slides 1-3; levels x3.",
        "pT2 pN0 (sn) pM0, Stage IIA, AJCC 8th edition.",
        "Mr imaging shows a 12 mm lesion; MR angiography normal.",
        "Marshall stain, Grocott methenamine silver, Ziehl-Neelsen negative.",
        "Hodgkin lymphoma, Reed-Sternberg cells, Warthin tumor, Barrett esophagus.",
        "Hashimoto thyroiditis; Merkel cell carcinoma; Burkitt lymphoma.",
        "Breslow depth 1.2 mm, Clark level IV, mitoses 2/mm2.",
        "Nottingham grade 2 (3+2+2=7), ER 90%, PR 40%, HER2 1+.",
        "Crohn disease, active ileitis, no granulomas identified.",
    ),
}


def removed(samples: list[Sample], language: str) -> list[Spans]:
    scrubber = TextScrubber(SiteRules("NB01"))
    return [
        [(one.start, one.end) for one in scrubber.removals([sample.text], sample.known, language=language, year=2024)[0]]
        for sample in samples
    ]


@pytest.fixture(scope="module")
def chinese() -> Score:
    samples = read_corpus("zh_a", "zh_b", "zh_c", "zh_d")
    return score(samples, removed(samples, "zh"))


@pytest.fixture(scope="module")
def english() -> Score:
    samples = read_corpus("en_b", "en_d", "en_e")
    return score(samples, removed(samples, "en"))


def test_chinese_texts_lose_no_fewer_identifiers_than_before(chinese: Score) -> None:
    assert (chinese.recall(DIRECT) or 0) >= 0.98
    assert (chinese.touched_share(DIRECT) or 0) >= 0.985
    assert (chinese.recall(QUASI) or 0) >= 0.975


@pytest.mark.parametrize(
    ("names", "direct", "quasi", "precision"),
    [
        (("zh_e",), 0.975, 0.8, 0.99),
        (("zh_f", "zh_g"), 0.98, 0.87, 0.99),
        (("zh_h",), 0.99, 0.93, 0.985),
        (("zh_i", "zh_j", "zh_k"), 0.99, 0.97, 0.99),
        (("zh_l", "zh_m"), 0.98, 0.85, 0.985),
        (("zh_p", "zh_q", "zh_s"), 0.99, 0.91, 0.97),
        (("zh_t", "zh_u", "zh_v", "zh_x"), 0.99, 0.945, 0.99),
        (("en_k",), 0.955, 0.885, 0.975),
        (("en_m",), 0.975, 0.87, 0.97),
        (("en_g",), 0.975, 0.96, 0.965),
        (("en_h",), 0.985, 0.95, 0.985),
    ],
)
def test_the_later_texts_lose_no_fewer_than_before(
    names: tuple[str, ...], direct: float, quasi: float, precision: float
) -> None:
    samples = read_corpus(*names)
    scored = score(samples, removed(samples, names[0][:2]))
    assert (scored.recall(DIRECT) or 0) >= direct
    assert (scored.recall(QUASI) or 0) >= quasi
    assert (scored.precision or 0) >= precision
    assert scored.hits == 0


@pytest.mark.parametrize(
    ("kind", "least"), [("id", 1.0), ("email", 1.0), ("account", 1.0), ("case", 0.985), ("patient", 0.985)]
)
def test_chinese_texts_lose_each_kind_as_before(chinese: Score, kind: str, least: float) -> None:
    assert (chinese.recall([kind]) or 0) >= least


def test_chinese_texts_lose_little_else(chinese: Score) -> None:
    assert (chinese.precision or 0) >= 0.975
    assert chinese.hits == 0


def test_english_texts_lose_no_fewer_identifiers_than_before(english: Score) -> None:
    assert (english.recall(PLANTED) or 0) >= 0.97
    assert (english.recall(DIRECT) or 0) >= 0.98


def test_english_texts_lose_little_else(english: Score) -> None:
    assert (english.precision or 0) >= 0.98
    assert english.hits == 0


def test_medical_text_that_looks_like_identifiers_stays() -> None:
    harmless = {language: [Sample(text, text, ()) for text in texts] for language, texts in HARMLESS.items()}
    hits = {language: score(samples, removed(samples, language)).hits for language, samples in harmless.items()}
    assert hits["zh"] == 0
    assert hits["en"] == 0

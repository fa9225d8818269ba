"""Every rule of the text scrubber on texts of its own, and the words of pathology that no rule may touch."""

import re
import time
from pathlib import Path

import pytest
import yaml

from pathcurate.model.removal import Removal
from pathcurate.scrubbers.text.merging import merged
from pathcurate.scrubbers.text.patterns import RULES
from pathcurate.scrubbers.text.shaped import find_shaped
from pathcurate.text.folding import half_width

EXAMPLES = yaml.load(Path(__file__).with_name("text_pattern_examples.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
LEAST_EXAMPLES = 3
MAY_MEAN = {"label.number": ("label.case", "label.id", "label.account", "label.phone")}
HARMLESS = (
    "(2/15)", "10/10HPF", "3/10 HPF", "CD117", "T790M", "SP263", "22C3", "C50.900", "M8500/3", "T1N0M0", "A1-A12", "3+4=7",
    "10×10",
    "WHO 2021", "2019-2020年", "2.5×2×1.8cm", "Ki-67", "p16", "ER(+，90%)", "HPV16", "左乳", "Fuhrman", "Gleason", "Paget",
    "我院",
    "外院会诊", "床旁", "川崎病", "单位：mm", "上级医院", "病理号未见", "审核：未审核", "住院号：未填",
    "1.2.840.10008.5.1.4.1.1.77.1.6",
    "AE1/AE3", "CK8/18", "34βE12", "D2-40", "GCDFP-15", "EGFR c.2573T>G p.L858R", "NM_005228.3", "rs121434568", "COSM6224",
    "chr7:55249071", "测序深度 5000000 reads", "GB/T 42460-2023", "ISO15189:2012", "形态学编码：8500/3", "ICD-O 8500/3",
    "CPT 88305",
    "pT3N1bM0", "ypT2 N0(sn) MX", "Ki-67（约30%+）", "核分裂象20/50HPF", "淋巴结 0/12、1/13、2/4", "切片编号：1-5",
    "蜡块号：A1、A2",
    "13.1*12.0*6.5cm", "约2000个/HPF", "1000-2000μm", "400倍", "第3号标本", "第7组淋巴结", "胃窦小弯区3号", "12点方向",
    "取材3块",
    "AJCC 8th edition (2017)", "Nottingham评分3+2+2=7分", "Lauren分型：弥漫型", "FIGO ⅠA1", "HE×3，白片10张", "89岁",
    "9月龄",
    "市售抗体", "病理科", "乳腺外科", "本院职工", "住院医师", "克隆号：SP263", "试剂批号：20240503", "国械注准20173404567",
)  # fmt: skip


def _removed(text: str, rule: str) -> list[str]:
    return [text[one.start : one.end] for one in merged(one for one in find_shaped(half_width(text)) if one.rule == rule)]


@pytest.mark.parametrize("rule", EXAMPLES)
def test_each_rule_on_its_examples(rule: str) -> None:
    for text in EXAMPLES[rule]["removed"]:
        assert _removed(re.sub("[«»]", "", text), rule) == re.findall("«(.*?)»", text)
    for text in EXAMPLES[rule]["stays"]:
        assert _removed(text, rule) == []


def test_every_rule_has_enough_examples() -> None:
    rules = {rule.name for rule in RULES} | set(MAY_MEAN["label.number"])
    texts = [half_width(re.sub("[«»]", "", text)) for examples in EXAMPLES.values() for text in examples["removed"]]
    found = {one.rule for text in texts for one in find_shaped(text)}
    assert (rules | found) - set(EXAMPLES) == set()
    assert all(len(examples[sort]) >= LEAST_EXAMPLES for examples in EXAMPLES.values() for sort in ("removed", "stays"))


@pytest.mark.parametrize("text", HARMLESS)
def test_words_of_pathology_stay(text: str) -> None:
    for around in ("{}", "送检{}，见下。", "结果：{} 见癌", "（{}）"):
        assert list(find_shaped(half_width(around.format(text)))) == []


@pytest.mark.parametrize(
    "unit",
    ["a", "1", "1 ", "(", "a.", "a@", "1-", "号", "号1", "医院", "市", "市区", "路1号", "北京", "A-", "Ab ", "*", "电话",
    "病理号：",
     "/", "\\", "::", "1.", "省市区县", "和", "第", "12 Ab ", "The Of ", " ", "地址：", "单位：", "http://", "转", "村",
     "P.", "mrn "],
)  # fmt: skip
def test_a_hostile_text_costs_what_its_length_costs(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        times = []
        for _ in range(2):
            start = time.process_time()
            list(find_shaped(text))
            times.append(time.process_time() - start)
        return min(times)

    # Ten times as long: ten times the time if linear, a hundred times if quadratic.
    assert seconds(20_000) < 30 * seconds(2_000) + 0.05


def test_a_removal_shows_nothing_of_what_it_holds() -> None:
    assert "13800138000" not in repr(
        [*find_shaped("电话13800138000"), Removal(0, 1, next(find_shaped("93岁")).kind, "r", "93")]
    )

"""Molecular results as reports give them, each with its answer, and texts that hold none."""

import pytest

from pathcurate.text.folding import fold
from pathcurate.text.molecular import molecular_results

RESULTS = [
    ("EGFR L858R", "EGFR=L858R"),
    ("EGFR基因21外显子L858R突变", "EGFR=L858R"),
    ("EGFR：第19外显子缺失突变", "EGFR=exon 19 deletion"),
    ("EGFR exon 19 deletion detected", "EGFR=exon 19 deletion"),
    ("EGFR 19del(+)", "EGFR=exon 19 deletion"),
    ("EGFR 20号外显子插入突变", "EGFR=exon 20 insertion"),
    ("EGFR T790M 突变", "EGFR=T790M"),
    ("EGFR L858R、T790M突变", "EGFR=L858R; EGFR=T790M"),
    ("EGFR未检出突变", "EGFR=not detected"),
    ("EGFR T790M未检出", "EGFR=not detected"),
    ("未检出EGFR突变", "EGFR=not detected"),
    ("EGFR mutation: not detected", "EGFR=not detected"),
    ("No mutation detected in KRAS", "KRAS=not detected"),
    ("no EGFR mutation identified", "EGFR=not detected"),
    ("KRAS野生型", "KRAS=wild type"),
    ("KRAS: wild-type", "KRAS=wild type"),
    ("KRAS、NRAS、BRAF均为野生型", "KRAS=wild type; NRAS=wild type; BRAF=wild type"),
    ("KRAS第2外显子突变", "KRAS=exon 2 mutation"),
    ("KRAS第2外显子G12D突变（阳性）", "KRAS=G12D"),
    ("KRAS c.35G>A (p.G12D)", "KRAS=G12D"),
    ("KRAS p.Gly12Asp", "KRAS=G12D"),
    ("KRAS G12C", "KRAS=G12C"),
    ("BRAF V600E检出突变", "BRAF=V600E"),
    ("BRAF V600E mutation detected", "BRAF=V600E"),
    ("BRAF V600E突变：阴性", "BRAF=not detected"),
    ("BRAF V600E未见突变", "BRAF=not detected"),
    ("ALK融合基因阳性", "ALK=fusion"),
    ("EML4-ALK融合（+）", "EML4=fusion; ALK=fusion"),
    ("ALK rearrangement: negative", "ALK=not detected"),
    ("ALK融合基因（-）", "ALK=not detected"),
    ("ROS1 fusion not detected", "ROS1=not detected"),
    ("ALK基因重排：未检出", "ALK=not detected"),
    ("FISH：HER2基因扩增", "HER2=amplified"),
    ("HER2 FISH: amplified", "HER2=amplified"),
    ("HER-2 gene is not amplified", "HER2=not amplified"),
    ("HER2基因无扩增", "HER2=not amplified"),
    ("HER2 FISH（-）", "HER2=not amplified"),
    ("MDM2扩增（FISH+）", "MDM2=amplified"),
    ("MDM2 amplification by FISH: positive", "MDM2=amplified"),
    ("MSI-H", "MSI=MSI-H"),
    ("MSS", "MSI=MSS"),
    ("微卫星高度不稳定（MSI-H）", "MSI=MSI-H"),
    ("微卫星稳定", "MSI=MSS"),
    ("microsatellite stable", "MSI=MSS"),
    ("dMMR", "MMR=dMMR"),
    ("错配修复功能完整（pMMR）", "MMR=pMMR"),
    ("TMB: 12.5 mut/Mb", "TMB=12.5"),
    ("TMB-H", "TMB=high"),
    ("IDH1 R132H突变", "IDH1=R132H"),
    ("1p/19q共缺失", "1p/19q=codeleted"),
    ("1p/19q codeletion present", "1p/19q=codeleted"),
    ("1p/19q未见共缺失", "1p/19q=not codeleted"),
    ("EWSR1基因断裂重排阳性", "EWSR1=rearranged"),
    ("EWSR1 rearrangement", "EWSR1=rearranged"),
    ("EWSR1-FLI1 fusion", "EWSR1=fusion; FLI1=fusion"),
    ("MGMT启动子甲基化", "MGMT=methylated"),
    ("MGMT promoter: unmethylated", "MGMT=unmethylated"),
    ("TERT启动子C228T突变", "TERT=C228T"),
    ("CDKN2A纯合性缺失", "CDKN2A=deleted"),
    ("KIT基因11外显子突变", "KIT=exon 11 mutation"),
    ("TP53突变", "TP53=mutated"),
    ("MET 14外显子跳跃突变", "MET=exon 14 skipping"),
    ("MET exon 14 skipping", "MET=exon 14 skipping"),
    ("BRCA1/2未检测到致病突变", "BRCA=not detected"),
    ("POLE P286R", "POLE=P286R"),
    ("TP53 R273*", "TP53=R273*"),
    ("JAK2 V617F positive", "JAK2=V617F"),
    ("EGFR L858R突变，T790M未检出", "EGFR=L858R"),
    ("EGFR L858R突变，可能对靶向药物敏感，请结合患者临床", "EGFR=L858R"),
    ("BRAF V600E mutation. Not identified", "BRAF=not detected"),
]
TRAPS = [
    "EGFR（+）",
    "ALK（-）",
    "ALK（D5F3）（-）",
    "PMS2缺失",
    "MLH1 loss",
    "HER2（2+），建议FISH检测",
    "EGFR检测",
    "HER2",
    "RETURN L858R",
    "建议行EGFR、ALK、ROS1基因检测",
    "p53（突变型）",
    "met with G12 doctor",
    "2024-03",
    "CT扫描",
    "",
    "BRAF V600E（-）",
    "BRAF V600E(+)",
    "PTEN(-)",
    "T790M",
    "KRAS status pending",
    "MSI检测",
    "pT2N1M0",
    "SMAD4缺失",
    "kit provided by the vendor, exon 11",
    "EGFR突变检测待回报",
    "This test detects the KRAS mutations.",
    "NRAS mutation analysis: reflex testing not. required.",
]


@pytest.mark.parametrize(("text", "answer"), RESULTS)
def test_what_a_result_says(text: str, answer: str) -> None:
    assert "; ".join(str(found.value) for found in molecular_results(fold(text))) == answer


@pytest.mark.parametrize("text", TRAPS)
def test_what_is_no_result(text: str) -> None:
    assert molecular_results(fold(text)) == []


def test_a_finding_said_twice_is_one_and_stands_where_it_was_said_first() -> None:
    text = fold("EGFR L858R突变。\nEGFR：L858R")
    (found,) = molecular_results(text)
    assert (found.name, found.value, text[found.start : found.end]) == ("molecular_results", "EGFR=L858R", "egfr l858r突变")

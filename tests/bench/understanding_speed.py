"""Reports that are read per second and core: sections, lines, codes, values, immunostains, molecular results.

Usage: ``python tests/bench/understanding_speed.py [--reports N]``. The reports are made up, of 500 to 600 characters, no two
alike: resections with twelve immunostains, stage and nodes each, and a mix in which every second report is a biopsy. For
proportion, the time of ``str.casefold`` and one regular expression over the same texts.
"""

import argparse
import random
import re
import sys
import time
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.reports.reading import ReadingSpec, read_reports
from tests.bench.rows import Row, record

ORGANS = [
    ("左乳", "浸润性癌，非特殊型", "左腋窝淋巴结"), ("右肺上叶", "浸润性腺癌，腺泡型为主", "第7组淋巴结"),
    ("胃窦", "溃疡型中分化腺癌", "胃小弯侧淋巴结"), ("乙状结肠", "隆起型高-中分化腺癌", "肠周淋巴结"),
    ("甲状腺左叶", "甲状腺乳头状癌", "中央区淋巴结"), ("前列腺", "前列腺腺泡腺癌，Gleason评分4+3=7", "盆腔淋巴结"),
]  # fmt: skip
STAINS = ["ER", "PR", "HER2", "Ki-67", "P53", "CK7", "CK20", "TTF-1", "NapsinA", "P40", "CK5/6", "CD34", "D2-40", "Syn"]
SIGNS = ["（+）", "（-）", "（约{}%+）", "（2+）", "（弱+）", "（部分+）"]
STAGES = ["ⅠA", "ⅡB", "ⅢA"]
GROSS = (
    "送检{}切除标本一个，大小{}×{}×{}cm，切面见一灰白质硬区，肿物大小{}×2.0×1.8cm，界限不清，距最近切缘2cm，"
    "余切面灰黄灰红，质中。"
)
MICRO = "镜下肿瘤细胞呈巢状、条索状及腺管状排列，细胞异型明显，核大深染，核分裂象易见，间质纤维组织增生伴慢性炎细胞浸润。"


def resection(number: int, draw: random.Random) -> dict[str, str | None]:
    """A resection with everything that a report can say."""
    site, tumour, nodes = draw.choice(ORGANS)
    size = draw.randint(10, 60) / 10
    positive, examined = draw.randint(0, 3), draw.randint(4, 30)
    seen = "见癌转移" if positive else "未见癌转移"
    stains = "，".join(f"{marker}{draw.choice(SIGNS).format(draw.randint(1, 95))}" for marker in draw.sample(STAINS, 12))
    diagnosis = (
        f"（{site}）{tumour}，{draw.choice('高中低')}分化，肿瘤大小{size}×2.0×1.8cm；"
        f"脉管内{draw.choice(['未', ''])}见癌栓，神经侵犯（{draw.choice('+-')}）；上、下切缘及基底切缘均未见癌；"
        f"{nodes}（{positive}/{examined}）{seen}。pT{draw.randint(1, 4)}N{min(positive, 3)}M0，{draw.choice(STAGES)}期。"
    )
    micro = MICRO + f"另见{nodes}{examined}枚，最大径0.{draw.randint(3, 9)}cm，周围组织呈慢性炎症改变，"
    micro += f"部分区域见出血及坏死，未见明确高级别上皮内瘤变。病例编号{number}。"
    return {
        "report_id": str(number), "site": "NB01", "microscopy": micro * 2, "diagnosis": diagnosis,
        "gross": GROSS.format(site, *(draw.randint(3, 30) for _ in range(3)), size),
        "ihc": f"免疫组化（A{draw.randint(1, 9)}）：{stains}。",
    }  # fmt: skip


def biopsy(number: int, draw: random.Random) -> dict[str, str | None]:
    """A biopsy, described at length."""
    site, tumour, _ = draw.choice(ORGANS)
    found = draw.choice([tumour, "黏膜慢性炎，未见癌", "低级别上皮内瘤变", f"考虑为{tumour}，建议免疫组化协助诊断"])
    gross = "、".join(f"（{place}）灰白色组织{draw.randint(1, 4)}粒，直径0.{draw.randint(1, 5)}cm" for place in "甲乙丙丁戊")
    return {
        "report_id": str(number), "site": "NB01", "microscopy": MICRO * 5 + f"病例编号{number}。",
        "diagnosis": f"（{site}活检）{found}。请结合临床及内镜所见。", "gross": f"送检{site}活检组织：{gross}，全埋。",
    }  # fmt: skip


def measure(what: str, rows: list[dict[str, str | None]]) -> None:
    """Read the reports in one process and say how fast."""
    names = ("report_id", "site", *TEXT_COLUMNS)
    batch = pa.RecordBatch.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in names]))
    texts = ["".join(row.get(name) or "" for name in TEXT_COLUMNS) for row in rows]
    read_reports(batch.slice(0, 50), ReadingSpec())
    begun = time.perf_counter()
    for start in range(0, len(rows), 256):
        read_reports(batch.slice(start, 256), ReadingSpec())
    seconds = time.perf_counter() - begun
    pattern = re.compile(r"[(（]?[+-][)）]?|[0-9]+/[0-9]+|癌|瘤")
    begun = time.perf_counter()
    for text in texts:
        pattern.findall(text.casefold())
    plain = time.perf_counter() - begun
    rates = (len(rows) / seconds, "reports/s", len(rows) / plain)
    record(Row(f"read what reports say, {what}", *rates, "casefold and one expression"))
    sys.stdout.write(
        f"{what}: {len(rows) / seconds:,.0f} reports/s ({seconds / len(rows) * 1e6:.0f} µs each) of "
        f"{sum(map(len, texts)) / len(texts):.0f} characters; casefold and one expression {len(rows) / plain:,.0f}/s\n"
    )


def main() -> None:
    """Make the reports, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=3000)
    count = parser.parse_args().reports
    draw = random.Random(5)
    measure("resections only", [resection(number, draw) for number in range(count)])
    measure("every second one a biopsy", [(resection, biopsy)[number % 2](number, draw) for number in range(count)])


if __name__ == "__main__":
    main()

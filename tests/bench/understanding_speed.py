"""Reports that are read per second and core: sections, lines, codes, values, immunostains, molecular results.

Usage: ``python tests/bench/understanding_speed.py [--reports N]``. The reports are made up, of about 600 characters, no two
alike; the time of Python's own ``str.casefold`` and one regular expression over the same texts is given for proportion.
"""

import argparse
import random
import re
import sys
import time

import pyarrow as pa

from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.reports.reading import ReadingSpec, read_reports

ORGANS = [
    ("左乳", "浸润性癌，非特殊型", "左腋窝淋巴结"), ("右肺上叶", "浸润性腺癌，腺泡型为主", "第7组淋巴结"),
    ("胃窦", "溃疡型中分化腺癌", "胃小弯侧淋巴结"), ("乙状结肠", "隆起型高-中分化腺癌", "肠周淋巴结"),
    ("甲状腺左叶", "甲状腺乳头状癌", "中央区淋巴结"), ("前列腺", "前列腺腺泡腺癌，Gleason评分4+3=7", "盆腔淋巴结"),
]  # fmt: skip
STAINS = ["ER", "PR", "HER2", "Ki-67", "P53", "CK7", "CK20", "TTF-1", "NapsinA", "P40", "CK5/6", "CD34", "D2-40", "Syn"]
SIGNS = ["（+）", "（-）", "（约{}%+）", "（2+）", "（弱+）", "（部分+）"]
GROSS = (
    "送检{}切除标本一个，大小{}×{}×{}cm，切面见一灰白质硬区，肿物大小{}×2.0×1.8cm，界限不清，距最近切缘2cm，"
    "余切面灰黄灰红，质中。"
)
MICRO = "镜下肿瘤细胞呈巢状、条索状及腺管状排列，细胞异型明显，核大深染，核分裂象易见，间质纤维组织增生伴慢性炎细胞浸润。"


def report(number: int, draw: random.Random) -> dict[str, str | None]:
    """A made-up report of about 600 characters."""
    site, tumour, nodes = draw.choice(ORGANS)
    size = draw.randint(10, 60) / 10
    positive, examined = draw.randint(0, 3), draw.randint(4, 30)
    seen = "见癌转移" if positive else "未见癌转移"
    stains = "，".join(f"{marker}{draw.choice(SIGNS).format(draw.randint(1, 95))}" for marker in draw.sample(STAINS, 12))
    diagnosis = (
        f"（{site}）{tumour}，{draw.choice('高中低')}分化，肿瘤大小{size}×2.0×1.8cm；脉管内{draw.choice(['未', ''])}见癌栓，"
        f"神经侵犯（{draw.choice('+-')}）；上、下切缘及基底切缘均未见癌；{nodes}（{positive}/{examined}）{seen}。"
        f"pT{draw.randint(1, 4)}N{min(positive, 3)}M0，{draw.choice(['ⅠA', 'ⅡB', 'ⅢA'])}期。"
    )
    gross = GROSS.format(site, *(draw.randint(3, 30) for _ in range(3)), size)
    micro = (
        MICRO + f"另见{nodes}{examined}枚，最大径0.{draw.randint(3, 9)}cm，周围组织呈慢性炎症改变，部分区域见出血及坏死，"
    )
    micro += f"未见明确高级别上皮内瘤变。病例编号{number}。"
    ihc = f"免疫组化（A{draw.randint(1, 9)}）：{stains}。"
    return {
        "report_id": str(number), "site": "NB01", "gross": gross, "microscopy": micro * 2, "diagnosis": diagnosis, "ihc": ihc,
    }  # fmt: skip


def main() -> None:
    """Make the reports, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=3000)
    count = parser.parse_args().reports
    draw = random.Random(5)
    rows = [report(number, draw) for number in range(count)]
    names = ("report_id", "site", *TEXT_COLUMNS)
    batch = pa.RecordBatch.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in names]))
    length = sum(len(row[name] or "") for row in rows for name in ("gross", "microscopy", "diagnosis", "ihc")) / count
    read_reports(batch.slice(0, 50), ReadingSpec())
    begun = time.perf_counter()
    for start in range(0, count, 256):
        read_reports(batch.slice(start, 256), ReadingSpec())
    seconds = time.perf_counter() - begun
    pattern = re.compile(r"[(（]?[+-][)）]?|[0-9]+/[0-9]+|癌|瘤")
    begun = time.perf_counter()
    for row in rows:
        text = "".join(row.get(name) or "" for name in names)
        pattern.findall(text.casefold())
    plain = time.perf_counter() - begun
    sys.stdout.write(
        f"{count} reports of {length:.0f} characters: {count / seconds:,.0f} reports/s, {seconds / count * 1e6:.0f} µs each\n"
        f"casefold and one regular expression over the same: {count / plain:,.0f} reports/s\n"
    )


if __name__ == "__main__":
    main()

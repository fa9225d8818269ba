"""How many rows a second the tables of laboratories are read with, beside ``pandas.read_csv`` of the same file.

Both read the same file in the same run and in turns, warm in the page cache, each in a process of its own, on one core. The
rows have 25 columns and texts of about 600 characters; understanding the texts is no part of it. With ``--most`` it also
says how much memory a reading of a large file takes. `python tests/bench/import_speed.py --help` shows the settings.
"""

import argparse
import csv
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.mapping import Mapping
from pathcurate.parsers import lis
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.bench.rows import Row, record

WANTED = 10_000
"""Rows a second and core that are wanted."""
HEADS = (
    "序号",
    "病理号",
    "姓名",
    "性别",
    "年龄",
    "身份证号",
    "住院号",
    "联系电话",
    "送检单位",
    "送检科室",
    "送检医生",
    "床号",
    "标本名称",
    "接收日期",
    "报告日期",
    "临床诊断",
    "肉眼所见",
    "镜下所见",
    "病理诊断",
    "免疫组化",
    "报告医生",
    "审核医生",
    "报告类型",
    "报告状态",
    "费别",
)
GROSS = (
    "灰白灰红组织一块，大小为3×2.5×1.8cm，切面灰白，质中，界限尚清",
    "皮肤面积6×4cm，皮下组织厚3cm",
    "另见淋巴结样组织数枚，直径0.3至1.2cm",
)
MICROSCOPY = (
    "镜下见异型细胞呈巢状及条索状排列，核大深染，核分裂象易见",
    "间质纤维组织增生伴淋巴细胞浸润",
    "脉管内未见明确癌栓，神经束膜未见侵犯",
)
DIAGNOSES = (
    "（右乳）浸润性癌，非特殊型，WHO Ⅱ级",
    "（左肺上叶）浸润性腺癌，腺泡型为主",
    "（胃窦）中-低分化腺癌",
    "（甲状腺右叶）乳头状癌",
)
STAINS = "ER（+，90%），PR（+，60%），HER2（1+），Ki-67（约30%+），CK5/6（-），E-cad（+），P120（膜+），GATA3（+）"
NAMES = ("王小红", "李建国", "张伟", "刘洋", "陈静", "杨帆", "赵敏", "黄丽", "周杰", "吴芳")


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the file  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions of each side  [%(default)s]")
    parser.add_argument("--most", type=int, default=0, help="rows of a file whose memory is looked at  [none]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pathcurate-bench-") as directory:
        for encoding in ("utf-8", "gb18030"):
            _compare(Path(directory, f"{encoding}.csv"), encoding, given.rows, given.repeat)
        if given.most:
            path = Path(directory, "most.csv")
            write(path, given.most, "utf-8")
            rate, memory = _alone(_ours, path)
            _say(f"{given.most:,} rows, {path.stat().st_size / 1e9:.1f} GB: {rate:,.0f} rows/s, {memory:,.0f} MB at most")


def _compare(path: Path, encoding: str, rows: int, repeat: int) -> None:
    write(path, rows, encoding)
    sides: dict[str, Callable[[Path], int]] = {"lis.parse": _ours, "pandas.read_csv, all as text": _pandas}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeat):
        for name, side in sides.items():
            rates[name].append(_alone(side, path)[0])
    ours, peer = (median(of_side) for of_side in rates.values())
    record(Row(f"read an export of reports, {encoding}, one core", ours, "rows/s", peer, "pandas.read_csv", WANTED))
    for name, of_side in rates.items():
        mark = f"  (wanted {WANTED:,})" if name == "lis.parse" else ""
        _say(f"{encoding:8} {name:30} {median(of_side):10,.0f} rows/s  {min(of_side):,.0f} to {max(of_side):,.0f}{mark}")


def write(path: Path, rows: int, encoding: str) -> None:
    """A file of rows, no two of them alike, and the same in every run."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADS)
        writer.writerows(_row(number, random.Random(number)) for number in range(1, rows + 1))


def _row(number: int, chance: random.Random) -> Iterator[object]:
    def text(parts: tuple[str, ...], length: int) -> str:
        found = ""
        while len(found) < length:
            found += chance.choice(parts) + f"{chance.randrange(99)}。\r\n"
        return found[:length]

    year, day = chance.randrange(2015, 2025), f"{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    size = f"肿瘤大小{chance.randrange(9)}.{chance.randrange(9)}cm"
    diagnosis = f"{chance.choice(DIAGNOSES)}，{size}，淋巴结未见癌转移（0/{chance.randrange(30)}）。"
    yield from (
        number,
        f"S{year % 100}-{number:06}",
        chance.choice(NAMES),
        chance.choice("男女"),
        f"{chance.randrange(18, 90)}岁",
        "",
        f"{chance.randrange(10**8):08}",
        f"139{chance.randrange(10**8):08}",
        "示例市第一医院",
        "乳腺外科",
        chance.choice(NAMES),
        chance.randrange(60),
        chance.choice(("右乳肿物", "左肺上叶", "胃窦", "甲状腺右叶")),
        f"{year}-{day} 08:05:00",
        f"{year}/{day} 17:20",
        "乳腺肿物",
        text(GROSS, 180),
        text(MICROSCOPY, 190),
        diagnosis + text(MICROSCOPY, 80),
        STAINS + str(number),
        chance.choice(NAMES),
        chance.choice(NAMES),
        "常规",
        "已审核",
        "医保",
    )


def _ours(path: Path) -> int:
    return sum(isinstance(item, dict) for item in lis.parse(path, "NB01", AccessionPatterns(DEFAULT_PATTERNS), Mapping()))


def _pandas(path: Path) -> int:
    return len(pd.read_csv(path, dtype=str, keep_default_na=False, encoding=path.stem))


def _measured(side: Callable[[Path], int], path: Path) -> tuple[float, float]:
    # Time of the processor: others may use the machine at the same time, and what is wanted is wanted of one core.
    start = time.process_time()
    rows = side(path)
    return rows / (time.process_time() - start), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _alone(side: Callable[[Path], int], path: Path) -> tuple[float, float]:
    """Rows a second, and the most memory of a process that does nothing else, in MB."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_measured, side, path).result()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""How many reports a second ``concepts build`` searches for 35 concepts, on one core and through the engine.

Reports of about 600 characters, half Chinese and half English, are made up from the seed. Measured are the kernel in this
process; its prefilter as one set and, for comparison, as one joined pattern and as each pattern by itself; the judge of
assertions; and the kernel through the embedded engine with so many workers. Prints medians and ranges.
`python tests/bench/concept_speed.py --help` shows the settings.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import pyarrow as pa
import re2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.concepts.kernel import MENTIONS, Search, find_mentions, lost_report
from pathcurate.engines.embedded import Embedded
from pathcurate.model.concept import Concept
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.text import patterns
from pathcurate.text.assertion import Assertions
from pathcurate.text.folding import fold
from tests.bench.rows import Row, record

ORGANS = ["肺", "胃", "结肠", "乳腺", "肝", "肾", "甲状腺", "前列腺", "宫颈", "卵巢", "食管", "胰腺"]
WORDS = [
    (["adenocarcinoma"], ["腺癌"]), (["squamous cell carcinoma"], ["鳞状细胞癌", "鳞癌"]),
    (["small cell carcinoma"], ["小细胞癌"]), (["lymphoma"], ["淋巴瘤"]), (["melanoma"], ["黑色素瘤"]),
    (["sarcoma"], ["肉瘤"]), (["carcinoid"], ["类癌"]), (["dysplasia"], ["异型增生", "上皮内瘤变"]),
    (["metaplasia"], ["肠化", "化生"]), (["necrosis"], ["坏死"]),
    (["lymphovascular invasion"], ["脉管癌栓", "脉管内?见癌栓"]), (["perineural invasion"], ["神经侵犯"]),
    (["metasta(sis|ses|tic)"], ["转移"]), (["margins?"], ["切缘"]), (["neoadjuvant"], ["新辅助"]),
    (["synovitis"], ["滑膜炎"]), (["granuloma(s|tous)?"], ["肉芽肿"]), (["fibrosis"], ["纤维化"]),
    (["polyps?"], ["息肉"]), (["adenoma"], ["腺瘤"]), (["leiomyoma"], ["平滑肌瘤"]),
    (["endometriosis"], ["子宫内膜异位"]), (["cyst"], ["囊肿"]), (["calcification"], ["钙化"]),
    (["ulcer(ation)?"], ["溃疡"]), (["helicobacter"], ["幽门螺杆菌"]), (["tuberculosis"], ["结核"]),
    (["amyloid"], ["淀粉样"]), (["thymoma"], ["胸腺瘤"]), (["mesothelioma"], ["间皮瘤"]),
    (["glioma|glioblastoma"], ["胶质瘤"]), (["seminoma"], ["精原细胞瘤"]),
    (["gist|gastrointestinal stromal"], ["间质瘤"]), (["leuka?emia"], ["白血病"]), (["in situ"], ["原位癌"]),
]  # fmt: skip
CONCEPTS = tuple(Concept(any=(*(rf"\b({word})\b" for word in latin), *han)) for latin, han in WORDS)
ZH = {
    "gross": "{o}切除标本，大小{a}×{b}×{a}cm，切面见一灰白色肿物，大小{b"
    "}×{a}×{a}cm，质硬，界限不清，其余组织未见明显异常。附脂肪组织一堆，"
    "大小{a}×{b}×2cm，其内触及结节数枚，直径0.3-{a}cm"
    "，切面灰白灰红，质中。标本已按规范固定、取材并制片，蜡块保存于本科。",
    "microscopy": "肿瘤细胞呈腺管状、巢团状排列，细胞异型性明显，核大深染，核"
    "分裂象易见，间质纤维组织增生，伴多量淋巴细胞及浆细胞浸润。"
    "肿瘤周围组织结构尚存，腺体排列规则，细胞大小一致，小血管扩张"
    "充血，散在炎细胞，局部出血，部分区域水肿，肌层纤维走行规则。",
    "diagnosis": "（{o}）中-低分化腺癌，浸润至浆膜下层，未见明确脉管癌栓，神经侵犯（-），上、下切缘未见癌。\n"
    "送检淋巴结未见癌转移（0/{b}），另送第{b}组淋巴结（0/{a}）。",
    "ihc": "CK7（+），CK20（-），CDX2（+），Ki-67（约{a}0%+），HER2（1+）"
    "，MLH1（+），MSH2（+），PMS2（+），MSH6（+），Syn（-），CgA（-）。",
    "comment": "形态符合{o}原发，不除外合并神经内分泌成分，请结合临床及影像"
    "学检查。全部取材，共{b}块；各块依次编号，经脱水、包埋、切片及"
    "常规染色后由两位医师阅片，意见一致。",
}
EN = (
    "Gross description: the specimen is received in formalin and measures {a} x {b} x {a} cm. "
    "Sectioning shows a firm tan nodule of {b} cm, {a} mm from the nearest edge. "
    "Microscopic description: the tumor forms glands and small nests with marked atypia in a desmoplastic stroma. "
    "Diagnosis: moderately differentiated adenocarcinoma, {b} cm. No lymphovascular invasion is identified. "
    "Margins are negative. Twelve lymph nodes, negative for metastasis (0/12). "
    "Immunohistochemistry: CK7 positive, CK20 negative, TTF-1 positive. "
    "Sections were reviewed by two pathologists, who agree in all parts."
)


def main() -> None:
    """Make the reports, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=5000, help="reports  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions  [%(default)s]")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of the engine  [%(default)s]")
    parser.add_argument("--seed", type=int, default=5, help="of the made-up texts  [%(default)s]")
    options = parser.parse_args()
    reports = [report_texts(random.Random(f"{options.seed} {number}"), number) for number in range(options.reports)]
    texts = ["\n".join(report.values()) for report in reports]
    folded = [fold(text) for text in texts]
    batch = as_batch(reports)
    spec = Search(CONCEPTS)
    found = find_mentions(batch, spec)
    mentions = len(found["mentions"].flatten())
    length = sum(map(len, texts)) / len(texts)
    sys.stdout.write(f"{len(texts):,} reports of {length:.0f} characters, {len(CONCEPTS)} concepts, "
          f"{mentions / len(texts):.1f} mentions a report\n")  # fmt: skip
    cpu = time.process_time  # other work on the machine does not count; what runs in other processes is timed by the clock
    measure("kernel, one core", len(texts), options.repeat, lambda: find_mentions(batch, spec), cpu)
    measure("  folding", len(texts), options.repeat, lambda: [fold(text) for text in texts], cpu)
    measure("  assertions, built", len(texts), options.repeat, lambda: [Assertions(text) for text in folded], cpu)
    data = [text.encode() for text in folded]
    for name, search in prefilters().items():
        title = f"  prefilter: {name}"
        measure(title, len(texts), options.repeat, partial(all_of, search, data), cpu)
    with (
        tempfile.TemporaryDirectory() as directory,
        Embedded(workers=options.workers, temp_directory=Path(directory)) as engine,
    ):

        def run() -> None:
            list(engine.run(find_mentions, batches(batch), spec, MENTIONS, on_crash=lost_report))

        measure(f"engine, {options.workers} workers", len(texts), options.repeat, run, time.perf_counter)


def prefilters() -> dict[str, Callable[[bytes], object]]:
    """Ways to learn which concepts a report may mention."""
    a_set = re2.Set.SearchSet(patterns.options())
    for concept in CONCEPTS:
        a_set.Add(patterns.joined(concept.any))
    a_set.Compile()
    together = patterns.compile_any([pattern for concept in CONCEPTS for pattern in concept.any])
    each = [patterns.compile_any(concept.any) for concept in CONCEPTS]
    return {
        "one set": a_set.Match,
        "one joined pattern (yes or no)": together.search,
        "each by itself": lambda text: [pattern.search(text) for pattern in each],
    }


def all_of(search: Callable[[bytes], object], data: list[bytes]) -> None:
    """Search every text."""
    for text in data:
        search(text)


def report_texts(chance: random.Random, number: int) -> dict[str, str]:
    """A report of about 600 characters: Chinese in the columns of an export, English as one text."""
    values = {"o": chance.choice(ORGANS), "a": chance.randrange(1, 9), "b": chance.randrange(10, 30)}
    if number % 2:
        return {column: text.format(**values) for column, text in ZH.items()}
    return {"text_raw": EN.format(**values)}


def as_batch(reports: list[dict[str, str]]) -> pa.RecordBatch:
    """Reports as the kernel gets them."""
    columns = {name: pa.array([report.get(name) for report in reports], pa.string()) for name in TEXT_COLUMNS}
    count = len(reports)
    columns |= {name: pa.nulls(count, pa.string()) for name in ("site", "language")}
    columns["report_id"] = pa.array([f"R{number}" for number in range(count)])
    return pa.RecordBatch.from_pydict(columns)


def batches(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The reports a thousand at a time."""
    for start in range(0, batch.num_rows, 1000):
        yield batch.slice(start, 1000)


def measure(name: str, count: int, repeat: int, work: Callable[[], object], clock: Callable[[], float]) -> None:
    """Time some work and print what it comes to."""
    rates = []
    for _ in range(repeat):
        start = clock()
        work()
        rates.append(count / (clock() - start))
    middle = median(rates)
    if not name.startswith(" "):
        record(Row(f"concepts: {name}, {len(CONCEPTS)} of them", middle, "reports/s"))
    shown = f"({min(rates):,.0f} to {max(rates):,.0f}), {1e6 / middle:6.1f} µs each"
    sys.stdout.write(f"{name:<45}{middle:>10,.0f} reports/s {shown}\n")


if __name__ == "__main__":
    main()

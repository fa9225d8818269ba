"""Made-up reports of a laboratory, as it exports them: whole rows with Chinese texts, no two of them alike.

Every value comes from a number, so that the same number gives the same report. What stands for a person (name, telephone,
dates) and the sizes that are written with :data:`SLOTS` can be exchanged later without a change of length.
"""

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HEADS = (
    "病理号", "姓名", "性别", "年龄", "身份证号", "住院号", "联系电话", "送检单位", "标本名称", "接收日期", "报告日期",
    "临床诊断", "肉眼所见", "镜下所见", "病理诊断", "免疫组化", "备注", "报告医生", "审核医生", "报告类型", "报告状态",
)  # fmt: skip
SLOTS = {"size": "7.3×5.9×4.1cm", "mitoses": "约37个/10HPF", "name": "欧阳示", "phone": "13900000000", "date": "2020-02-02"}
"""What stands in the texts of a sample until a report gets its own."""
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰红建国志文"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True)
class _Kind:
    """What a specimen of one organ is called, and what is found in it."""

    specimen: str
    clinical: str
    findings: tuple[str, ...]
    stains: tuple[str, ...]


_KINDS = (
    _Kind("左肺上叶", "左肺上叶占位", ("浸润性腺癌，腺泡型为主", "鳞状细胞癌，中分化", "慢性炎伴纤维组织增生", "腺癌，Ⅱ级"),
          ("TTF-1", "NapsinA", "P40", "CK7")),
    _Kind("胃窦", "胃窦溃疡", ("中-低分化腺癌", "慢性萎缩性胃炎伴肠化", "低级别上皮内瘤变", "印戒细胞癌"),
          ("HER2", "CDX2", "CK20", "Syn")),
    _Kind("右乳腺", "右乳肿物", ("浸润性癌，非特殊型，Ⅱ级", "纤维腺瘤", "导管原位癌，高级别", "乳腺腺病"),
          ("ER", "PR", "HER2", "Ki-67")),
    _Kind("乙状结肠", "结肠占位", ("中分化腺癌", "管状腺瘤伴低级别异型增生", "增生性息肉", "黏液腺癌"),
          ("MLH1", "MSH2", "MSH6", "PMS2")),
    _Kind("甲状腺右叶", "甲状腺结节", ("乳头状癌", "结节性甲状腺肿", "桥本甲状腺炎", "滤泡性腺瘤"),
          ("TTF-1", "CK19", "Galectin-3", "Ki-67")),
    _Kind("宫颈", "宫颈病变", ("高级别鳞状上皮内病变", "慢性宫颈炎", "鳞状细胞癌", "低级别鳞状上皮内病变"),
          ("P16", "Ki-67", "P63", "CK5/6")),
    _Kind("前列腺穿刺", "PSA升高", ("前列腺腺泡腺癌，Gleason评分3+4=7分", "良性前列腺增生",
                                "前列腺腺癌，Gleason评分4+4=8分"), ("P504S", "P63", "PSA", "CK34βE12")),
    _Kind("皮肤", "皮肤肿物", ("基底细胞癌", "色素痣", "脂溢性角化病", "皮内痣"), ("S-100", "HMB45", "Melan-A", "Ki-67")),
)  # fmt: skip
_GROSS = (
    "切面见一灰白色肿物，大小{a}.{b}×{a}×{a}cm，质硬，界限不清",
    "表面灰红，可见溃疡一处，直径{a}cm，边缘隆起",
    "切面灰白灰黄，质中，未见明确肿物", "附周围脂肪组织一堆，触及结节{b}枚，直径0.3-{a}cm",
    "包膜尚完整，切面囊实性，囊内含清亮液体",
)  # fmt: skip
_MICROSCOPY = (
    "细胞呈巢状及条索状排列，核大深染，核仁明显", "间质纤维组织增生伴淋巴细胞、浆细胞浸润",
    "腺体大小不一，排列拥挤，部分呈筛状",
    "周围组织结构尚存，小血管扩张充血", "可见灶性坏死及钙化，未见明确脉管癌栓", "被覆上皮增生，局部轻度异型，基底膜完整",
)  # fmt: skip
_COMMENTS = (
    "请结合临床及影像学检查", "建议免疫组化进一步明确", "建议基因检测", "已与临床医师沟通", "请随访复查", "建议上级医院会诊",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Whose a report is."""

    number: str
    name: str
    id_number: str
    phone: str
    sex: str
    age: int


def made_person(number: int) -> Person:
    """The person of a number."""
    chance = random.Random(f"person {number}")
    born = f"{chance.randrange(1935, 2005)}{chance.randrange(1, 13):02}{chance.randrange(1, 29):02}"
    digits = f"330203{born}{number % 500:03}"
    check = "10X98765432"[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 11]
    return Person(
        f"{number:08}", chance.choice(SURNAMES) + "".join(chance.choices(GIVEN, k=2)), digits + check,
        f"139{number % 10**8:08}", "男" if number % 500 % 2 else "女", 2025 - int(born[:4]),
    )  # fmt: skip


def sample_row(number: int) -> tuple[str, ...]:
    """A report whose texts hold :data:`SLOTS`."""
    return report_row(number, f"S15-{number + 1}", made_person(number + 1), **SLOTS)


def new_row(number: int, accession: str, person: Person) -> tuple[str, ...]:
    """A report that is like no sample: of a night, say."""
    chance = random.Random(f"new {number}")
    size = "×".join(f"{chance.randrange(1, 10)}.{chance.randrange(10)}" for _ in range(3))
    return report_row(
        10_000_000 + number, accession, person, size=f"{size}cm", mitoses=f"约{chance.randrange(10, 99)}个/10HPF",
        name=person.name, phone=person.phone, date=f"2025-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
    )  # fmt: skip


def report_row(
    number: int, accession: str, person: Person, *, size: str, mitoses: str, name: str, phone: str, date: str
) -> tuple[str, ...]:
    """The cells of :data:`HEADS`."""
    chance = random.Random(f"report {number}")
    kind = chance.choice(_KINDS)
    finding = chance.choice(kind.findings)

    def of(parts: tuple[str, ...], most: int) -> str:
        numbers = {"a": chance.randrange(1, 9), "b": chance.randrange(1, 9)}
        return "；".join(chance.sample(parts, chance.randrange(2, most))).format(**numbers)

    gross = f"（{kind.specimen}）送检组织一块，大小{size}，{of(_GROSS, 4)}，取材{chance.randrange(2, 12)}块。"
    microscopy = f"镜下见{of(_MICROSCOPY, 5)}，核分裂象{mitoses}。"
    diagnosis = f"（{kind.specimen}）{finding}"
    if "癌" in finding:
        examined = chance.randrange(4, 30)
        positive = chance.choice((0, 0, chance.randrange(examined)))
        spread = f"见癌转移（{positive}/{examined}）" if positive else f"未见癌转移（0/{examined}）"
        diagnosis += f"，肿瘤最大径{chance.randrange(1, 7)}.{chance.randrange(10)}cm，切缘未见癌，送检淋巴结{spread}"
    ihc = "，".join(f"{stain}（{chance.choice(('+', '-', '2+', '+，约30%'))}）" for stain in kind.stains)
    comment = f"{chance.choice(_COMMENTS)}。"
    if chance.random() < 0.3:
        comment += f"患者{name}于{date}外院就诊，联系电话{phone}。"
    doctors = [chance.choice(SURNAMES) + "".join(chance.choices(GIVEN, k=2)) for _ in range(2)]
    return (
        accession, person.name, person.sex, f"{person.age}岁", person.id_number, person.number, person.phone,
        f"示例市第{chance.choice('一二三四五')}医院", kind.specimen, f"{date} 08:05:00", f"{date} 17:20:00", kind.clinical,
        gross, microscopy, f"{diagnosis}。", ihc, comment, *doctors, "常规", "已审核",
    )  # fmt: skip


def write_export(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    """The file that a laboratory system would write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="gb18030", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADS)
        writer.writerows(rows)


def samples(count: int) -> Iterator[tuple[str, ...]]:
    """So many reports with slots."""
    return (sample_row(number) for number in range(count))

"""Made-up descriptions of releases, for tests of what is written from a description alone."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pathcurate.digests import file_sha256, sha256_text, table_identity
from pathcurate.disclosure.risk import evaluate
from pathcurate.disclosure.standard import read_standard
from pathcurate.model.attrition import ShownAttrition, ShownStep
from pathcurate.model.column import Column, Identifying, Table, Type
from pathcurate.model.description import DescribedColumn, DescribedTable, Description, PartFile, Spread
from pathcurate.model.diff import Bump, CountChange, Difference, Reason, RecipeChanges
from pathcurate.model.evaluation import Evaluation, quasi_identifiers
from pathcurate.model.productfile import ProductFile
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import output_table
from pathcurate.model.text import TEXT_TABLES
from pathcurate.tables import from_rows, write_parquet

HOSTILE_WORDS = (
    "</script><script>alert(1)</script> '\"><img src=x onerror=alert(1)> {{7*7}} ${x} ]]> -- #; | `id`\n"
    "\r\n---\n...\n=1+1\t@x \u200f\u202e\u2066 lone marks \x00\x07\x85\u2028 \ufeff\ufffe \U0001f9ec\u200d e\u0301 "
    '胸科\\n\\u0000 %s \\" @id @type: null ~ !!python/object urn:x <b>'
)
"""Text that breaks out of HTML, YAML, JSON, Markdown, CSV or SQL where somebody forgot to escape it."""
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a4944415478da6368000000820081da45083b00"
    "00000049454e44ae426082"
)
"""A PNG of one pixel."""
_ZH = {
    "slide_id": ("切片代码", "切片的产品内代码。"), "case_id": ("病例代码", "同一病理号下全部材料的产品内代码。"),
    "patient_id": ("患者代码", "患者的产品内代码。"), "site": ("机构代码", "切片所在机构的代码。"),
    "stain": ("染色", "规范化的染色名称。"), "split": ("划分", "训练、验证或测试。"),
}  # fmt: skip
_FILE = """\
product: 1
name: thorax
title: {zh: 胸科肿瘤数字病理切片数据集, en: Thoracic tumour slides}
description: {zh: 肺切除标本的苏木精-伊红染色切片及去标识化报告。, en: Slides of lung resections with scrubbed reports.}
keywords: {zh: [病理, 全切片图像], en: [pathology, WSI]}
scenarios: {zh: 辅助诊断模型训练。, en: Training of diagnostic models.}
limits: {zh: 不得用于重新识别个人。, en: Nobody may be identified from it.}
limitations: {zh: 单中心，扫描仪只有两种。, en: One centre and two scanners.}
holder:
  name: {zh: 示例市病理诊断中心, en: Pathology Centre of Example City}
  uscc: 12330200MA2AGX123B
  kind: 事业单位
  url: https://pathology.example/
contact: {name: 数据管理员, email: data-steward@pathology.example, phone: "0574-0000000"}
published: 2026-11-20
updated: quarterly
covers: {first: 2019, last: 2025}
region: 浙江省/宁波市
industry: Q 卫生和社会工作
source: collected
rights: [hold, operate]
declarations:
  {personal_information: true, sensitive: true, important_data: false, genetic_resources: false, cross_border: false}
policy:
  duo: [DUO_0000007, DUO_0000043, DUO_0000021, DUO_0000025]
  diseases: ["MONDO:0005233", "ICD-O:8140/3"]
  valid_until: 2027-11-20
  attribution: 示例市病理诊断中心，胸科切片数据集
  report_use: true
evidence:
  ethics: {number: 2026-KY-017, issued_by: 伦理委员会, date: 2026-01-05, valid_until: 2028-01-04, sha256: "SHA"}
  impact_assessment: {number: PIA-2026-3, date: 2026-02-01, sha256: "SHA"}
  risk_assessment: {number: RA-2026-1, says: 风险可控}
  legal_basis: [知情同意]
price: {amount: "1.50", currency: CNY, unit: slide}
sample: {rows: 2, approved_by: 数据安全委员会}
security_level: 3
retention_until: 2029-11-20
landing_page: https://pathology.example/products/thorax
identifier: 33020026A000001
"""
_SLIDES = """\
recipe: 1
name: thorax
version: 1.2.0
title: H&E slides of lung resections (胸科)
owner: data-office@pathology.example
approval: 2026-KY-017
unit: slide
include:
  - {id: he_stain, label: H&E stained (苏木精-伊红), level: slide, where: {stain: HE}}
  - {id: adult, label: 18 years or older, level: case, where: {age: {min: 18}}}
split: {group: patient, ratios: {train: 0.7, val: 0.1, test: 0.2}, seed: thorax-2026}
disclosure: {min_cell: 10}
columns:
  [slide_id, case_id, patient_id, site, sex, age_band, scan_datetime, stain, vendor, width, level_downsamples, mpp,
  has_label, tier, split]
texts: [diagnosis]
"""
_HIPS = """\
recipe: 1
name: hips
version: 2.0.0-rc.1
title: Primary hip replacement with films and histology (髋关节置换)
unit: event
codelists: {hip: {system: icd9cm3-cn, codes: ["81.51"]}}
index: {table: events, date: date, pick: each, where: {kind: procedure, code: {codelist: hip}}}
labels:
  - {name: infected_2y, level: event, has: {table: events, where: {kind: visit}, within: {from: 1d, to: 24mo}}}
split: {group: patient, ratios: {train: 0.8, test: 0.2}}
tables:
  events: {columns: [event_id, patient_id, site, code_system, laterality, infected_2y, split]}
  series: {columns: [series_id, index_event_id, patient_id, modality, view, days_from_index]}
  reports: {columns: [report_id, index_event_id, case_id, patient_id, report_type, organ, days_from_index]}
  slides: {columns: [slide_id, index_event_id, case_id, patient_id, stain, mpp, days_from_index]}
"""


def slide_description() -> Description:
    """A third version of slides with texts, a split, two part files of slides, and all that a product file can say."""
    recipe = _recipe(_SLIDES)
    file = ProductFile.model_validate(yaml.safe_load(_FILE.replace("SHA", "ab" * 32)))
    tables = (
        _described(output_table(recipe, "slides", recipe.unit_columns), 20_480, parts=2, sample=2),
        _described(TEXT_TABLES["texts"], 4870),
        _described(TEXT_TABLES["removals"], 31_022),
        _described(TEXT_TABLES["text_spans"], 5000),
    )
    bare = _bare(recipe, tables)
    return replace(
        bare, title_zh="胸科肿瘤数字病理切片数据集", title_en="Thoracic tumour slides", file=file,
        published=date(2026, 11, 20), counts={"slides": 20_480, "cases": 4870, "patients": 4691},
        split={"test": 4096, "train": 14_336, "val": 2048}, size=41_234_567_890_123, has_permissions=True,
        evaluation=replace(bare.evaluation, has_texts=True, sharing="agreement", k_required=5, suppressed_rows=12,
                           suppressed_persons=7, steps=("age in bands of ten years",)),
        labels_quality={"cohort": "thorax", "recipe_sha256": sha256_text(b"recipe"), "classes": []},
        difference=_difference("thorax", "1.1.0", "1.2.0"), previous=sha256_text(b"1.1.0"), earlier=("1.0.0", "1.1.0"),
        thumbnails={"thumbnails/a.png": PIXEL, "thumbnails/b.png": PIXEL},
    )  # fmt: skip


def orthopaedic_description() -> Description:
    """A pre-release of hip operations with films, reports and slides, each with a table; a short product file."""
    recipe = _recipe(_HIPS)
    tables = tuple(
        _described(output_table(recipe, name, output.columns), rows)
        for (name, output), rows in zip(recipe.outputs.items(), (312, 1840, 320, 655), strict=True)
    )
    file = ProductFile.model_validate({
        "product": 1, "name": "hips", "holder": {"name": {"zh": "示例市骨科医院"}}, "published": "2026-10-01",
        "covers": {"first": 2015, "last": 2025},
        "contact": {"name": "Data office", "url": "https://ortho.example/data"},
        "policy": {"duo": ["DUO_0000042"], "environment": "file", "forbidden": ["reidentify"]},
    })  # fmt: skip
    return replace(
        _bare(recipe, tables), file=file, published=date(2026, 10, 1), has_permissions=True,
        counts={"slides": 655, "cases": 320, "patients": 290}, split={"test": 62, "train": 250},
    )  # fmt: skip


def hostile_description(words: str = HOSTILE_WORDS, length: int = 20_000) -> Description:
    """The slides with these words, and so many characters of them, wherever somebody's text can be."""
    good = slide_description()
    assert good.file is not None
    long = (words + " 长" * length)[:length]
    both = {"zh": long, "en": words}
    told = good.file.model_dump(mode="json", exclude_none=True)
    told.update(
        dict.fromkeys(("title", "description", "scenarios", "limits", "limitations"), both),
        keywords={"zh": [words, "好"], "en": [words]}, region=words, industry=words, identifier=words,
        holder={"name": {"zh": words, "en": words}, "kind": words}, contact={"name": words, "phone": words},
        evidence={"ethics": {"number": words, "issued_by": words, "says": long}, "legal_basis": [words]},
        sample={"rows": 1, "approved_by": words},
    )  # fmt: skip
    told["policy"] |= {"attribution": words}
    tables = tuple(
        replace(
            table, row_zh=words,
            columns=tuple(
                replace(column, label_zh=words, meaning_zh=words, spread=Spread({words: 10, long: None}, None))
                for column in table.columns
            ),
            sample=tuple(dict.fromkeys(row, words) for row in table.sample),
        )
        for table in good.tables
    )  # fmt: skip
    recipe = good.recipe.model_copy(update={"title": words, "owner": words, "approval": words})
    assert good.difference is not None
    return replace(
        good, title_zh=long, title_en=words, file=ProductFile.model_validate(told), recipe=recipe, lock=f"title: {long}\n",
        queries={"slides": f"SELECT '{words}'"}, tables=tables, inputs={words: sha256_text(b"x")}, purpose=words,
        attrition=replace(good.attrition, steps=tuple(replace(step, label=words) for step in good.attrition.steps)),
        difference=replace(good.difference, reasons=(Reason(Bump.MAJOR, words), Reason(Bump.MINOR, long))),
        evaluation=replace(good.evaluation, profile=words, steps=(words,)), split={words: 3, "train": 4}, tool=words,
    )  # fmt: skip


def bare_description() -> Description:
    """The least that a release can be: no product file, no split, no rows, a column without anything, a first version."""
    recipe = _recipe("recipe: 1\nname: bare\nversion: 0.1.0\ntitle: Bare\nunit: slide\ncolumns: [stain]\n")
    return _bare(recipe, (_described(output_table(recipe, "slides", ("stain",)), 0),))


def with_files(description: Description, directory: Path, rows: int = 6) -> Description:
    """The same description of real Parquet files, which are written below ``directory`` with so many rows in each part."""
    return replace(description, tables=tuple(_written(table, directory, rows) for table in description.tables))


def _written(described: DescribedTable, directory: Path, rows: int) -> DescribedTable:
    table, parts, whole = described.table, [], []
    for number, part in enumerate(described.parts):
        data = from_rows(table, [_row(table, number * rows + row) for row in range(rows)])
        (directory / part.path).parent.mkdir(parents=True, exist_ok=True)
        write_parquet(directory / part.path, data)
        whole.append(data)
        size = (directory / part.path).stat().st_size
        parts.append(PartFile(part.path, rows, size, file_sha256(directory / part.path)))
    data = pa.concat_tables(whole)
    columns = tuple(replace(column, missing=data[column.column.name].null_count) for column in described.columns)
    return replace(described, parts=tuple(parts), rows=data.num_rows, digest=table_identity(data)["digest"], columns=columns)


def _row(table: Table, number: int) -> dict[str, Any]:
    row = {column.name: _value(column, number) for column in table.columns}
    return {name: None if name not in table.key and number % 5 == 4 and not table[name].required else value
            for name, value in row.items()}  # fmt: skip


def _value(column: Column, number: int) -> Any:
    if column.values:
        return column.values[number % len(column.values)]
    values: dict[Type, Any] = {
        Type.INTEGER: number, Type.FLOAT: 0.25 + number, Type.BOOLEAN: number % 2 == 0,
        Type.DATE: date(2024, 2, 28) + timedelta(days=number), Type.STRINGS: ["a", "b"][: number % 3],
        Type.FLOATS: [1.0, 4.0][: number % 3],
    }  # fmt: skip
    return values.get(column.type, f"{column.name}-{number:04d}-苏")


def _recipe(text: str) -> Recipe:
    return Recipe.model_validate(yaml.safe_load(text))


def _bare(recipe: Recipe, tables: tuple[DescribedTable, ...]) -> Description:
    unit = tables[0].table
    lock = yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True), allow_unicode=True, sort_keys=True)
    tells = [column.name for column in unit.columns if column.identifying is Identifying.SENSITIVE]
    counts = {"slides": tables[0].rows, "cases": 0, "patients": 0}
    return Description(
        product=recipe.name, version=recipe.version, title_zh=recipe.title, title_en=recipe.title, file=None,
        published=date(2026, 1, 2), recipe=recipe, lock=lock, lock_sha256=sha256_text(lock.encode()),
        queries={unit.name: f'SELECT "{unit.names[0]}" FROM {unit.name}\n'}, tables=tables, counts=counts, split={},
        size=None, content_digest=sha256_text(recipe.name.encode()),
        inputs={f"deid/{name}": sha256_text(name.encode()) for name in ("reports", "slides")},
        attrition=_attrition(recipe), evaluation=_evaluation(quasi_identifiers(unit), tells), standard=read_standard(),
        purpose=recipe.purpose, has_permissions=False, labels_quality=None, difference=None, previous=None, earlier=(),
        tool="pathcurate 0.12.0", thumbnails={},
    )  # fmt: skip


def _attrition(recipe: Recipe) -> ShownAttrition:
    levels = ("events", "patients") if recipe.unit == "event" else ("slides", "cases", "patients")
    kept = {level: 41_000 // (place + 1) for place, level in enumerate(levels)}
    steps = []
    for number, criterion in enumerate(recipe.criteria, 1):
        left = {level: count - 1000 * number for level, count in kept.items()}
        steps.append(ShownStep(criterion.id, criterion.label or criterion.id, "slide", "include", 1000, 1, 10, left, {}))
    return ShownAttrition(recipe.unit, levels, kept, tuple(steps), (), 10, 5)


def _evaluation(quasi: list[str], sensitive: list[str]) -> Evaluation:
    data = pa.table({name: ["a"] * 12 + ["b"] * 20 for name in (*quasi, *sensitive)} or {"none": ["a"] * 32})
    persons = pa.chunked_array([pa.array([f"P{row}" for row in range(32)])])
    figures = evaluate(data, quasi, sensitive, persons, read_standard(), None)
    return Evaluation(figures, "default", sha256_text(b"profile"), "enclave", None, (), 0, 0, has_texts=False)


def _difference(product: str, before: str, after: str) -> Difference:
    counts = {"slides": CountChange(16_385, 20_480, 4112, 17), "cases": CountChange(4000, 4870, 870, 0),
              "patients": CountChange(3900, 4691, 791, 0)}  # fmt: skip
    return Difference(
        product=product, before=before, after=after, is_same=False, counts=counts, tables_added=("text_spans",),
        tables_removed=(), tables={}, attrition=(), recipe=RecipeChanges(),
        reasons=(Reason(Bump.MINOR, "4112 rows were added to slides"), Reason(Bump.MINOR, "table text_spans was added")),
    )  # fmt: skip


def _described(table: Table, rows: int, *, parts: int = 1, sample: int = 0) -> DescribedTable:
    paths = [f"data/{table.name}.parquet"] if parts == 1 else [
        f"data/{table.name}/part-{number:05d}.parquet" for number in range(parts)
    ]  # fmt: skip
    return DescribedTable(
        table=table, row_zh=f"一行代表一条{table.name}记录", rows=rows,
        parts=tuple(_part(path, share) for path, share in zip(paths, _shares(rows, parts), strict=True)),
        digest=sha256_text(table.name.encode()), columns=tuple(_column(column, rows) for column in table.columns),
        sample=tuple(_jsonable(_row(table, number)) for number in range(sample)),
    )  # fmt: skip


def _shares(rows: int, parts: int) -> Iterable[int]:
    return (rows // parts + (1 if number < rows % parts else 0) for number in range(parts))


def _part(path: str, rows: int) -> PartFile:
    return PartFile(path, rows, 1000 + 40 * rows, "sha256:" + hashlib.sha256(path.encode()).hexdigest())


def _column(column: Column, rows: int) -> DescribedColumn:
    label, meaning = _ZH.get(column.name, (f"{column.name} 列", f"{column.name} 的含义。"))
    missing = 0 if column.required or not rows else rows // 50
    if not column.values or not rows:
        return DescribedColumn(column, label, meaning, missing)
    shown = column.values[:12]
    return DescribedColumn(column, label, meaning, missing, len(shown), _spread(shown, rows - missing))


def _spread(values: tuple[str, ...], rows: int) -> Spread:
    """Halved from value to value; the last two are too few to be told."""
    counts: dict[str, int | None] = {}
    for value in values:
        rows //= 2
        counts[value] = rows
    for value in values[2:][-2:]:
        counts[value] = None
    return Spread(counts)


def _jsonable(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}

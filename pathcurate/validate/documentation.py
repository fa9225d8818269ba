"""PC-DOC: what people read beside the data."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate import yamlsource
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.finding import Severity
from pathcurate.model.productfile import PRODUCT_FILE, Bilingual, ProductFile
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import OLD, Opened

DICTIONARY = "metadata/dictionary.json"
_SHEETS: Mapping[str, tuple[str, ...]] = {
    "metadata/DATASHEET.zh.md": ("0101", "0102", "0103", "0104"),
    "metadata/DATASHEET.en.md": (
        "Motivation", "Composition", "Collection", "Preprocessing", "Uses", "Distribution", "Maintenance",
    ),
}  # fmt: skip
"""TC609-5-2025-04 sections in Chinese; in English the questions of Gebru et al. 2021 (doi:10.1145/3458723)."""
_BOTH = ("title", "description", "scenarios", "limitations")
_ONE = ("holder", "contact", "keywords")


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """What people would look for and not find."""
    yield from _sheets(opened)
    yield from _dictionary(opened)
    yield from _product(opened)
    yield from _companions(opened)


def _sheets(opened: Opened) -> Iterator[Breach | Unchecked]:
    if not opened.has_documents:
        yield Unchecked(("PC-DOC-001",), OLD)
        return
    for relpath, sections in _SHEETS.items():
        text = opened.text(relpath)
        if text is None:
            yield from missing(opened, "PC-DOC-001", relpath)
            continue
        heads = [line for line in text.splitlines() if re.match(r"## ", line)]
        lacking = [section for section in sections if not any(head.startswith(f"## {section}") for head in heads)]
        if lacking:
            message = f"{relpath} lacks {counted(len(lacking), 'section')}: {', '.join(lacking)}"
            yield breach("PC-DOC-001", message, file=relpath, count=len(lacking), of=len(sections))


def missing(opened: Opened, rule: str, relpath: str) -> Iterator[Breach | Unchecked]:
    """A document that cannot be read: changed, which has a finding already, or not there."""
    if relpath in opened.changed:
        yield Unchecked((rule,), f"{relpath} was changed")
    else:
        what = "is not of its kind" if relpath in opened.listed else "is missing"
        yield breach(rule, f"{relpath} {what}", file=relpath)


def _dictionary(opened: Opened) -> Iterator[Breach | Unchecked]:
    content = opened.json(DICTIONARY)
    if not isinstance(content, list) and content is not None and not opened.has_documents:
        yield Unchecked(("PC-DOC-002",), OLD)
        return
    if not isinstance(content, list):
        yield from missing(opened, "PC-DOC-002", DICTIONARY)
        return
    described = {
        one["table"]: {column.get("name"): column for column in _objects(one.get("columns")) if _is_text(column.get("name"))}
        for one in _objects(content)
        if _is_text(one.get("table"))
    }
    languages = ("meaning", "meaning_zh") if opened.has_documents else ("meaning",)
    if not opened.has_documents:
        yield Unchecked(("PC-DOC-002",), OLD)
    for name, table in opened.tables.items():
        known = described.get(name, {})
        for language in languages:
            lacking = [column for column in table.schema.names if not str(known.get(column, {}).get(language) or "").strip()]
            if lacking:
                message = f"{DICTIONARY} says no {language} of {counted(len(lacking), 'column')} of {name}"
                yield breach("PC-DOC-002", message, file=DICTIONARY, count=len(lacking), of=len(table.schema.names))


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _product(opened: Opened) -> Iterator[Breach | Unchecked]:
    document = opened.yaml(PRODUCT_FILE)
    if document is None:
        if PRODUCT_FILE in opened.listed or PRODUCT_FILE in opened.changed:
            yield from missing(opened, "PC-DOC-003", PRODUCT_FILE)
        else:
            yield breach("PC-DOC-003", f"{PRODUCT_FILE} is missing: nobody says what the product is", file=PRODUCT_FILE)
        yield Unchecked(("PC-DOC-004",), f"there is no {PRODUCT_FILE} that can be read")
        return
    file, problems = yamlsource.check(document, ProductFile)
    if file is None:
        # Not which: the message of a fault quotes what stands there.
        lines = ", ".join(str(line) for line in sorted({problem.line for problem in problems})[:5])
        message = f"{PRODUCT_FILE} is not of its form, at line {lines}"
        yield breach("PC-DOC-003", message, file=PRODUCT_FILE, count=len(problems), severity=Severity.ERROR)
        yield Unchecked(("PC-DOC-004",), f"{PRODUCT_FILE} is not of its form")
        return
    if file.name != opened.manifest["product"]:
        message = f"{PRODUCT_FILE} is of another product"
        yield breach("PC-DOC-003", message, file=PRODUCT_FILE, severity=Severity.ERROR)
    lacking = [*(name for name in _ONE if not getattr(file, name)), *_unsaid(file)]
    if lacking:
        yield breach(
            "PC-DOC-004", f"{PRODUCT_FILE} does not say {', '.join(lacking)}", file=PRODUCT_FILE, count=len(lacking)
        )


def _unsaid(file: ProductFile) -> Iterator[str]:
    for name in _BOTH:
        text: Bilingual = getattr(file, name)
        if not (text.zh or text.en):
            yield name
        elif not (text.zh and text.en):
            yield f"{name} in {'English' if text.zh else 'Chinese'}"


def _companions(opened: Opened) -> Iterator[Breach | Unchecked]:
    queries = [f"provenance/queries/{name}.sql" for name in opened.tables if name in DEID_TABLES]
    wanted = ["report.html", *(("quality/scorecard.json", *queries) if opened.has_documents else ())]
    for relpath in wanted:
        if relpath not in opened.listed and relpath not in opened.changed:
            yield breach("PC-DOC-005", f"{relpath} is missing", file=relpath)
    if not opened.has_documents:
        yield Unchecked(("PC-DOC-005",), OLD)

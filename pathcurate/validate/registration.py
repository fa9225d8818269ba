"""PC-REG: what an authority would send back."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from pathcurate.metadata.dossier import DOSSIER_SCHEMA, SAMPLE_FOLDER
from pathcurate.metadata.rendered import FormField, load_forms
from pathcurate.model.productfile import PRODUCT_FILE
from pathcurate.model.text import TEXT_TABLES
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.documentation import missing
from pathcurate.validate.opened import OLD, Opened

DOSSIER = "registration/cn-dossier.json"
_RENDERED = "registration/rendered/"
_COUNTS = {"切片数": "slides", "病例数": "cases", "患者数": "patients"}
_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_MOST_SHOWN = 6
_SHORTCOMINGS = {"missing": "without a value", "uncoded": "without a code", "too_long": "too long for the form"}


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """What is missing, or says something else than the release."""
    yield from _samples(opened)
    yield from _credit_code(opened)
    content = opened.json(DOSSIER)
    if not opened.has_documents and DOSSIER not in opened.listed | opened.changed:
        yield Unchecked(("PC-REG-001", "PC-REG-002", "PC-REG-003"), OLD)
        return
    if not isinstance(content, dict) or content.get("schema") != DOSSIER_SCHEMA:
        yield from missing(opened, "PC-REG-001", DOSSIER)
        yield Unchecked(("PC-REG-003",), f"{DOSSIER} cannot be read")
    else:
        yield from _facts(opened, content)
    yield from _forms(opened)


def _forms(opened: Opened) -> Iterator[Breach | Unchecked]:
    forms = sorted(relpath for relpath in opened.listed if relpath.startswith(_RENDERED) and opened.is_own(relpath))
    if not forms:
        yield Unchecked(("PC-REG-002",), f"there is no form below {_RENDERED}")
    for relpath in forms:
        content = opened.json(relpath)
        if not isinstance(content, dict):
            yield from missing(opened, "PC-REG-001", relpath)
            continue
        for key, what in _SHORTCOMINGS.items():
            fields = content.get(key)
            if isinstance(fields, list) and fields:
                known = [name for name in fields if isinstance(name, str) and name in _field_names()]
                named = f": {', '.join(known[:_MOST_SHOWN])}{', …' if len(fields) > _MOST_SHOWN else ''}" if known else ""
                message = f"{relpath} has {counted(len(fields), 'field')} {what}{named}"
                yield breach("PC-REG-002", message, file=relpath, count=len(fields))


@cache
def _field_names() -> frozenset[str]:
    """Names of the fields of the shipped forms, which a message may say."""

    def names(fields: tuple[FormField, ...], above: str) -> Iterator[str]:
        for field in fields:
            yield f"{above}/{field.field}"
            yield from names(field.each, f"{above}/{field.field}")

    return frozenset(
        name for form in load_forms().values() for section in form.sections for name in names(section.fields, section.title)
    )


def _facts(opened: Opened, content: dict[str, Any]) -> Iterator[Breach]:
    manifest = opened.manifest
    if content.get("版本") != manifest["version"]:
        yield breach("PC-REG-003", f"{DOSSIER} is of another version", file=DOSSIER)
    if manifest["recipe"]["lock_sha256"] not in str(content.get("算法规则简要说明")):
        yield breach("PC-REG-003", f"{DOSSIER} does not name the digest of the recipe", file=DOSSIER)
    size = content.get("结构规模")
    if not isinstance(size, dict):
        yield breach("PC-REG-001", f"{DOSSIER} says nothing of structure and size", file=DOSSIER)
        return
    stated = {key: manifest["counts"][of] for key, of in _COUNTS.items()}
    stated["记录数"] = manifest["tables"][opened.unit]["rows"]
    wrong = [key for key, value in stated.items() if size.get(key) != value]
    if wrong:
        yield breach("PC-REG-003", f"{DOSSIER} states other numbers: {', '.join(wrong)}", file=DOSSIER, count=len(wrong))
    tables = size.get("数据表")
    described = {
        one["名称"]: {field.get("名称") for field in one.get("字段", ()) if isinstance(field, dict)}
        for one in (tables if isinstance(tables, list) else ())
        if isinstance(one, dict) and isinstance(one.get("名称"), str) and isinstance(one.get("字段", []), list)
    }
    for name, table in opened.tables.items():
        if described.get(name) != set(table.schema.names):
            yield breach("PC-REG-003", f"{DOSSIER} lists other fields than {name} has", table=name, file=DOSSIER)
    if described.keys() - manifest["tables"].keys():
        yield breach("PC-REG-003", f"{DOSSIER} lists tables that are not in the release", file=DOSSIER)


def _samples(opened: Opened) -> Iterator[Breach | Unchecked]:
    samples = sorted(relpath for relpath in opened.listed if relpath.startswith(SAMPLE_FOLDER) and opened.is_own(relpath))
    allowed = opened.product.sample if opened.product is not None else None
    if not samples:
        yield Unchecked(("PC-REG-004",), "the release shows no sample rows", applies=False)
    elif allowed is None:
        message = f"{counted(len(samples), 'file')} of sample rows, and {PRODUCT_FILE} allows none"
        yield breach("PC-REG-004", message, file=SAMPLE_FOLDER, count=len(samples))
    for relpath in samples if allowed is not None else ():
        name = relpath.removeprefix(SAMPLE_FOLDER).removesuffix(".json")
        rows = _rows(opened.json(relpath))
        if rows is None:
            yield breach("PC-REG-004", f"{relpath} is no list of rows", file=relpath)
        elif allowed is not None and rows > allowed.rows:
            message = f"{relpath} has {counted(rows, 'row')}; {PRODUCT_FILE} allows {allowed.rows}"
            yield breach("PC-REG-004", message, file=relpath, measured=str(rows), threshold=str(allowed.rows))
        if name in TEXT_TABLES:
            yield breach("PC-REG-004", "sample rows never hold texts", table=name, file=relpath)


def _rows(content: Any) -> int | None:
    rows = content.get("rows") if isinstance(content, dict) else content
    return len(rows) if isinstance(rows, list) else None


def _credit_code(opened: Opened) -> Iterator[Breach | Unchecked]:
    holder = opened.product.holder if opened.product is not None else None
    if holder is None or holder.uscc is None:
        yield Unchecked(("PC-REG-005",), f"{PRODUCT_FILE} says no unified social credit code", applies=False)
    elif not is_credit_code(holder.uscc):
        message = f"{PRODUCT_FILE}: the holder's code does not have the check character that its others demand"
        yield breach("PC-REG-005", message, file=PRODUCT_FILE, cause=("holder", "uscc"))


def is_credit_code(code: str) -> bool:
    """Whether a unified social credit code has its check character (GB 32100-2015, section 4: modulo 31, weights 3^i)."""
    total = sum(_SIGNS.index(sign) * pow(3, place, 31) for place, sign in enumerate(code[:17]))
    return _SIGNS[-total % 31] == code[17]

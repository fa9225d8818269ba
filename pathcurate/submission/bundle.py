"""A folder that a person uploads to register a release: form, filled templates, dossier, datasheet and sample; no data."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.finding import Finding, Severity
from pathcurate.releases import Release
from pathcurate.submission.container import LARGEST_FILE
from pathcurate.submission.document import fill_docx
from pathcurate.submission.names import Values, printable
from pathcurate.submission.workbook import fill_xlsx
from pathcurate.wholefolder import listed_files, read_whole, taken, write_whole
from pathcurate.yamlsource import did_you_mean

README_NAME = "README.txt"
_DOSSIER = "registration/cn-dossier.json"
_RENDERED = "registration/rendered/"
_SAMPLE = "registration/sample/"
_FILLERS = {".docx": fill_docx, ".xlsx": fill_xlsx}
_WITH_MACROS = frozenset({".docm", ".dotm", ".xlsm", ".xltm", ".xlam", ".xlsb"})
_OLDER = frozenset({".doc", ".dot", ".dotx", ".xls", ".xlt", ".xltx", ".wps", ".wpt", ".et", ".ett", ".odt", ".ods", ".rtf"})
_TEMPLATE = Path(__file__).parent / "readme.txt.j2"
_REBUILD = "Restore the release from a copy; `pathcurate manifest verify` names what was changed."

_Words = tuple[str, str]
_FILES: Mapping[str, _Words] = {
    "form.json": ("登记表各栏目的内容，供逐栏填写", "what goes into each field of the form, to be typed in"),
    "cn-dossier.json": (
        "完整的登记材料（与登记机构无关），供核对和留存",
        "the whole dossier, for checking and for the file",
    ),
    "DATASHEET.zh.md": (
        "数据产品说明书（中文），可作说明文档上传",
        "the datasheet in Chinese, to be uploaded as description",
    ),
    "DATASHEET.en.md": ("数据产品说明书（英文）", "the datasheet in English"),
}
_FILLED_WORDS = (
    "已填写的登记机构表格，请打开核对、签字盖章后上传",
    "the authority's form, filled; check, sign, seal and upload it",
)
_SAMPLE_WORDS = ("样例数据，作样例上传", "the sample, to be uploaded as such")
_FALLS_SHORT: Mapping[str, _Words] = {
    "missing": ("必填，没有内容", "required, and nobody gave it"),
    "uncoded": ("没有对应的代码", "has no code of the form"),
    "too_long": ("超过字数限制", "is longer than the form allows"),
}
_BY_RULE: Mapping[str, _Words] = {
    "submission.unknown_name": ("模板中的名称不存在，已留空", "the template's name is unknown; it is empty"),
    "submission.not_given": ("没有内容，已留空", "is not given; it is empty"),
}
_OTHER_RULE: _Words = ("需要人工检查", "look at it by hand")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder for submission.

    Attributes:
        directory: where it is.
        regime: which form.
        release_digest: of the release that is to be registered.
        digest: of the bytes of ``sha256sums.txt``.
        files: relative paths, without ``sha256sums.txt``.
        missing: fields that the form requires and nobody gave, as section and field.
        uncoded: fields whose value has no code in the form.
        too_long: fields that are longer than the form allows.
        findings: what is wrong with the templates.
        is_new: whether it was written now, or was there already.
    """

    directory: Path
    regime: str
    release_digest: str
    digest: str
    files: tuple[str, ...]
    missing: tuple[str, ...]
    uncoded: tuple[str, ...]
    too_long: tuple[str, ...]
    findings: tuple[Finding, ...]
    is_new: bool = True


def release_values(release: Release, regime: str) -> Values:
    """What templates for a regime can name.

    First the fields of its form by their names; then the dossier; then the form's sections. Besides these ``表单`` (the
    form by its sections), ``档案`` (the dossier), ``数据表`` (its tables), ``字段`` (the fields of all of them, each with
    its ``数据表``), and ``发布摘要`` (the release digest).

    Raises:
        UsageError: the release was not rendered for that regime.
        DigestMismatchError: a file of the release was changed.
    """
    listed = listed_files(release)
    return _values(release, _json(release, listed, _form_path(listed, regime)), _json(release, listed, _DOSSIER))


def write_bundle(release: Release, regime: str, templates: Path | None, target: Path) -> Bundle:
    """Write the folder for a release and a regime; the same release and templates give the same bytes.

    Args:
        release: the release; every file that is taken from it is checked against its list.
        regime: name of a form that the release was rendered in, such as ``zj-data-ip``.
        templates: folder with a folder for each regime that holds its ``*.docx`` and ``*.xlsx`` templates (a workspace's
            ``forms/templates``); None or a folder that is not there: no templates.
        target: the folder to be made. If it is there, it must be the same bundle.

    Raises:
        UsageError: there is no such form, a template cannot be filled, or something else is in the target's place.
        DigestMismatchError: a file of the release was changed.
        InputOutputError: a file of the release or a template cannot be read.
    """
    listed = listed_files(release)
    form = _json(release, listed, _form_path(listed, regime))
    values = _values(release, form, _json(release, listed, _DOSSIER))
    contents: dict[str, bytes] = {"form.json": taken(release, listed, _form_path(listed, regime))}
    for path in sorted(listed):
        name = path.rpartition("/")[2]
        if path == _DOSSIER or (path.startswith("metadata/") and name in _FILES):
            contents[name] = taken(release, listed, path)
        elif path.startswith(_SAMPLE):
            contents[f"sample/{path.removeprefix(_SAMPLE)}"] = taken(release, listed, path)
    findings = list(_fill_all(templates / regime if templates is not None else None, values, contents))
    contents[README_NAME] = _readme(release, form, contents, findings)
    digest = write_whole(target, contents, "bundle")
    falls_short = {what: tuple(str(name) for name in form.get(what, ())) for what in _FALLS_SHORT}
    bundle = Bundle(
        target, regime, release.digest, digest[0], tuple(sorted(contents)), falls_short["missing"], falls_short["uncoded"],
        falls_short["too_long"], tuple(findings),
    )  # fmt: skip
    return replace(bundle, is_new=digest[1])


def _form_path(listed: Mapping[str, str], regime: str) -> str:
    path = f"{_RENDERED}{regime}.json"
    if path not in listed:
        known = sorted(each.removeprefix(_RENDERED).removesuffix(".json") for each in listed if each.startswith(_RENDERED))
        raise UsageError(
            f"the release has no form `{printable(regime)[:64]}`{did_you_mean(regime, known)}",
            f"It was built with: {', '.join(known) or 'none'}. A form that was added later needs a new version.",
        )
    return path


def _json(release: Release, listed: Mapping[str, str], path: str) -> dict[str, Any]:
    content = json.loads(taken(release, listed, path))
    if not isinstance(content, dict):
        raise InputOutputError(f"{path} of the release is not of its form", _REBUILD)
    return content


def _values(release: Release, form: Mapping[str, Any], dossier: Mapping[str, Any]) -> Values:
    sections = form.get("sections") or {}
    fields: dict[str, Any] = {}
    for section in sections.values():
        for name, value in section.items():
            fields.setdefault(name, value)
    tables = (dossier.get("结构规模") or {}).get("数据表") or []
    columns = [{**column, "数据表": table.get("名称")} for table in tables for column in table.get("字段") or []]
    more = {"表单": sections, "档案": dossier, "发布摘要": release.digest, "数据表": tables, "字段": columns}
    return Values((fields, dossier, sections, more))


def _fill_all(folder: Path | None, values: Values, contents: dict[str, bytes]) -> Iterator[Finding]:
    """Fill every template of a folder into ``contents``; what is wrong with them."""
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name)):
        kind = path.suffix.lower()
        if path.name.startswith((".", "~$")):
            continue
        if kind in _WITH_MACROS | _OLDER:
            why = "may hold macros" if kind in _WITH_MACROS else "is of another kind"
            raise UsageError(f"the template {path.name} {why}", "Save it as .docx or .xlsx, without macros.")
        if kind not in _FILLERS or path.is_dir():
            said = f"`{printable(path.name)}` is no .docx or .xlsx, and is not in the bundle"
            yield Finding("submission.no_template", Severity.WARNING, said, stage="submission", subject=path.name)
            continue
        filled = _FILLERS[kind](read_whole(path, path.name, LARGEST_FILE, folder), values, path.name)
        contents[f"filled/{path.name}"] = filled.content
        yield from filled.findings


@cache
def _environment() -> Environment:
    # Its output is a text for people, which nothing interprets.
    return Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701


def _readme(release: Release, form: Mapping[str, Any], contents: Mapping[str, bytes], findings: list[Finding]) -> bytes:
    files = []
    for path in sorted(contents):
        words = _FILES.get(path) or (_FILLED_WORDS if path.startswith("filled/") else _SAMPLE_WORDS)
        files.append({"path": _line(path), "zh": words[0], "en": words[1]})
    shortfalls = [
        {"name": _line(name), "zh": words[0], "en": words[1]}
        for what, words in _FALLS_SHORT.items() for name in form.get(what, ())
    ]  # fmt: skip
    for finding in findings:
        words = _BY_RULE.get(finding.rule, _OTHER_RULE)
        about = f"{finding.subject}: {finding.message.partition('` ')[0].strip('`')}"
        shortfalls.append({"name": _line(about), "zh": words[0], "en": words[1]})
    said = {name: _line(form.get(name)) for name in ("form", "authority", "basis", "source")}
    text = _environment().from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=_line(release.manifest.get("title")), product=release.name, version=release.version, digest=release.digest,
        form={**said, "verified": form.get("verified") is True}, files=files, shortfalls=shortfalls,
    )  # fmt: skip
    # Windows shows a file without a mark in the encoding of the place.
    return text.replace("\n", "\r\n").encode("utf-8-sig", errors="replace")


def _line(text: object) -> str:
    return " ".join(printable(str(text or "")).split())

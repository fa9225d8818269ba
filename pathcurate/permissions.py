"""Stage: consent lists, waivers and opt-outs become the ``permissions`` table."""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.delimited import Row, Sheet, read_sheet, shown_head
from pathcurate.disclosure.lists import list_digests, record_permission_lists
from pathcurate.errors import DisclosureRefusedError, InputOutputError, UsageError
from pathcurate.findings import record_findings
from pathcurate.forgotten import read_forgotten
from pathcurate.mapping import Mapping, load_mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.permission import PERMISSIONS, SUBJECTS
from pathcurate.model.person import IDENTITIES
from pathcurate.model.report import REPORTS
from pathcurate.pseudonyms import canonical, canonical_numbers
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.heads import Heads, fold_head, known_heads, resolve
from pathcurate.text.values import parse_datetime, parse_number
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import PermissionSource, Workspace

COLUMNS = tuple(name for name in PERMISSIONS.names if name not in {"source", "source_row"})
"""Canonical names that a mapping may give heads or constants for."""
_ROWS_AT_ONCE = 200_000
_DATA_KINDS = PERMISSIONS["data_kinds"].values
_PURPOSE = re.compile(PERMISSIONS["purposes"].pattern)
# A column of this name that is not understood may say who has left.
_SPEAKS_OF_LEAVING = re.compile(r"退出|撤回|撤销|撤消|拒绝|不同意|是否同意|同意与否|opt-?out|withdr|refus|revo|declin")


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        files: lists read.
        rows: statements imported.
        opt_outs: of these, opt-outs.
        findings: what was found.
    """

    files: int
    rows: int
    opt_outs: int
    findings: tuple[Finding, ...]


def import_permissions(workspace: Workspace) -> ImportSummary:
    """Import every configured permission list; together they replace what was imported before.

    A statement that is not understood is never taken as a permission; an opt-out always counts, however the rest of its
    row looks.

    Raises:
        DisclosureRefusedError: a row or a column that may say who has opted out is not understood.
        InputOutputError: a list is missing or cannot be read.
        UsageError: no list is configured, or one has no column that names its subjects, or none that says what it states.
    """
    if not workspace.permissions and not (workspace.catalog / "permissions" / "lists.json").is_file():
        raise UsageError(
            "pathcurate.yaml configures no permission list",
            "Add `permissions: [{path: consent.csv}]`; without one, releases need --no-permissions.",
        )
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    left_out = 0
    for source in workspace.permissions:
        if not source.path.is_file():
            raise InputOutputError(
                f"permission list {source.path.name}: no such file",
                "Correct `path` in pathcurate.yaml; for a trial without lists, take `permissions` out of it.",
            )
    digests = list_digests(workspace)
    forgotten = read_forgotten(workspace.vault)
    for source in workspace.permissions:
        for item in _read_list(workspace, source):
            if isinstance(item, Finding):
                findings.append(item)
            elif forgotten.holds_row("permissions", item):
                left_out += 1
            else:
                rows.append(item)
    if left_out:
        findings.append(
            Finding(
                "permissions.forgotten_patient", Severity.INFO,
                f"permission lists speak of erased patients, which was left out: {left_out}",
                stage="permissions", table="permissions", count=left_out,
            )
        )  # fmt: skip
    catalog = Catalog(workspace.catalog)
    findings += _unknown_opt_outs(catalog, rows)
    catalog.replace(PERMISSIONS, from_rows(PERMISSIONS, rows))
    record_findings(catalog, "permissions", findings)
    record_permission_lists(workspace, digests)
    opt_outs = sum(row["opt_out"] for row in rows)
    return ImportSummary(len(workspace.permissions), len(rows), opt_outs, tuple(findings))


def _read_list(workspace: Workspace, source: PermissionSource) -> Iterator[dict[str, Any] | Finding]:
    path = source.path
    mapping = load_mapping(source.mapping, COLUMNS) if source.mapping else Mapping()
    sheet = read_sheet(path, mapping.encoding, mapping.sheet)
    heads = resolve("permissions", sheet.heads, mapping.columns, path.name)
    named = set(heads.columns) | set(mapping.constants)
    # A column that is not known may be the patient's number: such a list is not about whole sites unless it says so.
    if not named & {"subject_value", "subject"} and ("site" not in named or heads.unknown):
        raise UsageError(
            f"{path.name}: no column names the subject (patient number 病案号, or case 病理号)",
            "Write a mapping file with `columns: {subject_value: …}`, or with `constants: {subject: site}` if the list is "
            "about whole sites, and name it in pathcurate.yaml.",
        )
    if not named & {"basis", "opt_out"}:
        raise UsageError(
            f"{path.name}: no column says what the list states (a legal basis 依据, or an opt-out 退出)",
            "Name the column in a mapping file; for a list of nothing but opt-outs write `constants: {opt_out: 是}`.",
        )
    yield from _about_heads(sheet, heads, path)
    has_opt_outs = "opt_out" in named
    for number in sheet.misfits:
        if has_opt_outs:
            raise _unreadable_opt_out(path, number)
        yield _refused("permissions.row_misfit", "has more or fewer cells than there are heads", number, path)
    for row in sheet.rows:
        texts = _texts(mapping, heads, row)
        statement = _statement(workspace, source, texts, row, path)
        if isinstance(statement, Finding) and (_opt_out(texts["opt_out"]) or _is_open(texts, named)):
            raise _unreadable_opt_out(path, row.number)
        yield statement


def _is_open(texts: dict[str, str], named: Collection[str]) -> bool:
    """Whether a list of nothing but opt-outs leaves open if this row is one."""
    return "opt_out" in named and "basis" not in named and not texts["opt_out"]


def _unknown_opt_outs(catalog: Catalog, rows: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """One finding per list whose opt-outs name numbers that no report has: a zero or a digit may be lost."""
    reports = catalog.read(REPORTS, columns=("site", "patient_id", "accession"))
    # A number of which only a merge list knows whose it was.
    others = catalog.read(IDENTITIES, columns=("site", "id_type", "id_value")).filter(pc.field("id_type") == "patient_id")
    asked = pa.array(
        sorted({row["subject_value"] for row in rows if row["opt_out"] and row.get("subject_value")}), pa.string()
    )
    known = {
        *_there(reports, "patient_id", "person", asked), *_there(reports, "accession", "case", asked),
        *_there(others, "id_value", "person", asked),
    }  # fmt: skip
    lost: dict[str, list[int]] = defaultdict(list)
    for row in rows if reports.num_rows else ():
        subject = (row["subject"], row["site"], row.get("subject_value"))
        if row["opt_out"] and row["subject"] in {"person", "case"} and subject not in known:
            lost[row["source"]].append(row["source_row"])
    for source, numbers in lost.items():
        yield Finding(
            "permissions.opt_out_unknown", Severity.WARNING,
            f"{len(numbers)} opt-outs of {Path(source).name} name patients or cases that no report has, the first in row "
            f"{numbers[0]}; if they should be there, a digit or a leading zero may be lost",
            stage="permissions", table="permissions", subject=Path(source).name, count=len(numbers),
        )  # fmt: skip


def _there(rows: pa.Table, column: str, kind: str, asked: "pa.Array[Any]") -> Iterator[tuple[str, Any, Any]]:
    """Which of some numbers stand in a column, as what and at which site."""
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
        numbers = canonical_numbers(batch[column]) if column == "patient_id" else batch[column]
        found = pc.is_in(numbers, value_set=asked)
        sites, there = batch["site"].filter(found).to_pylist(), numbers.filter(found).to_pylist()
        yield from ((kind, site, number) for site, number in zip(sites, there, strict=True))


def _unreadable_opt_out(path: Path, number: int) -> DisclosureRefusedError:
    # A permission that is not understood is simply none; an opt-out that is not understood would let somebody's data out.
    return DisclosureRefusedError(
        f"row {number} of {path.name} may be an opt-out, but does not say clearly whose",
        "Correct that row and import again.",
    )


def _about_heads(sheet: Sheet, heads: Heads, path: Path) -> Iterator[Finding]:
    for index in heads.unknown:
        if _SPEAKS_OF_LEAVING.search(fold_head(sheet.heads[index])):
            raise DisclosureRefusedError(
                f"{shown_head(sheet.heads, index)} of {path.name} is not known, but may say who has opted out",
                "Name it in the list's mapping: `columns: {opt_out: …}`; `values` says which of its words mean no (否).",
            )
        yield Finding(
            "permissions.unknown_column", Severity.INFO,
            f"{shown_head(sheet.heads, index)} of {path.name} is not known and was not imported; a mapping can name it",
            stage="permissions", table="permissions", subject=f"{path.name} column {index + 1}",
        )  # fmt: skip


def _texts(mapping: Mapping, heads: Heads, row: Row) -> dict[str, str]:
    """The row's texts by canonical name, every name there; ``subject`` is filled in where the columns say it."""
    texts = {name: heads.cell(row.cells, name) or mapping.constants.get(name, "") for name in COLUMNS}
    for name, translation in mapping.values.items():
        texts[name] = translation.get(texts[name], texts[name])
    words = mapping.values.get("opt_out", {})
    leaving = (words.get(row.cells[head], row.cells[head]) for head in heads.columns.get("opt_out", ()))
    # 是否退出 may say no where 退出日期 says when.
    texts["opt_out"] = next(filter(_opt_out, leaving), texts["opt_out"])
    # "撤回同意" or "拒绝" as a basis is the end of one.
    if vocabulary("bases").exact(texts["basis"]) is None and _SPEAKS_OF_LEAVING.search(fold_head(texts["basis"])):
        texts["opt_out"] = texts["opt_out"] or texts["basis"]
    if "subject" not in {*heads.columns, *mapping.constants}:
        texts["subject"] = _subject_of_columns(heads, row, is_constant="subject_value" in mapping.constants)
    return texts


def _subject_of_columns(heads: Heads, row: Row, *, is_constant: bool) -> str:
    columns = heads.columns.get("subject_value", ())
    if not columns and not is_constant:
        return "site"
    # In a list about persons or cases, a row without a number is about nobody, not about its whole site.
    named = next((head for head in columns if row.cells[head]), "")
    return "case" if fold_head(named) in known_heads()["reports"]["accession"] else "person"


def _statement(
    workspace: Workspace, source: PermissionSource, texts: dict[str, str], row: Row, path: Path
) -> dict[str, Any] | Finding:
    opt_out = _opt_out(texts["opt_out"])
    statement: dict[str, Any] = {
        "basis": vocabulary("bases").exact(texts["basis"]),
        "purposes": [] if opt_out else _items(texts["purposes"]),
        "data_kinds": _items(texts["data_kinds"]) if texts["data_kinds"] and not opt_out else list(_DATA_KINDS),
        "document_sha256": texts["document_sha256"] or None,
        "opt_out": opt_out,
        "source": os.path.relpath(source.path, workspace.root),
        "source_row": row.number,
    }
    fault = _add_subject(statement, workspace, texts) or (None if opt_out else _fault(statement, texts))
    if fault is not None:
        return _refused(*fault, row.number, path)
    for name in ("valid_from", "valid_to"):
        moment = parse_datetime(texts[name]) if texts[name] else None
        statement[name] = moment.date() if moment else None
    return statement


def _opt_out(text: str) -> bool:
    # Anything but a clear "no" in an opt-out column keeps the person out.
    return bool(text) and vocabulary("flags").exact(text) != "no"


def _items(text: str) -> list[str]:
    for separator in (";", "；", ",", "，", "、", "|"):
        text = text.replace(separator, " ")
    return text.lower().split()


def _add_subject(statement: dict[str, Any], workspace: Workspace, texts: dict[str, str]) -> tuple[str, str] | None:
    """Name the subject; a fault (rule, what is wrong) if the row does not say whom it is about."""
    codes = [site.code for site in workspace.sites]
    subject = texts["subject"].lower()
    site = texts["site"] or (codes[0] if len(codes) == 1 else "")
    if subject not in SUBJECTS:
        return "permissions.no_subject", "does not say whom it is about (person, case, site or population)"
    if subject != "population" and site not in codes:
        return "permissions.unknown_site", "names no site of pathcurate.yaml"
    if subject in {"person", "case"} and parse_number(texts["subject_value"]) is None:
        return "permissions.no_subject", "has no usable patient or accession number"
    statement["subject"] = subject
    statement["site"] = None if subject == "population" else site
    if subject == "person":
        statement["subject_value"] = canonical(texts["subject_value"])
    elif subject == "case":
        patterns = AccessionPatterns(workspace.site(site).accession.patterns)
        statement["subject_value"] = patterns.normalise(texts["subject_value"])
    return None


def _fault(statement: dict[str, Any], texts: dict[str, str]) -> tuple[str, str] | None:
    if statement["basis"] is None:
        return "permissions.no_basis", "names no legal basis that is known (consent, waiver, population_approval)"
    if not statement["purposes"]:
        return "permissions.no_purpose", "names no purpose"
    if not all(_PURPOSE.fullmatch(purpose) for purpose in statement["purposes"]):
        return "permissions.unknown_purpose", "names a purpose in other words than recipes do (a-z and _, such as research)"
    if not statement["data_kinds"] or not set(statement["data_kinds"]) <= set(_DATA_KINDS):
        return "permissions.unknown_data_kind", f"names a kind of data other than {', '.join(_DATA_KINDS)}"
    if any(texts[name] and parse_datetime(texts[name]) is None for name in ("valid_from", "valid_to")):
        return "permissions.not_a_date", "has a validity that is not a date"
    return None


def _refused(rule: str, what: str, number: int, path: Path) -> Finding:
    return Finding(
        rule, Severity.ERROR, f"row {number} of {path.name} {what}; it counts as no permission",
        stage="permissions", table="permissions", subject=f"{path.name} row {number}",
    )  # fmt: skip

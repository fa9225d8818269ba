"""Stage: consent lists, waivers and opt-outs become the ``permissions`` table."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathcurate.delimited import Row, Sheet, read_sheet, shown_head
from pathcurate.disclosure import record_permission_lists
from pathcurate.errors import DisclosureRefusedError, InputOutputError, UsageError
from pathcurate.findings import record_findings
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.permission import PERMISSIONS, SUBJECTS
from pathcurate.pseudonyms import canonical
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.heads import Heads, resolve
from pathcurate.text.values import parse_datetime
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import Mapping, PermissionSource, Workspace, load_mapping

COLUMNS = tuple(name for name in PERMISSIONS.names if name not in {"source", "source_row"})
"""Canonical names that a mapping may give heads or constants for."""
_DATA_KINDS = PERMISSIONS["data_kinds"].values


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
        DisclosureRefusedError: a row that may be an opt-out is not understood.
        InputOutputError: a list is missing or cannot be read.
        UsageError: no list is configured, or one has no column that names its subjects.
    """
    if not workspace.permissions:
        raise UsageError(
            "pathcurate.yaml configures no permission list",
            "Add `permissions: [{path: consent.csv}]`; without one, releases need --no-permissions.",
        )
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for source in workspace.permissions:
        for item in _read_list(workspace, source):
            if isinstance(item, Finding):
                findings.append(item)
            else:
                rows.append(item)
    catalog = Catalog(workspace.catalog)
    catalog.replace(PERMISSIONS, from_rows(PERMISSIONS, rows))
    record_findings(catalog, "permissions", findings)
    record_permission_lists(workspace)
    opt_outs = sum(row["opt_out"] for row in rows)
    return ImportSummary(len(workspace.permissions), len(rows), opt_outs, tuple(findings))


def _read_list(workspace: Workspace, source: PermissionSource) -> Iterator[dict[str, Any] | Finding]:
    path = source.path
    if not path.is_file():
        raise InputOutputError(f"permission list {path.name}: no such file", "Correct `path` in pathcurate.yaml.")
    mapping = load_mapping(source.mapping, COLUMNS) if source.mapping else Mapping()
    sheet = read_sheet(path, mapping.encoding)
    heads = resolve("permissions", sheet.heads, mapping.columns, path.name)
    named = set(heads.columns) | set(mapping.constants)
    if not named & {"subject_value", "subject", "site"}:
        raise UsageError(
            f"{path.name}: no column names the subject (patient number 病案号, case 病理号 or site 机构)",
            "Write a mapping file with `columns: {subject_value: …}` and name it in pathcurate.yaml.",
        )
    yield from _about_heads(sheet, heads, path)
    has_opt_outs = "opt_out" in named
    for number in sheet.misfits:
        if has_opt_outs:
            raise _unreadable_opt_out(path, number)
        yield _refused("permissions.row_misfit", "has more or fewer cells than there are heads", number, path)
    for row in sheet.rows:
        statement = _statement(workspace, source, mapping, heads, row, path)
        if isinstance(statement, Finding) and _opt_out(
            heads.cell(row.cells, "opt_out") or mapping.constants.get("opt_out", "")
        ):
            raise _unreadable_opt_out(path, row.number)
        yield statement


def _unreadable_opt_out(path: Path, number: int) -> DisclosureRefusedError:
    # A permission that is not understood is simply none; an opt-out that is not understood would let somebody's data out.
    return DisclosureRefusedError(
        f"row {number} of {path.name} may be an opt-out, but does not say clearly whose",
        "Correct that row and import again.",
    )


def _about_heads(sheet: Sheet, heads: Heads, path: Path) -> Iterator[Finding]:
    for index in heads.unknown:
        yield Finding(
            "permissions.unknown_column", Severity.INFO,
            f"{shown_head(sheet.heads, index)} of {path.name} is not known and was not imported; a mapping can name it",
            stage="permissions", table="permissions", subject=f"{path.name} column {index + 1}",
        )  # fmt: skip


def _statement(
    workspace: Workspace, source: PermissionSource, mapping: Mapping, heads: Heads, row: Row, path: Path
) -> dict[str, Any] | Finding:
    texts = {name: heads.cell(row.cells, name) or mapping.constants.get(name, "") for name in COLUMNS}
    for name, translation in mapping.values.items():
        texts[name] = translation.get(texts.get(name, ""), texts.get(name, ""))
    opt_out = _opt_out(texts["opt_out"])
    statement: dict[str, Any] = {
        "basis": vocabulary("bases").exact(texts["basis"]),
        "purposes": [item.lower() for item in _items(texts["purposes"])],
        "data_kinds": [item.lower() for item in _items(texts["data_kinds"])] or list(_DATA_KINDS),
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
    return text.split()


def _add_subject(statement: dict[str, Any], workspace: Workspace, texts: dict[str, str]) -> tuple[str, str] | None:
    """Name the subject; a fault (rule, what is wrong) if the row does not say whom it is about."""
    codes = [site.code for site in workspace.sites]
    subject = texts["subject"] or ("person" if texts["subject_value"] else "site" if texts["site"] else "")
    site = texts["site"] or (codes[0] if len(codes) == 1 else "")
    if subject not in SUBJECTS:
        return "permissions.no_subject", "does not say whom it is about (person, case, site or population)"
    if subject != "population" and site not in codes:
        return "permissions.unknown_site", "names no site of pathcurate.yaml"
    if subject in {"person", "case"} and not texts["subject_value"]:
        return "permissions.no_subject", "has no patient or accession number"
    value = texts["subject_value"]
    if subject == "case":
        value = AccessionPatterns(workspace.site(site).accession.patterns).normalise(value)
    statement["subject"] = subject
    statement["site"] = None if subject == "population" else site
    statement["subject_value"] = canonical(value) if subject in {"person", "case"} else None
    return None


def _fault(statement: dict[str, Any], texts: dict[str, str]) -> tuple[str, str] | None:
    if statement["basis"] is None:
        return "permissions.no_basis", "names no legal basis that is known (consent, waiver, population_approval)"
    if not statement["purposes"]:
        return "permissions.no_purpose", "names no purpose"
    if not set(statement["data_kinds"]) <= set(_DATA_KINDS):
        return "permissions.unknown_data_kind", f"names a kind of data other than {', '.join(_DATA_KINDS)}"
    if any(texts[name] and parse_datetime(texts[name]) is None for name in ("valid_from", "valid_to")):
        return "permissions.not_a_date", "has a validity that is not a date"
    return None


def _refused(rule: str, what: str, number: int, path: Path) -> Finding:
    return Finding(
        rule, Severity.ERROR, f"row {number} of {path.name} {what}; it counts as no permission",
        stage="permissions", table="permissions", subject=f"{path.name} row {number}",
    )  # fmt: skip

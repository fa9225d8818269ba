"""Tables that name releases to register, and certificates that were given for them: one row each, as people keep them.

A fault is a finding of its row, and the other rows go on. What a cell holds is never told: it may be the wrong table.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pathcurate.delimited import Row, Sheet, read_sheet, shown_head
from pathcurate.errors import UsageError
from pathcurate.model.certificate import is_line, is_release, is_scheme
from pathcurate.model.finding import Finding, Severity
from pathcurate.peoplecsv import without_prefix
from pathcurate.text.heads import fold_head
from pathcurate.text.values import parse_datetime

_WORDS = Path(__file__).with_suffix(".yaml")
_SHA256 = re.compile(r"(?:sha-?256:)?([0-9a-f]{64})")
STAGE = "registration"
"""Of all findings about such tables."""
_FORMS: Mapping[str, str] = {
    "release": "does not name one release: NAME@VERSION, or its digest",
    "regime": "is no name of a regime: small letters, digits and hyphens",
    "number": "is not one line of at most 200 signs",
    "authority": "is not one line of at most 200 signs",
    "issued": "is no day such as 2026-11-20",
    "valid_until": "is no day such as 2026-11-20, nor 长期 or permanent",
    "sha256": "is no SHA-256: 64 digits of 0-9 and a-f",
}


@dataclass(frozen=True, slots=True)
class RegistrationRow:
    """A row of the table; what the table does not say is None.

    Attributes:
        row: its number in the file, from 1.
        release: ``NAME@VERSION``, or a release digest.
        regime: name of the form it is registered in.
        file: of the certificate, relative to a folder.
        number: of the certificate.
        authority: who gave it.
        issued: when.
        valid_until: its last day; None also if it does not end.
        sha256: of the file, ``sha256:`` and 64 digits.
    """

    row: int
    release: str
    regime: str | None = None
    file: str | None = None
    number: str | None = None
    authority: str | None = None
    issued: date | None = None
    valid_until: date | None = None
    sha256: str | None = None


def read_batch(table: Path, *, regime: str | None = None) -> tuple[tuple[RegistrationRow, ...], tuple[Finding, ...]]:
    """The releases that a table names for registration, once for each regime.

    Args:
        table: CSV, TSV or Excel, with Chinese or English heads; see ``registrationtable.yaml``.
        regime: of rows that name none.

    Returns:
        The rows that can be used, in their order, and what is wrong with the others.

    Raises:
        InputOutputError: the table cannot be read.
        UsageError: it is no table, or has no column that names the release.
    """
    rows, findings = read_rows(table, required=("regime",), regime=regime)
    kept, doubles = without_conflicts(rows, {"the same release and regime": lambda row: (row.release, row.regime)})
    return tuple(kept), in_order((*findings, *doubles))


def read_rows(
    table: Path, *, required: Collection[str], regime: str | None = None
) -> tuple[list[RegistrationRow], list[Finding]]:
    """The rows of a table, and a finding for each fault; a row with one is not among the rows.

    Args:
        table: as of :func:`read_batch`.
        required: what each row must say besides its release, as attributes of :class:`RegistrationRow`.
        regime: of rows that name none.

    Raises:
        InputOutputError: the table cannot be read.
        UsageError: it is no table, or has no column that names the release.
    """
    heads: dict[str, list[str]] = _words()["heads"]
    sheet = read_sheet(table, expected=[head for known in heads.values() for head in known])
    by_fold = {fold_head(head): name for name, known in heads.items() for head in known}
    columns = {head: by_fold[fold_head(head)] for head in reversed(sheet.heads) if fold_head(head) in by_fold}
    meanings = list(columns.values())
    if twice := sorted({name for name in meanings if meanings.count(name) > 1}):
        raise UsageError(f"{table.name} has two columns for {twice[0]}", "Rename or remove one of them.")
    if not {"release", "product"}.intersection(meanings):
        raise UsageError(
            f"{table.name} has no column that names the release",
            "Call one `release` (NAME@VERSION), or two of them `product` and `version` (产品, 版本).",
        )
    if absent := sorted(set(required) - set(meanings) - ({"regime"} if regime else set())):
        raise UsageError(
            f"{table.name} has no column for {absent[0]}", f"Add one, called {' or '.join(heads[absent[0]][:3])}."
        )
    findings = list(_about_columns(sheet, columns))
    findings += [fault(number, "misfit", "has more or fewer cells than there are heads") for number in sheet.misfits]
    ruined = {(number, columns[head]) for number, head in sheet.ruined if head in columns}
    rows = []
    for row in sheet.rows:
        read, faults = _read(row, columns, sheet.epoch, ruined, required, regime)
        findings += faults
        rows += [read] if read is not None else []
    return rows, findings


@cache
def _words() -> Any:
    return yaml.safe_load(_WORDS.read_text(encoding="utf-8"))


def _about_columns(sheet: Sheet, columns: Mapping[str, str]) -> Iterator[Finding]:
    for index, head in enumerate(sheet.heads):
        if head and head not in columns:
            yield Finding(
                "registration.unknown_column", Severity.INFO, f"{shown_head(sheet.heads, index)} is not known, and not read",
                stage=STAGE, subject=f"column {index + 1}",
            )  # fmt: skip


def _read(
    row: Row,
    columns: Mapping[str, str],
    epoch: date | None,
    ruined: Collection[tuple[int, str]],
    required: Collection[str],
    regime: str | None,
) -> tuple[RegistrationRow | None, list[Finding]]:
    said = {name: without_prefix(row.cells[head]) for head, name in columns.items()}
    texts = {name: text for name, text in said.items() if text}
    texts["release"] = _release(texts)
    if regime is not None:
        texts.setdefault("regime", regime)
    faults = [
        fault(row.number, "ruined_number", f"{name} lost digits in a spreadsheet; write it as text")
        for number, name in sorted(ruined) if number == row.number
    ]  # fmt: skip
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name] = _value(name, text, epoch)
        except ValueError:
            faults.append(fault(row.number, "bad_value", f"{name} {_FORMS[name]}"))
    lacking = [name for name in required if name not in texts and (row.number, name) not in ruined]
    faults += [fault(row.number, "not_given", f"{name} is empty") for name in lacking]
    issued, until = values.get("issued"), values.get("valid_until")
    if issued is not None and until is not None and until < issued:
        faults.append(fault(row.number, "bad_value", "valid_until is before issued"))
    names = set(RegistrationRow.__dataclass_fields__)
    return (None if faults else RegistrationRow(row.number, **{k: v for k, v in values.items() if k in names})), faults


def _release(texts: Mapping[str, str]) -> str:
    """The release that a row names, in one column or in two."""
    named = texts.get("release") or texts.get("product", "")
    version = texts.get("version", "")
    if (
        "release" in texts
        and "product" in texts
        and texts["release"].partition("@")[0] != texts["product"].partition("@")[0]
    ):
        # A digest says nothing of a product; two names that differ are a fault.
        named = named if named.startswith("sha256:") else ""
    if not version or named.startswith("sha256:"):
        return named
    if "@" in named:
        return named if named.endswith(f"@{version}") else ""
    return f"{named}@{version}"


def _value(name: str, text: str, epoch: date | None) -> object:
    """What a cell says; a ValueError if it has another form."""
    if name in {"issued", "valid_until"}:
        if name == "valid_until" and fold_head(text) in map(fold_head, _words()["endless"]):
            return None
        moment = parse_datetime(text, epoch)
        return moment.date() if moment is not None else _wrong()
    if name == "sha256":
        match = _SHA256.fullmatch(text.lower())
        return f"sha256:{match[1]}" if match is not None else _wrong()
    is_right = {"release": is_release, "regime": is_scheme, "number": is_line, "authority": is_line}.get(name)
    return text if is_right is None or is_right(text) else _wrong()


def _wrong() -> object:
    raise ValueError


def fault(number: int, rule: str, message: str) -> Finding:
    """A row of the table that cannot be used, and why."""
    return Finding(f"registration.{rule}", Severity.ERROR, message, stage=STAGE, subject=f"row {number}")


def without_conflicts(
    rows: Sequence[RegistrationRow], keys: Mapping[str, Callable[[RegistrationRow], Hashable]]
) -> tuple[list[RegistrationRow], list[Finding]]:
    """The rows that contradict no other: of rows that say the same the first, of rows that share a key none.

    Args:
        rows: the rows.
        keys: what no two rows may share, by its words.
    """
    findings = []
    first: dict[RegistrationRow, int] = {}
    for row in rows:
        number = first.setdefault(replace(row, row=0), row.row)
        if number != row.row:
            message = f"says the same as row {number}, and was read once"
            findings.append(Finding("registration.repeated", Severity.INFO, message, stage=STAGE, subject=f"row {row.row}"))
    distinct = [row for row in rows if first[replace(row, row=0)] == row.row]
    refused: set[int] = set()
    for what, key in keys.items():
        sharing = defaultdict(list)
        for row in distinct:
            sharing[key(row)].append(row.row)
        for numbers in sharing.values():
            if len(numbers) > 1:
                refused.update(numbers)
                message = f"rows {', '.join(map(str, numbers[:8]))} have {what}; none of them is used"
                findings += [fault(number, "conflict", message) for number in numbers]
    return [row for row in distinct if row.row not in refused], findings


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of their rows; those of the table and of its columns come first."""

    def place(finding: Finding) -> int:
        kind, _, number = str(finding.subject or "").partition(" ")
        return int(number) if kind == "row" else 0

    return tuple(sorted(findings, key=place))

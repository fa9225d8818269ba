"""A review of labels, exported: a page and a CSV for people, below ``catalog/review/`` only."""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pathcurate import __version__
from pathcurate.digests import canonical_json
from pathcurate.engines import Engine
from pathcurate.htmlreport.labelreview import LabelItem, LabelSheet, ReportText, label_review_page, sections
from pathcurate.labels.drawing import Choice, Drawn, Sample, draw
from pathcurate.labels.texts import Reports, Told
from pathcurate.model.labelreview import NO_LABEL
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.peoplecsv import csv_for_people
from pathcurate.reviews import (
    ANSWERS_FILE,
    PAGE_FILE,
    SHEET_FILE,
    Review,
    minute,
    new_sheet,
    remove_expired,
    review_folder,
)
from pathcurate.storage import write_bytes
from pathcurate.vault import append_event, open_vault
from pathcurate.workspace import Workspace

LABELS: Final = Review("label-", "labels", "labels review export")
HEADS: Final = ("sheet", "item", "label", "value", "answer", "instead")

Shown = tuple[Drawn, Sequence[Told]]


@dataclass(frozen=True, slots=True)
class Exported:
    """A sheet that was exported.

    Attributes:
        folder: where it lies; None if there was nothing to ask.
        classes: of each label and value how many are asked about, as ``label value``.
        left_out: labels that no report tells of.
        without_report: labels that were drawn and that no report can be shown for; they are not on the sheet.
        expires_at: when the folder is removed.
        expired: older folders that were removed now.
    """

    folder: Path | None
    classes: Mapping[str, int]
    left_out: tuple[str, ...]
    without_report: int
    expires_at: datetime
    expired: int


def export_review(
    workspace: Workspace,
    engine: Engine,
    choice: Choice,
    *,
    now: datetime,
    expires_days: int,
    actor: str,
    purpose: str | None = None,
) -> Exported:
    """Draw labels and write the sheet.

    Only for whoever holds the lock on the workspace. Nothing is seen of the folder before it is whole, and the audit trail
    has it before anybody can open it.

    Args:
        workspace: the workspace, with the cohort.
        engine: for SQL.
        choice: which labels.
        now: the present, with its zone.
        expires_days: after how many days the folder is removed.
        actor: who exports it.
        purpose: why, in their words.

    Raises:
        UsageError: the cohort or a label is not there, or a page would be too long.
        PlanIncompleteError: the cohort says nothing of its labels.
        VaultError: the vault cannot be used.
        InputOutputError: a table cannot be read.
    """
    expired, expires_at = remove_expired(workspace, now), now + timedelta(days=expires_days)
    sample = draw(workspace, engine, choice)
    reports = Reports(workspace, engine, open_vault(workspace.vault), sample.drawn)
    asked = [(one, told) for one in sample.drawn if (told := reports.of(one))]
    without = len(sample.drawn) - len(asked)
    if not asked:
        return Exported(None, {}, sample.left_out, without, expires_at, expired)
    content = _content(sample, asked, choice.cohort, now, expires_at)
    name = LABELS.sheet_name(content, now)
    items = tuple(_item(item["item"], sample, *shown) for item, shown in zip(content["items"], asked, strict=True))
    sheet = LabelSheet(name, choice.cohort, minute(now), minute(expires_at), items)
    with new_sheet(workspace, name) as folder:
        write_bytes(folder / PAGE_FILE, label_review_page(sheet).encode(), mode=0o600)
        write_bytes(folder / ANSWERS_FILE, csv_for_people(HEADS, _lines(sheet)), mode=0o600)
        write_bytes(folder / SHEET_FILE, canonical_json(content) + b"\n", mode=0o600)
        append_event(
            workspace.vault, actor, "labels review export",
            {"cohort": choice.cohort, "labels": len(items), "days": expires_days, "version": __version__},
            purpose=purpose,
        )  # fmt: skip
    classes = Counter(f"{item.label} {item.value}" for item in items)
    return Exported(
        review_folder(workspace) / name, dict(sorted(classes.items())), sample.left_out, without, expires_at, expired
    )


def _content(sample: Sample, asked: Sequence[Shown], cohort: str, now: datetime, expires_at: datetime) -> dict[str, Any]:
    """What the sheet asks, by which its answers are understood."""
    return {
        "made_at": now.astimezone(UTC).isoformat(), "expires_at": expires_at.astimezone(UTC).isoformat(),
        "salt": secrets.token_hex(8), "cohort": cohort, "recipe_sha256": sample.recipe_sha256,
        "items": [
            {"item": f"L{number}", "label": one.label.name, "unit_id": one.unit_id, "site": told[0].row["site"],
             "report_id": told[0].report_id, "value": one.value, "purpose": one.purpose,
             "options": list(_options(sample, one))}
            for number, (one, told) in enumerate(asked, start=1)
        ],
    }  # fmt: skip


def _options(sample: Sample, one: Drawn) -> tuple[str, ...]:
    """What the label may be instead."""
    shown = NO_LABEL if one.value is None else one.value
    return tuple(option for option in sample.options[one.label.name] if option != shown)


def _item(item: str, sample: Sample, one: Drawn, told: Sequence[Told]) -> LabelItem:
    shown = NO_LABEL if one.value is None else one.value
    reports = tuple(
        ReportText(
            _heading(report), tuple(sections(report.row, TEXT_COLUMNS, report.lines, report.values)), report.is_source
        )
        for report in told
    )
    return LabelItem(item, one.label.name, one.label.level, shown, one.purpose, _options(sample, one), reports)


def _heading(report: Told) -> str:
    row = report.row
    day = f"{row['reported_date']:%Y-%m-%d}" if row["reported_date"] is not None else ""
    parts = (row["site"], row["accession"], row["report_type"], row["status"], day)
    return " · ".join(part for part in parts if part)


def _lines(sheet: LabelSheet) -> Iterator[Sequence[str]]:
    for item in sheet.items:
        yield sheet.sheet, item.item, item.label, item.value, "", ""

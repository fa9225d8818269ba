"""A review of links, exported: a page and a CSV for people, below ``catalog/review/`` only."""

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pathcurate import __version__
from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError
from pathcurate.htmlreport.linkreview import FLAGS, CaseView, Flag, Reading, ReviewItem, ReviewSheet, review_page
from pathcurate.link.crops import Crop, read_crops
from pathcurate.link.reviewdraw import REASONS, Choice, Drawn, draw
from pathcurate.model.column import Table
from pathcurate.model.link import LINKS
from pathcurate.model.question import LINK_QUESTIONS
from pathcurate.model.report import REPORTS, precedence
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.peoplecsv import csv_for_people
from pathcurate.relations import relation
from pathcurate.reviews import ANSWERS_FILE, PAGE_FILE, SHEET_FILE, minute, remove_expired, review_folder
from pathcurate.storage import path_text, private_directory, write_bytes
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import append_event
from pathcurate.workspace import Workspace

HEADS: Final = (
    "sheet", "slide_id", "site", "proposed_accession", "candidates", "tier", "evidence", "decision", "accession", "reviewer",
    "comment",
)  # fmt: skip

_DRAWN: Final = "link_review_drawn"
_WANTED: Final = "link_review_cases"
_SLIDE_COLUMNS: Final = (
    "slide_id", "site", "archive", "relpath", "reader", "status", "storage_state", "has_label", "has_overview", "barcode",
    "label_text", "metadata_texts", "scan_datetime", "scanner_model", "stain", "organ", "preparation",
)  # fmt: skip
_REPORT_COLUMNS: Final = (
    "report_id", "site", "accession", "accession_raw", "patient_id", "patient_name", "sex", "age", "birth_date",
    "report_type", "status", "is_current", "organ", "specimen_sites", "received_date", "reported_date", "diagnosis",
    "text_raw", "blocks",
)  # fmt: skip
_MOST_DIAGNOSIS: Final = 300
_MOST_TEXT: Final = 240
_MOST_CANDIDATES: Final = 6
_MOST_BLOCKS: Final = 40
Row = Mapping[str, Any]
CaseKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Exported:
    """A sheet that was exported.

    Attributes:
        folder: where it lies; None if there was nothing to ask.
        purposes: slides by purpose.
        tiers: slides by tier.
        without_label: slides of which no label could be shown.
        expires_at: when the folder is removed.
        expired: older folders that were removed now.
    """

    folder: Path | None
    purposes: Mapping[str, int]
    tiers: Mapping[str, int]
    without_label: int
    expires_at: datetime
    expired: int

    @property
    def slides(self) -> int:
        """Slides of the sheet."""
        return sum(self.purposes.values())


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
    """Draw slides and write the sheet; what was asked is kept in the catalog, so that the answers can be told from others.

    Only for whoever holds the lock on the workspace. Nothing is seen of the folder before it is whole, and the audit trail
    has it before anybody can open it.

    Args:
        workspace: the workspace.
        engine: for SQL and pictures.
        choice: which slides.
        now: the present, with its zone.
        expires_days: after how many days the folder is removed.
        actor: who exports it.
        purpose: why, in their words.

    Raises:
        PlanIncompleteError: nothing was linked yet.
        InputOutputError: the catalog cannot be read.
        OSError: the folder cannot be written.
    """
    catalog = Catalog(workspace.catalog)
    expired, expires_at = remove_expired(workspace, now), now + timedelta(days=expires_days)
    if catalog.snapshot(LINKS) is None:
        raise PlanIncompleteError("no slide was linked yet, so there is nothing to review", "Run `pathcurate link` first.")
    drawn = draw(engine, catalog, choice)
    if not drawn:
        return Exported(None, {}, {}, 0, expires_at, expired)
    facts = _Facts(engine, catalog, [item.slide_id for item in drawn])
    crops = read_crops(workspace, engine, facts.slides.values(), now)
    name = f"link-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    items = tuple(_item(facts, item, crops.get(item.slide_id, Crop(None, "unreadable"))) for item in drawn)
    sheet = ReviewSheet(name, workspace.name, minute(now), minute(expires_at), items)
    folder = private_directory(review_folder(workspace))
    hidden = private_directory(folder / f".{name}")
    write_bytes(hidden / PAGE_FILE, review_page(sheet).encode(), mode=0o600)
    write_bytes(hidden / ANSWERS_FILE, csv_for_people(HEADS, (_line(sheet.sheet, item) for item in items)), mode=0o600)
    until = {"sheet": name, "made_at": now.astimezone(UTC).isoformat(), "expires_at": expires_at.astimezone(UTC).isoformat()}
    write_bytes(hidden / SHEET_FILE, json.dumps({**until, "slides": len(items)}).encode() + b"\n", mode=0o600)
    catalog.upsert(LINK_QUESTIONS, from_rows(LINK_QUESTIONS, _questions(facts, name, drawn, now)), only_adds=True)
    purposes, tiers = Counter(item.purpose for item in drawn), Counter(item.tier for item in items)
    append_event(
        workspace.vault, actor, "link review export",
        {"slides": len(items), **purposes, "days": expires_days, "version": __version__},
        purpose=purpose,
    )  # fmt: skip
    hidden.rename(folder / name)
    without_label = sum(item.picture is None for item in items)
    return Exported(folder / name, dict(purposes), dict(tiers), without_label, expires_at, expired)


def _questions(facts: "_Facts", sheet: str, drawn: Iterable[Drawn], now: datetime) -> Iterator[Row]:
    asked_at = now.astimezone(UTC).replace(tzinfo=None)
    for item in drawn:
        link = facts.links[item.slide_id]
        told = {name: link[name] for name in ("slide_id", "site", "accession", "report_id", "tier", "rule_set_sha")}
        yield {**told, "sheet": sheet, "purpose": item.purpose, "asked_at": asked_at}


# --- Facts -------------------------------------------------------------------------------------------------------


class _Facts:
    """What the catalog knows of some slides and of the cases that they may belong to."""

    def __init__(self, engine: Engine, catalog: Catalog, slide_ids: Sequence[str]) -> None:
        engine.view(_DRAWN, pa.table({"slide_id": pa.array(slide_ids, pa.string())}))

        def of_slides(table: Table, columns: Sequence[str], more: str = "") -> list[Row]:
            return _matching(engine, catalog, table, columns, f"JOIN {_DRAWN} d ON t.slide_id = d.slide_id", more)

        reasons = ", ".join(f'{test} AS "{reason}"' for reason, test in REASONS.items())
        self.links: dict[str, Row] = {row["slide_id"]: row for row in of_slides(LINKS, LINKS.names, f", {reasons}")}
        self.slides: dict[str, Row] = {row["slide_id"]: row for row in of_slides(SLIDES, _SLIDE_COLUMNS)}
        self.read: dict[str, dict[str, tuple[str, ...]]] = {slide_id: {} for slide_id in slide_ids}
        self.patients: dict[str, tuple[str, ...]] = {}
        keys = of_slides(SLIDE_KEYS, ("slide_id", "key", "sources", "patients"))
        for row in sorted(keys, key=lambda row: row["key"] or ""):
            self.patients[row["slide_id"]] = tuple(row["patients"] or ())
            if row["key"] is not None:
                self.read[row["slide_id"]][row["key"]] = tuple((row["sources"] or "").split(","))
        self.reports: dict[CaseKey, list[Row]] = {}
        wanted = sorted({(link["site"], number) for link in self.links.values() for number in self.numbers(link)})
        engine.view(_WANTED, pa.table({"site": [site for site, _ in wanted], "accession": [key for _, key in wanted]},
                                      schema=_CASES))  # fmt: skip
        join = f"JOIN {_WANTED} w ON t.site = w.site AND t.accession = w.accession"
        for row in _matching(engine, catalog, REPORTS, _REPORT_COLUMNS, join):
            self.reports.setdefault((row["site"], row["accession"]), []).append(row)

    def numbers(self, link: Row) -> dict[str, str]:
        """Numbers that a slide may belong to, and what spoke against them; that of its link comes first."""
        # As `link` writes them: number, sources, and behind a colon what speaks against it.
        lost = {text.partition(" ")[0]: text.partition(": ")[2] for text in link["losing_candidates"] or ()}
        linked = {link["accession"]: ""} if link["accession"] else {}
        return {**linked, **{number: lost.get(number, "") for number in (*self.read[link["slide_id"]], *lost)
                             if number not in linked}}  # fmt: skip


def _matching(
    engine: Engine, catalog: Catalog, table: Table, columns: Sequence[str], join: str, more: str = ""
) -> list[Row]:
    names = ", ".join(f"t.{name}" for name in columns)
    found = engine.table(f"SELECT {names}{more} FROM {relation(engine, catalog, table, columns)} t {join}")
    return list(found.to_pylist())


_CASE_COLUMNS: "Final[Sequence[tuple[str, pa.DataType]]]" = (("site", pa.string()), ("accession", pa.string()))
_CASES: Final = pa.schema(_CASE_COLUMNS)


# --- What a person sees ------------------------------------------------------------------------------------------


def _item(facts: _Facts, drawn: Drawn, crop: Crop) -> ReviewItem:
    link = facts.links[drawn.slide_id]
    slide = facts.slides.get(drawn.slide_id, {})
    numbers = facts.numbers(link)
    proposed = _case(facts, link, link["accession"], "") if link["accession"] else None
    others = [_case(facts, link, number, why) for number, why in numbers.items() if number != link["accession"]]
    candidates = [case for case in others if case.reports]
    kinds = {case.accession: "other" for case in candidates} | ({proposed.accession: "case"} if proposed else {})
    return ReviewItem(
        slide_id=drawn.slide_id,
        site=link["site"],
        reasons=tuple(_reasons(link, drawn.purpose)),
        tier=link["tier"],
        rule=link["rule"] or "",
        confidence=link["confidence"],
        picture=crop.picture,
        why=crop.why,
        readings=tuple(_readings(slide, facts.read[drawn.slide_id], kinds)),
        facts=tuple(_slide_facts(link, slide, facts.patients.get(drawn.slide_id, ()))),
        flags=tuple(_flags(link)),
        proposed=proposed,
        candidates=tuple(candidates[:_MOST_CANDIDATES]),
    )


def _reasons(link: Row, purpose: str) -> Iterator[str]:
    """Why the slide is shown: that it was drawn, and everything that makes its link uncertain."""
    if purpose == "sample":
        yield "sample"
    yield from (reason for reason in REASONS if link[reason])


def _readings(slide: Row, read: Mapping[str, Sequence[str]], kinds: Mapping[str, str]) -> Iterator[Reading]:
    *folders, name = path_text(slide.get("relpath") or b"").split("/")
    texts = {
        "barcode": slide.get("barcode"),
        "label": slide.get("label_text"),
        "metadata": " · ".join(slide.get("metadata_texts") or ()) or None,
        "index": None,
        "file_name": name or None,
        "folder": "/".join(folders) or None,
    }
    for source, text in texts.items():
        numbers = tuple((key, kinds.get(key, "unknown")) for key, sources in read.items() if source in sources)
        if text or numbers:
            yield Reading(source, _cut(text, _MOST_TEXT) if text else None, numbers)


def _slide_facts(link: Row, slide: Row, patients: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    block = f"{link['specimen'] or ''}{link['block'] or ''}"
    stain = link["stain"] or slide.get("stain")
    yield from _present(
        ("Patient no.", "患者号", ", ".join(patients)),
        ("Block", "蜡块", block),
        ("Stain", "染色", stain),
        ("Organ", "器官", slide.get("organ")),
        ("Prepared", "制片", slide.get("preparation")),
        ("Scanned", "扫描", _day(slide.get("scan_datetime"))),
        ("Scanner", "扫描仪", slide.get("scanner_model")),
    )


def _flags(link: Row) -> Iterator[Flag]:
    details = {
        "scanned_after_receipt": f"{link['lag_days']} d" if link["lag_days"] is not None else "",
        "stain_plausible": link["stain"] or "",
        "block_named": f"{link['specimen'] or ''}{link['block'] or ''}",
    }
    yield from (Flag(name, link[name], details.get(name, "")) for name in FLAGS)


def _case(facts: _Facts, link: Row, accession: str, objection: str) -> CaseView:
    reports = facts.reports.get((link["site"], accession), [])
    shown = next((row for row in reports if row["report_id"] == link["report_id"]), None)
    report: Row = shown or max(reports, key=precedence, default={})
    sources = facts.read[link["slide_id"]].get(accession, ())
    if accession == link["accession"]:
        sources = tuple(link["evidence"] or sources)
    text = report.get("diagnosis") or report.get("text_raw") or ""
    return CaseView(
        accession, tuple(sources), tuple(_report_facts(report)), _cut(text, _MOST_DIAGNOSIS), len(reports), objection
    )


def _report_facts(report: Row) -> Iterator[tuple[str, str, str]]:
    age = f"{report['age']} y" if report.get("age") is not None else None
    who = [report.get("sex"), age, _day(report.get("birth_date"))]
    blocks = list(report.get("blocks") or ())
    more = f" … ({len(blocks)})" if len(blocks) > _MOST_BLOCKS else ""
    kind = [report.get("report_type"), None if report.get("status") == "final" else report.get("status")]
    yield from _present(
        ("As written", "原号", report.get("accession_raw")),
        ("Patient", "患者", report.get("patient_name")),
        ("", "", " · ".join(part for part in who if part)),
        ("Patient no.", "患者号", report.get("patient_id")),
        ("Received", "收样", _day(report.get("received_date"))),
        ("Reported", "报告", _day(report.get("reported_date"))),
        ("Organ", "器官", report.get("organ")),
        ("Specimens", "标本", _cut(report.get("specimen_sites") or "", _MOST_TEXT)),
        ("Blocks", "蜡块", ", ".join(blocks[:_MOST_BLOCKS]) + more),
        ("Report", "类型", " · ".join(part for part in kind if part)),
    )


def _present(*rows: tuple[str, str, str | None]) -> Iterator[tuple[str, str, str]]:
    yield from ((name, name_zh, value) for name, name_zh, value in rows if value)


def _day(value: Any) -> str | None:
    return f"{value:%Y-%m-%d}" if value is not None else None


def _cut(text: str, most: int) -> str:
    """The beginning of a text, with its whole length where some of it is left out."""
    text = text.strip()
    return text if len(text) <= most else f"{text[:most].rstrip()} … ({len(text):,})"


def _line(sheet: str, item: ReviewItem) -> list[str]:
    """A slide's row of the CSV."""
    sources = item.proposed.sources if item.proposed else ()
    said = [*sources, *(flag.words[0] for flag in item.flags if flag.holds is not None)]
    proposed = item.proposed.accession if item.proposed else ""
    candidates = "; ".join(case.accession for case in item.candidates)
    return [sheet, item.slide_id, item.site, proposed, candidates, item.tier, "; ".join(said), "", "", "", ""]

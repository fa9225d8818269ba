"""A workspace of which only the tables of linking are there, to review links in: no stage has run, no slide is scanned."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import csv
import io
import json
import pickle
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pathcurate.engines.embedded import Embedded
from pathcurate.link.review import standing_decisions
from pathcurate.link.reviewanswers import Imported, import_answers
from pathcurate.link.reviewdraw import Choice, Drawn, draw
from pathcurate.link.reviewsheet import HEADS, Exported, export_review
from pathcurate.model.link import LINK_DECISIONS, LINKS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import broken_event
from pathcurate.workspace import Workspace, load_workspace

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
RULES = "sha256:" + "0a" * 32
Row = dict[str, Any]


def name(number: int) -> str:
    return f"S-{number:016d}"


def link(number: int, tier: str = "barcode", **values: Any) -> Row:
    """A link to the case of the same number; of a conflict or none, a link to nothing."""
    accession = None if tier in {"conflict", "none"} else f"S24-{number}"
    return {
        "slide_id": name(number), "site": "NB01", "tier": tier, "rule": "one_witness", "rule_set_sha": RULES,
        "accession": accession, "report_id": f"R-{number}" if accession else None,
        "confidence": 1.0 if accession else None, "evidence": ["barcode"] if accession else None, **values,
    }  # fmt: skip


def report(number: int, **values: Any) -> Row:
    return {
        "report_id": f"R-{number}", "site": "NB01", "accession": f"S24-{number}", "report_type": "primary",
        "status": "final", "is_current": True, "patient_name": f"患者{number}", "diagnosis": "浸润性癌。" * 200,
        "received_date": datetime(2024, 3, 1), **values,
    }  # fmt: skip


def slide(number: int, **values: Any) -> Row:
    return {
        "slide_id": name(number), "site": "NB01", "archive": "main", "relpath": b"2024/%d.svs" % number, "status": "ok",
        "storage_state": "online", "reader": "tiff", "has_label": False, "has_overview": False, **values,
    }  # fmt: skip


class Inline:
    """An engine whose kernels run here, and lose what they shall lose."""

    def __init__(self, engine: Embedded, lost: bytes = b"") -> None:
        self.view, self.rows, self.table = engine.view, engine.rows, engine.table
        self._lost = lost

    def run(self, kernel: Any, batches: Any, spec: Any, schema: pa.Schema, *, on_crash: Any, timeout: float) -> Any:
        pickle.dumps((kernel, spec))
        for batch in batches:
            for place in range(batch.num_rows):
                row = batch.slice(place, 1)
                is_lost = row.column("relpath")[0].as_py() == self._lost
                yield on_crash(row, "reader_crashed") if is_lost else kernel(row, spec).cast(schema)


class Desk:
    """A workspace of which only the tables are there, and an engine."""

    def __init__(self, root: Path, engine: Embedded) -> None:
        root.mkdir(exist_ok=True)
        (root / "archive").mkdir(exist_ok=True)
        sites = "".join(
            f"  - {{code: {code}, archives: [{{name: main, root: {place}{more}}}]}}\n"
            for code, place, more in (("NB01", "archive", ""), ("NB02", "other", ', window: "01:00-02:00"'))
        )
        (root / "pathcurate.yaml").write_text(f"workspace: 1\nname: 复核\nsites:\n{sites}")
        self.workspace: Workspace = load_workspace(root / "pathcurate.yaml")
        self.catalog = Catalog(self.workspace.catalog)
        self.engine: Any = engine

    def fill(
        self, links: Sequence[Row], *, reports: Sequence[Row] | None = None, slides: Sequence[Row] | None = None,
        keys: Sequence[tuple[int, str, str]] = (),
    ) -> "Desk":  # fmt: skip
        numbers = [int(row["slide_id"][2:]) for row in links if row.get("slide_id")]
        self.catalog.replace(LINKS, from_rows(LINKS, links))
        self.catalog.replace(SLIDES, from_rows(SLIDES, [slide(n) for n in numbers] if slides is None else slides))
        self.catalog.replace(REPORTS, from_rows(REPORTS, [report(n) for n in numbers] if reports is None else reports))
        rows = [{"slide_id": name(n), "site": "NB01", "archive": "main", "key": key, "sources": sources, "is_only": True}
                for n, key, sources in keys]  # fmt: skip
        self.catalog.replace(SLIDE_KEYS, from_rows(SLIDE_KEYS, rows))
        return self

    def draw(self, **choice: Any) -> list[Drawn]:
        return draw(self.engine, self.catalog, Choice(**choice))

    def export(self, *, now: datetime = NOW, days: int = 14, **choice: Any) -> Exported:
        return export_review(self.workspace, self.engine, Choice(**choice), now=now, expires_days=days, actor="expert")

    def sheet(self, **choice: Any) -> "Sheet":
        folder = self.export(**choice).folder
        assert folder is not None
        return Sheet(folder)

    def answer(self, content: bytes, *, now: datetime = NOW, reviewer: str | None = None, file: str = "a.csv") -> Imported:
        path = self.workspace.root / file
        path.write_bytes(content)
        return import_answers(self.workspace, self.engine, path, now=now, reviewer=reviewer, actor="expert")

    def decisions(self) -> list[tuple[str, str, str | None]]:
        rows = self.catalog.read(LINK_DECISIONS).to_pylist()
        rows.sort(key=lambda row: row["decided_at"])
        return [(row["slide_id"], row["decision"], row["accession"]) for row in rows]

    def standing(self) -> list[tuple[str, str, str | None]]:
        rows = standing_decisions(self.catalog).to_pylist()
        return [(row["slide_id"], row["decision"], row["accession"]) for row in rows]

    def audit(self) -> list[Row]:
        path = self.workspace.vault / "audit.jsonl"
        assert broken_event(self.workspace.vault) is None
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class Sheet:
    """A sheet as a person finds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = (folder / "review.html").read_text(encoding="utf-8")
        self.rows = list(csv.DictReader(io.StringIO((folder / "decisions.csv").read_bytes().decode("utf-8-sig"))))

    def answers(self, *said: tuple[int, str, str], reviewer: str = "") -> list[Row]:
        """Its rows with decision and case for some slides."""
        by_slide = {name(number): (decision, accession) for number, decision, accession in said}
        return [
            {
                **row,
                "decision": by_slide[row["slide_id"]][0],
                "accession": by_slide[row["slide_id"]][1],
                "reviewer": reviewer,
            }
            for row in self.rows
            if row["slide_id"] in by_slide
        ]


def as_csv(rows: Sequence[Row], heads: Sequence[str] = HEADS, separator: str = ",", encoding: str = "utf-8-sig") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, heads, delimiter=separator, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)

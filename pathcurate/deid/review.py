"""A review of scrubbed texts, exported: a page and a CSV for people, below ``catalog/review/`` only."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pathcurate import __version__
from pathcurate.deid.reviewdraw import Choice, Drawn, Seen, draw
from pathcurate.deid.textrows import removed_digest
from pathcurate.deid.texts import ALL, wanted_cohorts
from pathcurate.digests import canonical_json
from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError
from pathcurate.htmlreport.textreview import Piece, TextItem, TextSheet, WordItem, text_review_page
from pathcurate.model.textreview import TEXT_REVIEWS, TextQuality, text_quality
from pathcurate.peoplecsv import csv_for_people
from pathcurate.pseudonyms import internal
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
from pathcurate.tables import Catalog
from pathcurate.text.folding import half_width
from pathcurate.vault import append_event, open_vault
from pathcurate.verification import demand_texts
from pathcurate.workspace import Workspace

TEXTS: Final = Review("text-", "texts", "deid review export")
HEADS: Final = ("sheet", "item", "site", "word", "why", "times", "answer")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Exported:
    """A sheet that was exported.

    Attributes:
        folder: where it lies; None if there was nothing to ask.
        purposes: texts by purpose.
        words: words that are asked about.
        read: texts that were looked through.
        failed: of these, texts that could not be.
        expires_at: when the folder is removed.
        expired: older folders that were removed now.
        quality: what earlier reviews say of this version, None if there are none.
    """

    folder: Path | None
    purposes: Mapping[str, int]
    words: int
    read: int
    failed: int
    expires_at: datetime
    expired: int
    quality: TextQuality | None


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """What a sheet asked.

    Attributes:
        texts: item to report, column, site and purpose of a text.
        words: item to site, word, and why it was asked about.
        version: of pathcurate, which had scrubbed the texts.
    """

    texts: Mapping[str, Row]
    words: Mapping[str, Row]
    version: str


def export_review(
    workspace: Workspace,
    engine: Engine,
    choice: Choice,
    *,
    now: datetime,
    expires_days: int,
    actor: str,
    purpose: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Choose texts and write the sheet.

    Only for whoever holds the lock on the workspace. Nothing is seen of the folder before it is whole, and the audit trail
    has it before anybody can open it.

    Args:
        workspace: the workspace, with scrubbed texts that are up to date.
        engine: for SQL and the search.
        choice: which texts.
        now: the present, with its zone.
        expires_days: after how many days the folder is removed.
        actor: who exports it.
        purpose: why, in their words.
        progress: called with the number of texts looked through, and of all.

    Raises:
        PlanIncompleteError: texts were not scrubbed yet, or are out of date.
        VaultError: the key cannot be used.
    """
    expired, expires_at = remove_expired(workspace, now), now + timedelta(days=expires_days)
    _demand_scrubbed(workspace, choice.cohort)
    quality = read_quality(Catalog(workspace.catalog))
    drawn = draw(workspace, engine, internal(open_vault(workspace.vault).key), choice, progress)
    if not drawn.texts:
        return Exported(None, {}, 0, drawn.read, drawn.failed, expires_at, expired, quality)
    items = _items(drawn)
    content = {
        "made_at": now.astimezone(UTC).isoformat(), "expires_at": expires_at.astimezone(UTC).isoformat(),
        "version": __version__, "salt": secrets.token_hex(8),
        "texts": [
            {"item": item.item, "report_id": seen.report_id, "text_column": seen.text_column, "site": seen.site,
             "purpose": why, "removed": removed_digest(place[:2] for place in seen.removals)}
            for item, (seen, why) in zip(items, drawn.texts, strict=True)
        ],
        "words": [
            {"item": word.item, "site": item.site, "word": word.word, "why": word.why}
            for item in items
            for word in item.words
        ],
    }  # fmt: skip
    name = TEXTS.sheet_name(content, now)
    sheet = TextSheet(name, workspace.name, minute(now), minute(expires_at), items)
    purposes = dict(Counter(why for _, why in drawn.texts))
    words = len(content["words"])
    with new_sheet(workspace, name) as folder:
        write_bytes(folder / PAGE_FILE, text_review_page(sheet).encode(), mode=0o600)
        write_bytes(folder / ANSWERS_FILE, csv_for_people(HEADS, _lines(sheet)), mode=0o600)
        write_bytes(folder / SHEET_FILE, canonical_json(content) + b"\n", mode=0o600)
        append_event(
            workspace.vault, actor, "deid review export",
            {"texts": len(items), **purposes, "words": words, "read": drawn.read, "days": expires_days,
             "version": __version__},
            purpose=purpose,
        )  # fmt: skip
    folder = review_folder(workspace) / name
    return Exported(folder, purposes, words, drawn.read, drawn.failed, expires_at, expired, quality)


def read_quality(catalog: Catalog) -> TextQuality | None:
    """What reviews say of this version, None if there are none."""
    return text_quality(catalog.read(TEXT_REVIEWS).to_pylist(), __version__)


def read_asked(workspace: Workspace, name: str, now: datetime) -> Asked:
    """What a sheet asked.

    Args:
        workspace: the workspace.
        name: of the sheet, as its answers give it.
        now: the present, with its zone.

    Raises:
        UsageError: it was not exported here, is damaged, or its time is over.
    """
    content = TEXTS.read(workspace, name, now)
    texts, words = ({row["item"]: row for row in content[part]} for part in ("texts", "words"))
    return Asked(texts, words, content["version"])


def _demand_scrubbed(workspace: Workspace, cohort: str | None) -> None:
    if cohort is not None:
        wanted_cohorts(workspace, cohort)
    seal = demand_texts(workspace)
    if cohort is not None and not {cohort, ALL}.intersection(seal.wanted):
        raise PlanIncompleteError(
            "the texts of that cohort were not scrubbed yet", "Run `pathcurate deid apply --texts COHORT` with its name."
        )


# --- What a person sees ------------------------------------------------------------------------------------------


def _items(drawn: Drawn) -> tuple[TextItem, ...]:
    """The texts with their words; a word that several hold is asked about at the first."""
    asked: dict[tuple[str, str], str] = {}
    items = []
    for number, (seen, purpose) in enumerate(drawn.texts, start=1):
        words = []
        found = {word: (rule, False) for word, rule in seen.doubtful_words().items()}
        found |= {word: (reason, True) for word, reason in seen.suspicious_words().items()}
        for word, (why, is_suspicious) in found.items():
            is_decided = (seen.site, half_width(word)) in drawn.decided
            if (seen.site, word) not in asked and (why == "known" or not is_decided):
                asked[seen.site, word] = f"W{len(asked) + 1}"
                words.append(WordItem(asked[seen.site, word], word, why, drawn.counts[seen.site, word], is_suspicious))
        names = {word: item for (site, word), item in asked.items() if site == seen.site}
        items.append(TextItem(f"T{number}", seen.site, seen.text_column, purpose, _pieces(seen, names), tuple(words)))
    return tuple(items)


def _pieces(seen: Seen, names: Mapping[str, str]) -> tuple[Piece, ...]:
    """The text in pieces: what stays, what was removed, what is suspicious."""
    marks = [(start, end, kind, rule) for start, end, kind, rule in seen.removals]
    marks += [(start, end, "suspicious", why) for start, end, why in seen.suspicions]
    pieces, last = [], 0
    for start, end, kind, why in sorted(marks):
        pieces += [Piece(seen.text[last:start]), Piece(seen.text[start:end], kind, why, names.get(seen.text[start:end], ""))]
        last = end
    return tuple(piece for piece in (*pieces, Piece(seen.text[last:])) if piece.text)


def _lines(sheet: TextSheet) -> Iterator[Sequence[str]]:
    """Rows of the CSV: each text, behind it the words that are asked about there."""
    for text in sheet.items:
        yield sheet.sheet, text.item, text.site, "", f"{text.purpose}: {text.column}", "", ""
        for word in text.words:
            yield sheet.sheet, word.item, text.site, quoted(word.word), word.why, str(word.count), ""


def quoted(word: str) -> str:
    """A word as the CSV shows it: in brackets, so that a spreadsheet program takes it for no number and no formula."""
    return f"「{word}」"

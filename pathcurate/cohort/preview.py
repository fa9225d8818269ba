"""A contact sheet of a cohort: pictures of some of its slides, and by which criteria they are in.

It shows pictures of slides, on which somebody may have written, so it lies below ``catalog/review/`` and ends. Codes and
values on it are de-identified: it tells neither true values nor the numbers or paths of slides.
"""

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pathcurate import __version__
from pathcurate.engines import Engine, LossReason
from pathcurate.htmlreport.preview import Preview, PreviewSlide, PreviewUnit, Reason, preview_page
from pathcurate.images.jpeg import small_jpeg
from pathcurate.lookup import Lookup, OneOf
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.recipe import Alternative, Criterion, Inclusion, Recipe
from pathcurate.model.recipe.levels import LEVEL_KEYS, LEVEL_VIEWS
from pathcurate.model.slide import SLIDES
from pathcurate.readers.pictures import open_picture
from pathcurate.recipewords.conditions import Sentences
from pathcurate.recipewords.criteria import verb
from pathcurate.recipewords.tongue import Tongue
from pathcurate.reviews import EXPIRES_DAYS, PAGE_FILE, SHEET_FILE, minute, new_sheet, remove_expired, review_folder
from pathcurate.roots import Place, archives_of, is_within_budget, paced_roots, why_unread
from pathcurate.sqlplan.expressions import literal
from pathcurate.storage import Root, write_bytes
from pathcurate.tables import Catalog
from pathcurate.vault import append_event, open_vault
from pathcurate.vault.crosswalk import look_up
from pathcurate.workspace import Workspace

_MOST_SLIDES: Final = 4
"""Slides that are shown of one case or patient."""
_MOST_SIDES: Final = (240, 240)
_QUALITY: Final = 72
_BATCH_ROWS: Final = 8
_TIMEOUT: Final = 30.0  # seconds a slide
_COLUMNS: Final = ("slide_id", "site", "archive", "relpath", "reader", "status", "storage_state")
_GIVEN: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("slide_id", pa.string()), ("root", pa.int32()), ("relpath", pa.binary()), ("reader", pa.string()),
)  # fmt: skip
_SEEN: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("slide_id", pa.string()), ("picture", pa.binary()), ("why", pa.string()),
)  # fmt: skip
_INPUT: Final = pa.schema(_GIVEN)
_PICTURES: Final = pa.schema(_SEEN)

Row = Mapping[str, Any]
Seen = tuple[bytes | None, str]
"""A picture, and why there is none."""


def contact_sheet(
    workspace: Workspace,
    engine: Engine,
    recipe: Recipe,
    rows: pa.Table,
    most: int,
    *,
    now: datetime,
    actor: str,
) -> Path | None:
    """Draw units of a cohort, and write a page with their slides and why they are in.

    Only for whoever holds the lock on the workspace. Nothing is seen of the folder before it is whole, and the audit trail
    has it before anybody can open it.

    Args:
        workspace: the workspace.
        engine: for SQL and pictures; hostile ones may cost it a process.
        recipe: the cohort's recipe.
        rows: the units that it keeps, with their codes and labels.
        most: how many are drawn, by ``md5(unit || seed)``.
        now: the present, with its zone.
        actor: who looks.

    Returns:
        The page; None if there is no unit to show.

    Raises:
        VaultError: the vault cannot be used.
        InputOutputError: a table cannot be read.
    """
    remove_expired(workspace, now)
    units = _drawn(engine, recipe, rows, most)
    if not units:
        return None
    slides = _slides_of(workspace, engine, recipe, units)
    shown = [code for codes in slides.values() for code in codes[:_MOST_SLIDES]]
    known = {code: original[0] for code, original in look_up(open_vault(workspace.vault), shown).items()}
    pictures = _pictures(workspace, engine, sorted(set(known.values())), now)
    reasons = _Reasons(workspace, engine, recipe, units)
    key = LEVEL_KEYS[recipe.unit][0]
    made = tuple(
        PreviewUnit(
            code=unit[key],
            slides=tuple(
                PreviewSlide(code, *pictures.get(known.get(code, ""), (None, "unreadable")))
                for code in slides[unit[key]][:_MOST_SLIDES]
            ),
            more=max(len(slides[unit[key]]) - _MOST_SLIDES, 0),
            reasons=tuple(reasons.of(unit)),
            labels=tuple(_labels(recipe, unit)),
        )
        for unit in units
    )
    expires_at = now + timedelta(days=EXPIRES_DAYS)
    preview = Preview(recipe.title, recipe.unit, minute(now), minute(expires_at), made)
    name = f"preview-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    # What the page shows under codes: an erasure finds by it that the page speaks of somebody.
    content = {"expires_at": expires_at.astimezone(UTC).isoformat(), "slides": sorted(known.values())}
    with new_sheet(workspace, name) as folder:
        write_bytes(folder / PAGE_FILE, preview_page(preview).encode(), mode=0o600)
        write_bytes(folder / SHEET_FILE, json.dumps(content).encode() + b"\n", mode=0o600)
        facts: dict[str, str | int] = {"recipe": recipe.name, "units": len(units), "slides": len(known)}
        append_event(workspace.vault, actor, "cohort --sample", {**facts, "version": __version__}, purpose=recipe.purpose)
    return review_folder(workspace) / name / PAGE_FILE


def _drawn(engine: Engine, recipe: Recipe, rows: pa.Table, most: int) -> list[Row]:
    """The first units in the order of their lots."""
    key = LEVEL_KEYS[recipe.unit][0]
    seed = recipe.sample.seed if recipe.sample is not None and recipe.sample.seed is not None else recipe.name
    engine.view("preview_rows", rows)
    found = engine.table(f"select * from preview_rows order by md5({key} || {literal(seed)}), {key} limit {most}")
    return list(found.to_pylist())


def _slides_of(workspace: Workspace, engine: Engine, recipe: Recipe, units: Sequence[Row]) -> dict[str, list[str]]:
    """Codes of the slides of each unit: itself, or the readable and linked ones of its case or patient."""
    key = LEVEL_KEYS[recipe.unit][0]
    if recipe.unit == "slide":
        return {unit[key]: [unit[key]] for unit in units}
    owner = "case_id" if units[0].get("case_id") is not None and recipe.unit != "patient" else "patient_id"
    owners = {unit[key]: unit[owner] for unit in units}
    engine.view("preview_slides", [workspace.deid / "slides.parquet"])
    engine.view("preview_owners", pa.table({"owner": pa.array(sorted(set(owners.values()) - {None}), pa.string())}))
    of_owner: dict[str | None, list[str]] = defaultdict(list)
    for name, code in engine.rows(
        f"select o.owner, s.slide_id from preview_slides as s join preview_owners as o on s.{owner} = o.owner"
        f" where s.status = 'ok' and s.tier in ({', '.join(map(literal, recipe.links))}) order by o.owner, s.slide_id"
    ):
        of_owner[name].append(code)
    return {unit: of_owner[name] for unit, name in owners.items()}


def _labels(recipe: Recipe, unit: Row) -> Iterator[tuple[str, str]]:
    names = [name for label in recipe.labels for name in recipe.label_column(label)]
    for name in (*names, "split"):
        if unit.get(name) is not None:
            yield name, _shown(unit[name])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- Why they are in -------------------------------------------------------------------------------------------------


class _Reasons:
    """What the criteria ask, and what the de-identified tables say of some units."""

    def __init__(self, workspace: Workspace, engine: Engine, recipe: Recipe, units: Sequence[Row]) -> None:
        self._recipe = recipe
        self._sentences = Sentences(recipe, Tongue("en"))
        self._rows: dict[str, dict[str, Row]] = {}
        for level in {criterion.level for criterion in recipe.criteria}:
            view, key = LEVEL_VIEWS[level], LEVEL_KEYS[level][0]
            if view in DEID_TABLES and len(LEVEL_KEYS[level]) == 1:
                codes = sorted({unit[key] for unit in units if unit.get(key) is not None})
                engine.view("preview_table", [workspace.deid / f"{view}.parquet"])
                engine.view("preview_codes", pa.table({"code": pa.array(codes, pa.string())}))
                found = engine.table(f"select t.* from preview_table as t join preview_codes as c on t.{key} = c.code")
                self._rows[level] = {row[key]: row for row in found.to_pylist()}

    def of(self, unit: Row) -> Iterator[Reason]:
        """Every criterion, in order: it is met, or the unit would not be here."""
        for criterion in self._recipe.criteria:
            asks = verb(self._sentences, criterion, criterion.level)
            words = asks if isinstance(criterion, Inclusion) else f"not so: {asks}"
            columns = dict.fromkeys(_columns(criterion))
            values = tuple((name, self._value(unit, criterion.level, name)) for name in columns)
            yield Reason(criterion.label or criterion.id, words, values)

    def _value(self, unit: Row, level: str, name: str) -> str | None:
        """A de-identified value in words. A day is moved in the tables, and would seem to break the criterion."""
        view = LEVEL_VIEWS[level]
        row = self._rows.get(level, {}).get(unit.get(LEVEL_KEYS[level][0]) or "")
        if row is None or name not in row or (view in CRITERIA_TABLES and name in CRITERIA_TABLES[view]):
            return None
        value = row[name]
        return None if value is None or isinstance(value, date) else _shown(value)


def _columns(rule: Criterion | Alternative) -> Iterator[str]:
    """Columns of the entity itself that a criterion looks at."""
    yield from rule.where or ()
    for alternative in rule.any_of or ():
        if getattr(alternative, "level", None) in (None, getattr(rule, "level", None)):
            yield from _columns(alternative)


# --- Pictures --------------------------------------------------------------------------------------------------------


def pictures_of(workspace: Workspace, engine: Engine, now: datetime, codes: Sequence[str]) -> dict[str, bytes]:
    """A small JPEG of each slide that can be read, by its code in ``deid/``; never of its label.

    Raises:
        VaultError: the vault cannot be used.
    """
    known = {original[0]: code for code, original in look_up(open_vault(workspace.vault), codes).items()}
    seen = _pictures(workspace, engine, sorted(known), now)
    return {known[slide_id]: picture for slide_id, (picture, _) in seen.items() if picture is not None}


def _pictures(workspace: Workspace, engine: Engine, slide_ids: Sequence[str], now: datetime) -> dict[str, Seen]:
    """A picture of each slide, or why there is none; archives are read at their pace and only in their hours."""
    rows = Lookup(Catalog(workspace.catalog)).rows(SLIDES, _COLUMNS, {"slide_id": OneOf(slide_ids)})
    archives = archives_of(workspace)
    seen: dict[str, Seen] = {row["slide_id"]: (None, why_unread(row, archives.get(_place(row)), now)) for row in rows}
    with paced_roots(workspace, "preview") as roots:
        places = {place: number for number, place in enumerate(roots)}
        wanted = (row for row in rows if not seen[row["slide_id"]][1])

        def batches() -> Iterator[pa.RecordBatch]:
            while some := list(islice(wanted, _BATCH_ROWS)):
                given = [row for row in some if is_within_budget(archives[_place(row)], roots[_place(row)])]
                if given:
                    yield _batch({**row, "root": places[_place(row)]} for row in given)

        for batch in engine.run(thumbnails, batches(), tuple(roots.values()), _PICTURES, on_crash=_lost, timeout=_TIMEOUT):
            seen |= {row["slide_id"]: (row["picture"], row["why"]) for row in batch.to_pylist()}
    # What the budget of reads did not reach was not looked at.
    return {slide_id: one if one[0] or one[1] else (None, "postponed") for slide_id, one in seen.items()}


def _place(row: Row) -> Place:
    return row["site"], row["archive"]


def _batch(rows: Iterable[Row]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{name: row[name] for name in _INPUT.names} for row in rows], _INPUT)


def thumbnails(batch: pa.RecordBatch, roots: tuple[Root, ...]) -> pa.RecordBatch:
    """Kernel: ``slide_id``, a small JPEG of its pyramid, and why there is none."""
    return pa.RecordBatch.from_pylist([_thumbnail(row, roots) for row in batch.to_pylist()], schema=_PICTURES)


def _lost(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    lost = [{"slide_id": slide_id, "why": "unreadable"} for slide_id in row.column("slide_id").to_pylist()]
    return pa.RecordBatch.from_pylist(lost, schema=_PICTURES)


def _thumbnail(row: Row, roots: tuple[Root, ...]) -> Row:
    try:
        image = open_picture(roots[row["root"]], row["relpath"], row["reader"], "thumbnail")
        if image is None:
            return {"slide_id": row["slide_id"], "why": "no_picture"}
        return {"slide_id": row["slide_id"], "picture": small_jpeg(image, _MOST_SIDES, _QUALITY), "why": ""}
    except Exception:  # noqa: BLE001  hostile pictures; the page goes on without this one
        return {"slide_id": row["slide_id"], "why": "unreadable"}

"""The page of a release, ``report.html``: one file in English and Chinese that needs no network and no script.

It is written from a :class:`Description` alone, so the same release has the same page, byte for byte.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pathcurate.diff.notes import version_notes
from pathcurate.htmlreport.attrition import KINDS, UNITS, attrition_svg, summed_at
from pathcurate.htmlreport.disclosure import disclosure_svg
from pathcurate.htmlreport.releasecharts import person_charts, table_charts
from pathcurate.htmlreport.releaseloading import programs
from pathcurate.htmlreport.releasewords import (
    BUMPS,
    CLASSES,
    LEVELS,
    MEASURES,
    SHARING,
    TYPES,
    VALUES,
    Words,
    evaluation_zh,
    evidence,
    file_size,
    product_facts,
    same,
    step_zh,
    terms,
)
from pathcurate.htmlreport.template import render
from pathcurate.metadata.scorecard import indicators
from pathcurate.model.attrition import UNIT_LEVEL
from pathcurate.model.column import Type
from pathcurate.model.deidentified import SPLITS, TOP_AGE
from pathcurate.model.description import DescribedTable, Description
from pathcurate.model.evaluation import percent

_MOST_PICTURE_BYTES = 800_000
"""Of the pictures on the page together; base64 makes them a third longer, and the page is to stay below 1.5 MB."""
_LEVELS = ("slides", "blocks", "specimens", "series", "events", "cases", "patients")
_PICTURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
"""How pictures of each kind begin."""
_MOST_PARTS = 24
_MOST_VALUES = 30
_SAMPLE_ROWS = 3
_SAMPLE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class _Picture:
    """A thumbnail: what it is called, and the picture as an address."""

    name: str
    source: Markup


def release_page(description: Description) -> str:
    """The page of a release as a whole HTML document; the same description gives the same bytes."""
    file, attrition, evaluation = description.file, description.attrition, description.evaluation
    pictures = list(_pictures(description.thumbnails))
    return render(
        "release.html.j2",
        title=_both(description.title_en, description.title_zh),
        d=description,
        counts=sorted(description.counts.items(), key=lambda item: _LEVELS.index(item[0])),
        sides=_sides(description.split),
        unit_level=UNIT_LEVEL[description.recipe.unit],
        file=file,
        heading=Words(description.title_en, description.title_zh),
        about=tuple(product_facts(file)) if file else (),
        terms=tuple(terms(file)) if file else (),
        evidence=tuple(evidence(file.evidence)) if file else (),
        has_permissions=description.has_permissions,
        attrition=attrition,
        figure=Markup(attrition_svg(_both(description.title_en, description.title_zh), attrition)),  # noqa: S704 -- escaped
        chart=Markup(disclosure_svg(evaluation)),  # noqa: S704 -- its template has escaped every value
        steps=[_kind(step.kind) for step in attrition.steps],
        summed_at=[summed_at(attrition, number) for number in range(len(attrition.steps))],
        units={name: Words(*words) for name, words in (*UNITS.items(), *_levels())},
        persons=person_charts(description),
        charts=tuple(table_charts(description)),
        indicators=indicators(description),
        labels=(description.labels_quality or {}).get("classes", []),
        evaluation=evaluation,
        sentences=tuple(zip(evaluation.words(), evaluation_zh(evaluation), strict=True)),
        coarser=[Words(step, step_zh(step)) for step in evaluation.steps],
        levels=LEVELS,
        sharing=SHARING,
        percent=percent,
        shown=_shown(description),
        top_age=TOP_AGE,
        pictures=pictures,
        unseen=len(description.thumbnails) - len(pictures),
        types=TYPES,
        measures=MEASURES,
        classes=CLASSES,
        most_values=_MOST_VALUES,
        most_parts=_MOST_PARTS,
        samples={table.table.name: _sample(table) for table in description.tables if table.sample},
        programs=tuple(programs(description)),
        bumps=BUMPS,
        notes=_notes(description),
        file_size=file_size,
    )


def _notes(description: Description) -> Words:
    told = version_notes(description.difference) if description.difference is not None else {"en": "", "zh": ""}
    return Words(told["en"], told["zh"])


def _sides(split: Mapping[str, int]) -> list[tuple[Words, int]]:
    """The sides in the order that readers expect."""
    order = {side: place for place, side in enumerate(SPLITS)}
    ordered = sorted(split.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    return [(VALUES.get(side) or same(side), count) for side, count in ordered]


def _both(en: str, zh: str) -> str:
    return en if en == zh else f"{en} · {zh}"


def _kind(kind: str) -> Words:
    en, _, zh = KINDS[kind].partition(" ")
    return Words(en, zh)


def _levels() -> Iterator[tuple[str, tuple[str, str]]]:
    """What counts them: the plural of each unit."""
    return ((plural, (plural, zh)) for plural, zh in UNITS.values())


def _pictures(thumbnails: Mapping[str, bytes]) -> Iterator[_Picture]:
    """As many as the page has room for."""
    room = _MOST_PICTURE_BYTES
    for code, content in sorted(thumbnails.items()):
        room -= len(content)
        kind = next((kind for begin, kind in _PICTURES.items() if content.startswith(begin)), None)
        if kind is not None and room >= 0:
            source = Markup(f"data:image/{kind};base64,") + base64.b64encode(content).decode("ascii")  # noqa: S704 -- ours
            yield _Picture(code, source)


def _shown(description: Description) -> frozenset[str]:
    """Kinds of values in the tables that the page has a sentence about."""
    columns = [column.column for table in description.tables for column in table.columns]
    names = {column.name for column in columns}
    kinds = {
        "dates": any(column.type is Type.DATE for column in columns),
        "texts": any(table.table.name == "texts" for table in description.tables),
        "years": any(name.endswith("year") for name in names),
        "ages": "age" in names,
        "bands": "age_band" in names,
    }
    return frozenset(kind for kind, is_there in kinds.items() if is_there)


def _sample(table: DescribedTable) -> list[tuple[str, list[str]]]:
    """Example rows, turned: a line for each column, so that they fit on a page however many columns there are."""
    rows = table.sample[:_SAMPLE_ROWS]
    return [(column.column.name, [_cell(row.get(column.column.name)) for row in rows]) for column in table.columns]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    return text if len(text) <= _SAMPLE_LENGTH else f"{text[:_SAMPLE_LENGTH]}…"

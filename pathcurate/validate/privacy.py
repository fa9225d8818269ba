"""PC-PRIV of a release as a whole: its classes and its evaluation, small counts, and what its profile shows."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import profiles
from pathcurate.disclosure.counts import LEAST_COUNT
from pathcurate.disclosure.risk import evaluate
from pathcurate.disclosure.standard import read_standard
from pathcurate.model.column import Identifying
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.evaluation import EVALUATION_PATH, Figures, Standard, quasi_identifiers
from pathcurate.model.finding import Severity
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.profile import Profile
from pathcurate.model.text import TEXT_TABLES
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import OWNERS, Opened, OpenedTable, every_object
from pathcurate.validate.shapes import holds_card, mobiles

_ATTRITION = "quality/attrition.json"
_LEVELS = ("start", "remaining", "gained")


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """What a release tells of people that it should not."""
    if not opened.manifest["permissions"]["configured"]:
        yield breach("PC-PRIV-004", "the release was built without any permission list (--no-permissions)")
    yield from _evaluation(opened)
    yield from _classes(opened)
    yield from _small(opened)
    yield from _profile(opened)
    yield from _documents(opened)


def _evaluation(opened: Opened) -> Iterator[Breach | Unchecked]:
    """Whether the evaluation is there, and of this release."""
    if "deid" not in opened.manifest:
        what = f"{MANIFEST_NAME} does not say what the release tells about people"
        message = f"{what}; it was built before 0.6.0, or somebody took it out"
        yield breach("PC-PRIV-006", message, severity=Severity.WARNING)
        yield Unchecked(("PC-PRIV-005", "PC-PRIV-007", "PC-PRIV-010"), what)
    elif EVALUATION_PATH in opened.changed:
        yield Unchecked(("PC-PRIV-006",), f"{EVALUATION_PATH} was changed")
    elif EVALUATION_PATH not in opened.listed:
        yield breach("PC-PRIV-006", f"{EVALUATION_PATH} is missing", file=EVALUATION_PATH)
    elif _evaluated(opened) != {**opened.manifest["deid"], "content_digest": opened.manifest["content_digest"]}:
        yield breach("PC-PRIV-006", f"{EVALUATION_PATH} is not of this release", file=EVALUATION_PATH)


@cache
def _standard() -> Standard:
    return read_standard()


def _evaluated(opened: Opened) -> Any:
    """What an evaluation says that the manifest says too."""
    content = opened.json(EVALUATION_PATH)
    try:
        return {
            "profile": content["profile"], "scenario": content["sharing"], "k_required": content["k_required"],
            "k_min": content["figures"]["k"], "gbt42460_level": content["risk"]["level"],
            "content_digest": content["content_digest"],
        }  # fmt: skip
    except (KeyError, TypeError):
        return None


# --- Classes ---------------------------------------------------------------------------------------------------------


def _classes(opened: Opened) -> Iterator[Breach | Unchecked]:
    """Classes that are smaller than the manifest says, or than its profile allows; counted in persons if these are there."""
    table, stated = opened.tables.get(opened.unit), opened.manifest.get("deid")
    if table is None or table.declared is None or stated is None:
        return
    if not table.has(*table.schema.names):
        yield Unchecked(("PC-PRIV-005", "PC-PRIV-007"), f"columns of {table.name} cannot be read")
        return
    declared = table.declared.select(name for name in table.declared.names if name in table.readable)
    quasi = quasi_identifiers(declared)
    sensitive = [column.name for column in declared.columns if column.identifying is Identifying.SENSITIVE]
    owner = next((column for column in OWNERS if table.has(column)), None)
    needed = (*quasi, *sensitive, *((owner,) if owner else ()))
    data = table.columns(*dict.fromkeys(needed)) if needed else pa.table({"": pa.nulls(table.rows)})
    required = stated["k_required"] or 0
    figures = evaluate(data, quasi, sensitive, data[owner] if owner else None, _standard(), required)
    if figures.k < required:
        below = [bin_ for bin_ in figures.sizes if bin_.least < required]
        classes, persons = sum(bin_.classes for bin_ in below), sum(bin_.persons for bin_ in below)
        what = f"k = {figures.k} < {required} ({counted(classes, 'class', 'classes')}, {counted(persons, 'person')})"
        yield breach(
            "PC-PRIV-005", what, table=table.name, count=classes, of=figures.classes, measured=str(figures.k),
            threshold=str(required), cause=("disclosure", "k"),
        )  # fmt: skip
    # Without groups the table can only show that classes are smaller, not that they are larger.
    if figures.k < stated["k_min"] or (owner == OWNERS[0] and figures.k != stated["k_min"]):
        yield breach("PC-PRIV-006", f"{MANIFEST_NAME} states another k than the table has", table=table.name)
    yield from _alike(table, figures, data, str(stated["scenario"]))


def _alike(table: OpenedTable, figures: Figures, data: pa.Table, sharing: str) -> Iterator[Breach]:
    """Classes in which everybody has the same sensitive value, though others have another one."""
    severity = None if sharing == "public" else Severity.INFO
    for told in figures.diversity:
        if told.alike and figures.classes > 1 and len(pc.unique(data[told.column])) > 1:
            message = f"{counted(told.alike, 'person')} in classes of one value, about whom the class tells it"
            yield breach(
                "PC-PRIV-007", message, table=table.name, column=told.column, count=told.alike, of=figures.persons,
                measured=str(told.least), threshold="2", severity=severity,
            )  # fmt: skip


# --- Small counts ----------------------------------------------------------------------------------------------------


def _small(opened: Opened) -> Iterator[Breach | Unchecked]:
    """Counts of 1 to 9 beside the tables. What is left in the end, whoever has the rows can count."""
    attrition = opened.json(_ATTRITION)
    if isinstance(attrition, dict):
        if count := sum(_is_small(number) for number in _told(attrition)):
            message = f"{_ATTRITION} tells {counted(count, 'count')} below {LEAST_COUNT}"
            yield breach("PC-PRIV-009", message, file=_ATTRITION, count=count, threshold=str(LEAST_COUNT))
    else:
        yield Unchecked(("PC-PRIV-009",), f"there is no {_ATTRITION} that can be read")
    for relpath in sorted(opened.listed):
        if re.fullmatch(r"(?:metadata|quality|registration)/[a-z0-9./+-]+\.json(?:ld)?", relpath, re.IGNORECASE):
            spreads = (one["counts"] for one in every_object(opened.json(relpath)) if "others" in one and "counts" in one)
            numbers = [count for spread in spreads if isinstance(spread, dict) for count in spread.values()]
            if count := sum(_is_small(number) for number in numbers):
                name = opened.shown(relpath)
                message = f"{name} tells {counted(count, 'count')} below {LEAST_COUNT}"
                yield breach("PC-PRIV-009", message, file=name, count=count, threshold=str(LEAST_COUNT))


def _told(attrition: Mapping[str, Any]) -> Iterator[object]:
    """The counts of an attrition, but for what is left in the end."""
    steps = [step for step in _listed(attrition.get("steps")) if isinstance(step, dict)]
    yield from _values(attrition.get("start"))
    for place, step in enumerate(steps):
        # Of the last step and of the one that its own evaluation makes, what is left is the release itself.
        is_end = place == len(steps) - 1 or step.get("id") == "disclosure"
        if step.get("id") != "disclosure":
            yield from (step.get("dropped"), step.get("dropped_missing"))
        for key in ("gained", *(() if is_end else ("remaining",))):
            yield from _values(step.get(key))
    for trait in _listed(attrition.get("traits")):
        for row in _listed(trait.get("patients") if isinstance(trait, dict) else None):
            yield from _listed(row)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _values(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()


def _is_small(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < LEAST_COUNT


# --- What the profile shows, and what documents tell -------------------------------------------------------------------


def _profile(opened: Opened) -> Iterator[Breach | Unchecked]:
    stated = opened.manifest.get("deid")
    if stated is None:
        return
    content = opened.json(EVALUATION_PATH)
    digest = content.get("profile_digest") if isinstance(content, dict) else None
    profile = _shipped(stated["profile"])
    if profile is None or profile.digest != digest:
        yield Unchecked(("PC-PRIV-010",), "its profile is none that pathcurate ships, or another version of it")
        return
    for name, table in opened.tables.items():
        if name in TEXT_TABLES:
            if not profile.texts.released:
                message = f"texts go out, and profile {profile.name} releases none"
                yield breach("PC-PRIV-010", message, table=name, cause=("texts",))
            continue
        if name not in DEID_TABLES:
            continue
        filled = profile.filled(name)
        for column in DEID_TABLES[name].names:
            if column in table.readable and column not in filled and table.facts.columns[column].nulls < table.rows:
                message = f"has values, and profile {profile.name} shows none of this column"
                count = table.rows - table.facts.columns[column].nulls
                yield breach("PC-PRIV-010", message, table=name, column=column, count=count, of=table.rows)


@cache
def _shipped(name: str) -> Profile | None:
    return profiles.read_profile(name, Path()) if name in profiles.profile_names() else None


def _documents(opened: Opened) -> Iterator[Breach]:
    """Numbers of people in documents; those that product.yaml gives to ask for are not meant."""
    contact = opened.product.contact if opened.product is not None else None
    given = mobiles(contact.phone or "") if contact is not None else set()
    for relpath in sorted(opened.listed - opened.part_paths):
        text = opened.text(relpath)
        if text is not None and (holds_card(text) or mobiles(text) - given):
            name = opened.shown(relpath)
            message = f"{name} holds what is shaped as an identity card's or a mobile number"
            yield breach("PC-PRIV-008", message, file=name)

"""Glass of a cohort that was never scanned: what to pull from the shelves and scan. What it gives is identified."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.disclosure.lists import check_permission_lists
from pathcurate.errors import InputOutputError, PlanIncompleteError, UsageError
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES
from pathcurate.peoplecsv import csv_for_people
from pathcurate.pseudonyms import Pseudonyms, internal
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import Catalog, column_values, read_parquet
from pathcurate.text.vocabulary import vocabulary
from pathcurate.vault import append_event, open_vault
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace
from pathcurate.yamlsource import did_you_mean

SHOWN = (
    "site", "accession", "accession_raw", "specimen", "block", "glass_id", "stain", "stain_raw", "preparation", "made_date",
)  # fmt: skip
"""Columns of the list."""

CaseKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PullList:
    """What to pull.

    Attributes:
        cohort: name of the cohort.
        cases: cases of the cohort of which glass is known.
        glass: rows of :data:`SHOWN` of the glass that is not scanned, by site, accession, specimen and block; identified.
        has_links: whether any slide is known to show a glass; if none is, all glass looks as if it were not scanned.
    """

    cohort: str
    cases: int
    glass: pa.Table
    has_links: bool


def pull(workspace: Workspace, cohort: str, *, now: datetime, stain: str | None = None) -> PullList:
    """List the glass of a cohort's cases that no slide shows.

    Args:
        workspace: the workspace.
        cohort: name of the cohort; its codes are made again from the numbers of all cases of which glass is known.
        now: the present, with time zone; permission lists must hold today.
        stain: canonical stain; None for all.

    Raises:
        UsageError: there is no such cohort or stain.
        PlanIncompleteError: the cohort is older than the de-identified tables, these than the catalog, or the links than the
            glass.
        DisclosureRefusedError: a permission list cannot be relied on.
        VaultError: the vault's key cannot be used.
        InputOutputError: what was written of the cohort cannot be read.
    """
    stains = vocabulary("stains").codes
    if stain is not None and stain not in stains:
        raise UsageError(f"no stain `{stain}`{did_you_mean(stain, stains)}", "Give its canonical name, as HE or IHC:Ki-67.")
    facts = _facts(workspace, cohort)
    check_permission_lists(workspace, now)
    if facts.get("inputs") != dict(demand_seal(workspace).tables):
        raise PlanIncompleteError(
            "the cohort is older than the de-identified tables, so its codes may be others", "Run `pathcurate cohort` again."
        )
    catalog = Catalog(workspace.catalog)
    if catalog.state(MATERIALS) not in (catalog.made_of(LINKS) or "").split():
        # Glass that was imported since would look as if it had never been scanned.
        raise PlanIncompleteError("the links do not say which of today's glass is scanned", "Run `pathcurate link` first.")
    links = catalog.read(LINKS, columns=("material_id",))["material_id"].drop_null()
    glass = catalog.read(MATERIALS)
    glass = glass.filter(pc.equal(glass["kind"], pa.scalar("slide")))
    layer = internal(open_vault(workspace.vault).key).codes
    key = "patient_id" if facts["unit"] == "patient" else "case_id"
    codes = set(column_values(read_parquet(workspace.cohorts / cohort / "cohort.parquet", [key]), key))
    cases = _cases_of(codes, set(_pairs(glass)), layer, catalog if key == "patient_id" else None)
    glass = glass.filter(pa.array([pair in cases for pair in _pairs(glass)], pa.bool_()))
    glass = glass.filter(pc.invert(pc.is_in(glass["material_id"], links.combine_chunks())))
    if stain is not None:
        glass = glass.filter(pc.equal(glass["stain"], pa.scalar(stain)))
    return PullList(cohort, len(cases), _in_order(glass), len(links) > 0)


def write_pull(workspace: Workspace, found: PullList, *, actor: str, purpose: str | None = None) -> Path:
    """Write the list below ``catalog/review/``, where only the workspace's owner can read it; the audit trail notes it.

    Args:
        workspace: the workspace.
        found: the list.
        actor: who asked for it.
        purpose: why, in their words.
    """
    rows = ([_text(row[name]) for name in SHOWN] for row in found.glass.to_pylist())
    folder = private_directory(private_directory(workspace.catalog) / "review")
    path = folder / f"pull-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.csv"
    facts: dict[str, str | int] = {"cohort": found.cohort, "cases": found.cases, "glass": found.glass.num_rows}
    append_event(workspace.vault, actor, "materials pull", {**facts, "version": __version__}, purpose=purpose)
    write_bytes(path, csv_for_people(SHOWN, rows), mode=0o600)
    return path


def _facts(workspace: Workspace, cohort: str) -> dict[str, Any]:
    names = sorted(path.parent.name for path in workspace.cohorts.glob(f"*/{COHORT_FILE}"))
    if cohort not in names:
        there = f"Known are {', '.join(names)}." if names else "Run `pathcurate cohort` with a recipe first."
        raise UsageError(f"there is no cohort `{cohort}`{did_you_mean(cohort, names)}", there)
    try:
        return dict(json.loads((workspace.cohorts / cohort / COHORT_FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        raise InputOutputError(f"{COHORT_FILE} of that cohort cannot be read", "Run `pathcurate cohort` again.") from None


def _pairs(glass: pa.Table) -> Iterable[CaseKey]:
    return zip(column_values(glass, "site"), column_values(glass, "accession"), strict=True)


def _cases_of(codes: set[str], cases: set[CaseKey], layer: Pseudonyms, catalog: Catalog | None) -> set[CaseKey]:
    """Those of the cases whose code, or with a catalog whose person's code, is among these."""
    if catalog is None:
        return {case for case in cases if layer.code("C", *case) in codes}
    numbers = catalog.read(IDENTITIES, columns=("site", "id_type", "id_value", "person_id"))
    numbers = numbers.filter(pc.equal(numbers["id_type"], pa.scalar("accession")))
    persons = column_values(numbers, "person_id")
    meant = {person for person in set(persons) if layer.code("P", person) in codes}
    owned = zip(column_values(numbers, "site"), column_values(numbers, "id_value"), persons, strict=True)
    return cases & {(site, accession) for site, accession, person in owned if person in meant}


def _in_order(glass: pa.Table) -> pa.Table:
    """By site, accession, specimen, block as a number, and glass."""
    numbers = pa.array([int(block) if block else None for block in column_values(glass, "block")], pa.int64())
    order = ("site", "accession", "specimen", "block_number", "glass_id", "stain")
    return glass.append_column("block_number", numbers).sort_by([(name, "ascending") for name in order]).select(SHOWN)


def _text(value: Any) -> str:
    return "" if value is None else str(value)

"""Stage: a person is erased from the workspace, from every state of every table, and not imported again.

What is erased is what is certainly theirs. The plan is written into the vault before anything goes, and every step may be
done again, so an erasure that was killed at any point ends in the same state when it is run again; until then no other
command works here. Archives and export files are not the workspace's: they stay, and what of them is about the person is
left out from then on. Releases are immutable and only named.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__, forgotten
from pathcurate.erasure.elsewhere import (
    cohorts_with,
    erase_crosswalk,
    pages_with,
    releases_with,
    remove_cohort,
    remove_derived,
    remove_pages,
)
from pathcurate.erasure.scope import Scope, among, find_scope, mentions, names_person
from pathcurate.lookup import keep_filters
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.case import CASES
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import CONCEPT_READS, DIAGNOSES, IHC_RESULTS, REPORT_CONCEPTS
from pathcurate.model.event import EVENTS
from pathcurate.model.finding import FINDINGS
from pathcurate.model.labelreview import LABEL_REVIEWS
from pathcurate.model.link import LINK_DECISIONS, LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import ARRIVALS, FILES, SLIDE_KEYS, SLIDES
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.model.text import SCRUBBED_TEXTS, TEXT_DECISIONS
from pathcurate.model.textreview import TEXT_REVIEWS
from pathcurate.rewriting import newest_parts, rewrite_without, rows_of
from pathcurate.tables import Catalog
from pathcurate.vault import append_event, read_events
from pathcurate.workspace import Workspace

ACTION = "forget --patient"
_BY_ID: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (REPORTS, ("report_id",)), (DIAGNOSES, ("report_id",)), (IHC_RESULTS, ("report_id",)), (REPORT_CONCEPTS, ("report_id",)),
    (CONCEPT_READS, ("report_id",)),
    (SCRUBBED_TEXTS, ("report_id",)), (TEXT_REVIEWS, ("report_id",)), (LABEL_REVIEWS, ("report_id",)),
    (EVENTS, ("event_id",)), (MATERIALS, ("material_id",)), (SCANNER_INDEX, ("entry_id",)),
    (MERGES, ("merge_id",)), (SLIDES, ("slide_id",)), (SLIDE_KEYS, ("slide_id",)), (ARRIVALS, ("slide_id",)),
    (FILES, ("owner",)), (SERIES, ("series_id",)), (LINKS, ("slide_id", "series_id", "person_id")),
    (LINK_DECISIONS, ("slide_id", "report_id")), (ANNOTATIONS, ("annotation_id", "slide_id")), (PERSONS, ("person_id",)),
    (IDENTITIES, ("person_id",)), (CASES, ("person_id", "report_id")), (PERMISSIONS, ()), (FINDINGS, ("subject",)),
    (SOURCE_ROWS, ("row_id",)), (SOURCES, ()), (TEXT_DECISIONS, ()),
)  # fmt: skip
"""Tables with rows about people, and the columns of which one names a row that goes."""


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """What an erasure takes, as counts and names of what is no person's.

    Attributes:
        rows: rows of the newest state of each table that has some.
        pages: files and folders below ``catalog/review/`` and ``catalog/quality/``.
        cohorts: cohorts that looked at the person; they go and are to be selected again.
        releases: releases that hold the person; they stay until they are withdrawn.
        possible: other persons who may be the same one; they stay.
        bearing: slides of other patients that bear one of the numbers; they stay.
    """

    rows: Mapping[str, int]
    pages: int
    cohorts: tuple[str, ...]
    releases: tuple[str, ...]
    possible: int
    bearing: int


def plan_erasure(workspace: Workspace, number: str, site: str | None) -> tuple[ErasurePlan, Scope] | None:
    """What erasing the person who has a number takes; nothing is changed. None if nothing here has the number.

    Args:
        workspace: the workspace; the caller holds its lock.
        number: a patient's number, or an identity card's.
        site: whose patient number it is; None if that does not matter.

    Raises:
        UsageError: it is of several persons, or nobody can say of whom.
        InputOutputError: the catalog cannot be read.
        VaultError: the vault cannot be used.
    """
    scope = find_scope(workspace.catalog, number, site)
    return None if scope is None else (_plan(workspace, scope), scope)


def _plan(workspace: Workspace, scope: Scope) -> ErasurePlan:
    rows = {}
    for table, columns, mask in _rows_that_go(scope):
        names = tuple({*columns, *table.key})
        found = [rows_of(part, table, names, mask) for part in newest_parts(workspace.catalog, table)]
        # A later part may have another row for the same key.
        rows[table.name] = len({tuple(row[name] for name in table.key) for part in found for row in part.to_pylist()})
    return ErasurePlan(
        rows={name: count for name, count in rows.items() if count},
        pages=sum(1 for _ in pages_with(workspace, scope)),
        cohorts=tuple(path.name for path in cohorts_with(workspace, scope)),
        releases=tuple(releases_with(workspace, scope)),
        possible=scope.possible,
        bearing=scope.bearing,
    )


def _rows_that_go(scope: Scope) -> list[tuple[Table, tuple[str, ...], Callable[[pa.Table], Any]]]:
    """Each table with the columns that its mask asks for."""
    return [(table, *_mask(table, keys, scope)) for table, keys in _BY_ID]


def _mask(table: Table, keys: tuple[str, ...], scope: Scope) -> tuple[tuple[str, ...], Callable[[pa.Table], Any]]:
    columns, named = names_person(table, scope.numbers)
    own = [among(key, scope.ids) for key in keys]
    files = {mark[-1] for mark in scope.files}
    if table is FINDINGS:
        own += [among("subject", scope.subjects), mentions("subject", files)]
    elif table is SOURCES:
        keys, own = ("source_file",), [among("source_file", files)]
    elif table is TEXT_DECISIONS:
        keys, own = ("word",), [among("word", scope.texts)]

    def mask(data: pa.Table) -> Any:
        found = named(data)
        for one in own:
            found = pc.or_(found, pc.fill_null(one(data), False))
        return found

    return tuple({*columns, *keys}), mask


def erase_person(workspace: Workspace, scope: Scope, *, actor: str, purpose: str | None = None) -> None:
    """Erase a person.

    Args:
        workspace: the workspace; the caller holds its lock.
        scope: what :func:`plan_erasure` gave.
        actor: who does it, for the audit trail.
        purpose: why, in their words.

    Raises:
        InputOutputError: a table cannot be read; the same call again goes on.
        VaultError: the vault cannot be used.
    """
    forgotten.begin(workspace.vault, {"scope": scope.as_dict(), "actor": actor, "purpose": purpose})
    finish(workspace)


def finish(workspace: Workspace) -> bool:
    """Do what an erasure that has begun still has to do; False if none has.

    Raises:
        InputOutputError: a table cannot be read; the same call again goes on.
        VaultError: the vault cannot be used.
    """
    begun = forgotten.begun(workspace.vault)
    if begun is None:
        return False
    scope = Scope.of(begun["scope"])
    # First, so that nothing that runs later can bring back what is gone.
    digest = forgotten.remember(workspace.vault, scope.marks)
    cohorts = cohorts_with(workspace, scope)
    remove_derived(workspace)
    for folder in cohorts:
        remove_cohort(folder)
    remove_pages(workspace, scope)
    for table, columns, mask in _rows_that_go(scope):
        rewrite_without(workspace.catalog, table, columns, mask)
    keep_filters(Catalog(workspace.catalog))
    erase_crosswalk(workspace, scope)
    _note(workspace.vault, digest, begun)
    forgotten.end(workspace.vault)
    return True


def _note(vault: Path, digest: str, begun: Mapping[str, Any]) -> None:
    """Note the erasure once, however often it was begun: a digest, by which nobody is known."""
    if not any(event.action == ACTION and event.facts.get("forgotten_sha256") == digest for event in read_events(vault)):
        facts: dict[str, str | int] = {"forgotten_sha256": digest, "marks": len(Scope.of(begun["scope"]).marks),
                                       "version": __version__}  # fmt: skip
        append_event(vault, begun["actor"], ACTION, facts, purpose=begun["purpose"])

"""Stage: what the recipes' concepts find in the texts of all reports becomes the table ``report_concepts``.

A text is searched once for a concept: again only if either has changed. Every mention is kept, whatever the text says of it;
a concept's ``assertion`` says which of them count in a criterion.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pathcurate.concepts.kernel import MENTIONS, Search, find_mentions, lost_report
from pathcurate.digests import canonical_json
from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError, RecipeError, UsageError
from pathcurate.findings import record_findings
from pathcurate.model.concept import Concept
from pathcurate.model.diagnosis import CONCEPT_READS, REPORT_CONCEPTS
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.recipefile import load_recipe
from pathcurate.tables import Catalog, arrow_schema, column_values
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.workspace import Workspace

Flags: TypeAlias = NDArray[np.bool_]
_BATCH_ROWS = 1000
_ROWS_AT_ONCE = 100_000
_INPUT = ("report_id", "site", "language", *TEXT_COLUMNS)


@dataclass(frozen=True, slots=True)
class Sought:
    """A concept of one or several recipes.

    Attributes:
        name: its name.
        sha: digest of what decides which mentions it has: patterns, sections, languages, and the rules of assertion.
        concept: the first recipe's declaration; others differ at most in ``assertion``.
        recipes: names of the recipes.
    """

    name: str
    sha: str
    concept: Concept
    recipes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConceptState:
    """A concept, and how far the catalog is up to date with it.

    Attributes:
        name: its name.
        sha: see :class:`Sought`.
        recipes: names of the recipes that have it.
        state: ``built``; ``new``: never looked for; ``stale``: looked for under this name by other patterns or rules;
            ``removed``: no recipe has it any more.
        mentions: rows of the catalog; of a stale one, those of its earlier patterns.
    """

    name: str
    sha: str
    recipes: tuple[str, ...]
    state: str
    mentions: int


@dataclass(frozen=True, slots=True)
class BuildSummary:
    """What a build did, or would do.

    Attributes:
        concepts: all concepts of the recipes and of the catalog, as they were before.
        reports: reports of the catalog.
        to_read: reports that were new or had changed.
        to_read_again: reports that had not, and were searched for new or stale concepts only.
        mentions: rows of the table afterwards; None for a plan.
        findings: reports that could not be searched.
    """

    concepts: tuple[ConceptState, ...]
    reports: int
    to_read: int
    to_read_again: int
    mentions: int | None
    findings: tuple[Finding, ...]


def sought_concepts(directory: Path) -> tuple[Sought, ...]:
    """The concepts of all recipes in a directory, by name and digest.

    Raises:
        RecipeError: a recipe is broken; every fault is named with its place.
    """
    found: dict[tuple[str, str], Sought] = {}
    for file in sorted(directory.glob("*.yaml")):
        try:
            recipe = load_recipe(file).recipe
        except (RecipeError, UsageError) as error:
            hint = "Correct that recipe, or take it out of recipes/: the concepts of all of them are looked for together."
            raise type(error)(error.message, hint) from None
        for name, concept in (recipe.concepts or {}).items():
            key = (name, concept_sha(concept))
            known = found.get(key)
            recipes = (*known.recipes, recipe.name) if known else (recipe.name,)
            found[key] = Sought(*key, known.concept if known else concept, recipes)
    return tuple(found[key] for key in sorted(found))


def plan_concepts(workspace: Workspace) -> BuildSummary:
    """What :func:`build_concepts` would do.

    Raises:
        RecipeError: a recipe is broken.
    """
    return _Build(workspace).plan


def build_concepts(
    workspace: Workspace, engine: Engine, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> BuildSummary:
    """Bring ``report_concepts`` up to date with the recipes and the reports.

    Rows of concepts that no recipe has any more go, and so do those of reports that are gone. The table is written first and
    what is remembered of the reports last, bound to it: after an interruption everything is read again.

    Args:
        workspace: the workspace; the caller holds its lock.
        engine: runs the search.
        progress: called with the number of reports searched and to search.

    Raises:
        PlanIncompleteError: no reports were imported.
        RecipeError: a recipe is broken.
    """
    build = _Build(workspace)
    if build.catalog.snapshot(REPORTS) is None:
        raise PlanIncompleteError("the catalog has no reports", "Import them with `pathcurate reports import`.")
    return build.run(engine, progress)


class _Build:
    """One build of the table.

    Attributes:
        catalog: the catalog.
        plan: what there is to do.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.catalog = Catalog(workspace.catalog)
        self._sought = sought_concepts(workspace.recipes)
        note = json.loads(self.catalog.made_of(REPORT_CONCEPTS) or "{}")
        # Rows and reads are written one after the other: reads of another state say nothing about the rows.
        is_bound = note.get("reads") is not None and note["reads"] == self.catalog.made_of(CONCEPT_READS)
        self._built: set[tuple[str, str]] = {(name, sha) for name, sha in note["concepts"]} if is_bound else set()
        self._fresh = tuple(one for one in self._sought if (one.name, one.sha) not in self._built)
        self._reads = self._reads_of_reports()
        self._is_changed = self._flags_of_changed()
        changed, reports = int(self._is_changed.sum()), self._reads.num_rows
        self.plan = BuildSummary(
            self._states(), reports, changed if self._sought else 0, reports - changed if self._fresh else 0, None, ()
        )

    def _states(self) -> tuple[ConceptState, ...]:
        rows = self.catalog.read(REPORT_CONCEPTS, columns=("concept", "concept_sha"))
        counted = rows.group_by(["concept", "concept_sha"]).aggregate([([], "count_all")]).to_pylist()
        mentions = {(row["concept"], row["concept_sha"]): row["count_all"] for row in counted}
        wanted = {(one.name, one.sha) for one in self._sought}
        # Concepts without a mention have no rows, and are built all the same.
        orphans = (self._built | mentions.keys()) - wanted
        states = []
        for one in self._sought:
            own = (one.name, one.sha)
            earlier = {key for key in orphans if key[0] == one.name} if own not in self._built else set()
            state = "built" if own in self._built else "stale" if earlier or own in mentions else "new"
            count = sum(mentions.get(key, 0) for key in (own, *earlier))
            states.append(ConceptState(one.name, one.sha, one.recipes, state, count))
        stale = {state.name for state in states if state.state == "stale"}
        gone = [key for key in orphans if key[0] not in stale]
        states += [ConceptState(name, sha, (), "removed", mentions.get((name, sha), 0)) for name, sha in gone]
        return tuple(sorted(states, key=lambda state: (state.name, state.sha)))

    def run(self, engine: Engine, progress: Callable[[int, int], None]) -> BuildSummary:
        """Do what there is to do."""
        found: list[pa.Table] = []
        failed: dict[str, str] = {}
        done = 0
        total = self.plan.to_read + self.plan.to_read_again
        for concepts, chosen in ((self._sought, self._is_changed), (self._fresh, ~self._is_changed)):
            if concepts and chosen.any():
                for batch in self._search(engine, concepts, chosen):
                    failed.update(_failures(batch))
                    found.append(_exploded(batch, concepts))
                    done += batch.num_rows
                    progress(done, total)
        findings = tuple(_not_searched(report, failed[report]) for report in sorted(failed))
        mentions = self._write(found, failed)
        record_findings(self.catalog, "concepts", findings)
        return replace(self.plan, mentions=mentions, findings=findings)

    def _reads_of_reports(self) -> pa.Table:
        """Each report, as :meth:`_reports` gives them, with the digest of its texts: empty if it has none."""
        empty = arrow_schema(REPORTS.select(CONCEPT_READS.names)).empty_table()
        rows = pa.concat_tables([empty, *self._reports(CONCEPT_READS.names)])
        digests: Any = rows["text_digest"].cast(pa.large_string()).fill_null("")  # type: ignore[arg-type]
        return pa.table({"report_id": rows["report_id"].combine_chunks(), "text_digest": digests.combine_chunks()})

    def _flags_of_changed(self) -> Flags:
        """Which reports are not as they were when they were read last."""
        before = self.catalog.read(CONCEPT_READS) if self._built else arrow_schema(CONCEPT_READS).empty_table()
        place: Any = pc.index_in(self._reads["report_id"], value_set=before["report_id"].combine_chunks())
        digests = before["text_digest"].cast(pa.large_string()).combine_chunks()
        same: Any = pc.equal(self._reads["text_digest"], digests.take(place.combine_chunks()))
        flags: Flags = ~pc.fill_null(same, pa.scalar(False)).to_numpy()
        return flags

    def _reports(self, columns: Sequence[str], chosen: Flags | None = None) -> Iterator[pa.Table]:
        """All reports or some, always in the same order, a batch at a time."""
        wanted = chosen
        if self.catalog.part_paths(REPORTS)[1]:
            wanted = self._that_count()
            wanted[wanted] = True if chosen is None else chosen
        # Not by `read`, which would hold all texts at once.
        yield from self.catalog.pieces(REPORTS, _BATCH_ROWS, columns, wanted)

    def _that_count(self) -> Flags:
        """Of the rows of all parts of the reports whether no later one replaces them."""
        keys = pa.concat_tables([part for _, part in self.catalog.parts(REPORTS, REPORTS.key)])
        keys = keys.append_column("_row", pa.array(np.arange(keys.num_rows)))
        flags: Flags = np.zeros(keys.num_rows, np.bool_)
        flags[np.asarray(keys.group_by(list(REPORTS.key)).aggregate([("_row", "max")])["_row_max"])] = True
        return flags

    def _search(self, engine: Engine, concepts: Sequence[Sought], chosen: Flags) -> Iterator[pa.RecordBatch]:
        pieces = (piece.combine_chunks() for piece in self._reports(_INPUT, chosen))
        batches = (batch for piece in pieces for batch in piece.to_batches(max_chunksize=_BATCH_ROWS))
        spec = Search(tuple(one.concept for one in concepts))
        yield from engine.run(find_mentions, batches, spec, MENTIONS, on_crash=lost_report)

    def _write(self, found: Sequence[pa.Table], failed: Collection[str]) -> int:
        # What failed is forgotten, so that the next build tries it again.
        is_lost = pc.is_in(self._reads["report_id"], value_set=pa.array(sorted(failed), pa.string())).to_numpy()
        unchanged = self._reads["report_id"].filter(pa.array(~(is_lost | self._is_changed)))
        rows = pa.concat_tables([self._kept(unchanged.combine_chunks()), *found])
        rows = rows.sort_by([(name, "ascending") for name in REPORT_CONCEPTS.key])
        reads = self._reads.filter(pa.array(~is_lost)).sort_by("report_id")
        batches = reads.cast(arrow_schema(CONCEPT_READS)).to_batches(max_chunksize=_ROWS_AT_ONCE)
        concepts = [[one.name, one.sha] for one in self._sought]
        digest = hashlib.sha256(canonical_json(concepts))
        for batch in batches:
            for name in CONCEPT_READS.names:
                digest.update("\n".join(column_values(batch, name)).encode())
        token = digest.hexdigest()
        note = json.dumps({"concepts": concepts, "reads": token})
        self.catalog.replace_streamed(REPORT_CONCEPTS, rows.to_batches(max_chunksize=_ROWS_AT_ONCE), note)
        self.catalog.replace_streamed(CONCEPT_READS, batches, token)
        return rows.num_rows

    def _kept(self, reports: "pa.Array[Any]") -> pa.Table:
        """Rows of reports that have not changed and of concepts that recipes still have, as they have them."""
        rows = self.catalog.read(REPORT_CONCEPTS)
        keys: Any = pc.binary_join_element_wise(rows["concept"], rows["concept_sha"], pa.scalar(" "))  # type: ignore[call-overload]
        wanted = sorted(f"{one.name} {one.sha}" for one in self._sought if (one.name, one.sha) in self._built)
        stays = pc.and_(
            pc.is_in(keys, value_set=pa.array(wanted, pa.string())), pc.is_in(rows["report_id"], value_set=reports)
        )
        return rows.filter(stays)


def _failures(batch: pa.RecordBatch) -> dict[str, str]:
    pairs = zip(column_values(batch, "report_id"), column_values(batch, "error"), strict=True)
    return {report: error for report, error in pairs if error is not None}


def _not_searched(report: str, error: str) -> Finding:
    return Finding(
        "concepts.failed", Severity.WARNING, f"a report could not be searched for concepts ({error})", stage="concepts",
        table="reports", subject=report,
    )  # fmt: skip


def _exploded(batch: pa.RecordBatch, concepts: Sequence[Sought]) -> pa.Table:
    """One row for each mention, in the columns of the table."""
    mentions = batch["mentions"]
    parents = pc.list_parent_indices(mentions)
    flat = pc.list_flatten(mentions)
    index = pc.struct_field(flat, "concept")
    columns = {
        "report_id": batch["report_id"].take(parents),
        "site": batch["site"].take(parents),
        "concept": pa.array([one.name for one in concepts], pa.string()).take(index),
        "concept_sha": pa.array([one.sha for one in concepts], pa.string()).take(index),
        **{name: pc.struct_field(flat, name) for name in ("assertion", "section", "text_column", "start", "end", "trigger")},
    }
    schema = arrow_schema(REPORT_CONCEPTS)
    arrays = [columns.get(field.name, pa.nulls(len(flat), field.type)) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)

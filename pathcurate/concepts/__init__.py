"""Stage: what the recipes' concepts find in the texts of all reports becomes the table ``report_concepts``.

A text is searched once for a concept: again only if either has changed. Every mention is kept, whatever the text says of it;
a concept's ``assertion`` says which of them count in a criterion.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.concepts.kernel import MENTIONS, Search, find_mentions, lost_report
from pathcurate.digests import canonical_json
from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError, RecipeError, UsageError
from pathcurate.findings import record_findings
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.concept import Concept
from pathcurate.model.diagnosis import REPORT_CONCEPTS
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.recipefile import load_recipe
from pathcurate.tables import Catalog, arrow_schema, column_values
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.workspace import Workspace

_BATCH_ROWS = 1000
_READ = Table(
    name="concept_reads",
    row="one report as it was when concepts were looked for in it last",
    key=("report_id",),
    columns=(
        Column("report_id", Type.STRING, "The report.", Identifying.DIRECT, Action.DROP, required=True),
        Column("text_digest", Type.STRING, "Digest of its texts.", Identifying.DIRECT, Action.DROP, required=True),
    ),
)
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
        is_bound = note.get("reads") is not None and note["reads"] == self.catalog.made_of(_READ)
        self._built: set[tuple[str, str]] = {(name, sha) for name, sha in note["concepts"]} if is_bound else set()
        self._fresh = tuple(one for one in self._sought if (one.name, one.sha) not in self._built)
        self._digests = self._digests_of_reports()
        before = self._read_before() if self._built else {}
        self._changed = {report for report, digest in self._digests.items() if before.get(report) != digest}
        unchanged = len(self._digests) - len(self._changed)
        self.plan = BuildSummary(
            self._states(), len(self._digests), len(self._changed) if self._sought else 0, unchanged if self._fresh else 0,
            None, (),
        )  # fmt: skip

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
        for concepts, chosen in ((self._sought, self._changed), (self._fresh, self._digests.keys() - self._changed)):
            if concepts and chosen:
                for batch in self._search(engine, concepts, chosen):
                    failed.update(_failures(batch))
                    found.append(_exploded(batch, concepts))
                    done += batch.num_rows
                    progress(done, total)
        findings = tuple(_not_searched(report, failed[report]) for report in sorted(failed))
        mentions = self._write(found, failed)
        record_findings(self.catalog, "concepts", findings)
        return replace(self.plan, mentions=mentions, findings=findings)

    def _digests_of_reports(self) -> dict[str, str]:
        """Report to digest of its texts; the import gives none to a report without a text."""
        rows = self.catalog.read(REPORTS, columns=("report_id", "text_digest"))
        digests = (digest or "" for digest in column_values(rows, "text_digest"))
        return dict(zip(column_values(rows, "report_id"), digests, strict=True))

    def _read_before(self) -> dict[str, str]:
        rows = self.catalog.read(_READ)
        return dict(zip(column_values(rows, "report_id"), column_values(rows, "text_digest"), strict=True))

    def _reports(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        snapshot = self.catalog.snapshot(REPORTS)
        if snapshot is not None and len(snapshot.parts) == 1:
            # The usual case, without holding all texts at once; several parts may hold rows that no longer count.
            pieces: Iterable[pa.Table] = self.catalog.pieces(REPORTS, _BATCH_ROWS)
        else:
            pieces = [self.catalog.read(REPORTS, columns=columns)]
        for piece in pieces:
            yield from piece.select(list(columns)).combine_chunks().to_batches(max_chunksize=_BATCH_ROWS)

    def _search(self, engine: Engine, concepts: Sequence[Sought], chosen: Iterable[str]) -> Iterator[pa.RecordBatch]:
        wanted = pa.array(list(chosen), pa.string())

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in self._reports(_INPUT):
                kept = batch.filter(pc.is_in(batch["report_id"], wanted))
                if kept.num_rows:
                    yield kept

        spec = Search(tuple(one.concept for one in concepts))
        yield from engine.run(find_mentions, batches(), spec, MENTIONS, on_crash=lost_report)

    def _write(self, found: Sequence[pa.Table], failed: Collection[str]) -> int:
        # What failed is forgotten, so that the next build tries it again.
        read = {report: digest for report, digest in self._digests.items() if report not in failed}
        unchanged = read.keys() - self._changed
        rows = pa.concat_tables([self._kept(unchanged), *found]).sort_by(
            [(name, "ascending") for name in REPORT_CONCEPTS.key]
        )
        ids = sorted(read)
        reads = pa.Table.from_pydict(
            {"report_id": ids, "text_digest": [read[report] for report in ids]}, schema=arrow_schema(_READ)
        )
        concepts = [[one.name, one.sha] for one in self._sought]
        token = hashlib.sha256(canonical_json([concepts, ids, column_values(reads, "text_digest")])).hexdigest()
        note = json.dumps({"concepts": concepts, "reads": token})
        self.catalog.replace_streamed(REPORT_CONCEPTS, rows.to_batches(), note)
        self.catalog.replace_streamed(_READ, reads.to_batches(), token)
        return rows.num_rows

    def _kept(self, reports: Collection[str]) -> pa.Table:
        """Rows of reports that have not changed and of concepts that recipes still have, as they have them."""
        rows = self.catalog.read(REPORT_CONCEPTS)
        wanted = {(one.name, one.sha) for one in self._sought} & self._built
        keys = zip(*(column_values(rows, name) for name in ("concept", "concept_sha", "report_id")), strict=True)
        kept = [(name, sha) in wanted and report in reports for name, sha, report in keys]
        return rows.filter(pa.array(kept, pa.bool_()))


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

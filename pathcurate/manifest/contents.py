"""The tables of a release: the cohort's rows and texts, in the codes and days of the product's own layer."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import placeholders
from pathcurate.digests import RowDigests, TableIdentity, identity_of
from pathcurate.disclosure.standard import load_standard
from pathcurate.errors import DigestMismatchError, DisclosureRefusedError, PlanIncompleteError
from pathcurate.manifest.evaluation import disclose
from pathcurate.model.column import Table, Type
from pathcurate.model.deidentified import (
    DEID_TABLES,
    LINKS_RELEASED,
    PSEUDONYM_KINDS,
    SPLITS_RELEASED,
    pseudonym_pattern,
)
from pathcurate.model.evaluation import Evaluation, Standard
from pathcurate.model.profile import Profile
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import INDEX_EVENT, output_table
from pathcurate.model.text import REMOVALS, TEXT_REPORTS, TEXT_SPANS, TEXT_TABLES, TEXTS
from pathcurate.placeholders import Place, Style
from pathcurate.pseudonyms import internal, moved_between, moves_between, product
from pathcurate.recoding.codes import ColumnCodes
from pathcurate.sqlplan.outputs import key_of
from pathcurate.sqlplan.relations import unit_key
from pathcurate.tables import column_values, conform, from_rows, read_parquet, read_schema
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.verification import demand_texts
from pathcurate.workspace import Workspace

_LINKED = {"slides": "slide_id", "reports": "report_id"}
_KINDS = {pseudonym_pattern(kind): kind for kind in PSEUDONYM_KINDS}


@dataclass(frozen=True, slots=True)
class ReleaseTable:
    """One table of a release, before it is written.

    Attributes:
        table: its declaration.
        data: its rows.
        identity: its digests.
    """

    table: Table
    data: pa.Table
    identity: TableIdentity


@dataclass(frozen=True, slots=True)
class Built:
    """What a release holds, and what stands behind it.

    Attributes:
        tables: its tables by name; the unit's table is the first.
        evaluation: what that one tells about people.
        standard: by which that is judged.
        released: the rows of the cohort that go out, by internal pseudonym: whose they are, and their sides.
        suppressed: the others.
    """

    tables: dict[str, ReleaseTable]
    evaluation: Evaluation
    standard: Standard
    released: pa.Table
    suppressed: pa.Table


@dataclass(frozen=True, slots=True)
class _Unit:
    """The units' table, what it tells about people, and whose rows go out and whose do not."""

    table: "_Digesting"
    evaluation: Evaluation
    released: pa.Table
    suppressed: pa.Table


@dataclass(frozen=True, slots=True)
class _Digesting:
    """A table whose rows are being digested."""

    table: Table
    data: pa.Table
    digests: "Future[bytes]"

    def whole(self) -> ReleaseTable:
        """The table with its digests, when they are there."""
        return ReleaseTable(self.table, self.data, identity_of(self.data.schema, self.digests.result()))


class Contents:
    """What a release of a recipe's cohort holds.

    Args:
        workspace: the workspace; its seal vouches for what is read.
        recipe: the recipe.
        profile: by which the workspace was de-identified.
        key: the vault's.
        digests: gives the digests of a table's rows.
    """

    def __init__(self, workspace: Workspace, recipe: Recipe, profile: Profile, key: bytes, digests: RowDigests) -> None:
        self._workspace, self._recipe, self._profile = workspace, recipe, profile
        self._internal, self._layer = internal(key), product(key, recipe.name)
        self._codes = {kind: ColumnCodes(kind, self._layer.codes) for kind in PSEUDONYM_KINDS}
        self._digests, self._standard = digests, load_standard(workspace)

    def build(self) -> Built:
        """The tables, coarse enough for the profile.

        Raises:
            PlanIncompleteError: a text that the release needs was not scrubbed.
            DigestMismatchError: a scrubbed text is not what was written.
            DisclosureRefusedError: the profile releases no texts, or cannot be met.
        """
        # Rows are digested beside the work on the next table: other processes do that.
        with ThreadPoolExecutor(1, thread_name_prefix="digests") as self._beside:
            unit = self._unit()
            others = list(self._others(unit.released))
            tables = [unit.table, *others, *self._between(unit.released, others)]
            evaluation = unit.evaluation
            if self._recipe.released_texts:
                source = self._scrubbed(unit.released)
                tables += [self._table(TEXT_TABLES[name], data) for name, data in self._texts(source).items()]
                states = column_values(source[TEXT_REPORTS.name], "status")
                evaluation = replace(
                    evaluation, incomplete_reports=len(states) - states.count("ok"),
                    text_names=self._profile.texts.names, text_dates=self._profile.texts.dates,
                )  # fmt: skip
            named = {table.table.name: table.whole() for table in tables}
        return Built(named, evaluation, self._standard, unit.released, unit.suppressed)

    def _unit(self) -> "_Unit":
        """The units' table, coarse enough for the profile, and of the cohort's rows only whose they are."""
        recipe, profile = self._recipe, self._profile
        rows = read_parquet(self._workspace.cohorts / recipe.name / "cohort.parquet")
        unit = output_table(recipe, recipe.unit_table, recipe.unit_columns)
        shown, owned = conform(unit, rows), _owned(rows)
        del rows  # of an archive it takes as much again as what goes out
        # A recipe may ask for more than the profile, never for less.
        asked, least = recipe.disclosure.k, profile.k
        k = least if asked is None else max(asked, least or 0)
        disclosed = disclose(
            unit, self._recoded(unit, shown, _owners(owned, unit_key(recipe.unit))), owned["group_id"], profile,
            self._standard, k=k, has_texts=bool(recipe.released_texts),
        )  # fmt: skip
        return _Unit(
            self._table(disclosed.table, disclosed.data), disclosed.evaluation, owned.filter(disclosed.is_kept),
            owned.filter(pc.invert(disclosed.is_kept)),
        )  # fmt: skip

    def _others(self, going: pa.Table) -> Iterator[_Digesting]:
        """The tables beside the unit's: what of them belongs to units that go out."""
        recipe = self._recipe
        for name, output in recipe.outputs.items():
            if name == recipe.unit_table:
                continue
            mine = self._rows_of(name, going)
            shown = output_table(recipe, name, tuple(column for column in output.columns if column in mine.column_names))
            data, owners = conform(shown, mine), _owners(mine, DEID_TABLES[name].key[0])
            del mine
            yield self._table(shown, self._recoded(shown, data, owners))

    def _rows_of(self, name: str, going: pa.Table) -> pa.Table:
        return rows_of(self._workspace, self._recipe, name, going)

    def _between(self, going: pa.Table, others: Sequence[_Digesting]) -> Iterator[_Digesting]:
        """What says how the tables hang together: which report speaks of which slide, and who is on which side."""
        outputs = self._recipe.outputs
        if all(name in outputs and key in outputs[name].columns for name, key in _LINKED.items()):
            yield self._table(LINKS_RELEASED, self._recoded(LINKS_RELEASED, self._linked(going)))
        if self._recipe.split is not None and any("patient_id" in other.table for other in others):
            sides = going.select(SPLITS_RELEASED.names).filter(pc.is_valid(going["patient_id"]))
            sides = sides.group_by(list(SPLITS_RELEASED.names)).aggregate([])
            yield self._table(SPLITS_RELEASED, self._recoded(SPLITS_RELEASED, conform(SPLITS_RELEASED, sides)))

    def _linked(self, going: pa.Table) -> pa.Table:
        """Each slide with each report of its case, where both go out."""
        slides, reports = (
            rows.select([key, "case_id"]).filter(pc.is_valid(rows["case_id"])).combine_chunks()
            for key, rows in ((key, self._rows_of(name, going)) for name, key in _LINKED.items())
        )
        # By numbers: a join of text takes three times the memory, and an archive has millions of links.
        cases: Any = pc.unique(slides["case_id"])
        of_report = pc.index_in(reports["case_id"], value_set=cases)
        reports = reports.filter(pc.is_valid(of_report))
        numbers = np.asarray(of_report.drop_null(), np.int64)
        counts = np.bincount(numbers, minlength=len(cases))
        by_case, starts = np.argsort(numbers, kind="stable"), np.cumsum(counts) - counts
        of_slide = np.asarray(pc.index_in(slides["case_id"], value_set=cases), np.int64)
        times = counts[of_slide]
        slide = np.repeat(np.arange(len(of_slide)), times)
        place = np.arange(len(slide)) - np.repeat(np.cumsum(times) - times, times)
        report = by_case[starts[of_slide[slide]] + place]
        tiers = read_parquet(self._workspace.deid / "slides.parquet", ("slide_id", "tier"))
        tier: Any = tiers["tier"].take(pc.index_in(slides["slide_id"], value_set=tiers["slide_id"].combine_chunks()))
        parts = {
            "slide_id": slides["slide_id"].take(slide), "report_id": reports["report_id"].take(report),
            "case_id": slides["case_id"].take(slide), "tier": tier.take(slide),
        }  # fmt: skip
        return conform(LINKS_RELEASED, pa.Table.from_arrays(list(parts.values()), names=list(parts)))

    def _move(self, owner: str) -> int:
        return moved_between(self._internal, self._layer, owner)

    def _recoded(self, table: Table, data: pa.Table, owners: Any = None) -> pa.Table:
        """Rows with the product's codes and days."""
        moves: Any = None
        for index, column in enumerate(table.columns):
            field = data.schema.field(index)
            if column.pattern in _KINDS:
                codes = self._codes[_KINDS[column.pattern]].of(data[column.name])
                data = data.set_column(index, field, pa.chunked_array([codes], pa.string()))
            elif column.type is Type.DATE:
                if moves is None:
                    moves = moves_between(self._internal, self._layer, owners)
                days = pc.add_checked(data[column.name].combine_chunks().cast(pa.int32()), moves).cast(pa.date32())
                data = data.set_column(index, field, pa.chunked_array([days]))
        return data

    def _table(self, table: Table, data: pa.Table) -> _Digesting:
        """Rows in the order of what goes out, so that the order says nothing about what they were made of."""
        # One without its unit's key is sorted by all it has.
        order = table.key or tuple(name for name in table.names if not pa.types.is_list(data.schema.field(name).type))
        data = data.sort_by([(name, "ascending") for name in order])
        return _Digesting(table, data, self._beside.submit(self._digests, data))

    def _scrubbed(self, rows: pa.Table) -> dict[str, pa.Table]:
        """What ``deid/texts/`` holds of the reports of these rows."""
        if not self._profile.texts.released:
            raise DisclosureRefusedError(
                f"profile `{self._profile.name}` releases no texts, and the recipe asks for them",
                "Take `texts` out of the recipe, or de-identify by a profile that releases texts.",
            )
        demand_texts(self._workspace)
        reports = self._reports(rows)
        source = {name: self._read(name, reports) for name in TEXT_TABLES}
        done = set(column_values(source[TEXT_REPORTS.name], "report_id"))
        if missing := len(set(reports) - done):
            raise PlanIncompleteError(
                f"the texts of {missing} reports of the cohort were never scrubbed",
                f"Run `pathcurate deid apply --texts {self._recipe.name}`.",
            )
        if reports and set(column_values(source[TEXT_REPORTS.name], "status")) == {"failed"}:
            raise PlanIncompleteError(
                "none of the cohort's reports could be scrubbed, so there is no text to release",
                "See `pathcurate findings list` for what went wrong, and report it.",
            )
        return source

    def _texts(self, source: dict[str, pa.Table]) -> dict[str, pa.Table]:
        """The texts that the recipe asks for, and the places in them."""
        wanted = source[TEXTS.name].filter(
            pc.is_in(source[TEXTS.name]["text_column"], pa.array(list(self._recipe.released_texts), pa.string()))
        )
        return self._rendered(wanted, source)

    def _reports(self, rows: pa.Table) -> list[str]:
        """Internal codes of the reports of the cohort's cases, or patients."""
        level = "case_id" if "case_id" in rows.column_names and self._recipe.unit != "patient" else "patient_id"
        reports = read_parquet(self._workspace.deid / "reports.parquet", ("report_id", level))
        kept = pc.is_in(reports[level], pc.unique(rows[level]).drop_null())
        return column_values(reports.filter(kept), "report_id")

    def _read(self, name: str, reports: Sequence[str]) -> pa.Table:
        data = read_parquet(self._workspace.deid / "texts" / f"{name}.parquet")
        return data.filter(pc.is_in(data["report_id"], pa.array(reports, pa.string())))

    def _rendered(self, wanted: pa.Table, source: dict[str, pa.Table]) -> dict[str, pa.Table]:
        texts: list[dict[str, Any]] = []
        places: dict[tuple[str, str], tuple[Place, ...]] = {}
        for row in wanted.to_pylist():
            rendered = placeholders.render(row["text"], self._style(row["patient_id"], row["language"]))
            if rendered.unknown:
                raise DigestMismatchError(
                    f"a scrubbed text has {rendered.unknown} placeholders that no run wrote",
                    "Run `pathcurate deid apply --texts` again.",
                )
            places[row["report_id"], row["text_column"]] = rendered.places
            texts.append({**row, "text": rendered.text})
        moved = {TEXTS.name: from_rows(TEXTS, texts)}
        # What other recipes of the workspace look for is no part of this release.
        own = {(name, concept_sha(concept)) for name, concept in (self._recipe.concepts or {}).items()}
        spans = [
            row
            for row in source[TEXT_SPANS.name].to_pylist()
            if row["concept_sha"] is None or (row["name"], row["concept_sha"]) in own
        ]
        for table, rows in ((REMOVALS, source[REMOVALS.name].to_pylist()), (TEXT_SPANS, spans)):
            moved[table.name] = from_rows(table, _moved_rows(rows, places))
        return {name: self._recoded(TEXT_TABLES[name], data) for name, data in moved.items()}

    def _style(self, patient: str, language: str | None) -> Style:
        texts = self._profile.texts
        move = self._move(patient) if texts.dates == "shift" else None
        return placeholders.style(self._layer, move, names=texts.names, language=language or "zh")


def rows_of(
    workspace: Workspace, recipe: Recipe, name: str, going: pa.Table, columns: Sequence[str] | None = None
) -> pa.Table:
    """The rows of a table that goes out which belong to units that go out, by internal pseudonym.

    Args:
        workspace: the workspace.
        recipe: the recipe.
        name: the table.
        going: the rows of the units' table.
        columns: those that are wanted of another table, at least; None for all.
    """
    if name == recipe.unit_table:
        return going
    path = workspace.cohorts / recipe.name / "tables" / f"{name}.parquet"
    by_event = INDEX_EVENT.name in read_schema(path).names
    belongs, unit = (INDEX_EVENT.name, "event_id") if by_event else (key_of(name, recipe.outputs[name]),) * 2
    rows = read_parquet(path, tuple(dict.fromkeys((belongs, *columns))) if columns is not None else None)
    return rows.filter(pc.is_in(rows[belongs], pc.unique(going[unit]).drop_null()))


def _owned(rows: pa.Table) -> pa.Table:
    """Rows without what they say: an archive's are many."""
    return rows.select([name for name in rows.column_names if name.endswith("_id") or name == SPLITS_RELEASED.names[1]])


def _owners(rows: pa.Table, key: str) -> Any:
    """By whose offset the days of each row are moved: a slide that belongs to nobody has one of its own."""
    return pc.coalesce(rows["patient_id"], rows[key])


def _moved_rows(
    rows: Sequence[dict[str, Any]], places: dict[tuple[str, str], tuple[Place, ...]]
) -> Iterator[dict[str, Any]]:
    """Rows about places of texts, where these stand in the rendered text."""
    for row in rows:
        found = places.get((row["report_id"], row["text_column"]))
        if found is not None:
            start, end = placeholders.moved(row["start"], row["end"], found)
            yield {**row, "start": start, "end": end}

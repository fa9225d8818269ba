"""The tables of a release: the cohort's rows and texts, in the codes and days of the product's own layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import placeholders
from pathcurate.digests import TableIdentity, table_identity
from pathcurate.disclosure.standard import load_standard
from pathcurate.errors import DigestMismatchError, DisclosureRefusedError, PlanIncompleteError
from pathcurate.manifest.evaluation import disclose
from pathcurate.model.column import Table, Type
from pathcurate.model.deidentified import DEID_TABLES, PSEUDONYM_KINDS, pseudonym_pattern
from pathcurate.model.evaluation import Evaluation, Standard
from pathcurate.model.profile import Profile
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import INDEX_EVENT, output_table
from pathcurate.model.text import REMOVALS, TEXT_REPORTS, TEXT_SPANS, TEXT_TABLES, TEXTS
from pathcurate.placeholders import Place, Style
from pathcurate.pseudonyms import internal, moved_between, product
from pathcurate.sqlplan.outputs import key_of
from pathcurate.sqlplan.relations import unit_key
from pathcurate.tables import column_values, conform, from_rows, read_parquet
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.verification import demand_texts
from pathcurate.workspace import Workspace

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
        released: the rows of the cohort that go out, by internal pseudonym.
        suppressed: the others.
    """

    tables: dict[str, ReleaseTable]
    evaluation: Evaluation
    standard: Standard
    released: pa.Table
    suppressed: pa.Table


class Contents:
    """What a release of a recipe's cohort holds.

    Args:
        workspace: the workspace; its seal vouches for what is read.
        recipe: the recipe.
        profile: by which the workspace was de-identified.
        key: the vault's.
    """

    def __init__(self, workspace: Workspace, recipe: Recipe, profile: Profile, key: bytes) -> None:
        self._workspace, self._recipe, self._profile = workspace, recipe, profile
        self._internal, self._layer = internal(key), product(key, recipe.name)
        self._moves: dict[str, int] = {}

    def build(self) -> Built:
        """The tables, coarse enough for the profile.

        Raises:
            PlanIncompleteError: a text that the release needs was not scrubbed.
            DigestMismatchError: a scrubbed text is not what was written.
            DisclosureRefusedError: the profile releases no texts, or cannot be met.
        """
        rows = read_parquet(self._workspace.cohorts / self._recipe.name / "cohort.parquet")
        unit = output_table(self._recipe, self._recipe.unit_table, self._recipe.unit_columns)
        recoded = self._recoded(unit, conform(unit, rows), self._owners(rows, unit_key(self._recipe.unit)))
        standard, has_texts = load_standard(self._workspace), bool(self._recipe.released_texts)
        # A recipe may ask for more than the profile, never for less.
        asked, least = self._recipe.disclosure.k, self._profile.k
        k = least if asked is None else max(asked, least or 0)
        disclosed = disclose(unit, recoded, rows["group_id"], self._profile, standard, k=k, has_texts=has_texts)
        going = rows.filter(disclosed.is_kept)
        tables = [_release_table(disclosed.table, disclosed.data), *self._others(going)]
        evaluation = disclosed.evaluation
        if has_texts:
            source = self._scrubbed(going)
            tables += [_release_table(TEXT_TABLES[name], data) for name, data in self._texts(source).items()]
            states = column_values(source[TEXT_REPORTS.name], "status")
            evaluation = replace(
                evaluation, incomplete_reports=len(states) - states.count("ok"), text_names=self._profile.texts.names,
                text_dates=self._profile.texts.dates,
            )  # fmt: skip
        return Built(
            {table.table.name: table for table in tables}, evaluation, standard, going,
            rows.filter(pc.invert(disclosed.is_kept)),
        )  # fmt: skip

    def _others(self, going: pa.Table) -> Iterator[ReleaseTable]:
        """The tables beside the unit's: what of them belongs to units that go out."""
        recipe = self._recipe
        for name, output in recipe.outputs.items():
            if name == recipe.unit_table:
                continue
            rows = read_parquet(self._workspace.cohorts / recipe.name / "tables" / f"{name}.parquet")
            by_event = INDEX_EVENT.name in rows.column_names
            belongs, unit = (INDEX_EVENT.name, "event_id") if by_event else (key_of(name, output),) * 2
            mine = rows.filter(pc.is_in(rows[belongs], pc.unique(going[unit]).drop_null()))
            shown = output_table(recipe, name, tuple(column for column in output.columns if column in rows.column_names))
            yield _release_table(
                shown, self._recoded(shown, conform(shown, mine), self._owners(mine, DEID_TABLES[name].key[0]))
            )

    def _owners(self, rows: pa.Table, key: str) -> list[str]:
        """By whose offset the days of each row are moved: a slide that belongs to nobody has one of its own."""
        patients = column_values(rows, "patient_id")
        return [patient or own for patient, own in zip(patients, column_values(rows, key), strict=True)]

    def _move(self, owner: str) -> int:
        if owner not in self._moves:
            self._moves[owner] = moved_between(self._internal, self._layer, owner)
        return self._moves[owner]

    def _recoded(self, table: Table, data: pa.Table, owners: Sequence[str]) -> pa.Table:
        """Rows with the product's codes and days."""
        moves: Any = None
        for index, column in enumerate(table.columns):
            field = data.schema.field(index)
            if column.pattern in _KINDS:
                codes = self._layer.codes.codes(_KINDS[column.pattern], column_values(data, column.name))
                data = data.set_column(index, field, pa.chunked_array([pa.array(codes, pa.string())]))
            elif column.type is Type.DATE:
                if moves is None:
                    moves = pa.array([self._move(owner) for owner in owners], pa.int32())
                days = pc.add_checked(data[column.name].combine_chunks().cast(pa.int32()), moves).cast(pa.date32())
                data = data.set_column(index, field, pa.chunked_array([days]))
        return data

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
        return {name: self._recoded(TEXT_TABLES[name], data, [""] * data.num_rows) for name, data in moved.items()}

    def _style(self, patient: str, language: str | None) -> Style:
        texts = self._profile.texts
        move = self._move(patient) if texts.dates == "shift" else None
        return placeholders.style(self._layer, move, names=texts.names, language=language or "zh")


def _release_table(table: Table, data: pa.Table) -> ReleaseTable:
    """Rows in the order of what goes out, so that the order says nothing about what they were made of."""
    # One without its unit's key is sorted by all it has.
    order = table.key or tuple(name for name in table.names if not pa.types.is_list(data.schema.field(name).type))
    data = data.sort_by([(name, "ascending") for name in order])
    return ReleaseTable(table, data, table_identity(data))


def _moved_rows(
    rows: Sequence[dict[str, Any]], places: dict[tuple[str, str], tuple[Place, ...]]
) -> Iterator[dict[str, Any]]:
    """Rows about places of texts, where these stand in the rendered text."""
    for row in rows:
        found = places.get((row["report_id"], row["text_column"]))
        if found is not None:
            start, end = placeholders.moved(row["start"], row["end"], found)
            yield {**row, "start": start, "end": end}

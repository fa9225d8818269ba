"""What a cohort is selected from: views, today's permissions, and the concepts that must have been built."""

import json
from collections.abc import Iterable, Mapping
from datetime import date

import pyarrow as pa

from pathcurate.cohort.whole import whole_paths
from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError
from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.diagnosis import REPORT_CONCEPTS
from pathcurate.model.recipe import Alternative, Criterion, Recipe, Rows
from pathcurate.tables import Catalog, from_rows, read_parquet
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.workspace import Workspace

_PERMISSIONS = Table(
    name="permissions",
    row="one subject and kind of data that today's statements are about",
    key=(),
    columns=(
        Column("subject", Type.STRING, "", pattern=r"[a-z]+", required=True),
        Column("code", Type.STRING, "", pattern=r"[A-Za-z0-9_-]+", required=True),
        Column("data_kind", Type.STRING, "", pattern=r"[a-z]*", required=True),
        Column("opt_out", Type.BOOLEAN, "", required=True),
    ),
)


class Opened:
    """The views of one engine over one workspace, each opened when it is first needed.

    Args:
        workspace: where the tables are; the caller holds its lock.
        engine: gets the views.
        recipe: whose purpose permissions must be for.
        today: the day on which they must hold.
        sealed: digests of the files that the seal vouches for.
    """

    def __init__(self, workspace: Workspace, engine: Engine, recipe: Recipe, today: date, sealed: Mapping[str, str]) -> None:
        self._workspace, self._engine, self._recipe, self._today = workspace, engine, recipe, today
        self._sealed = sealed
        self._open: set[str] = set()

    def views(self, names: Iterable[str]) -> None:
        """Open these views: tables as queries read them, ``permissions``, and with ``_deid`` what may go out of a table.

        Raises:
            InputOutputError: a table is missing or unreadable.
        """
        new = [name for name in dict.fromkeys(names) if name not in self._open]
        paths = whole_paths(self._workspace, self._sealed, [name for name in new if name in DEID_TABLES])
        for name in new:
            if name == "permissions":
                statements = read_parquet(self._workspace.criteria / "permissions.parquet")
                self._engine.view(name, todays_permissions(statements, self._recipe, self._today))
            else:
                path = paths.get(name) or self._workspace.deid / f"{name.removesuffix('_deid')}.parquet"
                self._engine.view(name, [path])
            self._open.add(name)


def todays_permissions(statements: pa.Table, recipe: Recipe, today: date) -> pa.Table:
    """What holds today for the recipe's purpose, one row per subject and kind of data; opt-outs hold always."""
    rows: set[tuple[str, str, str, bool]] = set()
    for row in statements.to_pylist():
        subject = (row["subject"], row["subject_code"])
        if row["opt_out"]:
            rows.add((*subject, "", True))
        elif (
            recipe.purpose in (row["purposes"] or ())
            and (row["valid_from"] or today) <= today
            and (row["valid_to"] or today) >= today
        ):
            rows.update((*subject, kind, False) for kind in row["data_kinds"] or ())
    return from_rows(_PERMISSIONS, (dict(zip(_PERMISSIONS.names, row, strict=True)) for row in sorted(rows)))


def demand_concepts(catalog: Catalog, recipe: Recipe) -> None:
    """Refuse a recipe whose concepts were never looked for, or by other patterns than it has now.

    Raises:
        PlanIncompleteError: with the names of those concepts.
    """
    wanted = sorted(used_concepts(recipe))
    if not wanted:
        return
    note = json.loads(catalog.made_of(REPORT_CONCEPTS) or "{}")
    built = {(name, sha) for name, sha in note.get("concepts", ())}
    lacking = [name for name in wanted if (name, concept_sha((recipe.concepts or {})[name])) not in built]
    if lacking:
        raise PlanIncompleteError(
            f"{', '.join(f'`{name}`' for name in lacking)} {'was' if len(lacking) == 1 else 'were'} not looked for in the "
            "reports yet, or by other patterns than the recipe has now",
            "Run `pathcurate run RECIPE`, or put it into recipes/ for `concepts build` and `pathcurate deid apply`.",
        )


def used_concepts(recipe: Recipe) -> set[str]:
    """The concepts that criteria, labels or day 0 look at."""
    rows: list[Rows | None] = [found for criterion in recipe.criteria for found in _counted(criterion)]
    for label in recipe.labels:
        rows.append(label.has)
        if label.time_to_event is not None:
            rows += [label.time_to_event.event, label.time_to_event.censor]
    found = {one.text for one in rows if one is not None and one.text is not None}
    return found | ({recipe.index.text} if recipe.index is not None and recipe.index.text is not None else set())


def _counted(criterion: Criterion | Alternative) -> list[Rows]:
    own = [criterion.has] if criterion.has is not None else []
    return [*own, *(rows for one in criterion.any_of or () for rows in _counted(one))]

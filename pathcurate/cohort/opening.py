"""What a cohort is selected from: views, today's permissions, and the concepts that must have been built."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.cohort.whole import whole_paths
from pathcurate.engines import Engine
from pathcurate.errors import InputOutputError, PlanIncompleteError
from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.diagnosis import REPORT_CONCEPTS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.recipe import Alternative, Criterion, Recipe, Rows
from pathcurate.rights import has_rights, unauthorised
from pathcurate.tables import Catalog, from_rows, read_parquet
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.withdrawals.subjects import Subject, withdrawn_subjects
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
_OF_SITES = ("slides", "reports", "events", "series", "materials")
"""Tables whose rows are of a site; those of all others are made of them."""
_OF_PATIENTS = ("slides", "reports", "events", "series", "patients")
"""Tables that say in which group a patient is."""


@dataclass(frozen=True, slots=True)
class Authorised:
    """What the sites' rights allow to select.

    Attributes:
        is_asked: whether rights, or withdrawals, decide at all; if not, nobody is left out.
        left_out: codes of sites whose rows are left out, each with the reason.
        has_any: whether a site is left whose rows are not.
        withdrawn: whoever has withdrawn, and what was.
    """

    is_asked: bool
    left_out: Mapping[str, str]
    has_any: bool
    withdrawn: frozenset[Subject] = frozenset()

    @property
    def words(self) -> str:
        """How many sites are left out, for people."""
        number = len(self.left_out)
        sites = "1 site is" if number == 1 else f"{number} sites are"
        return f"{sites} left out for want of a valid authorisation"


NOT_ASKED = Authorised(is_asked=False, left_out={}, has_any=True)


def authorised(workspace: Workspace, today: date) -> Authorised:
    """What the sites' rights allow to select of the de-identified tables.

    Args:
        workspace: whose tables they are, today's or a past one's; rights are today's.
        today: the day.

    Raises:
        InputOutputError: a table or the list of withdrawn sites cannot be read.
        VaultError: the list of those who have withdrawn is damaged.
    """
    withdrawn = withdrawn_subjects(workspace)
    if not has_rights(workspace):
        return replace(NOT_ASKED, is_asked=bool(withdrawn), withdrawn=withdrawn)
    sites = {site for name in _OF_SITES for site in _sites_in(workspace, name)}
    left_out = unauthorised(workspace, today, sites)
    return Authorised(is_asked=True, left_out=left_out, has_any=not sites or left_out.keys() < sites, withdrawn=withdrawn)


def _sites_in(workspace: Workspace, name: str) -> Iterator[str]:
    """Codes of the sites that rows of a table are of; some may come more than once."""
    path = workspace.deid / f"{name}.parquet"
    try:
        with pq.ParquetFile(path, read_dictionary=["site"]) as file:
            for batch in file.iter_batches(columns=["site"]):
                yield from (site.as_py() for site in pc.unique(batch["site"]) if site.is_valid)
    except (OSError, pa.ArrowException) as error:
        raise InputOutputError(
            f"deid/{path.name} cannot be read as Parquet ({type(error).__name__})", "Run `pathcurate deid apply`."
        ) from None


class Opened:
    """The views of one engine over one workspace, each opened when it is first needed.

    Args:
        workspace: where the tables are; the caller holds its lock.
        engine: gets the views.
        recipe: whose purpose permissions must be for.
        today: the day on which they must hold.
        sealed: digests of the files that the seal vouches for.
        left_out: sites without a valid authorisation.
        withdrawn: whoever has withdrawn, and what was.
    """

    def __init__(
        self,
        workspace: Workspace,
        engine: Engine,
        recipe: Recipe,
        today: date,
        sealed: Mapping[str, str],
        left_out: Collection[str] = (),
        withdrawn: Collection[Subject] = (),
    ) -> None:
        self._workspace, self._engine, self._recipe, self._today = workspace, engine, recipe, today
        self._sealed, self._left_out, self._withdrawn = sealed, left_out, withdrawn
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
                path = self._workspace.criteria / "permissions.parquet"
                statements = read_parquet(path) if self._workspace.permissions else None
                gone = _opted_out(self._workspace, self._withdrawn)
                self._engine.view(name, todays_permissions(statements, self._recipe, self._today, self._left_out, gone))
            else:
                path = paths.get(name) or self._workspace.deid / f"{name.removesuffix('_deid')}.parquet"
                self._engine.view(name, [path])
            self._open.add(name)


def _opted_out(workspace: Workspace, withdrawn: Collection[Subject]) -> Iterator[Subject]:
    """Whoever has withdrawn as subjects of opt-outs: a patient is guarded by the group that they are in by these tables."""
    patients = pa.array(sorted(code for kind, code in withdrawn if kind == "patient"), pa.string())
    for name in _OF_PATIENTS if len(patients) else ():
        rows = read_parquet(workspace.deid / f"{name}.parquet", ("patient_id", "group_id"))
        groups = pc.unique(rows["group_id"].filter(pc.is_in(rows["patient_id"], value_set=patients)))
        yield from (("person", group) for group in groups.to_pylist() if group is not None)
    yield from (subject for subject in withdrawn if subject[0] in {"person", "case", "slide"})


def todays_permissions(
    statements: pa.Table | None,
    recipe: Recipe,
    today: date,
    left_out: Iterable[str] = (),
    opted_out: Iterable[Subject] = (),
) -> pa.Table:
    """What holds today for the recipe's purpose, one row per subject and kind of data; opt-outs hold always.

    Args:
        statements: of the lists; None if no list is configured, which leaves nobody out.
        recipe: the recipe.
        today: the day.
        left_out: sites without a valid authorisation, which count as opted out.
        opted_out: persons (by group), cases and slides that count as opted out besides.
    """
    rows = {*(("site", site, "", True) for site in left_out), *((*subject, "", True) for subject in opted_out)}
    if statements is None:
        rows |= {("population", "population", kind, False) for kind in PERMISSIONS["data_kinds"].values}
    for row in statements.to_pylist() if statements is not None else ():
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

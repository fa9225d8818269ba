"""Of which sites a release is made: nothing of a site without a valid authorisation, and a statement for the institution."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import DigestMismatchError, DisclosureRefusedError, PlanIncompleteError
from pathcurate.manifest.contents import rows_of
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.recipe import Recipe
from pathcurate.model.rights import Source, SourceStatement, Standing
from pathcurate.releases import Release
from pathcurate.rights import standings, unauthorised
from pathcurate.rights.counting import behind_units, not_there
from pathcurate.rights.sources import read_sources, write_sources
from pathcurate.sqlplan.relations import unit_key
from pathcurate.tables import read_parquet
from pathcurate.workspace import Workspace

Counts = Mapping[str, int]
_SELECT = "Run `pathcurate cohort` again, then build."


def counts_by_site(workspace: Workspace, recipe: Recipe, released: pa.Table) -> dict[str, Counts]:
    """What goes out of each site, by code: see :class:`~pathcurate.model.rights.Source`.

    A patient is of every site that has a case of theirs; the row of table ``patients`` beside other units is of none.

    Args:
        workspace: the workspace.
        recipe: the recipe.
        released: the rows of the cohort that go out, by internal pseudonym.

    Raises:
        PlanIncompleteError: a row is not among the de-identified ones.
    """
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"slides": 0, "cases": 0, "patients": 0, "rows": 0})
    for site, of_units in behind_units(workspace, recipe.unit, recipe.unit_table, released[unit_key(recipe.unit)]).items():
        counts[site] |= of_units
    for name in dict.fromkeys((recipe.unit_table, *recipe.outputs)):
        if "site" in DEID_TABLES[name]:
            rows = rows_of(workspace, recipe, name, released, DEID_TABLES[name].key[:1])
            for site, number in _rows_by_site(workspace, name, rows):
                counts[site]["rows"] += number
    if recipe.unit == "patient":
        for of_site in counts.values():
            of_site["rows"] += of_site["patients"]
    return dict(sorted(counts.items()))


def _rows_by_site(workspace: Workspace, name: str, rows: pa.Table) -> Iterator[tuple[str, int]]:
    key = DEID_TABLES[name].key[0]
    known = read_parquet(workspace.deid / f"{name}.parquet", (key, "site"))
    places: Any = pc.index_in(rows[key], value_set=known[key].combine_chunks())
    if places.null_count:
        raise not_there(name)
    sites: Any = known["site"].take(places)
    for pair in pc.value_counts(sites.combine_chunks()).to_pylist():
        yield pair["values"], pair["counts"]


def demand_authorised(workspace: Workspace, today: date, by_site: Mapping[str, Counts]) -> None:
    """Refuse rows of a site without a valid authorisation, which can lose it after the cohort was selected.

    Raises:
        DisclosureRefusedError: a row is of such a site.
        InputOutputError: the list of withdrawn sites is damaged.
    """
    faults = unauthorised(workspace, today, by_site)
    if faults:
        sites = "; ".join(f"{site}: {fault}" for site, fault in faults.items())
        raise DisclosureRefusedError(f"the cohort holds rows of a site without a valid authorisation ({sites})", _SELECT)


def state_sources(
    workspace: Workspace, release: Release, by_site: Mapping[str, Counts], today: date, *, is_new: bool
) -> None:
    """Write down what a release is made of by site; what was written down when it was built stays.

    Raises:
        InputOutputError: it cannot be written.
    """
    if not is_new:
        try:
            read_sources(workspace, release.name, release.version, release.digest)
        except (PlanIncompleteError, DigestMismatchError):
            pass
        else:
            return
    stood = standings(workspace, today)
    sites = {site: Source(counts, stood.get(site, Standing(site))) for site, counts in by_site.items()}
    write_sources(workspace, SourceStatement(release.name, release.version, release.digest, today, sites))

"""A cohort that was selected before somebody withdrew is not built."""

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import DisclosureRefusedError
from pathcurate.manifest.contents import rows_of
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.recipe import Recipe
from pathcurate.withdrawals.subjects import withdrawn_subjects
from pathcurate.workspace import Workspace

_COLUMNS = {"person": "group_id", "patient": "patient_id", "case": "case_id", "slide": "slide_id", "series": "series_id"}


def demand_not_withdrawn(workspace: Workspace, recipe: Recipe, released: pa.Table) -> None:
    """Refuse rows of somebody who has withdrawn.

    Args:
        workspace: the workspace.
        recipe: the recipe.
        released: the rows of the units that go out, by internal pseudonym.

    Raises:
        DisclosureRefusedError: a row is of them; the cohort was selected before.
        VaultError: the list of those who have withdrawn is damaged.
    """
    subjects = withdrawn_subjects(workspace)
    for name in dict.fromkeys((recipe.unit_table, *recipe.outputs)) if subjects else ():
        wanted = [column for column in _COLUMNS.values() if column in DEID_TABLES[name]]
        rows = rows_of(workspace, recipe, name, released, wanted)
        for kind, column in _COLUMNS.items():
            codes = pa.array(sorted(code for one, code in subjects if one == kind), pa.string())
            if column in rows.column_names and pc.any(pc.is_in(rows[column], value_set=codes)).as_py():
                raise DisclosureRefusedError(
                    f"table {name} of the cohort holds rows of somebody who has withdrawn since it was selected",
                    "Run `pathcurate cohort` again: they are left out.",
                )

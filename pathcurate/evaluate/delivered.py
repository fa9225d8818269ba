"""Labels under the codes that a recipient has: what was delivered to one is in codes of its own, and predictions are too."""

from typing import Any

import pyarrow as pa

from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.model.benchmark import BenchmarkTask
from pathcurate.model.deidentified import DEID_TABLES, PSEUDONYM_KINDS, pseudonym_pattern
from pathcurate.pseudonyms import product, recipient
from pathcurate.recoding.behind import Behind
from pathcurate.vault import Vault
from pathcurate.workspace import Workspace


def shown_to(workspace: Workspace, vault: Vault, task: BenchmarkTask, labels: pa.Table, name: str) -> pa.Table:
    """The labels with the codes of one recipient instead of the release's, in the same order.

    Args:
        workspace: whose ``deid/`` knows what the codes stand for.
        vault: the workspace's.
        task: what is asked.
        labels: in the codes of the release.
        name: short name of the recipient, as in the contract.

    Raises:
        UsageError: it is a set of questions, which nobody gets under other codes.
        PlanIncompleteError: ``deid/`` does not have every unit any more.
    """
    patterns = {pseudonym_pattern(kind): kind for kind in PSEUDONYM_KINDS}
    kinds = {table[task.unit].pattern for table in DEID_TABLES.values() if task.unit in table}
    kind = next((patterns[pattern] for pattern in kinds if pattern in patterns), None)
    if kind is None:
        raise UsageError(
            f"{task.product} {task.version} has no codes of recipients", "Leave --recipient out: its codes are everybody's."
        )
    inside: Any = Behind(workspace, product(vault.key, task.product).codes).internal(kind, labels["unit_id"])
    if inside.null_count:
        raise PlanIncompleteError(
            f"{inside.null_count} units of {task.product} {task.version} are in deid/ no longer",
            "They were withdrawn, or the vault has another key since. Score the copy that has the release's own codes.",
        )
    codes = recipient(vault.key, task.product, name).codes.code_array(kind, inside)
    place = labels.schema.get_field_index("unit_id")
    return labels.set_column(place, labels.schema.field(place), codes)

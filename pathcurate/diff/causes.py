"""Why rows came, went and differ: from what both versions hold, and from the cohort's own comparison where a curator builds.

A cause is named only where no other is possible by what both versions hold; all else is *not told by the releases*.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pathcurate.attribution import DIFFERENCES, Reason
from pathcurate.diff.contents import Contents
from pathcurate.diff.rows import Compared
from pathcurate.diff.strata import label_columns
from pathcurate.diff.terms import has_other_rules
from pathcurate.model.attrition import COHORT_FILE, WITHHELD
from pathcurate.model.deidentified import SPLIT
from pathcurate.model.diff import Cause
from pathcurate.releases import Release

_OF_LINKS = frozenset({"tier", "case_id", "patient_id", "group_id"})
_WORDS = frozenset({"version", "title", "owner", "approval", "expect"})
_SHOWN = frozenset({"columns", "tables", "texts", "disclosure", "labels"})
"""Keys of a recipe that select no units, but may leave rows out: labels without an answer, classes of too few persons."""
_ORDER = (Cause.LINK, Cause.DRAWN, Cause.FILTER, Cause.RULE, Cause.SOURCE)
"""Which cause a row has that differs in several columns."""
_OF_COHORT: Mapping[Reason, Cause] = {
    Reason.NEW: Cause.INPUT, Reason.GONE: Cause.SOURCE, Reason.DATA: Cause.SOURCE, Reason.LINK: Cause.LINK,
    Reason.PERSON: Cause.LINK, Reason.PERMISSION: Cause.PERMISSION, Reason.ADDED: Cause.FILTER,
    Reason.REMOVED: Cause.FILTER, Reason.CHANGED: Cause.FILTER, Reason.CODELIST: Cause.FILTER,
    Reason.CONCEPT: Cause.FILTER, Reason.INDEX: Cause.FILTER, Reason.MOVED: Cause.DRAWN, Reason.PROFILE: Cause.RULE,
}  # fmt: skip


def row_causes(before: Contents, after: Contents, schema: pa.Schema, compared: Compared) -> dict[str, dict[str, int]]:
    """Why rows of a table came, went and differ; the counts of each add up to all."""
    found: dict[str, dict[str, int]] = {}
    for change, count in (("added", compared.added), ("removed", compared.removed)):
        if count:
            found[change] = {_moved(before, after).value: count}
    changed = _changed(before, after, schema, compared)
    return found | ({"changed": changed} if changed else {})


def _moved(before: Contents, after: Contents) -> Cause:
    """Why rows came or went: told only where the archive is the same, so that nothing has come, gone or changed there."""
    if not before.inputs or before.inputs != after.inputs or has_other_rules(before, after):
        return Cause.UNTOLD
    if (before.deid.get("k_required"), before.has_permissions) != (after.deid.get("k_required"), after.has_permissions):
        return Cause.UNTOLD
    differing = {key for key in {*before.recipe, *after.recipe} if before.recipe.get(key) != after.recipe.get(key)} - _WORDS
    if differing & _SHOWN:
        return Cause.UNTOLD
    if not differing - {"split"}:
        return Cause.PERMISSION
    if _permitted(before) != _permitted(after):
        return Cause.UNTOLD  # permissions are today's, and have changed besides
    return Cause.DRAWN if differing <= {"split", "sample"} else Cause.FILTER


def _permitted(contents: Contents) -> object:
    """What the attrition tells of permissions; never the same as another's if that is hidden."""
    told = [step["dropped"] for step in contents.attrition["steps"] if step["id"] == "permission"]
    return told[0] if told and isinstance(told[0], int) else object()


def _changed(before: Contents, after: Contents, schema: pa.Schema, compared: Compared) -> dict[str, int]:
    ranks = np.full(compared.kept, len(_ORDER), np.int8)
    for name, rows in compared.by_column.items():
        rank = _ORDER.index(_of_column(before, after, schema.field(name)))
        ranks[rows] = np.minimum(ranks[rows], rank)
    counts = np.bincount(ranks, minlength=len(_ORDER) + 1)[: len(_ORDER)]
    return {cause.value: int(count) for cause, count in zip(_ORDER, counts, strict=True) if count}


def _of_column(before: Contents, after: Contents, column: "pa.Field[Any]") -> Cause:
    if column.name in _OF_LINKS:
        return Cause.LINK
    if column.name == SPLIT.name:
        return Cause.DRAWN
    if column.name in {*label_columns(before.recipe), *label_columns(after.recipe)}:
        return Cause.FILTER if before.recipe.get("labels") != after.recipe.get("labels") else Cause.SOURCE
    if has_other_rules(before, after) and _is_ruled(column):
        return Cause.RULE
    return Cause.SOURCE


def _is_ruled(column: "pa.Field[Any]") -> bool:
    """Whether a profile decides what is shown of a column: days, and whatever is not declared to identify nobody."""
    return pa.types.is_date(column.type) or (column.metadata or {}).get(b"identifying", b"none") != b"none"


# --- What the cohort tells ---------------------------------------------------------------------------------------------


def cohort_causes(cohort: Path, previous: Path, release: Release) -> dict[str, dict[str, int | str]]:
    """Why a cohort's units came, went and changed, if the run that it was compared with is the one behind a release.

    Args:
        cohort: the cohort's folder.
        previous: the folder with the run before.
        release: the release of the version before.

    Returns:
        ``added``, ``removed`` and ``changed`` to cause to how many units, small counts hidden; empty if the runs are others.
    """
    try:
        facts = json.loads((previous / COHORT_FILE).read_bytes())
        told = json.loads((cohort / DIFFERENCES).read_bytes())
        inputs = {name: digest for name, digest in facts["inputs"].items() if name.startswith("deid/")}
        run, manifest = (facts["recipe"]["sha256"], inputs), release.manifest
        if run != (manifest["recipe"]["canonical_sha256"], manifest["inputs"]):
            return {}
        changes = (("added", "gained"), ("removed", "lost"), ("changed", "altered"))
        return {change: _summed(told[name]) for change, name in changes if told[name]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # there is none, or it is of an earlier pathcurate


def _summed(parts: Iterable[Mapping[str, Any]]) -> dict[str, int | str]:
    """Counts by cause; one that holds a hidden count is hidden too."""
    counts: dict[str, list[int | str]] = {}
    for part in parts:
        counts.setdefault(_OF_COHORT.get(Reason(part["reason"]), Cause.UNTOLD).value, []).append(part["count"])
    return {cause: _sum(listed) for cause, listed in sorted(counts.items())}


def _sum(counts: Sequence[int | str]) -> int | str:
    if len(counts) == 1:
        return counts[0]
    shown = [count for count in counts if isinstance(count, int)]
    return sum(shown) if len(shown) == len(counts) else WITHHELD

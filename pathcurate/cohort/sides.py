"""The side of each unit: whole groups of whoever may be one person or share a scan, held out, kept, or dealt out."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError, RecipeError
from pathcurate.model.recipe import Recipe, Split
from pathcurate.pseudonyms import product
from pathcurate.releases import verify_release
from pathcurate.splits import assign_splits
from pathcurate.tables import column_values, read_parquet, read_schema
from pathcurate.vault import open_vault
from pathcurate.workspace import Workspace

SCAN_GROUPS_SQL = (
    "select distinct s.scan_group as scan_group, s.group_id as group_id from slides as s"
    " join (select g.scan_group as scan_group from slides as g where g.scan_group is not null"
    " and g.group_id is not null group by g.scan_group having count(distinct g.group_id) > 1) as m"
    " on m.scan_group = s.scan_group where s.group_id is not null order by scan_group, group_id"
)
"""Groups of persons of whom the same scan lies in the archive more than once."""


def together(engine: Engine, groups: Sequence[str]) -> list[str]:
    """For each row the name of all who stay on its side: its group, and those whose slides are copies of its slides.

    Args:
        engine: with the view ``slides``.
        groups: the group of each row.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.get(name, name)) != name:
            name = above
        return name

    pairs = engine.table(SCAN_GROUPS_SQL)
    first: dict[str, str] = {}
    for scan, group in zip(column_values(pairs, "scan_group"), column_values(pairs, "group_id"), strict=True):
        # The smallest name stands for all, so that the order of rows does not matter.
        low, high = sorted((root(first.setdefault(scan, group)), root(group)))
        parent[high] = low
    return [root(group) for group in groups]


def sides_of(recipe: Recipe, rows: pa.Table, groups: Sequence[str], kept: Mapping[str, str]) -> list[str]:
    """The side of each row.

    Args:
        recipe: with a split.
        rows: the units, with the strata's columns and, for each held-out side, a column ``is_SIDE``.
        groups: who stays together, see :func:`together`.
        kept: side by patient of an earlier release, see :func:`earlier_sides`.

    Raises:
        RecipeError: the earlier release has persons of one group on two sides.
    """
    split = recipe.split
    if split is None:
        return []
    fixed: dict[str, str] = _kept(rows, groups, kept, split)
    for side in split.hold_out or {}:
        for group, is_held in zip(groups, column_values(rows, f"is_{side}"), strict=True):
            if is_held:
                fixed[group] = side
    values = [column_values(rows, name) for name in split.stratify]
    strata: list[tuple[Any, ...]] = list(zip(*values, strict=True)) if values else [()] * len(groups)
    free = [row for row, group in enumerate(groups) if group not in fixed]
    dealt = assign_splits([groups[row] for row in free], [strata[row] for row in free], dict(split.ratios), recipe.seed)
    return [fixed[group] if group in fixed else dealt[group] for group in groups]


def _kept(rows: pa.Table, groups: Sequence[str], kept: Mapping[str, str], split: Split) -> dict[str, str]:
    if not kept:
        return {}
    fixed: dict[str, str] = {}
    torn = set()
    for group, patient in zip(groups, column_values(rows, "patient_id"), strict=True):
        side = kept.get(patient)
        if side is not None and side in split.sides and fixed.setdefault(group, side) != side:
            torn.add(group)
    if torn:
        raise RecipeError(
            f"`keep_from` has {len(torn)} groups on two sides who are known to belong together by now",
            "A model may have seen them on both sides. Take a version without that, or split anew without `keep_from`.",
        )
    return fixed


def earlier_sides(workspace: Workspace, recipe: Recipe, patients: Sequence[str]) -> dict[str, str]:
    """The side that patients had in the release that ``keep_from`` names.

    Args:
        workspace: with the release.
        recipe: with a split.
        patients: internal codes of the patients of the cohort.

    Raises:
        PlanIncompleteError: the release is not there, or does not hold patients and sides.
        DigestMismatchError: it was changed.
    """
    if recipe.split is None or recipe.split.keep_from is None:
        return {}
    name, _, version = recipe.split.keep_from.partition("@")
    directory = workspace.releases / name / version
    if not directory.is_dir():
        raise PlanIncompleteError(
            f"`keep_from` names {name}@{version}, which is no release of this workspace",
            "See `pathcurate manifest list`, or leave `keep_from` out.",
        )
    release = verify_release(directory)
    for path in sorted(directory.rglob("*.parquet")):
        if {"patient_id", "split"} <= set(read_schema(path).names):
            rows = read_parquet(path, ["patient_id", "split"])
            rows = rows.filter(pc.is_valid(rows["patient_id"]))
            by_code = dict(zip(column_values(rows, "patient_id"), column_values(rows, "split"), strict=True))
            unique = list(dict.fromkeys(patients))
            # The release has codes of its own.
            codes = product(open_vault(workspace.vault).key, name).codes.codes("P", unique)
            return {patient: by_code[code] for patient, code in zip(unique, codes, strict=True) if code in by_code}
    raise PlanIncompleteError(
        f"{release.name} {release.version} does not say which patient is on which side",
        "Only a release with the columns `patient_id` and `split` can be kept to.",
    )

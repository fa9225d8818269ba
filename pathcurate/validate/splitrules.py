"""PC-SPL: nobody is on two sides, and the sides are as large as they should be."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import sqrt

from pathcurate.model.deidentified import SPLIT
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.validate.arrays import differing, sides
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import Opened, OpenedTable
from pathcurate.validate.tablerules import leakage

_SIDE = SPLIT.name
_RULES = tuple(f"PC-SPL-{number:03}" for number in range(1, 6))
_DEVIATIONS = 4
"""Standard deviations of a share that chance explains: beyond these once in 16,000 releases."""
_FEWEST_GROUPS = 20


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """What is wrong with the split."""
    tables = [table for table in opened.tables.values() if table.has(_SIDE)]
    if not tables:
        asked = opened.recipe is not None and opened.recipe.split is not None and bool(opened.manifest["split"])
        yield Unchecked(_RULES, "no table shows the side of a split", applies=asked)
        return
    yield from _scan_groups(tables)
    for table in tables:
        yield from _of_table(table)
        yield from _sides(opened, table)
    yield from _disagreeing(tables)
    yield from _shares(opened)


def of_table(table: OpenedTable) -> Iterator[Breach | Unchecked]:
    """What a table alone tells of its split."""
    if not table.has(_SIDE):
        yield Unchecked(_RULES, "the table shows no side of a split", applies=False)
        return
    yield from _scan_groups([table])
    yield from _of_table(table)


def _scan_groups(tables: Sequence[OpenedTable]) -> Iterator[Unchecked]:
    if not any(table.has("scan_group") for table in tables):
        yield Unchecked(("PC-SPL-003",), "no table with a split tells scan groups", applies=False)


def _of_table(table: OpenedTable) -> Iterator[Breach]:
    if not (table.has("group_id") or table.has("patient_id")):
        message = "cannot be checked for patients on two sides: neither group_id nor patient_id is in the table"
        yield breach("PC-SPL-002", message, table=table.name, column=_SIDE, cause=("split",))
    yield from leakage(table, _SIDE)


def _disagreeing(tables: Sequence[OpenedTable]) -> Iterator[Breach]:
    """Patients whose side is another one in another table."""
    known = [table for table in tables if table.has("patient_id", _SIDE)]
    for one, other in combinations(known, 2):
        torn = differing(
            one.codes("patient_id"), one.codes(_SIDE), other.codes("patient_id"), other.codes(_SIDE)
        )  # fmt: skip
        if torn:
            have = "patient has" if torn == 1 else "patients have"
            message = f"{torn:,} {have} another side in {one.name} than in {other.name}"
            yield breach("PC-SPL-001", message, table=other.name, column="patient_id", count=torn, cause=("split",))


def _sides(opened: Opened, table: OpenedTable) -> Iterator[Breach | Unchecked]:
    without = table.facts.columns[_SIDE].nulls
    if without:
        message = f"{counted(without, 'row')} without a side"
        yield breach("PC-SPL-005", message, table=table.name, column=_SIDE, count=without, of=table.rows, cause=("split",))
    if opened.recipe is None or opened.recipe.split is None:
        yield Unchecked(("PC-SPL-004", "PC-SPL-005"), "the recipe cannot be read, or asks for no split")
        return
    found = set(table.codes(_SIDE).values.to_pylist())
    for side in opened.recipe.split.sides:
        if side not in found:
            yield breach("PC-SPL-005", f"side {side} has no rows", table=table.name, column=_SIDE, cause=("split",))


def _shares(opened: Opened) -> Iterator[Breach | Unchecked]:
    table, recipe = opened.tables.get(opened.unit), opened.recipe
    if table is None or recipe is None or recipe.split is None or not table.has(_SIDE):
        return
    split = recipe.split
    owner = next((name for name in ("group_id", "patient_id") if table.has(name)), None)
    if split.hold_out or split.keep_from or owner is None:
        why = "groups that are held out, or keep their side, follow no share" if owner else "nothing says whose a row is"
        yield Unchecked(("PC-SPL-004",), why, applies=owner is None)
        return
    held = sides(table.codes(owner), table.codes(_SIDE))
    groups = sum(held.values())
    if groups < _FEWEST_GROUPS:
        yield Unchecked(("PC-SPL-004",), f"fewer than {_FEWEST_GROUPS} groups follow no share", applies=False)
        return
    for side, ratio in split.ratios.items():
        share = held.get(side, 0) / groups
        allowed = _DEVIATIONS * sqrt(ratio * (1 - ratio) / groups)
        if abs(share - ratio) > max(allowed, 0.005):
            message = f"side {side} has {share:.1%} of the groups; the recipe asks for {ratio:.1%}"
            yield breach(
                "PC-SPL-004", message, table=table.name, column=_SIDE, measured=f"{share:.4f}", threshold=f"{ratio:.4f}",
                cause=("split", "ratios", side),
            )  # fmt: skip

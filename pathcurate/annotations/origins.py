"""Whose delivery annotations come back from, and which original slide each of the recipient's codes stands for."""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from pathcurate import pseudonyms
from pathcurate.errors import InputOutputError, PlanIncompleteError, UsageError
from pathcurate.model.deidentified import UNIT_KEYS, UNIT_TABLES
from pathcurate.model.lifecycle import Machine
from pathcurate.model.slide import SLIDES
from pathcurate.registries import Registry
from pathcurate.releases import find_release, read_release
from pathcurate.rights.withdrawn import read_withdrawals
from pathcurate.tables import Catalog, column_values, read_parquet
from pathcurate.withdrawals.subjects import withdrawn_subjects
from pathcurate.workspace import Workspace

_AT_THE_RECIPIENTS: Final = frozenset({"completed", "acknowledged", "settled", "recalled", "destroyed"})
"""States of a delivery that has arrived; what was drawn before it was destroyed may still come back."""
_OWNERS: Final = {"slide": "slide_id", "case": "case_id", "patient": "patient_id", "person": "group_id", "site": "site"}


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery that has arrived.

    Attributes:
        delivery: its id.
        product: the name of the product.
        version: of the release.
        recipient: short name of whoever has it.
    """

    delivery: str
    product: str
    version: str
    recipient: str


def delivered(registry: Registry, delivery: str) -> Delivered:
    """A delivery of which annotations may come back.

    Raises:
        PlanIncompleteError: it has not arrived, or it is not known whose it is.
        UsageError: there is none of that id.
    """
    subject = registry.subject(Machine.DELIVERY, delivery)
    if subject is None:
        raise UsageError("there is no such delivery", "`pathcurate product deliveries` lists them.")
    if subject.state not in _AT_THE_RECIPIENTS:
        raise PlanIncompleteError(
            f"{subject.id} is {subject.state}: nothing can come back of what has not arrived",
            f"Deliver it first: `pathcurate product deliver {subject.parent}` goes on.",
        )
    contract = registry.subject(Machine.CONTRACT, subject.parent)
    recipient = contract.facts.get("recipient") if contract is not None else None
    if not isinstance(recipient, str):
        raise PlanIncompleteError(
            f"the contract of {subject.id} does not say who the recipient is",
            "`pathcurate product verify` says whether the registry was changed.",
        )
    return Delivered(subject.id, subject.product, subject.version, recipient)


def originals_of(workspace: Workspace, of: Delivered, key: bytes) -> dict[str, str]:
    """Recipient's code to slide_id, of the slides of a delivery's release; of people who have withdrawn, there is none.

    Args:
        workspace: the workspace.
        of: the delivery.
        key: the vault's.

    Raises:
        InputOutputError: the release or the de-identified tables cannot be read.
        UsageError: the release is not there.
        VaultError: the list of those who have withdrawn is damaged.
    """
    inside = pseudonyms.internal(key).codes
    slides = Catalog(workspace.catalog).read(SLIDES, columns=("slide_id",))["slide_id"]
    originals = dict(zip(inside.code_array("S", slides).to_pylist(), slides.to_pylist(), strict=True))
    path = workspace.deid / "slides.parquet"
    if not path.is_file():
        raise InputOutputError("the de-identified tables are not there", "Run `pathcurate deid apply`, then import again.")
    shown = read_parquet(path, tuple(_OWNERS.values()))
    for column, gone in _withdrawn(workspace).items():
        found = [code is not None and code in gone for code in column_values(shown, column)]
        shown = shown.filter(pa.array([not one for one in found], pa.bool_()))
    codes = _of_release(workspace, of, key, shown)
    outer = pseudonyms.recipient(key, of.product, of.recipient).codes.codes("S", codes)
    made = zip(outer, codes, strict=True)
    return {code: originals[inner] for code, inner in made if code is not None and inner in originals}


def _withdrawn(workspace: Workspace) -> dict[str, set[str]]:
    """Column of the de-identified slides to internal codes of those who have withdrawn or opted out."""
    gone: dict[str, set[str]] = {column: set() for column in _OWNERS.values()}
    gone["site"] |= {one.site for one in read_withdrawals(workspace)}
    for subject, code in withdrawn_subjects(workspace):
        if subject in _OWNERS:
            gone[_OWNERS[subject]].add(code)
    path = workspace.vault / "criteria" / "permissions.parquet"
    rows = read_parquet(path, ("subject", "subject_code", "opt_out")).to_pylist() if path.is_file() else []
    for row in rows:
        if row["opt_out"] and row["subject"] in _OWNERS and row["subject_code"] is not None:
            gone[_OWNERS[row["subject"]]].add(row["subject_code"])
            if row["subject"] == "person":
                gone["patient_id"].add(row["subject_code"])
    return gone


def _of_release(workspace: Workspace, of: Delivered, key: bytes, shown: pa.Table) -> list[str]:
    """Internal codes of the slides that the release has, by the rows of its unit."""
    release = read_release(find_release(workspace.releases, f"{of.product}@{of.version}", workspace.releases))
    unit = next(unit for unit, name in UNIT_TABLES.items() if name in release.tables)
    column = UNIT_KEYS[unit]
    given = {
        code for path in release.paths(UNIT_TABLES[unit]) for code in column_values(read_parquet(path, (column,)), column)
    }
    inside = column_values(shown, column)
    outer = pseudonyms.product(key, of.product).codes.codes(column[0].upper(), inside)
    slides = column_values(shown, "slide_id")
    return [slide for slide, code in zip(slides, outer, strict=True) if code is not None and code in given]

"""What the holder sends to a recipient, for them to sign."""

from pathlib import Path

from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY
from pathcurate.model.product import Subject
from pathcurate.product.contracts import contract_directory, given_signatures, read_agreement
from pathcurate.product.desk import Desk
from pathcurate.storage import write_bytes


def demand_free(target: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        UsageError: it does, or is no folder.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise UsageError(f"{target} is there already", "Name a folder that is to be made; nothing was signed.")


def copy_papers(desk: Desk, contract: Subject, target: Path) -> tuple[str, ...]:
    """Copy the terms, their policy and the holder's signatures; names of the files.

    Raises:
        DigestMismatchError: the terms were changed since they were signed.
        PlanIncompleteError: signatures of the holder are still lacking.
        UsageError: there is something in the folder.
    """
    if contract.state in {"approved", "negotiating"}:
        raise PlanIncompleteError(
            f"contract {contract.id} still lacks signatures of the holder",
            "What was signed is kept; let the others sign, and give --to then.",
        )
    demand_free(target)
    read_agreement(desk, contract)
    directory = contract_directory(desk.workspace, contract.id)
    names = (AGREEMENT_FILE, AGREEMENT_POLICY, *(one.file for one in given_signatures(contract, "signatures")))
    contents = {name: (directory / name).read_bytes() for name in names}
    target.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_bytes(target / name, content)
    return names

"""Contracts for tests: somebody applies for a release that is on offer, it is approved, signed and accepted."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

from pyrage import x25519

from pathcurate.product import applying, contracts
from pathcurate.product.contracts import Terms, contract_directory, find_contract
from pathcurate.receiving.accepting import accept
from pathcurate.signing import Ed25519Signer
from tests.products import House, key

USE: dict[str, Any] = {
    "purpose": "DUO_0000006", "diseases": [], "commercial": False, "methods": True, "trains_models": True,
    "ancestry": False, "genetic": False, "clinical_care": False, "publishes": True, "collaborates": False,
    "returns_data": False, "reports_use": True, "gives_on": False, "exports_raw_images": False, "leaves_country": False,
}  # fmt: skip


class Recipient(NamedTuple):
    """A contract, and what its recipient alone has."""

    contract: str
    signer: Ed25519Signer
    identity: x25519.Identity


def application(
    recipient: str = "lab",
    *,
    signer: Ed25519Signer | None = None,
    identity: x25519.Identity | None = None,
    use: dict[str, Any] | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """What an application says; ``parts`` replace parts of it, ``use`` parts of its use."""
    public = b64encode((signer or key()).public).decode()
    return {
        "application": 1,
        "recipient": recipient,
        "applicant": {
            "name": f"示例实验室 {recipient}", "kind": "university", "not_for_profit": True, "country": "CN",
            "contact": {"name": "数据组", "email": "data@lab.example"}, "responsible": "王教授",
        },
        "project": {"title": "A study", "summary": "Slides are looked at."},
        "use": {**USE, **(use or {})},
        "environment": "file",
        "period": {"first": "2026-01-02", "last": "2026-12-31"},
        "keys": {"signing": public, "encryption": str((identity or x25519.Identity.generate()).to_public())},
        **parts,
    }  # fmt: skip


def write_application(path: Path, said: dict[str, Any]) -> Path:
    """The file of an application."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
    return path


def applied(house: House, recipient: str = "lab", **parts: Any) -> Recipient:
    """Somebody has applied for the house's release."""
    signer, identity = parts.pop("signer", None) or key(), parts.pop("identity", None) or x25519.Identity.generate()
    said = application(recipient, signer=signer, identity=identity, **parts)
    file = write_application(house.root.parent / "post" / f"{recipient}.yaml", said)
    with house.desk() as desk:
        made = applying.apply(desk, house.directory(), file)
    return Recipient(made.contract.id, signer, identity)


def approved(house: House, recipient: str = "lab", **parts: Any) -> Recipient:
    """Steward and compliance officer have approved it."""
    made = applied(house, recipient, **parts)
    for signer in house.people:
        with house.desk() as desk:
            applying.approve(desk, find_contract(desk, made.contract), signer, note="looked at")
    return made


def signed(house: House, recipient: str = "lab", *, terms: Terms | None = None, **parts: Any) -> Recipient:
    """The steward has signed the terms."""
    made = approved(house, recipient, **parts)
    with house.desk() as desk:
        given = terms or Terms(f"HT-{recipient}")
        contracts.contract(desk, find_contract(desk, made.contract), given, house.people.steward)
    return made


def contracted(house: House, recipient: str = "lab", *, terms: Terms | None = None, **parts: Any) -> Recipient:
    """A contract that is in force, for a house whose release is on offer."""
    made = signed(house, recipient, terms=terms, **parts)
    accepted = accept(contract_directory(house.workspace, made.contract), made.signer, now=house.now)
    with house.desk() as desk:
        contracts.activate(desk, find_contract(desk, made.contract), accepted.file.read_bytes())
    return made

"""Agreements for tests: as much of one as its form asks for."""

from typing import Any

from pathcurate.model.trust import TrustedSigner

HEX = "0" * 64


def agreement_document(
    contract: str, name: str, public: str, days: int, holder: TrustedSigner, **parts: Any
) -> dict[str, Any]:
    """What ``agreement.json`` holds of a contract for ``small@1.0.0``."""
    party = {
        "name": "示例实验室", "kind": "university", "not_for_profit": True, "country": "CN", "responsible": "王五",
        "contact": {"name": "张三", "email": "a@example.cn"},
    }  # fmt: skip
    return {
        "schema": "https://pathcurate.example/schema/agreement/1", "contract": contract, "number": "HT-1",
        "product": "small", "version": "1.0.0", "release_digest": f"sha256:{HEX}", "urn": "urn:x:small:1.0.0",
        "title": "t", "holder": "示例中心", "recipient": name, "party": party, "purpose": "DUO_0000042", "diseases": [],
        "duo": [], "forbidden": [], "environment": "tre", "period": {"first": "2026-01-01", "last": "2027-01-01"},
        "price": None, "deletion_days": days, "policy_sha256": f"sha256:{HEX}", "application_sha256": f"sha256:{HEX}",
        "signed_on": "2026-01-01", "keys": {"signing": public, "encryption": "age1" + "q" * 58},
        "holder_keys": [holder.model_dump(mode="json")], **parts,
    }  # fmt: skip

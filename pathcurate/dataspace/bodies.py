"""What the management API of an Eclipse EDC connector is sent: bodies of version 4, and the same for version 3.

An asset is a version of a product, its contract policy are the release's terms, and the contract definition puts both on
offer: whoever meets the access policy sees it. The access policy is the connector's own; it is only named here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pathcurate.dataspace.policies import citations, connector_policy, offered_terms
from pathcurate.dataspace.terms import CITATION, DCT
from pathcurate.model.dataspace import EDC_CONTEXT, Offering
from pathcurate.model.description import NAMESPACE

Body = dict[str, Any]
EDC = "https://w3id.org/edc/v0.0.1/ns/"
ID_OPERAND = f"{EDC}id"
RELEASE_DIGEST_PROPERTY = f"{NAMESPACE}ns#releaseDigest"
CONTENT_DIGEST_PROPERTY = f"{NAMESPACE}ns#contentDigest"
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
MEDIA_TYPE = "application/vnd.apache.parquet"
SCOPES = ("contract.negotiation", "transfer.process")
"""In which a connector applies a contract policy; an access policy it applies in ``catalog``."""
CATALOG_SCOPE = "catalog"
ODRL_CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
_COUNTED = ("slides", "cases", "patients")


def refs_of(asset_id: str) -> dict[str, str]:
    """What the parts of an offer are called in a connector, by the asset's name."""
    return {
        "asset": asset_id,
        "contract_policy": f"{asset_id}:contract-policy",
        "contract_definition": f"{asset_id}:offer",
    }  # fmt: skip


def asset_body(offering: Offering, transfer: Sequence[str] = ()) -> Body:
    """An asset: what is on offer, with the digest that says which bytes that is.

    Args:
        offering: the version.
        transfer: how a buyer comes by it, instead of what the offering says.
    """
    properties: Body = {
        "name": plain(offering.title_zh or offering.title_en),
        "version": offering.version,
        "contenttype": MEDIA_TYPE,
        "conformsTo": CONFORMS_TO,
        f"{DCT}identifier": offering.asset_id,
        f"{DCT}title": _both(offering.title_zh, offering.title_en),
        f"{DCT}description": _both(offering.description_zh, offering.description_en),
        f"{DCT}issued": offering.published,
        f"{DCT}publisher": plain(offering.holder),
        "http://www.w3.org/ns/dcat#keyword": [plain(word) for word in offering.keywords],
        f"{NAMESPACE}ns#kind": offering.kind,
        RELEASE_DIGEST_PROPERTY: offering.release_digest,
        CONTENT_DIGEST_PROPERTY: offering.content_digest,
        f"{NAMESPACE}ns#registrationNo": list(offering.registration_numbers),
        CITATION: [plain(text) for text in citations(offered_terms(offering))],
        **{f"{NAMESPACE}ns#{name}": str(offering.counts[name]) for name in _COUNTED if name in offering.counts},
    }
    return {
        "@context": [EDC_CONTEXT],
        "@type": "Asset",
        "@id": offering.asset_id,
        "properties": {name: value for name, value in properties.items() if value not in ("", [])},
        "privateProperties": {"registryReleaseId": f"{offering.product}@{offering.version}"},
        "dataplaneMetadata": {"@type": "DataplaneMetadata", "labels": list(transfer or offering.transfer)},
    }


def _both(zh: str, en: str) -> list[str]:
    return list(dict.fromkeys(plain(text) for text in (zh, en) if text))


def plain(text: str) -> str:
    """A text for people without signs that no store can hold, or that turn its direction; lines stay."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


def policy_body(offering: Offering) -> Body:
    """The contract policy: the release's terms."""
    return {
        "@context": [EDC_CONTEXT],
        "@type": "PolicyDefinition",
        "@id": refs_of(offering.asset_id)["contract_policy"],
        "policy": connector_policy(offered_terms(offering)),
    }


def contract_definition_body(offering: Offering, access_policy: str) -> Body:
    """The contract definition: what makes an asset visible, and its policy its price.

    Args:
        offering: the version.
        access_policy: id of the connector's own policy that says who may see it.
    """
    refs = refs_of(offering.asset_id)
    return {
        "@context": [EDC_CONTEXT],
        "@type": "ContractDefinition",
        "@id": refs["contract_definition"],
        "accessPolicyId": access_policy,
        "contractPolicyId": refs["contract_policy"],
        "assetsSelector": [criterion(ID_OPERAND, refs["asset"])],
    }


def criterion(left: str, right: str) -> Body:
    """That something is equal to a text."""
    return {"@type": "Criterion", "operandLeft": left, "operator": "=", "operandRight": right}


def query_body(criteria: Sequence[Body] = (), *, limit: int = 50) -> Body:
    """A query; without criteria it asks for anything."""
    body: Body = {"@context": [EDC_CONTEXT], "@type": "QuerySpec", "offset": 0, "limit": limit}
    if criteria:
        body["filterExpression"] = list(criteria)
    return body


def plan_request_body(scope: str) -> Body:
    """Asks what a connector would make of a policy in a scope."""
    return {"@context": [EDC_CONTEXT], "@type": "PolicyEvaluationPlanRequest", "policyScope": scope}


# --- Version 3 ---------------------------------------------------------------------------------------------------------


def in_version_3(body: Mapping[str, Any]) -> Body:
    """The body for a connector up to 0.18 that has version 3 only.

    It differs in its context, which is an object with EDC's vocabulary there, so that a policy brings ODRL's own; and an
    asset has a data address.
    """
    other: Body = {**body, "@context": {"@vocab": EDC}}
    if body["@type"] == "PolicyDefinition":
        other["policy"] = {"@context": ODRL_CONTEXT, **body["policy"]}
    if body["@type"] == "Asset":
        kind, _, _ = body["dataplaneMetadata"]["labels"][0].rpartition("-PU")
        other["dataAddress"] = {"@type": "DataAddress", "type": kind or body["dataplaneMetadata"]["labels"][0]}
    return other

"""The policy of a release (``metadata/policy.odrl.jsonld``): an ODRL 2.2 Offer, and what speaks against it.

What the ODRL vocabulary has no word for is defined in the document itself, see ``odrl.yaml``. A reader that does not know
these words must refuse, not pass over them: connectors that drop an operand they do not know allow what it forbids.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.metadata.duo import DuoTerm, duo_terms
from pathcurate.metadata.linkeddata import (
    DUO,
    Node,
    agent,
    graph,
    holder_iri,
    literal,
    names_in,
    part_of,
    reference,
    said,
    spoken,
)
from pathcurate.model.description import NAMESPACE, Description
from pathcurate.model.productfile import Bilingual, Policy, ProductFile

PROFILE = f"{NAMESPACE}odrl/profile/cn-health/1"
FORBIDDEN_ACTIONS: Mapping[str, str] = {
    "reidentify": "pc:reidentify",
    "export_raw_image": "pc:exportRawImage",
    "cross_border_transfer": "pc:crossBorderTransfer",
    "distribute": "odrl:distribute",
    "commercial_use": "pc:commercialUse",
    "train_models": "pc:trainModels",
}
"""What the product file calls forbidden, as an action."""
_FILE = Path(__file__).parent / "odrl.yaml"
_OBO = ("MONDO", "DOID", "HP", "NCIT")
"""Code systems of the OBO Foundry, whose codes have names of one form."""
_Own = Mapping[Annotated[str, Field(pattern=r"^pc:[A-Za-z]+$")], Bilingual]


class OwnTerms(BaseModel):
    """Words of our own, by what they are in ODRL: ``odrl:Action``, ``odrl:LeftOperand``, ``odrl:RightOperand``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    actions: _Own
    operands: _Own
    values: _Own


@cache
def own_terms() -> OwnTerms:
    """Every word of our own that a policy may use."""
    return yamlsource.validate(yamlsource.load(_FILE, _FILE.name, UsageError), OwnTerms, UsageError)


def offer_iri(description: Description) -> str:
    """Names the policy of this version."""
    return part_of(description, "offer")


def policy_document(description: Description, file: ProductFile) -> str:
    """The policy as JSON-LD.

    It is an Offer if the product file says who offers, else a Set (ODRL Information Model 2.2, section 2.1.2: an Offer has
    an assigner). It names the digest of the tables; that of the release covers this document too and so cannot stand in it.
    """
    offer = said({
        "@id": offer_iri(description),
        "@type": "odrl:Offer" if file.holder else "odrl:Set",
        "odrl:uid": reference(offer_iri(description)),
        "odrl:profile": reference(PROFILE),
        "odrl:conflict": reference("odrl:prohibit"),
        "odrl:target": reference(description.urn),
        "odrl:assigner": reference(holder) if (holder := holder_iri(description)) else None,
        "odrl:permission": [_permission(description, file.policy)],
        "odrl:prohibition": [_rule("Prohibition", action) for action in _prohibited(file.policy)],
        "odrl:obligation": list(_obligations(file.policy)),
    })  # fmt: skip
    holder_node = [agent(description, file.holder)] if file.holder else []
    prefixes = ("dct", "foaf", "odrl", "pc", "prov", "rdfs", "xsd")
    return graph(prefixes, [offer, *holder_node, *definitions(set(names_in(offer)))])


def _rule(kind: str, action: str, **more: object) -> Node:
    return {"@type": f"odrl:{kind}", "odrl:action": reference(action), **more}


def _permission(description: Description, policy: Policy) -> Node:
    duties = [_rule("Duty", term.duty) for _, term in _terms(policy) if term.duty]
    return said({
        **_rule("Permission", "odrl:use"),
        "odrl:constraint": list(_constraints(description, policy)),
        "odrl:duty": duties,
    })  # fmt: skip


def _terms(policy: Policy) -> Iterator[tuple[str, DuoTerm]]:
    """The policy's terms that the table knows, each once."""
    known = duo_terms()
    return ((code, known[code]) for code in dict.fromkeys(policy.duo) if code in known)


def _constraints(description: Description, policy: Policy) -> Iterator[Node]:
    """What a use must meet, all of it."""
    if purposes := [duo_iri(code) for code, term in _terms(policy) if term.allows]:
        yield constraint("odrl:purpose", "isAnyOf", [reference(purpose) for purpose in purposes])
    if policy.diseases:
        yield constraint("pc:disease", "isAnyOf", [reference(disease_iri(code)) for code in policy.diseases])
    limits = dict.fromkeys((left, right) for _, term in _terms(policy) for left, right in term.limits.items())
    for left, right in limits:
        yield constraint(left, "isA", reference(right))
    yield constraint("pc:environment", "eq", reference(f"pc:{policy.environment}"))
    if policy.valid_until is not None:
        yield constraint("odrl:dateTime", "lteq", literal(policy.valid_until, "date"))
    yield constraint("pc:contentDigest", "eq", description.content_digest)


def constraint(left: str, operator: str, right: object) -> Node:
    """What an operand must be."""
    return {
        "@type": "odrl:Constraint",
        "odrl:leftOperand": reference(left),
        "odrl:operator": reference(f"odrl:{operator}"),
        "odrl:rightOperand": right,
    }


def duo_iri(code: str) -> str:
    """Names a term of the Data Use Ontology."""
    return f"{DUO}{code.removeprefix('DUO_')}"


def disease_iri(code: str) -> str:
    """Names a disease by its code, in the ontology that has it or else in a name space of ours."""
    system, _, number = code.partition(":")
    if system in _OBO:
        return f"http://purl.obolibrary.org/obo/{system}_{quote(number, safe='')}"
    return f"{NAMESPACE}code/{system}/{quote(number, safe='')}"


def _prohibited(policy: Policy) -> dict[str, None]:
    """Actions that are prohibited, by the product file and by its terms, each once and in this order."""
    by_terms = (term.forbids for _, term in _terms(policy) if term.forbids)
    return dict.fromkeys((*(FORBIDDEN_ACTIONS[word] for word in policy.forbidden), *by_terms))


def _obligations(policy: Policy) -> Iterator[Node]:
    revoked = constraint("odrl:event", "eq", reference("pc:revocation"))
    yield _rule("Duty", "odrl:delete", **{"odrl:constraint": [revoked]})
    if policy.report_use:
        yield _rule("Duty", "pc:reportUse")
    if policy.attribution is not None:
        yield _rule("Duty", "odrl:attribute", **{"dct:bibliographicCitation": policy.attribution})


def definitions(used: set[str]) -> Iterator[Node]:
    """Words of our own and of DUO that a document uses, with what they mean."""
    own = own_terms()
    for kind, terms in (("Action", own.actions), ("LeftOperand", own.operands), ("RightOperand", own.values)):
        for name, text in terms.items():
            if name in used:
                within = {"odrl:includedIn": reference("odrl:use")} if kind == "Action" else {}
                yield {"@id": name, "@type": f"odrl:{kind}", "rdfs:label": spoken(text), **within}
    for code, term in duo_terms().items():
        if duo_iri(code) in used:
            yield {"@id": duo_iri(code), "rdfs:label": spoken({"zh": term.zh, "en": term.en}), "dct:identifier": code}


# --- What speaks against it --------------------------------------------------------------------------------------------


def policy_faults(file: ProductFile) -> list[str]:
    """What of a policy contradicts itself or says nothing, a sentence each; none if it can be offered as it is.

    The table of terms is read as its ontology means it: one permission says what the data may be used for, and modifiers
    limit or widen that.
    """
    return [*_faults_of_terms(file), *_faults_of_permissions(file.policy), *_faults_of_the_rest(file)]


def _faults_of_terms(file: ProductFile) -> Iterator[str]:
    policy, known = file.policy, duo_terms()
    has = {
        "diseases": bool(policy.diseases),
        "valid_until": policy.valid_until is not None,
        "cross_border_transfer": "cross_border_transfer" in policy.forbidden,
    }
    for code in dict.fromkeys(policy.duo):
        if code not in known:
            yield f"{code} is no term that data can carry"
            continue
        term = known[code]
        if term.unsaid:
            yield f"{code} ({term.en}) says nothing without {term.unsaid}, which a product file cannot say"
        if term.needs and not has[term.needs]:
            asked = "forbidden: [cross_border_transfer]" if term.needs == "cross_border_transfer" else term.needs
            yield f"{code} ({term.en}) says nothing without `{asked}`"
    if policy.diseases and "DUO_0000007" not in policy.duo:
        yield "`diseases` limits DUO_0000007 (disease specific research), which the policy does not name"


def _faults_of_permissions(policy: Policy) -> Iterator[str]:
    named = dict(_terms(policy))
    permissions = [code for code, term in named.items() if term.kind == "permission"]
    limiting = [code for code, term in named.items() if term.kind == "modifier" and not term.allows]
    if len(permissions) > 1:
        yield f"{' and '.join(permissions)} each say what the data may be used for; a policy names one of them"
    if named and not permissions:
        yield f"{', '.join(named)}: no term says which use is allowed"
    limiting += [f"`forbidden: {word}`" for word in ("commercial_use", "train_models") if word in policy.forbidden]
    if "DUO_0000004" in named and limiting:
        yield f"DUO_0000004 (no restriction) is contradicted by {', '.join(limiting)}"
    if {"DUO_0000011", "DUO_0000044"} <= named.keys():
        yield "DUO_0000011 allows research on ancestry only, and DUO_0000044 prohibits it"


def _faults_of_the_rest(file: ProductFile) -> Iterator[str]:
    policy = file.policy
    if "pc:commercialUse" in _prohibited(policy) and file.price is not None:
        by = [code for code, term in _terms(policy) if term.forbids == "pc:commercialUse"]
        by = by or ["`forbidden: commercial_use`"]
        yield f"{', '.join(by)} allows no commercial use, and the product file asks a price for it"
    if "DUO_0000015" in policy.duo and "train_models" not in policy.forbidden:
        yield "DUO_0000015 allows no development of methods, and `forbidden` does not name `train_models`"
    if "cross_border_transfer" in policy.forbidden and file.declarations.cross_border:
        yield "`forbidden` names cross_border_transfer, and the holder declares that the data leaves the country"
    if policy.valid_until is not None and file.published is not None and policy.valid_until < file.published:
        yield "`valid_until` is before the day of publication"

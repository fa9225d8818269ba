"""The policy of a contract (``policy.odrl.jsonld`` beside ``agreement.json``): an ODRL 2.2 Agreement.

It says what the Offer of the release says, narrowed to this use: purpose, diseases and days are those that were approved,
and it names the digest of the release and who the parties are. Every name in it is absolute.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import InputOutputError
from pathcurate.metadata.linkeddata import Node, graph, literal, names_in, reference, said
from pathcurate.metadata.odrl import constraint, definitions, disease_iri, duo_iri
from pathcurate.model.application import Applicant, Period
from pathcurate.model.description import NAMESPACE, URN

POLICY_PATH = "metadata/policy.odrl.jsonld"
_DISEASE = ("pc:disease", "odrl:isAnyOf")
_NARROWED = frozenset({("odrl:purpose", "odrl:isAnyOf"), ("odrl:dateTime", "odrl:lteq"), _DISEASE})
"""Constraints (operand, operator) of the offer in whose place stand those of the use."""


def agreement_policy(
    offer: bytes, *, contract: str, release_digest: str, party: Applicant, purposes: tuple[str, ...],
    diseases: tuple[str, ...], period: Period, deletion_days: int,
) -> str:  # fmt: skip
    """The policy of a contract as JSON-LD.

    Args:
        offer: the release's policy.
        contract: its id.
        release_digest: of the release.
        party: who gets the data.
        purposes: codes of the terms that say what for.
        diseases: that the use is about.
        period: first and last day of the use.
        deletion_days: within which what was withdrawn is deleted.

    Raises:
        InputOutputError: the release's policy is not of the form that ``manifest build`` writes.
    """
    try:
        nodes = json.loads(offer)["@graph"]
        at = next(place for place, node in enumerate(nodes) if node.get("@type") in {"odrl:Offer", "odrl:Set"})
        permission = nodes[at]["odrl:permission"][0]
        gone = _NARROWED if diseases else _NARROWED - {_DISEASE}
        kept = [one for one in permission["odrl:constraint"] if _kind(one) not in gone]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, StopIteration, RecursionError):
        raise InputOutputError(
            f"{POLICY_PATH} of the release is not what `manifest build` writes", "Restore the release from a copy."
        ) from None
    iri, recipient = f"{URN}:contract:{contract}", party_iri(party)
    constraints = [*_constraints(purposes, diseases, period, release_digest), *kept]
    agreement = {
        **nodes[at], "@id": iri, "@type": "odrl:Agreement", "odrl:uid": reference(iri),
        "odrl:assignee": reference(recipient),
        "odrl:permission": [{**permission, "odrl:constraint": constraints}],
        "odrl:obligation": [_within(one, deletion_days) for one in nodes[at].get("odrl:obligation", ())],
    }  # fmt: skip
    # Words are defined anew: the offer may use some that are narrowed away.
    agents = [node for place, node in enumerate(nodes) if place != at and "foaf:name" in node and node["@id"] != recipient]
    prefixes = ("dct", "foaf", "odrl", "pc", "prov", "rdfs", "xsd")
    return graph(prefixes, [agreement, _party(party, recipient), *agents, *definitions(set(names_in(agreement)))])


def _kind(of: Mapping[str, Any]) -> tuple[str, str]:
    return of["odrl:leftOperand"]["@id"], of["odrl:operator"]["@id"]


def party_iri(party: Applicant) -> str:
    """Names whoever gets the data: by their code, else by a digest of what they are called."""
    own = party.uscc or sha256_text(canonical_json([party.country, party.name])).removeprefix("sha256:")[:32]
    return f"{NAMESPACE}organisation/{own}"


def _party(party: Applicant, iri: str) -> Node:
    return said({
        "@id": iri, "@type": ["foaf:Agent", "foaf:Organization", "prov:Agent"], "foaf:name": party.name,
        "dct:identifier": party.uscc,
    })  # fmt: skip


def _constraints(
    purposes: tuple[str, ...], diseases: tuple[str, ...], period: Period, release_digest: str
) -> Iterator[Node]:
    yield constraint("odrl:purpose", "isAnyOf", [reference(duo_iri(code)) for code in purposes])
    if diseases:
        yield constraint("pc:disease", "isAnyOf", [reference(disease_iri(code)) for code in diseases])
    yield constraint("odrl:dateTime", "gteq", literal(period.first, "date"))
    yield constraint("odrl:dateTime", "lteq", literal(period.last, "date"))
    yield constraint("pc:releaseDigest", "eq", release_digest)


def _within(duty: Mapping[str, Any], days: int) -> Node:
    """A duty to delete, with the days within which it is to be met."""
    if duty.get("odrl:action") != reference("odrl:delete"):
        return dict(duty)
    return {
        **duty,
        "odrl:constraint": [*duty["odrl:constraint"], constraint("pc:deletionDays", "lteq", literal(days, "integer"))],
    }

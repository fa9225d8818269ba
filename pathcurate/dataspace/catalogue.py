"""What a data space's catalogue says of releases: datasets in the form of the Dataspace Protocol 2025-1, section 5."""

from collections.abc import Mapping, Sequence
from typing import Any

from pathcurate.dataspace.bodies import CONTENT_DIGEST_PROPERTY, MEDIA_TYPE, RELEASE_DIGEST_PROPERTY, plain
from pathcurate.dataspace.policies import offer
from pathcurate.model.dataspace import DSP_CONTEXT, Offering
from pathcurate.model.description import NAMESPACE

Node = dict[str, Any]
CONTEXT = [DSP_CONTEXT, {"pcns": f"{NAMESPACE}ns#", "adms": "http://www.w3.org/ns/adms#"}]
"""The protocol's own, and prefixes for what it has no word for; it declares ``dct``, ``dcat`` and ``odrl`` itself."""


def dataset(offering: Offering, service: str) -> Node:
    """A release in a catalogue.

    Args:
        offering: the release.
        service: id of the data service that gives it out.

    Raises:
        DigestMismatchError: its policy names another release digest.
        InputOutputError: its policy cannot be read whole.
    """
    node: Node = {
        "@type": "Dataset",
        "@id": offering.asset_id,
        "dct:identifier": offering.asset_id,
        "dct:title": _spoken(offering.title_zh, offering.title_en),
        "dct:description": _spoken(offering.description_zh, offering.description_en),
        "dct:issued": {"@value": offering.published, "@type": "xsd:date"} if offering.published else None,
        "dct:publisher": plain(offering.holder),
        "dcat:version": offering.version,
        "dcat:keyword": [plain(word) for word in offering.keywords],
        "adms:identifier": list(offering.registration_numbers),
        "pcns:kind": offering.kind,
        **{f"pcns:{name}": str(number) for name, number in sorted(offering.counts.items())},
        f"pcns:{RELEASE_DIGEST_PROPERTY.rpartition('#')[2]}": offering.release_digest,
        f"pcns:{CONTENT_DIGEST_PROPERTY.rpartition('#')[2]}": offering.content_digest,
        "dcat:contactPoint": {f"pcns:{name}": plain(words) for name, words in sorted(offering.contact.items())},
        "hasPolicy": [offer(offering)],
        "distribution": [_distribution(offering, transfer, service) for transfer in offering.transfer],
    }
    return {key: value for key, value in node.items() if value not in (None, "", [], {})}


def _distribution(offering: Offering, transfer: str, service: str) -> Node:
    node: Node = {
        "@type": "Distribution",
        "format": transfer,
        "dcat:mediaType": MEDIA_TYPE,
        "accessService": service,
    }
    if offering.size is not None:
        node["dcat:byteSize"] = {"@value": str(offering.size), "@type": "xsd:nonNegativeInteger"}
    return node


def _spoken(zh: str, en: str) -> list[Mapping[str, str]]:
    if zh == en:
        return [{"@value": plain(zh), "@language": "und"}] if zh else []
    return [{"@value": plain(text), "@language": language} for language, text in (("zh", zh), ("en", en)) if text]


def catalogue(offerings: Sequence[Offering], participant: str, *, service: str = "", endpoint: str = "") -> Node:
    """A catalogue of a participant.

    Args:
        offerings: what is in it.
        participant: IRI of who offers.
        service: id of the data service; by default named after the participant.
        endpoint: its address in the data space; empty while nobody knows it.
    """
    service = service or f"{participant}:service"
    node: Node = {
        "@context": CONTEXT,
        "@type": "Catalog",
        "@id": f"{participant}:catalog",
        "participantId": participant,
        "dataset": [dataset(offering, service) for offering in offerings],
    }
    if endpoint:
        node["service"] = [{"@type": "DataService", "@id": service, "endpointURL": endpoint}]
    return node

"""What the JSON-LD documents of a release share: prefixes, names of things, texts in two languages.

A name (IRI) is written whole or with a prefix that the document itself declares: nothing has to be fetched to read it, and
no reader takes a bare word for a path below wherever it found the document (JSON-LD 1.1, section 4.1.3).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pathcurate.metadata.jsontext import json_text
from pathcurate.model.description import NAMESPACE, Description
from pathcurate.model.productfile import Bilingual, Organisation

Node = dict[str, Any]
DUO = "http://purl.obolibrary.org/obo/DUO_"
"""Begins the names of the Data Use Ontology. No prefix can stand for it, because it ends in no delimiter (JSON-LD 1.1,
section 4.1.5): ``duo:0000042`` would stay what it is."""
PREFIXES: Mapping[str, str] = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "pc": f"{NAMESPACE}odrl#",
    "pcns": f"{NAMESPACE}ns#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def graph(prefixes: Iterable[str], nodes: Iterable[Node]) -> str:
    """A JSON-LD document of these nodes, in their order.

    Args:
        prefixes: names in :data:`PREFIXES` that it uses.
        nodes: without what is None or empty; that is left out.
    """
    context = {prefix: PREFIXES[prefix] for prefix in sorted(prefixes)}
    return json_text({"@context": context, "@graph": [said(node) for node in nodes]}, sort_keys=False)


def said(node: Mapping[str, Any]) -> Node:
    """The node without the keys that say nothing."""
    return {key: value for key, value in node.items() if value is not None and value not in ([], {}, (), "")}


def reference(iri: str) -> Node:
    """Something by its name."""
    return {"@id": iri}


def literal(value: object, datatype: str) -> Node:
    """A value of an XML Schema datatype, such as ``date``; numbers are written as text, as RDF has them."""
    return {"@value": str(value), "@type": f"xsd:{datatype}"}


def spoken(text: Bilingual | Mapping[str, str] | None) -> list[Node]:
    """A text in each language that it is said in."""
    told = text.model_dump(exclude_none=True) if isinstance(text, Bilingual) else text or {}
    return [{"@value": words, "@language": language} for language, words in told.items() if words]


def titles(description: Description) -> dict[str, str]:
    """The title by language; a recipe's own title, whose language nobody says, stands for itself under ``und``."""
    if description.title_zh == description.title_en:
        return {"und": description.title_en}
    return {"zh": description.title_zh, "en": description.title_en}


def checksum(sha256: str) -> Node:
    """A file's SHA-256, which is given as ``sha256:`` and digits (SPDX 2.3, section 8.4, as DCAT-3 has it)."""
    return {
        "@type": "spdx:Checksum",
        "spdx:algorithm": reference("spdx:checksumAlgorithm_sha256"),
        "spdx:checksumValue": literal(digits(sha256), "hexBinary"),
    }


def digits(digest: str) -> str:
    """A digest without the name of its algorithm."""
    return digest.removeprefix("sha256:")


def part_of(description: Description, *names: str) -> str:
    """Names something of this version, such as a file by ``file`` and its path."""
    return ":".join((description.urn, *(quote(name, safe="/") for name in names)))


def version_of(description: Description, version: str) -> str:
    """Names a version of the same product."""
    return f"{description.product_urn}:{version}"


def file_of(description: Description, path: str) -> str:
    """Names a file of this version by its path below the release."""
    return part_of(description, "file", path)


def holder_iri(description: Description) -> str | None:
    """Names who holds the data, by its unified social credit code if that is said; None if nobody is said."""
    holder = description.file.holder if description.file is not None else None
    if holder is None:
        return None
    return f"{NAMESPACE}organisation/{holder.uscc}" if holder.uscc else f"{description.product_urn}:holder"


def agent(description: Description, holder: Organisation) -> Node:
    """The organisation that holds the data."""
    return said({
        "@id": holder_iri(description),
        "@type": ["foaf:Agent", "foaf:Organization", "prov:Agent"],
        "foaf:name": spoken(holder.name),
        "dct:identifier": holder.uscc,
        "foaf:homepage": reference(holder.url) if holder.url else None,
    })  # fmt: skip


def names_in(value: object) -> Iterator[str]:
    """Every name that a node mentions, at whatever depth."""
    if isinstance(value, Mapping):
        if isinstance(value.get("@id"), str):
            yield value["@id"]
        for item in value.values():
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)

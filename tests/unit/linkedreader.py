"""Reads the linked-data documents of a release as a stranger would, and says what he would not understand."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from rdflib import Graph, URIRef
from rdflib.term import Identifier, Node

from pathcurate.metadata import DCAT_PATH, POLICY_PATH, PROVENANCE_PATH
from pathcurate.metadata.croissant import CROISSANT_PATH, croissant_document
from pathcurate.metadata.dcat import dcat_document
from pathcurate.metadata.odrl import policy_document
from pathcurate.metadata.provenance import provenance_document
from pathcurate.model.description import Description
from tests.unit.descriptions import (
    bare_description,
    hostile_description,
    orthopaedic_description,
    slide_description,
)

NOWHERE = "https://nowhere.invalid/"
DESCRIPTIONS = {
    "slides": slide_description(), "hips": orthopaedic_description(), "hostile": hostile_description(),
    "bare": bare_description(),
}  # fmt: skip


def linked(description: Description) -> dict[str, str]:
    """The linked-data documents of a release, by path."""
    file = description.file
    return {
        CROISSANT_PATH: croissant_document(description, policy=POLICY_PATH),
        DCAT_PATH: dcat_document(description, provenance=PROVENANCE_PATH),
        **({POLICY_PATH: policy_document(description, file)} if file is not None else {}),
        PROVENANCE_PATH: provenance_document(description),
    }


@cache
def written(name: str) -> dict[str, str]:
    """Those of one of :data:`DESCRIPTIONS`."""
    return linked(DESCRIPTIONS[name])


@cache
def graph_of(name: str, path: str) -> Graph:
    """One of them, as RDF; nobody may change it."""
    return read(written(name)[path])


def content(name: str, path: str) -> Any:
    """One of them, as JSON."""
    return json.loads(written(name)[path])


def read(text: str) -> Graph:
    """Bare words become names below where the document was found."""
    return Graph().parse(data=text, format="json-ld", publicID=NOWHERE)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document, at whatever depth."""
    if isinstance(value, dict):
        yield value
        for key, item in value.items():
            if key != "@context":
                yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


def wrong_names(text: str, graph: Graph | None = None) -> list[str]:
    """What of a document is no absolute name, and what a JSON-LD reader would drop without a word."""
    bare = [key for node in nodes(json.loads(text)) for key in node if ":" not in key and not key.startswith("@")]
    # A URIRef's own `startswith` takes no tuple, and tells nobody.
    terms = {str(term) for triple in graph or read(text) for term in triple if isinstance(term, URIRef)}
    return bare + sorted(
        term for term in terms
        if term.startswith((NOWHERE, "file:")) or urlsplit(term).scheme not in {"http", "https", "urn", "mailto"}
    )  # fmt: skip


def statements(value: Any) -> int:
    """How many triples a document must have: one for each value of each key, and each type."""
    return sum(
        len(told) if isinstance(told, list) else 1
        for node in nodes(value) if "@value" not in node
        for key, told in node.items() if key == "@type" or not key.startswith("@")
    )  # fmt: skip


def names(graph: Graph, subject: str | Node, predicate: URIRef) -> set[str]:
    """The objects of a subject and a predicate, as text."""
    node = subject if isinstance(subject, Identifier) else URIRef(str(subject))
    return {str(term) for term in graph.objects(node, predicate)}

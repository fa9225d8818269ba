"""Linked-data documents beside the data: whoever reads them needs no network, and every word stands for something."""

import io
import json
import socket
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from rdflib import Graph, Literal, URIRef
from rdflib.namespace import DCTERMS, FOAF, ODRL2, PROV, RDF, RDFS, SDO, SKOS, XSD, DefinedNamespace

from pathcurate.digests import sha256_text
from pathcurate.metadata import DCAT_PATH, POLICY_PATH, PROVENANCE_PATH, documents
from pathcurate.metadata.croissant import CROISSANT_PATH, croissant_context
from pathcurate.metadata.linkeddata import PREFIXES, digits
from pathcurate.metadata.odrl import own_terms
from pathcurate.model.productfile import ProductFile
from tests.unit.descriptions import HOSTILE_WORDS, hostile_description
from tests.unit.linkedreader import (
    DESCRIPTIONS,
    content,
    graph_of,
    linked,
    names,
    nodes,
    read,
    statements,
    written,
    wrong_names,
)

# rdflib's reader of JSON-LD uses what rdflib itself gives up.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
TERMS: dict[str, type[DefinedNamespace] | set[str]] = {
    "odrl": ODRL2, "prov": PROV, "dct": DCTERMS, "sc": SDO, "foaf": FOAF, "rdfs": RDFS, "skos": SKOS, "xsd": XSD,
    "dcat": {
        "Dataset", "Distribution", "version", "previousVersion", "hasVersion", "hasCurrentVersion", "isVersionOf", "theme",
        "keyword", "contactPoint", "landingPage", "distribution", "mediaType", "byteSize", "startDate", "endDate",
    },
    "adms": {"versionNotes", "identifier", "Identifier"},
    "spdx": {"checksum", "Checksum", "algorithm", "checksumAlgorithm_sha256", "checksumValue"},
    "vcard": {"Kind", "fn", "hasEmail", "hasTelephone", "hasURL", "Voice", "value"},
    "dpv": {"hasPurpose", "hasLegalBasis", "Purpose", "LegalBasis", "ResearchAndDevelopment", "Consent"},
    "healthdcatap": {"numberOfRecords", "numberOfUniqueIndividuals", "hasCodingSystem", "retentionPeriod"},
    "pcns": {"digest", "contentDigest", "tableDigest", "releaseDigest"},
    "pc": {name.removeprefix("pc:") for kind in ("actions", "operands", "values") for name in getattr(own_terms(), kind)},
    # The names of the RAI specification 1.0; mlcroissant has others for some of them, and checks none.
    "rai": {
        "dataCollection", "dataCollectionType", "dataCollectionTimeframe", "dataCollectionMissingData",
        "dataPreprocessingProtocol", "dataAnnotationProtocol", "dataAnnotationAnalysis", "personalSensitiveInformation",
        "dataUseCases", "dataLimitations", "dataReleaseMaintenancePlan",
    },
    "cr": {str(value).removeprefix("cr:") for value in croissant_context().values() if isinstance(value, str)}
    | {"FileObject", "FileSet", "RecordSet", "Field", "Label", "Split", "data", "dataType", "examples"},
}  # fmt: skip
"""Every word that a document may use, by vocabulary: rdflib's own lists where it has them."""
NAMESPACES = {
    **PREFIXES, "sc": "https://schema.org/", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
}  # fmt: skip
BASED = [
    (name, path) for name in DESCRIPTIONS for path in (DCAT_PATH, POLICY_PATH, PROVENANCE_PATH) if path in written(name)
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something wants to be fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# --- Every document ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "path"), BASED)
def test_every_name_is_absolute_and_every_statement_is_a_triple(name: str, path: str) -> None:
    assert wrong_names(written(name)[path], graph_of(name, path)) == []
    # Hostile words stand in several places that are one statement.
    assert name == "hostile" or len(graph_of(name, path)) == statements(content(name, path)["@graph"])


@pytest.mark.parametrize(
    ("of", "to"),
    [
        ('"odrl:delete"', '"delete"'),
        ('"odrl:Offer"', '"Offer"'),
        ('"odrl:obligation"', '"obligation"'),
        ('"odrl:eq"', '"eq"'),
        ('"pc:reidentify"', '"pcx:reidentify"'),
        # What the text of Croissant 1.1 itself writes: its prefix ends in no delimiter, so that it stands for nothing.
        ('"http://purl.obolibrary.org/obo/DUO_0000007"', '"duo:0000007"'),
        ('"urn:pathcurate:product:thorax:1.2.0:offer"', '"policy.odrl.jsonld"'),
        ('"odrl": "http://www.w3.org/ns/odrl/2/",', ""),
        ('"odrl": "http://www.w3.org/ns/odrl/2/"', '"odrl": "odrl/"'),
    ],
)
def test_a_bare_word_is_found(of: str, to: str) -> None:
    text = written("slides")[POLICY_PATH]
    assert of in text
    assert wrong_names(text.replace(of, to)) != []


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_every_word_is_one_of_its_vocabulary(name: str) -> None:
    used = set()
    for path, text in written(name).items():
        assert isinstance(json.loads(text)["@context"], dict), "a context elsewhere would be fetched"
        terms = {term for triple in graph_of(name, path) for term in triple}
        used |= {str(term) for term in terms if isinstance(term, URIRef)}
        used |= {str(term.datatype) for term in terms if isinstance(term, Literal) and term.datatype}
    for prefix, namespace in NAMESPACES.items():
        words = {term.removeprefix(namespace) for term in used if term.startswith(namespace)}
        assert [word for word in words if word not in TERMS[prefix] and not word.startswith("RAI/")] == [], prefix


@pytest.mark.parametrize("name", ["slides", "bare"])
def test_a_release_gets_each_of_them_once(name: str) -> None:
    given_out = list(documents(DESCRIPTIONS[name]))
    assert len(dict(given_out)) == len(given_out)
    assert dict(given_out).items() >= written(name).items()
    assert (POLICY_PATH in dict(given_out)) is (name == "slides")


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_the_same_description_gives_the_same_text_in_whatever_order_its_mappings_are(name: str) -> None:
    description = DESCRIPTIONS[name]
    turned = replace(
        description, inputs=dict(reversed(list(description.inputs.items()))),
        split=dict(reversed(list(description.split.items()))), counts=dict(reversed(list(description.counts.items()))),
    )  # fmt: skip
    assert linked(turned) == linked(description) == written(name)


def test_hostile_words_stay_the_words_that_they_are() -> None:
    assert written("hostile").keys() == written("slides").keys()
    told = set()
    for path in written("hostile"):
        graph = graph_of("hostile", path)
        told |= {str(term) for term in graph.objects() if isinstance(term, Literal)}
        again = Graph().parse(io.BytesIO(graph.serialize(format="nt", encoding="utf-8")), format="nt")
        assert len(again) == len(graph)
        assert set(again.predicates()) == set(graph.predicates())
        # They make no key that good ones do not make.
        good = {key for node in nodes(content("slides", path)) for key in node}
        assert {key for node in nodes(content("hostile", path)) for key in node} <= good
    assert HOSTILE_WORDS.strip() in told
    assert max(map(len, told)) >= 19_999


@settings(max_examples=6)
@given(words=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_any_words_make_documents_that_are_read(words: str) -> None:
    try:
        description = hostile_description(words, length=100)
    except ValidationError:
        return
    for path, text in linked(description).items():
        assert len(read(text)) > 10
        assert path == CROISSANT_PATH or wrong_names(text) == []


@pytest.mark.parametrize(
    "iri",
    ["https://[::1]/a", "urn:x-y:z/(1)", "https://例子.cn/数据?a=1&b='2'#x%20", "https://a/\x01b\x7f", "https://a/\u202eb"],
)
def test_strange_names_and_versions_are_still_names(iri: str) -> None:
    good = DESCRIPTIONS["slides"]
    assert good.file is not None
    contact = {"name": "x", "email": "a'b+c@例子.cn", "url": iri}
    file = ProductFile.model_validate({**good.file.as_dict(), "landing_page": iri, "contact": contact})
    description = replace(good, file=file, version="1.0.0-rc.1+build.7", inputs={"deid/a b<c>": sha256_text(b"")})
    for path in (DCAT_PATH, PROVENANCE_PATH):
        graph = read(text := linked(description)[path])
        assert wrong_names(text, graph) == []
        assert len(Graph().parse(io.BytesIO(graph.serialize(format="nt", encoding="utf-8")), format="nt")) == len(graph)


def test_nothing_is_made_up_where_nothing_is_said() -> None:
    assert written("bare").keys() == {CROISSANT_PATH, DCAT_PATH, PROVENANCE_PATH}
    unsaid = {
        "creator", "publisher", "license", "citeAs", "url", "keywords", "usageInfo", "dct:publisher", "dct:creator",
        "dcat:contactPoint", "dcat:landingPage", "odrl:hasPolicy", "dpv:hasLegalBasis", "dct:spatial", "rdfs:comment",
        "prov:wasAttributedTo", "prov:wasRevisionOf", "dcat:previousVersion", "adms:versionNotes", "rai:dataUseCases",
        "rai:dataLimitations", "rai:dataCollectionTimeframe", "rai:dataReleaseMaintenancePlan", "dct:temporal",
    }  # fmt: skip
    keys = {
        name: {key for path in written(name) for node in nodes(content(name, path)) for key in node} for name in DESCRIPTIONS
    }
    assert keys["bare"] & unsaid == set()
    assert unsaid <= keys["slides"]


# --- DCAT and PROV -----------------------------------------------------------------------------------------------------


def test_the_catalogue_knows_versions_files_and_numbers() -> None:
    description, graph = DESCRIPTIONS["slides"], graph_of("slides", DCAT_PATH)
    dcat, spdx = PREFIXES["dcat"], PREFIXES["spdx"]
    offered, urn = description.product_urn, description.urn
    versions = {f"{offered}:{version}" for version in ("1.0.0", "1.1.0", "1.2.0")}
    assert names(graph, offered, URIRef(f"{dcat}hasVersion")) == versions
    assert names(graph, offered, URIRef(f"{dcat}hasCurrentVersion")) == {urn}
    assert names(graph, urn, URIRef(f"{dcat}previousVersion")) == {f"{offered}:1.1.0"}
    assert names(graph, urn, DCTERMS.accessRights) == {
        "http://publications.europa.eu/resource/authority/access-right/RESTRICTED"
    }
    notes = names(graph, urn, URIRef(f"{PREFIXES['adms']}versionNotes"))
    assert len(notes) == 2
    assert all("4,112" in told and "1.1.0" in told for told in notes)
    parts = [part for table in description.tables for part in table.parts]
    files = names(graph, urn, URIRef(f"{dcat}distribution"))
    assert len(files) == len(parts)
    for part in parts:
        (file,) = (file for file in files if file.endswith(part.path))
        (check,) = graph.objects(URIRef(file), URIRef(f"{spdx}checksum"))
        hexadecimal = Literal(digits(part.sha256), datatype=XSD.hexBinary)
        assert list(graph.objects(check, URIRef(f"{spdx}checksumValue"))) == [hexadecimal]
        assert names(graph, file, URIRef(f"{dcat}byteSize")) == {str(part.size)}
    assert names(graph, urn, URIRef(f"{PREFIXES['dpv']}hasLegalBasis")) == {f"{PREFIXES['dpv']}Consent"}
    individuals = URIRef(f"{PREFIXES['healthdcatap']}numberOfUniqueIndividuals")
    assert list(graph.objects(URIRef(urn), individuals)) == [Literal(4691, datatype=XSD.nonNegativeInteger)]


def test_provenance_goes_from_the_release_back_to_the_scan_and_knows_no_clock() -> None:
    description, graph = DESCRIPTIONS["slides"], graph_of("slides", PROVENANCE_PATH)
    (built,) = graph.objects(URIRef(description.urn), PROV.wasGeneratedBy)
    chain = [one for one in dict.fromkeys([built, *graph.transitive_objects(built, PROV.wasInformedBy)]) if one is not None]
    assert [str(iri).rpartition(":")[2] for iri in chain] == ["release", "cohort", "deid", "link", "scan"]
    assert set(graph.subjects(RDF.type, PROV.Activity)) == set(chain)
    digest, checksum = URIRef(f"{PREFIXES['pcns']}digest"), URIRef(f"{PREFIXES['spdx']}checksum")
    inputs = set(graph.objects(URIRef(description.urn), PROV.wasDerivedFrom))
    assert {value for one in inputs for value in names(graph, one, digest)} == set(description.inputs.values())
    used = set(graph.objects(chain[1], PROV.used))
    assert inputs < used
    (recipe,) = (one for one in graph.objects(chain[1], PROV.used) if one not in inputs)
    (check,) = graph.objects(recipe, checksum)
    hexadecimal = URIRef(f"{PREFIXES['spdx']}checksumValue")
    assert names(graph, check, hexadecimal) == {digits(description.lock_sha256)}
    parts = {digits(part.sha256) for table in description.tables for part in table.parts}
    every = {value for one in graph.objects(None, checksum) for value in names(graph, one, hexadecimal)}
    assert every == {*parts, digits(description.lock_sha256)}
    assert {name for one in chain for name in names(graph, one, PROV.wasAssociatedWith)} == {
        "https://pathcurate.example/program/pathcurate%200.12.0"
    }
    released = URIRef(f"{PREFIXES['pcns']}releaseDigest")
    assert names(graph, f"{description.product_urn}:1.1.0", released) == {str(description.previous)}
    # It says nothing of a day: not by a property, and not by a type of a value.
    assert {term.datatype for term in graph.objects() if isinstance(term, Literal)} == {None, XSD.hexBinary}
    assert not {str(term) for term in graph.predicates() if "Time" in str(term)}

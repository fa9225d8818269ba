"""The policy of a contract: an ODRL Agreement that is no wider than the offer, and that a stranger can read."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from rdflib import Graph, URIRef
from rdflib.namespace import FOAF, ODRL2, RDF, RDFS

from pathcurate.errors import InputOutputError
from pathcurate.metadata.agreement import agreement_policy, party_iri
from pathcurate.metadata.linkeddata import PREFIXES
from pathcurate.metadata.odrl import policy_document
from pathcurate.model.application import Applicant, Period
from pathcurate.model.productfile import ProductFile
from tests.contracted import application
from tests.unit.linkedreader import DESCRIPTIONS, NOWHERE, names

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
PC, OBO = PREFIXES["pc"], "http://purl.obolibrary.org/obo/"
DIGEST = "sha256:" + "a" * 64
PARTY = Applicant.model_validate(application()["applicant"])
PERIOD = Period(first=date(2026, 1, 2), last=date(2026, 12, 31))


def offer(**policy: Any) -> str:
    file = ProductFile.model_validate(
        {
            "product": 1,
            "name": "thorax",
            "policy": policy,
            "holder": {"name": {"zh": "示例医院"}, "uscc": "12330299MB00000006"},
        }
    )
    return policy_document(replace(DESCRIPTIONS["slides"], file=file), file)


def agreed(offered: str, **parts: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "contract": "thorax-lab-0a1b2c3d", "release_digest": DIGEST, "party": PARTY, "purposes": ("DUO_0000007",),
        "diseases": ("ICD-10:C34.1",), "period": PERIOD, "deletion_days": 30, **parts,
    }  # fmt: skip
    found: dict[str, Any] = json.loads(agreement_policy(offered.encode(), **said))
    return found


def graph_of(document: dict[str, Any]) -> Graph:
    return Graph().parse(data=json.dumps(document), format="json-ld", base=NOWHERE)


def short(iri: object) -> str:
    return str(iri).removeprefix(PC).removeprefix(str(ODRL2)).removeprefix(OBO)


def limits(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Constraints on the permission: operand, operator, each right operand."""
    graph = graph_of(document)
    (allowed,) = graph.objects(None, ODRL2.permission)
    return {
        (short(graph.value(one, ODRL2.leftOperand)), short(graph.value(one, ODRL2.operator)), short(right))
        for one in graph.objects(allowed, ODRL2.constraint)
        for right in graph.objects(one, ODRL2.rightOperand)
    }


FULL = {
    "duo": ["DUO_0000006", "DUO_0000016", "DUO_0000027", "DUO_0000045", "DUO_0000021", "DUO_0000044"],
    "forbidden": ["reidentify", "distribute"], "environment": "tre", "valid_until": "2027-06-01", "report_use": True,
    "attribution": "Cite us.",
}  # fmt: skip


def test_an_agreement_is_the_offer_narrowed_to_one_use() -> None:
    found = limits(agreed(offer(**FULL)))
    description = DESCRIPTIONS["slides"]
    assert found == {
        ("purpose", "isAnyOf", "DUO_0000007"), ("purpose", "isA", "DUO_0000016"), ("purpose", "isA", "ApprovedProject"),
        ("recipient", "isA", "NotForProfitOrganisation"), ("environment", "eq", "tre"),
        ("disease", "isAnyOf", "https://pathcurate.example/code/ICD-10/C34.1"),
        ("dateTime", "gteq", "2026-01-02"), ("dateTime", "lteq", "2026-12-31"),
        ("contentDigest", "eq", description.content_digest), ("releaseDigest", "eq", DIGEST),
    }  # fmt: skip


def test_what_the_offer_prohibits_and_asks_for_stays() -> None:
    offered = offer(**FULL)
    for predicate in (ODRL2.prohibition, ODRL2.obligation, ODRL2.duty):
        before, after = (
            {short(action) for rule in graph.objects(None, predicate) for action in graph.objects(rule, ODRL2.action)}
            for graph in (graph_of(json.loads(offered)), graph_of(agreed(offered)))
        )
        assert before
        assert before == after
    graph = graph_of(agreed(offered))
    assert {str(value) for value in graph.objects(None, ODRL2.rightOperand)} >= {"30", f"{PC}revocation"}


def test_both_sides_and_the_release_are_named() -> None:
    graph = graph_of(agreed(offer(**FULL)))
    (agreement,) = graph.subjects(RDF.type, ODRL2.Agreement)
    assert str(agreement) == "urn:pathcurate:product:contract:thorax-lab-0a1b2c3d" or str(agreement).endswith(
        ":thorax-lab-0a1b2c3d"
    )
    (assigner,), (assignee,) = graph.objects(agreement, ODRL2.assigner), graph.objects(agreement, ODRL2.assignee)
    assert names(graph, assigner, FOAF.name) == {"示例医院"}
    assert names(graph, assignee, FOAF.name) == {PARTY.name}
    assert names(graph, agreement, ODRL2.target) == {DESCRIPTIONS["slides"].urn}
    assert not list(graph.subjects(RDF.type, ODRL2.Offer))


def _iris(graph: Graph) -> Iterator[str]:
    return (str(term) for triple in graph for term in triple if isinstance(term, URIRef))


@pytest.mark.parametrize("diseases", [(), ("MONDO:0005233",), ("ICD-O:8140/3",)])
def test_every_name_is_absolute_and_every_word_of_ours_is_defined(diseases: tuple[str, ...]) -> None:
    graph = graph_of(agreed(offer(**FULL), diseases=diseases, purposes=("DUO_0000006", "DUO_0000043")))
    assert not [iri for iri in _iris(graph) if iri.startswith(NOWHERE) or ":" not in iri]
    used = {iri for iri in _iris(graph) if iri.startswith(PC)}
    defined = {str(one) for one in graph.subjects(RDFS.label)}
    assert used <= defined
    assert {f"{OBO}DUO_0000006", f"{OBO}DUO_0000043"} <= defined
    assert {one for one in defined if one.startswith((PC, OBO))} <= set(_iris(graph))


def test_diseases_of_the_offer_stay_if_the_use_names_none() -> None:
    offered = offer(duo=["DUO_0000007"], diseases=["MONDO:0005233"])
    assert ("disease", "isAnyOf", "MONDO_0005233") in limits(agreed(offered, diseases=()))
    assert ("disease", "isAnyOf", "MONDO_0005233") not in limits(agreed(offered))


def test_an_organisation_has_one_name_and_two_have_two() -> None:
    other = PARTY.model_copy(update={"name": "x"})
    assert party_iri(PARTY) == party_iri(PARTY.model_copy(update={"responsible": "x"})) != party_iri(other)
    coded = PARTY.model_copy(update={"uscc": "12330299MB00000006"})
    assert party_iri(coded) == party_iri(coded.model_copy(update={"name": "x"}))


@pytest.mark.parametrize("name", ['"}],"@graph":[{"@id":"pc:sealed"}]', "pc:trainModels", "</script>", "\u202e反"])
def test_a_hostile_name_stays_a_name(name: str) -> None:
    document = agreed(offer(**FULL), party=PARTY.model_copy(update={"name": name}))
    plain = agreed(offer(**FULL))
    assert [node["@type"] for node in document["@graph"] if "@type" in node] == [
        node["@type"] for node in plain["@graph"] if "@type" in node
    ]
    assert limits(document) == limits(plain)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"@graph": []}', b'{"@graph": [{"@type": "odrl:Offer"}]}', b"\xff", b"[" * 100_000,
                b'{"@graph": [{"@type": "odrl:Offer", "odrl:permission": [{"odrl:constraint": [{}]}]}]}']
)  # fmt: skip
def test_what_is_no_offer_is_refused(content: bytes) -> None:
    with pytest.raises(InputOutputError, match="is not what `manifest build` writes"):
        agreement_policy(
            content, contract="c", release_digest=DIGEST, party=PARTY, purposes=("DUO_0000007",), diseases=(), period=PERIOD,
            deletion_days=30,
        )  # fmt: skip

"""The policy: what people say is in it, each of its words is defined, and what contradicts itself is told."""

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import Graph, Literal, URIRef
from rdflib.namespace import FOAF, ODRL2, RDF, RDFS

from pathcurate.metadata import POLICY_PATH
from pathcurate.metadata.duo import duo_terms
from pathcurate.metadata.linkeddata import PREFIXES
from pathcurate.metadata.odrl import FORBIDDEN_ACTIONS, own_terms, policy_document, policy_faults
from pathcurate.model.productfile import Environment, Forbidden, ProductFile
from tests.unit.linkedreader import DESCRIPTIONS, graph_of, names, nodes

# rdflib's reader of JSON-LD uses what rdflib itself gives up.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
PC, OBO = PREFIXES["pc"], "http://purl.obolibrary.org/obo/"


def product(**policy: Any) -> ProductFile:
    more = {key: policy.pop(key) for key in ("price", "declarations", "published", "holder") if key in policy}
    return ProductFile.model_validate({"product": 1, "name": "thorax", "policy": policy, **more})


def offered(**policy: Any) -> dict[str, Any]:
    """The policy of a product file that says this, as JSON."""
    file = product(**policy)
    found: dict[str, Any] = json.loads(policy_document(replace(DESCRIPTIONS["slides"], file=file), file))["@graph"][0]
    return found


def short(iri: object) -> str:
    return str(iri).removeprefix(PC).removeprefix(str(ODRL2))


def values(graph: Graph, *path: URIRef) -> set[str]:
    """What stands at the end of a path of properties, wherever it begins."""
    found = set(graph.subjects())
    for step in path:
        found = {term for start in found for term in graph.objects(start, step)}
    return {short(term) for term in found}


def test_an_offer_says_what_the_product_file_says() -> None:
    description, graph = DESCRIPTIONS["slides"], graph_of("slides", POLICY_PATH)
    (offer,) = graph.subjects(RDF.type, ODRL2.Offer)
    assert names(graph, offer, ODRL2.target) == {description.urn}
    (holder,) = graph.objects(offer, ODRL2.assigner)
    assert names(graph, holder, FOAF.name) == {"示例市病理诊断中心", "Pathology Centre of Example City"}
    prohibited = {"reidentify", "exportRawImage", "crossBorderTransfer", "distribute"}
    assert values(graph, ODRL2.prohibition, ODRL2.action) == prohibited
    assert values(graph, ODRL2.obligation, ODRL2.action) == {"delete", "reportUse", "attribute"}
    assert values(graph, ODRL2.permission, ODRL2.duty, ODRL2.action) == {"provideEthicsApproval"}
    limits = {}
    (allowed,) = graph.objects(offer, ODRL2.permission)
    for constraint in graph.objects(allowed, ODRL2.constraint):
        ((left,), (operator,)) = (names(graph, constraint, which) for which in (ODRL2.leftOperand, ODRL2.operator))
        limits[short(left)] = (short(operator), names(graph, constraint, ODRL2.rightOperand))
    assert limits == {
        "purpose": ("isAnyOf", {f"{OBO}DUO_0000007", f"{OBO}DUO_0000043"}),
        "disease": ("isAnyOf", {f"{OBO}MONDO_0005233", "https://pathcurate.example/code/ICD-O/8140%2F3"}),
        "environment": ("eq", {f"{PC}tre"}),
        "dateTime": ("lteq", {"2027-11-20"}),
        "contentDigest": ("eq", {description.content_digest}),
    }


def test_words_of_our_own_are_defined_where_they_are_used_and_all_others_are_odrls() -> None:
    graph = graph_of("slides", POLICY_PATH)
    for place in (ODRL2.action, ODRL2.leftOperand, ODRL2.operator):
        for term in graph.objects(None, place):
            assert isinstance(term, URIRef)
            labels = {label.language for label in graph.objects(term, RDFS.label) if isinstance(label, Literal)}
            assert str(term).startswith(str(ODRL2)) or labels == {"zh", "en"}
    used = {str(term) for triple in graph for term in triple if str(term).startswith(PC)}
    assert {str(term) for term in graph.subjects(RDFS.label) if str(term).startswith(PC)} == used


def test_a_set_has_no_holder_and_an_offer_has_one() -> None:
    assert offered()["@type"] == "odrl:Set"
    holder = {"name": {"zh": "医院"}}
    assert (offered(holder=holder)["@type"], "odrl:assigner" in offered(holder=holder)) == ("odrl:Offer", True)


def test_words_that_look_like_a_term_define_none() -> None:
    file = product(attribution="'pc:trainModels' \"pc:sealed\"")
    text = policy_document(replace(DESCRIPTIONS["slides"], file=file), file)
    assert {node.get("@id") for node in nodes(json.loads(text))} & {"pc:trainModels", "pc:sealed"} == set()


@pytest.mark.parametrize("word", get_args(Forbidden))
def test_everything_that_can_be_forbidden_is_a_prohibition(word: str) -> None:
    (rule,) = offered(forbidden=[word])["odrl:prohibition"]
    assert rule["odrl:action"]["@id"] == FORBIDDEN_ACTIONS[word]


@pytest.mark.parametrize("place", get_args(Environment))
def test_every_environment_is_a_constraint(place: str) -> None:
    assert {"@id": f"pc:{place}"} in list(nodes(offered(environment=place)))


NEEDS: dict[str | None, dict[str, Any]] = {
    "diseases": {"diseases": ["MONDO:0005233"]},
    "valid_until": {"valid_until": "2027-01-01"},
    None: {},
}
ELSEWHERE = {"DUO_0000004": "allows everything", "DUO_0000025": "is the day that it needs"}


@pytest.mark.parametrize("code", [code for code, term in duo_terms().items() if not term.unsaid])
def test_no_term_vanishes_on_its_way_into_the_policy(code: str) -> None:
    term = duo_terms()[code]
    needed = {"forbidden": ["train_models"]} if term.needs == "cross_border_transfer" else NEEDS[term.needs]
    base = [] if term.kind == "permission" else ["DUO_0000042"]
    assert (offered(duo=base, **needed) == offered(duo=[*base, code], **needed)) is (code in ELSEWHERE)


def test_the_table_of_terms_uses_every_word_of_our_own_and_no_other() -> None:
    table, own = duo_terms(), own_terms()
    mentioned = {word for term in table.values() for word in (term.forbids, term.duty, *term.limits, *term.limits.values())}
    mentioned |= {*FORBIDDEN_ACTIONS.values(), *(f"pc:{place}" for place in get_args(Environment))}
    mentioned |= {"pc:environment", "pc:contentDigest", "pc:disease", "pc:reportUse", "pc:revocation"}
    mentioned |= {"pc:releaseDigest", "pc:deletionDays"}  # of an agreement
    words = {word for word in mentioned if word}
    assert {word for word in words if word.startswith("pc:")} == {*own.actions, *own.operands, *own.values}
    assert all(ODRL2[word.removeprefix("odrl:")] for word in words if word.startswith("odrl:"))
    assert all(text.zh and text.en for terms in (own.actions, own.operands, own.values) for text in terms.values())
    assert len({term.short for term in table.values()}) == len(table) == 23


PRICE = {"amount": "1.50", "currency": "CNY", "unit": "slide"}
DISEASES = {"diseases": ["MONDO:0005233"]}
WITHOUT_FAULT: list[dict[str, Any]] = [
    {},
    {"duo": ["DUO_0000042"]},
    {"duo": ["DUO_0000006", "DUO_0000043", "DUO_0000021", "DUO_0000044"]},
    {"duo": ["DUO_0000007"], **DISEASES},
    {"duo": ["DUO_0000042", "DUO_0000046"]},
    {"duo": ["DUO_0000042", "DUO_0000045"], "price": PRICE},
    {"duo": ["DUO_0000042", "DUO_0000022"]},
    {"duo": ["DUO_0000042", "DUO_0000025"], "valid_until": "2027-01-01"},
    {"duo": ["DUO_0000004", "DUO_0000043"]},
    {"duo": ["DUO_0000042", "DUO_0000042"], "declarations": {"cross_border": False}},
    {"valid_until": "2026-01-02", "published": "2026-01-02"},
]
WITH_FAULT: list[tuple[dict[str, Any], str]] = [
    ({"duo": ["DUO_0000007"]}, "DUO_0000007 (disease specific research) says nothing without `diseases`"),
    ({"duo": ["DUO_0000006"], **DISEASES}, "`diseases` limits DUO_0000007"),
    ({"duo": ["DUO_0000042", "DUO_0000046"], "price": PRICE}, "DUO_0000046 allows no commercial use, and"),
    ({"duo": ["DUO_0000042", "DUO_0000018"], "price": PRICE}, "DUO_0000018 allows no commercial use, and"),
    ({"forbidden": ["commercial_use"], "price": PRICE}, "`forbidden: commercial_use` allows no commercial use, and"),
    ({"duo": ["DUO_0000004"], "forbidden": ["train_models"]}, "DUO_0000004 (no restriction) is contradicted by `forb"),
    ({"duo": ["DUO_0000042", "DUO_0000025"]}, "DUO_0000025 (time limit on use) says nothing without `valid_until`"),
    ({"duo": ["DUO_0000042", "DUO_0000022"], "forbidden": ["reidentify"]}, "DUO_0000022 (geographical restriction) says"),
    ({"duo": ["DUO_0000042", "DUO_0000024"]}, "DUO_0000024 (publication moratorium) says nothing without the day"),
    ({"duo": ["DUO_0000042", "DUO_0000012"]}, "DUO_0000012 (research specific restrictions) says nothing without a"),
    ({"duo": ["DUO_0000042", "DUO_0000006"]}, "DUO_0000042 and DUO_0000006 each say what the data may be used for"),
    ({"duo": ["DUO_0000046"]}, "DUO_0000046: no term says which use is allowed"),
    ({"duo": ["DUO_0000043", "DUO_0000021"]}, "DUO_0000043, DUO_0000021: no term says which use is allowed"),
    ({"duo": ["DUO_0000004", "DUO_0000046"]}, "DUO_0000004 (no restriction) is contradicted by DUO_0000046"),
    ({"duo": ["DUO_0000011", "DUO_0000044"]}, "DUO_0000011 allows research on ancestry only"),
    ({"duo": ["DUO_0000042", "DUO_0000015"]}, "DUO_0000015 allows no development of methods"),
    ({"duo": ["DUO_0000001"]}, "DUO_0000001 is no term that data can carry"),
    ({"duo": ["DUO_0000042", "DUO_9999999"]}, "DUO_9999999 is no term that data can carry"),
    ({"declarations": {"cross_border": True}}, "`forbidden` names cross_border_transfer, and the holder declares"),
    ({"valid_until": "2026-01-01", "published": "2026-01-02"}, "`valid_until` is before the day of publication"),
]  # fmt: skip


@pytest.mark.parametrize("policy", WITHOUT_FAULT, ids=str)
def test_what_agrees_with_itself_has_no_fault(policy: dict[str, Any]) -> None:
    assert policy_faults(product(**policy)) == []


@pytest.mark.parametrize(("policy", "begins"), WITH_FAULT, ids=lambda told: told[:40] if isinstance(told, str) else "")
def test_what_contradicts_itself_is_told_once(policy: dict[str, Any], begins: str) -> None:
    (fault,) = policy_faults(product(**policy))
    assert fault.startswith(begins)


@settings(max_examples=40)
@given(st.lists(st.sampled_from([*duo_terms(), "DUO_0000001", "DUO_1234567"]), max_size=6), st.booleans(), st.booleans())
def test_any_terms_are_judged_alike_whatever_their_order(codes: list[str], has_end: bool, is_sold: bool) -> None:
    more: dict[str, Any] = ({"valid_until": "2027-01-01"} if has_end else {}) | ({"price": PRICE} if is_sold else {})
    faults = policy_faults(product(duo=codes, **more))
    assert len(policy_faults(product(duo=[*reversed(codes), *codes], **more))) == len(faults)
    if codes and not faults:
        assert sum(duo_terms()[code].kind == "permission" for code in set(codes)) == 1

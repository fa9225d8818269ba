"""A release's policy as a connector takes it: every term there, every word whole, and what cannot be said refused."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import Graph, Namespace, URIRef
from rdflib.collection import Collection
from rdflib.namespace import RDF

from pathcurate.dataspace.bodies import policy_body
from pathcurate.dataspace.bodyrules import body_faults
from pathcurate.dataspace.policies import citations, connector_policy, offer, offered_terms, word, words_to_bind
from pathcurate.dataspace.terms import OPERATORS, SET_OPERATORS, Constraint, Rule, Terms, terms_of_connector
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.dataspace import Offering
from tests.edcbodies import is_accepted
from tests.edcserver import compacted
from tests.unit.offerings import DIGEST, OFFERINGS, OTHER_DIGEST, an_offering

# rdflib's own reader of JSON-LD uses what rdflib has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
NOWHERE = "https://nowhere.invalid/"
ODRL = Namespace("http://www.w3.org/ns/odrl/2/")
OWN = "https://pathcurate.example/odrl#"
# What the ODRL profile of the Dataspace Protocol says, as far as policies need it; written from its text.
PROFILE: dict[str, Any] = {
    "odrl": str(ODRL),
    "dct": "http://purl.org/dc/terms/",
    "policy": "https://w3id.org/edc/v0.0.1/ns/policy",
    **{name: {"@id": f"odrl:{name}", "@type": "@id"} for name in ("profile", "target", "assigner", "duty")},
    **{
        name: {"@id": f"odrl:{name}", "@type": "@id", "@container": "@set"}
        for name in ("permission", "prohibition", "obligation", "constraint")
    },
    **{name: {"@id": f"odrl:{name}", "@type": "@vocab"} for name in ("action", "operator", "leftOperand")},
    **{name: f"odrl:{name}" for name in ("rightOperand", "and", "use", "Set", "Offer", *sorted(OPERATORS))},
    "PolicyDefinition": "https://w3id.org/edc/v0.0.1/ns/PolicyDefinition",
}


def expanded(node: dict[str, Any]) -> Graph:
    """A policy as a connector reads it; a word that it does not know becomes a name below where it was found."""
    text = json.dumps({**node, "@context": PROFILE})
    return Graph().parse(data=text, format="json-ld", publicID=NOWHERE)


def relative_names(graph: Graph) -> list[str]:
    return sorted({str(term) for triple in graph for term in triple if isinstance(term, URIRef) and NOWHERE in str(term)})


def said(graph: Graph) -> set[tuple[object, ...]]:
    """All that a policy says, however it is laid out: rules with actions, constraints, duties."""
    found: set[tuple[object, ...]] = set()

    def constraints(rule: Any) -> frozenset[tuple[object, ...]]:
        told = set()
        todo = list(graph.objects(rule, ODRL.constraint))
        while todo:
            node = todo.pop()
            for each in graph.objects(node, ODRL["and"]):
                todo.extend(Collection(graph, each) if (each, RDF.first, None) in graph else [each])
            for left in graph.objects(node, ODRL.leftOperand):
                right = {str(each)[:10] for each in graph.objects(node, ODRL.rightOperand)}
                whole = {str(each) for each in graph.objects(node, ODRL.rightOperand)}
                is_day = left == ODRL.dateTime
                told.add((str(left), str(graph.value(node, ODRL.operator)), frozenset(right if is_day else whole)))
        return frozenset(told)

    for kind in (ODRL.permission, ODRL.prohibition, ODRL.obligation, ODRL.duty):
        for owner, rule in graph.subject_objects(kind):
            del owner
            found.add((str(kind), str(graph.value(rule, ODRL.action)), constraints(rule)))
    return found


@pytest.mark.parametrize("name", OFFERINGS)
def test_nothing_of_a_releases_policy_is_lost_and_the_digest_is_added(name: str) -> None:
    offering = OFFERINGS[name]
    before = said(Graph().parse(data=json.dumps(offering.policy), format="json-ld", publicID=NOWHERE))
    after = said(expanded(policy_body(offering)))
    bound = (f"{OWN}releaseDigest", str(ODRL.eq), frozenset({DIGEST}))
    wanted = {
        (kind, action, constraints | {bound}) if kind == str(ODRL.permission) else (kind, action, constraints)
        for kind, action, constraints in before
    }  # type: ignore[operator, misc]
    assert after == wanted
    assert len(before) >= 3  # a policy that says next to nothing would prove next to nothing


@pytest.mark.parametrize("name", OFFERINGS)
def test_no_word_of_a_policy_is_left_to_where_the_document_lies(name: str) -> None:
    offering = OFFERINGS[name]
    assert relative_names(expanded(policy_body(offering))) == []
    assert relative_names(expanded(offer(offering, target=True))) == []


@pytest.mark.parametrize("kind", ["obligation", "prohibition", "permission"])
def test_a_bare_word_would_be_found(kind: str) -> None:
    body = policy_body(an_offering())
    body["policy"][kind][0]["action"] = "delete"
    assert relative_names(expanded(body)) == [f"{NOWHERE}delete"]
    assert body_faults(body)
    assert not is_accepted("PolicyDefinition", body)


def test_a_set_names_neither_target_nor_assigner_and_an_offer_of_a_request_both() -> None:
    offering = an_offering()
    policy = policy_body(offering)["policy"]
    assert policy["@type"] == "Set"
    assert not {"target", "assigner", "assignee", "@id"} & policy.keys()
    shown, asked = offer(offering), offer(offering, target=True)
    assert shown["@type"] == asked["@type"] == "Offer"
    assert "target" not in shown
    assert asked["target"] == offering.asset_id
    assert asked["assigner"] == shown["assigner"] == "https://pathcurate.example/organisation/12330200MA2AGX123B"


def test_how_the_holder_wants_to_be_named_stands_in_an_offer_and_not_in_a_set() -> None:
    offering = an_offering()
    named = citations(offered_terms(offering))
    assert len(named) == 1
    assert named[0] in json.dumps(offer(offering), ensure_ascii=False)
    assert named[0] not in json.dumps(policy_body(offering)["policy"], ensure_ascii=False)


def test_a_day_becomes_the_end_of_that_day_in_china() -> None:
    terms = offered_terms(an_offering())
    (until,) = [each for each in terms.permissions[0].constraints if each.left == f"{ODRL}dateTime"]
    assert until == Constraint(f"{ODRL}dateTime", "lteq", ("2027-11-20T23:59:59+08:00",))


def test_words_to_bind_are_all_of_the_policys_and_whole() -> None:
    actions, operands = words_to_bind(offered_terms(an_offering()))
    assert {f"{ODRL}use", f"{ODRL}delete", f"{OWN}reidentify", f"{OWN}provideEthicsApproval"} <= set(actions)
    assert {f"{ODRL}event", f"{ODRL}dateTime", f"{OWN}environment", f"{OWN}releaseDigest"} <= set(operands)


# --- What is refused ---------------------------------------------------------------------------------------------------


def changed(change: Callable[[dict[str, Any]], object]) -> Offering:
    """An offering whose policy was changed in one place."""
    document = deepcopy(dict(an_offering().policy))
    change(document["@graph"][0])
    return an_offering(policy=document)


def rule(node: dict[str, Any], kind: str = "permission") -> dict[str, Any]:
    found: dict[str, Any] = node[f"odrl:{kind}"][0]
    return found


def constraint(node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = rule(node)["odrl:constraint"][0]
    return found


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "a remedy": lambda node: rule(node, "prohibition").update({"odrl:remedy": [{"odrl:action": {"@id": "odrl:delete"}}]}),
    "a refinement": lambda node: rule(node).update({"odrl:refinement": []}),
    "an assignee": lambda node: node.update({"odrl:assignee": {"@id": "https://a.example/"}}),
    "another rule kind": lambda node: node.update({"odrl:inheritFrom": {"@id": "https://a.example/"}}),
    "an operator that is none": lambda node: constraint(node).update({"odrl:operator": {"@id": "odrl:about"}}),
    "two values of eq": lambda node: constraint(node).update({"odrl:operator": {"@id": "odrl:eq"}}),
    "nothing to compare with": lambda node: constraint(node).update({"odrl:rightOperand": []}),
    "a number to compare with": lambda node: constraint(node).update({"odrl:rightOperand": 7}),
    "a node to compare with": lambda node: constraint(node).update({"odrl:rightOperand": {"@id": "pc:x", "pc:y": "z"}}),
    "an operand that is a text": lambda node: constraint(node).update({"odrl:leftOperand": "purpose"}),
    "a relative operand": lambda node: constraint(node).update({"odrl:leftOperand": {"@id": "purpose"}}),
    "an operand with a space": lambda node: constraint(node).update({"odrl:leftOperand": {"@id": "pc:a b"}}),
    "a logical constraint": lambda node: rule(node).update({"odrl:constraint": [{"odrl:or": []}]}),
    "no action": lambda node: rule(node).pop("odrl:action"),
    "two actions": lambda node: rule(node).update({"odrl:action": [{"@id": "odrl:use"}, {"@id": "odrl:read"}]}),
    "an action with a refinement": lambda node: rule(node).update(
        {"odrl:action": {"@id": "odrl:use", "odrl:refinement": 1}}
    ),
    "a duty of a duty": lambda node: rule(node)["odrl:duty"][0].update({"odrl:duty": [{"odrl:action": {"@id": "odrl:x"}}]}),
    "no permission": lambda node: node.pop("odrl:permission"),
    "permission wins": lambda node: node.update({"odrl:conflict": {"@id": "odrl:perm"}}),
    "a rule that is a text": lambda node: node.update({"odrl:prohibition": ["odrl:distribute"]}),
    "no type": lambda node: node.pop("@type"),
    "a day that is none": lambda node: rule(node)["odrl:constraint"][3].update(
        {"odrl:rightOperand": {"@value": "soon", "@type": "xsd:date"}}
    ),
    "a day that is asked to be": lambda node: rule(node)["odrl:constraint"][3].update({"odrl:operator": {"@id": "odrl:eq"}}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_connectors_policy_has_no_place_for_is_refused_not_dropped(what: str) -> None:
    with pytest.raises(InputOutputError, match="policy of the release"):
        offered_terms(changed(WRONG[what]))


@pytest.mark.parametrize("policy", [{}, {"@context": {}, "@graph": []}, {"@context": [], "@graph": [{}]}, {"@graph": "x"}])
def test_a_document_that_is_no_policy_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(InputOutputError):
        offered_terms(an_offering(policy=policy))


def test_two_offers_in_a_document_are_refused() -> None:
    document = deepcopy(dict(an_offering().policy))
    document["@graph"].append(document["@graph"][0])
    with pytest.raises(InputOutputError, match="2 offers"):
        offered_terms(an_offering(policy=document))


def test_a_policy_about_another_release_is_refused_and_about_this_one_not_doubled() -> None:
    def bind(digest: str) -> Offering:
        node = {
            "@type": "odrl:Constraint", "odrl:leftOperand": {"@id": "pc:releaseDigest"},
            "odrl:operator": {"@id": "odrl:eq"}, "odrl:rightOperand": digest,
        }  # fmt: skip
        return changed(lambda offer: rule(offer)["odrl:constraint"].append(node))

    assert offered_terms(bind(DIGEST)) == offered_terms(an_offering())
    with pytest.raises(DigestMismatchError):
        offered_terms(bind(OTHER_DIGEST))


# --- Any policy --------------------------------------------------------------------------------------------------------

BODY = policy_body(an_offering())
IRIS = st.one_of(
    st.sampled_from(["use", "delete", "event", "dateTime", "eq", "or"]).map(lambda name: f"{ODRL}{name}"),
    st.text("abc/#%._-", min_size=1, max_size=8).map(lambda text: f"https://a.example/{text}"),
)
VALUES = st.one_of(IRIS, st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=9))


@st.composite
def constraints_of(draw: st.DrawFn) -> Constraint:
    operator = draw(st.sampled_from(sorted(OPERATORS)))
    most = 3 if operator in SET_OPERATORS else 1
    return Constraint(draw(IRIS), operator, tuple(sorted(draw(st.lists(VALUES, min_size=1, max_size=most)))))


def sorted_constraints() -> st.SearchStrategy[tuple[Constraint, ...]]:
    return st.lists(constraints_of(), max_size=3).map(lambda found: tuple(sorted(found)))


DUTIES = st.builds(Rule, IRIS, sorted_constraints())
PERMISSIONS = st.builds(
    Rule, IRIS, sorted_constraints(), st.lists(DUTIES, max_size=2).map(lambda found: tuple(sorted(found)))
)
TERMS = st.builds(
    Terms,
    st.just(("https://a.example/profile",)),
    st.lists(PERMISSIONS, min_size=1, max_size=2).map(tuple),
    st.lists(DUTIES, max_size=3).map(tuple),
    st.lists(DUTIES, max_size=3).map(tuple),
)


@given(TERMS)
@settings(max_examples=30, deadline=None)
def test_any_terms_come_back_the_same_from_a_connector_and_no_other_terms_pass_for_them(terms: Terms) -> None:
    policy = connector_policy(terms)
    body = {**BODY, "policy": policy}
    assert body_faults(body) == []
    assert is_accepted("PolicyDefinition", body)
    for given_back in (policy, compacted(policy), json.loads(json.dumps(compacted(policy)))):
        held = terms_of_connector(given_back)
        assert held is not None
        assert terms.same_rules(held)
    fewer = replace(terms, prohibitions=terms.prohibitions[1:])
    if terms.prohibitions:
        assert not terms.same_rules(fewer)
    harder = Rule(f"{ODRL}use", (Constraint(f"{ODRL}spatial", "eq", ("x",)),))
    assert not terms.same_rules(replace(terms, permissions=(*terms.permissions, harder)))


@pytest.mark.parametrize(
    "answer",
    [
        None, [], "x", {"permission": "use"}, {"permission": [{"action": "use", "odrl:remedy": [{"action": "use"}]}]},
        {"permission": [{"action": "use", "constraint": [{"or": [{}]}]}]}, {"permission": [{"action": {"x": "y"}}]},
        {"permission": [{"action": "use", "constraint": [{"leftOperand": "a", "operator": "eq"}]}]},
        {"permission": [], "odrl:permission": []},
    ],
)  # fmt: skip
def test_an_answer_that_is_not_understood_equals_nothing(answer: object) -> None:
    assert terms_of_connector(answer) is None


def test_an_answer_of_endless_depth_equals_nothing() -> None:
    node: dict[str, Any] = {"leftOperand": "a", "operator": "eq", "rightOperand": "b"}
    for _ in range(5000):
        node = {"and": [node]}
    assert terms_of_connector({"permission": [{"action": "use", "constraint": [node]}]}) is None


def test_a_word_that_a_connector_left_relative_is_not_the_term() -> None:
    ours = offered_terms(an_offering())
    policy = json.loads(json.dumps(connector_policy(ours)).replace("odrl:delete", "delete"))
    held = terms_of_connector(policy)
    assert held is not None
    assert not ours.same_rules(held)


def test_words_have_a_prefix_or_are_whole() -> None:
    assert [word(f"{ODRL}{name}") for name in ("delete", "a/b")] == ["odrl:delete", f"{ODRL}a/b"]
    assert word(f"{OWN}environment") == f"{OWN}environment"

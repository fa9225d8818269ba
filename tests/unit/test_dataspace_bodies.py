"""Bodies for a connector: what is sent is what the schemas and the context of EDC say, and nothing that they would drop."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.dataspace.bodies import (
    SCOPES,
    asset_body,
    contract_definition_body,
    criterion,
    in_version_3,
    plan_request_body,
    policy_body,
    query_body,
    refs_of,
)
from pathcurate.dataspace.bodyrules import body_faults
from pathcurate.model.dataspace import EDC_CONTEXT
from tests.edcbodies import NS, is_accepted
from tests.unit.offerings import DIGEST, OFFERINGS, an_offering

DIGEST_KEY = "https://pathcurate.example/ns#releaseDigest"
Body = dict[str, Any]


def bodies(name: str = "slides") -> dict[str, Body]:
    offering = OFFERINGS[name]
    return {
        "asset": asset_body(offering),
        "policy": policy_body(offering),
        "definition": contract_definition_body(offering, "members"),
        "query": query_body([criterion("assetId", offering.asset_id)]),
        "anything": query_body(),
        **{scope: plan_request_body(scope) for scope in ("catalog", *SCOPES)},
    }


GOOD = bodies()


@pytest.mark.parametrize("name", OFFERINGS)
def test_bodies_of_any_release_are_accepted(name: str) -> None:
    for body in bodies(name).values():
        assert body_faults(body) == []
        assert is_accepted(body["@type"], body)
        assert body["@context"] == [EDC_CONTEXT]


def test_the_asset_names_the_version_and_its_digest_and_no_two_parts_share_a_name() -> None:
    asset = GOOD["asset"]
    assert asset["@id"] == OFFERINGS["slides"].asset_id == "urn:pathcurate:product:thorax:1.2.0"
    assert asset["properties"][DIGEST_KEY] == DIGEST
    assert asset["privateProperties"] == {"registryReleaseId": "thorax@1.2.0"}
    assert asset["dataplaneMetadata"]["labels"] == ["HttpData-PULL", "tre-session"]
    assert len(set(refs_of("urn:x").values())) == 3
    chosen = GOOD["definition"]["assetsSelector"]
    assert chosen == [
        {"@type": "Criterion", "operandLeft": f"{NS}id", "operator": "=", "operandRight": asset["@id"]}
    ]  # fmt: skip
    assert GOOD["definition"]["contractPolicyId"] == GOOD["policy"]["@id"]


def test_settings_of_the_space_say_how_a_buyer_comes_by_it() -> None:
    assert asset_body(an_offering(), ["AmazonS3-PUSH"])["dataplaneMetadata"]["labels"] == ["AmazonS3-PUSH"]


def test_texts_of_people_reach_a_connector_without_signs_that_no_store_holds() -> None:
    asset = asset_body(an_offering(title_zh="胸\x00科\ud800\u202e片", keywords=("a\x07b",), registration_numbers=()))
    assert body_faults(asset) == []
    assert asset["properties"]["name"] == "胸 科  片"
    assert "https://pathcurate.example/ns#registrationNo" not in asset["properties"]


# --- Wrong bodies ------------------------------------------------------------------------------------------------------


def put(*path: Any, to: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        node: Any = body
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = to

    return change


def drop(*path: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        node: Any = body
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]

    return change


FIRST = ("policy", "permission", 0)
AND = (*FIRST, "constraint", 0, "and")
WRONG: dict[str, tuple[str, Callable[[Body], None]]] = {
    "a context that is one address": ("asset", put("@context", to=EDC_CONTEXT)),
    "an inline vocabulary": ("asset", put("@context", to={"@vocab": NS})),
    "an inline vocabulary in the list": ("policy", put("@context", to=[EDC_CONTEXT, {"@vocab": NS}])),
    "another context": ("definition", put("@context", to=["https://w3id.org/edc/connector/management/v0.0.1"])),
    "no context": ("query", drop("@context")),
    "no type": ("policy", drop("@type")),
    "another type": ("asset", put("@type", to="edc:Asset")),
    "no id": ("asset", drop("@id")),
    "an id with a space": ("definition", put("@id", to="a b")),
    "an asset without properties": ("asset", drop("properties")),
    "an asset without a digest": ("asset", drop("properties", DIGEST_KEY)),
    "a digest that is none": ("asset", put("properties", DIGEST_KEY, to="sha256:A1")),
    "a property that is a number": ("asset", put("properties", "version", to=1.2)),
    "a property with a prefix that nobody declares": ("asset", put("properties", "dct:title", to="x")),
    "a property that says nothing": ("asset", put("properties", "name", to="")),
    "a nested property": ("asset", put("properties", "croissant", to={"a": "b"})),
    "an asset's key that is dropped": ("asset", put("dataAddress", to={"@type": "DataAddress", "type": "HttpData"})),
    "metadata without a type": ("asset", drop("dataplaneMetadata", "@type")),
    "metadata without labels": ("asset", put("dataplaneMetadata", "labels", to=[])),
    "metadata of a key that is dropped": ("asset", put("dataplaneMetadata", "baseUrl", to="https://x.example/")),
    "an offer in a definition": ("policy", put("policy", "@type", to="Offer")),
    "a set with a target": ("policy", put("policy", "target", to="urn:x")),
    "a set with an assigner": ("policy", put("policy", "assigner", to="urn:x")),
    "a policy of two profiles": ("policy", put("policy", "profile", to=["urn:a:b", "urn:c:d"])),
    "a profile that is a word": ("policy", put("policy", "profile", to="cn-health")),
    "a profile that is nothing": ("policy", put("policy", "profile", to=None)),
    "no permission": ("policy", drop("policy", "permission")),
    "a permission that is no list": ("policy", put("policy", "permission", to={"action": "use"})),
    "an empty prohibition": ("policy", put("policy", "prohibition", to=[])),
    "a bare action": ("policy", put("policy", "obligation", 0, "action", to="delete")),
    "an action of a prefix that nobody declares": ("policy", put("policy", "prohibition", 0, "action", to="pc:reidentify")),
    "an action that is an object": ("policy", put("policy", "prohibition", 0, "action", to={"@id": "odrl:use"})),
    "a prohibition without action": ("policy", drop("policy", "prohibition", 0, "action")),
    "a bare operand": ("policy", put(*AND, 0, "leftOperand", to="dateTime")),
    "an operand that is the one bare action": ("policy", put(*AND, 0, "leftOperand", to="use")),
    "an operator with a prefix": ("policy", put(*AND, 0, "operator", to="odrl:lteq")),
    "an operator that is none": ("policy", put(*AND, 0, "operator", to="in")),
    "a set that is a text": ("policy", put(*AND, 1, "rightOperand", to="DUO_0000006")),
    "a moment that is a list": ("policy", put(*AND, 0, "rightOperand", to=["2027-11-20T00:00:00+08:00"])),
    "a constraint without a right side": ("policy", drop(*AND, 0, "rightOperand")),
    "any of the constraints is enough": ("policy", put(*FIRST, "constraint", to=[{"or": [{}]}])),
    "constraints that are no list": ("policy", put(*FIRST, "constraint", to={"and": []})),
    "no constraint within and": ("policy", put(*AND, to=[])),
    "a remedy": ("policy", put("policy", "prohibition", 0, "remedy", to=[{"action": "use"}])),
    "a duty of a prohibition": ("policy", put("policy", "prohibition", 0, "duty", to=[{"action": "use"}])),
    "a definition for every asset": ("definition", put("assetsSelector", to=[])),
    "a definition without a selector": ("definition", drop("assetsSelector")),
    "a criterion without type": ("definition", drop("assetsSelector", 0, "@type")),
    "a criterion by another property": ("definition", put("assetsSelector", 0, "operandLeft", to="name")),
    "a criterion of likeness": ("definition", put("assetsSelector", 0, "operator", to="like")),
    "a definition without an access policy": ("definition", put("accessPolicyId", to="")),
    "one policy for both": ("definition", put("accessPolicyId", to=GOOD["policy"]["@id"])),
    "a query of nothing": ("query", put("limit", to=0)),
    "a query from before the first": ("query", put("offset", to=-1)),
    "a query by a bare criterion": ("query", drop("filterExpression", 0, "@type")),
    "a plan for no scope": ("catalog", put("policyScope", to="")),
    "a plan for a scope that is none": ("catalog", put("policyScope", to="contract")),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_body_is_refused_before_it_is_sent_and_by_the_server(what: str) -> None:
    name, change = WRONG[what]
    body = deepcopy(GOOD[name])
    kind = body["@type"]
    change(body)
    assert body_faults(body) != []
    assert not is_accepted(kind, body)


@pytest.mark.parametrize("body", [None, [], "x", {}, {"@type": []}, {"@type": "Catalog", "@context": [EDC_CONTEXT]}])
def test_what_is_no_body_at_all_is_refused(body: Any) -> None:
    assert body_faults(body) != []


def test_what_is_wrong_is_told_without_a_value() -> None:
    body = deepcopy(GOOD["asset"])
    body["properties"][DIGEST_KEY] = "王小明"
    body["properties"]["王小明 "] = "x"
    assert not any("王小明" in sentence for sentence in body_faults(body))


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield (*path, key)
            yield from places(value, (*path, key))


OTHERS = st.sampled_from(
    [None, 1, True, "", "delete", "odrl:x", "https://a.example/x", [], {}, [""], ["x"], {"@type": "Set"}]
)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_the_server_refuses_is_never_sent(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["asset", "policy", "definition", "query", "catalog"]))
    body = deepcopy(GOOD[name])
    kind = body["@type"]
    path = data.draw(st.sampled_from(list(places(body))))
    change = drop(*path) if data.draw(st.booleans()) else put(*path, to=data.draw(OTHERS))
    change(body)
    if not is_accepted(kind, body):
        assert body_faults(body) != []


# --- Version 3 ---------------------------------------------------------------------------------------------------------


def test_version_3_differs_in_context_and_data_address_only() -> None:
    for name, body in GOOD.items():
        other = in_version_3(body)
        assert other.pop("@context") == {"@vocab": NS}
        if name == "asset":
            assert other.pop("dataAddress") == {"@type": "DataAddress", "type": "HttpData"}
        if name == "policy":
            assert other["policy"] == {"@context": "http://www.w3.org/ns/odrl.jsonld", **body["policy"]}
            other["policy"] = body["policy"]
        assert other == {key: value for key, value in body.items() if key != "@context"}
    assert bodies() == GOOD  # nothing was changed in place


@pytest.mark.parametrize(("label", "kind"), [("HttpData-PULL", "HttpData"), ("AmazonS3-PUSH", "AmazonS3"), ("tre", "tre")])
def test_a_data_address_is_of_the_kind_that_is_transferred(label: str, kind: str) -> None:
    assert in_version_3(asset_body(an_offering(transfer=(label,))))["dataAddress"]["type"] == kind

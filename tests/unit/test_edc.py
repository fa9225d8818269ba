"""The connector of a data space: an offer is there whole, or nobody sees anything of it, whatever goes wrong between."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pathcurate.dataspace.bodies import asset_body, contract_definition_body, policy_body, refs_of
from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    InputOutputError,
    UsageError,
)
from pathcurate.model.dataspace import Listing
from pathcurate.registries import Space
from tests.edcbodies import V2
from tests.edcdesk import KEY, ODRL, OFFERING, OWN, PARTS, REFS, WHOLE, connector, posts
from tests.edcserver import ACCESS, EdcServer, Fault
from tests.unit.offerings import OFFERINGS, OTHER_DIGEST, an_offering

# --- As it should be ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> Iterator[EdcServer]:
    with EdcServer(key=KEY) as server:
        yield server


@pytest.fixture
def server(running: EdcServer) -> EdcServer:
    running.reset()
    return running


def test_an_offer_is_made_in_order_and_visible_only_when_it_is_whole(server: EdcServer) -> None:
    space: Space = connector(server)
    assert space.look(OFFERING) is None
    assert space.publish(OFFERING) == Listing("hub", "edc", OFFERING.release_digest, REFS, "v4", is_new=True)
    assert posts(server) == PARTS
    assert server.held == WHOLE
    made = server.calls.index(("POST", "/v4/contractdefinitions"))
    assert not any(server.visible[:made])
    assert server.visible[made]
    plans = [index for index, call in enumerate(server.calls) if call[1].endswith("/evaluationplan")]
    assert len(plans) == 3  # the access policy in the catalogue, the contract policy in negotiation and transfer
    assert max(plans) < made


@pytest.mark.parametrize("name", OFFERINGS)
def test_any_release_can_be_offered(server: EdcServer, name: str) -> None:
    assert connector(server).publish(OFFERINGS[name]).is_new
    stored = server.stored["assets"][OFFERINGS[name].asset_id]
    assert stored == asset_body(OFFERINGS[name])
    assert server.stored["policydefinitions"][refs_of(OFFERINGS[name].asset_id)["contract_policy"]] == policy_body(
        OFFERINGS[name]
    )


def test_again_changes_nothing(server: EdcServer) -> None:
    space = connector(server)
    first = space.publish(OFFERING)
    server.calls.clear()
    assert space.publish(OFFERING) == replace(first, is_new=False) == space.look(OFFERING)
    assert posts(server) == []
    assert not any(method == "DELETE" for method, _ in server.calls)


def test_ids_are_percent_encoded_and_the_key_goes_into_its_header_alone(server: EdcServer) -> None:
    space = connector(server, version_address=server.version_address)
    space.retract(space.publish(OFFERING))
    assert ("GET", "/v4/assets/urn%3Apathcurate%3Aproduct%3Athorax%3A1.2.0") in server.calls
    assert not any(KEY in path for _, path in server.calls)
    for (_, path), key in zip(server.calls, server.keys, strict=True):
        assert key == (None if path.startswith("/.well-known") else KEY)


def test_a_release_of_strange_letters_is_offered_and_found(server: EdcServer) -> None:
    strange = an_offering(asset_id="urn:pathcurate:product:胸科/ä%20?:1.0.0+b#1")
    space = connector(server)
    assert space.publish(strange).is_new
    assert space.look(strange) is not None
    assert list(server.held["assets"]) == [strange.asset_id]


def test_what_is_retracted_is_gone(server: EdcServer) -> None:
    space = connector(server)
    listing = space.publish(OFFERING)
    again = Listing.of_fact("hub", listing.as_fact())
    assert space.retract(again) == []
    assert server.held == {}
    assert space.retract(again) == []
    assert space.look(OFFERING) is None
    deleted = [path.split("/")[2] for method, path in server.calls if method == "DELETE"]
    assert deleted[0] == "contractdefinitions"
    assert space.publish(OFFERING).is_new


def test_what_agreements_need_stays_and_is_told(server: EdcServer) -> None:
    space = connector(server)
    listing = space.publish(OFFERING)
    server.agreements[REFS["asset"]] = 2
    server.transfers[REFS["asset"]] = ["STARTED", "COMPLETED", "TERMINATED", "SUSPENDED"]
    stays = space.retract(listing)
    assert server.held == {"assets": [REFS["asset"]]}
    assert not server.is_visible()
    assert [sentence.split()[0] for sentence in stays[:2]] == ["2", "2"]
    assert "the asset stays" in stays[2]
    assert space.look(OFFERING) is None
    assert space.publish(OFFERING).is_new  # the asset that stayed is used again


def test_what_cannot_be_asked_after_the_offer_is_gone_is_told_and_fails_nothing(server: EdcServer) -> None:
    space = connector(server)
    listing = space.publish(OFFERING)
    server.faults += [
        Fault("POST", "contractagreements", "status", status=501),
        Fault("DELETE", "policydefinitions", "status", status=409),
        Fault("DELETE", "assets", "drop"),
    ]
    stays = space.retract(listing)
    assert not server.is_visible()
    assert [("agreements" in each, "policy" in each, "asset" in each) for each in stays] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip


# --- What is there already ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("present", [1, 2])
def test_a_run_that_was_killed_is_taken_up(server: EdcServer, present: int) -> None:
    for kind, body in zip(PARTS[:present], (asset_body(OFFERING), policy_body(OFFERING)), strict=False):
        server.stored[kind][body["@id"]] = body
    space = connector(server)
    assert space.look(OFFERING) is None
    assert space.publish(OFFERING).is_new
    assert posts(server) == PARTS[present:]
    assert server.held == WHOLE


def test_a_definition_without_its_parts_shows_nothing_while_they_are_made(server: EdcServer) -> None:
    body = contract_definition_body(OFFERING, ACCESS)
    server.stored["contractdefinitions"][body["@id"]] = body
    server.stored["policydefinitions"][REFS["contract_policy"]] = policy_body(OFFERING)
    space = connector(server)
    assert space.look(OFFERING) is None
    server.unbound["*"] = {f"{OWN}reidentify"}
    with pytest.raises(DisclosureRefusedError):
        space.publish(OFFERING)
    assert not any(server.visible)
    server.unbound.clear()
    assert space.publish(OFFERING).is_new
    assert server.held == WHOLE


def other_bodies() -> dict[str, dict[str, Any]]:
    other = an_offering(release_digest=OTHER_DIGEST)
    definition = contract_definition_body(OFFERING, ACCESS)
    return {
        "assets": asset_body(other),
        "policydefinitions": policy_body(other),
        "contractdefinitions": {**definition, "accessPolicyId": "everybody"},
    }


@pytest.mark.parametrize("kind", PARTS)
def test_a_name_that_another_has_taken_is_never_used(server: EdcServer, kind: str) -> None:
    body = other_bodies()[kind]
    server.stored[kind][body["@id"]] = body
    space = connector(server)
    for call in (space.look, space.publish):
        with pytest.raises(DigestMismatchError, match="taken"):
            call(OFFERING)
    assert server.held == {kind: [body["@id"]]}
    assert server.stored[kind][body["@id"]] is body


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("is_same", [True, False])
def test_somebody_else_is_faster(server: EdcServer, kind: str, is_same: bool) -> None:
    """409, although nothing was there a moment ago."""
    same = {
        "assets": asset_body(OFFERING), "policydefinitions": policy_body(OFFERING),
        "contractdefinitions": contract_definition_body(OFFERING, ACCESS),
    }  # fmt: skip
    body = (same if is_same else other_bodies())[kind]

    def put() -> None:
        server.stored[kind][body["@id"]] = body

    server.faults.append(Fault("POST", f"/v4/{kind}$", "status", status=409, before=put))
    space = connector(server)
    if is_same:
        assert space.publish(OFFERING).is_new
        assert server.held == WHOLE
    else:
        with pytest.raises(DigestMismatchError):
            space.publish(OFFERING)
        # What this run made is gone, what the other made is not, nor what it refers to.
        used = {"policydefinitions": [REFS["contract_policy"]]} if kind == "contractdefinitions" else {}
        assert server.held == {**used, kind: [body["@id"]]}
        assert not server.is_visible()


def test_a_definition_that_chooses_more_is_not_ours(server: EdcServer) -> None:
    space = connector(server)
    space.publish(OFFERING)
    definition = server.stored["contractdefinitions"][REFS["contract_definition"]]
    definition["assetsSelector"] = []
    with pytest.raises(DigestMismatchError):
        space.look(OFFERING)


def test_another_releases_listing_is_not_retracted(server: EdcServer) -> None:
    space = connector(server)
    listing = space.publish(OFFERING)
    with pytest.raises(DigestMismatchError):
        space.retract(replace(listing, release_digest=OTHER_DIGEST))
    assert server.held == WHOLE
    for wrong in (replace(listing, kind="files"), replace(listing, refs={"entry": "1"})):
        with pytest.raises(UsageError):
            space.retract(wrong)


# --- Terms that would not be enforced ----------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [f"{OWN}reidentify", f"{OWN}environment", f"{ODRL}delete", f"{ODRL}dateTime", f"{ODRL}use"])
@pytest.mark.parametrize("scope", ["contract.negotiation", "transfer.process"])
def test_a_term_that_would_be_dropped_stops_the_offer_and_is_named(server: EdcServer, word: str, scope: str) -> None:
    server.unbound[scope] = {word}
    with pytest.raises(DisclosureRefusedError) as told:
        connector(server).publish(OFFERING)
    assert word in told.value.message
    assert scope in told.value.message
    assert "bindings/" in told.value.hint
    assert server.held == {}
    assert not any(server.visible)


@pytest.mark.parametrize("steps", ["permissionSteps", "prohibitionSteps", "obligationSteps"])
def test_a_plan_without_some_steps_stops_the_offer(server: EdcServer, steps: str) -> None:
    server.plans = lambda plan: {**plan, steps: plan[steps][1:]}
    with pytest.raises(DisclosureRefusedError):
        connector(server).publish(OFFERING)
    assert server.held == {}


def test_a_policy_that_the_connector_finds_wrong_stops_the_offer(server: EdcServer) -> None:
    server.invalid = True
    with pytest.raises(DisclosureRefusedError, match="not bound to any scopes"):
        connector(server).publish(OFFERING)
    assert server.held == {}


def test_an_access_policy_that_would_let_everybody_see_it_stops_the_offer(server: EdcServer) -> None:
    member = {"leftOperand": "https://hub.example/member", "operator": "eq", "rightOperand": "yes"}
    policy: dict[str, Any] = {"@type": "Set", "permission": [{"action": "use", "constraint": [member]}]}
    server.stored["policydefinitions"][ACCESS]["policy"] = policy
    assert connector(server).publish(OFFERING).is_new
    for limits in ([member], [{"and": [member, member]}]):
        server.reset()
        server.stored["policydefinitions"][ACCESS]["policy"] = {
            **policy,
            "permission": [{"action": "use", "constraint": limits}],
        }
        server.unbound["catalog"] = {"https://hub.example/member"}
        with pytest.raises(DisclosureRefusedError, match="members"):
            connector(server).publish(OFFERING)
        assert server.held == {}


@pytest.mark.parametrize(
    "drops",
    [
        lambda policy: {key: value for key, value in policy.items() if key != "prohibition"},
        lambda policy: {**policy, "prohibition": policy["prohibition"][1:]},
        lambda policy: {**policy, "permission": [{"action": "use"}]},
        lambda policy: {**policy, "permission": [*policy["permission"], {"action": "odrl:read"}]},
    ],
    ids=["prohibitions", "a prohibition", "constraints", "adds a permission"],
)
def test_a_connector_that_keeps_another_policy_than_it_was_given_is_found_out(server: EdcServer, drops: Any) -> None:
    server.keeps = drops
    with pytest.raises(InputOutputError, match="keeps something else"):
        connector(server).publish(OFFERING)
    assert server.held == {}


def test_terms_that_are_no_longer_enforced_are_told_for_what_is_listed_already(server: EdcServer) -> None:
    space = connector(server)
    space.publish(OFFERING)
    server.unbound["*"] = {f"{OWN}reidentify"}
    with pytest.raises(DisclosureRefusedError, match="listed there from before"):
        space.publish(OFFERING)
    assert server.held == WHOLE  # taking it off is for `retract`


# --- What the registry keeps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fact",
    [None, [], {}, {"kind": "edc", "release_digest": "x", "api": "v4", "refs": {"asset": 1}}, {"kind": 1, "refs": {}}],
)
def test_a_fact_that_was_changed_is_no_listing(fact: Mapping[str, Any] | None) -> None:
    with pytest.raises(InputOutputError):
        Listing.of_fact("hub", fact)


def test_the_servers_own_context_is_the_programs() -> None:
    assert asset_body(OFFERING)["@context"] == [V2]

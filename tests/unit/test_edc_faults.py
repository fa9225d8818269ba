"""Whatever goes wrong between a connector and this program, an offer is there whole, or nobody sees anything of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from pathcurate.dataspace.bodies import asset_body, contract_definition_body, policy_body
from pathcurate.errors import (
    DisclosureRefusedError,
    InputOutputError,
    PathcurateError,
    UsageError,
    VaultError,
)
from tests.edcdesk import KEY, OFFERING, OWN, REFS, WHOLE, connector
from tests.edcserver import ACCESS, EdcServer, Fault
from tests.unit.offerings import OTHER_DIGEST, an_offering


@pytest.fixture(scope="module")
def running() -> Iterator[EdcServer]:
    with EdcServer(key=KEY) as server:
        yield server


@pytest.fixture
def server(running: EdcServer) -> EdcServer:
    running.reset()
    return running


def other_bodies() -> dict[str, dict[str, Any]]:
    other = an_offering(release_digest=OTHER_DIGEST)
    definition = contract_definition_body(OFFERING, ACCESS)
    return {
        "assets": asset_body(other),
        "policydefinitions": policy_body(other),
        "contractdefinitions": {**definition, "accessPolicyId": "everybody"},
    }


# --- Whatever goes wrong -----------------------------------------------------------------------------------------------

STEPS = [
    ("POST", "assets"), ("POST", "policydefinitions"), ("POST", "contractdefinitions"), ("POST", "validate"),
    ("POST", "evaluationplan"), ("GET", "assets"), ("GET", "policydefinitions"), ("GET", "contractdefinitions"),
]  # fmt: skip


@pytest.mark.parametrize("how", ["drop", "late", "made", "status"])
@pytest.mark.parametrize(("method", "kind"), STEPS)
def test_one_hiccup_is_got_over_or_nothing_stays(server: EdcServer, method: str, kind: str, how: str) -> None:
    path = kind if kind in {"validate", "evaluationplan"} or method == "GET" else f"/v4/{kind}$"
    server.faults.append(Fault(method, path, how, status=503))
    space = connector(server)
    try:
        listing = space.publish(OFFERING)
    except PathcurateError:
        assert server.held == {}
    else:
        assert listing.is_new
        assert server.held == WHOLE
    assert len(server.stored["assets"]) <= 1
    server.faults.clear()
    assert space.publish(OFFERING).refs == REFS
    assert server.held == WHOLE


@pytest.mark.parametrize("status", [400, 403, 500])
@pytest.mark.parametrize(("method", "kind"), STEPS)
def test_a_step_that_always_fails_leaves_nothing(server: EdcServer, method: str, kind: str, status: int) -> None:
    path = kind if kind in {"validate", "evaluationplan"} or method == "GET" else f"/v4/{kind}$"
    server.faults.append(Fault(method, path, "status", times=99, status=status, content=b'[{"message": "no"}]'))
    try:
        connector(server).publish(OFFERING)
    except PathcurateError:
        pass
    else:
        pytest.fail("it says that it is listed")
    assert not server.is_visible()
    if method == "POST":
        assert server.held == {}


def test_a_change_is_never_sent_twice_without_looking_first(server: EdcServer) -> None:
    server.faults.append(Fault("POST", "/v4/assets$", "made"))
    assert connector(server).publish(OFFERING).is_new
    at = server.calls.index(("POST", "/v4/assets"))
    assert server.calls[at + 1][0] == "GET"
    assert server.calls.count(("POST", "/v4/assets")) == 1


def test_a_change_that_did_not_arrive_is_sent_again_after_looking(server: EdcServer) -> None:
    server.faults.append(Fault("POST", "/v4/policydefinitions$", "drop"))
    assert connector(server).publish(OFFERING).is_new
    assert server.calls.count(("POST", "/v4/policydefinitions")) == 2


def test_what_cannot_be_taken_away_is_said_and_found_again(server: EdcServer) -> None:
    server.unbound["*"] = {f"{OWN}reidentify"}
    server.faults.append(Fault("DELETE", "assets", "status", times=9, status=500))
    space = connector(server)
    with pytest.raises(DisclosureRefusedError, match=r"could not all be taken away: asset \(nobody can see it\)"):
        space.publish(OFFERING)
    assert server.held == {"assets": [REFS["asset"]]}
    server.unbound.clear()
    assert space.publish(OFFERING).is_new
    assert server.held == WHOLE


def test_an_offer_of_which_nobody_knows_whether_it_stands_says_so(server: EdcServer) -> None:
    space = connector(server)

    def break_down() -> None:
        server.faults += [Fault("GET", "/v4/", "drop", times=99), Fault("DELETE", "/v4/", "drop", times=99)]

    server.faults.append(Fault("POST", "/v4/contractdefinitions$", "made", before=break_down))
    with pytest.raises(InputOutputError, match="may be visible"):
        space.publish(OFFERING)
    assert list(server.stored["contractdefinitions"]) == [REFS["contract_definition"]]
    server.faults.clear()
    assert space.look(OFFERING) is not None
    assert not space.publish(OFFERING).is_new


def test_a_part_that_vanishes_meanwhile_is_noticed(server: EdcServer) -> None:
    def vanish() -> None:
        server.stored["assets"].clear()

    server.faults.append(Fault("POST", "/v4/contractdefinitions$", "made", before=vanish))
    with pytest.raises(InputOutputError, match="lost a part"):
        connector(server).publish(OFFERING)
    assert server.held == {}


@pytest.mark.parametrize("how", ["status", "drop"])
def test_an_offer_that_is_not_taken_away_is_not_said_to_be_gone(server: EdcServer, how: str) -> None:
    space = connector(server)
    listing = space.publish(OFFERING)
    server.faults.append(Fault("DELETE", "contractdefinitions", how, times=9, status=409))
    with pytest.raises(InputOutputError):
        space.retract(listing)
    assert server.is_visible()
    server.faults.clear()
    assert space.retract(listing) == []


# --- The key -----------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_told_as_such_and_never_shown(server: EdcServer) -> None:
    space = connector(server, key="another-key-of-mine")
    calls = (space.check, lambda: space.look(OFFERING), lambda: space.publish(OFFERING))
    for call in calls:
        with pytest.raises(VaultError) as told:
            call()
        assert "another-key" not in str(told.value)
    assert server.held == {}


def test_a_key_that_is_taken_back_in_between_leaves_nothing_visible(server: EdcServer) -> None:
    server.faults.append(Fault("POST", "/v4/contractdefinitions$", "status", status=401))
    with pytest.raises(VaultError):
        connector(server).publish(OFFERING)
    assert server.held == {}


def test_a_refusal_that_quotes_the_key_or_draws_on_the_terminal_is_cleaned(server: EdcServer) -> None:
    message = f"\x1b[31m{KEY}\r\n" + "x" * 5000 + KEY
    content = ('[{"message": "' + message.replace("\x1b", "\\u001b").replace("\r\n", "\\r\\n") + '"}]').encode()
    server.faults.append(Fault("POST", "/v4/assets$", "status", status=400, content=content))
    with pytest.raises(InputOutputError) as told:
        connector(server).publish(OFFERING)
    assert KEY not in str(told.value)
    assert told.value.message.isprintable()
    assert len(told.value.message) < 600


# --- Versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_version_api", [True, False])
def test_version_4_is_found(server: EdcServer, by_version_api: bool) -> None:
    server.versions = ("/v3", "/v4", "/v5beta")
    assert connector(server, version_address=server.version_address if by_version_api else "").check() == "v4"


@pytest.mark.parametrize(
    ("versions", "said"),
    [(("/v3",), "version 3"), (("/v3", "/v5beta"), "version 3, version 5 beta"), (("/v4beta",), "version 4 beta"), ((), "")],
)
def test_another_version_is_refused_by_name(server: EdcServer, versions: tuple[str, ...], said: str) -> None:
    server.versions = versions
    space = connector(server, version_address=server.version_address)
    for call in (space.check, lambda: space.look(OFFERING), lambda: space.publish(OFFERING)):
        with pytest.raises(InputOutputError, match="does not speak version 4") as told:
            call()
        assert said in told.value.message
    assert {method for method, _ in server.calls} == {"GET"}
    assert set(server.keys) == {None}


def test_a_connector_of_version_3_without_a_version_api_is_told_apart(server: EdcServer) -> None:
    server.versions = ("/v3",)
    with pytest.raises(InputOutputError, match="it offers version 3 only"):
        connector(server).check()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"management": 1}', b'{"management": [1, {"urlPath": "/v4"}]}', b"<html>"]
)
def test_an_answer_that_names_no_versions_is_refused(server: EdcServer, content: bytes) -> None:
    server.faults.append(Fault("GET", "version", "body", content=content))
    with pytest.raises(InputOutputError):
        connector(server, version_address=server.version_address).check()


def test_an_access_policy_that_is_not_there_is_told(server: EdcServer) -> None:
    space = connector(server, access_policy="nobody-knows")
    for call in (space.check, lambda: space.publish(OFFERING)):
        with pytest.raises(InputOutputError, match="no access policy nobody-knows"):
            call()
    assert server.held == {}


def test_what_a_connector_cannot_be_told_is_not_sent(server: EdcServer) -> None:
    with pytest.raises(UsageError, match="cannot be listed"):
        connector(server).publish(an_offering(transfer=()))
    assert server.calls == []


def test_a_change_that_arrives_late_is_this_runs_own_and_taken_back_with_it(server: EdcServer) -> None:
    body = policy_body(OFFERING)

    def arrive() -> None:
        server.stored["policydefinitions"][body["@id"]] = body

    server.unbound["*"] = {f"{OWN}reidentify"}
    server.faults += [
        Fault("POST", "/v4/policydefinitions$", "drop"),
        Fault("POST", "/v4/policydefinitions$", "status", status=409, before=arrive),
    ]
    with pytest.raises(DisclosureRefusedError):
        connector(server).publish(OFFERING)
    assert server.held == {}


def test_what_this_run_may_not_have_made_is_looked_at_before_it_is_taken_away(server: EdcServer) -> None:
    body = other_bodies()["policydefinitions"]

    def be_faster() -> None:
        server.stored["policydefinitions"][body["@id"]] = body
        server.faults.append(Fault("GET", "contract-policy", "status", status=500))

    server.faults.append(Fault("POST", "/v4/policydefinitions$", "drop", before=be_faster))
    with pytest.raises(InputOutputError, match="does not say what became of the contract policy"):
        connector(server).publish(OFFERING)
    assert server.held == {"policydefinitions": [body["@id"]]}
    assert server.stored["policydefinitions"][body["@id"]] is body

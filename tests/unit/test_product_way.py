"""The way of a release from the registry to the market: states, events, and the same answer when a verb is given again."""
# ruff: noqa: F811 -- fixtures are imported by their names

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pathcurate import product
from pathcurate.errors import DigestMismatchError, InputOutputError, PlanIncompleteError, UsageError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import State
from pathcurate.product import Moved
from tests.built import rewrite_manifest
from tests.products import FAILED, NOW, At, House, actions, at, houses, no_sync, renamed, tree  # noqa: F401 -- fixtures

RELEASE = "small@1.0.0"
DAMAGES = ("changed", "added", "removed", "resealed")


def signed(house: House) -> Moved:
    return [house.sign(one) for one in house.people][-1]


VERBS: dict[str, tuple[str, Callable[[House], object], State]] = {
    "register": ("new", lambda house: house.register()[0], State.FROZEN),
    "check": ("frozen", House.check, State.VALIDATED),
    "sign": ("validated", signed, State.COMPLIANCE_CHECKED),
    "submit": ("compliance_checked", House.submit, State.SUBMITTED),
    "receipt": ("submitted", House.receipt, State.REGISTERED),
    "offer": ("registered", House.offer, State.OFFERED),
}


def test_the_whole_way_leaves_one_event_a_step(at: At) -> None:
    house = at("offered")
    events = house.events()
    assert actions(events) == ["register", "check", "sign", "approve", "submit", "receipt", "offer"]
    assert [event.payload["to"] for event in events] == [
        "frozen", "validated", "validated", "compliance_checked", "submitted", "registered", "offered",
    ]  # fmt: skip
    assert {event.actor for event in events} == {"steward"}
    assert {event.at for event in events} == {NOW.isoformat(timespec="seconds")}
    assert house.faults() == []
    entry = house.entry()
    assert entry.facts["submission"]["regime"] == "zj-data-ip"
    assert [(one["role"], one["name"]) for one in entry.facts["signatures"]] == [
        ("steward", "Li Hua"), ("compliance", "王芳"), ("compliance", "王芳"),
    ]  # fmt: skip
    assert entry.facts["certificate"]["number"] == "A-small@1.0.0"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_given_again_changes_nothing(verb: str, at: At) -> None:
    before, do, reached = VERBS[verb]
    house = at(before)
    do(house)
    assert house.state() is reached
    head, files = house.head(), tree(house.root)
    again = do(house)
    assert house.head() == head
    assert tree(house.root) == files
    assert house.state() is reached
    if isinstance(again, Moved):
        assert not again.is_new
        assert again.entry.state is reached


STATES = [str(reached) for _, _, reached in VERBS.values()]


def is_refused(verb: str, state: str) -> bool:
    """Whether the table forbids a verb in a state, and it is not so already."""
    commands = lifecycle().release.commands
    allowed = {*commands[verb].from_, *(commands["renew"].from_ if verb == "receipt" else ())}
    has_signed = verb == "sign" and STATES.index(state) >= STATES.index("compliance_checked")
    return state not in {*allowed, VERBS[verb][2]} and not has_signed


@pytest.mark.parametrize(
    ("verb", "state"), [(verb, state) for verb in list(VERBS)[1:] for state in STATES if is_refused(verb, state)]
)
def test_a_verb_in_another_state_is_refused_without_a_trace(verb: str, state: str, at: At) -> None:
    house = at(state)
    head, files = house.head(), tree(house.root)
    with pytest.raises(PlanIncompleteError, match=f"is {state} .*needs it to be") as refused:
        VERBS[verb][1](house)
    assert refused.value.exit_code == 12
    assert (house.head(), tree(house.root)) == (head, files)


@pytest.mark.parametrize("verb", list(VERBS)[1:])
def test_a_release_that_is_not_registered_is_refused(verb: str, at: At) -> None:
    house = at("new")
    with pytest.raises(UsageError, match="is not registered"):
        VERBS[verb][1](house)
    assert house.head()[0] == 0


@pytest.mark.parametrize(
    ("verb", "damage"),
    # A list of files that is made anew makes another release, which can be registered as such.
    [
        *(("offer", damage) for damage in DAMAGES),
        *((verb, "resealed") for verb in VERBS if verb != "register"),
        ("register", "changed"),
    ],
)
def test_a_release_that_was_changed_goes_nowhere(verb: str, damage: str, at: At) -> None:
    house = at(VERBS[verb][0])
    directory = house.directory()
    target = directory / "metadata" / "policy.odrl.jsonld"
    for path in (directory, target.parent, target):
        path.chmod(0o755)
    if damage == "changed":
        target.write_bytes(target.read_bytes()[:-1] + b" ")
    elif damage == "added":
        (directory / "extra.txt").write_text("x")
    elif damage == "removed":
        target.unlink()
    else:
        manifest = json.loads((directory / "MANIFEST.json").read_bytes())
        rewrite_manifest(directory, json.dumps({**manifest, "title": "another"}))
    head = house.head()
    with pytest.raises(DigestMismatchError) as refused:
        VERBS[verb][1](house)
    assert refused.value.exit_code == 4
    assert house.head() == head


def test_a_directory_that_is_no_release_is_refused(at: At, tmp_path: Path) -> None:
    house = at("new")
    (tmp_path / "empty").mkdir()
    with house.desk() as desk, pytest.raises(InputOutputError):
        product.register(desk.registry, tmp_path / "empty", actor="steward", now=NOW)
    assert house.head()[0] == 0


def test_a_copy_elsewhere_is_the_same_release(at: At, tmp_path: Path) -> None:
    house = at("frozen")
    shutil.copytree(house.directory(), tmp_path / "copy")
    head = house.head()
    with house.desk() as desk:
        entry, is_new = product.register(desk.registry, tmp_path / "copy", actor="another", now=NOW)
    assert (entry.id, entry.actor, is_new) == (RELEASE, "steward", False)
    assert house.head() == head


def test_a_failed_check_leads_nowhere_and_names_the_rules(at: At) -> None:
    house = at("frozen")
    with pytest.raises(PlanIncompleteError, match="PC-SPL-001, PC-CHK-001"):
        house.check(tester=lambda _: FAILED)
    assert house.state() is State.FROZEN
    assert actions(house.events()) == ["register", "!check"]
    assert "validation" not in house.entry().facts
    assert house.check().entry.state is State.VALIDATED


def test_what_an_authority_says_is_kept(at: At) -> None:
    house = at("submitted")

    def says(word: product.Word, note: str = "") -> Moved:
        with house.desk() as desk:
            return product.told(desk, house.directory(), word, note)

    assert says("notice", "五个工作日").entry.state is State.PUBLIC_NOTICE
    assert not says("notice", "五个工作日").is_new
    assert says("object", "某机构提出异议").entry.state is State.OBJECTION
    assert says("return").entry.state is State.RETURNED
    with pytest.raises(PlanIncompleteError):
        house.receipt()
    assert house.submit().entry.state is State.SUBMITTED
    assert says("notice").entry.facts["authority_says"] == {"word": "notice", "note": ""}
    assert house.receipt().entry.state is State.REGISTERED
    assert actions(house.events())[-6:] == ["notice", "object", "return", "submit", "notice", "receipt"]
    assert house.faults() == []


def test_a_newer_version_on_offer_supersedes_the_earlier_one(at: At) -> None:
    house = at("offered")
    renamed(house.root, "small", "1.1.0")
    renamed(house.root, "small", "0.9.0")
    house.registered("small@0.9.0")
    house.registered("small@1.1.0")
    house.offer("small@0.9.0")
    assert house.state() is State.OFFERED  # by an earlier one it is not
    moved = house.offer("small@1.1.0")
    assert {(one.id, one.state) for one in moved.also} == {(RELEASE, "superseded"), ("small@0.9.0", "superseded")}
    assert house.state() is State.SUPERSEDED
    with pytest.raises(PlanIncompleteError, match="is superseded"):
        house.offer()
    assert house.faults() == []


def test_a_suspended_one_is_offered_again_when_it_rests_on_what_is_in_force(at: At) -> None:
    house = at("offered")
    with house.desk() as desk:
        assert product.suspend(desk, "small", "1.0.0", "a question").entry.state is State.SUSPENDED
        assert not product.suspend(desk, "small", "1.0.0", "a question").is_new
    house.says("valid_until: 2027-01-01}", "valid_until: 2026-01-01}")
    with house.desk() as desk:
        with pytest.raises(product.PathcurateError, match="valid until 2026-01-01") as refused:
            product.resume(desk, house.directory())
        assert refused.value.exit_code == 6
    house.says("valid_until: 2026-01-01}", "valid_until: 2027-01-01}")
    with house.desk() as desk:
        assert product.resume(desk, house.directory()).entry.state is State.OFFERED
        assert not product.resume(desk, house.directory()).is_new
    assert actions(house.events())[-3:] == ["suspend", "!resume", "resume"]


def test_a_release_that_is_lost_can_be_withdrawn(at: At) -> None:
    house = at("offered")
    shutil.rmtree(house.directory())
    with house.desk() as desk:
        assert product.withdraw(desk, "small", "1.0.0", "lost").entry.state is State.WITHDRAWN
        assert not product.withdraw(desk, "small", "1.0.0", "lost").is_new
        with pytest.raises(UsageError, match="is not registered"):
            product.withdraw(desk, "small", "9.9.9", "lost")
        assert desk.registry.subject(Machine.RELEASE, RELEASE)
    assert house.events()[-1].payload["sets"] == {"reason": "lost"}


def test_somebody_who_was_faster_wins(at: At) -> None:
    """A steward decides on what was seen; if another has moved the release since, nothing is done."""
    house = at("registered")
    with house.desk() as desk:
        release, entry = desk.entered(house.directory())
        seen = desk.command(entry, "withdraw", sets={"reason": "slow"})
    house.offer()
    with house.desk() as desk, pytest.raises(product.PathcurateError, match="was moved by another run meanwhile") as told:
        desk.registry.transition(seen)
    assert told.value.exit_code == 14
    assert release.name == "small"
    assert house.state() is State.OFFERED


def test_a_release_that_fails_a_later_check_is_not_cleared_by_signatures(at: At) -> None:
    house = at("validated")
    with pytest.raises(PlanIncompleteError, match="breaks rules"):
        house.check(tester=lambda _: FAILED)
    assert house.state() == State.FROZEN
    assert actions(house.events())[-2:] == ["fail", "!check"]
    with pytest.raises(PlanIncompleteError, match="needs it to be validated"):
        house.sign(house.people.steward)
    house.check()
    assert signed(house).entry.state == State.COMPLIANCE_CHECKED
    assert house.faults() == []

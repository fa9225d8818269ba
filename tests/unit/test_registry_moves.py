"""Commands move releases, contracts and deliveries as the table says, once, and with those that hang on them."""

from collections import deque
from dataclasses import replace

import pytest

from pathcurate.errors import DigestMismatchError, LockedError, PlanIncompleteError, UsageError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Step
from pathcurate.registries.sql import SqlRegistry, open_registry
from tests.postgres import postgres  # noqa: F401 -- a fixture
from tests.registered import (  # noqa: F401 -- fixtures among them
    Place,
    active,
    command,
    contract,
    delivery,
    entry,
    no_sync,
    offered,
    place,
)

# ruff: noqa: F811 -- a test's argument has the name of the fixture


def paths(machine: Machine) -> dict[str, list[str]]:
    """By state, the shortest way to it: commands from the one that a subject is entered in."""
    table = lifecycle().table(machine)
    found: dict[str, list[str]] = {table.opens.to: []}
    queue = deque(found)
    while queue:
        state = queue.popleft()
        for name in table.commands:
            target = table.target(name, state)
            if target is not None and target not in found:
                found[target] = [*found[state], name]
                queue.append(target)
    return found


def entered(registry: SqlRegistry, machine: Machine, number: int) -> str:
    if machine is Machine.RELEASE:
        return registry.register(entry("bone", f"{number}.0.0"))[0].id
    if machine is Machine.CONTRACT:
        return registry.open(contract(f"c{number}")).subject.id
    return registry.open(delivery(f"d{number}", "of")).subject.id


@pytest.mark.parametrize("machine", Machine)
def test_every_command_in_every_state_is_done_or_refused_as_the_table_says(place: Place, machine: Machine) -> None:
    table = lifecycle().table(machine)
    number = 0
    with open_registry(place) as registry:
        offered(registry)
        active(registry, "of")
        for state, path in paths(machine).items():
            refused = []
            for name in table.commands:
                target = table.target(name, state)
                if target is None:
                    refused.append(name)
                    continue
                number += 1
                subject = entered(registry, machine, number)
                for step in path:
                    registry.transition(command(step, subject, machine))
                before = registry.head()
                done = registry.transition(command(name, subject, machine, says={"number": number}))
                assert (done.subject.state, done.is_new) == (target, True)
                assert registry.subject(machine, subject) == done.subject
                assert registry.head()[0] > before[0]
            number += 1
            subject = entered(registry, machine, number)
            for step in path:
                registry.transition(command(step, subject, machine))
            before, stored = registry.head(), registry.subject(machine, subject)
            for name in refused:
                with pytest.raises(PlanIncompleteError, match=f"is {state} .*`{name}` needs it to be"):
                    registry.transition(command(name, subject, machine, says={"number": number}))
                if table.commands[name].to == state:  # what it wants is so already
                    assert not registry.transition(command(name, subject, machine)).is_new
            assert (registry.head(), registry.subject(machine, subject)) == (before, stored)
        assert registry.verify() == []


def states(registry: SqlRegistry, machine: Machine) -> dict[str, str]:
    return {subject.id: subject.state for subject in registry.subjects(machine)}


def moved(step: Step) -> dict[str, str]:
    return {subject.id: subject.state for subject in step.also}


@pytest.fixture
def traded(place: Place) -> Place:
    """1.0.0 on offer with contracts in several states, one of which has a delivery in each state that matters."""
    with open_registry(place) as registry:
        offered(registry)
        active(registry, "in-force")
        for name, steps in (("applied", ()), ("rejected", ("reject",)), ("signed", ("review", "approve", "sign"))):
            registry.open(contract(name))
            for step in steps:
                registry.transition(command(step, name, Machine.CONTRACT))
        active(registry, "run-out")
        registry.transition(command("expire", "run-out", Machine.CONTRACT))
        for name, steps in (
            ("d-prepared", ()), ("d-started", ("start",)), ("d-completed", ("start", "complete")),
            ("d-settled", ("start", "complete", "acknowledge", "settle")),
            ("d-destroyed", ("start", "complete", "destroy")),
        ):  # fmt: skip
            registry.open(delivery(name, "in-force"))
            for step in steps:
                registry.transition(command(step, name, Machine.DELIVERY))
    return place


def test_withdrawal_ends_contracts_and_deliveries(traded: Place) -> None:
    with open_registry(traded) as registry:
        step = registry.transition(command("withdraw"))
        assert step.subject.state == "withdrawn"
        assert states(registry, Machine.CONTRACT) == {
            "applied": "terminated", "in-force": "terminated", "rejected": "rejected", "run-out": "expired",
            "signed": "terminated",
        }  # fmt: skip
        assert states(registry, Machine.DELIVERY) == {
            "d-completed": "recalled", "d-destroyed": "destroyed", "d-prepared": "terminated", "d-settled": "recalled",
            "d-started": "terminated",
        }  # fmt: skip
        assert set(moved(step)) == {
            "applied", "in-force", "signed", "d-completed", "d-prepared", "d-settled", "d-started"
        }  # fmt: skip
        said = {event.subject: event.payload["says"] for event in registry.history("thorax", "1.0.0")[-7:]}
        assert said["in-force"] == {"because": "release thorax@1.0.0: withdraw"}
        assert said["d-started"] == {"because": "contract in-force: terminate"}
        for opened in (contract("late"), delivery("late", "in-force")):
            with pytest.raises(PlanIncompleteError, match=r"is (withdrawn|terminated); this needs it to be"):
                registry.open(opened)
        again = registry.transition(command("withdraw"))
        assert (again.is_new, again.also) == (False, ())
        assert registry.verify() == []


def test_suspension_stops_what_runs_and_nothing_else(traded: Place) -> None:
    with open_registry(traded) as registry:
        registry.transition(command("suspend"))
        assert states(registry, Machine.CONTRACT) == {
            "applied": "applied", "in-force": "suspended", "rejected": "rejected", "run-out": "expired",
            "signed": "suspended",
        }  # fmt: skip
        assert states(registry, Machine.DELIVERY) == {
            "d-completed": "completed", "d-destroyed": "destroyed", "d-prepared": "suspended", "d-settled": "settled",
            "d-started": "suspended",
        }  # fmt: skip
        with pytest.raises(PlanIncompleteError, match=r"release thorax@1\.0\.0 is suspended; this needs it to be offered"):
            registry.transition(command("resume", "in-force", Machine.CONTRACT))
        registry.transition(command("resume"))
        with pytest.raises(PlanIncompleteError, match="contract in-force is suspended"):
            registry.transition(command("resume", "d-started", Machine.DELIVERY))
        registry.transition(command("resume", "in-force", Machine.CONTRACT))
        registry.transition(command("resume", "d-started", Machine.DELIVERY))
        assert registry.verify() == []


def test_an_offer_supersedes_earlier_versions_of_the_same_product(place: Place) -> None:
    with open_registry(place) as registry:
        for version in ("1.9.0", "2.0.0-rc.1", "1.10.0"):
            offered(registry, version)
        offered(registry, "1.0.0", "bone")
        registry.register(entry(version="1.0.0"))
        assert states(registry, Machine.RELEASE) == {
            "bone@1.0.0": "offered", "thorax@1.0.0": "frozen", "thorax@1.9.0": "superseded",
            "thorax@1.10.0": "offered", "thorax@2.0.0-rc.1": "offered",
        }  # fmt: skip
        offered(registry, "2.0.0")
        found = states(registry, Machine.RELEASE)
        assert [name for name, state in found.items() if state == "offered"] == ["bone@1.0.0", "thorax@2.0.0"]
        assert registry.verify() == []


# --- Again -----------------------------------------------------------------------------------------------------------


def test_the_same_command_again_changes_nothing(place: Place) -> None:
    with open_registry(place) as registry:
        registry.register(entry())
        given = command("check", sets={"quality": "sha256:1"}, says={"rows": 60})
        keyed = replace(given, key="k1")
        assert registry.transition(keyed).is_new
        head = registry.head()
        assert not registry.transition(keyed).is_new
        assert not registry.transition(command("check", sets={"quality": "sha256:1"})).is_new
        assert registry.head() == head
        assert registry.transition(command("check", sets={"quality": "sha256:2"})).is_new
        registry.transition(command("approve"))
        # The state has moved on, and a reply that was lost is asked for again.
        again = registry.transition(keyed)
        assert (again.is_new, again.subject.state) == (False, "compliance_checked")
        for other in (
            replace(keyed, name="approve"), replace(keyed, sets={"quality": "sha256:2"}),
            replace(keyed, claims=[("certificate", "C-1")]),
        ):  # fmt: skip
            with pytest.raises(DigestMismatchError, match="another command with the same key"):
                registry.transition(other)
        registry.register(entry("bone"))
        with pytest.raises(DigestMismatchError, match="another command with the same key"):
            registry.transition(replace(keyed, subject="bone@1.0.0"))
        assert registry.verify() == []


def test_a_key_is_the_callers_and_not_the_registrys(place: Place) -> None:
    with open_registry(place) as registry:
        registry.register(entry())
        for key in ("#1", "#2", "#3"):  # else the third event, whose key the registry makes, could never be added
            with pytest.raises(UsageError, match="begin with `#`"):
                registry.transition(command("check", key=key))
        assert registry.head()[0] == 1


def test_opened_again_is_the_same_and_not_another(place: Place) -> None:
    with open_registry(place) as registry:
        offered(registry)
        offered(registry, product="bone")
        first = registry.open(contract("c1", facts={"purpose": "training"}))
        assert first.is_new
        again = registry.open(contract("c1", facts={"purpose": "training"}))
        assert (again.is_new, again.subject) == (False, first.subject)
        for other in (contract("c1", facts={"purpose": "sale"}), contract("c1", "bone@1.0.0")):
            with pytest.raises(DigestMismatchError, match="there is another contract `c1`"):
                registry.open(other)
        for missing in (contract("c2", "thorax@9.9.9"), delivery("d1", "c9")):
            with pytest.raises(UsageError, match="is not registered"):
                registry.open(missing)
        with pytest.raises(PlanIncompleteError, match="contract c1 is applied; this needs it to be active"):
            registry.open(delivery("d1", "c1"))
        assert registry.verify() == []


def test_who_has_not_seen_the_last_move_is_refused(place: Place) -> None:
    with open_registry(place) as registry:
        seen = registry.register(entry())[0].last
        registry.refuse(command("approve"), ["ethics"])  # moves nothing, so what was seen is still so
        registry.transition(command("check", seen=seen))
        head = registry.head()
        with pytest.raises(LockedError, match="was moved by another run meanwhile: it is validated now"):
            registry.transition(command("approve", seen=seen))
        with pytest.raises(LockedError):
            registry.transition(command("withdraw", seen=seen))
        assert not registry.transition(command("check", seen=seen)).is_new  # what it wants is so already
        assert registry.head() == head
        stored = registry.get("thorax", "1.0.0")
        assert stored is not None
        assert registry.transition(command("approve", seen=stored.last)).is_new


def test_a_refusal_is_kept_and_changes_nothing(place: Place) -> None:
    with open_registry(place) as registry:
        registry.register(entry())
        registry.transition(command("check"))
        before = registry.subject(Machine.RELEASE, "thorax@1.0.0")
        registry.refuse(command("approve"), ["ethics", "rights"])
        assert registry.subject(Machine.RELEASE, "thorax@1.0.0") == before
        last = registry.history("thorax", "1.0.0")[-1]
        assert (last.action, last.payload, last.actor) == ("approve", {"refused": ["ethics", "rights"]}, "steward")
        assert registry.head() == (last.seq, last.digest)
        registry.refuse(command("approve", "bone@1.0.0"), ["ethics"])  # of nothing that is there
        assert registry.head()[0] == last.seq
        assert [found.state for found in registry.list()] == ["validated"]
        assert registry.verify() == []


def test_one_certificate_is_of_one_release(place: Place) -> None:
    with open_registry(place) as registry:
        for product in ("thorax", "bone"):
            registry.register(entry(product))
            for name in ("check", "approve", "submit"):
                registry.transition(command(name, f"{product}@1.0.0"))
        given = command("receipt", sets={"certificate": "C-1"}, claims=[("certificate", "C-1")])
        registry.transition(given)
        assert not registry.transition(given).is_new
        head = registry.head()
        with pytest.raises(DigestMismatchError, match=r"bound to the release thorax@1\.0\.0 already"):
            registry.transition(replace(given, subject="bone@1.0.0"))
        assert registry.head() == head
        bone = registry.get("bone", "1.0.0")
        assert bone is not None
        assert (bone.state, dict(bone.facts)) == ("submitted", {})
        # Where nothing else would change, what is claimed is still new, and still refused to another.
        assert registry.transition(command("receipt", claims=[("certificate", "C-2")])).is_new
        registry.transition(replace(given, subject="bone@1.0.0", sets={}, claims=[("certificate", "C-3")]))
        with pytest.raises(DigestMismatchError, match="certificate is bound"):
            registry.transition(command("receipt", "bone@1.0.0", claims=[("certificate", "C-2")]))
        assert registry.verify() == []


def test_what_is_not_there_is_said(place: Place) -> None:
    with open_registry(place) as registry:
        with pytest.raises(UsageError, match=r"release `thorax@1\.0\.0` is not registered"):
            registry.transition(command("check"))
        registry.register(entry())
        with pytest.raises(UsageError, match="a release has no command `sell`"):
            registry.transition(command("sell"))
        assert registry.subject(Machine.CONTRACT, "thorax@1.0.0") is None
        assert registry.subjects(Machine.CONTRACT) == []
        assert registry.subjects(Machine.CONTRACT, parent="thorax@1.0.0") == []

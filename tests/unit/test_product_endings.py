"""What runs out and what is ended: certificates, approvals, contracts, deliveries, whole sites."""
# ruff: noqa: F811 -- fixtures are imported by their names

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from pathcurate import product
from pathcurate.cohort import read_recipe, select
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import UsageError
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Opened, State
from pathcurate.product.endings import due_of, expire_all, shown_state
from pathcurate.product.guards import LackingError
from pathcurate.product.holdings import holding
from pathcurate.rights.sources import read_sources, write_sources
from tests.commandline import pathcurate
from tests.products import (  # noqa: F401 -- fixtures among them
    NOW,
    TODAY,
    At,
    House,
    actions,
    at,
    houses,
    no_sync,
    renamed,
)

YESTERDAY = TODAY - timedelta(days=1)
RELEASE = "small@1.0.0"


def shown(house: House, release: str = "") -> str:
    with house.desk() as desk:
        return shown_state(desk, house.entry(release))


def with_certificate(at: At, until: date, state: str = "submitted") -> House:
    """On offer, by a certificate that was good when it came."""
    house = at(state)
    house.now = NOW - timedelta(days=30)
    house.receipt(issued=TODAY - timedelta(days=60), valid_until=until)
    house.offer()
    house.now = NOW
    return house


# --- Running out ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("until", "is_over"), [(YESTERDAY, True), (TODAY, False), (TODAY + timedelta(days=1), False)])
def test_the_day_after_the_last_a_release_is_shown_as_expired(until: date, is_over: bool, at: At) -> None:
    house = with_certificate(at, until)
    assert shown(house) == ("expired" if is_over else "offered")
    assert house.state() is State.OFFERED  # until somebody says it to the registry
    with house.desk() as desk:
        days = {one.what: one.days_left for one in due_of(desk, 0)}
        assert ("certificate of registration" in days) == (until <= TODAY)
        moved = expire_all(desk)
    assert [one.entry.state for one in moved] == ([State.EXPIRED] if is_over else [])
    assert house.state() is (State.EXPIRED if is_over else State.OFFERED)
    assert house.faults() == []


def test_what_expired_is_told_once_and_renewed_by_a_receipt(at: At) -> None:
    house = with_certificate(at, YESTERDAY)
    with house.desk() as desk:
        assert len(expire_all(desk)) == 1
    head = house.head()
    with house.desk() as desk:
        assert expire_all(desk) == []
    assert house.head() == head
    assert house.events()[-1].payload["sets"] == {"reason": f"certificate of registration ended on {YESTERDAY}"}
    with pytest.raises(product.PathcurateError, match="is expired"):
        house.offer()
    with pytest.raises(LackingError) as refused:  # the same again does not make it younger
        house.receipt(issued=TODAY - timedelta(days=60), valid_until=YESTERDAY)
    assert refused.value.exit_code == 6
    assert house.receipt(number="A-2", valid_until=TODAY + timedelta(days=365)).entry.state is State.REGISTERED
    assert house.offer().entry.state is State.OFFERED
    assert actions(house.events())[-4:] == ["expire", "!receipt", "receipt", "offer"]
    assert shown(house) == "offered"


def test_an_expired_certificate_offers_nothing(at: At) -> None:
    house = at("submitted")
    house.now = NOW - timedelta(days=30)
    house.receipt(issued=TODAY - timedelta(days=60), valid_until=YESTERDAY)
    house.now = NOW
    with pytest.raises(LackingError, match="was valid until 2026-01-01") as refused:
        house.offer()
    assert refused.value.exit_code == 6
    assert house.events()[-1].payload == {"refused": ["certificate"]}


def test_an_approval_that_ran_out_expires_all_that_rests_on_it(at: At) -> None:
    house = at("offered")
    house.now = datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert shown(house) == "offered"
    house.now += timedelta(days=1)
    assert shown(house) == "expired"
    house.says("valid_until: 2027-01-01}", "valid_until: 2028-01-01}")  # there is a newer one
    assert shown(house) == "offered"
    house.says("valid_until: 2028-01-01}", "valid_until: 2027-01-01}")
    with house.desk() as desk:
        assert [one.entry.state for one in expire_all(desk)] == [State.EXPIRED]
    assert "ethics approval ended on 2027-01-01" in house.events()[-1].payload["sets"]["reason"]


@pytest.mark.parametrize("state", ["frozen", "validated", "submitted"])
def test_what_is_not_on_its_way_to_buyers_does_not_expire(state: str, at: At) -> None:
    house = at(state)
    house.now = datetime(2027, 1, 2, tzinfo=UTC)
    assert shown(house) == state
    with house.desk() as desk:
        assert expire_all(desk) == []


def test_all_that_runs_out_is_listed_first_things_first(at: At) -> None:
    house = with_certificate(at, TODAY + timedelta(days=10))
    house.edit("pathcurate.yaml", "docs/nb01.pdf, valid_until: 2027-06-30", "docs/nb01.pdf, valid_until: 2026-01-05")
    house.says("valid_until: 2027-01-01}", "valid_until: 2025-12-31}")
    active(house, "K-1", valid_until="2026-02-01", number="HT-7")
    with house.desk() as desk:
        found = [(one.what, one.name, one.of, one.owner, one.days_left) for one in due_of(desk, 90)]
        assert len(due_of(desk, 3)) == 2
    assert found == [
        ("ethics approval", "示例伦审1", "product", "small", -2),
        ("authorisation of a site", "示例市病理诊断中心", "site", "NB01", 3),
        ("certificate of registration", "A-small@1.0.0", "product", RELEASE, 10),
        ("agreement", "HT-7", "contract", "K-1", 30),
    ]


def test_due_of_the_command_line_is_exit_6_when_something_is_over(at: At) -> None:
    house = with_certificate(at, YESTERDAY)
    where = ("-w", house.root)
    listed = pathcurate("product", "list", *where)
    assert (listed.returncode, "expired" in listed.stdout) == (0, True)
    assert json.loads(pathcurate("product", "list", "--state", "offered", "--json", *where).stdout) == {"products": []}
    done = pathcurate("product", "due", "--within", "30d", *where)
    assert done.returncode == 6, done.stderr
    assert "certificate of registration" in done.stdout
    assert house.state() is State.OFFERED
    assert pathcurate("product", "due", "--expire", *where).returncode == 6
    assert house.state() is State.EXPIRED
    assert "is expired" in pathcurate("product", "offer", RELEASE, *where).stderr
    assert pathcurate("product", "due", "--within", "soon", *where).returncode == 2


# --- Ended by somebody ---------------------------------------------------------------------------------------------------


def active(house: House, name: str, release: str = RELEASE, **facts: object) -> None:
    """A contract in force, with three deliveries: one is ready, one under way, one has arrived."""
    of, _, version = release.partition("@")
    with house.desk() as desk:
        opened = Opened(Machine.CONTRACT, name, of, version, release, "buyer", desk.at, facts)
        desk.registry.open(opened)
        for verb in ("review", "approve", "sign", "activate"):
            desk.registry.transition(Command(Machine.CONTRACT, name, verb, "steward", desk.at))
        for number, verbs in enumerate(((), ("start",), ("start", "complete"))):
            one = replace(opened, machine=Machine.DELIVERY, id=f"{name}-{number}", parent=name, facts={})
            desk.registry.open(one)
            for verb in verbs:
                desk.registry.transition(Command(Machine.DELIVERY, one.id, verb, "steward", desk.at))


def states(house: House, name: str) -> list[str]:
    """Of a contract and its deliveries."""
    with house.desk() as desk:
        contract = desk.registry.subject(Machine.CONTRACT, name)
        assert contract is not None
        return [contract.state, *(one.state for one in desk.registry.subjects(Machine.DELIVERY, parent=name))]


def test_a_withdrawn_release_ends_contracts_and_calls_back_deliveries(at: At) -> None:
    house = at("offered")
    active(house, "K-1")
    with house.desk() as desk:
        moved = product.withdraw(desk, "small", "1.0.0", "consent was withdrawn")
    assert states(house, "K-1") == ["terminated", "terminated", "terminated", "recalled"]
    assert {one.id: one.state for one in moved.also} == {
        "K-1": "terminated", "K-1-0": "terminated", "K-1-1": "terminated", "K-1-2": "recalled",
    }  # fmt: skip
    assert house.state() is State.WITHDRAWN
    assert house.faults() == []
    assert shown(house) == "withdrawn"
    for verb in (House.check, House.submit, House.receipt, House.offer):
        with pytest.raises(product.PathcurateError, match="is withdrawn"):
            verb(house)  # type: ignore[operator]


def test_a_suspended_release_suspends_what_is_under_way(at: At) -> None:
    house = at("offered")
    active(house, "K-1")
    with house.desk() as desk:
        product.suspend(desk, "small", "1.0.0", "a question")
    assert states(house, "K-1") == ["suspended", "suspended", "suspended", "completed"]


def of_sites(house: House, name: str, *sites: str) -> None:
    """Let a release hold rows of these sites alone; of those that are named with a minus, none but the name."""
    entry = house.entry(f"{name}@1.0.0")
    old = read_sources(house.workspace, name, "1.0.0", entry.release_digest)
    some = old.sites["NB01"]
    kept = {
        site.strip("-"): replace(
            some, counts=dict.fromkeys(some.counts, 0) if site.startswith("-") else some.counts,
            standing=replace(some.standing, site=site.strip("-")),
        )
        for site in sites
    }  # fmt: skip
    write_sources(house.workspace, replace(old, sites=kept))


def test_a_withdrawn_site_ends_the_releases_that_hold_rows_of_it_and_no_other(at: At) -> None:
    house = at("offered")
    for name in ("first", "second", "neither", "lost", "over"):
        renamed(house.root, name)
        house.register(f"{name}@1.0.0")
    of_sites(house, "first", "NB01")
    of_sites(house, "second", "NB02")
    of_sites(house, "neither", "NB01", "-NB02")
    (house.root / "products" / "sources" / "lost-1.0.0.json").write_text("{")
    active(house, "K-1")
    with house.desk() as desk:
        product.withdraw(desk, "over", "1.0.0", "of itself")
        # Of one whose record is damaged nobody knows, and that is no reason to keep it.
        assert [one.id for one in holding(desk, "NB02")] == ["lost@1.0.0", "second@1.0.0", RELEASE]
        with pytest.raises(UsageError):
            product.withdraw_site(desk, "NB99", "no such site")
        withdrawal, ended = product.withdraw_site(desk, "NB02", "its contract has ended")
    assert withdrawal.site == "NB02"
    assert [one.entry.id for one in ended] == ["lost@1.0.0", "second@1.0.0", RELEASE]
    after = {name: house.state(f"{name}@1.0.0") for name in ("first", "neither", "second", "lost", "small", "over")}
    assert after == {"first": "frozen", "neither": "frozen", "second": "withdrawn", "lost": "withdrawn",
                     "small": "withdrawn", "over": "withdrawn"}  # fmt: skip
    assert states(house, "K-1")[0] == "terminated"
    assert house.events()[-1].payload["says"] == {"because": "contract K-1: terminate"}
    assert house.events("over@1.0.0")[-1].payload["sets"] == {"reason": "of itself"}
    head = house.head()
    with house.desk() as desk:
        assert product.withdraw_site(desk, "NB02", "its contract has ended")[1] == []
    assert house.head() == head
    assert house.faults() == []


def test_the_next_cohort_leaves_a_withdrawn_site_out(at: At) -> None:
    house = at("new")
    source = read_recipe(house.root / "small.recipe.yaml")
    with house.desk() as desk:
        product.withdraw_site(desk, "NB02", "over")
    with Embedded(workers=1, temp_directory=house.root / "spill") as engine:
        result = select(house.workspace, engine, source, now=NOW, dry_run=True)
    assert set(result.rows["site"].to_pylist()) == {"NB01"}
    assert result.sites_left_out == {"NB02": "it was withdrawn on 2026-01-02"}

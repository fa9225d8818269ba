"""What may be delivered, what is kept of it, and what is paid for it; the tables alone, so that it is quick."""
# ruff: noqa: F811 -- fixtures are imported by their names

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate import product
from pathcurate.delivering import announce, plan, send, target_of
from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    ExpiredError,
    InputOutputError,
    LockedError,
    PathcurateError,
    PlanIncompleteError,
    UsageError,
    VaultError,
)
from pathcurate.model.attestation import DELETION, DELIVERY_RECEIPT, Envelope, Statement
from pathcurate.model.attestation import Subject as StatedSubject
from pathcurate.model.delivery import DELIVERY_FILE, DELIVERY_SIGNED, DeliveryDocument
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Subject
from pathcurate.model.productfile import Price
from pathcurate.model.rights import Part
from pathcurate.model.settlement import Metered, Settled
from pathcurate.product import contracts
from pathcurate.product.contents import prepare
from pathcurate.product.contracts import Terms, contract_directory, find_contract
from pathcurate.product.deliveries import (
    Order,
    acknowledge,
    complete,
    documents,
    find_delivery,
    kept_directory,
    order,
    start,
)
from pathcurate.product.papers import paper_faults
from pathcurate.product.settlement import settle, settlement, totals
from pathcurate.receiving.unpacking import receive
from pathcurate.signing import Ed25519Signer, sign, verify
from pathcurate.trustfile import load_trust
from tests.contracted import Recipient, contracted
from tests.products import NOW, At, House, Houses, at, enter, houses, key, no_sync  # noqa: F401 -- fixtures among them


@dataclass
class Shop:
    """A house with a contract in force."""

    house: House
    buyer: Recipient

    @property
    def disk(self) -> Path:
        return self.house.root.parent / "disk"

    def order(self, *, again: bool = False, target: str = "/disk", signer: Ed25519Signer | None = None) -> Order:
        with self.house.desk() as desk:
            return order(desk, self.buyer.contract, signer or self.house.people.steward, target=target, again=again)

    def deliver(
        self, *, signer: Ed25519Signer | None = None, before_signing: Callable[[], object] = lambda: None
    ) -> Subject:
        work = self.house.root / "deliveries"
        with self.house.desk() as desk:
            made = order(desk, self.buyer.contract, signer or self.house.people.steward, target="/disk", again=False)
            seen = int(made.contract.facts.get("withdrawals", 0))
            prepared = prepare(
                desk, made.release, made.agreement, work / made.delivery.id, None, withdrawals=seen, without_missing=False
            )
            planned = plan(prepared.members, size=10**9, is_encrypted=True)
            delivery = start(desk, made, prepared)
        place = target_of(str(self.disk), self.house.root)
        volumes = send(planned, place, made.agreement.keys.encryption, work / "sending")
        before_signing()
        with self.house.desk() as desk:
            signs = signer or self.house.people.steward
            found = documents(desk, made, delivery, prepared, volumes, signs, is_encrypted=True)
            announce(place, work / "sending", found, volumes)
            step = complete(desk, delivery, volumes, found[DELIVERY_FILE])
        shutil.rmtree(work)
        return step.subject

    def received(self) -> bytes:
        """The receipt that the buyer has signed."""
        out = self.house.root.parent / "received"
        place = target_of(str(self.disk), self.house.root)
        receive(place, out, self.buyer.identity, self.buyer.signer, None, now=self.house.now)
        return (out / "receipt.json").read_bytes()

    def acknowledge(self, receipt: bytes) -> Subject:
        with self.house.desk() as desk:
            return acknowledge(desk, find_delivery(desk, self.buyer.contract), receipt).subject

    def settle(self, **parts: Any) -> bool:
        with self.house.desk() as desk:
            given: dict[str, Any] = {"paid": None, "on": desk.today, "reference": "INV 1", **parts}
            return settle(desk, find_delivery(desk, self.buyer.contract), **given).is_new

    def faults(self) -> list[str]:
        with self.house.desk() as desk:
            return list(paper_faults(desk, load_trust(desk.trust_file), []))


@pytest.fixture(scope="module")
def sold(houses: Houses, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    house = houses.at("offered", tmp_path_factory.mktemp("shop") / "w")
    return Shop(house, contracted(house))


@pytest.fixture
def shop(sold: Shop, tmp_path: Path, no_sync: None) -> Shop:
    shutil.copytree(sold.house.root, tmp_path / "w")
    return Shop(House(tmp_path / "w", sold.house.people), sold.buyer)


@pytest.fixture(scope="module")
def done(sold: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, bytes]:
    """One that has been delivered, and its receipt."""
    folder = tmp_path_factory.mktemp("done")
    shutil.copytree(sold.house.root, folder / "w")
    shop = Shop(House(folder / "w", sold.house.people), sold.buyer)
    shop.deliver()
    return shop, shop.received()


@pytest.fixture
def delivered(done: tuple[Shop, bytes], tmp_path: Path, no_sync: None) -> Shop:
    shutil.copytree(done[0].house.root, tmp_path / "w")
    return Shop(House(tmp_path / "w", done[0].house.people), done[0].buyer)


@pytest.fixture
def receipt(done: tuple[Shop, bytes]) -> bytes:
    return done[1]


def refused(expected: type[PathcurateError], words: str, call: Callable[..., object], *arguments: Any, **parts: Any) -> None:
    with pytest.raises(expected, match=words) as caught:
        call(*arguments, **parts)
    assert caught.value.hint


# --- What may be delivered ---------------------------------------------------------------------------------------


def test_a_delivery_says_what_it_is_of(delivered: Shop) -> None:
    with delivered.house.desk() as desk:
        found = find_delivery(desk, delivered.buyer.contract)
        kept = kept_directory(desk, found)
        trust = load_trust(desk.trust_file)
    assert found.state == "completed"
    assert found.facts["counts"] == {**found.facts["counts"], "slides": 24, "cases": 12, "patients": 12}
    document = DeliveryDocument.model_validate_json((kept / DELIVERY_FILE).read_bytes())
    assert document.derived_from == delivered.house.entry().release_digest
    assert document.counts == found.facts["counts"]
    assert document.contents_sha256 == found.facts["contents"]
    envelope = Envelope.parse((kept / DELIVERY_SIGNED).read_bytes())
    assert [one.fault for one in verify(envelope, trust)] == [None]
    assert envelope.statement().predicate["delivery"] == found.id
    assert delivered.faults() == []
    # A second one is made only if that is asked for.
    assert delivered.order().is_done
    assert delivered.order(again=True).delivery.id.endswith("-d2")


def test_only_a_contract_in_force_is_delivered(shop: Shop) -> None:
    with shop.house.desk() as desk:
        contracts.end(desk, find_contract(desk, shop.buyer.contract), "it ended")
    refused(PlanIncompleteError, "is terminated", shop.order)
    refused(UsageError, "no contract begins", lambda: replace(shop, buyer=shop.buyer._replace(contract="x")).order())


def test_none_after_its_last_day(shop: Shop) -> None:
    shop.house.now = NOW + timedelta(days=800)
    refused(ExpiredError, "ended on 2026-12-31", shop.order)


def test_none_of_another_release(shop: Shop) -> None:
    file = shop.house.directory() / "report.html"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b" ")
    refused(DigestMismatchError, "report.html", shop.order)


def test_none_of_a_site_whose_authorisation_has_ended(shop: Shop) -> None:
    shop.house.edit("pathcurate.yaml", "authorisation: docs/nb02.pdf, valid_until: 2027-06-30",
                    "authorisation: docs/nb02.pdf, valid_until: 2025-06-30")  # fmt: skip
    refused(DisclosureRefusedError, "NB02", shop.order)


def test_one_that_is_under_way_goes_on_where_it_was(shop: Shop) -> None:
    first = shop.order().delivery
    assert shop.order().delivery == first
    assert shop.order(again=True).delivery == first
    refused(UsageError, "under way to another target", shop.order, target="/elsewhere")
    with shop.house.desk() as desk:
        product.suspend(desk, "small", "1.0.0", "a question")
    refused(PlanIncompleteError, "is suspended", shop.order)
    with shop.house.desk() as desk:
        product.resume(desk, shop.house.directory())
        contracts.go_on(desk, find_contract(desk, shop.buyer.contract))
    assert shop.order().delivery.state == "started"


def test_of_two_at_once_one_is_told(shop: Shop) -> None:
    made = shop.order()
    with shop.house.desk() as desk:
        key_ = desk.workspace.root / "work"
        prepared = prepare(desk, made.release, made.agreement, key_, None, withdrawals=0, without_missing=False)
        start(desk, made, prepared)
        assert start(desk, made, prepared).state == "started"  # the same again
        refused(LockedError, "moved by another run", start, desk, made, replace(prepared, left_out={"slides_missing": 1}))


def test_one_that_cannot_go_where_it_was_is_sent_elsewhere(shop: Shop) -> None:
    first = shop.order()
    moved = shop.order(again=True, target="/elsewhere")
    assert (moved.delivery.id, moved.is_moved, first.is_moved) == (first.delivery.id, True, False)
    assert moved.delivery.facts["target"] == "/elsewhere"
    assert not shop.order(again=True, target="/elsewhere").is_moved


@pytest.mark.parametrize("where", ["", "releases/leak", ".."])
def test_no_delivery_lies_in_the_workspace(shop: Shop, where: str) -> None:
    refused(UsageError, "in the workspace", shop.order, target=str(shop.house.root / where))
    assert shop.house.events()[-1].action == "activate"


def test_a_beginning_is_no_other_buyers(houses: Houses, tmp_path: Path, no_sync: None) -> None:
    house = houses.at("offered", tmp_path / "w")
    made = contracted(house, "lab_two")
    with house.desk() as desk:
        for name in ("small-lab", "s", "small", "small-", "", "small-lab_tw", "small-lab_two-zz"):
            refused(UsageError, "begin", find_contract, desk, name)
        for name in ("small-lab_two", "small-lab_two-", made.contract[:-3], made.contract):
            assert find_contract(desk, name).id == made.contract


def test_another_run_cannot_change_what_is_under_way(shop: Shop) -> None:
    def other() -> None:
        with shop.house.desk() as desk:
            sets = {"contents": "sha256:" + "1" * 64}
            name = find_delivery(desk, shop.buyer.contract).id
            desk.registry.transition(Command(Machine.DELIVERY, name, "start", "x", desk.at, sets=sets))

    refused(PlanIncompleteError, "was under way", shop.deliver, before_signing=other)
    assert not (shop.disk / DELIVERY_FILE).exists()


def test_none_is_concluded_after_the_contract(shop: Shop) -> None:
    def later() -> None:
        shop.house.now = NOW + timedelta(days=800)

    refused(ExpiredError, "ended on", shop.deliver, before_signing=later)
    shop.house.now = NOW - timedelta(days=1)
    refused(PlanIncompleteError, "begins on 2026-01-02", shop.order)


# --- Signing -----------------------------------------------------------------------------------------------------


def test_a_key_of_nobody_signs_nothing(shop: Shop) -> None:
    refused(VaultError, "nobody in trust.yaml", shop.order, signer=key())
    refused(UsageError, "none of the roles", shop.order, signer=shop.house.people.compliance)
    # Whoever became steward since is not known to the recipient, who would refuse what they sign.
    late = enter(shop.house.root, "Late", ["steward"])
    refused(VaultError, "its recipient would refuse it", shop.order, signer=late)
    assert not (shop.disk / DELIVERY_FILE).exists()
    assert shop.deliver().state == "completed"


def test_two_signatures_on_one_delivery_cannot_be(shop: Shop) -> None:
    enter(shop.house.root, "Second", ["steward"])
    file = shop.house.root / "trust.yaml"
    file.write_text(file.read_text("utf-8") + "thresholds: {deliver: {steward: 2}}\n", encoding="utf-8")
    refused(UsageError, "more than one signature", shop.deliver)


def test_who_withdraws_while_it_travels_is_heard(shop: Shop) -> None:
    def withdraw() -> None:
        with shop.house.desk() as desk:
            name = find_delivery(desk, shop.buyer.contract).id
            desk.registry.transition(Command(Machine.DELIVERY, name, "notify", "x", desk.at, sets={"withdrawals": 1}))

    refused(PlanIncompleteError, "somebody has withdrawn", shop.deliver, before_signing=withdraw)
    assert not (shop.disk / DELIVERY_FILE).exists()


def test_a_run_that_was_cut_off_goes_on_with_what_it_signed(shop: Shop) -> None:
    class CutOffError(Exception):
        pass

    def cut_off() -> None:
        raise CutOffError

    with pytest.raises(CutOffError):
        shop.deliver(before_signing=cut_off)
    assert shop.deliver().state == "completed"
    assert shop.faults() == []


# --- Receipts ----------------------------------------------------------------------------------------------------


def test_a_receipt_is_kept_once(delivered: Shop, receipt: bytes) -> None:
    assert delivered.acknowledge(receipt).state == "acknowledged"
    events = len(delivered.house.events())
    assert delivered.acknowledge(receipt).state == "acknowledged"
    assert len(delivered.house.events()) == events
    assert delivered.faults() == []


@pytest.mark.parametrize("part", ["delivery", "document"])
def test_a_receipt_of_something_else_is_refused(delivered: Shop, receipt: bytes, part: str) -> None:
    statement = Envelope.parse(receipt).statement()
    other = replace(statement, predicate={**statement.predicate, part: "sha256:" + "0" * 64})
    refused(DigestMismatchError, "another delivery", delivered.acknowledge, sign(other, [delivered.buyer.signer]).as_bytes())


def test_a_receipt_of_other_content_is_refused(delivered: Shop, receipt: bytes) -> None:
    statement = Envelope.parse(receipt).statement()
    other = replace(statement, subjects=(StatedSubject("manifest-sha256.txt", "0" * 64),))
    refused(DigestMismatchError, "other content", delivered.acknowledge, sign(other, [delivered.buyer.signer]).as_bytes())


def test_a_receipt_that_somebody_else_signed_is_forged(delivered: Shop, receipt: bytes) -> None:
    statement = Envelope.parse(receipt).statement()
    forged = sign(statement, [key()]).as_bytes()
    refused(DigestMismatchError, "not signed with the key", delivered.acknowledge, forged)
    both = sign(statement, [delivered.buyer.signer, key()]).as_bytes()
    refused(DigestMismatchError, "not signed with the key", delivered.acknowledge, both)
    steward = sign(statement, [delivered.house.people.steward]).as_bytes()
    refused(DigestMismatchError, "not signed with the key", delivered.acknowledge, steward)


def test_another_statement_is_no_receipt(delivered: Shop, receipt: bytes) -> None:
    statement = Envelope.parse(receipt).statement()
    other = sign(Statement(statement.subjects, DELETION, statement.predicate), [delivered.buyer.signer]).as_bytes()
    refused(InputOutputError, "no receipt", delivered.acknowledge, other)
    refused(InputOutputError, "envelope", delivered.acknowledge, b"{}")
    assert statement.predicate_type == DELIVERY_RECEIPT


# --- Payment -----------------------------------------------------------------------------------------------------


def test_nothing_is_paid_for_before_it_is_acknowledged(delivered: Shop) -> None:
    refused(PlanIncompleteError, "completed", delivered.settle)


def test_a_payment_is_kept_as_it_was(delivered: Shop, receipt: bytes) -> None:
    delivered.acknowledge(receipt)
    assert delivered.settle()
    assert not delivered.settle()
    refused(PlanIncompleteError, "another amount", delivered.settle, reference="INV 2")
    refused(PlanIncompleteError, "another amount", delivered.settle, paid="1.00")
    with delivered.house.desk() as desk:
        found = settlement(desk, None, None)
        assert settlement(desk, desk.today + timedelta(days=1), None) == []
        assert settlement(desk, None, desk.today - timedelta(days=1)) == []
    assert [(one.metered.count, one.metered.unit) for one in found] == [(24, "slide")]
    assert sum(part.amount for part in found[0].parts) == found[0].paid == found[0].metered.amount
    assert totals(found) == {("CNY", part.site): part.amount for part in found[0].parts}


@pytest.mark.parametrize("paid", ["NaN", "1e999999999", "ten", "Infinity", "1.005", "-1.00", "1e3", ""])
def test_an_amount_that_nobody_pays(delivered: Shop, receipt: bytes, paid: str) -> None:
    delivered.acknowledge(receipt)
    refused(UsageError, "nobody pays|no number|decimals", delivered.settle, paid=paid)
    assert delivered.settle(paid="0")


def test_what_came_is_paid_for_though_the_contract_ended(delivered: Shop, receipt: bytes) -> None:
    with delivered.house.desk() as desk:
        contracts.end(desk, find_contract(desk, delivered.buyer.contract), "it ended")
    refused(PlanIncompleteError, "is recalled", delivered.settle)
    assert delivered.acknowledge(receipt).state == "recalled"
    assert delivered.settle()
    with delivered.house.desk() as desk:
        assert len(settlement(desk, None, None)) == 1


def test_nothing_of_it_is_paid_for_before_it_is_prepared(shop: Shop) -> None:
    shop.order()
    refused(PlanIncompleteError, "is prepared", shop.settle)


def test_a_payment_needs_a_day_and_a_reference(delivered: Shop, receipt: bytes) -> None:
    delivered.acknowledge(receipt)
    refused(UsageError, "which is to come", delivered.settle, on=delivered.house.now.date() + timedelta(days=1))
    for reference in ("", " ", "a\nb", "x" * 201):
        refused(UsageError, "one line", delivered.settle, reference=reference)


def test_whose_part_is_what_must_be_what_was_written_down(delivered: Shop, receipt: bytes) -> None:
    delivered.acknowledge(receipt)
    with delivered.house.desk() as desk:
        file = kept_directory(desk, find_delivery(desk, delivered.buyer.contract)) / "sources.json"
    said = json.loads(file.read_bytes())
    said["sites"]["NB01"]["counts"]["slides"] += 1
    file.write_text(json.dumps(said))
    refused(DigestMismatchError, "sources.json", delivered.settle)
    file.unlink()
    refused(DigestMismatchError, "sources.json", delivered.settle)


def test_what_costs_nothing_is_settled_with_nothing(houses: Houses, tmp_path: Path, no_sync: None) -> None:
    house = houses.at("offered", tmp_path / "w")
    shop = Shop(house, contracted(house, terms=Terms("HT-1", price=Price(amount="0", currency="CNY", unit="release"))))
    shop.deliver()
    shop.acknowledge(shop.received())
    assert shop.settle()
    with house.desk() as desk:
        assert [one.paid for one in settlement(desk, None, None)] == [Decimal("0.00")]


@given(st.lists(st.tuples(st.sampled_from(["CNY", "EUR"]), st.lists(st.integers(-(10**6), 10**6), min_size=3, max_size=3))))
def test_totals_lose_nothing(payments: list[tuple[str, list[int]]]) -> None:
    settled = [
        Settled(
            f"d{number}", "c", "r", "lab", Metered("slide", 1, 0, Decimal(1), currency, Decimal(1)),
            Decimal(sum(units)) / 100, date(2026, 1, 1), "x",
            [Part(site, 1, None, Decimal(unit) / 100) for site, unit in zip(("A", "B", None), units, strict=True)],
        )
        for number, (currency, units) in enumerate(payments)
    ]  # fmt: skip
    found = totals(settled)
    for currency in ("CNY", "EUR"):
        paid = sum((one.paid for one in settled if one.metered.currency == currency), Decimal(0))
        assert sum((amount for (of, _), amount in found.items() if of == currency), Decimal(0)) == paid


# --- Papers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [DELIVERY_FILE, "receipt.json", "sources.json", DELIVERY_SIGNED])
def test_a_paper_of_a_delivery_that_was_exchanged_is_found(delivered: Shop, receipt: bytes, name: str) -> None:
    delivered.acknowledge(receipt)
    with delivered.house.desk() as desk:
        file = kept_directory(desk, find_delivery(desk, delivered.buyer.contract)) / name
    file.write_bytes(file.read_bytes().replace(b'"', b"'", 1))
    assert any(name in fault for fault in delivered.faults())
    file.unlink()
    assert any(name in fault for fault in delivered.faults())


@pytest.mark.parametrize("name", ["agreement.json", "policy.odrl.jsonld", "acceptance.json", "approval", "contract"])
def test_a_paper_of_a_contract_that_was_exchanged_is_found(shop: Shop, name: str) -> None:
    folder = contract_directory(shop.house.workspace, shop.buyer.contract)
    file = next(path for path in folder.iterdir() if path.name.startswith(name))
    assert shop.faults() == []
    file.write_bytes(file.read_bytes() + b" ")
    assert any(file.name in fault for fault in shop.faults())
    file.unlink()
    assert any(file.name in fault for fault in shop.faults())

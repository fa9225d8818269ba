"""From an application to a contract in force: who signs what, what is refused, and what is kept."""
# ruff: noqa: F811 -- fixtures are imported by their names

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest

from pathcurate import product
from pathcurate.agreements import contract_statement
from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    ExpiredError,
    InputOutputError,
    PathcurateError,
    PlanIncompleteError,
    UsageError,
    VaultError,
)
from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY
from pathcurate.model.attestation import APPLICATION_REVIEW, CONTRACT, Envelope, Statement
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Subject
from pathcurate.model.productfile import Price
from pathcurate.product import applying, contracts
from pathcurate.product.contracts import Advanced, Terms, contract_directory, find_contract, read_agreement
from pathcurate.product.contractstanding import contract_faults, standing_of
from pathcurate.product.desk import keep_paper
from pathcurate.receiving.accepting import accept
from pathcurate.registries.sql import SqlRegistry
from pathcurate.signing import Ed25519Signer, sign
from pathcurate.trustfile import load_trust
from tests.built import reseal
from tests.contracted import Recipient, application, applied, approved, contracted, signed, write_application
from tests.products import (  # noqa: F401 -- fixtures among them
    NOW,
    At,
    House,
    actions,
    at,
    digest_of,
    enter,
    houses,
    key,
    no_sync,
    tree,
)


def subject(house: House, made: Recipient) -> Subject:
    with house.desk() as desk:
        return find_contract(desk, made.contract)


def does(house: House, made: Recipient, what: Callable[..., Advanced], *more: Any, **parts: Any) -> Advanced:
    with house.desk() as desk:
        return what(desk, find_contract(desk, made.contract), *more, **parts)


def acceptance(house: House, made: Recipient, **parts: Any) -> bytes:
    return accept(contract_directory(house.workspace, made.contract), made.signer, now=NOW, **parts).file.read_bytes()


def forged(house: House, made: Recipient, signer: Ed25519Signer, party: Any = "recipient", **parts: Any) -> bytes:
    """A signature of the terms that lie there, or of what ``parts`` say instead."""
    directory = contract_directory(house.workspace, made.contract)
    with house.desk() as desk:
        agreement = read_agreement(desk, find_contract(desk, made.contract))
    content, policy = ((directory / name).read_bytes() for name in (AGREEMENT_FILE, AGREEMENT_POLICY))
    agreement = agreement.model_copy(update=parts.pop("agreement", {}))
    statement = contract_statement(
        agreement, parts.pop("content", content), parts.pop("policy", policy), party, {"at": NOW.isoformat()}
    )
    statement = Statement(statement.subjects, parts.pop("kind", statement.predicate_type), statement.predicate)
    return sign(statement, [signer]).as_bytes()


def refused(house: House, action: Callable[[], object], error: type[PathcurateError], match: str = ".") -> None:
    """The action is refused, and neither registry nor file is another than before."""
    before = house.head(), tree(house.root)
    with pytest.raises(error, match=match):
        action()
    assert (house.head(), tree(house.root)) == before


def cut_off(_registry: SqlRegistry, _command: Command) -> Any:
    raise KeyboardInterrupt


# --- The way there -----------------------------------------------------------------------------------------------


def test_a_contract_comes_into_force_when_both_sides_have_signed_the_same_terms(at: At) -> None:
    house = at("offered")
    made = contracted(house)
    held, release = subject(house, made), house.entry()
    directory = contract_directory(house.workspace, made.contract)
    assert (held.state, held.parent, held.product, held.version) == ("active", "small@1.0.0", "small", "1.0.0")
    assert made.contract.startswith("small-lab-")
    with house.desk() as desk:
        agreement = read_agreement(desk, held)
        assert list(contract_faults(desk, held)) == []
        assert standing_of(desk, held).next == "deliver"
    assert agreement.release_digest == release.release_digest == held.facts["release_digest"]
    assert (agreement.holder, agreement.recipient, agreement.number) == ("示例市病理诊断中心", "lab", "HT-lab")
    assert agreement.price is not None
    assert agreement.price.amount == "1.50"
    assert (str(agreement.period.last), held.facts["valid_until"]) == ("2026-12-31", "2026-12-31")
    assert [one.name for one in agreement.holder_keys] == ["Li Hua"]
    assert agreement.policy_sha256 == digest_of(directory / AGREEMENT_POLICY) == held.facts["policy"]
    assert held.facts["agreement"] == digest_of(directory / AGREEMENT_FILE)
    assert house.faults() == []


def test_every_step_is_in_the_history_with_who_signed(at: At) -> None:
    house = at("offered")
    made = contracted(house)
    mine = [event for event in house.events() if event.subject == made.contract]
    assert [event.action for event in mine] == ["apply", "review", "review", "approve", "sign", "activate"]
    held = subject(house, made)
    assert {(one["role"], one["name"]) for one in held.facts["approvals"]} == {("steward", "Li Hua"), ("compliance", "王芳")}
    assert [(one["role"], one["name"]) for one in held.facts["signatures"]] == [("steward", "Li Hua")]
    assert held.facts["accepted"]["keyid"] == made.signer.keyid
    assert made.signer.keyid != house.people.steward.keyid


def test_what_is_signed_names_the_application_and_the_terms(at: At) -> None:
    house = at("offered")
    made = contracted(house)
    held, directory = subject(house, made), contract_directory(house.workspace, made.contract)
    for signer in house.people:
        said = Envelope.parse((directory / f"approval.{signer.keyid[:8]}.json").read_bytes()).statement()
        assert said.predicate_type == APPLICATION_REVIEW
        assert f"sha256:{said.subjects[0].sha256}" == held.facts["application"] == said.predicate["application"]
        assert said.predicate["match"]["answer"] == "yes"
        assert said.predicate["note"] == "looked at"
    said = Envelope.parse((directory / f"contract.{house.people.steward.keyid[:8]}.json").read_bytes()).statement()
    assert (said.predicate_type, said.predicate["party"], said.predicate["contract"]) == (CONTRACT, "holder", made.contract)
    assert {one.name: f"sha256:{one.sha256}" for one in said.subjects} == {
        AGREEMENT_FILE: held.facts["agreement"], AGREEMENT_POLICY: held.facts["policy"],
    }  # fmt: skip


def test_again_changes_nothing(at: At) -> None:
    house = at("offered")
    made = contracted(house)
    given = acceptance(house, made)
    before = house.head(), tree(house.root)
    post = house.root.parent / "post" / "lab.yaml"
    with house.desk() as desk:
        assert not applying.apply(desk, house.directory(), post).is_new
    for signer in house.people:
        assert not does(house, made, applying.approve, signer, note="again").is_new
    assert not does(house, made, contracts.contract, Terms("HT-lab"), house.people.steward).is_new
    assert not does(house, made, contracts.activate, given).is_new
    assert not does(house, made, contracts.go_on).is_new
    assert acceptance(house, made) == given
    assert (house.head(), tree(house.root)) == before


def test_a_layout_of_its_own_is_the_same_application(at: At) -> None:
    house = at("offered")
    made = applied(house)
    post = house.root.parent / "post" / "lab.yaml"
    other = post.with_name("other.yaml")
    other.write_text("# the same\n" + json.dumps(json.loads(post.read_text()), indent=2, sort_keys=True), encoding="utf-8")
    with house.desk() as desk:
        again = applying.apply(desk, house.directory(), other)
    assert (again.contract.id, again.is_new) == (made.contract, False)


def test_what_killed_runs_left_of_a_paper_goes_with_the_next(at: At) -> None:
    house = at("offered")
    made = applied(house)
    folder = contract_directory(house.workspace, made.contract)
    (folder / ".application.yaml.killed").write_text("half")
    (folder / ".other.yaml.killed").write_text("half of another paper")
    there = {path.name for path in folder.iterdir()} - {".application.yaml.killed"}
    keep_paper(folder / "application.yaml", b"new")
    assert {path.name for path in folder.iterdir()} == there
    assert (folder / "application.yaml").read_bytes() == b"new"
    assert (folder / "application.yaml").stat().st_mode & 0o777 == 0o640


# --- Applying ----------------------------------------------------------------------------------------------------


def test_only_what_is_on_offer_can_be_applied_for(at: At) -> None:
    house = at("registered")
    file = write_application(house.root.parent / "post" / "a.yaml", application())

    def apply() -> Advanced:
        with house.desk() as desk:
            return applying.apply(desk, house.directory(), file)

    refused(house, apply, PlanIncompleteError, "is registered; a contract is applied for while it is offered")
    house.offer()
    house.now = NOW + timedelta(days=400)  # the approval of the ethics committee has ended
    refused(house, apply, ExpiredError, "ethics approval ended on 2027-01-01")


def test_a_short_name_belongs_to_one_organisation_and_a_key_to_one_short_name(at: At) -> None:
    house = at("offered")
    made = applied(house)
    stranger = application("lab")["applicant"] | {"name": "另一家公司"}
    refused(house, lambda: applied(house, "lab", applicant=stranger), UsageError, "short name of another organisation")
    refused(
        house, lambda: applied(house, "other", signer=made.signer), UsageError, "signing key is that of the recipient `lab`"
    )
    refused(house, lambda: applied(house, "both", signer=house.people.steward), UsageError, "a key of trust.yaml")
    coded = application("coded")["applicant"] | {"uscc": "12330299MB00000006"}
    first = applied(house, "coded", applicant=coded)
    renamed_since, other = coded | {"name": "改名后的实验室"}, coded | {"uscc": "12330299MB00000007"}
    assert applied(house, "coded", applicant=renamed_since, signer=first.signer).contract != first.contract
    refused(house, lambda: applied(house, "coded", applicant=other), UsageError, "short name of another organisation")
    does(house, made, applying.reject, "never")
    taken = applied(house, "lab", applicant=stranger)  # nothing was ever delivered under the name
    does(house, taken, applying.reject, "never")
    applied(house, "lab2", signer=taken.signer)
    own = application("lab")["applicant"] | {"name": "示例实验室  ＬＡＢ"}  # the same name, typed in another way
    assert applied(house, "lab", applicant=own, signer=made.signer).contract != made.contract


def test_a_new_key_under_a_known_short_name_is_for_a_person_to_look_at(at: At) -> None:
    house = at("offered")
    applied(house)
    thief = applied(house, "lab", project={"title": "b", "summary": "b"})
    with house.desk() as desk, pytest.raises(PlanIncompleteError, match="none of those that this recipient has used before"):
        applying.approve(desk, find_contract(desk, thief.contract), house.people.steward)


# --- Approving ---------------------------------------------------------------------------------------------------


def test_a_use_that_the_policy_does_not_allow_is_approved_by_nobody_and_that_is_kept(at: At) -> None:
    house = at("offered")
    made = applied(house, use={"gives_on": True})
    for signer in house.people:
        with pytest.raises(DisclosureRefusedError, match="prohibited: give it on: the use asks for it"):
            does(house, made, applying.approve, signer, note="let it be")
    held = subject(house, made)
    assert (held.state, held.facts.get("approvals")) == ("reviewing", None)
    assert not list(contract_directory(house.workspace, made.contract).glob("approval.*"))
    assert actions(house.events())[-2:] == ["!approve", "!approve"]
    assert does(house, made, applying.reject, "not what is offered").contract.state == "rejected"
    with pytest.raises(PlanIncompleteError, match="rejected"):
        does(house, made, applying.approve, house.people.steward)


def test_what_only_a_person_can_say_needs_words(at: At) -> None:
    house = at("offered")
    abroad = application("lab")["applicant"] | {"country": "DE"}
    made = applied(house, applicant=abroad)
    does(house, made, applying.review)
    refused(
        house, lambda: does(house, made, applying.approve, house.people.steward, note="  "), PlanIncompleteError,
        "the applicant is in another country",
    )  # fmt: skip
    assert does(house, made, applying.approve, house.people.steward, note="works on our servers").lacks == {"compliance": 1}


def test_nothing_is_approved_or_signed_for_a_release_that_is_not_on_offer_any_more(at: At) -> None:
    house = at("offered")
    waiting, ready = applied(house), approved(house, "other")
    does(house, waiting, applying.review)
    with house.desk() as desk:
        product.suspend(desk, "small", "1.0.0", "a question")
    steward = house.people.steward
    for action in (
        partial(does, house, waiting, applying.approve, steward),
        partial(does, house, ready, contracts.contract, Terms("HT-1"), steward),
    ):
        refused(house, action, PlanIncompleteError, "small@1.0.0 is suspended")
    with house.desk() as desk:
        lacks = standing_of(desk, find_contract(desk, waiting.contract)).lacks
    assert [one.demand for one in lacks] == ["signatures", "signatures", "release"]


def test_one_person_is_not_two_and_a_key_must_count(at: At) -> None:
    house = at("offered")
    both = enter(house.root, "Li Hua", ["steward", "compliance"])  # the steward's second key
    made = applied(house)
    assert does(house, made, applying.approve, house.people.steward).lacks == {"compliance": 1}
    assert does(house, made, applying.approve, house.people.steward).is_new is False
    assert does(house, made, applying.approve, both, role="compliance").lacks != {}
    assert subject(house, made).state == "reviewing"
    gone = enter(house.root, "Gone", ["compliance"], until=date(2026, 1, 1))
    for signer in (key(), made.signer, gone):
        refused(house, partial(does, house, made, applying.approve, signer), VaultError, "key|sign")
    assert does(house, made, applying.approve, house.people.compliance).contract.state == "approved"


@pytest.mark.parametrize("name", ["application.yaml", "agreement.json", "policy.odrl.jsonld"])
def test_papers_that_were_changed_are_told_and_not_relied_upon(at: At, name: str) -> None:
    house = at("offered")
    made = signed(house)
    given = forged(house, made, made.signer)
    file = contract_directory(house.workspace, made.contract) / name
    changed = file.read_bytes().replace(b"2026-12-31", b"2036-12-31")
    assert changed != file.read_bytes()
    file.write_bytes(changed)
    with house.desk() as desk:
        (fault,) = contract_faults(desk, find_contract(desk, made.contract))
    assert name in fault
    if name == "application.yaml":
        again = partial(does, house, made, contracts.contract, Terms("HT-lab"), house.people.steward)
        refused(house, again, DigestMismatchError, "application.yaml is missing, or was changed")
    else:
        refused(house, partial(acceptance, house, made), DigestMismatchError)
    if name == "agreement.json":
        refused(house, partial(does, house, made, contracts.activate, given), DigestMismatchError, "was changed since")


def test_a_release_that_was_changed_since_is_not_agreed_upon(at: At) -> None:
    house = at("offered")
    made = applied(house)
    file = house.directory() / "product.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("distribute", "train_models"), encoding="utf-8")
    file.write_bytes(file.read_bytes() + b"\n")
    refused(house, partial(does, house, made, applying.review), DigestMismatchError)
    refused(house, partial(does, house, made, applying.approve, house.people.steward), DigestMismatchError)
    reseal(house.directory())  # whole again, and another
    refused(house, partial(does, house, made, applying.review), DigestMismatchError, "not the release that was applied for")


def test_what_people_say_of_the_product_today_changes_no_terms_of_a_release(at: At) -> None:
    """What may be done with it was offered with the release, and is part of its digest."""
    house = at("offered")
    house.says("duo: [DUO_0000042], environment: file", "duo: [DUO_0000046], environment: tre")
    made = contracted(house)
    with house.desk() as desk:
        agreement = read_agreement(desk, find_contract(desk, made.contract))
    assert (agreement.duo, agreement.environment) == (("DUO_0000042",), "file")


def test_a_run_that_was_cut_off_between_two_versions_of_the_terms_goes_on(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    house = at("offered")
    second = enter(house.root, "Zhao", ["steward"])
    house.edit("trust.yaml", "\nsigners:", "\nthresholds: {contract: {steward: 2}}\nsigners:")
    made = approved(house)
    does(house, made, contracts.contract, Terms("HT-1"), house.people.steward)
    with monkeypatch.context() as patch:
        patch.setattr(SqlRegistry, "transition", cut_off)
        with pytest.raises(KeyboardInterrupt):
            does(house, made, contracts.contract, Terms("HT-2"), second)
    assert does(house, made, contracts.contract, Terms("HT-2"), second).lacks == {"steward": 1}
    done = does(house, made, contracts.contract, Terms("HT-2"), house.people.steward)
    assert (done.contract.state, done.contract.facts["number"]) == ("signed", "HT-2")
    with house.desk() as desk:
        assert list(contract_faults(desk, done.contract)) == []


def test_an_approval_that_was_forged_is_told(at: At) -> None:
    house = at("offered")
    made = approved(house)
    file = contract_directory(house.workspace, made.contract) / f"approval.{house.people.steward.keyid[:8]}.json"
    said = Envelope.parse(file.read_bytes()).statement()
    file.write_bytes(sign(said, [key()]).as_bytes())
    with house.desk() as desk:
        assert list(contract_faults(desk, find_contract(desk, made.contract))) == [
            f"{file.name} was changed since it was signed"
        ]


# --- Terms -------------------------------------------------------------------------------------------------------


def test_nothing_is_agreed_upon_before_it_is_approved(at: At) -> None:
    house = at("offered")
    made = applied(house)
    refused(
        house, lambda: does(house, made, contracts.contract, Terms("HT-1"), house.people.steward), PlanIncompleteError,
        "`sign` needs it to be approved",
    )  # fmt: skip
    with house.desk() as desk, pytest.raises(PlanIncompleteError, match="has no terms yet"):
        read_agreement(desk, find_contract(desk, made.contract))


def test_terms_of_another_form_or_beyond_what_was_approved_are_refused(at: At) -> None:
    house = at("offered")
    made = approved(house)
    wrong = [
        Terms(""), Terms("a\nb"), Terms("HT", deletion_days=0), Terms("HT", last=date(2027, 1, 1)),
        Terms("HT", last=date(2026, 1, 1)),
    ]  # fmt: skip
    for terms in wrong:
        refused(house, partial(does, house, made, contracts.contract, terms, house.people.steward), UsageError)


def test_terms_can_be_narrower_and_dearer_than_what_was_asked(at: At) -> None:
    house = at("offered")
    price = Price(amount="99000.00", currency="CNY", unit="release")
    made = contracted(house, terms=Terms("HT-9", price, date(2026, 6, 30), 7))
    with house.desk() as desk:
        agreement = read_agreement(desk, find_contract(desk, made.contract))
    assert (agreement.price, str(agreement.period.last), agreement.deletion_days) == (price, "2026-06-30", 7)
    held = subject(house, made)
    assert (held.facts["valid_until"], held.facts["price"]["amount"]) == ("2026-06-30", "99000.00")
    refused(
        house, lambda: does(house, made, contracts.contract, Terms("HT-9"), house.people.steward), DigestMismatchError,
        "signed with other terms",
    )  # fmt: skip


def test_two_contracts_have_two_numbers(at: At) -> None:
    house = at("offered")
    signed(house, "lab", terms=Terms("HT-1"))
    other = approved(house, "other")
    refused(
        house, lambda: does(house, other, contracts.contract, Terms("HT-1"), house.people.steward), DigestMismatchError,
        "another contract has this number",
    )  # fmt: skip
    assert does(house, other, contracts.contract, Terms("HT-2"), house.people.steward).contract.state == "signed"


def test_while_signatures_are_lacking_terms_may_change_and_earlier_signatures_count_no_more(at: At) -> None:
    house = at("offered")
    second = enter(house.root, "Zhao", ["steward"])
    house.edit("trust.yaml", "\nsigners:", "\nthresholds: {contract: {steward: 2}}\nsigners:")
    made = approved(house)
    one = does(house, made, contracts.contract, Terms("HT-1"), house.people.steward)
    assert (one.contract.state, one.lacks) == ("negotiating", {"steward": 1})
    two = does(house, made, contracts.contract, Terms("HT-1", deletion_days=10), second)
    assert (two.contract.state, two.lacks) == ("negotiating", {"steward": 1})
    done = does(house, made, contracts.contract, Terms("HT-1", deletion_days=10), house.people.steward)
    assert (done.contract.state, done.lacks) == ("signed", {})
    assert {one["name"] for one in done.contract.facts["signatures"]} == {"Li Hua", "Zhao"}
    with house.desk() as desk:
        assert read_agreement(desk, done.contract).deletion_days == 10
        assert list(contract_faults(desk, done.contract)) == []
    assert acceptance(house, made)


def test_a_run_that_was_cut_off_after_it_had_signed_goes_on(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    house = at("offered")
    made = approved(house)
    with monkeypatch.context() as patch:
        patch.setattr(SqlRegistry, "transition", cut_off)
        with pytest.raises(KeyboardInterrupt):
            does(house, made, contracts.contract, Terms("HT-1"), house.people.steward)
    assert subject(house, made).state == "approved"
    assert does(house, made, contracts.contract, Terms("HT-2"), house.people.steward).contract.state == "signed"
    with house.desk() as desk:
        held = find_contract(desk, made.contract)
        assert (read_agreement(desk, held).number, list(contract_faults(desk, held))) == ("HT-2", [])


# --- Acceptance --------------------------------------------------------------------------------------------------


def test_an_acceptance_of_somebody_else_or_of_other_terms_is_refused(at: At) -> None:
    house = at("offered")
    made, other = signed(house), signed(house, "other")
    cases: list[tuple[bytes, type[PathcurateError]]] = [
        (forged(house, made, key()), DigestMismatchError),
        (forged(house, made, house.people.steward), DigestMismatchError),
        (forged(house, made, made.signer, "holder"), DigestMismatchError),
        (forged(house, made, made.signer, content=b"{}"), DigestMismatchError),
        (forged(house, made, made.signer, policy=b"{}"), DigestMismatchError),
        (forged(house, made, made.signer, agreement={"contract": other.contract}), DigestMismatchError),
        (forged(house, other, made.signer), DigestMismatchError),
        (forged(house, other, other.signer), DigestMismatchError),
        (forged(house, made, made.signer, kind=APPLICATION_REVIEW), InputOutputError),
        (b"", InputOutputError),
        (b"{}", InputOutputError),
        (forged(house, made, made.signer)[:-40], InputOutputError),
    ]
    holder = contract_directory(house.workspace, made.contract) / f"contract.{house.people.steward.keyid[:8]}.json"
    cases.append((holder.read_bytes(), DigestMismatchError))
    for content, error in cases:
        refused(house, partial(does, house, made, contracts.activate, content), error)
    assert does(house, made, contracts.activate, forged(house, made, made.signer)).contract.state == "active"


def test_an_envelope_with_a_second_signature_or_none_is_refused(at: At) -> None:
    house = at("offered")
    made = signed(house)
    statement = Envelope.parse(forged(house, made, made.signer)).statement()
    twice = sign(statement, [made.signer, key()])
    bare = json.dumps({**twice.as_dict(), "signatures": []}).encode()
    for content in (twice.as_bytes(), bare):
        with pytest.raises((DigestMismatchError, InputOutputError)):
            does(house, made, contracts.activate, content)
    assert subject(house, made).state == "signed"


def test_a_recipients_key_that_was_entered_into_trust_since_brings_nothing_into_force(at: At) -> None:
    house = at("offered")
    made = signed(house)
    given = acceptance(house, made)
    enter(house.root, "Zhao", ["steward"], made.signer)
    refused(house, partial(does, house, made, contracts.activate, given), DigestMismatchError, "both sides")


def test_a_recipient_signs_only_what_the_holder_has_signed_with_their_own_key(at: At) -> None:
    house = at("offered")
    made = signed(house)
    directory = contract_directory(house.workspace, made.contract)
    refused(house, lambda: accept(directory, key(), now=NOW), VaultError, "not the one that the terms name")
    refused(
        house, lambda: accept(directory, made.signer, now=NOW + timedelta(days=900)), ExpiredError, "ended on 2026-12-31"
    )
    (directory / "contract.00000000.json").write_bytes(forged(house, made, key(), "holder"))
    refused(house, lambda: accept(directory, made.signer, now=NOW), DigestMismatchError, "contract.00000000.json: ")
    for file in directory.glob("contract.*.json"):
        file.unlink()
    refused(house, lambda: accept(directory, made.signer, now=NOW), InputOutputError, "holder's signature")


def test_with_the_holders_own_trust_an_agreement_that_names_other_keys_is_refused(at: At) -> None:
    """Somebody on the way puts terms of their own, with keys of their own, in the place of the holder's."""
    house = at("offered")
    made = signed(house)
    directory, thief = contract_directory(house.workspace, made.contract), key()
    with house.desk() as desk:
        real = read_agreement(desk, find_contract(desk, made.contract))
    swapped = real.holder_keys[0].model_copy(update={"public": b64encode(thief.public).decode()})
    content = json.dumps(dict(real.model_copy(update={"holder_keys": (swapped,)}).as_dict())).encode()
    for file in directory.glob("contract.*.json"):
        file.unlink()
    (directory / f"contract.{thief.keyid[:8]}.json").write_bytes(forged(house, made, thief, "holder", content=content))
    (directory / AGREEMENT_FILE).write_bytes(content)
    trust = load_trust(house.root / "trust.yaml")
    refused(
        house, lambda: accept(directory, made.signer, now=NOW, trust=trust), DigestMismatchError, "not signed with a key"
    )
    with pytest.raises(DigestMismatchError):  # without it the recipient signs, but the holder sees other terms
        does(house, made, contracts.activate, accept(directory, made.signer, now=NOW).file.read_bytes())


# --- Afterwards --------------------------------------------------------------------------------------------------


def test_a_contract_rests_with_its_release_and_goes_on_with_it(at: At) -> None:
    house = at("offered")
    made, waiting = contracted(house), signed(house, "other")
    given = acceptance(house, waiting)
    with house.desk() as desk:
        product.suspend(desk, "small", "1.0.0", "a question")
    assert {subject(house, one).state for one in (made, waiting)} == {"suspended"}
    refused(house, lambda: does(house, made, contracts.go_on), PlanIncompleteError, "small@1.0.0 is suspended")
    refused(house, lambda: does(house, waiting, contracts.activate, given), PlanIncompleteError, "small@1.0.0 is suspended")
    with house.desk() as desk:
        product.resume(desk, house.directory())
    refused(house, lambda: does(house, waiting, contracts.go_on), PlanIncompleteError, "has not signed it")
    assert does(house, waiting, contracts.activate, given).contract.state == "active"
    assert does(house, made, contracts.go_on).contract.state == "active"


def test_what_is_over_does_not_come_into_force_and_is_told_to_the_registry(at: At) -> None:
    house = at("offered")
    made, late = (
        contracted(house, terms=Terms("HT-1", last=date(2026, 1, 31))),
        signed(house, "late", terms=Terms("HT-2", last=date(2026, 1, 31))),
    )
    given = acceptance(house, late)
    house.now = NOW + timedelta(days=29)
    with house.desk() as desk:
        assert contracts.expire_ended(desk) == []
    house.now = NOW + timedelta(days=30)
    refused(house, lambda: does(house, late, contracts.activate, given), ExpiredError, "ended on 2026-01-31")
    with house.desk() as desk:
        assert standing_of(desk, find_contract(desk, made.contract)).is_over
        assert [one.contract.id for one in contracts.expire_ended(desk)] == [made.contract]
        assert contracts.expire_ended(desk) == []
    assert subject(house, made).state == "expired"


def test_ending_a_contract_is_kept_with_its_reason_and_brings_nothing_back(at: At) -> None:
    house = at("offered")
    made = contracted(house)
    assert does(house, made, contracts.end, "the project has ended").contract.facts["reason"] == "the project has ended"
    assert not does(house, made, contracts.end, "again").is_new
    for action in (contracts.go_on, lambda desk, one: contracts.contract(desk, one, Terms("HT-8"), house.people.steward)):
        with pytest.raises((PlanIncompleteError, DigestMismatchError)):
            does(house, made, action)
    assert subject(house, made).state == "terminated"


def test_what_ended_before_it_was_signed_has_no_terms(at: At) -> None:
    house = at("offered")
    made = applied(house)
    assert does(house, made, contracts.end, "they have changed their mind").contract.state == "terminated"
    late = partial(does, house, made, contracts.contract, Terms("HT-1"), house.people.steward)
    refused(house, late, PlanIncompleteError, "is terminated")


def test_a_contract_is_found_by_the_beginning_of_its_name(at: At) -> None:
    house = at("offered")
    first, second = applied(house), applied(house, "lab_two")
    with house.desk() as desk:
        for beginning in ("small-lab", "small-lab-", first.contract[:-1]):
            assert find_contract(desk, beginning).id == first.contract
        assert find_contract(desk, second.contract).id == second.contract
    again = applied(house, period={"first": "2026-01-02", "last": "2026-11-30"}, signer=first.signer)
    assert again.contract != first.contract
    with house.desk() as desk:
        for name, words in (("small-lab", "several contracts begin"), ("thorax", "no contract begins"), ("", "no contract")):
            with pytest.raises(UsageError, match=words):
                find_contract(desk, name)
        assert desk.registry.subject(Machine.CONTRACT, "small-lab-") is None

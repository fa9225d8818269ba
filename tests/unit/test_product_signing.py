"""Who may sign for a release, what a signature says, and what becomes of a run that was cut off after it had signed."""
# ruff: noqa: F811 -- fixtures are imported by their names

import json
import shutil
from datetime import timedelta

import pytest

from pathcurate.attestations import write_attestation
from pathcurate.errors import DigestMismatchError, PathcurateError, UsageError, VaultError
from pathcurate.model.attestation import COMPLIANCE_CHECK, PRODUCT_RELEASE, REGISTRATION_RECEIPT, Envelope, Statement
from pathcurate.model.product import Command, State, Step
from pathcurate.product.guards import LackingError
from pathcurate.product.verification import verify_registry
from pathcurate.registries.sql import SqlRegistry
from pathcurate.releases import checksums_bytes
from pathcurate.signing import Ed25519Signer, release_subject, sign
from pathcurate.trustfile import load_trust, retire_signer
from tests.products import (  # noqa: F401 -- fixtures among them
    NOW,
    TODAY,
    At,
    House,
    at,
    enter,
    houses,
    key,
    no_sync,
    renamed,
    tree,
)


def faults_of(house: House) -> tuple[str, ...]:
    with house.desk() as desk:
        return verify_registry(desk, load_trust(house.root / "trust.yaml")).faults


def statement(house: House, name: str) -> Statement:
    path = next((house.directory() / "attestations").glob(f"{name}.*.json"))
    return Envelope.parse(path.read_bytes()).statement()


def thresholds(house: House, text: str) -> None:
    """Say in trust.yaml how many each step needs; signers stand last in it."""
    file = house.root / "trust.yaml"
    content = file.read_text(encoding="utf-8")
    assert "\nthresholds:" not in content
    file.write_text(content.replace("\nsigners:", f"\nthresholds: {text}\nsigners:"), encoding="utf-8")
    load_trust(file)


# --- What is signed ------------------------------------------------------------------------------------------------------


def test_each_statement_names_the_release_what_it_rests_on_and_the_head(at: At) -> None:
    house = at("offered")
    subject = release_subject(checksums_bytes(house.directory()))
    kinds = {"release": PRODUCT_RELEASE, "compliance": COMPLIANCE_CHECK, "registration": REGISTRATION_RECEIPT}
    digests = {event.seq: event.digest for event in house.events()}
    for number, (name, kind) in zip((2, 3, 5), kinds.items(), strict=True):
        said = statement(house, name)
        assert (said.predicate_type, said.subjects) == (kind, (subject,))
        assert said.predicate["registry"] == {"events": number, "head": digests[number]}
        assert said.predicate["at"] == NOW.isoformat(timespec="seconds")
    relied = statement(house, "compliance").predicate
    assert relied["ethics"] == {"number": "示例伦审1", "date": "2025-12-01", "valid_until": "2027-01-01"}
    assert relied["impactAssessment"]["number"] == "PIA-1"
    assert relied["legalBasis"] == ["知情同意"]
    assert [one["site"] for one in relied["sites"]] == ["NB01", "NB02"]
    assert relied["sites"][0]["authorisation"].startswith("sha256:")
    assert relied["deid"]["k_min"] == 4
    assert relied["validation"]["result"] == "PASSED"
    assert relied["permissions"] == {"configured": True, "purpose": "research"}


def test_a_check_can_be_signed_and_needs_a_key_that_counts(at: At) -> None:
    house = at("frozen")
    with pytest.raises(VaultError, match=r"nobody in trust\.yaml has this key"):
        house.check(signer=key())
    assert house.state() is State.FROZEN
    assert not (house.directory() / "attestations").exists()
    house.check(signer=house.people.steward)
    assert statement(house, "quality").predicate["result"] == "PASSED"
    assert faults_of(house) == ()


# --- Who may sign --------------------------------------------------------------------------------------------------------


def test_a_key_of_nobody_signs_nothing(at: At) -> None:
    house = at("validated")
    head, files = house.head(), tree(house.root)
    with pytest.raises(VaultError, match=r"nobody in trust\.yaml has this key") as refused:
        house.sign(key())
    assert refused.value.exit_code == 11
    assert (house.head(), tree(house.root)) == (head, files)


@pytest.mark.parametrize(
    ("days", "says"),
    [
        ({"retired": TODAY}, "was retired on 2026-01-02"),
        ({"until": TODAY - timedelta(days=1)}, "counted until 2026-01-01"),
        ({"since": TODAY + timedelta(days=1)}, "counts from 2026-01-03 on"),
    ],
)
def test_a_key_out_of_its_days_signs_nothing(days: dict[str, object], says: str, at: At) -> None:
    house = at("validated")
    late = enter(house.root, "Former", ["steward"], **days)  # type: ignore[arg-type]
    head = house.head()
    with pytest.raises(VaultError, match=f"Former cannot sign: .*{says}") as refused:
        house.sign(late)
    assert refused.value.exit_code == 11
    assert house.head() == head
    assert not (house.directory() / "attestations").exists()


def test_what_somebody_signed_before_they_left_still_counts(at: At) -> None:
    house = at("validated")
    house.sign(house.people.steward)
    retire_signer(house.root / "trust.yaml", "Li Hua", TODAY + timedelta(days=1))
    house.now = NOW + timedelta(days=2)
    moved = house.sign(house.people.compliance)
    assert moved.entry.state is State.COMPLIANCE_CHECKED
    house.submit()
    assert faults_of(house) == ()
    renamed(house.root, "later")
    house.register("later@1.0.0")
    house.check("later@1.0.0")
    with pytest.raises(VaultError, match="was retired"):
        house.sign(house.people.steward, "later@1.0.0")


def test_a_signature_of_after_the_retirement_counts_no_more_once_that_is_known(at: At) -> None:
    """The key was lost yesterday, and that comes out only now: what it signed today is worth nothing."""
    house = at("compliance_checked")
    retire_signer(house.root / "trust.yaml", "Li Hua", TODAY)
    with pytest.raises(LackingError, match="1 more signature as steward"):
        house.submit()
    assert house.state() is State.COMPLIANCE_CHECKED
    assert any("does not count" in fault for fault in faults_of(house))
    second = enter(house.root, "Second", ["steward"])
    with pytest.raises(PathcurateError):
        house.sign(second)  # cleared is cleared: a new version is the way


def test_one_person_with_both_roles_is_not_two(at: At) -> None:
    house = at("validated")
    both = enter(house.root, "Zhao", ["steward", "compliance"])
    with pytest.raises(UsageError, match="several roles: steward, compliance"):
        house.sign(both)
    house.sign(both, role="steward")
    moved = house.sign(both, role="compliance")
    assert moved.entry.state is State.VALIDATED
    assert len(moved.lacks) == 1
    assert house.sign(house.people.compliance).entry.state is State.COMPLIANCE_CHECKED


def test_one_person_with_two_keys_is_not_two(at: At) -> None:
    house = at("validated")
    house.sign(enter(house.root, "Zhao", ["steward"]))
    moved = house.sign(enter(house.root, "ZHAO", ["compliance"]))
    assert moved.entry.state is State.VALIDATED
    assert len(moved.lacks) == 1


def test_who_signed_as_steward_has_not_signed_as_compliance_officer(at: At) -> None:
    """Two stewards, of whom one could have answered for compliance, and has not: nobody said that the papers are there."""
    house = at("validated")
    house.sign(enter(house.root, "Zhao", ["steward", "compliance"]), role="steward")
    moved = house.sign(house.people.steward)
    assert moved.entry.state is State.VALIDATED
    assert [lack.what for lack in moved.lacks] == ["1 more signature as compliance"]


@pytest.mark.parametrize("role", ["compliance", None])
def test_nobody_signs_in_a_role_that_is_not_theirs(role: str | None, at: At) -> None:
    house = at("validated")
    signer = house.people.steward if role else enter(house.root, "Keeper", ["registry"])
    with pytest.raises(UsageError, match="has none of the roles that can sign this"):
        house.sign(signer, role=role)
    assert not (house.directory() / "attestations").exists()


def test_the_order_of_signatures_does_not_matter(at: At) -> None:
    house = at("validated")
    house.sign(house.people.compliance)
    assert house.sign(house.people.steward).entry.state is State.COMPLIANCE_CHECKED


def test_two_of_three(at: At) -> None:
    house = at("validated")
    thresholds(house, "{sign: {steward: 2, compliance: 1}}")
    others = [enter(house.root, name, ["steward"]) for name in ("B", "C")]
    house.sign(house.people.compliance)
    assert [lack.what for lack in house.sign(others[0]).lacks] == ["1 more signature as steward"]
    assert house.sign(others[0]).entry.state is State.VALIDATED  # the same one again
    assert house.sign(others[1]).entry.state is State.COMPLIANCE_CHECKED
    with pytest.raises(PathcurateError, match="is compliance_checked"):
        house.sign(house.people.steward)


@pytest.mark.parametrize(("step", "state", "verb"), [("submit", "compliance_checked", House.submit),
                                                    ("offer", "registered", House.offer)])  # fmt: skip
def test_a_step_can_ask_for_more_signatures(step: str, state: str, verb: object, at: At) -> None:
    house = at(state)
    thresholds(house, f"{{{step}: {{steward: 2}}}}")
    with pytest.raises(LackingError, match="1 more signature as steward") as refused:
        verb(house)  # type: ignore[operator]
    assert refused.value.exit_code == 12
    assert house.events()[-1].payload == {"refused": ["signatures"]}


def test_a_key_that_is_taken_out_of_the_file_counts_no_more(at: At) -> None:
    house = at("compliance_checked")
    file = house.root / "trust.yaml"
    head, _, _ = file.read_text(encoding="utf-8").partition("signers:")
    file.write_text(head + "signers: []\n", encoding="utf-8")
    with pytest.raises(LackingError, match="1 more signature as"):
        house.submit()


# --- Cut off, and foreign files ------------------------------------------------------------------------------------------


def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: SqlRegistry, command: Command) -> Step:
        raise KeyboardInterrupt

    monkeypatch.setattr(SqlRegistry, "transition", killed)


@pytest.mark.parametrize(
    ("state", "verb", "reached"),
    [
        ("validated", lambda house: [house.sign(one) for one in house.people][-1], State.COMPLIANCE_CHECKED),
        ("compliance_checked", House.submit, State.SUBMITTED), ("submitted", House.receipt, State.REGISTERED),
    ],
    ids=["sign", "submit", "receipt"],
)  # fmt: skip
def test_a_run_that_was_cut_off_goes_on(
    state: str, verb: object, reached: State, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = at(state)
    with monkeypatch.context() as patch:
        cut_off(patch)
        with pytest.raises(KeyboardInterrupt):
            verb(house)  # type: ignore[operator]
    laid = tree(house.root)
    assert house.state() == state
    house.now = NOW + timedelta(minutes=5)
    moved = verb(house)  # type: ignore[operator]
    assert moved.entry.state is reached
    kept = tree(house.root)
    assert {name: kept[name] for name in laid} == laid  # what was signed then is what is recorded now
    assert faults_of(house) == ()


def test_a_signature_whose_record_is_missing_is_told(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    house = at("validated")
    with monkeypatch.context() as patch:
        cut_off(patch)
        with pytest.raises(KeyboardInterrupt):
            house.sign(house.people.steward)
    assert [fault.partition(" was ")[2] for fault in faults_of(house)] == ["never recorded: nobody knows when it was signed"]
    house.sign(house.people.steward)
    assert faults_of(house) == ()


def foreign(house: House, signer: Ed25519Signer, kind: str = PRODUCT_RELEASE, of: str = "") -> Envelope:
    """A statement that a signer made by other means."""
    subject = release_subject(checksums_bytes(house.directory(of)))
    predicate = {"at": NOW.isoformat(timespec="seconds"), "registry": {"events": 0, "head": "sha256:" + "0" * 64}}
    return sign(Statement((subject,), kind, predicate), [signer])


@pytest.mark.parametrize("whose", ["nobody's", "another's", "of another release", "of another kind", "rubbish"])
def test_a_foreign_file_in_a_signatures_place_is_refused(whose: str, at: At) -> None:
    house = at("validated")
    renamed(house.root, "other")
    own = house.people.steward
    name = f"release.{own.keyid[:8]}"
    made = {
        "nobody's": lambda: foreign(house, key()), "another's": lambda: foreign(house, house.people.compliance),
        "of another release": lambda: foreign(house, own, of="other@1.0.0"),
        "of another kind": lambda: foreign(house, own, COMPLIANCE_CHECK),
    }  # fmt: skip
    if whose == "rubbish":
        (house.directory() / "attestations").mkdir()
        (house.directory() / "attestations" / f"{name}.json").write_text("{}")
    else:
        write_attestation(house.directory(), name, made[whose]())
    head, files = house.head(), tree(house.root)
    with pytest.raises(DigestMismatchError, match="is not what this key signed for this release") as refused:
        house.sign(own)
    assert refused.value.exit_code == 4
    assert (house.head(), tree(house.root)) == (head, files)
    shutil.rmtree(house.directory() / "attestations")
    house.sign(own)
    assert house.sign(house.people.compliance).entry.state is State.COMPLIANCE_CHECKED


def test_a_stewards_word_under_another_name_is_no_compliance_officers(at: At) -> None:
    house = at("validated")
    both = enter(house.root, "Zhao", ["steward", "compliance"])
    house.sign(house.people.steward)
    house.sign(both, role="steward")
    folder = house.directory() / "attestations"
    (folder / f"compliance.{both.keyid[:8]}.json").write_bytes((folder / f"release.{both.keyid[:8]}.json").read_bytes())
    with pytest.raises(DigestMismatchError):
        house.sign(both, role="compliance")
    assert house.state() is State.VALIDATED


def test_a_signature_that_was_never_recorded_clears_nothing(at: At) -> None:
    """Whoever can write to the release's folder cannot clear it: the registry knows of no such signature."""
    house = at("validated")
    own = house.people.compliance
    write_attestation(house.directory(), f"compliance.{own.keyid[:8]}", foreign(house, own, COMPLIANCE_CHECK))
    assert house.sign(house.people.steward).entry.state is State.VALIDATED


def test_a_recorded_signature_that_was_edited_counts_no_more(at: At) -> None:
    house = at("compliance_checked")
    path = next((house.directory() / "attestations").glob("compliance.*.json"))
    content = json.loads(path.read_bytes())
    content["signatures"][0]["sig"] = "A" * 86 + "=="
    path.chmod(0o644)
    path.write_text(json.dumps(content))
    with pytest.raises(LackingError, match="1 more signature as compliance"):
        house.submit()


def test_nothing_of_a_key_is_told(at: At) -> None:
    house = at("validated")
    secret = house.people.steward
    house.sign(secret)
    raw = secret._key.private_bytes_raw()
    for content in (*tree(house.root).values(), (house.root / "registry.db").read_bytes(), repr(secret).encode()):
        assert raw not in content
        assert raw.hex().encode() not in content

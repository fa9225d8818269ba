"""Certificates: bound to one release, one number and one file; forged, replayed, expired and renewed ones."""
# ruff: noqa: F811 -- fixtures are imported by their names

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from pathcurate import product
from pathcurate.errors import DigestMismatchError, PathcurateError, PlanIncompleteError, UsageError, VaultError
from pathcurate.model.product import State
from pathcurate.product.batch import Goal, Pen, run_batch
from pathcurate.product.guards import LackingError
from pathcurate.product.verification import verify_registry
from pathcurate.trustfile import load_trust, retire_signer
from tests.products import (  # noqa: F401 -- fixtures among them
    NOW,
    PASSED,
    TODAY,
    At,
    House,
    a_pdf,
    actions,
    at,
    digest_of,
    houses,
    key,
    no_sync,
    renamed,
    tree,
)


def faults_of(house: House) -> tuple[str, ...]:
    with house.desk() as desk:
        return verify_registry(desk, load_trust(house.root / "trust.yaml")).faults


def two(at: At) -> House:
    """One registered release, and another that waits for its certificate."""
    house = at("registered")
    renamed(house.root, "other")
    house.cleared("other@1.0.0")
    house.submit("other@1.0.0")
    return house


def refused_without_a_trace(house: House, error: type[PathcurateError], says: str, *arguments: str, **parts: object) -> None:
    head, files = house.head(), tree(house.root)
    with pytest.raises(error, match=says):
        house.receipt(*arguments, **parts)  # type: ignore[arg-type]
    assert (house.head(), tree(house.root)) == (head, files)
    assert faults_of(house) == ()


def test_a_certificate_is_kept_under_its_digest(at: At) -> None:
    house = at("registered")
    held = house.entry().facts["certificate"]
    kept = house.root / "products" / "certificates" / f"{held['sha256'].removeprefix('sha256:')}.pdf"
    assert digest_of(kept) == held["sha256"]
    # Stewards are several: whoever may use products/ may use it.
    assert kept.stat().st_mode & 0o777 == 0o640
    assert kept.parent.stat().st_mode & 0o777 == kept.parents[1].stat().st_mode & 0o777


def test_a_receipt_needs_the_signature_of_somebody_who_answers_for_it(at: At) -> None:
    house = at("submitted")
    refused_without_a_trace(house, VaultError, "nobody in", signer=key())
    refused_without_a_trace(house, UsageError, "Li Hua has none of the roles", signer=house.people.steward)
    given, file = house.certificate()
    with house.desk() as desk, pytest.raises(PlanIncompleteError, match="a receipt is to be signed by: compliance"):
        product.receipt(desk, house.directory(), given, file, None)
    text = (house.root / "trust.yaml").read_text(encoding="utf-8")
    (house.root / "trust.yaml").write_text("trust: 1\nsigners: []\n", encoding="utf-8")  # nobody to sign is no way round
    with house.desk() as desk, pytest.raises(PlanIncompleteError, match="a receipt is to be signed by: compliance"):
        product.receipt(desk, house.directory(), given, file, None)
    (house.root / "trust.yaml").write_text(text, encoding="utf-8")
    retire_signer(house.root / "trust.yaml", "王芳", TODAY)
    with pytest.raises(VaultError, match="was retired"):
        house.receipt()
    assert house.state() is State.SUBMITTED


def test_a_receipt_with_more_signers_than_one_is_refused_rather_than_weakened(at: At) -> None:
    house = at("submitted")
    house.edit("trust.yaml", "\nsigners:", "\nthresholds: {receipt: {compliance: 2}}\nsigners:")
    refused_without_a_trace(house, UsageError, "more than one signature on a receipt")


def test_a_certificate_of_another_release_is_refused(at: At) -> None:
    house = two(at)
    given, file = house.certificate("other@1.0.0")
    with house.desk() as desk:
        for release in ("small@1.0.0", "other@1.1.0", "sha256:" + "a" * 64):
            with pytest.raises(DigestMismatchError, match="is of another release"):
                product.receipt(desk, house.directory("other@1.0.0"), replace(given, release=release), file,
                                house.people.compliance)  # fmt: skip
        digest = house.entry("other@1.0.0").release_digest
        moved = product.receipt(
            desk, house.directory("other@1.0.0"), replace(given, release=digest), file, house.people.compliance
        )
    assert moved.entry.state is State.REGISTERED


@pytest.mark.parametrize("shared", ["file", "number"])
def test_one_certificate_is_not_that_of_two_releases(shared: str, at: At) -> None:
    house = two(at)
    parts: dict[str, object] = {"number": "A-small@1.0.0"} if shared == "number" else {
        "pdf": next((house.root / "products" / "certificates").iterdir())
    }  # fmt: skip
    refused_without_a_trace(
        house, DigestMismatchError, "is bound to the release small@1.0.0 already", "other@1.0.0", **parts
    )
    assert house.state("other@1.0.0") is State.SUBMITTED
    assert house.receipt("other@1.0.0").entry.state is State.REGISTERED
    assert faults_of(house) == ()


def test_the_same_number_of_another_authority_is_another_certificate(at: At) -> None:
    house = two(at)
    house.receipt("other@1.0.0", number="A-small@1.0.0", authority="另一交易所")
    assert house.state("other@1.0.0") is State.REGISTERED


def test_the_registry_itself_refuses_what_two_runs_bind_at_once(at: At) -> None:
    house = two(at)
    held = house.entry().facts["certificate"]
    with house.desk() as desk:
        _, entry = desk.entered(house.directory("other@1.0.0"))
        claim = ("certificate file", held["sha256"])
        with pytest.raises(DigestMismatchError, match="is bound to the release small"):
            desk.registry.transition(desk.command(entry, "receipt", sets={"certificate": held}, claims=(claim,)))
    assert house.state("other@1.0.0") is State.SUBMITTED


def test_a_file_that_changed_after_it_was_read_is_refused(at: At) -> None:
    house = at("submitted")
    given, file = house.certificate()
    a_pdf(file, "exchanged meanwhile")
    with house.desk() as desk, pytest.raises(DigestMismatchError, match="not the one whose digest is named"):
        product.receipt(desk, house.directory(), given, file, house.people.compliance)
    assert house.state() is State.SUBMITTED


def test_an_expired_certificate_is_exit_6_and_kept_as_a_refusal(at: At) -> None:
    house = at("submitted")
    parts = {"issued": date(2025, 1, 1), "valid_until": TODAY - timedelta(days=1)}
    with pytest.raises(LackingError, match=r"certificate A-small@1\.0\.0 was valid until 2026-01-01") as refused:
        house.receipt(**parts)
    assert refused.value.exit_code == 6
    assert house.events()[-1].payload == {"refused": ["certificate"]}
    assert not (house.root / "products" / "certificates").exists()
    assert faults_of(house) == ()
    assert house.receipt(**{**parts, "valid_until": TODAY}).entry.state is State.REGISTERED


def test_a_receipt_that_is_replayed_changes_nothing(at: At) -> None:
    house = at("offered")
    head, files = house.head(), tree(house.root)
    assert not house.receipt().is_new
    assert (house.head(), tree(house.root)) == (head, files)


def test_the_same_file_with_other_words_is_refused(at: At) -> None:
    """What was signed of a certificate stands; a second story about the same paper is none."""
    house = at("registered")
    refused_without_a_trace(house, DigestMismatchError, "with other words before", valid_until=date(2099, 1, 1))
    assert house.entry().facts["certificate"]["valid_until"] is None


@pytest.mark.parametrize("state", ["registered", "offered"])
def test_a_certificate_is_renewed_and_the_old_one_stays(state: str, at: At) -> None:
    house = at(state)
    moved = house.receipt(number="A-2", valid_until=date(2028, 1, 1))
    assert (moved.entry.state, moved.is_new) == (state, True)
    assert moved.entry.facts["certificate"]["number"] == "A-2"
    assert actions(house.events())[-1] == ("renew" if state == "offered" else "receipt")
    assert len(list((house.root / "products" / "certificates").iterdir())) == 2
    assert len(list((house.directory() / "attestations").glob("registration.*"))) == 2
    assert faults_of(house) == ()
    # Neither of both numbers can be another release's any more.
    renamed(house.root, "other")
    house.cleared("other@1.0.0")
    house.submit("other@1.0.0")
    with pytest.raises(DigestMismatchError):
        house.receipt("other@1.0.0", number="A-2")


@pytest.mark.parametrize("state", ["validated", "compliance_checked"])
def test_a_certificate_that_nobody_asked_for_is_refused(state: str, at: At) -> None:
    house = at(state)
    refused_without_a_trace(house, PlanIncompleteError, "`receipt` needs it to be submitted")


# --- Many ----------------------------------------------------------------------------------------------------------------


def bind(house: House, *releases: str) -> list[tuple[str, str, bool, int]]:
    goals = [Goal(number, one, "zj-data-ip", house.certificate(one)) for number, one in enumerate(releases, 1)]
    pen = Pen([(house.people.compliance, None)], Path("/nowhere"), lambda _: PASSED)
    with house.desk() as desk:
        outcomes = run_batch(desk, goals, pen, lambda _: None)
    return [(one.release, one.state, one.is_changed, len(one.lacks)) for one in outcomes]


def test_a_table_binds_what_waits_for_it_and_renews_what_is_on_offer(at: At) -> None:
    house = two(at)
    house.offer()
    with house.desk() as desk:
        product.told(desk, house.directory("other@1.0.0"), "notice", "")
    renamed(house.root, "third")
    assert bind(house, "small@1.0.0", "other@1.0.0", "third@1.0.0") == [
        ("small@1.0.0", "offered", False, 0), ("other@1.0.0", "registered", True, 0), ("third@1.0.0", "", False, 1),
    ]  # fmt: skip
    assert house.events("third@1.0.0") == []  # a certificate enters nothing
    house.register("third@1.0.0")
    assert bind(house, "third@1.0.0") == [("third@1.0.0", "frozen", False, 1)]
    assert actions(house.events("third@1.0.0")) == ["register"]  # nor does it check, sign or submit
    assert not Path("/nowhere").exists()
    assert faults_of(house) == ()


def test_a_table_may_name_a_release_by_its_digest(at: At) -> None:
    house = at("submitted")
    given, file = house.certificate()
    digest = house.entry().release_digest
    goals = [Goal(1, one, certificate=(replace(given, release=one), file)) for one in (digest, "sha256:" + "a" * 64)]
    with house.desk() as desk:
        first, second = run_batch(
            desk, goals, Pen([(house.people.compliance, None)], Path(), lambda _: PASSED), lambda _: None
        )
    assert (first.state, first.is_changed, first.lacks) == ("registered", True, ())
    assert [lack.exit_code for lack in second.lacks] == [2]


def test_now_is_what_the_desk_says(at: At) -> None:
    house = at("submitted")
    house.now = NOW + timedelta(days=800)
    with pytest.raises(LackingError):
        house.receipt(issued=TODAY, valid_until=TODAY + timedelta(days=799))

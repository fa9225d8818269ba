"""Statements, signatures and keys: what is signed is what is believed, and another program agrees."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from pathcurate.errors import InputOutputError
from pathcurate.model.attestation import (
    PAYLOAD_TYPE,
    PRODUCT_RELEASE,
    REGISTRY_HEAD,
    Envelope,
    Signature,
    Statement,
    Subject,
    pae,
)
from pathcurate.model.trust import DEFAULT_THRESHOLDS, ED25519, Role, Trust, TrustedSigner
from pathcurate.signing import VERIFIERS, Ed25519Signer, Verified, lacking, meets, release_subject, sign, verify

CHECKSUMS = b"a" * 64 + b"  MANIFEST.json\n"
PASSPHRASE = "correct horse battery staple"
AT = "2026-03-01T09:30:00+00:00"


def signer_of(seed: int) -> Ed25519Signer:
    """The same key for the same number."""
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big")))


LI, WANG, ZHAO = signer_of(1), signer_of(2), signer_of(3)


def trusted(name: str, key: Ed25519Signer, *roles: Role, since: str = "2026-01-01", **days: str) -> TrustedSigner:
    """A person's entry in trust.yaml."""
    parts: dict[str, Any] = {"name": name, "roles": roles or ("steward",), "scheme": key.scheme, "since": since, **days}
    return TrustedSigner(**parts, public=base64.b64encode(key.public).decode())


def trust_of(*signers: TrustedSigner) -> Trust:
    """What trust.yaml says."""
    return Trust(trust=1, signers=signers)


def statement_of(at: str | None = AT, **more: Any) -> Statement:
    """A statement about the release whose list of files is CHECKSUMS."""
    predicate = more | ({"at": at} if at is not None else {})
    return Statement((release_subject(CHECKSUMS),), PRODUCT_RELEASE, predicate)


TRUST = trust_of(
    trusted("Li Hua", LI, "steward"), trusted("王强", WANG, "compliance"), trusted("Zhao", ZHAO, "steward", "compliance")
)


def faults(envelope: Envelope, trust: Trust = TRUST) -> list[str | None]:
    return [one.fault for one in verify(envelope, trust)]


# --- Another program agrees ------------------------------------------------------------------------------------------


def other_key(key: Ed25519Signer) -> SSlibKey:
    public = load_der_public_key(key.public)
    assert isinstance(public, Ed25519PublicKey)
    return SSlibKey.from_crypto(public, keyid=key.keyid)


def test_another_program_verifies_what_we_sign() -> None:
    envelope = sign(statement_of(product="demo"), [LI, WANG])
    other = OtherEnvelope.from_dict(json.loads(envelope.as_bytes()))
    assert other.pae() == envelope.signed_bytes
    assert other.verify([other_key(LI), other_key(WANG)], 2).keys() == {LI.keyid, WANG.keyid}
    with pytest.raises(VerificationError):
        other.verify([other_key(LI), other_key(ZHAO)], 2)


def test_we_verify_what_another_program_signs() -> None:
    payload = statement_of(product="demo").payload()
    other = OtherEnvelope(payload, PAYLOAD_TYPE, {})
    for key in (LI, WANG):
        other.sign(CryptoSigner(key._key, other_key(key)))
    envelope = Envelope.parse(json.dumps(other.to_dict(), indent=2).encode())
    assert [(one.name, one.roles, one.keyid, one.fault) for one in verify(envelope, TRUST)] == [
        ("Li Hua", ("steward",), LI.keyid, None), ("王强", ("compliance",), WANG.keyid, None),
    ]  # fmt: skip
    assert envelope == sign(statement_of(product="demo"), [LI, WANG]), "Ed25519 has one signature for one message"


def test_the_encoding_is_the_one_of_the_standard() -> None:
    # The example of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md.
    encoded = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == encoded


@pytest.mark.parametrize(
    ("content", "sm3"),
    [
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
)
def test_sm3_is_that_of_the_examples_in_gb_t_32905(content: bytes, sm3: str) -> None:
    subject = release_subject(content)
    assert subject.sm3 == sm3
    assert subject.name == "manifest-sha256.txt"


# --- What was changed is refused -------------------------------------------------------------------------------------


def test_a_changed_payload_is_refused() -> None:
    envelope = sign(statement_of(product="demo"), [LI])
    forged = replace(envelope, payload=envelope.payload.replace(b"demo", b"Demo"))
    assert forged.payload != envelope.payload
    assert faults(forged) == ["the signature is not of what the envelope holds"]


def test_swapped_signatures_are_refused() -> None:
    first, second = sign(statement_of(), [LI, WANG]).signatures
    swapped = (Signature(first.keyid, second.value), Signature(second.keyid, first.value))
    assert faults(Envelope(statement_of().payload(), swapped)) == ["the signature is not of what the envelope holds"] * 2


def test_a_signature_of_another_statement_is_refused() -> None:
    envelope = replace(sign(statement_of(product="demo"), [LI]), payload=statement_of(product="other").payload())
    assert faults(envelope) == ["the signature is not of what the envelope holds"]


def test_a_signature_under_another_payload_type_is_refused() -> None:
    payload = statement_of().payload()
    envelope = Envelope(payload, (Signature(LI.keyid, LI.sign(pae("application/json", payload))),))
    assert faults(envelope) == ["the signature is not of what the envelope holds"]
    said = sign(statement_of(), [LI]).as_dict() | {"payloadType": "application/json"}
    with pytest.raises(InputOutputError, match=r"payload is not application/vnd\.in-toto\+json"):
        Envelope.parse(json.dumps(said).encode())


def test_a_signature_of_the_bare_payload_is_refused() -> None:
    payload = statement_of().payload()
    assert faults(Envelope(payload, (Signature(LI.keyid, LI.sign(payload)),))) != [None]


def test_a_strangers_signature_does_not_count() -> None:
    found = verify(sign(statement_of(), [signer_of(9), LI]), TRUST)
    assert [(one.name, one.fault) for one in found] == [("", "nobody in trust.yaml has this key"), ("Li Hua", None)]


def test_a_scheme_that_this_version_does_not_know_does_not_count() -> None:
    later = trust_of(trusted("Li Hua", LI).model_copy(update={"scheme": "sm2-sm3"}))
    assert faults(sign(statement_of(), [LI]), later) == [
        "this version of pathcurate does not know signatures of the scheme sm2-sm3"
    ]


def test_a_key_of_another_kind_under_our_scheme_does_not_count() -> None:
    curve = generate_private_key(SECP256R1()).public_key()
    spki = curve.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert not VERIFIERS[ED25519](spki, b"message", b"\0" * 64)
    with pytest.raises(ValidationError, match="no Ed25519 public key"):
        TrustedSigner(
            name="Li", roles=("steward",), scheme=ED25519, public=base64.b64encode(spki).decode(), since="2026-01-01"
        )


ENVELOPE = sign(
    Statement((release_subject(CHECKSUMS), Subject("b", "0" * 64)), REGISTRY_HEAD, {"at": AT, "n": [1, "二"]}), [LI]
)
_CONTENT = ENVELOPE.as_bytes()


@given(st.integers(0, len(_CONTENT) - 1), st.integers(1, 255))
def test_no_flipped_byte_changes_what_is_believed(place: int, flip: int) -> None:
    content = bytearray(_CONTENT)
    content[place] ^= flip
    try:
        found = Envelope.parse(bytes(content))
        believed = faults(found) == [None]
    except InputOutputError:
        return
    # White space outside of what is signed, and the two alphabets of base64, leave the same envelope.
    assert not believed or found == ENVELOPE


# --- Days ------------------------------------------------------------------------------------------------------------


def test_a_refusal_names_both_days() -> None:
    told = trusted("Li", LI).fault_on(date(2025, 12, 31))
    assert told == "the key counts from 2026-01-01 on, and this was signed on 2025-12-31"


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        ("2026-01-31T23:59:59Z", True),
        ("2026-02-01T00:00:00Z", False),
        ("2026-02-01T07:00:00+08:00", True),  # still January in UTC
        ("2026-01-31T23:00:00-05:00", False),
        ("2025-12-31T23:59:59Z", False),
        ("2026-01-01T00:00:00Z", True),
        ("2026-01-15T00:00:00", False),  # of which zone?
        ("2026-01-15", False),
        ("yesterday", False),
        ("0001-01-01T00:00:00+23:59", False),
    ],
)
def test_a_retired_signers_old_signature_counts_and_a_new_one_does_not(at: str, counts: bool) -> None:
    trust = trust_of(trusted("Li Hua", LI, retired="2026-02-01"))
    payload = statement_of(at).payload()
    found = faults(Envelope(payload, (Signature(LI.keyid, LI.sign(pae(PAYLOAD_TYPE, payload))),)), trust)
    assert (found == [None]) == counts


def test_until_is_the_last_day() -> None:
    trust = trust_of(trusted("Li Hua", LI, until="2026-03-01"))
    assert faults(sign(statement_of("2026-03-01T23:59:59Z"), [LI]), trust) == [None]
    assert faults(sign(statement_of("2026-03-02T00:00:00Z"), [LI]), trust) == [
        "the key counted until 2026-03-01, and this was signed on 2026-03-02"
    ]


def test_what_does_not_say_when_it_is_signed_is_not_signed() -> None:
    for at in (None, "2026-01-15T00:00:00"):
        with pytest.raises(InputOutputError, match="does not say when"):
            sign(statement_of(at), [LI])
    with pytest.raises(InputOutputError, match="1 to 32 signatures"):
        sign(statement_of(), [])
    with pytest.raises(InputOutputError, match="two signatures of one key"):
        sign(statement_of(), [LI, LI])


# --- How many are enough ---------------------------------------------------------------------------------------------


def good(name: str, *roles: Role) -> Verified:
    return Verified("k", name, roles)


@pytest.mark.parametrize(
    ("signed", "needed", "missing"),
    [
        ([good("A", "steward"), good("B", "compliance")], {"steward": 1, "compliance": 1}, {}),
        ([good("A", "steward", "compliance")], {"steward": 1, "compliance": 1}, {"compliance": 1}),
        ([good("A", "steward"), good("A", "compliance")], {"steward": 1, "compliance": 1}, {"compliance": 1}),
        ([good("A", "steward"), good("Ａ ", "steward")], {"steward": 2}, {"steward": 1}),
        ([good("Li  hua", "steward"), good("LI HUA", "steward")], {"steward": 2}, {"steward": 1}),
        ([good("A", "steward", "compliance"), good("B", "steward")], {"steward": 1, "compliance": 1}, {}),
        ([good("B", "steward"), good("A", "steward", "compliance")], {"compliance": 1, "steward": 1}, {}),
        ([good("A", "registry")], {"steward": 1}, {"steward": 1}),
        ([replace(good("A", "steward"), fault="bad")], {"steward": 1}, {"steward": 1}),
        ([good("A", "steward"), good("C", "steward"), good("B", "steward")], {"steward": 2}, {}),
        ([], {"steward": 2, "compliance": 1}, {"steward": 2, "compliance": 1}),
        ([], {}, {}),
    ],
)
def test_persons_are_counted_and_each_fills_one_role(
    signed: list[Verified], needed: Mapping[Role, int], missing: Mapping[Role, int]
) -> None:
    assert lacking(signed, needed) == missing
    assert meets(signed, needed) == (not missing)


_ROLES: tuple[Role, ...] = ("steward", "compliance", "registry")


@given(
    st.lists(st.tuples(st.sampled_from("ABCD"), st.sets(st.sampled_from(_ROLES), min_size=1)), max_size=6),
    st.dictionaries(st.sampled_from(_ROLES), st.integers(1, 2), max_size=3),
)
def test_enough_is_what_trying_every_assignment_finds(signed: list[tuple[str, set[Role]]], needed: dict[Role, int]) -> None:
    roles: dict[str, set[Role]] = {}
    for name, some in signed:
        roles.setdefault(name, set()).update(some)
    most = [
        {role: sum(one == role for one in chosen) for role in needed}
        for chosen in product(*([None, *some] for some in roles.values()))
    ]  # fmt: skip
    possible = any(all(filled[role] >= number for role, number in needed.items()) for filled in most)
    assert meets([good(name, *some) for name, some in signed], needed) == possible


def test_two_of_three_stewards_are_enough_and_one_is_not() -> None:
    trust = trust_of(*(trusted(name, key) for name, key in (("Li", LI), ("Wang", WANG), ("Zhao", ZHAO))))
    for some in ([LI, WANG], [WANG, ZHAO], [LI, ZHAO]):
        assert meets(verify(sign(statement_of(), some), trust), {"steward": 2})
    one = verify(sign(statement_of(), [WANG]), trust)
    assert not meets(one, {"steward": 2})
    assert not meets([*one, *verify(sign(statement_of(x=2), [WANG]), trust)], {"steward": 2}), (
        "who signs twice is one person"
    )


def test_a_person_with_two_keys_counts_once() -> None:
    trust = trust_of(trusted("Li Hua", LI, "steward"), trusted("li  hua", WANG, "compliance"))
    found = verify(sign(statement_of(), [LI, WANG]), trust)
    assert [one.fault for one in found] == [None, None]
    assert not meets(found, trust.needs("sign"))


def test_steps_that_are_not_named_need_what_they_need_by_default() -> None:
    trust = Trust.model_validate({"trust": 1, "thresholds": {"offer": {"steward": 2}, "receipt": {"registry": 1}}})
    assert trust.needs("sign") == DEFAULT_THRESHOLDS["sign"] == {"steward": 1, "compliance": 1}
    assert (trust.needs("offer"), trust.needs("receipt"), trust.needs("submit")) == ({"steward": 2}, {"registry": 1}, {})

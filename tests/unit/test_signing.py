"""Statements, signatures and keys: what is signed is what is believed, and another program agrees."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from pathcurate.errors import InputOutputError, PathcurateError, UsageError, VaultError
from pathcurate.model.attestation import (
    MOST_BYTES,
    MOST_DEPTH,
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
from pathcurate.signing import (
    VERIFIERS,
    Ed25519Signer,
    Verified,
    lacking,
    load_key,
    meets,
    new_key,
    passphrase_of,
    read_passphrase,
    release_subject,
    sign,
    verify,
)

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


_ENVELOPE = sign(
    Statement((release_subject(CHECKSUMS), Subject("b", "0" * 64)), REGISTRY_HEAD, {"at": AT, "n": [1, "二"]}), [LI]
)
_CONTENT = _ENVELOPE.as_bytes()


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
    assert not believed or found == _ENVELOPE


# --- What a statement can hold ---------------------------------------------------------------------------------------

_TEXT = st.text(max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_NAME = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
_DIGEST = st.binary(min_size=32, max_size=32).map(bytes.hex)
_STATEMENTS = st.builds(
    Statement, st.lists(st.builds(Subject, _NAME, _DIGEST, st.none() | _DIGEST), min_size=1, max_size=3).map(tuple),
    st.sampled_from([PRODUCT_RELEASE, REGISTRY_HEAD, "https://example.org/any"]), st.dictionaries(_TEXT, _JSON, max_size=5),
)  # fmt: skip


@given(_STATEMENTS)
def test_any_statement_comes_back_as_it_was_signed(statement: Statement) -> None:
    assert Statement.parse(statement.payload()) == statement
    signed = Statement(statement.subjects, statement.predicate_type, {**statement.predicate, "at": AT})
    envelope = sign(signed, [LI, ZHAO])
    back = Envelope.parse(envelope.as_bytes())
    assert back == envelope
    assert back.statement() == signed
    assert faults(back) == [None, None]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def with_predicate(text: str) -> bytes:
    return statement_of(None, x="HERE").payload().replace(b'"HERE"', text.encode())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nested(MOST_DEPTH), "nested more than"),
        (nested(100_000), "ambiguous"),
        ('{"a": 1, "a": 2}', "ambiguous"),
        ('{"at": 1, "\\u0061t": 2}', "ambiguous"),
        ("NaN", "ambiguous"),
        ("-Infinity", "ambiguous"),
        ("1e999", "cannot hold for certain"),
        ("9007199254740993", "cannot hold for certain"),
        ("9" * 5000, "ambiguous"),
        ('"\\ud800"', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ('"a', "ambiguous"),
        ('"' + "a" * MOST_BYTES + '"', "larger than"),
    ],
    ids=["deep", "very deep", "key twice", "key twice, escaped", "NaN", "infinity", "too large a float", "inexact", "digits",
         "surrogate", "surrogate key", "cut off", "huge"],
)  # fmt: skip
def test_hostile_json_is_refused(text: str, message: str) -> None:
    content = with_predicate(text)
    with pytest.raises(InputOutputError, match=message):
        Statement.parse(content)


def test_what_the_deepest_statement_holds_comes_back() -> None:
    text = nested(MOST_DEPTH - 2)
    statement = Statement.parse(with_predicate(text))
    assert Statement.parse(statement.payload()) == statement
    with pytest.raises(InputOutputError, match="nested more than"):
        statement_of(x=json.loads(nested(MOST_DEPTH)))


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xef\xbb\xbf{}", b"[]", b"null", b"{}", b'{"_type": 1}'])
def test_what_is_no_statement_is_refused(content: bytes) -> None:
    with pytest.raises(InputOutputError):
        Statement.parse(content)
    with pytest.raises(InputOutputError):
        Envelope.parse(content)


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"}, {"subject": []}, {"subject": {}}, {"subject": [1]},
        {"subject": [{"name": "a"}]}, {"subject": [{"name": "a", "digest": {"sha512": "0"}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "A" * 64}}]}, {"subject": [{"name": "a", "digest": {"sha256": 1}}]},
        {"subject": [{"name": "a\x1b[2J", "digest": {"sha256": "0" * 64}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "0" * 64, "sm3": "0"}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "0" * 64}}] * 1001},
        {"predicateType": "product-release"}, {"predicateType": None}, {"predicate": []}, {"predicate": None},
    ],
)  # fmt: skip
def test_a_statement_of_another_form_is_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises(InputOutputError):
        Statement.parse(json.dumps({**statement_of().as_dict(), **change}).encode())


def test_what_in_toto_adds_later_is_passed_over() -> None:
    said = {**statement_of().as_dict(), "later": 1}
    said["subject"][0]["uri"] = "https://example.org"
    said["subject"][0]["digest"]["sha512"] = "0"
    assert Statement.parse(json.dumps(said).encode()) == statement_of()


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "e30"}, {"payload": "e3\n0="}, {"payload": "e31="}, {"payload": "é"}, {"payload": None},
        {"signatures": []}, {"signatures": None}, {"signatures": [None]}, {"signatures": [{"sig": "AA=="}]},
        {"signatures": [{"keyid": "a", "sig": ""}]}, {"signatures": [{"keyid": "", "sig": "AA=="}]},
        {"signatures": [{"keyid": 1, "sig": "AA=="}]}, {"signatures": [{"keyid": "a", "sig": "AA==", "cert": "x"}]},
        {"signatures": [{"keyid": "a\x1b", "sig": "AA=="}]},
        {"signatures": [{"keyid": "a", "sig": "AA=="}, {"keyid": "a", "sig": "AQ=="}]},
        {"signatures": [{"keyid": str(number), "sig": "AA=="} for number in range(33)]}, {"note": "nobody signed this"},
    ],
)  # fmt: skip
def test_an_envelope_of_another_form_is_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises(InputOutputError):
        Envelope.parse(json.dumps({**_ENVELOPE.as_dict(), **change}).encode())


def test_base64_of_the_other_alphabet_is_read() -> None:
    said = _ENVELOPE.as_dict()
    said["signatures"][0]["sig"] = base64.urlsafe_b64encode(_ENVELOPE.signatures[0].value).decode()
    assert Envelope.parse(json.dumps(said).encode()) == _ENVELOPE


def test_a_statement_keeps_what_it_was_given() -> None:
    given_parts: dict[str, Any] = {"at": AT, "list": [1]}
    statement = Statement((Subject("a", "0" * 64),), PRODUCT_RELEASE, given_parts)
    given_parts["list"].append(2)
    assert statement.predicate["list"] == [1]
    with pytest.raises(InputOutputError, match="cannot hold"):
        statement_of(x={1, 2})
    with pytest.raises(InputOutputError, match="no text"):
        Statement(statement.subjects, PRODUCT_RELEASE, {"x": {1: 2}})


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
    assert (trust.needs("offer"), trust.needs("receipt"), trust.needs("check")) == ({"steward": 2}, {"registry": 1}, {})


# --- Public keys -----------------------------------------------------------------------------------------------------


def _points_of_small_order() -> list[bytes]:
    """Encodings of the eight points, found by adding points of the curve (RFC 8032, 5.1.4), not taken from a list."""
    p, order = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, -1, p) % p

    def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
        (x1, y1), (x2, y2) = one, two
        k = d * x1 * x2 * y1 * y2 % p
        return (x1 * y2 + x2 * y1) * pow(1 + k, -1, p) % p, (y1 * y2 + x1 * x2) * pow(1 - k, -1, p) % p

    found: set[tuple[int, int]] = set()
    for y in range(2, 40):
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        if x * x % p != square:
            x = x * pow(2, (p - 1) // 4, p) % p
        if x * x % p != square:
            continue
        point, sum_, factor = (x, y), (0, 1), order
        while factor:
            if factor & 1:
                sum_ = add(sum_, point)
            point, factor = add(point, point), factor >> 1
        found.add(sum_)
        found.add((-sum_[0] % p, sum_[1]))
        if len(found) == 8:
            break
    assert len(found) == 8
    return [(y | (x & 1) << 255).to_bytes(32, "little") for x, y in found]


def under(key: bytes) -> TrustedSigner:
    public = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + key).decode()
    return TrustedSigner(name="Li", roles=("steward",), scheme=ED25519, public=public, since="2026-01-01")


@pytest.mark.parametrize("key", [*_points_of_small_order(), (2**255 - 19).to_bytes(32, "little")], ids=bytes.hex)
def test_a_key_under_which_anybody_can_sign_is_refused(key: bytes) -> None:
    with pytest.raises(ValidationError, match="anybody can sign"):
        under(key)


def test_a_key_that_is_written_in_another_form_is_not_taken_for_one_of_those() -> None:
    assert under((2**255 - 1).to_bytes(32, "little")).fault_on(date(2026, 1, 1)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"public": "MCow"}, {"public": "not base64"}, {"public": ""}, {"name": ""}, {"name": " Li"}, {"name": "a\x1b[0m"},
        {"name": "x" * 101}, {"roles": ()}, {"roles": ("steward", "steward")}, {"roles": ("boss",)}, {"scheme": "SM2!"},
        {"until": "2025-12-31"}, {"retired": "2025-12-31"}, {"since": "2026-02-30"}, {"until": "soon"}, {"note": "x"},
    ],
)  # fmt: skip
def test_a_signer_of_another_form_is_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrustedSigner(**{**trusted("Li", LI).model_dump(), **change})


def test_two_signers_cannot_share_a_key() -> None:
    with pytest.raises(ValidationError, match="the key of signer 1 too"):
        trust_of(trusted("Li", LI), trusted("Wang", LI))


# --- Key files -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key file that nobody may change; making one takes a fifth of a second, by intention."""
    file = tmp_path_factory.mktemp("keys") / "li.pem"
    new_key(file, PASSPHRASE)
    return file


def copied(file: Path, to: Path, mode: int = 0o600) -> Path:
    to.write_bytes(file.read_bytes())
    to.chmod(mode)
    return to


def test_a_new_key_signs_when_it_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "li.pem"
    before = os.umask(0)
    try:
        made = new_key(file, PASSPHRASE)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600
    read = load_key(file, PASSPHRASE)
    assert (read.keyid, read.public) == (made.keyid, made.public)
    trust = trust_of(trusted("Li", made))
    assert faults(sign(statement_of(), [read]), trust) == [None]
    private = made._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    told = repr(made) + str(made)
    assert private.hex() not in told
    assert "Private" not in told


def test_the_file_is_one_that_openssl_reads(key_file: Path) -> None:
    call = ["openssl", "pkey", "-in", str(key_file), "-passin", "stdin", "-pubout", "-outform", "DER"]
    try:
        done = subprocess.run(call, input=PASSPHRASE.encode() + b"\n", capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no openssl here")
    assert done.stdout == load_key(key_file, PASSPHRASE).public
    text = subprocess.run(["openssl", "asn1parse", "-in", str(key_file)], capture_output=True, text=True, check=True).stdout
    assert [word in text for word in ("PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc", "0927C0")] == [True] * 5


def test_a_composed_accent_is_the_same_passphrase(tmp_path: Path) -> None:
    made = new_key(tmp_path / "k", "passphrase é 通行短语")
    assert load_key(tmp_path / "k", "passphrase e\u0301 通行短语").keyid == made.keyid


def test_a_wrong_passphrase_is_refused_without_being_repeated(key_file: Path) -> None:
    wrong = "Tr0ub4dor-and-three"
    with pytest.raises(VaultError) as caught:
        load_key(key_file, wrong)
    shown = str(caught.value)
    assert caught.value.exit_code == 11
    assert "the passphrase is not the key's" in shown
    lines = key_file.read_text().splitlines()
    assert not [word for word in (wrong, PASSPHRASE, *lines) if word in shown]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o620])
def test_a_key_file_that_is_open_to_others_is_refused(key_file: Path, tmp_path: Path, mode: int) -> None:
    with pytest.raises(VaultError, match="can be read by other users"):
        load_key(copied(key_file, tmp_path / "k", mode), PASSPHRASE)
    passphrase = tmp_path / "p"
    passphrase.write_text(PASSPHRASE)
    passphrase.chmod(mode)
    with pytest.raises(VaultError, match="can be read by other users"):
        read_passphrase(passphrase)


_LOAD_AS_NOBODY = """
import os, sys
from pathlib import Path
from pathcurate.errors import VaultError
from pathcurate.signing import load_key, new_key
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for name in sys.argv[1:]:
    try:
        print(name, load_key(Path(name), "correct horse battery staple").keyid)
    except VaultError as error:
        print(name, error.message)
"""


def test_an_ordinary_user_meets_the_same_refusals(key_file: Path) -> None:
    # Not below pytest's directory, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for file, mode in (("own", 0o600), ("open", 0o644), ("closed", 0o000)):
            copied(key_file, root / file, mode)
            if os.getuid() == 0 and file != "closed":
                os.chown(root / file, 65534, 65534)
        call = [sys.executable, "-c", _LOAD_AS_NOBODY, "own", "open", "closed"]
        done = subprocess.run(call, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"own {load_key(key_file, PASSPHRASE).keyid}", "open the key file can be read by other users",
        "closed the key file cannot be read: Permission denied",
    ]  # fmt: skip


def test_what_is_no_encrypted_ed25519_key_is_refused(key_file: Path, tmp_path: Path) -> None:
    plain = LI._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode())
    )
    for content, message in (
        (plain, "no encrypted PKCS#8 key"),
        (other, "not an Ed25519 key"),
        (b"", "no encrypted PKCS#8 key"),
        (b"\0" * 30_000, "larger than any"),
        (key_file.read_bytes()[:-70], "passphrase is not the key's, or the key file is damaged"),
        (key_file.read_bytes().replace(b"PRIVATE KEY-----\nM", b"PRIVATE KEY-----\nN"), "key file is damaged"),
    ):
        file = tmp_path / "key"
        file.unlink(missing_ok=True)
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(VaultError, match=message):
            load_key(file, PASSPHRASE)
    (tmp_path / "link").symlink_to(key_file)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("link", "fifo", "nowhere", "."):
        with pytest.raises(VaultError, match="cannot be read"):
            load_key(tmp_path / name, PASSPHRASE)


def test_a_key_of_the_library_itself_is_read(tmp_path: Path) -> None:
    content = LI._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"short"))
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    assert load_key(tmp_path / "key", "short").keyid == LI.keyid


def test_a_key_is_never_overwritten_and_a_failed_one_leaves_nothing(
    key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_file.read_bytes()
    with pytest.raises(UsageError, match="already"):
        new_key(key_file, PASSPHRASE)
    assert key_file.read_bytes() == before
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="already"):
        new_key(tmp_path / "link", PASSPHRASE)
    with pytest.raises(UsageError, match="cannot be made"):
        new_key(tmp_path / "no" / "folder", PASSPHRASE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        new_key(tmp_path / "key", PASSPHRASE)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize("passphrase", ["", "short", "elevenchars", "x" * 1001, "\ud800" * 20])
def test_a_weak_passphrase_makes_no_key(tmp_path: Path, passphrase: str) -> None:
    with pytest.raises(VaultError) as caught:
        new_key(tmp_path / "key", passphrase)
    assert not (tmp_path / "key").exists()
    assert not passphrase or passphrase not in str(caught.value)


def test_a_passphrase_file_holds_one_line(tmp_path: Path) -> None:
    assert passphrase_of(b"two words \r\n") == "two words "
    assert passphrase_of("通行短语".encode()) == "通行短语"
    for content in (b"", b"\n", b"a\nb\n", b"\xff\xfe", b"tab\there"):
        with pytest.raises(PathcurateError) as caught:
            passphrase_of(content)
        assert caught.value.exit_code == 11
    with pytest.raises(VaultError, match="cannot be read"):
        read_passphrase(tmp_path / "nowhere")

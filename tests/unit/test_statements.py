"""What a statement and its envelope can hold: what comes from outside is certain in its form, or refused."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.errors import InputOutputError
from pathcurate.model.attestation import MOST_BYTES, MOST_DEPTH, PRODUCT_RELEASE, REGISTRY_HEAD, Envelope, Statement, Subject
from pathcurate.signing import sign
from tests.unit.test_signing import AT, ENVELOPE, LI, ZHAO, faults, statement_of

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
        Envelope.parse(json.dumps({**ENVELOPE.as_dict(), **change}).encode())


def test_base64_of_the_other_alphabet_is_read() -> None:
    said = ENVELOPE.as_dict()
    said["signatures"][0]["sig"] = base64.urlsafe_b64encode(ENVELOPE.signatures[0].value).decode()
    assert Envelope.parse(json.dumps(said).encode()) == ENVELOPE


def test_a_statement_keeps_what_it_was_given() -> None:
    given_parts: dict[str, Any] = {"at": AT, "list": [1]}
    statement = Statement((Subject("a", "0" * 64),), PRODUCT_RELEASE, given_parts)
    given_parts["list"].append(2)
    assert statement.predicate["list"] == [1]
    with pytest.raises(InputOutputError, match="cannot hold"):
        statement_of(x={1, 2})
    with pytest.raises(InputOutputError, match="no text"):
        Statement(statement.subjects, PRODUCT_RELEASE, {"x": {1: 2}})

"""A feed of withdrawals: no line can be changed, moved, left out or added unseen, and an old feed is known as one."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.feed import FEED_FILE, Reason, Scope
from pathcurate.model.trust import ED25519, LANGUAGE, Role, Trust, TrustedSigner
from pathcurate.signing import Ed25519Signer
from pathcurate.withdrawals.chain import content_of, next_line, read_lines
from pathcurate.withdrawals.feed import (
    EMPTY,
    append_line,
    codes_after,
    demand_following,
    parse_feed,
    read_feed,
    read_signed_feed,
    sign_head,
    signed_path,
    uncovered,
)

AT = "2026-01-02T03:04:00+00:00"
SAYS = {"product": "small", "contract": "c", "at": AT, "registry": {"events": 1, "head": "x"}}


def code(number: int, letter: str = "S") -> str:
    return f"{letter}-{number:016}"


def person(role: Role = "steward") -> tuple[Ed25519Signer, TrustedSigner]:
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    public = b64encode(signer.public).decode()
    return signer, TrustedSigner(name=role, roles=(role,), scheme=ED25519, public=public, since=date(2025, 1, 1))


STEWARD, TRUSTED = person()
TRUST = Trust(trust=LANGUAGE, signers=(TRUSTED,))


def add(file: Path, *numbers: int) -> None:
    append_line(
        file, read_feed(file), at=AT, scope=Scope.SLIDE, reason=Reason.CONSENT,
        codes={"slide_id": [code(one) for one in numbers]}, affects=["small@1.0.0"],
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three lines, signed at their end."""
    file = tmp_path / FEED_FILE
    for number in range(3):
        add(file, number)
    sign_head(file, read_feed(file), SAYS, STEWARD)
    return file


def signed(file: Path, trust: Trust = TRUST, contract: str | None = "c") -> int:
    return read_signed_feed(file, trust, product="small", contract=contract).seq


def test_a_feed_is_read_as_it_was_written(file: Path) -> None:
    assert signed(file) == 3
    assert codes_after(read_feed(file)) == {"slide_id": {code(0), code(1), code(2)}}
    assert codes_after(read_feed(file), 2) == {"slide_id": {code(2)}}
    assert read_feed(file.with_name("none.jsonl")) == EMPTY


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b"S-0000000000000001", b"S-0000000000000009"),
        lambda text: text.split(b"\n", 1)[1],
        lambda text: b"\n".join(text.split(b"\n")[:1] + text.split(b"\n")[2:]),
        lambda text: b"\n".join([*text.splitlines()[:-2], *reversed(text.splitlines()[-2:]), b""]),
        lambda text: text[:-1],
        lambda text: text + text.splitlines()[-1] + b"\n",
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b'"seq":1', b'"seq":true'),
        lambda text: text.replace(b'"seq":1', b'"seq":1,"seq":1'),
        lambda text: text.replace(b'{"affects"', b'{ "affects"'),
        lambda text: b"\xff\n" + text,
        lambda text: b"[" * 100_000 + b"\n",
    ],
)
def test_any_damage_is_seen_in_the_chain(damage: Callable[[bytes], bytes], file: Path) -> None:
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DigestMismatchError):
        read_feed(file)


def test_lines_that_are_whole_but_not_signed_are_refused(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))  # its end is cut off
    with pytest.raises(DigestMismatchError, match="not where it ends"):
        signed(file)
    file.write_bytes(whole)
    add(file, 4)  # it goes on without a signature
    with pytest.raises(DigestMismatchError, match="not where it ends"):
        signed(file)


def test_only_a_stewards_signature_that_counts_is_taken(file: Path) -> None:
    stranger, _ = person()
    officer, officers = person("compliance")
    for signer in (stranger, officer):
        signed_path(file).unlink()
        sign_head(file, read_feed(file), SAYS, signer)
        with pytest.raises(DigestMismatchError, match="whose signature counts"):
            signed(file, Trust(trust=LANGUAGE, signers=(TRUSTED, officers)))
    sign_head(file, read_feed(file), SAYS, STEWARD)  # beside theirs
    assert signed(file) == 3
    retired = TRUSTED.model_copy(update={"retired": date(2026, 1, 1)})
    with pytest.raises(DigestMismatchError, match="retired"):
        signed(file, Trust(trust=LANGUAGE, signers=(retired,)))


def test_a_feed_of_another_contract_or_none_is_refused(file: Path) -> None:
    for contract in ("d", None):
        with pytest.raises(DigestMismatchError, match="another"):
            signed(file, contract=contract)
    signed_path(file).unlink()
    with pytest.raises(InputOutputError, match=r"there is no withdrawals\.dsse\.json"):
        signed(file)


def test_an_old_feed_and_another_one_are_known(file: Path, tmp_path: Path) -> None:
    feed = read_feed(file)
    demand_following(feed, 3, feed.head)
    demand_following(feed, 0, None)
    demand_following(feed, 2, None)
    with pytest.raises(DigestMismatchError, match="an old one"):
        demand_following(feed, 4, None)
    other = tmp_path / "other.jsonl"
    for number in (0, 5, 2, 3):
        add(other, number)
    with pytest.raises(DigestMismatchError, match="another one"):
        demand_following(read_feed(other), 3, feed.head)


def test_who_signs_twice_signs_once(file: Path) -> None:
    before = signed_path(file).read_bytes()
    sign_head(file, read_feed(file), {**SAYS, "at": "2026-02-02T03:04:00+00:00"}, STEWARD)
    assert signed_path(file).read_bytes() == before


@pytest.mark.parametrize(
    "codes",
    [{}, {"slide_id": []}, {"slide_id": [""]}, {"slide_id": ["S"]}, {"slide_id": [code(1, "P")]},
     {"group_id": [code(1, "Q")]},
          {"slide_id": [f"{code(1)}\n"]}, {"slide_id": ["../../S-00000"]}, {"slide_id": [1]}, {"slide_id": code(1)}],
)  # fmt: skip
def test_codes_of_another_form_are_refused(codes: object) -> None:
    """A code that is empty, or begins like every file's name, would delete all."""
    line = next_line([], {"at": AT, "scope": "slide", "reason": "other", "affects": [], "codes": codes})
    with pytest.raises(DigestMismatchError, match="another form"):
        parse_feed(content_of([line]))


def test_what_is_named_for_one_release_is_not_for_another(file: Path) -> None:
    feed, wanted = read_feed(file), {"slide_id": {code(1), code(7)}}
    assert uncovered(feed, "small@1.0.0", wanted) == {"slide_id": {code(7)}}
    assert uncovered(feed, "small@2.0.0", wanted) == {"slide_id": {code(1), code(7)}}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=6), st.data())
def test_no_byte_of_a_chain_can_be_changed(numbers: list[int], data: st.DataObject) -> None:
    lines: list[dict[str, object]] = []
    for number in numbers:
        lines.append(next_line(lines, {"what": number}))
    content = content_of(lines)
    assert [line["what"] for line in read_lines(content, "it")] == numbers
    place = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    with pytest.raises(DigestMismatchError):
        read_lines(content[:place] + bytes([other]) + content[place + 1 :], "it")
    assert json.loads(content.splitlines()[0])["seq"] == 1

"""Pseudonyms and date shifts: functions of key and value alone, of one form, that nobody can join across layers."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import hashlib
import hmac
import os
import re
import subprocess
import sys
import unicodedata
from datetime import date, datetime, timedelta

import pytest

from pathcurate.model.deidentified import PSEUDONYM_KINDS, pseudonym_pattern
from pathcurate.pseudonyms import canonical, date_shift, internal_layer, opaque_code, product_layer

KEY = bytes(range(32))
INTERNAL = internal_layer(KEY)
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@pytest.mark.parametrize("kind", PSEUDONYM_KINDS)
def test_a_code_is_its_kind_and_sixteen_characters_that_cannot_be_misread(kind: str) -> None:
    bodies = set()
    for number in range(500):
        code = INTERNAL.code(kind, "NB01", str(number))
        assert re.fullmatch(pseudonym_pattern(kind), code)
        bodies.add(code.removeprefix(f"{kind}-"))
    assert set("".join(bodies)) == set(CROCKFORD)
    assert not set("ILOU") & set("".join(bodies))


def test_a_code_is_eighty_bits_in_crockfords_base_32() -> None:
    digest = hashlib.sha256(b"anything").digest()
    number = int.from_bytes(digest[:10], "big")
    expected = "".join(CROCKFORD[number >> 5 * place & 31] for place in reversed(range(16)))
    assert opaque_code("S", digest) == f"S-{expected}"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        INTERNAL.code("X", "1")


def test_two_hundred_thousand_numbers_have_as_many_codes() -> None:
    assert len(set(INTERNAL.codes("P", map(str, range(200_000))))) == 200_000


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")), (("a", "b"), ("ab",)), (("a", ""), ("a",)), (("", "a"), ("a", "")),
        (("a\x1fb",), ("a", "b")), (("a", "b\x1fc"), ("a\x1fb", "c")), (("NB01", "1"), ("NB02", "1")),
        (("é",), ("e\u0301",)), (("1",), ("1\0",)), ((), ("",)),
    ],
)  # fmt: skip
def test_two_sequences_of_parts_are_two_codes(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert INTERNAL.code("C", *one) != INTERNAL.code("C", *other)


def test_one_number_of_two_kinds_cannot_be_joined() -> None:
    bodies = {INTERNAL.code(kind, "10086").partition("-")[2] for kind in PSEUDONYM_KINDS}
    assert len(bodies) == len(PSEUDONYM_KINDS)


def test_layers_and_products_and_keys_cannot_be_joined() -> None:
    other_key = bytes(31) + b"\1"
    layers = [
        internal_layer(KEY), internal_layer(other_key), product_layer(KEY, "a"), product_layer(KEY, "b"),
        product_layer(other_key, "a"), product_layer(KEY, ""), product_layer(KEY, "identifiers"),
    ]  # fmt: skip
    codes = [{layer.code("P", str(number)) for number in range(200)} for layer in layers]
    assert len(set().union(*codes)) == 200 * len(layers)


def test_a_code_is_not_the_bare_hash_of_a_number() -> None:
    # Everyone could hash all numbers of a hospital.
    forms = (b"10086", b"v1P10086", b"P\x1f10086")
    bare = {opaque_code("P", hashlib.sha256(form).digest()) for form in forms}
    bare |= {opaque_code("P", hmac.digest(KEY, form, "sha256")) for form in forms}
    assert INTERNAL.code("P", "10086") not in bare


_CODES = (
    "from pathcurate.pseudonyms import *\n"
    "k = bytes(range(32))\n"
    "print(internal_layer(k).code('C', 'NB01', '病23-1'), product_layer(k, 'p').code('S', 'x'), date_shift(k).days('x'))"
)


def test_another_process_with_another_hash_seed_gives_the_same() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", _CODES],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Shanghai"))
    }
    here = (
        INTERNAL.code("C", "NB01", "病23-1"),
        product_layer(KEY, "p").code("S", "x"),
        str(date_shift(KEY).days("x")),
    )
    assert seen == {(" ".join(here) + "\n").encode()}


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    values = ["b", None, "a", "b", "", None, "病"]
    assert INTERNAL.codes("P", values) == [None if value is None else INTERNAL.code("P", value) for value in values]


def test_nothing_shows_the_key() -> None:
    for secret in (INTERNAL, product_layer(KEY, "p"), date_shift(KEY)):
        for shown in (repr(secret), str(secret), f"{secret}"):
            assert repr(secret.key) not in shown
            assert secret.key.hex() not in shown
            assert "key" not in shown


@pytest.mark.parametrize(
    ("written", "keyed"),
    [
        ("１００８６", "10086"), (" s23-00001\t", "S23-00001"), ("Ｓ２３－１", "S23-1"), ("\u3000病12\u3000", "病12"),
        ("ﬁ", "FI"), ("", ""),
    ],
)  # fmt: skip
def test_one_number_however_it_is_typed(written: str, keyed: str) -> None:
    assert canonical(written) == keyed
    assert canonical(keyed) == keyed
    assert unicodedata.is_normalized("NFKC", canonical(written))


# --- dates -------------------------------------------------------------------------------------------------------


def test_offsets_are_whole_weeks_of_a_year_all_in_one_direction() -> None:
    signs = set()
    for key in (bytes([number]) * 32 for number in range(40)):
        offsets = [date_shift(key).days(str(person)) for person in range(300)]
        assert {abs(days) for days in offsets} <= set(range(7, 365, 7))
        assert len({days > 0 for days in offsets}) == 1
        signs.add(offsets[0] > 0)
    assert signs == {True, False}
    assert {abs(date_shift(KEY).days(str(person))) for person in range(2000)} == set(range(7, 365, 7))


def test_a_person_keeps_intervals_and_days_of_the_week() -> None:
    shift = date_shift(KEY)
    days = [date(2019, 12, 31), date(2020, 2, 29), date(2023, 3, 1), date(1912, 1, 1)]
    moved = [shift.shift("p", day) for day in days]
    assert {after - before for before, after in zip(days, moved, strict=True) if after} == {timedelta(days=shift.days("p"))}
    assert [after.weekday() for after in moved if after] == [before.weekday() for before in days]


def test_a_time_of_day_does_not_survive() -> None:
    moved = date_shift(KEY).shift("p", datetime(2020, 1, 1, 23, 59))
    assert type(moved) is date
    assert moved == date_shift(KEY).shift("p", date(2020, 1, 1))


def test_at_the_ends_of_the_calendar_a_day_is_missing_and_not_an_error() -> None:
    for key in (bytes([number]) * 32 for number in range(20)):
        shift = date_shift(key)
        forward = shift.days("p") > 0
        assert (shift.shift("p", date.max) is None) == forward
        assert (shift.shift("p", date.min) is None) != forward
    assert date_shift(KEY).shift("p", None) is None


def test_many_dates_at_once_are_the_same_as_one_by_one() -> None:
    shift = date_shift(KEY)
    persons = ["a", "b", "a", "c", "a"]
    days = [date(2020, 1, 1), None, date(2021, 1, 1), date.max, date.min]
    assert shift.shifts(persons, days) == [shift.shift(person, day) for person, day in zip(persons, days, strict=True)]
    with pytest.raises(ValueError, match="zip"):
        shift.shifts(["a"], days)

"""Pseudonyms and date shifts: functions of key and value alone, of one form, that nobody can join across layers."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import hashlib
import hmac
import itertools
import os
import re
import subprocess
import sys
import unicodedata
import uuid
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest

from pathcurate.model.deidentified import PSEUDONYM_KINDS, pseudonym_pattern
from pathcurate.pseudonyms import (
    Layer,
    Pseudonyms,
    canonical,
    canonical_numbers,
    internal,
    moved_between,
    opaque_code,
    product,
    recipient,
)

KEY = bytes(range(32))
INTERNAL = internal(KEY).codes
LAYERS = [product(KEY, "a"), product(KEY, "b"), recipient(KEY, "a", "x"), recipient(KEY, "a", "y"), recipient(KEY, "b", "x")]
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
        internal(KEY).codes, internal(other_key).codes, product(KEY, "a").codes, product(KEY, "b").codes,
        product(other_key, "a").codes, product(KEY, "").codes, product(KEY, "identifiers").codes,
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
    "print(internal(k).codes.code('C', 'NB01', '病23-1'), product(k, 'p').codes.code('S', 'x'), internal(k).dates.days('x'))"
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
        product(KEY, "p").codes.code("S", "x"),
        str(internal(KEY).dates.days("x")),
    )
    assert seen == {(" ".join(here) + "\n").encode()}


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    values = ["b", None, "a", "b", "", None, "病"]
    assert INTERNAL.codes("P", values) == [None if value is None else INTERNAL.code("P", value) for value in values]


def test_identifiers_of_many_parts_at_once_are_the_same_as_one_by_one() -> None:
    sites, numbers = ["NB01", "NB02", None, "NB01", "NB01"], ["病1", "病1", "1", None, "病1"]
    expected = [INTERNAL.code("C", "NB01", "病1"), INTERNAL.code("C", "NB02", "病1"), None, None]
    assert INTERNAL.codes("C", sites, numbers) == [*expected, expected[0]]
    with pytest.raises(ValueError, match="zip"):
        INTERNAL.codes("C", sites, numbers[1:])
    with pytest.raises(ValueError, match="no such kind"):
        INTERNAL.codes("X", ["1"])


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_column_of_arrow_is_coded_as_a_list_is(chunks: int) -> None:
    values = ["b", None, "a", "b", "", None, "病", "x" * 1000]
    column = pa.chunked_array([pa.array(values, pa.string())] * chunks)
    assert INTERNAL.code_array("P", column).to_pylist() == INTERNAL.codes("P", values) * chunks
    assert INTERNAL.code_array("P", pa.array(values, pa.string())).to_pylist() == INTERNAL.codes("P", values)
    for empty in (pa.array([], pa.string()), pa.array([None], pa.string()), pa.chunked_array([], pa.string())):
        coded = INTERNAL.code_array("P", empty)
        assert coded.type == pa.string()
        assert coded.to_pylist() == empty.to_pylist()


@pytest.mark.parametrize("size", [1, 31, 32, 64])
def test_a_code_is_the_hmac_of_rfc_2104(size: int) -> None:
    key = os.urandom(size)
    message = b"\0\0\0\x02v1\0\0\0\x01P\0\0\0\x0510086"
    expected = opaque_code("P", hmac.new(key, message, "sha256").digest())
    assert Pseudonyms(key).code("P", "10086") == expected
    assert Pseudonyms(key).codes("P", ["10086"]) == [expected]


def test_nothing_shows_the_key() -> None:
    layers = (internal(KEY), product(KEY, "p"), recipient(KEY, "p", "r"))
    for secret in (INTERNAL, product(KEY, "p").codes, internal(KEY).dates, *layers):
        keys = (secret.codes.key, secret.dates.key) if isinstance(secret, Layer) else (secret.key,)
        for shown in (repr(secret), str(secret), f"{secret}", repr([secret])):
            for key in (KEY, *keys):
                assert repr(key) not in shown
                assert key.hex() not in shown
            assert "key" not in shown


# --- UIDs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uid",
    ["1.2.840.10008.1.2", "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.15.1.1", "1.2.840.10008.5.1.4.1.1.66.4"],
)
def test_uids_of_the_standard_stay(uid: str) -> None:
    assert INTERNAL.uid(uid) == uid
    assert INTERNAL.uid(f"{uid}\0") == uid


@pytest.mark.parametrize(
    "uid",
    ["1.2.840.113619.2.1", "1.2.840.10008", "1.2.840.100081.1", "1.2.840.10008.20240503101112.1", "2.25.1", "1.2.3.4", "x",
     "1.2.840.10008.1.2.x", "1.2.840.10008." + ".".join("1" * 12)],
)  # fmt: skip
def test_a_uid_becomes_a_random_looking_uuid_as_a_number(uid: str) -> None:
    made = INTERNAL.uid(uid)
    number = uuid.UUID(int=int(made.removeprefix("2.25.")))
    assert (number.variant, number.version) == (uuid.RFC_4122, 4)
    assert made == f"2.25.{number.int}"
    assert len(made) <= 44
    assert made == INTERNAL.uid(f" {uid}\0")


def test_uids_differ_by_layer_and_from_codes() -> None:
    uids = [f"1.2.3.{number}" for number in range(200)]
    inner = [INTERNAL.uid(uid) for uid in uids]
    outer = [[layer.codes.uid(uid) for uid in inner] for layer in LAYERS]
    assert len({*inner, *(uid for layer in outer for uid in layer)}) == 200 * (1 + len(LAYERS))
    assert INTERNAL.uid("") == INTERNAL.uid("\0") == ""


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
    many = pa.array([written, None, keyed, "plain ", "ａ"], pa.string())
    assert canonical_numbers(many).to_pylist() == [keyed, None, keyed, "PLAIN", "A"]


# --- dates -------------------------------------------------------------------------------------------------------


def test_offsets_are_whole_weeks_of_a_year_all_in_one_direction() -> None:
    signs = set()
    for key in (bytes([number]) * 32 for number in range(40)):
        offsets = [internal(key).dates.days(str(person)) for person in range(300)]
        assert {abs(days) for days in offsets} <= set(range(7, 365, 7))
        assert len({days > 0 for days in offsets}) == 1
        signs.add(offsets[0] > 0)
    assert signs == {True, False}
    assert {abs(internal(KEY).dates.days(str(person))) for person in range(2000)} == set(range(7, 365, 7))


def test_a_person_keeps_intervals_and_days_of_the_week() -> None:
    shift = internal(KEY).dates
    days = [date(2019, 12, 31), date(2020, 2, 29), date(2023, 3, 1), date(1912, 1, 1)]
    moved = [shift.shift("p", day) for day in days]
    assert {after - before for before, after in zip(days, moved, strict=True) if after} == {timedelta(days=shift.days("p"))}
    assert [after.weekday() for after in moved if after] == [before.weekday() for before in days]


def test_a_time_of_day_does_not_survive() -> None:
    moved = internal(KEY).dates.shift("p", datetime(2020, 1, 1, 23, 59))
    assert type(moved) is date
    assert moved == internal(KEY).dates.shift("p", date(2020, 1, 1))


def test_at_the_ends_of_the_calendar_a_day_is_missing_and_not_an_error() -> None:
    for key in (bytes([number]) * 32 for number in range(20)):
        shift = internal(key).dates
        forward = shift.days("p") > 0
        assert (shift.shift("p", date.max) is None) == forward
        assert (shift.shift("p", date.min) is None) != forward
    assert internal(KEY).dates.shift("p", None) is None


def test_many_days_at_once_are_moved_as_one_by_one() -> None:
    shift = internal(KEY).dates
    persons = ["a", "b", "a", "c", None, "a", "b"]
    days = [date(2020, 1, 1), None, date(2021, 1, 1), date.max, date(2020, 1, 1), date.min, date(1969, 12, 31)]
    expected = [shift.shift(person, day) if person else None for person, day in zip(persons, days, strict=True)]
    columns = pa.array(persons, pa.string()), pa.array(days, pa.date32())
    assert shift.shift_array(*columns).to_pylist() == expected
    assert shift.shift_array(*(pa.chunked_array([column[:2], column[2:]]) for column in columns)).to_pylist() == expected
    assert shift.shift_array(columns[0][:0], columns[1][:0]).type == pa.date32()
    with pytest.raises(ValueError, match="not as many days as persons"):
        shift.shift_array(columns[0], columns[1][1:])


# --- layers ------------------------------------------------------------------------------------------------------

PATIENTS = [INTERNAL.code("P", str(number)) for number in range(600)]


def test_every_layer_has_offsets_of_whole_weeks_in_one_direction() -> None:
    for layer in (internal(KEY), *LAYERS):
        offsets = [layer.dates.days(patient) for patient in PATIENTS]
        assert {abs(days) for days in offsets} == set(range(7, 365, 7))
        assert len({days > 0 for days in offsets}) == 1
    signs = {product(KEY, str(number)).dates.days("P") > 0 for number in range(40)}
    assert signs == {True, False}


def test_days_of_two_layers_cannot_be_joined() -> None:
    layers = (internal(KEY), *LAYERS)
    for one, other in itertools.combinations(layers, 2):
        between = [moved_between(one, other, patient) for patient in PATIENTS]
        assert len(set(between)) > 40, "a difference that is the same for many would join the others"
        # Where the offset in one layer is the same, that in the other is anything.
        same = [other.dates.days(patient) for patient in PATIENTS if abs(one.dates.days(patient)) == 7]
        assert len(set(same)) > len(same) / 2


def test_a_day_moved_from_layer_to_layer_is_where_it_would_be_from_the_true_date() -> None:
    inner, true = internal(KEY), date(2020, 2, 29)
    for layer in LAYERS:
        for patient in PATIENTS[:20]:
            day = inner.dates.shift(patient, true)
            assert day is not None
            assert day + timedelta(days=moved_between(inner, layer, patient)) == layer.dates.shift(patient, true)
            assert moved_between(layer, inner, patient) == -moved_between(inner, layer, patient)
            assert layer.dates.shift(patient, true) != true


def test_codes_of_two_layers_cannot_be_joined() -> None:
    codes = [{layer.codes.code("P", patient) for patient in PATIENTS} for layer in LAYERS]
    assert len(set(PATIENTS).union(*codes)) == len(PATIENTS) * (1 + len(LAYERS))


def test_names_of_products_and_recipients_are_kept_apart() -> None:
    pairs = [("a", "b"), ("ab", ""), ("", "ab"), ("a\x1f1", "b"), ("a", "1\x1fb"), ("1\x1fa", "b"), ("b", "a")]
    layers = [recipient(KEY, *pair) for pair in pairs]
    layers += [product(KEY, name) for name in ("ab", "a\x1fb", "dates\x1fa", "1\x1fa\x1fb", "recipient", "")]
    keys = [key for layer in layers for key in (layer.codes.key, layer.dates.key)]
    assert len({*keys, KEY, internal(KEY).codes.key, internal(KEY).dates.key}) == len(keys) + 3

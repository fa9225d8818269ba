"""Compares two columns value by value without a Python object for any of them.

Two values are the same where their digests would be (:func:`pathcurate.digests.row_digests`): text in NFC, any NaN like any
other, 0.0 and -0.0 apart, whatever the width of an integer and the layout of the file.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pathcurate.digests import row_digests

Rows = NDArray[np.int64]
"""Numbers of rows."""
Values = Any
"""An Arrow array of whatever type; the type stubs know too little of what holds for all of them."""
_EXACT_DECIMAL_DIGITS = 15
_NAN = np.array([np.nan]).view(np.int64)[0]


def differing(old: "pa.ChunkedArray[Any]", new: "pa.ChunkedArray[Any]") -> Rows:
    """Numbers of the rows in which two columns of one length differ.

    Raises:
        TypeError: a type that no released table has.
    """
    if pa.types.is_dictionary(old.type) or pa.types.is_dictionary(new.type):
        codes = common_codes(old, new)
        return np.flatnonzero(codes[0] != codes[1])
    if _is_list(old.type):
        return _differing_lists(_whole(old), _whole(new))
    left, right = comparable(_whole(old)), comparable(_whole(new))
    rows = _unlike(left, right)
    if rows.size and _is_text(left.type):
        # Few texts differ, and of these fewer are written in another form of the same characters.
        rows = rows[_unlike(_composed(left.take(rows)), _composed(right.take(rows)))]
    return rows


def comparable(values: Values) -> Values:
    """Values of which two are equal just if their digests are, but for the form of composed characters.

    Raises:
        TypeError: a type that no released table has.
    """
    kind = values.type
    if pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.precision <= _EXACT_DECIMAL_DIGITS):
        return _bits(values)
    if pa.types.is_integer(kind):
        return values.cast(pa.int64())
    if pa.types.is_date(kind):
        return values.cast(pa.date32())
    if pa.types.is_timestamp(kind):
        return values.cast(pa.timestamp("us"))
    if _is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return values
    raise TypeError(f"values of the type {kind}, which no released table has")


def common_codes(old: "pa.ChunkedArray[Any]", new: "pa.ChunkedArray[Any]") -> tuple[Rows, Rows, int]:
    """Numbers for the values of two columns, the same for the same value, and how many there are.

    Raises:
        TypeError: a type that no released table has.
    """
    (left, first), (right, second) = (_encoded(column) for column in (old, new))
    if first.type != second.type:
        raise TypeError("two types in one column")
    known = pa.chunked_array([first, second]).unique()
    codes = [np.asarray(pc.index_in(values, value_set=known)) for values in (first, second)]
    missing = len(known)
    # A missing value has a number of its own.
    numbers = [
        np.append(code, missing)[np.where(place < 0, len(code), place)].astype(np.int64)
        for place, code in zip((left, right), codes, strict=True)
    ]
    return numbers[0], numbers[1], missing + 1


def _encoded(column: "pa.ChunkedArray[Any]") -> tuple[NDArray[np.int32], Values]:
    """For each row the place of its value among the different ones, -1 for none, and these."""
    if _is_list(column.type):
        digests = row_digests(pa.Table.from_arrays([column], names=[""]))
        coded: Any = pa.array(digests, pa.binary()).dictionary_encode()
    elif pa.types.is_dictionary(column.type):
        coded = _whole(column.unify_dictionaries())
    else:
        coded = comparable(_whole(column)).dictionary_encode()
    values = coded.dictionary
    kind = values.type
    values = _composed(values) if _is_text(kind) else values if pa.types.is_binary(kind) else comparable(values)
    return np.asarray(coded.indices.fill_null(-1), np.int32), values


def _differing_lists(old: Values, new: Values) -> Rows:
    lengths = [np.asarray(pc.list_value_length(side).fill_null(-1), np.int64) for side in (old, new)]
    unlike = lengths[0] != lengths[1]
    same = np.flatnonzero(~unlike & (lengths[0] > 0))
    flat = [pa.chunked_array([side.take(same).flatten()]) for side in (old, new)]
    unlike[np.repeat(same, lengths[0][same])[differing(*flat)]] = True
    return np.flatnonzero(unlike)


def _unlike(left: Values, right: Values) -> Rows:
    if left.equals(right):
        return np.empty(0, np.int64)
    unlike: Any = pc.not_equal(left, right)
    found = np.asarray(unlike.fill_null(False)) | (np.asarray(left.is_null()) != np.asarray(right.is_null()))
    return np.flatnonzero(found)


def _bits(values: Values) -> Values:
    numbers = values.cast(pa.float64())
    filled = np.array(numbers.fill_null(0.0), np.float64)
    bits = np.where(np.isnan(filled), _NAN, filled.view(np.int64))
    return pa.array(bits, pa.int64(), mask=np.asarray(numbers.is_null()))


def _composed(texts: Values) -> Values:
    if pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        return texts
    return pc.call_function("utf8_normalize", [texts], pc.Utf8NormalizeOptions("NFC"))


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _whole(column: "pa.ChunkedArray[Any]") -> Values:
    """A column as one piece; long texts need offsets of 64 bits for that."""
    if pa.types.is_string(column.type) and column.nbytes > 1 << 30:
        column = column.cast(pa.large_string())
    return column.combine_chunks()

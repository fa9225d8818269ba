"""Columns of Arrow as arrays of numbers, without a Python object for each value."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_TAIL: Final = 16


def mixed(code: NDArray[np.uint64], more: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number that depends on every bit of both (the finaliser of SplitMix64, Steele and others 2014)."""
    bits = (code ^ more) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)), np.uint64)


def ascii_codes(column: "pa.ChunkedArray[Any]", width: int) -> NDArray[np.bytes_]:
    """Short ASCII texts as bytes of a fixed width; empty where there is none."""
    bounds, octets = _octets(column)
    places = bounds[:-1, None] + np.arange(width)
    out = np.where(places < bounds[1:, None], octets[np.clip(places, 0, len(octets) - 1)], 0).astype(np.uint8)
    return out.view(f"S{width}").reshape(-1)


def _octets(column: "pa.ChunkedArray[Any]") -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Where each text begins and the last one ends, in the bytes of all; a missing text is empty."""
    array = pa.concat_arrays([chunk.cast(pa.binary()) for chunk in column.chunks] or [pa.array([], pa.binary())])
    count = len(array)
    _, offsets, data = array.buffers()
    octets = np.frombuffer(memoryview(data), np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    if not count or offsets is None:
        return np.zeros(1, np.int64), octets
    bounds = np.frombuffer(memoryview(offsets), np.int32)[array.offset : array.offset + count + 1]
    return bounds.astype(np.int64), octets


def text_codes(column: "pa.ChunkedArray[Any]") -> NDArray[np.uint64]:
    """64 bits for each text, made of its length and its last 16 bytes, which tell digests apart; 0 where there is none."""
    bounds, octets = _octets(column)
    places = bounds[1:, None] - _TAIL + np.arange(_TAIL)
    tails = np.where(places >= bounds[:-1, None], octets[np.clip(places, 0, len(octets) - 1)], 0).astype(np.uint8)
    words = tails.view("<u8")
    code = mixed(mixed(words[:, 0], words[:, 1]), np.diff(bounds).astype(np.uint64))
    code[code == 0] = 1
    code[~present(column)] = 0
    return code


def present(column: "pa.ChunkedArray[Any]") -> NDArray[np.bool_]:
    """Which values are there."""
    return np.asarray(column.is_valid().to_numpy(), np.bool_)


def whole_numbers(column: "pa.ChunkedArray[Any]", missing: int) -> NDArray[np.int64]:
    """An integer column; ``missing`` where there is none."""
    filled: pa.ChunkedArray[Any] = pc.if_else(pc.is_valid(column), column, pa.scalar(missing, pa.int64()))
    return np.asarray(filled.to_numpy(), np.int64)


class Coded:
    """A column of few different values: the values (None last), and which of them each row has."""

    def __init__(self, column: "pa.ChunkedArray[Any]") -> None:
        whole: pa.Array[Any] = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        encoded: Any = whole.dictionary_encode()
        self.values: list[Any] = [*encoded.dictionary.to_pylist(), None]
        missing = len(self.values) - 1
        self.rows = np.asarray(encoded.indices.fill_null(missing).to_numpy(zero_copy_only=False), np.int64)

    def each(self, of: Callable[[Any], Any], dtype: Any = np.bool_) -> NDArray[Any]:
        """A function of every row's value, asked once for each different value that is there."""
        there = np.zeros(len(self.values), np.bool_)
        there[self.rows] = True
        answers = [of(value) if there[at] else 0 for at, value in enumerate(self.values)]
        return np.array(answers, dtype)[self.rows]

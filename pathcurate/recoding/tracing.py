"""Whose copy a leaked file is: codes that stand in it, counted by the layers that give them."""

import re
import tempfile
import zipfile
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final, TypeVar

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.model.deidentified import PSEUDONYM_BODY, PSEUDONYM_KINDS
from pathcurate.pseudonyms import Pseudonyms

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
LayerName = TypeVar("LayerName", bound=Hashable)
MOST_CODES: Final = 5_000_000
"""Codes of one file that are looked at: more than any that was delivered to be read by people."""
_CODE: Final = re.compile(rf"[{''.join(PSEUDONYM_KINDS)}]-{PSEUDONYM_BODY}".encode())
_LENGTH: Final = 18
_PIECE: Final = 1 << 22
_MOST_UNPACKED: Final = 1 << 32
_DEEPEST: Final = 3
_PARQUET: Final = b"PAR1"
_ZIP: Final = b"PK\x03\x04"


def codes_in(file: BinaryIO, *, depth: int = 0) -> set[str]:
    """What looks like a code in a file of any kind: text in any of the usual encodings and in either case, Parquet, zip
    archives and what is one (Excel). What is compressed otherwise must be unpacked first.

    Args:
        file: at its beginning; it can be sought.
        depth: in how many archives it lies.

    Raises:
        InputOutputError: it is damaged, or unpacks to more than can be looked at.
    """
    beginning = file.read(4)
    file.seek(0)
    try:
        if beginning == _PARQUET:
            return _in_parquet(file)
        if beginning == _ZIP and depth < _DEEPEST:
            return _in_zip(file, depth)
    except (
        pa.ArrowException,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
    ) as error:
        raise InputOutputError(
            f"the file cannot be unpacked ({type(error).__name__})", "Unpack it yourself, and give what is in it."
        ) from None
    return _in_bytes(iter(lambda: file.read(_PIECE), b""))


def codes_in_text(text: str) -> set[str]:
    """What looks like a code in a text, such as a file's name."""
    return _in_bytes([text.encode("utf-8", "surrogateescape")])


def _in_bytes(pieces: Iterable[bytes]) -> set[str]:
    found: set[bytes] = set()
    rest = b""
    for piece in pieces:
        # UTF-16 puts a zero beside each sign of a code; copies may be in lower case.
        content = rest + piece.replace(b"\0", b"").upper()
        found.update(_CODE.findall(content))
        rest = content[-_LENGTH + 1 :]
        _demand_few(found)
    return {code.decode() for code in found}


def _in_parquet(file: BinaryIO) -> set[str]:
    table = pq.ParquetFile(file)
    found = codes_in_text(str({**(table.schema_arrow.metadata or {})}))
    for batch in table.iter_batches():
        for column in batch.columns:
            found |= _in_bytes(_texts(column))
            _demand_few(found)
    return found


def _texts(column: Any) -> Iterator[bytes]:
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary
    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = column.flatten()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        yield "\n".join(pc.unique(column).drop_null().to_pylist()).encode()
    elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        yield b"\n".join(pc.unique(column).drop_null().to_pylist())


def _in_zip(file: BinaryIO, depth: int) -> set[str]:
    found: set[str] = set()
    left = _MOST_UNPACKED
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            found |= codes_in_text(member.filename)
            with archive.open(member) as content, tempfile.TemporaryFile() as unpacked:
                # What the archive says of its sizes is not believed.
                while piece := content.read(_PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise ValueError("too large")
                    unpacked.write(piece)
                unpacked.seek(0)
                found |= codes_in(unpacked, depth=depth + 1)
            _demand_few(found)
    return found


def _demand_few(found: Collection[Any]) -> None:
    if len(found) > MOST_CODES:
        raise InputOutputError("the file holds more codes than can be looked at", "Give a part of it.")


def trace(
    codes: Collection[str], layers: Mapping[LayerName, Pseudonyms | None], inside: Callable[[str], Iterable[Any]]
) -> dict[LayerName, int]:
    """How many of some codes each layer gives; none of them is shown.

    Two layers share one of their codes only by a chance of 1 in 10^24 for each pair: a single one tells whose copy it was.

    Args:
        codes: that were found.
        layers: by name; None for the internal one.
        inside: gives the internal codes of a kind, as arrays.
    """
    found = dict.fromkeys(layers, 0)
    for kind in sorted({code[:1] for code in codes} & PSEUDONYM_KINDS.keys()):
        asked = pa.array(sorted(code for code in codes if code.startswith(f"{kind}-")), pa.string())
        known = pc.unique(pa.concat_arrays([pa.array([], pa.string()), *inside(kind)]))
        for name, layer in layers.items():
            given = known if layer is None else layer.code_array(kind, known)
            found[name] += int(pc.sum(pc.is_in(asked, value_set=given)).as_py() or 0)
    return found

"""Every value that a Parquet or Arrow file can give away: columns, dictionaries, statistics, names and the footer."""

from collections.abc import Iterable, Iterator
from io import IOBase
from typing import Any, BinaryIO, Final, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from pathcurate.leaksearch.parts import Part, inside

VALUE_END: Final = b"\x1e"
"""Between values that stand one behind the other; no value goes over it."""
_END_SIGN = VALUE_END.decode()
_VALUES = 1 << 16


def parquet_parts(file: BinaryIO, where: str) -> Iterator[Part]:
    """What a Parquet file holds, column by column of each row group.

    Raises:
        pa.ArrowException: it is damaged.
    """
    schema = pq.read_schema(file)
    flat = [field.name for field in schema if _is_text(field.type)]
    file.seek(0)
    # Dictionaries are read as they lie in the file: they may hold what no row refers to.
    opened = pq.ParquetFile(file, read_dictionary=flat)
    yield from _footer(opened, where)
    for group in range(opened.metadata.num_row_groups):
        first = 0
        for number, field in enumerate(schema, 1):
            behind = first + _leaves(field.type)
            # By number: two columns may have one name.
            leaves = list(range(first, behind))
            table = opened.reader.read_row_group(group, column_indices=leaves, use_threads=False)
            first = behind
            for column in table.columns:
                for chunk in column.chunks:
                    yield from array_parts(chunk, inside(where, f"column {number}"))


def _leaves(kind: pa.DataType) -> int:
    """Columns of the file that a column of the schema takes (Parquet format, nested encoding)."""
    if isinstance(kind, pa.ExtensionType):
        return _leaves(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _leaves(kind.value_type)
    return sum(_leaves(kind.field(number).type) for number in range(kind.num_fields)) if kind.num_fields else 1


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )  # fmt: skip


def _footer(opened: pq.ParquetFile, where: str) -> Iterator[Part]:
    schema = opened.schema_arrow
    fields = [part for field in schema for part in (field.name, *_pairs(field.metadata))]
    footer = [*fields, *_pairs(opened.metadata.metadata), opened.metadata.created_by or ""]
    yield from _joined(footer, inside(where, "footer"))
    values = []
    for group in range(opened.metadata.num_row_groups):
        for index in range(opened.metadata.num_columns):
            statistics = opened.metadata.row_group(group).column(index).statistics
            # Those of numbers are numbers of the column.
            if statistics is not None and statistics.has_min_max and statistics.physical_type.endswith("BYTE_ARRAY"):
                values += [statistics.min_raw, statistics.max_raw]
    yield from _joined(values, inside(where, "statistics"))


def arrow_parts(file: BinaryIO, where: str) -> Iterator[Part]:
    """What an Arrow file holds.

    Raises:
        pa.ArrowException: it is damaged.
    """
    with pa.ipc.open_file(pa.PythonFile(cast(IOBase, file), mode="r")) as opened:
        yield from _joined([*opened.schema.names, *_pairs(opened.schema.metadata)], inside(where, "footer"))
        for number in range(opened.num_record_batches):
            for index, column in enumerate(opened.get_batch(number).columns, 1):
                yield from array_parts(column, inside(where, f"column {index}"))


def _pairs(metadata: Any) -> list[bytes]:
    return [part for pair in (metadata or {}).items() for part in pair]


def _joined(values: Iterable[object], where: str) -> Iterator[Part]:
    data = VALUE_END.join(value if isinstance(value, bytes) else str(value).encode("utf-8", "replace") for value in values)
    if data:
        yield Part(where, data, 0, 0, len(data), False, 0)


def array_parts(array: Any, where: str) -> Iterator[Part]:
    """The values of an array, and of what is nested in it; an offset is a value's number in it.

    Args:
        array: an Arrow array of any type.
        where: what it is.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        yield from array_parts(array.dictionary, where)
    elif isinstance(array, pa.ExtensionArray):
        yield from array_parts(array.storage, where)
    elif pa.types.is_map(kind):
        yield from array_parts(array.keys, where)
        yield from array_parts(array.items, where)
    elif pa.types.is_struct(kind):
        for part in array.flatten():
            yield from array_parts(part, where)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from array_parts(array.flatten(), where)
    elif (plain := _as_text(array)) is not None:
        yield from _values(plain, where, is_text=not _is_binary(kind))


def _as_text(array: Any) -> Any:
    """Texts, bytes and whole numbers; None for what no identifier can be."""
    kind = array.type
    if pa.types.is_floating(kind):
        # A patient's number that was read as a floating-point one.
        whole = array.filter(pc.and_(pc.is_finite(array), pc.equal(array, pc.floor(array))))
        small = whole.filter(pc.less(pc.abs(whole), pa.scalar(2.0**63)))
        return pc.cast(pc.cast(small, pa.int64()), pa.large_string())
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_string_view(kind):
        return pc.cast(array, pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.cast(pc.cast(array, pa.large_string()), pa.large_binary())
    if _is_binary(kind):
        return pc.cast(pc.cast(array, pa.binary()) if pa.types.is_fixed_size_binary(kind) else array, pa.large_binary())
    return None


def _decoded(data: bytes) -> bytes | str:
    """Texts as texts, which need not be tried in other encodings; what is declared as text need not be any."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _values(values: Any, where: str, *, is_text: bool) -> Iterator[Part]:
    is_bytes = pa.types.is_large_binary(values.type)
    separator = VALUE_END if is_bytes else _END_SIGN
    for low in range(0, len(values), _VALUES):
        some = values.slice(low, _VALUES).fill_null(b"" if is_bytes else "")
        row = pa.LargeListArray.from_arrays(pa.array([0, len(some)], pa.int64()), some)
        joined: Any = pc.binary_join(row, pa.scalar(separator, values.type))
        data: Any = joined[0].as_py()
        if is_bytes and is_text:
            data = _decoded(data)
        yield Part(where, data, 0, 0, len(data), False, low)

"""Columns of Arrow's beside each other: what the de-identified tables are made with."""

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.scrubbers.table import Chunked

SEPARATOR: Final = "\x1f"
"""Between two texts that are compared as one."""


def pairs(first: Chunked, second: Chunked) -> Chunked:
    """Two texts as one, missing where either is."""
    joined: Any = pc.binary_join_element_wise
    return pa.chunked_array(joined(first, second, SEPARATOR))


def places(values: Chunked, known: Chunked) -> Any:
    """Where each value stands among the known ones, which are distinct; missing where it does not."""
    found = pc.index_in(values.combine_chunks(), value_set=known.combine_chunks())
    return where(values.combine_chunks().is_valid(), found, None)


def taken(answers: Chunked, values: Chunked, known: Chunked) -> Chunked:
    """The answer beside each value among the known ones."""
    return answers.take(places(values, known))


def whole(values: "pa.Array[Any]") -> Chunked:
    """A column of one array."""
    return pa.chunked_array([values])


def where(condition: Any, yes: Any, no: Any) -> Any:
    """Row by row one of two columns; None stands for a missing value."""
    chosen = (pa.scalar(None, other.type) if one is None else one for one, other in ((yes, no), (no, yes)))
    return pc.if_else(condition, *chosen)


def filled(values: Any, value: object) -> Any:
    """A column with a value where one is missing."""
    return pc.fill_null(values, pa.scalar(value, values.type))


def with_columns(data: pa.Table, **columns: Any) -> pa.Table:
    """A table with more columns, which replace those of their names."""
    for name, values in columns.items():
        data = data.drop_columns(name) if name in data.column_names else data
        data = data.append_column(name, values)
    return data

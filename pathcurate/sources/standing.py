"""Which rows the files together give: each with its identifier, and with the first file that gives it."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.pseudonyms import opaque_code


def given(kept: pa.Table, read: pa.Table, code: str) -> pa.Table:
    """Every row of every file with its identifier, and whether its file is the first that gives it.

    Rows of one identity are numbered by their content: neither the order of rows nor that of files counts.
    """
    old = kept.select(["site", "source_file", "source_row", "identity", "content", "ordinal", "row_id"])
    old = old.rename_columns([*old.column_names[:5], "old_ordinal", "old_id"])
    new = read.append_column("place", pa.array(np.arange(read.num_rows), pa.int64()))
    # The schema without notes and demands, because the rows read have neither.
    plain = pa.schema([pa.field(item.name, item.type) for item in old.schema])
    rows = pa.concat_tables([old.cast(plain), new], promote_options="default")
    order = ("site", "identity", "content", "source_file", "source_row")
    rows = rows.sort_by([(name, "ascending") for name in order])
    begins_identity = begins(rows["site"]) | begins(rows["identity"])
    begins_content = begins_identity | begins(rows["content"])
    place = np.cumsum(begins_content)
    ordinal = place - np.maximum.accumulate(np.where(begins_identity, place, 0)) + 1 if len(place) else place
    first = rows.append_column("ordinal", pa.array(ordinal, pa.int64())).filter(pa.array(begins_content))
    named = (first[name].to_pylist() for name in ("site", "identity", "ordinal", "old_ordinal", "old_id"))
    identifiers = [
        old_id
        if old_ordinal == number
        else opaque_code(code, hashlib.sha256(identity + f"{number}:{site}".encode()).digest())
        for site, identity, number, old_ordinal, old_id in zip(*named, strict=True)
    ]
    row_ids = pa.array(identifiers, pa.string()).take(pa.array(place - 1, pa.int64()))
    rows = rows.append_column("ordinal", pa.array(ordinal, pa.int64())).append_column("row_id", row_ids)
    return rows.append_column("is_first", pa.array(begins_content, pa.bool_()))


def begins(column: "pa.ChunkedArray[Any]") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """For each value whether it differs from the one before."""
    flags = np.ones(len(column), np.bool_)
    if len(column) > 1:
        flags[1:] = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy(zero_copy_only=False)
    return flags

"""Codes of one layer for whole columns, and which columns hold codes."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import DisclosureRefusedError
from pathcurate.model.deidentified import PSEUDONYM_BODY, PSEUDONYM_KINDS
from pathcurate.pseudonyms import Pseudonyms

CODE = rf"[{''.join(PSEUDONYM_KINDS)}]-{PSEUDONYM_BODY}"
"""Pattern of a code of any kind."""
CODE_FOUND = re.compile(CODE)
_WHOLE = f"^{CODE}$"


def whole(values: Any) -> Any:
    """A column as one array."""
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


class ColumnCodes:
    """A layer's codes of one kind, each made once however many tables hold it.

    Args:
        kind: of pseudonym.
        codes: of the layer.
    """

    def __init__(self, kind: str, codes: Pseudonyms) -> None:
        self._kind, self._codes = kind, codes
        self._known: Any = pa.array([], pa.string())
        self._made: Any = pa.array([], pa.string())

    def of(self, values: Any) -> Any:
        """The codes of a column of internal ones, missing where they are."""
        encoded = whole(values).dictionary_encode()
        found = encoded.dictionary
        places: Any = pc.index_in(found, self._known)
        is_new = places.is_null()
        new = found.filter(is_new)
        if len(new):
            ranks = np.cumsum(np.asarray(is_new), dtype=np.int32) + np.int32(len(self._known) - 1)
            places = pc.if_else(is_new, pa.array(ranks, pa.int32()), places)
            self._known = pa.concat_arrays([self._known, new])
            self._made = pa.concat_arrays([self._made, self._codes.code_array(self._kind, new)])
        return self._made.take(places).take(encoded.indices)


def code_columns(name: str, data: pa.Table) -> dict[str, str]:
    """The columns of a table that hold codes, with the letter of their codes: by what they hold, whatever they are called.

    Raises:
        DisclosureRefusedError: codes stand among other values, or of several kinds in one column, where nothing could give
            them in other codes.
    """
    found: dict[str, str] = {}
    for column in data.column_names:
        values: Any = data[column].combine_chunks()
        if pa.types.is_list(values.type):
            values = values.flatten()
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            continue
        values = pc.unique(values).drop_null()
        if not pc.any(pc.match_substring_regex(values, CODE)).as_py():
            continue
        kinds = pc.unique(pc.utf8_slice_codeunits(values, 0, 1)).to_pylist()
        is_code = pc.all(pc.match_substring_regex(values, _WHOLE)).as_py() and not pa.types.is_list(data[column].type)
        if not is_code or len(kinds) != 1:
            raise DisclosureRefusedError(
                f"column {column} of table {name} has codes of the product among other values",
                "It cannot be given in a recipient's codes: build a version without the column.",
            )
        found[column] = kinds[0]
    return found

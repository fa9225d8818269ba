"""One recipient's codes beside the internal ones, and the files of the catalog that they stand for."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from pathcurate import pseudonyms
from pathcurate.model.column import Table
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.recoding.codes import whole
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
_OF_FILES: Final[dict[str, Table]] = {"S": SLIDES, "I": SERIES}


@dataclass(frozen=True, slots=True, repr=False)
class Codebook:
    """The files of a catalog in three names, row by row; it identifies.

    Attributes:
        files: a table for each of the letters S (slides) and I (series): ``code`` of the recipient, ``internal`` code,
            ``original`` identifier in the catalog.
        own: makes the recipient's codes.
    """

    files: dict[str, pa.Table]
    own: Pseudonyms

    def originals(self, codes: Collection[str]) -> dict[str, str]:
        """Identifiers in the catalog of slides and series by the recipient's codes; a code that is nobody's is not in it."""
        return self._named(codes, "original")

    def internals(self, codes: Collection[str]) -> dict[str, str]:
        """Internal codes of slides and series by the recipient's, likewise."""
        return self._named(codes, "internal")

    def codes(self, kind: str, internals: Any) -> Any:
        """The recipient's codes of a column of internal ones of any kind, such as ``P``; missing where they are."""
        return self.own.code_array(kind, internals)

    def _named(self, codes: Collection[str], column: str) -> dict[str, str]:
        wanted = pa.array(sorted(set(codes)), pa.string())
        found: dict[str, str] = {}
        for rows in self.files.values():
            places = pc.index_in(wanted, value_set=whole(rows["code"]))
            named = rows[column].take(places).to_pylist()
            found |= {str(code): name for code, name in zip(wanted.to_pylist(), named, strict=True) if name is not None}
        return found


def originals(workspace: Workspace, product: str, recipient: str, key: bytes) -> Codebook:
    """What a recipient's codes of slides and series stand for.

    It says nothing about whether they were delivered to the recipient, nor whether they may still be used.

    Args:
        workspace: whose catalog it is.
        product: name of the product.
        recipient: short name.
        key: the vault's.

    Raises:
        InputOutputError: the catalog cannot be read.
    """
    catalog = Catalog(workspace.catalog)
    inside, own = pseudonyms.internal(key).codes, pseudonyms.recipient(key, product, recipient).codes
    files: dict[str, pa.Table] = {}
    for kind, table in _OF_FILES.items():
        (name,) = table.key
        identifiers = whole(catalog.read(table, columns=(name,))[name])
        internals = inside.code_array(kind, identifiers)
        columns = {"code": own.code_array(kind, internals), "internal": internals, "original": identifiers}
        files[kind] = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    return Codebook(files, own)

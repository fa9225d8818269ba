"""Names of known slides read again, when a site's patterns or the vocabularies have changed."""

from collections.abc import Iterator, Mapping

import numpy as np

from pathcurate.scan.index import Index, Row
from pathcurate.scan.kernels import names_columns
from pathcurate.tables import Catalog


def renamed(
    catalog: Catalog, index: Index, patterns: Mapping[str, tuple[str, ...]], rules: Mapping[str, str]
) -> Iterator[Row]:
    """Rows whose names were read by other patterns or vocabularies than those of today, read again; no file is opened."""
    chosen = np.flatnonzero(index.facts["renamed"] & ~index.facts["gone"])
    for _, row in index.rows(catalog, chosen):
        yield {**row, **names_columns(row, patterns[row["site"]], rules[row["site"]])}

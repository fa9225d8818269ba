"""What stands behind the codes of a catalog, into the vault's crosswalk."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Table
from pathcurate.model.crosswalk import ORIGINALS
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.tables import Catalog
from pathcurate.vault import Vault
from pathcurate.vault.crosswalk import write_crosswalk

_AT_ONCE = 500_000


def record_originals(catalog: Catalog, pseudonyms: Pseudonyms, vault: Vault) -> int:
    """Write what stands behind every code of persons, cases and what is theirs; the rows that are new or have changed.

    What the catalog no longer has stays known, because releases may speak of it.

    Args:
        catalog: the identified tables.
        pseudonyms: the internal layer.
        vault: the vault whose key made that layer.

    Raises:
        VaultError: the crosswalk is damaged, or of another key.
        InputOutputError: it cannot be written.
    """
    sources: dict[str, Iterable[Sequence[str]]] = {
        "P": _persons(catalog), "C": _cases(catalog),
        "S": _files(catalog, SLIDES), "I": _files(catalog, SERIES),
        "R": _texts(catalog, REPORTS, "report_id", "site", "accession"),
        "A": _texts(catalog, ANNOTATIONS, "annotation_id", "site", "slide_id"),
        "M": _texts(catalog, MATERIALS, "material_id", "site", "accession"),
    }  # fmt: skip
    written = 0
    for kind, originals in sources.items():
        remaining = iter(originals)
        while some := list(islice(remaining, _AT_ONCE)):
            keyed = zip(*(original[: ORIGINALS[kind].keyed] for original in some), strict=True)
            codes = [str(code) for code in pseudonyms.codes(kind, *keyed)]
            written += write_crosswalk(vault, kind, codes, some)
    return written


def _rows(catalog: Catalog, table: Table, *columns: str) -> Iterator[dict[str, Any]]:
    for batch in catalog.read(table, columns=columns).to_batches(max_chunksize=100_000):
        yield from batch.to_pylist()


def _persons(catalog: Catalog) -> Iterator[Sequence[str]]:
    numbers = defaultdict(list)
    for row in _rows(catalog, IDENTITIES, "site", "id_type", "id_value", "person_id"):
        if row["id_type"] == "patient_id":
            numbers[row["person_id"]].append(f"{row['site']} {row['id_value']}")
    for row in _rows(catalog, PERSONS, "person_id"):
        yield row["person_id"], "; ".join(sorted(numbers[row["person_id"]]))


def _cases(catalog: Catalog) -> Iterable[Sequence[str]]:
    tables = (_rows(catalog, table, "site", "accession") for table in (REPORTS, LINKS))
    return {(row["site"], row["accession"]) for rows in tables for row in rows if row["accession"]}


def _files(catalog: Catalog, table: Table) -> Iterator[Sequence[str]]:
    (key,) = table.key
    for row in _rows(catalog, table, key, "site", "archive", "relpath"):
        yield row[key], row["site"], row["archive"], row["relpath"].decode("utf-8", "surrogateescape")


def _texts(catalog: Catalog, table: Table, *columns: str) -> Iterator[Sequence[str]]:
    for row in _rows(catalog, table, *columns):
        yield tuple(row[name] or "" for name in columns)

"""What stands behind the codes of a catalog, into the vault's crosswalk."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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
from pathcurate.tables import Catalog, column_values
from pathcurate.vault import Vault
from pathcurate.vault.crosswalk import write_crosswalk

_AT_ONCE = 500_000
_ROWS = 100_000
_CASE = pa.schema([("site", pa.string()), ("accession", pa.string())])


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
        for codes, some in _by_code(kind, originals, pseudonyms):
            written += write_crosswalk(vault, kind, codes, some)
    return written


def _by_code(
    kind: str, originals: Iterable[Sequence[str]], pseudonyms: Pseudonyms
) -> Iterator[tuple[list[str], list[tuple[str, ...]]]]:
    """Codes and originals of a kind in the order of all codes, some at a time.

    Each piece is then a range of codes of its own: in any other order every piece would touch the whole crosswalk.
    """
    pieces = []
    remaining = iter(originals)
    while some := list(islice(remaining, _AT_ONCE)):
        columns = list(zip(*some, strict=True))
        codes = pseudonyms.codes(kind, *columns[: ORIGINALS[kind].keyed])
        # As bytes: a path may hold what is no text.
        fields = [
            pa.array([text.encode("utf-8", "surrogateescape") for text in column], pa.large_binary()) for column in columns
        ]
        names = [str(place) for place in range(len(fields))]
        pieces.append(pa.table([pa.array(codes, pa.string()), *fields], names=["code", *names]))
    if not pieces:
        return
    rows = pa.concat_tables(pieces)
    order = pc.sort_indices(rows["code"])
    for start in range(0, len(order), _AT_ONCE):
        piece = rows.take(order.slice(start, _AT_ONCE))
        made, *texts = (column_values(piece, name) for name in piece.column_names)
        decoded = [[data.decode("utf-8", "surrogateescape") for data in column] for column in texts]
        yield made, list(zip(*decoded, strict=True))


def _rows(catalog: Catalog, table: Table, *columns: str) -> Iterator[dict[str, Any]]:
    for batch in catalog.read(table, columns=columns).to_batches(max_chunksize=_ROWS):
        yield from batch.to_pylist()


def _persons(catalog: Catalog) -> Iterator[Sequence[str]]:
    identities = catalog.read(IDENTITIES, columns=("site", "id_type", "id_value", "person_id"))
    known = identities.filter(pc.field("id_type") == "patient_id").sort_by([("person_id", "ascending")])
    of_person = known.group_by("person_id", use_threads=False).aggregate([("site", "list"), ("id_value", "list")])
    persons = catalog.read(PERSONS, columns=("person_id",))["person_id"]
    place = pc.index_in(persons, value_set=of_person["person_id"].combine_chunks())
    for start in range(0, len(persons), _ROWS):
        rows = of_person.select(["site_list", "id_value_list"]).take(place.slice(start, _ROWS))
        pairs = zip(rows["site_list"].to_pylist(), rows["id_value_list"].to_pylist(), strict=True)
        for person, (sites, numbers) in zip(persons.slice(start, _ROWS).to_pylist(), pairs, strict=True):
            told = zip(sites or (), numbers or (), strict=True)
            yield str(person), "; ".join(sorted(f"{site} {number}" for site, number in told))


def _cases(catalog: Catalog) -> Iterator[Sequence[str]]:
    tables = [catalog.read(table, columns=("site", "accession")) for table in (REPORTS, LINKS)]
    both = pa.concat_tables([table.cast(_CASE) for table in tables])
    cases = both.filter(pc.not_equal(both["accession"], pa.scalar(""))).group_by(["site", "accession"]).aggregate([])
    for batch in cases.to_batches(max_chunksize=_ROWS):
        yield from zip(column_values(batch, "site"), column_values(batch, "accession"), strict=True)


def _files(catalog: Catalog, table: Table) -> Iterator[Sequence[str]]:
    (key,) = table.key
    for row in _rows(catalog, table, key, "site", "archive", "relpath"):
        yield row[key], row["site"], row["archive"], row["relpath"].decode("utf-8", "surrogateescape")


def _texts(catalog: Catalog, table: Table, *columns: str) -> Iterator[Sequence[str]]:
    for row in _rows(catalog, table, *columns):
        yield tuple(row[name] or "" for name in columns)

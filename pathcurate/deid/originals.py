"""What stands behind the codes of a catalog, into the vault's crosswalk."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.deid.columns import filled
from pathcurate.digests import canonical_json, sha256_text
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
from pathcurate.vault.crosswalk import note_source, sources, write_crosswalk
from pathcurate.verification import SCHEME

_AT_ONCE = 500_000
_ROWS = 100_000
_CASE = pa.schema([("site", pa.string()), ("accession", pa.string())])
_Columns: TypeAlias = "Sequence[pa.Array[Any] | pa.ChunkedArray[Any]]"
"""The fields of some originals, as texts or bytes of UTF-8: a path may hold what is no text."""


def record_originals(catalog: Catalog, pseudonyms: Pseudonyms, vault: Vault) -> int:
    """Write what stands behind every code of persons, cases and what is theirs; the rows that are new or have changed.

    What the catalog no longer has stays known, because releases may speak of it. Kinds whose tables are as they were when
    all of theirs was last written are not gone through again.

    Args:
        catalog: the identified tables.
        pseudonyms: the internal layer.
        vault: the vault whose key made that layer.

    Returns:
        Number of rows that were written.

    Raises:
        VaultError: the crosswalk is damaged, or of another key.
        InputOutputError: it cannot be written.
    """
    written, before = 0, sources(vault)
    for kind, (tables, read) in _SOURCES.items():
        source = _state_of(catalog, tables)
        if before.get(kind) == source:
            continue
        for codes, some in _by_code(kind, read(catalog), pseudonyms):
            written += write_crosswalk(vault, kind, codes, some)
        note_source(vault, kind, source)
    return written


def _state_of(catalog: Catalog, tables: Sequence[Table]) -> str:
    """What tells the tables' state from any other: the files that they are made of, whose names are never used again."""
    snapshots = [catalog.snapshot(table) for table in tables]
    parts = [[one.schema_version, *one.parts] if one else [] for one in snapshots]
    return sha256_text(canonical_json([SCHEME, __version__, parts]))


def _by_code(
    kind: str, originals: Iterable[_Columns], pseudonyms: Pseudonyms
) -> Iterator[tuple[list[str], list[tuple[str, ...]]]]:
    """Codes and originals of a kind in the order of all codes, some at a time.

    Each piece is then a range of codes of its own: in any other order every piece would touch the whole crosswalk.
    """
    keyed, pieces = ORIGINALS[kind].keyed, []
    for columns in originals:
        if keyed == 1:
            codes = pseudonyms.code_array(kind, columns[0])
        else:
            codes = pa.array(pseudonyms.codes(kind, *(column.to_pylist() for column in columns[:keyed])), pa.string())
        fields = [pc.cast(column, pa.large_binary()) for column in columns]
        pieces.append(pa.table([codes, *fields], names=["code", *map(str, range(len(fields)))]))
    if not pieces:
        return
    rows = pa.concat_tables(pieces)
    order = pc.sort_indices(rows["code"])
    for start in range(0, len(order), _AT_ONCE):
        piece = rows.take(order.slice(start, _AT_ONCE))
        made, *texts = (column_values(piece, name) for name in piece.column_names)
        decoded = [[data.decode("utf-8", "surrogateescape") for data in column] for column in texts]
        yield made, list(zip(*decoded, strict=True))


def _persons(catalog: Catalog) -> Iterator[_Columns]:
    identities = catalog.read(IDENTITIES, columns=("site", "id_type", "id_value", "person_id"))
    known = identities.filter(pc.field("id_type") == "patient_id").sort_by([("person_id", "ascending")])
    of_person = known.group_by("person_id", use_threads=False).aggregate([("site", "list"), ("id_value", "list")])
    persons = catalog.read(PERSONS, columns=("person_id",))["person_id"]
    place = pc.index_in(persons, value_set=of_person["person_id"].combine_chunks())
    for start in range(0, len(persons), _ROWS):
        rows = of_person.select(["site_list", "id_value_list"]).take(place.slice(start, _ROWS))
        pairs = zip(rows["site_list"].to_pylist(), rows["id_value_list"].to_pylist(), strict=True)
        numbers = [
            "; ".join(sorted(f"{site} {number}" for site, number in zip(sites or (), found or (), strict=True)))
            for sites, found in pairs
        ]
        yield persons.slice(start, _ROWS), pa.array(numbers, pa.string())


def _cases(catalog: Catalog) -> Iterator[_Columns]:
    tables = [catalog.read(table, columns=_CASE.names) for table in (REPORTS, LINKS)]
    both = pa.concat_tables([table.cast(_CASE) for table in tables])
    cases = both.filter(pc.not_equal(both["accession"], pa.scalar(""))).group_by(_CASE.names).aggregate([])
    for start in range(0, cases.num_rows, _ROWS):
        yield cases.slice(start, _ROWS).select(_CASE.names).columns


def _read(table: Table, *columns: str) -> "Callable[[Catalog], Iterator[_Columns]]":
    """What reads the columns of a table, some rows at a time; what is missing in one is empty."""

    def read(catalog: Catalog) -> Iterator[_Columns]:
        rows = catalog.read(table, columns=columns)
        for start in range(0, rows.num_rows, _ROWS):
            some = rows.slice(start, _ROWS)
            yield [filled(some[name], b"" if pa.types.is_binary(some[name].type) else "") for name in columns]

    return read


_SOURCES: "Mapping[str, tuple[Sequence[Table], Callable[[Catalog], Iterator[_Columns]]]]" = {
    "P": ((PERSONS, IDENTITIES), _persons),
    "C": ((REPORTS, LINKS), _cases),
    "S": ((SLIDES,), _read(SLIDES, "slide_id", "site", "archive", "relpath")),
    "I": ((SERIES,), _read(SERIES, "series_id", "site", "archive", "relpath")),
    "R": ((REPORTS,), _read(REPORTS, "report_id", "site", "accession")),
    "A": ((ANNOTATIONS,), _read(ANNOTATIONS, "annotation_id", "site", "slide_id")),
    "M": ((MATERIALS,), _read(MATERIALS, "material_id", "site", "accession")),
}
"""Of each kind the tables whose rows stand behind its codes, and what reads them."""

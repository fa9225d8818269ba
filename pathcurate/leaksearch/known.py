"""The identifiers that a catalog knows."""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, groupby
from operator import itemgetter
from typing import Final, Protocol

import pyarrow as pa

from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.event import EVENTS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.relations import Views, relation
from pathcurate.storage import path_text
from pathcurate.tables import Catalog, column_values
from pathcurate.text.kinds import is_name
from pathcurate.text.vocabulary import all_codes

IDENTIFIED: Final = (
    SLIDES, SLIDE_KEYS, SERIES, REPORTS, EVENTS, PERSONS, IDENTITIES, MERGES, MATERIALS, SCANNER_INDEX, PERMISSIONS,
)  # fmt: skip
"""Tables whose direct identifiers are searched for."""

KINDS: Final[Mapping[str, str]] = {
    "patient_name": "name",
    "submitting_doctor": "staff", "pathologist": "staff", "reviewer": "staff",
    "patient_id": "number", "other_patient_id": "number", "master_id": "number", "id_value": "number",
    "subject_value": "number", "patients": "number",
    "id_number": "id", "phone": "phone", "address": "address",
    "accession": "case", "accession_raw": "case", "accession_external": "case", "key": "case",
    "barcode": "barcode", "glass_id": "glass", "glass": "glass", "label_text": "label", "metadata_texts": "label",
    "relpath": "file", "moved_from": "file", "path": "file", "uri": "file", "source_file": "file", "source_mapping": "file",
    "source": "file",
    "study_uid": "uid", "series_uid": "uid",
    "submitting_unit": "unit", "institution": "unit",
    "scanner_serial": "device", "serial": "device", "station": "device",
    "slide_id": "key", "report_id": "key", "replaces": "key", "series_id": "key", "event_id": "key", "material_id": "key",
    "person_id": "key", "group_id": "key", "duplicate_of": "key", "scan_group": "key", "entry_id": "key", "merge_id": "key",
    "content_sha256": "digest", "document_sha256": "digest", "text_digest": "digest",
}  # fmt: skip
"""What the columns of these tables identify."""
_NO_IDENTIFIERS: Final = frozenset({
    "archive", "issuer", "specimen", "block", "stain_raw", "status_detail",
    "header_fingerprint", "shape_fingerprint", "pixel_fingerprint", "thumbnail_hash",
})  # fmt: skip
"""Direct identifiers by declaration that are words of a configuration, parts of numbers, or of no use outside."""

CELLS_AT_ONCE = 40_000_000
"""Values that are grouped at once; an archive of two million cases has three times as many, a quarter of them different."""
_LISTS = {"name", "staff"}
_BETWEEN_NAMES = r"[、,，/;；()（）\[\]\s]+"
# A ward or department is called alike everywhere.
_DEPARTMENT = re.compile(r".{0,6}(科|室|区|部|组|门诊)")
_DIGITS_OF_A_NAME = re.compile(r"(?:\D*\d){4}")
# Labels and metadata say powers, resolutions, versions and years as well.
_LONG_NUMBER = re.compile(r"(?<![0-9.])[0-9]{5}")
_LINE_END = re.compile(r"[\r\n|;]+")
_PATH_SEPARATOR = re.compile(r"[/\\]+")
_DATE = re.compile(r"(19|20)[0-9]{2}([-_.年]?[01]?[0-9]([-_.月]?[0-3]?[0-9]日?)?)?")


class Queries(Views, Protocol):
    """What answers SQL over catalog tables; an engine does."""

    def batches(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[pa.RecordBatch]:
        """The result of a query, piece by piece."""


def of_catalog(queries: Queries, catalog: Catalog, without: Iterable[str] = ()) -> Identifiers:
    """Every direct identifier of a catalog's newest state, each once.

    Words that pathcurate ships are none, even if somebody is so named.

    Args:
        queries: the engine.
        catalog: the catalog.
        without: more words that are none: codes of sites.

    Raises:
        InputOutputError: a table cannot be read.
    """
    shipped = {value for table in IDENTIFIED for column in table.columns for value in column.values}
    words = {code for codes in all_codes().values() for code in codes}
    return Identifiers(_values(queries, catalog), [*shipped, *words, *without])


def searched_columns(table: Table) -> list[Column]:
    """The columns whose values are searched for: direct identifiers, but for free text."""
    return [
        column
        for column in table.columns
        if column.identifying is Identifying.DIRECT
        and column.action is not Action.WITHHOLD
        and column.type in {Type.STRING, Type.STRINGS, Type.BYTES}
        and column.name not in _NO_IDENTIFIERS
    ]


def _values(queries: Queries, catalog: Catalog) -> Iterator[tuple[str, Iterable[str]]]:
    """Kinds, each with values of its own in order, and maybe again with others; no value comes twice."""
    selects: list[str] = []
    paths: list[tuple[str, str]] = []
    cells = 0
    for table in IDENTIFIED:
        if catalog.snapshot(table) is not None:
            columns = searched_columns(table)
            source = relation(queries, catalog, table, [column.name for column in columns])
            selects += _selects(columns, source)
            counts = [column_values(batch, "count") for batch in queries.batches(f"SELECT count(*) AS count FROM {source}")]
            cells += sum(chain.from_iterable(counts)) * len(columns)
            paths += [(f'"{column.name}"', source) for column in columns if column.type is Type.BYTES]
    if not selects:
        return
    # What is grouped must fit into memory: DuckDB's groups of texts cannot all be spilled. So they are grouped by shares of
    # their hashes, the tables being read for each share.
    shares = -(-cells // CELLS_AT_ONCE) or 1
    for batches in _ahead(queries, [_grouping(selects, share, shares) for share in range(shares)]):
        for kind, group in groupby((run for batch in batches for run in _runs(batch)), key=itemgetter(0)):
            yield kind, _telling(kind, chain.from_iterable(values for _, values in group))
    for name, source in paths:
        found = queries.batches(f"SELECT DISTINCT {name} FROM {source} WHERE {name} IS NOT NULL ORDER BY {name}")
        yield "file", _names(path_text(value) for batch in found for value in batch.column(0).to_pylist() if value)


def _grouping(selects: Sequence[str], share: int, shares: int) -> str:
    """SQL for one share of all values, with the kind of each."""
    where = f"hash(item.value) % {shares} = {share}" if shares > 1 else "true"
    # Of a value of two kinds the first counts. Sorted, so that a catalog gives the same identifiers in the same order.
    return (
        f"SELECT kind, value FROM (SELECT min(item.kind) AS kind, item.value AS value FROM ({' UNION ALL '.join(selects)}) "
        f"WHERE item.value IS NOT NULL AND {where} GROUP BY item.value) ORDER BY kind, value"
    )


def _ahead(queries: Queries, statements: Sequence[str]) -> Iterator[list[pa.RecordBatch]]:
    """The results of queries, of which the next one is made while one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        made: deque[Future[list[pa.RecordBatch]]] = deque()
        for number, sql in enumerate(statements):
            made.append(pool.submit(lambda sql: list(queries.batches(sql)), sql))
            if number:
                yield made.popleft().result()
        yield from (one.result() for one in made)


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[str, list[str]]]:
    """Kinds and values of a batch that is sorted by kind, each kind once."""
    values, first = column_values(batch, "value"), 0
    for kind, count in Counter(column_values(batch, "kind")).items():
        yield kind, values[first : first + count]
        first += count


def _selects(columns: Sequence[Column], source: str) -> Iterator[str]:
    """SQL for the values of a table's columns with their kinds, reading the table as few times as can be."""
    plain = [_item(column, f'"{column.name}"') for column in columns if column.type is Type.STRING]
    # A cell may hold two doctors, or a name and a note.
    names = [
        _item(column, f"""unnest(regexp_split_to_array("{column.name}", '{_BETWEEN_NAMES}'))""")
        for column in columns
        if KINDS[column.name] in _LISTS
    ]
    lists = [_item(column, f'unnest("{column.name}")') for column in columns if column.type is Type.STRINGS]
    if plain:
        yield f"SELECT unnest([{', '.join(plain)}]) AS item FROM {source}"
    yield from (f"SELECT {item} AS item FROM {source}" for item in (*names, *lists))


def _item(column: Column, value: str) -> str:
    return f"{{'kind': '{KINDS[column.name]}', 'value': {value}}}"


def _telling(kind: str, values: Iterable[str]) -> Iterable[str]:
    """What of values of a kind are identifiers, and no words that everybody uses."""
    if kind == "unit":
        return (value for value in values if _DEPARTMENT.fullmatch(value) is None)
    if kind == "label":
        lines = (line for value in values for line in _LINE_END.split(value))
        return (line for line in lines if _LONG_NUMBER.search(line) and _DATE.fullmatch(line.strip()) is None)
    return _names(values) if kind == "file" else values


def _names(paths: Iterable[str]) -> Iterator[str]:
    """File names without their extensions, and folders, that hold a number or are a person's name."""
    folders: set[str] = set()
    for path in paths:
        *above, name = _PATH_SEPARATOR.split(path)
        new = [folder for folder in above if folder not in folders]
        folders.update(new)
        for text in (name.rpartition(".")[0] or name, *new):
            if is_name(text) or (_DIGITS_OF_A_NAME.match(text) and _DATE.fullmatch(text) is None):
                yield text

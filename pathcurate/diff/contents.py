"""What of a version is compared: its tables, column by column, and what stands beside them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate import __version__, yamlsource
from pathcurate.digests import TableIdentity, sha256_text
from pathcurate.errors import InputOutputError
from pathcurate.model.attrition import UNIT_LEVEL
from pathcurate.model.diff import is_step_count
from pathcurate.model.evaluation import EVALUATION_PATH
from pathcurate.model.productfile import PRODUCT_FILE, ProductFile
from pathcurate.releases import Release
from pathcurate.tables import read_metadata, read_schema

SCORECARD_PATH = "quality/scorecard.json"
_OLD_HINT = "Compare releases that `pathcurate manifest build` made."
_MOST_BYTES = 64 << 20
"""Of a document beside the tables; none of ours comes near it."""
_LONG = 256 << 20
"""Bytes of a column of text beyond which it is compared piece by piece."""
_REPEATING = 4
"""Bytes of a file per value below which a column of text has few different ones, and is read as numbers of these."""


@dataclass(frozen=True, slots=True)
class TableContents:
    """One table of a version.

    Attributes:
        key: columns that identify its rows, none if it holds no such columns.
        identity: its digests, by which tables that are the same are known without being read.
        schema: its columns.
        read: gives the columns of these names, all rows in one order.
        pieces: gives one column piece by piece in that order; None where all rows are in memory anyway.
        long: columns of so much text that they are better read so.
    """

    key: tuple[str, ...]
    identity: TableIdentity
    schema: pa.Schema
    read: Callable[[Sequence[str]], pa.Table]
    pieces: Callable[[str], Iterator["pa.ChunkedArray[Any]"]] | None = None
    long: frozenset[str] = frozenset()

    def column(self, name: str) -> Iterator["pa.ChunkedArray[Any]"]:
        """One column, piece by piece where it can be."""
        if self.pieces is None:
            yield self.read([name])[name]
        else:
            yield from self.pieces(name)


@dataclass(frozen=True, slots=True)
class Contents:
    """What of one version is compared.

    Attributes:
        product: name of the product.
        version: its version.
        tables: by name.
        counts: slides, cases and patients.
        has_permissions: whether permission lists stand behind it.
        attrition: as :meth:`pathcurate.model.attrition.Attrition.as_dict` gives it.
        recipe: the resolved recipe.
        digest: of the release; empty for one that is not built yet.
        inputs: name of each input to its digest.
        deid: what ``MANIFEST.json`` says of what it tells about people; empty before 0.6.0.
        profile_digest: of the de-identification profile; empty before 0.6.0.
        file: what people say of the product; None if nobody wrote that.
        scorecard: ``quality/scorecard.json``; empty if there is none.
        tool: version of the program that made it.
    """

    product: str
    version: str
    tables: Mapping[str, TableContents]
    counts: Mapping[str, int]
    has_permissions: bool
    attrition: Mapping[str, Any]
    recipe: Mapping[str, Any]
    digest: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    deid: Mapping[str, Any] = field(default_factory=dict)
    profile_digest: str = ""
    file: ProductFile | None = None
    scorecard: Mapping[str, Any] = field(default_factory=dict)
    tool: str = __version__

    @property
    def unit_table(self) -> str:
        """Name of the table whose rows are the units; the first one's where the recipe does not say."""
        unit = self.recipe.get("unit")
        named = UNIT_LEVEL.get(unit, "") if isinstance(unit, str) else ""
        return named if named in self.tables else next(iter(self.tables), "")


def release_contents(release: Release) -> Contents:
    """What a release holds; its bytes must have been verified.

    Raises:
        InputOutputError: it is not as ``manifest build`` makes one: a document beside its tables cannot be read, or a table
            has another number of rows than its manifest says.
    """
    manifest, directory = release.manifest, release.directory
    try:
        attrition = json.loads(_read(directory, "quality/attrition.json"))
        level = finest_level(attrition)
        for step in attrition["steps"]:
            _check_step(step, level)
        recipe = _recipe(release)
        criteria(recipe)
        evaluation = _document(directory, EVALUATION_PATH)
        profile_digest = str(evaluation.get("profile_digest", ""))
        scorecard = _document(directory, SCORECARD_PATH)
        file = _product_file(directory)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, InputOutputError):
        # What they say of a fault may quote what they met.
        raise InputOutputError(
            f"{release.name} {release.version} has no attrition, no recipe or another document that can be read", _OLD_HINT
        ) from None
    tables = {name: _table(name, entry, release.paths(name)) for name, entry in release.tables.items()}
    return Contents(
        release.name, release.version, tables, manifest["counts"], manifest["permissions"]["configured"], attrition, recipe,
        release.digest, manifest["inputs"], manifest.get("deid", {}), profile_digest, file, scorecard,
        manifest["tool"]["version"],
    )  # fmt: skip


def _recipe(release: Release) -> Any:
    """The resolved recipe: its lock, or if code lists make that too long to be read as YAML, what the first footer says."""
    lock = _read(release.directory, "provenance/recipe.lock.yaml")
    if len(lock) <= yamlsource.MAX_BYTES:
        return yamlsource.load(lock, "recipe.lock.yaml", InputOutputError).data
    name = next(iter(release.tables))
    canonical = (read_schema(release.paths(name)[0]).metadata or {})[b"pathcurate.recipe"]
    if sha256_text(canonical) != release.manifest["recipe"]["canonical_sha256"]:
        raise ValueError("another recipe")
    return json.loads(canonical)


def _check_step(step: Mapping[str, Any], level: str) -> None:
    if not isinstance(step["id"], str) or not is_step_count(step["dropped"]) or not is_step_count(step["remaining"][level]):
        raise TypeError("no step of an attrition")


def finest_level(attrition: Mapping[str, Any]) -> str:
    """The finest level that an attrition counts; releases of before 0.8.0 do not say it."""
    return str(attrition["levels"][0]) if "levels" in attrition else "slides"


def criteria(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The criteria of a resolved recipe by id."""
    return {
        criterion["id"]: {**criterion, "part": part} for part in ("include", "exclude") for criterion in recipe.get(part, ())
    }


def _read(directory: Path, relpath: str) -> bytes:
    path = directory / relpath
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError("too large for what it should be")
    return path.read_bytes()


def _document(directory: Path, relpath: str) -> Mapping[str, Any]:
    """A JSON object of the release, empty if it has no such file: not every version wrote it."""
    if not (directory / relpath).exists():
        return {}
    content = json.loads(_read(directory, relpath))
    if not isinstance(content, dict):
        raise TypeError("no JSON object")
    return content


def _product_file(directory: Path) -> ProductFile | None:
    if not (directory / PRODUCT_FILE).exists():
        return None
    document = yamlsource.load(_read(directory, PRODUCT_FILE), PRODUCT_FILE, InputOutputError)
    return yamlsource.validate(document, ProductFile, InputOutputError)


# --- Tables ------------------------------------------------------------------------------------------------------


def _table(name: str, entry: Mapping[str, Any], paths: Sequence[Path]) -> TableContents:
    footers = [read_metadata(path) for path in paths]
    schema = footers[0].schema.to_arrow_schema()
    if sum(footer.num_rows for footer in footers) != entry["rows"]:
        raise InputOutputError(f"table {name} has another number of rows than its manifest says", _OLD_HINT)
    if any(not footer.schema.to_arrow_schema().equals(schema) for footer in footers):
        raise InputOutputError(f"the files of table {name} have different columns", _OLD_HINT)
    sizes = {column: _text_bytes(footers, schema, column) for column in schema.names}
    repeating = [column for column, size in sizes.items() if size is not None and size < _REPEATING * entry["rows"]]
    return TableContents(
        tuple(entry["key"]),
        {"digest": entry["table_digest"], "rows": entry["rows"], "schema_sha256": entry["schema_sha256"]},
        schema,
        partial(_columns, name, paths, repeating),
        partial(_pieces, name, paths),
        frozenset(column for column, size in sizes.items() if size is not None and size > _LONG),
    )


def _text_bytes(footers: Sequence[pq.FileMetaData], schema: pa.Schema, column: str) -> int | None:
    """Bytes of a column of text before compression, None for any other."""
    if schema.names.count(column) != 1 or not pa.types.is_string(schema.field(column).type):
        return None
    return sum(
        group.column(place).total_uncompressed_size
        for footer in footers
        for group in map(footer.row_group, range(footer.num_row_groups))
        for place in range(group.num_columns)
        if group.column(place).path_in_schema == column
    )


def _columns(name: str, paths: Sequence[Path], repeating: Sequence[str], columns: Sequence[str]) -> pa.Table:
    as_codes = [column for column in columns if column in repeating]
    with _told(name):
        files = (pq.ParquetFile(path, read_dictionary=as_codes) for path in paths)
        return pa.concat_tables([file.read(columns=list(columns)) for file in files])


def _pieces(name: str, paths: Sequence[Path], column: str) -> Iterator["pa.ChunkedArray[Any]"]:
    with _told(name):
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(columns=[column]):
                yield pa.chunked_array([batch.column(0)])


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, MemoryError) as error:
        raise InputOutputError(f"table {name} cannot be read as Parquet ({type(error).__name__})", _OLD_HINT) from None


def read_both(before: TableContents, after: TableContents, columns: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """The same columns of two versions of a table, read at the same time: Arrow reads one column on one core."""
    with ThreadPoolExecutor(2) as readers:
        old, new = (readers.submit(table.read, columns) for table in (before, after))
        return old.result(), new.result()

"""A release as it is looked at: its files, none of which is opened unless its bytes are those that were built."""

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from pathcurate import yamlsource
from pathcurate.errors import PathcurateError, UsageError
from pathcurate.model.column import Table
from pathcurate.model.deidentified import BETWEEN_TABLES, DEID_TABLES, SPLIT, released
from pathcurate.model.description import PartFile
from pathcurate.model.productfile import PRODUCT_FILE, ProductFile
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import made_columns, output_table
from pathcurate.model.text import TEXT_TABLES
from pathcurate.releases import table_parts
from pathcurate.storage import LocalSource
from pathcurate.tables import arrow_schema
from pathcurate.validate.arrays import Encoded, encoded
from pathcurate.validate.groups import TableFacts
from pathcurate.yamlsource import Document

TABLES: Mapping[str, Table] = {**DEID_TABLES, **TEXT_TABLES, **BETWEEN_TABLES}
"""What a release may hold."""
OWNERS = ("group_id", "patient_id", "case_id")
"""Columns that say whose a row is, the widest first."""
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LOCK = "provenance/recipe.lock.yaml"
OLD = "its manifest is of schema 1, whose releases hold fewer documents"
MOST_BYTES = 1 << 26
"""Of a document beside the data; a longer one is not read."""


_FILES = re.compile(
    r"MANIFEST\.json|manifest-s(?:ha256|m3)\.txt|report\.html|product\.yaml"
    r"|metadata/(?:dictionary\.json|croissant\.json|dcat\.jsonld|policy\.odrl\.jsonld|contract\.odcs\.yaml|DATASHEET\.(?:zh|en)\.md)"
    r"|provenance/(?:recipe\.lock\.yaml|prov\.jsonld|source-commitment(?:\.json|s\.parquet))"
    r"|quality/(?:attrition|labels|scorecard)\.json|quality/deid-evaluation\.(?:json|svg)"
    r"|quality/diff-from-[0-9A-Za-z.+-]+\.(?:json|md)"
    r"|registration/(?:cn-dossier|rendered/[a-z0-9-]+|sample/[a-z0-9_]+)\.json"
    r"|evaluation/(?:task|commitment|separation)\.json"
    r"|attestations/[0-9A-Za-z._-]+"
)


@dataclass(slots=True)
class OpenedTable:
    """A table whose files could be opened.

    Attributes:
        name: of the table.
        paths: its files.
        declared: its declaration; None if nobody declares such a table.
        schema: of its first file.
        facts: see :class:`TableFacts`.
        readable: columns whose type and bytes are as declared.
        is_key_unique: whether no two rows have the same key; None where that was not looked at.
    """

    name: str
    paths: tuple[Path, ...]
    declared: Table | None
    schema: pa.Schema
    facts: TableFacts
    readable: frozenset[str] = frozenset()
    _encoded: dict[str, Encoded] = field(default_factory=dict, repr=False)

    @property
    def rows(self) -> int:
        """Rows that were read."""
        return self.facts.rows

    def has(self, *columns: str) -> bool:
        """Whether all these columns can be read."""
        return self.readable.issuperset(columns)

    def columns(self, *names: str) -> pa.Table:
        """Whole columns."""
        return pa.concat_tables([pq.ParquetFile(path).read(columns=list(names)) for path in self.paths]).select(list(names))

    def codes(self, name: str) -> Encoded:
        """A column by number; kept, for many rules look at codes of people."""
        if name not in self._encoded:
            self._encoded[name] = encoded(self.columns(name)[name])
        return self._encoded[name]


def declared_table(name: str, recipe: Recipe | None) -> Table:
    """What a released table may hold: its own columns and, by the recipe, labels, sides and days from day 0."""
    table = TABLES[name]
    if name in BETWEEN_TABLES:
        return table
    if recipe is None or name not in DEID_TABLES:
        return released(table, (*table.names, SPLIT.name))
    return output_table(recipe, name, tuple(dict.fromkeys((*table.names, *made_columns(recipe, name)))))


def readable_columns(declared: Table, schema: pa.Schema, facts: TableFacts) -> frozenset[str]:
    """Columns whose type is the declared one, and whose bytes are of it in every row group."""
    wanted = arrow_schema(declared)
    return frozenset(
        name
        for name in schema.names
        if name in declared and schema.names.count(name) == 1 and schema.field(name).type == wanted.field(name).type
        and name in facts.columns and not facts.columns[name].unsound
    )  # fmt: skip


def written(table: OpenedTable) -> bytes:
    """The recipe that the footer of a table holds, as it is written there."""
    return bytes((table.schema.metadata or {}).get(b"pathcurate.recipe", b""))


def written_recipe(text: bytes) -> Recipe | None:
    """The recipe of a release, which declares its labels and sides; None if it says none that can be read."""
    try:
        return Recipe.model_validate(json.loads(text))
    except (ValueError, RecursionError):
        return None


class Opened:
    """A release of which the manifest is of its schema.

    Args:
        directory: the release.
        manifest: ``MANIFEST.json``.
        listed: digest of each file, by the list of checksums.
        changed: files whose bytes are not those that it vouches for.
    """

    def __init__(
        self, directory: Path, manifest: Mapping[str, Any], listed: Mapping[str, str], changed: Collection[str]
    ) -> None:
        self.directory = directory
        self.manifest = manifest
        self.digests = listed
        """Digest of each file, as the list of checksums states it."""
        self.listed = frozenset(listed) - frozenset(changed)
        self.changed = frozenset(changed)
        self.tables: dict[str, OpenedTable] = {}
        self.unread: dict[str, str] = {}
        """Table to why it could not be read."""
        self._documents: dict[str, bytes | None] = {}
        self._parsed: dict[str, Document | None] = {}

    def parts(self, name: str) -> tuple[PartFile, ...]:
        """The files of a table."""
        return table_parts(self.manifest["tables"][name])

    @cached_property
    def part_paths(self) -> frozenset[str]:
        """The files of all tables."""
        return frozenset(part.path for name in self.manifest["tables"] for part in self.parts(name))

    def is_own(self, relpath: str) -> bool:
        """Whether a file is one that releases have."""
        name = relpath.removeprefix("provenance/queries/").removesuffix(".sql")
        is_query = relpath == f"provenance/queries/{name}.sql" and name in self.manifest["tables"]
        return is_query or relpath in self.part_paths or _FILES.fullmatch(relpath) is not None

    def shown(self, relpath: str) -> str:
        """A file as a message may name it: whoever listed another one may have named it after a patient."""
        return relpath if self.is_own(relpath) else "a file that no release has"

    @cached_property
    def has_documents(self) -> bool:
        """Whether the release was built by a version that writes documents beside the data."""
        return not str(self.manifest["schema"]).endswith("/1")

    @property
    def unit(self) -> str:
        """The table whose rows are the cohort's units."""
        named = self.recipe.unit_table if self.recipe is not None else None
        return str(named if named in self.manifest["tables"] else next(iter(self.manifest["tables"])))

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe by which it was built: of the footer of a table, which is JSON and soon read, else of its lock."""
        for table in self.tables.values():
            found = written_recipe(written(table))
            if found is not None:
                return found
        document = self.yaml(LOCK)
        try:
            return None if document is None else Recipe.model_validate(document.data)
        except ValidationError:
            return None

    @cached_property
    def product(self) -> ProductFile | None:
        """What people say of the product; None if nobody does, or not in its form."""
        document = self.yaml(PRODUCT_FILE)
        return None if document is None else yamlsource.check(document, ProductFile)[0]

    def read(self, relpath: str) -> bytes | None:
        """A document; None if it is not listed, was changed, is too long or cannot be read."""
        if relpath not in self._documents:
            self._documents[relpath] = self._bytes(relpath)
        return self._documents[relpath]

    def _bytes(self, relpath: str) -> bytes | None:
        if relpath not in self.listed:
            return None
        try:
            with LocalSource(os.fsencode(self.directory / relpath)) as source:
                return source.read_at(0, source.size) if source.size <= MOST_BYTES else None
        except OSError:
            return None

    def text(self, relpath: str) -> str | None:
        """A document as text; None if there is none or it is not UTF-8."""
        content = self.read(relpath)
        try:
            return None if content is None else content.decode()
        except UnicodeDecodeError:
            return None

    def json(self, relpath: str) -> Any:
        """A document of JSON; None if there is none, or it is no JSON, or ``null``."""
        text = self.text(relpath)
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            return None

    def contract(self, relpath: str) -> Any:
        """A document of YAML that this program writes; None if there is none, or it is not such a document."""
        text = self.text(relpath)
        try:
            return None if text is None else _plain_yaml(text)
        except (ValueError, RecursionError, yaml.YAMLError):
            return None

    def yaml(self, relpath: str) -> Document | None:
        """A document of YAML with positions; None if there is none, or it is no YAML."""
        if relpath not in self._parsed:
            content = self.read(relpath)
            try:
                self._parsed[relpath] = None if content is None else yamlsource.load(content, relpath, UsageError)
            except PathcurateError:
                self._parsed[relpath] = None
        return self._parsed[relpath]


def _plain_yaml(text: str) -> Any:
    """YAML without positions, ten times as fast: of what this program writes, which has no alias and little depth.

    Raises:
        ValueError: it is not of that kind.
        yaml.YAMLError: it is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > yamlsource.MAX_DEPTH:
            raise ValueError("an alias, or too deep")
    return _Loader(text).get_single_data()


def every_text(value: Any) -> Iterator[str]:
    """All texts in a value of JSON, keys too; without recursion, however deep it is."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part


def every_object(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a value of JSON."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part

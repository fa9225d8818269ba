"""The frame of tables of which each row is read alone: events, glass, scanned files, merged numbers.

It finds the heads, applies the mapping, and counts what cannot be used, so that a million bad values are one finding; the
stage says what a row means. A file that is named with two mappings gives its rows by each of them.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pathcurate.delimited import Export, Loss, clean, open_export, shown_head
from pathcurate.forgotten import read_forgotten
from pathcurate.mapping import Mapping as ExportMapping
from pathcurate.mapping import load_mapping
from pathcurate.model.column import Table
from pathcurate.model.finding import Finding, Severity
from pathcurate.sources import (
    FileKey,
    ImportSummary,
    Intake,
    SourceFile,
    SourceRow,
    choose,
    digest,
    files_of,
    import_files,
    rules_digest,
)
from pathcurate.sources.forgetting import forget_files
from pathcurate.tables import Catalog
from pathcurate.text.heads import Heads, resolve
from pathcurate.text.values import is_ruined, parse_number
from pathcurate.workspace import FilePattern, Workspace

RULES: Mapping[str, tuple[Severity, str]] = {
    "row_misfit": (Severity.ERROR, "rows with more or fewer cells than there are heads, not imported"),
    "repeated_row": (Severity.INFO, "rows that repeat an earlier one in every cell, imported once"),
    "ruined_number": (
        Severity.WARNING,
        "numbers that a spreadsheet robbed of digits, left empty; export them as text",
    ),
    "not_understood": (Severity.WARNING, "values that could not be understood, left empty"),
}
"""What every table of rows may find, and how its findings say so."""
_LONGEST_NUMBER = 256


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file.

    Attributes:
        number: its number, that of the file's first row being 1.
        cells: its cells by head.
        given: its texts by our column, for the columns that the file has; empty where it says nothing.
        texts: the same, with the mapping's constants and values.
        mapping: name of the mapping by which it is read.
        epoch: the day that is 0 where dates are numbers; None where they are not.
    """

    number: int
    cells: Mapping[str, str]
    given: Mapping[str, str]
    texts: Mapping[str, str]
    mapping: str | None
    epoch: date | None


@dataclass
class Trouble:
    """What could not be used, counted."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_row: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, rule: str, row: int, column: str = "") -> None:
        """Count a row, or a value of a column, under a rule."""
        self.counts[rule, column] += 1
        self.first_row.setdefault((rule, column), row)

    def number(self, line: Line, name: str) -> str | None:
        """A number of something, as the row has it; None, and counted, if it would join what does not belong together."""
        text = line.texts.get(name)
        if not text:
            return None
        if is_usable(text):
            return text
        self.add("ruined_number" if is_ruined(text) else "not_understood", line.number, name)
        return None

    def value(self, line: Line, name: str, parse: Callable[[str], Any]) -> Any:
        """A value; None, and counted, if its text is not understood."""
        text = line.texts.get(name)
        value = parse(text) if text else None
        if text and value is None:
            self.add("not_understood", line.number, name)
        return value


@dataclass(frozen=True, slots=True)
class RowKind:
    """One kind of table.

    Attributes:
        table: the table that it fills.
        code: kind of the identifiers of its rows.
        noun: what its sources are of, for messages.
        place: where pathcurate.yaml names its sources.
        columns: canonical names that a mapping may give heads or constants for.
        rules: rule without the table's name, to its severity and what it says; :data:`RULES` among them.
        look: findings about the table as a whole, once it is written.
        looked_for: rules of these.
    """

    table: Table
    code: str
    noun: str
    place: str
    columns: tuple[str, ...]
    rules: Mapping[str, tuple[Severity, str]]
    look: Callable[[Catalog], list[Finding]]
    looked_for: frozenset[str]


@dataclass(frozen=True, slots=True)
class RowSource:
    """A configured source.

    Attributes:
        site: code of its site; empty for one of the whole workspace.
        path: its files.
        mapping: its mapping file.
        demand: raises a UsageError if rows of a file say nothing, given the columns that heads or constants fill, those that
            heads fill, and the file's name.
        read: what a row says; None, and counted in the trouble, if it says nothing that can be used.
        rules: what decides beside the mapping what ``read`` gives.
    """

    site: str
    path: FilePattern
    mapping: Path | None
    demand: Callable[[Collection[str], Collection[str], str], None]
    read: Callable[[Line, Trouble], SourceRow | None]
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to read a file."""

    mapping_name: str | None
    mapping: ExportMapping
    source: RowSource


@dataclass(frozen=True, slots=True)
class _Plan:
    """A file, and the ways in which it is read."""

    kind: RowKind
    file: SourceFile
    ways: tuple[_Way, ...]

    def rows(self) -> Iterator[SourceRow | Finding]:
        """Rows and findings of the file; see :func:`import_rows` for what it raises."""
        unknown: dict[int, str] | None = None
        for way in self.ways:
            named = [head for heads in way.mapping.columns.values() for head in heads]
            export = open_export(self.file.path, way.mapping.encoding, way.mapping.sheet, expected=named)
            heads = resolve(self.kind.table.name, export.heads, way.mapping.columns, self.file.path.name)
            way.source.demand({*heads.columns, *way.mapping.constants}, heads.columns, self.file.path.name)
            # A head is unknown if no mapping of the file uses it.
            unused = [index for index in heads.unknown if unknown is None or index in unknown]
            unknown = {index: shown_head(export.heads, index) for index in unused}
            trouble = Trouble()
            for line in _lines(export, heads, way, trouble):
                row = way.source.read(line, trouble)
                if row is not None:
                    yield row
            yield from self._findings(trouble, way.mapping_name)
        for index, head in (unknown or {}).items():
            name, file = self.kind.table.name, self.file
            yield Finding(
                f"{name}.unknown_column", Severity.INFO,
                f"{head} of {file.path.name} is not known and was not imported; a mapping can name it",
                stage=name, site=file.site or None, table=name, subject=f"{file.source_file} column {index + 1}",
            )  # fmt: skip

    def _findings(self, trouble: Trouble, mapping: str | None) -> Iterator[Finding]:
        name, by = self.kind.table.name, f" by {mapping}" if mapping else ""
        for (rule, column), count in trouble.counts.items():
            severity, what = self.kind.rules[rule]
            where = f"{column}: " if column else ""
            yield Finding(
                f"{name}.{rule}", severity,
                f"{where}{what}: {count}, the first in row {trouble.first_row[rule, column]} of {self.file.path.name}",
                stage=name, site=self.file.site or None, table=name, column=column or None,
                subject=self.file.source_file + by, count=count,
            )  # fmt: skip


def import_rows(
    workspace: Workspace,
    kind: RowKind,
    sources: Iterable[RowSource],
    *,
    only: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring a table up to date with its sources; a file that has not changed is not read again.

    Args:
        workspace: the workspace; the caller holds its lock.
        kind: the kind of table.
        sources: all configured sources.
        only: import only these files; each must be covered by a source.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: a source is missing or cannot be read.
        UsageError: a source cannot be decoded, or its mapping does not fit, or its ``demand`` refuses a file.
    """
    plans = _plans(workspace, kind, sources)
    configured = [plan.file for plan in plans.values()]
    chosen = choose(configured, only, kind.noun, kind.place) if only else None
    intake = _intake(workspace, kind, lambda file: plans[file.key].rows())
    return import_files(Catalog(workspace.catalog), intake, configured, chosen, progress=progress)


def forget_rows(workspace: Workspace, kind: RowKind, files: Collection[FileKey]) -> int:
    """Undo the import of files of such a table; see :func:`~pathcurate.sources.forgetting.forget_files`."""
    return forget_files(Catalog(workspace.catalog), _intake(workspace, kind, lambda _: ()), files)


def _intake(workspace: Workspace, kind: RowKind, read: Callable[[SourceFile], Iterable[SourceRow | Finding]]) -> Intake:
    return Intake(
        kind.table, kind.code, read, lambda table, *_: table, kind.look, kind.looked_for,
        forgotten=read_forgotten(workspace.vault),
    )  # fmt: skip


def _plans(workspace: Workspace, kind: RowKind, sources: Iterable[RowSource]) -> dict[FileKey, _Plan]:
    found: dict[tuple[str, Path], dict[tuple[Path | None, tuple[str, ...]], RowSource]] = {}
    for source in sources:
        for path in files_of(source.path, kind.noun, source.site):
            found.setdefault((source.site, path), {})[source.mapping, source.rules] = source
    named = {source.mapping for ways in found.values() for source in ways.values() if source.mapping is not None}
    mappings = {path: load_mapping(path, kind.columns) for path in named}
    plans = {}
    for (site, path), chosen in found.items():
        ways = tuple(
            _Way(os.path.relpath(source.mapping, workspace.root), mappings[source.mapping], source)
            if source.mapping is not None else _Way(None, ExportMapping(), source)
            for source in chosen.values()
        )  # fmt: skip
        rules = (text for way in ways for text in (way.mapping_name, way.mapping.model_dump_json(), *way.source.rules))
        read_as = digest([rules_digest(), *rules]).hex()
        file = SourceFile(site, path, os.path.relpath(path, workspace.root), read_as)
        plans[file.key] = _Plan(kind, file, ways)
    return plans


def _lines(export: Export, heads: Heads, way: _Way, trouble: Trouble) -> Iterator[Line]:
    for number, head in export.ruined:
        for name in (name for name, chosen in heads.columns.items() if head in chosen):
            trouble.add("ruined_number", number, name)
    seen: set[bytes] = set()
    for number, values in export.lines():
        if isinstance(values, Loss):
            trouble.add("row_misfit", number)
            continue
        cells = {head: clean(cell) for head, cell in zip(export.heads, values, strict=False) if head}
        said = digest(cells.values())
        if said in seen:
            trouble.add("repeated_row", number)
            continue
        seen.add(said)
        given = {name: heads.cell(cells, name) for name in heads.columns}
        yield Line(number, cells, given, _texts(given, way.mapping), way.mapping_name, export.epoch)


def _texts(given: Mapping[str, str], mapping: ExportMapping) -> dict[str, str]:
    texts = dict(given)
    for name, constant in mapping.constants.items():
        texts[name] = texts.get(name) or constant
    for name, translation in mapping.values.items():
        texts[name] = translation.get(texts.get(name, ""), texts.get(name, ""))
    return texts


def is_usable(number: str | None) -> bool:
    """Whether a text can be the number of something: see :func:`~pathcurate.text.values.parse_number`; not endless."""
    return number is not None and len(number) <= _LONGEST_NUMBER and parse_number(number) is not None


def source_row(identity: Iterable[str | None], row: dict[str, Any], said: Iterable[str | None]) -> SourceRow:
    """A row with its digests.

    Args:
        identity: what makes it this row, its site among it.
        row: its values.
        said: all else that the file says in it: rows of one identity that differ in it are several rows. It decides all
            values, because of rows that say the same only one is kept.
    """
    own = digest(identity)
    return SourceRow(own, digest([own.hex(), *said]), row)


def all_cells(line: Line) -> Iterator[str]:
    """Heads and cells of a row, in an order of their own, for what is ``said`` by every cell of it."""
    return (text for cell in sorted(line.cells.items()) for text in cell)


def all_values(table: Table, row: Mapping[str, Any]) -> Iterator[str | None]:
    """The values of a row but for where it stands, for what is ``said`` by those that have a column."""
    names = (name for name in table.names if name not in {*table.key, "source_file", "source_row"})
    return (None if (value := row.get(name)) is None else str(value) for name in names)

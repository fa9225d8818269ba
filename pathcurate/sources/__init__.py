"""The frame of every import: which files are new, changed, unchanged or gone, and whose rows a table then holds.

A file that has not changed is not read again. A row is known by what it says, not by where it stands: rows in another order,
files in another order, or an import in one go or day by day give the same table. A row that several files give is there
once, as the first of them (by path) gives it; ``source_rows`` remembers the others, so that it stays when that file goes.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.errors import InputOutputError, PathcurateError, UsageError
from pathcurate.findings import read_findings, record_findings
from pathcurate.forgotten import FILE, NOBODY, Forgotten
from pathcurate.model.column import Table
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.sources.appending import Added, appended, repeats_found, shared, total_rows
from pathcurate.sources.erased import without
from pathcurate.sources.filestate import content_sha256, file_state, readable
from pathcurate.sources.standing import given
from pathcurate.tables import Catalog, arrow_schema, from_rows
from pathcurate.workspace import FilePattern

ROWS_AT_ONCE = 20_000
"""Rows that are held as Python objects at a time."""
_DIGEST_BYTES = 16
_RUN_ROWS = 64
"""Rows that stand together at the least, on average, where taking them as a piece pays."""
_FRESH_NS = 2_000_000_000
"""A file changed so shortly before it was read may change again without a new time (FAT keeps times in steps of 2 s)."""
_AFTER_NAME = re.compile(r" (?:row|message|entry|line|column|by) ")

FileKey = tuple[str, str]
"""Site and path of a file."""
Record = dict[str, Any]
"""A row of ``sources``."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A configured file.

    Attributes:
        site: code of its site; empty for a file of the whole workspace, whose rows name theirs.
        path: where it lies.
        source_file: its path from the workspace, because 2023/visits.csv and 2024/visits.csv are two files.
        read_as: digest of all that decides, beside its bytes, which rows it gives.
        shown: what messages call it, if its name may be that of a case or a patient.
    """

    site: str
    path: Path
    source_file: str
    read_as: str
    shown: str = ""

    @property
    def key(self) -> FileKey:
        """What it is known by."""
        return self.site, self.source_file


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of a file.

    Attributes:
        identity: digest of what makes it this row, its site among it; what two rows of one identity differ in may be
            corrected later.
        content: digest of all that the file says in it.
        row: its values, without its identifier and source_file.
    """

    identity: bytes
    content: bytes
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        files: files read.
        rows: rows they gave.
        unchanged: files that were as they had been and were not read.
        removed: files that are no longer there or no longer configured, whose rows went.
        total: rows of the table afterwards.
        findings: what stands about the files of this import, read or unchanged, and about the table as a whole.
        forgotten: files that were not read, because their import was undone and they are as they were then.
    """

    files: int
    rows: int
    unchanged: int
    removed: int
    total: int
    findings: tuple[Finding, ...]
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Intake:
    """How one stage imports.

    Attributes:
        table: the table that it fills; the stage has the same name.
        code: kind of the identifiers of its rows, as of :func:`~pathcurate.pseudonyms.opaque_code`.
        read: rows and findings of one file.
        complete: what is known only from the whole table, given the rows that the table will have and those that it had.
        look: findings about the table as a whole, once it is written.
        looked_for: rules of these.
        derived: tables that ``complete`` writes, which are not to be believed if the table was not written after them.
        forgotten: persons who were erased, whose rows and files are left out.
        append: writes what new files add, as ``complete`` would have it, and gives what ``look`` would; None, with nothing
            written, if it cannot tell without the whole table.
    """

    table: Table
    code: str
    read: Callable[[SourceFile], Iterable[SourceRow | Finding]]
    complete: Callable[[pa.Table, pa.Table], pa.Table]
    look: Callable[[Catalog], list[Finding]]
    looked_for: frozenset[str]
    derived: tuple[Table, ...] = ()
    forgotten: Forgotten = NOBODY
    append: Callable[[Catalog, Added], list[Finding] | None] = lambda _catalog, _added: None

    def takes(self, file: SourceFile) -> bool:
        """Whether a file's name does not tell that it is about an erased person."""
        return not self.forgotten.holds((FILE, self.table.name, *file.key))

    def state(self, catalog: Catalog) -> str:
        """Names of the newest states of all its tables."""
        return " ".join(catalog.state(table) for table in (self.table, *self.derived))


def framed(parts: Iterable[str | None]) -> bytes:
    """Texts and missing values as bytes, so that no two sequences give the same; faster than JSON of long texts."""
    texts = ["-" if part is None else f"{len(part)}:{part}" for part in parts]
    return "".join(texts).encode(errors="surrogatepass")


def digest(parts: Iterable[str | None]) -> bytes:
    """Digest of texts and missing values; 16 bytes: that any two of 10^12 agree has a probability of 1.5e-15."""
    return hashlib.blake2b(framed(parts), digest_size=_DIGEST_BYTES).digest()


@functools.lru_cache(maxsize=1)
def rules_digest() -> str:
    """Digest of the shipped rules by which texts become values: the version, and every word list."""
    folder = Path(__file__).parents[1] / "text"
    lists = (text for path in sorted(folder.rglob("*.yaml")) for text in (path.name, path.read_text(encoding="utf-8")))
    return digest([__version__, *lists]).hex()


def files_of(pattern: FilePattern, noun: str, site: str) -> list[Path]:
    """The files of a source.

    Raises:
        InputOutputError: there is none, or a directory of it may not be read.
    """
    source = f"{noun} source {pattern.text}" + (f" of site {site}" if site else "")
    with readable(source):
        found = pattern.files()
    if not found:
        raise InputOutputError(
            f"{source}: no such file",
            "Correct `path` in pathcurate.yaml, or put the export there.",
        )
    return found


def choose(configured: Sequence[SourceFile], only: Sequence[Path], noun: str, place: str = "") -> list[SourceFile]:
    """The configured files, or those among them that are named.

    Args:
        configured: all of them.
        only: those that are named; none for all.
        noun: what the sources are of, for messages.
        place: where pathcurate.yaml names such sources; under the noun's plural, of their site, if empty.

    Raises:
        UsageError: a named file is not configured.
    """
    if not only:
        return list(configured)
    wanted = {path.resolve() for path in only}
    chosen = [(file, path) for file in configured if (path := file.path.resolve()) in wanted]
    missing = wanted - {path for _, path in chosen}
    if missing:
        raise UsageError(
            f"{min(missing).name} belongs to no {noun} source of pathcurate.yaml",
            f"Name it under {place or f'`{noun}s:` of its site'}, so that its site and mapping are known.",
        )
    return [file for file, _ in chosen]


def import_files(
    catalog: Catalog,
    intake: Intake,
    configured: Sequence[SourceFile],
    chosen: Sequence[SourceFile] | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring a table up to date with its files.

    The table is written first and what is remembered of the files last, bound to the table's state: whatever interrupts an
    import, the next one finds either the old state or one that it does not know, and then reads every file. A file that is
    refused keeps no other out: what it gave before stays, the others are imported, and then it is an error. A file whose
    import was undone is not read until its bytes change or it is among those chosen.

    Args:
        catalog: the catalog; the caller holds the lock on the workspace.
        intake: how the stage imports.
        configured: all configured files.
        chosen: the files to bring up to date; None for all, and then what came from a file that is not configured goes.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: a file cannot be read.
        UsageError: as ``intake.read`` says.
    """
    for table in (intake.table, SOURCE_ROWS, SOURCES):
        catalog.sweep(table)
    configured, chosen = list(filter(intake.takes, configured)), chosen and list(filter(intake.takes, chosen))
    known, forgotten = remembered(catalog, intake)
    named = {file.key for file in chosen or ()}
    if known is None:
        # What an interrupted import, or an earlier version, left behind says not enough: read everything.
        known, chosen = {}, None
    gone = known.keys() - {file.key for file in configured} if chosen is None else set[FileKey]()
    chosen = configured if chosen is None else chosen
    kept = {key: row for key, row in known.items() if key not in gone}
    reading, overall = Reading(intake), None
    refused: list[tuple[str, PathcurateError]] = []
    left = 0
    for number, file in enumerate(chosen, start=1):
        try:
            if file.key not in named and (same := _same_bytes(file.path, forgotten.get(file.key))) is not None:
                forgotten[file.key] = same
                left += 1
            elif (record := _unchanged(file, kept.get(file.key))) is not None:
                kept[file.key] = record
            else:
                reading.read(file)
                kept.pop(file.key, None)
                forgotten.pop(file.key, None)
        except (InputOutputError, UsageError) as error:
            refused.append((file.path.name, error))
        progress(number, len(chosen))
    if refused:
        if not reading.records:
            raise _refusal(refused)
        # One of these may be a file that is gone by its old name: nothing goes before all are read.
        kept, gone = {**kept, **{key: known[key] for key in gone}}, set()
    if reading.records or gone or catalog.snapshot(intake.table) is None:
        overall = _append_or_write(catalog, intake, reading, known.keys(), kept.keys())
    found, overall = conclude(catalog, intake, reading, kept, forgotten, overall)
    if refused:
        raise _refusal(refused, " The other files were imported.")
    names = {file.key for file in chosen}
    stands = [finding for finding in found if is_about(finding, names)]
    return ImportSummary(
        files=len(reading.records), rows=reading.rows, unchanged=len(chosen) - len(reading.records) - left,
        removed=len(gone), total=total_rows(catalog, intake.table), findings=(*stands, *reading.findings, *overall),
        forgotten=left,
    )  # fmt: skip


def conclude(
    catalog: Catalog, intake: Intake, reading: "Reading", kept: dict[FileKey, Record], forgotten: dict[FileKey, Record],
    overall: list[Finding] | None = None,
) -> tuple[list[Finding], list[Finding]]:  # fmt: skip
    """After the table is written: record what stands of the files kept and read, and remember them and the forgotten.

    With ``overall``, these are the findings about the table as a whole, and it is not looked at.

    Returns:
        Earlier findings about the files kept, and those about the table as a whole.
    """
    earlier = (finding for finding in read_findings(catalog, intake.table.name) if finding.rule not in intake.looked_for)
    found = [finding for finding in earlier if is_about(finding, kept)]
    overall = intake.look(catalog) if overall is None else overall
    record_findings(catalog, intake.table.name, [*found, *reading.findings, *overall])
    state = intake.state(catalog)
    records = (*kept.values(), *reading.records, *forgotten.values())
    _remember(catalog, intake.table, [{**row, "state": state} for row in records])
    return found, overall


def _refusal(refused: Sequence[tuple[str, PathcurateError]], others: str = "") -> PathcurateError:
    """The error about the first file that was refused, with names of the next ones."""
    (_, first), *more = refused
    also = f"; {len(more)} more refused: {', '.join(name for name, _ in more[:20])}" if more else ""
    return type(first)(first.message + also, first.hint + others)


def repeated_in_files(catalog: Catalog, table: Table) -> list[Finding]:
    """Rows that several files give, one finding for each pair of files."""
    rows = catalog.read(SOURCE_ROWS, columns=("site", "table", "source_file", "row_id"))
    return repeats_found(table, shared(rows.filter(pc.equal(rows["table"], pa.scalar(table.name)))))


# --- Files -------------------------------------------------------------------------------------------------------


def remembered(catalog: Catalog, intake: Intake) -> tuple[dict[FileKey, Record] | None, dict[FileKey, Record]]:
    """What is remembered of the files whose rows the table holds, and of those whose import was undone.

    The first is None if it is not of the tables' newest state.
    """
    rows = catalog.read(SOURCES)
    rows = rows.filter(pc.equal(rows["table"], pa.scalar(intake.table.name)))
    is_newest = set(pc.unique(rows["state"]).to_pylist()) == (
        {intake.state(catalog)} if catalog.snapshot(intake.table) else set()
    )
    records = {(row["site"], row["source_file"]): row for row in rows.to_pylist()}
    forgotten = {key: row for key, row in records.items() if row["forgotten_at"] is not None}
    known = {key: row for key, row in records.items() if key not in forgotten}
    return (known if is_newest else None), forgotten


def _unchanged(file: SourceFile, known: Record | None) -> Record | None:
    """What is remembered of a file if it would give the same again; None if it has to be read."""
    return _same_bytes(file.path, known) if known is not None and known["read_as"] == file.read_as else None


def _same_bytes(path: Path, known: Record | None) -> Record | None:
    """What is remembered of a file if it still is what it was; None if it is not, or nothing is remembered."""
    if known is None:
        return None
    size, mtime = file_state(path)
    if size != known["size_bytes"]:
        return None
    read_ns = int(known["imported_at"].replace(tzinfo=UTC).timestamp() * 1e9)
    if mtime == known["mtime_ns"] and mtime + _FRESH_NS < read_ns:
        return known
    return {**known, "mtime_ns": mtime} if content_sha256(path) == known["content_sha256"] else None


def is_about(finding: Finding, files: Collection[FileKey]) -> bool:
    """Whether a finding is about one of these files, or a row, message or column of one."""
    subject = finding.subject or ""
    ends = (match.start() for match in _AFTER_NAME.finditer(subject))
    return any((finding.site or "", subject[:end]) in files for end in (*ends, len(subject)))


def _remember(catalog: Catalog, table: Table, records: list[Record]) -> None:
    others = catalog.read(SOURCES)
    others = others.filter(pc.not_equal(others["table"], pa.scalar(table.name)))
    rows = pa.concat_tables([others, from_rows(SOURCES, records)])
    catalog.replace(SOURCES, rows.sort_by([(name, "ascending") for name in SOURCES.key]))


# --- Reading -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Reading:
    """What the files that are read give: rows as Arrow tables of at most :data:`ROWS_AT_ONCE`, and findings."""

    intake: Intake
    records: list[Record] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rows: int = 0
    _parts: list[pa.Table] = field(default_factory=list)
    _places: list[pa.Table] = field(default_factory=list)
    _waiting: list[tuple[FileKey, SourceRow]] = field(default_factory=list)

    def read(self, file: SourceFile) -> None:
        """Read one file; a row that it gives twice counts once. Of a file that is refused, nothing stays."""
        parts, waiting, findings = len(self._parts), len(self._waiting), len(self.findings)
        try:
            self._read(file)
        except PathcurateError:
            if len(self._parts) > parts:
                # What waited before begins the first piece that was packed since.
                self._parts[parts:] = [self._parts[parts].slice(0, waiting)]
                self._places[parts:] = [self._places[parts].slice(0, waiting)]
                waiting = 0
            del self._waiting[waiting:], self.findings[findings:]
            raise

    def _read(self, file: SourceFile) -> None:
        # Before it is read: if it is written to meanwhile, the next import finds another file than the one noted here.
        size, mtime = file_state(file.path)
        record = {
            "site": file.site, "table": self.intake.table.name, "source_file": file.source_file, "size_bytes": size,
            "mtime_ns": mtime, "read_as": file.read_as, "content_sha256": content_sha256(file.path),
            "imported_at": datetime.now(UTC).replace(tzinfo=None),
        }  # fmt: skip
        seen: set[bytes] = set()
        repeated: list[int] = []
        for item in without(self.intake.forgotten, self.intake.table.name, file, self.intake.read(file)):
            if isinstance(item, Finding):
                self.findings.append(item)
            elif item.content in seen:
                repeated.append(item.row["source_row"])
            else:
                seen.add(item.content)
                item.row["source_file"] = file.source_file
                self._waiting.append((file.key, item))
                if len(self._waiting) == ROWS_AT_ONCE:
                    self._pack()
        if repeated:
            self.findings.append(self._repeated(file, repeated))
        self.records.append({**record, "rows": len(seen)})
        self.rows += len(seen)

    def _repeated(self, file: SourceFile, numbers: list[int]) -> Finding:
        name, shown, first = self.intake.table.name, file.shown or file.path.name, min(numbers)
        several = f"{len(numbers)} rows of {shown} repeat earlier rows and were imported once; the first is row {first}"
        one = f"row {first} of {shown} repeats an earlier row and was imported once"
        return Finding(
            f"{name}.repeated_row", Severity.INFO, one if len(numbers) == 1 else several,
            stage=name, site=file.site or None, table=name, subject=file.source_file, count=len(numbers),
        )  # fmt: skip

    def _pack(self) -> None:
        places, waiting = [key for key, _ in self._waiting], [item for _, item in self._waiting]
        self._waiting = []
        schema = arrow_schema(self.intake.table)
        filled = {name for item in waiting for name in item.row}
        # The identifier is given when all files are known; until then it is no null, which the schema refuses.
        arrays = {name: pa.array([item.row.get(name) for item in waiting], schema.field(name).type) for name in filled}
        arrays[self.intake.table.key[0]] = pa.array([""] * len(waiting), pa.string())
        none = {field.name: pa.nulls(len(waiting), field.type) for field in schema if field.name not in arrays}
        self._parts.append(pa.table({**arrays, **none}).select(schema.names).cast(schema))
        self._places.append(
            pa.table(
                {
                    "site": pa.array([site for site, _ in places], pa.string()),
                    "source_file": pa.array([source_file for _, source_file in places], pa.string()),
                    "source_row": pa.array([item.row["source_row"] for item in waiting], pa.int64()),
                    "identity": pa.array([item.identity for item in waiting], pa.binary()),
                    "content": pa.array([item.content for item in waiting], pa.binary()),
                }
            )
        )

    def packed(self) -> tuple[pa.Table, pa.Table]:
        """All rows read, and for each of them where it stands and its digests."""
        if self._waiting or not self._parts:
            self._pack()
        return pa.concat_tables(self._parts), pa.concat_tables(self._places)


# --- Whose rows a table holds ------------------------------------------------------------------------------------


def _append_or_write(
    catalog: Catalog, intake: Intake, reading: Reading, known: Collection[FileKey], kept: Collection[FileKey]
) -> list[Finding] | None:
    """Write what the files kept and read give; findings about the table as a whole, if they were found on the way."""
    is_night, read = known and kept == known, reading.packed()
    overall = appended(catalog, intake.table, intake.code, read, known, intake.append) if is_night else None
    if overall is None:
        write(catalog, intake, reading, kept, is_new=not known)
    return overall


def write(catalog: Catalog, intake: Intake, reading: Reading, kept: Collection[FileKey], *, is_new: bool) -> None:
    """Write the table and ``source_rows`` of the files kept and read."""
    table = intake.table
    everything = catalog.read(SOURCE_ROWS)
    mine = pc.equal(everything["table"], pa.scalar(table.name))
    others, earlier, before = everything.filter(pc.invert(mine)), everything.filter(mine), catalog.read(table)
    if is_new:
        earlier, before = earlier.slice(0, 0), before.slice(0, 0)
    fresh, places = reading.packed()
    named = zip(earlier["site"].to_pylist(), earlier["source_file"].to_pylist(), strict=True)
    standing = given(earlier.filter(pa.array([pair in kept for pair in named], pa.bool_())), places, intake.code)
    owners = standing.filter(pc.equal(standing["is_first"], pa.scalar(True)))
    owners = owners.sort_by([(name, "ascending") for name in ("site", "source_file", "source_row", "row_id")])
    # Where a row's values are: among those read, or among those that the table has.
    at_before = pc.index_in(owners["old_id"], before[table.key[0]].combine_chunks()).to_numpy(zero_copy_only=False)
    at_fresh = owners["place"].to_numpy(zero_copy_only=False)
    index = np.where(np.isnan(at_fresh), at_before + fresh.num_rows, at_fresh).astype(np.int64)
    data = gathered(pa.concat_tables([fresh, before]), index)
    for name, source in ((table.key[0], "row_id"), ("source_file", "source_file"), ("source_row", "source_row")):
        at = data.schema.get_field_index(name)
        data = data.set_column(at, data.schema.field(at), owners[source].cast(data.schema.field(at).type))
    catalog.replace(table, intake.complete(data, before))
    rows = standing.select([name for name in SOURCE_ROWS.names if name != "table"])
    rows = rows.append_column("table", pa.array([table.name] * rows.num_rows, pa.string()))
    rows = pa.concat_tables([others, rows.select(SOURCE_ROWS.names).cast(others.schema)])
    catalog.replace(SOURCE_ROWS, rows.sort_by([(name, "ascending") for name in SOURCE_ROWS.key]))


def gathered(table: pa.Table, index: "np.ndarray[Any, np.dtype[np.int64]]") -> pa.Table:
    """Rows by their places, piece by piece: Arrow would join all texts of a column into one piece, of at most 2 GB."""
    ends = np.flatnonzero(np.diff(index) != 1) + 1
    if len(ends) * _RUN_ROWS <= len(index):
        # The rows of a file stand together, before and after.
        runs = [run for run in np.split(index, ends) if len(run)]
        return pa.concat_tables([table.schema.empty_table(), *(table.slice(int(run[0]), len(run)) for run in runs)])
    batches = table.to_batches(max_chunksize=ROWS_AT_ONCE)
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    pieces = [table.schema.empty_table()]
    for start in range(0, len(index), ROWS_AT_ONCE):
        wanted = index[start : start + ROWS_AT_ONCE]
        holders = np.searchsorted(starts, wanted, side="right") - 1
        taken = ((batches[holder], wanted[holders == holder] - starts[holder]) for holder in np.unique(holders))
        found = [pa.Table.from_batches([batch.take(pa.array(places, pa.int64()))]) for batch, places in taken]
        back = np.argsort(np.argsort(holders, kind="stable"))
        pieces.append(pa.concat_tables(found).take(back).combine_chunks())
    return pa.concat_tables(pieces)

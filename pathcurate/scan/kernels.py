"""What runs in the engine's workers: one file per row, every failure recorded in its row."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pathcurate.digests import canonical_json
from pathcurate.engines import LossReason
from pathcurate.model.slide import FILES, SLIDES, SlideHeader
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import NO_READER, NO_READER_VERSION, SLIDE_EXTENSIONS, ReadResult, dicom, read_slide, unreadable
from pathcurate.scan.columns import Coded, mixed, text_codes, whole_numbers
from pathcurate.scan.index import NO_TIME, short_digest
from pathcurate.scan.listing import extension
from pathcurate.storage import OfflineError, Root, Source
from pathcurate.tables import arrow_schema
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.slidenames import read_names

Row = dict[str, Any]

_INPUT: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("root", pa.int32()), ("relpath", pa.binary()), ("size", pa.int64()), ("mtime", pa.int64()),
    ("file_count", pa.int64()), ("is_offline", pa.bool_()), ("slide", pa.int64()), ("file", pa.int64()),
)  # fmt: skip
HEADER_INPUT: Final[pa.Schema] = pa.schema(_INPUT)
"""Files to read: ``root`` is an index into :attr:`ScanSpec.roots`; ``slide`` and ``file`` are the caller's own notes."""

# A row of a file that is no slide has no status, so what `slides` requires may be missing here.
_OUTPUT: "Final[Sequence[pa.Field[Any]]]" = (
    pa.field("kind", pa.string(), nullable=False),
    pa.field("slide", pa.int64()),
    pa.field("file", pa.int64()),
    pa.field("content", pa.uint64()),
    *(field.with_nullable(True) for field in arrow_schema(SLIDES)),
    *(arrow_schema(FILES).field(name) for name in ("group", "part")),
)
HEADER_SCHEMA: Final[pa.Schema] = pa.schema(_OUTPUT)
"""``kind`` is ``slide``, or one of ``FILE_KINDS``; ``content`` is the :func:`content_key` of a slide."""
NAMED: Final = ("accession_raw", "specimen", "block", "stain_raw", "stain", "preparation", "organ", "is_control")
"""Columns that the site's patterns and the vocabularies make of a slide's names."""
_MOST_REFERENCES: Final = 2000
_CONTENT: "Final[pa.Schema]" = pa.schema(
    [
        arrow_schema(SLIDES).field(name)
        for name in ("site", "relpath", "size_bytes", "header_fingerprint", "shape_fingerprint", "compression", "mtime")
    ]
)
_HEADER_FIELDS: Final = tuple(field.name for field in fields(SlideHeader))
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  a file's time in UTC, without a zone as the table has it


@dataclass(frozen=True)
class ScanSpec:
    """Settings of the header pass; picklable.

    Attributes:
        roots: archive roots.
        places: site code and archive name of each root.
        patterns: accession patterns of each root's site.
        rules: digest of the rules by which names are read, of each root's site.
        io_threads: files of one batch that are read at the same time.
    """

    roots: tuple[Root, ...]
    places: tuple[tuple[str, str], ...]
    patterns: tuple[tuple[str, ...], ...]
    rules: tuple[str, ...]
    io_threads: int = 1

    def root_number(self, row: Row) -> int:
        """Index of the root that a slide lies below."""
        return self.places.index((row["site"], row["archive"]))

    def named(self, row: Row) -> Row:
        """A slide with what its names say by the patterns of its site."""
        number = self.root_number(row)
        return {**row, **names_columns(row, self.patterns[number], self.rules[number])}


def read_headers(batch: pa.RecordBatch, spec: ScanSpec) -> pa.RecordBatch:
    """Kernel: the header of each file of :data:`HEADER_INPUT`; see :data:`HEADER_SCHEMA`."""
    files = batch.to_pylist()
    if spec.io_threads > 1:
        with ThreadPoolExecutor(min(spec.io_threads, len(files) or 1)) as pool:
            rows = list(pool.map(lambda file: _read_file(file, spec), files))
    else:
        rows = [_read_file(file, spec) for file in files]
    try:
        read = pa.RecordBatch.from_pylist(rows, schema=HEADER_SCHEMA)
    except Exception:  # noqa: BLE001  one value that no column can hold must not cost the other rows, nor the run
        pairs = zip(files, rows, strict=True)
        read = pa.RecordBatch.from_pylist([_storable(row, file, spec) for file, row in pairs], schema=HEADER_SCHEMA)
    at = HEADER_SCHEMA.get_field_index("content")
    columns: list[pa.Array[Any]] = read.columns
    columns[at] = pa.array(content_keys(read), pa.uint64())
    return pa.RecordBatch.from_arrays(columns, schema=HEADER_SCHEMA)


def lost_header(row: pa.RecordBatch, reason: LossReason, spec: ScanSpec) -> pa.RecordBatch:
    """The row of a file that kills or hangs its reader; a slide whatever its name, so that it is not lost from sight."""
    header = SlideHeader(reason, "the reader did not survive this file")
    rows = [_slide_row(header, NO_READER, NO_READER_VERSION, file, spec) for file in row.to_pylist()]
    return pa.RecordBatch.from_pylist(rows, schema=HEADER_SCHEMA)


def _storable(row: Row, file: Row, spec: ScanSpec) -> Row:
    try:
        pa.RecordBatch.from_pylist([row], schema=HEADER_SCHEMA)
    except Exception as error:  # noqa: BLE001  see read_headers
        return _failed(error, file, spec)
    return row


def _failed(error: Exception, file: Row, spec: ScanSpec) -> Row:
    """The row of a file on which a reader failed; of the error only its type, since its message may hold values."""
    header = SlideHeader("reader_crashed", f"the reader raised {type(error).__name__}")
    return _slide_row(header, None, None, file, spec)


def _read_file(file: Row, spec: ScanSpec) -> Row:
    """The row of one file; one that is no slide by content or name may have the status ``unreadable`` all the same."""
    if file["is_offline"]:
        return _offline(file, spec)
    try:
        with spec.roots[file["root"]].open(file["relpath"]) as source:
            result = read_slide(source)
            if result is not None and source.changed():
                changed = SlideHeader("unreadable", "the file changed while it was read")
                result = ReadResult(changed, NO_READER, NO_READER_VERSION)
    except OfflineError:
        return _offline(file, spec)
    except OSError as error:
        result = unreadable(error)
    except Exception as error:  # noqa: BLE001  readers meet hostile files; whatever they raise is about this file alone
        return _failed(error, file, spec)
    if result is None:
        return {**_plain_row("other", file, spec), **_directory(file, spec)}
    if result.part is not None:
        facts = json.dumps(result.part.facts, sort_keys=True)
        header = {"status": result.header.status, "status_detail": result.header.status_detail}
        row = {**_plain_row(result.part.kind, file, spec), **header, "reader": result.reader}
        return {**row, "group": result.part.group, "part": facts, "reader_version": result.reader_version}
    row = _slide_row(result.header, result.reader, result.reader_version, file, spec)
    if result.header.status == "unreadable" and extension(file["relpath"]) not in SLIDE_EXTENSIONS:
        row["kind"] = "other"
    return row


def _directory(file: Row, spec: ScanSpec) -> Row:
    """What is wrong with a DICOMDIR (PS3.10 section 8): files that it names and that are not there; of at most 2,000."""
    if file["relpath"].rpartition(b"/")[2].upper() != b"DICOMDIR":
        return {}
    try:
        with spec.roots[file["root"]].open(file["relpath"]) as source:
            named = (dicom.directory_references(source) or [])[:_MOST_REFERENCES]
            missing = sum(not _is_beside(source, path) for path in named)
    except Exception:  # noqa: BLE001  it lists other files, which are found without it; a broken list costs nothing
        return {}
    if not missing:
        return {}
    detail = f"{missing} of {len(named)} files that it names are not there"
    return {"status": "companion_missing", "status_detail": detail}


def _is_beside(source: Source, path: bytes) -> bool:
    try:
        with source.beside(path):
            return True
    except FileNotFoundError:
        return False


def _offline(file: Row, spec: ScanSpec) -> Row:
    if extension(file["relpath"]) not in SLIDE_EXTENSIONS:
        return {**_plain_row("other", file, spec), "status": "offline", "storage_state": "offline"}
    header = SlideHeader("offline", "its bytes are in cold storage or on no disk; nothing of it was read")
    return {**_slide_row(header, NO_READER, NO_READER_VERSION, file, spec), "storage_state": "offline"}


def _plain_row(kind: str, file: Row, spec: ScanSpec) -> Row:
    """Where a file is, how large and how old."""
    site, archive = spec.places[file["root"]]
    mtime = None if file["mtime"] == NO_TIME else _EPOCH + timedelta(microseconds=file["mtime"])
    return {
        "kind": kind, "slide": file["slide"], "file": file["file"], "site": site, "archive": archive,
        "relpath": file["relpath"], "size_bytes": file["size"], "mtime": mtime,
    }  # fmt: skip


def _slide_row(header: SlideHeader, reader: str | None, version: int | None, file: Row, spec: ScanSpec) -> Row:
    root = file["root"]
    row = _plain_row("slide", file, spec)
    row |= {name: getattr(header, name) for name in _HEADER_FIELDS}
    row |= names_columns(row, spec.patterns[root], spec.rules[root])
    row |= looked_at(spec.roots[root].uri(file["relpath"]))
    row |= {"file_count": file["file_count"], "reader": reader, "reader_version": version}
    row["barcode_source"], row["barcode_confidence"] = ("header", 1.0) if header.barcode else (None, None)
    row["label_text_source"], row["label_text_confidence"] = ("header", 1.0) if header.label_text else (None, None)
    return {**row, "slide_id": first_id(row)}


def looked_at(uri: str) -> Row:
    """What every row that was just read says of the reading."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return {"uri": uri, "check_level": "header", "storage_state": "online", "scanned_at": now}


def names_columns(row: Row, patterns: Sequence[str], rules: str) -> Row:
    """What a slide's names say by the patterns of its site: :data:`NAMED` and ``names_rules``."""
    names = read_names(
        row["relpath"], row["barcode"], row["label_text"], row["metadata_texts"], _patterns(tuple(patterns))
    )  # fmt: skip
    return {**{name: getattr(names, name) for name in NAMED}, "names_rules": rules}


@lru_cache(maxsize=64)
def _patterns(patterns: tuple[str, ...]) -> AccessionPatterns:
    return AccessionPatterns(patterns)


def free_id(row: Row, is_taken: Callable[[str], bool]) -> str:
    """The name of a slide that is new here: one that was first seen here and has moved keeps its code, so its copy in its
    old place needs another.
    """
    taken: list[str] = []
    while is_taken(slide_id := first_id(row, taken)):
        taken.append(slide_id)
    return slide_id


def first_id(row: Row, taken: Iterable[str] = ()) -> str:
    """The name of a slide that is met for the first time; ``taken`` are names that others had before at its place."""
    identity = [row["site"], row["archive"], row["relpath"].hex(), row["size_bytes"], row["header_fingerprint"], *taken]
    return opaque_code("S", hashlib.sha256(canonical_json(identity)).digest())


def content_keys(data: pa.Table | pa.RecordBatch) -> NDArray[np.uint64]:
    """64 bits of each row that slides share which may be one slide that has moved; 0 if nothing is known of the content."""
    table = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
    header = text_codes(table["header_fingerprint"])
    size = whole_numbers(table["size_bytes"], 0).astype(np.uint64)
    moment = whole_numbers(table["mtime"].cast(pa.int64()), NO_TIME)
    key = mixed(mixed(mixed(header, text_codes(table["site"])), size), text_codes(table["shape_fingerprint"]))
    # Uncompressed tiles all have one size, so two slides may agree in all this and differ in their pixels.
    is_raw = Coded(table["compression"]).each(lambda method: method == "none")
    key = mixed(key, np.where(is_raw, moment.astype(np.uint64), np.uint64(0))) | np.uint64(1)
    key = np.where(header > 0, key, np.uint64(0))
    # Of a file whose header says nothing (closed formats, damaged or offline files) its name tells, with size and time,
    # which a migration keeps.
    bare = np.flatnonzero((header == 0) & (size > 0) & table["mtime"].is_valid().to_numpy())
    for at, row in zip(bare.tolist(), table.select(["site", "relpath"]).take(bare).to_pylist(), strict=True):
        name = row["relpath"].rpartition(b"/")[2]
        said = f"{row['site']}\0{size[at]}\0{moment[at]}\0".encode() + name
        key[at] = short_digest(said) | 1
    return key


def content_key(row: Row) -> int:
    """The :func:`content_keys` of one row."""
    return int(content_keys(pa.Table.from_pylist([{name: row[name] for name in _CONTENT.names}], schema=_CONTENT))[0])

"""The indexes of a scan: every slide, file and arrival that the catalog knows, by the place where it should be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pathcurate.model.slide import ARRIVALS, FILE_KINDS, FILES, SLIDES
from pathcurate.readers import FAMILY_VERSION, READER_VERSIONS, dicom
from pathcurate.scan.columns import Coded, mixed, present, text_codes, whole_numbers
from pathcurate.scan.index import Index, Moved, read_index, short_digest
from pathcurate.scan.kernels import content_keys
from pathcurate.tables import Catalog

GROUP_READER: Final = dicom.NAME
"""Reader of the slides that are merged from parts."""
PARTS: Final = frozenset({"slide_part", "series_part"})
UNREAD: Final = frozenset({"unreadable", "reader_crashed", "timeout"})
"""States in which nothing was read, which another look may change although the file's size and time have not."""

SLIDE_PART, SERIES_PART, OTHER, GONE_FILE = range(len(FILE_KINDS))
_CONTENT: Final = ("site", "relpath", "size_bytes", "header_fingerprint", "shape_fingerprint", "compression", "mtime")


@dataclass(frozen=True, slots=True)
class Relocation:
    """Part of an archive that lies elsewhere now.

    Attributes:
        old: archive name and folder below its root (empty for all of it) where it was.
        new: where it is.
    """

    old: tuple[str, bytes]
    new: tuple[str, bytes]

    def applied(self, archive: str, relpath: bytes) -> tuple[str, bytes] | None:
        """Where a file lies now; None if it did not lie in the part that was moved."""
        name, folder = self.old
        if archive != name:
            return None
        if folder and not relpath.startswith(folder + b"/"):
            return None
        rest = relpath[len(folder) + 1 :] if folder else relpath
        return self.new[0], self.new[1] + b"/" + rest if self.new[1] else rest


Place = tuple[str, str]


class Codes:
    """Numbers for texts, in order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:
        """The number of a text, a new one if it has none."""
        return self._numbers.setdefault(value, len(self._numbers))

    def values(self) -> list[Any]:
        """The texts by their numbers."""
        return list(self._numbers)


@dataclass
class Known:
    """What the catalog knows before the scan, or after it.

    Attributes:
        slides: rows of ``slides``.
        files: rows of ``files`` that are there.
        arrivals: rows of ``arrivals`` that are not yet settled.
        archives: (site, archive) by the number in the fact ``archive`` of each index.
        statuses: by the number in the fact ``status`` of ``slides``.
    """

    slides: Index
    files: Index
    arrivals: Index
    archives: Codes
    statuses: Codes

    @classmethod
    def read(cls, catalog: Catalog, rules: Mapping[str, str], moves: Sequence[Relocation] = ()) -> "Known":
        """Read the indexes.

        Args:
            catalog: the catalog.
            rules: digest of the rules by which names are read, by site.
            moves: where parts of archives lie now.
        """
        archives, statuses = Codes(), Codes()
        facts = _slide_facts(archives, statuses, rules)
        slides = read_index(catalog, SLIDES, _SLIDE_COLUMNS, "slide_id", facts, by_id=True, moved=_moved(moves))
        return cls(slides, read_files(catalog, archives, moves), read_arrivals(catalog, archives), archives, statuses)


def read_files(catalog: Catalog, archives: "Codes", moves: Sequence[Relocation] = ()) -> Index:
    """The rows of ``files`` that are there."""
    return read_index(catalog, FILES, _FILE_COLUMNS, "owner", _file_facts(archives), by_id=False, moved=_moved(moves))


def read_arrivals(catalog: Catalog, archives: "Codes") -> Index:
    """The rows of ``arrivals``."""
    facts = _arrival_facts(archives)
    return read_index(catalog, ARRIVALS, _ARRIVAL_COLUMNS, "slide_id", facts, by_id=False, moved=_moved(()))


def _moved(moves: Sequence[Relocation]) -> Moved:
    if not moves:
        return None

    def applied(archive: str, relpath: bytes) -> tuple[str, bytes] | None:
        return next((place for move in moves if (place := move.applied(archive, relpath)) is not None), None)

    return applied


_SLIDE_COLUMNS: Final = (
    *_CONTENT, "status", "reader", "reader_version", "storage_state", "pixel_fingerprint", "names_rules", "scan_group",
    "thumbnail_hash", "barcode", "stain", "odd_values",
)  # fmt: skip


def _slide_facts(
    archives: Codes, statuses: Codes, rules: Mapping[str, str]
) -> Callable[[pa.Table], Mapping[str, NDArray[Any]]]:
    def facts(data: pa.Table) -> Mapping[str, NDArray[Any]]:
        status, site = Coded(data["status"]), Coded(data["site"])
        # A row that no reader made stays until its file changes.
        reader = Coded(data["reader"])
        version = whole_numbers(data["reader_version"], -1)
        current = reader.each(lambda name: READER_VERSIONS.get(name, -2), np.int64)
        return {
            "gone": status.each(lambda one: one == "gone"),
            "ok": status.each(lambda one: one == "ok"),
            "unread": status.each(UNREAD.__contains__),
            "status": status.each(statuses, np.uint8),
            "merged": reader.each(lambda name: name == GROUP_READER),
            "stale": reader.each(lambda name: name is not None) & (version != current),
            "offline": Coded(data["storage_state"]).each(lambda state: state == "offline"),
            "renamed": _renamed(site, Coded(data["names_rules"]), rules),
            "archive": _numbers(archives, site, Coded(data["archive"])),
            "grouped": present(data["scan_group"]),
            "odd": whole_numbers(_lengths(data["odd_values"]), 0) > 0,
            "looks": present(data["thumbnail_hash"]),
            "glass": _short(_glass(data)),
            "content": content_keys(data),
            "shape": text_codes(data["shape_fingerprint"]),
            "pixels": text_codes(data["pixel_fingerprint"]),
        }

    return facts


def _lengths(column: "pa.ChunkedArray[Any]") -> "pa.ChunkedArray[Any]":
    lengths: pa.ChunkedArray[Any] = pc.list_value_length(column)
    return lengths.cast(pa.int64())


def _renamed(site: Coded, rule: Coded, rules: Mapping[str, str]) -> NDArray[np.bool_]:
    """Whether names were read by other rules than their site has now."""
    wrong = [[one in rules and rules[one] != other for other in rule.values] for one in site.values]
    return np.asarray(np.array(wrong, np.bool_)[site.rows, rule.rows], np.bool_)


def _glass(data: pa.Table) -> NDArray[np.uint64]:
    """What slides share that may be rescans of one glass: see ``duplicates``, which looks closer."""
    barcode = text_codes(data["barcode"])
    code = mixed(mixed(barcode, text_codes(data["site"])), text_codes(data["stain"]))
    return np.where(barcode > 0, code | np.uint64(1), np.uint64(0))


def _short(codes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Half of the bits, for finding candidates that are then compared themselves; 0 stays 0, and nothing else becomes 0."""
    return np.where(codes > 0, (codes >> np.uint64(32)) | np.uint64(1), 0).astype(np.uint32)


def _numbers(archives: Codes, site: Coded, archive: Coded) -> NDArray[np.int16]:
    width = len(archive.values)
    pairs, rows = np.unique(site.rows * width + archive.rows, return_inverse=True)
    numbers = [archives((site.values[pair // width], archive.values[pair % width])) for pair in pairs.tolist()]
    return np.array(numbers, np.int16)[rows] if numbers else np.zeros(0, np.int16)


_LATER: Final = frozenset({"offline", "companion_missing"})
_FILE_COLUMNS: Final = ("kind", "group", "merged", "status", "reader_version")


def family_key(site: str, archive: str, kind: str, group: str | None, relpath: bytes) -> int:
    """64 bits that the files share which are merged together; a part that names no series belongs to no other file."""
    own = group if group is not None else f"file {relpath.hex()}"
    return short_digest("\0".join((site, archive, kind, own)).encode())


def _file_facts(archives: Codes) -> Callable[[pa.Table], Mapping[str, NDArray[Any]]]:
    def facts(data: pa.Table) -> Mapping[str, NDArray[Any]]:
        kinds, status = Coded(data["kind"]), Coded(data["status"])
        kind = kinds.each(FILE_KINDS.index, np.uint8)
        current = kinds.each(lambda one: FAMILY_VERSION if one == "other" else READER_VERSIONS[GROUP_READER], np.int64)
        return {
            "drop": kind == GONE_FILE,
            "gone": kind == GONE_FILE,
            "kind": kind,
            # Files that a DICOMDIR names may have come since.
            "unread": status.each(lambda one: one in UNREAD or one in _LATER),
            "lists": status.each(lambda one: one == "companion_missing") & (kind == OTHER),
            "stale": whole_numbers(data["reader_version"], -1) != current,
            "merged": Coded(data["merged"]).each(bool),
            "archive": _numbers(archives, Coded(data["site"]), Coded(data["archive"])),
            "family": _families(data, kind),
        }

    return facts


def _families(data: pa.Table, kind: NDArray[np.uint8]) -> NDArray[np.uint64]:
    parts = np.flatnonzero(kind <= SERIES_PART)
    families = np.zeros(len(kind), np.uint64)
    if parts.size:
        chosen = data.select(["site", "archive", "kind", "group", "relpath"]).take(parts)
        families[parts] = [family_key(**row) for row in chosen.to_pylist()]
    return families


_ARRIVAL_COLUMNS: Final = (*_CONTENT, "status", "reader", "reader_version", "names_rules")


def _arrival_facts(archives: Codes) -> Callable[[pa.Table], Mapping[str, NDArray[Any]]]:
    def facts(data: pa.Table) -> Mapping[str, NDArray[Any]]:
        reader = Coded(data["reader"])
        current = reader.each(lambda name: READER_VERSIONS.get(name, -2), np.int64)
        return {
            "gone": np.zeros(data.num_rows, np.bool_),
            "archive": _numbers(archives, Coded(data["site"]), Coded(data["archive"])),
            "stale": reader.each(lambda name: name is not None) & (whole_numbers(data["reader_version"], -1) != current),
            "content": content_keys(data),
        }

    return facts

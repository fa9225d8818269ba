"""The indexes of a scan: every slide, file and arrival that the catalog knows, by the place where it should be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pathcurate.model.slide import ARRIVALS, FILE_KINDS, FILES, SLIDES
from pathcurate.readers import FAMILY_VERSION, READER_VERSIONS, dicom
from pathcurate.scan.index import Index, read_index, short_digest
from pathcurate.scan.kernels import content_key
from pathcurate.tables import Catalog

GROUP_READER: Final = dicom.NAME
"""Reader of the slides that are merged from parts."""
PARTS: Final = frozenset({"slide_part", "series_part"})
UNREAD: Final = frozenset({"unreadable", "reader_crashed", "timeout"})
"""States in which nothing was read, which another look may change although the file's size and time have not."""

SLIDE_PART, SERIES_PART, OTHER, GONE_FILE = range(len(FILE_KINDS))
_CONTENT: Final = ("site", "size_bytes", "header_fingerprint", "shape_fingerprint", "compression", "mtime")


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


def _moved(moves: Sequence[Relocation]) -> Callable[[str, bytes], tuple[str, bytes] | None]:
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
        columns = {name: data[name].to_pylist() for name in ("site", "archive", *_SLIDE_COLUMNS)}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        status = columns["status"]
        return {
            "gone": np.array([one == "gone" for one in status], np.bool_),
            "ok": np.array([one == "ok" for one in status], np.bool_),
            "unread": np.array([one in UNREAD for one in status], np.bool_),
            "status": np.array([statuses(one) for one in status], np.uint8),
            "merged": np.array([reader == GROUP_READER for reader in columns["reader"]], np.bool_),
            "stale": np.array([_is_stale(row) for row in rows], np.bool_),
            "offline": np.array([state == "offline" for state in columns["storage_state"]], np.bool_),
            "renamed": np.array([_is_renamed(row, rules) for row in rows], np.bool_),
            "archive": _numbers(archives, columns),
            "grouped": np.array([group is not None for group in columns["scan_group"]], np.bool_),
            "odd": np.array([bool(names) for names in columns["odd_values"]], np.bool_),
            "looks": np.array([look is not None for look in columns["thumbnail_hash"]], np.bool_),
            "glass": np.array([_glass(row) for row in rows], np.uint64),
            "content": np.array([content_key(row) for row in rows], np.uint64),
            "shape": np.array([_short(shape) for shape in columns["shape_fingerprint"]], np.uint64),
            "pixels": np.array([_short(pixels) for pixels in columns["pixel_fingerprint"]], np.uint64),
        }

    return facts


def _is_stale(row: Mapping[str, Any]) -> bool:
    """Whether a newer reader would read the file; a row that no reader made stays until its file changes."""
    return row["reader"] is not None and row["reader_version"] != READER_VERSIONS.get(row["reader"])


def _is_renamed(row: Mapping[str, Any], rules: Mapping[str, str]) -> bool:
    """Whether its names were read by other rules than its site has now."""
    return row["site"] in rules and rules[row["site"]] != row["names_rules"]


def _glass(row: Mapping[str, Any]) -> int:
    """What slides share that may be rescans of one glass: see ``duplicates``, which looks closer."""
    if row["barcode"] is None:
        return 0
    return _short("\0".join((row["site"], row["barcode"], row["stain"] or "")))


def _short(text: str | None) -> int:
    return 0 if text is None else short_digest(text.encode()) or 1


def _numbers(archives: Codes, columns: Mapping[str, list[Any]]) -> NDArray[np.int16]:
    return np.array([archives(place) for place in zip(columns["site"], columns["archive"], strict=True)], np.int16)


_LATER: Final = frozenset({"offline", "companion_missing"})
_FILE_COLUMNS: Final = ("kind", "group", "merged", "status", "reader_version")


def family_key(site: str, archive: str, kind: str, group: str | None, relpath: bytes) -> int:
    """64 bits that the files share which are merged together; a part that names no series belongs to no other file."""
    own = group if group is not None else f"file {relpath.hex()}"
    return short_digest("\0".join((site, archive, kind, own)).encode())


def _file_facts(archives: Codes) -> Callable[[pa.Table], Mapping[str, NDArray[Any]]]:
    kinds: dict[str | None, int] = {kind: number for number, kind in enumerate(FILE_KINDS)}

    def facts(data: pa.Table) -> Mapping[str, NDArray[Any]]:
        names = ("site", "archive", "relpath", *_FILE_COLUMNS)
        columns = {name: data[name].to_pylist() for name in names}
        families = [
            family_key(site, archive, kind, group, relpath) if kind in PARTS else 0
            for site, archive, relpath, kind, group in zip(*(columns[name] for name in names[:5]), strict=True)
        ]
        current = [FAMILY_VERSION if one == "other" else READER_VERSIONS[GROUP_READER] for one in columns["kind"]]
        kind = np.array([kinds[one] for one in columns["kind"]], np.uint8)
        return {
            "drop": kind == GONE_FILE,
            "gone": kind == GONE_FILE,
            "kind": kind,
            # Files that a DICOMDIR names may have come since.
            "unread": np.array([one in UNREAD or one in _LATER for one in columns["status"]], np.bool_),
            "lists": np.array([one == "companion_missing" for one in columns["status"]], np.bool_) & (kind == OTHER),
            "stale": np.array(columns["reader_version"], object) != np.array(current, object),
            "merged": np.array([bool(one) for one in columns["merged"]], np.bool_),
            "archive": _numbers(archives, columns),
            "family": np.array(families, np.uint64),
        }

    return facts


_ARRIVAL_COLUMNS: Final = (*_CONTENT, "status", "reader", "reader_version", "names_rules")


def _arrival_facts(archives: Codes) -> Callable[[pa.Table], Mapping[str, NDArray[Any]]]:
    def facts(data: pa.Table) -> Mapping[str, NDArray[Any]]:
        columns = {name: data[name].to_pylist() for name in ("archive", *_ARRIVAL_COLUMNS)}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return {
            "gone": np.zeros(len(rows), np.bool_),
            "archive": _numbers(archives, columns),
            "stale": np.array([_is_stale(row) for row in rows], np.bool_),
            "content": np.array([content_key(row) for row in rows], np.uint64),
        }

    return facts

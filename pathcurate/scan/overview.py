"""What the archives hold, as one page and one JSON document: sizes, formats, scanners, years, failures, growth.

Counts are added up batch by batch and column by column, so millions of slides fit into little memory. Nothing here names a
patient or a file: no path, no number of a slide or of a scanner, and no text of a header that only a few slides have.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pathcurate.htmlreport.scanreport import Failure, Growth, Overview, Tally, overview_page
from pathcurate.model.slide import SLIDES
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace

_SCANS: Final = "scans.jsonl"
_LEAST: Final = 5
"""A scanner's name comes from a header and may be anything; one that fewer slides have is not shown."""
_RARE: Final = "other"
_COUNTED: Final = {
    "site": "sites", "archive": "archives", "format": "formats", "vendor": "vendors", "scanner_model": "scanners",
    "scan_datetime": "years", "status": "statuses", "check_level": "checks", "barcode_source": "barcodes",
    "label_text_source": "label_texts", "qc": "quality", "storage_state": "storage",
}  # fmt: skip
"""Column to the part of the overview that counts its values."""
_SUMS: Final = ("file_count", "tiles_checked", "tiles_bad", "tiles_decoded")
_PRESENT: Final = ("duplicate_of", "labels_version", "mpp_x")
_LARGE_PART: Final = 500_000  # rows
_NUMBER: Final = r"[0-9][0-9,.]*"
_ID_BYTES: Final = 24  # those of a slide_id, made up to three times 64 bits
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """What one scan changed at one site: a line of ``catalog/scans.jsonl``, by which the next overview tells the growth.

    Attributes:
        at: when it ended, ISO 8601 in UTC.
        site: the site.
        slides: slides known after it, without those that are gone.
        size_bytes: bytes of their files.
        new: slides that were not known before.
        changed: known slides whose files had changed.
        moved: slides found under another path.
        gone: slides that were no longer there.
    """

    at: str
    site: str
    slides: int
    size_bytes: int
    new: int
    changed: int
    moved: int
    gone: int


def record_scans(workspace: Workspace, records: Iterable[ScanRecord]) -> None:
    """Append what a scan changed; a line that a crash cut short is written over."""
    path = private_directory(workspace.catalog) / _SCANS
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b") as log:
        whole = log.read().rfind(b"\n") + 1
        log.truncate(whole)
        log.seek(whole)
        log.write(b"".join(json.dumps(asdict(record)).encode() + b"\n" for record in records))
        log.flush()
        os.fsync(log.fileno())


def read_scans(workspace: Workspace) -> list[ScanRecord]:
    """Every scan that was recorded, the earliest first; a damaged line is left out."""
    path = workspace.catalog / _SCANS
    return [record for line in (path.read_bytes().splitlines() if path.exists() else ()) if (record := _record(line))]


def _record(line: bytes) -> ScanRecord | None:
    try:
        record = ScanRecord(**json.loads(line))
        datetime.fromisoformat(record.at)
    except (ValueError, TypeError):
        return None
    return record


# --- Counting ----------------------------------------------------------------------------------------------------


class _Slides:
    """The slides of some sites that are there, read part by part and a few columns at a time.

    Attributes:
        gone: how many more are known that are no longer there.
    """

    def __init__(self, catalog: Catalog, codes: Collection[str]) -> None:
        self._catalog = catalog
        self._snapshot = catalog.snapshot(SLIDES)
        self._counts: list[NDArray[np.bool_]] = []
        self.gone = 0
        keys, chosen, gone = [], [], []
        for _, part in self._catalog.parts(SLIDES, ("slide_id", "site", "status"), self._snapshot):
            keys.append(_keys(part["slide_id"]))
            chosen.append(pc.is_in(part["site"], pa.array(sorted(codes), pa.string())).to_numpy())
            gone.append(pc.equal(part["status"], pa.scalar("gone")).to_numpy())
        for is_last, is_chosen, is_gone in zip(_last(keys), chosen, gone, strict=True):
            self.gone += int((is_last & is_chosen & is_gone).sum())
            self._counts.append(is_last & is_chosen & ~is_gone)

    def columns(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of the slides in pieces: part by part, and column by column where a part is large.

        Every piece also has ``size_bytes``.
        """
        groups = [tuple(dict.fromkeys((name, "size_bytes"))) for name in names]
        whole = tuple(dict.fromkeys((*names, "size_bytes")))
        for part, counts in zip(self._snapshot.parts if self._snapshot else (), self._counts, strict=True):
            alone = replace(self._snapshot, parts=(part,)) if self._snapshot else None
            for columns in [whole] if len(counts) <= _LARGE_PART else groups:
                for _, data in self._catalog.parts(SLIDES, columns, alone):
                    yield data.filter(pa.array(counts))

    def failed(self) -> Iterator[pa.Table]:
        """State, cause and size of the slides that are not usable."""
        parts = self._catalog.parts(SLIDES, ("status", "status_detail", "size_bytes"), self._snapshot)
        for (_, data), counts in zip(parts, self._counts, strict=True):
            yield data.filter(pc.and_(pc.not_equal(data["status"], pa.scalar("ok")), pa.array(counts)))


def _keys(identifiers: "pa.ChunkedArray[Any]") -> NDArray[np.uint64]:
    """64 bits for each slide_id, with which two of three million agree by chance once in four million archives."""
    keys = [np.zeros(0, np.uint64)]
    for start in range(0, len(identifiers), _LARGE_PART):
        some = identifiers.slice(start, _LARGE_PART)
        padded = pc.utf8_rpad(some, _ID_BYTES).cast(pa.binary(_ID_BYTES)).combine_chunks()
        content = memoryview(padded.buffers()[1] or b"")
        thirds = np.frombuffer(content, "<u8", 3 * len(padded), 8 * 3 * padded.offset).reshape(-1, 3)
        mixed = thirds[:, 0] * _MIX ^ thirds[:, 1]
        mixed = (mixed ^ mixed >> _SHIFT) * _MIX ^ thirds[:, 2]
        keys.append((mixed ^ mixed >> _SHIFT) * _MIX)
    return np.concatenate(keys)


def _last(keys: list[NDArray[np.uint64]]) -> Iterator[NDArray[np.bool_]]:
    """For each part which of its rows no later row replaces."""
    if len(keys) < 2:
        yield from (np.ones(len(part), np.bool_) for part in keys)
        return
    every = np.concatenate(keys)
    order = np.argsort(every, kind="stable")
    is_last = np.ones(len(every), np.bool_)
    is_last[order[:-1]] = every[order[1:]] != every[order[:-1]]
    yield from np.split(is_last, np.cumsum([len(part) for part in keys])[:-1])


class _Counts:
    """Slides and bytes by value of each column that is counted, causes of failure, and totals."""

    def __init__(self) -> None:
        self._slides: dict[str, Counter[str | None]] = {name: Counter() for name in _COUNTED}
        self._sizes: dict[str, Counter[str | None]] = {name: Counter() for name in _COUNTED}
        self.sums: Counter[str] = Counter()

    def add(self, piece: pa.Table) -> None:
        """Count what a piece of :meth:`_Slides.columns` holds."""
        for name in piece.column_names:
            if name in _COUNTED:
                self._add_values(name, piece)
            if name in _SUMS:
                self.sums[name] += int(pc.sum(piece[name]).as_py() or 0)
            if name in _PRESENT:
                self.sums[name] += piece.num_rows - piece[name].null_count

    def _add_values(self, name: str, piece: pa.Table) -> None:
        values = piece.select([name, "size_bytes"])
        if name == "scan_datetime":
            values = values.set_column(0, name, pc.cast(pc.year(values[name]), pa.string()))
        for row in values.group_by([name]).aggregate([([], "count_all"), ("size_bytes", "sum")]).to_pylist():
            self._slides[name][row[name]] += row["count_all"]
            self._sizes[name][row[name]] += row["size_bytes_sum"] or 0

    def tallies(self, name: str) -> tuple[Tally, ...]:
        """The values of a column, the most frequent first; slides without a value come last."""
        slides, sizes = self._slides[name], self._sizes[name]
        order = sorted(slides, key=lambda value: (value is None, -slides[value], value or ""))
        return tuple(Tally(value, slides[value], sizes[value]) for value in order)


def _failures(slides: _Slides) -> tuple[Failure, ...]:
    """States and causes of the slides that are not usable; numbers in a cause become ``n``, so that like goes with like."""
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for piece in slides.failed():
        causes = pc.replace_substring_regex(piece["status_detail"], _NUMBER, "n")
        data = piece.set_column(piece.column_names.index("status_detail"), "status_detail", causes)
        grouped = data.group_by(["status", "status_detail"]).aggregate([([], "count_all"), ("size_bytes", "sum")])
        for row in grouped.to_pylist():
            key = (row["status"], row["status_detail"] or "")
            counts[key] += row["count_all"]
            sizes[key] += row["size_bytes_sum"] or 0
    order = sorted(counts, key=lambda key: (-counts[key], key))
    return tuple(Failure(*key, counts[key], sizes[key]) for key in order)


def overview(workspace: Workspace, sites: Collection[str], now: datetime) -> Overview:
    """What the catalog knows of the archives of some sites.

    Args:
        workspace: the workspace.
        sites: codes of the sites; all if empty.
        now: when the overview is made, with its zone.

    Raises:
        InputOutputError: the catalog cannot be read.
    """
    codes = set(sites) or {site.code for site in workspace.sites}
    slides = _Slides(Catalog(workspace.catalog), codes)
    counts = _Counts()
    for piece in slides.columns((*_COUNTED, *_SUMS, *_PRESENT)):
        counts.add(piece)
    found = {part: counts.tallies(name) for name, part in _COUNTED.items()}
    offline = sum(tally.slides for tally in counts.tallies("storage_state") if tally.name == "offline")
    found.pop("storage")
    found["years"] = tuple(sorted(found["years"], key=lambda tally: tally.name or "~"))
    found["scanners"] = _common(found["scanners"])
    sums = counts.sums
    return Overview(
        at=now.astimezone(UTC).isoformat(timespec="seconds"),
        name=workspace.name,
        slides=sum(tally.slides for tally in found["statuses"]),
        size_bytes=sum(tally.size_bytes for tally in found["statuses"]),
        files=sums["file_count"],
        gone=slides.gone,
        **found,
        failures=_failures(slides),
        tiles_checked=sums["tiles_checked"],
        tiles_bad=sums["tiles_bad"],
        tiles_decoded=sums["tiles_decoded"],
        labels_read=sums["labels_version"],
        duplicates=sums["duplicate_of"],
        with_mpp=sums["mpp_x"],
        offline=offline,
        growth=tuple(_growth(read_scans(workspace), codes)),
    )


def _common(scanners: tuple[Tally, ...]) -> tuple[Tally, ...]:
    """The models that enough slides have; the others as one, and the slides without a model last."""
    rare = [tally for tally in scanners if tally.name is not None and tally.slides < _LEAST]
    others = Tally(_RARE, sum(tally.slides for tally in rare), sum(tally.size_bytes for tally in rare))
    named = [tally for tally in scanners if tally.name is not None and tally.slides >= _LEAST]
    return (*named, *([others] if rare else []), *(tally for tally in scanners if tally.name is None))


def _growth(records: Iterable[ScanRecord], codes: Collection[str]) -> Iterator[Growth]:
    """For each site its last scan, and what it brought beyond the one before."""
    last: dict[str, tuple[ScanRecord | None, ScanRecord]] = {}
    for record in records:
        before = last.get(record.site)
        last[record.site] = (before[1] if before else None, record)
    for site in sorted(codes & last.keys()):
        earlier, latest = last[site]
        yield Growth(
            site=site,
            at=latest.at,
            since=earlier.at if earlier else None,
            new=latest.new,
            changed=latest.changed,
            moved=latest.moved,
            gone=latest.gone,
            slides=latest.slides - (earlier.slides if earlier else 0),
            size_bytes=latest.size_bytes - (earlier.size_bytes if earlier else 0),
        )


def write_overview(workspace: Workspace, found: Overview) -> tuple[Path, Path]:
    """Write the overview below ``reports/``; the paths of page and JSON document.

    Two overviews of one second are told apart by a number.
    """
    stem = f"scan-{datetime.fromisoformat(found.at):%Y%m%d-%H%M%S}"
    folder = workspace.root / "reports"
    number, name = 1, stem
    while (folder / f"{name}.html").exists():
        number += 1
        name = f"{stem}-{number}"
    page, document = folder / f"{name}.html", folder / f"{name}.json"
    write_bytes(document, (json.dumps(as_document(found), ensure_ascii=False, indent=1) + "\n").encode())
    write_bytes(page, overview_page(found).encode())
    return page, document


def as_document(found: Overview) -> Mapping[str, Any]:
    """The overview as plain data for JSON."""
    return asdict(found)

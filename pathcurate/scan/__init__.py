"""Stage: archive roots become the ``slides`` and ``slide_keys`` tables, by header, without decoding a pixel."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pathcurate.digests import canonical_json
from pathcurate.engines import Engine
from pathcurate.errors import InterruptedRunError
from pathcurate.findings import record_findings
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import READER_VERSIONS
from pathcurate.scan.duplicates import regrouped
from pathcurate.scan.kernels import HEADER_SCHEMA, lost_header, read_headers
from pathcurate.scan.listing import Listing, file_kind, list_archive
from pathcurate.storage import Entry, path_uri
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.slidenames import SlideNames, read_names
from pathcurate.workspace import Site, Workspace

_TIMEOUT = 120.0
_BATCH_ROWS = 32
_COMMIT_ROWS = 20_000
# States that another look may change although the file's size and time have not; of the first three nothing was read.
_UNREAD = frozenset({"unreadable", "reader_crashed", "timeout"})
_RETRIED = _UNREAD | {"gone"}
_NAMED = ("accession_raw", "specimen", "block", "stain_raw", "stain", "is_control")
"""Columns that the site's patterns and the vocabularies make of a slide's names."""
_SEVERITIES = {"not_a_slide": Severity.WARNING, "unsupported": Severity.WARNING, "lfs_pointer": Severity.WARNING}

Row = dict[str, Any]
Place = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What a scan saw. For every run, ``walked = found + companions + others`` and ``found`` is the sum of ``statuses``.

    Attributes:
        walked: regular files below the roots.
        found: slides, in whatever state.
        companions: files that belong to a slide whose main file is counted as found.
        others: every other file, by extension.
        skipped: links, pipes, devices and folders that were not read, by kind.
        read: slides whose header was read now.
        unchanged: slides that stand as they were.
        moved: slides found under a new path.
        gone: known slides that are no longer there.
        statuses: found slides by status.
        findings: what was found.
    """

    walked: int
    found: int
    companions: int
    others: Mapping[str, int]
    skipped: Mapping[str, int]
    read: int
    unchanged: int
    moved: int
    gone: int
    statuses: Mapping[str, int]
    findings: tuple[Finding, ...]


def scan(
    workspace: Workspace,
    engine: Engine,
    *,
    sites: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ScanSummary:
    """Scan the archive roots; a slide whose size and time have not changed is not read again.

    Args:
        workspace: the workspace.
        engine: runs the header readers.
        sites: only these sites; all if empty.
        progress: called with files done and files to read.

    Raises:
        InputOutputError: an archive root cannot be listed; nothing was changed.
        InterruptedRunError: interrupted; slides read so far are kept.
    """
    codes = {workspace.site(code).code for code in sites} or {site.code for site in workspace.sites}
    chosen = [site for site in workspace.sites if site.code in codes]
    catalog = Catalog(workspace.catalog)
    listings = [list_archive(site, archive) for site in chosen for archive in site.archives]
    known = {_place(row): row for row in catalog.read(SLIDES).to_pylist() if row["site"] in codes}
    reading = _Reading(catalog, listings, known)
    try:
        reading.run(engine, progress)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"interrupted after {reading.read} slides", "They are kept; `pathcurate scan` goes on from there."
        ) from None
    finally:
        reading.commit()
    gone = reading.mark_gone()
    rows = {row["slide_id"]: row for row in catalog.read(SLIDES).to_pylist() if row["status"] != "gone"}
    changed = {row["slide_id"]: row for row in regrouped(rows.values(), workspace, engine)}
    named = list(_named((row for row in (rows | changed).values() if row["site"] in codes), chosen))
    changed.update((row["slide_id"], row) for row, _ in named if row is not rows[row["slide_id"]])
    catalog.upsert(SLIDES, from_rows(SLIDES, changed.values()))
    _keep_keys(catalog, named, codes)
    seen = [row for row, _ in named if _place(row) in reading.present]
    findings = [finding for listing in listings for finding in listing.findings()]
    findings += [finding for row in seen for finding in _row_findings(row)]
    record_findings(catalog, "scan", findings, sites=codes)
    return ScanSummary(
        walked=sum(len(listing.entries) + listing.companion_count for listing in listings),
        found=len(seen),
        companions=sum(listing.companion_count for listing in listings),
        others=dict(reading.others.most_common()),
        skipped=dict(Counter(item.kind for listing in listings for item in listing.skipped)),
        read=reading.read,
        unchanged=reading.unchanged,
        moved=reading.moved,
        gone=gone,
        statuses=dict(sorted(Counter(row["status"] for row in seen).items())),
        findings=tuple(findings),
    )


def _place(row: Row) -> Place:
    return row["site"], row["archive"], row["relpath"]


class _Missing:
    """Known slides whose file is no longer where it was, to be recognised by header and pixels elsewhere."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_content: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in rows:
            self._by_content[self._content(row)].append(row)

    @staticmethod
    def _content(row: Row) -> tuple[Any, ...]:
        # Uncompressed tiles all have one size, so two slides may agree in all this and differ in their pixels.
        mtime = row["mtime"] if row["compression"] == "none" else None
        return row["site"], row["size_bytes"], row["header_fingerprint"], row["pixel_fingerprint"], mtime

    def take(self, row: Row) -> Row | None:
        """The one missing slide with this content; None if there is none, or more than one to choose from."""
        same = self._by_content.get(self._content(row), [])
        return same.pop() if len(same) == 1 and row["header_fingerprint"] is not None else None

    def left(self) -> Iterator[Row]:
        """Those that were not found again."""
        for rows in self._by_content.values():
            yield from rows


class _Reading:
    """One pass over the files that are new or changed; rows are committed in parts as they come."""

    def __init__(self, catalog: Catalog, listings: Sequence[Listing], known: Mapping[Place, Row]) -> None:
        self._catalog = catalog
        self._known = known
        self._ids = {row["slide_id"] for row in known.values()}
        self._pending: list[Row] = []
        self.present = {listing.place(entry) for listing in listings for entry in listing.entries}
        hidden = {(listing.site.code, listing.archive.name): listing.is_hidden for listing in listings}
        self._missing = _Missing(
            row
            for place, row in known.items()
            # An archive that is no longer configured was not looked at, so its slides are not gone.
            if place not in self.present and place[:2] in hidden and not hidden[place[:2]](place[2])
        )
        self._todo = [
            (listing, entry) for listing in listings for entry in listing.entries if not self._is_unchanged(listing, entry)
        ]
        self.unchanged = len(self.present) - len(self._todo)
        self.others: Counter[str] = Counter()
        self.read = 0
        self.moved = 0
        self._replaced = 0

    def _is_unchanged(self, listing: Listing, entry: Entry) -> bool:
        row = self._known.get(listing.place(entry))
        if row is None or row["status"] in _RETRIED:
            return False
        if row["reader"] is not None and row["reader_version"] != READER_VERSIONS.get(row["reader"]):
            return False
        return bool(row["size_bytes"] == listing.size(entry) and row["mtime"] == listing.mtime(entry))

    def run(self, engine: Engine, progress: Callable[[int, int], None]) -> None:
        """Read what is to be read."""
        paths = [listing.path(entry) for listing, entry in self._todo]
        batches = (
            pa.record_batch({"path": pa.array(paths[start : start + _BATCH_ROWS], pa.binary())})
            for start in range(0, len(paths), _BATCH_ROWS)
        )
        todo = iter(self._todo)
        done = 0
        for batch in engine.run(read_headers, batches, None, HEADER_SCHEMA, on_crash=lost_header, timeout=_TIMEOUT):
            for header in batch.to_pylist():
                self._accept(*next(todo), header)
            done += batch.num_rows
            progress(done, len(paths))

    def _accept(self, listing: Listing, entry: Entry, header: Row) -> None:
        place = listing.place(entry)
        before = self._known.get(place)
        was_slide = before is not None and before["status"] != "gone"
        if header.pop("is_slide") or (was_slide and header["status"] in _UNREAD):
            self.read += 1
            self._keep(_described(listing, entry, header), before)
        else:
            self.others[file_kind(entry.relpath)] += 1
            self.present.discard(place)
            if before is not None:
                self._replaced += 1
            if before is not None and was_slide:
                self._pending.append({**before, "status": "gone", "status_detail": "another file has taken its place"})
        if len(self._pending) >= _COMMIT_ROWS:
            self.commit()

    def _keep(self, row: Row, before: Row | None) -> None:
        """Take a row, unless it says what is known already; then there is nothing new for later stages."""
        if before is None:
            self._pending.append({**row, "slide_id": self._identify(row)})
            return
        row["slide_id"] = before["slide_id"]
        if row["status"] in _UNREAD and all(row[name] == before[name] for name in ("size_bytes", "mtime")):
            # What was read of these bytes earlier still holds, and by it the slide is known if it moves.
            row = {**before, **{name: row[name] for name in ("status", "status_detail", "scanned_at")}}
        if any(before[name] != value for name, value in row.items() if name != "scanned_at"):
            self._pending.append(row)

    def _identify(self, row: Row) -> str:
        moved = self._missing.take(row)
        if moved is not None:
            self.moved += 1
            return str(moved["slide_id"])
        identity = [row["site"], row["archive"], row["relpath"].hex(), row["size_bytes"], row["header_fingerprint"]]
        slide_id = opaque_code("S", hashlib.sha256(canonical_json(identity)).digest())
        # A slide that was first seen here and has moved keeps its code, so its copy in its old place needs another.
        while slide_id in self._ids:
            identity.append(slide_id)
            slide_id = opaque_code("S", hashlib.sha256(canonical_json(identity)).digest())
        self._ids.add(slide_id)
        return slide_id

    def commit(self) -> None:
        """Keep what was read so far."""
        self._catalog.upsert(SLIDES, from_rows(SLIDES, self._pending))
        self._pending.clear()

    def mark_gone(self) -> int:
        """Mark the slides that were not found again; their number, earlier ones included."""
        left = list(self._missing.left())
        newly = [{**row, "status": "gone", "status_detail": None} for row in left if row["status"] != "gone"]
        self._catalog.upsert(SLIDES, from_rows(SLIDES, newly))
        return len(left) + self._replaced


def _described(listing: Listing, entry: Entry, header: Row) -> Row:
    names = read_names(entry.relpath, header["barcode"], header["label_text"], header["metadata_texts"], listing.patterns)
    return {
        **header,
        **_columns(names),
        "site": listing.site.code,
        "archive": listing.archive.name,
        "relpath": entry.relpath,
        "uri": path_uri(listing.path(entry)),
        "file_count": listing.file_count(entry),
        "size_bytes": listing.size(entry),
        "mtime": listing.mtime(entry),
        "check_level": "header",
        "storage_state": "online",
        "scanned_at": datetime.now(UTC).replace(tzinfo=None),
    }


def _columns(names: SlideNames) -> Row:
    return {name: getattr(names, name) for name in _NAMED}


def _row_findings(row: Row) -> Iterator[Finding]:
    common = {"stage": "scan", "site": row["site"], "table": "slides", "subject": row["slide_id"]}
    if row["status"] != "ok":
        kind = row["status"].partition(":")[0]
        detail = f" ({row['status_detail']})" if row["status_detail"] else ""
        message = f"slide {row['slide_id']} is {row['status']}{detail}"
        yield Finding(f"scan.{kind}", _SEVERITIES.get(kind, Severity.ERROR), message, column="status", **common)
    if row["duplicate_of"] is not None:
        message = f"slide {row['slide_id']} has the same pixels as slide {row['duplicate_of']}"
        yield Finding("scan.shared_pixels", Severity.WARNING, message, column="duplicate_of", **common)


def _named(rows: Iterable[Row], sites: Sequence[Site]) -> Iterator[tuple[Row, SlideNames]]:
    """Rows with what the patterns of today say of their names; a row that says it already is passed on itself."""
    patterns = {site.code: AccessionPatterns(site.accession.patterns) for site in sites}
    for row in rows:
        names = read_names(
            row["relpath"], row["barcode"], row["label_text"], row["metadata_texts"], patterns[row["site"]]
        )  # fmt: skip
        columns = _columns(names)
        is_same = all(row[name] == value for name, value in columns.items())
        yield row if is_same else {**row, **columns}, names


def _keep_keys(catalog: Catalog, named: Iterable[tuple[Row, SlideNames]], sites: Collection[str]) -> None:
    """Make these slides' numbers the keys of these sites; those of other sites stay."""
    keys = [row for row in catalog.read(SLIDE_KEYS).to_pylist() if row["site"] not in sites]
    keys += [
        {"slide_id": row["slide_id"], "site": row["site"], "key": key.key, "specimen": key.specimen,
         "block": key.block, "source": key.source, "raw": key.raw}
        for row, names in named
        for key in names.keys
    ]  # fmt: skip
    keys.sort(key=lambda key: (key["site"], key["key"], key["slide_id"], key["source"]))
    catalog.replace(SLIDE_KEYS, from_rows(SLIDE_KEYS, keys))

"""Stage: archive roots become the ``slides``, ``slide_keys`` and ``series`` tables, by header, without decoding a pixel."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pathcurate.digests import canonical_json
from pathcurate.engines import Engine
from pathcurate.errors import InputOutputError, InterruptedRunError
from pathcurate.findings import record_findings
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import FAMILY_VERSION, READER_VERSIONS
from pathcurate.scan.duplicates import regrouped
from pathcurate.scan.groups import (
    GROUP_READER,
    Memory,
    Place,
    Row,
    SlideGroup,
    is_merged,
    keep_names,
    place_of,
    series_rows,
    slide_groups,
    sums,
)
from pathcurate.scan.kernels import HEADER_SCHEMA, lost_header, read_headers
from pathcurate.scan.listing import Listing, file_kind, list_archive
from pathcurate.storage import Entry, path_uri
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.slidenames import SlideNames, read_names
from pathcurate.workspace import Site, Workspace

# A file that hangs is suspected when its batch is out of time, so it costs four minutes and then 15 s alone.
_TIMEOUT = 15.0
_BATCH_ROWS = 16
_COMMIT_ROWS = 20_000
# States that another look may change although the file's size and time have not; of the first three nothing was read.
_UNREAD = frozenset({"unreadable", "reader_crashed", "timeout"})
_RETRIED = _UNREAD | {"gone"}
_NAMED = ("accession_raw", "specimen", "block", "stain_raw", "stain", "preparation", "is_control")
"""Columns that the site's patterns and the vocabularies make of a slide's names."""
_SEVERITIES = {"not_a_slide": Severity.WARNING, "unsupported": Severity.WARNING, "lfs_pointer": Severity.WARNING}


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What a scan saw. For every run, ``walked = found + companions + instances + others``, and ``found`` is the sum of
    ``statuses``: a slide of n files is one of ``found`` and n - 1 of ``companions``.

    Attributes:
        walked: regular files below the roots.
        found: slides, in whatever state.
        companions: files that belong to a slide whose main file is counted as found.
        instances: files of DICOM series that are no slides.
        series: these series.
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
    instances: int
    series: int
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
    """Scan the archive roots; a file whose size and time have not changed is not opened again.

    Args:
        workspace: the workspace.
        engine: runs the header readers.
        sites: only these sites; all if empty.
        progress: called with files done and files to read.

    Raises:
        InputOutputError: an archive root cannot be listed, or holds no file although slides are known there, as when a
            mount has failed; nothing was changed.
        InterruptedRunError: interrupted; slides read so far are kept.
    """
    codes = {workspace.site(code).code for code in sites} or {site.code for site in workspace.sites}
    chosen = [site for site in workspace.sites if site.code in codes]
    catalog = Catalog(workspace.catalog)
    listings = [list_archive(site, archive) for site in chosen for archive in site.archives]
    slides = [row for row in catalog.read(SLIDES).to_pylist() if row["site"] in codes]
    # Where a slide is, another may have been.
    known = {place_of(row): row for row in sorted(slides, key=lambda row: row["status"] != "gone")}
    series = [row for row in catalog.read(SERIES).to_pylist() if row["site"] in codes]
    _refuse_empty(listings, [*known.values(), *series])
    reading = _Reading(catalog, listings, known, {row["slide_id"] for row in slides})
    try:
        reading.run(engine, progress)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"interrupted after {reading.read} slides", "They are kept; `pathcurate scan` goes on from there."
        ) from None
    finally:
        reading.commit()
    reading.finish(series)
    rows = {row["slide_id"]: row for row in catalog.read(SLIDES).to_pylist() if row["status"] != "gone"}
    changed = {row["slide_id"]: row for row in regrouped(rows.values(), workspace, engine)}
    named = list(_named((row for row in (rows | changed).values() if row["site"] in codes), chosen))
    changed.update((row["slide_id"], row) for row, _ in named if row is not rows[row["slide_id"]])
    catalog.upsert(SLIDES, from_rows(SLIDES, changed.values()))
    _keep_keys(catalog, named, codes)
    seen = [row for row, _ in named if reading.has_seen(row)]
    series = [row for row in catalog.read(SERIES).to_pylist() if row["series_id"] in reading.series]
    findings = [finding for listing in listings for finding in listing.findings()]
    findings += [finding for row in seen for finding in _row_findings(row)]
    findings += [_series_finding(row) for row in series if row["status"] != "ok"]
    record_findings(catalog, "scan", findings, sites=codes)
    return ScanSummary(
        walked=sum(len(listing.entries) + listing.companion_count for listing in listings),
        found=len(seen),
        companions=sum(listing.companion_count for listing in listings) + reading.further_files,
        instances=reading.instances,
        series=len(series),
        others=dict(reading.others.most_common()),
        skipped=dict(Counter(item.kind for listing in listings for item in listing.skipped)),
        read=reading.read,
        unchanged=len(seen) - reading.read,
        moved=reading.moved,
        gone=reading.gone,
        statuses=dict(sorted(Counter(row["status"] for row in seen).items())),
        findings=tuple(findings),
    )


def _refuse_empty(listings: Iterable[Listing], known: Iterable[Row]) -> None:
    """Refuse to take every slide of an archive for gone because its root is there and empty.

    Raises:
        InputOutputError: see :func:`scan`.
    """
    live = Counter((row["site"], row["archive"]) for row in known if row["status"] != "gone")
    for listing in listings:
        count = live[listing.site.code, listing.archive.name]
        if count and listing.is_empty:
            raise InputOutputError(
                f"archive {listing.archive.name} of site {listing.site.code} holds no file, but {count} slides or series "
                "are known there",
                "If its root is a mount, mount it. If everything was deleted on purpose, leave any file in it (a note will "
                "do), or take the archive out of pathcurate.yaml.",
            )


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
    """One pass over the files that are new or changed; rows are committed in parts as they come.

    Attributes:
        read: slides of which something was read.
        moved: slides found under a new path.
        gone: known slides that are not there, once :meth:`finish` has looked.
        others: files that are neither slides nor of a series, by extension.
        series: the series of which a file is there.
        instances: their files.
        further_files: files of merged slides beyond the first of each.
    """

    def __init__(
        self, catalog: Catalog, listings: Sequence[Listing], known: Mapping[Place, Row], ids: Collection[str]
    ) -> None:
        self._catalog = catalog
        self._known = known
        self._memory = Memory.read(catalog, {listing.site.code for listing in listings})
        self._ids = set(ids)
        self._pending: list[Row] = []
        self._present = {listing.place(entry): entry for listing in listings for entry in listing.entries}
        self._listings = {(listing.site.code, listing.archive.name): listing for listing in listings}
        self._missing = _Missing(row for place, row in known.items() if not is_merged(row) and self._is_missing(place))
        self._opened: set[Place] = set()
        self._merged: set[str] = set()
        self._singles: set[Place] = set()
        self._todo = [
            (listing, entry) for listing in listings for entry in listing.entries if not self._is_unchanged(listing, entry)
        ]
        self.read = 0
        self.moved = 0
        self.gone = 0
        self.others: Counter[str] = Counter()
        self.series: set[str] = set()
        self.instances = 0
        self.further_files = 0

    def _is_missing(self, place: Place) -> bool:
        """Whether a file is gone; not so if its folder could not be listed, or its archive is no longer configured."""
        listing = self._listings.get(place[:2])
        return place not in self._present and listing is not None and not listing.is_hidden(place[2])

    def _is_unchanged(self, listing: Listing, entry: Entry) -> bool:
        place = listing.place(entry)
        row = self._known.get(place)
        if row is not None and row["status"] != "gone" and not is_merged(row):
            is_current = row["reader"] is None or row["reader_version"] == READER_VERSIONS.get(row["reader"])
            if row["status"] in _UNREAD or not is_current or row["size_bytes"] != listing.size(entry):
                return False
            if row["mtime"] != listing.mtime(entry):
                return False
            self._singles.add(place)
            # Left behind by a run that was killed: the slide's row is the later word.
            self._memory.forget(place)
            return True
        file = self._memory.files.get(place)
        if file is None or file["status"] in _UNREAD:
            return False
        version = FAMILY_VERSION if file["kind"] == "other" else READER_VERSIONS[GROUP_READER]
        state = (file["reader_version"], file["size_bytes"], file["mtime"])
        return state == (version, entry.size, listing.mtime(entry))

    def run(self, engine: Engine, progress: Callable[[int, int], None]) -> None:
        """Read what is to be read."""
        paths = [listing.path(entry.relpath) for listing, entry in self._todo]
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
        kind, group, part = (header.pop(name) for name in ("kind", "group", "part"))
        before = self._known.get(place)
        if before is not None and is_merged(before):
            # Its other files may still be there, so a slide of one file in this place is another slide.
            before = None
        was_slide = before is not None and before["status"] != "gone"
        was_part = self._memory.part_at(place)
        self._opened.add(place)
        if was_part is not None and header["status"] in _UNREAD:
            # What was read of it earlier still tells which slide or series cannot be read now.
            kind, group, part = was_part["kind"], was_part["group"], was_part["part"]
        if kind in {"slide_part", "series_part"}:
            self._memory.remember(_remembered(listing, entry, header, READER_VERSIONS[GROUP_READER], kind, group, part))
        elif kind == "slide" or (was_slide and header["status"] in _UNREAD):
            self.read += 1
            self._singles.add(place)
            self._memory.forget(place)
            self._keep(_described(listing, entry, header), before)
        else:
            self._memory.remember(_remembered(listing, entry, header, FAMILY_VERSION, kind, None, None))
            if before is not None and was_slide:
                self._pending.append({**before, "status": "gone", "status_detail": "another file has taken its place"})
        if len(self._opened) % _COMMIT_ROWS == 0:
            self.commit()

    def _keep(self, row: Row, before: Row | None) -> None:
        """Take a row, unless it says what is known already; then there is nothing new for later stages."""
        if before is None:
            self._pending.append({**row, "slide_id": self._identify(row, self._missing)})
            return
        row["slide_id"] = before["slide_id"]
        if row["status"] in _UNREAD and all(row[name] == before[name] for name in ("size_bytes", "mtime")):
            # What was read of these bytes earlier still holds, and by it the slide is known if it moves.
            row = {**before, **{name: row[name] for name in ("status", "status_detail", "scanned_at")}}
        if any(before[name] != value for name, value in row.items() if name != "scanned_at"):
            self._pending.append(row)

    def _identify(self, row: Row, missing: _Missing) -> str:
        moved = missing.take(row)
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
        self._memory.commit(self._catalog)

    def finish(self, series: Iterable[Row]) -> None:
        """Merge the parts that were read, mark what was not found again, and count."""
        for place in [place for place in self._memory.files if self._is_missing(place)]:
            self._memory.forget(place)
        families = self._memory.changed_families()
        untouched = self._memory.owners("slide_part", without=families)
        groups = slide_groups(families)
        standing = (self._known[place] for place in self._singles if place in self._known)
        singles = {row["slide_id"] for row in standing if not is_merged(row)}
        keep_names(groups, self._known, {*untouched, *singles})
        named = {group.slide_id for group in groups}
        kept = {*untouched, *named}
        missing = _Missing(
            row
            for place, row in self._known.items()
            if is_merged(row) and row["slide_id"] not in kept and (self._is_missing(place) or place in self._present)
        )
        self._merge(groups, missing)
        absorbed = [
            {**row, "status_detail": "a part of another slide or series now"}
            for place, row in self._known.items()
            if not is_merged(row) and row["slide_id"] not in named and self._memory.part_at(place) is not None
        ]
        left = [{**row, "status_detail": None} for row in (*self._missing.left(), *missing.left())]
        newly_gone = [{**row, "status": "gone"} for row in (*left, *absorbed) if row["status"] != "gone"]
        self._catalog.upsert(SLIDES, from_rows(SLIDES, [*self._pending, *newly_gone]))
        self._pending.clear()
        self._merge_series(families, {row["series_id"]: row for row in series})
        self._memory.save(self._catalog)
        self._count()

    def _merge(self, groups: Sequence[SlideGroup], missing: _Missing) -> None:
        known = {row["slide_id"]: row for row in self._known.values()}
        for group in groups:
            row = _merged_row(group, self._listings[group.main["site"], group.main["archive"]])
            slide_id = group.slide_id or self._identify(row, missing)
            self._memory.own(group.files, slide_id)
            row["slide_id"] = slide_id
            before = known.get(slide_id)
            if before is None or any(before[name] != value for name, value in row.items() if name != "scanned_at"):
                self._pending.append(row)

    def _merge_series(self, families: Mapping[tuple[str, str, str, str], Sequence[Row]], known: Mapping[str, Row]) -> None:
        changed = []
        for row, files in series_rows(families):
            before = known.get(row["series_id"])
            if before is None or any(before[name] != value for name, value in row.items()):
                changed.append({**row, "scanned_at": _now()})
            self._memory.own(files, row["series_id"])
        there = self._memory.owners("series_part")
        changed += [
            {**row, "status": "gone", "status_detail": None}
            for row in known.values()
            if row["status"] != "gone" and row["series_id"] not in there and (row["site"], row["archive"]) in self._listings
        ]
        self._catalog.upsert(SERIES, from_rows(SERIES, changed))

    def _count(self) -> None:
        for place, entry in self._present.items():
            file = self._memory.files.get(place)
            if file is None:
                continue
            match file["kind"]:
                case "slide_part":
                    self.further_files += file["owner"] in self._merged
                    self._merged.add(file["owner"])
                case "series_part":
                    self.instances += 1
                    self.series.add(file["owner"])
                case _:
                    self.others[file_kind(entry.relpath)] += 1
        self.read += len({self._memory.files[place]["owner"] for place in self._opened if self._is_slide_part(place)})
        self.gone = sum(
            row["status"] == "gone" and (row["site"], row["archive"]) in self._listings
            for row in self._catalog.read(SLIDES, columns=["site", "archive", "status"]).to_pylist()
        )

    def _is_slide_part(self, place: Place) -> bool:
        file = self._memory.part_at(place)
        return file is not None and file["kind"] == "slide_part"

    def has_seen(self, row: Row) -> bool:
        """Whether a slide, or a part of it, is where the scan has looked."""
        return row["slide_id"] in self._merged if is_merged(row) else place_of(row) in self._singles


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _remembered(
    listing: Listing, entry: Entry, header: Row, version: int, kind: str, group: str | None, part: str | None
) -> Row:
    return {
        "site": listing.site.code,
        "archive": listing.archive.name,
        "relpath": entry.relpath,
        "size_bytes": entry.size,
        "mtime": listing.mtime(entry),
        "kind": kind,
        "group": group,
        "status": header["status"],
        "status_detail": header["status_detail"],
        "part": part,
        "reader_version": version,
    }


def _described(listing: Listing, entry: Entry, header: Row) -> Row:
    place = dict(zip(("site", "archive", "relpath"), listing.place(entry), strict=True))
    files = {"file_count": listing.file_count(entry), "size_bytes": listing.size(entry), "mtime": listing.mtime(entry)}
    names = read_names(entry.relpath, header["barcode"], header["label_text"], header["metadata_texts"], listing.patterns)
    return {**header, **_columns(names), **place, **files, **_looked_at(listing.path(entry.relpath))}


def _merged_row(group: SlideGroup, listing: Listing) -> Row:
    header, main = group.header, group.main
    names = read_names(main["relpath"], header.barcode, header.label_text, header.metadata_texts, listing.patterns)
    return {
        # Lists, as the table gives them back.
        **{name: list(value) if isinstance(value, tuple) else value for name, value in asdict(header).items()},
        **_columns(names),
        **{name: main[name] for name in ("site", "archive", "relpath")},
        **sums(group.files),
        **_looked_at(listing.path(main["relpath"])),
        "reader": GROUP_READER,
        "reader_version": READER_VERSIONS[GROUP_READER],
    }


def _looked_at(path: bytes) -> Row:
    return {"uri": path_uri(path), "check_level": "header", "storage_state": "online", "scanned_at": _now()}


def _columns(names: SlideNames) -> Row:
    return {name: getattr(names, name) for name in _NAMED}


def _row_findings(row: Row) -> Iterator[Finding]:
    common = {"stage": "scan", "site": row["site"], "table": "slides", "subject": row["slide_id"]}
    if row["status"] != "ok":
        kind = row["status"].partition(":")[0]
        detail = f" ({row['status_detail']})" if row["status_detail"] else ""
        message = f"slide {row['slide_id']}: {row['status'].replace('_', ' ')}{detail}"
        yield Finding(f"scan.{kind}", _SEVERITIES.get(kind, Severity.ERROR), message, column="status", **common)
    if row["duplicate_of"] is not None:
        message = f"slide {row['slide_id']} has the same pixels as slide {row['duplicate_of']}"
        yield Finding("scan.shared_pixels", Severity.WARNING, message, column="duplicate_of", **common)


def _series_finding(row: Row) -> Finding:
    message = f"series {row['series_id']} is {row['status']} ({row['status_detail']})"
    common = {"stage": "scan", "site": row["site"], "table": "series", "subject": row["series_id"]}
    return Finding(f"scan.{row['status']}", Severity.ERROR, message, column="status", **common)


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

"""Stage: archive roots become the ``slides`` and ``series`` tables, by header, without decoding a pixel.

The walk, the readers and the part files overlap, so memory does not grow with the archive: ``intake`` reads what is new or
changed, ``settle`` and ``families`` decide what only the end of the walk shows, ``passes`` look deeper where asked to,
``duplicates`` and ``names`` bring the derived columns up to date.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.engines import Engine
from pathcurate.errors import InputOutputError, InterruptedRunError, UsageError
from pathcurate.findings import record_findings
from pathcurate.forgotten import read_forgotten
from pathcurate.htmlreport.contactsheet import SHEET_ITEMS, SheetItem, contact_sheet_html
from pathcurate.images.printed import require_ocr
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.series import SERIES
from pathcurate.model.slide import ARRIVALS, FILES, SLIDES
from pathcurate.objectstore import PATIENCE_SECONDS
from pathcurate.pacing import PacedRoot
from pathcurate.roots import CONNECTIONS, paced_root_of
from pathcurate.scan.duplicates import PIXELS, regrouped, to_sample
from pathcurate.scan.families import Families
from pathcurate.scan.intake import Intake
from pathcurate.scan.kernels import HEADER_SCHEMA, ScanSpec, lost_header, read_headers
from pathcurate.scan.known import SERIES_PART, Known, Relocation
from pathcurate.scan.listing import Listing
from pathcurate.scan.looks import check_looks, label_look, quality_look
from pathcurate.scan.names import renamed
from pathcurate.scan.overview import ScanRecord, record_scans
from pathcurate.scan.passes import Pass, PassSpec, run_pass, wanting
from pathcurate.scan.rows import Row
from pathcurate.scan.settle import Settlement, forgotten, save
from pathcurate.scan.tally import Tally, slide_findings
from pathcurate.storage import Root, private_directory, write_bytes
from pathcurate.tables import Catalog
from pathcurate.text.slidenames import names_rules
from pathcurate.workspace import Archive, Site, Workspace
from pathcurate.yamlsource import did_you_mean

_TIMEOUT: Final = 15.0
_BATCH_ROWS: Final = 64
_READS_A_FILE: Final = 20
_MOST_WORKERS: Final = 16
_MANY_GONE: Final = 20


@dataclass(frozen=True)
class ScanOptions:
    """What a scan does beside reading headers.

    Attributes:
        archives: only these, by name; all if empty.
        sites: only these sites; all if empty.
        io_threads: files that each worker reads at the same time; more than one pays on slow storage.
        relocations: parts of archives that lie elsewhere now.
        check: ``header``, ``tiles`` or ``digest``.
        tiles_per_level: tiles of each level that are decoded.
        seed: which tiles are drawn.
        labels: whether label images are decoded.
        texts: whether printed text of labels is read as well.
        qc: whether thumbnails are looked at.
    """

    archives: Sequence[str] = ()
    sites: Sequence[str] = ()
    io_threads: int = 1
    relocations: Sequence[Relocation] = ()
    check: str = "header"
    tiles_per_level: int = 4
    seed: int = 0
    labels: bool = False
    texts: bool = False
    qc: bool = False


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
        postponed: archives that were not looked at to their end, and why; their files are not all in the other numbers.
        looked: slides that each deeper look was taken of.
        sheets: contact sheets that were written.
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
    postponed: Mapping[str, str]
    looked: Mapping[str, int]
    sheets: tuple[str, ...]
    statuses: Mapping[str, int]
    findings: tuple[Finding, ...]


def scan(
    workspace: Workspace,
    engine: Engine,
    options: ScanOptions = ScanOptions(),
    *,
    now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> ScanSummary:
    """Scan the archive roots; a file whose size and time have not changed is not opened again.

    Args:
        workspace: the workspace.
        engine: runs the header readers.
        options: what to do beside that.
        now: the present in the zone of this machine, by which an archive's hours are kept.
        progress: called with what is being done, files done, and files to do as far as is known.

    Raises:
        InputOutputError: an archive root cannot be listed, or holds no file although slides are known there, as when a
            mount has failed; nothing was changed.
        InterruptedRunError: interrupted; slides read so far are kept.
        UsageError: an unknown site, or a relocation to an archive that is not configured.
    """
    if options.texts:
        require_ocr()
    codes = {workspace.site(code).code for code in options.sites} or {site.code for site in workspace.sites}
    sites = [site for site in workspace.sites if site.code in codes]
    _check_archives(options, sites)
    spill = private_directory(private_directory(workspace.catalog) / ".spill")
    for leftover in spill.glob("scan-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for table in (SLIDES, FILES, ARRIVALS, SERIES):
        Catalog(workspace.catalog).sweep(table)
    with TemporaryDirectory(dir=spill, prefix="scan-") as directory:
        return _Scan(workspace, engine, options, sites, Path(directory), now, progress).run()


def _check_archives(options: ScanOptions, sites: Sequence[Site]) -> None:
    names = {archive.name for site in sites for archive in site.archives}
    for name in options.archives:
        if name not in names:
            known = f"Known archives: {', '.join(sorted(names))}." if names else "pathcurate.yaml lists no archives."
            raise UsageError(f"there is no archive {name}{did_you_mean(name, names)}", known)
    scanned = set(options.archives) or names
    for relocation in options.relocations:
        if relocation.new[0] not in scanned:
            raise UsageError(
                f"--relocate names the archive {relocation.new[0]}, which is not configured or not scanned now",
                "Add it to pathcurate.yaml or to the command; the old name may stay or go.",
            )


@dataclass
class _Scan:
    workspace: Workspace
    engine: Engine
    options: ScanOptions
    sites: Sequence[Site]
    directory: Path
    now: Callable[[], datetime]
    progress: Callable[[str, int, int], None]
    _looked: dict[str, int] = field(default_factory=dict)
    _sheet: list[SheetItem] = field(default_factory=list)
    _sheets: list[str] = field(default_factory=list)
    _moved: Counter[str] = field(default_factory=Counter)
    _vanished: list[Finding] = field(default_factory=list)

    def run(self) -> ScanSummary:
        """See :func:`scan`."""
        self._started = self.now()
        self._catalog = Catalog(self.workspace.catalog)
        self._codes = {site.code for site in self.sites}
        forgotten = read_forgotten(self.workspace.vault)
        self._listings = [
            Listing(site, archive, self._root(archive), forgotten)
            for site in self.sites
            for archive in site.archives
            if not self.options.archives or archive.name in self.options.archives
        ]
        self._patterns = {site.code: tuple(site.accession.patterns) for site in self.sites}
        self._rules = {code: names_rules(patterns) for code, patterns in self._patterns.items()}
        self._spec = ScanSpec(
            roots=tuple(listing.root for listing in self._listings),
            places=tuple(listing.place for listing in self._listings),
            patterns=tuple(self._patterns[listing.site.code] for listing in self._listings),
            rules=tuple(self._rules[listing.site.code] for listing in self._listings),
            io_threads=self.options.io_threads,
        )
        # Twins of slides may lie in archives that this run does not scan.
        others = [
            (site.code, archive)
            for site in self.workspace.sites
            for archive in site.archives
            if (site.code, archive.name) not in self._spec.places
        ]
        self._places = (*self._spec.places, *((code, archive.name) for code, archive in others))
        self._roots = (*self._spec.roots, *(self._root(archive) for _, archive in others))
        known = Known.read(self._catalog, self._rules, self.options.relocations)
        self._check_relocations(known)
        self._open(known)
        intake = Intake(self._catalog, known, self._listings, self._spec, self._reason_to_stop)
        try:
            self._read(intake)
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"interrupted after {intake.read_slides} slides", "They are kept; `pathcurate scan` goes on from there."
            ) from None
        finally:
            intake.commit()
        self._settle(known, intake)
        was = {code: _live(known, code) for code in self._codes}
        changed = {code: int((intake.rewritten & _of_site(known, code)).sum()) for code in self._codes}
        intake.release()
        known.slides.forget_lookup()
        known.files.forget_lookup()
        if not self._stands(known):
            # Two indexes of millions of slides would not fit beside each other.
            del known
            known = Known.read(self._catalog, self._rules)
        known = self._look_deeper(known)
        record_scans(self.workspace, self._records(was, changed, known))
        return self._summary(known, intake)

    def _check_relocations(self, known: Known) -> None:
        names = {name for _, name in (*known.archives.values(), *self._places)}
        for move in self.options.relocations:
            if move.old[0] not in names:
                raise UsageError(
                    f"--relocate names the archive {move.old[0]}, of which nothing is known",
                    f"Known archives: {', '.join(sorted(names))}.",
                )

    def _root(self, archive: Archive) -> Root:
        return paced_root_of(archive, self.directory, connections=max(CONNECTIONS, self.options.io_threads))

    def _open(self, known: Known) -> None:
        """Begin the walks; refuse to take every slide of an archive for gone because its root is there and empty."""
        codes = known.archives.values()
        for number, listing in enumerate(self._listings):
            listing.postponed = self._reason_to_stop(number)
            if listing.postponed or listing.open() or listing.place not in codes:
                continue
            here = codes.index(listing.place)
            slides, files = known.slides.facts, known.files.facts
            # A slide that is looked for in another place is not missed here.
            stays = ~known.slides.facts["moved"] & ~slides["gone"] & (slides["archive"] == here)
            instances = (files["kind"] == SERIES_PART) & (files["archive"] == here) & ~files["moved"]
            count = int(stays.sum()) + len(np.unique(known.files.ids[instances]))
            if count:
                raise InputOutputError(
                    f"archive {listing.archive.name} of site {listing.site.code} holds no file, but {count} slides or "
                    "series are known there",
                    "If its root is a mount, mount it. If everything was deleted on purpose, leave any file in it (a note "
                    "will do), or take the archive out of pathcurate.yaml.",
                )

    def _reason_to_stop(self, number: int) -> str:
        """Why an archive is not read any more in this run; empty if it is."""
        listing = self._listings[number]
        archive, root = listing.archive, listing.root
        if archive.window is not None and not archive.window.is_open(self.now()):
            return "outside its hours"
        if archive.reads_per_run is not None and isinstance(root, PacedRoot) and root.reads_used() >= archive.reads_per_run:
            return "its reads of this run are used up"
        return ""

    def _read(self, intake: Intake) -> None:
        rows = max(_BATCH_ROWS, 2 * self.options.io_threads)
        rates = [rate for listing in self._listings if (rate := listing.archive.reads_per_second)]
        # At a low rate a batch takes long although nothing hangs, and so does one of a store that asks to be tried again.
        timeout = _TIMEOUT + max((rows * _READS_A_FILE * _MOST_WORKERS / rate for rate in rates), default=0.0)
        if any(not isinstance(listing.archive.root, Path) for listing in self._listings):
            timeout += PATIENCE_SECONDS
        done = 0
        for batch in self.engine.run(
            read_headers, intake.feed(rows), self._spec, HEADER_SCHEMA,
            on_crash=lambda row, reason: lost_header(row, reason, self._spec), timeout=timeout,
        ):  # fmt: skip
            intake.accept(batch)
            done += batch.num_rows
            self.progress("headers", done, intake.handed_out)

    def _settle(self, known: Known, intake: Intake) -> None:
        """Decide what only the end of the walk shows."""
        settlement = Settlement(self._catalog, known, self._listings, self._spec, self.options.relocations, self._places)
        save(self._catalog, SLIDES, intake.flipped())
        settlement.relocate(intake.rewritten)
        lost = settlement.missing(known.files)
        save(self._catalog, FILES, (forgotten(row) for _, row in known.files.rows(self._catalog, lost)))
        settlement.settle()
        families = Families(self._catalog, known, self._spec, settlement.listed, self._places)
        families.merge()
        self._moved = settlement.moved + families.moved

    def _stands(self, known: Known) -> bool:
        """Whether the tables are still as they were when the indexes were read."""
        indexes = (known.slides, known.files, known.arrivals)
        return all(self._catalog.state(index.table) == index.state for index in indexes)

    def _again(self, known: Known) -> Known:
        """The indexes as the tables are now."""
        return known if self._stands(known) else Known.read(self._catalog, self._rules)

    def _look_deeper(self, known: Known) -> Known:
        spec = PassSpec(
            self._roots, self.options.seed, self.options.tiles_per_level, self.options.texts, self.options.io_threads
        )
        looks = [*check_looks(self.options.check)]
        looks += [label_look(texts=self.options.texts)] if self.options.labels else []
        looks += [quality_look(self._watch)] if self.options.qc else []
        for look in looks:
            chosen = wanting(self._catalog, known.slides, look.columns, look.wants)
            known = self._run(look, known, spec, chosen)
        known = self._run(PIXELS, known, spec, to_sample(known.slides))
        save(self._catalog, SLIDES, renamed(self._catalog, known.slides, self._patterns, self._rules))
        known = self._again(known)
        patterns = {site.code: site.accession.patterns for site in self.workspace.sites}
        self._grouping = regrouped(self._catalog, known.slides, patterns)
        marks = self._grouping.changed
        chosen = np.array(list(marks), np.int64)
        rows = known.slides.rows(self._catalog, chosen)
        save(
            self._catalog, SLIDES,
            ({**row, "scan_group": marks[at][0], "duplicate_of": marks[at][1]} for at, row in rows),
        )  # fmt: skip
        known = self._again(known)
        self._write_sheet()
        return known

    def _run(self, look: Pass, known: Known, spec: PassSpec, chosen: NDArray[np.int64]) -> Known:
        index = known.slides
        places = self._places if look is PIXELS else self._spec.places
        here = np.array([place in places for place in known.archives.values()] or [False], np.bool_)
        chosen = chosen[
            ~index.facts["gone"][chosen] & ~index.facts["offline"][chosen] & here[index.facts["archive"][chosen]]
        ]

        def advance(done: int, total: int) -> None:
            self.progress(look.name, done, total)

        try:
            count = run_pass(
                look, self._catalog, known, self.engine, spec, self._places, chosen, self._may_read(look), advance
            )
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"interrupted while looking at {look.name}", "What was seen is kept; the same command goes on from there."
            ) from None
        if look is not PIXELS:
            self._looked[look.name] = count
        return self._again(known)

    def _may_read(self, look: Pass) -> Callable[[tuple[str, str]], bool]:
        """Whether an archive may be read by a deeper look at this moment; one that may not be is said to be postponed."""
        listings = {listing.place: number for number, listing in enumerate(self._listings)}

        def may_read(place: tuple[str, str]) -> bool:
            number = listings.get(place)
            if number is None:
                archive = next(archive for archive in self.workspace.site(place[0]).archives if archive.name == place[1])
                return archive.window is None or archive.window.is_open(self.now())
            reason = self._reason_to_stop(number)
            if reason and not self._listings[number].postponed:
                self._listings[number].postponed = f"{reason}, before all {look.name} were looked at"
            return not reason

        return may_read

    def _watch(self, row: Row, said: Row) -> None:
        """Put a slide on the contact sheet."""
        if said["picture"] is not None:
            numbers = {name: said[name] for name in ("qc", "tissue_fraction", "blur", "pen_fraction")}
            self._sheet.append(SheetItem(slide_id=row["slide_id"], picture=said["picture"], **numbers))
        if len(self._sheet) == SHEET_ITEMS:
            self._write_sheet()

    def _write_sheet(self) -> None:
        if self._sheet:
            folder = private_directory(self.workspace.catalog / "review")
            number = len(self._sheets) + 1
            stem = f"contact-sheet-{self._started:%Y%m%d-%H%M%S-%f}"
            path = folder / f"{stem}-{number:03}.html"
            title = f"{self.workspace.name} · {self._started:%Y-%m-%d %H:%M}"
            write_bytes(path, contact_sheet_html(self._sheet, title, number).encode(), 0o600)
            self._sheets.append(str(path))
            self._sheet = []

    def _records(
        self, before: Mapping[str, NDArray[np.bytes_]], changed: Mapping[str, int], after: Known
    ) -> Iterator[ScanRecord]:
        """What has changed at each site.

        Args:
            before: names of the slides of each site that were there.
            changed: how many of each site were read again.
            after: the indexes at the end.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        for code in sorted(self._codes):
            live, was = _live(after, code), before[code]
            same = np.array_equal(live, was)
            new, gone = (live[:0], was[:0]) if same else (np.setdiff1d(live, was), np.setdiff1d(was, live))
            size = int(after.slides.size[_of_site(after, code) & ~after.slides.facts["gone"]].sum())
            if len(gone) >= _MANY_GONE and 2 * len(gone) > len(was):
                self._vanished.append(_many_gone(code, len(gone), len(was)))
            yield ScanRecord(at, code, len(live), size, len(new), changed[code], self._moved[code], len(gone))

    def _summary(self, known: Known, intake: Intake) -> ScanSummary:
        tally = Tally.of(self._catalog, known, self._listings)
        read = intake.read_slides + tally.slides_with(intake.read_parts)
        listed = [finding for listing in self._listings for finding in listing.findings()]
        findings = [*listed, *slide_findings(self._catalog, known, tally), *self._grouping.findings, *self._vanished]
        recorded = findings
        # What was found of a site goes as a whole, so what is wrong in archives that this run left alone is said again.
        places = {(site.code, archive.name) for site in self.sites for archive in site.archives}
        if others := places.difference(self._spec.places):
            every = Tally.of(self._catalog, known, self._listings, others)
            recorded = [*listed, *slide_findings(self._catalog, known, every), *self._grouping.findings]
        record_findings(self._catalog, "scan", recorded, sites=self._codes)
        return ScanSummary(
            walked=sum(listing.walked for listing in self._listings),
            found=tally.found,
            companions=sum(listing.companions for listing in self._listings) + tally.further_files,
            instances=tally.instances,
            series=len(tally.series),
            others=dict(intake.others.most_common()),
            skipped=dict(sum((listing.skipped for listing in self._listings), Counter())),
            read=read,
            unchanged=tally.found - read,
            moved=self._moved.total(),
            gone=tally.gone,
            postponed={listing.archive.name: listing.postponed for listing in self._listings if listing.postponed},
            looked=self._looked,
            sheets=tuple(self._sheets),
            statuses=tally.statuses,
            findings=tuple(findings),
        )


def _many_gone(site: str, gone: int, before: int) -> Finding:
    message = (
        f"{gone} of the {before} slides of site {site} are gone since the last scan: if a wrong folder was mounted or "
        "configured, put it right and scan again; the slides come back under their names"
    )
    return Finding("scan.many_gone", Severity.ERROR, message, stage="scan", site=site, table="slides", count=gone)


def _of_site(known: Known, code: str) -> NDArray[np.bool_]:
    sites = np.array([site == code for site, _ in known.archives.values()] or [False], np.bool_)
    return np.asarray(sites[known.slides.facts["archive"]], np.bool_)


def _live(known: Known, code: str) -> NDArray[np.bytes_]:
    """Names of a site's slides that are not gone."""
    ids: NDArray[np.bytes_] = known.slides.ids[_of_site(known, code) & ~known.slides.facts["gone"]]
    return ids


def relocation(text: str) -> Relocation:
    """A relocation from text: ``OLD=NEW``, each an archive name or ``ARCHIVE/FOLDER``.

    Raises:
        UsageError: it is no such text.
    """
    old, equals, new = text.partition("=")
    if ".." in text.replace("=", "/").split("/") or old.strip("/") == new.strip("/"):
        raise UsageError("--relocate names two different places, without `..`", "For example --relocate old=new.")
    if not (equals and old and new):
        raise UsageError(
            "--relocate is written OLD=NEW, each an archive name or ARCHIVE/FOLDER", "As in --relocate main/2019=archive2."
        )
    return Relocation(_archive_part(old), _archive_part(new))


def _archive_part(text: str) -> tuple[str, bytes]:
    archive, _, folder = text.strip("/").partition("/")
    return archive, folder.encode("utf-8", "surrogateescape")

"""What a scan costs that has a million entries and hardly anything to read, in time and in memory.

Nothing lies on disk but the catalog: the entries of 19 archives are made up while they are walked, seven of ten are slides
of one file, two are other files, and one is a DICOM instance of which five make a slide. What the catalog knows of them was
put there; a header that must be read all the same is made up too. So what is measured is the main process, without a disk,
without `os.scandir` and without readers. Each scan has a process of its own. `python tests/bench/scan_scale.py --help`
shows the settings.
"""

import argparse
import cProfile
import functools
import hashlib
import io
import itertools
import json
import os
import pstats
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate import scan as stage
from pathcurate.engines.embedded import Embedded
from pathcurate.model.slide import FILES, SLIDES
from pathcurate.readers import READER_VERSIONS, read_slide
from pathcurate.scan import ScanOptions, ScanSummary, scan
from pathcurate.scan.intake import _as_files
from pathcurate.scan.kernels import HEADER_INPUT, HEADER_SCHEMA, ScanSpec, content_key, first_id, names_columns
from pathcurate.scan.known import Relocation
from pathcurate.storage import CompanionFolders, Entry, LocalSource, Skipped
from pathcurate.tables import Catalog
from pathcurate.text.slidenames import names_rules
from pathcurate.workspace import DEFAULT_PATTERNS, load_workspace
from tests.bench.phases import Step, alone, peak_mb, watched
from tests.bench.rows import Row, record
from tests.dicoms import JPEG, slide_part

SITES = 19
PARTS = 5
"""Instances of a slide."""
FIRST_TIME = 1_600_000_000
SAVED_ROWS = 20_000
RATE, MEMORY = 20_000, 600
"""What is wanted: entries a second, and millions of bytes."""


@dataclass(frozen=True)
class MadeUpRoot:
    """An archive of which nothing exists but what its walk says."""

    name: str
    count: int
    folder: bytes = b""

    def walk(self, _companions: CompanionFolders) -> Iterator[Entry | Skipped]:
        """So many entries, always the same."""
        return (
            Entry(self.folder + path_of(number), 500_000_000 + number, (FIRST_TIME + number) * 1_000_000_000)
            for number in range(self.count)
        )

    def uri(self, relpath: bytes) -> str:
        """Where a file would be."""
        return f"file:///{self.name}/{relpath.decode()}"


def path_of(number: int) -> bytes:
    """The path of an entry: its number says what it is."""
    folder = b"%04d/%07d " % (number // 1000, number)
    if number % 10 == 9:
        return folder + b"S23-%07d-B1.dcm" % (number // 10 // PARTS)
    return folder + (b"S23-%07d-A1 HE.svs" % number if number % 10 < 7 else b"photo.jpg")


@dataclass(frozen=True)
class Job:
    """One scan.

    Attributes:
        directory: the workspace.
        count: entries of all archives.
        folder: below the root of each archive, in which everything lies; empty, or with its slash.
        is_told: whether the scan is told that it lay at the root before (``--relocate``).
        profile: whether to say where the time goes.
    """

    directory: Path
    count: int
    folder: bytes = b""
    is_told: bool = False
    profile: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a scan came to."""

    seconds: float
    own_seconds: float
    steps: Sequence[Step]
    peak_mb: float
    summary: ScanSummary
    profile: str


def main() -> None:
    """Make catalogs, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000, help="entries of the rescan  [%(default)s]")
    parser.add_argument("--most", type=int, default=0, help="entries of a second rescan, for its memory  [none]")
    parser.add_argument("--new", type=int, default=2000, help="entries that are new in a rescan  [%(default)s]")
    parser.add_argument("--moved", type=int, default=200_000, help="entries whose roots are renamed  [%(default)s]")
    parser.add_argument("--first", type=int, nargs="*", default=[100_000, 200_000], help="entries of first scans")
    parser.add_argument("--repeat", type=int, default=3, help="rescans  [%(default)s]")
    parser.add_argument("--profile", action="store_true", help="show where the main process spends its time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scan_scale_") as directory:
        base = Path(directory)
        for count in options.first:
            show(f"first scan of {count:,} entries", count, run(Job(base / f"first{count}", count, profile=options.profile)))
            shutil.rmtree(base / f"first{count}")
        if options.moved:
            moves(base, options.moved, profile=options.profile)
        if options.entries:
            rescans(base, options.entries, options.repeat, options.new, profile=options.profile)
        if options.most:
            rescans(base, options.most, 1, 0, profile=False)


def rescans(base: Path, count: int, repeat: int, new: int, *, profile: bool) -> None:
    """Scans that find nothing new, and one that finds something."""
    directory = base / f"again{count}"
    prepared(directory, count)
    outcomes = [run(Job(directory, count)) for _ in range(repeat)]
    for outcome in outcomes:
        assert (outcome.summary.read, outcome.summary.gone, outcome.summary.walked) == (0, 0, count)
        show(f"rescan of {count:,} unchanged entries", count, outcome)
    rate, peak = median(count / outcome.seconds for outcome in outcomes), max(outcome.peak_mb for outcome in outcomes)
    record(Row(f"rescan of {count:,} unchanged entries", rate, "entries/s", wanted=RATE, peak_bytes=int(peak * 1e6)))
    record(Row(f"memory of a rescan of {count:,} entries", peak, "MB", wanted=MEMORY, at_least=False))
    say(f"=> rescan of {count:,}: median {rate:,.0f} entries/s ({RATE:,} wanted), {peak:,.0f} MB (under {MEMORY} wanted)")
    if profile:
        say(run(Job(directory, count, profile=True)).profile)
    if new:
        outcome = run(Job(directory, count + new, profile=profile))
        assert 0 < outcome.summary.read <= new
        show(f"rescan of {count:,} entries and {new:,} new ones", count + new, outcome)
    shutil.rmtree(directory)


def moves(base: Path, count: int, *, profile: bool) -> None:
    """Scans of archives in which everything lies in another folder now: told so, and not."""
    known = base / "known"
    prepared(known, count)
    for title, is_told in (("told", True), ("not told", False)):
        directory = base / title
        shutil.copytree(known, directory)
        outcome = run(Job(directory, count, b"new/", is_told, profile=profile))
        show(f"rescan of {count:,} entries that have all moved, {title}", count, outcome)
        assert outcome.summary.gone == 0
        assert outcome.summary.moved == outcome.summary.found
        shutil.rmtree(directory)
    shutil.rmtree(known)


def prepared(directory: Path, count: int) -> None:
    """A workspace whose catalog knows so many entries, with all that a scan makes of them."""
    begun = time.perf_counter()
    alone(make_catalog, Job(directory, count))
    say(f"\n{count:,} entries put into a catalog in {time.perf_counter() - begun:.0f} s")
    show(f"merging of {count:,} entries", count, run(Job(directory, count)))


def run(job: Job) -> Outcome:
    """A scan in a process of its own."""
    outcome: Outcome = alone(measured, job)
    return outcome


def measured(job: Job) -> Outcome:
    """A scan, in this process."""
    roots = make_workspace(job)
    stage._Scan._root = lambda _, archive: roots[archive.name]  # type: ignore[method-assign,assignment]
    stage.read_headers = made_up_headers  # type: ignore[attr-defined]
    options = ScanOptions()
    if job.is_told:
        options = ScanOptions(relocations=[Relocation((name, b""), (name, job.folder.rstrip(b"/"))) for name in roots])
    steps = watched()
    profile = cProfile.Profile()
    worked, begun = time.process_time(), time.perf_counter()
    with Embedded(workers=2, temp_directory=job.directory / "sql") as engine:
        workspace = load_workspace(job.directory / "pathcurate.yaml")
        summary = profile.runcall(scan, workspace, engine, options) if job.profile else scan(workspace, engine, options)
    seconds, own = time.perf_counter() - begun, time.process_time() - worked
    return Outcome(seconds, own, steps, peak_mb(), summary, shown(profile) if job.profile else "")


def shown(profile: cProfile.Profile) -> str:
    """The functions that took the most, with what they called and alone."""
    out = io.StringIO()
    stats = pstats.Stats(profile, stream=out).strip_dirs()
    stats.sort_stats("cumulative").print_stats(45)
    stats.sort_stats("tottime").print_stats(25)
    return out.getvalue()


def show(title: str, count: int, outcome: Outcome) -> None:
    """A few lines of one scan."""
    say(f"\n{title}: {outcome.seconds:.1f} s, {count / outcome.seconds:,.0f} entries/s, {outcome.peak_mb:,.0f} MB")
    say(f"  {1e6 * outcome.own_seconds / count:.0f} us of the process's own time per entry; load {os.getloadavg()[0]:.1f}")
    summary = outcome.summary
    say(f"  {summary.found:,} slides: {summary.read:,} read, {summary.moved:,} moved, {summary.gone:,} gone")
    for step in outcome.steps:
        say(f"  {step.name:<20}{step.seconds:>8.2f} s{step.peak_mb:>9,.0f} MB by its end")
    if outcome.profile:
        say(outcome.profile)


def say(line: str) -> None:
    """A line for people, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- What is made up ---------------------------------------------------------------------------------------------


def make_workspace(job: Job) -> dict[str, MadeUpRoot]:
    """A workspace of 19 sites with an archive each, written anew; its archives by name."""
    job.directory.mkdir(exist_ok=True)
    sites = []
    roots = {}
    for number in range(SITES):
        name = f"archive{number:02}"
        count = job.count * (number + 1) // SITES - job.count * number // SITES
        roots[name] = MadeUpRoot(name, count, job.folder)
        sites.append(f"  - {{code: NB{number:02}, archives: [{{name: {name}, root: '{job.directory / name}'}}]}}\n")
    (job.directory / "pathcurate.yaml").write_text("workspace: 1\nname: scale\nsites:\n" + "".join(sites))
    return roots


def make_catalog(job: Job) -> None:
    """Put into the catalog what a header pass would have put there, in parts as it makes them."""
    roots = make_workspace(job)
    workspace = load_workspace(job.directory / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    places = tuple((site.code, archive.name) for site in workspace.sites for archive in site.archives)
    patterns = (DEFAULT_PATTERNS,) * SITES
    spec = ScanSpec(tuple(roots.values()), places, patterns, (names_rules(DEFAULT_PATTERNS),) * SITES)  # type: ignore[arg-type]
    entries = ((number, entry) for number, root in enumerate(roots.values()) for entry in root.walk(lambda _: set()))
    while chunk := list(itertools.islice(entries, SAVED_ROWS)):
        rows = [
            {"root": number, "relpath": entry.relpath, "size": entry.size, "mtime": entry.mtime_ns // 1000,
             "file_count": 1, "is_offline": False, "slide": -1, "file": -1}
            for number, entry in chunk if isinstance(entry, Entry)
        ]  # fmt: skip
        headers = made_up_headers(pa.RecordBatch.from_pylist(rows, schema=HEADER_INPUT), spec)
        is_slide = pc.equal(headers["kind"], "slide")
        catalog.upsert(SLIDES, pa.Table.from_batches([headers.filter(is_slide)]))
        catalog.upsert(FILES, _as_files(headers.filter(pc.invert(is_slide))))


def made_up_headers(batch: pa.RecordBatch, spec: ScanSpec) -> pa.RecordBatch:
    """Kernel: what stands for the header of each entry; instead of ``read_headers``."""
    rows = [made_up_row(file, spec) for file in batch.to_pylist()]
    is_slide = pa.array([row["kind"] == "slide" for row in rows])
    arrays = [
        pc.if_else(is_slide, pa.scalar(CONSTANTS[field.name], field.type), pa.scalar(None, field.type))
        if field.name in CONSTANTS
        else pa.array([row.get(field.name) for row in rows], field.type)
        for field in HEADER_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=HEADER_SCHEMA)


MOMENT = datetime(2023, 3, 4, 13, 14, 15)  # noqa: DTZ001  as the tables have it
CONSTANTS: dict[str, Any] = {
    "file_count": 1, "format": "svs", "vendor": "aperio", "scanner_model": "GT450", "scanner_serial": "SS1234",
    "scan_datetime": MOMENT, "width": 61_440, "height": 61_440, "level_count": 3,
    "level_downsamples": [1.0, 4.0, 16.0], "tile_width": 256, "tile_height": 256, "mpp_x": 0.25,
    "mpp_y": 0.25, "mpp_source": "vendor", "objective_power": 40.0, "focal_planes": 1, "channels": 3, "icc_profile": True,
    "has_label": True, "has_overview": True, "has_thumbnail": True, "barcode_source": "header", "barcode_confidence": 1.0,
    "check_level": "header", "tiles_checked": 1000, "tiles_bad": 0, "storage_state": "online",
    "scanned_at": MOMENT, "reader": "tiff",
}  # fmt: skip


def made_up_row(file: dict[str, Any], spec: ScanSpec) -> dict[str, Any]:
    """What stands for the header of one entry, but for what all have in common."""
    site, archive = spec.places[file["root"]]
    number = int(file["relpath"].partition(b" ")[0][-7:])
    row = {
        "slide": file["slide"], "file": file["file"], "site": site, "archive": archive, "relpath": file["relpath"],
        "size_bytes": file["size"], "mtime": datetime.fromtimestamp(file["mtime"] / 1e6),  # noqa: DTZ006
    }  # fmt: skip
    if number % 10 == 9:
        part = number // 10 % PARTS
        slide = int(site[2:]) * 10_000_000 + number // 10 // PARTS
        facts = json.loads(part_facts(part).replace("1234567", str(slide)))
        # No two slides have the same shape, or their pixels would be compared.
        facts |= {"pixel_bytes": slide, "stored_bytes": slide}
        kept = {"group": facts["series"], "part": json.dumps(facts, sort_keys=True), "status": "ok"}
        return {**row, **kept, "kind": "slide_part", "reader_version": READER_VERSIONS["dicom"]}
    if number % 10 >= 7:
        return {**row, "kind": "other"}
    digest = hashlib.sha256(f"{site} {number}".encode()).hexdigest()
    named = {name: number_put(text, number) for name, text in template(spec.patterns[0]).items()}
    row |= {
        **named, "kind": "slide", "header_fingerprint": "sha256:" + digest, "shape_fingerprint": "sha256:" + digest[::-1],
        "metadata_texts": ["5533", f"S23-{number:07} A1"], "barcode": f"S23-{number:07}-A1", "compression": "jpeg",
        "status": "ok",
        "reader_version": READER_VERSIONS["tiff"], "names_rules": spec.rules[file["root"]],
        "uri": spec.roots[file["root"]].uri(file["relpath"]),
    }  # fmt: skip
    return {**row, "slide_id": first_id(row), "content": content_key(row)}


def number_put(value: Any, number: int) -> Any:
    """A text of the template with a slide's own number."""
    return value.replace("1234567", f"{number:07}") if isinstance(value, str) else value


@functools.cache
def template(patterns: tuple[str, ...]) -> dict[str, Any]:
    """What the names of slide 1234567 say."""
    row = {
        "relpath": path_of(1_234_566).replace(b"1234566", b"1234567"), "barcode": "S23-1234567-A1", "label_text": None,
        "metadata_texts": ["5533", "S23-1234567 A1"],
    }  # fmt: skip
    return {name: value for name, value in names_columns(row, patterns, "").items() if name != "names_rules"}


@functools.cache
def part_facts(part: int) -> str:
    """What an instance of slide 1234567 says, as JSON."""
    side = 64 >> part if part < PARTS - 1 else 32
    role = "VOLUME" if part < PARTS - 1 else "LABEL"
    data = slide_part(role, slide=1_234_567, number=part, width=side, height=side, syntax=JPEG, level=2**part)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "part.dcm"
        path.write_bytes(data)
        with LocalSource(os.fsencode(path)) as source:
            result = read_slide(source)
    assert result is not None
    assert result.part is not None
    return json.dumps(result.part.facts, sort_keys=True)


if __name__ == "__main__":
    main()

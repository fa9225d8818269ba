"""Small archives for the tests of scanning: files of every state, a workspace, and an engine that notes what it reads."""

import contextlib
import json
import os
import random
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pathcurate.demo.tiffwriter import Field, Page, ascii_text, encode_tiff, longs, shorts
from pathcurate.engines.embedded import Embedded
from pathcurate.link.keys import bring_keys
from pathcurate.model.finding import FINDINGS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import FILES, SLIDE_KEYS, SLIDES
from pathcurate.scan import ScanOptions, ScanSummary, scan
from pathcurate.scan.kernels import read_headers
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

TEXT = b"nothing to see\n"
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
KFB = b"\x01\0\0\0KFB\0" + bytes(64)
PREVIEW = b"\xff\xd8\xff\xe0" + bytes(60)


def tiff(seed=0, *, keys=None, tiles=9, method=7, side=64, fields=None, bigtiff=False, segments=None):
    """A one-level slide in a few kB; nobody decodes its tiles. With ``keys`` it is an Aperio SVS.

    Tiles of one seed are the same, and of any two seeds differ in length, as compressed tiles do.
    """
    rng = random.Random(seed)
    across = round(tiles**0.5)
    common = {
        256: longs(side * across), 257: longs(side * across), 258: shorts(8, 8, 8), 259: shorts(method), 262: shorts(6),
        277: shorts(3), 322: shorts(side), 323: shorts(side),
    }  # fmt: skip
    if keys is not None:
        words = "".join(f"|{key} = {value}" for key, value in keys.items())
        common[270] = ascii_text(f"Aperio Image Library v12.0.15 \r\n{side}x{side}{words}")
    data = segments or [rng.randbytes(rng.randrange(100, 400)) for _ in range(tiles)]
    page = Page({**common, **(fields or {})}, data, tiled=True)
    return encode_tiff([page], bigtiff=bigtiff)


def plain(seed, *, tiles=9, side=32, changed=(), fields=None):
    """An uncompressed slide: whatever its pixels, all tiles are of one size; glass but for the tiles ``changed``."""
    rng = random.Random(seed)
    size = side * side * 3
    segments = [rng.randbytes(size) if index in changed else b"\xf0" * size for index in range(tiles)]
    return tiff(tiles=tiles, side=side, method=1, segments=segments, fields=fields)


def loop(seed=0):
    """A TIFF whose chain of directories has a loop."""
    data = bytearray(tiff(seed))
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    data[first + 2 + 12 * entries : first + 6 + 12 * entries] = data[4:8]
    return bytes(data)


def odd_integer(tag, value):
    """A slide that gives a tag a number that no column can hold."""
    signed = Field(17, 1, value.to_bytes(8, "little", signed=value < 0))
    return tiff(bigtiff=True, fields={tag: signed if value < 0 else Field(16, 1, signed.data)})


STATES = {
    "whole.svs": (tiff(1, keys={"AppMag": "20"}), "ok"),
    "UPPER.TIFF": (tiff(2), "ok"),
    "slide_without_extension": (tiff(3), "ok"),
    "claimed_by_content.dat": (tiff(4), "ok"),
    "cut.svs": (tiff(5, keys={})[:-60], "truncated"),
    "cut_in_its_first_bytes.tif": (tiff(6)[:6], "truncated"),
    "empty.svs": (b"", "truncated"),
    "loop.svs": (loop(), "corrupt"),
    "text.ndpi": (TEXT, "not_a_slide"),
    "zeros.svs": (bytes(5000), "not_a_slide"),
    "pointer.svs": (LFS_POINTER, "lfs_pointer"),
    "closed.kfb": (KFB, "unsupported:kfbio"),
    "closed_by_content.bin": (KFB, "unsupported:kfbio"),
    "closed.sdpc": (b"SQ" + bytes(90), "unsupported:sqray"),
    "alone.mrxs": (PREVIEW, "companion_missing"),
    "letter.txt": (TEXT, None),
    "photo.jpg": (PREVIEW, None),
    "nothing": (b"", None),
}
"""Name to content and status; None is no slide, which is counted among the others."""


class InProcess:
    """An engine that runs kernels in this process, one batch after the other.

    Attributes:
        read: path of every file whose header was read.
        sampled: path of every file whose tiles were sampled.
        before: called before the first batch of a run, when the archive has been walked.
    """

    def __init__(self, before: Callable[[], None] | None = None) -> None:
        self.read: list[bytes] = []
        self.sampled: list[bytes] = []
        self.before = before

    def run(self, kernel, batches, spec, schema, *, on_crash, timeout=None):
        if self.before is not None:
            # The walk goes on while files are read; here it has come to its end.
            batches = list(batches)
            self.before()
            self.before = None
        for batch in batches:
            (self.read if kernel is read_headers else self.sampled).extend(paths_of(batch, spec))
            output = kernel(batch, spec)
            assert output.schema.equals(schema)
            assert output.num_rows == batch.num_rows
            yield output


def paths_of(batch, spec):
    """Absolute paths of the files that a kernel is given."""
    files = zip(batch["root"].to_pylist(), batch["relpath"].to_pylist(), strict=True)
    return [os.path.join(spec.roots[root].path, relpath) for root, relpath in files]  # noqa: PTH118


def read_or_die(batch, spec):
    """Kernel: as ``read_headers``, but files that begin with DIE or HANG do that to the worker. Others are read truly."""
    for path in paths_of(batch, spec):
        with contextlib.suppress(OSError):
            head = Path(os.fsdecode(path)).read_bytes()[:4]
            if head == b"DIE!":
                os._exit(9)
            if head == b"HANG":
                time.sleep(60)
    return read_headers(batch, spec)


class Here(Embedded):
    """The real engine, but kernels run in this process."""

    def run(self, kernel, batches, spec, schema, *, on_crash, timeout=None):
        for batch in batches:
            output = kernel(batch, spec)
            assert output.schema.equals(schema)
            assert output.num_rows == batch.num_rows
            yield output


class Deadly(Embedded):
    """The real engine with real workers, in which files can kill their reader."""

    def run(self, kernel, batches, spec, schema, *, on_crash, timeout=None):
        kernel = read_or_die if kernel is read_headers else kernel
        return super().run(kernel, batches, spec, schema, on_crash=on_crash, timeout=timeout)


@dataclass
class Desk:
    """A workspace with archives below one directory.

    Attributes:
        directory: holds ``ws/`` and the archives.
        sites: site code to archive name to folder below the directory.
        patterns: accession patterns of every site, if not the defaults.
    """

    directory: Path
    sites: dict[str, dict[str, str]] = field(default_factory=lambda: {"NB01": {"main": "main"}})
    patterns: list[str] | None = None

    def __post_init__(self) -> None:
        self.configure()
        for archives in self.sites.values():
            for folder in archives.values():
                (self.directory / folder).mkdir(parents=True, exist_ok=True)

    @property
    def workspace_directory(self) -> Path:
        return self.directory / "ws"

    @property
    def main(self) -> Path:
        """The archive that most tests use."""
        return self.directory / "main"

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.workspace_directory / "catalog")

    def configure(self, **changes) -> Workspace:
        for name, value in changes.items():
            setattr(self, name, value)
        accession = {"accession": {"patterns": self.patterns}} if self.patterns else {}
        sites = [
            {
                "code": code,
                "archives": [{"name": name, "root": str(self.directory / folder)} for name, folder in archives.items()],
                **accession,
            }
            for code, archives in self.sites.items()
        ]
        self.workspace_directory.mkdir(exist_ok=True)
        file = self.workspace_directory / "pathcurate.yaml"
        file.write_text(json.dumps({"workspace": 1, "name": "test", "sites": sites}, ensure_ascii=False))
        return load_workspace(file)

    def put(self, relpath, content, *, archive="main") -> Path:
        path = os.path.join(os.fsencode(self.directory / archive), os.fsencode(relpath))  # noqa: PTH118
        path = Path(os.fsdecode(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def scan(self, engine=None, *, sites=(), progress=lambda what, done, total: None, **more) -> ScanSummary:
        """Scan, and check that every file is accounted for."""
        summary = scan(self.configure(), engine or InProcess(), ScanOptions(sites=sites, **more), progress=progress)
        assert summary.walked == (
            summary.found + summary.companions + summary.instances + sum(summary.others.values())
        )  # fmt: skip
        assert summary.found == summary.read + summary.unchanged
        assert summary.found == sum(summary.statuses.values())
        return summary

    def rows(self, *, gone=False) -> dict[bytes, dict]:
        """Slides by path below their archive, which the tests keep distinct; a gone one only where no other has come."""
        rows = self.catalog.read(SLIDES).to_pylist()
        live = [row for row in rows if row["status"] != "gone"]
        by_path = {row["relpath"]: row for row in live}
        assert len(by_path) == len(live)
        return {row["relpath"]: row for row in rows if gone} | by_path

    def row(self, relpath) -> dict:
        return self.rows(gone=True)[os.fsencode(relpath)]

    def id(self, relpath) -> str:
        return self.row(relpath)["slide_id"]

    def key_rows(self) -> list[dict]:
        """Rows of slide_keys with a number, as the next link would make them."""
        with Here(workers=1, temp_directory=self.workspace_directory / "sql") as engine:
            bring_keys(self.configure(), self.catalog, engine)
        return [row for row in self.catalog.read(SLIDE_KEYS).to_pylist() if row["key"] is not None]

    def keys(self) -> set[tuple[str, str]]:
        return {(row["slide_id"], row["key"]) for row in self.key_rows()}

    def state(self) -> dict[str, list[dict]]:
        """Everything that a scan leaves, without what tells when."""
        tables = {}
        for table in (SLIDES, SERIES, FILES, FINDINGS):
            data = self.catalog.read(table)
            names = [name for name in data.column_names if name not in {"scanned_at", "moved_at"}]
            tables[table.name] = sorted(data.select(names).to_pylist(), key=repr)
        return tables

    def snapshot(self) -> str:
        return self.catalog.state(SLIDES)


def regular_files(root: Path) -> int:
    """How many regular files are below a directory, links not followed."""
    return sum(
        stat.S_ISREG(os.lstat(os.path.join(folder, name)).st_mode)  # noqa: PTH118
        for folder, _, names in os.walk(os.fsencode(root))
        for name in names
    )


def paths(*names) -> pa.RecordBatch:
    """A batch for a kernel of the scan."""
    return pa.record_batch({"path": pa.array([os.fsencode(name) for name in names], pa.binary())})

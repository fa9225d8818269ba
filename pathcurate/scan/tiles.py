"""Kernels that look deeper than the header: tile tables read whole, a sample of tiles decoded, the digest of every byte.

The sample finds a fault with a bound that can be stated. If n of the N tiles of a level cannot be decoded and k of them are
drawn without repetition, all of the bad ones are missed with probability C(N-n, k) / C(N, k), which is at most (1 - n/N)^k:
4 tiles of a level miss a fault in half of it in at most 1 of 16 slides, 16 tiles miss a fault in a quarter of it in at most
1 of 100. What is not drawn is not known. A decoder also accepts some damage: a JPEG tile whose compressed data was
overwritten in the middle may decode to a wrong picture without complaint, which only a digest taken earlier can show.
"""

import errno
import hashlib
import os
import random
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import openslide
import pyarrow as pa

from pathcurate import readers
from pathcurate.engines import LossReason
from pathcurate.model.slide import SLIDES
from pathcurate.scan.passes import PassSpec
from pathcurate.storage import Entry, Root, Source, walk
from pathcurate.tables import arrow_schema

_STATE: Final = ("status", "status_detail")
_COUNTS: Final = ("tiles_checked", "tiles_bad", "tiles_decoded")
TILES_SCHEMA = pa.schema(
    [arrow_schema(SLIDES).field(name).with_nullable(True) for name in (*_STATE, *_COUNTS, "check_level")]
)
"""Without ``status`` nothing is wrong, and what was known of the slide stands."""
DIGEST_SCHEMA = pa.schema(
    [arrow_schema(SLIDES).field(name).with_nullable(True) for name in (*_STATE, "content_sha256", "check_level")]
)
"""As :data:`TILES_SCHEMA`; ``content_sha256`` is ``sha256:`` and 64 digits, null if the files could not be read whole."""

_PIECE: Final = 8 << 20
_TILE: Final = 256  # px, where a format has no tiles of its own
_MOST_TILE: Final = 4096  # px: of a strip or of one huge tile only the beginning is asked for
_MOST_LINKED: Final = 400  # files, each of them opened twice; the usual limit is 1,024
_UNTOLD: Final = (b".vms", b".vmu")
"""Extensions of slides whose other files only OpenSlide finds."""
_REFUSED: Final = re.compile(r"unsupported|not supported|can't handle|cannot handle", re.IGNORECASE)


class _UndecodableError(Exception):
    """A slide that OpenSlide knows but cannot open; the text says what, without a value from the file."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a level, by its place in the level's grid."""

    level: int
    column: int
    row: int


# --- Tiles -------------------------------------------------------------------------------------------------------


def check_tiles(batch: pa.RecordBatch, spec: PassSpec) -> pa.RecordBatch:
    """Kernel: count the tiles that lie outside their file, and decode ``spec.tiles_per_level`` tiles of each level.

    Which tiles are drawn depends on the slide's id and ``spec.seed`` alone. A tile outside the slide's bounds, or one that
    was never stored, is empty and whole. Formats that OpenSlide does not open, and files that are not on this machine, are
    counted only, and ``tiles_decoded`` stays null. See the module for how sure the answer is, :data:`PASS_INPUT` for the
    input and :data:`TILES_SCHEMA` for the output.
    """
    return pa.RecordBatch.from_pylist([_checked(row, spec) for row in batch.to_pylist()], schema=TILES_SCHEMA)


def lost_tiles(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    """The row of a slide whose tiles kill or hang the decoder."""
    status = "timeout" if reason == "timeout" else "decode_failed"
    lost = {
        "status": status,
        "status_detail": f"the tile check did not survive this slide ({reason})",
        "check_level": "tiles",
    }
    return pa.RecordBatch.from_pylist([lost] * row.num_rows, schema=TILES_SCHEMA)


def _checked(row: Mapping[str, Any], spec: PassSpec) -> dict[str, Any]:
    result: dict[str, Any] = {"check_level": "tiles"}
    root = spec.roots[row["root"]]
    paths = row["files"] or [row["relpath"]]
    try:
        checked, bad = _counted(root, paths, row["reader"])
        result |= {"tiles_checked": checked, "tiles_bad": bad}
        result |= _decoded(root, row, paths, spec)
    except OSError as error:
        return result | _unreadable(error)
    except Exception as error:  # noqa: BLE001  decoders meet hostile files; of what they raise only the type is kept
        return result | {"status": "decode_failed", "status_detail": f"the decoder raised {type(error).__name__}"}
    if bad:
        detail = f"{bad} of {checked} tiles lie beyond the end of the file"
        result |= {"status": "truncated", "status_detail": detail}
    return result


def _unreadable(error: OSError) -> dict[str, Any]:
    return {"status": "unreadable", "status_detail": errno.errorcode.get(error.errno or 0, "EIO")}


def _counted(root: Root, paths: Sequence[bytes], reader: str) -> tuple[int | None, int | None]:
    """Tiles whose place was checked, and those of them outside their file; nothing if the reader knows no tables."""
    counts = []
    for path in paths:
        with root.open(path) as source:
            counts.append(readers.count_tiles(source, reader))
    known = [count for count in counts if count is not None]
    if not known:
        return None, None
    return sum(count.checked for count in known), sum(count.bad for count in known)


def _decoded(root: Root, row: Mapping[str, Any], paths: Sequence[bytes], spec: PassSpec) -> dict[str, Any]:
    """How many tiles were decoded, and what is wrong if some were not."""
    with root.open(row["relpath"]) as source:
        if source.local_path is None:
            return {}
        with _openable(root, row, paths, source.local_path) as path:
            try:
                drawn, failed = _sample(path, row["slide_id"], spec)
            except _UndecodableError as reason:
                return {"tiles_decoded": 0, "status": "decode_failed", "status_detail": str(reason)}
    if drawn is None:
        return {}
    if not failed:
        return {"tiles_decoded": len(drawn)}
    first = failed[0]
    detail = (
        f"{len(failed)} of {len(drawn)} sampled tiles cannot be decoded, the first at level {first.level}, "
        f"column {first.column}, row {first.row}"
    )
    return {"tiles_decoded": len(drawn) - len(failed), "status": "decode_failed", "status_detail": detail}


def _sample(path: bytes, slide_id: str, spec: PassSpec) -> tuple[list[Tile] | None, list[Tile]]:
    """The tiles that were asked for, and those of them that cannot be decoded; None if OpenSlide cannot read it."""
    slide = _open(path)
    if slide is None:
        return None, []
    failed = []
    try:
        drawn = draw_tiles(slide, slide_id, spec)
        for tile in drawn:
            try:
                _decode(slide, tile)
            except openslide.OpenSlideError:
                failed.append(tile)
                # After an error OpenSlide answers every later call with it.
                slide.close()
                slide = _open(path) or slide
    finally:
        slide.close()
    return drawn, failed


def _open(path: bytes) -> openslide.OpenSlide | None:
    """The slide; None if OpenSlide does not read this format or this variant of it.

    Raises:
        _UndecodableError: it should, and cannot.
    """
    if openslide.OpenSlide.detect_format(path) is None:
        return None
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError:
        return None
    except openslide.OpenSlideError as error:
        # The message itself may hold a path; only whether it speaks of a missing ability is taken from it.
        if _REFUSED.search(str(error)):
            return None
        raise _UndecodableError("OpenSlide knows the format but cannot open the file") from None


def draw_tiles(slide: openslide.OpenSlide, slide_id: str, spec: PassSpec) -> list[Tile]:
    """Up to ``spec.tiles_per_level`` different tiles of each level, in the order of levels, rows and columns."""
    tiles = []
    for level in range(slide.level_count):
        # A generator for each level, so that a level's tiles do not depend on the others.
        generator = random.Random(f"{slide_id}\0{spec.seed}\0{level}")  # noqa: S311  a sample, not a secret
        columns, rows = _grid(slide, level)
        total = columns * rows
        chosen = generator.sample(range(total), min(spec.tiles_per_level, total))
        tiles += [Tile(level, index % columns, index // columns) for index in sorted(chosen)]
    return tiles


def _tile_size(slide: openslide.OpenSlide, level: int) -> tuple[int, int]:
    sizes = (slide.properties.get(f"openslide.level[{level}].tile-{side}", "") for side in ("width", "height"))
    width, height = (int(text) if re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII) else _TILE for text in sizes)
    return width, height


def _grid(slide: openslide.OpenSlide, level: int) -> tuple[int, int]:
    """Columns and rows of tiles; none where a level is empty."""
    (width, height), (across, down) = slide.level_dimensions[level], _tile_size(slide, level)
    return -(-width // across), -(-height // down)


def _decode(slide: openslide.OpenSlide, tile: Tile) -> None:
    """Decode one tile.

    Raises:
        OpenSlideError: it cannot be decoded.
    """
    (width, height), downsample = slide.level_dimensions[tile.level], slide.level_downsamples[tile.level]
    across, down = _tile_size(slide, tile.level)
    x, y = tile.column * across, tile.row * down
    size = min(across, width - x, _MOST_TILE), min(down, height - y, _MOST_TILE)
    slide.read_region((round(x * downsample), round(y * downsample)), tile.level, size)


@contextmanager
def _openable(root: Root, row: Mapping[str, Any], paths: Sequence[bytes], main: bytes) -> Iterator[bytes]:
    """A path by which OpenSlide finds all files of the slide and no others.

    OpenSlide looks for a DICOM slide's other instances in the folder of the one it is given, and opens every file there: a
    flat folder of thousands costs seconds a slide, and instances in another folder are not found. So the instances are
    shown to it in a folder of their own, as links to open files, which name no path.
    """
    if row["format"] != "dicom" or len(paths) > _MOST_LINKED:
        yield main
        return
    with ExitStack() as opened, tempfile.TemporaryDirectory(prefix="pathcurate-") as name:
        folder = Path(name)
        # First comes the file that stands for the slide.
        for number, path in enumerate(sorted(paths, key=lambda path: path != row["relpath"])):
            source = opened.enter_context(root.open(path))
            handle = os.open(source.local_path or b"", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            opened.callback(os.close, handle)
            (folder / f"{number}.dcm").symlink_to(f"/dev/fd/{handle}")
        yield os.fsencode(folder / "0.dcm")


# --- Digests -----------------------------------------------------------------------------------------------------


def digest_files(batch: pa.RecordBatch, spec: PassSpec) -> pa.RecordBatch:
    """Kernel: SHA-256 of all bytes of every file of each slide; see :data:`PASS_INPUT` and :data:`DIGEST_SCHEMA`.

    Of a slide of one file it is the digest of that file. Of several it is the digest of one line for each, sorted:
    path below the folder that they have in common, NUL, size in decimal, NUL, digest of the file in hexadecimal, line feed.
    Where it cannot be told which files belong to the slide, all is null: what was known stands, and nothing is vouched for.
    """
    return pa.RecordBatch.from_pylist([_digested(row, spec) for row in batch.to_pylist()], schema=DIGEST_SCHEMA)


def lost_digest(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    """The row of a slide whose files could not be read to their end in time."""
    status = "timeout" if reason == "timeout" else "unreadable"
    lost = {"status": status, "status_detail": f"reading all bytes did not end well ({reason})", "check_level": "digest"}
    return pa.RecordBatch.from_pylist([lost] * row.num_rows, schema=DIGEST_SCHEMA)


def _digested(row: Mapping[str, Any], spec: PassSpec) -> dict[str, Any]:
    root = spec.roots[row["root"]]
    result: dict[str, Any] = {"check_level": "digest"}
    try:
        paths = _all_files(root, row)
        if paths is None:
            return {}
        digests = [_digest(root, path) for path in paths]
    except OSError as error:
        return result | _unreadable(error)
    except _ChangedError:
        return result | {"status": "unreadable", "status_detail": "the file changed while it was read"}
    if len(paths) == 1:
        return result | {"content_sha256": f"sha256:{digests[0][1]}"}
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120  paths are bytes
    start = len(folder) + 1 if folder else 0
    lines = sorted(
        b"%b\0%d\0%b\n" % (path[start:], size, digest.encode()) for path, (size, digest) in zip(paths, digests, strict=True)
    )
    return result | {"content_sha256": f"sha256:{hashlib.sha256(b''.join(lines)).hexdigest()}"}


class _ChangedError(Exception):
    """A file is no longer what it was when it was opened."""


def _all_files(root: Root, row: Mapping[str, Any]) -> list[bytes] | None:
    """Every file of a slide, also those in the folder beside it; None if that cannot be told."""
    paths = row["files"] or [row["relpath"]]
    if len(paths) > 1:
        return list(paths)
    folder = readers.companion_folder(row["relpath"])
    if folder is None:
        return None if row["relpath"].lower().endswith(_UNTOLD) else list(paths)
    with root.open(row["relpath"]) as source:
        there = source.local_path and readers.companion_folder(source.local_path)
    if not there:
        return None
    beside = Path(os.fsdecode(there))
    found = walk(beside) if beside.is_dir() else ()
    return [*paths, *(folder + b"/" + item.relpath for item in found if isinstance(item, Entry))]


def _digest(root: Root, path: bytes) -> tuple[int, str]:
    """Size of a file and digest of its bytes, in hexadecimal.

    Raises:
        _ChangedError: its size or time is another than when it was opened.
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with root.open(path) as source:
        before = _state(source)
        offset = 0
        while piece := source.read_at(offset, _PIECE):
            digest.update(piece)
            offset += len(piece)
        if offset != source.size or _state(source) != before:
            raise _ChangedError
    return offset, digest.hexdigest()


def _state(source: Source) -> tuple[int, int, int] | None:
    """By what a file of this machine is known to be the same, and unchanged."""
    if source.local_path is None:
        return None
    state = os.stat(source.local_path, follow_symlinks=False)  # noqa: PTH116  a path of an archive is bytes
    return state.st_ino, state.st_size, state.st_mtime_ns

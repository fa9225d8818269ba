"""The proof of one copy: same pixels, same geometry, opened by other readers, and nothing in it that identified the slide.

Nothing here trusts the scrubber that wrote the copy: source and copy are read anew, by our readers and by those of others.
"""

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pathcurate import readers
from pathcurate.copies.masked import is_masked_copy
from pathcurate.copies.otherreaders import Opened, differences, opened
from pathcurate.images.edgetiles import frame_of, shows_same
from pathcurate.images.symbols import read_symbols
from pathcurate.leaksearch.own import OwnHit, OwnSearch
from pathcurate.model.filescrub import FilePlan, PixelRun, WrittenFiles
from pathcurate.slidefiles import ScrubJob
from pathcurate.storage import LocalSource, Source

_PIECE: Final = 4 << 20
_MOST_TILE: Final = 64 << 20
_SAME: Final = (
    "width", "height", "level_count", "level_downsamples", "tile_width", "tile_height", "compression", "mpp_x", "mpp_y",
    "objective_power", "focal_planes", "channels",
)  # fmt: skip
"""What a header says of the pyramid; a copy's says the same."""
_OF_LAYOUT: Final = frozenset({"compression", "tile_width", "tile_height", "level_downsamples"})
"""Of these, what another format may say otherwise of the same tiles."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proven of the copies of one slide or series.

    Attributes:
        images: images whose pixels are those of the source, bit for bit.
        pixel_bytes: their bytes.
        values: identifiers that were searched for.
        bytes_searched: in which, and that all was hashed.
        readers: readers of others that opened the copies.
        sha256: digest of each copy, in the order of the files.
        faults: what is not as it must be, in words without a value; empty if the proof holds.
    """

    images: int
    pixel_bytes: int
    values: int
    bytes_searched: int
    readers: tuple[str, ...]
    sha256: Mapping[str, str]
    faults: tuple[str, ...]


def prove(job: ScrubJob, plan: FilePlan, folder: Path, written: WrittenFiles) -> Proof:
    """Prove the copies of one slide or series.

    Args:
        job: what was scrubbed.
        plan: what the scrubber says went.
        folder: where the copies are.
        written: which they are.

    Raises:
        OSError: source or copy cannot be read.
    """
    search = OwnSearch((*job.known, *plan.own), without=_codes(job))
    faults: list[str] = []
    images = pixel_bytes = 0
    pixels: dict[str, _Spans] = {}
    for copy, member in _copies(job, written):
        with ExitStack() as stack:
            original = stack.enter_context(job.open(member))
            made = stack.enter_context(LocalSource(bytes(folder / copy)))
            compared = _Comparison(original, made, job)
            faults += compared.faults
            images, pixel_bytes = images + compared.images, pixel_bytes + compared.length
            for file, spans in compared.spans.items():
                pixels[str(Path(copy).parent / file.decode("utf-8", "surrogateescape")) if file else copy] = spans
    known_by, texts = _by_others(job, folder, written, faults)
    for place, text in texts:
        faults += [f"{place} still says what identifies ({kind})" for kind in search.in_text(text)]
    digests = {}
    searched = 0
    for name in written.files:
        digests[name], hits, length = _hashed(folder / name, search, pixels.get(name))
        searched += length
        faults += [f"an identifier ({hit.kind}, {hit.encoding}) stands at offset {hit.offset:,}" for hit in hits]
        faults += [f"the name of a copy says what identifies ({kind})" for kind in search.in_text(name)]
    if not images and job.format != "dicom":
        faults.append("no copy holds any pixels")
    return Proof(images, pixel_bytes, search.searched, searched, known_by, digests, tuple(dict.fromkeys(faults)))


def _copies(job: ScrubJob, written: WrittenFiles) -> list[tuple[str, bytes]]:
    """Copies that readers open by themselves, each with the file that it was made of."""
    return sorted(written.copied.items()) or [(written.main, job.members[0])]


def _codes(job: ScrubJob) -> Iterator[str]:
    yield from (code for code in (job.code, job.patient, job.case) if code is not None)


class _Spans:
    """Where pixels lie in one file: joined, in order."""

    def __init__(self) -> None:
        self._starts, self._ends = array("Q"), array("Q")
        self._joined: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None

    def add(self, offset: int, length: int) -> None:
        if self._ends and self._ends[-1] == offset:
            self._ends[-1] += length
        else:
            self._starts.append(offset)
            self._ends.append(offset + length)

    def holds(self, start: int, end: int) -> bool:
        """Whether all bytes of a stretch are pixels."""
        if self._joined is None:
            self._joined = self._join()
        starts, ends = self._joined
        at = bisect_right(starts, start) - 1
        return at >= 0 and end <= int(ends[at])

    def _join(self) -> "tuple[NDArray[np.uint64], NDArray[np.uint64]]":
        starts, ends = (np.frombuffer(these, np.uint64) if these else np.empty(0, np.uint64) for these in
                        (self._starts, self._ends))  # fmt: skip
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], np.maximum.accumulate(ends[order]) if len(ends) else ends
        is_first = np.append(True, starts[1:] > ends[:-1])[: len(starts)]
        is_last = np.append(is_first[1:], True)[: len(starts)]
        return starts[is_first], ends[is_last]


class _Comparison:
    """Source and copy side by side: what our readers say of both, and every byte of their pixels."""

    def __init__(self, original: Source, copy: Source, job: ScrubJob) -> None:
        self._job = job
        self.faults: list[str] = []
        self.images = self.length = 0
        self.spans: dict[bytes, _Spans] = {}
        was, now = readers.read_slide(original), readers.read_slide(copy)
        if was is None or now is None:
            self.faults.append("our reader does not know the copy" if was else "our reader does not know the source")
            return
        self._headers(was, now)
        self.faults += [f"our reader finds {what} in the copy" for what in self._left(now, copy)]
        if _status(now) != "ok":
            return
        self._pixels(original, was.reader, copy, now.reader)
        # A converted copy has the same tiles in another file, so its sample is another one.
        is_sampled = was.part is None and not job.convert
        if is_sampled and readers.sample_pixels(original, was.reader) != readers.sample_pixels(copy, now.reader):
            self.faults.append("the pixel fingerprint is another one")

    def _headers(self, was: readers.ReadResult, now: readers.ReadResult) -> None:
        if _status(now) != "ok":
            self.faults.append(f"our reader finds the copy {_status(now)}")
        self.faults += [
            f"{name} is not as in the source"
            for name in _SAME
            if getattr(was.header, name) != getattr(now.header, name)
            # Another format may say more of the same slide.
            and not (self._job.convert and (name in _OF_LAYOUT or getattr(was.header, name) is None))
        ]

    def _left(self, now: readers.ReadResult, copy: Source) -> Iterator[str]:
        """What must not be in a copy's header; images of no known kind included, for which a reader says None."""
        texts = ("barcode", "label_text", "patient_id", "scanner_serial")
        yield from (name for name in texts if getattr(now.header, name, None))
        if now.part is not None:
            return
        # Where a format has no names for its images, the study label is one of no known kind.
        allowed = {None, False} if self._job.relabel else {False}
        if now.header.has_label not in allowed and not (self._job.relabel and self._is_study_label(copy, now.reader)):
            yield "a label"
        if now.header.has_overview not in allowed and not _is_blank(copy, now.reader):
            yield "an overview"

    def _is_study_label(self, copy: Source, reader: str) -> bool:
        """Whether the label's symbol says the code, so that it is not the label that was there."""
        image = _picture(copy, reader, "label")
        symbol = None if image is None else read_symbols(image)
        return symbol is not None and symbol.text == self._job.code

    def _pixels(self, original: Source, reader: str, copy: Source, reader_of_copy: str) -> None:
        before = groupby(readers.pixel_runs(original, reader), lambda run: run.image)
        after = groupby(readers.pixel_runs(copy, reader_of_copy), lambda run: run.image)
        for was, now in zip_longest(before, after):
            if was is None or now is None or was[0] != now[0]:
                self.faults.append("the copy has other images than the source")
                return
            if self._job.convert:
                length = _same_tiles(original, was[1], copy, self._noted(now[1]))
            else:
                with ExitStack() as stack:
                    left = _pieces(original, was[1], stack)
                    length = _common(left, _pieces(copy, self._noted(now[1]), stack))
            if length is None and self._is_masked(original, copy):
                length = 0
            if length is None:
                self.faults.append("pixels of an image are not those of the source")
                return
            self.images += 1
            self.length += length

    def _is_masked(self, original: Source, copy: Source) -> bool:
        """Whether the pixels are others only because a site's rules black some of them out."""
        masks, paths = self._job.rules.options.get("masks"), (original.local_path, copy.local_path)
        if not isinstance(masks, list | tuple) or paths[0] is None or paths[1] is None:
            return False
        return is_masked_copy(paths[0], paths[1], masks)

    def _noted(self, runs: Iterable[PixelRun]) -> Iterator[PixelRun]:
        for run in runs:
            self.spans.setdefault(run.file, _Spans()).add(run.offset, run.length)
            yield run


def _status(read: readers.ReadResult) -> str:
    return read.part.status if read.part else read.header.status


def _is_blank(copy: Source, reader: str) -> bool:
    """Whether the overview shows one colour only: readers of some formats ask for one."""
    image = _picture(copy, reader, "overview")
    return image is not None and len(image.convert("RGB").getcolors(maxcolors=1) or ()) == 1


def _picture(copy: Source, reader: str, kind: str) -> Image.Image | None:
    try:
        return readers.picture(copy, reader, kind)
    except Exception:  # noqa: BLE001 -- whatever a decoder says of it, nothing is proven
        return None


def _pieces(source: Source, runs: Iterable[PixelRun], stack: ExitStack) -> Iterator[bytes]:
    """The bytes of runs; what lies side by side is read at once."""
    files: dict[bytes, Source] = {b"": source}
    start = end = 0
    file = b""
    for run in runs:
        if (run.file, run.offset) == (file, end) and run.offset + run.length - start <= _PIECE:
            end += run.length
            continue
        yield from _read(files, file, start, end, source, stack)
        file, start, end = run.file, run.offset, run.offset + run.length
    yield from _read(files, file, start, end, source, stack)


def _read(
    files: dict[bytes, Source], file: bytes, start: int, end: int, source: Source, stack: ExitStack
) -> Iterator[bytes]:
    if start == end:
        return
    if file not in files:
        files[file] = stack.enter_context(source.beside(file))
    for first in range(start, end, _PIECE):
        length = min(_PIECE, end - first)
        piece = files[file].read_at(first, length)
        if len(piece) < length:
            raise OSError("a file ends before its pixels do")
        yield piece


def _common(left: Iterator[bytes], right: Iterator[bytes]) -> int | None:
    """How many bytes two streams have in common; None if they differ, or one is longer."""
    total = 0
    one = other = b""
    while True:
        one, other = one or next(left, b""), other or next(right, b"")
        if not one or not other:
            return total if not one and not other else None
        length = min(len(one), len(other))
        # Not through memoryviews: they are compared byte by byte, bytes at once.
        if one[:length] != other[:length]:
            return None
        total += length
        one, other = one[length:], other[length:]


def _same_tiles(original: Source, left: Iterable[PixelRun], copy: Source, right: Iterable[PixelRun]) -> int | None:
    """Bytes of the tiles of an image, if its copy in another format has them all; None if not.

    TIFF wants tiles at the edge as large as the others: of those that are smaller, what they show is the same.
    """
    total = 0
    # A format with a table of all cells has some without a tile.
    for was, now in zip_longest((run for run in left if run.length), (run for run in right if run.length)):
        if was is None or now is None or max(was.length, now.length) > _MOST_TILE:
            return None
        tile, made = original.read_at(was.offset, was.length), copy.read_at(now.offset, now.length)
        if tile != made and not _shows_same(tile, made):
            return None
        total += was.length
    return total


def _shows_same(tile: bytes, larger: bytes) -> bool:
    small, large = frame_of(tile), frame_of(larger)
    if small is None or large is None or (small.width, small.height) == (large.width, large.height):
        return False
    try:
        return shows_same(tile, larger)
    except OSError:
        return False


def _by_others(
    job: ScrubJob, folder: Path, written: WrittenFiles, faults: list[str]
) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Readers of others that opened the copies, and the texts that they show; what is wrong is added to the faults."""
    names: set[str] = set()
    texts: list[tuple[str, str]] = []
    for copy, member in _copies(job, written):
        with job.open(member) as source:
            path = source.local_path
            before: Mapping[str, Opened] = opened(path, job.format) if path is not None and not job.convert else {}
        after = opened(bytes(folder / copy), "svs" if job.convert else job.format)
        faults += differences(before, after, may_have_label=job.relabel)
        if "pydicom" in after:
            faults += _wrong_uids(job, before.get("pydicom"), after["pydicom"])
        names |= after.keys()
        texts += [(f"what {name} reads", text) for name, shown in after.items() for text in shown.texts]
    if not names and (job.convert or job.format != "kfb"):
        faults.append("no reader but ours opens the copy")
    return tuple(sorted(names)), texts


def _wrong_uids(job: ScrubJob, before: Opened | None, after: Opened) -> Iterator[str]:
    """Whether the copy of an instance is named as everything that refers to it will name it."""
    instance, *_, in_meta = after.uids
    if instance != in_meta:
        yield "its file meta group names another instance"
    if before is None or job.rules.options.get("retain_uids") is True:
        return
    if any(now != job.codes.uid(was) for was, now in zip(before.uids[:-1], after.uids[:-1], strict=True) if was):
        yield "a UID is not the one that stands for that of the source"


def _hashed(path: Path, search: OwnSearch, spans: _Spans | None) -> tuple[str, list[OwnHit], int]:
    """SHA-256 of a copy, where it holds identifiers (a few of the places), and its length; read once."""
    digest = hashlib.sha256()
    hits: list[OwnHit] = []
    overlap = max(search.longest - 1, 0) + 2
    tail, done = b"", 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            data, first = tail + piece, done - len(tail)
            inside = None if spans is None else _shifted(spans, first)
            found = search.in_bytes(data, inside, before=max(len(tail) - 2, 0))
            hits += [OwnHit(first + hit.offset, hit.kind, hit.encoding) for hit in found]
            done += len(piece)
            tail = data[-overlap:]
    return digest.hexdigest(), sorted(set(hits))[:20], done


def _shifted(spans: _Spans, first: int) -> Callable[[int, int], bool]:
    return lambda start, end: spans.holds(first + start, first + end)

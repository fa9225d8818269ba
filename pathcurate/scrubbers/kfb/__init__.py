"""Scrubs KFB slides: photos, times and every byte of unknown meaning become zero; or tiles move into a TIFF.

The format is not documented by its vendor, so nothing is kept that is not understood: of the header the fields that a reader
needs, of the tile table the columns that lead to tiles, and the tiles. A file of which much more is there is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from pathcurate.blanking import Spans, are_apart, check_slack, gaps, joined, overlaps, write_blanked
from pathcurate.images.jpegsegments import HEAD_BYTES, has_trailer, says_more
from pathcurate.model.filescrub import Change, Deed, FilePlan, OwnValue, UnscrubbableError, WrittenFiles
from pathcurate.scrubbers.kfb.layout import (
    CHUNK,
    ENTRY,
    FIELDS,
    PICTURES,
    Entries,
    chunks,
    layout_of,
    levels_of,
    pictures,
)
from pathcurate.scrubbers.kfb.pyramid import Pyramid
from pathcurate.slidefiles import ScrubJob
from pathcurate.storage import Source, path_text

NAME: Final = "kfb"
VERSION: Final = 1
FORMATS: Final = ("kfb",)

_TILES_LOOKED_AT: Final = 64
_TILE_BYTES: Final = 16 << 20
_WORD: Final = re.compile(rb"[0-9A-Za-z][ -~]{4,63}|(?:[0-9A-Za-z]\0)(?:[ -~]\0){4,63}")
_MOST_WORDS: Final = 64
_LEAST_OWN: Final = 5
_KEPT: Final = (
    "number of tiles", "width", "height", "magnification", "compression", "resolution", "tile size", "tiles",
)  # fmt: skip
_REMOVED: Final = ("scan time", "scan duration", "bytes of unknown meaning")


def plan(job: ScrubJob) -> FilePlan:
    """See :class:`~pathcurate.scrubbers.files.FileScrubber`."""
    with job.open() as source:
        return _Slide(job, source).plan()


def write(job: ScrubJob, folder: Path) -> tuple[FilePlan, WrittenFiles | None]:
    """See :class:`~pathcurate.scrubbers.files.FileScrubber`."""
    with job.open() as source:
        slide = _Slide(job, source)
        made = slide.plan()
        if made.unknown:
            return made, None
        name = f"{job.code}.{'tiff' if job.convert else 'kfb'}"
        slide.write(folder / name)
        return made, WrittenFiles(name, (name,), {}, len(job.members) - 1, {name: job.members[0]})


class _Slide:
    """One slide whose file is open.

    Args:
        job: what to scrub.
        source: the file.

    Raises:
        UnscrubbableError: it is not understood well enough.
        OSError: it cannot be read.
    """

    def __init__(self, job: ScrubJob, source: Source) -> None:
        self._job, self._source = job, source
        self._layout = layout_of(source)
        self._kept = self._spans()
        self._pictures = pictures(source, self._layout)
        self._check()

    def plan(self) -> FilePlan:
        """What will be done."""
        job, changes = self._job, []
        found = [part for part, place in zip(PICTURES, self._pictures, strict=True) if place is not None]
        for part in _KEPT:
            if (rule := job.rules.find("part", part)) is None or rule.deed is not Deed.KEEP:
                raise UnscrubbableError(f"rules of this site would remove what readers need ({part})")
        for part in (*found, *_REMOVED):
            if (rule := job.rules.find("part", part)) is None or rule.deed is not Deed.REMOVE:
                raise UnscrubbableError(f"rules of this site would keep what cannot be kept ({part})")
            changes.append(Change(part, Deed.REMOVE, f"{job.format}, part, {rule.name}"))
        changes.append(Change("name of the file", Deed.PSEUDONYM, f"{job.format}, structure, names"))
        size = self._source.size
        if job.convert:
            levels = levels_of(self._source, self._layout)
            Pyramid(self._source, self._layout, levels, self._words()).check()
            size += sum(16 * len(level.lengths) for level in levels) + (1 << 16)
        return FilePlan(tuple(changes), own=tuple(self._own()), size=size)

    def write(self, target: Path) -> None:
        """Write the copy."""
        if self._job.convert:
            levels = levels_of(self._source, self._layout)
            Pyramid(self._source, self._layout, levels, self._words()).write(target)
        else:
            write_blanked(self._source, target, self._kept, self._edits())

    def _spans(self) -> Spans:
        """What the copy keeps: header, table, tiles."""
        layout, size = self._layout, self._source.size
        starts, lengths = np.empty(layout.count + 2, np.int64), np.empty(layout.count + 2, np.int64)
        starts[-2:], lengths[-2:] = (0, layout.table), (layout.header_end, layout.table_end - layout.table)
        for number, entries in enumerate(chunks(self._source, layout)):
            places = slice(number * CHUNK, number * CHUNK + len(entries))
            starts[places], lengths[places] = layout.offsets(entries), entries["length"]
        if np.any((starts < 0) | (lengths <= 0) | (starts + lengths > size)):
            raise UnscrubbableError("a tile does not lie within the file")
        # One tile may stand for several places, as one that shows nothing.
        if not are_apart(starts, lengths):
            raise UnscrubbableError("tiles share bytes with one another, with the header or with the table")
        return joined(starts, lengths)

    def _check(self) -> None:
        """Nothing that goes shares bytes with what stays, and little is nobody's; tiles hold no texts."""
        places = [place for place in self._pictures if place is not None]
        if any(overlaps(self._kept, begin, end - begin) for begin, end in places):
            raise UnscrubbableError("a photo shares bytes with what stays")
        check_slack(self._source, self._kept, places)
        words = self._words()
        step = max(1, self._layout.count // _TILES_LOOKED_AT)
        for number in range(0, self._layout.count, step):
            data = self._source.read_at(self._layout.table + number * ENTRY.itemsize, ENTRY.itemsize)
            entry = np.frombuffer(data, ENTRY)
            (offset,), (length,) = self._layout.offsets(entry).tolist(), entry["length"].tolist()
            tile = self._source.read_at(offset, min(length, _TILE_BYTES))
            if not tile.startswith(b"\xff\xd8\xff"):
                raise UnscrubbableError("a tile is no JPEG")
            if says_more(tile[:HEAD_BYTES], words) or has_trailer(tile):
                raise UnscrubbableError("tiles hold texts, which cannot be taken out bit for bit")

    def _words(self) -> frozenset[str]:
        option = self._job.rules.options.get("jpeg_texts", [])
        return frozenset(str(word).lower() for word in (option if isinstance(option, list | tuple) else ()))

    # --- The copy in the same format -----------------------------------------------------------------------------

    def _edits(self) -> Iterator[tuple[int, bytes]]:
        """The header with what a reader needs, and the table with the columns that lead to tiles."""
        layout = self._layout
        head = bytearray(layout.header_end)
        head[4:8] = self._source.read_at(4, 4)
        FIELDS.pack_into(
            head, layout.header_end - FIELDS.size, layout.count, layout.height, layout.width, layout.power,
            layout.compression, b"", 0, 0, 0, 0, 0, layout.table, layout.resolution, b"", layout.side,
        )  # fmt: skip
        yield 0, bytes(head)
        for number, entries in enumerate(chunks(self._source, layout)):
            yield layout.table + number * CHUNK * ENTRY.itemsize, self._plain(entries).tobytes()

    def _plain(self, entries: Entries) -> Entries:
        made = np.zeros(len(entries), ENTRY)
        for name in ("x", "y", "width", "height", "scale", "length"):
            made[name] = entries[name]
        # The distance whole, with its sign: so it is right for readers that take 64 bits of it and for those that take 32.
        made["distance"] = self._layout.offsets(entries) - self._layout.table
        return made

    # --- The account ---------------------------------------------------------------------------------------------

    def _own(self) -> Iterator[OwnValue]:
        name = path_text(self._job.members[0].rpartition(b"/")[2]).rpartition(".")[0]
        if len(name.encode()) >= _LEAST_OWN:
            yield OwnValue("file", name)
        words: dict[str, None] = {}
        inside = [place for place in self._pictures if place is not None]
        starts = np.array([begin for begin, _ in inside], np.int64)
        ends = np.array([end for _, end in inside], np.int64)
        both = joined(
            np.concatenate([self._kept[:, 0], starts]), np.concatenate([self._kept[:, 1] - self._kept[:, 0], ends - starts])
        )
        heads = [(at + begin, at + end) for at in starts.tolist() for begin, end in ((0, 8), (16, 20), (24, 52))]
        for begin, end in [*self._layout.unknown, *heads, *gaps(both, self._source.size)][: 4 * _MOST_WORDS]:
            for word in _WORD.findall(self._source.read_at(begin, min(end - begin, 1 << 16))):
                words[word.replace(b"\0", b"").decode("ascii").strip()] = None
        yield from (OwnValue("label", word) for word in list(words)[:_MOST_WORDS] if len(word) >= _LEAST_OWN + 1)

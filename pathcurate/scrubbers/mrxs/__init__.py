"""Scrubs MIRAX slides: ``x.mrxs``, which becomes an empty picture, and the folder ``x``, of which only what is needed stays.

Photos, texts and whatever no rule keeps leave the list of records in ``Index.dat``, ``Slidedat.ini`` loses their sections
and is numbered anew, and every byte of every file that nothing kept refers to is zero. The slide's id, which stands at the
head of the index and of each data file too, becomes one that follows from the copy's code.
"""

import re
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from pathcurate.blanking import Spans, are_apart, check_no_text, check_slack, joined, overlaps, write_blanked
from pathcurate.images.jpegsegments import HEAD_BYTES, has_text_behind, says_more
from pathcurate.model.filescrub import Change, Deed, FilePlan, OwnValue, UnscrubbableError, WrittenFiles
from pathcurate.scrubbers.mrxs.index import VERSION_BYTES, Index, Walk
from pathcurate.scrubbers.mrxs.settings import MOST_BYTES, Settings, data_name, judged
from pathcurate.slidefiles import ScrubJob
from pathcurate.storage import Source, path_text

NAME: Final = "mrxs"
VERSION: Final = 1
FORMATS: Final = ("mrxs",)

_SUFFIX: Final = b".mrxs"
_DATA_VERSION: Final = re.compile(rb"\d\d\.\d\d")
_LEAST_COMMON: Final = 8
_LEAST_OWN: Final = 5
_MOST_IMAGES: Final = 2_000_000
"""Of one data file, which has 2 GiB at most: so each would have a kilobyte."""
_SAMPLED: Final = 256
"""Images of a piece of a level whose headers and ends are looked at."""
_TAIL: Final = 256
_PNG_TEXTS: Final = re.compile(rb"\x89PNG\r\n\x1a\n.*?(?:tEXt|zTXt|iTXt|eXIf|tIME)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _DataFile:
    """What the copy has of one data file: stretches, and what is written at its head."""

    kept: Spans
    head: bytes


@dataclass(frozen=True, slots=True)
class _Draft:
    settings: Settings
    index: Index
    data: tuple[_DataFile, ...]
    plan: FilePlan


def plan(job: ScrubJob) -> FilePlan:
    """See :class:`~pathcurate.scrubbers.files.FileScrubber`."""
    with ExitStack() as stack:
        return _Slide(job, stack).draft().plan


def write(job: ScrubJob, folder: Path) -> tuple[FilePlan, WrittenFiles | None]:
    """See :class:`~pathcurate.scrubbers.files.FileScrubber`."""
    with ExitStack() as stack:
        slide = _Slide(job, stack)
        draft = slide.draft()
        if draft.plan.unknown:
            return draft.plan, None
        return draft.plan, slide.write(draft, folder)


class _Slide:
    """One slide whose files stay open.

    Args:
        job: what to scrub.
        stack: closes the files.
    """

    def __init__(self, job: ScrubJob, stack: ExitStack) -> None:
        self._job, self._stack = job, stack
        main = job.members[0]
        if not main.lower().endswith(_SUFFIX):
            raise UnscrubbableError("the slide's main file has not the name of a MIRAX slide")
        self._folder = main[: -len(_SUFFIX)]
        ini = self._open("Slidedat.ini")
        self._settings = judged(ini.read_at(0, MOST_BYTES + 1), job)
        self._index = self._open(self._settings.index)
        self._data = [self._open(name) for name in self._settings.files]

    def draft(self) -> _Draft:
        """What becomes of each file."""
        settings = self._settings
        walk = Walk(self._index, settings.slide_id, settings.new_id)
        kept = [record.is_kept for record in settings.records]
        index = walk.index(settings.zooms, settings.levels, kept)
        data = tuple(self._data_file(number, index) for number in range(len(self._data)))
        self._check_index(index)
        self._check_images(index)
        size = len(settings.text) + self._index.size + sum(source.size for source in self._data)
        changes = [*settings.changes, *self._changes()]
        return _Draft(settings, index, data, FilePlan(tuple(changes), tuple(settings.unknown), None, self._own(), size))

    def write(self, draft: _Draft, folder: Path) -> WrittenFiles:
        """Write the copies."""
        code = self._job.code
        home = folder / code
        home.mkdir()
        for number, (source, data) in enumerate(zip(self._data, draft.data, strict=True)):
            write_blanked(source, home / data_name(number), data.kept, [(0, data.head)])
        spans = _spans(draft.index.spans)
        write_blanked(self._index, home / "Index.dat", spans, draft.index.edits)
        (home / "Slidedat.ini").write_bytes(draft.settings.text)
        (folder / f"{code}.mrxs").write_bytes(_blank_picture())
        names = ["Slidedat.ini", "Index.dat", *map(data_name, range(len(self._data)))]
        main = f"{code}.mrxs"
        named = {name.encode() for name in ("Slidedat.ini", draft.settings.index, *draft.settings.files)}
        dropped = sum(member.removeprefix(self._folder + b"/") not in named for member in self._job.members[1:])
        files = (main, *(f"{code}/{name}" for name in names))
        return WrittenFiles(main, files, {}, dropped, {main: self._job.members[0]})

    def _open(self, name: str) -> Source:
        return self._stack.enter_context(self._job.open(self._folder + b"/" + name.encode()))

    # --- The data files ------------------------------------------------------------------------------------------

    def _data_file(self, number: int, index: Index) -> _DataFile:
        source, records = self._data[number], self._settings.records
        images = [places[places[:, 2] == number] for level in index.levels for places in level]
        if sum(map(len, images)) > _MOST_IMAGES:
            raise UnscrubbableError("a data file has more images than can be proven")
        kept = [place for record, items in zip(records, index.items, strict=True) for place in items
                if record.is_kept and place[2] == number]  # fmt: skip
        gone = [place for record, items in zip(records, index.items, strict=True) for place in items
                if not record.is_kept and place[2] == number]  # fmt: skip
        places = np.concatenate([*images, np.array(kept, np.int64).reshape(-1, 3)]).astype(np.int64)
        starts, lengths = places[:, 0], places[:, 1]
        if np.any((starts < 0) | (lengths < 0) | (starts + lengths > source.size)):
            raise UnscrubbableError("an image or record does not lie within its data file")
        if not are_apart(starts, lengths):
            raise UnscrubbableError("images or records share bytes with one another")
        spans = joined(starts, lengths)
        head = self._head(source, number, int(spans[0, 0]) if len(spans) else source.size)
        if any(overlaps(spans, start, length) for start, length, _ in gone):
            raise UnscrubbableError("a photo or text that goes shares bytes with what stays")
        for start, length, _ in kept:
            check_no_text(source, start, length)
        known = [(max(start, 0), min(start + length, source.size)) for start, length, _ in gone if length > 0]
        check_slack(source, spans, [(begin, end) for begin, end in known if begin < end])
        return _DataFile(joined(np.append(starts, 0), np.append(lengths, len(head))), head)

    def _head(self, source: Source, number: int, first: int) -> bytes:
        """The head of a data file with the new id: version, id (newer files: in 16 bits, cut off), number of the file."""
        head = source.read_at(0, HEAD_BYTES)
        if not _DATA_VERSION.match(head):
            return b""
        old, new = self._settings.slide_id, self._settings.new_id
        made, rest = head[:VERSION_BYTES], head[VERSION_BYTES:]
        wide = old.decode().encode("utf-16-le")
        common = next((at for at, (one, other) in enumerate(zip(wide, rest, strict=False)) if one != other), len(wide))
        common = min(common, len(rest))
        if rest.startswith(old):
            made, rest = made + new, rest[len(old) :]
        elif common >= _LEAST_COMMON:
            made, rest = made + new.decode().encode("utf-16-le")[:common].ljust(common, b"\0"), rest[common:]
        if len(made) > first:
            raise UnscrubbableError("an image or record shares bytes with the head of its data file")
        rest = rest[: first - len(made)]
        digits = re.match(rb"\d{1,4}(?=\0|$)", rest)
        if digits and int(digits[0]) == number:
            return made + digits[0]
        return made + rest[:4] if rest[:4] == struct.pack("<i", number) else made

    def _check_index(self, index: Index) -> None:
        """Every image and record that stays lies in a data file, and the index has little that is nobody's."""
        count = len(self._data)
        if any(np.any((places[:, 2] < 0) | (places[:, 2] >= count)) for level in index.levels for places in level):
            raise UnscrubbableError("an image lies in a data file that there is not")
        for record, items in zip(self._settings.records, index.items, strict=True):
            if record.is_kept and any(not 0 <= number < count for _, _, number in items):
                raise UnscrubbableError("a record lies in a data file that there is not")
        check_slack(self._index, _spans(index.spans), [])

    def _check_images(self, index: Index) -> None:
        """Images at an even spread of each level hold pixels and nothing else."""
        option = self._job.rules.options.get("jpeg_texts", [])
        words = frozenset(str(word).lower() for word in (option if isinstance(option, list | tuple) else ()))
        for places in (piece for level in index.levels for piece in level if len(piece)):
            step = -(-len(places) // _SAMPLED)
            for offset, length, number in (*places[::step].tolist(), places[-1].tolist()):
                head = self._data[number].read_at(offset, min(length, HEAD_BYTES))
                tail = self._data[number].read_at(offset + max(0, length - _TAIL), min(length, _TAIL))
                is_jpeg = head.startswith(b"\xff\xd8")
                if says_more(head, words) or (is_jpeg and has_text_behind(tail)) or _PNG_TEXTS.match(head):
                    raise UnscrubbableError("images of the pyramid hold texts, which cannot be taken out bit for bit")

    # --- The account ---------------------------------------------------------------------------------------------

    def _changes(self) -> Sequence[Change]:
        rule = f"{NAME}, structure"
        replaced = [Change(f"{place}, id of the slide", Deed.UID, f"{rule}, id") for place in
                    ("Index.dat", *(f"data file {number}" for number in range(len(self._data))))]  # fmt: skip
        return [
            Change("main file, picture", Deed.REMOVE, f"{rule}, preview"),
            *replaced,
            Change("all files, bytes that nothing refers to", Deed.REMOVE, f"{rule}, slack"),
            Change("names of the file and its folder", Deed.PSEUDONYM, f"{rule}, names"),
        ]

    def _own(self) -> tuple[OwnValue, ...]:
        name = path_text(self._folder.rpartition(b"/")[2])
        is_name = len(name.encode()) >= _LEAST_OWN
        return (*self._settings.own, *((OwnValue("file", name),) if is_name else ()))


def _spans(found: Sequence[tuple[int, int]]) -> Spans:
    places = np.array(found, np.int64).reshape(-1, 2)
    return joined(places[:, 0], places[:, 1] - places[:, 0])


def _blank_picture() -> bytes:
    """A white picture: the one that scanners put here may show the label."""
    buffer = BytesIO()
    Image.new("RGB", (16, 16), "white").save(buffer, "JPEG")
    return buffer.getvalue()

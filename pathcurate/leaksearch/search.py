"""Where a directory holds known identifiers."""

import os
import stat
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeAlias

from pathcurate.leaksearch.columns import VALUE_END
from pathcurate.leaksearch.contents import Limits, parts
from pathcurate.leaksearch.identifiers import Hit, Identifiers
from pathcurate.leaksearch.parts import Part, Unsearched
from pathcurate.leaksearch.passes import ALL, GB18030, UTF_8, UTF_16, Reading, readings

NOT_SEARCHED: Final = "not searched"
"""Kind of what could not be searched: nothing can be said of it."""
_LEAST_BYTES_IN_PACKED = 8
"""Shorter hits occur by chance in bytes that are nearly random, a few in a gigabyte."""
_LONGEST_CHANCE = 3
_MOST_THREADS = 4
_MOST_WAITING = 4
"""Parts of a file that may wait for their turn: what they hold is in memory."""


class Detected(Protocol):
    """Something that looks like an identifier, whether or not one is known."""

    @property
    def start(self) -> int:
        """First character."""

    @property
    def kind(self) -> str:
        """What it looks like."""


Detector: TypeAlias = Callable[[str], Sequence[Detected]]


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """Known identifiers of one kind in one part of one file; never what they are.

    Attributes:
        file: path below the searched directory; ``file 3`` in the order of paths if its path itself says too much.
        where: which part of the file; empty for its bytes as they are.
        offset: of the first, in bytes; of values of a column the number of the value; 0 where that cannot be said.
        kind: what they identify, or :data:`NOT_SEARCHED`.
        encoding: the pass that found them (see :mod:`pathcurate.leaksearch.passes`), ``pattern`` of what a detector found.
        count: how many places.
    """

    file: str
    where: str
    offset: int
    kind: str
    encoding: str
    count: int


def search_directory(
    path: Path,
    identifiers: Identifiers,
    *,
    passes: Collection[str] = ALL,
    detectors: Detector | None = None,
    limits: Callable[[], Limits] = Limits,
    threads: int | None = None,
) -> Iterator[Leak]:
    """Search everything below a directory: names, bytes, and what is packed or encoded in them.

    Links are not followed. What cannot be read is named as a leak of kind :data:`NOT_SEARCHED`.

    Args:
        path: the directory, or one file.
        identifiers: what must not be there.
        passes: encodings to read.
        detectors: looks for more in texts.
        limits: makes what one file may cost.
        threads: how many search beside each other; None for as many as there are processors, up to four.
    """
    look = _Look(identifiers, passes, detectors)
    with ThreadPoolExecutor(threads or min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        yield from _search_below(path, look, limits, pool)


def _search_below(path: Path, look: "_Look", limits: Callable[[], Limits], pool: ThreadPoolExecutor) -> Iterator[Leak]:
    root = os.fsencode(path.resolve())
    is_file = not stat.S_ISDIR(path.stat().st_mode)
    # What cannot be listed is met again, and named, when it is its turn.
    below = [folder + b"/" + name for folder, folders, names in os.walk(root) for name in (*folders, *names)]
    for number, relpath in enumerate([b"", *sorted(entry[len(root.rstrip(b"/")) + 1 :] for entry in below)]):
        named = root.rpartition(b"/")[2] if is_file else relpath
        name_leaks = look.in_part(_names_of(named)) if named else []
        shown = f"file {number or 1}" if name_leaks else named.decode("utf-8", "backslashreplace") or "."
        found = _Found(shown)
        found.add(name_leaks)
        try:
            _search_entry(root + b"/" + relpath if relpath else root, root, _Search(look, found, pool), limits())
        except OSError as error:
            found.add([("", 0, NOT_SEARCHED, _reason(error))])
        yield from found.leaks()


def _names_of(relpath: bytes) -> Part:
    """The names of a path, whole and without their extensions, each a value of its own."""
    names = relpath.split(b"/")
    data = VALUE_END.join([*names, *(name.rpartition(b".")[0] for name in names)])
    return Part("name", data, 0, 0, len(data) + 1, False)


def _search_entry(path: bytes, root: bytes, search: "_Search", limits: Limits) -> None:
    look, found = search.look, search.found
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        target = os.fsencode(Path(os.fsdecode(path)).readlink())
        found.add(look.in_part(Part("target", target, 0, 0, len(target), False)))
        if not _is_below(os.path.realpath(path), os.path.realpath(root)):
            found.add([("", 0, NOT_SEARCHED, "a link to elsewhere")])
        return
    if stat.S_ISDIR(mode):
        os.scandir(path).close()
        return
    if not stat.S_ISREG(mode):
        found.add([("", 0, NOT_SEARCHED, "no regular file")])
        return
    # What has become a pipe since then must not hold the search.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        limits.open(os.fstat(handle).st_size)
        _search_file(file, search, limits)


def _search_file(file: BinaryIO, search: "_Search", limits: Limits) -> None:
    """Search one opened file, a few of its parts at a time."""
    waiting: deque[Callable[[], Sequence[_Place]]] = deque()
    try:
        for part in parts(file, "", limits):
            waiting.append(search.begun(part))
            if len(waiting) > _MOST_WAITING:
                search.found.add(waiting.popleft()())
    finally:
        # What was found before an error counts, too.
        for places in waiting:
            search.found.add(places())


def _is_below(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(root.rstrip(b"/") + b"/")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


_Place: TypeAlias = tuple[str, int, str, str]
"""Part of a file, offset, kind, encoding; of what was not searched the reason."""


class _Found:
    """What was found in one file, counted."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._places: dict[tuple[str, str, str], list[int]] = {}

    def add(self, places: Sequence[_Place]) -> None:
        """Count places, in the order of their offsets within a part."""
        for where, offset, kind, encoding in places:
            self._places.setdefault((where, kind, encoding), [offset, 0])[1] += 1

    def leaks(self) -> Iterator[Leak]:
        """One leak for each part, kind and encoding."""
        for (where, kind, encoding), (offset, count) in self._places.items():
            yield Leak(self._file, where, offset, kind, encoding, count)


class _Search:
    """The search of one file.

    Attributes:
        look: what is looked for.
        found: takes what is found.
    """

    def __init__(self, look: "_Look", found: _Found, pool: ThreadPoolExecutor) -> None:
        self.look, self.found, self._pool = look, found, pool

    def begun(self, part: Part | Unsearched) -> Callable[[], Sequence[_Place]]:
        """What gives all that is found in a part, once it is asked for that."""
        if isinstance(part, Unsearched):
            return lambda: [(part.where, 0, NOT_SEARCHED, part.reason)]
        known: Future[list[_Place]] = self._pool.submit(self.look.known_in, part)
        # Detectors remember what they were asked last, and are asked one after the other.
        return lambda: [*known.result(), *self.look.detected(part)]


class _Look:
    """What is looked for, and how."""

    def __init__(self, identifiers: Identifiers, passes: Collection[str], detectors: Detector | None) -> None:
        self._identifiers = identifiers
        self._passes = passes
        self._detectors = detectors

    def in_part(self, part: Part) -> list[_Place]:
        """Everything in one part."""
        return [*self.known_in(part), *self.detected(part)]

    def known_in(self, part: Part) -> list[_Place]:
        """Identifiers in one part; for several at once."""
        places: list[_Place] = []
        plain: set[int] = set()
        for reading in readings(part.data, self._passes, is_packed=part.is_packed):
            seen: set[str] = set()
            for hit in self._identifiers.find_units(reading.units):
                # What stands there plainly is there in every other reading as well.
                if not _counts(part, reading, hit) or (reading.encoding != UTF_8 and hit.identifier in plain):
                    continue
                if reading.encoding == UTF_8:
                    plain.add(hit.identifier)
                offset = 0 if hit.kind in seen else _offset(part, reading, hit.start)
                seen.add(hit.kind)
                places.append((part.where, offset, hit.kind, reading.encoding))
        return places

    def detected(self, part: Part) -> Iterator[_Place]:
        """What looks like an identifier in one part."""
        if self._detectors is None or part.is_packed:
            return
        text = part.data if isinstance(part.data, str) else part.data.decode("utf-8", "replace")
        if "\0" not in text:
            for item in self._detectors(text):
                yield part.where, part.begin, str(item.kind), "pattern"


def _counts(part: Part, reading: Reading, hit: Hit) -> bool:
    """Whether a hit is this part's, and no chance."""
    if part.is_packed and _byte_length(reading, hit) < _LEAST_BYTES_IN_PACKED:
        return False
    if reading.offset is None:
        return True
    before, behind = part.begin - part.offset, len(part.data) - (part.end - part.offset)
    # A unit takes a byte at least.
    if hit.start < before or len(reading.units) - hit.start <= behind:
        offset = part.offset + reading.offset(hit.start)
        if not part.begin <= offset < part.end:
            return False
    is_short = reading.encoding == UTF_16 and hit.end - hit.start <= _LONGEST_CHANCE
    return not (is_short and _is_ascii_there(part, reading, hit))


def _byte_length(reading: Reading, hit: Hit) -> int:
    units = reading.units[hit.start : hit.end]
    wide = int((units >= 0x80).sum())
    each = {UTF_8: 3, UTF_16: 2, GB18030: 2}.get(reading.encoding, 3)
    return wide * each + (len(units) - wide) * (2 if reading.encoding == UTF_16 else 1)


def _is_ascii_there(part: Part, reading: Reading, hit: Hit) -> bool:
    """Whether what was read as Han signs of UTF-16 are letters of plain text: two of them are one such sign."""
    if isinstance(part.data, str) or reading.offset is None:
        return False
    begin = reading.offset(hit.start)
    around = part.data[max(0, begin - 4) : begin + 2 * (hit.end - hit.start) + 4]
    return all(0x20 <= byte < 0x7F for byte in around)


def _offset(part: Part, reading: Reading, unit: int) -> int:
    if reading.offset is None:
        return part.begin if part.first_value is None else part.first_value
    place = reading.offset(unit)
    if part.first_value is None:
        return part.offset + place
    before = part.data[:place]
    ends = before.count(VALUE_END) if isinstance(before, bytes) else before.count(VALUE_END.decode())
    return part.first_value + ends

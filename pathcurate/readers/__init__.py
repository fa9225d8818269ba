"""The family of slide readers: the first that claims a file reads it.

A reader is a module with ``NAME``, ``VERSION``, ``claim(head, source)`` and ``read(source)``. A file is claimed by its
content; a name's extension decides only what becomes of a file that nobody claims. Whatever a file holds, the answer is a
header with a status, never an exception. Of a slide that lies in several files of equal rank, each file is a part, and the
reader merges them.
"""

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol

from PIL import Image

from pathcurate import ifd
from pathcurate.model.filescrub import PixelRun
from pathcurate.model.slide import Part, SlideHeader, TileCount, judged
from pathcurate.readers import dicom, kfb, mrxs, ndpi, openslide, plugins, tiff
from pathcurate.storage import Source


class Reader(Protocol):
    """What a module in this family offers."""

    @property
    def NAME(self) -> str:  # noqa: N802 -- a constant of the module
        """The reader's name, as in the ``reader`` column."""

    @property
    def VERSION(self) -> int:  # noqa: N802 -- a constant of the module
        """Raised when the reader reads more, or otherwise, than before."""

    def claim(self, head: bytes, source: Source) -> bool:
        """Whether the content (``head`` is its first 4 KiB) is of this reader's formats."""

    def read(self, source: Source) -> SlideHeader | Part | None:
        """The header of a claimed file, or of the part of a slide or series that it is; None if it is neither."""

    def sample_pixels(self, source: Source) -> str | None:
        """See :func:`sample_pixels`."""

    def count_tiles(self, source: Source) -> TileCount | None:
        """See :func:`count_tiles`."""


READERS: Final[tuple[Reader, ...]] = (dicom, ndpi, tiff, mrxs, kfb, openslide)
"""In the order in which they are asked. DICOM comes first because its preamble may be a TIFF's first bytes."""

NO_READER: Final = "none"
NO_READER_VERSION: Final = 3 + sum(plugins.VERSIONS.values())
"""Raised when a reader joins the family or the closed formats change, so that files nobody claimed are read again.

Another one with other plug-ins, too: they may read what nobody could.
"""

_BY_NAME: Final[Mapping[str, Reader]] = {reader.NAME: reader for reader in READERS}
_PICTURES: Final[Mapping[str, Callable[[Source, str], Image.Image | None]]] = {kfb.NAME: kfb.picture}
"""Readers that find the images beside the pyramid by themselves; for all others OpenSlide does."""
_RUNS: Final[Mapping[str, Callable[[Source], Iterator[PixelRun]]]] = {
    reader.NAME: reader.pixel_runs for reader in (dicom, ndpi, tiff, mrxs, kfb) if hasattr(reader, "pixel_runs")
}
"""Readers of the formats of which copies are made."""

READER_VERSIONS: Final[Mapping[str, int]] = {
    **plugins.VERSIONS, **{reader.NAME: reader.VERSION for reader in READERS}, NO_READER: NO_READER_VERSION,
}  # fmt: skip
"""The versions in force; a slide read by an earlier one is read again."""

FAMILY_VERSION: Final = sum(READER_VERSIONS.values())
"""Rises with any of them: a file that was no slide may be one to a later reader."""

_HEAD_BYTES: Final = 4096
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"
_PLAIN: Final = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8", b"%PDF", b"PK\x03\x04")
_TEXT_CONTROLS: Final = frozenset(b"\t\n\f\r\x1b")


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A header and who read it.

    Attributes:
        header: what was read, with its status; of a part, only its status.
        reader: the reader's name, :data:`NO_READER` if nobody claimed the file.
        reader_version: its version; a raised one reads the file again.
        part: what the file is a part of, and what it says of that.
    """

    header: SlideHeader
    reader: str
    reader_version: int
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class _ClosedFormat:
    """A slide format that no open reader can read.

    Attributes:
        magics: (offset, bytes) of which one must be there; without any, binary content and the extension must do.
        is_sure: whether the magic alone says so; a short or shared one needs the extension beside it.
    """

    vendor: str
    extensions: tuple[str, ...]
    magics: tuple[tuple[int, bytes], ...] = ()
    is_sure: bool = False

    def has_magic(self, head: bytes) -> bool:
        return any(head[offset : offset + len(magic)] == magic for offset, magic in self.magics)


_CLOSED: Final = (
    _ClosedFormat("kfbio", (".kfbf",)),
    _ClosedFormat("motic", (".mdsx",), ((0, b"BKIO"),), is_sure=True),
    _ClosedFormat("motic", (".mds",), ((0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), (0, b"BKIO"))),
    _ClosedFormat("sqray", (".sdpc",), ((0, b"SQ"),)),
    # An Olympus .vsi is a TIFF that holds a preview; the slide lies in its folder.
    _ClosedFormat("olympus", (".vsi",), ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"))),
    _ClosedFormat("philips", (".isyntax", ".i2syntax"), ((0, b'<DataObject ObjectType="DPUfsImport"'),), is_sure=True),
    _ClosedFormat("philips", (".isyntax", ".i2syntax"), ((0, b"<DataObject"), (0, b"<?xml"))),
    _ClosedFormat("zeiss", (".zvi",), ((0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),)),
    _ClosedFormat("unic", (".tmap",)),
    _ClosedFormat("dyqx", (".dyqx",)),
    _ClosedFormat("dyj", (".dyj",)),
    _ClosedFormat("tron", (".tron",)),
    _ClosedFormat("zyp", (".zyp",)),
    _ClosedFormat("ibl", (".ibl",)),
)

SLIDE_EXTENSIONS: Final[frozenset[str]] = frozenset(
    {
        ".svs",
        ".svslide",
        ".tif",
        ".tiff",
        ".btf",
        ".qptiff",
        ".ndpi",
        ".vms",
        ".vmu",
        ".mrxs",
        ".scn",
        ".bif",
        ".czi",
        ".kfb",
    }
).union(*(closed.extensions for closed in _CLOSED))
"""Extensions (lower case, with the dot) that get a row even if nobody claims the file.

``.dcm`` is not among them: what DICOM is, its content says.
"""


def read_slide(source: Source) -> ReadResult | None:
    """The header of a slide, or the part of a slide or series that a file is; None for a file that nobody claims and whose
    extension is not a slide's.

    Reads at most ``ifd.MAX_HEADER_BYTES``, apart from what OpenSlide reads by itself. Never raises for what is in the file,
    nor for a file that cannot be read.
    """
    blocks = ifd.Blocks(source)
    extension = PurePosixPath(source.name).suffix.lower()
    try:
        head = blocks.read_at(0, _HEAD_BYTES)
        if vendor := _closed_vendor(head, extension):
            return _by_plugin(source, extension, is_closed=True) or _closed(vendor)
        for reader in READERS:
            if reader.claim(head, blocks):
                if (read := reader.read(blocks)) is not None:
                    return _result(reader, read, source, extension)
                break
    except OSError as error:
        return unreadable(error)
    return _unread(source, head, extension)


def _result(reader: Reader, read: SlideHeader | Part, source: Source, extension: str) -> ReadResult:
    if isinstance(read, Part):
        return ReadResult(SlideHeader(read.status, read.status_detail), reader.NAME, reader.VERSION, read)
    read = judged(read)
    is_closed = read.status.startswith("unsupported:")
    by_plugin = _by_plugin(source, extension, is_closed=True) if is_closed else None
    return by_plugin or ReadResult(read, reader.NAME, reader.VERSION)


def sample_pixels(source: Source, reader: str) -> str | None:
    """The ``pixel_fingerprint``: SHA-256 over geometry, tile size, compression and some compressed tiles, undecoded.

    Up to 8 tiles of the smallest tiled level (DICOM: frames; MRXS, KFB: records), chosen by index, so that the answer is
    the same before and after de-identification. None if the file is damaged or its reader cannot tell.

    Args:
        source: the file that stands for the slide.
        reader: name of the reader that read its header.

    Raises:
        OSError: the file cannot be read.
    """
    return _BY_NAME[reader].sample_pixels(ifd.Blocks(source)) if reader in _BY_NAME else None


def count_tiles(source: Source, reader: str) -> TileCount | None:
    """The tile tables read whole, every tile held against the size of the file; None if the reader knows no tables.

    Args:
        source: one file of the slide.
        reader: name of the reader that read its header.

    Raises:
        OSError: the file cannot be read.
    """
    return _BY_NAME[reader].count_tiles(source) if reader in _BY_NAME else None


def pixel_runs(source: Source, reader: str) -> Iterator[PixelRun]:
    """Where the compressed pixels lie of every image that a scrubbed copy keeps, in a fixed order; undecoded.

    Nothing for readers of formats of which no copies are made.

    Args:
        source: the file that stands for the slide, or one instance of a series.
        reader: name of the reader that read its header.

    Raises:
        OSError: the file cannot be read.
        UnscrubbableError: it is damaged.
    """
    return _RUNS[reader](source) if reader in _RUNS else iter(())


def picture(source: Source, reader: str, kind: str) -> Image.Image | None:
    """An image beside the pyramid, in RGB: ``label``, ``overview`` or ``thumbnail``.

    A thumbnail is made of the smallest suitable level if the file holds none. None if there is no such image, or the
    source is not a file of this machine and its format needs OpenSlide.

    Args:
        source: the file that stands for the slide.
        reader: name of the reader that read its header.
        kind: which image.

    Raises:
        OSError: the file cannot be read.
        Exception: whatever decoding a damaged image raises; call it where a crash is survived.
    """
    if reader in plugins.VERSIONS:
        return plugins.picture(source, reader, kind)
    return _PICTURES.get(reader, openslide.picture)(source, kind)


def unreadable(error: OSError) -> ReadResult:
    """The result for a file that cannot be opened or read; of the error only its symbolic name is kept."""
    name = errno.errorcode.get(error.errno or 0, "EIO")
    return _unclaimed("unreadable", name)


def companion_folder(path: bytes) -> bytes | None:
    """Path of the folder beside a slide file that holds the rest of the slide; None for formats of one file.

    ``x`` belongs to ``x.mrxs`` (3DHISTECH), ``_x_`` to ``x.vsi`` (Olympus).
    """
    above, slash, name = path.rpartition(b"/")
    stem, _, extension = name.rpartition(b".")
    form = {b"mrxs": b"%b", b"vsi": b"_%b_"}.get(extension.lower())
    return above + slash + form % stem if form and stem else None


def companion_folders(names: Iterable[bytes]) -> set[bytes]:
    """Of the names in a directory, those that are the :func:`companion_folder` of a name beside them."""
    present = set(names)
    return {folder for name in present if (folder := companion_folder(name)) is not None} & present


def _closed_vendor(head: bytes, extension: str) -> str | None:
    """The vendor of a closed format that is known by its first bytes."""
    for closed in _CLOSED:
        named = extension in closed.extensions
        # Bytes 4 to 7 of a TIFF are an offset, which may spell anything.
        sure = closed.is_sure and not ifd.is_tiff(head)
        if (named or sure) and closed.has_magic(head):
            return closed.vendor
    return None


def _unread(source: Source, head: bytes, extension: str) -> ReadResult | None:
    """What becomes of a file that none of our readers claims."""
    if not head or head.startswith(_LFS_POINTER):
        return _unknown(head, extension) if extension in SLIDE_EXTENSIONS else None
    if read := _by_plugin(source, extension, is_closed=False):
        return read
    return _unknown(head, extension) if extension in SLIDE_EXTENSIONS else None


def _by_plugin(source: Source, extension: str, *, is_closed: bool) -> ReadResult | None:
    answer = plugins.read(source, extension, is_closed=is_closed)
    return None if answer is None else ReadResult(answer.header, answer.reader, plugins.VERSIONS[answer.reader])


def _closed(vendor: str) -> ReadResult:
    return _unclaimed(f"unsupported:{vendor}", "closed format", vendor=vendor)


def _unknown(head: bytes, extension: str) -> ReadResult:
    """Why a file with a slide's extension is none."""
    if not head:
        return _unclaimed("truncated", "empty file")
    if head.startswith(_LFS_POINTER):
        return _unclaimed("lfs_pointer", "Git LFS pointer instead of the file")
    if closed := _closed_by_name(head, extension):
        return closed
    detail = "TIFF, but without tiles or a scanner's marks" if ifd.is_tiff(head) else "no reader knows the content"
    return _unclaimed("not_a_slide", detail if any(head) else "begins with zero bytes only")


def _closed_by_name(head: bytes, extension: str) -> ReadResult | None:
    """A closed format that has no mark, or a version of one that begins otherwise; pictures and texts are no slides."""
    closed = next((closed for closed in _CLOSED if extension in closed.extensions), None)
    if closed is None or not _is_binary(head):
        return None
    if not closed.magics:
        return _closed(closed.vendor)
    if ifd.is_tiff(head) or head.startswith(_PLAIN):
        return None
    detail = "by its extension alone: the content is not that of a known version of the format"
    return _unclaimed(f"unsupported:{closed.vendor}", detail, vendor=closed.vendor)


def _unclaimed(status: str, detail: str, vendor: str | None = None) -> ReadResult:
    format_ = "other" if vendor else None
    header = SlideHeader(status=status, status_detail=detail, format=format_, vendor=vendor)
    return ReadResult(header, NO_READER, NO_READER_VERSION)


def _is_binary(head: bytes) -> bool:
    return any(byte < 32 and byte not in _TEXT_CONTROLS for byte in head) and any(head)

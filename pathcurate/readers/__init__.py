"""The family of slide readers: the first that claims a file reads it.

A reader is a module with ``NAME``, ``VERSION``, ``claim(head, source)`` and ``read(source)``. A file is claimed by its
content; a name's extension decides only what becomes of a file that nobody claims. Whatever a file holds, the answer is a
header with a status, never an exception. Of a slide that lies in several files of equal rank, each file is a part, and the
reader merges them.
"""

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol

from pathcurate import ifd
from pathcurate.model.slide import Part, SlideHeader
from pathcurate.readers import dicom, openslide, tiff
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


READERS: Final[tuple[Reader, ...]] = (dicom, tiff, openslide)
"""In the order in which they are asked. DICOM comes first because its preamble may be a TIFF's first bytes."""

NO_READER: Final = "none"
NO_READER_VERSION: Final = 2
"""Raised when a reader joins the family or the closed formats change, so that files nobody claimed are read again."""

READER_VERSIONS: Final[Mapping[str, int]] = {
    **{reader.NAME: reader.VERSION for reader in READERS}, NO_READER: NO_READER_VERSION,
}  # fmt: skip
"""The versions in force; a slide read by an earlier one is read again."""

FAMILY_VERSION: Final = sum(READER_VERSIONS.values())
"""Rises with any of them: a file that was no slide may be one to a later reader."""

_HEAD_BYTES: Final = 4096
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"
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
    _ClosedFormat("kfbio", (".kfb", ".kfbf"), ((4, b"KFB"),), is_sure=True),
    _ClosedFormat("motic", (".mdsx",), ((0, b"BKIO"),), is_sure=True),
    _ClosedFormat("motic", (".mds",), ((0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), (0, b"BKIO"))),
    _ClosedFormat("sqray", (".sdpc",), ((0, b"SQ"),)),
    # An Olympus .vsi is a TIFF that holds a preview; the slide lies in its folder.
    _ClosedFormat("olympus", (".vsi",), ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"))),
    _ClosedFormat("philips", (".isyntax", ".i2syntax"), ((0, b"<DataObject"), (0, b"<?xml"))),
    _ClosedFormat("unic", (".tmap",)),
    _ClosedFormat("dyqx", (".dyqx",)),
    _ClosedFormat("dyj", (".dyj",)),
    _ClosedFormat("tron", (".tron",)),
    _ClosedFormat("zyp", (".zyp",)),
    _ClosedFormat("ibl", (".ibl",)),
)

SLIDE_EXTENSIONS: Final[frozenset[str]] = frozenset(
    {".svs", ".svslide", ".tif", ".tiff", ".btf", ".qptiff", ".ndpi", ".vms", ".vmu", ".mrxs", ".scn", ".bif", ".czi"}
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
            return _unclaimed(f"unsupported:{vendor}", "closed format", vendor=vendor)
        for reader in READERS:
            if reader.claim(head, blocks):
                read = reader.read(blocks)
                if isinstance(read, Part):
                    header = SlideHeader(read.status, read.status_detail)
                    return ReadResult(header, reader.NAME, reader.VERSION, read)
                if read is not None:
                    return ReadResult(read, reader.NAME, reader.VERSION)
                break
    except OSError as error:
        return unreadable(error)
    return _unknown(head, extension) if extension in SLIDE_EXTENSIONS else None


def sample_pixels(source: Source) -> str | None:
    """A digest over some compressed tiles, to tell slides apart whose ``pixel_fingerprint`` agrees; else None.

    Only readers that give a ``pixel_fingerprint`` are asked.

    Raises:
        OSError: the file cannot be read.
    """
    return tiff.sample_pixels(ifd.Blocks(source))


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


def _unknown(head: bytes, extension: str) -> ReadResult:
    """Why a file with a slide's extension is none."""
    if not head:
        return _unclaimed("truncated", "empty file")
    if head.startswith(_LFS_POINTER):
        return _unclaimed("lfs_pointer", "Git LFS pointer instead of the file")
    for closed in _CLOSED:
        if extension in closed.extensions and not closed.magics and _is_binary(head):
            return _unclaimed(f"unsupported:{closed.vendor}", "closed format", vendor=closed.vendor)
    if not any(head):
        return _unclaimed("not_a_slide", "begins with zero bytes only")
    if ifd.is_tiff(head):
        return _unclaimed("not_a_slide", "TIFF, but without tiles or a scanner's marks")
    return _unclaimed("not_a_slide", "no reader knows the content")


def _unclaimed(status: str, detail: str, vendor: str | None = None) -> ReadResult:
    format_ = "other" if vendor else None
    header = SlideHeader(status=status, status_detail=detail, format=format_, vendor=vendor)
    return ReadResult(header, NO_READER, NO_READER_VERSION)


def _is_binary(head: bytes) -> bool:
    return any(byte < 32 and byte not in _TEXT_CONTROLS for byte in head) and any(head)

"""The header of one DICOM file: its meta group and its data set up to the per-frame groups or the pixels."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

from pathcurate.readers.dicom.elements import MOST_ITEMS, Broken, Cut, Elements, Stop, Walk, Wanted
from pathcurate.readers.dicom.facts import BIG_ENDIAN, DATA_SET, DEFLATED, IMPLICIT, META
from pathcurate.storage import Source

PREAMBLE_BYTES: Final = 132
_HEAD_BYTES: Final = 4096
_MAX_BYTES: Final = 16 << 20
_MAX_INFLATED: Final = 4 << 20
_UID_ROOT: Final = "1.2.840.10008."


@dataclass(slots=True)
class Header:
    """What could be read.

    Attributes:
        walk: reads on from here.
        data: the elements that were kept.
        syntax: transfer syntax, if the meta group says it.
        sop_class: what kind of object it is.
        stop: where reading stopped; offsets are those of the inflated data if the file is deflated.
        is_cut: whether the header goes on beyond the end of the file.
        broken: what is wrong with its structure.
    """

    walk: Walk
    data: Elements = field(default_factory=Elements)
    syntax: str | None = None
    sop_class: str | None = None
    stop: Stop = field(default_factory=Stop)
    is_cut: bool = False
    broken: str | None = None


def read_header(source: Source, wanted: Wanted = DATA_SET, most_items: int = MOST_ITEMS) -> Header:
    """The header of a DICOM file, whatever is wrong with it.

    Args:
        source: the file.
        wanted: what to keep of its data set.
        most_items: most items to keep of a sequence.

    Raises:
        OSError: the file cannot be read.
    """
    head = source.read_at(0, _HEAD_BYTES)
    start = PREAMBLE_BYTES if head[128:132] == b"DICM" else 0
    header = Header(Walk(source.read_at, source.size, _MAX_BYTES, head, most_items))
    meta = Elements()
    try:
        at = header.walk.meta(start, META, meta)
        header.syntax = meta.text(0x0002_0010)
        if header.syntax == DEFLATED:
            at = _inflate(header, source, at)
        is_implicit, header.data.order = _encoding(header.walk, at, header.syntax)
        header.stop = header.walk.data_set(at, wanted, header.data, is_implicit=is_implicit)
    except Cut:
        header.is_cut = True
    except Broken as error:
        header.broken = str(error)
    except (zlib.error, struct.error):
        header.broken = "the header cannot be inflated or read"
    header.sop_class = header.data.text(0x0008_0016) or _registered(meta.text(0x0002_0002))
    return header


def _registered(sop_class: str | None) -> str | None:
    return sop_class if sop_class is not None and sop_class.startswith(_UID_ROOT) else None


def _inflate(header: Header, source: Source, at: int) -> int:
    """Read on in what everything after the meta group inflates to (PS3.5 section A.5), within bounds."""
    deflated = source.read_at(at, _MAX_INFLATED)
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, _MAX_INFLATED)
    header.walk = Walk(lambda offset, length: inflated[offset : offset + length], len(inflated), _MAX_BYTES)
    return 0


def _encoding(walk: Walk, at: int, syntax: str | None) -> tuple[bool, str]:
    """Whether the data set is implicit, and its byte order; guessed from its beginning if no transfer syntax is named."""
    if syntax is not None or at + 6 > walk.size:
        return syntax == IMPLICIT, ">" if syntax == BIG_ENDIAN else "<"
    group, _, kind = struct.unpack("<HH2s", walk.bytes_at(at, 6))
    is_explicit = kind.isalpha() and kind.isupper()
    # Groups at the beginning are small numbers; only in the other byte order they look large.
    return not is_explicit, ">" if is_explicit and group >= 1024 else "<"

"""Whatever a file holds, a walk ends in one of three errors and a read in a status, at bounded cost."""

import functools
import io
import struct

import numpy as np
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate import ifd, readers
from pathcurate.ifd import tiles
from pathcurate.model.slide import COMPRESSIONS, FORMATS, STATUSES, VENDORS

DAMAGE = (ifd.NotTiff, ifd.TruncatedTiff, ifd.CorruptTiff)
MAGICS = [b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"]


class CountingSource:
    """A file in memory that counts what is read of it."""

    local_path = None
    name = "x.svs"

    def __init__(self, data):
        self.data = data
        self.size = len(data)
        self.bytes_read = 0

    def read_at(self, offset, length):
        assert offset >= 0
        assert 0 < length <= ifd.MAX_HEADER_BYTES
        chunk = self.data[offset : offset + length]
        self.bytes_read += len(chunk)
        return chunk


@functools.cache
def valid(kind):
    """Small whole files of each kind, with IFDs that hold inline and out-of-line values."""
    byteorder, big = kind
    path = io.BytesIO()
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=byteorder) as file:
        for index, side in enumerate((200, 100, 50)):
            text = (
                "Aperio Image Library v1\r\n200x200|MPP = 0.25|AppMag = 40|Date = 01/02/03|Title = S1" if not index else None
            )
            file.write(
                np.zeros((side, side), np.uint8), tile=(16, 16) if index < 2 else None, description=text, metadata=None,
                resolution=(40_000, 40_000), resolutionunit="CENTIMETER", contiguous=False,
                subfiletype=9 if index == 2 else 0,
            )  # fmt: skip
    return path.getvalue()


KINDS = st.sampled_from([("<", False), (">", False), ("<", True), (">", True)])


@st.composite
def cut(draw):
    data = valid(draw(KINDS))
    return data[: draw(st.integers(0, len(data) - 1))]


def header_places(data):
    """Every byte of the file that belongs to a directory or to a small value."""
    places = set(range(16))
    for directory in ifd.walk(CountingSource(data)):
        places.update(range(directory.offset, directory.offset + len(directory.raw)))
        for entry in directory.entries.values():
            places.update(range(entry.offset, entry.offset + min(entry.size, 64)))
    return sorted(places)


@functools.cache
def places(kind):
    return header_places(valid(kind))


@st.composite
def flipped(draw):
    kind = draw(KINDS)
    data = bytearray(valid(kind))
    for place in draw(st.lists(st.sampled_from(places(kind)), min_size=1, max_size=6)):
        data[place] = draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])))
    return bytes(data)


@st.composite
def directories(draw):
    """Directories of drawn entries: every count, type, offset and next pointer is possible."""
    order, big = draw(KINDS)
    number = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1 if big else (1 << 32) - 1))
    tag = st.sampled_from([254, 256, 257, 259, 270, 273, 277, 279, 282, 284, 296, 305, 322, 323, 324, 325, 700, 65420])
    form = order + ("HHQQ" if big else "HHII")
    entries = draw(st.lists(st.tuples(tag, st.integers(0, 19), number, number), min_size=1, max_size=12))
    body = b"".join(struct.pack(form, *entry) for entry in entries)
    head = {True: struct.pack(order + "HHQ", 8, 0, 16), False: struct.pack(order + "I", 8)}[big]
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    count = struct.pack(
        order + ("Q" if big else "H"), draw(st.one_of(st.just(len(entries)), number)) & (~0 if big else 0xFFFF)
    )
    pointer = struct.pack(order + ("Q" if big else "I"), draw(number))
    return magic + head + count + body + pointer + draw(st.binary(max_size=400))


FILES = st.one_of(
    st.binary(max_size=2000),
    st.builds(bytes.__add__, st.sampled_from(MAGICS), st.binary(max_size=2000)),
    cut(),
    flipped(),
    directories(),
)
THOROUGH = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@THOROUGH
@given(FILES)
def test_a_walk_raises_nothing_but_its_three_errors(data):
    source = CountingSource(data)
    try:
        found = ifd.walk(source)
    except DAMAGE as damage:
        found = damage.directories
    assert len(found) <= ifd.MAX_DIRECTORIES
    for directory in found:
        for tag in directory.entries:
            for ask in (directory.ints, directory.text, directory.rational, directory.first_int, directory.raw_value):
                try:
                    ask(tag)
                except DAMAGE:
                    continue
        try:
            held = tiles.entries(directory)
            if held is None:
                continue
            ends = tiles.read_table(directory, held, 4)
            pieces = list(tiles.read_pieces(directory, held))
        except DAMAGE:
            continue
        assert 0 <= ends.count_beyond(len(data)) <= ends.offsets.size
        assert sum(piece.offsets.size for piece in pieces) == held[0].count


@THOROUGH
@given(FILES)
def test_a_read_never_raises_and_says_something_that_fits_the_table(data):
    source = CountingSource(data)
    result = readers.read_slide(source)
    header = result.header
    status, _, vendor = header.status.partition(":")
    assert status in STATUSES
    assert (status == "unsupported") == bool(vendor)
    assert (header.status == "ok") == (header.status_detail is None)
    assert header.format in {*FORMATS, None}
    assert header.vendor in {*VENDORS, None}
    assert header.compression in {*COMPRESSIONS, None}
    assert header.mpp_x is None or 0.01 <= header.mpp_x <= 100
    if header.status == "ok":
        assert header.width > 0
        assert header.height > 0
        assert len(header.level_downsamples) == header.level_count >= 1
        assert header.tiles_bad == 0
        assert header.header_fingerprint
        assert header.shape_fingerprint
    # Blocks may overlap, and directories may be read from many places of a small file, but not without bound.
    assert source.bytes_read <= ifd.MAX_HEADER_BYTES


@settings(THOROUGH, max_examples=150)
@given(FILES)
def test_a_sample_and_a_count_never_raise_and_are_bounded(data):
    source = CountingSource(data)
    sample = readers.sample_pixels(source, "tiff")
    assert sample is None or sample.startswith("sha256:")
    count = readers.count_tiles(source, "tiff")
    # Tables that overlap are refused, so there are no more tiles than the file has bytes for: two for each at least.
    assert count is None or 0 <= count.bad <= count.checked <= len(data) // 4 + ifd.MAX_DIRECTORIES
    assert source.bytes_read <= ifd.MAX_HEADER_BYTES


@THOROUGH
@given(cut())
def test_a_cut_file_is_never_ok(data):
    result = readers.read_slide(CountingSource(data))
    assert result.header.status in {"truncated", "not_a_slide"}
    assert result.header.status == "truncated" or len(data) < 4


@given(
    st.lists(st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1)), max_size=20), st.integers(0, 1 << 63)
)
def test_the_bound_check_is_exact(places, size):
    offsets, counts = (np.array([place[axis] for place in places], np.uint64) for axis in (0, 1))
    table = tiles.TileTable(len(places), offsets, counts)
    assert table.count_beyond(size) == sum(offset + count > size for offset, count in places if count)

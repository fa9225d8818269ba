"""ifd: what a walk finds, what it costs, and how it names damage."""

import itertools
import struct

import numpy as np
import pytest
import tifffile

from pathcurate import ifd
from pathcurate.ifd import tiles
from tests.makers.tiff import NdpiImage, Sparse, ndpi


class MemorySource:
    """A file in memory that counts what is read of it."""

    local_path = None

    def __init__(self, data, name="x.svs", size=None):
        self.data = data
        self.name = name
        self.size = len(data) if size is None else size
        self.reads = 0
        self.bytes_read = 0

    def read_at(self, offset, length):
        chunk = self.data[offset : offset + length]
        self.reads += 1
        self.bytes_read += len(chunk)
        return chunk


class EndlessSource(MemorySource):
    """A file of 2**50 bytes whose content is a function of the offset."""

    def __init__(self, content):
        super().__init__(b"", size=1 << 50)
        self.content = content

    def read_at(self, offset, length):
        chunk = self.content(offset, length)
        self.reads += 1
        self.bytes_read += len(chunk)
        return chunk


def whole_table(directory):
    """All tiles of a directory."""
    held = tiles.entries(directory)
    return held and tiles.read_table(directory, held, held[0].count)


FORMS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B", 12: "d", 13: "I", 16: "Q", 18: "Q"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8, 13: 4, 16: 8, 18: 8}


def make_tiff(directories, order="<", *, big=False, tail=b""):
    """A TIFF of directories given as {tag: (type, values)}; values of a text are bytes."""
    inline, count_form, entry_form, pointer = (8, "Q", "HHQ", "Q") if big else (4, "H", "HHI", "I")
    magic = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "H", 43 if big else 42)
    data = bytearray(magic + (struct.pack(order + "HH", 8, 0) if big else b""))
    link = len(data)
    data += bytes(struct.calcsize(pointer))
    for directory in directories:
        values = {}
        for tag, (type_, items) in directory.items():
            raw = struct.pack(f"{order}{len(items)}{FORMS[type_]}", *items)
            count = len(raw) // SIZES[type_]
            if len(raw) > inline:
                at = len(data)
                data += raw
                raw = struct.pack(order + pointer, at)
            values[tag] = (type_, count, raw.ljust(inline, b"\0"))
        struct.pack_into(order + pointer, data, link, len(data))
        data += struct.pack(order + count_form, len(values))
        for tag, (type_, count, raw) in values.items():
            data += struct.pack(order + entry_form, tag, type_, count) + raw
        link = len(data)
        data += bytes(struct.calcsize(pointer))
    return bytes(data) + tail


PAGE = {256: (4, [640]), 257: (3, [480]), 270: (2, b"Some text\0"), 282: (5, [10_000, 3]), 324: (4, [8, 9, 10])}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
class TestWalk:
    def test_values_of_every_kind(self, order, big):
        directory, second = ifd.walk(MemorySource(make_tiff([PAGE, {256: (3, [7])}], order, big=big)))
        assert directory.ints(256) == (640,)
        assert directory.first_int(257) == 480
        assert directory.text(270) == "Some text"
        assert directory.rational(282) == pytest.approx(10_000 / 3)
        assert directory.ints(324) == (8, 9, 10)
        assert second.ints(256) == (7,)
        assert (directory.is_big, directory.byte_order) == (big, order)
        assert directory.next_offset == second.offset
        assert second.next_offset == 0

    def test_an_entry_says_where_its_value_stands(self, order, big):
        data = make_tiff([PAGE], order, big=big)
        (directory,) = ifd.walk(MemorySource(data))
        for tag, entry in directory.entries.items():
            assert data[entry.offset : entry.offset + entry.size] == directory.raw_value(tag)
        assert data[directory.offset :][: len(directory.raw)] == directory.raw

    def test_tifffile_reads_the_same(self, tmp_path, order, big):
        path = tmp_path / "x.tif"
        with tifffile.TiffWriter(path, bigtiff=big, byteorder=order) as writer:
            for side in (300, 150, 75):
                writer.write(
                    np.zeros((side, side, 3), np.uint8), tile=(64, 64), photometric="rgb", description=f"level {side}",
                    metadata=None, resolution=(1000 / 3, 7), resolutionunit="CENTIMETER", contiguous=False,
                )  # fmt: skip
        found = ifd.walk(MemorySource(path.read_bytes()))
        with tifffile.TiffFile(path) as file:
            assert [directory.offset for directory in found] == [page.offset for page in file.pages]
            for directory, page in zip(found, file.pages, strict=True):
                assert list(directory.entries) == [tag.code for tag in page.tags]
                assert directory.text(270) == page.description
                table = whole_table(directory)
                assert table.offsets.tolist() == list(page.dataoffsets)
                assert table.byte_counts.tolist() == list(page.databytecounts)
                assert directory.rational(282) == pytest.approx(page.get_resolution()[0])


class TestMissingAndOddValues:
    def walk_one(self, entries, **kinds):
        return ifd.walk(MemorySource(make_tiff([{256: (3, [1]), **entries}], **kinds)))[0]

    def test_missing_tags_are_empty(self):
        directory = self.walk_one({})
        assert directory.ints(999) == ()
        assert directory.first_int(999, 5) == 5
        assert directory.text(999) == ""
        assert directory.raw_value(999) == b""
        assert directory.rational(999) is None
        assert tiles.entries(directory) is None

    def test_a_value_of_another_type_is_not_taken_for_a_number_or_text(self):
        directory = self.walk_one({257: (12, [1.5]), 270: (4, [1, 2])})
        assert directory.ints(257) == ()
        assert directory.first_int(257) is None
        assert directory.text(270) == ""
        assert directory.rational(257) == 1.5

    def test_a_rational_divided_by_zero_is_missing(self):
        assert self.walk_one({282: (5, [1, 0])}).rational(282) is None

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_a_number_that_is_not_finite_is_missing(self, number):
        assert self.walk_one({282: (12, [number])}).rational(282) is None

    @pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
    def test_text_in_either_chinese_encoding(self, encoding):
        assert self.walk_one({270: (2, "病理号 S24-1".encode(encoding) + b"\0rest")}).text(270) == "病理号 S24-1"

    def test_a_long_text_cut_within_a_character_stays_text(self):
        text = "x" + "病" * 30_000
        got = self.walk_one({270: (2, text.encode())}).text(270)
        assert text.startswith(got)
        assert len(got) == 1 + (ifd.MAX_TEXT_BYTES - 1) // 3

    def test_of_a_repeated_tag_the_first_counts(self):
        data = bytearray(make_tiff([{256: (3, [1]), 257: (3, [2])}]))
        struct.pack_into("<H", data, 8 + 2 + 12, 256)
        assert ifd.walk(MemorySource(bytes(data)))[0].ints(256) == (1,)

    def test_an_unknown_type_among_known_ones_is_passed_over(self):
        data = bytearray(make_tiff([PAGE]))
        (directory,) = ifd.walk(MemorySource(bytes(data)))
        struct.pack_into("<HI", data, directory.offset + 2 + 2, 99, 1 << 31)
        (directory,) = ifd.walk(MemorySource(bytes(data)))
        assert directory.ints(256) == ()
        assert directory.raw_value(256) == b""
        assert directory.first_int(257) == 480


def entry_at(directory, number, *, big=False):
    """Offset of the type field of an entry."""
    return directory.offset + (8 + 20 * number if big else 2 + 12 * number) + 2


class TestDamage:
    @pytest.mark.parametrize("data", [b"", b"II", b"\x89PNG\r\n\x1a\n", b"II*\1" + bytes(50), bytes(4096)])
    def test_not_tiff(self, data):
        with pytest.raises(ifd.NotTiff):
            ifd.walk(MemorySource(data))

    @pytest.mark.parametrize("big", [False, True])
    def test_a_file_cut_anywhere_is_truncated(self, big):
        data = make_tiff([PAGE, PAGE], big=big)
        for length in range(4, len(data)):
            with pytest.raises(ifd.TruncatedTiff):
                ifd.walk(MemorySource(data[:length]))

    def test_a_file_whose_writing_was_broken_off_is_truncated(self):
        with pytest.raises(ifd.TruncatedTiff, match="never written"):
            ifd.walk(MemorySource(b"II*\0" + bytes(5000)))

    def test_damage_keeps_the_directories_before_it(self):
        data = make_tiff([PAGE, PAGE])
        with pytest.raises(ifd.TruncatedTiff) as caught:
            ifd.walk(MemorySource(data[:-3]))
        assert [directory.first_int(256) for directory in caught.value.directories] == [640]
        assert caught.value.offset > 8

    def test_a_chain_that_comes_back_is_corrupt(self):
        data = bytearray(make_tiff([PAGE, PAGE]))
        first, second = ifd.walk(MemorySource(bytes(data)))
        struct.pack_into("<I", data, len(data) - 4, first.offset)
        with pytest.raises(ifd.CorruptTiff, match="loop") as caught:
            ifd.walk(MemorySource(bytes(data)))
        assert [directory.offset for directory in caught.value.directories] == [first.offset, second.offset]

    def test_no_entries_is_corrupt(self):
        with pytest.raises(ifd.CorruptTiff, match="without entries"):
            ifd.walk(MemorySource(b"II*\0\x08\0\0\0" + bytes(100)))

    def test_entries_of_unknown_types_throughout_are_corrupt(self):
        data = b"II*\0\x08\0\0\0" + struct.pack("<H", 9) + struct.pack("<HHII", 256, 77, 1, 0) * 9 + bytes(4)
        with pytest.raises(ifd.CorruptTiff, match="unknown field types"):
            ifd.walk(MemorySource(data))

    @pytest.mark.parametrize("count", [1 << 30, 1 << 60, (1 << 64) - 1])
    def test_an_absurd_value_count_is_corrupt(self, count):
        data = bytearray(make_tiff([PAGE], big=True))
        (directory,) = ifd.walk(MemorySource(bytes(data)))
        struct.pack_into("<HQ", data, entry_at(directory, 0, big=True), 16, count)
        with pytest.raises(ifd.CorruptTiff, match="absurd"):
            ifd.walk(MemorySource(bytes(data)))

    @pytest.mark.parametrize("count", [1 << 20, 1 << 60, (1 << 64) - 1])
    def test_an_absurd_entry_count_is_corrupt(self, count):
        data = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, count) + bytes(100)
        with pytest.raises(ifd.CorruptTiff, match="entries"):
            ifd.walk(MemorySource(data))

    def test_bigtiff_with_another_offset_size_is_corrupt(self):
        with pytest.raises(ifd.CorruptTiff):
            ifd.walk(MemorySource(b"II+\0\x04\0\0\0" + bytes(100)))

    @pytest.mark.parametrize("offset", [1 << 40, 1 << 63, (1 << 64) - 1])
    def test_an_offset_beyond_every_file_is_truncated(self, offset):
        with pytest.raises(ifd.TruncatedTiff):
            ifd.walk(MemorySource(b"II+\0\x08\0\0\0" + struct.pack("<Q", offset)))
        data = bytearray(make_tiff([PAGE], big=True))
        (directory,) = ifd.walk(MemorySource(bytes(data)))
        struct.pack_into("<Q", data, entry_at(directory, 2, big=True) + 10, offset)
        with pytest.raises(ifd.TruncatedTiff, match="tag 270"):
            ifd.walk(MemorySource(bytes(data)))

    def test_a_file_that_shrinks_while_it_is_read_is_truncated(self):
        source = MemorySource(make_tiff([{**PAGE, 270: (2, b"x" * 9000)}]))
        (directory,) = ifd.walk(source)
        source.data = source.data[:500]
        with pytest.raises(ifd.TruncatedTiff):
            directory.text(270)

    def test_the_message_holds_the_place_and_no_value(self):
        data = make_tiff([{**PAGE, 270: (2, b"ZHANG SAN 110101199003070011\0")}, PAGE])
        for length in range(4, len(data), 7):
            with pytest.raises(ifd.TruncatedTiff) as caught:
                ifd.walk(MemorySource(data[:length]))
            assert "ZHANG" not in str(caught.value)
            assert f"offset {caught.value.offset}" in str(caught.value)


class TestCost:
    def test_an_endless_chain_ends(self):
        def content(offset, length):
            if offset == 0:
                return (b"II+\0\x08\0\0\0" + struct.pack("<Q", 1 << 20)).ljust(length, b"\0")
            body = struct.pack("<QHHQQQ", 1, 256, 3, 1, 1, offset + (1 << 20))
            return body.ljust(length, b"\0")

        source = EndlessSource(content)
        with pytest.raises(ifd.CorruptTiff, match="directories"):
            ifd.walk(source)
        assert source.reads <= ifd.MAX_DIRECTORIES + 1
        assert source.bytes_read <= ifd.MAX_HEADER_BYTES

    def test_overlapping_directories_of_many_entries_end(self):
        entries = struct.pack("<HHQQ", 256, 3, 1, 1) * 1000
        places = itertools.count(1)

        def content(offset, length):
            if offset == 0:
                return (b"II+\0\x08\0\0\0" + struct.pack("<Q", 1 << 20)).ljust(length, b"\0")
            tags = b"".join(struct.pack("<H", n) + entries[20 * n + 2 : 20 * n + 20] for n in range(1000))
            body = struct.pack("<Q", 1000) + tags + struct.pack("<Q", next(places) << 21)
            return body[:length].ljust(length, b"\0")

        source = EndlessSource(content)
        with pytest.raises(ifd.CorruptTiff, match="entries"):
            ifd.walk(source)
        assert source.bytes_read <= 4 << 20

    def test_texts_of_a_hostile_file_are_bounded_too(self):
        def content(offset, length):
            if offset == 0:
                return (b"II+\0\x08\0\0\0" + struct.pack("<Q", 1 << 20)).ljust(length, b"\0")
            at = offset >> 20
            if offset % (1 << 20):
                return b"x" * length
            body = struct.pack("<QHHQQQ", 1, 270, 2, 1 << 30, (at << 20) + 8192, (at + 1) << 20 if at < 1020 else 0)
            return body.ljust(length, b"x")

        source = EndlessSource(content)
        directories = ifd.walk(source)

        def read_all():
            for directory in directories:
                assert len(directory.text(270)) == ifd.MAX_TEXT_BYTES

        with pytest.raises(ifd.CorruptTiff, match="larger than any"):
            read_all()
        assert source.bytes_read <= ifd.MAX_HEADER_BYTES

    def test_a_large_tile_table_is_sampled_at_both_ends(self):
        total = 60_000
        entries = {256: (4, [1]), 324: (16, range(100, 100 + total)), 325: (4, range(total))}
        source = MemorySource(make_tiff([entries], big=True))
        (directory,) = ifd.walk(source)
        before = source.bytes_read
        table = tiles.read_table(directory, tiles.entries(directory), 512)
        assert table.total == total
        assert table.byte_counts.tolist() == [*range(512), *range(total - 512, total)]
        assert table.offsets.tolist() == [100 + n for n in (*range(512), *range(total - 512, total))]
        assert source.bytes_read - before <= 4 * 4096
        assert source.reads <= 6

    @pytest.mark.parametrize("total", [1, 2, 7, 8])
    def test_a_table_of_no_more_than_both_ends_is_read_whole_and_once(self, total):
        entries = {256: (4, [1]), 324: (16, range(total)), 325: (4, range(total))}
        (directory,) = ifd.walk(MemorySource(make_tiff([entries], big=True)))
        table = tiles.read_table(directory, tiles.entries(directory), 4)
        assert table.offsets.tolist() == table.byte_counts.tolist() == list(range(total))
        assert table.total == total

    @pytest.mark.parametrize("total", [1, 3, 65_536, 65_537, 140_000])
    def test_pieces_are_the_whole_table_in_order(self, total):
        entries = {256: (4, [1]), 324: (4, range(7, 7 + total)), 325: (3, [n % 999 for n in range(total)])}
        source = MemorySource(make_tiff([entries]))
        (directory,) = ifd.walk(source)
        pieces = list(tiles.read_pieces(directory, tiles.entries(directory)))
        assert [n for piece in pieces for n in piece.offsets.tolist()] == list(range(7, 7 + total))
        assert [n for piece in pieces for n in piece.byte_counts.tolist()] == [n % 999 for n in range(total)]
        assert max(piece.offsets.size for piece in pieces) <= 65_536

    def test_pieces_of_a_file_that_shrinks_are_truncated(self):
        source = MemorySource(make_tiff([{256: (4, [1]), 324: (4, range(50_000)), 325: (4, range(50_000))}]))
        (directory,) = ifd.walk(source)
        source.data = source.data[:100_000]
        with pytest.raises(ifd.TruncatedTiff):
            list(tiles.read_pieces(directory, tiles.entries(directory)))

    def test_a_second_walk_over_the_same_blocks_reads_nothing(self):
        source = MemorySource(make_tiff([PAGE] * 5))
        blocks = ifd.Blocks(source)
        ifd.walk(blocks)
        reads = source.reads
        assert [directory.text(270) for directory in ifd.walk(blocks)] == ["Some text"] * 5
        assert source.reads == reads == 1


class TestTiles:
    def table(self, offsets, counts):
        return tiles.TileTable(len(offsets), np.array(offsets, np.uint64), np.array(counts, np.uint64))

    @pytest.mark.parametrize(
        ("offset", "count", "beyond"),
        [
            (90, 10, 0),
            (90, 11, 1),
            (100, 1, 1),
            (100, 0, 0),
            (1 << 63, 0, 0),
            (0, 100, 0),
            (0, 101, 1),
            ((1 << 64) - 1, 2, 1),
            (2, (1 << 64) - 1, 1),
            ((1 << 64) - 10, (1 << 64) - 1, 1),
        ],
    )
    def test_a_tile_ends_within_the_file_or_not(self, offset, count, beyond):
        assert self.table([offset], [count]).count_beyond(100) == beyond

    def test_tables_of_different_length_are_corrupt(self):
        data = make_tiff([{256: (3, [1]), 324: (4, [1, 2, 3]), 325: (4, [1, 2])}])
        with pytest.raises(ifd.CorruptTiff, match="differ"):
            tiles.entries(ifd.walk(MemorySource(data))[0])

    def test_a_table_of_text_is_corrupt(self):
        data = make_tiff([{256: (3, [1]), 324: (2, b"abc"), 325: (4, [1, 2, 3])}])
        with pytest.raises(ifd.CorruptTiff, match="type"):
            tiles.entries(ifd.walk(MemorySource(data))[0])


class TestNdpi:
    @pytest.mark.parametrize("start", [0, (1 << 32) + 5000])
    def test_every_directory_is_walked_wherever_it_lies(self, start):
        images = [NdpiImage(40 + n, 30, bytes(99), 40 / 2**n, fields={270: (2, b"A\0")}) for n in range(3)]
        found = ifd.walk(ndpi(images, start=start))
        assert [directory.first_int(256) for directory in found] == [40, 41, 42]
        assert [directory.rational(65421) for directory in found] == [40, 20, 10]
        assert all(directory.first_int(ifd.STRIP_OFFSETS) >= start for directory in found)
        # A text of two characters would fit into its entry, but stands elsewhere.
        assert [directory.text(270) for directory in found] == ["A"] * 3

    def test_a_count_above_4_gib_is_read_whole(self):
        slide = ndpi([NdpiImage(40, 30, bytes(99), 40)])
        (directory,) = ifd.walk(slide)
        index = list(directory.entries).index(ifd.STRIP_BYTE_COUNTS)
        high = directory.offset + 2 + 12 * len(directory.entries) + 8 + 4 * index
        slide.write_at(high, (3).to_bytes(4, "little"))
        assert ifd.walk(slide)[0].first_int(ifd.STRIP_BYTE_COUNTS) == (3 << 32) + 99

    def test_a_file_without_upper_halves_is_read_as_if_they_were_zero(self):
        slide = ndpi([NdpiImage(40, 30, bytes(99), 40)])
        (directory,) = ifd.walk(slide)
        count = len(directory.entries)
        slide.write_at(directory.offset + 2 + 12 * count + 8, b"text" * count)
        assert ifd.walk(slide)[0].first_int(ifd.STRIP_OFFSETS) == directory.first_int(ifd.STRIP_OFFSETS)

    def test_an_ordinary_tiff_with_data_after_its_header_is_not_taken_for_ndpi(self):
        data = bytearray(make_tiff([PAGE, PAGE]))
        first, *_ = found = ifd.walk(MemorySource(bytes(data)))
        assert first.offset > 12
        assert data[8:12] != bytes(4)
        assert len(found) == 2

    def test_an_ordinary_tiff_whose_data_spell_the_mark_is_not_taken_for_ndpi(self):
        place = 1 << 33 | 8
        source = Sparse()
        source.write_at(0, b"II*\0" + struct.pack("<Q", place))
        source.write_at(place, struct.pack("<H", 3) + bytes(36))
        with pytest.raises(ifd.CorruptTiff):
            ifd.walk(source)

"""Random slides of the TIFF family: no planted text survives, no tile is lost, and damage is refused by its name."""

import os
import shutil
import struct
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.demo.tiffwriter import Field, Page, ascii_text, encode_tiff, longs, shorts
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.readers import ndpi as ndpi_reader
from pathcurate.readers import tiff as tiff_reader
from pathcurate.scrubbers import tiff
from pathcurate.scrubbers.tiff import ground
from pathcurate.storage import LocalRoot
from tests.makers import planted
from tests.makers.planted import job_of

SECRET = "Wurzelbacher"
TILE = b"\xff\xd8\xff\xdb\0\x04\0\1\xff\xda\0\2%d\xff\xd9"
"""What begins and ends as a JPEG, with a number in it."""
TEXT_TAGS = (269, 270, 271, 272, 285, 300, 305, 306, 315, 316, 333, 337, 700, 33432, 34675, 37724, 34377, 40092, 50838)
ODD_TAGS = (258, 262, 274, 282, 296, 317, 318, 320, 338, 339, 347, 529, 530, 532, 255, 286)
FORMS = planted.forms(SECRET)
KEYS = (
    "AppMag = 20", f"AppMag = {SECRET}", f"MPP = 0.5 {SECRET}", f"Title = a = {SECRET}", SECRET, f"{SECRET} = 1", "Left=1",
    "=", f"Date = {SECRET}", f"MPP={SECRET}|Top = 1", "Date = 01/02/03", f"CustomField.{SECRET} = x",
    f"Barcode = {SECRET}", "",
)  # fmt: skip
SAID = (
    SECRET,
    f"x={SECRET}|y",
    f"|{SECRET} = 3|",
    f"AppMag = {SECRET}",
    f"Aperio {SECRET}|AppMag = 20 {SECRET}",
    f"<a b='{SECRET}'/>",
)


def copy_of(data: bytes, format_: str) -> tuple[bytes, list[tuple[str, bytes]], list[tuple[str, bytes]]] | None:
    """The copy, and the pixels of the slide and of the copy; None if it was refused or put aside."""
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "slide.tif"
        path.write_bytes(data)
        out = folder / "out"
        out.mkdir()
        try:
            plan, written = tiff.write(job_of(path, format_), out)
        except UnscrubbableError:
            return None
        if written is None:
            assert plan.unknown
            return None
        reader = ndpi_reader if format_ == "ndpi" else tiff_reader
        pixels = []
        for name in (path, out / written.main):
            with LocalRoot(os.fsencode(name.parent)).open(os.fsencode(name.name)) as source:
                pixels.append([(run.image, source.read_at(run.offset, run.length)) for run in reader.pixel_runs(source)])
        return (out / written.main).read_bytes(), pixels[0], pixels[1]
    finally:
        shutil.rmtree(folder)


@st.composite
def odd_fields(draw: st.DrawFn) -> dict[int, Field]:
    """Tags in any number, of any type, whose values say the secret in some encoding, or are numbers."""
    fields = {}
    for tag in draw(st.lists(st.sampled_from(TEXT_TAGS + ODD_TAGS), max_size=6, unique=True)):
        encoding = draw(st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "gb18030"]))
        data = draw(st.sampled_from(SAID)).encode(encoding) + draw(st.sampled_from([b"", b"\0", b"\0" + SECRET.encode()]))
        type_, size = draw(st.sampled_from([(1, 1), (2, 1), (7, 1), (3, 2), (4, 4), (5, 8), (12, 8), (99, 1)]))
        data += bytes(-len(data) % size)
        fields[tag] = Field(type_, len(data) // size, data)
    return fields


@st.composite
def slides(draw: st.DrawFn) -> tuple[bytes, str]:
    """A pyramid with images beside it, in any order, with odd tags, gaps and a tail; and its format."""
    format_ = draw(st.sampled_from(["tiff", "svs"]))
    number = 0

    def tiles(count: int) -> list[bytes]:
        nonlocal number
        made = []
        for _ in range(count):
            number += 1
            made.append(TILE % number)
        return made

    pages = []
    for level in range(draw(st.integers(1, 3))):
        side = 256 >> level
        fields = {
            256: longs(side), 257: longs(side), 258: shorts(8), 259: shorts(7), 262: shorts(1), 277: shorts(1),
            322: longs(64), 323: longs(64), **draw(odd_fields()),
        }  # fmt: skip
        if format_ == "svs":
            said = "|".join(draw(st.lists(st.sampled_from(KEYS), max_size=4)))
            fields[270] = ascii_text(f"Aperio Image Library v1 {draw(st.sampled_from(['', SECRET]))}\r\n256x256|{said}")
        pages.append(Page(fields, tiles(max(1, side // 64) ** 2), tiled=True))
    for _ in range(draw(st.integers(0, 3))):
        fields = {
            256: longs(draw(st.integers(0, 99))), 257: longs(40), 259: shorts(7), 278: longs(40),
            254: longs(draw(st.sampled_from([0, 1, 9]))), **draw(odd_fields()),
        }  # fmt: skip
        strip = draw(st.sampled_from([SECRET.encode(), b"\xff\xd8" + SECRET.encode()]))
        pages.insert(draw(st.integers(1, len(pages))), Page(fields, [strip]))
    data = encode_tiff(pages, bigtiff=draw(st.booleans()), ifds_first=draw(st.booleans()))
    return data + draw(st.sampled_from([b"", SECRET.encode(), SECRET.encode("utf-16-le") * 9])), format_


@settings(max_examples=30, deadline=None)
@given(slides(), st.booleans())
def test_no_planted_text_survives_and_no_tile_is_lost(slide: tuple[bytes, str], is_swapped: bool) -> None:
    data, format_ = slide
    found = copy_of(planted.swapped(data) if is_swapped and not _has_odd_types(data) else data, format_)
    if found is not None:
        copy, before, after = found
        assert [form for form in FORMS if form in copy] == []
        assert before == after != []


def _has_odd_types(data: bytes) -> bool:
    """Whether a field is of a type that the other byte order is not made for."""
    big = data[2] == 43
    (at,) = struct.unpack_from("<Q" if big else "<I", data, 8 if big else 4)
    while at:
        (count,) = struct.unpack_from("<Q" if big else "<H", data, at)
        at += 8 if big else 2
        for number in range(count):
            if struct.unpack_from("<H", data, at + number * (20 if big else 12) + 2)[0] in (5, 12, 99):
                return True
        (at,) = struct.unpack_from("<Q" if big else "<I", data, at + count * (20 if big else 12))
    return False


MADE = (planted.svs(), planted.svs(layout="gt450", big=True), planted.ndpi(), planted.philips_slide(), planted.scn_slide(),
        planted.bif_slide(), planted.generic_slide())  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(MADE), st.data())
def test_damage_is_refused_by_its_name(made: planted.Planted, data: st.DataObject) -> None:
    """Bytes of directories changed, whole directories moved, files cut: a copy or a refusal, and nothing else."""
    damaged = bytearray(made.data)
    places = headers(made.data)
    for _ in range(data.draw(st.integers(1, 4))):
        start, end = data.draw(st.sampled_from(places))
        at = data.draw(st.integers(start, end - 1))
        piece = data.draw(st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0"])))
        damaged[at : at + len(piece)] = piece
    if data.draw(st.integers(0, 5)) == 0:
        del damaged[data.draw(st.integers(4, len(damaged))) :]
    found = copy_of(bytes(damaged), made.format)
    assert found is None or made.leaks(found[0]) == []


def headers(data: bytes) -> list[tuple[int, int]]:
    """Where the entries of the directories of a little-endian file lie, and their pointers."""
    big = data[2] == 43
    found = [(4, 8)]
    (at,) = struct.unpack_from("<Q" if big else "<I", data, 8 if big else 4)
    for _ in range(12):
        (count,) = struct.unpack_from("<Q" if big else "<H", data, at)
        start, size = at + (8 if big else 2), 20 if big else 12
        found += [(start + number * size, start + (number + 1) * size) for number in range(count)]
        (at,) = struct.unpack_from("<Q" if big else "<I", data, start + count * size)
        if not at:
            break
    return found


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(RANGES, RANGES)
def test_runs_are_sets_of_bytes(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    def bytes_of(ranges: list[tuple[int, int]]) -> set[int]:
        return {at for start, length in ranges for at in range(start, start + length)}

    def runs(ranges: list[tuple[int, int]]) -> ground.Runs:
        return ground.runs_of([start for start, _ in ranges], [start + length for start, length in ranges])

    joined = ground.joined(runs(one), runs(other))
    held = [at for start, end in zip(joined.starts.tolist(), joined.ends.tolist(), strict=True) for at in range(start, end)]
    assert held == sorted(bytes_of(one) | bytes_of(other))
    assert (joined.starts[1:] > joined.ends[:-1]).all()
    assert runs(one).share(runs(other)) == bool(bytes_of(one) & bytes_of(other))


@settings(max_examples=40, deadline=None)
@given(RANGES, st.integers(1, 80))
def test_only_what_is_kept_is_not_zero(ranges: list[tuple[int, int]], end: int) -> None:
    kept = {at for start, length in ranges for at in range(start, min(start + length, end))}
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * end)
        file.flush()
        windows = ground.runs_of([start for start, _ in ranges], [min(start + length, end) for start, length in ranges])
        ground.clear(file.fileno(), iter([windows]), end)
        file.seek(0)
        assert [at for at, byte in enumerate(file.read()) if byte] == sorted(kept)

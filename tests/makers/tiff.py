"""Makers of Aperio-like TIFF and Hamamatsu NDPI files: real ones that OpenSlide opens, and sparse ones of realistic size."""

import io
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image

TILE = 256
KEYS = {
    "AppMag": "40", "StripeWidth": "992", "ScanScope ID": "SS1234", "Filename": "5533", "Title": "S24-00123 A1",
    "Date": "03/04/21", "Time": "13:14:15", "Time Zone": "GMT+08:00", "User": "operator", "Left": "21.145800",
    "Top": "17.562300", "MPP": "0.2525", "Exposure Time": "8", "Barcode": "S24-00123-A1", "ImageID": "5533",
    "Exposure Scale": "0.000001", "DisplayColor": "0", "OriginalWidth": "61440", "OriginalHeight": "61440",
    "ICC Profile": "AT2", "Gamma": "2.2", "LineAreaXOffset": "0.011", "LineAreaYOffset": "-0.002",
}  # fmt: skip
TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}


@dataclass
class Image_:  # noqa: N801 -- a page of a file that is never decoded
    """One directory of a sparse file: its fields by tag as (type, values), and the sizes of its tiles or strips."""

    fields: dict[int, tuple[int, Sequence[int] | bytes]]
    sizes: list[int]
    tiled: bool = True


@dataclass
class Sparse:
    """A file of any size of which only some ranges hold bytes; counts what is read of it."""

    size: int = 0
    name: str = "x.svs"
    local_path: bytes | None = None
    chunks: dict[int, bytes] = field(default_factory=dict)
    reads: int = 0
    bytes_read: int = 0

    def write_at(self, offset: int, data: bytes) -> None:
        """Put bytes somewhere, beyond the end if need be."""
        self.chunks[offset] = data
        self.size = max(self.size, offset + len(data))

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes of a range; zeros where nothing was put."""
        length = max(0, min(length, self.size - offset))
        out = bytearray(length)
        for start, data in self.chunks.items():
            low, high = max(start, offset), min(start + len(data), offset + length)
            if low < high:
                out[low - offset : high - offset] = data[low - start : high - start]
        self.reads += 1
        self.bytes_read += length
        return bytes(out)

    def cut(self, size: int) -> "Sparse":
        """The same file without its tail."""
        return Sparse(size, self.name, None, dict(self.chunks))

    def save(self, path: Path) -> Path:
        """A sparse file on disk with the same content."""
        with path.open("wb") as file:
            file.truncate(self.size)
            for offset, data in self.chunks.items():
                os.pwrite(file.fileno(), data, offset)
        return path


def pack(type_: int, values: Sequence[int] | bytes) -> bytes:
    """Values as little-endian bytes."""
    return struct.pack(f"<{len(values)}{TYPES[type_]}", *values)


def sparse_tiff(
    images: Sequence[Image_],
    *,
    big: bool = True,
    ifds_first: bool = False,
    values_first: bool = False,
    in_order: bool = False,
) -> Sparse:
    """A TIFF whose tiles lie in holes.

    Args:
        images: in chain order.
        big: BigTIFF.
        ifds_first: all directories at the beginning, and the tiles of the last image before those of the first, as
            cloud-optimised files have it; otherwise each directory follows its tiles, as libtiff writes.
        values_first: a directory's values before it, not after it.
        in_order: with ``ifds_first``, the tiles of the first image before those of the last.
    """
    out = Sparse()
    form = ("Q", "HHQ8s", "Q", 16) if big else ("H", "HHI4s", "I", 8)
    position = form[3]
    places = [0] * len(images)
    blank = [0] * len(images)
    if ifds_first:
        for index, image in enumerate(images):
            places[index] = position
            position += len(_directory(image, position, 0, 0, big=big, values_first=values_first)[0]) + 8
        for index in range(len(images)) if in_order else reversed(range(len(images))):
            blank[index] = position
            position += sum(images[index].sizes)
    else:
        for index, image in enumerate(images):
            blank[index] = position
            position = (position + sum(image.sizes) + 7) // 8 * 8
            places[index] = position
            position += len(_directory(image, position, 0, 0, big=big, values_first=values_first)[0])
    heads = []
    for index, image in enumerate(images):
        _, head = _directory(image, places[index], blank[index], 0, big=big, values_first=values_first)
        heads.append(head)
    for index, image in enumerate(images):
        following = heads[index + 1] if index + 1 < len(images) else 0
        data, _ = _directory(image, places[index], blank[index], following, big=big, values_first=values_first)
        out.write_at(places[index], data)
    out.write_at(0, struct.pack("<2sHHHQ", b"II", 43, 8, 0, heads[0]) if big else struct.pack("<2sHI", b"II", 42, heads[0]))
    out.size = max(out.size, position)
    return out


def _directory(image: Image_, place: int, start: int, following: int, *, big: bool, values_first: bool) -> tuple[bytes, int]:
    """A directory with its values, written to ``place``, and where in the file its entries begin."""
    count_form, entry_form, pointer, _ = ("Q", "HHQ8s", "Q", 16) if big else ("H", "HHI4s", "I", 8)
    word = struct.calcsize("<" + pointer)
    offsets = list(accumulate(image.sizes, initial=start))[:-1]
    tags = (324, 325) if image.tiled else (273, 279)
    fields = {**image.fields, tags[0]: (16 if big else 4, offsets), tags[1]: (4, image.sizes)}
    fixed = struct.calcsize("<" + count_form) + struct.calcsize("<" + entry_form) * len(fields) + word
    packed = {tag: (type_, pack(type_, values)) for tag, (type_, values) in sorted(fields.items())}
    outside = sum(len(data) for _, data in packed.values() if len(data) > word)
    head = place + (outside if values_first else 0)
    at = place if values_first else place + fixed
    entries, values = b"", b""
    for tag, (type_, data) in packed.items():
        count = len(data) // struct.calcsize("<" + TYPES[type_]) // (2 if type_ == 5 else 1)
        if len(data) > word:
            inline = struct.pack("<" + pointer, at + len(values))
            values += data
        else:
            inline = data.ljust(word, b"\0")
        entries += struct.pack("<" + entry_form, tag, type_, count, inline)
    body = struct.pack("<" + count_form, len(fields)) + entries + struct.pack("<" + pointer, following)
    return (values + body if values_first else body + values), head


def sparse_svs(
    sides: Sequence[int] = (61_440, 15_360, 3840),
    *,
    layout: str = "classic",
    big: bool = True,
    ifds_first: bool = False,
    values_first: bool = False,
    seed: int = 0,
    icc: int = 141_992,
    extras: bool = True,
    text: str | None = None,
    in_order: bool = False,
) -> Sparse:
    """An Aperio file of square levels, with thumbnail, label and macro; its tiles lie in holes.

    ``layout`` is ``classic`` (second line of the description says what an image is) or ``gt450`` (NewSubfileType only).
    """  # fmt: skip
    keys = "".join(f"|{key} = {value}" for key, value in KEYS.items())
    names = {"classic": "Aperio Image Library v12.0.15", "gt450": "Aperio Leica Biosystems GT450 v1.0.1"}
    first = f"{names[layout]} \r\n{sides[0]}x{sides[0]} [0,0 {sides[0]}x{sides[0]}] ({TILE}x{TILE}) JPEG/YCC Q=91"
    images = []
    for index, side in enumerate(sides):
        count = (-(-side // TILE)) ** 2
        description = text if text is not None and not index else first + keys
        fields = {**_common(side, side, 7, description), 322: (3, [TILE]), 323: (3, [TILE]), 347: (7, bytes(289))}
        if icc:
            fields[34675] = (7, bytes(icc))
        images.append(Image_(fields, [9000 + (tile * 7 + seed) % 500 for tile in range(count)]))
        if index == 0 and extras:
            images.append(_strips(1024, 1024, 7, f"{first} -> 1024x1024 - {keys}", 16))
    if extras:
        is_classic = layout == "classic"
        for kind, subfile, sizes, method in (("label", 1, (387, 463), 5), ("macro", 9, (1280, 431), 7)):
            described = f"{names[layout]} \r\n{kind} {sizes[0]}x{sizes[1]}" if is_classic else None
            images.append(_strips(*sizes, method, described, 12, subfile))
    return sparse_tiff(images, big=big, ifds_first=ifds_first, values_first=values_first, in_order=in_order)


def _strips(width: int, height: int, method: int, description: str | None, rows: int, subfile: int | None = None) -> Image_:
    fields = _common(width, height, method, description)
    if subfile is not None:
        fields[254] = (4, [subfile])
    return Image_({**fields, 278: (3, [rows])}, [3000] * -(-height // rows), tiled=False)


def _common(width: int, height: int, method: int, description: str | None) -> dict[int, tuple[int, Sequence[int] | bytes]]:
    fields: dict[int, tuple[int, Sequence[int] | bytes]] = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [8, 8, 8]), 259: (3, [method]), 262: (3, [6]), 277: (3, [3]),
        284: (3, [1]), 530: (3, [2, 2]),
    }  # fmt: skip
    if description is not None:
        fields[270] = (2, description.encode() + b"\0")
    return fields


# --- Hamamatsu NDPI ----------------------------------------------------------------------------------------------

Values = tuple[int, "Sequence[int] | Sequence[float] | bytes"]


@dataclass
class NdpiImage:
    """One image of an NDPI file: its JPEG (or raw bytes), its lens, focal plane and further fields."""

    width: int
    height: int
    data: bytes
    lens: float
    focus: int = 0
    method: int = 7
    fields: Mapping[int, Values] = field(default_factory=dict)


PROPERTIES = "Created=2011/05/23\r\nUpdated=2017/01/27\r\nProduct=C13220-01\r\nNDP.S/N=950291\r\nempty=\r\n"


def jpeg(width: int, height: int, seed: int = 0, *, rows: int = 1) -> bytes:
    """A JPEG with a restart marker after so many rows of units of 8 x 8 pixels, as Hamamatsu writes."""
    noise = np.random.default_rng(seed).integers(150, 250, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    out = io.BytesIO()
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BILINEAR)
    picture.save(out, "JPEG", quality=60, subsampling="4:4:4", restart_marker_rows=rows)
    return out.getvalue()


def ndpi(images: Sequence[NdpiImage], *, first: Mapping[int, Values] | None = None, start: int = 0) -> Sparse:
    """An NDPI file as Hamamatsu's software lays it out: values, then an image, then its directory, image by image.

    Args:
        images: in chain order.
        first: further fields of every directory, whose values are shared.
        start: where the first image begins, to make files above 4 GiB.
    """
    out = Sparse(name="x.ndpi")
    position = 12
    shared: dict[int, tuple[int, int, int]] = {}
    for tag, (type_, values) in (first or {}).items():
        data = _ndpi_pack(type_, values)
        if type_ == 2 or len(data) > 4:
            out.write_at(position, data)
            shared[tag] = (type_, _count(type_, data), position)
            position += len(data)
    position = max(position, start)
    link = 4
    for image in images:
        out.write_at(position, image.data)
        strip = position
        position += len(image.data)
        position += position % 2
        fields: dict[int, Values] = {
            256: (4, [image.width]), 257: (4, [image.height]), 258: (3, [8, 8, 8]), 259: (3, [image.method]),
            262: (3, [6]), 273: (4, [strip]), 277: (3, [3]), 278: (4, [image.height]), 279: (4, [len(image.data)]),
            65420: (3, [1]), 65421: (11, [image.lens]), 65424: (9, [image.focus]),
            **{tag: value for tag, value in (first or {}).items() if tag not in shared}, **image.fields,
        }  # fmt: skip
        values = b""
        entries, high = b"", b""
        tags = sorted({*fields, *shared})
        directory = position
        outside = directory + 2 + 16 * len(tags) + 8
        for tag in tags:
            if tag in shared and tag not in image.fields:
                type_, count, at = shared[tag]
                word = at
            else:
                type_, held = fields[tag]
                data = _ndpi_pack(type_, held)
                count = _count(type_, data)
                if type_ == 4 and count == 1:
                    word = int(held[0])
                elif type_ != 2 and len(data) <= 4:
                    word = int.from_bytes(data.ljust(4, b"\0"), "little")
                else:
                    word = outside + len(values)
                    values += data
            entries += struct.pack("<HHII", tag, type_, count, word & 0xFFFFFFFF)
            high += struct.pack("<I", word >> 32)
        out.write_at(link, struct.pack("<Q", directory))
        out.write_at(directory, struct.pack("<H", len(tags)) + entries)
        link = directory + 2 + 12 * len(tags)
        out.write_at(link + 8, high + values)
        position = link + 8 + len(high) + len(values)
    out.write_at(link, bytes(8))
    out.write_at(0, b"II*\0")
    return out


def _count(type_: int, data: bytes) -> int:
    return len(data) // struct.calcsize("<" + TYPES[type_]) // (2 if type_ == 5 else 1)


def _ndpi_pack(type_: int, values: Sequence[int] | Sequence[float] | bytes) -> bytes:
    if type_ == 4:
        return struct.pack(f"<{len(values)}I", *(int(value) & 0xFFFFFFFF for value in values))
    return struct.pack(f"<{len(values)}{TYPES[type_]}", *values)


def ndpi_slide(
    *,
    levels: int = 3,
    factor: int = 2,
    size: tuple[int, int] = (1024, 768),
    lens: float = 40,
    focuses: Sequence[int] = (0,),
    first: Mapping[int, Values] | None = None,
    macro: bool = True,
    slide_map: bool = True,
    start: int = 0,
    seed: int = 0,
) -> Sparse:
    """A slide with a pyramid for each focal plane, a macro and a map."""  # fmt: skip
    images = []
    for focus in focuses:
        for level in range(levels):
            width, height = (side // factor**level for side in size)
            data = jpeg(width, height, seed + level + abs(focus))
            images.append(NdpiImage(width, height, data, lens / factor**level, focus, fields=_mcu_starts(data)))
    if macro:
        images.append(NdpiImage(320, 112, jpeg(320, 112, 99), -1))
    if slide_map:
        images.append(NdpiImage(160, 56, bytes(160 * 56), -2, method=1, fields={258: (3, [8]), 277: (3, [1])}))
    unit = {282: (5, [43_826, 1]), 283: (5, [43_826, 1]), 296: (3, [3])}
    texts = {271: (2, b"Hamamatsu\0"), 272: (2, b"C13220-01\0"), 305: (2, b"NDP.scan 3.2.4\0")}
    dated = {306: (2, b"2023:05:06 07:08:09\0"), 65442: (2, b"S60-001\0"), 65449: (2, PROPERTIES.encode() + b"\0")}
    return ndpi(images, first={**unit, **texts, **dated, **(first or {})}, start=start)


def _mcu_starts(data: bytes) -> dict[int, Values]:
    """Tag 65426: where each piece between restart markers begins."""
    scan = data.index(b"\xff\xda")
    begin = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    found = [begin]
    at = begin
    while (at := data.find(b"\xff", at)) >= 0:
        if 0xD0 <= data[at + 1] <= 0xD7:
            found.append(at + 2)
        at += 1
    return {65426: (4, found)} if len(found) > 1 else {}

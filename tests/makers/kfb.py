"""A KFB slide with real JPEG tiles, in either of the two published layouts."""

import math
import struct

from tests.makers.mrxs import encoded, tissue

SCANNED = 1_712_000_000
"""2024-04-01 19:33:20 UTC."""


def make_kfb(
    path, *, shift=0, size=(700, 500), side=256, levels=3, power=20, resolution=0.2451, scanned=SCANNED, tag=b"JPEG",
    label=True, overview=True, preview=True, pictures=None, table_last=False, short=False, smallest_first=False,
):  # fmt: skip
    """Write a slide.

    Args:
        path: of the file.
        shift: by how many bytes the fields lie later than in the description.
        size: width and height of level 0.
        side: of a tile.
        levels: of the pyramid.
        power: magnification.
        resolution: microns per pixel.
        scanned: the time of the scan, as a number.
        tag: the compression's name.
        label: whether there is a label; likewise ``overview`` and ``preview``.
        pictures: other images by these names.
        table_last: whether the tile table follows the tiles, so that distances are negative.
        short: whether of a distance only the lower 32 bits are there, and other bytes above them.
        smallest_first: whether the smallest level comes first in the table.

    Returns:
        The path.
    """
    images = {"overview": tissue(150, 60), "label": tissue(66, 70), "preview": tissue(180, 130), **(pictures or {})}
    out = bytearray(0x58 + shift + 8)
    positions = {}
    for name, is_there in (("overview", overview), ("label", label), ("preview", preview)):
        positions[name] = len(out) if is_there else 0
        if is_there:
            content = encoded(images[name])
            out += struct.pack("<8xii4xi28x", images[name].height, images[name].width, len(content)) + content
    tiles = _tiles(size, side, levels, power)
    if smallest_first:
        tiles.reverse()
    contents = [content for *_, content in tiles]
    table_size = 64 * len(tiles)
    table = len(out) + (sum(map(len, contents)) if table_last else 0)
    at = len(out) + (0 if table_last else table_size)
    entries = bytearray()
    for x, y, width, height, scale, content in tiles:
        distance = struct.pack("<q", at - table)
        distance = distance[:4] + b"\x7f\1\2\3" if short else distance
        entries += struct.pack("<4xiiiif8xi8s20x", x, y, width, height, scale, len(content), distance)
        at += len(content)
    out += b"".join((*contents, entries)) if table_last else b"".join((entries, *contents))
    out[4:8] = b"KFB\1"
    struct.pack_into(
        "<iiii4s4xiqIIQQf8xi", out, 0x0C + shift, len(tiles), size[1], size[0], power, tag, 61, scanned,
        positions["overview"], positions["label"], positions["preview"], table, resolution, side,
    )  # fmt: skip
    path.write_bytes(out)
    return path


def _tiles(size, side, levels, power):
    tiles = []
    picture = tissue(*size)
    for level in range(levels):
        small = picture.resize((max(1, size[0] >> level), max(1, size[1] >> level)))
        for row in range(math.ceil(small.height / side)):
            for column in range(math.ceil(small.width / side)):
                left, top = column * side, row * side
                box = (left, top, min(left + side, small.width), min(top + side, small.height))
                tile = small.crop(box)
                tiles.append((left, top, tile.width, tile.height, power / (1 << level), encoded(tile)))
    return tiles


PLANTED = {
    "header": "S1230771", "table": "BC30771998", "picture header": "H19-30771-A", "label": "LABELPIXELS30771",
    "behind the end": "Krüger 张桂芳 H19", "name": "H19-30771 张桂芳",
}  # fmt: skip
"""Where an identifier of :func:`make_planted_kfb` stands, and the identifier."""


def make_planted_kfb(folder, **options):
    """A slide that holds every value of ``PLANTED`` somewhere.

    Returns:
        Path of the slide.
    """
    options = {"size": (300, 220), "side": 128, **options}
    shift = options.get("shift", 0)
    path = make_kfb(folder / f"{PLANTED['name']}.kfb", **options)
    data = bytearray(path.read_bytes())
    _, label, _, table = struct.unpack_from("<IIQQ", data, 0x30 + shift)
    data[0x4C + shift : 0x54 + shift] = PLANTED["header"].encode()
    data[table + 44 : table + 54] = PLANTED["table"].encode()
    data[label + 24 : label + 35] = PLANTED["picture header"].encode()
    data[label + 500 : label + 516] = PLANTED["label"].encode()
    path.write_bytes(data + b"".join(PLANTED["behind the end"].encode(code) for code in ("utf-8", "gb18030", "utf-16-le")))
    return path

"""A MIRAX slide with a real pyramid, as a 3DHISTECH scanner leaves it."""

import io
import struct
from pathlib import Path

from PIL import Image, ImageDraw

SLIDE_ID = "0123456789ABCDEF0123456789ABCDEF"


def tissue(width, height):
    """A picture that differs from place to place."""
    picture = Image.new("RGB", (width, height), (240, 238, 242))
    draw = ImageDraw.Draw(picture)
    for at in range(0, max(width, height), 24):
        draw.ellipse((at, at * height // width, at + 60, at + 90), fill=(150 + at % 90, 60 + at % 120, 140))
    return picture


def encoded(picture, format_="JPEG"):
    out = io.BytesIO()
    picture.save(out, {"BMP24": "BMP"}.get(format_, format_), **({"quality": 85} if format_ == "JPEG" else {}))
    return out.getvalue()


def make_mrxs(
    folder, name="x", *, images=(8, 6), side=(64, 48), levels=4, overlap=(0, 0), divisions=1, positions=False,
    mpp=(0.25, 0.26), objective="20", slide_id=SLIDE_ID, general=None, label=True, overview=True, preview=True,
    files=3, page_records=5, format_="JPEG", first_concat=0, focus_levels=0, bom=True, index_name="Index.dat",
    others=(), wide_ids=False,
):  # fmt: skip
    """Write ``name.mrxs`` and its folder.

    Args:
        folder: where to; exists.
        name: of the slide.
        images: columns and rows of the camera's images.
        side: width and height of an image in pixels.
        levels: of the pyramid, each half as large as the one below.
        overlap: of neighbouring pictures, in pixels.
        divisions: images of a picture, in one dimension.
        positions: whether a buffer says where each picture lies.
        mpp: microns per pixel, in x and y.
        objective: as text.
        slide_id: in ``Slidedat.ini``, the index and the data files.
        general: more keys of the section GENERAL; None as a value leaves a key out.
        label: whether there is a label image, or its bytes; likewise ``overview`` and ``preview``, without bytes.
        files: number of data files; level by level in turn, all other records in the first.
        page_records: records in a page of the index.
        format_: ``JPEG``, ``PNG`` or ``BMP24``; or any other, with JPEG images.
        first_concat: exponent by which level 0 is joined already.
        focus_levels: focal planes, if the slide says so.
        bom: whether ``Slidedat.ini`` begins with a byte order mark.
        index_name: name of the index.
        others: more records that are not of the pyramid: layer, name, content.
        wide_ids: whether data files have the id in 16 bits, cut off.

    Returns:
        Path of ``name.mrxs``.
    """
    home = Path(folder) / name
    home.mkdir()
    names = [f"Data{number:04}.dat" for number in range(files)]
    head_id = slide_id.encode("utf-16-le")[: len(slide_id)] if wide_ids else slide_id.encode()
    data = [bytearray(b"01.02" + head_id + b"%d" % number + bytes(16)) for number in range(len(names))]

    def put(file, content):
        offset = len(data[file])
        data[file] += content
        return offset, len(content), file

    by_level = _pyramid(put, images, side, levels, overlap, format_, files, first_concat)
    layers = _layers(put, images, side, overlap, divisions, label, overview, preview, positions)
    layers += [(layer, value, put(len(names) - 1, content)) for layer, value, content in others]
    (home / index_name).write_bytes(
        _index(slide_id, by_level, [record for _, _, record in layers], page_records, focus_levels)
    )
    for file, content in zip(names, data, strict=True):
        (home / file).write_bytes(content)
    text = _slidedat(
        images, side, levels, overlap, divisions, mpp, objective, slide_id, general or {}, names, format_, first_concat,
        layers, focus_levels, index_name,
    )  # fmt: skip
    (home / "Slidedat.ini").write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    path = Path(folder) / f"{name}.mrxs"
    path.write_bytes(encoded(tissue(64, 48)))
    return path


def _pyramid(put, images, side, levels, overlap, format_, files, first_concat):
    """Records of each level: image number, offset, length, file."""
    across, down = images
    step = side[0] - overlap[0], side[1] - overlap[1]
    base = tissue(across * side[0], down * side[1])
    by_level = []
    for level in range(levels):
        concat = 1 << (level + first_concat)
        records = []
        for y in range(0, down, concat):
            for x in range(0, across, concat):
                joined = Image.new("RGB", (side[0] * concat, side[1] * concat), "white")
                for dy in range(min(concat, down - y)):
                    for dx in range(min(concat, across - x)):
                        left, top = (x + dx) * int(step[0]), (y + dy) * int(step[1])
                        shot = base.crop((left, top, left + side[0], top + side[1]))
                        joined.paste(shot, (dx * side[0], dy * side[1]))
                content = encoded(joined.resize(side), format_ if format_ in {"JPEG", "PNG", "BMP24"} else "JPEG")
                records.append((y * across + x, *put(level % files, content)))
        by_level.append(records)
    return by_level


def _layers(put, images, side, overlap, divisions, label, overview, preview, positions):
    """(layer, name of the value, record) of all that is not hierarchical."""
    layers = [("Scan data layer", "ScanDataLayer_WholeSlide", put(0, b"whole slide"))]
    if overview:
        layers.append(("Scan data layer", "ScanDataLayer_SlideThumbnail", put(0, encoded(tissue(150, 60)))))
    if label:
        picture = label if isinstance(label, bytes) else encoded(Image.new("RGB", (70, 66), "white"))
        layers.append(("Scan data layer", "ScanDataLayer_SlideBarcode", put(0, picture)))
    if preview:
        layers.append(("Scan data layer", "ScanDataLayer_SlidePreview", put(0, encoded(tissue(80, 70)))))
    if positions:
        across, down = images[0] // divisions, images[1] // divisions
        step = [int(one * divisions - gap) for one, gap in zip(side, overlap, strict=True)]
        buffer = b"".join(struct.pack("<Bii", 0, x * step[0], y * step[1]) for y in range(down) for x in range(across))
        layers.append(("VIMSLIDE_POSITION_BUFFER", "default", put(0, buffer)))
    return layers


def _index(slide_id, by_level, layers, page_records, focus_levels):
    out = bytearray(b"01.02" + slide_id.encode() + bytes(8))

    def ints(*numbers):
        at = len(out)
        out.extend(struct.pack(f"<{len(numbers)}i", *numbers))
        return at

    def point(at, value):
        struct.pack_into("<i", out, at, value)

    roots = len(out) - 8
    point(roots, ints(*[0] * (len(by_level) + focus_levels)))
    (levels_at,) = struct.unpack_from("<i", out, roots)
    point(roots + 4, ints(*[0] * len(layers)))
    (layers_at,) = struct.unpack_from("<i", out, roots + 4)
    for number, (offset, length, file) in enumerate(layers):
        head = ints(0, 0)
        point(layers_at + 4 * number, head)
        point(head + 4, ints(1, 1253 if number == 0 else 0, 0, 0, offset, length, file))
    for level, records in enumerate(by_level):
        head = ints(0, 0)
        point(levels_at + 4 * level, head)
        # The first page of a chain is empty in files from scanners.
        link = head + 4
        for start in range(-page_records, len(records), page_records):
            page = records[max(0, start) : start + page_records] if start >= 0 else []
            at = ints(len(page), 0)
            point(link, at)
            link = at + 4
            for record in page:
                ints(*record)
    return bytes(out)


def _slidedat(
    images, side, levels, overlap, divisions, mpp, objective, slide_id, general, names, format_, first_concat, layers,
    focus_levels, index_name,
):  # fmt: skip
    keys = {
        "SLIDE_VERSION": "01.02", "SLIDE_ID": slide_id, "IMAGENUMBER_X": images[0], "IMAGENUMBER_Y": images[1],
        "CameraImageDivisionsPerSide": divisions, "OBJECTIVE_MAGNIFICATION": objective, **general,
    }  # fmt: skip
    sections = {"GENERAL": {key: value for key, value in keys.items() if value is not None}}
    by_layer = {}
    for layer, value, _ in layers:
        by_layer.setdefault(layer, []).append(value)
    tree = {
        "HIER_COUNT": 2 if focus_levels else 1, "NONHIER_COUNT": len(by_layer), "INDEXFILE": index_name,
        "HIER_0_NAME": "Slide zoom level", "HIER_0_COUNT": levels,
    }  # fmt: skip
    for level in range(levels):
        tree |= {
            f"HIER_0_VAL_{level}": f"ZoomLevel_{level}",
            f"HIER_0_VAL_{level}_SECTION": f"LAYER_0_LEVEL_{level}_SECTION",
        }
    if focus_levels:
        tree |= {"HIER_1_NAME": "Microscope focus level", "HIER_1_COUNT": focus_levels}
    sections["HIERARCHICAL"] = tree
    sections["DATAFILE"] = {"FILE_COUNT": len(names)} | {f"FILE_{number}": name for number, name in enumerate(names)}
    for level in range(levels):
        sections[f"LAYER_0_LEVEL_{level}_SECTION"] = {
            "OVERLAP_X": overlap[0], "OVERLAP_Y": overlap[1],
            "MICROMETER_PER_PIXEL_X": mpp[0] * (1 << level) if isinstance(mpp[0], float) else mpp[0],
            "MICROMETER_PER_PIXEL_Y": mpp[1] * (1 << level) if isinstance(mpp[1], float) else mpp[1],
            "IMAGE_FILL_COLOR_BGR": 16777215, "DIGITIZER_WIDTH": side[0], "DIGITIZER_HEIGHT": side[1],
            "IMAGE_FORMAT": format_, "IMAGE_CONCAT_FACTOR": 1 if level else first_concat,
        }  # fmt: skip
    kinds = {"ScanDataLayer_SlideThumbnail": "THUMBNAIL", "ScanDataLayer_SlideBarcode": "BARCODE",
             "ScanDataLayer_SlidePreview": "PREVIEW"}  # fmt: skip
    for number, (layer, values) in enumerate(by_layer.items()):
        tree |= {f"NONHIER_{number}_NAME": layer, f"NONHIER_{number}_COUNT": len(values)}
        for value, name in enumerate(values):
            section = f"NONHIERLAYER_{number}_LEVEL_{value}_SECTION"
            tree |= {f"NONHIER_{number}_VAL_{value}": name, f"NONHIER_{number}_VAL_{value}_SECTION": section}
            sections[section] = (
                {f"{kinds[name]}_IMAGE_TYPE": "JPEG"} if name in kinds else {"SCANNER_HARDWARE_ID": "PSCAN77"}
            )
            if layer == "VIMSLIDE_POSITION_BUFFER":
                sections[section]["VIMSLIDE_POSITION_DATA_FORMAT_VERSION"] = 257
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items()), ""]
    return "\r\n".join(lines)


PLANTED = {
    "name in SLIDE_NAME": "H19-30771 张桂芳", "project": "Mammakarzinom Krüger", "created": "14/11/2005 11:04:18",
    "utc": "14/11/2005 10:04:18", "serial": "PSCAN77X", "profile": "DrHabilSeidl", "slack": "H19-30771 SLACK",
    "comment in the ini": "scanned for Prof. Okafor", "barcode": "BC0030771998", "extra file": "extra H19-30771",
    "preview": "PREVIEW-OF-30771", "id": "3A5F00DEADBEEF99887766554433221A", "name": "H19-30771 张桂芳 A1",
    "label": "LABELPIXELS30771",
}  # fmt: skip
"""Where an identifier of :func:`make_planted` stands, and the identifier."""


def make_planted(folder, **options):
    """A slide that holds every value of ``PLANTED`` somewhere, also where no record leads.

    Returns:
        Path of the slide.
    """
    general = {
        "SLIDE_NAME": PLANTED["name in SLIDE_NAME"], "PROJECT_NAME": PLANTED["project"],
        "SLIDE_CREATIONDATETIME": PLANTED["created"], "SLIDE_UTC_CREATIONDATETIME": PLANTED["utc"],
        "SLIDE_BARCODE": PLANTED["barcode"], "CAMERA_TYPE": PLANTED["serial"],
    }  # fmt: skip
    profile = f'<?xml version="1.0"?><Profile ProfileName="{PLANTED["profile"]}"/>'.encode()
    label = encoded(Image.new("RGB", (70, 66), "white")) + PLANTED["label"].encode()
    path = make_mrxs(
        folder, PLANTED["name"], label=label, general=general, slide_id=PLANTED["id"], positions=True,
        others=[("ProfileXMLHeader", "ProfileXMLHeader", profile), ("ProfileXML", "ProfileXML_0", profile)], **options,
    )  # fmt: skip
    home = path.with_suffix("")
    ini = home / "Slidedat.ini"
    text = ini.read_bytes().replace(b"PSCAN77", PLANTED["serial"].encode())
    ini.write_bytes(text + f"# {PLANTED['comment in the ini']}\r\n[{PLANTED['project']}]\r\n".encode())
    for file in sorted(home.glob("*.dat")):
        file.write_bytes(file.read_bytes() + PLANTED["slack"].encode() + PLANTED["slack"].encode("utf-16-le"))
    (home / "Thumbs.db").write_bytes(PLANTED["extra file"].encode("utf-16-le"))
    path.write_bytes(path.read_bytes() + PLANTED["preview"].encode())
    return path

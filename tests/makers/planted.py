"""Slides of every TIFF dialect with planted identifiers, and the key: what no byte of a scrubbed copy may say."""

import base64
import functools
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from pathcurate.demo.slides import paint_label, paint_macro, paint_tissue
from pathcurate.demo.tiffwriter import Field, Page, ascii_text, encode_lzw, encode_tiff, longs, rational, shorts, undefined
from pathcurate.filerules import load_rules
from pathcurate.model.filescrub import FilePlan, UnscrubbableError
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.scrubbers import tiff
from pathcurate.slidefiles import LayerCodes, ScrubJob
from pathcurate.storage import LocalRoot
from tests.makers.leica import leica
from tests.makers.ome import write_ome
from tests.makers.philips import philips
from tests.makers.tiff import jpeg, ndpi_slide
from tests.makers.ventana import ISCAN, ventana

CODE = "S-0123456789ABCDEF"
RULES = load_rules()
TILE = 64
SIZE = (512, 384)
VALUES = {
    "ScanScope ID": "SS77301X", "Filename": "S24-90817 A1 王小明", "Title": "Title=of=Zhang-San", "User": "nurse.joy.7731",
    "DSR ID": "DSR-445566", "ImageID": "88172635", "Barcode": "BC-S24-90817-A1", "Accession": "ACC-90817-77",
    "Patient": "Ottilie Wurzelbacher", "CustomField.First_Name": "Ottilie-Q", "CustomField.PatientID": "MRN-5591827",
    "LabelText": "LT 90817 Wurzelb.",
}  # fmt: skip
"""Keys of the description, with a value that holds "="."""
KEPT = {"AppMag": "20", "MPP": "0.4990", "Left": "25.69", "Top": "23.44", "OriginalWidth": "512"}
TAGS = {
    269: "DOC-Wurzelbacher-69", 305: "SW-of-Wurzelbacher", 306: "1999:04:03 21:22:23", 315: "ARTIST-Wurzelbacher",
    316: "HOST-PATHO-77", 33432: "COPYRIGHT-Klinik-Sankt-Nirgendwo",
    700: "<x:xmpmeta><dc:creator>XMP-Wurzelb</dc:creator></x:xmpmeta>",
}  # fmt: skip
SLACK = "SLACK-Wurzelbacher-Tail"
GAP = "GAP-Wurzelbacher-Middle"
ICC_TEXT = "Scanner SN-ICC-5512"
MARKS = ("LABELMARK-4711-pixels", "MACROMARK-4712-pixels")
_LABEL_SIZE = (160, 120)


@dataclass(frozen=True)
class Planted:
    """A file and its key.

    Attributes:
        format: as in the table ``slides``.
        secrets: texts that no copy may hold.
        marks: bytes of pictures that no copy may hold.
    """

    data: bytes
    format: str
    secrets: tuple[str, ...]
    marks: tuple[bytes, ...] = ()
    name: str = "S24-90817 王小明.tif"
    files: Mapping[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """The files in a folder; the path of the main one."""
        for name, data in {**self.files, self.name: self.data}.items():
            (folder / name).write_bytes(data)
        return folder / self.name

    def leaks(self, copy: bytes) -> list[str]:
        """What a copy holds of the key, in any encoding that a scanner or a viewer writes."""
        found = [secret for secret in self.secrets for form in forms(secret) if form in copy]
        return found + [f"pixels {mark[:8]!r}" for mark in self.marks if mark in copy]


def forms(text: str) -> set[bytes]:
    """A text as bytes in the encodings that are met; Base64 at each of the three places that it may begin at."""
    plain = {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"), text.encode("gb18030")}
    plain.add(text.encode().decode("latin-1").encode())
    packed = {
        base64.b64encode(b"\0" * shift + text.encode())[4 if shift else 0 : -4] for shift in range(3)
    }  # fmt: skip
    return {form for form in plain | packed if len(form) >= 5}


def picture_data(image: Image.Image, mark: str) -> bytes:
    """A JPEG with a comment."""
    out = BytesIO()
    image.save(out, "JPEG", quality=80, subsampling=0, comment=mark)
    return out.getvalue()


@functools.cache
def tissue(size: tuple[int, int] = SIZE) -> Image.Image:
    """What the slide shows."""
    return paint_tissue(7, size)


@functools.cache
def _label() -> Image.Image:
    return paint_label(["S24-90817", "Wurzelbacher"]).resize(_LABEL_SIZE)


@functools.cache
def _lzw_label() -> bytes:
    return encode_lzw(_label().convert("RGB").tobytes())


def _jpeg(image: Image.Image) -> bytes:
    out = BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=85, subsampling=0)
    return out.getvalue()


def _fields(size: tuple[int, int], compression: int = 7, photometric: int = 6) -> dict[int, Field]:
    return {
        256: longs(size[0]), 257: longs(size[1]), 258: shorts(8, 8, 8), 259: shorts(compression), 262: shorts(photometric),
        277: shorts(3), 284: shorts(1), **({530: shorts(1, 1)} if photometric == 6 else {}),
    }  # fmt: skip


def level(image: Image.Image, fields: Mapping[int, Field] | None = None, encode=_jpeg) -> Page:
    """A tiled level."""
    tiles = [
        encode(image.crop((left, top, left + TILE, top + TILE)))
        for top in range(0, image.height, TILE)
        for left in range(0, image.width, TILE)
    ]
    return Page({**_fields(image.size), 322: longs(TILE), 323: longs(TILE), **(fields or {})}, tiles, tiled=True)


def beside(image: Image.Image, fields: Mapping[int, Field] | None = None, data: bytes | None = None) -> Page:
    """An image in one strip."""
    strip = _jpeg(image) if data is None else data
    return Page({**_fields(image.size), 278: longs(image.height), **(fields or {})}, [strip])


def described(first: str, values: Mapping[str, str]) -> Field:
    """An Aperio description."""
    return ascii_text(first + "".join(f"|{key} = {value}" for key, value in values.items()))


def svs(
    *,
    layout: str = "classic",
    big: bool = False,
    values: Mapping[str, str] = VALUES,
    extra: Mapping[int, Field] | None = None,
    thumbnail: Image.Image | None = None,
    pages: Sequence[Page] = (),
) -> Planted:
    """An Aperio file: 12 values of the description, 7 tags, pixels of label and macro, a gap, a tail, a profile's text.

    Args:
        layout: ``classic``, or ``gt450``, whose label and macro have no description.
        big: 64-bit offsets.
        values: of the description.
        extra: further fields of level 0.
        thumbnail: another picture in the place of the thumbnail.
        pages: further images at the end.
    """
    picture = tissue()
    label = _label()
    software = "Aperio Image Library v12.0.15" if layout == "classic" else "Aperio Leica Biosystems GT450 v1.0.1"
    geometry = f"{software} \r\n{SIZE[0]}x{SIZE[1]} [0,0 {SIZE[0]}x{SIZE[1]}] ({TILE}x{TILE})"
    keys = {**KEPT, "Date": "04/03/99", "Time": "21:22:23", **values}
    tags = {tag: ascii_text(text) if tag != 700 else undefined(text.encode()) for tag, text in TAGS.items()}
    small = picture.resize((SIZE[0] // 4, SIZE[1] // 4), Image.Resampling.BOX)
    shown = thumbnail or picture.resize((200, 150), Image.Resampling.BOX)
    first = {270: described(f"{geometry} JPEG/RGB Q=85", keys), 34675: undefined(profile(ICC_TEXT)), **tags, **(extra or {})}
    made = [
        level(picture, first),
        beside(shown, {270: described(f"{geometry} -> {shown.width}x{shown.height} - ", keys)}),
        level(small, {270: described(f"{geometry} -> {small.width}x{small.height} JPEG/RGB Q=85", keys)}),
    ]
    strip = _lzw_label()
    for kind, image, subfile, mark in (("label", label, 1, MARKS[0]), ("macro", paint_macro(shown, label), 9, MARKS[1])):
        text = {270: ascii_text(f"{software}\r\n{kind} {image.width}x{image.height}")} if layout == "classic" else {}
        fields = {254: longs(subfile), **text, 315: ascii_text(TAGS[315])}
        if kind == "label":
            made.append(Page({**_fields(image.size, 5, 2), 278: longs(image.height), **fields}, [strip]))
        else:
            made.append(beside(image, fields, picture_data(image, mark)))
    data = encode_tiff([*made, *pages], bigtiff=big)
    return Planted(
        _with_slack(data), "svs",
        (*values.values(), *TAGS.values(), SLACK, GAP, ICC_TEXT, MARKS[1]), (strip[100:160], strip[-80:-20]),
        name="S24-90817 王小明.svs",
    )  # fmt: skip


def _with_slack(data: bytes) -> bytes:
    return data + SLACK.encode() + b"\0" * 7 + GAP.encode("utf-16-le")


def profile(text: str) -> bytes:
    """A colour profile (version 2) whose description, copyright and maker are a text."""
    said = text.encode()
    desc = b"desc" + bytes(4) + struct.pack(">I", len(said) + 1) + said + bytes(1 + 8 + 3 + 67)
    plain = b"text" + bytes(4) + said + b"\0"
    point = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"desc": desc, b"cprt": plain, b"dmnd": desc, b"wtpt": point}
    head = bytearray(128)
    head[8:12], head[12:24], head[36:40] = b"\2\x40\0\0", b"mntrRGB XYZ ", b"acsp"
    head[24:36] = struct.pack(">6H", 1999, 4, 3, 21, 22, 23)
    body, table, at = b"", struct.pack(">I", len(tags)), 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head[0:4] = struct.pack(">I", at + len(body))
    return bytes(head) + table + body


def big_endian(planted: Planted) -> Planted:
    """The same file in the other byte order; classic TIFF or BigTIFF."""
    return Planted(swapped(planted.data), planted.format, planted.secrets, planted.marks, planted.name, planted.files)


def swapped(data: bytes) -> bytes:
    """A little-endian TIFF as a big-endian one."""
    is_big = data[2] == 43
    out = bytearray(data)
    word, count_form, entry, head = ("Q", "Q", 20, 8) if is_big else ("I", "H", 12, 4)
    wide = struct.calcsize(word)
    out[:4] = b"MM\0+" if is_big else b"MM\0*"
    if is_big:
        out[4:8] = struct.pack(">HH", 8, 0)
    (at,) = struct.unpack_from("<" + word, data, head)
    struct.pack_into(">" + word, out, head, at)
    done = set()
    while at:
        (count,) = struct.unpack_from("<" + count_form, data, at)
        struct.pack_into(">" + count_form, out, at, count)
        place = at + struct.calcsize(count_form)
        for _ in range(count):
            tag, type_ = struct.unpack_from("<HH", data, place)
            (number,) = struct.unpack_from("<" + word, data, place + 4)
            struct.pack_into(">HH" + word, out, place, tag, type_, number)
            size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 7: 1, 13: 4, 16: 8}[type_]
            length = {5: 8}.get(type_, size) * number
            start = place + 4 + wide
            if length > wide:
                (start,) = struct.unpack_from("<" + word, data, start)
                struct.pack_into(">" + word, out, place + 4 + wide, start)
            if start not in done:
                done.add(start)
                for item in range(start, start + length, size):
                    out[item : item + size] = data[item : item + size][::-1]
            place += entry
        (at,) = struct.unpack_from("<" + word, data, place)
        struct.pack_into(">" + word, out, place, at)
    return bytes(out)


PROPERTIES = (
    "Created=1999/04/03\r\nUpdated=1999/04/04\r\nProduct=C13220-01\r\nNDP.S/N=SN-NDP-95029\r\nMacro.S/N=SN-MAC-95041\r\n"
    "Objective.Lens.Magnificant=40.0\r\nUserName=Dr-Wurzelbacher\r\n"
)


def ndpi() -> Planted:
    """A Hamamatsu file: names, serial numbers, barcodes, the label's XML in every directory; the macro shows the label."""
    texts = {
        65427: "REF-S24-90817-Wurzelb", 65442: "SERIAL-S60-00177", 65468: "H81870/26_A1_HE_WRIGHT",
        65469: "BC2-Wurzelbacher", 65475: "BC8-Wurzelbacher", 65477: "<Label><Name>XML-Wurzelbacher</Name></Label>",
        306: TAGS[306], 65448: "FW-Wurzelb-1",
    }  # fmt: skip
    first = {tag: (2, text.encode() + b"\0") for tag, text in texts.items()}
    more = {65449: (2, PROPERTIES.encode() + b"\0"), 65428: (4, [1550550841]), 65450: (4, [0])}
    made = ndpi_slide(first={**first, **more})
    secrets = (*texts.values(), "SN-NDP-95029", "SN-MAC-95041", "Dr-Wurzelbacher", SLACK)
    macro = jpeg(320, 112, 99)
    data = made.read_at(0, made.size) + SLACK.encode()
    return Planted(data, "ndpi", secrets, (macro[-120:-60],), name="S24-90817 王小明.ndpi")


def philips_slide() -> Planted:
    """A Philips file: barcode, operator, rack, serial number, dates; label and macro in Base64 and as directories."""
    label = picture_data(_label(), MARKS[0])
    data = philips(barcode="BC-S24-90817", file_name="S24-90817-Wurzelbacher.isyntax", picture=label)
    who = {
        "PIIM_DP_SCANNER_OPERATOR_ID": "OP-Wurzelb-77", "PIIM_DP_SCANNER_RACK_NUMBER": "RACK-90817",
        "PIIM_DP_SCANNER_SLOT_NUMBER": "SLOT-90818", "DICOM_DATE_OF_LAST_CALIBRATION": "19990403",
        "DICOM_TIME_OF_LAST_CALIBRATION": "212223.445",
    }  # fmt: skip
    lines = "".join(
        f'<Attribute Name="{name}" Group="0x101D" Element="0x1007" PMSVR="IString">{value}</Attribute>\n'
        for name, value in who.items()
    )
    made = _redescribed(data, lambda text: text.replace("</DataObject>\n\n", "").replace(
        '<Attribute Name="PIM_DP_UFS_BARCODE"', lines + '<Attribute Name="PIM_DP_UFS_BARCODE"', 1
    ))  # fmt: skip
    secrets = (
        "BC-S24-90817", "S24-90817-Wurzelbacher.isyntax", "S12-3456 - 2015-12-09 17.29.29.ndpi", "FMT0107", MARKS[0],
        "20150715142033", *who.values(), SLACK,
    )  # fmt: skip
    return Planted(_with_slack(made), "philips", secrets, (base64.b64encode(label)[300:400],), name="S24-90817.tiff")


def _redescribed(data: bytes, change) -> bytes:
    """The same file with another description in its first directory, at the file's end."""
    is_big = data[2] == 43
    word, count_form, entry, head = ("Q", "Q", 20, 8) if is_big else ("I", "H", 12, 4)
    (at,) = struct.unpack_from("<" + word, data, head)
    (count,) = struct.unpack_from("<" + count_form, data, at)
    out = bytearray(data)
    for number in range(count):
        place = at + struct.calcsize(count_form) + entry * number
        if struct.unpack_from("<H", data, place)[0] == 270:
            length, start = struct.unpack_from("<" + word * 2, data, place + 4)
            text = change(data[start : start + length - 1].decode()).encode() + b"\0"
            struct.pack_into("<" + word * 2, out, place + 4, len(text), len(out))
            out += text
    return bytes(out)


def scn_slide(**options: object) -> Planted:
    """A Leica file: barcode in Base64, names, uuids, dates; the macro in the first two directories."""
    data = leica(barcode="BC-S24-90817", **options)
    made = _redescribed(
        data,
        lambda text: (
            text.replace("S12-3456", "S24-90817-Wurzelb")
            .replace("urn:uuid:3", "urn:uuid:aaaa1111-9081-7bbb")
            .replace("2012/05/10 13:29:07", "DEV-1999/04/03")
        ),
    )
    secrets = (
        "BC-S24-90817",
        "S24-90817-Wurzelb",
        "aaaa1111-9081-7bbb",
        "DEV-1999/04/03",
        "2012-05-23T15:27:33.147Z",
        SLACK,
    )
    return Planted(_with_slack(made), "scn", secrets, name="S24-90817.scn")


def bif_slide(**options: object) -> Planted:
    """A Ventana file: attributes of iScan; the overview with the label is the first directory."""
    iscan = {
        **ISCAN, "Barcode1D": "BC1-S24-90817", "Barcode2D": "BC2-Wurzelbacher", "JP2FileName": "D:/S24-90817-Wurzelb.bif",
        "BaseName": "BASE-S24-90817", "UnitNumber": "UNIT-2000515", "UserName": "USER-Wurzelbacher",
        "BuildDate": "04/03/1999 9:09", "SlideAnnotation": "ANNOT-Wurzelbacher",
    }  # fmt: skip
    data = ventana(iscan=iscan, **options)
    secrets = tuple(iscan[name] for name in (
        "Barcode1D", "Barcode2D", "JP2FileName", "BaseName", "UnitNumber", "UserName", "BuildDate", "SlideAnnotation",
    ))  # fmt: skip
    return Planted(_with_slack(data), "bif", (*secrets, "2014:05:30 14:39:20", SLACK), name="S24-90817.bif")


def ome_slide(folder: Path, **options: object) -> Planted:
    """An OME file: names, dates, serial numbers, annotations, a comment; label and macro are further images."""
    path = folder / "made.ome.tif"
    name = "NAME-S24-90817-Wurzelb"
    write_ome(path, name=name, **options)
    data = path.read_bytes()
    path.unlink()
    if "text" not in options:
        data = _redescribed(
            data,
            lambda text: text.replace("SN-77", "SERIAL-77301").replace("Edit with care.", "COMMENT-Wurzelb").replace(
                "</OME>",
                "<StructuredAnnotations><CommentAnnotation ID='Annotation:0'><Value>ANNOT-Wurzelbacher</Value>"
                "</CommentAnnotation></StructuredAnnotations></OME>",
            ),
        )  # fmt: skip
    secrets = (name, "SERIAL-77301", "COMMENT-Wurzelb", "ANNOT-Wurzelbacher", "2021-03-04T05:06:07", SLACK)
    return Planted(_with_slack(data), "ome", secrets, name="S24-90817.ome.tif")


def generic_slide(*, big: bool = False, pages: Sequence[Page] = ()) -> Planted:
    """A pyramid without a vendor's mark: a converter's record in the description, texts in tags, a label, a wrong shape."""
    picture = tissue()
    tags = {tag: ascii_text(text) if tag != 700 else undefined(text.encode()) for tag, text in TAGS.items()}
    first = {
        282: rational(20_000, 1), 283: rational(20_000, 1), 296: shorts(3), 285: ascii_text("PAGE-Wurzelbacher"),
        270: ascii_text('{"source": "SRC-S24-90817-Wurzelb.svs"}'), 34675: undefined(profile(ICC_TEXT)), **tags,
    }  # fmt: skip
    label = _label()
    made = [
        level(picture, first),
        level(picture.resize((SIZE[0] // 2, SIZE[1] // 2), Image.Resampling.BOX), {254: longs(1)}),
        level(picture.resize((SIZE[0] // 4, SIZE[1] // 4), Image.Resampling.BOX), {254: longs(1)}),
        beside(label, {270: ascii_text("label 160x120")}, picture_data(label, MARKS[0])),
        beside(paint_macro(picture, label), {270: ascii_text("macro")}, picture_data(label, MARKS[1])),
        *pages,
    ]
    secrets = (*TAGS.values(), "PAGE-Wurzelbacher", "SRC-S24-90817-Wurzelb.svs", ICC_TEXT, *MARKS, SLACK)
    return Planted(_with_slack(encode_tiff(made, bigtiff=big)), "tiff", secrets)


def job_of(path: Path, format_: str, **more: object) -> ScrubJob:
    """The job of one slide."""
    return ScrubJob(
        root=LocalRoot(os.fsencode(path.parent)), members=(os.fsencode(path.name),), format=format_, code=CODE,
        patient="P-0123456789ABCDEF", case="C-0123456789ABCDEF", days=-70, codes=LayerCodes((Pseudonyms(b"k" * 32),)),
        **{"rules": RULES[format_], **more},
    )  # fmt: skip


def scrub(made: Planted, tmp_path: Path, **more: object) -> tuple[FilePlan, Path, Path]:
    """The plan, the slide and its copy."""
    source, target = tmp_path / "archive", tmp_path / "out"
    source.mkdir(exist_ok=True)
    target.mkdir()
    path = made.write(source)
    before = {name.name: name.read_bytes() for name in source.iterdir()}
    plan, written = tiff.write(job_of(path, made.format, **more), target)
    assert before == {name.name: name.read_bytes() for name in source.iterdir()}
    assert written is not None
    assert [name.name for name in target.iterdir()] == [written.main]
    return plan, path, target / written.main


def refused(made: Planted, tmp_path: Path, **more: object) -> str:
    """Why a slide is refused."""
    path = made.write(tmp_path)
    with pytest.raises(UnscrubbableError) as caught:
        tiff.plan(job_of(path, made.format, **more))
    return str(caught.value)

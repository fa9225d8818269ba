"""Philips TIFF, Leica SCN, Ventana BIF and OME-TIFF: planted answers, with OpenSlide and tifffile as judges."""

import os
import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import openslide
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.demo.tiffwriter import Page, ascii_text, encode_tiff, longs, undefined
from pathcurate.model.slide import SlideHeader, TileCount
from pathcurate.readers import count_tiles, read_slide, sample_pixels
from pathcurate.readers.tiff import markup
from pathcurate.storage import LocalSource, Source
from tests.makers.leica import GLASS, NEW, OLD, PIXEL_NM, leica
from tests.makers.ome import PIXELS, UUID, binary_only, describe, write_ome
from tests.makers.pages import DESCRIPTION, SOFTWARE, XMP, jpeg, striped, tiled
from tests.makers.philips import EXPORTED, philips
from tests.makers.ventana import ISCAN, ventana

Save = Callable[[bytes], Path]
Write = Callable[..., Path]

LONG = jpeg((64, 64), 1) + bytes(range(256)) * 200
"""A picture that makes the XML of a Philips slide longer than what is read of it."""
_FUZZ_SECONDS = 0.7


@dataclass
class Memory:
    """A file in memory that counts its reads."""

    data: bytes
    name: str = "x.tif"
    local_path: bytes | None = None
    reads: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        found = self.data[offset : offset + length]
        self.reads.append(len(found))
        return found

    def beside(self, relpath: bytes) -> AbstractContextManager[Source]:
        raise FileNotFoundError(2, "none")


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(data: bytes) -> Path:
        path = tmp_path / "slide.tif"
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def ome(tmp_path: Path) -> Write:
    def write(**options: Any) -> Path:
        path = tmp_path / "slide.ome.tif"
        write_ome(path, **options)
        return path

    return write


def read(data: bytes | Path) -> SlideHeader:
    """The header, in memory or through the file system."""
    if isinstance(data, Path):
        with LocalSource(os.fsencode(data)) as source:
            result = read_slide(source)
    else:
        result = read_slide(Memory(data))
    assert result is not None
    assert result.reader == "tiff"
    return result.header


def said(header: SlideHeader, **expected: object) -> None:
    """Every named field is as planted."""
    assert {name: getattr(header, name) for name in expected} == expected


# Planted answers


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("who_first", [False, True])
def test_philips_says_what_its_xml_says(*, bigtiff: bool, who_first: bool) -> None:
    header = read(philips(bigtiff=bigtiff, who_first=who_first))
    said(
        header, status="ok", format="philips", vendor="philips", barcode="S12-3456", scanner_model="UFS Scanner",
        scanner_serial="FMT0107", scan_datetime=datetime(2015, 7, 15, 14, 20, 33),  # noqa: DTZ001
        mpp_x=pytest.approx(0.226907), mpp_y=pytest.approx(0.226891), mpp_source="vendor", objective_power=20.0,
        metadata_texts=("S12-3456-A1.isyntax", EXPORTED), width=2560, height=1536, level_count=4,
        level_downsamples=(1.0, 2.0, 4.0, 8.0), tile_width=256, tile_height=256, compression="jpeg", channels=3,
        has_label=True, has_overview=True, has_thumbnail=False,
    )  # fmt: skip


@pytest.mark.parametrize("who_first", [False, True])
@pytest.mark.parametrize("order", [("WSI", "LABELIMAGE", "MACROIMAGE"), ("LABELIMAGE", "MACROIMAGE", "WSI")])
def test_philips_with_megabytes_of_pictures_in_its_xml_says_the_same(order: tuple[str, ...], *, who_first: bool) -> None:
    short = read(philips(order=order, who_first=who_first))
    long = read(philips(order=order, who_first=who_first, picture=LONG * 20))
    fields = ("barcode", "scanner_serial", "scan_datetime", "mpp_x", "mpp_y", "objective_power", "level_downsamples")
    assert [getattr(long, name) for name in fields] == [getattr(short, name) for name in fields]
    assert long.metadata_texts == short.metadata_texts


def test_philips_between_two_large_pictures_is_not_guessed() -> None:
    header = read(philips(order=("LABELIMAGE", "WSI", "MACROIMAGE"), picture=LONG, pages=()))
    # The levels' padded sizes agree with powers of two, so that is no guess; the pixel size would be.
    said(header, status="ok", mpp_x=None, mpp_source=None, level_downsamples=(1.0, 2.0, 4.0, 8.0), barcode="S12-3456")
    assert (header.has_label, header.has_overview) == (True, None)


def test_philips_overview_in_an_unread_part_stays_unknown() -> None:
    header = read(philips(order=("WSI", "LABELIMAGE", "MACROIMAGE"), picture=LONG, pages=()))
    assert (header.has_label, header.has_overview, header.has_thumbnail) == (True, None, None)
    header = read(philips(order=("WSI",), pages=()))
    assert (header.has_label, header.has_overview, header.has_thumbnail) == (False, False, False)


def test_philips_downsamples_without_spacings_come_from_sizes_that_agree() -> None:
    assert read(philips(spacings=False)).level_downsamples == (1.0, 2.0, 4.0, 8.0)


def test_philips_tiles_that_were_never_scanned_are_no_damage() -> None:
    said(read(philips(sparse=True)), status="ok", tiles_bad=0)


@pytest.mark.parametrize("text", ["not base64!", "Zm9v\u4e2d"])
def test_philips_barcode_that_is_no_base64_is_kept(text: str) -> None:
    xml = (
        '<DataObject ObjectType="DPUfsImport"><Attribute Name="PIM_DP_UFS_BARCODE">'
        f"{text}</Attribute><Attribute Name='X'/></DataObject>"
    )
    page = tiled((512, 512), text=xml, fields={SOFTWARE: ascii_text("Philips DP v1.0")})
    said(read(encode_tiff([page])), barcode=text, status="ok", mpp_x=None, scan_datetime=None)


def test_philips_without_software_is_known_by_its_xml() -> None:
    page = tiled((512, 512), text='<?xml version="1.0"?><DataObject ObjectType="DPUfsImport"/>')
    said(read(encode_tiff([page])), format="philips", vendor="philips")


@pytest.mark.parametrize("namespace", [NEW, OLD])
def test_leica_says_what_its_xml_says(namespace: str) -> None:
    header = read(leica(namespace=namespace))
    said(
        header, status="ok", format="scn", vendor="leica", barcode="S12-3456", scanner_model="Leica SCN400;Leica SCN",
        scanner_serial=None, scan_datetime=datetime(2012, 5, 23, 15, 27, 33),  # noqa: DTZ001
        mpp_x=0.5, mpp_y=0.5, mpp_source="vendor", objective_power=20.0, focal_planes=1,
        metadata_texts=("Collection S12-3456", "macro S12-3456", "image 0"), level_count=3,
        width=-(-GLASS[0] // PIXEL_NM), height=-(-GLASS[1] // PIXEL_NM), tile_width=256, compression="jpeg", channels=3,
        has_label=False, has_overview=True, has_thumbnail=False,
    )  # fmt: skip


def test_leica_focus_stack_is_one_pyramid() -> None:
    said(read(leica(planes=3)), focal_planes=3, level_count=3, status="ok")


def test_leica_without_macro_has_no_overview() -> None:
    said(read(leica(has_macro=False)), has_overview=False, level_count=3)


def test_leica_fluorescence_is_described_although_openslide_4_refuses_it() -> None:
    said(read(leica(light="fluorescence")), status="ok", level_count=3, mpp_x=0.5)


def test_leica_that_names_directories_it_does_not_have_is_corrupt() -> None:
    said(read(leica(bad_directory=True)), status="corrupt", format="scn", has_label=None)


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("root", ["iScan", "Metadata"])
@pytest.mark.parametrize("label", ["Label Image", "Label_Image"])
def test_ventana_says_what_its_xmp_says(quote: str, root: str, label: str) -> None:
    header = read(ventana(quote=quote, root=root, label=label, probability=True))
    said(
        header, status="ok", format="bif", vendor="ventana", barcode="S12-3456", scanner_model="VENTANA DP 200",
        scanner_serial="2000515", scan_datetime=datetime(2014, 5, 30, 14, 39, 20),  # noqa: DTZ001
        mpp_x=0.2525, mpp_y=0.2525, mpp_source="vendor", objective_power=40.0, focal_planes=1,
        metadata_texts=("D:/images/S12-3456-A1.bif", "S12-3456-A1"), level_count=3, level_downsamples=(1.0, 2.0, 4.0),
        width=5 * 256 - 4 * 12, height=4 * 256 - 3 * 7, tile_width=256, compression="jpeg", channels=3,
        has_label=False, has_overview=True, has_thumbnail=True,
    )  # fmt: skip


def test_ventana_second_barcode_is_a_further_text() -> None:
    header = read(ventana(iscan={**ISCAN, "Barcode1D": "ONE", "Barcode2D": "TWO", "Z-layers": "5", "ScanRes": "nan"}))
    assert header.barcode == "ONE"
    assert header.metadata_texts[0] == "TWO"
    said(header, focal_planes=5, mpp_x=None, mpp_source=None)


def test_ventana_image_of_unknown_kind_makes_a_label_unknown() -> None:
    assert read(ventana(label="Something else")).has_overview is None


def test_ventana_joints_of_a_dp_200_are_read_although_openslide_4_refuses_them() -> None:
    said(read(ventana(sideways="LEFT")), status="ok", width=1232, height=1003)


def test_ventana_joined_size_is_told_only_of_a_short_xmp() -> None:
    assert read(ventana(joints=1)).width == 1232
    assert read(ventana(joints=20)).width == 1280


def test_ome_says_what_its_xml_says(ome: Write) -> None:
    header = read(ome())
    said(
        header, status="ok", format="ome", vendor="generic-tiff", scanner_model="Scan 1", scanner_serial="SN-77",
        scan_datetime=datetime(2021, 3, 4, 5, 6, 7), mpp_x=0.2501, mpp_y=0.2499, mpp_source="vendor",  # noqa: DTZ001
        objective_power=40.0, focal_planes=1, channels=3, metadata_texts=("S12-3456 A1",), width=512, height=384,
        level_count=3, level_downsamples=(1.0, 2.0, 4.0), tile_width=64, compression="none",
        has_label=True, has_overview=True, has_thumbnail=False, barcode=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "size", "mpp"),
    [("µm", "0.25", 0.25), ("nm", "250", 0.25), ("mm", "0.00025", 0.25), ("pixel", "0.25", None), ("m", "1", None)],
)
def test_ome_physical_size_has_a_unit(ome: Write, unit: str, size: str, mpp: float | None) -> None:
    header = read(ome(pixels={"PhysicalSizeX": size, "PhysicalSizeXUnit": unit}, extras=()))
    assert header.mpp_x == pytest.approx(mpp)
    assert header.mpp_y is None


@pytest.mark.parametrize("prefix", ["", "ome"])
@pytest.mark.parametrize("in_chain", [False, True])
def test_ome_levels_may_be_in_sub_directories_or_in_the_chain(ome: Write, prefix: str, *, in_chain: bool) -> None:
    said(read(ome(prefix=prefix, in_chain=in_chain)), level_count=3, level_downsamples=(1.0, 2.0, 4.0), mpp_x=0.2501)


def test_ome_stack_of_channels_is_one_pyramid(ome: Write) -> None:
    said(read(ome(stack=3, channels=2)), focal_planes=3, channels=2, level_count=3, has_label=True, has_thumbnail=False)


def test_ome_tiles_of_sub_directories_are_counted(ome: Write) -> None:
    data = ome(extras=()).read_bytes()
    # 8 x 6 tiles, 4 x 3, 2 x 2: uncompressed, so the levels' last tiles are what a cut takes.
    assert count_tiles(Memory(data), "tiff") == TileCount(48 + 12 + 4, 0)
    lost = count_tiles(Memory(data[:-64]), "tiff")
    assert lost is None or lost.bad >= 1


def test_ome_image_that_the_xml_does_not_list_makes_a_label_unknown(ome: Write) -> None:
    text = describe((512, 384), 1, 0, (), PIXELS, "A1", "", [])
    assert read(ome(text=text, extras=("label",))).has_label is None


@pytest.mark.parametrize("name", ["x.companion.ome", "", "..", "../x.companion.ome", "a\\b", "n" * 300])
def test_ome_without_its_companion_says_so(ome: Write, name: str) -> None:
    said(read(ome(text=binary_only(name))), status="companion_missing", format="ome", width=512, level_count=3, mpp_x=None)


def test_ome_companion_is_read(ome: Write) -> None:
    path = ome(text=binary_only("x.companion.ome"), extras=())
    companion = path.with_name("x.companion.ome")
    companion.write_text(describe((512, 384), 1, 0, (), PIXELS, "A1", "", []), encoding="utf-8")
    said(read(path), status="ok", mpp_x=0.2501, scanner_serial="SN-77", has_label=False)
    # A companion that describes several files: only the image that lies in this one counts.
    other = describe((512, 384), 1, 0, (), {"PhysicalSizeX": "9"}, "other", "", [])
    mine = describe((512, 384), 1, 0, (), PIXELS, "A1", "", [])
    parts = [
        text[text.index("<Image ") : text.index("</OME>")].replace(
            'PlaneCount="1"/>', f'PlaneCount="1"><UUID FileName="f">{uuid}</UUID></TiffData>'
        )
        for text, uuid in ((other, "urn:uuid:other"), (mine, UUID))
    ]
    companion.write_text(mine[: mine.index("<Image ")] + "".join(parts) + "</OME>", encoding="utf-8")
    said(read(path), status="ok", mpp_x=0.2501, metadata_texts=("A1",))


def test_ome_companion_that_is_a_folder_or_a_link_is_missing(ome: Write) -> None:
    path = ome(text=binary_only("x.companion.ome"))
    path.with_name("x.companion.ome").mkdir()
    said(read(path), status="companion_missing")
    path.with_name("x.companion.ome").rmdir()
    path.with_name("x.companion.ome").symlink_to("/etc/hostname")
    said(read(path), status="companion_missing")


# Judges


SLIDES = {
    "philips": philips(),
    "philips, BigTIFF, sparse": philips(bigtiff=True, sparse=True, ifds_first=True),
    "philips, long XML": philips(picture=LONG, pages=("Label", "Macro"), levels=5),
    "philips, odd size": philips(size=(2304, 1280), levels=5),
    "leica": leica(),
    "leica, old": leica(namespace=OLD, ifds_first=False),
    "leica, two regions": leica(regions=((5_000_000, 9_000_000, 1000, 700), (9_000_000, 19_000_000, 1011, 705))),
    "leica, no macro": leica(has_macro=False),
    "bif": ventana(),
    "bif, two areas": ventana(areas=((5, 4, 0, 2000), (3, 2, 300, 0)), overlap=(12, 7)),
    "bif, odd overlap": ventana(areas=((7, 5, 13, 11),), overlap=(5, 3), root="Metadata", quote="'"),
    "bif, plain TIFF": ventana(is_tiff=True, label="Label_Image"),
}


@pytest.mark.parametrize("name", SLIDES)
def test_openslide_says_the_same(name: str, save: Save) -> None:
    path = save(SLIDES[name])
    header = read(path)
    with openslide.OpenSlide(path) as slide:
        known = slide.properties
        images = set(slide.associated_images)
        assert header.vendor == known["openslide.vendor"]
        assert (header.width, header.height) == slide.dimensions
        assert header.level_count == slide.level_count
        assert header.level_downsamples == pytest.approx(slide.level_downsamples, rel=1e-12)
        assert header.mpp_x == pytest.approx(float(known["openslide.mpp-x"]), rel=1e-9)
        assert header.mpp_y == pytest.approx(float(known["openslide.mpp-y"]), rel=1e-9)
        assert header.objective_power == float(known["openslide.objective-power"])
        assert header.barcode == (known.get("openslide.barcode") or known.get("ventana.Barcode1D"))
        held = {"label": header.has_label, "macro": header.has_overview, "thumbnail": header.has_thumbnail}
        assert {kind for kind, is_held in held.items() if is_held} == images
        slide.read_region((0, 0), slide.level_count - 1, (16, 16))


@pytest.mark.parametrize("options", [{}, {"in_chain": True}, {"bigtiff": True, "levels": 5}, {"channels": 1, "extras": ()}])
def test_tifffile_says_the_same_of_ome(ome: Write, options: dict[str, Any]) -> None:
    path = ome(**options)
    header = read(path)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        if options.get("in_chain"):
            sizes = [series.shape[1::-1] for series in file.series if "S12" in series.name]
        else:
            sizes = [(level.shape[1], level.shape[0]) for level in file.series[0].levels]
    assert (header.width, header.height) == sizes[0]
    assert header.level_count == len(sizes)
    assert header.level_downsamples == pytest.approx([(sizes[0][0] / w + sizes[0][1] / h) / 2 for w, h in sizes])


@pytest.mark.parametrize(("name", "flag"), [("philips", "is_philips"), ("leica", "is_scn"), ("bif", "is_bif")])
def test_tifffile_knows_the_made_slides(name: str, flag: str, save: Save) -> None:
    with tifffile.TiffFile(save(SLIDES[name])) as file:
        assert getattr(file, flag)


# Reads


MANY_TILES: dict[str, Callable[[bool], bytes]] = {
    "philips": lambda first: philips(size=(51200, 40960), levels=9, thin=True, ifds_first=first),
    "philips, pictures after": lambda first: philips(
        size=(51200, 40960), levels=9, thin=True, ifds_first=first, picture=LONG * 6, pages=(), bigtiff=True
    ),
    "philips, pictures before": lambda first: philips(
        size=(51200, 40960), levels=9, thin=True, ifds_first=first, picture=LONG * 6,
        order=("LABELIMAGE", "MACROIMAGE", "WSI"),
    ),
    "leica": lambda first: leica(
        regions=((5_000_000, 9_000_000, 40_000, 50_000),), levels=7, thin=True, ifds_first=first
    ),
    "leica, two regions": lambda first: leica(
        regions=((1_000_000, 9_000_000, 20_000, 40_000), (1_000_000, 49_000_000, 20_000, 40_000)), levels=6, thin=True,
        ifds_first=first,
    ),
    "bif": lambda first: ventana(areas=((120, 100, 0, 0),), levels=10, thin=True, ifds_first=first),
    "bif, plain TIFF": lambda first: ventana(
        areas=((120, 100, 0, 0),), levels=10, thin=True, ifds_first=first, is_tiff=True
    ),
}  # fmt: skip


@pytest.mark.parametrize("ifds_first", [False, True])
@pytest.mark.parametrize("name", MANY_TILES)
def test_a_header_takes_16_reads_and_64_kib(name: str, *, ifds_first: bool) -> None:
    source = Memory(MANY_TILES[name](ifds_first))
    result = read_slide(source)
    assert result is not None
    assert result.header.status == "ok"
    assert result.header.mpp_x is not None
    assert len(source.reads) <= 16
    assert sum(source.reads) <= 65_536


@pytest.mark.parametrize(
    "options", [{"size": (2048, 2048), "levels": 7}, {"size": (1024, 1024), "levels": 5, "channels": 7}]
)
def test_ome_takes_16_reads_and_64_kib(ome: Write, options: dict[str, Any]) -> None:
    source = Memory(ome(tile=16, **options).read_bytes())
    result = read_slide(source)
    assert result is not None
    assert result.header.level_count == options["levels"]
    assert len(source.reads) <= 16
    assert sum(source.reads) <= 65_536


# Damage


@pytest.mark.parametrize("name", ["philips", "leica", "bif"])
@pytest.mark.parametrize("keep", [0.97, 0.6, 0.2])
def test_lost_tails_are_found(name: str, keep: float) -> None:
    make = {"philips": philips, "leica": leica, "bif": ventana}[name]
    for ifds_first in (False, True):
        data = make(ifds_first=ifds_first)
        header = read(data[: int(len(data) * keep)])
        assert header.status == "truncated", (ifds_first, header.status_detail)
        assert header.status_detail


def test_lost_tail_of_ome_is_found(ome: Write) -> None:
    data = ome().read_bytes()
    for keep in (0.97, 0.6):
        assert read(data[: int(len(data) * keep)]).status == "truncated"


def test_identity_survives_a_lost_tail() -> None:
    data = philips(ifds_first=True)
    said(read(data[: len(data) // 2]), status="truncated", barcode="S12-3456", width=2560, mpp_x=pytest.approx(0.226907))


def _with_sub_directories(*offsets: int) -> bytes:
    text = describe((512, 512), 1, 0, (), PIXELS, "A1", "", [])
    return encode_tiff([tiled((512, 512), text=text, fields={330: longs(*offsets)})], ifds_first=True)


@pytest.mark.parametrize(
    ("offsets", "status"),
    [
        ((8,), "corrupt"),
        ((100, 100), "corrupt"),
        ((1 << 31,), "truncated"),
        (tuple(range(100, 200)), "corrupt"),
        ((0,), "corrupt"),
    ],
)
def test_impossible_sub_directories_are_damage(offsets: tuple[int, ...], status: str) -> None:
    header = read(_with_sub_directories(*offsets))
    said(header, status=status, width=512, mpp_x=0.2501, format="ome")
    assert header.status_detail


def test_fingerprints_survive_what_deidentification_does(ome: Write) -> None:
    pairs = [
        (philips(), philips(barcode="", pages=(), order=("WSI",), ifds_first=True)),
        (leica(), leica(barcode="none", ifds_first=False)),
        (ventana(), ventana(iscan={**ISCAN, "Barcode1D": ""}, label="Label_Image", ifds_first=True)),
        (ome().read_bytes(), ome(extras=(), name="").read_bytes()),
    ]
    shapes = set()
    for before, after in pairs:
        assert read(before).shape_fingerprint == read(after).shape_fingerprint
        assert sample_pixels(Memory(before), "tiff") == sample_pixels(Memory(after), "tiff") is not None
        shapes.add(read(before).shape_fingerprint)
    assert len(shapes) == 4


HOSTILE = {
    "entities": '<!DOCTYPE scn [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    "outside": '<!DOCTYPE scn [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
    "nothing": "",
}


@pytest.mark.parametrize("prolog", HOSTILE)
@pytest.mark.parametrize("body", ["&b;&a;", "<a>" * 9000, "<a b='1' b='2'/>", "\x01", "<a/>" * 3000, "]]>"])
def test_hostile_xml_is_survived(prolog: str, body: str) -> None:
    xmls = {
        "scn": f'{HOSTILE[prolog]}<scn xmlns="{NEW}"><collection sizeX="1e9" sizeY="-4">{body}</collection></scn>',
        "philips": f'{HOSTILE[prolog]}<DataObject ObjectType="DPUfsImport">{body}</DataObject>',
        "ome": f"{HOSTILE[prolog]}<OME>{body}</OME>",
    }
    for format_, text in xmls.items():
        header = read(encode_tiff([tiled((512, 512), text=text)], bigtiff=True))
        assert header.format == format_
        assert header.width == 512
        assert header.barcode is None
    page = tiled((512, 512), fields={XMP: undefined(f"{HOSTILE[prolog]}<iScan>{body}</iScan>".encode())})
    said(read(encode_tiff([page])), format="bif", barcode=None, status="not_a_slide")


@given(cut=st.integers(0, 8000), name=st.sampled_from(["philips", "leica", "bif"]), noise=st.binary(max_size=8))
def test_xml_cut_anywhere_is_survived(cut: int, name: str, noise: bytes) -> None:
    data = SLIDES[name]
    start = max(data.find(mark) for mark in (b"<DataObject Obj", b"<scn ", b"<iScan "))
    end = data.index(b"\0", start)
    at = start + cut % (end - start)
    noise = noise[: end - at]
    header = read(data[:at] + noise + data[at + len(noise) :])
    assert header.status in {"ok", "corrupt"}
    assert header.tile_width == 256 or header.format == "scn"


@pytest.mark.parametrize("name", ["philips", "leica", "leica, two regions", "bif", "bif, two areas", "ome"])
def test_flipped_bytes_and_cuts_are_survived(name: str, ome: Write) -> None:
    data = ome(tile=128, size=(256, 256)).read_bytes() if name == "ome" else SLIDES[name]
    rng = random.Random(f"{name} 7")
    # Directories, texts and tables are where a reader can be led astray.
    marks = [
        index for index in range(0, len(data) - 8, 512) if any(data[index : index + 512].count(mark) for mark in _MARKS)
    ]
    until = time.monotonic() + _FUZZ_SECONDS
    tried = 0
    tracemalloc.start()
    try:
        while tried < 21 or time.monotonic() < until:
            changed = bytearray(data)
            for _ in range(rng.randint(1, 12)):
                at = min(len(data) - 1, rng.choice(marks) + rng.randrange(512))
                changed[at] = rng.randrange(256)
            if rng.random() < 0.3:
                at = rng.choice(marks)
                changed[at : at + 8] = struct.pack("<Q", rng.choice((0, 8, 1 << 32, (1 << 64) - 1, len(data))))
            if rng.random() < 0.3:
                del changed[rng.randrange(len(data)) :]
            source = Memory(bytes(changed))
            tracemalloc.reset_peak()
            base = tracemalloc.get_traced_memory()[0]
            result = read_slide(source)
            assert result is None or result.header.status
            assert tracemalloc.get_traced_memory()[1] - base < 16 << 20
            tried += 1
    finally:
        tracemalloc.stop()
    assert tried > 20


_MARKS = (
    b"\x00\x01\x04\x00",
    b"\x00\x01\x03\x00",
    b"Attribute",
    b"dimension",
    b"TiffData",
    b"Tile",
    b"iScan",
    b"\x01\x10\x00",
)


# The beginning of an XML document


def test_markup_keeps_what_stands_before_a_cut() -> None:
    root = markup.parse('<?xml version="1.0" encoding="UTF-16"?><a xmlns="u:n" k="v"><b>one</b><c d="4">tw')
    assert root is not None
    assert (root.name, root.namespace, root.attributes["k"], root.is_whole) == ("a", "u:n", "v", False)
    assert root.value("b") == "one"
    cut = root.first("c")
    assert cut is not None
    # Half a value is no value.
    assert (cut.text, cut.whole("d"), cut.is_whole) == ("", 4, False)


@pytest.mark.parametrize("text", ["", "no xml", "<", "<a", "<!DOCTYPE a><a/>", '<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'])
def test_markup_without_a_start_or_with_a_document_type_is_none(text: str) -> None:
    assert markup.parse(text) is None


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("-3", -3), ("1.5", None), ("", None), ("9" * 30, None), ("٣", None)]
)
def test_markup_integers_are_plain(text: str, number: int | None) -> None:
    root = markup.parse(f'<a n="{text}"/>')
    assert root is not None
    assert root.whole("n") == number


@given(st.text(max_size=200))
def test_markup_never_raises(text: str) -> None:
    for document in (text, f"<a>{text}", f'<a b="{text}">', f"<a><b>{text}</b>"):
        root = markup.parse(document)
        assert root is None or root.name


def test_a_text_in_the_code_page_of_windows_is_read() -> None:
    xml = '<DataObject ObjectType="DPUfsImport"><Attribute Name="PIM_DP_SOURCE_FILE">病理</Attribute></DataObject>'
    page = tiled((512, 512), fields={DESCRIPTION: ascii_text(xml.encode("gb18030"))})
    assert read(encode_tiff([page])).metadata_texts == ("病理",)


def test_strips_alone_are_no_slide() -> None:
    page = striped((300, 200), text=describe((300, 200), 1, 0, (), PIXELS, "A1", "", []))
    assert read(encode_tiff([Page(page.fields, page.segments)])).status == "not_a_slide"

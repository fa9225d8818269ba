"""Philips TIFF files with planted answers; the XML is laid out as public descriptions of the format show it."""

import base64
from collections.abc import Sequence
from xml.sax.saxutils import escape

from pathcurate.demo.tiffwriter import ascii_text, encode_tiff, longs
from tests.makers.pages import REDUCED, SOFTWARE, SUBFILE_TYPE, jpeg, striped, tiled

TILE = 256
SIZE = (2560, 1536)
EXPORTED = "S12-3456 - 2015-12-09 17.29.29.ndpi"


def philips(
    *,
    barcode: str = "S12-3456",
    file_name: str = "S12-3456-A1.isyntax",
    order: Sequence[str] = ("WSI", "LABELIMAGE", "MACROIMAGE"),
    picture: bytes | None = None,
    pages: Sequence[str] = ("Macro", "Label"),
    levels: int = 4,
    size: tuple[int, int] = SIZE,
    sparse: bool = False,
    spacings: bool = True,
    who_first: bool = False,
    bigtiff: bool = False,
    ifds_first: bool = False,
    thin: bool = False,
) -> bytes:
    """A slide of ``levels`` levels.

    Args:
        barcode: written in Base64.
        file_name: the source file's name.
        order: the scanned images in the XML.
        picture: JPEG of the label and macro in the XML; a small one if not given.
        pages: directories of their own for label and macro.
        levels: levels of the pyramid, each padded to whole tiles.
        size: of level 0, whole tiles.
        sparse: every second tile of level 0 was never scanned.
        spacings: whether each level has its pixel spacing in the XML.
        who_first: whether barcode and scanner stand before the images, not after them.
        bigtiff: 64-bit offsets.
        ifds_first: directories before the tiles.
        thin: tiles of a few bytes.
    """
    text = describe(
        barcode, file_name, order, picture or jpeg((96, 64), 3), size, levels if spacings else 0, who_first=who_first
    )
    made = []
    for index in range(levels):
        sides = tuple(-(-side // (TILE << index)) * TILE for side in size)
        fields = {SUBFILE_TYPE: longs(REDUCED)} if index else {SOFTWARE: ascii_text("Philips DP v1.0")}
        made.append(
            tiled(
                (sides[0], sides[1]), TILE, text=f"level={index}" if index else text, fields=fields, seed=index,
                sparse=sparse and not index, thin=thin,
            )
        )  # fmt: skip
    made += [striped((128, 96), text=name) for name in pages]
    return encode_tiff(made, bigtiff=bigtiff, ifds_first=ifds_first)


def describe(
    barcode: str,
    file_name: str,
    order: Sequence[str],
    picture: bytes,
    size: tuple[int, int],
    levels: int,
    *,
    who_first: bool,
) -> str:
    """The XML of the first directory."""
    images = "".join(
        _object(
            "DPScannedImage",
            _wsi(size, levels, file_name)
            if kind == "WSI"
            else _attribute("PIM_DP_IMAGE_TYPE", kind) + _attribute("PIM_DP_IMAGE_DATA", base64.b64encode(picture).decode()),
        )
        for kind in order
    )
    who = [
        _attribute("PIM_DP_UFS_BARCODE", base64.b64encode(barcode.encode()).decode()),
        _attribute("PIM_DP_UFS_INTERFACE_VERSION", "3.0"),
        _attribute("DICOM_ACQUISITION_DATETIME", "20150715142033.000000"),
        _attribute("DICOM_DEVICE_SERIAL_NUMBER", "FMT0107"),
        _attribute("DICOM_MANUFACTURERS_MODEL_NAME", "UFS Scanner"),
        _attribute("DICOM_SOFTWARE_VERSIONS", '"4.0.3"'),
    ]
    before, after = ("".join(who), "") if who_first else ("", "".join(who))
    manufacturer = _attribute("DICOM_MANUFACTURER", "PHILIPS")
    scanned = _attribute("PIM_DP_SCANNED_IMAGES", f"<Array>{images}</Array>")
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<DataObject ObjectType="DPUfsImport">\n'
        f"{manufacturer}{before}{scanned}{after}</DataObject>\n"
    )


def _wsi(size: tuple[int, int], levels: int, file_name: str) -> str:
    sequence = "".join(
        _object(
            "PixelDataRepresentation",
            _attribute("DICOM_PIXEL_SPACING", f'"{0.00025 * 2**index:.9f}" "{0.00025 * 2**index:.9f}"')
            + _attribute("PIIM_DP_PIXEL_DATA_REPRESENTATION_POSITION", '"0" "0" "0"')
            + _attribute("PIIM_PIXEL_DATA_REPRESENTATION_COLUMNS", str(size[0] >> index))
            + _attribute("PIIM_PIXEL_DATA_REPRESENTATION_NUMBER", str(index))
            + _attribute("PIIM_PIXEL_DATA_REPRESENTATION_ROWS", str(size[1] >> index)),
        )
        for index in range(levels)
    )
    return (
        _attribute("PIM_DP_IMAGE_TYPE", "WSI")
        + _attribute("DICOM_BITS_ALLOCATED", "8")
        + _attribute(
            "DICOM_DERIVATION_DESCRIPTION",
            f'tiff-useBigTIFF=1-useRgb=0-levels=20,10002,10000,10001-processing=0-q80-sourceFilename="{EXPORTED}"',
        )
        + _attribute("DICOM_LOSSY_IMAGE_COMPRESSION_METHOD", '"PHILIPS_TIFF_1_0"')
        # Row spacing first; it differs from that of the representations, as in real files.
        + _attribute("DICOM_PIXEL_SPACING", '"0.000226891" "0.000226907"')
        + _attribute("DICOM_SAMPLES_PER_PIXEL", "3")
        + _attribute("PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE", f"<Array>{sequence}</Array>")
        + _attribute("PIM_DP_IMAGE_COLUMNS", str(size[0]))
        + _attribute("PIM_DP_IMAGE_ROWS", str(size[1]))
        + _attribute("PIM_DP_SOURCE_FILE", file_name)
    )


def _object(kind: str, content: str) -> str:
    return f'\t\t\t<DataObject ObjectType="{kind}">\n{content}\t\t\t</DataObject>\n'


def _attribute(name: str, value: str) -> str:
    content = value if value.startswith("<Array>") else escape(value, {'"': "&quot;"})
    return f'\t\t\t\t<Attribute Name="{name}" Group="0x301D" Element="0x1002" PMSVR="IString">{content}</Attribute>\n'

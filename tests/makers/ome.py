"""OME-TIFF files with planted answers, written by tifffile: levels in sub-directories."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tifffile

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
UUID = "urn:uuid:11111111-2222-3333-4444-555555555555"
PIXELS: Mapping[str, str] = {"PhysicalSizeX": "0.2501", "PhysicalSizeY": "0.2499"}


def write_ome(
    path: Path,
    *,
    size: tuple[int, int] = (512, 384),
    tile: int = 64,
    levels: int = 3,
    stack: int = 1,
    channels: int = 0,
    extras: Sequence[str] = ("label image", "Macro"),
    pixels: Mapping[str, str] = PIXELS,
    name: str = "S12-3456 A1",
    text: str | None = None,
    prefix: str = "",
    in_chain: bool = False,
    bigtiff: bool = False,
) -> None:
    """Write a slide.

    Args:
        path: the file.
        size: width and height of level 0.
        tile: side of a tile.
        levels: of the pyramid, each half of the one before.
        stack: focal planes.
        channels: fluorescence channels, each a plane of its own; 0 is one RGB image.
        extras: names of further images, in strips.
        pixels: attributes of the slide's Pixels.
        name: of the slide's image.
        text: another text in place of the OME-XML.
        prefix: of OME's namespace in the XML.
        in_chain: levels as images of the chain.
        bigtiff: 64-bit offsets.
    """
    planes = stack * max(1, channels)
    smaller = [(max(1, size[0] >> index), max(1, size[1] >> index)) for index in range(1, levels)]
    xml = text or describe(size, stack, channels, extras, pixels, name, prefix, [] if not in_chain else smaller)
    with tifffile.TiffWriter(path, bigtiff=bigtiff, ome=False) as writer:
        for index in range(planes):
            writer.write(
                _pixels(size, channels, index), tile=(tile, tile), photometric="minisblack" if channels else "rgb",
                description=xml.encode() if not index else None, metadata=None,
                subifds=0 if in_chain else levels - 1,
            )  # fmt: skip
            for sides in smaller:
                writer.write(
                    _pixels(sides, channels, index), tile=(tile, tile), photometric="minisblack" if channels else "rgb",
                    subfiletype=1, metadata=None,
                )  # fmt: skip
        for extra in extras:
            writer.write(_pixels((60, 40), 0, len(extra)), photometric="rgb", metadata=None)


def describe(
    size: tuple[int, int],
    stack: int,
    channels: int,
    extras: Sequence[str],
    pixels: Mapping[str, str],
    name: str,
    prefix: str,
    smaller: Sequence[tuple[int, int]],
) -> str:
    """OME-XML of one slide and its further images."""
    kinds = [(name, size, dict(pixels), max(1, channels) * stack)]
    kinds += [(f"{name} {index}", sides, {}, 1) for index, sides in enumerate(smaller)]
    kinds += [(extra, (60, 40), {}, 1) for extra in extras]
    images, at = [], 0
    for index, (label, sides, added, planes) in enumerate(kinds):
        attributes = "".join(f' {key}="{value}"' for key, value in added.items())
        is_slide = not index
        depth = f'SizeZ="{stack if is_slide else 1}" SizeC="{channels or 3 if is_slide else 3}" SizeT="1"'
        listed = "".join(f'<TiffData IFD="{at + plane}" PlaneCount="1"/>' for plane in range(planes))
        samples = 1 if channels and is_slide else 3
        channel = "".join(
            f'<Channel ID="Channel:{index}:{number}" SamplesPerPixel="{samples}"/>'
            for number in range(channels or 1 if is_slide else 1)
        )
        images.append(
            f'<Image ID="Image:{index}" Name="{label}"><AcquisitionDate>2021-03-04T05:06:07</AcquisitionDate>'
            '<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0:1"/>'
            f'<Pixels ID="Pixels:{index}" DimensionOrder="XYCZT" Type="uint8" SizeX="{sides[0]}" SizeY="{sides[1]}"'
            f" {depth}{attributes}>{channel}{listed}</Pixels></Image>"
        )
        at += planes
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?><!-- Edit with care. --><OME xmlns="{NAMESPACE}" UUID="{UUID}">'
        '<Instrument ID="Instrument:0"><Microscope Manufacturer="Maker" Model="Scan 1" SerialNumber="SN-77"/>'
        '<Objective ID="Objective:0:0" NominalMagnification="5"/><Objective ID="Objective:0:1" NominalMagnification="40"/>'
        f"</Instrument>{''.join(images)}</OME>"
    )
    if not prefix:
        return xml
    tagged = xml.replace("</", f"</{prefix}:").replace("<", f"<{prefix}:")
    for wrong in ("/", "?", "!"):
        tagged = tagged.replace(f"<{prefix}:{wrong}", f"<{wrong}")
    return tagged.replace("xmlns=", f"xmlns:{prefix}=")


def binary_only(companion: str, uuid: str = UUID) -> str:
    """OME-XML that leaves everything to a companion file."""
    return f'<?xml version="1.0"?><OME xmlns="{NAMESPACE}"><BinaryOnly MetadataFile="{companion}" UUID="{uuid}"/></OME>'


def _pixels(size: tuple[int, int], channels: int, seed: int) -> np.ndarray:
    shape = (size[1], size[0]) if channels else (size[1], size[0], 3)
    return np.full(shape, 40 + seed % 100, np.uint8)

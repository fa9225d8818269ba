"""An Aperio slide with any picture as its label."""

import dataclasses

from PIL import Image

from pathcurate.demo.tiffwriter import Page, encode_tiff, longs
from tests.makers.mrxs import encoded
from tests.makers.pages import SUBFILE_TYPE, striped, tiled

_SOFTWARE = "Aperio Image Library v12.0.15"
_LABEL, _MACRO = 1, 9


def labelled_svs(label=None, *, seed=0, keys=None, size=(512, 512), macro=None):
    """The bytes of a slide of one level.

    Args:
        label: picture of the label; None for a slide without one. Bytes stand there as they are, whatever they say.
        seed: colour of its tiles.
        keys: of the first description, as ``{"Barcode": "S23-00131"}``.
        size: width and height.
        macro: picture of the whole glass; likewise.
    """
    words = "".join(f"|{key} = {value}" for key, value in (keys or {"AppMag": "20"}).items())
    geometry = f"{_SOFTWARE} \r\n{size[0]}x{size[1]} [0,0 {size[0]}x{size[1]}] (256x256)"
    pages = [
        tiled(size, text=f"{geometry} JPEG/RGB Q=70{words}", seed=seed),
        striped((128, 128), text=f"{geometry} -> 128x128"),
    ]
    for name, picture, kind in (("label", label, _LABEL), ("macro", macro, _MACRO)):
        if picture is not None:
            pages.append(_beside(name, picture, kind))
    return encode_tiff(pages)


def _beside(name, picture, kind) -> Page:
    size = picture.size if isinstance(picture, Image.Image) else (300, 300)
    page = striped(size, text=f"{_SOFTWARE}\r\n{name} {size[0]}x{size[1]}", fields={SUBFILE_TYPE: longs(kind)})
    content = encoded(picture.convert("RGB")) if isinstance(picture, Image.Image) else picture
    return dataclasses.replace(page, segments=[content])

"""What readers that nobody here wrote make of a file: OpenSlide, tifffile, pydicom.

They are native or foreign code that meets a file made just now; call them where a crash is survived. What they raise may
quote the file, so only that they raised is kept.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import openslide
import pydicom
import tifffile
from PIL import Image

_PER_FRAME: Final = 0x52009230
"""Per-Frame Functional Groups Sequence: of many frames it takes seconds, and every byte of it is searched anyway."""
_MOST_TEXT: Final = 1 << 20
_TEXT_TYPES: Final = frozenset({1, 2, 7})
_MOST_PAGES: Final = 1024
_GEOMETRY: Final = (
    "Rows", "Columns", "NumberOfFrames", "TotalPixelMatrixColumns", "TotalPixelMatrixRows", "BitsAllocated",
    "SamplesPerPixel", "PhotometricInterpretation", "PixelSpacing", "SOPClassUID",
)  # fmt: skip
_LARGEST_LEVEL: Final = 4096
_GRID: Final = (24, 24)
_MOST_SHADE: Final = 80
"""Grey levels by which a place of a thumbnail may differ from the slide's: encoders differ by some, print by more."""
_UIDS: Final = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as a reader shows it.

    Attributes:
        geometry: what it says of shapes and sizes; the same for source and copy.
        pictures: images beside the pyramid that show something.
        texts: every text that it shows.
        blanks: sizes of those that show one colour only, as readers of some formats ask for.
        uids: what names a DICOM instance, its series and its study.
    """

    geometry: tuple[object, ...]
    pictures: tuple[str, ...]
    texts: tuple[str, ...]
    blanks: frozenset[tuple[int, int]] = frozenset()
    uids: tuple[str, ...] = ()


def opened(path: bytes, format_: str) -> dict[str, Opened]:
    """The file as each reader shows it that opens it, by the reader's name."""
    shown: dict[str, Opened] = {}
    for name, read in _READERS.items():
        if name in _OF_FORMAT.get(format_, ("openslide", "tifffile")) and (one := read(path)) is not None:
            shown[name] = one
    return shown


def differences(before: Mapping[str, Opened], after: Mapping[str, Opened], *, may_have_label: bool) -> list[str]:
    """What a reader shows otherwise of a copy than of its source, in words; empty if all is well.

    Args:
        before: of the source; empty if it could not be opened by path.
        after: of the copy.
        may_have_label: whether a study label is in the label's place.
    """
    faults = [f"{name} opens the source and not the copy" for name in before if name not in after]
    blanks = frozenset(size for shown in after.values() for size in shown.blanks)
    for name, shown in after.items():
        if name in before and not _is_kept(name, before[name].geometry, shown.geometry, blanks):
            faults.append(f"{name} sees another geometry than in the source")
        allowed = {"thumbnail", *(("label",) if may_have_label else ())}
        faults += [f"{name} finds an image beside the pyramid that may show the label" for picture in shown.pictures
                   if picture not in allowed]  # fmt: skip
    return faults


def _is_kept(name: str, before: Sequence[Any], after: Sequence[Any], blanks: frozenset[tuple[int, int]]) -> bool:
    """Whether the geometry is the same; of a TIFF's directories some may be gone, but not the first of the pyramid."""
    if name != "tifffile" or before == after:
        return before == after
    rest = iter(before)
    shown = [page for page in after if not any(_is_smaller(page, size) for size in blanks)]
    return bool(shown) and all(any(one == other for other in rest) for one in shown)


def _is_smaller(page: Sequence[Any], size: tuple[int, int]) -> bool:
    """Whether a directory is an image of a size or a level of it: half as large, a quarter, each rounded up or down."""
    return any(
        width in (size[0] >> level, -(-size[0] >> level)) and height in (size[1] >> level, -(-size[1] >> level))
        for width, height, *_ in (page,)
        for level in range(8)
    )


def _openslide(path: bytes) -> Opened | None:
    try:
        with openslide.OpenSlide(path.decode("utf-8", "surrogateescape")) as slide:
            properties = slide.properties
            # Of each level something is decoded: what cannot be read is no level.
            for level, (width, height) in enumerate(slide.level_dimensions):
                slide.read_region((0, 0), level, (min(width, 64), min(height, 64)))
            geometry = (
                slide.level_dimensions,
                slide.level_downsamples,
                *(properties.get(name) for name in ("openslide.mpp-x", "openslide.mpp-y", "openslide.objective-power")),
                properties.get("openslide.vendor"),
            )
            beside = {name: _beside(slide, name) for name in sorted(slide.associated_images)}
            blanks = frozenset(image.size for image in beside.values() if image is not None and _is_blank(image))
            shown = (
                "other" if name == "thumbnail" and (image is None or not _is_of_slide(slide, image)) else name
                for name, image in beside.items()
                if image is None or not _is_blank(image)
            )
            return Opened(geometry, tuple(shown), tuple(map(str, properties.values())), blanks)
    except (openslide.OpenSlideError, OSError, UnicodeDecodeError):
        return None


def _beside(slide: openslide.OpenSlide, name: str) -> Image.Image | None:
    """An image beside the pyramid; None if it cannot be decoded."""
    try:
        return slide.associated_images[name].convert("RGB")
    except (openslide.OpenSlideError, ValueError):
        return None


def _is_blank(image: Image.Image) -> bool:
    return len(image.getcolors(maxcolors=1) or ()) == 1


def _is_of_slide(slide: openslide.OpenSlide, thumbnail: Image.Image) -> bool:
    """Whether a thumbnail is as light and dark as the smallest level, place by place; so if that level is too large."""
    last = slide.level_count - 1
    size = slide.level_dimensions[last]
    if max(size) > _LARGEST_LEVEL:
        return True
    level = slide.read_region((0, 0), last, size)
    white = Image.new("RGBA", size, "white")
    white.alpha_composite(level)
    grids = (np.asarray(image.convert("L").resize(_GRID, Image.Resampling.BOX), np.int16) for image in (thumbnail, white))
    return int(np.abs(next(grids) - next(grids)).max()) <= _MOST_SHADE


def _tifffile(path: bytes) -> Opened | None:
    quiet = logging.getLogger("tifffile")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(path.decode("utf-8", "surrogateescape")) as tiff:
            pages: list[Any] = []
            texts: list[str] = []
            for page in _pages(tiff):
                if page.is_tiled:
                    pages.append((page.imagewidth, page.imagelength, page.tilewidth, page.tilelength, int(page.compression)))
                texts += _tag_texts(page)
            return Opened(tuple(pages), (), tuple(texts))
    except Exception:  # noqa: BLE001 -- it raises whatever a damaged file makes it raise
        return None
    finally:
        quiet.setLevel(level)


def _pages(tiff: tifffile.TiffFile) -> Iterator[Any]:
    for page in list(tiff.pages)[:_MOST_PAGES]:
        yield page.aspage()
        yield from (sub.aspage() for sub in page.pages or ())


def _tag_texts(page: Any) -> Iterator[str]:
    for tag in page.tags.values():
        if int(tag.dtype) in _TEXT_TYPES and tag.count <= _MOST_TEXT:
            value = tag.value
            yield value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _pydicom(path: bytes) -> Opened | None:
    try:
        # Its warnings quote values.
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:  # noqa: PTH123 -- a path is bytes
            data = pydicom.filereader.read_partial(file, stop_when=lambda tag, vr, length: tag >= _PER_FRAME, force=True)
            geometry = tuple(_number_or_text(data.get(name)) for name in _GEOMETRY)
            if not data.get("SOPClassUID"):
                return None
            uids = tuple(str(data.get(name, "")) for name in _UIDS)
            meta = str(data.file_meta.get("MediaStorageSOPInstanceUID", ""))
            return Opened(geometry, (), tuple(_values(data)), uids=(*uids, meta))
    except Exception:  # noqa: BLE001 -- it raises whatever a damaged file makes it raise
        return None


def _number_or_text(value: Any) -> str | None:
    """A value as it compares; None for what is no number where there should be one, which a copy does not have."""
    text = None if value is None else str(value)
    return text if text is None or not text[:1].isdigit() or text.replace(".", "").isdigit() else None


def _values(data: pydicom.Dataset) -> Iterator[str]:
    for element in data:
        if element.VR == "SQ":
            for item in element.value:
                yield from _values(item)
        elif element.VR not in {"OB", "OW", "OF", "OD", "OL", "OV", "UN"}:
            values = element.value if isinstance(element.value, list | pydicom.multival.MultiValue) else [element.value]
            yield from (str(value) for value in values if value is not None and value != "")


_READERS: Final[Mapping[str, Callable[[bytes], Opened | None]]] = {
    "openslide": _openslide, "tifffile": _tifffile, "pydicom": _pydicom,
}  # fmt: skip
_OF_FORMAT: Final = {"dicom": ("pydicom",), "series": ("pydicom",), "mrxs": ("openslide",)}
"""Who is asked about a format; about a TIFF of whatever kind, OpenSlide and tifffile."""

"""What readers that nobody here wrote make of a file: OpenSlide, tifffile, pydicom.

They are native or foreign code that meets a file made just now; call them where a crash is survived. What they raise may
quote the file, so only that they raised is kept.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import openslide
import pydicom
import tifffile

_PER_FRAME: Final = 0x52009230
"""Per-Frame Functional Groups Sequence: of many frames it takes seconds, and every byte of it is searched anyway."""
_MOST_TEXT: Final = 1 << 20
_TEXT_TYPES: Final = frozenset({1, 2, 7})
_MOST_PAGES: Final = 1024
_GEOMETRY: Final = (
    "Rows", "Columns", "NumberOfFrames", "TotalPixelMatrixColumns", "TotalPixelMatrixRows", "BitsAllocated",
    "SamplesPerPixel", "PhotometricInterpretation", "PixelSpacing", "SOPClassUID",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as a reader shows it.

    Attributes:
        geometry: what it says of shapes and sizes; the same for source and copy.
        pictures: images beside the pyramid.
        texts: every text that it shows.
    """

    geometry: tuple[object, ...]
    pictures: tuple[str, ...]
    texts: tuple[str, ...]


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
    for name, shown in after.items():
        if name in before and not _is_kept(name, before[name].geometry, shown.geometry):
            faults.append(f"{name} sees another geometry than in the source")
        allowed = {"thumbnail", *(("label",) if may_have_label else ())}
        faults += [f"{name} finds an image beside the pyramid that may show the label" for picture in shown.pictures
                   if picture not in allowed]  # fmt: skip
    return faults


def _is_kept(name: str, before: Sequence[object], after: Sequence[object]) -> bool:
    """Whether the geometry is the same; of a TIFF's directories some may be gone, but not the first of the pyramid."""
    if name != "tifffile" or before == after:
        return before == after
    rest = iter(before)
    return bool(after) and all(any(one == other for other in rest) for one in after)


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
            return Opened(geometry, tuple(sorted(slide.associated_images)), tuple(map(str, properties.values())))
    except (openslide.OpenSlideError, OSError, UnicodeDecodeError):
        return None


def _tifffile(path: bytes) -> Opened | None:
    quiet = logging.getLogger("tifffile")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(path.decode("utf-8", "surrogateescape")) as tiff:
            pages: list[Any] = []
            texts: list[str] = []
            for page in _pages(tiff):
                is_level = bool(page.is_tiled) and not page.is_subsampled
                if is_level:
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
            return Opened(geometry, (), tuple(_values(data)))
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

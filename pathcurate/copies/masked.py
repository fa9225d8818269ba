"""The proof of a DICOM instance whose pixels were blacked out where a site's masks say so: everything else is as it was."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray

_LARGEST: Final = 128 << 20
"""Bytes of pixels that are compared, at most; of more, the copy counts as not proven."""
_NAMES: Final = {"modality": "Modality", "manufacturer": "Manufacturer", "model": "ManufacturerModelName"}


def is_masked_copy(original: bytes, copy: bytes, masks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a copy's frames have one colour within the masks that speak of the instance, and are the source's elsewhere.

    Args:
        original: path of the source.
        copy: path of the copy.
        masks: the option of the rules, see :class:`pathcurate.scrubbers.dicom.options.Mask`.
    """
    try:
        # Its warnings quote values.
        with warnings.catch_warnings(action="ignore"):
            was, now = (pydicom.dcmread(path.decode("utf-8", "surrogateescape"), force=True) for path in (original, copy))
            inside = _inside(was, masks)
            if not inside.any() or not len(was.PixelData) == len(now.PixelData) <= _LARGEST:
                return False
            before, after = _frames(was), _frames(now)
    except Exception:  # noqa: BLE001 -- it raises whatever a damaged file makes it raise
        return False
    return all(
        np.array_equal(one[:, ~inside], other[:, ~inside])
        and (other[:, inside] == other[:, inside][:, :1]).all()
        for one, other in zip(before, after, strict=True)
    )  # fmt: skip


def _inside(data: pydicom.Dataset, masks: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
    inside = np.zeros((data.Rows, data.Columns), bool)
    for mask in masks:
        said = {name: mask[name] for name in _NAMES if mask.get(name) is not None}
        shown = {name: str(data.get(_NAMES[name], "")).strip() for name in said}
        if inside.shape == (mask["rows"], mask["columns"]) and all(
            str(said[name]).casefold() == shown[name].casefold() for name in said
        ):
            for left, top, width, height in mask["rectangles"]:
                inside[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = True
    return inside


def _frames(data: pydicom.Dataset) -> "NDArray[Any]":
    """Frames, samples, rows and columns of uncompressed pixels."""
    samples, shape = int(data.get("SamplesPerPixel", 1)), (int(data.Rows), int(data.Columns))
    frames = int(data.get("NumberOfFrames", 1) or 1)
    pixels = np.frombuffer(data.PixelData, f"u{data.BitsAllocated // 8}", frames * samples * shape[0] * shape[1])
    if samples > 1 and data.get("PlanarConfiguration", 0) == 0:
        return np.moveaxis(pixels.reshape(frames, *shape, samples), -1, 1)
    return pixels.reshape(frames, samples, *shape)

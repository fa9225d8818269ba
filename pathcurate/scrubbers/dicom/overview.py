"""Images of a slide that may show its label: which have no copy.

SpecimenLabelInImage (0048,0010) NO proves nothing. An overview stays only if it is shown to be of the same area as the
slide's own pixels, which were scanned beside the label: same proportions, and the same picture.
"""

import io
import warnings
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels.utils import pixel_array

from pathcurate.scrubbers.dicom.instances import SLIDE_CLASS, Head
from pathcurate.slidefiles import ScrubJob

_MOST_BYTES: Final = 48 << 20
_MOST_PIXELS: Final = 12_000_000
_SIDE: Final = 64
_SAME_PROPORTIONS: Final = 0.03
_LEAST_CORRELATION: Final = 0.95
_BLOCK: Final = 8
_MOST_DIFFERENCE: Final = 32.0
"""Mean grey levels of a block; encoders and scaling make a few."""
_LEAST_CONTRAST: Final = 4.0
"""Standard deviation of grey values, of 255: below it a picture is empty, and says nothing of what another shows."""


def hidden_labels(job: ScrubJob, heads: Mapping[bytes, Head]) -> dict[bytes, str]:
    """The instances that get no copy, each with the reason.

    Raises:
        OSError: a file cannot be read.
    """
    hidden: dict[bytes, str] = {}
    doubtful: list[bytes] = []
    thumbnails: list[bytes] = []
    volumes = [member for member, head in heads.items() if head.role == "VOLUME"]
    for member, head in heads.items():
        if head.role == "LABEL":
            hidden[member] = "label images have no copy"
        elif head.role == "VOLUME" or (head.sop_class != SLIDE_CLASS and not head.role):
            continue
        elif head.text(0x0048_0010).upper() == "YES":
            hidden[member] = "SpecimenLabelInImage is YES"
        elif head.role == "THUMBNAIL" and any(_has_same_proportions(head, heads[volume]) for volume in volumes):
            thumbnails.append(member)
        elif head.role == "THUMBNAIL":
            hidden[member] = "a thumbnail that has not the proportions of the slide"
        else:
            doubtful.append(member)
    hidden |= _printed_on(job, heads, thumbnails, volumes)
    if doubtful:
        shown = _reference(job, heads, [member for member in heads if member not in hidden and member not in doubtful])
        for member in doubtful:
            if not _shows_the_same(job, member, heads[member], shown):
                hidden[member] = "not shown to be free of the label"
    return hidden


def _printed_on(
    job: ScrubJob, heads: Mapping[bytes, Head], thumbnails: list[bytes], volumes: list[bytes]
) -> dict[bytes, str]:  # fmt: skip
    """The thumbnails that show more than the slide's own pixels do, as far as these can be decoded."""
    shown = _reference(job, heads, volumes) if thumbnails else None
    pictures = {member: _picture(job, member, heads[member]) for member in (thumbnails if shown is not None else ())}
    return {
        member: "a thumbnail that shows more than the slide"
        for member, picture in pictures.items()
        if shown is not None and picture is not None and _differs(picture, shown[1])
    }


def _size(head: Head) -> tuple[int, int]:
    width, height = head.number(0x0048_0006), head.number(0x0048_0007)
    return (width, height) if width and height else (head.number(0x0028_0011), head.number(0x0028_0010))


def _has_same_proportions(head: Head, other: Head) -> bool:
    (width, height), (other_width, other_height) = _size(head), _size(other)
    if not width * height * other_width * other_height:
        return False
    # A small image is rounded to whole pixels.
    slack = _SAME_PROPORTIONS + 1 / min(width, height, other_width, other_height)
    return abs(width * other_height / (height * other_width) - 1) <= slack


def _reference(job: ScrubJob, heads: Mapping[bytes, Head], members: list[bytes]) -> tuple[Head, NDArray[np.float64]] | None:
    """The smallest image of the slide that is certain not to show the label, with its grey picture."""
    slides = [member for member in members if heads[member].role in {"THUMBNAIL", "VOLUME"}]
    for member in sorted(slides, key=lambda member: (_size(heads[member])[0] * _size(heads[member])[1], member)):
        picture = _picture(job, member, heads[member])
        if picture is not None:
            return heads[member], picture
    return None


def _shows_the_same(job: ScrubJob, member: bytes, head: Head, shown: tuple[Head, NDArray[np.float64]] | None) -> bool:
    if shown is None or not _has_same_proportions(head, shown[0]):
        return False
    picture, reference = _picture(job, member, head), shown[1]
    if picture is None or min(float(picture.std()), float(reference.std())) < _LEAST_CONTRAST:
        return False
    return float(np.corrcoef(picture.ravel(), reference.ravel())[0, 1]) >= _LEAST_CORRELATION


def _differs(picture: NDArray[np.float64], reference: NDArray[np.float64]) -> bool:
    """Whether somewhere on a small grey picture another thing is seen, as a label that was pasted into it."""
    side = _SIDE // _BLOCK
    blocks = np.abs(picture - reference).reshape(side, _BLOCK, side, _BLOCK).mean(axis=(1, 3))
    return float(blocks.max()) > _MOST_DIFFERENCE


def _picture(job: ScrubJob, member: bytes, head: Head) -> NDArray[np.float64] | None:
    """The whole image in grey, stretched to a small square; None if it is large or cannot be decoded."""
    width, height = _size(head)
    rows, columns = head.number(0x0028_0010), head.number(0x0028_0011)
    if not rows * columns or width * height > _MOST_PIXELS:
        return None
    across, down = -(-width // columns), -(-height // rows)
    if across * down != head.number(0x0028_0008, 1) or across * columns * down * rows > 2 * _MOST_PIXELS:
        return None
    with job.open(member) as source:
        if source.size > _MOST_BYTES:
            return None
        data = source.read_at(0, source.size)
    frames = _decoded(data)
    if frames is None:
        return None
    if across * down == 1:
        frames = frames[np.newaxis]
    grey = frames.astype(np.float64).mean(axis=-1) if frames.ndim == 4 else frames.astype(np.float64)
    if grey.shape != (across * down, rows, columns):
        return None
    whole = grey.reshape(down, across, rows, columns).swapaxes(1, 2).reshape(down * rows, across * columns)[:height, :width]
    small = Image.fromarray(whole.astype(np.float32)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64)


def _decoded(data: bytes) -> NDArray[Any] | None:
    with warnings.catch_warnings():
        # pydicom's warnings hold values.
        warnings.simplefilter("ignore")
        try:
            return pixel_array(pydicom.dcmread(io.BytesIO(data)))
        except Exception:  # noqa: BLE001 -- decoders raise whatever a damaged file makes them raise; then nothing is shown
            return None

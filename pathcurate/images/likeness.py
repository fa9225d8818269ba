"""Whether two thumbnails show the same scan: a perceptual hash that survives re-encoding and scaling."""

from typing import Final

import numpy as np
from PIL import Image

SAME_THUMBNAIL: Final = 40
"""Up to how many of the 256 bits two thumbnails of one scan may differ; see ``tests/unit/test_quality.py``."""

_SIZE: Final = (128, 96)
_BITS: Final = 16
_POINTS: Final = (2 * np.arange(128)[None, :] + 1) * np.arange(_BITS)[:, None] * np.pi


def thumbnail_hash(image: Image.Image) -> str:
    """Signs of the 16 by 16 lowest spatial frequencies of the grey picture (a discrete cosine transform, type II).

    The picture is stretched to 4:3 first. Of a picture without tissue the hash says nothing, since it is made of noise.

    Returns:
        64 hexadecimal digits.
    """
    grey = np.asarray(image.convert("RGB").convert("L").resize(_SIZE, Image.Resampling.BOX), dtype=np.float64)
    width, height = _SIZE
    across = np.cos(_POINTS[:, :width] / (2 * width))
    down = np.cos(_POINTS[:, :height] / (2 * height))
    frequencies = (down @ (grey - grey.mean()) @ across.T).ravel()
    return np.packbits(frequencies > np.median(frequencies)).tobytes().hex()


def hash_distance(a: str, b: str) -> int:
    """In how many of their 256 bits two hashes differ.

    Raises:
        ValueError: one of them is no hash.
    """
    return (int(a, 16) ^ int(b, 16)).bit_count()

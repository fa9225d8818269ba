"""The loop that the scan is measured by: opens each file named on standard input (NUL between names), copies its properties.

A program of its own, so that its processes load nothing but OpenSlide.
"""

import sys
from collections.abc import Sequence

import openslide


def properties(files: Sequence[bytes]) -> None:
    """Open each file with OpenSlide and copy its properties."""
    for path in files:
        with openslide.OpenSlide(path) as slide:
            dict(slide.properties)


if __name__ == "__main__":
    properties(sys.stdin.buffer.read().split(b"\0"))

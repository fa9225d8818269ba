"""Printed text on the photo of a glass label, Chinese and English, by RapidOCR: the optional extra ``ocr``."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from pathcurate.errors import UsageError

_MOST_SIDE = 1600


@dataclass(frozen=True, slots=True)
class _Piece:
    """A recognised piece of text: its box in pixels, the text, and how sure the recognition is (0 to 1)."""

    left: float
    top: float
    bottom: float
    text: str
    score: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def require_ocr() -> None:
    """Make sure that text can be read, before a run begins.

    Raises:
        UsageError: the extra is not installed.
    """
    _engine()


def read_text(image: Image.Image) -> tuple[str, float] | None:
    """The text on a label, its lines in reading order and joined by newlines, with the mean confidence of its pieces.

    Args:
        image: photo of a label, upright or upside down, of any mode.

    Returns:
        Text and confidence (0 to 1); None if there is no text.

    Raises:
        UsageError: the extra is not installed.
    """
    picture = image.convert("RGB")
    picture.thumbnail((_MOST_SIDE, _MOST_SIDE), Image.Resampling.LANCZOS)
    # The engine takes its channels in OpenCV's order.
    found, _ = _engine()(np.ascontiguousarray(np.asarray(picture)[..., ::-1]))
    pieces = [_piece(*item) for item in found or ()]
    pieces = [piece for piece in pieces if piece.text]
    if not pieces:
        return None
    text = "\n".join(" ".join(piece.text for piece in line) for line in _lines(pieces))
    return text, sum(piece.score for piece in pieces) / len(pieces)


def _piece(box: list[list[float]], text: str, score: float) -> _Piece:
    tops = [corner[1] for corner in box]
    return _Piece(min(corner[0] for corner in box), min(tops), max(tops), " ".join(text.split()), float(score))


def _lines(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Pieces by line from the top, each line from the left; a piece whose middle is within another's height is beside it."""
    lines: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda piece: piece.middle):
        if lines and lines[-1][0].top <= piece.middle <= lines[-1][0].bottom:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [sorted(line, key=lambda piece: piece.left) for line in lines]


@cache
def _engine() -> Callable[..., Any]:
    """RapidOCR with its models, which take a third of a second to load.

    Raises:
        UsageError: the extra is not installed.
    """
    try:
        rapidocr = importlib.import_module("rapidocr_onnxruntime")
    except ImportError:
        raise UsageError(
            "reading printed label text needs the optional part `ocr`, which is not installed",
            "Install it with: pip install 'pathcurate[ocr]'. Barcodes are read without it.",
        ) from None
    engine: Callable[..., Any] = rapidocr.RapidOCR()
    return engine

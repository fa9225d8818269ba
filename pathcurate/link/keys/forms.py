"""Paths and numbers of many slides at once in the form in which they compare."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pathcurate.storage import path_text
from pathcurate.text.manynumbers import Bytes, Numbers, Strings, mask_of, pc, pieces

Lists = Any
"""A ``pa.ListArray``."""


@dataclass(frozen=True)
class Folders:
    """Folders in which slides lie, those of neighbours once.

    Attributes:
        lists: the names of the folders on the way to each, from the root.
        at: which of them each slide lies in.
    """

    lists: Lists
    at: Numbers


@dataclass(frozen=True)
class Paths:
    """Paths of slides as text.

    Attributes:
        stems: file names without their extension.
        folders: where they lie.
    """

    stems: Strings
    folders: Folders


def path_texts(relpaths: "pa.Array[Any]") -> Paths:
    """Paths as bytes to what people read in them, component by component (:func:`~pathcurate.storage.path_text`)."""
    texts = _decoded(relpaths)
    offsets, data = Bytes.of(texts)
    slash, dot = (_last(data, offsets, sign) for sign in b"/.")
    start = np.where(slash >= 0, slash + 1, offsets[:-1])
    end = np.where(dot >= start, dot, offsets[1:])
    parents = pieces(data, offsets[:-1], np.maximum(start - 1 - offsets[:-1], 0))
    runs = pc.run_end_encode(parents)
    lengths = np.diff(runs.run_ends.to_numpy(), prepend=0)
    lists = pc.split_pattern(runs.values, "/")
    return Paths(pieces(data, start, end - start), Folders(lists, np.repeat(np.arange(len(lengths)), lengths)))


def _decoded(relpaths: Any) -> Strings:
    try:
        return relpaths.cast(pa.string())
    except pa.ArrowInvalid:
        # Names that Windows wrote, or damaged ones.
        texts = ["/".join(map(path_text, relpath.split(b"/"))) for relpath in relpaths.to_pylist()]
        return pa.array(texts, pa.string())


def _last(data: Any, offsets: Numbers, sign: int) -> Numbers:
    """Place of the last such byte of each text, -1 if it has none."""
    places = np.flatnonzero(data == sign)
    if not places.size:
        return np.full(len(offsets) - 1, -1)
    last = np.searchsorted(places, offsets[1:]) - 1
    place = places[np.maximum(last, 0)]
    return np.where((last >= 0) & (place >= offsets[:-1]), place, -1)


def path_forms(texts: Strings) -> Strings:
    """Paths as they compare: of Windows or not, in whatever case, without what leads to the same place."""
    slashes = pc.replace_substring(texts, "\\", "/")
    folded = _each(slashes, _caseless, pc.ascii_lower(slashes))
    plain = pc.replace_substring_regex(folded, r"/(?:\.?/)+", "/")
    return pc.replace_substring_regex(plain, r"^\s+|^(?:\./|/)+|/+$", "")


def _caseless(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def relpath_forms(relpaths: "pa.Array[Any]") -> Strings:
    """Paths below an archive's root as they compare."""
    return path_forms(_decoded(relpaths))


def _each(texts: Strings, action: Callable[[str], str], of_ascii: Strings) -> Strings:
    """What a function makes of each text, given what it makes of those in ASCII."""
    odd = ~mask_of(pc.string_is_ascii(texts).fill_null(True))
    if not odd.any():
        return of_ascii
    mask = pa.array(odd)
    made = [action(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(of_ascii, mask, pa.array(made, pa.string()))

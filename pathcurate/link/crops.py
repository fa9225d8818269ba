"""Photos of glass labels for people who check links."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
from PIL import Image, ImageFilter

from pathcurate.engines import Engine, LossReason
from pathcurate.images.jpeg import small_jpeg
from pathcurate.readers.pictures import label_views
from pathcurate.roots import Place, archives_of, is_within_budget, paced_roots, why_unread
from pathcurate.storage import Root
from pathcurate.workspace import Archive, Workspace

_GIVEN: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("slide_id", pa.string()), ("root", pa.int32()), ("relpath", pa.binary()), ("reader", pa.string()),
)  # fmt: skip
_SEEN: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("slide_id", pa.string()), ("picture", pa.binary()), ("why", pa.string()),
)  # fmt: skip
_INPUT: Final = pa.schema(_GIVEN)
_CROPS: Final = pa.schema(_SEEN)
_MOST_SIDES: Final = (600, 600)
_QUALITY: Final = 72
_BATCH_ROWS: Final = 8
_TIMEOUT: Final = 30.0  # seconds a slide
_GREY_SIDES: Final = (400, 400)
_SMOOTHING: Final = 1  # radius in pixels, against the noise of the photo
_STRONG: Final = 24.0  # grey levels from one pixel to the next, when smoothed: print has such edges, tissue hardly any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Crop:
    """The photo of one slide's label.

    Attributes:
        picture: a JPEG, None if there is none to show.
        why: why there is none: ``no_label``, ``offline``, ``postponed`` or ``unreadable``; empty with a picture.
    """

    picture: bytes | None
    why: str


@dataclass(frozen=True)
class _CropSpec:
    """Settings of the kernel; picklable."""

    roots: tuple[Root, ...]


def read_crops(workspace: Workspace, engine: Engine, slides: Iterable[Row], now: datetime) -> dict[str, Crop]:
    """The labels of some slides by ``slide_id``; a slide that cannot be read has none, and nothing else comes of it.

    Archives are read at their pace and only in their hours, and what lies in cold storage stays there.

    Args:
        workspace: the workspace.
        engine: where the pictures are decoded; hostile ones may cost it a process.
        slides: rows with ``slide_id``, ``site``, ``archive``, ``relpath``, ``reader``, ``status``, ``storage_state``,
            ``has_label`` and ``has_overview``.
        now: the time by the clock on the wall, for the hours of archives.
    """
    archives = archives_of(workspace)
    rows = list(slides)
    crops = {row["slide_id"]: Crop(None, _unread(row, archives, now)) for row in rows}
    with paced_roots(workspace, "labels") as roots:
        places = {place: number for number, place in enumerate(roots)}
        wanted = (row for row in rows if not crops[row["slide_id"]].why)

        def may_read(row: Row) -> bool:
            place = row["site"], row["archive"]
            return is_within_budget(archives[place], roots[place])

        def batches() -> Iterator[pa.RecordBatch]:
            while some := list(islice(wanted, _BATCH_ROWS)):
                given = [{**row, "root": places[row["site"], row["archive"]]} for row in some if may_read(row)]
                if given:
                    yield pa.RecordBatch.from_pylist([{name: row[name] for name in _INPUT.names} for row in given], _INPUT)

        spec = _CropSpec(tuple(roots.values()))
        for batch in engine.run(crop_labels, batches(), spec, _CROPS, on_crash=_lost, timeout=_TIMEOUT):
            crops |= {row["slide_id"]: Crop(row["picture"], row["why"]) for row in batch.to_pylist()}
    # What the budget of reads did not reach is neither without a label nor read.
    return {slide_id: crop if crop.picture or crop.why else Crop(None, "postponed") for slide_id, crop in crops.items()}


def _unread(row: Row, archives: Mapping[Place, Archive], now: datetime) -> str:
    why = why_unread(row, archives.get((row["site"], row["archive"])), now)
    return "no_label" if why in ("", "postponed") and not (row["has_label"] or row["has_overview"]) else why


def crop_labels(batch: pa.RecordBatch, spec: _CropSpec) -> pa.RecordBatch:
    """Kernel: ``slide_id``, the label as a small JPEG, and why there is none."""
    return pa.RecordBatch.from_pylist([_crop(row, spec) for row in batch.to_pylist()], schema=_CROPS)


def _lost(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    slide_ids = row.column("slide_id").to_pylist()
    return pa.RecordBatch.from_pylist([{"slide_id": slide_id, "why": "unreadable"} for slide_id in slide_ids], schema=_CROPS)


def _crop(row: Row, spec: _CropSpec) -> Row:
    try:
        views = list(label_views(spec.roots[row["root"]], row["relpath"], row["reader"]))
        if not views:
            return {"slide_id": row["slide_id"], "why": "no_label"}
        return {
            "slide_id": row["slide_id"], "why": "",
            "picture": small_jpeg(max(views, key=_print_share), _MOST_SIDES, _QUALITY),
        }  # fmt: skip
    except Exception:  # noqa: BLE001  hostile pictures; the page goes on without this one
        return {"slide_id": row["slide_id"], "why": "unreadable"}


def _print_share(view: Image.Image) -> float:
    """Share of the pixels that lie on a strong edge, as those of print and barcodes do."""
    grey = view.convert("L")
    grey.thumbnail(_GREY_SIDES, Image.Resampling.BOX)
    pixels = np.asarray(grey.filter(ImageFilter.BoxBlur(_SMOOTHING)), dtype=np.float32)
    return float((np.abs(np.diff(pixels, axis=1)) > _STRONG).mean()) if grey.width > 1 else 0.0

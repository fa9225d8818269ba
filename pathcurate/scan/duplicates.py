"""Slides with the same pixels: rescans copied twice, or one glass filed under two names."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from pathcurate.engines import Engine
from pathcurate.pseudonyms import opaque_code
from pathcurate.scan.kernels import SAMPLE_SCHEMA, lost_sample, sample_compressed
from pathcurate.workspace import Workspace

Row = dict[str, Any]
_BATCH_ROWS = 32
_TIMEOUT = 120.0


def regrouped(rows: Iterable[Row], workspace: Workspace, engine: Engine) -> Iterator[Row]:
    """Rows whose ``scan_group`` or ``duplicate_of`` is no longer right, corrected.

    Slides with the same geometry and the same compressed tile sizes are candidates; only for them some compressed tiles
    are read and compared. A row that already has a group keeps it unread: a row loses its group when its file is read
    anew. The first of a group in order of site, archive and path is the one the others duplicate.
    """
    rows = sorted(rows, key=lambda row: (row["site"], row["archive"], row["relpath"]))
    candidates = _candidates(rows)
    codes = {row["slide_id"]: row["scan_group"] for row in candidates if row["scan_group"] is not None}
    codes.update(_sampled([row for row in candidates if row["slide_id"] not in codes], workspace, engine))
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in candidates:
        if row["slide_id"] in codes:
            groups[codes[row["slide_id"]]].append(row)
    marks: dict[str, tuple[str, str | None]] = {}
    for group, members in groups.items():
        if len(members) > 1:
            first = members[0]["slide_id"]
            marks.update((row["slide_id"], (group, first if row["slide_id"] != first else None)) for row in members)
    for row in rows:
        mark = marks.get(row["slide_id"], (None, None))
        if (row["scan_group"], row["duplicate_of"]) != mark:
            yield {**row, "scan_group": mark[0], "duplicate_of": mark[1]}


def _candidates(rows: Iterable[Row]) -> list[Row]:
    alike: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["status"] == "ok" and row["pixel_fingerprint"] is not None:
            alike[row["pixel_fingerprint"]].append(row)
    return [row for members in alike.values() if len(members) > 1 for row in members]


def _sampled(rows: list[Row], workspace: Workspace, engine: Engine) -> Iterator[tuple[str, str]]:
    """``slide_id`` and group of the rows that can be sampled; an archive that is no longer configured cannot be."""
    roots = {(site.code, archive.name): os.fsencode(archive.root) for site in workspace.sites for archive in site.archives}
    rows = [row for row in rows if (row["site"], row["archive"]) in roots]
    paths = [os.path.join(roots[row["site"], row["archive"]], row["relpath"]) for row in rows]  # noqa: PTH118
    batches = (
        pa.record_batch({"path": pa.array(paths[start : start + _BATCH_ROWS], pa.binary())})
        for start in range(0, len(paths), _BATCH_ROWS)
    )
    results = engine.run(sample_compressed, batches, None, SAMPLE_SCHEMA, on_crash=lost_sample, timeout=_TIMEOUT)
    samples = (sample for batch in results for sample in batch["sample"].to_pylist())
    for row, sample in zip(rows, samples, strict=True):
        if sample is not None:
            content = f"{row['pixel_fingerprint']}\x1f{sample}"
            yield row["slide_id"], opaque_code("G", hashlib.sha256(content.encode()).digest())

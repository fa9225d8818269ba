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
    are read and compared. The first of a group in order of site, archive and path is the one the others duplicate.
    """
    rows = sorted(rows, key=lambda row: (row["site"], row["archive"], row["relpath"]))
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row, sample in _sampled(_candidates(rows), workspace, engine):
        if sample is not None:
            groups[row["pixel_fingerprint"], sample].append(row)
    marks: dict[str, tuple[str, str | None]] = {}
    for key, members in groups.items():
        if len(members) > 1:
            group = opaque_code("G", hashlib.sha256("\x1f".join(key).encode()).digest())
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


def _sampled(rows: list[Row], workspace: Workspace, engine: Engine) -> Iterator[tuple[Row, str | None]]:
    roots = {(site.code, archive.name): os.fsencode(archive.root) for site in workspace.sites for archive in site.archives}
    paths = [os.path.join(roots[row["site"], row["archive"]], row["relpath"]) for row in rows]  # noqa: PTH118
    batches = (
        pa.record_batch({"path": pa.array(paths[start : start + _BATCH_ROWS], pa.binary())})
        for start in range(0, len(paths), _BATCH_ROWS)
    )
    results = engine.run(sample_compressed, batches, None, SAMPLE_SCHEMA, on_crash=lost_sample, timeout=_TIMEOUT)
    samples = (sample for batch in results for sample in batch["sample"].to_pylist())
    return zip(rows, samples, strict=True)

"""Slides that show one glass: identical pixels, re-encoded copies, and rescans."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pathcurate.engines import LossReason
from pathcurate.images.likeness import SAME_THUMBNAIL, hash_distance
from pathcurate.model.finding import Finding, Severity
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import sample_pixels
from pathcurate.scan.index import Index, Row
from pathcurate.scan.passes import Pass, PassSpec
from pathcurate.tables import Catalog, column_values

SAMPLE_SCHEMA: Final[pa.Schema] = pa.schema([("pixel_fingerprint", pa.string())])
_NARROW: Final = (
    "slide_id", "site", "archive", "relpath", "status", "width", "height", "pixel_fingerprint", "thumbnail_hash", "barcode",
    "stain", "keys", "scan_group", "duplicate_of",
)  # fmt: skip
_BAND_BITS: Final = 16
_MOST_ALIKE: Final = 200
"""Thumbnails that share a band with more others than this say nothing: they are bare glass."""


def sample_compressed(batch: pa.RecordBatch, spec: PassSpec) -> pa.RecordBatch:
    """Kernel: the pixel fingerprint of each slide, null where it cannot be had."""
    files = zip(*(column_values(batch, name) for name in ("root", "relpath", "reader")), strict=True)
    samples = [_sample(spec, *file) for file in files]
    return pa.RecordBatch.from_arrays([pa.array(samples, pa.string())], schema=SAMPLE_SCHEMA)


def _sample(spec: PassSpec, root: int, relpath: bytes, reader: str) -> str | None:
    try:
        with spec.roots[root].open(relpath) as source:
            return sample_pixels(source, reader)
    except Exception:  # noqa: BLE001  a file that cannot be sampled, for whatever reason, is compared with none
        return None


def lost_sample(row: pa.RecordBatch, _reason: LossReason) -> pa.RecordBatch:
    """No sample: the slide is compared with none."""
    return pa.RecordBatch.from_arrays([pa.nulls(row.num_rows, pa.string())], schema=SAMPLE_SCHEMA)


PIXELS: Final = Pass(
    name="pixels",
    kernel=sample_compressed,
    schema=SAMPLE_SCHEMA,
    lost=lost_sample,
    columns=(),
    wants=lambda data: [False] * data.num_rows,
    apply=lambda row, said: {**row, **said},
    timeout=120.0,
    batch_rows=32,
)


def to_sample(index: Index) -> NDArray[np.int64]:
    """Whole slides without a pixel fingerprint that agree in shape with another."""
    facts = index.facts
    whole = facts["ok"] & (facts["shape"] > 0)
    shapes, counts = np.unique(facts["shape"][whole], return_counts=True)
    shared = np.isin(facts["shape"], shapes[counts > 1])
    return np.flatnonzero(whole & shared & (facts["pixels"] == 0))


@dataclass(frozen=True)
class Grouping:
    """What belongs together.

    Attributes:
        changed: by row of the index, ``scan_group`` and ``duplicate_of`` that are no longer what the table says.
        findings: the same pixels under the numbers of several cases.
    """

    changed: dict[int, tuple[str | None, str | None]]
    findings: list[Finding]


def regrouped(catalog: Catalog, index: Index) -> Grouping:
    """Find what belongs together.

    Slides with the same pixels, and re-encoded copies of them (the same thumbnail within one site), duplicate the first of
    them in order of site, archive and path. Rescans (one barcode that names the glass, and no other stain) share the group
    without being duplicates. Whole slides only.
    """
    candidates = _candidates(catalog, index)
    rows = _read(catalog, index, candidates)
    whole = [row for row in rows if row["status"] == "ok"]
    whole.sort(key=lambda row: (row["site"], row["archive"], row["relpath"]))
    same = _Sets(len(whole))
    copies = _Sets(len(whole))
    findings: list[Finding] = []
    for members in _alike(whole, lambda row: row["pixel_fingerprint"]):
        copies.join(members)
        findings += _two_cases(whole, members)
    for members in _alike(whole, _glass):
        same.join(members)
    for one, other in _lookalikes(whole):
        copies.join((one, other))
    for members in copies.groups():
        same.join(members)
    marks: dict[str, tuple[str | None, str | None]] = {}
    for members in same.groups():
        code = _group_code([whole[at] for at in members])
        marks.update((whole[at]["slide_id"], (code, None)) for at in members)
    for members in copies.groups():
        first = whole[members[0]]["slide_id"]
        for at in members[1:]:
            marks[whole[at]["slide_id"]] = (marks[whole[at]["slide_id"]][0], first)
    changed = {}
    for row in rows:
        mark = marks.get(row["slide_id"], (None, None))
        if (row["scan_group"], row["duplicate_of"]) != mark:
            changed[row["at"]] = mark
    return Grouping(changed, findings)


def _candidates(catalog: Catalog, index: Index) -> NDArray[np.int64]:
    facts = index.facts
    chosen = facts["grouped"].copy()
    for name in ("pixels", "glass"):
        values = facts[name][facts["ok"] & (facts[name] > 0)]
        found, counts = np.unique(values, return_counts=True)
        chosen |= facts["ok"] & np.isin(facts[name], found[counts > 1])
    if facts["looks"].any():
        chosen |= _shares_a_band(catalog, index)
    return np.flatnonzero(chosen & ~facts["gone"])


def _shares_a_band(catalog: Catalog, index: Index) -> NDArray[np.bool_]:
    """Slides whose thumbnail's hash agrees with another's in one of its 16 bands.

    Two hashes that differ in up to 15 bits surely do; of those that differ in 20, 99 of 100, in 30, nine of ten.
    """
    rows = np.flatnonzero(index.facts["looks"] & index.facts["ok"])
    hashes = np.zeros((len(rows), 32), np.uint8)
    place = {int(at): number for number, at in enumerate(rows)}
    for at, row in _columns(catalog, index, rows, ("thumbnail_hash",)):
        hashes[place[at]] = np.frombuffer(bytes.fromhex(row["thumbnail_hash"])[:32].ljust(32, b"\0"), np.uint8)
    bands = hashes.view("<u2")
    shares = np.zeros(len(rows), np.bool_)
    for band in range(bands.shape[1]):
        _, inverse, counts = np.unique(bands[:, band], return_inverse=True, return_counts=True)
        size = counts[inverse]
        shares |= (size > 1) & (size <= _MOST_ALIKE)
    out = np.zeros(len(index), np.bool_)
    out[rows[shares]] = True
    return out


def _columns(
    catalog: Catalog, index: Index, chosen: NDArray[np.int64], columns: tuple[str, ...]
) -> Iterator[tuple[int, Row]]:
    for number, name in enumerate(index.parts):
        members = chosen[index.part[chosen] == number]
        if members.size:
            data = catalog.part(index.table, name, columns).take(index.row[members])
            yield from zip(members.tolist(), data.to_pylist(), strict=True)


def _read(catalog: Catalog, index: Index, chosen: NDArray[np.int64]) -> list[Row]:
    return [{**row, "at": at} for at, row in _columns(catalog, index, chosen, _NARROW)]


def _alike(rows: Sequence[Row], key: Any) -> Iterator[list[int]]:
    """Positions of rows that agree in a key; nothing is alike that has none."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if (value := key(row)) is not None:
            groups[value].append(at)
    return (members for members in groups.values() if len(members) > 1)


def _glass(row: Row) -> tuple[str, ...] | None:
    """What names the glass: a barcode that says more than the case, with the stain."""
    if row["barcode"] is None or not names_glass(row["barcode"], row["keys"]):
        return None
    return row["site"], row["barcode"], row["stain"] or ""


def names_glass(barcode: str, keys: str | None) -> bool:
    """Whether a barcode says more than which case it is: block, slide or a serial number beyond the accession number."""
    blocks = [block for _, _, block, source, raw in json.loads(keys or "[]") if source == "barcode" and raw == barcode]
    return not blocks or any(block is not None for block in blocks)


def _lookalikes(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Pairs of one site whose thumbnails are the same and whose shapes are: copies in another encoding."""
    bands: dict[tuple[str, int, str], list[int]] = defaultdict(list)
    digits = _BAND_BITS // 4
    for at, row in enumerate(rows):
        text = row["thumbnail_hash"] or ""
        for start in range(0, len(text), digits):
            bands[row["site"], start, text[start : start + digits]].append(at)
    seen: set[tuple[int, int]] = set()
    for members in bands.values():
        if 1 < len(members) <= _MOST_ALIKE:
            pairs = {(one, other) for number, one in enumerate(members) for other in members[number + 1 :]} - seen
            seen |= pairs
            for one, other in pairs:
                if _same_shape(rows[one], rows[other]) and _same_look(rows[one], rows[other]):
                    yield one, other


def _same_look(one: Row, other: Row) -> bool:
    return bool(hash_distance(one["thumbnail_hash"], other["thumbnail_hash"]) <= SAME_THUMBNAIL)


def _same_shape(one: Row, other: Row) -> bool:
    """Whether two images have the same proportions, within the tile that some formats pad a side to."""
    sides = [row[name] for row in (one, other) for name in ("width", "height")]
    if not all(sides):
        return False
    ratio = (sides[0] / sides[1]) / (sides[2] / sides[3])
    return bool(0.97 < ratio < 1.03)


def _two_cases(rows: Sequence[Row], members: Sequence[int]) -> Iterator[Finding]:
    """A finding if the same pixels lie under numbers of different cases."""
    cases = [{key for key, *_ in json.loads(rows[at]["keys"] or "[]")} for at in members]
    named = [(at, keys) for at, keys in zip(members, cases, strict=True) if keys]
    if not named or set.intersection(*(keys for _, keys in named)):
        return
    first = rows[named[0][0]]
    for at, keys in named[1:]:
        if not keys & named[0][1] or rows[at]["site"] != first["site"]:
            row = rows[at]
            message = (
                f"slide {row['slide_id']} has the same pixels as slide {first['slide_id']}, but another case's number: "
                "one of the two is filed under the wrong case"
            )
            yield Finding(
                "scan.pixels_of_two_cases", Severity.ERROR, message, stage="scan", site=row["site"], table="slides",
                column="accession_raw", subject=row["slide_id"],
            )  # fmt: skip


def _group_code(rows: Sequence[Row]) -> str:
    """A name that depends on what the group is, not on when it was found."""
    pixels = {row["pixel_fingerprint"] for row in rows}
    content = pixels.pop() if len(pixels) == 1 else None
    return opaque_code("G", hashlib.sha256((content or min(row["slide_id"] for row in rows)).encode()).digest())


class _Sets:
    """Disjoint sets of numbers; members of each come in ascending order."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def join(self, members: Iterable[int]) -> None:
        roots = [self._root(member) for member in members]
        least = min(roots)
        for root in roots:
            self._above[root] = least

    def _root(self, member: int) -> int:
        while self._above[member] != member:
            self._above[member] = self._above[self._above[member]]
            member = self._above[member]
        return member

    def groups(self) -> Iterator[list[int]]:
        groups: dict[int, list[int]] = defaultdict(list)
        for member in range(len(self._above)):
            groups[self._root(member)].append(member)
        return (members for members in groups.values() if len(members) > 1)

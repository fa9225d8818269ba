"""Slides that show one glass: identical pixels, re-encoded copies, and rescans."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pathcurate.engines import LossReason
from pathcurate.images.likeness import SAME_THUMBNAIL
from pathcurate.model.finding import Finding, Severity
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import sample_pixels
from pathcurate.scan.index import Index, Row
from pathcurate.scan.passes import Pass, PassSpec
from pathcurate.tables import Catalog, column_values
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.manynumbers import find_numbers
from pathcurate.text.slidenames import read_names
from pathcurate.workspace import DEFAULT_PATTERNS

SAMPLE_SCHEMA: Final[pa.Schema] = pa.schema([("pixel_fingerprint", pa.string())])
_NARROW: Final = (
    "slide_id", "site", "archive", "relpath", "status", "width", "height", "pixel_fingerprint", "thumbnail_hash", "barcode",
    "stain", "label_text", "metadata_texts", "accession_raw", "scan_group", "duplicate_of",
)  # fmt: skip
_BAND_BITS: Final = 12
_SAME_RATIO: Final = 0.03
"""Width by height, as a natural logarithm: some formats pad a side to whole tiles."""
_MOST_ALIKE: Final = 200
"""Thumbnails that share a band with more others than this say nothing: they are bare glass."""
_LEAST_SERIAL: Final = 4
"""Letters and digits of a serial number."""
_MOST_CASES: Final = 3
"""Cases whose numbers may stand on scans of one glass; more than one is somebody's mistake."""


def sample_compressed(batch: pa.RecordBatch, spec: PassSpec) -> pa.RecordBatch:
    """Kernel: the pixel fingerprint of each slide, null where it cannot be had."""
    files = list(zip(*(column_values(batch, name) for name in ("root", "relpath", "reader")), strict=True))
    with ThreadPoolExecutor(max(1, spec.io_threads)) as pool:
        samples = list(pool.map(lambda file: _sample(spec, *file), files))
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
    return np.flatnonzero(_shared(index, "shape") & (facts["pixels"] == 0))


def _shared(index: Index, name: str) -> NDArray[np.bool_]:
    """Whole slides that agree in a fact with another."""
    values = index.facts[name]
    chosen = index.facts["ok"] & (values > 0)
    ordered = values[chosen]
    ordered.sort()
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return chosen & np.isin(values, again) if again.size else np.zeros(len(values), np.bool_)


@dataclass(frozen=True)
class Grouping:
    """What belongs together.

    Attributes:
        changed: by row of the index, ``scan_group`` and ``duplicate_of`` that are no longer what the table says.
        findings: the same pixels under the numbers of several cases.
    """

    changed: dict[int, tuple[str | None, str | None]]
    findings: list[Finding]


def regrouped(catalog: Catalog, index: Index, patterns: Mapping[str, tuple[str, ...]]) -> Grouping:
    """Find what belongs together; ``patterns`` are the accession patterns of each site.

    Slides with the same pixels, and re-encoded copies of them (the same thumbnail within one site), duplicate the first of
    them in order of site, archive and path. Rescans (one barcode that names the glass, and no other stain) share the group
    without being duplicates. Whole slides only.
    """
    pairs = list(_lookalikes(catalog, index))
    rows = _read(catalog, index, _candidates(index, pairs), patterns)
    whole = [row for row in rows if row["status"] == "ok"]
    whole.sort(key=lambda row: (row["site"], row["archive"], row["relpath"]))
    same = _Sets(len(whole))
    copies = _Sets(len(whole))
    findings: list[Finding] = []
    for members in _alike(whole, lambda row: row["pixel_fingerprint"]):
        copies.join(members)
        findings += _two_cases([whole[at] for at in members], patterns)
    for members in _rescans(whole):
        same.join(members)
    place = {row["at"]: number for number, row in enumerate(whole)}
    for pair in pairs:
        copies.join(place[at] for at in pair)
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


def _candidates(index: Index, pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    facts = index.facts
    chosen = facts["grouped"].copy()
    for name in ("pixels", "glass"):
        chosen |= _shared(index, name)
    chosen[[at for pair in pairs for at in pair]] = True
    return np.flatnonzero(chosen & ~facts["gone"])


def _lookalikes(catalog: Catalog, index: Index) -> Iterator[tuple[int, int]]:
    """Pairs of one site whose thumbnails look the same and whose proportions agree: copies in another encoding.

    Compared are slides that agree in 12 bits of their hashes at one of 21 places. Hashes that differ in 24 bits, as copies
    do at most, agree in one of them 1,999 times of 2,000.
    """
    chosen = np.flatnonzero(index.facts["looks"] & index.facts["ok"] & ~index.facts["gone"])
    if len(chosen) < 2:
        return
    rows = list(_columns(catalog, index, chosen, ("site", "width", "height", "thumbnail_hash")))
    rows = [(at, row) for at, row in rows if row["width"] and row["height"]]
    at = np.array([number for number, _ in rows], np.int64)
    hashes = np.array([np.frombuffer(bytes.fromhex(row["thumbnail_hash"]), np.uint8) for _, row in rows])
    sites = np.unique([row["site"] for _, row in rows], return_inverse=True)[1].astype(np.int64)
    ratio = np.log(np.array([row["width"] / row["height"] for _, row in rows]))
    seen: set[tuple[int, int]] = set()
    for shift in (0.0, 0.5):
        # Twice, with the steps half a step apart, so that no two that agree fall on two sides of both.
        step = np.floor(ratio / (2 * _SAME_RATIO) + shift).astype(np.int64) + (1 << 20)
        for value in _bands(hashes):
            for members in _equal(sites << 40 | step << 16 | value):
                distance = np.unpackbits(hashes[members][:, None] ^ hashes[members][None], axis=2).sum(axis=2)
                near = distance <= SAME_THUMBNAIL
                near &= np.abs(ratio[members][:, None] - ratio[members][None]) <= _SAME_RATIO
                for one, other in zip(*np.nonzero(np.triu(near, 1)), strict=True):
                    pair = int(at[members[one]]), int(at[members[other]])
                    if pair not in seen:
                        seen.add(pair)
                        yield pair


def _bands(hashes: NDArray[np.uint8]) -> Iterator[NDArray[np.int64]]:
    """Twelve bits at a time of the hashes."""
    powers = 1 << np.arange(_BAND_BITS)
    for start in range(0, hashes.shape[1] * 8 - _BAND_BITS + 1, _BAND_BITS):
        first, last = start // 8, (start + _BAND_BITS - 1) // 8
        bits = np.unpackbits(hashes[:, first : last + 1], axis=1)[:, start - 8 * first :][:, :_BAND_BITS]
        yield bits.astype(np.int64) @ powers


def _equal(keys: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Places of equal keys, for keys that some but not too many share."""
    order = np.argsort(keys, kind="stable")
    bounds = np.flatnonzero(np.diff(keys[order])) + 1
    for members in np.split(order, bounds):
        if 1 < len(members) <= _MOST_ALIKE:
            yield members


def _columns(
    catalog: Catalog, index: Index, chosen: NDArray[np.int64], columns: tuple[str, ...]
) -> Iterator[tuple[int, Row]]:
    for number, name in enumerate(index.parts):
        members = chosen[index.part[chosen] == number]
        if members.size:
            data = catalog.part(index.table, name, columns).take(index.row[members])
            yield from zip(members.tolist(), data.to_pylist(), strict=True)


def _read(catalog: Catalog, index: Index, chosen: NDArray[np.int64], patterns: Mapping[str, tuple[str, ...]]) -> list[Row]:
    """Rows, each with its first number of a case and with what its barcode says of a block, ``None`` if of no number."""
    rows = [{**row, "at": at, "number": None, "blocks": None} for at, row in _columns(catalog, index, chosen, _NARROW)]
    for site in sorted({row["site"] for row in rows}):
        members = [row for row in rows if row["site"] == site]
        used = patterns.get(site, DEFAULT_PATTERNS)
        first = find_numbers(pa.array([row["accession_raw"] for row in members], pa.string()).fill_null(""), used)
        for at, key in zip(reversed(first.text.tolist()), reversed(first.key.to_pylist()), strict=True):
            members[at]["number"] = key
        glass = find_numbers(pa.array([row["barcode"] for row in members], pa.string()).fill_null(""), used)
        for at, block in zip(glass.text.tolist(), glass.block.to_pylist(), strict=True):
            members[at]["blocks"] = [*(members[at]["blocks"] or ()), block]
    return rows


def _alike(rows: Sequence[Row], key: Any) -> Iterator[list[int]]:
    """Positions of rows that agree in a key; nothing is alike that has none."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if (value := key(row)) is not None:
            groups[value].append(at)
    return (members for members in groups.values() if len(members) > 1)


def _glass(row: Row) -> tuple[str, ...] | None:
    """What names the glass: a barcode that says more than the case, with the stain."""
    if row["barcode"] is None or not names_glass(row["barcode"], row["blocks"]):
        return None
    return row["site"], row["barcode"], row["stain"] or ""


def names_glass(barcode: str, blocks: Sequence[str | None] | None) -> bool:
    """Whether a barcode says more than which case it is: a block beside the accession number, or a serial number.

    A word or a single digit is none: some scanners write one and the same into every header.

    Args:
        barcode: the barcode.
        blocks: what stands with each of its accession numbers; None if it has none.
    """
    if blocks:
        return any(block is not None for block in blocks)
    signs = [char for char in barcode if char.isalnum()]
    return len(signs) >= _LEAST_SERIAL and any(char.isdigit() for char in signs)


def _rescans(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Positions of slides of one glass; a barcode under which many cases lie is the scanner's or the rack's."""
    for members in _alike(rows, _glass):
        if len({rows[at]["number"] for at in members} - {None}) <= _MOST_CASES:
            yield members


def _two_cases(rows: Sequence[Row], patterns: Mapping[str, tuple[str, ...]]) -> Iterator[Finding]:
    """A finding if the same pixels lie under numbers of different cases."""
    if len({row["number"] for row in rows} - {None}) < 2:
        return
    named = [(row, keys) for row in rows if (keys := _all_numbers(row, patterns.get(row["site"], DEFAULT_PATTERNS)))]
    if set.intersection(*(keys for _, keys in named)):
        return
    first = named[0][0]
    for row, keys in named[1:]:
        if not keys & named[0][1]:
            message = (
                f"slide {row['slide_id']} has the same pixels as slide {first['slide_id']}, but another case's number: "
                "one of the two is filed under the wrong case"
            )
            yield Finding(
                "scan.pixels_of_two_cases", Severity.ERROR, message, stage="scan", site=row["site"], table="slides",
                column="accession_raw", subject=row["slide_id"],
            )  # fmt: skip


def _all_numbers(row: Row, patterns: tuple[str, ...]) -> set[str]:
    names = read_names(
        row["relpath"], row["barcode"], row["label_text"], row["metadata_texts"], AccessionPatterns(patterns)
    )  # fmt: skip
    return {key.key for key in names.keys}


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

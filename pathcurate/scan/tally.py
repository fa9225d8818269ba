"""What a scan has seen, counted from the tables as they are at its end."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pathcurate.model.finding import Finding, Severity
from pathcurate.model.series import SERIES
from pathcurate.pseudonyms import opaque_code
from pathcurate.scan.index import Row, as_digests, place_digest
from pathcurate.scan.known import SERIES_PART, SLIDE_PART, Known
from pathcurate.scan.listing import Listing
from pathcurate.tables import Catalog

_SEVERITIES: Final = {
    "not_a_slide": Severity.WARNING, "unsupported": Severity.WARNING, "lfs_pointer": Severity.WARNING,
    "offline": Severity.INFO,
}  # fmt: skip
_NARROW: Final = ("slide_id", "site", "relpath", "archive", "status", "status_detail", "duplicate_of", "odd_values")


@dataclass(frozen=True)
class Tally:
    """Numbers of a scan.

    Attributes:
        slides: rows of the index of slides that the scan saw.
        statuses: these by status.
        further_files: files of merged slides beyond the first of each.
        instances: files of series.
        series: series of which a file is there.
        gone: known slides that are no longer there.
        lists: rows of the index of files that are a DICOMDIR which names files that are not there.
    """

    slides: NDArray[np.int64]
    statuses: Mapping[str, int]
    further_files: int
    instances: int
    series: frozenset[str]
    gone: int
    lists: NDArray[np.int64]
    _known: Known

    @property
    def found(self) -> int:
        """Slides seen."""
        return len(self.slides)

    @classmethod
    def of(
        cls, catalog: Catalog, known: Known, listings: Sequence[Listing], others: Collection[tuple[str, str]] = ()
    ) -> "Tally":
        """Count what lies in the listed archives, but for folders that could not be listed, and what is known of others."""
        places = {listing.place: listing for listing in listings}
        listed = np.array([place in places or place in others for place in known.archives.values()] or [False], np.bool_)
        seen = {}
        for name, index in (("slides", known.slides), ("files", known.files)):
            here = listed[index.facts["archive"]] & ~index.facts["gone"]
            if any(listing.has_hidden for listing in listings):
                for at, row in index.rows(catalog, np.flatnonzero(here)):
                    listing = places.get((row["site"], row["archive"]))
                    here[at] = listing is None or not listing.is_hidden(row["relpath"])
            seen[name] = here
        facts, ids = known.files.facts, known.files.ids
        parts = seen["files"] & (facts["kind"] == SLIDE_PART)
        instances = seen["files"] & (facts["kind"] == SERIES_PART)
        owners = np.unique(ids[parts])
        singles = seen["slides"] & ~known.slides.facts["merged"]
        merged = known.slides.facts["merged"] & ~known.slides.facts["gone"] & np.isin(known.slides.ids, owners)
        slides = np.flatnonzero(singles | merged)
        names = known.statuses.values()
        codes, counts = np.unique(known.slides.facts["status"][slides], return_counts=True)
        statuses = {names[code]: int(count) for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}
        series = frozenset(code.decode() for code in np.unique(ids[instances]).tolist())
        gone = int((known.slides.facts["gone"] & listed[known.slides.facts["archive"]]).sum())
        return cls(
            slides,
            dict(sorted(statuses.items())),
            int(parts.sum()) - len(owners),
            int(instances.sum()),
            series,
            gone,
            np.flatnonzero(seen["files"] & facts["lists"]),
            known,
        )

    def slides_with(self, places: Sequence[bytes]) -> int:
        """How many merged slides have a file in one of these places."""
        if not places:
            return 0
        at = self._known.files.find(as_digests(list(places)))
        return len(np.unique(self._known.files.ids[at[at >= 0]]))


def slide_findings(catalog: Catalog, known: Known, tally: Tally) -> Iterator[Finding]:
    """What is wrong with the slides and series that the scan saw."""
    facts = known.slides.facts
    odd = tally.slides[~facts["ok"][tally.slides] | facts["grouped"][tally.slides] | facts["odd"][tally.slides]]
    for number, name in enumerate(known.slides.parts):
        members = odd[known.slides.part[odd] == number]
        if members.size:
            data = catalog.part(known.slides.table, name, _NARROW).take(known.slides.row[members])
            for row in data.to_pylist():
                yield from _row_findings(row)
    series = catalog.read(SERIES, columns=("series_id", "site", "status", "status_detail"))
    bad = series.filter(pc.invert(pc.is_in(series["status"], pa.array(["ok", "gone"]))))
    yield from (_series_finding(row) for row in bad.to_pylist() if row["series_id"] in tally.series)
    yield from (_directory_finding(row) for _, row in known.files.rows(catalog, tally.lists))


def _row_findings(row: Row) -> Iterator[Finding]:
    common = {"stage": "scan", "site": row["site"], "table": "slides", "subject": row["slide_id"]}
    if row["status"] != "ok":
        kind = row["status"].partition(":")[0]
        detail = f" ({row['status_detail']})" if row["status_detail"] else ""
        message = f"slide {row['slide_id']}: {row['status'].replace('_', ' ')}{detail}"
        yield Finding(f"scan.{kind}", _SEVERITIES.get(kind, Severity.ERROR), message, column="status", **common)
    if row["odd_values"]:
        names = ", ".join(row["odd_values"])
        message = f"slide {row['slide_id']}: the header's {names} cannot be true and was left out"
        yield Finding("scan.absurd_value", Severity.WARNING, message, column=row["odd_values"][0], **common)
    if row["duplicate_of"] is not None:
        message = f"slide {row['slide_id']} has the same pixels as slide {row['duplicate_of']}"
        yield Finding("scan.shared_pixels", Severity.WARNING, message, column="duplicate_of", **common)


def _directory_finding(row: Row) -> Finding:
    code = opaque_code("G", place_digest(row["site"], row["archive"], row["relpath"]))
    message = f"a DICOMDIR below archive {row['archive']}: {row['status_detail']}"
    common = {"stage": "scan", "site": row["site"], "table": "files", "subject": code}
    return Finding("scan.dicomdir", Severity.WARNING, message, column="status", **common)


def _series_finding(row: Row) -> Finding:
    message = f"series {row['series_id']} is {row['status']} ({row['status_detail']})"
    common = {"stage": "scan", "site": row["site"], "table": "series", "subject": row["series_id"]}
    return Finding(f"scan.{row['status']}", Severity.ERROR, message, column="status", **common)

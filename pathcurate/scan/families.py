"""Parts become slides and series: of all files only the families in which something has changed are merged again."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pathcurate.model.series import SERIES
from pathcurate.model.slide import FILES, SLIDES
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import READER_VERSIONS
from pathcurate.scan.groups import (
    Family,
    Place,
    SlideGroup,
    keep_names,
    place_of,
    series_code,
    series_rows,
    slide_groups,
    sums,
)
from pathcurate.scan.index import Index, Row, RowReader, as_digests, place_digest
from pathcurate.scan.kernels import ScanSpec, content_key, free_id, looked_at, names_columns
from pathcurate.scan.known import GROUP_READER, SERIES_PART, SLIDE_PART, Known, read_files
from pathcurate.scan.rows import carried, differs, moved_columns
from pathcurate.scan.settle import dropped
from pathcurate.tables import Catalog, from_rows

_BUCKET_ROWS: Final = 20_000


class Families:
    """One merging of what has changed.

    Attributes:
        moved: merged slides that were found again under other paths, by site.
    """

    def __init__(
        self,
        catalog: Catalog,
        before: Known,
        spec: ScanSpec,
        listed: NDArray[np.bool_],
        configured: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Look what has changed.

        Args:
            catalog: the catalog.
            before: what was known before the scan.
            spec: the archives that were looked at.
            listed: by number of archive, whether it was looked at to its end.
            configured: site and name of every archive of the workspace; slides of others may be found again in these.
        """
        files = before.files
        if catalog.state(FILES) != files.state:
            files = read_files(catalog, before.archives)
        self._catalog = catalog
        self._before = before
        self._files = files
        self._spec = spec
        self._listed = listed
        self._slide_rows = RowReader(catalog, before.slides)
        touched = _touched(before.files, files)
        codes = before.archives.values()
        places = set(spec.places)
        here = np.array([place in places for place in codes] or [False], np.bool_)[files.facts["archive"]]
        self._is_dropped = is_dropped = dropped(codes, configured)
        is_part = files.facts["kind"] <= SERIES_PART
        is_touched = is_part & np.isin(files.facts["family"], touched)
        self._changed = is_touched & here
        self._left = np.flatnonzero(is_touched & ~here & files.facts["merged"])
        self._dropped = np.flatnonzero(is_part & is_dropped[files.facts["archive"]])
        stands = is_part & ~is_touched & ~is_dropped[files.facts["archive"]]
        kept = files.ids[stands & (files.facts["kind"] == SLIDE_PART)]
        self._kept: set[bytes] = set(kept.tolist()) - {b""}
        facts = before.slides.facts
        self._merged = np.flatnonzero(facts["merged"] & listed[facts["archive"]])
        lost = np.flatnonzero(facts["merged"] & (listed | is_dropped[: len(listed)])[facts["archive"]])
        owners = np.unique(files.ids[is_part & ~is_dropped[files.facts["archive"]]])
        lost = lost[~np.isin(before.slides.ids[lost], owners)]
        self._lost: dict[int, list[int]] = defaultdict(list)
        for at in lost:
            self._lost[int(facts["content"][at])].append(int(at))
        self._used: set[str] = {code.decode() for code in self._kept}
        self._given: set[bytes] = set()
        is_series = files.facts["kind"] == SERIES_PART
        self._series_seen: set[bytes] = set(files.ids[is_series & stands].tolist())
        self._series_known: set[bytes] = set(files.ids[is_series & self._changed].tolist()) - {b""}
        self._all_series: set[str] | None = None
        self.moved: Counter[str] = Counter()

    def merge(self) -> None:
        """Merge, and keep what came of it."""
        # What moved files have left behind in an archive that is not scanned is merged when it is.
        rows = self._files.rows(self._catalog, self._left)
        self._catalog.upsert(FILES, from_rows(FILES, ({**row, "owner": None, "merged": False} for _, row in rows)))
        for bucket in self._buckets():
            families = self._read(bucket)
            groups = slide_groups(families)
            keep_names(groups, self._standing(groups), self._used)
            slides = [row for group in groups if (row := self._slide(group)) is not None]
            slides += self._absorbed(families)
            series = self._named_series(families)
            for is_new in (True, False):
                some = [row for row in slides if (self._at_id(row["slide_id"]) is None) == is_new]
                self._catalog.upsert(SLIDES, from_rows(SLIDES, some), only_adds=is_new)
            self._keep_series([row for row, _ in series])
            owned = [(file, group.slide_id) for group in groups for file in group.files]
            owned += [(file, row["series_id"]) for row, files in series for file in files]
            self._own(owned)
        self._catalog.upsert(SLIDES, from_rows(SLIDES, self._gone_slides()))
        self._gone_series()
        given = np.array([*self._given, *self._series_seen], "S18")
        left = self._dropped[np.isin(self._files.ids[self._dropped], given)] if len(given) else self._dropped[:0]
        rows = self._files.rows(self._catalog, left)
        self._catalog.upsert(FILES, from_rows(FILES, ({**row, "owner": None, "merged": False} for _, row in rows)))

    def _buckets(self) -> Iterator[NDArray[np.int64]]:
        """Files to be merged, whole families together, a bounded number at a time."""
        chosen = np.flatnonzero(self._changed)
        count = len(chosen) // _BUCKET_ROWS + 1
        number = self._files.facts["family"][chosen] % np.uint64(count)
        for bucket in range(count):
            if (members := chosen[number == bucket]).size:
                yield members

    def _read(self, chosen: NDArray[np.int64]) -> dict[Family, list[Row]]:
        families: dict[Family, list[Row]] = defaultdict(list)
        for _, row in self._files.rows(self._catalog, chosen):
            group = row["group"] if row["group"] is not None else f"file {row['relpath'].hex()}"
            families[row["site"], row["archive"], row["kind"], group].append(row)
        return {family: sorted(families[family], key=place_of) for family in sorted(families)}

    def _standing(self, groups: Sequence[SlideGroup]) -> dict[Place, str]:
        """Names of the slides that stood where these files are; not of slides of one file that stand there still."""
        places = [place_of(file) for group in groups for file in group.files]
        return {place: self._before.slides.ids[at].decode() for place, at in self._slides_at(places)}

    def _slides_at(self, places: Sequence[Place]) -> Iterator[tuple[Place, int]]:
        found = self._before.slides.find(as_digests([place_digest(*place) for place in places]))
        return ((place, int(at)) for place, at in zip(places, found, strict=True) if at >= 0)

    def _slide(self, group: SlideGroup) -> Row | None:
        """The row of a slide; None if it stands as it was."""
        row = self._merged_row(group)
        if group.slide_id is None:
            group.slide_id = self._identify(row)
        self._given.add(group.slide_id.encode())
        row["slide_id"] = group.slide_id
        at = self._at_id(group.slide_id)
        if at is None:
            return row
        before = self._slide_rows[at]
        if place_of(before) != place_of(row) and not self._is_there(before):
            row |= moved_columns(before)
            self.moved[row["site"]] += 1
        row = carried(row, before)
        return row if differs(row, before) else None

    def _is_there(self, row: Row) -> bool:
        """Whether a file still lies where a slide was, so that it has another main file but has not moved."""
        at = int(self._files.find(as_digests([place_digest(*place_of(row))]))[0])
        return at >= 0 and not self._is_dropped[self._files.facts["archive"][at]]

    def _merged_row(self, group: SlideGroup) -> Row:
        header, main = group.header, group.main
        number = self._spec.root_number(main)
        row: Row = dict.fromkeys(SLIDES.names)
        # Lists, as the table gives them back.
        row |= {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(header).items()}
        row |= {name: main[name] for name in ("site", "archive", "relpath")}
        row |= names_columns(row, self._spec.patterns[number], self._spec.rules[number])
        row |= sums(group.files)
        row |= looked_at(self._spec.roots[number].uri(main["relpath"]))
        row["barcode_source"], row["barcode_confidence"] = ("header", 1.0) if header.barcode else (None, None)
        row["label_text_source"], row["label_text_confidence"] = ("header", 1.0) if header.label_text else (None, None)
        return {**row, "reader": GROUP_READER, "reader_version": READER_VERSIONS[GROUP_READER]}

    def _identify(self, row: Row) -> str:
        same = self._lost.get(content_key(row), [])
        if len(same) == 1:
            slide_id = str(self._before.slides.ids[same.pop()].decode())
            self._used.add(slide_id)
            return slide_id
        slide_id = free_id(row, lambda code: code in self._used or self._before.slides.has_id(code))
        self._used.add(slide_id)
        return slide_id

    def _at_id(self, slide_id: str) -> int | None:
        return self._before.slides.at_id(slide_id.encode())

    def _absorbed(self, families: Mapping[Family, Sequence[Row]]) -> Iterator[Row]:
        """Slides of one file whose file is a part now."""
        facts = self._before.slides.facts
        places = [place_of(file) for files in families.values() for file in files]
        for _, at in self._slides_at(places):
            is_single = not facts["merged"][at] and not facts["gone"][at]
            if is_single and bytes(self._before.slides.ids[at]) not in self._given:
                detail = "a part of another slide or series now"
                yield {**self._slide_rows[at], "status": "gone", "status_detail": detail}

    def _named_series(self, families: Mapping[Family, Sequence[Row]]) -> list[tuple[Row, Sequence[Row]]]:
        """Rows of series and their files; a series that has moved to another archive keeps its name."""
        named = []
        for row, files in sorted(series_rows(families), key=lambda one: (-len(one[1]), place_of(one[0]))):
            owners = Counter(code for file in files if (code := file["owner"]) is not None)
            wishes = sorted(owners, key=lambda code: (-owners[code], code))
            name = next((code for code in wishes if code.encode() not in self._series_seen), None)
            name = name or self._lost_series(row["series_id"], files[0]) or row["series_id"]
            while name not in owners and name.encode() in self._series_seen | self._series_known:
                name = opaque_code("I", hashlib.sha256(name.encode()).digest())
            self._series_seen.add(name.encode())
            named.append(({**row, "series_id": name}, files))
        return named

    def _lost_series(self, own: str, file: Row) -> str | None:
        """The name that a series had in its place, or in an archive of its site where it is no more."""
        if self._all_series is None:
            codes = self._catalog.read(SERIES, columns=["series_id"])["series_id"]
            self._all_series = {str(code) for code in codes.to_pylist()}
        archives = [archive for site, archive in self._before.archives.values() if site == file["site"]]
        group = file["group"]
        for code in (own, *(series_code(file["site"], one, group) for one in archives if group is not None)):
            if code in self._all_series and code.encode() not in self._series_seen | self._series_known:
                return code
        return None

    def _own(self, owned: Iterable[tuple[Row, str | None]]) -> None:
        """Say whose parts these files are."""
        rows = [
            {**file, "owner": owner, "merged": True}
            for file, owner in owned
            if file["owner"] != owner or not file["merged"]
        ]  # fmt: skip
        self._catalog.upsert(FILES, from_rows(FILES, rows))

    def _gone_slides(self) -> Iterator[Row]:
        """Merged slides none of whose files is there any more, or that other slides have taken over."""
        facts, ids = self._before.slides.facts, self._before.slides.ids
        alive = self._kept | self._given
        for at in self._merged:
            if not facts["gone"][at] and bytes(ids[at]) not in alive:
                yield {**self._slide_rows[int(at)], "status": "gone", "status_detail": None}

    def _keep_series(self, rows: Sequence[Row]) -> None:
        known = {row["series_id"]: row for row in self._series([row["series_id"] for row in rows])}
        now = datetime.now(UTC).replace(tzinfo=None)
        changed = [
            {**row, "scanned_at": now}
            for row in rows
            if (before := known.get(row["series_id"])) is None or any(before[name] != value for name, value in row.items())
        ]
        self._catalog.upsert(SERIES, from_rows(SERIES, changed))

    def _series(self, wanted: Sequence[str]) -> list[Row]:
        if not wanted:
            return []
        found: dict[str, Row] = {}
        for _, data in self._catalog.parts(SERIES, SERIES.names):
            chosen = data.filter(pc.is_in(data["series_id"], pa.array(wanted, pa.string())))
            found.update((row["series_id"], row) for row in chosen.to_pylist())
        return list(found.values())

    def _gone_series(self) -> None:
        """Series none of whose files is there any more."""
        names = ["series_id", "site", "archive", "status"]
        places = {place for place, listed in zip(self._before.archives.values(), self._listed, strict=False) if listed}
        left = [
            row["series_id"]
            for row in self._catalog.read(SERIES, columns=names).to_pylist()
            if row["status"] != "gone"
            and row["series_id"].encode() not in self._series_seen
            and (row["site"], row["archive"]) in places
        ]
        rows = [{**row, "status": "gone", "status_detail": None} for row in self._series(left)]
        self._catalog.upsert(SERIES, from_rows(SERIES, rows))


def _touched(before: Index, now: Index) -> NDArray[np.uint64]:
    """Families that have a new file, or whose file has changed, vanished or gone to another family."""
    touched = [now.facts["family"][~now.facts["merged"] & (now.facts["kind"] <= SERIES_PART)]]
    was_part = np.flatnonzero(before.facts["kind"] <= SERIES_PART)
    at = now.find(before.places[was_part])
    family = before.facts["family"][was_part]
    is_same = at >= 0
    is_same[is_same] = now.facts["family"][at[is_same]] == family[is_same]
    touched.append(family[~is_same])
    return np.unique(np.concatenate(touched))

"""What the scan remembers of files that are no slides by themselves, and the slides and series that parts make.

A part's facts are kept with its file. So when a file of a group changes, appears or vanishes, the group is merged again
from what is known, and only that file is opened.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pathcurate.digests import canonical_json
from pathcurate.model.slide import FILES, Part, SlideHeader
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import dicom
from pathcurate.scan.merging import Instance, merge_series, merge_slides
from pathcurate.tables import Catalog, from_rows

Row = dict[str, Any]
Place = tuple[str, str, bytes]
Family = tuple[str, str, str, str]
"""Site, archive, kind and group: the files that are merged together, into one slide or series or several slides."""

GROUP_READER = dicom.NAME
"""Reader of the slides that are merged from parts."""
_PARTS = frozenset({"slide_part", "series_part"})


def place_of(row: Row) -> Place:
    """Where a row's file, or the file that stands for it, lies."""
    return row["site"], row["archive"], row["relpath"]


def is_merged(row: Row) -> bool:
    """Whether a slide was merged from parts, so that its files are remembered apart."""
    return bool(row["reader"] == GROUP_READER)


@dataclass
class SlideGroup:
    """A slide made of parts, before it has a name.

    Attributes:
        header: its header.
        main: the file that stands for it.
        files: all of its files.
        slide_id: its name, once it is known.
    """

    header: SlideHeader
    main: Row
    files: list[Row]
    slide_id: str | None = None

    def candidates(self) -> Iterator[tuple[int, str]]:
        """Slides that its files belonged to, those with the most files first."""
        owners = Counter(file["owner"] for file in self.files if file["owner"] is not None)
        return ((count, owner) for owner, count in sorted(owners.items(), key=lambda item: (-item[1], item[0])))


@dataclass
class Memory:
    """The ``files`` table of the sites that are scanned, and what has changed of it.

    Attributes:
        files: by place.
    """

    files: dict[Place, Row]
    _others: list[Row]
    _changed: set[Family] = field(default_factory=set)
    _pending: dict[Place, Row] = field(default_factory=dict)

    @classmethod
    def read(cls, catalog: Catalog, sites: Collection[str]) -> "Memory":
        """The memory of these sites."""
        rows = catalog.read(FILES).to_pylist()
        return cls(
            {place_of(row): row for row in rows if row["site"] in sites}, [row for row in rows if row["site"] not in sites]
        )

    def part_at(self, place: Place) -> Row | None:
        """The part that a place held when it was last read."""
        row = self.files.get(place)
        return row if row is not None and row["kind"] in _PARTS else None

    def remember(self, row: Row) -> None:
        """Take in a file that was read; what it was a part of before is kept, so that its slide can keep its name."""
        place = place_of(row)
        row = {**dict.fromkeys(FILES.names), **row, "merged": row["kind"] not in _PARTS}
        before = self.files.get(place, row)
        if before is not row and {**row, "owner": before["owner"], "merged": before["merged"]} == before:
            return
        row["owner"] = before["owner"] if row["kind"] in _PARTS else None
        self.forget(place)
        self.files[place] = self._pending[place] = row
        self._touch(row)

    def forget(self, place: Place) -> None:
        """A file is gone, or is a slide by itself now."""
        before = self.files.pop(place, None)
        self._pending.pop(place, None)
        if before is not None:
            self._touch(before)

    def _touch(self, row: Row) -> None:
        if row["kind"] in _PARTS:
            self._changed.add(_family(row))

    def commit(self, catalog: Catalog) -> None:
        """Keep what was read so far."""
        catalog.upsert(FILES, from_rows(FILES, self._pending.values()))
        self._pending.clear()

    def changed_families(self) -> dict[Family, list[Row]]:
        """Files of the groups that are to be merged (again), in order of path; empty for a group that has none left."""
        for row in self.files.values():
            if not row["merged"]:
                self._touch(row)
        families: dict[Family, list[Row]] = {family: [] for family in sorted(self._changed)}
        for place in sorted(self.files):
            row = self.files[place]
            if row["kind"] in _PARTS and (family := _family(row)) in families:
                families[family].append(row)
        return families

    def own(self, files: Iterable[Row], owner: str) -> None:
        """Say whose parts these files are."""
        for row in files:
            self.files[place_of(row)] = {**row, "owner": owner, "merged": True}

    def owners(self, kind: str, without: Collection[Family] = ()) -> dict[str, list[Place]]:
        """Places of the files of each slide or series, but for those of some families."""
        places: dict[str, list[Place]] = defaultdict(list)
        for place, row in self.files.items():
            if row["kind"] == kind and row["owner"] is not None and _family(row) not in without:
                places[row["owner"]].append(place)
        return places

    def save(self, catalog: Catalog) -> None:
        """Make this the ``files`` table."""
        rows = sorted((*self._others, *self.files.values()), key=place_of)
        catalog.replace(FILES, from_rows(FILES, rows))


def _family(row: Row) -> Family:
    # A part that names no series belongs to no other file.
    group = row["group"] if row["group"] is not None else f"file {row['relpath'].hex()}"
    return row["site"], row["archive"], row["kind"], group


def slide_groups(families: Mapping[Family, Sequence[Row]]) -> list[SlideGroup]:
    """The slides that the parts of these families make."""
    return [
        group for (_, _, kind, _), files in families.items() if kind == "slide_part" and files for group in _merge(files)
    ]


def _merge(files: Sequence[Row]) -> Iterator[SlideGroup]:
    by_path = {file["relpath"]: file for file in files}
    for merged in merge_slides(map(_instance, files)):
        yield SlideGroup(merged.header, by_path[merged.main], [by_path[path] for path in merged.paths])


def keep_names(groups: Sequence[SlideGroup], known: Mapping[Place, Row], taken: Collection[str]) -> None:
    """Give each group the name of the slide to which most of its files belonged, or that stood where one of them stands.

    Args:
        groups: the groups.
        known: slides by place.
        taken: names of slides of which nothing has changed.
    """
    used = set(taken)
    # A slide that is split between two groups goes with the larger one.
    wishes = sorted(
        ((-count, place_of(group.main), name, group) for group in groups for count, name in group.candidates()),
        key=lambda wish: wish[:3],
    )
    standing = (
        (0, place_of(group.main), known[place]["slide_id"], group)
        for group in groups
        for place in map(place_of, (group.main, *group.files))
        if place in known
    )
    for _, _, name, group in (*wishes, *standing):
        if group.slide_id is None and name not in used:
            group.slide_id = name
            used.add(name)


def series_rows(families: Mapping[Family, Sequence[Row]]) -> Iterator[tuple[Row, Sequence[Row]]]:
    """Rows of ``series`` and their files."""
    for (site, archive, kind, group), files in families.items():
        if kind == "series_part" and files:
            code = opaque_code("I", hashlib.sha256(canonical_json([site, archive, group])).digest())
            columns = merge_series(map(_instance, files))
            yield {"series_id": code, "site": site, "archive": archive, **columns, **sums(files)}, files


def sums(files: Sequence[Row]) -> Row:
    """What is added up over the files of a slide or series."""
    return {
        "file_count": len(files),
        "size_bytes": sum(file["size_bytes"] for file in files),
        "mtime": max((file["mtime"] for file in files if file["mtime"] is not None), default=None),
    }


def _instance(file: Row) -> Instance:
    facts = json.loads(file["part"]) if file["part"] is not None else {}
    part = Part(file["kind"], file["group"], file["status"], file["status_detail"], facts)
    return Instance(file["relpath"], part)

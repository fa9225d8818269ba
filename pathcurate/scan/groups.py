"""The slides and series that parts make.

A part's facts are kept with its file, in the table ``files``. So when a file of a group changes, appears or vanishes, the
group is merged again from what is known, and only that file is opened.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pathcurate.digests import canonical_json
from pathcurate.model.slide import Part, SlideHeader
from pathcurate.pseudonyms import opaque_code
from pathcurate.scan.merging import Instance, merge_series, merge_slides

Row = dict[str, Any]
Place = tuple[str, str, bytes]
Family = tuple[str, str, str, str]
"""Site, archive, kind and group: the files that are merged together, into one slide or series or several slides."""


def place_of(row: Row) -> Place:
    """Where a row's file, or the file that stands for it, lies."""
    return row["site"], row["archive"], row["relpath"]


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


def slide_groups(families: Mapping[Family, Sequence[Row]]) -> list[SlideGroup]:
    """The slides that the parts of these families make."""
    return [group for (_, _, kind, _), files in families.items() if kind == "slide_part" for group in _merge(files)]


def _merge(files: Sequence[Row]) -> Iterator[SlideGroup]:
    by_path = {file["relpath"]: file for file in files}
    for merged in merge_slides(map(_instance, files)):
        yield SlideGroup(merged.header, by_path[merged.main], [by_path[path] for path in merged.paths])


def keep_names(groups: Sequence[SlideGroup], standing: Mapping[Place, str], used: set[str]) -> None:
    """Give each group the name of the slide to which most of its files belonged, or that stood where one of them stands.

    Args:
        groups: the groups.
        standing: names of known slides by place.
        used: names that are no longer free; those that are given join them.
    """
    # A slide that is split between two groups goes with the larger one.
    wishes = sorted(
        ((-count, place_of(group.main), name, group) for group in groups for count, name in group.candidates()),
        key=lambda wish: wish[:3],
    )
    here = (
        (0, place_of(group.main), standing[place], group)
        for group in groups
        for place in map(place_of, (group.main, *group.files))
        if place in standing
    )
    for _, _, name, group in (*wishes, *here):
        if group.slide_id is None and name not in used:
            group.slide_id = name
            used.add(name)


def series_code(site: str, archive: str, group: str) -> str:
    """The name of a series that is met for the first time."""
    return opaque_code("I", hashlib.sha256(canonical_json([site, archive, group])).digest())


def series_rows(families: Mapping[Family, Sequence[Row]]) -> Iterator[tuple[Row, Sequence[Row]]]:
    """Rows of ``series`` and their files."""
    for (site, archive, kind, group), files in families.items():
        if kind == "series_part":
            code = series_code(site, archive, group)
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

"""What only the end of a walk shows: which known slides have moved, and which are gone."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.model.column import Table
from pathcurate.model.slide import ARRIVALS, FILES, SLIDES
from pathcurate.scan.index import Index, Row, RowReader
from pathcurate.scan.kernels import ScanSpec, first_id, names_columns
from pathcurate.scan.known import PARTS, Known, Relocation, read_arrivals
from pathcurate.scan.listing import Listing
from pathcurate.scan.rows import carried, has_label_reading, moved_columns
from pathcurate.tables import Catalog, from_rows

_SAVED_ROWS: Final = 20_000


class Settlement:
    """Settles arrivals against slides whose file is no longer where it was.

    Attributes:
        moved: slides found under a new path, by site.
    """

    def __init__(
        self, catalog: Catalog, known: Known, listings: Sequence[Listing], spec: ScanSpec, moves: Sequence[Relocation]
    ) -> None:
        self._catalog = catalog
        self._known = known
        self._listings = {listing.place: listing for listing in listings}
        self._spec = spec
        self._moves = moves
        self._rows = RowReader(catalog, known.slides)
        places = known.archives.values()
        listed = [place in self._listings and self._listings[place].is_whole for place in places]
        self.listed = np.array(listed or [False], np.bool_)
        self.moved: Counter[str] = Counter()

    def missing(self, index: Index) -> NDArray[np.int64]:
        """Rows whose file is no longer where it was.

        Not those below a folder that could not be listed, nor of an archive that was not looked at.
        """
        unseen = np.flatnonzero(~index.seen & self.listed[index.facts["archive"]])
        if not any(listing.has_hidden for listing in self._listings.values()):
            return unseen
        return np.array(
            [at for at, row in index.rows(self._catalog, unseen) if not self._is_hidden(row)], np.int64
        )  # fmt: skip

    def _is_hidden(self, row: Row) -> bool:
        listing = self._listings.get((row["site"], row["archive"]))
        return listing is None or listing.is_hidden(row["relpath"])

    def relocate(self, rewritten: NDArray[np.bool_]) -> None:
        """Write down where slides and files lie that were looked for, and found, in the part that was said to have moved."""
        index = self._known.slides
        chosen = np.flatnonzero(index.facts["moved"] & index.seen & ~index.facts["gone"])
        sites = [site for site, _ in self._known.archives.values()]
        self.moved.update(sites[archive] for archive in index.facts["archive"][chosen])
        chosen = chosen[~rewritten[chosen]]
        save(self._catalog, SLIDES, (self._relocated(row) for _, row in index.rows(self._catalog, chosen)))
        files = self._known.files
        here = np.flatnonzero(files.facts["moved"] & files.seen)
        save(self._catalog, FILES, (self._at_new_place(row) for _, row in files.rows(self._catalog, here)))
        save(self._catalog, FILES, (forgotten(row) for _, row in files.rows(self._catalog, here)))

    def _relocated(self, row: Row) -> Row:
        moved = self._at_new_place(row)
        number = self._spec.places.index((moved["site"], moved["archive"]))
        moved |= {**moved_columns(row), "uri": self._spec.roots[number].uri(moved["relpath"])}
        return {**moved, **names_columns(moved, self._spec.patterns[number], self._spec.rules[number])}

    def _at_new_place(self, row: Row) -> Row:
        place = next(new for move in self._moves if (new := move.applied(row["archive"], row["relpath"])) is not None)
        # A part is merged again, so that its slide learns where it lies.
        again = {"merged": False} if row.get("kind") in PARTS else {}
        return {**row, "archive": place[0], "relpath": place[1], **again}

    def settle(self) -> None:
        """Give arrivals the names of missing slides, or new ones; then mark what is left missing as gone.

        Arrivals of a site whose archives were not all walked to their end wait for the next scan.
        """
        index = self._known.slides
        arrivals = read_arrivals(self._catalog, self._known.archives)
        present = self._is_present(arrivals)
        missing = self.missing(index)
        missing = missing[~index.facts["merged"][missing]]
        # A killed run may have settled some and not cleared the table.
        at = index.find(arrivals.places)
        stands = at >= 0
        stands[stands] = ~index.facts["gone"][at[stands]] & index.seen[at[stands]]
        chosen = np.flatnonzero(present & ~stands & self._may_settle(arrivals))
        pairs = self._pairs(arrivals, chosen, missing)
        save(self._catalog, SLIDES, (self._named(at, row, pairs) for at, row in arrivals.rows(self._catalog, chosen)))
        waiting = np.flatnonzero(~self._may_settle(arrivals))
        rows = [row for _, row in arrivals.rows(self._catalog, waiting)]
        self._catalog.replace(ARRIVALS, from_rows(ARRIVALS, rows))
        left = np.setdiff1d(missing, np.array(list(pairs.values()), np.int64))
        left = left[~index.facts["gone"][left]]
        gone = ({**row, "status": "gone", "status_detail": None} for _, row in index.rows(self._catalog, left))
        save(self._catalog, SLIDES, gone)

    def _is_present(self, arrivals: Index) -> NDArray[np.bool_]:
        """Whether the file of each was met in this scan: by what this scan wrote, or where an earlier one's was seen."""
        before = self._known.arrivals
        is_new = np.array([name not in before.parts for name in arrivals.parts] or [False], np.bool_)
        at = before.find(arrivals.places)
        seen = at >= 0
        seen[seen] = before.seen[at[seen]]
        return is_new[arrivals.part] | seen if len(arrivals) else np.zeros(0, np.bool_)

    def _may_settle(self, arrivals: Index) -> NDArray[np.bool_]:
        """Whether all archives of each one's site were walked to their end, so that what is missing is known."""
        open_sites = {listing.site.code for listing in self._listings.values() if not listing.is_whole}
        sites = np.array([place[0] in open_sites for place in self._known.archives.values()] or [False], np.bool_)
        return ~sites[arrivals.facts["archive"]] if len(arrivals) else np.zeros(0, np.bool_)

    def _named(self, at: int, row: Row, pairs: dict[int, int]) -> Row:
        row = {name: row[name] for name in SLIDES.names}
        if at not in pairs:
            return {**row, "slide_id": self._free_id(row)}
        before = self._rows[pairs[at]]
        self.moved[row["site"]] += 1
        row = {**carried(row, before), **moved_columns(before)}
        if has_label_reading(row):
            number = self._spec.places.index((row["site"], row["archive"]))
            row |= names_columns(row, self._spec.patterns[number], self._spec.rules[number])
        return row

    def _free_id(self, row: Row) -> str:
        # A slide that was first seen here and has moved keeps its code, so its copy in its old place needs another.
        taken: list[str] = []
        while self._known.slides.at_id((slide_id := first_id(row, taken)).encode()) is not None:
            taken.append(slide_id)
        return slide_id

    def _pairs(self, arrivals: Index, chosen: NDArray[np.int64], missing: NDArray[np.int64]) -> dict[int, int]:
        """Arrival to the missing slide that it is.

        Of several missing slides with the same content one is chosen by its file name, or, when as many have arrived as
        are missing, by their order; else none, because nothing says which.
        """
        lost = _by_content(self._known.slides.facts["content"], missing)
        come = _by_content(arrivals.facts["content"], chosen)
        pairs: dict[int, int] = {}
        several: dict[int, tuple[list[int], list[int]]] = {}
        for content, new in come.items():
            old = lost.get(content, [])
            if len(old) == 1:
                # Of several copies that have arrived, one is the slide: the first, for want of a reason.
                pairs[new[0]] = old[0]
            elif old:
                several[content] = (new, old)
        if several:
            pairs |= self._by_name(arrivals, several)
        return pairs

    def _by_name(self, arrivals: Index, several: dict[int, tuple[list[int], list[int]]]) -> dict[int, int]:
        new_rows = np.array([at for new, _ in several.values() for at in new], np.int64)
        old_rows = np.array([at for _, old in several.values() for at in old], np.int64)
        new_paths = {at: row["relpath"] for at, row in arrivals.rows(self._catalog, new_rows)}
        old_paths = {at: row["relpath"] for at, row in self._known.slides.rows(self._catalog, old_rows)}
        pairs: dict[int, int] = {}
        for new, old in several.values():
            pairs |= _matched({at: new_paths[at] for at in new}, {at: old_paths[at] for at in old})
        return pairs


def _matched(new: dict[int, bytes], old: dict[int, bytes]) -> dict[int, int]:
    """New to old: by the same path, then by the same file name if only one has it; the rest in order if none is left."""
    pairs: dict[int, int] = {}
    for name in (bytes, _file_name):
        lost: dict[bytes, list[int]] = defaultdict(list)
        come: dict[bytes, list[int]] = defaultdict(list)
        for at, path in old.items():
            lost[name(path)].append(at)
        for at, path in new.items():
            come[name(path)].append(at)
        for key, ats in come.items():
            if len(ats) == len(lost[key]) == 1:
                pairs[ats[0]] = lost[key][0]
                del new[ats[0]], old[lost[key][0]]
    if len(new) == len(old):
        pairs |= zip(sorted(new, key=new.__getitem__), sorted(old, key=old.__getitem__), strict=True)
    return pairs


def _file_name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _by_content(contents: NDArray[np.uint64], rows: NDArray[np.int64]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for content, at in zip(contents[rows].tolist(), rows.tolist(), strict=True):
        if content:
            groups[content].append(at)
    return groups


def forgotten(row: Row) -> Row:
    """The row of a file that is no longer where it was."""
    return {**row, "kind": "gone", "owner": None, "part": None}


def save(catalog: Catalog, table: Table, rows: Iterable[Row]) -> int:
    """Upsert rows in parts of bounded size; how many there were."""
    count = 0
    for some in _chunks(rows):
        catalog.upsert(table, from_rows(table, some))
        count += len(some)
    return count


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    some: list[Row] = []
    for row in rows:
        some.append(row)
        if len(some) == _SAVED_ROWS:
            yield some
            some = []
    if some:
        yield some

"""What only the end of a walk shows: which known slides have moved, and which are gone."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.model.column import Table
from pathcurate.model.slide import ARRIVALS, FILES, SLIDES
from pathcurate.scan.groups import place_of
from pathcurate.scan.index import Index, Row, RowReader, as_digests, place_digest
from pathcurate.scan.kernels import ScanSpec, free_id
from pathcurate.scan.known import PARTS, Known, Relocation, read_arrivals, read_files
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
        self,
        catalog: Catalog,
        known: Known,
        listings: Sequence[Listing],
        spec: ScanSpec,
        moves: Sequence[Relocation],
        configured: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Begin.

        Args:
            catalog: the catalog.
            known: what was known before the scan.
            listings: the archives that were looked at.
            spec: of the readers.
            moves: where parts of archives are said to lie now.
            configured: site and name of every archive of the workspace; slides of others may be found again in these.
        """
        self._catalog = catalog
        self._known = known
        self._listings = {listing.place: listing for listing in listings}
        self._spec = spec
        self._moves = moves
        self._rows = RowReader(catalog, known.slides)
        places = known.archives.values()
        listed = [place in self._listings and self._listings[place].is_whole for place in places]
        self.listed = np.array(listed or [False], np.bool_)
        self._dropped = dropped(places, configured)
        # Files as they were when the walk had come to its end, and which of their parts this scan has written.
        self._files_now: tuple[Index, NDArray[np.bool_]] | None = None
        self.moved: Counter[str] = Counter()

    def missing(self, index: Index) -> NDArray[np.int64]:
        """Rows whose file is no longer where it was.

        Not those below a folder that could not be listed, nor of an archive that was not looked at.
        """
        unseen = np.flatnonzero(~index.seen & self.listed[index.facts["archive"]])
        is_moved = index.facts["moved"]
        if not any(listing.has_hidden for listing in self._listings.values()) and not is_moved[unseen].any():
            return unseen
        return np.array(
            [at for at, row in index.rows(self._catalog, unseen) if self._is_missed(row, is_moved=bool(is_moved[at]))],
            np.int64,
        )

    def _is_missed(self, row: Row, *, is_moved: bool) -> bool:
        """Whether a file that was not seen would have been seen, where it was and where it is said to lie now."""
        places = [place_of(row), *([place_of(self._at_new_place(row))] if is_moved else [])]
        if is_moved and self._is_found(place_of(row)):
            return False
        listings = [(self._listings.get(place[:2]), place[2]) for place in places]
        return all(one is not None and one.is_whole and not one.is_hidden(relpath) for one, relpath in listings)

    def relocate(self, rewritten: NDArray[np.bool_]) -> None:
        """Write down where slides and files lie that were looked for, and found, in the part that was said to have moved."""
        index = self._known.slides
        chosen = np.flatnonzero(index.facts["moved"] & index.seen & (~index.facts["gone"] | rewritten))
        sites = [site for site, _ in self._known.archives.values()]
        self.moved.update(sites[archive] for archive in index.facts["archive"][chosen])
        chosen = chosen[~rewritten[chosen]]
        save(self._catalog, SLIDES, (self._relocated(at, row) for at, row in index.rows(self._catalog, chosen)))
        files = self._known.files
        if not files.facts["moved"].any():
            return
        now = read_files(self._catalog, self._known.archives)
        self._files_now = now, np.array([name not in files.parts for name in now.parts] or [False], np.bool_)
        # Of one place there can be two rows: that of the file that was said to be there, and what a killed run made of it.
        files.seen = files.seen | files.seen[files.find(files.places)]
        save(self._catalog, FILES, self._refiled(np.flatnonzero(files.facts["moved"] & files.seen)))

    def _refiled(self, chosen: NDArray[np.int64]) -> Iterator[Row]:
        """Rows of files in their new places, and of what they leave behind, unless this scan found another file there."""
        files = self._known.files
        for at, row in files.rows(self._catalog, chosen):
            moved = self._at_new_place(row)
            if self._standing(moved) == at and not self._is_found(place_of(moved)):
                yield moved
            stays = self._standing(row)
            if not self._is_found(place_of(row)) and not (stays >= 0 and files.seen[stays]):
                yield forgotten(row)

    def _standing(self, row: Row) -> int:
        return int(self._known.files.find(as_digests([place_digest(*place_of(row))]))[0])

    def _is_found(self, place: tuple[str, str, bytes]) -> bool:
        """Whether this scan has written a row for a file there that is no slide by itself."""
        if self._files_now is None:
            return False
        now, is_new = self._files_now
        at = int(now.find(as_digests([place_digest(*place)]))[0])
        return at >= 0 and bool(is_new[now.part[at]])

    def _relocated(self, at: int, row: Row) -> Row:
        state = "offline" if self._known.slides.facts["offline"][at] else "online"
        moved = {**self._at_new_place(row), "storage_state": state}
        root = self._spec.roots[self._spec.root_number(moved)]
        return self._spec.named({**moved, **moved_columns(row), "uri": root.uri(moved["relpath"])})

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
        # What lay in an archive that is configured no more is not gone, but may be what has arrived.
        elsewhere = np.flatnonzero(self._dropped[index.facts["archive"]] & ~index.seen & ~index.facts["merged"])
        # A killed run may have settled some and not cleared the table.
        at = index.find(arrivals.places)
        stands = at >= 0
        stands[stands] = ~index.facts["gone"][at[stands]] & index.seen[at[stands]]
        chosen = np.flatnonzero(present & ~stands & self._may_settle(arrivals))
        pairs = self._pairs(arrivals, chosen, np.union1d(missing, elsewhere))
        left = np.setdiff1d(missing, np.array(list(pairs.values()), np.int64))
        left = left[~index.facts["gone"][left]]
        named = (self._named(at, row, pairs) for at, row in arrivals.rows(self._catalog, chosen))
        gone = ({**row, "status": "gone", "status_detail": None} for _, row in index.rows(self._catalog, left))
        # Together: of two slides that a place has had, a killed run must not leave both there.
        save(self._catalog, SLIDES, chain(named, gone))
        waiting = np.flatnonzero(~self._may_settle(arrivals))
        rows = [row for _, row in arrivals.rows(self._catalog, waiting)]
        self._catalog.replace(ARRIVALS, from_rows(ARRIVALS, rows))

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
            return {**row, "slide_id": free_id(row, self._known.slides.has_id)}
        before = self._rows[pairs[at]]
        self.moved[row["site"]] += 1
        row = {**carried(row, before), **moved_columns(before)}
        return self._spec.named(row) if has_label_reading(row) else row

    def _pairs(self, arrivals: Index, chosen: NDArray[np.int64], missing: NDArray[np.int64]) -> dict[int, int]:
        """Arrival to the missing slide that it is.

        Of several slides with the same content those are chosen that agree in path or file name; of the rest, when as many
        have arrived as are missing, by their order, and when one is missing, the first; else none: nothing says which.
        """
        lost = _by_content(self._known.slides.facts["content"], missing)
        come = _by_content(arrivals.facts["content"], chosen)
        pairs: dict[int, int] = {}
        several: dict[int, tuple[list[int], list[int]]] = {}
        for content, new in come.items():
            old = lost.get(content, [])
            if len(old) == len(new) == 1:
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
    # Of several copies of one slide, one is it: the first by path, for want of a better reason.
    if len(new) == len(old) or len(old) == 1:
        pairs |= zip(sorted(new, key=new.__getitem__), sorted(old, key=old.__getitem__), strict=False)
    return pairs


def _file_name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _by_content(contents: NDArray[np.uint64], rows: NDArray[np.int64]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for content, at in zip(contents[rows].tolist(), rows.tolist(), strict=True):
        if content:
            groups[content].append(at)
    return groups


def dropped(places: Sequence[tuple[str, str]], configured: Sequence[tuple[str, str]]) -> NDArray[np.bool_]:
    """Which of some archives are configured no more."""
    return np.array([bool(configured) and place not in configured for place in places] or [False], np.bool_)


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

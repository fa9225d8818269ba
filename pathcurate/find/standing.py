"""Where slides, cases and patients stand in cohorts and releases, and by which codes these speak of them."""

import os
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.lookup.rowfile import digest, digests, text_array
from pathcurate.pseudonyms import Pseudonyms, internal, product
from pathcurate.tables import column_values, read_parquet, read_schema
from pathcurate.workspace import Workspace

_UNITS = {"slide_id": "S", "case_id": "C", "patient_id": "P"}
"""Keys of a ledger or release, the most telling first, and the kinds of their codes."""

CaseKey = tuple[str, str]
Codes = Mapping[str, str]
"""The workspace's pseudonyms of a slide, its case and its patient, by the name of their column."""
Steps = Mapping[str, set[str]]
"""Codes to the steps that a file says of them."""


class Files(Protocol):
    """Files of codes."""

    def said_of(self, path: Path, key: str, step: str | None, codes: Collection[str]) -> Steps:
        """Those of some codes that a file has, with what its column of steps says of each.

        Raises:
            InputOutputError: it cannot be read.
        """


class ReadFiles:
    """Files that are read each time."""

    def said_of(self, path: Path, key: str, step: str | None, codes: Collection[str]) -> Steps:
        """See :class:`Files`."""
        rows = read_parquet(path, [key, *([step] if step else [])])
        rows = rows.filter(pc.is_in(rows[key], value_set=text_array(codes)))
        said = defaultdict(set)
        words = column_values(rows, step) if step else [""] * rows.num_rows
        for code, word in zip(column_values(rows, key), words, strict=True):
            said[code].add(word)
        return said


class HeldFiles:
    """Files that are held in memory, 8 to 10 bytes a row, until :meth:`keep_only` finds them changed.

    Codes are told by 64 bits of theirs: of a file of a million, one in 2e13 codes that it does not have would be taken for
    one that it has.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[Path, str], tuple[object, Any, Any, Sequence[str]]] = {}

    def keep_only(self, paths: Collection[Path]) -> None:
        """Let go of all other files, and of those that have changed."""
        self._held = {place: one for place, one in self._held.items() if place[0] in paths and one[0] == _identity(place[0])}

    def said_of(self, path: Path, key: str, step: str | None, codes: Collection[str]) -> Steps:
        """See :class:`Files`."""
        known = self._held.get((path, key))
        if known is None:
            known = self._held[path, key] = (_identity(path), *_in_order(path, key, step))
        _, held, numbers, words = known
        said = {}
        for code in codes:
            sought = digest(code)
            first = bisect_left(held, sought)
            last = bisect_right(held, sought, first)
            if first < last:
                said[code] = {words[number] for number in numbers[first:last]} if step else {""}
        return said


def _in_order(path: Path, key: str, step: str | None) -> tuple[Any, Any, Sequence[str]]:
    """Digests of a file's codes in order, for each the number of its step, and the steps."""
    rows = read_parquet(path, [key, *([step] if step else [])]).combine_chunks()
    pieces = [digests(chunk.cast(pa.string()).fill_null("")) for chunk in rows[key].chunks]
    found = np.concatenate(pieces or [np.empty(0, np.uint64)])
    order = np.argsort(found, kind="stable")
    ordered = found[order].data
    if step is None:
        return ordered, (), ()
    encoded: Any = pc.dictionary_encode(rows[step].combine_chunks())
    numbers = np.asarray(encoded.indices.fill_null(0)).astype(np.uint16)
    return ordered, numbers[order].data, encoded.dictionary.to_pylist()


@dataclass(frozen=True, slots=True)
class _Ledger:
    """A cohort's ledger; ``unit`` is what a row is of."""

    cohort: str
    path: Path
    unit: str


@dataclass(frozen=True, slots=True)
class _Released:
    """A file of a release; ``unit`` is what a row is of, None if it does not say."""

    product: str
    version: str
    path: Path
    unit: str | None


class Standing:
    """The workspace's cohorts and releases.

    Args:
        workspace: the workspace.
        key: the vault's key.
        files: how their files are read.
    """

    def __init__(self, workspace: Workspace, key: bytes, files: Files) -> None:
        self._layer = internal(key).codes
        self._files = files
        ledgers = {path.parent.name: path for path in sorted(workspace.cohorts.glob("*/ledger.parquet"))}
        self._ledgers = [
            _Ledger(name, path, next(unit for unit in _UNITS if unit in read_schema(path).names))
            for name, path in ledgers.items()
        ]
        self._released = list(_releases(workspace.releases))
        self._used = {*(one.unit for one in self._ledgers), *(one.unit for one in self._released)}
        names = sorted({*ledgers, *(one.product for one in self._released)})
        self._products = {name: product(key, name).codes for name in names}
        self._kept = _kept() if self._ledgers else ""

    @property
    def paths(self) -> set[Path]:
        """The files that it asks."""
        return {*(one.path for one in self._ledgers), *(one.path for one in self._released)}

    def spoken_of(self, code: str, kind: str, *parts: str) -> Iterator[str]:
        """In which ways a code is a pseudonym of a thing with this identifier, none if it is not."""
        own = self._layer.code(kind, *parts)
        if own == code:
            yield "pseudonym of the workspace"
        yield from (
            f"pseudonym of product {name}" for name, layer in self._products.items() if layer.code(kind, own) == code
        )

    def codes(self, slide_id: str | None, case: CaseKey | None, person: str | None) -> Codes:
        """The workspace's pseudonyms by the name of their column; an empty text where no file has that column."""
        things = {"slide_id": (slide_id,), "case_id": case or (None,), "patient_id": (person,)}
        return {
            unit: self._layer.code(_UNITS[unit], *thing) if unit in self._used else ""
            for unit, thing in things.items() if all(thing)
        }  # fmt: skip

    def read(self, things: Sequence[Codes]) -> "Said":
        """What ledgers and releases say of all things that will be asked for, each file asked once."""
        wanted = {unit: {one[unit] for one in things if unit in one} for unit in _UNITS}
        steps = {
            one.cohort: (one.unit, self._files.said_of(one.path, one.unit, "step", wanted[one.unit]))
            for one in self._ledgers
        }  # fmt: skip
        spoken: dict[tuple[str, str], Mapping[str, str]] = {}
        held = []
        for one in self._released:
            there: set[str] = set()
            if one.unit is not None:
                codes = spoken.get((one.product, one.unit))
                if codes is None:
                    codes = spoken[one.product, one.unit] = _spoken(self._products[one.product], one.unit, wanted[one.unit])
                there = {codes[code] for code in self._files.said_of(one.path, one.unit, None, codes)}
            held.append((one.version, one.unit, there))
        return Said(steps, held, self._kept)


@dataclass(frozen=True, slots=True)
class Said:
    """What was asked of cohorts and releases.

    Attributes:
        steps: cohort to what its rows are of, and the steps at which these left it.
        held: versions, what the rows of one of their files are of, and which of the things it has.
        kept: the step of those that did not leave.
    """

    steps: Mapping[str, tuple[str, Steps]]
    held: Sequence[tuple[str, str | None, set[str]]]
    kept: str

    def cohorts(self, things: Sequence[Codes]) -> dict[str, str]:
        """Cohort to the step at which the things left it, ``kept`` if one of them did not leave."""
        found = {}
        for name, (key, known) in self.steps.items():
            steps = {step for thing in things for step in known.get(thing.get(key, ""), ())}
            if steps:
                found[name] = self.kept if self.kept in steps else ", ".join(sorted(steps))
        return found

    def releases(self, things: Sequence[Codes]) -> tuple[str, ...]:
        """Releases that hold one of the things; one that has only a wider key says by which."""
        own = next((unit for unit in _UNITS if any(unit in thing for thing in things)), "")
        found = []
        for version, unit, held in self.held:
            if unit is None:
                found.append(f"{version} (cannot be told: it has no key)")
            elif any(thing.get(unit) in held for thing in things):
                found.append(version if unit == own else f"{version} (by {unit})")
        return tuple(found)


def stamp(workspace: Workspace) -> object:
    """What changes when a cohort or a release comes or goes."""
    ledgers = [(entry.name, _identity(Path(entry.path, "ledger.parquet"))) for entry in _entries(workspace.cohorts)]
    releases = [
        (folder.name, version.name, _identity(Path(version.path)), _identity(Path(version.path, "MANIFEST.json")))
        for folder in _entries(workspace.releases) for version in _entries(Path(folder.path))
    ]  # fmt: skip
    return sorted(ledgers), sorted(releases)


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_dir()]
    except OSError:
        return []


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        state = os.stat(path)  # noqa: PTH116 - asked for every question
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def _spoken(layer: Pseudonyms, unit: str, codes: Collection[str]) -> dict[str, str]:
    """A product's codes to the workspace's own."""
    return {layer.code(_UNITS[unit], code): code for code in codes}


def _kept() -> str:
    from pathcurate.model.attrition import KEPT  # noqa: PLC0415 - it loads all that recipes are made of

    return KEPT


def _releases(folder: Path) -> Iterator[_Released]:
    """Files of the tables of every release."""
    if not any(folder.glob("*/*")):
        return
    # What checks manifests takes longer to load than a case to find.
    from pathcurate.releases import list_releases, read_release  # noqa: PLC0415

    for release in map(read_release, list_releases(folder)):
        name, version = release.directory.parent.name, f"{release.directory.parent.name}@{release.directory.name}"
        for path in (path for table in release.tables for path in release.paths(table)):
            yield _Released(name, version, path, next((unit for unit in _UNITS if unit in read_schema(path).names), None))

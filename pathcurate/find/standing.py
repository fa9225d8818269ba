"""Where slides, cases and patients stand in cohorts and releases, and by which codes these speak of them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.compute as pc

from pathcurate.lookup import text_array
from pathcurate.pseudonyms import internal, product
from pathcurate.tables import column_values, read_parquet, read_schema
from pathcurate.workspace import Workspace

_UNITS = {"slide_id": "S", "case_id": "C", "patient_id": "P"}
"""Keys of a ledger or release, the most telling first, and the kinds of their codes."""

CaseKey = tuple[str, str]
Codes = Mapping[str, str]
"""The workspace's pseudonyms of a slide, its case and its patient, by the name of their column."""


class Standing:
    """The workspace's cohorts and releases.

    Args:
        workspace: the workspace.
        key: the vault's key.
    """

    def __init__(self, workspace: Workspace, key: bytes) -> None:
        self._layer = internal(key).codes
        self._ledgers = {path.parent.name: path for path in sorted(workspace.cohorts.glob("*/ledger.parquet"))}
        self._releases = _releases(workspace.releases)
        names = sorted({*self._ledgers, *(path.parent.name for path in self._releases)})
        self._products = {name: product(key, name).codes for name in names}
        self._steps: dict[str, tuple[str, Mapping[str, set[str]]]] = {}
        self._held: list[tuple[str, str | None, set[str]]] = []

    def spoken_of(self, code: str, kind: str, *parts: str) -> Iterator[str]:
        """In which ways a code is a pseudonym of a thing with this identifier, none if it is not."""
        own = self._layer.code(kind, *parts)
        if own == code:
            yield "pseudonym of the workspace"
        yield from (
            f"pseudonym of product {name}" for name, layer in self._products.items() if layer.code(kind, own) == code
        )

    def codes(self, slide_id: str | None, case: CaseKey | None, person: str | None) -> Codes:
        """The workspace's pseudonyms by the name of their column."""
        made = {
            "slide_id": self._layer.code("S", slide_id) if slide_id else None,
            "case_id": self._layer.code("C", *case) if case else None,
            "patient_id": self._layer.code("P", person) if person else None,
        }
        return {name: code for name, code in made.items() if code}

    def read(self, things: Sequence[Codes]) -> None:
        """Read what ledgers and releases say of all things that will be asked for, each file once."""
        for name, path in self._ledgers.items():
            key = next(unit for unit in _UNITS if unit in read_schema(path).names)
            rows = read_parquet(path, [key, "step"])
            rows = rows.filter(pc.is_in(rows[key], value_set=text_array({one[key] for one in things if key in one})))
            steps = defaultdict(set)
            for code, step in zip(column_values(rows, key), column_values(rows, "step"), strict=True):
                steps[code].add(step)
            self._steps[name] = key, steps
        for directory, paths in self._releases.items():
            for path in paths:
                self._read_release(directory, path, things)

    def _read_release(self, directory: Path, path: Path, things: Sequence[Codes]) -> None:
        product, version = directory.parent.name, f"{directory.parent.name}@{directory.name}"
        unit = next((unit for unit in _UNITS if unit in read_schema(path).names), None)
        held: set[str] = set()
        if unit is not None:
            kind, layer = _UNITS[unit], self._products[product]
            codes = {layer.code(kind, one[unit]): one[unit] for one in things if unit in one}
            column = read_parquet(path, [unit])[unit]
            there = column.filter(pc.is_in(column, value_set=text_array(codes)))
            held = {codes[str(code)] for code in there.to_pylist()}
        self._held.append((version, unit, held))

    def cohorts(self, things: Sequence[Codes]) -> dict[str, str]:
        """Cohort to the step at which the things left it, ``kept`` if one of them did not leave."""
        from pathcurate.model.attrition import KEPT  # noqa: PLC0415 - as below

        found = {}
        for name, (key, known) in self._steps.items():
            steps = {step for thing in things for step in known.get(thing.get(key, ""), ())}
            if steps:
                found[name] = KEPT if KEPT in steps else ", ".join(sorted(steps))
        return found

    def releases(self, things: Sequence[Codes]) -> tuple[str, ...]:
        """Releases that hold one of the things; one that has only a wider key says by which."""
        own = next((unit for unit in _UNITS if any(unit in thing for thing in things)), "")
        found = []
        for version, unit, held in self._held:
            if unit is None:
                found.append(f"{version} (cannot be told: it has no key)")
            elif any(thing.get(unit) in held for thing in things):
                found.append(version if unit == own else f"{version} (by {unit})")
        return tuple(found)


def _releases(folder: Path) -> dict[Path, list[Path]]:
    """Every release and the files of its tables."""
    if not any(folder.glob("*/*")):
        return {}
    # What checks manifests takes longer to load than a case to find.
    from pathcurate.releases import list_releases, read_release  # noqa: PLC0415

    releases = [read_release(directory) for directory in list_releases(folder)]
    return {release.directory: [path for name in release.tables for path in release.paths(name)] for release in releases}

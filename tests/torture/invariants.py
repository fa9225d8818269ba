"""What has to be true after every disturbance, whatever was disturbed."""

import hashlib
import json
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pathcurate.errors import PathcurateError
from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.model.source import IMPORTED, SOURCE_ROWS
from pathcurate.registries.sql import open_registry
from pathcurate.tables import Catalog
from pathcurate.vault import broken_event, open_vault
from pathcurate.vault.crosswalk import check_crosswalk
from pathcurate.workspace import load_workspace
from tests.archives import regular_files
from tests.torture.house import Ended, House
from tests.torture.leaks import Search

DOCUMENTED = frozenset({0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 130})
"""Exit codes that the documentation knows."""
_SUMS = "manifest-sha256.txt"
_FREE = frozenset({"expire", "forget person", "forget file", "rotate", "compact", "withdraw"})
"""Stages whose work it is that something is gone afterwards."""


@dataclass(frozen=True)
class Finished:
    """Work that was finished before a disturbance and has to be there after it."""

    trail: tuple[bytes, ...]
    events: tuple[tuple[int, str], ...]
    releases: Mapping[str, str]
    log: frozenset[str]


def finished(house: House) -> Finished:
    """What is finished now."""
    trail = house.root / "vault" / "audit.jsonl"
    releases = {
        str(path.relative_to(house.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (house.root / "releases").rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.parts)
    }
    log = frozenset(str(path.relative_to(house.root)) for path in (house.root / "catalog").glob("*/_log/*.json"))
    lines = trail.read_bytes().split(b"\n")[:-1] if trail.is_file() else []
    return Finished(tuple(lines), _events(house.root), releases, log)


def _events(root: Path) -> tuple[tuple[int, str], ...]:
    path = root / "registry.db"
    if not path.is_file():
        return ()
    with closing(sqlite3.connect(path)) as registry:
        try:
            return tuple(registry.execute("select seq, digest from events order by seq"))
        except sqlite3.OperationalError:
            return ()


def of_ended(ended: Ended, search: Search, codes: frozenset[int] = DOCUMENTED) -> Iterator[str]:
    """Faults of how a command ended that was not killed."""
    if ended.code not in codes:
        yield f"exit code {ended.code} is not among {sorted(codes)}: {ended.stderr.strip()[-300:]}"
    if "Traceback" in ended.stderr or "internal error" in ended.stderr:
        yield f"the command fell over: {ended.stderr.strip()[-600:]}"
    yield from of_output(ended, search)


def of_output(ended: Ended, search: Search) -> Iterator[str]:
    """Identifiers in what a command said."""
    hits = search.in_text(ended.stdout) | search.in_text(ended.stderr)
    if hits:
        yield f"identifiers on the streams: {sorted(hits)[:5]}"


def of_place(house: House, before: Finished, search: Search, stage: str) -> Iterator[str]:
    """Faults of what lies on disk, at any moment at which nobody is at work."""
    yield from _of_catalog(house.root)
    yield from _of_vault(house.root)
    yield from _of_releases(house.root)
    yield from _of_registry(house.root)
    yield from _of_seals(house.root)
    yield from _lost(house, before, stage)
    for place, names in search.below(house).items():
        yield f"identifiers in {place}: {sorted(names)[:5]}"
    for name in ("catalog", "vault"):
        folder = house.root / name
        if folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            yield f"{name}/ is open to others"


def _of_catalog(root: Path) -> Iterator[str]:
    catalog = Catalog(root / "catalog")
    for table in CATALOG_TABLES:
        try:
            catalog.read(table)
        except PathcurateError as error:
            yield f"catalog table {table.name} cannot be read: {error.message}"


def _of_vault(root: Path) -> Iterator[str]:
    broken = broken_event(root / "vault")
    if broken is not None:
        yield f"the audit trail is broken at line {broken}"
    try:
        check_crosswalk(open_vault(root / "vault"))
    except PathcurateError as error:
        yield f"the vault cannot be used: {error.message}"


def _of_releases(root: Path) -> Iterator[str]:
    """Whatever has a release's name is whole, as somebody sees who has only the list of digests."""
    for directory in sorted((root / "releases").glob("[!.]*/[!.]*")):
        name = directory.relative_to(root)
        if not (directory / _SUMS).is_file() or not (directory / "MANIFEST.json").is_file():
            yield f"{name} is a partial release"
            continue
        listed = {}
        for line in (directory / _SUMS).read_text("utf-8").splitlines():
            digest, _, relpath = line.partition("  ")
            listed[relpath] = digest
            file = directory / relpath
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
                yield f"{name}: {relpath} is not what its list says"
        there = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
        extra = {one for one in there - {*listed, _SUMS} if not one.startswith("attestations/")}
        if extra:
            yield f"{name}: files that its list does not have: {sorted(extra)[:3]}"


def _of_registry(root: Path) -> Iterator[str]:
    if not (root / "registry.db").is_file():
        return
    try:
        with open_registry(root / "registry.db") as registry:
            yield from (f"registry: {fault}" for fault in registry.verify())
            entries = registry.list()
    except PathcurateError as error:
        yield f"the registry cannot be used: {error.message}"
        return
    for entry in entries:
        if not (root / "releases" / entry.product / entry.version / "MANIFEST.json").is_file():
            yield f"{entry.product}@{entry.version} is registered and not there"


def _of_seals(root: Path) -> Iterator[str]:
    """A seal vouches for tables only while they are what was verified."""
    path = root / "deid" / "verify.json"
    if not path.is_file():
        return
    for name, digest in json.loads(path.read_bytes())["tables"].items():
        file = root / ("vault" if name.startswith("criteria/") else ".") / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest.removeprefix("sha256:"):
            yield f"{name} is not what the seal vouches for"


def _lost(house: House, before: Finished, stage: str) -> Iterator[str]:
    now = finished(house)
    if now.trail[: len(before.trail)] != before.trail:
        yield "lines of the audit trail are gone or changed"
    if now.events[: len(before.events)] != before.events:
        yield "events of the registry are gone or changed"
    yield from (f"{name} is gone or changed" for name, digest in before.releases.items() if now.releases.get(name) != digest)
    if stage not in _FREE:
        yield from (f"state {name} of the catalog is gone" for name in before.log - now.log)


def of_counts(house: House, ended: Ended) -> Iterator[str]:
    """Faults of the sums of a command that has come to its end."""
    try:
        told = json.loads(ended.stdout)
    except ValueError:
        yield f"standard output is no JSON document: {ended.stdout[:80]!r}"
        return
    verb = " ".join(ended.words[:2])
    if verb.startswith("scan"):
        yield from _of_scan(house, told)
    elif verb.startswith("link ") and "slides" in told and "tiers" in told:
        if told["slides"] != sum(told["tiers"].values()):
            yield "link: the tiers are not the slides"
    elif verb == "deid files":
        rows = pq.read_table(house.beside / "copies" / "deid-files.parquet").num_rows
        done = len(list((house.beside / "copies" / "slides").rglob("*.*")))
        if sum(told["standings"].values()) != rows or told["standings"].get("done", 0) != done:
            yield f"files: {told['standings']} of {rows} rows and {done} files"
    yield from _of_imports(house.root)
    yield from _of_cohorts(house.root)


def _of_scan(house: House, told: Mapping[str, Any]) -> Iterator[str]:
    others = sum(told["others"].values())
    workspace = load_workspace(house.root / "pathcurate.yaml")
    there = sum(regular_files(Path(archive.root)) for site in workspace.settings.sites for archive in site.archives)
    if told["walked"] != told["found"] + told["companions"] + told["instances"] + others:
        yield "scan: walked is not the sum of its parts"
    if told["walked"] != there:
        yield f"scan: walked {told['walked']} of {there} files"
    if told["found"] != sum(told["statuses"].values()) or told["found"] != told["read"] + told["unchanged"]:
        yield "scan: found is not the sum of its statuses"


def _of_imports(root: Path) -> Iterator[str]:
    """Each row of an imported table is some file's, and each row of a file is in its table."""
    catalog = Catalog(root / "catalog")
    tables = {table.name: table for table in CATALOG_TABLES}
    given: dict[str, set[str]] = {name: set() for name in IMPORTED}
    for row in catalog.read(SOURCE_ROWS, columns=("table", "row_id")).to_pylist():
        given[row["table"]].add(row["row_id"])
    for name, rows in given.items():
        there = catalog.read(tables[name]).num_rows
        if there != len(rows):
            yield f"{name} has {there} rows, and its files give {len(rows)}"


def _of_cohorts(root: Path) -> Iterator[str]:
    """Every slide is in the ledger once."""
    for ledger in (root / "cohorts").glob("*/ledger.parquet"):
        data = pq.read_table(ledger)
        key = data.column_names[0]
        if len(set(data[key].to_pylist())) != data.num_rows:
            yield f"{ledger.parent.name}: a {key} is in the ledger twice"

"""What a workspace holds, as digests that two runs can be compared by: rows and bytes, without times and drawn names."""

import base64
import hashlib
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.tables import Catalog
from pathcurate.vault import open_vault
from pathcurate.vault.crosswalk import check_crosswalk
from tests.torture.house import House

_TIMES = re.compile(r"(_at|_on|^at|^since|^run_id|^mtime)$")
"""Columns of the catalog that say when pathcurate did something."""
_NUMBERED = {("sources", "state")}
"""Columns that count states: a run that was cut off has made more of them."""
_CHAINED = {"at", "digest", "previous", "head", "signatures"}
"""What lines of a chain and signed statements of it say that goes back to when they were written."""
_CLOCK = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?|20\d{6}-\d{6}")
_DRAWN = re.compile(r"-[0-9a-f]{8,16}(?=\.|$)|20\d{6}-\d{6}")
_SKIPPED = {
    ".lock",
    "audit.jsonl",
    "audit.head",
    "scans.jsonl",
    "run.json",
    "registry.db",
    "crosswalk.db",
    "key",
    "_made_of.json",
}
"""Files that are compared otherwise, or tell when and not what."""
_INPUTS = {"hospital", "recipes", "mappings"}
_TABLES = {table.name for table in CATALOG_TABLES}


def state(house: House) -> dict[str, str]:
    """Name of a part of the state to its digest."""
    return {**_catalog(house.root), **_vault(house.root), **_registry(house.root), **_files(house)}


def differences(one: dict[str, str], other: dict[str, str], without: frozenset[str] = frozenset()) -> list[str]:
    """Parts that are not the same in both, but for those whose name begins with one of some."""
    aside = tuple(without)
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name) and not name.startswith(aside))


def _catalog(root: Path) -> dict[str, str]:
    catalog = Catalog(root / "catalog")
    found = {}
    for table in CATALOG_TABLES:
        data = catalog.read(table)
        names = [name for name in data.column_names if not _TIMES.search(name) and (table.name, name) not in _NUMBERED]
        rows = data.select(names).to_pylist()
        if rows:
            found[f"catalog/{table.name}"] = _of_rows(rows)
    return found


def _vault(root: Path) -> dict[str, str]:
    if not (root / "vault" / "key").is_file():
        return {}
    known = check_crosswalk(open_vault(root / "vault"))
    return {"vault/crosswalk": "none" if known is None else str(known.rows)}


def _registry(root: Path) -> dict[str, str]:
    path = root / "registry.db"
    if not path.is_file():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as registry:
        tables = {name for (name,) in registry.execute("select name from sqlite_master where type = 'table'")}
        if "subjects" not in tables:
            return {}
        subjects = registry.execute("select machine, id, product, version, parent, state from subjects").fetchall()
        events = registry.execute("select action, machine, subject from events").fetchall()
    return {
        "registry/subjects": _of_rows([list(row) for row in subjects]),
        "registry/events": _of_rows(sorted(f"{row}: {count}" for row, count in Counter(events).items())),
    }


def _files(house: House) -> dict[str, str]:
    return {
        "/".join(_DRAWN.sub("", part) for part in path.relative_to(house.here).parts): _of_file(path)
        for path in sorted(house.here.rglob("*"))
        if path.is_file() and not _is_skipped(path.name) and not _is_apart(path.relative_to(house.here).parts)
    }


def _is_skipped(name: str) -> bool:
    # A run that had noted what it did, and was killed while it wrote the head, leaves a digest under a name of its own,
    # which goes with the next event: a run that finds all done notes none.
    return name in _SKIPPED or name.startswith(".audit.head.")


def _is_apart(parts: tuple[str, ...]) -> bool:
    """Whether a file is an input, the system's, or a part of a table, which is compared by its rows."""
    if parts[0] == "tmp":
        return True
    if parts[0] != "w" or len(parts) < 3:
        return False
    is_part = parts[1] == "catalog" and ("_log" in parts or (len(parts) > 3 and parts[2] in _TABLES))
    return parts[1] in _INPUTS or is_part


def _of_file(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(b"PAR1") and "releases" not in path.parts:
        return _of_rows(pq.read_table(path).to_pylist())
    if (path.name.startswith("with") or path.parent.name == "withdrawals") and path.suffix in {".json", ".jsonl"}:
        return _of_rows([_timeless(json.loads(line)) for line in ([data] if path.suffix == ".json" else data.splitlines())])
    return hashlib.sha256(_CLOCK.sub(b"", data)).hexdigest()


def _timeless(said: object) -> object:
    """A line of the chain of withdrawals, or its signed head, without what goes back to when it was written."""
    if isinstance(said, dict):
        opened = {**said, "payload": json.loads(base64.b64decode(said["payload"]))} if "payload" in said else said
        return {name: _timeless(value) for name, value in opened.items() if name not in _CHAINED}
    return [_timeless(one) for one in said] if isinstance(said, list) else said


def _of_rows(rows: list) -> str:
    texts = sorted(json.dumps(row, default=str, ensure_ascii=False, sort_keys=True) for row in rows)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()

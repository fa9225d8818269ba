"""What of the vault, or of identified tables, stands in a directory that is to be given away."""

import base64
import hashlib
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pathcurate.errors import InputOutputError
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.leaksearch.search import Leak, search_directory
from pathcurate.model.column import Identifying
from pathcurate.tables import read_schema
from pathcurate.vault import Vault

_SHARE = "pathcurate vault key, share"
"""How a share of the key begins; see :mod:`pathcurate.vault.shares`."""
_IDENTIFIED = {str(Identifying.DIRECT).encode(), str(Identifying.CRITERION_ONLY).encode()}


def vault_leaks(directory: Path, vault: Vault, identifiers: Identifiers) -> Iterator[Leak]:
    """Where a directory holds the key in any form, a share of it, a file of the vault, or a table of identified columns.

    Args:
        directory: a directory, or one file.
        vault: the workspace's vault.
        identifiers: all that the catalog knows, so that no path is shown that holds one.
    """
    forms = [vault.key.hex(), base64.b64encode(vault.key).decode(), _SHARE]
    yield from search_directory(directory, Identifiers.of({"key of the vault": forms}))
    own = [path for path in vault.directory.rglob("*") if path.is_file() and path.stat().st_size]
    sizes, digests = {path.stat().st_size for path in own}, set(map(_digest, own))
    for number, path in enumerate(_files(directory), start=1):
        relpath = str(path.relative_to(directory)) if path != directory else path.name
        place = f"file {number}" if any(identifiers.find(relpath)) else relpath
        if not os.access(path, os.R_OK):
            continue  # the search above has said that it could not look into it
        if path.stat().st_size in sizes and _digest(path) in digests:
            yield Leak(place, "file", 0, "file of the vault", "bytes", 1)
        elif (offset := _offset(path, vault.key)) is not None:
            yield Leak(place, "bytes", offset, "key of the vault", "bytes", 1)
        if identified := _identified(path):
            yield Leak(place, "schema", 0, "identified column", "parquet", identified)


def count_files(directory: Path) -> int:
    """Files below a directory that hold anything; 1 for a file."""
    return sum(1 for _ in _files(directory))


def _files(directory: Path) -> Iterator[Path]:
    if not directory.is_dir():
        yield directory
        return
    for folder, _, names in os.walk(directory):
        for path in sorted(Path(folder) / name for name in names):
            state = path.lstat()
            if stat.S_ISREG(state.st_mode) and state.st_size:
                yield path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _offset(path: Path, key: bytes) -> int | None:
    if not path.stat().st_size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(key)
    return place if place >= 0 else None


def _identified(path: Path) -> int:
    """Columns of a Parquet file that say of themselves that they identify, or hold true values for criteria only."""
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return 0
    try:
        schema = read_schema(path)
    except InputOutputError:
        return 0
    return sum((field.metadata or {}).get(b"identifying") in _IDENTIFIED for field in schema)

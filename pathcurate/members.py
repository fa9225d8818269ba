"""Whose rows each release holds that was ever built: kept in the vault, by the catalog's own numbers of persons."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.storage import private_directory
from pathcurate.tables import write_parquet

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
FOLDER = "members"
"""Below the vault."""
COLUMNS = ("person_id", "group_id", "slide_id")


@dataclass(frozen=True, slots=True)
class Members:
    """Whose rows a release holds.

    Attributes:
        product: name of the product.
        version: its version.
        is_sealed: whether its labels are withheld.
        rows: ``person_id`` and ``group_id`` of persons, ``slide_id`` of slides that are nobody's.
    """

    product: str
    version: str
    is_sealed: bool
    rows: pa.Table

    def record(self, vault: Path) -> None:
        """Keep them in a vault's directory, beside those of an earlier build of it: groups may have changed since."""
        path = vault / FOLDER / f"{self.product}-{self.version}.parquet"
        if path.is_file():
            both = pa.concat_tables([_read(path).rows, self.rows], promote_options="permissive")
            replace(self, rows=both.group_by(list(COLUMNS)).aggregate([])).write(vault)
        else:
            self.write(vault)

    def write(self, vault: Path) -> None:
        """Keep them in a vault's directory, and no others of the version."""
        folder = private_directory(vault / FOLDER)
        said = {"product": self.product, "version": self.version, "sealed": str(int(self.is_sealed))}
        write_parquet(folder / f"{self.product}-{self.version}.parquet", self.rows, said, mode=0o600)


def kept_members(vault: Path) -> Iterator[Members]:
    """What a vault's directory keeps, by product and version.

    Raises:
        InputOutputError: a file is damaged: nobody would know whom that release is about.
    """
    for path in sorted((vault / FOLDER).glob("*.parquet")):
        yield _read(path)


def forget_members(vault: Path, persons: Collection[str], slides: Collection[str]) -> None:
    """Take persons and slides out of what a vault's directory keeps; who was erased is in no release of tomorrow either."""
    gone = {"person_id": pa.array(sorted(persons), pa.string()), "slide_id": pa.array(sorted(slides), pa.string())}
    for members in list(kept_members(vault)):
        is_gone: Any = pa.repeat(False, members.rows.num_rows)
        for name, ids in gone.items():
            is_gone = pc.or_(is_gone, pc.is_in(members.rows[name].combine_chunks(), value_set=ids))
        if pc.any(is_gone).as_py():
            replace(members, rows=members.rows.filter(pc.invert(is_gone))).write(vault)


def _read(path: Path) -> Members:
    try:
        rows = pq.read_table(path)
        said = {name.decode(): value.decode() for name, value in (rows.schema.metadata or {}).items() if name.isalpha()}
        return Members(
            said["product"], said["version"], said["sealed"] == "1", rows.select(list(COLUMNS)).replace_schema_metadata()
        )
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise InputOutputError(
            f"vault/{FOLDER}/{path.name} cannot be read ({type(error).__name__})",
            "Restore it from a copy: without it nobody knows whom that release is about.",
        ) from None

"""A release's tables in one recipient's codes and days: two recipients cannot join theirs, nor one of them with the release.

Codes are led back to the internal ones, of which the recipient's are made; days move by the difference of the two layers'
offsets. Whoever has opted out or withdrawn since the release was built is left out, and so is what hung on them.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute
import yaml

from pathcurate import pseudonyms
from pathcurate.digests import RowDigests, TableIdentity, file_sha256, identity_of, row_digests
from pathcurate.errors import InputOutputError, PlanIncompleteError
from pathcurate.model.delivery import TableEntry
from pathcurate.model.recipe import UNIT_OF_TABLE
from pathcurate.model.recipe.forms import Unit
from pathcurate.model.text import TEXTS
from pathcurate.pseudonyms import moves_between
from pathcurate.recoding.behind import Behind, Gone
from pathcurate.recoding.codes import ColumnCodes, whole
from pathcurate.recoding.rows import OF_TEXTS, Rows, drop_beside, rows_behind
from pathcurate.recoding.texts import Key, Layers, Retold, moved_spans, retell
from pathcurate.releases import Release
from pathcurate.sqlplan.relations import unit_key
from pathcurate.storage import private_directory
from pathcurate.tables import column_values, read_parquet, write_parquet
from pathcurate.workspace import Workspace

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
_LOCK = "provenance/recipe.lock.yaml"


@dataclass(frozen=True, slots=True, repr=False)
class RecodedTable:
    """A table in the recipient's codes.

    Attributes:
        key: columns that name a row.
        data: its rows.
        identity: its digests.
    """

    key: tuple[str, ...]
    data: pa.Table
    identity: TableIdentity


@dataclass(frozen=True, slots=True, repr=False)
class Recoded:
    """What a recipient gets of a release.

    Attributes:
        release: of which.
        tables: by name, in the release's order.
        left_out: rows of the release that are not in it, by table and why, only where there are any: ``slides_withdrawn`` of
            those who withdrew or opted out, ``slides_missing`` behind which nothing stands any more, ``slides_beside`` that
            hung on either.
        unit: what the units are.
        unit_table: that their rows are in.
        units: internal codes of the units that are in it.
        patients: of whom these are, by internal code; None where nothing says.
    """

    release: Release
    tables: Mapping[str, RecodedTable]
    left_out: Mapping[str, int]
    unit: Unit
    unit_table: str
    units: Any
    patients: Any


def digests_here(data: pa.Table) -> bytes:
    """The digests of a table's rows, made by this process."""
    return b"".join(row_digests(data))


def recode(
    workspace: Workspace, release: Release, recipient: str, key: bytes, *, without_missing: bool = False,
    digests: RowDigests = digests_here,
) -> Recoded:  # fmt: skip
    """A release's tables in a recipient's codes and days; the same state of the archive gives the same rows in one order.

    Args:
        workspace: the workspace whose ``deid/`` the release was made from.
        release: the release, whose bytes were verified.
        recipient: short name of whoever gets it.
        key: the vault's.
        without_missing: leave out rows that nothing in ``deid/`` stands behind any more, in place of refusing.
        digests: gives the digests of a table's rows.

    Raises:
        PlanIncompleteError: rows, texts or owners are not known any more, or nothing is left.
        DisclosureRefusedError: a column holds codes among other values.
        VaultError: the list of those who have withdrawn is damaged.
        InputOutputError: a table or the release's recipe cannot be read.
    """
    return _Recoding(workspace, release, recipient, key).run(digests, without_missing=without_missing)


class _Recoding:
    """One release for one recipient."""

    def __init__(self, workspace: Workspace, release: Release, recipient: str, key: bytes) -> None:
        self._workspace, self._release = workspace, release
        self._layers = Layers(
            pseudonyms.internal(key), pseudonyms.product(key, release.name),
            pseudonyms.recipient(key, release.name, recipient),
        )  # fmt: skip
        self._behind = Behind(workspace, self._layers.product.codes)
        self._gone = Gone(workspace, release.name)
        self._codes: dict[str, ColumnCodes] = {}
        self._unit, self._unit_table = _unit_of(release)
        self._told: dict[Key, Retold] = {}

    def run(self, digests: RowDigests, *, without_missing: bool) -> Recoded:
        tables = {name: self._rows(name) for name in self._release.tables}
        if TEXTS.name in tables:
            self._tell(tables)
        left_out: Counter[str] = Counter()
        for name, rows in tables.items():
            left_out[f"{name}_withdrawn"] = rows.drop(self._gone.of(rows.data, rows.owners, rows.inside))
        self._beside(tables, left_out)
        missing = {name: count for name, rows in tables.items() if (count := rows.drop(rows.unknown))}
        if missing and not without_missing:
            raise _missing(missing)
        left_out.update({f"{name}_missing": count for name, count in missing.items()})
        self._beside(tables, left_out)
        units, patients = self._units(tables[self._unit_table])
        done = {name: self._recoded(rows, digests) for name, rows in tables.items()}
        said = {name: count for name, count in left_out.items() if count}
        return Recoded(self._release, done, said, self._unit, self._unit_table, units, patients)

    def _rows(self, name: str) -> Rows:
        data = pa.concat_tables(read_parquet(path) for path in self._release.paths(name)).combine_chunks()
        key = tuple(self._release.tables[name]["key"])
        layers = self._layers.inside, self._layers.product
        return rows_behind(name, key, data.replace_schema_metadata(None), self._behind, layers)

    def _tell(self, tables: Mapping[str, Rows]) -> None:
        """Make the texts anew; one that cannot be is missing, and so is what is said of its places."""
        texts = tables[TEXTS.name]
        shown = column_values(texts.data, "text")
        self._told = retell(self._workspace, texts.texts(kept=False), shown, self._layers)
        for name in (TEXTS.name, *OF_TEXTS):
            if (rows := tables.get(name)) is not None:
                is_lost = [key not in self._told for key in rows.texts(kept=False)]
                rows.unknown = pc.or_(rows.unknown, pa.array(is_lost, pa.bool_()))

    def _beside(self, tables: Mapping[str, Rows], left_out: Counter[str]) -> None:
        for name, count in drop_beside(tables, self._unit_table).items():
            left_out[f"{name}_beside"] += count

    def _units(self, unit: Rows) -> tuple[Any, Any]:
        column = unit_key(self._unit)
        if column not in unit.kinds:
            raise PlanIncompleteError(
                f"table {unit.name} of the release has no column {column}, so its rows cannot be told apart",
                "Build a version with it, and deliver that.",
            )
        units = whole(unit.inside[column]).filter(unit.kept)
        if not len(units):
            raise PlanIncompleteError(
                "nothing of the release is left to deliver", "Everybody in it withdrew, or the archive has them no longer."
            )
        return units, None if unit.patients is None else unit.patients.filter(unit.kept)

    def _recoded(self, rows: Rows, digests: RowDigests) -> RecodedTable:
        data, inside = rows.data.filter(rows.kept).combine_chunks(), rows.inside.filter(rows.kept)
        moves: Any = None
        for index, one in enumerate(data.schema):
            if one.name in rows.kinds:
                made = self._codes_of(rows.kinds[one.name]).of(inside[one.name])
                data = data.set_column(index, one, pa.chunked_array([made], pa.string()))
            elif one.name in rows.days:
                if moves is None:
                    persons = rows.persons.filter(rows.kept)
                    moves = moves_between(self._layers.product, self._layers.recipient, persons)
                days = pc.add_checked(whole(data[one.name]).cast(pa.int32()), moves).cast(pa.date32())
                data = data.set_column(index, one, pa.chunked_array([days]))
        if rows.name == TEXTS.name:
            index = data.schema.get_field_index("text")
            texts = pa.array([self._told[key].text for key in rows.texts(kept=True)], pa.string())
            data = data.set_column(index, data.schema.field(index), texts)
        elif rows.name in OF_TEXTS:
            data = moved_spans(rows.texts(kept=True), data, self._told)
        # In an order of its own, or two recipients' rows would be joined by their places.
        order = rows.key if rows.key and set(rows.key) <= set(data.column_names) else ()
        order = order or tuple(one.name for one in data.schema if not pa.types.is_list(one.type))
        data = data.sort_by([(name, "ascending") for name in order]).combine_chunks()
        return RecodedTable(rows.key, data, identity_of(data.schema, digests(data)))

    def _codes_of(self, kind: str) -> ColumnCodes:
        if kind not in self._codes:
            self._codes[kind] = ColumnCodes(kind, self._layers.recipient.codes)
        return self._codes[kind]


def _missing(missing: Mapping[str, int]) -> PlanIncompleteError:
    counts = ", ".join(f"{count:,} of {name}" for name, count in missing.items())
    return PlanIncompleteError(
        f"nothing in deid/ stands behind rows of the release any more, or their texts were scrubbed anew: {counts}",
        "Build a new version and deliver that, or bring back what it was made of, and the vault's key of then; or give "
        "--without-missing to deliver the others, and the delivery says so.",
    )


def _unit_of(release: Release) -> tuple[Unit, str]:
    """What the units of a release are, and the table that they are in."""
    try:
        unit = yaml.safe_load((release.directory / _LOCK).read_text(encoding="utf-8"))["unit"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        unit = None
    table = next((table for table, of in UNIT_OF_TABLE.items() if of == unit), None)
    if table is None or table not in release.tables:
        raise InputOutputError(
            f"{_LOCK} of {release.name} {release.version} does not say what its units are",
            "Restore the release from a copy.",
        )
    return cast("Unit", unit), str(table)


def write_recoded(recoded: Recoded, directory: Path) -> dict[str, TableEntry]:
    """Write the tables below ``data/`` of a directory, each as one file; the same rows give the same bytes.

    The footers hold nothing of the release's own: its counts would say what was left out.

    Raises:
        OSError: they cannot be written.
    """
    private_directory(directory / "data")
    entries: dict[str, TableEntry] = {}
    for name, table in recoded.tables.items():
        relpath = f"data/{name}.parquet"
        said = {
            "pathcurate.table": name, "pathcurate.product": recoded.release.name,
            "pathcurate.version": recoded.release.version, "pathcurate.derived_from": recoded.release.digest,
        }  # fmt: skip
        write_parquet(directory / relpath, table.data, said, mode=0o600)
        entries[name] = TableEntry(
            path=relpath, rows=table.data.num_rows, key=table.key, table_digest=table.identity["digest"],
            sha256=file_sha256(directory / relpath),
        )  # fmt: skip
    return entries

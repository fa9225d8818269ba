"""What stands behind the codes of a release in ``deid/``: internal codes, owners, and who must not go out any more."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute

from pathcurate.model.deidentified import DEID_TABLES, LINKS_RELEASED, SPLITS_RELEASED, pseudonym_pattern
from pathcurate.model.text import TEXT_TABLES
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.recoding.codes import whole
from pathcurate.rights.withdrawn import read_withdrawals
from pathcurate.tables import read_parquet
from pathcurate.withdrawals.feed import codes_after, product_feed, read_feed
from pathcurate.withdrawals.subjects import withdrawn_subjects
from pathcurate.workspace import Workspace

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
OWNERS = {
    "person": "group_id", "patient": "patient_id", "case": "case_id", "slide": "slide_id", "series": "series_id",
    "site": "site",
}  # fmt: skip
"""Kinds of subjects that may not go out any more, and the columns of ``deid/`` that name them."""
_TABLE_OF = {
    **{name: name for name in DEID_TABLES}, LINKS_RELEASED.name: "slides", SPLITS_RELEASED.name: "patients",
    **dict.fromkeys(TEXT_TABLES, "reports"),
}  # fmt: skip
"""Table of ``deid/`` that has the owners of a table's rows, by the first column of its key."""


def owner_key(name: str) -> str | None:
    """The column of a released table by which its rows' owners are looked up; None if the table is not known."""
    return DEID_TABLES[_TABLE_OF[name]].key[0] if name in _TABLE_OF else None


def internal_codes(workspace: Workspace, kind: str) -> Iterator[Any]:
    """The internal codes of a kind: of the table whose rows they name, then of each other that speaks of them; each once."""
    for place in _places(kind):
        yield _codes_at(workspace, place)


def _places(kind: str) -> list[tuple[str, str]]:
    pattern = pseudonym_pattern(kind)
    places = [(name, one.name) for name, table in DEID_TABLES.items() for one in table.columns if one.pattern == pattern]
    return sorted(places, key=lambda place: DEID_TABLES[place[0]].key[0] != place[1])


def _codes_at(workspace: Workspace, place: tuple[str, str]) -> Any:
    name, column = place
    return pc.unique(whole(read_parquet(workspace.deid / f"{name}.parquet", (column,))[column])).drop_null()


class Behind:
    """Leads a product's codes back to the internal ones, by making the product's of all that ``deid/`` holds.

    Args:
        workspace: the workspace.
        codes: of the product.
    """

    def __init__(self, workspace: Workspace, codes: Pseudonyms) -> None:
        self._workspace, self._codes = workspace, codes
        self._made: dict[tuple[str, str], tuple[Any, Any]] = {}

    def internal(self, kind: str, values: "pa.ChunkedArray[Any]") -> Any:
        """The internal code of each of a column of the product's; missing where none gives it."""
        encoded: Any = values.combine_chunks().dictionary_encode()
        given: Any = encoded.dictionary
        found: Any = pa.nulls(len(given), pa.string())
        for inside, outside in self._known(kind):
            found = pc.coalesce(found, inside.take(pc.index_in(given, value_set=outside)))
            if not found.null_count:
                break
        return found.take(encoded.indices)

    def _known(self, kind: str) -> Iterator[tuple[Any, Any]]:
        """Internal and product codes, table by table."""
        for place in _places(kind):
            if place not in self._made:
                inside = _codes_at(self._workspace, place)
                self._made[place] = inside, self._codes.code_array(kind, inside)
            yield self._made[place]

    def rows(self, name: str, keys: Any, columns: tuple[str, ...] = ()) -> pa.Table:
        """What ``deid/`` says of rows of a released table: their key, owners and other columns; nulls where it has none.

        Args:
            name: of the table.
            keys: internal codes.
            columns: that are wanted besides, if ``deid/`` has them.
        """
        table = DEID_TABLES[_TABLE_OF[name]]
        key = table.key[0]
        wanted = dict.fromkeys((key, *(one for one in (*OWNERS.values(), *columns) if one in table)))
        known = read_parquet(self._workspace.deid / f"{table.name}.parquet", tuple(wanted))
        places: Any = pc.index_in(keys, value_set=known[key].combine_chunks())
        return known.take(places)


class Gone:
    """Who must not go out any more: by today's opt-outs, by those who have withdrawn, and by sites that were withdrawn.

    Args:
        workspace: the workspace.
        product: name of the product, whose feed knows also those who are in ``deid/`` no longer.

    Raises:
        VaultError: the list of those who have withdrawn is damaged.
        DigestMismatchError: the product's feed is damaged.
    """

    def __init__(self, workspace: Workspace, product: str) -> None:
        self._named = {column: pa.array(sorted(codes), pa.string())
                       for column, codes in codes_after(read_feed(product_feed(workspace, product))).items()}  # fmt: skip
        inside: dict[str, set[str]] = {}
        for kind, code in gone_subjects(workspace):
            inside.setdefault(OWNERS[kind], set()).add(code)
        self._inside = {column: pa.array(sorted(codes), pa.string()) for column, codes in inside.items()}

    def of(self, data: pa.Table, owners: pa.Table | None, inside: pa.Table) -> Any:
        """Which rows are of them.

        Args:
            data: rows in the product's codes.
            owners: what ``deid/`` says of each, as of :meth:`Behind.rows`; None if it cannot be asked.
            inside: the rows' codes in the internal layer.
        """
        found: Any = pa.repeat(False, data.num_rows)
        for rows, gone in ((data, self._named), (owners, self._inside), (inside, self._inside)):
            for column, codes in gone.items():
                if rows is not None and column in rows.column_names:
                    found = pc.or_(found, whole(pc.is_in(rows[column], value_set=codes)))
        if "site" in self._inside and "site" in data.column_names:
            found = pc.or_(found, whole(pc.is_in(data["site"], value_set=self._inside["site"])))
        return found


def gone_subjects(workspace: Workspace) -> set[tuple[str, str]]:
    """Whom or what today's lists forbid to give away: a kind of :data:`OWNERS` and its internal code, or a site's."""
    gone: set[tuple[str, str]] = {("site", one.site) for one in read_withdrawals(workspace)}
    gone |= withdrawn_subjects(workspace)
    path = workspace.vault / "criteria" / "permissions.parquet"
    if not path.is_file():
        return gone
    rows = read_parquet(path, ("subject", "subject_code", "opt_out")).to_pylist()
    said = {(row["subject"], row["subject_code"]) for row in rows if row["opt_out"]}
    # An opt-out names the group of whoever may be the person, or the person alone.
    said |= {("patient", code) for kind, code in said if kind == "person"}
    return gone | {(kind, code) for kind, code in said if kind in OWNERS}

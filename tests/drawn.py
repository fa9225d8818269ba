"""A catalog whose tables are written row by row, links and persons among them: what no stage has to make first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pathcurate.model.column import Table
from pathcurate.model.event import EVENTS
from pathcurate.model.link import LINKS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.slide import SLIDE_KEYS
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import Row

Order = list[tuple[str, Literal["ascending", "descending"]]]
_HEAD = """\
workspace: 1
name: clinic
sites:
  - {code: NB01, archives: [{name: archive, root: a1}]}
  - {code: NB02, archives: [{name: archive, root: a2}]}
  - code: NB03
    archives: [{name: archive, root: a3}]
    accession: {patterns: ['^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})']}
"""


def key(slide_id: str, number: str | None, site: str = "NB01", **values: Any) -> Row:
    """A row of ``slide_keys``."""
    return {
        "slide_id": slide_id, "site": site, "archive": "archive", "key": number, "sources": "barcode", "is_only": True,
        **values,
    }  # fmt: skip


def link(slide_id: str | None, accession: str | None, site: str = "NB01", **values: Any) -> Row:
    """A row of ``links``."""
    return {
        "slide_id": slide_id, "site": site, "accession": accession, "tier": "barcode" if accession else "none",
        "rule": "one_witness" if accession else "no_known_number", "evidence": ["barcode"] if accession else None, **values,
    }  # fmt: skip


def identity(kind: str, value: str, person: str, site: str = "NB01") -> Row:
    """A row of ``identities``."""
    return {"site": site, "issuer": site, "id_type": kind, "id_value": value, "person_id": person}


def open_catalog(root: Path, tables: Mapping[Table, Sequence[Row]]) -> Workspace:
    """A workspace with these tables, in the order in which the stages write them."""
    (root / "pathcurate.yaml").write_text(_HEAD)
    workspace = load_workspace(root / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    for table in (EVENTS, PERMISSIONS):
        catalog.replace(table, from_rows(table, ()))
    for table, rows in tables.items():
        order: Order = [(name, "ascending") for name in _ORDERS.get(table, ())]
        data = from_rows(table, rows)
        catalog.replace(table, data.sort_by(order) if order else data)
    return workspace


_ORDERS = {
    SLIDE_KEYS: ("site", "key", "slide_id"), LINKS: ("site", "accession", "slide_id"), PERSONS: ("person_id",),
    IDENTITIES: ("site", "id_type", "id_value"),
}  # fmt: skip

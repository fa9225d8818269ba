"""The catalogue of what is on offer, as a folder of pages."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pathcurate.catalogentries import entry_of, version_of
from pathcurate.errors import UsageError
from pathcurate.htmlreport.catalog import INDEX_NAME, JSON_NAME, catalog_pages
from pathcurate.lifecycle import state_words
from pathcurate.model.catalogentry import CatalogCertificate, CatalogEntry, CatalogVersion
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Entry, State
from pathcurate.product.desk import Desk
from pathcurate.product.endings import shown_state
from pathcurate.product.evidence import product_file
from pathcurate.releases import is_release, read_release, verify_release
from pathcurate.storage import sync_tree
from pathcurate.wholefolder import in_making


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: how many products, in how many files."""

    products: int
    files: int


def write_catalog(desk: Desk, target: Path, title: str, *, replace: bool = False) -> Written:
    """Write the catalogue of all releases on offer; made under a temporary name, and put in its place when it is whole.

    One that rests on something that has run out is not shown, whether or not somebody has told the registry.

    Args:
        desk: whose releases.
        target: folder to be made.
        title: of the catalogue.
        replace: put it in the place of another catalogue, which must be one.

    Raises:
        UsageError: there is something in its place.
        DigestMismatchError: a release on offer was changed.
    """
    if os.path.lexists(target) and not (replace and _is_catalog(target)):
        raise UsageError(
            f"{target} is there already", "Name another folder, or give --force to replace a catalogue; nothing was written."
        )
    entries = desk.registry.list()
    shown = [_entry(desk, entry, entries) for entry in entries if shown_state(desk, entry) == State.OFFERED]
    pages = catalog_pages(shown, title)
    with in_making(target) as temporary:
        new = temporary / "new"
        for relpath, content in pages.items():
            file = new / relpath
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        sync_tree(new)
        new.chmod(0o755)
        if target.exists():
            # Whole until it goes: a catalogue half removed would be none any more, and nobody could replace it.
            target.rename(temporary / "old")
        new.rename(target)
    return Written(len(shown), len(pages))


def _is_catalog(target: Path) -> bool:
    """Whether a folder holds what :func:`write_catalog` writes, and nothing else: a site has an index too."""
    if target.is_symlink() or not target.is_dir():
        return False
    names = {path.name for path in target.iterdir()}
    pages = target / "products"
    return {INDEX_NAME, JSON_NAME} <= names <= {INDEX_NAME, JSON_NAME, pages.name} and (
        pages.name not in names or all(path.suffix == ".html" and path.is_file() for path in pages.iterdir())
    )


def _entry(desk: Desk, entry: Entry, entries: list[Entry]) -> CatalogEntry:
    release = verify_release(desk.workspace.releases / entry.product / entry.version)
    held = entry.facts.get("certificate")
    file = product_file(desk, release)
    return entry_of(
        release,
        entry.state,
        certificate=_certificate(held) if held is not None else None,
        versions=[_version(desk, other) for other in entries if other.product == entry.product],
        evidence=file.evidence if file is not None else None,
    )


def _certificate(held: Mapping[str, Any]) -> CatalogCertificate:
    until = held["valid_until"]
    return CatalogCertificate(
        held["authority"], held["number"], date.fromisoformat(held["issued"]),
        date.fromisoformat(until) if until is not None else None,
    )  # fmt: skip


def _version(desk: Desk, entry: Entry) -> CatalogVersion:
    """A line of the product's history; of a version whose directory is gone, what the registry knows."""
    directory = desk.workspace.releases / entry.product / entry.version
    if is_release(directory):
        return version_of(read_release(directory), entry.state)
    zh, en = state_words(Machine.RELEASE, entry.state)
    return CatalogVersion(entry.version, entry.state, zh, en, entry.release_digest)

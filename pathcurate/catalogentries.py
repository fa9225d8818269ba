"""Reads from a release directory what a catalogue says of it: its manifest, its product file and its data dictionary."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pathcurate import yamlsource
from pathcurate.errors import InputOutputError
from pathcurate.lifecycle import state_words
from pathcurate.model.catalogentry import MOST_VERSION, CatalogCertificate, CatalogEntry, CatalogTable, CatalogVersion
from pathcurate.model.lifecycle import Machine
from pathcurate.model.productfile import PRODUCT_FILE, Evidence, ProductFile
from pathcurate.releases import Release, version_key
from pathcurate.storage import LocalSource

DICTIONARY_PATH = "metadata/dictionary.json"
_MOST_BYTES = 64 << 20
"""Of a document beside the tables; none of ours comes near it."""
_TABLES = TypeAdapter(tuple[CatalogTable, ...])
_HINT = "Run `pathcurate validate` on the release, and restore it from a copy if it was changed."


def version_of(release: Release, state: str) -> CatalogVersion:
    """A release as a line of its product's history.

    Args:
        release: the release.
        state: its state in the registry, such as ``offered``.

    Raises:
        KeyError: a release has no such state.
    """
    zh, en = state_words(Machine.RELEASE, state)
    published = release.manifest.get("published")  # releases of before 0.9.0 do not say it
    day = date.fromisoformat(published) if published is not None else None
    return CatalogVersion(release.version, state, zh, en, release.digest, day)


def entry_of(
    release: Release,
    state: str,
    *,
    certificate: CatalogCertificate | None = None,
    versions: Sequence[CatalogVersion] = (),
    evidence: Evidence | None = None,
    apply: str = "",
) -> CatalogEntry:
    """What a catalogue says of a release; its bytes are not checked here, see :func:`pathcurate.releases.verify_release`.

    Args:
        release: the release.
        state: its state in the registry, such as ``offered``.
        certificate: of its registration.
        versions: of the product, in any order; with :func:`version_of` from releases.
        evidence: what the product rests on today; what the release's own product file says if None.
        apply: how one asks for it, as lines of text.

    Raises:
        InputOutputError: a document of the release cannot be read or is not of its form.
        KeyError: a release has no such state.
    """
    manifest = release.manifest
    file = _product_file(release.directory)
    deid = manifest.get("deid", {})  # releases of before 0.6.0 do not say it
    rests = evidence if evidence is not None else file.evidence if file is not None else Evidence()
    try:
        return CatalogEntry(
            release.name, version_of(release, state), manifest["title"], manifest["kind"], manifest["counts"],
            _tables(release), manifest["permissions"]["configured"], file, rests, deid.get("gbt42460_level"),
            deid.get("k_min"), certificate,
            tuple(sorted(versions, key=lambda one: version_key(one.version), reverse=True)), apply,
        )  # fmt: skip
    except ValueError:
        raise InputOutputError(
            f"a release of {release.name} has a version, or a day of publication, that no page can be made of",
            f"A version has at most {MOST_VERSION} characters. {_HINT}",
        ) from None


def _product_file(directory: Path) -> ProductFile | None:
    content = _read(directory, PRODUCT_FILE)
    if content is None:
        return None
    return yamlsource.validate(yamlsource.load(content, PRODUCT_FILE, InputOutputError), ProductFile, InputOutputError)


def _tables(release: Release) -> tuple[CatalogTable, ...]:
    """The tables of the manifest, with what the data dictionary says of them; older releases have none."""
    content = _read(release.directory, DICTIONARY_PATH)
    described = {table.name: table for table in _described(content)} if content is not None else {}
    return tuple(
        CatalogTable(name, told.label_zh, told.row, told.row_zh, entry["rows"], told.columns)
        if (told := described.get(name)) is not None
        else CatalogTable(name, name, "", "", entry["rows"])
        for name, entry in _unit_first(release.tables, list(described))
    )


def _unit_first(tables: Mapping[str, Any], order: Sequence[str]) -> list[tuple[str, Any]]:
    """The manifest is sorted by name; the dictionary begins with the table of the unit."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(tables.items(), key=lambda item: (places.get(item[0], len(places)), item[0]))


def _described(content: bytes) -> tuple[CatalogTable, ...]:
    try:
        return _TABLES.validate_python([{**table, "name": table["table"]} for table in json.loads(content)])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputOutputError(f"{DICTIONARY_PATH} of a release is not of its form", _HINT) from None


def _read(directory: Path, relpath: str) -> bytes | None:
    """A document of the release; None if it has no such file."""
    path = directory / relpath
    if not os.path.lexists(path):
        return None
    where = f"{relpath} of {directory.parent.name}/{directory.name}"
    try:
        # Not followed if it is a link, not waited for if it is a FIFO: others may have put it there.
        with LocalSource(os.fsencode(path)) as source:
            if source.size > _MOST_BYTES:
                raise InputOutputError(f"{where} is larger than any that a release has", _HINT)
            return source.read_at(0, source.size)
    except OSError as error:
        raise InputOutputError(f"{where} cannot be read ({type(error).__name__})", _HINT) from None

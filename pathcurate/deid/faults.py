"""Verification: of ``deid/`` from the files alone, and of any directory, against the identifiers that the catalog knows."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.deid.vaultsearch import count_files, vault_leaks
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.leaksearch.known import of_catalog
from pathcurate.leaksearch.search import NOT_SEARCHED, Leak, search_directory
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Action, Table, Type
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, TRUE_LABEL
from pathcurate.model.text import TEXT_TABLES
from pathcurate.profiles import load_profile
from pathcurate.scrubbers.table import verify
from pathcurate.tables import Catalog, arrow_schema, read_parquet
from pathcurate.vault import append_event, open_vault
from pathcurate.verification import SEAL_FILE
from pathcurate.workspace import Workspace

_SQL_BYTES = 2_000_000_000
_TEXTS = "texts"
_CONTROL_PARTS = 4
"""Files of each catalog table that the positive control searches."""
_CONTROL_TABLES = ("reports", "slides", "slide_keys", "persons", "events")
_LEAST_KINDS = 2
_COLOUR = ANNOTATIONS["colour"].pattern
_STATISTICS = "statistics"
"""Where the search finds the least and the greatest values of columns."""


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """What a search of a directory found.

    Attributes:
        files: how many files there are to search.
        identifiers: how many were searched for, by kind.
        control: places in a sample of the catalog where the same search found some, by kind.
        leaks: where the directory holds some, or could not be searched.
    """

    files: int
    identifiers: Mapping[str, int]
    control: Mapping[str, int]
    leaks: tuple[Leak, ...]


def find_faults(workspace: Workspace, identifiers: Identifiers) -> list[str]:
    """What is wrong with the de-identified tables, in words without any value; empty if nothing is.

    Args:
        workspace: the workspace.
        identifiers: what :func:`known` gives.
    """
    profile = load_profile(workspace)
    faults = []
    if strays := _strays(workspace.deid, {f"{name}.parquet" for name in DEID_TABLES} | {SEAL_FILE, _TEXTS}):
        # Their names are anybody's, and may name a patient.
        faults.append(f"deid/ holds {strays} files or folders that do not belong there")
    for name, table in DEID_TABLES.items():
        path = workspace.deid / f"{name}.parquet"
        data = read_parquet(path)
        faults += _of_table(path, table, data, identifiers, profile.filled(name))
        if name in CRITERIA_TABLES:
            true = read_parquet(workspace.criteria / f"{name}.parquet")
            faults += [f"{name}.{column} {what}" for column, what in _unshifted(table, data, true)]
            if name == ANNOTATIONS.name and (longer := _outside_form(true[TRUE_LABEL.name])):
                faults.append(f"criteria {name}.{TRUE_LABEL.name} has {longer} values that may hold a number")
    return faults


def find_text_faults(workspace: Workspace, identifiers: Identifiers) -> list[str]:
    """What is wrong with the scrubbed texts, in words without any value; empty if nothing is.

    Args:
        workspace: the workspace.
        identifiers: what :func:`known` gives.
    """
    directory = workspace.deid / _TEXTS
    faults = []
    if strays := _strays(directory, {f"{name}.parquet" for name in TEXT_TABLES} | {SEAL_FILE}):
        faults.append(f"deid/texts/ holds {strays} files or folders that do not belong there")
    for name, table in TEXT_TABLES.items():
        path = directory / f"{name}.parquet"
        if path.is_file():
            faults += _of_table(path, table, read_parquet(path), identifiers)
        else:
            faults.append(f"deid/texts/ has no {path.name}")
    return faults


def search(workspace: Workspace, directory: Path, *, actor: str) -> SearchSummary:
    """Search any directory for the identifiers of the catalog, after the same search has found them in the catalog itself.

    Args:
        workspace: whose catalog it is.
        directory: a release, a delivery, or anything else that is to be given away; or one file.
        actor: who runs it, for the audit trail.

    Raises:
        VaultError: the workspace has no vault that could hold the audit trail.
        InputOutputError: the directory is not there, or the search finds nothing where identifiers are.
    """
    if not os.path.lexists(directory):
        raise InputOutputError("there is no such directory", "Name a directory or a file that is there.")
    vault = open_vault(workspace.vault)
    identifiers = known(workspace)
    control = _control(workspace, identifiers)
    files = count_files(directory)
    if not files:
        raise InputOutputError("there is no file to search", "Name a directory or a file that holds something.")
    leaks = (*search_directory(directory, identifiers), *vault_leaks(directory, vault, identifiers))
    facts: dict[str, str | int] = {"identifiers": len(identifiers), "leaks": len(leaks), "version": __version__}
    append_event(workspace.vault, actor, "deid verify directory", facts)
    return SearchSummary(files, identifiers.kinds(), control, leaks)


def known(workspace: Workspace) -> Identifiers:
    """The identifiers of the catalog as it is now, or was when the workspace's tables were made of it."""
    # A site's code is configuration, and may be a folder's name as well.
    codes = [site.code for site in workspace.sites]
    spill = workspace.catalog / ".spill"
    with Embedded(workers=2, temp_directory=spill, memory_limit_bytes=_SQL_BYTES) as engine:
        return of_catalog(engine, Catalog(workspace.catalog, workspace.pinned), codes)


def _control(workspace: Workspace, identifiers: Identifiers) -> Mapping[str, int]:
    """Where a sample of the catalog holds identifiers, by kind: a search that finds none there finds none anywhere.

    Raises:
        InputOutputError: it finds too little.
    """
    found: dict[str, int] = {}
    for name in _CONTROL_TABLES:
        for path in islice(sorted((workspace.catalog / name).glob("*.parquet")), _CONTROL_PARTS):
            for leak in search_directory(path, identifiers):
                found[leak.kind] = found.get(leak.kind, 0) + leak.count
    expected = min(_LEAST_KINDS, len(identifiers.kinds()))
    if len(found.keys() - {NOT_SEARCHED}) < expected:
        raise InputOutputError(
            "the search found nothing where identifiers are: it cannot be trusted with any other directory",
            "The catalog may be damaged: run `pathcurate catalog check`.",
        )
    return dict(sorted(found.items()))


def _of_table(
    path: Path, table: Table, data: pa.Table, identifiers: Identifiers, filled: Set[str] | None = None
) -> list[str]:
    """What is wrong with a de-identified table and with its file."""
    faults = [f"{table.name}.{column} {what}" for column, what in verify(table, data, filled)]
    in_columns, elsewhere = _held(path, table, data.schema, identifiers)
    faults += [f"{table.name}.{column} has {count} values that hold a known direct identifier"
               for column, count in in_columns.items()]  # fmt: skip
    # What stands in a column stands in the file's statistics as well.
    return faults or [f"{table.name} holds {count} known direct identifiers in its {where or 'bytes'}"
                      for where, count in elsewhere.items()]  # fmt: skip


def _held(path: Path, table: Table, schema: pa.Schema, identifiers: Identifiers) -> tuple[Counter[str], Counter[str]]:
    """Known identifiers in a file: in the declared columns, and elsewhere in it.

    What a declared column of numbers or colours holds is a count, a size or a colour, whomever else's number it may be.
    """
    declared, elsewhere, of_colours = Counter[str](), Counter[str](), 0
    types = {field.name: field.type for field in arrow_schema(table)}
    for leak in search_directory(path, identifiers):
        place = leak.where.removeprefix("column ")
        name = schema.names[int(place) - 1] if place != leak.where and place.isdigit() else ""
        if name not in types:
            elsewhere[leak.where] += leak.count
        elif types[name] == schema.field(name).type and table[name].type in {Type.STRING, Type.STRINGS}:
            if table[name].pattern == _COLOUR:
                of_colours += leak.count
            else:
                declared[name] += leak.count
    if of_colours:
        # Which column's they are is not said, and the columns themselves have been searched.
        del elsewhere[_STATISTICS]
    return declared, elsewhere


def _outside_form(labels: "pa.ChunkedArray[Any]") -> int:
    """How many distinct labels criteria must not name."""
    fits = pc.match_substring_regex(pc.unique(labels.drop_null()), rf"^(?:{TRUE_LABEL.pattern})$")
    return fits.to_pylist().count(False)


def _strays(directory: Path, expected: Iterable[str]) -> int:
    return len({path.name for path in directory.iterdir()} - set(expected))


def _unshifted(table: Table, data: pa.Table, true: pa.Table) -> Iterator[tuple[str, str]]:
    """Dates that stand as they were; both tables are sorted by the same pseudonym."""
    key = table.key[0]
    if key not in data.column_names or not data[key].equals(true[key]):
        yield key, "does not agree with the criterion-only values"
        return
    for column in table.columns:
        shown = column.type is Type.DATE and column.action is Action.KEEP and column.name in data.column_names
        if shown and column.name in true.column_names and data[column.name].type == true[column.name].type:
            same = pc.equal(data[column.name], true[column.name]).to_pylist().count(True)  # null where either is
            if same:
                yield column.name, f"has {same} dates that were not moved"

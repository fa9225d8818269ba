"""Where a person stands outside of the catalog's tables: de-identified tables, cohorts, releases, pages and caches."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import pseudonyms
from pathcurate.erasure.scope import Scope
from pathcurate.leaksearch.search import search_directory
from pathcurate.members import forget_members
from pathcurate.releases import list_releases, read_release
from pathcurate.tables import read_parquet, read_schema
from pathcurate.vault import Vault, open_vault
from pathcurate.vault.crosswalk import erase
from pathcurate.vault.rotation import retired_keys
from pathcurate.verification import break_seal, break_text_seal
from pathcurate.workspace import Workspace

_KINDS = {
    "slide_id": "S", "report_id": "R", "case_id": "C", "patient_id": "P", "series_id": "I", "annotation_id": "A",
    "material_id": "M",
}  # fmt: skip
"""Column of a de-identified table to the kind of its codes."""

Codes = Mapping[str, list[str]]
"""Internal codes of the person by the name of their column."""


def codes_of(scope: Scope, vault: Vault) -> dict[str, list[str]]:
    """The person's internal codes under one key."""
    layer = pseudonyms.internal(vault.key).codes
    codes = {name: [layer.code(kind, code) for code in scope.ids_of(kind)] for name, kind in _KINDS.items() if kind != "C"}
    return {**codes, "case_id": [layer.code("C", *case) for case in scope.cases]}


def keys_of(workspace: Workspace) -> list[Vault]:
    """The vault under its present key and under those before it; none if it has no key."""
    if not (workspace.vault / "key").exists():
        return []
    vault = open_vault(workspace.vault)
    return [vault, *retired_keys(vault)]


def cohorts_with(workspace: Workspace, scope: Scope) -> list[Path]:
    """Cohorts that looked at the person."""
    known = [codes_of(scope, key) for key in keys_of(workspace)]
    folders = sorted(path for path in workspace.cohorts.glob("*") if path.is_dir())
    return [folder for folder in folders if any(_holds(path, known) for path in folder.rglob("*.parquet"))]


def releases_with(workspace: Workspace, scope: Scope) -> list[str]:
    """Releases that hold the person, as ``name@version``; none of their bytes is ever changed."""
    keys = keys_of(workspace)
    found = []
    for directory in list_releases(workspace.releases) if keys else ():
        product = directory.parent.name
        known = [
            {name: [pseudonyms.product(key.key, product).codes.code(_KINDS[name], code) for code in codes]
             for name, codes in codes_of(scope, key).items()}
            for key in keys
        ]  # fmt: skip
        release = read_release(directory)
        paths = [path for name in release.tables for path in release.paths(name)]
        if any(_holds(path, known) for path in paths):
            found.append(f"{product}@{directory.name}")
    return found


def _holds(path: Path, known: list[dict[str, list[str]]]) -> bool:
    for name in _KINDS.keys() & set(read_schema(path).names):
        codes = pa.array([code for one in known for code in one[name]], pa.string())
        if pc.any(pc.is_in(read_parquet(path, [name])[name].combine_chunks(), value_set=codes)).as_py():
            return True
    return False


def pages_with(workspace: Workspace, scope: Scope) -> Iterator[Path]:
    """What was written for people to look at and speaks of the person: files, and whole folders of sheets."""
    identifiers = scope.identifiers()
    folders = [workspace.catalog / name for name in ("review", "quality")]
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        # What cannot be searched may hold the person too.
        if next(search_directory(path, identifiers), None) is not None or next(identifiers.find(path.name), None):
            yield path


def remove_pages(workspace: Workspace, scope: Scope) -> None:
    """Remove them, and what engines and runs left in the catalog for themselves."""
    for path in pages_with(workspace, scope):
        _remove(path)
    for name in (".spill", "run.json", "as_of"):
        _remove(workspace.catalog / name)


def remove_derived(workspace: Workspace) -> None:
    """Remove all de-identified tables, whole: they are made again of what is left; nothing vouches for a part of them."""
    break_seal(workspace)
    break_text_seal(workspace)
    for folder in (workspace.deid, workspace.vault / "criteria"):
        for path in folder.iterdir() if folder.is_dir() else ():
            _remove(path)


def remove_cohort(folder: Path) -> None:
    """Remove a cohort; first what says that it is whole."""
    (folder / "cohort.json").unlink(missing_ok=True)
    _remove(folder)


def erase_crosswalk(workspace: Workspace, scope: Scope) -> None:
    """Take the person out of the crosswalk, out of the bridges from former keys, and out of who is in which release."""
    forget_members(workspace.vault, scope.ids_of("P"), scope.ids_of("S"))
    for vault in keys_of(workspace)[:1]:
        erase(vault, [code for codes in codes_of(scope, vault).values() for code in codes])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

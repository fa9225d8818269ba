"""What is in a delivery: the release's tables in the recipient's codes, proven copies of files, and what describes them."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from pathcurate.checksums import CHECKSUMS_NAME
from pathcurate.digests import file_sha256, sha256_text
from pathcurate.errors import DigestMismatchError, PlanIncompleteError
from pathcurate.model.agreement import Agreement
from pathcurate.model.deidfile import DEID_FILES_NAME, RECEIPT_NAME
from pathcurate.model.delivery import TableEntry
from pathcurate.model.rights import Source, SourceStatement
from pathcurate.product.desk import Desk
from pathcurate.recoding import Recoded, recode, write_recoded
from pathcurate.releases import Release
from pathcurate.rights import standings
from pathcurate.rights.counting import behind_units
from pathcurate.rights.sources import read_sources
from pathcurate.storage import private_directory, write_bytes
from pathcurate.vault import open_vault
from pathcurate.withdrawals.subjects import withdrawn_head

DESCRIBED = ("metadata/DATASHEET.zh.md", "metadata/DATASHEET.en.md", "metadata/contract.odcs.yaml")
"""What of a release's documents goes along: none of them holds a code of anybody."""
TABLES = "tables"
"""Folder of the work files, for what is in the recipient's codes."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of slide and DICOM files in the recipient's codes.

    Attributes:
        directory: that holds them, with their receipt.
        missing: slides and series of the release that have no copy.
    """

    directory: Path
    missing: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be sent.

    Attributes:
        members: path within to the file; the tables and the list come first.
        contents_sha256: digest of the list of all of them.
        tables: by name.
        unit: table of the units, by which the parts of sites are counted where a price is of no rows.
        counts: ``slides``, ``cases``, ``patients`` and the like behind what is delivered, ``files`` and ``bytes``.
        left_out: rows and files that are not in it, by why.
        sources: what of it is whose.
        withdrawals: number of the last withdrawal of the contract's feed that it honours.
        withdrawn: length and end of the list of everybody who has withdrawn, when it was prepared.
    """

    members: Mapping[str, Path]
    contents_sha256: str
    tables: Mapping[str, TableEntry]
    unit: str
    counts: Mapping[str, int]
    left_out: Mapping[str, int]
    sources: SourceStatement
    withdrawals: int
    withdrawn: tuple[int, str]


def prepare(
    desk: Desk, release: Release, agreement: Agreement, work: Path, copies: Copies | None, *, withdrawals: int,
    without_missing: bool,
) -> Prepared:  # fmt: skip
    """Make what is to be sent; the same state of the archive gives the same bytes.

    Args:
        desk: whose it is.
        release: whole.
        agreement: the terms.
        work: directory for work files; its ``tables`` is made anew.
        copies: of slide files; None if tables alone are delivered.
        withdrawals: number of the last withdrawal in the contract's feed.
        without_missing: leave out what cannot be found any more, and say how much that is.

    Raises:
        PlanIncompleteError: something is missing.
        DigestMismatchError: the copies are not what their receipt says.
        VaultError: the key cannot be used.
    """
    key = open_vault(desk.workspace.vault).key
    withdrawn = withdrawn_head(desk.workspace.vault)
    recoded = recode(desk.workspace, release, agreement.recipient, key, without_missing=without_missing)
    if copies is not None and copies.missing and not without_missing:
        raise PlanIncompleteError(
            f"{copies.missing} slides or series of the release have no proven copy",
            "`pathcurate findings list` says why. Give --without-missing to deliver the others; the delivery says so.",
        )
    folder = private_directory(work) / TABLES
    shutil.rmtree(folder, ignore_errors=True)
    private_directory(folder)
    tables = write_recoded(recoded, folder)
    members = {entry.path: folder / entry.path for entry in tables.values()}
    digests = {entry.path: entry.sha256.removeprefix("sha256:") for entry in tables.values()}
    for relpath in DESCRIBED:
        if (release.directory / relpath).is_file():
            members[relpath] = release.directory / relpath
            digests[relpath] = file_sha256(release.directory / relpath).removeprefix("sha256:")
    copied = _copied(copies) if copies is not None else {}
    members |= {relpath: path for relpath, (path, _) in copied.items()}
    digests |= {relpath: digest for relpath, (_, digest) in copied.items()}
    listed = "".join(f"{digest}  {relpath}\n" for relpath, digest in sorted(digests.items())).encode()
    write_bytes(folder / CHECKSUMS_NAME, listed, mode=0o600)
    sources = _sources(desk, release, recoded)
    counts = _counts(sources, recoded) | {
        "files": len(members),
        "bytes": sum(path.stat().st_size for path in members.values()),
    }
    left_out = dict(recoded.left_out) | ({"files_missing": copies.missing} if copies is not None and copies.missing else {})
    return Prepared(
        {CHECKSUMS_NAME: folder / CHECKSUMS_NAME, **members}, sha256_text(listed), tables, recoded.unit_table, counts,
        {name: count for name, count in left_out.items() if count}, sources, withdrawals,
        withdrawn,
    )  # fmt: skip


def _copied(copies: Copies) -> dict[str, tuple[Path, str]]:
    """Files of the copies by path within, each with its digest."""
    try:
        receipt = json.loads((copies.directory / RECEIPT_NAME).read_bytes())
        files = {str(one["path"]): (copies.directory / one["path"], str(one["sha256"])) for one in receipt["files"]}
        table = copies.directory / DEID_FILES_NAME
        whole = all(path.is_file() for path, _ in files.values())
        if not whole or file_sha256(table) != f"sha256:{receipt['table']['sha256']}":
            raise ValueError("a copy is missing")
    except (OSError, ValueError, KeyError, TypeError):
        raise DigestMismatchError(
            "the copies of the slide files are not what their receipt says", "Run the command again; they are made anew."
        ) from None
    return files | {DEID_FILES_NAME: (table, receipt["table"]["sha256"])}


def _sources(desk: Desk, release: Release, recoded: Recoded) -> SourceStatement:
    """What of the delivery is whose: shares are those of when the release was built."""
    built = read_sources(desk.workspace, release.name, release.version, release.digest)
    if not any(recoded.left_out.values()):
        return built
    counts = behind_units(desk.workspace, recoded.unit, recoded.unit_table, recoded.units)
    stood = {site: one.standing for site, one in built.sites.items()}
    today = standings(desk.workspace, desk.today)
    sites = {site: Source(found, stood.get(site) or today[site]) for site, found in sorted(counts.items())}
    return replace(built, sites=sites)


def _counts(sources: SourceStatement, recoded: Recoded) -> dict[str, int]:
    """What is delivered, counted. A patient of two sites is one patient."""
    found: dict[str, int] = {}
    for source in sources.sites.values():
        for level, count in source.counts.items():
            if level != "rows":
                found[level] = found.get(level, 0) + count
    persons: Any = recoded.patients
    if persons is not None:
        found["patients"] = pc.count_distinct(persons).as_py()
    return found

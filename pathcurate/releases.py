"""Releases on disk: where they are, what their manifest says, whether their bytes are those it vouches for."""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from jsonschema import Draft202012Validator

from pathcurate.checksums import CHECKSUMS_NAME, SM3_NAME, parse_checksums, verify_checksums, verify_sm3
from pathcurate.digests import release_digest
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.description import PartFile
from pathcurate.model.manifest import MANIFEST_JSON_SCHEMAS, MANIFEST_NAME, MANIFEST_SCHEMA
from pathcurate.storage import LocalSource
from pathcurate.yamlsource import did_you_mean

PROBLEM_WORDS = {
    "changed": "was changed since it was built",
    "missing": "is missing",
    "orphan": "does not belong to the release",
}
_LARGEST = 1 << 26
"""Bytes of the largest manifest or list of files that is read; that of the largest release that can be built is smaller."""
_RESTORE = "Restore the release from a copy; it was changed."
_BUILD = "There is none yet; `pathcurate manifest build RECIPE` makes one."


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one product's manifest.

    Attributes:
        directory: the release directory.
        manifest: ``MANIFEST.json``.
        digest: the release digest: of the bytes of ``manifest-sha256.txt``.
    """

    directory: Path
    manifest: Mapping[str, Any]
    digest: str

    @property
    def name(self) -> str:
        """Name of the product."""
        return str(self.manifest["product"])

    @property
    def version(self) -> str:
        """Its version."""
        return str(self.manifest["version"])

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """Its tables by name."""
        tables: Mapping[str, Mapping[str, Any]] = self.manifest["tables"]
        return tables

    def parts(self, table: str) -> tuple[PartFile, ...]:
        """The files of a table, in the order of its rows."""
        return table_parts(self.tables[table])

    def paths(self, table: str) -> list[Path]:
        """Where they are."""
        return [self.directory / part.path for part in self.parts(table)]


def table_parts(entry: Mapping[str, Any]) -> tuple[PartFile, ...]:
    """The files of a table, from what a manifest of any form says of it; a size that it does not say is -1."""
    if "parts" in entry:
        return tuple(PartFile(part["path"], part["rows"], part["bytes"], part["sha256"]) for part in entry["parts"])
    return (PartFile(entry["path"], entry["rows"], -1, entry["sha256"]),)


def read_release(directory: Path) -> Release:
    """Read a release's manifest; its bytes are not checked, see :func:`verify_release`.

    Raises:
        InputOutputError: the directory is no release, or its manifest cannot be read or is not of its schema.
    """
    manifest = read_manifest(directory)
    checksums = _read(directory, CHECKSUMS_NAME)
    faults = manifest_faults(manifest)
    if faults:
        raise InputOutputError(
            f"{MANIFEST_NAME} of {_shown(directory)} is not of its schema, at {', '.join(faults[:5])}", _RESTORE
        )
    return Release(directory, manifest, release_digest(checksums))


def read_manifest(directory: Path) -> Any:
    """``MANIFEST.json`` as it stands, whatever it holds.

    Raises:
        InputOutputError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(_read(directory, MANIFEST_NAME))
    except (ValueError, RecursionError):
        raise InputOutputError(f"{MANIFEST_NAME} of {_shown(directory)} is not JSON", _RESTORE) from None


def checksums_bytes(directory: Path) -> bytes:
    """The bytes of a release's ``manifest-sha256.txt``, whose digest is the release's.

    Raises:
        InputOutputError: it cannot be read.
    """
    return _read(directory, CHECKSUMS_NAME)


def manifest_faults(manifest: Any) -> list[str]:
    """Where a manifest breaks its schema, as places in the schema: places in the manifest could quote what it holds."""
    named = manifest.get("schema") if isinstance(manifest, dict) else None
    schema = MANIFEST_JSON_SCHEMAS.get(named if isinstance(named, str) else "", MANIFEST_JSON_SCHEMAS[MANIFEST_SCHEMA])
    faults = Draft202012Validator(schema).iter_errors(manifest)
    return sorted({"/".join(str(part) for part in fault.absolute_schema_path if part != "properties") for fault in faults})


def _read(directory: Path, name: str) -> bytes:
    try:
        # Not followed if it is a link, not waited for if it is a FIFO: others may have put it there.
        with LocalSource(os.fsencode(directory / name)) as source:
            if source.size > _LARGEST:
                raise InputOutputError(f"{name} of {_shown(directory)} is larger than any that a release has", _RESTORE)
            return source.read_at(0, source.size)
    except OSError as error:
        raise InputOutputError(
            f"{_shown(directory)} is no release: {name} cannot be read ({type(error).__name__})",
            "Give a directory that `pathcurate manifest build` made.",
        ) from None


def _shown(directory: Path) -> str:
    return "/".join(directory.parts[-2:])  # product and version


def checksum_problems(directory: Path) -> list[tuple[str, str]]:
    """What is ``changed``, ``missing`` or ``orphan``, and where; empty if the release is whole.

    A file of the release is named. An orphan is not, only its folder: who put it there may have named it after a patient.
    """
    if not os.path.lexists(directory / CHECKSUMS_NAME):
        return [(CHECKSUMS_NAME, "missing")]
    try:
        listed = parse_checksums(_read(directory, CHECKSUMS_NAME))
    except InputOutputError:
        return [(CHECKSUMS_NAME, "changed")]
    folders = {str(parent) for relpath in listed for parent in PurePosixPath(relpath).parents}
    problems = [
        (_nearest(PurePosixPath(relpath), folders) if problem == "orphan" else relpath, problem)
        for relpath, problem in verify_checksums(directory, listed)
    ]
    return sorted(problems)


def _nearest(path: PurePosixPath, folders: Collection[str]) -> str:
    folder = next((str(parent) for parent in path.parents if str(parent) in folders), ".")
    return "a file at the top" if folder == "." else f"a file in {folder}/"


def verify_release(directory: Path) -> Release:
    """Read a release whose bytes are those that its checksums vouch for.

    Raises:
        DigestMismatchError: a file was changed, is missing, or does not belong there.
        InputOutputError: the directory is no release.
    """
    _refuse(directory, checksum_problems(directory))
    return read_release(directory)


def verify_copy(directory: Path) -> tuple[Release, list[str]]:
    """Like :func:`verify_release`, of a copy that holds only some of the files; and which it does not hold.

    Raises:
        DigestMismatchError: a file that is there was changed, or does not belong there.
        InputOutputError: the directory is no release: it needs its manifest and its list of checksums.
    """
    release, problems = read_release(directory), checksum_problems(directory)
    _refuse(directory, [(where, problem) for where, problem in problems if problem != "missing"])
    return release, [where for where, problem in problems if problem == "missing"]


def verify_sm3_list(directory: Path, absent: Collection[str] = ()) -> None:
    """Check the list of digests by SM3, but for files that are known to be absent.

    Raises:
        DigestMismatchError: a file has another digest.
        UsageError: the release has no such list.
        InputOutputError: the list is malformed.
    """
    if not os.path.lexists(directory / SM3_NAME):
        raise UsageError(f"{_shown(directory)} has no {SM3_NAME}", "`pathcurate manifest build --sm3` writes one.")
    differing = verify_sm3(directory, _read(directory, SM3_NAME))
    _refuse(directory, [(where, "changed") for where in differing if where not in absent])


def _refuse(directory: Path, problems: Sequence[tuple[str, str]]) -> None:
    if not problems:
        return
    if not is_release(directory):
        read_release(directory)  # no release at all: says so
    shown = ", ".join(f"{where} {PROBLEM_WORDS[problem]}" for where, problem in problems[:5])
    more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
    raise DigestMismatchError(
        f"{_shown(directory)} is not what was built: {shown}{more}",
        "Do not use it. Restore it from a copy, or raise `version` in the recipe and build anew.",
    )


def is_release(directory: Path) -> bool:
    """Whether a directory is a release, or what is left of one."""
    return any(os.path.lexists(directory / name) for name in (MANIFEST_NAME, CHECKSUMS_NAME))


def list_releases(root: Path) -> list[Path]:
    """Directories of all releases below a workspace's ``releases/``, by name and version."""
    found = [path.parent for path in root.glob(f"*/*/{MANIFEST_NAME}") if not path.parent.name.startswith(".")]
    return sorted(found, key=lambda path: (path.parent.name, version_key(path.name)))


def find_release(root: Path, text: str, base: Path) -> Path:
    """The release that a user means: a directory, ``NAME@VERSION``, or ``NAME`` for its highest version.

    Args:
        root: the workspace's ``releases/``.
        text: what the user wrote.
        base: directory that a relative path starts from.

    Raises:
        UsageError: there is no such release.
    """
    directory = base / text
    if is_release(directory):
        return directory
    name, _, version = text.partition("@")
    of_name = [path for path in list_releases(root) if path.parent.name == name]
    wanted = [path for path in of_name if not version or path.name == version]
    if not wanted:
        known = [f"{path.parent.name}@{path.name}" for path in of_name or list_releases(root)]
        listed = f"Known releases: {', '.join(known[:8])}{', …' if len(known) > 8 else ''}." if known else _BUILD
        raise UsageError(f"there is no release `{text}`{did_you_mean(text, known)}", listed)
    return wanted[-1]


def version_key(version: str) -> tuple[Any, ...]:
    """Sort key of a semantic version (SemVer 2.0.0, section 11: precedence)."""
    core, _, pre = version.partition("+")[0].partition("-")
    numbers = tuple(int(part) for part in re.findall(r"\d+", core))
    identifiers = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in pre.split(".")) if pre else ()
    return numbers, not pre, identifiers

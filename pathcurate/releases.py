"""Releases on disk: where they are, what their manifest says, whether their bytes are those it vouches for."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathcurate.digests import CHECKSUMS_NAME, parse_checksums, release_digest, verify_checksums
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.manifest import MANIFEST_NAME

_REQUIRED = ("schema", "product", "version", "tables", "content_digest", "counts", "recipe", "inputs", "tool")


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


def read_release(directory: Path) -> Release:
    """Read a release's manifest; its bytes are not checked, see :func:`verify_release`.

    Raises:
        InputOutputError: the directory is no release, or its manifest cannot be read.
    """
    try:
        manifest = json.loads((directory / MANIFEST_NAME).read_bytes())
        checksums = (directory / CHECKSUMS_NAME).read_bytes()
    except OSError as error:
        raise InputOutputError(
            f"{directory.name} is no release: {Path(str(error.filename)).name} cannot be read ({type(error).__name__})",
            "Give a directory that `pathcurate manifest build` made.",
        ) from None
    except ValueError:
        raise InputOutputError(
            f"{MANIFEST_NAME} of {directory.name} is not JSON", "Restore the release from a copy; it was changed."
        ) from None
    missing = [key for key in _REQUIRED if not isinstance(manifest, dict) or key not in manifest]
    if missing or not isinstance(manifest["tables"], dict):
        raise InputOutputError(
            f"{MANIFEST_NAME} of {directory.name} lacks {', '.join(missing) or 'its tables'}",
            "Restore the release from a copy; it was changed.",
        )
    return Release(directory, manifest, release_digest(checksums))


def checksum_problems(directory: Path) -> list[tuple[str, str]]:
    """Files that are ``changed``, ``missing`` or ``orphan``, by relative path; empty if the release is whole."""
    try:
        listed = parse_checksums((directory / CHECKSUMS_NAME).read_bytes())
    except FileNotFoundError:
        return [(CHECKSUMS_NAME, "missing")]
    except InputOutputError:
        return [(CHECKSUMS_NAME, "changed")]
    return [(relpath, problem) for relpath, problem in verify_checksums(directory, listed)]


def verify_release(directory: Path) -> Release:
    """Read a release whose bytes are those that its checksums vouch for.

    Raises:
        DigestMismatchError: a file was changed, is missing, or does not belong there.
        InputOutputError: the directory is no release.
    """
    problems = checksum_problems(directory)
    if problems:
        shown = ", ".join(f"{relpath} {problem}" for relpath, problem in problems[:5])
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DigestMismatchError(
            f"{directory.name} is not what was built: {shown}{more}", "Restore the release from a copy, or build it again."
        )
    return read_release(directory)


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
    if (directory / MANIFEST_NAME).exists() or (directory / CHECKSUMS_NAME).exists():
        return directory
    name, _, version = text.partition("@")
    of_name = [path for path in list_releases(root) if path.parent.name == name]
    wanted = [path for path in of_name if not version or path.name == version]
    if not wanted:
        known = ", ".join(f"{path.parent.name}@{path.name}" for path in list_releases(root)) or "none"
        raise UsageError(f"there is no release `{text}`", f"Known releases: {known}.")
    return wanted[-1]


def version_key(version: str) -> tuple[Any, ...]:
    """Sort key of a semantic version (SemVer 2.0.0, section 11: precedence)."""
    core, _, pre = version.partition("+")[0].partition("-")
    numbers = tuple(int(part) for part in re.findall(r"\d+", core))
    identifiers = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")) if pre else ()
    return numbers, not pre, identifiers

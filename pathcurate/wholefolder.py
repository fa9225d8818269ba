"""A folder of files for somebody else, with a list of their digests: there whole or not at all, and the same bytes again.

What is taken from a release into one is checked against the release's own list, file by file.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from pathcurate.checksums import CHECKSUMS_NAME, parse_checksums, verify_checksums, write_checksums
from pathcurate.digests import release_digest, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.ownfolder import own_folder
from pathcurate.releases import Release
from pathcurate.storage import LocalSource, sync_tree

SUMS_NAME = "sha256sums.txt"
_LARGEST = 1 << 26
_REBUILD = "Restore the release from a copy; `pathcurate manifest verify` names what was changed."


def listed_files(release: Release) -> dict[str, str]:
    """The files of a release by path, with their digests.

    Raises:
        DigestMismatchError: it was changed since it was opened.
        InputOutputError: its list cannot be read.
    """
    content = read_whole(release.directory / CHECKSUMS_NAME, CHECKSUMS_NAME, _LARGEST)
    if release_digest(content) != release.digest:
        raise DigestMismatchError("the release was changed since it was opened", _REBUILD)
    return parse_checksums(content)


def taken(release: Release, listed: Mapping[str, str], path: str) -> bytes:
    """The bytes of a file of the release, if they are those that it vouches for.

    Raises:
        DigestMismatchError: it was changed.
        InputOutputError: it cannot be read.
        UsageError: the release has no such file.
    """
    if path not in listed:
        raise UsageError(f"the release has no {path}", "Build it anew with this version of pathcurate.")
    content = read_whole(release.directory / path, path, _LARGEST)
    if sha256_text(content) != listed[path]:
        raise DigestMismatchError(f"{release.name} {release.version}: {path} was changed since it was built", _REBUILD)
    return content


def read_whole(path: Path, shown: str, largest: int, within: Path | None = None) -> bytes:
    """The bytes of a plain file.

    Args:
        path: where it is.
        shown: what messages call it.
        largest: bytes that it may have.
        within: folder that it must not lead out of, if any.

    Raises:
        InputOutputError: it cannot be read, or is larger.
    """
    try:
        with LocalSource(os.fsencode(path), os.fsencode(within) if within is not None else None) as source:
            content = source.read_at(0, largest + 1)
    except OSError as error:
        raise InputOutputError(
            f"{shown} cannot be read ({type(error).__name__})", "Check that it is a plain file, and its permissions."
        ) from None
    if len(content) > largest:
        raise InputOutputError(f"{shown} is larger than {largest >> 20} MB", "It is no file of its kind.")
    return content


def write_whole(target: Path, contents: Mapping[str, bytes], what: str) -> tuple[str, bool]:
    """Write the files and the list of their digests as one.

    Args:
        target: the folder to be made. If it is there, it must hold the same.
        contents: bytes by relative path.
        what: what messages call the folder.

    Returns:
        The digest of the list, and whether the folder is new.

    Raises:
        OSError: it cannot be written.
        UsageError: something else is in the target's place.
    """
    with in_making(target) as temporary:
        for path, content in contents.items():
            file = temporary / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        sums = write_checksums(temporary, exclude=(SUMS_NAME,))
        (temporary / SUMS_NAME).write_bytes(sums)
        is_new = not os.path.lexists(target)
        if is_new:
            sync_tree(temporary)
            temporary.chmod(0o755)
            temporary.rename(target)
        else:
            _check_same(target, sums, what)
    return sha256_text(sums), is_new


def _check_same(target: Path, sums: bytes, what: str) -> None:
    is_folder = target.is_dir() and not target.is_symlink()
    if not is_folder or verify_checksums(target, parse_checksums(sums), exclude=(SUMS_NAME,)) != []:
        raise UsageError(
            f"{target.name} is there already, and is not this {what}", "Give another folder, or move that one away."
        )
    if not (target / SUMS_NAME).is_file() or read_whole(target / SUMS_NAME, SUMS_NAME, _LARGEST) != sums:
        raise UsageError(
            f"{target.name} is there already, and its {SUMS_NAME} was changed", "Move it away, and write it anew."
        )


def in_making(target: Path) -> AbstractContextManager[Path]:
    """A temporary folder beside the target; it goes when the block ends, unless it got the target's name.

    What a killed run left of one goes as well.
    """
    return own_folder(target.parent, f".{target.name}.part-")

"""Lists of the files of a directory with their digests, as ``sha256sum -c`` reads them: written, read and checked."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pathcurate.digests import file_sha256, open_regular
from pathcurate.errors import InputOutputError

CHECKSUMS_NAME = "manifest-sha256.txt"
SM3_NAME = "manifest-sm3.txt"
"""The same list by SM3 (GB/T 32905-2016), for whoever must use it; it is itself on the first list."""
UNLISTED = (CHECKSUMS_NAME, "attestations")
"""What a release's list of files does not hold: itself, and the signatures that are added later."""

ChecksumProblem = Literal["changed", "missing", "orphan"]


def write_checksums(directory: Path, exclude: Collection[str] = UNLISTED) -> bytes:
    """The bytes of ``manifest-sha256.txt``: a line ``<hex>  <relative path>`` for each file, sorted by path bytes.

    ``sha256sum -c`` accepts it. Storing it is the caller's.

    Args:
        directory: the release.
        exclude: relative paths of files, or of folders with all they hold, that are not listed.

    Raises:
        InputOutputError: a file cannot be read, is a link or not regular, or has a name that ``sha256sum`` would
            read otherwise (a control character, a backslash, not UTF-8, or ``-``).
    """
    return _listed(directory, exclude, _hex_digest)


def write_sm3(directory: Path) -> bytes:
    """The bytes of ``manifest-sm3.txt``: like :func:`write_checksums`, by SM3 and without either list.

    Raises:
        InputOutputError: as there.
    """
    return _listed(directory, (*UNLISTED, SM3_NAME), _hex_sm3)


def verify_sm3(directory: Path, content: bytes) -> list[str]:
    """Listed files whose SM3 is another, or that are missing; sorted. Which files there are is not looked at.

    Raises:
        InputOutputError: the list is malformed, or a file cannot be read.
    """
    listed = parse_checksums(content)
    found = dict(_walk(directory, ()))
    return sorted(
        relpath
        for relpath, digest in listed.items()
        if not found.get(os.fsencode(relpath)) or f"sha256:{_hex_sm3(directory, os.fsencode(relpath))}" != digest
    )


def _listed(directory: Path, exclude: Collection[str], digest: Callable[[Path, bytes], str]) -> bytes:
    lines = []
    for relpath, is_regular in sorted(_walk(directory, exclude)):
        if not is_regular:
            raise InputOutputError(
                f"{_shown(relpath)} is a link or no regular file; a release holds plain files only.",
                "Take it out, or put the file itself there.",
            )
        text = _shown(relpath)
        if not _is_plain(relpath):
            raise InputOutputError(f"{text!a}: a file of a release cannot have this name.", "Rename the file.")
        lines.append(f"{digest(directory, relpath)}  {text}\n")
    return "".join(lines).encode()


def parse_checksums(content: bytes) -> dict[str, str]:
    """Relative path to digest (``sha256:…``), from the bytes of ``manifest-sha256.txt``.

    Raises:
        InputOutputError: a line is malformed, leaves the directory, or names a file a second time.
    """
    listed: dict[str, str] = {}
    lines = content.split(b"\n")
    if lines.pop() != b"":
        raise InputOutputError(
            "The list of checksums does not end with a line end: it may be cut off.", "Restore the release from a copy."
        )
    for number, line in enumerate(lines, start=1):
        match = _CHECKSUM_LINE.fullmatch(line)
        if match is None or not _is_plain(match[2]) or match[2].decode() in listed:
            raise InputOutputError(
                f"Line {number} of the list of checksums is malformed, or names a file again.",
                "Restore the release from a copy.",
            )
        listed[match[2].decode()] = "sha256:" + match[1].decode()
    return listed


_CHECKSUM_LINE = re.compile(rb"([0-9a-f]{64})  (.+)", re.DOTALL)


def verify_checksums(
    directory: Path, checksums: Mapping[str, str], exclude: Collection[str] = UNLISTED
) -> list[tuple[str, ChecksumProblem]]:
    """What is wrong with a directory, sorted by path; empty if it is just what the list says.

    A listed file with other bytes is ``changed``, one that is not there is ``missing``, a file that is not listed is an
    ``orphan``. Symbolic links and special files are never followed or read: in the place of a listed file they are
    ``changed``, elsewhere an ``orphan``.

    Args:
        directory: the release.
        checksums: relative path to digest, as :func:`parse_checksums` gives it.
        exclude: relative paths of files, or of folders with all they hold, that are not looked at.

    Raises:
        InputOutputError: a file or folder cannot be read.
    """
    listed = {os.fsencode(relpath): digest for relpath, digest in checksums.items()}
    found = dict(_walk(directory, exclude))
    problems: list[tuple[str, ChecksumProblem]] = [(_shown(relpath), "orphan") for relpath in found.keys() - listed]
    for relpath, digest in listed.items():
        if relpath not in found:
            problems.append((_shown(relpath), "missing"))
        elif not found[relpath] or f"sha256:{_hex_digest(directory, relpath)}" != digest:
            problems.append((_shown(relpath), "changed"))
    return sorted(problems)


def _walk(directory: Path, exclude: Collection[str]) -> Iterator[tuple[bytes, bool]]:
    """Relative path, and whether it is a regular file, of everything below a directory that is no folder."""
    root = os.fsencode(directory) + b"/"
    skipped = {os.fsencode(relpath) for relpath in exclude}
    folders = [b""]  # each ends with a slash, but for the directory itself
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root + folder) as entries:
                for entry in entries:
                    relpath = folder + entry.name
                    if relpath in skipped:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(relpath + b"/")
                    else:
                        yield relpath, entry.is_file(follow_symlinks=False)
        except OSError as error:
            raise InputOutputError(
                f"{_shown(folder) or 'The directory'} cannot be listed: {error.strerror}.",
                "Check who owns it, and the mount.",
            ) from None


def _hex_digest(directory: Path, relpath: bytes) -> str:
    try:
        return file_sha256(directory / os.fsdecode(relpath)).removeprefix("sha256:")
    except OSError as error:
        raise InputOutputError(
            f"{_shown(relpath)} cannot be read: {error.strerror}.",
            "Check who owns it, and the disk; restore it from a copy if it is damaged.",
        ) from None


def _hex_sm3(directory: Path, relpath: bytes) -> str:
    # Few ask for it, and what computes it is slow to load.
    from cryptography.hazmat.primitives.hashes import SM3, Hash  # noqa: PLC0415

    digest = Hash(SM3())
    try:
        with open(directory / os.fsdecode(relpath), "rb", opener=open_regular) as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise InputOutputError(
            f"{_shown(relpath)} cannot be read: {error.strerror}.",
            "Check who owns it, and the disk; restore it from a copy if it is damaged.",
        ) from None
    return digest.finalize().hex()


def _is_plain(relpath: bytes) -> bool:
    """Whether ``sha256sum`` reads the path as it is written, and it stays below its directory."""
    try:
        text = relpath.decode()
    except UnicodeDecodeError:
        return False
    is_printable = not any(ord(character) < 0x20 or character in "\\\x7f" for character in text)
    parts = text.split("/")
    return is_printable and text != "-" and not {"", ".", ".."}.intersection(parts)


def _shown(relpath: bytes) -> str:
    return relpath.decode(errors="backslashreplace")

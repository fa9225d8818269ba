"""What goes into which volume, and the making of one: a tar archive that age encrypts for its recipient.

Archives are POSIX.1-2001 (pax), uncompressed, with headers that say nothing but path and size. Encryption is
age-encryption.org/v1 to an X25519 key, which any program of that format opens.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import pyrage

from pathcurate.checksums import parse_checksums
from pathcurate.delivering.names import fault_of
from pathcurate.digests import canonical_json, open_regular, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.delivery import CONTENTS_LIST, VolumeEntry
from pathcurate.storage import replacing

MOST_VOLUMES = 9999
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
_AGE_CHUNK = 64 << 10
_AGE_TAG = 16
_AGE_HEADER = 1024
"""More than age's header for one recipient and the stanza of random length beside it (at most about 420 bytes)."""
_LATER = ("slides", "dicom")
"""Folders whose files come after all others: the first volume tells what the rest is."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file to be delivered.

    Attributes:
        path: within.
        file: that holds it.
        bytes: its size.
        sha256: its digest, ``sha256:`` and 64 digits.
    """

    path: str
    file: Path
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume to be made.

    Attributes:
        name: of its file.
        members: in their order.
        most: bytes that it has at most.
        is_encrypted: whether it is.
    """

    name: str
    members: tuple[Member, ...]
    most: int
    is_encrypted: bool

    @property
    def tar_bytes(self) -> int:
        """Size of the archive."""
        return sum(_room(member) for member in self.members) + len(_END)

    def digest(self, encryption_key: str | None) -> str:
        """Of what is in it for whom: the same for volumes that need not be made twice."""
        members = [[member.path, member.bytes, member.sha256] for member in self.members]
        return sha256_text(canonical_json([self.name, encryption_key, members]))


def plan(members: Mapping[str, Path], *, size: int, is_encrypted: bool) -> tuple[Volume, ...]:
    """Which file goes into which volume: each into one, in the same order whatever the order of the mapping.

    Args:
        members: path within to file; the list ``manifest-sha256.txt``, which is one of them, has the digests of all others.
        size: most bytes of a volume.
        is_encrypted: whether they will be.

    Raises:
        UsageError: a file is larger than a volume may be, or there would be more than :data:`MOST_VOLUMES`.
        InputOutputError: a file cannot be read, or its path is not one that every system can have.
        DigestMismatchError: the list is of other files.
    """
    found = _read(members)
    groups: list[list[Member]] = [[]]
    filled = len(_END)
    for member in found:
        room = _room(member)
        if encrypted_size(room + len(_END), is_encrypted) > size:
            least = encrypted_size(max(_room(one) for one in found) + len(_END), is_encrypted)
            raise UsageError(
                f"a file to be delivered is larger than a volume of {size:,} bytes",
                f"Give --volume-size {least} or more.",
            )
        if groups[-1] and encrypted_size(filled + room, is_encrypted) > size:
            groups.append([])
            filled = len(_END)
        groups[-1].append(member)
        filled += room
    if len(groups) > MOST_VOLUMES:
        raise UsageError(
            f"there would be {len(groups):,} volumes, and a delivery has at most {MOST_VOLUMES:,}",
            "Give a larger --volume-size.",
        )
    ending = ".tar.age" if is_encrypted else ".tar"
    return tuple(
        Volume(f"volume-{number:04}{ending}", tuple(group), size, is_encrypted) for number, group in enumerate(groups, 1)
    )


def _read(members: Mapping[str, Path]) -> list[Member]:
    fault = fault_of(members)
    if fault is not None:
        raise InputOutputError(f"a file to be delivered {fault}", "Nothing was sent; please report this.")
    try:
        content = members[CONTENTS_LIST].read_bytes()
        sizes = {path: file.stat().st_size for path, file in members.items()}
    except (KeyError, OSError) as error:
        raise InputOutputError(
            f"a file to be delivered cannot be read ({type(error).__name__})", "Run the command again; it is made anew."
        ) from None
    digests = parse_checksums(content)
    if digests.keys() != members.keys() - {CONTENTS_LIST}:
        raise DigestMismatchError(f"{CONTENTS_LIST} is a list of other files", "Run the command again; it is made anew.")
    digests[CONTENTS_LIST] = sha256_text(content)
    order = sorted(members, key=lambda path: (path != CONTENTS_LIST, path.split("/")[0] in _LATER, path))
    return [Member(path, members[path], sizes[path], digests[path]) for path in order]


def encrypted_size(plain: int, is_encrypted: bool) -> int:
    """Most bytes of a file of so many bytes once it is encrypted."""
    if not is_encrypted:
        return plain
    return _AGE_HEADER + _AGE_TAG + plain + _AGE_TAG * (plain // _AGE_CHUNK + 1)


def header(path: str, size: int) -> bytes:
    """The header of a file in the archive; the same for the same path and size."""
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info.tobuf(tarfile.PAX_FORMAT, "ascii", "strict")


def _room(member: Member) -> int:
    return len(header(member.path, member.bytes)) + member.bytes + -member.bytes % _BLOCK


# --- Making one --------------------------------------------------------------------------------------------------


def write_volume(
    volume: Volume, target: Path, encryption_key: str | None, *, progress: Callable[[int], None] = lambda done: None
) -> VolumeEntry:
    """Make a volume; its file appears whole or not at all.

    Args:
        volume: what it is to hold.
        target: its file.
        encryption_key: of the recipient (``age1…``); None for a plain archive.
        progress: is told how many bytes of the archive are done.

    Raises:
        DigestMismatchError: a file is not what the list says any more.
        InputOutputError: a file cannot be read.
        OSError: the volume cannot be written.
    """
    source = _Archive(volume.members, progress)
    with replacing(target, mode=0o600) as temporary, temporary.open("wb", buffering=1 << 20) as out:
        sink = _Digested(out)
        if encryption_key is None:
            while piece := source.read(1 << 20):
                sink.write(piece)
        else:
            _encrypt(source, sink, encryption_key)
        out.flush()
    return VolumeEntry(name=volume.name, bytes=sink.bytes, sha256=sink.sha256.hexdigest(), files=len(volume.members))


def _encrypt(source: "_Archive", sink: "_Digested", encryption_key: str) -> None:
    try:
        pyrage.encrypt_io(source, sink, [pyrage.x25519.Recipient.from_str(encryption_key)])
    except Exception:
        # The library wraps what its source or sink raised into text.
        if source.fault is not None:
            raise source.fault from None
        if sink.fault is not None:
            raise sink.fault from None
        raise


class _Archive:
    """The bytes of a tar archive, read as of a file; what was wrong with a file stays as ``fault``."""

    def __init__(self, members: Iterable[Member], progress: Callable[[int], None]) -> None:
        self.fault: Exception | None = None
        self._progress = progress
        self._pieces = _pieces(members)
        self._piece = memoryview(b"")
        self._done = 0

    def read(self, length: int = -1) -> bytes:
        """Up to so many bytes; none at the end."""
        if self.fault is not None:
            raise self.fault
        try:
            while not self._piece:
                self._piece = memoryview(next(self._pieces))
                self._progress(self._done)
                self._done += len(self._piece)
        except StopIteration:
            return b""
        except Exception as error:
            self.fault = error
            raise
        found, self._piece = self._piece[:length], self._piece[length:]
        return bytes(found)


def _pieces(members: Iterable[Member]) -> Iterator[bytes]:
    for member in members:
        yield header(member.path, member.bytes)
        yield from _content(member)
        yield bytes(-member.bytes % _BLOCK)
    yield _END


def _content(member: Member) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), member.bytes
    try:
        with open(member.file, "rb", opener=open_regular) as file:
            while left and (piece := file.read(min(left, 1 << 20))):
                digest.update(piece)
                left -= len(piece)
                yield piece
            is_longer = bool(file.read(1))
    except OSError as error:
        raise InputOutputError(
            f"a file to be delivered cannot be read ({type(error).__name__})", "Run the command again; it goes on."
        ) from None
    if left or is_longer or f"sha256:{digest.hexdigest()}" != member.sha256:
        name = PurePosixPath(member.path).name
        raise DigestMismatchError(
            f"{name} was changed after it was prepared", "Run the command again; what is to be delivered is prepared anew."
        )


class _Digested:
    """A file that is written to, with the digest of what was."""

    def __init__(self, out: IO[bytes]) -> None:
        self.fault: OSError | None = None
        self.sha256 = hashlib.sha256()
        self.bytes = 0
        self._out = out

    def write(self, data: bytes) -> int:
        """All of it."""
        if self.fault is not None:
            # Whoever writes may try again what has failed; what is wrong is what was wrong first.
            raise self.fault
        try:
            self._out.write(data)
        except OSError as error:
            self.fault = error
            raise
        self.sha256.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Does nothing: the file is flushed at its end."""

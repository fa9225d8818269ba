"""Volumes are made one at a time, copied to their target, and read back there; a run that was cut off goes on.

Kept in the folder of work files: a journal (:mod:`~pathcurate.delivering.journal`), and the one volume that is on its way.
At the target a marked file says whose delivery is under way, so that no two are mixed, and so that a disk which was swapped
or unplugged is noticed before anything is written to what is in its place.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pathcurate.delivering.checkscripts import beside
from pathcurate.delivering.journal import CLAIM_TEXT, JOURNAL_FILE, Journal, Made, read_journal, write_journal
from pathcurate.delivering.targets import PART, Target
from pathcurate.delivering.volumes import Volume, encrypted_size, write_volume
from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.delivery import VolumeEntry
from pathcurate.storage import locked, private_directory, sweep

_DOCUMENTS_BYTES = 4 << 20
"""Room for what lies beside the volumes."""
_OF_THE_SYSTEM = frozenset({
    "lost+found", "system volume information", "$recycle.bin", "recycler", ".spotlight-v100", ".fseventsd", ".trashes",
    ".ds_store", "desktop.ini", "thumbs.db", "autorun.inf",
})  # fmt: skip
"""What systems put onto disks by themselves."""

Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Tells nobody."""


def send(
    volumes: Sequence[Volume], target: Target, encryption_key: str | None, work: Path, *, progress: Progress = _silent
) -> tuple[VolumeEntry, ...]:
    """Bring every volume to its target; what is there already is neither made nor copied a second time.

    A new plan keeps those volumes whose content is the same; the others are replaced, and what it has no more is removed.

    Args:
        volumes: as :func:`~pathcurate.delivering.volumes.plan` gives them.
        target: where they go; nothing else may lie there.
        encryption_key: of the recipient (``age1…``); None for plain volumes.
        work: folder for work files, of this delivery alone; needs room for one volume.
        progress: is told how many bytes of volumes have arrived, and how many there are.

    Raises:
        InputOutputError: the target is full, gone, read-only, not the one where the delivery began, or holds other files;
            or there is no room for a volume. The same call goes on.
        DigestMismatchError: the target gives back other bytes than were written, or a file changed while it was read.
        LockedError: another run is at it.
    """
    with _at_work(work), locked(private_directory(work), "product deliver"):
        journal = read_journal(work, str(target))
        meter = _Meter(volumes, progress)
        if not _is_done(volumes, target, encryption_key, journal):
            journal = _begun(volumes, target, work, journal)
            _demand_room(volumes, target, encryption_key, journal)
            for volume in volumes:
                journal = _sent(volume, target, encryption_key, work, journal, meter)
                meter.end(volume)
            journal = _tidied(volumes, target, work, journal)
        return tuple(journal.volumes[volume.name].entry for volume in volumes)


def announce(target: Target, work: Path, documents: Mapping[str, bytes], volumes: Sequence[VolumeEntry]) -> None:
    """Write what lies beside the volumes: documents, how to check, and last of all the list of everything.

    Args:
        target: where all ``volumes`` are.
        work: folder of work files that :func:`send` had.
        documents: name to content.
        volumes: as :func:`send` gave them.

    Raises:
        InputOutputError: the target fails; the same call goes on.
        LockedError: another run is at it.
    """
    content = beside(documents, volumes)
    with _at_work(work), locked(private_directory(work), "product deliver"):
        journal = read_journal(work, str(target))
        digests = {name: sha256_text(one) for name, one in content.items()}
        with _at_target(target, journal):
            names = target.names()
            if journal.is_announced and journal.documents == digests and digests.keys() <= names.keys():
                target.remove(journal.claim)
                return
            _demand_announced(target, journal, names)
            journal = write_journal(work, journal.model_copy(update={"documents": digests, "is_announced": False}))
            for name, one in content.items():
                target.write(name, one)
            journal = write_journal(work, journal.model_copy(update={"is_announced": True}))
            target.remove(journal.claim)


# --- Beginning ---------------------------------------------------------------------------------------------------


def _is_done(volumes: Sequence[Volume], target: Target, encryption_key: str | None, journal: Journal) -> bool:
    """Whether an earlier run has brought and announced just this."""
    if not journal.is_announced or journal.volumes.keys() != {volume.name for volume in volumes}:
        return False
    if any(not _is_sent(journal.volumes[volume.name], volume, encryption_key) for volume in volumes):
        return False
    with _at_target(target, journal):
        names = target.names()
    return all(names.get(name) == made.entry.bytes for name, made in journal.volumes.items())


def _is_sent(made: Made | None, volume: Volume, encryption_key: str | None) -> bool:
    return made is not None and made.is_sent and made.plan == volume.digest(encryption_key)


def _begun(volumes: Sequence[Volume], target: Target, work: Path, journal: Journal) -> Journal:
    """Mark the target as this delivery's, if it is empty or marked so before."""
    with _at_target(target, journal):
        if not journal.has_begun:
            target.make()
            # Known before it is written: a run that is killed between finds its own mark.
            journal = write_journal(work, journal)
        names = target.names()
        _demand_nobodys(target, journal, names)
        if journal.is_announced:
            _demand_announced(target, journal, names)
            # No list may speak of volumes that are about to be replaced.
            for name in journal.documents:
                target.remove(name)
        elif journal.has_begun:
            _demand_own(target, journal, names)
            return journal
        target.write(journal.claim, CLAIM_TEXT)
        names = target.names()
        try:
            _demand_nobodys(target, journal, names)
        except InputOutputError:
            target.remove(journal.claim)
            raise
        return write_journal(work, journal.model_copy(update={"has_begun": True, "is_announced": False}))


def _demand_nobodys(target: Target, journal: Journal, names: Mapping[str, int]) -> None:
    own = {journal.claim, *journal.volumes, *journal.documents}
    others = [
        name for name in names
        if name.removesuffix(PART) not in own and name.rstrip("/").lower() not in _OF_THE_SYSTEM
        and not name.lower().startswith(".trash-")
    ]  # fmt: skip
    if others:
        raise InputOutputError(
            f"{target} holds {len(others):,} files or folders that are not of this delivery",
            "Name an empty directory, or one that is still to be made: a recipient would get the others too, and two "
            "deliveries would be mixed. Nothing was written.",
        )


def _demand_own(target: Target, journal: Journal, names: Mapping[str, int]) -> None:
    if journal.claim not in names:
        raise _elsewhere(target)


def _demand_announced(target: Target, journal: Journal, names: Mapping[str, int]) -> None:
    if journal.claim not in names and not (journal.is_announced and journal.documents.keys() & names.keys()):
        raise _elsewhere(target)


def _elsewhere(target: Target) -> InputOutputError:
    return InputOutputError(
        f"{target} is not where this delivery began: the file that marks it is missing",
        f"Plug in the disk that it began on, and give the same command. To begin anew on another one, delete {JOURNAL_FILE} "
        "in the folder of work files.",
    )


def _demand_room(volumes: Sequence[Volume], target: Target, encryption_key: str | None, journal: Journal) -> None:
    with _at_target(target, journal):
        free, names = target.free(), target.names()
    if free is None:
        return
    needed = _DOCUMENTS_BYTES
    for volume in volumes:
        if not _is_sent(journal.volumes.get(volume.name), volume, encryption_key):
            there = max(0, names.get(volume.name + PART, 0)) + max(0, names.get(volume.name, 0))
            needed += max(0, _size(volume) - there)
    if free < needed:
        raise InputOutputError(
            f"{target} has room for {free:,} bytes more, and {needed:,} are still to come",
            "Make room there, or begin anew on a larger disk; the same command goes on.",
        )


def _size(volume: Volume) -> int:
    return encrypted_size(volume.tar_bytes, volume.is_encrypted)


# --- One volume --------------------------------------------------------------------------------------------------


def _sent(
    volume: Volume, target: Target, encryption_key: str | None, work: Path, journal: Journal, meter: "_Meter"
) -> Journal:
    made, staged = journal.volumes.get(volume.name), work / volume.name
    with _at_target(target, journal):
        names = target.names()
        _demand_own(target, journal, names)
        if made is not None and made.plan == volume.digest(encryption_key):
            is_there = names.get(volume.name) == made.entry.bytes
            # The second: killed after the volume had its name and before the journal said so.
            if is_there and (made.is_sent or target.holds(made.entry)):
                staged.unlink(missing_ok=True)
                return _kept(work, journal, made.model_copy(update={"is_sent": True}))
    made = _staged(volume, staged, encryption_key, made, meter)
    journal = _kept(work, journal, made)
    try:
        with _at_target(target, journal):
            target.lay(staged, made.entry, meter.copied(volume))
    except DigestMismatchError:
        # Nobody knows whether the one or the other is broken: both are made anew.
        staged.unlink(missing_ok=True)
        raise
    journal = _kept(work, journal, made.model_copy(update={"is_sent": True}))
    staged.unlink(missing_ok=True)
    return journal


def _staged(volume: Volume, staged: Path, encryption_key: str | None, made: Made | None, meter: "_Meter") -> Made:
    """The volume, made now or by an earlier run."""
    plan = volume.digest(encryption_key)
    sweep(staged)
    if made is not None and made.plan == plan and staged.is_file() and staged.stat().st_size == made.entry.bytes:
        return made
    # A volume that nothing in the journal speaks of was made just before a run was killed; its digest is not known.
    staged.unlink(missing_ok=True)
    if shutil.disk_usage(staged.parent).free < _size(volume):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return Made(plan=plan, entry=write_volume(volume, staged, encryption_key, progress=meter.made))


def _kept(work: Path, journal: Journal, made: Made) -> Journal:
    volumes = {**journal.volumes, made.entry.name: made}
    return write_journal(work, journal.model_copy(update={"volumes": volumes}))


def _tidied(volumes: Sequence[Volume], target: Target, work: Path, journal: Journal) -> Journal:
    """Take away volumes of an earlier plan."""
    over = journal.volumes.keys() - {volume.name for volume in volumes}
    with _at_target(target, journal):
        for name in sorted(over):
            target.remove(name)
            (work / name).unlink(missing_ok=True)
    if not over:
        return journal
    left = {name: made for name, made in journal.volumes.items() if name not in over}
    return write_journal(work, journal.model_copy(update={"volumes": left}))


# --- What goes wrong ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _at_target(target: Target, journal: Journal) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        sent = sum(made.is_sent for made in journal.volumes.values())
        stands = f"{sent:,} volumes are there, whole" if sent else "no volume is there yet"
        number = error.errno or 0
        raise InputOutputError(
            f"{target} {_FAULTS.get(number, 'fails')} ({errno.errorcode.get(number, 'error')}); {stands}",
            "Put that right, and give the same command: it goes on where it stopped.",
        ) from None


_FAULTS = {
    errno.ENOSPC: "is full", errno.EDQUOT: "is full", errno.EFBIG: "takes no file as large as a volume",
    errno.EROFS: "is read-only", errno.EACCES: "may not be written to", errno.EPERM: "may not be written to",
    errno.ENOENT: "is gone, or the folder that it lies in is", errno.ENODEV: "is gone", errno.ENXIO: "is gone",
    errno.ESTALE: "is gone", errno.ENOTCONN: "is gone", errno.ENOTDIR: "is no directory", errno.ETIMEDOUT: "does not answer",
    errno.EIO: "cannot be read or written: the disk fails, or was unplugged",
}  # fmt: skip


@contextlib.contextmanager
def _at_work(work: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = "is full: it needs room for one volume" if error.errno == errno.ENOSPC else "cannot be used"
        raise InputOutputError(
            f"the folder of work files, {work}, {what} ({errno.errorcode.get(error.errno or 0, 'error')})",
            "Make room, or give --work DIR on another disk and the same command.",
        ) from None


class _Meter:
    """Tells how far all volumes together have come; making, copying and reading back count a third each."""

    def __init__(self, volumes: Sequence[Volume], progress: Progress) -> None:
        self._total = sum(_size(volume) for volume in volumes)
        self._progress = progress
        self._before = 0
        progress(0, self._total)

    def made(self, done: int) -> None:
        """So many bytes of a volume were made."""
        self._progress(self._before + done // 3, self._total)

    def copied(self, volume: Volume) -> Callable[[int], None]:
        """Is told how many bytes of it were copied, and after those read back."""
        size = _size(volume)
        return lambda done: self._progress(self._before + (size + done) // 3, self._total)

    def end(self, volume: Volume) -> None:
        """It is there."""
        self._before += _size(volume)
        self._progress(self._before, self._total)

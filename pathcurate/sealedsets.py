"""A sealed evaluation on disk, a release or a set of questions: what it asks and committed to, checked byte by byte."""

import os
from dataclasses import dataclass
from pathlib import Path

from pathcurate.checksums import CHECKSUMS_NAME, parse_checksums, verify_checksums
from pathcurate.digests import release_digest
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.attestation import Subject
from pathcurate.model.benchmark import TASK_PATH, BenchmarkTask
from pathcurate.releases import PROBLEM_WORDS, checksum_problems, checksums_bytes, read_release
from pathcurate.sealing import Commitment, read_commitment, read_task
from pathcurate.signing import release_subject
from pathcurate.wholefolder import SUMS_NAME, read_whole

_LARGEST = 1 << 26
_RESTORE = "Restore it from a copy, or ask its holder for it again; nothing was scored."


@dataclass(frozen=True, slots=True)
class SealedSet:
    """A sealed evaluation.

    Attributes:
        directory: where it is.
        digest: of the bytes of its list of files, as ``sha256:`` and 64 digits.
        task: what it asks.
        commitment: to its labels.
    """

    directory: Path
    digest: str
    task: BenchmarkTask
    commitment: Commitment

    @property
    def name(self) -> str:
        """Product and version, as ``NAME 1.0.0``."""
        return f"{self.task.product} {self.task.version}"

    @property
    def is_release(self) -> bool:
        """Whether it is a release, and no set of questions."""
        return os.path.lexists(self.directory / CHECKSUMS_NAME)

    @property
    def subject(self) -> Subject:
        """It as what a statement is about: its list of files."""
        if self.is_release:
            return release_subject(checksums_bytes(self.directory))
        return Subject(SUMS_NAME, self.digest.removeprefix("sha256:"))


def is_sealed_set(directory: Path) -> bool:
    """Whether a directory is a sealed evaluation, or what is left of one."""
    return os.path.lexists(directory / TASK_PATH) and any(
        os.path.lexists(directory / name) for name in (CHECKSUMS_NAME, SUMS_NAME)
    )


def read_sealed_set(directory: Path) -> SealedSet:
    """Read a sealed evaluation whose bytes are those that its list vouches for.

    A copy of a release that lacks files, as one without texts, is one too, if task and commitment are there.

    Raises:
        DigestMismatchError: a file was changed, or does not belong there; or task and commitment contradict each other.
        InputOutputError: it is none, or a file cannot be read.
        PlanIncompleteError: it is a release that withholds nothing.
    """
    shown = "/".join(directory.parts[-2:])
    is_release = os.path.lexists(directory / CHECKSUMS_NAME)
    if not is_release and not os.path.lexists(directory / SUMS_NAME):
        raise InputOutputError(
            f"{shown} is no sealed evaluation: it has no {CHECKSUMS_NAME}",
            "Name a release, or a folder that `pathcurate product seal` made.",
        )
    listing = checksums_bytes(directory) if is_release else read_whole(directory / SUMS_NAME, SUMS_NAME, _LARGEST)
    listed = parse_checksums(listing)
    found = checksum_problems(directory) if is_release else verify_checksums(directory, listed, (SUMS_NAME,))
    problems = [(where, problem) for where, problem in found if problem != "missing" or not is_release]
    if problems:
        told = ", ".join(f"{where} {PROBLEM_WORDS[problem]}" for where, problem in problems[:5])
        raise DigestMismatchError(f"{shown} is not what was sealed: {told}", _RESTORE)
    task, commitment = read_task(directory), read_commitment(directory)
    if is_release:
        release = read_release(directory)
        if (release.name, release.version) != (task.product, task.version):
            raise DigestMismatchError(f"{TASK_PATH} of {shown} is that of another release", _RESTORE)
    if task.rows != commitment.rows:
        raise DigestMismatchError(
            f"{shown} asks about {task.rows} units, and committed to {commitment.rows} labels", _RESTORE
        )
    return SealedSet(directory, release_digest(listing), task, commitment)

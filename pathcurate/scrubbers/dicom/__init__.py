"""DICOM files, slide microscopy and radiology: the Basic Profile of PS3.15 Annex E with options, instance by instance.

A copy has the bytes of the source but for what a rule says otherwise: pixel data are streamed, what is kept is not decoded.
Label images have no copy, overviews only where they show what the slide's own pixels show.
"""

from pathlib import Path
from typing import Final

from pathcurate.model.filescrub import Deed, FilePlan, UnscrubbableError, WrittenFiles
from pathcurate.scrubbers.dicom.directory import write_directory
from pathcurate.scrubbers.dicom.instances import DIRECTORY_CLASS, Head, copy_instance, read_head, refusal
from pathcurate.scrubbers.dicom.overview import hidden_labels
from pathcurate.scrubbers.dicom.profile import Profile
from pathcurate.scrubbers.dicom.structure import Window
from pathcurate.scrubbers.dicom.values import Subject
from pathcurate.slidefiles import ScrubJob

__all__ = ["FORMATS", "NAME", "VERSION", "plan", "write", "write_directory"]

NAME: Final = "dicom"
VERSION: Final = 1
FORMATS: Final = frozenset({"dicom"})

_SIGNS: Final = 8
_MOST_INSTANCES: Final = 9_999_999
_profiles: dict[str, Profile] = {}


def plan(job: ScrubJob) -> FilePlan:
    """What scrubbing would do; headers are read, nothing is written.

    Raises:
        UnscrubbableError: an instance is damaged, or holds what cannot be scrubbed with proof.
        UsageError: a rule or an option is not as it must be.
        OSError: a file cannot be read.
    """
    return _scrub(job, None)[0]


def write(job: ScrubJob, folder: Path) -> tuple[FilePlan, WrittenFiles | None]:
    """Write the copies into an empty folder: ``S/ABCDEFGH/JKMNPQRS/I0000001`` for a slide ``S-ABCDEFGHJKMNPQRS``.

    The names are DICOM File IDs (PS3.10 section 8.2), in the order of InstanceNumber.

    Raises:
        UnscrubbableError: an instance is damaged, or holds what cannot be scrubbed with proof.
        UsageError: a rule or an option is not as it must be.
        OSError: a file cannot be read or written.
    """
    return _scrub(job, folder)


def _scrub(job: ScrubJob, folder: Path | None) -> tuple[FilePlan, WrittenFiles | None]:
    profile = _profile(job)
    subject = Subject(job, profile.words, profile.options.words_for, keeps_uids=profile.options.retain_uids)
    heads, dropped = _heads(job)
    hidden = hidden_labels(job, heads)
    for member, why in hidden.items():
        subject.note(f"an image of the slide's {heads[member].role.lower()}", Deed.REMOVE, why)
    chosen = [member for member in heads if member not in hidden]
    refused = next(filter(None, (refusal(heads[member], profile) for member in chosen)), None)
    if refused is None and not chosen:
        refused = "no instance is left that could be copied"
    if refused is None and len(chosen) > _MOST_INSTANCES:
        refused = "it has more instances than names"
    if refused is not None:
        return _planned(subject, refused, 0), None
    chosen.sort(key=lambda member: _order(heads[member], subject))
    names = {member: f"{_path(job.code)}/I{number:07}" for number, member in enumerate(chosen, 1)}
    size = 0
    for member in chosen:
        target = None if folder is None else folder / names[member]
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        with job.open(member) as source:
            size += copy_instance(Window(source), heads[member], profile, subject, target)
    made = _planned(subject, None, size)
    if folder is None:
        return made, None
    main = max(chosen, key=lambda member: (_rank(heads[member]), -chosen.index(member)))
    copied = {names[member]: member for member in chosen}
    return made, WrittenFiles(names[main], tuple(names.values()), dict(subject.uids), dropped + len(hidden), copied)


def _profile(job: ScrubJob) -> Profile:
    made = _profiles.get(job.rules.digest)
    if made is None:
        _profiles.clear()
        made = _profiles[job.rules.digest] = Profile(job.rules)
    return made


def _heads(job: ScrubJob) -> tuple[dict[bytes, Head], int]:
    """What the heads of all instances say, and how many files are of another kind: a DICOMDIR is made anew."""
    heads: dict[bytes, Head] = {}
    dropped = 0
    for member in job.members:
        with job.open(member) as source:
            head = read_head(Window(source))
        if head.sop_class == DIRECTORY_CLASS:
            dropped += 1
        else:
            heads[member] = head
    return heads, dropped


def _order(head: Head, subject: Subject) -> tuple[int, bytes]:
    """By the number in the series; of those with the same, by a UID that says nothing of the source."""
    return head.instance_number, subject.new_uid(head.values.get(0x0008_0018, b""))


def _rank(head: Head) -> tuple[bool, bool, int]:
    return head.is_image, head.role == "VOLUME", head.number(0x0048_0006) * head.number(0x0048_0007)


def _path(code: str) -> str:
    """The folder of a code, each part of at most eight signs."""
    kind, _, signs = code.partition("-")
    parts = [signs[at : at + _SIGNS] for at in range(0, len(signs), _SIGNS)]
    if not signs.isalnum() or not signs.isupper() or not signs.isascii() or not kind.isalnum():
        raise UnscrubbableError("its code is none that a file can be named by")
    return "/".join((kind, *parts))


def _planned(subject: Subject, refused: str | None, size: int) -> FilePlan:
    return FilePlan(tuple(subject.changes.values()), (), refused, subject.identifying(), size)

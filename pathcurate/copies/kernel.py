"""The kernel that scrubs one slide or series, proves its copies and puts them in their place.

It runs in child processes of this machine's engine: a reader that crashes on a copy takes one slide with it, not the run.
What it is given holds key material, which goes through a pipe and nowhere else; such a run is for the embedded engine only.
"""

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pathcurate.copies.proof import Proof, prove
from pathcurate.engines import LossReason
from pathcurate.model.deidfile import Standing
from pathcurate.model.filerule import FileRules
from pathcurate.model.filescrub import Change, Deed, FilePlan, OwnValue, Unknown, UnscrubbableError, WrittenFiles
from pathcurate.readers import companion_folder
from pathcurate.roots import root_below
from pathcurate.scrubbers.annotation import scrub_annotation
from pathcurate.scrubbers.files import FileScrubber, scrubber_of
from pathcurate.slidefiles import LayerCodes, ScrubJob
from pathcurate.storage import LocalSource, Root, Skipped, Source, sync_tree

_JOB_FIELDS: Final[list[tuple[str, pa.DataType]]] = [("code", pa.string()), ("job", pa.string())]
_OUTCOME_FIELDS: Final[list[tuple[str, pa.DataType]]] = [("code", pa.string()), ("outcome", pa.string())]
JOBS: Final = pa.schema(_JOB_FIELDS)
OUTCOMES: Final = pa.schema(_OUTCOME_FIELDS)
_SHAPE_ENDINGS: Final = frozenset({".geojson", ".json", ".xml", ".ndpa"})
ANNOTATION: Final = "annotation"
"""Rules of files of shapes."""
_MOST_HELD: Final = 200
"""Files of a slide or series that are held open; of a series of thousands the first ones."""
UNFINISHED: Final = ".unfinished"
"""Folder in which copies are made and proven, beside those that are done; gone after a run."""


@dataclass(frozen=True, slots=True)
class ScrubFiles:
    """What the kernel is to do.

    Attributes:
        target: the directory that the copies go to; None to plan only.
        roots: archive roots, by the names that jobs call them.
        rules: by format; :data:`ANNOTATION` for files of shapes that were drawn on slides.
        codes: for UIDs and other numbers in the files.
    """

    target: Path | None
    roots: Mapping[str, Root]
    rules: Mapping[str, FileRules]
    codes: LayerCodes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one slide or series.

    Attributes:
        standing: see :class:`~pathcurate.model.deidfile.Standing`.
        reason: why, in words without a value; empty if it is done.
        deeds: what was or will be done: each deed, with the rule that says so, and in how many places.
        unknown: what no rule knows.
        written: the copies, relative to the target.
        sizes: bytes of each copy.
        proof: what was proven.
        unknown_drawn: what no rule knows in files of shapes; such a file does not go along.
        left_out: files of shapes that do not go along.
    """

    standing: Standing
    reason: str = ""
    deeds: tuple[tuple[Deed, str, int], ...] = ()
    unknown: tuple[Unknown, ...] = ()
    written: WrittenFiles | None = None
    sizes: tuple[int, ...] = ()
    proof: Proof | None = None
    unknown_drawn: tuple[Unknown, ...] = ()
    left_out: int = 0


def scrub_files(batch: pa.RecordBatch, spec: ScrubFiles) -> pa.RecordBatch:
    """The outcome of each job of a batch."""
    rows = [
        {"code": row["code"], "outcome": packed(_outcome(_job_of(json.loads(row["job"]), spec), spec))}
        for row in batch.to_pylist()
    ]
    return pa.RecordBatch.from_pylist(rows, schema=OUTCOMES)


def job_text(job: ScrubJob, root: str) -> str:
    """What is of a job's own, as JSON; its root by name, rules and codes are those of all."""
    parts = {
        "root": root, "members": [os.fsdecode(member) for member in job.members], "format": job.format, "code": job.code,
        "patient": job.patient, "case": job.case, "days": job.days, "known": [[one.kind, one.value] for one in job.known],
        "relabel": job.relabel, "convert": job.convert, "site": job.site, "drawn": [os.fsdecode(path) for path in job.drawn],
    }  # fmt: skip
    return json.dumps(parts)


def _job_of(parts: Mapping[str, Any], spec: ScrubFiles) -> ScrubJob:
    return ScrubJob(
        spec.roots[parts["root"]], tuple(map(os.fsencode, parts["members"])), parts["format"], parts["code"],
        parts["patient"], parts["case"], parts["days"], spec.codes, spec.rules[parts["format"]],
        tuple(OwnValue(kind, value) for kind, value in parts["known"]), parts["relabel"], parts["convert"], parts["site"],
        tuple(map(os.fsencode, parts["drawn"])),
    )  # fmt: skip


def lost_job(row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    """The outcome of a job whose process was killed or did not end."""
    words = "a reader crashed on it" if reason == "reader_crashed" else "it took too long"
    outcome = packed(Outcome(Standing.FAILED, words))
    return pa.RecordBatch.from_pylist([{"code": row["code"][0].as_py(), "outcome": outcome}], schema=OUTCOMES)


def _outcome(job: ScrubJob, spec: ScrubFiles) -> Outcome:
    try:
        job = replace(job, members=(*job.members, *companions(job.root, job.format, job.members)))
        scrubber = scrubber_of(job.format)
        if scrubber is None:
            return Outcome(Standing.REFUSED, "no copies can be made of this format")
        if spec.target is None:
            return _planned(scrubber.plan(job))
        return _done(job, scrubber, spec.target, spec.rules[ANNOTATION])
    except UnscrubbableError as error:
        return Outcome(Standing.REFUSED, str(error))
    except OSError as error:
        # Of the error's text only the system's words: it may quote a path.
        return Outcome(Standing.FAILED, f"a file could not be read or written ({os.strerror(error.errno or 5).lower()})")
    except Exception as error:  # noqa: BLE001 -- one bad slide never stops a run, whatever it makes a library raise
        return Outcome(Standing.FAILED, f"the scrubber stopped ({type(error).__name__})")


def _planned(plan: FilePlan) -> Outcome:
    if plan.unknown:
        return Outcome(Standing.QUARANTINED, "no rule knows something in it", _deeds(plan), plan.unknown)
    if plan.refusal is not None:
        return Outcome(Standing.REFUSED, plan.refusal, _deeds(plan))
    return Outcome(Standing.DONE, deeds=_deeds(plan))


def _deeds(plan: FilePlan) -> tuple[tuple[Deed, str, int], ...]:
    counts = Counter((change.deed, change.rule) for change in plan.changes)
    return tuple((deed, rule, count) for (deed, rule), count in sorted(counts.items()))


def _done(job: ScrubJob, scrubber: FileScrubber, target: Path, rules: FileRules) -> Outcome:
    folder = target / UNFINISHED / job.code
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        with ExitStack() as stack:
            # Held open, so that a file that is replaced or written to meanwhile is noticed.
            held = [stack.enter_context(job.root.open(member)) for member in job.members[:_MOST_HELD]]
            return _proven(job, scrubber, folder, target, rules, lambda: any(source.changed() for source in held))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _proven(
    job: ScrubJob, scrubber: FileScrubber, folder: Path, target: Path, rules: FileRules, has_changed: Callable[[], bool]
) -> Outcome:
    """Write the copies, prove them, and put them in their place."""
    plan, written = scrubber.write(job, folder)
    if written is None:
        return _planned(plan)
    drawn = _drawn(job, rules, folder, written.main)
    plan = replace(plan, changes=plan.changes + drawn.changes, own=plan.own + drawn.own)
    written = replace(written, files=written.files + drawn.files)
    proof = prove(job, plan, folder, written)
    if proof.faults:
        return Outcome(Standing.FAILED, f"the proof failed: {'; '.join(proof.faults[:5])}", _deeds(plan), proof=proof)
    if has_changed():
        return Outcome(Standing.FAILED, "the source changed while it was copied", _deeds(plan))
    sizes = tuple((folder / name).stat().st_size for name in written.files)
    sync_tree(folder)
    placed = _placed(job, folder, target, written)
    return Outcome(Standing.DONE, "", _deeds(plan), (), placed, sizes, proof, drawn.unknown, drawn.left_out)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Files of shapes that go along with a slide, and those that do not."""

    files: tuple[str, ...]
    changes: tuple[Change, ...]
    own: tuple[OwnValue, ...]
    unknown: tuple[Unknown, ...]
    left_out: int


def _drawn(job: ScrubJob, rules: FileRules, folder: Path, main: str) -> _Drawn:
    """Scrub the files of shapes; one that cannot be, stays behind, and the slide goes all the same."""
    files: list[str] = []
    changes: list[Change] = []
    own: list[OwnValue] = []
    unknown: list[Unknown] = []
    left_out = 0
    for opening, ending in _shape_files(job):
        name = f"{main}{ending}" if ending == ".ndpa" else f"{job.code}{f'.{len(files) + 1}' if files else ''}{ending}"
        try:
            with opening() as source:
                plan = scrub_annotation(source, job, rules, folder / name)
        except (UnscrubbableError, OSError) as error:
            # Beside most slides NDP.view has put nothing.
            left_out += not (ending == ".ndpa" and isinstance(error, FileNotFoundError))
            continue
        if plan.unknown:
            unknown += plan.unknown
            left_out += 1
            continue
        files.append(name)
        changes += plan.changes
        own += plan.own
    return _Drawn(tuple(files), tuple(changes), tuple(own), tuple(unknown), left_out)


def _shape_files(job: ScrubJob) -> Iterator[tuple[Callable[[], AbstractContextManager[Source]], str]]:
    """Files of shapes with the endings of their copies: those that were imported, and what NDP.view puts beside a slide."""
    for path in job.drawn:
        ending = Path(os.fsdecode(path)).suffix.lower()
        yield partial(LocalSource, path), ending if ending in _SHAPE_ENDINGS else ".geojson"
    if job.format == "ndpi":
        yield partial(job.root.open, job.members[0] + b".ndpa"), ".ndpa"


def _placed(job: ScrubJob, folder: Path, target: Path, written: WrittenFiles) -> WrittenFiles:
    """Move proven copies to their place, the one that readers open last: until then nobody finds half a slide."""
    above = "dicom" if job.format == "dicom" else "slides"
    for name in sorted(written.files, key=lambda name: name == written.main):
        place = target / above / name
        demand_no_link(target, place.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        (folder / name).replace(place)
    return replace(
        written, main=f"{above}/{written.main}", files=tuple(f"{above}/{name}" for name in written.files), copied={}
    )


def demand_no_link(target: Path, folder: Path) -> None:
    """Make sure that a folder below the target lies in it: what somebody else linked there is not ours.

    Raises:
        OSError: a link is in the place of a folder (``ELOOP``).
    """
    while folder != target:
        if folder.is_symlink():
            raise OSError(errno.ELOOP, "a link in the place of a folder")
        folder = folder.parent


def companions(root: Root, format_: str, members: Sequence[bytes]) -> list[bytes]:
    """Paths of the files in the folder beside a slide, which are part of it and not among its members."""
    folder = companion_folder(members[0]) if format_ == "mrxs" else None
    if folder is None:
        return []
    below = root_below(root, folder).walk(lambda names: set())
    found = [folder + b"/" + entry.relpath for entry in below if not isinstance(entry, Skipped)]
    return [path for path in found if path not in members]


def packed(outcome: Outcome) -> str:
    """An outcome as JSON."""
    return json.dumps(asdict(outcome), default=_plain, ensure_ascii=False)


def _plain(value: object) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    raise TypeError(type(value).__name__)

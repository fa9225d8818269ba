"""Slides of the TIFF family: a copy keeps the pyramid's pixels where they are, bit for bit, and nothing that no rule allows.

The file is copied (sharing blocks where the file system can); then directories are written anew with fewer entries, those of
label and macro leave the chain, and every byte that nothing kept refers to becomes zero. Every directory that is no level of
the pyramid is sensitive: a thumbnail stays only if its picture is that of a level. Each vendor's dialect is a module.
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from pathcurate.copying import copy_file
from pathcurate.ifd import Blocks, TiffDamage
from pathcurate.model.filescrub import FilePlan, UnscrubbableError, WrittenFiles
from pathcurate.scrubbers.tiff import aperio, generic, ground, hamamatsu, leica, ome, philips, ventana
from pathcurate.scrubbers.tiff.planning import Plan, planned
from pathcurate.scrubbers.tiff.slide import Dialect
from pathcurate.slidefiles import ScrubJob
from pathcurate.storage import Source

NAME: Final = "tiff"
VERSION: Final = 1

_DIALECTS: Final[Mapping[str, Dialect]] = {
    "svs": aperio, "tiff": generic, "ndpi": hamamatsu, "philips": philips, "scn": leica, "bif": ventana, "ome": ome,
}  # fmt: skip
FORMATS: Final = tuple(_DIALECTS)

_SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "svs": (".svs", ".tif", ".tiff"), "tiff": (".tiff", ".tif", ".btf", ".qptiff", ".svs"), "ndpi": (".ndpi",),
    "philips": (".tiff", ".tif"), "scn": (".scn",), "bif": (".bif", ".tif", ".tiff"),
    "ome": (".ome.tiff", ".ome.tif", ".ome.btf"),
}  # fmt: skip
"""By format the endings that a copy may have; the first if the slide has none of them."""


def plan(job: ScrubJob) -> FilePlan:
    """What will be done, from headers and the small images beside the pyramid alone.

    Raises:
        UnscrubbableError: the slide cannot be scrubbed with proof.
        OSError: the file cannot be read.
    """
    with job.open() as source:
        return _plan(job, source).plan


def write(job: ScrubJob, folder: Path) -> tuple[FilePlan, WrittenFiles | None]:
    """Plan again, and write the copy.

    Args:
        job: the slide.
        folder: exists, is empty, and is this job's alone.

    Returns:
        The plan, and what was written; None if a name has no rule.

    Raises:
        UnscrubbableError: the slide cannot be scrubbed with proof.
        OSError: the file cannot be read, or the copy not written.
    """
    with job.open() as source:
        made = _plan(job, source)
        if made.plan.unknown:
            return made.plan, None
        name = job.code + _suffix(job)
        copy_file(source, folder / name)
        handle = os.open(folder / name, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(handle, made.placed.end)
            ground.clear(handle, made.pixels.windows(made.placed), made.placed.end)
            for offset, data in made.placed.patches.items():
                ground.write_at(handle, data, offset)
        except TiffDamage as damage:
            raise UnscrubbableError(f"{damage.reason} (offset {damage.offset})") from None
        finally:
            os.close(handle)
    return made.plan, WrittenFiles(name, (name,), {}, dropped=len(job.members) - 1)


def _plan(job: ScrubJob, source: Source) -> Plan:
    dialect = _DIALECTS.get(job.format)
    if dialect is None:
        raise UnscrubbableError("not a format of this scrubber")
    return planned(job, dialect, Blocks(source))


def _suffix(job: ScrubJob) -> str:
    name = PurePosixPath(os.fsdecode(job.members[0])).name.lower()
    suffixes = _SUFFIXES[job.format]
    return next((suffix for suffix in suffixes if name.endswith(suffix)), suffixes[0])

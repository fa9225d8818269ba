"""The scrubbers of files, by the format that each takes. They are imported when they are needed: most commands need none."""

from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from pathcurate.model.filescrub import FilePlan, WrittenFiles
from pathcurate.slidefiles import ScrubJob


class FileScrubber(Protocol):
    """What a module offers that scrubs files."""

    @property
    def NAME(self) -> str:  # noqa: N802 -- a constant of the module
        """Its name."""

    @property
    def VERSION(self) -> int:  # noqa: N802 -- a constant of the module
        """Raised when it scrubs otherwise than before, so that copies are made again."""

    def plan(self, job: ScrubJob) -> FilePlan:
        """What scrubbing will do, from headers alone.

        Raises:
            UnscrubbableError: it cannot be done with proof.
            OSError: a file cannot be read.
        """

    def write(self, job: ScrubJob, folder: Path) -> tuple[FilePlan, WrittenFiles | None]:
        """Write the copies into an empty folder; none if something is unknown, or the plan refuses.

        Raises:
            UnscrubbableError: it cannot be done with proof.
            OSError: a file cannot be read or written.
        """


_MODULES: Final = {
    "dicom": "dicom", "kfb": "kfb", "mrxs": "mrxs",
    **dict.fromkeys(("svs", "tiff", "ndpi", "philips", "scn", "bif", "ome"), "tiff"),
}  # fmt: skip

FORMATS: Final = tuple(_MODULES)
"""Formats of which copies can be made; of others the slide is refused."""


def scrubber_of(format_: str) -> FileScrubber | None:
    """The scrubber of a format, None if there is none."""
    name = _MODULES.get(format_)
    return cast(FileScrubber, import_module(f"pathcurate.scrubbers.{name}")) if name else None

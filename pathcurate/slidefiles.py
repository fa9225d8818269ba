"""A slide's files as they lie in the archive, and as whom they are to be scrubbed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pathcurate.model.filerule import FileRules
from pathcurate.model.filescrub import OwnValue
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.storage import Root, Source


@dataclass(frozen=True, slots=True, repr=False)
class LayerCodes:
    """Codes of a layer from identifiers. It holds key material: it goes to child processes of this one, and nowhere else.

    Attributes:
        layers: the internal layer's codes, then those of the product, then those of the recipient, as far as they apply;
            each is made from the one before.
    """

    layers: tuple[Pseudonyms, ...]

    def uid(self, uid: str) -> str:
        """The UID that stands for one; well-known ones stay."""
        for codes in self.layers:
            uid = codes.uid(uid)
        return uid

    def code(self, kind: str, *parts: str) -> str:
        """The code of an identifier."""
        inner, *outer = self.layers
        code = inner.code(kind, *parts)
        for codes in outer:
            code = codes.code(kind, code)
        return code


@dataclass(frozen=True, slots=True, repr=False)
class ScrubJob:
    """One slide or series to scrub.

    Attributes:
        root: the archive root that its files lie below.
        members: their paths below it, the main one first. Of a MIRAX slide the files of its folder too, of a DICOM slide or
            series every instance.
        format: as in the table ``slides``; ``dicom`` for series.
        code: the code that its copies are named by.
        patient: the patient's code; None if nobody knows whose it is.
        case: the case's code.
        days: by how many days dates move, as all dates of the same person in the same layer; None where the profile shows
            no dates, so that they go.
        codes: for UIDs, and for other numbers in the files.
        rules: of the format.
        known: what the catalog knows that identifies it.
        relabel: put a study label in the place of the label, where the format can.
        convert: write a readable TIFF in place of a closed format.
        site: of which it is.
        drawn: files of shapes drawn on it, as paths of this machine.
    """

    root: Root
    members: tuple[bytes, ...]
    format: str
    code: str
    patient: str | None
    case: str | None
    days: int | None
    codes: LayerCodes
    rules: FileRules
    known: tuple[OwnValue, ...] = ()
    relabel: bool = False
    convert: bool = False
    site: str = ""
    drawn: tuple[bytes, ...] = ()

    @contextmanager
    def open(self, member: bytes | None = None) -> Iterator[Source]:
        """One of its files, the main one if none is named.

        Raises:
            OSError: it cannot be opened.
        """
        with self.root.open(self.members[0] if member is None else member) as source:
            yield source

    def moved(self, day: date) -> date | None:
        """A day (or a day and a time) moved by the person's offset; None if dates go, or it would leave the calendar."""
        if self.days is None:
            return None
        try:
            return day + timedelta(days=self.days)
        except OverflowError:
            return None

    def moved_text(self, text: str, form: str) -> str | None:
        """A date as a text, moved and written as before; None if it is not of the form (as ``strptime`` has it)."""
        try:
            moved = self.moved(datetime.strptime(text.strip(), form))  # noqa: DTZ007 -- scanners' clocks know no zone
        except ValueError:
            return None
        return None if moved is None else moved.strftime(form)

"""One instance: what its head says of it, whether it may be copied, and the writing of its copy."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pathcurate.dicomtexts import decode
from pathcurate.model.filescrub import Deed, UnscrubbableError
from pathcurate.scrubbers.dicom.copy import Copy
from pathcurate.scrubbers.dicom.frames import Frames
from pathcurate.scrubbers.dicom.options import Mask
from pathcurate.scrubbers.dicom.profile import Profile
from pathcurate.scrubbers.dicom.rewriting import Addition, Rewriting, coded_item, encoded
from pathcurate.scrubbers.dicom.structure import NATIVE, Beginning, Encoding, Window, beginning, head_values
from pathcurate.scrubbers.dicom.values import Subject, bare_text

IMPLEMENTATION_UID: Final = "2.25.158037116204283061205943260190612953174"
"""Of the program that wrote a copy (PS3.7 section D.3.3.2); of its own, so that the source's does not stay."""
IMPLEMENTATION: Final = b"PATHCURATE"
METHOD: Final = b"pathcurate, DICOM PS3.15 2026c Annex E"
DIRECTORY_CLASS: Final = "1.2.840.10008.1.3.10"
SLIDE_CLASS: Final = "1.2.840.10008.5.1.4.1.1.77.1.6"
_CAPTURES: Final = "1.2.840.10008.5.1.4.1.1.7"
_SPECTRA: Final = "1.2.840.10008.5.1.4.1.1.4.2"
_VOICES: Final = "1.2.840.10008.5.1.4.1.1.9.4."
_DOCUMENTS: Final = "1.2.840.10008.5.1.4.1.1.104"

WANTED: Final = frozenset({
    0x0008_0005, 0x0008_0008, 0x0008_0016, 0x0008_0018, 0x0008_0020, 0x0008_0030, 0x0008_0050, 0x0008_0060, 0x0008_0064,
    0x0008_0070, 0x0008_1030, 0x0008_1090, 0x0010_0010, 0x0010_0020, 0x0020_000D, 0x0020_000E, 0x0020_0010, 0x0020_0011,
    0x0020_0013, 0x0028_0002, 0x0028_0004, 0x0028_0006, 0x0028_0008, 0x0028_0010, 0x0028_0011, 0x0028_0100, 0x0028_0301,
    0x0048_0001, 0x0048_0002, 0x0048_0006, 0x0048_0007, 0x0048_0010,
})  # fmt: skip
"""Attributes of the head that decide what becomes of an instance, or that a DICOMDIR tells."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the first groups of an instance say.

    Attributes:
        start: what stands before its data set.
        values: of :data:`WANTED`, as they are written.
    """

    start: Beginning
    values: dict[int, bytes]

    def text(self, tag: int) -> str:
        """A value that is ASCII; empty if it is missing."""
        return self.values.get(tag, b"").decode("latin-1").strip(" \0")

    def parts(self, tag: int) -> list[str]:
        """Values of an attribute that may have several."""
        return [part.strip() for part in self.text(tag).upper().split("\\")]

    def numbers(self, tag: int) -> list[float]:
        """A number, binary of two or four bytes, or written out; none if it is no number."""
        raw = self.values.get(tag, b"")
        try:
            if tag == 0x0028_0008:
                return [float(raw.strip(b" \0") or b"1")]
            code = "f" if tag in {0x0048_0001, 0x0048_0002} else {2: "H", 4: "I"}[len(raw)]
            return list(struct.unpack(f"{self.start.encoding.order}{code}", raw))
        except (KeyError, ValueError, struct.error):
            return []

    def number(self, tag: int, otherwise: int = 0) -> int:
        """A whole number."""
        numbers = self.numbers(tag)
        return int(numbers[0]) if numbers and abs(numbers[0]) < 1 << 40 else otherwise

    @property
    def sop_class(self) -> str:
        """What kind of object it is."""
        return self.text(0x0008_0016) or self.start.meta.get(0x0002_0002, b"").decode("latin-1").strip(" \0")

    @property
    def role(self) -> str:
        """Of an image of a slide: VOLUME, LABEL, OVERVIEW or THUMBNAIL; of others only what may show a label."""
        third = (*self.parts(0x0008_0008), "", "", "")[2]
        return third if self.sop_class == SLIDE_CLASS or third in {"LABEL", "OVERVIEW"} else ""

    @property
    def instance_number(self) -> int:
        """Its place in the series, which orders the copies."""
        try:
            return int(self.text(0x0020_0013) or 0)
        except ValueError:
            return 0

    @property
    def is_image(self) -> bool:
        """Whether it has rows and columns, and so must have pixels; of spectra, they count those."""
        return self.number(0x0028_0010) > 0 and self.number(0x0028_0011) > 0 and self.sop_class != _SPECTRA

    @property
    def samples(self) -> int:
        """Of all its frames together; colours of less resolution are counted as others."""
        frame = self.number(0x0028_0010) * self.number(0x0028_0011) * (self.number(0x0028_0002, 1) or 1)
        return frame * max(1, self.number(0x0028_0008, 1))


def read_head(window: Window) -> Head:
    """What the first groups say.

    Raises:
        UnscrubbableError: the file is no DICOM, or damaged.
        OSError: it cannot be read.
    """
    start = beginning(window)
    return Head(start, head_values(window, start, WANTED))


def masks_for(head: Head, profile: Profile) -> tuple[Mask, ...]:
    """The masks that speak of an instance."""
    said = {"modality": 0x0008_0060, "manufacturer": 0x0008_0070, "model": 0x0008_1090}
    shown = {name: decode(head.values.get(tag, b""), ()).strip(" \0").casefold() for name, tag in said.items()}
    size = head.number(0x0028_0010), head.number(0x0028_0011)
    return tuple(
        mask
        for mask in profile.options.masks
        if (mask.rows, mask.columns) == size
        and all(getattr(mask, name) is None or getattr(mask, name).casefold() == shown[name] for name in said)
    )


def refusal(head: Head, profile: Profile) -> str | None:  # noqa: PLR0911 -- a reason each
    """Why an instance cannot be copied: what it shows or encloses may identify; None if it can."""
    if not head.sop_class:
        return "an instance has no SOPClassUID (0008,0016)"
    if head.sop_class.startswith(_DOCUMENTS):
        return "it encloses a document"
    if head.sop_class.startswith(_VOICES):
        return "it holds a recorded voice"
    if not head.is_image or masks_for(head, profile):
        return None
    burned_in = head.text(0x0028_0301).upper()
    if burned_in == "YES":
        return "its pixels show annotations (BurnedInAnnotation YES)"
    if head.role == "VOLUME" and head.text(0x0048_0010).upper() == "YES":
        return "its pixels show the label (SpecimenLabelInImage YES)"
    if burned_in != "NO" and profile.options.unsure_pixels == "refuse" and _is_often_burned_in(head, profile):
        return "nothing says that its pixels show no annotations, which images of its kind often do"
    return None


def _is_often_burned_in(head: Head, profile: Profile) -> bool:
    words = head.parts(0x0008_0008)
    is_capture = head.sop_class.startswith(_CAPTURES) and head.sop_class[len(_CAPTURES) :][:1] in {"", "."}
    is_derived_film = head.text(0x0008_0060).upper() in {"CR", "DX", "MG", "IO", "PX"} and words[1:2] == ["SECONDARY"]
    return (
        head.text(0x0008_0060).upper() in profile.options.often_burned_in
        or is_capture
        or is_derived_film
        or head.text(0x0008_0064).upper() in {"DV", "DI", "DF", "SD", "SI", "DRW", "SYN"}
        or any(word in profile.options.screen_words for word in words)
    )


def copy_instance(window: Window, head: Head, profile: Profile, subject: Subject, target: Path | None) -> int:
    """Write the copy of an instance, or only count what it would take.

    Args:
        window: of the source.
        head: what its head says.
        profile: the rulings.
        subject: as whom it is scrubbed; what is found and done is noted there.
        target: the file to write.

    Returns:
        Bytes of the copy.

    Raises:
        UnscrubbableError: it cannot be scrubbed.
        OSError: it cannot be read or written.
    """
    subject.numbers = {tag: head.values.get(tag, b"").strip(b" \0") for tag in (0x0010_0010, 0x0010_0020, 0x0008_0050)}
    masks = masks_for(head, profile)
    copy = Copy(window, target)
    try:
        copy.write(bytes(128) + b"DICM" + _meta(head, subject))
        _note_beginning(window, head, subject)
        additions = _additions(head, profile, subject, has_masks=bool(masks))
        frames = Frames(head.number(0x0028_0008, 1), head.samples, head.number(0x0028_0100), profile.options.encoders())
        rewriting = Rewriting(window, head.start, profile, subject, copy, additions, frames)
        rewriting.run()
        if head.is_image and not rewriting.has_pixels:
            raise UnscrubbableError("the file ends before its pixel data")
        copy.finish()
        if masks:
            _mask(head, masks, rewriting, subject, target)
        return copy.position
    finally:
        copy.close()


def _meta(head: Head, subject: Subject) -> bytes:
    """A file meta group of our own (PS3.10 section 7.1)."""
    sop = head.values.get(0x0008_0018) or head.start.meta.get(0x0002_0003, b"")
    bare = sop.strip(b" \0")
    if not bare:
        raise UnscrubbableError("the instance has no SOPInstanceUID (0008,0018)")
    new = subject.new_uid(bare)
    plain = Encoding()
    body = b"".join((
        encoded(0x0002_0001, b"OB", b"\0\1", plain),
        encoded(0x0002_0002, b"UI", head.sop_class.encode("latin-1"), plain),
        encoded(0x0002_0003, b"UI", new, plain),
        encoded(0x0002_0010, b"UI", head.start.syntax.encode(), plain),
        encoded(0x0002_0012, b"UI", IMPLEMENTATION_UID.encode(), plain),
        encoded(0x0002_0013, b"SH", IMPLEMENTATION, plain),
    ))  # fmt: skip
    return encoded(0x0002_0000, b"UL", struct.pack("<I", len(body)), plain) + body


def _note_beginning(window: Window, head: Head, subject: Subject) -> None:
    if head.start.has_preamble and any(window.data[:128]):
        subject.note("preamble", Deed.EMPTY, "PS3.10 7.1")
    if head.start.meta:
        subject.note("file meta group", Deed.CLEAN, "PS3.10 7.1")
    meta = head.start.meta.get(0x0002_0003, b"").strip(b" \0")
    if meta and meta != head.values.get(0x0008_0018, meta).strip(b" \0"):
        subject.new_uid(meta)


def _additions(head: Head, profile: Profile, subject: Subject, *, has_masks: bool) -> list[Addition]:
    """What every copy says of itself (PS3.15 section E.1.1), and who it is of."""
    encoding = head.start.encoding
    done = profile.options.codes(has_masks=has_masks)
    codes = b"".join(coded_item(code, "DCM", meaning, encoding) for code, meaning in done)
    subject.kept |= {bare_text(meaning) for _, meaning in done} | {bare_text(METHOD.decode())}
    times = {"modified": b"MODIFIED", "full": b"UNMODIFIED", "removed": b"REMOVED"}[profile.options.dates]
    made = [
        (0x0012_0062, b"CS", b"YES"), (0x0012_0063, b"LO", METHOD), (0x0012_0064, b"SQ", codes), (0x0028_0303, b"CS", times),
    ]  # fmt: skip
    if has_masks:
        made.append((0x0028_0301, b"CS", b"NO"))
    patient = ((0x0010_0010, b"PN"), (0x0010_0020, b"LO"))
    made += [(tag, kind, subject.pseudonym("patient", kind)) for tag, kind in patient if tag not in head.values]
    return sorted((tag, encoded(tag, kind, value, encoding)) for tag, kind, value in made)


def _mask(head: Head, masks: tuple[Mask, ...], rewriting: Rewriting, subject: Subject, target: Path | None) -> None:
    """Black out rectangles of every frame, in place."""
    rows, columns = head.number(0x0028_0010), head.number(0x0028_0011)
    inside = [
        (max(0, left), max(0, top), min(columns, left + width), min(rows, top + height))
        for mask in masks
        for left, top, width, height in mask.rectangles
    ]
    inside = [(left, top, right, bottom) for left, top, right, bottom in inside if left < right and top < bottom]
    if not inside:
        return
    subject.note("(7FE0,0010)", Deed.EMPTY, "option masks")
    samples, bits = head.number(0x0028_0002, 1) or 1, head.number(0x0028_0100)
    photometric = head.text(0x0028_0004)
    if head.start.syntax not in NATIVE or bits % 8 or photometric in {"YBR_FULL_422", "YBR_PARTIAL_422"}:
        raise UnscrubbableError("a mask covers pixels that are compressed or packed")
    is_planar = samples > 1 and head.number(0x0028_0006) == 1
    frames, sample = max(1, head.number(0x0028_0008, 1)), bits // 8
    begin, length = rewriting.pixels or (0, 0)
    if length < frames * rows * columns * samples * sample:
        raise UnscrubbableError("the pixel data are shorter than its frames")
    if target is None:
        return
    # In luminance and colour differences, black has the middle of both differences.
    black = [bytes(sample), *[b"\x80" if photometric == "YBR_FULL" and sample == 1 else bytes(sample)] * (samples - 1)]
    planes, pixel = ([[value] for value in black], sample) if is_planar else ([black], samples * sample)
    handle = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for frame in range(frames):
            for plane, value in enumerate(planes):
                first = begin + (frame * len(planes) + plane) * rows * columns * pixel
                for left, top, right, bottom in inside:
                    row = b"".join(value) * (right - left)
                    for line in range(top, bottom):
                        os.pwrite(handle, row, first + (line * columns + left) * pixel)
    finally:
        os.close(handle)

"""What a site may choose about DICOM files: the options of PS3.15 section E.3, and what may be burned into pixels."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from pathcurate.errors import UsageError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mask(_Part):
    """Rectangles to black out in the frames of instances that agree with everything that is given.

    Attributes:
        modality: Modality (0008,0060).
        manufacturer: Manufacturer (0008,0070).
        model: ManufacturerModelName (0008,1090).
        rows: rows of a frame.
        columns: columns of a frame.
        rectangles: left, top, width, height in pixels.
    """

    modality: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    rows: int
    columns: int
    rectangles: tuple[tuple[int, int, int, int], ...]


class Options(_Part):
    """See ``filerules/dicom.yaml``, which says what each is for."""

    retain_uids: bool
    retain_device: bool
    retain_institution: bool
    retain_patient: bool
    dates: Literal["modified", "full", "removed"]
    times: Literal["keep", "remove"]
    clean_descriptors: bool
    clean_structured: bool
    clean_graphics: bool
    safe_private: Mapping[str, tuple[Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{4},[0-9A-Fa-f]{2}$")], ...]]
    unsure_pixels: Literal["refuse", "keep"]
    often_burned_in: tuple[str, ...]
    screen_words: tuple[str, ...]
    masks: tuple[Mask, ...]
    jpeg_texts: tuple[str, ...]
    words_for: Mapping[str, str]

    def encoders(self) -> frozenset[str]:
        """Comments of encoders that frames may hold, in small letters."""
        return frozenset(map(str.lower, self.jpeg_texts))

    def letters(self) -> frozenset[str]:
        """Letters of the options in force, as the table of the profile writes them."""
        chosen = {
            "U": self.retain_uids, "D": self.retain_device, "I": self.retain_institution, "P": self.retain_patient,
            "p": self.retain_patient, "F": self.dates == "full", "m": self.dates == "modified",
            "t": self.clean_descriptors, "s": self.clean_structured, "g": self.clean_graphics,
        }  # fmt: skip
        return frozenset(letter for letter, is_chosen in chosen.items() if is_chosen)

    def codes(self, *, has_masks: bool) -> list[tuple[str, str]]:
        """What was done, as codes and meanings of PS3.16 CID 7050, for DeidentificationMethodCodeSequence (0012,0064)."""
        chosen = (
            ("113100", "Basic Application Confidentiality Profile", True),
            ("113101", "Clean Pixel Data Option", has_masks),
            ("113103", "Clean Graphics Option", self.clean_graphics),
            ("113104", "Clean Structured Content Option", self.clean_structured),
            ("113105", "Clean Descriptors Option", self.clean_descriptors),
            ("113106", "Retain Longitudinal Temporal Information Full Dates Option", self.dates == "full"),
            ("113107", "Retain Longitudinal Temporal Information Modified Dates Option", self.dates == "modified"),
            ("113108", "Retain Patient Characteristics Option", self.retain_patient),
            ("113109", "Retain Device Identity Option", self.retain_device),
            ("113110", "Retain UIDs Option", self.retain_uids),
            ("113111", "Retain Safe Private Option", bool(self.safe_private)),
            ("113112", "Retain Institution Identity Option", self.retain_institution),
        )
        return [(code, meaning) for code, meaning, is_chosen in chosen if is_chosen]


def read_options(given: Mapping[str, Any]) -> Options:
    """The options of a rule file.

    Raises:
        UsageError: one of them is not as it must be.
    """
    try:
        return Options.model_validate(dict(given))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise UsageError(
            f"rules of files, dicom, option `{place}`: {fault['msg'].lower()}",
            "Correct the site's own rules (`deid: files:` in pathcurate.yaml).",
        ) from None

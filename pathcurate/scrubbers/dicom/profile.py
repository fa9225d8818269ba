"""What is done to an attribute: the rules of the pack and the site, else table E.1-1 of PS3.15, else by its kind."""

import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from pydicom.datadict import dictionary_VR

from pathcurate import filerules
from pathcurate.errors import UsageError
from pathcurate.model.filerule import FileRule, FileRules
from pathcurate.model.filescrub import Deed, UnscrubbableError
from pathcurate.scrubbers.dicom import forms, values
from pathcurate.scrubbers.dicom.options import Options, read_options
from pathcurate.scrubbers.dicom.structure import LONG_FORMS, PIXEL_DATA, SHORT_FORMS, Encoding
from pathcurate.scrubbers.dicom.values import Level, Ruling, Subject, Treatment

_TAG: Final = re.compile("[0-9a-f]{8}")
_ATTRIBUTES: Final = "attributes"
_WORDS: Final = "words"
_TEXTS: Final = frozenset({b"LO", b"SH", b"LT", b"ST", b"UT", b"UC", b"PN", b"UR", b"AE"})
_BLOBS: Final = frozenset({b"OB", b"UN"})
_BINARY: Final = frozenset(
    {b"US", b"SS", b"UL", b"SL", b"SV", b"UV", b"FL", b"FD", b"AT", b"OW", b"OF", b"OD", b"OL", b"OV"}
)
_CONTENT: Final = 0x0040_A730
_SEQUENCES: Final = {0x0040_1101: "code", 0x0070_0001: "drop"}
"""Sequences with the action D whose items would identify: a person's code, and what is drawn on an image."""
_OVERLAY_BIT: Final = 0x0102
_CODE_MEANING: Final = 0x0008_0104
_ICC_PROFILE: Final = 0x0028_2000
_SPECIAL: Final[dict[int, Treatment]] = {
    0x0008_0005: values.character_set, 0x0008_0102: values.coding_scheme, 0x0040_A040: values.value_type,
    0x0048_0106: forms.reference, 0x0020_9056: forms.reference,
}  # fmt: skip
"""Attributes that say how others are to be read, or that others refer to."""
_FREE: Final = 8
"""Bytes of numbers that no text is looked for in."""


@cache
def _table() -> dict[int, tuple[bytes, str, str]]:
    """Table E.1-1: by tag the kind, the basic action, and letters of options."""
    lines = Path(filerules.__file__).with_name("dicom_profile.txt").read_text(encoding="ascii").splitlines()
    rows = (line.split(" ") for line in lines if not line.startswith("#"))
    return {int(tag, 16): (kind.encode(), action, "".join(letters)) for tag, kind, action, *letters in rows}


class Profile:
    """The rulings of one set of rules.

    Raises:
        UsageError: an option or a rule is not as it must be.
    """

    def __init__(self, rules: FileRules) -> None:
        self.options: Options = read_options(rules.options)
        self._letters = self.options.letters()
        self._own: dict[int, FileRule] = {}
        self._beginnings: list[tuple[str, FileRule]] = []
        for name, rule in rules.tables.get(_ATTRIBUTES, {}).items():
            if rule.deed is Deed.CLEAN and rule.about != _WORDS:
                raise UsageError(
                    f"rules of files, dicom: `{rule.name}` can be cleaned by the table `{_WORDS}` only",
                    "Correct the site's own rules (`deid: files:` in pathcurate.yaml).",
                )
            if name.endswith("*"):
                self._beginnings.append((name[:-1], rule))
            elif _TAG.fullmatch(name):
                self._own[int(name, 16)] = rule
            else:
                hint = "Write its tag as eight digits: 00180015."
                raise UsageError(f"rules of files, dicom: `{rule.name}` is no attribute", hint=hint)
        self._beginnings.sort(key=lambda pair: -len(pair[0]))
        self.words = frozenset(
            rule.name.upper() for rule in rules.tables.get(_WORDS, {}).values() if rule.deed is Deed.KEEP
        )  # fmt: skip
        self._safe = {
            (creator.strip().casefold(), int(group, 16), int(element, 16))
            for creator, elements in self.options.safe_private.items()
            for group, element in (name.split(",") for name in elements)
        }
        self._rulings: dict[Encoding, dict[bytes, Ruling]] = {}

    def rulings(self, encoding: Encoding) -> dict[bytes, Ruling]:
        """Rulings by how an element begins: four bytes, or six with its kind."""
        return self._rulings.setdefault(encoding, {})

    def resolve(self, head: bytes, encoding: Encoding) -> Ruling:
        """The ruling for an element.

        Args:
            head: the first eight bytes of it.
            encoding: how they are written.

        Raises:
            UnscrubbableError: its kind is none of the standard.
        """
        group, element = struct.unpack_from(f"{encoding.order}HH", head)
        kind = head[4:6]
        if encoding.is_implicit or group == 0xFFFE or not (kind.isalpha() and kind.isupper()):
            made = self._ruling(group << 16 | element, b"", 2)
            if group == 0xFFFE and not any(head[4:8]):
                self.rulings(encoding)[head[:6]] = made
            return made
        if kind not in LONG_FORMS and kind not in SHORT_FORMS:
            raise UnscrubbableError("an attribute is of a kind that the standard does not know")
        made = self._ruling(group << 16 | element, kind, int(kind in LONG_FORMS))
        self.rulings(encoding)[head[:6]] = made
        return made

    def implicit(self, head: bytes, encoding: Encoding) -> Ruling:
        """The ruling for an element without a kind."""
        made = self.rulings(encoding)[head[:4]] = self.resolve(head, encoding)
        return made

    def _ruling(self, tag: int, kind: bytes, form: int) -> Ruling:  # noqa: PLR0911 -- the order in which rules apply
        group = tag >> 16
        place = f"({group:04X},{tag & 0xFFFF:04X})"
        listed, known = _known_kinds(tag)
        # What is of unknown kind is of the kind that the standard gives it (PS3.5 section 6.2.2).
        effective = known[0] if kind in {b"", b"UN"} and known else kind or b"UN"
        is_sequence = effective == b"SQ" and kind in {b"", b"UN", b"SQ"}

        def made(deed: Deed, rule: str, treat: Treatment | None, sequence: str = "drop", free: int = -1) -> Ruling:
            treat, how = (None, sequence) if is_sequence else (treat, None)
            return Ruling(tag, effective, form, treat, how, place, deed, rule, free)

        if group & 1:
            return made(Deed.REMOVE, "E.1-1 private", self._private)
        if tag & 0xFFFF == 0:
            return made(Deed.REMOVE, "retired group lengths", values.remove)
        if 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF:
            treat = _overlay_bit if group >= 0x6000 and tag & 0xFFFF == _OVERLAY_BIT else values.remove
            return made(Deed.REMOVE, "E.1-1 curves and overlays", treat)
        if tag == PIXEL_DATA:
            return made(Deed.REMOVE, "pictures within sequences", values.remove)
        if group in {0, 2, 4}:
            return made(Deed.REMOVE, "groups of other files", values.remove)
        if (own := self._rule_of(tag)) is not None:
            return self._by_rule(own, made, tag, effective if _is_plausible(effective, known) else b"UN")
        if tag in _SPECIAL:
            return made(Deed.EMPTY, f"attributes {tag:08X}", _SPECIAL[tag])
        if listed is not None:
            return self._by_table(made, tag, effective, *listed)
        if not known:
            return made(Deed.REMOVE, "attributes that the dictionary does not know", values.remove)
        return self._by_kind(made, effective, known)

    def _rule_of(self, tag: int) -> FileRule | None:
        if (rule := self._own.get(tag)) is not None:
            return rule
        name = f"{tag:08x}"
        return next((rule for beginning, rule in self._beginnings if name.startswith(beginning)), None)

    def _by_rule(self, rule: FileRule, made: Callable[..., Ruling], tag: int, kind: bytes) -> Ruling:  # noqa: PLR0911 -- a case for each deed
        said = f"dicom attributes {rule.name}"
        match rule.deed:
            case Deed.KEEP if tag == _CODE_MEANING:
                return made(Deed.CLEAN, said, values.code_meaning(values.dummy))
            case Deed.KEEP if tag in _SPECIAL:
                return made(Deed.EMPTY, said, _SPECIAL[tag])
            case Deed.KEEP if kind == b"UN":
                return made(Deed.EMPTY, said, values.empty, "keep")
            case Deed.KEEP:
                return made(Deed.EMPTY, said, _as_is(rule, tag, kind), "keep")
            case Deed.REMOVE:
                return made(rule.deed, said, values.remove)
            case Deed.EMPTY:
                return made(rule.deed, said, values.empty, "empty")
            case Deed.SHIFT:
                return made(rule.deed, said, self._date(kind, values.empty), "empty")
            case Deed.PSEUDONYM:
                return made(rule.deed, said, values.pseudonym(rule.about or "slide"), "empty")
            case Deed.UID:
                return made(rule.deed, said, values.uid, "keep")
            case Deed.CLEAN:
                clean = values.words(values.dummy) if self.options.clean_descriptors else values.dummy
                return made(rule.deed, said, clean, "keep")

    def _by_table(self, made: Callable[..., Ruling], tag: int, kind: bytes, action: str, letters: str) -> Ruling:
        said = f"E.1-1 {action}"
        basic = _BASIC[action]
        sequence = _OF_SEQUENCE[action]
        deed = _DEEDS[basic]
        chosen = [letter for letter in letters if letter in self._letters]
        if tag == _CONTENT:
            return made(deed, said, basic, "content")
        if tag in _SEQUENCES:
            sequence = _SEQUENCES[tag]
        for letter in chosen:
            by = f"E.1-1 option {_NAMES[letter]}"
            if letter in "UDIPF":
                return made(deed, by, self._kept(kind, basic), "keep")
            if letter == "m":
                return made(Deed.SHIFT, by, self._date(kind, basic))
            if letter in "tp":
                return made(Deed.CLEAN, by, values.words(basic) if kind in _TEXTS else basic, "keep")
            return made(deed, by, basic, "content" if letter == "s" else "keep")
        return made(deed, said, basic, sequence)

    def _kept(self, kind: bytes, basic: Treatment) -> Treatment | None:
        """A value that an option keeps."""
        if kind == b"AS":
            return values.age(basic)
        return values.text(basic) if kind in _TEXTS | {b"CS"} else None

    def _date(self, kind: bytes, basic: Treatment) -> Treatment:
        """A date, time or zone, when dates move."""
        if kind in {b"DA", b"DT"}:
            return values.shifted(basic)
        if self.options.times == "keep":
            if kind == b"TM":
                return values.time_string(basic)
            if kind == b"SH":
                return values.zone(basic)
        return basic

    def _by_kind(self, made: Callable[..., Ruling], kind: bytes, known: tuple[bytes, ...]) -> Ruling:  # noqa: PLR0911 -- a line for each kind
        """What no table speaks of: numbers, codes, UIDs and dates stay, texts go."""
        said = f"attributes of kind {kind.decode()}"
        if kind == b"SQ":
            return made(Deed.REMOVE, said, values.remove, "keep")
        if kind in _TEXTS or not _TEXTS.isdisjoint(known) or kind in _BLOBS or not _is_plausible(kind, known):
            return made(Deed.EMPTY, said, values.empty)
        if known == (b"SQ",):
            return made(Deed.REMOVE, said, values.remove)
        if kind == b"UI":
            return made(Deed.UID, said, None if self.options.retain_uids else values.uid)
        if kind in {b"DA", b"DT", b"TM"}:
            choices = {"full": None, "modified": self._date(kind, values.empty), "removed": values.empty}
            return made(Deed.SHIFT, said, choices[self.options.dates])
        if kind == b"CS":
            return made(Deed.EMPTY, said, forms.code_string(values.empty))
        if kind in {b"IS", b"DS"}:
            return made(Deed.EMPTY, said, (forms.integers if kind == b"IS" else forms.decimals)(values.empty))
        if kind == b"AS":
            return made(Deed.EMPTY, said, values.age(values.empty) if self.options.retain_patient else values.empty)
        if kind in LONG_FORMS or b"OW" in known:
            # Samples, of any number: of them nothing can be told.
            return made(Deed.KEEP, said, None)
        return made(Deed.EMPTY, said, forms.numbers(values.empty), free=_FREE)

    def _private(self, subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        """A private attribute goes, unless the site knows its creator and element to be safe."""
        if self._safe:
            group, element = ruling.tag >> 16, ruling.tag & 0xFFFF
            if level.creators is None:
                level.creators = {}
            if 0x10 <= element <= 0xFF:
                creator = raw.decode("latin-1").strip(" \0").casefold()
                level.creators[group << 8 | element] = creator
                if any(creator == safe and group == of for safe, of, _ in self._safe):
                    return raw
            elif (level.creators.get(group << 8 | element >> 8), group, element & 0xFF) in self._safe:
                return values.text(values.remove)(subject, raw, level, ruling)
        return values.remove(subject, raw, level, ruling)


def _as_is(rule: FileRule, tag: int, kind: bytes) -> Treatment | None:
    """What is done to a value that a rule keeps."""
    if tag == _ICC_PROFILE:
        return forms.colours
    if kind in _BINARY | _BLOBS:
        return None
    if rule.is_of_site:
        return values.text(values.empty)
    return (forms.well_formed_uid if kind == b"UI" else values.stock_text)(values.empty)


def _is_plausible(kind: bytes, known: tuple[bytes, ...]) -> bool:
    """Whether an attribute may be of a kind: numbers in bytes are taken for other numbers, never for what is no number."""
    return not known or kind in known or kind not in _BINARY | _BLOBS or (kind in _BINARY and not _BINARY.isdisjoint(known))


def _known_kinds(tag: int) -> tuple[tuple[str, str] | None, tuple[bytes, ...]]:
    """What the table says of a tag, and the kinds that the dictionary or the table gives it."""
    row = _table().get(tag)
    try:
        # Of "OB or OW" the second, since what is not known to be bytes for display is emptied.
        kinds = tuple(part.encode() for part in reversed(dictionary_VR(tag).split(" or ")))
    except KeyError:
        kinds = ()
    if not kinds and row is not None and row[0] != b"-":
        kinds = (row[0],)
    return (row[1], row[2]) if row is not None else None, tuple(kind for kind in kinds if kind != b"NONE")


def _overlay_bit(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """Overlays once lay in bits of the pixels that these do not use (retired in 2004)."""
    if any(raw):
        raise UnscrubbableError("an overlay lies within the bits of the pixels")
    return None


_BASIC: Final[dict[str, Treatment]] = {
    "X": values.remove, "Z": values.empty, "D": values.dummy, "U": values.uid,
    "X/Z": values.empty, "X/D": values.dummy, "Z/D": values.dummy, "X/Z/D": values.dummy, "X/Z/U": values.empty,
}  # fmt: skip
"""Of several actions the one that leaves an object valid whatever the type of the attribute is in it: an empty value where
the table knows it as type 2 or 3, else one that says nothing."""
_OF_SEQUENCE: Final = {
    "X": "drop", "Z": "empty", "D": "keep", "U": "keep",
    "X/Z": "empty", "X/D": "drop", "Z/D": "empty", "X/Z/D": "empty", "X/Z/U": "keep",
}  # fmt: skip
_DEEDS: Final[dict[Treatment, Deed]] = {
    values.remove: Deed.REMOVE, values.empty: Deed.EMPTY, values.dummy: Deed.EMPTY, values.uid: Deed.UID,
}  # fmt: skip
_NAMES: Final = {
    "U": "Retain UIDs", "D": "Retain Device Identity", "I": "Retain Institution Identity",
    "P": "Retain Patient Characteristics", "p": "Retain Patient Characteristics", "F": "Retain Full Dates",
    "m": "Retain Modified Dates", "t": "Clean Descriptors", "s": "Clean Structured Content", "g": "Clean Graphics",
}  # fmt: skip

"""``Slidedat.ini`` as it is and as the copy has it: each section and key by rule, what stays numbered anew."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Final

from pathcurate.model.filerule import FileRule, folded
from pathcurate.model.filescrub import Change, Deed, OwnValue, Unknown, UnscrubbableError
from pathcurate.slidefiles import ScrubJob
from pathcurate.storage import path_text

MARK: Final = b"\xef\xbb\xbf"
MOST_BYTES: Final = 1 << 20
_MOST_RECORDS: Final = 1024
_MOST_LEVELS: Final = 1024
_MOST_FILES: Final = 4096
_NUMBERED: Final = re.compile(r"(?<=[_A-Za-z(. ])-?\d{1,4}(?=[_).A-Za-z ]|$)")
_NUMBER: Final = re.compile(r"[+-]?\d{1,8}(\.\d{0,18})?([eE][+-]?\d{1,2})?", re.ASCII)
_LARGEST: Final = 1 << 24
"""Colours have 24 bits; a larger number counts nothing in a slide, and eight digits are a day or somebody's number."""
_VERSION: Final = re.compile(r"\d{1,4}([.,]\d{1,6}){0,4}", re.ASCII)
_NEEDED: Final = frozenset({
    "GENERAL.IMAGENUMBER_X", "GENERAL.IMAGENUMBER_Y", "HIERARCHICAL.HIER_COUNT", "HIERARCHICAL.HIER_#_COUNT",
    "HIERARCHICAL.HIER_#_VAL_#_SECTION",
    *(f"LAYER_#_LEVEL_#_SECTION.{key}" for key in (
        "OVERLAP_X", "OVERLAP_Y", "MICROMETER_PER_PIXEL_X", "MICROMETER_PER_PIXEL_Y", "IMAGE_FILL_COLOR_BGR",
        "IMAGE_FORMAT", "IMAGE_CONCAT_FACTOR", "DIGITIZER_WIDTH", "DIGITIZER_HEIGHT",
    )),
})  # fmt: skip
"""Without these no reader opens the slide, so one whose value cannot stay is refused."""
_LEAST_OWN: Final = 5
_LEAST_KNOWN: Final = 4
_FILE_KEY: Final = re.compile(r"FILE_(\d{1,4})", re.ASCII)
_RECORD_KEY: Final = re.compile(r"NONHIER_(\d{1,4})(?:_(VAL)_(\d{1,4}))?(?:_(\w+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """One image or table that is not of the pyramid, as ``Slidedat.ini`` names it.

    Attributes:
        layer: number of its layer.
        value: its number there.
        is_kept: whether the copy has it.
    """

    layer: int
    value: int
    is_kept: bool


@dataclass(slots=True)
class Settings:
    """What ``Slidedat.ini`` says and what becomes of it.

    Attributes:
        text: bytes of the copy's.
        slide_id: the slide's id.
        new_id: that of the copy, as many bytes.
        index: name of the index.
        files: names of the data files, by number.
        levels: pointers to chains of images that the index has: those of the zoom levels first.
        zooms: how many of them are zoom levels.
        records: what is not of the pyramid, in the order of the index.
        changes: what is done.
        unknown: what no rule knows.
        own: values that go and identify.
    """

    text: bytes = b""
    slide_id: bytes = b""
    new_id: bytes = b""
    index: str = ""
    files: list[str] = field(default_factory=list)
    levels: int = 0
    zooms: int = 0
    records: list[Record] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    own: list[OwnValue] = field(default_factory=list)


Sections = dict[str, dict[str, str]]


def parse(raw: bytes) -> Sections:
    """Sections and keys as written; of a repeated key the last counts, as for OpenSlide.

    Raises:
        UnscrubbableError: it is larger than any, or no text of 8 bits.
    """
    if len(raw) > MOST_BYTES:
        raise UnscrubbableError("Slidedat.ini is larger than any that OpenSlide reads")
    if b"\0" in raw:
        raise UnscrubbableError("Slidedat.ini is in an encoding that no reader knows")
    sections: Sections = {}
    section: dict[str, str] = {}
    for line in path_text(raw.removeprefix(MARK)).replace("\r", "\n").split("\n"):
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            section = sections.setdefault(text[1:-1], {})
        elif "=" in text and not text.startswith(("#", ";")):
            key, _, value = text.partition("=")
            section[key.strip()] = value.strip()
    return sections


def judged(raw: bytes, job: ScrubJob) -> Settings:
    """What becomes of ``Slidedat.ini``.

    Raises:
        UnscrubbableError: it does not say what a reader needs, or what it says cannot stay.
    """
    return _Judge(parse(raw), job).settings(has_mark=raw.startswith(MARK))


def new_id(code: str, length: int) -> bytes:
    """The id of a copy: hexadecimal digits that follow from its code alone."""
    digits = b""
    while len(digits) < length:
        digits += hashlib.sha256(f"mrxs {code} {len(digits)}".encode()).hexdigest().upper().encode()
    return digits[:length]


def general_name(name: str) -> str:
    """A name of a section, key or value with # for every number."""
    return _NUMBERED.sub("#", name)


class _Judge:
    """Applies the rules to one ``Slidedat.ini``."""

    def __init__(self, sections: Sections, job: ScrubJob) -> None:
        self._sections = sections
        self._job = job
        self._known = tuple(folded(item.value) for item in job.known if len(item.value.strip()) >= _LEAST_KNOWN)
        self._words = _folded_words(job.rules.options.get("words"))
        self._versions = _folded_words(job.rules.options.get("versions"))
        self._made = Settings()
        self._own: dict[str, str] = {}

    def settings(self, *, has_mark: bool) -> Settings:
        made = self._made
        self._structure()
        dropped = self._unlinked_sections()
        result: Sections = {}
        for number, (section, keys) in enumerate(self._sections.items()):
            if section in dropped or not keys:
                self._note(f"Slidedat.ini, section {number}", Deed.REMOVE, "record", "sections of what goes")
                for key, value in keys.items():
                    self._gone(key, value)
                continue
            judged_keys = {key: self._value(section, key, value) for key, value in keys.items()}
            result[section] = {key: value for key, value in judged_keys.items() if value is not None}
        self._renumber(result)
        lines = [line for section, keys in result.items() for line in (
            f"[{section}]", *(f"{key} = {value}" for key, value in keys.items()), ""
        )]  # fmt: skip
        made.text = (MARK if has_mark else b"") + "\r\n".join(lines).encode()
        made.own = [OwnValue(kind, value) for value, kind in self._own.items()]
        return made

    # --- What the slide consists of ------------------------------------------------------------------------------

    def _structure(self) -> None:
        made, tree = self._made, self._sections.get("HIERARCHICAL", {})
        made.slide_id = self._sections.get("GENERAL", {}).get("SLIDE_ID", "").encode()
        if not made.slide_id:
            raise UnscrubbableError("Slidedat.ini has no id of the slide")
        made.new_id = new_id(self._job.code, len(made.slide_id))
        made.index = tree.get("INDEXFILE", "")
        files = self._sections.get("DATAFILE", {})
        made.files = [files.get(f"FILE_{number}", "") for number in range(_count(files, "FILE_COUNT", _MOST_FILES))]
        names = [made.index, *made.files, "Slidedat.ini"]
        if not made.files or len(set(map(str.casefold, names))) < len(names) or not all(map(_is_plain, names)):
            raise UnscrubbableError("Slidedat.ini does not name each file of the slide once, in its own folder")
        layers = range(_count(tree, "HIER_COUNT", _MOST_LEVELS))
        counts = [_count(tree, f"HIER_{layer}_COUNT", _MOST_LEVELS) for layer in layers]
        if not counts or counts[0] == 0 or sum(counts) > _MOST_LEVELS:
            raise UnscrubbableError("Slidedat.ini does not say how many levels there are")
        made.zooms, made.levels = counts[0], sum(counts)
        for layer in range(_count(tree, "NONHIER_COUNT", _MOST_RECORDS)):
            name = tree.get(f"NONHIER_{layer}_NAME", "")
            for value in range(_count(tree, f"NONHIER_{layer}_COUNT", _MOST_RECORDS)):
                made.records.append(Record(layer, value, self._is_kept(layer, value, name)))
        if len(made.records) > _MOST_RECORDS:
            raise UnscrubbableError("Slidedat.ini names more records than any slide has")

    def _is_kept(self, layer: int, value: int, layer_name: str) -> bool:
        name = self._sections["HIERARCHICAL"].get(f"NONHIER_{layer}_VAL_{value}", "")
        place = f"record {len(self._made.records)}"
        rule = self._job.rules.find("record", general_name(f"{layer_name}/{name}"))
        if rule is None:
            self._made.unknown.append(Unknown("record", f"{layer_name}/{name}", place))
            return False
        if rule.deed is not Deed.KEEP:
            self._note(place, Deed.REMOVE, "record", rule.name)
        return rule.deed is Deed.KEEP

    def _unlinked_sections(self) -> set[str]:
        """Sections of records, and of layers, of which nothing stays."""
        tree = self._sections["HIERARCHICAL"]
        kept_layers = {record.layer for record in self._made.records if record.is_kept}
        gone = {tree.get(f"NONHIER_{record.layer}_VAL_{record.value}_SECTION", "")
                for record in self._made.records if not record.is_kept}  # fmt: skip
        layers = range(_count(tree, "NONHIER_COUNT", _MOST_RECORDS))
        gone |= {tree.get(f"NONHIER_{layer}_SECTION", "") for layer in layers if layer not in kept_layers}
        stays = {tree.get(f"NONHIER_{record.layer}_VAL_{record.value}_SECTION", "")
                 for record in self._made.records if record.is_kept}  # fmt: skip
        stays |= {tree.get(f"NONHIER_{layer}_SECTION", "") for layer in kept_layers}
        return gone - stays - {"GENERAL", "HIERARCHICAL", "DATAFILE"}

    def _renumber(self, result: Sections) -> None:
        """Records that stay get the numbers in their order; files get the names that all slides' files have."""
        tree = result["HIERARCHICAL"]
        records = self._made.records
        layers = sorted({record.layer for record in records if record.is_kept})
        old = {key: value for key, value in tree.items() if key.startswith("NONHIER_")}
        made = {key: value for key, value in tree.items() if key not in old}
        made |= {"INDEXFILE": "Index.dat", "NONHIER_COUNT": str(len(layers))}
        kept = [record for record in records if record.is_kept]
        values = {layer: [record.value for record in kept if record.layer == layer] for layer in layers}
        for key, value in old.items():
            if (match := _RECORD_KEY.fullmatch(key)) is None:
                continue
            layer, number = int(match[1]), match[3]
            if layer not in values:
                continue
            at = layers.index(layer)
            if number is None:
                made[f"NONHIER_{at}_{match[4]}"] = str(len(values[layer])) if match[4] == "COUNT" else value
            elif int(number) in values[layer]:
                ending = f"_{match[4]}" if match[4] else ""
                made[f"NONHIER_{at}_VAL_{values[layer].index(int(number))}{ending}"] = value
        result["HIERARCHICAL"] = made
        count = len(self._made.files)
        result["DATAFILE"] = {
            **{key: value for key, value in result["DATAFILE"].items() if not _FILE_KEY.fullmatch(key)},
            "FILE_COUNT": str(count), **{f"FILE_{number}": data_name(number) for number in range(count)},
        }  # fmt: skip

    # --- One value -----------------------------------------------------------------------------------------------

    def _value(self, section: str, key: str, value: str) -> str | None:
        """What takes the place of a value; None if its key goes."""
        name = f"{general_name(section)}.{general_name(key)}"
        place = f"Slidedat.ini, {name}"
        rule = self._job.rules.find("ini", name)
        if rule is None:
            self._made.unknown.append(Unknown("ini", name, "Slidedat.ini"))
            return None
        if rule.deed is Deed.CLEAN:
            return self._named(rule, section, key, value)
        if name in ("DATAFILE.FILE_#", "HIERARCHICAL.INDEXFILE"):
            return value
        made = self._by_rule(rule, name, value)
        if made == value:
            return value
        if made is None and name in _NEEDED:
            raise UnscrubbableError(f"a value that readers need is not one that can stay ({name})")
        self._note(place, Deed.REMOVE if made is None else rule.deed, "ini", rule.name)
        self._gone(key, value)
        return made

    def _by_rule(self, rule: FileRule, name: str, value: str) -> str | None:
        match rule.deed:
            case Deed.KEEP:
                return value if self._may_stay(name, value) else None
            case Deed.EMPTY:
                return ""
            case Deed.SHIFT:
                return self._moved(value, rule.about or "")
            case Deed.PSEUDONYM:
                codes = {"slide": self._job.code, "case": self._job.case, "patient": self._job.patient}
                return codes[rule.about or "slide"]
            case Deed.UID:
                is_id = value.encode() == self._made.slide_id
                return self._made.new_id.decode() if is_id else self._job.codes.uid(value)
            case _:
                return None

    def _named(self, rule: FileRule, section: str, key: str, value: str) -> str | None:
        """A name of a layer or record; those of records have been looked up with their layer."""
        if rule.about == "record":
            return value
        found = self._job.rules.find(rule.about or "", general_name(value))
        if found is None:
            self._made.unknown.append(Unknown(rule.about or "", value, f"Slidedat.ini, {general_name(section)}.#"))
            return None
        return value if found.deed is Deed.KEEP else None

    def _may_stay(self, name: str, value: str) -> bool:
        """Whether a value that a rule keeps is a number, a version or a word that says nothing of anybody."""
        key = folded(value)
        if any(known in key for known in self._known):
            return False
        if not value or folded(general_name(value)) in self._words:
            return True
        if _NUMBER.fullmatch(value):
            return abs(float(value)) < _LARGEST
        return folded(name) in self._versions and _VERSION.fullmatch(value) is not None

    def _moved(self, value: str, form: str) -> str | None:
        """A day moved, without its time of day."""
        try:
            day = self._job.moved(datetime.strptime(value, form).date())  # noqa: DTZ007 -- scanners' clocks know no zone
        except ValueError:
            return None
        return None if day is None else datetime.combine(day, time()).strftime(form)

    def _gone(self, key: str, value: str) -> None:
        is_number = not any(map(str.isalpha, value)) and sum(map(str.isdigit, value)) < _LEAST_OWN
        if len(value.encode()) < _LEAST_OWN or is_number or folded(general_name(value)) in self._words:
            return
        kind = "device" if "SCANNER" in key else "uid" if key == "SLIDE_ID" else "date" if "DATE" in key else "label"
        self._own.setdefault(value, kind)

    def _note(self, place: str, deed: Deed, table: str, rule: str) -> None:
        self._made.changes.append(Change(place, deed, f"{self._job.format}, {table}, {rule}"))


def data_name(number: int) -> str:
    """Name of a data file of a copy."""
    return f"Data{number:04}.dat"


def _folded_words(words: object) -> frozenset[str]:
    found: Iterable[object] = words if isinstance(words, list | tuple) else ()
    return frozenset(folded(str(word)) for word in found)


def _count(section: Mapping[str, str], key: str, most: int) -> int:
    text = section.get(key, "0")
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or int(text) > most:
        raise UnscrubbableError("Slidedat.ini has a count that makes no sense")
    return int(text)


def _is_plain(name: str) -> bool:
    is_short = 0 < len(name.encode()) <= 255
    return is_short and name not in {".", ".."} and not any(mark in name for mark in "/\\\0")

"""What an HL7 v2 group of segments says of a report: texts by column."""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from pathcurate import mapping as mappings
from pathcurate.delimited import clean
from pathcurate.errors import UsageError
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.parsers.hl7.message import HAN, Group, Message, Segment
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.encodings import decode
from pathcurate.text.heads import fold_head, known_heads
from pathcurate.text.identities import card_number
from pathcurate.text.reportrow import COLUMNS
from pathcurate.text.sectioned import head_section
from pathcurate.text.titles import split_text, title_column
from pathcurate.text.values import parse_number
from pathcurate.text.vocabulary import vocabulary

_PLACE = re.compile(r"(?P<segment>[A-Z][A-Z0-9]{2})-(?P<field>[1-9][0-9]?)(?:\.(?P<component>[1-9][0-9]?))?")
_RESULT = "OBX:"
_TIME = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?(?:\.\d+)?(?:[+-]\d{4})?")
_PERSONS = frozenset({"submitting_doctor", "pathologist", "reviewer"})
_MOMENTS = frozenset({"birth_date", "received_date", "reported_date"})
_CODED = frozenset({"clinical_diagnosis", "specimen_sites", "organ"})
# LOINC codes of a whole report: its sections are told by the heads in its text.
_WHOLE = frozenset({"11526-1", "11529-5", "33717-0", "33746-9", "60567-5", "60568-3"})
# Tables 0123 (OBR-25) and 0271 (TXA-17) to a code of the vocabulary; what stands in neither is left to a mapping.
_STATUS = {
    **dict.fromkeys(("F", "C", "AU", "LA"), "final"),
    **dict.fromkeys(("P", "A", "R", "I", "S", "O", "M", "N", "DI", "DO", "IP", "IN", "PA"), "preliminary"),
    **dict.fromkeys(("X", "D", "W", "CA", "OB"), "withdrawn"),
}
_AMENDED = frozenset({"C", "M"})
_NO_RESULT = frozenset({"D", "W", "X"})
# Available, unavailable: of a document that says nothing of the report.
_SAYS_NOTHING = frozenset({"AV", "UN"})
# Where only the results have a state, the first of these that one of them has is the report's.
_GRAVEST = "CPRISONF"
_DOCUMENT_EVENTS = {"T05": "supplementary", "T06": "supplementary", "T07": "amended", "T08": "amended", "T09": "amended",
                    "T10": "amended"}  # fmt: skip
_CANCELLED = "T11"
# Types of identifier, table 0203; numbers of identity cards are told by their check digits as well.
_CARDS = frozenset({"NI", "NNCHN", "SS", "PPN", "IDCARD", "SFZH", "身份证"})
_PATIENT_TYPES = ("MR", "PI", "PT", "PN", "MRN")
_NOT_THE_PATIENT = frozenset({"VN", "AN", "BC"})
_PICTURE = re.compile(r"(?:JVBERi0|/9j/|iVBORw0KGgo|R0lGOD|SUkqA|TU0AK|UEsDB|0M8R4|Qk[0-9A-Za-z])[A-Za-z0-9+/=\s]{60,}\Z")
_SHORT = 60


@lru_cache(4096)
def _meaning(identifier: tuple[str, ...]) -> tuple[str | None, str]:
    """What OBX-3 says of its result: the column, "" for a whole report, None if it is not known; and what it is called.

    Args:
        identifier: the components of OBX-3, up to the name in the second system of codes.
    """
    code, name, _, other_code, other_name = (*identifier, "", "", "", "", "")[:5]
    title = name or other_name or code
    if {code, other_code} & _WHOLE:
        return "", title
    for text in filter(None, (title, code, other_name, other_code)):
        column = title_column(text, (code, other_code)) or _aliases().get(fold_head(text))
        if column in COLUMNS and column not in {"accession", "text_raw"}:
            return column, title
    return None, title


@cache
def _aliases() -> dict[str, str]:
    return {alias: name for name, aliases in reversed(known_heads()["reports"].items()) for alias in aliases}


@lru_cache(4096)
def _is_frozen(title: str) -> bool:
    return head_section(title) == "frozen"


@dataclass(slots=True)
class Report:
    """What a group says: texts by column, and how many pictures and documents it came with."""

    texts: dict[str, str]
    attachments: int = 0

    @property
    def says_something(self) -> bool:
        """Whether any text, picture or document came with it."""
        return bool(self.attachments) or any(self.texts.get(name) for name in TEXT_COLUMNS)


class Place(NamedTuple):
    """A place in a message: a field, or one of its components."""

    segment: str
    field: int
    component: int | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """What a mapping says of the places of a message.

    Attributes:
        fields: column to the places where it may stand.
        results: code or name of a result (OBX-3), as heads are compared, to the column that it is for.
        translated: columns whose texts the mapping translates.
    """

    fields: Mapping[str, tuple[Place, ...]]
    results: Mapping[str, str]
    translated: frozenset[str]

    def meaning(self, identifier: tuple[str, ...]) -> tuple[str | None, str]:
        """The column of a result and what it is called: as the mapping says, else as :func:`_meaning`."""
        for text in identifier if self.results else ():
            if text and fold_head(text) in self.results:
                return self.results[fold_head(text)], text
        return _meaning(identifier)


def read_places(mapping: mappings.Mapping, source: str) -> Places:
    """The places that a mapping names.

    Raises:
        UsageError: it names something else.
    """
    fields: dict[str, list[Place]] = {}
    results: dict[str, str] = {}
    for name, places in mapping.columns.items():
        for text in places:
            place = _place(text)
            if place is None and text.startswith(_RESULT) and text != _RESULT:
                results[fold_head(text.removeprefix(_RESULT))] = name
            elif place is None:
                raise UsageError(
                    f"the mapping of {source} gives `{text}` for {name}, which is no place of an HL7 message",
                    "Write a field (OBR-3), a component (PID-5.2) or a result (OBX:CODE).",
                )
            else:
                fields.setdefault(name, []).append(place)
    return Places({name: tuple(places) for name, places in fields.items()}, results, frozenset(mapping.values))


def _place(text: str) -> Place | None:
    match = _PLACE.fullmatch(text)
    if match is None:
        return None
    return Place(match["segment"], int(match["field"]), int(match["component"]) if match["component"] else None)


def _shipped(*texts: str) -> tuple[Place, ...]:
    return tuple(place for text in texts if (place := _place(text)))


_SHIPPED = {
    "birth_date": _shipped("PID-7"),
    "sex": _shipped("PID-8.1"),
    "phone": _shipped("PID-13", "PID-13.12", "PID-14"),
    "address": _shipped("PID-11"),
    "clinical_diagnosis": _shipped("DG1-4", "DG1-3", "OBR-31", "OBR-13"),
    "received_date": _shipped("OBR-14", "SPM-18", "OBR-7"),
    "reported_date": _shipped("OBR-22", "TXA-8", "TXA-7", "TXA-4"),
    "submitting_doctor": _shipped("OBR-16", "ORC-12", "PV1-8"),
    "submitting_unit": _shipped("ORC-21", "ORC-17", "PV1-3"),
    "pathologist": _shipped("OBR-32", "TXA-22", "TXA-9", "OBX-16"),
    "reviewer": _shipped("OBR-33", "TXA-10"),
}
_ACCESSION = _shipped("OBR-3", "SPM-2", "ORC-3", "TXA-15", "TXA-12", "OBR-2", "OBR-20", "OBR-18")
# The sender's own numbers count only if they look like a case's, because orders are numbered by other systems.
_CERTAIN = _ACCESSION[:4]


class GroupReader:
    """Makes the texts of a report of a group of segments."""

    def __init__(self, message: Message, group: Group, patterns: AccessionPatterns, places: Places) -> None:
        self._message = message
        self._group = group
        self._patterns = patterns
        self._places = places

    def report(self) -> Report:
        """The texts by column; what a mapping names takes the place of what is shipped."""
        report = Report({})
        self._results(report)
        for name, places in (_SHIPPED | dict(self._places.fields)).items():
            report.texts[name] = self._first_text(name, places) or report.texts.get(name, "")
        mapped = self._places.fields.keys()
        for name, read in (
            ("patient_name", self._patient_name), ("specimen_sites", self._specimens), ("accession", self._accession),
            ("status", self._status), ("report_type", self._type),
        ):  # fmt: skip
            if name not in mapped:
                report.texts[name] = read() or report.texts.get(name, "")
        if not mapped & {"patient_id", "id_number"}:
            report.texts.update(self._patient_numbers())
        return report

    def _segments(self, name: str) -> list[Segment]:
        found = self._group.all(name)
        return found or [segment for segment in self._message.common if segment.name == name]

    def _first_text(self, name: str, places: Sequence[Place]) -> str:
        """The first text that stands in one of some places, as its column takes it."""
        texts = (self._text_at(name, segment, place) for place in places for segment in self._segments(place.segment))
        return next(filter(None, texts), "")

    def _text_at(self, name: str, segment: Segment, place: Place) -> str:
        message, raw = self._message, segment.field(place.field)
        if not raw:
            return ""
        if place.component:
            text = message.part(raw, place.component)
        elif name in _PERSONS:
            return message.person(raw, 2)
        elif name == "patient_name":
            return message.person(raw, 1)
        elif name in _CODED:
            return message.coded(raw)
        else:
            text = message.lines(raw) if name in TEXT_COLUMNS else message.first(raw)
        moment = _TIME.fullmatch(text) if name in _MOMENTS else None
        if moment is None:
            return text
        clock = f"{moment[4]}{moment[5]}{moment[6] or '00'}" if moment[4] else ""
        return f"{moment[1]}{moment[2]}{moment[3]}{clock}"

    def _accession(self) -> str:
        """The number that the site's patterns know; else the one that the performing system gives."""
        candidates = [(place, self._numbers_at(place)) for place in _ACCESSION]
        usable = [(place, text) for place, texts in candidates for text in texts if parse_number(text)]
        known = next((text for _, text in usable if self._patterns.find(text)), "")
        return known or next((text for place, text in usable if place in _CERTAIN), "")

    def _numbers_at(self, place: Place) -> list[str]:
        # A specimen has the sender's number and the laboratory's.
        order = (2, 1) if place.segment == "SPM" else (1,)
        listed = [segment.field(place.field) for segment in self._segments(place.segment)]
        return [self._message.part(text, number) for text in listed for number in order]

    def _patient_numbers(self) -> dict[str, str]:
        """The patient's number, and that of the identity card, by types and check digits in the list of identifiers."""
        message, card = self._message, ""
        found: dict[str, str] = {}
        for segment in self._segments("PID"):
            listed = [text for number in (3, 2, 4) for text in segment.field(number).split(message.signs.repetition) if text]
            for text in listed:
                kind, number = message.part(text, 5).upper(), message.part(text, 1)
                if kind in _CARDS or card_number(number):
                    card = card or number
                elif kind not in _NOT_THE_PATIENT:
                    found.setdefault(kind, number)
            card = card or message.first(segment.field(19))
        chosen = next((found[kind] for kind in _PATIENT_TYPES if found.get(kind)), next(filter(None, found.values()), ""))
        return {"patient_id": chosen, "id_number": card}

    def _patient_name(self) -> str:
        """The name in Chinese characters, if the list of names has one; else the first."""
        names = [
            self._message.person(text, 1)
            for segment in self._segments("PID")
            for number in (5, 9)
            for text in segment.field(number).split(self._message.signs.repetition)
            if text
        ]
        return next((name for name in names if HAN.search(name)), next(filter(None, names), ""))

    def _specimens(self) -> str:
        """Where the specimens were taken, one after the other."""
        message = self._message
        named = [
            next(filter(None, (message.coded(segment.field(number)) for number in (8, 14, 4))), "")
            for segment in self._group.all("SPM")
        ]
        if not any(named):
            named = [self._source(message.parts(segment.field(15))) for segment in self._group.all("OBR")]
        return "；".join(dict.fromkeys(filter(None, named)))

    def _source(self, parts: list[str]) -> str:
        """Where a specimen was taken by OBR-15: its fourth component, else the name of what it is."""
        said = parts[3] if len(parts) > 3 and parts[3] else parts[0]
        return self._message.text(said.split(self._message.signs.subcomponent)[-1])

    def _code(self) -> str:
        """What OBR-25 says of the report, or the state of the document, or of the results."""
        message = self._message
        if "".join(message.header(9)[1:2]) == _CANCELLED:
            return "CA"
        document = [message.first(one.field(number)).upper() for one in self._group.all("TXA") for number in (19, 17)]
        given = [message.first(one.field(25)).upper() for one in self._group.all("OBR")]
        stated = next((code for code in (*given, *document) if code and code not in _SAYS_NOTHING), "")
        results = {message.first(one.field(11)).upper() for one in self._group.all("OBX")} - {""}
        if stated:
            return "C" if stated == "F" and "C" in results else stated
        return (
            next((code for code in _GRAVEST if code in results), "")
            if not results <= _NO_RESULT
            else min(results, default="")
        )

    def _status(self) -> str:
        code = self._code()
        return code if "status" in self._places.translated else _STATUS.get(code, code)

    def _type(self) -> str:
        services = [self._message.parts(segment.field(4)) for segment in self._group.all("OBR")]
        names = " ".join(self._message.text(part) for parts in services for part in parts[:5])
        named = vocabulary("report_types").first(names) or ""
        event = _DOCUMENT_EVENTS.get("".join(self._message.header(9)[1:2]), "")
        return event or ("amended" if named in {"", "primary"} and self._code() in _AMENDED else named)

    def _results(self, report: Report) -> None:
        """Sort the results into columns."""
        message, texts = self._message, report.texts
        found: dict[str, list[tuple[str, str]]] = {}
        results = [one for one in self._group.all("OBX") if message.first(one.field(11)).upper() not in _NO_RESULT]
        often = Counter(one.field(3) for one in results)
        for one in results:
            text, is_attached = self._value(one)
            report.attachments += is_attached
            if not text:
                continue
            identifier = tuple(map(message.text, one.field(3).split(message.signs.component)[:5]))
            column, title = self._places.meaning(identifier)
            if column is None and often[one.field(3)] == 1 < len(often) and len(text) <= _SHORT and "\n" not in text:
                text = f"{title}：{text}"
            elif column == "diagnosis" and _is_frozen(title):
                text = f"{title}：\n{text}"
            if column and column not in TEXT_COLUMNS:
                texts.setdefault(column, text)
            else:
                found.setdefault(column or "", []).append((message.first(one.field(4)), text))
        notes = [("", text) for note in self._group.all("NTE") if (text := message.lines(note.field(3)))]
        if notes:
            found.setdefault("comment", []).extend(notes)
        specimens = self._specimen_ids(results)
        whole = _joined(found.pop("", []), specimens)
        texts.update({column: _joined(parts, specimens) for column, parts in found.items()})
        self._by_heads(whole, texts)

    @staticmethod
    def _by_heads(whole: str, texts: dict[str, str]) -> None:
        before, below = split_text(whole) if whole else ("", {})
        for column, text in {"text_raw": before, **below}.items():
            if text:
                texts[column] = f"{texts[column]}\n{text}" if texts.get(column) else text

    def _specimen_ids(self, results: list[Segment]) -> frozenset[str]:
        """Sub-identifiers that tell specimens apart: letters, or as many numbers as there are specimens, or repeated ones.

        Others number the lines of a text.
        """
        keys = [(one.field(3), self._message.first(one.field(4))) for one in results]
        ids = {key for _, key in keys if key}
        are_letters = all(len(key) == 1 and key.isalpha() for key in ids)
        is_known = are_letters or len(ids) == len(self._group.all("SPM")) or max(Counter(keys).values(), default=0) > 1
        return frozenset(ids) if len(ids) > 1 and is_known else frozenset()

    def _value(self, result: Segment) -> tuple[str, bool]:
        """The text of a result; whether it is a picture, a document or a pointer to one instead."""
        message, kind, raw = self._message, result.field(2).strip().upper(), result.field(5)
        if kind == "RP":
            return "", bool(raw)
        if kind == "ED":
            text = self._plain_text(raw)
            return text or "", text is None
        if kind in {"CE", "CWE", "CNE", "CF"}:
            return "\n".join(filter(None, map(message.coded, raw.split(message.signs.repetition)))), False
        if _PICTURE.match(raw):
            return "", True
        return (message.text(raw.replace(message.signs.component, "")) if kind == "SN" else message.lines(raw)), False

    def _plain_text(self, raw: str) -> str | None:
        """The text that an encapsulated document is, None for any other."""
        parts = (*raw.split(self._message.signs.component), "", "", "", "", "")
        kind, subtype, encoding = (part.strip().upper() for part in parts[1:4])
        if kind not in {"TX", "TEXT", "FT"} and subtype not in {"PLAIN", "TXT", "TEXT/PLAIN"}:
            return None
        if encoding != "BASE64":
            return self._message.text(parts[4])
        try:
            text = decode(base64.b64decode(parts[4], validate=False))
        except binascii.Error:
            return None
        return None if text is None else clean(text.replace("\r\n", "\n"))


def _joined(parts: list[tuple[str, str]], specimens: frozenset[str]) -> str:
    """Texts in their order, those of one specimen together and below its name."""
    if not specimens:
        return "\n".join(text for _, text in parts)
    grouped: dict[str, list[str]] = {}
    for key, text in parts:
        grouped.setdefault(key, []).append(text)
    return "\n".join(
        "\n".join(texts) if not key or len(grouped) == 1 else _named(key, "\n".join(texts)) for key, texts in grouped.items()
    )


def _named(specimen: str, text: str) -> str:
    """A text below the name of its specimen, unless that stands there already."""
    return text if text.startswith(tuple(f"{specimen}{mark}" for mark in ".、:：)")) else f"{specimen}. {text}"

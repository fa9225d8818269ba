"""What a DiagnosticReport says, as texts by the columns of the table ``reports`` (FHIR R4, 10.3)."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final

from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.parsers.fhir.paths import (
    Located,
    Path,
    References,
    codes_of,
    codings_of,
    element_path,
    found_at,
    is_chosen,
    listed,
    person_name,
    plain,
    said,
)
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.encodings import decode
from pathcurate.text.identities import card_number
from pathcurate.text.titles import SPECIMENS, split_text, title_column
from pathcurate.text.values import parse_number
from pathcurate.text.vocabulary import vocabulary

# Categories of HL7 table 0074, and LOINC and SNOMED CT codes of whole pathology reports; others are told by their words.
_PATHOLOGY: Final = frozenset(
    {"PAT", "SP", "CP", "11526-1", "11529-5", "22634-0", "22637-3", "60567-5", "60568-3", "60570-9", "371528001"}
)
_PATHOLOGY_WORDS: Final = re.compile(
    r"(?<!speech )(?<!language )\bpatholog|cytolog|cytopath|histolog|histopath|biops|surgical path"
    r"|病理|细胞学|组织学|活检|冰冻切片",
    re.IGNORECASE,
)
_STATUSES: Final = {
    "registered": "preliminary", "partial": "preliminary", "preliminary": "preliminary", "final": "final",
    "amended": "final", "corrected": "final", "appended": "final", "entered-in-error": "withdrawn", "cancelled": "withdrawn",
}  # fmt: skip
_TYPES: Final = {"amended": "amended", "corrected": "amended", "appended": "supplementary"}
_STRUCK: Final = frozenset({"entered-in-error", "cancelled"})
# HL7 table 0203; FHIR's own codes of Chinese documents begin with NN.
_PATIENT_NUMBERS: Final = ("MR", "MRT", "PI", "PT")
_DOCUMENTS: Final = frozenset({"NI", "NNCHN", "NNxxx", "PPN", "SB", "SS", "PRC", "DL", "TAX", "HC", "JHN", "SN"})
_CODE_SYSTEMS: Final = (
    (re.compile(r"icd-?10", re.IGNORECASE), "icd10"), (re.compile(r"2\.16\.840\.1\.113883\.6\.(?:3|90|4)$"), "icd10"),
    (re.compile(r"icd-?o", re.IGNORECASE), "icdo3"), (re.compile(r"2\.16\.840\.1\.113883\.6\.43(?:\.\d+)?$"), "icdo3"),
)  # fmt: skip
_ZONE: Final = re.compile(r"(?<=T\d\d:\d\d)((?::\d\d)?)(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?$")
_READABLE: Final = frozenset({"text/plain", "text/html", "application/xhtml+xml", ""})
_PLACES: Final = {
    name: tuple(map(element_path, paths))
    for name, paths in {
        "sex": ("subject.gender",),
        "birth_date": ("subject.birthDate",),
        "phone": ("subject.telecom[phone].value",),
        "address": ("subject.address.text", "subject.address.line"),
        SPECIMENS: ("specimen.collection.bodySite", "specimen.type"),
        "received_date": ("specimen.receivedTime", "effectiveDateTime", "effectivePeriod.start"),
        "reported_date": ("issued", "effectiveDateTime", "effectivePeriod.end"),
        "clinical_diagnosis": ("basedOn.reasonCode",),
    }.items()
}
_JOINED: Final = frozenset({*TEXT_COLUMNS, SPECIMENS})
_DATES: Final = frozenset({"received_date", "reported_date", "birth_date"})
_DEEPEST, _MOST_OBSERVATIONS = 8, 5000


@dataclass(slots=True)
class Report:
    """What one report says.

    Attributes:
        texts: text by column.
        attachments: pictures and documents that came with it.
        unread: texts that came in Base64 and could not be decoded.
    """

    texts: dict[str, str] = field(default_factory=dict)
    attachments: int = 0
    unread: int = 0


def is_pathology(report: Mapping[str, Any]) -> bool:
    """Whether category or code of a DiagnosticReport are pathology's."""
    given = [report.get("category"), report.get("code")]
    if any(codes_of(concept) & _PATHOLOGY for concept in given):
        return True
    return any(_PATHOLOGY_WORDS.search(text) for concept in given for text in _all_words(concept))


def _all_words(concept: Any) -> Iterator[str]:
    for one in listed(concept):
        if isinstance(one, dict):
            yield plain(one.get("text"))
            yield from (plain(coding.get("display")) for coding in listed(one.get("coding")) if isinstance(coding, dict))


class ReportReader:
    """Makes texts of the reports of one file.

    Args:
        references: where the resources are that the reports refer to.
        patterns: the site's accession patterns.
        columns: our column to element paths that take the place of the shipped ones.
    """

    def __init__(self, references: References, patterns: AccessionPatterns, columns: Mapping[str, Sequence[str]]) -> None:
        self._references = references
        self._patterns = patterns
        self._mapped = {name: tuple(map(element_path, paths)) for name, paths in columns.items()}

    def read(self, owner: Located) -> Report:
        """What a DiagnosticReport says, with what it refers to."""
        report = Report()
        columns = _Columns()
        self._observations(owner, columns)
        _conclude(owner.resource, columns)
        self._forms(owner, columns, report)
        if not columns.texts:
            columns.add_split(html_text(plain(_member(owner.resource, "text", "div"))))
        texts: dict[str, Callable[[Located], str]] = {
            "accession": self._accession, "patient_id": self._patient_number, "id_number": self._card,
            "patient_name": self._name, "submitting_doctor": self._submitter, "pathologist": self._pathologist,
            "reviewer": self._reviewer, "submitting_unit": self._unit, "report_type": _report_type, "status": _status,
        }  # fmt: skip
        report.texts = {name: find(owner) for name, find in texts.items() if name not in self._mapped}
        report.texts |= {name: self._at(owner, name, paths) for name, paths in {**_PLACES, **self._mapped}.items()}
        for name, text in {**_conclusion_codes(owner.resource), **columns.joined()}.items():
            if name not in self._mapped:
                report.texts[name] = text
        report.attachments += len(listed(owner.resource.get("media")))
        return report

    def _at(self, owner: Located, name: str, paths: Sequence[Path]) -> str:
        """The text at the first path that has one; of texts and specimens, all that stand there."""
        for path in paths:
            texts = []
            for value, _ in found_at(self._references, owner, path):
                text = self._name_or_said(value) if isinstance(value, dict) else plain(value)
                if text and text not in texts:
                    texts.append(_ZONE.sub(r"\1", text) if name in _DATES else text)
            if texts:
                return ("; " if name == SPECIMENS else "\n").join(texts) if name in _JOINED else texts[0]
        return ""

    def _name_or_said(self, value: dict[str, Any]) -> str:
        """A resource by its name, where a path ends at a reference."""
        if "reference" not in value:
            return said(value)
        return plain(value.get("display")) or said(value.get("identifier"))

    def _accession(self, owner: Located) -> str:
        """The number of type ACSN; else the one that the site's patterns know; else the only one."""
        own, ordered, taken = (
            [value for value, _ in found_at(self._references, owner, element_path(path))]
            for path in ("identifier", "basedOn.identifier", "specimen.accessionIdentifier")
        )
        everything = [value for value in (*own, *taken, *ordered) if isinstance(value, dict) and said(value)]
        for value in everything:
            if "ACSN" in codes_of(value.get("type")):
                return said(value)
        for value in everything:
            if self._patterns.find(said(value)):
                return said(value)
        for values in (own, taken, ordered):
            numbers = {said(value) for value in values if isinstance(value, dict)} - {""}
            if len(numbers) == 1 and not _is_address(number := numbers.pop()):
                return number
        return ""

    def _patient_identifiers(self, owner: Located) -> list[dict[str, Any]]:
        found = found_at(self._references, owner, element_path("subject.identifier"))
        return [value for value, _ in found if isinstance(value, dict) and plain(value.get("use")) != "old"]

    def _patient_number(self, owner: Located) -> str:
        numbers = [one for one in self._patient_identifiers(owner) if parse_number(said(one)) and not _is_card(one)]
        for code in _PATIENT_NUMBERS:
            for one in numbers:
                if is_chosen(one, code):
                    return said(one)
        return next((said(one) for one in numbers if not _is_document(one) and not _is_address(said(one))), "")

    def _card(self, owner: Located) -> str:
        identifiers = self._patient_identifiers(owner)
        cards = (number for one in identifiers if (number := card_number(plain(one.get("value")))))
        return next(cards, "") or next((said(one) for one in identifiers if _is_document(one)), "")

    def _name(self, owner: Located) -> str:
        return self._person(owner, "subject.name", "subject")

    def _submitter(self, owner: Located) -> str:
        return self._person(owner, "basedOn.requester.practitioner.name", "basedOn.requester.name", "basedOn.requester")

    def _unit(self, owner: Located) -> str:
        """The institution or ward that asked for the report."""
        for path in ("basedOn.requester.organization.name", "basedOn.requester.name"):
            for value, _ in found_at(self._references, owner, element_path(path)):
                if text := plain(value):
                    return text
        asking = [value for value, _ in found_at(self._references, owner, element_path("basedOn.requester"))]
        units = [one for one in asking if isinstance(one, dict) and self._is_institution(one, owner)]
        return next((text for one in units if (text := plain(one.get("display")))), "")

    def _pathologist(self, owner: Located) -> str:
        return next(iter(self._signers(owner)), "")

    def _reviewer(self, owner: Located) -> str:
        return next(iter(self._signers(owner)[1:]), "")

    def _signers(self, owner: Located) -> list[str]:
        """Who interpreted, then who is responsible for the report; institutions are nobody."""
        names: list[str] = []
        for name in ("resultsInterpreter", "performer"):
            for person in listed(owner.resource.get(name)):
                single = Located({**owner.resource, name: person}, owner.full_url)
                found = self._person(single, f"{name}.practitioner.name", f"{name}.name", name)
                names += [found] if found and found not in names else []
        return names

    def _person(self, owner: Located, *paths: str) -> str:
        """The name of whom a path leads to, or of the reference itself."""
        for path in paths:
            values = [value for value, _ in found_at(self._references, owner, element_path(path))]
            names = [value for value in values if isinstance(value, dict) and "reference" not in value]
            people = [value for value in values if isinstance(value, dict) and not self._is_institution(value, owner)]
            shown = [plain(value.get("display")) for value in people]
            text = person_name(names) if path.endswith("name") else next(filter(None, shown), "")
            if text:
                return text
        return ""

    def _is_institution(self, reference: dict[str, Any], owner: Located) -> bool:
        target = self._references.follow(reference, owner)
        told = target.resource if target else reference
        address = plain(reference.get("reference"))
        return "Organization" in {plain(told.get("resourceType")), plain(told.get("type")), *address.split("/")}

    def _observations(self, owner: Located, columns: "_Columns") -> None:
        """Results and the members of panels, in their order; a panel that is its own member ends at the limits."""
        waiting = [(one, owner, None, 0) for one in reversed(listed(owner.resource.get("result")))]
        pending: list[tuple[Any, Located, str | None, int]] = [*waiting]
        left = _MOST_OBSERVATIONS
        while pending and left:
            left -= 1
            reference, of, inherited, depth = pending.pop()
            target = self._references.follow(reference, of) if isinstance(reference, dict) else None
            if target is None or plain(target.resource.get("status")) in _STRUCK:
                continue
            column = _add_observation(target.resource, columns, inherited)
            members = reversed(listed(target.resource.get("hasMember"))) if depth < _DEEPEST else ()
            pending += [(one, target, column, depth + 1) for one in members]

    def _forms(self, owner: Located, columns: "_Columns", report: Report) -> None:
        for form in listed(owner.resource.get("presentedForm")):
            if not isinstance(form, dict):
                continue
            kind, _, parameters = plain(form.get("contentType")).lower().partition(";")
            data = _from_base64(form.get("data")) if kind.strip() in _READABLE else None
            if data is None or not kind.strip():
                report.attachments += 1
                continue
            text = decode(data, _charset(parameters))
            if text is None or data.startswith(b"%PDF"):
                report.unread += 1
            else:
                columns.add_split(html_text(text) if "html" in kind else plain(text))


@dataclass(slots=True)
class _Columns:
    """Texts of a report by column, each text once."""

    texts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, column: str, text: str) -> None:
        # A text that the whole report repeats is no other text.
        places = list(self.texts.values()) if column == "text_raw" else [self.texts.get(column, [])]
        if text and not any(text in known for texts in places for known in texts):
            self.texts.setdefault(column, []).append(text)

    def add_split(self, text: str, before: str = "") -> None:
        """A text with headings, whose parts fill columns that are empty; ``before`` is the column of what has none."""
        start, parts = split_text(text)
        empty = {name: part for name, part in parts.items() if name not in self.texts}
        if before or not parts:
            self.add(before or "text_raw", start)
        for name, part in empty.items():
            self.add(name, part)

    def joined(self) -> dict[str, str]:
        return {name: "\n".join(texts) for name, texts in self.texts.items()}


def _add_observation(resource: dict[str, Any], columns: _Columns, inherited: str | None) -> str | None:
    """Put what an observation says where its code belongs; returns that column, for the members of a panel."""
    title = said(resource.get("code"))
    own = title_column(title, codes_of(resource.get("code")))
    column = own or inherited
    text = _value(resource)
    if text and own:
        columns.add(own, text)
    elif text and column is None and split_text(text)[1]:
        columns.add_split(text)
    elif text:
        columns.add(column or "text_raw", f"{title}: {text}" if title else text)
    for part in listed(resource.get("component")):
        if isinstance(part, dict) and (said_of := _value(part)):
            part_title = said(part.get("code"))
            part_column = title_column(part_title, codes_of(part.get("code")))
            line = said_of if part_column else f"{part_title}: {said_of}".removeprefix(": ")
            columns.add(part_column or column or "text_raw", line)
    return column


def _value(observation: Mapping[str, Any]) -> str:
    """The value of an observation or component; where it has none, its interpretation; and its notes."""
    values = [said(value) for name, value in observation.items() if name.startswith("value")]
    readings = [said(one) for one in listed(observation.get("interpretation"))]
    told = [said(note) for note in listed(observation.get("note"))]
    return "\n".join(text for text in [*(values if any(values) else readings[:1]), *told] if text)


def _conclude(resource: Mapping[str, Any], columns: _Columns) -> None:
    conclusion = plain(resource.get("conclusion"))
    if conclusion:
        columns.add_split(conclusion, "diagnosis")
    elif "diagnosis" not in columns.texts:
        for one in listed(resource.get("conclusionCode")):
            columns.add("diagnosis", said(one))


def _conclusion_codes(resource: Mapping[str, Any]) -> dict[str, str]:
    """Codes of the conclusion by column; where it has several of one kind, which one is the report's is not known."""
    found: dict[str, set[str]] = {}
    for system, code in codings_of(resource.get("conclusionCode")):
        kind = next((kind for pattern, kind in _CODE_SYSTEMS if pattern.search(system)), None)
        if kind == "icdo3":
            kind = "icdo3_morphology" if "/" in code else "icdo3_topography"
        if kind:
            bare = code.upper().removeprefix("M-").removeprefix("M") if kind == "icdo3_morphology" else code
            found.setdefault(kind, set()).add(bare)
    return {kind: codes.pop() for kind, codes in found.items() if len(codes) == 1}


def _report_type(owner: Located) -> str:
    status = plain(owner.resource.get("status"))
    if status in _TYPES:
        return _TYPES[status]
    words = [*_all_words(owner.resource.get("code")), *_all_words(owner.resource.get("category"))]
    named = next((kind for text in words if (kind := vocabulary("report_types").first(text))), "")
    is_cytology = "CP" in codes_of(owner.resource.get("category"))
    return named or ("cytology" if is_cytology else "")


def _status(owner: Located) -> str:
    status = plain(owner.resource.get("status"))
    return _STATUSES.get(status, status)


def _is_card(identifier: Mapping[str, Any]) -> bool:
    return card_number(plain(identifier.get("value"))) is not None


def _is_document(identifier: Mapping[str, Any]) -> bool:
    return bool(codes_of(identifier.get("type")) & _DOCUMENTS)


def _is_address(number: str) -> bool:
    return number.lower().startswith(("urn:", "http:", "https:"))


def _member(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _from_base64(value: Any) -> bytes | None:
    """Bytes of Base64; empty for what is none, and None where there is no text at all."""
    if not isinstance(value, str) or not value:
        return None
    try:
        return base64.b64decode(re.sub(r"\s+", "", value), validate=True)
    except (binascii.Error, ValueError):
        return b"%PDF"


def _charset(parameters: str) -> str | None:
    name = parameters.partition("charset=")[2].strip(' "').partition(";")[0]
    try:
        "".encode(name or "utf-8")
    except LookupError:
        return None
    return name or None


class _Text(HTMLParser):
    """The text of a page, a line for each paragraph, list item and row of a table."""

    _LINES: Final = frozenset(
        {"br", "p", "div", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "caption", "dt", "dd", "pre"}
    )
    _UNSEEN: Final = frozenset({"script", "style", "head", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._UNSEEN:
            self._unseen += 1
        elif tag in self._LINES:
            self.pieces.append("\n")
            # A page whose head is never closed has a body all the same.
            self._unseen = 0

    def handle_endtag(self, tag: str) -> None:
        if tag in self._UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in self._LINES:
            self.pieces.append("\n")
        elif tag in {"td", "th"}:
            self.pieces.append("\t")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(re.sub(r"[ \t\r\n\xa0]+", " ", data))


def html_text(page: str) -> str:
    """The text of an HTML page or a narrative (``div``); line ends of the page are spaces, as in HTML."""
    reader = _Text()
    reader.feed(page)
    reader.close()
    lines = (line.strip() for line in "".join(reader.pieces).split("\n"))
    return plain("\n".join(line for line in lines if line))

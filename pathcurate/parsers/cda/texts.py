"""What a clinical document says, as texts by the columns of the table ``reports``: by element path and by value.

Hospitals write the same template with object identifiers of their own, so these are believed only where they rule
something out (WS/T 500.6, 检查报告; HL7 CDA R2).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pathcurate.delimited import clean
from pathcurate.errors import UsageError
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.parsers.cda.document import Element, narrative
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.heads import fold_head, known_heads
from pathcurate.text.identities import card_number
from pathcurate.text.reportrow import is_understood
from pathcurate.text.titles import SPECIMENS, split_text, title_column
from pathcurate.text.values import parse_number
from pathcurate.text.vocabulary import vocabulary

_PATHOLOGY: Final = re.compile(r"病理|细胞学|组织学|patholog|cytolog|histolog", re.IGNORECASE)
_PATHOLOGY_COLUMNS: Final = frozenset({"gross", "microscopy", "ihc", "molecular"})
# Object identifiers of the ministry's template: outpatient, inpatient, report, request, specimen.
_MINISTRY: Final = "2.16.156.10011.1."
_OUTPATIENT, _INPATIENT, _REPORT_NUMBER = f"{_MINISTRY}11", f"{_MINISTRY}12", f"{_MINISTRY}32"
_NO_PATIENT_NUMBER: Final = frozenset({_REPORT_NUMBER, f"{_MINISTRY}24", f"{_MINISTRY}14", f"{_MINISTRY}3"})
_NO_ACCESSION: Final = frozenset({_OUTPATIENT, _INPATIENT, f"{_MINISTRY}3"})
_NUMBER_PLACES: Final = (
    ("recordTarget", "patientRole", "id"),
    ("inFulfillmentOf", "order", "id"),
    ("documentationOf", "serviceEvent", "id"),
    ("componentOf", "encompassingEncounter", "id"),
    ("setId",),
    ("id",),
)
_TIME: Final = re.compile(r"(\d{8})(\d{2})?(\d{2})?(\d{2})?(?:\.\d+)?(?:[+-]\d{4}|Z)?")
_ISO_ZONE: Final = re.compile(r"(?<=T\d\d:\d\d)((?::\d\d)?)(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?$")
_STEP: Final = re.compile(r"([A-Za-z]\w*)(?:\[([^\[\]]+)\])?(?:/|$)")
# Names of values in WS 445.4: what was seen, and what it was taken for.
_TITLES: Final = {
    "客观所见": "microscopy",
    "检查所见": "microscopy",
    "主观提示": "diagnosis",
    "检查结论": "diagnosis",
    "报告备注": "comment",
}
_LABELLED: Final = (
    "accession", "patient_id", "specimen_sites", "received_date", "reported_date", "clinical_diagnosis", "submitting_unit",
    "submitting_doctor", "pathologist", "reviewer", "icd10", "icdo3_topography", "icdo3_morphology",
)  # fmt: skip
_DATES: Final = frozenset({"birth_date", "received_date", "reported_date"})
_JOINED: Final = frozenset({*TEXT_COLUMNS, SPECIMENS})

Path = tuple[tuple[str, str], ...]


def element_path(text: str) -> Path:
    """A path as a mapping writes it: ``recordTarget/patientRole/id[1.2.3]``, ``section[病理诊断]/text``.

    Raises:
        UsageError: it is none.
    """
    steps: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            raise UsageError(
                f"`{text}` is no element path of CDA", "Write it like recordTarget/patientRole/id or section[病理诊断]/text."
            )
        steps.append((step[1], step[2] or ""))
        position = step.end()
    return tuple(steps)


def _at_path(root: Element, path: Path) -> Iterator[Element]:
    """The elements at a path, which may begin with any element of the document."""
    if path:
        yield from (end for start in root.walk() if _fits(start, path[0]) for end in _below(start, path[1:]))


def _below(element: Element, path: Path) -> Iterator[Element]:
    if not path:
        yield element
        return
    for child in element.children(path[0][0]):
        if _fits(child, path[0]):
            yield from _below(child, path[1:])


def _fits(element: Element, step: tuple[str, str]) -> bool:
    """Whether an element has the name of a step, and what it is chosen by: a root, code, name or title."""
    name, chosen = step
    if element.name != name:
        return False
    named = [element, *element.children("code"), *element.children("templateId")]
    told = {one.get(key) for one in named for key in ("root", "code", "displayName", "codeSystem", "typeCode", "classCode")}
    return not chosen or chosen in told or any(narrative(title) == chosen for title in element.children("title"))


class DocumentReader:
    """Makes texts of clinical documents.

    Args:
        patterns: the site's accession patterns.
        columns: our column to element paths that take the place of the shipped ones.
    """

    def __init__(self, patterns: AccessionPatterns, columns: Mapping[str, Sequence[str]]) -> None:
        self._patterns = patterns
        self._mapped = {name: tuple(map(element_path, paths)) for name, paths in columns.items()}

    def read(self, root: Element) -> dict[str, str] | None:
        """Text by column; None for a document that is no report of pathology."""
        texts, has_sections = _body(root)
        titles = [*map(narrative, root.children("title")), *(code.get("displayName") for code in root.children("code"))]
        if not has_sections and not any(_PATHOLOGY.search(title) for title in titles):
            return None
        labelled = _labelled(root)
        texts |= {name: text for name, text in labelled.items() if name not in texts and name != "patient_id"}
        accession = labelled.get("accession") or self._accession(root)
        texts |= {
            "accession": accession,
            "patient_id": labelled.get("patient_id") or _patient_number(root, accession),
            "report_type": _report_type(root, titles),
            **_person(root),
            **{name: text for name, text in _people(root).items() if name not in texts},
            "reported_date": texts.get("reported_date") or _reported(root),
        }
        mapped = {name: self._mapped_text(root, name, paths) for name, paths in self._mapped.items()}
        return {name: _dated(text) if name in _DATES else clean(text) for name, text in {**texts, **mapped}.items()}

    def _mapped_text(self, root: Element, name: str, paths: Sequence[Path]) -> str:
        for path in paths:
            found = list(dict.fromkeys(text for element in _at_path(root, path) if (text := _said(element))))
            if found:
                return "\n".join(found) if name in _JOINED else found[0]
        return ""

    def _accession(self, root: Element) -> str:
        """Of the numbers of patient, order, event and document: one that the site's patterns know, else the report's.

        Where several are known, the one that stands twice.
        """
        identifiers = [one for path in _NUMBER_PLACES for one in root.every(*path) if _number(one)]
        fit = [one for one in identifiers if one.get("root") not in _NO_ACCESSION and not card_number(_number(one))]
        known = [_number(one) for one in fit if self._patterns.find(_number(one))]
        reports = [_number(one) for one in fit if one.get("root") == _REPORT_NUMBER]
        if not known:
            return next(iter(reports), "")
        counts = Counter(map(self._patterns.normalise, known))
        # A number that stands twice before one that stands once; of equals, the report's own, then the first.
        return max(known, key=lambda number: (counts[self._patterns.normalise(number)], number in reports))


def _said(element: Element) -> str:
    """What an element says, by its kind: an identifier, a value of one of CDA's data types, or text."""
    if element.get("nullFlavor") or element.is_picture:
        return ""
    if element.get("extension"):
        return element.get("extension")
    value = element.get("value")
    if value:
        unit = element.get("unit")
        telephone = value.partition(":")[2] if element.name == "telecom" else ""
        return telephone or f"{value}{unit if unit not in {'', '1'} else ''}"
    edges = [child.get("value") for name in ("low", "center", "high") for child in element.children(name)]
    if any(edges):
        return next(filter(None, edges))
    original = " ".join(filter(None, map(narrative, element.children("originalText"))))
    return original or narrative(element) or element.get("displayName") or element.get("code")


def _number(identifier: Element) -> str:
    return "" if identifier.get("nullFlavor") else parse_number(clean(identifier.get("extension"))) or ""


def _person(root: Element) -> dict[str, str]:
    role = next(root.every("recordTarget", "patientRole"), None)
    patient = next(role.every("patient"), None) if role else None
    if role is None or patient is None:
        return {}
    cards = [*patient.every("id"), *role.every("id")]
    numbers = [number for one in cards if (number := card_number(_number(one)))]
    documents = [_number(one) for one in patient.every("id")]
    genders = [
        text for one in patient.every("administrativeGenderCode") for text in (one.get("code"), one.get("displayName"))
    ]
    # HL7: undifferentiated.
    genders = ["other" if text.upper() == "UN" else text for text in genders if text]
    return {
        "id_number": next(filter(None, (*numbers, *documents)), ""),
        "patient_name": _name(patient),
        "sex": next((text for text in genders if is_understood("sex", text)), next(iter(genders), "")),
        "birth_date": _first(patient, "birthTime"),
        "age": _first(patient, "age"),
        "phone": next((text for one in role.every("telecom") if (text := _said(one))), ""),
        "address": next((text for one in role.every("addr") if (text := _said(one))), ""),
    }


def _first(element: Element, *path: str) -> str:
    return next((text for one in element.every(*path) if (text := _said(one))), "")


def _name(person: Element) -> str:
    """The name of a person, of parts in Han characters without blanks between them."""
    for name in person.children("name"):
        parts = [narrative(part) for part in name.children() if part.name in {"family", "given"}]
        text = narrative(name) if not parts else ("" if re.search("[㐀-鿿]", "".join(parts)) else " ").join(parts)
        if text and not name.get("nullFlavor"):
            return text
    return ""


def _patient_number(root: Element, accession: str) -> str:
    """Inpatient before outpatient number; else the first of the patient's numbers that is no other's."""
    numbers = [(one.get("root"), _number(one)) for one in root.every("recordTarget", "patientRole", "id")]
    free = [(oid, number) for oid, number in numbers if number and number != accession and not card_number(number)]
    for wanted in (_INPATIENT, _OUTPATIENT):
        for oid, number in free:
            if oid == wanted:
                return number
    return next((number for oid, number in free if oid not in _NO_PATIENT_NUMBER), "")


def _people(root: Element) -> dict[str, str]:
    """Who wrote, signed and sent; by their title where the document gives one, else by their part in it."""
    found: dict[str, str] = {}
    names = [
        (_title_of(entity), name)
        for role, inner in (("author", "assignedAuthor"), ("authenticator", "assignedEntity"))
        for entity in root.every(role, inner)
        for person in entity.every("assignedPerson")
        if (name := _name(person))
    ]
    legal = [_name(person) for person in root.every("legalAuthenticator", "assignedEntity", "assignedPerson")]
    titled = [(title, name) for title, name in names if title in {"pathologist", "reviewer"}]
    for title, name in titled:
        found.setdefault(title, name)
    plain = [name for title, name in names if not title]
    found.setdefault("pathologist", next(iter([*plain, *legal]), ""))
    others = [name for name in (*legal, *plain) if name and name != found["pathologist"]]
    found.setdefault("reviewer", next(iter(others), ""))
    units = [
        *root.every("participant", "associatedEntity", "scopingOrganization", "name"),
        *root.every(
            "componentOf", "encompassingEncounter", "location", "healthCareFacility", "serviceProviderOrganization", "name"
        ),
        *root.every("custodian", "assignedCustodian", "representedCustodianOrganization", "name"),
    ]
    found["submitting_unit"] = next((text for one in units if (text := _said(one))), "")
    asking = root.every("participant", "associatedEntity", "associatedPerson")
    found["submitting_doctor"] = next((name for person in asking if (name := _name(person))), "")
    return found


def _title_of(entity: Element) -> str:
    """The column that a signer's title names; ``other`` for a title that names none, as a technician's."""
    titles = [code.get("displayName") for code in entity.children("code")]
    titles = [title for title in titles if title]
    return next((name for title in titles if (name := _column_of_head(title))), "other" if titles else "")


def _column_of_head(head: str) -> str:
    folded = fold_head(head)
    return next((name for name in _LABELLED if folded in known_heads()["reports"].get(name, ())), "")


def _reported(root: Element) -> str:
    """When it was signed, else when the document was made, else when it was written."""
    times = [*root.every("legalAuthenticator", "time"), *root.every("effectiveTime"), *root.every("author", "time")]
    return next((text for one in times if (text := _said(one))), "")


def _report_type(root: Element, titles: Sequence[str]) -> str:
    related = {one.get("typeCode").upper() for one in root.every("relatedDocument")}
    if "RPLC" in related:
        return "amended"
    named = next((kind for title in titles if (kind := vocabulary("report_types").first(title))), "")
    return "supplementary" if "APND" in related and named in {"", "primary"} else named


def _dated(text: str) -> str:
    """A time as CDA writes it (20230314080500+0800) without its zone, for what the clock on the wall said."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return _ISO_ZONE.sub(r"\1", text.strip())
    day, hour, minute, second = found.groups()
    return f"{day}{hour}{minute or '00'}{second or '00'}" if hour else day


def _labelled(root: Element) -> dict[str, str]:
    """Values of observations and identifiers that are called like a column (检查号, 接收日期)."""
    found: dict[str, str] = {}
    for element in root.walk():
        if element.name == "id" and _number(element):
            name = _column_of_head(element.get("assigningAuthorityName"))
            if name in {"accession", "patient_id"}:
                found.setdefault(name, _number(element))
        for code in element.children("code") if element.name in {"observation", "specimenRole", "procedure"} else ():
            name = _column_of_head(code.get("displayName"))
            text = _first(element, "value") if name else ""
            if text and (name != "accession" or parse_number(text)):
                found.setdefault(name, text)
    return found


def _body(root: Element) -> tuple[dict[str, str], bool]:
    """Texts by column, and whether there are sections that only a report of pathology has."""
    found: dict[str, list[str]] = {}
    # What a section without a title of its own says is only a text; each is told once.
    loose: list[str] = []
    for section in (element for element in root.walk() if element.name == "section"):
        title = " ".join(filter(None, map(narrative, section.children("title"))))
        column = _section_column(title, section)
        values = list(_values(section))
        for name, text in values:
            _add(found, name, text)
        for text in filter(None, map(narrative, section.children("text"))):
            parts = split_text(text)[1]
            if parts:
                for name, part in parts.items():
                    _add(found, name, part)
            elif column:
                _add(found, column, text)
            elif not any(value in text for _, value in values):
                loose.append(text)
    for body in root.every("component", "nonXMLBody", "text"):
        parts = split_text(text)[1] if (text := narrative(body)) else {}
        for name, part in parts.items():
            _add(found, name, part)
        loose += [text] if text and not parts else []
    if loose:
        found["text_raw"] = list(dict.fromkeys(loose))
    texts = {name: "\n".join(parts) for name, parts in found.items()}
    has_sections = bool(_PATHOLOGY_COLUMNS & texts.keys() - _from_plain_findings(root, texts))
    return {**texts, **_codes(root)}, has_sections


def _from_plain_findings(root: Element, texts: Mapping[str, str]) -> set[str]:
    """``microscopy`` where it is only what any examination calls its findings."""
    places = [element for element in root.walk() if element.name in {"observation", "section"}]
    titles = {code.get("displayName") for place in places for code in place.children("code")}
    titles |= {narrative(title) for place in places for title in place.children("title")}
    is_plain = any(word in title for title in titles for word in _TITLES)
    return {"microscopy"} if is_plain and "microscopy" in texts else set()


def _add(found: dict[str, list[str]], column: str, text: str) -> None:
    # A section tells its entries again as text.
    if not any(text in known for known in found.get(column, ())):
        found.setdefault(column, []).append(text)


def _section_column(title: str, section: Element) -> str | None:
    codes = {code.get("code") for code in section.children("code")}
    names = [title, *(code.get("displayName") for code in section.children("code"))]
    coded = next((column for name in names if (column := title_column(name, codes))), None)
    return coded or next((column for name in names for word, column in _TITLES.items() if word in name), None)


def _values(section: Element) -> Iterator[tuple[str, str]]:
    """Column and text of the observations of a section, those of panels too, but not of sections inside it."""
    pending = list(reversed(list(section.children())))
    while pending:
        element = pending.pop()
        if element.name == "section" or (element.name == "component" and any(element.children("section"))):
            continue
        pending += reversed(list(element.children()))
        if element.name != "observation":
            continue
        names = [code.get("displayName") for code in element.children("code")]
        codes = {code.get("code") for code in element.children("code")}
        column = next((found for name in names if (found := title_column(name, codes))), None)
        column = column or next((found for name in names for word, found in _TITLES.items() if word in name), None)
        text = "\n".join(filter(None, map(_said, element.children("value"))))
        if column and text:
            parts = split_text(text)[1] if column != "specimen_sites" else {}
            yield from parts.items() if parts else [(column, text)]


def _codes(root: Element) -> dict[str, str]:
    """Codes of the diagnosis, from sections and observations that are called so; several of one kind are none's."""
    found: dict[str, set[str]] = {}
    for element in root.walk():
        if element.name not in {"observation", "section"}:
            continue
        names = [code.get("displayName") for code in element.children("code")]
        names += map(narrative, element.children("title"))
        if not any("病理诊断" in name or title_column(name) == "diagnosis" for name in names):
            continue
        for value in element.walk():
            if value.name != "value" or not value.get("code"):
                continue
            code = value.get("code")
            is_morphology = re.fullmatch(r"M?-?\d{4}/\d", code, re.IGNORECASE) is not None
            is_oncology = "icd-o" in value.get("codeSystemName").lower()
            name = "icdo3_morphology" if is_morphology else "icdo3_topography" if is_oncology else "icd10"
            if name != "icd10" or re.fullmatch(r"[A-TV-Z]\d[0-9A-Z].*", code):
                found.setdefault(name, set()).add(
                    code.upper().removeprefix("M-").removeprefix("M") if is_morphology else code
                )
    return {name: codes.pop() for name, codes in found.items() if len(codes) == 1}

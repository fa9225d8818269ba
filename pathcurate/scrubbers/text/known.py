"""A report's own identifying values in its texts, in every spelling that people write them in."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.hancontexts import find_listed
from pathcurate.scrubbers.text.knownnames import KnownName, find_name, names_in, outermost
from pathcurate.scrubbers.text.knownnumbers import find_ends, find_number, id_forms, number_forms, phone_forms
from pathcurate.scrubbers.text.namewords import is_han
from pathcurate.scrubbers.text.spelling import HAN_GAPS, Spelling, compacted, spelling
from pathcurate.scrubbers.text.values import KnownValues

_GENERIC = re.compile(
    "(?:科|科室|门诊|病区|病房|室|部|组|本院|我院|外院|院内|院外|住院|体检|其他|其它|不详|无|医院|人民医院|中医院|诊所|卫生院|体检中心|内镜中心|手术室)"
)
_HOSPITAL = re.compile("医院|医学中心|卫生院|卫生所|诊所|保健院|院$|hospital|clinic|medical cent|laborator", re.IGNORECASE)
_LEAST_UNIT, _LEAST_PART, _LEAST_LATIN_PART = 3, 4, 6
_PLACE = re.compile(
    "(?:.{2,}?(?:自治区|特别行政区|自治州|自治县|街道|小区|新村|大厦|公寓|单元|[省市区县旗镇乡村路街巷弄里号栋幢室组楼])|.+)",
    re.DOTALL,
)
_COMMAS = re.compile(r"\s*[,;，；|\n]\s*")
_BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]|[()（）\[\]【】]")
_MOST_PARTS = 16
_LINE_GAPS = HAN_GAPS | frozenset("()-,")
_LOGIN_DIGITS = re.compile("[0-9]{1,4}(?![0-9A-Za-z])")


class KnownSearch:
    """Finds the values of one report. It is made once a report, and searches all its texts.

    Args:
        known: the values.
    """

    def __init__(self, known: KnownValues) -> None:
        names = [KnownName(name, Kind.PATIENT, "known.name") for cell in known.names for name in names_in(cell)]
        taken = {name.value for name in names}
        staff = dict.fromkeys(name for cell in known.staff for name in names_in(cell))
        names += [KnownName(name, Kind.STAFF, "known.staff") for name in staff if name not in taken]
        self._names = tuple(dict.fromkeys(names))
        ids = [form for value in known.ids for form in id_forms(value)]
        phones = [form for value in known.phones for form in phone_forms(value)]
        numbers = [form for value in known.numbers for form in number_forms(value)]
        self._numbers = tuple({form.form: form for form in (*numbers, *phones, *ids)}.values())
        self._units = tuple(dict.fromkeys(_units(known.units)))
        self._addresses = tuple(dict.fromkeys(_addresses(known.addresses)))

    def __repr__(self) -> str:
        return "KnownSearch()"

    @property
    def names(self) -> frozenset[str]:
        """The names that are searched for, folded: no other search needs to look for them again."""
        return frozenset(name.value for name in self._names)

    def find(self, normal: str) -> list[Removal]:
        """The places of all values in a text, from left to right, none inside another.

        Args:
            normal: the text in half width, its case kept, see :func:`pathcurate.text.folding.half_width`.
        """
        text = spelling(normal)
        found = [_with_digits(normal, removal) for name in self._names for removal in find_name(text, name)]
        found += list(find_listed(normal, found))
        found += [removal for number in self._numbers for removal in find_number(text, number)]
        if self._numbers:
            found += find_ends(normal, self._numbers)
        for unit, kind in self._units:
            places = text.find(unit, _LINE_GAPS)
            found += [Removal(*span, kind, "known.unit") for span in places if _stands(normal, *span)]
        for address in self._addresses:
            found += [Removal(*span, Kind.ADDRESS, "known.address") for span in _find_address(text, address)]
        return outermost(found)


def _with_digits(normal: str, name: Removal) -> Removal:
    """A name in letters with the digits that its bearer logs in with: wangsy02."""
    digits = _LOGIN_DIGITS.match(normal, name.end) if normal[name.end - 1].isascii() else None
    return replace(name, end=digits.end()) if digits else name


def _units(values: tuple[str, ...]) -> Iterator[tuple[str, Kind]]:
    for value in values:
        folded = unicodedata.normalize("NFKC", value).strip()
        for one in (folded, _BRACKETS.sub(" ", folded)):
            form = compacted(one)
            if len(form) >= _LEAST_UNIT and not _GENERIC.fullmatch(form) and not form.endswith(("科", "病区", "门诊")):
                yield form, Kind.HOSPITAL if _HOSPITAL.search(form) else Kind.UNIT


def _addresses(values: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Addresses as their parts, in compact form, from the province to the door."""
    for value in values:
        folded = unicodedata.normalize("NFKC", value).strip()
        if is_han(folded):
            parts = tuple(_PLACE.findall(compacted(folded)))
            if parts:
                yield parts[:_MOST_PARTS]
        else:
            for part in (folded, *_COMMAS.split(folded)):
                form = compacted(part)
                if len(form) >= _LEAST_LATIN_PART and (" " in part or part == folded) and not form.isdigit():
                    yield (form,)


def _find_address(text: Spelling, parts: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Every run of neighbouring parts of an address that is long enough to say where somebody lives."""
    for first, part in enumerate(parts):
        place = text.compact.find(part)
        while place >= 0:
            end = place + len(part)
            for further in parts[first + 1 :]:
                if not text.compact.startswith(further, end):
                    break
                end += len(further)
            span = text.span(place, end, _LINE_GAPS)
            if end - place >= _LEAST_PART and span is not None and _stands(text.normal, *span):
                yield span
            place = text.compact.find(part, place + 1)


def _stands(normal: str, start: int, end: int) -> bool:
    """Whether no number or Latin word that a place begins or ends with goes on beyond it."""
    head, before = normal[start], normal[start - 1 : start] if start else ""
    tail, behind = normal[end - 1], normal[end : end + 1]
    return not any(
        one.isascii() and other.isascii() and ((one.isdigit() and other.isdigit()) or (one.isalpha() and other.isalpha()))
        for one, other in ((head, before), (tail, behind))
    )

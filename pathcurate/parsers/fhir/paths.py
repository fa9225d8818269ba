"""What stands at an element path of a resource, through references, as text."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pathcurate.delimited import clean
from pathcurate.errors import UsageError
from pathcurate.parsers.fhir.stream import Entry

REFERRED: Final = frozenset(
    {"Patient", "Observation", "Specimen", "ServiceRequest", "Practitioner", "PractitionerRole", "Organization"}
)
"""Types of resources that a report's row is made of."""
_STEP: Final = re.compile(r"([A-Za-z]\w*)(?:\[([^\[\]]+)\])?(?:\.|$)")
_HISTORY: Final = re.compile(r"/_history/.*|#.*", re.DOTALL)
_TAIL: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})$")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HAN: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_NAMES_IN_USE: Final = ("official", "usual", "", "temp", "nickname", "anonymous")
_CACHED: Final = 512
_MOST_STEPS: Final = 12

Path = tuple[tuple[str, str], ...]
"""Element names, each with what it is chosen by (empty for any): ``identifier[ACSN].value``."""


@lru_cache(maxsize=256)
def element_path(text: str) -> Path:
    """A path as a mapping writes it: ``basedOn.identifier``, ``identifier[urn:oid:1.2.3]``, ``extension[URL].valueString``.

    Raises:
        UsageError: it is none.
    """
    steps: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None or len(steps) == _MOST_STEPS:
            raise UsageError(
                f"`{text}` is no element path of FHIR", "Write it like identifier, basedOn.identifier or identifier[SYSTEM]."
            )
        steps.append((step[1], step[2] or ""))
        position = step.end()
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class Located:
    """A resource, and the address of its bundle entry, from which its references lead on."""

    resource: dict[str, Any]
    full_url: str = ""


class References:
    """Where the resources of a file stand, to be read (by offset and length) when a report refers to them.

    Its memory is about 300 bytes for each resource of :data:`REFERRED`; the resources themselves stay in the file, but
    for the last few.
    """

    def __init__(self, read: Callable[[int, int], dict[str, Any]]) -> None:
        self.open: set[str] = set()
        self._read_at = read
        # None: two different resources have this address, so it leads to neither.
        self._places: dict[str, tuple[int, int, int, str] | None] = {}
        self._read: dict[tuple[int, int], Located] = {}

    def add(self, entry: Entry) -> None:
        """Remember where a resource stands."""
        name = f"{entry.resource['resourceType']}/{entry.resource.get('id')}"
        try:
            digest = hash(repr(entry.resource))
        except RecursionError:
            digest = entry.offset
        place = (entry.offset, entry.length, digest, entry.full_url)
        for address in {name, entry.full_url} - {""}:
            before = self._places.setdefault(address, place)
            # One patient on every page of an export is one patient; two with one number are none.
            if before is None or before[2] != place[2]:
                self._places[address] = None

    def follow(self, reference: dict[str, Any], owner: Located) -> Located | None:
        """The resource that a reference leads to; None if it is not in the file, which is noted in :attr:`open`."""
        text = reference.get("reference")
        if not isinstance(text, str) or not text:
            return None
        if text.startswith("#"):
            contained = [item for item in listed(owner.resource.get("contained")) if isinstance(item, dict)]
            found = next((item for item in contained if item.get("id") == text[1:]), None)
            if found is not None:
                # What is contained refers to others of its container.
                return Located({"contained": contained} | found, owner.full_url)
        address = _HISTORY.sub("", text)
        place = self._place(address, owner.full_url)
        if place is None:
            self.open.add(text)
            return None
        if place[:2] not in self._read:
            if len(self._read) == _CACHED:
                del self._read[next(iter(self._read))]
            self._read[place[:2]] = Located(self._read_at(*place[:2]), place[3])
        return self._read[place[:2]]

    def _place(self, address: str, full_url: str) -> tuple[int, int, int, str] | None:
        tail = _TAIL.search(address)
        is_relative = tail is not None and tail[1] == address
        exact = f"{full_url.rsplit('/', 2)[0]}/{address}" if is_relative else address
        if exact in self._places:
            return self._places[exact]
        place = self._places.get(tail[1]) if tail else None
        if place is None:
            return None
        # The same number on another server is another's.
        is_foreign = bool(place[3]) and (not is_relative or ("://" in full_url and "://" in place[3]))
        return None if is_foreign else place


def found_at(references: References, owner: Located, path: Path) -> Iterator[tuple[Any, Located]]:
    """What stands at a path, with the resource that it stands in."""
    return _walk(references, owner.resource, owner, path)


def _walk(references: References, value: Any, owner: Located, path: Path) -> Iterator[tuple[Any, Located]]:
    if not path:
        yield value, owner
    elif isinstance(value, dict):
        (name, chosen), rest = path[0], path[1:]
        target = references.follow(value, owner) if "reference" in value and name != "display" else None
        if target is not None:
            yield from _walk(references, target.resource, target, path)
        else:
            for item in listed(value.get(name)):
                if not chosen or is_chosen(item, chosen):
                    yield from _walk(references, item, owner, rest)


def is_chosen(item: Any, chosen: str) -> bool:
    """Whether an element has this system, use, address or code, or its type has."""
    if not isinstance(item, dict):
        return False
    own = {text for name in ("system", "use", "url", "code") if isinstance(text := item.get(name), str)}
    return chosen in own or chosen in codes_of(item.get("type")) or chosen in codes_of(item)


def listed(value: Any) -> list[Any]:
    """The items of an element that may repeat; an element that should and does not is one item."""
    return value if isinstance(value, list) else [] if value is None else [value]


def codings_of(concept: Any) -> Iterator[tuple[str, str]]:
    """System and code of each coding of one concept or several."""
    for one in listed(concept):
        for coding in listed(one.get("coding")) if isinstance(one, dict) else ():
            if isinstance(coding, dict) and (code := plain(coding.get("code"))):
                yield plain(coding.get("system")), code


def codes_of(concept: Any) -> set[str]:
    """The codes of one concept or several, of whatever system."""
    return {code for _, code in codings_of(concept)}


def plain(value: Any) -> str:
    """A primitive as text: without NUL, lone surrogates and outer blanks; empty for what is no primitive or missing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return clean(_SURROGATE.sub("\ufffd", value)) if isinstance(value, str) else ""


def said(value: Any) -> str:
    """What an element says: a primitive, or a value of one of the data types that reports use (FHIR R4, 2.24)."""
    if not isinstance(value, dict):
        return plain(value)
    for name in ("text", "display"):
        if text := plain(value.get(name)):
            return text
    if "coding" in value:
        codings = [coding for coding in listed(value["coding"]) if isinstance(coding, dict)]
        return next((text for name in ("display", "code") for one in codings if (text := plain(one.get(name)))), "")
    if "family" in value or "given" in value:
        return _joined_name(value)
    return _amount(value) or plain(value.get("code")) or plain(value.get("start")) or plain(value.get("end"))


def _amount(value: dict[str, Any]) -> str:
    """A quantity, a ratio of two or a range between two; empty for what is none."""
    for first, sign, second in (("numerator", "/", "denominator"), ("low", "-", "high")):
        if first in value or second in value:
            return sign.join(filter(None, (_quantity(value.get(first)), _quantity(value.get(second)))))
    return _quantity(value)


def _quantity(value: Any) -> str:
    if not isinstance(value, dict) or not plain(value.get("value")):
        return ""
    unit = plain(value.get("unit")) or plain(value.get("code"))
    return f"{plain(value.get('comparator'))}{plain(value['value'])}{'' if unit == '%' else ' '}{unit}".strip()


def _joined_name(name: dict[str, Any]) -> str:
    family, given = plain(name.get("family")), [plain(part) for part in listed(name.get("given"))]
    if _HAN.search(family + "".join(given)):
        return family + "".join(given)
    return " ".join(part for part in (*given, family) if part)


def person_name(names: Any) -> str:
    """The name that a person goes by: official before usual, in Han characters before others, former ones never."""
    known = [name for name in listed(names) if isinstance(name, dict)]
    in_use = [name for name in known if plain(name.get("use")) in _NAMES_IN_USE]
    ranked = sorted(in_use, key=lambda name: (not _HAN.search(said(name)), _NAMES_IN_USE.index(plain(name.get("use")))))
    return next((text for name in ranked if (text := said(name))), "")

"""Placeholders: what stands in a scrubbed text for what was removed, until a layer renders it.

``⟦date:ymd-han:2023-05-03⟧`` ``⟦case:C-…:A1⟧`` ``⟦number:P-…⟧`` ``⟦patient:H-…⟧`` ``⟦staff:H-…⟧`` ``⟦person:H-…⟧``
``⟦hospital:NB01⟧`` ``⟦age:90⟧``, and the kind alone where nothing more is kept: ``⟦phone⟧``. Days and codes are those of the
internal layer; H is the code of a folded name. What is not exactly one of these is no placeholder, and none of it is shown.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from string import ascii_uppercase
from typing import Final

import yaml

from pathcurate.model.deidentified import TOP_AGE, pseudonym_pattern
from pathcurate.model.removal import NAMES, Kind, Removal
from pathcurate.model.slide import SITE
from pathcurate.pseudonyms import Layer
from pathcurate.text.dateforms import is_form, write

OPEN, CLOSE = "⟦⟧"
_BRACKETS: Final = {OPEN: "[", CLOSE: "]"}
_WRITTEN: Final = re.compile(f"{OPEN}(?P<inside>[^{OPEN}{CLOSE}]*){CLOSE}|{OPEN}[^{OPEN}{CLOSE}]*|{CLOSE}")
_LABEL: Final = r"(?:[A-Z]{1,2}[0-9]{0,3}|[0-9]{1,3})"
_SUFFIX: Final = re.compile(rf"{_LABEL}(?:-{_LABEL}){{0,2}}")
_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_NAME: Final = rf"(?::{pseudonym_pattern('H')})?"
_REST: Final[Mapping[Kind, re.Pattern[str]]] = {
    kind: re.compile(pattern)
    for kind, pattern in {
        **dict.fromkeys(Kind, ""),
        Kind.DATE: rf"(?::[a-z-]{{1,24}}:{_DAY})?",
        Kind.CASE: rf"(?::{pseudonym_pattern('C')}(?::{_SUFFIX.pattern})?)?",
        Kind.NUMBER: rf"(?::{pseudonym_pattern('P')})?",
        **dict.fromkeys(NAMES, _NAME),
        Kind.HOSPITAL: rf"(?::{SITE.pattern})?",
        Kind.AGE: rf"(?::{TOP_AGE})?",
    }.items()
    if kind is not Kind.BRACKET
}
_TAGS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.PATIENT: ("姓名", "NAME"), Kind.STAFF: ("医师", "DOCTOR"), Kind.PERSON: ("姓名", "NAME"),
    Kind.CASE: ("病理号", "CASE"), Kind.NUMBER: ("编号", "NUMBER"), Kind.ID: ("证件号", "ID"),
    Kind.PHONE: ("电话", "PHONE"), Kind.EMAIL: ("邮箱", "EMAIL"), Kind.URL: ("网址", "URL"),
    Kind.ACCOUNT: ("账号", "ACCOUNT"), Kind.HOSPITAL: ("医院", "HOSPITAL"), Kind.UNIT: ("单位", "ORGANISATION"),
    Kind.ADDRESS: ("地址", "ADDRESS"), Kind.BED: ("床号", "BED"), Kind.DATE: ("日期", "DATE"), Kind.AGE: ("年龄", "AGE"),
    Kind.OTHER: ("已删除", "REMOVED"),
}  # fmt: skip
_UNKNOWN: Final = "[?]"
_SIGNS: Final = re.compile("[^0-9A-Z]+")
_FEWEST_DIGITS: Final = 5


# --- from removals to a text with placeholders -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where something that is replaced stood and where what replaces it stands: from ``start`` to before ``end``."""

    start: int
    end: int
    out_start: int
    out_end: int


@dataclass(frozen=True, slots=True)
class Assembled:
    """A text with placeholders.

    Attributes:
        text: the text.
        places: where each removal stood and its placeholder stands, one by one.
    """

    text: str
    places: tuple[Place, ...]


def assemble(text: str, removals: Sequence[Removal], encode: Callable[[Removal], str]) -> Assembled:
    """Put placeholders where something is removed.

    Args:
        text: the text as it is in the catalog.
        removals: what goes, in order.
        encode: what stands for a removal, as of :func:`encoder`; a number without a value is given what stands in the text.

    Raises:
        ValueError: removals overlap, are out of order or lie outside the text.
    """
    if any(before.end > behind.start for before, behind in pairwise(removals)) or any(
        not 0 <= item.start < item.end <= len(text) for item in removals
    ):
        raise ValueError("removals overlap or lie outside their text")
    # No bracket of a text's own is left, even where nobody found it.
    kept = text.replace(OPEN, _BRACKETS[OPEN]).replace(CLOSE, _BRACKETS[CLOSE])
    return Assembled(*_put(kept, ((item.start, item.end, encode(_valued(item, text))) for item in removals)))


def _valued(removal: Removal, text: str) -> Removal:
    if removal.value or removal.kind not in {Kind.NUMBER, Kind.BRACKET}:
        return removal
    return replace(removal, value=text[removal.start : removal.end])


def _put(text: str, pieces: Iterable[tuple[int, int, str]]) -> tuple[str, tuple[Place, ...]]:
    """Replace places of a text, in order."""
    parts: list[str] = []
    places: list[Place] = []
    last = length = 0
    for start, end, piece in pieces:
        length += start - last
        parts += text[last:start], piece
        places.append(Place(start, end, length, length + len(piece)))
        last, length = end, length + len(piece)
    return "".join([*parts, text[last:]]), tuple(places)


def encoder(layer: Layer, patient_code: str, *, site: str, own_numbers: Iterable[str]) -> Callable[[Removal], str]:
    """What encodes the removals of one report.

    Args:
        layer: the internal layer.
        patient_code: the person's code in it.
        site: site of the report, whose case numbers its texts name.
        own_numbers: the person's numbers there; with or without separators and leading zeros they are the person's.
    """
    days = layer.dates.days(patient_code)
    own = {form for number in own_numbers for form in _number_forms(number)}

    def encode(removal: Removal) -> str:
        kind, value = removal.kind, removal.value
        parts: tuple[str, ...] = ()
        match kind:
            case Kind.BRACKET:
                return _BRACKETS.get(value, _BRACKETS[OPEN])
            case Kind.DATE:
                parts = _moved_day(removal, days)
            case Kind.CASE if value:
                suffix = removal.form.upper().strip("- ")
                parts = layer.codes.code("C", site, value), suffix if _SUFFIX.fullmatch(suffix) else ""
            case Kind.NUMBER if own.intersection(_number_forms(value)):
                parts = (patient_code,)
            case Kind.PATIENT | Kind.STAFF | Kind.PERSON if value:
                parts = (layer.codes.code("H", value),)
            case Kind.HOSPITAL if value == site:
                parts = (site,)
            case Kind.AGE:
                parts = (str(TOP_AGE),)
        return f"{OPEN}{':'.join([kind, *filter(None, parts)])}{CLOSE}"

    return encode


def _moved_day(removal: Removal, days: int) -> tuple[str, ...]:
    if not is_form(removal.form):
        return ()
    try:
        return removal.form, (date.fromisoformat(removal.value) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return ()


def _number_forms(number: str) -> set[str]:
    """A number without separators and leading zeros, and without letters before it."""
    bare = _SIGNS.sub("", unicodedata.normalize("NFKC", number).upper())
    forms = {bare.lstrip("0"), bare.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ").lstrip("0")}
    return {bare, *(form for form in forms if len(form) >= _FEWEST_DIGITS)} - {""}


# --- from placeholders to a text of a layer ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder in a text.

    Attributes:
        start: its opening bracket.
        end: behind its closing one.
        kind: what was removed, None if it is malformed.
        parts: what it says beside its kind.
    """

    start: int
    end: int
    kind: Kind | None
    parts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Placeholder({self.start}, {self.end}, {self.kind})"


def placeholders_in(text: str) -> Iterator[Placeholder]:
    """Every placeholder of a text; malformed ones too, up to the next bracket or the end if they are not closed."""
    for match in _WRITTEN.finditer(text):
        yield _read(match)


def _read(match: re.Match[str]) -> Placeholder:
    name, *parts = (match["inside"] or "").split(":")
    kind = Kind(name) if name in _REST else None
    if kind is None or not _REST[kind].fullmatch(match["inside"], len(name)):
        return Placeholder(match.start(), match.end(), None)
    if kind is Kind.DATE and parts and not (is_form(parts[0]) and _day(parts[1])):
        return Placeholder(match.start(), match.end(), None)
    return Placeholder(match.start(), match.end(), kind, tuple(parts))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, repr=False)
class Style:
    """How a layer renders the texts of one patient.

    Attributes:
        case: the layer's code of an internal code of a case.
        patient: of a person.
        name: of a name.
        move: days to add to a day of the internal layer; None if dates become tags.
        names: ``tag``, or ``surrogate`` for made-up names, the same for the same name in the whole layer.
        language: ``zh``, ``en`` or ``mixed``.
    """

    case: Callable[[str], str]
    patient: Callable[[str], str]
    name: Callable[[str], str]
    move: int | None
    names: str
    language: str


def style(layer: Layer, move: int | None, *, names: str = "tag", language: str = "zh") -> Style:
    """The style of one patient's texts in a layer.

    Args:
        layer: the layer to render in.
        move: days to add to a day of the internal layer, as of :func:`~pathcurate.pseudonyms.moved_between`; None if dates
            become tags.
        names: ``tag`` or ``surrogate``.
        language: language of the report.
    """
    codes = layer.codes
    return Style(
        lambda code: codes.code("C", code), lambda code: codes.code("P", code), lambda code: codes.code("H", code),
        move, names, language,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text of a layer.

    Attributes:
        text: the text.
        places: where each placeholder stood and what it became stands.
        unknown: how many placeholders were malformed.
    """

    text: str
    places: tuple[Place, ...]
    unknown: int


def render(text: str, style: Style) -> Rendered:
    """Put what a layer shows in the place of each placeholder."""
    found = list(placeholders_in(text))
    shown, places = _put(text, ((item.start, item.end, _shown(item, style)) for item in found))
    return Rendered(shown, places, sum(item.kind is None for item in found))


def _shown(item: Placeholder, style: Style) -> str:
    if item.kind is None:
        return _UNKNOWN
    return (_told(item.kind, item.parts, style) if item.parts else None) or _tag(item.kind, style)


def _told(kind: Kind, parts: tuple[str, ...], style: Style) -> str | None:
    """What is shown of what a placeholder says; None if its tag is."""
    match kind:
        case Kind.DATE:
            return _date_shown(parts[0], parts[1], style.move)
        case Kind.CASE:
            return "-".join([style.case(parts[0]), *parts[1:]])
        case Kind.NUMBER:
            return style.patient(parts[0])
        case Kind.HOSPITAL:
            return parts[0]
        case Kind.AGE:
            return f"{parts[0]}+"
        case _:
            return surrogate(style.name(parts[0]), style.language) if style.names == "surrogate" else None


def _date_shown(form: str, day: str, move: int | None) -> str | None:
    if move is None:
        return None
    try:
        return write(form, date.fromisoformat(day) + timedelta(days=move))
    except OverflowError:
        return None


def _tag(kind: Kind, style: Style) -> str:
    return f"[{_TAGS[kind][style.language == 'en']}]"


@cache
def _names() -> Mapping[str, Mapping[str, Sequence[str]]]:
    names: Mapping[str, Mapping[str, str]] = yaml.safe_load(
        Path(__file__).with_name("surrogates.yaml").read_text(encoding="utf-8")
    )
    # Han names are lists of characters, Latin ones of words.
    return {script: {part: words.split() if " " in words else words for part, words in parts.items()}
            for script, parts in names.items()}  # fmt: skip


def surrogate(code: str, language: str) -> str:
    """A made-up name for the code of a name: the same for the same code, seldom the same for two."""
    number = int.from_bytes(hashlib.sha256(code.encode()).digest())
    # Of 256 bits each part takes some of its own.
    first, second, third = number, number >> 64, number >> 128
    if language == "en":
        names = _names()["latin"]
        return f"{_pick(names['first'], first)} {_pick(ascii_uppercase, second)}. {_pick(names['surnames'], third)}"
    names = _names()["han"]
    return _pick(names["surnames"], first) + _pick(names["first"], second) + _pick(names["second"], third)


def _pick(words: Sequence[str], number: int) -> str:
    return words[number % len(words)]


# --- spans -----------------------------------------------------------------------------------------------------------------


def carry(start: int, end: int, places: Sequence[Place]) -> tuple[int, int, bool] | None:
    """A span of a text in the text where something was replaced.

    Args:
        start: first character.
        end: behind the last one.
        places: what was replaced, in order.

    Returns:
        Where what is left of the span stands, and whether it touched anything that was replaced: then it is cut to what is
        left outside, and what was replaced in its midst stays within. None if nothing is left of it.
    """
    touched = [place for place in places if place.start < end and start < place.end]
    for place in touched:
        if place.start <= start:
            start = max(start, place.end)
    for place in reversed(touched):
        if place.end >= end:
            end = min(end, place.start)
    if touched and start >= end:
        return None
    return _outside(start, places), _outside(end, places), bool(touched)


def moved(start: int, end: int, places: Sequence[Place]) -> tuple[int, int]:
    """A span of a text with placeholders in the rendered text, with the whole of each placeholder that it touches."""
    for place in places:
        start = place.start if place.start < start < place.end else start
        end = place.end if place.start < end < place.end else end
    return _outside(start, places), _outside(end, places)


def _outside(position: int, places: Sequence[Place]) -> int:
    """Where a position that lies in no place stands afterwards."""
    before = [place for place in places if place.end <= position]
    return position + (before[-1].out_end - before[-1].end if before else 0)

"""What is done to one value: a treatment takes its bytes and says what stands there instead.

The same bytes again mean that they stay, None that the attribute goes.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from pathcurate.dicomtexts import decode
from pathcurate.model.filescrub import Change, Deed, OwnValue
from pathcurate.slidefiles import ScrubJob

REMOVED: Final = "REMOVED"
_DUMMIES: Final[Mapping[bytes, bytes]] = {
    b"DA": b"19000101", b"DT": b"19000101000000", b"TM": b"000000", b"AS": b"000Y", b"IS": b"0", b"DS": b"0",
    b"UI": b"2.25.0",
    b"US": bytes(2), b"SS": bytes(2), b"UL": bytes(4), b"SL": bytes(4), b"SV": bytes(8), b"UV": bytes(8), b"AT": bytes(4),
    b"FL": bytes(4), b"FD": bytes(8), b"OB": bytes(2), b"OW": bytes(2), b"UN": bytes(2), b"OF": bytes(4), b"OL": bytes(4),
    b"OD": bytes(8), b"OV": bytes(8),
}  # fmt: skip
"""Values that say nothing, by value representation; of all others, a word."""
_BINARY: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"US", b"SS", b"UL", b"SL", b"FL", b"FD", b"AT",
                            b"SV", b"UV", b"SQ"})  # fmt: skip
_LIMITS: Final = {b"SH": 16, b"LO": 64, b"ST": 1024, b"LT": 10240, b"AE": 16, b"CS": 16, b"PN": 64}
"""Characters that a value may have (PS3.5 table 6.2-1)."""

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[&/+\-][A-Za-z0-9]+)*|\d+(?:\.\d+)?[A-Za-z]*|[㐀-鿿]+")
_MEASURE: Final = re.compile(r"\d{1,3}(?:\.\d{1,3})?(?:MM|CM|UM|SEC|S|MIN|KV|KEV|HU|X)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d{1,3}(?:\.\d{1,3})?")
_UNIT: Final = re.compile(r"\s?(?:MM|CM|UM|SEC|KV|MAS)\b", re.IGNORECASE)
_LEAST_LETTERS: Final = 3
_JOINT: Final = re.compile(r"[&/+\-]")
_DATE: Final = re.compile(rb"(\d{4})([.\-]?)(\d\d)\2(\d\d)")
_DATE_TIME: Final = re.compile(rb"(\d{4})(\d\d)?(\d\d)?((?:(?<=\d{8})[\d.]+)?(?:[+\-]\d{4})?)")
_CLOCK: Final = rb"(?:[0-2]\d(?::?[0-5]\d(?::?[0-6]\d(?:\.\d{1,6})?)?)?)? *"
_TIME: Final = re.compile(_CLOCK + rb"(?:\\" + _CLOCK + rb")*")
_ZONE: Final = re.compile(rb"[+\-]\d{4}")
_AGE: Final = re.compile(rb"(\d{1,3})([DWMY])")
_PER_YEAR: Final = {b"D": 365.25, b"W": 52.18, b"M": 12.0, b"Y": 1.0}
_TOP_AGE: Final = 90
_CHARSET: Final = re.compile(rb"(?:ISO[ _\-]?(?:2022)?[ _\-]?(?:IR)?[ _\-]?[0-9]{0,3}|GBK?[0-9]{0,5}|UTF[ _\-]?8|ASCII)?",
                             re.IGNORECASE)  # fmt: skip
_TITLES: Final = "|".join(("医师", "医生", "主任", "护士", "先生", "女士")).encode()
_TELLS: Final = re.compile(rb"[0-9](?:[ \-]?[0-9]){8}|@|\b(?:Dr|Prof|Mr|Mrs|Ms|Miss)\b\.?[ ^]+[A-Z]|" + _TITLES)
"""What speaks of a person, or numbers one, in a text that otherwise stays."""
_SEPARATORS: Final = re.compile(r"[\s^=,._\-/]+")
_NO_SIGN: Final = re.compile(r"[\W_]+")
_HAN: Final = "⺀"
_LEAST_DIGITS: Final = 4
_LEAST_SIGNS: Final = 6
_MOST_SIGNS: Final = 256
"""Of a text that no attribute makes an identifier: shorter ones are met everywhere, longer ones are nowhere whole."""
_LOCAL_SCHEME: Final = ("99", "L")

NAME, UID_KIND = "name", "uid"
_TELLING: Final[Mapping[int, str]] = {
    0x0010_0020: "number", 0x0008_0050: "case", 0x0040_0512: "number", 0x0040_0551: "number", 0x0020_0010: "number",
    0x2200_0002: "barcode", 0x2200_0005: "barcode", 0x0040_06FA: "number", 0x0010_1000: "number", 0x0018_1000: "serial",
    0x0040_2016: "number", 0x0040_2017: "number", 0x0010_1040: "address", 0x0010_2154: "phone",
}  # fmt: skip
"""Attributes whose values identify whatever they look like, and the kind by which the search knows them."""


@dataclass(slots=True)
class Level:
    """A data set or an item while it is read.

    Attributes:
        path: tags of the sequences around it.
        charset: values of SpecificCharacterSet (0008,0005) in force.
        is_content: whether it is an item of structured content.
        value_type: of such an item (0040,A040).
        holds_known_words: whether the text of such an item is made of words of the vocabulary only.
        scheme: coding scheme (0008,0102) of a coded entry.
        creators: of private blocks: the block's number, with its group, and who has it.
    """

    path: str = ""
    charset: tuple[str, ...] = ()
    is_content: bool = False
    value_type: bytes = b""
    holds_known_words: bool = False
    scheme: str = ""
    creators: dict[int, str] | None = None

    @property
    def goes(self) -> bool:
        """Whether it is an item of content that no option keeps: a text, a name, a date (PS3.15 section E.3.4)."""
        return self.is_content and (
            self.value_type in {b"PNAME", b"DATE", b"TIME", b"DATETIME"}
            or (self.value_type == b"TEXT" and not self.holds_known_words)
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done to an attribute of one tag and kind.

    Attributes:
        tag: group and element.
        kind: value representation.
        form: of its header: 0 with a short length, 1 with a long one, 2 without a kind.
        treat: the treatment of its value; None if it stays whatever it is.
        free: bytes up to which it stays whatever it is.
        sequence: if it is a sequence: keep, content, drop, empty or code.
        place: the tag as the standard writes it.
        deed: what its treatment does, where it does something.
        rule: which rule says so.
    """

    tag: int
    kind: bytes
    form: int
    treat: "Treatment | None"
    sequence: str | None
    place: str
    deed: Deed
    rule: str
    free: int = -1


Treatment = Callable[["Subject", bytes, Level, Ruling], bytes | None]


class Subject:
    """As whom a slide or series is scrubbed, and what was found and done.

    Attributes:
        job: what is scrubbed.
        numbers: values of the patient's and the case's attributes at the top of the instance, by tag.
        changes: what is done.
        own: values that identify, each with whether it does whatever else says the same.
        kept: texts that stay.
        uids: UIDs that were replaced, old to new.
    """

    def __init__(self, job: ScrubJob, words: frozenset[str], words_for: Mapping[str, str], *, keeps_uids: bool) -> None:
        self.job = job
        self._keeps_uids = keeps_uids
        self.numbers: dict[int, bytes] = {}
        self.changes: dict[tuple[str, Deed, str], Change] = {}
        self.own: dict[OwnValue, bool] = {}
        self.kept: set[str] = set()
        self.uids: dict[str, str] = {}
        self._uids: dict[bytes, bytes] = {}
        self._words, self._words_for = words, sorted(words_for.items(), key=lambda pair: -len(pair[0]))
        self._known = _needles(value.value for value in job.known)

    def note(self, place: str, deed: Deed, rule: str) -> None:
        """Note a change."""
        key = (place, deed, rule)
        if key not in self.changes:
            self.changes[key] = Change(place, deed, rule)

    def goes(self, raw: bytes, level: Level, ruling: Ruling) -> None:
        """Note a value that goes, if it could identify."""
        kind = ruling.kind
        if kind in _BINARY or not raw or kind in {b"DA", b"TM", b"DT", b"IS", b"DS", b"AS", b"CS"}:
            return
        if kind == b"UI":
            for uid in raw.split(b"\\"):
                self.new_uid(uid)
            return
        text = decode(raw, level.charset).strip(" \0")
        if len(text) < 2 or (len(text) < _LEAST_DIGITS and text.isdigit()):
            return
        if kind == b"PN":
            for group in filter(None, re.split(r"[=\\]", text)):
                self.own[OwnValue(NAME, " ".join(filter(None, group.split("^"))))] = True
        elif ruling.tag in _TELLING:
            self.own[OwnValue(_TELLING[ruling.tag], text)] = True
        elif (_LEAST_SIGNS <= len(text) <= _MOST_SIGNS or (len(text) >= 3 and text >= _HAN)) and not self.cleaned(text)[1]:
            self.own.setdefault(OwnValue("text", text), False)

    def stays(self, raw: bytes, level: Level) -> None:
        """Note a text that stays."""
        if len(raw) <= _MOST_SIGNS:
            self.kept.add(bare_text(decode(raw, level.charset)))

    def identifying(self) -> tuple[OwnValue, ...]:
        """The values of which nothing may be left: not those that also stay elsewhere, as a model's name or a stock word."""
        kept = "\n".join(self.kept)
        return tuple(value for value, tells in self.own.items() if tells or bare_text(value.value) not in kept)

    def is_known(self, raw: bytes, level: Level) -> bool:
        """Whether a value holds something that the catalog knows of this slide."""
        if self._known is None or len(raw) < 3:
            return False
        if b"\x1b" in raw:
            raw = decode(raw, level.charset).encode()
        return self._known.search(raw) is not None

    def new_uid(self, raw: bytes) -> bytes:
        """The UID that stands for one; well-known ones stay."""
        bare = raw.strip(b" \0")
        if self._keeps_uids:
            return bare
        new = self._uids.get(bare)
        if new is None:
            old = bare.decode("latin-1")
            new = self._uids[bare] = self.job.codes.uid(old).encode("latin-1") if bare else b""
            if new != bare:
                self.uids[old] = new.decode("latin-1")
                if len(old) >= _LEAST_SIGNS:
                    self.own[OwnValue(UID_KIND, old)] = True
        return new

    def pseudonym(self, whose: str, kind: bytes) -> bytes:
        """The code of the slide, case or patient, without its letter where the attribute has not the room for it."""
        job = self.job
        code = {"slide": job.code, "case": job.case, "patient": job.patient}[whose] or job.code
        return (code if len(code) <= _LIMITS.get(kind, 64) else code.split("-", 1)[-1]).encode()

    def cleaned(self, text: str) -> tuple[str, bool]:
        """The words of a text that the vocabulary has, and whether they are all of it."""
        found: list[str] = []
        is_whole = True
        for match in _WORD.finditer(text):
            word = match[0]
            if word >= _HAN:
                is_whole = False
                for han, meaning in self._words_for:
                    if han in word:
                        found.append(meaning)
                        word = word.replace(han, " ")
                continue
            if self._is_word(word) or (_NUMBER.fullmatch(word) and _UNIT.match(text, match.end())):
                found.append(word)
            else:
                is_whole = False
        return " ".join(found), is_whole and bool(found) and not re.search(r"[^\x00-\x7f]", text)

    def _is_word(self, word: str) -> bool:
        upper = word.upper()
        if len(word) < _LEAST_LETTERS and word != upper and not _UNIT.fullmatch(word):
            # Many short words are somebody's name too, if they are not written as abbreviations are.
            return False
        return (
            upper in self._words
            or _MEASURE.fullmatch(word) is not None
            or all(part in self._words for part in _JOINT.split(upper))
        )


def bare_text(text: str) -> str:
    """Letters and digits of a text, which are what the search in copies compares."""
    return _NO_SIGN.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _needles(values: Iterable[str]) -> re.Pattern[bytes] | None:
    """A pattern that finds values as they may stand in a file: with other separators, as UTF-8 or GB18030."""
    patterns: dict[bytes, None] = {}
    for value in values:
        parts = [part for part in _SEPARATORS.split(value.strip()) if part]
        joined = "".join(parts)
        if joined.isascii():
            if len(joined) >= (4 if joined.isdigit() else 3):
                between = rb"[\s^=,._\-/]*".join(re.escape(part.encode()) for part in parts)
                patterns[rb"(?<![A-Za-z0-9])" + between + rb"(?![A-Za-z0-9])"] = None
        elif len(joined) >= 2:
            for encoding in ("utf-8", "gb18030"):
                patterns[rb"[\s^=]*".join(re.escape(part.encode(encoding)) for part in parts)] = None
    return re.compile(b"|".join(patterns), re.IGNORECASE) if patterns else None


def remove(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """The attribute goes."""
    subject.goes(raw, level, ruling)
    return None


def empty(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """The value goes."""
    if not raw:
        return raw
    subject.goes(raw, level, ruling)
    return b""


def dummy(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """A value that says nothing takes its place."""
    new = _DUMMIES.get(ruling.kind, REMOVED.encode())
    if raw.strip(b" \0") == new:
        return raw
    subject.goes(raw, level, ruling)
    return new


def uid(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """Other UIDs take their place."""
    if b"\\" not in raw:
        bare = raw.strip(b" \0")
        new = subject.new_uid(raw)
        return raw if new == bare else new
    bare = raw.strip(b" \0")
    new = b"\\".join(map(subject.new_uid, bare.split(b"\\")))
    return raw if new == bare else new


def text(otherwise: Treatment) -> Treatment:
    """It stays, unless it holds something that identifies this slide."""

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        if subject.is_known(raw, level):
            return otherwise(subject, raw, level, ruling)
        if ruling.kind not in _BINARY:
            subject.stays(raw, level)
        return raw

    return treat


def matching(pattern: re.Pattern[bytes], otherwise: Treatment) -> Treatment:
    """It stays if it is of the form of its kind."""

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        if pattern.fullmatch(raw.rstrip(b" \0")) is None or subject.is_known(raw, level):
            return otherwise(subject, raw, level, ruling)
        if ruling.kind == b"CS":
            subject.stays(raw, level)
        return raw

    return treat


def stock_text(otherwise: Treatment) -> Treatment:
    """A text that names no person stays, unless it holds something that identifies this slide."""
    as_text = text(otherwise)

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        return (otherwise if _TELLS.search(raw) else as_text)(subject, raw, level, ruling)

    return treat


def time_string(otherwise: Treatment) -> Treatment:
    """A time of day stays."""
    return matching(_TIME, otherwise)


def zone(otherwise: Treatment) -> Treatment:
    """An offset from UTC stays."""
    return matching(_ZONE, otherwise)


def shifted(otherwise: Treatment) -> Treatment:
    """Dates, with their times, move as all dates of the person."""

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        bare = raw.strip(b" \0")
        if not bare:
            return raw
        moved = [_moved(subject.job, part.strip(b" \0"), ruling.kind) for part in bare.split(b"\\")]
        if None in moved:
            return otherwise(subject, raw, level, ruling)
        new = b"\\".join(part for part in moved if part is not None)
        return raw if new == bare else new

    return treat


def _moved(job: ScrubJob, value: bytes, kind: bytes) -> bytes | None:
    """One date or date and time, written as before; one without its day moves as the first of its month or year."""
    if not value:
        return value
    match = (_DATE_TIME if kind == b"DT" else _DATE).fullmatch(value)
    if match is None:
        return None
    year, second, third, fourth = match.groups()
    month, day = (second, third) if kind == b"DT" else (third, fourth)
    try:
        moved = job.moved(date(int(year), int(month or 1), int(day or 1)))
    except ValueError:
        return None
    if moved is None:
        return None
    if kind == b"DT":
        precision = 8 if day else 6 if month else 4
        return f"{moved.year:04}{moved.month:02}{moved.day:02}"[:precision].encode() + fourth
    return second.join((b"%04d" % moved.year, b"%02d" % moved.month, b"%02d" % moved.day))


def age(otherwise: Treatment) -> Treatment:
    """An age stays; from 90 years on, all are one."""

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        bare = raw.strip(b" \0")
        match = _AGE.fullmatch(bare)
        if match is None:
            return otherwise(subject, raw, level, ruling) if bare else raw
        if int(match[1]) / _PER_YEAR[match[2]] < _TOP_AGE:
            return raw
        return raw if bare == b"090Y" else b"090Y"

    return treat


def words(otherwise: Treatment) -> Treatment:
    """Of a description stay the words that the vocabulary has; if there is none, it is done otherwise with it."""

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        if not raw.strip(b" \0"):
            return raw
        parts = [subject.cleaned(part) for part in decode(raw, level.charset).split("\\")]
        if all(is_whole for _, is_whole in parts) and not subject.is_known(raw, level):
            level.holds_known_words = level.holds_known_words or ruling.tag == 0x0040_A160
            subject.stays(raw, level)
            return raw
        limit = _LIMITS.get(ruling.kind, 10240)
        new = "\\".join(_fitting(part, limit) for part, _ in parts).encode()
        if not new.strip(b"\\") or subject.is_known(new, level):
            return otherwise(subject, raw, level, ruling)
        subject.goes(raw, level, ruling)
        subject.stays(new, level)
        return new

    return treat


def _fitting(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit + 1].rpartition(" ")[0]


def code_meaning(otherwise: Treatment) -> Treatment:
    """What a code means stays; of a code of the site's own, its known words."""
    as_text, as_words = stock_text(otherwise), words(otherwise)

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        is_local = not level.scheme or level.scheme.startswith(_LOCAL_SCHEME)
        return (as_words if is_local else as_text)(subject, raw, level, ruling)

    return treat


def coding_scheme(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """Whose code it is stays, and is remembered."""
    level.scheme = raw.decode("latin-1").strip(" \0")
    return text(empty)(subject, raw, level, ruling)


def value_type(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """What kind of item of content it is stays, and is remembered."""
    level.value_type = raw.strip(b" \0").upper()
    return raw


def character_set(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """How texts are written stays, and is remembered."""
    level.charset = tuple(part.strip() for part in raw.decode("ascii", "replace").replace("\0", "").split("\\"))
    parts = raw.rstrip(b" \0").split(b"\\")
    known = b"\\".join(part if _CHARSET.fullmatch(part.strip(b" \0")) else b"" for part in parts)
    return raw if known == raw.rstrip(b" \0") else known


def pseudonym(whose: str) -> Treatment:
    """A code of the layer takes its place."""

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        bare = raw.strip(b" \0")
        if not bare and (level.path or whose != "patient"):
            return raw
        subject.goes(raw, level, ruling)
        if level.path and bare != subject.numbers.get(ruling.tag, bare):
            # Within a sequence another patient's or case's number may stand.
            return b""
        new = subject.pseudonym(whose, ruling.kind)
        return raw if new == bare else new

    return treat

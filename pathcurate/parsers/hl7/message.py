"""One HL7 v2 message: its separators, segments and groups, and the texts in its fields without escapes."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pathcurate.delimited import clean
from pathcurate.text.encodings import decode

_MOST_SEGMENTS = 50_000
_MOST_FIELDS = 60
# A line that begins with anything else goes on with the text of the segment before it: systems send bare line feeds.
_SEGMENT = re.compile(
    r"(?:MSH|SFT|UAC|EVN|PID|PD1|PRT|NK1|ARV|PV[12]|DB1|OBX|NTE|ORC|OBR|TQ[12]|CTD|CTI|FT1|SPM|SAC|TXA|CON|DG1|AL1|IAM|GT1"
    r"|IN[123]|PR1|ROL|ACC|PDA|MRG|DSC|DSP|ADD|MSA|ERR|QRD|QRF|BLG|Z[A-Z0-9]{2})(?=[^A-Za-z0-9\s]|$)"
)
# Segments behind which results must follow.
_BEFORE_RESULTS = frozenset({"MSH", "SFT", "EVN", "PID", "PD1", "NK1", "PV1", "PV2", "ORC", "OBR", "TXA"})
_OBR_STATUS, _OBX_STATUS = 25, 11
HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")


class Signs(NamedTuple):
    """The separators that a message says it uses (MSH-1 and MSH-2)."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str


@lru_cache(64)
def _signs(header: str) -> Signs:
    """The separators of a header's first characters, those of the standard where it says none or one of them twice."""
    given = header[4 : header.find(header[3], 4)] if header.find(header[3], 4) > 0 else header[4:]
    chosen = (given[:4] + "^~\\&"[len(given[:4]) :])[:4]
    is_usable = len({header[3], *chosen}) == 5 and not any(sign.isalnum() or sign.isspace() for sign in chosen)
    return Signs(header[3], *(chosen if is_usable else "^~\\&"))


@lru_cache(16)
def _escapes(sign: str) -> re.Pattern[str]:
    mark = re.escape(sign)
    return re.compile(rf"{mark}([FSTREHNP]|\.(?:br|sp|sk|in|ti|ce|fi|nf)[+-]?\d{{0,3}}|X[0-9A-F]+){mark}", re.IGNORECASE)


@lru_cache(16)
def _line_ends(sign: str) -> re.Pattern[str]:
    mark = re.escape(sign)
    return re.compile(rf"(?<!\d){mark}|{mark}(?!\d)")


@lru_cache(16)
def _cut_escape(sign: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(sign)}(?:[FSTREHNP]|\.[a-z]{{0,2}}[+-]?\d{{0,3}}|X[0-9A-F]*)?\Z", re.IGNORECASE)


class Segment(NamedTuple):
    """A segment's fields, so that ``fields[n]`` is field n of the standard."""

    name: str
    fields: list[str]

    def field(self, number: int) -> str:
        """A field as it stands, empty if the segment ends before it."""
        return self.fields[number] if number < len(self.fields) else ""


@dataclass(slots=True)
class Group:
    """An OBR (or TXA) with the segments that belong to it."""

    segments: list[Segment] = field(default_factory=list)
    is_ordered: bool = False
    """Whether its OBR was there."""

    def all(self, name: str) -> list[Segment]:
        """Its segments of this name."""
        return [segment for segment in self.segments if segment.name == name]


@dataclass(frozen=True, slots=True)
class Message:
    """A message cut into segments; those before the first group belong to all groups."""

    signs: Signs
    common: list[Segment]
    groups: list[Group]

    def header(self, number: int) -> list[str]:
        """Components of a field of MSH."""
        return self.common[0].field(number).split(self.signs.component)

    @property
    def has_results(self) -> bool:
        """Whether there is any result, whatever kind of message it says it is."""
        return any(group.all("OBX") for group in self.groups)

    def cut(self) -> str | None:
        """By what its end shows that the message goes on, if it does; for one whose last segment has no end."""
        last = (self.groups[-1].segments if self.groups else self.common)[-1]
        rest = _escapes(self.signs.escape).sub("", last.fields[-1])
        if self.signs.escape in rest and _cut_escape(self.signs.escape).search(rest):
            return "ends in the middle of an escape"
        if last.name in _BEFORE_RESULTS and not (last.name == "OBR" and last.field(_OBR_STATUS)):
            return "ends before its results"
        others = [len(other.fields) for group in self.groups for other in group.all("OBX") if other is not last]
        if last.name == "OBX" and len(last.fields) < min(max(others, default=_OBX_STATUS + 1), _OBX_STATUS + 1):
            return "ends in the middle of a result"
        return None

    def first(self, text: str) -> str:
        """The first component of the first repetition."""
        return self.text(text.split(self.signs.repetition, 1)[0].split(self.signs.component, 1)[0])

    def parts(self, text: str) -> list[str]:
        """Components of the first repetition, escapes and all."""
        return text.split(self.signs.repetition, 1)[0].split(self.signs.component)

    def part(self, text: str, number: int) -> str:
        """A component of the first repetition, without its subcomponents but the first."""
        parts = self.parts(text)
        return self.text(parts[number - 1].split(self.signs.subcomponent, 1)[0]) if number <= len(parts) else ""

    def text(self, raw: str) -> str:
        """A text without escapes, and without what exports write where there is nothing."""
        if not raw:
            return ""
        if self.signs.escape in raw:
            raw = _escapes(self.signs.escape).sub(self._escaped, raw)
        return "" if raw == '""' else clean(raw)

    def _escaped(self, match: re.Match[str]) -> str:
        code = match[1].upper()
        if code[0] == "X":
            return (
                (decode(bytes.fromhex(code[1 : len(code) - 1 + len(code) % 2])) or "")
                .replace("\r\n", "\n")
                .replace("\r", "\n")
            )
        if code[0] == ".":
            return "\n" if code[1:3] in {"BR", "SP", "CE"} else " " if code[1:3] == "SK" else ""
        return {
            "F": self.signs.field, "S": self.signs.component, "T": self.signs.subcomponent, "R": self.signs.repetition,
            "E": self.signs.escape,
        }.get(code, "")  # fmt: skip

    def lines(self, raw: str) -> str:
        """A text whose repetitions are its lines; a sign between digits is a range (0.3~0.8 cm) that nobody escaped."""
        if self.signs.repetition not in raw:
            return self.text(raw)
        return "\n".join(filter(None, map(self.text, _line_ends(self.signs.repetition).split(raw))))

    def person(self, raw: str, first: int) -> str:
        """A name of which the component ``first`` is the family name; Chinese names are written without a space."""
        parts = self.parts(raw)
        if self.signs.subcomponent in parts[0] and not any(parts[1:3]):
            parts = parts[0].split(self.signs.subcomponent)
        names = [self.text(part.split(self.signs.subcomponent, 1)[0]) for part in parts[first - 1 : first + 2]]
        given = list(filter(None, names)) or [self.text(parts[0])]
        return ("" if any(map(HAN.search, given)) else " ").join(given)

    def coded(self, raw: str) -> str:
        """What a coded entry means in words, else its code."""
        parts = self.parts(raw)
        worded = [parts[index] for index in (8, 1, 4, 0) if index < len(parts) and parts[index]]
        return self.text(worded[0]) if worded else ""


def read_message(text: str) -> Message | str:
    """The segments of a message's text; why it cannot be read, if it cannot."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n", _MOST_SEGMENTS)
    if len(lines) > _MOST_SEGMENTS or len(lines[0]) < 5:
        return "has more segments than a report can have" if len(lines) > _MOST_SEGMENTS else "ends in its first segment"
    signs = _signs(lines[0][:10])
    joined: list[list[str]] = []
    for line in lines:
        if _SEGMENT.match(line) and (len(line) == 3 or line[3] == signs.field):
            if line.startswith("ADD"):
                joined[-1].append(line[4:])
            else:
                joined.append([line])
        else:
            joined[-1].append(f"\n{line}")
    message = Message(signs, [], [])
    for whole in joined:
        # Line breaks within a field are kept, and those before the next segment are none of it.
        fields = "".join(whole).rstrip("\n").split(signs.field, _MOST_FIELDS)
        if fields[0] == "MSH":
            fields.insert(1, signs.field)
        _put(message, Segment(fields[0], fields))
    return message


def _put(message: Message, segment: Segment) -> None:
    """Add a segment to the group that it belongs to: ORC or OBR begins one, a document (TXA) has only one."""
    groups = message.groups
    if segment.name == "TXA" and groups:
        groups[0].segments += [other for group in groups[1:] for other in group.segments]
        del groups[1:]
    elif (
        segment.name in {"ORC", "TXA"}
        or (segment.name == "OBR" and (not groups or groups[-1].is_ordered))
        or (segment.name == "OBX" and not groups)
    ):
        groups.append(Group())
    if segment.name == "OBR":
        groups[-1].is_ordered = True
    (groups[-1].segments if groups else message.common).append(segment)

"""Scrubs files of drawn shapes: geometry and known classes stay; names, times, paths, descriptions and ids go.

GeoJSON (RFC 7946, with what QuPath adds), and XML of ASAP, ImageScope and NDP.view. A file is read and written shape by
shape, whatever its size. Every name is looked up in the rules of ``annotation``, and every value that a rule keeps must be a
number, a colour or a known word; a class that no rule knows puts the file aside.
"""

import codecs
import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from pathcurate.model.filerule import FileRule, FileRules, folded
from pathcurate.model.filescrub import Change, Deed, FilePlan, OwnValue, Unknown, UnscrubbableError
from pathcurate.slidefiles import ScrubJob
from pathcurate.storage import Source

NAME: Final = "annotation"
VERSION: Final = 1

_BLOCK: Final = 1 << 20
_LARGEST: Final = 48 << 20
"""Characters of one shape; a ring of a million corners has 20 million."""
_DEEPEST: Final = 64
_LONGEST_TOKEN: Final = 4 << 20
_BLANK: Final = " \t\r\n\ufeff\0"
_NUMBER: Final = re.compile(r"[+-]?\d{1,16}([.,]\d{0,20})?([eE][+-]?\d{1,3})?", re.ASCII)
_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?")
_VERSION: Final = re.compile(r"v?\d{1,3}(\.\d{1,4}){1,3}(-(SNAPSHOT|rc\d))?")
_ROOTS: Final = {"ASAP_Annotations": "asap", "Annotations": "imagescope", "annotations": "ndpa"}
_LEAST_OWN: Final = 5
_LEAST_KNOWN: Final = 4
_MOST_OWN: Final = 1000
_MOST_UNKNOWN: Final = 1000
_MOST_NAMES: Final = 10_000
_FAR: Final = 1e12

_Json = Any
_GONE: Final[Any] = object()


def scrub_annotation(source: Source, job: ScrubJob, rules: FileRules, target: Path) -> FilePlan:
    """Write the copy of a file of shapes; with something unknown in the plan there is none.

    Args:
        source: the file.
        job: of the slide that the shapes lie on; its code names the image in the copy.
        rules: those of ``annotation``.
        target: of the copy; must not be there.

    Raises:
        UnscrubbableError: it is no such file, or is damaged.
        OSError: it cannot be read, or the copy not be written.
    """
    account = _Account(job, rules)
    done = False
    try:
        with target.open("x", encoding="utf-8", newline="\n") as file:
            _copy(source, file.write, account)
        done = not account.unknown
    finally:
        if not done:
            target.unlink(missing_ok=True)
    unknown, own = tuple(account.unknown.values()), tuple(account.own.values())
    return FilePlan(tuple(account.changes), unknown, None, own, source.size)


def _copy(source: Source, write: Callable[[str], object], account: "_Account") -> None:
    head = source.read_at(0, 4)
    if head.startswith(b"\x1f\x8b"):
        raise UnscrubbableError("the file of shapes is packed; unpack it first")
    begin = source.read_at(0, 1024).decode(json.detect_encoding(head), "replace").lstrip(_BLANK)[:1]
    try:
        if begin == "<":
            _copy_xml(source, write, account)
        elif begin in ("{", "["):
            _GeoJson(_Window(source, json.detect_encoding(head)), write, account).copy()
        else:
            raise UnscrubbableError("the file is neither GeoJSON nor XML")
    except (UnicodeError, RecursionError, ValueError):
        raise UnscrubbableError("the file of shapes is damaged, or in an unknown encoding") from None


class _Account:
    """Rules applied to values, and what was done."""

    def __init__(self, job: ScrubJob, rules: FileRules) -> None:
        self._job, self._rules = job, rules
        self.changes: dict[Change, None] = {}
        self.unknown: dict[tuple[str, str], Unknown] = {}
        self.own: dict[str, OwnValue] = {}
        self._rules_found: dict[tuple[str, str], FileRule | None] = {}
        words = rules.options.get("words", [])
        self._words = frozenset(folded(str(word)) for word in (words if isinstance(words, list | tuple) else ()))
        self._known = tuple(folded(item.value) for item in job.known if len(item.value.strip()) >= _LEAST_KNOWN)

    def rule(self, table: str, name: str) -> FileRule | None:
        """The rule of a name; an unknown one is taken down."""
        found = self._find(table, name)
        if found is None and len(self.unknown) < _MOST_UNKNOWN:
            self.unknown.setdefault((table, folded(name)), Unknown(table, name, f"table {table}"))
        return found

    def _find(self, table: str, name: str) -> FileRule | None:
        """The rule of a name; files say the same few names a million times."""
        try:
            return self._rules_found[table, name]
        except KeyError:
            if len(self._rules_found) >= _MOST_NAMES:
                self._rules_found.clear()
            return self._rules_found.setdefault((table, name), self._rules.find(table, name))

    def note(self, table: str, rule: FileRule, deed: Deed, value: _Json) -> None:
        """Something that goes."""
        self.changes[Change(f"{table}, {rule.name}", deed, f"{NAME}, {table}, {rule.name}")] = None
        if isinstance(value, dict | list):
            parts = value.values() if isinstance(value, dict) else value
            for part in parts:
                self.note(table, rule, deed, part)
        elif isinstance(value, str) and len(self.own) < _MOST_OWN and len(value.strip().encode()) >= _LEAST_OWN:
            text = value.strip()
            if folded(text) not in self._words and not _NUMBER.fullmatch(text) and not _COLOUR.fullmatch(text):
                kind = "uid" if deed is Deed.UID else "file" if "/" in text or "\\" in text else "label"
                self.own.setdefault(text, OwnValue(kind, text))

    def value(self, table: str, rule: FileRule, value: _Json) -> _Json:
        """What takes the place of a value that holds no others; ``_GONE`` if its name goes too."""
        made = self._made(rule, value)
        if made is not value and made != value:
            self.note(table, rule, Deed.REMOVE if made is _GONE else rule.deed, value)
        return made

    def named(self, table: str, rule: FileRule, name: str) -> _Json:
        """A value that is a name itself: of a class, a title, a measurement."""
        text = name.strip()
        if not text:
            return name
        if any(known in folded(text) for known in self._known):
            self.note(table, rule, Deed.REMOVE, text)
            return _GONE
        # A class derived from others has their names.
        parts = [text] if self._find(table, text) else [part.strip() for part in text.split(":")]
        found = [self.rule(table, part) for part in parts if part]
        if all(one is not None and one.deed is Deed.KEEP for one in found):
            return name
        self.note(table, rule, Deed.REMOVE, text)
        return _GONE

    def _made(self, rule: FileRule, value: _Json) -> _Json:
        match rule.deed:
            case Deed.KEEP:
                return value if self._may_stay(value) else _GONE
            case Deed.EMPTY:
                return ""
            case Deed.UID:
                return self._uid(value) if isinstance(value, str) else _GONE
            case Deed.PSEUDONYM:
                codes = {"slide": self._job.code, "case": self._job.case, "patient": self._job.patient}
                return codes[rule.about or "slide"] or _GONE
            case Deed.SHIFT:
                return self._shifted(value)
            case _:
                return _GONE

    def _may_stay(self, value: _Json) -> bool:
        if isinstance(value, list):
            return all(map(self._may_stay, value))
        if value is None or isinstance(value, bool):
            return True
        if isinstance(value, float | int):
            return -_FAR < value < _FAR and not (self._known and f"{value:.0f}" in self._known)
        if not isinstance(value, str):
            return False
        text = value.strip()
        if any(known in folded(text) for known in self._known):
            return False
        is_plain = any(form.fullmatch(text) for form in (_NUMBER, _COLOUR, _VERSION))
        return not text or is_plain or folded(text) in self._words

    def _uid(self, value: str) -> str:
        """Another UUID, everywhere the same; ids that say what kind of object it is stay."""
        if folded(value) in self._words:
            return value
        number = int(self._job.codes.uid(value).rpartition(".")[2])
        return str(uuid.UUID(int=number % (1 << 128)))

    def _shifted(self, value: _Json) -> _Json:
        try:
            moved = self._job.moved(date.fromisoformat(value[:10])) if isinstance(value, str) else None
        except ValueError:
            return _GONE
        return _GONE if moved is None else moved.isoformat()


# --- GeoJSON -----------------------------------------------------------------------------------------------------


class _GeoJson:
    """Copies a collection, an array or one feature."""

    def __init__(self, text: "_Window", write: Callable[[str], object], account: _Account) -> None:
        self._text, self._write, self._account = text, write, account

    def copy(self) -> None:
        if self._text.peek() == "[":
            self._features()
        else:
            self._collection()
        self._write("\n")
        if self._text.peek():
            raise UnscrubbableError("the file holds more than one value")

    def _features(self) -> None:
        self._write("[")
        before = "\n"
        for feature in self._text.elements():
            if (made := self._thing("object", None, feature)) is not _GONE:
                self._write(before + _dumped(made))
                before = ",\n"
        self._write("]")

    def _collection(self) -> None:
        """The outermost object, whose features are not held at once."""
        self._write("{")
        before = ""
        for name in self._text.members():
            rule = self._account.rule("object", name)
            if rule is not None and rule.deed is Deed.CLEAN and rule.about == "object" and self._text.peek() == "[":
                self._write(f"{before}{json.dumps(rule.name)}: ")
                self._features()
                before = ", "
                continue
            value = self._text.value()
            made = _GONE if rule is None else self._member("object", rule, value)
            if made is not _GONE:
                self._write(f"{before}{json.dumps(name)}: {_dumped(made)}")
                before = ", "
        self._write("}")

    def _thing(self, table: str, rule: FileRule | None, value: _Json) -> _Json:
        """An object by the rules of its table, several in a list, or a name."""
        if isinstance(value, list):
            return [made for part in value if (made := self._thing(table, rule, part)) is not _GONE]
        if isinstance(value, dict):
            found = {}
            for name, part in value.items():
                one = self._account.rule(table, name)
                made = _GONE if one is None else self._member(table, one, part)
                if made is not _GONE:
                    found[name] = made
            return found
        if isinstance(value, str) and rule is not None:
            return self._account.named(table, rule, value)
        return value if value is None or isinstance(value, bool | int | float) else _GONE

    def _member(self, table: str, rule: FileRule, value: _Json) -> _Json:
        if rule.deed is Deed.CLEAN:
            return self._thing(rule.about or table, rule, value)
        return self._account.value(table, rule, value)


def _dumped(value: _Json) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


class _Window:
    """A window on a JSON text, of which one member or element is held at a time."""

    def __init__(self, source: Source, encoding: str) -> None:
        self._source, self._at, self._text, self._begin = source, 0, "", 0
        self._decode = codecs.getincrementaldecoder(encoding)().decode
        self._parse = json.JSONDecoder(parse_constant=_no_number).raw_decode

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            while self._begin < len(self._text) and self._text[self._begin] in _BLANK:
                self._begin += 1
            if self._begin < len(self._text):
                return self._text[self._begin]
            if not self._fill():
                return ""

    def value(self) -> _Json:
        """The value that begins here."""
        self.peek()
        while True:
            try:
                value, end = self._parse(self._text, self._begin)
            except JSONDecodeError:
                end = len(self._text)
            # What ends where the window ends may go on behind it.
            if end < len(self._text) or not self._fill():
                break
        value, self._begin = self._parse(self._text, self._begin)
        return value

    def members(self) -> Iterator[str]:
        """Names of the members of the object that begins here; whoever takes one reads the value behind it."""
        for _ in self._parts("{", "}"):
            name = self.value()
            if not isinstance(name, str) or self.peek() != ":":
                raise ValueError
            self._begin += 1
            yield name

    def elements(self) -> Iterator[_Json]:
        """Elements of the array that begins here."""
        for _ in self._parts("[", "]"):
            yield self.value()

    def _parts(self, begin: str, end: str) -> Iterator[None]:
        if self.peek() != begin:
            raise ValueError
        self._begin += 1
        is_first = True
        while (sign := self.peek()) != end or not is_first:
            if not is_first:
                if sign == end:
                    break
                if sign != ",":
                    raise ValueError
                self._begin += 1
            is_first = False
            yield
        self._begin += 1

    def _fill(self) -> bool:
        """Read on, more the longer the value is that began; False at the end of the file."""
        left = len(self._text) - self._begin
        if left > _LARGEST:
            raise UnscrubbableError("a shape is larger than anything that is drawn")
        data = self._source.read_at(self._at, max(_BLOCK, 2 * left))
        self._at += len(data)
        more = self._decode(data, not data)
        self._text, self._begin = self._text[self._begin :] + more, 0
        return bool(data)


def _no_number(name: str) -> _Json:
    raise ValueError


# --- XML ---------------------------------------------------------------------------------------------------------


class _Copier:
    """What the parser tells, written as far as the rules keep it."""

    def __init__(self, write: Callable[[str], object], account: _Account) -> None:
        self._write, self._account = write, account
        self._table = ""
        self._open: list[tuple[str, FileRule | None]] = []
        self._text: list[str] = []
        self._below = 0
        self.told = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.told += 1
        name = tag.rpartition("}")[2]
        if not self._open and not self._table:
            if name not in _ROOTS:
                raise UnscrubbableError("the XML is of none of the tools whose shapes are known")
            self._table = _ROOTS[name]
        if self._below:
            self._below += 1
            return
        self._flush()
        rule = self._account.rule(self._table, name)
        if rule is None or rule.deed is Deed.REMOVE:
            self._below = 1
            if rule is not None:
                self._account.note(self._table, rule, Deed.REMOVE, list(attributes.values()))
            return
        if len(self._open) >= _DEEPEST:
            raise UnscrubbableError("the XML nests too deeply")
        self._open.append((name, rule))
        self._write(f"<{name}{''.join(self._attributes(name, attributes))}>")

    def data(self, text: str) -> None:
        if not self._below and self._open:
            self._text.append(text)

    def end(self, tag: str) -> None:
        self.told += 1
        if self._below:
            self._below -= 1
            return
        self._flush()
        name, _ = self._open.pop()
        self._write(f"</{name}>")

    def close(self) -> None:
        """The parser asks for it."""

    def _attributes(self, element: str, attributes: dict[str, str]) -> Iterator[str]:
        for tag, value in attributes.items():
            name = tag.rpartition("}")[2]
            rule = self._account.rule(self._table, f"{element}.{name}")
            if rule is not None and (made := self._made(rule, value)) is not _GONE:
                yield f" {name}={quoteattr(made)}"
            elif rule is not None and rule.deed is Deed.CLEAN:
                # Tools ask for the attribute.
                yield f' {name}=""'

    def _flush(self) -> None:
        """The text so far, by the rule of its element."""
        text, self._text = "".join(self._text), []
        if not text.strip():
            self._write(text and "\n")
            return
        rule = self._open[-1][1]
        made = _GONE if rule is None else self._made(rule, text)
        if made is not _GONE:
            self._write(escape(made))

    def _made(self, rule: FileRule, value: str) -> _Json:
        if rule.deed is Deed.CLEAN:
            return self._account.named(rule.about or "", rule, value)
        return self._account.value(self._table, rule, value)


def _copy_xml(source: Source, write: Callable[[str], object], account: _Account) -> None:
    """Raises: UnscrubbableError, OSError."""
    copier = _Copier(write, account)
    parser: Any = XMLParser(target=copier, forbid_dtd=True)
    write('<?xml version="1.0" encoding="UTF-8"?>\n')
    silent = told = 0
    with _as_damage():
        for at in range(0, source.size, _BLOCK):
            block = source.read_at(at, _BLOCK)
            parser.feed(block)
            # Expat reads a token that does not end again with every block.
            silent = silent + len(block) if copier.told == told else 0
            if silent > _LONGEST_TOKEN:
                raise UnscrubbableError("the XML holds a tag or text without end")
            told = copier.told
        parser.close()
    write("\n")


@contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except DefusedXmlException:
        raise UnscrubbableError("the XML declares entities or a document type") from None
    except (ParseError, ExpatError, LookupError):
        raise UnscrubbableError("the XML is damaged or cut off") from None

"""Resources of a FHIR file one after another, with their places: a bundle, lines of NDJSON, or one resource alone.

A file is never in memory as a whole: at most one entry (32 Mi characters, larger ones are lost) and what is read ahead.
"""

import codecs
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.text.encodings import decode

_BLOCK: Final = 1 << 20
_LARGEST: Final = 32 << 20
"""Characters of an entry; those of a report with its scanned pages are fewer."""
_MOST_LOST: Final = 1000
"""Damaged entries of a bundle; with more of them, it is no bundle."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
# Numbers stay as they are written: 2.50 keeps its digits, and one of ten thousand digits costs nothing.
_DECODER: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None, strict=False)
_BLANK: Final = re.compile(r"[ \t\r\n\x00]*")
_BEYOND_ASCII: Final = re.compile("[^\x00-\x7f]+")
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
_BUNDLE: Final = re.compile(r'\s*\{\s*"entry"|[^\n]{0,4096}"resourceType"\s*:\s*"Bundle"')
_PRETTY_BUNDLE: Final = re.compile(r'\s*\{\s*"(?:[^\n]*\n){0,40}?\s*"resourceType"\s*:\s*"Bundle"')
_NEXT_ENTRY: Final = re.compile(r'\{\s*"(?:fullUrl|resource)"\s*:')
_NEXT_RESOURCE: Final = re.compile(r'\{\s*"resourceType"\s*:')
_LINE_OF_ITS_OWN: Final = re.compile(r'\n\{\s*"')
# The longest token whose beginning is no error of its own: "-Infinity", or an escape of two surrogates.
_LONGEST_TOKEN: Final = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource and where it stands.

    Attributes:
        number: entry of the bundle or line of the file, from 1.
        offset: of its first byte in the file.
        length: its bytes.
        full_url: its address in the bundle; empty without one.
        resource: the resource.
    """

    number: int
    offset: int
    length: int
    full_url: str
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry that cannot be read: its number, and what is wrong with it."""

    number: int
    what: str


class ResourceFile:
    """A file of resources. Reading it raises InputOutputError if that fails.

    Args:
        path: the file.
        encoding: Python's name of its encoding; by its mark, or what its bytes allow, if None.

    Raises:
        UsageError: there is no such encoding, or it does not work piece by piece.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self._path = path
        with self._opened() as file:
            start = file.read(_BLOCK)
        marked = next(((bom, name) for bom, name in _BOMS if start.startswith(bom)), (b"", None))
        self._skipped = len(marked[0])
        self._encoding = encoding or marked[1] or _guessed(start)
        # Bytes that cannot be decoded come back as they were, to be tried in another encoding.
        self._errors = "surrogateescape"
        if self._encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
            self._errors = "surrogatepass"
            # The names without a byte order write a mark of their own before every piece.
            self._encoding = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(self._encoding.lower(), self._encoding)
        self._encoding = "utf-8" if self._encoding == "utf-8-sig" else self._encoding

    def entries(self) -> Iterator[Entry | Damage]:
        """All resources, in the file's order."""
        with self._opened() as file:
            file.seek(self._skipped)
            buffer = _Buffer(file, self._encoding, self._errors, self._skipped)
            buffer.fill()
            yield from _of_lines(buffer) if _has_lines(buffer.text) else _of_objects(buffer)

    @contextmanager
    def places(self) -> Iterator[Callable[[int, int], dict[str, Any]]]:
        """A function that reads the resource at an offset and length that :meth:`entries` gave.

        Raises:
            UsageError: the file has changed meanwhile.
        """
        with self._opened() as file:

            def read(offset: int, length: int) -> dict[str, Any]:
                file.seek(offset)
                try:
                    return _resource(_parse(file.read(length).decode(self._encoding, self._errors)))[1]
                except _BrokenError:
                    raise UsageError(f"{self._path.name} changed while it was read", "Import it again.") from None

            yield read

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            with self._path.open("rb") as file:
                yield file
        except OSError as error:
            raise InputOutputError(
                f"{self._path.name} cannot be read ({type(error).__name__})",
                "Check the path in pathcurate.yaml and its permissions.",
            ) from None
        except (UnicodeError, LookupError):
            raise UsageError(
                f"{self._path.name} is not {self._encoding}", "Correct or remove `encoding` in its mapping."
            ) from None


class _BrokenError(Exception):
    """What stands here is no JSON value."""


class _Buffer:
    """A window on the decoded file."""

    def __init__(self, file: io.BufferedIOBase | BinaryIO, encoding: str, errors: str, offset: int) -> None:
        self.text = ""
        self.at = 0
        self._file = file
        self._encoding = encoding
        self._errors = errors
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._mark, self._offset = 0, offset

    def fill(self) -> bool:
        """Read on and forget what lies before ``at``; False at the end of the file."""
        # As much again as is there: an entry of any length is parsed from its start only a few times.
        data = self._file.read(max(_BLOCK, len(self.text) - self.at))
        if not data:
            return False
        self.offset()
        self.text = self.text[self.at :] + self._decoder.decode(data)
        self.at = self._mark = 0
        return True

    def offset(self) -> int:
        """Of the byte in the file that ``at`` stands at."""
        self._offset += len(self.text[self._mark : self.at].encode(self._encoding, self._errors))
        self._mark = self.at
        return self._offset

    def peek(self) -> str:
        """The next character that is not blank; empty at the end of the file."""
        while True:
            self.at = _blank_end(self.text, self.at)
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.fill():
                return ""

    def value(self) -> Any:
        """The JSON value that begins at ``at``, which is set behind it.

        Raises:
            _BrokenError: there is none.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos >= len(self.text) - _LONGEST_TOKEN
                if not is_cut or len(self.text) - self.at > _LARGEST or not self.fill():
                    raise _BrokenError from None
                continue
            except RecursionError:
                raise _BrokenError from None
            # A number that ends where the window ends may go on behind it.
            if end < len(self.text) or self.text[end - 1] in '"}]' or not self.fill():
                self.at = end
                return value

    def skip_to(self, pattern: re.Pattern[str], keep: int) -> bool:
        """Go to the next match behind ``at``, whose first ``keep`` characters may be cut; False if there is none."""
        self.at = min(self.at + 1, len(self.text))
        while not (found := pattern.search(self.text, self.at)):
            self.at = max(self.at, len(self.text) - keep)
            if not self.fill():
                self.at = len(self.text)
                return False
        self.at = found.start()
        return True


def _blank_end(text: str, start: int) -> int:
    found = _BLANK.match(text, start)
    return found.end() if found else start


def _guessed(start: bytes) -> str:
    """UTF-8 or, by its zeros, UTF-16 or UTF-32 as JSON must be; GB18030 where hardly any bytes beyond ASCII are UTF-8."""
    named = json.detect_encoding(start[:4])
    if named not in {"utf-8", "utf-8-sig"}:
        return named
    # What is read first may end within a character, which says nothing.
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(start)
    bad = text.count("\ufffd")
    return "gb18030" if bad > sum(len(run) for run in _BEYOND_ASCII.findall(text)) - bad else "utf-8"


def _has_lines(text: str) -> bool:
    """Whether each line is a resource; a bundle in one line is none, and a line that is damaged does not speak for all."""
    start = text.lstrip()
    if _BUNDLE.match(start) or _PRETTY_BUNDLE.match(start):
        return False
    first, _, _ = start.partition("\n")
    return first.rstrip().endswith("}") or _LINE_OF_ITS_OWN.search(start) is not None or not start.startswith(("{", "["))


def _of_lines(buffer: _Buffer) -> Iterator[Entry | Damage]:
    number = 0
    while buffer.at < len(buffer.text) or buffer.fill():
        number += 1
        offset = buffer.offset()
        line = _line(buffer)
        if line is None:
            yield Damage(number, "is too long")
        elif not line.strip(" \t\r\n\x00\ufeff"):
            continue
        else:
            try:
                full_url, resource = _resource(_parse(line))
            except _BrokenError:
                yield Damage(number, "is not readable as a FHIR resource")
            else:
                yield Entry(number, offset, buffer.offset() - offset, full_url, resource)


def _line(buffer: _Buffer) -> str | None:
    """The next line with its end; None for one that is too long, which is skipped."""
    is_kept = True
    while (end := buffer.text.find("\n", buffer.at)) < 0:
        if len(buffer.text) - buffer.at > _LARGEST:
            is_kept, buffer.at = False, len(buffer.text)
        if not buffer.fill():
            end = len(buffer.text) - 1
            break
    line = buffer.text[buffer.at : end + 1]
    buffer.at = end + 1
    return line if is_kept else None


def _of_objects(buffer: _Buffer) -> Iterator[Entry | Damage]:
    """Bundles and single resources, one behind another."""
    number = 0
    while opening := buffer.peek():
        offset = buffer.offset()
        members: dict[str, Any] = {}
        try:
            if opening not in "{[":
                raise _BrokenError
            for item in _elements(buffer, number) if opening == "[" else _members(buffer, number, members):
                number = item.number
                yield item
        except _BrokenError:
            number += 1
            yield Damage(number, "is not readable as a FHIR resource, and what follows was not read")
            return
        if members.get("resourceType", "Bundle") != "Bundle":
            number += 1
            yield Entry(number, offset, buffer.offset() - offset, "", members)


def _members(buffer: _Buffer, number: int, members: dict[str, Any]) -> Iterator[Entry | Damage]:
    """The entries of an object, one by one; its other members are put into ``members``."""
    buffer.at += 1
    while (sign := buffer.peek()) != "}":
        if sign == ",":
            buffer.at += 1
            continue
        key = buffer.value() if sign == '"' else None
        if not isinstance(key, str) or buffer.peek() != ":":
            raise _BrokenError
        buffer.at += 1
        if buffer.peek() == "[" and key == "entry":
            for item in _elements(buffer, number):
                number = item.number
                yield item
        else:
            members[key] = buffer.value()
    buffer.at += 1


def _elements(buffer: _Buffer, number: int) -> Iterator[Entry | Damage]:
    buffer.at += 1
    lost = 0
    while (sign := buffer.peek()) != "]":
        if sign == ",":
            buffer.at += 1
            continue
        number += 1
        offset = buffer.offset()
        try:
            if not sign:
                raise _BrokenError
            full_url, resource = _resource(buffer.value())
        except _BrokenError:
            lost += 1
            pattern = _NEXT_RESOURCE if _NEXT_RESOURCE.match(buffer.text, buffer.at) else _NEXT_ENTRY
            if buffer.offset() > offset:
                yield Damage(number, "holds no FHIR resource")
            elif lost < _MOST_LOST and buffer.skip_to(pattern, 40):
                yield Damage(number, "is not readable as a FHIR resource")
            else:
                yield Damage(number, "is damaged or cut off, and what follows was not read")
                buffer.at = len(buffer.text)
                return
        else:
            yield Entry(number, offset, buffer.offset() - offset, full_url, resource)
    buffer.at += 1


def _parse(text: str) -> Any:
    """A whole text as JSON; bytes that could not be decoded are tried as GB18030, else they stay what they are."""
    if not text.isascii() and _UNDECODED.search(text):
        other = decode(text.encode("utf-8", "surrogateescape"))
        if other is not None:
            with suppress(_BrokenError):
                return _parsed(other)
    return _parsed(text)


def _parsed(text: str) -> Any:
    try:
        value, end = _DECODER.raw_decode(text, _blank_end(text, 1 if text.startswith("\ufeff") else 0))
    except (ValueError, RecursionError):
        raise _BrokenError from None
    if _blank_end(text, end) < len(text):
        raise _BrokenError
    return value


def _resource(value: Any) -> tuple[str, dict[str, Any]]:
    """Address and resource of an entry, or of a resource that stands alone.

    Raises:
        _BrokenError: there is none.
    """
    if not isinstance(value, dict):
        raise _BrokenError
    if isinstance(value.get("resourceType"), str):
        return "", value
    resource, full_url = value.get("resource"), value.get("fullUrl")
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise _BrokenError
    return full_url if isinstance(full_url, str) else "", resource

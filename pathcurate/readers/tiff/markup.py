"""The beginning of an XML document in a header, read as far as it goes.

Vendors put XML of any length into a text tag, some with images in it; only its beginning is read. What is cut off or
damaged is no error here: the elements before it count. Entities and document types are refused (defusedxml), and no
document can nest deeply enough or hold enough elements to cost more than its own length.
"""

import base64
import codecs
import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers.expat import ExpatError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from pathcurate.ifd import BLOCK_BYTES, Directory

_MAX_DEPTH: Final = 32
"""Deeper elements are left out; slides' headers nest to seven."""
_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]*\?>")


@dataclass(slots=True)
class Element:
    """An element, perhaps without those of its children that were cut off.

    Attributes:
        name: without its namespace, which vendors change with every version.
        namespace: its namespace; empty if it has none.
        attributes: by name without namespace; an element whose start was cut off is left out with all of them.
        text: character data directly inside, without blanks at the ends.
        children: in document order.
        is_whole: whether its end was read.
    """

    name: str
    namespace: str
    attributes: Mapping[str, str]
    text: str = ""
    children: "list[Element]" = field(default_factory=list)
    is_whole: bool = False

    def first(self, *path: str) -> "Element | None":
        """The first element down a path of names; None if there is none."""
        return next(self.every(*path), None)

    def every(self, *path: str) -> "Iterator[Element]":
        """All elements down a path of names, in document order; ``*`` is any name."""
        if not path:
            yield self
            return
        for child in self.children:
            if path[0] in {child.name, "*"}:
                yield from child.every(*path[1:])

    def value(self, *path: str) -> str | None:
        """The text of the first element down a path; None if there is none or it is empty."""
        found = self.first(*path)
        return (found.text or None) if found else None

    def whole(self, name: str) -> int | None:
        """An attribute that is an integer of at most 18 digits; None if it is missing or another text."""
        text = self.attributes.get(name, "").strip()
        return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) else None


class _Builder:
    """What the parser tells, as far as it gets."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._too_deep = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if len(self._open) == _MAX_DEPTH:
            self._too_deep += 1
            return
        namespace, _, name = tag.rpartition("}")
        if "}" in "".join(attributes):
            attributes = {key.rpartition("}")[2]: value for key, value in attributes.items()}
        element = Element(name, namespace[1:], attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def data(self, text: str) -> None:
        if self._texts and not self._too_deep:
            self._texts[-1].append(text)

    def end(self, tag: str) -> None:
        if self._too_deep:
            self._too_deep -= 1
            return
        element = self._open.pop()
        element.text = "".join(self._texts.pop()).strip()
        element.is_whole = True

    def close(self) -> None:
        """Part of the parser's interface; a cut document is never closed."""


def parse(text: str) -> Element | None:
    """The root element with all that could be read; None if not even its start could, or it declares entities.

    An element that was cut off or damaged has no text, so half a value is never taken for a whole one.
    """
    builder = _Builder()
    # What the declaration says of the encoding is no longer true of a text.
    document = _DECLARATION.sub("", text.lstrip("\ufeff"), count=1).encode("utf-8", errors="replace")
    with contextlib.suppress(ParseError, ExpatError, DefusedXmlException, ValueError):
        XMLParser(target=builder, encoding="utf-8", forbid_dtd=True).feed(document)
    return builder.root


def from_base64(text: str) -> str | None:
    """A barcode that is written in Base64, as it stands if it is not; None if it is empty."""
    try:
        return base64.b64decode(text, validate=True).decode("utf-8").strip("\0 \t\r\n") or None
    except ValueError:
        return text


def read_bytes(directory: Directory, tag: int, limit: int) -> int:
    """What :func:`text_of` reads of a tag in bytes; 0 for a text so short that it comes with the directory's own block."""
    entry = directory.entries.get(tag)
    size = min(entry.size, limit) if entry else 0
    return size if size > BLOCK_BYTES // 2 else 0


def text_of(directory: Directory, tag: int, limit: int, start: int = 0) -> str:
    """At most ``limit`` bytes of a tag from ``start``, as text; a character that the cut splits is left out.

    XML in TIFF is UTF-8; scanners that wrote it in the code page of their Windows are met too.

    Raises:
        TruncatedTiff: the file ends before the value does.
    """
    data = directory.raw_value(tag, limit, start).partition(b"\0")[0]
    for encoding in ("utf-8", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            return codecs.getincrementaldecoder(encoding)().decode(data)
    return data.decode("latin-1")

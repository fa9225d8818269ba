"""A clinical document as a tree of small elements, with its pictures left out while it is read.

Document types, entities and external references are refused before anything of them is read (defusedxml). A document may
have 256 levels, 200,000 elements and 16 Mi characters of text, whatever the size of the pictures in it.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from pathcurate.errors import InputOutputError, UsageError

_DEEPEST: Final = 256
_MOST_ELEMENTS: Final = 200_000
_MOST_TEXT: Final = 16 << 20
_LONGEST_TOKEN: Final = 4 << 20
_BLOCK: Final = 1 << 18
_HEAD: Final = 4096
_DECLARED: Final = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})")
_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]*\?>")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Told by the bytes themselves, in this order: what is declared as one of them is often another.
_BY_BYTES: Final = re.compile(r"utf|unicode|gb|cp936|ascii|windows-936", re.IGNORECASE)
_READABLE: Final = re.compile(r"text/(?:plain|x-hl7-text\+xml|html)?|", re.IGNORECASE)


@dataclass(slots=True)
class Element:
    """An element.

    Attributes:
        name: without its namespace.
        attributes: by name without namespace.
        content: its texts and children, in document order.
        is_picture: whether it held data in Base64, which was left out.
    """

    name: str
    attributes: Mapping[str, str]
    content: "list[Element | str]" = field(default_factory=list)
    is_picture: bool = False

    def children(self, name: str = "") -> "Iterator[Element]":
        """The elements directly inside, of one name or all."""
        return (item for item in self.content if isinstance(item, Element) and name in {"", item.name})

    def every(self, *path: str) -> "Iterator[Element]":
        """All elements down a path of names, in document order."""
        if not path:
            yield self
            return
        for child in self.children(path[0]):
            yield from child.every(*path[1:])

    def walk(self) -> "Iterator[Element]":
        """This element and all below it, in document order."""
        pending = [self]
        while pending:
            element = pending.pop()
            yield element
            pending += [item for item in reversed(element.content) if isinstance(item, Element)]

    def count_pictures(self) -> int:
        """How many pictures and documents were left out; what is inside of one is part of it."""
        return sum(child.is_picture for element in self.walk() if not element.is_picture for child in element.children())

    def get(self, name: str) -> str:
        """An attribute without outer blanks; empty without it."""
        return self.attributes.get(name, "").strip()


class RefusedError(Exception):
    """A document that is not read; its text says why, without a value."""


class _Builder:
    """What the parser tells, as a tree."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._elements = 0
        self._characters = 0
        self.told = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.told += 1
        self._elements += 1
        if self._elements > _MOST_ELEMENTS or len(self._open) == _DEEPEST:
            raise RefusedError("nests too deeply or has too many elements")
        name = tag.rpartition("}")[2]
        if "}" in "".join(attributes):
            attributes = {key.rpartition("}")[2]: value for key, value in attributes.items()}
        element = Element(name, attributes)
        element.is_picture = self._is_picture(element)
        if self._open:
            self._open[-1].content.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _is_picture(self, element: Element) -> bool:
        if element.get("representation").upper() == "B64":
            return True
        if not self._open:
            return False
        above = self._open[-1]
        if above.name == "nonXMLBody" and element.name == "text":
            return not _READABLE.fullmatch(element.get("mediaType"))
        return above.is_picture or (above.name == "observationMedia" and element.name == "value")

    def data(self, text: str) -> None:
        self.told += 1
        if not self._open or self._open[-1].is_picture:
            return
        self._characters += len(text)
        if self._characters > _MOST_TEXT:
            raise RefusedError("holds too much text")
        content = self._open[-1].content
        # Expat gives a text in pieces, between which stands no element.
        if content and isinstance(content[-1], str):
            content[-1] += text
        else:
            content.append(text)

    def end(self, tag: str) -> None:
        self._open.pop()

    def close(self) -> Element | None:
        return self.root


def read_document(path: Path, encoding: str | None) -> Element:
    """The root element of a document.

    What a document says of its encoding is often wrong, so its bytes decide: by mark, as UTF-8, as what is declared if
    that is neither Unicode nor Chinese, as GB18030 (which holds GB2312 and GBK), as Big5; each strictly.

    Args:
        path: the file.
        encoding: Python's name of its encoding; found out if None.

    Raises:
        RefusedError: it is no XML, declares entities or a document type, or is larger than any document is.
        InputOutputError: the file cannot be read.
        UsageError: it is not in the encoding that is given.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        for candidate in [encoding] if encoding else _candidates(head):
            try:
                return _parsed(path, candidate)
            except UnicodeError:
                continue
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({type(error).__name__})", "Check the path in pathcurate.yaml and its permissions."
        ) from None
    if encoding:
        raise UsageError(f"{path.name} is not {encoding}", "Correct or remove `encoding` in its mapping.")
    raise RefusedError("is not text in a known encoding")


def _candidates(head: bytes) -> list[str]:
    marked = next((name for bom, name in _BOMS if head.startswith(bom)), None)
    if marked:
        return [marked, "gb18030"]
    if head[:2] in {b"<\0", b"\0<"}:
        return ["utf-16-le" if head[:1] == b"<" else "utf-16-be"]
    found = _DECLARED.search(head)
    declared = found[1].decode("ascii") if found else ""
    others = [declared] if declared and not _BY_BYTES.search(declared) and _is_encoding(declared) else []
    return ["utf-8", *others, "gb18030", "big5"]


def _is_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding  # noqa: SLF001  there is no other way to tell base64 from an encoding
    except LookupError:
        return False


def _parsed(path: Path, encoding: str) -> Element:
    builder = _Builder()
    parser: Any = XMLParser(target=builder, encoding="utf-8", forbid_dtd=True)
    try:
        with path.open(encoding=encoding, errors="strict", newline="") as file:
            # What the declaration says of the encoding is no longer true of a text.
            text = file.read(_BLOCK).lstrip("\ufeff")
            declaration = _DECLARATION.match(text)
            lines = text[: declaration.end()].count("\n") if declaration else 0
            text = "\n" * lines + text[declaration.end() :] if declaration else text
            silent = told = 0
            while text:
                parser.feed(text.encode("utf-8", "replace"))
                # Expat reads a token that does not end again with every block.
                silent = silent + len(text) if builder.told == told else 0
                if silent > _LONGEST_TOKEN:
                    raise RefusedError("holds a tag or comment without end")
                told = builder.told
                text = file.read(_BLOCK)
        root: Element | None = parser.close()
    except DefusedXmlException:
        raise RefusedError("declares entities or a document type, which no clinical document does,") from None
    except (ParseError, ExpatError) as error:
        line = getattr(error, "position", (getattr(error, "lineno", 0), 0))[0]
        raise RefusedError(f"is no valid XML (line {line})") from None
    if root is None:
        raise RefusedError("is empty")
    return root


_LINES: Final = frozenset({"paragraph", "item", "tr", "table", "list", "caption", "br", "thead", "tbody", "p", "div"})
_UNSEEN: Final = frozenset({"renderMultiMedia", "footnoteRef", "colgroup", "col"})


def narrative(element: Element) -> str:
    """The text of a section (CDA R2, 4.3.5): a line for each paragraph, item and row, without what was struck out."""
    pieces: list[str] = []
    _tell(element, pieces, is_block=False)
    lines = (re.sub(r"[ \t\r\xa0]+", " ", line).strip() for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _tell(element: Element, pieces: list[str], *, is_block: bool) -> None:
    for item in element.content:
        if isinstance(item, str):
            # Line ends between the cells of a table are layout; those in a text that somebody typed are its own.
            pieces.append(re.sub(r"\s+", " ", item) if is_block else item)
        elif item.name not in _UNSEEN and item.get("revised") != "delete":
            edge = "\n" if item.name in _LINES else ""
            pieces.append(edge)
            _tell(item, pieces, is_block=item.name in {"table", "tr", "thead", "tbody", "list"})
            pieces.append(edge or (_cell_end(element, item)))


def _cell_end(row: Element, cell: Element) -> str:
    """What stands behind a cell: a colon behind the head of a row of two, else a blank."""
    if cell.name not in {"td", "th"}:
        return ""
    cells = [other for other in row.children() if other.name in {"td", "th"}]
    is_head = len(cells) == 2 and cell is cells[0] and (cell.name == "th" and cells[1].name == "td")
    return "：" if is_head else " "

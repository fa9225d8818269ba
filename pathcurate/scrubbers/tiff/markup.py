"""XML in a header, element by element by the rules: what is not allowed goes, what nobody knows is taken down.

Rules name an element ``image``, and an attribute ``image@name``, both without namespace; one for a beginning only removes.
The document is read and written as a stream, since that of a large slide has a line for every pair of tiles. Comments and
processing instructions go.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from pathcurate.ifd import texts
from pathcurate.model.filerule import FileRule, folded
from pathcurate.model.filescrub import Deed, UnscrubbableError
from pathcurate.scrubbers.tiff.forms import words_of
from pathcurate.scrubbers.tiff.judging import Judge

if TYPE_CHECKING:
    # Names a type; what parses is defusedxml.
    from xml.etree.ElementTree import Element

MOST_BYTES: Final = 64 << 20
_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]*\?>\s*")
_DEEPEST: Final = 64
_PREFIXES: Final = frozenset({"", "xmlns", "xsi", "xml", "ome", "OME", "x", "rdf", "scn"})
"""Prefixes of namespaces; any other is somebody's word."""


def decoded(data: bytes) -> str:
    """The text of an XML value, up to its first NUL, without declaration.

    Raises:
        UnscrubbableError: it is longer than any slide's.
    """
    if len(data) > MOST_BYTES:
        raise UnscrubbableError("an XML text is larger than any slide's")
    text = texts.decode(data.partition(b"\0")[0], MOST_BYTES + 1)
    return _DECLARATION.sub("", text.lstrip("\ufeff"), count=1)


def tree(text: str) -> "Element":
    """A document as a tree, for what must be known before it is filtered.

    Raises:
        UnscrubbableError: it is damaged, or declares a document type.
    """
    try:
        root: Element = fromstring(text.encode("utf-8", errors="replace"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, RecursionError):
        raise UnscrubbableError("an XML text is damaged, or declares a document type") from None
    return root


def children(element: "Element", *path: str) -> "Iterator[Element]":
    """All elements down a path of names without namespace, in document order."""
    if not path:
        yield element
        return
    for child in element:
        if local(child.tag) == path[0]:
            yield from children(child, *path[1:])


def local(name: str) -> str:
    """A name without its namespace or prefix."""
    return name.rpartition("}")[2].rpartition(":")[2]


class Filter:
    """One pass over a document.

    Args:
        judge: the rules and the account.
        table: of rules for elements and attributes.
        place: where the document stands, in words of the file's structure.
        drop: by element the ordinals of those that go with all that they hold, counted from 0.
        renumber: by element and attribute, what becomes of numbers; the attribute goes if the number is not there.
    """

    def __init__(
        self,
        judge: Judge,
        table: str,
        place: str,
        drop: Mapping[str, frozenset[int]] | None = None,
        renumber: Mapping[tuple[str, str], Mapping[str, str]] | None = None,
    ) -> None:
        self._judge = judge
        self._table = table
        self._place = place
        self._drop = drop or {}
        self._renumber = renumber or {}
        self._spaces = words_of(judge.job.rules, "namespaces")
        self._out: list[str] = []
        self._open: list[tuple[str, str, FileRule | None]] = []
        self._text: list[str] = []
        self._counts: dict[str, int] = {}
        self._skipped = 0
        self._rules: dict[tuple[str, str], FileRule | None] = {}

    def filtered(self, text: str) -> str:
        """The document without what may not stay.

        Raises:
            UnscrubbableError: it is damaged, nests too deeply, declares a document type, or is of an unknown namespace.
        """
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(text.encode("utf-8", errors="replace"), True)
        except expat.ExpatError:
            raise UnscrubbableError("an XML text is damaged") from None
        return "".join(self._out)

    def subject(self, name: str, attributes: Mapping[str, str]) -> tuple[str, str]:
        """Table and name of the rule for an element; a dialect whose elements are all called alike says otherwise."""
        return self._table, name

    def cleaned(self, name: str, about: str | None, text: str) -> str | None:
        """What becomes of a text under a rule that cleans it; None if it goes."""
        return None

    def blanks(self, text: str) -> str:
        """What becomes of blanks and ends of lines between elements."""
        return text

    def is_stock(self, name: str, attribute: str, value: str) -> bool:
        """Whether the value of an attribute that goes with its element might as well have stayed."""
        rule = self._judge.job.rules.find(self._table, f"{name}@{attribute}")
        return rule is not None and rule.deed is Deed.KEEP and self._judge.keeps(rule, self._table, value)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local(tag)
        declared = [item.removeprefix("xmlns:") for item in attributes if item.startswith("xmlns:")]
        if not _PREFIXES.issuperset([*declared, *(item.rpartition(":")[0] for item in (tag, *attributes))]):
            raise UnscrubbableError("an XML text has a prefix that no slide's has")
        self._counts[name] = ordinal = self._counts.get(name, -1) + 1
        if self._skipped:
            self._skipped += 1
            self._lose_text(name)
            self._lose(name, attributes)
            return
        self._flush()
        if len(self._open) == _DEEPEST:
            raise UnscrubbableError("an XML text nests too deeply")
        table, subject = self.subject(name, attributes)
        rule = self._rule(table, subject)
        if rule is None or rule.deed is Deed.REMOVE or ordinal in self._drop.get(name, ()):
            if rule is not None:
                self._judge.note(f"{self._place}, {rule.name}", Deed.REMOVE, table, rule.name)
            self._skipped = 1
            self._lose(name, attributes)
            return
        self._out.append(f"<{tag}{''.join(self._attributes(name, attributes))}>")
        self._open.append((tag, table, rule))

    def _attributes(self, name: str, attributes: Mapping[str, str]) -> list[str]:
        made = []
        for attribute, value in attributes.items():
            if attribute == "xmlns" or attribute.startswith("xmlns:") or local(attribute) == "schemaLocation":
                if not self._spaces.issuperset(value.casefold().split()):
                    raise UnscrubbableError("an XML text is of a namespace that no rule allows")
                made.append(f" {attribute}={quoteattr(value)}")
                continue
            kept = self._attribute(name, local(attribute), value)
            if kept is not None:
                made.append(f" {attribute}={quoteattr(kept)}")
        return made

    def _attribute(self, name: str, attribute: str, value: str) -> str | None:
        if (numbers := self._renumber.get((name, attribute))) is not None:
            return numbers.get(value.strip())
        rule = self._rule(self._table, f"{name}@{attribute}")
        if rule is None:
            return None
        return self._judge.value(rule, self._table, value, f"{self._place}, {rule.name}")

    def _rule(self, table: str, name: str) -> FileRule | None:
        key = (table, name)
        if key not in self._rules:
            rule = self._judge.find(table, name, f"{self._place}, element {sum(self._counts.values())}")
            # Under a rule for a beginning the rest of a name is anybody's, so such a rule can only remove.
            is_judged = rule is None or rule.deed is Deed.REMOVE or folded(rule.name) == folded(name)
            self._rules[key] = rule if is_judged else None
        return self._rules[key]

    def _lose(self, name: str, attributes: Mapping[str, str]) -> None:
        for attribute, value in attributes.items():
            if not self.is_stock(name, local(attribute), value):
                self._judge.gone(f"{name}@{local(attribute)}", value)

    def _lose_text(self, name: str) -> None:
        text, self._text = "".join(self._text), []
        self._judge.gone(name, text)

    def _characters(self, text: str) -> None:
        self._text.append(text)

    def _flush(self) -> None:
        """What stands before a tag."""
        text, self._text = "".join(self._text), []
        if not text.strip():
            self._out.append(self.blanks(text) if self._open else "")
            return
        _, table, rule = self._open[-1] if self._open else ("", "", None)
        if rule is None:
            return
        if rule.deed is Deed.CLEAN:
            kept = self.cleaned(rule.name, rule.about, text)
            if kept != text:
                self._judge.note(f"{self._place}, {rule.name}", Deed.CLEAN, table, rule.name)
                self._judge.gone(rule.name, text)
        else:
            kept = self._judge.value(rule, table, text, f"{self._place}, {rule.name}")
        self._out.append(escape(kept or ""))

    def _end(self, tag: str) -> None:
        if self._skipped:
            self._lose_text(local(tag))
            self._skipped -= 1
            return
        self._flush()
        self._open.pop()
        self._out.append(f"</{tag}>")


def _refuse(*_: object) -> None:
    raise UnscrubbableError("an XML text declares a document type")

"""A recipe made of several files: where each of its parts comes from, so that a fault is shown in the file it stands in."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pathcurate.yamlsource import Document, KeyPath, Problem, Step

_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a part comes from; what lies below it comes from there too, unless ``parts`` says otherwise."""

    document: Document
    path: KeyPath = ()
    parts: Mapping[Step, "Origin"] = field(default_factory=dict)

    def of(self, path: Sequence[Step]) -> tuple[Document, KeyPath]:
        """The file in which a part below stands, and its path there."""
        node = self
        for index, step in enumerate(path):
            if step not in node.parts:
                return node.document, (*node.path, *path[index:])
            node = node.parts[step]
        return node.document, node.path


@dataclass(frozen=True, slots=True)
class Merged(Document):
    """The recipe's own file, with the data of all that it extends and the values of its parameters.

    Attributes:
        origin: of the whole.
        values: parameter and value by the path of the part for which it stands.
    """

    origin: Origin | None = None
    values: Mapping[KeyPath, tuple[str, object]] = field(default_factory=dict)

    def place(self, path: Sequence[Step]) -> tuple[Document, KeyPath]:
        """The file in which a part stands, and its path there."""
        written = tuple(self._as_written(path))
        return self.origin.of(written) if self.origin is not None else (self, written)

    def _as_written(self, path: Sequence[Step]) -> Iterator[Step]:
        """The path without ``any_of`` where a list stands for it, as in the classes of a label."""
        data = self.data
        for step in path:
            if step == "any_of" and isinstance(data, list):
                continue
            yield step
            if isinstance(data, dict):
                data = data.get(step)
            else:
                data = data[step] if isinstance(data, list) and isinstance(step, int) and step < len(data) else None

    def problem(self, path: Sequence[Step], message: str, *, key: bool = False) -> Problem:
        """A problem at a part, in the file where that stands; if a parameter stands for it, with its value."""
        document, inner = self.place(path)
        line, column = document.position(inner, key=key)
        return self._problem_at(document, line, column, message + self._value_words(path))

    def problem_within(self, path: Sequence[Step], message: str, text: str, start: int, length: int) -> Problem:
        """A problem at a part of a text, as near as its place in the file can be told from the words there."""
        document, inner = self.place(path)
        line, column = document.position(inner)
        word = text[start : start + length].partition("\n")[0]
        # The words before it that look the same stand before it in the file too, however the text is broken and quoted.
        nth = sum(1 for _ in re.finditer(re.escape(word), text[:start])) if word else 0
        for number in range(line, len(document.lines) + 1):
            source = document.lines[number - 1]
            for hit in re.finditer(re.escape(word), source) if word else ():
                if number == line and hit.start() < column - 1:
                    continue
                if not nth:
                    return self._problem_at(document, number, hit.start() + 1, message)
                nth -= 1
        return self._problem_at(document, line, column, message)

    def _problem_at(self, document: Document, line: int, column: int, message: str) -> Problem:
        if document.name == self.name:
            return Problem(line, column, message)
        source = document.lines[line - 1] if line <= len(document.lines) else ""
        return Problem(line, column, message, document.name, source)

    def _value_words(self, path: Sequence[Step]) -> str:
        for length in range(len(path), 0, -1):
            if tuple(path[:length]) in self.values:
                name, value = self.values[tuple(path[:length])]
                shown = json.dumps(value, ensure_ascii=False)
                return f" (parameter `{name}` is {shown if len(shown) <= _MOST_SHOWN else shown[:_MOST_SHOWN] + '…'})"
        return ""

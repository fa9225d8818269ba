"""JSON read member by member and element by element, so that no more than one of them is held at a time."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, TextIO

from pathcurate.annotations.shapes import DamagedError

_BLOCK: Final = 1 << 20
_LARGEST: Final = 64 << 20
"""Characters of one element; a ring of a million corners has 20 million."""
_BLANK: Final = re.compile(r"[ \t\r\n\x00\ufeff]*")
# The longest token whose beginning is no error of its own: "-Infinity", or an escape of two surrogates.
_LONGEST_TOKEN: Final = 12
# Numbers of any length become a float, so that one of ten thousand digits is infinite and no error.
_DECODER: Final = json.JSONDecoder(parse_int=float, strict=False)


class JsonStream:
    """A window on a text of JSON values, one behind another."""

    def __init__(self, text: TextIO) -> None:
        self._file = text
        self._text, self._at, self._before = "", 0, 0

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def value(self) -> Any:
        """The value that begins here, whole; numbers are floats.

        Raises:
            DamagedError: there is none, or it is larger than anything that is drawn.
        """
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos >= len(self._text) - _LONGEST_TOKEN
                if not is_cut or len(self._text) - self._at > _LARGEST or not self._fill():
                    raise self._damaged() from None
                continue
            except RecursionError:
                raise self._damaged() from None
            # A number that ends where the window ends may go on behind it.
            if end < len(self._text) or self._text[end - 1] in '"}]' or not self._fill():
                self._at = end
                return value

    def members(self) -> Iterator[str]:
        """The names of the members of the object that begins here; whoever takes a name reads the value behind it.

        Raises:
            DamagedError: it is no object, or is cut off.
        """
        for _ in self._parts("{", "}"):
            name = self.value() if self.peek() == '"' else None
            if not isinstance(name, str) or self.peek() != ":":
                raise self._damaged()
            self._at += 1
            yield name

    def elements(self) -> Iterator[Any]:
        """The elements of the array that begins here, each whole.

        Raises:
            DamagedError: it is no array, or is cut off.
        """
        for _ in self._parts("[", "]"):
            yield self.value()

    def _parts(self, begin: str, end: str) -> Iterator[None]:
        """Stand before each part between brackets."""
        if self.peek() != begin:
            raise self._damaged()
        self._at += 1
        sign = self.peek()
        while sign != end:
            yield
            sign = self.peek()
            if sign == ",":
                self._at += 1
                # Behind a comma there is another part, so an end here is an error of that part.
                sign = ""
            elif sign != end:
                raise self._damaged()
        self._at += 1

    def _fill(self) -> bool:
        """Read on and forget what lies before here; False at the end of the text."""
        # Much more than is there: a value of any length is parsed from its start only a few times.
        more = self._file.read(max(_BLOCK, 3 * (len(self._text) - self._at)))
        if not more:
            return False
        self._before += self._at
        self._text, self._at = self._text[self._at :] + more, 0
        return True

    def _damaged(self) -> DamagedError:
        return DamagedError(f"is damaged or cut off, at character {self._before + self._at + 1:,}")

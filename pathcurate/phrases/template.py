"""Sentences with places in them, and the parts that stand in these places."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import NamedTuple

_LETTERS, _LETTERS_OF_OPEN = 8, 12
_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?", re.ASCII)


class Place(NamedTuple):
    """Where a part stands.

    Attributes:
        name: of the part.
        kind: ``n`` for a number, ``w`` for a word, empty for anything.
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Template:
    """A sentence such as ``{0} is no workspace: it holds no {1}``; ``{0:n}`` is a number and nothing else.

    Attributes:
        text: with a place in braces for each part; a brace of the sentence's own is written twice.
    """

    text: str

    @cached_property
    def _pieces(self) -> tuple[tuple[str, ...], tuple[Place, ...]]:
        literals, places = [""], []
        for literal, name, kind, _ in Formatter().parse(self.text):
            literals[-1] += literal
            if name is not None:
                places.append(Place(name, kind or ""))
                literals.append("")
        return tuple(literals), tuple(places)

    @property
    def literals(self) -> tuple[str, ...]:
        """What stands around the places, one more than these."""
        return self._pieces[0]

    @property
    def places(self) -> tuple[Place, ...]:
        """In the order in which they stand."""
        return self._pieces[1]

    @cached_property
    def weight(self) -> int:
        """How much of it is fixed, in characters: of two that fit, the one that fixes more is meant."""
        return sum(map(len, self.literals))

    @cached_property
    def anchor(self) -> str:
        """The longest fixed piece."""
        return max(self.literals, key=len)

    @cached_property
    def is_telling(self) -> bool:
        """Whether enough of it is fixed to know it again: ``{0} of {1}`` fits half of all sentences, and titles."""
        free = [place.kind != "n" for place in self.places]
        letters = sum(character.isalpha() for literal in self.literals for character in literal)
        is_open = bool(free) and free[0] and free[-1] and not self.literals[0] and not self.literals[-1]
        return not any(free) or letters >= (_LETTERS_OF_OPEN if is_open else _LETTERS)

    def parts(self, text: str) -> dict[str, str] | None:
        """What stands in the places of a text that was made from this; None if it was not.

        Each part is as short as can be, from the left. One pass, so no text, however it was made up, takes longer.
        """
        first, *middle, last = self.literals if self.places else (self.text, "")
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return None
        at, end = len(first), len(text) - len(last)
        found: list[str] = []
        for literal in middle:
            start = text.find(literal, at, end)
            if start < 0:
                return None
            found.append(text[at:start])
            at = start + len(literal)
        found.append(text[at:end])
        if not self.places:
            return {} if text == "".join(self.literals) else None
        parts: dict[str, str] = {}
        for place, part in zip(self.places, found, strict=True):
            if (place.kind == "n" and not _NUMBER.fullmatch(part)) or parts.setdefault(place.name, part) != part:
                return None
        return parts

    def filled(self, parts: dict[str, str], word: Callable[[str], str]) -> str:
        """The sentence with its parts.

        Args:
            parts: by name.
            word: says a part whose place asks for a word (``{0:w}``) in the language.
        """
        text = self.literals[0]
        for place, literal in zip(self.places, self.literals[1:], strict=True):
            part = parts[place.name]
            text += (word(part) if place.kind == "w" else part) + literal
        return text

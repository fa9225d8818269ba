"""Text as a terminal shows it: on one line, obeyed by nothing, and as wide as it is."""

import re
import unicodedata

# Controls but tab and line end, and the marks by which a text is read in another order than it is written (UAX 9, 2).
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text on one line, without characters that a terminal obeys."""
    return unobeyed(text.replace("\t", " ").replace("\n", " "))


def unobeyed(text: str) -> str:
    """The lines of a text without characters that a terminal obeys."""
    return _OBEYED.sub("\ufffd", text)


def unobeyed_json(document: str) -> str:
    """The same JSON, in which those characters are escapes."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def blank(text: str) -> str:
    """Blank text that is as wide as this one on a terminal."""
    return "".join(
        "\u3000" if unicodedata.east_asian_width(character) in {"W", "F"} else " "
        for character in text
        if unicodedata.category(character) not in {"Mn", "Me", "Cf"}
    )


def width(text: str) -> int:
    """How many columns of a terminal the text takes: a Chinese character takes two."""
    return sum(
        2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
        for character in text
        if unicodedata.category(character) not in {"Mn", "Me", "Cf"}
    )


def padded(text: str, columns: int) -> str:
    """The text with spaces behind it, so that it takes at least so many columns of a terminal."""
    return text + " " * (columns - width(text))

"""Text as a terminal shows it: on one line, obeyed by nothing, and as wide as it is."""

import unicodedata


def visible(text: str) -> str:
    """The text on one line, without characters that a terminal obeys."""
    return "".join(
        " " if character in "\t\n" else "\ufffd" if unicodedata.category(character) in {"Cc", "Zl", "Zp"} else character
        for character in text
    )


def blank(text: str) -> str:
    """Blank text that is as wide as this one on a terminal."""
    return "".join(
        "\u3000" if unicodedata.east_asian_width(character) in {"W", "F"} else " "
        for character in text
        if unicodedata.category(character) not in {"Mn", "Me", "Cf"}
    )

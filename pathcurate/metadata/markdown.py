"""The one door to Markdown: every value is escaped, so that no text of somebody's becomes a heading, a link or markup.

What is written is CommonMark with GitHub's tables; the escapes are those of CommonMark 0.31, section 2.4.
"""

import re
import unicodedata
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

_IDENTIFIER = re.compile(r"[\w./:@+=-]{1,120}", re.ASCII)
_SIGNS = re.compile(r"([\\`*_{}\[\]<>|~&$^])")
# What begins a heading, a list, a quotation, a rule or a definition where it begins a line.
_BEGINS = re.compile(r"([#+\-=:!])|(\d{1,9})([.)])(?=\s|$)")
_LINKS = re.compile(r"(?i)(:)(?=//)|(?<=www)(\.)")
_BREAKS = re.compile(r"[\r\n\x0b\x0c\x85\u2028\u2029]+")


class Written(str):
    """Text that is Markdown already."""

    __slots__ = ()


def render(name: str, **values: object) -> str:
    """A template of this package with values in it; all of them are escaped but those that are :class:`Written`."""
    return _environment().get_template(name).render(values)


def escaped(text: str) -> Written:
    """Text on one line that reads as it stands; what cannot be seen, or turns its line around, is shown as ``[U+202E]``."""
    line = "".join(_visible(character) for character in " ".join(text.split()))
    line = _LINKS.sub(lambda match: "\\" + match[0], _SIGNS.sub(r"\\\1", line))
    begins = _BEGINS.match(line)
    if begins:
        line = (f"\\{begins[1]}" if begins[1] else f"{begins[2]}\\{begins[3]}") + line[begins.end() :]
    return Written(line)


def _visible(character: str) -> str:
    # Controls, marks without a width (which may reverse a line), surrogates and what Unicode has not assigned.
    is_hidden = unicodedata.category(character)[0] == "C"
    return f"[U+{ord(character):04X}]" if is_hidden else character


def paragraphs(text: str) -> Written:
    """A text of several lines, each a paragraph of its own."""
    return Written("\n\n".join(escaped(line) for line in _BREAKS.split(text) if line.strip()))


def code(text: str) -> Written:
    """A name, path or digest in its own type; anything else as plain text."""
    return Written(f"`{text}`") if _IDENTIFIER.fullmatch(text) else escaped(text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pathcurate.metadata", ""),
        autoescape=False,  # noqa: S701 -- this is no HTML: `finalize` escapes for Markdown
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(paragraphs=paragraphs, code=code, grouped=lambda number: f"{number:,}")
    return environment


def _finalize(value: object) -> object:
    return escaped(value) if isinstance(value, str) and not isinstance(value, Written) else value

"""The language in which a command speaks to people: of ``--lang``, else of the locale, else English."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathcurate.phrases import Language

_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_CHINESE = re.compile(r"zh(?![a-z])", re.IGNORECASE)
_CHOICES = ("en", "zh")
_PROBE = "错误：下一步。"

_spoken: ContextVar["Language"] = ContextVar("language", default="en")


def language_of(arguments: Sequence[str], environment: Mapping[str, str], encoding: str) -> "Language":
    """The language of one call.

    The first of LC_ALL, LC_MESSAGES and LANG that is set decides, as everywhere; each zh, also of Taiwan and Hong Kong, is
    simplified Chinese here. A locale whose encoding has no Chinese is not taken at its word; ``--lang`` is.

    Args:
        arguments: as given, because parsing them may be what fails.
        environment: the environment.
        encoding: of what is shown.
    """
    for number, argument in enumerate(arguments):
        name, sign, value = argument.partition("=")
        if argument == "--":
            break
        if name == "--lang":
            asked = value if sign else "".join(arguments[number + 1 : number + 2])
            return "zh" if asked == "zh" else "en"
    locale = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    return "zh" if _CHINESE.match(locale) and _can_show(encoding) else "en"


def _can_show(encoding: str) -> bool:
    try:
        _PROBE.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@contextmanager
def speaking(language: "Language") -> Iterator[None]:
    """Speak a language for a while."""
    token = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(token)


def spoken() -> "Language":
    """The language that is spoken."""
    return _spoken.get()


def said(text: str) -> str:
    """A text in the language that is spoken, as far as it is known there."""
    language = _spoken.get()
    if language == "en":
        return text
    from pathcurate.phrases import phrasebook

    return phrasebook(language).said(text)


def word(text: str) -> str:
    """What one word is called in the language that is spoken: a table, a state, a severity."""
    language = _spoken.get()
    if language == "en":
        return text
    from pathcurate.phrases import phrasebook

    return phrasebook(language).word(text)


def _speak(_context: click.Context, _parameter: click.Parameter, language: "Language | None") -> None:
    if language is not None:
        _spoken.set(language)


def language_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--lang``: the language of messages, not of what machines read."""
    return click.option(
        "--lang", type=click.Choice(_CHOICES), callback=_speak, expose_value=False,
        help="Language of messages.  [default: that of the locale]",
    )(function)  # fmt: skip

"""What kept values may look like: a number of some size, a list of numbers, a word of a list.

That a rule keeps ``AppMag`` says nothing of what somebody wrote there. So every kept text is held against a form, which the
rule pack gives by table and name under ``options.forms``; a name without one is held against ``number``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathcurate.errors import UsageError
from pathcurate.model.filerule import FileRules, folded

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,10}(\.[0-9]{0,12})?([eE][+-]?[0-9]{1,2})?")
_USUAL: Final = 1e7
"""Larger ones count little in a slide's header: eight digits are a day or somebody's number."""
_RANGE: Final = re.compile(r"number (-?[0-9.]+)\.\.(-?[0-9.]+)")
_BETWEEN: Final = re.compile(r"[\s,;x\"'\\]+")
_PATTERNS: Final = {
    "identifier": re.compile(r"(Image|Pixels|Channel|Instrument|Objective)(:[0-9]{1,3}){1,3}"),
    "hexadecimal": re.compile(r"0x[0-9A-Fa-f]{1,4}"),
    "version": re.compile(r'"?v?[0-9]{1,4}(\.[0-9]{1,6}){0,4}"?'),
}
"""What refers to an element of OME's, the number of a DICOM group or element, a version."""
_MOST_NUMBERS: Final = 4096
_VERSION: Final = re.compile(r"v?[0-9]{1,4}(\.[0-9]{1,6}){0,4}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Form:
    """Words that a text may be made of, besides versions; or else numbers, each within bounds."""

    words: frozenset[str] = frozenset()
    many: bool = False
    pattern: re.Pattern[str] | None = None
    low: float = -_USUAL
    high: float = _USUAL

    def fits(self, text: str) -> bool:
        if self.words:
            return is_of_words(text, self.words)
        if self.pattern is not None:
            return self.pattern.fullmatch(text) is not None
        numbers = [part for part in _BETWEEN.split(text) if part] if self.many else [text]
        return 0 < len(numbers) <= _MOST_NUMBERS and all(map(self._is_number, numbers))

    def _is_number(self, text: str) -> bool:
        return _NUMBER.fullmatch(text) is not None and self.low <= float(text) <= self.high


class Forms:
    """The forms of a rule pack.

    Args:
        rules: of the format; ``options.forms`` maps tables to names to forms: ``number``, ``number 1..100``, ``numbers``
            (any separators), ``identifier`` (``Objective:0:1``), ``hexadecimal``, ``version``, or a list of the words of
            which a text may be made besides versions.

    Raises:
        UsageError: an option is none of these.
    """

    def __init__(self, rules: FileRules) -> None:
        self._forms = {
            (str(table), folded(str(name))): _form(form, f"{rules.format}: options.forms.{table}.{name}")
            for table, forms in _mapping(rules.options.get("forms", {}), rules).items()
            for name, form in _mapping(forms, rules).items()
        }
        self.words = frozenset(word for form in self._forms.values() for word in form.words)

    def fits(self, table: str, name: str, text: str) -> bool:
        """Whether a value looks as one of this name does; the form of the rule's name stands for all that begin so."""
        return (self._forms.get((table, folded(name))) or _Form()).fits(text)


def words_of(rules: FileRules, option: str) -> frozenset[str]:
    """The words of an option, folded.

    Raises:
        UsageError: the option is no list of texts.
    """
    found = rules.options.get(option, [])
    if not isinstance(found, list) or not all(isinstance(word, str | int) for word in found):
        raise UsageError(f"{rules.format}: options.{option} is no list of words", "Write a list of texts.")
    return frozenset(folded(str(word)) for word in found)


def is_of_words(text: str, words: frozenset[str]) -> bool:
    """Whether a text is one of the words, or made of words and versions and at least one of the words."""
    if folded(text) in words:
        return True
    tokens = [
        part
        for token in re.split(r"[\s,;/()\[\]]+", folded(text))
        for part in ([token] if token in words else token.split("-"))
        if part
    ]
    return any(token in words for token in tokens) and all(
        token in words or _VERSION.fullmatch(token) is not None for token in tokens
    )


def _mapping(found: object, rules: FileRules) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise UsageError(f"{rules.format}: options.forms maps tables to names to forms", "Compare with the shipped rules.")
    return found


def _form(form: object, place: str) -> _Form:
    if isinstance(form, list) and form and all(isinstance(word, str | int) for word in form):
        return _Form(words=frozenset(folded(str(word)) for word in form))
    if form == "number":
        return _Form()
    if form in _PATTERNS:
        return _Form(pattern=_PATTERNS[str(form)])
    if form == "numbers":
        return _Form(many=True)
    if isinstance(form, str) and (bounds := _RANGE.fullmatch(form)):
        return _Form(low=float(bounds[1]), high=float(bounds[2]))
    known = "number, number 1..100, numbers, identifier, hexadecimal, version, or a list of words"
    raise UsageError(f"{place} is no form", f"Write {known}.")

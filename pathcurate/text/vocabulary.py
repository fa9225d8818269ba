"""Vocabularies: canonical codes and the words that mean them, in Chinese and English, shipped as YAML."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_DIRECTORY = Path(__file__).with_name("vocabularies")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A closed set of codes with their words.

    Attributes:
        name: file name without its ending.
        codes: the codes in file order.
        words: folded word or phrase to code.
        pattern: finds the first word in a folded text, longest word first.
    """

    name: str
    codes: tuple[str, ...]
    words: Mapping[str, str]
    pattern: re.Pattern[str]

    def exact(self, text: str | None) -> str | None:
        """The code that a whole text means, None if it means none."""
        return self.words.get(_fold(text)) if text else None

    def first(self, text: str | None) -> str | None:
        """The code of the first word found in a text, None if there is none."""
        found = self.pattern.search(_fold(text)) if text else None
        return self.words[found[0]] if found else None


@cache
def vocabulary(name: str) -> Vocabulary:
    """A shipped vocabulary by name.

    Raises:
        KeyError: there is none of this name.
    """
    path = _DIRECTORY / f"{name}.yaml"
    if name not in vocabulary_names():
        raise KeyError(name)
    entries: Mapping[str, list[str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = {_fold(word): code for code, synonyms in entries.items() for word in (code, *synonyms)}
    return Vocabulary(name, tuple(entries), words, _matcher(words))


@cache
def vocabulary_names() -> tuple[str, ...]:
    """Names of all shipped vocabularies."""
    return tuple(sorted(path.stem for path in _DIRECTORY.glob("*.yaml")))


def all_codes() -> dict[str, tuple[str, ...]]:
    """Codes of every shipped vocabulary by name."""
    return {name: vocabulary(name).codes for name in vocabulary_names()}


def _matcher(words: Mapping[str, str]) -> re.Pattern[str]:
    # Latin words must stand alone ("HE" is not in "THE"); Han text has no spaces, so its words match anywhere.
    parts = []
    for word in sorted(words, key=len, reverse=True):
        escaped = re.escape(word)
        before = r"(?<![a-z0-9])" if word[0].isascii() and word[0].isalnum() else ""
        after = r"(?![a-z0-9])" if word[-1].isascii() and word[-1].isalnum() else ""
        parts.append(before + escaped + after)
    return re.compile("|".join(parts))


def _fold(text: str) -> str:
    """Text as words are compared: NFKC, lower case, runs of space and underscore as one space."""
    return re.sub(r"[\s_]+", " ", unicodedata.normalize("NFKC", text)).strip().lower()

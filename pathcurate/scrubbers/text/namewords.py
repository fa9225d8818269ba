"""What a name is made of: surnames, the words that begin with one and are no name, and the spellings of one name."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from pathcurate.text.vocabulary import vocabulary, vocabulary_names

HAN = "〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Characters of Chinese names, for a class of a regular expression; 〇 is one."""
DOTS = "·•‧・∙⋅・"
"""Signs between the parts of a name that is written by its sound: 阿依古丽·买买提."""

_HAN = re.compile(f"[{HAN}]")
_NO_HAN_NAME = re.compile(f"[^{HAN}]+")
_PLAIN_NAME = re.compile("[\u4e00-\u9fa5]+")
_LATIN_WORD = re.compile(r"[^\W\d_]+", re.ASCII)
_SHORTEST_WORD, _LONGEST_WORD = 2, 7
_TERMS = tuple(
    Path(__file__).parents[2].joinpath("text", "terms", f"{name}.yaml") for name in ("morphologies", "topographies")
)
_VOCABULARIES = ("organs", "lateralities", "material_kinds", "preparations", "stains")


@dataclass(frozen=True, slots=True)
class NameWords:
    """The lists of ``names.yaml``, and the words of the vocabularies that may be taken for a name.

    Attributes:
        single: surnames of one character.
        common: those of them that are words themselves.
        compound: surnames of two characters.
        given: characters of given names.
        sounds: characters that names of other languages are written with.
        both: words that are names too.
        title_ends: what stands before a title and ends in a surname, which it is not.
        readings: surname to its readings in Pinyin, where they are not those of its character.
        words: beginnings of words that are no name.
        medical: words of the vocabularies in Han characters.
        staff_words: what columns of doctors hold instead of a name.
        nobody: what stands behind a label instead of a name.
        eponyms: Latin surnames that are words of pathology, in lower case.
        latin: Latin words that are no name, in lower case.
        latin_both: Latin words that are surnames too.
        abbreviations: of medicine, in lower case.
        particles: small words inside a Latin name.
        pinyin: frequent Chinese surnames in Pinyin.
        simplified: traditional characters to simplified ones.
    """

    single: frozenset[str]
    common: frozenset[str]
    compound: frozenset[str]
    given: frozenset[str]
    sounds: frozenset[str]
    both: frozenset[str]
    title_ends: frozenset[str]
    readings: dict[str, tuple[str, ...]]
    words: frozenset[str]
    medical: frozenset[str]
    staff_words: frozenset[str]
    nobody: frozenset[str]
    eponyms: frozenset[str]
    latin: frozenset[str]
    latin_both: frozenset[str]
    abbreviations: frozenset[str]
    particles: frozenset[str]
    pinyin: frozenset[str]
    simplified: dict[int, str]


@cache
def name_words() -> NameWords:
    """The shipped lists, read once."""
    lists: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("names.yaml").read_text(encoding="utf-8"))

    def characters(name: str) -> str:
        return str(lists[name]).replace(" ", "")

    def words(name: str) -> frozenset[str]:
        return frozenset(lists[name].split())

    medical = {word for name in _VOCABULARIES for word in vocabulary(name).words if is_han(word) and len(word) > 1}
    return NameWords(
        single=frozenset(characters("single")),
        common=frozenset(characters("common")),
        compound=frozenset(lists["compound"]),
        given=frozenset(characters("given")),
        sounds=frozenset(characters("sounds")),
        both=words("both"),
        title_ends=words("title_ends"),
        readings={surname: tuple(readings.split()) for surname, readings in lists["readings"].items()},
        words=words("words"),
        medical=frozenset(medical),
        staff_words=words("staff_words"),
        nobody=words("nobody"),
        eponyms=words("eponyms"),
        latin=words("latin_words"),
        latin_both=words("latin_both"),
        abbreviations=words("abbreviations"),
        particles=frozenset(lists["particles"]),
        pinyin=words("pinyin"),
        simplified=dict(zip(map(ord, characters("traditional")), characters("simplified"), strict=True)),
    )


@cache
def medical_latin() -> frozenset[str]:
    """Each Latin word of each term of the vocabularies and of the coding terms, in lower case: of "acid fast" both."""
    terms = {term for name in vocabulary_names() for term in vocabulary(name).words if term.isascii()}
    # As text, since only the words count and not what they mean: parsing takes a hundred times as long.
    terms |= {line.partition("#")[0] for path in _TERMS for line in path.read_text(encoding="utf-8").splitlines()}
    return frozenset(word for term in terms for word in _LATIN_WORD.findall(term) if word.islower() and len(word) > 1)


def is_han(text: str) -> bool:
    """Whether there is a Han character in a text."""
    return _HAN.search(text) is not None


def folded_name(text: str) -> str:
    """A name as all its spellings are: of a Chinese one its characters, simplified; of any other its words in upper case.

    ``张　三`` is ``张三``, ``Smith,  John`` is ``SMITH JOHN``.
    """
    if _PLAIN_NAME.fullmatch(text):
        return text.translate(name_words().simplified)
    folded = unicodedata.normalize("NFKC", text)
    if is_han(folded):
        return _NO_HAN_NAME.sub("", folded).translate(name_words().simplified)
    return " ".join(latin_words(folded)).upper()


def latin_words(text: str) -> list[str]:
    """The words of a name in Latin letters, in lower case: ``O'Brien-Smith, J.`` is ``obrien``, ``smith``, ``j``."""
    plain = unicodedata.normalize("NFKD", text.replace("'", "").replace("’", "")).lower()
    return _LATIN_WORD.findall("".join(character for character in plain if not unicodedata.combining(character)))


def surname_length(name: str) -> int:
    """How many characters of a Chinese name are its surname; 0 if it begins with none."""
    words = name_words()
    if name[:2] in words.compound:
        return 2
    return int(name[:1] in words.single)


@cache
def _word_beginnings() -> frozenset[str]:
    """What the words that are no name begin with: asked first, as hardly any place of a text begins one."""
    words = name_words()
    return frozenset(word[:_SHORTEST_WORD] for word in words.words | words.medical)


def begins_word(text: str, start: int) -> bool:
    """Whether a word that is no name begins at a place of a text: 高度, 左乳, 白细胞."""
    if text[start : start + _SHORTEST_WORD] not in _word_beginnings():
        return False
    words = name_words()
    for end in range(start + _SHORTEST_WORD, start + _LONGEST_WORD):
        word = text[start:end]
        if word in words.words or word in words.medical:
            return True
    return False


def is_inside_word(text: str, start: int, end: int) -> bool:
    """Whether a word that is no name begins at or before a place of a text and ends at or behind it."""
    words, beginnings = name_words(), _word_beginnings()
    for first in range(max(0, start - _LONGEST_WORD + _SHORTEST_WORD), start + 1):
        if text[first : first + _SHORTEST_WORD] not in beginnings:
            continue
        for last in range(end, first + _LONGEST_WORD):
            word = text[first:last]
            if word in words.words or word in words.medical:
                return True
    return False


@lru_cache(maxsize=4096)
def readings(character: str, most: int) -> tuple[str, ...]:
    """How a character is read, the usual reading first, without tones; ü as it is typed and as passports have it."""
    from pypinyin import Style, pinyin  # noqa: PLC0415  its dictionary takes a while to load, and not every text needs it

    readings = [one for one in pinyin(character, style=Style.NORMAL, heteronym=True)[0] if one.isascii()][:most]
    return tuple(
        dict.fromkeys(spelt for one in readings for spelt in ((one, one.replace("v", "u")) if "v" in one else (one,)))
    )


_MOST_SPELLINGS = 12


@lru_cache(maxsize=512)
def pinyin_of(name: str) -> tuple[tuple[str, str], ...]:
    """A Chinese name in Pinyin, as surname and given name in lower case, in each of its likely readings."""
    length = surname_length(name) or 1
    surname, given = name[:length], name[length:]
    surnames = name_words().readings.get(surname) or tuple(map("".join, product(*(readings(one, 2) for one in surname))))
    givens = map("".join, product(*(readings(one, 2) for one in given)))
    return tuple(product(surnames, list(givens)))[:_MOST_SPELLINGS]

"""What sort of word one with a capital is in an English text: of the language, of the trade, a given name, or none."""

import re
import unicodedata
from collections.abc import Iterator
from enum import Enum, auto
from functools import cache, lru_cache
from pathlib import Path

import yaml

from pathcurate.scrubbers.text.englishwords import GIVEN_WORDS, is_eponym, is_given, is_word
from pathcurate.scrubbers.text.namewords import name_words


class Sort(Enum):
    """How much of a name a word is."""

    WORD = auto()
    VOCABULARY = auto()
    """A word that stands in the larger list only: a surname beside a given name."""
    BOTH = auto()
    """A name and a word: Rose, Sharp."""
    GIVEN = auto()
    STRANGER = auto()
    """No word that any list knows, nor one made of words."""


NAMES = frozenset({Sort.STRANGER, Sort.GIVEN})
_ENDINGS = ("s", "es", "ed", "d", "ing", "ly", "er", "al", "ally", "y", "ic", "ion", "ations", "ation", "ity", "r", "or")
_WITHOUT_E = frozenset({"ed", "ing", "er", "or", "ion", "al", "ic", "y", "ation", "ations", "ity"})
_LEADS = (
    "hyper", "hypo", "peri", "para", "intra", "inter", "extra", "sub", "supra", "infra", "retro", "trans", "endo",
    "ecto", "micro", "macro", "multi", "poly", "mono", "non", "pre", "post", "anti", "pan", "fibro", "adeno", "myo",
    "neuro", "angio", "osteo", "chondro", "lympho", "haemo", "hemo", "histo", "cyto", "un", "re", "mis", "over",
    "under", "dis", "immuno", "haemato", "hemato",
)  # fmt: skip
# How words of medicine and names of drugs end.
_LEARNED = re.compile(
    r"(?:mab|nib|cillin|mycin|micin|statin|olol|sartan|pril|azole|platin|taxel|rubicin|parib|ciclib|lisib|limus|vir"
    r"|dronate|setron|dipine|gliptin|gliflozin|parin|xaban|triptan|oxacin|cycline|amide|azine|idine|phene|olone|sone"
    r"|ase|itin|globulin|gen|blast|cyte|zyme|sterol|cidin|fibrin|coll?agen|philia|phobia|philic|phage|derm|dermal"
    r"|somes?|plasm|cele|rrho?ea|rrhage|rrhagic|emia|aemi[ac]|emic|pathic|phoid|form|omas?|omatous|oid|odes|osis|otic"
    r"|eal|ial|uria|uresis|lysis|lytic|stasis|static|taxis|trophic|tropic|plegia|paresis|plasty|tomy|scopy|graphy|gram"
    r"|pexy|desis|cidal|ferous|genous|genic|itic|itides|ectasia|ectatic|malacia|megaly|penia|poiesis|ptosis|rhaphy"
    r"|stenosis|ular|aceous|atous|ivity|ively|ibly|ably|fully|lessly|edly|ingly|[ae]nc[ey]|ship|hood|ness|less)$"
)
_LEAST_STEM, _LEAST_NAME, _LEAST_WITHOUT_VOWEL = 4, 3, 6
_VOWEL = re.compile("[aeiouy\u00df-\u024f\u1e00-\u1eff]")
_SIGN = re.compile("['’-]")


@cache
def _vocabulary() -> tuple[frozenset[str], frozenset[str]]:
    """The words and the eponyms of ``englishvocabulary.yaml``."""
    lists = yaml.safe_load(Path(__file__).with_name("englishvocabulary.yaml").read_text(encoding="utf-8"))
    return frozenset(lists["words"].split()), frozenset(lists["eponyms"].split())


@lru_cache(maxsize=16384)
def sort_of(written: str) -> Sort:
    """Of what sort a word is, written with a capital."""
    if written.endswith(("'d", "’d", "'t", "’t", "'ll", "’ll")):
        return Sort.WORD
    parts = [part for part in _SIGN.split(written) if len(part) > 1]
    if len(parts) > 1:
        return _of_compound(written, parts)
    word = written.lower()
    is_short = len(word) < _LEAST_NAME or (len(word) < _LEAST_WITHOUT_VOWEL and not _VOWEL.search(word))
    if is_short or word in _vocabulary()[1]:
        return Sort.WORD
    if is_given(word):
        return Sort.GIVEN
    if word in _both():
        return Sort.BOTH
    return _of_word(word)


def _of_word(word: str) -> Sort:
    stems = list(_stems(word))
    if is_word(word) or _LEARNED.search(word) or any(is_word(stem) and stem not in _both() for stem in stems):
        return Sort.WORD
    words, eponyms = _vocabulary()
    if word in words or any(stem in words or stem in eponyms for stem in stems):
        return Sort.VOCABULARY
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign))
    return sort_of(plain) if plain != word else Sort.STRANGER


def _of_compound(written: str, parts: list[str]) -> Sort:
    """``Osei-Tutu`` and ``O'Rourke`` are names; ``Warthin-Finkeldey`` and ``Non-keratinising`` are none."""
    sorts = [sort_of(part.capitalize()) for part in parts]
    if "-" not in written or any(part[:1].islower() for part in written.split("-")):
        return Sort.WORD if sorts[0] is Sort.WORD else sorts[-1]
    is_called = any(part.lower() in _vocabulary()[1] or is_eponym(part.lower()) for part in parts)
    if Sort.STRANGER in sorts and not {Sort.WORD, Sort.VOCABULARY} & set(sorts) and not is_called:
        return Sort.STRANGER
    return Sort.GIVEN if set(sorts) <= {Sort.GIVEN, Sort.BOTH} and Sort.GIVEN in sorts else Sort.WORD


@cache
def _both() -> frozenset[str]:
    lists = name_words()
    return lists.latin_both | lists.eponyms | GIVEN_WORDS


def _stems(word: str) -> Iterator[str]:
    """What is left of a word without an ending or a lead: words are made of words."""
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if _LEAST_STEM <= len(stem) < len(word):
            yield stem
            if ending in _WITHOUT_E:
                yield f"{stem}e"
            if stem[-1] == stem[-2]:
                yield stem[:-1]
            if stem[-1] == "i":
                yield f"{stem[:-1]}y"
    for lead in _LEADS:
        if word.startswith(lead) and len(word) - len(lead) >= _LEAST_STEM:
            yield word[len(lead) :]

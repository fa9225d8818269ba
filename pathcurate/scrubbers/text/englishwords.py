"""Lists for names in English texts: what stands beside a name, given names, and words that look like one."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from pathcurate.scrubbers.text.namewords import latin_words, medical_latin, name_words

_TERM = re.compile(
    r"(?:(?:ectom|otom|ostom|scop|plast|graph|path|therap|metr|log|iatr)(?:y|ies|ic|ics|ical|ist)|itis|os[ie]s|omas?"
    r"|omata|emia|"
    r"uria|plasia|trophy|penia|megaly|[aisutc]tion|[aisutc]tions|ssion|sion|ments?|mental|ness|ility|osity|ous|ular|oid"
    r"|oidal|"
    r"[iat]ble|ative|cytes?|cytic|blastic|ically|grams?|ectomies|genic|static|"
    r"ology|etics|ated|ised|ized|osed|ected|"
    r"(?:[aeo][ln]|ar|ous|iv|at|ed|ing)ly|(?:ct|pt|rt|nt|st|it|us|ll|ss|rm|nd|in)ed)$"
)

_ANY_WORD = re.compile("[a-z]+")
_CALLED_AFTER = re.compile(r"['’]?s?[ -]([A-Za-z]+)")
GIVEN_WORDS = frozenset(
    {"mark", "grace", "rose", "may", "will", "frank", "hope", "faith", "joy", "dawn", "june", "april", "summer", "iris",
     "lily", "violet", "ivy", "holly", "daisy", "amber", "ruby", "sandy", "sunny", "penny", "crystal", "ginger", "heather",
     "pearl", "jade", "coral", "robin", "jay", "drew", "rich", "pat", "sue", "bill", "bob", "dale", "glen", "cliff", "rusty",
     "skye", "willow", "olive", "hazel", "myrtle", "basil", "reed", "sky", "star", "misty", "autumn", "angel",
     "candy", "dolly", "gene", "guy", "jack", "jean", "kay", "kit", "lance", "max", "miles", "nick", "patience", "piers",
     "ray", "rob", "rod", "roman", "sunshine", "tab", "ted", "teddy", "tim", "tom", "vic", "ward", "wendy", "victor",
     "christian", "chase", "blossom", "bunny", "chip", "dot", "pip", "poppy", "sonny", "buddy", "tiger", "fern", "opal",
     "melody", "harmony", "destiny", "trinity"}
)  # fmt: skip
"""Given names that are words: names beside a role or a relative only."""


@dataclass(frozen=True, slots=True)
class EnglishWords:
    """The lists of ``english.yaml``.

    Attributes:
        labels: what stands beside a name, with what that says of it.
        given: given names.
        words: what is written with a capital and is no name.
        behind_eponyms: what is called after somebody: stain, nodes.
        terms: two words that are no name though one of them is: Ann Arbor.
        function_words: verbs and small words that may follow a title in lower case: the doctor says.
    """

    labels: dict[str, str]
    given: frozenset[str]
    words: frozenset[str]
    behind_eponyms: frozenset[str]
    terms: frozenset[str]
    function_words: frozenset[str]


@cache
def english_words() -> EnglishWords:
    """The shipped lists, read once."""
    lists: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("english.yaml").read_text(encoding="utf-8"))
    sorts = ("given", "words", "behind_eponyms", "function_words")
    given, words, behind, small = (frozenset(lists[name].split()) for name in sorts)
    # A label that stands in two lists means what the last says, but a hint tells least.
    order = sorted(lists["labels"], key=lambda what: what != "hint")
    labels = {label: what for what in order for label in lists["labels"][what]}
    return EnglishWords(labels, given, words, behind, frozenset(lists["terms"]), small)


@lru_cache(maxsize=4096)
def is_word(word: str) -> bool:
    """Whether a word in lower case is one of the language or of pathology, be it a surname as well."""
    lists = name_words()
    if is_given(word):
        return False
    everything = (lists.latin, lists.latin_both, lists.eponyms, medical_latin(), english_words().words)
    if any(one in some for one in {word, word.removesuffix("s")} for some in everything):
        return True
    return _TERM.search(word) is not None


@lru_cache(maxsize=4096)
def is_given(word: str) -> bool:
    """Whether a word in lower case is a given name and nothing else: ``sarah``, no ``may`` or ``mark``."""
    lists = name_words()
    plain = latin_words(word)
    return any(one in english_words().given for one in (word, *plain)) and not (
        word in lists.latin or word in lists.latin_both or word in lists.eponyms
    )


def is_called_after(normal: str, end: int) -> bool:
    """Whether what stands behind a name is called after somebody: the Lee score, Hoffmann's sign."""
    following = _CALLED_AFTER.match(normal, end)
    return following is not None and following[1].lower() in english_words().behind_eponyms


def is_term(phrase: str) -> bool:
    """Whether a phrase begins with two words that are no name of anybody."""
    return " ".join(_ANY_WORD.findall(phrase.lower())[:2]) in english_words().terms


def is_eponym(word: str) -> bool:
    """Whether something is called after people of this name: ``gleason``."""
    return word in name_words().eponyms

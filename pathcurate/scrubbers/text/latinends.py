"""Where a name in Latin letters ends that begins at a known place."""

import re
from functools import cache

from pathcurate.scrubbers.text.englishsorts import Sort, sort_of
from pathcurate.scrubbers.text.englishwords import GIVEN_WORDS, english_words, is_given, is_word
from pathcurate.scrubbers.text.namewords import name_words

_LETTERS = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"
_WORD = re.compile(rf"(?:[A-Z\u00c0-\u00de][{_LETTERS}]*|[dlDL]['’](?=[A-Z]))(?:['’-]?[{_LETTERS}]+)*")
_ANY_WORD = re.compile(rf"[{_LETTERS}]+")
_JOIN = re.compile(r"(?P<dot>\.)?(?:[ \t\xa0]{1,2}|(?P<comma>[ ]?,[ ]?)|\^)|(?P<tight>\.)(?=[A-Z])")
_DEGREE = re.compile(
    r"(?:M\.?D|D\.?O|Ph\.?D|MBBS|MBChB|MB|FRC[A-Z]\w*|MRC[A-Z]\w*|BMS|FACS|FCAP|R\.?N|PA|NP|DDS"
    r"|MPH)(?![A-Za-z])"
)
_VOWELS = frozenset("aeiouy")
_LONGEST_ABBREVIATION = 4
_BROKEN = re.compile("-?[0-9]")
_MOST_WORDS, _SHORT = 5, 2
# Makers that are surnames as well: Colin Abbott.
_MAKERS = frozenset({"abbott", "bard", "philips", "stryker", "zimmer", "lilly", "merck"})
_LONGEST_PART = 3
# Anna Lim F/46, Kaur D/o Singh.
_NO_INITIAL = re.compile(r"[MF][ ]?[/,]?[ ]?[0-9]{1,3}(?![0-9])|[SWDC]/[Oo]|[A-Z]:")


def name_at(normal: str, start: int, *, fewest: int, is_called: bool = False, has_comma: bool = True) -> int | None:
    """Where a name of capitalised words that begins at a place ends; None if there are fewer words than needed.

    Words that are no name end it: ``John Smith DOB``. Eponyms and words that are surnames too are a name only of somebody
    who is called by them (``Dr. Brown``), or beside another word. Behind a comma stands a given name (``Smith, John``), or
    any other if ``has_comma`` and a surname alone is before it.
    """
    lists = name_words()
    place, end = start, None
    words: list[str] = []
    while len(words) < _MOST_WORDS:
        found = _WORD.match(normal, place) or _particle(normal, place, is_first=not words)
        if found is None or _BROKEN.match(normal, found.end()) or (words and _DEGREE.fullmatch(found[0])):
            break
        written = found[0].rstrip("-'’")
        for ending in ("'s", "’s"):
            written = written.removesuffix(ending)
        word = written.lower()
        if _is_abbreviation(written, words, normal[start:place]):
            break
        is_initial = len(word) == 1 and (words or normal.startswith(".", found.end()))
        if word in lists.latin and not is_initial and not (word in _MAKERS and words and is_given(words[-1])):
            break
        # Dr KOWALSKI NOTIFIED: behind a surname that is nothing else stands no word.
        if _is_behind_stranger(words) and _is_no_surname(written, normal[start:place]):
            break
        if len(word) == 1 and words and _NO_INITIAL.match(normal, found.start()):
            break
        words.append(word)
        last = found.start() + len(written)
        join = _JOIN.match(normal, last) if last == found.end() else None
        is_dotted = len(word) == 1 and normal.startswith(".", last)
        if written[0].isupper():
            end = last + is_dotted
        is_short = len(word) == 1 or (len(word) == _SHORT and not _VOWELS.intersection(word))
        is_joined = join is not None and (not (join["dot"] or join["tight"]) or is_short)
        if join is None or not is_joined or (join["comma"] and not _goes_on(normal, join.end(), words, has_comma=has_comma)):
            break
        has_comma = has_comma and join["comma"] is None
        place = join.end()
    return end if _are_name(words, fewest, is_called=is_called) else None


def _is_behind_stranger(words: list[str]) -> bool:
    """Whether the words before are a name of which the last is a word of no list: behind a given name more may follow."""
    return bool(words) and len(words[-1]) > 1 and sort_of(words[-1].capitalize()) is Sort.STRANGER


def _is_no_surname(written: str, before: str) -> bool:
    """Whether a word is one of the language, or of the larger list and not written as the name before it."""
    word = written.lower()
    if len(word) <= _LONGEST_PART:
        return False
    sort = sort_of(word.capitalize())
    is_else = sort is Sort.WORD or (sort is Sort.VOCABULARY and (written.isupper() or before.isupper()))
    return is_else and word not in _surnames()


@cache
def _surnames() -> frozenset[str]:
    """Words that are names as well."""
    lists = name_words()
    return lists.latin_both | lists.eponyms | lists.pinyin | GIVEN_WORDS | english_words().given | lists.particles


def _is_abbreviation(written: str, words: list[str], before: str) -> bool:
    """Whether capitals behind a name are none of it: ``Beth Amundsen NPI``, but ``Beth KING``."""
    most = _LONGEST_ABBREVIATION - (len(words) == 1)
    is_name = any(len(word) > 1 for word in words) and not before.isupper()
    return is_name and written.isupper() and 1 < len(written) <= most


def _goes_on(normal: str, place: int, words: list[str], *, has_comma: bool) -> bool:
    """Whether what stands behind a comma is of the same name."""
    following = _ANY_WORD.match(normal, place)
    if following is None or _DEGREE.match(normal, place):
        return False
    is_surname = sum(len(word) > 1 and word not in name_words().particles for word in words) == 1
    return (has_comma and is_surname) or is_given(following[0].lower())


def _are_name(words: list[str], fewest: int, *, is_called: bool) -> bool:
    lists = name_words()
    full = [word for word in words if len(word) > 1 and word not in lists.particles]
    if not full or len(words) < fewest:
        return False
    if is_called:
        return True
    return not all(is_word(part) for word in full for part in re.split("['’-]", word))


_MORE_PARTICLES = frozenset({"binti", "binte", "bte", "ibni", "ap", "ferch", "y", "e", "san", "zu", "af", "av", "do"})


def _particle(normal: str, place: int, *, is_first: bool) -> "re.Match[str] | None":
    """``van``, ``der``: inside a name, or before a capital."""
    found = _ANY_WORD.match(normal, place)
    if found is None or (found[0] not in name_words().particles and (is_first or found[0] not in _MORE_PARTICLES)):
        return None
    following = _ANY_WORD.match(normal, found.end() + 1)
    is_begun = following is not None and (following[0][0].isupper() or following[0] in name_words().particles)
    return found if not is_first or is_begun else None

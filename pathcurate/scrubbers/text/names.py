"""Names that a text gives away itself: by what stands beside them, by a site's list of staff, and where they stand again."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ahocorasick_rs import AhoCorasick, MatchKind

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.englishnames import find_english_names
from pathcurate.scrubbers.text.hancontexts import find_placed_names
from pathcurate.scrubbers.text.hanforms import is_bounded, is_free_before
from pathcurate.scrubbers.text.hannames import find_han_names
from pathcurate.scrubbers.text.knownnames import KnownName, find_name, is_called, is_written_name, names_in, outermost
from pathcurate.scrubbers.text.latinnames import find_latin_names
from pathcurate.scrubbers.text.namewords import begins_word, is_han, is_inside_word, pinyin_of
from pathcurate.scrubbers.text.spelling import HAN_GAPS, LATIN_GAPS, simplified, spelling

_SHORT, _LEAST_LATIN = 2, 7
_FIELD_BEHIND = re.compile("[ ]{0,2}(?:[:(]|[0-9])")
_SIGNS = "/、,;:。 \n"


@dataclass(frozen=True, slots=True)
class StaffList:
    """The staff of a site.

    Attributes:
        names: as they are typed; a cell may hold several.
    """

    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"StaffList({len(self.names)} names)"


def find_names(normal: str, language: str | None) -> list[Removal]:
    """Names by a label, a title, a relation or a signature, from left to right, none inside another.

    Args:
        normal: the text in half width, its case kept.
        language: of the report; a text in English is not searched for Chinese names if it holds no Chinese.
    """
    if not normal:
        return []
    is_english = normal.isascii() or (language == "en" and not is_han(normal))
    plain = "" if is_english else simplified(normal)  # one for one, as the labels are
    chinese = () if is_english else (*find_han_names(plain), *find_placed_names(plain))
    return outermost([*chinese, *find_latin_names(normal), *find_english_names(normal)])


def repeated(normal_texts: Sequence[str], found: Iterable[Removal]) -> list[list[Removal]]:
    """Every name that was found in one text of a report, wherever it stands in any of them; one list per text.

    A name of one Han character or one Latin word says too little, and one of two Han characters must stand as a word.
    """
    names = {
        removal.value: KnownName(removal.value, removal.kind, f"again.{removal.kind.value}")
        for removal in found
        if _says_enough(removal.value)
    }
    return [
        outermost(
            [
                removal
                for name in (names.values() if normal else ())
                for removal in find_name(spelling(normal), name)
                if len(name.value) > _SHORT or (is_free_before(normal, removal.start) and is_bounded(normal, removal.end))
            ]
        )
        for normal in normal_texts
    ]


def _says_enough(value: str) -> bool:
    return len(value) >= _SHORT and "某" not in value if is_han(value) else " " in value and len(value) > _LEAST_LATIN


def find_staff(normal: str, staff: StaffList) -> list[Removal]:
    """Names of a site's staff: of three characters or more anywhere, of two beside a label, a title or another signer.

    Where names overlap the longest counts: 李玉 is not found in 李玉兰. What finds them is built once per process and list.
    """
    forms, automaton = _staff_automaton(staff)
    if not forms:
        return []
    text = spelling(normal)
    removals = []
    for index in {index for index, *_ in automaton.find_matches_as_indexes(text.compact)}:
        form, name = forms[index]
        spans = text.find(form, HAN_GAPS if is_han(form) else LATIN_GAPS)
        removals += [Removal(*span, Kind.STAFF, "site.staff", name) for span in spans if _is_staff(normal, *span, form)]
    return outermost(removals)


def _is_staff(normal: str, start: int, end: int, form: str) -> bool:
    if not is_han(form):
        return is_written_name(normal, start, end, len(form))
    if _FIELD_BEHIND.match(normal, end) and begins_word(normal, start):
        # Somebody called 时间 is not meant by 报告时间:2023.
        return False
    if is_called(normal, start, end):
        return True
    if len(form) > _SHORT:
        return not is_inside_word(normal, start, end)
    beside = normal[start - 1 : start] if start else "\n", normal[end : end + 1] or "\n"
    return "/" in beside and all(sign in _SIGNS for sign in beside)


@lru_cache(maxsize=16)
def _staff_automaton(staff: StaffList) -> tuple[tuple[tuple[str, str], ...], AhoCorasick]:
    """Each form of each name with the name, and what finds them in a compact text."""
    forms: dict[str, str] = {}
    for name in dict.fromkeys(name for cell in staff.names for name in names_in(cell)):
        if is_han(name):
            forms.setdefault(name, name)
            spellings = [spelt for surname, given in pinyin_of(name)[:1] for spelt in (surname + given, given + surname)]
        else:
            words = name.lower().split()
            spellings = ["".join(words), "".join([words[-1], *words[:-1]])] if len(words) > 1 else []
        for spelt in spellings:
            if len(spelt) >= _LEAST_LATIN:
                forms.setdefault(spelt, name)
    return tuple(forms.items()), AhoCorasick(tuple(forms), matchkind=MatchKind.LeftmostLongest)

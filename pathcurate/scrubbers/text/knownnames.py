"""A known name in every spelling: in Han characters, in Pinyin, in Latin letters in either order, and masked."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.hanforms import HAN_SIGN, is_bounded, is_free_before
from pathcurate.scrubbers.text.namewords import (
    HAN,
    begins_word,
    folded_name,
    is_han,
    is_inside_word,
    latin_words,
    medical_latin,
    name_words,
    pinyin_of,
    readings,
    surname_length,
)
from pathcurate.scrubbers.text.spelling import HAN_GAPS, LATIN_GAPS, Spelling

_PEOPLE = re.compile(r"[/;&|\n()\[\]]+|\band\b")
_TITLES_LATIN = frozenset(
    {"dr", "mr", "mrs", "ms", "prof", "md", "phd", "do", "mbbs", "rn", "facs", "frcpath", "jr", "sr", "ii", "iii"}
)
_PARTS = re.compile(r"[/、,;，；&|\n()（）\[\]【】]+|\s{3,}")
_TITLES = re.compile(
    "(?:副?主任(?:医师|技师|护师)?|主治(?:医师|医生)?|住院(?:医师|医生)|执业(?:医师)?|医师|医生|副?教授|主管技师|技师|技术员|护士长?|大夫|老师|"
    "博士|院长|先生|女士|小姐)+$"
)
_CHILD = re.compile(r"\s?之[大小长次幼双一二三四]?(?:胎|[子女婴儿孩])+")
_BEFORE = re.compile(
    r"(?:姓\s?名|患者|病人|患儿|病员|联系人|家属|(?:医|技|药|护)[师生]|教授|主任|审核|复核|报告|取材|诊断|核对|签收|判读|操作|记录|描述|检验|通知|告知|联系|签[名字发]|签章|初诊|复诊|记录|制片|术者|主刀|"
    r"助手|送检者|patient|name)[^\w\n]{0,4}$",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"\s?[,，(（、/|]?\s?[男女](?!性)|[,，\s]{0,2}[0-9]{1,3}岁|\s?(?:副?主任|教授|医师|医生|大夫|先生|女士|护士|技师|老师|同志|同学|本人|之[子女婴]"
    r"|[(（](?:[0-9]|住院|门诊|病案|病历|病理|身份证|就诊|登记|床|曾用名|又名|原名|系统|电话|手机))"
)
_ACTS = re.compile(
    "汇报|来电|来取|签[收发名字]?|复核|审核|核对|取材|切片|制片|值班|接[听收]|记录|经手|陪同|家属|代[签领取]"
    "|收(?![治入缩回集])|沟通|联系"
)
_BY = frozenset("与跟和由请经找代叫让")
_ROLES = re.compile(
    "(?:[人员者属]|秘书|干事|组长|长子|[长次小]女|移交|批准|经[手办]|上传|下载|扫描|收发|交接|切片|值班|接[收听]|汇报|抄送|约的|转[给交]|名叫|我[是叫]|病例[为是]"
    "|随访|致电|[告通]知|联系|电话|询问|患儿|[产孕]妇|[父母]亲|妻子|丈夫|[女儿]子|女儿)$"
)
_WRITTEN_AS = re.compile(r"(?:[写记登录认看读输打印署误作成为叫名是\"'“‘「『]|字样)[ :]{0,2}$")
_GOES_ON = re.compile(f"(?![{HAN}])|[于因之的住门系自诉来入术行以既男女复今曾及再已拟原]")
_NOBODY_LATIN = frozenset(
    {"unknown", "none", "test", "anonymous", "na", "null", "admin", "system", "patient", "name", "nos", "not", "known"}
)
_MASK = "某*×○●□■"
_MASKS = re.compile(f"[{_MASK}xX](?:(?<=[{_MASK}])[{_MASK}]{{0,2}}|(?<=[xX])[xX]{{1,2}}(?![A-Za-z0-9]))")
_IS_MEASURED = re.compile(f"[0-9*cm{HAN}]")
_NEAR = re.compile("(?<=[zcs])h|(?<=n)g$")
_OFFICE = re.compile("(?:中心|科室?|医院|门诊部?|病[区房]|公司|[室站部组所])$")
_LONGEST_GIVEN, _LEAST_LONG = 2, 4
_WIDE, _LONG_PINYIN, _SHORT_SURNAME = 3, 8, 3
_BETWEEN = re.compile(r"[ .,\n^'_-]{0,3}(?:[\"“(][A-Z][a-z]{1,14}[\"”)] )?(?:[A-Za-z]\.?[ ,]{1,2}){0,2}")
_WORD_BEHIND = re.compile(r"[ ,]{1,2}(?P<v>[A-Z][A-Za-z'’-]{3,24})(?![A-Za-z])")
_WORD_BEFORE = re.compile(r"(?<![A-Za-z'’-])(?P<v>[A-Z][A-Za-z'’-]{3,24})[ ,]{1,2}\Z")
# What is called after others of the name: Hoffmann sign, frost artifact, bell-clapper deformity.
_OF_SIGN = re.compile(
    r"-[a-z]{3}|['’]?s?[ ](?:signs?|art[ei]facts?|diseases?|syndromes?|stain(?:s|ed|ing)?|deformity|phenomenon"
    r"|classification|criteria"
    r"|grad(?:e|ing)|scor(?:e|es|ing)|stag(?:e|ing)|bod(?:y|ies)|rosettes?|corpuscles?)(?![a-z])"
)
_LONG_WORD, _FURTHEST_BESIDE = 5, 30
_INITIALS_BEFORE = re.compile(r"(?<![A-Za-z0-9])([A-Z])\.?\s?(?:[A-Z]\.?\s?)?$")
_INITIAL_BEHIND = re.compile(
    r",?\s(?![SWDCBH]/[Oo]|[MF](?:[ ]?[,/]?[ ]?[0-9]|[ ](?:DOB|dob|age|"
    r"Age)))[A-Z]\.?(?![A-Za-z0-9])(?!\.?[A-Za-z]|[-#])"
)
_INITIALS_BEHIND = re.compile(r",?\s?([A-Z])\.?(?:\s?[A-Z]\.?)?(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class KnownName:
    """One name to look for.

    Attributes:
        value: the name, folded.
        kind: whose it is.
        rule: name of the rule.
    """

    value: str
    kind: Kind
    rule: str

    def __repr__(self) -> str:
        return f"KnownName({self.kind}, {self.rule})"

    def removal(self, start: int, end: int) -> Removal:
        """The removal of one place where it stands."""
        return Removal(start, end, self.kind, self.rule, self.value)


@lru_cache(maxsize=4096)
def names_in(cell: str) -> tuple[str, ...]:
    """The names in a cell, folded: several people, titles behind names, and notes in brackets are taken apart.

    Nothing for a cell that holds no name: ``未审核``, ``不详``, one letter.
    """
    folded = unicodedata.normalize("NFKC", cell)
    parts = (_PARTS if is_han(folded) else _PEOPLE).split(folded)
    return tuple(name for part in parts for name in (_chinese_names(part) if is_han(part) else _latin_names(part)))


def _latin_names(part: str) -> Iterator[str]:
    pieces = [[word for word in latin_words(piece) if word not in _TITLES_LATIN] for piece in part.split(",")]
    pieces = [words for words in pieces if words]
    # "Smith, John" is one person, "John Smith, Mary Jones" are two.
    is_several = all(len(words) > 1 for words in pieces)
    for words in pieces if is_several else [[word for piece in pieces for word in piece]]:
        if any(len(word) > 1 for word in words) and not _NOBODY_LATIN.issuperset(words):
            yield " ".join(words).upper()


def _chinese_names(part: str) -> Iterator[str]:
    words = part.split()
    # 张 三 is one person, 李建国 王芳 are two, and of 欧阳 娜娜 the surname says that it is one.
    is_several = len(words) > 1 and all(len(word) > 1 for word in words)
    for one in (*(words if is_several else ()), part):
        name = _CHILD.sub("", _TITLES.sub("", folded_name(one)))
        if len(name) > 1 and not (_MASKS.search(name) or _is_nobody(name) or _is_office(name)):
            yield name


def _is_office(name: str) -> bool:
    """Whether a cell of doctors holds whence a specimen came: 体检中心, 外一科."""
    is_short = len(name) <= _LONGEST_GIVEN or (len(name) == _WIDE and surname_length(name) > 0)
    return not is_short and _OFFICE.search(name) is not None


def _is_nobody(name: str) -> bool:
    words = name_words()
    return name in words.staff_words or name in words.nobody


def outermost(found: list[Removal]) -> list[Removal]:
    """Removals from left to right, without those that lie wholly inside another."""
    kept: list[Removal] = []
    for removal in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or removal.end > kept[-1].end:
            kept.append(removal)
    return kept


def find_name(spelling: Spelling, name: KnownName) -> Iterator[Removal]:
    """All places of one name, see :func:`names_in` for its form; places may overlap."""
    if not is_han(name.value):
        yield from _find_latin(spelling, name)
        return
    if spelling.latin:
        yield from _find_pinyin(spelling, name)
    # Most names of a report stand in one of its texts at most: without surname and given name none of the rest is there.
    if name.value[0] in spelling.compact or name.value[surname_length(name.value) or 1 :] in spelling.compact:
        yield from _find_han(spelling, name)
        yield from _find_masked(spelling.normal, name)
        yield from _find_mistyped(spelling, name)


def _find_han(spelling: Spelling, name: KnownName) -> Iterator[Removal]:
    normal = spelling.normal
    for start, end in spelling.find(name.value, HAN_GAPS):
        is_word = name.value in name_words().both or is_inside_word(normal, start, end)
        if is_word and not (is_called(normal, start, end) or _stands_alone(normal, start, end)):
            continue
        child = _CHILD.match(normal, end)
        yield name.removal(start, child.end() if child else end)


def _stands_alone(normal: str, start: int, end: int) -> bool:
    """Whether a word that is a known name too stands by itself: between signs, or beside what people are or do."""
    if normal[start:end] in name_words().medical:
        return False
    is_end = not HAN_SIGN.match(normal, end) and normal[end : end + 1] not in {":", "!"}
    if not (start and HAN_SIGN.match(normal, start - 1)):
        return is_end or _ACTS.match(normal, end) is not None
    before = max(0, start - 4)
    if is_end:
        return _ROLES.search(normal, before, start) is not None
    return normal[start - 1] in _BY and _ACTS.match(normal, end) is not None


def _find_mistyped(spelling: Spelling, name: KnownName) -> Iterator[Removal]:
    """Names that sound the same (李姗姗, 李珊珊; 钮琴, 纽琴), and those of three characters or more that differ in one."""
    normal = spelling.normal
    length = surname_length(name.value) or 1
    surname, given = name.value[:length], name.value[length:]
    if len(name.value) >= _LEAST_LONG:
        yield from _find_mistyped_long(spelling, name)
    if len(given) > _LONGEST_GIVEN:
        return
    if length == 1:
        yield from _find_other_surname(normal, name)
    if length == 1 and surname in name_words().common:
        return
    start = normal.find(surname)
    while start >= 0:
        end = start + len(name.value)
        written = normal[start + length : end]
        if written != given and len(written) == len(given) and _is_alike(given, written):
            is_free = is_bounded(normal, end) and (is_free_before(normal, start) or _sound(given) == _sound(written))
            is_name = is_called(normal, start, end) or (is_free and len(given) > 1) or _is_written(normal, start, end)
            if is_name and not begins_word(normal, start) and not normal.startswith("老人", end - 1):
                yield name.removal(start, end)
        start = normal.find(surname, start + 1)


def _find_other_surname(normal: str, name: KnownName) -> Iterator[Removal]:
    """The given name behind another surname that sounds the same."""
    surname, given = name.value[0], name.value[1:]
    place = normal.find(given, 1)
    while place >= 0:
        start, end = place - 1, place + len(given)
        other = normal[start]
        if other != surname and HAN_SIGN.match(other) and _sound(other) == _sound(surname):
            is_free = len(given) > 1 and is_free_before(normal, start) and is_bounded(normal, end)
            is_name = is_free or is_called(normal, start, end) or _is_written(normal, start, end)
            if is_name and not begins_word(normal, start):
                yield name.removal(start, end)
        place = normal.find(given, place + 1)


def _find_mistyped_long(spelling: Spelling, name: KnownName) -> Iterator[Removal]:
    """A name of four characters or more of which most are the same, and each other sounds the same or is the only one."""
    compact, value = spelling.compact, name.value
    first = compact.find(value[0])
    while first >= 0:
        written = compact[first : first + len(value)]
        pairs = [(one, other) for one, other in zip(value, written, strict=False) if one != other]
        is_near = len(written) == len(value) and 0 < len(pairs) <= len(value) // 2
        if is_near and (
            (len(pairs) == 1 and HAN_SIGN.match(pairs[0][1])) or all(_sound(one) == _sound(other) for one, other in pairs)
        ):
            span = spelling.span(first, first + len(value), HAN_GAPS)
            if span is not None and is_bounded(spelling.normal, span[1]):
                yield name.removal(*span)
        first = compact.find(value[0], first + 1)


def _is_written(normal: str, start: int, end: int) -> bool:
    """Whether a text quotes what somebody wrote for a name (标签写米莉)."""
    is_end = not HAN_SIGN.match(normal, end) or normal.startswith("字样", end)
    return is_end and _WRITTEN_AS.search(normal, max(0, start - 3), start) is not None


def _is_alike(given: str, written: str) -> bool:
    if not all(map(HAN_SIGN.match, written)):
        return False
    if len(given) > 1 and sum(one == other for one, other in zip(given, written, strict=True)) == len(given) - 1:
        return name_words().given.issuperset(written) or _sound(given) == _sound(written)
    return _sound(given) == _sound(written)


def _sound(characters: str) -> tuple[str, ...]:
    """How characters are read, without what many speakers do not tell apart: the h of zh, ch and sh, the g of ng."""
    return tuple(_NEAR.sub("", next(iter(readings(character, 1)), character)) for character in characters)


def is_called(normal: str, start: int, end: int) -> bool:
    """Whether what stands around a word says that it is somebody's name."""
    if _BEHIND.match(normal, end):
        return True
    return _GOES_ON.match(normal, end) is not None and _BEFORE.search(normal[max(0, start - 12) : start]) is not None


def _find_pinyin(spelling: Spelling, name: KnownName) -> Iterator[Removal]:
    whole, with_initials = _pinyin_forms(name.value)
    for form in whole:
        if form in spelling.latin:
            for start, end in spelling.find(form, LATIN_GAPS):
                if is_written_name(spelling.normal, start, end, len(form)):
                    yield name.removal(start, end)
    for form, is_told in with_initials.items():
        if form in spelling.latin:
            yield from _find_pinyin_initials(spelling, name, form, is_told=is_told)


@lru_cache(maxsize=4096)
def _pinyin_forms(name: str) -> tuple[tuple[str, ...], dict[str, bool]]:
    """A name in Pinyin in either order, and with initials for a given name of two characters: whether they tell it alone."""
    spellings = pinyin_of(name)
    whole = dict.fromkeys(form for surname, given in spellings for form in (surname + given, given + surname))
    given = name[surname_length(name) or 1 :]
    letters = "".join(spelt[1][0] for spelt in (pinyin_of(one + one)[0] for one in given)) if len(given) == 2 else ""
    with_initials: dict[str, bool] = {}
    for surname in dict.fromkeys(surname for surname, _ in spellings) if letters else ():
        for form, is_first in ((surname + letters, True), (letters + surname, False)):
            with_initials[form] = with_initials.get(form, False) or (is_first and len(surname) > _SHORT_SURNAME)
    return tuple(whole), with_initials


def is_written_name(normal: str, start: int, end: int, letters: int) -> bool:
    """Whether Pinyin is a name of its own: no part of a word, and a short one in capitals (Ma Li, MA Li), not ``mali``."""
    if normal[start - 1 : start].isalpha() and start > 0 and normal[start - 1].isascii():
        return False
    if normal[end : end + 1].isascii() and normal[end : end + 1].isalpha():
        return False
    return letters >= _LONG_PINYIN or normal[start].isupper() or normal[end : end + 1].isdigit()


def _find_pinyin_initials(spelling: Spelling, name: KnownName, form: str, *, is_told: bool) -> Iterator[Removal]:
    """``Zhang SF``, ``Zhang S.F.``, ``S.F. Zhang``, ``zhangsf``: initials of a given name of two characters."""
    for start, end in spelling.find(form, LATIN_GAPS):
        # ``line`` is no Li NE: a short surname must stand apart from its initials by their case or a gap.
        head = spelling.normal[start:end]
        is_apart = len(head) > len(form) or re.search("[a-z][A-Z]|[A-Z]{3}[a-z]", head) is not None
        if (is_told or (is_apart and head[0].isupper())) and is_written_name(spelling.normal, start, end, _LONG_PINYIN):
            yield name.removal(start, end)


def _find_masked(normal: str, name: KnownName) -> Iterator[Removal]:
    """``张*``, ``张某某``, ``张XX``, ``张*丰``, ``*三丰``: the name as somebody hid it."""
    length = surname_length(name.value) or 1
    surname, given = name.value[:length], name.value[length:]
    for start, end in _masked_places(normal):
        if normal.endswith(surname, 0, start):
            rest = given[-1] if len(given) > 1 and normal.startswith(given[-1], end) else ""
            if rest or not _is_measure(normal, start - length, start, end):
                yield name.removal(start - length, end + len(rest))
        elif len(given) > 1 and normal.startswith(given, end) and normal[start] != "×":
            yield name.removal(start, end + len(given))


@lru_cache(maxsize=8)
def _masked_places(normal: str) -> tuple[tuple[int, int], ...]:
    """Where signs beside Han characters may hide a part of a name; kept for the names of one report."""
    return tuple(
        found.span()
        for found in _MASKS.finditer(normal)
        if not normal[found.start() - 1 : found.start()].isascii() or not normal[found.end() : found.end() + 1].isascii()
    )


def _is_measure(normal: str, first: int, start: int, end: int) -> bool:
    """Whether a surname and a sign are a measure (``高×宽``) or a generic word (``张某医院``)."""
    if normal[start] == "某":
        return re.match("[医院市省县区地大公单]", normal[end : end + 1] or " ") is not None
    beside = normal[first - 1 : first] + normal[end : end + 1]
    return "×" in beside or (end - start == 1 and _IS_MEASURED.match(normal, end) is not None)


def _find_latin(spelling: Spelling, name: KnownName) -> Iterator[Removal]:
    words = latin_words(name.value)
    hits = sorted(
        (start, start + len(word), index)
        for index, word in enumerate(words)
        if len(word) > 1
        for start in _word_places(spelling.lower, word)
    )
    groups: list[list[tuple[int, int, int]]] = []
    for hit in hits:
        is_new = groups and hit[2] not in {index for *_, index in groups[-1]}
        if is_new and _BETWEEN.fullmatch(spelling.normal, groups[-1][-1][1], hit[0]):
            groups[-1].append(hit)
        else:
            groups.append([hit])
    for group in groups:
        yield from _judge(spelling.normal, name, words, group)


def _word_places(lower: str, word: str) -> Iterator[int]:
    place = lower.find(word)
    while place >= 0:
        before, behind = lower[place - 1 : place] if place else "", lower[place + len(word) : place + len(word) + 1]
        is_free = not (before.isascii() and before.isalnum()) and not (behind.isascii() and behind.isalpha())
        if is_free:
            yield place
        place = lower.find(word, place + 1)


def _judge(normal: str, name: KnownName, words: list[str], group: list[tuple[int, int, int]]) -> Iterator[Removal]:
    """What stands beside each other of one name: two of its words, one with the initial of another, or one alone."""
    start, end = group[0][0], group[-1][1]
    written = normal[start:end]
    if len({index for *_, index in group}) > 1:
        ordinary = name_words().latin | name_words().latin_both
        if written != written.lower() or not all(words[index] in ordinary for *_, index in group):
            behind = _INITIAL_BEHIND.match(normal, end)
            yield name.removal(start, behind.end() if behind else end)
        return
    for first, last, index in group:
        initials = {word[0].upper() for place, word in enumerate(words) if place != index}
        before = _INITIALS_BEFORE.search(normal[max(0, first - 7) : first])
        behind = _INITIALS_BEHIND.match(normal, last)
        if before and before[1] in initials and normal[first].isupper():
            yield name.removal(first - len(before[0]), last)
        elif behind and behind[1] in initials and normal[first].isupper():
            yield name.removal(first, behind.end())
        elif beside := _mistyped_beside(normal, first, last, words[:index] + words[index + 1 :]):
            yield name.removal(*beside)
        elif _says_alone(normal[first:last]) and not _OF_SIGN.match(normal, last):
            yield name.removal(first, last)


def _mistyped_beside(normal: str, first: int, last: int, others: list[str]) -> tuple[int, int] | None:
    """Where one word of a name stands beside another in which one letter is wrong: Zbigniew Kowalcyzk."""
    behind, before = _WORD_BEHIND.match(normal, last), _WORD_BEFORE.search(normal, max(0, first - _FURTHEST_BESIDE), first)
    for found in filter(None, (behind, before)):
        if any(_is_mistyped(found["v"].lower(), word) for word in others):
            return min(first, found.start()), max(last, found.end("v"))
    return None


def _is_mistyped(written: str, word: str) -> bool:
    """Whether two words differ in one letter, or in two that changed places."""
    if len(word) < _LONG_WORD or abs(len(written) - len(word)) > 1 or written == word:
        return False
    pairs = enumerate(zip(written, word, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(written), len(word)))
    rest, true = written[same:], word[same:]
    return rest[1:] == true[1:] or rest[1:] == true or rest == true[1:] or (rest[:2] == true[1::-1] and rest[2:] == true[2:])


def _says_alone(word: str) -> bool:
    """Whether one word of a name, alone in a text, is that person and no word of the language or of pathology."""
    lower = word.lower()
    if len(word) < _WIDE or not (word.istitle() or word.isupper()):
        return False
    lists = name_words()
    return not any(lower in words for words in (lists.latin, lists.latin_both, lists.eponyms, medical_latin()))

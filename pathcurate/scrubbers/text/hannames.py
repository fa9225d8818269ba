"""Chinese names that nobody told us: by a label, a title, an act or a sex beside them, never by the surname alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ahocorasick_rs import AhoCorasick, MatchKind

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.latinnames import PINYIN, name_at
from pathcurate.scrubbers.text.namewords import DOTS, HAN, begins_word, folded_name, name_words, surname_length

_GAP = re.compile(
    r"(?:[ \t]*\([^()\n]{0,8}\)(?=[ \t]*:))?[ \t]*(?:[是为系叫](?!否))?"
    r"(?P<colon>[:=|>\])】(\[「“\"'/-]{1,3}[ \t|]*)?\n?[ \t|]*"
)
_NEXT_NAME = re.compile(r"(?P<sign>[ \t]*(?:[/、&+|]|和|及|与)[ \t]*)|[ \t]*[,;][ \t]*|[ \t]{1,4}|\n")
_MASKED = re.compile(rf"(?:某{{1,2}}(?![医院市省县区大公单])|[*×○●□]{{1,3}}[{HAN}]?|[xX]{{2,3}}(?![A-Za-z0-9]))")
_HIDDEN = re.compile("(?:某{1,2}(?![医院市省县区大公单])|[*]{1,3}(?![0-9])|[×○●□]{2,3}|[xX]{2,3}(?![A-Za-z0-9]))")
_HAN = re.compile(f"[{HAN}]")
_RUN = re.compile(f"[{HAN}]{{2,10}}(?![{HAN}])")
_DOTTED = rf"[{HAN}]{{1,8}}(?:[{DOTS}][{HAN}]{{1,8}}){{1,3}}"
_BY_SOUND = re.compile(_DOTTED)
_SPACE = re.compile(r"[ \t]{0,4}")
_AGE = re.compile(r"[ \t,、/|(]*[0-9]")
_SEX = re.compile(r"[ \t,、/|(]{1,3}(?:性别[ \t]*[:]?[ \t]*)?[男女](?!性)")
_BEFORE_SEX = re.compile(r"[ \t,、/|(]{1,4}(?:性别[ \t]*:?[ \t]*)?$")
_BEFORE_AGE = re.compile(r"[ \t,、(|]{1,3}(?:年龄[: ]?)?[0-9]{1,3}[ ]?$")
_NOT_FREE = re.compile("[未无不见同略待已科室院部组号性病癌瘤炎术体本查检诊]")
_NOT_GIVEN = re.compile("[癌瘤病症炎膜腔肿切缘织腺肌囊壁旁氏省]")
_SPACED = re.compile(rf"(?<![{HAN}])[{HAN}] {{1,3}}[{HAN}](?: {{1,3}}[{HAN}])?$")
_SOUNDED = re.compile(rf"(?:(?<![{HAN}])|(?<=[者人儿师生经由请与和及]))(?!患者|病人|患儿|医[师生]|[经由请与和及]){_DOTTED}$")
_LEFT = frozenset("见床诊房心处办站小老经由请及与和向嘱送致找让被给对科院部室区系师授任生长员是者人儿为名叫位同邀家即知告话代属母父妻夫弟兄姐妹子女友班线治手刀组楼托询陪携医护学")
_PHONE = re.compile(r"(?<![0-9])1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}(?![0-9])")
_BEFORE_PHONE = re.compile(r"[ \t,:(]{0,3}(?:联系)?(?:电话|手机|tel)?[ \t:]{0,3}$", re.IGNORECASE)
_DATE = r"(?:19|20)[0-9]{2}[-./年][0-9]{1,2}[-./月][0-9]{1,2}日?(?:[ \t]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)?"
_LINE = re.compile(
    rf"[ \t]*(?P<names>[{HAN}]{{2,4}}(?:[ \t/、,]{{1,3}}[{HAN}]{{2,4}}){{0,5}})[ \t/、,]*(?P<date>{_DATE})?[ \t]*(?=\n|$)"
)
_LINE_STARTS = re.compile("[\n。;]")
_CHILD = re.compile("之[大小长次幼双]?[子女婴父母妻夫兄弟姐妹]")
_LOGIN = re.compile(rf"(?=[a-z]{{4,16}}(?![A-Za-z])){PINYIN}{{2,4}}(?![a-z])")
_TITLED = re.compile("主任|教授|医[师生]|老师|大夫|院长|护士|技师|先生|女士|专家|博士|小姐|经理|警官|秘书|[处科局所队]长|干事|律师|法官|阿姨|师傅|书记")
_QUOTED = re.compile(rf"[\"“「『'‘](?P<name>[{HAN}]{{2,4}})[\"”」』'’](?P<word>[ ]?字样)?")
_ON_LABEL = re.compile(r"(?:标签|标[记识注示有]|条码|容器|[袋瓶盒]|名|署|写|注|姓)[^。;\n]{0,8}$")
_COUNTED = re.compile("[两二三四几各]位[ ]?$")
_NO_SURNAME = frozenset("向于时应和都全查与")
_FAMILIAR = frozenset("小老阿")
_BY_HAND = frozenset("由托请邀")
_DEPARTMENT = re.compile(
    rf"[{HAN}]{{0,4}}?(?:[科室院处组部]|中心|[普胸神泌骨心脑肝妇产儿肿烧整颌][外内瘤科一二三])[ \t]?"
)
_AT_ONCE = re.compile("病理[号诊]|[审复]核|报告[日时]|日期|时间")
_DOCTOR = re.compile(r"(?:Dr|Prof|Mr|Mrs|Ms)\.?[ ]?(?=[A-Z])")
_SHORT, _FULL, _MOST_SIGNERS, _LONG_TEXT, _LONGEST_WORD = 2, 3, 8, 20, 7
_RULES = {Kind.PATIENT: "label.patient", Kind.PERSON: "label.person", Kind.STAFF: "label.staff"}


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A word beside which a name may stand.

    Attributes:
        kind: whose name it would be.
        is_strong: whether nothing but a name follows it.
        is_label: whether a name may follow it.
        is_title: whether a name may stand before it, or a surname alone.
        is_act: whether a full name may stand before it.
        is_free: whether the name behind it may begin with anything, without a colon too.
        is_end: whether it is but the end of a label, which only a colon shows.
    """

    kind: Kind
    is_strong: bool = False
    is_label: bool = False
    is_title: bool = False
    is_act: bool = False
    is_free: bool = False
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class _Anchors:
    words: dict[str, _Anchor]
    automaton: AhoCorasick
    behind: tuple[frozenset[str], int]
    by: tuple[str, ...]
    not_people: frozenset[str]
    title: "re.Pattern[str]"
    nickname: "re.Pattern[str]"
    sound: "re.Pattern[str]"


@cache
def _anchors() -> _Anchors:
    lists: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("labels.yaml").read_text(encoding="utf-8"))
    words: dict[str, _Anchor] = {sign: _Anchor(Kind.PATIENT) for sign in "男女岁"}
    words |= {end: _Anchor(Kind.STAFF, True, True, is_end=True) for end in lists["ends"]}
    words |= {act: _Anchor(Kind.STAFF, is_act=True) for act in lists["acts"]}
    for strength in ("weak", "strong"):
        for kind, labels in lists[strength].items():
            words |= {
                label: _Anchor(Kind(kind), strength == "strong", True, is_act=label in lists["acts"]) for label in labels
            }
    words |= {"其" + label: words[label] for label in lists["weak"]["person"] if label[0] not in "其患"}
    roles = (role + end for role in lists["roles"] for end in lists["role_ends"])
    words |= {label: _Anchor(Kind.STAFF, True, True) for label in roles}
    for kind, titles in lists["titles"].items():
        for title in titles:
            is_label = kind == "staff" or (title in words and words[title].is_label)
            words[title] = _Anchor(Kind(kind), title in words and words[title].is_strong, is_label, is_title=True)
    words |= {label: _Anchor(Kind.PATIENT, True, True, is_free=True) for label in lists["free"]}
    # 凌医生签字: the title is hidden in a longer label.
    signed = tuple(title + act for title in lists["titles"]["staff"] for act in ("签字", "签名", "签章", "签"))
    words |= {label: replace(words.get(label, _Anchor(Kind.STAFF, True, True)), is_title=True) for label in signed}
    automaton = AhoCorasick(tuple(words), matchkind=MatchKind.LeftmostLongest)
    labels = (word for word, anchor in words.items() if anchor.is_label and len(word) > 1)
    behind = frozenset([*lists["behind"], *lists["acts"], *labels])
    titles = sorted((title for kind in lists["titles"].values() for title in kind), key=len, reverse=True)
    spaced = ("[ \t]{0,2}".join(title) for title in titles)
    single, sounds = "".join(name_words().single - name_words().common), "".join(name_words().sounds)
    return _Anchors(
        words,
        automaton,
        (behind, max(map(len, behind))),
        tuple(lists["by"]),
        frozenset(lists["not_people"]),
        re.compile(f"[ \t]{{0,3}}(?:{'|'.join(spaced)})"),
        re.compile(f"[小老][{single}](?<!老师)|阿[{HAN}]"),
        re.compile(f"[{sounds}]{{2,8}}"),
    )


def find_han_names(normal: str) -> Iterator[Removal]:
    """Names in a text, in no order; places may overlap."""
    anchors = _anchors()
    for _, start, end in anchors.automaton.find_matches_as_indexes(normal):
        word = normal[start:end]
        anchor = anchors.words[word]
        if anchor.is_label:
            yield from _behind_label(normal, end, anchor)
        if anchor.is_title:
            yield from _before_title(normal, start, anchor)
        if anchor.is_act:
            yield from _before_act(normal, start)
        if word in "男女":
            yield from _before_sex(normal, start, end)
        if word == "岁":
            yield from _before_age(normal, start)
    yield from _before_child(normal)
    yield from _before_phone(normal)
    yield from _signature_lines(normal)
    yield from _masked_names(normal)
    yield from _quoted_names(normal)


def _removal(normal: str, start: int, end: int, kind: Kind, rule: str) -> Removal:
    return Removal(start, end, kind, rule, folded_name(normal[start:end]))


def _behind_label(normal: str, place: int, anchor: _Anchor) -> Iterator[Removal]:
    gap = _GAP.match(normal, place)
    start = gap.end() if gap else place
    has_colon = gap is not None and gap["colon"] is not None
    if anchor.is_end and (not has_colon or normal[place - 2 : place] in _anchors().not_people):
        return
    end = _end_behind_label(normal, start, anchor, has_colon=has_colon, has_gap=start > place)
    is_free = anchor.is_free or (anchor.is_strong and gap is not None and re.search("[:=]", gap["colon"] or "") is not None)
    if end is None and anchor.kind is not Kind.PATIENT:
        # 操作者: 超声科翁美玲
        department = _DEPARTMENT.match(normal, start)
        strong = replace(anchor, is_strong=True)
        end = _end_behind_label(normal, department.end(), strong, has_colon=False, has_gap=True) if department else None
        start = department.end() if department and end else start
    if end is None and is_free and not _is_nobody(normal, start):
        end = _free_name(normal, start, anchor)
    if end is None:
        return
    rule = _RULES[anchor.kind]
    yield _removal(normal, start, end, anchor.kind, rule)
    if anchor.kind is Kind.PATIENT:
        return
    for _ in range(_MOST_SIGNERS):
        sign = _NEXT_NAME.match(normal, end)
        following = sign.end() if sign else end
        further = _end_of_next(normal, following, is_joined=bool(sign["sign"])) if sign else None
        if sign is None or further is None:
            return
        yield _removal(normal, following, further, anchor.kind, rule)
        end = further


def _end_of_next(normal: str, start: int, *, is_joined: bool) -> int | None:
    """Where the name behind another ends: any name behind a sign that joins, none of a common surname behind a space."""
    if is_joined and normal[start : start + 1].isascii():
        return name_at(normal, start, fewest=2)
    end = _nickname(normal, start) or chinese_name(normal, start)
    if end is None and is_joined:
        end = surname_alone(normal, start)
    if end is None:
        return None
    if is_joined:
        is_name = _is_both(normal, start, end) or (_likely_name(normal, start) == end and not _HAN.match(normal, end))
        return end if is_name or not begins_word(normal, start) else None
    is_word = begins_word(normal, start) and not _is_both(normal, start, end)
    is_common = normal[start] in name_words().common and not _is_both(normal, start, end)
    return None if is_word or is_common or _HAN.match(normal, end) else end


def _is_both(normal: str, start: int, end: int) -> bool:
    """Whether a place holds a word that is a name too, whole."""
    return normal[start:end] in name_words().both and not _HAN.match(normal, end)


def _end_behind_label(normal: str, start: int, anchor: _Anchor, *, has_colon: bool, has_gap: bool) -> int | None:
    if _is_nobody(normal, start):
        return None
    is_told = (anchor.is_strong and has_colon) or anchor.is_free
    if normal[start : start + 1].isascii():
        doctor = _DOCTOR.match(normal, start)
        login = _LOGIN.match(normal, start) if is_told else None
        first = doctor.end() if doctor else start
        is_far = has_gap or anchor.kind is not Kind.PATIENT
        latin = name_at(normal, first, fewest=1 if is_told or doctor else 2) if is_far else None
        return login.end() if login else latin
    end = _sounded_name(normal, start) or _nickname(normal, start) or _sound_run(normal, start, least=4)
    if end is not None:
        return end
    end = chinese_name(normal, start)
    if is_told:
        return end or _likely_name(normal, start) or surname_alone(normal, start)
    if (anchor.is_strong or has_colon) and normal[start] not in name_words().common | {"周"}:
        alone = surname_alone(normal, start)
        if alone is not None:
            return alone
    is_both = end is not None and (has_colon or anchor.is_strong) and _is_both(normal, start, end)
    is_word = not is_both and (begins_word(normal, start) or (end is not None and _NOT_GIVEN.search(normal, start, end)))
    if is_word:
        return None
    if end is not None and _is_told_apart(normal, start, end, has_colon=has_colon or anchor.is_strong):
        return end
    is_of_family = anchor.kind is Kind.PERSON
    is_short = is_of_family and normal[start + 2 : start + 3] in set("(,。、;")
    run = _sound_run(normal, start, least=2 if is_short else 3)
    return _likely_name(normal, start) or (run if run and (has_colon or is_of_family or not _HAN.match(normal, run)) else None)


def _nickname(normal: str, start: int) -> int | None:
    """Where 小王, 老魏 or 阿珍 ends."""
    if normal[start : start + 1] not in _FAMILIAR or not _anchors().nickname.match(normal, start):
        return None
    end = start + 2
    return end if is_bounded(normal, end) or _anchors().title.match(normal, end) else None


def surname_alone(normal: str, start: int) -> int | None:
    """Where a surname ends that stands for somebody (报告人: 佟)."""
    end = start + surname_length(normal[start : start + 2])
    is_end = _AT_ONCE.match(normal, end) or not (_HAN.match(normal, end) or normal[end : end + 1].isalnum())
    return end if end > start and is_end else None


def _likely_name(normal: str, start: int) -> int | None:
    """Where a surname with two characters of given names ends, whatever follows."""
    length = surname_length(normal[start : start + 2])
    given = normal[start + length : start + length + 2]
    lists = name_words()
    is_name = length and len(given) == 2 and lists.given.issuperset(given)
    is_word = normal[start] in lists.common and length == 1 and given[:1] in lists.single
    return start + length + 2 if is_name and not is_word else None


def _sound_run(normal: str, start: int, least: int = 2) -> int | None:
    """Where a name ends that is written by its sound (阿依古丽, 巴特尔)."""
    found = _anchors().sound.match(normal, start)
    if found is None:
        return None
    return next((end for end in range(found.end(), start + least - 1, -1) if is_bounded(normal, end)), None)


def _is_told_apart(normal: str, start: int, end: int, *, has_colon: bool) -> bool:
    """Whether a surname that is a word itself (于, 高, 左) is a surname here."""
    lists = name_words()
    is_common = normal[start] in lists.common and normal[start : start + 2] not in lists.compound
    if not is_common or _SEX.match(normal, end):
        return True
    if has_colon or end - start == _SHORT:
        given = normal[start + 1 : end]
        is_given = lists.given.issuperset(given) and not (given[0] in lists.single and normal[start] in _NO_SURNAME)
        return (has_colon and not _HAN.match(normal, end)) or (is_given and (has_colon or not _HAN.match(normal, end)))
    return _likely_name(normal, start) == end


def _is_nobody(normal: str, start: int) -> bool:
    lists = name_words()
    for end in range(start + 1, start + _LONGEST_WORD):
        word = normal[start:end]
        if (word in lists.nobody or word in lists.staff_words) and not (len(word) == 1 and _HAN.match(normal, end)):
            return True
    return False


def _sounded_name(normal: str, start: int) -> int | None:
    """Where a name with middle dots ends; behind the last dot two to six characters, up to a word that may follow a name."""
    found = _BY_SOUND.match(normal, start)
    if found is None:
        return None
    last = max(normal.rfind(dot, start, found.end()) for dot in DOTS) + 1
    sounds = name_words().sounds
    first = last + 2
    while first < found.end() and normal[first] in sounds and not _next_word(normal, first):
        first += 1
    return next((end for end in range(first, found.end()) if is_bounded(normal, end)), found.end())


def chinese_name(normal: str, start: int) -> int | None:
    """Where a name that begins with a surname ends, None for a text that is none.

    Behind it must stand a sign, the end of the text, or a word that may follow a name; of two such ends the later counts.
    """
    length = surname_length(normal[start : start + 2])
    if not length:
        return None
    masked = _MASKED.match(normal, start + length)
    if masked:
        return masked.end()
    if _anchors().title.match(normal, start + length):
        return None if begins_word(normal, start) else start + length
    first = _given(normal, start + length)
    if first is None:
        return None
    if first > start + length + 1 and _next_word(normal, first - 1):
        return None
    second = _given(normal, first)
    is_spaced = first > start + length + 1
    if second is not None and (second == first + 1 or (is_spaced and second - first <= first - start)) and is_bounded(normal, second):
        is_sex = normal[second - 1] in "男女" and (_AGE.match(normal, second) or second > first + 1)
        is_next = second > first + 1 and _is_next(normal, second - 1)
        ahead = _next_word(normal, first)
        is_verb = ahead > 1 and _HAN.match(normal, second) and ahead > _next_word(normal, second)
        if not (is_sex or is_next or is_verb):
            return second
    if is_spaced and _HAN.match(normal, first):
        return None
    return first if is_bounded(normal, first) else None


def _given(normal: str, start: int) -> int | None:
    space = _SPACE.match(normal, start)
    place = space.end() if space else start
    return place + 1 if _HAN.match(normal, place) else None


def is_free_before(normal: str, start: int) -> bool:
    """Whether a name may begin at a place: no Han character stands before it, or one that ends another word."""
    before = normal[start - 1 : start] if start else ""
    return not before or not _HAN.match(before) or before in _LEFT


def is_bounded(normal: str, end: int) -> bool:
    """Whether a name may end at a place: no Han character follows, or a word that may follow a name."""
    return not _HAN.match(normal, end) or _is_next(normal, end)


def _is_next(normal: str, place: int) -> bool:
    behind, longest = _anchors().behind
    return any(normal[place : place + length] in behind for length in range(1, longest + 1))


def _next_word(normal: str, place: int) -> int:
    """How long the longest word is that may follow a name and stands at a place; 0 if there is none of two characters."""
    behind, longest = _anchors().behind
    longest = min(longest, len(normal) - place)
    return next((length for length in range(longest, 1, -1) if normal[place : place + length] in behind), 0)


def _free_name(normal: str, start: int, anchor: _Anchor) -> int | None:
    """A name that begins with no surname we know (次仁卓玛, 缑丽), where a label leaves nothing else that it could be."""
    found = _RUN.match(normal, start)
    if found and len(found[0]) <= _FULL and found[0] in name_words().both:
        return found.end()
    most = 10 if anchor.kind is Kind.PATIENT and not anchor.is_free else 6 if _sound_run(normal, start) else 4
    if found is None or len(found[0]) > most or _NOT_FREE.search(found[0]) or begins_word(normal, start):
        return None
    is_label = any(normal[start : start + length] in _anchors().words for length in range(2, 5))
    return None if is_label else found.end()


def _start_before(
    normal: str, end: int, shortest: int, *, needs_edge: bool = False, is_titled: bool = False
) -> int | None:
    """Where a name that ends at a place begins: the longest that no other word runs into."""
    sounded = _SOUNDED.search(normal, max(0, end - 24), end)
    if sounded:
        return sounded.start()
    spaced = _SPACED.search(normal, max(0, end - 12), end)
    if spaced and normal[spaced.start()] in name_words().single and not begins_word(normal, spaced.start()):
        return spaced.start()
    for length in range(4, shortest - 1, -1):
        start = end - length
        if start >= 0 and _may_begin(normal, start, end, shortest, needs_edge=needs_edge, is_titled=is_titled):
            return start
    return _sound_before(normal, end)


def _may_begin(normal: str, start: int, end: int, shortest: int, *, needs_edge: bool, is_titled: bool) -> bool:
    """Whether a name that ends at a place begins at another."""
    lists = name_words()
    name, length = normal[start:end], end - start
    surname = surname_length(name)
    if not surname or length > surname + 2 or (length == surname and length > 1 and shortest > 1):
        return False
    if len(_HAN.findall(name)) != length and not (_MASKED.fullmatch(name, surname) and length > 1):
        return False
    before = normal[start - 1 : start] if start else ""
    is_edge = not before or not _HAN.match(before)
    is_common = surname == 1 and name[0] in lists.common
    is_given = length > surname and lists.given.issuperset(name[surname:])
    if needs_edge and not is_edge:
        return False
    if not (is_edge or before in _LEFT):
        is_full = length == _FULL and not is_common
        is_alone = is_titled and length == surname
        if not (is_full or is_alone or (is_titled and is_given and not is_common)):
            return False
    if is_common and not is_edge and name[0] in _NO_SURNAME:
        return False
    is_whole = is_given or (needs_edge and name[0] not in _NO_SURNAME)
    if is_common and length > 1 and _HAN.match(name[1]) and not is_whole and (not is_edge or name[1] in lists.single):
        return False
    if length == 1 and before + name in lists.title_ends:
        return False
    if name in lists.both and (needs_edge or before in _BY_HAND):
        return True
    return not (begins_word(normal, start) or _NOT_GIVEN.search(name) or _TITLED.search(normal, max(0, start - 1), end))


def _sound_before(normal: str, end: int) -> int | None:
    """Where a name of three characters or more begins that is written by its sound, between signs."""
    sounds = name_words().sounds
    start = end
    while start and normal[start - 1] in sounds and end - start < 8:
        start -= 1
    is_free = start == 0 or not _HAN.match(normal, start - 1) or normal[start - 1] in _LEFT
    return start if end - start >= _FULL and is_free else None


def _before_title(normal: str, place: int, anchor: _Anchor) -> Iterator[Removal]:
    counted = _COUNTED.search(normal, max(0, place - 3), place)
    end = counted.start() if counted else place
    while end and place - end < 2 and normal[end - 1] in " (":
        end -= 1
    start = _start_before(normal, end, 1 if end == place or counted else 2, is_titled=True)
    rule = "title.staff" if anchor.kind is Kind.STAFF else "title.person"
    yield from _with_listed(normal, start, end, anchor.kind, rule, is_titled=counted is not None)


def _with_listed(
    normal: str, start: int | None, end: int, kind: Kind, rule: str, *, is_titled: bool = False
) -> Iterator[Removal]:
    """A name, and those listed before it: 王芳、李建国教授; behind 两位 surnames alone are listed too."""
    while start is not None:
        yield _removal(normal, start, end, kind, rule)
        start, end = _name_listed_before(normal, start, 1 if is_titled else 2)


def _name_listed_before(normal: str, start: int, shortest: int = 2) -> tuple[int | None, int]:
    if normal[start - 1 : start] not in {"、", "/", "和", "及", "与"}:
        return None, start
    return _start_before(normal, start - 1, shortest, is_titled=shortest == 1), start - 1


def _before_act(normal: str, place: int) -> Iterator[Removal]:
    start = _start_before(normal, place, 2)
    if start is None:
        return
    is_by = normal.endswith(_anchors().by, 0, start) or _name_listed_before(normal, start)[0] is not None
    if is_by or (place - start >= _FULL and _likely_name(normal, start) == place):
        yield from _with_listed(normal, start, place, Kind.STAFF, "act.staff")


def _before_sex(normal: str, place: int, end: int) -> Iterator[Removal]:
    gap = _BEFORE_SEX.search(normal, max(0, place - 8), place)
    if gap is None or normal.startswith("性", end):
        return
    start = _start_before(normal, gap.start(), 2, needs_edge=True)
    if start is not None and (normal[start] not in name_words().common or _AGE.match(normal, end)):
        yield _removal(normal, start, gap.start(), Kind.PATIENT, "sex.patient")


def _before_age(normal: str, place: int) -> Iterator[Removal]:
    gap = _BEFORE_AGE.search(normal, max(0, place - 12), place)
    start = _start_before(normal, gap.start(), 2, needs_edge=True) if gap else None
    if gap is None or start is None:
        return
    if normal[start] not in name_words().common or normal[start : gap.start()] in name_words().both:
        yield _removal(normal, start, gap.start(), Kind.PATIENT, "sex.patient")


def _before_child(normal: str) -> Iterator[Removal]:
    if "之" not in normal:
        return
    for found in _CHILD.finditer(normal):
        start = _start_before(normal, found.start(), 2)
        nickname = found.start() - 2
        if start is None and nickname >= 0 and _nickname(normal, nickname) == found.start():
            start = nickname
        if start is not None:
            yield Removal(start, found.end(), Kind.PERSON, "child.person", folded_name(normal[start : found.start()]))


def _before_phone(normal: str) -> Iterator[Removal]:
    for found in _PHONE.finditer(normal):
        gap = _BEFORE_PHONE.search(normal, max(0, found.start() - 12), found.start())
        end = gap.start() if gap else found.start()
        start = _start_before(normal, end, 2, needs_edge=True)
        if start is not None:
            yield _removal(normal, start, end, Kind.PERSON, "phone.person")


def _signature_lines(normal: str) -> Iterator[Removal]:
    """Lines of nothing but names, two or with a date, and a name of three characters that ends a report."""
    for begin in (0, *(sign.end() for sign in _LINE_STARTS.finditer(normal))):
        found = _LINE.match(normal, begin)
        if found is None:
            continue
        names = [
            (found.start("names") + name.start(), found.start("names") + name.end())
            for name in re.finditer(f"[{HAN}]+", found["names"])
        ]
        is_last = found.end() == len(normal.rstrip()) and found.start() > _LONG_TEXT
        is_signed = len(names) > 1 or found["date"] or (is_last and names[0][1] - names[0][0] == _FULL)
        if is_signed and all(_is_plain_name(normal, *name) for name in names):
            yield from (_removal(normal, *name, Kind.STAFF, "line.staff") for name in names)


def _is_plain_name(normal: str, start: int, end: int) -> bool:
    surname = surname_length(normal[start:end])
    is_common = surname == 1 and normal[start] in name_words().common
    is_name = 0 < surname < end - start <= surname + 2 and not is_common
    return is_name and not begins_word(normal, start) and not _NOT_GIVEN.search(normal, start, end)


def _masked_names(normal: str) -> Iterator[Removal]:
    """Names that the sender has hidden in part: 李**, 张某某."""
    for found in _HIDDEN.finditer(normal):
        start = found.start()
        if normal[start - 1 : start].isascii():
            continue
        surname = 2 if start > 0 and normal[start - 2 : start] in name_words().compound else 1
        first = start - surname
        if first >= 0 and surname_length(normal[first:start]) == surname and is_free_before(normal, first):
            yield _removal(normal, first, found.end(), Kind.PERSON, "masked.person")


def _quoted_names(normal: str) -> Iterator[Removal]:
    """Names on labels and containers, as reports quote them: 标签见“邱慧”字样."""
    for found in _QUOTED.finditer(normal):
        is_told = found["word"] or _ON_LABEL.search(normal, max(0, found.start() - 16), found.start())
        if is_told and _is_plain_name(normal, *found.span("name")):
            yield _removal(normal, *found.span("name"), Kind.PERSON, "quoted.person")

"""Chinese names that nobody told us: by a label, a title, an act or a sex beside them, never by the surname alone."""

import re
from collections.abc import Iterator
from functools import cache

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.hanforms import (
    AGE_BEHIND,
    DOTTED,
    HAN_SIGN,
    MASKED,
    MAY_PRECEDE,
    RELATION,
    Anchor,
    anchors,
    chinese_name,
    found_anchors,
    has_dot,
    is_both,
    is_free_before,
    is_title_at,
    likely_name,
    next_word,
    nickname,
    sound_run,
    sounded_name,
    surname_alone,
)
from pathcurate.scrubbers.text.latinends import name_at
from pathcurate.scrubbers.text.latinnames import PINYIN
from pathcurate.scrubbers.text.namewords import HAN, begins_word, folded_name, medical_latin, name_words, surname_length
from pathcurate.text.beginnings import Searched

_GAP = re.compile(
    r"(?:姓名)?(?:[ \t]*\((?:[^()\n]{0,8}\)(?=[ \t]*:)|"
    r"[父母夫妻子女兄弟姐妹儿媳婿偶侄孙长次大小]{1,3}\)))?[ \t]*(?:[是为系叫](?!否))?"
    r"(?P<colon>[:=|>\])】(\[「“\"'/-]{1,3}[ \t|]*)?\n?[ \t|]*"
)
_NEXT_NAME = re.compile(r"(?P<sign>[ \t]*(?:[/、&+|]|和|及|与)[ \t]*)|[ \t]*[,;][ \t]*|[ \t]{1,4}|\n")
_HIDDEN = Searched(
    "[某*×○●□xXⅹⅩ╳✕✖](?:(?<=某)某?(?![医院市省县区大公单])|(?<=[*])[*]{0,2}(?![0-9])|(?<=[×○●□])[×○●□]{1,2}|(?<=[ⅹⅩ╳✕✖])[ⅹⅩ╳✕✖]{1,2}"
    "|(?<=[xX])[xX]{1,2}(?![A-Za-z0-9])|(?<=[xX])[一-鿿](?=[”」』\"'）),，。;]))"
)
_SEX = re.compile(r"[ \t,、/|(]{1,3}(?:性别[ \t]*[:]?[ \t]*)?[男女](?!性)")
_BEFORE_SEX = re.compile(r"[ \t,、/|(]{1,4}(?:性别[ \t]*:?[ \t]*)?$")
_BEFORE_AGE = re.compile(r"[ \t,、(|]{1,3}(?:年龄[: ]?)?[0-9]{1,3}[ ]?$")
_NOT_FREE = re.compile("[未无不见同略待已科室院部组号性病癌瘤炎术体本查检诊]")
_NOT_GIVEN = re.compile("[癌瘤病症炎膜腔肿切缘织腺肌囊壁旁氏省]")
_SPACED = re.compile(rf"(?<![{HAN}])[{HAN}] {{1,3}}[{HAN}](?: {{1,3}}[{HAN}])?$")
_SOUNDED = re.compile(
    rf"(?:(?<![{HAN}])|(?<=[者人儿名师生经由请与和及]))(?!患者|病人|患儿|姓名|医[师生]|[经由请与和及]){DOTTED}$"
)
_PHONE = Searched(r"1(?<![0-9]1)[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}(?![0-9])")
_BEFORE_PHONE = re.compile(r"[ \t,:(]{0,3}(?:联系)?(?:电话|手机|tel)?[ \t:]{0,3}$", re.IGNORECASE)
_DATE = r"(?:19|20)[0-9]{2}[-./年][0-9]{1,2}[-./月][0-9]{1,2}日?(?:[ \t]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)?"
_LINE = re.compile(
    rf"[ \t]*(?P<names>[{HAN}]{{2,4}}(?:[ \t/、,]{{1,3}}[{HAN}]{{2,4}}){{0,5}})[ \t/、,]*(?P<date>{_DATE})?[ \t]*(?=\n|$)"
)
_SIGNER = re.compile(f"[{HAN}]+")
_LINE_STARTS = re.compile("[\n。;]")
_CHILD = Searched("之(?:(?P<child>[大小长次幼双]?(?:[子女婴孩]|胎儿)(?:[A-D甲乙](?![0-9A-Za-z]))?)|[父母妻夫兄弟姐妹])")
_LOGIN = re.compile(rf"(?=[a-z]{{4,16}}(?![A-Za-z])){PINYIN}{{2,4}}(?![a-z])")
_TITLED = re.compile(
    "主任|教授|医[师生]|老师|大夫|院长|护士|技师|先生|女士|专家|博士|小姐|经理|警官|秘书|[处科局所队]长|干事|律师|法官|阿姨|师傅|书记"
)
_QUOTED = Searched(rf"[\"“「『'‘](?P<name>[{HAN}]{{2,4}})[\"”」』'’](?P<word>[ ]?字样)?")
_ON_LABEL = re.compile(r"(?:标签|标[记识注示有]|条码|容器|[袋瓶盒]|名|署|写|注|姓)[^。;\n]{0,8}$")
_AGED = re.compile("老太(?!太)|老汉|阿[婆公]|大[娘爷妈]")
_COUNTED = re.compile("[两二三四几各]位[ ]?$")
_COLONS = frozenset(":=")
_LISTS = frozenset("、/")
_PAPERS = frozenset("单费章")
_CALLED = frozenset({"护士", "医生", "医师", "大夫", "技师", "老师", "主任", "教授"})
_NO_SURNAME = frozenset("向于时应和都全查与")
_PEOPLE = frozenset("人员者师士属医官手生家任授名字章刀助诊治夫姐长办主CA")
_KIN = frozenset("夫妻父母子女儿兄弟姐妹侄婿媳")
_BY_HAND = frozenset("由托请邀")
_DEPARTMENT = re.compile(rf"[{HAN}]{{0,4}}?(?:[科室院处组部]|中心|[普胸神泌骨心脑肝妇产儿肿烧整颌][外内瘤科一二三])[ \t]?")
_DOCTOR = re.compile(r"(?:Dr|Prof|Mr|Mrs|Ms)\.?[ ]?(?=[A-Z])")
_LATIN_ALONE = re.compile(r"[A-Z][a-z]{2,12}(?=[ ]?[(,。;:\n]|说|已|$)")
_ONE = re.compile(
    r"(?![即由为不已]|[^,;。\n]{0,3}(?:意见|电话|手机|地址|单位|身份|证|建议|要求|信息|关系|编号|签|名|员))"
    rf"[{HAN}]{{2,3}}(?=[,;。\n(])"
)
_RUN = re.compile(f"[{HAN}]{{2,10}}(?![{HAN}])")
# 规培小曾, 取材小于: behind a label and before a sign; 小管, 小叶 and others are words.
_FAMILIAR = re.compile(
    "[小老][曾于向常解明谈简安宁高方文路游温左盛商项章封冷车景古余师和查阳计水祖海南洪师]"
    rf"(?=[ ]{{0,4}}(?:[。,;、)/\n]|$)|[ ]{{1,4}}[{HAN}])"
)
_SIGNED_SHORT = re.compile(
    r"(?:(?P<surname>[A-Z][a-z]{1,5})(?:[ ][A-Z]{1,2})?|[B-DF-HJ-NP-TW-Z]{3})(?![0-9A-Za-z+(-])(?=[ ]*(?:$|"
    r"[\n。/])|[ ]{2}|[ ][12][0-9]{3}[-/.]|(?<=[a-z] [A-Z]{2})[ ]?[,;)|])"
)
_SHORT, _FULL, _MOST_SIGNERS, _LONG_TEXT, _LONGEST_WORD = 2, 3, 8, 20, 7
_RULES = {Kind.PATIENT: "label.patient", Kind.PERSON: "label.person", Kind.STAFF: "label.staff"}


def find_han_names(normal: str) -> Iterator[Removal]:
    """Names in a text, in no order; places may overlap."""
    words = anchors()
    for _, start, end in found_anchors(normal):
        word = normal[start:end]
        anchor = words.words[word]
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


def _behind_label(normal: str, place: int, anchor: Anchor) -> Iterator[Removal]:
    if normal[place : place + 1] in _PAPERS and not is_title_at(normal, place + 1):
        # 与申请单安庆不符, 会诊费另计: a sheet of paper, and whatever is said of it.
        return
    gap = _GAP.match(normal, place)
    start = gap.end() if gap else place
    has_colon = gap is not None and gap["colon"] is not None
    start = _behind_kin(normal, start) if has_colon else start
    if anchor.kind is Kind.PERSON and not has_colon:
        # 委托人:长子安得海
        has_colon = normal[place - 3 : place - 2] == ":"
    if anchor.is_end and (not has_colon or normal[place - 2 : place] in anchors().not_people):
        return
    # Behind 核对: a name stands as a rule, but words as well (操作: 顺利).
    is_strong = anchor.is_strong and normal[place - 1] in _PEOPLE
    end = _end_behind_label(normal, start, anchor, is_strong=is_strong, has_colon=has_colon, has_gap=start > place)
    is_free = anchor.is_free or (is_strong and gap is not None and not _COLONS.isdisjoint(gap["colon"] or ""))
    if end is None and anchor.kind is not Kind.PATIENT:
        # 操作者: 超声科翁美玲
        department = _DEPARTMENT.match(normal, start)
        if department:
            end = _end_behind_label(normal, department.end(), anchor, is_strong=True, has_colon=False, has_gap=True)
        start = department.end() if department and end else start
    if end is None and (is_free or _is_one_by(normal, place, start, anchor)) and not _is_nobody(normal, start):
        end = _free_name(normal, start, anchor)
    if end is None:
        return
    rule = _RULES[anchor.kind]
    yield _removal(normal, start, end, anchor.kind, rule)
    for _ in range(_MOST_SIGNERS):
        sign = _NEXT_NAME.match(normal, end)
        if sign is None or (anchor.kind is Kind.PATIENT and not sign["sign"]):
            return
        following = sign.end()
        further = _end_of_next(normal, following, is_joined=bool(sign["sign"]))
        if further is None and (department := _DEPARTMENT.match(normal, following)):
            # 抄送:医务科岳华、护理部宁中
            following = department.end()
            further = _end_of_next(normal, following, is_joined=True)
        if further is None:
            return
        yield _removal(normal, following, further, anchor.kind, rule)
        end = further


def _behind_kin(normal: str, start: int) -> int:
    """Where a name begins behind whose relative it is: 联系人:丈夫吐尔逊江, 签收人:侄郭海港."""
    if relation := RELATION.match(normal, start):
        return relation.end()
    return start + (normal[start : start + 1] in _KIN and surname_length(normal[start + 1 : start + 3]) > 0)


def _is_one_by(normal: str, place: int, start: int, anchor: Anchor) -> bool:
    """Whether a label that a person is named by stands before two or three characters that a sign ends (联系人水生,)."""
    is_named = anchor.is_strong and start == place and normal[place - 1] == "人"
    return is_named and _ONE.match(normal, start) is not None


def _end_of_next(normal: str, start: int, *, is_joined: bool) -> int | None:
    """Where the name behind another ends: any name behind a sign that joins, none of a common surname behind a space."""
    if is_joined and normal[start : start + 1].isascii():
        return name_at(normal, start, fewest=2)
    end = nickname(normal, start) or chinese_name(normal, start)
    if end is None and is_joined:
        end = surname_alone(normal, start)
    if end is None:
        return None
    if is_joined:
        is_name = is_both(normal, start, end) or (likely_name(normal, start) == end and not HAN_SIGN.match(normal, end))
        return end if is_name or not begins_word(normal, start) else None
    is_word = begins_word(normal, start) and not is_both(normal, start, end)
    is_common = normal[start] in name_words().common and not is_both(normal, start, end)
    # On the next line 查询: is a label.
    is_label = normal[start - 1] == "\n" and normal.startswith(":", end)
    return None if is_word or is_common or is_label or HAN_SIGN.match(normal, end) else end


def _end_behind_label(
    normal: str, start: int, anchor: Anchor, *, is_strong: bool, has_colon: bool, has_gap: bool
) -> int | None:
    if _is_nobody(normal, start):
        return None
    is_told = (is_strong and has_colon) or anchor.is_free
    if normal[start : start + 1].isascii():
        short = _short_signature(normal, start) if anchor.kind is Kind.STAFF else None
        is_told = is_told or (is_strong and _LATIN_ALONE.match(normal, start) is not None)
        is_apart = has_gap or anchor.kind is not Kind.PATIENT
        return short or (_end_of_latin(normal, start, is_told=is_told) if is_apart else None)
    end = sounded_name(normal, start)
    if normal[start : start + 1] not in _name_beginnings():
        return end
    familiar = _FAMILIAR.match(normal, start) if anchor.kind is Kind.STAFF else None
    end = (familiar.end() if familiar else None) or end or nickname(normal, start) or sound_run(normal, start, least=4)
    if end is None and is_told:
        end = chinese_name(normal, start) or likely_name(normal, start) or surname_alone(normal, start)
    if end is not None or is_told:
        return end
    return _end_behind_weak(normal, start, anchor.kind, is_strong=is_strong, has_colon=has_colon)


def _short_signature(normal: str, start: int) -> int | None:
    """Where a surname in Pinyin or the initials of a name end that sign a line: 审核 Dai, 记录ZXY."""
    found = _SIGNED_SHORT.match(normal, start)
    if found is None:
        return None
    word = (found["surname"] or found[0]).lower()
    is_surname = found["surname"] is not None and word in name_words().pinyin and word not in name_words().latin
    is_initials = found["surname"] is None and not (word in medical_latin() or word in name_words().abbreviations)
    return found.end() if is_surname or is_initials else None


@cache
def _name_beginnings() -> frozenset[str]:
    """What names without dots begin with: asked first, as most of what stands behind a label begins otherwise."""
    lists = name_words()
    return frozenset("小老阿").union(lists.single, lists.sounds, (surname[0] for surname in lists.compound))


def _end_of_latin(normal: str, start: int, *, is_told: bool) -> int | None:
    doctor = _DOCTOR.match(normal, start)
    login = _LOGIN.match(normal, start) if is_told else None
    latin = name_at(normal, doctor.end() if doctor else start, fewest=1 if is_told or doctor else 2)
    if latin and normal[start:latin].isupper() and normal[start:latin].lower() in name_words().abbreviations:
        return None
    return login.end() if login else latin


def _end_behind_weak(normal: str, start: int, kind: Kind, *, is_strong: bool, has_colon: bool) -> int | None:
    """Where a name ends behind a label that words follow as well."""
    end = chinese_name(normal, start)
    if end == start + 1 and is_title_at(normal, end) and (kind is Kind.PERSON or normal[start] not in _NO_SURNAME):
        return end
    if (is_strong or has_colon) and normal[start] not in name_words().common | {"周"}:
        alone = surname_alone(normal, start)
        if alone is not None:
            return alone
    if end is None and normal[start - 2 : start] in _CALLED and normal[start] not in name_words().common:
        # 内镜护士芮核实确为
        end = start + 1 if surname_length(normal[start]) and next_word(normal, start + 1) > 1 else None
        if end is not None and not begins_word(normal, start):
            return end
        end = None
    is_name_too = end is not None and (has_colon or is_strong) and is_both(normal, start, end)
    is_word = not is_name_too and (begins_word(normal, start) or (end is not None and _NOT_GIVEN.search(normal, start, end)))
    if is_word:
        return None
    if end is not None and _is_told_apart(normal, start, end, has_colon=has_colon or is_strong):
        return end
    is_of_family = kind is Kind.PERSON
    is_short = is_of_family and normal[start + 2 : start + 3] in set("(,。、;")
    run = sound_run(normal, start, least=2 if is_short else 3)
    is_ended = run is not None and (has_colon or is_of_family or not HAN_SIGN.match(normal, run))
    return likely_name(normal, start) or (run if is_ended else None)


def _is_told_apart(normal: str, start: int, end: int, *, has_colon: bool) -> bool:
    """Whether a surname that is a word itself (于, 高, 左) is a surname here."""
    lists = name_words()
    is_common = normal[start] in lists.common and normal[start : start + 2] not in lists.compound
    if not is_common or _SEX.match(normal, end):
        return True
    if has_colon or end - start == _SHORT:
        given = normal[start + 1 : end]
        is_given = lists.given.issuperset(given) and not (given[:1] in lists.single and normal[start] in _NO_SURNAME)
        is_end = not HAN_SIGN.match(normal, end)
        return (has_colon and is_end) or (is_given and (has_colon or is_end or next_word(normal, end) > 1))
    return likely_name(normal, start) == end


@cache
def _nobody_beginnings() -> frozenset[str]:
    return frozenset(word[0] for word in name_words().nobody | name_words().staff_words)


def _is_nobody(normal: str, start: int) -> bool:
    if normal.startswith(("时间:", "时间 :"), start):
        return True
    if normal[start : start + 1] not in _nobody_beginnings():
        return False
    lists = name_words()
    for end in range(start + 1, start + _LONGEST_WORD):
        word = normal[start:end]
        if (word in lists.nobody or word in lists.staff_words) and not (len(word) == 1 and HAN_SIGN.match(normal, end)):
            return True
    return False


def _free_name(normal: str, start: int, anchor: Anchor) -> int | None:
    """A name that begins with no surname we know (次仁卓玛, 缑丽), where a label leaves nothing else that it could be."""
    found = _RUN.match(normal, start)
    if found and len(found[0]) <= _FULL and found[0] in name_words().both:
        return found.end()
    most = 10 if anchor.kind is Kind.PATIENT and not anchor.is_free else 6 if sound_run(normal, start) else 4
    if found is None or len(found[0]) > most or _NOT_FREE.search(found[0]) or begins_word(normal, start):
        return None
    is_label = any(normal[start : start + length] in anchors().words for length in range(2, 5))
    return None if is_label else found.end()


def _start_before(normal: str, end: int, shortest: int, *, needs_edge: bool = False, is_titled: bool = False) -> int | None:
    """Where a name that ends at a place begins: the longest that no other word runs into."""
    sounded = _SOUNDED.search(normal, max(0, end - 24), end) if has_dot(normal, max(0, end - 24), end) else None
    if sounded:
        relation = RELATION.match(normal, sounded.start())
        return relation.end() if relation else sounded.start()
    spaced = _SPACED.search(normal, max(0, end - 12), end) if " " in normal[max(0, end - 3) : end] else None
    if spaced and normal[spaced.start()] in name_words().single and not begins_word(normal, spaced.start()):
        return spaced.start()
    beginnings = _name_beginnings()
    for length in range(4, shortest - 1, -1):
        start = end - length
        if start < 0 or normal[start] not in beginnings:
            continue
        if _may_begin(normal, start, end, shortest, needs_edge=needs_edge, is_titled=is_titled):
            return start
    return _sound_before(normal, end)


def _may_begin(normal: str, start: int, end: int, shortest: int, *, needs_edge: bool, is_titled: bool) -> bool:
    """Whether a name that ends at a place begins at another."""
    lists = name_words()
    name, length = normal[start:end], end - start
    surname = surname_length(name)
    is_masked = len(HAN_SIGN.findall(name)) != length
    is_other = is_masked and not (MASKED.fullmatch(name, surname) and length > 1)
    if not surname or is_other or length > surname + 2 or (length == surname and length > 1 and shortest > 1):
        return False
    before = normal[start - 1 : start] if start else ""
    is_edge = not before or not HAN_SIGN.match(before)
    is_common = surname == 1 and name[0] in lists.common
    is_given = length > surname and lists.given.issuperset(name[surname:])
    is_full = length == _FULL and not is_common
    is_told = is_full or (is_titled and (length == surname or (is_given and not is_common)))
    is_free = is_edge or (not needs_edge and (before in MAY_PRECEDE or is_told))
    if not is_free or (is_common and not is_edge and name[0] in _NO_SURNAME):
        return False
    is_whole = is_given or (needs_edge and name[0] not in _NO_SURNAME)
    is_cut = not is_edge or name[1:2] in lists.single
    is_doubtful = is_common and length > 1 and not (is_whole or is_masked) and is_cut
    if is_doubtful or (is_titled and before + name[0] in lists.title_ends):
        return False
    if name in lists.both and (needs_edge or before in _BY_HAND):
        return True
    if is_titled and length == 1 and before in _LISTS:
        # 虞院长、全主任、姬大夫
        return normal[start : start + _FULL] not in lists.words
    return not (begins_word(normal, start) or _NOT_GIVEN.search(name) or _TITLED.search(normal, max(0, start - 1), end))


def _sound_before(normal: str, end: int) -> int | None:
    """Where a name of three characters or more begins that is written by its sound, between signs."""
    sounds = name_words().sounds
    start = end
    while start and normal[start - 1] in sounds and end - start < 8:
        start -= 1
    is_free = start == 0 or not HAN_SIGN.match(normal, start - 1) or normal[start - 1] in MAY_PRECEDE
    return start if end - start >= _FULL and is_free else None


def _before_title(normal: str, place: int, anchor: Anchor) -> Iterator[Removal]:
    counted = _COUNTED.search(normal, max(0, place - 3), place)
    end = counted.start() if counted else place
    while end and place - end < 2 and normal[end - 1] in " (":
        end -= 1
    start = _start_before(normal, end, 1 if end == place or counted else 2, is_titled=True)
    aged = _AGED.match(normal, end) if start is not None and end - start == 1 else None
    if aged:
        # 罗老太 is all there is of her name.
        yield _removal(normal, start or 0, aged.end(), anchor.kind, "title.person")
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
    is_by = normal.endswith(anchors().by, 0, start) or _name_listed_before(normal, start)[0] is not None
    if is_by or (place - start >= _FULL and likely_name(normal, start) == place):
        yield from _with_listed(normal, start, place, Kind.STAFF, "act.staff")


def _before_sex(normal: str, place: int, end: int) -> Iterator[Removal]:
    gap = _BEFORE_SEX.search(normal, max(0, place - 8), place)
    if gap is None or normal.startswith("性", end):
        return
    start = _start_before(normal, gap.start(), 2, needs_edge=True)
    if start is not None and (normal[start] not in name_words().common or AGE_BEHIND.match(normal, end)):
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
        short = found.start() - 2
        if start is None and short >= 0 and nickname(normal, short) == found.start():
            start = short
        if start is not None:
            # A newborn is called after their mother; whoever else is related has a name of their own.
            end = found.end("child") if found["child"] else found.start()
            yield Removal(start, end, Kind.PERSON, "child.person", folded_name(normal[start : found.start()]))


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
            for name in _SIGNER.finditer(found["names"])
        ]
        is_last = found.end() == len(normal.rstrip()) and found.start() > _LONG_TEXT
        is_signed = len(names) > 1 or found["date"] or (is_last and names[0][1] - names[0][0] == _FULL)
        if is_signed and all(_is_plain_name(normal, *name) for name in names):
            yield from (_removal(normal, *name, Kind.STAFF, "line.staff") for name in names)


def _is_plain_name(normal: str, start: int, end: int) -> bool:
    surname = surname_length(normal[start:end])
    if not 0 < surname < end - start <= surname + 2 or (surname == 1 and normal[start] in name_words().common):
        return False
    is_name = not _TITLED.search(normal, start, end)
    return is_name and not begins_word(normal, start) and not _NOT_GIVEN.search(normal, start, end)


def _masked_names(normal: str) -> Iterator[Removal]:
    """Names that the sender has hidden in part: 李**, 张某某."""
    for found in _HIDDEN.finditer(normal):
        start = found.start()
        if normal[start - 1 : start].isascii() or normal.startswith("式", found.end()):
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

"""Chinese names in places where only people stand: in chats and lists, beside the same in Latin."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.briefsigners import find_brief_signers
from pathcurate.scrubbers.text.hanforms import chinese_name, is_bounded, next_word
from pathcurate.scrubbers.text.hanshort import find_short_names
from pathcurate.scrubbers.text.latinends import name_at
from pathcurate.scrubbers.text.latinnames import PINYIN
from pathcurate.scrubbers.text.namewords import (
    DOTS,
    HAN,
    begins_word,
    folded_name,
    medical_latin,
    name_words,
    pinyin_of,
    surname_length,
)
from pathcurate.scrubbers.text.scripts import find_foreign_names
from pathcurate.scrubbers.text.signatures import find_signatures
from pathcurate.scrubbers.text.signers import find_signers
from pathcurate.scrubbers.text.signlines import find_sign_lines
from pathcurate.text.beginnings import Searched

# Of 小 and a surname many are words (骨小梁, 小叶): these are none, the others only behind some signs.
_OFTEN = frozenset(
    "王李张刘陈杨赵吴徐孙马朱胡郭何罗郑谢宋唐许韩邓冯曹彭肖董潘袁蔡蒋杜魏苏吕丁卢姚沈钟姜崔谭陆范汪廖贾邹熊孟秦邱侯"
    "尹薛闫黎史陶贺龚邵覃钱戴莫汤乔赖葛岳倪詹俞樊翟颜裴耿祁聂焦邢骆"
)
_NEVER = frozenset("叶管关项段时于包支师年法水计阳权盖闭展税")
_MEASURED = frozenset("缩减较最细偏过变大微甚极太短狭弱胆肾管")
_BEFORE_NICKNAME = frozenset("科室处组托找叫知电给问嘱请让@")
_OURS = frozenset("科室处组请让嘱托")
_PEOPLE = frozenset("床士师医员者人生")
_JOINS = frozenset("、/和及与")
_LATIN_PATIENT = Searched("(?:患者|病人|姓名)(?P<name>[A-Z][a-z]+(?:[ -][A-Z][a-z]+){1,2})(?![A-Za-z])")
_AUTHOR = Searched(rf"-(?<=[科院室组心理]-)(?P<name>[{HAN}]{{2,3}}):")
_OF_HOSPITAL = Searched(rf"[院心所](?<=医院|生院|中心|诊所)[,、 ](?P<name>[{HAN}]{{2,3}})(?=\))")
_ACCOUNT = Searched(rf"\((?<=[a-z]\()(?P<name>[{HAN}]{{2,4}})[),]")
_FILE = Searched(rf"_(?<=[0-9]_)(?P<name>(?=[a-z]{{5,16}}[_.]){PINYIN}{{2,4}})(?=[_.][0-9A-Za-z])")
_LOGIN_BEFORE = re.compile("(?<![A-Za-z0-9])[a-z]{4,16}$")
_EDGES, _CELLS = frozenset(" \t|\n:,;、/(。"), frozenset(" \t|\n")
_RELATIVE = Searched(r"[父母夫妻兄弟姐妹子女媳婿舅姨叔伯姑爷](?:亲)?[: ]?(?=[^\x00-\x7f])")
_BEFORE_RELATIVE = re.compile(r"(?:[,;:。、(\n\t \])】〗」|]|先生|女士|之|(?:患者|病人|患儿|产妇|死者)的|^)其?$")
_INITIALS = Searched(r"(?:缩写|首字母|简拼|拼音)[为是:( ]{0,3}(?P<name>[A-Z]{2,4})(?![A-Za-z0-9])")
_BRACKET = Searched(rf"\((?:(?=[A-Z][A-Za-z]+[ ,-])|(?P<in>[{HAN}]{{2,4}})[),])")
_HAN_BEFORE = re.compile(rf"(?<![{HAN}{DOTS}])[{HAN}{DOTS}]{{2,12}}(?=[ ]?$)")
_LED = re.compile("患者|病人|患儿|产妇|家属|姓名|全称|[母父]亲|丈夫|妻子")
_LATIN_BEFORE = re.compile(r"(?<![A-Za-z])(?!Pt|Dr|Mr|Ms|Prof)[A-Z][A-Za-z]+(?:[ ,-]{1,2}[A-Z][A-Za-z]+){1,3}(?=[ ]?$)")
_LETTERS = re.compile("[A-Za-z]+")
_SIGNER = re.compile(f"[{HAN}]+")
_ALIAS = Searched(r"\((?:曾用名|又名|小名|原名|系统|身份证|登记|本名|现名|化名|别名|户口|全名|住院号|门诊号|就诊卡)")
_NAME_BEFORE = re.compile(rf"(?<![{HAN}])[{HAN}]{{2,5}}$")
_LATIN_TITLED = Searched(r"[A-Z][a-z]+[ ][A-Z][a-z]+(?=[ ]?(?:教授|医[生师]|主任|老师|护士|先生|女士|博士))")
_DAY = (
    r"(?:[0-9]{1,4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}[日号]?|[0-9]{1,2}月[0-9]{1,2}[日号]"
    r"|(?:[〇零一二三四五六七八九]{4}年)?[一二三四五六七八九十]{1,2}月[一二三四五六七八九十]{1,3}[日号])"
)
# What is no given name behind a surname: titles, and the rests of names of peoples.
_NO_GIVEN = frozenset(
    {"护士", "医生", "医师", "主任", "老师", "小姐", "大姐", "大伯", "先生",
     "大哥", "小弟", "小妹", "吾尔", "萨克", "尔克", "斯密"}
)  # fmt: skip
# Nor are what somebody with a title does, of characters that are in given names too: 曾主任知晓.
_DONE = frozenset(
    {"知晓", "知道", "知悉", "知情", "同意", "同行", "明确", "明白", "来电", "来访", "来信", "来人", "来函", "来到", "亲临",
     "到会", "到达", "建议", "立即", "书面", "书写", "指明", "表明", "阅后", "阅毕", "通知", "同台", "在场", "在台", "行文",
     "言明", "正在", "三方", "双方", "远程", "线上", "在线", "现场", "亲自", "主刀", "会同", "方面", "一行", "一同", "共同",
     "三人", "二人", "两人", "先后", "当面", "随后", "立刻", "开会", "本人", "本周", "本月", "利用", "良好", "安排", "才能",
     "当日", "今天", "今日", "昨天", "明天", "清楚"}
)  # fmt: skip
_SELDOM = Searched(
    rf"(?P<name>[凤元强支麴松巴弓山秋暴怀咸籍苍堵宰燕习鱼居满弘国沃利越隆勾融须丰红益么区母员钦冼操揭占门帅青才撒库拜亓](?<![{HAN}].))"
    r"(?=(?:副?主任|教授|医[师生]|大夫|老师|护士长|技师|主治|院长|科长|女士)(?![一-鿿]?科))"
)
"""Surnames that no list has because they are words, between a sign and a title."""
_LISTED_BY_SOUND = re.compile(rf"[{HAN}]{{4,8}}(?=[ ]*(?:[、,。;\n)]|$))")
_LEAST_OF_A_NAME, _LONGEST_OF_FOUR, _INDENT, _REACH = 2, 4, 4, 40


@dataclass(frozen=True, slots=True)
class _Places:
    """Patterns that begin with a set of characters, which is fast to search; what stands before is asked afterwards."""

    nickname: Searched
    title: Searched
    alone: Searched
    alone_sounds: Searched
    signed: Searched
    signed_first: "re.Pattern[str]"
    clan: Searched
    ending: "re.Pattern[str]"


@cache
def placed_patterns() -> _Places:
    """The patterns, made of the lists of names when they are first needed."""
    lists = name_words()
    rare, given, sounds = ("".join(sorted(one)) for one in (lists.single - lists.common, lists.given, lists.sounds))
    compound, single = "|".join(sorted(lists.compound)), "".join(sorted(lists.single))
    first = rare + "".join(sorted({surname[0] for surname in lists.compound}))
    signer = f"(?:{compound}|[{single}])[{given}]{{0,2}}"
    signed = (
        rf"(?P<indent>[ \t]*)(?P<names>{signer}(?:[ ]?/[ ]?{signer}|[ ]{{1,3}}{signer}){{0,3}})"
        rf"(?P<date>[ ,]{{1,3}}{_DAY})?[ \t。]*(?=\n|$|。)"
    )
    return _Places(
        Searched(rf"[小老大阿](?:(?<=[小老])[{single}]|(?<=[大阿])[{given}](?=:)|(?<=小)[{given}](?=\())"),
        Searched(rf"[{single}](?:主任|教授|护士长|医生|医师|老师)(?![和与])[{given}]{{2}}"),
        Searched(
            rf"[{first}][{HAN}]?[{given}]{{2}}(?=[ \t|\n,;。、/)(]|$)"
            rf"|[{rare}]氏[{given}]{{1,2}}(?=[ ,(]{{1,2}}[女男])"
        ),
        Searched(rf"[{sounds}]{{3,6}}(?=[ \t|\n]|$)"),
        Searched(rf"[\n。;!]{signed}"),
        re.compile(signed),
        # 阮氏秋, 车王氏: names of the clan that somebody was born into.
        Searched(
            rf"(?:(?<![{HAN}])|(?<=[名者人妈奶母亲婆叫]))"
            rf"(?:[{rare}]氏[{given}]{{1,2}}(?=[ ,;。()\n]|$)|[{single}][{rare}]氏(?=[ ,;。()\n签取领送\"”」』]|$))"
        ),
        re.compile(rf"(?:[。:\n]|-)[ \t-]*(?P<name>小[{given}{single}]|[{rare}](?=注))注?[。]?\s*$"),
    )


def find_placed_names(normal: str) -> Iterator[Removal]:
    """Names that their place in a text gives away, in no order; places may overlap."""
    places = placed_patterns()
    for found in places.nickname.finditer(normal):
        if _is_nickname(normal, found.start(), found.end()):
            yield _removal(normal, found.start(), found.end(), Kind.STAFF, "nickname.staff")
    yield from _titled(normal)
    if first := places.signed_first.match(normal):
        yield from _signers(normal, first)
    for found in places.signed.finditer(normal):
        yield from _signers(normal, found)
    yield from find_short_names(normal)
    yield from find_signers(normal)
    yield from find_signatures(normal)
    yield from find_brief_signers(normal)
    yield from find_sign_lines(normal)
    yield from find_foreign_names(normal)
    if "氏" in normal:
        for found in places.clan.finditer(normal):
            yield _removal(normal, *found.span(), Kind.PERSON, "clan.person")
    ending = places.ending.search(normal, max(0, len(normal) - _REACH))
    if ending:
        yield _removal(normal, *ending.span("name"), Kind.STAFF, "line.staff")
    yield from _in_chats(normal)
    for found in _LATIN_PATIENT.finditer(normal):
        if _is_latin_name(found["name"]):
            yield _removal(normal, *found.span("name"), Kind.PATIENT, "label.patient")
    for found in _FILE.finditer(normal):
        yield Removal(*found.span("name"), Kind.PATIENT, "file.patient", found["name"].upper())
    for found in _INITIALS.finditer(normal):
        yield Removal(*found.span("name"), Kind.PERSON, "initials.person", found["name"])
    yield from _names_alone(normal)
    yield from _relatives(normal)
    yield from _beside_brackets(normal)


def _removal(normal: str, start: int, end: int, kind: Kind, rule: str) -> Removal:
    return Removal(start, end, kind, rule, folded_name(normal[start:end]))


def find_listed(normal: str, names: Iterable[Removal]) -> Iterator[Removal]:
    """Names of three characters or more that are listed behind a known one: 翟墨、阎罗生及."""
    for name in names:
        start = name.end + 1
        end = chinese_name(normal, start) if normal[name.end : start] in _JOINS else None
        if end is not None and end - start > _LEAST_OF_A_NAME and not begins_word(normal, start):
            yield _removal(normal, start, end, name.kind, "listed.person")


def find_listed_by_sound(normal: str, names: Iterable[Removal]) -> Iterator[Removal]:
    """Names of other peoples, in which no word begins, that are listed behind a known one: 葛红、宝音德力格尔."""
    for name in names:
        start = name.end + 1
        found = _LISTED_BY_SOUND.match(normal, start) if normal[name.end : start] == "、" else None
        is_name = found is not None and chinese_name(normal, start) is None
        if found and is_name and not any(begins_word(normal, at) for at in range(start, found.end())):
            yield _removal(normal, start, found.end(), name.kind, "listed.person")


def _in_chats(normal: str) -> Iterator[Removal]:
    """Who writes in a chat (病理科-花木:), and who logged in (shangyu(商羽))."""
    for found in _AUTHOR.finditer(normal):
        start, end = found.span("name")
        if surname_length(found["name"]) and (found["name"] in name_words().both or not begins_word(normal, start)):
            yield _removal(normal, start, end, Kind.STAFF, "chat.staff")
    for found in _OF_HOSPITAL.finditer(normal):
        if surname_length(found["name"]) and not begins_word(normal, found.start("name")):
            yield _removal(normal, *found.span("name"), Kind.STAFF, "chat.staff")
    for found in _ACCOUNT.finditer(normal):
        login = _LOGIN_BEFORE.search(normal, max(0, found.start() - _REACH), found.start())
        if login and surname_length(found["name"]) and login[0] in map("".join, pinyin_of(found["name"])):
            yield _removal(normal, *login.span(), Kind.STAFF, "scripts.person")
            yield _removal(normal, *found.span("name"), Kind.STAFF, "scripts.person")


def _titled(normal: str) -> Iterator[Removal]:
    """Names around a title (白教授一鸣), and Latin ones before one."""
    for found in placed_patterns().title.finditer(normal):
        given = found.end() - _LEAST_OF_A_NAME
        is_verb = next_word(normal, given) > 1 or normal[given : found.end()] in _DONE or begins_word(normal, given)
        # 责任医师路遥: what looks like a surname ends another word.
        is_cut = normal[max(0, found.start() - 1) : found.start() + 1] in name_words().title_ends
        if is_bounded(normal, found.end()) and not (is_verb or is_cut):
            yield _removal(normal, *found.span(), Kind.STAFF, "title.staff")
    for found in _SELDOM.finditer(normal):
        yield _removal(normal, *found.span("name"), Kind.STAFF, "title.staff")
    for found in _LATIN_TITLED.finditer(normal):
        if name_at(normal, found.start(), fewest=2) == found.end():
            yield _removal(normal, *found.span(), Kind.STAFF, "title.staff")


def _is_nickname(normal: str, start: int, end: int) -> bool:
    """Whether 小王 is somebody: who writes in a chat (病理-小王:), whose name follows in brackets, or behind 科 and 托."""
    before, behind, surname = normal[start - 1 : start] or "\n", normal[end : end + 1], normal[end - 1]
    if behind == ":" and before in "\n-":
        return surname not in _NEVER
    if behind == "(" and normal[end + 1 : end + 2] == surname:
        return True
    # 护士小段 and 技师小时 are people, 增生小叶 is not.
    is_surname = surname in name_words().single and (surname not in _NEVER or before in "士师")
    is_person = before in _PEOPLE and is_surname and not re.match(f"[{HAN}]", behind)
    is_old = normal[start] == "老" and before in _EDGES and is_surname
    if is_person or (is_old and next_word(normal, end) > 1):
        return True
    if behind == "(":
        shown = _SIGNER.match(normal, end + 1)
        is_shown = shown is not None and shown[0].endswith(surname) and len(shown[0]) <= _LONGEST_OF_FOUR
        return is_shown or is_old
    if before in _BEFORE_NICKNAME:
        # 技术组小崔重新脱钙: behind those whom somebody belongs to, whatever was done; no 组小叶.
        is_ours = before in _OURS and surname in _OFTEN and not begins_word(normal, start)
        return surname not in _NEVER and (is_ours or is_bounded(normal, end))
    return surname in _OFTEN and before not in _MEASURED and not re.match(f"[{HAN}]", behind)


def _names_alone(normal: str) -> Iterator[Removal]:
    """A surname and two characters of given names, or a name by its sound, between signs or in a cell."""
    places = placed_patterns()
    for found, edges in (
        *((found, _EDGES) for found in places.alone.finditer(normal)),
        *((found, _CELLS) for found in places.alone_sounds.finditer(normal)),
    ):
        start, name = found.start(), found[0]
        is_edge = start == 0 or normal[start - 1] in edges
        is_short = len(name) < _LONGEST_OF_FOUR or surname_length(name) == _LEAST_OF_A_NAME
        is_name = edges is _CELLS or is_short or name[1] == "氏"
        if is_edge and is_name and name[1:] not in _NO_GIVEN and not begins_word(normal, start):
            yield _removal(normal, start, found.end(), Kind.PERSON, "alone.person")


def _relatives(normal: str) -> Iterator[Removal]:
    """Names behind one character that says whose relative somebody is: 父苗海, 弟: 常乐."""
    for found in _RELATIVE.finditer(normal):
        start = found.end()
        if _BEFORE_RELATIVE.search(normal, max(0, found.start() - 3), found.start()) is None:
            continue
        # 子 宫 肌 瘤: every character of the line stands alone.
        before = normal[found.start() - 1] if found.start() else " "
        is_spaced = before in " \n" and normal[start - 1] == " " == normal[start + 1 : start + 2]
        end = None if is_spaced else chinese_name(normal, start)
        if end is not None and end - start >= _LEAST_OF_A_NAME and _is_person(normal, start, end):
            yield _removal(normal, start, end, Kind.PERSON, "relative.person")


def _is_person(normal: str, start: int, end: int) -> bool:
    lists = name_words()
    name = normal[start:end]
    if name in lists.both:
        return not re.match(f"[{HAN}]", normal[end : end + 1])
    is_common = name[0] in lists.common and not lists.given.issuperset(name[1:])
    return not (is_common or begins_word(normal, start - 1) or begins_word(normal, start))


def _signers(normal: str, found: "re.Match[str]") -> Iterator[Removal]:
    """Those who sign a line, by surnames alone as well: 饶/禹双, 2025/1/9."""
    lists = name_words()
    first = found.start("names")
    places = [(first + one.start(), first + one.end()) for one in _SIGNER.finditer(found["names"])]
    names = [normal[start:end] for start, end in places]
    is_joined = "/" in found["names"]
    is_far = len(names) == 1 and len(found["indent"]) >= _INDENT
    is_signed = found["date"] is not None or ((is_joined or is_far) and "周" not in names)
    is_titled = any(name[1:] in _NO_GIVEN for name in names)
    # 应 2024.5.9, as the last words of a text: nothing but somebody's surname.
    is_last = len(names) == 1 and len(names[0]) == 1 and found["date"] and not normal[found.end() :].strip(" \n。")
    are_names = is_last or all(
        name in lists.both or (name[0] not in lists.common and not begins_word(name, 0)) for name in names
    )
    if is_signed and are_names and not is_titled:
        yield from (_removal(normal, start, end, Kind.STAFF, "line.staff") for start, end in places)


def _beside_brackets(normal: str) -> Iterator[Removal]:
    """A name with its alias, its number or its other script in brackets: 宫本洋子(MIYAMOTO Yoko)."""
    for found in _ALIAS.finditer(normal):
        name = _NAME_BEFORE.search(normal, max(0, found.start() - 8), found.start())
        if name and (surname_length(name[0]) or name_words().sounds.issuperset(name[0])):
            yield _removal(normal, *name.span(), Kind.PATIENT, "alias.patient")
    for found in _BRACKET.finditer(normal):
        before = max(0, found.start() - _REACH)
        if found["in"]:
            latin, han = _LATIN_BEFORE.search(normal, before, found.start()), found.span("in")
            places = (han, latin.span()) if latin else None
        else:
            written = _HAN_BEFORE.search(normal, before, found.start())
            led = _LED.match(normal, *written.span()) if written else None
            end = name_at(normal, found.end(), fewest=2) if written else None
            is_closed = end is not None and normal[end : end + 1] in {")", ",", ";"}
            first = led.end() if led else written.start() if written else 0
            places = ((first, written.end()), (found.end(), end)) if written and end and is_closed else None
        if places and _is_name(normal[slice(*places[0])]) and _is_latin_name(normal[slice(*places[1])]):
            yield from (_removal(normal, *place, Kind.PERSON, "scripts.person") for place in places)


def _is_name(name: str) -> bool:
    if any(dot in name for dot in DOTS):
        return True
    is_word = begins_word(name, 0) or name in name_words().both
    return len(name) <= _LONGEST_OF_FOUR and surname_length(name) > 0 and not is_word


def _is_latin_name(name: str) -> bool:
    lists = name_words()
    words = [word.lower() for word in _LETTERS.findall(name) if len(word) > _LEAST_OF_A_NAME]
    return not any(word in known for word in words for known in (lists.latin, lists.eponyms, medical_latin()))

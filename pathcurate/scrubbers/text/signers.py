"""Those who sign behind a label by initials, a login or a code: 初诊:ych, 检测者 LZ, 审核:0042.

What stands behind a label such as 取材 or 审核 is most often a name, and now and then medicine (检测 HPV, 染色:HE). How much
a label says decides how much else must show that somebody signs: a colon, the end of the line, a date, the next who signs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.englishwords import english_words
from pathcurate.scrubbers.text.latinnames import PINYIN
from pathcurate.scrubbers.text.namewords import HAN, folded_name, medical_latin, name_words, surname_length
from pathcurate.text.beginnings import Searched

_ACTS = (
    "初诊", "复诊", "主诊", "主检", "初检", "复检", "初审", "复审", "终审", "一审", "二审", "三审", "审核", "复核", "审签",
    "审定", "审阅", "审校", "签发", "签收", "签章", "签名", "签字", "签署", "双签", "代签", "加签", "录入", "打印", "打字",
    "执行", "核对", "核签", "核发", "校对", "制表", "填表", "填报", "填写", "登记", "接收", "收样", "收件", "核收", "交接",
    "交班", "接班", "操作", "经手", "经办", "判读", "筛查", "初筛", "复筛", "质控", "质检", "上传", "扫描", "归档", "阅片",
    "读片", "执笔", "撰写", "编辑", "整理", "值班", "一线", "二线", "三线", "接听", "发放", "采样", "采集", "采图", "包埋",
    "封片", "脱水", "登录", "收费", "开单", "申请", "开立", "批准", "审批", "确认", "追加", "更正", "修改", "修订", "变更",
    "补记", "筛片", "科秘", "登记台", "窗口", "带教", "规培", "进修", "实习", "主管", "责任", "录单", "誊写", "见证",
    "监督", "处理", "开嘱", "补取", "描写", "抄写", "誊抄", "末次修改", "最后修改", "最后编辑", "用户名", "收标本", "送标本",
    "标本接收", "标本签收", "计数", "照相", "拍照", "摄影", "拍摄", "摄片", "助手", "复片", "复阅", "账号", "帐号", "用户",
    "前台", "输入", "键入", "速录", "学员", "打字员",
)  # fmt: skip
"""Behind these hardly anything but a person stands."""
_MEDICAL = (
    "报告", "诊断", "检测", "检验", "检查", "染色", "特染", "制片", "切片", "取材", "描述", "记录", "会诊", "送检", "实验",
    "技术", "冰冻", "镜检", "分析", "手术", "麻醉", "病理科", "检验科", "技术室", "取样", "免疫组化", "组化", "冷冻",
    "穿刺", "医嘱", "加做", "补做",
)  # fmt: skip
"""Behind these medicine stands as often."""
_PERSONS = (
    "医师", "医生", "检验师", "病理师", "制片师", "主任师", "技师", "技术员", "护士", "护师", "实习生", "规培生", "进修生",
    "研究生", "工号", "工牌号", "员工号", "职工号",
)  # fmt: skip
_BY = (
    "report", "sign", "gross", "transcrib", "print", "check", "enter", "screen", "review", "typ", "verifi", "dictat",
)  # fmt: skip
_ENGLISH = {
    **{f"{did}ed by": 1 for did in _BY}, **dict.fromkeys(("signed", "signed out", "operator", "user", "/s/"), 1),
    **dict.fromkeys(("pathologist", "technician", "technologist"), 2),
}  # fmt: skip
BRIEF = "取记诊审签录核切染校初复终"
"""What was done in one character, at the beginning of a line or between signs, with a colon."""
_BEFORE_BRIEF = frozenset("\n ,;。、/(")
ROLES = {
    **dict.fromkeys(_MEDICAL, 0), **dict.fromkeys(_ACTS, 1), **dict.fromkeys(_PERSONS, 2),
    **{word + end: 2 for word in (*_ACTS, *_MEDICAL) for end in ("者", "人", "人员", "员")},
}  # fmt: skip
"""What each label says: 2 where only a person stands, 1 where hardly anything else does, 0 where medicine does as often."""
_LONGEST_LABEL = max(map(len, ROLES))
LABEL_ENDS = "".join(sorted({label[-1] for label in ROLES} | set(BRIEF)))
ANY_LABEL = "|".join((*sorted(ROLES, key=len, reverse=True), rf"[{BRIEF}](?=[ ]?:)"))
_NEXT_LABEL = re.compile(rf"[ ;,|/][ ]{{0,6}}[;,|/(]?[ ]{{0,2}}(?:[一二三]级)?(?:{ANY_LABEL})")
# What a label ends with is looked for first, and then whether it is one: there are hundreds of them.
_PLACE = Searched(
    rf"(?:[{LABEL_ENDS}]|[a-z/](?=[ :]))(?P<tail>[1-3①-③]?(?:工号|编号|代码|编码|[Ii][Dd]|签名|签字|/时间)?)"
    r"(?:(?P<gap>(?:[ ]{1,4}[:=(\[/]?|[:=(\[/])[ ]{0,4}#?)[A-Za-z0-9]|(?P<close>[A-Za-z]|[0-9]{4}))"
)
# No stain with its result (ER(+), CK-P), but a day in brackets.
_NO_RESULT = r"(?![A-Za-z0-9]|[-+%][A-Za-z0-9+-]|\((?!(?:19|20)[0-9]{2}[-./年]))"
_VALUES = re.compile(
    r"(?P<dotted>[A-Z]\.[ ]?[A-Z]\.?(?:[ ]?[A-Z]\.?)?(?![A-Za-z0-9])|[A-Z](?:\.[ ]?|[ ])[A-Z][a-z]{1,9}(?![A-Za-z0-9])"
    r"|(?<=Dr)[. ]{1,2}[A-Z]\.?(?![A-Za-z0-9]))"
    r"|(?P<mixed>[A-Z][a-z]{1,5}\.?[ ]?[A-Z]{1,2}\.?(?![A-Za-z0-9])|[a-z]{2,6}[ ][a-z]{1,2}(?![A-Za-z0-9]))"
    rf"|(?P<upper>[A-Z]{{2,4}}){_NO_RESULT}"
    r"|(?P<single>[GHJKLMOPQRSTWXZ]\.?)(?![A-Za-z0-9+(%-])"
    r"|(?P<numbered>(?:[A-Z]{2,3}[0-9]{1,2}|[A-Z]{1,3}-[a-z]{2,4})(?![A-Za-z0-9.%+-]))"
    r"|(?P<login>[a-z]{1,12}(?:[._-][a-z]{1,12}|[0-9]{2,6})(?![A-Za-z0-9.%]))"
    rf"|(?P<lower>[a-z]{{2,12}}){_NO_RESULT}"
    r"|(?P<code>(?:[A-Z]{1,3}-?)?[0-9]{2,6})(?![0-9A-Za-z%]|[-.:/+~×*][0-9A-Za-z])"
)
_CODED = r"(?:[A-Z]{0,2}[0-9]{3,6}|[a-z]{2,12}[0-9]{0,4}|[A-Z]{2,3})"
_WITH_CODE = Searched(
    rf"[{LABEL_ENDS}][ ]{{0,2}}[: ][ ]{{0,2}}"
    rf"(?:(?P<name>[{HAN}]{{1,4}})(?P<sign>[ ]?[(\[/#_-]|)(?P<code>{_CODED})(?![0-9A-Za-z.%年-])"
    rf"|(?P<first>[A-Z]{{0,2}}[0-9]{{3,6}})[-_/ ]?(?P<second>[{HAN}]{{2,3}})(?=[ ]*(?:$|[\n,;。)/]|[ ]{{2}}))"
    r"|(?P<rank>[技护医检工]-?[0-9]{1,3}号?)"
    r"(?=[ ]*(?:$|[\n,;。)/、])|[ ]{2}|[ ](?:(?:[12][0-9]{3}|[01]?[0-9])[-./]|[一-鿿]{2,4}:)))"
)
_NUMBERED_ROLE = Searched(
    r"[员师士生任](?P<number>[0-9]{1,3}号?)(?=[ ]*(?:$|[\n,;。、/|)])|[ ]{2}|[ ](?:19|20)[0-9]{2}[-./年])"
)
# 登记员01 and 技术员3, but 护士02 and 医师07 with a nought only: 护士2 may be two of them.
_ROLE = re.compile(
    "(?:(?P<desk>登记|录入|接收|收样|采样|采集|检验|检测|技术|操作|扫描|打印|审核|质控|质检|护送|配送|运送|管理|取材|制片|包埋|切片"
    r"|收费|值班|交接|染色|归档|借阅|档案)员|技[师士]|护[士师]|医[师生]|检验师|主任|(?:规培|实习|进修|研究)生)\Z"
)
_WITH_CODES = frozenset(
    {"审核", "复核", "初诊", "复诊", "签名", "签字", "签发", "取材", "报告", "检验", "检测", "打印", "录入"}
)
_JOIN = re.compile(r"[ ]?(?:[/、&+]|→|->|代)[ ]?|[ ]{1,2}")
_DOCTOR = re.compile("(?:Dr|Prof)(?=[. ])")
_ENDS = re.compile(
    r"[ ]*(?:$|[\n,;。|/、\])】>])|[ ]{2}"
    r"|[ ]?(?:取(?![材样])|签|代|护士|医[师生]|老师|号(?![码一-鿿])|注(?=[,。:)\n]|$)|→|->)"
)
"""What stands behind somebody who has signed."""
_LINE_ENDS = re.compile(r"[ ]*(?:$|[\n。;\])】>])")
_DATED = re.compile(
    r"[ ,(]{1,5}(?:[0-9]{1,4}[-./月年][ ]?[0-9]{1,2}(?![0-9]|[ ]?(?:cm|mm|ml|%|[x×]))|20[0-9]{6}(?![0-9])"
    r"|[0-2]?[0-9]:[0-5][0-9])"
)
_VOWEL = re.compile("[aeo]")
_NEVER = frozenset("iuv")
"""No syllable of Chinese begins with one of these."""
FEW = frozenset(
    {"ad", "cd", "ck", "cnas", "ct", "ent", "er", "gb", "he", "her", "hp", "hpv", "icu", "id", "ihc", "kfb", "ki", "mr",
     "mri", "na", "ndpi", "ner", "no", "ok", "or", "p", "pdf", "pet", "pr", "pt", "s", "svs", "t"}
)  # fmt: skip
"""Are never somebody's initials or login, whatever the label says."""
_CODES = ("工号", "编号", "代码", "编码", "工牌")
_COUNTED = (
    "计数", "补取", "接收", "登记", "打印", "扫描", "收件", "收样", "采样", "采集", "上传", "登录", "签收", "发放",
)  # fmt: skip
_CLONES = frozenset({"EPR", "EP", "SP", "QR", "MRQ", "MX", "ZR", "ZM", "BS", "RM", "OTI"})
"""What makers call their antibodies by: EPR17341, SP263."""
_STAFF_LETTERS = frozenset("GJST")
"""What codes of technicians begin with: 工, 技, staff, technician."""
_TISSUE = ("取材", "切片", "制片", "描述", "记录", "染色", "病理科")
_GIVEN = re.compile(f"{PINYIN}{{1,2}}|[b-df-hj-np-tw-z]{{1,2}}")
_RARE_SURNAMES = frozenset(
    {"bao", "bian", "cen", "chai", "chu", "cong", "dou", "fei", "gan", "geng", "gui", "hang", "ji", "jian", "jiao", "jing",
     "ju", "kuang", "lan", "lang", "lian", "ling", "miao", "mu", "ni", "nie", "ning", "ou", "pei", "pu", "qu", "quan", "ran",
     "rao", "rong", "ruan", "sang", "shang", "sheng", "shu", "sui", "tai", "teng", "tong", "tu", "weng", "xi", "xian",
     "xing", "xun", "ying", "you", "yun", "zang", "zong", "zuo"}
)  # fmt: skip
"""Read so, surnames that are too short or too seldom to tell a name elsewhere."""
_OFFICES = frozenset({"病理科", "检验科", "技术室"})
_LEAST_CODE, _YEAR, _LONGEST_INITIALS, PERSONAL, _LONGEST_ENGLISH, _LONGEST_ROLE = 3, 4, 4, 2, 16, 4


@dataclass(frozen=True, slots=True)
class _Label:
    """How much a label says, and what stands around it.

    Attributes:
        strength: 2 where only a person stands, 1 where hardly anything else does, 0 where medicine stands as often.
        has_colon: whether a colon or bracket stands behind it, no space.
        is_beside: whether somebody has signed right before it.
        is_code: whether it announces a code: 工号.
        is_counted: whether things are counted behind it: 打印 12.
        is_tissue: whether it is what is done to tissue, behind which the names of tumours and tests do not stand.
        is_office: whether it is where people sign for all: 病理科 LZ.
        is_close: whether nothing stands between it and what follows.
    """

    strength: int
    has_colon: bool
    is_beside: bool
    is_code: bool
    is_counted: bool
    is_tissue: bool
    is_office: bool
    is_close: bool


def find_signers(normal: str) -> Iterator[Removal]:
    """Initials, logins and codes behind labels of those who sign, in no order; places may overlap."""
    end = -1
    for found in _PLACE.finditer(normal):
        start = found.end("gap") if found["gap"] else found.start("close")
        named = label_before(normal, found.start() + 1, has_colon=":" in normal[found.start() : start])
        if named is None:
            continue
        is_beside = end >= 0 and not normal[end : named[0]].strip(" /|;,、)")
        label = _label_of(normal, *named, found.end("tail"), start, is_beside=is_beside)
        for removal in _signers(normal, start, label):
            yield removal
            end = removal.end
    for found in _WITH_CODE.finditer(normal):
        named = label_before(normal, found.start() + 1, has_colon=False)
        if named and found["rank"]:
            yield signature(normal, *found.span("rank"))
            continue
        is_told = named and (named[1] == PERSONAL or normal[named[0] : found.start() + 1] in _WITH_CODES)
        if is_told and _is_of_name(found):
            group = "code" if found["code"] else "first"
            yield Removal(*found.span(group), Kind.NUMBER, "label.staff_code")
    for found in _NUMBERED_ROLE.finditer(normal):
        role = _ROLE.search(normal, max(0, found.start() - _LONGEST_ROLE), found.start() + 1)
        if role and (role["desk"] or found["number"][0] == "0"):
            yield signature(normal, role.start(), found.end())


def label_before(normal: str, end: int, *, has_colon: bool) -> tuple[int, int] | None:
    """Where the label begins that ends at a place, the longest one, and how much it says; None if there is none."""
    if normal[end - 1].isascii():
        return _english_before(normal, end)
    for start in range(max(0, end - _LONGEST_LABEL), end - 1):
        strength = ROLES.get(normal[start:end])
        if strength is not None:
            return start, strength
    is_brief = has_colon and normal[end - 1] in BRIEF and (end == 1 or normal[end - 2] in _BEFORE_BRIEF)
    return (end - 1, 0) if is_brief else None


def _english_before(normal: str, end: int) -> tuple[int, int] | None:
    before = normal[max(0, end - _LONGEST_ENGLISH) : end]
    label = next(
        (label for label in _ENGLISH if before.lower().endswith(label)), "ROSE" if before.endswith("ROSE") else None
    )
    if label is None or before[: -len(label)][-1:].isalpha():
        return None
    return end - len(label), _ENGLISH[label]


def _is_of_name(found: "re.Match[str]") -> bool:
    """Whether a name stands beside a code or login: 王芳(wangf), 0317-王芳."""
    if found["first"]:
        return surname_length(found["second"]) > 0
    is_bare, is_lower = not found["sign"], found["code"][0].islower()
    word = found["code"].lower()
    if surname_length(found["name"]) == 0 or (is_bare and len(found["name"]) == 1) or word in FEW | medical_words():
        return False
    return not found["code"].isupper() or (not is_bare and is_lower is False and _NEVER.isdisjoint(word))


def signature(normal: str, start: int, end: int) -> Removal:
    """Somebody who signs by initials, a login or a surname."""
    return Removal(start, end, Kind.STAFF, "signed.staff", folded_name(normal[start:end]))


def is_followed(normal: str, end: int) -> bool:
    """Whether a day or the next label stands behind a place: somebody has signed there."""
    return _DATED.match(normal, end) is not None or _NEXT_LABEL.match(normal, end) is not None


def are_initials(written: str) -> bool:
    """Whether letters may be those of a Chinese name, and mean nothing else in medicine."""
    word = written.replace(".", "").replace(" ", "").lower()
    return _NEVER.isdisjoint(word) and word not in medical_words() and "abc" not in word


def is_login(word: str) -> bool:
    """Whether small letters are a surname and a given name in Pinyin, or its initials, as people log in: linxiao, tangm."""
    surnames = name_words().pinyin
    is_name = any(
        (word[:end] in surnames or word[:end] in _RARE_SURNAMES) and _GIVEN.fullmatch(word, end)
        for end in range(len("ma"), len(word))
    )
    return is_name and word not in medical_words()


@cache
def medical_words() -> frozenset[str]:
    """Words and abbreviations in lower case that may stand where initials or a login do."""
    lists, english = name_words(), english_words()
    return lists.abbreviations | lists.latin | medical_latin() | english.words | english.function_words


def _label_of(normal: str, start: int, strength: int, end: int, value: int, *, is_beside: bool) -> _Label:
    words = normal[start:end]
    return _Label(
        strength,
        normal[start - 1 : start] in {"(", "["} or any(sign in normal[end:value] for sign in ":=(["),
        is_beside,
        any(one in words for one in _CODES),
        any(one in words for one in _COUNTED),
        words in BRIEF or any(one in words for one in _TISSUE),
        words in _OFFICES,
        end == value,
    )


def _signers(normal: str, start: int, label: _Label) -> Iterator[Removal]:
    """Whoever stands behind a label: one, or several with a sign between them."""
    places: list[tuple[int, re.Match[str]]] = []
    while len(places) < _LONGEST_INITIALS:
        doctor = _DOCTOR.match(normal, start)
        found = _VALUES.match(normal, doctor.end() if doctor else start)
        if found is None:
            break
        places.append((start, found))
        join = _JOIN.match(normal, found.end())
        if join is None:
            break
        start = join.end()
    # Of a list that does not end where one may, the first count: 审核 HD 20240712.
    while places and not _is_ended(normal, places[-1][1].end()):
        places.pop()
    if not places:
        return
    end = places[-1][1].end()
    is_confirmed, is_last = label.is_beside or is_followed(normal, end), _LINE_ENDS.match(normal, end) is not None
    if all(_signs(found, label, is_confirmed=is_confirmed, is_last=is_last) for _, found in places):
        for first, found in places:
            if found["code"]:
                yield Removal(first, found.end(), Kind.NUMBER, "label.staff_code")
            else:
                yield signature(normal, first, found.end())


def _is_ended(normal: str, end: int) -> bool:
    return _ENDS.match(normal, end) is not None or is_followed(normal, end)


def _signs(found: "re.Match[str]", label: _Label, *, is_confirmed: bool, is_last: bool) -> bool:
    """Whether what is written behind a label is somebody's."""
    written = found[0]
    is_told = label.has_colon or is_confirmed or label.strength == PERSONAL
    is_ended = is_confirmed or is_last
    if found["code"] or found["upper"]:
        test = _is_code if found["code"] else _is_upper
        return test(written, label, is_confirmed=is_confirmed, is_last=is_last)
    if found["single"] or found["numbered"]:
        # 筛查:CT03 before the next who signs is no test.
        is_login = label.has_colon and is_confirmed and written[-2:-1] == "0"
        is_anybodys = (is_login or _is_numbered(written, label)) if found["numbered"] else is_told and not label.is_counted
        return label.strength > 0 and is_ended and is_anybodys
    if found["lower"]:
        return _is_lower(written, label, is_told=is_told, is_last=is_last, is_ended=is_ended)
    if found["login"]:
        letters, *others = re.split("[0-9._-]+", written)
        is_long = label.has_colon and is_last and len(written) - len(letters) >= _YEAR
        # A hyphen joins the words of a term too, as in b-catenin.
        is_term = not medical_words().isdisjoint([letters, *others])
        # 镜检:jyk07 ends its line: no stain's number begins with a nought.
        is_counting = label.has_colon and is_last and letters.islower() and written[len(letters)] == "0"
        is_stain = label.strength == 0 and (not (is_confirmed or is_long or is_counting) or is_term)
        is_close = label.is_close and label.strength > 0 and is_last
        return (is_told or is_close) and not is_stain and letters not in FEW
    if found["dotted"]:
        return is_told and re.sub("[. ]", "", written).lower() not in FEW | {"ca", "pas"}
    surname = written[0].lower() + re.split("[ .A-Z]", written[1:])[0]
    return is_told and surname in name_words().pinyin


def _is_upper(written: str, label: _Label, *, is_confirmed: bool, is_last: bool) -> bool:
    """Whether capitals are initials: an abbreviation of medicine only where a person stands or others sign beside."""
    word = written.lower()
    is_told = label.strength == PERSONAL and label.has_colon
    if word in FEW or not _NEVER.isdisjoint(word) or "abc" in word:
        return False
    if word in medical_words() and not (is_told or (is_confirmed and label.strength)):
        return False
    if is_confirmed or label.strength == PERSONAL or (label.is_office and is_last):
        return True
    return (label.has_colon or is_last) if label.strength else (label.has_colon and is_last and label.is_tissue)


def _is_lower(word: str, label: _Label, *, is_told: bool, is_last: bool, is_ended: bool) -> bool:
    """Whether small letters are initials, or a name in Pinyin as people log in with."""
    if word in FEW:
        return False
    if word in medical_words():
        # 修订人:cl is no chloride.
        return label.strength == PERSONAL and label.has_colon and is_last and len(word) < _LONGEST_INITIALS
    if len(word) <= _LONGEST_INITIALS:
        is_close = label.is_tissue and label.is_close and _VOWEL.search(word) is None
        is_named = (label.has_colon and is_ended) or (label.strength > 0 and is_last)
        if len(word) == _LONGEST_INITIALS and is_named and is_login(word):
            return True
        return _NEVER.isdisjoint(word) and (is_told or (is_last and (label.strength > 0 or is_close)))
    if label.strength == 0:
        return label.has_colon and is_ended and is_login(word)
    return is_told and (is_login(word) or any(map(word.startswith, name_words().pinyin)))


def _is_numbered(written: str, label: _Label) -> bool:
    """Whether initials with a number, or an office and initials, are somebody's: LX2, QC-wl."""
    office, dash, initials = written.partition("-")
    if dash:
        return (label.has_colon or label.strength == PERSONAL) and are_initials(initials)
    return are_initials(office.rstrip("0123456789"))


def _is_code(written: str, label: _Label, *, is_confirmed: bool, is_last: bool) -> bool:
    """Whether digits are somebody's number: no count and no year."""
    digits = written.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ-")
    is_year = len(digits) == _YEAR and digits == written and "1900" <= digits < "2040"
    if label.is_code:
        return True
    if label.strength == PERSONAL and (label.has_colon or is_confirmed or (is_last and len(digits) >= _YEAR)):
        return not is_year and (len(digits) >= _LEAST_CODE or digits[0] == "0")
    if label.has_colon and is_confirmed and digits[0] == "0" and written[0] in _STAFF_LETTERS:
        # 制片:T07 before the next who signs; A07 is a block's.
        return True
    if is_year or len(digits) < _LEAST_CODE or written.rstrip("0123456789-") in _CLONES:
        return False
    is_numbered, is_long = digits[0] == "0" or digits != written, len(digits) > _LEAST_CODE
    if label.strength == 0:
        is_lettered = label.has_colon and is_last and len(written.rstrip("0123456789-")) > 1
        return (is_confirmed or is_lettered) and is_numbered and is_long
    is_told = label.has_colon and (is_confirmed or (is_last and is_long and not label.is_counted))
    # 审核1187: nothing is counted so without a word between.
    is_close = label.is_close and is_long and (is_confirmed or is_last) and not (label.is_counted or digits.endswith("00"))
    return is_told or is_close or (is_numbered and (label.has_colon or is_confirmed or is_last))
